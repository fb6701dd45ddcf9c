//! Who is on call when a step is due, in injected time.

use std::time::Duration;

use crate::delivery::rota::ShiftKind;
use crate::delivery::{PersonName, testing};
use crate::model::{Status, UnixMs, Verb};
use crate::store::{DeliveryFilter, Override, QueryStore as _, State};

use super::plan::BEGIN;
use super::scene::{Process, Scene, owned};

const MINUTE: Duration = Duration::from_secs(60);
const NIGHT: (&str, &str, Status) = ("Disk", "night", Status::Firing);

fn over(process: &Process, person: &str, minutes: u32) -> Override {
    let now = process.now();
    Override { id: 0, rota: "night".into(), person: person.into(), from: now, until: now + MINUTE * minutes, reason: String::new(), by: "ann".into() }
}

#[test]
fn a_step_reaches_who_is_on_call_when_it_is_due() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[NIGHT]).await;
        tokio::time::sleep(60 * MINUTE).await;
        assert!(process.ends(id).await.iter().all(|(state, _)| *state == State::Sent), "{:?}", process.ends(id).await);
    });
    // The handoff is five minutes after the alert.
    assert_eq!(scene.steps(), owned(&[(2, "voice", "bob"), (6, "voice", "ann"), (10, "mail", "bob")]));
}

#[test]
fn an_override_counts_that_was_made_after_the_escalation_began() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        process.report("g", &[NIGHT]).await;
        tokio::time::sleep(3 * MINUTE).await;
        let made = process.engine.add_override(over(process, "carol", 60)).await.expect("it is stored");
        tokio::time::sleep(4 * MINUTE).await;
        assert!(process.engine.end_override(made.id).await.expect("it is stored"));
        assert!(process.engine.overrides()[0].until <= process.now());
        tokio::time::sleep(60 * MINUTE).await;
    });
    assert_eq!(scene.steps(), owned(&[(2, "voice", "bob"), (6, "voice", "carol"), (10, "mail", "bob")]));
}

#[test]
fn an_override_outlives_the_process_and_nobody_counts_who_is_not_known() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        process.report("g", &[NIGHT]).await;
        for (person, minutes) in [("carol", 8), ("dora", 60)] {
            process.engine.add_override(over(process, person, minutes)).await.expect("it is stored");
        }
        tokio::time::sleep(MINUTE).await;
    });
    scene.live(async |_| tokio::time::sleep(60 * MINUTE).await);
    assert_eq!(scene.steps(), owned(&[(2, "voice", "carol"), (6, "voice", "carol"), (10, "mail", "bob")]));
}

#[test]
fn when_nobody_is_on_call_the_next_step_comes_at_once() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[("Disk", "nobody", Status::Firing)]).await;
        tokio::time::sleep(60 * MINUTE).await;
        let ends = process.ends(id).await;
        assert_eq!(ends[0], (State::Dead, "nobody is on call in the rota `later`".into()));
        assert_eq!(ends[1].0, State::Sent);
        let told = process.escalated(id).await;
        assert!(told.iter().any(|text| text == "step 2 of the escalation `nobody` at once, because of the step before: it is dead"), "{told:?}");
    });
    assert_eq!(scene.steps(), owned(&[(5, "mail", "bob")]), "not at fifty");
}

#[test]
fn who_takes_over_is_notified_once() {
    let mut scene = Scene::new();
    scene.rota.tell = Some("mail".into());
    scene.live(async |_| tokio::time::sleep(4 * MINUTE).await);
    scene.live(async |process| {
        process.report("g", &[("Page", "x", Status::Firing)]).await;
        tokio::time::sleep(4 * MINUTE).await;
    });
    scene.live(async |_| tokio::time::sleep(MINUTE).await);
    let reached = scene.exchange.reached.lock().unwrap();
    let notices: Vec<_> = reached.iter().filter(|one| one.text.contains("On call night")).map(|one| (one.minute, one.channel)).collect();
    assert_eq!(notices, [(5, "mail"); 3], "once to each of three recipients: {reached:?}");
    let text = &reached.iter().find(|one| one.channel == "mail").expect("a notice").text;
    assert!(text.contains("ann is on call now, until 2026-11-25 03:05") && text.contains("#1 Page"), "{text}");
}

