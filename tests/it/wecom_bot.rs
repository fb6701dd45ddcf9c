//! WeCom's smart robot against a faithful fake: messages over the one connection, presses answered by a change of the card, and what ends a connection.

use std::time::Duration;

use watchfire::api::Incidents;
use watchfire::channel::ListenEnd;
use watchfire::channel::kit::HttpClients;
use watchfire::model::{ErrorKind, SendError};
use watchfire::store::IncidentState;

use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::{Fake, WecomBot};
use crate::support::presses::{Listening, Taken, listener, until};
use crate::support::wire::Wire;

/// Why a connection was lost.
fn lost(end: ListenEnd) -> SendError {
    match end {
        ListenEnd::Lost(error) => error,
        other => panic!("{other:?}"),
    }
}

const VALUE: &str = "ack.0W1x2y3z4A5b6C.3";

async fn robot() -> Fake<WecomBot> {
    let fake = Fake::start(WecomBot::new("aib1", "bot-secret", &["wrOPS", "zhangsan"])).await;
    fake.unpaced();
    fake
}

fn yaml(fake: &Fake<WecomBot>, more: &str) -> String {
    format!("wecom_bot: {{ bot_id: aib1, secret: bot-secret, {more}, api_base: \"{}\" }}", fake.url())
}

fn channel(clients: &HttpClients, fake: &Fake<WecomBot>, more: &str) -> Wire {
    Wire::beside(clients, "ops", &yaml(fake, more))
}

/// The one card: its id, and what a person sees of it.
fn card(fake: &Fake<WecomBot>) -> String {
    fake.with(|robot| robot.cards.keys().next().cloned()).expect("a card")
}

fn seen(fake: &Fake<WecomBot>, user: &str) -> String {
    let id = card(fake);
    fake.with(|robot| {
        let card = &robot.cards[&id];
        card.shown.get(user).or_else(|| card.shown.get("*")).unwrap_or(&card.sent).to_string()
    })
}

