//! The direct paths, as their old clients know them.

use serde_json::{Value, json};
use watchfire::store::{Mode, State};

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
    let typed = json!({ "content": "hello", "isAtAll": false, "atMobiles": "+8613700000000,0086-138-1234-5678" });
    assert_eq!(call(&app, "/dingding/send/message", typed).await, json!({ "code": 0 }));
    assert_eq!(body(&four.ding.rec.accepted()[1])["at"]["atMobiles"], json!(["13700000000", "13812345678"]));
    let typed = json!({ "content": "hello", "isAtAll": false, "atMobiles": "@13700000000、13812345678" });
    assert_eq!(call(&app, "/dingding/send/message", typed).await, json!({ "code": 0 }));
    assert_eq!(body(&four.ding.rec.accepted()[2])["at"]["atMobiles"], json!(["13700000000", "13812345678"]));
    let typed = json!({ "content": "hello", "isAtAll": false, "atMobiles": ["13800000000(张三)", "13900000000&13700000000"] });
    assert_eq!(call(&app, "/dingding/send/message", typed).await, json!({ "code": 0 }));
    assert_eq!(body(&four.ding.rec.accepted()[3])["at"]["atMobiles"], json!(["13800000000", "13900000000", "13700000000"]));
    assert_eq!(call(&app, "/wx/apps/send", json!({ "touser": "zhangsan|lisi", "agentid": "1000002", "content": "hello" })).await["code"], 0);
    assert_eq!(body(&four.wecom.rec.accepted()[0])["msgtype"], "text");
    let rows = app.settled().await;
    assert!(rows.len() == 8 && rows.iter().all(|r| r.state == State::Sent && r.mode == Mode::Direct), "recorded like any delivery: {rows:#?}");
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
    let no_number = call(&app, "/dingding/send/message", json!({ "content": "x", "isAtAll": false, "atMobiles": "13800000000,abc" })).await;
    assert_eq!(no_number, json!({ "code": 1, "message": "atMobiles 中的 `abc` 不是手机号，请检查" }));
    for (typed, word) in [(json!("13800000000-13900000000"), "13800000000-13900000000"), (json!("@zhangsan1"), "zhangsan1")] {
        let unread = call(&app, "/dingding/send/message", json!({ "content": "x", "isAtAll": false, "atMobiles": typed })).await;
        assert_eq!(unread, json!({ "code": 1, "message": format!("atMobiles 中的 `{word}` 不是手机号，请检查") }));
    }
    assert_eq!(four.ding.rec.accepted().len(), 0, "nobody is sent what pings nobody");
    let unknown = call(&app, "/slack/send/message", json!({ "channel": "nope", "content": "x" })).await;
    assert_eq!(unknown["message"], "channel 有误或不存在，请检查");
    let relay = call(&app, "/email/send/message", json!({ "subject": "s", "from": "x@evil.example", "to": "a@example.com", "content": "c" })).await;
    assert!(relay["code"] == 1 && relay["message"].as_str().unwrap().contains("allow_from"), "{relay}");
    let broken = app.http.post(app.url("/wx/apps/send")).body("{\"touser\": ").send().await.unwrap();
    assert_eq!((broken.status().as_u16(), broken.json::<Value>().await.unwrap()["code"].clone()), (200, json!(1)));
    for path in ["/dingding/call", "/sms/send", "/vms/send"] {
        let answer = call(&app, path, json!({ "to": "13800000000", "mobiles": ["13800000000"], "content": "x" })).await;
        assert!(answer["code"] == 1 && answer["message"].as_str().unwrap().contains("未绑定通道"), "{path}: {answer}");
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
    let body: Value = serde_json::from_str(partly["message"].as_str().unwrap()).expect("WeCom's own body alone");
    assert_eq!((&partly["code"], &body["invaliduser"]), (&json!(1), &json!("nobody")));
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

/// What an old client's schema says of an answer: nothing besides.
fn check_shape(answer: &Value, what: &str) {
    let schema = json!({ "oneOf": [
        { "type": "object", "additionalProperties": false, "required": ["code"], "properties": { "code": { "const": 0 } } },
        { "type": "object", "additionalProperties": false, "required": ["code", "message"], "properties": {
            "code": { "const": 1 }, "message": { "type": "string", "minLength": 1 }, "missing": { "type": "array", "items": { "type": "string" } },
        } },
    ] });
    assert!(jsonschema::validator_for(&schema).unwrap().is_valid(answer), "{what}: {answer}");
}

/// Whether a text is Chinese: old clients show it to people.
fn is_chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

const PATHS: [&str; 7] =
    ["/email/send/message", "/slack/send/message", "/dingding/send/message", "/dingding/call", "/wx/apps/send", "/sms/send", "/vms/send"];

/// All seven paths bound to terminals: their answers do not depend on a platform.
const SEVEN: &str = r#"
server: { listen: "127.0.0.1:0", max_body: 20KiB, auth: [{ name: one, bearer: t0ken-of-the-test }, { name: other, bearer: t0ken-of-others, scopes: [webhook] }] }
store: sqlite:watchfire.db
channels: { terminal: { log: {} } }
route: { to: [terminal] }
legacy:
  email: { channel: terminal, allow_from: ["*@example.com"] }
  slack: { ops: terminal }
  dingding: terminal
  dingding_call: terminal
  wx: terminal
  sms: terminal
  vms: terminal
"#;

#[tokio::test(flavor = "multi_thread")]
async fn answers_hold_nothing_that_old_clients_do_not_know() {
    let app = TestApp::start(SEVEN).await;
    let good = json!({
        "subject": "s", "from": "a@example.com", "to": ["13800000000"], "channel": "ops", "content": "c", "isAtAll": true, "mobiles": "13800000000",
        "touser": "zhangsan", "agentid": "1000002",
    });
    for path in PATHS {
        let call = |body: Value| {
            let request = app.http.post(app.url(path)).bearer_auth("t0ken-of-the-test").json(&body);
            async move { request.send().await.unwrap() }
        };
        let answer = call(good.clone()).await;
        let delivery = answer.headers().get("watchfire-delivery").map(|id| id.to_str().unwrap().to_owned());
        assert_eq!(answer.text().await.unwrap(), r#"{"code":0}"#, "{path}");
        let (status, _) = {
            let found = app.http.get(app.url(&format!("/api/v1/deliveries/{}", delivery.expect(path)))).bearer_auth("t0ken-of-the-test");
            let found = found.send().await.unwrap();
            (found.status().as_u16(), ())
        };
        assert_eq!(status, 200, "{path}: the header names the record");
        for body in [json!({}), json!([]), json!({ "content": "c" }), json!({ "content": "c", "isAtAll": "x", "to": {}, "touser": true })] {
            let answer = call(body).await;
            assert_eq!(answer.status(), 200);
            check_shape(&answer.json().await.unwrap(), path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_before_the_call_have_the_old_shape_and_language() {
    let app = TestApp::start(SEVEN).await;
    for path in PATHS {
        let post = |path: &str| app.http.post(app.url(path));
        let large = json!({ "content": "x".repeat(30 << 10) });
        for (what, request, status) in [
            ("no credential", post(path).json(&json!({})), 401),
            ("a wrong one", post(path).bearer_auth("guessed").json(&json!({})), 401),
            ("one for something else", post(path).bearer_auth("t0ken-of-others").json(&json!({})), 403),
            ("too large", post(path).bearer_auth("t0ken-of-the-test").json(&large), 413),
            ("an encoding", post(path).bearer_auth("t0ken-of-the-test").header("content-encoding", "br").body("x"), 415),
            ("no such method", app.http.delete(app.url(path)).bearer_auth("t0ken-of-the-test"), 405),
            ("no such path", post(&format!("{path}/more")).bearer_auth("t0ken-of-the-test").json(&json!({})), 404),
        ] {
            let answer = request.send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (status, "application/json"), "{what} {path}");
            let answer: Value = answer.json().await.unwrap();
            check_shape(&answer, what);
            assert!(answer["code"] == 1 && is_chinese(answer["message"].as_str().unwrap()), "{what} {path}: {answer}");
        }
    }
    let busy = TestApp::start(&SEVEN.replace("max_body: 20KiB,", "limits: { per_second: 1 },")).await;
    let mut refused = None;
    for _ in 0..20 {
        let answer = busy.http.post(busy.url("/vms/send")).bearer_auth("t0ken-of-the-test").json(&json!({})).send().await.unwrap();
        if answer.status() == 503 {
            refused = Some((answer.headers().contains_key("retry-after"), answer.json::<Value>().await.unwrap()));
            break;
        }
    }
    let (retry_after, answer) = refused.expect("more than one a second");
    check_shape(&answer, "busy");
    assert!(retry_after && is_chinese(answer["message"].as_str().unwrap()), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_networks_hold_for_callers_with_credentials_too() {
    for (networks, status) in [("10.0.0.0/8", 403), ("127.0.0.0/8", 200)] {
        let app = TestApp::start(&SEVEN.replace("legacy:\n", &format!("legacy:\n  allow_ips: [{networks}]\n"))).await;
        for path in PATHS {
            let answer = app.http.post(app.url(path)).bearer_auth("t0ken-of-the-test").json(&json!({})).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{path} {networks}");
            let answer: Value = answer.json().await.unwrap();
            check_shape(&answer, path);
            assert!(status == 200 || answer["message"].as_str().unwrap().contains("allow_ips"), "{answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agentid_finds_its_application() {
    let four = Four::start().await;
    let other = "  dba-wecom: { log: {} }\n";
    let routes = four.routes().replace("  ops-slack: {", &format!("{other}  ops-slack: {{"));
    let app = TestApp::start(&routes.replace("wx: ops-wecom", "wx: { \"1000002\": ops-wecom, \"1000003\": dba-wecom }")).await;
    for agentid in [json!("1000002"), json!(1_000_002), json!(1_000_002.0), json!(" 1000002 ")] {
        assert_eq!(call(&app, "/wx/apps/send", json!({ "touser": "zhangsan", "agentid": agentid, "content": "x" })).await, json!({ "code": 0 }));
    }
    assert_eq!(four.wecom.rec.accepted().len(), 4);
    assert_eq!(call(&app, "/wx/apps/send", json!({ "touser": "zhangsan", "agentid": 1000003, "content": "x" })).await, json!({ "code": 0 }));
    assert_eq!(four.wecom.rec.accepted().len(), 4, "the other application's channel");
    let unknown = call(&app, "/wx/apps/send", json!({ "touser": "zhangsan", "agentid": "1000009", "content": "x" })).await;
    assert_eq!(unknown, json!({ "code": 1, "message": "agentid 有误或不存在，请检查" }));
    let one = TestApp::start(&four.routes()).await;
    let named = call(&one, "/wx/apps/send", json!({ "touser": "zhangsan", "agentid": "运维", "content": "x" })).await;
    assert_eq!(named["message"], "agentid 应为数字，请检查");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_arrive_whole() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let text: String = (0..120).map(|n| format!("第{n}行：磁盘使用率 92%\n")).collect();
    let answer =
        app.http.post(app.url("/wx/apps/send")).json(&json!({ "touser": "zhangsan", "agentid": "1000002", "content": text })).send().await.unwrap();
    let parts = answer.headers()["watchfire-delivery"].to_str().unwrap().split(", ").count();
    assert_eq!(answer.text().await.unwrap(), r#"{"code":0}"#);
    let sent: Vec<String> = four.wecom.rec.accepted().iter().map(|r| body(r)["text"]["content"].as_str().unwrap().to_owned()).collect();
    assert!(sent.len() == parts && sent.len() > 1 && sent.iter().all(|part| part.len() <= 2048), "{sent:?}");
    let whole = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(whole(&sent.concat()), whole(&text));
    let long = "x".repeat(30_000);
    assert_eq!(call(&app, "/slack/send/message", json!({ "channel": "ops", "content": long })).await, json!({ "code": 0 }));
    assert_eq!(body(&four.slack.rec.accepted()[0])["text"].as_str().unwrap().len(), 30_000, "text alone, for blocks hold 13,000");
    // A robot of DingTalk takes 20,000 bytes.
    let lines: String = (0..1500).map(|n| format!("第{n}行：磁盘使用率 92%\n")).collect();
    assert_eq!(call(&app, "/dingding/send/message", json!({ "content": lines, "isAtAll": true })).await, json!({ "code": 0 }));
    let sent: Vec<String> = four.ding.rec.accepted().iter().map(|r| body(r)["text"]["content"].as_str().unwrap().to_owned()).collect();
    let mentions = sent.iter().map(|part| part.replace("@all", "")).collect::<String>();
    assert!(sent.len() > 1 && sent.iter().all(|part| part.len() < 20_000), "{:?}", sent.iter().map(String::len).collect::<Vec<_>>());
    assert_eq!(whole(&mentions), whole(&lines));
    let endless = call(&app, "/wx/apps/send", json!({ "touser": "zhangsan", "agentid": "1000002", "content": "磁".repeat(100_000) })).await;
    assert!(endless["code"] == 1 && endless["message"].as_str().unwrap().contains("过长"), "{endless}");
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_may_have_names() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let mail = json!({
        "subject": "hi", "from": "Ops <app@example.com>", "to": ["Zhang San <a@example.com>", "A@example.com"], "cc": "张三 <b@example.com>", "content": "c",
    });
    assert_eq!(call(&app, "/email/send/message", mail).await, json!({ "code": 0 }));
    let mails = four.smtp.mails();
    assert_eq!(mails.len(), 2, "one mail for each address");
    assert!(mails.iter().any(|m| m.header("To").is_some_and(|to| to.contains("Zhang San"))));
}

/// Compares whole objects, as typed clients do.
const STRICT_CLIENT: &str = r#"
import json, sys, urllib.error, urllib.request
base, calls = sys.argv[1], json.loads(sys.argv[2])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for path, body, expected in calls:
    data = json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"})
    try:
        answer = opener.open(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    got = json.loads(answer.read())
    if got != expected:
        sys.exit(f"{path} {body}: {got} is not {expected}")
print("all", len(calls))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_client_in_another_language_notices_nothing() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    let ok = json!({ "code": 0 });
    let no = |message: &str| json!({ "code": 1, "message": message });
    let calls = json!([
        ["/email/send/message", { "subject": "s", "from": "a@example.com", "to": "x@example.com;y@example.com", "content": "c" }, ok],
        ["/slack/send/message", { "channel": "ops", "content": "c" }, ok],
        ["/slack/send/message", { "channel": "nope", "content": "c" }, no("channel 有误或不存在，请检查")],
        ["/dingding/send/message", { "content": "c", "isAtAll": false, "atMobiles": "13800000000|13900000000" }, ok],
        ["/dingding/send/message", { "content": "c", "isAtAll": 1 }, no("isAtAll 不是 bool 类型，请检查")],
        ["/wx/apps/send", { "touser": "zhangsan,lisi", "agentid": 1000002, "content": "c" }, ok],
        ["/wx/apps/send", {}, { "code": 1, "message": MISSING, "missing": ["touser", "agentid", "content"] }],
        ["/sms/send", { "to": "1", "content": "c" }, no("/sms/send 未绑定通道，请在 routes.yaml 的 legacy 中配置")],
        ["/vms/send", { "to": "1", "content": "c" }, no("/vms/send 未绑定通道，请在 routes.yaml 的 legacy 中配置")],
        ["/dingding/call", { "mobiles": "1", "content": "c" }, no("/dingding/call 未绑定通道，请在 routes.yaml 的 legacy 中配置")],
        ["/dingding/calls", {}, no("接口不存在，请检查路径")],
    ]);
    let (base, calls) = (app.url(""), calls.to_string());
    let run = move || std::process::Command::new("python3").args(["-c", STRICT_CLIENT, &base, &calls]).output();
    let done = tokio::task::spawn_blocking(run).await.unwrap().expect("this test needs python3");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "all 11");
}
