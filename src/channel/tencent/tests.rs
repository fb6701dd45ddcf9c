//! Tencent Cloud: signature vectors, what is sent, a result for each number, what answers mean, and what never shows.

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{Recipient, Severity};
use std::time::Duration;

const SMS: &str = "{ secret_id: AKID, secret_key: ten-S3CRET, app_id: '1400006666', sign_name: demo, template: '1110', params: ['{title}'], \
                   to: ['13711112222', '13711113333'], api_base: BASE }";
const VOICE: &str = "{ secret_id: AKID, secret_key: ten-S3CRET, app_id: '1400006666', template: '2220', params: ['{text}', '{severity}'], to: ['13711112222'], api_base: BASE }";

#[test]
fn the_signature_matches_a_vector_computed_elsewhere() {
    let body =
        br#"{"PhoneNumberSet":["+8613711112222"],"SmsSdkAppId":"1400006666","TemplateId":"1110","SignName":"demo","TemplateParamSet":["5001"]}"#;
    let key = Key { id: "AKIDEXAMPLE", secret: &Secret::new("SECRETEXAMPLE") };
    let at = Timestamp::from_second(1_551_113_065).unwrap();
    let signed = sign(&key, "sms", "sms.tencentcloudapi.com", "SendSms", body, at);
    assert!(signed.expose().ends_with("Signature=93b9b4436e05548fbcf69615c4be04ac683b8a80137fdc7f33974e926ef7c092"), "{}", signed.expose());
}

