//! The generic mapping: what it finds, what it refuses, what its own check says.

use jiff::Timestamp;

use super::GenericMapping;
use crate::ingest::{Sender, parse};
use crate::model::{Note, SenderKind, Status};

fn mapping(json: &str) -> GenericMapping {
    serde_json::from_str(json).unwrap()
}

fn zabbix() -> GenericMapping {
    mapping(
        r#"{"alerts": "/data/events", "labels": {"alertname": "/trigger/name", "host": "/hosts/0", "a/b": "/tags/a~1b", "site": {"body": "/site"},
            "team": {"value": "infra"}, "prio": {"value": 3}}, "annotations": {"description": "/trigger/text", "raw": "/trigger"},
            "status": "/value", "resolved_values": ["0", "OK"], "starts_at": "/clock", "ends_at": "/r_clock", "fingerprint": "/id",
            "generator_url": "/url"}"#,
    )
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

const BODY: &str = r#"{"site": "fra1", "data": {"events": [
  {"id": 17, "trigger": {"name": "Disk full", "text": "a\nb"}, "hosts": ["db1", "db2"], "tags": {"a/b": true}, "value": 1, "clock": 1700000000, "url": "http://z/17"},
  {"id": 18, "trigger": {"name": "Load"}, "hosts": [], "value": "ok", "clock": "2025-01-01T00:00:00Z", "r_clock": 1700000300000}]}}"#;

