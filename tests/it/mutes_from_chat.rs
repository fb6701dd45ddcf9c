//! Mutes from messages: by a button and by a link, who may, what is held back meanwhile, and how one ends.

use serde_json::{Value, json};
use watchfire::api::IncidentResponse;
use watchfire::store::IncidentState;

use crate::silences::{incident, until};
use crate::support::app::{TestApp, alert};
use crate::support::fakes::dingtalk::{DingtalkRobot, Robot};
use crate::support::fakes::{Fake, Telegram};

/// The chat whose channel has the button, and one whose channel has the default.
const CHAT: i64 = -1001;
const OTHER: i64 = -1002;

/// The first message of a chat: its id, its text and its buttons.
fn first(telegram: &Fake<Telegram>, chat: i64) -> Option<(i64, String, String)> {
    let of_chat = format!("{chat}/");
    telegram.with(|telegram| {
        let (key, post) = telegram.transcript.all().find(|(key, _)| key.starts_with(&of_chat))?;
        Some((key.rsplit('/').next().unwrap().parse().unwrap(), post.text.clone(), post.extra.clone()))
    })
}

/// Anna presses a button of the first message, once it is there; what her client shows.
async fn press(telegram: &Fake<Telegram>, label: &str) -> String {
    let named = format!("\"text\":\"{label}\"");
    let button = async || first(telegram, CHAT).filter(|(_, _, buttons)| buttons.contains(&named)).map(|(id, ..)| id);
    let id = until(&format!("the button {label}"), button).await;
    let now = telegram.clock.now();
    let press = telegram.with(|telegram| telegram.press(CHAT, id, label, now).0);
    until("the press is answered", async || telegram.with(|telegram| telegram.updates.shown.get(&press).cloned())).await.text
}

async fn mutes(app: &TestApp) -> Vec<Value> {
    app.get("/api/v1/mutes").await.1["mutes"].as_array().unwrap().clone()
}

