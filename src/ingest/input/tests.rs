//! Inputs: what they find, what they refuse, what their own check says.

use std::sync::Arc;

use handlebars::{Context, Handlebars};
use jiff::Timestamp;

use super::{Input, InputBlock, Inputs};
use crate::ingest::{Sender, parse};
use crate::model::{Event, Note, SenderKind, Status};

fn block(json: &str) -> InputBlock {
    serde_json::from_str(json).unwrap()
}

/// Inputs whose texts are plain Handlebars.
pub fn inputs(all: &[(&str, &str)]) -> Inputs {
    let mut inputs = Inputs::default();
    for (name, json) in all {
        inputs.add(Input::new(name, &block(json), "severity", |_, text| {
            let mut registry = Handlebars::new();
            registry.register_escape_fn(handlebars::no_escape);
            registry.register_helper("json", Box::new(json_of));
            registry.register_template_string("text", text).unwrap();
            Some(Arc::new(move |data: &Context| registry.render_with_context("text", data).ok()))
        }));
    }
    inputs
}

handlebars::handlebars_helper!(json_of: |value: Json| value.to_string());

const MONITOR: &str = r#"{"when": ["/site", "/data/events"], "alerts": "/data/events", "parse": ["/data/more"],
    "labels": {"alertname": "{{alert.trigger.name}}", "host": "{{alert.hosts.[0]}}", "site": "{{body.site}}", "team": "infra", "none": "{{alert.nothing}}",
      "id": "{{alert.id}}"},
    "annotations": {"description": "{{alert.trigger.text}}", "more": "{{body.data.more.deep}}"}, "severity": "{{alert.level}}",
    "severities": {"bad": "critical"}, "status": "{{alert.value}}", "resolved_values": ["0", "OK"], "starts_at": "{{alert.clock}}",
    "ends_at": "{{alert.r_clock}}", "identity": ["site", "id"], "generator_url": "{{alert.url}}"}"#;

const BODY: &str = r#"{"site": "fra1", "data": {"more": "{\"deep\": 7}", "events": [
  {"id": 17, "trigger": {"name": "Disk full", "text": "a\nb"}, "hosts": ["db1", "db2"], "level": "BAD", "value": 1, "clock": 1700000000, "url": "http://z/17"},
  {"id": 18, "trigger": {"name": "Load"}, "hosts": [], "level": "high", "value": "ok", "clock": "2025-01-01T00:00:00Z", "r_clock": 1700000300000}]}}"#;

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn event(inputs: &Inputs, body: &str) -> Event {
    parse(&Sender::Auto, body.as_bytes(), inputs, now()).unwrap_or_else(|error| panic!("{body}: {error}")).event
}