fn faults(fake: &Fake<WecomBot>) -> Vec<String> {
    fake.with(|robot| robot.faults.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_opens_a_connection_of_its_own_where_none_is_kept_and_uses_the_one_that_is() {
    let (clients, fake) = (HttpClients::default(), robot().await);
    let quiet = channel(&clients, &fake, "to: [wrOPS]");
    quiet.send(&quiet.page("db-1 burns")).await.unwrap();
    until(|| fake.with(|robot| robot.connected().is_empty())).await;
    let wire = channel(&clients, &fake, "to: [wrOPS], buttons: true");
    let listening = Listening::connected(listener(wire.driver()), &Taken::new()).await;
    let before = fake.rec.total();
    wire.send(&wire.page("db-2 burns")).await.unwrap();
    // Channels of a robot share its connection, whether they listen or not.
    quiet.send(&quiet.page("db-3 burns")).await.unwrap();
    assert_eq!(fake.rec.total() - before, 2, "frames, and no further connection");
    let texts: Vec<String> = fake.rec.accepted().into_iter().map(|one| one.text).collect();
    assert!(texts.len() == 3 && texts[1].contains("db-2") && texts[2].contains("db-3"), "{texts:?}");
    assert!(listening.is_connected() && faults(&fake).is_empty(), "{:?}", faults(&fake));
    let error = channel(&clients, &fake, "to: [wrELSE]").send(&wire.page("x")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Misconfigured && error.summary.contains("write to the robot"), "{error}");
    // What was written and not answered may have been sent.
    fake.with(|robot| robot.connected()[0].fall_silent());
    let error = wire.send(&wire.page("db-4 burns")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Ambiguous, "{error}");
    listening.drop_it().await;
    let wrong = Wire::beside(&clients, "ops", &yaml(&fake, "to: [wrOPS]").replace("bot-secret", "b0t-secret"));
    let error = wrong.send(&wrong.page("x")).await.unwrap_err();
    assert!(error.kind == ErrorKind::Misconfigured && !error.to_string().contains("b0t-secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_is_answered_by_a_change_of_its_card() {
    let (clients, fake) = (HttpClients::default(), robot().await);
    let wire = channel(&clients, &fake, "to: [wrOPS], buttons: true");
    let presses = Taken::new();
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap();
    let id = card(&fake);
    let event = fake.with(|robot| {
        robot.enter("lisi");
        robot.press(&id, "On it", "zhangsan", true)
    });
    let taken = presses.wait(1).await;
    assert_eq!((taken[0].event_id.as_str(), taken[0].value.as_str(), taken[0].by.id.as_str()), (event.as_str(), VALUE, "zhangsan"));
    until(|| seen(&fake, "lisi").contains("zhangsan: Anna is on it")).await;
    assert!(seen(&fake, "lisi").contains("On it\""), "somebody else may take over: {}", seen(&fake, "lisi"));
    // What did not happen is said to who pressed.
    presses.answer_with("It is over", false);
    fake.with(|robot| robot.press(&id, "On it", "lisi", false));
    until(|| seen(&fake, "lisi").contains("It is over")).await;
    assert!(!seen(&fake, "wangwu").contains("It is over") && presses.all().len() == 2);
    assert!(faults(&fake).is_empty(), "{:?}", faults(&fake));
    listening.drop_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_client_takes_the_place_and_an_end_is_an_end() {
    let (clients, fake) = (HttpClients::default(), robot().await);
    let wire = channel(&clients, &fake, "to: [wrOPS], buttons: true");
    let presses = Taken::new();
    let first = Listening::connected(listener(wire.driver()), &presses).await;
    // Another program with the robot's secret.
    let other = channel(&HttpClients::default(), &fake, "to: [wrOPS], buttons: true");
    let second = Listening::connected(listener(other.driver()), &presses).await;
    assert!(matches!(first.end().await, ListenEnd::Replaced));
    assert!(second.is_connected());
    fake.with(|robot| robot.connected()[0].cut());
    assert!(matches!(second.end().await, ListenEnd::Lost(error) if error.kind == ErrorKind::Transient));
    let third = Listening::connected(listener(wire.driver()), &presses).await;
    fake.with(|robot| robot.connected()[0].close(1001, "going away"));
    assert!(matches!(third.end().await, ListenEnd::Closed));
}

/// Time passes as it is needed.
async fn given_up(listening: Listening) -> (SendError, u64) {
    let begun = tokio::time::Instant::now();
    tokio::time::pause();
    let error = lost(listening.end().await);
    let after = begun.elapsed().as_secs();
    tokio::time::resume();
    (error, after)
}

#[tokio::test]
async fn a_connection_that_stalls_is_given_up_in_time_and_the_next_one_works() {
    let (clients, fake) = (HttpClients::default(), robot().await);
    let wire = channel(&clients, &fake, "to: [wrOPS], buttons: true");
    let presses = Taken::new();
    // Two pings go unanswered, 25 seconds apart, and a third is not sent.
    fake.with(|robot| robot.deaf = true);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    let (error, after) = given_up(listening).await;
    assert!(error.code.as_deref() == Some("silent") && (60..=80).contains(&after), "{error} after {after} s");
    until(|| fake.with(|robot| robot.pings == 2)).await;
    fake.with(|robot| robot.deaf = false);
    // Half open: nothing is read or written any more.
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    fake.with(|robot| robot.connected()[0].fall_silent());
    tokio::task::yield_now().await;
    let (error, after) = given_up(listening).await;
    assert!(error.code.as_deref() == Some("silent") && (60..=80).contains(&after), "{error} after {after} s");
    // Opened, and the robot's id and secret are not answered.
    fake.with(|robot| robot.mute = true);
    let listening = Listening::start(listener(wire.driver()), &presses);
    until(|| fake.with(|robot| robot.subscriptions == 3)).await;
    let connected = listening.is_connected();
    let (error, after) = given_up(listening).await;
    assert!(!connected && error.kind == ErrorKind::Transient && error.code.as_deref() == Some("no answer"), "{error}");
    assert!(after <= 15, "{after} s");
    fake.with(|robot| robot.mute = false);
    let listening = Listening::connected(listener(wire.driver()), &presses).await;
    wire.send(&wire.with_button("db-1 burns", "On it", VALUE)).await.unwrap();
    let id = card(&fake);
    fake.with(|robot| robot.press(&id, "On it", "zhangsan", true));
    assert_eq!(presses.wait(1).await[0].value, VALUE);
    assert!(listening.is_connected() && faults(&fake).is_empty(), "{:?}", faults(&fake));
    listening.drop_it().await;
}

/// What follows such an end, a pause of five minutes and one alarm, is the same for every platform.
#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_is_refused_is_asked_once_and_says_why() {
    let fake = robot().await;
    let wrong = |more: &str| yaml(&fake, more).replace("bot-secret", "b0t-secret");
    let wire = Wire::beside(&HttpClients::default(), "ops", &wrong("to: [wrOPS], buttons: true"));
    let error = lost(Listening::start(listener(wire.driver()), &Taken::new()).end().await);
    assert_eq!((error.kind, error.code.as_deref()), (ErrorKind::Misconfigured, Some("40001")), "{error}");
    assert!(!error.to_string().contains("b0t-secret"), "{error}");
    assert!(fake.with(|robot| robot.subscriptions == 1 && robot.connected().is_empty()));
    let app = TestApp::start(&format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\n\
         channels:\n  ops: {{ {} }}\nroute: {{ to: [ops] }}\n",
        wrong("to: [wrOPS], buttons: true")
    ))
    .await;
    let end = tokio::time::Instant::now() + SOON;
    let said = loop {
        let said = app.get("/-/ready").await.1;
        let said = said.as_str().unwrap_or_default().to_owned();
        if said.contains("the robot is not known by this id and secret") {
            break said;
        }
        assert!(tokio::time::Instant::now() < end, "{said}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    };
    assert!(said.starts_with("ready\n") && said.contains("presses of buttons of channel ops do not arrive"), "{said}");
    assert_eq!(fake.with(|robot| robot.subscriptions), 2, "it is asked once, and not again so soon");
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_through_the_whole_program_acks_the_incident() {
    let fake = robot().await;
    let app = TestApp::start(&format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\n\
         channels:\n  ops: {{ {} }}\nroute: {{ to: [ops] }}\n",
        yaml(&fake, "to: [wrOPS], buttons: true")
    ))
    .await;
    until(|| fake.with(|robot| robot.connected().len() == 1)).await;
    app.post("/webhook", &alert("db", "Burns", "firing")).await;
    app.settled().await;
    let id = card(&fake);
    let shown = fake.with(|robot| robot.cards[&id].sent.clone());
    assert!(shown["main_title"]["title"].as_str().unwrap().contains("Burns"), "{shown}");
    let label = shown["button_list"][0]["text"].as_str().unwrap().to_owned();
    fake.with(|robot| robot.press(&id, &label, "zhangsan", true));
    until(|| seen(&fake, "lisi").contains("#1 is acked.")).await;
    let found: Incidents = app.read("/api/v1/incidents").await;
    assert_eq!(found.incidents[0].state, IncidentState::Acked, "{found:?}");
    // A connection that breaks comes back by itself.
    fake.with(|robot| robot.connected()[0].cut());
    until(|| fake.with(|robot| robot.connected().len() == 1)).await;
    assert!(faults(&fake).is_empty(), "{:?}", faults(&fake));
    app.app.stop(Duration::from_secs(2)).await;
}
