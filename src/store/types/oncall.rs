//! Who is on call, as far as it is stored: overrides by hand, and which shifts people were notified of.

use serde::{Deserialize, Serialize};

use crate::model::UnixMs;

/// Somebody is on call in place of those whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Override {
    /// Its number. Of two that overlap the one with the larger number counts.
    pub id: i64,
    /// The rota.
    pub rota: String,
    /// Who is on call.
    pub person: String,
    /// From when, Unix milliseconds.
    pub from: UnixMs,
    /// Until when, Unix milliseconds.
    pub until: UnixMs,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub by: String,
}

/// What is remembered of a rota: its current shift, and what people were notified of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotaRow {
    /// The rota.
    pub rota: String,
    /// Whose turn it is, overrides aside.
    pub person: String,
    /// Since when.
    pub from: UnixMs,
    /// Handoffs up to this time were noticed.
    pub noticed: UnixMs,
}