fn labels(event: &Event, at: usize) -> Vec<(&str, &str)> {
    event.alerts[at].labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn texts_over_body_and_alert_fill_alerts() {
    let event = event(&inputs(&[("monitor", MONITOR)]), BODY);
    assert_eq!((event.kind, event.receiver.as_str(), event.status, event.alerts.len()), (SenderKind::Generic, "monitor", Status::Firing, 2));
    let all = [("alertname", "Disk full"), ("host", "db1"), ("id", "17"), ("severity", "critical"), ("site", "fra1"), ("team", "infra")];
    assert_eq!(labels(&event, 0), all, "what comes out empty is no label");
    let disk = &event.alerts[0];
    assert_eq!((disk.annotation("description"), disk.annotation("more")), ("a\nb", "7"), "a text that is JSON is read");
    assert_eq!((disk.status, disk.generator_url.as_str()), (Status::Firing, "http://z/17"));
    assert_eq!(disk.starts_at.unwrap().as_second(), 1_700_000_000);
    let load = &event.alerts[1];
    assert_eq!((load.status, load.label("host"), load.label("severity")), (Status::Resolved, "", "high"));
    assert_eq!(load.ends_at.unwrap().as_second(), 1_700_000_300);
    // All of the body is kept.
    assert_eq!((disk.extra["hosts"][1].as_str(), event.extra["site"].as_str()), (Some("db2"), Some("fra1")));
}

#[test]
fn the_identity_makes_two_alerts_the_same() {
    let inputs = inputs(&[("monitor", MONITOR)]);
    let of = |level: &str, id: &str| {
        let body = format!(r#"{{"site": "a", "data": {{"events": [{{"trigger": {{"name": "Disk"}}, "level": "{level}", {id} "x": 1}}]}}}}"#);
        let event = event(&inputs, &body);
        assert!(event.apart);
        event.alerts[0].fingerprint.clone()
    };
    assert_eq!(of("high", r#""id": 1,"#), of("low", r#""id": 1,"#));
    assert_ne!(of("high", r#""id": 1,"#), of("high", r#""id": 2,"#));
    assert_ne!(of("high", ""), of("low", ""), "without one of them all labels count");
}

#[test]
fn without_a_list_the_body_is_one_alert_or_each_entry_is() {
    let inputs = inputs(&[("x", r#"{"when": ["/name"], "labels": {"alertname": "{{body.name}}", "same": "{{alert.name}}"}}"#)]);
    let one = event(&inputs, r#"{"name": "X", "other": 1}"#);
    assert_eq!((labels(&one, 0), one.alerts[0].status, one.apart), (vec![("alertname", "X"), ("same", "X")], Status::Firing, false));
    let many = event(&inputs, r#"[{"name": "X"}, {"name": 5}]"#);
    assert_eq!((many.alerts.len(), many.alerts[1].name()), (2, "5"));
    assert_ne!(many.alerts[0].fingerprint, many.alerts[1].fingerprint);
    let form = event(&inputs, "name=%E7%A3%81%E7%9B%98&b=c+d");
    assert_eq!((form.alerts[0].name(), form.alerts[0].extra["b"].as_str()), ("磁盘", Some("c d")));
}

#[test]
fn an_input_is_chosen_by_the_path_or_by_what_the_body_holds() {
    let inputs = inputs(&[
        ("first", r#"{"labels": {"alertname": "{{body.a}}"}}"#),
        ("second", r#"{"when": ["/a", "/b/0"], "labels": {"alertname": "{{body.b.[0]}}"}}"#),
    ]);
    let read = |name: &str, body: &str| parse(&Sender::Input(name.into()), body.as_bytes(), &inputs, now()).map(|parsed| parsed.event);
    let body = r#"{"a": "A", "b": ["B"]}"#;
    assert_eq!(event(&inputs, body).alerts[0].name(), "B", "an input without `when` is not chosen");
    assert_eq!(read("first", body).unwrap().alerts[0].name(), "A");
    assert_eq!(read("nowhere", body).unwrap().alerts[0].name(), "B", "a name that does not exist says nothing");
    let known = r#"{"receiver": "r", "version": "4", "alerts": [{"labels": {"alertname": "Known"}}], "a": 1, "b": [2]}"#;
    assert_eq!(event(&inputs, known).kind, SenderKind::Alertmanager, "known senders do not pass through inputs");
    assert_eq!(read("first", known).unwrap().alerts[0].name(), "1", "unless the path says so");
    let elsewhere = r#"{"receiver": "r", "version": "4", "alerts": [{"labels": {"alertname": "Known"}}]}"#;
    assert_eq!(read("first", elsewhere).unwrap().alerts[0].name(), "Known", "what an input cannot read may be known to all");
    assert!(
        read("first", r#"{"c": 1}"#)
            .unwrap_err()
            .to_string()
            .starts_with("no alert to deliver: the input `first` finds none of its values in the body")
    );
}

#[test]
fn a_text_finds_nothing_by_the_words_of_its_own() {
    let inputs = inputs(&[("backup", r#"{"labels": {"alertname": "Backup {{body.job}}"}, "annotations": {"summary": "{{json body.error}}"}}"#)]);
    let read = |body: &str| parse(&Sender::Input("backup".into()), body.as_bytes(), &inputs, now());
    assert_eq!(read(r#"{"job": "nightly"}"#).unwrap().event.alerts[0].name(), "Backup nightly");
    for body in [r#"{"disk": "full"}"#, r#"{"lift": "stuck"}"#, "{}"] {
        let refused = read(body).unwrap_err().to_string();
        assert!(refused.starts_with("no alert to deliver: the input `backup` finds none of its values in the body"), "{body}: {refused}");
    }
    // What has the places of `when` is the sender's, whatever its texts say of it.
    let known = self::inputs(&[(
        "backup",
        r#"{"when": ["/job"], "labels": {"alertname": "Backup{{#if body.bad}} failed{{/if}}"}, "status": "{{body.state}}"}"#,
    )]);
    let event = event(&known, r#"{"job": "nightly", "bad": false, "state": "ok"}"#);
    assert_eq!((event.alerts[0].name(), event.status, &event.notes[..]), ("Backup", Status::Resolved, &[][..]));
}

#[test]
fn what_is_refused_says_where() {
    let inputs = inputs(&[("monitor", MONITOR)]);
    for (body, error) in [
        (r#"{"site": 1}"#, "/data/events: no alert to deliver: the input `monitor` finds no `alerts` in the body (line 1, column 1)"),
        (r#"{"data": {"events": null}}"#, "/data/events: no alert to deliver: the input `monitor` finds no `alerts` in the body (line 1, column 1)"),
        (r#"{"data": {"events": []}}"#, "/data/events: no alert to deliver: the input `monitor` finds an empty list (line 1, column 1)"),
        (r#"{"data": {"events": [{"#, "not valid JSON: the body ends inside an object; it was cut off, or never finished (line 1, column 22)"),
    ] {
        let refused = parse(&Sender::Input("monitor".into()), body.as_bytes(), &inputs, now()).unwrap_err();
        assert_eq!(refused.to_string(), error, "{body}");
    }
}

#[test]
fn what_cannot_be_read_as_it_was_meant_is_text_beside_the_others() {
    let inputs = inputs(&[("monitor", MONITOR)]);
    let body = r#"{"site": "a", "data": {"events": [{"id": 1, "trigger": {"name": "Load"}}, "disk full", null, [7], {"id": 2, "title": "No name", "why": "x"}]}}"#;
    let event = event(&inputs, body);
    let names: Vec<_> = event.alerts.iter().map(|alert| alert.name()).collect();
    assert_eq!(names, ["Load", "disk full", "Unknown entry", "No name"]);
    assert_eq!(event.alerts[3].annotation("description"), "id: 2\ntitle: No name\nwhy: x");
    assert_eq!(event.notes, [Note::Odd(3)]);
    // An object where a text was.
    let body =
        r#"{"site": "a", "data": {"events": [{"id": 1, "trigger": {"name": {"en": "Load"}}}, {"id": 2, "trigger": {"name": {"en": "Disk"}}}]}}"#;
    let event = event_of(&inputs, body);
    assert_eq!((event.alerts.len(), &event.notes[..]), (2, &[Note::Odd(2)][..]));
    assert!(event.alerts[0].annotation("description").contains(r#"trigger: {"name":{"en":"Load"}}"#), "{event:?}");
    assert!(!event.alerts[0].name().contains("[object]") && event.alerts[0].fingerprint != event.alerts[1].fingerprint, "{event:?}");
    // A list where an object was, and the other way round.
    let body = r#"{"site": ["a"], "data": {"events": {"id": 1, "trigger": [{"name": "Load"}], "hosts": {"a": 1}}}}"#;
    let event = event_of(&inputs, body);
    assert_eq!((event.alerts.len(), event.alerts[0].label("site")), (1, "[a]"));
    assert!(event.alerts[0].annotation("description").contains(r#"trigger: [{"name":"Load"}]"#), "{event:?}");
}

fn event_of(inputs: &Inputs, body: &str) -> Event {
    event(inputs, body)
}

#[test]
fn the_first_entry_of_a_list_may_be_the_odd_one() {
    let inputs = inputs(&[("x", r#"{"when": ["/n"], "labels": {"alertname": "{{alert.n}}"}}"#)]);
    for body in [r#"[{"n":"a"},5]"#, r#"[5,{"n":"a"}]"#, r#"[{"m":1},{"n":"a"}]"#] {
        let mut names: Vec<String> = event(&inputs, body).alerts.iter().map(|alert| alert.name().to_owned()).collect();
        names.sort_unstable_by_key(|name| name != "a");
        assert!(names.len() == 2 && names[0] == "a", "{body}: {names:?}");
    }
    assert_eq!(event(&inputs, r#"[null,{"n":"a"}]"#).alerts.len(), 1);
}

#[test]
fn a_small_body_cannot_become_large() {
    let inputs = inputs(&[("x", r#"{"alerts": "/e", "when": ["/e"], "labels": {"alertname": "{{alert.n}}", "all": "{{body.long}}"}}"#)]);
    let entries = vec![r#"{"n":"a"}"#; 500].join(",");
    let event = event(&inputs, &format!(r#"{{"long": "{}", "e": [{entries}]}}"#, "x".repeat(1 << 20)));
    assert!((30..40).contains(&event.alerts.len()), "{}", event.alerts.len());
    assert_eq!(event.truncated, 500 - event.alerts.len() as u64, "the others are counted");
    assert!(event.extra.is_empty() && event.notes == [Note::Extra], "a large body is not kept twice, and the event says so");
}

#[test]
fn the_check_finds_every_mistake() {
    let bad = block(
        r#"{"alerts": "events", "when": ["/a", "/a~2b"], "labels": {"host": "{{alert.h}}"}, "starts_at": "now", "identity": ["host", "zone"]}"#,
    );
    let problems: Vec<_> = bad.check("severity").into_iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    assert_eq!(
        problems,
        [
            "labels.alertname: there is no `alertname`, the name of messages",
            "when[1]: in a JSON pointer `~` is written as `~0`, and `/` as `~1`",
            "alerts: a JSON pointer begins with `/`",
            "identity[1]: there is no label `zone`",
            "starts_at: a fixed time is not the time of any alert",
        ]
    );
    let fixed = block(r#"{"labels": {"alertname": "x"}, "resolved_values": ["ok"], "severities": {"a": "info"}, "identity": ["severity"]}"#);
    let paths: Vec<_> = fixed.check("severity").into_iter().map(|p| p.path).collect();
    assert_eq!(paths, ["labels", "severities", "resolved_values"]);
    assert!(block(r#"{"labels": {"alertname": "{{body.a}}"}}"#).check("severity").is_empty());
}
