//! A body in, four platforms reached, and what is kept of it.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use watchfire::store::State;

use crate::support::app::{Four, SOON, TestApp, alert};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::smtp::{Act, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn firing_and_resolved_reach_all_four_platforms() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    for status in ["firing", "resolved"] {
        let (code, answer) = app.post("/webhook", &alert("db", "HostDown", status)).await;
        assert_eq!(code, 200, "{answer}");
        assert_eq!(answer["deliveries"].as_array().unwrap().len(), 4);
        let rows = app.settled().await;
        assert!(rows.iter().all(|r| r.state == State::Sent), "{rows:#?}");
    }
    for (name, texts) in [("dingtalk", four.ding.rec.accepted()), ("slack", four.slack.rec.accepted()), ("wecom", four.wecom.rec.accepted())] {
        assert_eq!(texts.len(), 2, "{name}");
        assert!(texts[0].text.contains("HostDown") && texts[0].text.contains("db-host"), "{name}: {}", texts[0].text);
        assert_ne!(texts[0].text, texts[1].text, "{name}: resolved reads differently");
    }
    assert!(four.ding.rec.accepted()[0].text.contains("@13800000000"), "the mention stands in the text, else it does not ping");
    let mails = four.smtp.mails();
    assert_eq!(mails.len(), 4, "two recipients, two messages");
    assert!(mails.iter().all(|m| m.text().contains("HostDown") && m.html().contains("HostDown")));
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_within_the_window_is_a_duplicate_and_gives_the_first_ids() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let body = alert("db", "HostDown", "firing");
    let (_, first) = app.post("/webhook", &body).await;
    let (_, second) = app.post("/webhook/alertmanager", &body).await;
    assert_eq!((first["duplicate"].clone(), second["duplicate"].clone()), (json!(false), json!(true)));
    assert_eq!(first["event"], second["event"]);
    app.settled().await;
    assert_eq!(four.slack.rec.accepted().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn named_channels_are_served_and_unknown_ones_reported() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let (code, answer) = app.post("/webhook?to=ops-ding,nowhere", &alert("db", "HostDown", "firing")).await;
    assert_eq!((code, &answer["unknown"]), (200, &json!(["nowhere"])));
    assert_eq!(answer["deliveries"].as_array().unwrap().len(), 1);
    let (code, answer) = app.post("/webhook?to=nowhere", &alert("db-2", "HostDown", "firing")).await;
    assert_eq!((code, &answer["unknown"]), (200, &json!(["nowhere"])));
    assert!(!answer["deliveries"].as_array().unwrap().is_empty(), "the routing table says who gets it: {answer}");
    app.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn put_gzip_and_bad_bodies() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes().replace("listen: \"127.0.0.1:0\"", "listen: \"127.0.0.1:0\", max_body: 64KiB")).await;
    let body = alert("db", "HostDown", "firing").to_string();
    let put = app.http.put(app.url("/webhook/grafana")).body(body.clone()).send().await.unwrap();
    assert_eq!(put.status(), 200);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(body.replace("db", "dc").as_bytes()).unwrap();
    let zipped = app.http.post(app.url("/webhook")).header("content-encoding", "gzip").body(gzip.finish().unwrap()).send().await.unwrap();
    assert_eq!(zipped.status(), 200);
    // Also where the path names something.
    for path in ["/api/v1/channels/ops-slack/test", "//api//v1/channels/ops-slack/test/"] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(br#"{"text":"a test"}"#).unwrap();
        let asked = app.http.post(app.url(path)).header("content-type", "application/json").header("content-encoding", "gzip");
        assert_eq!(asked.body(gzip.finish().unwrap()).send().await.unwrap().status(), 200, "{path}");
    }
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 50 << 20]).unwrap();
    let bomb = app.http.post(app.url("/webhook")).header("content-encoding", "gzip").body(bomb.finish().unwrap()).send().await.unwrap();
    assert_eq!(bomb.status(), 413);
    // A proxy inflated it and left the header: it is read as it is.
    let plain = app.http.post(app.url("/webhook")).header("content-encoding", "gzip").body(body.replace("db", "dd")).send().await.unwrap();
    assert_eq!(plain.status(), 200);
    let plain: Value = plain.json().await.unwrap();
    assert!(!plain["deliveries"].as_array().unwrap().is_empty(), "{plain}");
    let garbled = app.http.post(app.url("/webhook")).header("content-encoding", "gzip").body("no json, no gzip").send().await.unwrap();
    assert_eq!(garbled.status(), 400);
    let garbled = garbled.text().await.unwrap();
    assert!(garbled.contains("compress it so, or leave the header out"), "{garbled}");
    // One that forgot the header: gzip is known by its beginning, within the same limits; what only begins so is text.
    let zipped = |body: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(body).unwrap();
        gzip.finish().unwrap()
    };
    let unsaid = async |body: Vec<u8>| app.http.post(app.url("/webhook")).body(body).send().await.unwrap();
    let unnamed = unsaid(zipped(body.replace("db", "de").as_bytes())).await;
    assert_eq!(unnamed.status(), 200);
    let unnamed: Value = unnamed.json().await.unwrap();
    let (_, event) = app.get(&format!("/api/v1/events/{}", unnamed["event"].as_str().unwrap())).await;
    assert_eq!(event["event"]["alerts"][0]["labels"]["alertname"], "HostDown", "{event}");
    assert_eq!(unsaid(zipped(&vec![b' '; 1 << 20])).await.status(), 413);
    assert_eq!(unsaid(b"\x1f\x8b\x08 is how it begins".to_vec()).await.status(), 200);
    // What names no compression does not count; what is refused for one is counted.
    for encoding in ["utf-8", "", "br"] {
        let asked = app.http.post(app.url("/webhook")).header("content-encoding", encoding).body(body.replace("db", "df"));
        assert_eq!(asked.send().await.unwrap().status(), 200, "{encoding}");
    }
    let brotli = app.http.post(app.url("/webhook")).header("content-encoding", "br").body("\u{1b}\u{0}x").send().await.unwrap();
    assert_eq!(brotli.status(), 415);
    let (_, metrics) = app.get("/metrics").await;
    let malformed = "watchfire_received_total{sender=\"any\",outcome=\"malformed\"} 2";
    assert!(metrics.as_str().unwrap().contains(malformed), "the one that is no gzip, and this: {metrics}");
    let (code, text) = app.post("/webhook", &json!({ "version": "4", "alerts": [{}] })).await;
    assert_eq!((code, &text["deliveries"]), (200, &json!([])), "kept without a delivery: {text}");
    app.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_trouble_is_retried_and_refusals_end_as_dead_letters_with_the_platforms_words() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    four.slack.faults.push(Fault::Status(502, None));
    four.slack.faults.push(Fault::Status(429, Some(1)));
    four.ding_refuses(2, 430_102, "unsafe text");
    app.post("/webhook?to=ops-slack,ops-ding", &alert("db", "HostDown", "firing")).await;
    let rows = app.settled().await;
    let row = |name: &str| rows.iter().find(|r| r.channel == name).unwrap().clone();
    assert_eq!(row("ops-slack").state, State::Sent, "{rows:#?}");
    let dead = row("ops-ding");
    assert_eq!(dead.state, State::Dead);
    assert!(dead.reason.as_deref().unwrap().contains("430102"), "{dead:#?}");
    let attempts = app.delivery(dead.id).await.message.unwrap().attempts;
    assert_eq!(attempts.len(), 2, "once as it was, once as plain text: {attempts:#?}");
    let (_, made) = app.post("/api/v1/deliveries/retry", &json!({ "ids": [dead.id] })).await;
    assert_eq!(made["deliveries"].as_array().unwrap().len(), 1, "{made}");
    app.settled().await;
    assert_eq!(four.ding.rec.accepted().len(), 1, "a dead letter that is retried is delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_mailbox_blocks_nobody_and_is_told() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    four.smtp.script(Stage::Rcpt, Some("db@example.com"), Act::Reply(550, "5.1.1 no such user"), None);
    app.post("/webhook?to=ops-mail", &alert("db", "HostDown", "firing")).await;
    let rows = app.settled().await;
    assert_eq!(rows[0].state, State::Dead);
    let reason = rows[0].reason.as_deref().unwrap();
    assert!(reason.starts_with("partly delivered: 1 of 2") && reason.contains("d***@e***.com") && reason.contains("550"), "{reason}");
    assert_eq!(four.smtp.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_survives_a_restart_and_a_held_channel_goes_on_after_a_reload() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    four.slack.down();
    four.ding_refuses(1, 300_005, "token is not exist");
    app.post("/webhook?to=ops-slack,ops-ding", &alert("db", "HostDown", "firing")).await;
    let held = wait_held(&app).await;
    assert!(held.contains("300005"), "{held}");
    app.app.reload().await.unwrap();
    assert!(four.ding.rec.wait(SOON, |r| r.accepted().len() == 1).await, "a reload tries at once");
    let app = app.restart().await;
    four.slack.up().await.unwrap();
    let rows = app.settled().await;
    assert!(rows.iter().all(|r| r.state == State::Sent), "{rows:#?}");
    assert_eq!(four.slack.rec.accepted().len(), 1);
}

async fn wait_held(app: &TestApp) -> String {
    for _ in 0..400 {
        let (_, answer) = app.get("/api/v1/channels").await;
        let row = answer["channels"].as_array().unwrap().iter().find(|c| c["name"] == "ops-ding").unwrap().clone();
        if let Some(held) = row["suspended"].as_str() {
            return held.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_delivery_falls_back_and_its_resolved_follows() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace("ops-ding: { dingtalk", "ops-ding: { fallback: [ops-slack], dingtalk")
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-ding]");
    let app = TestApp::start(&routes).await;
    four.ding_refuses(2, 430_102, "unsafe text");
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    assert_eq!((four.ding.rec.accepted().len(), four.slack.rec.accepted().len()), (0, 1));
    app.post("/webhook", &alert("db", "HostDown", "resolved")).await;
    app.settled().await;
    assert_eq!((four.ding.rec.accepted().len(), four.slack.rec.accepted().len()), (1, 2), "the resolved goes to both");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_channel_ends_no_list_of_fallbacks() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace("ops-ding: { dingtalk", "ops-ding: { fallback: [ops-wecom, ops-slack], dingtalk")
        .replace("ops-wecom: { wecom", "ops-wecom: { disabled: true, wecom")
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-ding]");
    let app = TestApp::start(&routes).await;
    four.ding_refuses(2, 430_102, "unsafe text");
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    assert_eq!((four.wecom.rec.accepted().len(), four.slack.rec.accepted().len()), (0, 1), "the next of the list takes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_falls_back_to_a_channel_that_was_renamed_meanwhile() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace("ops-ding: { dingtalk", "ops-ding: { fallback: [ops-slack], dingtalk")
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-ding]");
    let app = TestApp::start(&routes).await;
    four.ding.down();
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("", |rows| rows.iter().any(|row| row.tries > 0)).await;
    let renamed = routes.replace("ops-slack", "ops-chat").replace("ops-chat: { slack", "ops-chat: { previous_names: [ops-slack], slack");
    std::fs::write(app.folder.path().join("routes.yaml"), renamed).unwrap();
    app.app.reload().await.unwrap();
    four.ding_refuses(2, 430_102, "unsafe text");
    four.ding.up().await.unwrap();
    app.settled().await;
    assert_eq!((four.ding.rec.accepted().len(), four.slack.rec.accepted().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_reload_changes_nothing_and_is_told() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let file = app.folder.path().join("routes.yaml");
    std::fs::write(&file, four.routes().replace("to: [ops-mail, ", "to: [ops-mial, ")).unwrap();
    let report = app.app.reload().await.unwrap_err();
    assert!(report.contains("ops-mial") && report.contains("did you mean"), "{report}");
    let (code, ready) = app.get("/-/ready").await;
    assert_eq!(code, 200);
    assert!(ready.as_str().unwrap().contains("the last reload failed"), "{ready}");
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    assert_eq!(app.settled().await.len(), 4);
}
