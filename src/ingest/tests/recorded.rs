//! Bodies of real senders (`tests/data/bodies`), each with a snapshot of the event it becomes.

use serde_json::{Value, json};

use super::*;
use crate::ingest::fingerprint;
use crate::model::{SenderKind, Status};

/// Snapshots stay readable: long texts become their beginning and length, of many alerts only the first and the last are kept.
fn readable(parsed: &Parsed) -> Value {
    fn shorten(value: &mut Value) {
        match value {
            Value::String(text) if text.len() > 400 => {
                let start: String = text.chars().take(60).collect();
                *text = format!("{start}… ({} bytes)", text.len());
            }
            Value::Array(items) => items.iter_mut().for_each(shorten),
            Value::Object(members) => {
                if members.len() > 100 {
                    let n = members.len();
                    let mut kept = 0;
                    members.retain(|_, _| {
                        kept += 1;
                        kept <= 2
                    });
                    members.insert("…".into(), json!(format!("{n} in all")));
                }
                members.values_mut().for_each(shorten);
            }
            _ => {}
        }
    }
    let mut event = serde_json::to_value(&parsed.event).unwrap();
    let alerts = event["alerts"].as_array_mut().unwrap();
    if alerts.len() > 10 {
        let last = alerts.pop().unwrap();
        let n = alerts.len() - 1;
        alerts.truncate(1);
        alerts.extend([json!(format!("… {n} more …")), last]);
    }
    shorten(&mut event);
    json!({ "event": event, "org_id": parsed.org_id })
}

#[test]
fn every_body_becomes_the_event_it_became_before() {
    let names = files();
    assert!(names.len() >= 22, "{names:?}");
    for name in names {
        let parsed = parse(&Sender::Auto, &file(&name), &Inputs::default(), now()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!parsed.event.alerts.is_empty() && parsed.event.source.is_empty());
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_json_snapshot!(name.trim_end_matches(".json"), readable(&parsed));
        });
    }
}

#[test]
fn a_real_alertmanagers_fingerprints_are_the_ones_we_compute() {
    let mut checked = 0;
    for name in files().iter().filter(|n| n.starts_with("am-0.25")) {
        for alert in parse(&Sender::Auto, &file(name), &Inputs::default(), now()).unwrap().event.alerts {
            assert_eq!(fingerprint(&alert.labels), alert.fingerprint, "{name}");
            checked += 1;
        }
    }
    assert_eq!(checked, 112);
}

#[test]
fn what_matters_most_in_the_recorded_bodies() {
    let event = |name: &str| parse(&Sender::Auto, &file(name), &Inputs::default(), now()).unwrap().event;
    let mixed = event("am-0.25-mixed.json");
    let status: Vec<_> = mixed.alerts.iter().map(|a| a.status).collect();
    assert_eq!((mixed.status, status), (Status::Firing, vec![Status::Firing, Status::Resolved, Status::Firing]));
    let capped = event("am-0.25-capped.json");
    assert_eq!((capped.receiver.as_str(), capped.truncated, capped.alerts.len()), ("[DEV] team+capped", 3, 2));
    assert_eq!(event("am-0.25-hundred.json").alerts.len(), 100);
    assert_eq!(event("am-contradictory-status.json").status, Status::Firing);
    assert_eq!(event("am-0.34-route-labels.json").route_labels["owner"], "team-a");
    assert_eq!(event("am-0.34-route-labels.json").reason, "first notification");
    assert_eq!(event("am-huge-annotations.json").alerts[0].labels.len(), 150);
    let custom = event("grafana-custom-payload.json");
    assert_eq!((custom.kind, custom.status), (SenderKind::Grafana, Status::Firing));
    assert_eq!(custom.alerts[0].starts_at, Some("2026-05-27T15:36:01.123Z".parse().unwrap()));
    assert_eq!(custom.alerts[0].labels.keys().collect::<Vec<_>>(), ["alertname", "instance"]);
    let error = event("grafana-12-error.json");
    assert_eq!(error.alerts[0].values.clone().into_iter().collect::<Vec<_>>(), [("B".to_owned(), 44.5), ("D".to_owned(), 1.5)]);
    let (fired, ended) = (event("grafana-legacy-nodata.json"), event("grafana-legacy-ok.json"));
    assert_eq!((fired.status, ended.status), (Status::Firing, Status::Resolved));
    assert_eq!(fired.alerts[0].fingerprint, ended.alerts[0].fingerprint);
    assert_eq!(fired.alerts[0].annotation("grafana_state_reason"), "no_data");
}

#[test]
fn the_organisation_is_told_apart_from_the_event() {
    let org = |name: &str| parse(&Sender::Auto, &file(name), &Inputs::default(), now()).unwrap().org_id;
    assert_eq!(org("grafana-13.json"), Some(1));
    assert_eq!(org("grafana-12-error.json"), Some(7));
    assert_eq!(org("am-0.34-route-labels.json"), None);
    assert_eq!(org("grafana-legacy.json"), Some(1));
}
