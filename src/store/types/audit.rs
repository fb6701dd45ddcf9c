//! The audit: what people did, and what they were refused.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::UnixMs;

/// Who does something by hand, and how it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Author {
    /// The name of the credential or person; empty where nobody has to show who they are.
    pub name: String,
    /// `console`, `API`, `command line`, `link`, or the platform whose button was pressed.
    pub via: String,
    /// The caller's address; empty where there is none.
    pub from: String,
}

/// What became of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditState {
    /// It was begun; a row that stays like this was cut off, and may have been done.
    Begun,
    /// It was done.
    Done,
    /// Its author may not do it, or it was not possible.
    Refused,
    /// It could not be done.
    Failed,
}

impl AuditState {
    /// All states.
    pub const ALL: [AuditState; 4] = [AuditState::Begun, AuditState::Done, AuditState::Refused, AuditState::Failed];

    /// The name in SQL and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            AuditState::Begun => "begun",
            AuditState::Done => "done",
            AuditState::Refused => "refused",
            AuditState::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// One act of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its identity: a UUIDv7, so that later rows sort after earlier ones.
    pub id: Uuid,
    /// When it was begun.
    pub at: UnixMs,
    /// Who.
    pub by: Author,
    /// What: `ack`, `retry`, `mute`, ...
    pub act: String,
    /// On what, in words: `incident #1842`, `31 deliveries: ...`.
    pub on: String,
    /// Why, as its author says; empty where no reason is asked for.
    pub reason: String,
    /// What became of it.
    pub state: AuditState,
    /// The same in words; empty while it is not known.
    pub outcome: String,
}

/// Which acts to list.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only those whose author, act, object, reason or outcome holds this text (ASCII case ignored).
    pub text: Option<String>,
    /// Only those whose author's name has these whole words (ASCII case ignored): `ann` is the author of `root as Ann`, too.
    pub person: Option<String>,
    /// Only those before this one (the page before ended there).
    pub before: Option<Uuid>,
    /// Only those no older than this id: ids are UUIDv7.
    pub after: Option<Uuid>,
    /// At most this many.
    pub limit: usize,
}
