//! SMS, calls and DING: the three direct paths, and an on-call chain across vendors.

mod acked;
mod crash;
mod final_word;

use serde_json::{Value, json};
use watchfire::store::{DeliveryRow, Mode, State};

use crate::support::app::{SOON, TestApp, alert};
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
    let all_sync = app.settled().await.iter().all(|r| r.mode == Mode::Direct);
    assert!(all_sync);
}

/// Twilio takes 1,600 characters of an SMS. A longer text arrives whole, or the caller reads that it does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_sms_is_not_cut_in_silence() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(&vendors.routes()).await;
    let text: String = (0..200).map(|n| format!("{n} of the disks is full; ")).collect();
    let (_, answer) = app.post("/sms/send", &json!({ "to": ["+8613800000001"], "content": text })).await;
    let sent: Vec<String> = vendors.twilio.rec.accepted().iter().map(|one| one.text.clone()).collect();
    let whole = |text: &str| text.split_whitespace().collect::<String>();
    if answer == json!({ "code": 0 }) {
        assert_eq!(whole(&sent.concat()), whole(&text));
    } else {
        // The vendor's own word, as for any refusal.
        assert!(sent.is_empty() && answer["code"] == 1 && answer["message"].as_str().unwrap().contains("21617"), "{answer} {sent:?}");
    }
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

fn states(rows: &[DeliveryRow]) -> Vec<(String, String)> {
    let mut all: Vec<_> = rows.iter().map(|row| (row.channel.clone(), row.state.as_str().to_owned())).collect();
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
    assert!(vendors.aliyun.rec.last().unwrap().text.contains("Host Down"));
    assert_eq!((vendors.tencent.rec.total(), vendors.twilio.rec.total()), (0, 0));
    app.post("/webhook", &alert("db", "HostDown", "resolved")).await;
    let rows = app.settled().await;
    assert!(rows.iter().any(|r| r.state == State::Skipped), "nobody is called because it is over: {rows:#?}");
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
async fn a_disabled_fallback_is_passed_over_by_what_dies_and_by_what_waits() {
    for (code, why) in [("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:20"), ("isv.AMOUNT_NOT_ENOUGH", "账户余额不足")] {
        let vendors = Vendors::start().await;
        let app = TestApp::start(&vendors.routes().replace("night-2: {", "night-2: { disabled: true,")).await;
        vendors.aliyun.with(|a| a.next.push_back((200, code.into(), why.into())));
        app.post("/webhook", &alert("db", "HostDown", "firing")).await;
        let rows = app.until("", |rows| rows.iter().any(|row| row.channel == "night-3" && row.state == State::Sent)).await;
        assert!(rows.iter().all(|row| row.channel != "night-2"), "{code}: {rows:#?}");
    }
}

/// A chain goes on where the fallback is suspended, too, though it has no fallback of its own.
#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_without_money_lead_to_the_third_vendor() {
    let vendors = Vendors::start().await;
    let app = TestApp::start(&vendors.routes()).await;
    let reply = |body: &str| Fault::Reply(200, "application/json".into(), body.into());
    vendors.aliyun.faults.always(reply(r#"{"Code":"isv.AMOUNT_NOT_ENOUGH","Message":"账户余额不足","RequestId":"R"}"#));
    let code = "FailedOperation.InsufficientBalanceInVoicePackage";
    vendors.tencent.faults.always(reply(&format!(r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"why"}},"RequestId":"R"}}}}"#)));
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    let rows = app.until("", |rows| rows.iter().any(|row| row.channel == "night-3" && row.state == State::Sent)).await;
    assert_eq!(states(&rows), pairs(&[("night", "waiting"), ("night-2", "waiting"), ("night-3", "sent")]), "{rows:#?}");
}

/// What a vendor refuses for one number's sake is nobody else's limit, whether it met an alert or a caller.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_number_may_not_get_now_holds_no_other() {
    let vendors = Vendors::start().await;
    let routes = vendors.routes().replace("route: { to: [night] }", "route: { to: [templated] }");
    let app = TestApp::start(&routes.replace("sms: sms,", "sms: templated,")).await;
    let limit = || vendors.aliyun.with(|a| a.next.push_back((200, "isv.BUSINESS_LIMIT_CONTROL".into(), "触发分钟级流控Permits:1".into())));
    let text = async |to: &str| call(&app, "/sms/send", json!({ "to": [to], "content": "x", "params": { "code": "4711" } })).await;
    limit();
    assert_eq!(text("13800000002").await["code"], 1);
    limit();
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    assert!(vendors.aliyun.rec.wait(SOON, |rec| rec.total() > 1).await);
    assert_eq!(text("13800000003").await, json!({ "code": 0 }));
    app.post("/webhook", &alert("web", "Other", "firing")).await;
    let rows = app.until("", |rows| rows.iter().any(|row| row.title.contains("Other") && row.state == State::Sent)).await;
    let limited = rows.iter().find(|row| row.title.contains("HostDown")).unwrap();
    assert_eq!(limited.state, State::Waiting, "it is sent when the minute is over: {limited:?}");
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
