//! The promises every platform keeps, walked over the registry: each trouble is told as what it is, within the time limit, and without a secret in it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::app::{Four, TestApp, alert};
use crate::support::fakes::fault::{Fault, Faults};

/// Secrets of the test's configuration: none may ever be shown.
const SECRETS: &[&str] = &["ding-token", "SEC0123456789", "xoxb-test-token", "wecom-secret", "mail-password"];

/// A channel, the way to trouble its platform, and refusals of its own with what they mean.
type Case<'a> = (&'a str, &'a Faults, Vec<(Fault, &'a str)>);

async fn test(app: &TestApp, channel: &str) -> Value {
    let (_, answer) = app.post(&format!("/api/v1/channels/{channel}/test"), &json!({ "text": "battery" })).await;
    let text = answer.to_string();
    for secret in SECRETS {
        assert!(!text.contains(secret), "{channel} shows a secret: {text}");
    }
    answer["results"][0].clone()
}

#[test]
fn the_battery_covers_every_platform() {
    let names: Vec<&str> = watchfire::channel::PLATFORMS.iter().map(|p| p.name).collect();
    assert_eq!(names, ["log", "email", "slack", "dingtalk", "wecom"], "a new platform joins the battery, the four or their successors");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_http_platform_tells_trouble_as_what_it_is() {
    let four = Four::start().await;
    four.slack.unpaced();
    four.ding.unpaced();
    let routes = four.routes();
    let routes = ["ops-slack: {", "ops-ding: {", "ops-wecom: {"].iter().fold(routes, |r, c| r.replace(c, &format!("{c} timeout: 2s, pace: off,")));
    let app = TestApp::start(&routes).await;
    let refused = |body: &str| Fault::Reply(200, "application/json".into(), body.into());
    let cases: Vec<Case<'_>> = vec![
        (
            "ops-slack",
            &four.slack.faults,
            vec![
                (refused(r#"{"ok":false,"error":"msg_too_long"}"#), "rejected"),
                (refused(r#"{"ok":false,"error":"invalid_auth"}"#), "misconfigured"),
            ],
        ),
        (
            "ops-ding",
            &four.ding.faults,
            vec![
                (refused(r#"{"errcode":460101,"errmsg":"message too long"}"#), "rejected"),
                (refused(r#"{"errcode":310000,"errmsg":"sign not match"}"#), "misconfigured"),
            ],
        ),
        (
            "ops-wecom",
            &four.wecom.faults,
            vec![
                (refused(r#"{"errcode":45002,"errmsg":"content too long"}"#), "rejected"),
                (refused(r#"{"errcode":60020,"errmsg":"not allow to access from your ip"}"#), "misconfigured"),
            ],
        ),
    ];
    for (channel, faults, own) in cases {
        assert_eq!(test(&app, channel).await["ok"], true, "{channel}: the good case, and a token in the cache");
        let common = vec![
            (Fault::Status(500, None), "transient"),
            (Fault::Html(502), "transient"),
            (Fault::CloseAfter, "ambiguous"),
            (Fault::ResetAfter, "ambiguous"),
            (Fault::HangAfter, "ambiguous"),
        ];
        for (fault, expected) in common.into_iter().chain(own) {
            let name = format!("{channel} {fault:?}");
            faults.push(fault);
            let started = Instant::now();
            let result = test(&app, channel).await;
            assert_eq!((&result["ok"], &result["kind"]), (&json!(false), &json!(expected)), "{name}: {result}");
            assert!(started.elapsed() < Duration::from_secs(8), "{name} took {:?}", started.elapsed());
            faults.clear();
        }
    }
    four.slack.down();
    assert_eq!(test(&app, "ops-slack").await["kind"], "transient", "a closed port");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_alerts_fit_every_platform_and_each_is_named_or_counted() {
    let four = Four::start().await;
    four.slack.unpaced();
    four.ding.unpaced();
    let app = TestApp::start(&four.routes()).await;
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
    assert!(rows.iter().all(|r| r["state"] == "sent"), "a platform refused a page: {rows:#?}");
    for row in rows {
        let (_, detail) = app.get(&format!("/api/v1/deliveries/{}", row["id"].as_str().unwrap())).await;
        let pages = detail["message"]["pages"].as_array().unwrap();
        assert!((1..=3).contains(&pages.len()), "{}: {} pages", row["channel"], pages.len());
        let named: usize = pages.iter().flat_map(|p| p["covers"].as_array().unwrap()).map(|c| c["named"].as_array().unwrap().len()).sum();
        let text = pages.iter().map(|p| p["fields"].to_string()).collect::<String>();
        assert!(named == 100 || text.contains(&(100 - named).to_string()), "{}: {named} named and the rest not counted", row["channel"]);
    }
}
