//! The bounded queue in front of the writer thread: what waits, in which order it is taken, when a commit waits for company, and when there is too much.
//!
//! Knows sizes, classes and ages; does not know what a job does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::error::DbError;
use crate::store::StoreError;
use crate::store::bounded_queue::{self, Backlog, Company, QueueLimits};
use crate::store::intake::Gathering;

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
    /// Everything that is none of the others, in the order it came.
    Other,
    /// Outcomes that nothing waits for: they share the next commit, or one of their own a little later.
    Outcome,
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
    backlog: Mutex<Backlog<Box<dyn Job>, 4>>,
    wake: Condvar,
    limits: QueueLimits,
    /// Events that are being parsed and will be accepts.
    arriving: AtomicUsize,
}

impl Gathering for Queue {
    fn arriving(&self) -> &AtomicUsize {
        &self.arriving
    }

    fn gathered(&self) {
        if !self.lock().is_empty(Class::Accept as usize) {
            self.wake.notify_one();
        }
    }
}

impl Queue {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { backlog: Mutex::default(), wake: Condvar::new(), limits, arriving: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Backlog<Box<dyn Job>, 4>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long what waits may wait for company: zero when a commit is due, `None` when nothing waits.
    fn may_wait(&self, backlog: &Backlog<Box<dyn Job>, 4>) -> Option<Duration> {
        let events = Company::of_events(self.arriving.load(Ordering::Acquire));
        let classes = [
            (Class::Other, Company::NONE),
            (Class::Accept, events),
            (Class::Outcome, Company::of_outcomes(&self.limits)),
            (Class::Purge, Company::NONE),
        ];
        classes.into_iter().filter_map(|(class, company)| backlog.may_wait(class as usize, company)).min()
    }

    /// Adds work of `cost` bytes, or says why not. The last eighth of the queue is kept for what is not an accept, so that a flood of events
    /// cannot keep outcomes from being written.
    pub(super) fn push(&self, class: Class, cost: usize, job: Box<dyn Job>) -> Result<(), StoreError> {
        let limits = if class == Class::Accept { self.limits.reduced() } else { self.limits };
        let mut backlog = self.lock();
        let first = backlog.is_empty(class as usize);
        backlog.push(class as usize, cost, limits, job)?;
        // The first of a class sets the writer's clock: no wait depends on another event that comes, or on how long others take to parse.
        if first || self.may_wait(&backlog).is_some_and(|wait| wait.is_zero()) {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for work and takes what is there, up to a batch. `None` when the queue is closed and empty. What waited too long is answered
    /// [`StoreError::Busy`] here and never runs.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut backlog = self.lock();
        loop {
            match self.may_wait(&backlog) {
                Some(Duration::ZERO) => {}
                Some(wait) => {
                    backlog = self.wake.wait_timeout(backlog, wait).unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
                None if backlog.closed => return None,
                None => {
                    backlog = self.wake.wait(backlog).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
            }
            let mut taken = bounded_queue::Batch::default();
            // A quarter of a batch is kept for the others when both wait: outcomes must not starve behind a flood of events.
            let all = (BATCH_REQUESTS, BATCH_BYTES);
            let alone = backlog.is_empty(Class::Other as usize) && backlog.is_empty(Class::Outcome as usize);
            let for_accepts = if alone { all } else { (all.0 / 4 * 3, all.1 / 4 * 3) };
            backlog.fill(Class::Accept as usize, for_accepts, self.limits.age, &mut taken);
            backlog.fill(Class::Other as usize, all, self.limits.age, &mut taken);
            backlog.fill(Class::Outcome as usize, all, self.limits.age, &mut taken);
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
        }
    }

    /// Accepts nothing more; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }
}
