//! Numbers that both engines hold to.

/// One severity step is worth this much waiting, in milliseconds: what has waited longer overtakes. The expression of the index `lane_ready`, in both
/// engines, holds the same number.
pub const SEVERITY_STEP_MS: i64 = 300_000;

/// A delivery that waits for its next try never does so for longer, in milliseconds. One whose `due_at` lies further ahead was written before the clock
/// was set back: it is due.
pub const MAX_RETRY_DELAY_MS: i64 = 300_000;

/// Bytes of a platform's answer that are kept with an attempt.
pub(super) const MAX_ANSWER_BYTES: usize = 1024;

/// Attempts kept at each end of a message's history.
pub(super) const KEPT_ATTEMPTS: i64 = 10;

/// Attempts younger than this (milliseconds) are kept too: the sliding window of a new owner is rebuilt from them (I10).
pub(super) const RECENT_ATTEMPT_MS: i64 = 3_600_000;

/// Mutes that ended this many milliseconds ago are removed.
pub(super) const KEEP_ENDED_MUTES: i64 = 86_400_000;

/// Overrides of rotas that ended this many milliseconds ago are removed: 100 days.
pub(super) const KEEP_ENDED_OVERRIDES: i64 = 100 * 86_400_000;

/// How far back a chain of fallbacks is followed.
pub(super) const MAX_FALLBACK_DEPTH: i64 = 16;

/// The reason of a final delivery whose caller gave none (I4: a final delivery names its message or a reason).
pub(super) const NO_REASON: &str = "no reason was given";
