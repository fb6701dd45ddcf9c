//! Escalations of which conditions, quiet hours, limits and failures keep steps, in injected time: somebody is reached in the end, or an alarm says why not.

use std::time::Duration;

use crate::channel::Limit;
use crate::delivery::press::Deed;
use crate::delivery::self_alert::{SelfAlert, SelfAlertKind, SelfAlertRouter};
use crate::delivery::{AllowancePlan, testing};
use crate::model::{ErrorKind, IncidentId, Language, Status, Verb};
use crate::store::{ActOn, ActResult, Actor, Author, EscalationStep, Mute, PressKey, ShownIn, State};

use super::plan::BEGIN;
use super::scene::{Process, Scene, owned};
use super::{Dice, World, seeds};

const MINUTE: Duration = Duration::from_secs(60);
const REACHED: &str = "WatchfireNobodyReached";
const SEVERE: &str = "the step is for what is at least critical";

/// One call an hour to a number.
fn limited() -> AllowancePlan {
    AllowancePlan { per_month: None, per_recipient: vec![Limit { count: 1, window: Duration::from_secs(3600) }] }
}

async fn fires(process: &Process, group: &str, label: &str) -> IncidentId {
    process.report(group, &[(&format!("Disk-{group}"), label, Status::Firing)]).await
}

/// Quiet hours are every other ten minutes here, the first ones from the beginning on.
#[test]
fn a_warning_of_which_quiet_hours_keep_every_step_is_sent_when_they_end() {
    let mut scene = Scene::new();
    scene.quiet = Some("ann");
    scene.live(async |process| {
        let id = fires(process, "g", "many").await;
        tokio::time::sleep(6 * MINUTE).await;
        let waits = "waits, for nobody was reached so far: quiet hours of ann";
        assert_eq!(process.ends(id).await, [(State::Deferred, waits.to_owned())]);
        let told = process.escalated(id).await;
        assert!(told.iter().any(|text| *text == format!("step 1 of the escalation `many` {waits}")), "{told:?}");
        assert_eq!(process.alarms(REACHED), 1);
    });
    scene.live(async |process| {
        tokio::time::sleep(60 * MINUTE).await;
        assert_eq!(process.alarms(""), 0, "it was raised once");
    });
    assert_eq!(scene.steps(), owned(&[(10, "mail", "ann")]));
}

#[test]
fn what_becomes_critical_meanwhile_breaks_quiet_hours() {
    let mut scene = Scene::new();
    (scene.quiet, scene.now) = (Some("ann"), BEGIN + 16 * MINUTE);
    scene.live(async |process| {
        let id = fires(process, "g", "many").await;
        tokio::time::sleep(6 * MINUTE).await;
        assert_eq!(process.ends(id).await[0].0, State::Deferred);
        let mut load = testing::alert("Load", "critical", Status::Firing);
        load.labels.insert("many".into(), "yes".into());
        process.report_all("g", vec![load]).await;
        tokio::time::sleep(5 * MINUTE).await;
    });
    assert_eq!(scene.steps(), owned(&[(26, "mail", "ann")]), "not at thirty");
}

/// The first message showed what is critical, and somebody acked it; a warning that joined it is nobody's.
#[test]
fn what_somebody_is_on_breaks_nobodys_quiet_hours() {
    let mut scene = Scene::new();
    scene.quiet = Some("ann");
    scene.live(async |process| {
        let alert = |name: &str, severity: &str| {
            let mut alert = testing::alert(name, severity, Status::Firing);
            alert.labels.insert("x".into(), "yes".into());
            alert
        };
        let id = process.report_all("g", vec![alert("Disk", "critical")]).await;
        tokio::time::sleep(MINUTE).await;
        process.report_all("g", vec![alert("Disk", "critical"), alert("Load", "warning")]).await;
        let press = PressKey { platform: "slack".into(), event_id: "1".into() };
        let by = Actor { id: "person:bob".into(), name: "bob".into(), via: "Slack".into() };
        let deed = Deed { press, verb: Verb::Ack, span: Duration::ZERO, by, author: Author::default() };
        let shown = ShownIn { channel: "free".into(), version: 1, formed_at: process.now(), pressed: None, begun: Vec::new() };
        let acted = process.engine.act(deed, vec![ActOn { incident: id, shown: Some(shown) }]).await.expect("it is stored");
        assert!(matches!(acted.results[0].1, ActResult::Acked { alerts: 1, left: 1, .. }), "{acted:?}");
        tokio::time::sleep(8 * MINUTE).await;
        assert_eq!(process.ends(id).await[0], (State::Skipped, "quiet hours of ann".to_owned()));
    });
    assert!(scene.steps().is_empty(), "{:?}", scene.steps());
}

