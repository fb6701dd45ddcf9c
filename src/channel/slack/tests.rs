//! Slack: what is sent, what answers mean, how a page is measured, and what never shows.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::channel::kit::stand::{Answer, Literals, Stand, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{ErrorKind, Size, Status};

const BOT: &str = "{ token: xoxb-S3CRET-1, channel: '#ops', api_base: BASE }";
const WEBHOOK: &str = "{ webhook: 'https://hooks.slack.com/services/T0/B0/S3CRETKEY', api_base: BASE }";

fn room() -> [Recipient; 1] {
    [Recipient::new("#ops")]
}

#[tokio::test]
async fn a_bot_posts_a_coloured_card() {
    let stand = Stand::start([Answer::from(r#"{"ok":true,"channel":"C1","ts":"1700000000.000100","message":{}}"#)]).await;
    let built = build::<Config>(BOT, &stand.base).unwrap();
    let mut page = rich(&[("title", "🔥 Disk full (2)"), ("text", "*db-1*: 94 &gt; 90\n_db-2_: 95")]);
    (page.number, page.total) = (2, 3);
    let results = built.channel.send(&page, &room(), &context()).await;
    assert_eq!(kinds(&results), [Ok(Some("1700000000.000100".into()))]);
    let seen = &stand.seen()[0];
    assert_eq!(seen.uri.path(), "/api/chat.postMessage");
    assert_eq!(seen.header("authorization"), "Bearer xoxb-S3CRET-1");
    insta::assert_json_snapshot!("card", seen.json());
}

#[tokio::test]
async fn a_resolved_message_is_green_and_without_buttons_when_it_has_no_links() {
    let stand = Stand::start([Answer::from("ok")]).await;
    let built = build::<Config>(WEBHOOK, &stand.base).unwrap();
    let mut page = page(&[("text", "gone")]);
    page.facts.status = Status::Resolved;
    page.facts.title = "[RESOLVED] Disk".into();
    assert_eq!(kinds(&built.channel.send(&page, &[Recipient::new("@webhook")], &context()).await), [Ok(None)]);
    assert_eq!(stand.seen()[0].uri.path(), "/services/T0/B0/S3CRETKEY");
    insta::assert_json_snapshot!("resolved_by_webhook", stand.seen()[0].json());
}

#[tokio::test]
async fn plain_text_is_escaped_but_a_direct_call_speaks_mrkdwn() {
    let stand = Stand::start([Answer::from(r#"{"ok":true,"ts":"1.1"}"#), Answer::from(r#"{"ok":true,"ts":"1.2"}"#)]).await;
    let built = build::<Config>(BOT, &stand.base).unwrap();
    let mut page = rich(&[("text", "a < b & *c* <!channel>")]);
    page.plain = true;
    built.channel.send(&page, &room(), &context()).await;
    page.facts.mentions = crate::model::Mentions::default();
    built.channel.send(&page, &room(), &SendContext { direct: true, ..context() }).await;
    insta::assert_json_snapshot!("plain", stand.seen()[0].json());
    insta::assert_json_snapshot!("direct", stand.seen()[1].json());
}

#[tokio::test]
async fn answers_of_the_web_api_mean_what_slack_says() {
    let wait = |seconds| RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
    let no = |error: &str| Answer::new(200, format!(r#"{{"ok":false,"error":"{error}"}}"#));
    let rows: Vec<(Answer, ErrorKind, &str)> = vec![
        (no("ratelimited").header("retry-after", "30"), wait(30), "ratelimited"),
        (no("rate_limited"), RateLimited { retry_after: None }, "rate_limited"),
        (Answer::new(429, r#"{"ok":false,"error":"ratelimited"}"#).header("retry-after", "7"), wait(7), "ratelimited"),
        (Answer::new(429, "").header("retry-after", "7"), wait(7), "HTTP 429"),
        (no("internal_error"), Transient, "internal_error"),
        (no("request_timeout"), Transient, "request_timeout"),
        (no("fatal_error"), Ambiguous, "fatal_error"),
        (no("invalid_auth"), Misconfigured, "invalid_auth"),
        (no("not_in_channel"), Misconfigured, "not_in_channel"),
        (no("channel_not_found"), Misconfigured, "channel_not_found"),
        (no("restricted_action_thread_locked"), Misconfigured, "restricted_action_thread_locked"),
        (no("msg_blocks_too_long"), Rejected, "msg_blocks_too_long"),
        (no("invalid_blocks"), Rejected, "invalid_blocks"),
        (no("a_code_of_tomorrow"), Rejected, "a_code_of_tomorrow"),
        (Answer::new(500, r#"{"ok":false,"error":"a_code_of_tomorrow"}"#), Transient, "a_code_of_tomorrow"),
        (Answer::new(503, r#"{"ok":false,"error":"service_unavailable"}"#), Transient, "service_unavailable"),
        (Answer::from("<html>login</html>"), Transient, "HTTP 200"),
        (Answer::from("{}"), Transient, "no ok"),
        (Answer::from(r#"{"ok":"#), Ambiguous, "HTTP 200"),
        (Answer::new(502, "<html>bad gateway</html>"), Transient, "HTTP 502"),
        (Answer::new(502, r#"{"ok":true}"#), Transient, "HTTP 502"),
        (Answer::new(404, "not found"), Misconfigured, "HTTP 404"),
    ];
    let stand = Stand::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(BOT, &stand.base).unwrap();
    for (answer, kind, code) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &room(), &context()).await;
        assert_eq!(kinds(&results), [Err((kind, Some(code.to_owned())))], "{answer:?}");
    }
}

#[tokio::test]
async fn a_missing_scope_and_bad_blocks_are_explained() {
    let scope = r#"{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"identify"}"#;
    let blocks = r#"{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] must be less than 151 characters"]}}"#;
    let stand = Stand::start([Answer::from(scope), Answer::from(blocks)]).await;
    let built = build::<Config>(BOT, &stand.base).unwrap();
    for expected in ["(needed: chat:write)", "must be less than 151 characters"] {
        let error = built.channel.send(&page(&[("text", "x")]), &room(), &context()).await.remove(0).1.unwrap_err();
        assert!(error.summary.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn answers_of_a_webhook_mean_what_slack_says() {
    let rows: Vec<(Answer, ErrorKind, &str)> = vec![
        (Answer::new(400, "invalid_payload"), Rejected, "invalid_payload"),
        (Answer::new(400, "invalid_blocks"), Rejected, "invalid_blocks"),
        (Answer::new(400, "some_new_word"), Rejected, "some_new_word"),
        (Answer::new(403, "action_prohibited"), Misconfigured, "action_prohibited"),
        (Answer::new(403, "invalid_token"), Misconfigured, "invalid_token"),
        (Answer::new(404, "channel_not_found"), Misconfigured, "channel_not_found"),
        (Answer::new(404, "no_service"), Misconfigured, "no_service"),
        (Answer::new(410, "channel_is_archived"), Misconfigured, "channel_is_archived"),
        (Answer::new(500, "rollup_error"), Transient, "rollup_error"),
        (Answer::new(429, "rate_limited").header("retry-after", "3"), RateLimited { retry_after: Some(Duration::from_secs(3)) }, "rate_limited"),
        (Answer::from("no_text"), Rejected, "no_text"),
        (Answer::from("<html>ok</html>"), Transient, "no ok"),
        (Answer::from(""), Transient, "no ok"),
        (Answer::from("fine"), Transient, "no ok"),
        (Answer::new(502, "<html>"), Transient, "HTTP 502"),
    ];
    let stand = Stand::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(WEBHOOK, &stand.base).unwrap();
    for (answer, kind, code) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &[Recipient::new("@webhook")], &context()).await;
        assert_eq!(kinds(&results), [Err((kind, Some(code.to_owned())))], "{answer:?}");
    }
}

#[tokio::test]
async fn a_probe_asks_for_the_tokens_owner() {
    let stand = Stand::start([Answer::from(r#"{"ok":true,"user":"bot"}"#), Answer::from(r#"{"ok":false,"error":"invalid_auth"}"#)]).await;
    let built = build::<Config>(BOT, &stand.base).unwrap();
    assert!(matches!(built.channel.probe().await, Probe::Ok));
    assert!(matches!(built.channel.probe().await, Probe::Failed(error) if error.kind == Misconfigured));
    assert_eq!(stand.seen()[0].uri.path(), "/api/auth.test");
    let webhook = build::<Config>(WEBHOOK, &stand.base).unwrap();
    assert!(matches!(webhook.channel.probe().await, Probe::Unsupported));
}

#[tokio::test]
async fn no_secret_shows() {
    let echo = r#"{"ok":false,"error":"invalid_auth","seen":"xoxb-S3CRET-1"}"#;
    let told = r#"no: https:\/\/hooks.slack.com\/services\/T0\/B0\/S3CRETKEY /services/T0/B0/S3CRETKEY"#;
    let stand = Stand::start([Answer::from(echo), Answer::new(403, told)]).await;
    let mut shown = String::new();
    for yaml in [BOT, WEBHOOK] {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let built = build::<Config>(yaml, &stand.base).unwrap();
        let results = built.channel.send(&page(&[("text", "x")]), &room(), &context()).await;
        shown += &format!("{config:?} {:?} {results:?}", built.outlet);
        let closed = build::<Config>(yaml, "http://127.0.0.1:1").unwrap();
        shown += &format!("{:?}", closed.channel.send(&page(&[("text", "x")]), &room(), &context()).await);
    }
    assert!(!shown.contains("S3CRET"), "{shown}");
    assert!(shown.contains("<secret>"));
}

#[test]
fn mistakes_are_found_without_secrets() {
    let paths = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap().check().into_iter().map(|problem| problem.path).collect::<Vec<_>>();
    assert_eq!(paths("{}"), ["slack"]);
    assert_eq!(paths("{ token: { env: T } }"), ["slack.channel"]);
    assert_eq!(paths("{ token: { env: T }, channel: ' ', webhook: { env: W } }"), ["slack.webhook", "slack.channel"]);
    assert_eq!(paths("{ webhook: { env: W }, channel: '#ops' }"), ["slack.channel"]);
    assert_eq!(paths("{ token: [x], channel: C1, api_base: slack.com }"), ["slack.token", "slack.api_base"]);
    assert_eq!(paths("{ token: { env: T }, channel: C1 }"), [""; 0]);
    assert!(serde_yaml::from_str::<Config>("{ tokn: x }").is_err());
}

#[test]
fn what_build_cannot_use_is_a_problem_that_quotes_nothing() {
    let clients = kit::HttpClients::default();
    let cx = BuildContext { channel: "c", timeout: Duration::ZERO, proxy: None, secrets: &Literals, http: &clients, presets: &Default::default() };
    assert!(serde_yaml::from_str::<Config>("{ webhook: placeholder, api_base: 'http://h' }").unwrap().build(&cx).is_ok());
    for (yaml, path) in [
        ("{ webhook: T0/B0/S3CRET }", "slack.webhook"),
        ("{ webhook: 'ftp://h/S3CRET' }", "slack.webhook"),
        ("{ token: { env: T }, channel: C1 }", "slack.token"),
        ("{}", "slack"),
    ] {
        let problems = serde_yaml::from_str::<Config>(yaml).unwrap().build(&cx).err().unwrap();
        assert_eq!(problems[0].path, path);
        assert!(!format!("{problems:?}").contains("S3CRET"), "{problems:?}");
    }
}

#[test]
fn outlets_tell_channels_and_tokens_apart() {
    let outlet = |yaml: &str| build::<Config>(yaml, "http://h").unwrap().outlet;
    let a = outlet("{ token: t1234, channel: '#a' }");
    assert_eq!(a, outlet("{ token: t1234, channel: ' #a' }"));
    assert_ne!(a, outlet("{ token: t1234, channel: '#b' }"));
    assert_ne!(a, outlet("{ token: t5678, channel: '#a' }"));
}

#[test]
fn a_page_is_measured_by_what_breaks_first() {
    let measure = PLATFORM.measure;
    assert_eq!(measure(&page(&[("title", "磁盘"), ("text", "a&amp;b")])), Size { used: 2, max: 50, unit: "blocks" });
    assert_eq!(measure(&page(&[("title", "磁盘"), ("text", &"a&amp;b".repeat(1000))])), Size::characters(7002, 13_000));
    assert!(!measure(&page(&[("text", &"字".repeat(13_001))])).fits());
    let lines = format!("{}\n", "x".repeat(2000)).repeat(51);
    assert_eq!(measure(&page(&[("text", &lines)])).unit, "characters");
    let mut many = page(&[("text", "")]);
    many.plain = true;
    many.fields.insert("text".into(), "<".repeat(4000));
    assert_eq!(measure(&many), Size::characters(16_000, 13_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// The real body of any page obeys every limit of its parts, and its text is what was measured.
    #[test]
    fn bodies_obey_slacks_limits(title in "\\PC{0,300}", text in "([a-z<>*\n ]|&amp;|🔥|磁盘){0,800}", pair in "\\PC{0,2500}", label in "\\PC{0,100}") {
        let mut page = rich(&[("title", &title), ("text", &text)]);
        page.facts.pairs = vec![(pair.clone(), pair); 12];
        page.facts.links = vec![crate::model::Link { kind: crate::model::LinkKind::Details, label, url: "https://x/".into() }; 30];
        let size = (PLATFORM.measure)(&page);
        let json = serde_json::to_value(body::message(&page, false)).unwrap();
        let blocks = json["attachments"][0]["blocks"].as_array().unwrap();
        let length = |value: &serde_json::Value| value["text"].as_str().unwrap().encode_utf16().count();
        let mut total = 0;
        for block in blocks {
            match block["type"].as_str().unwrap() {
                "header" => { prop_assert!(length(&block["text"]) <= 150); total += length(&block["text"]); }
                "section" => {
                    if block["text"].is_object() { prop_assert!((1..=3000).contains(&length(&block["text"]))); total += length(&block["text"]); }
                    let fields = block["fields"].as_array().cloned().unwrap_or_default();
                    prop_assert!(fields.len() <= 10);
                    for field in &fields { prop_assert!(length(field) <= 2000); total += length(field); }
                }
                "actions" => {
                    let buttons = block["elements"].as_array().unwrap();
                    prop_assert!(buttons.len() <= 25);
                    for button in buttons { prop_assert!((1..=75).contains(&length(&button["text"]))); total += length(&button["text"]); }
                }
                other => prop_assert!(false, "{}", other),
            }
        }
        let expected = Size::characters(total, 13_000)
            .tighter(Size { used: blocks.len(), max: 50, unit: "blocks" })
            .tighter(Size::characters(length(&json), 40_000));
        prop_assert_eq!(size, expected);
    }
}
