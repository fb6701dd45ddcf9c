//! Feishu: signature vector, what is sent, tokens, what answers mean, how a page is measured, and what never shows.

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{Button, Verb};

const BOT: &str = "{ token: h00k-S3CRET, secret: demo-S3CRET, api_base: BASE, keyword: 告警 }";
const APP: &str = "{ app_id: cli_1, app_secret: app-S3CRET, to: [oc_1, anna@example.com], api_base: BASE }";
const OK: &str = r#"{"code":0,"msg":"success","data":{}}"#;
const TOKEN: &str = r#"{"code":0,"msg":"ok","tenant_access_token":"t-S3CRET","expire":7200}"#;

fn group() -> [Recipient; 1] {
    [Recipient::new("@bot")]
}

#[test]
fn the_signature_matches_the_published_vector() {
    assert_eq!(sign(&Secret::new("demo-secret"), 1_599_360_473), "3/MaVZ8JLIy4TUG+7KSFJqvUkTKd+HWY8g+56DZWq8s=");
}

#[tokio::test]
async fn a_bot_gets_a_signed_card_or_text() {
    let server = ScriptedServer::start([Scripted::from(OK), Scripted::from(OK)]).await;
    let built = build::<Config>(BOT, &server.base).unwrap();
    let mut page = rich(&[("title", "[P1] 磁盘"), ("text", "**磁盘** db-1")]);
    page.facts.mentions.users = vec!["ou_1".into()];
    assert_eq!(kinds(&built.channel.send(&page, &group(), &context()).await), [Ok(None)]);
    page.plain = true;
    assert_eq!(kinds(&built.channel.send(&page, &group(), &context()).await), [Ok(None)]);
    let seen = server.seen();
    assert_eq!(seen[0].uri.to_string(), "/open-apis/bot/v2/hook/h00k-S3CRET");
    insta::assert_json_snapshot!("card", seen[0].json());
    insta::assert_json_snapshot!("text", seen[1].json());
}

