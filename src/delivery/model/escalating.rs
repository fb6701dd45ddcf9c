//! Escalations, in injected time: who is notified when nobody acks, what an ack stops and its end starts, and what a restart, a mute and a failure do.

use std::time::Duration;

use futures_util::FutureExt as _;

use crate::delivery::{AllowancePlan, testing};
use crate::model::{ErrorKind, Event, Status, UnixMs, Verb};
use crate::store::{ActOn, ActResult, AuditFilter, AuditState, DeliveryFilter, IncidentFilter, IncidentState, QueryStore, State, TimelineKind};

use super::plan::BEGIN;
use super::scene::{Process, Scene, owned};
use super::{Dice, seeds};

const MINUTE: Duration = Duration::from_secs(60);

const FIRES: (&str, &str, Status) = ("Disk", "x", Status::Firing);
const ENDS: (&str, &str, Status) = ("Disk", "x", Status::Resolved);

#[test]
fn who_is_named_is_notified_step_by_step_until_the_last() {
    let mut scene = Scene::new();
    let exchange = scene.exchange.clone();
    scene.live(async |process| {
        let id = process.report("g", &[FIRES]).await;
        tokio::time::sleep(3 * MINUTE).await;
        assert_eq!(process.report("g", &[FIRES, ("Load", "x", Status::Firing)]).await, id);
        tokio::time::sleep(60 * MINUTE).await;
        assert!(process.ends(id).await.iter().all(|(state, _)| *state == State::Sent), "{:?}", process.ends(id).await);
        assert_eq!(process.escalated(id).await.len(), 3);
        assert_eq!(process.counted("sent"), "3");
    });
    assert_eq!(scene.steps(), owned(&[(5, "voice", "ann"), (10, "mail", "bob"), (20, "voice", "bob")]));
    let reached = exchange.reached.lock().unwrap();
    let call = reached.iter().find(|one| one.channel == "voice").expect("a call");
    assert!(call.text.contains("Disk") && call.text.contains("Load"), "it shows what fires when it is due: {}", call.text);
}

#[test]
fn what_the_store_did_is_recorded_and_counted_though_nobody_waits_for_it_any_more() {
    Scene::new().live(async |process| {
        let id = process.report("g", &[FIRES]).await;
        let state = async || process.store.get_incident(id).await.expect("the store").expect("it is there").incident.state;
        let mut acting = Box::pin(process.engine.act(process.deed(Verb::Ack, Duration::ZERO), vec![ActOn { incident: id, shown: None }]));
        while state().await != IncidentState::Acked && acting.as_mut().now_or_never().is_none() {}
        // The phone that sent it lost its connection.
        drop(acting);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let audit = process.store.list_audit(&AuditFilter { limit: 10, ..AuditFilter::default() }).await.expect("the audit");
        assert_eq!(audit.iter().map(|row| row.state).collect::<Vec<_>>(), [AuditState::Done], "{audit:#?}");
        assert!(process.shows(r#"watchfire_presses_total{platform="api",verb="ack",result="done"} 1"#));
        // It is lost before the audit has its row.
        let mut undoing = Box::pin(process.engine.act(process.deed(Verb::Unack, Duration::ZERO), vec![ActOn { incident: id, shown: None }]));
        assert!(undoing.as_mut().now_or_never().is_none());
        drop(undoing);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let audit = process.store.list_audit(&AuditFilter { limit: 10, ..AuditFilter::default() }).await.expect("the audit");
        assert_eq!((state().await, audit.len()), (IncidentState::Firing, 2), "{audit:#?}");
        assert!(audit.iter().all(|row| row.state == AuditState::Done), "{audit:#?}");
    });
}

#[test]
fn what_a_message_whose_answer_was_lost_carried_is_acked_by_its_link() {
    let mut scene = Scene::new();
    scene.exchange.faults.lock().unwrap().insert("voice", ErrorKind::Ambiguous);
    scene.live(async |process| {
        let id = process.report("g", &[FIRES]).await;
        tokio::time::sleep(6 * MINUTE).await;
        let rows = process.store.list_deliveries(&DeliveryFilter { limit: 50, ..DeliveryFilter::default() }).await.expect("the deliveries");
        let call = rows.iter().find(|row| row.channel == "voice" && row.state == State::Unknown).and_then(|row| row.message).expect("a call");
        let message = process.store.get_message(call).await.expect("the store").expect("it is there");
        let on = process.engine.shown_in(&message, 0).await.expect("the store");
        let acted = process.engine.act(process.deed(Verb::Ack, Duration::ZERO), on).await.expect("it is stored");
        assert!(matches!(acted.results[..], [(acked, ActResult::Acked { alerts: 1, left: 0, .. })] if acked == id), "{acted:?}");
    });
}

#[test]
fn an_ack_ends_it_and_the_end_of_the_ack_begins_it_again() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[FIRES]).await;
        tokio::time::sleep(6 * MINUTE).await;
        process.press(Verb::Snooze, id, 30 * MINUTE).await;
        let reasons: Vec<String> = process.ends(id).await.into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(reasons[1..], ["snoozed by ann", "snoozed by ann"], "at once");
        tokio::time::sleep(60 * MINUTE).await;
        process.press(Verb::Ack, id, Duration::ZERO).await;
        process.report("g", &[FIRES, ("Load", "x", Status::Firing)]).await;
        tokio::time::sleep(60 * MINUTE).await;
        assert_eq!(process.counted("skipped"), "2");
    });
    let again = [(5, "voice", "ann"), (41, "voice", "ann"), (46, "mail", "bob"), (56, "voice", "bob")];
    assert_eq!(scene.steps(), owned(&again), "what joins an acked incident begins nothing");
}

