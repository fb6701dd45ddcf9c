//! What people did by hand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::UnixMs;
use crate::store::{AuditRow, AuditState};

/// A page of the audit, newest first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// The acts.
    pub acts: Vec<AuditedAct>,
    /// The `cursor` of the next page; null on the last one.
    #[schemars(with = "Option<String>")]
    pub next: Option<Uuid>,
    /// How far back was searched, Unix milliseconds: a search reads 50,000 acts for one answer, and goes on with `next` whether it found some or not. Null where
    /// nothing older is left, and for lists that need no search.
    #[serde(default)]
    pub searched_back_to: Option<UnixMs>,
}

/// One act of a person, or what was refused.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditedAct {
    /// Its identity, a UUID.
    #[schemars(with = "String")]
    pub id: Uuid,
    /// When it was begun, Unix milliseconds.
    pub at: UnixMs,
    /// The credential or person; empty where nobody has to show who they are.
    pub who: String,
    /// `console`, `API`, `command line`, `link`, or the platform whose button was pressed.
    pub via: String,
    /// The caller's address; empty where there is none.
    pub from: String,
    /// What was done: `ack`, `retry`, `mute`.
    pub act: String,
    /// On what, in words: `incident #1842`.
    pub on: String,
    /// Why, as its author says; empty where no reason is asked for.
    pub reason: String,
    /// What became of it.
    pub state: AuditState,
    /// The same in words; empty while it is not known.
    pub outcome: String,
}

impl From<AuditRow> for AuditedAct {
    fn from(row: AuditRow) -> Self {
        let AuditRow { id, at, by, act, on, reason, state, outcome } = row;
        Self { id, at, who: by.name, via: by.via, from: by.from, act, on, reason, state, outcome }
    }
}
