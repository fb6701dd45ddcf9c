//! The bounded queue in front of the writer thread: what waits, in which order it is taken, and when there is too much of it.
//!
//! Knows sizes, classes and ages; does not know what a job does.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::error::DbError;
use crate::store::StoreError;

/// Requests in one transaction at most.
pub(super) const BATCH_REQUESTS: usize = 512;
/// Bytes in one transaction at most (a larger single request still goes, alone).
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// Work for the writer. It may run more than once: alone again, when the transaction it shared failed.
pub(super) trait Job: Send {
    /// Does the work in the open transaction. After an error all that it wrote is undone.
    fn run(&mut self, db: &Connection) -> Result<(), DbError>;
    /// Tells the one who asked; without `error` what the last `run` made has been committed.
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

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) requests: usize,
    pub(super) age: Duration,
}

struct Request {
    job: Box<dyn Job>,
    cost: usize,
    at: Instant,
}

#[derive(Default)]
struct State {
    accepts: VecDeque<Request>,
    others: VecDeque<Request>,
    purges: VecDeque<Request>,
    bytes: usize,
    closed: bool,
}

impl State {
    fn len(&self) -> usize {
        self.accepts.len() + self.others.len() + self.purges.len()
    }
}

/// What the writer takes at once.
#[derive(Default)]
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
    state: Mutex<State>,
    wake: Condvar,
    limits: Limits,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), limits }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work of `cost` bytes, or says why not. The last eighth of the queue is kept for what is not an accept, so that a flood of events
    /// cannot keep outcomes from being written.
    pub(super) fn push(&self, class: Class, cost: usize, job: Box<dyn Job>) -> Result<(), StoreError> {
        let share = |all: usize| if class == Class::Accept { all - all / 8 } else { all };
        let mut state = self.lock();
        if state.closed {
            return Err(closed());
        }
        let room = state.bytes == 0 || state.bytes.saturating_add(cost) <= share(self.limits.bytes);
        if !room || state.len() >= share(self.limits.requests) {
            return Err(StoreError::Busy);
        }
        state.bytes += cost;
        let request = Request { job, cost, at: Instant::now() };
        match class {
            Class::Accept => state.accepts.push_back(request),
            Class::Other => state.others.push_back(request),
            Class::Purge => state.purges.push_back(request),
        }
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Waits for work and takes what is there, up to a batch. `None` when the queue is closed and empty. What waited too long is answered
    /// [`StoreError::Busy`] here and never runs.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            let mut batch = Batch::default();
            let mut late = Vec::new();
            // A quarter of a batch is kept for the others when both wait: outcomes must not starve behind a flood of events.
            let for_accepts = if state.others.is_empty() { (BATCH_REQUESTS, BATCH_BYTES) } else { (BATCH_REQUESTS / 4 * 3, BATCH_BYTES / 4 * 3) };
            self.fill(&mut state, |s| &mut s.accepts, for_accepts, &mut batch, &mut late);
            self.fill(&mut state, |s| &mut s.others, (BATCH_REQUESTS, BATCH_BYTES), &mut batch, &mut late);
            if let Some(request) = state.purges.pop_front() {
                state.bytes -= request.cost;
                batch.purge = Some(request.job);
            }
            batch.last = state.len() == 0;
            if !late.is_empty() {
                drop(state);
                for job in late {
                    job.answer(Some(StoreError::Busy));
                }
                state = self.lock();
            }
            if !batch.jobs.is_empty() || batch.purge.is_some() {
                return Some(batch);
            }
            if state.len() > 0 {
                continue;
            }
            if state.closed {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn fill(
        &self,
        state: &mut State,
        lane: fn(&mut State) -> &mut VecDeque<Request>,
        (requests, bytes): (usize, usize),
        batch: &mut Batch,
        late: &mut Vec<Box<dyn Job>>,
    ) {
        while batch.jobs.len() < requests {
            let fits = |next: &Request| batch.jobs.is_empty() || batch.bytes + next.cost <= bytes;
            if !lane(state).front().is_some_and(fits) {
                break;
            }
            let Some(request) = lane(state).pop_front() else { break };
            state.bytes -= request.cost;
            if request.at.elapsed() > self.limits.age {
                late.push(request.job);
            } else {
                batch.bytes += request.cost;
                batch.jobs.push(request.job);
            }
        }
    }

    /// Takes nothing more in; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }
}

/// The answer of a store that was closed.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed: Watchfire is stopping".into())
}
