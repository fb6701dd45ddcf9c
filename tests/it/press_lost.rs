//! Presses on messages whose answer was lost: the platform accepted them, they were sent once more, and nobody knew their ids until somebody pressed a button.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::delivery::links::{act_code, button_mac};
use watchfire::model::{ButtonValue, IncidentId, MessageId, Secret, Verb};
use watchfire::store::{IncidentState, State};

use crate::acks::{CHAT, Rooms, disk, group, incident, kinds, report, until};
use crate::crash::{free_port, serve, up};
use crate::support::app::{TestApp, alert};
use crate::support::fakes::dingtalk_card::Card;
use crate::support::fakes::feishu_socket::ANNA;
use crate::support::fakes::transcript::Post;
use crate::support::fakes::wecom_cards::Receiver;
use crate::support::fakes::{DingtalkCard, Fake, Fault, Feishu, Telegram, Wecom};

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

fn now_ms() -> u128 {
    u128::try_from(jiff::Timestamp::now().as_millisecond()).unwrap()
}

/// The first button of a message about the first incident that was formed then, and that is not stored.
fn lost_value(formed_at: u128) -> String {
    let key = Secret::new(KEY);
    let code = act_code(&key, MessageId(uuid::Uuid::from_u128(formed_at << 80 | 0x7abc_8def)));
    let mac = button_mac(&key, &code, IncidentId(1));
    ButtonValue { verb: Verb::Ack, code, version: 1, minutes: 0, incident: 1, mac }.encode()
}

fn keyed(channels: &str, to: &str) -> String {
    format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\", link_key: {KEY} }}\nstore: sqlite:watchfire.db\nchannels:\n  {channels}\nroute: {{ to: [{to}] }}\n"
    )
}

/// One channel, with one message of two minutes ago.
async fn shown_on(channel: &str) -> TestApp {
    let (app, hand) = TestApp::start_timed(&keyed(&format!("ops: {{ {channel} }}"), "ops")).await;
    report(&app, &group(&[disk("firing")])).await;
    // A message of this minute may be on its way to the disk: its press waits for it.
    hand.jump(120_000);
    app
}

/// A channel whose presses are posted, with one message: the value of its button. The configuration names Eve.
async fn posted_to(fake: &Fake<Telegram>) -> (TestApp, String) {
    fake.unpaced();
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\", link_key: {KEY} }}\nstore: sqlite:watchfire.db\nchannels:\n  tg: {{ telegram: {{ token: \"1:token\", chat: {CHAT}, webhook_secret: {SECRET}, api_base: \"{url}\" }} }}\n  other: {{ telegram: {{ token: \"1:token\", chat: -1002, webhook_secret: {SECRET}, api_base: \"{url}\" }} }}\npeople: {{ eve: {{ name: Eve, telegram: 1 }} }}\nroute: {{ to: [tg] }}\n",
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
    press_by(app, (1, "Eve"), id, message, value).await
}

