//! Aliyun SMS and voice: the official and the computed ACS3 vectors, then the business rules.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fakes::crypt::{hex, hmac_sha256, rfc3986, sha256_hex};
use crate::support::fakes::{Aliyun, Answer, Call, Now, Pace, Platform, Verdict};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A request with every part given, as printed in the vectors.
#[allow(clippy::too_many_arguments, reason = "the parts of a printed vector")]
fn vector(host: &str, action: &str, version: &str, date: &str, nonce: &str, query: &str, key: &str, signature: &str) -> Call {
    let signed = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version";
    let at = date.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    Call::new("POST", &format!("/?{query}"))
        .with_header("host", host)
        .with_header("x-acs-action", action)
        .with_header("x-acs-version", version)
        .with_header("x-acs-date", date)
        .with_header("x-acs-signature-nonce", nonce)
        .with_header("x-acs-content-sha256", EMPTY)
        .with_header("Authorization", &format!("ACS3-HMAC-SHA256 Credential={key},SignedHeaders={signed},Signature={signature}"))
        .at(Now::at_wall(at))
}

fn sms_vector(signature: &str) -> Call {
    let query =
        "PhoneNumbers=13900000000&SignName=%E9%98%BF%E9%87%8C%E4%BA%91&TemplateCode=SMS_153055065&TemplateParam=%7B%22code%22%3A%221111%22%7D";
    vector("dysmsapi.aliyuncs.com", "SendSms", "2017-05-25", "2024-01-02T03:04:05Z", "0123456789abcdef0123456789abcdef", query, "testid", signature)
}

const SMS_SIGNATURE: &str = "02875318f7c05169404ea8e4cb322bc12144efb535aab1b767a7123541d1e376";

/// Signs like a client: written from the algorithm's description, apart from the fake's verification.
fn signed(action: &str, params: &[(&str, &str)], nonce: u64, second: i64) -> Call {
    let mut encoded: Vec<String> = params.iter().map(|(k, v)| format!("{}={}", rfc3986(k), rfc3986(v))).collect();
    encoded.sort();
    let query = encoded.join("&");
    let (date, nonce) = (jiff::Timestamp::from_second(second).unwrap().to_string(), format!("n{nonce}"));
    let canonical = format!(
        "POST\n/\n{query}\nhost:h\nx-acs-action:{action}\nx-acs-content-sha256:{EMPTY}\nx-acs-date:{date}\nx-acs-signature-nonce:{nonce}\nx-acs-version:2017-05-25\n\n\
         host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version\n{EMPTY}"
    );
    let signature = hex(&hmac_sha256(b"testsecret", format!("ACS3-HMAC-SHA256\n{}", sha256_hex(canonical.as_bytes())).as_bytes()));
    vector("h", action, "2017-05-25", &date, &nonce, &query, "testid", &signature)
}

struct Client(Aliyun, u64);

impl Client {
    fn new() -> Self {
        Self(Aliyun::new("testid", "testsecret"), 0)
    }

    fn ask(&mut self, action: &str, params: &[(&str, &str)], second: i64) -> Answer {
        self.1 += 1;
        self.0.answer(&signed(action, params, self.1, second))
    }

    fn code(&mut self, action: &str, params: &[(&str, &str)], second: i64) -> String {
        self.ask(action, params, second).value()["Code"].as_str().unwrap().to_owned()
    }
}

fn sms<'a>(numbers: &'a str, param: &'a str) -> [(&'a str, &'a str); 4] {
    [("PhoneNumbers", numbers), ("SignName", "阿里云"), ("TemplateCode", "SMS_153055065"), ("TemplateParam", param)]
}

#[test]
fn the_official_vector_passes_the_signature() {
    let mut fake = Aliyun::new("YourAccessKeyId", "YourAccessKeySecret");
    let query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai";
    let make = |signature| {
        let (date, nonce) = ("2023-10-26T10:22:32Z", "3156853299f313e23d1673dc12e1703d");
        vector("ecs.cn-shanghai.aliyuncs.com", "RunInstances", "2014-05-26", date, nonce, query, "YourAccessKeyId", signature)
    };
    // Signed rightly, it gets as far as the version, which is not this product's.
    assert_eq!(fake.answer(&make("06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")).value()["Code"], "InvalidVersion");
    let wrong = fake.answer(&make("16563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"));
    assert_eq!((wrong.status, wrong.value()["Code"].as_str()), (400, Some("SignatureDoesNotMatch")));
}

