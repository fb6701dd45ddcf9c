//! Slack's Web API and webhooks against the documented limits and errors.

use serde_json::{Value, json};

use super::raw::post;
use crate::support::fakes::slack_blocks::pings;
use crate::support::fakes::{Answer, Call, Fake, Now, Platform, Room, Slack, Verdict};

const HOOK: &str = "/services/T0/B0/XXXX";

fn workspace() -> Slack {
    Slack::new("xoxb-1").channel("C2", "#old", Room::Archived).channel("C3", "#far", Room::NotJoined).webhook(HOOK, "C0123").unpaced()
}

fn api(fake: &mut Slack, method: &str, body: &Value) -> Answer {
    fake.answer(&Call::new("POST", &format!("/api/{method}")).with_json(body).with_header("Authorization", "Bearer xoxb-1"))
}

fn error(answer: &Answer) -> String {
    assert_eq!(answer.status, 200);
    answer.value()["error"].as_str().unwrap_or("").to_owned()
}

fn blocks(list: Value) -> Value {
    json!({ "channel": "C0123", "text": "t", "blocks": list })
}

fn section(n: usize) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": "警".repeat(n) } })
}

#[test]
fn a_message_is_posted_updated_and_deleted_by_its_ts() {
    let mut fake = workspace();
    let posted = api(&mut fake, "chat.postMessage", &json!({ "channel": "#ops", "text": "<!here> db-1 <@U7> &lt;!channel&gt;" }));
    assert_eq!((posted.verdict, posted.to.as_slice()), (Verdict::Accepted, &["C0123".to_owned(), "<!here>".into(), "<@U7>".into()][..]));
    let reply = posted.value();
    assert_eq!((&reply["ok"], &reply["channel"]), (&json!(true), &json!("C0123")));
    let ts = reply["ts"].clone();
    assert_eq!(error(&api(&mut fake, "chat.update", &json!({ "channel": "#ops", "ts": ts, "text": "x" }))), "channel_not_found", "ids only");
    assert_eq!(error(&api(&mut fake, "chat.update", &json!({ "channel": "C0123", "ts": "1.0", "text": "x" }))), "message_not_found");
    assert_eq!(api(&mut fake, "chat.update", &json!({ "channel": "C0123", "ts": ts, "text": "fixed" })).verdict, Verdict::Accepted);
    assert_eq!(fake.transcript.texts(), ["fixed"]);
    assert_eq!(error(&api(&mut fake, "chat.delete", &json!({ "channel": "C0123", "ts": ts }))), "");
    assert!(fake.transcript.texts().is_empty());
}

#[test]
fn tokens_and_channels_are_judged_with_http_200() {
    let mut fake = workspace();
    let body = json!({ "channel": "C0123", "text": "x" });
    assert_eq!(error(&fake.answer(&Call::new("POST", "/api/chat.postMessage").with_json(&body))), "not_authed");
    assert_eq!(
        error(&fake.answer(&Call::new("POST", "/api/chat.postMessage").with_json(&body).with_header("Authorization", "Bearer no"))),
        "invalid_auth"
    );
    for (channel, expected) in [("C9", "channel_not_found"), ("C2", "is_archived"), ("#far", "not_in_channel"), ("ops", "")] {
        assert_eq!(error(&api(&mut fake, "chat.postMessage", &json!({ "channel": channel, "text": "x" }))), expected);
    }
    assert_eq!(api(&mut fake, "auth.test", &json!({})).value()["ok"], true);
    fake.tokens.insert("xoxb-1".into(), Some("token_revoked"));
    assert_eq!(error(&api(&mut fake, "auth.test", &json!({}))), "token_revoked");
    fake.tokens.insert("xoxb-1".into(), None);
    fake.next.push_back("internal_error");
    assert_eq!(error(&api(&mut fake, "chat.postMessage", &body)), "internal_error");
}

