//! A body that is no alert: it is delivered anyway, as text.

use std::borrow::Cow;

use super::decode::to_utf8;
use super::error::echo;
use super::form;
use super::said::{Members, identity, state};
use super::value::{elements, is_scalar, kind_of, members, text};
use crate::model::{Alert, Event, Note, SenderKind, Status, hash_hex};

/// Characters that are kept of what could only be read as text.
pub(super) const MAX_RAW_TEXT: usize = 4000;
/// Characters of the body that are shown at most, in all and of one member.
const MAX_SHOWN: usize = MAX_RAW_TEXT;
const MAX_VALUE: usize = 500;
/// Members that are shown of an object.
const MAX_MEMBERS: usize = 40;
/// Members that name what a body is about, in the order in which they are looked for.
const NAMES: [&str; 23] = [
    "alertname",
    "alert_name",
    "title",
    "subject",
    "summary",
    "name",
    "ruleName",
    "rule_name",
    "rule",
    "event_name",
    "check_name",
    "monitor_name",
    "monitorfriendlyname",
    "alert_title",
    "problemtitle",
    "condition_name",
    "event_definition_title",
    "search_name",
    "message",
    "msg",
    "text",
    "description",
    "content",
];

/// Those of them that name an object within it.
const TITLES: [&str; 6] = ["alertname", "title", "subject", "summary", "name", "message"];
/// Objects that are about who or where, not about what.
const SURROUNDINGS: [&str; 10] = ["user", "sender", "author", "actor", "owner", "by", "org", "account", "page", "meta"];
/// What the objects are named after that are what fires. A host that is up, or a ticket that is resolved, says nothing of the alert beside it.
const ALERTS: [&str; 5] = ["alert", "alarm", "incident", "issue", "problem"];
/// What a body is called that calls itself nothing.
const UNKNOWN: &str = "Unknown body";

/// The event of a body that holds no alert that could be read: one alert whose description is the text. It fires, unless the body says `resolved` of
/// itself: what somebody's own template makes of an end must wake nobody, and it ends what fired. Its name is what the body calls itself.
/// Two bodies that say nothing of a state are the same when their bytes are. A body that is no JSON is shown as it is.
/// Bodies of one name are one incident: two senders whose bodies have none must not share one, so their members are the name, or each body is apart.
///
/// The text is cut after 4,000 characters: a message shows no more, and a body may have megabytes.
///
/// A body of empty lists and objects, as `{"alerts": []}`, is an event without alerts, with the beginning of the body as its `message`.
pub fn unread(body: &[u8]) -> Event {
    let decoded = to_utf8(body, None);
    let whole = decoded.text.trim();
    if is_blank(whole) {
        return Event { kind: SenderKind::Generic, message: echo(whole), ..Event::default() };
    }
    let json = serde_json::from_str::<&serde_json::value::RawValue>(whole).ok().map(|raw| raw.get());
    let form = if json.is_none() { form::fields(whole).map(form_text) } else { None };
    let object = form.as_deref().or(json.filter(|raw| kind_of(raw) == "an object"));
    let (name, shown) = match (object, json.map(kind_of)) {
        (Some(object), _) => described(object),
        (None, Some("a string")) => named(&text(json.unwrap_or_default())),
        (None, _) => named(whole),
    };
    let own = object.map(members).unwrap_or_default();
    let list = json.filter(|raw| kind_of(raw) == "an array").map(elements).unwrap_or_default();
    let first = list.into_iter().find(|raw| kind_of(raw) == "an object");
    // What has no name of its own is about the object in it that has one, which also says the state of an alert.
    let thing = if name.is_none() { thing(&own) } else { None };
    let name = name.or_else(|| thing.as_ref().map(|thing| thing.name.clone())).or_else(|| described(first?).0);
    let name = name.unwrap_or_else(|| unnamed(&first.map_or_else(|| own.clone(), members)));
    let said = state(&own);
    let (said, members) = match thing {
        // What is beside it says which one it is.
        Some(thing) if said.is_none() && thing.is_alert => {
            let beside = own.into_iter().filter(|(_, value)| is_scalar(value));
            (state(&thing.members), thing.members.into_iter().chain(beside).collect::<Vec<_>>())
        }
        _ => (said, own),
    };
    let status = said.unwrap_or_default();
    let fingerprint = if said.is_some() { identity(&members, &name) } else { hash_hex(&["unread", whole]) };
    let mut alert = Alert { status, fingerprint, ..Alert::default() };
    let apart = name == UNKNOWN;
    alert.labels.insert("alertname".into(), name);
    // Of what is over messages show the beginning of a description, and all of a sender's own words.
    let message = if status == Status::Resolved { shown.clone() } else { String::new() };
    alert.annotations.insert("description".into(), shown);
    Event {
        kind: SenderKind::Generic,
        status,
        apart,
        message,
        common_labels: alert.labels.clone(),
        notes: vec![Note::NoAlert],
        alerts: vec![alert],
        ..Event::default()
    }
}

