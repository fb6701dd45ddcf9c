//! An event that can be shown to others: what shows who and where is replaced, what the routing depends on is kept.

use std::collections::HashMap;

use crate::model::{Event, Labels};

/// Labels whose values say what kind of alert it is, not whose.
const KEPT_LABELS: &[&str] = &["alertname", "severity", "priority", "level", "job", "alertstate"];

/// Replaces values of labels and annotations, addresses, and texts that a sender rendered. One value becomes the same word everywhere, so that what was
/// grouped stays grouped; times, states and names of labels are kept.
pub fn anonymize(event: &Event) -> Event {
    let mut words = Words::default();
    let mut event = event.clone();
    event.source = event.source.split_once(':').map_or_else(|| "source".to_owned(), |(kind, _)| format!("{kind}:source"));
    event.receiver = words.word("receiver", &event.receiver);
    event.group_key = words.word("group", &event.group_key);
    event.trace.clear();
    event.extra.clear();
    for labels in [&mut event.group_labels, &mut event.common_labels, &mut event.common_annotations, &mut event.route_labels] {
        words.labels(labels);
    }
    for text in [&mut event.title, &mut event.message, &mut event.reason] {
        *text = words.word("text", text);
    }
    event.external_url = address(&event.external_url);
    for alert in &mut event.alerts {
        words.labels(&mut alert.labels);
        words.labels(&mut alert.annotations);
        alert.extra.clear();
        alert.value_string = words.word("value", &alert.value_string);
        alert.rule_uid = words.word("rule", &alert.rule_uid);
        for url in [&mut alert.generator_url, &mut alert.silence_url, &mut alert.dashboard_url, &mut alert.panel_url, &mut alert.image_url] {
            *url = address(url);
        }
    }
    event
}

fn address(url: &str) -> String {
    if url.is_empty() { String::new() } else { "https://example.com/".to_owned() }
}

/// The words that replace values, numbered by name: `instance-1`.
#[derive(Default)]
struct Words(HashMap<(String, String), usize>, HashMap<String, usize>);

impl Words {
    fn word(&mut self, name: &str, value: &str) -> String {
        if value.is_empty() {
            return String::new();
        }
        if value.starts_with("http://") || value.starts_with("https://") {
            return address(value);
        }
        let count = self.1.entry(name.to_owned()).or_default();
        let number = *self.0.entry((name.to_owned(), value.to_owned())).or_insert_with(|| {
            *count += 1;
            *count
        });
        format!("{name}-{number}")
    }

    fn labels(&mut self, labels: &mut Labels) {
        for (name, value) in labels.iter_mut().filter(|(name, _)| !KEPT_LABELS.contains(&name.as_str())) {
            *value = self.word(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Alert;

    #[test]
    fn nothing_that_tells_whose_it_is_remains_and_groups_stay_groups() {
        let alert = |instance: &str| Alert {
            labels: [("alertname", "DiskFull"), ("severity", "critical"), ("instance", instance), ("team", "secret-team")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            annotations: [("summary".to_owned(), "secret-host is full".to_owned()), ("runbook_url".to_owned(), "https://secret.corp/x".to_owned())]
                .into(),
            generator_url: "http://secret-prometheus:9090/graph".into(),
            fingerprint: "f".into(),
            ..Alert::default()
        };
        let event = Event {
            source: "alertmanager:secret-dc".into(),
            receiver: "secret-receiver".into(),
            group_key: "{}:{team=\"secret-team\"}".into(),
            external_url: "http://secret-am:9093".into(),
            trace: "00-secret".into(),
            alerts: vec![alert("secret-db-1"), alert("secret-db-2"), alert("secret-db-1")],
            ..Event::default()
        };
        let clean = anonymize(&event);
        assert!(!format!("{clean:?}").contains("secret"), "{clean:?}");
        let instances: Vec<&str> = clean.alerts.iter().map(|alert| alert.label("instance")).collect();
        assert_eq!(instances, ["instance-1", "instance-2", "instance-1"]);
        assert_eq!(
            (clean.alerts[0].name(), clean.alerts[0].label("severity"), clean.source.as_str()),
            ("DiskFull", "critical", "alertmanager:source")
        );
        assert_eq!(clean.alerts[0].annotation("runbook_url"), "https://example.com/");
    }
}