#[test]
fn pointers_literals_and_the_body_fill_alerts() {
    let mapping = zabbix();
    assert_eq!(mapping.check(), []);
    let event = parse(Sender::Auto, BODY.as_bytes(), Some(&mapping), now()).unwrap().event;
    assert_eq!((event.kind, event.status, event.alerts.len()), (SenderKind::Generic, Status::Firing, 2));
    let disk = &event.alerts[0];
    let labels: Vec<_> = disk.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(labels, [("a/b", "true"), ("alertname", "Disk full"), ("host", "db1"), ("prio", "3"), ("site", "fra1"), ("team", "infra")]);
    assert_eq!(disk.annotation("description"), "a\nb");
    assert_eq!(disk.annotation("raw"), r#"{"name":"Disk full","text":"a\nb"}"#);
    assert_eq!((disk.status, disk.fingerprint.as_str(), disk.generator_url.as_str()), (Status::Firing, "17", "http://z/17"));
    assert_eq!(disk.starts_at.unwrap().as_second(), 1_700_000_000);
    let load = &event.alerts[1];
    assert_eq!((load.status, load.label("host")), (Status::Resolved, ""));
    assert_eq!(load.ends_at.unwrap().as_second(), 1_700_000_300);
    assert_eq!(event.common_labels.len(), 3);
}

#[test]
fn without_an_alerts_pointer_the_body_is_one_alert_or_each_entry_is() {
    let mapping = mapping(r#"{"labels": {"alertname": "/name"}}"#);
    let one = parse(Sender::Auto, br#"{"name": "X"}"#, Some(&mapping), now()).unwrap().event;
    assert_eq!((one.alerts.len(), one.alerts[0].name(), one.alerts[0].status), (1, "X", Status::Firing));
    let many = parse(Sender::Auto, br#"[{"name": "X"}, {"name": 5}]"#, Some(&mapping), now()).unwrap().event;
    assert_eq!((many.alerts.len(), many.alerts[1].name()), (2, "5"));
    assert_ne!(many.alerts[0].fingerprint, many.alerts[1].fingerprint);
}

#[test]
fn known_senders_do_not_pass_through_the_mapping() {
    let mapping = mapping(r#"{"labels": {"alertname": "/receiver"}}"#);
    let known = br#"{"receiver": "r", "version": "4", "alerts": [{"labels": {"alertname": "A"}}]}"#;
    let event = parse(Sender::Auto, known, Some(&mapping), now()).unwrap().event;
    assert_eq!((event.kind, event.alerts[0].name()), (SenderKind::Alertmanager, "A"));
    // An `alerts` list of something else is the mapping's, and when that finds nothing either, what could be read is kept.
    let foreign = br#"{"receiver": "r", "alerts": [{"status": "firing", "what": 1}]}"#;
    assert_eq!(parse(Sender::Auto, foreign, Some(&mapping), now()).unwrap().event.alerts[0].name(), "r");
    let elsewhere = self::mapping(r#"{"labels": {"alertname": "/nowhere"}}"#);
    assert_eq!(parse(Sender::Auto, foreign, Some(&elsewhere), now()).unwrap().event.kind, SenderKind::Alertmanager);
}

#[test]
fn refusals_name_the_pointer_and_the_place() {
    let mapping = zabbix();
    for (body, error) in [
        (r#"{"site": 1}"#, "/data/events: the mapping's `alerts` pointer finds nothing in the body (line 1, column 1)"),
        (r#"{"data": {"events": []}}"#, "/data/events: no alert to deliver: the array is empty (line 1, column 21)"),
        ("{\"data\": {\"events\": [\n  7]}}", "/data/events[0]: expected an object, found a number (line 2, column 3)"),
        (r#"{"data": {"events": "none"}}"#, "/data/events: expected an object, found a string (line 1, column 21)"),
        (
            r#"{"data": {"events": [{"x": 1}]}}"#,
            "/data/events: no alert to deliver: none of the mapping's pointers finds anything in it (line 1, column 22)",
        ),
        (r#"{"data": {"events": [{"#, "not valid JSON: the body ends inside an object; it was cut off, or never finished (line 1, column 22)"),
    ] {
        assert_eq!(parse(Sender::Auto, body.as_bytes(), Some(&mapping), now()).unwrap_err().to_string(), error, "{body}");
    }
}

#[test]
fn an_odd_entry_stands_as_text_beside_the_others() {
    let body = r#"{"data": {"events": [{"id": 1, "trigger": {"name": "Load"}}, "disk full", null, [7]]}}"#;
    let event = parse(Sender::Auto, body.as_bytes(), Some(&zabbix()), now()).unwrap().event;
    let names: Vec<_> = event.alerts.iter().map(|a| a.name()).collect();
    assert_eq!(names, ["Load", "disk full", "Unknown entry"]);
    assert_eq!(event.notes, [Note::Odd(2)]);
}

#[test]
fn the_check_finds_every_mistake() {
    let bad = mapping(r#"{"alerts": "events", "labels": {"host": "/a~2b"}, "status": {"body": "state"}, "starts_at": {"value": "x"}}"#);
    let problems: Vec<_> = bad.check().into_iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    assert_eq!(
        problems,
        [
            "labels.alertname: there is no place for `alertname`, the name of messages and lanes",
            "alerts: a JSON pointer begins with `/`",
            "labels.host: in a JSON pointer `~` is written as `~0`, and `/` as `~1`",
            "status: a JSON pointer begins with `/`",
            "starts_at: a fixed time is not the time of any alert",
        ]
    );
    let fixed = mapping(r#"{"labels": {"alertname": {"value": "x"}}, "resolved_values": ["ok"]}"#);
    let paths: Vec<_> = fixed.check().into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["labels", "resolved_values"]);
    let deep = mapping(&format!(r#"{{"labels": {{"alertname": "{}"}}}}"#, "/a".repeat(40)));
    assert_eq!(deep.check()[0].message, "the pointer has more than 32 steps");
}

#[test]
fn it_reads_from_yaml_and_describes_itself() {
    let yaml = "alerts: /data/events\nlabels:\n  alertname: /trigger/name\n  team: { value: 7 }\n  site: { body: /site }\nstatus: { value: ok }\n";
    let mapping: GenericMapping = serde_yaml::from_str(yaml).unwrap();
    assert_eq!(mapping.check(), []);
    let event = parse(Sender::Auto, BODY.as_bytes(), Some(&mapping), now()).unwrap().event;
    assert_eq!((event.status, event.alerts[0].label("team"), event.alerts[1].label("site")), (Status::Resolved, "7", "fra1"));
    let schema = serde_json::to_string(&schemars::schema_for!(GenericMapping)).unwrap();
    assert!(schema.contains("MappedField") && schema.contains("\"additionalProperties\":false"), "{schema}");
}

#[test]
fn configuration_mistakes_are_told_in_words() {
    let error = |json: &str| serde_json::from_str::<GenericMapping>(json).unwrap_err().to_string();
    assert!(error(r#"{"status": {"values": "x"}}"#).contains("unknown field `values`, expected `value` or `body`"));
    assert!(error(r#"{"status": {"value": "x", "body": "/y"}}"#).contains("write either `value` or `body`, once"));
    assert!(error(r#"{"status": {}}"#).contains("an empty mapping"));
    assert!(error(r#"{"status": 5}"#).contains("expected a JSON pointer like `/event/name`"));
    assert!(error(r#"{"label": {}}"#).contains("unknown field `label`"));
}
