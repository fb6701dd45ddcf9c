//! What makes two alerts, two events or two lanes the same: fingerprint, dedup key, group.
//!
//! Pure functions on events; who keeps the keys, and for how long, is decided elsewhere.

use sha2::{Digest, Sha256};

use crate::model::{Alert, Event, Labels, SenderKind};

/// The fingerprint that Prometheus and Alertmanager give a label set: FNV-1a (64 bits) over the sorted names and values, the byte 255 after
/// each, as 16 lower-case hex digits. <https://pkg.go.dev/github.com/prometheus/common/model#LabelSet.Fingerprint>
pub fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for (name, value) in labels {
        for part in [name, value] {
            part.bytes().for_each(&mut add);
            add(255);
        }
    }
    format!("{hash:016x}")
}

/// Who sent an event, for lanes and dedup: the sender's kind and name (the credential's name, or `?source=`), and the Grafana organisation
/// when there is one. The sender's address is no part of it: replicas differ in it.
pub fn source(kind: SenderKind, sender: &str, org_id: Option<i64>) -> String {
    match org_id {
        Some(org) => format!("{}:{sender}/{org}", kind.as_str()),
        None if sender.is_empty() => kind.as_str().to_owned(),
        None => format!("{}:{sender}", kind.as_str()),
    }
}

/// The key by which a repeat of an event is recognised: SHA-256 over source, receiver, destination (`""` when the routing table decides,
/// else what `?to=` names), group key, the sorted (fingerprint, status, start) of the alerts, and the notification reason. The order of the
/// alerts, texts, links and the sender's address do not change it.
pub fn dedup_key(event: &Event, destination: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    for text in [&event.source, &event.receiver, destination, &event.group_key, &event.reason] {
        part(text.as_bytes());
    }
    let mut alerts: Vec<_> = event.alerts.iter().map(|a| (a.fingerprint.as_str(), a.status, a.starts_at.map_or(0, |t| t.as_nanosecond()))).collect();
    alerts.sort_unstable();
    for (fingerprint, status, start) in alerts {
        part(fingerprint.as_bytes());
        part(status.as_str().as_bytes());
        part(&start.to_be_bytes());
    }
    hash.finalize().into()
}

/// The group an alert belongs to: its event's group key, or, when the sender has no groups, its alert name.
pub fn lane_group<'a>(event: &'a Event, alert: &'a Alert) -> &'a str {
    if event.group_key.is_empty() { alert.name() } else { &event.group_key }
}

/// The event's alerts by [`lane_group`]: group text and places in `event.alerts`, groups in the order of their first alert.
pub fn lane_parts(event: &Event) -> Vec<(&str, Vec<usize>)> {
    if !event.group_key.is_empty() {
        return vec![(&event.group_key, (0..event.alerts.len()).collect())];
    }
    let mut place = std::collections::HashMap::new();
    let mut parts: Vec<(&str, Vec<usize>)> = Vec::new();
    for (i, alert) in event.alerts.iter().enumerate() {
        let at = *place.entry(alert.name()).or_insert_with(|| {
            parts.push((alert.name(), Vec::new()));
            parts.len() - 1
        });
        parts[at].1.push(i);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Status;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn alert(name: &str, status: Status, second: i64) -> Alert {
        let labels = labels(&[("alertname", name)]);
        Alert { fingerprint: fingerprint(&labels), labels, status, starts_at: jiff::Timestamp::from_second(second).ok(), ..Alert::default() }
    }

    #[test]
    fn the_fingerprint_is_alertmanagers_own() {
        // Both from the body of a real Alertmanager (senders' example payload).
        let first =
            [("alertname", "InstanceDown"), ("group", "production"), ("instance", "localhost:8081"), ("job", "node"), ("severity", "critical")];
        let second = [("alertname", "InstanceDown"), ("group", "canary"), ("instance", "localhost:8082"), ("job", "node"), ("severity", "critical")];
        assert_eq!(fingerprint(&labels(&first)), "f404ecabc8dd5cd7");
        assert_eq!(fingerprint(&labels(&second)), "f8f08d4e32c61a9d");
        assert_eq!(fingerprint(&Labels::new()), "cbf29ce484222325");
        assert_ne!(fingerprint(&labels(&[("a", "bc")])), fingerprint(&labels(&[("ab", "c")])));
    }

    #[test]
    fn the_dedup_key_sees_what_matters_and_nothing_else() {
        let event = Event {
            source: "alertmanager:default".into(),
            receiver: "ops".into(),
            group_key: "{}:{}".into(),
            reason: "first notification".into(),
            alerts: vec![alert("a", Status::Firing, 1), alert("b", Status::Resolved, 2)],
            ..Event::default()
        };
        let key = dedup_key(&event, "");
        let changed = |change: fn(&mut Event)| {
            let mut other = event.clone();
            change(&mut other);
            dedup_key(&other, "") != key
        };
        assert!(!changed(|e| e.alerts.reverse()));
        assert!(!changed(|e| e.external_url = "http://replica-2:9093".into()));
        assert!(!changed(|e| e.message = "other".into()));
        assert!(changed(|e| e.source = "alertmanager:other".into()));
        assert!(changed(|e| e.receiver = "dev".into()));
        assert!(changed(|e| e.group_key = "{}:{x}".into()));
        assert!(changed(|e| e.reason = "repeat interval elapsed".into()));
        assert!(changed(|e| e.alerts[0].status = Status::Resolved));
        assert!(changed(|e| e.alerts[0].starts_at = None));
        assert!(changed(|e| e.alerts.truncate(1)));
        assert!(changed(|e| {
            e.source.push('o');
            e.receiver = "ps".into();
        }));
        assert_ne!(dedup_key(&event, "ops-mail"), key);
    }

    #[test]
    fn alerts_without_a_group_are_grouped_by_name() {
        let mut event =
            Event { alerts: vec![alert("a", Status::Firing, 1), alert("b", Status::Firing, 1), alert("a", Status::Firing, 2)], ..Event::default() };
        assert_eq!(lane_parts(&event), [("a", vec![0, 2]), ("b", vec![1])]);
        assert_eq!(lane_group(&event, &event.alerts[1]), "b");
        event.group_key = "{}:{}".into();
        assert_eq!(lane_parts(&event), [("{}:{}", vec![0, 1, 2])]);
        assert_eq!(lane_group(&event, &event.alerts[1]), "{}:{}");
    }

    #[test]
    fn the_source_names_kind_sender_and_organisation() {
        assert_eq!(source(SenderKind::Alertmanager, "prod", None), "alertmanager:prod");
        assert_eq!(source(SenderKind::Grafana, "prod", Some(3)), "grafana:prod/3");
    }
}