/// A text and its first line, if it has one that can be a name.
fn named(whole: &str) -> (Option<String>, String) {
    let first = whole.lines().map(str::trim).find(|line| !line.is_empty()).filter(|line| !line.starts_with(['{', '[', '<']));
    (first.map(|line| cut(line, 120)), cut(whole, MAX_SHOWN))
}

/// A form's fields as the object that they would be in JSON.
pub(super) fn form_text(fields: Vec<(String, String)>) -> String {
    let member = |(name, value): (String, String)| format!("{}:{}", serde_json::Value::from(name), serde_json::Value::from(value));
    format!("{{{}}}", fields.into_iter().map(member).collect::<Vec<_>>().join(","))
}

/// An object in a body.
struct Thing<'a> {
    name: String,
    is_alert: bool,
    members: Vec<(Cow<'a, str>, &'a str)>,
}

/// The first object in a body that has a name.
fn thing<'a>(all: &Members<'a>) -> Option<Thing<'a>> {
    let is_thing = |name: &str| !SURROUNDINGS.contains(&&*name.to_ascii_lowercase());
    let things = all.iter().take(MAX_MEMBERS).filter(|(name, value)| kind_of(value) == "an object" && is_thing(name));
    things
        .map(|(key, value)| (key.to_ascii_lowercase(), members(value)))
        .find_map(|(key, inner)| Some(Thing { name: called(&inner, &TITLES)?, is_alert: ALERTS.iter().any(|one| key.contains(one)), members: inner }))
}

/// The name of an object in which nothing has one: its first members.
fn unnamed(all: &Members<'_>) -> String {
    let names: Vec<String> = all.iter().take(3).map(|(name, _)| cut(name, 18)).collect();
    if names.is_empty() { UNKNOWN.to_owned() } else { format!("{UNKNOWN} ({})", names.join(", ")) }
}

/// What the members of an object call it.
fn called(members: &Members<'_>, names: &[&str]) -> Option<String> {
    let own =
        |name: &&str| members.iter().rev().find(|(key, value)| key.eq_ignore_ascii_case(name) && is_scalar(value)).map(|(_, value)| text(value));
    names.iter().filter_map(own).find_map(|value| value.lines().map(str::trim).find(|line| !line.is_empty()).map(|line| cut(line, 120)))
}

/// What an object calls itself, and it as lines of `name: value`.
pub(super) fn described(raw: &str) -> (Option<String>, String) {
    let members = members(raw);
    let name = called(&members, &NAMES);
    let mut lines: Vec<String> =
        members.iter().take(MAX_MEMBERS).map(|(key, value)| format!("{}: {}", cut(key, 80), cut(&text(value), MAX_VALUE))).collect();
    if members.len() > MAX_MEMBERS {
        lines.push(format!("… {} more", members.len() - MAX_MEMBERS));
    }
    (name, cut(&lines.join("\n"), MAX_SHOWN))
}