#[test]
fn a_step_that_fails_makes_the_next_one_come_at_once() {
    let mut scene = Scene::new();
    scene.exchange.broken.lock().unwrap().insert("voice");
    scene.live(async |process| {
        let id = process.report("g", &[FIRES]).await;
        tokio::time::sleep(60 * MINUTE).await;
        let states: Vec<State> = process.ends(id).await.into_iter().map(|(state, _)| state).collect();
        assert_eq!(states, [State::Dead, State::Sent, State::Dead]);
        let told = process.escalated(id).await;
        assert!(told.iter().any(|text| text == "step 2 of the escalation `db` at once, because of the step before: it is dead"), "{told:?}");
        assert_eq!((process.counted("dead"), process.counted("sent")), ("2".into(), "1".into()));
        assert_eq!(process.alarms("WatchfireStepNotConfirmed"), 3, "of both that are dead, and of the one that came early");
    });
    assert_eq!(scene.steps(), owned(&[(5, "mail", "bob")]), "not at ten");
    for (fault, why, alarms) in
        [(ErrorKind::Ambiguous, "nobody knows whether it was delivered", 2), (ErrorKind::Misconfigured, "its channel is suspended", 1)]
    {
        let mut scene = Scene::new();
        scene.exchange.faults.lock().unwrap().insert("voice", fault);
        scene.live(async |process| {
            let id = process.report("g", &[FIRES]).await;
            tokio::time::sleep(8 * MINUTE).await;
            let told = process.escalated(id).await;
            let early = format!("step 2 of the escalation `db` at once, because of the step before: {why}");
            assert!(told.contains(&early), "{told:?}");
            assert_eq!(process.alarms("WatchfireStepNotConfirmed"), alarms, "{told:?}");
        });
        assert_eq!(scene.steps(), owned(&[(5, "mail", "bob")]), "{why}");
    }
    let mut scene = Scene::new();
    scene.phone = Some((AllowancePlan::default(), Vec::new()));
    scene.live(async |process| {
        let id = process.report("g", &[FIRES]).await;
        process.nobody_answers(8 * MINUTE).await;
        let told = process.escalated(id).await;
        let early = "step 2 of the escalation `db` at once, because of the step before: it did not reach its person";
        assert!(told.iter().any(|text| text == early), "{told:?}");
        assert_eq!(process.alarms("WatchfireStepNotConfirmed"), 1, "{told:?}");
    });
    assert_eq!(scene.steps(), owned(&[(5, "voice", "ann"), (5, "mail", "bob")]), "nobody answered the call");
}

