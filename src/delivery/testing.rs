//! Small values for the tests of this module.

use std::sync::Arc;

use crate::model::{Alert, DeliveryId, Event, EventId, LaneId, Status, UnixMs};
use crate::store::{Fallback, PendingDelivery, State, Summary, Target};

/// An alert whose fingerprint is its name.
pub fn alert(name: &str, severity: &str, status: Status) -> Alert {
    let mut alert = Alert { status, fingerprint: name.into(), starts_at: "2026-11-24T03:00:00Z".parse().ok(), ..Alert::default() };
    alert.labels.insert("alertname".into(), name.into());
    alert.labels.insert("severity".into(), severity.into());
    alert
}

/// An event of those alerts.
pub fn event(alerts: Vec<Alert>) -> Event {
    let status = if alerts.iter().any(|a| a.status == Status::Firing) { Status::Firing } else { Status::Resolved };
    Event { source: "alertmanager".into(), receiver: "ops".into(), group_key: "{}:{}".into(), status, alerts, ..Event::default() }
}

/// A delivery of all alerts of a new event, waiting in lane 1 at `seq`.
pub fn waiting(seq: i64, alerts: Vec<Alert>) -> PendingDelivery {
    let firing = alerts.iter().filter(|a| a.status == Status::Firing).count() as u32;
    let resolved = alerts.len() as u32 - firing;
    let target = Target { alerts: (0..alerts.len() as u32).collect(), ..Target::default() };
    PendingDelivery {
        id: DeliveryId::new(),
        event_id: EventId::new(),
        summary: Summary { title: alerts.first().map_or(String::new(), |a| a.name().to_owned()), firing, resolved },
        event: Some(Arc::new(event(alerts))),
        lane: LaneId(1),
        lane_seq: seq,
        channel: "ops".into(),
        target,
        state: State::Waiting,
        rank: 0,
        born_at: UnixMs(0),
        due_at: UnixMs(0),
        tries: 0,
        fallback: Fallback::default(),
        incident: None,
    }
}
