//! What of a message is rendered at all: the first few hundred alerts, and of a giant one what a person can read. The rest is counted.
//!
//! Rendering builds some thirty values for each alert, so its cost must not follow the size of a body. No platform shows more than this.

use std::borrow::Cow;

use crate::model::{Alert, Event, Extra, Labels};
use crate::template::{Entry, EntryStatus};

/// Alerts in detail at most.
pub const MAX_DETAILS: usize = 400;
/// Lines of a digest at most.
pub const MAX_ROWS: usize = 2000;
/// Bytes of labels, annotations and links of all alerts in detail together.
const MAX_TEXT: usize = 1 << 20;
/// Bytes of one alert, or of what an event says beside its alerts, above which it is shortened.
const MAX_ALERT: usize = 64 << 10;
/// Bytes that are kept of one value of a shortened alert.
const MAX_VALUE: usize = 4 << 10;
/// Names that are kept of a shortened set beside those that say what it is about.
const MAX_NAMES: usize = 50;
/// Names that are kept first.
const KEPT_FIRST: [&str; 12] =
    ["alertname", "severity", "instance", "job", "namespace", "pod", "service", "cluster", "summary", "description", "message", "runbook_url"];

/// Alerts and their events as they are rendered.
#[derive(Debug)]
pub struct Excerpt<'a> {
    alerts: Vec<(Cow<'a, Alert>, usize, EntryStatus)>,
    events: Vec<(&'a Event, Cow<'a, Event>)>,
    /// Whether anything was shortened.
    pub shortened: bool,
}

impl<'a> Excerpt<'a> {
    /// The first of these, which come most urgent first.
    pub fn of(entries: &[Entry<'a>]) -> Self {
        let mut excerpt = Self { alerts: Vec::with_capacity(entries.len().min(MAX_DETAILS)), events: Vec::new(), shortened: false };
        let mut room = MAX_TEXT;
        for entry in entries.iter().take(MAX_DETAILS) {
            let alert = if alert_size(entry.alert) > MAX_ALERT { Cow::Owned(short_alert(entry.alert)) } else { Cow::Borrowed(entry.alert) };
            let size = alert_size(&alert);
            if size > room && !excerpt.alerts.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            excerpt.shortened |= matches!(alert, Cow::Owned(_));
            let event = excerpt.place(entry.event);
            excerpt.alerts.push((alert, event, entry.status));
        }
        excerpt
    }

    fn place(&mut self, event: &'a Event) -> usize {
        let known = self.events.iter().rposition(|(of, _)| std::ptr::eq(*of, event));
        known.unwrap_or_else(|| {
            let event_or_short = if head_size(event) > MAX_ALERT { Cow::Owned(short_head(event)) } else { Cow::Borrowed(event) };
            self.shortened |= matches!(event_or_short, Cow::Owned(_));
            self.events.push((event, event_or_short));
            self.events.len() - 1
        })
    }

    /// The entries to render.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        self.alerts.iter().map(|(alert, event, status)| Entry { alert, event: &self.events[*event].1, status: *status }).collect()
    }
}

fn set_size(set: &Labels) -> usize {
    set.iter().map(|(name, value)| name.len() + value.len() + 16).sum()
}

fn alert_size(alert: &Alert) -> usize {
    let texts = [
        &alert.fingerprint,
        &alert.generator_url,
        &alert.silence_url,
        &alert.dashboard_url,
        &alert.panel_url,
        &alert.image_url,
        &alert.value_string,
        &alert.rule_uid,
    ];
    let values: usize = alert.values.keys().map(|name| name.len() + 24).sum();
    texts.iter().map(|text| text.len()).sum::<usize>() + set_size(&alert.labels) + set_size(&alert.annotations) + values
}

fn head_size(event: &Event) -> usize {
    let texts = [&event.source, &event.receiver, &event.group_key, &event.external_url, &event.reason, &event.title, &event.message, &event.trace];
    let sets = [&event.group_labels, &event.common_labels, &event.common_annotations, &event.route_labels];
    texts.iter().map(|text| text.len()).sum::<usize>() + sets.iter().map(|set| set_size(set)).sum::<usize>()
}

/// A text's beginning, with `…` behind it when something is missing.
fn short(text: &str) -> String {
    if text.len() <= MAX_VALUE {
        return text.to_owned();
    }
    let end = (0..=MAX_VALUE).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", &text[..end])
}

/// A link is whole or not there.
fn link(url: &str) -> String {
    if url.len() <= MAX_VALUE { url.to_owned() } else { String::new() }
}

fn short_set(set: &Labels) -> Labels {
    let first = KEPT_FIRST.iter().filter_map(|name| set.get_key_value(*name));
    let rest = set.iter().filter(|(name, _)| !KEPT_FIRST.contains(&name.as_str()) && name.len() <= MAX_VALUE).take(MAX_NAMES);
    first.chain(rest).map(|(name, value)| (name.clone(), short(value))).collect()
}

