//! A held channel's fallback begins at once: for what waits when it is held, and for what comes while it is.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::app::{Four, SOON, TestApp, alert};

/// Sooner than any round that looks for what waits: those come every five seconds.
const AT_ONCE: Duration = Duration::from_millis(3500);

#[tokio::test(flavor = "multi_thread")]
async fn the_fallback_of_a_held_channel_begins_at_once() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]")
        .replace("token: xoxb-test-token", "token: xoxb-revoked-token")
        .replace("ops-slack: {", "ops-slack: { fallback: [ops-wecom],");
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
}
