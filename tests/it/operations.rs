//! What an operator does by hand: mute, disable, rename, send, back up, drop; all visible, nothing lost.

use serde_json::json;
use watchfire::store::State;

use crate::support::app::{Four, SOON, TestApp, alert};

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_muted_by_hand_waits_and_tells_afterwards_what_still_fires() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-wecom]")).await;
    let (code, answer) = app.post("/api/v1/mutes", &json!({ "matchers": ["channel=\"ops-wecom\""], "for": "3s", "reason": "maintenance" })).await;
    assert_eq!(code, 200, "{answer}");
    let (_, first) = app.post("/webhook", &alert("gone", "Gone", "firing")).await;
    assert_eq!(first["deliveries"][0]["state"], "deferred");
    app.post("/webhook", &alert("gone", "Gone", "resolved")).await;
    app.post("/webhook", &alert("still", "Still", "firing")).await;
    let rows = app.settled().await;
    assert_eq!(rows.iter().filter(|row| row.title.starts_with("Gone") && row.state == State::Skipped).count(), 2, "{rows:#?}");
    assert!(rows.iter().any(|row| row.title.starts_with("Still") && row.state == State::Sent), "{rows:#?}");
    // On a busy machine the mute has lasted long enough for a notice.
    let accepted: Vec<_> = four.wecom.rec.accepted().into_iter().filter(|one| !one.text.starts_with("Muted until")).collect();
    assert!(accepted.len() == 1 && accepted[0].text.contains("Still"), "{accepted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sent_is_recorded_with_its_reason() {
    let four = Four::start().await;
    let routes = four.routes().replace("ops-slack: {", "ops-slack: { disabled: true,").replace("ops-ding: {", "ops-ding: { send_resolved: false,");
    let app = TestApp::start(&routes).await;
    app.post("/webhook", &alert("db", "Down", "resolved")).await;
    let rows = app.settled().await;
    let row = |name: &str| rows.iter().find(|r| r.channel == name).unwrap();
    assert!(row("ops-slack").state == State::Skipped && row("ops-slack").reason.as_deref().unwrap().contains("disabled"));
    assert!(row("ops-ding").state == State::Skipped && row("ops-ding").reason.as_deref().unwrap().contains("resolved"));
    assert_eq!(row("ops-mail").state, State::Sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_channel_takes_over_what_waited_for_the_old_one() {
    let four = Four::start().await;
    let routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
    let app = TestApp::start(&routes).await;
    four.slack.down();
    app.post("/webhook", &alert("db", "Down", "firing")).await;
    let renamed = routes
        .replace("ops-slack: {", "chat: { previous_names: [ops-slack],")
        .replace("ops: ops-slack", "ops: chat")
        .replace("to: [ops-slack]", "to: [chat]");
    std::fs::write(app.folder.path().join("routes.yaml"), renamed).unwrap();
    let app = app.restart().await;
    four.slack.up().await.unwrap();
    assert!(four.slack.rec.wait(SOON, |r| r.accepted().len() == 1).await);
    let rows = app.settled().await;
    assert!(rows[0].channel == "chat" && rows[0].state == State::Sent, "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modern_direct_send_is_durable_and_a_backup_holds_it() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let (code, answer) =
        app.post("/api/v1/send", &json!({ "to": ["ops-wecom", "nobody"], "title": "Deploy failed", "text": "step 3", "severity": "error" })).await;
    assert_eq!((code, &answer["unknown"]), (200, &json!(["nobody"])), "{answer}");
    let rows = app.settled().await;
    assert_eq!(rows[0].state, State::Sent);
    assert!(four.wecom.rec.accepted()[0].text.contains("Deploy failed"));
    let copy = app.folder.path().join("copy.db");
    let (code, answer) = app.post("/api/v1/backup", &json!({ "file": copy })).await;
    assert_eq!(code, 200, "{answer}");
    assert!(copy.metadata().unwrap().len() > 0);
    let (code, problem) = app.post("/api/v1/backup", &json!({ "file": copy })).await;
    assert!(code >= 400 && problem["detail"].as_str().is_some(), "never overwrites: {problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_can_be_moved_or_dropped_with_a_reason() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]")).await;
    four.slack.down();
    for group in ["a", "b"] {
        app.post("/webhook", &alert(group, "Down", "firing")).await;
    }
    let waiting = app.until("state=waiting", |rows| rows.len() == 2 && rows.iter().any(|row| row.tries > 0)).await;
    let ids: Vec<_> = waiting.iter().map(|row| row.id).collect();
    let (code, moved) = app.post("/api/v1/deliveries/move", &json!({ "ids": [ids[0]], "to": "ops-wecom" })).await;
    assert_eq!(code, 200, "{moved}");
    assert!(four.wecom.rec.wait(SOON, |r| r.accepted().len() == 1).await);
    let (code, _) = app.post("/api/v1/deliveries/drop", &json!({ "ids": [ids[1]] })).await;
    assert_eq!(code, 400, "a reason is needed");
    let (_, dropped) = app.post("/api/v1/deliveries/drop", &json!({ "ids": [ids[1]], "reason": "test over" })).await;
    assert_eq!(dropped["dropped"], 1);
    four.slack.up().await.unwrap();
    let rows = app.settled().await;
    assert!(rows.iter().any(|r| r.state == State::Dropped && r.reason.as_deref().unwrap().contains("test over")), "{rows:#?}");
}