#[test]
fn what_ends_drops_what_waits() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[FIRES]).await;
        tokio::time::sleep(6 * MINUTE).await;
        process.report("g", &[ENDS]).await;
        tokio::time::sleep(60 * MINUTE).await;
        let reasons: Vec<String> = process.ends(id).await.into_iter().map(|(_, reason)| reason).collect();
        assert_eq!(reasons[1..], ["over: the incident is resolved", "over: the incident is resolved"]);
    });
    assert_eq!(scene.steps(), owned(&[(5, "voice", "ann")]));
}

#[test]
fn a_process_that_comes_back_late_runs_only_the_latest_step() {
    let mut scene = Scene::new();
    let id = scene.live(async |process| {
        let id = process.report("g", &[FIRES]).await;
        tokio::time::sleep(MINUTE).await;
        id
    });
    scene.now = BEGIN + 12 * MINUTE;
    scene.live(async |process| {
        tokio::time::sleep(MINUTE).await;
        let ends = process.ends(id).await;
        assert_eq!(ends[0], (State::Skipped, "step 2 is due: of late steps only the latest is sent".into()));
        assert_eq!((ends[1].0, ends[2].0), (State::Sent, State::Deferred));
    });
    scene.live(async |_| tokio::time::sleep(20 * MINUTE).await);
    assert_eq!(scene.steps(), owned(&[(12, "mail", "bob"), (20, "voice", "bob")]));
}

#[test]
fn what_is_muted_begins_when_it_is_sent() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        process.report("g", &[("Disk", "muted", Status::Firing)]).await;
        tokio::time::sleep(9 * MINUTE).await;
    });
    assert_eq!((scene.notified(), scene.steps().len()), (0, 0));
    scene.live(async |_| tokio::time::sleep(60 * MINUTE).await);
    assert_eq!(scene.notified(), 1);
    assert_eq!(scene.steps(), owned(&[(15, "voice", "ann"), (20, "mail", "bob"), (30, "voice", "bob")]));
}

#[test]
fn two_escalations_of_one_incident_run_side_by_side() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[FIRES, ("Page", "web", Status::Firing)]).await;
        let other = process.report("h", &[("Other", "web", Status::Firing)]).await;
        assert_ne!(id, other);
        tokio::time::sleep(7 * MINUTE).await;
        process.press(Verb::Ack, other, Duration::ZERO).await;
        tokio::time::sleep(60 * MINUTE).await;
    });
    let both = [(2, "mail", "carol"), (2, "mail", "carol"), (5, "voice", "ann"), (10, "mail", "bob"), (20, "voice", "bob")];
    assert_eq!(scene.steps(), owned(&both));
}

/// Its worker reads the store every fifteen seconds when nobody asks it to.
#[test]
fn a_step_that_begins_again_comes_at_its_time_however_soon_that_is() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[("Disk", "soon", Status::Firing)]).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        process.press(Verb::Ack, id, Duration::ZERO).await;
        process.press(Verb::Unack, id, Duration::ZERO).await;
        tokio::time::sleep(Duration::from_secs(7)).await;
        let ends = process.ends(id).await;
        assert_eq!(ends.iter().map(|(state, _)| *state).collect::<Vec<_>>(), [State::Skipped, State::Sent], "{ends:?}");
    });
}

#[test]
fn what_fires_again_is_escalated_again_though_its_incident_went_on() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[FIRES, ("Page", "web", Status::Firing)]).await;
        tokio::time::sleep(MINUTE).await;
        process.report("g", &[FIRES, ("Page", "web", Status::Resolved)]).await;
        // The step comes at two, and nothing calls for it then.
        tokio::time::sleep(3 * MINUTE).await;
        assert_eq!(process.report("g", &[FIRES, ("Page", "web", Status::Firing)]).await, id);
        tokio::time::sleep(60 * MINUTE).await;
        let ends = process.ends(id).await;
        assert_eq!(ends.iter().filter(|(state, _)| *state == State::Skipped).count(), 1, "{ends:?}");
    });
    let both = [(5, "voice", "ann"), (6, "mail", "carol"), (10, "mail", "bob"), (20, "voice", "bob")];
    assert_eq!(scene.steps(), owned(&both));
}

