//! Presses through the whole program: over Slack's and Feishu's connections, and posted to the press address.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::api::IncidentResponse;
use watchfire::store::IncidentState;

use crate::crash::{free_port, serve, up};
use crate::support::app::{SOON, TestApp};
use crate::support::fakes::feishu_socket::{self, Outcome};
use crate::support::fakes::slack_socket::{ANNA, Envelope, GUEST, Person};
use crate::support::fakes::{Fake, Feishu, Platform, Slack};
use crate::support::presses::until;

fn body() -> Value {
    let alert = json!({
        "status": "firing", "labels": { "alertname": "DiskFilling", "severity": "warning" }, "annotations": { "summary": "db-1 fills up" },
        "startsAt": "2026-11-24T02:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "0123456789abcdef",
    });
    json!({
        "version": "4", "groupKey": "{}:{job=\"web\"}", "truncatedAlerts": 0, "status": "firing", "receiver": "watchfire", "groupLabels": { "job": "web" },
        "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager.example.com:9093", "alerts": [alert],
    })
}

async fn fakes() -> (Fake<Slack>, Fake<Feishu>) {
    let (slack, feishu) = (Fake::start(Slack::new("xoxb-1")).await, Fake::start(Feishu::new("hook", None, "cli_1", "app-secret")).await);
    slack.unpaced();
    feishu.unpaced();
    (slack, feishu)
}

/// Fires, and waits until both messages have buttons.
async fn start(slack: &Fake<Slack>, feishu: &Fake<Feishu>, slack_way: &str, feishu_way: &str) -> TestApp {
    let routes = format!(
        r##"
server: {{ listen: "127.0.0.1:0", external_url: "https://watchfire.example.com" }}
store: sqlite:watchfire.db
channels:
  slack: {{ slack: {{ token: xoxb-1, channel: C0123, {slack_way}, api_base: "{}" }} }}
  feishu: {{ feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1], {feishu_way}, api_base: "{}" }} }}
route: {{ to: [slack, feishu] }}
"##,
        slack.url(),
        feishu.url(),
    );
    let app = TestApp::start(&routes).await;
    let (status, answer) = app.post("/webhook", &body()).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    app
}

fn message(fake: &Fake<impl Platform>) -> String {
    fake.with(|platform| platform.transcript().unwrap().all().next().expect("a message").0.to_owned())
}

fn text(fake: &Fake<impl Platform>) -> String {
    fake.with(|platform| platform.transcript().unwrap().texts()[0].clone())
}

fn payload(slack: &Fake<Slack>, label: &str, person: &Person) -> Value {
    let (message, now) = (message(slack), slack.clock.now());
    slack.with(|slack| slack.payload(&message, label, person, now))
}

