//! Incidents: what fires under one sender, receiver and group, and what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{IncidentId, MessageId, PlatformIds, Severity, UnixMs};
use crate::store::{AttemptRow, DeliveryRow, IncidentState, SilenceState};

/// A page of incidents, newest first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Incidents {
    /// The incidents.
    pub incidents: Vec<IncidentSummary>,
    /// The `cursor` of the next page; null on the last one.
    pub next: Option<IncidentId>,
    /// The number down to which was searched: a search reads 50,000 incidents for one answer, and goes on with `next` whether it found some or not. Null where
    /// nothing older is left, and for lists that need no search.
    #[serde(default)]
    pub searched_back_to: Option<IncidentId>,
}

/// An incident in a list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentSummary {
    /// Its number.
    pub number: IncidentId,
    /// Its state.
    pub state: IncidentState,
    /// The most severe of what fires, else of all.
    pub severity: Severity,
    /// One line that names it.
    pub title: String,
    /// Who sends it, as `alertmanager:prod`.
    pub source: String,
    /// The sender's receiver.
    pub receiver: String,
    /// Alerts that fire.
    pub firing: usize,
    /// Alerts that are over.
    pub resolved: usize,
    /// Alerts that their sender does not report any more, without having resolved them.
    pub unreported: usize,
    /// When its first alert was accepted, Unix milliseconds.
    pub opened_at: UnixMs,
    /// When the newest report of it was accepted, Unix milliseconds.
    pub heard_at: UnixMs,
    /// When it ended, Unix milliseconds; null while it goes on.
    pub ended_at: Option<UnixMs>,
    /// Who is on it.
    pub acks: Vec<IncidentAck>,
    /// The silence that somebody asked its Alertmanager for; null when there is none, or it has ended.
    pub silence: Option<IncidentSilence>,
    /// The mute that somebody made from a message of it; null when there is none, or it has ended.
    pub mute: Option<IncidentMute>,
}

/// Somebody is on alerts of an incident.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentAck {
    /// Who.
    pub by: String,
    /// The way in which it was said: `Telegram`, `API`, `link`.
    pub via: String,
    /// Since when, Unix milliseconds.
    pub at: UnixMs,
    /// Until when, Unix milliseconds, for a snooze.
    pub until: Option<UnixMs>,
    /// On how many of its alerts.
    pub alerts: usize,
}

/// The silence of an incident.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentSilence {
    /// Who asked for it.
    pub by: String,
    /// The way in which it was said: `Telegram`, `API`, `link`.
    pub via: String,
    /// Until when, Unix milliseconds, as Alertmanager has it once it has confirmed it.
    pub until: UnixMs,
    /// Whether it is asked for, active, or to end.
    pub state: SilenceState,
    /// Why it is not confirmed; empty where that is not known.
    pub reason: String,
}

/// The mute of an incident, made from one of its messages.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentMute {
    /// Who made it, or changed it last.
    pub by: String,
    /// Until when, Unix milliseconds.
    pub until: UnixMs,
    /// Its matchers, separated by commas.
    pub matchers: String,
}

/// What is done about an incident.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActRequest {
    /// Who does it, for people. Default: the name of the credential.
    pub by: Option<String>,
    /// For how long, as a Prometheus duration (`2h`); a snooze and a silence need it or `until`, and nothing else takes it.
    #[serde(rename = "for")]
    pub duration: Option<String>,
    /// Until when, in place of `for`: RFC 3339, a local time of `time_zone` (`2026-12-04 18:00`), or the next such time of day there (`09:00`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// What was done.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActResponse {
    /// In words.
    pub text: String,
    /// The incidents that changed: the one that was named, and others in which the same alerts are.
    pub incidents: Vec<IncidentId>,
}

/// A drill that began.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DrillResponse {
    /// The drill's incident.
    pub incident: IncidentId,
}

/// An incident with everything known about it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentResponse {
    /// The incident.
    pub incident: IncidentSummary,
    /// The sender's group key; the alert's name where it sent none.
    pub group_key: String,
    /// Grows with every change; which message is up to date.
    pub version: i64,
    /// Where its messages are.
    pub messages: Vec<IncidentMessage>,
    /// What happened, oldest first.
    pub timeline: Vec<IncidentStep>,
    /// Its deliveries, oldest first; of very many the newest.
    pub deliveries: Vec<DeliveryRow>,
    /// The attempts to send those of `messages` and the newest others, 30 messages in all, oldest first; of very many the newest 200.
    #[serde(default)]
    pub attempts: Vec<IncidentAttempt>,
}

/// An attempt to send a message of an incident.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentAttempt {
    /// The message, as in `messages` and `deliveries`.
    pub message: MessageId,
    /// When it began and ended, and how; the platform's answer is with the delivery (`GET /api/v1/deliveries/{id}`).
    #[serde(flatten)]
    pub attempt: AttemptRow,
}

/// Where an incident's message is on a channel, and what its readers know.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentMessage {
    /// The channel.
    pub channel: String,
    /// Whom it went to, masked.
    pub recipient: String,
    /// The message that notified of it first.
    pub message: MessageId,
    /// The platform's ids of the message that is edited or answered, by the names of its API; none where there is no such message.
    pub platform_ids: PlatformIds,
    /// When it was notified first, Unix milliseconds.
    pub notified_at: UnixMs,
    /// When it rang last, Unix milliseconds; 0 for never.
    pub rang_at: UnixMs,
    /// Whether it is kept up to date by edits.
    pub edited: bool,
    /// The version that it shows.
    pub shown: i64,
    /// Edits that the platform took.
    pub edits: u32,
}

/// A line of an incident's timeline.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IncidentStep {
    /// When, Unix milliseconds.
    pub at: UnixMs,
    /// `opened`, `notified`, `not_sent`, `edited`, `acked`, `snoozed`, `unacked`, `reminded`, `escalated`, `closed`, `silenced`, `unsilenced`, `muted`, `unmuted`, `reopened`, `regrouped`,
    /// `reposted`, `given_up`, `lost`, `superseded`, `resolved` or `stale`.
    pub kind: String,
    /// The channel that it is about; empty when it is about none.
    pub channel: String,
    /// What happened, in words.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::IncidentStep;
    use crate::store::TimelineKind;

    #[test]
    fn every_kind_of_step_is_described() {
        let described = serde_json::json!(schemars::schema_for!(IncidentStep))["properties"]["kind"]["description"].to_string();
        for kind in TimelineKind::ALL.map(TimelineKind::as_str).into_iter().chain(["opened", "notified", "not_sent"]) {
            assert!(described.contains(&format!("`{kind}`")), "{kind}: {described}");
        }
    }
}