/// A text's first characters, with `…` when there are more.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Whether there is nothing in a body that could be shown: no text, or JSON of empty lists and objects only.
fn is_blank(body: &str) -> bool {
    let body = body.trim();
    // Small: a sender of a lot of nothing means something.
    if body.len() > 4096 {
        return false;
    }
    fn empty(raw: &str, depth: usize) -> bool {
        match kind_of(raw) {
            "null" => true,
            "a string" => text(raw).trim().is_empty(),
            "an object" => depth < 8 && members(raw).iter().all(|(_, value)| empty(value, depth + 1)),
            "an array" => depth < 8 && elements(raw).iter().all(|value| empty(value, depth + 1)),
            _ => false,
        }
    }
    body.is_empty()
        || serde_json::from_str::<&serde_json::value::RawValue>(body).is_ok_and(|raw| {
            // A body with a list of no alerts says itself that there is nothing to tell, unless it has a title or a text of its own.
            let all = members(raw.get());
            let none = all.iter().any(|(name, value)| name == "alerts" && matches!(kind_of(value), "an array" | "null") && empty(value, 1));
            let says = |name: &&str| all.iter().any(|(key, value)| key.eq_ignore_ascii_case(name) && is_scalar(value) && !empty(value, 1));
            empty(raw.get(), 0) || (none && !NAMES.iter().any(says))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> (String, String) {
        let event = unread(body.as_bytes());
        let alert = &event.alerts[0];
        assert_eq!(event.notes, [Note::NoAlert]);
        (alert.name().to_owned(), alert.annotation("description").to_owned())
    }

    #[test]
    fn a_body_is_told_by_its_own_words() {
        let object = r#"{"event": "push", "title": "Backup failed\nx", "size": 3, "by": {"id": [1, 2]}, "none": null}"#;
        assert_eq!(of(object), ("Backup failed".into(), "event: push\ntitle: Backup failed\nx\nsize: 3\nby: {\"id\":[1,2]}\nnone: ".into()));
        assert_eq!(of("disk full on db-1\nnow"), ("disk full on db-1".into(), "disk full on db-1\nnow".into()));
        assert_eq!(of("\"磁盘已满\""), ("磁盘已满".into(), "磁盘已满".into()));
        assert_eq!(of("title=Backup+failed&size=3"), ("Backup failed".into(), "title: Backup failed\nsize: 3".into()), "a form");
        assert_eq!(of("[1, 2]"), ("Unknown body".into(), "[1, 2]".into()));
        assert_eq!(of("<html>"), ("Unknown body".into(), "<html>".into()));
        for (body, name) in [
            (r#"{"event_definition_id": "e1", "event_definition_title": "Too many errors", "event": {"message": "43"}}"#, "Too many errors"),
            (r#"{"check_id": 7, "check_name": "Shop", "description": "HTTP 500"}"#, "Shop"),
            (r#"{"page": {"name": "Acme"}, "incident": {"name": "Virginia is down"}}"#, "Virginia is down"),
            (r#"{"action": "completed", "sender": {"name": "octocat"}, "workflow_run": {"name": "Build"}}"#, "Build"),
            (r#"{"trigger_id": "w1", "watch_id": "w1", "hits": 5, "more": 1}"#, "Unknown body (trigger_id, watch_id, hits)"),
            (r#"[1, {"Node": "db-1", "Name": "Disk"}]"#, "Disk"),
        ] {
            assert_eq!((of(body).0.as_str(), unread(body.as_bytes()).apart), (name, false), "{body}");
        }
        assert!(unread(b"<html>").apart && !unread(b"disk full").apart, "what has no name shares no incident");
        let (_, shown) = of(&format!("{{\"a\": \"{}\"}}", "告".repeat(100_000)));
        assert_eq!(shown.chars().count(), 3 + MAX_VALUE + 1);
    }

    #[test]
    fn a_body_that_says_it_is_over_does_not_fire() {
        let status = |body: &str| unread(body.as_bytes()).alerts[0].status;
        for over in [
            r#"{"title": "x", "status": "resolved"}"#,
            r#"{"title": "x", "state": " Recovered"}"#,
            "title=x&status=RESOLVED",
            r#"{"page": {"name": "Acme", "status": "up"}, "incident": {"name": "Virginia is down", "status": "resolved"}}"#,
        ] {
            assert_eq!((status(over), unread(over.as_bytes()).status), (Status::Resolved, Status::Resolved), "{over}");
            let event = unread(over.as_bytes());
            assert_eq!(event.message, event.alerts[0].annotation("description"), "all of it is shown: {over}");
        }
        for fires in [
            r#"{"title": "x", "status": "firing"}"#,
            r#"{"service": "nginx", "status": "inactive"}"#,
            r#"{"status": "ok", "data": {"disk": "full"}}"#,
            r#"{"text": "the ticket is resolved"}"#,
            r#"{"text": "Deploy failed", "ticket": {"name": "T-1", "state": "resolved"}}"#,
            r#"{"event": "deploy_failed", "ticket": {"name": "T-1", "state": "resolved"}}"#,
            r#"{"device": {"name": "sw-1", "status": "up"}, "trap": "linkErrors"}"#,
            r#"{"status": {"x": "resolved"}}"#,
            "resolved",
        ] {
            assert_eq!(status(fires), Status::Firing, "{fires}");
        }
    }

    #[test]
    fn an_end_that_nobody_can_read_ends_what_fired() {
        let key = |body: &str| unread(body.as_bytes()).alerts[0].fingerprint.clone();
        let fires = r#"{"title": "Backup of db-1 failed", "status": "firing", "at": {"job": "nightly"}, "timestamp": 1}"#;
        let over = fires.replace("firing", "resolved").replace("\"timestamp\": 1", "\"timestamp\": 2");
        assert_eq!((key(fires), unread(over.as_bytes()).status), (key(&over), Status::Resolved));
        assert_ne!(key(fires), key(&fires.replace("nightly", "weekly")));
        assert_eq!(key("title=x&state=firing&host=a"), key("title=x&state=resolved&host=a"), "a form");
        let within = |host: &str, state: &str| key(&format!(r#"{{"host": "{host}", "alert": {{"name": "Disk full", "state": "{state}"}}}}"#));
        assert_eq!(within("db-1", "firing"), within("db-1", "resolved"));
        assert_ne!(within("db-1", "firing"), within("db-2", "firing"), "what is beside it says which one it is");
        // As Nightingale posts it.
        let nightingale = |over: bool, id: u8| {
            format!(
                r#"{{"id": {id}, "rule_name": "Load", "severity": 2, "hash": "5c1", "is_recovered": {over}, "trigger_value": "{id}", "trigger_time": {id}}}"#
            )
        };
        let (over, fires) = (unread(nightingale(true, 2).as_bytes()), unread(nightingale(false, 1).as_bytes()));
        assert_eq!(over.alerts[0].fingerprint, fires.alerts[0].fingerprint);
        assert_eq!((over.status, fires.status, fires.alerts[0].name()), (Status::Resolved, Status::Firing, "Load"));
    }

    #[test]
    fn two_bodies_are_the_same_when_their_bytes_are() {
        let key = |body: &[u8]| unread(body).alerts[0].fingerprint.clone();
        assert_eq!(key(b"{\"a\": 1}"), key(b"{\"a\": 1}"));
        assert_ne!(key(b"{\"a\": 1}"), key(b"{\"a\": 2}"));
        assert_ne!(key(b"caf\xe9"), key(b"caf\xe8"));
        let long = |end: &str| format!("{}{end}", "x".repeat(10_000));
        assert_ne!(key(long("a").as_bytes()), key(long("b").as_bytes()), "what is not shown counts, too");
    }

    #[test]
    fn nothing_is_nothing() {
        for blank in [
            "",
            " \n",
            "null",
            "{}",
            "[]",
            "[{}, null]",
            r#"{"alerts": []}"#,
            r#"{"status": "", "alerts": [{}]}"#,
            "\"\"",
            r#"{"status": "resolved", "alerts": []}"#,
        ] {
            assert!(is_blank(blank), "{blank}");
            let kept = unread(blank.as_bytes());
            assert!(kept.alerts.is_empty() && kept.message == echo(blank.trim()), "{kept:?}");
        }
        // As somebody's template writes it, of those that fire.
        let over = r#"{"title": "[RESOLVED] Disk full", "status": "resolved", "alerts": []}"#;
        assert_eq!((of(over).0.as_str(), unread(over.as_bytes()).status), ("[RESOLVED] Disk full", Status::Resolved));
        for told in ["0", "x", "{\"a\": 1}", "[false]", r#"{"alerts": [1]}"#, r#"{"alerts": {"a": 1}}"#, "{"] {
            assert!(!is_blank(told), "{told}");
        }
    }
}
