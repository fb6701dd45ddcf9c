//! Twilio's REST API and its TwiML.

use serde_json::Value;

use crate::support::fakes::crypt::b64;
use crate::support::fakes::phone::{e164, segments};
use crate::support::fakes::twiml::spoken;
use crate::support::fakes::{Answer, Call, Platform, Twilio, Verdict};

fn fake() -> Twilio {
    Twilio::new("AC1", "token", "+15005550006")
}

fn request(method: &str, resource: &str, form: &str) -> Call {
    let call = Call::new(method, &format!("/2010-04-01/Accounts/AC1/{resource}"));
    let call = call.with_header("Authorization", &format!("Basic {}", b64(b"AC1:token")));
    if method == "POST" { call.with_body("application/x-www-form-urlencoded", form.as_bytes()) } else { call }
}

fn code(answer: &Answer) -> (u16, u64) {
    (answer.status, answer.value()["code"].as_u64().unwrap_or(0))
}

#[test]
fn messages_are_created_counted_and_listed() {
    let mut fake = fake();
    let sent = fake.answer(&request("POST", "Messages.json", "To=%2B8613900000000&From=%2B15005550006&Body=%E5%91%8A%E8%AD%A6+db-1"));
    assert_eq!((sent.status, sent.verdict, sent.text.as_str()), (201, Verdict::Accepted, "告警 db-1"));
    let sid = sent.value()["sid"].as_str().unwrap().to_owned();
    assert!(sid.starts_with("SM") && sid.len() == 34);
    assert_eq!((sent.value()["status"].as_str(), sent.value()["num_segments"].as_str()), (Some("queued"), Some("1")));
    fake.status.insert("+8613900000000".into(), "delivered".into());
    let list = fake.answer(&request("GET", "Messages.json?To=%2B8613900000000", ""));
    assert_eq!((list.verdict, list.value()["messages"][0]["sid"].as_str()), (Verdict::Served, Some(sid.as_str())));
    assert_eq!(list.value()["messages"][0]["status"], "delivered");
    assert_eq!(fake.answer(&request("GET", "Messages.json?To=%2B15550000000", "")).value()["messages"], Value::Array(vec![]));
    assert_eq!(fake.answer(&request("GET", &format!("Messages/{sid}.json"), "")).value()["body"], "告警 db-1");
}

#[test]
fn refusals_have_code_and_status() {
    let mut fake = fake();
    fake.refused.insert("+14155550199".into(), 21610);
    let from = "From=%2B15005550006";
    for (form, expected) in [
        (format!("{from}&Body=x"), 21604),
        (format!("To=123&{from}&Body=x"), 21211),
        ("To=%2B14155550100&Body=x".to_owned(), 21603),
        ("To=%2B14155550100&From=%2B1&Body=x".to_owned(), 21606),
        (format!("To=%2B14155550100&{from}"), 21602),
        (format!("To=%2B14155550199&{from}&Body=x"), 21610),
        (format!("To=%2B14155550100&{from}&Body={}", "x".repeat(1601)), 21617),
    ] {
        assert_eq!(code(&fake.answer(&request("POST", "Messages.json", &form))), (400, expected), "{form:.60}");
    }
    let mut wrong = request("POST", "Messages.json", "");
    wrong.headers[0].1 = format!("Basic {}", b64(b"AC1:wrong"));
    assert_eq!(code(&fake.answer(&wrong)), (401, 20003));
    let mut other = request("POST", "Messages.json", "");
    other.path = "/2010-04-01/Accounts/AC2/Messages.json".into();
    assert_eq!(code(&fake.answer(&other)), (404, 20404));
    fake.next.push_back((429, 20429, "Too Many Requests".into()));
    assert_eq!(code(&fake.answer(&request("POST", "Messages.json", "x=y"))), (429, 20429));
}

#[test]
fn calls_say_what_the_twiml_says() {
    let mut fake = fake();
    let mut call = |twiml: &str| {
        let form = format!("To=%2B14155550100&From=%2B15005550006&Twiml={}", crate::support::fakes::crypt::rfc3986(twiml));
        fake.answer(&request("POST", "Calls.json", &form))
    };
    let good =
        call("<?xml version=\"1.0\"?><Response><Say language=\"zh-CN\">db &lt;1&gt; &amp; co</Say><Pause length=\"1\"/><Say>again</Say></Response>");
    assert_eq!((good.status, good.verdict, good.text.as_str()), (201, Verdict::Accepted, "db <1> & co\nagain"));
    assert!(good.value()["sid"].as_str().unwrap().starts_with("CA"));
    let broken = call("<Response><Say>a & b</Say></Response>");
    assert_eq!((broken.status, broken.verdict), (201, Verdict::Dropped));
    assert!(broken.notes[0].starts_with("twiml:12100"));
    assert_eq!(code(&call(&format!("<Response><Say>{}</Say></Response>", "x".repeat(4000)))), (400, 21658));
    assert_eq!(code(&call("")), (400, 21205));
    assert_eq!(fake.answer(&request("GET", "Calls.json?To=%2B14155550100", "")).value()["calls"].as_array().map(Vec::len), Some(2));
}

#[test]
fn twiml_is_read_strictly() {
    assert_eq!(spoken("<Response><Gather numDigits='1'><Say>press</Say></Gather></Response>"), Ok("press".into()));
    for wrong in [
        "",
        "<Say>x</Say>",
        "<Response>",
        "<Response><Say>x</Response>",
        "<Response><Shout>x</Shout></Response>",
        "<Response><Say loop=2>x</Say></Response>",
        "<Response>loose</Response>",
        "<Response/><Response/>",
        "<Response><Say>&nbsp;</Say></Response>",
        "<Response><Say>\u{7}</Say></Response>",
        "<Response><Say><Say>x</Say></Say></Response>",
    ] {
        assert!(spoken(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn numbers_and_segments() {
    for (given, expected) in [
        ("13900000000", Some("+8613900000000")),
        ("8613900000000", Some("+8613900000000")),
        ("008613900000000", Some("+8613900000000")),
        ("+14155550100", Some("+14155550100")),
        ("12900000000", None),
        ("+86123", None),
        ("139 0000 0000", None),
        ("", None),
    ] {
        assert_eq!(e164(given).as_deref(), expected, "{given}");
    }
    assert_eq!([160, 161, 306, 307].map(|n| segments(&"a".repeat(n))), [1, 2, 2, 3]);
    assert_eq!([70, 71, 134, 135].map(|n| segments(&"警".repeat(n))), [1, 2, 2, 3]);
    assert_eq!((segments(&"€".repeat(80)), segments(&"€".repeat(81))), (1, 2));
}
