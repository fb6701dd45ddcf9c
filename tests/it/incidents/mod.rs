//! Incidents end to end: one message that lives, what rings and what does not, on every platform; and what happens when the message is deleted.

mod deaf;
mod platforms;
mod rooms;

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::api::{IncidentResponse, Incidents};
use watchfire::delivery::Clock;
use watchfire::store::State;

use crate::support::app::{Four, SOON, TestApp};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::webhook::Webhook;
use crate::support::fakes::{Discord, Fake, Platform, Slack};

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

async fn until(what: &str, check: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !check() {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Everything to one channel of Slack.
fn slack_only(slack: &Fake<Slack>) -> String {
    let channel = format!("slack: {{ slack: {{ token: xoxb-1, channel: \"#ops\", api_base: \"{}\" }} }}", slack.url());
    format!("server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\nchannels: {{ {channel} }}\nroute: {{ to: [slack] }}\n")
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

/// An app whose clock can be made to jump, and the hand on it.
async fn timed(routes: &str) -> (TestApp, Clock) {
    let clock = Clock::runtime(jiff::Timestamp::now().into());
    let hand = clock.clone();
    (TestApp::start_with(routes, |options| options.clock = clock).await, hand)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_comes_too_soon_rings_nobody() {
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let (app, hand) = timed(&slack_only(&slack)).await;
    report(&app, &group("web", &[disk("firing"), down("firing")])).await;
    hand.jump(3_500_000);
    report(&app, &group("web", &[disk("firing"), down("firing")])).await;
    assert_eq!(rang(&slack).len(), 1, "{:#?}", rang(&slack));
    let rows = app.deliveries("state=skipped").await;
    assert_eq!(rows.iter().map(|row| row.reason.as_deref()).collect::<Vec<_>>(), [Some("state only: shown by editing #1")]);
    app.app.stop(Duration::from_secs(5)).await;
}

/// The deletion that makes Alertmanager's own notifier deaf for the group: the next news is a new message, and so is everything after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_somebody_deleted_is_posted_again_and_nothing_is_lost() {
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let (app, hand) = timed(&slack_only(&slack)).await;
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
    until("it is green", || texts(&slack)[0].starts_with("✅")).await;
    // The next outage of the group is another incident and another message.
    hand.jump(3_600_000);
    report(&app, &group("web", &[one("NodeDown", "critical", "firing", "2026-11-24T09:00:00Z")])).await;
    assert!(texts(&slack).last().is_some_and(|text| text.contains("NodeDown") && !text.contains("Resolved")), "{:#?}", texts(&slack));
    let messages = slack.with(|slack| slack.transcript.all().filter(|(_, post)| post.parent.is_none()).count());
    assert_eq!((messages, app.read::<Incidents>("/api/v1/incidents").await.incidents.len()), (2, 2), "{:#?}", texts(&slack));
    for (query, expected) in [("title=NODEDOWN&since=30m", vec![2]), ("until=30m", vec![1]), ("state=resolved", vec![1]), ("title=nothing", vec![])] {
        let found = app.read::<Incidents>(&format!("/api/v1/incidents?{query}")).await.incidents;
        assert_eq!(found.iter().map(|one| one.number.0).collect::<Vec<_>>(), expected, "{query}");
    }
    let metrics = app.get("/metrics").await.1.as_str().expect("a text").to_owned();
    for line in ["watchfire_anchors_reposted_total 1", "watchfire_edits_total{result=\"posted\"} 1"] {
        assert!(metrics.lines().any(|one| one == line), "`{line}` is not in {metrics}");
    }
    assert!(app.deliveries("").await.iter().all(|row| matches!(row.state, State::Sent | State::Skipped)));
}

/// The message of a channel that took over what another one did not deliver is edited as any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_a_fallback_is_edited_when_all_of_it_is_over() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace("ops-ding: { dingtalk", "ops-ding: { fallback: [ops-slack], dingtalk")
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-ding]");
    let app = TestApp::start(&routes).await;
    four.ding_refuses(2, 430_102, "unsafe text");
    report(&app, &group("web", &[down("firing")])).await;
    assert_eq!((four.ding.rec.accepted().len(), texts(&four.slack).len()), (0, 1), "{:#?}", texts(&four.slack));
    report(&app, &group("web", &[down("resolved")])).await;
    until("it is green", || texts(&four.slack)[0].contains("Resolved")).await;
    let messages = four.slack.with(|slack| slack.transcript.all().filter(|(_, post)| post.parent.is_none()).count());
    assert_eq!(messages, 1, "{:#?}", texts(&four.slack));
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
    let (app, hand) = timed(&routes).await;
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

/// Of a webhook, which receives every notification, nothing is kept of what it was notified of: none of its messages is known to be its first.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_to_the_first_message_is_measured_where_it_is_known() {
    let (slack, hook) = (Fake::start(Slack::new("xoxb-1").unpaced()).await, Fake::start(Webhook::default()).await);
    let room = format!("slack: {{ token: xoxb-1, channel: C0123, api_base: \"{}\" }}", slack.url());
    let hooked = format!("webhook: {{ url: \"{}/in\", allow_networks: [127.0.0.1] }}", hook.url());
    let app = TestApp::start(&format!(
        "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n  room: {{ {room} }}\n  hook: {{ {hooked} }}\nroute: {{ to: [room, hook] }}\n"
    ))
    .await;
    report(&app, &group("web", &[disk("firing")])).await;
    report(&app, &group("web", &[disk("firing"), down("firing")])).await;
    assert_eq!(hook.rec.accepted().len(), 2);
    let metrics = app.get("/metrics").await.1.as_str().expect("a text").to_owned();
    let counted: Vec<&str> = metrics.lines().filter(|line| line.starts_with("watchfire_first_notification_duration_seconds_count")).collect();
    assert_eq!(counted, ["watchfire_first_notification_duration_seconds_count{platform=\"slack\",severity=\"warning\"} 1"]);
    app.app.stop(Duration::from_secs(5)).await;
}
