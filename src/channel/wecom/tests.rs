//! WeCom: tokens, what is sent, what answers mean for each recipient, how a page is measured, and what never shows.

use proptest::prelude::*;

use super::*;
use crate::channel::kit::test_server::{Answer, Literals, ScriptedServer, build, context, kinds, page, rich};
use crate::channel::{BuildContext, PlatformConfig};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::Size;

const ONE: &str = "{ corp_id: ww1, agent_id: 1000002, secret: appS3CRET, to_user: 'ZhangSan|lisi', to_party: [2, 3], to_tag: 7, api_base: BASE }";
const OK: &str = r#"{"errcode":0,"errmsg":"ok","msgid":"m-1"}"#;

fn token(text: &str) -> Answer {
    Answer::new(200, format!(r#"{{"errcode":0,"errmsg":"ok","access_token":"{text}","expires_in":7200}}"#))
}

fn no(code: i64, text: &str) -> Answer {
    Answer::new(200, serde_json::json!({ "errcode": code, "errmsg": text }).to_string())
}

fn to(names: &[&str]) -> Vec<Recipient> {
    names.iter().map(|name| Recipient::new(*name)).collect()
}

#[tokio::test]
async fn markdown_goes_to_all_with_one_token_for_two_messages() {
    let server = ScriptedServer::start([token("tok-1S3CRET"), Answer::from(OK), Answer::from(OK)]).await;
    let config: Config = serde_yaml::from_str(ONE).unwrap();
    let built = build::<Config>(ONE, &server.base).unwrap();
    let recipients = config.recipients();
    assert_eq!(recipients, to(&["ZhangSan", "lisi", "party:2", "party:3", "tag:7"]));
    let page = rich(&[("text", "**磁盘** <font color=\"warning\">满</font>\u{7}\n> db-1\n")]);
    let results = built.channel.send(&page, &recipients, &context()).await;
    assert_eq!(kinds(&results), vec![Ok(Some("msgid m-1".to_owned())); 5]);
    built.channel.send(&page, &to(&["lisi"]), &context()).await;
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!((seen[0].method.as_str(), seen[0].uri.to_string().as_str()), ("GET", "/cgi-bin/gettoken?corpid=ww1&corpsecret=appS3CRET"));
    assert_eq!(seen[1].uri.to_string(), "/cgi-bin/message/send?access_token=tok-1S3CRET");
    assert!(!String::from_utf8_lossy(&seen[1].body).contains("\\u"));
    insta::assert_json_snapshot!("markdown", seen[1].json());
    assert_eq!(seen[2].json()["touser"], "lisi");
    assert_eq!(seen[2].json().get("toparty"), None);
}

#[tokio::test]
async fn a_direct_call_is_text_to_whom_it_names() {
    let server = ScriptedServer::start([token("t"), Answer::from(OK), Answer::from(OK)]).await;
    let built = build::<Config>(ONE, &server.base).unwrap();
    let mut page = page(&[("text", "see <a href=\"https://x/\">here</a>"), ("agent_id", "1000009")]);
    page.plain = true;
    built.channel.send(&page, &to(&["@all"]), &SendContext { direct: true, ..context() }).await;
    built.channel.send(&page, &to(&["@all"]), &context()).await;
    insta::assert_json_snapshot!("direct", server.seen()[1].json());
    assert_eq!(server.seen()[2].json()["text"]["content"], "see <\u{200b}a href=\"https://x/\">here<\u{200b}/a>");
    page.fields.insert("agent_id".into(), "ops".into());
    let results = built.channel.send(&page, &to(&["@all"]), &context()).await;
    assert_eq!(kinds(&results), [Err((Rejected, None))]);
}

#[tokio::test]
async fn those_who_were_not_reached_are_told_apart() {
    let answer =
        r#"{"errcode":0,"errmsg":"ok","invaliduser":"zhangsan|x","invalidparty":"3","invalidtag":"7","unlicenseduser":"wang","msgid":"m-2"}"#;
    let server = ScriptedServer::start([token("t"), Answer::from(answer)]).await;
    let built = build::<Config>(ONE, &server.base).unwrap();
    let results = built
        .channel
        .send(&page(&[("text", "x")]), &to(&["ZhangSan", "lisi", "party:2", "party:3", "tag:7", "wang", "3", "lisi|x"]), &context())
        .await;
    let not = |list: &str| Err((Rejected, Some(list.to_owned())));
    let ok = Ok(Some("msgid m-2".to_owned()));
    let expected =
        [not("invaliduser"), ok.clone(), ok.clone(), not("invalidparty"), not("invalidtag"), not("unlicenseduser"), ok, not("invaliduser")];
    assert_eq!(kinds(&results), expected);
    let error = results[0].1.as_ref().unwrap_err();
    assert!(error.summary.contains("Zh***") && !error.summary.contains("ZhangSan"), "{error}");
}

#[tokio::test]
async fn nobody_reached_is_a_refusal_with_the_platforms_own_words() {
    let body = r#"{"errcode":81013,"errmsg":"user & party & tag all invalid"}"#;
    let server = ScriptedServer::start([token("t"), Answer::from(body)]).await;
    let built = build::<Config>(ONE, &server.base).unwrap();
    let results = built.channel.send(&page(&[("text", "x")]), &to(&["a", "b"]), &context()).await;
    assert_eq!(kinds(&results), vec![Err((Rejected, Some("81013".to_owned()))); 2]);
    assert_eq!(results[1].1.as_ref().unwrap_err().detail.as_deref(), Some(body));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    for code in [40_014, 42_001, 41_001, 40_001] {
        let server = ScriptedServer::start([token("old"), no(code, "token"), token("new"), Answer::from(OK)]).await;
        let built = build::<Config>(ONE, &server.base).unwrap();
        assert!(built.channel.send(&page(&[("text", "x")]), &to(&["a"]), &context()).await[0].1.is_ok());
        assert_eq!(server.seen()[3].query("access_token").unwrap(), "new");
    }
    for (code, kind) in [(42_001, Transient), (40_001, Misconfigured)] {
        let server = ScriptedServer::start([token("old"), no(code, "token"), token("new"), no(code, "token")]).await;
        let built = build::<Config>(ONE, &server.base).unwrap();
        let results = built.channel.send(&page(&[("text", "x")]), &to(&["a"]), &context()).await;
        assert_eq!(kinds(&results), [Err((kind, Some(code.to_string())))]);
        assert_eq!(server.seen().len(), 4);
    }
}

#[tokio::test]
async fn channels_of_one_application_share_its_token() {
    let server = ScriptedServer::start([token("t"), Answer::from(OK), Answer::from(OK)]).await;
    let clients = kit::HttpClients::default();
    let cx = BuildContext { channel: "c", timeout: Duration::ZERO, proxy: None, secrets: &Literals, http: &clients, presets: &Default::default() };
    let config: Config = serde_yaml::from_str(&ONE.replace("BASE", &server.base)).unwrap();
    let (one, two) = (config.build(&cx).ok().unwrap(), config.build(&cx).ok().unwrap());
    assert_eq!(one.outlet, two.outlet);
    for built in [one, two] {
        assert!(built.channel.send(&page(&[("text", "x")]), &to(&["a"]), &context()).await[0].1.is_ok());
    }
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn answers_to_a_message_mean_what_wecom_says() {
    let wait = |seconds| RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
    let rows: Vec<(Answer, ErrorKind, &str)> = vec![
        (no(-1, "system busy"), Transient, "-1"),
        (no(6000, "conflict"), Transient, "6000"),
        (no(45_009, "api freq out of limit"), wait(60), "45009"),
        (no(45_033, "concurrent"), wait(60), "45033"),
        (no(45_009, "api freq").header("retry-after", "120"), wait(120), "45009"),
        (no(45_009, "api freq").header("retry-after", "5"), wait(5), "45009"),
        (no(40_013, "invalid corpid"), Misconfigured, "40013"),
        (no(40_056, "invalid agentid"), Misconfigured, "40056"),
        (no(301_002, "not allow operate another agent with this accesstoken"), Misconfigured, "301002"),
        (no(50_003, "app is disabled"), Misconfigured, "50003"),
        (no(60_020, "not allow to access from your ip, hint: [1], from ip: 1.2.3.4"), Misconfigured, "60020"),
        (no(48_005, "api forbidden"), Misconfigured, "48005"),
        (no(40_091, "secret is invalid"), Misconfigured, "40091"),
        (no(45_002, "content size out of limit"), Rejected, "45002"),
        (no(47_001, "data format error"), Rejected, "47001"),
        (no(50_002, "user not in app privilege"), Rejected, "50002"),
        (Answer::new(429, r#"{"errcode":60020,"errmsg":"x"}"#), wait(60), "60020"),
        (Answer::new(500, r#"{"errcode":60020,"errmsg":"x"}"#), Transient, "60020"),
        (no(81_012, "no target"), Rejected, "81012"),
        (no(60_111, "userid not found"), Rejected, "60111"),
        (no(82_002, "list too long"), Rejected, "82002"),
        (no(40_033, "invalid request"), Rejected, "40033"),
        (no(44_004, "empty content"), Rejected, "44004"),
        (no(45_002, "content size out of limit"), Rejected, "45002"),
        (no(999_999, "new"), Rejected, "999999"),
        (no(999_999, "api freq out of limit, hint: [1]"), wait(60), "999999"),
        (Answer::new(500, r#"{"errcode":999999,"errmsg":"new"}"#), Transient, "999999"),
        (Answer::from("<html>"), Transient, "HTTP 200"),
        (Answer::from("{}"), Transient, "HTTP 200"),
        (Answer::new(502, "<html>"), Transient, "HTTP 502"),
        (Answer::new(502, OK), Transient, "0"),
        (Answer::new(429, "").header("retry-after", "9"), wait(9), "HTTP 429"),
        (Answer::new(404, "{}"), Misconfigured, "HTTP 404"),
    ];
    let server = ScriptedServer::start(std::iter::once(token("t")).chain(rows.iter().map(|row| row.0.clone()))).await;
    let built = build::<Config>(ONE, &server.base).unwrap();
    for (answer, kind, code) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &to(&["a"]), &context()).await;
        assert_eq!(kinds(&results), [Err((kind, Some(code.to_owned())))], "{answer:?}");
    }
}

#[tokio::test]
async fn answers_to_the_question_for_a_token_mean_what_wecom_says() {
    let rows: Vec<(Answer, ErrorKind, &str)> = vec![
        (no(40_001, "invalid credential"), Misconfigured, "40001"),
        (no(40_013, "invalid corpid"), Misconfigured, "40013"),
        (no(60_020, "not allow to access from your ip"), Misconfigured, "60020"),
        (no(-1, "busy"), Transient, "-1"),
        (no(45_009, "freq"), RateLimited { retry_after: Some(Duration::from_secs(60)) }, "45009"),
        (no(999_999, "new"), Misconfigured, "999999"),
        (Answer::new(503, "busy"), Transient, "HTTP 503"),
        (Answer::from(r#"{"errcode":0,"access_token":"half-a-tok"#), Transient, "HTTP 200"),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>(ONE, &server.base).unwrap();
    for (answer, kind, code) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &to(&["a"]), &context()).await;
        assert_eq!(kinds(&results), [Err((kind, Some(code.to_owned())))], "{answer:?}");
        assert!(!format!("{results:?}").contains("half-a-tok"));
    }
    assert!(server.seen().iter().all(|seen| seen.uri.path() == "/cgi-bin/gettoken"));
}

#[tokio::test]
async fn a_token_question_that_hangs_sends_nothing_and_a_message_that_hangs_may_have() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (told, mut heard) = tokio::sync::mpsc::channel(2);
    let script = [None, Some(token("t")), None];
    let handler = {
        let script = Arc::new(std::sync::Mutex::new(script.into_iter()));
        move || {
            let next = script.lock().unwrap().next().unwrap();
            let told = told.clone();
            async move {
                match next {
                    Some(answer) => String::from_utf8(answer.body).unwrap(),
                    None => {
                        told.send(()).await.unwrap();
                        std::future::pending().await
                    }
                }
            }
        }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(handler)).await });
    let built = build::<Config>(ONE, &base).unwrap();
    for expected in [Transient, Ambiguous] {
        let channel = built.channel.clone();
        let call = tokio::spawn(async move { channel.send(&page(&[("text", "x")]), &to(&["a"]), &context()).await });
        heard.recv().await.unwrap();
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(11)).await;
        let results = call.await.unwrap();
        tokio::time::resume();
        assert_eq!(kinds(&results), [Err((expected, Some("timeout".to_owned())))]);
    }
}

#[tokio::test]
async fn a_probe_asks_for_a_token_only() {
    let server = ScriptedServer::start([token("t"), no(40_001, "invalid credential")]).await;
    let built = build::<Config>(ONE, &server.base).unwrap();
    assert!(matches!(built.channel.probe().await, Probe::Ok));
    assert!(matches!(built.channel.probe().await, Probe::Failed(error) if error.kind == Misconfigured));
}

#[tokio::test]
async fn no_secret_shows() {
    let echo = no(60_020, "appS3CRET tok-S3CRET from ip");
    let server = ScriptedServer::start([token("tok-S3CRET"), echo]).await;
    let config: Config = serde_yaml::from_str(ONE).unwrap();
    let built = build::<Config>(ONE, &server.base).unwrap();
    let mut shown = format!("{config:?} {:?} ", built.outlet);
    shown += &format!("{:?}", built.channel.send(&page(&[("text", "x")]), &to(&["a"]), &context()).await);
    let closed = build::<Config>(ONE, "http://127.0.0.1:1").unwrap();
    shown += &format!("{:?}", closed.channel.send(&page(&[("text", "x")]), &to(&["a"]), &context()).await);
    assert!(!shown.contains("S3CRET") && !shown.contains("ZhangSan"), "{shown}");
    assert!(shown.contains("<secret> <secret> from ip"), "{shown}");
}

#[test]
fn mistakes_are_found_without_secrets() {
    let paths = |more: &str| {
        let yaml = format!("{{ corp_id: ww1, agent_id: 1, secret: {{ env: S }}, {more} }}");
        serde_yaml::from_str::<Config>(&yaml).unwrap().check().into_iter().map(|problem| problem.path).collect::<Vec<_>>()
    };
    assert_eq!(paths("to_user: a"), [""; 0]);
    assert_eq!(paths("to_user: '@all'"), [""; 0]);
    assert_eq!(paths(""), ["wecom.to_user"]);
    assert_eq!(paths("to_user: ' | '"), ["wecom.to_user"]);
    assert_eq!(paths("to_user: ['@all', a]"), ["wecom.to_user"]);
    assert_eq!(paths("to_user: '@all', to_party: 1"), ["wecom.to_user"]);
    assert_eq!(paths("to_party: [ops, 1], api_base: x"), ["wecom.to_party", "wecom.api_base"]);
    assert_eq!(paths(&format!("to_party: {:?}", (0..101).collect::<Vec<_>>())), ["wecom.to_party"]);
    let all: Config = serde_yaml::from_str("{ corp_id: ' ', agent_id: 0, secret: [], to_user: a }").unwrap();
    let found: Vec<_> = all.check().into_iter().map(|problem| problem.path).collect();
    assert_eq!(found, ["wecom.corp_id", "wecom.agent_id", "wecom.secret"]);
    assert!(serde_yaml::from_str::<Config>("{ corp_id: w, agent_id: x, secret: s }").is_err());
}

#[test]
fn recipients_are_named_once_and_everybody_stands_alone() {
    let of = |more: &str| serde_yaml::from_str::<Config>(&format!("{{ corp_id: w, agent_id: 1, secret: s, {more} }}")).unwrap().recipients();
    assert_eq!(of("to_user: ['a|b', A, 42]"), to(&["a", "b", "42"]));
    assert_eq!(of("to_user: '@all', to_party: 1"), to(&["@all"]));
}

proptest! {
    /// What is measured is the content that goes out.
    #[test]
    fn the_measure_is_the_contents_bytes(text in "([\\PC\n\t\u{1}<]|<a|磁盘){0,200}", plain: bool) {
        let mut page = page(&[("text", &text)]);
        page.plain = plain;
        let body = serde_json::to_value(body::message(&page, &to(&["a"]), 1, false, Cards::None)).unwrap();
        let content = body[if plain { "text" } else { "markdown" }]["content"].as_str().unwrap().to_owned();
        prop_assert_eq!((DESCRIPTOR.measure)(&page), Size::bytes(content.len(), 2048));
        // A backslash of the text is itself escaped; `\\u` behind such pairs is text, alone it is an escape.
        prop_assert!(!serde_json::to_string(&body).unwrap().replace(r"\\", "").contains(r"\u"));
    }
}

#[test]
fn a_single_alert_that_fits_is_a_card() {
    let page = crate::channel::kit::test_server::rich(&[("text", "**long form**"), ("card", "<div class=\"gray\">06:03</div>CPU is above 90%")]);
    let body = |page: &Page| serde_json::to_value(body::message(page, &to(&["a"]), 1, false, Cards::Fitting)).unwrap();
    let sent = body(&page);
    assert_eq!((&sent["msgtype"], &sent["textcard"]["url"]), (&"textcard".into(), &"https://wiki.example.com/disk?a=1&b=2".into()));
    assert_eq!(sent["textcard"]["description"], "<div class=\"gray\">06:03</div>CPU is above 90%");
    assert!(sent.get("markdown").is_none());
    let changed = |change: &dyn Fn(&mut Page)| {
        let mut page = page.clone();
        change(&mut page);
        body(&page)["msgtype"].as_str().unwrap().to_owned()
    };
    assert_eq!(changed(&|page| page.total = 2), "markdown", "several pages are not one card");
    assert_eq!(changed(&|page| page.facts.links.clear()), "markdown", "a card opens a page");
    assert_eq!(changed(&|page| drop(page.fields.insert("card".into(), "长".repeat(513)))), "markdown", "WeCom would cut it in silence");
    assert_eq!(changed(&|page| page.facts.title = "长".repeat(129)), "markdown");
    assert_eq!(changed(&|page| page.plain = true), "text");
}

#[tokio::test]
async fn a_message_with_buttons_is_a_card_and_another_kind_where_cards_are_refused() {
    let keys = "callback_token: tok, encoding_aes_key: jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
    let yaml = format!("{{ corp_id: ww1, agent_id: 1000002, secret: appS3CRET, to_user: lisi, {keys}, api_base: BASE }}");
    let taken = Answer::from(r#"{"errcode":0,"errmsg":"ok","msgid":"m-1","response_code":"rc"}"#);
    let server = ScriptedServer::start([token("t"), taken, no(43012, "no receive url"), Answer::from(OK), Answer::from(OK)]).await;
    let built = build::<Config>(&yaml, &server.base).unwrap();
    let mut page = rich(&[("text", "**long form**"), ("notice", &"CPU is above 90%\n".repeat(20))]);
    let button = |verb, label: &str, value: &str| crate::model::Button { verb, label: label.into(), value: value.into() };
    page.facts.incident.buttons =
        vec![button(crate::model::Verb::Ack, "On it", "ack.abc.1"), button(crate::model::Verb::Snooze, "Snooze for two hours", "snooze.abc.1.120")];
    page.facts.title = "🔴 Critical · KubePodCrashLooping · payments/payments-api-6d8f9c7b5d-2xk9q".into();
    assert_eq!(kinds(&built.channel.send(&page, &to(&["lisi"]), &context()).await), [Ok(Some("msgid m-1, response_code rc".to_owned()))]);
    let refused = built.channel.send(&page, &to(&["lisi"]), &context()).await.remove(0).1.unwrap();
    assert!(refused.answer.contains("buttons were refused"), "{refused:?}");
    page.plain = true;
    built.channel.send(&page, &to(&["lisi"]), &context()).await;
    let seen = server.seen();
    insta::assert_json_snapshot!("buttons", seen[1].json());
    assert_eq!([&seen[3].json()["msgtype"], &seen[4].json()["msgtype"]], ["markdown", "text"]);
    for (keys, path) in [("callback_token: tok", "wecom.callback_token"), ("encoding_aes_key: tok", "wecom.encoding_aes_key")] {
        let config: Config = serde_yaml::from_str(&format!("{{ corp_id: ww1, agent_id: 2, secret: s, to_user: lisi, {keys} }}")).unwrap();
        assert_eq!(config.check().into_iter().map(|problem| problem.path).collect::<Vec<_>>(), [path]);
    }
    let problems = build::<Config>(&yaml.replace("q2B2C", "q2B2"), "http://h").err().unwrap();
    assert!(problems[0].path == "wecom.encoding_aes_key" && !format!("{problems:?}").contains("jWmYm7"), "{problems:?}");
}
