//! Work that is heavy: one large body at a time in memory, what takes long off the threads that answer, and no more requests than files may be open.
//!
//! An alert takes some 2 KB in memory and 200 bytes in a body, so a body of 8 MiB is 100 MB while it is read or rendered. Two of them at once
//! would be more than a small container has.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::lock::lock;
use crate::model::{LaneId, UnixMs};
use crate::store::LaneStarts;

/// Bytes of a body, or of the bodies that one message needs, above which they are large: worked on one after the other, and not kept in memory.
pub const LARGE_BODY: usize = 256 << 10;
/// Alerts above which an event is large.
pub const LARGE_EVENT_ALERTS: usize = 500;
/// Alerts above which a message is not rendered on the threads that answer.
const INLINE_ALERTS: usize = 20;
/// Where few files may be open, so many outlets are at their requests at a time, whatever each of them may use.
const OUTLETS_AT_ONCE: usize = 4;
/// Long works at once.
const MAX_PARALLEL: usize = 2;

/// Limits of heavy work.
#[derive(Debug)]
pub struct Heavy {
    one: Arc<Semaphore>,
    few: Arc<Semaphore>,
    requests: Semaphore,
    /// Requests that one outlet may be at, so that a platform that hangs leaves some to the others.
    pub per_outlet: usize,
    /// What was born before, Unix milliseconds, may have been begun by a process, or an attempt, that crashed at it.
    since: AtomicI64,
    /// What attempts that have not ended yet have marked as started in the store.
    started: Mutex<HashMap<LaneId, LaneStarts>>,
}

/// Held while a large body is in memory.
#[derive(Debug)]
pub struct LargeBodyPermit(#[allow(dead_code)] Option<OwnedSemaphorePermit>);

impl Heavy {
    /// The limits of a process that starts now and may be at so many requests to platforms.
    pub fn new(now: UnixMs, requests: usize) -> Self {
        Self {
            one: Arc::new(Semaphore::new(1)),
            few: Arc::new(Semaphore::new(MAX_PARALLEL)),
            requests: Semaphore::new(requests.min(Semaphore::MAX_PERMITS)),
            per_outlet: (requests / OUTLETS_AT_ONCE).max(1),
            since: now.0.into(),
            started: Mutex::default(),
        }
    }

    /// Whether something may have crashed at a delivery that was born then.
    pub fn may_have_crashed(&self, born_at: UnixMs) -> bool {
        born_at.0 < self.since.load(Ordering::Relaxed)
    }

    /// An attempt crashed, or the node that owned an outlet and did not release it: it may happen again, here.
    pub fn crashed(&self, now: UnixMs) {
        self.since.fetch_max(now.0, Ordering::Relaxed);
    }

    /// An attempt marked these lanes as started in the store.
    pub fn started(&self, started: &[LaneStarts]) {
        lock(&self.started).extend(started.iter().map(|one| (one.lane, *one)));
    }

    /// The attempt ended, or panicked.
    pub fn ended(&self, started: &[LaneStarts]) {
        let mut known = lock(&self.started);
        for one in started {
            known.remove(&one.lane);
        }
    }

    /// What attempts that have not ended have marked.
    pub fn still_started(&self) -> Vec<LaneStarts> {
        lock(&self.started).values().copied().collect()
    }

    /// Waits until no other large body is in memory. In the order of asking.
    pub async fn large_body(&self) -> LargeBodyPermit {
        // The semaphore is never closed.
        LargeBodyPermit(self.one.clone().acquire_owned().await.ok())
    }

    /// Waits until one request more may be open: each is an open file, and the system allows only so many. In the order of asking.
    pub async fn request(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.requests.acquire().await.ok()
    }

    /// Does work that takes a while on another thread, a few works at once. A panic in it is one here.
    pub async fn run_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let place = self.few.clone().acquire_owned().await;
        // The place is the thread's: who asked may give up before the work is done.
        let work = move || {
            let _place = place;
            work()
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only a runtime that ends cancels what it was given.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

/// Whether so many alerts take a while to render.
pub fn is_long(alerts: usize) -> bool {
    alerts > INLINE_ALERTS
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_is_alone_and_a_few_are_aside() {
        let heavy = Arc::new(Heavy::new(UnixMs(0), 4));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (heavy, now, most) = (heavy.clone(), now.clone(), most.clone());
                tokio::spawn(async move {
                    heavy
                        .run_blocking(move || {
                            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            std::thread::sleep(Duration::from_millis(10));
                            now.fetch_sub(1, Ordering::SeqCst);
                        })
                        .await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), MAX_PARALLEL);
        let alone = heavy.large_body().await;
        let second = tokio::time::timeout(Duration::from_millis(20), heavy.large_body()).await;
        assert!(second.is_err(), "one at a time");
        drop(alone);
        heavy.large_body().await;
    }
}
