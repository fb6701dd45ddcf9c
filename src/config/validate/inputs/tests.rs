//! The inputs that come with Watchfire, against bodies as their senders post them (`tests/data/inputs`).

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{BLOCKS, SHIPPED, compiled};
use crate::ingest::{Input, Inputs, Sender, parse, says_something, unread};
use crate::model::{Event, Note, Status};
use crate::template::Snippet;

fn shipped() -> Inputs {
    let mut all = Inputs::default();
    for (name, block) in BLOCKS.iter() {
        assert_eq!(block.check("severity"), [], "{name}");
        all.add(Input::new(name, block, "severity", |path, text| {
            Some(compiled(Snippet::parse(path, text).unwrap_or_else(|found| panic!("{name}.{path}: {found:?}"))))
        }));
    }
    all
}

fn now() -> Timestamp {
    "2026-12-01T00:00:00Z".parse().unwrap()
}

/// Every body: its file's name without the ending, its input, and its bytes.
fn bodies() -> Vec<(String, String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/inputs");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json" || ending == "form"));
    paths.sort();
    let of = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name.clone(), name.split('-').next().unwrap().to_owned(), std::fs::read(path).unwrap())
    };
    paths.iter().map(of).collect()
}

/// A body's event, read as `/webhook` reads it.
fn event(inputs: &Inputs, body: &[u8]) -> Event {
    parse(&Sender::Auto, body, inputs, now()).unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(body))).event
}

fn by_name(inputs: &Inputs, name: &str) -> Event {
    let body = bodies().into_iter().find(|(body, ..)| body == name).unwrap_or_else(|| panic!("{name}")).2;
    event(inputs, &body)
}

fn json_of(name: &str) -> Value {
    serde_json::from_slice(&bodies().into_iter().find(|(body, ..)| body == name).unwrap_or_else(|| panic!("{name}")).2).unwrap()
}

/// What is shown of an alert, without the body that is kept with it.
fn shown(event: &Event) -> Value {
    let mut alerts = serde_json::to_value(&event.alerts).unwrap();
    for alert in alerts.as_array_mut().unwrap() {
        alert.as_object_mut().unwrap().remove("extra");
    }
    alerts
}

#[test]
fn every_file_is_an_input() {
    assert_eq!(SHIPPED.files().count(), BLOCKS.len(), "a file of templates/inputs cannot be read");
    let inputs = shipped();
    let names = "aliyun azure cloudwatch datadog eventbridge google_cloud huawei nightingale sentry sns tencent uptime_kuma zabbix zabbixclient";
    assert_eq!(inputs.names().collect::<Vec<_>>().join(" "), names);
}

#[test]
fn every_body_becomes_the_alerts_it_became_before() {
    let inputs = shipped();
    for (name, input, body) in bodies() {
        let event = event(&inputs, &body);
        assert_eq!(
            (event.receiver.as_str(), event.notes.as_slice()),
            (input.as_str(), [].as_slice()),
            "{name}: chosen by what it holds, and read whole"
        );
        let by_path = parse(&Sender::Input(input), &body, &inputs, now()).unwrap().event;
        assert_eq!(by_path, event, "{name}: the path makes no difference");
        assert!(!event.alerts[0].extra.is_empty(), "{name}: all of it is kept");
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_json_snapshot!(name, shown(&event));
        });
    }
}

