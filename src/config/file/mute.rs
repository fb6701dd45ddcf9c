//! `mutes:` as the file writes it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::route::{OnMute, OneOrMany};

/// A mute: the alerts that match wait until it ends. It has exactly one of `until` and `mute_time_intervals`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MuteBlock {
    /// Its name, in reasons, lists and notices.
    pub name: String,
    /// Matchers as on a route, all of which an alert must match: `'team="db", severity!="critical"'`. The label `channel` is the channel.
    pub matchers: OneOrMany,
    /// Until when (RFC 3339): `2026-12-01T06:00:00+08:00`.
    #[serde(default)]
    pub until: Option<String>,
    /// Time intervals in which it mutes, again and again.
    #[serde(default)]
    pub mute_time_intervals: Vec<String>,
    /// What happens to firing alerts that arrive while it mutes: `defer` (default) or `drop`. What waits already when it begins is deferred.
    #[serde(default)]
    pub on_mute: OnMute,
    /// Why; it is shown wherever the mute is.
    pub reason: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}
