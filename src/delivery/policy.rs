//! What happens after one try: a pure decision over the platform's descriptor, the tries spent, the ages and a jitter.

use std::time::Duration;

use crate::channel::OnAmbiguous;
use crate::model::{ErrorKind, Receipt, SendError, UnixMs, format_duration};

/// First back-off step.
pub const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// Longest back-off step.
pub const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// Pause when a platform says "too fast" without saying for how long.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(60);
/// Shortest pause after "too fast": `Retry-After: 0`, or a date that our clock takes for past, must not make a loop.
pub const MIN_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause a platform's answer can set: a typo in a header must not silence a channel for a week.
pub const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// The waits before a message is repeated whose outcome is unknown, where that does no harm. Each repeat may be a second copy of the same message, so
/// they are few and spread out.
const REPEAT_DELAYS: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(20), Duration::from_secs(120)];

/// What the decision depends on besides the result.
#[derive(Debug, Clone, Copy)]
pub struct AttemptFacts {
    /// Tries spent, this one included.
    pub tries: u32,
    /// Outcomes of it that nobody knows, this one included.
    pub unanswered: u32,
    /// When the delivery was born.
    pub born_at: UnixMs,
    /// Now.
    pub now: UnixMs,
    /// How long a delivery may be retried.
    pub max_age: Duration,
    /// What the platform's descriptor says of unknown outcomes.
    pub ambiguous: OnAmbiguous,
    /// Whether this is a direct send: one try, no second.
    pub direct: bool,
    /// Uniform in [0, 1).
    pub jitter: f64,
}

/// What happens next to one recipient of one page.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The platform confirmed it.
    Sent,
    /// Try again, not before this.
    Retry {
        /// Not before.
        due: UnixMs,
    },
    /// The outlet pauses until then; no try is spent.
    Pause {
        /// Until when.
        until: UnixMs,
    },
    /// The outlet is suspended until its configuration works; no try is spent.
    Suspend {
        /// Why.
        reason: String,
    },
    /// It can never succeed, or not within its age.
    Dead {
        /// Why.
        reason: String,
    },
    /// It may have been delivered, and must not be sent again.
    Unknown {
        /// What is known.
        reason: String,
    },
}

/// Decides. Pure: time and chance are arguments.
pub fn decide(t: AttemptFacts, result: &Result<Receipt, SendError>) -> Decision {
    let error = match result {
        Ok(_) => return Decision::Sent,
        Err(error) => error,
    };
    let kind = error.kind;
    if kind == ErrorKind::Ambiguous && (t.direct || t.ambiguous == OnAmbiguous::Never) {
        return Decision::Unknown { reason: format!("{error}; it may have been delivered and is not sent again") };
    }
    let repeat = REPEAT_DELAYS.get(t.unanswered.saturating_sub(1) as usize);
    if kind == ErrorKind::Ambiguous && repeat.is_none() {
        let times = t.unanswered;
        return Decision::Unknown { reason: format!("{error}; it was sent {times} times, may have been delivered, and is not sent again") };
    }
    if t.direct || kind == ErrorKind::Rejected {
        return Decision::Dead { reason: error.to_string() };
    }
    // The age counts only after a failed try: what waited through an outage of ours gets its chance first.
    let age = t.now.since(t.born_at);
    if age >= t.max_age && kind == ErrorKind::Ambiguous {
        return Decision::Unknown { reason: format!("{error}; it may have been delivered, and is too old to be sent again") };
    }
    if age >= t.max_age {
        return Decision::Dead { reason: format!("not delivered within {} ({} tries); last error: {error}", format_duration(t.max_age), t.tries) };
    }
    match kind {
        // One person's limit: nobody else waits for it.
        ErrorKind::RateLimited { retry_after } if error.recipient => {
            Decision::Retry { due: t.now + pause(retry_after).max(backoff(t.tries, t.jitter)).min(MAX_BACKOFF) }
        }
        ErrorKind::RateLimited { retry_after } => Decision::Pause { until: t.now + pause(retry_after) },
        ErrorKind::Misconfigured => Decision::Suspend { reason: error.to_string() },
        ErrorKind::Ambiguous => {
            let wait = repeat.map_or(MAX_BACKOFF, |wait| wait.mul_f64(0.75 + t.jitter.clamp(0.0, 1.0) / 2.0));
            Decision::Retry { due: t.now + wait }
        }
        _ => Decision::Retry { due: t.now + backoff(t.tries, t.jitter) },
    }
}

