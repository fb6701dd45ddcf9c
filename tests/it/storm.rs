//! A storm onto a robot that allows 20 messages a minute and punishes more with ten minutes: nothing refused, everything critical named in time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::app::{Four, TestApp};
use crate::support::fakes::dingtalk::DingtalkRobot;
use crate::support::fakes::server::Fake;

const GROUPS: usize = 300;
const ALERTS: usize = 10;

fn body(group: usize) -> Value {
    let alerts: Vec<Value> = (0..ALERTS)
        .map(|n| {
            // One group in five has a critical alert or two.
            let severity = if group.is_multiple_of(5) && n < 2 { "critical" } else { "warning" };
            json!({ "status": "firing", "startsAt": "2026-11-24T02:00:00Z", "labels": {
                "alertname": format!("Storm{group}"), "severity": severity, "instance": format!("uid-{severity}-{group:04}-{n}")
            } })
        })
        .collect();
    json!({ "version": "4", "status": "firing", "receiver": "r", "groupKey": format!("g{group}"), "alerts": alerts })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_is_digested_within_the_platforms_pace() {
    let four = Four::start().await;
    four.ding.rec.track("uid-critical");
    // Slack's own pace would make a second storm of this; it stands for a channel that must not be delayed.
    let routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-ding, ops-mail]");
    let app = TestApp::start(&routes).await;
    let started = Instant::now();
    let mut posts = tokio::task::JoinSet::new();
    for group in 0..GROUPS {
        let (client, url) = (app.http.clone(), app.url("/webhook"));
        posts.spawn(async move { client.post(url).json(&body(group)).send().await.unwrap().status().as_u16() });
    }
    while let Some(status) = posts.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    let critical = GROUPS / 5 * 2;
    let named = |fake: &Fake<DingtalkRobot>| fake.rec.seen().len();
    while named(&four.ding) < critical && started.elapsed() < Duration::from_secs(75) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("{} of {critical} critical alerts named after {:?}, in {} messages", named(&four.ding), started.elapsed(), four.ding.rec.total());
    assert_eq!(named(&four.ding), critical);
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(four.ding.rec.count_code("130101"), 0, "the platform refused something");
    assert!(four.ding.rec.busiest(Duration::from_secs(60)) <= 20);
    while four.smtp.mails().len() < GROUPS * 2 && started.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(four.smtp.mails().len(), GROUPS * 2, "the mail channel was delayed");
    app.app.stop(Duration::from_secs(5)).await;
}