#[test]
fn what_is_over_ends_what_fired() {
    let inputs = shipped();
    let recorded = [
        ("zabbix-5.0-problem", "zabbix-5.0-resolved"),
        ("zabbix-7.0-problem", "zabbix-7.0-resolved"),
        ("uptime_kuma-1.23-down", "uptime_kuma-1.23-up"),
        ("aliyun-2023-alert", "aliyun-2023-ok"),
        ("eventbridge-2019-alarm", "eventbridge-2019-ok"),
        ("tencent-2020-metric", "tencent-2020-recovered"),
        ("zabbixclient-1.1-problem", "zabbixclient-1.1-resolved"),
        ("azure-2019-fired", "azure-2019-resolved"),
        ("google_cloud-2020-open", "google_cloud-2020-closed"),
        ("huawei-2025-alarm", "huawei-2025-over"),
        ("nightingale-6.0-triggered", "nightingale-6.0-recovered"),
        ("sentry-2020-critical", "sentry-2020-resolved"),
        ("datadog-2024-triggered", "datadog-2024-recovered"),
    ]
    .map(|(fired, over)| (by_name(&inputs, fired), by_name(&inputs, over)));
    let (alarm, down) = (json_of("cloudwatch-2024-alarm"), json_of("uptime_kuma-2.5-down"));
    let (mut ok, mut up) = (alarm.clone(), down.clone());
    ok["NewStateValue"] = "OK".into();
    up["heartbeat"]["status"] = 1.into();
    let read = |body: Value| event(&inputs, body.to_string().as_bytes());
    let changed = [(by_sns("1", "", &alarm), by_sns("2", "", &ok)), (alarm, ok), (down, up)].map(|(fired, over)| (read(fired), read(over)));
    for (fired, over) in recorded.into_iter().chain(changed) {
        assert_eq!((fired.status, over.status), (Status::Firing, Status::Resolved));
        assert_eq!(fired.alerts[0].fingerprint, over.alerts[0].fingerprint, "{}", fired.receiver);
        assert!(fired.apart && over.apart);
    }
}

#[test]
fn a_subscription_is_a_note_with_the_address_that_confirms_it() {
    let (amazon, huawei) =
        ("https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription", "https://console.huaweicloud.com/smn/subscription/confirm?");
    for (body, name, address, text) in [
        ("sns-subscription", "SNS subscription to confirm", amazon, "You have chosen to subscribe"),
        ("huawei-subscription", "SMN subscription to confirm", huawei, "You are invited to subscribe"),
    ] {
        let event = by_name(&shipped(), body);
        let alert = &event.alerts[0];
        assert_eq!((alert.name(), alert.label("severity")), (name, "info"));
        assert!(alert.generator_url.starts_with(address), "{}", alert.generator_url);
        assert!(alert.annotation("summary").starts_with(text), "{body}");
    }
}

/// What SNS posts of a message.
fn by_sns(id: &str, subject: &str, message: &Value) -> Value {
    let text = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
    json!({
        "Type": "Notification", "MessageId": id, "TopicArn": "arn:aws:sns:us-east-1:123456789012:ops", "Subject": subject, "Message": text,
        "Timestamp": "2026-11-01T10:00:00.000Z",
    })
}

/// A change of state of a series of an alarm over several, as an event.
fn changed(series: &str, state: &str) -> Value {
    json!({
        "id": format!("{series} {state}"), "detail-type": "CloudWatch Alarm Contributor State Change", "source": "aws.cloudwatch", "region": "us-east-1",
        "account": "123456789012", "time": "2026-11-01T10:00:00Z", "detail": {
            "alarmName": "Throttled tables", "alarmContributor": { "id": format!("id-{series}"), "attributes": { "TableName": series } },
            "state": { "value": state, "reason": "Threshold Crossed", "timestamp": "2026-11-01T10:00:00.919+0000" },
        },
    })
}

