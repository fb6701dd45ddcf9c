//! What rings on a phone until somebody acknowledges it: an ack here and the end of the incident end it there, and so does a thumb on the phone.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::api::ReceiptDetail;
use watchfire::delivery::Clock;
use watchfire::store::{ReceiptState, State};

use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::{Preset, Verdict};

/// Everything to a phone; `more` are further keys of its channel. Alarms go to a terminal.
fn routes(fake: &Fake<Preset>, more: &str) -> String {
    format!(
        r#"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
self_monitoring: {{ to: [terminal] }}
channels:
  phone: {{ preset: {{ name: pushover, params: {{ url: "{}", token: app, user: user }} }}{more} }}
  terminal: {{ log: {{}} }}
route: {{ to: [phone] }}
"#,
        fake.url()
    )
}

/// A phone, and the program that sends to it.
async fn started() -> (Fake<Preset>, TestApp) {
    let fake = Fake::start(Preset::new("pushover", "app/user")).await;
    let app = TestApp::start(&routes(&fake, "")).await;
    (fake, app)
}

/// Sets both clocks forward.
fn pass(fake: &Fake<Preset>, clock: &Clock, seconds: u32) {
    clock.jump(i64::from(seconds) * 1000);
    fake.clock.advance(Duration::from_secs(seconds.into()));
}

/// How often it was asked for what became of a message.
fn asked(fake: &Fake<Preset>) -> usize {
    fake.rec.all().iter().filter(|record| record.call.method == "GET").count()
}

/// The same with a clock that the test sets forward.
async fn timed(more: &str) -> (Fake<Preset>, TestApp, Clock) {
    let fake = Fake::start(Preset::new("pushover", "app/user")).await;
    let (app, clock) = TestApp::start_timed(&routes(&fake, more)).await;
    (fake, app, clock)
}

