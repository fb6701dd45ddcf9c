//! Whom a route mentions is pinged, or named where a platform cannot ping; and nobody who is refused as a mention keeps a message from arriving.

use watchfire::store::{DeliveryRow, State};

use crate::support::app::{TestApp, alert};
use crate::support::every_platform::All;
use crate::support::fakes::dingtalk::{DingtalkRobot, Robot};
use crate::support::fakes::dingtalk_card::{Card, DingtalkCard};
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::wecom::Wecom;
use crate::support::fakes::{Feishu, Preset, WecomRobot};

const GONE: &str = r#"{"code":230099,"msg":"Failed to create card content, ext=ErrCode: 100290; ErrMsg: there is an invalid user resource (at/person) in your card"}"#;

fn routes(channels: &str, to: &str, at: &str) -> String {
    format!(
        "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nlanguage: zh\nchannels:\n{channels}\nroute: {{ to: [{to}], mentions: {at} }}\n"
    )
}

fn reply(status: u16, body: &str) -> Fault {
    Fault::Reply(status, "application/json".into(), body.into())
}

async fn attempts(app: &TestApp, row: &DeliveryRow) -> Vec<String> {
    let message = app.delivery(row.id).await.message.unwrap();
    message.attempts.iter().map(|attempt| attempt.kind.unwrap().as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_refused_for_its_mentions_arrives_without_them_and_says_so() {
    let fake = Fake::start(Feishu::new("hook-token", None, "cli_1", "app-secret")).await;
    fake.unpaced();
    let yaml = routes(&format!("  group: {{ feishu: {{ token: hook-token, api_base: \"{}\" }} }}", fake.url()), "group", "{ users: [ou_gone] }");
    let app = TestApp::start(&yaml).await;
    let invalid = r#"{"code":11246,"data":{},"msg":"ErrCode: 100290; ErrMsg: there is an invalid user resource (at/person) in your card; ErrorValue: x****; "}"#;
    fake.faults.push(reply(200, invalid));
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert_eq!(rows[0].state, State::Sent, "{rows:#?}");
    assert_eq!(attempts(&app, &rows[0]).await, ["rejected", "ok"], "one request more, not a storm of them");
    let sent = fake.rec.accepted().pop().unwrap();
    assert!(sent.text.contains("DiskFull is wrong") && sent.text.contains("未提醒任何人") && sent.text.contains("11246"), "{}", sent.text);
    assert!(!sent.text.contains("<at") && fake.rec.accepted().len() == 1, "{}", sent.text);
    assert_eq!(sent.json()["msg_type"], "interactive", "the message keeps its form");

    // The next alert is mentioned as before: only that one message was refused.
    app.post("/webhook", &alert("web", "Down", "firing")).await;
    app.settled().await;
    assert!(fake.rec.accepted().pop().unwrap().text.contains("<at id=ou_gone>"));
}

/// The other platforms that name the mentions when they refuse a message.
#[tokio::test(flavor = "multi_thread")]
async fn refused_mentions_are_left_out_on_dingtalk_discord_telegram_and_zulip() {
    let all = All::start().await;
    let snowflake =
        r#"{"code":50035,"message":"Invalid Form Body","errors":{"allowed_mentions":{"users":{"0":{"_errors":[{"code":"NUMBER_TYPE_COERCE"}]}}}}}"#;
    let entity = r#"{"ok":false,"error_code":400,"description":"Bad Request: ENTITY_MENTION_USER_INVALID"}"#;
    let wildcard = r#"{"result":"error","msg":"You do not have permission to use channel wildcard mentions in this channel.","code":"STREAM_WILDCARD_MENTION_NOT_ALLOWED"}"#;
    let rows = [
        ("dingtalk", "{ mobiles: [\"13800000000\"] }", "13800000000", 200, r#"{"errcode":40035,"errmsg":"参数错误 atMobiles"}"#),
        ("discord", "{ users: [\"80351110224678912\"] }", "80351110224678912", 400, snowflake),
        ("telegram", "{ users: [\"8124711\"] }", "8124711", 400, entity),
        ("zulip", "{ all: true }", "**all**", 400, wildcard),
    ];
    for (name, at, ping, status, refusal) in rows {
        let member = all.member(name);
        let app = TestApp::start(&routes(&format!("  {name}: {{ rate_limit: off, {} }}", member.yaml), name, at)).await;
        member.faults.push_on(member.path, reply(status, refusal));
        app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
        let sent = app.settled().await;
        assert_eq!(sent[0].state, State::Sent, "{name}: {sent:#?}");
        assert_eq!(attempts(&app, &sent[0]).await, ["rejected", "ok"], "{name}");
        let asked = member.rec.all().into_iter().filter(|record| record.call.path.contains(member.path));
        let bodies: Vec<String> = asked.map(|record| String::from_utf8_lossy(&record.call.body).into_owned()).collect();
        assert!(bodies.len() == 2 && bodies[0].contains(ping) && !bodies[1].contains(ping), "{name}: {bodies:#?}");
        let read = member.rec.accepted().pop().unwrap().text;
        assert!(read.contains("DiskFull") && read.contains("未提醒任何人"), "{name}: {read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_got_the_message_with_its_mentions_does_not_get_it_again_without() {
    let fake = Fake::start(Feishu::new("hook-token", None, "cli_1", "app-secret")).await;
    fake.unpaced();
    let channel = format!("  app: {{ feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1, oc_2, oc_3], api_base: \"{}\" }} }}", fake.url());
    let app = TestApp::start(&routes(&channel, "app", "{ users: [ou_local] }")).await;
    fake.faults.push_on("/im/v1/messages", Fault::Pass);
    fake.faults.push_on("/im/v1/messages", reply(400, GONE));
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert_eq!(rows[0].state, State::Sent, "{rows:#?}");
    let sent: Vec<(String, bool)> =
        fake.rec.accepted().iter().map(|r| (r.json()["receive_id"].as_str().unwrap().to_owned(), r.text.contains("<at"))).collect();
    assert_eq!(sent, [("oc_1".to_owned(), true), ("oc_2".to_owned(), false), ("oc_3".to_owned(), false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_refused_for_its_mentions_and_then_for_its_content_ends_as_plain_text() {
    let fake = Fake::start(Feishu::new("hook-token", None, "cli_1", "app-secret")).await;
    fake.unpaced();
    let yaml = routes(&format!("  group: {{ feishu: {{ token: hook-token, api_base: \"{}\" }} }}", fake.url()), "group", "{ users: [ou_gone] }");
    let app = TestApp::start(&yaml).await;
    fake.faults.push(reply(400, GONE));
    fake.faults.push(reply(200, r#"{"code":11246,"msg":"ErrCode: 11310; ErrMsg: element exceeds the limit"}"#));
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert_eq!(rows[0].state, State::Sent, "{rows:#?}");
    assert_eq!(attempts(&app, &rows[0]).await, ["rejected", "rejected", "ok"]);
    let sent = fake.rec.accepted().pop().unwrap();
    assert!(sent.json()["msg_type"] == "text" && !sent.text.contains("<at"), "{}", sent.text);
    let why = "原因：飞书拒绝了消息：消息内容未被接受，请检查模板渲染结果（“ErrCode: 11310; ErrMsg: element exceeds the limit”）（错误码 11246）";
    assert!(sent.text.contains(why) && !sent.text.contains("{\""), "in its readers' language, without the platform's JSON: {}", sent.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_and_mobile_numbers_are_pinged_or_named_on_every_chinese_platform() {
    let ding = Fake::start(DingtalkRobot::default().robot("ding-token", Robot::default())).await;
    let robot = Fake::start(WecomRobot::new("robot-key")).await;
    let feishu = Fake::start(Feishu::new("hook-token", None, "cli_1", "app-secret")).await;
    let wecom = Fake::start(Wecom::new("ww1", 1_000_002, "wecom-secret").with_members(&["zhangsan"]).unpaced()).await;
    let channels = format!(
        "  ding: {{ dingtalk: {{ access_token: ding-token, api_base: \"{}\" }} }}\n  robot: {{ wecom_robot: {{ key: robot-key, api_base: \"{}\" }} }}\n  \
         feishu: {{ feishu: {{ token: hook-token, api_base: \"{}\" }} }}\n  \
         wecom: {{ wecom: {{ corp_id: ww1, agent_id: 1000002, secret: wecom-secret, to_user: zhangsan, api_base: \"{}\" }} }}",
        ding.url(),
        robot.url(),
        feishu.url(),
        wecom.url()
    );
    let app = TestApp::start(&routes(&channels, "ding, robot, feishu, wecom", "{ mobiles: [\"13800000000\"], all: true }")).await;
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert!(rows.len() == 4 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    let pinged = ding.rec.accepted().pop().unwrap().to;
    assert!(pinged.contains(&"13800000000".to_owned()) && pinged.contains(&"@all".to_owned()), "{pinged:?}");

    let two = robot.rec.accepted();
    assert_eq!(two.len(), 2, "the message, and a short text that pings");
    assert_eq!((&two[0].json()["msgtype"], &two[1].json()["msgtype"]), (&"markdown".into(), &"text".into()));
    assert_eq!(two[1].to[1..], ["@all".to_owned(), "13800000000".to_owned()]);
    assert!(two[1].text.contains("DiskFull") && two[1].text.chars().count() < 200 && !two[0].text.contains("@all"), "{two:#?}");

    let card = feishu.rec.accepted().pop().unwrap();
    assert!(card.text.contains("<at id=all>") && card.text.contains("请另行通知（此平台无法提醒）：13800000000"), "{}", card.text);
    let text = wecom.rec.accepted().pop().unwrap().text;
    assert!(text.contains("请另行通知（此平台无法提醒）：所有人、13800000000"), "{text}");

    // What is over pings nobody and names nobody.
    app.post("/webhook", &alert("db", "DiskFull", "resolved")).await;
    app.settled().await;
    assert_eq!(robot.rec.accepted().len(), 3);
    assert!(!wecom.rec.accepted().pop().unwrap().text.contains("另行通知"));
}

/// The other ways to the same three platforms: a card, a robot with a connection, an application.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_and_mobile_numbers_are_pinged_or_named_in_cards_and_by_applications() {
    let all = All::start().await;
    let named = [
        ("dingtalk_card", "请另行通知（此平台无法提醒）：13800000000", "\"atUserIds\":{\"@ALL\":\"@ALL\"}"),
        ("wecom_bot", "请另行通知（此平台无法提醒）：所有人、13800000000", ""),
        ("feishu-app", "请另行通知（此平台无法提醒）：13800000000", "<at id=all>"),
    ];
    let channels: Vec<String> = named.iter().map(|(name, ..)| format!("  {name}: {{ rate_limit: off, {} }}", all.member(name).yaml)).collect();
    let yaml = routes(&channels.join("\n"), "dingtalk_card, wecom_bot, feishu-app", "{ mobiles: [\"13800000000\"], all: true }");
    let app = TestApp::start(&yaml).await;
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert!(rows.len() == 3 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    for (name, note, ping) in named {
        let member = all.member(name);
        let sent = member.rec.accepted().into_iter().rfind(|record| record.call.path.contains(member.path)).unwrap();
        let body = String::from_utf8_lossy(&sent.call.body);
        assert!(sent.text.contains(note) && body.contains(ping), "{name}: {} {body}", sent.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_that_is_refused_does_not_make_a_delivered_message_a_dead_letter() {
    let robot = Fake::start(WecomRobot::new("robot-key")).await;
    let channel = format!("  robot: {{ wecom_robot: {{ key: robot-key, api_base: \"{}\" }} }}", robot.url());
    let app = TestApp::start(&routes(&channel, "robot", "{ mobiles: [\"13800000000\"] }")).await;
    robot.faults.push(Fault::Pass);
    let refused = r#"{"errcode":40058,"errmsg":"text.mentioned_mobile_list expect type array of string. invalid Request Parameter"}"#;
    robot.faults.push(reply(200, refused));
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert_eq!(rows[0].state, State::Sent, "{rows:#?}");
    assert_eq!(robot.rec.accepted().len(), 1);
}

/// DingTalk refuses who has left: the id is forgotten, and not asked for again soon.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_whose_mention_is_refused_arrives_without_it() {
    let ding = Fake::start(DingtalkCard::new(("key", "ding-secret"), "bot", &["cidOPS=="], &[])).await;
    ding.with(|one| one.people.add("13800000000", "ann.ding"));
    let channel = format!(
        "  ding: {{ dingtalk_card: {{ app_key: key, app_secret: ding-secret, robot_code: bot, to: [\"cidOPS==\"], api_base: \"{}\" }} }}",
        ding.url()
    );
    let people = "people: { ann: { mobile: \"+8613800000000\" } }\n";
    let app = TestApp::start(&format!("{}{people}", routes(&channel, "ding", "{ people: [ann] }"))).await;
    for (group, refused) in [("db", false), ("web", true), ("app", false)] {
        if refused {
            ding.faults.push(reply(400, r#"{"code":"param.userIdNotExist","message":"no"}"#));
        }
        app.post("/webhook", &alert(group, "DiskFull", "firing")).await;
        app.settled().await;
    }
    let rows = app.deliveries("channel=ding").await;
    assert!(rows.len() >= 3 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    let pinged: usize = ding.with(|one| one.cards.values().map(|card| card.pinged.len()).sum());
    assert_eq!((pinged, ding.with(|one| one.people.asked.len())), (1, 1), "the first card alone");
    let says = |card: &&Card| card.params.values().any(|text| text.contains("未提醒任何人"));
    assert_eq!(ding.with(|one| one.cards.values().filter(says).count()), 1, "and the second says so");
    let (_, metrics) = app.get("/metrics").await;
    let line = "watchfire_failed_look_ups_total{platform=\"dingtalk_card\",result=\"refused\"} 1";
    assert!(metrics.as_str().unwrap().contains(line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_messages_that_read_the_same_both_reach_their_readers() {
    let wecom = Fake::start(Wecom::new("ww1", 1_000_002, "wecom-secret").with_members(&["zhangsan"]).unpaced()).await;
    let feishu = Fake::start(Feishu::new("hook-token", None, "cli_1", "app-secret")).await;
    feishu.unpaced();
    let remembering = |mut fake: Preset| {
        fake.texts = Some(Vec::new());
        fake
    };
    let pushplus = Fake::start(remembering(Preset::new("pushplus", "push-secret"))).await;
    let serverchan = Fake::start(remembering(Preset::new("serverchan", "SCT-secret"))).await;
    let channels = format!(
        "  wecom: {{ wecom: {{ corp_id: ww1, agent_id: 1000002, secret: wecom-secret, to_user: zhangsan, api_base: \"{}\" }} }}\n  \
         app: {{ feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1, oc_2], api_base: \"{}\" }} }}\n  \
         plus: {{ preset: {{ name: pushplus, params: {{ url: \"{}\", token: push-secret }} }} }}\n  \
         chan: {{ preset: {{ name: serverchan, params: {{ url: \"{}\", send_key: SCT-secret }} }} }}",
        wecom.url(),
        feishu.url(),
        pushplus.url(),
        serverchan.url()
    );
    let app = TestApp::start(&routes(&channels, "wecom, app, plus, chan", "{}")).await;
    // Two groups whose alerts read the same: another sender, the same words.
    for source in ["am-1", "am-2"] {
        app.post(&format!("/webhook?source={source}"), &alert("db", "DiskFull", "firing")).await;
        app.settled().await;
    }
    let rows = app.settled().await;
    assert!(rows.len() == 8 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    for service in [&pushplus, &serverchan] {
        let texts: Vec<String> = service.rec.accepted().into_iter().map(|call| call.text).collect();
        assert!(texts.len() == 2 && texts[0] != texts[1], "the number of the incident distinguishes them: {texts:#?}");
    }
    assert_eq!(wecom.rec.accepted().len(), 2, "none is held for a repeat of the other");
    assert_eq!(feishu.rec.accepted().len(), 4, "each receiver gets each message");
}
