//! A channel's platform is asked from the console, and a held channel is tried when somebody says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use serde_json::Value;

use super::{Browser, READER, ROOT, TEAM, fire, guarded};
use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::server::Fake;
use crate::support::fakes::slack::{Room, Slack};

/// What the API says of a channel.
async fn state(app: &TestApp, name: &str) -> Value {
    let answer = app.http.get(app.url("/api/v1/channels")).bearer_auth(ROOT).send().await.unwrap().json::<Value>().await.unwrap();
    answer["channels"].as_array().unwrap().iter().find(|channel| channel["name"] == name).unwrap().clone()
}

/// Waits until a channel is held, or is not any more.
async fn until_held(app: &TestApp, name: &str, held: bool) -> Value {
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let state = state(app, name).await;
        if state["suspended"].is_string() == held {
            return state;
        }
        assert!(tokio::time::Instant::now() < end, "{state:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_is_asked_about_one_channel_and_its_answer_is_shown_and_recorded() {
    let slack = Fake::start(Slack::new("xoxb-good-token").channel("C0123", "#ops", Room::Open)).await;
    let channel = |token: &str| format!("{{ slack: {{ token: {token}, channel: C0123, api_base: '{}' }} }}", slack.url());
    let yaml = guarded()
        .replace("ours: { log: {} }", &format!("ours: {}", channel("xoxb-good-token")))
        .replace("theirs: { log: {} }", &format!("theirs: {}", channel("xoxb-revoked-token")));
    let app = TestApp::start(&yaml).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    let asked = ann.page("/ui/channels/ours/confirm/probe").await;
    assert!(asked.contains("Ask the platform of ours") && asked.contains("action=\"/ui/channels/ours/probe\""), "{asked}");
    let good = ann.post("/ui/channels/ours/probe", &[]).await.text().await.unwrap();
    assert!(good.contains("The platform accepts the credentials"), "{good}");
    let bad = ann.post("/ui/channels/theirs/probe", &[]).await.text().await.unwrap();
    assert!(bad.contains("The channel cannot deliver as configured") && bad.contains("invalid_auth"), "{bad}");
    let deliveries = app.http.get(app.url("/api/v1/deliveries")).bearer_auth(ROOT).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(deliveries["deliveries"].as_array().unwrap().len(), 0, "nothing was sent");
    let audit = ann.page("/ui/audit").await;
    assert!(audit.contains("probe") && audit.contains("channel ours") && audit.contains("accepted") && audit.contains("invalid_auth"), "{audit}");
    let zh = ann.http.get(app.url("/ui/channels/ours/confirm/probe")).headers(ann.headers()).header("accept-language", "zh-CN").send().await.unwrap();
    assert!(zh.text().await.unwrap().contains("询问平台：ours"));
    // Nobody asks who may not act, or about channels of others.
    let mut reader = Browser::of(&app);
    reader.log_in("", READER).await;
    assert_eq!(reader.post("/ui/channels/ours/probe", &[]).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(reader.get("/ui/channels/ours/confirm/probe").await.status(), StatusCode::FORBIDDEN);
    let mut team = Browser::of(&app);
    team.log_in("", TEAM).await;
    assert_eq!(team.post("/ui/channels/theirs/probe", &[]).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(ann.post("/ui/channels/none/probe", &[]).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_channel_is_tried_when_somebody_says_so_and_not_only_when_its_wait_is_over() {
    let accepts = Arc::new(AtomicBool::new(false));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("theirs: {{ webhook: {{ url: 'http://{}/', allow_networks: [127.0.0.1] }} }}", listener.local_addr().unwrap());
    let works = accepts.clone();
    let answer = async move || if works.load(Ordering::Relaxed) { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    let app = TestApp::start(&guarded().replace("theirs: { log: {} }", &hook)).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    fire(&app, Some(ROOT), &alert("theirs", "Down", "firing")).await;
    until_held(&app, "theirs", true).await;
    let (led, why) = (ann.page("/ui/route?labels=group%3Dtheirs").await, "the credentials are not accepted");
    assert!(led.contains("Held: ") && led.contains(why), "{led}");
    let zh = ann.http.get(app.url("/ui/route?labels=group%3Dtheirs")).headers(ann.headers()).header("accept-language", "zh-CN").send().await.unwrap();
    let zh = zh.text().await.unwrap();
    assert!(zh.contains("已挂起：") && zh.contains("凭证未被接受") && !zh.contains(why), "{zh}");
    let page = ann.page("/ui/channels").await;
    assert!(page.contains("1 held") && page.contains("The platform’s last answer: ") && page.contains("401"), "{page}");
    assert!(page.contains("Tried next ") && page.contains("href=\"/ui/channels/theirs/confirm/probe\""), "{page}");
    // A trial that is refused makes the wait longer: 10 s.
    let next = async || state(&app, "theirs").await["next_try_at"].as_i64();
    let before = next().await;
    let answer = ann.post("/ui/channels/theirs/probe", &[]).await.text().await.unwrap();
    assert!(answer.contains("The platform cannot be asked without sending"), "{answer}");
    let end = tokio::time::Instant::now() + SOON;
    // While it is tried, nothing is next.
    let waits = loop {
        match next().await {
            Some(at) if Some(at) > before => break at,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        assert!(tokio::time::Instant::now() < end, "it is tried");
    };
    accepts.store(true, Ordering::Relaxed);
    ann.post("/ui/channels/theirs/probe", &[]).await;
    until_held(&app, "theirs", false).await;
    let answer = app.http.get(app.url("/api/v1/deliveries?channel=theirs&state=sent")).bearer_auth(ROOT).send().await.unwrap();
    let rows = answer.json::<Value>().await.unwrap()["deliveries"].clone();
    assert!(rows[0]["done_at"].as_i64().unwrap() < waits, "before its wait was over at {waits}: {rows:#}");
}

/// It shares its credential with another channel, whose refusals are nothing to it; nothing is sent to it either.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_channel_needs_no_attention_and_what_is_routed_to_it_is_said_to_be_skipped() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("webhook: {{ url: 'http://{}/', allow_networks: [127.0.0.1] }}", listener.local_addr().unwrap());
    let refuse = async || StatusCode::UNAUTHORIZED;
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(refuse)).await.unwrap() });
    let yaml = guarded()
        .replace("ours: { log: {} }", &format!("ours: {{ {hook}, disabled: true }}"))
        .replace("theirs: { log: {} }", &format!("theirs: {{ {hook} }}"));
    let (app, hand) = TestApp::start_timed(&yaml).await;
    let mut ann = Browser::of(&app);
    ann.log_in("ann", "pässword 1234567890").await;
    fire(&app, Some(ROOT), &alert("theirs", "Down", "firing")).await;
    until_held(&app, "theirs", true).await;
    let page = ann.page("/ui/channels").await;
    assert!(page.contains("1 held") && page.contains("Disabled") && !page.contains("/ui/channels/ours/confirm"), "{page}");
    let page = ann.page("/ui").await;
    assert!(page.contains("<b>theirs is held</b>") && !page.contains("channels are held"), "{page}");
    let led = ann.page("/ui/route?labels=a%3Db").await;
    assert!(led.contains("<b>ours</b>") && led.contains("disabled: it is skipped") && !led.contains("Held: "), "{led}");
    // What waits on the other says why.
    let page = ann.page("/ui/incidents/1").await;
    assert!(page.contains("<b>theirs</b></a>: Waiting") && page.contains("the credentials are not accepted"), "{page}");
    // What came later was never tried, and waits as well.
    fire(&app, Some(ROOT), &alert("theirs", "Full", "firing")).await;
    let answer = app.http.get(app.url("/api/v1/deliveries?channel=theirs")).bearer_auth(ROOT).send().await.unwrap();
    let newest = answer.json::<Value>().await.unwrap()["deliveries"][0]["id"].clone();
    hand.jump(61_000);
    let page = ann.page("/ui/incidents/1").await;
    let happened = page.split("What happened").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(happened.contains(&format!("/ui/deliveries/{}", newest.as_str().unwrap())), "{happened}");
}
