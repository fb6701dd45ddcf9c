//! Presses of Slack's buttons against a faithful fake: over Socket Mode, whose connections end and are replaced, and by signed requests.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::json;
use watchfire::channel::kit::HttpClients;
use watchfire::channel::{Callback, ListenEnd, PressAnswer, PressCall, Probe};
use watchfire::model::{ErrorKind, PlatformIds, SendError};

use crate::support::fakes::slack_socket::{ANNA, Envelope, GUEST, Shown};
use crate::support::fakes::{Fake, Fault, Line, Slack};
use crate::support::presses::{Listening, Taken, listener, until};
use crate::support::wire::Wire;

const VALUE: &str = "ack.0W1x2y3z4A5b6C.3";

fn yaml(fake: &Fake<Slack>, more: &str) -> String {
    format!("slack: {{ token: xoxb-fake-token, channel: C0123, {more}, api_base: \"{}\" }}", fake.url())
}

async fn slack(clients: &HttpClients, more: &str) -> (Fake<Slack>, Wire, String) {
    let fake = Fake::start(Slack::new("xoxb-fake-token")).await;
    fake.unpaced();
    let wire = Wire::beside(clients, "ops", &yaml(&fake, more));
    let message = key(&wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap().ids);
    (fake, wire, message)
}

fn key(ids: &PlatformIds) -> String {
    format!("{}/{}", ids.get("channel").unwrap(), ids.get("ts").unwrap())
}

fn press(fake: &Fake<Slack>, message: &str) -> String {
    let now = fake.clock.now();
    fake.with(|slack| slack.press(message, "On it", &ANNA, now))
}

fn state(fake: &Fake<Slack>, envelope: &str) -> Envelope {
    fake.with(|slack| slack.interactivity.envelopes[envelope].clone())
}

fn shown(fake: &Fake<Slack>) -> Vec<Shown> {
    fake.with(|slack| slack.interactivity.shown.clone())
}

fn lines(fake: &Fake<Slack>) -> Vec<Line> {
    fake.with(|slack| slack.interactivity.open_lines())
}

/// Nothing was sent that Slack does not understand.
fn assert_clean(fake: &Fake<Slack>) {
    let refused = fake.with(|slack| slack.interactivity.refused.clone());
    assert!(refused.is_empty(), "{refused:?}");
}

