//! SMS, calls and DING: the three direct paths, and an on-call chain across vendors.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::delivery::Clock;

use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::crypt::{b64, hmac_sha1};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::{Aliyun, DingtalkApp, Tencent, Twilio};

struct Vendors {
    twilio: Fake<Twilio>,
    aliyun: Fake<Aliyun>,
    tencent: Fake<Tencent>,
    ding: Fake<DingtalkApp>,
}

impl Vendors {
    async fn start() -> Self {
        let members = [("13800000001", "u1"), ("13800000002", "u2")];
        Self {
            twilio: Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await,
            aliyun: Fake::start(Aliyun::new("aliyun-key", "aliyun-secret")).await,
            tencent: Fake::start(Tencent::new("tencent-id", "tencent-secret")).await,
            ding: Fake::start(DingtalkApp::new("ding-key", "ding-secret", "dingbot", &members)).await,
        }
    }

    fn routes(&self) -> String {
        let (twilio, aliyun, tencent, ding) = (self.twilio.url(), self.aliyun.url(), self.tencent.url(), self.ding.url());
        format!(
            r#"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels:
  sms: {{ twilio_sms: {{ account_sid: AC1, auth_token: twilio-token, from: "+15005550006", to: ["+8613800000001"], api_base: "{twilio}" }} }}
  call: {{ twilio_voice: {{ account_sid: AC1, auth_token: twilio-token, from: "+15005550006", to: ["+8613800000001"], api_base: "{twilio}" }} }}
  templated: {{ aliyun_sms: {{ access_key_id: aliyun-key, access_key_secret: aliyun-secret, sign_name: 阿里云, template: SMS_153055065, params: {{ code: "{{severity}}" }}, to: ["13800000001"], api_base: "{aliyun}" }} }}
  ding: {{ dingtalk_call: {{ app_key: ding-key, app_secret: ding-secret, robot_code: dingbot, to: ["13800000001"], api_base: "{ding}" }} }}
  night: {{ timeout: 2s, fallback: [night-2, night-3], aliyun_voice: {{ access_key_id: aliyun-key, access_key_secret: aliyun-secret, template: TTS_10001, params: {{ name: "{{text}}", severity: "{{severity}}" }}, to: ["13800000001"], api_base: "{aliyun}" }} }}
  night-2: {{ timeout: 2s, tencent_voice: {{ secret_id: tencent-id, secret_key: tencent-secret, app_id: "1400006666", template: "2220", params: ["{{text}}", "{{severity}}"], to: ["13800000001"], api_base: "{tencent}" }} }}
  night-3: {{ twilio_sms: {{ account_sid: AC1, auth_token: twilio-token, from: "+15005550006", to: ["+8613800000001"], api_base: "{twilio}" }} }}
route: {{ to: [night] }}
legacy: {{ sms: sms, vms: call, dingding_call: ding }}
"#
        )
    }
}

