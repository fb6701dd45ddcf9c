//! Presses on messages whose answer was lost: the platform accepted them, they were sent once more, and nobody knew their ids until somebody pressed a button.

use std::time::Duration;

use serde_json::json;
use watchfire::delivery::links::{act_code, button_mac};
use watchfire::model::{ButtonValue, IncidentId, MessageId, Secret, Verb};
use watchfire::store::IncidentState;

use crate::acks::{CHAT, Rooms, disk, group, incident, kinds, report, until};
use crate::crash::{free_port, serve, up};
use crate::support::app::{TestApp, alert};
use crate::support::fakes::transcript::Post;
use crate::support::fakes::{Fake, Fault, Telegram};

/// Whether each message shows it, but for replies.
fn all_show(fake: &Fake<Telegram>, said: &str) -> bool {
    fake.with(|telegram| telegram.transcript.all().filter(|(_, post)| post.parent.is_none()).all(|(_, post)| post.text.contains(said)))
}

fn has_buttons(fake: &Fake<Telegram>) -> bool {
    fake.with(|telegram| telegram.transcript.all().any(|(_, post)| post.extra.contains("callback_data")))
}

fn posted(fake: &Fake<Telegram>) -> u64 {
    fake.with(|telegram| telegram.transcript.posted())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_adopts_a_message_whose_answer_was_lost() {
    let rooms = Rooms::start().await;
    rooms.telegram.faults.push_on("sendMessage", Fault::CloseAfter);
    let app = TestApp::start(&rooms.routes()).await;
    report(&app, &group(&[disk("firing")])).await;
    assert_eq!(posted(&rooms.telegram), 2, "it was sent once more");
    let press = rooms.press("Ack").await;
    assert_eq!(rooms.shown(&press).await, "#1 is acked.");
    until("both messages show who is on it", || all_show(&rooms.telegram, "acked by Anna Meier")).await;
    report(&app, &group(&[disk("resolved")])).await;
    until("both messages are green", || all_show(&rooms.telegram, "✅") && !has_buttons(&rooms.telegram)).await;
    let found = incident(&app).await;
    assert_eq!((found.incident.state, kinds(&found, "acked"), found.messages.len()), (IncidentState::Resolved, 1, 3), "{found:#?}");
    assert!(app.deliveries("state=dead").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_adopts_a_message_whose_answer_a_kill_cut_off() {
    watchfire::channel::kit::install_crypto();
    let fake = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    fake.unpaced();
    fake.faults.push_on("sendMessage", Fault::HangAfter);
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: sqlite:watchfire.db\nchannels:\n  tg: {{ telegram: {{ token: \"1:token\", chat: {CHAT}, buttons: true, api_base: \"{url}\" }} }}\nroute: {{ to: [tg] }}\n",
        url = fake.url()
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let send = async |status: &str| {
        let answer = client.post(format!("http://127.0.0.1:{port}/webhook")).json(&alert("web", "DiskFull", status)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    send("firing").await;
    until("the message is there", || posted(&fake) == 1).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    until("it was sent once more", || posted(&fake) == 2).await;
    // On a slow machine the store may take longer than a client waits: the answer says to press again.
    let mut answer = String::new();
    for _ in 0..5 {
        let now = fake.clock.now();
        let press = fake.with(|telegram| {
            let id = telegram.transcript.all().next().expect("a message").0.rsplit('/').next().unwrap().parse().unwrap();
            telegram.press(CHAT, id, "Ack", now).0
        });
        until("the press is answered", || fake.with(|telegram| telegram.updates.shown.contains_key(&press))).await;
        answer = fake.with(|telegram| telegram.updates.shown[&press].text.clone());
        if answer.contains("acked") {
            break;
        }
    }
    assert_eq!(answer, "#1 is acked.");
    until("both messages show who is on it", || all_show(&fake, "acked by Anna Meier")).await;
    send("resolved").await;
    until("both messages are green", || all_show(&fake, "✅") && !has_buttons(&fake)).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

const SECRET: &str = "a-secret-of-the-webhook";
const KEY: &str = "link-key-of-the-test-0123456789";

/// A channel whose presses are posted, with one message: the value of its button.
async fn posted_to(fake: &Fake<Telegram>) -> (TestApp, String) {
    fake.unpaced();
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\", link_key: {KEY} }}\nstore: sqlite:watchfire.db\nchannels:\n  tg: {{ telegram: {{ token: \"1:token\", chat: {CHAT}, webhook_secret: {SECRET}, api_base: \"{url}\" }} }}\n  other: {{ telegram: {{ token: \"1:token\", chat: -1002, webhook_secret: {SECRET}, api_base: \"{url}\" }} }}\nroute: {{ to: [tg] }}\n",
        url = fake.url()
    );
    let app = TestApp::start(&routes).await;
    report(&app, &group(&[disk("firing")])).await;
    until("the button", || has_buttons(fake)).await;
    let extra = fake.with(|telegram| telegram.transcript.all().next().unwrap().1.extra.clone());
    let value = extra.split('"').find(|part| part.starts_with("ack.")).expect("a button").to_owned();
    (app, value)
}

/// What Telegram is answered when it posts a press of Eve's under a message of a chat, by a client that may send any value.
async fn press_with(app: &TestApp, id: u32, message: (i64, i64), value: &str) -> String {
    let update = json!({ "update_id": id, "callback_query": { "id": id.to_string(), "from": { "id": 1, "first_name": "Eve" }, "data": value,
        "message": { "message_id": message.1, "date": 1, "chat": { "id": message.0, "type": "supergroup" } } } });
    let asked = app.http.post(app.url("/press/tg")).header("x-telegram-bot-api-secret-token", SECRET).body(update.to_string());
    asked.send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_that_another_installation_made_acts_on_no_incident_of_the_same_number() {
    let fake = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    let (app, value) = posted_to(&fake).await;
    let parts: Vec<&str> = value.split('.').collect();
    let [_, code, version, _, number, mac] = parts[..] else { panic!("{value}") };
    // Of a message that was formed in the same second, and is not stored.
    let foreign = format!("{}{}", &code[..13], if code.ends_with('A') { 'B' } else { 'A' });
    let others = [format!("ack.{foreign}.1.0.{number}"), format!("ack.{foreign}.1.0.{number}.{mac}"), format!("ack.{code}.1.0.2.{mac}")];
    for (id, other) in (1..).zip(&others) {
        let answer = press_with(&app, id, (CHAT, 99), other).await;
        assert!(answer.contains("This message is no longer stored"), "{other}: {answer}");
    }
    let found = incident(&app).await;
    assert_eq!((found.incident.state, kinds(&found, "acked")), (IncidentState::Firing, 0), "{found:#?}");
    // As an earlier version wrote it.
    let answer = press_with(&app, 9, (CHAT, 1), &format!("ack.{code}.{version}")).await;
    assert!(answer.contains("#1 is acked."), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_under_a_message_of_another_chat_has_that_message_never_edited() {
    let fake = Fake::start(Telegram::new("1:token", &["-1001", "-1002"])).await;
    let (app, value) = posted_to(&fake).await;
    fake.with(|telegram| {
        let post = telegram.transcript.get("-1001/1").unwrap().clone();
        telegram.transcript.post("-1002/1", Post { text: "lunch".into(), ..post }, false);
    });
    let answer = press_with(&app, 1, (-1002, 1), &value).await;
    assert!(answer.contains("#1 is acked."), "{answer}");
    let text = |id: &str| fake.with(|telegram| telegram.transcript.get(id).unwrap().text.clone());
    until("the message shows who is on it", || text("-1001/1").contains("acked by Eve")).await;
    report(&app, &group(&[disk("resolved")])).await;
    until("the message is green", || text("-1001/1").contains('✅')).await;
    assert_eq!(text("-1002/1"), "lunch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_from_before_a_restore_acts_on_no_incident_that_has_its_number_since() {
    let fake = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    let (app, _) = posted_to(&fake).await;
    let (key, now) = (Secret::new(KEY), u128::try_from(jiff::Timestamp::now().as_millisecond()).unwrap());
    let value = |formed_at: u128| {
        let code = act_code(&key, MessageId(uuid::Uuid::from_u128(formed_at << 80 | 0x7abc_8def)));
        let mac = button_mac(&key, &code, IncidentId(1));
        ButtonValue { verb: Verb::Ack, code, version: 1, minutes: 0, incident: 1, mac }.encode()
    };
    let answer = press_with(&app, 1, (CHAT, 99), &value(now - 3_600_000)).await;
    assert!(answer.contains("This message is no longer stored"), "{answer}");
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    let answer = press_with(&app, 2, (CHAT, 99), &value(now)).await;
    assert!(answer.contains("#1 is acked."), "{answer}");
}
