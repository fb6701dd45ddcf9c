//! Watchfire's own alarms, copies for those who wait too long, bodies of other senders, and a second SIGTERM.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire::api::Incidents;
use watchfire::store::State;

use crate::support::app::{Four, SOON, TestApp, alert, reads};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::webhook::Webhook;

/// A heartbeat that is sent every ten seconds is missing within this time.
const MISSING: Duration = Duration::from_secs(30);
const ALL: &str = "to: [ops-mail, ops-slack, ops-ding, ops-wecom]";

#[tokio::test(flavor = "multi_thread")]
async fn a_held_channel_and_dead_letters_are_told_through_another_channel_and_so_is_their_end() {
    let four = Four::start().await;
    let routes = four.routes().replace(ALL, "to: [ops-ding]").replace("time_zone:", "self_monitoring: { to: [ops-ding, ops-slack] }\ntime_zone:");
    let app = TestApp::start(&routes).await;
    four.ding_refuses(1, 300_005, "token is not exist");
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    reads(&four.slack, SOON, "ops-ding cannot deliver").await;
    app.app.reload().await.unwrap();
    // And its end.
    reads(&four.slack, SOON, "ops-ding delivers again").await;
    four.ding_refuses(2, 430_102, "unsafe text");
    app.post("/webhook", &alert("web", "Refused", "firing")).await;
    reads(&four.slack, SOON, "dead on channel ops-ding").await;
    let by_ding = four.ding.rec.accepted();
    assert!(by_ding.iter().all(|m| !m.text.contains("cannot deliver")), "never through the channel that fails: {by_ding:?}");
}

/// With another credential it is another outlet, which was never suspended.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_alarm_is_told_when_the_credential_is_corrected_also_by_the_next_process() {
    for restarts in [false, true] {
        let four = Four::start().await;
        let routes = four.routes().replace(ALL, "to: [ops-ding]").replace("time_zone:", "self_monitoring: { to: [ops-slack] }\ntime_zone:");
        let mut app = TestApp::start(&routes.replace("access_token: ding-token", "access_token: another")).await;
        app.post("/webhook", &alert("db", "HostDown", "firing")).await;
        reads(&four.slack, SOON, "ops-ding cannot deliver").await;
        std::fs::write(app.folder.path().join("routes.yaml"), &routes).unwrap();
        if restarts {
            app = app.restart().await;
        } else {
            app.app.reload().await.unwrap();
        }
        reads(&four.ding, SOON, "HostDown").await;
        reads(&four.slack, SOON, "ops-ding delivers again").await;
        let found: Incidents = app.read("/api/v1/incidents").await;
        let open: Vec<&str> = found.incidents.iter().filter(|one| one.state.is_open()).map(|one| one.title.as_str()).collect();
        assert!(!open.iter().any(|title| title.contains("Watchfire")), "{restarts}: {open:?}");
        app.app.stop(Duration::from_secs(5)).await;
    }
}

/// The routes with a webhook beside their channels.
fn with_hook(routes: &str, hook: &Fake<Webhook>) -> String {
    let channel = format!("channels:\n  hook: {{ webhook: {{ url: '{}/in', allow_networks: [127.0.0.1] }} }}", hook.url());
    routes.replacen("channels:", &channel, 1)
}

