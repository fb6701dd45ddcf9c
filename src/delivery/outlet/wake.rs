//! When a worker wakes if nothing happens before.

use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::lanes::MAX_LANES;

use super::gate::Admit;
use super::worker::Worker;

/// The least wait for what is due in the past or at once: a loop without a pause would keep a core busy.
const MIN_DELAY: Duration = Duration::from_millis(2);
/// The same for polls of the store and for trials.
const MIN_POLL_DELAY: Duration = Duration::from_millis(20);

impl Worker {
    pub(super) fn next_wake(&mut self) -> Instant {
        let now = self.shared.clock.instant();
        if !self.ownership.may_send_directly(now) {
            // A new lease, or the end of what is in flight, wakes it sooner.
            return now + Duration::from_millis(500);
        }
        if self.due_action().is_some() {
            return now;
        }
        let mut wake = self.poll.at.max(now + MIN_POLL_DELAY);
        if !self.queue.lanes.complete && self.poll.loading.is_empty() && self.queue.lanes.ready_count() < MAX_LANES / 8 {
            wake = wake.min(self.poll.refill_at.max(now + MIN_DELAY));
        }
        if let Some(at) = self.edits.wake() {
            wake = wake.min(at.max(now + MIN_POLL_DELAY));
        }
        if let Some(timer) = self.queue.lanes.next_timer() {
            wake = wake.min(timer.max(now));
        }
        if let Some(at) = self.idle.next_start {
            wake = wake.min(at.max(now + MIN_DELAY));
        }
        if let Some(deadline) = self.queue.direct.iter().filter_map(|message| message.caller.as_ref()).map(|caller| caller.deadline).min() {
            wake = wake.min(deadline);
        }
        if let Admit::Suspended(at) = self.gate.admits(self.gate.paused_until(), 0) {
            wake = wake.min(at.max(now + MIN_POLL_DELAY));
        }
        wake
    }
}
