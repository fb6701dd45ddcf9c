//! Alibaba Cloud: signature vectors, what is sent, lost answers that are looked up, what answers mean, and what never shows.

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{Button, Language, Recipient, Verb};
use std::time::Duration;

const SMS: &str = "{ access_key_id: testid, access_key_secret: ali-S3CRET, sign_name: 阿里云, template: SMS_1, params: { code: '{severity} {title}' }, \
                   to: ['13900000000'], api_base: BASE }";
const VOICE: &str =
    "{ access_key_id: testid, access_key_secret: ali-S3CRET, template: TTS_1, params: { name: '{text}' }, to: ['13900000000'], api_base: BASE }";
const OK: &str = r#"{"RequestId":"R","BizId":"B1","Code":"OK","Message":"OK"}"#;

fn to() -> [Recipient; 1] {
    [Recipient::new("+8613900000000")]
}

#[test]
fn the_signature_matches_the_vector_of_the_vendors_kit() {
    let params =
        [("PhoneNumbers", "13900000000"), ("SignName", "阿里云"), ("TemplateCode", "SMS_153055065"), ("TemplateParam", r#"{"code":"1111"}"#)];
    let at = "2024-01-02T03:04:05Z".parse().unwrap();
    let signed = sign("testid", &Secret::new("testsecret"), "dysmsapi.aliyuncs.com", "SendSms", &params, at, "0123456789abcdef0123456789abcdef");
    assert_eq!(
        signed.query,
        "PhoneNumbers=13900000000&SignName=%E9%98%BF%E9%87%8C%E4%BA%91&TemplateCode=SMS_153055065&TemplateParam=%7B%22code%22%3A%221111%22%7D"
    );
    assert!(signed.authorization.expose().ends_with("Signature=02875318f7c05169404ea8e4cb322bc12144efb535aab1b767a7123541d1e376"));
}

#[tokio::test]
async fn an_sms_and_a_call_carry_their_templates_variables() {
    let server = ScriptedServer::start([Scripted::from(OK), Scripted::from(r#"{"CallId":"C1","Code":"OK"}"#), Scripted::from(OK)]).await;
    let sms = build::<sms::Config>(SMS, &server.base).unwrap().channel;
    let mut page = page(&[("text", "Disk is full https://x.example 1234567")]);
    page.facts.title = "磁盘已满".into();
    page.facts.language = Language::Zh;
    assert_eq!(kinds(&sms.send(&page, &to(), &context()).await), [Ok(Some("BizId B1".to_owned()))]);
    let voice = build::<voice::Config>(VOICE, &server.base).unwrap().channel;
    assert_eq!(kinds(&voice.send(&page, &to(), &context()).await), [Ok(Some("CallId C1".to_owned()))]);
    page.fields.insert("params".into(), r#"{"code":"4711"}"#.into());
    sms.send(&page, &to(), &context()).await;
    let seen = server.seen();
    assert_eq!(
        (seen[0].header("x-acs-action"), seen[0].header("x-acs-version"), seen[0].query("PhoneNumbers").as_deref()),
        ("SendSms", "2017-05-25", Some("8613900000000"))
    );
    assert_eq!(seen[0].query("TemplateParam").as_deref(), Some(r#"{"code":"告警 磁盘已满"}"#));
    assert_eq!(
        (seen[1].query("CalledNumber").as_deref(), seen[1].query("TtsParam").as_deref()),
        (Some("13900000000"), Some(r#"{"name":"Disk is full 1 2 3 4 5 6 7。"}"#))
    );
    assert_eq!(seen[2].query("TemplateParam").as_deref(), Some(r#"{"code":"4711"}"#));
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_by_our_own_id() {
    let list = |id: &str| Scripted::from(format!(r#"{{"Code":"OK","SmsSendDetailDTOs":{{"SmsSendDetailDTO":[{{"OutId":"{id}"}}]}}}}"#).as_str());
    let server = ScriptedServer::start([Scripted::new(502, ""), list("0123456789abcdef"), Scripted::new(502, ""), list("another")]).await;
    let sms = build::<sms::Config>(SMS, &server.base).unwrap().channel;
    let page = page(&[("text", "x")]);
    let ours = "OutId out_id:0123456789abcdef".to_owned();
    assert_eq!(kinds(&sms.send(&page, &to(), &context()).await), [Ok(Some(ours))], "an id by which its last word can be asked for");
    assert_eq!(kinds(&sms.send(&page, &to(), &context()).await), [Err((Ambiguous, Some("HTTP 502".to_owned())))]);
    let asked = &server.seen()[1];
    assert_eq!((asked.header("x-acs-action"), asked.query("SendDate").as_deref()), ("QuerySendDetails", Some("20231115")));
}

#[tokio::test]
async fn answers_mean_what_the_vendor_says() {
    let no = |code: &str, message: &str| Scripted::from(format!(r#"{{"Code":"{code}","Message":"{message}","RequestId":"R"}}"#).as_str());
    let wait = |s| RateLimited { retry_after: Some(Duration::from_secs(s)) };
    let differ = "请检查模板内容与模板参数是否匹配";
    // The answer, what it means, whether it is about the number, its code, and a word of the advice.
    let rows = [
        (no("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1"), wait(60), true, "isv.BUSINESS_LIMIT_CONTROL", "frequency"),
        (no("isv.BUSINESS_LIMIT_CONTROL", "触发小时级流控Permits:5"), Rejected, true, "isv.BUSINESS_LIMIT_CONTROL", "frequency"),
        (no("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:10"), Rejected, true, "isv.BUSINESS_LIMIT_CONTROL", "frequency"),
        (no("Throttling.User", "slow"), wait(2), false, "Throttling.User", "too fast"),
        (no("isv.AMOUNT_NOT_ENOUGH", "no money"), Misconfigured, false, "isv.AMOUNT_NOT_ENOUGH", "top it up"),
        // As the vendor's own list writes it.
        (no("isv.AMOUNT_NOT_ENOUG", "no money"), Misconfigured, false, "isv.AMOUNT_NOT_ENOUG", "top it up"),
        (no("isv.TEMPLATE_ILLEGAL", "模板非法或不存在"), Misconfigured, false, "isv.TEMPLATE_ILLEGAL", "`template`"),
        (no("isv.BILLID_NOT_EXIST", "计费账号不存在"), Misconfigured, false, "isv.BILLID_NOT_EXIST", "`show_number`"),
        (no("isp.USER_NOT_EXIST", "no"), Misconfigured, false, "isp.USER_NOT_EXIST", "permissions"),
        (no("ComplaintReject", "no"), Rejected, true, "ComplaintReject", "number"),
        (no("isv.SMS_TEMPLATE_ILLEGAL", differ), Rejected, false, "isv.SMS_TEMPLATE_ILLEGAL", "`code`, `host`"),
        (no("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板"), Misconfigured, false, "isv.SMS_TEMPLATE_ILLEGAL", "`template`"),
        (no("isv.TEMPLATE_MISSING_PARAMETERS", "模板变量缺少对应参数值"), Rejected, false, "isv.TEMPLATE_MISSING_PARAMETERS", "`code`, `host`"),
        (no("isv.BLACK_KEY_CONTROL_LIMIT", "黑名单管控"), Rejected, false, "isv.BLACK_KEY_CONTROL_LIMIT", "word"),
        (no("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名"), Misconfigured, false, "isv.SMS_SIGNATURE_ILLEGAL", "`sign_name`"),
        (no("isv.MOBILE_NUMBER_ILLEGAL", "no"), Rejected, true, "isv.MOBILE_NUMBER_ILLEGAL", "number"),
        (no("isv.DOMESTIC_NUMBER_NOT_SUPPORTED", "no"), Rejected, true, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED", "number"),
        (no("isv.PARAM_LENGTH_LIMIT", "参数超过长度限制"), Rejected, false, "isv.PARAM_LENGTH_LIMIT", "max_param"),
        (no("isv.SOMETHING_NEW", "no"), Rejected, false, "isv.SOMETHING_NEW", "list of errors"),
        (no("isp.SOMETHING_NEW", "no"), Transient, false, "isp.SOMETHING_NEW", "list of errors"),
        (no("isp.SYSTEM_ERROR", "no"), Transient, false, "isp.SYSTEM_ERROR", "this time"),
        (Scripted::new(503, r#"{"Code":"ServiceUnavailable","Message":"busy"}"#), Transient, false, "ServiceUnavailable", "this time"),
        (
            Scripted::new(429, r#"{"Code":"isv.MOBILE_NUMBER_ILLEGAL","Message":"x"}"#),
            RateLimited { retry_after: None },
            false,
            "isv.MOBILE_NUMBER_ILLEGAL",
            "",
        ),
        (Scripted::new(429, r#"{"Code":"Throttling.Api","Message":"x"}"#), wait(2), false, "Throttling.Api", "too fast"),
        (Scripted::new(400, r#"{"Code":"Throttling.Resource","Message":"x"}"#), wait(2), false, "Throttling.Resource", "too fast"),
        (Scripted::new(503, r#"{"Code":"Throttling.Resource","Message":"x"}"#), wait(2), false, "Throttling.Resource", "too fast"),
        (Scripted::new(500, r#"{"Code":"InternalError","Message":"x"}"#), Ambiguous, false, "HTTP 500", "may have been"),
        (Scripted::new(502, OK), Ambiguous, false, "HTTP 502", "may have been"),
        (Scripted::new(302, OK), Misconfigured, false, "HTTP 302", ""),
        (Scripted::new(403, OK), Misconfigured, false, "HTTP 403", ""),
        (Scripted::new(400, r#"{"Code":"SignatureDoesNotMatch","Message":"no"}"#), Misconfigured, false, "SignatureDoesNotMatch", "clock"),
        (Scripted::from("<html>login</html>"), Transient, false, "HTTP 200", "web page"),
        (Scripted::from("{}"), Ambiguous, false, "HTTP 200", "may have been"),
        (Scripted::from(r#"{"Code":0}"#), Ambiguous, false, "HTTP 200", "may have been"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let config = VOICE.replace("params: { name: '{text}' }", "params: { code: '{text}', host: '{title}' }");
    let voice = build::<voice::Config>(&config, &server.base).unwrap().channel;
    for (answer, kind, of_number, code, advice) in &rows {
        let results = voice.send(&page(&[("text", "x")]), &to(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        let error = results[0].1.as_ref().unwrap_err();
        assert_eq!(error.recipient, *of_number, "{answer:?}");
        assert!(error.summary.contains(advice), "{advice}: {error}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[tokio::test]
async fn a_call_says_what_its_product_takes_and_an_sms_what_its_own_does() {
    let ok = Scripted::from(r#"{"CallId":"C1","Code":"OK"}"#);
    let server = ScriptedServer::start([ok.clone(), ok.clone(), Scripted::from(OK), ok]).await;
    let voice = build::<voice::Config>(VOICE, &server.base).unwrap().channel;
    let text = "主机内存不足，".repeat(25);
    voice.send(&page(&[("text", &text)]), &to(), &context()).await;
    // Digits are read one by one: the text grows, and still fits.
    let long = voice.send(&page(&[("text", &"1234567890".repeat(20))]), &to(), &context()).await;
    assert!(long[0].1.as_ref().unwrap().answer.starts_with("162 characters were cut"), "{long:?}");
    let sms = build::<sms::Config>(&SMS.replace("{severity} {title}", "{text}"), &server.base).unwrap().channel;
    sms.send(&page(&[("text", &text)]), &to(), &context()).await;
    let landline = [Recipient::new("+8657188234567")];
    voice.send(&page(&[("text", "x")]), &landline, &context()).await;
    let seen = server.seen();
    assert_eq!(seen[0].query("TtsParam").unwrap(), format!(r#"{{"name":"{}."}}"#, text.trim_end_matches('，')), "nothing of 175 characters is cut");
    assert_eq!(seen[1].query("TtsParam").unwrap().chars().count(), 249);
    assert_eq!(seen[2].query("TemplateParam").unwrap(), format!(r#"{{"code":"{}…"}}"#, text.chars().take(34).collect::<String>()));
    assert_eq!(seen[3].query("CalledNumber").as_deref(), Some("057188234567"));
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_the_servers_own() {
    let stale = Scripted::new(400, r#"{"Code":"InvalidTimeStamp.Expired","Message":"expired"}"#).header("date", "Tue, 14 Nov 2023 10:00:00 GMT");
    let server = ScriptedServer::start([stale, Scripted::from(OK)]).await;
    let sms = build::<sms::Config>(SMS, &server.base).unwrap().channel;
    assert_eq!(kinds(&sms.send(&page(&[("text", "x")]), &to(), &context()).await), [Ok(Some("BizId B1".to_owned()))]);
    assert_eq!(server.seen()[1].header("x-acs-date"), "2023-11-14T10:00:00Z");
}

#[test]
fn mistakes_are_found_without_secrets() {
    let config: Account = serde_yaml::from_str("{ access_key_id: a, access_key_secret: b, template: '', params: { x: '{nope}' }, to: [] }").unwrap();
    let paths: Vec<_> = config.check("aliyun_sms").into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["aliyun_sms.to", "aliyun_sms.template", "aliyun_sms.params.x"]);
    let to = |key: &str| {
        let config: Account =
            serde_yaml::from_str("{ access_key_id: a, access_key_secret: b, template: c, to: ['0571-88234567', '4001234567'] }").unwrap();
        config.check(key).len()
    };
    assert_eq!((to("aliyun_voice"), to("aliyun_sms")), (0, 2), "a landline is called, and gets no SMS");
}

#[tokio::test]
async fn the_last_word_is_asked_for_by_number_or_call() {
    let sms = |status: u8, code: &str| {
        let detail = format!(r#"{{"OutId":"o1","SendStatus":{status},"ErrCode":"{code}"}}"#);
        Scripted::from(format!(r#"{{"Code":"OK","SmsSendDetailDTOs":{{"SmsSendDetailDTO":[{{"OutId":"o2","SendStatus":1}},{detail}]}}}}"#).as_str())
    };
    let call = |state: &str| Scripted::from(format!(r#"{{"Code":"OK","Data":"{{\"state\":\"{state}\",\"stateDesc\":\"x\"}}"}}"#).as_str());
    let server = ScriptedServer::start([
        sms(1, ""),
        sms(3, "DELIVERED"),
        sms(2, "MOBILE_NOT_ON_SERVICE"),
        Scripted::from(r#"{"Code":"isv.BILLID_NOT_EXIST","Message":"none"}"#),
        call("200100"),
        call("200000"),
        call("200002"),
        call("200003"),
        Scripted::from(r#"{"Code":"OK","Data":""}"#),
        Scripted::from(r#"{"Code":"Throttling.User","Message":"slow"}"#),
    ])
    .await;
    let (to, cx) = (to(), context());
    let channel = build::<self::sms::Config>(SMS, &server.base).unwrap().channel;
    let sent = crate::channel::Sent { recipient: &to[0], platform_id: "out_id:o1", at: cx.now, now: cx.now, deadline: cx.deadline };
    let mut words = Vec::new();
    for _ in 0..3 {
        words.push(channel.receipt(&sent).await.unwrap().map(|word| (word.reached, word.code)));
    }
    let voice = build::<voice::Config>(VOICE, &server.base).unwrap().channel;
    let sent = crate::channel::Sent { platform_id: "C1", ..sent };
    for _ in 0..6 {
        words.push(voice.receipt(&sent).await.unwrap().map(|word| (word.reached, word.code)));
    }
    let said = |reached, code: &str| Some((reached, code.to_owned()));
    let failed = said(false, "MOBILE_NOT_ON_SERVICE");
    let expected = [None, said(true, "DELIVERED"), failed, None, None, said(true, "200000"), said(false, "200002"), said(false, "200003"), None];
    assert_eq!(words, expected);
    assert!(matches!(voice.receipt(&sent).await.unwrap_err().kind, RateLimited { .. }));
    let seen = server.seen();
    assert_eq!((seen[0].query("PhoneNumber").as_deref(), seen[0].query("SendDate").as_deref()), (Some("13900000000"), Some("20231115")));
    assert_eq!((seen[0].query("BizId"), seen[3].query("ProdId").as_deref()), (None, Some("11000000300006")));
    let from: i64 = seen[3].query("QueryDate").unwrap().parse().unwrap();
    assert!(from <= cx.now.as_millisecond() && cx.now.as_millisecond() - from < 86_400_000);
}

#[tokio::test]
async fn a_call_that_waits_for_a_key_is_another_product() {
    let detail = r#"{"Code":"OK","Data":"{\"state\":\"200000\",\"stateDesc\":\"用户接听\"}"}"#;
    let (taken, unknown) = (r#"{"CallId":"C1","Code":"OK"}"#, r#"{"Code":"isv.BILL_ID_NOT_EXIST"}"#);
    let server = ScriptedServer::start([taken, detail, taken, unknown, detail].map(Scripted::from)).await;
    let config = VOICE.replace("template: TTS_1", "template: TTS_1, ack_template: TTS_2, show_number: '057112345678'");
    let voice = build::<voice::Config>(&config, &server.base).unwrap().channel;
    let mut page = page(&[("text", "Disk is full")]);
    page.facts.incident.buttons = vec![Button { verb: Verb::Ack, label: "On it".into(), value: "ack.c.1".into() }];
    assert_eq!(kinds(&voice.send(&page, &to(), &context()).await), [Ok(Some("CallId C1".to_owned()))]);
    let (to, cx) = (to(), context());
    let sent = crate::channel::Sent { recipient: &to[0], platform_id: "C1", at: cx.now, now: cx.now, deadline: cx.deadline };
    assert!(voice.receipt(&sent).await.unwrap().unwrap().reached);
    let seen = server.seen();
    assert_eq!(seen[0].header("x-acs-action"), "IvrCall");
    let asked =
        ["StartCode", "StartTtsParams", "MenuKeyMap.1.Key", "MenuKeyMap.1.Code", "CalledShowNumber", "TtsCode"].map(|name| seen[0].query(name));
    let wanted = ["TTS_1", r#"{"name":"Disk is full."}"#, "1", "TTS_2", "057112345678"].map(|value| Some(value.to_owned()));
    assert_eq!((&asked[..5], &asked[5]), (&wanted[..], &None));
    assert_eq!(seen[1].query("ProdId").as_deref(), Some("11000000300005"));
    // Where there is nothing to ack, no key is offered.
    page.facts.incident.buttons[0].verb = Verb::Unack;
    voice.send(&page, &[Recipient::new("+8613900000000")], &context()).await;
    assert!(voice.receipt(&sent).await.unwrap().unwrap().reached);
    let seen = server.seen();
    assert_eq!((seen[2].header("x-acs-action"), seen[2].query("TtsCode").as_deref()), ("SingleCallByTts", Some("TTS_1")));
    assert_eq!([3, 4].map(|place: usize| seen[place].query("ProdId").unwrap()), ["11000000300005", "11000000300006"]);
    let config: Account =
        serde_yaml::from_str(&VOICE.replace("template: TTS_1", "template: TTS_1, ack_template: TTS_2").replace(", api_base: BASE", "")).unwrap();
    assert_eq!(config.check("aliyun_voice").into_iter().map(|p| p.path).collect::<Vec<_>>(), ["aliyun_voice.show_number"]);
}

#[test]
fn reports_tell_the_end_of_a_call_and_the_key_that_was_pressed_in_it() {
    // The examples of the documents.
    let key =
        r#"[{"status_code":"300000","smart_status_code":"ANSWERED","dtmf":"1","status_time":"2023-03-06 16:21:12","out_id":"42","call_id":"C^1"}]"#;
    let called = answer::called(key.as_bytes()).unwrap();
    assert_eq!(called.len(), 1);
    assert_eq!((called[0].platform_id.as_str(), &called[0].recipient, &called[0].word, called[0].key.as_deref()), ("C^1", &None, &None, Some("1")));
    let ends = r#"[{"call_id":"C^1","callee":"13900000000","status_code":"200003","status_msg":"用户未接听","duration":"0","dtmf":""},
                   {"call_id":"C^2","callee":"13900000001","status_code":"200000","dtmf":"2","out_id":"x"},{"call_id":""}]"#;
    let called = answer::called(ends.as_bytes()).unwrap();
    let said =
        |place: usize| (called[place].recipient.as_deref(), called[place].word.as_ref().map(|word| word.reached), called[place].key.as_deref());
    assert_eq!((said(0), said(1), called.len()), ((Some("+8613900000000"), Some(false), None), (Some("+8613900000001"), Some(true), Some("2")), 2));
    // What happens in a call is not its end.
    let rings = r#"[{"status_code":"200010","status_time":"2023-03-06 16:21:12","call_id":"C^1"}]"#;
    assert_eq!(answer::called(rings.as_bytes()).unwrap()[0].word, None);
    // Who names somebody must name the person who was called.
    let named = answer::called(br#"[{"call_id":"C^1","callee":"anonymous","dtmf":"1"}]"#).unwrap();
    assert_eq!(named[0].recipient.as_deref(), Some("anonymous"));
    for none in ["[]", "{}", "x", r#"[{"call_id":""}]"#] {
        assert!(answer::called(none.as_bytes()).is_err(), "{none}");
    }
}
