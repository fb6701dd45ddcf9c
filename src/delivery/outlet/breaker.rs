//! The breaker: after five passing failures in a row an outlet rests, and one message at a time tries whether it is back. "Too fast" counts, too: a
//! platform that lets nothing through is asked ever less often, whatever wait it names.

use std::time::Duration;

/// Failures in a row that open it.
const THRESHOLD: u32 = 5;
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_secs(300);

/// Counts `Transient`, `Ambiguous` and `RateLimited` outcomes in a row across an outlet's lanes.
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

    /// The platform did not accept it this time. Returns how long to rest when that opens it or a trial failed. What fails while the outlet is `resting`
    /// was in flight before: many at once are one failure, else a burst would make the first rest the longest.
    pub fn failed(&mut self, resting: bool) -> Option<Duration> {
        self.failures = self.failures.saturating_add(1);
        if !self.is_open() || resting {
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
            assert_eq!(breaker.failed(false), None);
        }
        let rests: Vec<u64> = (0..9).map(|_| breaker.failed(false).map_or(0, |d| d.as_secs())).collect();
        assert_eq!(rests, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert!(breaker.is_open());
        breaker.answered();
        assert!(!breaker.is_open());
        assert_eq!(breaker.failed(false), None);
    }

    #[test]
    fn a_burst_of_failures_in_flight_at_once_is_one_rest() {
        let mut breaker = Breaker::default();
        let rests: Vec<Option<u64>> = (0..64).map(|i| breaker.failed(i > 4).map(|d| d.as_secs())).collect();
        assert_eq!(rests.iter().flatten().collect::<Vec<_>>(), [&5]);
        assert!(breaker.is_open());
        assert_eq!(breaker.failed(false).map(|d| d.as_secs()), Some(10), "the trial after it");
    }
}
