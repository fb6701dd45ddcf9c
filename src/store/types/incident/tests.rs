//! What a report does to an incident, case by case (M4, M5), and what holds whatever is reported.

use proptest::prelude::*;

use super::alert::ALERT_BYTES;
use super::*;
use crate::model::Verb;

const T0: UnixMs = UnixMs(1_764_000_000_000);
const MIN: i64 = 60_000;
const START: UnixMs = UnixMs(1_763_999_000_000);

fn alert(fingerprint: u64, fires: bool) -> ReportedAlert {
    ReportedAlert { fingerprint, start: Some(START), fires, rank: 2, index: fingerprint as u32 }
}

fn since(fingerprint: u64, start: i64) -> ReportedAlert {
    ReportedAlert { start: Some(START + start), ..alert(fingerprint, true) }
}

/// A report of a whole group.
fn report(alerts: &[ReportedAlert]) -> IncidentReport {
    IncidentReport { reopen_within: 10 * MIN, closed_for: 9 * 3_600_000, ..IncidentReport::of_group("k", alerts.to_vec()) }
}

/// A report of some of a group: truncated, or without a group key.
fn part(alerts: &[ReportedAlert]) -> IncidentReport {
    IncidentReport { whole: false, ..report(alerts) }
}

fn opened(report: &IncidentReport) -> Incident {
    Incident::open(report, EventId::new(), T0).expect("something fires")
}

fn applied(incident: &Incident, report: &IncidentReport, now: UnixMs) -> Incident {
    let mut incident = incident.clone();
    incident.apply(report, EventId::new(), now);
    incident
}

fn states(incident: &Incident) -> Vec<(u64, AlertState)> {
    let mut states: Vec<_> = incident.alerts.iter().map(|alert| (alert.fingerprint, alert.state)).collect();
    states.sort_by_key(|(fingerprint, _)| *fingerprint);
    states
}

/// Alerts that are news to a reader who was notified of `version`.
fn news(incident: &Incident, version: i64) -> Vec<u64> {
    let fires = |alert: &&IncidentAlert| alert.state == AlertState::Firing && alert.fired > version;
    let mut news: Vec<u64> = incident.alerts.iter().filter(fires).map(|alert| alert.fingerprint).collect();
    news.sort_unstable();
    news
}

use AlertState::{Firing, Resolved, Unreported};

#[test]
fn what_fires_opens_an_incident_and_what_is_resolved_does_not() {
    assert_eq!(Incident::open(&report(&[alert(1, false)]), EventId::new(), T0), None);
    let mut first = report(&[alert(1, true), alert(2, false)]);
    first.alerts[0].rank = 0;
    let incident = opened(&first);
    assert_eq!(states(&incident), [(1, Firing)], "the end of what was never reported here is none");
    assert_eq!((incident.state, incident.version, incident.rank, incident.ended_at), (IncidentState::Firing, 1, 0, None));
    assert_eq!((incident.opened_at, incident.heard_at, incident.alerts[0].index), (T0, T0, 1));
    assert_eq!(news(&incident, 0), [1]);
}

#[test]
fn news_is_another_start_or_what_was_over_for_a_while() {
    let incident = opened(&report(&[alert(1, true)]));
    let over = applied(&incident, &report(&[alert(1, false)]), T0 + MIN);
    let reported = |from: &Incident, alert: ReportedAlert, after: i64| news(&applied(from, &report(&[alert]), T0 + after), from.version);
    for (what, from, alert, after, expected) in [
        ("a repeat", &incident, alert(1, true), MIN, vec![]),
        ("another start", &incident, since(1, 1), MIN, vec![1]),
        ("a start that is not known", &incident, ReportedAlert { start: None, ..alert(1, true) }, MIN, vec![1]),
        ("another alert", &incident, alert(2, true), MIN, vec![2]),
        ("the same start at once after its end", &over, alert(1, true), MIN, vec![]),
        ("within a minute of its end", &over, alert(1, true), MIN + TWIN_DISAGREEMENT_MS, vec![]),
        ("later", &over, alert(1, true), MIN + TWIN_DISAGREEMENT_MS + 1, vec![1]),
        ("another start within a minute of its end", &over, since(1, 1), MIN + 1, vec![1]),
        ("a clock that was set back", &over, alert(1, true), MIN - 1, vec![1]),
    ] {
        assert_eq!(reported(from, alert, after), expected, "{what}");
    }
    let left_out = applied(&incident, &report(&[alert(2, true)]), T0 + MIN);
    assert_eq!(reported(&left_out, alert(1, true), MIN + 1), [1], "what was no longer reported is news at once");
    let twice = applied(&applied(&over, &report(&[alert(1, true)]), T0 + MIN + 1), &report(&[alert(1, true)]), T0 + 9 * MIN);
    assert_eq!(news(&twice, 1), Vec::<u64>::new(), "twins disagreed for a moment");
}

