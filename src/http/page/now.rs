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
    /// Alerts that their sender left out of what it reported last, and that may fire.
    pub left_out: u64,
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
    let own: Vec<&Event> = bodies.events.iter().map(|stored| &*stored.event).collect();
    let (is_now, left_out) = update(engine, &message, (ids.as_slice(), own.as_slice()), &mut alerts).await?;
    let mut deliveries = Vec::new();
    for id in ids.iter().take(MAX_EVENTS) {
        let filter = DeliveryFilter { event: Some(*id), limit: MAX_ROWS, ..DeliveryFilter::default() };
        deliveries.extend(store.list_deliveries(&filter).await?);
    }
    deliveries.sort_by_key(|row| row.done_at.unwrap_or(UnixMs::MAX));
    Ok(Found { message, alerts, more, left_out, received_at, deliveries, is_now })
}

/// Sets on the alerts the status that later events of the channel report. Returns whether all of those were looked at, and how many alerts were left out.
async fn update(
    engine: &Engine,
    message: &StoredMessage,
    (own, events): (&[EventId], &[&Event]),
    alerts: &mut [Known],
) -> Result<(bool, u64), StoreError> {
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
    let left_out = left_out(later.events.iter().map(|stored| &*stored.event), events);
    Ok((rows.len() < MAX_LATER && later.left == 0, left_out))
}

/// How many alerts of a message's groups may fire, though nothing lists them, by the newest event of each. The newest events come first.
fn left_out<'e>(later: impl Iterator<Item = &'e Event>, own: &[&'e Event]) -> u64 {
    let group = |event: &'e Event| (event.source.as_str(), event.group_key.as_str());
    let groups: HashSet<(&str, &str)> = own.iter().map(|event| group(event)).collect();
    let mut seen = HashSet::new();
    let all = later.filter(|event| groups.contains(&group(event))).chain(own.iter().copied());
    all.filter(|event| seen.insert(group(event)) && event.may_fire_on()).map(|event| event.truncated).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_event_of_a_group_says_what_is_left_out() {
        let event =
            |group: &str, truncated| Event { source: "am".into(), group_key: group.into(), status: Status::Resolved, truncated, ..Event::default() };
        let (cut, whole, other) = (event("a", 490), event("a", 0), event("b", 7));
        assert_eq!(left_out([].into_iter(), &[&cut, &whole]), 490);
        assert_eq!(left_out([&other, &whole].into_iter(), &[&cut]), 0, "by now all of it is listed, and another group is not the message's");
        assert_eq!(left_out([].into_iter(), &[&cut, &other]), 497, "a digest is about several");
    }
}
