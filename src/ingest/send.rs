//! `POST /api/v1/send`: a person or a script has something to say, without a rule behind it.
//!
//! Strict where webhooks are lenient: the caller sees the answer, so an unknown member or a wrong type is an error, not a guess.

use jiff::Timestamp;

use super::alert::status_word;
use super::error::{IngestError, Source, echo};
use super::identity::fingerprint;
use super::json::{LabelsSeed, Trail, read};
use super::legacy::list;
use super::value::{is_null, kind_of, members, text};
use super::{SenderKind, decode};
use crate::model::{Alert, Event, Labels, Status};

/// A direct call as callers write it; read leniently by [`send`].
#[derive(schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code)] // for the description only
pub struct SendBody {
    /// Channels: a list, or names separated by commas.
    to: OneOrList,
    /// One line; `title` or `text` must be there.
    title: Option<String>,
    /// More.
    text: Option<String>,
    /// As in routes.yaml, `critical`.
    severity: Option<String>,
    /// `firing` (default) or `resolved`.
    status: Option<String>,
    /// Labels of the alert.
    labels: Option<Labels>,
    /// Addresses by `runbook`, `dashboard`, `panel`, `silence`, `source` or `image`.
    links: Option<Labels>,
}

#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)] // for the description only
enum OneOrList {
    One(String),
    List(Vec<String>),
}

/// Characters of `text` that name a message without a title.
const MAX_NAME: usize = 80;

/// A direct call that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct SendCall {
    /// The channels it names, in order, each once; never empty.
    pub to: Vec<String>,
    /// An event of kind `Direct` with one alert. `source` is empty: the caller fills it.
    pub event: Event,
}

/// Reads `{to, title, text, severity, status?, labels?, links?}`. `to` is an array or a comma-separated string; `title` or `text` must be there.
/// The title is the alert name (without one: the first line of the text) and the summary, the text is the description. `labels` win over
/// `title` and `severity` where they name the same label. `links` maps `runbook`, `dashboard`, `panel`, `silence`, `source` or `image` to
/// an http(s) address. The alert begins at `received_at`.
pub fn send(body: &[u8], received_at: Timestamp) -> Result<SendCall, IngestError> {
    let decoded = decode(body)?;
    let source = Source { text: &decoded };
    let trail = Trail::default();
    let whole = read(&source, source.text, "", &trail, std::marker::PhantomData::<&serde_json::value::RawValue>)?.get();
    let wrong = |part: &str, path: &str, message: String| source.error(source.offset_of(part), path, message);
    if kind_of(whole) != "an object" {
        return Err(wrong(whole, "", format!("expected an object, found {}", kind_of(whole))));
    }

    let (mut to, mut title, mut message, mut severity, mut word) = (Vec::new(), String::new(), String::new(), String::new(), None);
    let mut labels = Labels::new();
    let mut alert = Alert { starts_at: Some(received_at), ..Alert::default() };
    for (name, value) in members(whole) {
        if is_null(value) {
            continue;
        }
        let string = |into: &mut String, path: &str| {
            if matches!(kind_of(value), "an object" | "an array") {
                return Err(wrong(value, path, format!("expected a string, found {}", kind_of(value))));
            }
            *into = text(value).into_owned();
            Ok(())
        };
        match name.as_ref() {
            "to" => match list(value) {
                Some(names) => to = names,
                None => return Err(wrong(value, "to", "expected an array of channel names, or one comma-separated string".into())),
            },
            "title" => string(&mut title, "title")?,
            "text" => string(&mut message, "text")?,
            "severity" => string(&mut severity, "severity")?,
            "status" => {
                word = status_word(&text(value));
                if word.is_none() {
                    return Err(wrong(value, "status", "expected `firing` or `resolved`".into()));
                }
            }
            "labels" => {
                let trail = Trail::default();
                let set = read(&source, value, "labels", &trail, LabelsSeed { trail: &trail })?.unwrap_or_default();
                // This caller reads the answer: an error is better than a guess.
                if set.odd {
                    return Err(wrong(value, "labels", format!("expected an object, found {}", kind_of(value))));
                }
                labels = set.labels;
            }
            "links" => {
                if kind_of(value) != "an object" {
                    return Err(wrong(value, "links", format!("expected an object, found {}", kind_of(value))));
                }
                links(&source, value, &mut alert)?;
            }
            other => {
                let known = "to, title, text, severity, status, labels, links";
                return Err(wrong(value, "", format!("unknown member `{}`; the members are {known}", echo(other))));
            }
        }
    }
    if to.is_empty() {
        return Err(wrong(whole, "to", "missing: name at least one channel".into()));
    }
    if title.trim().is_empty() && message.trim().is_empty() {
        return Err(wrong(whole, "text", "missing: a message needs a `title` or a `text`".into()));
    }

    Ok(SendCall { to, event: event(alert, Said { title, message, severity, labels, status: word.unwrap_or_default() }) })
}

/// What the caller said of the alert.
struct Said {
    title: String,
    message: String,
    severity: String,
    labels: Labels,
    status: Status,
}

