//! The DingTalk robot against the vectors and the table of error codes.

use std::time::Duration;

use serde_json::{Value, json};

use super::raw::post;
use crate::support::fakes::dingtalk::{EDGE_BODY, PACE};
use crate::support::fakes::{Answer, Call, DingtalkRobot, Fake, Now, Pace, Platform, Robot, Verdict};

const SECRET: &str = "SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const WHEN: i64 = 1_700_000_000_000;
const SIGNED: &str = "/robot/send?access_token=T&timestamp=1700000000000&sign=bTgY2yDbep%2BwesS7jKiNj%2BsrsHoADES4%2BC4f8LCHFtU%3D";

fn fake() -> DingtalkRobot {
    DingtalkRobot::default().robot("T", Robot::signed(SECRET)).robot("open", Robot::default())
}

fn text() -> Value {
    json!({ "msgtype": "text", "text": { "content": "db-1 down" } })
}

fn open(fake: &mut DingtalkRobot, body: &Value) -> Answer {
    fake.answer(&Call::new("POST", "/robot/send?access_token=open").with_json(body))
}

fn code(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "business errors come with HTTP 200");
    answer.value()["errcode"].as_i64().unwrap()
}

#[test]
fn the_published_signatures_pass_and_only_they() {
    let mut fake = fake();
    let mut send = |target: &str, wall: i64| fake.answer(&Call::new("POST", target).with_json(&text()).at(Now::at_wall(wall)));
    let good = send(SIGNED, WHEN);
    assert_eq!((good.verdict, good.value()), (Verdict::Accepted, json!({ "errcode": 0, "errmsg": "ok" })));
    assert_eq!(code(&send(SIGNED, WHEN + 3_600_000)), 0, "an hour is within the window");
    for (target, wall, what) in [
        (SIGNED.to_owned(), WHEN + 3_600_001, "invalid timestamp"),
        (SIGNED.to_owned(), WHEN - 3_600_001, "invalid timestamp"),
        (SIGNED.replace("bTgY", "cTgY"), WHEN, "sign not match"),
        (SIGNED.replace("%2B", "+"), WHEN, "sign not match"),
        (SIGNED.replace("=1700000000000", "=1700000000001"), WHEN, "sign not match"),
        ("/robot/send?access_token=T".to_owned(), WHEN, "invalid timestamp"),
    ] {
        let refused = send(&target, wall);
        assert_eq!((code(&refused), refused.verdict), (310_000, Verdict::Refused));
        assert!(refused.value()["errmsg"].as_str().unwrap().starts_with(what), "{target}");
    }
    let mut other = DingtalkRobot::default().robot("T", Robot::signed("this is a secret"));
    let target = "/robot/send?access_token=T&timestamp=1577262236757&sign=DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA%3D";
    assert_eq!(code(&other.answer(&Call::new("POST", target).with_json(&text()).at(Now::at_wall(1_577_262_236_757)))), 0);
}

#[test]
fn method_type_token_and_state_are_checked() {
    let mut fake = fake().robot("stopped", Robot { stopped: true, ..Robot::default() }).robot("gone", Robot { dissolved: true, ..Robot::default() });
    let target = "/robot/send?access_token=open";
    assert_eq!(code(&fake.answer(&Call::new("GET", target))), 43002);
    assert_eq!(code(&fake.answer(&Call::new("POST", target).with_body("text/plain", b"{}"))), 43004);
    let missing = fake.answer(&Call::new("POST", "/robot/send").with_json(&text()));
    assert_eq!(missing.value(), json!({ "errcode": 40035, "errmsg": "缺少参数 access_token" }));
    let unknown = fake.answer(&Call::new("POST", "/robot/send?access_token=x").with_json(&text()));
    assert_eq!(unknown.value(), json!({ "errcode": 300_005, "errmsg": "token is not exist" }));
    assert_eq!(code(&fake.answer(&Call::new("POST", "/robot/send?access_token=stopped").with_json(&text()))), 400_102);
    assert_eq!(code(&fake.answer(&Call::new("POST", "/robot/send?access_token=gone").with_json(&text()))), 400_013);
}

