//! Discord: what is sent and whom it pings, what answers mean, how a page is measured, and what never shows.

use std::time::Duration;

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{Language, Link, LinkKind, Size};

const CONFIG: &str = "{ webhook: 'https://discord.com/api/webhooks/4711/t0ken-S3CRET', username: Watchfire, thread_id: '99', api_base: BASE }";
const OK: &str = r#"{"id":"1100","channel_id":"7","type":0}"#;

fn hook() -> [Recipient; 1] {
    [Recipient::new("@webhook")]
}

#[tokio::test]
async fn an_embed_with_the_pings_that_were_asked_for_and_no_others() {
    let server = ScriptedServer::start([Scripted::from(OK), Scripted::from(OK), Scripted::new(204, "")]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut page = rich(&[("title", "Disk"), ("text", "**Disk** @everyone db-1")]);
    page.facts.mentions.users = vec!["4711".into()];
    page.facts.mentions.groups = vec!["815".into()];
    assert_eq!(kinds(&built.channel.send(&page, &hook(), &context()).await), [Ok(Some("channel_id 7, message_id 1100, thread_id 99".to_owned()))]);
    page.plain = true;
    page.facts.mentions = Mentions::default();
    built.channel.send(&page, &hook(), &context()).await;
    assert_eq!(kinds(&built.channel.send(&page, &hook(), &context()).await), [Ok(None)]);
    let seen = server.seen();
    assert_eq!(seen[0].uri.to_string(), "/api/webhooks/4711/t0ken-S3CRET?wait=true&thread_id=99");
    assert!(seen[0].header("user-agent").starts_with("DiscordBot ("));
    insta::assert_json_snapshot!("embed", seen[0].json());
    insta::assert_json_snapshot!("plain", seen[1].json());
}

#[tokio::test]
async fn answers_mean_what_discord_says() {
    let no = |status: u16, code: i64| Scripted::new(status, format!(r#"{{"message":"why","code":{code}}}"#).into_bytes());
    let form = |errors: &str| Scripted::new(400, format!(r#"{{"code":50035,"message":"Invalid Form Body","errors":{errors}}}"#).into_bytes());
    let slow = r#"{"message":"You are being rate limited.","retry_after":1.5,"global":false}"#;
    let rows = [
        (Scripted::new(429, slow), RateLimited { retry_after: Some(Duration::from_millis(1500)) }, "HTTP 429"),
        (no(404, 10015), Misconfigured, "10015"),
        (no(401, 50027), Misconfigured, "50027"),
        (no(400, 50035), Rejected, "50035"),
        (no(400, 50006), Rejected, "50006"),
        (no(500, 0), Transient, "HTTP 500"),
        (
            Scripted::new(429, "<html>slow down</html>").header("retry-after", "9"),
            RateLimited { retry_after: Some(Duration::from_secs(9)) },
            "HTTP 429",
        ),
        (Scripted::from("<html>login</html>"), Transient, "HTTP 200"),
        // The channel: a forum without a thread, an archived or locked one, a name that is not allowed, a thread that is none.
        (no(400, 220_001), Misconfigured, "220001"),
        (no(400, 50083), Misconfigured, "50083"),
        (no(403, 160_005), Misconfigured, "160005"),
        (no(400, 10003), Misconfigured, "10003"),
        (no(403, 50013), Misconfigured, "50013"),
        (form(r#"{"username":{"_errors":[{"code":"USERNAME_INVALID_CONTAINS"}]}}"#), Misconfigured, "50035"),
        (Scripted::new(400, r#"{"thread_id":["Value \"x\" is not snowflake."]}"#), Misconfigured, "HTTP 400"),
        // The message.
        (form(r#"{"embeds":{"0":{"title":{"_errors":[{"code":"BASE_TYPE_MAX_LENGTH"}]}}}}"#), Rejected, "50035"),
        (Scripted::new(400, r#"{"embeds":["0"]}"#), Rejected, "HTTP 400"),
        (no(400, 200_000), Rejected, "200000"),
        (no(400, 240_000), Rejected, "240000"),
        (no(413, 40005), Rejected, "40005"),
        // Discord itself.
        (no(400, 130_000), Transient, "130000"),
        (no(503, 10015), Transient, "10015"),
        (no(429, 10015), RateLimited { retry_after: None }, "10015"),
        (no(400, 20028), RateLimited { retry_after: None }, "20028"),
        (Scripted::new(403, "error code: 1015"), RateLimited { retry_after: None }, "HTTP 403"),
        (Scripted::new(429, "error code: 1015").header("retry-after", "30"), RateLimited { retry_after: Some(Duration::from_secs(30)) }, "HTTP 429"),
        (Scripted::new(403, "error code: 1020"), Misconfigured, "HTTP 403"),
        // No word of success, or one under another status.
        (Scripted::from("{}"), Ambiguous, "HTTP 200"),
        (Scripted::from(r#"{"id":"","channel_id":"7"}"#), Ambiguous, "HTTP 200"),
        (Scripted::new(302, OK), Misconfigured, "HTTP 302"),
        (Scripted::new(400, OK), Rejected, "HTTP 400"),
        (Scripted::new(500, OK), Transient, "HTTP 500"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &hook(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[tokio::test]
async fn a_refused_mention_is_told_as_one_and_what_is_no_id_is_never_named_as_one() {
    let refusal =
        r#"{"code":50035,"message":"Invalid Form Body","errors":{"allowed_mentions":{"users":{"0":{"_errors":[{"code":"NUMBER_TYPE_COERCE"}]}}}}}"#;
    let server = ScriptedServer::start([Scripted::new(400, refusal)]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut page = page(&[("text", "x")]);
    let users = ["anna".to_owned(), "12".to_owned(), "12".to_owned()].into_iter().chain((0..150).map(|n| format!("{}", 1000 + n)));
    page.facts.mentions = Mentions { users: users.collect(), groups: vec!["77".into(), "@ops".into()], ..Mentions::default() };
    let results = built.channel.send(&page, &hook(), &context()).await;
    let error = results[0].1.as_ref().unwrap_err();
    assert!(error.kind == Rejected && error.mentions, "{error:?}");
    let sent = server.seen()[0].json();
    let named = sent["allowed_mentions"]["users"].as_array().unwrap();
    assert!(named.len() == 100 && named[0] == "12" && named[1] == "1000", "{named:?}");
    assert_eq!(sent["allowed_mentions"]["roles"], serde_json::json!(["77"]));
    let content = sent["content"].as_str().unwrap();
    assert!(content.starts_with("<@&77> <@12> <@1000>") && content.ends_with("@anna @ops (+51 not pinged)"), "{content}");
}

#[test]
fn an_embed_shows_only_pictures_that_discord_takes() {
    let url = |image: &str| {
        let mut page = page(&[("text", "x")]);
        page.facts.image = image.to_owned();
        serde_json::to_value(body::message(&page, None, false)).unwrap()["embeds"][0]["image"]["url"].as_str().map(str::to_owned)
    };
    let long = format!("https://h.example/{}", "x".repeat(2040));
    for refused in ["http://alertmanager:9093/#/alerts", "http://localhost/", "http://[::1]:9093/", "ftp://h.example/", "http://h./", "/x", "", &long]
    {
        assert_eq!(url(refused), None, "{refused}");
    }
    for taken in ["http://10.0.0.1:9093/", "https://grafana.example.com/d/x?a=1&b=2"] {
        assert_eq!(url(taken).as_deref(), Some(taken));
    }
}

/// "Not a well formed URL" refuses the whole message, for any address of an embed; within the description a link is text like any other.
#[test]
fn an_embed_links_only_to_what_discord_takes() {
    let long = format!("https://grafana.example.com/{}", "x".repeat(2048));
    let embed = |url: &str| {
        let mut page = page(&[("text", "[source](http://alertmanager:9093/)")]);
        page.facts.links = vec![Link { kind: LinkKind::Source, label: "source".into(), url: url.to_owned() }];
        page.facts.image = url.to_owned();
        serde_json::to_value(body::message(&page, None, false)).unwrap()["embeds"][0].clone()
    };
    for refused in ["http://alertmanager:9093/#/alerts", &long] {
        let embed = embed(refused);
        let mut members: Vec<&String> = embed.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(members, ["color", "description"], "{refused}");
        assert_eq!(embed["description"], "[source](http://alertmanager:9093/)");
    }
    let taken = embed("https://grafana.example.com/d/x");
    assert_eq!((taken["image"]["url"].as_str(), taken.get("url")), (Some("https://grafana.example.com/d/x"), None));
}

/// A locked phone shows the content: what it is about, behind who is pinged. What others wrote is no markup there.
#[test]
fn the_headline_is_what_a_notification_shows() {
    let content = |title: &str, users: &[&str]| {
        let mut page = page(&[("title", title), ("text", "x")]);
        page.facts.mentions.users = users.iter().map(|user| (*user).to_owned()).collect();
        serde_json::to_value(body::message(&page, None, false)).unwrap()["content"].as_str().map(str::to_owned)
    };
    assert_eq!(content("🔴 Critical · DiskFull · db-1", &[]).as_deref(), Some("**🔴 Critical · DiskFull · db-1**"));
    assert_eq!(content("a**b `c` <@9>", &["12"]).as_deref(), Some("<@12> **a\\*\\*b \\`c\\` \\<@9>**"));
    assert_eq!(content("", &[]), None);
}

#[test]
fn plain_text_holds_no_markup_and_its_addresses_stay() {
    let content = |text: &str, direct: bool| {
        let mut page = page(&[("text", text)]);
        page.plain = true;
        assert!(direct || (DESCRIPTOR.measure)(&page).used >= text.len());
        serde_json::to_value(body::message(&page, None, direct)).unwrap()["content"].as_str().unwrap().to_owned()
    };
    let forged = "[Runbook](https://evil.example/login) ||97% full||\n# big\n```\n- a_b _c_ - d <@4711>";
    let escaped = "\\[Runbook\\](https://evil.example/login) \\|\\|97% full\\|\\|\n\\# big\n\\`\\`\\`\n\\- a_b \\_c\\_ - d \\<@4711>";
    assert_eq!((content(forged, false).as_str(), content(forged, true).as_str()), (escaped, forged));
    assert_eq!(content("see https://h.example/a_b_?x=_y_#z", false), "see https://h.example/a_b_?x=_y_#z");
}

#[test]
fn the_description_is_what_counts() {
    assert_eq!((DESCRIPTOR.measure)(&page(&[("text", &"x".repeat(4000))])), Size::characters(4000, 4096));
    let wide = page(&[("title", &"t".repeat(300)), ("text", &"x".repeat(4000)), ("footer", &"f".repeat(3000))]);
    assert_eq!((DESCRIPTOR.measure)(&wide), Size::characters(4000, 4096), "title and footer are cut");
    let sent = serde_json::to_value(body::message(&wide, None, false)).unwrap();
    let length = |text: &serde_json::Value| text.as_str().unwrap().encode_utf16().count();
    assert_eq!((length(&sent["content"]), length(&sent["embeds"][0]["footer"]["text"])), (256 + 4, 500), "{sent}");
    let mut plain = page(&[("text", "xx")]);
    plain.plain = true;
    assert_eq!((DESCRIPTOR.measure)(&plain), Size::characters(2, 2000));
}

/// A content that is too long has the whole message refused; who is not pinged is counted in it.
#[test]
fn a_crowd_is_pinged_as_far_as_the_content_has_room() {
    let mut crowd = page(&[("title", &"*".repeat(300)), ("text", "x")]);
    crowd.facts.mentions.all = true;
    crowd.facts.mentions.users = (0..100).map(|n| format!("10000000000000{n:04}")).collect();
    let sent = |page: &Page| serde_json::to_value(body::message(page, None, false)).unwrap();
    for (language, said) in [(Language::En, " (+35 not pinged) **\\*"), (Language::Zh, " （另有 35 人未提醒） **\\*")] {
        crowd.facts.language = language;
        let sent = sent(&crowd);
        let content = sent["content"].as_str().unwrap();
        assert!(content.encode_utf16().count() <= 2000, "{content}");
        assert!(content.starts_with("@everyone <@100000000000000000> ") && content.contains(said) && content.ends_with("…**"), "{content}");
        let named = sent["allowed_mentions"]["users"].as_array().unwrap();
        assert_eq!((named.len(), content.matches("<@").count()), (65, 65), "who is named is in the content: {content}");
    }
    crowd.plain = true;
    assert!((DESCRIPTOR.measure)(&crowd).used <= 2000, "a plain text has room beside them");
}

#[test]
fn mistakes_are_found_without_secrets() {
    let check = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap().check().into_iter().map(|p| p.path).collect::<Vec<_>>();
    assert_eq!(check("{ webhook: a, mentions: { users: [anna], mobiles: ['1'] } }"), ["discord.mentions.users[0]", "discord.mentions.mobiles"]);
    let problems = build::<Config>("{ webhook: 'S3CRET' }", "").err().unwrap();
    assert!(problems[0].message.contains("not an address") && !format!("{problems:?}").contains("S3CRET"), "{problems:?}");
}
