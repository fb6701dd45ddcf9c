//! Patterns of the variables of vendors' templates: texts with words in braces that parts of a message take the place of. Pure.

use super::phone::bare;
use crate::channel::Problem;
use crate::model::{Escape, Facts, FieldSpec, Form, Language, MessageStatus, Page, Severity};

/// A part of a message for a variable that takes few characters; of several alerts that of the first. What names where, else what, counts the others
/// that fire, or that are over with it: a template without `{text}` would report one alert in place of many.
macro_rules! part {
    ($name:literal, $template:literal) => {
        FieldSpec {
            name: $name,
            escape: Escape::None,
            required: false,
            single_line: true,
            template: concat!("{{#each alerts}}{{#if @first}}", $template, "{{/if}}{{/each}}"),
        }
    };
}

/// The fields of a vendor's template messages: the text, and its parts.
pub const fn parts(text: &'static str) -> [FieldSpec; 7] {
    [
        FieldSpec { name: "text", escape: Escape::None, required: true, single_line: true, template: text },
        part!(
            "name",
            r#"{{#if (or place (eq @root.total 1))}}{{name}}{{else}}{{#if (not firing)}}{{t "and_more" what=name n=(sub @root.total 1)}}{{else}}{{#if (gt @root.firing_count 1)}}{{t "and_more" what=name n=(sub @root.firing_count 1)}}{{else}}{{name}}{{/if}}{{/if}}{{/if}}"#
        ),
        part!(
            "place",
            r#"{{#if (or (not place) (eq @root.total 1))}}{{place}}{{else}}{{#if (not firing)}}{{t "and_more" what=(truncate place 22) n=(sub @root.total 1)}}{{else}}{{#if (gt @root.firing_count 1)}}{{t "and_more" what=(truncate place 22) n=(sub @root.firing_count 1)}}{{else}}{{place}}{{/if}}{{/if}}{{/if}}"#
        ),
        // What is over was said in the present tense.
        part!(
            "summary",
            r#"{{#if text}}{{#unless firing}}{{status_word}}{{t "colon"}}{{/unless}}{{#if summary}}{{summary}}{{else}}{{text}}{{/if}}{{/if}}"#
        ),
        part!("value", "{{value}}"),
        part!("time", r#"{{#if starts_at}}{{time starts_at "%H:%M"}}{{/if}}"#),
        // As JSON: patterns name the labels that they want.
        part!("labels", "{{json labels}}"),
    ]
}

/// Words that a pattern may hold, and the characters below which a variable cuts each to a stump. Our own.
const WORDS: [(&str, usize); 9] =
    [("severity", 2), ("status", 3), ("time", 5), ("value", 6), ("place", 6), ("name", 8), ("summary", 20), ("title", 20), ("text", 20)];

/// Words that say whether it fires or is over.
const OF_STATE: [&str; 4] = ["severity", "status", "summary", "text"];

/// `{label.NAME}`: the label's value.
const LABEL: &str = "label.";

/// A stretch of a pattern.
enum Piece<'a> {
    Text(&'a str),
    Word(&'a str),
}

fn pieces(pattern: &str) -> Vec<Piece<'_>> {
    let (mut found, mut rest) = (Vec::new(), pattern);
    while let Some((text, tail)) = rest.split_once('{') {
        // A brace that nothing closes stays, and is a mistake.
        let Some((word, tail)) = tail.split_once('}') else { break };
        found.extend([Piece::Text(text), Piece::Word(word)]);
        rest = tail;
    }
    found.push(Piece::Text(rest));
    found
}

/// The characters that a word needs; `None` for one that nobody knows.
fn needs(word: &str) -> Option<usize> {
    let of_label = word.strip_prefix(LABEL).filter(|name| !name.is_empty()).map(|_| 1);
    of_label.or_else(|| WORDS.iter().find(|(name, _)| *name == word).map(|(_, needs)| *needs))
}

/// What is wrong with a pattern.
pub fn check_pattern(path: String, pattern: &str) -> Option<Problem> {
    let unknown = pieces(pattern).iter().any(|piece| match piece {
        Piece::Text(text) => text.contains(['{', '}']),
        Piece::Word(word) => needs(word).is_none(),
    });
    let known = || WORDS.iter().map(|(name, _)| format!("{{{name}}}")).collect::<Vec<_>>().join(", ");
    unknown.then(|| Problem::new(path, "this pattern holds an unknown word", format!("known words: {}, {{label.NAME}}", known())))
}

/// What is doubtful about patterns: words that a variable of `each` characters cuts to a stump.
pub fn doubt_patterns<'a>(patterns: impl Iterator<Item = (String, &'a String)>, each: usize) -> Vec<Problem> {
    let is_cut = |piece: &Piece<'_>| matches!(piece, Piece::Word(word) if needs(word).is_some_and(|needs| needs > each));
    let doubt = |(path, pattern): (String, &String)| {
        let fitting = WORDS.iter().filter(|(_, needs)| *needs <= each).map(|(name, _)| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ");
        let help = format!("write {fitting} or `{{label.NAME}}`, each in a variable of its own, or raise `max_param` if the account may have more");
        Problem::new(path, format!("`{pattern}` is cut to {each} characters, which say nothing"), help)
    };
    patterns.filter(|(_, pattern)| pieces(pattern).iter().any(is_cut)).map(doubt).collect()
}

/// What is doubtful about the patterns of a channel that sends what is over: none of them says so.
pub fn doubt_end<'a>(mut patterns: impl Iterator<Item = &'a String>, key: &str) -> Option<Problem> {
    let says = |pattern: &String| pieces(pattern).iter().any(|piece| matches!(piece, Piece::Word(word) if OF_STATE.contains(word)));
    let help = format!("write `{{severity}}` or `{{status}}` into one of `{key}.params`, which then says `resolved`, or leave this out");
    (!patterns.any(says)).then(|| Problem::new("send_resolved", "the end reads as the alarm did: no variable says which of the two it is", help))
}

