//! How a worker reads the store: for lanes when memory runs low, and, from time to time, whether memory and store agree.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::direct::LANE_PREFIX;
use crate::delivery::lanes::{LOOKAHEAD, MAX_LANES, MIN_LANES};
use crate::model::MessageId;
use crate::store::{LaneQuery, StoreError};

use super::ownership::Signal;
use super::polled::{Loaded, POLL_INTERVAL};
use super::worker::Worker;

/// The same where other nodes accept, too, and a notification from them may be lost.
const POLL_INTERVAL_SHARED: Duration = Duration::from_secs(1);
/// How soon memory is filled again from a store that holds more.
const REFILL_INTERVAL: Duration = Duration::from_millis(50);
/// The wait after a poll that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl Worker {
    /// How often the store is read without a request: what other nodes changed is found soon.
    pub(super) fn poll_interval(&self) -> Duration {
        if self.shared.leased() { POLL_INTERVAL_SHARED } else { POLL_INTERVAL }
    }

    /// Reads lanes from the store when memory runs low and something may wait there.
    pub(super) fn poll_store(&mut self, now: Instant) {
        let lanes = &mut self.queue.lanes;
        if lanes.overflowed && self.poll.loading.is_empty() {
            self.poll.refill_at = self.poll.refill_at.min(now + REFILL_INTERVAL);
        }
        let low = !lanes.complete && lanes.ready_count() < MAX_LANES / 8 && now >= self.poll.refill_at;
        if !self.poll.loading.is_empty() || (now < self.poll.at && !low) {
            return;
        }
        let regular = now >= self.poll.at;
        if regular {
            self.find_orphaned(now);
        }
        self.poll.at = now + self.poll_interval();
        let wall = self.shared.clock.wall();
        let mutes = self.muted(wall);
        // What a mute holds back is read when it ends.
        if let Some(end) = mutes.iter().map(|(_, until)| *until).min() {
            self.poll.at = self.poll.at.min(now + end.since(wall).max(Duration::from_millis(1)));
        }
        self.poll.refill_at = now + POLL_INTERVAL;
        let lanes = &mut self.queue.lanes;
        lanes.overflowed = false;
        lanes.evict_empty();
        let mut except = lanes.due_soon(now);
        except.extend(self.direct.known(now));
        let muted = mutes.into_iter().map(|(name, _)| name.to_string()).collect();
        let limit = if self.shared.budget.is_short() { MIN_LANES } else { MAX_LANES };
        let sought = LaneQuery { due_by: wall + LOOKAHEAD, except, muted, limit };
        let (shared, outlet) = (self.shared.clone(), self.outlet.clone());
        self.poll.loading.spawn(async move {
            let open = if regular { Some(shared.store.open_messages(&outlet).await?) } else { None };
            Ok(Loaded { lanes: shared.store.ready_lanes(&outlet, sought).await?, limit, open })
        });
    }

    pub(super) fn loaded(&mut self, loaded: Result<Loaded, StoreError>) {
        let now = self.shared.clock.now();
        let Loaded { lanes, limit, open } = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                self.shared.health.request_failed(&error);
                self.poll.at = now.mono + RETRY_INTERVAL;
                return;
            }
        };
        if let Some(open) = open {
            self.reconcile(&open);
        }
        let all = lanes.len() < limit;
        let (direct, lanes): (Vec<_>, Vec<_>) = lanes.into_iter().partition(|lane| lane.key.starts_with(LANE_PREFIX));
        self.find_direct(direct);
        let shared = self.shared.clone();
        let news = self.queue.lanes.load(lanes, all, now, |name| shared.name(name));
        // Only a poll that found something new is worth repeating soon, or one that something was left behind after.
        if news > 0 || self.queue.lanes.overflowed {
            self.poll.refill_at = now.mono + REFILL_INTERVAL;
        }
    }

    /// Compares the outlet's open messages with those in memory. One that memory does not know, or one of memory that is not open here, in two polls in
    /// a row was moved by another node: the worker reads everything again, else its lanes would wait endlessly.
    fn reconcile(&mut self, open: &[MessageId]) {
        let gone = self.queue.begun.iter().filter(|message| message.is_stored() && !open.contains(&message.id)).map(|message| message.id);
        let differ: HashSet<MessageId> = open.iter().filter(|id| !self.knows(id)).copied().chain(gone).collect();
        if let Some(id) = differ.iter().find(|id| self.poll.differ.contains(id)) {
            tracing::warn!(outlet = %self.outlet, message_id = %id, "memory and store differ about a message; the outlet is read again from the store");
            self.ownership = self.ownership.on(Signal::Stale);
        }
        self.poll.differ = differ;
    }
}
