//! The promises every platform keeps, walked over the registry: each trouble is classified as what it is, within the time limit, and without a secret in it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire::channel::{PLATFORMS, preset};
use watchfire::model::{ErrorKind, PlatformIds};
use watchfire::store::State;

use crate::support::app::{TestApp, alert};
use crate::support::every_platform::{All, Member, platform_answers};
use crate::support::fakes::fault::Fault;
use crate::support::wire::Wire;

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
    for platform in PLATFORMS {
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

/// What becomes of an edit, on every platform that has them: the same content is a success, passing trouble is never `gone`, and a message that
/// somebody deleted is `gone`, or people see the new content anyway.
#[tokio::test(flavor = "multi_thread")]
async fn every_platform_that_edits_reports_what_became_of_an_edit() {
    let all = All::start().await;
    let mut edited = Vec::new();
    for member in &all.members {
        let wire = Wire::new(member.channel, &member.yaml);
        let name = member.channel;
        if !wire.living().edit {
            let error = wire.update(&PlatformIds::default(), &wire.page("x")).await.unwrap_err();
            assert!(error.kind == ErrorKind::Rejected || error.gone, "{name}: {error:?}");
            continue;
        }
        let first = wire.send(&wire.page("Disk full on db-1")).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        for _ in 0..2 {
            let receipt = wire.update(&first.ids, &wire.page("Disk full on db-1, db-2")).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert_eq!(receipt.ids, first.ids, "{name}");
        }
        let texts = member.fake.texts();
        assert!(texts.len() == 1 && texts[0].contains("db-2"), "{name}: {texts:?}");
        let limited = member.answer("rate_limited");
        let trouble = [Fault::Status(500, None), Fault::Html(502), Fault::CloseAfter, Fault::ResetAfter, Fault::HangAfter];
        for (fault, kind) in
            trouble.into_iter().map(|fault| (fault, "transient")).chain([(Fault::Status(429, Some(7)), "rate_limited"), (limited, "rate_limited")])
        {
            let played = format!("{name} {fault:?}");
            member.faults.push(fault);
            let error = wire.update(&first.ids, &wire.page("Disk full on db-1, db-2, db-3")).await.unwrap_err();
            assert_eq!((error.kind.as_str(), error.gone), (kind, false), "{played}: {error:?}");
            member.faults.clear();
        }
        member.fake.delete_all();
        match wire.update(&first.ids, &wire.page("Disk full on db-4")).await {
            Err(error) => assert!(error.gone && error.kind == ErrorKind::Rejected, "{name}: {error:?}"),
            Ok(_) => assert!(member.fake.texts().iter().any(|text| text.contains("db-4")), "{name}: nobody sees it"),
        }
        edited.push(member);
    }
    let is_walked = |name: &str| edited.iter().any(|member| member.platform == name || member.channel == name);
    let presets = preset::shipped();
    let able = PLATFORMS.iter().map(|platform| (platform.name.to_owned(), *platform)).chain(presets).filter(|(_, platform)| platform.living.edit);
    // What can be changed once has tests of its own.
    let able = able.filter(|(_, platform)| platform.living.spends.is_none());
    for (name, _) in able {
        assert!(is_walked(&name), "no fake has a channel of `{name}` that edits");
    }
}

/// A reply is seen in the room. When somebody deleted the first message it is `gone`, and nothing is left of it, or people see it anyway.
#[tokio::test(flavor = "multi_thread")]
async fn every_platform_that_answers_reports_a_thread_that_is_gone() {
    let all = All::start().await;
    let mut answered = Vec::new();
    for member in &all.members {
        let (wire, name) = (Wire::new(member.channel, &member.yaml), member.channel);
        if !wire.living().reply {
            continue;
        }
        let first = wire.send(&wire.page("Disk full on db-1")).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let reply = wire.reply(&first.ids, &wire.page("db-2 as well")).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(reply.ids != first.ids || reply.ids.is_empty(), "{name}: the reply is a message of its own");
        let texts = member.fake.texts();
        assert!(texts.len() == 2 && texts[0].contains("db-1") && texts[1].contains("db-2"), "{name}: {texts:?}");
        member.faults.push(Fault::Status(503, None));
        let error = wire.reply(&first.ids, &wire.page("db-3 as well")).await.unwrap_err();
        assert!(error.kind == ErrorKind::Transient && !error.gone, "{name}: {error:?}");
        member.fake.delete_all();
        match wire.reply(&first.ids, &wire.page("db-4 as well")).await {
            Err(error) => assert!(error.gone && member.fake.texts().is_empty(), "{name}: {error:?} {:?}", member.fake.texts()),
            Ok(_) => assert!(member.fake.texts().iter().any(|text| text.contains("db-4")), "{name}: nobody sees it"),
        }
        answered.push(member);
    }
    // A mail answers the root of its incident by its headers, whatever became of earlier ones: tests/it/mail.rs.
    for platform in PLATFORMS.iter().filter(|platform| platform.living.reply && platform.name != "email") {
        assert!(answered.iter().any(|member| member.platform == platform.name), "no fake has a channel of `{}` that answers", platform.name);
    }
    for (name, _) in preset::shipped().into_iter().filter(|(_, platform)| platform.living.reply) {
        assert!(answered.iter().any(|member| member.channel == name), "no fake has a channel of the preset `{name}`");
    }
}
