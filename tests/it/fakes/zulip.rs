//! Zulip's fake by its documents: <https://zulip.com/api/send-message>, <https://zulip.com/api/rest-error-handling>.

use serde_json::Value;

use crate::support::fakes::server::Platform;
use crate::support::fakes::{Answer, Call, Zulip, crypt};

fn call(method: &str, target: &str, form: &str) -> Call {
    let credential = crypt::b64(b"bot@example.com:key");
    Call::new(method, target)
        .with_body("application/x-www-form-urlencoded", form.as_bytes())
        .with_header("authorization", &format!("Basic {credential}"))
}

fn send(fake: &mut Zulip, form: &str) -> Answer {
    fake.answer(&call("POST", "/api/v1/messages", form))
}

fn code(answer: &Answer) -> (u16, Value) {
    (answer.status, answer.value()["code"].clone())
}

#[test]
fn the_documented_request_passes_and_each_mistake_has_its_own_answer() {
    let mut fake = Zulip::new("bot@example.com", "key");
    let sent = send(&mut fake, "type=stream&to=alerts&topic=Castle&content=I+come+not%2C+friends");
    assert_eq!((sent.status, sent.value()["result"].as_str()), (200, Some("success")));
    assert_eq!(sent.text, "Castle\nI come not, friends");
    assert_eq!(fake.answer(&Call::new("POST", "/api/v1/messages")).status, 401);
    assert_eq!(code(&send(&mut fake, "type=stream&to=nonexistent&topic=x&content=x")), (400, "STREAM_DOES_NOT_EXIST".into()));
    assert_eq!(code(&send(&mut fake, "type=stream&to=alerts&topic=x")), (400, "REQUEST_VARIABLE_MISSING".into()));
    assert_eq!(send(&mut fake, "type=stream&to=alerts&content=+").value()["msg"], "Message must not be empty");
    assert_eq!(send(&mut fake, "type=direct&to=%5B%22eeshan%40zulip.com%22%5D&content=x").value()["msg"], "Invalid email 'eeshan@zulip.com'");
    assert_eq!(send(&mut fake, "type=direct&to=%5B10%5D&content=x").to, ["anna@example.com"]);
}

#[test]
fn what_is_too_long_is_cut_and_only_loud_mentions_ping() {
    let mut fake = Zulip::new("bot@example.com", "key");
    let long = send(&mut fake, &format!("type=stream&to=alerts&topic={}&content={}", "t".repeat(70), "x".repeat(10_001)));
    assert_eq!(long.notes, ["truncated"]);
    let posted = &fake.posted[&long.value()["id"].as_u64().unwrap()];
    assert_eq!((posted.topic.len(), posted.content.len()), (60, 10_000));
    let mentions = "@**Bo** @_**Eve** @*ops* x@**No** `@**code**` @**all**";
    let form = format!("type=stream&to=alerts&topic=t&content={}", crypt::rfc3986(mentions));
    assert_eq!(send(&mut fake, &form).to, ["alerts", "Bo", "all", "ops"]);
    fake.wildcards = false;
    assert_eq!(code(&send(&mut fake, &form)), (400, "STREAM_WILDCARD_MENTION_NOT_ALLOWED".into()));
}

#[test]
fn messages_change_and_go_and_the_pace_is_kept() {
    let mut fake = Zulip::new("bot@example.com", "key");
    let id = send(&mut fake, "type=stream&to=alerts&topic=t&content=one").value()["id"].as_u64().unwrap();
    let target = format!("/api/v1/messages/{id}");
    assert_eq!(fake.answer(&call("PATCH", &target, "content=two")).status, 200);
    assert_eq!(fake.answer(&call("GET", &target, "")).value()["message"]["content"], "two");
    assert_eq!(fake.answer(&call("DELETE", &target, "")).status, 200);
    assert_eq!(fake.answer(&call("GET", &target, "")).status, 400);
    let slow = (0..200).map(|_| fake.answer(&call("GET", "/api/v1/users/me", ""))).find(|answer| answer.status == 429).unwrap();
    assert_eq!(slow.value()["code"], "RATE_LIMIT_HIT");
    assert!(slow.value()["retry-after"].as_f64().unwrap() > 0.0);
}
