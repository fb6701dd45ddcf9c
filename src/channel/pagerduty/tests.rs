//! PagerDuty: trigger and resolve under one key, what answers mean, and what never shows.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{Facts, MessageStatus, Payload};

const CONFIG: &str = "{ routing_key: S3CRET6789abcdef0123456789abcdef, api_base: BASE }";
const OK: &str = r#"{"status":"success","message":"Event processed","dedup_key":"group-1"}"#;

fn service() -> [Recipient; 1] {
    [Recipient::new("@service")]
}

#[tokio::test]
async fn what_fires_triggers_and_its_end_resolves_the_same_alert() {
    let server = ScriptedServer::start([Scripted::new(202, OK), Scripted::new(202, OK)]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut page = rich(&[("title", "Disk"), ("text", "Disk is full on db-1")]);
    page.facts.image = "https://grafana.example.com/render/x.png".into();
    assert_eq!(kinds(&built.channel.send(&page, &service(), &context()).await), [Ok(Some("dedup_key group-1".to_owned()))]);
    // The end of some of its alerts is not the end of the group.
    (page.facts.status, page.facts.over) = (MessageStatus::Resolved, false);
    assert_eq!(body::event(&page, "k", "c", "message-key")["event_action"], "trigger");
    let plain_http = Page {
        facts: Facts { image: "http://grafana/x.png".into(), pairs: vec![("告警对象".into(), "db-1".into())], ..page.facts.clone() },
        ..page.clone()
    };
    let event = body::event(&plain_http, "k", "c", "message-key");
    assert_eq!((event["images"].as_array().unwrap().len(), &event["payload"]["source"]), (0, &"db-1".into()));
    page.facts.over = true;
    built.channel.send(&page, &service(), &context()).await;
    let seen = server.seen();
    assert_eq!(seen[0].uri.to_string(), "/v2/enqueue");
    let (first, second) = (seen[0].json(), seen[1].json());
    insta::assert_json_snapshot!("trigger", first);
    assert_eq!((first["event_action"].as_str(), second["event_action"].as_str()), (Some("trigger"), Some("resolve")));
    assert_eq!(first["dedup_key"], second["dedup_key"]);
}

#[test]
fn the_summary_says_what_a_person_wrote_and_the_end_says_that_it_is_over() {
    let mut page = rich(&[("title", "🔴 Critical · Disk · db-1 — /var is 97% full"), ("text", "Disk is full on db-1")]);
    let summary = |page: &Page| body::event(page, "k", "c", "m")["payload"]["summary"].as_str().unwrap().to_owned();
    assert_eq!(summary(&page), "🔴 Critical · Disk · db-1 — /var is 97% full", "the template's, whatever it is");
    // The built-in plain text has the headline in the title's place.
    page.fields.insert("title".into(), "🔴 Critical · Disk · db-1".into());
    (page.plain, page.facts.preview) = (true, "🔴 Critical · Disk · db-1 — /var is 97% full".into());
    assert_eq!(summary(&page), "🔴 Critical · Disk · db-1 — /var is 97% full");
    page.facts.preview = "✅ Resolved · Disk · db-1".into();
    page.facts.over = true;
    assert_eq!(summary(&page), "✅ Resolved · Disk · db-1");
    page.fields.clear();
    (page.facts.preview, page.facts.title) = (String::new(), "  ".into());
    assert_eq!(summary(&page), "-", "it must not be blank");
    page.facts.title = "告".repeat(1100);
    assert_eq!(summary(&page).chars().count(), 1024);
}

/// PagerDuty refuses an event of more than 512 KB, also as plain text: nobody would be called.
#[test]
fn an_event_is_never_too_large_to_be_taken() {
    let mut labels: BTreeMap<String, String> = (0..4000).map(|n| (format!("label_{n:04}"), format!("value of {n}"))).collect();
    labels.insert("a".repeat(600_000), "named too long".into());
    let annotations = serde_json::json!({ "log": "\u{1}".repeat(600_000), "summary": "长".repeat(300_000) });
    let mut page = rich(&[("title", "Huge"), ("text", "all of it")]);
    page.facts.payload = Payload::of(&serde_json::json!({ "version": "4", "alerts": [{ "labels": labels, "annotations": annotations }] }));
    page.facts.links[0].url = format!("https://am.example.com/#/silences/new?filter={}", "x".repeat(600_000));
    let event = body::event(&page, "k", "c", "m");
    assert!(event.to_string().len() < 300_000, "{}", event.to_string().len());
    let details = &event["payload"]["custom_details"];
    assert!(details["annotations"]["summary"].as_str().is_some_and(|text| text.ends_with("长…")), "what is cut says so");
    assert!(details["labels"]["label_0000"] == "value of 0" && details["labels"]["…"].as_str().is_some_and(|more| more.starts_with('+')));
}

#[test]
fn the_details_hold_the_labels_and_annotations_that_all_alerts_share() {
    let alert = |pod: &str| {
        let labels = serde_json::json!({ "alertname": "CrashLoop", "namespace": "shop", "pod": pod });
        serde_json::json!({ "status": "firing", "labels": labels, "annotations": { "impact": "Cards fail", "summary": pod } })
    };
    let mut page = rich(&[("title", "Crash"), ("text", "two pods")]);
    let mut details = |alerts: serde_json::Value| {
        page.facts.payload = Payload::of(&serde_json::json!({ "version": "4", "alerts": alerts }));
        body::event(&page, "k", "c", "m")["payload"]["custom_details"].clone()
    };
    let one = details(serde_json::json!([alert("a")]));
    assert_eq!(one["labels"], serde_json::json!({ "alertname": "CrashLoop", "namespace": "shop", "pod": "a" }));
    assert_eq!(one["annotations"], serde_json::json!({ "impact": "Cards fail", "summary": "a" }));
    let two = details(serde_json::json!([alert("a"), alert("b")]));
    assert_eq!(two["labels"], serde_json::json!({ "alertname": "CrashLoop", "namespace": "shop" }));
    assert_eq!((&two["annotations"], &two["text"]), (&serde_json::json!({ "impact": "Cards fail" }), &"two pods".into()));
    assert!(details(serde_json::json!([])).get("labels").is_none());
}

#[tokio::test]
async fn an_ack_acknowledges_and_what_the_api_cannot_take_back_is_not_sent() {
    let server = ScriptedServer::start([OK, OK, OK, "{}"].map(|answer| Scripted::new(202, answer))).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let ids = PlatformIds::one("dedup_key", "group-1".to_owned());
    let mut page = page(&[("title", "Disk")]);
    for (state, sent) in [("firing", 0), ("acked", 1), ("resolved", 1), ("closed", 2), ("stale", 2), ("superseded", 3)] {
        page.facts.incident.state = state.into();
        let receipt = built.channel.update(&ids, &page, &service()[0], &context()).await.unwrap();
        assert_eq!((receipt.ids, server.seen().len()), (ids.clone(), sent), "{state}");
    }
    let key = "S3CRET6789abcdef0123456789abcdef";
    assert_eq!(server.seen()[0].json(), serde_json::json!({ "routing_key": key, "event_action": "acknowledge", "dedup_key": "group-1" }));
    assert_eq!([1, 2].map(|place| server.seen()[place].json()["event_action"].clone()), ["resolve", "resolve"]);
    page.facts.incident.state = "snoozed".into();
    let unclear = built.channel.update(&ids, &page, &service()[0], &context()).await.unwrap_err();
    assert_eq!(unclear.kind, Transient, "it is sent again, and does no harm");
    assert!(built.channel.update(&PlatformIds::default(), &page, &service()[0], &context()).await.unwrap_err().gone);
}

#[tokio::test]
async fn answers_mean_what_pagerduty_says() {
    let no = |status: u16, errors: &str| {
        Scripted::new(status, format!(r#"{{"status":"invalid event","message":"Event object is invalid","errors":["{errors}"]}}"#).into_bytes())
    };
    let rows = [
        (no(400, "'routing_key' is invalid"), Misconfigured, "HTTP 400"),
        (no(400, "'payload.summary' is missing or blank"), Rejected, "HTTP 400"),
        (
            Scripted::new(429, r#"{"status":"throttle exceeded"}"#).header("retry-after", "3"),
            RateLimited { retry_after: Some(Duration::from_secs(3)) },
            "HTTP 429",
        ),
        (Scripted::new(500, "{}"), Transient, "HTTP 500"),
        (Scripted::new(502, "<html>"), Transient, "HTTP 502"),
        (Scripted::from("<html>login</html>"), Transient, "HTTP 200"),
        // The key, in every wording.
        (no(400, "Invalid routing key"), Misconfigured, "HTTP 400"),
        (no(400, "Length of 'routing_key' is incorrect (should be 32 characters)"), Misconfigured, "HTTP 400"),
        (Scripted::new(400, r#"{"status":"invalid event","message":"Invalid routing key","errors":[]}"#), Misconfigured, "HTTP 400"),
        (Scripted::new(400, r#"{"status":"invalid key","message":"Service key is not valid","errors":"no"}"#), Misconfigured, "HTTP 400"),
        (Scripted::new(403, ""), Misconfigured, "HTTP 403"),
        // Too fast, though the status says something else.
        (
            Scripted::new(400, r#"{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly."}"#),
            RateLimited { retry_after: None },
            "HTTP 400",
        ),
        (Scripted::new(413, ""), Rejected, "HTTP 413"),
        (Scripted::new(400, r#"{"status":"invalid event","message":"JSON parse error"}"#), Rejected, "HTTP 400"),
        (Scripted::new(503, r#"{"status":"invalid event","errors":["Invalid routing key"]}"#), Transient, "HTTP 503"),
        (Scripted::new(429, r#"{"errors":["Invalid routing key"]}"#), RateLimited { retry_after: None }, "HTTP 429"),
        (Scripted::new(302, OK), Misconfigured, "HTTP 302"),
        (Scripted::new(400, OK), Rejected, "HTTP 400"),
        (Scripted::new(202, "{}"), Ambiguous, "HTTP 202"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("title", "x")]), &service(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[test]
fn the_key_is_the_groups_on_every_page_and_a_direct_calls_is_its_own() {
    let mut page = page(&[("title", "Deploy failed")]);
    let key = |page: &Page| body::event(page, "k", "c", "message-key")["dedup_key"].as_str().unwrap().to_owned();
    assert_eq!(key(&page), "message-key");
    page.facts.incident.key = "group".into();
    page.number = 2;
    assert_eq!(key(&page), "group");
}

#[test]
fn a_key_of_another_kind_is_told() {
    let problems = build::<Config>("{ routing_key: S3CRET }", "").err().unwrap();
    assert!(problems[0].message.contains("32 characters") && !format!("{problems:?}").contains("S3CRET"), "{problems:?}");
}
