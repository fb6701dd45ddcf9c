//! One small incident on every platform: it fires, grows, is repeated and ends; nobody is on it, or somebody is.

use std::time::Duration;

use serde_json::json;
use watchfire::api::IncidentResponse;
use watchfire::delivery::Clock;
use watchfire::store::{AttemptKind, IncidentState};

use super::rooms::{Heard, Rooms};
use super::{disk, down, group, incident, report, timed};
use crate::support::app::{SOON, TestApp};

/// Messages, replies, rings, and the most edits.
type Counts = (&'static str, usize, usize, usize, u32);

/// Its five notifications, and perhaps an ack before the repeat; returns when every message shows its end.
async fn play(rooms: &Rooms, app: &TestApp, hand: &Clock, acked: bool) -> IncidentResponse {
    report(app, &group("web", &[disk("firing")])).await;
    report(app, &group("web", &[disk("firing"), down("firing")])).await;
    report(app, &group("web", &[disk("resolved"), down("firing")])).await;
    assert_eq!(on_call(rooms), ("triggered".to_owned(), 1));
    if acked {
        let (status, answer) = app.post("/api/v1/incidents/1/ack", &json!({ "by": "Anna" })).await;
        assert_eq!(status, 200, "{answer}");
        assert!(rooms.pager.rec.wait(SOON, |_| on_call(rooms).0 == "acknowledged").await, "PagerDuty: {:?}", on_call(rooms));
    }
    hand.jump(3_700_000);
    // Robots of DingTalk look at the time in the signature.
    rooms.ding.clock.advance(Duration::from_secs(3700));
    let mut repeat = group("web", &[down("firing")]);
    repeat["alerts"][0]["annotations"]["description"] = "again".into();
    report(app, &repeat).await;
    assert_eq!(on_call(rooms).0, if acked { "acknowledged" } else { "triggered" });
    hand.jump(60_000);
    report(app, &group("web", &[down("resolved")])).await;
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let found = incident(app).await;
        if found.messages.iter().filter(|message| message.edited).all(|message| message.shown >= found.version) {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "an edited message is behind: {found:#?}");
        // A card of DingTalk is edited once a minute.
        hand.jump(10_000);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The state of the one incident at PagerDuty, and how many were opened.
fn on_call(rooms: &Rooms) -> (String, u32) {
    rooms.pager.with(|pager| {
        assert_eq!(pager.alerts.len(), 1, "{:?}", pager.alerts);
        (pager.alerts.values().next().map(|(status, _)| status.clone()).unwrap_or_default(), pager.opened)
    })
}

/// Holds what each room saw and heard against what it should have.
fn compare(rooms: &[(&'static str, Heard, Vec<String>)], expected: &[Counts]) {
    assert_eq!(rooms.len(), expected.len());
    for ((name, heard, texts), (room, messages, replies, rings, edits)) in rooms.iter().zip(expected) {
        assert_eq!(name, room);
        assert_eq!((heard.messages, heard.replies, heard.rings), (*messages, *replies, *rings), "{name}: {heard:?}: {texts:#?}");
        assert!(heard.edits <= *edits && (heard.edits > 0) == (*edits > 0), "{name}: {} edits, at most {edits}", heard.edits);
        if *edits > 0 {
            let first = &texts[0];
            assert!(["DiskFilling", "NodeDown", "Resolved"].iter().all(|part| first.contains(*part)), "{name}: the first shows all of it: {first}");
        } else {
            assert!(texts.last().is_some_and(|last| last.contains("Resolved")), "{name}: {texts:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_incident_is_one_message_that_rings_for_news_only() {
    let rooms = Rooms::start().await;
    let (app, hand) = timed(&rooms.routes()).await;
    let found = play(&rooms, &app, &hand, false).await;
    assert_eq!((found.incident.state, found.incident.unreported), (IncidentState::Resolved, 0), "{found:#?}");
    let living = rooms.living();
    compare(
        &living,
        &[
            ("slack", 1, 3, 3, 4),
            ("telegram", 1, 3, 3, 4),
            ("feishu", 1, 3, 3, 4),
            ("mattermost", 1, 3, 3, 4),
            ("discord", 3, 0, 3, 4),
            ("card", 3, 0, 3, 4),
            ("ntfy", 3, 0, 3, 4),
            ("chat", 1, 3, 4, 0),
        ],
    );
    for (name, _, texts) in living.iter().filter(|(_, heard, _)| heard.replies == 3 && heard.edits > 0) {
        assert!(texts[1].contains("NodeDown") && texts[1].contains("is wrong"), "{name}: {}", texts[1]);
        assert!(texts[2].contains("Still firing"), "{name}: {}", texts[2]);
        assert!(texts[3].contains("Resolved") && texts[3].contains(&format!("#{}", found.incident.number)), "{name}: {}", texts[3]);
    }
    let plain = rooms.plain();
    // The end pings nobody where a message need not; a mail, a push and a message of an application or a smart robot always reach the person.
    compare(
        &plain,
        &[
            ("hook", 4, 0, 3, 0),
            ("ding", 4, 0, 3, 0),
            ("robot", 4, 0, 3, 0),
            ("wecom", 4, 0, 4, 0),
            ("mail", 4, 0, 4, 0),
            ("bot", 4, 0, 4, 0),
            ("zulip", 4, 0, 3, 0),
            ("teams", 4, 0, 3, 0),
            ("gotify", 4, 0, 4, 0),
            ("bark", 4, 0, 4, 0),
            ("rocket", 4, 0, 4, 0),
        ],
    );
    assert_eq!(rooms.receiver.rec.accepted().len(), 5, "a webhook receives every notification");
    for (name, _, texts) in plain.iter().filter(|(name, ..)| *name != "mail") {
        assert!(texts[1..].iter().all(|text| text.contains("first notified")), "{name}: each names the first one: {texts:#?}");
    }
    let threads: Vec<String> = rooms.mail.mails().iter().filter_map(|mail| mail.header("References").map(str::to_owned)).collect();
    assert!(threads.len() == 4 && threads.iter().all(|thread| *thread == threads[0]), "one thread: {threads:?}");
    // Gmail begins another conversation where the subject changes.
    let mails = rooms.mail.mails();
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject()).collect();
    assert_eq!(subjects, ["Alert · web"; 4], "what fires changed three times");
    assert_eq!(on_call(&rooms), ("resolved".to_owned(), 1));
    // What is not sent says why, and where it is shown.
    let rows = app.deliveries("state=skipped&channel=slack").await;
    let reason = format!("state only: shown by editing #{}", found.incident.number);
    assert!(!rows.is_empty() && rows.iter().all(|row| row.reason.as_deref() == Some(reason.as_str())), "{rows:#?}");
    assert!(app.deliveries("state=dead").await.is_empty());
    for kind in ["opened", "notified", "not_sent", "edited", "resolved"] {
        assert!(found.timeline.iter().any(|step| step.kind == kind), "{kind}: {:#?}", found.timeline);
    }
    // Each edit is a line, at its own time, with the version that it showed.
    for message in found.messages.iter().filter(|message| message.edits > 0) {
        let lines: Vec<_> = found.timeline.iter().filter(|step| step.kind == "edited" && step.channel == message.channel).collect();
        assert_eq!(lines.len(), message.edits as usize, "{}: {lines:#?}", message.channel);
        assert_eq!(lines.last().map(|step| step.text.as_str()), Some(format!("edited to version {}", message.shown).as_str()));
        assert!(lines.iter().all(|step| step.at >= message.notified_at), "{lines:#?}");
    }
    for message in &found.messages {
        let kinds: Vec<_> = found.attempts.iter().filter(|one| one.message == message.message).map(|one| one.attempt.kind).collect();
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| *kind == Some(AttemptKind::Ok)), "{}: {kinds:?}", message.channel);
    }
    assert!(found.attempts.is_sorted_by_key(|one| one.attempt.begun_at), "{:#?}", found.attempts);
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_has_acked_is_not_repeated_on_any_platform() {
    let rooms = Rooms::start().await;
    let (app, hand) = timed(&rooms.routes()).await;
    let found = play(&rooms, &app, &hand, true).await;
    assert_eq!(found.incident.state, IncidentState::Resolved, "{found:#?}");
    // The ack is one state more to show.
    compare(
        &rooms.living(),
        &[
            ("slack", 1, 2, 2, 5),
            ("telegram", 1, 2, 2, 5),
            ("feishu", 1, 2, 2, 5),
            ("mattermost", 1, 2, 2, 5),
            ("discord", 2, 0, 2, 5),
            ("card", 2, 0, 2, 5),
            ("ntfy", 2, 0, 2, 5),
            ("chat", 1, 2, 3, 0),
        ],
    );
    compare(
        &rooms.plain(),
        &[
            ("hook", 3, 0, 2, 0),
            ("ding", 3, 0, 2, 0),
            ("robot", 3, 0, 2, 0),
            ("wecom", 3, 0, 3, 0),
            ("mail", 3, 0, 3, 0),
            ("bot", 3, 0, 3, 0),
            ("zulip", 3, 0, 2, 0),
            ("teams", 3, 0, 2, 0),
            ("gotify", 3, 0, 3, 0),
            ("bark", 3, 0, 3, 0),
            ("rocket", 3, 0, 3, 0),
        ],
    );
    assert_eq!(rooms.receiver.rec.accepted().len(), 5, "a webhook receives every notification");
    assert_eq!(on_call(&rooms), ("resolved".to_owned(), 1));
    assert!(app.deliveries("state=dead").await.is_empty());
    let rows = app.deliveries("state=skipped&channel=hook").await;
    assert!(rows.iter().any(|row| row.reason.as_deref().is_some_and(|reason| reason.contains("acked by Anna"))), "{rows:#?}");
    app.app.stop(Duration::from_secs(5)).await;
}