#[test]
fn twins_disagree_about_what_fires_only() {
    let over = applied(&opened(&report(&[alert(1, true), alert(2, true)])), &report(&[alert(1, false), alert(2, true)]), T0 + MIN);
    let doubted = applied(&over, &report(&[alert(1, true), alert(2, true)]), T0 + MIN + 5);
    let end = T0 + MIN + TWIN_DISAGREEMENT_MS;
    assert_eq!(doubted.acks.doubted, [(1, end)]);
    assert_eq!((doubted.doubted_until(&[1], T0 + MIN + 5), doubted.doubted_until(&[1], end)), (Some(end), None));
    assert!(!doubted.acks.is_doubted(1, T0 - 60 * MIN), "the clock was set back: nobody waits for an hour");
    assert_eq!((doubted.doubted_until(&[1, 2], T0 + MIN + 5), doubted.doubted_until(&[3], T0 + MIN + 5)), (None, None));
    assert_eq!(acked(&doubted, &[2], T0 + MIN + 5).doubted_until(&[1, 2], T0 + MIN + 6), Some(end), "somebody is on the other");
    // An end that names none of them, and a group that leaves it out.
    let ended = applied(&doubted, &IncidentReport { all_resolved: true, ..part(&[alert(2, false)]) }, T0 + MIN + 9);
    assert_eq!((ended.state, ended.acks.doubted.len()), (IncidentState::Resolved, 0));
    let again = applied(&ended, &report(&[alert(1, true), alert(2, true)]), T0 + MIN + 19);
    assert_eq!(again.acks.doubted, [1, 2].map(|one| (one, T0 + MIN + 9 + TWIN_DISAGREEMENT_MS)));
    assert!(applied(&doubted, &report(&[alert(2, true)]), T0 + MIN + 9).acks.doubted.is_empty());
}

/// Somebody acks these alerts.
fn acked(incident: &Incident, alerts: &[u64], now: UnixMs) -> Incident {
    pressed(incident, Verb::Ack, alerts, now)
}

fn pressed(incident: &Incident, verb: Verb, alerts: &[u64], now: UnixMs) -> Incident {
    let mut incident = incident.clone();
    let act = Act {
        press: PressKey { platform: "api".into(), event_id: "1".into() },
        verb,
        until: None,
        labels: Default::default(),
        mutes: Default::default(),
        by: Actor { id: "a".into(), name: "anna".into(), via: "API".into() },
        on: Vec::new(),
        rules: AckRules { remind_after: 60 * MIN, expires_after: 120 * MIN, repeat: 60 * MIN },
        now,
    };
    incident.act(&act, Some(&alerts.iter().copied().collect()));
    incident
}

#[test]
fn a_close_of_a_part_ends_nothing_of_the_rest() {
    let incident = opened(&report(&[alert(1, true), alert(2, true)]));
    let part = pressed(&incident, Verb::Close, &[1], T0);
    assert_eq!((part.state, part.is_acked(1), part.is_acked(2)), (IncidentState::Firing, true, false));
    assert_eq!(pressed(&part, Verb::Close, &[1, 2], T0).state, IncidentState::Closed);
}

