//! Matchers and time intervals: read once to tell, at their exact place, what is wrong with them.

use std::collections::BTreeSet;

use super::Validator;
use super::extras::zone_help;
use crate::config::codes;
use crate::config::file::{OneOrMany, RouteNode};
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::model::yaml::Path;
use crate::model::{Finding, Severity};
use crate::route::matcher::{Matcher, Op};
use crate::route::{Intervals, lint_matcher_list, matcher};

/// Validates `matchers` of a route and of all routes below it.
pub fn matchers(validator: &mut Validator<'_, '_>, route: &RouteNode, path: &Path) {
    if let Some(texts) = &route.matchers {
        list(validator, texts, &path.key("matchers"));
    }
    for (ix, child) in route.routes.iter().enumerate() {
        matchers(validator, child, &path.key("routes").item(ix));
    }
}

/// Validates one `matchers`.
pub fn list(validator: &mut Validator<'_, '_>, texts: &OneOrMany, at: &Path) {
    match texts {
        OneOrMany::One(text) => one(validator, text, at),
        OneOrMany::Many(texts) => {
            let split = lint_matcher_list(texts);
            for problem in &split {
                let label = if problem.last > problem.first { "and the pieces after it belong together" } else { "the quote is not closed" };
                let finding = Finding::error(codes::SPLIT_MATCHER, "this is not one matcher").label(label).note(problem.message.clone());
                validator.report.add(finding, &at.item(problem.first), Anchor::Value);
            }
            for (ix, text) in texts.iter().enumerate() {
                if !split.iter().any(|problem| (problem.first..=problem.last).contains(&ix)) {
                    one(validator, text, &at.item(ix));
                }
            }
            if texts.is_empty() {
                let finding =
                    Finding::warning(codes::DOUBTFUL_ROUTE, "an empty `matchers` takes every alert").label("write a matcher, or remove the key");
                validator.report.add(finding, at, Anchor::Key);
            }
        }
    }
}

fn one(validator: &mut Validator<'_, '_>, text: &str, path: &Path) {
    match matcher::parse_noted(text) {
        Err(error) => {
            let (reason, help) = mistaken(text).unwrap_or((error.reason, error.help));
            validator.report.error(codes::BAD_MATCHER, path, Anchor::Inside(error.offset, 1), reason, help);
        }
        Ok(context) => {
            if let Some((message, label)) = context.matchers.iter().find_map(|matcher| doubt(validator, matcher, text)) {
                validator.report.add(Finding::warning(codes::DOUBTFUL_ROUTE, message).label(label), path, Anchor::Value);
                return;
            }
            if let Some(note) = context.note {
                validator.report.add(
                    Finding::warning(codes::DOUBTFUL_ROUTE, "Alertmanager's two grammars do not agree on this matcher").label(note),
                    path,
                    Anchor::Value,
                );
            } else if context.matchers.is_empty() {
                let finding =
                    Finding::warning(codes::DOUBTFUL_ROUTE, "an empty `matchers` takes every alert").label("write a matcher, or remove the key");
                validator.report.add(finding, path, Anchor::Value);
            }
        }
    }
}

/// Quotes that word processors and chats put in place of straight ones.
const ODD_QUOTES: [char; 10] = ['“', '”', '„', '‟', '″', '＂', '‘', '’', '«', '»'];

/// What other languages write between conditions that must all hold, and between those of which one must.
const AND: [&str; 4] = ["&&", " and ", " AND ", " & "];
const OR: [&str; 3] = ["||", " or ", " OR "];
const ONE_OF: &str = "write two routes, or `=~` with `a|b`";

/// What somebody meant who writes matchers as another language has them: what is wrong, and what to write.
fn mistaken(text: &str) -> Option<(String, String)> {
    let comma = "a comma must be between matchers";
    if let Some(parts) = joined(text, &AND) {
        return Some((comma.to_owned(), all(&parts)));
    }
    if joined(text, &OR).is_some() {
        return Some((comma.to_owned(), ONE_OF.to_owned()));
    }
    let single = text.replace("==", "=");
    if single != text && matcher::parse(&single).is_ok() {
        return Some(("`==` is no operator of matchers".to_owned(), format!("write `{single}`")));
    }
    text.contains(ODD_QUOTES)
        .then(|| ("typographic quotes are no quotes of matchers".to_owned(), format!("write straight quotes: `{}`", straight(text))))
}