/// One alert, and the event that has it.
fn event(mut alert: Alert, said: Said) -> Event {
    let Said { title, message, severity, mut labels, status } = said;
    let first_line = message.trim().lines().next().unwrap_or_default();
    let name = if title.trim().is_empty() { first_line.chars().take(MAX_NAME).collect() } else { title.clone() };
    labels.entry("alertname".into()).or_insert_with(|| name.clone());
    if !severity.is_empty() {
        labels.entry("severity".into()).or_insert(severity);
    }
    for (annotation, value) in [("summary", &title), ("description", &message)] {
        if !value.is_empty() {
            alert.annotations.insert(annotation.into(), value.clone());
        }
    }
    alert.fingerprint = fingerprint(&labels);
    alert.status = status;
    alert.labels = labels;
    Event {
        kind: SenderKind::Direct,
        status: alert.status,
        common_labels: alert.labels.clone(),
        common_annotations: alert.annotations.clone(),
        title: name,
        message,
        alerts: vec![alert],
        ..Event::default()
    }
}

fn links(source: &Source<'_>, raw: &str, alert: &mut Alert) -> Result<(), IngestError> {
    for (kind, value) in members(raw) {
        let url = text(value).into_owned();
        let path = format!("links.{}", echo(&kind));
        if kind_of(value) != "a string" || !(url.starts_with("https://") || url.starts_with("http://")) {
            return Err(source.error(source.offset_of(value), path, "expected an address that begins with https:// or http://"));
        }
        match kind.as_ref() {
            "runbook" => drop(alert.annotations.insert("runbook_url".into(), url)),
            "dashboard" => alert.dashboard_url = url,
            "panel" => alert.panel_url = url,
            "silence" => alert.silence_url = url,
            "source" => alert.generator_url = url,
            "image" => alert.image_url = url,
            _ => {
                let known = "runbook, dashboard, panel, silence, source, image";
                return Err(source.error(source.offset_of(value), path, format!("unknown link; the links are {known}")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_full_call_becomes_one_alert() {
        let body = r#"{"to": ["ops-ding", "ops-mail", "ops-ding"], "title": "Deploy failed", "text": "step 3\nexit 1", "severity": "critical",
            "labels": {"team": "web", "build": 812}, "links": {"runbook": "https://r/1", "source": "http://ci/812", "image": "https://i/1.png"}}"#;
        let call = send(body.as_bytes(), now()).unwrap();
        assert_eq!(call.to, ["ops-ding", "ops-mail"]);
        let (event, alert) = (&call.event, &call.event.alerts[0]);
        assert_eq!(
            (event.kind, event.status, event.title.as_str(), event.message.as_str()),
            (SenderKind::Direct, Status::Firing, "Deploy failed", "step 3\nexit 1")
        );
        let labels: Vec<_> = alert.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(labels, [("alertname", "Deploy failed"), ("build", "812"), ("severity", "critical"), ("team", "web")]);
        let annotations: Vec<_> = alert.annotations.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(annotations, [("description", "step 3\nexit 1"), ("runbook_url", "https://r/1"), ("summary", "Deploy failed")]);
        assert_eq!((alert.generator_url.as_str(), alert.image_url.as_str(), alert.starts_at), ("http://ci/812", "https://i/1.png", Some(now())));
        assert_eq!(alert.fingerprint, fingerprint(&alert.labels));
    }

    #[test]
    fn a_short_call_is_named_by_its_first_line() {
        let call = send(r#"{"to": "a, b", "text": " 磁盘满了\n/var 100%", "status": "resolved"}"#.as_bytes(), now()).unwrap();
        assert_eq!((call.to.as_slice(), call.event.alerts[0].name()), (["a".to_owned(), "b".to_owned()].as_slice(), "磁盘满了"));
        assert_eq!((call.event.status, call.event.alerts[0].status), (Status::Resolved, Status::Resolved));
        assert!(!call.event.alerts[0].annotations.contains_key("summary"));
    }

    #[test]
    fn mistakes_are_told() {
        for (body, error) in [
            ("", "the body is empty; send JSON (line 1, column 1)"),
            ("[1]", "expected an object, found an array (line 1, column 1)"),
            (r#"{"to": ["a"]}"#, "text: missing: a message needs a `title` or a `text` (line 1, column 1)"),
            (r#"{"text": "x"}"#, "to: missing: name at least one channel (line 1, column 1)"),
            (r#"{"to": {"a": 1}, "text": "x"}"#, "to: expected an array of channel names, or one comma-separated string (line 1, column 8)"),
            (r#"{"to": "a", "title": ["x"]}"#, "title: expected a string, found an array (line 1, column 22)"),
            (r#"{"to": "a", "text": "x", "status": "maybe"}"#, "status: expected `firing` or `resolved` (line 1, column 36)"),
            (
                r#"{"to": "a", "severty": "x"}"#,
                "unknown member `severty`; the members are to, title, text, severity, status, labels, links (line 1, column 24)",
            ),
            (r#"{"to": "a", "text": "x", "labels": 5}"#, "labels: expected an object, found a number (line 1, column 36)"),
            (r#"{"to": "a", "text": "x", "links": []}"#, "links: expected an object, found an array (line 1, column 35)"),
            (
                r#"{"to": "a", "text": "x", "links": {"runbook": "javascript:alert(1)"}}"#,
                "links.runbook: expected an address that begins with https:// or http:// (line 1, column 47)",
            ),
            (
                r#"{"to": "a", "text": "x", "links": {"doc": "https://x"}}"#,
                "links.doc: unknown link; the links are runbook, dashboard, panel, silence, source, image (line 1, column 43)",
            ),
            (r#"{"to": "a""#, "not valid JSON: the body ends inside an object; it was cut off, or never finished (line 1, column 10)"),
        ] {
            assert_eq!(send(body.as_bytes(), now()).unwrap_err().to_string(), error, "{body}");
        }
    }
}
