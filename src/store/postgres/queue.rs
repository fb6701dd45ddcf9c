//! The bounded queue in front of a group commit: what waits, how much of it may, for how long, and when a commit waits for company.
//!
//! Knows sizes and ages; does not know what a request does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::store::StoreError;
use crate::store::bounded_queue::{Backlog, Batch, Company, QueueLimits};
use crate::store::intake::Gathering;

/// Requests in one transaction at most.
pub(super) const BATCH_REQUESTS: usize = 1024;
/// Bytes in one transaction at most (a larger single request still goes, alone).
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// A request that waits, and who waits for it.
pub(super) struct Request<P, A> {
    pub(super) work: P,
    pub(super) reply: oneshot::Sender<Result<A, StoreError>>,
}

/// Whether somebody waits for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Somebody does.
    Urgent,
    /// Nobody does: it shares the next commit, or has one of its own a little later.
    Patient,
}

/// The queue.
pub(super) struct Queue<P, A> {
    backlog: Mutex<Backlog<Request<P, A>, 2>>,
    wake: Notify,
    limits: QueueLimits,
    /// Requests that are being made and will come.
    arriving: AtomicUsize,
}

impl<P: Send, A: Send> Gathering for Queue<P, A> {
    fn arriving(&self) -> &AtomicUsize {
        &self.arriving
    }

    fn gathered(&self) {
        if !self.lock().is_empty(Class::Urgent as usize) {
            self.wake.notify_one();
        }
    }
}

impl<P, A> Queue<P, A> {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { backlog: Mutex::default(), wake: Notify::new(), limits, arriving: AtomicUsize::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Backlog<Request<P, A>, 2>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long what waits may wait for company: zero when a commit is due, `None` when nothing waits.
    fn may_wait(&self, backlog: &Backlog<Request<P, A>, 2>) -> Option<Duration> {
        let urgent = Company::of_events(self.arriving.load(Ordering::Acquire));
        let classes = [(Class::Urgent, urgent), (Class::Patient, Company::of_outcomes(&self.limits))];
        classes.into_iter().filter_map(|(class, company)| backlog.may_wait(class as usize, company)).min()
    }

    /// Adds work of `cost` bytes and waits for its answer, or says why it was not taken.
    pub(super) async fn submit(&self, class: Class, work: P, cost: usize) -> Result<A, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.push(class, cost, Request { work, reply })?;
        answer.await.unwrap_or_else(|_| Err(StoreError::writer_stopped()))
    }

    fn push(&self, class: Class, cost: usize, request: Request<P, A>) -> Result<(), StoreError> {
        let mut backlog = self.lock();
        let first = backlog.is_empty(class as usize);
        backlog.push(class as usize, cost, self.limits, request)?;
        // The first of a class sets the clock: no wait depends on another request that comes, or on how long others take to be made.
        if first || self.may_wait(&backlog).is_some_and(|wait| wait.is_zero()) {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for work and takes what is there, up to a batch. `None` when the queue is closed and empty. What waited too long is answered
    /// [`StoreError::Busy`] here and never runs.
    pub(super) async fn take(&self) -> Option<Vec<Request<P, A>>> {
        loop {
            let (Batch { work, late, .. }, wait, closed) = self.pick();
            for request in late {
                let _ = request.reply.send(Err(StoreError::Busy));
            }
            if !work.is_empty() {
                return Some(work);
            }
            match wait {
                Some(Duration::ZERO) => {}
                Some(wait) => drop(tokio::time::timeout(wait, self.wake.notified()).await),
                None if closed => return None,
                None => self.wake.notified().await,
            }
        }
    }

    /// What is due; how long the rest may wait; and whether no more will come.
    fn pick(&self) -> (Batch<Request<P, A>>, Option<Duration>, bool) {
        let mut backlog = self.lock();
        let mut batch = Batch::default();
        if self.may_wait(&backlog).is_some_and(|wait| wait.is_zero()) {
            for class in [Class::Urgent, Class::Patient] {
                backlog.fill(class as usize, (BATCH_REQUESTS, BATCH_BYTES), self.limits.age, &mut batch);
            }
        }
        (batch, self.may_wait(&backlog), backlog.closed)
    }

    /// Accepts nothing more; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }
}
