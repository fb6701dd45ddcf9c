//! A direct call that comes in the moment the server is up, while it still takes hold of what waits: it is sent, not refused.

use std::time::Duration;

use serde_json::{Value, json};

use crate::crash::{free_port, serve, up};
use crate::support::fakes::call::Verdict;
use crate::support::fakes::server::Fake;
use crate::support::fakes::slack::{Room, Slack};

/// So many that taking hold of them takes longer than the first request.
const CHANNELS: usize = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_at_the_first_moment_is_sent() {
    watchfire::channel::kit::install_crypto();
    let fake = Fake::start(Slack::new("xoxb-test-token").channel("C0123", "#ops", Room::Open).unpaced()).await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let others: String = (0..CHANNELS)
        .map(|n| format!("  other{n}: {{ slack: {{ token: xoxb-other-token-{n}, channel: C9999, api_base: \"{}\" }} }}\n", fake.url()))
        .collect();
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: sqlite:watchfire.db\nchannels:\n{others}  zz: {{ slack: {{ token: xoxb-test-token, channel: C0123, api_base: \"{}\" }} }}\nroute: {{ to: [zz] }}\nlegacy: {{ slack: {{ ops: zz }} }}\n",
        fake.url()
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
    let mut child = serve(folder.path(), port);
    up(&client, port).await;
    let url = format!("http://127.0.0.1:{port}/slack/send/message");
    let answer = client.post(url).json(&json!({ "channel": "ops", "content": "the door is open" })).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answer["code"], 0, "{answer}");
    assert_eq!(fake.rec.count(Verdict::Accepted), 1);
}