#[test]
fn the_sms_vector_is_sent_once_and_only_in_its_time() {
    let mut fake = Aliyun::new("testid", "testsecret");
    let sent = fake.answer(&sms_vector(SMS_SIGNATURE));
    assert_eq!((sent.status, sent.verdict, sent.value()["Code"].as_str()), (200, Verdict::Accepted, Some("OK")));
    assert_eq!((sent.text.as_str(), sent.to.as_slice()), ("【阿里云】验证码 1111", &["+8613900000000".to_owned()][..]));
    assert!(sent.value()["BizId"].is_string());
    assert_eq!(fake.answer(&sms_vector(SMS_SIGNATURE)).value()["Code"], "SignatureNonceUsed");
    let mut late = sms_vector(SMS_SIGNATURE);
    late.now.wall_ms += 901_000;
    assert_eq!(fake.answer(&late).value()["Code"], "InvalidTimeStamp.Expired");
    let mut other_key = Aliyun::new("other", "testsecret");
    assert_eq!(
        (other_key.answer(&sms_vector(SMS_SIGNATURE)).status, other_key.answer(&Call::new("POST", "/")).value()["Code"].clone()),
        (404, json!("IncompleteSignature"))
    );
    let mut changed = sms_vector(SMS_SIGNATURE);
    changed.query[0].1 = "13900000001".into();
    assert_eq!(Aliyun::new("testid", "testsecret").answer(&changed).value()["Code"], "SignatureDoesNotMatch");
    let mut unsigned_header = sms_vector(SMS_SIGNATURE);
    unsigned_header.headers.push(("x-acs-security-token".into(), "t".into()));
    assert_eq!(Aliyun::new("testid", "testsecret").answer(&unsigned_header).value()["Code"], "IncompleteSignature");
}

