//! Why an ack ended while its alerts went on, and when that rings.

use std::collections::HashSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AlertState, Incident, IncidentAlert, IncidentState};
use crate::model::{Severity, UnixMs, format_duration};

/// When the last ack ended, and why, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unacked {
    /// When.
    pub at: UnixMs,
    /// In which version of the incident.
    #[serde(default)]
    pub version: i64,
    /// Why.
    pub why: UnackReason,
    /// The version of the incident as of which the end of an ack rang last: its own, unless it is held.
    #[serde(default)]
    pub rang_in: i64,
    /// When that was.
    #[serde(default)]
    pub rang_at: UnixMs,
    /// When it rings if nobody is on it by then, where an earlier one rang shortly before; `None`: it rings at once, or it rang.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<UnixMs>,
}

impl Unacked {
    /// An end that rings at once.
    pub fn new(at: UnixMs, version: i64, why: UnackReason) -> Self {
        Self { at, version, why, rang_in: version, rang_at: at, held_until: None }
    }

    /// The same, held where the one `before` it rang less than `repeat` milliseconds ago: an ack and its end by turns do not ring each time (M8).
    pub(in crate::store::types) fn after(self, before: Option<&Self>, repeat: i64) -> Self {
        match before {
            Some(&Self { rang_in, rang_at, .. }) if (0..repeat).contains(&(self.at - rang_at)) => {
                Self { rang_in, rang_at, held_until: Some(rang_at + repeat), ..self }
            }
            _ => self,
        }
    }

    /// Whether it does not ring yet on a channel that rang last as of this version: one that did not ring for the end before it owes that.
    pub fn is_held(&self, rang_in: i64, now: UnixMs) -> bool {
        // A time before the one that rang is of a clock that was set back since.
        rang_in >= self.rang_in && self.held_until.is_some_and(|until| (self.rang_at..until).contains(&now))
    }
}

impl Incident {
    /// Ends the acks when what has begun to fire or `rose` in this version is more severe than what was acked. What fired beside it was there when it was
    /// acked.
    pub(super) fn unack_for_worse(&mut self, rose: &HashSet<u64>, now: UnixMs) {
        let Some(acked) = self.acked_rank(rose) else { return };
        // What is acked and fires again soon after its end is still somebody's.
        let is_new = |one: u64, fired: i64| rose.contains(&one) || (fired == self.version && !self.is_acked(one));
        let is_worse = |alert: &&IncidentAlert| alert.state == AlertState::Firing && alert.rank < acked && is_new(alert.fingerprint, alert.fired);
        let worse: Vec<&IncidentAlert> = self.alerts.iter().filter(is_worse).collect();
        let Some(worst) = worse.iter().map(|alert| alert.rank).min() else { return };
        let alerts = worse.iter().filter(|alert| alert.rank == worst).map(|alert| alert.fingerprint).collect();
        self.acks.list.clear();
        self.acks.unacked = Some(Unacked::new(now, self.version, UnackReason::Worse { was: acked, is: worst, alerts }));
    }

    /// Ends the hold of an end whose time to ring has come: returns why it rings, and the alerts that nobody is on.
    pub(super) fn end_hold(&mut self, now: UnixMs) -> Option<(String, HashSet<u64>)> {
        let firing = self.alerts.iter().filter(|alert| alert.state == AlertState::Firing).map(|alert| alert.fingerprint);
        let about: HashSet<u64> = firing.filter(|fingerprint| !self.is_acked(*fingerprint)).collect();
        let unacked = self.acks.unacked.as_mut().filter(|unacked| unacked.held_until.is_some_and(|until| until <= now))?;
        unacked.held_until = None;
        if about.is_empty() {
            return None;
        }
        (unacked.rang_in, unacked.rang_at) = (unacked.version, now);
        Some((format!("{}, and nobody is on it since", unacked.why.text()), about))
    }

    /// When the end of an ack by hand rings, and what the timeline says of that, where it does not ring at once.
    pub(in crate::store::types) fn rings_later(&self) -> Option<(UnixMs, String)> {
        let rings_at = self.acks.unacked.as_ref()?.held_until?;
        Some((rings_at, format!("; it rings at {rings_at} if nobody is on it by then")))
    }

    /// Drops the hold once somebody is on all of it, or it is over: nothing is left to ring about.
    pub(super) fn drop_hold(&mut self) {
        if self.state != IncidentState::Firing
            && let Some(unacked) = &mut self.acks.unacked
        {
            unacked.held_until = None;
        }
    }
}

/// Why an ack ended while its alerts went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnackReason {
    /// Something more severe fires than was acked.
    Worse {
        /// The most severe that was acked: 0 critical .. 3 info.
        was: u8,
        /// The most severe that fires.
        is: u8,
        /// The alerts that are as severe as that, by their fingerprints, for the timeline; they may be many, and are not stored.
        #[serde(skip)]
        alerts: Vec<u64>,
    },
    /// Its time was over.
    SnoozeEnded {
        /// Whose it was.
        name: String,
    },
    /// Its time passed without a sign of life.
    Expired {
        /// Whose it was.
        name: String,
        /// For how long it had lasted, in seconds.
        seconds: u64,
    },
    /// Somebody said so.
    By {
        /// Who.
        name: String,
    },
    /// The silence with which it began has ended.
    SilenceEnded {
        /// Whose it was.
        name: String,
    },
    /// The silence with which it began was refused.
    NotSilenced {
        /// Whose it was.
        name: String,
        /// Why.
        reason: String,
    },
}

impl UnackReason {
    /// In words, for timelines and logs.
    pub fn text(&self) -> String {
        let severity = |rank: u8| Severity::from_rank(rank.into()).as_str();
        match self {
            Self::Worse { was, is, .. } => format!("was acked at {}, now it is {}", severity(*was), severity(*is)),
            Self::SnoozeEnded { name } => format!("the snooze by {name} ended"),
            Self::Expired { name, seconds } => {
                format!("acked by {name} {} ago, and nothing was received since", format_duration(Duration::from_secs(*seconds)))
            }
            Self::By { name } => format!("unacked by {name}"),
            Self::SilenceEnded { name } => format!("the silence by {name} ended"),
            Self::NotSilenced { name, reason } => format!("the silence by {name} was refused: {reason}"),
        }
    }
}
