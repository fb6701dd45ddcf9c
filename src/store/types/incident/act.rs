//! What somebody does about incidents, and what it did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AckRules, Actor};
use crate::model::{IncidentId, Labels, MessageId, UnixMs, Verb};
use crate::store::{AcceptedDelivery, ChangedStep, Mute, SilenceState};

/// What somebody does about incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Where it came from, and the id of the event there: the same twice counts once.
    pub press: PressKey,
    /// What is to be done.
    pub verb: Verb,
    /// Until when, for a snooze, a silence and a mute.
    pub until: Option<UnixMs>,
    /// The labels that a silence matches, of each incident that is silenced.
    pub labels: BTreeMap<IncidentId, Labels>,
    /// The mute of each incident that is muted.
    pub mutes: BTreeMap<IncidentId, Mute>,
    /// Who.
    pub by: Actor,
    /// On which incidents.
    pub on: Vec<ActOn>,
    /// When acks are forgotten.
    pub rules: AckRules,
    /// Now.
    pub now: UnixMs,
}

/// What a press is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PressKey {
    /// `slack`, `telegram`, `api`, `link`.
    pub platform: String,
    /// The id of the event there.
    pub event_id: String,
}

/// An incident, and what of it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActOn {
    /// The incident.
    pub incident: IncidentId,
    /// Only what a message showed; `None`: all of it.
    pub shown: Option<ShownIn>,
}

/// What of an incident a message showed: of what its channel was notified, what had begun to fire by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownIn {
    /// The message's channel.
    pub channel: String,
    /// The incident's version that it showed; 0 where that is not known.
    pub version: i64,
    /// When it was formed.
    pub formed_at: UnixMs,
    /// The message, where a button of it was pressed; `None` for a link, and where it is not known.
    pub pressed: Option<MessageId>,
    /// Alerts of which the channel was notified as well, by their fingerprints: it may have a message whose outcome is not stored, or keeps no record.
    pub begun: Vec<u64>,
}

impl Act {
    /// The message of this incident whose button was pressed; none of one that is found by its alerts.
    pub(super) fn pressed(&self, incident: IncidentId) -> Option<MessageId> {
        self.on.iter().find(|on| on.incident == incident)?.shown.as_ref()?.pressed
    }
}

/// What an act did to one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActResult {
    /// It is acked, or snoozed until then.
    Acked {
        /// Its alerts that are acked by this.
        alerts: u32,
        /// Those that fire and are not acked.
        left: u32,
        /// Until when.
        until: Option<UnixMs>,
        /// Who was on it before.
        taken_from: Vec<String>,
        /// How long after its first firing, in milliseconds.
        after: i64,
    },
    /// The same person was on it already.
    Already {
        /// Since when.
        since: UnixMs,
    },
    /// Nobody is on it any more, and it rings.
    Unacked,
    /// Nobody is on it any more. The end of an ack rang shortly before: nobody is rung yet.
    UnackedQuietly {
        /// When it rings if nobody is on it by then.
        rings_at: UnixMs,
    },
    /// Nobody was on it.
    NotAcked,
    /// It is closed.
    Closed,
    /// The next step of its escalations comes at once.
    HandedOn {
        /// Which, in words.
        steps: Vec<String>,
    },
    /// No step of an escalation waits for its time.
    NoStep,
    /// It is over, or what the message showed is.
    Over {
        /// Since when; `None` while others of its alerts go on.
        since: Option<UnixMs>,
    },
    /// It is snoozed, and its sender is asked to be silent about it.
    Silenced {
        /// Until when.
        until: UnixMs,
        /// What is known of the silence there.
        state: SilenceState,
        /// Why it is not there yet, where that is known.
        reason: String,
    },
    /// Its silence ends.
    Unsilenced,
    /// The same, and nobody is rung yet.
    UnsilencedQuietly {
        /// When it rings if nobody is on it by then.
        rings_at: UnixMs,
    },
    /// It has no silence that was asked for here.
    NotSilenced,
    /// Its sender cannot be asked to be silent.
    CannotSilence {
        /// Why.
        why: NoSilence,
    },
    /// What its labels match is muted.
    Muted {
        /// Until when.
        until: UnixMs,
    },
    /// Its mute has ended.
    Unmuted,
    /// It has no mute that was made from a message.
    NotMuted,
    /// Its alerts have no labels in common that a mute can match.
    CannotMute,
    /// It is not stored any more.
    Unknown,
}

/// Why a sender cannot be asked to be silent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoSilence {
    /// The configuration names no Alertmanager for it.
    NotConfigured,
    /// Only an Alertmanager can.
    OtherSender {
        /// Where a person can do it at the sender; empty when it did not say.
        link: String,
    },
    /// Nothing that its alerts have in common is known, and a silence of everything would be one too many.
    NoLabels,
}

/// What an act did.
#[derive(Debug, Clone, Default)]
pub struct Acted {
    /// Whether the same press was taken before: nothing is done twice, and these are the results of then.
    pub repeated: bool,
    /// What it did to each incident that it was about, in their order; and to others in which the same alerts are.
    pub results: Vec<(IncidentId, ActResult)>,
    /// Deliveries by which channels ring, and steps of escalations that begin again, as accepted.
    pub rings: Vec<AcceptedDelivery>,
    /// Steps of escalations that ended with it, or that come at once.
    pub ended_steps: Vec<ChangedStep>,
    /// Incidents that it was about, too, and that were too many for one act.
    pub left: usize,
}

/// What became of incidents whose time had come.
#[derive(Debug, Clone, Default)]
pub struct Woken {
    /// How many were looked at: as many as were asked for when there may be more.
    pub seen: usize,
    /// Deliveries by which channels ring, and steps of escalations that begin again, as accepted.
    pub rings: Vec<AcceptedDelivery>,
}
