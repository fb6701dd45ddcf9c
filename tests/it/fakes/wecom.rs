//! WeCom applications against the documented limits and codes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::fakes::wecom::has_unicode_escape;
use crate::support::fakes::wecom_cards::Receiver;
use crate::support::fakes::{Answer, Call, Now, Pace, Platform, TokenState, Verdict, Wecom};

fn corp() -> Wecom {
    Wecom::new("ww1", 1_000_002, "s3cret").with_members(&["ZhangSan", "lisi"])
}

fn token(fake: &mut Wecom) -> String {
    let answer = fake.answer(&Call::new("GET", "/cgi-bin/gettoken?corpid=ww1&corpsecret=s3cret"));
    assert_eq!((answer.verdict, answer.value()["errcode"].clone(), answer.value()["expires_in"].clone()), (Verdict::Served, json!(0), json!(7200)));
    answer.value()["access_token"].as_str().unwrap().to_owned()
}

fn call(fake: &mut Wecom, body: &Value) -> Call {
    let target = format!("/cgi-bin/message/send?access_token={}", token(fake));
    Call::new("POST", &target).with_json(body)
}

fn send(fake: &mut Wecom, body: &Value) -> Answer {
    let call = call(fake, body);
    fake.answer(&call)
}

fn code(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200);
    answer.value()["errcode"].as_i64().unwrap()
}

fn text(to: &str, content: &str) -> Value {
    json!({ "touser": to, "msgtype": "text", "agentid": 1_000_002, "text": { "content": content } })
}

#[test]
fn tokens_are_issued_once_and_refused_by_their_reason() {
    let mut fake = corp();
    let mut get = |query: &str| code(&fake.answer(&Call::new("GET", &format!("/cgi-bin/gettoken?{query}"))));
    assert_eq!(get("corpid=other&corpsecret=s3cret"), 40013);
    assert_eq!(get("corpid=ww1&corpsecret=wrong"), 40001);
    assert_eq!(get("corpid=ww1"), 41004);
    let first = token(&mut fake);
    assert_eq!((token(&mut fake), fake.tokens.issued, fake.tokens.calls), (first.clone(), 1, 2));
    let target = format!("/cgi-bin/message/send?access_token={first}");
    let body = text("lisi", "x");
    let at = |ms| Call::new("POST", &target).with_json(&body).at(Now { mono_ms: ms, wall_ms: 0 });
    assert_eq!(code(&fake.answer(&at(7_199_999))), 0);
    let expired = fake.answer(&at(7_200_000));
    assert_eq!(code(&expired), 42001);
    assert!(
        expired.value()["errmsg"]
            .as_str()
            .unwrap()
            .contains("from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e=42001")
    );
    fake.tokens.revoke_all(&TokenState::Invalid);
    assert_eq!(code(&fake.answer(&at(1))), 40014);
    assert_eq!(code(&fake.answer(&Call::new("POST", "/cgi-bin/message/send").with_json(&body))), 41001);
    assert_eq!(code(&fake.answer(&Call::new("GET", &target))), 43002);
}

#[test]
fn partial_recipients_are_named_in_lower_case_and_none_is_81013() {
    let mut fake = corp();
    let answer = send(&mut fake, &text("ZhangSan|Nobody|lisi", "x"));
    assert_eq!((code(&answer), answer.value()["invaliduser"].as_str(), answer.verdict), (0, Some("nobody"), Verdict::Accepted));
    assert_eq!(answer.to, ["zhangsan", "lisi"]);
    assert!(answer.value()["msgid"].is_string());
    let none = send(&mut fake, &text("Nobody", "x"));
    assert_eq!((code(&none), none.verdict), (81013, Verdict::Refused));
    assert_eq!(code(&send(&mut fake, &text("", "x"))), 81012);
    assert_eq!(send(&mut fake, &text("@all", "x")).to.len(), 2);
}

