//! What a number, an account and a channel get at most, in injected time.

use std::time::Duration;

use crate::channel::Limit;
use crate::delivery::{AllowancePlan, testing};
use crate::model::{ErrorKind, Event, IncidentId, Recipient, Status, Verb};
use crate::store::{DeliveryFilter, DeliveryRow, QueryStore as _, ReceiptStore as _, State};

use super::plan::BEGIN;
use super::scene::{Process, Scene, owned};

const MINUTE: Duration = Duration::from_secs(60);
const ONE_AN_HOUR: Limit = Limit { count: 1, window: Duration::from_secs(3600) };
const REFUSED: &str = "1 per 1h is what one recipient gets at most (`recipient_limit`)";

fn phone(allowance: AllowancePlan, fallback: &[&str]) -> Scene {
    let mut scene = Scene::new();
    scene.phone = Some((allowance, fallback.iter().map(ToString::to_string).collect()));
    scene
}

fn limited(fallback: &[&str]) -> Scene {
    phone(AllowancePlan { per_month: None, per_recipient: vec![ONE_AN_HOUR] }, fallback)
}

/// Something to call about, in a group of its own.
async fn call(process: &Process, group: &str, names: &[&str], severity: &str) -> IncidentId {
    let alerts = names.iter().map(|name| testing::alert(name, severity, Status::Firing)).collect();
    let event = Event { group_key: group.into(), ..testing::event(alerts) };
    let accepted = process.engine.accept(event, Some(&["voice".into()])).await.expect("it is accepted");
    accepted.deliveries[0].incident.expect("it belongs to an incident")
}

/// Channels that were reached in each minute; a call goes to two numbers, a mail to three addresses.
fn reached(scene: &Scene) -> Vec<(i64, &'static str)> {
    let mut reached: Vec<_> = scene.exchange.reached.lock().unwrap().iter().map(|one| (one.minute, one.channel)).collect();
    reached.dedup();
    reached
}

async fn rows(process: &Process, channel: &str) -> Vec<DeliveryRow> {
    let filter = DeliveryFilter { channels: vec![channel.into()], limit: 99, ..DeliveryFilter::default() };
    let mut rows = process.store.list_deliveries(&filter).await.expect("the deliveries");
    rows.sort_by_key(|row| row.id);
    rows
}

