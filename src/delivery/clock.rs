//! The one place that reads the time. Wall-clock time stamps rows; timers run on the runtime's monotonic clock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::UnixMs;

/// The wall clock was set when it moved by more than this many milliseconds against the monotonic one; less is the time between reading the two.
const LEAST_STEP_MS: i64 = 1000;
/// Steps that are remembered.
const MAX_STEPS: usize = 16;

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
pub struct Clock {
    kind: Kind,
    steps: Arc<Mutex<Steps>>,
}

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

/// How the wall clock was set since the process started.
#[derive(Debug, Default)]
struct Steps {
    seen: Option<Now>,
    /// Oldest first, forward only: what was stored before a step back lies ahead, and counts as now.
    forward: VecDeque<Step>,
}

/// The wall clock was set forward.
#[derive(Debug)]
struct Step {
    /// When that was seen.
    at: Instant,
    /// The latest time that it may have shown before.
    last: UnixMs,
    /// Milliseconds.
    by: i64,
}

impl Steps {
    fn see(&mut self, now: Now) {
        let Some(before) = self.seen.replace(now) else { return };
        let last = before.wall + now.mono.saturating_duration_since(before.mono);
        let mut by = now.wall - last;
        if by > LEAST_STEP_MS {
            self.forward.push_back(Step { at: now.mono, last, by });
            self.forward.drain(..self.forward.len().saturating_sub(MAX_STEPS));
        }
        // A step back undoes those before it.
        while by < -LEAST_STEP_MS
            && let Some(step) = self.forward.back_mut()
        {
            let undone = step.by.min(-by);
            (step.by, by) = (step.by - undone, by + undone);
            if step.by == 0 {
                self.forward.pop_back();
            }
        }
    }
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::of(Kind::System)
    }

    /// A clock that shows `base` now and follows the runtime's clock, paused or not.
    pub fn runtime(base: UnixMs) -> Self {
        Self::of(Kind::Runtime { base, start: Instant::now(), shift: Arc::default() })
    }

    fn of(kind: Kind) -> Self {
        Self { kind, steps: Arc::default() }
    }

    /// Makes the wall clock jump by `ms`; has no effect on the machine's clock.
    pub fn jump(&self, ms: i64) {
        if let Kind::Runtime { shift, .. } = &self.kind {
            shift.fetch_add(ms, Ordering::Relaxed);
        }
    }

    /// Both clocks.
    pub fn now(&self) -> Now {
        // Read under the lock: two readings that come out of order would look like a step.
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Now { mono: self.instant(), wall: self.wall() };
        steps.see(now);
        now
    }

    /// The time that has passed since the wall clock showed `then`, though it was set forward since by a step that this process has seen.
    pub fn age(&self, then: UnixMs, now: Now) -> Duration {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let then = steps.forward.iter().fold(then, |then, step| if then <= step.last { then + step.by } else { then });
        now.wall.since(then)
    }

    /// What the wall clock showed this long ago, or earlier.
    pub fn shown_before(&self, span: Duration, now: Now) -> UnixMs {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = steps.forward.iter().filter(|step| now.mono.saturating_duration_since(step.at) <= span);
        recent.fold(now.wall - span, |shown, step| shown - step.by)
    }

    /// Wall-clock time.
    pub fn wall(&self) -> UnixMs {
        match &self.kind {
            Kind::System => Timestamp::now().into(),
            Kind::Runtime { base, start, shift } => *base + start.elapsed() + shift.load(Ordering::Relaxed),
        }
    }

    /// The monotonic clock.
    pub fn instant(&self) -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const START: UnixMs = UnixMs(1_764_000_000_000);

    fn seconds(clock: &Clock, then: UnixMs) -> u64 {
        clock.age(then, clock.now()).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn an_age_does_not_grow_with_a_clock_that_is_set_forward() {
        let clock = Clock::runtime(START);
        let pass = async || tokio::time::advance(Duration::from_secs(10)).await;
        let first = clock.now().wall;
        pass().await;
        let second = clock.now().wall;
        clock.jump(HOUR_MS);
        pass().await;
        let third = clock.now().wall;
        assert_eq!(clock.shown_before(Duration::from_secs(60), clock.now()), third - HOUR_MS - 60_000);
        assert_eq!((seconds(&clock, first), seconds(&clock, second), seconds(&clock, third)), (20, 10, 0));
        clock.jump(HOUR_MS);
        pass().await;
        let fourth = clock.now().wall;
        assert_eq!([first, second, third, fourth].map(|then| seconds(&clock, then)), [30, 20, 10, 0]);
        clock.jump(-HOUR_MS);
        pass().await;
        assert_eq!([first, second, third, fourth].map(|then| seconds(&clock, then)), [40, 30, 20, 0], "what lies ahead counts as now");
        clock.jump(-2 * HOUR_MS);
        pass().await;
        let now = clock.now();
        assert_eq!(clock.shown_before(Duration::from_secs(60), now), now.wall - 60_000, "nothing is left of the steps");
        tokio::time::advance(Duration::from_secs(3600)).await;
        clock.now();
        assert_eq!(seconds(&clock, now.wall), 3600);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_steps_are_remembered() {
        let clock = Clock::runtime(START);
        for _ in 0..100 {
            clock.now();
            clock.jump(HOUR_MS);
        }
        let now = clock.now();
        assert_eq!(clock.shown_before(Duration::ZERO, now), now.wall - HOUR_MS * MAX_STEPS as i64);
    }
}
