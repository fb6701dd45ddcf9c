//! What a body says of itself where no sender's form is known: whether it is over, and which other body it is the end of.

use std::borrow::Cow;

use super::value::{is_scalar, text};
use crate::model::{Status, hash_hex};

/// The members of an object, each with its raw value.
pub(super) type Members<'a> = [(Cow<'a, str>, &'a str)];

/// Members that say in a word whether it is over.
pub(super) const STATES: [&str; 2] = ["status", "state"];
/// Those that say it where these do not, written as by [`plain`]. Nagios and Checkmk have `NOTIFICATIONTYPE`, Kibana `action_group`, Datadog
/// `alert_transition`, UptimeRobot `alertTypeFriendlyName`, Dynatrace `State`; Netdata's end has the severity `clear`.
const OTHER_STATES: [&str; 17] = [
    "status",
    "state",
    "currentstate",
    "currentstatus",
    "alertstate",
    "alertstatus",
    "incidentstate",
    "incidentstatus",
    "problemstate",
    "problemstatus",
    "eventstatus",
    "alerttransition",
    "alerttypefriendlyname",
    "notificationtype",
    "actiongroup",
    "action",
    "severity",
];
/// Members that say it by `true` or `false`.
const FLAGS: [&str; 6] = ["resolved", "is_resolved", "isResolved", "recovered", "is_recovered", "isRecovered"];
/// The words for that: those that nothing else is called by.
const OVER: [&str; 5] = ["resolved", "recovered", "恢复", "已恢复", "已解决"];
const FIRES: [&str; 7] = ["firing", "alerting", "triggered", "problem", "down", "告警", "触发"];
/// How a thing is when its alert is over, and may be while another one of it fires.
const WELL: [&str; 4] = ["recovery", "up", "clear", "cleared"];
/// What opens and closes as an alert does. A port or a valve may fire while it is closed, and a gate that opens may never say its end.
const CLOSED: [&str; 3] = ["incident", "issue", "problem"];
const OPEN: [&str; 2] = ["open", "activated"];

/// Members that are an identity themselves.
const KEYS: [&str; 8] = ["fingerprint", "hash", "dedup_key", "alert_key", "incident_key", "issueurl", "problemid", "problem_id"];
/// Members that name the one thing it is about. A host is none: it has several disks.
const IDS: [&str; 6] = ["id", "key", "alert_id", "event_id", "incident_id", "check_id"];
/// Members that describe it: an end may be described in other words.
pub(super) const TEXTS: [&str; 11] = ["message", "msg", "text", "description", "desc", "content", "body", "detail", "details", "reason", "comment"];
/// Members that are measured.
const VALUES: [&str; 8] = ["value", "current", "current_value", "currentvalue", "val", "count", "duration", "elapsed"];

/// Whether it says that it fires or that it is over; `None` where it says neither.
pub(super) fn state(members: &Members<'_>) -> Option<Status> {
    let closes = members.iter().any(|(name, _)| closes(&name.to_ascii_lowercase()));
    let flag = |word: &str| {
        members.iter().any(|(name, value)| FLAGS.contains(&&**name) && is_scalar(value) && text(value).trim().eq_ignore_ascii_case(word))
    };
    let says = |is_state: fn(&str) -> bool, words: &[&str]| {
        members.iter().any(|(name, value)| is_state(name) && is_scalar(value) && is_one_of(&text(value), words))
    };
    let is_first: fn(&str) -> bool = |name| STATES.contains(&name);
    let is_other: fn(&str) -> bool = |name| OTHER_STATES.contains(&&*plain(name));
    // To clear something is an act, which may be what fires.
    let is_how: fn(&str) -> bool = |name| OTHER_STATES.contains(&&*plain(name)) && plain(name) != "action";
    let over = |is_state: fn(&str) -> bool| says(is_state, &OVER) || (closes && says(is_state, &["closed"]));
    let fires = |is_state: fn(&str) -> bool| says(is_state, &FIRES) || (closes && says(is_state, &OPEN));
    // One word of the first two members that it is over is enough; all others mean so only where none says that it fires.
    if over(is_first) || flag("true") {
        Some(Status::Resolved)
    } else if fires(is_first) || flag("false") || fires(is_other) {
        Some(Status::Firing)
    } else {
        (over(is_other) || says(is_how, &WELL)).then_some(Status::Resolved)
    }
}

