//! The direct paths, as their old clients know them.

use serde_json::{Value, json};

use crate::support::app::{Four, TestApp};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::recorder::Record;

const MISSING: &str = "参数缺失，请检查";

async fn call(app: &TestApp, path: &str, body: Value) -> Value {
    let (status, answer) = app.post(path, &body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn body(record: &Record) -> Value {
    serde_json::from_slice(&record.call.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_delivers() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let mail = json!({ "subject": "hi", "from": "app@example.com", "to": ["a@example.com"], "cc": "b@example.com", "content": "<b>bold</b> text" });
    assert_eq!(call(&app, "/email/send/message", mail).await["code"], 0);
    let mails = four.smtp.mails();
    assert_eq!(mails.len(), 2, "one envelope for each of to and cc");
    assert!(mails[0].html().contains("<b>bold</b>") && mails[0].header("From").unwrap().contains("app@example.com"));
    assert_eq!(call(&app, "/slack/send/message", json!({ "channel": "ops", "content": "*hi* there" })).await["code"], 0);
    assert!(four.slack.rec.accepted()[0].text.contains("*hi* there"));
    let get = app.http.get(app.url("/slack/send/message")).json(&json!({ "channel": "ops", "content": "by get" })).send().await.unwrap();
    assert_eq!(get.json::<Value>().await.unwrap()["code"], 0);
    assert_eq!(call(&app, "/dingding/send/message", json!({ "content": "hello", "isAtAll": false, "atMobiles": ["13800000000"] })).await["code"], 0);
    assert_eq!(body(&four.ding.rec.accepted()[0])["msgtype"], "text");
    assert_eq!(call(&app, "/wx/apps/send", json!({ "touser": "zhangsan|lisi", "agentid": "1000002", "content": "hello" })).await["code"], 0);
    assert_eq!(body(&four.wecom.rec.accepted()[0])["msgtype"], "text");
    let rows = app.settled().await;
    assert!(rows.len() == 5 && rows.iter().all(|r| r["state"] == "sent" && r["mode"] == "sync"), "recorded like any delivery: {rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_or_wrong_is_said_as_it_always_was() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    for (path, missing) in [
        ("/email/send/message", json!(["subject", "from", "to", "content"])),
        ("/slack/send/message", json!(["channel", "content"])),
        ("/wx/apps/send", json!(["touser", "agentid", "content"])),
    ] {
        let answer = call(&app, path, json!({})).await;
        assert_eq!((&answer["code"], &answer["message"], &answer["missing"]), (&json!(1), &json!(MISSING), &missing), "{path}");
    }
    let no_mobiles = call(&app, "/dingding/send/message", json!({ "content": "x", "isAtAll": false, "atMobiles": [] })).await;
    assert_eq!((&no_mobiles["message"], &no_mobiles["missing"]), (&json!(MISSING), &json!(["atMobiles"])));
    let not_bool = call(&app, "/dingding/send/message", json!({ "content": "x", "isAtAll": "yes", "atMobiles": ["1"] })).await;
    assert_eq!(not_bool["message"], "isAtAll 不是 bool 类型，请检查");
    let unknown = call(&app, "/slack/send/message", json!({ "channel": "nope", "content": "x" })).await;
    assert_eq!(unknown["message"], "channel 有误或不存在，请检查");
    let relay = call(&app, "/email/send/message", json!({ "subject": "s", "from": "x@evil.example", "to": "a@example.com", "content": "c" })).await;
    assert!(relay["code"] == 1 && relay["message"].as_str().unwrap().contains("allow_from"), "{relay}");
    let broken = app.http.post(app.url("/wx/apps/send")).body("{\"touser\": ").send().await.unwrap();
    assert_eq!((broken.status().as_u16(), broken.json::<Value>().await.unwrap()["code"].clone()), (200, json!(1)));
    for path in ["/dingding/call", "/sms/send", "/vms/send"] {
        let answer = call(&app, path, json!({ "to": "13800000000", "mobiles": ["13800000000"], "content": "x" })).await;
        assert!(answer["code"] == 1 && answer["message"].as_str().unwrap().contains("not bound"), "{path}: {answer}");
    }
    assert!(four.smtp.mails().is_empty() && four.ding.rec.total() == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_the_platforms_own_answer_and_is_not_repeated() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let refused = call(&app, "/wx/apps/send", json!({ "touser": "nobody", "agentid": 1000002, "content": "x" })).await;
    assert_eq!(refused["code"], 1);
    let body: Value = serde_json::from_str(refused["message"].as_str().unwrap()).expect("WeCom's own body");
    assert_eq!(body["errcode"], 81013);
    let partly = call(&app, "/wx/apps/send", json!({ "touser": "zhangsan|nobody", "agentid": 1000002, "content": "x" })).await;
    assert_eq!((&partly["code"], &partly["failed"]), (&json!(1), &json!(["nobody"])));
    four.ding.faults.push(Fault::Status(500, None));
    let failed = call(&app, "/dingding/send/message", json!({ "content": "x", "isAtAll": true })).await;
    assert_eq!(failed["code"], 1);
    assert_eq!(four.ding.rec.accepted().len(), 0, "one attempt, never sent later");
    let next = call(&app, "/dingding/send/message", json!({ "content": "y", "isAtAll": true })).await;
    assert_eq!(next["code"], 0, "an error of a direct call holds nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_unless_the_paths_are_open() {
    let four = Four::start().await;
    let closed = four.routes().replace("listen: \"127.0.0.1:0\"", "listen: \"127.0.0.1:0\", auth: [{ bearer: t0ken-of-the-test }]");
    let app = TestApp::start(&closed).await;
    let (status, _) = app.post("/wx/apps/send", &json!({})).await;
    assert_eq!(status, 401);
    let (status, _) = app.post("/webhook", &json!({})).await;
    assert_eq!(status, 401);
    let ok = app.http.post(app.url("/wx/apps/send")).bearer_auth("t0ken-of-the-test").json(&json!({})).send().await.unwrap();
    assert_eq!(ok.status(), 200);
    let open = TestApp::start(&closed.replace("legacy:\n", "legacy:\n  auth: none\n")).await;
    let (status, _) = open.post("/wx/apps/send", &json!({})).await;
    assert_eq!(status, 200);
    let (status, _) = open.post("/webhook", &json!({})).await;
    assert_eq!(status, 401, "only the direct paths are open");
}
