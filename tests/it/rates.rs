//! How fast and how often platforms are asked: documented bursts, what they count against whom, waits that make no loop, restarts that wait for
//! nothing, and channels that one bad message does not hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::time::Instant;
use watchfire::store::State;

use crate::support::app::{Four, SOON, TestApp, alert};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::{Discord, Fake};

/// A receiver of webhooks that answers by what the body holds.
async fn receiver(answer: impl Fn(&str) -> (StatusCode, Option<&'static str>) + Clone + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let handler = move |body: String| {
        counted.fetch_add(1, Ordering::SeqCst);
        let (status, wait) = answer(&body);
        async move {
            let mut response = status.into_response();
            if let Some(wait) = wait {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(wait));
            }
            response
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await.unwrap() });
    (url, asked)
}

fn webhook(url: &str, more: &str) -> String {
    format!(
        "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n  ops: {{ webhook: {{ url: \"{url}\", allow_networks: [\"127.0.0.1\"] }}{more} }}\n\
         route: {{ to: [ops] }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_of_nothing_makes_no_loop() {
    let asked_often = async |wait: &'static str, status| {
        let (url, asked) = receiver(move |_| (status, Some(wait))).await;
        let app = TestApp::start(&webhook(&url, "")).await;
        for n in 0..50 {
            app.post("/webhook", &alert(&format!("g{n}"), "Busy", "firing")).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let asked = asked.load(Ordering::SeqCst);
        assert!(asked <= 64 + 4, "{status} with `Retry-After: {wait}`: asked {asked} times in 3 s for 50 alerts");
        app.app.stop(Duration::from_secs(5)).await;
    };
    let waits = ["0", "-3", "0.001", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"];
    let statuses = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    let all = waits.iter().flat_map(|wait| statuses.map(|status| asked_often(wait, status)));
    futures_util::future::join_all(all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_that_is_refused_does_not_hold_the_others() {
    let (url, asked) = receiver(|body| if body.contains("Poison") { (StatusCode::UNAUTHORIZED, None) } else { (StatusCode::OK, None) }).await;
    let app = TestApp::start(&webhook(&url, "")).await;
    app.post("/webhook", &alert("p", "Poison", "firing")).await;
    for n in 0..6 {
        app.post("/webhook", &alert(&format!("g{n}"), &format!("Fine{n}"), "firing")).await;
    }
    let rows = app.settled().await;
    let (poison, fine): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.title.contains("Poison"));
    assert!(fine.len() == 6 && fine.iter().all(|row| row.state == State::Sent), "{fine:#?}");
    assert_eq!(poison[0].state, State::Dead, "{poison:#?}");
    assert!(poison[0].reason.as_deref().unwrap().contains("other messages pass"), "{poison:#?}");
    assert!(asked.load(Ordering::SeqCst) < 20, "asked {} times", asked.load(Ordering::SeqCst));
    let (_, channels) = app.get("/api/v1/channels").await;
    assert!(channels["channels"][0]["suspended"].is_null(), "{channels:#}");
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_restart_waits_for_nothing() {
    let (url, _) = receiver(|_| (StatusCode::OK, None)).await;
    let app = TestApp::start(&webhook(&url, ", rate_limit: { per_minute: 20 }")).await;
    app.post("/webhook", &alert("a", "Before", "firing")).await;
    app.settled().await;
    let app = app.restart().await;
    let begin = Instant::now();
    app.post("/webhook", &alert("b", "After", "firing")).await;
    app.settled().await;
    assert!(begin.elapsed() < Duration::from_secs(10), "took {:?}", begin.elapsed());
    app.app.stop(Duration::from_secs(5)).await;
}

/// A pause belongs to the credential that was limited: another one, put in its place by a reload, sends what waits at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_with_the_credential_that_was_limited() {
    let (first, second) = (Fake::start(Discord::new("1", "one")).await, Fake::start(Discord::new("2", "two")).await);
    first.faults.always(Fault::Headed(429, vec![("retry-after".to_owned(), "3600".to_owned())], String::new()));
    let routes = |hook: String| {
        format!(
            "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n  ops: {{ discord: {{ webhook: \"{hook}\" }} }}\nroute: {{ to: [ops] }}\n"
        )
    };
    let app = TestApp::start(&routes(format!("{}/api/webhooks/1/one", first.url()))).await;
    for name in ["First", "Second"] {
        app.post("/webhook", &alert(name, name, "firing")).await;
    }
    assert!(first.rec.wait(SOON, |rec| rec.total() > 0).await);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(first.rec.total() <= 2, "asked {} times", first.rec.total());
    std::fs::write(app.folder.path().join("routes.yaml"), routes(format!("{}/api/webhooks/2/two", second.url()))).unwrap();
    app.app.reload().await.unwrap();
    let rows = app.settled().await;
    assert!(rows.iter().all(|row| row.state == State::Sent) && second.rec.accepted().len() == 2, "{rows:#?}");
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_goes_where_the_platform_documents_one() {
    let four = Four::start().await;
    four.slack.unpaced();
    let app = TestApp::start(&four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]")).await;
    let begin = Instant::now();
    for n in 0..12 {
        app.post("/webhook", &alert(&format!("g{n}"), &format!("Burst{n}"), "firing")).await;
    }
    app.settled().await;
    assert!(begin.elapsed() < Duration::from_secs(10), "12 critical groups to Slack took {:?}", begin.elapsed());
    app.app.stop(Duration::from_secs(5)).await;
    let app = TestApp::start(&four.routes()).await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (client, url) = (app.http.clone(), app.url("/slack/send/message"));
        calls.spawn(async move {
            let answer = client.post(url).json(&json!({ "channel": "ops", "content": format!("call {n}") })).send().await.unwrap();
            answer.json::<Value>().await.unwrap()
        });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| answer["code"] == 0), "{answers:?}");
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_wecom_are_counted_each_by_itself() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let send = async |member: &str| app.post("/wx/apps/send", &json!({ "touser": member, "agentid": 1000002, "content": "x" })).await.1;
    for n in 0..30 {
        assert_eq!(send("zhangsan").await["code"], 0, "{n}");
    }
    let begin = Instant::now();
    for n in 0..5 {
        assert_eq!(send("lisi").await["code"], 0, "the other member, {n}");
    }
    assert!(begin.elapsed() < SOON / 2, "took {:?}", begin.elapsed());
    let more = send("ZhangSan|lisi").await;
    assert_eq!(more["code"], 1, "the 31st within a minute would be dropped in silence: {more}");
    assert_eq!(app.deliveries("").await.iter().filter(|row| row.state == State::Expired).count(), 1);
    app.app.stop(Duration::from_secs(5)).await;
}
