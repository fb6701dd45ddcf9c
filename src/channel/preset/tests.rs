//! Presets: the shipped ones hold what they say, requests are filled, answers are classified, and mistakes in a file are found.

use super::*;
use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{LinkKind, Severity};

#[test]
fn every_shipped_preset_is_read_without_a_fault() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates/presets");
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let preset = registry::read(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|faults| panic!("{}: {faults:#?}", path.display()));
        assert!(preset.limits.source.starts_with("https://") && preset.docs.starts_with("https://"), "{}", path.display());
        names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(names, ["bark", "googlechat", "gotify", "mattermost", "mattermost_bot", "ntfy", "pushover", "pushplus", "rocketchat", "serverchan"]);
    assert_eq!(shipped().into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
}

#[test]
fn the_preset_in_the_documentation_is_one() {
    let page = include_str!("../../../docs/presets.md");
    let block = page.split("```yaml\n").find(|block| block.starts_with("title:")).unwrap().split("```").next().unwrap();
    registry::read(block).unwrap_or_else(|faults| panic!("{faults:#?}"));
    for name in registry::MESSAGE_PARAMETERS.iter().chain(registry::EARLIER_PARAMETERS) {
        assert!(page.contains(&format!("`{{{{{name}}}}}`")), "docs/presets.md does not mention `{name}`");
    }
}

