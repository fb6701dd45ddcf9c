//! Bodies that other programs write by templates of their own.

use super::*;
use crate::model::Status;

/// Apache HertzBeat 1.7, with two commas as it writes them (<https://github.com/apache/hertzbeat/issues/3234>).
const HERTZBEAT: &str = r#"{
  "title": "🔔 HertzBeat Alert Notification",
  "status": "firing",
  "commonLabels": {
    "severity": "💛 Warning",
    "alertName": "High CPU"
  },
  "alerts": [
    {
      "index": 1,
      "labels": {
        "severity": "warning",
        "instance": "10.0.0.12:22",
        "instancename": "web-3",
        "alertname": "High CPU",
        "instancehost": "10.0.0.12"
      },
      "content": "CPU usage is 97 %",
      "triggerTimes": 4709,
      "startAt": "2025-04-08 09:52:27",
      ,
      "activeAt": "2025-04-11 18:03:01"
                }
  ],
  "commonAnnotations": {
  }
}"#;

#[test]
fn what_another_program_writes_with_commas_too_many_or_too_few_ends_what_fired() {
    let fires = read(HERTZBEAT).unwrap().event;
    let alert = &fires.alerts[0];
    assert_eq!((fires.status, alert.name(), alert.label("severity")), (Status::Firing, "High CPU", "warning"));
    assert_eq!(alert.annotation("description"), "CPU usage is 97 %", "its text is no annotation");
    assert_eq!(alert.extra["triggerTimes"], 4709);
    // Its end, and the end as the next version writes it: the comma is missing.
    for end in [",\n      \"endAt\": \"2025-04-11 18:10:00\"", "\n      \"endTime\": \"2025-04-11 18:10:00\""] {
        let body = HERTZBEAT.replace("\"firing\"", "\"resolved\"").replace("18:03:01\"", &format!("18:03:01\"{end}"));
        let over = read(&body).unwrap().event;
        assert_eq!((over.status, &over.alerts[0].fingerprint), (Status::Resolved, &alert.fingerprint), "{end}");
    }
}

#[test]
fn a_text_beside_the_labels_is_shown_unless_an_annotation_is() {
    let of = |more: &str| {
        let event = read(&format!(r#"{{"alerts":[{{"labels":{{"alertname":"A"}},{more}}}]}}"#)).unwrap().event;
        (event.alerts[0].annotation("summary").to_owned(), event.alerts[0].annotation("description").to_owned(), event.notes.len())
    };
    assert_eq!(of(r#""message":"95 %""#), (String::new(), "95 %".into(), 0));
    assert_eq!(of(r#""message":" ","annotations":{"runbook_url":"https://x.example.com"},"content":"95 %""#).1, "95 %");
    assert_eq!(of(r#""message":"95 %","annotations":{"summary":"full"}"#), ("full".into(), String::new(), 0));
    assert_eq!(of(r#""value":"95 %""#).1, "");
}
