//! What becomes of steps.

use super::*;

const T0: UnixMs = UnixMs(1_764_000_000_000);
const INCIDENT: IncidentId = IncidentId(7);

fn step(number: u32) -> EscalationStep {
    EscalationStep { escalation: "db".into(), number, began_at: T0, after: i64::from(number) * 60_000 }
}

/// A step of an escalation that is due `number` minutes after its beginning.
fn row(number: u32, state: State) -> StepRow {
    let due_at = T0 + i64::from(number) * 60_000;
    StepRow {
        id: DeliveryId::new(),
        incident: INCIDENT,
        step: step(number),
        channel: format!("c{number}"),
        state,
        born_at: due_at - std::time::Duration::from_millis(1),
        due_at,
        tries: 0,
        in_flight: false,
        undelivered: false,
        awaited: false,
        waits: false,
        stopped: false,
    }
}

fn minutes(n: i64) -> UnixMs {
    T0 + n * 60_000 + 1
}

#[test]
fn a_step_that_its_platform_is_still_to_confirm_has_reached_nobody() {
    let sent = row(1, State::Sent);
    assert!(sent.has_reached());
    assert!(!StepRow { awaited: true, ..sent.clone() }.has_reached() && !StepRow { undelivered: true, ..sent }.has_reached());
    assert!(!row(1, State::Dead).has_reached());
}

/// A step that twins disagree about comes after that, in its order.
#[test]
fn a_step_is_held_while_twins_disagree() {
    let seconds = |n: i64| T0 + n * 1000;
    let soon = |number: u32, after: i64| EscalationStep { after: after * 1000, ..step(number) };
    let planned = |number: u32, after: i64| StepRow { step: soon(number, after), due_at: seconds(after), ..row(number, State::Deferred) };
    assert_eq!(soon(1, 10).held(&[planned(1, 10), planned(2, 20), planned(3, 300)], seconds(55)), seconds(65));
    assert_eq!(soon(1, 10).held(&[planned(1, 10), planned(2, 60)], seconds(55)), seconds(55), "the second one would end it");
    let other = StepRow { step: EscalationStep { escalation: "web".into(), ..soon(2, 60) }, ..planned(2, 60) };
    assert_eq!(soon(1, 10).held(&[other], seconds(55)), seconds(65), "another escalation is none of its business");
    assert_eq!(step(5).held(&[], minutes(6)), minutes(6), "its escalation began before");
}

#[test]
fn of_late_steps_only_the_latest_is_sent() {
    use State::{Deferred, Sent, Waiting};
    let rows = [row(1, Deferred), row(2, Deferred), row(3, Deferred)];
    for (now, late) in [(1, None), (2, Some(2)), (3, Some(3)), (99, Some(3))] {
        assert_eq!(later_step(&rows, &step(1), &[], minutes(now)), late, "after {now} minutes");
    }
    assert_eq!(later_step(&rows, &step(3), &[], minutes(99)), None, "nothing is later than the last one");
    let planned = |reach: [bool; 3]| [1, 2, 3].map(|number: u32| PlannedStep { after: step(number).after, reaches: reach[number as usize - 1] });
    assert_eq!(later_step(&rows, &step(1), &planned([true, true, false]), minutes(99)), Some(2), "the last one reaches nobody now");
    assert_eq!(later_step(&rows, &step(1), &planned([true, false, false]), minutes(99)), None);
    // The configuration has them at other times since, one before all of them, or fewer.
    let moved = planned([true, true, false]).map(|one| PlannedStep { after: one.after + 7, ..one });
    assert_eq!(later_step(&rows, &step(1), &moved, minutes(99)), Some(2), "the last one, whose time has changed, reaches nobody now");
    let grown: Vec<PlannedStep> = std::iter::once(PlannedStep { after: 7, reaches: true }).chain(planned([true, true, false])).collect();
    assert_eq!(later_step(&rows, &step(1), &grown, minutes(99)), Some(2));
    assert_eq!(later_step(&rows, &step(1), &moved[..2], minutes(99)), Some(3), "nothing is said of the last one");
    let begun = StepRow { tries: 1, ..row(3, Waiting) };
    assert_eq!(later_step(&[row(1, Waiting), begun], &step(1), &planned([true, true, false]), minutes(99)), Some(3), "it was tried before");
    // One that is tried again later was due, and so was one that ended.
    let tried = StepRow { tries: 1, due_at: minutes(50), ..row(2, Waiting) };
    assert_eq!(later_step(&[row(1, Waiting), tried], &step(1), &[], minutes(3)), Some(2));
    let sent = StepRow { tries: 1, ..row(2, Sent) };
    assert_eq!(later_step(&[row(1, Waiting), sent], &step(1), &[], minutes(1)), Some(2));
    assert_eq!(later_step(&[row(1, Waiting), row(2, State::Dropped)], &step(1), &[], minutes(1)), None, "dropped by hand before its time");
    let other = |change: fn(&mut EscalationStep)| {
        let mut other = row(2, Sent);
        change(&mut other.step);
        later_step(&[row(1, Waiting), other], &step(1), &[], minutes(9))
    };
    assert_eq!(other(|step| step.escalation = "web".into()), None, "another escalation is none of its business");
    assert_eq!(other(|step| step.began_at = minutes(-9)), None, "nor is what was before");
}

