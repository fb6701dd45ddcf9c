//! The breaker: after five passing failures in a row an outlet rests, and one message at a time tries whether it is back.

use std::time::Duration;

/// Failures in a row that open it.
const THRESHOLD: u32 = 5;
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// Counts `Transient` and `Ambiguous` outcomes in a row across an outlet's lanes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Breaker {
    failures: u32,
    rest: Duration,
}

impl Breaker {
    /// Whether only one message at a time may be tried.
    pub fn is_open(&self) -> bool {
        self.failures >= THRESHOLD
    }

    /// The platform answered (even a refusal is an answer): closed again.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// The platform did not answer sensibly. Gives how long to rest when that opens it or a trial failed.
    pub fn failed(&mut self) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if !self.is_open() {
            return None;
        }
        self.rest = if self.rest.is_zero() { FIRST_REST } else { (self.rest * 2).min(LONGEST_REST) };
        Some(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_at_five_doubles_to_five_minutes_and_closes_on_an_answer() {
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert_eq!(breaker.failed(), None);
        }
        let rests: Vec<u64> = (0..9).map(|_| breaker.failed().map_or(0, |d| d.as_secs())).collect();
        assert_eq!(rests, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert!(breaker.is_open());
        breaker.answered();
        assert!(!breaker.is_open());
        assert_eq!(breaker.failed(), None);
    }
}