fn lost(end: ListenEnd) -> SendError {
    match end {
        ListenEnd::Lost(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_acknowledged_and_answered_to_who_pressed_only() {
    let clients = HttpClients::default();
    let (fake, wire, message) = slack(&clients, "app_token: xapp-1-fake").await;
    assert!(matches!(wire.driver().probe().await, Probe::Ok));
    let presses = Taken::new();
    presses.answer_with("#7 is acked <by you> & nobody else", true);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    let envelope = press(&fake, &message);
    let taken = presses.wait(1).await;
    assert_eq!((taken[0].event_id.as_str(), taken[0].value.as_str()), (envelope.as_str(), VALUE));
    assert_eq!((taken[0].by.id.as_str(), taken[0].by.name.as_str(), taken[0].by.foreign), ("U0ANNA", "anna", false));
    until(|| state(&fake, &envelope) == Envelope::Acked && shown(&fake).len() == 1).await;
    let text = "#7 is acked &lt;by you&gt; &amp; nobody else".to_owned();
    assert_eq!(shown(&fake), [Shown { to: "U0ANNA".into(), text, in_channel: false, replaced: false }]);
    // Somebody of another organisation, in a channel that is shared with it.
    let now = fake.clock.now();
    fake.with(|slack| slack.press(&message, "On it", &GUEST, now));
    assert!(presses.wait(2).await[1].by.foreign);
    // What is no press of these buttons is acknowledged, and means nothing.
    let others = fake.with(|slack| {
        let mut link = slack.payload(&message, "On it", &ANNA, now);
        link["actions"][0]["action_id"] = json!("link-0");
        let line = slack.interactivity.newest();
        line.say("not JSON");
        line.say(r#"{"type":"something_new"}"#);
        let command = json!({ "command": "/ops", "text": "ack" });
        [
            slack.interactivity.send(&line, "interactive", &link),
            slack.interactivity.send(&line, "interactive", &json!({ "type": "view_submission" })),
            slack.interactivity.send(&line, "interactive", &json!("?")),
            slack.interactivity.send(&line, "slash_commands", &command),
            slack.interactivity.send(&line, "events_api", &json!({ "event": { "type": "message" } })),
        ]
    });
    until(|| others.iter().all(|envelope| state(&fake, envelope) == Envelope::Acked)).await;
    assert!(listening.is_connected() && presses.all().len() == 2);
    // An edit without buttons takes them away.
    let (channel, ts) = message.split_once('/').unwrap();
    let ids = PlatformIds::one("channel", channel.to_owned()).and("ts", Some(ts.to_owned()));
    wire.update(&ids, &wire.page("db-1 burns, Anna is on it")).await.unwrap();
    assert_eq!(fake.with(|slack| slack.transcript.get(&message).unwrap().extra.clone()), "");
    assert_clean(&fake);
    listening.drop_it().await;
    until(|| lines(&fake).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_stored_before_it_is_acknowledged_and_others_do_not_wait_for_it() {
    let clients = HttpClients::default();
    let (fake, wire, message) = slack(&clients, "app_token: xapp-1-fake").await;
    let presses = Taken::new();
    presses.store.forget_permits(1000);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    let envelope = press(&fake, &message);
    let other = fake.with(|slack| {
        let line = slack.interactivity.newest();
        slack.interactivity.send(&line, "events_api", &json!({}))
    });
    until(|| state(&fake, &other) == Envelope::Acked).await;
    assert_eq!((state(&fake, &envelope), presses.all().len()), (Envelope::Open, 0));
    presses.store.add_permits(1);
    until(|| state(&fake, &envelope) == Envelope::Acked).await;
    // The connection breaks while a press is being stored: it is stored, and the person is shown that.
    press(&fake, &message);
    fake.with(|slack| slack.interactivity.newest().cut());
    presses.store.add_permits(1);
    assert_eq!(lost(listening.end().await).kind, ErrorKind::Transient);
    assert_eq!(presses.wait(2).await.len(), 2);
    until(|| shown(&fake).len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_about_to_end_is_replaced_first_and_both_deliver() {
    let clients = HttpClients::default();
    let (fake, wire, message) = slack(&clients, "app_token: xapp-1-fake").await;
    let presses = Taken::new();
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    for round in 0..3 {
        fake.with(|slack| slack.interactivity.warn("warning"));
        until(|| lines(&fake).len() == 2).await;
        // By turns over both; each acknowledgement goes over the connection that its envelope came over.
        let envelopes: Vec<String> = (0..4).map(|_| press(&fake, &message)).collect();
        until(|| envelopes.iter().all(|envelope| state(&fake, envelope) == Envelope::Acked)).await;
        let old = lines(&fake)[0].clone();
        old.say(json!({ "type": "disconnect", "reason": "refresh_requested" }).to_string());
        old.close(1000, "");
        until(|| lines(&fake).len() == 1).await;
        let envelope = press(&fake, &message);
        until(|| state(&fake, &envelope) == Envelope::Acked).await;
        assert!(listening.is_connected(), "round {round}");
    }
    assert_eq!((presses.all().len(), fake.with(|slack| slack.interactivity.lines.len())), (15, 1));
    // No other can be opened: this one is used to its end.
    fake.faults.push_on("apps.connections.open", Fault::Status(503, None));
    fake.with(|slack| slack.interactivity.warn("refresh_requested"));
    until(|| fake.rec.all().iter().any(|record| record.status == 503)).await;
    let envelope = press(&fake, &message);
    until(|| state(&fake, &envelope) == Envelope::Acked).await;
    lines(&fake)[0].close(1000, "");
    assert!(matches!(listening.end().await, ListenEnd::Closed));
    until(|| lines(&fake).is_empty()).await;
    // Without a warning it is the same.
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    lines(&fake)[0].close(1001, "bye");
    assert!(matches!(listening.end().await, ListenEnd::Closed));
    assert_clean(&fake);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_prevents_a_connection_is_named() {
    let clients = HttpClients::default();
    let (fake, wire, _) = slack(&clients, "app_token: xapp-1-fake").await;
    let presses = Taken::new();
    let listen = || Listening::start(listener(wire.driver()), &presses);
    // Ten connections are open already.
    let mut ten = Vec::new();
    for _ in 0..10 {
        ten.push(Listening::connected(listener(wire.driver()), &presses).await);
    }
    let error = lost(listen().end().await);
    assert_eq!(
        (error.kind, error.code.as_deref()),
        (ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(60)) }, Some("too_many_websockets"))
    );
    // Somebody turns Socket Mode off: every connection ends, and no other is opened.
    fake.with(|slack| slack.interactivity.disable());
    for listening in ten {
        let error = lost(listening.end().await);
        assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Misconfigured, Some("link_disabled")));
    }
    let error = lost(listen().end().await);
    assert!(error.kind == ErrorKind::Misconfigured && error.summary.contains("Socket Mode"), "{error}");
    assert!(matches!(wire.driver().probe().await, Probe::Failed(error) if error.summary.contains("Socket Mode")));
    fake.with(|slack| slack.interactivity.enabled = true);
    let answer = |body: &str| Fault::Reply(200, "application/json".into(), body.into());
    let limit = Fault::Headed(429, vec![("retry-after".into(), "30".into())], r#"{"ok":false,"error":"ratelimited"}"#.into());
    let rows = [
        ("connections.open", answer(r#"{"ok":false,"error":"invalid_auth"}"#), ErrorKind::Misconfigured),
        ("connections.open", answer(r#"{"ok":false,"error":"missing_scope","needed":"connections:write"}"#), ErrorKind::Misconfigured),
        ("connections.open", answer(r#"{"ok":false,"error":"internal_error"}"#), ErrorKind::Transient),
        ("connections.open", answer(r#"{"ok":true}"#), ErrorKind::Transient),
        ("connections.open", limit, ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(30)) }),
        ("connections.open", Fault::Html(502), ErrorKind::Transient),
        ("connections.open", Fault::CloseBefore, ErrorKind::Transient),
        ("/link/", Fault::Status(503, None), ErrorKind::Transient),
        ("/link/", Fault::Html(200), ErrorKind::Transient),
        ("/link/", Fault::ResetAfter, ErrorKind::Transient),
    ];
    for (path, fault, kind) in rows {
        fake.faults.push_on(path, fault.clone());
        let error = lost(listen().end().await);
        assert_eq!(error.kind, kind, "{path} {fault:?}: {error}");
        assert!(!format!("{error:?}").contains("fake-ticket"), "{error:?}");
    }
    // A bot token opens nothing.
    let bot = Wire::beside(&clients, "bot", &yaml(&fake, "app_token: xapp-2-fake"));
    fake.with(|slack| slack.interactivity.app_tokens.insert("xapp-2-fake".into(), Some("not_allowed_token_type")));
    let error = lost(Listening::start(listener(bot.driver()), &presses).end().await);
    assert!(error.kind == ErrorKind::Misconfigured && error.summary.contains("connections:write"), "{error}");
    assert_clean(&fake);
    assert!(presses.all().is_empty());
}

#[tokio::test]
async fn a_connection_without_hello_and_one_that_is_half_open_are_noticed() {
    let clients = HttpClients::default();
    let (fake, wire, _) = slack(&clients, "app_token: xapp-1-fake").await;
    let presses = Taken::new();
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    fake.with(|slack| slack.interactivity.newest().fall_silent());
    tokio::task::yield_now().await;
    // Time passes as it is needed.
    let begun = tokio::time::Instant::now();
    tokio::time::pause();
    let error = lost(listening.end().await);
    let after = begun.elapsed().as_secs();
    assert!(error.code.as_deref() == Some("silent") && (75..=90).contains(&after), "{error} after {after} s");
    tokio::time::resume();
    fake.with(|slack| slack.interactivity.greets = false);
    let listening = Listening::start(listener(wire.driver()), &presses);
    until(|| fake.with(|slack| slack.interactivity.lines.len() == 2)).await;
    let connected = listening.is_connected();
    tokio::time::pause();
    let error = lost(listening.end().await);
    assert!(!connected && error.code.as_deref() == Some("hello"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_channels_of_an_app_share_its_connection() {
    let clients = HttpClients::default();
    let (fake, wire, _) = slack(&clients, "app_token: xapp-1-fake").await;
    let same = |other: &Wire| std::ptr::addr_eq(std::sync::Arc::as_ptr(&listener(wire.driver())), std::sync::Arc::as_ptr(&listener(other.driver())));
    let again = yaml(&fake, "app_token: xapp-1-fake").replace("C0123", "C0456");
    assert!(same(&Wire::beside(&clients, "dev", &again)));
    assert!(!same(&Wire::beside(&clients, "dev", &yaml(&fake, "app_token: xapp-2-fake"))));
    assert!(!listener(wire.driver()).exclusive(), "every node has one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_posted_press_is_believed_by_its_signature_only() {
    let clients = HttpClients::default();
    let (fake, wire, message) = slack(&clients, "signing_secret: fake-signing-secret").await;
    assert!(matches!(wire.driver().probe().await, Probe::Ok));
    let now = fake.clock.now();
    let url = fake.url();
    let payload = fake.with(|slack| {
        let mut payload = slack.payload(&message, "On it", &ANNA, now);
        let path = payload["response_url"].as_str().unwrap().to_owned();
        payload["response_url"] = json!(format!("{url}{path}"));
        payload
    });
    let at = jiff::Timestamp::now();
    let signed = |second: i64| fake.with(|slack| slack.signed(&payload, second));
    let call = |headers: &[(&'static str, String)], body: &str| {
        let headers: HeaderMap = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let call = Callback { url: "https://w.example.com/press/ops", headers: &headers, body: body.as_bytes(), now: at };
        wire.driver().pressed(&call)
    };
    let (headers, body) = signed(at.as_second());
    let Ok(PressCall::Press(press)) = call(&headers, &body) else { panic!("the press is good") };
    assert_eq!((press.value.as_str(), press.by.id.as_str(), press.by.foreign), (VALUE, "U0ANNA", false));
    assert_eq!(press.event_id, payload["trigger_id"].as_str().unwrap());
    // As old and as new as Slack allows; then not.
    for (away, good) in [(-300, true), (300, true), (-301, false), (301, false), (-86_400, false), (i64::MIN / 4, false)] {
        let (headers, body) = signed(at.as_second() + away);
        assert_eq!(call(&headers, &body).is_ok(), good, "{away}");
    }
    // One byte of anything.
    for place in [0, body.len() / 2, body.len() - 1] {
        let mut bytes = body.clone().into_bytes();
        bytes[place] ^= 1;
        let why = call(&headers, &String::from_utf8(bytes).unwrap()).err().unwrap();
        assert!(why.contains("signature") && !why.contains("fake-signing-secret"), "{why}");
    }
    assert!(call(&headers, &format!("{body}&x=1")).is_err());
    for (place, wrong) in [(1, (at.as_second() + 1).to_string()), (1, "now".into()), (2, "v0=".into()), (2, headers[2].1.to_uppercase())] {
        let mut changed = headers.clone();
        changed[place].1 = wrong;
        assert!(call(&changed, &body).is_err());
    }
    for missing in [1, 2] {
        let mut fewer = headers.clone();
        fewer.remove(missing);
        assert!(call(&fewer, &body).is_err_and(|why| why.contains("missing")));
    }
    fake.with(|slack| slack.interactivity.signing_secret = "of another app".into());
    assert!(call(&signed(at.as_second()).0, &body).is_err());
    fake.with(|slack| slack.interactivity.signing_secret = "fake-signing-secret".into());
    // Signed, and no press.
    for other in [json!({ "type": "view_closed" }), json!({ "type": "block_actions", "user": { "id": "U" }, "actions": [] }), json!(3)] {
        let (headers, body) = fake.with(|slack| slack.signed(&other, at.as_second()));
        let Ok(PressCall::Answer(answer)) = call(&headers, &body) else { panic!("{other}") };
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    }
    // Slack shows nothing of the HTTP answer; the person is shown the text.
    let headers: HeaderMap = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let call = Callback { url: "https://w.example.com/press/ops", headers: &headers, body: body.as_bytes(), now: at };
    let reply = wire.driver().press_reply(&call, &PressAnswer { text: "#7 is acked".into(), done: true });
    assert_eq!((reply.status.as_u16(), reply.body.as_str()), (200, ""));
    until(|| shown(&fake).len() == 1).await;
    assert_eq!(shown(&fake)[0], Shown { to: "U0ANNA".into(), text: "#7 is acked".into(), in_channel: false, replaced: false });
}

/// What the setup page has people paste.
#[test]
fn the_apps_manifest_has_what_buttons_and_look_ups_need_and_no_more() {
    let manifest: serde_json::Value = serde_yaml::from_str(include_str!("../../docs/slack-app.yaml")).unwrap();
    let settings = &manifest["settings"];
    assert_eq!((&settings["socket_mode_enabled"], &settings["interactivity"]), (&json!(true), &json!({ "is_enabled": true })));
    assert_eq!(manifest["oauth_config"]["scopes"], json!({ "bot": ["chat:write", "users:read", "users:read.email"] }));
    assert!(manifest["features"]["bot_user"]["display_name"].is_string());
}
