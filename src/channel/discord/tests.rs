//! Discord: what is sent and whom it pings, what answers mean, how a page is measured, and what never shows.

use super::*;
use crate::channel::kit::stand::{Answer as Scripted, Stand, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};
use crate::model::Size;

const CONFIG: &str = "{ webhook: 'https://discord.com/api/webhooks/4711/t0ken-S3CRET', username: Watchfire, thread_id: '99', api_base: BASE }";
const OK: &str = r#"{"id":"1100","type":0}"#;

fn hook() -> [Recipient; 1] {
    [Recipient::new("@webhook")]
}

#[tokio::test]
async fn an_embed_with_the_pings_that_were_asked_for_and_no_others() {
    let stand = Stand::start([Scripted::from(OK), Scripted::from(OK), Scripted::new(204, "")]).await;
    let built = build::<Config>(CONFIG, &stand.base).unwrap();
    let mut page = rich(&[("title", "Disk"), ("text", "**Disk** @everyone db-1")]);
    assert_eq!(kinds(&built.channel.send(&page, &hook(), &context()).await), [Ok(Some("1100".to_owned()))]);
    page.plain = true;
    page.facts.mentions = Mentions::default();
    built.channel.send(&page, &hook(), &context()).await;
    assert_eq!(kinds(&built.channel.send(&page, &hook(), &context()).await), [Ok(None)]);
    let seen = stand.seen();
    assert_eq!(seen[0].uri.to_string(), "/api/webhooks/4711/t0ken-S3CRET?wait=true&thread_id=99");
    assert!(seen[0].header("user-agent").starts_with("DiscordBot ("));
    insta::assert_json_snapshot!("embed", seen[0].json());
    insta::assert_json_snapshot!("plain", seen[1].json());
}

#[tokio::test]
async fn answers_mean_what_discord_says() {
    let no = |status: u16, code: i64| Scripted::new(status, format!(r#"{{"message":"why","code":{code}}}"#).into_bytes());
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
    ];
    let stand = Stand::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(CONFIG, &stand.base).unwrap();
    for (answer, kind, code) in &rows {
        let results = built.channel.send(&page(&[("text", "x")]), &hook(), &context()).await;
        assert_eq!(kinds(&results), [Err((*kind, Some((*code).to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("S3CRET"));
    }
}

#[test]
fn the_limit_that_is_nearest_is_the_one_that_counts() {
    assert_eq!((PLATFORM.measure)(&page(&[("text", &"x".repeat(4000))])), Size::characters(4000, 4096));
    let mut wide = page(&[("title", "t"), ("text", &"x".repeat(4000))]);
    wide.facts.pairs = (0..8).map(|n| (format!("{n}{}", "n".repeat(255)), "v".repeat(128))).collect();
    assert_eq!((PLATFORM.measure)(&wide), Size::characters(1 + 4000 + 8 * (256 + 128), 6000));
    let mut plain = page(&[("text", "xx")]);
    plain.plain = true;
    assert_eq!((PLATFORM.measure)(&plain), Size::characters(2, 2000));
}

#[test]
fn mistakes_are_found_without_secrets() {
    let check = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap().check().into_iter().map(|p| p.path).collect::<Vec<_>>();
    assert_eq!(check("{ webhook: a, at: { users: [anna], mobiles: ['1'] } }"), ["discord.at.users[0]", "discord.at.mobiles"]);
    let problems = build::<Config>("{ webhook: 'S3CRET' }", "").err().unwrap();
    assert!(problems[0].message.contains("not an address") && !format!("{problems:?}").contains("S3CRET"), "{problems:?}");
}