#[test]
fn a_step_that_a_mute_moved_into_quiet_hours_says_so() {
    let mut scene = Scene::new();
    (scene.quiet, scene.now) = (Some("ann"), BEGIN + 10 * MINUTE);
    scene.live(async |process| {
        let id = fires(process, "g", "many").await;
        tokio::time::sleep(MINUTE).await;
        let mute = Mute { matchers: "many=\"yes\"".into(), until: BEGIN + 22 * MINUTE, reason: "work".into(), by: "ann".into() };
        process.engine.set_mute(mute).await.expect("it is stored");
        tokio::time::sleep(5 * MINUTE).await;
        assert_eq!((process.ends(id).await[0].0, process.alarms(REACHED)), (State::Deferred, 0), "it is muted");
        tokio::time::sleep(8 * MINUTE).await;
        assert_eq!(process.ends(id).await, [(State::Deferred, "waits, for nobody was reached so far: quiet hours of ann".to_owned())]);
        assert_eq!((process.alarms(REACHED), process.escalated(id).await.len()), (1, 1));
        tokio::time::sleep(30 * MINUTE).await;
        assert_eq!(process.alarms(REACHED), 1, "it was raised once");
    });
    assert_eq!(scene.steps(), owned(&[(32, "mail", "ann")]));
}

/// It does not wait until after its planned time where what keeps it ends before.
#[test]
fn a_step_that_is_handed_on_early_is_evaluated_every_five_minutes() {
    let mut scene = Scene::new();
    (scene.quiet, scene.now) = (Some("ann"), BEGIN + 8 * MINUTE);
    scene.live(async |process| {
        let id = fires(process, "g", "many").await;
        tokio::time::sleep(MINUTE).await;
        process.press(Verb::Escalate, id, Duration::ZERO).await;
        tokio::time::sleep(MINUTE / 2).await;
        assert_eq!((process.ends(id).await[0].0, process.alarms(REACHED)), (State::Deferred, 1));
        tokio::time::sleep(30 * MINUTE).await;
        assert_eq!(process.alarms(REACHED), 1, "it was raised once");
    });
    assert_eq!(scene.steps(), owned(&[(14, "mail", "ann")]), "not at eighteen");
}

#[test]
fn an_ack_ends_what_waits_for_the_end_of_quiet_hours() {
    let mut scene = Scene::new();
    scene.quiet = Some("ann");
    scene.live(async |process| {
        let id = fires(process, "g", "many").await;
        tokio::time::sleep(6 * MINUTE).await;
        process.press(Verb::Ack, id, Duration::ZERO).await;
        tokio::time::sleep(60 * MINUTE).await;
        assert_eq!(process.ends(id).await, [(State::Skipped, "acked by ann".to_owned())]);
    });
    assert_eq!(scene.steps(), owned(&[]));
}

#[test]
fn of_late_steps_the_latest_that_reaches_somebody_is_sent() {
    let mut scene = Scene::new();
    let id = scene.live(async |process| {
        let id = fires(process, "g", "late").await;
        tokio::time::sleep(MINUTE).await;
        id
    });
    scene.now = BEGIN + 23 * MINUTE;
    scene.live(async |process| {
        tokio::time::sleep(60 * MINUTE).await;
        let ends = process.ends(id).await;
        assert_eq!((ends[0].0, ends[1].0), (State::Sent, State::Skipped), "{ends:?}");
    });
    assert_eq!(scene.steps(), owned(&[(23, "voice", "ann")]), "the second one is not sent in these minutes, and the first one reached somebody");
}