#[test]
fn an_ack_is_of_one_outage() {
    let both = acked(&opened(&report(&[alert(1, true), alert(2, true)])), &[1, 2], T0);
    let half = applied(&both, &report(&[alert(1, false), alert(2, true)]), T0 + MIN);
    for (what, said, after, still) in [
        ("the same again soon", alert(1, true), 5, true),
        ("another start soon", since(1, 1), 5, true),
        ("the same again later", alert(1, true), 20, false),
        ("another start later", since(1, 1), 20, false),
    ] {
        let again = applied(&half, &report(&[said, alert(2, true)]), T0 + after * MIN);
        assert_eq!((again.is_acked(1), again.is_acked(2)), (still, true), "{what}");
    }
    // A sender that starts again names another start without an end: it is the same outage.
    assert!(applied(&both, &report(&[since(1, 1), alert(2, true)]), T0 + 20 * MIN).is_acked(1));
    // Of what is over nobody is reminded, and no ack of it ends aloud.
    let mut first = acked(&opened(&report(&[alert(1, true), alert(2, true)])), &[1], T0);
    first = applied(&first, &report(&[alert(1, false), alert(2, true)]), T0 + MIN);
    assert_eq!((first.wake_at(), first.wake(T0 + 999 * MIN)), (None, None));
    // Nobody is on what was given up or closed.
    for state in [IncidentState::Stale, IncidentState::Closed] {
        let mut ended = both.clone();
        ended.end(state, T0 + 600 * MIN);
        let again = applied(&ended, &report(&[since(1, 9), alert(2, true)]), T0 + 9000 * MIN);
        assert_eq!((again.state, again.acks.list.len()), (IncidentState::Firing, 0), "{state:?}");
    }
}

/// Acks and their ends by turns, an hour apart at least where they ring.
#[test]
fn an_unack_soon_after_another_is_held() {
    let turn = |incident: &Incident, minute: i64| {
        let at = T0 + minute * MIN;
        pressed(&acked(incident, &[1], at - MIN), Verb::Unack, &[1], at)
    };
    let times = |incident: &Incident| {
        let unacked = incident.acks.unacked.as_ref().unwrap();
        (unacked.rang_in, (unacked.rang_at - T0) / MIN, unacked.held_until.map(|until| (until - T0) / MIN))
    };
    let first = turn(&opened(&report(&[alert(1, true), alert(2, true)])), 10);
    assert_eq!((times(&first), first.wake_at()), ((3, 10, None), None), "it rings at once");
    let second = turn(&first, 20);
    assert_eq!((times(&second), second.wake_at()), ((3, 10, Some(70)), Some(T0 + 70 * MIN)));
    let third = turn(&second, 30);
    assert_eq!(times(&third), (3, 10, Some(70)), "until the same time, however often");
    let unacked = third.acks.unacked.as_ref().unwrap();
    assert_eq!([2, 3].map(|rang_in| unacked.is_held(rang_in, T0 + 69 * MIN)), [false, true], "a channel that did not ring at first does now");
    assert_eq!([9, 70].map(|minute| unacked.is_held(3, T0 + minute * MIN)), [false, false], "the clock was set back; the time is over");
    // Nobody is on it: it rings, and the next one within an hour of that is held again.
    let mut woken = third.clone();
    assert_eq!(woken.wake(T0 + 70 * MIN - 1), None);
    let rings = woken.wake(T0 + 70 * MIN).and_then(|answered| answered.rings).unwrap();
    assert_eq!((rings.why.as_str(), rings.about), ("unacked by anna, and nobody is on it since", [1, 2].into()));
    assert_eq!((times(&woken), woken.wake_at()), ((7, 70, None), None));
    assert_eq!(times(&turn(&woken, 129)), (7, 70, Some(130)));
    assert_eq!(times(&turn(&woken, 130)), (10, 130, None));
    // Somebody is on all of it: nothing is owed, and an hour after what rang the next one rings at once.
    let taken = acked(&third, &[1, 2], T0 + 40 * MIN);
    assert_eq!((times(&taken), taken.wake_at()), ((3, 10, None), Some(T0 + 100 * MIN)), "only its reminder is to come");
    assert_eq!(times(&turn(&taken, 69)), (3, 10, Some(70)));
    assert_eq!(times(&turn(&taken, 70)), (9, 70, None));
    // What its sender ended while it was held rings for nothing.
    let mut over = applied(&third, &report(&[alert(1, false), alert(2, false)]), T0 + 50 * MIN);
    assert_eq!((over.wake_at(), over.wake(T0 + 70 * MIN)), (None, None));
}