#[test]
fn a_change_of_the_people_changes_nobodys_shift_under_way() {
    let mut scene = Scene::new();
    scene.rota.tell = Some("mail".into());
    let on_call = |process: &Process, at: UnixMs| {
        let plan = process.engine.plan();
        let shift = plan.people.rotas["night"].at(at, &process.engine.overrides()).expect("somebody");
        (shift.person.to_string(), matches!(shift.kind, ShiftKind::Override(_)))
    };
    scene.live(async |process| {
        tokio::time::sleep(MINUTE).await;
        assert_eq!(on_call(process, process.now()), ("bob".into(), false));
    });
    scene.rota.people = ["carol", "bob", "ann"].map(PersonName::from).to_vec();
    scene.live(async |process| {
        tokio::time::sleep(MINUTE).await;
        assert_eq!(on_call(process, process.now()), ("bob".into(), true), "he finishes his shift");
        assert_eq!(on_call(process, process.now() + 10 * MINUTE), ("bob".into(), false), "then it follows the new order");
        tokio::time::sleep(MINUTE).await;
        let overrides = process.engine.overrides();
        assert_eq!((overrides.len(), overrides[0].from), (1, BEGIN - 23 * 60 * MINUTE - 55 * MINUTE), "once, from its beginning on");
    });
    let reached = scene.exchange.reached.lock().unwrap();
    assert!(!reached.iter().any(|one| one.text.contains("On call night")), "nobody took over: {reached:?}");
}

/// Somebody else takes a minute of the shift, as arranged before.
#[test]
fn an_override_in_a_shift_keeps_nobody_from_finishing_it_when_the_people_change() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let arranged = over(process, "eve", 4);
        process.engine.add_override(Override { from: BEGIN + 3 * MINUTE, ..arranged }).await.expect("it is stored");
        tokio::time::sleep(MINUTE).await;
    });
    scene.rota.people = ["carol", "bob", "ann"].map(PersonName::from).to_vec();
    scene.live(async |process| {
        tokio::time::sleep(MINUTE).await;
        let plan = process.engine.plan();
        let on_call = |seconds: u64| {
            let at = BEGIN + Duration::from_secs(seconds);
            plan.people.rotas["night"].at(at, &process.engine.overrides()).expect("somebody").person.to_string()
        };
        assert_eq!([150, 210, 270].map(on_call), ["bob", "eve", "bob"]);
    });
}

#[test]
fn who_hands_on_has_the_next_step_come_at_once() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[("Disk", "x", Status::Firing)]).await;
        tokio::time::sleep(6 * MINUTE).await;
        process.press(Verb::Escalate, id, Duration::ZERO).await;
        tokio::time::sleep(MINUTE).await;
        let told = process.escalated(id).await;
        for wanted in ["handed on by ann (API)", "step 2 of the escalation `db` at once: handed on by ann (API)"] {
            assert!(told.iter().any(|text| text == wanted), "{wanted}: {told:?}");
        }
        process.press(Verb::Ack, id, Duration::ZERO).await;
        process.press(Verb::Escalate, id, Duration::ZERO).await;
        tokio::time::sleep(60 * MINUTE).await;
    });
    assert_eq!(scene.steps(), owned(&[(5, "voice", "ann"), (6, "mail", "bob")]), "nobody is called for what is acked");
}

#[test]
fn a_step_whose_condition_does_not_hold_is_skipped() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[("Disk", "some", Status::Firing)]).await;
        tokio::time::sleep(60 * MINUTE).await;
        let reasons: Vec<_> = process.ends(id).await.into_iter().take(2).collect();
        let skipped = |why: &str| (State::Skipped, why.to_owned());
        assert_eq!(reasons, [skipped("the step is for what is at least critical"), skipped("the step is not sent in the time interval `quiet`")]);
    });
    assert_eq!(scene.steps(), owned(&[(30, "mail", "carol")]));
}