#[test]
fn who_got_as_many_calls_as_an_hour_allows_is_not_called_and_the_escalation_goes_on_at_once() {
    let mut scene = limited(&[]);
    scene.live(async |process| {
        let first = process.report("g", &[("Disk", "x", Status::Firing)]).await;
        tokio::time::sleep(2 * MINUTE).await;
        let second = process.report("h", &[("Load", "x", Status::Firing)]).await;
        tokio::time::sleep(4 * MINUTE).await;
        process.press(Verb::Ack, first, Duration::ZERO).await;
        tokio::time::sleep(60 * MINUTE).await;
        let ends = process.ends(second).await;
        assert_eq!(ends[0], (State::Dead, REFUSED.into()));
        assert!(ends[1..].iter().all(|(state, _)| *state == State::Sent), "{ends:?}");
        let told = process.escalated(second).await;
        assert!(told.iter().any(|text| text == "step 2 of the escalation `db` at once, because of the step before: it is dead"), "{told:?}");
        assert!(process.shows(r#"watchfire_limited_total{platform="log",channel="voice",limit="recipient"} 1"#));
    });
    assert_eq!(scene.steps(), owned(&[(5, "voice", "ann"), (7, "mail", "bob"), (22, "voice", "bob")]), "bob is another number");
}

#[test]
fn what_has_no_other_way_waits_until_the_number_may_get_it_and_goes_with_what_came_meanwhile() {
    let mut scene = limited(&[]);
    scene.live(async |process| {
        call(process, "a", &["Disk"], "warning").await;
        tokio::time::sleep(MINUTE).await;
        call(process, "b", &["Load"], "warning").await;
        tokio::time::sleep(MINUTE).await;
        let waiting = &rows(process, "voice").await[1];
        assert_eq!(waiting.state, State::Waiting);
        let why = waiting.reason.as_deref().unwrap_or_default();
        assert!(why.starts_with("waits until 2026-11-24T04:00:") && why.ends_with(REFUSED), "{why}");
    });
    // The count outlives the process.
    scene.live(async |process| {
        tokio::time::sleep(20 * MINUTE).await;
        call(process, "b", &["Load", "Swap"], "warning").await;
        tokio::time::sleep(100 * MINUTE).await;
        let rows = rows(process, "voice").await;
        assert!(rows.len() == 3 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    });
    assert_eq!(reached(&scene), [(0, "voice"), (60, "voice")]);
    let last = scene.exchange.reached.lock().unwrap().last().expect("a call").text.clone();
    assert!(last.contains("Load") && last.contains("Swap"), "{last}");
}

#[test]
fn a_retry_that_has_no_other_way_waits_too() {
    let mut scene = limited(&[]);
    let exchange = scene.exchange.clone();
    scene.live(async |process| {
        exchange.faults.lock().unwrap().insert("voice", ErrorKind::Transient);
        call(process, "a", &["Disk"], "warning").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        exchange.faults.lock().unwrap().clear();
        call(process, "b", &["Load"], "warning").await;
        tokio::time::sleep(10 * MINUTE).await;
        assert_eq!(rows(process, "voice").await[0].state, State::Waiting);
        tokio::time::sleep(60 * MINUTE).await;
        let rows = rows(process, "voice").await;
        assert!(rows.len() == 2 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    });
    assert_eq!(reached(&scene), [(0, "voice"), (60, "voice")]);
}

#[test]
fn what_has_a_fallback_takes_it_at_once() {
    let mut scene = limited(&["mail"]);
    scene.live(async |process| {
        call(process, "a", &["Disk"], "critical").await;
        tokio::time::sleep(10 * MINUTE).await;
        call(process, "b", &["Load"], "critical").await;
        tokio::time::sleep(10 * MINUTE).await;
        let rows = rows(process, "voice").await;
        assert_eq!((rows[1].state, rows[1].reason.as_deref()), (State::Dead, Some(REFUSED)));
    });
    assert_eq!(reached(&scene), [(0, "voice"), (10, "mail")]);
}

#[test]
fn of_several_numbers_only_those_that_got_too_many_are_left_out() {
    let mut scene = limited(&[]);
    scene.live(async |process| {
        let id = process.report("g", &[("Disk", "x", Status::Firing)]).await;
        tokio::time::sleep(6 * MINUTE).await;
        process.press(Verb::Ack, id, Duration::ZERO).await;
        tokio::time::sleep(4 * MINUTE).await;
        call(process, "h", &["Load"], "critical").await;
        tokio::time::sleep(MINUTE).await;
        let last = rows(process, "voice").await.pop().expect("the call of ten minutes");
        let why = format!("partly delivered: 1 of 2 parts confirmed; not confirmed for an***: {REFUSED}");
        assert_eq!((last.state, last.reason), (State::Dead, Some(why)));
    });
    assert_eq!(scene.steps(), owned(&[(5, "voice", "ann"), (10, "voice", "bob")]));
}

#[test]
fn a_call_that_nobody_knows_the_outcome_of_counts_for_its_number() {
    let mut scene = limited(&[]);
    let exchange = scene.exchange.clone();
    scene.live(async |process| {
        exchange.faults.lock().unwrap().insert("voice", ErrorKind::Ambiguous);
        call(process, "a", &["Disk"], "critical").await;
        tokio::time::sleep(MINUTE).await;
        exchange.faults.lock().unwrap().clear();
        call(process, "b", &["Load"], "critical").await;
        tokio::time::sleep(MINUTE).await;
        let states: Vec<State> = rows(process, "voice").await.into_iter().map(|row| row.state).collect();
        assert_eq!(states, [State::Unknown, State::Waiting]);
    });
    scene.live(async |process| {
        tokio::time::sleep(70 * MINUTE).await;
        assert_eq!(rows(process, "voice").await[1].state, State::Sent);
    });
    assert_eq!(reached(&scene), [(60, "voice")]);
}

/// A process dies in a call, and the next one finds that a later step took the place of the rest.
#[test]
fn a_call_that_was_lost_counts_though_its_step_was_overtaken() {
    let mut scene = limited(&[]);
    let exchange = scene.exchange.clone();
    exchange.silent.lock().unwrap().insert("voice");
    let id = scene.live(async |process| {
        let id = process.report("g", &[("Disk", "both", Status::Firing)]).await;
        tokio::time::sleep(5 * MINUTE + Duration::from_secs(5)).await;
        id
    });
    exchange.silent.lock().unwrap().clear();
    scene.now = BEGIN + 12 * MINUTE;
    scene.live(async |process| {
        tokio::time::sleep(MINUTE).await;
        let ends = process.ends(id).await;
        assert_eq!(ends[0], (State::Skipped, "step 2 is due: of late steps only the latest is sent".to_owned()));
        assert_eq!(ends[1].0, State::Sent);
        let outlet = process.engine.plan().channel("voice").expect("it is there").outlet.clone();
        let sent = async |to: &str| process.store.sent_to(&Recipient::new(to), &outlet, &["voice".into()], BEGIN, 9).await.expect("the store").len();
        assert_eq!((sent("ann").await, sent("bob").await), (1, 0), "she may have been called, and he was not");
    });
    assert_eq!(scene.steps(), owned(&[(12, "mail", "carol")]));
}

#[test]
fn calls_that_nobody_knows_the_outcome_of_count_for_the_month() {
    let mut scene = phone(AllowancePlan { per_month: Some(10), per_recipient: Vec::new() }, &["mail"]);
    let exchange = scene.exchange.clone();
    scene.live(async |process| {
        exchange.faults.lock().unwrap().insert("voice", ErrorKind::Ambiguous);
        for n in 0..4 {
            call(process, &format!("g{n}"), &[&format!("Disk{n}")], "warning").await;
            tokio::time::sleep(MINUTE).await;
        }
        exchange.faults.lock().unwrap().clear();
        call(process, "last", &["Load"], "warning").await;
        tokio::time::sleep(MINUTE).await;
        let last = rows(process, "voice").await.pop().expect("the last call");
        let why = "four fifths of the month's 10 are used (`per_month`), and it is not critical";
        assert_eq!((last.state, last.reason.as_deref()), (State::Dead, Some(why)), "two numbers were called four times, perhaps");
    });
    assert!(reached(&scene).iter().all(|(_, channel)| *channel == "mail"), "{:?}", reached(&scene));
}

#[test]
fn at_four_fifths_of_the_month_phones_get_what_is_critical_and_at_its_end_the_fallback_takes_over() {
    let allowance = AllowancePlan { per_month: Some(10), per_recipient: Vec::new() };
    let mut scene = phone(allowance.clone(), &["mail"]);
    scene.live(async |process| {
        for (place, severity) in ["warning", "warning", "warning", "warning", "warning", "critical", "critical"].into_iter().enumerate() {
            call(process, &format!("g{place}"), &[&format!("Disk{place}")], severity).await;
            tokio::time::sleep(MINUTE).await;
        }
        let told: Vec<String> = rows(process, "voice").await.into_iter().filter_map(|row| row.reason).collect();
        assert_eq!(told, ["four fifths of the month's 10 are used (`per_month`), and it is not critical", "the month's 10 are used (`per_month`)"]);
        assert!(process.shows(r#"watchfire_limited_total{platform="log",channel="voice",limit="month"} 4"#));
        assert!(process.shows(r#"watchfire_self_alerts_total{what="WatchfireMonthUsed"} 2"#));
    });
    let voice = |minute| (minute, "voice");
    assert_eq!(reached(&scene), [voice(0), voice(1), voice(2), voice(3), (4, "mail"), voice(5), (6, "mail")]);
    // Without another way everything is sent, and the vendor has the last word.
    let mut scene = phone(allowance, &[]);
    scene.live(async |process| {
        for n in 0..7 {
            call(process, &format!("g{n}"), &[&format!("Disk{n}")], "warning").await;
            tokio::time::sleep(MINUTE).await;
        }
    });
    assert_eq!(reached(&scene).len(), 7);
}

#[test]
fn at_four_fifths_of_the_month_a_robot_merges_what_waits_and_at_its_end_the_fallback_takes_over() {
    let mut scene = Scene::new();
    scene.robot = Some((AllowancePlan { per_month: Some(5), per_recipient: Vec::new() }, vec!["mail".into()]));
    scene.per_minute = Some(1);
    scene.live(async |process| {
        // Seconds until the next ones: two of the first three wait for their minute, and so do both of the next but one.
        for (names, seconds) in
            [(&["Disk"][..], 10), (&["Load", "Swap"][..], 120), (&["Net"][..], 60), (&["Fan", "Raid"][..], 60), (&["Page"][..], 120)]
        {
            for &name in names {
                call(process, name, &[name], "warning").await;
            }
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        let rows = rows(process, "voice").await;
        let messages: Vec<_> = rows.iter().filter(|row| row.state == State::Sent).map(|row| row.message).collect();
        assert!(messages.len() == 6 && messages.iter().all(Option::is_some), "{rows:#?}");
        let merged: Vec<bool> = messages.windows(2).map(|two| two[0] == two[1]).collect();
        assert_eq!(merged, [false, false, false, false, true], "what waited while little was used went one by one: {rows:#?}");
        assert_eq!((rows[6].state, rows[6].reason.as_deref()), (State::Dead, Some("the month's 5 are used (`per_month`)")));
    });
    let voice = |minute| (minute, "voice");
    assert_eq!(reached(&scene), [voice(0), voice(1), voice(2), voice(3), voice(4), (5, "mail")]);
}

/// The run that began before the escalation got a second step does not have it: its call is sent, though the month is used.
#[test]
fn a_step_that_the_configuration_got_since_is_no_other_way_of_an_earlier_run() {
    let mut scene = phone(AllowancePlan { per_month: Some(1), per_recipient: Vec::new() }, &[]);
    let id = scene.live(async |process| {
        call(process, "first", &["Load"], "critical").await;
        let id = process.report("g", &[("Disk", "call", Status::Firing)]).await;
        tokio::time::sleep(MINUTE).await;
        id
    });
    scene.grown = true;
    scene.live(async |process| {
        tokio::time::sleep(30 * MINUTE).await;
        let ends = process.ends(id).await;
        assert_eq!(ends.iter().map(|(state, _)| *state).collect::<Vec<_>>(), [State::Sent], "{ends:?}");
    });
    assert_eq!(scene.steps().last(), Some(&(5, "voice", "ann".to_owned())));
}

/// Maintenance reads the store's count every five seconds; what is sent in between counts at once, and after a restart from the first message on.
#[test]
fn a_month_that_is_used_up_within_seconds_is_used_up() {
    let mut scene = phone(AllowancePlan { per_month: Some(4), per_recipient: Vec::new() }, &["mail"]);
    scene.live(async |process| {
        for n in 0..3 {
            call(process, &format!("g{n}"), &[&format!("Disk{n}")], "critical").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(MINUTE).await;
        let states: Vec<State> = rows(process, "voice").await.into_iter().map(|row| row.state).collect();
        assert_eq!(states, [State::Sent, State::Sent, State::Dead], "two numbers each");
    });
    assert_eq!(reached(&scene), [(0, "voice"), (0, "mail")]);
    scene.live(async |process| {
        call(process, "last", &["Load"], "critical").await;
        tokio::time::sleep(MINUTE).await;
        assert!(process.shows(r#"watchfire_self_alerts_total{what="WatchfireMonthUsed"} 1"#), "whatever the process before it said");
    });
    assert!(reached(&scene)[1..].iter().all(|(_, channel)| *channel == "mail"), "{:?}", reached(&scene));
}

/// Four incidents at once, two calls a minute, and everything acked after the second call: the other two waited for their minute, and are never begun.
#[test]
fn calls_that_wait_for_the_rate_limit_are_not_begun_for_what_was_acked_meanwhile() {
    let acked = |acks: bool| {
        let mut scene = Scene::new();
        scene.per_minute = Some(2);
        scene.live(async |process| {
            let mut incidents = Vec::new();
            for name in ["Disk", "Load", "Swap", "Net"] {
                incidents.push(call(process, name, &[name], "critical").await);
            }
            tokio::time::sleep(MINUTE / 2).await;
            let now = rows(process, "voice").await;
            let of = |state: State| now.iter().filter(|row| row.state == state).count();
            assert_eq!((of(State::Sent), of(State::Waiting)), (2, 2), "{now:#?}");
            if acks {
                for incident in incidents {
                    process.press(Verb::Ack, incident, Duration::ZERO).await;
                }
            }
            tokio::time::sleep(30 * MINUTE).await;
            let mut ended = Vec::new();
            for row in rows(process, "voice").await {
                let message = match row.message {
                    Some(id) => process.store.get_message(id).await.expect("the store"),
                    None => None,
                };
                ended.push((row.state, row.reason.unwrap_or_default(), message.map_or(0, |message| message.attempts.len())));
            }
            ended.sort_by_key(|(_, why, _): &(State, String, usize)| why.clone());
            ended
        })
    };
    let sent = (State::Sent, String::new(), 1);
    let skipped = (State::Skipped, "acked by ann".to_owned(), 0);
    assert_eq!(acked(true), [sent.clone(), sent.clone(), skipped.clone(), skipped], "calls three and four have no attempt");
    assert_eq!(acked(false), [sent.clone(), sent.clone(), sent.clone(), sent], "they wait for nothing but their minute");
}
