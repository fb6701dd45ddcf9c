//! Mail through a server that takes its time, or sets limits.

use std::time::Duration;

use serde_json::json;
use watchfire::store::State;

use crate::support::app::{Four, TestApp, alert};
use crate::support::fakes::smtp::{Act, Stage};

/// Mail alone, with a time-out far below what the server takes.
fn hasty(four: &Four) -> String {
    four.routes()
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-mail]")
        .replace("ops-mail: { email", "ops-mail: { timeout: 1s, email")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_confirmed_late_is_sent_once() {
    let four = Four::start().await;
    let app = TestApp::start(&hasty(&four)).await;
    for (stage, name) in [(Stage::Body, "DiskFull"), (Stage::Connect, "HostDown"), (Stage::Rcpt, "LoadHigh")] {
        let before = four.smtp.mails().len();
        four.smtp.script(stage, None, Act::Delay(Duration::from_secs(3)), Some(1));
        app.post("/webhook", &alert(name, name, "firing")).await;
        let rows = app.settled().await;
        assert_eq!((rows[0].state, rows[0].tries), (State::Sent, 1), "{stage:?}: {rows:#?}");
        assert_eq!(four.smtp.mails().len() - before, 2, "{stage:?}: one for each of the two recipients");
    }
    four.smtp.script(Stage::Body, None, Act::Delay(Duration::from_secs(3)), Some(1));
    let call = json!({ "subject": "s", "from": "a@example.com", "to": "x@example.com", "content": "c" });
    assert_eq!(app.post("/email/send/message", &call).await, (200, json!({ "code": 0 })), "its caller waits for the confirmation, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_pauses_the_channel_and_kills_nothing() {
    let four = Four::start().await;
    let app = TestApp::start(&hasty(&four)).await;
    four.smtp.script(Stage::Mail, None, Act::Reply(550, "Sender frequency limited, try again in 1 second"), Some(1));
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert_eq!((rows[0].state, rows[0].tries), (State::Sent, 1), "a limit spends no try: {rows:#?}");
    assert_eq!(four.smtp.mails().len(), 2);
}

/// What is news of an incident and its end are mails that answer its root, which was never sent; the next incident of the group has another root.
#[tokio::test(flavor = "multi_thread")]
async fn the_mails_of_an_incident_answer_one_root() {
    let four = Four::start().await;
    let (app, hand) = TestApp::start_timed(&hasty(&four)).await;
    for (status, start) in [("firing", "02"), ("resolved", "02"), ("firing", "09")] {
        let mut body = alert("db", "DiskFull", status);
        body["alerts"][0]["startsAt"] = format!("2026-11-24T{start}:00:00Z").into();
        app.post("/webhook", &body).await;
        let rows = app.settled().await;
        assert!(rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
        if status == "resolved" {
            // Long after it, what fires is another incident.
            hand.jump(3_600_000);
        }
    }
    let mails = four.smtp.mails();
    assert_eq!(mails.len(), 6, "three for each of the two recipients");
    let header = |place: usize, name: &str| mails[place].header(name).unwrap_or_else(|| panic!("mail {place} has no {name}")).to_owned();
    let roots: Vec<String> = (0..6).map(|place| header(place, "References")).collect();
    assert!(roots[..4].iter().all(|root| *root == roots[0]) && roots[4] == roots[5] && roots[4] != roots[0], "{roots:?}");
    for (place, root) in roots.iter().enumerate() {
        assert_eq!(header(place, "In-Reply-To"), *root);
        assert_ne!(header(place, "Message-ID"), *root, "nobody can delete the root");
    }
}
