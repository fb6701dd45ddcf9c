//! One alert as templates see it.

use serde_json::{Map, Value, json};

use crate::model::{Alert, Labels, Language, SeverityScale};

use super::super::{FieldUsage, words};
use super::links::{Addresses, kind_name};
use super::times::Times;
use super::{Entry, EntryStatus, ViewInput, color, emoji, repeats, shorten};

/// What names an alert: its name, where it happens, its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described<'a> {
    /// Its name; the summary's first line or a word of the house when it has none.
    pub name: String,
    /// Where it happens, from the labels that say so; empty when none does.
    pub place: String,
    /// Its current value as text; empty when unknown.
    pub value: String,
    /// Labels that `place` already shows.
    pub shown: Vec<&'a str>,
}

impl Described<'_> {
    /// Name and place in one line.
    pub fn title(&self) -> String {
        if self.place.is_empty() { self.name.clone() } else { format!("{} · {}", self.name, self.place) }
    }
}

/// The first of these labels names the machine.
const MACHINE: [&str; 5] = ["instance", "node", "host", "hostname", "device"];
/// The first of these names the service, when neither a machine nor a pod is named.
const SERVICE: [&str; 6] = ["service", "deployment", "statefulset", "daemonset", "app", "job"];

/// Reads what names an alert.
pub fn describe(alert: &Alert, language: Language) -> Described<'_> {
    let mut shown = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    let mut first = |names: &[&'static str]| {
        names.iter().copied().find(|name| !alert.label(name).is_empty()).inspect(|name| shown.push(*name)).map(|name| alert.label(name))
    };
    if let Some(machine) = first(&MACHINE) {
        parts.push(machine.to_owned());
    }
    let namespace = first(&["namespace"]);
    let pod = first(&["pod"]).filter(|pod| parts.first().is_none_or(|machine| machine != pod));
    match (namespace, pod) {
        (Some(namespace), Some(pod)) => parts.push(format!("{namespace}/{pod}")),
        (Some(one), None) | (None, Some(one)) => parts.push(one.to_owned()),
        (None, None) => {}
    }
    if parts.is_empty() || (pod.is_none() && namespace.is_some() && parts.len() == 1) {
        parts.extend(first(&SERVICE).map(str::to_owned));
    }
    let name = [alert.name(), alert.annotation("summary"), alert.annotation("message")]
        .iter()
        .filter_map(|text| text.trim().lines().next())
        .find(|line| !line.is_empty())
        .map_or_else(|| words::own(language, "no_name").to_owned(), |line| shorten(line, 120).into_owned());
    Described { name, place: parts.join(" · "), value: value_of(alert), shown }
}

fn value_of(alert: &Alert) -> String {
    let told = ["value", "current_value"].iter().map(|name| alert.annotation(name).trim()).find(|value| !value.is_empty());
    if let Some(told) = told {
        return told.to_owned();
    }
    match alert.values.len() {
        1 => alert.values.values().map(|value| number(*value)).collect(),
        _ => alert.values.iter().map(|(name, value)| format!("{name}={}", number(*value))).collect::<Vec<_>>().join(", "),
    }
}

/// A number as a person writes it: at most four decimals, no trailing zeros, powers of ten only where needed.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:e}");
    }
    let text = if size >= 1000.0 { format!("{value:.2}") } else { format!("{value:.4}") };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

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
const ADDRESSES: [&str; 7] = ["links", "runbook_url", "dashboard_url", "panel_url", "silence_url", "generator_url", "image_url"];

/// One alert as an object; its fields are listed in `check/shape.rs`.
pub(super) fn object(entry: &Entry<'_>, number: usize, input: &ViewInput<'_>, times: &Times<'_>, usage: &FieldUsage) -> Value {
    let Entry { alert, event, status } = *entry;
    let max = input.max_value;
    let severity = input.scale.of(alert);
    let described = describe(alert, input.language);
    let addresses = if usage.any(&ADDRESSES) || usage.has("description") { Addresses::of(alert, event, max) } else { Addresses::default() };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(labels: &[(&str, &str)]) -> Alert {
        Alert { labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), ..Alert::default() }
    }

    #[test]
    fn the_place_is_read_from_the_labels_that_say_it() {
        let place = |labels: &[(&str, &str)]| describe(&alert(labels), Language::En).title();
        assert_eq!(place(&[("alertname", "A"), ("instance", "db-1:9100"), ("job", "node")]), "A · db-1:9100");
        assert_eq!(place(&[("alertname", "A"), ("namespace", "shop"), ("pod", "cart-0"), ("job", "x")]), "A · shop/cart-0");
        assert_eq!(place(&[("alertname", "A"), ("namespace", "shop"), ("deployment", "cart")]), "A · shop · cart");
        assert_eq!(place(&[("alertname", "A"), ("job", "api")]), "A · api");
        assert_eq!(place(&[]), "Unnamed alert");
    }

    #[test]
    fn numbers_read_like_numbers() {
        for (value, text) in
            [(22.0813, "22.0813"), (0.5, "0.5"), (3.0, "3"), (0.0, "0"), (123_456.789, "123456.79"), (-1.25, "-1.25"), (1e-9, "1e-9"), (1e20, "1e20")]
        {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn values_come_from_the_annotation_or_from_grafana() {
        let mut told = alert(&[]);
        told.values = [("B".to_owned(), 22.1), ("C".to_owned(), 1.0)].into();
        assert_eq!(value_of(&told), "B=22.1, C=1");
        told.values.remove("C");
        assert_eq!(value_of(&told), "22.1");
        told.annotations.insert("value".into(), "97%".into());
        assert_eq!(value_of(&told), "97%");
    }

    #[test]
    fn shortening_keeps_whole_characters() {
        assert_eq!(shorten("告警告警", 4), "告警告警");
        assert_eq!(shorten("告警告警", 3), "告警…");
        assert_eq!(shorten("abc", 0), "…");
        assert_eq!(shorten("", 0), "");
    }
}