async fn call(app: &TestApp, path: &str, body: Value) -> Value {
    let (status, answer) = app.post(path, &body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_direct_paths_deliver_and_name_who_was_not_reached() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(&vendors.routes()).await;
    assert_eq!(call(&app, "/sms/send", json!({ "to": "13800000001,+8613800000002", "content": "磁盘已满" })).await["code"], 0);
    let sent = vendors.twilio.rec.accepted();
    assert!(sent.len() == 2 && sent.iter().all(|r| r.text == "磁盘已满"), "{sent:?}");
    vendors.twilio.with(|t| t.refused.insert("+8613800000002".into(), 21610));
    let part = call(&app, "/sms/send", json!({ "to": ["13800000001", "13800000002"], "content": "again" })).await;
    assert_eq!(part["code"], 1, "{part}");
    assert!(part["message"].as_str().unwrap().contains("13800000002"), "{part}");
    assert_eq!(call(&app, "/vms/send", json!({ "to": ["13800000001"], "content": "CPU 97% & rising" })).await["code"], 0);
    assert_eq!(vendors.twilio.rec.last().unwrap().text.matches("CPU 97% & rising").count(), 2, "said twice, unescaped by the reader");
    assert_eq!(call(&app, "/dingding/call", json!({ "mobiles": ["13800000001"], "userIds": ["u2"], "content": "come" })).await["code"], 0);
    vendors.ding.with(|d| d.unreachable.insert("u2".into(), "not in the visible range".into()));
    let part = call(&app, "/dingding/call", json!({ "mobiles": ["13800000001", "13899999999"], "userIds": ["u2"], "content": "come" })).await;
    assert_eq!(part["code"], 1, "{part}");
    let message = part["message"].as_str().unwrap();
    assert!(message.contains("13899999999") && message.contains("user:u2"), "{part}");
    for (path, missing) in [
        ("/sms/send", json!(["to", "content"])),
        ("/vms/send", json!(["to", "content"])),
        ("/dingding/call", json!(["mobiles", "userIds", "content"])),
    ] {
        let answer = call(&app, path, json!({})).await;
        assert_eq!((&answer["code"], &answer["missing"]), (&json!(1), &missing), "{path}");
    }
    let all_sync = app.settled().await.iter().all(|r| r["mode"] == "direct");
    assert!(all_sync);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_vendor_takes_the_callers_own_variables() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(&vendors.routes().replace("sms: sms,", "sms: templated,")).await;
    assert_eq!(
        call(&app, "/sms/send", json!({ "to": ["13800000001"], "content": "ignored by the template", "params": { "code": "4711" } })).await["code"],
        0
    );
    assert_eq!(vendors.aliyun.rec.last().unwrap().text, "【阿里云】验证码 4711");
}

fn states(rows: &[Value]) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let mut all: Vec<_> = rows.iter().map(|r| (text(&r["channel"]), text(&r["state"]))).collect();
    all.sort();
    all
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_vendor_confirmed_is_made_once() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(&vendors.routes()).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    assert_eq!(states(&app.settled().await), pairs(&[("night", "sent")]));
    assert!(vendors.aliyun.rec.last().unwrap().text.contains("HostDown"));
    assert_eq!((vendors.tencent.rec.total(), vendors.twilio.rec.total()), (0, 0));
    app.post("/webhook", &alert("db", "HostDown", "resolved")).await;
    let rows = app.settled().await;
    assert!(rows.iter().any(|r| r["state"] == "skipped"), "nobody is called because it is over: {rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_goes_to_the_next_vendor_and_to_the_one_after_it() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(&vendors.routes()).await;
    vendors.aliyun.with(|a| a.next.push_back((200, "isv.BUSINESS_LIMIT_CONTROL".into(), "触发天级流控Permits:20".into())));
    vendors.tencent.with(|t| t.next.push_back(("LimitExceeded.DeliveryFrequencyLimit".into(), "The callee's frequency limit is reached.".into())));
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let rows = app.settled().await;
    assert_eq!(states(&rows), pairs(&[("night", "dead"), ("night-2", "dead"), ("night-3", "sent")]), "{rows:#?}");
    assert!(vendors.twilio.rec.last().unwrap().text.contains("HostDown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_not_repeated_but_falls_back_and_is_counted() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(&vendors.routes()).await;
    // The vendor calls, and its answer is lost: nobody can be asked for a call without its id.
    vendors.aliyun.faults.push(Fault::CloseAfter);
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let rows = app.settled().await;
    assert_eq!(states(&rows), pairs(&[("night", "unknown"), ("night-2", "sent")]), "{rows:#?}");
    assert_eq!(vendors.aliyun.rec.accepted().len(), 1, "two calls of two vendors beat none, but one vendor never calls twice");
    let (_, metrics) = app.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.lines().any(|l| l.starts_with("watchfire_deliveries_total") && l.contains("unknown") && l.ends_with(" 1")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_that_the_vendor_can_be_asked_about_is_no_unknown_outcome() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(
        &vendors.routes().replace("route: { to: [night] }", "route: { to: [sms, templated] }").replace("sms: { twilio", "sms: { timeout: 2s, twilio"),
    )
    .await;
    vendors.twilio.faults.push_on("/Messages.json", Fault::CloseAfter);
    vendors.aliyun.faults.push(Fault::CloseAfter);
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let rows = app.settled().await;
    assert_eq!(states(&rows), pairs(&[("sms", "sent"), ("templated", "sent")]), "{rows:#?}");
    assert_eq!((vendors.twilio.rec.accepted().len(), vendors.aliyun.rec.accepted().len()), (1, 1));
}

/// The vendors, and a Watchfire whose clock and theirs go forward together.
struct Later {
    vendors: Vendors,
    app: TestApp,
    clock: Clock,
}

impl Later {
    async fn start(change: impl Fn(String) -> String) -> Self {
        let vendors = Vendors::start().await;
        let clock = Clock::runtime(jiff::Timestamp::now().as_millisecond());
        let shared = clock.clone();
        let app = TestApp::start_with(&change(vendors.routes()), move |options| options.clock = shared).await;
        Self { vendors, app, clock }
    }

    fn pass(&self, seconds: u64) {
        let by = Duration::from_secs(seconds);
        self.clock.jump(by.as_millis() as i64);
        [&self.vendors.twilio.clock, &self.vendors.aliyun.clock, &self.vendors.tencent.clock].into_iter().for_each(|clock| clock.advance(by));
    }

    /// Fires, and waits until everything is sent.
    async fn fire(&self) -> Vec<Value> {
        self.app.post("/webhook", &alert("db", "HostDown", "firing")).await;
        self.app.settled().await
    }

    /// The receipt of the one message to a channel.
    async fn receipt(&self, channel: &str) -> Value {
        let (_, list) = self.app.get(&format!("/api/v1/deliveries?channel={channel}&state=sent")).await;
        let (_, story) = self.app.get(&format!("/api/v1/deliveries/{}", list["deliveries"][0]["id"].as_str().unwrap())).await;
        story["message"]["cells"][0]["receipt"].clone()
    }

    /// Waits until the vendor was asked so often.
    async fn asked(&self, channel: &str, times: u64) -> Value {
        let end = tokio::time::Instant::now() + SOON;
        loop {
            let receipt = self.receipt(channel).await;
            if receipt["asked"].as_u64() >= Some(times) {
                return receipt;
            }
            assert!(tokio::time::Instant::now() < end, "{channel} is not asked for: {receipt}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a channel's receipt has this state.
    async fn heard(&self, channel: &str, state: &str) -> Value {
        let end = tokio::time::Instant::now() + SOON;
        loop {
            let receipt = self.receipt(channel).await;
            if receipt["state"] == state {
                return receipt;
            }
            assert!(tokio::time::Instant::now() < end, "{channel} is not {state}: {receipt}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn counted(&self, platform: &str, channel: &str, outcome: &str) -> bool {
        let (_, text) = self.app.get("/metrics").await;
        text.as_str()
            .unwrap()
            .lines()
            .any(|line| line == format!("watchfire_receipts_total{{platform=\"{platform}\",channel=\"{channel}\",outcome=\"{outcome}\"}} 1"))
    }
}

const NUMBER: &str = "+8613800000001";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_answers_goes_to_the_next_vendor_and_an_sms_that_never_comes_to_the_one_after_it() {
    // A call, then an SMS of another vendor, then one of a third.
    let later = Later::start(|routes| {
        let routes = routes.replace("route: { to: [night] }", "route: { to: [chain] }").replace("night: {", "chain: {");
        let routes = routes.replace("fallback: [night-2, night-3]", "fallback: [chain-sms, night-3]").replace("night-2: {", "chain-sms: {");
        routes
            .replace("tencent_voice: {", "tencent_sms: { sign_name: demo,")
            .replace("template: \"2220\", params: [\"{text}\", \"{severity}\"]", "template: \"1110\", params: [\"{severity}\"]")
    })
    .await;
    later.vendors.aliyun.with(|a| a.receipts.insert(NUMBER.into(), (2, "200002".into())));
    later.vendors.tencent.with(|t| t.reports.insert(NUMBER.into(), ("FAIL".into(), "MK:0005".into())));
    assert_eq!(states(&later.fire().await), pairs(&[("chain", "sent")]));
    let waits = later.receipt("chain").await;
    assert_eq!((waits["state"].as_str(), waits["asked"].as_u64(), waits["heard_at"].as_i64()), (Some("awaited"), Some(0), None));
    later.pass(301);
    let busy = later.heard("chain", "undelivered").await;
    assert_eq!(busy["code"], "200002");
    assert!(busy["detail"].as_str().unwrap().starts_with("the line was busy"), "{busy}");
    let rows = later.app.settled().await;
    assert_eq!(states(&rows), pairs(&[("chain", "sent"), ("chain-sms", "sent")]), "`sent` stays: {rows:#?}");
    let child = rows.iter().find(|row| row["channel"] == "chain-sms").unwrap();
    let origin = rows.iter().find(|row| row["channel"] == "chain").unwrap();
    assert_eq!(child["fallback_of"], origin["id"], "{child}");
    later.pass(21);
    let failed = later.heard("chain-sms", "undelivered").await;
    assert!(failed["detail"].as_str().unwrap().contains("MK:0005"), "{failed}");
    let rows = later.app.settled().await;
    assert_eq!(states(&rows), pairs(&[("chain", "sent"), ("chain-sms", "sent"), ("night-3", "sent")]), "{rows:#?}");
    later.vendors.twilio.with(|t| t.status.insert(NUMBER.into(), "delivered".into()));
    later.pass(21);
    later.heard("night-3", "delivered").await;
    assert!(later.counted("aliyun_voice", "chain", "undelivered").await && later.counted("twilio_sms", "night-3", "delivered").await);
    assert_eq!(later.vendors.aliyun.rec.accepted().len(), 1, "nobody is called twice by one vendor");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_says_in_the_end_decides_about_the_fallback() {
    for (status, state, fallback) in [
        ("completed", "delivered", false),
        ("busy", "undelivered", true),
        ("no-answer", "undelivered", true),
        ("failed", "undelivered", true),
        ("queued", "awaited", false),
    ] {
        let later = Later::start(|routes| {
            routes.replace("route: { to: [night] }", "route: { to: [call] }").replace("call: { twilio_voice", "call: { fallback: [sms], twilio_voice")
        })
        .await;
        later.vendors.twilio.with(|t| t.status.insert(NUMBER.into(), status.into()));
        later.fire().await;
        later.pass(31);
        let receipt = if state == "awaited" { later.asked("call", 1).await } else { later.heard("call", state).await };
        assert_eq!(receipt["state"], state, "{status}");
        let rows = later.app.settled().await;
        assert_eq!(rows.iter().any(|row| row["channel"] == "sms"), fallback, "{status}: {rows:#?}");
        if state == "awaited" {
            later.pass(900);
            let receipt = later.heard("call", "unheard").await;
            assert!(receipt["detail"].as_str().unwrap().contains("within 15m"), "{receipt}");
            let rows = later.app.settled().await;
            assert_eq!(states(&rows), pairs(&[("call", "sent")]), "nobody knows that it failed: {rows:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_late_of_what_is_over_or_old() {
    for over in [true, false] {
        let later = Later::start(|routes| {
            let routes = routes.replace("route: { to: [night] }", "route: { to: [sms] }");
            routes.replace("sms: { twilio_sms", "sms: { max_age: 10m, fallback: [call], twilio_sms")
        })
        .await;
        later.fire().await;
        if over {
            later.app.post("/webhook", &alert("db", "HostDown", "resolved")).await;
        }
        later.vendors.twilio.with(|t| t.status.insert(NUMBER.into(), "undelivered".into()));
        later.pass(if over { 21 } else { 601 });
        let receipt = later.heard("sms", "undelivered").await;
        let why = if over { "no fallback: the alert is over" } else { "no fallback: the alert is older than `max_age`" };
        assert!(receipt["detail"].as_str().unwrap().ends_with(why), "{receipt}");
        assert!(receipt["detail"].as_str().unwrap().contains("30005: Unknown destination handset"), "{receipt}");
        assert!(later.app.settled().await.iter().all(|row| row["channel"] == "sms"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_does_not_answer_questions_delays_no_send_and_the_word_is_heard_after_a_restart() {
    // So far back that what is planned for later is due for a Watchfire that starts again by the machine's clock.
    let back = 600_000;
    let vendors = Vendors::start().await;
    let clock = Clock::runtime(jiff::Timestamp::now().as_millisecond() - back);
    let app =
        TestApp::start_with(&vendors.routes().replace("route: { to: [night] }", "route: { to: [call] }"), |options| options.clock = clock.clone())
            .await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    vendors.twilio.faults.always_on("/Calls/", Fault::HangAfter);
    clock.jump(31_000);
    // The question hangs; another alert is called out meanwhile.
    let end = tokio::time::Instant::now() + SOON;
    while vendors.twilio.rec.all().iter().all(|r| !r.call.path.contains("/Calls/")) {
        assert!(tokio::time::Instant::now() < end, "nobody asks");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let started = tokio::time::Instant::now();
    app.post("/webhook", &alert("web", "SiteDown", "firing")).await;
    assert!(app.settled().await.iter().all(|row| row["state"] == "sent"));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    vendors.twilio.faults.clear();
    vendors.twilio.with(|t| t.status.insert(NUMBER.into(), "completed".into()));
    let app = app.restart().await;
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let (_, text) = app.get("/metrics").await;
        if text.as_str().unwrap().contains("watchfire_receipts_total{platform=\"twilio_voice\",channel=\"call\",outcome=\"delivered\"} 2") {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "not heard after the restart");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_says_more_is_not_waited_for() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(&vendors.routes().replace("route: { to: [night] }", "route: { to: [ding] }")).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let id = app.settled().await[0]["id"].as_str().unwrap().to_owned();
    let (_, story) = app.get(&format!("/api/v1/deliveries/{id}")).await;
    assert!(story["message"]["cells"][0]["receipt"].is_null(), "{story}");
    assert!(watchfire::channel::platform("dingtalk_call").unwrap().word.in_words().contains("none"));
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_tell_the_end_at_once_and_are_believed_with_their_proof_only() {
    let vendors = Vendors::start().await;
    let routes = vendors.routes().replace("server: { ", "server: { external_url: \"https://watch.example.com\", ");
    let routes = routes
        .replace("route: { to: [night] }", "route: { to: [call, night-2] }")
        .replace("call: { twilio_voice", "call: { fallback: [sms], twilio_voice");
    let app = TestApp::start(&routes.replace("night-2: {", "night-2: { fallback: [templated],")).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    let asked = vendors.twilio.rec.accepted()[0].call.form();
    let url = asked.iter().find(|(name, _)| name == "StatusCallback").unwrap().1.clone();
    let path = url.strip_prefix("https://watch.example.com").unwrap();
    let (_, list) = app.get("/api/v1/deliveries?channel=call").await;
    let (_, story) = app.get(&format!("/api/v1/deliveries/{}", list["deliveries"][0]["id"].as_str().unwrap())).await;
    let sid = story["message"]["cells"][0]["platform_id"].as_str().unwrap().to_owned();
    let form = format!("CallSid={sid}&CallStatus=no-answer&To=%2B8613800000001");
    let signed = format!("{url}CallSid{sid}CallStatusno-answerTo{NUMBER}");
    let signature = b64(&hmac_sha1(b"twilio-token", signed.as_bytes()));
    let call = async |path: &str, signature: &str, form: &str| {
        let request =
            app.http.post(app.url(path)).header("X-Twilio-Signature", signature).header("Content-Type", "application/x-www-form-urlencoded");
        request.body(form.to_owned()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(call(path, &signature, &form.replace("no-answer", "completed")).await, 403, "the signature is another form's");
    assert_eq!(call(path.split('?').next().unwrap(), &signature, &form).await, 404, "without the address's secret part");
    assert_eq!(call(&path.replace("/call?", "/sms?"), &signature, &form).await, 404, "another channel's");
    assert_eq!(call(path, &signature, &form).await, 200);
    assert_eq!(call(path, &signature, &form).await, 404, "said once");
    let rows = app.settled().await;
    assert!(rows.iter().any(|row| row["channel"] == "sms" && row["state"] == "sent"), "{rows:#?}");

    // Tencent Cloud signs nothing: the address is the proof, and the call must be one of ours, to that number.
    let (_, channels) = app.get("/api/v1/channels").await;
    let night = channels["channels"].as_array().unwrap().iter().find(|c| c["name"] == "night-2").unwrap();
    let path = night["callback"].as_str().unwrap().strip_prefix("https://watch.example.com").unwrap();
    let (_, list) = app.get("/api/v1/deliveries?channel=night-2").await;
    let (_, story) = app.get(&format!("/api/v1/deliveries/{}", list["deliveries"][0]["id"].as_str().unwrap())).await;
    let id = story["message"]["cells"][0]["platform_id"].as_str().unwrap();
    let body = |id: &str, mobile: &str| json!({ "voiceprompt_callback": { "result": "1", "callid": id, "mobile": mobile, "nationcode": "86" } });
    assert_eq!(app.post(path, &body("another", "13800000001")).await.0, 404);
    assert_eq!(app.post(path, &body(id, "13800000009")).await.0, 404);
    assert_eq!(app.post(path, &body(id, "13800000001")).await, (200, json!({ "result": 0, "errmsg": "OK" })));
    let rows = app.settled().await;
    assert!(rows.iter().any(|row| row["channel"] == "templated" && row["state"] == "sent"), "{rows:#?}");
}
