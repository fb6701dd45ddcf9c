//! Pace as platforms enforce it: a true rolling window with an optional penalty, or a bucket with a burst.
//! Time is an argument. Every rule can be scaled down so that a test of minutes runs in moments, or be off.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// One rule of pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// No limit.
    Off,
    /// At most `limit` in any span of `window`; a breach locks the key for `penalty` (zero: only until the window has room).
    Rolling {
        /// How many calls fit.
        limit: u32,
        /// The rolling span.
        window: Duration,
        /// How long a breach locks.
        penalty: Duration,
    },
    /// One call per `every`, with `burst` calls of credit.
    Bucket {
        /// The lasting interval.
        every: Duration,
        /// How many may come at once.
        burst: u32,
    },
}

impl Pace {
    /// A rolling window without a penalty.
    pub const fn per(limit: u32, window: Duration) -> Self {
        Pace::Rolling { limit, window, penalty: Duration::ZERO }
    }

    /// The same rule, `factor` times faster (counts stay, durations shrink).
    pub fn faster(self, factor: f64) -> Self {
        match self {
            Pace::Off => Pace::Off,
            Pace::Rolling { limit, window, penalty } => Pace::Rolling { limit, window: window.div_f64(factor), penalty: penalty.div_f64(factor) },
            Pace::Bucket { every, burst } => Pace::Bucket { every: every.div_f64(factor), burst },
        }
    }
}

#[derive(Debug, Default)]
struct Key {
    log: VecDeque<u64>,
    locked_until: u64,
    /// The bucket's theoretical arrival time.
    tat: u64,
}

/// One rule applied to many keys (robots, channels, members, addresses).
#[derive(Debug)]
pub struct Limiter {
    pace: Pace,
    keys: HashMap<String, Key>,
}

impl Limiter {
    /// A limiter with this rule.
    pub fn new(pace: Pace) -> Self {
        Self { pace, keys: HashMap::new() }
    }

    /// The active rule.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Replaces the rule and forgets what was counted.
    pub fn set(&mut self, pace: Pace) {
        self.pace = pace;
        self.keys.clear();
    }

    /// Takes one call for `key`, or says how long the key is closed. A refused call does not count.
    pub fn take(&mut self, key: &str, now_ms: u64) -> Result<(), Duration> {
        if self.pace == Pace::Off {
            return Ok(());
        }
        if self.keys.len() > 100_000 {
            self.forget_idle(now_ms);
        }
        let state = self.keys.entry(key.to_owned()).or_default();
        match self.pace {
            Pace::Off => Ok(()),
            Pace::Rolling { limit, window, penalty } => {
                if now_ms < state.locked_until {
                    return Err(Duration::from_millis(state.locked_until - now_ms));
                }
                let window_ms = window.as_millis() as u64;
                while state.log.front().is_some_and(|&t| now_ms >= t + window_ms) {
                    state.log.pop_front();
                }
                if (state.log.len() as u64) < u64::from(limit) {
                    state.log.push_back(now_ms);
                    return Ok(());
                }
                let room = state.log.front().map_or(window_ms, |&t| t + window_ms - now_ms);
                let wait = room.max(penalty.as_millis() as u64);
                if !penalty.is_zero() {
                    state.locked_until = now_ms + wait;
                }
                Err(Duration::from_millis(wait))
            }
            Pace::Bucket { every, burst } => {
                let every_ms = (every.as_millis() as u64).max(1);
                let credit = every_ms * u64::from(burst.saturating_sub(1));
                let tat = state.tat.max(now_ms);
                if tat - now_ms > credit {
                    return Err(Duration::from_millis(tat - now_ms - credit));
                }
                state.tat = tat + every_ms;
                Ok(())
            }
        }
    }

    fn forget_idle(&mut self, now_ms: u64) {
        let window_ms = if let Pace::Rolling { window, .. } = self.pace { window.as_millis() as u64 } else { 0 };
        self.keys.retain(|_, k| k.locked_until > now_ms || k.tat > now_ms || k.log.back().is_some_and(|&t| t + window_ms > now_ms));
    }
}