#[test]
fn block_limits_are_in_characters() {
    let mut fake = workspace();
    let header = |n: usize| json!({ "type": "header", "text": { "type": "plain_text", "text": "h".repeat(n) } });
    let button = |text: usize, url: usize| {
        let url = format!("https://e/{}", "u".repeat(url - 10));
        json!({ "type": "actions", "elements": [{ "type": "button", "text": { "type": "plain_text", "text": "b".repeat(text) }, "url": url }] })
    };
    let fields = |n: usize, len: usize| json!({ "type": "section", "fields": vec![json!({ "type": "mrkdwn", "text": "f".repeat(len) }); n] });
    for (block, good) in [
        (header(150), true),
        (header(151), false),
        (header(0), false),
        (json!({ "type": "header", "text": { "type": "mrkdwn", "text": "x" } }), false),
        (section(3000), true),
        (section(3001), false),
        (json!({ "type": "section" }), false),
        (fields(6, 2000), true),
        (fields(1, 2001), false),
        (fields(11, 1), false),
        (fields(0, 1), false),
        (button(75, 3000), true),
        (button(76, 30), false),
        (button(1, 3001), false),
        (json!({ "type": "divider" }), true),
        (json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": "x" }] }), true),
        (json!({ "type": "context", "elements": vec![json!({ "type": "mrkdwn", "text": "x" }); 11] }), false),
        (json!({ "type": "banner" }), false),
        (json!({ "text": "x" }), false),
    ] {
        let answer = api(&mut fake, "chat.postMessage", &blocks(json!([block])));
        assert_eq!(error(&answer), if good { "" } else { "invalid_blocks" }, "{block:.80}");
    }
    let refused = api(&mut fake, "chat.postMessage", &blocks(json!([section(3001)])));
    assert_eq!(refused.value()["response_metadata"]["messages"][0], "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]");
    let many = |n: usize| blocks(Value::Array(vec![json!({ "type": "divider" }); n]));
    assert_eq!(error(&api(&mut fake, "chat.postMessage", &many(50))), "");
    assert_eq!(error(&api(&mut fake, "chat.postMessage", &many(51))), "invalid_blocks");
    assert_eq!(error(&api(&mut fake, "chat.postMessage", &blocks(Value::Array(vec![section(2700); 5])))), "msg_blocks_too_long");
    assert_eq!(error(&api(&mut fake, "chat.postMessage", &blocks(json!("x")))), "invalid_blocks_format");
    let nested = json!({ "channel": "C0123", "attachments": [{ "color": "#D00000", "blocks": [header(151)] }] });
    assert_eq!(error(&api(&mut fake, "chat.postMessage", &nested)), "invalid_blocks");
}

#[test]
fn texts_and_attachments() {
    let mut fake = workspace();
    let mut send = |body: Value| api(&mut fake, "chat.postMessage", &body);
    assert_eq!(error(&send(json!({ "channel": "C0123" }))), "no_text");
    assert_eq!(error(&send(json!({ "channel": "C0123", "text": "  " }))), "no_text");
    assert_eq!(error(&send(json!({ "channel": "C0123", "text": 5 }))), "invalid_arguments");
    assert_eq!(error(&send(json!({ "channel": "C0123", "text": "a", "markdown_text": "b" }))), "markdown_text_conflict");
    assert_eq!(error(&send(json!({ "channel": "C0123", "attachments": vec![json!({ "text": "x" }); 101] }))), "too_many_attachments");
    let long = send(json!({ "channel": "C0123", "text": "x".repeat(40_001) }));
    assert_eq!((error(&long).as_str(), long.notes.as_slice()), ("", &["truncated:1".to_owned()][..]));
    let card = json!({ "channel": "C0123", "text": "db-1 down", "attachments": [{ "color": "#D00000", "blocks": [section(2)], "footer": "f" }] });
    assert_eq!(send(card).text, "db-1 down\n警警\nf");
    assert_eq!(pings("<https://x|y> <!date^1^{t}|z> <!channel> <!subteam^S1|@ops> <@U1|ann>"), ["<!channel>", "<!subteam^S1|@ops>", "<@U1|ann>"]);
}

#[test]
fn a_missing_charset_is_only_a_warning() {
    let mut fake = workspace();
    let body = br#"{"channel":"C0123","text":"x"}"#;
    let call = Call::new("POST", "/api/chat.postMessage").with_body("application/json", body).with_header("Authorization", "Bearer xoxb-1");
    let answer = fake.answer(&call);
    assert_eq!((answer.verdict, answer.value()["warning"].as_str()), (Verdict::Accepted, Some("missing_charset")));
    let form = b"token=xoxb-1&channel=C0123&text=db-1+down";
    assert_eq!(fake.answer(&Call::new("POST", "/api/chat.postMessage").with_body("application/x-www-form-urlencoded", form)).text, "db-1 down");
}

#[test]
fn webhooks_answer_in_plain_text_with_a_status() {
    let mut fake = workspace().webhook("/services/T0/B0/OLD", "C2");
    let mut send = |path: &str, body: &str| {
        let a = fake.answer(&Call::new("POST", path).with_body("application/json", body.as_bytes()));
        (a.status, String::from_utf8(a.body).unwrap())
    };
    assert_eq!(send(HOOK, r#"{"text":"x"}"#), (200, "ok".into()));
    assert_eq!(send(HOOK, "{"), (400, "invalid_payload".into()));
    assert_eq!(send(HOOK, "{}"), (400, "no_text".into()));
    assert_eq!(send(HOOK, r#"{"blocks":[{"type":"header"}]}"#), (400, "invalid_blocks".into()));
    assert_eq!(send("/services/T0/B0/NONE", r#"{"text":"x"}"#), (404, "no_service".into()));
    assert_eq!(send("/services/T0/B0/OLD", r#"{"text":"x"}"#), (410, "channel_is_archived".into()));
}

#[test]
fn more_than_a_burst_is_429_with_retry_after() {
    let mut fake = Slack::new("xoxb-1").webhook(HOOK, "C0123");
    let call = Call::new("POST", "/api/chat.postMessage")
        .with_json(&json!({ "channel": "C0123", "text": "x" }))
        .with_header("Authorization", "Bearer xoxb-1");
    let mut at = |ms: u64| fake.answer(&call.clone().at(Now { mono_ms: ms, wall_ms: 0 }));
    assert!((0..25).all(|_| at(0).status == 200));
    let refused = at(0);
    assert_eq!((refused.status, refused.value()), (429, json!({ "ok": false, "error": "ratelimited" })));
    assert_eq!(refused.headers, [("retry-after".to_owned(), "1".to_owned())]);
    assert_eq!((at(1000).status, at(1001).status), (200, 429));
    let hook = Call::new("POST", HOOK).with_json(&json!({ "text": "x" }));
    assert!((0..25).all(|_| fake.answer(&hook).status == 200), "the webhook has its own bucket");
    assert_eq!(fake.answer(&hook).body, b"rate_limited");
}

#[tokio::test]
async fn over_the_wire() {
    let fake = Fake::start(workspace()).await;
    assert_eq!(post(fake.addr(), HOOK, r#"{"text":"db-1 down"}"#).await.unwrap().body, "ok");
    assert_eq!(fake.rec.last().unwrap().text, "db-1 down");
}
