//! Trouble on the way to a platform, each kind with its expected outcome; then mixes of all of them by a seeded random source.

use std::time::Duration;

use watchfire::store::{AttemptKind, AttemptRow, DeliveryRow, State};

use crate::support::app::{Four, SOON, TestApp, alert};
use crate::support::fakes::fault::Fault;

/// Slack alone, impatient and without a pace.
async fn slack_only() -> (Four, TestApp) {
    let four = Four::start().await;
    four.slack.unpaced();
    let routes = four
        .routes()
        .replace("ops-slack: { slack", "ops-slack: { timeout: 1s, rate_limit: off, slack")
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
    let app = TestApp::start(&routes).await;
    (four, app)
}

async fn attempts(app: &TestApp, row: &DeliveryRow) -> Vec<(String, String)> {
    let detail = app.delivery(row.id).await;
    let kind = |attempt: &AttemptRow| attempt.kind.map_or("", AttemptKind::as_str).to_owned();
    let all = detail.earlier_attempts.iter().chain(detail.message.iter().flat_map(|message| &message.attempts));
    all.map(|attempt| (kind(attempt), attempt.answer.clone().unwrap_or_default())).collect()
}

struct Case {
    name: &'static str,
    fault: Fault,
    /// What the failed attempt is recorded as.
    kind: &'static str,
    /// Words its record must hold, for the reader at night.
    says: &'static str,
    /// How often the platform has taken the message in the end: twice where it had taken it and could not say so.
    taken: usize,
    /// Tries spent on the delivery.
    tries: u32,
}

