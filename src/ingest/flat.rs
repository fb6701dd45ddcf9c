//! A body that is one alert with its members beside each other, as people's own scripts write it: `{"title": .., "severity": .., "status": ..}`.

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::alert::{AlertList, owned, status_word};
use super::json::Trail;
use super::odd::flat_labels;
use super::said::{Members, STATES, TEXTS, identity, meant, state};
use super::time::instant;
use super::unread::{MAX_RAW_TEXT, cut, form_text};
use super::value::{is_null, is_scalar, kind_of, members, text};
use super::{Parsed, SenderKind, event, form, noted};
use crate::model::{Alert, Labels, Status, hash_hex};

/// Members that are annotations under their own names.
const ANNOTATIONS: [&str; 4] = ["summary", "value", "runbook_url", "dashboard_url"];

/// The event of such a body; `None` where its members do not say that it is an alert: they have `alertname`, or a name and `severity`, or a name, a `level`
/// or `priority`, and a state. A form reads like an object.
///
/// Where a body says its state, it and its end have one identity (see [`identity`]); else two are the same when their bytes are.
pub(super) fn flat(body: &str, received_at: Timestamp) -> Option<Parsed> {
    let form = form::fields(body).map(form_text);
    let whole = serde_json::from_str::<&RawValue>(form.as_deref().unwrap_or(body)).ok()?.get();
    let all = members(whole);
    let scalars = all.iter().filter(|(_, value)| is_scalar(value));
    let scalars: Vec<(String, String)> = scalars.map(|(name, value)| (name.to_string(), cut(&text(value), MAX_RAW_TEXT))).collect();
    let labels = flat_labels(&scalars);
    let has = |member: &str| scalars.iter().any(|(name, value)| name == member && !value.trim().is_empty());
    let is_named = labels.iter().any(|(label, ..)| *label == "alertname");
    let word = status(&all, has("alertname"));
    let is_alert = has("alertname") || (is_named && (has("severity") || (word.is_some() && (has("level") || has("priority")))));
    if !is_alert {
        return None;
    }
    let trail = Trail::default();
    let mut alert = alert(&all, &labels, word.is_some(), &trail);
    if alert.fingerprint.is_empty() {
        alert.fingerprint = if word.is_some() { identity(&all, alert.name()) } else { hash_hex(&["flat", whole]) };
    }
    let list = AlertList { alerts: vec![alert], words: vec![word], ..AlertList::default() };
    Some(noted(Parsed { event: event::from_alerts(SenderKind::Generic, list, received_at), org_id: None }, &trail))
}

/// Whether it says that it fires or is over. Of what calls itself an alert `ok` says it, too.
fn status(all: &Members<'_>, is_alert: bool) -> Option<Status> {
    let word = || {
        let mut words = all.iter().filter(|(name, value)| STATES.contains(&&**name) && is_scalar(value));
        words.find_map(|(_, value)| status_word(&text(value)))
    };
    state(all).or_else(|| if is_alert { word() } else { None })
}

/// The alert; `labels` are those that [`flat_labels`] finds, `has_state` says whether its state is understood. What has no place of its own is a line of its
/// description.
fn alert(all: &Members<'_>, labels: &[(&'static str, &str, String)], has_state: bool, trail: &Trail) -> Alert {
    let mut alert = Alert::default();
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in all.iter().filter(|(_, value)| !is_null(value)) {
        let said = text(value);
        let is_label = labels.iter().any(|(_, member, label)| **member == **name && *label == *said.trim());
        let is_address = said.starts_with("https://") || said.starts_with("http://");
        match &**name {
            _ if is_label => {}
            member if has_state && STATES.contains(&member) && (meant(&said, false).is_some() || status_word(&said).is_some()) => {}
            "labels" if kind_of(value) == "an object" => alert.labels.extend(pairs(value)),
            "annotations" if kind_of(value) == "an object" => alert.annotations.extend(pairs(value)),
            "fingerprint" => alert.fingerprint = owned(value),
            "generatorURL" | "url" if is_address => alert.generator_url = owned(value),
            "startsAt" if instant(value).is_some() => alert.starts_at = instant(value),
            "endsAt" if instant(value).is_some() => alert.ends_at = instant(value),
            member if ANNOTATIONS.contains(&member) => drop(alert.annotations.insert(member.to_owned(), owned(value))),
            member => {
                trail.keep(&mut alert.extra, member, value);
                lines.push(if TEXTS.contains(&member) { said.into_owned() } else { format!("{member}: {said}") });
            }
        }
    }
    for (label, _, value) in labels {
        alert.labels.entry((*label).to_owned()).or_insert_with(|| value.clone());
    }
    let own = alert.annotations.remove("description").unwrap_or_default();
    let lines: Vec<String> = [own].into_iter().chain(lines).filter(|line| !line.trim().is_empty()).collect();
    if !lines.is_empty() {
        alert.annotations.insert("description".into(), cut(&lines.join("\n"), MAX_RAW_TEXT));
    }
    alert
}