/// A vendor template's parameter: the pattern with its words filled in, and [`bare`]. What a message has not is left out.
pub fn fill(pattern: &str, page: &Page) -> String {
    let mut text = String::new();
    for piece in pieces(pattern) {
        match piece {
            Piece::Text(own) => text.push_str(own),
            Piece::Word(word) => text.push_str(&part(word, page)),
        }
    }
    bare(&text)
}

fn part(word: &str, page: &Page) -> String {
    let or = |name: &str, other: &str| if page.field(name).is_empty() { other.to_owned() } else { page.field(name).to_owned() };
    match word {
        "title" => title(page),
        "name" => or("name", &page.facts.title),
        "summary" => or("summary", page.field("text")),
        "severity" | "status" if is_notice(word, &page.facts) => notice(page.facts.language).to_owned(),
        "severity" if page.facts.status == MessageStatus::Firing => severity(&page.facts).to_owned(),
        // A template that names the severity and not the status would report the end as it did the alarm.
        "severity" | "status" => status(&page.facts).to_owned(),
        field => match field.strip_prefix(LABEL) {
            Some(name) => label(name, page).unwrap_or_default(),
            None => page.field(field).to_owned(),
        },
    }
}

fn label(name: &str, page: &Page) -> Option<String> {
    let labels: serde_json::Map<String, serde_json::Value> = serde_json::from_str(page.field("labels")).ok()?;
    Some(labels.get(name)?.as_str()?.to_owned())
}

/// The severity in the reader's language. Where none is claimed, a word that claims none: a variable must not be empty.
pub fn severity(facts: &Facts) -> &'static str {
    match (facts.severity, facts.language) {
        (Some(Severity::Critical), Language::Zh) => "严重",
        (Some(Severity::Error), Language::Zh) => "错误",
        (Some(Severity::Warning), Language::Zh) => "警告",
        (Some(Severity::Info), Language::Zh) => "提示",
        (Some(severity), Language::En) => severity.as_str(),
        (None, Language::Zh) => "告警",
        (None, Language::En) => "alert",
    }
}

/// Whether what this variable says of a note is that it is one: it is not over, and nobody named its severity.
fn is_notice(word: &str, facts: &Facts) -> bool {
    facts.form == Form::Note && facts.status == MessageStatus::Firing && (word == "status" || facts.severity.is_none())
}

/// What a note is called, which has neither status nor severity.
fn notice(language: Language) -> &'static str {
    match language {
        Language::Zh => "通知",
        Language::En => "notice",
    }
}