#[test]
fn an_ack_ends_for_what_is_new_and_worse_only() {
    let ranked = |fingerprint, rank| ReportedAlert { rank, ..alert(fingerprint, true) };
    let part = acked(&opened(&report(&[ranked(1, 2), ranked(2, 0)])), &[1], T0);
    let repeated = applied(&part, &report(&[ranked(1, 2), ranked(2, 0)]), T0 + MIN);
    assert!(repeated.is_acked(1) && repeated.acks.unacked.is_none(), "what is worse was there before");
    for (what, report) in
        [("a new one", report(&[ranked(1, 2), ranked(2, 0), ranked(3, 1)])), ("one that rose", report(&[ranked(1, 1), ranked(2, 0)]))]
    {
        let worse = applied(&part, &report, T0 + MIN);
        assert_eq!((worse.acks.list.len(), worse.acks.unacked.map(|unacked| unacked.version)), (0, Some(worse.version)), "{what}");
    }
    assert!(applied(&part, &report(&[ranked(1, 2), ranked(2, 0), ranked(3, 3)]), T0 + MIN).is_acked(1));
}

#[test]
fn one_fingerprint_is_one_alert() {
    let incident = opened(&report(&[alert(1, true)]));
    let other = applied(&incident, &part(&[since(1, 5)]), T0 + MIN);
    assert_eq!(states(&other), [(1, Firing)]);
    assert_eq!((other.alerts[0].start, other.alerts[0].fired, other.alerts[0].changed_at), (Some(START + 5), 2, T0 + MIN));
    // Resolved matches by fingerprint, whatever start it names.
    let over = applied(&other, &part(&[alert(1, false)]), T0 + 2 * MIN);
    assert_eq!((over.state, over.ended_at, over.alerts[0].start), (IncidentState::Resolved, Some(T0 + 2 * MIN), Some(START + 5)));
}

#[test]
fn over_is_what_every_alert_proves() {
    let three = opened(&report(&[alert(1, true), alert(2, true), alert(3, true)]));
    let all = |mut report: IncidentReport| {
        report.all_resolved = true;
        report
    };
    let (open, over) = (IncidentState::Firing, IncidentState::Resolved);
    for (what, said, state, alerts) in [
        ("one resolved", report(&[alert(1, false), alert(2, true), alert(3, true)]), open, [Resolved, Firing, Firing]),
        ("all resolved", report(&[alert(1, false), alert(2, false), alert(3, false)]), over, [Resolved; 3]),
        ("the whole group leaves one out", report(&[alert(1, true), alert(2, true)]), open, [Firing, Firing, Unreported]),
        (
            "the whole group leaves one out, and the rest is resolved",
            report(&[alert(1, false), alert(2, false)]),
            open,
            [Resolved, Resolved, Unreported],
        ),
        ("a truncated body leaves one out", part(&[alert(1, true), alert(2, true)]), open, [Firing; 3]),
        ("a truncated body says resolved", part(&[alert(1, false)]), open, [Resolved, Firing, Firing]),
        ("a truncated body whose reason says that all are", all(part(&[alert(1, false)])), over, [Resolved; 3]),
        ("without a group key, one by one", part(&[alert(3, false)]), open, [Firing, Firing, Resolved]),
    ] {
        let after = applied(&three, &said, T0 + MIN);
        let expected: Vec<_> = (1..).zip(alerts).collect();
        assert_eq!((after.state, states(&after)), (state, expected), "{what}");
        assert_eq!(after.ended_at, (state == over).then_some(T0 + MIN), "{what}");
    }
    let left_out = applied(&three, &report(&[alert(1, false), alert(2, false)]), T0 + MIN);
    assert_eq!(applied(&left_out, &report(&[alert(3, false)]), T0 + 2 * MIN).state, over, "its end came late");
    assert_eq!(applied(&left_out, &all(part(&[alert(1, false)])), T0 + 2 * MIN).state, over, "the reason counts for it, too");
}

