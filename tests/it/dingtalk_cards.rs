//! DingTalk's cards against a faithful fake: edited, quota, delivered once; and presses over Stream mode: answered, repeated, from elsewhere, and what
//! ends a connection.

use std::time::Duration;

use watchfire::api::Incidents;
use watchfire::channel::ListenEnd;
use watchfire::channel::kit::HttpClients;
use watchfire::model::{ErrorKind, PlatformIds};
use watchfire::store::IncidentState;

use crate::support::app::{TestApp, alert};
use crate::support::fakes::{DingtalkCard, Fake, Fault, Platform};
use crate::support::presses::{Listening, Taken, listener, until};
use crate::support::wire::Wire;

const VALUE: &str = "ack.0W1x2y3z4A5b6C.3";

async fn dingtalk(clients: &HttpClients, more: &str) -> (Fake<DingtalkCard>, Wire, PlatformIds) {
    let fake = Fake::start(DingtalkCard::new(("key", "S3CRET"), "bot", &["cidOPS==", "cidDEV=="], &["anna"])).await;
    fake.unpaced();
    let wire = channel(clients, &fake, &format!("to: ['cidOPS=='], {more}"));
    let ids = wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap().ids;
    (fake, wire, ids)
}

fn channel(clients: &HttpClients, fake: &Fake<DingtalkCard>, more: &str) -> Wire {
    let yaml = format!("dingtalk_card: {{ app_key: key, app_secret: S3CRET, robot_code: bot, {more}, api_base: \"{}\" }}", fake.url());
    Wire::beside(clients, "ops", &yaml)
}

const BUTTONS: &str = "buttons: true, corp_id: dingcorp1";

fn press(fake: &Fake<DingtalkCard>, ids: &PlatformIds) -> String {
    fake.with(|dingtalk| dingtalk.press(ids.get("outTrackId").unwrap(), "On it", "anna", "dingcorp1"))
}

fn text(fake: &Fake<DingtalkCard>, ids: &PlatformIds) -> String {
    fake.with(|dingtalk| dingtalk.cards[ids.get("outTrackId").unwrap()].text())
}

