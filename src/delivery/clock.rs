//! The one place that reads the time. Wall-clock time stamps rows; timers run on the runtime's monotonic clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::UnixMs;

/// One moment on both clocks, read together: a step decides by one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Never goes back; timers run by it.
    pub mono: Instant,
    /// What is stored and shown; people and time servers set it.
    pub wall: UnixMs,
}

/// A clock. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    /// Wall time that follows the runtime's (pausable) clock, plus a shift that tests change to make the wall clock jump.
    Runtime {
        base: UnixMs,
        start: Instant,
        shift: Arc<AtomicI64>,
    },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that shows `base` now and follows the runtime's clock, paused or not.
    pub fn runtime(base: UnixMs) -> Self {
        Self(Kind::Runtime { base, start: Instant::now(), shift: Arc::default() })
    }

    /// Makes the wall clock jump by `ms`; has no effect on the machine's clock.
    pub fn jump(&self, ms: i64) {
        if let Kind::Runtime { shift, .. } = &self.0 {
            shift.fetch_add(ms, Ordering::Relaxed);
        }
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        Now { mono: self.instant(), wall: self.wall() }
    }

    /// Wall-clock time.
    pub fn wall(&self) -> UnixMs {
        match &self.0 {
            Kind::System => Timestamp::now().into(),
            Kind::Runtime { base, start, shift } => *base + start.elapsed() + shift.load(Ordering::Relaxed),
        }
    }

    /// The monotonic clock.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }
}
