//! One alert as templates see it.

use serde_json::{Map, Value, json};

use crate::model::{Alert, Extra, Labels};

use super::super::{FieldUsage, words};
use super::group::{Line, MAX_LINE, sentence};
use super::headline::severity_word;
use super::links::{Addresses, kind_name};
use super::{Entry, EntryStatus, Scene, ViewInput, annotations, color, emoji, labels, prose, reflow, repeats, shorten};

/// A map with its values shortened.
pub(super) fn map(labels: &Labels, max_value: usize) -> Value {
    pairs(labels.iter(), max_value)
}

/// What a sender says besides, with its texts shortened.
pub(super) fn extra(members: &Extra, max_value: usize) -> Value {
    fn shortened(value: &Value, max: usize) -> Value {
        match value {
            Value::String(text) => shorten(text, max).into(),
            Value::Array(items) => items.iter().map(|item| shortened(item, max)).collect(),
            Value::Object(members) => extra(members, max),
            other => other.clone(),
        }
    }
    Value::Object(members.iter().map(|(name, value)| (name.clone(), shortened(value, max_value))).collect())
}

fn pairs<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>, max_value: usize) -> Value {
    Value::Object(labels.map(|(name, value)| (shorten(name, max_value).into_owned(), shorten(value, max_value).into())).collect())
}

/// Names and values in the order they are listed.
pub(super) fn listed(pairs: Vec<(String, String)>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, value)| (name, value.into())).collect())
}

/// What an alert says beside its summary, in running text, and below it what was written in place of links.
fn body(alert: &Alert, texts: &[&str], addresses: &Addresses<'_>, input: &ViewInput<'_>) -> String {
    let summary = alert.annotation("summary").trim();
    let mut said: Vec<String> = Vec::new();
    for text in texts {
        if !text.is_empty() && *text != summary && !said.iter().any(|one| one == text) {
            said.push(reflow(text));
        }
    }
    let whole = said.join("\n");
    // The page behind the message has the whole text; without one it is here.
    let shown = if input.details_url.is_empty() { None } else { prose::fold(&whole) };
    let mut lines = addresses.lines(input.language);
    let text = shown.unwrap_or(whole);
    if !text.is_empty() {
        lines.insert(0, shorten(&text, input.max_value).into_owned());
    }
    lines.join("\n")
}

/// A status as templates compare it.
pub(super) fn status_name(status: EntryStatus) -> &'static str {
    match status {
        EntryStatus::Firing => "firing",
        EntryStatus::Unreported => "unreported",
        EntryStatus::CameAndWent | EntryStatus::Resolved => "resolved",
    }
}

/// Fields of which an alert's line is made.
const LINE_FIELDS: [&str; 6] = ["line_place", "line_text", "line_value", "line_labels", "line_runbook", "line_body"];