#[test]
fn a_step_by_label_is_for_the_owners_of_what_fires_when_it_is_due_and_for_the_channels_of_their_team() {
    let fires = |name: &str, labels: &[(&str, &str)]| {
        let mut alert = testing::alert(name, "warning", Status::Firing);
        alert.labels.extend([("owned", "yes")].iter().chain(labels).map(|(label, value)| ((*label).to_owned(), (*value).to_owned())));
        alert
    };
    let disk = || fires("Disk", &[("owner", "carol"), ("team", "db")]);
    let mut scene = Scene::new();
    scene.live(async |process| {
        process.report_all("g", vec![disk()]).await;
        process.report_all("h", vec![fires("Page", &[("owner", "bob"), ("team", "nobody")])]).await;
        tokio::time::sleep(MINUTE).await;
        process.report_all("g", vec![disk(), fires("Load", &[("owner", "dora")])]).await;
        tokio::time::sleep(60 * MINUTE).await;
    });
    let mut steps = scene.steps();
    steps.sort();
    // Nobody is called dora: who is on call counts for that one.
    assert_eq!(steps, owned(&[(6, "voice", "ann"), (6, "voice", "bob"), (6, "voice", "carol"), (10, "mail", "bob"), (10, "voice", "bob")]));
}

#[test]
fn a_step_that_reaches_only_some_reports_that_nobody_is_on_call_for_the_others() {
    let mut scene = Scene::new();
    scene.rota.first = jiff::civil::date(2027, 11, 20);
    scene.live(async |process| {
        let fires = |name: &str, owner: &str| {
            let mut alert = testing::alert(name, "warning", Status::Firing);
            alert.labels.extend([("owned", "yes"), ("owner", owner)].map(|(label, value)| (label.to_owned(), value.to_owned())));
            alert
        };
        process.report_all("g", vec![fires("Disk", "carol"), fires("Load", "dora")]).await;
        tokio::time::sleep(8 * MINUTE).await;
        assert!(process.shows(r#"watchfire_self_alerts_total{what="WatchfireNobodyOnCall"} 1"#));
    });
    assert_eq!(scene.steps(), owned(&[(6, "voice", "carol")]));
}

/// As `repeat: 2, every: 1m` is planned: three steps that differ by their time alone.
#[test]
fn a_step_that_is_repeated_is_sent_as_often_until_somebody_acks() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        let id = process.report("g", &[("Disk", "again", Status::Firing)]).await;
        tokio::time::sleep(11 * MINUTE).await;
        assert!(process.ends(id).await.iter().all(|(state, _)| *state == State::Sent), "{:?}", process.ends(id).await);
        let other = process.report("h", &[("Load", "again", Status::Firing)]).await;
        tokio::time::sleep(6 * MINUTE + MINUTE / 2).await;
        process.press(Verb::Ack, other, Duration::ZERO).await;
        tokio::time::sleep(20 * MINUTE).await;
    });
    let first = [(5, "voice", "ann"), (6, "voice", "ann"), (7, "voice", "ann"), (10, "mail", "bob")];
    let second = [(16, "voice", "ann"), (17, "voice", "ann")];
    assert_eq!(scene.steps(), owned(&[&first[..], &second[..]].concat()), "and no longer");
}

/// The file names somebody else, or another number of theirs, while an escalation runs.
#[test]
fn a_step_goes_to_whom_the_configuration_names_when_it_is_due() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        process.report("g", &[("Disk", "sure", Status::Firing)]).await;
        tokio::time::sleep(MINUTE).await;
    });
    scene.instead = Some(("ann", "carol"));
    scene.live(async |_| tokio::time::sleep(20 * MINUTE).await);
    assert_eq!(scene.steps(), owned(&[(5, "voice", "carol"), (10, "mail", "bob")]));
}

/// The file puts a step before the others while an escalation runs: what is due then is none that only what is critical is for.
#[test]
fn a_step_is_decided_by_its_own_condition_though_the_file_has_others_before_it_by_then() {
    let mut scene = Scene::new();
    scene.live(async |process| {
        process.report("g", &[("Disk", "x", Status::Firing)]).await;
        tokio::time::sleep(MINUTE).await;
    });
    scene.grown = true;
    scene.live(async |_| tokio::time::sleep(25 * MINUTE).await);
    assert_eq!(scene.steps(), owned(&[(5, "voice", "ann"), (10, "mail", "bob"), (20, "voice", "bob")]));
}

