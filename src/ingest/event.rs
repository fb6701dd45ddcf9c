//! From the fields of a body to an [`Event`]: which sender it was, what each alert's status is, and what senders left out.
//!
//! Knows the senders' habits, not JSON.

use jiff::Timestamp;

use super::alert::{AlertList, status_word};
use super::body::Body;
use super::identity::fingerprint;
use super::{Parsed, Sender};
use crate::model::{Alert, Event, Labels, Note, SenderKind, Status};

/// Which sender a body with an `alerts` list came from. The sender (the path it was posted to) decides; without one: version "4" is
/// Alertmanager, version "1" Grafana; then `state` + `title`, an organisation, or a field that only Grafana's alerts have mean Grafana.
pub(super) fn kind(sender: &Sender, body: &Body<'_>) -> SenderKind {
    match sender {
        Sender::Alertmanager => return SenderKind::Alertmanager,
        Sender::Grafana => return SenderKind::Grafana,
        Sender::Auto | Sender::Input(_) => {}
    }
    let rendered = !body.grafana.state.is_empty() && !body.grafana.title.is_empty();
    let grafana = match body.version.as_str() {
        "1" => true,
        "4" => rendered && body.grafana.org_id.is_some(),
        _ => rendered || body.grafana.org_id.is_some() || body.list.grafana,
    };
    if grafana { SenderKind::Grafana } else { SenderKind::Alertmanager }
}

/// The event of a body with an `alerts` list.
pub(super) fn from_body(kind: SenderKind, body: Body<'_>, received_at: Timestamp) -> Parsed {
    let org_id = match kind {
        SenderKind::Grafana => body.grafana.org_id.or(body.list.org_id),
        _ => None,
    };
    let word = body.status.or_else(|| status_word(&body.grafana.state));
    let mut event = Event {
        kind,
        receiver: if kind == SenderKind::Alertmanager { unquote_meta(&body.receiver) } else { body.receiver },
        group_key: body.group_key,
        external_url: body.external_url,
        truncated: body.truncated + body.list.over,
        reason: body.reason,
        title: body.grafana.title,
        message: body.grafana.message,
        route_labels: body.labels.route.unwrap_or_default(),
        group_labels: body.labels.group.unwrap_or_default(),
        extra: body.extra,
        ..Event::default()
    };
    finish(&mut event, body.list, word, received_at);
    let (labels, annotations) = (body.labels.common, body.labels.annotations);
    event.common_labels = labels.unwrap_or_else(|| common(&event.alerts, |a| &a.labels));
    event.common_annotations = annotations.unwrap_or_else(|| common(&event.alerts, |a| &a.annotations));
    if kind == SenderKind::Grafana {
        strip_private(&mut event);
    }
    Parsed { event, org_id }
}

/// The event of alerts that came without anything around them.
pub(super) fn from_alerts(kind: SenderKind, list: AlertList, received_at: Timestamp) -> Event {
    let mut event = Event { kind, truncated: list.over, ..Event::default() };
    finish(&mut event, list, None, received_at);
    event.common_labels = common(&event.alerts, |a| &a.labels);
    event.common_annotations = common(&event.alerts, |a| &a.annotations);
    event
}

fn finish(event: &mut Event, list: AlertList, word: Option<Status>, received_at: Timestamp) {
    event.notes.extend((list.odd > 0).then_some(Note::Odd(list.odd)));
    event.alerts = list.alerts;
    settle_status(&mut event.alerts, &list.words, word, received_at);
    for alert in &mut event.alerts {
        if alert.fingerprint.is_empty() {
            alert.fingerprint = fingerprint(&alert.labels);
        }
    }
    event.status = overall(&event.alerts);
}

/// Firing unless all alerts are resolved, whatever the body said: it contradicts its own alerts often enough.
pub(super) fn overall(alerts: &[Alert]) -> Status {
    if alerts.iter().all(|a| a.status == Status::Resolved) { Status::Resolved } else { Status::Firing }
}

/// An alert's own word on its status decides. Without one Alertmanager's rule for its own API holds: an `endsAt` that is not after now means
/// resolved, a later one firing. Without both it is what the body says, else firing. A word is stronger than a time: when the body says
/// firing, and nothing but times says that all of it is over, it fires.
fn settle_status(alerts: &mut [Alert], words: &[Option<Status>], body: Option<Status>, received_at: Timestamp) {
    let mut by_time = false;
    for (alert, word) in alerts.iter_mut().zip(words) {
        alert.status = match (word, alert.ends_at) {
            (Some(word), _) => *word,
            (None, Some(end)) if end <= received_at => {
                by_time = true;
                Status::Resolved
            }
            (None, Some(_)) => Status::Firing,
            (None, None) => body.unwrap_or_default(),
        };
    }
    if by_time && body == Some(Status::Firing) && overall(alerts) == Status::Resolved {
        for (alert, _) in alerts.iter_mut().zip(words).filter(|(_, word)| word.is_none()) {
            alert.status = Status::Firing;
        }
    }
    for alert in alerts.iter_mut().filter(|a| a.status == Status::Firing) {
        // While an alert fires its end is a guess of the sender (Prometheus sends now + 4 evaluations); the event keeps facts only.
        alert.ends_at = None;
    }
}

/// What all alerts have in common, for senders that do not say.
fn common(alerts: &[Alert], set: fn(&Alert) -> &Labels) -> Labels {
    let Some((first, rest)) = alerts.split_first() else { return Labels::new() };
    let mut common = set(first).clone();
    for alert in rest {
        if common.is_empty() {
            break;
        }
        common.retain(|name, value| set(alert).get(name) == Some(value));
    }
    common
}

/// Alertmanager quotes the receiver's name for regular expressions (`web\.hook`); this takes the quoting of Go's `regexp.QuoteMeta` off.
/// A backslash before any other character is part of the name. <https://pkg.go.dev/regexp#QuoteMeta>
fn unquote_meta(quoted: &str) -> String {
    let mut out = String::with_capacity(quoted.len());
    let mut chars = quoted.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next) if c == '\\' && r"\.+*?()|[]{}^$".contains(*next) => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// Grafana takes names of the form `__x__` out of what it sends to its own receivers; a custom payload template can leave them in. They are
/// taken out of Grafana's bodies only, after fingerprints were computed. Alertmanager does not take them out, so a route may match on them:
/// bodies that Grafana sends through an external Alertmanager keep theirs.
fn strip_private(event: &mut Event) {
    let strip = |set: &mut Labels| set.retain(|name, _| !(name.starts_with("__") && name.ends_with("__")));
    strip(&mut event.group_labels);
    strip(&mut event.common_labels);
    strip(&mut event.common_annotations);
    for alert in &mut event.alerts {
        strip(&mut alert.labels);
        strip(&mut alert.annotations);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_unquoted_as_go_quoted_them() {
        for (quoted, name) in [
            (r"web\.hook", "web.hook"),
            (r"\[DEV\] team", "[DEV] team"),
            (r"a\\b", r"a\b"),
            (r"c:\dir", r"c:\dir"),
            (r"\\\.", r"\."),
            ("end\\", "end\\"),
            ("ops-ding", "ops-ding"),
            ("运维\\+", "运维+"),
        ] {
            assert_eq!(unquote_meta(quoted), name);
        }
    }
}
