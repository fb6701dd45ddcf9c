//! Old clients of the bridges that Watchfire replaces: one address changes, and nothing else.

use serde_json::{Value, json};
use watchfire::api::EventResponse;
use watchfire::model::{Note, SenderKind};

use crate::support::app::{Four, SOON, TestApp, alert};
use crate::support::fakes::recorder::Record;
use crate::support::fakes::{DingtalkRobot, Fake, Robot, Twilio};

async fn start() -> (Four, TestApp) {
    let four = Four::start().await;
    four.ding.unpaced();
    four.slack.unpaced();
    let routes = four.routes().replace("route: { to: [ops-mail, ops-slack, ops-ding, ops-wecom] }", "route: { to: [ops-slack] }");
    let more = "  auth: none\n  dingtalk: { webhook1: ops-ding, both: [ops-ding, ops-wecom] }\n  prometheusalert: { dd: ops-ding, workwechat: ops-wecom }\n  \
                webhook_send: { weixinapp: ops-wecom }\n";
    let app = TestApp::start(&format!("{routes}{more}")).await;
    (four, app)
}

async fn call(app: &TestApp, path: &str, body: &Value) -> (u16, String) {
    let response = app.http.post(app.url(path)).json(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The channels of an app's deliveries, sorted.
async fn channels(app: &TestApp) -> Vec<String> {
    let mut channels: Vec<String> = app.settled().await.iter().map(|row| row.channel.to_string()).collect();
    channels.sort();
    channels
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_of_the_dingtalk_bridge_are_channels() {
    let (four, app) = start().await;
    assert_eq!(call(&app, "/dingtalk/webhook1/send", &alert("a", "One", "firing")).await, (200, "OK".into()));
    assert!(four.ding.rec.wait(SOON, |rec| rec.accepted().len() == 1).await);
    assert_eq!(channels(&app).await, ["ops-ding"]);
    assert_eq!(call(&app, "/dingtalk/both/send", &alert("b", "Two", "firing")).await.0, 200);
    assert_eq!(channels(&app).await, ["ops-ding", "ops-ding", "ops-wecom"]);
    // One that nobody bound: the routing table, and a note. The bridge answered 404, and Alertmanager dropped the alert.
    assert_eq!(call(&app, "/dingtalk/nobody/send", &alert("c", "Three", "firing")).await, (200, "OK".into()));
    assert_eq!(channels(&app).await, ["ops-ding", "ops-ding", "ops-slack", "ops-wecom"]);
    let event = newest(&app).await;
    assert_eq!(event.event.unknown_to, ["dingtalk/nobody"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheusalert_finds_robots_by_their_tokens_and_pings() {
    let (four, app) = start().await;
    let robot = |token: &str| format!("https://oapi.dingtalk.com/robot/send?access_token={token}");
    let path = format!("/prometheusalert?type=dd&tpl=prometheus-dd&ddurl={}&at=13900000002,13900000003", robot("ding-token"));
    let (status, answer) = call(&app, &path, &alert("a", "One", "firing")).await;
    assert_eq!((status, serde_json::from_str::<String>(&answer).unwrap().as_str()), (200, r#"{"errcode":0,"errmsg":"ok"}"#));
    assert!(four.ding.rec.wait(SOON, |rec| rec.accepted().len() == 1).await);
    let pinged = four.ding.rec.accepted()[0].to.clone();
    assert!(pinged.contains(&"13900000002".to_owned()) && pinged.contains(&"13900000003".to_owned()), "{pinged:?}");
    // A robot that no channel has goes to what its type is bound to; a type that nobody bound, to the routing table. No address of a query is called.
    let unknown = format!("/prometheusalert?type=dd&ddurl={}", robot("another"));
    assert_eq!(call(&app, &unknown, &alert("b", "Two", "firing")).await.0, 200);
    assert_eq!(call(&app, "/prometheusalert?type=webhook&webhookurl=http://169.254.169.254/latest", &alert("c", "Three", "firing")).await.0, 200);
    assert_eq!(channels(&app).await, ["ops-ding", "ops-ding", "ops-slack"]);
    // The robots of a group are in PrometheusAlert's own configuration: the type's channels get the alert, and the event says so.
    assert_eq!(call(&app, "/prometheusalert?type=dd&alertgroup=dba", &alert("e", "Five", "firing")).await.0, 200);
    assert_eq!(channels(&app).await, ["ops-ding", "ops-ding", "ops-ding", "ops-slack"]);
    assert_eq!(newest(&app).await.event.unknown_to, ["alertgroup=dba"]);
    let found = format!("/prometheusalert?type=dd&alertgroup=dba&ddurl={}", robot("ding-token"));
    assert_eq!(call(&app, &found, &alert("f", "Six", "firing")).await.0, 200);
    assert_eq!(channels(&app).await.len(), 5);
    assert!(newest(&app).await.event.unknown_to.is_empty(), "a robot that a channel has is no guess");
    // Its levels are severities.
    let mut body = alert("d", "Four", "firing");
    body["alerts"][0]["labels"] = json!({ "alertname": "Four", "level": "4" });
    assert_eq!(call(&app, "/prometheusalert?type=workwechat", &body).await.0, 200);
    let event = newest(&app).await;
    assert_eq!(event.event.alerts[0].label("severity"), "critical");
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheusalert_names_several_robots_or_one_of_them() {
    let four = Four::start().await;
    four.ding.unpaced();
    let two = Fake::start(DingtalkRobot::default().robot("ding-two", Robot::signed("SEC0123456789"))).await;
    two.unpaced();
    let ding = format!("dingtalk: {{ access_token: ding-two, secret: SEC0123456789, api_base: \"{}\" }}", two.url());
    let routes = four.routes().replacen("channels:", &format!("channels:\n  second: {{ {ding} }}"), 1);
    let app = TestApp::start(&format!("{routes}  auth: none\n  prometheusalert: {{ dd: ops-ding }}\n")).await;
    let robot = |token: &str| format!("https://oapi.dingtalk.com/robot/send?access_token={token}");
    let (both, half) = (format!("{},{}", robot("ding-token"), robot("ding-two")), format!("{},{}", robot("another"), robot("ding-two")));
    for (group, query, to) in [
        ("a", format!("ddurl={both}"), &["ops-ding", "second"][..]),
        ("b", format!("ddurl={both}&rr=true"), &["ops-ding"][..]),
        // One that no channel has: what the type is bound to gets it, too, unless one of them is enough.
        ("c", format!("ddurl={half}"), &["ops-ding", "second"][..]),
        ("d", format!("ddurl={half}&rr=true"), &["second"][..]),
    ] {
        assert_eq!(call(&app, &format!("/prometheusalert?type=dd&{query}"), &alert(group, "One", "firing")).await.0, 200, "{query}");
        let event = newest(&app).await;
        let mut reached: Vec<&str> = event.deliveries.iter().map(|row| row.channel.as_str()).collect();
        reached.sort_unstable();
        assert_eq!(reached, to, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheusalert_takes_get_with_a_body_and_says_what_is_wrong_without_one() {
    let (four, app) = start().await;
    let get = async |body: String| {
        let answer = app.http.get(app.url("/prometheusalert?type=dd&tpl=prometheus-dd")).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get(alert("a", "One", "firing").to_string()).await.0, 200);
    assert!(four.ding.rec.wait(SOON, |rec| rec.accepted().len() == 1).await);
    let (status, text) = get(String::new()).await;
    assert!(status == 400 && text.contains("the body is empty"), "{status} {text}");
    for path in ["/webhook/send?channel_type=dingtalk", "/dingtalk/webhook1/send", "/zabbix/alert"] {
        let answer = app.http.get(app.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 405, "{path}");
        assert!(answer.text().await.unwrap().contains("this is the right place; POST the alerts to it"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapters_query_names_a_type_or_a_token() {
    let (four, app) = start().await;
    assert_eq!(call(&app, "/webhook/send?channel_type=dingtalk&token=ding-token", &alert("a", "One", "firing")).await, (204, String::new()));
    assert!(four.ding.rec.wait(SOON, |rec| rec.accepted().len() == 1).await);
    assert_eq!(
        call(&app, "/webhook/send?channel_type=weixinapp&corp_id=x&agent_id=1&agent_secret=s&to_user=lisi", &alert("b", "Two", "firing")).await.0,
        204
    );
    assert_eq!(call(&app, "/webhook/send?channel_type=feishu&token=unknown", &alert("c", "Three", "firing")).await.0, 204);
    assert_eq!(channels(&app).await, ["ops-ding", "ops-slack", "ops-wecom"]);
    assert_eq!(reached(&four.wecom.rec.accepted()), ["lisi"], "`to_user` as the adapter took it");
}

/// The newest event of an app.
async fn newest(app: &TestApp) -> EventResponse {
    let (_, events) = app.get("/api/v1/events?limit=1").await;
    app.read(&format!("/api/v1/events/{}", events["events"][0]["id"].as_str().unwrap())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheusalerts_templates_name_the_sender_and_a_set_here_or_are_noted() {
    let four = Four::start().await;
    four.ding.unpaced();
    let more = "  auth: none\n  prometheusalert: { dd: ops-ding }\ntemplates: templates\n";
    let app = TestApp::start_with(&format!("{}{more}", four.routes()), |options| {
        let set = options.config.parent().unwrap().join("templates/dingtalk");
        std::fs::create_dir_all(&set).unwrap();
        std::fs::write(set.join("short.text.hbs"), "short form: {{preview}}").unwrap();
        let other = set.with_file_name("slack");
        std::fs::create_dir_all(&other).unwrap();
        std::fs::write(other.join("long.text.hbs"), "long form: {{preview}}").unwrap();
    })
    .await;
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let post = async |query: &str, kind: &str, body: Vec<u8>| {
        let url = app.url(&format!("/prometheusalert?type=dd&{query}"));
        let response = app.http.post(url).header("content-type", kind).body(body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{query}");
        app.settled().await;
        let shown = four.ding.rec.accepted().last().expect("the robot gets it").text.clone();
        (newest(&app).await.event, shown)
    };
    let json = "application/json";
    // What is named after its sender is read as that sender's, with nothing to note.
    let (event, shown) = post("tpl=grafana-dd&split=false", json, std::fs::read(data.join("bodies/grafana-legacy.json")).unwrap()).await;
    assert_eq!((event.kind, &event.notes[..], event.alerts[0].name()), (SenderKind::GrafanaLegacy, &[][..], "Panel Title alert"), "{shown}");
    let (event, shown) = post("tpl=zabbix-dd", json, std::fs::read(data.join("inputs/zabbix-5.0-problem.json")).unwrap()).await;
    assert_eq!((event.receiver.as_str(), &event.notes[..]), ("zabbix", &[][..]), "{shown}");
    assert!(shown.contains("Disk space is low") && shown.contains("db-1"), "{shown}");
    let form = std::fs::read(data.join("inputs/aliyun-2023-alert.form")).unwrap();
    let (event, shown) = post("from=aliyun&tpl=aliyun", "application/x-www-form-urlencoded", form).await;
    assert_eq!((event.receiver.as_str(), &event.notes[..]), ("aliyun", &[][..]), "{shown}");
    // Of its own templates the channel's takes the place.
    let body = |group: &str| serde_json::to_vec(&alert(group, "DiskFull", "firing")).unwrap();
    let (event, shown) = post("tpl=prometheus-dd&split=true", json, body("a")).await;
    assert!(event.notes.is_empty() && shown.contains("DiskFull is wrong") && !shown.contains("short form"), "{shown}");
    // A set of that name is used; what is neither is noted, and nothing is refused.
    let (event, shown) = post("tpl=short", json, body("b")).await;
    assert!(event.notes.is_empty() && shown.contains("short form: "), "{shown}");
    let (event, shown) = post("tpl=dba-night", json, body("c")).await;
    assert_eq!(event.notes, [Note::Template]);
    assert!(shown.contains("DiskFull is wrong") && shown.contains("names a template that its channels do not have"), "{shown}");
    // A set that only another platform has.
    let (event, shown) = post("tpl=long", json, body("d")).await;
    assert!(event.notes == [Note::Template] && !shown.contains("long form"), "{shown}");
}

/// A channel that sends text messages.
fn sms(twilio: &Fake<Twilio>) -> String {
    let account = "account_sid: AC1, auth_token: twilio-token, from: \"+15005550006\", to: [\"+8613800000001\"]";
    format!("sms: {{ twilio_sms: {{ {account}, api_base: \"{}\" }} }}", twilio.url())
}

fn reached(sent: &[Record]) -> Vec<String> {
    let mut to: Vec<String> = sent.iter().flat_map(|record| record.to.clone()).collect();
    to.sort();
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn what_zabbixclient_posts_goes_where_its_body_says() {
    let (four, twilio) = (Four::start().await, Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await);
    four.ding.unpaced();
    let routes = four.routes().replacen("channels:", &format!("channels:\n  {}", sms(&twilio)), 1);
    let routes = routes.replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
    let app = TestApp::start(&format!("{routes}  auth: none\n  prometheusalert: {{ wx: ops-wecom, alydx: sms }}\n")).await;
    let body = |name: &str, target: &str, kind: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/inputs").join(name);
        let mut body: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        body["zabbixtarget"] = target.into();
        body["zabbixtype"] = kind.into();
        body
    };
    // A robot by its token, whatever its type is bound to.
    let problem = body("zabbixclient-1.1-problem.json", "https://oapi.dingtalk.com/robot/send?access_token=ding-token", "dd");
    let (status, answer) = call(&app, "/zabbix/alert", &problem).await;
    assert_eq!((status, serde_json::from_str::<String>(&answer).unwrap().as_str()), (200, r#"{"errcode":0,"errmsg":"ok"}"#));
    assert_eq!(channels(&app).await, ["ops-ding"]);
    let shown = four.ding.rec.accepted()[0].text.clone();
    assert!(shown.contains("CPU 负载过高") && shown.contains("web-3") && !shown.contains("no alert that Watchfire knows"), "{shown}");
    // One that no channel has: what the type is bound to. A type that nobody bound: the routing table.
    assert_eq!(call(&app, "/zabbix/alert", &body("zabbixclient-1.1-problem.json", "https://example.com/?key=K", "wx")).await.0, 200);
    assert_eq!(channels(&app).await, ["ops-ding", "ops-wecom"]);
    assert_eq!(call(&app, "/zabbix/alert", &body("zabbixclient-1.4-sms.json", "", "tg")).await.0, 200);
    assert_eq!(channels(&app).await, ["ops-ding", "ops-slack", "ops-wecom"]);
    assert_eq!(newest(&app).await.event.unknown_to, ["zabbix/alert: tg"]);
    // Its recovery ends the incident.
    assert_eq!(call(&app, "/zabbix/alert", &body("zabbixclient-1.1-resolved.json", "", "wx")).await.0, 200);
    app.settled().await;
    let (_, incidents) = app.get("/api/v1/incidents?state=resolved").await;
    assert_eq!(incidents["incidents"].as_array().map(Vec::len), Some(1), "{incidents}");
    // A number is written to in place of the channel's own.
    assert_eq!(call(&app, "/zabbix/alert", &body("zabbixclient-1.4-sms.json", "+8613900000009", "alydx")).await.0, 200);
    app.settled().await;
    assert_eq!(reached(&twilio.rec.accepted()), ["+8613900000009"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapters_slack_and_applications_are_found_by_what_the_query_says() {
    let four = Four::start().await;
    four.slack.unpaced();
    let routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-ding]");
    let routes = routes.replace("channel: \"C0123\"", "channel: \"#ops\"");
    let app = TestApp::start(&format!("{routes}  auth: none\n")).await;
    let slack = "/webhook/send?channel_type=slack&token=xoxb-test-token&channel=ops";
    assert_eq!(call(&app, slack, &alert("a", "One", "firing")).await.0, 204);
    assert_eq!(channels(&app).await, ["ops-slack"], "the adapter wrote the # itself");
    let wecom = "/webhook/send?channel_type=weixinapp&corp_id=corp-id&agent_id=1000002&agent_secret=x&to_user=lisi";
    assert_eq!(call(&app, wecom, &alert("b", "Two", "firing")).await.0, 204);
    assert_eq!(channels(&app).await, ["ops-slack", "ops-wecom"]);
    assert_eq!(reached(&four.wecom.rec.accepted()), ["lisi"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_of_the_query_are_reached_or_the_message_says_that_they_are_not() {
    let (four, twilio) = (Four::start().await, Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await);
    four.ding.unpaced();
    let routes = four.routes().replacen("channels:", &format!("channels:\n  {}", sms(&twilio)), 1);
    let more = "  auth: none\n  prometheusalert: { dd: ops-ding, alydx: sms, email: ops-mail, workwechat: ops-wecom }\n";
    let app = TestApp::start(&format!("{routes}{more}")).await;
    let disk = alert("a", "One", "firing");
    let post = async |query: &str| assert_eq!(call(&app, &format!("/prometheusalert?{query}"), &disk).await.0, 200, "{query}");
    post("type=alydx&tpl=x&phone=%2B8613900000002,%2B8613900000003,%2B8613900000002").await;
    app.settled().await;
    assert_eq!(reached(&twilio.rec.accepted()), ["+8613900000002", "+8613900000003"], "and not the channel's own");
    // The same body to somebody else is no repeat.
    post("type=alydx&tpl=x&phone=%2B8613900000004").await;
    app.settled().await;
    assert_eq!(reached(&twilio.rec.accepted()), ["+8613900000002", "+8613900000003", "+8613900000004"]);
    post("type=email&email=a@example.com").await;
    app.settled().await;
    let to: Vec<String> = four.smtp.mails().iter().map(|mail| mail.header("To").unwrap().to_owned()).collect();
    assert!(to.len() == 1 && to[0].contains("a@example.com"), "{to:?}");
    post("type=workwechat&wxuser=lisi").await;
    app.settled().await;
    assert_eq!(reached(&four.wecom.rec.accepted()), ["lisi"]);
    assert!(app.settled().await.iter().all(|row| row.state == watchfire::store::State::Sent));

    // A room takes nobody by number: the message says so, and the event keeps it.
    post("type=dd&phone=13900000002").await;
    app.settled().await;
    let shown = four.ding.rec.accepted().last().expect("the room gets it").text.clone();
    assert!(shown.contains("names recipients whom its channels do not take"), "{shown}");
    let event = newest(&app).await;
    assert_eq!(event.event.notes, [Note::Recipients]);
    assert_eq!(twilio.rec.accepted().len(), 3, "nobody else was reached");
    // What is no address is left out, and the message says so.
    post(&format!("type=alydx&phone={}", vec!["13900000005"; 400].join(";"))).await;
    let rows = app.settled().await;
    assert!(rows.iter().all(|row| row.state == watchfire::store::State::Sent), "{rows:#?}");
    let sent = twilio.rec.accepted();
    assert_eq!((sent.len(), sent[3].to.as_slice()), (4, ["+8613800000001".to_owned()].as_slice()), "the channel's own");
    let event = newest(&app).await;
    assert_eq!(event.event.notes, [Note::Recipients]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_paths_of_bridges_ask_for_what_the_direct_paths_do() {
    let four = Four::start().await;
    let routes =
        four.routes().replace("\"127.0.0.1:0\" }", "\"127.0.0.1:0\", auth: [{ name: old, bearer: old-token-0123456789, scopes: [legacy] }] }");
    let app = TestApp::start(&format!("{routes}  dingtalk: {{ ops: ops-ding }}\n")).await;
    for path in ["/dingtalk/ops/send", "/prometheusalert?type=dd", "/webhook/send?channel_type=dingtalk&token=ding-token"] {
        assert_eq!(call(&app, path, &alert("a", "One", "firing")).await.0, 401, "{path}");
    }
    let response =
        app.http.post(app.url("/dingtalk/ops/send")).bearer_auth("old-token-0123456789").json(&alert("a", "One", "firing")).send().await.unwrap();
    assert_eq!(response.status(), 200);
}
