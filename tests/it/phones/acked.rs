//! No call begins for what somebody is on, whatever it waited for, and the end of the ack calls.

use serde_json::json;
use watchfire::store::State;

use super::{Vendors, pairs, states};
use crate::support::app::{SOON, TestApp, alert};

const NUMBER: &str = "+8613800000001";

impl Vendors {
    /// How many calls Twilio was asked for.
    fn calls(&self) -> usize {
        self.twilio.rec.all().iter().filter(|record| record.call.path.ends_with("/Calls.json")).count()
    }
}

/// Everything goes to these channels, and calls about it are muted.
async fn muted(vendors: &Vendors, to: &str) -> TestApp {
    let routes = vendors.routes().replace("route: { to: [night] }", &format!("route: {{ to: [{to}] }}"));
    let routes = routes.replace("channels:\n", "channels:\n  terminal: { log: {} }\n");
    let app = TestApp::start(&routes.replace("sms: { twilio_sms", "sms: { fallback: [call], twilio_sms")).await;
    let mute = json!({ "matchers": ["channel=\"call\"", "group=\"db\""], "for": "1h", "reason": "an exercise" });
    let (status, answer) = app.post("/api/v1/mutes", &mute).await;
    assert_eq!(status, 200, "{answer}");
    app
}

/// Waits until the call waits, has somebody ack what it is about, and ends the mute.
async fn acked_meanwhile(app: &TestApp) {
    app.until("channel=call", |rows| rows.iter().any(|row| row.state == State::Deferred)).await;
    let (status, answer) = app.post("/api/v1/incidents/1/ack", &json!({ "by": "ann" })).await;
    assert_eq!(status, 200, "{answer}");
    let ended = app.http.delete(app.url("/api/v1/mutes?matchers=channel%3D%22call%22&matchers=group%3D%22db%22")).send().await.unwrap();
    assert_eq!(ended.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waited_is_not_begun_for_what_somebody_is_on() {
    let vendors = Vendors::start().await;
    let app = muted(&vendors, "terminal, call").await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    acked_meanwhile(&app).await;
    let rows = app.settled().await;
    assert_eq!(states(&rows), pairs(&[("call", "skipped"), ("terminal", "sent")]), "{rows:#?}");
    let skipped = rows.iter().find(|row| row.channel == "call").unwrap();
    assert_eq!(skipped.reason.as_deref(), Some("acked by ann"));
    assert_eq!(vendors.calls(), 0);
    // Nobody is on it any more: now the phone rings.
    assert_eq!(app.post("/api/v1/incidents/1/unack", &json!({})).await.0, 200);
    app.until("channel=call&state=sent", |rows| rows.len() == 1).await;
    assert_eq!(vendors.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_calls_nobody_for_what_somebody_is_on() {
    let vendors = Vendors::start().await;
    vendors.twilio.with(|twilio| twilio.refused.insert(NUMBER.into(), 21610));
    let app = muted(&vendors, "sms").await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    acked_meanwhile(&app).await;
    let rows = app.settled().await;
    assert_eq!(states(&rows), pairs(&[("call", "skipped"), ("sms", "dead")]), "{rows:#?}");
    let skipped = rows.iter().find(|row| row.channel == "call").unwrap();
    assert_eq!(skipped.reason.as_deref(), Some("acked by ann"));
    assert_eq!(vendors.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_cancels_what_still_rings_at_everybody_who_is_called() {
    let vendors = Vendors::start().await;
    let (one, two) = (format!("to: [\"{NUMBER}\"]"), format!("to: [\"{NUMBER}\", \"+8613800000002\"]"));
    let voice = "twilio_voice: { account_sid: AC1, auth_token: twilio-token, from: \"+15005550006\", ";
    let routes =
        vendors.routes().replace(&format!("{voice}{one}"), &format!("{voice}{two}")).replace("route: { to: [night] }", "route: { to: [call] }");
    let app = TestApp::start(&routes).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.until("channel=call&state=sent", |rows| rows.len() == 1).await;
    assert_eq!(vendors.calls(), 2);
    let (status, answer) = app.post("/api/v1/incidents/1/ack", &json!({ "by": "ann" })).await;
    assert_eq!(status, 200, "{answer}");
    let cancelled = || vendors.twilio.rec.accepted().iter().filter(|record| record.text == "canceled").count();
    let end = tokio::time::Instant::now() + SOON;
    while cancelled() < 2 {
        assert!(tokio::time::Instant::now() < end, "{} of 2 are cancelled", cancelled());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