/// How long an outlet pauses when the platform says "too fast" and when to come back: from 1 s to an hour. That the pauses grow while nothing gets
/// through is the breaker's part.
pub fn pause(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or(DEFAULT_PAUSE).clamp(MIN_PAUSE, MAX_PAUSE)
}

/// How long until a try is due. No try waits for longer than [`MAX_BACKOFF`]: what seems to was set before the wall clock was set back, and is due.
pub fn wait_until(due_at: UnixMs, now: UnixMs) -> Duration {
    let ahead = due_at.since(now);
    if ahead > MAX_BACKOFF { Duration::ZERO } else { ahead }
}

/// Exponential back-off with full jitter, from 1 s doubling to 5 min; at least 200 ms.
pub fn backoff(tries: u32, jitter: f64) -> Duration {
    let ceiling = FIRST_BACKOFF.saturating_mul(1u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX)).min(MAX_BACKOFF);
    ceiling.mul_f64(jitter.clamp(0.0, 1.0)).max(Duration::from_millis(200))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn a_try_is_due_when_its_time_has_come_or_no_clock_can_have_meant_it() {
        let table = [(0, 0, 0), (-5, 0, 0), (2_000, 0, 2_000), (300_000, 0, 300_000), (300_001, 0, 0), (3_602_000, 0, 0), (i64::MAX, -5, 0)];
        for (due_at, now, millis) in table {
            assert_eq!(wait_until(UnixMs(due_at), UnixMs(now)), Duration::from_millis(millis), "due at {due_at}, now {now}");
        }
    }

    fn at(tries: u32, age_minutes: i64) -> AttemptFacts {
        AttemptFacts {
            tries,
            unanswered: 1,
            born_at: UnixMs::EPOCH,
            now: UnixMs(age_minutes * MINUTE),
            max_age: Duration::from_secs(3600),
            ambiguous: OnAmbiguous::Retry,
            direct: false,
            jitter: 0.5,
        }
    }

    fn fail(kind: ErrorKind) -> Result<Receipt, SendError> {
        Err(SendError::new(kind, "refused"))
    }

    #[test]
    fn the_table() {
        let never = |t: AttemptFacts| AttemptFacts { ambiguous: OnAmbiguous::Never, ..t };
        let direct = |t: AttemptFacts| AttemptFacts { direct: true, ..t };
        let rate = |s| ErrorKind::RateLimited { retry_after: s };
        let dead = |d: &Decision| matches!(d, Decision::Dead { .. });
        let unknown = |d: &Decision| matches!(d, Decision::Unknown { .. });
        let hold = |d: &Decision| matches!(d, Decision::Suspend { .. });
        assert_eq!(decide(at(1, 0), &Ok(Receipt::default())), Decision::Sent);
        assert_eq!(decide(at(9, 600), &Ok(Receipt::default())), Decision::Sent, "success is success at any age");
        assert_eq!(decide(at(1, 1), &fail(ErrorKind::Transient)), Decision::Retry { due: UnixMs(MINUTE + 500) });
        assert_eq!(decide(at(3, 1), &fail(ErrorKind::Transient)), Decision::Retry { due: UnixMs(MINUTE + 2000) });
        assert_eq!(decide(at(30, 1), &fail(ErrorKind::Transient)), Decision::Retry { due: UnixMs(MINUTE + 150_000) }, "capped at 5 min");
        assert!(dead(&decide(at(3, 60), &fail(ErrorKind::Transient))), "too old after a failed try");
        assert_eq!(decide(at(1, 1), &fail(ErrorKind::Ambiguous)), Decision::Retry { due: UnixMs(MINUTE + 2000) });
        assert!(unknown(&decide(at(1, 61), &fail(ErrorKind::Ambiguous))), "what may have come is never called not delivered");
        assert!(unknown(&decide(never(at(1, 1)), &fail(ErrorKind::Ambiguous))));
        assert!(unknown(&decide(direct(at(1, 1)), &fail(ErrorKind::Ambiguous))));
        assert!(dead(&decide(direct(at(1, 1)), &fail(ErrorKind::Transient))));
        assert!(dead(&decide(direct(at(1, 1)), &fail(ErrorKind::Misconfigured))), "a direct send never suspends the outlet");
        assert!(dead(&decide(at(1, 1), &fail(ErrorKind::Rejected))));
        assert!(dead(&decide(never(at(1, 1)), &fail(ErrorKind::Rejected))));
        assert!(hold(&decide(at(1, 1), &fail(ErrorKind::Misconfigured))));
        assert!(dead(&decide(at(1, 61), &fail(ErrorKind::Misconfigured))));
        let secs = |s| Some(Duration::from_secs(s));
        assert_eq!(decide(at(1, 1), &fail(rate(secs(7)))), Decision::Pause { until: UnixMs(MINUTE + 7000) });
        assert_eq!(decide(at(1, 1), &fail(rate(None))), Decision::Pause { until: UnixMs(2 * MINUTE) });
        assert_eq!(decide(at(1, 1), &fail(rate(secs(1 << 30)))), Decision::Pause { until: UnixMs(61 * MINUTE) }, "capped at 1 h");
        assert_eq!(decide(at(1, 1), &fail(rate(secs(0)))), Decision::Pause { until: UnixMs(MINUTE + 1000) }, "never at once");
        assert!(dead(&decide(at(1, 61), &fail(rate(secs(7))))));
        assert!(dead(&decide(direct(at(1, 1)), &fail(rate(secs(7))))));
        let of_one = |s| Err(SendError::new(rate(s), "too much for this number").of_recipient());
        assert_eq!(decide(at(1, 1), &of_one(secs(30))), Decision::Retry { due: UnixMs(MINUTE + 30_000) }, "the outlet goes on");
        assert_eq!(decide(at(30, 1), &of_one(secs(30))), Decision::Retry { due: UnixMs(MINUTE + 150_000) }, "ever more seldom");
        assert_eq!(decide(at(1, 1), &of_one(secs(3600))), Decision::Retry { due: UnixMs(MINUTE + 300_000) }, "a try is not planned further ahead");
        assert!(dead(&decide(at(1, 61), &of_one(secs(30)))) && dead(&decide(direct(at(1, 1)), &of_one(secs(30)))));
        assert_eq!(decide(never(at(2, 1)), &fail(ErrorKind::Transient)), Decision::Retry { due: UnixMs(MINUTE + 1000) }, "known not to have left");
    }

    #[test]
    fn a_dead_letter_names_the_last_error_and_the_tries() {
        let Decision::Dead { reason } = decide(at(12, 60), &Err(SendError::new(ErrorKind::Transient, "connection refused").code("ECONNREFUSED")))
        else {
            panic!("must be dead");
        };
        assert_eq!(reason, "not delivered within 1h (12 tries); last error: connection refused (code ECONNREFUSED)");
    }

    #[test]
    fn an_unknown_outcome_is_repeated_three_times_spread_out_and_then_told() {
        for jitter in [0.0, 0.5, 1.0] {
            let mut waits = Vec::new();
            for unanswered in 1.. {
                match decide(AttemptFacts { unanswered, jitter, ..at(unanswered, 1) }, &fail(ErrorKind::Ambiguous)) {
                    Decision::Retry { due } => waits.push(due - UnixMs(MINUTE)),
                    Decision::Unknown { reason } => {
                        assert_eq!(reason, "refused; it was sent 4 times, may have been delivered, and is not sent again");
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(waits.len(), 3);
            assert!(
                waits[0] >= 1500 && waits[1] > 5 * waits[0] && waits[2] > 3 * waits[1] && waits[2] <= MAX_BACKOFF.as_millis() as i64,
                "{waits:?}"
            );
        }
    }

    #[test]
    fn back_off_never_is_zero_nor_over_the_cap() {
        for tries in [0, 1, 2, 10, 31, 32, 33, u32::MAX] {
            for jitter in [0.0, 0.3, 0.999] {
                let wait = backoff(tries, jitter);
                assert!(wait >= Duration::from_millis(200) && wait <= MAX_BACKOFF, "{tries} {jitter} {wait:?}");
            }
        }
    }
}
