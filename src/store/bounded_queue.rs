//! What waits in front of a writer: how much of it may, how long, and in which order it is taken.
//!
//! Knows sizes, classes and ages; does not know what a request does, and is not synchronised.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::StoreError;

/// How long outcomes that nothing waits for may wait for others to share their commit: longer than a sender takes for its next event, shorter than what
/// a crash may repeat is worth.
pub(super) const COMPANY_TIMEOUT: Duration = Duration::from_millis(5);

/// How much may wait, and how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    pub(super) bytes: usize,
    pub(super) requests: usize,
    /// What waited longer is not begun any more.
    pub(super) age: Duration,
    /// How long outcomes that nothing waits for may wait for others to share their commit.
    pub(super) patience: Duration,
}

/// How long the oldest of a class may wait for others to share its commit, and how many of them are enough.
#[derive(Debug, Clone, Copy)]
pub(super) struct Company {
    pub(super) wait: Duration,
    pub(super) enough: usize,
}

impl Company {
    /// No waiting: an idle store answers at once.
    pub(super) const NONE: Self = Self { wait: Duration::ZERO, enough: 0 };

    /// For events, while `others` are being parsed and have not come this far: as PostgreSQL's `commit_delay` with `commit_siblings`
    /// (<https://www.postgresql.org/docs/current/runtime-config-wal.html>). About as long as a sync takes: a batch that is fuller is worth no more.
    pub(super) fn of_events(others: usize) -> Self {
        if others == 0 { Self::NONE } else { Self { wait: Duration::from_micros(500), enough: 128 } }
    }

    /// For outcomes that nothing waits for. A crash repeats those that wait, so they are few.
    pub(super) fn of_outcomes(limits: &QueueLimits) -> Self {
        Self { wait: limits.patience, enough: 32 }
    }
}

impl QueueLimits {
    /// All but the last eighth, which is kept for what matters more.
    pub(super) fn reduced(self) -> Self {
        Self { bytes: self.bytes - self.bytes / 8, requests: self.requests - self.requests / 8, ..self }
    }
}

struct Waiting<W> {
    work: W,
    cost: usize,
    since: Instant,
}

/// What is taken at once.
pub(super) struct Batch<W> {
    /// To be done together, in this order.
    pub(super) work: Vec<W>,
    /// Their bytes.
    pub(super) bytes: usize,
    /// What waited too long: to be answered [`StoreError::Busy`].
    pub(super) late: Vec<W>,
}

impl<W> Default for Batch<W> {
    fn default() -> Self {
        Self { work: Vec::new(), bytes: 0, late: Vec::new() }
    }
}

/// Requests that wait, in `CLASSES` queues that share their limits.
pub(super) struct Backlog<W, const CLASSES: usize> {
    classes: [VecDeque<Waiting<W>>; CLASSES],
    bytes: usize,
    pub(super) closed: bool,
}

impl<W, const CLASSES: usize> Default for Backlog<W, CLASSES> {
    fn default() -> Self {
        Self { classes: std::array::from_fn(|_| VecDeque::new()), bytes: 0, closed: false }
    }
}

impl<W, const CLASSES: usize> Backlog<W, CLASSES> {
    /// Requests that wait.
    pub(super) fn len(&self) -> usize {
        self.classes.iter().map(VecDeque::len).sum()
    }

    /// How long a class may still wait for company: zero when it is to be taken now, `None` when nothing of it waits.
    pub(super) fn may_wait(&self, class: usize, company: Company) -> Option<Duration> {
        let since = self.classes[class].front()?.since;
        let enough = self.closed || self.classes[class].len() >= company.enough;
        Some(if enough { Duration::ZERO } else { company.wait.saturating_sub(since.elapsed()) })
    }

    /// Whether nothing of a class waits.
    pub(super) fn is_empty(&self, class: usize) -> bool {
        self.classes[class].is_empty()
    }

    /// Adds work of `cost` bytes. A request that alone is over the limit is taken when nothing else waits.
    ///
    /// Errors: [`StoreError::Unavailable`] when the queue is closed, [`StoreError::Busy`] when it is full.
    pub(super) fn push(&mut self, class: usize, cost: usize, limits: QueueLimits, work: W) -> Result<(), StoreError> {
        if self.closed {
            return Err(StoreError::closed());
        }
        let fits = self.len() == 0 || self.bytes.saturating_add(cost) <= limits.bytes;
        if !fits || self.len() >= limits.requests {
            return Err(StoreError::Busy);
        }
        self.bytes += cost;
        self.classes[class].push_back(Waiting { work, cost, since: Instant::now() });
        Ok(())
    }

    /// Takes the next of a class, whatever its size and age.
    pub(super) fn pop(&mut self, class: usize) -> Option<W> {
        let next = self.classes[class].pop_front()?;
        self.bytes -= next.cost;
        Some(next.work)
    }

    /// Moves work of a class into the batch, until that holds so many requests or bytes. A larger single request still goes, alone.
    pub(super) fn fill(&mut self, class: usize, (requests, bytes): (usize, usize), age: Duration, batch: &mut Batch<W>) {
        while batch.work.len() < requests {
            let fits = |next: &Waiting<W>| batch.work.is_empty() || batch.bytes + next.cost <= bytes;
            if !self.classes[class].front().is_some_and(fits) {
                break;
            }
            let Some(next) = self.classes[class].pop_front() else { break };
            self.bytes -= next.cost;
            if next.since.elapsed() > age {
                batch.late.push(next.work);
            } else {
                batch.bytes += next.cost;
                batch.work.push(next.work);
            }
        }
    }
}
