//! An event is sent again because a person asks for it: nothing swallows it, nothing that goes on is disturbed, and the audit says who.

use serde_json::{Value, json};

use crate::support::app::{TestApp, alert};
use watchfire::store::DeliveryRow;

const ROUTES: &str = "server: { listen: '127.0.0.1:0' }\nstore: sqlite:watchfire.db\nchannels: { ops: { log: {} }, night: { log: {} }, boss: { log: {} } }\n\
     heartbeats: [{ matchers: 'alertname=\"Watchdog\"', timeout: 5m, to: [ops] }]\n\
     escalations: { soon: [{ after: 1h, to: boss }] }\nroute: { to: [ops], escalation: soon }\n";

async fn replayed(app: &TestApp, event: &str, body: Value) -> (u16, Value) {
    app.post(&format!("/api/v1/events/{event}/replay"), &body).await
}

fn id(answer: &Value) -> String {
    answer["event"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_a_new_event_that_nothing_swallows() {
    let app = TestApp::start(ROUTES).await;
    let sent = |rows: &[DeliveryRow]| rows.iter().all(|row| row.state.is_final());
    let (_, first) = app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    app.until("channel=ops", sent).await;
    let first = id(&first);
    let incidents = app.get("/api/v1/incidents").await.1;
    for to in [json!({}), json!({}), json!({ "to": "night" })] {
        let (code, answer) = replayed(&app, &first, to.clone()).await;
        assert_eq!((code, &answer["duplicate"]), (200, &json!(false)), "{answer}");
        let channel = to["to"].as_str().unwrap_or("ops");
        assert_eq!((answer["deliveries"].as_array().unwrap().len(), &answer["deliveries"][0]["channel"]), (1, &json!(channel)));
        assert_ne!(id(&answer), first);
        let event = app.get(&format!("/api/v1/events/{}", id(&answer))).await.1;
        assert_eq!(event["note"], format!("replay of {first}"));
        let rows = app.until(&format!("channel={channel}"), sent).await;
        let row = rows.iter().find(|row| json!(row.id) == answer["deliveries"][0]["id"]).unwrap();
        assert_eq!(row.state.as_str(), "sent");
        let whole = app.get(&format!("/api/v1/deliveries/{}", row.id)).await.1;
        assert!(whole.to_string().contains("Sent again by hand; it first arrived at "), "its readers see that it is no news: {whole}");
    }
    // One message each: neither folded with each other nor taken for what the channel was notified of. No escalation begins.
    assert_eq!((app.deliveries("channel=ops").await.len(), app.deliveries("channel=night").await.len()), (3, 1));
    assert_eq!(app.deliveries("channel=boss").await.len(), 1);
    let after = app.get("/api/v1/incidents").await.1;
    assert_eq!((&after["incidents"][0]["version"], after["incidents"].as_array().unwrap().len()), (&incidents["incidents"][0]["version"], 1));
    // The end that its sender reports is that of the incident, as ever.
    let (_, end) = app.post("/webhook", &alert("db", "DiskFull", "resolved")).await;
    assert_eq!(end["duplicate"], false);
    app.settled().await;
    let open = app.get("/api/v1/incidents?state=firing").await.1;
    assert_eq!(open["incidents"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_mislead_is_refused_with_a_reason() {
    let app = TestApp::start(ROUTES).await;
    let (_, beat) = app.post("/webhook", &alert("x", "Watchdog", "firing")).await;
    let seen = loop {
        let seen = app.get("/api/v1/heartbeats").await.1["heartbeats"][0]["seen_at"].clone();
        if !seen.is_null() {
            break seen;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    for to in [json!({}), json!({ "to": "ops" })] {
        let (code, why) = replayed(&app, &id(&beat), to).await;
        assert!(code == 409 && why["detail"].as_str().unwrap().contains("it is a heartbeat"), "{why}");
    }
    assert_eq!(app.get("/api/v1/heartbeats").await.1["heartbeats"][0]["seen_at"], seen, "a replay is no sign of life");
    let (_, named) = app.post("/webhook?to=night", &alert("db", "DiskFull", "firing")).await;
    let (code, why) = replayed(&app, &id(&named), json!({})).await;
    assert!(code == 409 && why["detail"].as_str().unwrap().contains("its sender named the channels"), "{why}");
    assert_eq!(replayed(&app, &id(&named), json!({ "to": "ops" })).await.0, 200);
    let (code, why) = replayed(&app, &id(&named), json!({ "to": "nihgt" })).await;
    assert!(code == 404 && why["detail"].as_str().unwrap().contains("did you mean `night`?"), "{why}");
    let (code, why) = replayed(&app, "018f0000-0000-7000-8000-000000000000", json!({})).await;
    assert!(code == 404 && why["detail"].as_str().unwrap().contains("past `retention`"), "{why}");
    let db = rusqlite::Connection::open(app.folder.path().join("watchfire.db")).unwrap();
    let mut select = db.prepare("SELECT state, object FROM audit WHERE act = 'replay'").unwrap();
    let rows: Vec<(String, String)> = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6, "each is in the audit, also what was refused: {rows:?}");
    assert!(rows.contains(&("done".to_owned(), format!("event {} to ops", id(&named)))), "{rows:?}");
}
