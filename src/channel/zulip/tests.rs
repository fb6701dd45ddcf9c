//! Zulip: what is sent and whom it pings, what answers mean, how a page is measured, and what never shows.

use std::collections::HashMap;

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected};
use crate::model::{Form, Mentions, Size};

const CONFIG: &str = "{ site: BASE, email: bot@example.com, api_key: k3y-S3CRET, channel: alerts }";
const OK: &str = r#"{"result":"success","msg":"","id":42}"#;

fn channel() -> [Recipient; 1] {
    [Recipient::new("alerts")]
}

fn form(body: &[u8]) -> HashMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://h/?{}", std::str::from_utf8(body).unwrap())).unwrap();
    url.query_pairs().into_owned().collect()
}

#[tokio::test]
async fn a_message_goes_to_a_topic_with_the_pings_that_were_asked_for() {
    let server = ScriptedServer::start([Scripted::from(OK)]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut page = rich(&[("topic", "DiskFull"), ("text", "**Disk** db-1")]);
    page.facts.mentions =
        Mentions { all: true, users: vec!["Anna Li|10".into(), "10".into(), "@Bo".into()], groups: vec!["ops*".into()], ..Mentions::default() };
    assert_eq!(kinds(&built.channel.send(&page, &channel(), &context()).await), [Ok(Some("message_id 42".to_owned()))]);
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.uri.to_string().as_str()), ("POST", "/api/v1/messages"));
    assert_eq!(seen.header("authorization"), "Basic Ym90QGV4YW1wbGUuY29tOmszeS1TM0NSRVQ=");
    let form = form(&seen.body);
    assert_eq!((form["type"].as_str(), form["to"].as_str(), form["topic"].as_str()), ("stream", "alerts", "DiskFull"));
    assert_eq!(form["content"], "@**all** @**Anna Li|10** @**|10** @**Bo** @*ops*\n**Disk** db-1");
}

