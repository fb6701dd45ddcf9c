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

/// Eight bytes of a fingerprint: FNV-1a over its text.
pub fn short_fingerprint(fingerprint: &str) -> u64 {
    fingerprint.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
/// else what `?to=` names), group key, the notification reason, how many alerts were left out, a text that is the sender's own, and of each alert
/// its fingerprint, status, start, labels and annotations. The order of the alerts, links, measured values, ends and the sender's address do not
/// change it: replicas of one sender differ in them.
///
/// A repeat counts only while its key is that of the **newest** event in the lanes that it would enter (the store decides that), so what somebody
/// was sent last is never swallowed as old news. Of two replicas that send everything twice, the second copy of the newest notification is the
/// duplicate. When copies overtake each other (am-1 fires, am-1 resolves, then am-2's late copy of the firing, then its resolved one), each differs
/// from the newest and is delivered: the last one wins, because a late copy looks like an alert that one replica still sees firing, and
/// because replicas follow the same rule. Alertmanager's replicas share one log of notifications in which the newest entry counts: after the late
/// copy they agree that people were notified of "firing", and send "resolved" once more. Swallowing that one as known would leave a false last word for
/// ever; a false one that is put right soon is the lesser evil.
pub fn dedup_key(event: &Event, destination: &str) -> [u8; 32] {
    let mut hash = Parts::default();
    // Grafana's own text is rendered from its alerts, with the values that each replica measured by itself.
    let own = if event.kind == SenderKind::Grafana { ["", ""] } else { [event.title.as_str(), event.message.as_str()] };
    for text in [&event.source, &event.receiver, destination, &event.group_key, &event.reason].into_iter().chain(own) {
        hash.add(text.as_bytes());
    }
    hash.add(&event.truncated.to_be_bytes());
    let mut alerts: Vec<[u8; 32]> = event.alerts.iter().map(alert_key).collect();
    alerts.sort_unstable();
    alerts.iter().for_each(|alert| hash.add(alert));
    hash.0.finalize().into()
}

fn alert_key(alert: &Alert) -> [u8; 32] {
    let mut hash = Parts::default();
    hash.add(alert.fingerprint.as_bytes());
    hash.add(alert.status.as_str().as_bytes());
    hash.add(&alert.starts_at.map_or(0, |t| t.as_nanosecond()).to_be_bytes());
    for set in [&alert.labels, &alert.annotations] {
        hash.add(&(set.len() as u64).to_be_bytes());
        for text in set.iter().flat_map(|(name, value)| [name, value]) {
            hash.add(text.as_bytes());
        }
    }
    hash.0.finalize().into()
}

/// A hash over parts, each with its length, so that no two lists of parts hash alike.
#[derive(Default)]
struct Parts(Sha256);

impl Parts {
    fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }
}

/// The group an alert belongs to: its event's group key, or, when the sender has no groups, its alert name; its fingerprint when each alert is a group.
pub fn lane_group<'a>(event: &'a Event, alert: &'a Alert) -> &'a str {
    match (event.group_key.is_empty(), event.apart) {
        (false, _) => &event.group_key,
        (true, true) => &alert.fingerprint,
        (true, false) => alert.name(),
    }
}

/// The event's alerts by [`lane_group`]: group text and places in `event.alerts`, groups in the order of their first alert.
pub fn lane_parts(event: &Event) -> Vec<(&str, Vec<usize>)> {
    if !event.group_key.is_empty() {
        return vec![(&event.group_key, (0..event.alerts.len()).collect())];
    }
    let mut place = std::collections::HashMap::new();
    let mut parts: Vec<(&str, Vec<usize>)> = Vec::new();
    for (i, alert) in event.alerts.iter().enumerate() {
        let group = lane_group(event, alert);
        let at = *place.entry(group).or_insert_with(|| {
            parts.push((group, Vec::new()));
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
        assert!(!changed(|e| e.alerts[0].generator_url = "http://prometheus-2:9090/graph".into()));
        assert!(!changed(|e| e.alerts[0].values = [("B".to_owned(), 91.5)].into()));
        assert!(!changed(|e| e.alerts[1].ends_at = jiff::Timestamp::from_second(9).ok()));
        assert!(changed(|e| drop(e.alerts[0].annotations.insert("summary".into(), "the disk is FULL".into()))));
        assert!(changed(|e| drop(e.alerts[0].labels.insert("pod".into(), "b".into()))), "a fingerprint of the sender's own is no proof");
        assert!(changed(|e| e.message = "other".into()));
        assert!(changed(|e| e.truncated = 5));
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
        let grafana = Event { kind: SenderKind::Grafana, ..event.clone() };
        let rendered = Event { message: "Value: 91.5".into(), title: "[FIRING:1] x".into(), ..grafana.clone() };
        assert_eq!(dedup_key(&grafana, ""), dedup_key(&rendered, ""), "its text is rendered from the alerts, values included");
        // What moves from one part to the next is not the same.
        let moved = |labels: &[(&str, &str)], annotations: &[(&str, &str)]| {
            let alert = Alert { labels: self::labels(labels), annotations: self::labels(annotations), ..Alert::default() };
            dedup_key(&Event { alerts: vec![alert], ..Event::default() }, "")
        };
        assert_ne!(moved(&[("a", "b"), ("c", "d")], &[]), moved(&[("a", "b")], &[("c", "d")]));
    }

    #[test]
    fn alerts_without_a_group_are_grouped_by_name() {
        let mut event =
            Event { alerts: vec![alert("a", Status::Firing, 1), alert("b", Status::Firing, 1), alert("a", Status::Firing, 2)], ..Event::default() };
        assert_eq!(lane_parts(&event), [("a", vec![0, 2]), ("b", vec![1])]);
        assert_eq!(lane_group(&event, &event.alerts[1]), "b");
        event.apart = true;
        let (first, second) = (event.alerts[0].fingerprint.clone(), event.alerts[1].fingerprint.clone());
        assert_eq!(lane_parts(&event), [(first.as_str(), vec![0, 2]), (second.as_str(), vec![1])], "each by what makes it the same");
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