fn kinds(found: &IncidentResponse) -> Vec<&str> {
    found.timeline.iter().map(|step| step.kind.as_str()).filter(|kind| kind.ends_with("muted")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_known_mutes_by_a_button_what_is_held_back_until_the_button_ends_it() {
    let telegram = Fake::start(Telegram::new("1:token", &["-1001", "-1002"])).await;
    telegram.unpaced();
    let channel = |chat: i64, more: &str| {
        format!("{{ telegram: {{ token: \"1:token\", chat: {chat}, buttons: true, api_base: \"{}\" }}{more} }}", telegram.url())
    };
    let routes = |people: &str| {
        format!(
            "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\npeople: {{ {people} }}\n\
             channels:\n  tg: {}\n  other: {}\nroute: {{ to: [tg, other] }}\n",
            channel(CHAT, ", actions: { mute: known }"),
            channel(OTHER, ""),
        )
    };
    let app = TestApp::start(&routes("")).await;
    let (status, answer) = app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    let (_, _, buttons) = first(&telegram, OTHER).unwrap();
    assert!(buttons.contains("Snooze 2h") && !buttons.contains("Mute 2h"), "only where `actions` names it: {buttons}");
    assert_eq!(press(&telegram, "Mute 2h").await, "Only people whom the configuration names can do that. Your id is 4711.");
    assert_eq!(mutes(&app).await, Vec::<Value>::new());
    std::fs::write(app.folder.path().join("routes.yaml"), routes("anna: { telegram: \"4711\" }")).unwrap();
    app.app.reload().await.unwrap();

    let text = press(&telegram, "Mute 2h").await;
    assert!(text.starts_with("#1 is muted until "), "{text}");
    let reason = "anna muted #1 in tg (Telegram)";
    let made = mutes(&app).await;
    let [mute] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!((&mute["matchers"], &mute["by"]), (&json!(["group=\"db\""]), &json!("anna")));
    assert_eq!((&mute["reason"], &mute["state"]), (&json!(reason), &json!("active")));
    for chat in [CHAT, OTHER] {
        let shown = async || first(&telegram, chat).filter(|(_, text, _)| text.contains("muted until ") && text.contains(" by anna"));
        until("each message shows it", shown).await;
    }
    let found = incident(&app).await;
    assert_eq!((found.incident.state, found.incident.acks.len()), (IncidentState::Firing, 0), "a mute is no ack");
    assert_eq!(found.incident.mute.map(|mute| (mute.by, mute.matchers)), Some(("anna".to_owned(), "group=\"db\"".to_owned())));
    let page = app.http.get(app.url("/ui/incidents/1")).send().await.unwrap().text().await.unwrap();
    assert_eq!((page.matches("Muted until ").count(), page.contains(", by anna")), (1, true), "{page}");
    let noticed = async || {
        let is_there = telegram.with(|telegram| telegram.transcript.all().any(|(key, post)| key.starts_with("-1002/") && post.text.contains(reason)));
        is_there.then_some(())
    };
    until("its notice comes, as of every mute", noticed).await;
    let stored = rusqlite::Connection::open(app.folder.path().join("watchfire.db")).unwrap();
    let rank = |title: &str| {
        stored.query_row("SELECT min(rank), max(rank) FROM delivery WHERE title LIKE ?1", [title], |row| Ok((row.get(0)?, row.get(1)?)))
    };
    assert_eq!(rank("Muted until %").unwrap(), (3, 3), "it is information, and shown as such");

    // What is news waits, with the reason; the release sends it.
    let mut both = alert("db", "DiskFull", "firing");
    both["alerts"].as_array_mut().unwrap().push(alert("db", "DiskSlow", "firing")["alerts"][0].clone());
    let (_, answer) = app.post("/webhook", &both).await;
    let (id, state) = (answer["deliveries"][0]["id"].as_str().unwrap(), &answer["deliveries"][0]["state"]);
    assert_eq!(state, "deferred", "{answer}");
    let held = app.delivery(id.parse().unwrap()).await.delivery.reason;
    assert_eq!(held, Some(format!("muted by hand (group=\"db\"): {reason}")));
    assert_eq!(press(&telegram, "Unmute").await, "the mute of #1 ends.");
    until("what it held is sent", async || app.deliveries("state=deferred").await.is_empty().then_some(())).await;
    assert_eq!(mutes(&app).await, Vec::<Value>::new());
    let found = incident(&app).await;
    assert_eq!((found.incident.mute.is_none(), kinds(&found)), (true, vec!["muted", "unmuted"]));

    let db = rusqlite::Connection::open(app.folder.path().join("watchfire.db")).unwrap();
    let mut select = db.prepare("SELECT act, state, by_name || ', ' || by_way, object FROM audit WHERE act LIKE '%mute' ORDER BY at, id").unwrap();
    let rows: Vec<[String; 4]> =
        select.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows, ["mute", "unmute"].map(|act| [act, "done", "anna, Telegram", "incident #1"].map(str::to_owned)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_mutes_where_the_channel_says_that_its_readers_may() {
    let ding = Fake::start(DingtalkRobot::default().robot("ding-token", Robot::signed("SEC0123456789"))).await;
    let routes = |actions: &str| {
        format!(
            "server: {{ listen: \"127.0.0.1:0\", external_url: \"http://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\nchannels:\n  ding: {{ \
             dingtalk: {{ access_token: ding-token, secret: SEC0123456789, api_base: \"{}\" }}, language: zh{actions} }}\nroute: {{ to: [ding] }}\n",
            ding.url()
        )
    };
    let app = TestApp::start(&routes("")).await;
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    app.settled().await;
    let text = String::from_utf8_lossy(&ding.rec.accepted().last().expect("a message").call.body).into_owned();
    let (_, rest) = text.split_once("watchfire.example.com/a/").unwrap_or_else(|| panic!("no link to act by: {text}"));
    let link = format!("/a/{}", rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>());
    let act = async |verb: &str, nonce: &str| {
        let form = format!("verb={verb}&version=0&nonce={nonce}&name=Bob");
        let answer = app.http.post(app.url(&link)).body(form).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let page = async || app.http.get(app.url(&link)).send().await.unwrap().text().await.unwrap();
    assert!(!page().await.contains("静音 2 小时"));
    assert_eq!(act("mute", "n1").await.0, 400, "nobody may by default");
    std::fs::write(app.folder.path().join("routes.yaml"), routes(", actions: { mute: anyone }")).unwrap();
    app.app.reload().await.unwrap();
    assert!(page().await.contains("静音 2 小时"));
    let (status, text) = act("mute", "n2").await;
    assert!(status == 200 && text.contains("已静音至") && text.contains("取消静音"), "{status} {text}");
    let made = mutes(&app).await;
    assert_eq!((made.len(), &made[0]["reason"]), (1, &json!("Bob 在 ding（link）静音了 #1")));
    let longer = json!({ "matchers": made[0]["matchers"], "for": "24h", "reason": "the disks are replaced" });
    assert_eq!(app.post("/api/v1/mutes", &longer).await.0, 200);
    let day = mutes(&app).await;
    assert_eq!(act("mute", "n5").await.0, 200);
    let kept = mutes(&app).await;
    assert_eq!((&kept[0]["until"], &kept[0]["reason"]), (&day[0]["until"], &longer["reason"]), "a press does not shorten a longer mute");
    let (status, text) = act("unmute", "n3").await;
    assert!(status == 200 && text.contains("已取消静音"), "{status} {text}");
    assert_eq!(mutes(&app).await, Vec::<Value>::new());
    let mut own = alert("web", "Slow", "firing");
    own["groupLabels"] = json!({ "channel": "db" });
    app.post("/webhook", &own).await;
    let text = until("the other message", async || {
        let bodies: Vec<String> = ding.rec.accepted().iter().map(|taken| String::from_utf8_lossy(&taken.call.body).into_owned()).collect();
        bodies.into_iter().find(|body| body.contains("Slow"))
    })
    .await;
    app.settled().await;
    let (_, rest) = text.split_once("watchfire.example.com/a/").expect("a link");
    let other = format!("/a/{}", rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>());
    let refused = app.http.post(app.url(&other)).body("verb=mute&version=0&nonce=n4&name=Bob").send().await.unwrap();
    let said = refused.text().await.unwrap();
    assert!(said.contains("没有可供静音匹配的共同标签"), "in a mute, `channel` is the channel: {said}");
    assert_eq!(mutes(&app).await, Vec::<Value>::new());
}
