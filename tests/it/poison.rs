//! A message at which the process dies again and again: after a few times it is sent in short, and others never notice.

use std::time::Duration;

use serde_json::Value;

use crate::crash::{free_port, serve, up};
use crate::support::app::alert;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::slack::{Room, Slack};
use crate::support::turn::turn;

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
