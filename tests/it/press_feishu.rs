//! Presses of Feishu's buttons against a faithful fake: over the long connection, and by encrypted, signed callbacks.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::json;
use watchfire::channel::kit::HttpClients;
use watchfire::channel::{Callback, ListenEnd, PressAnswer, PressCall, Probe};
use watchfire::model::{ErrorKind, PlatformIds, SendError};

use crate::support::fakes::feishu_socket::{ANNA, GUEST, Outcome};
use crate::support::fakes::{Fake, Fault, Feishu, Line};
use crate::support::presses::{Listening, Taken, listener, until};
use crate::support::wire::Wire;

const VALUE: &str = "ack.0W1x2y3z4A5b6C.3";

async fn feishu(clients: &HttpClients, more: &str) -> (Fake<Feishu>, Wire, String) {
    let fake = Fake::start(Feishu::new("hook", None, "cli_1", "app-secret")).await;
    fake.unpaced();
    let yaml = format!("feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1], {more}, api_base: \"{}\" }}", fake.url());
    let wire = Wire::beside(clients, "ops", &yaml);
    let ids = wire.send(&wire.with_button("db-1 burns", "认领", VALUE)).await.unwrap().ids;
    (fake, wire, ids.get("message_id").unwrap().to_owned())
}

fn press(fake: &Fake<Feishu>, message: &str) -> String {
    fake.with(|feishu| feishu.press(message, "认领", ANNA))
}

fn outcome(fake: &Fake<Feishu>, press: &str) -> Outcome {
    fake.with(|feishu| feishu.callbacks.presses[press].clone())
}

fn lines(fake: &Fake<Feishu>) -> Vec<Line> {
    fake.with(|feishu| feishu.callbacks.open_lines())
}

/// Nothing was sent that Feishu does not understand.
fn assert_clean(fake: &Fake<Feishu>) {
    let refused = fake.with(|feishu| feishu.callbacks.refused.clone());
    assert!(refused.is_empty(), "{refused:?}");
}

