//! What a worker remembers of its polls of the store, and what a poll finds.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::model::{LaneId, MessageId};
use crate::store::{LaneSummary, PendingDelivery, StoreError};

/// How often a worker polls the store without a request: a safety net for lost notifications, not the way work arrives.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_secs(15);

/// What polls remember.
pub(super) struct Poll {
    pub(super) loading: JoinSet<Result<Loaded, StoreError>>,
    /// Lanes that are being read ahead; they are in flight.
    pub(super) ahead: JoinSet<ReadAhead>,
    /// Poll then, whatever else happens.
    pub(super) at: Instant,
    /// Poll from then on if memory runs low.
    pub(super) refill_at: Instant,
    /// Messages about which memory and store differed at the last poll.
    pub(super) differ: HashSet<MessageId>,
    /// Messages whose end is being recorded without an attempt.
    pub(super) ended: HashSet<MessageId>,
}

/// Lanes that were taken to be read ahead, each with the place after which it is, and what was found.
pub(super) struct ReadAhead {
    pub(super) lanes: Vec<(LaneId, i64)>,
    pub(super) found: Result<Vec<Vec<PendingDelivery>>, StoreError>,
}

/// What a poll found.
pub(super) struct Loaded {
    pub(super) lanes: Vec<LaneSummary>,
    /// How many lanes were asked for.
    pub(super) limit: usize,
    /// The outlet's open messages; `None` when only lanes were asked for.
    pub(super) open: Option<Vec<MessageId>>,
}

impl Poll {
    pub(super) fn new(now: Instant) -> Self {
        Self { loading: JoinSet::new(), ahead: JoinSet::new(), at: now, refill_at: now, differ: HashSet::new(), ended: HashSet::new() }
    }
}