/// A program that receives the alarms reads what happened from a member of its own, of the shape that the book has.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_delivery_events_with_the_alarms() {
    let (four, hook) = (Four::start().await, Fake::start(Webhook::default()).await);
    let routes = with_hook(&four.routes(), &hook).replace(ALL, "to: [ops-ding]").replace("time_zone:", "self_monitoring: { to: [hook] }\ntime_zone:");
    let app = TestApp::start(&routes).await;
    let event = |kind: &'static str| {
        let of_kind = move |body: &Value| body["extra"]["event"]["kind"] == kind;
        let hook = &hook;
        async move {
            assert!(hook.rec.wait(SOON, move |r| r.accepted().iter().any(|m| of_kind(&m.json()))).await, "{kind}: {:?}", hook.rec.accepted());
            hook.rec.accepted().iter().map(|m| m.json()).find(of_kind).unwrap()["extra"]["event"].clone()
        }
    };
    four.ding_refuses(1, 300_005, "token is not exist");
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let suspended = event("suspended").await;
    assert!(suspended["channel"] == "ops-ding" && suspended["reason"].as_str().is_some_and(|why| why.contains("300005")), "{suspended}");
    app.app.reload().await.unwrap();
    let resumed = event("resumed").await;
    assert!(resumed["channel"] == "ops-ding" && resumed["reason"].is_null(), "{resumed}");
    four.ding_refuses(2, 430_102, "unsafe text");
    app.post("/webhook", &alert("web", "Refused", "firing")).await;
    let dead = event("dead").await;
    let row = app.deliveries("").await.into_iter().find(|row| row.channel == "ops-ding" && row.state == State::Dead).unwrap();
    assert_eq!((&dead["delivery"], &dead["count"]), (&row.id.to_string().into(), &1.into()), "{dead}");
    assert!(dead["incident"].is_i64() && dead["reason"].as_str().is_some_and(|why| why.contains("430102")), "{dead}");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string("docs/delivery-event.schema.json").unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for event in [suspended, resumed, dead] {
        assert!(validator.is_valid(&event), "{event}");
    }
}

/// What goes as it should disturbs nobody: an ack and the step of an escalation are news for programs, and no incidents of their own.
#[tokio::test(flavor = "multi_thread")]
async fn acks_and_steps_are_news_for_webhooks_only() {
    let hook = Fake::start(Webhook::default()).await;
    let app = TestApp::start(&format!(
        r#"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels:
  terminal: {{ log: {{}} }}
  phone: {{ log: {{}} }}
  hook: {{ webhook: {{ url: '{}/in', allow_networks: [127.0.0.1] }} }}
self_monitoring: {{ to: [terminal, hook] }}
escalations: {{ db: [{{ after: 1s, to: [phone] }}] }}
route: {{ to: [terminal], escalation: db }}
"#,
        hook.url()
    ))
    .await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    assert_eq!(hook.rec.wait_accepted(1, SOON).await.len(), 1);
    let step = app.until("channel=phone", |rows| rows.iter().any(|row| row.state == State::Sent)).await.remove(0);
    assert_eq!(app.post("/api/v1/incidents/1/ack", &json!({ "by": "Bob" })).await.0, 200);
    let events: Vec<Value> = hook.rec.wait_accepted(2, SOON).await.iter().map(|record| record.json()["extra"]["event"].clone()).collect();
    let wanted = [
        ("escalated", json!("phone"), json!(step.id.to_string()), json!("step 1 of the escalation `db`")),
        ("acked", Value::Null, Value::Null, json!("acked by Bob")),
    ];
    for (event, (kind, channel, delivery, reason)) in events.iter().zip(&wanted) {
        assert_eq!((&event["channel"], &event["delivery"], &event["reason"]), (channel, delivery, reason), "{event}");
        assert!(event["kind"] == *kind && event["incident"] == 1, "{event}");
    }
    let found: Incidents = app.read("/api/v1/incidents").await;
    assert_eq!(found.incidents.len(), 1, "news is no incident");
    let rows = app.settled().await;
    assert!(rows.iter().all(|row| row.channel == "hook" || !row.title.contains("Watchfire")), "{rows:#?}");
    assert_eq!(rows.iter().filter(|row| row.channel == "hook").count(), 2, "{rows:#?}");
}