#[tokio::test]
async fn people_get_direct_messages_by_address_or_id() {
    let server = ScriptedServer::start([Scripted::from(OK), Scripted::from(OK)]).await;
    let built = build::<Config>("{ site: BASE, email: bot@example.com, api_key: k, to: [anna@example.com, 10] }", &server.base).unwrap();
    let mut page = page(&[("topic", "Backup finished"), ("text", "Backup finished\n\n42 GiB")]);
    page.facts.form = Form::Note;
    let to = [Recipient::new("anna@example.com"), Recipient::new("10")];
    assert_eq!(built.channel.send(&page, &to, &context()).await.len(), 2);
    let sent: Vec<_> = server.seen().iter().map(|seen| form(&seen.body)).collect();
    assert_eq!((sent[0]["type"].as_str(), sent[0]["to"].as_str()), ("direct", r#"["anna@example.com"]"#));
    assert_eq!((sent[1]["to"].as_str(), sent[1]["content"].as_str()), ("[10]", "Backup finished\n\n42 GiB"));
    assert!(!sent[0].contains_key("topic"));
    // In a channel the title is the topic.
    let form = body::message(&page, "alerts", false, None);
    assert_eq!(form[2..], [("topic", "Backup finished".to_owned()), ("content", "42 GiB".to_owned())]);
    // A short text about an incident is in the topic of its card, whatever its title.
    let mut line = page.clone();
    (line.plain, line.facts.form, line.facts.title) = (true, Form::News, "Critical · DiskFull · db-1".into());
    assert_eq!(body::message(&line, "alerts", false, None)[2], ("topic", "Backup finished".to_owned()));
    line.facts.form = Form::Card;
    assert_eq!(body::message(&line, "alerts", false, None)[2], ("topic", "Backup finished".to_owned()), "nor is its plain text elsewhere");
    line.fields.remove("topic");
    assert_eq!(body::message(&line, "alerts", false, None)[2], ("topic", "Critical · DiskFull · db-1".to_owned()));
    let form = body::message(&page, "alerts", false, Some("news"));
    assert_eq!(form[3], ("content", "Backup finished\n\n42 GiB".to_owned()));
}

#[tokio::test]
async fn plain_pages_ping_nobody_and_topics_are_cut() {
    let server = ScriptedServer::start([Scripted::from(OK), Scripted::from(OK)]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut page = page(&[("topic", &"t".repeat(80)), ("text", "@**all** ```x [a](https://e)")]);
    built.channel.send(&page, &channel(), &context()).await;
    page.plain = true;
    page.fields.insert("topic".into(), "Disk full".into());
    built.channel.send(&page, &channel(), &context()).await;
    let sent: Vec<_> = server.seen().iter().map(|seen| form(&seen.body)).collect();
    assert_eq!(sent[0]["topic"], format!("{}…", "t".repeat(59)));
    assert_eq!(sent[1]["topic"], "Disk full");
    assert_eq!(sent[1]["content"], "@\u{200B}**all** `\u{200B}``x [a]\u{200B}(https://e)");
}

/// All of Zulip's answers are in refusals.yaml; here is what they tell people, and what is never shown.
#[tokio::test]
async fn answers_say_what_to_do_and_hold_no_secret() {
    let slow = r#"{"code":"RATE_LIMIT_HIT","msg":"API usage exceeded rate limit","result":"error","retry-after":28.7}"#;
    let wait = RateLimited { retry_after: Some(Duration::from_secs_f64(28.7)) };
    let rows = [
        (Scripted::new(429, slow), wait, "RATE_LIMIT_HIT"),
        (Scripted::new(401, r#"{"code":"INVALID_API_KEY","msg":"k3y-S3CRET","result":"error"}"#), Misconfigured, "INVALID_API_KEY"),
        (Scripted::new(400, r#"{"code":"BAD_REQUEST","msg":"Invalid email 'x@y'","result":"error"}"#), Rejected, "BAD_REQUEST"),
        (Scripted::from(r#"{"result":"success","msg":""}"#), Ambiguous, "HTTP 200"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &channel(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert_eq!(results[0].1.as_ref().unwrap_err().recipient, *kind == Rejected, "only the person is refused: other words would not help");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[tokio::test]
async fn a_mention_that_is_not_allowed_is_told_as_one() {
    let refusal = r#"{"code":"STREAM_WILDCARD_MENTION_NOT_ALLOWED","msg":"no","result":"error"}"#;
    let server = ScriptedServer::start([Scripted::new(400, refusal)]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let results = built.channel.send(&page(&[("text", "x")]), &channel(), &context()).await;
    let error = results[0].1.as_ref().unwrap_err();
    assert!(error.kind == Rejected && error.mentions, "{error:?}");
}

#[test]
fn a_page_is_measured_in_characters_with_its_pings() {
    let mut page = page(&[("topic", "t"), ("text", &"告".repeat(9_000))]);
    assert_eq!((DESCRIPTOR.measure)(&page), Size::characters(9_000, 10_000));
    page.facts.mentions.users = vec!["Bo".into()];
    assert_eq!((DESCRIPTOR.measure)(&page), Size::characters(9_008, 10_000));
}

#[test]
fn mistakes_are_found_without_secrets() {
    let check = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap().check().into_iter().map(|p| p.path).collect::<Vec<_>>();
    assert_eq!(check("{ site: x, email: bot, api_key: k }"), ["zulip.site", "zulip.email", "zulip.channel"]);
    assert_eq!(check("{ site: 'https://z', email: b@z, api_key: k, channel: a, to: [1] }"), ["zulip.to"]);
    assert_eq!(check("{ site: 'https://z', email: b@z, api_key: k, to: [anna, 10], topic: x }"), ["zulip.to[0]", "zulip.topic"]);
    assert_eq!(check("{ site: 'https://z', email: b@z, api_key: k, channel: 9, topic: ' ' }"), ["zulip.topic"]);
}