/// The later step is for a team, or for whom a label names: all of them have quiet hours.
#[test]
fn a_late_step_is_sent_where_the_one_after_it_is_for_a_team_or_an_owner_who_has_quiet_hours() {
    for label in ["teams", "owners"] {
        let mut scene = Scene::new();
        scene.quiet = Some("bob");
        let id = scene.live(async |process| {
            let mut disk = testing::alert("Disk", "warning", Status::Firing);
            disk.labels.extend([(label, "yes"), ("owner", "bob")].map(|(name, value)| (name.to_owned(), value.to_owned())));
            let id = process.report_all("g", vec![disk]).await;
            tokio::time::sleep(MINUTE).await;
            id
        });
        scene.now = BEGIN + 23 * MINUTE;
        scene.live(async |process| {
            tokio::time::sleep(60 * MINUTE).await;
            let ends = process.ends(id).await;
            assert_eq!((ends[0].0, ends[1].0), (State::Sent, State::Skipped), "{label}: {ends:?}");
        });
        assert_eq!(scene.steps(), owned(&[(23, "voice", "ann")]), "{label}");
    }
}

#[test]
fn a_number_over_its_limit_waits_where_no_later_step_reaches_anybody_now() {
    let mut scene = Scene::new();
    scene.phone = Some((limited(), Vec::new()));
    scene.live(async |process| {
        let first = fires(process, "g", "x").await;
        tokio::time::sleep(2 * MINUTE).await;
        let second = fires(process, "h", "late").await;
        tokio::time::sleep(4 * MINUTE).await;
        process.press(Verb::Ack, first, Duration::ZERO).await;
        tokio::time::sleep(2 * MINUTE).await;
        let (state, why) = process.ends(second).await.swap_remove(0);
        assert_eq!(state, State::Deferred, "{why}");
        assert!(why.starts_with("waits until ") && why.ends_with("(`recipient_limit`)"), "{why}");
        assert_eq!(process.alarms(REACHED), 1);
        tokio::time::sleep(60 * MINUTE).await;
        assert_eq!(process.ends(second).await[1].0, State::Sent);
    });
    assert_eq!(scene.steps(), owned(&[(5, "voice", "ann"), (12, "mail", "bob")]), "as soon as the next step reaches somebody");
}

/// The vendor of the call never says what became of it.
#[test]
fn a_call_that_nobody_confirms_takes_no_later_step_away() {
    let mut scene = Scene::new();
    (scene.quiet, scene.phone, scene.now) = (Some("bob"), Some((AllowancePlan::default(), Vec::new())), BEGIN + 12 * MINUTE);
    scene.live(async |process| {
        let id = fires(process, "g", "sure").await;
        tokio::time::sleep(11 * MINUTE).await;
        let ends = process.ends(id).await;
        assert_eq!((ends[0].0, ends[1].0), (State::Sent, State::Deferred), "{ends:?}");
        assert_eq!(process.alarms(REACHED), 1);
        tokio::time::sleep(30 * MINUTE).await;
        assert_eq!(process.ends(id).await[1].0, State::Sent);
    });
    assert_eq!(scene.steps(), owned(&[(17, "voice", "ann"), (32, "mail", "bob")]));
}

#[test]
fn a_later_step_on_a_disabled_channel_takes_no_other_ones_place() {
    let mut scene = Scene::new();
    (scene.phone, scene.disabled) = (Some((limited(), Vec::new())), Some("mail"));
    scene.live(async |process| {
        let first = fires(process, "g", "x").await;
        tokio::time::sleep(2 * MINUTE).await;
        let second = fires(process, "h", "sure").await;
        tokio::time::sleep(4 * MINUTE).await;
        process.press(Verb::Ack, first, Duration::ZERO).await;
        tokio::time::sleep(2 * MINUTE).await;
        let ends = process.ends(second).await;
        assert_eq!(ends[0].0, State::Deferred, "it waits until its number gets one more: {ends:?}");
        assert_eq!(process.alarms(REACHED), 1);
        tokio::time::sleep(70 * MINUTE).await;
        let ends = process.ends(second).await;
        assert_eq!((ends[0].0, ends[1].0), (State::Sent, State::Skipped), "{ends:?}");
    });
    assert_eq!(scene.steps(), owned(&[(5, "voice", "ann"), (65, "voice", "ann")]));
}

