//! One limit of requests for each sender: a noisy one starves nobody, and what was admitted is delivered.

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchfire::store::State;

use crate::support::app::{SOON, TestApp, alert};

const ROUTES: &str = "server:
  listen: '127.0.0.1:0'
  limits: { per_sender: 5 }
  auth:
    - { bearer: noisy-token-0123456789, name: noisy, scopes: [webhook] }
    - { bearer: quiet-token-0123456789, name: quiet, scopes: [webhook] }
    - { bearer: root-token-0123456789, name: root }
store: sqlite:watchfire.db
channels: { ops: { log: {} } }
route: { to: [ops] }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_noisy_sender_is_limited_and_a_quiet_one_is_not() {
    let app = TestApp::start(ROUTES).await;
    let post = async |token: &str, n: usize| {
        let group = format!("{token}{n}");
        app.http.post(app.url("/webhook")).bearer_auth(token).json(&alert(&group, "Down", "firing")).send().await.unwrap()
    };
    let mut accepted = 0;
    for n in 0..30 {
        let answer = post("noisy-token-0123456789", n).await;
        if answer.status() == StatusCode::OK {
            accepted += 1;
            continue;
        }
        let wait: u32 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status == StatusCode::SERVICE_UNAVAILABLE && (1..=60).contains(&wait), "Alertmanager repeats 5xx alone: {status}, {wait}");
        assert!(text.starts_with("more than 5 requests of `noisy` in this minute (server.limits.per_sender)"), "{text}");
    }
    // A minute may have ended meanwhile.
    assert!(accepted == 5 || accepted == 10, "{accepted}");
    for n in 0..4 {
        assert_eq!(post("quiet-token-0123456789", n).await.status(), StatusCode::OK);
    }
    let read = async |path: &str| app.http.get(app.url(path)).bearer_auth("root-token-0123456789").send().await.unwrap().text().await.unwrap();
    for _ in 0..8 {
        read("/api/v1/channels").await;
    }
    let ready = read("/-/ready").await;
    let told = format!("note: {} requests of the sender noisy were refused since the start", 30 - accepted);
    assert!(ready.starts_with("ready\n") && ready.contains(&told) && !ready.contains("sender quiet"), "{ready}");
    assert!(!ready.contains("sender root"), "reading is not limited: {ready}");
    let metrics = read("/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with("watchfire_received_total{") && line.contains("outcome=\"limited\"")).unwrap();
    assert!(line.ends_with(&format!(" {}", 30 - accepted)), "{line}");
    let rows: serde_json::Value = loop {
        let rows: serde_json::Value = serde_json::from_str(&read("/api/v1/deliveries?limit=100").await).unwrap();
        if rows["deliveries"].as_array().unwrap().iter().all(|row| row["state"] == State::Sent.as_str()) {
            break rows;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(rows["deliveries"].as_array().unwrap().len(), accepted + 4, "what was admitted is delivered");
}

async fn first_bytes(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = vec![0; 4096];
    let n = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_holds_its_requests_open_leaves_places_to_others() {
    let app = TestApp::start(&ROUTES.replace("per_sender: 5", "concurrent: 4")).await;
    let head = "POST /webhook HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer noisy-token-0123456789\r\nContent-Length: 1000\r\n\r\n";
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = tokio::net::TcpStream::connect(app.app.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        open.push(stream);
    }
    // Three wait for the rest of their bodies; whichever comes last is refused at once.
    let (answer, ..) = futures_util::future::select_all(open.iter_mut().map(|stream| Box::pin(first_bytes(stream)))).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let post = async |token: &str| app.http.post(app.url("/webhook")).bearer_auth(token).json(&alert("g", "Down", "firing")).send().await.unwrap();
    assert_eq!(post("quiet-token-0123456789").await.status(), StatusCode::OK, "another sender is not affected");
    let refused = post("noisy-token-0123456789").await;
    assert!(refused.headers().contains_key("retry-after"));
    let text = refused.text().await.unwrap();
    assert!(text.starts_with("3 requests of `noisy` are being worked on, all but an eighth of server.limits.concurrent"), "{text}");
    drop(open);
    let end = tokio::time::Instant::now() + SOON;
    while post("noisy-token-0123456789").await.status() != StatusCode::OK {
        assert!(tokio::time::Instant::now() < end, "its places are not given back");
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
}
