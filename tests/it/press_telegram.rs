//! Presses of Telegram's buttons against a faithful fake: polled, posted, repeated, from elsewhere, and what ends a poll.

use std::time::Duration;

use reqwest::header::HeaderMap;
use watchfire::channel::kit::HttpClients;
use watchfire::channel::{Callback, ListenEnd, PressAnswer, PressCall, Probe};
use watchfire::model::{ErrorKind, PlatformIds};

use crate::support::fakes::{Fake, Fault, Telegram};
use crate::support::presses::{Listening, Taken, listener, until};
use crate::support::wire::Wire;

const VALUE: &str = "ack.0W1x2y3z4A5b6C.3";

async fn telegram(clients: &HttpClients, more: &str) -> (Fake<Telegram>, Wire, PlatformIds) {
    let fake = Fake::start(Telegram::new("123:token", &["-1001", "-1002"])).await;
    fake.unpaced();
    let wire = Wire::beside(clients, "ops", &format!("telegram: {{ token: \"123:token\", chat: -1001, {more}, api_base: \"{}\" }}", fake.url()));
    let ids = wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap().ids;
    (fake, wire, ids)
}

fn press(fake: &Fake<Telegram>, chat: i64, ids: &PlatformIds) -> String {
    let now = fake.clock.now();
    fake.with(|telegram| telegram.press(chat, ids.get("message_id").unwrap().parse().unwrap(), "On it", now).0)
}

