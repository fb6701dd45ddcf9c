//! One alert whose labels are among its other members, as templates of `payload` write it.

use super::*;
use crate::model::{Alert, Note, Status};

fn one(body: &str) -> Alert {
    let event = read(body).unwrap_or_else(|error| panic!("{body}: {error}")).event;
    assert_eq!(event.alerts.len(), 1, "{body}");
    event.alerts.into_iter().next().unwrap()
}

fn labels(alert: &Alert) -> String {
    alert.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}

const DISK: &str = r#"{"alertname":"Disk","severity":"critical","team":"db","instance":"a:9100","status":"firing","summary":"90 % full","value":"90.5",
    "startsAt":"2026-11-30T10:00:00Z","runbook":"https://x.example.com/disk","groupKey":"{}:{alertname=\"Disk\"}","receiver":"ops"}"#;

#[test]
fn labels_and_texts_are_told_apart() {
    let event = read(DISK).unwrap().event;
    let alert = &event.alerts[0];
    assert_eq!((labels(alert), alert.status), ("alertname=Disk,instance=a:9100,severity=critical,team=db".into(), Status::Firing));
    let texts: Vec<_> = alert.annotations.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(texts, [("runbook", "https://x.example.com/disk"), ("summary", "90 % full"), ("value", "90.5")]);
    assert_eq!(alert.starts_at, Some("2026-11-30T10:00:00Z".parse().unwrap()));
    assert_eq!((event.group_key.as_str(), event.receiver.as_str(), &event.notes[..]), (r#"{}:{alertname="Disk"}"#, "ops", &[][..]));
    assert_eq!(event.common_labels, alert.labels);
    // The words that other templates have for the same.
    for (body, read) in [
        (r#"{"title":"[FIRING:1] Disk","message":"m","status":"firing","team":"db"}"#, "alertname=Disk,team=db"),
        (r#"{"title":"Disk","text":"m","level":"critical","host":"a"}"#, "alertname=Disk,host=a,instance=a,level=critical,severity=critical"),
        (r#"{"alert_name":"Disk","state":"alerting","port":9100,"description":"m"}"#, "alertname=Disk,port=9100"),
        (r#"{"message":"Disk\nm","severity":"critical"}"#, "alertname=Disk,severity=critical"),
        (r#"{"labels":{"severity":"critical"},"title":"Disk","message":"m","status":"firing"}"#, "alertname=Disk,severity=critical"),
        (r#"{"alertname":"Disk","severity":"critical","labels":{"team":"db"},"message":"m"}"#, "alertname=Disk,severity=critical,team=db"),
        (r#"{"commonLabels":{"alertname":"Disk","team":"db"},"commonAnnotations":{"description":"m"},"status":"firing"}"#, "alertname=Disk,team=db"),
        (r#"[{"alertname":"Disk","severity":"critical","message":"m"}]"#, "alertname=Disk,severity=critical"),
        (r#"{"alerts":[{"alertname":"Disk","team":"db","message":"m"}]}"#, "alertname=Disk,team=db"),
    ] {
        let alert = one(body);
        assert_eq!(labels(&alert), read, "{body}");
        assert!(alert.annotation("description").ends_with('m') && alert.status == Status::Firing, "{body}: {:?}", alert.annotations);
    }
    // Within another member, and in the quotes that a template of texts puts around it.
    for body in [
        r#"{"alert":{"labels":{"alertname":"Disk"},"status":"firing","annotations":{"description":"m"}}}"#,
        r#"{"alerts":"[{\"labels\":{\"alertname\":\"Disk\"},\"annotations\":{\"description\":\"m\"}}]"}"#,
        r#"{"status":"firing","commonLabels":"{\"alertname\":\"Disk\"}","commonAnnotations":"{\"description\":\"m\"}"}"#,
    ] {
        let alert = one(body);
        assert_eq!((labels(&alert).as_str(), alert.annotation("description")), ("alertname=Disk", "m"), "{body}");
    }
    let list = read(&format!("[{DISK},{}]", DISK.replace("a:9100", "b:9100"))).unwrap().event;
    assert_eq!(list.alerts.iter().map(|alert| alert.label("instance")).collect::<Vec<_>>(), ["a:9100", "b:9100"]);
    assert_ne!(list.alerts[0].fingerprint, list.alerts[1].fingerprint);
}

#[test]
fn its_end_is_the_end_of_the_same_alert() {
    let over = DISK.replace("\"firing\"", "\"resolved\"").replace("90 % full", "40 % full").replace("90.5", "40.5");
    let (begun, ended) = (one(DISK), one(&over));
    assert_eq!((ended.status, &ended.fingerprint), (Status::Resolved, &begun.fingerprint));
    let [begun, ended] = [("FIRING:2", "firing"), ("RESOLVED", "resolved")]
        .map(|(mark, status)| one(&format!(r#"{{"title":"[{mark}] Disk","status":"{status}","message":"{mark}"}}"#)));
    assert_eq!((begun.name(), ended.name(), ended.status), ("Disk", "Disk", Status::Resolved));
    assert_eq!(begun.fingerprint, ended.fingerprint);
    let other = one(r#"{"title":"[FIRING:2] Disk","status":"firing","message":"x","port":9101}"#);
    assert_ne!(other.fingerprint, begun.fingerprint, "a number may be all that distinguishes two alerts");
    let [one, again, account] = ["\"at\":1764547200", "\"at\":1764547260", "\"account\":\"123456789012\""]
        .map(|member| one(&format!(r#"{{"alertname":"Disk","status":"firing",{member}}}"#)).fingerprint);
    assert!(one == again && one != account, "a time distinguishes none, an account does");
}

#[test]
fn nothing_ends_by_a_guess() {
    for body in [
        r#"{"alertname":"Disk","status":"resolved","state":"alerting"}"#,
        r#"{"alertname":"Disk","endsAt":"2026-11-30T00:00:00Z"}"#,
        r#"{"alertname":"Disk","status":"恢复","message":"m"}"#,
        r#"{"alertname":"Disk","status":"firing,resolved"}"#,
        r#"{"alertname":"Disk","resolved":true}"#,
        r#"{"title":"[RESOLVED] Disk","severity":"critical"}"#,
        r#"{"title":"Disk","status":"ok","severity":"critical"}"#,
        r#"{"title":"Disk","state":"normal","severity":"critical"}"#,
        r#"[{"message":"backup done","status":"ok"}]"#,
    ] {
        assert_eq!(one(body).status, Status::Firing, "{body}");
    }
    for body in [r#"{"alertname":"Disk","status":"ok"}"#, r#"{"title":"Disk","state":"Resolved"}"#, r#"{"alertname":"Disk","state":"resolved"}"#] {
        assert_eq!(one(body).status, Status::Resolved, "{body}");
    }
}

#[test]
fn what_only_has_a_title_is_no_alert() {
    for body in [
        r#"{"event":"push","title":"Backup failed"}"#,
        r#"{"status":"ok","message":"backup done"}"#,
        r#"{"name":"x","state":"active"}"#,
        r#"{"alertname":"","severity":"critical"}"#,
        r#"{"alertname":{"a":1}}"#,
        r#"{"alertname":"Disk","alerts":[]}"#,
    ] {
        assert!(read(body).is_err(), "{body}");
    }
    // Without a state nothing says that two are the same, and where the name was guessed a note says so.
    let [one, other] = ["db-1", "db-2"].map(|host| read(&format!(r#"{{"title":"Backup failed","level":3,"message":"{host}"}}"#)).unwrap().event);
    assert_ne!(one.alerts[0].fingerprint, other.alerts[0].fingerprint);
    assert_eq!((one.alerts[0].label("severity"), &one.notes[..]), ("3", &[Note::Odd(1)][..]));
}

#[test]
fn an_input_that_was_meant_knows_better() {
    let own = crate::ingest::input::tests::inputs(&[(
        "own",
        r#"{"when": ["/event"], "alerts": "/event/list", "labels": {"alertname": "{{alert.name}}"}, "annotations": {"x": "{{alert.x}}"}}"#,
    )]);
    let of = |sender: Sender, body: &str| parse(&sender, body.as_bytes(), &own, now());
    assert!(of(Sender::Auto, r#"{"event":{},"alertname":"Disk","status":"resolved"}"#).is_err(), "its words are not these");
    assert_eq!(of(Sender::Auto, r#"{"alertname":"Disk","status":"resolved"}"#).unwrap().event.alerts[0].status, Status::Resolved);
}
