//! DingTalk cards: what is sent, what answers mean, tokens, and room for buttons.

use super::*;
use crate::channel::kit::test_server::{Answer as Scripted, ScriptedServer, build, context, kinds, page, rich};
use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
use crate::model::{Button, Link, LinkKind, Verb};

const CONFIG: &str =
    "{ app_key: ding1, app_secret: S3CRET, robot_code: bot1, to: [cidOPS==, 'user:anna'], api_base: BASE, buttons: true, corp_id: corp }";
const TOKEN: &str = r#"{"accessToken":"T0KEN","expireIn":7200}"#;

fn group() -> [Recipient; 1] {
    [Recipient::new("cidOPS==")]
}

/// What DingTalk answers to a card with this id.
fn delivered(id: &str) -> Scripted {
    let place = serde_json::json!({ "spaceId": "cidOPS==", "spaceType": "IM_GROUP", "success": true });
    Scripted::from(serde_json::json!({ "success": true, "result": { "outTrackId": id, "deliverResults": [place] } }).to_string().as_str())
}

fn pressable(mut page: Page) -> Page {
    let button = |verb: Verb, label: &str, value: &str| Button { verb, label: label.into(), value: value.into() };
    page.facts.incident.buttons =
        vec![button(Verb::Ack, "我来处理", "ack.0W1x2y3z4A5b6C.3"), button(Verb::Snooze, "2 小时", "snooze.0W1x2y3z4A5b6C.3.120")];
    page
}