#[tokio::test]
async fn each_number_has_a_result_and_variables_are_kept_short() {
    let answer = r#"{"Response":{"SendStatusSet":[{"SerialNo":"S1","PhoneNumber":"+8613711112222","Code":"Ok","Message":"send success"},
        {"SerialNo":"","PhoneNumber":"+8613711113333","Code":"FailedOperation.PhoneNumberInBlacklist","Message":"no"}],"RequestId":"R"}}"#;
    let server =
        ScriptedServer::start([Scripted::from(answer), Scripted::from(r#"{"Response":{"SendStatus":{"CallId":"C1"},"RequestId":"R"}}"#)]).await;
    let sms = build::<sms::Config>(SMS, &server.base).unwrap().channel;
    let mut page = page(&[("text", "磁盘已满")]);
    page.facts.title = "HighCPU on db-1".into();
    page.facts.severity = Some(Severity::Critical);
    let to = [Recipient::new("+8613711112222"), Recipient::new("+8613711113333")];
    let results = sms.send(&page, &to, &context()).await;
    assert_eq!(kinds(&results), [Ok(Some("SerialNo S1".to_owned())), Err((Rejected, Some("FailedOperation.PhoneNumberInBlacklist".to_owned())))]);
    assert!(results[1].1.as_ref().unwrap_err().recipient);
    let voice = build::<voice::Config>(VOICE, &server.base).unwrap().channel;
    assert_eq!(kinds(&voice.send(&page, &to[..1], &context()).await), [Ok(Some("CallId C1".to_owned()))]);
    let seen = server.seen();
    insta::assert_json_snapshot!("sms", seen[0].json());
    insta::assert_json_snapshot!("voice", seen[1].json());
    assert_eq!(
        (seen[0].header("x-tc-action"), seen[0].header("x-tc-region"), seen[1].header("x-tc-version")),
        ("SendSms", "ap-guangzhou", "2020-09-02")
    );
}

/// Of a channel with several numbers; one that has no other does not work.
#[tokio::test]
async fn a_country_that_is_not_served_is_its_numbers_own_fault() {
    let code = "LimitExceeded.AppCountryOrRegionInBlacklist";
    let answer = format!(r#"{{"Response":{{"SendStatusSet":[{{"SerialNo":"S1","Code":"Ok"}},{{"SerialNo":"","Code":"{code}","Message":"no"}}]}}}}"#);
    let server = ScriptedServer::start([Scripted::from(answer.as_str())]).await;
    let sms = build::<sms::Config>(SMS, &server.base).unwrap().channel;
    let to = ["+8613711112222", "+8613711113333"].map(Recipient::new);
    let results = sms.send(&page(&[("text", "x")]), &to, &context()).await;
    assert_eq!(kinds(&results), [Ok(Some("SerialNo S1".to_owned())), Err((Rejected, Some(code.to_owned())))]);
    assert!(results[1].1.as_ref().unwrap_err().recipient);
}

/// Numbers of people who are on call may be of either side of the border; one request with both would be refused for all of them.
#[tokio::test]
async fn answers_mean_what_the_vendor_says() {
    let no = |code: &str| Scripted::from(format!(r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"why"}},"RequestId":"R"}}}}"#).as_str());
    let wait = |s| RateLimited { retry_after: Some(Duration::from_secs(s)) };
    let rows = [
        ("RequestLimitExceeded", wait(2), false),
        ("RequestLimitExceeded.IPLimitExceeded", wait(2), false),
        ("LimitExceeded.PhoneNumberThirtySecondLimit", wait(30), true),
        ("LimitExceeded.DeliveryFrequencyLimit", Rejected, true),
        ("LimitExceeded.PhoneNumberDailyLimit", Rejected, true),
        ("LimitExceeded.AppDailyLimit", Rejected, false),
        ("LimitExceeded.AppCountryOrRegionInBlacklist", Misconfigured, false),
        ("InternalError.Timeout", Ambiguous, false),
        ("InternalError.ParseBackendResponseFail", Ambiguous, false),
        ("InternalError.OtherError", Transient, false),
        ("ServiceUnavailable", Transient, false),
        ("FailedOperation.InsufficientBalanceInVoicePackage", Misconfigured, false),
        ("FailedOperation.TemplateIncorrectOrUnapproved", Misconfigured, false),
        ("FailedOperation.TemplateParamSetNotMatchApprovedTemplate", Rejected, false),
        ("FailedOperation.ContainSensitiveWord", Rejected, false),
        ("AuthFailure.SignatureFailure", Misconfigured, false),
        ("IpNotInWhitelist", Misconfigured, false),
        ("UnauthorizedOperation.SerivceSuspendDueToArrears", Misconfigured, false),
        ("UnauthorizedOperation.SdkAppIdIsDisabled", Misconfigured, false),
        ("UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone", Rejected, true),
        ("InvalidParameterValue.ContentLengthLimit", Rejected, false),
        ("InvalidParameterValue.CalledNumberVerifyFail", Rejected, true),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| no(row.0))).await;
    let voice = build::<voice::Config>(VOICE, &server.base).unwrap().channel;
    for (code, kind, of_number) in &rows {
        let results = voice.send(&page(&[("text", "x")]), &[Recipient::new("+8613711112222")], &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))]);
        assert_eq!(results[0].1.as_ref().unwrap_err().recipient, *of_number, "{code}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[tokio::test]
async fn a_good_body_under_another_status_is_no_delivery() {
    let called = r#"{"Response":{"SendStatus":{"CallId":"C1"},"RequestId":"R"}}"#;
    let sent = r#"{"Response":{"SendStatusSet":[{"SerialNo":"S1","Code":"Ok","Message":"send success"}],"RequestId":"R"}}"#;
    let statuses = [(302, Misconfigured), (403, Misconfigured), (400, Rejected), (429, RateLimited { retry_after: None }), (502, Ambiguous)];
    let script = statuses.iter().flat_map(|(status, _)| [Scripted::new(*status, called), Scripted::new(*status, sent)]);
    let server = ScriptedServer::start(script).await;
    let voice = build::<voice::Config>(VOICE, &server.base).unwrap().channel;
    let sms = build::<sms::Config>(SMS, &server.base).unwrap().channel;
    for (status, kind) in statuses {
        for channel in [&voice, &sms] {
            let results = channel.send(&page(&[("text", "x")]), &[Recipient::new("+8613711112222")], &context()).await;
            assert_eq!(kinds(&results), [Err((kind, Some(format!("HTTP {status}"))))]);
        }
    }
}

/// A request with numbers of both would be refused as a whole, and hold the account's channels.
#[tokio::test]
async fn numbers_on_both_sides_of_the_border_are_two_requests() {
    let sent = |id: &str| {
        let entry = format!(r#"{{"SerialNo":"{id}","Code":"Ok","Message":"send success"}}"#);
        Scripted::from(format!(r#"{{"Response":{{"SendStatusSet":[{entry}],"RequestId":"R"}}}}"#).as_str())
    };
    let foreign = "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone";
    let refused = Scripted::from(format!(r#"{{"Response":{{"SendStatusSet":[{{"Code":"{foreign}"}}],"RequestId":"R"}}}}"#).as_str());
    let server = ScriptedServer::start([sent("S1"), refused, sent("S2"), sent("S3")]).await;
    let sms = build::<sms::Config>(SMS, &server.base).unwrap().channel;
    let to = ["+15005550006", "12", "+8613711112222"].map(Recipient::new);
    for abroad in [Err((Rejected, Some(foreign.to_owned()))), Ok(Some("SerialNo S3".to_owned()))] {
        let mut results = sms.send(&page(&[("text", "x")]), &to, &context()).await;
        results.sort_by_key(|(place, _)| *place);
        let kinds = kinds(&results);
        assert_eq!((&kinds[0], kinds[1].is_err(), kinds[2].is_ok(), kinds.len()), (&abroad, true, true, 3));
    }
    let numbers: Vec<Value> = server.seen().iter().map(|request| request.json()["PhoneNumberSet"].clone()).collect();
    let (home, abroad) = (serde_json::json!(["+8613711112222"]), serde_json::json!(["+15005550006"]));
    assert_eq!(numbers, [home.clone(), abroad.clone(), home, abroad]);
}

#[test]
fn mistakes_are_found_without_secrets() {
    let config: sms::Config =
        serde_yaml::from_str("{ secret_id: a, secret_key: b, app_id: '1', template: '2', params: ['{nope}'], to: ['13711112222', '+15005550006'] }")
            .unwrap();
    let paths: Vec<_> = crate::channel::PlatformConfig::check(&config).into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["tencent_sms.params[0]", "tencent_sms.sign_name", "tencent_sms.to"]);
}

#[tokio::test]
async fn the_last_word_on_an_sms_is_asked_for_by_its_number() {
    let list = |status: &str| {
        let other = r#"{"SerialNo":"S0","ReportStatus":"SUCCESS","Description":"DELIVRD"}"#;
        let ours = format!(r#"{{"SerialNo":"S1","ReportStatus":"{status}","Description":"UNDELIV"}}"#);
        Scripted::from(format!(r#"{{"Response":{{"PullSmsSendStatusSet":[{other},{ours}],"RequestId":"R"}}}}"#).as_str())
    };
    let empty = Scripted::from(r#"{"Response":{"PullSmsSendStatusSet":[],"RequestId":"R"}}"#);
    let server = ScriptedServer::start([empty, list("SUCCESS"), list("FAIL"), Scripted::new(502, "")]).await;
    let sms = build::<sms::Config>(SMS, &server.base).unwrap().channel;
    let (to, cx) = (Recipient::new("+8613711112222"), context());
    let sent = crate::channel::Sent { recipient: &to, platform_id: "S1", at: cx.now, now: cx.now, deadline: cx.deadline };
    let mut words = Vec::new();
    for _ in 0..3 {
        words.push(sms.receipt(&sent).await.unwrap().map(|word| word.reached));
    }
    assert_eq!(words, [None, Some(true), Some(false)]);
    assert!(sms.receipt(&sent).await.is_err());
    let asked = &server.seen()[0];
    assert_eq!((asked.header("x-tc-action"), &asked.json()["PhoneNumber"]), ("PullSmsSendStatusByPhoneNumber", &Value::from("+8613711112222")));
}

#[test]
fn callbacks_of_calls_tell_their_end() {
    let voice = build::<voice::Config>(VOICE, "http://127.0.0.1:9").unwrap().channel;
    let ask = |body: &str| {
        voice.called_back(&crate::channel::Callback {
            url: "",
            headers: &Default::default(),
            body: body.as_bytes(),
            now: jiff::Timestamp::UNIX_EPOCH,
        })
    };
    let end = |result: &str| format!(r#"{{"voiceprompt_callback":{{"result":{result},"callid":"C1","mobile":"13711112222","nationcode":"86"}}}}"#);
    for (result, reached) in [(r#""0""#, true), (r#""1""#, false), ("2", false)] {
        let called = ask(&end(result)).unwrap().remove(0);
        let (id, to) = (called.platform_id.as_str(), called.recipient.as_deref());
        assert_eq!((id, to, called.word.unwrap().reached, called.key), ("C1", Some("+8613711112222"), reached, None));
    }
    // The example of the document.
    let key = r#"{"voicekey_callback":{"call_from":"","callid":"C1","keypress":"2","mobile":"13711112222","nationcode":"86"}}"#;
    let called = ask(key).unwrap().remove(0);
    assert_eq!((called.word, called.key.as_deref(), called.recipient.as_deref()), (None, Some("2"), Some("+8613711112222")));
    let called = ask(r#"{"voicekey_callback":{"callid":"C1","keypress":"1","mobile":"13711112222"}}"#).unwrap().remove(0);
    assert_eq!((called.key.as_deref(), called.recipient.as_deref()), (Some("1"), Some("13711112222")));
    // Why a call failed is reported by itself. The example of the document.
    let failed = r#"{"voice_failure_callback":{"call_from":"075583763333","callid":"C1","failure_code":8,"failure_reason":"空号","mobile":"13711112222","nationcode":"86"}}"#;
    let called = ask(failed).unwrap().remove(0);
    let word = called.word.unwrap();
    assert_eq!((called.platform_id.as_str(), called.recipient.as_deref(), called.key), ("C1", Some("+8613711112222"), None));
    assert_eq!((word.reached, word.code.as_str()), (false, "8"));
    assert!(word.detail.contains("空号"), "{}", word.detail);
    assert!(ask("{}").is_err() && ask("x").is_err());
}