#[test]
fn a_series_of_an_alarm_is_over_while_another_one_fires() {
    let inputs = shipped();
    let alarm = |series: &str, state: &str| {
        json!({
            "AlarmName": "Throttled tables", "AWSAccountId": "123456789012", "NewStateValue": state, "NewStateReason": "Threshold Crossed",
            "StateChangeTime": "2026-11-01T10:00:00.919+0000", "Region": "US East (N. Virginia)", "AlarmContributorId": format!("id-{series}"),
            "AlarmContributorAttributes": { "TableName": series },
        })
    };
    let alarm_by_sns = |series: &str, state: &str| by_sns(state, "", &alarm(series, state));
    let event_by_sns = |series: &str, state: &str| by_sns(state, "", &changed(series, state));
    type Post<'a> = &'a dyn Fn(&str, &str) -> Value;
    let ways: [(&str, Post<'_>); 4] = [("alarm", &alarm), ("event", &changed), ("alarm by SNS", &alarm_by_sns), ("event by SNS", &event_by_sns)];
    for (way, post) in ways {
        let of = |series: &str, state: &str| event(&inputs, post(series, state).to_string().as_bytes());
        let (fires, over, other) = (of("orders", "ALARM"), of("orders", "OK"), of("users", "OK"));
        assert_eq!((fires.status, over.status, other.status), (Status::Firing, Status::Resolved, Status::Resolved), "{way}");
        let (fires, over, other) = (&fires.alerts[0], &over.alerts[0], &other.alerts[0]);
        assert_eq!(
            (fires.name(), fires.label("instance"), fires.annotation("summary")),
            ("Throttled tables", "orders", "Threshold Crossed"),
            "{way}"
        );
        assert_eq!(fires.fingerprint, over.fingerprint, "{way}: its own end");
        assert_ne!(fires.fingerprint, other.fingerprint, "{way}: the end of another is not its end");
    }
}

/// They share a subject, or have none: the second one must not take the place of the first.
#[test]
fn a_message_that_is_no_alarm_is_an_alert_by_itself() {
    let inputs = shipped();
    let of = |body: Value| event(&inputs, body.to_string().as_bytes());
    let edited = |name: &str| {
        let mut event = changed(name, "OK");
        event["detail-type"] = "CloudWatch Alarm Configuration Change".into();
        event
    };
    for subject in ["", "AWS Notification Message"] {
        let text = |id: &str| of(by_sns(id, subject, &json!(format!("the backup of {id} failed"))));
        let (one, other) = (text("db-1"), text("db-2"));
        assert_ne!(one.alerts[0].fingerprint, other.alerts[0].fingerprint, "{subject}");
        assert_eq!(one.alerts[0].fingerprint, text("db-1").alerts[0].fingerprint, "{subject}: one message that SNS posts twice");
        assert_eq!(one.status, Status::Firing);
    }
    let edited_by_sns = |name: &str| by_sns(name, "", &edited(name));
    let ways: [&dyn Fn(&str) -> Value; 2] = [&edited, &edited_by_sns];
    for post in ways {
        let (one, other) = (of(post("orders")), of(post("users")));
        assert_eq!((one.status, one.alerts[0].name()), (Status::Firing, "CloudWatch Alarm Configuration Change"), "not the end of an alarm");
        assert_ne!(one.alerts[0].fingerprint, other.alerts[0].fingerprint);
    }
}

#[test]
fn a_subscription_that_was_removed_is_none_to_confirm() {
    for (name, member, told) in
        [("sns-subscription", "Type", "SNS subscription removed"), ("huawei-subscription", "type", "SMN subscription removed")]
    {
        let mut body = json_of(name);
        body[member] = "UnsubscribeConfirmation".into();
        let event = event(&shipped(), body.to_string().as_bytes());
        assert_eq!((event.alerts[0].name(), event.alerts[0].label("severity")), (told, "warning"));
    }
}

/// An issue alert has no end of its own; its issue is resolved, or archived.
#[test]
fn an_issue_of_sentry_ends_what_alerted_of_it() {
    let inputs = shipped();
    let alert = by_name(&inputs, "sentry-2019-triggered").alerts.remove(0);
    let of = |id: &str, status: &str| {
        let mut body = json_of("sentry-2025-issue");
        body["installation"]["uuid"] = "a8e5d37a-696c-4c54-adb5-b3f28d64c7de".into();
        body["data"]["issue"]["id"] = id.into();
        body["data"]["issue"]["status"] = status.into();
        event(&inputs, body.to_string().as_bytes()).alerts.remove(0)
    };
    for (status, means) in [("resolved", Status::Resolved), ("ignored", Status::Resolved), ("unresolved", Status::Firing)] {
        let issue = of("1117540176", status);
        assert_eq!((issue.status, &issue.fingerprint), (means, &alert.fingerprint), "{status}");
    }
    assert_ne!(of("7", "resolved").fingerprint, alert.fingerprint);
    // What it posts of anything else is shown as text, and none of it is a repeat of another.
    let comment = |text: &str| {
        let body = json!({
            "action": "created", "installation": { "uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de" },
            "data": { "comment_id": 1, "issue_id": 1117540176, "project_slug": "front-end", "comment": text },
        });
        event(&inputs, body.to_string().as_bytes()).alerts.remove(0)
    };
    let (one, other) = (comment("mine"), comment("yours"));
    assert!(one.status == Status::Firing && one.annotation("description").contains("mine"), "{one:?}");
    assert_ne!(one.fingerprint, other.fingerprint);
}

#[test]
fn each_event_of_nightingales_list_is_an_alert() {
    let inputs = shipped();
    let (fires, mut over) = (json_of("nightingale-8.0-triggered"), json_of("nightingale-8.0-triggered"));
    over[0]["hash"] = "other".into();
    over[0]["is_recovered"] = true.into();
    let event = event(&inputs, json!([fires[0], over[0]]).to_string().as_bytes());
    let told: Vec<_> = event.alerts.iter().map(|alert| (alert.status, alert.label("severity"), alert.label("instance"))).collect();
    assert_eq!(told, [(Status::Firing, "warning", "web-3.local"), (Status::Resolved, "warning", "web-3.local")]);
    assert!(event.apart && event.alerts[0].fingerprint != event.alerts[1].fingerprint);
}

/// Only alarms say whether they are over, by a member that Huawei leaves out when it is false.
#[test]
fn a_message_of_huaweis_is_over_where_it_is_an_alarm_that_says_so() {
    let inputs = shipped();
    let of = |message: &str| {
        let mut body = json_of("huawei-2025-alarm");
        body["message_id"] = message.into();
        body["message"] = message.into();
        event(&inputs, body.to_string().as_bytes()).alerts.remove(0)
    };
    let alarm = json_of("huawei-2025-alarm")["message"].as_str().unwrap().to_owned();
    let over = of(&alarm.replace("\"IsAlarm\":true,", ""));
    assert_eq!((over.status, over.fingerprint), (Status::Resolved, of(&alarm).fingerprint));
    let (one, other) = (of("备份已恢复"), of("backup failed"));
    assert_eq!((one.status, one.annotation("summary"), other.status), (Status::Firing, "备份已恢复", Status::Firing));
    assert_ne!(one.fingerprint, other.fingerprint);
}

#[test]
fn objects_that_tencent_names_otherwise_are_apart() {
    let inputs = shipped();
    let of = |object: &str| {
        let mut body = json_of("tencent-2020-event");
        body["alarmObjInfo"]["dimensions"] = json!({ "directConnectConnId": object, "objDetail": { "vpc": "vpc-1" } });
        event(&inputs, body.to_string().as_bytes()).alerts.remove(0)
    };
    let (one, other) = (of("dc-1"), of("dc-2"));
    assert!(one.label("instance").contains("dc-1"), "{one:?}");
    assert_ne!(one.fingerprint, other.fingerprint);
}

/// What Tencent posts of the level `Remind` when the value falls or rises says nothing of `Serious`.
#[test]
fn a_level_of_an_alarm_is_over_while_a_worse_one_fires() {
    let inputs = shipped();
    let of = |level: &str, status: &str| {
        let mut body = json_of("tencent-2025-level");
        body["alertId"] = format!("xxxxxxxx_{level}").into();
        body["alarmLevel"] = level.into();
        body["alarmStatus"] = status.into();
        event(&inputs, body.to_string().as_bytes()).alerts.remove(0)
    };
    let (mild, worse, over) = (of("Remind", "1"), of("Serious", "1"), of("Remind", "0"));
    assert_eq!((mild.label("severity"), worse.label("severity"), over.status), ("info", "critical", Status::Resolved));
    assert_eq!(mild.fingerprint, over.fingerprint, "its own end");
    assert_ne!(worse.fingerprint, over.fingerprint, "the end of another level is not its end");
}

#[test]
fn two_uptime_kumas_that_share_a_credential_do_not_end_each_others_alerts() {
    let inputs = shipped();
    let of = |file: &str, name: &str| {
        let mut body = json_of(file);
        body["monitor"]["name"] = name.into();
        event(&inputs, body.to_string().as_bytes()).alerts.remove(0)
    };
    let (down, other, up) = (of("uptime_kuma-1.23-down", "api"), of("uptime_kuma-1.23-up", "mail"), of("uptime_kuma-1.23-up", "api"));
    assert_eq!((down.label("monitor_id"), other.label("monitor_id")), ("3", "3"), "each counts from 1");
    assert_eq!(down.fingerprint, up.fingerprint);
    assert_ne!(down.fingerprint, other.fingerprint);
}

/// Two such bodies would be the same alert, and the second one a repeat of the first.
#[test]
fn a_body_of_another_sender_is_no_alert_of_an_input() {
    let inputs = shipped();
    for name in inputs.names() {
        let sender = Sender::Input(name.to_owned());
        for body in [&br#"{"disk": "full", "on": "db-1"}"#[..], br#"[{"disk": "full"}]"#, b"{}"] {
            let refused = parse(&sender, body, &inputs, now()).unwrap_err().to_string();
            assert!(refused.contains("finds none of its values in the body"), "{name}: {refused}");
        }
        let known = br#"{"alerts": [{"labels": {"alertname": "Known"}}]}"#;
        assert_eq!(parse(&sender, known, &inputs, now()).unwrap().event.alerts[0].name(), "Known", "{name}: what all know is read as that");
        let empty = parse(&sender, b"", &inputs, now()).unwrap_err().to_string();
        assert!(empty.starts_with("the body is empty"), "{name}: {empty}");
    }
    // With raw message delivery SNS posts the alarm by itself, to the same address.
    let raw = bodies().into_iter().find(|(name, ..)| name == "cloudwatch-2024-alarm").unwrap().2;
    let event = parse(&Sender::Input("sns".to_owned()), &raw, &inputs, now()).unwrap().event;
    assert_eq!((event.receiver.as_str(), event.alerts[0].name()), ("cloudwatch", "CPU over 80 %"));
}

#[test]
fn texts_of_zabbixclient_that_differ_are_different_alerts() {
    let inputs = shipped();
    let of = |message: &str| {
        let event = event(&inputs, json!({ "zabbixmessage": message, "zabbixtarget": "", "zabbixtype": "dd" }).to_string().as_bytes());
        (event.status, event.alerts[0].name().to_owned(), event.alerts[0].fingerprint.clone())
    };
    let (one, other) = (of("【告警】\n主机: db-1"), of("【告警】\n主机: db-2"));
    assert_eq!((one.0, one.1.as_str(), other.1.as_str()), (Status::Firing, "【告警】 主机: db-1", "【告警】 主机: db-2"));
    assert_ne!(one.2, other.2);
    let (fired, over) = (of("故障主机IP：10.0.0.12 磁盘已满"), of("故障主机IP：10.0.0.12 磁盘已满 已经恢复"));
    assert_eq!((fired.0, over.0, &fired.2), (Status::Firing, Status::Resolved, &over.2), "its form for SMS");
}

/// What a sender changes one day: nothing of it may cost an alert, or end one. What cannot be read is sent as text.
#[test]
fn an_unknown_member_a_missing_one_and_a_list_where_one_was_cost_no_alert() {
    let inputs = shipped();
    for (name, input, body) in bodies() {
        let Ok(whole) = serde_json::from_slice::<Value>(&body) else { continue };
        // A list's entry by itself is the same alert.
        let whole = if let Value::Array(mut entries) = whole { entries.remove(0) } else { whole };
        let members = whole.as_object().unwrap();
        let before = event(&inputs, &body);
        let mut more = whole.clone();
        more["brandNew"] = json!({ "deep": [1, { "x": null }] });
        let after = event(&inputs, more.to_string().as_bytes());
        assert_eq!((shown(&after), &after.alerts[0].extra["brandNew"]["deep"][0]), (shown(&before), &json!(1)), "{name}: it is kept");
        for member in members.keys() {
            for changed in [None, Some(Value::Null), Some(json!([members[member]])), Some(json!({ "value": members[member] })), Some(json!("?"))] {
                let mut body = members.clone();
                body.remove(member);
                body.extend(changed.clone().map(|value| (member.clone(), value)));
                let (body, way) = (Value::from(body).to_string(), format!("{name}: {member} as {changed:?}"));
                let holds = |status: Status| status == Status::Firing || before.status == Status::Resolved;
                let Ok(parsed) = parse(&Sender::Input(input.clone()), body.as_bytes(), &inputs, now()) else {
                    let text = unread(body.as_bytes());
                    assert!(says_something(body.as_bytes()) && holds(text.status), "{way}: {text:?}");
                    assert!(text.alerts.len() == 1 || !text.message.is_empty(), "{way}: {text:?}");
                    continue;
                };
                let alert = &parsed.event.alerts[0];
                assert!(!alert.name().is_empty() && !alert.fingerprint.is_empty() && holds(alert.status), "{way}: {alert:?}");
                let texts = alert.labels.values().chain(alert.annotations.values());
                assert_eq!(texts.filter(|text| text.contains("[object]")).count(), 0, "{way}: {alert:?}");
                assert!(!parsed.event.notes.contains(&Note::Odd(1)) || alert.annotation("description").contains(':'), "{way}: {alert:?}");
            }
        }
    }
}
