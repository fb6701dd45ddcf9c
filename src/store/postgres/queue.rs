//! The bounded queue in front of a group commit: what waits, how much of it may, and for how long.
//!
//! Knows sizes and ages; does not know what a request does.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::store::StoreError;
use crate::store::bounded_queue::{Backlog, Batch, QueueLimits};

/// Requests in one transaction at most.
pub(super) const BATCH_REQUESTS: usize = 1024;
/// Bytes in one transaction at most (a larger single request still goes, alone).
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// A request that waits, and who waits for it.
pub(super) struct Request<P, A> {
    pub(super) work: P,
    pub(super) reply: oneshot::Sender<Result<A, StoreError>>,
}

/// The queue.
pub(super) struct Queue<P, A> {
    backlog: Mutex<Backlog<Request<P, A>, 1>>,
    wake: Notify,
    limits: QueueLimits,
}

impl<P, A> Queue<P, A> {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self { backlog: Mutex::default(), wake: Notify::new(), limits }
    }

    fn lock(&self) -> MutexGuard<'_, Backlog<Request<P, A>, 1>> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work of `cost` bytes and waits for its answer, or says why it was not taken.
    pub(super) async fn submit(&self, work: P, cost: usize) -> Result<A, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.lock().push(0, cost, self.limits, Request { work, reply })?;
        self.wake.notify_one();
        answer.await.unwrap_or_else(|_| Err(StoreError::writer_stopped()))
    }

    /// Waits for work and takes what is there, up to a batch. `None` when the queue is closed and empty. What waited too long is answered
    /// [`StoreError::Busy`] here and never runs.
    pub(super) async fn take(&self) -> Option<Vec<Request<P, A>>> {
        loop {
            let (Batch { work, late, .. }, closed) = self.pick();
            for request in late {
                let _ = request.reply.send(Err(StoreError::Busy));
            }
            if !work.is_empty() {
                return Some(work);
            }
            if closed {
                return None;
            }
            self.wake.notified().await;
        }
    }

    fn pick(&self) -> (Batch<Request<P, A>>, bool) {
        let mut backlog = self.lock();
        let mut batch = Batch::default();
        backlog.fill(0, (BATCH_REQUESTS, BATCH_BYTES), self.limits.age, &mut batch);
        (batch, backlog.closed && backlog.len() == 0)
    }

    /// Accepts nothing more; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }
}
