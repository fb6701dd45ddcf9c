//! What intake asks of the store: events in, and whether the store takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::{Accepted, NewEvent, StoreError};

/// Used by whatever accepts events.
#[async_trait]
pub trait IntakeStore: Send + Sync {
    /// Stores an event with its lanes and deliveries in **one** transaction, which it may share with other requests (group commit). Each delivery's
    /// lane is created or found, `last_seq` grows by one and becomes the delivery's `lane_seq` (I2). A delivery that is final from the start
    /// (`skipped`) gets a `lane_seq` too, but does not count as waiting.
    ///
    /// What it says of incidents is applied before, in the order of their keys: the newest incident of a key goes on or ends; one that ended longer ago
    /// than [`IncidentReport::reopen_within`](super::IncidentReport::reopen_within) is followed by another as soon as something fires. An open one of the
    /// same sender under another key, of which everything that fires is in the report, goes on under this key. Of each key one incident is open at most.
    /// Anchors of an incident that changes are dirty from then on, where they are edited (I14).
    ///
    /// Steps of escalations are stored after the incidents, where the escalation begins: not yet in this incident, or not since it was reopened last.
    ///
    /// With `dedup`, the event is a duplicate when the newest event of every lane that it would enter has its key and arrived within the window
    /// ([`duplicate_of`](super::duplicate_of)): nothing is written, and the first event's ids are returned with `duplicate: true`. A duplicate that
    /// shares a batch with its first waits for that commit. An event without deliveries enters no lane and is never a duplicate.
    ///
    /// Errors: [`StoreError::Busy`] when the writer's queue is full or the request is older than 5 s; [`StoreError::Unavailable`] when the disk
    /// does not take it. In both cases nothing was written.
    async fn accept(&self, event: NewEvent) -> Result<Accepted, StoreError>;

    /// An event is being parsed and will be accepted soon: a commit of others may wait for it, for less than a millisecond. Dropped once `accept` was
    /// polled, which queues it, or when it comes to nothing.
    fn arriving(&self) -> Arriving {
        Arriving::default()
    }

    /// Whether writes work: writes and removes a row. Used by `/-/ready` after a failure.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// Whether what is committed now would survive a restart: the files under the open connections are still in place. Cheap; called after a commit.
    fn check_files(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What counts events on their way to it.
pub(super) trait Gathering: Send + Sync {
    /// How many are on their way.
    fn arriving(&self) -> &AtomicUsize;
    /// None is any more.
    fn gathered(&self);
}

/// An event on its way to the store.
#[derive(Default)]
pub struct Arriving(Option<Arc<dyn Gathering>>);

impl Arriving {
    pub(super) fn at(queue: Arc<dyn Gathering>) -> Self {
        queue.arriving().fetch_add(1, Ordering::AcqRel);
        Self(Some(queue))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(queue) = &self.0
            && queue.arriving().fetch_sub(1, Ordering::AcqRel) == 1
        {
            queue.gathered();
        }
    }
}