#[test]
fn a_step_that_was_not_confirmed_makes_the_next_one_due() {
    use State::{Dead, Deferred, Dropped, Sent, Skipped, Unknown, Waiting};
    let open = HashMap::from([(INCIDENT, None)]);
    let changes = |rows: &[StepRow], now: i64| {
        let changed = step_changes(rows, &open, &["c1".into()], minutes(now));
        let number = |id: DeliveryId| rows.iter().find(|row| row.id == id).map_or(0, |row| row.step.number);
        changed.into_iter().map(|(id, change)| (number(id), matches!(change, StepChange::DueAtOnce(_)))).collect::<Vec<_>>()
    };
    let undelivered = StepRow { undelivered: true, ..row(1, Sent) };
    let due = vec![(2, true)];
    for (what, first, wanted) in [
        ("dead", row(1, Dead), due.clone()),
        ("unknown", row(1, Unknown), due.clone()),
        ("undelivered", undelivered, due.clone()),
        ("on a suspended channel", row(1, Waiting), due.clone()),
        ("on a suspended channel, deferred until now", row(1, Deferred), due),
        ("sent", row(1, Sent), vec![]),
        ("skipped", row(1, Skipped), vec![]),
        ("dropped by hand", row(1, Dropped), vec![]),
    ] {
        assert_eq!(changes(&[first, row(2, Deferred), row(3, Deferred)], 1), wanted, "{what}");
    }
    assert_eq!(changes(&[row(1, Deferred), row(2, Deferred)], 0), [], "it is not due, whatever its channel does");
    assert_eq!(changes(&[row(1, Dead), row(2, Deferred)], 2), [], "it is due anyway");
    assert_eq!(changes(&[row(1, Dead), row(2, Dead), row(3, Deferred)], 1), [(3, true)]);
    assert_eq!(changes(&[row(1, Dead), row(2, Sent), row(3, Deferred)], 1), [], "the chain went on already");
    let in_flight = StepRow { in_flight: true, ..row(2, Waiting) };
    assert_eq!(changes(&[row(1, Dead), in_flight], 1), []);
    let muted = StepRow { due_at: minutes(60), ..row(2, Deferred) };
    assert_eq!(changes(&[row(1, Dead), muted], 1), [], "a mute holds it");
    // Of a step through several channels one is enough.
    assert_eq!(changes(&[row(1, Sent), row(1, Dead), row(2, Deferred), row(2, Deferred)], 1), [(2, true), (2, true)]);
}

#[test]
fn who_hands_on_makes_the_next_step_due() {
    use State::{Deferred, Sent, Waiting};
    let next = |rows: &[StepRow], now: i64| {
        let found = next_steps(rows, "by ann", minutes(now));
        let number = |id: DeliveryId| rows.iter().find(|row| row.id == id).map_or(0, |row| row.step.number);
        found.into_iter().map(|(id, change)| (number(id), change.applied().1)).collect::<Vec<_>>()
    };
    let due = |number: u32| (number, "at once: by ann".to_owned());
    assert_eq!(next(&[row(1, Sent), row(2, Deferred), row(2, Deferred), row(3, Deferred)], 1), [due(2), due(2)]);
    assert_eq!(next(&[row(1, Deferred), row(2, Deferred)], 0), [due(1)], "before the first one, it is the first");
    assert_eq!(next(&[row(1, Waiting), row(2, Deferred)], 1), [due(2)], "one that is due is not the next");
    assert_eq!(next(&[row(1, Sent)], 1), [], "there is none");
    let muted = StepRow { due_at: minutes(60), ..row(2, Deferred) };
    assert_eq!(next(&[row(1, Sent), muted, row(3, Deferred)], 1), [due(3)]);
    let mut web = row(4, Deferred);
    web.step.escalation = "web".into();
    let mut old = row(2, Deferred);
    old.step.began_at = minutes(-9);
    assert_eq!(next(&[old, row(3, Deferred), web], 1), [due(3), due(4)], "of each escalation, in its last run");
}