/// The same after a pause: bob has quiet hours, and a step that reaches nobody takes no other one's place.
#[test]
fn a_late_step_is_sent_where_those_after_it_reach_nobody_though_the_file_has_others_before_it() {
    let mut scene = Scene::new();
    scene.quiet = Some("bob");
    scene.live(async |process| {
        process.report("g", &[("Disk", "x", Status::Firing)]).await;
        tokio::time::sleep(MINUTE).await;
    });
    (scene.grown, scene.now) = (true, BEGIN + 23 * MINUTE);
    scene.live(async |_| tokio::time::sleep(60 * MINUTE).await);
    assert_eq!(scene.steps(), owned(&[(23, "voice", "ann")]));
}

/// As many incidents as a storm opens.
const INCIDENTS: usize = 2000;

/// Opens them, waits for their steps, and returns how many milliseconds after its time the last one began.
async fn latest_step(process: &Process, label: &str, between: Duration, wait: Duration) -> i64 {
    for n in 0..INCIDENTS {
        process.report(&format!("g{n}"), &[(&format!("Disk{n}"), label, Status::Firing)]).await;
        if !between.is_zero() {
            tokio::time::sleep(between).await;
        }
    }
    tokio::time::sleep(wait).await;
    let filter = DeliveryFilter { channels: vec!["mail".into()], limit: 5000, ..DeliveryFilter::default() };
    let rows = process.store.list_deliveries(&filter).await.expect("the deliveries");
    assert_eq!(rows.len(), INCIDENTS);
    let mut latest = 0;
    for row in rows {
        assert_eq!(row.state, State::Sent, "{row:?}");
        let message = process.store.get_message(row.message.expect("it was sent")).await.expect("the store").expect("it is there");
        // When it was due is overwritten by when it was done; a step is born when it is due.
        let late = message.attempts[0].begun_at - row.born_at;
        assert!(late >= 0, "{row:?} began {late} ms after its time");
        latest = latest.max(late);
    }
    println!("the last of {INCIDENTS} steps began {latest} ms after its time");
    latest
}

/// All of their steps are due at once.
#[test]
#[ignore = "it takes half a minute: `.ci/long model`"]
fn the_steps_of_two_thousand_incidents_start_within_two_seconds_of_their_time() {
    Scene::new().live(async |process| {
        let latest = latest_step(process, "many", Duration::ZERO, 7 * MINUTE).await;
        assert!(latest <= 2000, "{latest} ms");
    });
}

/// With what the store and the program take for it: all of their steps are due within half a minute.
#[test]
#[ignore = "it takes three minutes of real time: `.ci/long model`"]
fn two_thousand_incidents_start_their_steps_within_two_seconds_in_real_time() {
    Scene::new().live_in_real_time(async |process| {
        let latest = latest_step(process, "web", Duration::from_millis(10), 2 * MINUTE + MINUTE / 4).await;
        assert!(latest <= 2000, "{latest} ms");
    });
}

#[test]
fn quiet_hours_keep_steps_from_a_person_unless_they_are_severe() {
    let mut scene = Scene::new();
    scene.quiet = Some("ann");
    scene.live(async |process| {
        let id = process.report("g", &[("Disk", "x", Status::Firing)]).await;
        let night = process.report("h", &[("Load", "night", Status::Firing)]).await;
        tokio::time::sleep(60 * MINUTE).await;
        assert_eq!(process.ends(id).await[0], (State::Skipped, "quiet hours of ann".into()), "by name");
        assert_eq!(process.ends(night).await[1], (State::Skipped, "quiet hours of ann".into()), "by turn");
    });
    let by_name = [(10, "mail", "bob"), (20, "voice", "bob")];
    let by_turn = [(2, "voice", "bob"), (10, "mail", "bob")];
    let mut wanted = owned(&[by_name, by_turn].concat());
    let mut reached = scene.steps();
    wanted.sort();
    reached.sort();
    assert_eq!(reached, wanted);
}