/// The matchers that one of these words joins.
fn joined<'t>(text: &'t str, words: &[&str]) -> Option<Vec<&'t str>> {
    words.iter().find_map(|word| {
        let parts: Vec<&str> = text.split(*word).map(str::trim).collect();
        (parts.len() > 1 && parts.iter().all(|part| matcher::parse(part).is_ok_and(|read| read.len() == 1))).then_some(parts)
    })
}

/// How matchers that must all hold are written.
fn all(parts: &[&str]) -> String {
    let items: Vec<String> = parts.iter().map(|part| format!("'{}'", part.trim().replace('\'', "''"))).collect();
    format!("all matchers of a list must hold: write `[{}]`", items.join(", "))
}

fn straight(text: &str) -> String {
    let plain = |text: &str| text.chars().map(|c| if ODD_QUOTES.contains(&c) { '"' } else { c }).collect::<String>();
    // Around the whole matcher they are no part of it: `‘team="db"’`.
    let inside = text.trim().strip_prefix(ODD_QUOTES).and_then(|rest| rest.strip_suffix(ODD_QUOTES)).map(plain);
    inside.filter(|inside| matcher::parse(inside).is_ok_and(|read| !read.is_empty())).unwrap_or_else(|| plain(text))
}

fn is_exact(op: Op) -> bool {
    matches!(op, Op::Equal | Op::NotEqual)
}

/// What reads well and can hardly match anything: what is odd, and what to write.
fn doubt(validator: &Validator<'_, '_>, matcher: &Matcher, text: &str) -> Option<(String, String)> {
    let (name, value) = (matcher.name(), matcher.value());
    let exact = is_exact(matcher.op());
    if name.contains(ODD_QUOTES) || value.contains(ODD_QUOTES) {
        let label = format!("write straight quotes, `{}`; if the label really holds them, write `{matcher}`", straight(text));
        return (matcher.to_string() != text.trim()).then(|| ("typographic quotes are taken for a part of the text".to_owned(), label));
    }
    if exact && (value.contains("&&") || value.contains("||")) {
        let label = if value.contains("&&") { all(&text.split("&&").collect::<Vec<_>>()) } else { ONE_OF.into() };
        return Some((format!("`{matcher}` is one matcher: the part between `=` and the end is its value"), label));
    }
    if exact && value.split('|').filter(|part| !part.is_empty()).count() > 1 {
        let op = if matcher.op() == Op::Equal { "=~" } else { "!~" };
        let message = format!("`{}` compares with the whole text `{value}`, `|` included", matcher.op());
        return Some((message, format!("write `{name}{op}\"{value}\"` for one of several")));
    }
    pattern(matcher).or_else(|| severity(validator, matcher))
}

/// A pattern where a text is compared, and a `*` as shells have it.
fn pattern(matcher: &Matcher) -> Option<(String, String)> {
    let (name, value, op) = (matcher.name(), matcher.value(), matcher.op());
    if let Some(rest) = value.strip_prefix('=').filter(|_| is_exact(op)) {
        return Some((
            format!("`{op}` compares with the whole text `{value}`, the second `=` included"),
            format!("write `{name}{op}\"{}\"`", rest.trim()),
        ));
    }
    if is_exact(op) && (value == "*" || value.contains(".*") || value.contains(".+")) {
        let regex = if op == Op::Equal { Op::Regex } else { Op::NotRegex };
        let pattern = if value == "*" { ".+" } else { value };
        return Some((
            format!("`{op}` compares with the whole text `{value}` and knows no pattern"),
            format!("write `{name}{regex}\"{pattern}\"` for a pattern"),
        ));
    }
    let stem = |part: &str| {
        let stem = part.strip_suffix('*')?;
        (!stem.is_empty() && stem.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))).then(|| stem.to_owned())
    };
    let first = value.split('|').find_map(stem).filter(|_| !is_exact(op))?;
    let parts: Vec<String> = value.split('|').map(|part| stem(part).map_or_else(|| part.to_owned(), |stem| format!("{stem}.*"))).collect();
    let message = format!("in a regular expression `*` repeats the character before it: `{first}*` is not what begins with `{first}`");
    Some((message, format!("write `{name}{op}\"{}\"`", parts.join("|"))))
}

