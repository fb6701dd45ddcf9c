//! Mutes, of the file and by hand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::UnixMs;

/// The mutes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Mutes {
    /// Those that mute now come first, then those that come again, then those that have ended: by hand within the last day.
    pub mutes: Vec<Mute>,
}

/// Whether a mute mutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MuteState {
    /// It mutes now.
    Active,
    /// It does not mute now and comes again.
    Waiting,
    /// It has ended.
    Ended,
}

/// A mute.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Mute {
    /// Its name in `mutes:`; null: it was made by hand, and its matchers are its identity.
    pub name: Option<String>,
    /// Its matchers, all of which an alert must match; the label `channel` is the channel.
    pub matchers: Vec<String>,
    /// Whether it mutes.
    pub state: MuteState,
    /// Until when, Unix milliseconds; null: no end is known, or it comes again.
    pub until: Option<UnixMs>,
    /// Whether firing alerts are dropped instead of deferred (`on_mute: drop`).
    pub drop: bool,
    /// Why; may be empty.
    pub reason: String,
    /// Who made it, or answers for it; may be empty.
    pub by: String,
    /// Its ticket.
    pub ticket: Option<String>,
    /// What it holds, or held at its last end.
    pub held: Held,
    /// When it held something last, Unix milliseconds; null: it matched nothing so far.
    pub held_at: Option<UnixMs>,
}

/// Deliveries that a mute holds, by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// Of severity critical.
    pub critical: u32,
    /// Of severity error.
    pub error: u32,
    /// Of severity warning, or of none.
    pub warning: u32,
    /// Of severity info.
    pub info: u32,
}

impl From<[u32; 4]> for Held {
    fn from([critical, error, warning, info]: [u32; 4]) -> Self {
        Self { critical, error, warning, info }
    }
}

impl From<Held> for [u32; 4] {
    fn from(held: Held) -> Self {
        [held.critical, held.error, held.warning, held.info]
    }
}

/// A mute, or its end.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MuteResponse {
    /// Its matchers.
    pub matchers: Vec<String>,
    /// Until when, Unix milliseconds; null: not muted any more.
    pub until: Option<UnixMs>,
}
