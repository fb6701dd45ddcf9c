//! Words of findings: what is expected somewhere, and what its writer may have meant.

use serde_json::Value as Json;

use super::schema::Alternative;
use super::value_types::ValueTypes;
use crate::config::suggest::listed;
use crate::model::yaml::{Entry, Kind, Path, Resolved, Scalar, Step};
use crate::route::{Matcher, Op};

/// The exact values that are accepted.
pub(super) fn words<'s>(alternatives: &[Alternative<'s>]) -> Vec<&'s Json> {
    alternatives.iter().flat_map(|alternative| alternative.words.iter().copied()).collect()
}

/// What should be there instead.
pub(super) fn expected(accepted: ValueTypes, words: &[&Json]) -> String {
    let only = |kinds: &str| accepted == ValueTypes { null: accepted.null, ..ValueTypes::named(kinds) };
    let known: Vec<String> = words.iter().filter_map(|word| word.as_str()).map(|word| format!("`{word}`")).collect();
    match known.is_empty() {
        true if only("array") => "write it as a list: `[ .. ]`".into(),
        true if only("object") => "write it as a mapping: its keys below it, or in `{ .. }`".into(),
        true => format!("expected {}", accepted.words()),
        false => format!("expected {} or {}", known.join(", "), accepted.words()),
    }
}

/// What to write instead of a word that there was once, beside these.
pub(super) fn former(word: &str, channel_settings: &[&str]) -> Option<&'static str> {
    (word == "api" && channel_settings.contains(&"operate")).then_some(
        "instead of `api` write what its holder needs: `read` (look things up), `operate` (retry, drop, move, mute, send, test), `admin` (reload, backup, everything)",
    )
}

/// How a label chooses channels.
pub(super) const BY_LABEL: &str = "a label chooses among the channels of `teams:`: write `to: { label: team, default: [ops] }`, and each team's channels as `teams: { db: { to: [db-ops] } }`";

/// Whether a place is an item of what a route or a step sends to.
pub(super) fn is_destination(path: &Path) -> bool {
    let mut behind = path.steps().iter().rev();
    is_routed(path) && matches!(behind.next(), Some(Step::Item(_))) && matches!(behind.next(), Some(Step::Key(key)) if key == "to")
}

/// Whether a place is the matchers of something, or one of them.
pub(super) fn is_matchers(path: &Path) -> bool {
    matches!(path.steps(), [.., Step::Key(key)] | [.., Step::Key(key), Step::Item(_)] if key == "matchers")
}

/// A place in a sentence.
pub(super) fn named(path: &Path) -> String {
    if path.steps().is_empty() { "the file".to_owned() } else { format!("`{path}`") }
}

/// Whether a place is in a route or an escalation.
fn is_routed(path: &Path) -> bool {
    matches!(path.steps().first(), Some(Step::Key(key)) if key == "route" || key == "escalations")
}

/// What to write instead of a key that belongs somewhere else than in the mapping at `path`.
pub(super) fn elsewhere(path: &Path, key: &str) -> Option<&'static str> {
    match (path.steps(), key) {
        ([Step::Key(first), _, Step::Item(_)], "mentions") if first == "escalations" => Some(
            "the first message mentions whom its route says: write `mentions: { oncall: db }` beside `escalation: db` on the route, and begin with the step after it",
        ),
        ([Step::Key(only)], "actions" | "digest" | "language" | "max_age" | "max_pages" | "proxy" | "timeout") if only == "defaults" => {
            Some("write it below `channels`: `defaults: { channels: { timeout: 20s } }`")
        }
        ([.., Step::Key(last)], "team" | "teams") if last == "to" && is_routed(path) => Some(BY_LABEL),
        _ => None,
    }
}

/// Where a key belongs that other mappings know, unless it is one of many.
pub(super) fn belongs(key: &str, places: &[String]) -> Option<String> {
    let name = |place: &String| if place.is_empty() { "the top level of the file".to_owned() } else { format!("`{place}`") };
    let names: Vec<String> = places.iter().map(name).collect();
    (1..=3).contains(&names.len()).then(|| format!("`{key}` belongs to {}", names.join(" or ")))
}

/// What of a text looks as if a value took its place, and what to write instead.
pub(super) fn unreplaced<'t>(text: &'t str, path: &Path) -> Option<(&'t str, &'static str)> {
    let variable = variable_in(text).map(|name| (name, "write the value, or `{ env: NAME }` in place of the whole text"));
    // What fills a vendor's template or a preset has values of labels in it.
    let is_filled = path.steps().iter().any(|step| matches!(step, Step::Key(key) if key == "params"));
    let is_ours = is_routed(path) || matches!(path.steps().first(), Some(Step::Key(key)) if key == "channels" && !is_filled);
    variable.or_else(|| label_in(text).filter(|_| is_ours).map(|label| (label, BY_LABEL)))
}

/// `{label.team}` in a text, and not `{{label.team}}` of a template.
fn label_in(text: &str) -> Option<&str> {
    let at = text.find("{label.").filter(|at| !text[..*at].ends_with('{'))?;
    let length = text[at..].find('}')?;
    Some(&text[at..=at + length])
}

/// `${NAME}` in a text, or a text that is `$NAME` and nothing else: as shells and compose files write variables.
pub(super) fn variable_in(text: &str) -> Option<&str> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    if let Some(at) = text.find("${")
        && let Some(length) = text[at..].find('}')
    {
        let name = text[at + 2..at + length].split(":-").next().unwrap_or_default();
        return is_name(name).then(|| &text[at..=at + length]);
    }
    text.strip_prefix('$').filter(|name| is_name(name)).map(|_| text)
}

/// `{ team: db }` as `['team="db"']`, where it can be written so; with [`Op::Regex`] as `['team=~"db"']`.
pub(super) fn matchers_of(entries: &[Entry], op: Op) -> Option<String> {
    let one = |entry: &Entry| match &entry.value.kind {
        Kind::Scalar(scalar) => {
            let matcher = Matcher::new(entry.key.as_str(), op, scalar.text.as_str()).ok()?;
            Some(format!("'{}'", matcher.to_string().replace('\'', "''")))
        }
        _ => None,
    };
    let all: Option<Vec<String>> = entries.iter().map(one).collect();
    all.filter(|all| !all.is_empty()).map(|all| format!("[{}]", all.join(", ")))
}

pub(super) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn is_word(scalar: &Scalar, word: &Json) -> bool {
    match (word, scalar.resolved) {
        (Json::String(word), _) => *word == scalar.text,
        (Json::Bool(truth), Resolved::Bool(found)) => *truth == found,
        (Json::Number(number), Resolved::Integer(found)) => number.as_i64().is_some_and(|number| i128::from(number) == found),
        _ => false,
    }
}

/// The keys that are allowed at a place; the platforms among them by the command that lists them.
pub(super) fn keys(known: &[&str]) -> String {
    let is_platform = |key: &str| crate::channel::platform(key).is_some();
    // One alone is no platform there: `teams`, people who own alerts.
    if known.iter().filter(|key| is_platform(key)).count() < 2 {
        return listed(known.iter().copied());
    }
    format!("one platform (`watchfire platforms` lists them), {}", listed(known.iter().copied().filter(|key| !is_platform(key))))
}