#[test]
fn without_a_group_key_the_set_adds_up() {
    let mut incident = opened(&part(&[alert(1, true)]));
    for (said, state) in [
        (alert(2, true), IncidentState::Firing),
        (alert(1, false), IncidentState::Firing),
        (alert(3, true), IncidentState::Firing),
        (alert(2, false), IncidentState::Firing),
        (alert(3, false), IncidentState::Resolved),
    ] {
        incident = applied(&incident, &part(&[said]), T0 + MIN);
        assert_eq!(incident.state, state, "{said:?}");
    }
    assert_eq!((states(&incident), incident.version), (vec![(1, Resolved), (2, Resolved), (3, Resolved)], 6));
}

#[test]
fn the_rank_is_that_of_what_fires() {
    let ranked = |fingerprint, rank, fires| ReportedAlert { rank, ..alert(fingerprint, fires) };
    let incident = opened(&report(&[ranked(1, 0, true), ranked(2, 2, true)]));
    assert_eq!(incident.rank, 0);
    let less = applied(&incident, &report(&[ranked(1, 0, false), ranked(2, 2, true)]), T0 + MIN);
    assert_eq!(less.rank, 2);
    let over = applied(&less, &report(&[ranked(1, 0, false), ranked(2, 2, false)]), T0 + MIN);
    assert_eq!((over.state, over.rank), (IncidentState::Resolved, 0), "afterwards, of all");
}

#[test]
fn an_incident_that_ended_lately_goes_on() {
    let incident = opened(&report(&[alert(1, true)]));
    let over = applied(&incident, &report(&[alert(1, false)]), T0 + MIN);
    let fires = report(&[since(1, 1)]);
    for (now, takes) in [(T0 + MIN, true), (T0 + 11 * MIN, true), (T0 + 11 * MIN + 1, false)] {
        assert_eq!(over.takes(&fires, now), takes, "{now}");
    }
    assert!(over.takes(&report(&[alert(1, false)]), T0 + 999 * MIN), "a resolved alert opens nothing, however late");
    let again = applied(&over, &fires, T0 + 2 * MIN);
    assert_eq!((again.state, again.ended_at, again.version, again.opened_at), (IncidentState::Firing, None, 3, T0));
    assert_eq!(news(&again, over.version), [1]);
}

#[test]
fn a_stale_incident_goes_on_whenever_it_fires() {
    let mut stale = opened(&report(&[alert(1, true)]));
    stale.end(IncidentState::Stale, T0 + 540 * MIN);
    assert_eq!((stale.state, stale.ended_at, stale.version), (IncidentState::Stale, Some(T0 + 540 * MIN), 2));
    assert_eq!(states(&stale), [(1, Firing)], "nobody said that it is over");
    let fires = report(&[alert(1, true)]);
    assert!(stale.takes(&fires, T0 + 9999 * MIN));
    let again = applied(&stale, &fires, T0 + 9999 * MIN);
    assert_eq!((again.state, again.ended_at, again.version), (IncidentState::Firing, None, 3));
}

#[test]
fn what_is_remembered_is_bounded_and_what_was_left_out_is_not_over() {
    let many: Vec<ReportedAlert> = (0..MAX_INCIDENT_ALERTS as u64 + 6)
        .map(|fingerprint| ReportedAlert { rank: u8::from(fingerprint >= 6), ..alert(fingerprint, true) })
        .collect();
    let incident = opened(&part(&many));
    assert_eq!((incident.alerts.len(), incident.truncated), (MAX_INCIDENT_ALERTS, true));
    let severe: Vec<u64> = incident.alerts[..6].iter().map(|alert| alert.fingerprint).collect();
    assert_eq!(severe, [0, 1, 2, 3, 4, 5], "the most severe stay");
    let ends: Vec<ReportedAlert> = many.iter().map(|alert| ReportedAlert { fires: false, ..*alert }).collect();
    let some = applied(&incident, &part(&ends), T0 + MIN);
    assert_eq!(some.state, IncidentState::Firing, "some of a group prove nothing of those that were left out");
    assert_eq!(applied(&incident, &report(&ends), T0 + MIN).state, IncidentState::Resolved, "the whole group does");
    assert_eq!(applied(&incident, &IncidentReport { all_resolved: true, ..part(&ends[..1]) }, T0 + MIN).state, IncidentState::Resolved);
    // What is resolved makes room for what fires.
    let few = applied(&opened(&part(&many[..4])), &part(&ends[..4]), T0 + MIN);
    let refilled = applied(&few, &part(&many[4..MAX_INCIDENT_ALERTS + 2]), T0 + 2 * MIN);
    assert_eq!((refilled.alerts.len(), refilled.truncated), (MAX_INCIDENT_ALERTS, false));
    assert_eq!(refilled.alerts.iter().filter(|alert| alert.state == Resolved).count(), 2);
}

