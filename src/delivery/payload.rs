//! Alerts as Alertmanager itself sends them, for receivers that read its webhook.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{Event, Extra, IncidentFacts, Labels, Payload};
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
        extra: &event.extra,
        incident: (incident.number > 0).then(|| WebhookIncident {
            id: &incident.key,
            number: incident.number,
            version: incident.version,
            state: &incident.state,
        }),
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
    /// What the sender said besides, by its own names.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    extra: &'a Extra,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<WebhookIncident<'a>>,
}

/// Its incident, which Alertmanager does not have: the id of its group, the same on every server of a site and for its next incident (PagerDuty's
/// `dedup_key`), its number, what grows with every change of it, and its state.
#[derive(serde::Serialize)]
struct WebhookIncident<'a> {
    id: &'a str,
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
    #[serde(flatten)]
    grafana: GrafanaAlert<'a>,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    extra: &'a Extra,
}

/// What Grafana says of an alert and Alertmanager does not, in Grafana's words.
#[derive(serde::Serialize)]
struct GrafanaAlert<'a> {
    #[serde(rename = "silenceURL", skip_serializing_if = "str::is_empty")]
    silence_url: &'a str,
    #[serde(rename = "dashboardURL", skip_serializing_if = "str::is_empty")]
    dashboard_url: &'a str,
    #[serde(rename = "panelURL", skip_serializing_if = "str::is_empty")]
    panel_url: &'a str,
    #[serde(rename = "imageURL", skip_serializing_if = "str::is_empty")]
    image_url: &'a str,
    #[serde(rename = "valueString", skip_serializing_if = "str::is_empty")]
    value_string: &'a str,
    #[serde(rename = "ruleUID", skip_serializing_if = "str::is_empty")]
    rule_uid: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    values: &'a BTreeMap<String, f64>,
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
            grafana: GrafanaAlert {
                silence_url: &alert.silence_url,
                dashboard_url: &alert.dashboard_url,
                panel_url: &alert.panel_url,
                image_url: &alert.image_url,
                value_string: &alert.value_string,
                rule_uid: &alert.rule_uid,
                values: &alert.values,
            },
            extra: &alert.extra,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_incident_has_the_id_of_its_group() {
        let event = Event { group_key: "{}:{job=\"db\"}".into(), ..Event::default() };
        let sent = |incident: &IncidentFacts| -> Value { serde_json::from_str(payload(&event, &[], true, 3, incident).unwrap().as_str()).unwrap() };
        let incident = IncidentFacts { number: 1842, version: 7, state: "acked".into(), key: "0f1e2d".into(), buttons: Vec::new() };
        let whole = sent(&incident);
        assert_eq!(whole["incident"], json!({ "id": "0f1e2d", "number": 1842, "version": 7, "state": "acked" }));
        assert_eq!((&whole["groupKey"], &whole["truncatedAlerts"]), (&json!("{}:{job=\"db\"}"), &json!(3)));
        assert_eq!(sent(&IncidentFacts::default()).get("incident"), None, "what is of no incident says nothing of one");
    }
}
