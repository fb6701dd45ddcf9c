//! What a person or a script has to say, without a rule behind it: its title once, its text once, and none of an alert's words.

use serde_json::{Value, json};
use watchfire::store::State;

use crate::support::app::{Four, TestApp};
use crate::support::every_platform::All;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::recorder::Record;

const TITLE: &str = "Release0815 is out";
const TEXT: &str = "Step4711 took nine minutes";

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_said_once_and_is_no_alert_on_every_platform() {
    let all = All::start().await;
    let four = Four::start().await;
    let channels = four.channels();
    let mail = channels.lines().find(|line| line.contains("ops-mail")).unwrap();
    let app = TestApp::start(&all.routes().replace("route:", &format!("{mail}\nroute:"))).await;
    let mut to: Vec<&str> = all.members.iter().map(|member| member.channel).collect();
    to.push("ops-mail");
    let (code, answer) = app.post("/api/v1/send", &json!({ "to": to, "title": TITLE, "text": TEXT })).await;
    assert!(code == 200 && answer["unknown"].as_array().is_none_or(Vec::is_empty), "{answer}");
    let rows = app.settled().await;
    assert!(rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    let mut wrong = Vec::new();
    for member in &all.members {
        // What programs read is not ours to shape.
        if member.channel == "webhook" {
            continue;
        }
        let records = member.rec.accepted().into_iter().filter(|record| record.call.path.contains(member.path));
        let said = records.map(|record| shown(&record)).collect::<Vec<_>>().join("\n");
        // Nor are the words of vendors' templates; the value of `{severity}` is.
        if ["aliyun_sms", "aliyun_voice", "tencent_sms", "tencent_voice"].contains(&member.channel) {
            if !said.contains("notice") || said.contains("alert") || said.contains("firing") {
                wrong.push(format!("{}: {said}", member.channel));
            }
            continue;
        }
        // A call says it twice, to be understood.
        let most = if member.channel == "twilio_voice" { 2 } else { 1 };
        let fine = count(&said, "Release0815") <= most
            && count(&said, "Step4711") <= most
            && count(&said, "Release0815") + count(&said, "Step4711") >= 1
            && ["Firing", "firing", "Since", "since", "Warning", "Severity", "告警", "触发", "持续", "🟡", "🔴"]
                .iter()
                .all(|word| !said.contains(word));
        if !fine {
            wrong.push(format!("{}: {said}", member.channel));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
    let mails = four.smtp.mails();
    let mail = &mails[0];
    let (subject, body) = (mail.subject().to_owned(), mail.text());
    assert_eq!((subject.as_str(), body.trim()), (TITLE, TEXT));
    assert!(mail.header("X-Alert-Status").is_none());
}

/// What people see of a message: Slack shows `text` only where there are no blocks, and in its notifications.
fn shown(record: &Record) -> String {
    match serde_json::from_slice::<Value>(&record.call.body) {
        Ok(body) if body["attachments"][0]["blocks"].is_array() => body["attachments"][0]["blocks"].to_string(),
        Ok(body) if body["blocks"].is_array() => body["blocks"].to_string(),
        _ => record.text.clone(),
    }
}

/// With a severity it is an alert, and says so; still nothing is there twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_note_with_a_severity_is_an_alert_and_says_nothing_twice() {
    let all = All::start().await;
    let app = TestApp::start(&all.routes()).await;
    let (code, _) =
        app.post("/api/v1/send", &json!({ "to": ["slack", "dingtalk", "wecom"], "title": TITLE, "text": TEXT, "severity": "critical" })).await;
    assert_eq!(code, 200);
    app.settled().await;
    for name in ["slack", "dingtalk", "wecom"] {
        let said = all.member(name).rec.accepted().iter().map(shown).collect::<Vec<_>>().join("\n");
        assert_eq!(count(&said, "Step4711"), 1, "{name}: {said}");
        assert!(count(&said, "Release0815") <= 2, "{name}: a title, and its preview: {said}");
    }
}

/// They share a title: a later one must not take the place of an earlier one that waits.
#[tokio::test(flavor = "multi_thread")]
async fn texts_that_wait_together_are_all_read() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    for (severity, hosts) in [(None, ["db-1", "db-2", "db-3"]), (Some("error"), ["web-1", "web-2", "web-3"])] {
        four.ding.faults.push(Fault::Status(503, None));
        for host in hosts {
            let text = json!({ "to": "ops-ding", "title": "Backup failed", "text": format!("no space left on {host}"), "severity": severity });
            assert_eq!(app.post("/api/v1/send", &text).await.0, 200);
        }
        let rows = app.settled().await;
        assert!(rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
        let read: Vec<String> = four.ding.rec.accepted().iter().map(|record| record.text.clone()).collect();
        for host in hosts {
            assert_eq!(read.iter().filter(|text| text.contains(host)).count(), 1, "{host}: {read:?}");
        }
    }
}