#[test]
fn bodies_are_checked_by_type_and_bytes() {
    let mut fake = fake();
    fake.pace.set(Pace::Off);
    for (body, expected) in [
        (json!({ "text": { "content": "x" } }), 40035),
        (json!({ "msgtype": "card", "card": {} }), 400_105),
        (json!({ "msgtype": "text", "text": { "content": "" } }), 40035),
        (json!({ "msgtype": "text", "text": { "content": 5 } }), 40035),
        (json!({ "msgtype": "markdown", "markdown": { "text": "x" } }), 300_001),
        (json!({ "msgtype": "markdown", "markdown": { "title": "x" } }), 40035),
        (json!({ "msgtype": "markdown", "markdown": { "title": "x", "text": "y" }, "at": { "isAtAll": "true" } }), 40035),
        (json!({ "msgtype": "markdown", "markdown": { "title": "x", "text": "y" }, "at": { "atMobiles": [13800000000_u64] } }), 40035),
        (json!({ "msgtype": "actionCard", "actionCard": { "title": "x", "text": "y" } }), 40035),
        (json!({ "msgtype": "actionCard", "actionCard": { "title": "x", "text": "y", "singleTitle": "z", "singleURL": "https://e" } }), 0),
        (json!({ "msgtype": "actionCard", "actionCard": { "title": "x", "text": "y", "btns": [{ "title": "A", "actionURL": "u" }] } }), 0),
        (json!({ "msgtype": "feedCard", "feedCard": { "links": [{ "title": "A", "messageURL": "u", "picURL": "p" }] } }), 0),
        (json!({ "msgtype": "link", "link": { "title": "A", "text": "b", "messageUrl": "u" } }), 0),
    ] {
        assert_eq!(code(&open(&mut fake, &body)), expected, "{body}");
    }
    // The limit is in bytes of the whole body: 6000 CJK characters fit, 6700 do not.
    let sized = |n: usize| json!({ "msgtype": "text", "text": { "content": "警".repeat(n) } });
    let frame = sized(0).to_string().len();
    let most = (20_000 - frame) / 3;
    assert_eq!(code(&open(&mut fake, &sized(most))), 0);
    let over = open(&mut fake, &sized(most + 1));
    assert_eq!(over.value(), json!({ "errcode": 460_101, "errmsg": "message too long, exceed 20000 bytes" }));
}

#[test]
fn keywords_and_networks_guard_the_robot() {
    let mut fake = DingtalkRobot::default()
        .robot("kw", Robot { keywords: vec!["告警".into(), "alert".into()], ..Robot::default() })
        .robot("ip", Robot { networks: vec![("10.0.0.0".parse().unwrap(), 8)], ..Robot::default() });
    let refused = fake.answer(&Call::new("POST", "/robot/send?access_token=kw").with_json(&text()));
    assert!(code(&refused) == 310_000 && refused.value()["errmsg"].as_str().unwrap().starts_with("keywords not in content"));
    let body = json!({ "msgtype": "markdown", "markdown": { "title": "告警", "text": "x" } });
    assert_eq!(code(&fake.answer(&Call::new("POST", "/robot/send?access_token=kw").with_json(&body))), 0);
    let mut call = Call::new("POST", "/robot/send?access_token=ip").with_json(&text());
    let refused = fake.answer(&call);
    assert!(refused.value()["errmsg"].as_str().unwrap().starts_with("ip 127.0.0.1 not in whitelist"));
    call.peer = "10.9.8.7".parse().unwrap();
    assert_eq!(code(&fake.answer(&call)), 0);
}

