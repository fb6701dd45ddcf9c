//! Who is on call, and who is in place of whom.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::UnixMs;
use crate::store::Override;

/// Who is on call at a time.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct OnCall {
    /// The time, Unix milliseconds.
    pub at: UnixMs,
    /// The rotas, in the order of the configuration.
    pub rotas: Vec<RotaState>,
}

/// Who is on call in a rota.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RotaState {
    /// The rota.
    pub rota: String,
    /// The zone of its handoffs.
    pub zone: String,
    /// The current shift; null when nobody is on call.
    pub now: Option<RotaShift>,
    /// The shift after it, or the first one.
    pub then: Option<RotaShift>,
    /// Who `{ next: .. }` reaches.
    pub next: Option<String>,
}

/// A time in which one person is on call.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RotaShift {
    /// Who.
    pub person: String,
    /// From when, Unix milliseconds.
    pub from: UnixMs,
    /// Until when, Unix milliseconds.
    pub until: UnixMs,
    /// The number of the override by which it is; null for a turn.
    #[serde(rename = "override")]
    pub by_override: Option<i64>,
}

/// The shifts of a rota.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RotaShifts {
    /// The rota.
    pub rota: String,
    /// The zone of its handoffs.
    pub zone: String,
    /// Its shifts, by their beginnings, each as long as it is.
    pub shifts: Vec<RotaShift>,
}

/// The addresses of calendars.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Calendars {
    /// Those of the rotas, then those of the people, in the order of the configuration.
    pub calendars: Vec<CalendarAddress>,
}

/// The address of a calendar.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CalendarAddress {
    /// Whose shifts it shows: `rotas` or `people`.
    pub kind: String,
    /// The name of the rota or person.
    pub name: String,
    /// The address, which needs no credential: who has it reads the calendar. Without `external_url` it begins with the path.
    pub url: String,
}

/// The overrides, by their numbers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    /// Those that there are; what ended is kept for 100 days.
    pub overrides: Vec<Override>,
}

/// Somebody is to be on call in place of those whose turn it is.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// The rota.
    pub rota: String,
    /// Who.
    pub person: String,
    /// From when: RFC 3339, or a local time of the rota's zone, `2026-12-04 18:00`. Default: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until when, in the same way.
    pub until: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of an override.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct OverrideResponse {
    /// In words.
    pub text: String,
    /// The override.
    pub number: i64,
}
