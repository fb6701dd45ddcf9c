//! Acks end to end: from a button, a link, the API; shown on every channel, silent until something is worse, and never done by programs that fetch links.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::api::{IncidentResponse, Incidents};
use watchfire::store::{IncidentState, State};

use crate::support::app::{SOON, TestApp};
use crate::support::fakes::dingtalk::{DingtalkRobot, Robot};
use crate::support::fakes::{Fake, Platform, Slack, Telegram};
use crate::support::postgres::Postgres;

const START: &str = "2026-11-24T02:00:00Z";
const LATER: &str = "2026-11-24T02:03:00Z";
pub const CHAT: i64 = -1001;

fn one(name: &str, severity: &str, status: &str, start: &str) -> Value {
    json!({
        "status": status, "labels": { "alertname": name, "severity": severity, "instance": format!("{name}-host") },
        "annotations": { "summary": format!("{name} is wrong") },
        "startsAt": start, "endsAt": if status == "resolved" { "2026-11-24T05:00:00Z" } else { "0001-01-01T00:00:00Z" },
        "fingerprint": watchfire::model::hash_hex(&[name]),
    })
}

pub fn group(alerts: &[Value]) -> Value {
    let fires = alerts.iter().any(|alert| alert["status"] == "firing");
    json!({
        "version": "4", "groupKey": "{}:{job=\"web\"}", "truncatedAlerts": 0, "status": if fires { "firing" } else { "resolved" },
        "receiver": "watchfire", "groupLabels": { "job": "web" }, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093", "alerts": alerts,
    })
}

pub fn disk(status: &str) -> Value {
    one("DiskFilling", "warning", status, START)
}

pub fn down(status: &str) -> Value {
    one("NodeDown", "critical", status, LATER)
}

/// Three channels: two that are edited, one of them with buttons, and one that only has links.
pub struct Rooms {
    pub slack: Fake<Slack>,
    pub telegram: Fake<Telegram>,
    pub ding: Fake<DingtalkRobot>,
}

impl Rooms {
    pub async fn start() -> Self {
        let telegram = Fake::start(Telegram::new("1:token", &["-1001"])).await;
        telegram.unpaced();
        Self {
            slack: Fake::start(Slack::new("xoxb-1").unpaced()).await,
            telegram,
            ding: Fake::start(DingtalkRobot::default().robot("ding-token", Robot::signed("SEC0123456789"))).await,
        }
    }

    pub fn routes(&self) -> String {
        format!(
            r##"
server: {{ listen: "127.0.0.1:0", external_url: "http://watchfire.example.com" }}
store: sqlite:watchfire.db
channels:
  slack: {{ slack: {{ token: xoxb-1, channel: "#ops", api_base: "{}" }} }}
  telegram: {{ telegram: {{ token: "1:token", chat: {CHAT}, buttons: true, api_base: "{}" }} }}
  ding: {{ dingtalk: {{ access_token: ding-token, secret: SEC0123456789, api_base: "{}" }}, language: zh }}
route: {{ to: [slack, telegram, ding] }}
"##,
            self.slack.url(),
            self.telegram.url(),
            self.ding.url(),
        )
    }

    /// Anna presses a button of the first message in Telegram, once it is there: the id of the press.
    pub async fn press(&self, label: &str) -> String {
        let named = format!("\"text\":\"{label}\"");
        until("the button", || self.telegram.with(|telegram| telegram.transcript.all().next().unwrap().1.extra.contains(&named))).await;
        let now = self.telegram.clock.now();
        self.telegram.with(|telegram| {
            let id = telegram.transcript.all().next().expect("a message").0.rsplit('/').next().unwrap().parse().unwrap();
            telegram.press(CHAT, id, label, now).0
        })
    }

    /// What her client shows of the answer.
    pub async fn shown(&self, press: &str) -> String {
        let mut shown = None;
        until("the press is answered", || {
            shown = self.telegram.with(|telegram| telegram.updates.shown.get(press).cloned());
            shown.is_some()
        })
        .await;
        shown.unwrap().text
    }
}

