//! What became of one try: a receipt, or an error of a kind that decides what happens next.

use std::fmt;
use std::time::Duration;

use super::PlatformIds;

/// The platform's proof of success for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// The platform's own ids of the message, where it returns any.
    pub ids: PlatformIds,
    /// The platform's result code (`0`, `ok`, `250`).
    pub code: String,
    /// The platform's answer, capped at 1 KiB and scrubbed of secrets.
    pub answer: String,
}

/// What a failed try means for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Passing trouble: try again by the schedule.
    Transient,
    /// Too fast: pause the outlet; spends no try. One that is about its recipient alone lets only that recipient wait.
    RateLimited {
        /// How long the platform asked us to wait; `None` when it did not say.
        retry_after: Option<Duration>,
    },
    /// The request was written and no answer came: it may have been delivered.
    Ambiguous,
    /// This content or recipient can never succeed.
    Rejected,
    /// This outlet cannot succeed until somebody changes something (bad token, IP not allowed).
    Misconfigured,
}

impl ErrorKind {
    /// The name in metrics, logs, SQL and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Transient => "transient",
            ErrorKind::RateLimited { .. } => "rate_limited",
            ErrorKind::Ambiguous => "ambiguous",
            ErrorKind::Rejected => "rejected",
            ErrorKind::Misconfigured => "misconfigured",
        }
    }

    /// The kind of that name; `Ambiguous` for a name that is none, because then nothing is known.
    pub fn named(name: &str) -> Self {
        match name {
            "transient" => ErrorKind::Transient,
            "rate_limited" => ErrorKind::RateLimited { retry_after: None },
            "rejected" => ErrorKind::Rejected,
            "misconfigured" => ErrorKind::Misconfigured,
            _ => ErrorKind::Ambiguous,
        }
    }
}

/// Why one try failed. `summary` and `detail` are safe to show: they hold no secret.
#[derive(Debug, Clone)]
pub struct SendError {
    /// What it means for the next try.
    pub kind: ErrorKind,
    /// The platform's own code (`310000`, `invalid_auth`, `550`), when it gave one.
    pub code: Option<String>,
    /// One sentence: what happened and what to do.
    pub summary: String,
    /// The platform's own answer body, capped at 1 KiB and scrubbed of secrets.
    pub detail: Option<String>,
    /// Whether the recipient is refused (a bad mailbox, an unknown user) or gets no more for now, not the content: other words would not help, and other
    /// recipients are not concerned.
    pub recipient: bool,
    /// Whether somebody who is mentioned is refused, not the content: without its mentions the message may be taken.
    pub mentions: bool,
    /// Whether the message that was to be edited or answered is gone, too old, or not ours: a new message must take its place. The kind is `Rejected`.
    pub gone: bool,
}

impl SendError {
    /// An error of `kind` with a one-sentence summary.
    pub fn new(kind: ErrorKind, summary: impl Into<String>) -> Self {
        Self { kind, code: None, summary: summary.into(), detail: None, recipient: false, mentions: false, gone: false }
    }

    /// Adds the platform's own code.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Says that it is about the recipient, not the content or the outlet.
    pub fn of_recipient(mut self) -> Self {
        self.recipient = true;
        self
    }

    /// Says that it is a mention that is refused, not the content. The message is tried once more without its mentions, and says so.
    pub fn of_mentions(mut self) -> Self {
        self.mentions = true;
        self
    }

    /// Says that the message that was to be edited or answered is gone, too old, or not ours. It is no failure of what it should show.
    pub fn gone(mut self) -> Self {
        self.kind = ErrorKind::Rejected;
        self.gone = true;
        self
    }

    /// Adds the platform's own answer; the caller has scrubbed and capped it.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)?;
        if let Some(code) = &self.code {
            write!(f, " (code {code})")?;
        }
        Ok(())
    }
}

impl std::error::Error for SendError {}