/// No attempt of a step began after all of its incident was acked, and before that ended.
async fn no_step_began_while_acked(process: &Process) {
    let found = process.store.list_incidents(&IncidentFilter { limit: 99, ..IncidentFilter::default() }).await.expect("the incidents");
    for incident in found {
        let detail = process.store.get_incident(incident.id).await.expect("the store").expect("it is there");
        let mut acked: Vec<(UnixMs, UnixMs)> = Vec::new();
        for row in &detail.timeline {
            match row.kind {
                TimelineKind::Acked | TimelineKind::Snoozed => acked.push((row.at, UnixMs::MAX)),
                TimelineKind::Unacked | TimelineKind::Resolved => {
                    acked.iter_mut().filter(|(_, until)| *until == UnixMs::MAX).for_each(|(_, until)| *until = row.at);
                }
                _ => {}
            }
        }
        for row in detail.deliveries.iter().filter(|row| row.channel != "free") {
            let Some(message) = row.message else { continue };
            let message = process.store.get_message(message).await.expect("the store").expect("it is there");
            for attempt in &message.attempts {
                let within = acked.iter().find(|(from, until)| *from < attempt.begun_at && attempt.begun_at < *until);
                assert!(within.is_none(), "{attempt:?} of {row:?} began within {within:?}: {:?}", detail.timeline);
            }
        }
    }
}

/// Random lives: acks, their ends, ends of incidents, broken channels and crashes.
#[test]
fn an_acked_incident_starts_no_step_and_another_one_reaches_the_last() {
    for seed in seeds(1) {
        println!("seed {seed} (WATCHFIRE_SEED={seed} runs it alone)");
        let (mut dice, mut scene) = (Dice::new(seed), Scene::new());
        let groups = ["a", "b", "c"];
        // An ack holds for the same alert in other incidents, too.
        let disk = |group: &str| format!("Disk-{group}");
        let exchange = scene.exchange.clone();
        let broken = &exchange.broken;
        for _ in 0..2 + seed % 3 {
            scene.live(async |process| {
                for _ in 0..10 + dice.below(30) {
                    tokio::time::sleep(Duration::from_secs(dice.below(240))).await;
                    let group = groups[dice.below(3) as usize];
                    let second = if dice.permille(500) { Status::Firing } else { Status::Resolved };
                    match dice.below(10) {
                        0..4 => _ = process.report(group, &[(&disk(group), "x", Status::Firing), (&format!("Load-{group}"), "x", second)]).await,
                        4 => {
                            let event =
                                Event { group_key: group.into(), ..testing::event(vec![testing::alert(&disk(group), "warning", Status::Resolved)]) };
                            process.engine.accept(event, None).await.expect("it is accepted");
                        }
                        5..8 => {
                            let filter = IncidentFilter { limit: 99, ..IncidentFilter::default() };
                            let found = process.store.list_incidents(&filter).await.expect("the incidents");
                            if let Some(incident) = found.get(dice.below(found.len().max(1) as u64) as usize) {
                                let verb = [Verb::Ack, Verb::Snooze, Verb::Unack, Verb::Ack][dice.below(4) as usize];
                                process.press(verb, incident.id, Duration::from_secs(60 + dice.below(900))).await;
                            }
                        }
                        _ => {
                            let mut broken = broken.lock().unwrap();
                            let name = ["voice", "mail"][dice.below(2) as usize];
                            if !broken.remove(name) {
                                broken.insert(name);
                            }
                        }
                    }
                }
                no_step_began_while_acked(process).await;
            });
        }
        scene.exchange.broken.lock().unwrap().clear();
        let before = scene.steps().len();
        scene.live(async |process| {
            // Nothing of it is over, nobody is on it, and nothing is refused any more.
            for group in groups {
                let id = process.report(group, &[(&disk(group), "x", Status::Firing)]).await;
                process.press(Verb::Ack, id, Duration::ZERO).await;
                process.press(Verb::Unack, id, Duration::ZERO).await;
            }
            tokio::time::sleep(25 * MINUTE).await;
            no_step_began_while_acked(process).await;
            for group in groups {
                let id = process.report(group, &[(&disk(group), "x", Status::Firing)]).await;
                let ends = process.ends(id).await;
                assert!(ends.iter().all(|(state, _)| state.is_final()), "seed {seed}: {ends:?}");
            }
        });
        let mut last: Vec<&str> = scene.steps()[before..].iter().map(|(_, channel, _)| *channel).collect();
        last.sort_unstable();
        assert_eq!(last, ["mail", "mail", "mail", "voice", "voice", "voice", "voice", "voice", "voice"], "seed {seed}: three steps of each");
    }
}