#[tokio::test]
async fn a_card_goes_to_groups_and_people_and_is_edited_in_its_place() {
    let key = context().idempotency_key;
    let ids = ["cidOPS==", "user:anna"].map(|to| body::id(&key, to));
    assert_ne!(ids[0], ids[1]);
    let answers = [Scripted::from(TOKEN), delivered(&ids[0]), delivered(&ids[1]), Scripted::from(r#"{"success":true,"result":true}"#)];
    let server = ScriptedServer::start(answers).await;
    let driver = build::<Config>(CONFIG, &server.base).unwrap().channel;
    let page = pressable(rich(&[("title", "[FIRING:2] Disk"), ("text", "**Disk** on db-1\n")]));
    let both = [Recipient::new("cidOPS=="), Recipient::new("user:anna")];
    let sent = driver.send(&page, &both, &context()).await;
    assert!(sent.iter().zip(&ids).all(|((_, result), id)| result.as_ref().unwrap().ids.get("outTrackId") == Some(id)), "{sent:?}");
    let edited = driver.update(&sent[0].1.as_ref().unwrap().ids, &page, &both[0], &context()).await.unwrap();
    assert_eq!(edited.ids, sent[0].1.as_ref().unwrap().ids);
    let seen = server.seen();
    assert_eq!(seen[0].uri.path(), "/v1.0/oauth2/accessToken");
    assert!(seen[1..].iter().all(|call| call.headers["x-acs-dingtalk-access-token"] == "T0KEN"));
    assert_eq!((seen[3].method.as_str(), seen[3].uri.path()), ("PUT", "/v1.0/card/instances"));
    for (name, place) in [("group", 1), ("person", 2), ("edit", 3)] {
        let mut body = seen[place].json();
        body["outTrackId"] = "ID".into();
        insta::assert_json_snapshot!(name, body);
    }
    insta::assert_json_snapshot!("shown", driver.body(&page));
}

/// Names in a part of the template that is shipped: of variables, or of what a list of them holds.
fn names(variables: &Value) -> Vec<&str> {
    variables.as_array().unwrap().iter().map(|variable| variable["name"].as_str().unwrap()).collect()
}

#[test]
fn the_template_that_is_shipped_shows_each_variable_and_reports_presses() {
    let file: Value = serde_json::from_str(include_str!("../../../docs/dingtalk-card.json")).unwrap();
    assert_eq!((&file["type"], &file["mode"]), (&"im".into(), &"card".into()));
    let drawn = file["editorData"].as_str().unwrap();
    let editor: Value = serde_json::from_str(drawn).unwrap();
    let declared = &editor["variableList"];
    assert_eq!(names(declared), ["title", "markdown", "tips", "msgButtons"]);
    let sent =
        body::card(&pressable(rich(&[("title", "t"), ("text", "x")])), "cidOPS==", "ID", &body::Look { robot: "", template: "", listens: true });
    let params = sent["cardData"]["cardParamMap"].as_object().unwrap();
    let lists: Value = serde_json::from_str(params["sys_full_json_obj"].as_str().unwrap()).unwrap();
    let others = params.keys().filter(|name| *name != "sys_full_json_obj");
    let mut names_sent: Vec<&str> = others.chain(lists.as_object().unwrap().keys()).map(String::as_str).collect();
    names_sent.sort_unstable();
    assert_eq!(names_sent, ["markdown", "msgButtons", "tips", "title"]);
    let button = names(&declared[3]["schema"]);
    for part in lists["msgButtons"].as_array().unwrap().iter().flat_map(|one| one.as_object().unwrap().keys()) {
        assert!(part == "request" || button.contains(&part.as_str()), "{part}: {lists}");
    }
    for shown in ["${title}", "${tips}", "\"variable\":\"markdown\"", "\"variable\":\"msgButtons\"", "${loop.text}", "msgButtons[0].color"] {
        assert!(drawn.contains(shown), "{shown}");
    }
    let buttons = &editor["schema"]["componentsTree"][0]["children"][2]["children"];
    assert_eq!((&buttons[0]["props"]["actionType"], &buttons[0]["props"]["actionId"]["content"]), (&"request".into(), &"${loop.id}".into()));
    assert_eq!((&buttons[1]["props"]["actionType"], &buttons[1]["props"]["url"]["variable"]), (&"url".into(), &"msgButtons[0].url".into()));
}

#[tokio::test]
async fn a_template_of_ones_own_has_the_same_variables() {
    let id = body::id(&context().idempotency_key, "cidOPS==");
    let server = ScriptedServer::start([Scripted::from(TOKEN), delivered(&id), Scripted::from(TOKEN), delivered(&id)]).await;
    let page = pressable(rich(&[("title", "[FIRING:2] Disk"), ("text", "**Disk** on db-1\n")]));
    let own = CONFIG.replace("buttons:", "template_id: ' 0a1b2c3d-0000-4859-ac88-517c56a9acb1.schema ', buttons:");
    for config in [CONFIG, own.as_str()] {
        build::<Config>(config, &server.base).unwrap().channel.send(&page, &group(), &context()).await;
    }
    let sent = [1, 3].map(|place: usize| server.seen()[place].json());
    assert_eq!(sent[0]["cardTemplateId"], "1366a1eb-bc54-4859-ac88-517c56a9acb1.schema");
    assert_eq!(sent[1]["cardTemplateId"], "0a1b2c3d-0000-4859-ac88-517c56a9acb1.schema");
    assert_eq!(sent[0]["cardData"], sent[1]["cardData"]);
    // The page about this platform lists them.
    let mut names: Vec<&String> = sent[1]["cardData"]["cardParamMap"].as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["markdown", "sys_full_json_obj", "tips", "title"]);
}

#[tokio::test]
async fn answers_mean_what_dingtalk_says() {
    let no = |status: u16, code: &str| Scripted::new(status, format!(r#"{{"requestid":"R","code":"{code}","message":"no T0KEN"}}"#).into_bytes());
    let rows = [
        (no(403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi"), RateLimited { retry_after: Some(Duration::from_secs(2)) }),
        (no(403, "Forbidden.AccessDenied.ApiCountLimitForOrg"), Rejected),
        (no(403, "Forbidden.AccessDenied.AccessTokenPermissionDenied"), Misconfigured),
        (no(400, "param.cardTemplateNotExist"), Misconfigured),
        (no(400, "param.contentUnsafe"), Rejected),
        (no(400, "param.userIdNotExist"), Rejected),
        (no(400, "param.tomorrow"), Rejected),
        (no(500, "system.error"), Transient),
        (Scripted::new(502, "<html>"), Transient),
        // Created, and not delivered: one of the channel's two places.
        (
            Scripted::from(
                r#"{"success":true,"result":{"outTrackId":"x","deliverResults":[{"success":false,"errorMsg":"robot is not in the group"}]}}"#,
            ),
            Rejected,
        ),
        (no(400, "param.spaceNotExist"), Rejected),
        (Scripted::from(r#"{"success":true,"result":{"outTrackId":"x","deliverResults":[{"success":false,"errorMsg":"?"}]}}"#), Rejected),
        // It does not say that it was delivered, or says it of another card.
        (Scripted::from(r#"{"success":true,"result":{"outTrackId":"x","deliverResults":[]}}"#), Transient),
        (delivered("another"), Transient),
        (Scripted::from(r#"{"success":false}"#), Rejected),
        (Scripted::from("{}"), Transient),
    ];
    for (answer, kind) in rows {
        let said = format!("{answer:?}");
        let server = ScriptedServer::start([Scripted::from(TOKEN), answer]).await;
        let driver = build::<Config>(CONFIG, &server.base).unwrap().channel;
        let result = driver.send(&page(&[("title", "t"), ("text", "x")]), &group(), &context()).await.remove(0).1;
        let error = result.unwrap_err();
        assert!(error.kind == kind || kind == Transient && error.kind == Ambiguous, "{said}: {error:?}");
        let of_receiver = matches!(error.code.as_deref(), Some("param.userIdNotExist" | "param.spaceNotExist"));
        assert_eq!(error.recipient, of_receiver || error.summary.contains("robot is not"), "{said}: {error:?}");
        assert!(!format!("{error:?}").contains("T0KEN"), "{error:?}");
    }
}

/// It is sent again without them.
#[tokio::test]
async fn a_card_to_a_group_is_refused_for_its_mentions_and_one_to_a_person_for_its_recipient() {
    let unknown = r#"{"code":"param.userIdNotExist","message":"no"}"#;
    let invalid = r#"{"code":"param.tomorrow","message":"atUserIds is not valid"}"#;
    let left = r#"{"success":true,"result":{"outTrackId":"x","deliverResults":[{"success":false,"errorMsg":"user of atUserIds is not there"}]}}"#;
    let person = || [Recipient::new("user:anna")];
    for (to, status, refusal, of) in [
        (group(), 400, unknown, (true, false)),
        (group(), 400, invalid, (true, false)),
        (group(), 200, left, (true, false)),
        (person(), 400, unknown, (false, true)),
    ] {
        let server = ScriptedServer::start([Scripted::from(TOKEN), Scripted::new(status, refusal)]).await;
        let driver = build::<Config>(CONFIG, &server.base).unwrap().channel;
        let error = driver.send(&rich(&[("title", "t"), ("text", "x")]), &to, &context()).await.remove(0).1.unwrap_err();
        assert_eq!((error.kind, (error.mentions, error.recipient)), (Rejected, of), "{error:?}");
    }
}

#[tokio::test]
async fn a_group_without_the_robot_holds_a_channel_that_has_no_other() {
    let away = r#"{"success":true,"result":{"outTrackId":"x","deliverResults":[{"success":false,"errorMsg":"robot is not in the group"}]}}"#;
    let alone = CONFIG.replace(", 'user:anna'", "");
    for (config, kind, of_recipient) in [(alone.as_str(), Misconfigured, false), (CONFIG, Rejected, true)] {
        let server = ScriptedServer::start([Scripted::from(TOKEN), Scripted::from(away)]).await;
        let driver = build::<Config>(config, &server.base).unwrap().channel;
        let error = driver.send(&page(&[("title", "t"), ("text", "x")]), &group(), &context()).await.remove(0).1.unwrap_err();
        assert_eq!((error.kind, error.recipient), (kind, of_recipient), "{error:?}");
    }
}

/// The place is not at fault, and the next one would refuse the card, too.
#[tokio::test]
async fn a_robot_that_is_not_known_holds_a_channel_whatever_its_places() {
    let failed = |words: &str| {
        let result = serde_json::json!({ "outTrackId": "x", "deliverResults": [{ "success": false, "errorMsg": words }] });
        Scripted::from(serde_json::json!({ "success": true, "result": result }).to_string().as_str())
    };
    let refused = || Scripted::new(400, r#"{"code":"param.robotCodeInvalid","message":"no"}"#);
    for answer in [failed("机器人不存在"), failed("robotCode is invalid"), failed("robot not exist"), refused()] {
        let server = ScriptedServer::start([Scripted::from(TOKEN), answer]).await;
        let driver = build::<Config>(CONFIG, &server.base).unwrap().channel;
        let error = driver.send(&page(&[("title", "t"), ("text", "x")]), &group(), &context()).await.remove(0).1.unwrap_err();
        assert_eq!((error.kind, error.recipient), (Misconfigured, false), "{error:?}");
        assert!(error.summary.contains("robot_code"), "{error}");
    }
    for words in ["机器人不在群中", "群机器人不存在", "robot not found in the conversation"] {
        let server = ScriptedServer::start([Scripted::from(TOKEN), failed(words)]).await;
        let driver = build::<Config>(CONFIG, &server.base).unwrap().channel;
        let error = driver.send(&page(&[("title", "t"), ("text", "x")]), &group(), &context()).await.remove(0).1.unwrap_err();
        assert_eq!((error.kind, error.recipient), (Rejected, true), "{words}: {error:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_fetched_again_once() {
    let old = || Scripted::new(400, r#"{"code":"InvalidAuthentication","message":"不合法的access_token"}"#);
    let id = body::id(&context().idempotency_key, "cidOPS==");
    let page = page(&[("title", "t"), ("text", "x")]);
    let server = ScriptedServer::start([Scripted::from(TOKEN), old(), Scripted::from(TOKEN), delivered(&id)]).await;
    let driver = build::<Config>(CONFIG, &server.base).unwrap().channel;
    assert!(driver.send(&page, &group(), &context()).await[0].1.is_ok());
    let server = ScriptedServer::start([Scripted::from(TOKEN), old(), Scripted::from(TOKEN), old()]).await;
    let driver = build::<Config>(CONFIG, &server.base).unwrap().channel;
    assert_eq!(kinds(&driver.send(&page, &group(), &context()).await), [Err((Misconfigured, Some("InvalidAuthentication".to_owned())))]);
}

#[tokio::test]
async fn an_edit_of_what_is_not_there_is_gone() {
    for (status, code, gone) in
        [(400, "param.cardNotExist", true), (400, "param.contentUnsafe", false), (403, "Forbidden.AccessDenied.QpsLimitForApi", false)]
    {
        let refusal = Scripted::new(status, format!(r#"{{"code":"{code}","message":"no"}}"#).into_bytes());
        let server = ScriptedServer::start([Scripted::from(TOKEN), refusal]).await;
        let driver = build::<Config>(CONFIG, &server.base).unwrap().channel;
        let ids = PlatformIds::one("outTrackId", "x".to_owned());
        let error = driver.update(&ids, &page(&[("title", "t"), ("text", "x")]), &group()[0], &context()).await.unwrap_err();
        assert_eq!(error.gone, gone, "{error:?}");
    }
}

#[test]
fn buttons_to_press_come_before_links_and_a_variable_is_never_too_long() {
    let link = |place: usize, length: usize| Link {
        kind: LinkKind::Dashboard,
        label: format!("Panel {place}"),
        url: format!("https://g/{}", "x".repeat(length)),
    };
    let mut page = pressable(page(&[("title", &"磁".repeat(600)), ("text", &"盘".repeat(600))]));
    page.facts.links = vec![link(1, 200), link(2, 900), link(3, 200)];
    let labels = |page: &Page| {
        let edit = body::edit(page, "x");
        let params = edit["cardData"]["cardParamMap"].as_object().unwrap().clone();
        assert!(params.values().all(|value| value.as_str().unwrap().len() <= 1024), "{params:?}");
        let listed: Value = serde_json::from_str(params["sys_full_json_obj"].as_str().unwrap()).unwrap();
        listed["msgButtons"].as_array().unwrap().iter().map(|button| button["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(labels(&page), ["我来处理", "2 小时", "Panel 1", "Panel 3"]);
    // What DingTalk refuses for its content is repeated without addresses.
    page.plain = true;
    assert_eq!(labels(&page), ["我来处理", "2 小时"]);
    page.facts.incident.buttons.clear();
    assert!(labels(&page).is_empty());
    assert_eq!((DESCRIPTOR.measure)(&page), crate::model::Size::bytes(1800, 1024));
    // Clients append a place to an id.
    assert_eq!([body::value("ack.abc.12_"), body::value("ack.abc.12_1"), body::value("x")], ["ack.abc.12", "ack.abc.12", "x"]);
}

#[test]
fn mistakes_are_found() {
    let check = |yaml: &str| {
        let config: Config = serde_yaml::from_str(yaml).unwrap();
        config.check().into_iter().map(|problem| problem.path).collect::<Vec<_>>()
    };
    let good = "app_key: a, app_secret: b, robot_code: c";
    assert_eq!(check(&format!("{{ {good}, to: ['cidX==', 'user: anna'] }}")), [""; 0]);
    assert_eq!(check(&format!("{{ {good}, to: [] }}")), ["dingtalk_card.to"]);
    assert_eq!(check(&format!("{{ {good}, to: [anna, 'user:', cid] }}")), ["dingtalk_card.to[0]", "dingtalk_card.to[1]", "dingtalk_card.to[2]"]);
    assert_eq!(check(&format!("{{ {good}, to: [cidX], buttons: true }}")), ["dingtalk_card.corp_id"]);
    for (id, is_one) in [("0a1b2c3d-ac88.schema", true), ("0a1b2c3d-ac88", false), (".schema", false), ("''", false), ("'a b.schema'", false)] {
        let found = check(&format!("{{ {good}, to: [cidX], template_id: {id} }}"));
        assert_eq!(found.is_empty(), is_one, "{id}: {found:?}");
        assert!(found.iter().all(|path| path == "dingtalk_card.template_id"), "{found:?}");
    }
    assert_eq!(check(&format!("{{ {good}, to: [cidX], mentions: {{ mobiles: ['13800000000'] }} }}")), ["dingtalk_card.mentions"]);
    assert_eq!(DESCRIPTOR.pace.per_month, Some(5000), "the quota of the standard edition");
}

#[tokio::test]
async fn no_answer_about_the_token_refuses_a_message() {
    for (answer, kind) in [("{}", Transient), (r#"{"code":"tomorrow","message":"no"}"#, Misconfigured)] {
        let server = ScriptedServer::start([Scripted::from(answer)]).await;
        let driver = build::<Config>(CONFIG, &server.base).unwrap().channel;
        let results = driver.send(&page(&[("title", "t"), ("text", "x")]), &group(), &context()).await;
        assert_eq!(results[0].1.as_ref().unwrap_err().kind, kind, "{answer}");
    }
}
