//! What is known of a message: its alerts as they were sent and as they are now, and what became of it on every channel.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::delivery::Engine;
use crate::model::{Alert, Event, EventId, Status, UnixMs};
use crate::store::{DeliveryFilter, DeliveryRow, StoreError, StoredMessage};

/// Deliveries of the message that are read.
const MAX_ROWS: usize = 500;
/// Bytes of bodies that are read for one page; a single larger one is read anyway.
const MAX_BYTES: usize = 1 << 20;
/// Deliveries that came later, among which news of its alerts is looked for.
const MAX_LATER: usize = 300;
/// Events whose deliveries to other channels are shown.
const MAX_EVENTS: usize = 5;

/// An alert of the message.
pub(super) struct Known {
    /// As it was sent; with the status and the end that it has now.
    pub alert: Alert,
    /// The event it came in.
    pub event: Arc<Event>,
    /// Whether it fired when the message was sent.
    pub fired: bool,
}

/// What is known of a message.
pub(super) struct Found {
    pub message: StoredMessage,
    /// Its alerts, each once.
    pub alerts: Vec<Known>,
    /// Alerts whose bodies were not read.
    pub more: u64,
    /// When its newest event came, Unix milliseconds.
    pub received_at: Option<UnixMs>,
    /// The deliveries of its events, on all channels.
    pub deliveries: Vec<DeliveryRow>,
    /// Whether all that came since on its channel was looked at.
    pub is_now: bool,
}

/// Reads a message's alerts and what came since on its channel.
pub(super) async fn read(engine: &Engine, message: StoredMessage) -> Result<Found, StoreError> {
    let store = engine.query();
    let filter = DeliveryFilter { message: Some(message.id), limit: MAX_ROWS, ..DeliveryFilter::default() };
    let rows = store.list_deliveries(&filter).await?;
    let mut ids: Vec<EventId> = rows.iter().map(|row| row.event).collect();
    ids.dedup();
    let mut bodies = engine.load_events(&ids, MAX_BYTES).await?;
    if bodies.events.is_empty() && bodies.left > 0 {
        bodies = engine.load_events(&ids[ids.len() - bodies.left..][..1], usize::MAX).await?;
    }
    let unread: HashSet<EventId> = ids.iter().copied().filter(|id| !bodies.events.iter().any(|event| event.id == *id)).collect();
    let more = rows.iter().filter(|row| unread.contains(&row.event)).map(|row| u64::from(row.firing + row.resolved)).sum();
    // The newest first: what an alert said last counts.
    let mut known: HashSet<(String, String)> = HashSet::new();
    let mut alerts = Vec::new();
    for stored in &bodies.events {
        for alert in &stored.event.alerts {
            if known.insert((stored.event.source.clone(), alert.fingerprint.clone())) {
                alerts.push(Known { alert: alert.clone(), event: stored.event.clone(), fired: alert.status == Status::Firing });
            }
        }
    }
    let received_at = bodies.events.first().map(|event| event.received_at);
    let is_now = update(engine, &message, &ids, &mut alerts).await?;
    let mut deliveries = Vec::new();
    for id in ids.iter().take(MAX_EVENTS) {
        let filter = DeliveryFilter { event: Some(*id), limit: MAX_ROWS, ..DeliveryFilter::default() };
        deliveries.extend(store.list_deliveries(&filter).await?);
    }
    deliveries.sort_by_key(|row| row.done_at.unwrap_or(UnixMs::MAX));
    Ok(Found { message, alerts, more, received_at, deliveries, is_now })
}

/// Sets on the alerts the status that later events of the channel report. Returns whether all of those were looked at.
async fn update(engine: &Engine, message: &StoredMessage, own: &[EventId], alerts: &mut [Known]) -> Result<bool, StoreError> {
    let channels = vec![message.channel.clone()];
    let filter = DeliveryFilter { channels, since: Some(message.formed_at), limit: MAX_LATER, ..DeliveryFilter::default() };
    let rows = engine.query().list_deliveries(&filter).await?;
    let mut ids: Vec<EventId> = rows.iter().map(|row| row.event).filter(|id| !own.contains(id)).collect();
    ids.dedup();
    let later = engine.load_events(&ids, MAX_BYTES).await?;
    let mut news: HashMap<(&str, &str), &Alert> = HashMap::new();
    for stored in &later.events {
        for alert in &stored.event.alerts {
            news.entry((&stored.event.source, &alert.fingerprint)).or_insert(alert);
        }
    }
    for one in alerts {
        if let Some(new) = news.get(&(one.event.source.as_str(), one.alert.fingerprint.as_str())) {
            (one.alert.status, one.alert.ends_at) = (new.status, new.ends_at);
        }
    }
    Ok(rows.len() < MAX_LATER && later.left == 0)
}
