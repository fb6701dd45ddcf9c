//! Reads lanes ahead that are on disk only: many at once, while the messages before them are being sent.

use crate::delivery::clock::Now;
use crate::delivery::lanes::{LaneReturn, ReadProgress};
use crate::store::PendingDelivery;

use super::polled::ReadAhead;
use super::worker::Worker;

/// Deliveries of a lane that are read ahead; the rest of a longer one is read when it is sent.
const DELIVERIES: usize = 16;
/// Bytes of bodies (as JSON) that are read ahead at once.
const BODIES: usize = 512 << 10;
/// Memory that they may take while they are not accounted for by their lanes.
const MEMORY: usize = 4 * BODIES;

impl Worker {
    /// Reads ahead when nothing more can start now and what is next is on disk only. An outlet with a rate limit has the time to read lane by lane.
    pub(super) fn read_ahead(&mut self, now: Now) {
        if !self.poll.ahead.is_empty() || !self.rate.is_unlimited() || self.in_flight.has_room() {
            return;
        }
        let Some(room) = self.shared.budget.try_reserve(MEMORY) else { return };
        let lanes = self.queue.lanes.take_spilled(now);
        if lanes.is_empty() {
            return;
        }
        let shared = self.shared.clone();
        self.poll.ahead.spawn(async move {
            let found = shared.store.pending_of(&lanes, DELIVERIES, BODIES, now.wall).await;
            drop(room);
            ReadAhead { lanes, found }
        });
    }

    /// What was read waits in memory; what does not fit there, or could not be read, stays on disk.
    pub(super) fn ahead_read(&mut self, read: ReadAhead) {
        let now = self.shared.clock.now();
        let ReadAhead { lanes, found } = read;
        if let Err(error) = &found {
            self.shared.health.request_failed(error);
        }
        let mut found = found.unwrap_or_default().into_iter();
        for (lane, after) in lanes {
            let (put_back, more) = found.next().map_or((Vec::new(), true), |found| {
                let more = found.len() == DELIVERIES;
                (found, more)
            });
            let to = put_back.last().map_or(after, |last: &PendingDelivery| last.lane_seq);
            self.queue.lanes.release(LaneReturn { lane, read: Some(ReadProgress { lane, to, more }), put_back }, now);
        }
    }
}
