//! Bodies of other senders over the wire: by path, by what they hold, and whatever else somebody posts.

use std::path::Path;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use watchfire::api::EventResponse;
use watchfire::store::State;

use crate::support::app::{Four, SOON, TestApp};

/// DingTalk only, without a pace; and how the file goes on.
fn routes(four: &Four, more: &str) -> String {
    four.ding.unpaced();
    let channel = format!(
        "  ops-ding: {{ rate_limit: off, dingtalk: {{ access_token: ding-token, secret: SEC0123456789, api_base: \"{}\" }} }}\n",
        four.ding.url()
    );
    format!("server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n{channel}route: {{ to: [ops-ding] }}\n{more}")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/inputs").join(name)).unwrap()
}

async fn post(app: &TestApp, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let response = app.http.post(app.url(path)).header("content-type", kind).body(body).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_that_goes_down_and_up_is_one_incident() {
    let four = Four::start().await;
    let app = TestApp::start(&routes(&four, "")).await;
    for (path, name) in [("/in/uptime_kuma", "uptime_kuma-1.23-down.json"), ("/webhook", "uptime_kuma-1.23-up.json")] {
        let (status, answer) = post(&app, path, "application/json", file(name)).await;
        assert_eq!(status, 200, "{answer}");
        app.settled().await;
    }
    let texts: Vec<String> = four.ding.rec.accepted().iter().map(|record| record.text.clone()).collect();
    assert!(texts.len() == 2 && texts[0].contains("api-prod") && texts[0].contains("status code 500"), "{texts:?}");
    let (_, incidents) = app.get("/api/v1/incidents?state=resolved").await;
    assert_eq!(incidents["incidents"].as_array().map(Vec::len), Some(1), "{incidents}");
    // A form reads like JSON.
    let (status, answer) = post(&app, "/in/aliyun", "application/x-www-form-urlencoded", file("aliyun-2023-alert.form")).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    assert!(four.ding.rec.accepted()[2].text.contains("API网关_返回码5XX个数"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_of_ones_own_and_its_test() {
    let four = Four::start().await;
    let own = r#"
inputs:
  backup:
    when: [/job, /hosts]
    alerts: /hosts
    labels: { alertname: "Backup {{body.job}}", host: "{{alert.name}}" }
    annotations: { summary: "{{alert.error}}" }
    status: "{{alert.state}}"
    resolved_values: [done]
    identity: [alertname, host]
tests:
  - { body: body.json, alerts: [{ status: firing, labels: { host: db-1 } }, { status: resolved, labels: { host: db-2 }, annotations: { summary: "" } }], expect: ops-ding }
"#;
    let folder = tempfile::tempdir().unwrap();
    let body = json!({ "job": "nightly", "hosts": [{ "name": "db-1", "error": "no space left" }, { "name": "db-2", "state": "done" }] });
    std::fs::write(folder.path().join("body.json"), body.to_string()).unwrap();
    let check = |text: &str| {
        let path = folder.path().join("routes.yaml");
        watchfire::config::from_text(&path, text, &watchfire::config::LoadOptions::without_secrets())
            .map(|_| ())
            .map_err(|found| watchfire::config::report(&found))
    };
    check(&routes(&four, own)).unwrap_or_else(|report| panic!("{report}"));
    for (right, wrong, told) in [
        ("host: db-2", "host: db-3", "the label `host` of alert 1 is `db-2` and not `db-3`"),
        ("status: firing", "status: resolved", "alert 0 is firing and not resolved"),
        ("expect: ops-ding", "expect: []", "these labels go to: ops-ding"),
        ("body: body.json", "body: nowhere.json", "nowhere.json cannot be read"),
        ("body: body.json", "body: body.json, input: backups", "there is no input `backups`"),
    ] {
        let report = check(&routes(&four, &own.replace(right, wrong))).unwrap_err();
        assert!(report.contains(told) && report.contains("E030"), "{wrong}: {report}");
    }
    let more = own.split("tests:").next().unwrap().to_owned() + "templates: templates\n";
    let app = TestApp::start_with(&routes(&four, &more), |options| {
        let set = options.config.parent().unwrap().join("templates/dingtalk");
        std::fs::create_dir_all(&set).unwrap();
        std::fs::write(set.join("default.text.hbs"), "{{extra.job}} of {{alerts.0.extra.name}}: {{alerts.0.extra.error}}").unwrap();
    })
    .await;
    let (status, answer) = app.post("/webhook", &body).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    let event: EventResponse = app.read(&format!("/api/v1/events/{}", answer["event"].as_str().unwrap())).await;
    assert_eq!((event.event.receiver.as_str(), event.event.extra["job"].as_str()), ("backup", Some("nightly")));
    let shown = four.ding.rec.accepted()[0].text.clone();
    assert!(shown.contains("nightly of db-1: no space left"), "all of the body is reachable: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_have_an_address_only_bring_their_token_in_it() {
    let four = Four::start().await;
    let routes = routes(&four, "")
        .replace("\"127.0.0.1:0\" }", "\"127.0.0.1:0\", auth: [{ name: cloud, bearer: cloud-token-0123456789, scopes: [webhook] }] }");
    let app = TestApp::start(&routes).await;
    let body = || file("tencent-2020-metric.json");
    assert_eq!(post(&app, "/in/tencent", "application/json", body()).await.0, 401);
    assert_eq!(post(&app, "/in/tencent?token=wrong", "application/json", body()).await.0, 401);
    assert_eq!(post(&app, "/webhook?token=cloud-token-0123456789", "application/json", body()).await.0, 401, "only where nothing else is possible");
    assert_eq!(post(&app, "/in/tencent?token=cloud-token-0123456789", "application/json", body()).await.0, 200);
    assert!(four.ding.rec.wait(SOON, |rec| rec.accepted().len() == 1).await);
    assert!(four.ding.rec.accepted()[0].text.contains("CPU utilization"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_input_loses_nothing_and_says_so() {
    let four = Four::start().await;
    let app = TestApp::start(&routes(&four, "")).await;
    let (status, answer) = post(&app, "/in/uptimekuma", "application/json", file("uptime_kuma-1.23-down.json")).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = post(&app, "/in/nowhere", "text/plain", "the lift is stuck").await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    let texts: String = four.ding.rec.accepted().iter().map(|record| record.text.clone()).collect();
    for word in ["api-prod", "the lift is stuck", "names an input that does not exist", "no alert that Watchfire knows"] {
        assert!(texts.contains(word), "{word}: {texts}");
    }
    let (_, ready) = app.get("/-/ready").await;
    assert!(ready.as_str().unwrap().contains("1 body was no alert and was delivered as text"), "{ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_an_input_cannot_read_are_not_taken_for_repeats_of_each_other() {
    let four = Four::start().await;
    let app = TestApp::start(&routes(&four, "")).await;
    for text in ["the lift is stuck", "the gate is open"] {
        let (status, answer) = post(&app, "/in/sns", "application/json", json!({ "note": text }).to_string()).await;
        assert_eq!((status, &answer["duplicate"]), (200, &Value::Bool(false)), "{answer}");
        app.settled().await;
    }
    // With raw message delivery SNS posts the alarm by itself.
    let (status, answer) = post(&app, "/in/sns", "text/plain; charset=UTF-8", file("cloudwatch-2024-alarm.json")).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    let texts: Vec<String> = four.ding.rec.accepted().iter().map(|record| record.text.clone()).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    for (text, word) in texts.iter().zip(["the lift is stuck", "the gate is open", "Threshold Crossed"]) {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scripts_own_alert_and_its_end_are_one_incident() {
    let four = Four::start().await;
    let app = TestApp::start(&routes(&four, "")).await;
    let bodies = [
        // Read as an alert, and as a text that nobody knows.
        r#"{"title": "Disk full", "severity": "critical", "host": "db-1", "status": "firing", "message": "95 %"}"#,
        r#"{"event": "backup", "title": "Backup failed", "status": "firing", "timestamp": 1}"#,
    ];
    for body in bodies {
        for body in [body.to_owned(), body.replace("firing", "resolved").replace("95 %", "40 %").replace("\"timestamp\": 1", "\"timestamp\": 2")] {
            let (status, answer) = post(&app, "/webhook", "application/json", body).await;
            assert_eq!(status, 200, "{answer}");
            app.settled().await;
        }
    }
    let (_, incidents) = app.get("/api/v1/incidents?state=resolved").await;
    assert_eq!(incidents["incidents"].as_array().map(Vec::len), Some(2), "{incidents}");
    let (_, ready) = app.get("/-/ready").await;
    assert!(ready.as_str().unwrap().contains("2 bodies were no alerts and were delivered as text"), "only the second pair: {ready}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_without_a_name_are_not_one_incident_of_all_senders() {
    let four = Four::start().await;
    let app = TestApp::start(&routes(&four, "")).await;
    let bodies = [
        r#"{"watch_id": "w1", "hits": 5}"#,
        r#"{"sid": "s1", "result": {"count": "8"}}"#,
        "<alarm>gate</alarm>",
        "<alarm>lift</alarm>",
        r#"{"notification_type": "PROBLEM", "host": "web1", "service": "HTTP", "state": "CRITICAL", "output": "refused"}"#,
        r#"{"notification_type": "RECOVERY", "host": "web1", "service": "HTTP", "state": "OK", "output": "HTTP OK"}"#,
    ];
    for body in bodies {
        let (status, answer) = post(&app, "/webhook", "application/json", body).await;
        assert_eq!(status, 200, "{answer}");
        app.settled().await;
    }
    for (state, count) in [("firing", 4), ("resolved", 1)] {
        let (_, incidents) = app.get(&format!("/api/v1/incidents?state={state}")).await;
        assert_eq!(incidents["incidents"].as_array().map(Vec::len), Some(count), "{state}: {incidents}");
    }
}

/// What somebody may post: JSON of any shape, forms, texts, and bodies of senders with a part of them replaced.
fn anything() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z{}\\[\\]\":,é磁 ]{0,12}".prop_map(Value::from)
    ];
    let keys = prop::sample::select(vec!["alerts", "labels", "status", "heartbeat", "monitor", "msg", "Message", "alertState", "event_id", "x"]);
    let json = leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys.clone().prop_map(str::to_owned), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let bodies =
        ["uptime_kuma-1.23-down.json", "sns-2024-alarm.json", "zabbix-5.0-problem.json", "tencent-2020-event.json", "aliyun-2021-alert.json"];
    let cut = (prop::sample::select(bodies.to_vec()), any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(name, from, length)| {
        let text: Vec<char> = String::from_utf8(file(name)).unwrap().chars().collect();
        let (from, length) = (from.index(text.len()), length.index(40));
        text.iter().take(from).chain(text.iter().skip(from + length)).collect::<String>()
    });
    prop_oneof![3 => json.prop_map(|value| value.to_string()), 3 => cut, 1 => "[a-z]{1,5}=[a-z%0-9&=]{0,20}", 1 => "\\PC{0,40}"]
}

/// Whatever a sender posts with a valid credential is delivered, deferred, or is in a list with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_posted_is_delivered_or_is_in_a_list_with_the_reason() {
    let four = Four::start().await;
    let more = "legacy: { dingtalk: { ops: ops-ding }, prometheusalert: { dd: ops-ding }, webhook_send: { dingtalk: ops-ding } }\n\
                mutes: [{ name: broken, matchers: 'alertname=\"Unknown body\"', mute_time_intervals: [always], reason: upgrade }]\n\
                time_intervals: [{ name: always, time_intervals: [{ weekdays: ['sunday:saturday'] }] }]\n";
    let app = TestApp::start(&routes(&four, more)).await;
    let paths = [
        "/webhook",
        "/webhook/grafana",
        "/in/zabbix",
        "/in/sns",
        "/in/aliyun",
        "/in/nowhere?to=nobody",
        "/dingtalk/ops/send",
        "/dingtalk/nobody/send",
        "/prometheusalert?type=dd&at=13800000001",
        "/zabbix/alert",
        "/webhook/send?channel_type=dingtalk&token=unknown",
    ];
    let (mut runner, strategy) = (TestRunner::deterministic(), anything());
    let (mut taken, mut refused) = (0, 0);
    for turn in 0..150 {
        let body = strategy.new_tree(&mut runner).unwrap().current();
        let path = paths[turn % paths.len()];
        let (status, answer) = post(&app, path, "application/json", body.clone()).await;
        match status {
            200 | 204 => {
                taken += 1;
                match answer["event"].as_str() {
                    Some(event) => assert_eq!(app.get(&format!("/api/v1/events/{event}")).await.0, 200, "{path}: it is kept: {body}"),
                    None => assert!(!path.starts_with("/webhook/g") && !path.starts_with("/in/") && path != "/webhook", "{path}: {answer}"),
                }
            }
            // Only what is empty is refused, and its sender learns why.
            400 => {
                assert!(
                    !watchfire::ingest::says_something(body.as_bytes()) && answer.as_str().is_some_and(|why| why.len() > 10),
                    "{path}: {body}: {answer}"
                );
                refused += 1;
            }
            _ => panic!("{path}: {status} for {body}: {answer}"),
        }
    }
    assert!(refused < 60, "{refused} of 150 bodies were empty");
    let (_, metrics) = app.get("/metrics").await;
    let kept = |line: &&str| line.starts_with("watchfire_received_total{") && (line.contains("\"accepted\"") || line.contains("\"duplicate\""));
    let lines = metrics.as_str().unwrap().lines().filter(kept);
    let kept: u32 = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()).sum();
    assert_eq!(taken, kept, "every body that was answered well was taken");
    let rows = app.until("", |rows| rows.iter().all(|row| row.state.is_final() || row.state == State::Deferred)).await;
    assert!(rows.len() > 50, "{}", rows.len());
    for state in [State::Sent, State::Deferred] {
        assert!(rows.iter().any(|row| row.state == state), "none is {state:?}");
    }
    let mut waiting = rows.iter().filter(|row| row.state == State::Deferred);
    assert!(waiting.all(|row| row.reason.as_deref().is_some_and(|why| why.contains("`broken`"))), "what waits is what is muted: {rows:#?}");
    let lost: Vec<_> = rows.iter().filter(|row| row.state != State::Sent && row.reason.as_deref().unwrap_or_default().is_empty()).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    // Every event has a delivery, or says why it has none.
    let (_, events) = app.get("/api/v1/events?unrouted=true&limit=500").await;
    for event in events["events"].as_array().unwrap() {
        assert!(event["note"].as_str().is_some_and(|note| !note.is_empty()), "{event}");
    }
}