#[test]
fn sms_business_errors_come_with_http_200() {
    let mut c = Client::new();
    let many = vec!["13900000000"; 1001].join(",");
    for (params, code) in [
        (sms("12345", r#"{"code":"1"}"#).to_vec(), "isv.MOBILE_NUMBER_ILLEGAL"),
        (sms(&many, r#"{"code":"1"}"#).to_vec(), "isv.MOBILE_COUNT_OVER_LIMIT"),
        (sms("13900000000", r#"{"code":1}"#).to_vec(), "isv.INVALID_JSON_PARAM"),
        (sms("13900000000", "{").to_vec(), "isv.INVALID_JSON_PARAM"),
        (sms("13900000000", r#"{"other":"1"}"#).to_vec(), "isv.TEMPLATE_MISSING_PARAMETERS"),
        (sms("13900000000", r#"{"code":"https://e.com"}"#).to_vec(), "isv.PARAM_NOT_SUPPORT_URL"),
        (sms("13900000000", r#"{"code":"0123456789012345678901234567890123456"}"#).to_vec(), "isv.PARAM_LENGTH_LIMIT"),
        (vec![("PhoneNumbers", "13900000000"), ("SignName", "x"), ("TemplateCode", "SMS_153055065")], "isv.SMS_SIGNATURE_ILLEGAL"),
        (vec![("PhoneNumbers", "13900000000"), ("SignName", "阿里云"), ("TemplateCode", "SMS_1")], "isv.SMS_TEMPLATE_ILLEGAL"),
        (sms("+8613900000000,008613900000001,8613900000002", r#"{"code":"1"}"#).to_vec(), "OK"),
    ] {
        let answer = c.ask("SendSms", &params, 1000);
        assert_eq!((answer.status, answer.value()["Code"].as_str()), (200, Some(code)));
    }
    assert_eq!(c.ask("SendSms", &[("PhoneNumbers", "13900000000")], 1000).status, 400);
    assert_eq!(c.code("SendFax", &[], 1000), "InvalidAction.NotFound");
    c.0.next.push_back((200, "isv.AMOUNT_NOT_ENOUGH".into(), "账户余额不足".into()));
    c.0.next.push_back((503, "ServiceUnavailable".into(), "busy".into()));
    assert_eq!(c.code("SendSms", &sms("13900000000", r#"{"code":"1"}"#), 1000), "isv.AMOUNT_NOT_ENOUGH");
    assert_eq!(c.ask("SendSms", &sms("13900000000", r#"{"code":"1"}"#), 1000).status, 503);
}

#[test]
fn flow_control_names_its_span() {
    let mut c = Client::new();
    c.0.sms_minute.set(Pace::per(1, Duration::from_secs(60)));
    let p = sms("13900000000", r#"{"code":"1"}"#);
    assert_eq!(c.code("SendSms", &p, 1000), "OK");
    let refused = c.ask("SendSms", &p, 1059);
    assert_eq!(
        (refused.value()["Code"].as_str(), refused.value()["Message"].as_str()),
        (Some("isv.BUSINESS_LIMIT_CONTROL"), Some("触发分钟级流控Permits:1"))
    );
    assert_eq!(c.code("SendSms", &p, 1060), "OK");
    c.0.sms_minute.set(Pace::Off);
    for _ in 0..38 {
        assert_eq!(c.code("SendSms", &p, 2000), "OK");
    }
    assert_eq!(c.ask("SendSms", &p, 2000).value()["Message"], "触发天级流控Permits:40");
}

#[test]
fn receipts_can_be_queried() {
    let mut c = Client::new();
    let biz = c.ask("SendSms", &sms("13900000000,13900000001", r#"{"code":"7"}"#), 1_704_164_645).value()["BizId"].as_str().unwrap().to_owned();
    let query = |number| [("PhoneNumber", number), ("SendDate", "20240102"), ("PageSize", "10"), ("CurrentPage", "1"), ("BizId", biz.as_str())];
    let found = c.ask("QuerySendDetails", &query("13900000001"), 1_704_164_700).value();
    assert_eq!((&found["TotalCount"], &found["SmsSendDetailDTOs"]["SmsSendDetailDTO"][0]["SendStatus"]), (&json!(1), &json!(3)));
    c.0.receipts.insert("+8613900000001".into(), (2, "MOBILE_NOT_ON_SERVICE".into()));
    let failed = c.ask("QuerySendDetails", &query("13900000001"), 1_704_164_700).value();
    assert_eq!(failed["SmsSendDetailDTOs"]["SmsSendDetailDTO"][0]["ErrCode"], "MOBILE_NOT_ON_SERVICE");
    assert_eq!(c.code("QuerySendDetails", &[("PhoneNumber", "13900000001")], 1_704_164_700), "isv.INVALID_PARAMETERS");
}

#[test]
fn calls_are_limited_per_callee_and_can_be_queried() {
    let mut c = Client::new();
    let param = r#"{"name":"db-1","severity":"P1"}"#;
    let p = |number: &'static str| [("CalledNumber", number), ("TtsCode", "TTS_10001"), ("TtsParam", param), ("PlayTimes", "2")];
    let first = c.ask("SingleCallByTts", &p("13900000000"), 1000);
    assert_eq!((first.verdict, first.text.as_str()), (Verdict::Accepted, "告警 db-1，级别 P1"));
    let id = first.value()["CallId"].as_str().unwrap().to_owned();
    assert_eq!(c.code("SingleCallByTts", &p("13900000000"), 1059), "isv.BUSINESS_LIMIT_CONTROL");
    assert_eq!(c.code("SingleCallByTts", &p("13900000000"), 1061), "OK");
    assert_eq!(c.code("SingleCallByTts", &p("13900000000,13900000001"), 2000), "isv.MOBILE_NUMBER_ILLEGAL");
    let wrong = [("CalledNumber", "13900000009"), ("TtsCode", "TTS_10001"), ("TtsParam", param), ("PlayTimes", "4")];
    assert_eq!(c.code("SingleCallByTts", &wrong, 2000), "isv.INVALID_PARAMETERS");
    let detail = c.ask("QueryCallDetailByCallId", &[("CallId", &id), ("ProdId", "11000000300006"), ("QueryDate", "1000000")], 3000).value();
    let data: Value = serde_json::from_str(detail["Data"].as_str().unwrap()).unwrap();
    assert_eq!(data["callee"], "13900000000");
    assert_eq!(c.code("QueryCallDetailByCallId", &[("CallId", "x"), ("ProdId", "11010000138001"), ("QueryDate", "1")], 3000), "isv.BILLID_NOT_EXIST");
}