/// The status in the reader's language.
pub fn status(facts: &Facts) -> &'static str {
    match (facts.status, facts.language) {
        (MessageStatus::Firing, Language::Zh) => "告警中",
        (MessageStatus::Resolved, Language::Zh) => "已恢复",
        (MessageStatus::Unreported, Language::Zh) => "不再上报",
        (MessageStatus::Firing, Language::En) => "firing",
        (MessageStatus::Resolved, Language::En) => "resolved",
        (MessageStatus::Unreported, Language::En) => "no longer reported",
    }
}

/// Name and place; what was written without them by its title.
fn title(page: &Page) -> String {
    match (page.field("name"), page.field("place")) {
        ("", _) if page.facts.title.is_empty() => page.field("text").to_owned(),
        ("", _) => page.facts.title.clone(),
        (name, "") => name.to_owned(),
        (name, place) => format!("{name} {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::kit::test_server::page;

    #[test]
    fn variables_get_what_they_can_take() {
        let mut page = page(&[("text", "磁盘已满 https://x.example")]);
        page.facts.title = "HighCPU on db-1".into();
        page.facts.language = Language::Zh;
        page.facts.severity = Some(Severity::Warning);
        assert_eq!(fill("{severity}:{title}", &page), "警告:HighCPU on db-1");
        assert_eq!(fill("{text}", &page), "磁盘已满");
        assert_eq!(fill("{name}|{place}{time}{label.cluster}|{summary}", &page), "HighCPU on db-1||磁盘已满");
        let labels = r#"{"cluster":"prod-3","note":"{value}"}"#;
        let fields = [("name", "HighCPU"), ("place", "db-1:9100"), ("summary", "97%"), ("value", "97.2"), ("time", "03:12"), ("labels", labels)];
        for (name, value) in fields {
            page.fields.insert(name.into(), value.into());
        }
        assert_eq!(fill("{title}, {name}, {place}, {summary}, {value}", &page), "HighCPU db-1:9100, HighCPU, db-1:9100, 97%, 97.2");
        assert_eq!(fill("{time} {label.cluster}{label.nope}", &page), "03:12 prod-3");
        assert_eq!(fill("{label.note}", &page), "{value}", "what a sender wrote is no pattern");
        page.facts.severity = None;
        assert_eq!(fill("{severity}", &page), "告警", "nobody claimed a severity");
        page.facts.form = Form::Note;
        assert_eq!(fill("{severity}|{status}", &page), "通知|通知", "a note is no alert");
        page.facts.language = Language::En;
        assert_eq!(fill("{severity}|{status}", &page), "notice|notice");
        page.facts.severity = Some(Severity::Info);
        assert_eq!(fill("{severity}|{status}", &page), "info|notice", "who claims a severity is not contradicted");
        page.facts.status = MessageStatus::Resolved;
        assert_eq!(fill("{severity}|{status}", &page), "resolved|resolved", "its end does not read as it did");
        (page.facts.form, page.facts.language, page.facts.severity) = (Form::Card, Language::Zh, None);
        assert_eq!(fill("{severity} {place}", &page), "已恢复 db-1:9100", "what is over is not reported as the alarm was");
    }

    #[test]
    fn a_pattern_of_unknown_words_is_refused_and_one_that_is_cut_is_doubted() {
        for bad in ["{nope}", "{label.}", "{text", "text}", "{{text}}"] {
            assert!(check_pattern("p".into(), bad).is_some(), "{bad}");
        }
        for good in ["a {text}", "{time} {label.x}", "", "{severity}{status}"] {
            assert!(check_pattern("p".into(), good).is_none(), "{good}");
        }
        let doubted = |pattern: &str, each| !doubt_patterns([("p".to_owned(), &pattern.to_owned())].into_iter(), each).is_empty();
        assert!(doubted("{summary}", 6) && doubted("{name}", 6) && doubted("{severity} {title}", 12));
        let alike = |patterns: &[&str]| doubt_end(patterns.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>().iter(), "k").is_some();
        assert!(alike(&["{name}", "{place} {time}"]) && alike(&["{label.status}"]) && alike(&[]));
        assert!(!alike(&["{name}", "{severity}"]) && !alike(&["{summary}"]) && !alike(&["{title}", "{text}"]));
        assert!(!doubted("{severity}", 6) && !doubted("{label.x}", 6) && !doubted("{name}", 12) && !doubted("{text}", 20));
    }
}
