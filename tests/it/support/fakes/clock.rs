//! The clock of a fake: a monotonic time for pace and token lifetimes, and a wall clock for signatures.
//! It follows tokio's clock (so a paused test clock pauses it too), can be moved forward, and its wall
//! part can be wrong on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// One moment, read once per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the fake was started; never goes back.
    pub mono_ms: u64,
    /// Unix milliseconds as the platform believes them.
    pub wall_ms: i64,
}

impl Now {
    /// A moment at which both clocks are given by the test.
    pub fn at_wall(wall_ms: i64) -> Self {
        Self { mono_ms: wall_ms.max(0) as u64, wall_ms }
    }

    /// Unix seconds as the platform believes them.
    pub fn wall_s(self) -> i64 {
        self.wall_ms.div_euclid(1000)
    }
}

/// A shared clock; clones are views onto one.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    start: Instant,
    start_wall_ms: i64,
    ahead_ms: AtomicU64,
    skew_ms: AtomicI64,
}

impl Clock {
    /// A clock that shows the machine's time.
    pub fn system() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        Self(Arc::new(Parts { start: Instant::now(), start_wall_ms: wall, ahead_ms: AtomicU64::new(0), skew_ms: AtomicI64::new(0) }))
    }

    /// Reads both times.
    pub fn now(&self) -> Now {
        let mono_ms = self.0.start.elapsed().as_millis() as u64 + self.0.ahead_ms.load(Ordering::SeqCst);
        Now { mono_ms, wall_ms: self.0.start_wall_ms + mono_ms as i64 + self.0.skew_ms.load(Ordering::SeqCst) }
    }

    /// Lets time pass at once: windows move on, penalties end, tokens expire.
    pub fn advance(&self, by: Duration) {
        self.0.ahead_ms.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
    }

    /// Makes the wall clock of the platform wrong by `ms` against this machine (the signature windows see it, pace does not).
    pub fn set_skew_ms(&self, ms: i64) {
        self.0.skew_ms.store(ms, Ordering::SeqCst);
    }
}
