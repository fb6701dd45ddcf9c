//! A held channel's fallback begins at once: for what waits when it is held, and for what comes while it is.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use tokio::time::Instant;

use crate::support::app::{Four, SOON, TestApp, alert};
use crate::support::postgres::Postgres;

/// Sooner than any round that looks for what waits: those come every five seconds.
const AT_ONCE: Duration = Duration::from_millis(3500);

#[tokio::test(flavor = "multi_thread")]
async fn the_fallback_of_a_held_channel_begins_at_once() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]")
        .replace("token: xoxb-test-token", "token: xoxb-revoked-token")
        .replace("ops-slack: {", "ops-slack: { fallback: [ops-wecom], fallback_after: 1h,");
    let app = TestApp::start(&routes).await;
    // Not with the round that every start begins with.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for round in 1..=3 {
        let begun = Instant::now();
        app.post("/webhook", &alert(&format!("db{round}"), "Down", "firing")).await;
        assert!(four.wecom.rec.wait(SOON, |seen| seen.accepted().len() == round).await, "round {round}");
        assert!(begun.elapsed() < AT_ONCE, "round {round} took {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    let held = app.until("channel=ops-slack", |rows| rows.len() == 3).await[0].id;
    let next = app.get(&format!("/api/v1/deliveries/{held}")).await.1["next"].as_str().unwrap().to_owned();
    assert!(next.contains("suspended") && next.contains("given up after") && !next.contains("copied to"), "it has its copy: {next}");
}

/// A webhook whose server refuses the credentials.
async fn refusing() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("webhook: {{ url: 'http://{}/', allow_networks: [127.0.0.1] }}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(|| async { StatusCode::UNAUTHORIZED })).await.unwrap() });
    hook
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_one_node_holds_is_held_on_the_page_of_every_node() {
    let Some(database) = Postgres::start() else { return };
    let routes = format!(
        "server: {{ listen: '127.0.0.1:0' }}\nstore: {}\nchannels: {{ held: {{ {} }} }}\nroute: {{ to: [held] }}\n",
        database.url(),
        refusing().await
    );
    let nodes = [TestApp::start(&routes).await, TestApp::start(&routes).await];
    nodes[0].post("/webhook", &alert("db", "Down", "firing")).await;
    let end = Instant::now() + SOON;
    for node in &nodes {
        while !node.get("/api/v1/channels").await.1["channels"][0]["suspended"].is_string() {
            assert!(Instant::now() < end, "{:#}", node.get("/api/v1/channels").await.1);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_channel_says_when_it_is_tried_next_and_how_much_of_its_rate_it_used() {
    let hook = refusing().await;
    let app = TestApp::start(&format!(
        "server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\nchannels: {{ held: {{ {hook}, rate_limit: {{ per_minute: 20 }} }}, works: {{ log: {{}}, rate_limit: off }} }}\n\
         route: {{ to: [held, works] }}\n"
    ))
    .await;
    app.post("/webhook", &alert("db", "Down", "firing")).await;
    let end = Instant::now() + SOON;
    let channels = loop {
        let channels = app.get("/api/v1/channels").await.1["channels"].clone();
        if channels[0]["suspended"].is_string() {
            break channels;
        }
        assert!(Instant::now() < end, "{channels:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let (held, works) = (&channels[0], &channels[1]);
    let wait = held["next_try_at"].as_i64().unwrap() - held["suspended_since"].as_i64().unwrap();
    assert!(wait >= 4999, "the first trial is 5 s later, and shown in milliseconds: {held:#}");
    assert_eq!((held["rate_limit"].as_str().unwrap(), held["per_minute"].as_u64()), ("20 per 1m, 20 per 1s", Some(20)));
    assert!((1..=20).contains(&held["sent_last_minute"].as_u64().unwrap()), "{held:#}");
    assert_eq!((works["rate_limit"].as_str().unwrap(), works["per_minute"].as_u64()), ("off", None));
    assert!(works["next_try_at"].is_null() && works["suspended"].is_null(), "{works:#}");
}