fn shown(fake: &Fake<Telegram>, press: &str) -> Option<(String, bool)> {
    fake.with(|telegram| telegram.updates.shown.get(press).map(|shown| (shown.text.clone(), shown.alert)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_arrives_once_and_is_answered() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = telegram(&clients, "buttons: true").await;
    let presses = Taken::new();
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    let first = press(&fake, -1001, &ids);
    let taken = presses.wait(1).await;
    assert!(taken[0].event_id.starts_with("123.731") && taken[0].value == VALUE, "{taken:?}");
    assert_eq!((taken[0].by.id.as_str(), taken[0].by.name.as_str(), taken[0].by.foreign), ("4711", "Anna Meier", false));
    until(|| shown(&fake, &first).is_some()).await;
    assert_eq!(shown(&fake, &first), Some(("Anna is on it".into(), false)));
    until(|| fake.with(|telegram| telegram.updates.waiting() == 0)).await;
    // What did not happen must be closed; a longer text than fits is cut.
    presses.answer_with(&"nobody may do that ".repeat(20), false);
    let second = press(&fake, -1001, &ids);
    until(|| shown(&fake, &second).is_some()).await;
    let (text, alert) = shown(&fake, &second).unwrap();
    assert!(alert && text.ends_with('…') && text.chars().count() <= 200, "{text}");
    // An edit without buttons takes them away.
    wire.update(&ids, &wire.page("db-1 burns, Anna is on it")).await.unwrap();
    assert!(fake.with(|telegram| !telegram.transcript.get("-1001/1").unwrap().extra.contains("inline_keyboard")));
    assert!(listening.is_connected() && presses.all().len() == 2);
    listening.drop_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_stored_before_it_is_confirmed_and_comes_again_under_the_same_id() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = telegram(&clients, "buttons: true").await;
    let presses = Taken::new();
    presses.store.forget_permits(1000);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    until(|| fake.with(|telegram| telegram.updates.is_polled())).await;
    press(&fake, -1001, &ids);
    until(|| fake.with(|telegram| !telegram.updates.is_polled())).await;
    // It waits for the store, and meanwhile nothing is confirmed; then the node dies with the press stored.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fake.with(|telegram| telegram.updates.waiting()), 1);
    fake.faults.push_on("getUpdates", Fault::Hang);
    presses.store.add_permits(1);
    presses.wait(1).await;
    until(|| fake.faults.waiting() == 0).await;
    listening.drop_it().await;
    assert_eq!(fake.with(|telegram| telegram.updates.waiting()), 1, "not confirmed");
    presses.store.add_permits(100);
    let again = Listening::connected(listener(wire.driver()), &presses).await;
    let taken = presses.wait(2).await;
    assert_eq!(taken[0], taken[1], "the caller sees that it is the same");
    until(|| fake.with(|telegram| telegram.updates.waiting() == 0)).await;
    // A late answer is refused, and disturbs nobody.
    fake.with(|telegram| telegram.updates.answered_within = Duration::ZERO);
    press(&fake, -1001, &ids);
    presses.wait(3).await;
    press(&fake, -1001, &ids);
    presses.wait(4).await;
    again.drop_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_after_a_quiet_week_is_confirmed_though_its_number_is_lower() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = telegram(&clients, "buttons: true").await;
    let presses = Taken::new();
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    press(&fake, -1001, &ids);
    presses.wait(1).await;
    until(|| fake.with(|telegram| telegram.updates.waiting() == 0)).await;
    fake.with(|telegram| telegram.updates.count_from(5_000));
    for number in ["123.5000", "123.5001"] {
        press(&fake, -1001, &ids);
        until(|| presses.all().iter().any(|press| press.event_id == number)).await;
        until(|| fake.with(|telegram| telegram.updates.waiting() == 0)).await;
    }
    assert_eq!(presses.all().len(), 3, "each came once");
    listening.drop_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_channels_of_a_bot_share_its_poller_and_a_chat_of_no_channel_is_foreign() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = telegram(&clients, "buttons: true").await;
    let yaml = format!("telegram: {{ token: \"123:token\", chat: -1002, buttons: true, api_base: \"{}\" }}", fake.url());
    let other = Wire::beside(&clients, "dev", &yaml);
    let theirs = other.send(&other.with_button("db-2 burns", "On it", VALUE)).await.unwrap().ids;
    assert!(std::ptr::addr_eq(std::sync::Arc::as_ptr(&listener(wire.driver())), std::sync::Arc::as_ptr(&listener(other.driver()))));
    let presses = Taken::new();
    // Telegram takes its time to show what a press did; nobody waits for that, and it keeps no channel.
    fake.faults.push_on("answerCallbackQuery", Fault::Hang);
    fake.faults.push_on("answerCallbackQuery", Fault::Hang);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    press(&fake, -1001, &ids);
    press(&fake, -1002, &theirs);
    assert!(presses.wait(2).await.iter().all(|press| !press.by.foreign));
    // The channel goes with a reload; its chat counts no more.
    drop(other);
    press(&fake, -1002, &theirs);
    assert!(presses.wait(3).await[2].by.foreign);
    // Another kind of update, and a press without a message, are confirmed and mean nothing.
    let now = fake.clock.now();
    fake.with(|telegram| {
        let from = serde_json::json!({ "id": 1, "is_bot": false, "first_name": "x" });
        telegram.updates.add("callback_query", serde_json::json!({ "id": "1", "from": from, "inline_message_id": "i", "data": VALUE }), now);
        telegram.updates.add("callback_query", serde_json::json!({ "id": "2", "from": "somebody", "data": 3 }), now);
    });
    until(|| fake.with(|telegram| telegram.updates.waiting() == 0)).await;
    assert_eq!(presses.all().len(), 3);
    listening.drop_it().await;
}

fn lost(end: ListenEnd) -> ErrorKind {
    match end {
        ListenEnd::Lost(error) => error.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_is_cut_refused_or_taken_over_ends_as_what_it_is() {
    let clients = HttpClients::default();
    let (fake, wire, _) = telegram(&clients, "buttons: true").await;
    let presses = Taken::new();
    let poll = || Listening::start(listener(wire.driver()), &presses);
    let refused = |status: u16, why: &str| {
        Fault::Reply(status, "application/json".into(), format!(r#"{{"ok":false,"error_code":{status},"description":"{why}"}}"#))
    };
    let limit = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 9","parameters":{"retry_after":9}}"#;
    let rows = [
        (Fault::CloseBefore, ErrorKind::Transient),
        (Fault::ResetAfter, ErrorKind::Transient),
        (Fault::Cut, ErrorKind::Transient),
        (Fault::Truncate, ErrorKind::Transient),
        (Fault::Html(200), ErrorKind::Transient),
        (Fault::Status(502, None), ErrorKind::Transient),
        (refused(401, "Unauthorized"), ErrorKind::Misconfigured),
        (refused(404, "Not Found"), ErrorKind::Misconfigured),
        (Fault::Reply(429, "application/json".into(), limit.into()), ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(9)) }),
        (Fault::Reply(200, "application/json".into(), r#"{"ok":true,"result":7}"#.into()), ErrorKind::Transient),
    ];
    for (fault, kind) in rows {
        fake.faults.push_on("getUpdates", fault.clone());
        assert_eq!(lost(poll().end().await), kind, "{fault:?}");
    }
    // Another poller: the one that asked first ends, and does not ask again by itself.
    let first = Listening::connected(listener(wire.driver()), &presses).await;
    until(|| fake.with(|telegram| telegram.updates.is_polled())).await;
    let second = Listening::connected(listener(wire.driver()), &presses).await;
    assert!(matches!(first.end().await, ListenEnd::Replaced));
    until(|| fake.with(|telegram| telegram.updates.is_polled())).await;
    assert!(second.is_connected());
    // Somebody sets a webhook: what waits ends, and no poll begins.
    let set = reqwest::Client::new().post(format!("{}/bot123:token/setWebhook", fake.url()));
    let set = set.json(&serde_json::json!({ "url": "https://elsewhere.example.com/" })).send().await.unwrap();
    assert_eq!(set.status(), 200);
    assert_eq!(lost(second.end().await), ErrorKind::Misconfigured);
    let ListenEnd::Lost(error) = poll().end().await else { panic!() };
    assert!(error.kind == ErrorKind::Misconfigured && error.summary.contains("deleteWebhook"), "{error}");
    assert!(matches!(wire.driver().probe().await, Probe::Failed(error) if error.summary.contains("deleteWebhook")));
    assert!(presses.all().is_empty());
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_and_a_held_answer_is_not_taken_for_one() {
    let clients = HttpClients::default();
    let (fake, wire, _) = telegram(&clients, "buttons: true").await;
    let listening = Listening::connected(listener(wire.driver()), &Taken::new()).await;
    until(|| fake.with(|telegram| telegram.updates.is_polled())).await;
    // Now that everything is connected, time passes as it is needed: the answer that is held for 50 s comes, and the next one never.
    let begun = tokio::time::Instant::now();
    tokio::time::pause();
    fake.faults.push_on("getUpdates", Fault::Hang);
    assert_eq!(lost(listening.end().await), ErrorKind::Transient);
    let after = begun.elapsed().as_secs();
    assert!((50 + 60..50 + 90).contains(&after), "noticed after {after} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_press_is_believed_by_its_secret_only_and_answered_in_the_answer() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = telegram(&clients, "webhook_secret: s3cret_-").await;
    assert!(matches!(wire.driver().probe().await, Probe::Failed(error) if error.summary.contains("setWebhook")));
    let hook = serde_json::json!({ "url": "https://w.example.com/press/ops", "secret_token": "s3cret_-", "allowed_updates": ["callback_query"] });
    let set = reqwest::Client::new().post(format!("{}/bot123:token/setWebhook", fake.url())).json(&hook).send().await.unwrap();
    assert_eq!(set.status(), 200, "{:?}", set.text().await);
    assert!(matches!(wire.driver().probe().await, Probe::Ok));
    let now = fake.clock.now();
    let (id, update) = fake.with(|telegram| telegram.press(-1001, ids.get("message_id").unwrap().parse().unwrap(), "On it", now));
    let body = update.to_string();
    let secret = fake.with(|telegram| telegram.updates.webhook.clone().unwrap().secret.unwrap());
    let mut headers = HeaderMap::new();
    let call = |headers: &HeaderMap, body: &str| {
        let call = Callback { url: "https://w.example.com/press/ops", headers, body: body.as_bytes(), now: jiff::Timestamp::now() };
        let pressed = wire.driver().pressed(&call);
        (pressed, wire.driver().press_reply(&call, &PressAnswer { text: "Anna is on it".into(), done: true }))
    };
    assert!(call(&headers, &body).0.is_err_and(|why| why.contains("missing")));
    for wrong in ["", "s3cret_", "s3cret_-x", "S3CRET_-"] {
        headers.insert("x-telegram-bot-api-secret-token", wrong.parse().unwrap());
        let why = call(&headers, &body).0.err().unwrap();
        assert!(!why.contains("s3cret"), "{why}");
    }
    headers.insert("x-telegram-bot-api-secret-token", secret.parse().unwrap());
    let (Ok(PressCall::Press(press)), reply) = call(&headers, &body) else { panic!() };
    assert_eq!((press.value.as_str(), press.by.id.as_str(), press.by.foreign), (VALUE, "4711", false));
    let method: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    let expected = serde_json::json!({ "method": "answerCallbackQuery", "callback_query_id": id, "text": "Anna is on it", "show_alert": false });
    assert_eq!((reply.status.as_u16(), reply.content_type, method), (200, "application/json", expected));
    // Anything else that is of Telegram is answered, so that it is not posted for hours.
    let other = r#"{"update_id":1,"message":{"message_id":1}}"#;
    let (Ok(PressCall::Answer(answer)), _) = call(&headers, other) else { panic!() };
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert!(call(&headers, "\u{0}").0.is_err());
}
