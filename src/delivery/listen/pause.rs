//! How long a listener waits before it opens the next connection. Pure.

use std::time::Duration;

use crate::channel::ListenEnd;
use crate::model::ErrorKind;

const SECOND: Duration = Duration::from_secs(1);

/// The pause doubles with each failure from a second to this.
const LONGEST: Duration = Duration::from_secs(60);

/// A connection that lasted this long worked: what comes next is a first failure.
const STEADY: Duration = Duration::from_secs(10);

/// Credentials that are refused are tried this often: somebody has to change something, here or on the platform.
const MISCONFIGURED: Duration = Duration::from_secs(300);

/// A rate limit that names no time: Slack's SDKs wait as long (<https://docs.slack.dev/apis/web-api/rate-limits>).
const RATE_LIMITED: Duration = Duration::from_secs(30);

/// No platform's word keeps the buttons from working longer than this.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// Two listeners that take each other's place must not do so all the time.
const REPLACED: Duration = Duration::from_secs(10);

/// The failures in a row of one listener.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// How long to wait after a connection ended, which had been connected for `lasted` (zero: never). `jitter` is uniform in [0, 1).
    pub(super) fn after(&mut self, end: &ListenEnd, lasted: Duration, jitter: f64) -> Duration {
        if lasted >= STEADY {
            self.failures = 0;
        }
        match end {
            ListenEnd::Closed if lasted >= STEADY => Duration::ZERO,
            ListenEnd::Lost(error) => match error.kind {
                ErrorKind::Misconfigured => MISCONFIGURED,
                ErrorKind::RateLimited { retry_after } => {
                    // A wait of nothing grows, too, as long as nothing works.
                    retry_after.unwrap_or(RATE_LIMITED).clamp(SECOND, LONGEST_ASKED).max(self.growing(jitter))
                }
                _ => self.growing(jitter),
            },
            ListenEnd::Closed => self.growing(jitter),
            ListenEnd::Replaced => self.growing(jitter).max(REPLACED),
        }
    }

    /// Half of it is chance, so that the nodes of a cluster do not come all at once.
    fn growing(&mut self, jitter: f64) -> Duration {
        let whole = (SECOND * 2u32.pow(self.failures.min(6))).min(LONGEST);
        self.failures += 1;
        whole.mul_f64(0.5 + jitter / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SendError;

    fn lost(kind: ErrorKind) -> ListenEnd {
        ListenEnd::Lost(SendError::new(kind, "x"))
    }

    const SECONDS: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn failures_wait_longer_up_to_a_minute_and_a_connection_that_worked_starts_over() {
        let mut pauses = Pauses::default();
        let mut after = |end: &ListenEnd, lasted, jitter| pauses.after(end, lasted, jitter);
        let broken = lost(ErrorKind::Transient);
        let waits: Vec<u64> = (0..9).map(|_| after(&broken, Duration::ZERO, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(after(&broken, SECONDS(9), 0.0), SECONDS(30), "half of it is chance");
        assert_eq!(after(&broken, SECONDS(10), 1.0), SECONDS(1));
        assert_eq!(after(&broken, Duration::ZERO, 1.0), SECONDS(2));
    }

    #[test]
    fn a_usual_end_is_followed_at_once_and_never_in_a_tight_loop() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.after(&ListenEnd::Closed, SECONDS(3600), 1.0), Duration::ZERO);
        let waits: Vec<u64> = (0..4).map(|_| pauses.after(&ListenEnd::Closed, SECONDS(1), 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8]);
        assert_eq!(Pauses::default().after(&ListenEnd::Replaced, SECONDS(1), 0.0), SECONDS(10));
    }

    #[test]
    fn a_platforms_own_delay_is_kept_and_bad_credentials_are_tried_seldom() {
        let mut pauses = Pauses::default();
        let limited = |retry_after| lost(ErrorKind::RateLimited { retry_after });
        assert_eq!(pauses.after(&limited(Some(SECONDS(17))), SECONDS(0), 0.0), SECONDS(17));
        assert_eq!(pauses.after(&limited(Some(Duration::ZERO)), SECONDS(0), 0.0), SECONDS(1));
        // A server that says so again and again is asked ever more seldom.
        let waits: Vec<u64> = (0..7).map(|_| pauses.after(&limited(Some(Duration::ZERO)), SECONDS(0), 1.0).as_secs()).collect();
        assert_eq!(waits, [4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pauses.after(&limited(Some(SECONDS(86_400))), SECONDS(0), 0.0), SECONDS(3600));
        assert_eq!(Pauses::default().after(&limited(None), SECONDS(0), 0.0), SECONDS(30));
        assert_eq!(pauses.after(&lost(ErrorKind::Misconfigured), SECONDS(0), 0.9), SECONDS(300));
    }
}