#[test]
fn what_is_over_and_what_began_again_ends() {
    use State::{Dead, Deferred, Sent, Waiting};
    let rows = [row(1, Sent), row(2, Deferred), StepRow { in_flight: true, ..row(3, Waiting) }];
    let why = || Some("over: the incident is resolved".to_owned());
    let dropped = |why: Option<String>| StepChange::Dropped(why.unwrap_or_default());
    let over = step_changes(&rows, &HashMap::from([(INCIDENT, why())]), &[], minutes(1));
    assert_eq!(over, [(rows[1].id, dropped(why()))], "what is in flight says so itself");
    let mut again = row(1, Deferred);
    again.step.began_at = minutes(5);
    let rows = [row(1, Dead), row(2, Deferred), again];
    let changed = step_changes(&rows, &HashMap::from([(INCIDENT, None)]), &[], minutes(1));
    assert_eq!(changed, [(rows[1].id, dropped(Some("the escalation began again".into())))]);
}

#[test]
fn an_escalation_begins_once_until_it_is_over() {
    let steps = [step(1), step(2)];
    let at = |began_at: UnixMs| steps.clone().map(|step| EscalationStep { began_at, ..step });
    let begin = |begun: &mut Begun, steps: &[EscalationStep]| begun.begin(steps.iter().map(|step| (INCIDENT, step, HashSet::new)));
    let mut begun = Begun::default();
    assert_eq!(begin(&mut begun, &at(T0)), [true, true]);
    assert_eq!(begin(&mut begun, &at(minutes(1))), [false, false], "a later event of the same incident");
    let other = EscalationStep { escalation: "web".into(), ..step(1) };
    assert_eq!(begin(&mut begun, std::slice::from_ref(&other)), [true], "another escalation");
    assert_eq!(begun.begin([(IncidentId(8), &steps[0], HashSet::new)].into_iter()), [true], "another incident");
    begun.called_again(INCIDENT, minutes(2));
    begun.called_again(INCIDENT, minutes(1));
    assert_eq!(begin(&mut begun, &at(minutes(2))), [true, true], "it was reopened, or its ack ended");
    assert_eq!(begin(&mut begun, &at(minutes(3))), [false, false]);
}

/// The last run of an escalation of the incident, with one step; whether an ack ended it, and when it ended.
fn run(acked: bool, ended_at: Option<UnixMs>) -> Begun {
    let mut begun = Begun::default();
    begun.runs.entry((INCIDENT, "db".to_owned())).or_default().add(T0, (1, "c1".to_owned()), acked, ended_at);
    begun
}

fn begins(begun: &mut Begun, now: UnixMs) -> bool {
    let step = EscalationStep { began_at: now, ..step(1) };
    begun.begin([(INCIDENT, &step, HashSet::new)].into_iter())[0]
}

#[test]
fn what_an_ack_stopped_begins_again_once_nobody_is_on_anything() {
    let ended_at = Some(minutes(1));
    assert!(!begins(&mut run(false, ended_at), minutes(5)), "no ack stopped it");
    assert!(
        !begins(&mut Begun { attended: HashMap::from([(INCIDENT, HashSet::from([1]))]), ..run(true, ended_at) }, minutes(5)),
        "somebody is on the rest"
    );
    let mut left = run(true, ended_at);
    assert_eq!([5, 6].map(|minute| begins(&mut left, minutes(minute))), [true, false], "once");
}

/// An ack of a part ended, while the escalation went on for the rest.
#[test]
fn what_no_ack_stopped_goes_on_when_one_ends() {
    let unacked = |begun: Begun| Begun { unacked: HashMap::from([(INCIDENT, minutes(4))]), ..begun };
    assert!(begins(&mut unacked(run(false, Some(minutes(3)))), minutes(5)), "nothing of it waited");
    assert!(!begins(&mut unacked(run(false, None)), minutes(5)));
    assert!(!begins(&mut unacked(run(false, Some(minutes(5)))), minutes(6)), "it was sent since");
    let mut acked = Begun { attended: HashMap::from([(INCIDENT, HashSet::from([1]))]), ..unacked(run(true, Some(minutes(5)))) };
    assert!(!begins(&mut acked, minutes(6)), "somebody was on it again by then");
    let mut reopened = run(false, None);
    reopened.called_again(INCIDENT, minutes(4));
    assert!(begins(&mut reopened, minutes(5)), "what is over and fires again is another outage");
    let mut two = unacked(run(false, None));
    two.runs.values_mut().for_each(|last| last.add(T0, (2, "c2".to_owned()), true, Some(minutes(2))));
    assert!(begins(&mut two, minutes(5)), "the ack stopped another step of it");
}

#[test]
fn the_last_run_is_the_last_one_made() {
    let step = || (1, "c1".to_owned());
    let mut last = LastRun::default();
    last.add(T0, step(), true, Some(T0));
    assert!(last.is_stopped());
    last.add(T0, step(), false, None);
    assert!(last.goes_on() && !last.is_stopped(), "an ack, its end and another run in one moment");
    last.add(minutes(1), step(), false, Some(minutes(1)));
    last.add(T0, (2, "c2".to_owned()), true, None);
    assert!((last.began_at, last.goes_on(), last.is_stopped()) == (minutes(1), false, false), "{last:?}");
}
