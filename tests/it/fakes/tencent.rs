//! Tencent Cloud SMS and VMS: the official and the computed TC3 vectors, then the business rules.

use serde_json::{Value, json};

use crate::support::fakes::crypt::{hex, hmac_sha256, sha256_hex};
use crate::support::fakes::{Answer, Call, Now, Platform, Tencent, Verdict};

const WHEN: i64 = 1_551_113_065;
const SMS_BODY: &str =
    r#"{"PhoneNumberSet":["+8613711112222"],"SmsSdkAppId":"1400006666","TemplateId":"1110","SignName":"demo","TemplateParamSet":["5001"]}"#;

#[allow(clippy::too_many_arguments, reason = "the parts of a printed vector")]
fn vector(id: &str, service: &str, host: &str, action: &str, version: &str, content_type: &str, signed: &str, signature: &str, body: &str) -> Call {
    Call::new("POST", "/")
        .with_header("host", host)
        .with_header("X-TC-Action", action)
        .with_header("X-TC-Version", version)
        .with_header("X-TC-Timestamp", "1551113065")
        .with_header("X-TC-Region", "ap-guangzhou")
        .with_header(
            "Authorization",
            &format!("TC3-HMAC-SHA256 Credential={id}/2019-02-25/{service}/tc3_request, SignedHeaders={signed}, Signature={signature}"),
        )
        .with_body(content_type, body.as_bytes())
        .at(Now::at_wall(WHEN * 1000))
}

/// Signs like a client: written from the algorithm's description, apart from the fake's verification.
fn signed(service: &str, action: &str, version: &str, second: i64, body: &Value) -> Call {
    let (body, date) = (body.to_string(), jiff::Timestamp::from_second(second).unwrap().strftime("%Y-%m-%d").to_string());
    let canonical = format!("POST\n/\n\ncontent-type:application/json\nhost:h\n\ncontent-type;host\n{}", sha256_hex(body.as_bytes()));
    let scope = format!("{date}/{service}/tc3_request");
    let text = format!("TC3-HMAC-SHA256\n{second}\n{scope}\n{}", sha256_hex(canonical.as_bytes()));
    let key = hmac_sha256(&hmac_sha256(&hmac_sha256(b"TC3SECRETEXAMPLE", date.as_bytes()), service.as_bytes()), b"tc3_request");
    let authorization = format!(
        "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders=content-type;host, Signature={}",
        hex(&hmac_sha256(&key, text.as_bytes()))
    );
    Call::new("POST", "/")
        .with_header("host", "h")
        .with_header("X-TC-Action", action)
        .with_header("X-TC-Version", version)
        .with_header("X-TC-Timestamp", &second.to_string())
        .with_header("X-TC-Region", "ap-guangzhou")
        .with_header("Authorization", &authorization)
        .with_body("application/json", body.as_bytes())
        .at(Now::at_wall(second * 1000))
}

fn fake() -> Tencent {
    Tencent::new("AKIDEXAMPLE", "SECRETEXAMPLE")
}

fn sms(fake: &mut Tencent, second: i64, body: &Value) -> Answer {
    fake.answer(&signed("sms", "SendSms", "2021-01-11", second, body))
}

fn voice(fake: &mut Tencent, second: i64, body: &Value) -> Answer {
    fake.answer(&signed("vms", "SendTtsVoice", "2020-09-02", second, body))
}

fn error(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    answer.value()["Response"]["Error"]["Code"].as_str().unwrap_or("").to_owned()
}

fn body(numbers: &[&str]) -> Value {
    json!({ "PhoneNumberSet": numbers, "SmsSdkAppId": "1400006666", "TemplateId": "1110", "SignName": "demo", "TemplateParamSet": ["db-1"] })
}

#[test]
fn the_official_vectors_pass_the_signature() {
    let payload = r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#;
    let stars = "*".repeat(32);
    let (json_type, host) = ("application/json; charset=utf-8", "cvm.tencentcloudapi.com");
    for (key, headers, signature) in [
        (stars.as_str(), "content-type;host;x-tc-action", "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"),
        ("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", "content-type;host", "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"),
    ] {
        let make = |s: &str| vector("AKID", "cvm", host, "DescribeInstances", "2017-03-12", json_type, headers, s, payload);
        let mut fake = Tencent::new("AKID", key);
        assert_eq!(error(&fake.answer(&make(signature))), "InvalidAction", "the signature is good, the action is another product's");
        assert_eq!(error(&fake.answer(&make(&signature.replace('4', "5")))), "AuthFailure.SignatureFailure");
    }
}

#[test]
fn the_sms_vectors_are_sent_and_only_in_their_time() {
    let host = "sms.tencentcloudapi.com";
    for (content_type, headers, signature) in [
        ("application/json", "content-type;host", "e89166f9c74b36cb7d3153bbbce85d87aac73d69b926f3709a0eab1f05fa3a4a"),
        ("application/json; charset=utf-8", "content-type;host;x-tc-action", "93b9b4436e05548fbcf69615c4be04ac683b8a80137fdc7f33974e926ef7c092"),
    ] {
        let mut fake = fake();
        let call = vector("AKIDEXAMPLE", "sms", host, "SendSms", "2021-01-11", content_type, headers, signature, SMS_BODY);
        let sent = fake.answer(&call);
        assert_eq!(
            (sent.verdict, sent.text.as_str(), sent.to.as_slice()),
            (Verdict::Accepted, "【demo】告警 5001", &["+8613711112222".to_owned()][..])
        );
        assert_eq!(sent.value()["Response"]["SendStatusSet"][0]["Code"], "Ok");
        assert_eq!(error(&fake.answer(&call.clone().at(Now::at_wall((WHEN + 301) * 1000)))), "AuthFailure.SignatureExpire");
        assert_eq!(error(&Tencent::new("other", "x").answer(&call)), "AuthFailure.SecretIdNotFound");
        let mut changed = call.clone();
        changed.body = SMS_BODY.replace("5001", "5002").into();
        assert_eq!(error(&fake.answer(&changed)), "AuthFailure.SignatureFailure");
    }
    assert_eq!(error(&fake().answer(&Call::new("POST", "/").with_json(&json!({})))), "AuthFailure.InvalidAuthorization");
}

