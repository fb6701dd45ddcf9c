//! Incidents: what fires under one site, receiver and group, from the first firing to its end.
//!
//! [`Incident::apply`] is the only way in which an event changes an incident; both engines call it in the transaction that accepts the event.

mod ack;
mod act;
mod alert;
mod attended;
mod look;
mod superseded;
#[cfg(test)]
mod tests;
mod unack;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::model::{EventId, IncidentId, UnixMs};

pub use ack::{Ack, AckRules, Acks, Actor};
pub(in crate::store) use ack::{Answered, Ring};
pub use act::{Act, ActOn, ActResult, Acted, NoSilence, PressKey, ShownIn, Woken};
pub use alert::{IncidentAlert, read_incident_alerts, write_incident_alerts};
pub(in crate::store) use look::{Found, Look, LookedAt};
pub use superseded::incident_numbers;
pub(in crate::store) use superseded::superseded;
pub use unack::{UnackReason, Unacked};

/// Alerts of an incident that are remembered: those that fire first, the most severe of them first.
pub const MAX_INCIDENT_ALERTS: usize = 1024;
/// Twins disagree for moments: what fires again under the same start within this time of its end (milliseconds) never ended, and is news only if it still
/// fires when that time is over.
pub const TWIN_DISAGREEMENT_MS: i64 = 60_000;

/// The state of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Something of it fires, or nothing proves that it does not.
    Firing,
    /// The same, and somebody is on all that fires.
    Acked,
    /// The same, and somebody wants to hear of it again at a time.
    Snoozed,
    /// Every alert of it was reported resolved.
    Resolved,
    /// Nothing was reported about it for so long that nobody knows.
    Stale,
    /// Somebody closed it by hand. What its sender reports of what was known then changes nothing.
    Closed,
    /// Its sender groups its alerts in another way now: they go on as other incidents.
    Superseded,
}

impl IncidentState {
    /// All states.
    pub const ALL: [IncidentState; 7] = [
        IncidentState::Firing,
        IncidentState::Acked,
        IncidentState::Snoozed,
        IncidentState::Resolved,
        IncidentState::Stale,
        IncidentState::Closed,
        IncidentState::Superseded,
    ];

    /// The name in SQL, metrics and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            IncidentState::Firing => "firing",
            IncidentState::Acked => "acked",
            IncidentState::Snoozed => "snoozed",
            IncidentState::Resolved => "resolved",
            IncidentState::Stale => "stale",
            IncidentState::Closed => "closed",
            IncidentState::Superseded => "superseded",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether it goes on.
    pub fn is_open(self) -> bool {
        matches!(self, IncidentState::Firing | IncidentState::Acked | IncidentState::Snoozed)
    }
}

/// The state of an alert of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It fires.
    Firing,
    /// It was reported resolved.
    Resolved,
    /// A report of its whole group left it out, though it was never reported resolved: it is silenced there, or gone.
    Unreported,
}

/// What an event says of one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentReport {
    /// Hash of site, receiver and group: one incident at a time is open under it.
    pub key: String,
    /// Who sent it: the site.
    pub source: String,
    /// The sender's receiver.
    pub receiver: String,
    /// The sender's group key; the alert's name where it sent none.
    pub group_key: String,
    /// The labels of its group as [`group_labels`](super::group_labels) writes them, where the group key does not have them; else empty.
    pub labels: String,
    /// One line that names it.
    pub title: String,
    /// Its alerts in the event.
    pub alerts: Vec<ReportedAlert>,
    /// Whether that is all of its group ([`Event::is_whole`](crate::model::Event::is_whole)): what is missing is not reported any more.
    pub whole: bool,
    /// Whether its sender says that all of the group is resolved, though the event lists only a part of it.
    pub all_resolved: bool,
    /// Whether the sender left out alerts that may fire (`truncatedAlerts`).
    pub left_out: bool,
    /// Whether it may open an incident: something of it is to be sent.
    pub opens: bool,
    /// An incident that ended no longer ago than this goes on under its number, in milliseconds.
    pub reopen_within: i64,
    /// An incident that was closed by hand stays closed for this long while nothing new fires, in milliseconds.
    pub closed_for: i64,
}

impl IncidentReport {
    /// Whether anything of it fires.
    pub fn fires(&self) -> bool {
        self.alerts.iter().any(|alert| alert.fires)
    }
}

#[cfg(test)]
impl IncidentReport {
    /// A report of a whole group, for tests: it opens an incident, and what has ended stays so.
    pub fn of_group(key: &str, alerts: Vec<ReportedAlert>) -> Self {
        Self {
            key: key.to_owned(),
            source: "s".into(),
            receiver: "r".into(),
            group_key: key.to_owned(),
            labels: String::new(),
            title: "t".into(),
            alerts,
            whole: true,
            all_resolved: false,
            left_out: false,
            opens: true,
            reopen_within: 0,
            closed_for: 0,
        }
    }
}

