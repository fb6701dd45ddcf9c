//! Presses of WeCom's buttons against a faithful fake: posted, signed and encrypted, up to three times; what is not believed; and what becomes of the card.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use watchfire::api::{IncidentResponse, Incidents};
use watchfire::channel::{Callback, PressAnswer, PressCall};
use watchfire::model::{ErrorKind, Link, LinkKind, Page};
use watchfire::store::{IncidentState, State};

use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::wecom_cards::{Card, Receiver};
use crate::support::fakes::{Fake, Fault, Wecom};
use crate::support::presses::until;
use crate::support::wire::Wire;

const VALUE: &str = "ack.0W1x2y3z4A5b6C.3";
const CORP: &str = "wx5823bf96d3bd56c7";
const AGENT: i64 = 1_000_002;
const KEYS: &str = "callback_token: QDG6eK, encoding_aes_key: jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";

fn receiver() -> Receiver {
    Receiver { token: "QDG6eK".into(), key: "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C".into() }
}

async fn wecom() -> Fake<Wecom> {
    let fake = Fake::start(Wecom::new(CORP, AGENT, "s3cret").with_members(&["zhangsan", "lisi"]).unpaced()).await;
    fake.with(|wecom| wecom.cards.receiver = Some(receiver()));
    fake
}

fn channel(fake: &Fake<Wecom>) -> String {
    format!("wecom: {{ corp_id: {CORP}, agent_id: {AGENT}, secret: s3cret, to_user: 'zhangsan|lisi', {KEYS}, api_base: \"{}\" }}", fake.url())
}

/// The one card.
fn card(fake: &Fake<Wecom>) -> (String, Card) {
    fake.with(|wecom| wecom.cards.cards.iter().map(|(id, card)| (id.clone(), card.clone())).next()).expect("a card")
}

/// A press of its first button: the event, before it is encrypted.
fn press(fake: &Fake<Wecom>, user: &str) -> String {
    press_in(fake, &card(fake).0, user)
}

/// The same of one of several cards.
fn press_in(fake: &Fake<Wecom>, task: &str, user: &str) -> String {
    let now = fake.clock.now();
    fake.with(|wecom| {
        let button = wecom.cards.cards[task].buttons[0].0.clone();
        wecom.cards.press(task, &button, user, CORP, AGENT, now)
    })
}

/// What the channel makes of a call, and its answer.
fn called(wire: &Wire, query: &str, body: &str, answer: &PressAnswer) -> (Result<PressCall, String>, String) {
    let url = format!("https://w.example.com/press/ops?{query}");
    let headers = HeaderMap::new();
    let call = Callback { url: &url, headers: &headers, body: body.as_bytes(), now: jiff::Timestamp::now() };
    let pressed = wire.driver().pressed(&call);
    let reply = wire.driver().press_reply(&call, answer);
    assert_eq!(reply.status.as_u16(), 200);
    (pressed, reply.body)
}