/// An escalation in which channels refuse, are suspended, lose answers or fail again and again, or nobody answers a call, and the process is killed and comes
/// back late. Nobody acks.
#[test]
fn whatever_fails_an_incident_that_nobody_acks_reaches_the_end_of_its_escalation_in_time() {
    const FAULTS: [ErrorKind; 4] = [ErrorKind::Rejected, ErrorKind::Ambiguous, ErrorKind::Misconfigured, ErrorKind::Transient];
    /// How long after its time the last step is tried at the latest, while a process lives.
    const BOUND: Duration = Duration::from_secs(60);
    const SPARED: Duration = Duration::from_secs(5);
    for (seed, answered) in seeds(1).flat_map(|seed| [(seed, true), (seed, false)]) {
        println!("seed {seed} (WATCHFIRE_SEED={seed} runs it alone), calls are answered: {answered}");
        let (mut dice, mut scene) = (Dice::new(seed), Scene::new());
        scene.phone = (!answered).then(|| (AllowancePlan::default(), Vec::new()));
        let pass = async |process: &Process, span: Duration| {
            if answered { tokio::time::sleep(span).await } else { process.nobody_answers(span).await }
        };
        // By name, by turn, and with nobody whose turn it is: the label, and when and how the last step is to come.
        let (label, minutes, channel) = [("x", 20, "voice"), ("night", 10, "mail"), ("nobody", 50, "mail")][dice.below(3) as usize];
        for name in ["voice", "mail"] {
            if let Some(fault) = FAULTS.get(dice.below(7) as usize) {
                scene.exchange.faults.lock().unwrap().insert(name, *fault);
            }
        }
        // They do not keep what is critical from anybody.
        scene.quiet = dice.permille(300).then_some("ann");
        let fault = scene.exchange.faults.lock().unwrap().get(channel).copied();
        println!("{label}: {:?}", scene.exchange.faults.lock().unwrap());
        // The process that lives then is not killed just when it sends.
        let end = scene.now + MINUTE * minutes - SPARED;
        let id = scene.live(async |process| {
            let mut disk = testing::alert("Disk", "critical", Status::Firing);
            disk.labels.insert(label.into(), "yes".into());
            let id = process.report_all("g", vec![disk]).await;
            pass(process, Duration::from_secs(dice.below(400))).await;
            id
        });
        while scene.now < end {
            if dice.permille(400) {
                scene.now = scene.now + Duration::from_secs(dice.below(300));
            }
            let span = Duration::from_secs(20 + dice.below(600)).min(end.since(scene.now));
            scene.live(async |process| pass(process, span).await);
        }
        let ends = scene.live(async |process| {
            pass(process, SPARED + BOUND).await;
            process.ends(id).await
        });
        let (state, why) = ends.last().expect("steps");
        match fault {
            None => assert_eq!(*state, State::Sent, "seed {seed}: {why}: {ends:?}"),
            Some(ErrorKind::Rejected) => assert_eq!(*state, State::Dead, "seed {seed}: {why}: {ends:?}"),
            Some(ErrorKind::Ambiguous) => assert_eq!(*state, State::Unknown, "seed {seed}: {why}: {ends:?}"),
            // It is tried until it works.
            Some(_) => assert!(matches!(state, State::Waiting | State::Deferred), "seed {seed}: {why}: {ends:?}"),
        }
        let before = &ends[..ends.len() - 1];
        let over = |state: &State| state.is_final() || matches!(state, State::Waiting | State::Deferred);
        assert!(before.iter().all(|(state, _)| over(state)), "seed {seed}: {ends:?}");
    }
}