async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !check() {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Which of what rang was cancelled.
fn cancelled(fake: &Fake<Preset>) -> Vec<bool> {
    fake.with(|phone| phone.emergencies.all.iter().map(|one| one.cancelled).collect())
}

/// The receipt of the first message, once it is as wanted.
async fn receipt_when(app: &TestApp, wanted: impl Fn(&ReceiptDetail) -> bool) -> ReceiptDetail {
    let end = tokio::time::Instant::now() + SOON;
    let id = app.deliveries("channel=phone&state=sent").await.last().expect("a delivery").id;
    loop {
        let cells = app.delivery(id).await.message.expect("its message").cells;
        let receipt = cells.into_iter().next().and_then(|cell| cell.receipt).expect("a receipt");
        if wanted(&receipt) {
            return receipt;
        }
        assert!(tokio::time::Instant::now() < end, "{receipt:?}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Its state and its words, once there are some.
async fn receipt(app: &TestApp) -> (ReceiptState, String) {
    let receipt = receipt_when(app, |receipt| receipt.state != ReceiptState::Awaited).await;
    (receipt.state, receipt.detail.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_ends_what_rings_on_the_phone() {
    let (fake, app) = started().await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("state=sent", |rows| rows.len() == 1).await;
    assert_eq!(cancelled(&fake), [false], "it rings, and nobody is on it");
    // The first request to cancel it gets no good answer: there is another one.
    fake.faults.push_on("/cancel.json", Fault::Status(503, None));
    let (status, answer) = app.post("/api/v1/incidents/1/ack", &json!({ "by": "ann" })).await;
    assert_eq!(status, 200, "{answer}");
    until("it is cancelled", || cancelled(&fake) == [true]).await;
    assert_eq!(receipt(&app).await, (ReceiptState::Undelivered, "cancelled while it rang: acked by ann".into()));
    let tried = |record: &crate::support::fakes::Record| record.call.path.ends_with("/cancel.json");
    let tried: Vec<Verdict> = fake.rec.all().into_iter().filter(tried).map(|record| record.verdict).collect();
    assert_eq!(tried, [Verdict::Faulted, Verdict::Served], "asked once more after trouble, and no more after its word");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_incident_ends_what_rings_on_the_phone() {
    let (fake, app) = started().await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("state=sent", |rows| rows.len() == 1).await;
    app.post("/webhook", &alert("db", "HostDown", "resolved")).await;
    until("it is cancelled", || cancelled(&fake) == [true]).await;
    assert_eq!(receipt(&app).await, (ReceiptState::Undelivered, "cancelled while it rang: it is over".into()));
    let rows = app.until("state=sent", |rows| rows.len() == 2).await;
    assert!(rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    assert_eq!(cancelled(&fake), [true], "what says that it is over does not ring");
    let metrics = app.get("/metrics").await.1.as_str().expect("a text").to_owned();
    let counted = "watchfire_first_notification_duration_seconds_count{platform=\"preset\",severity=\"critical\"} 1";
    assert!(metrics.lines().any(|line| line == counted), "its first message counts, and no other: {metrics}");
}

/// One more alert of the group `db`.
fn joined(mut body: Value, n: usize, severity: &str, summary: &str) -> Value {
    let mut more = body["alerts"][0].clone();
    more["labels"]["instance"] = json!(format!("db-{n}"));
    more["labels"]["severity"] = json!(severity);
    more["annotations"]["summary"] = json!(summary);
    more["fingerprint"] = json!(watchfire::model::hash_hex(&["db", &n.to_string()]));
    body["alerts"].as_array_mut().expect("a list").push(more);
    body
}

/// What is critical goes to the phone, and the rest of the group to another room.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_what_rings_ends_it_though_the_rest_of_its_group_fires_on() {
    let fake = Fake::start(Preset::new("pushover", "app/user")).await;
    let split = "route: { to: [terminal], routes: [{ matchers: 'severity=\"critical\"', to: [phone] }] }";
    let app = TestApp::start(&routes(&fake, "").replace("route: { to: [phone] }", split)).await;
    let mut body = joined(alert("db", "HostDown", "firing"), 1, "warning", "it is slow");
    app.post("/webhook", &body).await;
    app.until("channel=phone&state=sent", |rows| rows.len() == 1).await;
    assert_eq!(cancelled(&fake), [false]);
    body["alerts"][0]["status"] = json!("resolved");
    body["alerts"][0]["endsAt"] = json!("2026-11-24T03:00:00Z");
    app.post("/webhook", &body).await;
    until("it is cancelled", || cancelled(&fake)[0]).await;
    assert_eq!(receipt(&app).await, (ReceiptState::Undelivered, "cancelled while it rang: it is over".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_message_rings_once() {
    let (fake, app) = started().await;
    let long = "the disk of the primary is full and writes are refused".repeat(3);
    let body = (0..40).fold(alert("db", "HostDown", "firing"), |body, n| joined(body, n, "critical", &long));
    app.post("/webhook", &body).await;
    app.until("state=sent", |rows| rows.len() == 1).await;
    assert_eq!((cancelled(&fake), fake.rec.accepted().len()), (vec![false], 1), "one emergency, and nothing beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_less_severe_does_not_ring_beside_what_rings() {
    let (fake, app) = started().await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("state=sent", |rows| rows.len() == 1).await;
    app.post("/webhook", &joined(alert("db", "HostDown", "firing"), 1, "warning", "it is slow")).await;
    app.until("state=sent", |rows| rows.len() == 2).await;
    assert_eq!((cancelled(&fake), fake.rec.accepted().len()), (vec![false], 2), "the second message is no emergency");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reminder_of_an_ack_does_not_ring_until_it_is_acknowledged() {
    let (fake, app, clock) = timed("").await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("state=sent", |rows| rows.len() == 1).await;
    assert_eq!(app.post("/api/v1/incidents/1/ack", &json!({ "by": "ann" })).await.0, 200);
    until("it is cancelled", || cancelled(&fake) == [true]).await;
    pass(&fake, &clock, 2 * 3600 + 60);
    app.until("channel=phone&state=sent", |rows| rows.len() == 2).await;
    assert_eq!((cancelled(&fake), fake.rec.accepted().len()), (vec![true], 2), "two messages, and no second emergency");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_until_somebody_was_on_it_does_not_ring() {
    let (fake, app) = started().await;
    let mute = json!({ "matchers": ["channel=\"phone\"", "group=\"db\""], "for": "1h", "reason": "an exercise" });
    let (status, answer) = app.post("/api/v1/mutes", &mute).await;
    assert_eq!(status, 200, "{answer}");
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("channel=phone", |rows| rows.iter().any(|row| row.state == State::Deferred)).await;
    assert_eq!(app.post("/api/v1/incidents/1/ack", &json!({ "by": "ann" })).await.0, 200);
    let ended = app.http.delete(app.url("/api/v1/mutes?matchers=channel%3D%22phone%22&matchers=group%3D%22db%22")).send().await.unwrap();
    assert_eq!(ended.status(), 200);
    // On a busy machine the mute has lasted long enough for a notice, too.
    let sent = || fake.rec.accepted().iter().filter(|one| one.text.contains("HostDown")).count();
    until("it is sent", || sent() > 0).await;
    app.settled().await;
    assert_eq!((cancelled(&fake), sent()), (Vec::<bool>::new(), 1), "it is sent, and is no emergency");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thumb_on_the_phone_is_learnt_and_is_not_asked_for_too_often() {
    let (fake, app, clock) = timed("").await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("state=sent", |rows| rows.len() == 1).await;
    pass(&fake, &clock, 31);
    receipt_when(&app, |receipt| receipt.asked == 1).await;
    fake.with(|phone| phone.emergencies.all[0].acknowledged = true);
    pass(&fake, &clock, 31);
    assert_eq!(receipt(&app).await, (ReceiptState::Delivered, "somebody acknowledged it".into()));
    assert_eq!((asked(&fake), cancelled(&fake)), (2, vec![false]), "nothing is left to cancel");
    assert_eq!(fake.with(|phone| phone.emergencies.asked_too_often), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_acknowledges_falls_back() {
    let (fake, app, clock) = timed(", fallback: [terminal]").await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let sent = app.until("state=sent", |rows| rows.len() == 1).await[0].id;
    pass(&fake, &clock, 3601);
    assert_eq!(receipt(&app).await, (ReceiptState::Undelivered, "nobody acknowledged it while it rang".into()));
    let rows = app.until("channel=terminal", |rows| rows.iter().any(|row| row.fallback_of == Some(sent) && row.state == State::Sent)).await;
    assert!(rows.len() <= 2, "the fallback, and the alarm: {rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_ends_what_rings_though_the_vendor_asked_for_a_pause() {
    let (fake, app, clock) = timed("").await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("state=sent", |rows| rows.len() == 1).await;
    let id = fake.with(|phone| phone.emergencies.all[0].receipt.clone());
    fake.faults.push_on(&format!("/1/receipts/{id}.json"), Fault::Status(429, Some(600)));
    pass(&fake, &clock, 31);
    receipt_when(&app, |receipt| receipt.asked == 1).await;
    assert_eq!(app.post("/api/v1/incidents/1/ack", &json!({ "by": "ann" })).await.0, 200);
    until("it is cancelled", || cancelled(&fake) == [true]).await;
    assert_eq!(receipt(&app).await, (ReceiptState::Undelivered, "cancelled while it rang: acked by ann".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_whose_answer_was_lost_makes_no_alarm() {
    let (fake, app, clock) = timed(", fallback: [terminal]").await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("state=sent", |rows| rows.len() == 1).await;
    fake.faults.push_on("/cancel.json", Fault::CloseAfter);
    fake.faults.push_on("/cancel.json", Fault::Status(503, None));
    assert_eq!(app.post("/api/v1/incidents/1/ack", &json!({ "by": "ann" })).await.0, 200);
    until("it is cancelled", || cancelled(&fake) == [true]).await;
    pass(&fake, &clock, 31);
    assert_eq!(receipt(&app).await, (ReceiptState::Undelivered, "nobody acknowledged it while it rang; acked by ann".into()));
    app.post("/webhook", &alert("db", "HostDown", "resolved")).await;
    app.until("channel=phone&state=sent", |rows| rows.len() == 2).await;
    let rows = app.deliveries("channel=terminal").await;
    assert!(rows.is_empty(), "no alarm and no fallback: {rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_hangs_keeps_no_other_phone_ringing() {
    let (dead, fake) = (Fake::start(Preset::new("pushover", "app/user")).await, Fake::start(Preset::new("pushover", "app/user")).await);
    let second = format!("channels:\n  dead: {{ preset: {{ name: pushover, params: {{ url: \"{}\", token: app, user: user }} }} }}\n", dead.url());
    let routes = routes(&fake, "").replace("channels:\n", &second);
    let branch = "route: { to: [phone], routes: [{ matchers: 'group=~\"dead.*\"', to: [dead] }] }";
    let app = TestApp::start(&routes.replace("route: { to: [phone] }", branch)).await;
    // What the vendor in trouble rings for is due first.
    for (place, group) in ["dead-1", "dead-2", "dead-3", "db"].into_iter().enumerate() {
        app.post("/webhook", &alert(group, "HostDown", "firing")).await;
        app.until("state=sent", |rows| rows.len() == place + 1).await;
    }
    assert_eq!((cancelled(&dead).len(), cancelled(&fake).len()), (3, 1));
    for _ in 0..3 {
        dead.faults.push_on("/cancel.json", Fault::Hang);
    }
    for id in 1..=4 {
        assert_eq!(app.post(&format!("/api/v1/incidents/{id}/ack"), &json!({ "by": "ann" })).await.0, 200);
    }
    until("the other phone rings no more", || cancelled(&fake) == [true]).await;
    assert_eq!(cancelled(&dead), [false, false, false]);
}
