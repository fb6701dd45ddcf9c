//! The body that the parts are measured with.

use serde_json::{Value, json};

/// Alertmanager's, of so many alerts of one group.
pub fn body(alerts: usize) -> Vec<u8> {
    let alert = |i: usize| {
        json!({ "status": "firing", "startsAt": "2026-11-24T02:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": format!("{i:016x}"),
            "generatorURL": "http://prometheus.example.com/graph?g0.expr=disk",
            "labels": { "alertname": "DiskFull", "severity": "warning", "instance": format!("host-{i}:9100"), "team": "db", "job": "node" },
            "annotations": { "summary": "the disk is 97 % full", "description": "look at the largest folders first",
                "runbook_url": "https://runbooks.example.com/disk" } })
    };
    let alerts: Vec<Value> = (0..alerts).map(alert).collect();
    json!({ "version": "4", "status": "firing", "receiver": "r", "groupKey": "{}:{alertname=\"DiskFull\"}", "externalURL": "http://am.example.com",
        "groupLabels": { "alertname": "DiskFull" }, "commonLabels": {}, "commonAnnotations": {}, "alerts": alerts })
    .to_string()
    .into_bytes()
}
