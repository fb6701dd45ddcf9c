//! Bodies that cost much or are not what one expects: none is answered away, none keeps the server from answering.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchfire::store::State;

use crate::support::app::{Four, SOON, TestApp, alert};
use crate::support::every_platform::All;
use crate::support::fakes::recorder::Record;
use crate::support::serial::turn;

/// All four platforms without a pace.
async fn four() -> (Four, TestApp) {
    let four = Four::start().await;
    four.slack.unpaced();
    four.ding.unpaced();
    let routes = four.routes();
    let routes = ["ops-mail", "ops-slack", "ops-ding", "ops-wecom"]
        .iter()
        .fold(routes, |routes, name| routes.replace(&format!("  {name}: {{ "), &format!("  {name}: {{ rate_limit: off, ")));
    let app = TestApp::start(&routes).await;
    (four, app)
}

async fn send(app: &TestApp, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    let response = app.http.post(app.url(path)).header("content-type", kind).body(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// What each platform was sent, as text.
fn told(four: &Four) -> [String; 4] {
    let of = |records: Vec<Record>| records.iter().map(|r| r.json().to_string()).collect::<Vec<_>>().join("\n");
    let mails = four.smtp.mails().iter().map(|mail| mail.everything()).collect::<Vec<_>>().join("\n");
    [of(four.slack.rec.accepted()), of(four.ding.rec.accepted()), of(four.wecom.rec.accepted()), mails]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_odd_alert_costs_no_other() {
    let (four, app) = four().await;
    let mut body = alert("w20", "Good", "firing");
    let odd = [
        json!({ "status": "firing", "labels": [{ "Name": "alertname", "Value": "Listed" }] }),
        json!("a line of text"),
        json!({ "labels": { "alertname": "Told" }, "annotations": "annotated as text" }),
        json!(17),
    ];
    body["alerts"].as_array_mut().unwrap().extend(odd);
    assert_eq!(app.post("/webhook/alertmanager", &body).await.0, 200);
    let rows = app.settled().await;
    assert!(rows.len() == 4 && rows.iter().all(|row| row.state == State::Sent && row.firing == 5), "{rows:#?}");
    for text in told(&four) {
        for word in ["Good", "Listed", "a line of text", "Told", "annotated as text", "4 alerts came in an unknown form"] {
            assert!(text.contains(word), "{word} is missing in {text}");
        }
    }
}

/// What no platform shows and some refuse: control and direction characters, half a character, an endless word, an empty name, thousands of labels.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_of_odd_texts_passes_every_platform() {
    let all = All::start().await;
    let app = TestApp::start(&all.routes().replace("timeout: 2s", "timeout: 20s")).await;
    let mut crowd = alert("crowd", "Crowd", "firing");
    for n in 0..3000 {
        crowd["alerts"][0]["labels"][format!("label_{n:04}")] = json!(format!("value of {n}"));
    }
    let odd = alert("odd", "Odd\u{0}\u{1}\u{1b}[31m\u{7f}\u{202e}gnp.exe\u{feff}\u{fffe}", "firing");
    let mut endless = alert("endless", "Endless", "firing");
    endless["alerts"][0]["annotations"] =
        json!({ "summary": "长".repeat(60_000), "description": format!("https://x.example.com/{}", "a".repeat(60_000)) });
    let mut nameless = alert("nameless", "", "firing");
    nameless["alerts"][0]["labels"] = json!({ "alertname": "", "severity": "critical", " ": "\r\n\t", "": "x", "名 称": "&<>\"'`{{x}}" });
    let half = alert("half", "HalfOfOne", "firing").to_string().replace("is wrong", "is wrong \\ud83d");
    for body in [crowd.to_string(), odd.to_string(), endless.to_string(), nameless.to_string(), half] {
        let (status, answer) = send(&app, "/webhook", "application/json", body).await;
        assert_eq!(status, 200, "{answer}");
    }
    let rows = app.settled().await;
    let lost: Vec<_> = rows.iter().filter(|row| row.state != State::Sent).map(|row| (&row.channel, &row.title, &row.reason)).collect();
    assert!(rows.len() == 5 * all.members.len() && lost.is_empty(), "{} of {}: {lost:#?}", lost.len(), rows.len());
    for member in &all.members {
        let refused = member.rec.count(crate::support::fakes::Verdict::Refused);
        assert_eq!(refused, 0, "{} refused a page, which then went as plain text", member.channel);
    }
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_alert_goes_as_text_to_the_default_route() {
    let (four, app) = four().await;
    let bodies = [
        ("/webhook", "application/json", r#"{"event": "backup", "title": "Backup of db-1 failed", "detail": {"code": 17}}"#, "Backup of db-1 failed"),
        ("/webhook/grafana", "application/json", r#"["a list", "of words"]"#, "of words"),
        ("/webhook/alertmanager", "text/plain", "disk full on db-2", "disk full on db-2"),
        ("/webhook", "application/json", r#"{"alerts": [{"labels": {"alertname": "Cut"#, "Cut"),
        ("/webhook", "application/x-www-form-urlencoded", "payload=%7B%22text%22%3A%22x%22%7D", "payload"),
    ];
    for (path, kind, body, _) in bodies {
        let (status, answer) = send(&app, path, kind, body).await;
        assert_eq!(status, 200, "{body}: {answer}");
        // Sent again within the window it is the same one.
        assert!(send(&app, path, kind, body).await.1.contains("\"duplicate\":true"), "{body}");
    }
    let rows = app.settled().await;
    assert!(rows.len() == 4 * bodies.len() && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    for text in told(&four) {
        for (_, _, _, word) in bodies {
            assert!(text.contains(word), "{word} is missing in {text}");
        }
        assert!(text.contains("no alert that Watchfire knows"), "{text}");
    }
    let (status, ready) = app.get("/-/ready").await;
    let ready = ready.as_str().unwrap();
    assert!(status == 200 && ready.contains("5 bodies were no alerts and were delivered as text"), "{ready}");
    let (_, metrics) = app.get("/metrics").await;
    assert!(metrics.as_str().unwrap().lines().any(|line| line.contains("outcome=\"unread\"") && line.ends_with(" 5")), "{metrics}");
    // What says nothing is kept, and says why nobody reads of it; Alertmanager would drop what gets 4xx.
    let blanks = [
        ("/webhook", "{}"),
        ("/webhook", "[]"),
        ("/webhook", "null"),
        ("/webhook", r#"{"status":"firing","alerts":[]}"#),
        ("/webhook/alertmanager", r#"{"version":"4","groupKey":"x","alerts":null}"#),
        ("/webhook/alertmanager", r#"{"version":"4","groupKey":"y","alerts":[],"truncatedAlerts":3}"#),
        ("/in/nowhere", r#"{"jobs":[]}"#),
    ];
    for (path, blank) in blanks {
        let (status, answer) = send(&app, path, "application/json", blank).await;
        assert!(status == 200 && answer.contains("\"deliveries\":[]"), "{blank}: {answer}");
    }
    let (_, listed) = app.get("/api/v1/events?unrouted=true&limit=50").await;
    let notes: Vec<&str> = listed["events"].as_array().unwrap().iter().map(|event| event["note"].as_str().unwrap()).collect();
    for (_, blank) in blanks {
        let begins = format!("no alert in the body: {}", &blank[..blank.len().min(30)]);
        assert!(notes.iter().any(|note| note.starts_with(&begins)), "{blank}: {notes:?}");
    }
    for empty in ["", " \n"] {
        assert_eq!(send(&app, "/webhook", "application/json", empty).await.0, 400);
    }
    assert_eq!(app.settled().await.len(), rows.len(), "nobody is sent an empty message");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_encoding_is_read_on_every_path() {
    let (four, app) = four().await;
    let gbk = |text: &str| encoding_rs::GBK.encode(text).0.into_owned();
    let of = |name: &str| serde_json::to_string(&alert(name, name, "firing")).unwrap();
    for (kind, name) in
        [("application/json", "磁盘已满"), ("application/json; charset=gbk", "内存不足"), ("application/json; charset=GB2312", "网络延迟")]
    {
        let (status, answer) = send(&app, "/webhook", kind, gbk(&of(name))).await;
        assert!(status == 200 && answer.contains("\"duplicate\":false"), "{answer}");
    }
    let call = json!({ "touser": "zhangsan", "agentid": "1000002", "content": "数据库主机失联" }).to_string();
    assert!(send(&app, "/wx/apps/send/", "application/json; charset=gbk", gbk(&call)).await.1.contains("\"code\":0"));
    let sent = json!({ "to": "ops-slack", "text": "部署失败请检查" }).to_string();
    assert_eq!(send(&app, "/api/v1/send/", "application/json; charset=gbk", gbk(&sent)).await.0, 200);
    // In no known encoding: delivered with a note, and two that differ are two.
    for byte in [0xe8u8, 0xe9] {
        let body = [&br#"{"alerts":[{"labels":{"alertname":"caf"#[..], &[byte], br#" down"}}]}"#].concat();
        assert!(send(&app, "/webhook", "application/json", body).await.1.contains("\"duplicate\":false"));
    }
    app.settled().await;
    let [slack, ding, wecom, _] = told(&four);
    for text in [&slack, &ding, &wecom] {
        for word in ["磁盘已满", "内存不足", "网络延迟", "café down", "cafè down", "not UTF-8"] {
            assert!(text.contains(word), "{word} is missing in {text}");
        }
        assert!(!text.contains('\u{fffd}'), "{text}");
    }
    assert!(wecom.contains("数据库主机失联") && slack.contains("部署失败请检查"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runbook_that_is_no_address_is_told_on_every_platform() {
    let (four, app) = four().await;
    let mut all = All::start().await;
    all.members.retain(|member| ["feishu", "feishu-app", "teams", "discord", "telegram", "zulip"].contains(&member.channel));
    let others = TestApp::start(&all.routes().replace("timeout: 2s", "timeout: 20s")).await;
    let mut body = alert("w15", "NoScheme", "firing");
    body["alerts"][0]["annotations"] = json!({ "summary": "s", "runbook_url": "wiki.corp.example/rb/x", "dashboard_url": "/d/abc" });
    let first = body.clone();
    body["groupKey"] = json!("w15-2");
    // Another alert: the same one under another key would be the same incident, and no news.
    body["alerts"][0]["fingerprint"] = json!("w15b");
    body["alerts"][0]["annotations"] = json!({ "summary": "s", "runbook_url": "page 42 of the wiki" });
    for app in [&app, &others] {
        assert_eq!(app.post("//webhook/", &first).await.0, 200);
        assert_eq!(app.post("/webhook/", &body).await.0, 200);
        app.settled().await;
    }
    let read = |record: &Record| format!("{}\n{}", record.text, String::from_utf8_lossy(&record.call.body));
    let others = all.members.iter().map(|member| member.rec.accepted().iter().map(read).collect::<Vec<_>>().join("\n"));
    for text in told(&four).into_iter().chain(others) {
        for word in ["http://wiki.corp.example/rb/x", "/d/abc", "page 42 of the wiki"] {
            assert!(text.contains(word), "{word} is missing in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_a_group_makes_no_crowd_of_deliveries() {
    let app = TestApp::start(
        "server: { listen: \"127.0.0.1:0\" }\nstore: sqlite:watchfire.db\nchannels: { a: { log: {} }, b: { log: {} } }\nroute: { to: [a, b] }\n",
    )
    .await;
    let alerts: Vec<Value> = (0..20_000).map(|i| json!({ "labels": { "alertname": format!("N{i}") } })).collect();
    let (status, answer) = app.post("/webhook", &json!(alerts)).await;
    let deliveries = answer["deliveries"].as_array().unwrap().len();
    assert!(status == 200 && (2..=1002).contains(&deliveries), "{status}: {deliveries} deliveries");
    app.app.stop(Duration::from_secs(5)).await;
}

/// A body of `n` alerts, in as few bytes as senders use.
fn many(key: &str, n: usize) -> String {
    let alerts: Vec<Value> = (0..n)
        .map(|i| {
            json!({ "status": "firing", "startsAt": "2026-11-24T02:00:00Z", "fingerprint": format!("{key}{i:08}"),
                "labels": { "alertname": format!("N{i}"), "severity": if i == n - 1 { "critical" } else { "warning" }, "instance": format!("host-{i}:9100"), "job": "node" },
                "annotations": { "summary": format!("disk of host-{i} is full") } })
        })
        .collect();
    json!({ "version": "4", "status": "firing", "receiver": "r", "groupKey": key, "alerts": alerts }).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_keep_nobody_waiting() {
    let _turn = turn().await;
    let (four, app) = four().await;
    let (over, worst) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let asking = {
        let (client, url, over, worst) = (app.http.clone(), app.url("/-/healthy"), over.clone(), worst.clone());
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let asked = Instant::now();
                assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
                worst.fetch_max(asked.elapsed().as_millis() as u64, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    };
    let fat =
        json!({ "version": "4", "groupKey": "fat", "alerts": [{ "labels": { "alertname": "Fat", "big": "<&*_`[".repeat(170_000) } }] }).to_string();
    let bodies = [many("a", 10_000), fat, many("b", 20_000)];
    let posts = bodies.iter().map(|body| send(&app, "/webhook", "application/json", body.clone()));
    for (status, answer) in futures_util::future::join_all(posts).await {
        assert_eq!(status, 200, "{answer}");
    }
    let end = Instant::now() + 6 * SOON;
    while app.get("/api/v1/deliveries?state=waiting&limit=1").await.1["deliveries"].as_array().is_none_or(|open| !open.is_empty()) {
        assert!(Instant::now() < end, "still open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    over.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    let rows = app.settled().await;
    assert!(rows.len() == 12 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    for (place, text) in told(&four).iter().enumerate() {
        // The most severe one, which came last, is named; the others are counted truly.
        for word in ["N9999", "N19999", "Fat", "9600", "19600", "shortened"] {
            assert!(text.contains(word), "{word} is missing at {place}: {}", text.chars().take(2000).collect::<String>());
        }
    }
    let worst = Duration::from_millis(worst.load(Ordering::Relaxed));
    println!("the slowest answer of /-/healthy took {worst:?}");
    assert!(worst < Duration::from_secs(1), "/-/healthy took {worst:?}");
    // People look at it, too: a page of each body, one at a time.
    for row in rows.iter().take(4) {
        let event = app.delivery(row.id).await.event;
        assert!(serde_json::to_value(event).unwrap()["body"]["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty()));
    }
    app.app.stop(Duration::from_secs(5)).await;
}

const SIGNED: &str = r#"
server:
  listen: "127.0.0.1:0"
  auth:
    - { bearer: the-right-token-0123456789, name: am }
    - { hmac: { secret: grafanas-secret-0123456789 }, name: grafana, scopes: [webhook] }
store: sqlite:watchfire.db
channels: { terminal: { log: {} } }
route: { to: [terminal] }
"#;

/// Sends a request's head and some of its body, and returns what comes back within a while.
async fn begin(app: &TestApp, head: &str, length: usize, some: usize) -> (tokio::net::TcpStream, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(app.app.address).await.unwrap();
    stream.write_all(format!("POST /webhook HTTP/1.1\r\nhost: x\r\n{head}content-length: {length}\r\n\r\n").as_bytes()).await.unwrap();
    let piece = vec![b' '; 64 << 10];
    for _ in 0..some / piece.len() {
        if tokio::time::timeout(Duration::from_secs(5), stream.write_all(&piece)).await.is_ok_and(|written| written.is_ok()) {
            continue;
        }
        break;
    }
    let mut answer = vec![0; 64];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await;
    let read = read.ok().and_then(Result::ok).unwrap_or(0);
    (stream, String::from_utf8_lossy(&answer[..read]).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_callers_that_nobody_knows_take_little() {
    let _turn = turn().await;
    let app = TestApp::start(SIGNED).await;
    // A caller without a chance gets its answer before a byte of the body came.
    for (head, status) in [
        ("", "401"),
        ("authorization: Bearer wrong\r\n", "401"),
        ("x-grafana-alerting-signature: 00\r\n", "401"),
        ("authorization: Bearer the-right-token-0123456789\r\n", "413"),
    ] {
        let (_stream, answer) = begin(&app, head, 100 << 20, 0).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {answer}");
    }
    // Those whose signature might be right hold so much together, and the next is asked to come again.
    let plausible = format!("x-grafana-alerting-signature: {}\r\n", "a".repeat(64));
    let begun = futures_util::future::join_all((0..16).map(|_| begin(&app, &plausible, 8 << 20, 2 << 20))).await;
    let refused = begun.iter().filter(|(_, answer)| answer.starts_with("HTTP/1.1 503")).count();
    assert!((4..16).contains(&refused), "{refused} of 16 were told to come again");
    // Ordinary bodies need no room, signed or not.
    let body = alert("signed", "Signed", "firing").to_string();
    let signature = {
        use hmac::{Hmac, KeyInit, Mac};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"grafanas-secret-0123456789").unwrap();
        mac.update(body.as_bytes());
        mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    let signed = |signature: String| app.http.post(app.url("/webhook")).header("x-grafana-alerting-signature", signature).body(body.clone()).send();
    assert_eq!(signed(signature).await.unwrap().status(), 200);
    assert_eq!(signed("b".repeat(64)).await.unwrap().status(), 401);
    // And who is known has room of its own for a large one.
    let large = app.http.post(app.url("/webhook")).bearer_auth("the-right-token-0123456789").body(many("known", 5_000)).send().await.unwrap();
    assert_eq!(large.status(), 200);
    drop(begun);
    app.app.stop(Duration::from_secs(5)).await;
}