fn short_alert(alert: &Alert) -> Alert {
    Alert {
        status: alert.status,
        labels: short_set(&alert.labels),
        annotations: short_set(&alert.annotations),
        starts_at: alert.starts_at,
        ends_at: alert.ends_at,
        fingerprint: short(&alert.fingerprint),
        generator_url: link(&alert.generator_url),
        silence_url: link(&alert.silence_url),
        dashboard_url: link(&alert.dashboard_url),
        panel_url: link(&alert.panel_url),
        image_url: link(&alert.image_url),
        values: alert.values.iter().filter(|(name, _)| name.len() <= MAX_VALUE).take(MAX_NAMES).map(|(name, value)| (name.clone(), *value)).collect(),
        value_string: short(&alert.value_string),
        rule_uid: short(&alert.rule_uid),
        extra: Extra::new(),
    }
}

/// An event without its alerts. What names its lane stays whole: keys are made of it.
fn short_head(event: &Event) -> Event {
    Event {
        kind: event.kind,
        source: event.source.clone(),
        receiver: event.receiver.clone(),
        status: event.status,
        group_key: event.group_key.clone(),
        group_labels: short_set(&event.group_labels),
        common_labels: short_set(&event.common_labels),
        common_annotations: short_set(&event.common_annotations),
        route_labels: short_set(&event.route_labels),
        external_url: link(&event.external_url),
        truncated: event.truncated,
        reason: short(&event.reason),
        title: short(&event.title),
        message: short(&event.message),
        trace: event.trace.clone(),
        notes: event.notes.clone(),
        apart: event.apart,
        extra: Extra::new(),
        unknown_to: Vec::new(),
        alerts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::{alert, event};
    use crate::model::Status;

    fn excerpt_of(event: &Event) -> (usize, bool, usize) {
        let entries: Vec<_> = event.alerts.iter().map(|alert| Entry { alert, event, status: EntryStatus::Firing }).collect();
        let excerpt = Excerpt::of(&entries);
        let shown = excerpt.entries();
        let bytes = shown.iter().map(|e| alert_size(e.alert)).sum::<usize>() + shown.first().map_or(0, |e| head_size(e.event));
        (shown.len(), excerpt.shortened, bytes)
    }

    #[test]
    fn what_is_ordinary_stays_as_it_is() {
        let ordinary = event((0..100).map(|i| alert(&format!("a{i}"), "critical", Status::Firing)).collect());
        let entries: Vec<_> = ordinary.alerts.iter().map(|alert| Entry { alert, event: &ordinary, status: EntryStatus::Firing }).collect();
        let excerpt = Excerpt::of(&entries);
        assert!(!excerpt.shortened);
        assert!(excerpt.entries().iter().zip(&entries).all(|(a, b)| std::ptr::eq(a.alert, b.alert) && std::ptr::eq(a.event, b.event)), "no copies");
    }

    #[test]
    fn whatever_a_body_holds_little_of_it_is_rendered() {
        let many = event((0..50_000).map(|i| alert(&format!("a{i}"), "critical", Status::Firing)).collect());
        assert_eq!(excerpt_of(&many).0, MAX_DETAILS);
        let giant = "告".repeat(2 << 20);
        let mut fat = alert("fat", "critical", Status::Firing);
        fat.labels.insert("big".into(), giant.clone());
        fat.labels.extend((0..100_000).map(|i| (format!("label{i:06}"), "x".to_owned())));
        fat.generator_url = format!("http://h/{giant}");
        let mut head = event(vec![fat.clone(), fat]);
        head.message = giant.clone();
        head.external_url = giant.clone();
        head.common_labels.insert("c".into(), giant);
        let (shown, shortened, bytes) = excerpt_of(&head);
        assert!(shown == 2 && shortened && bytes < 4 * MAX_ALERT, "{shown} {bytes}");
        let entries = [Entry { alert: &head.alerts[0], event: &head, status: EntryStatus::Firing }];
        let excerpt = Excerpt::of(&entries);
        let one = excerpt.entries()[0];
        assert_eq!((one.alert.name(), one.alert.label("severity"), one.alert.generator_url.as_str()), ("fat", "critical", ""));
        assert!(one.alert.label("big").ends_with("告…"), "cut between characters, visibly");
        assert_eq!((&one.event.source, &one.event.group_key), (&head.source, &head.group_key), "keys are made of these");
        let middling =
            event((0..400).map(|i| Alert { value_string: "v".repeat(10 << 10), ..alert(&format!("a{i}"), "info", Status::Firing) }).collect());
        let (shown, shortened, bytes) = excerpt_of(&middling);
        assert!(shown < 110 && !shortened && bytes < MAX_TEXT + 2 * MAX_ALERT, "{shown} {bytes}");
    }
}
