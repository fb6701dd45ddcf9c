//! DingTalk: signature vectors, what is sent, what answers mean, how a page is measured, and what never shows.

use proptest::prelude::*;

use super::body::Style;
use super::*;
use crate::channel::kit::test_server::{Answer, Literals, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{ErrorKind, Language};

const SIGNED: &str = "{ access_token: t0kenS3CRET, secret: SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, api_base: BASE }";
const OK: &str = r#"{"errcode":0,"errmsg":"ok"}"#;

fn room() -> [Recipient; 1] {
    [Recipient::new("@robot")]
}

#[test]
fn signatures_match_the_published_vector_and_one_computed_elsewhere() {
    assert_eq!(sign(&Secret::new("this is a secret"), 1_577_262_236_757), "DJrE6qdyVGCQz9z5r2MDuNcNAhwYnuAkyj13cx169CA=");
    let secret = Secret::new("SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    assert_eq!(sign(&secret, 1_700_000_000_000), "bTgY2yDbep+wesS7jKiNj+srsHoADES4+C4f8LCHFtU=");
}

#[tokio::test]
async fn markdown_is_signed_and_pings_in_text_and_in_at() {
    let server = ScriptedServer::start([Answer::from(OK)]).await;
    let built = build::<Config>(SIGNED, &server.base).unwrap();
    let page = rich(&[("title", "[P1] 磁盘 db-1"), ("text", "### 磁盘\n\n> db-1\n")]);
    let results = built.channel.send(&page, &room(), &context()).await;
    assert_eq!(kinds(&results), [Ok(None)]);
    let seen = &server.seen()[0];
    assert_eq!(
        seen.uri.to_string(),
        "/robot/send?access_token=t0kenS3CRET&timestamp=1700000000000&sign=bTgY2yDbep%2BwesS7jKiNj%2BsrsHoADES4%2BC4f8LCHFtU%3D"
    );
    assert_eq!(seen.method, "POST");
    insta::assert_json_snapshot!("markdown", seen.json());
}

#[tokio::test]
async fn plain_pages_go_as_text_without_a_signature_when_there_is_no_secret() {
    let server = ScriptedServer::start([Answer::from(OK)]).await;
    let built = build::<Config>("{ access_token: abcd, api_base: BASE, keyword: 告警 }", &server.base).unwrap();
    let mut page = page(&[("text", "db-1 down @13800000000")]);
    page.plain = true;
    page.facts.mentions.mobiles = vec!["13800000000".into(), "1380000000".into()];
    page.facts.mentions.all = true;
    built.channel.send(&page, &room(), &context()).await;
    assert_eq!(server.seen()[0].uri.to_string(), "/robot/send?access_token=abcd");
    insta::assert_json_snapshot!("text", server.seen()[0].json());
}

#[test]
fn a_title_is_never_missing_and_nobody_is_pinged_unasked() {
    let title = |page: &Page| serde_json::to_value(body::message(page, "k", Style::default())).unwrap()["markdown"]["title"].clone();
    let mut page = page(&[("text", "\n\nfirst\nsecond")]);
    assert_eq!(title(&page), "first");
    page.facts.title = "facts".into();
    assert_eq!(title(&page), "facts");
    assert_eq!(title(&Page::default()), "-");
    let body = serde_json::to_value(body::message(&page, "k", Style::default())).unwrap();
    assert!(body.get("at").is_none());
}

#[test]
fn everybody_is_named_in_the_messages_language_and_a_keyword_is_added_once() {
    let mut page = page(&[("text", "x")]);
    page.facts.mentions.all = true;
    let text = |page: &Page, keyword| {
        serde_json::to_value(body::message(page, "k", Style { keyword, card: false })).unwrap()["markdown"]["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(text(&page, Some("alert")), "x\n\nalert\n\n@all");
    page.facts.language = Language::Zh;
    assert_eq!(text(&page, Some("x")), "x\n\n@所有人");
}

#[test]
fn at_most_fifty_are_pinged() {
    let mut page = page(&[("text", "x")]);
    page.facts.mentions.mobiles = (0..40).map(|n| format!("138{n:08}")).collect();
    page.facts.mentions.users = (0..40).map(|n| format!("user{n}")).collect();
    let body = serde_json::to_value(body::message(&page, "k", Style::default())).unwrap();
    assert_eq!(body["at"]["atMobiles"].as_array().unwrap().len(), 40);
    assert_eq!(body["at"]["atUserIds"].as_array().unwrap().len(), 10);
    assert_eq!(body["markdown"]["text"].as_str().unwrap().matches('@').count(), 50);
}

#[tokio::test]
async fn answers_mean_what_dingtalk_says() {
    let wait = |seconds| RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
    let no = |code: i64, text: &str| Answer::new(200, serde_json::json!({ "errcode": code, "errmsg": text }).to_string());
    let punished =
        r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute","status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}"#;
    let rows: Vec<(Answer, ErrorKind, &str)> = vec![
        (no(-1, "系统繁忙"), Transient, "-1"),
        (no(130_101, "send too fast, exceed 20 times per minute"), wait(600), "130101"),
        (Answer::from(punished), wait(600), "130101"),
        (Answer::from(r#"{"errcode":130101,"errmsg":"send too fast","wait":900}"#), wait(900), "130101"),
        (no(410_100, "发送速度太快而限流"), wait(600), "410100"),
        (no(660_026, "sending too many messages per minute"), wait(600), "660026"),
        (no(90_030, "quota"), Misconfigured, "90030"),
        (no(310_000, "keywords not in content, more: [https://ding-doc.dingtalk.com]"), Rejected, "310000"),
        (no(310_000, "sign not match"), Misconfigured, "310000"),
        (no(310_000, "ip 1.2.3.4 not in whitelist"), Misconfigured, "310000"),
        (no(310_000, "错误描述:其他"), Rejected, "310000"),
        (no(310_000, "消息中包含敏感词"), Rejected, "310000"),
        (no(310_000, ""), Misconfigured, "310000"),
        (no(88, "ding talk error[subcode=90018,submsg=您的服务器调用钉钉开放平台所有接口的请求都被暂时禁用了]"), wait(600), "88"),
        (no(88, "flow control"), wait(600), "88"),
        (no(88, "ding talk error[subcode=40014,submsg=不合法的access_token]"), Misconfigured, "88"),
        (no(88, "unheard of"), Rejected, "88"),
        (no(310_000, "description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;"), Rejected, "310000"),
        (no(310_000, "错误描述:关键词不匹配;解决方案:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;"), Rejected, "310000"),
        (no(310_000, "消息内容中不包含任何关键词"), Rejected, "310000"),
        (no(310_000, "description:keywords not in content;solution:check the ip, the sign and the timestamp;"), Rejected, "310000"),
        (
            no(
                310_000,
                "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确;link:…",
            ),
            Misconfigured,
            "310000",
        ),
        (no(310_000, "description:ip 不在白名单中;solution:请联系对应群的管理员，设置机器人安全ip地址段"), Misconfigured, "310000"),
        (no(400_402, "miss param : markdown->title"), Rejected, "400402"),
        (no(90_018, "您的服务器调用钉钉开放平台当前接口的所有请求都被暂时禁用了"), wait(600), "90018"),
        (Answer::new(429, r#"{"errcode":310000,"errmsg":"sign not match"}"#), wait(600), "310000"),
        (Answer::new(502, r#"{"errcode":310000,"errmsg":"sign not match"}"#), Transient, "310000"),
        (Answer::new(500, r#"{"errcode":460101,"errmsg":"message too long"}"#), Transient, "460101"),
        (no(300_005, "token is not exist"), Misconfigured, "300005"),
        (no(300_001, "token is not exist"), Misconfigured, "300001"),
        (no(300_001, "message param title is null"), Rejected, "300001"),
        (no(40_035, "缺少参数 access_token"), Misconfigured, "40035"),
        (no(40_035, "缺少参数 json"), Rejected, "40035"),
        (no(43_004, "无效的HTTP HEADER Content-Type"), Rejected, "43004"),
        (no(400_013, "群已被解散"), Misconfigured, "400013"),
        (no(400_102, "机器人已停用"), Misconfigured, "400102"),
        (no(400_105, "不支持的消息类型"), Rejected, "400105"),
        (no(430_102, "含有不合适的文本"), Rejected, "430102"),
        (no(460_101, "message too long, exceed 20000 bytes"), Rejected, "460101"),
        (no(101_002, "message is too long"), Rejected, "101002"),
        (no(987_654, "new"), Rejected, "987654"),
        (no(302_033, "send too fast, exceed 20 times per minute"), wait(600), "302033"),
        (no(987_654, "调用过于频繁"), wait(600), "987654"),
        (no(40_014, "不合法的access_token"), Misconfigured, "40014"),
        (Answer::new(500, r#"{"errcode":987654,"errmsg":"new"}"#), Transient, "987654"),
        (Answer::from(r#"{"errcode":"310000","errmsg":"sign not match"}"#), Misconfigured, "310000"),
        (Answer::from("<html>punish</html>"), wait(300), "HTTP 200"),
        (Answer::from(r#"{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}"#), wait(300), "HTTP 200"),
        (Answer::from(r#"{"status":1111,"wait":400}"#), wait(400), "HTTP 200"),
        (Answer::from(r#"{"wait":18446744073709551615}"#), wait(86_400), "HTTP 200"),
        (Answer::from(""), wait(300), "HTTP 200"),
        (Answer::new(403, "<html>"), wait(300), "HTTP 403"),
        (Answer::new(429, "").header("retry-after", "1000"), wait(1000), "HTTP 429"),
        (Answer::new(429, "").header("retry-after", "7"), wait(7), "HTTP 429"),
        (Answer::new(503, r#"{"errcode":-1,"errmsg":"busy"}"#).header("retry-after", "5"), wait(5), "-1"),
        (Answer::new(502, "<html>"), Transient, "HTTP 502"),
        (Answer::new(502, OK), Transient, "0"),
        (Answer::new(404, "<html>"), Misconfigured, "HTTP 404"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(SIGNED, &server.base).unwrap();
    for (answer, kind, code) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &room(), &context()).await;
        assert_eq!(kinds(&results), [Err((kind, Some(code.to_owned())))], "{answer:?}");
    }
}

/// All that 310000 says, in both languages, and the advice that each gets: the solution to one setting names the others, and is not read.
#[tokio::test]
async fn a_security_setting_is_told_by_the_words_of_the_complaint() {
    let rows = [
        ("keywords not in content, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]", "keywords"),
        ("description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;", "keywords"),
        ("sign not match, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]", "signature does not match"),
        ("description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中;", "signature does not match"),
        ("invalid timestamp, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]", "clock"),
        ("description:机器人发送签名过期;solution:签名生成时间和发送时间请保持在 timestampms 以内;", "clock"),
        ("ip 1.2.3.4 not in whitelist, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]", "address is not in"),
        ("description:ip 不在白名单中;solution:请联系对应群的管理员，设置机器人安全ip地址段", "address is not in"),
        ("description:新的限制;solution:请设置签名、关键词或ip", "security settings refuse it"),
    ];
    let answers = rows.iter().map(|(text, _)| Answer::new(200, serde_json::json!({ "errcode": 310_000, "errmsg": text }).to_string()));
    let server = ScriptedServer::start(answers).await;
    let built = build::<Config>("{ access_token: abcd, api_base: BASE }", &server.base).unwrap();
    for (text, advice) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &room(), &context()).await;
        let error = results[0].1.as_ref().unwrap_err();
        assert!(error.summary.contains(advice), "{text}: {error}");
        let of_message = matches!(advice, "keywords" | "security settings refuse it");
        assert_eq!(error.kind == Rejected, of_message, "{text}: what may be a fault of the message leaves the channel open");
    }
}

#[tokio::test]
async fn a_refused_mention_is_told_from_a_refused_message() {
    let no = |text: &str| Answer::new(200, serde_json::json!({ "errcode": 40_035, "errmsg": text }).to_string());
    let server = ScriptedServer::start([no("参数错误 atMobiles"), no("缺少参数 content")]).await;
    let built = build::<Config>("{ access_token: abcd, api_base: BASE }", &server.base).unwrap();
    for mentions in [true, false] {
        let results = built.channel.send(&page(&[("text", "x")]), &room(), &context()).await;
        assert_eq!(results[0].1.as_ref().unwrap_err().mentions, mentions);
    }
}

#[tokio::test]
async fn a_wrong_clock_is_mended_once_by_the_servers() {
    let late = || Answer::from(r#"{"errcode":310000,"errmsg":"invalid timestamp"}"#).header("date", "Wed, 15 Nov 2023 22:13:20 GMT");
    let server = ScriptedServer::start([late(), Answer::from(OK), late(), late()]).await;
    let built = build::<Config>(SIGNED, &server.base).unwrap();
    assert_eq!(kinds(&built.channel.send(&page(&[("text", "x")]), &room(), &context()).await), [Ok(None)]);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].query("timestamp").unwrap(), "1700000000000");
    assert_eq!(seen[1].query("timestamp").unwrap(), "1700086400000");
    assert_ne!(seen[0].query("sign"), seen[1].query("sign"));
    assert_eq!(seen[0].body, seen[1].body);

    let results = built.channel.send(&page(&[("text", "x")]), &room(), &context()).await;
    assert_eq!(kinds(&results), [Err((Misconfigured, Some("310000".into())))]);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn no_secret_shows() {
    let echo = r#"{"errcode":310000,"errmsg":"sign not match: t0kenS3CRET SEC0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}"#;
    let server = ScriptedServer::start([Answer::from(echo)]).await;
    let config: Config = serde_yaml::from_str(SIGNED).unwrap();
    let built = build::<Config>(SIGNED, &server.base).unwrap();
    let mut shown = format!("{config:?} {:?} ", built.outlet);
    shown += &format!("{:?}", built.channel.send(&page(&[("text", "x")]), &room(), &context()).await);
    let closed = build::<Config>(SIGNED, "http://127.0.0.1:1").unwrap();
    shown += &format!("{:?}", closed.channel.send(&page(&[("text", "x")]), &room(), &context()).await);
    assert!(!shown.contains("S3CRET") && !shown.contains("SEC0123"), "{shown}");
    assert!(shown.contains("sign not match: <secret>"), "{shown}");
}

#[test]
fn mistakes_are_found_without_secrets() {
    let paths = |yaml: &str| serde_yaml::from_str::<Config>(yaml).unwrap().check().into_iter().map(|problem| problem.path).collect::<Vec<_>>();
    assert_eq!(paths("{ access_token: { env: T }, secret: { file: s }, mentions: { mobiles: ['+86-13800000000'], all: true } }"), [""; 0]);
    assert_eq!(
        paths("{ access_token: '', secret: true, keyword: ' ', api_base: x }"),
        ["dingtalk.access_token", "dingtalk.secret", "dingtalk.keyword", "dingtalk.api_base"]
    );
    assert_eq!(
        paths("{ access_token: t, mentions: { mobiles: ['138', zhang], groups: [g] } }"),
        ["dingtalk.mentions.mobiles[1]", "dingtalk.mentions.groups"]
    );
    let many = (0..51).map(|n| n.to_string()).collect::<Vec<_>>().join("', '");
    assert_eq!(paths(&format!("{{ access_token: t, mentions: {{ users: ['{many}'] }} }}")), ["dingtalk.mentions"]);
    assert!(serde_yaml::from_str::<Config>("{ secret: x }").is_err());
    assert_eq!(DESCRIPTOR.pace.per_month, Some(3000), "the quota of the free edition");
}

#[test]
fn a_whole_address_in_the_tokens_place_is_a_problem_that_quotes_nothing() {
    let clients = kit::HttpClients::default();
    let cx = BuildContext { channel: "c", timeout: Duration::ZERO, proxy: None, secrets: &Literals, http: &clients, presets: &Default::default() };
    let config: Config =
        serde_yaml::from_str("{ access_token: 'https://oapi.dingtalk.com/robot/send?access_token=S3CRET', secret: { env: S } }").unwrap();
    let problems = config.build(&cx).err().unwrap();
    assert_eq!(problems.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["dingtalk.access_token", "dingtalk.secret"]);
    assert!(!format!("{problems:?}").contains("S3CRET"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// What is measured is never less than the body that goes out, for a key of the longest kind, as markdown or as a card, and little more.
    #[test]
    fn the_measure_is_the_encoded_body(title in "\\PC{0,60}", text in "([\\PC\n\t\"\\\\]|磁盘){0,400}", plain: bool, all: bool) {
        let mut page = rich(&[("title", &title), ("text", &text)]);
        (page.plain, page.facts.mentions.all) = (plain, all);
        let length = |card| serde_json::to_vec(&body::message(&page, &"f".repeat(64), Style { keyword: None, card })).unwrap().len();
        let size = (DESCRIPTOR.measure)(&page);
        prop_assert!(size.used >= length(false) && size.used >= length(true) && size.max == 20_000, "{size:?}");
        let links: usize = page.facts.links.iter().map(|link| link.label.len() + link.url.len() + 32).sum();
        prop_assert_eq!(size.used - length(false), links);
    }
}

#[test]
fn links_become_buttons_unless_a_card_would_lose_a_ping() {
    let text = "### Disk\n\n[Runbook](https://wiki.example.com/disk?a=1&b=2) · [Silence](https://am.example.com/#/silences/new)\n\nsee [other](https://x.example)";
    let mut page = rich(&[("title", "Disk"), ("text", text)]);
    page.facts.mentions = Mentions { users: vec!["U1".into()], ..Mentions::default() };
    let card = |page: &Page| serde_json::to_value(body::message(page, "k", Style { keyword: None, card: true })).unwrap();
    let sent = card(&page);
    assert_eq!((&sent["msgtype"], &sent["actionCard"]["btnOrientation"]), (&"actionCard".into(), &"1".into()));
    assert_eq!(sent["actionCard"]["btns"][1], serde_json::json!({ "title": "Silence", "actionURL": "https://am.example.com/#/silences/new" }));
    assert_eq!(sent["actionCard"]["text"], "### Disk\n\n\nsee [other](https://x.example)\n\n@U1", "the line of buttons is gone, other links stay");
    assert_eq!(sent["at"]["atUserIds"][0], "U1");
    page.facts.mentions.all = true;
    assert_eq!(card(&page)["msgtype"], "markdown", "a card cannot ping everybody");
    page.facts.mentions = Mentions::default();
    page.plain = true;
    assert_eq!(card(&page)["msgtype"], "text");
    page.plain = false;
    page.facts.links.clear();
    assert_eq!(card(&page)["msgtype"], "markdown", "a card needs a button");
}