/// A platform that takes a message and does not say so: it is repeated a few times, spread out, ends as unknown, and people hear of it elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_stays_unknown_ends_so_and_is_told_through_another_channel() {
    let four = Four::start().await;
    four.slack.unpaced();
    let routes = four.routes().replace(ALL, "to: [ops-slack]").replace("time_zone:", "self_monitoring: { to: [ops-slack, ops-ding] }\ntime_zone:");
    let (mut app, clock) = TestApp::start_timed(&routes).await;
    four.slack.faults.always(Fault::CloseAfter);
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let mut tries = 1;
    let row = loop {
        let end = Instant::now() + SOON;
        let row = loop {
            let row = app.deliveries("").await.into_iter().find(|row| row.channel == "ops-slack").unwrap();
            if row.state.is_final() || row.tries >= tries {
                break row;
            }
            assert!(Instant::now() < end, "{row:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        if row.state.is_final() {
            break row;
        }
        // Over the longest pause between two of them.
        tries = row.tries + 1;
        clock.jump(3_600_000);
        app = app.restart_with(|options| options.clock = clock.clone()).await;
    };
    assert_eq!(row.state, State::Unknown, "{row:#?}");
    assert!(row.reason.as_deref().is_some_and(|why| why.contains("it was sent 4 times")), "{row:#?}");
    assert_eq!(four.slack.rec.accepted().len(), 4, "no storm of copies");
    reads(&four.ding, SOON, "Nobody knows whether 1 on channel ops-slack arrived").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_nearly_used_is_told_before_the_platform_refuses_everything() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace(ALL, "to: [ops-ding]")
        .replace("ops-ding: { dingtalk: {", "ops-ding: { dingtalk: { per_month: 5,")
        .replace("time_zone:", "self_monitoring: { to: [ops-ding, ops-slack] }\ntime_zone:");
    assert!(routes.contains("per_month: 5"), "{routes}");
    let app = TestApp::start(&routes).await;
    for n in 0..4 {
        assert_eq!(four.slack.rec.accepted().len(), 0, "not before the fourth: {n}");
        app.post("/webhook", &alert(&format!("db{n}"), "HostDown", "firing")).await;
        app.settled().await;
    }
    reads(&four.slack, SOON, "Channel ops-ding has sent 4 of its 5 messages of this month").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_too_long_is_copied_to_the_fallback_and_the_original_goes_on() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace(ALL, "to: [ops-ding]")
        .replace("ops-ding: { dingtalk", "ops-ding: { fallback: [ops-slack], fallback_after: 1m, dingtalk");
    let (app, hand) = TestApp::start_timed(&routes).await;
    four.ding.down();
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(four.slack.rec.accepted().len(), 0);
    hand.jump(120_000);
    reads(&four.slack, SOON, "HostDown").await;
    four.ding.up().await.unwrap();
    assert!(four.ding.rec.wait(SOON * 2, |r| r.accepted().len() == 1).await, "the original goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_too_long_is_copied_past_a_disabled_fallback() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace(ALL, "to: [ops-ding]")
        .replace("ops-ding: { dingtalk", "ops-ding: { fallback: [ops-wecom, ops-slack], fallback_after: 1m, dingtalk")
        .replace("ops-wecom: { wecom", "ops-wecom: { disabled: true, wecom");
    let (app, hand) = TestApp::start_timed(&routes).await;
    four.ding.down();
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    hand.jump(120_000);
    reads(&four.slack, SOON, "HostDown").await;
    assert_eq!(four.wecom.rec.accepted().len(), 0, "nothing is sent there");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_its_channel_is_disabled_is_not_sent() {
    let four = Four::start().await;
    let routes = four.routes().replace(ALL, "to: [ops-ding]");
    let app = TestApp::start(&routes).await;
    four.ding.down();
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("", |rows| rows.iter().any(|row| row.tries > 0)).await;
    let disabled = routes.replace("ops-ding: { dingtalk", "ops-ding: { disabled: true, dingtalk");
    std::fs::write(app.folder.path().join("routes.yaml"), disabled).unwrap();
    app.app.reload().await.unwrap();
    four.ding.up().await.unwrap();
    let rows = app.settled().await;
    assert!(rows.len() == 1 && rows[0].state == State::Skipped, "{rows:#?}");
    assert!(rows[0].reason.as_deref().is_some_and(|why| why.starts_with("the channel is disabled")), "{rows:#?}");
    assert_eq!(four.ding.rec.accepted().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fell_back_to_a_channel_that_is_disabled_goes_on_to_the_next() {
    let four = Four::start().await;
    let routes =
        four.routes().replace(ALL, "to: [ops-ding]").replace("ops-ding: { dingtalk", "ops-ding: { fallback: [ops-wecom, ops-slack], dingtalk");
    let app = TestApp::start(&routes).await;
    four.wecom.down();
    four.ding_refuses(2, 430_102, "unsafe text");
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("channel=ops-wecom", |rows| rows.iter().any(|row| row.tries > 0)).await;
    let disabled = routes.replace("ops-wecom: { wecom", "ops-wecom: { disabled: true, wecom");
    std::fs::write(app.folder.path().join("routes.yaml"), disabled).unwrap();
    app.app.reload().await.unwrap();
    let rows = app.settled().await;
    let state = |channel: &str| rows.iter().find(|row| row.channel == channel).map(|row| row.state);
    assert_eq!((state("ops-wecom"), state("ops-slack")), (Some(State::Skipped), Some(State::Sent)), "{rows:#?}");
    assert_eq!(four.slack.rec.accepted().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_sender_is_read_by_its_input() {
    let four = Four::start().await;
    let mapping = "inputs: { checks: { when: [/events], alerts: /events, labels: { alertname: '{{alert.check.name}}' }, severity: '{{alert.check.level}}', annotations: { summary: '{{alert.text}}' } } }\ntime_zone:";
    let app = TestApp::start(&four.routes().replace(ALL, "to: [ops-slack]").replace("time_zone:", mapping)).await;
    let body = json!({ "events": [{ "check": { "name": "Mapped", "level": "critical" }, "text": "the disk is full" }] });
    let (code, answer) = app.post("/webhook", &body).await;
    assert_eq!(code, 200, "{answer}");
    app.settled().await;
    let text = &four.slack.rec.accepted()[0].text;
    assert!(text.contains("Mapped") && text.contains("the disk is full"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sigterm_stops_at_once() {
    let four = Four::start().await;
    four.slack.unpaced();
    four.slack.faults.always(Fault::Hang);
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let routes = four.routes().replace("127.0.0.1:0", &format!("127.0.0.1:{port}")).replace(ALL, "to: [ops-slack]");
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .args(["serve", "--no-watch"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{port}/webhook");
    let mut posted = false;
    for _ in 0..200 {
        posted = client.post(&url).json::<Value>(&alert("db", "Down", "firing")).send().await.is_ok_and(|r| r.status() == 200);
        if posted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(posted);
    while four.slack.rec.under_way() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let term = || assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    term();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let started = Instant::now();
    term();
    while child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < Duration::from_secs(3), "it still drains");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_goes_silent_is_told_and_so_is_its_return() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace(ALL, "to: [ops-ding]")
        .replace("time_zone:", "heartbeats: [{ matchers: 'alertname=\"Watchdog\"', timeout: 10s, to: [ops-slack] }]\ntime_zone:");
    let app = TestApp::start(&routes).await;
    let (code, answer) = app.post("/webhook", &alert("prometheus", "Watchdog", "firing")).await;
    assert_eq!(code, 200, "{answer}");
    reads(&four.slack, MISSING, "Heartbeat Watchdog is missing").await;
    let shown = "watchfire_heartbeat_missing{heartbeat=\"Watchdog\"} 1";
    let end = Instant::now() + SOON;
    while !app.get("/metrics").await.1.as_str().is_some_and(|page| page.contains(shown)) {
        assert!(Instant::now() < end, "the metric does not show it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.post("/webhook", &alert("prometheus", "Watchdog", "firing")).await;
    reads(&four.slack, SOON, "Heartbeat Watchdog is back").await;
    let posts = four.slack.rec.accepted().iter().filter(|record| record.call.path.ends_with("chat.postMessage")).count();
    assert_eq!(posts, 2, "each is told once; the first message is edited");
    assert_eq!(four.ding.rec.accepted().len(), 0, "a sign of life is not sent as an alert");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_heartbeat_is_said_in_the_language_of_each_channel() {
    let four = Four::start().await;
    let routes = four.routes().replace(ALL, "to: [ops-mail]").replace("ops-ding: {", "ops-ding: { language: zh,").replace(
        "time_zone:",
        "heartbeats: [{ matchers: 'alertname=\"Watchdog\"', timeout: 10s, to: [ops-ding, ops-slack, ops-wecom] }]\ntime_zone:",
    );
    let app = TestApp::start(&routes).await;
    let (code, answer) = app.post("/webhook", &alert("prometheus", "Watchdog", "firing")).await;
    assert_eq!(code, 200, "{answer}");
    reads(&four.ding, MISSING, "心跳 Watchdog 中断").await;
    reads(&four.slack, MISSING, "Heartbeat Watchdog is missing").await;
    reads(&four.wecom, MISSING, "Heartbeat Watchdog is missing").await;
    assert_eq!((four.ding.rec.accepted().len(), four.slack.rec.accepted().len(), four.wecom.rec.accepted().len()), (1, 1, 1), "each is told once");
}