#[test]
fn only_who_stands_in_the_text_is_pinged() {
    let mut fake = fake();
    let body = json!({
        "msgtype": "markdown", "markdown": { "title": "t", "text": "x @13800000000 and @u1" },
        "at": { "atMobiles": ["13800000000", "1380000000", "13900000000"], "atUserIds": ["u1"], "isAtAll": false },
    });
    let answer = open(&mut fake, &body);
    assert_eq!(answer.to, ["open", "13800000000", "u1"]);
    assert_eq!(answer.notes, ["not_pinged:1380000000", "not_pinged:13900000000"]);
    let all = json!({ "msgtype": "text", "text": { "content": "x" }, "at": { "isAtAll": true } });
    assert_eq!(open(&mut fake, &all).to, ["open", "@all"]);
    let link =
        json!({ "msgtype": "link", "link": { "title": "A", "text": "@u1", "messageUrl": "u" }, "at": { "atUserIds": ["u1"], "isAtAll": true } });
    assert_eq!(open(&mut fake, &link).notes, ["not_pinged:@all", "not_pinged:u1"]);
}

#[test]
fn the_twenty_first_in_a_minute_costs_ten_minutes() {
    let mut fake = fake();
    let mut at = |ms: i64| fake.answer(&Call::new("POST", "/robot/send?access_token=open").with_json(&text()).at(Now::at_wall(ms)));
    for i in 0..20 {
        assert_eq!(code(&at(i * 2900)), 0);
    }
    let breach = at(59_000);
    assert_eq!((code(&breach), breach.verdict), (130_101, Verdict::Refused));
    assert_eq!(breach.value()["errmsg"], "send too fast, exceed 20 times per minute");
    assert_eq!((breach.value()["status"].clone(), breach.value()["wait"].clone()), (json!(1111), json!(5)));
    assert_eq!(code(&at(59_000 + 599_000)), 130_101, "still punished");
    assert_eq!(code(&at(59_000 + 600_001)), 0);
}

#[test]
fn a_repeated_uuid_is_answered_but_not_posted() {
    let mut fake = fake();
    let body = json!({ "msgtype": "text", "text": { "content": "x" }, "msgUuid": "7c1f-0001" });
    assert_eq!(open(&mut fake, &body).verdict, Verdict::Accepted);
    let again = open(&mut fake, &body);
    assert_eq!((again.verdict, code(&again)), (Verdict::Duplicate, 0));
    let mut other = body;
    other["msgUuid"] = json!("7c1f-0002");
    assert_eq!(open(&mut fake, &other).verdict, Verdict::Accepted);
}

#[test]
fn quota_scripted_codes_and_the_edge_answer_in_their_own_words() {
    let mut fake = fake();
    fake.month_left = Some(1);
    fake.next.push_back((-1, "系统繁忙".into()));
    assert_eq!(code(&open(&mut fake, &text())), -1);
    assert_eq!(code(&open(&mut fake, &text())), 0);
    assert_eq!(code(&open(&mut fake, &text())), 90030);
    fake.edge.set(Pace::per(1, Duration::from_secs(20)));
    open(&mut fake, &text());
    let edge = open(&mut fake, &text());
    assert_eq!(edge.body, EDGE_BODY.as_bytes());
    assert!(edge.value().get("errcode").is_none());
}

#[tokio::test]
async fn over_the_wire_with_a_scaled_window_and_a_moved_clock() {
    let fake = Fake::start(DingtalkRobot::default().robot("T", Robot::signed(SECRET)).robot("open", Robot::default())).await;
    // The machine's clock is nowhere near the vector's: the skew makes the platform believe it is.
    fake.clock.set_skew_ms(WHEN - fake.clock.now().wall_ms);
    let body = text().to_string();
    assert_eq!(post(fake.addr(), SIGNED, &body).await.unwrap().body, r#"{"errcode":0,"errmsg":"ok"}"#);
    fake.with(|p| p.pace.set(PACE.faster(10.0)));
    let target = "/robot/send?access_token=open";
    for _ in 0..21 {
        post(fake.addr(), target, &body).await.unwrap();
    }
    assert_eq!((fake.rec.count(Verdict::Accepted), fake.rec.count_code("130101")), (21, 1));
    fake.clock.advance(Duration::from_secs(61));
    assert!(post(fake.addr(), target, &body).await.unwrap().body.contains("\"errcode\":0"), "a tenth of ten minutes is over");
}
