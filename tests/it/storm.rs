//! A storm onto a robot that allows 20 messages a minute and punishes more with ten minutes: nothing refused, everything critical named in time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::app::{Four, TestApp};
use crate::support::serial::{long, turn};

const ALERTS: usize = 10;

fn body(group: usize) -> Value {
    let alerts: Vec<Value> = (0..ALERTS)
        .map(|n| {
            // 5 % are critical: two in every fourth group.
            let severity = if group.is_multiple_of(4) && n < 2 { "critical" } else { "warning" };
            json!({ "status": "firing", "startsAt": "2026-11-24T02:00:00Z", "labels": {
                "alertname": format!("Storm{group}"), "severity": severity, "instance": format!("uid-{severity}-{group:04}-{n}")
            } })
        })
        .collect();
    json!({ "version": "4", "status": "firing", "receiver": "r", "groupKey": format!("g{group}"), "alerts": alerts })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_is_digested_within_the_platforms_pace() {
    let _turn = turn().await;
    let groups = if long() { 1000 } else { 250 };
    let four = Four::start().await;
    four.ding.rec.track("uid-critical");
    four.slack.rec.track("uid-critical");
    let routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-ding, ops-slack, ops-mail]");
    let app = TestApp::start(&routes).await;
    let bodies: Vec<Vec<u8>> = (0..groups).map(|group| serde_json::to_vec(&body(group)).unwrap()).collect();
    let started = Instant::now();
    let mut posts = tokio::task::JoinSet::new();
    for body in bodies {
        let (client, url) = (app.http.clone(), app.url("/webhook"));
        posts.spawn(async move {
            let send = async || client.post(&url).header("content-type", "application/json").body(body.clone()).send().await;
            // As Alertmanager does, it sends again when a connection that said nothing yet had to make room for others.
            let answer = match send().await {
                Ok(answer) => Ok(answer),
                Err(_) => send().await,
            };
            answer.unwrap().status().as_u16()
        });
    }
    while let Some(status) = posts.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    println!("{} alerts in {groups} groups taken after {:?}", groups * ALERTS, started.elapsed());
    // The shortest time that Alertmanager waits (`MinTimeout`, https://github.com/prometheus/alertmanager/blob/main/notify/notify.go).
    assert!(started.elapsed() < Duration::from_secs(10));
    let critical = groups / 4 * 2;
    let mut told = [None; 3];
    while told.iter().any(Option::is_none) && started.elapsed() < Duration::from_secs(60) {
        let named = [four.ding.rec.seen().len() >= critical, four.slack.rec.seen().len() >= critical, four.smtp.mails().len() >= groups * 2];
        for (told, done) in told.iter_mut().zip(named) {
            if done && told.is_none() {
                *told = Some(started.elapsed());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!(
        "all {critical} critical alerts named by DingTalk after {:?} in {} messages, by Slack after {:?} in {}; {} mails after {:?}",
        told[0],
        four.ding.rec.total(),
        told[1],
        four.slack.rec.total(),
        four.smtp.mails().len(),
        told[2]
    );
    assert!(
        told.iter().all(Option::is_some),
        "within 60 s: {told:?}; {} by DingTalk, {} by Slack",
        four.ding.rec.seen().len(),
        four.slack.rec.seen().len()
    );
    // Nothing is lost: every delivery ends as sent.
    let end = Instant::now() + Duration::from_secs(240);
    loop {
        let (_, open) = app.get("/api/v1/deliveries?state=waiting&limit=1").await;
        if open["deliveries"].as_array().unwrap().is_empty() {
            break;
        }
        assert!(Instant::now() < end, "still open: {open}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    for state in ["dead", "unknown", "dropped", "expired", "skipped"] {
        let (_, rows) = app.get(&format!("/api/v1/deliveries?state={state}&limit=1")).await;
        assert!(rows["deliveries"].as_array().unwrap().is_empty(), "{rows}");
    }
    println!("nothing waits after {:?}: {} DingTalk messages, {} Slack messages", started.elapsed(), four.ding.rec.total(), four.slack.rec.total());
    assert_eq!(four.ding.rec.count_code("130101"), 0, "the platform refused something");
    assert!(four.ding.rec.busiest(Duration::from_secs(60)) <= 20);
    assert_eq!(four.slack.rec.accepted().len() as u64, four.slack.rec.total(), "Slack refused something");
    app.app.stop(Duration::from_secs(5)).await;
}
