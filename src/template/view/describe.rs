//! What names an alert, from its labels and annotations.

use crate::model::{Alert, Language};

use super::super::words;
use super::shorten;

/// What names an alert: its name, where it happens, its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described<'a> {
    /// Its name; the summary's first line or a built-in word when it has none.
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
const MACHINE_LABELS: [&str; 5] = ["instance", "node", "host", "hostname", "device"];
/// The first of these names the service, when neither a machine nor a pod is named.
const SERVICE_LABELS: [&str; 6] = ["service", "deployment", "statefulset", "daemonset", "app", "job"];

/// Reads what names an alert.
pub fn describe(alert: &Alert, language: Language) -> Described<'_> {
    let mut shown = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    let mut first = |names: &[&'static str]| {
        names.iter().copied().find(|name| !alert.label(name).is_empty()).inspect(|name| shown.push(*name)).map(|name| alert.label(name))
    };
    if let Some(machine) = first(&MACHINE_LABELS) {
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
        parts.extend(first(&SERVICE_LABELS).map(str::to_owned));
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
