//! The timeline of an incident, and what people and metrics ask about incidents.

use serde::{Deserialize, Serialize};

use super::{Anchor, DeliveryRow, GroupLabel, Incident, IncidentState};
use crate::model::{IncidentId, UnixMs};

/// What is stored in the timeline of an incident by itself; the rest of it is read from deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimelineKind {
    /// It fires again under its number.
    Reopened,
    /// Everything of it is resolved.
    Resolved,
    /// Nothing was reported for so long that nobody knows.
    Stale,
    /// Its sender groups its alerts in another way now; it goes on under its number.
    Regrouped,
    /// Its sender groups its alerts in another way now; they go on as other incidents.
    Superseded,
    /// A message was edited.
    Edited,
    /// A message was gone, too old or not ours, and its state was posted again.
    Reposted,
    /// A message is not kept up to date any more.
    GivenUp,
    /// A channel that was notified of it does not exist any more.
    Lost,
    /// Somebody is on it.
    Acked,
    /// Somebody is on it until a time.
    Snoozed,
    /// Nobody is on it any more.
    Unacked,
    /// People were reminded that it still fires and that somebody is on it.
    Reminded,
    /// Somebody closed it.
    Closed,
    /// A step of an escalation was sent, or ended without.
    Escalated,
    /// Somebody asked its sender to be silent about it, or the sender is.
    Silenced,
    /// Its sender is not silent about it any more.
    Unsilenced,
    /// Somebody muted what its labels match, from a message, or changed the end of that mute.
    Muted,
    /// That mute has ended.
    Unmuted,
}

impl TimelineKind {
    /// All kinds.
    pub const ALL: [TimelineKind; 19] = [
        TimelineKind::Reopened,
        TimelineKind::Resolved,
        TimelineKind::Stale,
        TimelineKind::Regrouped,
        TimelineKind::Superseded,
        TimelineKind::Edited,
        TimelineKind::Reposted,
        TimelineKind::GivenUp,
        TimelineKind::Lost,
        TimelineKind::Acked,
        TimelineKind::Snoozed,
        TimelineKind::Unacked,
        TimelineKind::Reminded,
        TimelineKind::Closed,
        TimelineKind::Escalated,
        TimelineKind::Silenced,
        TimelineKind::Unsilenced,
        TimelineKind::Muted,
        TimelineKind::Unmuted,
    ];

    /// The name in SQL and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            TimelineKind::Reopened => "reopened",
            TimelineKind::Resolved => "resolved",
            TimelineKind::Stale => "stale",
            TimelineKind::Regrouped => "regrouped",
            TimelineKind::Superseded => "superseded",
            TimelineKind::Edited => "edited",
            TimelineKind::Reposted => "reposted",
            TimelineKind::GivenUp => "given_up",
            TimelineKind::Lost => "lost",
            TimelineKind::Acked => "acked",
            TimelineKind::Snoozed => "snoozed",
            TimelineKind::Unacked => "unacked",
            TimelineKind::Reminded => "reminded",
            TimelineKind::Closed => "closed",
            TimelineKind::Escalated => "escalated",
            TimelineKind::Silenced => "silenced",
            TimelineKind::Unsilenced => "unsilenced",
            TimelineKind::Muted => "muted",
            TimelineKind::Unmuted => "unmuted",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A line of an incident's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineRow {
    /// When.
    pub at: UnixMs,
    /// What happened.
    pub kind: TimelineKind,
    /// The channel that it happened on; empty when it is not about one.
    pub channel: String,
    /// What happened, in words.
    pub text: String,
}

/// Which incidents to list.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// Only those with these numbers; empty: all.
    pub ids: Vec<IncidentId>,
    /// Only these states; empty: all.
    pub states: Vec<IncidentState>,
    /// Only those at least as severe as this rank.
    pub max_rank: Option<u8>,
    /// Only those whose title holds this text (ASCII case ignored).
    pub text: Option<String>,
    /// Only those opened at or after this.
    pub since: Option<UnixMs>,
    /// Only those opened before this.
    pub until: Option<UnixMs>,
    /// Only those that ended at or after this.
    pub ended_since: Option<UnixMs>,
    /// Only those that have an anchor on one of these channels; empty: all.
    pub channels: Vec<String>,
    /// Only those of a group with this label.
    pub label: Option<GroupLabel>,
    /// Only those that this person acked or snoozed.
    pub acked_by: Option<String>,
    /// Only those with a smaller number (the page before ended there).
    pub before: Option<IncidentId>,
    /// Only those with at least this number: a search goes no further back.
    pub after: Option<IncidentId>,
    /// At most this many.
    pub limit: usize,
}

/// An open incident without its alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenIncident {
    /// Its number.
    pub id: IncidentId,
    /// Counts its changes.
    pub version: i64,
    /// 0 critical .. 3 info.
    pub rank: u8,
    /// Its state.
    pub state: IncidentState,
    /// When it was opened.
    pub opened_at: UnixMs,
}

impl OpenIncident {
    /// Those in which somebody is needed most: where nobody is on it, by severity, and the oldest first.
    pub(in crate::store) fn most_urgent(mut open: Vec<Self>, most: usize) -> Vec<Self> {
        open.sort_by_key(|one| (one.state != IncidentState::Firing, one.rank, one.opened_at, one.id));
        open.truncate(most);
        open
    }
}

/// How many incidents are open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenIncidents {
    /// By rank and state.
    pub counts: Vec<IncidentCount>,
    /// The largest number of one that is open.
    pub newest: Option<IncidentId>,
}

impl OpenIncidents {
    /// How many are such.
    pub fn count(&self, such: impl Fn(&IncidentCount) -> bool) -> usize {
        let n: u64 = self.counts.iter().filter(|count| such(count)).map(|count| count.count).sum();
        usize::try_from(n).unwrap_or(usize::MAX)
    }
}

/// An incident with what is known about it.
#[derive(Debug, Clone)]
pub struct IncidentDetail {
    /// The incident.
    pub incident: Incident,
    /// Its anchors, by channel and recipient.
    pub anchors: Vec<Anchor>,
    /// What happened to it, oldest first; of very much the newest.
    pub timeline: Vec<TimelineRow>,
    /// Its deliveries, oldest first; of very many the newest.
    pub deliveries: Vec<DeliveryRow>,
}

/// How many incidents are open, by rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncidentCount {
    /// 0 critical .. 3 info.
    pub rank: u8,
    /// Its state.
    pub state: IncidentState,
    /// How many.
    pub count: u64,
}
