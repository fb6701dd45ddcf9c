//! Incidents end to end: one message that lives, what rings and what does not, on every platform; and what happens when the message is deleted.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::api::{IncidentResponse, Incidents};
use watchfire::delivery::Clock;
use watchfire::store::{AttemptKind, IncidentState, State};

use crate::support::app::{SOON, TestApp};
use crate::support::fakes::dingtalk::{DingtalkRobot, Robot};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::pagerduty::PagerDuty;
use crate::support::fakes::{Discord, Fake, Feishu, Platform, Slack, Telegram};

/// An alert of the group, firing or over.
fn one(name: &str, severity: &str, status: &str, start: &str) -> Value {
    json!({
        "status": status,
        "labels": { "alertname": name, "severity": severity, "instance": format!("{name}-host") },
        "annotations": { "summary": format!("{name} is wrong") },
        "startsAt": start, "endsAt": if status == "resolved" { "2026-11-24T05:00:00Z" } else { "0001-01-01T00:00:00Z" },
        "fingerprint": watchfire::model::hash_hex(&[name]),
    })
}

/// A body with all of the group, as Alertmanager sends it.
fn group(key: &str, alerts: &[Value]) -> Value {
    let fires = alerts.iter().any(|alert| alert["status"] == "firing");
    json!({
        "version": "4", "groupKey": format!("{{}}:{{job=\"{key}\"}}"), "truncatedAlerts": 0, "status": if fires { "firing" } else { "resolved" },
        "receiver": "watchfire", "groupLabels": { "job": key }, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093", "alerts": alerts,
    })
}

const KEY: &str = "0123456789abcdef0123456789abcdef";
const START: &str = "2026-11-24T02:00:00Z";
const LATER: &str = "2026-11-24T02:03:00Z";

fn disk(status: &str) -> Value {
    one("DiskFilling", "warning", status, START)
}

fn down(status: &str) -> Value {
    one("NodeDown", "critical", status, LATER)
}

/// What people read.
fn texts(fake: &Fake<impl Platform>) -> Vec<String> {
    fake.with(|platform| platform.transcript().unwrap().texts())
}

/// What made a sound.
fn rang(fake: &Fake<impl Platform>) -> Vec<String> {
    fake.with(|platform| platform.transcript().unwrap().rang())
}

/// How often the first message was edited.
fn edits(fake: &Fake<impl Platform>) -> u32 {
    fake.with(|platform| platform.transcript().unwrap().all().next().map_or(0, |(_, post)| post.edits))
}

