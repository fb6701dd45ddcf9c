//! What acks say about what goes on of an incident.

use std::collections::{HashMap, HashSet};

use super::{Ack, AlertState, Incident, IncidentAlert};

impl Incident {
    /// What its state is about: what fires of it, else what is not over.
    pub(super) fn calling(&self) -> impl Iterator<Item = &IncidentAlert> {
        let fires = self.alerts.iter().any(|alert| alert.state == AlertState::Firing);
        self.alerts.iter().filter(move |alert| if fires { alert.state == AlertState::Firing } else { alert.state != AlertState::Resolved })
    }

    /// Whether somebody is on something of that: an ack of which nothing fires any more says nothing about the rest.
    pub(in crate::store) fn is_attended(&self) -> bool {
        self.calling().any(|alert| self.is_acked(alert.fingerprint))
    }

    /// The alerts of that which somebody is on, by eight bytes of their fingerprints.
    pub(in crate::store) fn attended(&self) -> HashSet<u64> {
        self.calling().map(|alert| alert.fingerprint).filter(|one| self.is_acked(*one)).collect()
    }

    /// Who is on what goes on of it; of one that ended, who was on it, and all acks where it was read without its alerts.
    pub fn attending(&self) -> impl Iterator<Item = &Ack> {
        let (open, goes_on) = (self.open_alerts(None), self.state.is_open() && !self.alerts.is_empty());
        self.acks.list.iter().filter(move |ack| !goes_on || ack.holds_any(&open))
    }

    /// The most severe of what was acked, of what goes on where some of that does; an ack of which all is over, and the part of one, say nothing about the
    /// rest. What begins or `rose` in this version counts as it was.
    pub(super) fn acked_rank(&self, rose: &HashSet<u64>) -> Option<u8> {
        let open = self.open_alerts(None);
        let stays = |alert: &&IncidentAlert| open.contains(&alert.fingerprint) && alert.fired != self.version && !rose.contains(&alert.fingerprint);
        let ranks: HashMap<u64, u8> = self.alerts.iter().filter(stays).map(|alert| (alert.fingerprint, alert.rank)).collect();
        let rank = |ack: &Ack| ack.alerts.iter().filter_map(|one| ranks.get(one)).min().map_or(ack.rank, |now| ack.rank.max(*now));
        let of_what_goes_on = self.acks.list.iter().filter(|ack| ack.holds_any(&open)).map(rank).min();
        of_what_goes_on.or_else(|| self.acks.list.iter().map(|ack| ack.rank).min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, UnixMs};
    use crate::store::{Actor, IncidentReport, IncidentState, ReportedAlert, UnackReason};

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
        let why = UnackReason::Worse { was: 2, is: 0, alerts: vec![3] };
        assert_eq!((worse.acks.list.len(), worse.acks.unacked.map(|unacked| unacked.why)), (0, Some(why.clone())));
        // The same by one ack of both; what was acked and fires again soon is still somebody's.
        let mut one = half.clone();
        one.acks.list = vec![ack(0, &[1, 2])];
        let worse = after(&one, &[(2, true, 2), (3, true, 0)], 2);
        assert_eq!(worse.acks.unacked.map(|unacked| unacked.why), Some(why));
        let again = after(&one, &[(1, true, 0), (2, true, 2)], 5);
        assert_eq!((again.state, again.acks.unacked), (IncidentState::Acked, None));
        let left = after(&half, &[(2, false, 2), (3, true, 2)], 2);
        assert_eq!((left.state, left.is_attended(), left.attending().count()), (IncidentState::Firing, false, 0), "nobody is on the rest");
        assert!(left.acks.unacked.is_none());
        let over = after(&left, &[(3, false, 2)], 3);
        assert_eq!((over.state, over.attending().count()), (IncidentState::Resolved, 2), "who was on it");
    }

    /// Its sender reports no ends, or is silent about it.
    #[test]
    fn nobody_is_on_what_fires_when_all_that_was_acked_is_not_reported_any_more() {
        let mut incident = Incident::open(&report(&[(1, true, 2)]), EventId::new(), T0).unwrap();
        incident.acks.list = vec![ack(2, &[1])];
        incident.apply(&report(&[(1, true, 2), (2, true, 2)]), EventId::new(), T0 + MIN);
        assert!(incident.is_attended());
        incident.apply(&report(&[(2, true, 2)]), EventId::new(), T0 + 2 * MIN);
        assert_eq!((incident.state, incident.is_attended()), (IncidentState::Firing, false));
        incident.apply(&report(&[(1, true, 2), (2, true, 2)]), EventId::new(), T0 + 3 * MIN);
        assert!(incident.is_attended(), "it fires again, and is still somebody's");
        incident.apply(&report(&[(2, false, 2)]), EventId::new(), T0 + 4 * MIN);
        assert_eq!((incident.state, incident.is_attended()), (IncidentState::Acked, true), "nothing fires");
    }
}