async fn incident(app: &TestApp) -> IncidentResponse {
    app.read("/api/v1/incidents/1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn presses_over_connections_of_two_platforms_change_one_incident() {
    let (slack, feishu) = fakes().await;
    let app = start(&slack, &feishu, "app_token: xapp-1-fake", "buttons: true").await;
    until(|| slack.with(|slack| slack.interactivity.open_lines().len() == 1) && feishu.with(|feishu| feishu.callbacks.pings > 0)).await;
    let (message_there, now) = (message(&slack), slack.clock.now());
    slack.with(|slack| slack.press(&message_there, "Ack", &ANNA, now));
    until(|| slack.with(|slack| slack.interactivity.shown.len() == 1)).await;
    let shown = slack.with(|slack| slack.interactivity.shown[0].clone());
    assert_eq!((shown.to.as_str(), shown.text.as_str(), shown.in_channel), ("U0ANNA", "#1 is acked.", false));
    until(|| text(&slack).contains("acked by anna (Slack)") && text(&feishu).contains("acked by anna (Slack)")).await;
    assert_eq!(incident(&app).await.incident.state, IncidentState::Acked);
    // The way back, from the other platform.
    let card = message(&feishu);
    until(|| feishu.with(|feishu| feishu.callbacks.buttons_of(&card).iter().any(|button| button["text"]["content"] == "Unack"))).await;
    let press = feishu.with(|feishu| feishu.press(&card, "Unack", feishu_socket::ANNA));
    let toast = Outcome::Toast("success".into(), "#1 is no longer acked.".into());
    until(|| feishu.with(|feishu| feishu.callbacks.presses[&press] == toast)).await;
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    // A guest of a shared channel is refused, and says so to nobody else.
    until(|| slack.with(|slack| slack.transcript.get(&message_there).unwrap().extra.contains("\"Ack\""))).await;
    slack.with(|slack| slack.press(&message_there, "Ack", &GUEST, now));
    until(|| slack.with(|slack| slack.interactivity.shown.len() == 2)).await;
    assert!(slack.with(|slack| slack.interactivity.shown[1].text.contains("members of this organisation")));
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    let metrics = app.http.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for channel in ["slack", "feishu"] {
        assert!(metrics.contains(&format!("watchfire_listener_connected{{channel=\"{channel}\"}} 1")), "{channel}");
    }
    // The connection breaks and comes back by itself; a press over the next one counts.
    slack.with(|slack| slack.interactivity.newest().cut());
    until(|| slack.with(|slack| slack.interactivity.open_lines().is_empty())).await;
    until(|| slack.with(|slack| slack.interactivity.open_lines().len() == 1)).await;
    slack.with(|slack| slack.press(&message_there, "Ack", &ANNA, now));
    until(|| slack.with(|slack| slack.interactivity.shown.len() == 3)).await;
    assert_eq!(incident(&app).await.incident.state, IncidentState::Acked);
    assert!(slack.with(|slack| slack.interactivity.refused.is_empty()) && feishu.with(|feishu| feishu.callbacks.refused.is_empty()));
}

/// Who is not in the group reads a copy of the card there, and finds its buttons.
#[tokio::test(flavor = "multi_thread")]
async fn a_press_in_a_card_that_was_forwarded_to_another_chat_is_refused() {
    let (slack, feishu) = fakes().await;
    let app = start(&slack, &feishu, "app_token: xapp-1-fake", "buttons: true").await;
    until(|| feishu.with(|feishu| feishu.callbacks.pings > 0)).await;
    let card = message(&feishu);
    let press = feishu.with(|feishu| {
        let mut event = feishu.event(&card, "Ack", feishu_socket::ANNA);
        event["event"]["context"] = json!({ "open_message_id": "om_copy", "open_chat_id": "oc_elsewhere" });
        let line = feishu.callbacks.open_lines()[0].clone();
        feishu.callbacks.send(&line, &event, 1)
    });
    let refusal = Outcome::Toast("warning".into(), "This message was forwarded from another chat: press the button there.".into());
    until(|| feishu.with(|feishu| feishu.callbacks.presses[&press] == refusal)).await;
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
}

/// Posts to a press address; the status and the body.
async fn post(app: &TestApp, channel: &str, (headers, body): (Vec<(&'static str, String)>, String)) -> (u16, String) {
    let request = headers.iter().fold(app.http.post(app.url(&format!("/press/{channel}"))), |request, (name, value)| request.header(*name, value));
    let answer = request.body(body).timeout(Duration::from_secs(10)).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn posted_presses_count_once_and_only_when_they_are_signed_now() {
    let (slack, feishu) = fakes().await;
    feishu.with(|feishu| feishu.callbacks.key = Some("fake-encrypt-key".into()));
    let way = "verification_token: fake-verification-token, encrypt_key: fake-encrypt-key";
    let app = start(&slack, &feishu, "signing_secret: fake-signing-secret", way).await;
    let press = payload(&slack, "Ack", &ANNA);
    let second = jiff::Timestamp::now().as_second();
    let signed = |at: i64| slack.with(|slack| slack.signed(&press, at));
    // A recorded press, a changed byte, and no signature: nothing happens.
    assert_eq!(post(&app, "slack", signed(second - 400)).await.0, 403);
    let (headers, mut changed) = signed(second);
    changed.push('1');
    assert_eq!(post(&app, "slack", (headers, changed)).await.0, 403);
    assert_eq!(post(&app, "slack", (Vec::new(), signed(second).1)).await.0, 403);
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    for _ in 0..2 {
        assert_eq!(post(&app, "slack", signed(second)).await, (200, String::new()));
    }
    let found = incident(&app).await;
    let acked = found.timeline.iter().filter(|step| step.kind == "acked").count();
    assert_eq!((found.incident.state, acked), (IncidentState::Acked, 1), "{found:#?}");
    // Feishu: the check of the address, and a press whose answer is in the HTTP answer.
    let card = message(&feishu);
    until(|| feishu.with(|feishu| feishu.callbacks.buttons_of(&card).iter().any(|button| button["text"]["content"] == "Unack"))).await;
    let check = json!({ "type": "url_verification", "token": "fake-verification-token", "challenge": "c-1" });
    let encrypted = |event: &Value| feishu.with(|feishu| feishu.callbacks.posted(event, second));
    assert_eq!(post(&app, "feishu", encrypted(&check)).await, (200, r#"{"challenge":"c-1"}"#.to_owned()));
    let event = feishu.with(|feishu| feishu.event(&card, "Unack", feishu_socket::ANNA));
    let (headers, mut changed) = encrypted(&event);
    changed = changed.replace("\":\"", "\":\"AAAA");
    assert_eq!(post(&app, "feishu", (headers, changed)).await.0, 403);
    let (status, answer) = post(&app, "feishu", encrypted(&event)).await;
    let shown = feishu.with(|feishu| feishu.callbacks.shown(&serde_json::from_str(&answer).unwrap()));
    assert_eq!((status, shown), (200, Some(Outcome::Toast("success".into(), "#1 is no longer acked.".into()))), "{answer}");
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    // While the store cannot be written, that is said in place of what was asked for.
    let may_ack = |feishu: &mut Feishu| feishu.callbacks.buttons_of(&card).iter().any(|button| button["text"]["content"] == "Ack");
    until(|| feishu.with(may_ack) && slack.with(|slack| slack.transcript.all().next().unwrap().1.extra.contains("\"Ack\""))).await;
    let unstored = feishu.with(|feishu| feishu.event(&card, "Ack", feishu_socket::ANNA));
    let mut other_press = payload(&slack, "Ack", &ANNA);
    other_press["response_url"] = format!("{}{}", slack.url(), other_press["response_url"].as_str().unwrap()).into();
    let other_signed = slack.with(|slack| slack.signed(&other_press, second));
    let other = app.hold_store().await;
    let ((status, answer), in_slack) = tokio::join!(post(&app, "feishu", encrypted(&unstored)), post(&app, "slack", other_signed));
    let shown = feishu.with(|feishu| feishu.callbacks.shown(&serde_json::from_str(&answer).unwrap()));
    let is_said = |text: &str| text.starts_with("No answer from the store yet");
    assert!(status == 200 && matches!(&shown, Some(Outcome::Toast(_, text)) if is_said(text)), "{answer}");
    assert_eq!(in_slack, (200, String::new()));
    until(|| slack.with(|slack| slack.interactivity.shown.iter().any(|shown| shown.to == "U0ANNA" && is_said(&shown.text)))).await;
    drop(other);
}

/// Slack does not repeat what was acknowledged: it is done by then, though the process dies at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_press_holds_after_a_kill() {
    watchfire::channel::kit::install_crypto();
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:{port}\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\nchannels:\n  slack: {{ slack: {{ token: xoxb-1, channel: C0123, app_token: xapp-1-fake, api_base: \"{}\" }} }}\nroute: {{ to: [slack] }}\n",
        slack.url()
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let read = async |path: &str| -> Value { client.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap().json().await.unwrap() };
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    assert_eq!(client.post(format!("http://127.0.0.1:{port}/webhook")).json(&body()).send().await.unwrap().status(), 200);
    let end = tokio::time::Instant::now() + SOON;
    while read("/api/v1/deliveries").await["deliveries"][0]["state"] != "sent" {
        assert!(tokio::time::Instant::now() < end, "it is not sent");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    until(|| slack.with(|slack| slack.interactivity.open_lines().len() == 1)).await;
    let (there, now) = (message(&slack), slack.clock.now());
    let envelope = slack.with(|slack| slack.press(&there, "Ack", &ANNA, now));
    until(|| slack.with(|slack| slack.interactivity.envelopes[&envelope] != Envelope::Open)).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let found: IncidentResponse = serde_json::from_value(read("/api/v1/incidents/1").await).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let acks: Vec<&str> = found.incident.acks.iter().map(|ack| ack.by.as_str()).collect();
    assert_eq!((found.incident.state, acks), (IncidentState::Acked, vec!["anna"]), "{found:#?}");
}
