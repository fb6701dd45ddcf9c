//! What an event says of the incidents that it is about.

use crate::delivery::plan::Plan;
use crate::ingest::short_fingerprint;
use crate::model::{Alert, Event, SenderKind, Status, UnixMs, title};
use crate::store::{DeliveryIncident, IncidentReport, Mode, NewDelivery, ReportedAlert, State, group_labels, group_of};

/// One report for each incident that the deliveries of an event belong to; names it in each of them.
pub fn reports(event: &Event, deliveries: &mut [NewDelivery], plan: &Plan) -> Vec<IncidentReport> {
    if !has_incidents(event) {
        return Vec::new();
    }
    let mut reports: Vec<Gathered> = Vec::new();
    for delivery in deliveries.iter_mut().filter(|delivery| delivery.mode == Mode::Queued) {
        let key = group_of(&delivery.lane_key);
        let place = reports.iter().position(|report| report.key == key).unwrap_or_else(|| {
            reports.push(Gathered { key: key.to_owned(), alerts: Vec::new(), opens: false });
            reports.len() - 1
        });
        reports[place].alerts.extend(&delivery.target.alerts);
        reports[place].opens |= delivery.state != State::Skipped;
        delivery.incident = DeliveryIncident::Reported(place);
    }
    // On one channel for several audiences, each is notified of everything: what one of them knows says nothing about the others.
    for place in 0..reports.len() {
        let of = |delivery: &NewDelivery| delivery.incident == DeliveryIncident::Reported(place);
        let mine: Vec<(String, String)> = deliveries.iter().filter(|d| of(d)).map(|d| (d.channel.clone(), d.lane_key.clone())).collect();
        let shared = |channel: &str| mine.iter().any(|(one, key)| one == channel && mine.iter().any(|(other, with)| other == one && with != key));
        for delivery in deliveries.iter_mut().filter(|delivery| of(delivery)) {
            if shared(&delivery.channel) {
                delivery.incident = DeliveryIncident::None;
            }
        }
    }
    reports.into_iter().map(|report| report.finish(event, plan)).collect()
}

/// Whether alerts of this event are incidents: a test that a person started, and a text that one sends, are about nothing that goes on.
fn has_incidents(event: &Event) -> bool {
    match event.kind {
        // Nobody says that it is over, and nothing of its text may be shortened.
        SenderKind::Direct => false,
        // The button of a contact point makes another group key each time, and never resolves it.
        SenderKind::Grafana | SenderKind::GrafanaLegacy => {
            !event.alerts.iter().all(|alert| alert.name() == "TestAlert" && alert.label("instance") == "Grafana")
        }
        _ => true,
    }
}

struct Gathered {
    key: String,
    alerts: Vec<u32>,
    opens: bool,
}

impl Gathered {
    fn finish(mut self, event: &Event, plan: &Plan) -> IncidentReport {
        self.alerts.sort_unstable();
        self.alerts.dedup();
        let shown: Vec<&Alert> = self.alerts.iter().filter_map(|index| event.alerts.get(*index as usize)).collect();
        let reported = |(index, alert): (&u32, &&Alert)| ReportedAlert {
            fingerprint: short_fingerprint(&alert.fingerprint),
            start: alert.starts_at.map(UnixMs::from),
            fires: alert.status == Status::Firing,
            rank: plan.scale.of(alert).rank() as u8,
            index: *index,
        };
        let group = if event.group_key.is_empty() { shown.first().map_or("", |alert| alert.name()) } else { &event.group_key };
        IncidentReport {
            source: event.source.clone(),
            receiver: event.receiver.clone(),
            group_key: group.to_owned(),
            labels: labels(event, group, &shown),
            title: title(&shown),
            // Alerts that no route takes anywhere are not looked at: a group is whole when all of it that goes anywhere is there.
            alerts: self.alerts.iter().zip(&shown).map(reported).collect(),
            whole: event.is_whole(),
            all_resolved: event.status == Status::Resolved && event.reason == crate::model::ALL_RESOLVED,
            left_out: event.truncated > 0 && event.status == Status::Firing,
            opens: self.opens,
            reopen_within: plan.incidents.reopen_within.as_millis() as i64,
            closed_for: plan.incidents.stale_after.as_millis() as i64,
            key: self.key,
        }
    }
}

/// The labels that a group is found by where its key does not have them: those that its sender groups by, else those that all of its alerts share.
fn labels(event: &Event, group: &str, shown: &[&Alert]) -> String {
    let grouped = event.group_labels.iter().filter(|(_, value)| !value.is_empty());
    let mut found: Vec<(&str, &str)> = grouped.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if found.is_empty() {
        let Some((first, others)) = shown.split_first() else { return String::new() };
        found = first.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for other in others {
            found.retain(|(name, value)| other.label(name) == *value);
        }
    }
    let text = group_labels(found.into_iter());
    if group.ends_with(&text) { String::new() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::{alert, event};

    #[test]
    fn tests_and_texts_are_no_incidents() {
        let test =
            Alert { labels: [("alertname", "TestAlert"), ("instance", "Grafana")].map(|(k, v)| (k.into(), v.into())).into(), ..Alert::default() };
        let of = |kind, alerts: Vec<Alert>| has_incidents(&Event { kind, ..event(alerts) });
        assert!(!of(SenderKind::Grafana, vec![test.clone()]));
        assert!(of(SenderKind::Grafana, vec![test.clone(), alert("a", "info", Status::Firing)]));
        assert!(of(SenderKind::Alertmanager, vec![test]));
        assert!(!of(SenderKind::Direct, vec![alert("a", "info", Status::Firing)]));
    }
    #[test]
    fn a_group_whose_key_has_no_labels_is_found_by_those_of_its_alerts() {
        let of =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<crate::model::Labels>();
        let [one, two] = ["a", "b"].map(|name| Alert { labels: of(&[("alertname", name), ("team", "db")]), ..Alert::default() });
        let grouped = Event { group_labels: of(&[("alertname", "a"), ("team", "db")]), ..Event::default() };
        let shown = [&one, &two];
        assert_eq!(labels(&grouped, "{}:{alertname=\"a\", team=\"db\"}", &shown), "", "Alertmanager's key has them");
        assert_eq!(labels(&grouped, "17", &shown), "{alertname=\"a\", team=\"db\"}");
        assert_eq!(labels(&Event::default(), "17", &shown), "{team=\"db\"}", "what they share");
        assert_eq!(labels(&Event::default(), "a", &shown[..1]), "{alertname=\"a\", team=\"db\"}");
        assert_eq!(labels(&Event::default(), "", &[]), "");
    }
}
