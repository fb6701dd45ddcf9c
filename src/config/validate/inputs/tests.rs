//! The inputs that come with Watchfire, against bodies as their senders post them (`tests/data/inputs`).

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{BLOCKS, SHIPPED, compiled};
use crate::ingest::{Input, Inputs, Sender, parse};
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
    assert_eq!(
        inputs.names().collect::<Vec<_>>(),
        ["aliyun", "cloudwatch", "eventbridge", "sns", "tencent", "uptime_kuma", "zabbix", "zabbixclient"]
    );
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
    for (fired, over) in [
        ("zabbix-5.0-problem", "zabbix-5.0-resolved"),
        ("zabbix-7.0-problem", "zabbix-7.0-resolved"),
        ("uptime_kuma-1.23-down", "uptime_kuma-1.23-up"),
        ("aliyun-2023-alert", "aliyun-2023-ok"),
        ("eventbridge-2019-alarm", "eventbridge-2019-ok"),
        ("tencent-2020-metric", "tencent-2020-recovered"),
        ("zabbixclient-1.1-problem", "zabbixclient-1.1-resolved"),
    ] {
        let (fired, over) = (by_name(&inputs, fired), by_name(&inputs, over));
        assert_eq!((fired.status, over.status), (Status::Firing, Status::Resolved));
        assert_eq!(fired.alerts[0].fingerprint, over.alerts[0].fingerprint, "{}", fired.receiver);
        assert!(fired.apart && over.apart);
    }
}

#[test]
fn a_subscription_is_a_note_with_the_address_that_confirms_it() {
    let event = by_name(&shipped(), "sns-subscription");
    let alert = &event.alerts[0];
    assert_eq!((alert.name(), alert.label("severity")), ("SNS subscription to confirm", "info"));
    assert!(alert.generator_url.starts_with("https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription"), "{}", alert.generator_url);
    assert!(alert.annotation("summary").starts_with("You have chosen to subscribe"));
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
    let mut body: Value = serde_json::from_slice(&bodies().into_iter().find(|(name, ..)| name == "sns-subscription").unwrap().2).unwrap();
    body["Type"] = "UnsubscribeConfirmation".into();
    let event = event(&shipped(), body.to_string().as_bytes());
    assert_eq!((event.alerts[0].name(), event.alerts[0].label("severity")), ("SNS subscription removed", "warning"));
}

#[test]
fn objects_that_tencent_names_otherwise_are_apart() {
    let inputs = shipped();
    let of = |object: &str| {
        let mut body: Value = serde_json::from_slice(&bodies().into_iter().find(|(name, ..)| name == "tencent-2020-event").unwrap().2).unwrap();
        body["alarmObjInfo"]["dimensions"] = json!({ "directConnectConnId": object, "objDetail": { "vpc": "vpc-1" } });
        event(&inputs, body.to_string().as_bytes()).alerts.remove(0)
    };
    let (one, other) = (of("dc-1"), of("dc-2"));
    assert!(one.label("instance").contains("dc-1"), "{one:?}");
    assert_ne!(one.fingerprint, other.fingerprint);
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

/// What a sender changes one day: nothing of it may cost an alert.
#[test]
fn an_unknown_member_a_missing_one_and_a_list_where_one_was_cost_no_alert() {
    let inputs = shipped();
    for (name, input, body) in bodies() {
        let Ok(whole) = serde_json::from_slice::<Value>(&body) else { continue };
        let members = whole.as_object().unwrap();
        let before = event(&inputs, &body);
        let mut more = whole.clone();
        more["brandNew"] = json!({ "deep": [1, { "x": null }] });
        let after = event(&inputs, more.to_string().as_bytes());
        assert_eq!(shown(&after), shown(&before), "{name}");
        assert_eq!(after.alerts[0].extra["brandNew"]["deep"][0], 1, "{name}: it is kept");
        for member in members.keys() {
            for changed in [None, Some(Value::Null), Some(json!([members[member]])), Some(json!({ "value": members[member] })), Some(json!("?"))] {
                let mut body = whole.clone();
                match &changed {
                    None => drop(body.as_object_mut().unwrap().remove(member)),
                    Some(value) => body[member] = value.clone(),
                }
                let body = body.to_string();
                // What cannot be read is sent as text, unless it says nothing.
                let Ok(parsed) = parse(&Sender::Input(input.clone()), body.as_bytes(), &inputs, now()) else { continue };
                let alert = &parsed.event.alerts[0];
                assert!(!alert.name().is_empty() && !alert.fingerprint.is_empty(), "{name}: {member} as {changed:?}");
                let texts = alert.labels.values().chain(alert.annotations.values());
                assert_eq!(texts.filter(|text| text.contains("[object]")).count(), 0, "{name}: {member} as {changed:?}: {alert:?}");
                let told = parsed.event.notes.contains(&Note::Odd(1));
                assert!(!told || alert.annotation("description").contains(':'), "{name}: {member} as {changed:?}: {alert:?}");
            }
        }
    }
}
