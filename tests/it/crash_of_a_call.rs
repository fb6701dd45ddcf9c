//! A direct call cut off by SIGKILL: nobody waits for it any more, so it is recorded truthfully and never sent later.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crash::{free_port, serve, up};
use crate::support::app::alert;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::slack::{Room, Slack};
use crate::support::fakes::twilio::Twilio;

async fn newest(client: &reqwest::Client, port: u16) -> Value {
    let page: Value = client.get(format!("http://127.0.0.1:{port}/api/v1/deliveries")).send().await.unwrap().json().await.unwrap();
    page["deliveries"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_cut_off_is_not_sent_again_and_says_so() {
    watchfire::channel::kit::install_crypto();
    let fake = Fake::start(Slack::new("xoxb-test-token").channel("C0123", "#ops", Room::Open).unpaced()).await;
    // The platform takes the request and never answers.
    fake.faults.always(Fault::HangAfter);
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: sqlite:watchfire.db\nchannels:\n  ops: {{ slack: {{ token: xoxb-test-token, channel: C0123, api_base: \"{}\" }} }}\nroute: {{ to: [ops] }}\nlegacy: {{ slack: {{ ops: ops }} }}\n",
        fake.url()
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let call = tokio::spawn({
        let client = client.clone();
        let body = json!({ "channel": "ops", "content": "the door is open" });
        async move { client.post(format!("http://127.0.0.1:{port}/slack/send/message")).json(&body).send().await }
    });
    assert!(fake.rec.wait(Duration::from_secs(60), |rec| rec.total() == 1).await, "the call reached the platform");
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = call.await;
    fake.faults.clear();

    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let mut row = Value::Null;
    for _ in 0..1200 {
        row = newest(&client, port).await;
        if row["state"] != "waiting" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(row["state"], "unknown", "{row:#}");
    assert!(row["reason"].as_str().unwrap().contains("it is not sent again"), "{row:#}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.rec.total(), 1, "nothing was sent after the restart");

    // A second restart finds nothing open either.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.rec.total(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Of an alert's call it is said at once, whatever the pace makes of what may have been in flight: its fallback waits for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_an_alert_that_was_cut_off_is_reported_as_unknown() {
    watchfire::channel::kit::install_crypto();
    let fake = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
    fake.faults.always(Fault::HangAfter);
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let keys = "account_sid: AC1, auth_token: twilio-token, from: \"+15005550006\", to: [\"+8613800000000\"]";
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: sqlite:watchfire.db\nchannels:\n  oncall: {{ twilio_voice: {{ {keys}, api_base: \"{}\" }} }}\nroute: {{ to: [oncall] }}\n",
        fake.url()
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let posted = client.post(format!("http://127.0.0.1:{port}/webhook")).json(&alert("db", "DiskFull", "firing")).send().await.unwrap();
    assert_eq!(posted.status(), 200);
    assert!(fake.rec.wait(Duration::from_secs(60), |rec| rec.total() == 1).await, "the call reached the platform");
    child.kill().unwrap();
    child.wait().unwrap();
    fake.faults.clear();

    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let begun = Instant::now();
    let row = loop {
        let page: Value = client.get(format!("http://127.0.0.1:{port}/api/v1/deliveries?state=unknown")).send().await.unwrap().json().await.unwrap();
        if let Some(row) = page["deliveries"].get(0) {
            break row.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "{page:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(row["reason"].as_str().unwrap().contains("it is not sent again"), "{row:#}");
    let metrics = client.get(format!("http://127.0.0.1:{port}/metrics")).send().await.unwrap().text().await.unwrap();
    let counted = "watchfire_deliveries_total{platform=\"twilio_voice\",channel=\"oncall\",outcome=\"unknown\"} 1";
    assert!(metrics.contains(counted), "{metrics}");
    // Nor does the next one wait for as long as the lost one might have taken.
    let posted = client.post(format!("http://127.0.0.1:{port}/webhook")).json(&alert("web", "WebDown", "firing")).send().await.unwrap();
    assert_eq!(posted.status(), 200);
    assert!(fake.rec.wait_accepted(2, Duration::from_secs(15)).await.len() >= 2);
    child.kill().unwrap();
    child.wait().unwrap();
}
