//! One alert as templates see it.

use serde_json::{Map, Value, json};

use crate::model::{Labels, SeverityScale};

use super::super::{FieldUsage, words};
use super::describe::describe;
use super::links::{Addresses, kind_name};
use super::times::Times;
use super::{Entry, EntryStatus, ViewInput, color, emoji, repeats, shorten};

/// How many labels are shown beside the named ones when values are being shortened.
fn label_limit(max_value: usize) -> usize {
    match max_value {
        0..=80 => 5,
        81..=200 => 10,
        201..=500 => 20,
        _ => usize::MAX,
    }
}

/// A map with its values shortened.
pub(super) fn map(labels: &Labels, max_value: usize) -> Value {
    pairs(labels.iter(), max_value)
}

fn pairs<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>, max_value: usize) -> Value {
    Value::Object(labels.map(|(name, value)| (shorten(name, max_value).into_owned(), shorten(value, max_value).into())).collect())
}

/// Labels that name the alert, its severity or its place, or that are of no use to a reader, are not listed again.
fn is_extra(name: &str, shown: &[&str], scale: &SeverityScale) -> bool {
    !(name == "alertname" || name == scale.label || name.starts_with("__") || shown.contains(&name))
}

/// The description, and below it what was written in place of links: they are shown on every platform that shows the description.
fn description(text: &str, addresses: &Addresses, input: &ViewInput<'_>) -> String {
    let mut lines = addresses.lines(input.language);
    if !text.is_empty() {
        lines.insert(0, shorten(text, input.max_value).into_owned());
    }
    lines.join("\n")
}

/// Fields that are made of an alert's links.
const ADDRESS_FIELDS: [&str; 7] = ["links", "runbook_url", "dashboard_url", "panel_url", "silence_url", "generator_url", "image_url"];

/// One alert as an object; its fields are listed in `check/shape.rs`.
pub(super) fn object(entry: &Entry<'_>, number: usize, input: &ViewInput<'_>, times: &Times<'_>, usage: &FieldUsage) -> Value {
    let Entry { alert, event, status } = *entry;
    let max = input.max_value;
    let severity = input.scale.of(alert);
    let described = describe(alert, input.language);
    let addresses = if usage.any(&ADDRESS_FIELDS) || usage.has("description") { Addresses::of(alert, event, max) } else { Addresses::default() };
    let links = || {
        let links = addresses.links(input.language, status == EntryStatus::Firing);
        links.into_iter().map(|link| json!({ "kind": kind_name(link.kind), "label": link.label, "url": link.url })).collect::<Vec<_>>()
    };
    let own = |name: &str| Some(alert.annotation(name).trim()).filter(|text| !repeats(input, text)).unwrap_or_default();
    let annotation = |name: &str| Value::from(shorten(own(name), max));
    let text = ["description", "message", "summary"].iter().map(|name| own(name)).find(|text| !text.is_empty());
    let ended = alert.ends_at.filter(|_| status != EntryStatus::Firing);
    let extra = alert.labels.iter().filter(|(name, _)| is_extra(name, &described.shown, input.scale)).take(label_limit(max));

    let mut out = Map::with_capacity(24);
    macro_rules! put {
        ($name:literal, $value:expr $(,)?) => {
            if usage.has($name) {
                out.insert($name.to_owned(), $value);
            }
        };
    }
    // In each, so that an alert none of whose fields is read is not taken for nothing (an empty object is false).
    out.insert("number".to_owned(), number.into());
    put!("title", shorten(&described.title(), max).into());
    put!("name", shorten(&described.name, max).into());
    put!("instance", shorten(alert.label("instance"), max).into());
    put!("where", shorten(&described.place, max).into());
    put!("status", if status == EntryStatus::Firing { "firing" } else { "resolved" }.into());
    put!("status_word", words::status(input.language, status).into());
    put!("firing", (status == EntryStatus::Firing).into());
    put!("resolved", (status != EntryStatus::Firing).into());
    put!("came_and_went", (status == EntryStatus::CameAndWent).into());
    put!("severity", severity.as_str().into());
    put!("severity_word", words::severity(input.language, severity).into());
    put!("emoji", emoji(severity, status).into());
    put!("color", color(severity, status).into());
    put!("summary", annotation("summary"));
    put!("description", description(own("description"), &addresses, input).into());
    put!("message", annotation("message"));
    put!("text", shorten(text.unwrap_or_default(), max).into());
    put!("value", shorten(&described.value, max).into());
    put!("values", Value::Object(alert.values.iter().map(|(name, value)| (name.clone(), json!(value))).collect()));
    put!("value_string", shorten(&alert.value_string, max).into());
    put!("labels", map(&alert.labels, max));
    put!("extra_labels", pairs(extra, max));
    put!("annotations", map(&alert.annotations, max));
    put!("since", alert.starts_at.map(|at| times.short(at)).unwrap_or_default().into());
    put!("since_full", alert.starts_at.map(|at| times.full(at)).unwrap_or_default().into());
    put!("starts_at", alert.starts_at.map(|at| at.to_string()).unwrap_or_default().into());
    put!("ended", ended.map(|at| times.short(at)).unwrap_or_default().into());
    put!("ended_full", ended.map(|at| times.full(at)).unwrap_or_default().into());
    put!("ends_at", ended.map(|at| at.to_string()).unwrap_or_default().into());
    put!("duration", times.lasted(alert.starts_at, ended).into());
    put!("links", links().into());
    put!("runbook_url", addresses.runbook.into());
    put!("dashboard_url", addresses.dashboard.into());
    put!("panel_url", addresses.panel.into());
    put!("silence_url", addresses.silence.into());
    put!("generator_url", addresses.source.into());
    put!("image_url", addresses.image.into());
    put!("fingerprint", alert.fingerprint.as_str().into());
    put!("rule_uid", alert.rule_uid.as_str().into());
    Value::Object(out)
}