#[tokio::test]
async fn an_application_asks_for_a_token_once_and_renews_a_refused_one_within_the_attempt() {
    let sent = r#"{"code":0,"msg":"success","data":{"message_id":"om_1"}}"#;
    let expired = Scripted::new(400, r#"{"code":99991663,"msg":"Invalid access token"}"#);
    let server = ScriptedServer::start([Scripted::from(TOKEN), Scripted::from(sent), expired, Scripted::from(TOKEN), Scripted::from(sent)]).await;
    let built = build::<Config>(APP, &server.base).unwrap();
    let page = page(&[("text", "x")]);
    for to in ["oc_1", "anna@example.com"] {
        let results = built.channel.send(&page, &[Recipient::new(to)], &context()).await;
        assert_eq!(kinds(&results), [Ok(Some("message_id om_1".to_owned()))]);
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 5);
    assert_eq!((seen[1].header("authorization"), seen[1].query("receive_id_type").as_deref()), ("Bearer t-S3CRET", Some("chat_id")));
    assert_eq!(seen[4].query("receive_id_type").as_deref(), Some("email"));
    let body = seen[1].json();
    assert_eq!(
        (body["receive_id"].as_str(), body["msg_type"].as_str(), body["uuid"].as_str().map(str::len)),
        (Some("oc_1"), Some("interactive"), Some(16))
    );
    assert_ne!(seen[4].json()["uuid"], body["uuid"], "one key for two receivers would make the second message a repeat of the first");
    let card: serde_json::Value = serde_json::from_str(body["content"].as_str().unwrap()).unwrap();
    assert_eq!(card["elements"][0]["content"], "x");
}

/// Whatever the code is: an alert waits for a token, and does not die for want of one.
#[tokio::test]
async fn a_token_that_is_refused_refuses_no_message() {
    let answers = [
        (Scripted::new(200, r#"{"code":20001,"msg":"a code of tomorrow"}"#), Misconfigured, "20001"),
        (Scripted::new(400, r#"{"code":99992402,"msg":"field validation failed"}"#), Misconfigured, "99992402"),
        (Scripted::new(422, "<html>no</html>"), Misconfigured, "HTTP 422"),
        (Scripted::new(200, r#"{"code":20002,"msg":"系统繁忙，请稍后重试"}"#), Transient, "20002"),
    ];
    let server = ScriptedServer::start(answers.iter().map(|(answer, ..)| answer.clone())).await;
    let built = build::<Config>(APP, &server.base).unwrap();
    for (_, kind, code) in answers {
        let results = built.channel.send(&page(&[("text", "x")]), &[Recipient::new("oc_1")], &context()).await;
        assert_eq!(kinds(&results), [Err((kind, Some(code.to_owned())))]);
    }
    assert_eq!(server.seen().len(), 4, "nothing is sent without a token");
}

#[tokio::test]
async fn answers_mean_what_feishu_says() {
    let wait = |s| RateLimited { retry_after: Some(Duration::from_secs(s)) };
    let no = |code: i64| Scripted::from(format!(r#"{{"code":{code},"msg":"why"}}"#).as_str());
    let limited = Scripted::new(429, r#"{"code":99991400,"msg":"request trigger frequency limit"}"#).header("x-ogw-ratelimit-reset", "7");
    let rows = [
        (no(11232), wait(30), "11232"),
        (limited, wait(7), "99991400"),
        (no(19001), Misconfigured, "19001"),
        (no(19021), Misconfigured, "19021"),
        (no(19022), Misconfigured, "19022"),
        (no(19024), Rejected, "19024"),
        (no(19036), Rejected, "19036"),
        (no(9499), Rejected, "9499"),
        (no(230002), Misconfigured, "230002"),
        (no(230006), Misconfigured, "230006"),
        (no(230028), Rejected, "230028"),
        (no(230049), Transient, "230049"),
        (no(99991401), Misconfigured, "99991401"),
        (no(99991403), Misconfigured, "99991403"),
        (no(99991662), Misconfigured, "99991662"),
        (no(99991402), wait(30), "99991402"),
        (Scripted::new(400, r#"{"code":99991402,"msg":"field validation failed"}"#), Rejected, "99991402"),
        (Scripted::from(r#"{"code":9499,"msg":"too many request","data":{}}"#), wait(30), "9499"),
        (Scripted::from(r#"{"code":2200,"msg":"internal error","data":{}}"#), Transient, "2200"),
        (Scripted::from(r#"{"code":2200,"msg":"frequency limited"}"#), wait(30), "2200"),
        (Scripted::from(r#"{"StatusCode":19001,"StatusMessage":"param invalid: incoming webhook access token invalid"}"#), Misconfigured, "19001"),
        (Scripted::from(r#"{"code":"19024","msg":"Key Words Not Found","data":"x"}"#), Rejected, "19024"),
        (Scripted::new(429, r#"{"code":19001,"msg":"param invalid"}"#).header("retry-after", "9"), wait(9), "19001"),
        (Scripted::new(429, ""), RateLimited { retry_after: None }, "HTTP 429"),
        (Scripted::new(500, r#"{"code":19001,"msg":"param invalid"}"#), Transient, "19001"),
        (Scripted::new(500, r#"{"StatusCode":0}"#), Transient, "0"),
        (Scripted::from("{}"), Ambiguous, "HTTP 200"),
        (no(77), Rejected, "77"),
        (Scripted::from(r#"{"code":77,"msg":"trigger frequency limit"}"#), wait(30), "77"),
        (Scripted::new(503, r#"{"code":77,"msg":"busy"}"#), Transient, "77"),
        (Scripted::new(502, "<html>"), Transient, "HTTP 502"),
        (Scripted::from("<html>login</html>"), Transient, "HTTP 200"),
        (Scripted::from(r#"{"code":"#), Ambiguous, "HTTP 200"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>("{ token: h00k-S3CRET, api_base: BASE }", &server.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &group(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[tokio::test]
async fn old_bots_say_that_all_is_well_in_other_words() {
    let server =
        ScriptedServer::start([Scripted::from(r#"{"StatusCode":0}"#), Scripted::from(r#"{"Extra":null,"StatusCode":0,"StatusMessage":"success"}"#)])
            .await;
    let built = build::<Config>(BOT, &server.base).unwrap();
    for _ in 0..2 {
        assert_eq!(kinds(&built.channel.send(&page(&[("text", "x")]), &group(), &context()).await), [Ok(None)]);
    }
}

#[tokio::test]
async fn one_of_several_receivers_who_cannot_be_reached_holds_nobody_up() {
    let gone = || Scripted::new(400, r#"{"code":230002,"msg":"Bot/User can NOT be out of the chat."}"#);
    let unknown = || Scripted::new(400, r#"{"code":230001,"msg":"Your request contains an invalid request parameter, ext=invalid receive_id."}"#);
    // Of any interface: an id of another application, of nobody, of no group, of another organisation.
    let of_any = ["99992351", "99992356", "99992360", "99992361", "99992364"]
        .map(|code| Scripted::new(400, format!(r#"{{"code":{code},"msg":"open_id cross app"}}"#).as_str()));
    for answer in [gone(), unknown()].into_iter().chain(of_any) {
        for (config, kind) in [(APP, Rejected), ("{ app_id: cli_1, app_secret: app-S3CRET, to: [oc_1], api_base: BASE }", Misconfigured)] {
            let server = ScriptedServer::start([Scripted::from(TOKEN), answer.clone()]).await;
            let built = build::<Config>(config, &server.base).unwrap();
            let results = built.channel.send(&page(&[("text", "x")]), &[Recipient::new("oc_1")], &context()).await;
            let error = results[0].1.as_ref().unwrap_err();
            assert_eq!((error.kind, error.recipient), (kind, kind == Rejected), "{config}: {error}");
        }
    }
}

#[test]
fn an_id_that_names_no_message_any_more_is_gone() {
    let is_gone = |code: &str| super::answer::is_gone(&SendError::new(Rejected, "these ids not existed").code(code));
    assert!(is_gone("99992354") && is_gone("230011") && !is_gone("99992356"));
}

#[tokio::test]
async fn a_limit_of_a_group_is_that_groups() {
    let limited = Scripted::new(400, r#"{"code":230020,"msg":"This operation triggers the frequency limit."}"#);
    let soon = RateLimited { retry_after: Some(Duration::from_secs(30)) };
    // Other channels of the application share its outlet.
    for config in [APP, "{ app_id: cli_1, app_secret: app-S3CRET, to: [oc_1], api_base: BASE }"] {
        let server = ScriptedServer::start([Scripted::from(TOKEN), limited.clone()]).await;
        let built = build::<Config>(config, &server.base).unwrap();
        let results = built.channel.send(&page(&[("text", "x")]), &[Recipient::new("oc_1")], &context()).await;
        let error = results[0].1.as_ref().unwrap_err();
        assert_eq!((error.kind, error.recipient), (soon, true), "{config}: {error}");
    }
}

#[tokio::test]
async fn a_refused_mention_is_told_from_a_refused_message() {
    let rows = [
        (
            r#"{"code":11246,"data":{},"msg":"ErrCode: 100290; ErrMsg: there is an invalid user resource (at/person) in your card; ErrorValue: x****; "}"#,
            true,
        ),
        (
            r#"{"code":230099,"msg":"Failed to create card content, ext=ErrCode: 100290; ErrMsg: there is an invalid user resource (at/person) in your card"}"#,
            true,
        ),
        (r#"{"code":230099,"msg":"Failed to create card content, ext=ErrCode: 11310; ErrMsg: element exceeds the limit"}"#, false),
        (r#"{"code":19001,"msg":"invalid at user"}"#, false),
    ];
    let server = ScriptedServer::start(rows.iter().map(|(body, _)| Scripted::from(*body))).await;
    let built = build::<Config>(BOT, &server.base).unwrap();
    for (body, mentions) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &group(), &context()).await;
        assert_eq!(results[0].1.as_ref().unwrap_err().mentions, mentions, "{body}");
    }
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_the_servers_own() {
    let stale = Scripted::from(r#"{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}"#)
        .header("date", "Tue, 14 Nov 2023 10:00:00 GMT");
    let server = ScriptedServer::start([stale, Scripted::from(OK)]).await;
    let built = build::<Config>(BOT, &server.base).unwrap();
    assert_eq!(kinds(&built.channel.send(&page(&[("text", "x")]), &group(), &context()).await), [Ok(None)]);
    assert_eq!(server.seen()[1].json()["timestamp"], "1699956000");
}

#[test]
fn mistakes_are_found_without_secrets() {
    let check = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap().check().into_iter().map(|p| p.path).collect::<Vec<_>>();
    assert_eq!(check("{}"), ["feishu"]);
    assert_eq!(check("{ app_id: cli_1 }"), ["feishu.app_secret", "feishu.to"]);
    assert_eq!(check("{ token: a, to: [oc_1] }"), ["feishu.to"]);
    assert_eq!(check("{ token: a, mentions: { mobiles: ['138'] } }"), ["feishu.mentions"]);
    let problems = build::<Config>("{ token: 'https://open.feishu.cn/open-apis/bot/v2/hook/S3CRET' }", "").err().unwrap();
    assert!(problems[0].message.contains("not a token") && !format!("{problems:?}").contains("S3CRET"), "{problems:?}");
}

#[test]
fn pages_are_measured_in_the_bytes_of_the_body() {
    let short = (DESCRIPTOR.measure)(&page(&[("text", "磁盘")]));
    let long = (DESCRIPTOR.measure)(&page(&[("text", &"磁".repeat(1000))]));
    assert_eq!((long.used - short.used, long.max), (3000 - 6, 20 * 1024));
}

#[test]
fn buttons_carry_their_value_in_an_object() {
    let button = |verb, label: &str| Button { verb, label: label.into(), value: format!("{}.x.1", verb.as_str()) };
    let mut page = rich(&[("text", "db-1")]);
    page.facts.incident.buttons = vec![button(Verb::Ack, "认领"), button(Verb::Snooze, "暂缓 2 小时")];
    let driver = build::<Config>("{ app_id: a, app_secret: s, to: [oc_1], buttons: true }", "").unwrap().channel;
    let card: Value = serde_json::from_str(driver.body(&page)["content"].as_str().unwrap()).unwrap();
    let row = &card["elements"][1];
    let first = serde_json::json!({
        "tag": "button", "text": { "tag": "plain_text", "content": "认领" }, "type": "primary", "value": { "press": "ack.x.1" },
    });
    assert_eq!((&row["tag"], &row["actions"][0], row["actions"].as_array().unwrap().len()), (&"action".into(), &first, 2), "{card}");
    assert_eq!(card["elements"][2]["actions"][0]["url"].as_str().map(|url| url.starts_with("https://")), Some(true), "links are in another row");
}

#[test]
fn presses_come_one_way_and_to_an_application_only() {
    let paths = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap().check().into_iter().map(|problem| problem.path).collect::<Vec<_>>();
    let app = |more: &str| format!("{{ app_id: a, app_secret: s, to: [oc_1], {more} }}");
    assert_eq!(paths(&app("buttons: true")), [""; 0]);
    assert_eq!(paths(&app("verification_token: v, encrypt_key: k")), [""; 0]);
    assert_eq!(paths(&app("buttons: true, verification_token: v")), ["feishu.buttons"]);
    assert_eq!(paths(&app("encrypt_key: k")), ["feishu.encrypt_key"]);
    assert_eq!(paths("{ token: t, buttons: true, verification_token: v }"), ["feishu.buttons", "feishu.verification_token"]);
    let way = |more: &str| build::<Config>(&app(more), "").unwrap().channel.press_way();
    assert!(way("buttons: false").is_none());
    assert!(matches!(way("buttons: true"), Some(PressWay::Listener(_))));
    assert!(matches!(way("verification_token: v"), Some(PressWay::Callback)));
}
