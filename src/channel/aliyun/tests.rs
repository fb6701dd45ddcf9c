//! Alibaba Cloud: signature vectors, what is sent, lost answers that are looked up, what answers mean, and what never shows.

use super::*;
use crate::channel::kit::stand::{Answer as Scripted, Stand, build, context, kinds, page};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{Language, Recipient};
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
    let stand = Stand::start([Scripted::from(OK), Scripted::from(r#"{"CallId":"C1","Code":"OK"}"#), Scripted::from(OK)]).await;
    let sms = build::<sms::Config>(SMS, &stand.base).unwrap().channel;
    let mut page = page(&[("text", "Disk is full https://x.example 1234567")]);
    page.facts.title = "磁盘已满".into();
    page.facts.language = Language::Zh;
    assert_eq!(kinds(&sms.send(&page, &to(), &context()).await), [Ok(Some("B1".to_owned()))]);
    let voice = build::<voice::Config>(VOICE, &stand.base).unwrap().channel;
    assert_eq!(kinds(&voice.send(&page, &to(), &context()).await), [Ok(Some("C1".to_owned()))]);
    page.fields.insert("params".into(), r#"{"code":"4711"}"#.into());
    sms.send(&page, &to(), &context()).await;
    let seen = stand.seen();
    assert_eq!(
        (seen[0].header("x-acs-action"), seen[0].header("x-acs-version"), seen[0].query("PhoneNumbers").as_deref()),
        ("SendSms", "2017-05-25", Some("8613900000000"))
    );
    assert_eq!(seen[0].query("TemplateParam").as_deref(), Some(r#"{"code":"警告 磁盘已满"}"#));
    assert_eq!(
        (seen[1].query("CalledNumber").as_deref(), seen[1].query("TtsParam").as_deref()),
        (Some("13900000000"), Some(r#"{"name":"Disk is full 1 2 3 4 5 6 7"}"#))
    );
    assert_eq!(seen[2].query("TemplateParam").as_deref(), Some(r#"{"code":"4711"}"#));
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_by_our_own_id() {
    let list = |id: &str| Scripted::from(format!(r#"{{"Code":"OK","SmsSendDetailDTOs":{{"SmsSendDetailDTO":[{{"OutId":"{id}"}}]}}}}"#).as_str());
    let stand = Stand::start([Scripted::new(502, ""), list("0123456789abcdef"), Scripted::new(502, ""), list("another")]).await;
    let sms = build::<sms::Config>(SMS, &stand.base).unwrap().channel;
    let page = page(&[("text", "x")]);
    assert_eq!(kinds(&sms.send(&page, &to(), &context()).await), [Ok(None)]);
    assert_eq!(kinds(&sms.send(&page, &to(), &context()).await), [Err((Ambiguous, Some("HTTP 502".to_owned())))]);
    let asked = &stand.seen()[1];
    assert_eq!((asked.header("x-acs-action"), asked.query("SendDate").as_deref()), ("QuerySendDetails", Some("20231115")));
}

#[tokio::test]
async fn answers_mean_what_the_vendor_says() {
    let no = |code: &str, message: &str| Scripted::from(format!(r#"{{"Code":"{code}","Message":"{message}","RequestId":"R"}}"#).as_str());
    let wait = |s| RateLimited { retry_after: Some(Duration::from_secs(s)) };
    let rows = [
        (no("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1"), wait(60), "isv.BUSINESS_LIMIT_CONTROL"),
        (no("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:10"), Rejected, "isv.BUSINESS_LIMIT_CONTROL"),
        (no("Throttling.User", "slow"), wait(2), "Throttling.User"),
        (no("isv.AMOUNT_NOT_ENOUGH", "no money"), Misconfigured, "isv.AMOUNT_NOT_ENOUGH"),
        (no("isv.SMS_TEMPLATE_ILLEGAL", "no"), Misconfigured, "isv.SMS_TEMPLATE_ILLEGAL"),
        (no("isv.MOBILE_NUMBER_ILLEGAL", "no"), Rejected, "isv.MOBILE_NUMBER_ILLEGAL"),
        (no("isv.PARAM_LENGTH_LIMIT", "no"), Rejected, "isv.PARAM_LENGTH_LIMIT"),
        (no("isp.SYSTEM_ERROR", "no"), Transient, "isp.SYSTEM_ERROR"),
        (Scripted::new(400, r#"{"Code":"SignatureDoesNotMatch","Message":"no"}"#), Misconfigured, "SignatureDoesNotMatch"),
        (Scripted::from("<html>login</html>"), Transient, "HTTP 200"),
    ];
    let stand = Stand::start(rows.iter().map(|row| row.0.clone())).await;
    let voice = build::<voice::Config>(VOICE, &stand.base).unwrap().channel;
    for (answer, kind, code) in &rows {
        let results = voice.send(&page(&[("text", "x")]), &to(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_the_servers_own() {
    let stale = Scripted::new(400, r#"{"Code":"InvalidTimeStamp.Expired","Message":"expired"}"#).header("date", "Tue, 14 Nov 2023 10:00:00 GMT");
    let stand = Stand::start([stale, Scripted::from(OK)]).await;
    let sms = build::<sms::Config>(SMS, &stand.base).unwrap().channel;
    assert_eq!(kinds(&sms.send(&page(&[("text", "x")]), &to(), &context()).await), [Ok(Some("B1".to_owned()))]);
    assert_eq!(stand.seen()[1].header("x-acs-date"), "2023-11-14T10:00:00Z");
}

#[test]
fn mistakes_are_found_without_secrets() {
    let config: Account = serde_yaml::from_str("{ access_key_id: a, access_key_secret: b, template: '', params: { x: '{nope}' }, to: [] }").unwrap();
    let paths: Vec<_> = config.check("aliyun_sms").into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["aliyun_sms.to", "aliyun_sms.template", "aliyun_sms.params.x"]);
}
