//! Acks that are forgotten, and what their owners do about it by a thumb.

use serde_json::json;
use watchfire::store::IncidentState;

use crate::acks::{CHAT, Rooms, act_link, disk, group, incident, kinds, rang, report, until};
use crate::support::app::TestApp;

/// A little longer than it takes until people are reminded.
const TWO_HOURS: i64 = 2 * 3_600_000 + 60_000;

impl Rooms {
    /// The messages in Telegram that have a button with this label, oldest first.
    fn with_button(&self, label: &str) -> Vec<i64> {
        let named = format!("\"text\":\"{label}\"");
        self.telegram.with(|telegram| {
            let found = telegram.transcript.all().filter(|(_, post)| post.extra.contains(&named));
            found.map(|(key, _)| key.rsplit('/').next().unwrap().parse().unwrap()).collect()
        })
    }

    /// Anna presses a button of the newest of so many messages that have it; what her client shows.
    async fn press_newest(&self, app: &TestApp, label: &str, of: usize) -> String {
        until("the button", || self.with_button(label).len() == of).await;
        // A moment after a message is on the phone it is stored.
        app.settled().await;
        let (message, now) = (self.with_button(label)[of - 1], self.telegram.clock.now());
        let press = self.telegram.with(|telegram| telegram.press(CHAT, message, label, now).0);
        self.shown(&press).await
    }
}

/// An ack changes hands without a sound. In a reminder its owner keeps it, or hands it over, which rings.
#[tokio::test(flavor = "multi_thread")]
async fn an_ack_is_taken_over_kept_and_handed_over_by_a_button() {
    let rooms = Rooms::start().await;
    let (app, hand) = TestApp::start_timed(&rooms.routes()).await;
    report(&app, &group(&[disk("firing")])).await;
    assert_eq!(app.post("/api/v1/incidents/1/ack", &json!({ "by": "Bob" })).await.0, 200);
    let before = (rang(&rooms.slack), rang(&rooms.telegram), rooms.ding.rec.accepted().len());
    let press = rooms.press("Take over").await;
    assert_eq!(rooms.shown(&press).await, "#1 is acked, taken over from Bob.");
    let press = rooms.press("Take over").await;
    assert!(rooms.shown(&press).await.starts_with("#1 is already yours since"));
    let found = incident(&app).await;
    assert_eq!((found.incident.acks.len(), found.incident.acks[0].by.as_str()), (1, "Anna Meier"), "{found:#?}");
    assert_eq!((rang(&rooms.slack), rang(&rooms.telegram), rooms.ding.rec.accepted().len()), before);
    let page = async || app.http.get(app.url(&act_link(&rooms))).send().await.unwrap().text().await.unwrap();
    let shown = page().await;
    assert!(shown.contains("接手") && shown.contains("取消认领") && !shown.contains("仍在处理"), "{shown}");
    // It is reminded of once, unless its owner says that they are still on it.
    for reminded in 1..=2 {
        hand.jump(TWO_HOURS);
        assert_eq!(rooms.press_newest(&app, "Still on it", reminded).await, "#1 is acked.");
        let found = incident(&app).await;
        let counted = (kinds(&found, "reminded"), kinds(&found, "unacked"));
        assert_eq!((found.incident.state, counted), (IncidentState::Acked, (reminded, 0)), "{found:#?}");
    }
    let metrics = app.http.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let sum = metrics.lines().find_map(|line| line.strip_prefix("watchfire_ack_seconds_sum ")).expect("a sum");
    assert!(sum.parse::<f64>().unwrap() < 600.0, "nobody took hours: {sum}");
    hand.jump(TWO_HOURS);
    until("a third reminder", || rooms.with_button("Hand over").len() == 3).await;
    app.settled().await;
    let shown = page().await;
    assert!(shown.contains("仍在处理") && shown.contains("转交他人"), "{shown}");
    let before = rang(&rooms.slack);
    assert_eq!(rooms.press_newest(&app, "Hand over", 3).await, "#1 is no longer acked.");
    until("it rings for everybody", || rang(&rooms.slack) > before).await;
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
}

/// Anna is nobody of `people:`. Telegram knows the id with which she pressed; no other platform does.
#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_mentions_its_owner_by_the_id_with_which_they_pressed() {
    let rooms = Rooms::start().await;
    let (app, hand) = TestApp::start_timed(&rooms.routes()).await;
    report(&app, &group(&[disk("firing")])).await;
    let press = rooms.press("Ack").await;
    assert_eq!(rooms.shown(&press).await, "#1 is acked.");
    let mentioned = || rooms.telegram.with(|telegram| telegram.transcript.rang().iter().filter(|text| text.contains("4711")).count());
    let before = (mentioned(), rang(&rooms.slack));
    assert_eq!(before.0, 0);
    hand.jump(TWO_HOURS);
    until("the reminder mentions her", || mentioned() == 1).await;
    until("the other room is reminded, too", || rang(&rooms.slack) == before.1 + 1).await;
    app.settled().await;
    let in_slack = rooms.slack.with(|slack| slack.transcript.rang().last().cloned()).unwrap();
    assert!(!in_slack.contains("4711"), "{in_slack}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_again_soon_mentions_who_acked_it() {
    let rooms = Rooms::start().await;
    let (app, hand) = TestApp::start_timed(&rooms.routes()).await;
    report(&app, &group(&[disk("firing")])).await;
    let press = rooms.press("Ack").await;
    assert_eq!(rooms.shown(&press).await, "#1 is acked.");
    report(&app, &group(&[disk("resolved")])).await;
    assert_eq!(incident(&app).await.incident.state, IncidentState::Resolved);
    let mentioned = || rooms.telegram.with(|telegram| telegram.transcript.rang().iter().filter(|text| text.contains("4711")).count());
    assert_eq!(mentioned(), 0);
    hand.jump(4 * 60_000);
    report(&app, &group(&[disk("firing")])).await;
    until("it mentions her", || mentioned() == 1).await;
    let found = incident(&app).await;
    assert_eq!((found.incident.state, found.incident.acks[0].by.as_str()), (IncidentState::Acked, "Anna Meier"), "{found:#?}");
}
