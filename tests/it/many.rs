//! A storm of different alerts in one group, without a page that shows what a message only counts.

use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::fakes::{Fake, Platform, Slack, Telegram};

/// So many alerts.
const MANY: usize = 60;

fn alert(n: usize) -> Value {
    let description = format!("Consumer {n:02} of billing is stuck. {}", "Restart it, then look for its last commit. ".repeat(4).trim());
    json!({
        "status": "firing",
        "labels": { "alertname": format!("Lag{n:02}"), "severity": "warning", "queue": format!("q-{n:02}") },
        "annotations": { "summary": format!("Nobody reads topic {n:02}"), "description": description },
        "startsAt": "2026-11-24T02:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": watchfire::model::hash_hex(&[&n.to_string()]),
    })
}

fn body() -> Value {
    json!({
        "version": "4", "groupKey": "{}:{job=\"billing\"}", "truncatedAlerts": 0, "status": "firing", "receiver": "watchfire",
        "groupLabels": { "job": "billing" }, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager.example.com:9093",
        "alerts": (0..MANY).map(alert).collect::<Vec<_>>(),
    })
}

/// What people read, and whether each message after the first one is in its thread.
fn read(fake: &Fake<impl Platform>) -> (Vec<String>, bool) {
    fake.with(|platform| {
        let transcript = platform.transcript().unwrap();
        let threaded = transcript.all().enumerate().all(|(at, (_, post))| post.parent.is_some() == (at > 0));
        (transcript.texts(), threaded)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_page_behind_it_a_message_names_every_alert_and_its_other_pages_answer_the_first() {
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let telegram = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    telegram.unpaced();
    let routes = format!(
        r##"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels:
  slack: {{ slack: {{ token: xoxb-1, channel: "#ops", api_base: "{}" }} }}
  telegram: {{ telegram: {{ token: "1:token", chat: -1001, api_base: "{}" }} }}
route: {{ to: [slack, telegram] }}
"##,
        slack.url(),
        telegram.url(),
    );
    let app = TestApp::start(&routes).await;
    let (status, answer) = app.post("/webhook", &body()).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    for (platform, (texts, threaded)) in [("slack", read(&slack)), ("telegram", read(&telegram))] {
        let pages = if platform == "slack" { 2..=3 } else { 1..=3 };
        assert!(pages.contains(&texts.len()) && threaded, "{platform}: {} messages: {texts:?}", texts.len());
        let all = texts.join("\n");
        for n in 0..MANY {
            assert!(all.contains(&format!("Lag{n:02}")) && all.contains(&format!("topic {n:02}")), "{platform}: {n} is not named: {all}");
            // A phone's page of Telegram has no room for what each is described with.
            assert_eq!(all.contains(&format!("Consumer {n:02} of billing")), platform == "slack", "{platform}: {n}: {all}");
        }
        assert!(!all.contains("+52"), "{platform}: {all}");
    }
}
