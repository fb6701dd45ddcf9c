//! A direct call cut off by SIGKILL: nobody waits for it any more, so it is recorded truthfully and never sent later.

use std::time::Duration;

use serde_json::{Value, json};

use crate::crash::{free_port, serve, up};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::slack::{Room, Slack};

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
