//! The types of a store's requests and answers: errors, and what all requests share. The rest is in the submodules, by the step it belongs to.

mod anchor;
mod audit;
mod found_by;
mod guard;
mod history;
mod incident;
mod intake;
mod lane;
mod mute;
mod notice;
mod oncall;
mod outcome;
mod owner;
mod receipt;
mod relocation;
mod session;
mod silence;
mod step;
mod timeline;

pub use anchor::*;
pub use audit::*;
pub use found_by::*;
pub use guard::*;
pub use history::*;
pub use incident::*;
pub use intake::*;
pub use lane::*;
pub use mute::*;
pub use notice::*;
pub use oncall::*;
pub use outcome::*;
pub use owner::*;
pub use receipt::*;
pub use relocation::*;
pub use session::*;
pub use silence::*;
pub use step::*;
pub use timeline::*;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::model::{DeliveryId, Mentions, Page, Recipient};

/// Why a store did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Too much is queued; try again.
    #[error("the store's queue is full; try again in a few seconds")]
    Busy,
    /// The work was cancelled because it took too long; the text says why and what to do.
    #[error("{0}")]
    Slow(String),
    /// The disk or database does not take writes now; the text says why and what to do.
    #[error("{0}")]
    Unavailable(String),
    /// The caller no longer owns the outlet.
    #[error("this node no longer owns the outlet")]
    Fenced,
    /// The database is damaged or of another version; the text says what to do.
    #[error("{0}")]
    Unusable(String),
    /// What was to be begun is not called for any more, or what was to be ended is called for again; the text says why.
    #[error("{0}")]
    Overtaken(String),
    /// The request itself makes no sense (an unknown id, a wrong state).
    #[error("{0}")]
    Invalid(String),
}

impl StoreError {
    /// The answer of a store that was closed.
    pub(in crate::store) fn closed() -> Self {
        StoreError::Unavailable("the store is closed: Watchfire is stopping".into())
    }

    /// The answer when the writer is gone.
    pub(in crate::store) fn writer_stopped() -> Self {
        StoreError::Unavailable("the store's writer stopped; restart Watchfire".into())
    }

    /// The answer to a request whose work panicked.
    pub(in crate::store) fn panicked() -> Self {
        StoreError::Invalid("a bug in the store stopped this request; nothing of it was written, please report it".into())
    }
}

/// Why opening a store takes so long. Clones share the reason.
#[derive(Debug, Clone)]
pub struct OpenProgress(watch::Sender<String>);

impl OpenProgress {
    /// Without a reason yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(String::new()))
    }

    /// Reports why: in the log once, and from then on to any caller of [`OpenProgress::reason`].
    pub(super) fn say(&self, error: &StoreError) {
        if self.0.send_replace(error.to_string()).is_empty() {
            tracing::warn!(%error, "waiting for the store; nothing is taken or sent until it can be used");
        }
    }

    /// The last reason; empty when there is none.
    pub fn reason(&self) -> String {
        self.0.borrow().clone()
    }
}

impl Default for OpenProgress {
    fn default() -> Self {
        Self::new()
    }
}

/// How a delivery is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Durable, retried.
    Queued,
    /// A direct send: one attempt, its caller waits for it.
    Direct,
}

impl Mode {
    /// The name in SQL.
    pub(in crate::store) fn as_str(self) -> &'static str {
        match self {
            Mode::Queued => "queued",
            Mode::Direct => "sync",
        }
    }

    /// The mode of that name in SQL.
    pub(in crate::store) fn parse(name: &str) -> Option<Self> {
        [Mode::Queued, Mode::Direct].into_iter().find(|mode| mode.as_str() == name)
    }
}

/// A delivery's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not final: to be sent.
    Waiting,
    /// Not final: muted until its `due_at`.
    Deferred,
    /// Final: the platform confirmed it.
    Sent,
    /// Final: it cannot be delivered; the reason is with it.
    Dead,
    /// Final: ended by a person.
    Dropped,
    /// Final: not to be sent by configuration (resolved not wanted, channel disabled, resolved while muted).
    Skipped,
    /// Final: a direct send that got no slot in time.
    Expired,
    /// Final: an at-most-once send whose outcome nobody knows.
    Unknown,
}

impl State {
    /// All states.
    pub const ALL: [State; 8] =
        [State::Waiting, State::Deferred, State::Sent, State::Dead, State::Dropped, State::Skipped, State::Expired, State::Unknown];

    /// The name in SQL, the API and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Deferred => "deferred",
            State::Sent => "sent",
            State::Dead => "dead",
            State::Dropped => "dropped",
            State::Skipped => "skipped",
            State::Expired => "expired",
            State::Unknown => "unknown",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<State> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// Whether nothing more happens to it.
    pub fn is_final(self) -> bool {
        !matches!(self, State::Waiting | State::Deferred)
    }
}

/// What a delivery is about, in lists and digests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// One line that names it.
    pub title: String,
    /// Firing alerts in it.
    pub firing: u32,
    /// Resolved alerts in it.
    pub resolved: u32,
}

/// Where a delivery comes from, when another channel could not deliver it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fallback {
    /// The delivery it is a fallback of.
    pub of: Option<DeliveryId>,
    /// How many fallbacks deep it is.
    pub depth: u32,
}

/// What a route asked for; stored with the delivery as JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Target {
    /// Template set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// Whom to ping; `None`: whom the channel says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mentions: Option<Mentions>,
    /// Which alerts of the event: indices.
    pub alerts: Vec<u32>,
    /// Channels still to be tried when this one is dead, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// Its recipients; empty: the channel's.
    #[serde(default, rename = "only", skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Recipient>,
    /// A page given as it is (direct calls), instead of templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Box<Page>>,
    /// Which step of an escalation it is; `None` for what a route sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<EscalationStep>,
    /// The route's place in the tree, for `explain`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
}

/// Whom a delivery reaches, where that is not for its channel to say. Deliveries share a lane and a message only when it is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience<'a> {
    /// As [`Target::recipients`].
    pub recipients: &'a [Recipient],
    /// As [`Target::mentions`].
    pub mentions: Option<&'a Mentions>,
}

impl Target {
    /// Whom it reaches. People whom it names decide its recipients, which are found when it is sent.
    pub fn audience(&self) -> Audience<'_> {
        let named = self.mentions.as_ref().is_some_and(Mentions::has_people);
        Audience { recipients: if named { &[] } else { &self.recipients }, mentions: self.mentions.as_ref() }
    }
}
