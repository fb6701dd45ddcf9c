//! Arbitrary bodies: no panic, and every error has its place inside the body.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::ingest::input::tests::inputs;
use crate::ingest::legacy::{DingCall, DingdingCall, EmailCall, SlackCall, SmsCall, VmsCall, WxCall, contains_html};
use crate::ingest::{dedup_key, lane_parts, says_something, send, to_utf8, unread};

const KEYS: [&str; 44] = [
    "alerts",
    "labels",
    "annotations",
    "status",
    "state",
    "startsAt",
    "endsAt",
    "values",
    "valueString",
    "orgId",
    "fingerprint",
    "generatorURL",
    "receiver",
    "version",
    "groupKey",
    "groupLabels",
    "commonLabels",
    "commonAnnotations",
    "routeLabels",
    "truncatedAlerts",
    "externalURL",
    "notification_reason",
    "title",
    "message",
    "ruleName",
    "ruleId",
    "evalMatches",
    "tags",
    "to",
    "text",
    "links",
    "severity",
    "subject",
    "from",
    "cc",
    "content",
    "channel",
    "isAtAll",
    "atMobiles",
    "touser",
    "agentid",
    "params",
    "mobiles",
    "userIds",
];

/// Inputs over everything: one for every body that has a `receiver`, and one that looks for a list.
fn own() -> Inputs {
    inputs(&[
        (
            "whole",
            r#"{"when": ["/receiver"], "parse": ["/message"], "labels": {"alertname": "{{body.labels.a}}", "x": "{{body.[0]}}"},
                "annotations": {"all": "{{json body}}"}, "status": "{{body.status}}", "starts_at": "{{body.startsAt}}", "identity": ["x"]}"#,
        ),
        ("list", r#"{"when": ["/alerts"], "alerts": "/alerts", "labels": {"alertname": "{{alert.labels.a}}", "y": "{{body.title}}"}}"#),
    ])
}

/// Everything that reads bodies reads this one; errors must have their place inside, and events must hold together.
fn read_all(body: &[u8]) {
    let text = to_utf8(body, None).text;
    let lines: Vec<usize> = text.split('\n').map(|line| line.chars().count()).collect();
    let inside = |error: &IngestError| {
        let shown = error.to_string();
        assert!(shown.len() < 1024 && !shown.chars().any(char::is_control), "{shown:?}");
        let width = lines.get(error.line - 1).unwrap_or_else(|| panic!("{shown} is below the body"));
        assert!((1..=width + 1).contains(&error.column), "{shown} is right of the body");
    };
    let (none, own) = (Inputs::default(), own());
    let named = ["whole", "list", "nowhere"].map(|name| Sender::Input(name.into()));
    for sender in [Sender::Auto, Sender::Alertmanager, Sender::Grafana].iter().chain(&named) {
        for inputs in [&none, &own] {
            match parse(sender, body, inputs, now()) {
                Ok(parsed) => {
                    let event = parsed.event;
                    assert!(!event.alerts.is_empty() && event.alerts.iter().all(|a| !a.fingerprint.is_empty()));
                    let placed: usize = lane_parts(&event).iter().map(|(_, alerts)| alerts.len()).sum();
                    assert_eq!(placed, event.alerts.len());
                    assert_eq!(dedup_key(&event, ""), dedup_key(&event, ""));
                    let stored = serde_json::to_string(&event).unwrap();
                    assert_eq!(serde_json::from_str::<crate::model::Event>(&stored).unwrap(), event);
                    // Nested values are kept as JSON text, in which an escape is harmless: only a real NUL counts.
                    assert!(!stored.replace(r"\\", "").contains(r"\u0000"));
                }
                Err(error) => inside(&error),
            }
        }
    }
    if says_something(body) {
        let event = unread(body);
        match event.alerts.first() {
            Some(alert) => assert!(!alert.name().is_empty() && alert.annotation("description").chars().count() <= 4001),
            // Of what holds no alert, people read what came.
            None => assert!((1..=1000).contains(&event.message.len()) && body.len() <= 4 * 4096),
        }
    }
    if let Err(error) = send(body, now()) {
        inside(&error);
    }
    contains_html(&text);
    let messages = [
        EmailCall::parse(body).err(),
        SlackCall::parse(body).err(),
        DingdingCall::parse(body).err(),
        WxCall::parse(body).err(),
        SmsCall::parse(body).err(),
        VmsCall::parse(body).err(),
        DingCall::parse(body).err(),
    ];
    for error in messages.into_iter().flatten() {
        assert!(!error.message().is_empty() && error.message().len() < 1024);
    }
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["firing", "resolved", "4", "1", "2026-05-27T15:36:01Z", "true", "http://x", "<b>x</b>", "a,b"])
            .prop_map(Value::from),
    ];
    let key = prop_oneof![8 => prop::sample::select(KEYS.to_vec()).prop_map(str::to_owned), 1 => any::<String>()];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..8).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[derive(Debug, Clone)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use prop::sample::Index;
    let token =
        prop::sample::select(vec!["{", "}", "[", "]", "\"", ",", ":", "null", "0", "1e999", "\\u0000", "\\ud800", "\\", "\n", "é", "\u{feff}"]);
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, b)| Mutation::Set(at, b)),
        (any::<Index>(), token).prop_map(|(at, t)| Mutation::Insert(at, t.as_bytes().to_vec())),
        (any::<Index>(), 1..40usize).prop_map(|(at, n)| Mutation::Remove(at, n)),
        any::<Index>().prop_map(Mutation::Cut),
        (any::<Index>(), 1..80usize).prop_map(|(at, n)| Mutation::Repeat(at, n)),
    ]
}

fn mutate(mut body: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        if body.is_empty() {
            break;
        }
        let len = body.len();
        match mutation {
            Mutation::Set(at, b) => body[at.index(len)] = *b,
            Mutation::Insert(at, token) => drop(body.splice(at.index(len)..at.index(len), token.iter().copied())),
            Mutation::Remove(at, n) => drop(body.drain(at.index(len)..(at.index(len) + n).min(len))),
            Mutation::Cut(at) => body.truncate(at.index(len)),
            Mutation::Repeat(at, n) => {
                let end = (at.index(len) + n).min(len);
                let piece = body[at.index(len)..end].to_vec();
                body.splice(end..end, piece);
            }
        }
    }
    body
}

fn small_bodies() -> Vec<Vec<u8>> {
    files().iter().map(|name| file(name)).filter(|body| body.len() < 4096).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&body);
    }

    #[test]
    fn arbitrary_text_that_begins_like_json_never_panics(head in prop::sample::select(vec!["{", "[", "{\"alerts\":[", "[{", "\""]), tail in ".{0,80}") {
        read_all(format!("{head}{tail}").as_bytes());
    }

    #[test]
    fn arbitrary_json_never_panics(value in arbitrary_json(), pretty in any::<bool>()) {
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        read_all(&body);
    }

    #[test]
    fn mutated_bodies_never_panic(which in any::<prop::sample::Index>(), mutations in prop::collection::vec(mutation(), 1..4)) {
        let bodies = small_bodies();
        read_all(&mutate(bodies[which.index(bodies.len())].clone(), &mutations));
    }

    #[test]
    fn every_place_where_a_body_can_be_cut_is_an_error_inside_it(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let bodies = small_bodies();
        let body = &bodies[which.index(bodies.len())];
        let end = body.trim_ascii_end().len();
        let cut = &body[..at.index(end)];
        prop_assert!(parse(&Sender::Auto, cut, &Inputs::default(), now()).is_err());
        read_all(cut);
    }
}