/// An alert in an event, as far as its incident must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportedAlert {
    /// Eight bytes of its fingerprint.
    pub fingerprint: u64,
    /// When it began, Unix milliseconds; `None` when its sender did not say.
    pub start: Option<UnixMs>,
    /// Whether it fires.
    pub fires: bool,
    /// 0 critical .. 3 info.
    pub rank: u8,
    /// Its place in the event.
    pub index: u32,
}

/// An incident as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its number, counted by the store and never given out twice.
    pub id: IncidentId,
    /// Hash of site, receiver and group: one incident at a time is open under it.
    pub key: String,
    /// Who sends it: the site.
    pub source: String,
    /// The sender's receiver.
    pub receiver: String,
    /// The sender's group key; the alert's name where it sent none.
    pub group_key: String,
    /// One line that names it.
    pub title: String,
    /// Its state.
    pub state: IncidentState,
    /// The most severe of what fires, else of all: 0 critical .. 3 info.
    pub rank: u8,
    /// Grows by one with every event and every change of its state.
    pub version: i64,
    /// When its first alert was accepted.
    pub opened_at: UnixMs,
    /// When the newest report of it was accepted.
    pub heard_at: UnixMs,
    /// When it ended; `None` while it goes on.
    pub ended_at: Option<UnixMs>,
    /// Its alerts, as they are now; at most [`MAX_INCIDENT_ALERTS`].
    pub alerts: Vec<IncidentAlert>,
    /// Whether alerts that are not resolved were left out of `alerts`. Then only a report of the whole group proves that all are resolved.
    pub truncated: bool,
    /// Who is on it.
    pub acks: Acks,
}

impl Incident {
    /// An incident that this report opens; `None` when nothing of it fires. The store assigns its id.
    pub fn open(report: &IncidentReport, event: EventId, now: UnixMs) -> Option<Self> {
        if !report.fires() {
            return None;
        }
        let mut incident = Self {
            id: IncidentId(0),
            key: report.key.clone(),
            source: report.source.clone(),
            receiver: report.receiver.clone(),
            group_key: report.group_key.clone(),
            title: report.title.clone(),
            state: IncidentState::Firing,
            rank: 3,
            version: 0,
            opened_at: now,
            heard_at: now,
            ended_at: None,
            alerts: Vec::new(),
            truncated: false,
            acks: Acks::default(),
        };
        incident.apply(report, event, now);
        Some(incident)
    }

    /// Whether a report of its key goes on with it, rather than opening another one.
    pub fn takes(&self, report: &IncidentReport, now: UnixMs) -> bool {
        match (self.state, self.ended_at) {
            // A resolved alert that is reported once more opens nothing, however late.
            (IncidentState::Resolved, Some(ended)) => !report.fires() || now - report.reopen_within <= ended,
            // Of a stale one nobody knew whether it was over.
            _ => true,
        }
    }

    /// Merges a report. What fires is the same as before only with the same start; what is resolved is known by its fingerprint, whatever start its
    /// sender names. What a whole group leaves out is not reported any more; it is not over.
    pub fn apply(&mut self, report: &IncidentReport, event: EventId, now: UnixMs) {
        self.version += 1;
        self.heard_at = now;
        self.title.clone_from(&report.title);
        let mut places: HashMap<u64, usize> = self.alerts.iter().enumerate().map(|(place, alert)| (alert.fingerprint, place)).collect();
        let rose = self.acks_before(report, &places, now);
        for said in &report.alerts {
            self.merge(said, &mut places, event, now);
        }
        if report.fires() || report.whole {
            self.acks.left_out = report.left_out;
        }
        if report.whole || report.all_resolved {
            self.truncated = false;
            let state = if report.all_resolved { AlertState::Resolved } else { AlertState::Unreported };
            let named: HashSet<u64> = report.alerts.iter().map(|alert| alert.fingerprint).collect();
            for alert in &mut self.alerts {
                if alert.state != AlertState::Resolved && alert.state != state && !named.contains(&alert.fingerprint) {
                    (alert.state, alert.changed_at) = (state, now);
                }
            }
        }
        if self.alerts.len() > MAX_INCIDENT_ALERTS {
            let order = |alert: &IncidentAlert| match alert.state {
                AlertState::Firing => 0,
                AlertState::Unreported => 1,
                AlertState::Resolved => 2,
            };
            self.alerts.sort_by_key(|alert| (order(alert), alert.rank, Reverse(alert.changed_at)));
            self.truncated |= self.alerts[MAX_INCIDENT_ALERTS..].iter().any(|alert| alert.state != AlertState::Resolved);
            self.alerts.truncate(MAX_INCIDENT_ALERTS);
        }
        // The end of all may name none of them.
        let fires = |one: u64| self.alerts.iter().any(|alert| alert.fingerprint == one && alert.state == AlertState::Firing);
        self.acks.doubted.retain(|(doubted, _)| fires(*doubted));
        self.unack_for_worse(&rose, now);
        self.conclude(report, now);
    }

