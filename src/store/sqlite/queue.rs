//! The bounded queue in front of the writer thread: what waits, in which order it is taken, and when there is too much of it.
//!
//! Knows sizes, classes and ages; does not know what a job does.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::error::DbError;
use crate::store::StoreError;
use crate::store::bounded_queue::{self, Backlog, QueueLimits};

/// Requests in one transaction at most.
pub(super) const BATCH_REQUESTS: usize = 512;
/// Bytes in one transaction at most (a larger single request still goes, alone).
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// Work for the writer. It may run more than once: alone again, when the transaction it shared failed.
pub(super) trait Job: Send {
    /// Does the work in the open transaction. After an error all that it wrote is undone.
    fn run(&mut self, db: &Connection) -> Result<(), DbError>;
    /// Answers the caller; without `error` what the last `run` made has been committed.
    fn answer(self: Box<Self>, error: Option<StoreError>);
}

/// In which order work is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Events: somebody waits for the answer with an open connection.
    Accept,
    /// Everything that is neither of the others, in the order it came.
    Other,
    /// One at a time, after everything else.
    Purge,
}

/// What the writer takes at once.
pub(super) struct Batch {
    /// To be committed together, accepts first.
    pub(super) jobs: Vec<Box<dyn Job>>,
    /// To be committed after them.
    pub(super) purge: Option<Box<dyn Job>>,
    /// Bytes of it all.
    pub(super) bytes: usize,
    /// Whether nothing else waits.
    pub(super) last: bool,
}

/// The queue.
pub(super) struct Queue {
    backlog: Mutex<Backlog<Box<dyn Job>, 3>>,
    wake: Condvar,
    limits: QueueLimits,
}

impl Queue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { backlog: Mutex::default(), wake: Condvar::new(), limits }
    }

    fn lock(&self) -> MutexGuard<'_, Backlog<Box<dyn Job>, 3>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work of `cost` bytes, or says why not. The last eighth of the queue is kept for what is not an accept, so that a flood of events
    /// cannot keep outcomes from being written.
    pub(super) fn push(&self, class: Class, cost: usize, job: Box<dyn Job>) -> Result<(), StoreError> {
        let limits = if class == Class::Accept { self.limits.reduced() } else { self.limits };
        self.lock().push(class as usize, cost, limits, job)?;
        self.wake.notify_one();
        Ok(())
    }

    /// Waits for work and takes what is there, up to a batch. `None` when the queue is closed and empty. What waited too long is answered
    /// [`StoreError::Busy`] here and never runs.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut backlog = self.lock();
        loop {
            let mut taken = bounded_queue::Batch::default();
            // A quarter of a batch is kept for the others when both wait: outcomes must not starve behind a flood of events.
            let all = (BATCH_REQUESTS, BATCH_BYTES);
            let for_accepts = if backlog.is_empty(Class::Other as usize) { all } else { (all.0 / 4 * 3, all.1 / 4 * 3) };
            backlog.fill(Class::Accept as usize, for_accepts, self.limits.age, &mut taken);
            backlog.fill(Class::Other as usize, all, self.limits.age, &mut taken);
            let purge = backlog.pop(Class::Purge as usize);
            let last = backlog.len() == 0;
            if !taken.late.is_empty() {
                drop(backlog);
                for job in taken.late {
                    job.answer(Some(StoreError::Busy));
                }
                backlog = self.lock();
            }
            if !taken.work.is_empty() || purge.is_some() {
                return Some(Batch { jobs: taken.work, purge, bytes: taken.bytes, last });
            }
            if backlog.len() > 0 {
                continue;
            }
            if backlog.closed {
                return None;
            }
            backlog = self.wake.wait(backlog).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Accepts nothing more; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }
}