#[tokio::test]
async fn a_request_has_its_values_with_their_types_and_leaves_out_what_is_not_given() {
    let server = ScriptedServer::start([Answer::from(r#"{"id":"x1","event":"message"}"#), Answer::from(r#"{"id":"x2","event":"message"}"#)]).await;
    let bare = build::<Config>("{ name: ntfy, params: { url: BASE, topic: ops-S3CRET } }", &server.base).unwrap();
    let full = build::<Config>("{ name: ntfy, params: { url: BASE, topic: ops-S3CRET, token: tk_S3CRET } }", &server.base).unwrap();
    let plain = page(&[("text", "Disk is full\n")]);
    let long = "长".repeat(300);
    let mut loud = rich(&[("title", &long), ("text", "plain"), ("markdown", "**bold**")]);
    loud.facts.severity = Some(Severity::Critical);
    assert_eq!(kinds(&bare.channel.send(&plain, &bare_to(), &context()).await), [Ok(Some("id x1, key 0123456789abcdef".into()))]);
    assert_eq!(kinds(&full.channel.send(&loud, &bare_to(), &context()).await), [Ok(Some("id x2, key 0123456789abcdef".into()))]);
    let seen = server.seen();
    let first = seen[0].json();
    assert_eq!((first["message"].as_str(), first["priority"].as_i64(), first.get("click")), (Some("Disk is full"), Some(4), None));
    assert!(!seen[0].headers.contains_key("authorization"), "there is no token to send");
    let second = seen[1].json();
    assert_eq!(second["message"], format!("{long}\n\n**bold**"), "its title is cut");
    assert_eq!((second["priority"].as_i64(), second["tags"][0].as_str()), (Some(5), Some("rotating_light")));
    assert_eq!(second["title"].as_str().unwrap().chars().count(), 250);
    assert_eq!(second["click"], "https://wiki.example.com/disk?a=1&b=2");
    assert_eq!(seen[1].header("authorization"), "Bearer tk_S3CRET");
}

fn bare_to() -> [Recipient; 1] {
    [Recipient::new("@ntfy")]
}

#[tokio::test]
async fn a_value_in_an_address_is_encoded_and_no_secret_is_shown() {
    let server = ScriptedServer::start([Answer::new(500, "at /S3CRET%2F..%2Fadmin.send"), Answer::from("<html>login</html>")]).await;
    let built = build::<Config>("{ name: serverchan, params: { url: BASE/, send_key: S3CRET/../admin } }", &server.base).unwrap();
    let failed = built.channel.send(&page(&[("text", "x")]), &bare_to(), &context()).await;
    assert_eq!(kinds(&failed), [Err((Transient, Some("HTTP 500".into())))]);
    assert!(!format!("{failed:?}").contains("S3CRET"), "{failed:?}");
    assert_eq!(server.seen()[0].uri.path(), "/S3CRET%2F..%2Fadmin.send");
    let login = built.channel.send(&page(&[("text", "x")]), &bare_to(), &context()).await;
    assert_eq!(kinds(&login), [Err((Transient, Some("HTTP 200".into())))], "a page in the service's place is no success");
}

#[tokio::test]
async fn only_the_services_own_word_counts() {
    let rows = [
        (Answer::from(r#"{"code":200,"msg":"ok","data":"m1"}"#), Ok(Some("data m1".to_owned()))),
        (Answer::from(r#"{"code":903,"msg":"no"}"#), Err((Misconfigured, Some("903".to_owned())))),
        (
            Answer::new(200, r#"{"code":900,"msg":"no"}"#).header("retry-after", "7"),
            Err((RateLimited { retry_after: Some(Duration::from_secs(7)) }, Some("900".to_owned()))),
        ),
        (Answer::new(502, r#"{"code":903,"msg":"no"}"#), Err((Transient, Some("903".to_owned())))),
        (Answer::new(429, r#"{"code":903,"msg":"no"}"#), Err((RateLimited { retry_after: None }, Some("903".to_owned())))),
        (Answer::new(429, r#"{"code":500,"msg":"no"}"#), Err((RateLimited { retry_after: None }, Some("500".to_owned())))),
        (Answer::from(r#"{"code":12345,"msg":"new"}"#), Err((Rejected, Some("12345".to_owned())))),
        // In GBK: 内容不合法.
        (
            Answer::new(200, b"{\"code\":12345,\"msg\":\"\xc4\xda\xc8\xdd\xb2\xbb\xba\xcf\xb7\xa8\"}".to_vec()),
            Err((Rejected, Some("12345".to_owned()))),
        ),
        // Its JSON, and none of its words: the message may have been taken.
        (Answer::from("{}"), Err((Ambiguous, Some("HTTP 200".to_owned())))),
        (Answer::from("[]"), Err((Ambiguous, Some("HTTP 200".to_owned())))),
        (Answer::from("null"), Err((Ambiguous, Some("HTTP 200".to_owned())))),
        (Answer::from(r#""ok""#), Err((Ambiguous, Some("HTTP 200".to_owned())))),
        (Answer::from(r#"{"code":null}"#), Err((Ambiguous, Some("HTTP 200".to_owned())))),
        (Answer::new(403, "{}"), Err((Misconfigured, Some("HTTP 403".to_owned())))),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>("{ name: pushplus, params: { url: BASE, token: abc } }", &server.base).unwrap();
    for (answer, expected) in rows {
        assert_eq!(kinds(&built.channel.send(&page(&[("text", "x")]), &bare_to(), &context()).await), [expected], "{answer:?}");
    }
}

/// "The same was sent before" is true of another message that reads the same: this one goes out with a mark of its own. Of a message whose earlier try
/// got no answer it means that it came through.
#[tokio::test]
async fn what_reads_the_same_as_another_message_is_sent_with_a_mark() {
    let same = r#"{"code":999,"msg":"请勿频繁推送相同内容","data":null}"#;
    let escaped = r#"{"code":999,"msg":"\u8bf7\u52ff\u9891\u7e41\u63a8\u9001\u76f8\u540c\u5185\u5bb9"}"#;
    let good = r#"{"code":200,"msg":"ok","data":"m1"}"#;
    let refused = r#"{"code":903,"msg":"no"}"#;
    let delivered = |id: Option<&str>| Ok(id.map(str::to_owned));
    let rows = [
        (false, vec![same, good], delivered(Some("data m1"))),
        // An earlier try of this very message had come through with its mark.
        (false, vec![escaped, same], delivered(None)),
        (false, vec![same, refused], Err((Misconfigured, Some("903".to_owned())))),
        (true, vec![same], delivered(None)),
    ];
    for (unanswered, answers, expected) in rows {
        let server = ScriptedServer::start(answers.iter().map(|answer| Answer::from(*answer))).await;
        let built = build::<Config>("{ name: pushplus, params: { url: BASE, token: abc } }", &server.base).unwrap();
        let cx = SendContext { unanswered, ..context() };
        let results =
            built.channel.send(&page(&[("title", "t"), ("text", "Disk is full\n"), ("markdown", "**Disk** is full\n")]), &bare_to(), &cx).await;
        assert_eq!(kinds(&results), [expected], "{answers:?}");
        let texts: Vec<String> = server.seen().iter().map(|call| call.json()["content"].as_str().unwrap().to_owned()).collect();
        let asked = ["**Disk** is full", "**Disk** is full\n(012345)"];
        assert_eq!(texts, asked[..answers.len()], "{answers:?}");
    }
}

/// The service's word counts under every 2xx, and no 2xx counts without it. What is no word of the service neither delivers nor refuses.
#[tokio::test]
async fn the_word_decides_under_every_2xx() {
    let registry = PresetRegistry::default();
    let is_delivered = |answer: &&file::Fixture| (200..300).contains(&answer.status) && answer.means == file::ResponseClass::Delivered;
    for name in registry.names() {
        let preset = registry.get(name).unwrap();
        let body = &preset.fixtures.iter().find(is_delivered).unwrap().body;
        for status in [200, 201, 202, 203, 206, 299] {
            let read = response::Response::new(status, body);
            assert_eq!(response::classify(&preset, &read), Some(response::Meaning::Delivered), "{name}: {status}");
        }
        for (status, body) in [(200, ""), (202, ""), (202, "accepted"), (204, ""), (202, "{}")] {
            assert_eq!(response::classify(&preset, &response::Response::new(status, body)), None, "{name}: {status} {body:?}");
        }
    }
    let bot = "{ name: mattermost_bot, params: { url: BASE, token: t, channel_id: c } }";
    let pushover = "{ name: pushover, params: { url: BASE, token: t, user: u } }";
    let rows = [
        (pushover, Answer::new(202, r#"{"status":1,"request":"r"}"#), Ok(None)),
        (pushover, Answer::new(202, r#"{"status":0,"errors":["no"]}"#), Err(Rejected)),
        (pushover, Answer::new(204, ""), Err(Ambiguous)),
        (bot, Answer::new(202, r#"{"id":"p1","channel_id":"c","message":"x"}"#), Ok(Some("id p1".to_owned()))),
        // The text of a post is no refusal.
        (bot, Answer::new(200, r#"{"id":"p1","message":"x"}"#), Err(Ambiguous)),
        (bot, Answer::new(200, r#"{"id":"api.post.new","message":"no","status_code":599}"#), Err(Rejected)),
    ];
    for (config, answer, expected) in rows {
        let server = ScriptedServer::start([answer.clone()]).await;
        let built = build::<Config>(config, &server.base).unwrap();
        let results = kinds(&built.channel.send(&page(&[("text", "x")]), &bare_to(), &context()).await);
        assert_eq!(results, [expected.map_err(|kind| (kind, results[0].as_ref().err().and_then(|error| error.1.clone())))], "{answer:?}");
    }
}

/// A preset that names a status stays with it: the same words under another 2xx are a doubt, not a refusal.
#[test]
fn a_status_that_a_preset_names_is_a_part_of_its_word() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/presets/bark.yaml")).unwrap();
    let preset = registry::read(&text.replace("success: { json", "success: { status: 200, json")).unwrap();
    let read = |status, body| response::Response::new(status, body);
    let (good, bad) = (r#"{"code":200,"message":"success"}"#, r#"{"code":201,"message":"no"}"#);
    assert_eq!(response::classify(&preset, &read(200, good)), Some(response::Meaning::Delivered));
    assert_eq!(response::classify(&preset, &read(202, good)), None);
    assert!(!read(202, good).refuses(&preset) && read(202, bad).refuses(&preset) && !read(202, "{}").refuses(&preset));
}

/// What is pasted whole where a token, a topic or a key belongs is found, on every preset, with what to write.
#[test]
fn a_whole_address_is_found_wherever_a_part_of_it_belongs() {
    let registry = PresetRegistry::default();
    let mut count = 0;
    for name in registry.names() {
        let preset = registry.get(name).unwrap();
        let of_server = preset.parameters.iter().find(|(_, parameter)| parameter.kind == ParameterKind::Address).unwrap().0;
        let wanted = |parameter: &file::Parameter| parameter.secret || !parameter.optional && parameter.default.is_none();
        let asked: Vec<(&String, &file::Parameter)> =
            preset.parameters.iter().filter(|(_, parameter)| parameter.kind != ParameterKind::Address && wanted(parameter)).collect();
        assert!(!asked.is_empty(), "{name}");
        for (pasted, parameter) in &asked {
            let value = |key: &str| if key == pasted.as_str() { "HTTPS://push.example.com/p-S3CRET?k=S3CRET" } else { "abc" };
            let params: Vec<String> = asked.iter().map(|(key, _)| format!("{key}: \"{}\"", value(key))).collect();
            let problems = build::<Config>(&format!("{{ name: {name}, params: {{ {} }} }}", params.join(", ")), "").err().unwrap_or_default();
            let found = problems
                .iter()
                .find(|problem| problem.path == format!("preset.params.{pasted}"))
                .unwrap_or_else(|| panic!("{name}.{pasted}: {problems:?}"));
            assert!(found.message.contains("whole address") && found.help.contains(&parameter.about), "{found:?}");
            assert!(found.help.contains(&format!("`{of_server}: https://push.example.com`")), "{found:?}");
            assert!(!format!("{problems:?}").contains("S3CRET"), "{problems:?}");
            count += 1;
        }
    }
    assert!(count >= 14, "{count}");
    let known = build::<Config>("{ name: ntfy, params: { topic: \"https://ntfy.sh/alerts\" } }", "").err().unwrap();
    assert!(known[0].help.starts_with("`topic` is the topic that phones subscribe to"), "{known:?}");
}

/// A service's body cannot deny that its server is in trouble or asks to slow down, unless the preset names that very status; and only a 2xx is a
/// success, whatever it says.
#[tokio::test]
async fn the_status_and_the_word_count_together() {
    let pushplus = "{ name: pushplus, params: { url: BASE, token: abc } }";
    let mattermost = "{ name: mattermost, params: { url: BASE, hook: abc } }";
    let delivered = r#"{"code":200,"msg":"ok","data":"m1"}"#;
    let disabled = r#"{"id":"web.incoming_webhook.disabled.app_error","message":"off","status_code":501}"#;
    let rows = [
        (pushplus, Answer::new(500, r#"{"code":903,"msg":"no"}"#), Transient),
        (
            pushplus,
            Answer::new(429, r#"{"code":903,"msg":"no"}"#).header("retry-after", "3"),
            RateLimited { retry_after: Some(Duration::from_secs(3)) },
        ),
        (pushplus, Answer::new(302, delivered), Misconfigured),
        (pushplus, Answer::new(400, delivered), Rejected),
        (pushplus, Answer::new(502, delivered), Transient),
        (mattermost, Answer::new(500, r#"{"id":"web.incoming_webhook.channel.app_error","status_code":500}"#), Transient),
        (mattermost, Answer::new(501, disabled), Misconfigured),
        (mattermost, Answer::new(400, "ok"), Rejected),
    ];
    for (config, answer, expected) in rows {
        let server = ScriptedServer::start([answer.clone()]).await;
        let built = build::<Config>(config, &server.base).unwrap();
        let results = built.channel.send(&page(&[("text", "x")]), &bare_to(), &context()).await;
        assert_eq!(results[0].1.as_ref().unwrap_err().kind, expected, "{answer:?}");
    }
    let server = ScriptedServer::start([Answer::from("OK\n"), Answer::from(r#"{"status":"OK"}"#)]).await;
    let built = build::<Config>(mattermost, &server.base).unwrap();
    for _ in 0..2 {
        assert_eq!(kinds(&built.channel.send(&page(&[("text", "x")]), &bare_to(), &context()).await), [Ok(None)]);
    }
}

/// Plain text begins with its headline, which the request has above it.
#[tokio::test]
async fn what_is_sent_once_more_as_plain_text_says_its_title_once() {
    let sent = async |text: &str| {
        let server = ScriptedServer::start([Answer::new(500, "")]).await;
        let built = build::<Config>("{ name: mattermost, params: { url: BASE, hook: h } }", &server.base).unwrap();
        let mut page = page(&[("title", "Disk"), ("text", text), ("heading", "Disk"), ("markdown", text)]);
        page.plain = true;
        built.channel.send(&page, &bare_to(), &context()).await;
        server.seen()[0].json()["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(sent("Disk\n\nis full\nof logs").await, "#### Disk\nis full\nof logs");
    assert_eq!(sent("Disk is full\nof logs").await, "#### Disk\nDisk is full\nof logs");
    assert_eq!(sent("Disk\n").await, "#### Disk\nDisk");
}

/// The end of a long headline is its host, its part, or what a person asked: where the request has only its beginning, the text has it whole.
#[tokio::test]
async fn plain_text_keeps_a_headline_that_is_cut_above_it() {
    let sent = async |headline: &str| {
        let server = ScriptedServer::start([Answer::new(500, "")]).await;
        let built = build::<Config>("{ name: serverchan, params: { url: BASE, send_key: k } }", &server.base).unwrap();
        let text = format!("{headline}\n\nis full");
        let mut page = page(&[("title", headline), ("text", &text), ("markdown", &text)]);
        page.plain = true;
        built.channel.send(&page, &bare_to(), &context()).await;
        let json = server.seen()[0].json();
        [json["title"].as_str().unwrap().to_owned(), json["desp"].as_str().unwrap().to_owned()]
    };
    let long = format!("{} db-1 (2/3)", "长".repeat(29));
    assert_eq!(long.chars().count(), 40);
    assert_eq!(sent(&long).await, [format!("{} d…", "长".repeat(29)), format!("{long}\n\nis full")]);
    let short = "长".repeat(32);
    assert_eq!(sent(&short).await, [short.clone(), "is full".to_owned()]);
}

/// What others wrote into an alert neither pings nor links, also where a refused message goes out once more as plain text.
#[tokio::test]
async fn plain_text_pings_nobody() {
    let evil = "<users/all> <https://evil.example|Runbook> @all @channel ops@example.com ![x](http://evil.example/x.png) a < b";
    let sent = async |config: &str, plain: bool| {
        let server = ScriptedServer::start([Answer::new(500, "")]).await;
        let built = build::<Config>(config, &server.base).unwrap();
        let mut page = page(&[("title", evil), ("text", evil), ("heading", evil), ("markdown", evil)]);
        page.plain = plain;
        built.channel.send(&page, &bare_to(), &context()).await;
        server.seen()[0].json()["text"].as_str().unwrap().to_owned()
    };
    let google = sent("{ name: googlechat, params: { url: BASE, space: A, webhook_key: k, token: t } }", false).await;
    assert!(!google.contains("<users/all>") && !google.contains("<https://"), "{google:?}");
    assert!(google.contains("a < b") && google.contains("<\u{200B}users/all>"), "{google:?}");
    for config in ["{ name: mattermost, params: { url: BASE, hook: h } }", "{ name: rocketchat, params: { url: BASE, hook: h, token: t } }"] {
        let text = sent(config, true).await;
        assert!(!text.contains("@all") && !text.contains("@channel") && !text.contains("![") && !text.contains("]("), "{text:?}");
        assert!(text.contains("ops@example.com"), "an address pings nobody and stays whole: {text:?}");
        assert!(sent(config, false).await.contains("@all"), "what the template wrote as markdown is escaped there");
    }
}

#[tokio::test]
async fn a_link_that_is_too_long_is_left_out_for_one_that_fits() {
    let server = ScriptedServer::start([r#"{"status":1}"#; 4].map(Answer::from)).await;
    let built = build::<Config>("{ name: pushover, params: { url: BASE, token: a, user: b } }", &server.base).unwrap();
    let mut page = page(&[("text", "x")]);
    let link = |kind, url: String| crate::model::Link { kind, label: "l".into(), url };
    page.facts.links = vec![link(LinkKind::Details, format!("https://h.example/{}", "x".repeat(600)))];
    built.channel.send(&page, &bare_to(), &context()).await;
    page.facts.links.push(link(LinkKind::Runbook, "https://wiki.example.com/disk".into()));
    built.channel.send(&page, &bare_to(), &context()).await;
    let form = |n: usize| String::from_utf8(server.seen()[n].body.to_vec()).unwrap();
    assert!(!form(0).contains("url="), "{}", form(0));
    assert!(form(1).contains("url=https%3A%2F%2Fwiki.example.com%2Fdisk"), "{}", form(1));
    page.facts.links = vec![link(LinkKind::Silence, "https://am.example.com/#/silences/new".into())];
    built.channel.send(&page, &bare_to(), &context()).await;
    assert!(!form(2).contains("url="), "a tap begins no silence: {}", form(2));
    page.facts.links.push(link(LinkKind::Source, "https://prometheus.example.com/graph".into()));
    built.channel.send(&page, &bare_to(), &context()).await;
    assert!(form(3).contains("url=https%3A%2F%2Fprometheus.example.com%2Fgraph"), "{}", form(3));
}

/// Bark answers 500 to what Apple refuses: only Apple's own words for a fault of the message or the phone end or hold it.
#[tokio::test]
async fn barks_500_is_passing_trouble_unless_apple_says_otherwise() {
    let apple = |word: &str| Answer::new(500, format!(r#"{{"code":500,"message":"push failed: APNS push failed: {word}"}}"#));
    let rows = [
        (apple("PayloadTooLarge"), Rejected),
        (apple("Unregistered"), Misconfigured),
        (apple("TooManyRequests"), RateLimited { retry_after: None }),
        (apple("InternalServerError"), Transient),
        (apple("ServiceUnavailable"), Transient),
        (Answer::new(502, r#"{"code":502,"message":"PayloadTooLarge"}"#), Transient),
    ];
    let server = ScriptedServer::start(rows.iter().map(|row| row.0.clone())).await;
    let built = build::<Config>("{ name: bark, params: { url: BASE, device_key: abc } }", &server.base).unwrap();
    for (answer, kind) in rows {
        let results = built.channel.send(&page(&[("text", "x")]), &bare_to(), &context()).await;
        assert_eq!(results[0].1.as_ref().unwrap_err().kind, kind, "{answer:?}");
    }
}

#[test]
fn mistakes_of_a_channel_name_what_the_preset_asks_for() {
    let problems = |yaml: &str| {
        build::<Config>(yaml, "").err().unwrap().into_iter().map(|p| format!("{}: {} / {}", p.path, p.message, p.help)).collect::<Vec<_>>()
    };
    let unknown = problems("{ name: ntfi }");
    assert!(unknown[0].starts_with("preset.name: there is no preset `ntfi` / write one of bark, googlechat"), "{unknown:?}");
    let missing = problems("{ name: gotify, params: { url: 'ftp://x', tokn: a } }");
    assert_eq!(missing.len(), 3, "{missing:?}");
    assert!(missing[0].contains("asks for no `tokn`") && missing[0].contains("it asks for token, url"), "{missing:?}");
    assert!(missing[1].contains("add `token`: the application's token"), "{missing:?}");
    assert!(missing[2].starts_with("preset.params.url: only http and https"), "{missing:?}");
}

#[test]
fn a_card_counts_what_the_request_carries() {
    let descriptor = |name: &str| shipped().into_iter().find(|(known, _)| known == name).unwrap().1;
    let page = page(&[("title", "0123456789"), ("text", "0123456789"), ("heading", "0123456789"), ("markdown", &"长".repeat(10))]);
    let size = |name: &str| (descriptor(name).measure)(&page);
    assert_eq!(size("pushover"), Size::characters(10 + FRAME_LENGTH, 1024), "the title has a limit of its own");
    assert_eq!(size("mattermost"), Size::characters(20 + FRAME_LENGTH, 16383));
    assert_eq!(size("ntfy"), Size::bytes(30 + FRAME_LENGTH, 4096));
    assert_eq!(size("googlechat"), Size::bytes(20 + FRAME_LENGTH, 32000));
    assert!(std::ptr::eq(descriptor("ntfy"), descriptor("ntfy")), "a reload finds the descriptor again");
}

#[test]
fn faults_in_a_file_are_all_told() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/presets/ntfy.yaml")).unwrap();
    let told = |from: &str, to: &str| registry::read(&text.replace(from, to)).unwrap_err().join("\n");
    assert!(text.contains("\"{{topic}}\""));
    let topic = told("\"{{topic}}\"", "\"{{topik}}\"");
    assert!(topic.contains("`{{topik}}` in `request` is not a parameter") && topic.contains("`topic` is used nowhere"), "{topic}");
    assert!(told("success: { has: [/id], json: { /event: message } }", "success: { status: 200 }").contains("names only a status"));
    assert!(told("success: { has: [/id], json: { /event: message } }", "success: []").contains("names only a status"));
    assert!(told("breaks: [", "breaks: [\"x\", ").contains("begins a mention or a link"));
    assert!(told("code: 40101 }", "code: 1 }").contains("unknown field") || told("/code: 40101", "/code: 1").contains("fixtures[1]"));
    assert!(told("\"{{url}}/\"", "\"{{topic}}/\"").contains("begins with `https://`"));
    assert!(told("{ title: 250, bytes: 4096,", "{ title: 3,").contains("has no length"));
    assert!(told("request:", "requests:").contains("requests"));
    assert!(told("  - { count: 60, seconds: 300 }", "  - { count: 0, seconds: 300 }").contains("lets nothing through"));
    assert!(registry::read(&format!("{text}#{}", "x".repeat(70_000))).unwrap_err()[0].contains("larger than 64 KiB"));
}