#[test]
fn schema_and_sizes_are_checked_in_bytes() {
    let mut fake = corp().unpaced();
    let with = |field: &str, value: Value| {
        let mut body = text("lisi", "x");
        body[field] = value;
        body
    };
    for (body, expected) in [
        (with("agentid", json!("1000002")), 40058),
        (with("agentid", json!(1_000_002.5)), 40058),
        (with("agentid", Value::Null), 41011),
        (with("agentid", json!(7)), 40056),
        (with("msgtype", json!("txt")), 40008),
        (with("text", json!({ "content": "" })), 44004),
        (with("text", json!({ "content": 1 })), 40058),
        (with("touser", json!(["lisi"])), 40058),
        (with("touser", json!(vec!["u"; 1001].join("|"))), 82002),
        (with("duplicate_check_interval", json!(14_401)), 40058),
        (json!({ "touser": "lisi", "msgtype": "textcard", "agentid": 1_000_002, "textcard": { "title": "t", "url": "https://e" } }), 41033),
        (
            json!({ "touser": "lisi", "msgtype": "textcard", "agentid": 1_000_002, "textcard": { "title": "t", "description": "d", "url": "e" } }),
            45034,
        ),
        (
            json!({ "touser": "lisi", "msgtype": "textcard", "agentid": 1_000_002, "textcard": { "title": "t", "description": "d", "url": "https://e" } }),
            0,
        ),
    ] {
        assert_eq!(code(&send(&mut fake, &body)), expected, "{body}");
    }
    // 683 CJK characters are 2049 bytes: text loses the last one silently, markdown is refused.
    let long = "警".repeat(683);
    let cut = send(&mut fake, &text("lisi", &long));
    assert_eq!((code(&cut), cut.text.chars().count(), cut.notes.as_slice()), (0, 682, &["truncated:3".to_owned()][..]));
    let markdown = |content: &str| json!({ "touser": "lisi", "msgtype": "markdown", "agentid": 1_000_002, "markdown": { "content": content } });
    assert_eq!(code(&send(&mut fake, &markdown(&long))), 45002);
    assert_eq!(code(&send(&mut fake, &markdown(&"a".repeat(2048)))), 0);
    let call = call(&mut fake, &text("lisi", "x"));
    let mut broken = call.clone();
    broken.body = "{".into();
    assert_eq!(code(&fake.answer(&broken)), 47001);
    fake.apps.insert(1_000_003, "other".into());
    assert_eq!(code(&send(&mut fake, &with("agentid", json!(1_000_003)))), 301_002);
    fake.ip_trusted = false;
    assert_eq!(code(&fake.answer(&call)), 60020);
}