#[test]
fn an_entry_that_cannot_be_read_is_left_out() {
    let alerts = opened(&report(&[alert(1, true), alert(2, true)])).alerts;
    let mut stored = write_incident_alerts(&alerts);
    stored[16] = 9;
    assert_eq!(read_incident_alerts(&stored), alerts[1..]);
    stored.truncate(ALERT_BYTES + 3);
    assert_eq!(read_incident_alerts(&stored), []);
}

fn any_report() -> impl Strategy<Value = IncidentReport> {
    let alert = (0..4u64, proptest::option::of(0..3i64), any::<bool>(), 0..4u8);
    let alerts = proptest::collection::vec(alert, 0..5);
    (alerts, any::<bool>(), any::<bool>()).prop_map(|(alerts, whole, all_resolved)| {
        let alerts = alerts.into_iter().map(|(fingerprint, start, fires, rank)| ReportedAlert {
            fingerprint,
            start: start.map(UnixMs),
            fires: fires && !all_resolved,
            rank,
            index: 0,
        });
        IncidentReport { whole, all_resolved, ..report(&alerts.collect::<Vec<_>>()) }
    })
}

proptest! {
    #[test]
    fn whatever_is_reported(reports in proptest::collection::vec((any_report(), 0..200_000i64), 1..30)) {
        let mut now = T0;
        let mut incident: Option<Incident> = None;
        for (report, later) in reports {
            now += later;
            let Some(known) = &mut incident else {
                incident = Incident::open(&report, EventId::new(), now);
                prop_assert_eq!(incident.is_some(), report.fires());
                continue;
            };
            let before = known.clone();
            known.apply(&report, EventId::new(), now);
            prop_assert_eq!((known.version, known.heard_at, known.opened_at), (before.version + 1, now, before.opened_at));
            let all_resolved = known.alerts.iter().all(|alert| alert.state == Resolved);
            prop_assert_eq!(known.state, if all_resolved { IncidentState::Resolved } else { IncidentState::Firing });
            prop_assert_eq!(known.ended_at.is_some(), all_resolved);
            prop_assert!(!report.fires() || known.alerts.iter().any(|alert| alert.state == Firing) || report.alerts.iter().any(|alert| !alert.fires));
            let mut fingerprints: Vec<u64> = known.alerts.iter().map(|alert| alert.fingerprint).collect();
            fingerprints.sort_unstable();
            fingerprints.dedup();
            prop_assert_eq!(fingerprints.len(), known.alerts.len());
            // What was known stays known, and nothing is over that was not said to be.
            for old in &before.alerts {
                let new = known.alerts.iter().find(|alert| alert.fingerprint == old.fingerprint);
                prop_assert!(new.is_some());
                let named = report.alerts.iter().any(|alert| alert.fingerprint == old.fingerprint && !alert.fires);
                let ended = new.is_some_and(|new| new.state == Resolved) && old.state != Resolved;
                prop_assert!(!ended || named || report.all_resolved);
            }
            prop_assert!(known.alerts.iter().all(|alert| alert.fired <= known.version));
            prop_assert_eq!(&read_incident_alerts(&write_incident_alerts(&known.alerts)), &known.alerts);
        }
    }
}
