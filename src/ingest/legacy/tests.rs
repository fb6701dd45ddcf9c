//! The seven direct bodies: what is accepted, and the exact words of every refusal.

use super::*;

fn missing(names: &[&'static str]) -> LegacyError {
    LegacyError::Missing(names.to_vec())
}

#[test]
fn email() {
    let parse = |body: &str| EmailCall::parse(body.as_bytes());
    let call =
        parse(r#"{"subject": "S", "from": "a@x.com", "to": ["b@x.com", "c@x.com", "b@x.com"], "cc": "d@x.com; e@x.com", "content": "<p>hi</p>"}"#);
    let expected = EmailCall {
        subject: "S".into(),
        from: "a@x.com".into(),
        to: vec!["b@x.com".into(), "c@x.com".into()],
        cc: vec!["d@x.com".into(), "e@x.com".into()],
        content: "<p>hi</p>".into(),
        html: true,
    };
    assert_eq!(call, Ok(expected));
    let plain = parse(r#"{"subject": "S", "from": "a", "to": " b@x.com ,\n\"Doe, John\" <j@x.com>,, ", "content": "a < b and c > d"}"#).unwrap();
    assert_eq!((plain.to, plain.cc, plain.html), (vec!["b@x.com".to_owned(), "\"Doe, John\" <j@x.com>".into()], vec![], false));
    assert_eq!(parse("{}"), Err(missing(&["subject", "from", "to", "content"])));
    assert_eq!(parse(r#"{"subject": "", "from": null, "to": [], "content": "x"}"#), Err(missing(&["subject", "from", "to"])));
    assert_eq!(parse(r#"{"subject": "s", "from": "f", "to": ["", null, " "], "content": " "}"#), Err(missing(&["to"])));
    assert_eq!(parse(r#"{"subject": "s", "from": "f", "to": {"a": 1}, "content": "x"}"#), Err(LegacyError::NotAList("to")));
    assert_eq!(parse(r#"{"subject": "s", "from": "f", "to": [["a"]], "content": "x"}"#), Err(LegacyError::NotAList("to")));
}

#[test]
fn slack() {
    let parse = |body: &str| SlackCall::parse(body.as_bytes());
    assert_eq!(parse("\u{feff}{\"channel\": \"ops\", \"content\": \"*hi*\"}"), Ok(SlackCall { channel: "ops".into(), content: "*hi*".into() }));
    assert_eq!(parse(r#"{"channel": "x", "channel": "ops", "content": 0}"#), Ok(SlackCall { channel: "ops".into(), content: "0".into() }));
    assert_eq!(parse(r#"{"channel": "ops"}"#), Err(missing(&["content"])));
}

#[test]
fn dingding() {
    let parse = |body: &str| DingdingCall::parse(body.as_bytes());
    let call = |all, mobiles: &[&str]| {
        Ok(DingdingCall { content: "c".into(), is_at_all: all, at_mobiles: mobiles.iter().map(|m| (*m).to_owned()).collect() })
    };
    assert_eq!(parse(r#"{"content": "c", "isAtAll": true}"#), call(true, &[]));
    assert_eq!(parse(r#"{"content": "c", "isAtAll": true, "atMobiles": ["13800000000"]}"#), call(true, &["13800000000"]));
    assert_eq!(parse(r#"{"content": "c", "isAtAll": false, "atMobiles": [13800000000, "139"]}"#), call(false, &["13800000000", "139"]));
    assert_eq!(parse(r#"{"content": "c", "isAtAll": false, "atMobiles": "1,2"}"#), call(false, &["1", "2"]));
    assert_eq!(parse(r#"{"content": "c", "isAtAll": false, "atMobiles": 138}"#), call(false, &["138"]));
    assert_eq!(parse(r#"{"content": "c", "isAtAll": false}"#), Err(missing(&["atMobiles"])));
    assert_eq!(parse(r#"{"content": "c", "isAtAll": false, "atMobiles": []}"#), Err(missing(&["atMobiles"])));
    assert_eq!(parse(r#"{"content": "c"}"#), Err(missing(&["isAtAll"])));
    assert_eq!(parse(r#"{"content": "c", "isAtAll": null}"#), Err(missing(&["isAtAll"])));
    assert_eq!(parse(r#"{"isAtAll": "true"}"#), Err(missing(&["content"])));
    for flag in [r#""true""#, "1", "0", "\"\"", "[]", "{}"] {
        let error = parse(&format!(r#"{{"content": "c", "isAtAll": {flag}}}"#)).unwrap_err();
        assert_eq!((error.message().as_str(), error.missing().len()), ("isAtAll 不是 bool 类型，请检查", 0), "{flag}");
    }
}

#[test]
fn wx() {
    let parse = |body: &str| WxCall::parse(body.as_bytes());
    let call = |touser: &[&str], agentid: &str| {
        Ok(WxCall { touser: touser.iter().map(|u| (*u).to_owned()).collect(), agentid: agentid.into(), content: "c".into() })
    };
    assert_eq!(parse(r#"{"touser": "@all", "agentid": 1000002, "content": "c"}"#), call(&["@all"], "1000002"));
    assert_eq!(parse(r#"{"touser": "a|b", "agentid": " 1000002 ", "content": "c"}"#), call(&["a", "b"], "1000002"));
    assert_eq!(parse(r#"{"touser": ["a", "b|c"], "agentid": 1000002.0, "content": "c"}"#), call(&["a", "b", "c"], "1000002"));
    assert_eq!(parse(r#"{"touser": "a,b；c、a", "agentid": "1", "content": "c"}"#), call(&["a", "b", "c"], "1"));
    assert_eq!(parse(r#"{"touser": "@all|a", "agentid": "1", "content": "c"}"#), call(&["@all"], "1"));
    assert_eq!(parse(r#"{"touser": [], "content": ""}"#), Err(missing(&["touser", "agentid", "content"])));
}

#[test]
fn sms_and_voice() {
    let sms = SmsCall::parse(r#"{"to": "+8613800000000, 13900000000；13900000000", "content": "c", "params": {"host": "db1", "n": 3}}"#.as_bytes());
    let sms = sms.unwrap();
    assert_eq!(sms.to, ["+8613800000000", "13900000000"]);
    assert_eq!(sms.params, BTreeMap::from([("host".into(), "db1".into()), ("n".into(), "3".into())]));
    let positional = SmsCall::parse(br#"{"to": [1], "content": "c", "params": ["x", 2]}"#).unwrap();
    assert_eq!(positional.params, BTreeMap::from([("1".into(), "x".into()), ("2".into(), "2".into())]));
    assert_eq!(SmsCall::parse(br#"{"to": [1], "content": "c", "params": null}"#).unwrap().params, BTreeMap::new());
    let encoded = SmsCall::parse(br#"{"to": [1], "content": "c", "params": "{\"host\": \"db1\", \"n\": 3}"}"#).unwrap();
    assert_eq!(encoded.params, BTreeMap::from([("host".into(), "db1".into()), ("n".into(), "3".into())]));
    for (raw, good) in [(r#""[\"x\"]""#, true), (r#""""#, true), (r#""host=db1""#, false), (r#""\"x\"""#, false), ("3", false), ("true", false)] {
        let call = SmsCall::parse(format!(r#"{{"to": [1], "content": "c", "params": {raw}}}"#).as_bytes());
        assert_eq!(call.is_ok(), good, "{raw}: {call:?}");
        assert!(good || call == Err(LegacyError::BadParams));
    }
    assert_eq!(SmsCall::parse(br#"{"to": true, "content": "c"}"#), Err(LegacyError::NotAList("to")));
    assert_eq!(VmsCall::parse(br#"{"to": 13800000000, "content": "c"}"#), Ok(VmsCall { to: vec!["13800000000".into()], content: "c".into() }));
    assert_eq!(VmsCall::parse(br#"{"content": "c"}"#), Err(missing(&["to"])));
}

#[test]
fn separators_and_numbers_of_peoples_making() {
    let to = |raw: &str| VmsCall::parse(format!(r#"{{"to": {raw}, "content": "c"}}"#).as_bytes()).map(|call| call.to);
    let both = Ok(vec!["13800000000".to_owned(), "13900000000".into()]);
    for raw in [
        r#""13800000000|13900000000""#,
        r#""13800000000、13900000000""#,
        r#""13800000000 13900000000""#,
        r#""13800000000\n13900000000\n""#,
        r#""13800000000\t13900000000""#,
        r#""13800000000/13900000000""#,
        r#""13800000000 / 13900000000""#,
        r#"["13800000000;13900000000"]"#,
        "[1.38e10, 1.39E+10]",
        "[13800000000.0, 13900000000]",
    ] {
        assert_eq!(to(raw), both, "{raw}");
    }
    assert_eq!(to("1.38e10"), Ok(vec!["13800000000".into()]));
    assert_eq!(to(r#""+86 138 0000 0000""#), Ok(vec!["+86 138 0000 0000".into()]), "spaces within a number separate nothing");
    assert_eq!(to(r#""010/12345678""#), Ok(vec!["010/12345678".into()]), "nor does a stroke");
    assert_eq!(to(r#""1.38E+10""#), Err(LegacyError::Exponent("to", "1.38E+10".into())));
    assert!(LegacyError::Exponent("to", "1.38E+10".into()).message().contains("科学计数法"));
    let mail = |to: &str| EmailCall::parse(format!(r#"{{"subject": "s", "from": "f", "to": {to}, "content": "c"}}"#).as_bytes()).unwrap().to;
    assert_eq!(mail(r#""a@x.com b@x.com\nc@x.com""#), ["a@x.com", "b@x.com", "c@x.com"]);
    assert_eq!(mail(r#""ops/dba@x.com""#), ["ops/dba@x.com"]);
    assert_eq!(mail(r#"["Zhang San <a@x.com>", "\"Doe, John\" <j@x.com>"]"#), ["Zhang San <a@x.com>", "\"Doe, John\" <j@x.com>"]);
}

#[test]
fn ding_calls_need_somebody() {
    let call = DingCall::parse(br#"{"mobiles": ["138"], "content": "c"}"#).unwrap();
    assert_eq!((call.mobiles, call.user_ids), (vec!["138".to_owned()], vec![]));
    let call = DingCall::parse(br#"{"userIds": "u1,u2", "content": "c"}"#).unwrap();
    assert_eq!(call.user_ids, ["u1", "u2"]);
    assert_eq!(DingCall::parse(br#"{"content": "c", "mobiles": []}"#), Err(missing(&["mobiles", "userIds"])));
}

#[test]
fn the_words_of_refusals() {
    let message = |body: &str| SlackCall::parse(body.as_bytes()).unwrap_err().message();
    assert_eq!(message(""), "请求体为空，请检查");
    assert_eq!(message(" \n"), "请求体为空，请检查");
    assert_eq!(message("{}"), "参数缺失，请检查");
    assert_eq!(message("{\"channel\": \"ops\",\n \"content\" \"x\"}"), "请求体不是合法的 JSON 对象，请检查（第 2 行，第 12 列）");
    assert_eq!(message("[]"), "请求体不是合法的 JSON 对象，请检查（第 1 行，第 1 列）");
    assert_eq!(message("channel=ops&content=x"), "请求体不是合法的 JSON 对象，请检查（第 1 行，第 1 列）");
    assert_eq!(LegacyError::NotAList("to").message(), "to 应为数组或逗号分隔的字符串，请检查");
}
