//! DingTalk application APIs: tokens, look-up, DING.

use serde_json::{Value, json};

use crate::support::fakes::{Answer, Call, DingtalkApp, Platform, TokenState, Verdict};

fn fake() -> DingtalkApp {
    DingtalkApp::new("key", "secret", "dingbot", &[("13800000001", "u1"), ("13800000002", "u2")])
}

fn token(fake: &mut DingtalkApp) -> String {
    let answer = fake.answer(&Call::new("POST", "/v1.0/oauth2/accessToken").with_json(&json!({ "appKey": "key", "appSecret": "secret" })));
    assert_eq!(answer.value()["expireIn"], 7200);
    answer.value()["accessToken"].as_str().unwrap().to_owned()
}

fn ding(fake: &mut DingtalkApp, body: &Value) -> Answer {
    let token = token(fake);
    fake.answer(&Call::new("POST", "/v1.0/robot/ding/send").with_json(body).with_header("x-acs-dingtalk-access-token", &token))
}

fn body(kind: u8, users: &[&str]) -> Value {
    json!({ "robotCode": "dingbot", "remindType": kind, "receiverUserIdList": users, "content": "P1 db-1 down", "callVoice": "Standard_Female_Voice" })
}

fn code(answer: &Answer) -> String {
    answer.value()["code"].as_str().unwrap_or("").to_owned()
}

#[test]
fn both_generations_hand_out_the_same_token() {
    let mut fake = fake();
    let new = token(&mut fake);
    let old = fake.answer(&Call::new("GET", "/gettoken?appkey=key&appsecret=secret")).value();
    assert_eq!((old["access_token"].as_str(), old["errcode"].clone(), fake.tokens.issued, fake.tokens.calls), (Some(new.as_str()), json!(0), 1, 2));
    let corp = json!({ "client_id": "key", "client_secret": "secret", "grant_type": "client_credentials" });
    assert_eq!(fake.answer(&Call::new("POST", "/v1.0/oauth2/dingcorp1/token").with_json(&corp)).value()["access_token"], new.as_str());
    let bad = fake.answer(&Call::new("POST", "/v1.0/oauth2/accessToken").with_json(&json!({ "appKey": "key", "appSecret": "no" })));
    assert_eq!((bad.status, code(&bad)), (400, "invalidClientIdOrSecret".into()));
    let bad = fake.answer(&Call::new("GET", "/gettoken?appkey=key&appsecret=no"));
    assert_eq!((bad.status, bad.value()["errcode"].clone()), (200, json!(40096)));
}

#[test]
fn mobiles_are_looked_up() {
    let mut fake = fake();
    let token = token(&mut fake);
    let mut ask = |token: &str, body: Value| {
        fake.answer(&Call::new("POST", &format!("/topapi/v2/user/getbymobile?access_token={token}")).with_json(&body)).value()
    };
    assert_eq!(ask(&token, json!({ "mobile": "13800000001" }))["result"]["userid"], "u1");
    assert_eq!(ask(&token, json!({ "mobile": "13800000009" }))["errcode"], 60121);
    assert_eq!(ask(&token, json!({ "mobile": "abc" }))["errcode"], 40104);
    assert_eq!(ask(&token, json!({ "mobile": 13_800_000_001_u64 }))["errcode"], 400_002);
    let stale = ask("stale", json!({ "mobile": "13800000001" }));
    assert_eq!((&stale["errcode"], &stale["sub_code"]), (&json!(88), &json!("40014")));
}

#[test]
fn a_ding_names_whom_it_did_not_reach() {
    let mut fake = fake();
    let sent = ding(&mut fake, &body(3, &["u1", "u9"]));
    assert_eq!((sent.verdict, sent.to.as_slice()), (Verdict::Accepted, &["u1".to_owned()][..]));
    let failed = sent.value()["failedList"].as_object().unwrap().clone();
    assert_eq!(failed.values().next(), Some(&json!(["u9"])));
    fake.unreachable.insert("u1".into(), "phone is off".into());
    let none = ding(&mut fake, &body(3, &["u1"]));
    assert_eq!((none.status, none.verdict, none.value()["failedList"]["phone is off"].clone()), (200, Verdict::Refused, json!(["u1"])));
    let id = sent.value()["openDingId"].clone();
    let token = token(&mut fake);
    let mut recall = || {
        let call = Call::new("POST", "/v1.0/robot/ding/recall").with_json(&json!({ "robotCode": "dingbot", "openDingId": id }));
        fake.answer(&call.with_header("x-acs-dingtalk-access-token", &token)).status
    };
    assert_eq!((recall(), recall()), (200, 400));
}

#[test]
fn dings_are_refused_for_their_reason() {
    let mut fake = fake();
    let many: Vec<String> = (0..21).map(|i| format!("u{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let with = |field: &str, value: Value| {
        let mut b = body(3, &["u1"]);
        b[field] = value;
        b
    };
    for (b, expected) in [
        (with("robotCode", json!("x")), "invalid.chatbotId"),
        (with("remindType", json!(4)), "invalidParameter.param.invalid"),
        (with("remindType", json!("3")), "invalidParameter.param.invalid"),
        (with("content", json!("")), "invalidParameter.param.invalid"),
        (with("callVoice", json!("Loud")), "invalidParameter.param.invalid"),
        (with("receiverUserIdList", json!([])), "miss.staffId"),
        (with("receiverUserIdList", json!("u1")), "invalidParameter.param.invalid"),
        (body(3, &many), "ding.receivercount.limit"),
        (body(2, &many), "ding.receivercount.limit"),
        (body(1, &many), ""),
    ] {
        let answer = ding(&mut fake, &b);
        assert_eq!((answer.status, code(&answer).as_str()), (if expected.is_empty() { 200 } else { 400 }, expected));
    }
    fake.paid_left = Some(1);
    assert_eq!(code(&ding(&mut fake, &body(3, &["u1"]))), "");
    assert_eq!(code(&ding(&mut fake, &body(2, &["u1"]))), "ding.serverquota.insufficient");
    assert_eq!(code(&ding(&mut fake, &body(1, &["u1"]))), "", "in-app needs no quota");
    let call = Call::new("POST", "/v1.0/robot/ding/send").with_json(&body(1, &["u1"]));
    assert_eq!(code(&fake.answer(&call)), "AuthenticationFailed.MissingParameter");
    let token = token(&mut fake);
    fake.tokens.revoke_all(&TokenState::Invalid);
    let stale = fake.answer(&call.with_header("x-acs-dingtalk-access-token", &token));
    assert_eq!((stale.status, code(&stale)), (400, "InvalidAuthentication".into()));
    fake.next.push_back((500, "system.error".into(), "system error".into()));
    assert_eq!(ding(&mut fake, &body(1, &["u1"])).status, 500);
}
