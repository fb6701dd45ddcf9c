//! What vendors report after they took an SMS or a call: asked for or called back, and what it does to the fallback.

use std::time::Duration;

use serde_json::json;
use watchfire::api::{CellDetail, Channels, ReceiptDetail};
use watchfire::delivery::Clock;
use watchfire::model::UnixMs;
use watchfire::store::ReceiptState::{Awaited, Delivered, Undelivered, Unheard};
use watchfire::store::{DeliveryRow, ReceiptState, State};

use super::{Vendors, pairs, states};
use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::crypt::{b64, hmac_sha1};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::webhook::Webhook;

/// The vendors, and a Watchfire whose clock and theirs go forward together.
struct Later {
    vendors: Vendors,
    app: TestApp,
    clock: Clock,
}

impl Later {
    async fn start(change: impl Fn(String) -> String) -> Self {
        let vendors = Vendors::start().await;
        let clock = Clock::runtime(jiff::Timestamp::now().into());
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
    async fn fire(&self) -> Vec<DeliveryRow> {
        self.app.post("/webhook", &alert("db", "HostDown", "firing")).await;
        self.app.settled().await
    }

    /// The receipt of the one message to a channel.
    async fn receipt(&self, channel: &str) -> ReceiptDetail {
        cell(&self.app, channel).await.receipt.expect("a receipt")
    }

    /// Waits until the vendor was asked so often.
    async fn asked(&self, channel: &str, times: u32) -> ReceiptDetail {
        let end = tokio::time::Instant::now() + SOON;
        loop {
            let receipt = self.receipt(channel).await;
            if receipt.asked >= times {
                return receipt;
            }
            assert!(tokio::time::Instant::now() < end, "{channel} is not asked for: {receipt:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a channel's receipt has this state.
    async fn heard(&self, channel: &str, state: ReceiptState) -> ReceiptDetail {
        let end = tokio::time::Instant::now() + SOON;
        loop {
            let receipt = self.receipt(channel).await;
            if receipt.state == state {
                return receipt;
            }
            assert!(tokio::time::Instant::now() < end, "{channel} is not {state:?}: {receipt:?}");
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

/// What became of the one page of the one message that a channel sent.
async fn cell(app: &TestApp, channel: &str) -> CellDetail {
    let rows = app.deliveries(&format!("channel={channel}&state=sent")).await;
    app.delivery(rows[0].id).await.message.unwrap().cells.swap_remove(0)
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
    assert_eq!((waits.state, waits.asked, waits.heard_at), (Awaited, 0, None));
    later.pass(301);
    let busy = later.heard("chain", Undelivered).await;
    assert_eq!(busy.code.as_deref(), Some("200002"));
    assert!(busy.detail.as_deref().unwrap().starts_with("the line was busy"), "{busy:?}");
    let rows = later.app.settled().await;
    assert_eq!(states(&rows), pairs(&[("chain", "sent"), ("chain-sms", "sent")]), "`sent` stays: {rows:#?}");
    let child = rows.iter().find(|row| row.channel == "chain-sms").unwrap();
    let origin = rows.iter().find(|row| row.channel == "chain").unwrap();
    assert_eq!(child.fallback_of, Some(origin.id), "{child:?}");
    let (folder, id, listen) = (later.app.folder.path().to_owned(), origin.id.to_string(), later.app.app.address.to_string());
    let (code, said) = tokio::task::spawn_blocking(move || crate::first_run::run(&folder, &["explain", &id, "--listen", &listen])).await.unwrap();
    assert!(code == 0 && said.contains("  undelivered at ") && said.contains(": the line was busy") && said.contains("(code 200002)"), "{said}");
    later.pass(21);
    let failed = later.heard("chain-sms", Undelivered).await;
    assert!(failed.detail.as_deref().unwrap().contains("MK:0005"), "{failed:?}");
    let rows = later.app.settled().await;
    assert_eq!(states(&rows), pairs(&[("chain", "sent"), ("chain-sms", "sent"), ("night-3", "sent")]), "{rows:#?}");
    later.vendors.twilio.with(|t| t.status.insert(NUMBER.into(), "delivered".into()));
    later.pass(21);
    later.heard("night-3", Delivered).await;
    assert!(later.counted("aliyun_voice", "chain", "undelivered").await && later.counted("twilio_sms", "night-3", "delivered").await);
    assert_eq!(later.vendors.aliyun.rec.accepted().len(), 1, "nobody is called twice by one vendor");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_the_event_of_what_did_not_arrive() {
    let hook = Fake::start(Webhook::default()).await;
    let channel = format!("channels:\n  hook: {{ webhook: {{ url: '{}/in', allow_networks: [127.0.0.1] }} }}", hook.url());
    let monitored = "self_monitoring: { to: [hook] }\nroute: { to: [call] }";
    let later = Later::start(|routes| routes.replacen("channels:", &channel, 1).replace("route: { to: [night] }", monitored)).await;
    later.vendors.twilio.with(|t| t.status.insert(NUMBER.into(), "busy".into()));
    later.fire().await;
    later.pass(31);
    later.heard("call", Undelivered).await;
    let event = hook.rec.wait_accepted(1, SOON).await[0].json()["extra"]["event"].clone();
    assert!(event["kind"] == "undelivered" && event["channel"] == "call" && event["count"] == 1, "{event}");
    assert!(event["reason"].as_str().is_some_and(|why| why.contains("the line was busy")), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_says_in_the_end_decides_about_the_fallback() {
    for (status, state, fallback) in [
        ("completed", Delivered, false),
        ("busy", Undelivered, true),
        ("no-answer", Undelivered, true),
        ("failed", Undelivered, true),
        ("canceled", Undelivered, true),
        ("queued", Awaited, false),
    ] {
        let later = Later::start(|routes| {
            routes.replace("route: { to: [night] }", "route: { to: [call] }").replace("call: { twilio_voice", "call: { fallback: [sms], twilio_voice")
        })
        .await;
        later.vendors.twilio.with(|t| t.status.insert(NUMBER.into(), status.into()));
        later.fire().await;
        later.pass(31);
        let receipt = if state == Awaited { later.asked("call", 1).await } else { later.heard("call", state).await };
        assert_eq!(receipt.state, state, "{status}");
        let rows = later.app.settled().await;
        assert_eq!(rows.iter().any(|row| row.channel == "sms"), fallback, "{status}: {rows:#?}");
        if state == Awaited {
            later.pass(900);
            let receipt = later.heard("call", Unheard).await;
            assert!(receipt.detail.as_deref().unwrap().contains("within 15m"), "{receipt:?}");
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
        let receipt = later.heard("sms", Undelivered).await;
        let why = if over { "no fallback: the alert is over" } else { "no fallback: the alert is older than `max_age`" };
        assert!(receipt.detail.as_deref().unwrap().ends_with(why), "{receipt:?}");
        assert!(receipt.detail.as_deref().unwrap().contains("30005: Unknown destination handset"), "{receipt:?}");
        assert!(later.app.settled().await.iter().all(|row| row.channel == "sms"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_that_is_disabled_is_none() {
    let later = Later::start(|routes| {
        let routes =
            routes.replace("route: { to: [night] }", "route: { to: [sms] }").replace("call: { twilio_voice", "call: { disabled: true, twilio_voice");
        routes.replace("sms: { twilio_sms", "sms: { fallback: [call], twilio_sms")
    })
    .await;
    later.fire().await;
    later.vendors.twilio.with(|t| t.status.insert(NUMBER.into(), "undelivered".into()));
    later.pass(21);
    let receipt = later.heard("sms", Undelivered).await;
    assert!(receipt.detail.as_deref().unwrap().ends_with("no fallback: the fallback channel is disabled"), "{receipt:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_does_not_answer_questions_delays_no_send_and_the_word_is_heard_after_a_restart() {
    // So far back that what is planned for later is due for a Watchfire that starts again by the machine's clock.
    let back = 600_000;
    let vendors = Vendors::start().await;
    let clock = Clock::runtime(UnixMs::from(jiff::Timestamp::now()) - back);
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
    assert!(app.settled().await.iter().all(|row| row.state == State::Sent));
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

/// A vendor that refuses the question as too early, and says to come back at once, is asked as seldom as any other.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_refused_is_not_asked_again_and_again() {
    let later = Later::start(|routes| routes.replace("route: { to: [night] }", "route: { to: [sms] }")).await;
    later.vendors.twilio.faults.always_on("/Messages/", Fault::Headed(429, vec![("retry-after".to_owned(), "0".to_owned())], String::new()));
    later.fire().await;
    later.pass(21);
    later.asked("sms", 1).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    let asked = later.receipt("sms").await.asked;
    assert!(asked <= 2, "asked {asked} times within seconds");
    later.vendors.twilio.faults.clear();
    later.vendors.twilio.with(|t| t.status.insert(NUMBER.into(), "delivered".into()));
    later.pass(3600);
    later.heard("sms", Delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_says_more_is_not_waited_for() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(&vendors.routes().replace("route: { to: [night] }", "route: { to: [ding] }")).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    assert!(cell(&app, "ding").await.receipt.is_none());
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
    let sid = cell(&app, "call").await.platform_ids.single().unwrap().to_owned();
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
    assert!(rows.iter().any(|row| row.channel == "sms" && row.state == State::Sent), "{rows:#?}");

    // Tencent Cloud signs nothing: the address is the proof, and the call must be one of ours, to that number.
    let channels = app.read::<Channels>("/api/v1/channels").await.channels;
    let night = channels.iter().find(|channel| channel.name == "night-2").unwrap();
    let path = night.callback.as_deref().unwrap().strip_prefix("https://watch.example.com").unwrap();
    let id = cell(&app, "night-2").await.platform_ids.single().unwrap().to_owned();
    let body = |id: &str, mobile: &str| json!({ "voiceprompt_callback": { "result": "1", "callid": id, "mobile": mobile, "nationcode": "86" } });
    assert_eq!(app.post(path, &body("another", "13800000001")).await.0, 404);
    assert_eq!(app.post(path, &body(&id, "13800000009")).await.0, 404);
    assert_eq!(app.post(path, &body(&id, "13800000001")).await, (200, json!({ "result": 0, "errmsg": "OK", "code": 0, "msg": "OK" })));
    let rows = app.settled().await;
    assert!(rows.iter().any(|row| row.channel == "templated" && row.state == State::Sent), "{rows:#?}");
}

/// An application has one address for callbacks, however many channels call through it; and why a call failed is reported by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_about_any_channel_of_its_account() {
    let vendors = Vendors::start().await;
    let routes = vendors.routes().replace("server: { ", "server: { external_url: \"https://watch.example.com\", ");
    let account = r#"secret_id: tencent-id, secret_key: tencent-secret, app_id: "1400006666", template: "2220", params: ["{text}", "{severity}"]"#;
    let to = format!(r#"to: ["13800000002"], api_base: "{}""#, vendors.tencent.url());
    let dba = format!("  dba: {{ fallback: [templated], tencent_voice: {{ {account}, {to} }} }}\n");
    let app = TestApp::start(&routes.replace("route: { to: [night] }", &format!("{dba}route: {{ to: [dba] }}"))).await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    let channels = app.read::<Channels>("/api/v1/channels").await.channels;
    let night = channels.iter().find(|channel| channel.name == "night-2").unwrap();
    let path = night.callback.as_deref().unwrap().strip_prefix("https://watch.example.com").unwrap();
    assert!(path.starts_with("/receipts/night-2?k="), "nothing is encoded that a vendor would write, and sign, in another way: {path}");
    let id = cell(&app, "dba").await.platform_ids.single().unwrap().to_owned();
    let failed = |mobile: &str| {
        let why = json!({ "call_from": "", "callid": id, "failure_code": 8, "failure_reason": "空号", "mobile": mobile, "nationcode": "86" });
        json!({ "voice_failure_callback": why })
    };
    assert_eq!(app.post(path, &failed("13800000009")).await.0, 404);
    assert_eq!(app.post(path, &failed("13800000002")).await.0, 200);
    let rows = app.settled().await;
    assert_eq!(states(&rows), pairs(&[("dba", "sent"), ("templated", "sent")]), "{rows:#?}");
    let receipt = cell(&app, "dba").await.receipt.unwrap();
    assert_eq!((receipt.state, receipt.code.as_deref()), (Undelivered, Some("8")));
    assert!(receipt.detail.as_deref().unwrap().contains("空号"), "{receipt:?}");
}

/// A chain of fallbacks goes on past a channel that was disabled or removed since the alert came, and to one that was renamed.
#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_that_cannot_send_any_more_is_passed_over() {
    let disabled = |routes: &str| routes.replace("night-2: {", "night-2: { disabled: true,");
    let removed = |routes: &str| {
        let kept: Vec<&str> = routes.lines().filter(|line| !line.starts_with("  night-2: {")).collect();
        kept.join("\n").replace("[night-2, night-3]", "[night-3]")
    };
    let renamed = |routes: &str| routes.replace("night-2", "night-b").replace("night-b: {", "night-b: { previous_names: [night-2],");
    for what in ["disabled", "removed", "renamed"] {
        let later = Later::start(|routes| routes).await;
        later.vendors.aliyun.with(|a| a.receipts.insert(NUMBER.into(), (2, "200002".into())));
        assert_eq!(states(&later.fire().await), pairs(&[("night", "sent")]));
        let routes = later.vendors.routes();
        let (routes, to) = match what {
            "disabled" => (disabled(&routes), "night-3"),
            "removed" => (removed(&routes), "night-3"),
            _ => (renamed(&routes), "night-b"),
        };
        std::fs::write(later.app.folder.path().join("routes.yaml"), routes).unwrap();
        later.app.app.reload().await.unwrap();
        later.pass(301);
        later.heard("night", Undelivered).await;
        let rows = later.app.settled().await;
        assert_eq!(states(&rows), pairs(&[("night", "sent"), (to, "sent")]), "{what}: {rows:#?}");
    }
}