/// The names and values of an object.
fn pairs(raw: &str) -> Labels {
    members(raw).into_iter().filter(|(_, value)| !is_null(value)).map(|(name, value)| (name.into_owned(), owned(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, Note};

    fn read(body: &str) -> Option<Event> {
        flat(body, "2026-12-01T00:00:00Z".parse().unwrap()).map(|parsed| parsed.event)
    }

    #[test]
    fn a_scripts_own_alert_is_one_with_its_labels() {
        let body = r#"{"title": "Disk full", "severity": "critical", "status": "firing", "host": "db-1", "team": "db", "message": "/var has 95 %",
            "tries": 3, "by": {"job": [1]}, "url": "https://x.example.com/1", "none": null}"#;
        let event = read(body).unwrap();
        let alert = &event.alerts[0];
        let labels: Vec<_> = alert.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(labels, [("alertname", "Disk full"), ("instance", "db-1"), ("severity", "critical"), ("team", "db")]);
        assert_eq!((event.kind, event.status, &event.notes[..]), (SenderKind::Generic, Status::Firing, &[][..]));
        assert_eq!(alert.annotation("description"), "/var has 95 %\ntries: 3\nby: {\"job\":[1]}");
        assert_eq!((alert.generator_url.as_str(), alert.extra["tries"].as_i64()), ("https://x.example.com/1", Some(3)));
        // As a form, and its end in other words.
        let form = read("title=Disk+full&severity=critical&status=resolved&host=db-1&team=db&message=fine").unwrap();
        assert_eq!((form.status, form.alerts[0].annotation("description")), (Status::Resolved, "fine"));
        let over = read(&body.replace("firing", "resolved").replace("95 %", "40 %")).unwrap();
        assert_eq!((over.status, &over.alerts[0].fingerprint), (Status::Resolved, &alert.fingerprint));
        assert_ne!(read(&body.replace("db-1", "db-2")).unwrap().alerts[0].fingerprint, alert.fingerprint);
    }

    #[test]
    fn what_calls_itself_an_alert_is_one() {
        let alert = |body: &str| read(body).unwrap().alerts.remove(0);
        let named = alert(r#"{"alertname": "Load", "annotations": {"summary": "high"}, "startsAt": "2026-11-30T00:00:00Z", "status": "failed"}"#);
        assert_eq!((named.name(), named.annotation("summary"), named.annotation("description")), ("Load", "high", "status: failed"));
        assert!(named.starts_at.is_some() && named.status == Status::Firing);
        assert_eq!(alert(r#"{"alertname": "Load", "status": "ok"}"#).status, Status::Resolved);
        assert_eq!(alert(r#"{"alertname": "Load", "endsAt": "2026-11-30T00:00:00Z"}"#).status, Status::Resolved);
        assert_eq!(alert(r#"{"alertname": "Load", "fingerprint": "own"}"#).fingerprint, "own");
        let nagios = r#"{"alertname": "Load", "notification_type": "RECOVERY", "status": "SOFT"}"#;
        assert_eq!((alert(nagios).status, alert(nagios).annotation("description")), (Status::Resolved, "notification_type: RECOVERY\nstatus: SOFT"));
        let newrelic = r#"{"id": "d1", "issueUrl": "https://n/d1", "title": "Memory", "priority": "CRITICAL", "state": "ACTIVATED", "updatedAt": 1}"#;
        let over = alert(&newrelic.replace("ACTIVATED", "CLOSED").replace(": 1", ": 2"));
        assert_eq!((over.status, over.label("severity"), &over.fingerprint), (Status::Resolved, "CRITICAL", &alert(newrelic).fingerprint));
        // Two that say no state are two.
        let bob = r#"{"alertname": "Login", "host": "a", "text": "bob"}"#;
        assert_ne!(alert(bob).fingerprint, alert(&bob.replace("bob", "eve")).fingerprint);
        let long = alert(&format!(r#"{{"title": "{}", "severity": "info"}}"#, "x".repeat(500)));
        assert!(long.name().len() < 130 && long.annotation("description").len() > 500, "nothing of a long name is lost");
    }

    #[test]
    fn what_does_not_say_that_it_is_an_alert_is_none() {
        for body in [
            r#"{"title": "Backup failed"}"#,
            r#"{"title": "Backup failed", "status": "resolved"}"#,
            r#"{"severity": "critical"}"#,
            r#"{"name": "bob", "level": 3}"#,
            r#"{"name": "nginx", "priority": 3, "status": "ok"}"#,
            r#"{"alertname": {"x": 1}}"#,
            r#"{"alertname": ""}"#,
            r#"[{"alertname": "x"}]"#,
            r#"{"alertname": "x"} {"alertname": "y"}"#,
            "alertname",
            "",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
        let level = read(r#"{"name": "nginx", "level": "high", "status": "problem"}"#).unwrap();
        assert_eq!((level.alerts[0].label("severity"), &level.notes[..] as &[Note]), ("high", &[][..]));
    }
}
