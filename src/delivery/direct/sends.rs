//! What a direct send waits with, and what an outlet remembers of its direct sends.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::model::{DeliveryId, LaneId, Receipt, Recipient, SendError};
use crate::store::PendingDelivery;

/// What the keys of direct sends' lanes begin with.
pub(crate) const LANE_PREFIX: &str = "call:";

/// How long the lanes of direct sends are remembered; they are recorded long before.
const REMEMBERED: Duration = Duration::from_secs(120);

/// How a direct send ended.
#[derive(Debug)]
pub struct DirectOutcome {
    /// The delivery that records it.
    pub delivery: DeliveryId,
    /// One result per recipient.
    pub results: Vec<(Recipient, Result<Receipt, SendError>)>,
    /// Whether no slot came free in time.
    pub expired: bool,
}

/// Who waits for a direct send.
#[derive(Debug)]
pub struct Caller {
    /// When it is given up.
    pub deadline: Instant,
    /// Where the answer goes.
    pub answer: Option<oneshot::Sender<DirectOutcome>>,
    /// Results so far.
    pub results: Vec<(Recipient, Result<Receipt, SendError>)>,
}

/// Direct sends that an outlet took up: the store shows them until their outcome is recorded.
#[derive(Debug, Default)]
pub struct DirectSends {
    /// Their lanes, and when they were taken up.
    taken: HashMap<LaneId, Instant>,
    /// Reads of direct sends that were found in the store.
    pub(crate) found: JoinSet<Vec<PendingDelivery>>,
}

impl DirectSends {
    /// Takes one up; `false` when it was taken up before.
    pub(super) fn take(&mut self, lane: LaneId, now: Instant) -> bool {
        self.taken.insert(lane, now).is_none()
    }

    /// Whether it was taken up.
    pub(super) fn is_taken(&self, lane: LaneId) -> bool {
        self.taken.contains_key(&lane)
    }

    /// The lanes that a poll of the store leaves out.
    pub(crate) fn known(&mut self, now: Instant) -> Vec<LaneId> {
        self.taken.retain(|_, at| now.duration_since(*at) < REMEMBERED);
        self.taken.keys().copied().collect()
    }

    /// Drops them: another node may have them.
    pub(super) fn clear(&mut self) {
        self.taken.clear();
    }
}
