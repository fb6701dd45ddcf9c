//! Silences and the end of the process, with the real Alertmanager: what ended while nothing ran is concluded after the start, and a kill makes no second silence.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use watchfire::delivery::Clock;
use watchfire::store::{IncidentState, SilenceState};

use crate::crash::{free_port, serve, up};
use crate::prometheus_e2e::port;
use crate::silences::{Alertmanager, Lost, incident, is_installed, proxy, routes, shows, silence, until};
use crate::support::app::TestApp;
use crate::support::fakes::{Fake, Slack};

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_under_a_silence_while_nothing_ran_is_over_after_the_start() {
    if !is_installed() {
        return;
    }
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let app = TestApp::start(&routes(&slack, &format!("http://127.0.0.1:{port}"))).await;
    let alertmanager = Alertmanager::start(folder.path(), port, &app.url("/webhook")).await;
    alertmanager.report(true).await;
    until("the alert comes", async || app.get("/api/v1/incidents/1").await.0.eq(&200).then_some(())).await;
    silence(&app).await;
    let shown = incident(&app).await.incident;
    assert_eq!((shown.state, shown.silence.map(|silence| silence.state)), (IncidentState::Snoozed, Some(SilenceState::Active)));
    // It is polled every ten seconds: nothing sees this end before the stop.
    alertmanager.report(false).await;
    let clock = Clock::runtime((jiff::Timestamp::now() + Duration::from_secs(60)).into());
    let app = app.restart_with(|options| options.clock = clock).await;
    until("the incident ends", async || (incident(&app).await.incident.state == IncidentState::Resolved).then_some(())).await;
    shows(&slack, "Resolved").await;
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "nobody else takes a silence for 15 s after it was taken: `.ci/long nights`"]
async fn a_kill_while_a_silence_is_made_makes_no_second_one() {
    if !is_installed() {
        return;
    }
    watchfire::channel::kit::install_crypto();
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let (folder, home, port, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), port(), free_port());
    let (proxy, made) = proxy(format!("http://127.0.0.1:{port}"), Lost::Every).await;
    let routes = routes(&slack, &proxy).replace("127.0.0.1:0", &format!("127.0.0.1:{own}"));
    std::fs::write(home.path().join("routes.yaml"), routes).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = move |path: &str| format!("http://127.0.0.1:{own}{path}");
    let mut child = serve(home.path(), own);
    up(&client, own).await;
    let alertmanager = Alertmanager::start(folder.path(), port, &url("/webhook")).await;
    alertmanager.report(true).await;
    let read = async || client.get(url("/api/v1/incidents/1")).send().await.unwrap();
    until("the alert comes", async || read().await.status().is_success().then_some(())).await;
    let asked = client.post(url("/api/v1/incidents/1/silence")).json(&json!({ "for": "2h", "by": "ann" }));
    let asking = tokio::spawn(asked.send());
    until("it is made", async || (made.load(Ordering::SeqCst) == 1).then_some(())).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = asking.await;
    assert_eq!(alertmanager.silences().len(), 1, "it is there, and nobody knows");
    let mut child = serve(home.path(), own);
    up(&client, own).await;
    until("it is confirmed", async || {
        let shown: Value = read().await.json().await.unwrap();
        (shown["incident"]["silence"]["state"] == "active" || shown["silence"]["state"] == "active").then_some(())
    })
    .await;
    assert_eq!((made.load(Ordering::SeqCst), alertmanager.silences().len()), (1, 1), "it was found by its token");
    child.kill().unwrap();
    child.wait().unwrap();
}
