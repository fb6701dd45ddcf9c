//! One lane in memory, and how due times and priorities are compared.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::clock::Now;
use crate::delivery::{heavy, policy};
use crate::model::{Event, UnixMs};
use crate::store::{PendingDelivery, State};

use super::budget::{Reservation, event_bytes};

/// One rank step is worth this much waiting, in milliseconds: what waits long overtakes.
const RANK_STEP_MS: i64 = 300_000;
/// A mute may last long, but a damaged due time must not overflow the clock.
const LONGEST_MUTE: Duration = Duration::from_secs(400 * 86_400);
/// A delivery in memory, with its due time on the monotonic clock. None of them is deferred: what is muted is on disk until it is due.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) waiting: PendingDelivery,
    pub(super) due: Instant,
    pub(super) share: Reservation,
}

/// One lane.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) channel: Arc<str>,
    pub(super) queue: VecDeque<Queued>,
    /// Everything up to this `lane_seq` is in the queue, in flight, deferred, or final.
    pub(super) loaded_to: i64,
    /// Something may wait on disk after `loaded_to`; it is not due before then.
    pub(super) more_on_disk_at: Option<Instant>,
    /// Something waits on disk, anywhere in the lane, and is due then: the lane is read again from its beginning.
    pub(super) reload_at: Option<Instant>,
    /// A delivery could not be pushed while the lane was being read.
    pub(super) offer_lost: bool,
    /// A message of it is in flight.
    pub(super) in_flight: bool,
    /// Its in-memory state is stale: it is read again when its message is done.
    pub(super) stale: bool,
    /// Rank and age of what is on disk.
    pub(super) priority: i64,
    pub(super) key: Option<IndexKey>,
    /// Its own memory.
    _share: Reservation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IndexKey {
    Ready(i64),
    Timer(Instant),
}

impl Lane {
    /// One of which something may wait on disk, not before `more_on_disk_at`; with `None` nothing does.
    pub(super) fn new(channel: &Arc<str>, more_on_disk_at: Option<Instant>, priority: i64, share: Reservation) -> Self {
        Self {
            channel: channel.clone(),
            queue: VecDeque::new(),
            loaded_to: 0,
            more_on_disk_at,
            reload_at: None,
            offer_lost: false,
            in_flight: false,
            stale: false,
            priority,
            key: None,
            _share: share,
        }
    }

    /// When the lane may send next, and its priority; `None` when it has nothing or a message of it is in flight.
    pub(super) fn next(&self, now: Instant) -> Option<(Instant, i64)> {
        if self.in_flight {
            return None;
        }
        let head = self.queue.front().map(|head| head.due).or(self.more_on_disk_at);
        let due = head.into_iter().chain(self.reload_at).min()?;
        let shown = self.queue.iter().filter(|i| i.due <= now.max(due)).map(|i| priority(i.waiting.rank, i.waiting.born_at));
        let on_disk = (self.more_on_disk_at.is_some() || self.reload_at.is_some()).then_some(self.priority);
        Some((due, shown.chain(on_disk).min().unwrap_or(self.priority)))
    }

    /// Whether nothing is known to wait in it.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.more_on_disk_at.is_none() && self.reload_at.is_none()
    }

    /// Drops what is in memory of it, which is on disk too; returns its bytes.
    pub(super) fn clear(&mut self) -> usize {
        self.queue.drain(..).map(|item| item.share.bytes()).sum()
    }
}

/// Something is due at `at`: the earlier time counts.
pub(super) fn sooner(known: &mut Option<Instant>, at: Instant) {
    *known = Some(known.map_or(at, |known| known.min(at)));
}

/// Smaller goes first: severity, then age; one rank step is worth five minutes of waiting.
pub fn priority(rank: i64, born_at: UnixMs) -> i64 {
    rank.saturating_mul(RANK_STEP_MS).saturating_add(born_at.0)
}

/// How far ahead a stored due time lies. What was due at its birth is due now: a wall clock that was set back since must not make it wait. A due time
/// before the birth was written after that, by the clock as it is now.
pub(super) fn ahead(due_at: UnixMs, born_at: UnixMs, now: UnixMs) -> Duration {
    if due_at == born_at { Duration::ZERO } else { due_at.since(now) }
}

/// A stored due time on the monotonic clock, clamped to what can legally have been set.
pub(super) fn due_instant(waiting: &PendingDelivery, now: Now) -> Instant {
    let ahead = ahead(waiting.due_at, waiting.born_at, now.wall);
    // Pauses are the outlet's own; a delivery by itself is never postponed for longer than the schedule's cap.
    let longest = if waiting.state == State::Deferred { LONGEST_MUTE } else { policy::MAX_BACKOFF };
    now.mono + ahead.min(longest)
}

/// Whether an event is too large to be kept while it waits.
pub fn is_large(event: &Event) -> bool {
    event.alerts.len() > heavy::LARGE_EVENT_ALERTS || event_bytes(event) > 4 * heavy::LARGE_BODY
}
