//! What Watchfire says by itself and no alert says: a title and a text, as an event.

use crate::ingest;
use crate::model::{Alert, Event, SenderKind, Status, UnixMs};

/// The event; at the same time with the same words it is the same one. `receiver` names what it is about.
pub fn event(receiver: String, status: Status, at: UnixMs, title: String, text: String) -> Event {
    let ends_at = (status == Status::Resolved).then(|| at.timestamp());
    let mut alert = Alert { status, starts_at: Some(at.timestamp()), ends_at, ..Alert::default() };
    alert.labels.insert("alertname".into(), title.clone());
    alert.annotations.insert("summary".into(), title.clone());
    alert.annotations.insert("description".into(), text.clone());
    alert.fingerprint = ingest::fingerprint(&alert.labels);
    Event {
        kind: SenderKind::Direct,
        source: "watchfire".into(),
        receiver,
        status,
        common_labels: alert.labels.clone(),
        common_annotations: alert.annotations.clone(),
        title,
        message: text,
        alerts: vec![alert],
        ..Event::default()
    }
}