    /// Resolved is what every alert of it proves to be; with alerts that are not reported any more it goes on, though nothing fires. One that is stale
    /// or superseded goes on only when something of it fires, and one that was closed by hand only with something new, or when it has been closed for long.
    fn conclude(&mut self, report: &IncidentReport, now: UnixMs) {
        let ranks = |firing: bool| self.alerts.iter().filter(|alert| !firing || alert.state == AlertState::Firing).map(|alert| alert.rank).min();
        self.rank = ranks(true).or_else(|| ranks(false)).unwrap_or(3);
        if self.truncated || self.alerts.iter().any(|alert| alert.state != AlertState::Resolved) {
            let goes_on = match self.state {
                IncidentState::Stale | IncidentState::Superseded => report.fires(),
                IncidentState::Closed => {
                    let is_new = self.alerts.iter().any(|alert| alert.state == AlertState::Firing && alert.fired == self.version);
                    is_new || (report.fires() && self.acks.closed_at.is_none_or(|closed| now - closed >= report.closed_for))
                }
                _ => true,
            };
            if goes_on {
                // Nobody is on what was given up or closed.
                if matches!(self.state, IncidentState::Stale | IncidentState::Closed) {
                    self.acks.list.clear();
                }
                if self.state == IncidentState::Superseded {
                    self.acks.superseded_by.clear();
                    (self.acks.grouped_at, self.acks.came_back) = (Some(now), true);
                }
                // What ended it meanwhile was not shown.
                self.acks.mute = self.acks.mute.take().filter(|_| self.ended_at.is_none());
                self.acks.closed_at = None;
                (self.state, self.ended_at) = (self.open_state(), None);
            }
        } else if self.state != IncidentState::Resolved {
            (self.state, self.ended_at) = (IncidentState::Resolved, Some(now));
        }
    }

    /// Merges one alert. `places` has the place of each fingerprint: one fingerprint is one alert.
    fn merge(&mut self, said: &ReportedAlert, places: &mut HashMap<u64, usize>, event: EventId, now: UnixMs) {
        let version = self.version;
        let known = places.get(&said.fingerprint).map(|place| &mut self.alerts[*place]);
        let fresh = IncidentAlert {
            fingerprint: said.fingerprint,
            start: said.start,
            state: AlertState::Firing,
            rank: said.rank,
            fired: version,
            changed_at: now,
            event,
            index: said.index,
        };
        match (known, said.fires) {
            (Some(alert), true) if alert.start != said.start => {
                *alert = fresh;
                self.acks.doubted.retain(|(doubted, _)| *doubted != said.fingerprint);
            }
            (Some(alert), true) => {
                let goes_on = match alert.state {
                    AlertState::Firing => true,
                    AlertState::Resolved => (0..=TWIN_DISAGREEMENT_MS).contains(&(now - alert.changed_at)),
                    AlertState::Unreported => false,
                };
                if goes_on && alert.state == AlertState::Resolved {
                    self.acks.doubted.retain(|(doubted, _)| *doubted != said.fingerprint);
                    self.acks.doubted.push((said.fingerprint, alert.changed_at + TWIN_DISAGREEMENT_MS));
                }
                if !goes_on {
                    alert.fired = version;
                }
                if alert.state != AlertState::Firing {
                    (alert.state, alert.changed_at) = (AlertState::Firing, now);
                }
                (alert.rank, alert.event, alert.index) = (said.rank, event, said.index);
            }
            (None, true) => {
                places.insert(said.fingerprint, self.alerts.len());
                self.alerts.push(fresh);
            }
            (Some(alert), false) => {
                if alert.state != AlertState::Resolved {
                    (alert.state, alert.changed_at) = (AlertState::Resolved, now);
                }
                (alert.event, alert.index) = (event, said.index);
                self.acks.doubted.retain(|(doubted, _)| *doubted != said.fingerprint);
            }
            // The end of what was never reported here.
            (None, false) => {}
        }
    }

    /// Ends it without a report: nobody knows any more whether it goes on.
    pub fn end(&mut self, state: IncidentState, now: UnixMs) {
        self.version += 1;
        (self.state, self.ended_at) = (state, Some(now));
    }
}
