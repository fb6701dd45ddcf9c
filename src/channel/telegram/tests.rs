//! Telegram: what is sent, what answers mean, groups that move, how a page is measured, and what never shows.

use std::time::Duration;

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{Button, Link, LinkKind, MessageStatus, Size, Verb};

const CONFIG: &str = "{ token: '123456:S3CRET', chat: -1001, thread_id: 7, api_base: BASE }";
const OK: &str = r#"{"ok":true,"result":{"message_id":42,"chat":{"id":-100}}}"#;

fn chat() -> [Recipient; 1] {
    [Recipient::new("-1001")]
}

#[tokio::test]
async fn html_goes_to_the_chat_and_plain_text_without_a_parse_mode() {
    let server = ScriptedServer::start([Scripted::from(OK), Scripted::from(OK)]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut page = rich(&[("text", "<b>Disk</b> &amp; db-1\n")]);
    page.facts.mentions.users = vec!["@anna".into(), "4711".into()];
    assert_eq!(kinds(&built.channel.send(&page, &chat(), &context()).await), [Ok(Some("chat_id -100, message_id 42".to_owned()))]);
    page.plain = true;
    page.facts.status = MessageStatus::Resolved;
    built.channel.send(&page, &chat(), &context()).await;
    let seen = server.seen();
    assert_eq!(seen[0].uri.to_string(), "/bot123456:S3CRET/sendMessage");
    insta::assert_json_snapshot!("html", seen[0].json());
    insta::assert_json_snapshot!("plain", seen[1].json());
}

#[tokio::test]
async fn answers_mean_what_telegram_says() {
    let no = |status: u16, text: &str| Scripted::new(status, format!(r#"{{"ok":false,"error_code":{status},"description":"{text}"}}"#).into_bytes());
    let slow = r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":35}}"#;
    let rows = [
        (Scripted::new(429, slow), RateLimited { retry_after: Some(Duration::from_secs(35)) }, "429"),
        (no(401, "Unauthorized"), Misconfigured, "401"),
        (no(404, "Not Found"), Misconfigured, "404"),
        (no(403, "Forbidden: bot was kicked from the supergroup chat"), Misconfigured, "403"),
        (no(400, "Bad Request: chat not found"), Misconfigured, "400"),
        (no(400, "Bad Request: can't parse entities"), Rejected, "400"),
        (no(400, "Bad Request: message is too long"), Rejected, "400"),
        (no(502, "Bad Gateway"), Transient, "502"),
        (Scripted::new(502, "<html>"), Transient, "HTTP 502"),
        (Scripted::from("<html>blocked</html>"), Transient, "HTTP 200"),
        (no(400, "Bad Request: message thread not found"), Misconfigured, "400"),
        (no(400, "Bad Request: TOPIC_CLOSED"), Misconfigured, "400"),
        (no(400, "Bad Request: TOPIC_DELETED"), Misconfigured, "400"),
        (no(400, "Bad Request: not enough rights to send text messages to the chat"), Misconfigured, "400"),
        (no(400, "Bad Request: have no rights to send a message"), Misconfigured, "400"),
        (no(400, "Bad Request: need administrator rights in the channel chat"), Misconfigured, "400"),
        (no(400, "Bad Request: CHAT_WRITE_FORBIDDEN"), Misconfigured, "400"),
        (no(400, "Bad Request: CHAT_RESTRICTED"), Misconfigured, "400"),
        (no(400, "Bad Request: PEER_ID_INVALID"), Misconfigured, "400"),
        (no(400, "Bad Request: CHANNEL_PRIVATE"), Misconfigured, "400"),
        (no(400, "Bad Request: group chat was deactivated"), Misconfigured, "400"),
        // Without the new id there is nowhere to follow to.
        (no(400, "Bad Request: group chat was upgraded to a supergroup chat"), Misconfigured, "400"),
        (no(403, "Forbidden: the group chat was deleted"), Misconfigured, "403"),
        (no(403, "Forbidden: user is deactivated"), Misconfigured, "403"),
        (no(403, "Forbidden: a wording of tomorrow"), Misconfigured, "403"),
        (no(400, "Bad Request: message text is empty"), Rejected, "400"),
        (no(400, "Bad Request: a wording of tomorrow"), Rejected, "400"),
        (no(409, "Conflict: terminated by other getUpdates request"), Transient, "409"),
        (no(420, "FLOOD_WAIT_30"), RateLimited { retry_after: None }, "420"),
        (no(429, "Too Many Requests: retry after 35"), RateLimited { retry_after: Some(Duration::from_secs(35)) }, "429"),
        (no(503, "Bad Request: chat not found"), Transient, "503"),
        (Scripted::new(200, r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#), Misconfigured, "400"),
        (Scripted::new(502, OK), Transient, "HTTP 502"),
        (Scripted::new(302, OK), Misconfigured, "HTTP 302"),
        (Scripted::from(r#"{"ok":false}"#), Rejected, "ok:false"),
        (Scripted::from("[]"), Ambiguous, "HTTP 200"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &chat(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[tokio::test]
async fn a_refused_mention_is_told_as_one() {
    let refusal = r#"{"ok":false,"error_code":400,"description":"Bad Request: ENTITY_MENTION_USER_INVALID"}"#;
    let server = ScriptedServer::start([Scripted::new(400, refusal)]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let results = built.channel.send(&page(&[("text", "x")]), &chat(), &context()).await;
    assert!(results[0].1.as_ref().is_err_and(|error| error.kind == Rejected && error.mentions), "{results:?}");
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_is_followed_and_remembered() {
    let moved =
        r#"{"ok":false,"error_code":400,"description":"group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1009}}"#;
    let server = ScriptedServer::start([Scripted::new(400, moved), Scripted::from(OK), Scripted::from(OK)]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for _ in 0..2 {
        assert_eq!(
            kinds(&built.channel.send(&page(&[("text", "x")]), &chat(), &context()).await),
            [Ok(Some("chat_id -100, message_id 42".to_owned()))]
        );
    }
    let ids: Vec<_> = server.seen().iter().map(|seen| seen.json()["chat_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["-1001", "-1009", "-1009"]);
}

#[tokio::test]
async fn a_refused_button_does_not_lose_the_last_of_several_pages() {
    let no = |why: &str| Scripted::new(400, format!(r#"{{"ok":false,"error_code":400,"description":"Bad Request: {why}"}}"#).into_bytes());
    let mut last = rich(&[("text", "Disk &amp; db-1\n")]);
    (last.number, last.total) = (2, 2);
    for why in ["BUTTON_URL_INVALID", "inline keyboard button URL is invalid: Wrong HTTP URL", "reply markup is too long"] {
        let server = ScriptedServer::start([no(why), Scripted::from(OK)]).await;
        let built = build::<Config>(CONFIG, &server.base).unwrap();
        let results = built.channel.send(&last, &chat(), &context()).await;
        assert!(results[0].1.as_ref().is_ok_and(|receipt| receipt.answer.contains(why)), "{results:?}");
        let seen = server.seen();
        assert!(!seen[0].json()["reply_markup"].is_null(), "{why}");
        let again = seen[1].json();
        assert!(again["reply_markup"].is_null() && again["parse_mode"] == "HTML", "{again}");
        for link in &last.facts.links {
            assert!(again["text"].as_str().unwrap().contains(&format!(">{}</a>", link.label)), "{again}");
        }
    }
    // Once more is enough, and only where there is a button.
    let mut first = last.clone();
    first.number = 1;
    for (page, answers) in [(&last, vec![no("BUTTON_URL_INVALID"), no("BUTTON_URL_INVALID")]), (&first, vec![no("BUTTON_URL_INVALID")])] {
        let n = answers.len();
        let server = ScriptedServer::start(answers).await;
        let built = build::<Config>(CONFIG, &server.base).unwrap();
        assert_eq!(kinds(&built.channel.send(page, &chat(), &context()).await), [Err((Rejected, Some("400".to_owned())))]);
        assert_eq!(server.seen().len(), n);
    }
}

fn with_actions(mut page: Page, labels: &[&str]) -> Page {
    let button = |label: &&str| Button { verb: Verb::Ack, label: (*label).into(), value: format!("ack.code.{}", label.len()) };
    page.facts.incident.buttons = labels.iter().map(button).collect();
    page
}

/// The texts of the buttons, row by row.
fn rows(sent: &Value) -> Vec<Vec<&str>> {
    let rows = sent["reply_markup"]["inline_keyboard"].as_array().into_iter().flatten();
    rows.map(|row| row.as_array().unwrap().iter().map(|button| button["text"].as_str().unwrap()).collect()).collect()
}

#[test]
fn what_can_be_done_is_above_the_links_in_rows_of_its_own() {
    let page = with_actions(rich(&[("text", "Disk")]), &["On it", "30 min", "2 h", "Silence"]);
    let sent = serde_json::to_value(body::message(&page, "1", None, true)).unwrap();
    assert_eq!(rows(&sent), [vec!["On it", "30 min"], vec!["2 h", "Silence"], vec!["Runbook", "Silence"]]);
    let first = &sent["reply_markup"]["inline_keyboard"][0][0];
    assert_eq!(*first, serde_json::json!({ "text": "On it", "callback_data": "ack.code.5" }));
    // Also where the text is plain, and on a page that is not the last.
    let mut plain = with_actions(crate::channel::kit::test_server::page(&[("text", "Disk")]), &["On it"]);
    (plain.plain, plain.total) = (true, 2);
    assert_eq!(rows(&serde_json::to_value(body::message(&plain, "1", None, true)).unwrap()), [vec!["On it"]]);
    assert_eq!(rows(&serde_json::to_value(body::edit(&plain, "1", 2)).unwrap()), [vec!["On it"]]);
}

#[tokio::test]
async fn refused_buttons_lose_their_links_first_and_never_the_message() {
    let no = |why: &str| Scripted::new(400, format!(r#"{{"ok":false,"error_code":400,"description":"Bad Request: {why}"}}"#).into_bytes());
    let page = with_actions(rich(&[("text", "Disk")]), &["On it"]);
    let server = ScriptedServer::start([
        no("BUTTON_URL_INVALID"),
        Scripted::from(OK),
        no("BUTTON_DATA_INVALID"),
        no("BUTTON_DATA_INVALID"),
        Scripted::from(OK),
    ])
    .await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for _ in 0..2 {
        assert!(built.channel.send(&page, &chat(), &context()).await[0].1.is_ok());
    }
    let sent: Vec<Value> = server.seen().iter().map(crate::channel::kit::test_server::Seen::json).collect();
    assert_eq!(sent.iter().map(|one| rows(one).concat().len()).collect::<Vec<_>>(), [3, 1, 3, 1, 0]);
    assert!(sent[4]["text"].as_str().unwrap().contains("Runbook</a>"), "{}", sent[4]);
}

#[test]
fn buttons_are_polled_or_posted() {
    let config = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap();
    assert_eq!(config("{ token: a, chat: 1, buttons: true, webhook_secret: b }").check()[0].path, "telegram.buttons");
    let way = |more: &str| build::<Config>(&format!("{{ token: '1:a', chat: 1{more} }}"), "").unwrap().channel.press_way();
    assert!(way("").is_none());
    assert!(matches!(way(", webhook_secret: Ab-_9"), Some(PressWay::Callback)));
    assert!(matches!(way(", buttons: true"), Some(PressWay::Listener(listener)) if listener.exclusive()));
    for bad in ["a b".to_owned(), "ä".into(), "x".repeat(257)] {
        let problems = build::<Config>(&format!("{{ token: '1:a', chat: 1, webhook_secret: '{bad}' }}"), "").err().unwrap();
        assert_eq!(problems[0].path, "telegram.webhook_secret");
        assert!(!format!("{problems:?}").contains(&bad));
    }
}

#[test]
fn links_for_which_there_is_no_room_are_left_out_before_the_alert() {
    let mut page = rich(&[("text", &"x".repeat(4000))]);
    page.facts.mentions = crate::model::Mentions::default();
    let again = body::without_buttons(&page);
    assert!(body::measure(&again).fits() && again.field("text").starts_with(&"x".repeat(4000)), "{}", again.field("text").len());
    assert!(again.facts.links.is_empty());
}

#[test]
fn mistakes_are_found_without_secrets_and_chats_are_read_both_ways() {
    let config = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap();
    assert_eq!(config("{ token: a, chat: nobody }").check()[0].path, "telegram.chat");
    for (yaml, chat) in [("-1001", "-1001"), ("'-1001'", "-1001"), ("'@ops'", "@ops")] {
        let config = config(&format!("{{ token: a, chat: {yaml} }}"));
        assert_eq!((config.check(), config.recipients()), (vec![], vec![Recipient::new(chat)]));
    }
}

#[test]
fn a_plain_page_pings_only_whom_it_means_to() {
    let mut page = page(&[("text", "@intruder ops@example.com")]);
    page.plain = true;
    page.facts.mentions.users = vec!["anna".into()];
    let sent = serde_json::to_value(body::message(&page, "1", None, true)).unwrap();
    assert_eq!(sent["text"], "@\u{200B}intruder ops@example.com\n\n@anna");
    // A name made of an id would notify nobody.
    page.fields.insert("text".into(), "🔴 4711".into());
    page.facts.mentions.users = vec!["anna".into(), "4711".into()];
    let sent = serde_json::to_value(body::message(&page, "1", None, true)).unwrap();
    assert_eq!(sent["text"], "🔴 4711\n\n@anna 4711");
    assert_eq!(sent["entities"], serde_json::json!([{ "type": "text_mention", "offset": 15, "length": 4, "user": { "id": 4711 } }]));
}

#[test]
fn pages_are_measured_with_their_pings() {
    let mut page = page(&[("text", "磁盘")]);
    assert_eq!((DESCRIPTOR.measure)(&page), Size::characters(2, 4096));
    page.facts.mentions.users = vec!["anna".into()];
    assert_eq!((DESCRIPTOR.measure)(&page).used, 2 + 2 + 5);
}

#[test]
fn links_are_buttons_on_the_last_page_where_telegram_takes_them() {
    let link = |label: &str, url: &str| Link { kind: LinkKind::Dashboard, label: label.into(), url: url.into() };
    let mut page = page(&[("text", "Disk")]);
    page.facts.links = vec![
        link("Runbook", "https://wiki.example.com/disk"),
        link("Panel", "http://10.0.0.7:3000/d/x"),
        link("Silence", "http://alertmanager:9093/?a=\"b\"&c"),
        link("Details", "https://w.example.com/m/7Kq2xV9bTz3mAc"),
    ];
    page.facts.image = "https://grafana.example.com/x.png".into();
    let sent = |page: &Page| serde_json::to_value(body::message(page, "1", None, true)).unwrap();
    let whole = sent(&page);
    let labels: Vec<Vec<&str>> = whole["reply_markup"]["inline_keyboard"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_array().unwrap().iter().map(|button| button["text"].as_str().unwrap()).collect())
        .collect();
    assert_eq!(labels, [vec!["Runbook", "Panel", "Details"]]);
    assert_eq!(whole["text"], "Disk\n\n<a href=\"http://alertmanager:9093/?a=&quot;b&quot;&amp;c\">Silence</a>");
    assert_eq!(
        whole["link_preview_options"],
        serde_json::json!({ "is_disabled": false, "url": "https://grafana.example.com/x.png", "prefer_large_media": true })
    );
    page.total = 2;
    assert_eq!((sent(&page)["text"].as_str(), sent(&page)["reply_markup"].is_null()), (Some("Disk"), true), "the last page has them");
    (page.total, page.plain) = (1, true);
    let plain = sent(&page);
    assert!(plain["reply_markup"].is_null() && plain["link_preview_options"]["is_disabled"] == true, "{plain}");
}