#[test]
fn what_quiet_hours_keep_does_not_wait_for_a_disabled_channel() {
    let mut scene = Scene::new();
    (scene.quiet, scene.disabled) = (Some("ann"), Some("mail"));
    scene.live(async |process| {
        let id = fires(process, "g", "sure").await;
        tokio::time::sleep(6 * MINUTE).await;
        assert_eq!((process.ends(id).await[0].0, process.alarms(REACHED)), (State::Deferred, 1));
        tokio::time::sleep(60 * MINUTE).await;
    });
    assert_eq!(scene.steps(), owned(&[(10, "voice", "ann")]));
}

#[test]
fn an_escalation_that_severity_keeps_says_so_only_where_it_was_meant_to_reach_somebody() {
    let mut scene = Scene::new();
    scene.exchange.broken.lock().unwrap().insert("mail");
    scene.live(async |process| {
        let id = fires(process, "g", "severe").await;
        tokio::time::sleep(30 * MINUTE).await;
        let ends = process.ends(id).await;
        assert_eq!((ends[0].0, ends[1].clone()), (State::Dead, (State::Deferred, format!("waits, for nobody was reached so far: {SEVERE}"))));
        assert_eq!(process.alarms(REACHED), 1, "the first step was for it, and is dead");
    });
}

/// What joins an incident begins no other escalation: the one that waits for what is severe takes it.
#[test]
fn what_becomes_critical_late_is_escalated() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = fires(process, "g", "grave").await;
        tokio::time::sleep(11 * MINUTE).await;
        let waits = (State::Deferred, format!("evaluated again while its incident fires: {SEVERE}"));
        assert_eq!(process.ends(id).await, [waits.clone(), waits], "by mail and by a call");
        assert_eq!((process.alarms(REACHED), process.escalated(id).await), (0, Vec::new()), "it was not meant for a warning");
        let mut load = testing::alert("Load", "critical", Status::Firing);
        load.labels.insert("grave".into(), "yes".into());
        assert_eq!(process.report_all("g", vec![load]).await, id);
        tokio::time::sleep(5 * MINUTE).await;
        assert!(process.ends(id).await.iter().all(|(state, _)| *state == State::Sent));
    });
    let mut steps = scene.steps();
    steps.sort();
    assert_eq!(steps, owned(&[(15, "mail", "ann"), (15, "voice", "ann")]));
}

#[test]
fn what_never_becomes_critical_ends_with_its_incident() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = fires(process, "g", "grave").await;
        tokio::time::sleep(6 * MINUTE).await;
        process.report("g", &[("Disk-g", "grave", Status::Resolved)]).await;
        tokio::time::sleep(10 * MINUTE).await;
        assert_eq!(process.ends(id).await, vec![(State::Skipped, "over: the incident is resolved".to_owned()); 2]);
        assert_eq!(process.alarms(""), 0);
    });
    assert_eq!(scene.steps(), owned(&[]));
}