/// A label that is nearly the severity's, and a value that is nearly one of its.
fn severity(validator: &Validator<'_, '_>, matcher: &Matcher) -> Option<(String, String)> {
    let block = &validator.file.severity;
    let label = block.label.as_deref().unwrap_or("severity");
    let name = matcher.name();
    if name != label {
        let near = label.len() >= 4 && strsim::damerau_levenshtein(&name.to_lowercase(), &label.to_lowercase()) <= 1;
        return near.then(|| (format!("the label is called `{name}` here"), format!("did you mean `{label}`? Labels are compared letter by letter")));
    }
    let order: Vec<&str> = match &block.order {
        Some(order) => order.iter().map(String::as_str).collect(),
        None => Severity::ALL.iter().map(|severity| severity.as_str()).collect(),
    };
    let known: Vec<&str> = order.into_iter().chain(block.aliases.keys().map(String::as_str)).collect();
    let values: Vec<&str> = match matcher.op() {
        Op::Equal | Op::NotEqual => vec![matcher.value()],
        Op::Regex | Op::NotRegex => matcher.value().split('|').filter(|part| part.chars().all(char::is_alphanumeric)).collect(),
    };
    for value in values.into_iter().filter(|value| !value.is_empty() && !known.contains(value)) {
        let lower = value.to_lowercase();
        let near = known.iter().find(|known| {
            let known = known.to_lowercase();
            let slips = strsim::damerau_levenshtein(&lower, &known);
            known == lower || (lower.chars().count() >= 4 && (known.starts_with(&lower) || slips <= 1 || (slips <= 2 && lower.len() >= 7)))
        });
        if let Some(near) = near {
            let message = format!("`{value}` is not one of the severities: {}", listed(known.iter().copied()));
            return Some((
                message,
                format!("did you mean `{near}`? Values are compared letter by letter; if alerts really say `{value}`, add it to `severity.aliases`"),
            ));
        }
    }
    None
}

/// Validates `time_intervals:` and reads them.
pub fn intervals(validator: &mut Validator<'_, '_>) -> Intervals {
    let path = Path::of("time_intervals");
    let file = validator.file;
    let mut read = Intervals::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for (ix, config) in file.time_intervals.iter().enumerate() {
        let path = path.item(ix);
        if validator.report.is_blamed(&path) {
            continue;
        }
        if !config.name.is_empty() && !seen.insert(&config.name) {
            let message = format!("two time intervals are called `{}`", config.name);
            validator.report.error(codes::TAKEN_NAME, &path.key("name"), Anchor::Value, message, "rename one of the two");
        }
        match config.compile() {
            Ok(interval) => {
                read.insert(config.name.clone(), std::sync::Arc::new(interval));
            }
            Err(problems) => {
                for problem in problems {
                    let at = path.dotted(&problem.path);
                    let zone = problem.path.ends_with(".location").then(|| validator.report.source.root.as_ref()?.at(&at)).flatten();
                    match zone.map(|node| &node.kind) {
                        Some(crate::model::yaml::Kind::Scalar(name)) => {
                            let message = format!("there is no time zone `{}`", name.text);
                            validator.report.error(codes::BAD_ZONE, &at, Anchor::Value, message, zone_help(&name.text));
                        }
                        _ => {
                            validator.report.error(codes::BAD_INTERVAL, &at, Anchor::Value, format!("`{at}`: {}", problem.reason), problem.help);
                        }
                    }
                }
            }
        }
    }
    read
}

/// Reports a time interval that does not exist.
pub(super) fn interval(validator: &mut Validator<'_, '_>, name: &str, path: &Path) {
    let mut known: Vec<&str> = validator.file.time_intervals.iter().map(|interval| interval.name.as_str()).collect();
    known.dedup();
    if known.contains(&name) || validator.report.is_blamed(&Path::of("time_intervals")) {
        return;
    }
    let finding = Finding::error(codes::UNKNOWN_INTERVAL, "there is no time interval of this name")
        .label(format!("no time interval `{name}`{}", hint(name, known.iter().copied())))
        .note(format!("time intervals defined here: {}", listed(known.iter().copied())));
    validator.report.add(finding, path, Anchor::Value);
}