fn texts(fake: &Fake<impl Platform>) -> Vec<String> {
    fake.with(|platform| platform.transcript().unwrap().texts())
}

pub fn rang(fake: &Fake<impl Platform>) -> usize {
    fake.with(|platform| platform.transcript().unwrap().rang().len())
}

pub async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !check() {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

pub async fn report(app: &TestApp, body: &Value) {
    let (status, answer) = app.post("/webhook", body).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
}

pub async fn incident(app: &TestApp) -> IncidentResponse {
    let found: Incidents = app.read("/api/v1/incidents").await;
    assert_eq!(found.incidents.len(), 1, "{found:?}");
    app.read(&format!("/api/v1/incidents/{}", found.incidents[0].number)).await
}

pub fn kinds(found: &IncidentResponse, kind: &str) -> usize {
    found.timeline.iter().filter(|step| step.kind == kind).count()
}

/// Where the link of the robot's newest message leads, on this server.
pub fn act_link(rooms: &Rooms) -> String {
    let text = rooms.ding.rec.accepted().last().expect("a message").call.body.clone();
    let text = String::from_utf8_lossy(&text).into_owned();
    let at = text.find("watchfire.example.com/a/").unwrap_or_else(|| panic!("no link to act by: {text}"));
    let path = &text[at + "watchfire.example.com".len()..];
    path.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_from_a_button_is_shown_everywhere_and_ends_when_something_worse_joins() {
    let rooms = Rooms::start().await;
    let (app, hand) = TestApp::start_timed(&rooms.routes()).await;
    report(&app, &group(&[disk("firing")])).await;
    let press = rooms.press("Ack").await;
    assert_eq!(rooms.shown(&press).await, "#1 is acked.");
    until("Slack shows who is on it", || texts(&rooms.slack)[0].contains("acked by Anna Meier (Telegram)")).await;
    until("Telegram shows it, too, with the way back", || {
        rooms.telegram.with(|telegram| {
            let (_, post) = telegram.transcript.all().next().unwrap();
            post.text.contains("acked by Anna Meier") && post.extra.contains("Unack") && !post.extra.contains("\"Ack\"")
        })
    })
    .await;
    let found = incident(&app).await;
    assert_eq!((found.incident.state, found.incident.acks.len(), kinds(&found, "acked")), (IncidentState::Acked, 1, 1), "{found:#?}");
    // Acked: the repeat that would have rung is silent, and says why.
    hand.jump(3_700_000);
    let mut repeat = group(&[disk("firing")]);
    repeat["alerts"][0]["annotations"]["description"] = "again".into();
    let before = (rang(&rooms.slack), rang(&rooms.telegram), rooms.ding.rec.accepted().len());
    report(&app, &repeat).await;
    assert_eq!((rang(&rooms.slack), rang(&rooms.telegram), rooms.ding.rec.accepted().len()), before);
    let skipped = app.deliveries("state=skipped&channel=ding").await;
    assert!(skipped.iter().any(|row| row.reason.as_deref().is_some_and(|reason| reason.contains("acked"))), "{skipped:#?}");
    // Something worse joins: nobody is on that, and everybody hears of it.
    report(&app, &group(&[disk("firing"), down("firing")])).await;
    assert_eq!((rang(&rooms.slack), rang(&rooms.telegram), rooms.ding.rec.accepted().len()), (before.0 + 1, before.1 + 1, before.2 + 1));
    let found = incident(&app).await;
    assert_eq!((found.incident.state, found.incident.acks.len(), kinds(&found, "unacked")), (IncidentState::Firing, 0, 1), "{found:#?}");
    let why = found.timeline.iter().find(|step| step.kind == "unacked").map(|step| step.text.as_str());
    assert!(why.is_some_and(|why| why.starts_with("was acked at warning, now it is critical: NodeDown")), "{why:?}");
    until("the card says that the ack ended", || texts(&rooms.slack)[0].contains("was acked at warning")).await;
    // The whole of it is acked by somebody else, and its end ends the ack.
    let (status, answer) = app.post("/api/v1/incidents/1/ack", &json!({ "by": "Bob" })).await;
    assert_eq!((status, answer["text"].as_str()), (200, Some("#1 is acked.")), "{answer}");
    until("Telegram shows Bob", || texts(&rooms.telegram)[0].contains("acked by Bob (API)")).await;
    report(&app, &group(&[disk("resolved"), down("resolved")])).await;
    let found = incident(&app).await;
    assert_eq!(found.incident.state, IncidentState::Resolved, "{found:#?}");
    until("a green card has no buttons", || {
        rooms.telegram.with(|telegram| !telegram.transcript.all().next().unwrap().1.extra.contains("callback_data"))
    })
    .await;
    assert!(app.deliveries("state=dead").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_shows_when_it_is_fetched_and_acts_when_its_form_is_sent() {
    let rooms = Rooms::start().await;
    let app = TestApp::start(&rooms.routes()).await;
    report(&app, &group(&[disk("firing")])).await;
    let link = act_link(&rooms);
    // Scanners fetch each link twice, by GET and HEAD, and follow what the page links to.
    for _ in 0..2 {
        for method in [reqwest::Method::GET, reqwest::Method::HEAD] {
            let answer = app.http.request(method, app.url(&link)).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let page = answer.text().await.unwrap();
            for target in page.split("href=\"/").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()) {
                let _ = app.http.get(app.url(&format!("/{target}"))).send().await.unwrap();
            }
        }
    }
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    // A page of another site cannot post it, a form without a name is asked for one, and a wrong code is nothing.
    let form = "verb=ack&version=0&nonce=n1&name=%E5%BC%A0%E4%B8%89";
    let foreign = app.http.post(app.url(&link)).header("sec-fetch-site", "cross-site").body(form).send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    let nameless = app.http.post(app.url(&link)).body("verb=ack&version=0&nonce=n1").send().await.unwrap();
    assert_eq!(nameless.status(), 400);
    let mut wrong = link.clone();
    wrong.replace_range(link.len() - 1.., if link.ends_with('A') { "B" } else { "A" });
    assert_eq!(app.http.post(app.url(&wrong)).body(form).send().await.unwrap().status(), 404);
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    // The form sent twice, by an impatient thumb, is one ack.
    for _ in 0..2 {
        let sent = app.http.post(app.url(&link)).body(form).send().await.unwrap();
        assert_eq!(sent.status(), 200);
        let page = sent.text().await.unwrap();
        assert!(page.contains("#1 已认领"), "{page}");
    }
    let found = incident(&app).await;
    assert_eq!((found.incident.state, kinds(&found, "acked"), found.incident.acks[0].by.as_str()), (IncidentState::Acked, 1, "张三"), "{found:#?}");
    until("Slack shows it", || texts(&rooms.slack)[0].contains("acked by 张三 (link)")).await;
    // It ends: the link only shows what became of it.
    report(&app, &group(&[disk("resolved")])).await;
    let page = app.http.get(app.url(&link)).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("<form"), "{page}");
    let late = app.http.post(app.url(&link)).body("verb=ack&nonce=n2&name=Bob").send().await.unwrap();
    assert!(late.text().await.unwrap().contains("前结束"));
    assert_eq!(kinds(&incident(&app).await, "acked"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snooze_ends_aloud_and_a_press_that_cannot_be_stored_says_so() {
    let rooms = Rooms::start().await;
    let (app, hand) = TestApp::start_timed(&rooms.routes()).await;
    report(&app, &group(&[disk("firing")])).await;
    let other = app.hold_store().await;
    let press = rooms.press("Ack").await;
    assert!(rooms.shown(&press).await.starts_with("No answer from the store yet"), "an ack that is not on disk is no ack");
    drop(other);
    let press = rooms.press("Snooze 2h").await;
    assert!(rooms.shown(&press).await.starts_with("#1 is snoozed until"));
    until("Slack shows it", || texts(&rooms.slack)[0].contains("snoozed by Anna Meier")).await;
    let before = (rang(&rooms.slack), rooms.ding.rec.accepted().len());
    hand.jump(2 * 3_600_000 + 60_000);
    until("its end rings in each room", || rang(&rooms.slack) == before.0 + 1 && rooms.ding.rec.accepted().len() == before.1 + 1).await;
    let found = incident(&app).await;
    assert_eq!((found.incident.state, kinds(&found, "unacked")), (IncidentState::Firing, 1), "{found:#?}");
    assert!(app.settled().await.iter().all(|row| matches!(row.state, State::Sent | State::Skipped)));
}

/// What was answered with success is there after a crash; an update that Telegram repeats because it was not confirmed counts once.
#[tokio::test(flavor = "multi_thread")]
async fn an_ack_survives_a_restart_and_counts_once() {
    let rooms = Rooms::start().await;
    let app = TestApp::start(&rooms.routes()).await;
    report(&app, &group(&[disk("firing")])).await;
    let press = rooms.press("Ack").await;
    rooms.shown(&press).await;
    let app = app.restart().await;
    let found = incident(&app).await;
    assert_eq!((found.incident.state, kinds(&found, "acked")), (IncidentState::Acked, 1), "{found:#?}");
    let again = rooms.press("Unack").await;
    assert_eq!(rooms.shown(&again).await, "#1 is no longer acked.");
    app.settled().await;
    // Who says no name, and calls without a credential, is shown as somebody.
    assert_eq!(app.post("/api/v1/incidents/1/ack", &json!({ "by": " " })).await.0, 200);
    assert_eq!(incident(&app).await.incident.acks[0].by, "somebody");
    let unknown = app.post("/api/v1/incidents/77/ack", &json!({})).await;
    assert_eq!(unknown.0, 404, "{unknown:?}");
    let (status, answer) = app.post("/api/v1/incidents/1/snooze", &json!({})).await;
    assert_eq!(status, 400, "{answer}");
    // Until the next such time of day, in UTC without a `time_zone`.
    let then = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2)).strftime("%H:%M").to_string();
    let (status, answer) = app.post("/api/v1/incidents/1/snooze", &json!({ "until": then, "by": "Bob" })).await;
    assert_eq!(status, 200, "{answer}");
    let acks = incident(&app).await.incident.acks;
    let until = acks.iter().find(|ack| ack.by == "Bob").and_then(|ack| ack.until).expect("Bob's snooze");
    assert_eq!(until.timestamp().strftime("%H:%M").to_string(), then, "{acks:#?}");
    for refused in [json!({ "until": "nine" }), json!({ "until": then, "for": "2h" }), json!({ "until": "2020-01-01T00:00:00Z" })] {
        assert_eq!(app.post("/api/v1/incidents/1/snooze", &refused).await.0, 400, "{refused}");
    }
    // The end of an ack rang a moment ago.
    let (status, answer) = app.post("/api/v1/incidents/1/unack", &json!({})).await;
    let text = answer["text"].as_str().unwrap_or_default();
    assert!(status == 200 && text.starts_with("#1 is no longer acked; it rings at ") && text.ends_with(" unless acked."), "{answer}");
    let (status, answer) = app.post("/api/v1/incidents/1/close", &json!({ "by": "Bob" })).await;
    assert_eq!((status, answer["text"].as_str()), (200, Some("#1 is closed.")), "{answer}");
    let found = incident(&app).await;
    assert_eq!(found.incident.state, IncidentState::Closed, "{found:#?}");
}

/// Who forgot an ack is mentioned; who presses without end is stopped, and what was refused is in the audit.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_ack_mentions_its_owner_and_a_person_presses_only_so_often() {
    let rooms = Rooms::start().await;
    let people = "people: { anna: { telegram: \"4711\", slack: U0ANNA } }\n";
    let (app, hand) = TestApp::start_timed(&format!("{people}{}", rooms.routes())).await;
    report(&app, &group(&[disk("firing")])).await;
    let press = rooms.press("Ack").await;
    rooms.shown(&press).await;
    hand.jump(2 * 3_600_000 + 60_000);
    let reminds = || rooms.slack.with(|slack| slack.transcript().unwrap().rang().iter().any(|text| text.contains("U0ANNA")));
    until("the reminder mentions her", reminds).await;
    app.settled().await;
    let mut answers = Vec::new();
    for _ in 0..12 {
        let press = rooms.press("Snooze 2h").await;
        answers.push(rooms.shown(&press).await);
    }
    assert!(answers[0].starts_with("#1 is snoozed until") && answers[8].starts_with("#1 is snoozed until"), "{answers:?}");
    assert_eq!(answers[11], "Not done: that was too often. Wait a moment and press again.", "{answers:?}");
    let metrics = app.http.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("result=\"limited\""), "{metrics}");
}

/// The messages of an outlet are its owner's; who presses does not choose the node.
#[tokio::test(flavor = "multi_thread")]
async fn an_ack_on_any_node_is_shown_within_a_moment() {
    let Some(database) = Postgres::start() else { return };
    let rooms = Rooms::start().await;
    let routes = rooms.routes().replace("sqlite:watchfire.db", &database.url());
    let nodes = [TestApp::start(&routes).await, TestApp::start(&routes).await];
    for job in ["web", "db"] {
        let mut body = group(&[disk("firing")]);
        body["groupKey"] = format!("{{}}:{{job=\"{job}\"}}").into();
        body["alerts"][0]["fingerprint"] = watchfire::model::hash_hex(&[job]).into();
        report(&nodes[0], &body).await;
    }
    let acked = |texts: Vec<String>| texts.iter().filter(|text| text.contains("acked by")).count();
    for (n, node) in nodes.iter().enumerate() {
        // So that no look at what changed is in flight.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let begun = tokio::time::Instant::now();
        let (status, answer) = node.post(&format!("/api/v1/incidents/{}/ack", n + 1), &json!({})).await;
        assert_eq!(status, 200, "{answer}");
        until("both rooms show it", || acked(texts(&rooms.slack)) == n + 1 && acked(texts(&rooms.telegram)) == n + 1).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "node {n}: {:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn buttons_and_links_of_a_channel_that_was_renamed_still_act() {
    let rooms = Rooms::start().await;
    let app = TestApp::start(&rooms.routes()).await;
    report(&app, &group(&[disk("firing")])).await;
    let link = act_link(&rooms);
    let renamed =
        rooms.routes().replace("  telegram: {", "  chat: { previous_names: [telegram],").replace("  ding: {", "  robot: { previous_names: [ding],");
    let renamed = renamed.replace("[slack, telegram, ding]", "[slack, chat, robot]");
    std::fs::write(app.folder.path().join("routes.yaml"), renamed).unwrap();
    app.app.reload().await.unwrap();
    let press = rooms.press("Ack").await;
    assert_eq!(rooms.shown(&press).await, "#1 is acked.");
    assert_eq!(incident(&app).await.incident.state, IncidentState::Acked);
    let acted = app.http.post(app.url(&link)).body("verb=unack&nonce=n1&name=Bob").send().await.unwrap();
    assert_eq!(acted.status(), 200, "{}", acted.text().await.unwrap());
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    // The next one does not ring yet: the answer says when.
    app.http.post(app.url(&link)).body("verb=ack&nonce=n2&name=Bob").send().await.unwrap();
    let again = app.http.post(app.url(&link)).body("verb=unack&nonce=n3&name=Bob").send().await.unwrap().text().await.unwrap();
    assert!(again.contains("#1 已取消认领，暂不提醒；若届时仍无人认领，将于 "), "{again}");
}
