//! Incidents whose alerts their sender groups in another way now: they go on as others, which began later. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Ack, Acks, AlertState, Answered, Incident, IncidentState};
use crate::model::{IncidentId, UnixMs};
use crate::store::{TimelineKind, TimelineRow};

/// An alert as groups share it: who sends it to which receiver, its fingerprint, its start.
type Shared<'a> = (&'a str, &'a str, u64, Option<UnixMs>);

/// Of open incidents, those of which everything that fires is in others of their sender and receiver, which their sender began to report so after it
/// last reported them, and those others where they take acks over. Not those with steps of an escalation that wait (`busy`): in others it would begin again.
/// Not those either that were superseded before and reported again: their sender reports groups in turn that share alerts.
pub(in crate::store) fn superseded(open: &[Incident], busy: &BTreeSet<IncidentId>, now: UnixMs) -> Vec<(Incident, Answered)> {
    let mut holders: HashMap<Shared<'_>, Vec<&Incident>> = HashMap::new();
    for incident in open {
        for alert in incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing) {
            holders.entry((incident.source.as_str(), incident.receiver.as_str(), alert.fingerprint, alert.start)).or_default().push(incident);
        }
    }
    let mut changed: BTreeMap<IncidentId, (Incident, Answered)> = BTreeMap::new();
    let may_end = |incident: &&Incident| incident.acks.may_be_superseded(incident.truncated) && !busy.contains(&incident.id);
    let grouped_at = |incident: &Incident| incident.acks.grouped_since(incident.opened_at);
    for incident in open.iter().filter(may_end) {
        let firing = incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing);
        let holder = |alert: &super::IncidentAlert| {
            let all = holders.get(&(incident.source.as_str(), incident.receiver.as_str(), alert.fingerprint, alert.start))?;
            // Reported later, and opened or grouped so later: where the clock was set back, two of them never end each other.
            let later = all.iter().filter(|other| other.heard_at > incident.heard_at && grouped_at(other) > incident.heard_at);
            let later = later.filter(|other| other.id > incident.id || other.acks.grouped_at.is_some());
            // The last one goes on itself.
            Some((alert.fingerprint, later.max_by_key(|other| (grouped_at(other), other.id)).copied()?))
        };
        let Some(moved) = firing.map(holder).collect::<Option<Vec<_>>>().filter(|moved| !moved.is_empty()) else { continue };
        let mut parts: BTreeMap<IncidentId, (&Incident, Vec<u64>)> = BTreeMap::new();
        for (fingerprint, other) in moved {
            parts.entry(other.id).or_insert_with(|| (other, Vec::new())).1.push(fingerprint);
        }
        for (id, (other, alerts)) in &parts {
            let mut heir = changed.get(id).map_or_else(|| (*other).clone(), |(heir, _)| heir.clone());
            let Some(rows) = heir.inherit(incident, alerts, now) else { continue };
            let (known, answered) = changed.entry(*id).or_insert_with(|| ((*other).clone(), silent(Vec::new())));
            *known = heir;
            answered.rows.extend(rows);
        }
        let mut ended = incident.clone();
        let row = ended.supersede(parts.into_keys().collect(), now);
        changed.insert(ended.id, (ended, silent(vec![row])));
    }
    changed.into_values().collect()
}

fn silent(rows: Vec<TimelineRow>) -> Answered {
    Answered { rows, rings: None, silence: None, mute: None }
}

/// `#2, #3`.
pub fn incident_numbers(incidents: &[IncidentId]) -> String {
    incidents.iter().map(|id| format!("#{id}")).collect::<Vec<_>>().join(", ")
}

impl Acks {
    /// Since when the sender of an incident that was opened at this time groups its alerts so.
    pub(in crate::store::types) fn grouped_since(&self, opened_at: UnixMs) -> UnixMs {
        self.grouped_at.unwrap_or(opened_at)
    }

    /// Whether all of an incident is known, and it was not superseded before and reported again: its sender reports groups in turn that share alerts.
    pub(in crate::store::types) fn may_be_superseded(&self, truncated: bool) -> bool {
        !truncated && !self.left_out && !self.came_back
    }
}

impl Incident {
    fn supersede(&mut self, by: Vec<IncidentId>, now: UnixMs) -> TimelineRow {
        let text = format!("its sender groups its alerts in another way now: they go on as {}", incident_numbers(&by));
        self.acks.superseded_by = by;
        self.end(IncidentState::Superseded, now);
        TimelineRow { at: now, kind: TimelineKind::Superseded, channel: String::new(), text }
    }

