//! Presses of WeCom's buttons against a faithful fake: posted, signed and encrypted, up to three times; what is not believed; and what becomes of the card.

use reqwest::header::HeaderMap;
use serde_json::Value;
use watchfire::api::Incidents;
use watchfire::channel::{Callback, PressAnswer, PressCall};
use watchfire::store::IncidentState;

use crate::support::app::{TestApp, alert};
use crate::support::fakes::wecom_cards::{Card, Receiver};
use crate::support::fakes::{Fake, Wecom};
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
    let (task, card) = card(fake);
    let now = fake.clock.now();
    fake.with(|wecom| wecom.cards.press(&task, &card.buttons[0].0, user, CORP, AGENT, now))
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

#[tokio::test(flavor = "multi_thread")]
async fn the_address_is_confirmed_and_a_press_acks_the_incident() {
    let fake = wecom().await;
    let app = TestApp::start(&format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\n\
         channels:\n  ops: {{ {} }}\nroute: {{ to: [ops] }}\n",
        channel(&fake)
    ))
    .await;
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
    app.app.stop(std::time::Duration::from_secs(2)).await;
}
