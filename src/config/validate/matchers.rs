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
            let help = match text {
                _ if text.contains("&&") => format!("all matchers of a list must hold: write {}", items(text)),
                _ if text.contains(ODD_QUOTES) => format!("write straight quotes: `{}`", straight(text)),
                _ => error.help,
            };
            validator.report.error(codes::BAD_MATCHER, path, Anchor::Inside(error.offset, 1), error.reason, help);
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
const ODD_QUOTES: [char; 9] = ['“', '”', '„', '‟', '″', '＂', '‘', '’', '«'];

fn straight(text: &str) -> String {
    text.chars().map(|c| if ODD_QUOTES.contains(&c) || c == '»' { '"' } else { c }).collect()
}

/// The parts of `a="b" && c="d"` as a list.
fn items(text: &str) -> String {
    let parts: Vec<String> = text.split("&&").map(|part| format!("'{}'", part.trim().replace('\'', "''"))).collect();
    format!("`[{}]`", parts.join(", "))
}

/// What reads well and can hardly match anything: what is odd, and what to write.
fn doubt(validator: &Validator<'_, '_>, matcher: &Matcher, text: &str) -> Option<(String, String)> {
    let (name, value) = (matcher.name(), matcher.value());
    let exact = matches!(matcher.op(), Op::Equal | Op::NotEqual);
    if name.contains(ODD_QUOTES) || value.contains(ODD_QUOTES) {
        let label = format!("write straight quotes, `{}`; if the label really holds them, write `{matcher}`", straight(text));
        return (matcher.to_string() != text.trim()).then(|| ("typographic quotes are taken for a part of the text".to_owned(), label));
    }
    if exact && (value.contains("&&") || value.contains("||")) {
        let label = if value.contains("&&") {
            format!("all matchers of a list must hold: write {}", items(text))
        } else {
            "write two routes, or `=~` with `a|b`".into()
        };
        return Some((format!("`{matcher}` is one matcher: the part between `=` and the end is its value"), label));
    }
    if exact && value.split('|').filter(|part| !part.is_empty()).count() > 1 {
        let op = if matcher.op() == Op::Equal { "=~" } else { "!~" };
        let message = format!("`{}` compares with the whole text `{value}`, `|` included", matcher.op());
        return Some((message, format!("write `{name}{op}\"{value}\"` for one of several")));
    }
    severity(validator, matcher)
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
