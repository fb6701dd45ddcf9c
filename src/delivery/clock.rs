//! The one place that reads the time. Wall-clock time stamps rows; timers run on the runtime's monotonic clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use tokio::time::Instant;

/// A clock. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    /// Wall time that follows the runtime's (pausable) clock, plus a shift that tests change to make the wall clock jump.
    Runtime {
        base: i64,
        start: Instant,
        shift: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that shows `base` (Unix milliseconds) now and follows the runtime's clock, paused or not.
    pub fn runtime(base: i64) -> Self {
        Self(Kind::Runtime { base, start: Instant::now(), shift: Arc::default() })
    }

    /// Makes the wall clock jump by `ms`; has no effect on the machine's clock.
    pub fn jump(&self, ms: i64) {
        if let Kind::Runtime { shift, .. } = &self.0 {
            shift.fetch_add(ms, Ordering::Relaxed);
        }
    }

    /// Unix milliseconds UTC.
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Kind::System => Timestamp::now().as_millisecond(),
            Kind::Runtime { base, start, shift } => base + start.elapsed().as_millis() as i64 + shift.load(Ordering::Relaxed),
        }
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        timestamp(self.now_ms())
    }

    /// The monotonic clock.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }
}

/// A stored time as a timestamp; times out of range become the epoch.
pub fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
