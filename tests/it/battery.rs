//! The promises every platform keeps, walked over the registry: each trouble is classified as what it is, within the time limit, and without a secret in it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire::store::State;

use crate::support::all::{All, Member, platform_answers};
use crate::support::app::{TestApp, alert};
use crate::support::fakes::fault::Fault;

async fn test(app: &TestApp, member: &Member) -> Value {
    let channel = member.channel;
    let (_, answer) = app.post(&format!("/api/v1/channels/{channel}/test"), &json!({ "text": "battery" })).await;
    let text = answer.to_string();
    for secret in member.secrets {
        assert!(!text.contains(secret), "{channel} shows a secret: {text}");
    }
    answer["results"][0].clone()
}

#[tokio::test]
async fn the_battery_covers_every_platform() {
    let all = All::start().await;
    // The terminal has no wire, and e-mail's own tests speak to a real SMTP server.
    let covered: Vec<&str> = ["log", "email"].into_iter().chain(all.members.iter().map(|m| m.platform)).collect();
    for platform in watchfire::channel::PLATFORMS {
        assert!(
            covered.contains(&platform.name),
            "no fake has a channel of `{0}`: write tests/it/support/fakes/{0}.rs with `samples()`, and name it in fakes/mod.rs",
            platform.name
        );
    }
    for member in &all.members {
        for class in CLASSES {
            let known = member.answers.iter().any(|answer| answer.class == class);
            assert!(known, "no answer under `{}` is {class}: write one into src/channel/{}/refusals.yaml", member.channel, member.platform);
        }
    }
    for channel in platform_answers().into_keys() {
        assert!(all.members.iter().any(|member| member.channel == channel), "no fake has a channel `{channel}`, which a refusals.yaml names");
    }
}

/// The classes that every platform's answers hold one of. What it refuses for its rate pauses the outlet, so that comes last.
const CLASSES: [&str; 3] = ["rejected", "misconfigured", "rate_limited"];

#[tokio::test(flavor = "multi_thread")]
async fn every_http_platform_tells_trouble_as_what_it_is() {
    let all = All::start().await;
    let app = TestApp::start(&all.routes()).await;
    // Each platform by itself, all of them at once: most of the time is spent waiting for what never answers.
    futures_util::future::join_all(all.members.iter().map(async |member| {
        let trouble = [
            (Fault::Status(500, None), member.broken),
            (Fault::Html(502), member.broken),
            (Fault::CloseAfter, member.lost),
            (Fault::ResetAfter, member.lost),
            (Fault::HangAfter, member.lost),
        ];
        play(&app, member, trouble.into_iter().chain(CLASSES.map(|class| (member.answer(class), class)))).await;
    }))
    .await;
    app.app.stop(Duration::from_secs(2)).await;
}

/// Requests that one call may cost: a token, the message, and once more what the driver mends within its attempt (a token, a signature); and what
/// asks whether a lost message arrived.
const BUDGET: u64 = 5;

/// Plays each answer to a call of its own.
async fn play(app: &TestApp, member: &Member, rows: impl Iterator<Item = (Fault, &'static str)>) {
    let channel = member.channel;
    for (fault, expected) in rows {
        // A good call before each: a token is in the cache, and trouble of the same kind in a row does not look like an outage.
        let good = test(app, member).await;
        assert_eq!(good["ok"], true, "{channel}: the good case: {good}");
        let name = format!("{channel} {fault:?}");
        member.faults.push_on(member.path, fault);
        let (started, before) = (Instant::now(), member.rec.total());
        let result = test(app, member).await;
        let told = if result["ok"] == true { "ok" } else { result["kind"].as_str().unwrap_or("") };
        assert_eq!(told, expected, "{name}: {result}");
        assert!(started.elapsed() < Duration::from_secs(8), "{name} took {:?}", started.elapsed());
        assert!((1..=BUDGET).contains(&(member.rec.total() - before)), "{name} took {} requests", member.rec.total() - before);
        member.faults.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_alerts_fit_every_platform_and_each_is_named_or_counted() {
    let all = All::start().await;
    let app = TestApp::start(&all.routes()).await;
    let mut body = alert("db", "Many", "firing");
    let one = body["alerts"][0].clone();
    let alerts: Vec<Value> = (0..100)
        .map(|n| {
            let mut a = one.clone();
            a["labels"]["instance"] = json!(format!("host-{n:03}"));
            a["annotations"]["description"] = json!("长".repeat(300));
            a["fingerprint"] = json!(format!("{n:016x}"));
            a
        })
        .collect();
    body["alerts"] = json!(alerts);
    app.post("/webhook", &body).await;
    let rows = app.settled().await;
    assert!(rows.iter().all(|r| r.state == State::Sent), "a platform refused a page: {rows:#?}");
    for member in &all.members {
        assert_eq!(member.rec.accepted().len() as u64, member.rec.count(crate::support::fakes::Verdict::Accepted), "{}", member.channel);
        assert_eq!(member.rec.count(crate::support::fakes::Verdict::Dropped), 0, "{} took a page and dropped it", member.channel);
    }
    for row in rows {
        let pages = app.delivery(row.id).await.message.unwrap().pages;
        assert!((1..=3).contains(&pages.len()), "{}: {} pages", row.channel, pages.len());
        let named: usize = pages.iter().flat_map(|page| &page.covers).map(|covered| covered.named.len()).sum();
        let counted = |text: &String| text.contains(&(100 - named).to_string());
        assert!(
            named == 100 || pages.iter().any(|page| page.fields.values().any(counted)),
            "{}: {named} named and the rest not counted",
            row.channel
        );
    }
}