fn lost(end: ListenEnd) -> SendError {
    match end {
        ListenEnd::Lost(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_stored_and_answered_by_a_toast() {
    let clients = HttpClients::default();
    let (fake, wire, message) = feishu(&clients, "buttons: true").await;
    assert!(matches!(wire.driver().probe().await, Probe::Ok));
    let presses = Taken::new();
    presses.answer_with("#7 已认领", true);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    let first = press(&fake, &message);
    let taken = presses.wait(1).await;
    assert!(taken[0].event_id.starts_with("f7984f25108f8137722bb63c") && taken[0].value == VALUE, "{taken:?}");
    assert_eq!((taken[0].by.id.as_str(), taken[0].by.foreign), ("ou_anna", false));
    until(|| outcome(&fake, &first) == Outcome::Toast("success".into(), "#7 已认领".into())).await;
    // What did not happen is a warning; another organisation's member is a guest.
    presses.answer_with("仅本组织成员可以操作。", false);
    let guest = fake.with(|feishu| feishu.press(&message, "认领", GUEST));
    assert!(presses.wait(2).await[1].by.foreign);
    until(|| outcome(&fake, &guest) == Outcome::Toast("warning".into(), "仅本组织成员可以操作。".into())).await;
    // A press in parts, which come in any order; and what is none is answered without a toast.
    let (parts, others) = fake.with(|feishu| {
        let line = feishu.callbacks.open_lines()[0].clone();
        let event = feishu.event(&message, "认领", ANNA);
        let parts = feishu.callbacks.send(&line, &event, 3);
        let mut foreign_button = event.clone();
        foreign_button["event"]["action"]["value"] = json!({ "a": "b" });
        let message = json!({ "schema": "2.0", "header": { "event_type": "im.message.receive_v1" }, "event": {} });
        (parts, [feishu.callbacks.send(&line, &foreign_button, 1), feishu.callbacks.send(&line, &message, 1)])
    });
    until(|| matches!(outcome(&fake, &parts), Outcome::Toast(..)) && others.iter().all(|other| outcome(&fake, other) == Outcome::Done)).await;
    assert!(listening.is_connected() && presses.all().len() == 3);
    // An edit without buttons takes them away.
    wire.update(&PlatformIds::one("message_id", message.clone()), &wire.page("db-1 burns, Anna is on it")).await.unwrap();
    assert!(fake.with(|feishu| feishu.callbacks.buttons_of(&message).is_empty()));
    assert_clean(&fake);
    listening.drop_it().await;
    until(|| lines(&fake).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_stored_before_it_is_answered_also_when_the_connection_breaks() {
    let clients = HttpClients::default();
    let (fake, wire, message) = feishu(&clients, "buttons: true").await;
    let presses = Taken::new();
    presses.store.forget_permits(1000);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    let first = press(&fake, &message);
    let other = fake.with(|feishu| {
        let line = feishu.callbacks.open_lines()[0].clone();
        feishu.callbacks.send(&line, &json!({}), 1)
    });
    until(|| outcome(&fake, &other) == Outcome::Done).await;
    assert_eq!((outcome(&fake, &first), presses.all().len()), (Outcome::Open, 0));
    presses.store.add_permits(1);
    until(|| matches!(outcome(&fake, &first), Outcome::Toast(..))).await;
    press(&fake, &message);
    lines(&fake)[0].cut();
    presses.store.add_permits(1);
    assert_eq!(lost(listening.end().await).kind, ErrorKind::Transient);
    assert_eq!(presses.wait(2).await.len(), 2);
    // Closed in order, it is opened again at once; and of several connections any gets a press.
    let (one, two) = (Listening::connected(listener(wire.driver()), &presses).await, Listening::connected(listener(wire.driver()), &presses).await);
    presses.store.add_permits(100);
    let several: Vec<String> = (0..4).map(|_| press(&fake, &message)).collect();
    until(|| several.iter().all(|press| matches!(outcome(&fake, press), Outcome::Toast(..)))).await;
    lines(&fake)[0].close(1000, "");
    assert!(matches!(one.end().await, ListenEnd::Closed));
    assert!(two.is_connected());
    assert_clean(&fake);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_prevents_a_connection_is_named() {
    let clients = HttpClients::default();
    let (fake, wire, _) = feishu(&clients, "buttons: true").await;
    let presses = Taken::new();
    let listen = || Listening::start(listener(wire.driver()), &presses);
    let mut fifty = Vec::new();
    for _ in 0..50 {
        fifty.push(Listening::connected(listener(wire.driver()), &presses).await);
    }
    let error = lost(listen().end().await);
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Misconfigured, Some("1000040350")), "{error}");
    assert!(error.summary.contains("exceeded the limit"), "{error}");
    drop(fifty);
    let answer = |code: i64| Fault::Reply(200, "application/json".into(), json!({ "code": code, "msg": "why" }).to_string());
    let refused =
        |status: &str| Fault::Headed(400, vec![("handshake-status".into(), status.into()), ("handshake-msg".into(), "why".into())], String::new());
    let rows = [
        ("/callback/ws/endpoint", answer(1), ErrorKind::Transient),
        ("/callback/ws/endpoint", answer(1_000_040_343), ErrorKind::Transient),
        ("/callback/ws/endpoint", answer(514), ErrorKind::Misconfigured),
        ("/callback/ws/endpoint", answer(403), ErrorKind::Misconfigured),
        ("/callback/ws/endpoint", answer(0), ErrorKind::Transient),
        ("/callback/ws/endpoint", answer(77), ErrorKind::Misconfigured),
        ("/callback/ws/endpoint", Fault::Html(502), ErrorKind::Transient),
        ("/callback/ws/endpoint", Fault::CloseBefore, ErrorKind::Transient),
        ("/ws/v2", refused("514"), ErrorKind::Misconfigured),
        ("/ws/v2", refused("403"), ErrorKind::Misconfigured),
        ("/ws/v2", refused("500"), ErrorKind::Transient),
        ("/ws/v2", Fault::Status(503, None), ErrorKind::Transient),
        ("/ws/v2", Fault::ResetAfter, ErrorKind::Transient),
    ];
    for (path, fault, kind) in rows {
        fake.faults.push_on(path, fault.clone());
        let error = lost(listen().end().await);
        assert_eq!(error.kind, kind, "{path} {fault:?}: {error}");
        let shown = format!("{error:?}");
        assert!(!shown.contains("fake-ticket") && !shown.contains("app-secret") && !shown.contains("fake-access-key"), "{shown}");
    }
    fake.with(|feishu| feishu.apps.insert("cli_1".into(), "another".into()));
    let error = lost(listen().end().await);
    assert!(error.kind == ErrorKind::Misconfigured && error.summary.contains("app_secret"), "{error}");
    assert_clean(&fake);
}

#[tokio::test]
async fn a_connection_that_answers_no_ping_and_one_that_is_half_open_are_noticed() {
    let clients = HttpClients::default();
    let (fake, wire, _) = feishu(&clients, "buttons: true").await;
    let presses = Taken::new();
    fake.with(|feishu| feishu.callbacks.new_interval = Some(20));
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    until(|| fake.with(|feishu| feishu.callbacks.pings == 1)).await;
    // Time passes as it is needed: pings come as often as the answers to them say.
    let begun = tokio::time::Instant::now();
    tokio::time::pause();
    while fake.with(|feishu| feishu.callbacks.pings) < 4 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = begun.elapsed().as_secs();
    assert!((58..=75).contains(&after) && listening.is_connected(), "{after} s");
    lines(&fake)[0].fall_silent();
    let begun = tokio::time::Instant::now();
    let error = lost(listening.end().await);
    let after = begun.elapsed().as_secs();
    assert!(error.code.as_deref() == Some("silent") && (60..=90).contains(&after), "{error} after {after} s");
    tokio::time::resume();
    fake.with(|feishu| feishu.callbacks.answers_pings = false);
    let listening = Listening::start(listener(wire.driver()), &presses);
    until(|| fake.with(|feishu| feishu.callbacks.pings > 4)).await;
    let connected = listening.is_connected();
    tokio::time::pause();
    let error = lost(listening.end().await);
    assert!(!connected && error.code.as_deref() == Some("silent"), "{error}");
    assert_clean(&fake);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_believed_by_its_signature_and_token_only() {
    let clients = HttpClients::default();
    let (fake, wire, message) = feishu(&clients, "verification_token: fake-verification-token, encrypt_key: fake-encrypt-key").await;
    fake.with(|feishu| feishu.callbacks.key = Some("fake-encrypt-key".into()));
    let event = fake.with(|feishu| feishu.event(&message, "认领", ANNA));
    let second = jiff::Timestamp::now().as_second();
    let posted = |event: &serde_json::Value, at: i64| fake.with(|feishu| feishu.callbacks.posted(event, at));
    let post = |event: &serde_json::Value| posted(event, second);
    let call = |headers: &[(&'static str, String)], body: &str| {
        let headers: HeaderMap = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let call = Callback { url: "https://w.example.com/press/ops", headers: &headers, body: body.as_bytes(), now: jiff::Timestamp::now() };
        (wire.driver().pressed(&call), wire.driver().press_reply(&call, &PressAnswer { text: "#7 已认领".into(), done: true }))
    };
    let (headers, body) = post(&event);
    let (Ok(PressCall::Press(press)), reply) = call(&headers, &body) else { panic!("the press is good") };
    assert_eq!((press.value.as_str(), press.by.id.as_str(), press.by.foreign), (VALUE, "ou_anna", false));
    let shown = fake.with(|feishu| feishu.callbacks.shown(&serde_json::from_str(&reply.body).unwrap()));
    assert_eq!((reply.status.as_u16(), shown), (200, Some(Outcome::Toast("success".into(), "#7 已认领".into()))));
    // One that was recorded.
    let (old, recorded) = posted(&event, second - 660);
    assert!(call(&old, &recorded).0.is_err_and(|why| why.contains("10 minutes")));
    // One byte of anything.
    for place in [12, body.len() / 2, body.len() - 3] {
        let mut bytes = body.clone().into_bytes();
        bytes[place] ^= 1;
        let why = call(&headers, &String::from_utf8(bytes).unwrap()).0.err().unwrap();
        assert!(!why.contains("fake-encrypt-key"), "{why}");
    }
    for (place, wrong) in [(1, (second + 1).to_string()), (2, "other".into()), (3, String::new()), (3, headers[3].1.to_uppercase())] {
        let mut changed = headers.clone();
        changed[place].1 = wrong;
        assert!(call(&changed, &body).0.is_err());
    }
    for missing in 1..4 {
        let mut fewer = headers.clone();
        fewer.remove(missing);
        assert!(call(&fewer, &body).0.is_err_and(|why| why.contains("missing")));
    }
    let mut wrong = event.clone();
    wrong["header"]["token"] = json!("another");
    let (headers, body) = post(&wrong);
    assert!(call(&headers, &body).0.is_err_and(|why| why.contains("verification_token")));
    // Not encrypted, or with another key.
    assert!(call(&headers, &event.to_string()).0.is_err_and(|why| why.contains("not encrypted")));
    fake.with(|feishu| feishu.callbacks.key = Some("another key".into()));
    let (headers, body) = post(&event);
    assert!(call(&headers, &body).0.is_err());
    // The check of the address, and an event that is no press.
    fake.with(|feishu| feishu.callbacks.key = Some("fake-encrypt-key".into()));
    for (event, expected) in [
        (json!({ "type": "url_verification", "token": "fake-verification-token", "challenge": "c-1" }), r#"{"challenge":"c-1"}"#),
        (json!({ "schema": "2.0", "header": { "token": "fake-verification-token", "event_type": "x" }, "event": {} }), "{}"),
    ] {
        let (headers, body) = post(&event);
        let (Ok(PressCall::Answer(answer)), _) = call(&headers, &body) else { panic!("{event}") };
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, expected));
    }
    // Without an Encrypt Key the token is the proof.
    let (fake, wire, message) = feishu(&clients, "verification_token: fake-verification-token").await;
    let event = fake.with(|feishu| feishu.event(&message, "认领", ANNA));
    for (token, good) in [("fake-verification-token", true), ("", false), ("other", false)] {
        let mut event = event.clone();
        event["header"]["token"] = json!(token);
        let body = event.to_string();
        let call =
            Callback { url: "https://w.example.com/press/ops", headers: &HeaderMap::new(), body: body.as_bytes(), now: jiff::Timestamp::now() };
        assert_eq!(wire.driver().pressed(&call).is_ok(), good, "{token}");
    }
}
