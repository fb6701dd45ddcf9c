//! A direct call cut off by SIGKILL: nobody waits for it any more, so it is recorded truthfully and never sent later.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::slack::{Room, Slack};

fn serve(folder: &Path, port: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .args(["serve", "--no-watch", "--listen", &format!("127.0.0.1:{port}")])
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn get(client: &reqwest::Client, port: u16, path: &str) -> Option<Value> {
    let answer = client.get(format!("http://127.0.0.1:{port}{path}")).send().await.ok()?;
    if answer.status() == 200 { Some(answer.json().await.unwrap_or(Value::Null)) } else { None }
}

async fn up(client: &reqwest::Client, port: u16) {
    for _ in 0..400 {
        if get(client, port, "/-/ready").await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the server did not come up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_cut_off_is_not_sent_again_and_says_so() {
    watchfire::channel::kit::install_crypto();
    let fake = Fake::start(Slack::new("xoxb-test-token").channel("C0123", "#ops", Room::Open).unpaced()).await;
    // Longer than the process lives: the platform has the request, and its word is never heard.
    fake.faults.always(Fault::Delay(Duration::from_secs(3)));
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).unwrap().port();
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
    for _ in 0..400 {
        if fake.rec.under_way() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fake.rec.under_way(), 1, "the call is under way");
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = call.await;
    let before = fake.rec.total();
    fake.faults.clear();

    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let mut row = Value::Null;
    for _ in 0..200 {
        let page = get(&client, port, "/api/v1/deliveries").await.unwrap();
        row = page["deliveries"][0].clone();
        if row["state"] != "waiting" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(row["state"], "unknown", "{row:#}");
    assert!(row["reason"].as_str().unwrap().contains("it is not sent again"), "{row:#}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(fake.rec.total() <= before.max(1), "nothing was sent after the restart");

    // A second restart finds nothing open either.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(fake.rec.total() <= before.max(1));
    child.kill().unwrap();
    child.wait().unwrap();
}
