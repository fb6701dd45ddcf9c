//! Alerts as Alertmanager itself sends them, for receivers that read its webhook.

use jiff::Timestamp;

use crate::model::{Event, IncidentFacts, Labels, Payload};
use crate::template::Entry;

/// These alerts in Alertmanager's version 4 (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>), under the event's group,
/// and the incident that they belong to.
pub fn payload(event: &Event, entries: &[Entry<'_>], firing: bool, truncated: u64, incident: &IncidentFacts) -> Option<Payload> {
    Payload::of(&Webhook {
        version: "4",
        group_key: &event.group_key,
        truncated_alerts: truncated,
        status: if firing { "firing" } else { "resolved" },
        receiver: &event.receiver,
        group_labels: &event.group_labels,
        common_labels: &event.common_labels,
        common_annotations: &event.common_annotations,
        external_url: &event.external_url,
        alerts: entries.iter().map(WebhookAlert::of).collect(),
        incident: (incident.number > 0).then(|| WebhookIncident { number: incident.number, version: incident.version, state: &incident.state }),
    })
}

/// A notification in Alertmanager's words.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Webhook<'a> {
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: u64,
    status: &'static str,
    receiver: &'a str,
    group_labels: &'a Labels,
    common_labels: &'a Labels,
    common_annotations: &'a Labels,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<WebhookAlert<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<WebhookIncident<'a>>,
}

/// Its incident, which Alertmanager does not have: its number, what grows with every change of it, and its state.
#[derive(serde::Serialize)]
struct WebhookIncident<'a> {
    number: i64,
    version: i64,
    state: &'a str,
}

/// One of its alerts.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct WebhookAlert<'a> {
    status: &'static str,
    labels: &'a Labels,
    annotations: &'a Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: &'a str,
}

impl<'a> WebhookAlert<'a> {
    fn of(entry: &Entry<'a>) -> Self {
        // Go's zero time where there is none.
        let time = |at: Option<Timestamp>| at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |at| at.to_string());
        let alert = entry.alert;
        Self {
            // Alertmanager's two words: what is not reported any more was not resolved.
            status: if entry.status.is_over() { "resolved" } else { "firing" },
            labels: &alert.labels,
            annotations: &alert.annotations,
            starts_at: time(alert.starts_at),
            ends_at: time(alert.ends_at),
            generator_url: &alert.generator_url,
            fingerprint: &alert.fingerprint,
        }
    }
}