#[test]
fn unicode_escapes_are_refused_but_an_escaped_backslash_is_not_one() {
    assert!(has_unicode_escape(br#"{"a":"\u8b66"}"#));
    assert!(has_unicode_escape(br#"{"a":"\\\u8b66"}"#));
    assert!(!has_unicode_escape(br#"{"a":"C:\\users\n"}"#));
    let mut fake = corp();
    let mut call = call(&mut fake, &text("lisi", "x"));
    call.body = r#"{"touser":"lisi","msgtype":"text","agentid":1000002,"text":{"content":"\u8b66"}}"#.into();
    assert_eq!(code(&fake.answer(&call)), 40033);
}

#[test]
fn over_thirty_a_minute_a_member_silently_gets_nothing() {
    let mut fake = corp();
    let call = call(&mut fake, &text("lisi", "x"));
    let mut at = |ms: u64| fake.answer(&call.clone().at(Now { mono_ms: ms, wall_ms: 0 }));
    assert!((0..30).all(|i| at(i * 100).verdict == Verdict::Accepted));
    let dropped = at(3000);
    assert_eq!((code(&dropped), dropped.verdict), (0, Verdict::Dropped));
    assert_eq!((dropped.to.len(), dropped.notes.as_slice()), (0, &["dropped:lisi".to_owned()][..]));
    assert_eq!(at(60_000).verdict, Verdict::Accepted);
    let both = send(&mut fake, &text("lisi|zhangsan", "x"));
    assert_eq!((both.verdict, both.to.as_slice()), (Verdict::Accepted, &["zhangsan".to_owned()][..]));
}

#[test]
fn the_api_limit_is_loud_and_the_duplicate_check_is_by_identical_body() {
    let mut fake = corp();
    let mut body = text("lisi", "x");
    body["enable_duplicate_check"] = json!(1);
    body["duplicate_check_interval"] = json!(600);
    let call = call(&mut fake, &body);
    let mut at = |ms: u64| fake.answer(&call.clone().at(Now { mono_ms: ms, wall_ms: 0 })).verdict;
    assert_eq!((at(0), at(599_999), at(600_000)), (Verdict::Accepted, Verdict::Duplicate, Verdict::Accepted));
    let plain = text("lisi", "x");
    assert_eq!((send(&mut fake, &plain).verdict, send(&mut fake, &plain).verdict), (Verdict::Accepted, Verdict::Accepted));
    fake.api.set(Pace::Rolling { limit: 1, window: Duration::from_secs(60), penalty: Duration::from_secs(60) });
    assert_eq!(code(&fake.answer(&call)), 0);
    let refused = fake.answer(&call);
    assert_eq!((code(&refused), refused.verdict), (45009, Verdict::Refused));
    assert!(refused.value()["errmsg"].as_str().unwrap().starts_with("api freq out of limit"));
}

#[test]
fn recall_and_look_up() {
    let mut fake = corp();
    fake.people.add("13800000000", "lisi");
    let id = send(&mut fake, &text("lisi", "x")).value()["msgid"].clone();
    let token = token(&mut fake);
    let mut post = |api: &str, body: &Value| code(&fake.answer(&Call::new("POST", &format!("/cgi-bin/{api}?access_token={token}")).with_json(body)));
    assert_eq!(post("message/recall", &json!({ "msgid": id })), 0);
    assert_ne!(post("message/recall", &json!({ "msgid": id })), 0);
    assert_eq!((post("user/getuserid", &json!({ "mobile": "13800000000" })), post("user/getuserid", &json!({ "mobile": "1" }))), (0, 46004));
}

#[test]
fn a_right_to_change_a_card_is_good_once_and_for_three_days() {
    const LIFE: u64 = 72 * 3600 * 1000;
    let mut fake = corp().unpaced();
    let card = |task: &str| {
        json!({
            "card_type": "button_interaction", "main_title": { "title": "db-1 burns" }, "task_id": task,
            "button_list": [{ "text": "On it", "style": 1, "key": "ack.x" }],
        })
    };
    let message = |card: Value| json!({ "touser": "lisi", "msgtype": "template_card", "agentid": 1_000_002, "template_card": card });
    assert_eq!(code(&send(&mut fake, &message(card("t-1")))), 43012, "it has no address for presses");
    fake.cards.receiver = Some(Receiver { token: "QDG6eK".into(), key: "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C".into() });
    let sent = |fake: &mut Wecom, card: Value| send(fake, &message(card)).value();
    let first = sent(&mut fake, card("t-1"))["response_code"].clone();
    assert!(first.is_string());
    assert_eq!(sent(&mut fake, card("t-1"))["errcode"], 42014, "a task_id is used once");
    assert_eq!(sent(&mut fake, card(""))["errcode"], 40058);
    let notice = json!({ "card_type": "text_notice", "main_title": { "title": "over" }, "card_action": { "type": 1, "url": "https://w/m/1" } });
    assert!(sent(&mut fake, notice.clone()).get("response_code").is_none(), "there is nothing to press on it");
    let second = sent(&mut fake, card("t-2"))["response_code"].clone();
    // One that outlives the rights.
    fake.tokens.revoke_all(&TokenState::Invalid);
    fake.tokens.lifetime = Duration::from_millis(2 * LIFE);
    let target = format!("/cgi-bin/message/update_template_card?access_token={}", fake.tokens.issue("1000002", 0).0);
    let update =
        |fake: &mut Wecom, ms: u64, body: Value| code(&fake.answer(&Call::new("POST", &target).with_json(&body).at(Now { mono_ms: ms, wall_ms: 0 })));
    let whole = |right: &Value, card: Value| json!({ "atall": 1, "agentid": 1_000_002, "response_code": right, "template_card": card });
    let no_link = json!({ "card_type": "text_notice", "main_title": { "title": "over" } });
    for (body, refusal) in [
        (whole(&"rc-0".into(), notice.clone()), 42016),
        (whole(&first, no_link), 40058),
        (json!({ "agentid": 1_000_002, "response_code": first, "template_card": notice }), 40058),
        (json!({ "atall": 1, "agentid": 1_000_003, "response_code": first, "template_card": notice }), 42015),
        (json!({ "atall": 1, "agentid": 1_000_002, "response_code": first, "button": { "replace_name": "" } }), 42018),
        (json!({ "atall": 1, "agentid": 1_000_002, "response_code": first, "button": { "replace_name": "x" }, "template_card": notice }), 40058),
    ] {
        assert_eq!(update(&mut fake, 0, body.clone()), refusal, "{body}");
    }
    assert_eq!(update(&mut fake, 0, whole(&first, notice.clone())), 0);
    assert_eq!(update(&mut fake, 0, whole(&first, notice.clone())), 42016, "once");
    let shown = &fake.cards.cards["t-1"];
    assert_eq!((shown.text.as_str(), shown.buttons.len(), shown.changes), ("over", 0, 1));
    assert_eq!(update(&mut fake, LIFE + 1, whole(&second, notice.clone())), 42016, "too old");
    assert_eq!(update(&mut fake, LIFE, whole(&second, card(""))), 0);
    assert_eq!(fake.cards.cards["t-2"].buttons.len(), 1, "it can be pressed on");
}
