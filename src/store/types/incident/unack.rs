//! Why an ack ended while its alerts went on, and when that rings.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Ack, AlertState, Incident, IncidentAlert, IncidentState};
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
    /// Whether somebody is on something of it that goes on: an ack of which all is over says nothing about the rest.
    pub(in crate::store) fn is_attended(&self) -> bool {
        let open = self.open_alerts(None);
        self.acks.list.iter().any(|ack| ack.holds_any(&open))
    }

    /// Who is on what goes on of it; of one that ended, who was on it, and all acks where it was read without its alerts.
    pub fn attending(&self) -> impl Iterator<Item = &Ack> {
        let (open, goes_on) = (self.open_alerts(None), self.state.is_open() && !self.alerts.is_empty());
        self.acks.list.iter().filter(move |ack| !goes_on || ack.holds_any(&open))
    }

    /// Ends the acks when what has begun to fire or `rose` in this version is more severe than what was acked. What fired beside it was there when it was
    /// acked.
    pub(super) fn unack_for_worse(&mut self, rose: &HashSet<u64>, now: UnixMs) {
        let Some(acked) = self.acked_rank(rose) else { return };
        // What is acked and fires again soon after its end is still somebody's.
        let is_new = |one: u64, fired: i64| rose.contains(&one) || (fired == self.version && !self.is_acked(one));
        let is_worse = |alert: &&IncidentAlert| alert.state == AlertState::Firing && alert.rank < acked && is_new(alert.fingerprint, alert.fired);
        let Some(worst) = self.alerts.iter().filter(is_worse).map(|alert| alert.rank).min() else { return };
        self.acks.list.clear();
        self.acks.unacked = Some(Unacked::new(now, self.version, UnackReason::Worse { was: acked, is: worst }));
    }

    /// The most severe of what was acked, of what goes on where some of that does; an ack of which all is over, and the part of one, say nothing about the
    /// rest. What begins or `rose` in this version counts as it was.
    fn acked_rank(&self, rose: &HashSet<u64>) -> Option<u8> {
        let open = self.open_alerts(None);
        let stays = |alert: &&IncidentAlert| open.contains(&alert.fingerprint) && alert.fired != self.version && !rose.contains(&alert.fingerprint);
        let ranks: HashMap<u64, u8> = self.alerts.iter().filter(stays).map(|alert| (alert.fingerprint, alert.rank)).collect();
        let rank = |ack: &Ack| ack.alerts.iter().filter_map(|one| ranks.get(one)).min().map_or(ack.rank, |now| ack.rank.max(*now));
        let of_what_goes_on = self.acks.list.iter().filter(|ack| ack.holds_any(&open)).map(rank).min();
        of_what_goes_on.or_else(|| self.acks.list.iter().map(|ack| ack.rank).min())
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
            Self::Worse { was, is } => format!("was acked at {}, now it is {}", severity(*was), severity(*is)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;
    use crate::store::{Actor, IncidentReport, ReportedAlert};

    const T0: UnixMs = UnixMs(1_764_000_000_000);
    const MIN: i64 = 60_000;

    fn report(alerts: &[(u64, bool, u8)]) -> IncidentReport {
        let alerts = alerts.iter().map(|&(fingerprint, fires, rank)| ReportedAlert { fingerprint, start: Some(T0), fires, rank, index: 0 });
        IncidentReport { reopen_within: 10 * MIN, ..IncidentReport::of_group("g", alerts.collect()) }
    }

    fn ack(rank: u8, alerts: &[u64]) -> Ack {
        let by = Actor { id: "person:ann".into(), name: "ann".into(), via: "Slack".into() };
        Ack { by, at: T0, until: None, remind_at: None, reminded_in: 0, expires_at: None, rank, alerts: alerts.to_vec(), pressed: None }
    }

    /// Somebody acked what is critical, which is over, and a warning, which goes on.
    #[test]
    fn what_is_over_of_what_was_acked_hides_nothing_that_is_more_severe_than_the_rest() {
        let mut both = Incident::open(&report(&[(1, true, 0), (2, true, 2)]), EventId::new(), T0).unwrap();
        both.acks.list = vec![ack(0, &[1]), ack(2, &[2])];
        let after = |incident: &Incident, alerts: &[(u64, bool, u8)], minute: i64| {
            let mut incident = incident.clone();
            incident.apply(&report(alerts), EventId::new(), T0 + minute * MIN);
            incident
        };
        let joined = after(&both, &[(1, true, 0), (2, true, 2), (3, true, 0)], 1);
        assert_eq!((joined.acks.list.len(), joined.acks.unacked), (2, None), "no more severe than what was acked");
        let half = after(&both, &[(1, false, 0), (2, true, 2)], 1);
        assert!(half.is_attended() && half.acks.unacked.is_none());
        let worse = after(&half, &[(2, true, 2), (3, true, 0)], 2);
        assert_eq!((worse.acks.list.len(), worse.acks.unacked.map(|unacked| unacked.why)), (0, Some(UnackReason::Worse { was: 2, is: 0 })));
        // The same by one ack of both; what was acked and fires again soon is still somebody's.
        let mut one = half.clone();
        one.acks.list = vec![ack(0, &[1, 2])];
        let worse = after(&one, &[(2, true, 2), (3, true, 0)], 2);
        assert_eq!(worse.acks.unacked.map(|unacked| unacked.why), Some(UnackReason::Worse { was: 2, is: 0 }));
        let again = after(&one, &[(1, true, 0), (2, true, 2)], 5);
        assert_eq!((again.state, again.acks.unacked), (IncidentState::Acked, None));
        let left = after(&half, &[(2, false, 2), (3, true, 2)], 2);
        assert_eq!((left.state, left.is_attended(), left.attending().count()), (IncidentState::Firing, false, 0), "nobody is on the rest");
        assert!(left.acks.unacked.is_none());
        let over = after(&left, &[(3, false, 2)], 3);
        assert_eq!((over.state, over.attending().count()), (IncidentState::Resolved, 2), "who was on it");
    }
}
