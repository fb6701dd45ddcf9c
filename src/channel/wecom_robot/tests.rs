//! WeCom robot: what is sent, what answers mean, how a page is measured, and what never shows.

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};

const CONFIG: &str = "{ key: r0b0t-S3CRET, api_base: BASE }";

fn room() -> [Recipient; 1] {
    [Recipient::new("@robot")]
}

#[tokio::test]
async fn markdown_names_users_and_text_has_lists() {
    let server = ScriptedServer::start([Scripted::from(r#"{"errcode":0,"errmsg":"ok"}"#), Scripted::from(r#"{"errcode":0,"errmsg":"ok"}"#)]).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    let mut page = rich(&[("text", "**磁盘** db-1\u{7}\n")]);
    // As Watchfire sends it: whom markdown cannot ping gets a message beside it.
    let everybody = page.facts.mentions.clone();
    page.facts.mentions = DESCRIPTOR.pings.pick(&everybody, &[Ping::Inside]);
    assert_eq!(kinds(&built.channel.send(&page, &room(), &context()).await), [Ok(None)]);
    (page.plain, page.facts.mentions) = (true, everybody);
    assert_eq!(kinds(&built.channel.send(&page, &room(), &context()).await), [Ok(None)]);
    let seen = server.seen();
    assert_eq!(seen[0].uri.to_string(), "/cgi-bin/webhook/send?key=r0b0t-S3CRET");
    insta::assert_json_snapshot!("markdown", seen[0].json());
    insta::assert_json_snapshot!("text", seen[1].json());
}

#[tokio::test]
async fn answers_mean_what_wecom_says() {
    let minute = RateLimited { retry_after: Some(Duration::from_secs(60)) };
    let no = |code: i64| Scripted::from(format!(r#"{{"errcode":{code},"errmsg":"why, hint: [1]"}}"#).as_str());
    let rows = [
        (no(-1), Transient, "-1"),
        (no(45009), minute, "45009"),
        (no(93000), Misconfigured, "93000"),
        (no(93004), Misconfigured, "93004"),
        (no(93008), Misconfigured, "93008"),
        (no(40058), Rejected, "40058"),
        (no(44004), Rejected, "44004"),
        (no(82004), Rejected, "82004"),
        (no(60020), Misconfigured, "60020"),
        (no(99999), Rejected, "99999"),
        (Scripted::from(r#"{"errcode":99999,"errmsg":"发送频率过高"}"#), minute, "99999"),
        (Scripted::new(404, r#"{"errcode":99999,"errmsg":"x"}"#), Misconfigured, "99999"),
        (
            Scripted::new(429, r#"{"errcode":93000,"errmsg":"x"}"#).header("retry-after", "90"),
            RateLimited { retry_after: Some(Duration::from_secs(90)) },
            "93000",
        ),
        (Scripted::new(503, r#"{"errcode":93000,"errmsg":"x"}"#), Transient, "93000"),
        (Scripted::new(502, "<html>"), Transient, "HTTP 502"),
        (Scripted::from("<html>login</html>"), Transient, "HTTP 200"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(CONFIG, &server.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &room(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[test]
fn plain_text_pings_only_whom_it_means_to() {
    let mut page = page(&[("text", "<@zhangsan> of ops@example.com")]);
    page.plain = true;
    let content = |direct: bool| serde_json::to_value(body::message(&page, direct)).unwrap()["text"]["content"].as_str().unwrap().to_owned();
    assert_eq!((content(false).as_str(), content(true).as_str()), ("<\u{200B}@zhangsan> of ops@example.com", "<@zhangsan> of ops@example.com"));
    assert_eq!((DESCRIPTOR.measure)(&page).used, content(false).len());
}

#[test]
fn pages_are_measured_in_the_bytes_of_what_is_sent() {
    let mut page = page(&[("text", "磁盘")]);
    assert_eq!((DESCRIPTOR.measure)(&page), crate::model::Size::bytes(6, 4096));
    page.facts.mentions.users = vec!["zhangsan".into()];
    assert_eq!((DESCRIPTOR.measure)(&page).used, 6 + 2 + "<@zhangsan>".len());
    page.facts.mentions.all = true;
    assert_eq!((DESCRIPTOR.measure)(&page).used, 6 + 2 + "<@zhangsan>".len(), "everybody is pinged by a message beside it");
    page.facts.mentions.all = false;
    page.plain = true;
    assert_eq!((DESCRIPTOR.measure)(&page), crate::model::Size::bytes(6, 2048));
}

#[test]
fn an_address_in_the_keys_place_is_told() {
    let problems = build::<Config>("{ key: 'https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=S3CRET' }", "").err().unwrap();
    assert!(problems[0].message.contains("not a key") && !format!("{problems:?}").contains("S3CRET"), "{problems:?}");
}