/// The same of anybody's.
async fn press_by(app: &TestApp, (person, name): (u32, &str), id: u32, message: (i64, i64), value: &str) -> String {
    let update = json!({ "update_id": id, "callback_query": { "id": id.to_string(), "from": { "id": person, "first_name": name }, "data": value,
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
    // Whom the configuration does not name may only read that chat.
    let answer = press_by(&app, (7, "Bob"), 1, (-1002, 1), &value).await;
    assert!(answer.contains("This message was forwarded from another chat"), "{answer}");
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    let answer = press_with(&app, 2, (-1002, 1), &value).await;
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
    let now = now_ms();
    let answer = press_with(&app, 1, (CHAT, 99), &lost_value(now - 3_600_000)).await;
    assert!(answer.contains("This message is no longer stored"), "{answer}");
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    let answer = press_with(&app, 2, (CHAT, 99), &lost_value(now)).await;
    assert!(answer.contains("#1 is acked."), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_adopts_a_lost_message_in_the_chat_of_feishu_that_it_names() {
    let fake = Fake::start(Feishu::new("hook", None, "cli_1", "app-secret")).await;
    fake.unpaced();
    let formed_at = now_ms();
    let url = fake.url();
    let app = shown_on(&format!("feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_2, oc_1], buttons: true, api_base: \"{url}\" }}")).await;
    until("it listens", || fake.with(|feishu| !feishu.callbacks.open_lines().is_empty())).await;
    fake.with(|feishu| {
        let (stored, post) = feishu.transcript.all().next().map(|(id, post)| (id.to_owned(), post.clone())).expect("a message");
        feishu.transcript.post("om_lost", post, false);
        let mut event = feishu.event(&stored, "Ack", ANNA);
        event["event"]["context"]["open_message_id"] = "om_lost".into();
        event["event"]["action"]["value"]["press"] = lost_value(formed_at).into();
        let line = feishu.callbacks.open_lines()[0].clone();
        feishu.callbacks.send(&line, &event, 1);
    });
    let acked = |fake: &Fake<Feishu>| fake.with(|feishu| feishu.transcript.all().filter(|(_, post)| post.text.contains("acked by")).count());
    until("three messages show who is on it", || acked(&fake) == 3).await;
    let found = incident(&app).await;
    assert_eq!((found.incident.state, kinds(&found, "acked")), (IncidentState::Acked, 1), "{found:#?}");
}

/// DingTalk with a channel that has one card, and whose stream is listened to.
async fn dingtalk() -> (Fake<DingtalkCard>, TestApp) {
    let fake = Fake::start(DingtalkCard::new(("key", "S3CRET"), "bot", &["cidOPS=="], &["anna"])).await;
    fake.unpaced();
    let more = "robot_code: bot, to: ['cidOPS=='], buttons: true, corp_id: dingcorp1";
    let app = shown_on(&format!("dingtalk_card: {{ app_key: key, app_secret: S3CRET, {more}, api_base: \"{}\" }}", fake.url())).await;
    until("it listens", || fake.with(|dingtalk| !dingtalk.stream.lines().is_empty())).await;
    (fake, app)
}

/// Makes the first button of a card that of a message that is not stored; its text.
fn lose(card: &mut Card, formed_at: u128) -> String {
    let button = card.buttons().remove(0);
    let list = card.param("sys_full_json_obj").replace(button.id.as_deref().unwrap(), &format!("{}_", lost_value(formed_at)));
    card.params.insert("sys_full_json_obj".into(), list);
    button.text
}

/// Waits until so many cards are there, and each shows who is on it. The answer to a press is on its card until the first edit.
async fn acked_on(fake: &Fake<DingtalkCard>, app: &TestApp, cards: usize) {
    let is_edited = |card: &Card| card.param("tips").is_empty() && card.text().contains("anna");
    until("each shows who is on it", || fake.with(|dingtalk| dingtalk.cards.len() == cards && dingtalk.cards.values().all(is_edited))).await;
    let found = incident(app).await;
    assert_eq!((found.incident.state, kinds(&found, "acked")), (IncidentState::Acked, 1), "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_adopts_a_lost_card_of_dingtalk_which_names_no_room() {
    let formed_at = now_ms();
    let (fake, app) = dingtalk().await;
    press_lost(&fake, formed_at);
    acked_on(&fake, &app, 2).await;
}

/// Anna presses a button of a card that is not stored.
fn press_lost(fake: &Fake<DingtalkCard>, formed_at: u128) {
    fake.with(|dingtalk| {
        let (stored, mut card) = dingtalk.cards.iter().next().map(|(id, card)| (id.clone(), card.clone())).expect("a card");
        let post = dingtalk.transcript.get(&stored).expect("its message").clone();
        let label = lose(&mut card, formed_at);
        dingtalk.cards.insert("watchfire-lost".into(), card);
        dingtalk.transcript.post("watchfire-lost", post, false);
        dingtalk.press("watchfire-lost", &label, "anna", "dingcorp1");
    });
}

/// Of two groups of one application one has no card that is known: the one that is pressed may be there.
#[tokio::test(flavor = "multi_thread")]
async fn a_press_of_a_lost_card_is_given_to_no_group_where_it_may_be_of_another() {
    let formed_at = now_ms();
    let fake = Fake::start(DingtalkCard::new(("key", "S3CRET"), "bot", &["cidOPS==", "cidDBA=="], &["anna"])).await;
    fake.unpaced();
    let channel = |name: &str, to: &str| {
        let more = format!("robot_code: bot, to: ['{to}'], buttons: true, corp_id: dingcorp1");
        format!("{name}: {{ dingtalk_card: {{ app_key: key, app_secret: S3CRET, {more}, api_base: \"{}\" }} }}", fake.url())
    };
    // One group has a card, and the other none.
    fake.faults.push_on("createAndDeliver", Fault::Pass);
    fake.faults.always_on("createAndDeliver", Fault::Status(500, None));
    let channels = format!("{}\n  {}", channel("ops", "cidOPS=="), channel("dba", "cidDBA=="));
    let (app, hand) = TestApp::start_timed(&keyed(&channels, "ops, dba")).await;
    assert_eq!(app.post("/webhook", &group(&[disk("firing")])).await.0, 200);
    app.until("", |rows| rows.iter().any(|row| row.state == State::Sent)).await;
    hand.jump(120_000);
    until("it listens", || fake.with(|dingtalk| !dingtalk.stream.lines().is_empty())).await;
    press_lost(&fake, formed_at);
    let mut refused = Value::Null;
    for _ in 0..100 {
        let audit: Value = app.read("/api/v1/audit").await;
        refused = audit["acts"][0]["state"].clone();
        if refused.is_string() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((refused, incident(&app).await.incident.state), (json!("refused"), IncidentState::Firing));
}

/// After a kill the card is delivered under its first id: DingTalk keeps the one that is there, whose buttons are those of the lost message.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_its_repeat_left_as_it_was_takes_presses() {
    let formed_at = now_ms();
    let (fake, app) = dingtalk().await;
    fake.with(|dingtalk| {
        let stored = dingtalk.cards.keys().next().expect("a card").clone();
        let label = lose(dingtalk.cards.get_mut(&stored).unwrap(), formed_at);
        dingtalk.press(&stored, &label, "anna", "dingcorp1");
    });
    acked_on(&fake, &app, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_of_a_lost_card_of_wecom_counts_and_its_buttons_go() {
    let (corp, agent) = ("wx5823bf96d3bd56c7", 1_000_002);
    let receiver = Receiver { token: "QDG6eK".into(), key: "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C".into() };
    let fake = Fake::start(Wecom::new(corp, agent, "s3cret").with_members(&["zhangsan", "lisi"]).unpaced()).await;
    fake.with(|wecom| wecom.cards.receiver = Some(receiver.clone()));
    let formed_at = now_ms();
    let keys = format!("callback_token: {}, encoding_aes_key: {}", receiver.token, receiver.key);
    let to = "to_user: 'zhangsan|lisi'";
    let app = shown_on(&format!("wecom: {{ corp_id: {corp}, agent_id: {agent}, secret: s3cret, {to}, {keys}, api_base: \"{}\" }}", fake.url())).await;
    let now = fake.clock.now();
    let event = fake.with(|wecom| {
        let mut card = wecom.cards.cards.values().next().expect("a card").clone();
        card.buttons[0].1 = lost_value(formed_at);
        let label = card.buttons[0].0.clone();
        wecom.cards.cards.insert("lost".into(), card);
        wecom.cards.press("lost", &label, "zhangsan", corp, agent, now)
    });
    let (query, body) = receiver.seal(&event, corp, jiff::Timestamp::now().as_second(), "1");
    let posted = app.http.post(app.url(&format!("/press/ops?{query}"))).body(body).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 200);
    let replaced = || fake.with(|wecom| wecom.cards.cards["lost"].replaced.get("*").cloned());
    until("its buttons go", || replaced().is_some()).await;
    assert_eq!(replaced().as_deref(), Some("zhangsan: #1 is acked."));
    let found = incident(&app).await;
    assert_eq!((found.incident.state, kinds(&found, "acked")), (IncidentState::Acked, 1), "{found:#?}");
}