/// One alarm is not sent again for ten minutes, and each incident is one.
#[test]
fn an_alarm_about_one_incident_does_not_swallow_that_of_another() {
    let mut plan = World::new(&mut Dice::new(1)).plan(false, "a");
    plan.self_monitoring.to = vec!["free".into()];
    let step = EscalationStep { escalation: "many".into(), number: 1, began_at: BEGIN, after: 0 };
    let mut router = SelfAlertRouter::default();
    let free = |since| Some(("free".to_owned(), since));
    let reached = |incident: i64| SelfAlert::nobody_reached(&step, IncidentId(incident), "quiet hours of ann", true);
    let sure = |incident: i64| SelfAlert::step_not_confirmed("voice", &step, IncidentId(incident), "it is dead");
    for alert in [reached(1), reached(2), sure(1)] {
        assert_eq!(router.route(&alert, &plan, BEGIN), free(BEGIN), "{alert:?}");
        assert_eq!(router.route(&alert, &plan, BEGIN + MINUTE), None, "the same one again");
    }
    assert_eq!(router.route(&sure(2), &plan, BEGIN + MINUTE), None, "a channel that holds the steps of hundreds of incidents is one alarm");
    let [one, two] = [1, 2].map(|incident| reached(incident).event(BEGIN, BEGIN, Language::En));
    assert_ne!(one.group_key, two.group_key, "each has a message of its own");
    assert_ne!(one.alerts[0].fingerprint, two.alerts[0].fingerprint);
    // News is for programs only.
    assert_eq!(router.route(&SelfAlert::acked(IncidentId(1), "ann"), &plan, BEGIN), None);
    // What ends is known until then, however long that takes.
    assert!(router.route(&SelfAlert::disk("full"), &plan, BEGIN).is_some());
    assert_eq!(router.route(&reached(1), &plan, BEGIN + 11 * MINUTE), free(BEGIN + 11 * MINUTE));
    assert!(router.route(&SelfAlert::resolved(SelfAlertKind::Disk, ""), &plan, BEGIN + 12 * MINUTE).is_some());
}

/// Random escalations, quiet hours, limits, refusals and crashes: whatever they keep back, an incident that nobody acks reaches somebody, or an alarm was
/// raised. Where nothing is refused, it reaches somebody.
#[test]
fn whatever_keeps_its_steps_an_incident_that_nobody_acks_reaches_somebody_or_an_alarm_says_why_not() {
    const FAULTS: [ErrorKind; 3] = [ErrorKind::Rejected, ErrorKind::Ambiguous, ErrorKind::Misconfigured];
    for seed in seeds(1) {
        let (mut dice, mut scene) = (Dice::new(seed), Scene::new());
        let label = ["x", "night", "some", "many", "late", "severe"][dice.below(6) as usize];
        scene.quiet = [None, Some("ann"), Some("bob"), Some("carol")][dice.below(4) as usize];
        scene.phone = dice.permille(500).then(|| (limited(), Vec::new()));
        for name in ["voice", "mail"] {
            if let Some(fault) = FAULTS.get(dice.below(6) as usize) {
                scene.exchange.faults.lock().unwrap().insert(name, *fault);
            }
        }
        let faults = scene.exchange.faults.lock().unwrap().clone();
        println!(
            "seed {seed} (WATCHFIRE_SEED={seed} runs it alone): {label}, quiet for {:?}, limits: {}, {faults:?}",
            scene.quiet,
            scene.phone.is_some()
        );
        scene.now = BEGIN + MINUTE * dice.below(20) as u32;
        let mut alarms = 0;
        for life in 0..3 + dice.below(3) {
            let span = Duration::from_secs(60 + dice.below(900));
            alarms += scene.live(async |process| {
                if life == 0 {
                    // Whom both may call has no call left.
                    fires(process, "other", "x").await;
                    fires(process, "g", label).await;
                }
                tokio::time::sleep(span).await;
                process.alarms("")
            });
            scene.now = scene.now + Duration::from_secs(dice.below(600));
        }
        let (ends, last) = scene.live(async |process| {
            tokio::time::sleep(180 * MINUTE).await;
            let id = fires(process, "g", label).await;
            (process.ends(id).await, process.alarms(""))
        });
        alarms += last;
        let reached = ends.iter().any(|(state, _)| *state == State::Sent);
        assert!(reached || alarms > 0, "seed {seed}: {ends:?}");
        assert!(reached || !faults.is_empty(), "seed {seed}: nothing was refused, and nobody was reached: {ends:?}");
    }
}
