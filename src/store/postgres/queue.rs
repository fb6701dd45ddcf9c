//! The bounded queue in front of a group commit: what waits, how much of it may, and for how long.
//!
//! Knows sizes and ages; does not know what a request does.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::connect::closed;
use crate::store::StoreError;

/// Requests in one transaction at most.
pub(super) const BATCH_REQUESTS: usize = 1024;
/// Bytes in one transaction at most (a larger single request still goes, alone).
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) requests: usize,
    pub(super) age: Duration,
}

/// A request that waits, and who waits for it.
pub(super) struct Request<P, A> {
    pub(super) work: P,
    pub(super) reply: oneshot::Sender<Result<A, StoreError>>,
    cost: usize,
    at: Instant,
}

struct State<P, A> {
    requests: VecDeque<Request<P, A>>,
    bytes: usize,
    closed: bool,
}

/// What is taken at once: what is to be done, what waited too long, and whether the queue is closed.
struct Picked<P, A> {
    batch: Vec<Request<P, A>>,
    late: Vec<Request<P, A>>,
    closed: bool,
}

/// The queue.
pub(super) struct Queue<P, A> {
    state: Mutex<State<P, A>>,
    wake: Notify,
    limits: Limits,
}

impl<P, A> Queue<P, A> {
    pub(super) fn new(limits: Limits) -> Self {
        Self { state: Mutex::new(State { requests: VecDeque::new(), bytes: 0, closed: false }), wake: Notify::new(), limits }
    }

    fn lock(&self) -> MutexGuard<'_, State<P, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work of `cost` bytes and waits for its answer, or says why it was not taken.
    pub(super) async fn submit(&self, work: P, cost: usize) -> Result<A, StoreError> {
        let answer = self.push(work, cost)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the store's writer stopped; restart Watchfire".into())))
    }

    fn push(&self, work: P, cost: usize) -> Result<oneshot::Receiver<Result<A, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        if state.closed {
            return Err(closed());
        }
        let room = state.requests.is_empty() || state.bytes.saturating_add(cost) <= self.limits.bytes;
        if !room || state.requests.len() >= self.limits.requests {
            return Err(StoreError::Busy);
        }
        state.bytes += cost;
        state.requests.push_back(Request { work, reply, cost, at: Instant::now() });
        drop(state);
        self.wake.notify_one();
        Ok(answer)
    }

    /// Waits for work and takes what is there, up to a batch. `None` when the queue is closed and empty. What waited too long is answered
    /// [`StoreError::Busy`] here and never runs.
    pub(super) async fn take(&self) -> Option<Vec<Request<P, A>>> {
        loop {
            let Picked { batch, late, closed } = self.pick();
            for request in late {
                let _ = request.reply.send(Err(StoreError::Busy));
            }
            if !batch.is_empty() {
                return Some(batch);
            }
            if closed {
                return None;
            }
            self.wake.notified().await;
        }
    }

    fn pick(&self) -> Picked<P, A> {
        let mut state = self.lock();
        let (mut batch, mut late, mut bytes) = (Vec::new(), Vec::new(), 0);
        while batch.len() < BATCH_REQUESTS {
            if !state.requests.front().is_some_and(|next| batch.is_empty() || bytes + next.cost <= BATCH_BYTES) {
                break;
            }
            let Some(request) = state.requests.pop_front() else { break };
            state.bytes -= request.cost;
            if request.at.elapsed() > self.limits.age {
                late.push(request);
            } else {
                bytes += request.cost;
                batch.push(request);
            }
        }
        Picked { batch, late, closed: state.closed }
    }

    /// Takes nothing more in; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }
}
