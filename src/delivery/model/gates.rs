//! Liveness: what is due, unmuted, and whose outlet may send is sent within a bound, seen from the store and from what workers show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::{Clock, Engine, OutletState};
use crate::model::{DeliveryId, UnixMs};
use crate::store::{CHANNEL_MUTE_PREFIX, DeliveryFilter, DeliveryRow, FILE_MUTE_PREFIX, State, Store, mute_prefix, muted_channel};

use super::World;
use super::people::BY_LABEL;

/// How long something may be due while every gate is open.
const BOUND: Duration = Duration::from_secs(60);
/// The same for each that waits in the same line: the tightest platform takes 20 a minute, and a message has three pages at most.
const EACH: Duration = Duration::from_millis(3 * 3500);
/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Since when gates are open.
#[derive(Default)]
pub struct Gates {
    outlets: Mutex<BTreeMap<String, Instant>>,
    unmuted: Mutex<BTreeMap<String, Instant>>,
    /// How much had arrived from a channel, and since when it is so.
    arrived: Mutex<BTreeMap<String, (usize, Instant)>>,
    /// Since when a row is seen: what waits behind an open message of its lane is due before it may be sent.
    rows: Mutex<BTreeMap<(String, String, UnixMs), Instant>>,
    /// Since when a delivery that a mute by hand, or one of the file that is gone, deferred is seen: a node that hangs defers by a mute that has ended, until another node looks.
    deferred: Mutex<BTreeMap<DeliveryId, Instant>>,
    /// What happened last that may hold things up for a moment: a clock that jumped, a node or a worker that broke down.
    disturbed: Mutex<Option<Instant>>,
    pub violations: Mutex<Vec<String>>,
}

impl Gates {
    /// Something happened after which the bound begins again.
    pub fn disturb(&self, at: Instant) {
        let mut disturbed = self.disturbed.lock().unwrap();
        *disturbed = Some(disturbed.map_or(at, |before| before.max(at)));
    }

    /// Looks for as long as it is not dropped.
    pub async fn watch(self: Arc<Self>, world: Arc<World>, engines: Vec<Arc<Engine>>, store: Arc<dyn Store>, clock: Clock) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look(&world, &engines, &store, &clock).await;
        }
    }

    async fn look(&self, world: &World, engines: &[Arc<Engine>], store: &Arc<dyn Store>, clock: &Clock) {
        let wall = clock.wall();
        let mutes = store.list_mutes().await.expect("mutes");
        let by_label = mutes.iter().any(|mute| mute.matchers == BY_LABEL && mute.until > wall);
        let muted: BTreeMap<String, UnixMs> = mutes.into_iter().filter_map(|mute| Some((muted_channel(&mute.matchers)?, mute.until))).collect();
        let due = store.overdue(wall).await.expect("what is due");
        let filter = DeliveryFilter { states: vec![State::Deferred, State::Waiting], limit: 5000, ..DeliveryFilter::default() };
        let open = store.list_deliveries(&filter).await.expect("what is not final");
        let now = clock.instant();
        let disturbed = *self.disturbed.lock().unwrap();
        let plan = engines[0].shared.plan.load_full();
        let age = |since: Instant| now.saturating_duration_since(disturbed.map_or(since, |at| at.max(since)));
        let mut unmuted = self.unmuted.lock().unwrap();
        let mut outlets = self.outlets.lock().unwrap();
        let mut arrived = self.arrived.lock().unwrap();
        for channel in plan.channels.values() {
            if muted.get(&*channel.name).is_some_and(|until| *until > wall) {
                unmuted.remove(&*channel.name);
            } else {
                unmuted.entry(channel.name.to_string()).or_insert(now);
            }
            let states: Vec<OutletState> = engines.iter().map(|engine| engine.outlet_state(&channel.outlet)).collect();
            let count = world.wire(&channel.name).seen.lock().unwrap().arrivals.len();
            let known = arrived.entry(channel.name.to_string()).or_insert((count, now));
            if known.0 != count {
                *known = (count, now);
            }
            let may_send = |state: &OutletState| state.owned && state.suspended.is_none() && state.paused_ms == 0 && !state.breaker_open;
            if states.iter().any(may_send) {
                outlets.entry(channel.outlet.to_string()).or_insert(now);
            } else if states.iter().any(|state| state.owned) {
                outlets.remove(channel.outlet.as_str());
            } else {
                // Nobody owns it: that may last as long as a lease does.
                outlets.entry(channel.outlet.to_string()).or_insert(now);
            }
        }
        let mut rows = self.rows.lock().unwrap();
        let before = std::mem::take(&mut *rows);
        for row in &due {
            let key = (row.channel.clone(), row.outlet.to_string(), row.since);
            let seen = before.get(&key).copied().unwrap_or(now);
            rows.insert(key, seen);
            let (Some(free), Some(heard)) = (outlets.get(row.outlet.as_str()), unmuted.get(&row.channel)) else { continue };
            // By a clock that jumped it may be due since before it was born; then the gates count alone.
            let since = now - wall.since(row.since).min(now.duration_since(*free));
            let waits = age(since.max(*free).max(*heard).max(seen));
            // What is tried again takes a place in the line, too: a window may be full of it.
            let window = plan.channel(&row.channel).and_then(|channel| channel.rate_limit.as_ref()?.iter().map(|limit| limit.window).max());
            let bound = BOUND + window.unwrap_or_default();
            let idle = waits.min(arrived.get(&row.channel).map_or(waits, |(_, since)| now.duration_since(*since)));
            if idle > bound || waits > bound + EACH * row.count as u32 {
                let states: Vec<OutletState> = engines.iter().map(|engine| engine.outlet_state(&row.outlet)).collect();
                let waiting = open.iter().filter(|delivery| delivery.channel == row.channel);
                let what: Vec<_> = waiting.map(|d| (d.id, &d.title, d.state, d.tries, d.due_at - wall, d.message, &d.reason)).collect();
                self.violations
                    .lock()
                    .unwrap()
                    .push(format!("{row:?} could be sent for {waits:?} and is not, nothing is for {idle:?}: {what:#?} {states:#?}"));
            }
        }
        let (channel, label) = (CHANNEL_MUTE_PREFIX.to_owned(), mute_prefix(BY_LABEL));
        let by = |row: &DeliveryRow, prefix: &str| row.reason.as_deref().is_some_and(|reason| reason.starts_with(prefix));
        let of_file = world.shape.lock().unwrap().mutes();
        let gone = |row: &DeliveryRow| {
            by(row, FILE_MUTE_PREFIX) && !of_file.iter().any(|mute| by(row, &format!("{FILE_MUTE_PREFIX}noise` ({}): ", mute.text)))
        };
        let by_hand = |row: &&DeliveryRow| by(row, &channel) || (by(row, &label) && !by_label) || gone(row);
        let mut deferred = self.deferred.lock().unwrap();
        let before = std::mem::take(&mut *deferred);
        for row in open.iter().filter(|row| row.state == State::Deferred).filter(by_hand).filter(|row| row.due_at > wall) {
            let seen = before.get(&row.id).copied().unwrap_or(now);
            deferred.insert(row.id, seen);
            let waits = unmuted.get(&row.channel).map(|heard| age((*heard).max(seen)));
            if let Some(waits) = waits.filter(|waits| *waits > BOUND) {
                self.violations.lock().unwrap().push(format!("nothing mutes it for {waits:?} and it waits for {}: {row:?}", row.due_at - wall));
            }
        }
    }
}
