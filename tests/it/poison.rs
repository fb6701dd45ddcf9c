//! A message at which the process dies again and again: after a few times it is sent in short, and others never notice.

use std::time::Duration;

use serde_json::Value;

use crate::crash::{free_port, serve, up};
use crate::support::app::alert;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::slack::{Room, Slack};
use crate::support::postgres::Postgres;
use crate::support::serial::turn;

/// Posts an alert, kills the process each time that the platform has its message and has not answered, and returns what is sent when it lives at last.
async fn sent_after(deaths: usize) -> String {
    watchfire::channel::kit::install_crypto();
    let fake = Fake::start(Slack::new("xoxb-test-token").channel("C0123", "#ops", Room::Open).unpaced()).await;
    fake.faults.always(Fault::Hang);
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let routes = format!(
        "store: sqlite:watchfire.db\nchannels:\n  ops: {{ slack: {{ token: xoxb-test-token, channel: C0123, api_base: \"{}\" }}, rate_limit: off }}\nroute: {{ to: [ops] }}\n",
        fake.url()
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let body = alert("poison", "Poison", "firing");
    let posted = client.post(format!("http://127.0.0.1:{port}/webhook")).json(&body).send().await.unwrap();
    assert_eq!(posted.status(), 200);
    for death in 0..deaths {
        assert!(fake.rec.wait(Duration::from_secs(30), |rec| rec.under_way() > 0).await, "not sent after death {death}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(fake.rec.wait(Duration::from_secs(30), |rec| rec.under_way() == 0).await, "the platform notices");
        if death + 1 == deaths {
            fake.faults.clear();
        }
        child = serve(folder.path(), port);
        up(&client, port).await;
    }
    let accepted = fake.rec.wait_accepted(1, Duration::from_secs(30)).await;
    assert_eq!(accepted.len(), 1);
    // What comes after it is whole: the count is gone with the outcome.
    let later = alert("poison", "Later", "firing");
    assert_eq!(client.post(format!("http://127.0.0.1:{port}/webhook")).json(&later).send().await.unwrap().status(), 200);
    let accepted = fake.rec.wait_accepted(2, Duration::from_secs(30)).await;
    assert!(!accepted[1].json().to_string().contains("Sent in short"));
    child.kill().unwrap();
    child.wait().unwrap();
    let first: Value = accepted[0].json();
    first.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_kills_the_process_is_sent_in_short() {
    let _turn = turn().await;
    let text = sent_after(2).await;
    assert!(text.contains("Poison is wrong") && !text.contains("Sent in short"), "a crash or two may have any reason: {text}");
    let text = sent_after(5).await;
    assert!(text.contains("Poison poison-host") && text.contains("Sent in short") && !text.contains("Poison is wrong"), "{text}");
}

async fn slack() -> Fake<Slack> {
    Fake::start(Slack::new("xoxb-test-token").channel("C0123", "#ops", Room::Open).unpaced()).await
}

/// Two processes share one database, and each dies at the message in its turn: what the dead one had begun is suspected by the one that takes over, until
/// one sends it in short. Messages of another outlet, which only wait beside it, are never shortened.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: `.ci/long nights`"]
async fn a_message_that_kills_each_process_in_its_turn_is_sent_in_short() {
    let Some(database) = Postgres::start() else { return };
    watchfire::channel::kit::install_crypto();
    let (poisoned, other) = (slack().await, slack().await);
    poisoned.faults.always(Fault::Hang);
    let channel = |base: String| format!("{{ slack: {{ token: xoxb-test-token, channel: C0123, api_base: \"{base}\" }}, rate_limit: off }}");
    let routes = format!(
        "store: \"{}\"\nchannels:\n  ops: {}\n  other: {}\nroute: {{ to: [ops], routes: [{{ matchers: 'alertname=\"Harmless\"', to: [other] }}] }}\n",
        database.url(),
        channel(poisoned.url()),
        channel(other.url())
    );
    let nodes: Vec<_> = (0..2)
        .map(|_| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("routes.yaml"), &routes).unwrap();
            (folder, free_port())
        })
        .collect();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
    let post = async |port: u16, body: &Value| client.post(format!("http://127.0.0.1:{port}/webhook")).json(body).send().await.unwrap().status();
    let mut alive = serve(nodes[0].0.path(), nodes[0].1);
    up(&client, nodes[0].1).await;
    assert_eq!(post(nodes[0].1, &alert("poison", "Poison", "firing")).await, 200);
    // Once on the node that accepted it, which may have died of anything; then often enough to be sure.
    const DEATHS: usize = 5;
    for death in 0..DEATHS {
        assert!(poisoned.rec.wait(Duration::from_secs(60), |rec| rec.under_way() > 0).await, "not taken over after death {death}");
        let (this, next) = (&nodes[death % 2], &nodes[(death + 1) % 2]);
        assert_eq!(post(this.1, &alert(&format!("h{death}"), "Harmless", "firing")).await, 200);
        // The next one runs already when this one dies.
        let heir = serve(next.0.path(), next.1);
        up(&client, next.1).await;
        alive.kill().unwrap();
        alive.wait().unwrap();
        alive = heir;
        assert!(poisoned.rec.wait(Duration::from_secs(30), |rec| rec.under_way() == 0).await, "the platform notices");
        if death + 1 == DEATHS {
            poisoned.faults.clear();
        }
    }
    let accepted = poisoned.rec.wait_accepted(1, Duration::from_secs(60)).await;
    let text = accepted.first().map(|record| record.json().to_string()).unwrap_or_default();
    assert!(text.contains("Poison poison-host") && text.contains("Sent in short"), "{text}");
    let harmless = other
        .rec
        .wait(Duration::from_secs(30), |rec| (0..DEATHS).all(|n| rec.accepted().iter().any(|r| r.text.contains(&format!("h{n}-host")))))
        .await;
    let texts: Vec<String> = other.rec.accepted().iter().map(|record| record.json().to_string()).collect();
    assert!(harmless && texts.iter().all(|text| text.contains("Harmless is wrong") && !text.contains("Sent in short")), "{texts:?}");
    alive.kill().unwrap();
    alive.wait().unwrap();
}