fn case(name: &'static str, fault: Fault, kind: &'static str, says: &'static str, taken: usize, tries: u32) -> Case {
    Case { name, fault, kind, says, taken, tries }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_trouble_has_its_outcome() {
    let drip = Duration::from_millis(200);
    let cases = [
        case("the connection is closed before the answer", Fault::CloseBefore, "ambiguous", "", 1, 2),
        case("the connection is reset", Fault::Reset, "ambiguous", "", 1, 2),
        case("taken, then closed without an answer", Fault::CloseAfter, "ambiguous", "", 2, 2),
        case("taken, then reset", Fault::ResetAfter, "ambiguous", "", 2, 2),
        case("never answered", Fault::Hang, "ambiguous", "did not answer in time", 1, 2),
        case("taken and never answered", Fault::HangAfter, "ambiguous", "did not answer in time", 2, 2),
        case("answered a byte at a time", Fault::Drip(drip), "ambiguous", "in time", 2, 2),
        case("500", Fault::Status(500, None), "transient", "500", 1, 2),
        case("503 of a gateway, as HTML", Fault::Html(503), "transient", "503", 1, 2),
        case("200 with HTML", Fault::Html(200), "transient", "login page", 1, 2),
        case("429 with a time to wait", Fault::Status(429, Some(1)), "rate_limited", "", 1, 1),
        case("half an answer", Fault::Truncate, "ambiguous", "", 2, 2),
        case("an answer cut off", Fault::Cut, "ambiguous", "", 2, 2),
        case("an answer without end", Fault::Huge(8 << 20), "", "", 0, 0),
        case("the wrong content type", Fault::WrongType, "ok", "", 1, 1),
        case("closed for a second", Fault::Down(Duration::from_secs(1)), "", "", 1, 0),
    ];
    let (four, app) = slack_only().await;
    for (n, case) in cases.iter().enumerate() {
        let before = four.slack.rec.accepted().len();
        four.slack.faults.push(case.fault.clone());
        let (code, _) = app.post("/webhook", &alert(&format!("g{n}"), &format!("Trouble{n}"), "firing")).await;
        assert_eq!(code, 200, "{}", case.name);
        let rows = app.settled().await;
        let row = rows.iter().find(|r| r.title.contains(&format!("Trouble{n}"))).unwrap();
        assert_eq!(row.state, State::Sent, "{}: {row:#?}", case.name);
        let all = attempts(&app, row).await;
        println!("{}: {all:?}", case.name);
        assert_eq!(all.last().map(|a| a.0.as_str()), Some("ok"), "{}: {all:?}", case.name);
        if !case.kind.is_empty() {
            assert_eq!(all[0].0, case.kind, "{}: {all:?}", case.name);
            assert!(all[0].1.contains(case.says), "{}: {all:?}", case.name);
            assert_eq!(row.tries, case.tries, "{}: {all:?}", case.name);
        }
        let taken = four.slack.rec.accepted().len() - before;
        assert!(if case.taken == 0 { taken >= 1 } else { taken == case.taken }, "{}: taken {taken} times; {all:?}", case.name);
    }
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expired_is_renewed_within_the_attempt() {
    let four = Four::start().await;
    let routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-wecom]");
    let app = TestApp::start(&routes).await;
    app.post("/webhook", &alert("one", "One", "firing")).await;
    app.settled().await;
    four.wecom
        .faults
        .push_on("/message/send", Fault::Reply(200, "application/json".into(), r#"{"errcode":42001,"errmsg":"access_token expired"}"#.into()));
    app.post("/webhook", &alert("two", "Two", "firing")).await;
    let rows = app.settled().await;
    let row = rows.iter().find(|r| r.title.contains("Two")).unwrap();
    assert_eq!((row.state, row.tries), (State::Sent, 1), "{row:#?}");
    assert_eq!(attempts(&app, row).await.len(), 1, "one attempt: the renewal happens within it");
}

/// Chances in the mix; a third of all requests meet trouble.
fn mix(own: &[Fault]) -> Vec<(f64, Fault)> {
    // Less of what may have been delivered: it is repeated three times, not forever.
    let one = |fault| (0.03, fault);
    let unknown = |fault| (0.015, fault);
    let mut mix = vec![
        one(Fault::Status(500, None)),
        one(Fault::Html(502)),
        unknown(Fault::CloseBefore),
        unknown(Fault::CloseAfter),
        unknown(Fault::Reset),
        unknown(Fault::ResetAfter),
        unknown(Fault::Truncate),
        unknown(Fault::Cut),
        (0.01, Fault::Hang),
        (0.01, Fault::Down(Duration::from_millis(300))),
    ];
    mix.extend(own.iter().cloned().map(one));
    mix
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_trouble_loses_nothing() {
    let seed: u64 = std::env::var("WATCHFIRE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| u64::from(std::process::id()));
    println!("seed {seed} (WATCHFIRE_SEED={seed} draws the same)");
    let four = Four::start().await;
    for rec in [&four.slack.rec, &four.ding.rec, &four.wecom.rec] {
        rec.track("uid-");
    }
    four.slack.unpaced();
    // What makes DingTalk's robots rest for minutes has tests of its own.
    four.slack.faults.lottery(seed, &mix(&[Fault::Html(200), Fault::Status(429, Some(1))]));
    four.ding.unpaced();
    four.ding.faults.lottery(seed + 1, &mix(&[]));
    four.wecom.faults.lottery(seed + 2, &mix(&[Fault::Html(200)]));
    let mut routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack, ops-ding, ops-wecom]");
    for platform in ["slack: {", "dingtalk: {", "wecom: {"] {
        routes = routes.replacen(&format!(": {{ {platform}"), &format!(": {{ timeout: 1s, rate_limit: off, {platform}"), 1);
    }
    let app = TestApp::start(&routes).await;
    let events = 60;
    let mut posts = tokio::task::JoinSet::new();
    for n in 0..events {
        let (client, url) = (app.http.clone(), app.url("/webhook"));
        posts.spawn(async move {
            let body = alert(&format!("g{}", n % 20), &format!("uid-{n:04}"), "firing");
            client.post(url).json(&body).send().await.unwrap().status().as_u16()
        });
    }
    while let Some(status) = posts.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    let all_named =
        |rec: &crate::support::fakes::recorder::Recorder| (0..events).filter(|n| !rec.seen().contains_key(&format!("uid-{n:04}"))).count();
    // The faults stop after a while, so that the end is sure: what is proved is that nothing was lost on the way. Somebody who did not answer three times is
    // asked again after five minutes at most.
    let calm = tokio::time::Instant::now() + SOON;
    let end = calm + Duration::from_secs(320);
    loop {
        let left = all_named(&four.slack.rec) + all_named(&four.ding.rec) + all_named(&four.wecom.rec);
        let (_, open) = app.get("/api/v1/deliveries?state=waiting&limit=500").await;
        let open = open["deliveries"].as_array().unwrap();
        if left == 0 && open.is_empty() {
            break;
        }
        if tokio::time::Instant::now() >= end {
            let (_, channels) = app.get("/api/v1/channels").await;
            panic!("seed {seed}: {left} alerts not named, {} deliveries still open: {open:#?}; {channels:#}", open.len());
        }
        if tokio::time::Instant::now() > calm {
            four.slack.faults.clear();
            four.ding.faults.clear();
            four.wecom.faults.clear();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (_, dead) = app.get("/api/v1/deliveries?state=dead&limit=500").await;
    assert_eq!(dead["deliveries"].as_array().unwrap().len(), 0, "seed {seed}: {dead:#}");
    app.app.stop(Duration::from_secs(5)).await;
}