/// One alert as an object, by its place in `all`; its fields are listed in `check/shape.rs`.
pub(super) fn object(at: usize, number: usize, input: &Scene<'_>, usage: &FieldUsage) -> Value {
    let Entry { alert, status, .. } = input.all[at];
    let (described, addresses, times) = (input.described(at), input.addresses(at), input.times());
    let max = input.max_value;
    let severity = input.scale.of(alert);
    let links = || {
        let links = addresses.links(input.language, status == EntryStatus::Firing);
        links.into_iter().map(|link| json!({ "kind": kind_name(link.kind), "label": link.label, "url": link.url })).collect::<Vec<_>>()
    };
    let own = |name: &str| Some(alert.annotation(name).trim()).filter(|text| !repeats(input, text)).unwrap_or_default();
    let annotation = |name: &str| Value::from(shorten(own(name), max));
    let text = ["description", "message", "summary"].iter().map(|name| own(name)).find(|text| !text.is_empty());
    let ended = alert.ends_at.filter(|_| status.is_over());
    let said: Vec<&str> = described.place.shown.iter().chain(described.named_by).copied().collect();
    // A description that says the summary again says nothing.
    let description = || Some(own("description")).filter(|text| *text != own("summary")).map(reflow).unwrap_or_default();
    let line = match input.group() {
        _ if !usage.any(&LINE_FIELDS) => Line::default(),
        Some(group) => group.line(alert, status, described, if usage.has("line_runbook") { addresses.runbook() } else { "" }, input),
        None => {
            let text = if status == EntryStatus::Firing { reflow(sentence(alert)) } else { String::new() };
            Line { place: described.place.whole(), text, ..Line::default() }
        }
    };
    let most = if input.details_url.is_empty() { max } else { max.min(MAX_LINE) };
    let was = || {
        let what = ["summary", "message", "description"].iter().map(|name| own(name)).find(|text| !text.is_empty());
        let what = what.and_then(|text| text.lines().next()).unwrap_or_default();
        let what = if what.is_empty() { String::new() } else { words::filled(input.language, "was", &[("what", &shorten(what, most))]) };
        [what, times.period(alert.starts_at, ended)].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" · ")
    };

    let mut out = Map::with_capacity(32);
    macro_rules! put {
        ($name:literal, $value:expr $(,)?) => {
            if usage.has($name) {
                out.insert($name.to_owned(), $value);
            }
        };
    }
    // In each, so that an alert none of whose fields is read is not taken for nothing (an empty object is false).
    out.insert("number".to_owned(), number.into());
    put!("title", shorten(&described.title(sentence(alert)), max).into());
    put!("name", shorten(&described.name, max).into());
    put!("instance", shorten(alert.label("instance"), max).into());
    put!("where", shorten(&described.place.full, max).into());
    put!("copies", described.place.copies(sentence(alert)).into_iter().map(|text| Value::from(shorten(text, max))).collect::<Vec<_>>().into());
    put!("place", shorten(&described.place.whole(), max).into());
    put!("status", status_name(status).into());
    put!("status_word", words::status(input.language, status).into());
    put!("firing", (status == EntryStatus::Firing).into());
    put!("resolved", status.is_over().into());
    put!("unreported", (status == EntryStatus::Unreported).into());
    put!("came_and_went", (status == EntryStatus::CameAndWent).into());
    put!("severity", severity.as_str().into());
    put!("severity_word", severity_word(alert, input).into());
    put!("emoji", emoji(severity, status).into());
    put!("color", color(severity, status).into());
    put!("summary", annotation("summary"));
    put!("description", shorten(&description(), max).into());
    put!("message", annotation("message"));
    put!("body", body(alert, &[own("description"), own("message")], addresses, input).into());
    put!("unlinked", addresses.lines(input.language).into());
    put!("was", was().into());
    put!("text", shorten(text.unwrap_or_default(), max).into());
    put!("value", shorten(&described.value, max).into());
    put!("values", Value::Object(alert.values.iter().map(|(name, value)| (name.clone(), json!(value))).collect()));
    put!("value_string", shorten(&alert.value_string, max).into());
    put!("labels", map(&alert.labels, max));
    let folded =
        |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, value)| (name, prose::folded(value, input.details_url))).collect::<Vec<_>>();
    put!("extra_labels", listed(folded(labels(alert, &said, input))));
    put!("extra_annotations", listed(folded(annotations(alert, input))));
    put!("line_place", shorten(&line.place, max).into());
    put!("line_text", shorten(&line.text, most).into());
    put!("line_body", shorten(&line.body, max).into());
    let line_value = if status == EntryStatus::Firing && !line.text.contains(&described.value) { described.value.as_str() } else { "" };
    put!("line_value", shorten(line_value, max).into());
    let differs =
        line.own.into_iter().map(|(name, value)| (name, shorten(&value.split_whitespace().collect::<Vec<_>>().join(" "), most).into_owned()));
    put!("line_labels", listed(differs.collect()));
    put!("line_runbook", line.runbook.into());
    put!("annotations", map(&alert.annotations, max));
    put!("since", alert.starts_at.map(|at| times.short(at)).unwrap_or_default().into());
    put!("since_full", alert.starts_at.map(|at| times.full(at)).unwrap_or_default().into());
    put!("starts_at", alert.starts_at.map(|at| at.to_string()).unwrap_or_default().into());
    put!("period", times.period(alert.starts_at, ended).into());
    put!("ended", ended.map(|at| times.short(at)).unwrap_or_default().into());
    put!("ended_full", ended.map(|at| times.full(at)).unwrap_or_default().into());
    put!("ends_at", ended.map(|at| at.to_string()).unwrap_or_default().into());
    put!("duration", times.lasted_of(alert, status).into());
    put!("links", links().into());
    put!("runbook_url", addresses.runbook().into());
    put!("dashboard_url", addresses.dashboard().into());
    put!("panel_url", addresses.panel().into());
    put!("silence_url", addresses.silence().into());
    put!("generator_url", addresses.source().into());
    put!("image_url", addresses.image().into());
    put!("fingerprint", alert.fingerprint.as_str().into());
    put!("rule_uid", alert.rule_uid.as_str().into());
    put!("extra", extra(&alert.extra, max));
    Value::Object(out)
}