    /// Takes over the acks of these alerts from an incident that ends; what the timeline says of it. `None`: nobody was on them, or somebody is here.
    fn inherit(&mut self, from: &Incident, alerts: &[u64], now: UnixMs) -> Option<Vec<TimelineRow>> {
        let wanted: BTreeSet<u64> = alerts.iter().copied().filter(|one| !self.is_acked(*one)).collect();
        let taken = from.acks.list.iter().filter_map(|ack| {
            let alerts: Vec<u64> = ack.alerts.iter().copied().filter(|one| wanted.contains(one)).collect();
            (!alerts.is_empty()).then(|| Ack { alerts, reminded_in: 0, ..ack.clone() })
        });
        let taken: Vec<Ack> = taken.collect();
        if taken.is_empty() {
            return None;
        }
        let row = |ack: &Ack| {
            let text = format!("acked by {} ({}) as #{}", ack.by.name, ack.by.via, from.id);
            TimelineRow { at: now, kind: TimelineKind::Acked, channel: String::new(), text }
        };
        let rows = taken.iter().map(row).collect();
        self.acks.list.extend(taken);
        self.version += 1;
        self.answer_state();
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::{Look, LookedAt};
    use super::*;
    use crate::model::EventId;
    use crate::store::{Actor, IncidentReport, ReportedAlert};

    const T0: UnixMs = UnixMs(1_764_000_000_000);

    fn report(key: &str, alerts: &[u64]) -> IncidentReport {
        let alerts = alerts.iter().map(|&fingerprint| ReportedAlert { fingerprint, start: Some(T0), fires: true, rank: 1, index: 0 });
        IncidentReport::of_group(key, alerts.collect())
    }

    fn opened(id: i64, key: &str, alerts: &[u64], after: i64) -> Incident {
        Incident { id: IncidentId(id), ..Incident::open(&report(key, alerts), EventId::new(), T0 + after).unwrap() }
    }

    fn superseded(open: &[Incident], now: UnixMs) -> Vec<(Incident, Answered)> {
        super::superseded(open, &BTreeSet::new(), now)
    }

    fn look(open: &[Incident]) -> Look {
        let mut look = Look::default();
        for one in open {
            look.add(&LookedAt {
                id: one.id,
                source: &one.source,
                receiver: &one.receiver,
                opened_at: one.opened_at,
                heard_at: one.heard_at,
                truncated: one.truncated,
                acks: one.acks.clone(),
                alerts: one.alerts.clone(),
            });
        }
        look
    }

    fn states(changed: &[(Incident, Answered)]) -> Vec<(i64, IncidentState)> {
        changed.iter().map(|(incident, _)| (incident.id.0, incident.state)).collect()
    }

    #[test]
    fn what_comes_apart_ends_when_all_of_it_goes_on() {
        let (whole, disk, web) = (opened(1, "g", &[1, 2], 0), opened(2, "a", &[1], 10), opened(3, "b", &[2], 20));
        assert!(superseded(&[whole.clone(), disk.clone()], T0 + 30).is_empty(), "a part of it is nowhere else");
        let changed = superseded(&[whole.clone(), disk.clone(), web.clone()], T0 + 30);
        assert_eq!(states(&changed), [(1, IncidentState::Superseded)]);
        let (ended, answered) = &changed[0];
        assert_eq!((ended.version, ended.ended_at, ended.acks.superseded_by.as_slice()), (2, Some(T0 + 30), &[IncidentId(2), IncidentId(3)][..]));
        assert!(answered.rows[0].text.contains("go on as #2, #3") && answered.rings.is_none(), "{answered:?}");
        // Reported once more under its key it goes on, quietly, and what it came apart into goes on as it.
        let mut again = ended.clone();
        again.apply(&report("g", &[1, 2]), EventId::new(), T0 + 40);
        assert_eq!((again.state, again.ended_at, again.acks.superseded_by.len()), (IncidentState::Firing, None, 0));
        assert!(again.alerts.iter().all(|alert| alert.fired == 1), "nothing of it is news");
        assert_eq!(states(&superseded(&[again, disk, web], T0 + 50)), [(2, IncidentState::Superseded), (3, IncidentState::Superseded)]);
    }

    #[test]
    fn groups_that_a_sender_reports_in_turn_stay_apart() {
        let (mut all, one) = (opened(1, "g", &[1], 0), opened(2, "a", &[1], 10));
        all.apply(&report("g", &[1]), EventId::new(), T0 + 10);
        assert!(superseded(&[all.clone(), one.clone()], T0 + 20).is_empty());
        for other in [
            Incident { source: "x".into(), ..opened(3, "x", &[1], 30) },
            Incident { receiver: "x".into(), ..opened(3, "x", &[1], 30) },
            opened(3, "x", &[2], 30),
        ] {
            assert!(superseded(&[all.clone(), other], T0 + 40).is_empty());
        }
        assert!(superseded(&[Incident { truncated: true, ..all }, opened(3, "x", &[1], 30)], T0 + 40).is_empty(), "not all of it is known");
    }

    #[test]
    fn groups_that_share_alerts_end_each_other_once_at_most() {
        let (one, mut other) = (opened(1, "g", &[1], 0), opened(2, "a", &[1], 10));
        let ended = |open: &[Incident], at: i64| superseded(open, T0 + at).into_iter().map(|(incident, _)| incident).collect::<Vec<_>>();
        let mut one = ended(&[one, other.clone()], 20).remove(0);
        one.apply(&report("g", &[1]), EventId::new(), T0 + 30);
        other = ended(&[one.clone(), other], 40).remove(0);
        for at in [50_i64, 60, 70] {
            let again = if at == 60 { &mut one } else { &mut other };
            again.apply(&report(if at == 60 { "g" } else { "a" }, &[1]), EventId::new(), T0 + at);
            assert!(one.state.is_open() && other.state.is_open() && ended(&[one.clone(), other.clone()], at + 5).is_empty(), "{at}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_ends_one_of_two_at_most() {
        let (mut one, other) = (opened(1, "g", &[1], 100), opened(2, "a", &[1], 70));
        assert!(superseded(&[one.clone(), other.clone()], T0 + 75).is_empty(), "the older one is not the heir");
        one.heard_at = T0 + 50;
        assert_eq!(states(&superseded(&[one, other], T0 + 80)), [(1, IncidentState::Superseded)]);
    }

    #[test]
    fn what_escalates_goes_on() {
        let (one, other) = (opened(1, "g", &[1], 0), opened(2, "a", &[1], 10));
        assert!(super::superseded(&[one, other], &BTreeSet::from([IncidentId(1)]), T0 + 20).is_empty());
    }

    /// What a look at many finds is what a look at all of them at once finds.
    #[test]
    fn a_look_at_any_number_finds_the_same() {
        let mut state = 7_u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut ended = 0;
        for _ in 0..400 {
            let open: Vec<Incident> = (1..3 + below(6) as i64)
                .map(|id| {
                    let mut alerts: Vec<u64> = (2..5).filter(|_| below(2) == 0).collect();
                    alerts.extend((alerts.is_empty() || below(2) == 0).then_some(1));
                    let mut one = opened(id, &id.to_string(), &alerts, below(5) as i64 * 10);
                    one.heard_at += below(3) as i64 * 10;
                    one.acks.grouped_at = (below(5) == 0).then(|| one.opened_at + 10);
                    (one.truncated, one.acks.came_back) = (below(9) == 0, below(9) == 0);
                    one
                })
                .collect();
            let busy: BTreeSet<IncidentId> = open.iter().map(|one| one.id).filter(|_| below(9) == 0).collect();
            let found = look(&open).found(&busy);
            let some: Vec<Incident> = open.iter().filter(|one| found.all.contains(&one.id)).cloned().collect();
            let wanted = super::superseded(&open, &busy, T0 + 100);
            assert_eq!(super::superseded(&some, &found.staying(busy.clone()), T0 + 100), wanted, "{open:#?}");
            let all: BTreeSet<IncidentId> = wanted.iter().filter(|(one, _)| one.ended_at.is_some()).map(|(one, _)| one.id).collect();
            assert_eq!(found.ending, all, "{open:#?}");
            ended += all.len();
        }
        assert!(ended > 100, "{ended}");
    }

    #[test]
    fn what_is_found_at_once_is_bounded_and_the_rest_is_found_next() {
        let mut open: Vec<Incident> = (0..400)
            .flat_map(|n| [opened(2 * n + 1, &format!("a{n}"), &[n as u64], 0), opened(2 * n + 2, &format!("b{n}"), &[n as u64], 10)])
            .collect();
        let mut rounds = Vec::new();
        while rounds.len() < 9 {
            let found = look(&open).found(&BTreeSet::new());
            rounds.push(found.ending.len());
            open.retain(|one| !found.ending.contains(&one.id));
            if found.ending.is_empty() {
                break;
            }
        }
        assert_eq!((rounds, open.len()), (vec![250, 150, 0], 400));
    }

    #[test]
    fn acks_go_on_with_their_alerts() {
        let (mut whole, disk, web) = (opened(1, "g", &[1, 2, 3], 0), opened(2, "a", &[1, 3], 10), opened(3, "b", &[2], 10));
        let by = Actor { id: "person:ann".into(), name: "ann".into(), via: "Slack".into() };
        let ack = |by: &Actor, alerts: &[u64]| Ack {
            by: by.clone(),
            at: T0 + 5,
            until: None,
            remind_at: Some(T0 + 500),
            reminded_in: 0,
            expires_at: Some(T0 + 900),
            rank: 1,
            alerts: alerts.to_vec(),
            pressed: None,
        };
        whole.acks.list = vec![ack(&by, &[1, 3])];
        let changed = superseded(&[whole.clone(), disk.clone(), web.clone()], T0 + 30);
        assert_eq!(states(&changed), [(1, IncidentState::Superseded), (2, IncidentState::Acked)]);
        let (heir, answered) = &changed[1];
        assert_eq!((heir.version, &heir.acks.list), (2, &vec![ack(&by, &[1, 3])]));
        assert_eq!((answered.rows.len(), answered.rows[0].text.as_str()), (1, "acked by ann (Slack) as #1"));
        // Who is on it here already stays.
        let bob = Actor { id: "person:bob".into(), name: "bob".into(), via: "Slack".into() };
        let mut taken = disk;
        taken.acks.list = vec![ack(&bob, &[1])];
        let changed = superseded(&[whole, taken, web], T0 + 30);
        assert_eq!(changed[1].0.acks.list, [ack(&bob, &[1]), ack(&by, &[3])]);
    }
}