async fn until(what: &str, check: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !check() {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Posts a body and waits until its deliveries are final.
async fn report(app: &TestApp, body: &Value) {
    let (status, answer) = app.post("/webhook", body).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
}

/// The incident of the tests.
async fn incident(app: &TestApp) -> IncidentResponse {
    let found: Incidents = app.read("/api/v1/incidents").await;
    assert_eq!(found.incidents.len(), 1, "{found:?}");
    app.read(&format!("/api/v1/incidents/{}", found.incidents[0].number)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_incident_is_one_message_that_rings_for_news_only() {
    let slack = Fake::start(Slack::new("xoxb-1").webhook("/services/T/B/X", "C0123").unpaced()).await;
    let telegram = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    let feishu = Fake::start(Feishu::new("hook", None, "cli_1", "secret")).await;
    let discord = Fake::start(Discord::new("1", "token")).await;
    let ding = Fake::start(DingtalkRobot::default().robot("ding-token", Robot::signed("SEC0123456789"))).await;
    let pager = Fake::start(PagerDuty::new(KEY)).await;
    for fake in [&telegram as &dyn Unpaced, &feishu, &discord] {
        fake.unpace();
    }
    let routes = format!(
        r##"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels:
  slack: {{ slack: {{ token: xoxb-1, channel: "#ops", api_base: "{slack}" }}, mentions: {{ users: [U0123] }} }}
  telegram: {{ telegram: {{ token: "1:token", chat: -1001, api_base: "{telegram}" }} }}
  feishu: {{ feishu: {{ app_id: cli_1, app_secret: secret, to: [oc_1], api_base: "{feishu}" }} }}
  discord: {{ discord: {{ webhook: "{discord}/api/webhooks/1/token" }} }}
  ding: {{ dingtalk: {{ access_token: ding-token, secret: SEC0123456789, api_base: "{ding}" }} }}
  pager: {{ pagerduty: {{ routing_key: "{key}", api_base: "{pager}" }} }}
route: {{ to: [slack, telegram, feishu, discord, ding, pager] }}
"##,
        slack = slack.url(),
        telegram = telegram.url(),
        feishu = feishu.url(),
        discord = discord.url(),
        ding = ding.url(),
        pager = pager.url(),
        key = KEY,
    );
    let clock = Clock::runtime(jiff::Timestamp::now().into());
    let hand = clock.clone();
    let app = TestApp::start_with(&routes, |options| options.clock = clock).await;
    report(&app, &group("web", &[disk("firing")])).await;
    report(&app, &group("web", &[disk("firing"), down("firing")])).await;
    report(&app, &group("web", &[disk("resolved"), down("firing")])).await;
    // A repeat that comes too soon rings nobody.
    report(&app, &group("web", &[down("firing")])).await;
    hand.jump(3_700_000);
    ding.clock.advance(Duration::from_secs(3700));
    let mut repeat = group("web", &[down("firing")]);
    repeat["alerts"][0]["annotations"]["description"] = "again".into();
    report(&app, &repeat).await;
    hand.jump(60_000);
    report(&app, &group("web", &[down("resolved")])).await;
    let details = || async { incident(&app).await };
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let found = details().await;
        if found.messages.iter().filter(|message| message.edited).all(|message| message.shown >= found.version) {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "an edited message is behind: {found:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let found = details().await;
    assert_eq!((found.incident.state, found.incident.unreported), (IncidentState::Resolved, 0), "{found:#?}");

    for (name, texts, rang, edits) in [
        ("slack", texts(&slack), rang(&slack), edits(&slack)),
        ("telegram", texts(&telegram), rang(&telegram), edits(&telegram)),
        ("feishu", texts(&feishu), rang(&feishu), edits(&feishu)),
    ] {
        assert_eq!(texts.len(), 4, "{name}: a card and three replies: {texts:#?}");
        assert!(texts[0].contains("NodeDown") && texts[0].contains("DiskFilling"), "{name}: the card shows all of it: {}", texts[0]);
        assert!(texts[1].contains("NodeDown") && texts[1].contains("is wrong"), "{name}: {}", texts[1]);
        assert!(texts[2].contains("Still firing"), "{name}: {}", texts[2]);
        assert!(texts[3].contains("Resolved") && texts[3].contains(&format!("#{}", found.incident.number)), "{name}: {}", texts[3]);
        assert!((1..=5).contains(&edits), "{name}: {edits} edits");
        if name != "feishu" {
            assert_eq!(rang.len(), 3, "{name}: the first, the critical one, and the repeat: {rang:#?}");
        }
    }
    assert_eq!(texts(&discord).len(), 3, "{:#?}", texts(&discord));
    assert!(edits(&discord) >= 1 && texts(&discord)[0].contains("Resolved"), "its end is an edit: {}", texts(&discord)[0]);
    let robot = ding.rec.accepted();
    assert_eq!(robot.len(), 4, "first, news, repeat, end: {:#?}", robot.iter().map(|one| &one.text).collect::<Vec<_>>());
    assert!(robot[1].text.contains("first notified"), "{}", robot[1].text);
    // What is not sent says why, and where it is shown.
    let rows = app.deliveries("state=skipped&channel=slack").await;
    let reason = format!("state only: shown by editing #{}", found.incident.number);
    assert!(!rows.is_empty() && rows.iter().all(|row| row.reason.as_deref() == Some(reason.as_str())), "{rows:#?}");
    assert!(app.deliveries("state=dead").await.is_empty());
    for kind in ["opened", "notified", "not_sent", "edited", "resolved"] {
        assert!(found.timeline.iter().any(|step| step.kind == kind), "{kind}: {:#?}", found.timeline);
    }
    // Each edit is a line, at its own time, with the version that it showed.
    for message in found.messages.iter().filter(|message| message.edits > 0) {
        let lines: Vec<_> = found.timeline.iter().filter(|step| step.kind == "edited" && step.channel == message.channel).collect();
        assert_eq!(lines.len(), message.edits as usize, "{}: {lines:#?}", message.channel);
        assert_eq!(lines.last().map(|step| step.text.as_str()), Some(format!("edited to version {}", message.shown).as_str()));
        assert!(lines.iter().all(|step| step.at >= message.notified_at), "{lines:#?}");
    }
    let sent: Vec<_> = found.attempts.iter().filter(|one| found.messages.iter().any(|message| message.message == one.message)).collect();
    assert!(sent.len() >= found.messages.len() && sent.iter().all(|one| one.attempt.kind == Some(AttemptKind::Ok)), "{:#?}", found.attempts);
    assert!(found.attempts.is_sorted_by_key(|one| one.attempt.begun_at), "{:#?}", found.attempts);
}

/// The deletion that makes Alertmanager's own notifier deaf for the group: the next news is a new message, and so is everything after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_somebody_deleted_is_posted_again_and_nothing_is_lost() {
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let routes = format!(
        r##"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels: {{ slack: {{ slack: {{ token: xoxb-1, channel: "#ops", api_base: "{}" }} }} }}
route: {{ to: [slack] }}
"##,
        slack.url()
    );
    let app = TestApp::start(&routes).await;
    report(&app, &group("web", &[disk("firing")])).await;
    slack.with(|slack| slack.transcript.delete_all());
    report(&app, &group("web", &[disk("firing"), down("firing")])).await;
    // The reply has nothing to answer: the whole of it is a new message, which rings.
    assert_eq!(texts(&slack).len(), 1, "{:#?}", texts(&slack));
    assert!(texts(&slack)[0].contains("NodeDown") && texts(&slack)[0].contains("DiskFilling"), "{:#?}", texts(&slack));
    assert!(rang(&slack).last().is_some_and(|text| text.contains("NodeDown")), "{:#?}", rang(&slack));
    // Deleted once more: an edit that finds nothing posts what is, and pings nobody.
    slack.with(|slack| slack.transcript.delete_all());
    report(&app, &group("web", &[disk("resolved"), down("firing")])).await;
    until("the state is posted again", || texts(&slack).len() == 1).await;
    assert!(texts(&slack)[0].contains("NodeDown"), "{:#?}", texts(&slack));
    report(&app, &group("web", &[down("resolved")])).await;
    until("it is green", || texts(&slack)[0].contains("Resolved")).await;
    // The next outage of the group is another incident and another message.
    let again = group("web", &[one("NodeDown", "critical", "firing", "2026-11-24T09:00:00Z")]);
    let mut settings = again;
    settings["groupKey"] = "{}:{job=\"other\"}".into();
    report(&app, &settings).await;
    assert!(texts(&slack).last().is_some_and(|text| text.contains("NodeDown") && !text.contains("Resolved")), "{:#?}", texts(&slack));
    assert!(app.deliveries("").await.iter().all(|row| matches!(row.state, State::Sent | State::Skipped)));
}

/// An edit that the platform refuses, whatever the time: asked for a few times, and then the next news is a message of its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_is_refused_is_not_asked_for_again_and_again() {
    let discord = Fake::start(Discord::new("1", "token")).await;
    discord.unpaced();
    let routes = format!(
        "server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\nchannels: {{ ops: {{ discord: {{ webhook: '{}/api/webhooks/1/token' }} }} }}\nroute: {{ to: [ops] }}\n",
        discord.url()
    );
    let clock = Clock::runtime(jiff::Timestamp::now().into());
    let hand = clock.clone();
    let app = TestApp::start_with(&routes, |options| options.clock = clock).await;
    report(&app, &group("web", &[disk("firing"), down("firing")])).await;
    let refused = r#"{"message":"Invalid Form Body","code":50035,"errors":{"embeds":{"0":{"description":{"_errors":[]}}}}}"#;
    discord.faults.always_on("/messages/", Fault::Reply(400, "application/json".into(), refused.into()));
    report(&app, &group("web", &[disk("resolved"), down("firing")])).await;
    let asked = || discord.rec.all().iter().filter(|one| one.call.path.contains("/messages/")).count();
    let end = tokio::time::Instant::now() + SOON;
    while !incident(&app).await.timeline.iter().any(|step| step.kind == "given_up") {
        assert!(tokio::time::Instant::now() < end, "asked {} times: {:#?}", asked(), incident(&app).await.timeline);
        hand.jump(5_000);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let given_up = asked();
    assert!((2..=3).contains(&given_up), "asked {given_up} times");
    for _ in 0..5 {
        hand.jump(600_000);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(asked(), given_up, "nothing is new");
    discord.faults.clear();
    report(&app, &group("web", &[one("DbDown", "critical", "firing", LATER), down("firing")])).await;
    until("the news is read", || texts(&discord).iter().any(|text| text.contains("DbDown"))).await;
    app.app.stop(Duration::from_secs(5)).await;
}

trait Unpaced {
    fn unpace(&self);
}

impl<P: Platform> Unpaced for Fake<P> {
    fn unpace(&self) {
        self.unpaced();
    }
}
