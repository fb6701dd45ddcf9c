//! Slack: what is sent, what answers mean, how a page is measured, and what never shows.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::channel::kit::test_server::{Answer, Literals, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{ErrorKind, Link, LinkKind, MessageStatus, Size};

const BOT: &str = "{ token: xoxb-S3CRET-1, channel: '#ops', api_base: BASE }";
const WEBHOOK: &str = "{ webhook: 'https://hooks.slack.com/services/T0/B0/S3CRETKEY', api_base: BASE }";

fn room() -> [Recipient; 1] {
    [Recipient::new("#ops")]
}

#[tokio::test]
async fn a_bot_posts_a_coloured_card() {
    let server = ScriptedServer::start([Answer::from(r#"{"ok":true,"channel":"C1","ts":"1700000000.000100","message":{}}"#)]).await;
    let built = build::<Config>(BOT, &server.base).unwrap();
    let mut page = rich(&[("title", "🔥 Disk full (2)"), ("text", "*db-1*: 94 &gt; 90\n_db-2_: 95")]);
    (page.number, page.total) = (2, 3);
    let results = built.channel.send(&page, &room(), &context()).await;
    assert_eq!(kinds(&results), [Ok(Some("channel C1, ts 1700000000.000100".into()))]);
    let seen = &server.seen()[0];
    assert_eq!(seen.uri.path(), "/api/chat.postMessage");
    assert_eq!(seen.header("authorization"), "Bearer xoxb-S3CRET-1");
    insta::assert_json_snapshot!("card", seen.json());
}

#[tokio::test]
async fn a_resolved_message_is_green_and_without_buttons_when_it_has_no_links() {
    let server = ScriptedServer::start([Answer::from("ok")]).await;
    let built = build::<Config>(WEBHOOK, &server.base).unwrap();
    let mut page = page(&[("text", "gone")]);
    page.facts.status = MessageStatus::Resolved;
    page.facts.title = "[RESOLVED] Disk".into();
    assert_eq!(kinds(&built.channel.send(&page, &[Recipient::new("@webhook")], &context()).await), [Ok(None)]);
    assert_eq!(server.seen()[0].uri.path(), "/services/T0/B0/S3CRETKEY");
    insta::assert_json_snapshot!("resolved_by_webhook", server.seen()[0].json());
}

#[tokio::test]
async fn plain_text_is_escaped_but_a_direct_call_speaks_mrkdwn() {
    let server = ScriptedServer::start([Answer::from(r#"{"ok":true,"ts":"1.1"}"#), Answer::from(r#"{"ok":true,"ts":"1.2"}"#)]).await;
    let built = build::<Config>(BOT, &server.base).unwrap();
    let mut page = rich(&[("text", "a < b & *c* <!channel>")]);
    page.plain = true;
    built.channel.send(&page, &room(), &context()).await;
    page.facts.mentions = crate::model::Mentions::default();
    built.channel.send(&page, &room(), &SendContext { direct: true, ..context() }).await;
    let mut loud = page.clone();
    loud.fields.insert("text".into(), "@all ops@example.com".into());
    let sent = serde_json::to_string(&body::message(&loud, false)).unwrap();
    assert!(!sent.contains("@all") && sent.contains("ops@example.com"), "{sent}");
    insta::assert_json_snapshot!("plain", server.seen()[0].json());
    insta::assert_json_snapshot!("direct", server.seen()[1].json());
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
        (no("is_inactive"), Misconfigured, "is_inactive"),
        (no("user_is_restricted"), Misconfigured, "user_is_restricted"),
        (no("team_not_found"), Misconfigured, "team_not_found"),
        (no("method_deprecated"), Misconfigured, "method_deprecated"),
        (no("external_channel_migrating"), Transient, "external_channel_migrating"),
        (no("slack_connect_file_link_sharing_blocked"), Rejected, "slack_connect_file_link_sharing_blocked"),
        (no("a_code_of_tomorrow"), Rejected, "a_code_of_tomorrow"),
        // The status outweighs the body: trouble is trouble, and too fast is too fast.
        (Answer::new(503, r#"{"ok":false,"error":"invalid_auth"}"#), Transient, "invalid_auth"),
        (Answer::new(500, r#"{"ok":false,"error":"msg_too_long"}"#), Transient, "msg_too_long"),
        (Answer::new(429, r#"{"ok":false,"error":"channel_not_found"}"#).header("retry-after", "2"), wait(2), "channel_not_found"),
        (Answer::new(302, r#"{"ok":true,"ts":"1.1"}"#), Misconfigured, "HTTP 302"),
        (Answer::new(400, r#"{"ok":true,"ts":"1.1"}"#), Rejected, "HTTP 400"),
        (Answer::new(500, r#"{"ok":false,"error":"a_code_of_tomorrow"}"#), Transient, "a_code_of_tomorrow"),
        (Answer::new(503, r#"{"ok":false,"error":"service_unavailable"}"#), Transient, "service_unavailable"),
        (Answer::from("<html>login</html>"), Transient, "HTTP 200"),
        (Answer::from("{}"), Ambiguous, "HTTP 200"),
        (Answer::from(r#"{"ok":false}"#), Rejected, "ok:false"),
        (Answer::from(r#"{"ok":"#), Ambiguous, "HTTP 200"),
        (Answer::new(502, "<html>bad gateway</html>"), Transient, "HTTP 502"),
        (Answer::new(502, r#"{"ok":true}"#), Transient, "HTTP 502"),
        (Answer::new(404, "not found"), Misconfigured, "HTTP 404"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(BOT, &server.base).unwrap();
    for (answer, kind, code) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &room(), &context()).await;
        assert_eq!(kinds(&results), [Err((kind, Some(code.to_owned())))], "{answer:?}");
    }
}

#[tokio::test]
async fn a_missing_scope_and_bad_blocks_are_explained() {
    let scope = r#"{"ok":false,"error":"missing_scope","needed":"chat:write","provided":"identify"}"#;
    let blocks = r#"{"ok":false,"error":"invalid_blocks","response_metadata":{"messages":["[ERROR] must be less than 151 characters"]}}"#;
    let server = ScriptedServer::start([Answer::from(scope), Answer::from(blocks)]).await;
    let built = build::<Config>(BOT, &server.base).unwrap();
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
        (Answer::from("<html>ok</html>"), Transient, "HTTP 200"),
        (Answer::from(""), Ambiguous, "HTTP 200"),
        (Answer::from("fine"), Ambiguous, "HTTP 200"),
        (Answer::from(r#"{"ok":false,"error":"invalid_workflow_input"}"#), Rejected, "invalid_workflow_input"),
        (Answer::new(502, "<html>"), Transient, "HTTP 502"),
        (Answer::new(500, "no_service"), Transient, "no_service"),
        (Answer::new(404, "ok"), Misconfigured, "HTTP 404"),
        (Answer::new(302, ""), Misconfigured, "HTTP 302"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(WEBHOOK, &server.base).unwrap();
    for (answer, kind, code) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &[Recipient::new("@webhook")], &context()).await;
        assert_eq!(kinds(&results), [Err((kind, Some(code.to_owned())))], "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_repeats_a_long_message_is_read_to_its_end() {
    let text = "\\u78c1".repeat(40_000);
    let answer = format!(r#"{{"ok":true,"channel":"C1","ts":"1.1","message":{{"text":"{text}","blocks":[{{"text":"{text}"}}]}}}}"#);
    assert!(answer.len() > 480_000);
    let server = ScriptedServer::start([Answer::from(answer.as_str())]).await;
    let built = build::<Config>(BOT, &server.base).unwrap();
    let results = built.channel.send(&page(&[("text", &"磁".repeat(40_000))]), &room(), &context()).await;
    assert_eq!(kinds(&results), [Ok(Some("channel C1, ts 1.1".into()))]);
}

#[tokio::test]
async fn only_slacks_own_hooks_are_held_to_slacks_own_word() {
    let foreign = |webhook: &str| is_foreign(&Secret::new(webhook));
    for own in ["https://hooks.slack.com/services/T/B/X", "https://hooks.slack-gov.com/services/T", "https://HOOKS.slack.com/workflows/T"] {
        assert!(!foreign(own), "{own}");
    }
    for other in ["https://chat.example.com/hooks/x", "https://hooks.slack.com.evil.example/x", "https://notslack.com/x", "http://10.0.0.1/x"] {
        assert!(foreign(other), "{other}");
    }
    // Behind a proxy of one's own it is still Slack that answers; a workflow of Slack's says it in JSON.
    let server = ScriptedServer::start([Answer::from(r#"{"ok":true}"#), Answer::from(r#"{"success":true}"#)]).await;
    let built = build::<Config>(WEBHOOK, &server.base).unwrap();
    let hook = [Recipient::new("@webhook")];
    assert_eq!(kinds(&built.channel.send(&page(&[("text", "x")]), &hook, &context()).await), [Ok(None)]);
    assert_eq!(kinds(&built.channel.send(&page(&[("text", "x")]), &hook, &context()).await), [Err((Ambiguous, Some("HTTP 200".into())))]);
}

/// Every error of the published list has a row of its own.
/// <https://docs.slack.dev/reference/methods/chat.postMessage#errors>
#[test]
fn every_published_error_is_in_the_table() {
    const PUBLISHED: &str = "access_denied accesslimited account_inactive as_user_not_supported attachment_payload_limit_exceeded \
        cannot_reply_to_message channel_not_found deprecated_endpoint duplicate_channel_not_found duplicate_message_not_found ekm_access_denied \
        enterprise_is_restricted external_channel_migrating fatal_error internal_error invalid_arg_name invalid_arguments invalid_array_arg \
        invalid_attachments invalid_auth invalid_blocks invalid_blocks_format invalid_charset invalid_form_data invalid_metadata_format \
        invalid_metadata_schema invalid_post_type is_archived is_inactive markdown_text_conflict message_limit_exceeded messages_tab_disabled \
        metadata_must_be_sent_from_app metadata_too_large method_deprecated missing_file_data missing_post_type missing_scope \
        msg_blocks_too_long msg_too_long no_permission no_text not_allowed_token_type not_authed not_in_channel org_login_required \
        rate_limited ratelimited request_timeout restricted_action restricted_action_non_threadable_channel \
        restricted_action_read_only_channel restricted_action_thread_locked restricted_action_thread_only_channel \
        send_on_behalf_not_allowed service_unavailable slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked \
        slack_connect_lists_sharing_blocked team_access_not_granted team_added_to_org team_not_found token_expired token_revoked \
        too_many_attachments too_many_contact_cards two_factor_setup_required user_is_restricted \
        invalid_payload user_not_found action_prohibited channel_is_archived rollup_error no_service no_service_id no_team \
        no_active_hooks team_disabled invalid_token posting_to_general_channel_denied missing_text_or_fallback_or_attachments";
    let missing: Vec<&str> = PUBLISHED.split_whitespace().filter(|code| !codes::is_known(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn a_probe_asks_for_the_tokens_owner() {
    let server = ScriptedServer::start([Answer::from(r#"{"ok":true,"user":"bot"}"#), Answer::from(r#"{"ok":false,"error":"invalid_auth"}"#)]).await;
    let built = build::<Config>(BOT, &server.base).unwrap();
    assert!(matches!(built.channel.probe().await, Probe::Ok));
    assert!(matches!(built.channel.probe().await, Probe::Failed(error) if error.kind == Misconfigured));
    assert_eq!(server.seen()[0].uri.path(), "/api/auth.test");
    let webhook = build::<Config>(WEBHOOK, &server.base).unwrap();
    assert!(matches!(webhook.channel.probe().await, Probe::Unsupported));
}

#[tokio::test]
async fn no_secret_shows() {
    let echo = r#"{"ok":false,"error":"invalid_auth","seen":"xoxb-S3CRET-1"}"#;
    let told = r#"no: https:\/\/hooks.slack.com\/services\/T0\/B0\/S3CRETKEY /services/T0/B0/S3CRETKEY"#;
    let server = ScriptedServer::start([Answer::from(echo), Answer::new(403, told)]).await;
    let mut shown = String::new();
    for yaml in [BOT, WEBHOOK] {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        let built = build::<Config>(yaml, &server.base).unwrap();
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

/// As where secrets are not read.
struct Unread;

impl crate::channel::SecretReader for Unread {
    fn read(&self, _: &SecretSource) -> Result<Secret, String> {
        Ok(Secret::new(format!("{}env-W", kit::PLACEHOLDER)))
    }

    fn real(&self) -> bool {
        false
    }
}

#[test]
fn what_build_cannot_use_is_a_problem_that_quotes_nothing() {
    let clients = kit::HttpClients::default();
    let cx = BuildContext { channel: "c", timeout: Duration::ZERO, proxy: None, secrets: &Literals, http: &clients, presets: &Default::default() };
    let hook = serde_yaml::from_str::<Config>("{ webhook: { env: W }, api_base: 'http://h' }").unwrap();
    assert!(hook.build(&BuildContext { secrets: &Unread, proxy: None, ..cx }).is_ok(), "it can be rendered for");
    for (yaml, path) in [
        ("{ webhook: placeholder-env-W, api_base: 'http://h' }", "slack.webhook"),
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
    let measure = DESCRIPTOR.measure;
    assert_eq!(measure(&page(&[("title", "磁盘"), ("text", "a&amp;b")])), Size { used: 2, max: 50, unit: "blocks" });
    assert_eq!(measure(&page(&[("title", "磁盘"), ("text", &"a&amp;b".repeat(1000))])), Size::characters(7002, 13_000));
    assert!(!measure(&page(&[("text", &"字".repeat(13_001))])).fits());
    let lines = format!("{}\n", "x".repeat(2000)).repeat(51);
    assert_eq!(measure(&page(&[("text", &lines)])).unit, "characters");
    let mut many = page(&[("text", "")]);
    many.plain = true;
    many.fields.insert("text".into(), "<".repeat(4000));
    assert_eq!(measure(&many), Size::characters(16_000, 40_000), "what is too long for blocks goes as text alone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// The real body of any page obeys every limit of its parts, and its text is what was measured.
    #[test]
    fn bodies_obey_slacks_limits(title in "\\PC{0,300}", text in "([a-z<>*\n ]|&amp;|🔥|磁盘){0,800}", footer in "\\PC{0,1500}", label in "\\PC{0,100}") {
        let mut page = rich(&[("title", &title), ("text", &text), ("footer", &footer)]);
        page.facts.links = vec![crate::model::Link { kind: crate::model::LinkKind::Details, label, url: "https://x/".into() }; 30];
        let size = (DESCRIPTOR.measure)(&page);
        let json = serde_json::to_value(body::message(&page, false)).unwrap();
        let list = |value: &serde_json::Value| value["blocks"].as_array().cloned().unwrap_or_default();
        let blocks = [list(&json), list(&json["attachments"][0])].concat();
        let length = |value: &serde_json::Value| value["text"].as_str().unwrap().encode_utf16().count();
        let mut total = 0;
        for block in &blocks {
            match block["type"].as_str().unwrap() {
                "section" => { prop_assert!((1..=3000).contains(&length(&block["text"]))); total += length(&block["text"]); }
                "context" => {
                    for text in block["elements"].as_array().unwrap() { prop_assert!((1..=1000).contains(&length(text))); total += length(text); }
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

#[test]
fn the_link_to_the_whole_is_small_print_where_three_buttons_fill_a_row_or_the_alert_is_over() {
    let link = |kind, label: &str| Link { kind, label: label.into(), url: format!("https://x.example/{label}?a=1&b=2") };
    let mut page = page(&[("title", "*Disk*"), ("text", "was full"), ("footer", "team: db")]);
    let (runbook, details) = (link(LinkKind::Runbook, "Runbook"), link(LinkKind::Details, "Details"));
    page.facts.links = vec![runbook.clone(), link(LinkKind::Dashboard, "Dashboard"), link(LinkKind::Silence, "Silence"), details.clone()];
    let blocks = |page: &Page| serde_json::to_value(body::message(page, false)).unwrap()["attachments"][0]["blocks"].clone();
    let inline = "<https://x.example/Details?a=1&amp;b=2|Details>";
    let four = blocks(&page);
    assert_eq!(four[1]["elements"].as_array().unwrap().len(), 3, "{four}");
    assert_eq!((&four[2]["elements"][0]["text"], &four[2]["elements"][1]["text"]), (&"team: db".into(), &inline.into()));
    page.facts.links = vec![runbook, details.clone()];
    assert_eq!(blocks(&page)[1]["elements"][1]["text"]["text"], "Details", "there is room for a button");
    page.facts.links = vec![details];
    page.facts.status = MessageStatus::Resolved;
    let over = blocks(&page);
    assert_eq!((over.as_array().unwrap().len(), &over[0]["elements"][1]["text"]), (1, &inline.into()), "{over}");
}