/// What a client did that the gateway does not take.
fn faults(fake: &Fake<DingtalkCard>) -> Vec<String> {
    fake.with(|dingtalk| dingtalk.stream.faults.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_delivered_once_and_edited_without_a_sound() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = dingtalk(&clients, "mentions: { users: [anna] }").await;
    // The answer is lost, and the page is sent again under the same key.
    fake.faults.push_on("createAndDeliver", Fault::CloseAfter);
    let page = wire.page("db-2 burns");
    assert!(wire.send_as("k1", &page).await.is_err());
    let again = wire.send_as("k1", &page).await.unwrap().ids;
    assert_ne!(again, ids);
    assert_eq!(fake.with(|dingtalk| dingtalk.transcript().unwrap().posted()), 2);
    wire.update(&again, &wire.page("db-2 and db-3 burn")).await.unwrap();
    assert!(text(&fake, &again).contains("db-3") && !text(&fake, &again).contains("db-2 burns"));
    let rang = fake.with(|dingtalk| dingtalk.transcript.rang());
    assert!(rang.len() == 2 && !rang.concat().contains("db-3"), "{rang:?}");
    // An edit without buttons takes them away.
    assert!(text(&fake, &ids).contains("[On it]"));
    wire.update(&ids, &wire.page("db-1 burns, Anna is on it")).await.unwrap();
    assert!(!text(&fake, &ids).contains("[On it]"));
    // The month is over: an edit counts as a message does.
    fake.with(|dingtalk| dingtalk.calls_left = Some(1));
    wire.update(&ids, &wire.page("db-1 burns")).await.unwrap();
    let error = wire.update(&ids, &wire.page("db-1")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Rejected && !error.gone && error.summary.contains("month"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_pinged_and_what_is_not_delivered_is_reported() {
    let clients = HttpClients::default();
    let (fake, wire, _) = dingtalk(&clients, "mentions: { users: [anna] }").await;
    let mut page = wire.page("db-2 burns");
    page.facts.mentions.users = vec!["anna".into()];
    let ids = wire.send(&page).await.unwrap().ids;
    assert_eq!(fake.with(|dingtalk| dingtalk.cards[ids.get("outTrackId").unwrap()].pinged.clone()), ["anna"]);
    let person = channel(&clients, &fake, "to: ['user:anna']").send(&page).await.unwrap().ids;
    assert_eq!(fake.with(|dingtalk| dingtalk.cards[person.get("outTrackId").unwrap()].space.clone()), "dtv1.card//IM_ROBOT.anna");
    for to in ["cidELSE==", "user:nobody"] {
        let error = channel(&clients, &fake, &format!("to: ['{to}']")).send(&page).await.unwrap_err();
        assert!(error.kind == ErrorKind::Misconfigured && error.summary.contains("robot in the group"), "{error}");
    }
    fake.with(|dingtalk| dingtalk.unsafe_word = Some("burns".into()));
    assert_eq!(wire.send(&page).await.unwrap_err().kind, ErrorKind::Rejected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_of_ones_own_is_used_once_it_is_published() {
    let clients = HttpClients::default();
    let (fake, ..) = dingtalk(&clients, BUTTONS).await;
    let own = channel(&clients, &fake, &format!("to: ['cidOPS=='], template_id: 0a1b-2c3d.schema, {BUTTONS}"));
    let error = own.send(&own.page("db-2 burns")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Misconfigured && error.summary.contains("`template_id`"), "{error}");
    fake.with(|dingtalk| dingtalk.templates.insert("0a1b-2c3d.schema".into()));
    let ids = own.send(&own.with_button("db-2 burns", "On it", VALUE)).await.unwrap().ids;
    own.update(&ids, &own.with_button("db-2 and db-3 burn", "Take over", VALUE)).await.unwrap();
    assert!(text(&fake, &ids).contains("db-3") && text(&fake, &ids).contains("[Take over]"), "{}", text(&fake, &ids));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_arrives_once_and_its_answer_is_on_the_card_until_the_next_edit() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = dingtalk(&clients, BUTTONS).await;
    let presses = Taken::new();
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    let id = press(&fake, &ids);
    let taken = presses.wait(1).await;
    assert_eq!((taken[0].event_id.as_str(), taken[0].value.as_str()), (id.as_str(), VALUE));
    assert_eq!((taken[0].by.id.as_str(), taken[0].by.foreign), ("anna", false));
    until(|| text(&fake, &ids).contains("Anna is on it")).await;
    assert!(text(&fake, &ids).contains("db-1 burns"), "the rest of the card stays: {}", text(&fake, &ids));
    wire.update(&ids, &wire.page("db-1 and db-2 burn")).await.unwrap();
    assert!(!text(&fake, &ids).contains("Anna is on it"));
    // A ping is answered with its own data, and what nobody handles is not sent again.
    fake.with(|dingtalk| {
        dingtalk.stream.ping();
        dingtalk.stream.event();
    });
    until(|| fake.with(|dingtalk| dingtalk.stream.unanswered() == 0)).await;
    assert!(listening.is_connected() && presses.all().len() == 1 && faults(&fake).is_empty(), "{:?}", faults(&fake));
    listening.drop_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_stored_before_it_is_answered_and_comes_again_under_the_same_id() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = dingtalk(&clients, BUTTONS).await;
    let presses = Taken::new();
    presses.store.forget_permits(1000);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    press(&fake, &ids);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(fake.with(|dingtalk| dingtalk.stream.unanswered()), 1, "not before it is stored");
    // The node dies; the next connection, of any node, is sent what was not answered.
    listening.drop_it().await;
    presses.store.add_permits(100);
    let again = Listening::connected(listener(wire.driver()), &presses).await;
    presses.wait(1).await;
    until(|| fake.with(|dingtalk| dingtalk.stream.unanswered() == 0)).await;
    let id = press(&fake, &ids);
    presses.wait(2).await;
    assert_eq!(presses.all()[1].event_id, id);
    assert!(faults(&fake).is_empty(), "{:?}", faults(&fake));
    again.drop_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_gateway_ends_is_left_after_the_answer() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = dingtalk(&clients, BUTTONS).await;
    let presses = Taken::new();
    let first = Listening::connected(listener(wire.driver()), &presses).await;
    fake.with(|dingtalk| dingtalk.stream.disconnect());
    assert!(matches!(first.end().await, ListenEnd::Closed));
    until(|| fake.with(|dingtalk| dingtalk.stream.lines().is_empty())).await;
    assert_eq!(fake.with(|dingtalk| dingtalk.stream.unanswered()), 0, "an unanswered command would be said to the next connection");
    // Pressed while nobody listens.
    press(&fake, &ids);
    let second = Listening::connected(listener(wire.driver()), &presses).await;
    presses.wait(1).await;
    until(|| fake.with(|dingtalk| dingtalk.stream.unanswered() == 0)).await;
    // It ends without a word, or with one.
    fake.with(|dingtalk| dingtalk.stream.lines().last().unwrap().cut());
    assert!(matches!(second.end().await, ListenEnd::Lost(error) if error.kind == ErrorKind::Transient));
    let third = Listening::connected(listener(wire.driver()), &presses).await;
    // The fake may hear of the end of the one before a moment later.
    fake.with(|dingtalk| dingtalk.stream.lines().last().unwrap().close(1001, "going away"));
    assert!(matches!(third.end().await, ListenEnd::Closed));
    assert!(faults(&fake).is_empty(), "{:?}", faults(&fake));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_channels_of_an_application_share_its_stream_and_another_organisation_is_foreign() {
    let clients = HttpClients::default();
    let (fake, wire, ids) = dingtalk(&clients, BUTTONS).await;
    let other = channel(&clients, &fake, &format!("to: ['cidDEV=='], {BUTTONS}"));
    assert!(std::ptr::addr_eq(std::sync::Arc::as_ptr(&listener(wire.driver())), std::sync::Arc::as_ptr(&listener(other.driver()))));
    assert!(!listener(wire.driver()).exclusive());
    let presses = Taken::new();
    presses.answer_with("Only members can do that.", false);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    fake.with(|dingtalk| dingtalk.press(ids.get("outTrackId").unwrap(), "On it", "eve", "dingcorp2"));
    let taken = presses.wait(1).await;
    assert!(taken[0].by.foreign && taken[0].by.id == "eve", "{taken:?}");
    until(|| text(&fake, &ids).contains("Only members")).await;
    fake.with(|dingtalk| dingtalk.press(ids.get("outTrackId").unwrap(), "On it", "", "dingcorp1"));
    let taken = presses.wait(2).await;
    assert!(taken[1].by.foreign && taken[1].by.id.is_empty(), "somebody without an id is no member: {taken:?}");
    assert!(faults(&fake).is_empty(), "{:?}", faults(&fake));
    listening.drop_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_refused_ends_as_what_it_is() {
    let clients = HttpClients::default();
    let (fake, wire, _) = dingtalk(&clients, BUTTONS).await;
    let lost = async || match Listening::start(listener(wire.driver()), &Taken::new()).end().await {
        ListenEnd::Lost(error) => error,
        other => panic!("{other:?}"),
    };
    let json = |status: u16, body: &str| Fault::Reply(status, "application/json".into(), body.into());
    let rows = [
        ("connections/open", json(401, r#"{"code":"authFailed","message":"鉴权失败"}"#), ErrorKind::Misconfigured),
        ("connections/open", json(200, "{}"), ErrorKind::Transient),
        ("connections/open", Fault::Status(503, None), ErrorKind::Transient),
        ("connections/open", Fault::Cut, ErrorKind::Transient),
        ("connect", Fault::Status(503, None), ErrorKind::Transient),
        ("connect", Fault::ResetAfter, ErrorKind::Transient),
    ];
    for (path, fault, kind) in rows {
        fake.faults.push_on(path, fault.clone());
        let error = lost().await;
        assert_eq!(error.kind, kind, "{fault:?}: {error:?}");
        assert!(!format!("{error:?}").contains("S3CRET") && !format!("{error:?}").contains("tk+"), "{error:?}");
        fake.faults.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_acks_the_incident_and_its_card_says_so() {
    let fake = Fake::start(DingtalkCard::new(("key", "S3CRET"), "bot", &["cidOPS=="], &["anna"])).await;
    let app = TestApp::start(&format!(
        "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n  ops:\n    dingtalk_card: {{ app_key: key, app_secret: S3CRET, \
         robot_code: bot, to: ['cidOPS=='], {BUTTONS}, api_base: \"{}\" }}\nroute: {{ to: [ops] }}\n",
        fake.url()
    ))
    .await;
    app.post("/webhook", &alert("db", "Burns", "firing")).await;
    app.settled().await;
    until(|| fake.with(|dingtalk| !dingtalk.stream.lines().is_empty())).await;
    let id = fake.with(|dingtalk| {
        let (id, card) = dingtalk.cards.iter().next().map(|(id, card)| (id.clone(), card.clone())).unwrap();
        let label = card.buttons()[0].text.clone();
        dingtalk.press(&id, &label, "anna", "dingcorp1");
        id
    });
    let shown = || fake.with(|dingtalk| dingtalk.cards[&id].clone());
    until(|| shown().param("tips").is_empty() && format!("{}{}", shown().param("title"), shown().param("markdown")).contains("anna")).await;
    let found: Incidents = app.read("/api/v1/incidents").await;
    assert_eq!(found.incidents[0].state, IncidentState::Acked, "{found:?}");
    assert_eq!(fake.with(|dingtalk| dingtalk.transcript.rang().len()), 1, "an edit makes no sound");
    assert!(faults(&fake).is_empty(), "{:?}", faults(&fake));
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_half_open_connection_is_noticed() {
    let clients = HttpClients::default();
    let (fake, wire, _) = dingtalk(&clients, BUTTONS).await;
    let listening = Listening::connected(listener(wire.driver()), &Taken::new()).await;
    fake.with(|dingtalk| dingtalk.stream.lines()[0].fall_silent());
    let begun = tokio::time::Instant::now();
    tokio::time::pause();
    assert!(matches!(listening.end().await, ListenEnd::Lost(error) if error.kind == ErrorKind::Transient));
    let after = begun.elapsed().as_secs();
    assert!((60..=90).contains(&after), "noticed after {after} s");
}