fn seal(event: &str) -> (String, String) {
    receiver().seal(event, CORP, jiff::Timestamp::now().as_second(), "1372623149")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_the_same_in_each_of_its_tries_and_changes_the_card_once() {
    let fake = wecom().await;
    let wire = Wire::new("ops", &channel(&fake));
    let ids = wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap().ids;
    assert!(ids.get("response_code").is_some(), "{ids:?}");
    let event = press(&fake, "zhangsan");
    let done = PressAnswer { text: "It is acked".into(), done: true };
    let mut seen = Vec::new();
    for nonce in ["1", "2", "3"] {
        // Not answered in time, WeCom seals it again.
        let (query, body) = receiver().seal(&event, CORP, jiff::Timestamp::now().as_second(), nonce);
        let (Ok(PressCall::Press(press)), reply) = called(&wire, &query, &body, &done) else { panic!() };
        assert_eq!(reply, "");
        seen.push(press);
    }
    assert!(seen.iter().all(|press| *press == seen[0]) && seen[0].event_id.len() <= 200);
    assert_eq!((seen[0].value.as_str(), seen[0].by.id.as_str(), seen[0].by.foreign), (VALUE, "zhangsan", false));
    until(|| card(&fake).1.replaced.contains_key("*")).await;
    assert_eq!(card(&fake).1.replaced, [("*".to_owned(), "zhangsan: It is acked".to_owned())].into());
    // What did not happen is said to who pressed; the others may still press.
    let (query, body) = seal(&press(&fake, "lisi"));
    let _ = called(&wire, &query, &body, &PressAnswer { text: "It is over".into(), done: false });
    until(|| card(&fake).1.replaced.len() == 2).await;
    assert_eq!(card(&fake).1.replaced["lisi"], "It is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_wecom_signed_now_for_this_application_is_believed() {
    let fake = wecom().await;
    let wire = Wire::new("ops", &channel(&fake));
    wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap();
    let event = press(&fake, "zhangsan");
    let now = jiff::Timestamp::now().as_second();
    let (query, body) = seal(&event);
    let other = Receiver { token: "other".into(), ..receiver() };
    let key = Receiver { key: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG".into(), ..receiver() };
    let rows = [
        (query.clone(), body.replacen("Encrypt><![CDATA[", "Encrypt><![CDATA[A", 1)),
        (query.replace("nonce=1372623149", "nonce=1372623148"), body.clone()),
        (query.replace("msg_signature", "signature"), body.clone()),
        (query.clone(), String::new()),
        (query, "{}".to_owned()),
        other.seal(&event, CORP, now, "n"),
        key.seal(&event, CORP, now, "n"),
        receiver().seal(&event, "wx0000000000000000", now, "n"),
        receiver().seal(&event, CORP, now - 660, "n"),
        receiver().seal(&event, CORP, now + 660, "n"),
        seal(&event.replace("<AgentID>1000002<", "<AgentID>1000003<")),
    ];
    let answer = PressAnswer { text: "?".into(), done: true };
    for (place, (query, body)) in rows.iter().enumerate() {
        let why = called(&wire, query, body, &answer).0.err().unwrap_or_else(|| panic!("row {place} is believed"));
        assert!(!why.contains("QDG6eK"), "{why}");
    }
    // Anything else that is WeCom's is answered, so that it is not repeated.
    for other in [event.replace("template_card_event", "enter_agent"), event.replace("<![CDATA[event]]>", "<![CDATA[text]]>")] {
        let (query, body) = seal(&other);
        assert!(matches!(called(&wire, &query, &body, &answer).0, Ok(PressCall::Answer(reply)) if reply.body.is_empty()));
    }
    assert!(card(&fake).1.replaced.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_not_lost_for_its_buttons() {
    let fake = wecom().await;
    fake.with(|wecom| wecom.cards.receiver = None);
    let wire = Wire::new("ops", &channel(&fake));
    let receipt = wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap();
    assert!(receipt.answer.contains("43012"), "{}", receipt.answer);
    let accepted = fake.rec.accepted();
    assert!(accepted.len() == 1 && accepted[0].text.contains("db-1 burns"), "{accepted:?}");
    // A message without buttons stays what it was.
    fake.with(|wecom| wecom.cards.receiver = Some(receiver()));
    wire.send(&wire.page("db-2 burns")).await.unwrap();
    assert!(fake.with(|wecom| wecom.cards.cards.is_empty()));
}

/// The same about something that is over, with a page to open.
fn over(wire: &Wire) -> Page {
    let mut page = wire.resolved("db-1 is fine");
    page.facts.title = "db-1 is fine".into();
    page.facts.links = vec![Link { kind: LinkKind::Details, label: "Details".into(), url: "https://watchfire.example.com/m/1".into() }];
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_changed_once_without_a_press_and_once_more_for_each() {
    let fake = wecom().await;
    let wire = Wire::new("ops", &channel(&fake));
    let ids = wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap().ids;
    let (query, body) = seal(&press(&fake, "zhangsan"));
    let _ = called(&wire, &query, &body, &PressAnswer { text: "It is acked".into(), done: true });
    until(|| card(&fake).1.replaced.contains_key("*")).await;
    // The press had a right of its own: that of the message is there still.
    assert_eq!(wire.update(&ids, &over(&wire)).await.unwrap().ids, ids);
    let shown = card(&fake).1;
    assert!(shown.text.contains("db-1 is fine") && shown.buttons.is_empty() && shown.replaced.is_empty(), "{shown:?}");
    let error = wire.update(&ids, &over(&wire)).await.unwrap_err();
    assert!(error.gone && error.kind == ErrorKind::Rejected, "{error:?}");
    assert_eq!(card(&fake).1.changes, 2);
    // A lost answer leaves open whether the right is used; trouble before it leaves it.
    fake.with(|wecom| wecom.cards.cards.clear());
    let ids = wire.send(&wire.with_button("db-2 burns", "On it", VALUE)).await.unwrap().ids;
    for (fault, kind) in [(Fault::Status(503, None), ErrorKind::Transient), (Fault::CloseAfter, ErrorKind::Transient)] {
        fake.faults.push_on("update_template_card", fault);
        let error = wire.update(&ids, &over(&wire)).await.unwrap_err();
        assert_eq!((error.kind, error.gone), (kind, false), "{error:?}");
    }
    assert_eq!(card(&fake).1.changes, 1, "its answer was lost");
    assert!(wire.update(&ids, &over(&wire)).await.is_err_and(|error| error.gone));
    // Three days later it is too old.
    fake.with(|wecom| wecom.cards.cards.clear());
    let ids = wire.send(&wire.with_button("db-3 burns", "On it", VALUE)).await.unwrap().ids;
    fake.clock.advance(Duration::from_secs(72 * 3600 + 1));
    assert!(wire.update(&ids, &over(&wire)).await.is_err_and(|error| error.gone));
    assert!(card(&fake).1.text.contains("db-3 burns"));
}

async fn app(fake: &Fake<Wecom>) -> TestApp {
    TestApp::start(&routes(fake, &["ops"])).await
}

/// Channels of these names, each of the same application.
fn routes(fake: &Fake<Wecom>, names: &[&str]) -> String {
    let channels: String = names.iter().map(|name| format!("  {name}: {{ {} }}\n", channel(fake))).collect();
    format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\n\
         channels:\n{channels}route: {{ to: [{}] }}\n",
        names.join(", ")
    )
}

/// A group of alerts with their names and severities, each firing or over.
fn group(group: &str, alerts: &[(&str, &str, &str)]) -> Value {
    let mut body = alert(group, "", "firing");
    let of = |(name, severity, status): &(&str, &str, &str)| {
        let mut one = alert(group, name, status)["alerts"][0].clone();
        one["labels"]["severity"] = (*severity).into();
        one
    };
    body["commonLabels"] = serde_json::json!({});
    body["alerts"] = alerts.iter().map(of).collect();
    if alerts.iter().all(|(.., status)| *status == "resolved") {
        body["status"] = "resolved".into();
    }
    body
}

async fn report(app: &TestApp, body: &Value) {
    let (status, answer) = app.post("/webhook", body).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
}

/// What went out as messages of their own.
fn texts(fake: &Fake<Wecom>) -> Vec<String> {
    fake.rec.accepted().into_iter().map(|sent| sent.text).collect()
}

/// Waits until no message of an incident is behind what the incident is.
async fn shown(app: &TestApp, number: i64) -> IncidentResponse {
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let found: IncidentResponse = app.read(&format!("/api/v1/incidents/{number}")).await;
        if found.messages.iter().all(|message| !message.edited || message.shown >= found.version) {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "a message is behind: {found:#?}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_edit_of_a_card_is_kept_for_the_end() {
    let fake = wecom().await;
    let (app, hand) = TestApp::start_timed(&routes(&fake, &["ops"])).await;
    report(&app, &group("db", &[("Db1Burns", "critical", "firing")])).await;
    let id = card(&fake).0;
    let card = || fake.with(|wecom| wecom.cards.cards[&id].clone());
    // What is less severe would be an edit elsewhere; here it is a message.
    report(&app, &group("db", &[("Db1Burns", "critical", "firing"), ("Db2Burns", "warning", "firing")])).await;
    report(&app, &group("db", &[("Db1Burns", "critical", "resolved"), ("Db2Burns", "warning", "firing")])).await;
    shown(&app, 1).await;
    let before = card();
    assert_eq!((before.changes, before.buttons.is_empty()), (0, false), "nothing of it was worth the edit");
    hand.jump(3_700_000);
    report(&app, &group("db", &[("Db2Burns", "warning", "firing")])).await;
    let sent = texts(&fake);
    assert!(sent.len() == 3 && sent[1].contains("Db2Burns") && sent[2].contains("Still firing"), "{sent:?}");
    report(&app, &group("db", &[("Db2Burns", "warning", "resolved")])).await;
    until(|| card().changes == 1).await;
    let found = shown(&app, 1).await;
    let over = card();
    assert!(over.buttons.is_empty() && over.text.to_lowercase().contains("resolved") && over.text != before.text, "{over:?}");
    assert_eq!((found.incident.state, texts(&fake).len()), (IncidentState::Resolved, 3), "the end is the edit");
    // Both members received one message, which was changed once for both of them.
    assert_eq!(found.messages.len(), 2);
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_from_elsewhere_uses_the_edit_up_and_the_end_is_a_message() {
    let fake = wecom().await;
    let app = app(&fake).await;
    report(&app, &group("db", &[("Db1Burns", "critical", "firing")])).await;
    let (status, answer) = app.post("/api/v1/incidents/1/ack", &serde_json::json!({ "by": "Bob" })).await;
    assert_eq!(status, 200, "{answer}");
    until(|| card(&fake).1.changes == 1).await;
    let acked = card(&fake).1;
    assert!(acked.text.contains("Bob") && acked.buttons.len() >= 2, "{acked:?}");
    shown(&app, 1).await;
    report(&app, &group("db", &[("Db1Burns", "critical", "resolved")])).await;
    let sent = texts(&fake);
    assert_eq!((sent.len(), card(&fake).1.changes), (2, 1), "{sent:?}");
    assert!(sent[1].contains("#1"), "{sent:?}");
    // The next incident has a card, and an edit, of its own. A press shows the ack by the right that it brought.
    fake.with(|wecom| wecom.cards.cards.clear());
    report(&app, &group("web", &[("Web1Burns", "critical", "firing")])).await;
    let (query, body) = seal(&press(&fake, "zhangsan"));
    let posted = app.http.post(app.url(&format!("/press/ops?{query}"))).body(body).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 200);
    until(|| card(&fake).1.replaced.contains_key("*")).await;
    shown(&app, 2).await;
    assert_eq!(card(&fake).1.changes, 1, "the press changed it");
    report(&app, &group("web", &[("Web1Burns", "critical", "resolved")])).await;
    until(|| card(&fake).1.changes == 2).await;
    assert!(card(&fake).1.replaced.is_empty() && texts(&fake).len() == 3, "{:?}", texts(&fake));
    app.app.stop(Duration::from_secs(2)).await;
}

/// Of each card: how often it was changed, and whether by a press in it.
fn changes(fake: &Fake<Wecom>) -> Vec<(String, u32, bool)> {
    fake.with(|wecom| wecom.cards.cards.iter().map(|(id, card)| (id.clone(), card.changes, !card.replaced.is_empty())).collect())
}

/// Presses one card, and waits until each shows it: that one by the press, the other by its edit.
async fn pressed_in_one_of_two(fake: &Fake<Wecom>, app: &TestApp, task: &str) {
    assert!(changes(fake).len() == 2 && changes(fake).iter().all(|(_, changes, _)| *changes == 0), "{:?}", changes(fake));
    let (query, body) = seal(&press_in(fake, task, "zhangsan"));
    let posted = app.http.post(app.url(&format!("/press/ops?{query}"))).body(body).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 200);
    until(|| changes(fake).iter().all(|(id, changes, by_press)| *changes == 1 && *by_press == (id == task))).await;
    shown(app, 1).await;
    assert!(changes(fake).iter().all(|(_, changes, _)| *changes == 1), "once each: {:?}", changes(fake));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_on_one_channel_is_shown_in_the_card_of_another() {
    let fake = wecom().await;
    let app = TestApp::start(&routes(&fake, &["ops", "dba"])).await;
    report(&app, &group("db", &[("Db1Burns", "critical", "firing")])).await;
    let task = card(&fake).0;
    pressed_in_one_of_two(&fake, &app, &task).await;
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_in_a_short_card_is_shown_in_the_one_beside_it() {
    let fake = wecom().await;
    let app = app(&fake).await;
    report(&app, &group("db", &[("Db1Burns", "critical", "firing")])).await;
    let first = card(&fake).0;
    report(&app, &group("db", &[("Db1Burns", "critical", "firing"), ("Db2Burns", "warning", "firing")])).await;
    let short = changes(&fake).into_iter().map(|(id, ..)| id).find(|id| *id != first).expect("a short card");
    pressed_in_one_of_two(&fake, &app, &short).await;
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_a_mute_held_and_the_edit_showed_is_no_message() {
    let fake = wecom().await;
    let app = app(&fake).await;
    report(&app, &group("db", &[("Db1Burns", "critical", "firing")])).await;
    let mute = serde_json::json!({ "matchers": ["alertname=\"Db1Burns\""], "for": "1h", "reason": "disk swap" });
    assert_eq!(app.post("/api/v1/mutes", &mute).await.0, 200);
    app.post("/webhook", &group("db", &[("Db1Burns", "critical", "resolved")])).await;
    until(|| card(&fake).1.changes == 1).await;
    shown(&app, 1).await;
    app.http.delete(app.url("/api/v1/mutes?matchers=alertname%3D%22Db1Burns%22")).send().await.unwrap().error_for_status().unwrap();
    let states: Vec<State> = app.settled().await.into_iter().filter(|row| row.incident.is_some()).map(|row| row.state).collect();
    assert_eq!(states, [State::Skipped, State::Sent], "newest first: the end rings nobody, its readers see it");
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_no_card_shows_is_a_message() {
    let fake = wecom().await;
    let app = app(&fake).await;
    report(&app, &group("db", &[("Db1Burns", "critical", "firing")])).await;
    // The right is too old by now.
    fake.clock.advance(Duration::from_secs(72 * 3600 + 1));
    report(&app, &group("db", &[("Db1Burns", "critical", "resolved")])).await;
    until(|| texts(&fake).len() >= 3).await;
    shown(&app, 1).await;
    let sent = texts(&fake);
    assert!(sent.len() == 3 && sent[1..].iter().all(|text| text.contains("Db1Burns")), "each of the two members got one: {sent:?}");
    assert_eq!(card(&fake).1.changes, 0);
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_confirmed_and_a_press_acks_the_incident() {
    let fake = wecom().await;
    let app = app(&fake).await;
    let client = reqwest::Client::new();
    let (query, plain) = receiver().check(CORP, jiff::Timestamp::now().as_second());
    let checked = client.get(app.url(&format!("/press/ops?{query}"))).send().await.unwrap();
    assert_eq!((checked.status().as_u16(), checked.text().await.unwrap()), (200, plain));
    assert_eq!(client.get(app.url("/press/ops")).send().await.unwrap().status(), 403);
    app.post("/webhook", &alert("db", "Burns", "firing")).await;
    app.settled().await;
    let sent: Value = serde_json::from_slice(&fake.rec.accepted()[0].call.body).unwrap();
    let shown = &sent["template_card"];
    assert!(shown["card_action"]["url"].as_str().unwrap().starts_with("https://watchfire.example.com/m/"), "{sent}");
    assert!(shown["main_title"]["title"].as_str().unwrap().contains("Burns"), "{sent}");
    let (query, body) = seal(&press(&fake, "zhangsan"));
    for _ in 0..2 {
        let posted = client.post(app.url(&format!("/press/ops?{query}"))).body(body.clone()).send().await.unwrap();
        assert_eq!((posted.status().as_u16(), posted.text().await.unwrap().as_str()), (200, ""));
    }
    let found: Incidents = app.read("/api/v1/incidents").await;
    assert_eq!(found.incidents[0].state, IncidentState::Acked, "{found:?}");
    until(|| card(&fake).1.replaced.get("*").is_some_and(|text| text.contains("zhangsan"))).await;
    let (held, (query, body)) = (app.hold_store().await, seal(&press(&fake, "lisi")));
    client.post(app.url(&format!("/press/ops?{query}"))).body(body).send().await.unwrap();
    until(|| card(&fake).1.replaced.get("lisi").is_some_and(|text| text.starts_with("No answer from the store yet"))).await;
    drop(held);
    app.app.stop(Duration::from_secs(2)).await;
}
