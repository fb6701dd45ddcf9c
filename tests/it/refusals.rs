//! What a refusal costs: a fault of one message ends that message and holds nobody up, and no answer is asked for again and again.

use std::time::Duration;

use watchfire::store::State;

use crate::support::app::{SOON, TestApp, alert};
use crate::support::every_platform::All;
use crate::support::fakes::dingtalk::{DingtalkRobot, Robot};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_the_robots_keyword_holds_nobody_up_in_either_language() {
    let chinese =
        r#"{"errcode":310000,"errmsg":"description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;"}"#;
    let english = r#"{"errcode":310000,"errmsg":"keywords not in content, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"}"#;
    for refusal in [chinese, english] {
        let ding = Fake::start(DingtalkRobot::default().robot("ding-token", Robot::default())).await;
        let yaml = format!(
            "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n  ding: {{ dingtalk: {{ access_token: ding-token, api_base: \"{}\" }} }}\nroute: {{ to: [ding] }}\n",
            ding.url()
        );
        let app = TestApp::start(&yaml).await;
        // As it is and as plain text.
        for _ in 0..2 {
            ding.faults.push(Fault::Reply(200, "application/json".into(), refusal.into()));
        }
        app.post("/webhook", &alert("disk", "DiskFull", "firing")).await;
        app.settled().await;
        app.post("/webhook", &alert("db", "DbDown", "firing")).await;
        let rows = app.settled().await;
        let state = |name: &str| rows.iter().find(|row| row.title.contains(name)).unwrap().state;
        assert_eq!((state("DiskFull"), state("DbDown")), (State::Dead, State::Sent), "{rows:#?}");
        let (_, channels) = app.get("/api/v1/channels").await;
        assert!(channels["channels"][0]["suspended"].is_null(), "{channels}");
        assert_eq!(ding.rec.total(), 3);
    }
}

/// A broken channel holds what comes; once it works and somebody says so, all of that goes out, the message included with which it was found broken.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_broken_platform_held_goes_out_when_it_works_again() {
    let all = All::start().await;
    for member in &all.members {
        member.faults.always_on(member.path, member.answer("misconfigured"));
    }
    let app = TestApp::start(&all.routes()).await;
    app.post("/webhook", &alert("db", "First", "firing")).await;
    let suspended = |channels: &serde_json::Value| channels["channels"].as_array().unwrap().iter().filter(|one| !one["suspended"].is_null()).count();
    let end = tokio::time::Instant::now() + SOON;
    while suspended(&app.get("/api/v1/channels").await.1) < all.members.len() {
        assert!(tokio::time::Instant::now() < end, "{:#}", app.get("/api/v1/channels").await.1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.post("/webhook", &alert("web", "Second", "firing")).await;
    all.members.iter().for_each(|member| member.faults.clear());
    app.app.reload().await.unwrap();
    let rows = app.settled().await;
    assert_eq!(rows.len(), 2 * all.members.len());
    assert!(rows.iter().all(|row| row.state == State::Sent), "{:#?}", rows.iter().filter(|row| row.state != State::Sent).collect::<Vec<_>>());
    assert_eq!(suspended(&app.get("/api/v1/channels").await.1), 0);
    app.app.stop(Duration::from_secs(5)).await;
}

/// Whatever a platform answers, for as long as it answers so: a refused message is sent once more as plain text, a broken channel and a limit are
/// asked once (and a limit of two seconds may be over while this looks).
#[tokio::test(flavor = "multi_thread")]
async fn no_refusal_is_asked_for_again_and_again() {
    let all = All::start().await;
    for (kind, most) in [("rejected", 2), ("misconfigured", 1), ("rate_limited", 2)] {
        for member in &all.members {
            member.faults.clear();
            member.rec.clear();
            member.faults.always_on(member.path, member.answer(kind));
        }
        let app = TestApp::start(&all.routes()).await;
        app.post("/webhook", &alert("db", &format!("Refused-{kind}"), "firing")).await;
        let end = tokio::time::Instant::now() + SOON;
        while all.members.iter().any(|member| member.sends() == 0) && tokio::time::Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        for member in &all.members {
            let asked = member.sends();
            assert!((1..=most).contains(&asked), "{}: {asked} requests for an answer that is {kind}", member.channel);
        }
        app.app.stop(Duration::from_secs(2)).await;
    }
}