/// What a word of a state means; `closes` says whether it may be `open` and `closed`.
pub(super) fn meant(word: &str, closes: bool) -> Option<Status> {
    if is_one_of(word, &OVER) || is_one_of(word, &WELL) || (closes && is_one_of(word, &["closed"])) {
        return Some(Status::Resolved);
    }
    (is_one_of(word, &FIRES) || (closes && is_one_of(word, &OPEN))).then_some(Status::Firing)
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| word.trim().eq_ignore_ascii_case(known))
}

/// Whether a member is of what is opened and closed, by its name in lower case: who issued a certificate is of none.
fn closes(name: &str) -> bool {
    CLOSED.iter().any(|thing| name.contains(thing)) && !name.contains("issued") && !name.contains("issuer")
}

/// A member's name in lower case, without what joins its words.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '-', ' '], "")
}

/// What a body that says its state has in common with its end: its name, and its own key or else all that it says but the state, times, measured values and,
/// where it has an id, texts. What else differs makes it another one: of two that fire, none may be lost as a repeat of the other.
pub(super) fn identity(members: &Members<'_>, name: &str) -> String {
    let says = |value: &str| is_scalar(value) && !text(value).trim().is_empty();
    let of = |names: &[&str]| members.iter().find(|(member, value)| names.contains(&&*member.to_ascii_lowercase()) && says(value));
    if let Some((_, key)) = of(&KEYS) {
        return hash_hex(&["key", name, text(key).trim()]);
    }
    let is_check = is_check(members);
    let has_id = is_check || of(&IDS).is_some();
    let mut kept: Vec<(&str, Cow<'_, str>)> = Vec::new();
    for (name, value) in members.iter().filter(|(name, value)| !varies(name, has_id) && !is_state(name, value, is_check)) {
        kept.push((&**name, if is_text(name) { without_percentages(&text(value)).into() } else { text(value) }));
    }
    kept.retain(|(_, value)| !value.trim().is_empty());
    kept.sort_unstable();
    let parts: Vec<&str> = ["said", name].into_iter().chain(kept.iter().flat_map(|(name, value)| [*name, value.trim()])).collect();
    hash_hex(&parts)
}

/// Whether it is what Nagios, Icinga and Checkmk notify of: a host or one of its services, whose output is another one each time.
fn is_check(members: &Members<'_>) -> bool {
    let any = |holds: fn(&str, &str) -> bool| members.iter().any(|(name, value)| is_scalar(value) && holds(&plain(name), &text(value)));
    any(|name, value| name == "notificationtype" && meant(value, false).is_some())
        && any(|name, _| name.contains("host"))
        && any(|name, value| name.contains("service") || (name.ends_with("state") && is_one_of(value, &["up", "down", "unreachable"])))
}

/// Whether a member describes it.
fn is_text(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    TEXTS.contains(&&*lower) || lower == "summary" || ["output", "description", "details"].iter().any(|end| lower.ends_with(end))
}

/// A text without the numbers before its `%`, which are measured.
fn without_percentages(text: &str) -> String {
    let mut parts: Vec<&str> = text.split(['%', '％']).collect();
    let measured = parts.len() - 1;
    for part in &mut parts[..measured] {
        *part = part.trim_end().trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').trim_end();
    }
    parts.join("%")
}

/// Whether a member differs between a beginning and its end.
fn varies(name: &str, has_id: bool) -> bool {
    let lower = name.to_ascii_lowercase();
    let is = |names: &[&str]| names.contains(&&*lower);
    let is_time = lower.contains("time") || lower.contains("date") || lower.ends_with("_at") || name.ends_with("At") || is(&["ts", "clock"]);
    is_time || FLAGS.contains(&name) || is(&VALUES) || lower.ends_with("_value") || (has_id && is_text(name))
}

/// Whether a member says how it is now; of a check each one does that is called a state.
fn is_state(name: &str, value: &str, is_check: bool) -> bool {
    let plain = plain(name);
    let is_named = || OTHER_STATES.contains(&&*plain) || plain.ends_with("state") || plain.ends_with("status");
    STATES.contains(&&*plain) || (is_named() && (is_check || meant(&text(value), true).is_some()))
}

#[cfg(test)]
mod tests {
    use super::super::value::members;
    use super::*;

    fn of(body: &str) -> (Option<Status>, String) {
        let all = members(body);
        (state(&all), identity(&all, "x"))
    }

    #[test]
    fn a_state_is_a_word_or_a_flag_that_means_nothing_else() {
        for (body, said) in [
            (r#"{"status": "Resolved "}"#, Some(Status::Resolved)),
            (r#"{"state": "已恢复"}"#, Some(Status::Resolved)),
            (r#"{"is_recovered": true}"#, Some(Status::Resolved)),
            (r#"{"isResolved": "true", "status": 2}"#, Some(Status::Resolved)),
            (r#"{"is_recovered": false}"#, Some(Status::Firing)),
            (r#"{"status": "PROBLEM"}"#, Some(Status::Firing)),
            (r#"{"State": "RESOLVED", "ProblemID": "7"}"#, Some(Status::Resolved)),
            (r#"{"alert_transition": "Recovered", "alert_status": "cpu > 90"}"#, Some(Status::Resolved)),
            (r#"{"NOTIFICATIONTYPE": "RECOVERY", "SERVICESTATE": "OK"}"#, Some(Status::Resolved)),
            (r#"{"notification_type": "PROBLEM", "state": "CRITICAL"}"#, Some(Status::Firing)),
            (r#"{"previous_state": "DOWN", "current_state": "UP"}"#, Some(Status::Resolved)),
            (r#"{"action_group": "recovered", "status": "firing"}"#, Some(Status::Firing)),
            (r#"{"state": "CLOSED", "issueUrl": "x"}"#, Some(Status::Resolved)),
            (r#"{"state": "closed", "port": 443}"#, None),
            (r#"{"state": "closed", "issuer": "CA", "issued_at": 1}"#, None),
            (r#"{"state": "open", "door": 3}"#, None),
            (r#"{"title": "Audit log", "action": "clear"}"#, None),
            (r#"{"action": "closed", "issue": {"id": 1}}"#, Some(Status::Resolved)),
            // What is well beside what fires.
            (r#"{"status": "up", "notification_type": "PROBLEM"}"#, Some(Status::Firing)),
            (r#"{"status": "up", "resolved": false}"#, Some(Status::Firing)),
            (r#"{"action_group": "recovered", "alert_state": "firing"}"#, Some(Status::Firing)),
            (r#"{"alert": "disk_space_usage", "severity": "clear"}"#, Some(Status::Resolved)),
            (r#"{"previous_state": "resolved"}"#, None),
            (r#"{"status": "inactive"}"#, None),
            (r#"{"status": "ok"}"#, None),
            (r#"{"status": {"resolved": true}}"#, None),
            ("{}", None),
        ] {
            assert_eq!(of(body).0, said, "{body}");
        }
    }

    #[test]
    fn an_end_of_a_monitor_is_its_beginnings() {
        for (fires, over) in [
            (
                r#"{"notification_type": "PROBLEM", "host": "web1", "service": "HTTP", "state": "CRITICAL", "output": "refused", "date": "10:00"}"#,
                r#"{"notification_type": "RECOVERY", "host": "web1", "service": "HTTP", "state": "OK", "output": "HTTP OK", "date": "10:20"}"#,
            ),
            (
                r#"{"NOTIFICATIONTYPE": "PROBLEM", "HOSTNAME": "web1", "SERVICEDESC": "CPU", "SERVICESTATE": "CRIT", "SERVICEOUTPUT": "load 9"}"#,
                r#"{"NOTIFICATIONTYPE": "RECOVERY", "HOSTNAME": "web1", "SERVICEDESC": "CPU", "SERVICESTATE": "OK", "SERVICEOUTPUT": "load 1"}"#,
            ),
            (
                r#"{"id": "d1", "issueUrl": "https://n/d1", "title": "Memory", "state": "ACTIVATED", "trigger": "STATE_CHANGE", "updatedAt": 1}"#,
                r#"{"id": "d1", "issueUrl": "https://n/d1", "title": "Memory", "state": "CLOSED", "trigger": "CLOSED", "updatedAt": 2}"#,
            ),
            (
                r#"{"State": "OPEN", "ProblemID": "P-7", "ImpactedEntities": [1]}"#,
                r#"{"State": "RESOLVED", "ProblemID": "P-7", "ImpactedEntities": []}"#,
            ),
            (
                r#"{"check_id": 7, "check_name": "Shop", "previous_state": "UP", "current_state": "DOWN", "long_description": "HTTP 500"}"#,
                r#"{"check_id": 7, "check_name": "Shop", "previous_state": "DOWN", "current_state": "UP", "long_description": "OK"}"#,
            ),
            (r#"{"name": "nightly", "status": "down", "code": "x-1"}"#, r#"{"name": "nightly", "status": "up", "code": "x-1"}"#),
        ] {
            let ((fired, beginning), (ended, end)) = (of(fires), of(over));
            assert_eq!((fired, ended), (Some(Status::Firing), Some(Status::Resolved)), "{fires}");
            assert_eq!(beginning, end, "{fires}");
            let other = fires.replace("web1", "web2").replace("n/d1", "n/d2").replace("P-7", "P-8").replace(": 7", ": 8").replace("x-1", "x-2");
            assert_ne!(of(&other).1, beginning, "{other}");
        }
    }

    #[test]
    fn an_end_is_its_beginnings_and_nothing_elses() {
        let fires = r#"{"title": "Disk", "host": "db-1", "message": "95 %", "time": "10:00", "createdAt": 1, "value": 95, "tags": ["a"], "status": "firing"}"#;
        let over = r#"{"status": "resolved", "title": "Disk", "host": "db-1", "message": "4.5%", "time": "10:20", "value": 40, "tags": [ "a" ], "note": null}"#;
        assert_eq!(of(fires).1, of(over).1);
        for (was, is) in [("db-1", "db-2"), ("\"Disk\"", "\"Load\""), ("[\"a\"]", "[\"b\"]"), ("95 %", "/data 95 %")] {
            assert_ne!(of(fires).1, of(&fires.replace(was, is)).1, "{is}");
        }
        let act = |act: &str| of(&format!(r#"{{"title": "User bob", "action": "{act}", "gate_state": "{act}", "status": "firing"}}"#)).1;
        assert_ne!(act("created"), act("deleted"), "what it is about is no state of it");
        // Each severity may have a rule of its own, and one end while another fires.
        let severe = |severity: &str| of(&format!(r#"{{"title": "Disk", "severity": "{severity}", "status": "firing"}}"#)).1;
        assert_ne!(severe("warning"), severe("critical"));
        let notified = |text: &str| of(&format!(r#"{{"notification_type": "PROBLEM", "host": "db-1", "text": "{text}"}}"#)).1;
        assert_ne!(notified("disk full"), notified("load high"), "whose service is in its text only");
        let own = |key: &str, id: u8| of(&format!(r#"{{"id": {id}, "hash": "{key}", "is_recovered": false}}"#)).1;
        assert!(own("5c1", 1) == own("5c1", 2) && own("5c1", 1) != own("5c2", 1), "its own key");
        let by_id = |text: &str, status: &str| of(&format!(r#"{{"title": "Alert", "event_id": 7, "message": "{text}", "status": "{status}"}}"#)).1;
        assert_eq!(by_id("disk full", "firing"), by_id("fine", "resolved"));
        // Where it has none, its text does: one host has several disks.
        let disk =
            |text: &str, status: &str| of(&format!(r#"{{"title": "Disk full", "host": "db-1", "message": "{text}", "status": "{status}"}}"#)).1;
        assert_eq!(disk("/var has 95.5 %, 9 % of inodes", "firing"), disk("/var has 40%, 8% of inodes", "resolved"));
        assert_ne!(disk("/var has 95 %", "firing"), disk("/data has 95 %", "firing"));
        assert_ne!(disk("disk 1 failed", "firing"), disk("disk 2 failed", "firing"));
        let bare = |text: &str, status: &str| of(&format!(r#"{{"title": "Alert", "message": "{text}", "status": "{status}"}}"#)).1;
        assert_eq!(bare("disk full on db-1", "firing"), bare("disk full on db-1", "resolved"));
        assert_ne!(bare("disk full on db-1", "firing"), bare("disk full on db-2", "firing"));
    }
}