#[test]
fn each_number_has_its_own_result() {
    let mut fake = fake();
    fake.bad_numbers.insert("+8613700000003".into(), "FailedOperation.PhoneNumberInBlacklist".into());
    let answer = sms(&mut fake, WHEN, &body(&["+8613700000001", "+86123", "+8613700000003"]));
    let set = answer.value()["Response"]["SendStatusSet"].clone();
    let codes: Vec<_> = (0..3).map(|i| set[i]["Code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["Ok", "InvalidParameterValue.IncorrectPhoneNumber", "FailedOperation.PhoneNumberInBlacklist"]);
    assert_eq!((answer.verdict, answer.to.len(), answer.notes.len()), (Verdict::Accepted, 1, 2));
    let again = sms(&mut fake, WHEN + 29, &body(&["+8613700000001"]));
    assert_eq!((again.verdict, again.code.as_str()), (Verdict::Refused, "LimitExceeded.PhoneNumberThirtySecondLimit"));
    assert_eq!(sms(&mut fake, WHEN + 30, &body(&["+8613700000001"])).verdict, Verdict::Accepted);
}

#[test]
fn requests_are_checked_before_numbers() {
    let mut fake = fake();
    let with = |field: &str, value: Value| {
        let mut b = body(&["+8613700000001"]);
        b[field] = value;
        b
    };
    let many: Vec<String> = (0..201).map(|i| format!("+8613700{i:06}")).collect();
    for (b, code) in [
        (with("PhoneNumberSet", json!([])), "MissingParameter.EmptyPhoneNumberSet"),
        (with("PhoneNumberSet", json!("+8613700000001")), "InvalidParameter"),
        (with("PhoneNumberSet", json!(many)), "LimitExceeded.PhoneNumberCountLimit"),
        (with("PhoneNumberSet", json!(["+8613700000001", "+14155550100"])), "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber"),
        (with("SmsSdkAppId", json!("1")), "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
        (with("SmsSdkAppId", json!(1_400_006_666)), "InvalidParameter"),
        (with("TemplateID", json!("1110")), "UnknownParameter"),
        (with("TemplateParamSet", json!([5001])), "InvalidParameter"),
    ] {
        assert_eq!(error(&sms(&mut fake, WHEN, &b)), code);
    }
    for (b, code) in [
        (with("SignName", json!("x")), "FailedOperation.SignatureIncorrectOrUnapproved"),
        (with("TemplateId", json!("1")), "FailedOperation.TemplateIncorrectOrUnapproved"),
        (with("TemplateParamSet", json!([])), "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
        (with("TemplateParamSet", json!(["1234567"])), "InvalidParameterValue.TemplateParameterLengthLimit"),
        (with("TemplateParamSet", json!(["www.e"])), "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter"),
    ] {
        assert_eq!(sms(&mut fake, WHEN, &b).code, code);
    }
    fake.next.push_back(("RequestLimitExceeded".into(), "too fast".into()));
    assert_eq!(error(&sms(&mut fake, WHEN, &body(&["+8613700000001"]))), "RequestLimitExceeded");
    assert_eq!(error(&fake.answer(&signed("vms", "SendSms", "2021-01-11", WHEN, &body(&["+8613700000001"])))), "AuthFailure.SignatureFailure");
    assert_eq!(error(&fake.answer(&signed("sms", "SendSms", "2019-07-11", WHEN, &body(&["+8613700000001"])))), "NoSuchVersion");
}

#[test]
fn calls_are_spoken_and_limited() {
    let mut fake = fake();
    let b = json!({ "TemplateId": "2220", "CalledNumber": "+8613700000001", "VoiceSdkAppid": "1400006666", "TemplateParamSet": ["数据库主库故障", "P1"], "PlayTimes": 2 });
    let sent = voice(&mut fake, WHEN, &b);
    assert_eq!((sent.verdict, sent.text.as_str()), (Verdict::Accepted, "告警 数据库主库故障，级别 P1"));
    assert!(sent.value()["Response"]["SendStatus"]["CallId"].is_string());
    assert_eq!(error(&voice(&mut fake, WHEN + 29, &b)), "LimitExceeded.DeliveryFrequencyLimit");
    assert_eq!(error(&voice(&mut fake, WHEN + 31, &b)), "");
    assert_eq!(error(&voice(&mut fake, WHEN + 62, &b)), "LimitExceeded.DeliveryFrequencyLimit", "two in ten minutes");
    let with = |field: &str, value: Value| {
        let mut b = b.clone();
        b[field] = value;
        b
    };
    assert_eq!(error(&voice(&mut fake, WHEN, &with("CalledNumber", json!("13700000001")))), "InvalidParameterValue.CalledNumberVerifyFail");
    assert_eq!(error(&voice(&mut fake, WHEN, &with("PlayTimes", json!(4)))), "InvalidParameterValue");
    assert_eq!(
        error(&voice(&mut fake, WHEN, &with("TemplateParamSet", json!(["长".repeat(350), "P1"])))),
        "InvalidParameterValue.ContentLengthLimit"
    );
}
