//! What PagerDuty is sent: a trigger while something fires, a resolve when nothing does. Pure.
//! <https://developer.pagerduty.com/docs/send-alert-event>

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::channel::kit::cut_units;
use crate::model::{Form, Labels, Page, Payload, Size};

/// Characters of a summary (same page).
const MAX_SUMMARY: usize = 1024;
/// Our own, far below the 512 KB of the whole event: more than anybody reads in an incident.
const MAX_DETAILS: usize = 32 * 1024;
/// Our own, for the labels and for the annotations beside the text: bytes of all of them, and characters of a value.
const MAX_SHARED: usize = 24 * 1024;
const MAX_VALUE: usize = 2000;
/// Our own: an address that is longer would have the whole event refused.
const MAX_URL: usize = 8 * 1024;

/// The event of a page. Its key is the group's, so that a repeat updates the alert and the end of the group closes it, whichever replica, receiver or
/// channel reports it; a direct call, which has no group, uses the message's own `key`.
pub(super) fn event(page: &Page, routing_key: &str, client: &str, key: &str) -> Value {
    let facts = &page.facts;
    let dedup_key = if facts.incident.key.is_empty() { key } else { facts.incident.key.as_str() };
    let action = if facts.over { "resolve" } else { "trigger" };
    let mut details: Map<String, Value> = facts.pairs.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
    if !page.field("text").trim().is_empty() {
        details.insert("text".into(), page.field("text").trim().into());
    }
    let Shared { labels, annotations } = facts.payload.as_ref().filter(|_| facts.form != Form::Note).map(Shared::of).unwrap_or_default();
    for (name, values) in [("labels", labels), ("annotations", annotations)] {
        if !values.is_empty() {
            details.insert(name.into(), json!(bounded(values)));
        }
    }
    let source =
        facts.pairs.iter().find(|(name, _)| matches!(name.as_str(), "Where" | "告警对象" | "instance")).map_or(client, |(_, value)| value.as_str());
    let takes = |url: &str, scheme: &str| url.starts_with(scheme) && url.len() <= MAX_URL;
    let links = facts.links.iter().filter(|link| takes(&link.url, "http"));
    let links: Vec<Value> = links.map(|link| json!({ "href": link.url, "text": link.label })).collect();
    // Pictures are shown over TLS only (same page).
    let image = Some(&facts.image).filter(|url| takes(url, "https://"));
    let images: Vec<Value> = image.map(|url| json!({ "src": url, "href": url, "alt": facts.title })).into_iter().collect();
    json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": dedup_key,
        "client": client,
        "links": links,
        "images": images,
        "payload": {
            "summary": cut_units(summary(page), MAX_SUMMARY),
            "source": if source.trim().is_empty() { "watchfire" } else { source },
            "severity": facts.rank().as_str(),
            "timestamp": facts.formed_at.to_string(),
            "custom_details": details,
        },
    })
}

/// What PagerDuty pushes, reads out and sends as a text message. The plain text's title has not what a person wrote.
fn summary(page: &Page) -> &str {
    let preview = if page.plain { page.facts.preview.trim() } else { "" };
    [preview, page.field("title").trim(), page.facts.title.trim()].into_iter().find(|text| !text.is_empty()).unwrap_or("-")
}

/// What all alerts of an event have: rules of PagerDuty and its fields read labels by name.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Shared {
    labels: Labels,
    annotations: Labels,
}

impl Shared {
    fn of(payload: &Payload) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Alerts {
            alerts: Vec<Shared>,
        }
        let Alerts { alerts } = serde_json::from_str(payload.as_str()).unwrap_or_default();
        let mut alerts = alerts.into_iter();
        let mut shared = alerts.next().unwrap_or_default();
        for other in alerts {
            shared.labels.retain(|name, value| other.labels.get(name) == Some(value));
            shared.annotations.retain(|name, value| other.annotations.get(name) == Some(value));
        }
        shared
    }
}

/// As many of them as there is room for, with `…` where a value goes on; how many were left out.
fn bounded(all: Labels) -> Labels {
    let (mut room, mut left_out) = (MAX_SHARED, 0);
    let mut kept = Labels::new();
    for (name, value) in all {
        let value = cut_units(&value, MAX_VALUE);
        match room.checked_sub(name.len() + value.len()) {
            Some(left) => {
                room = left;
                kept.insert(name, value);
            }
            None => left_out += 1,
        }
    }
    if left_out > 0 {
        kept.insert("…".to_owned(), format!("+{left_out}"));
    }
    kept
}

/// What people did about the incident here, as an event; `None` where there is nothing that PagerDuty could be asked.
pub(super) fn act(page: &Page, routing_key: &str, dedup_key: &str) -> Option<Value> {
    let action = match page.facts.incident.state.as_str() {
        "acked" | "snoozed" => "acknowledge",
        // What goes on as others has alerts of its own there.
        "closed" | "superseded" => "resolve",
        _ => return None,
    };
    Some(json!({ "routing_key": routing_key, "event_action": action, "dedup_key": dedup_key }))
}

/// The bytes of the text, against our own limit.
pub(super) fn measure(page: &Page) -> Size {
    Size::bytes(page.field("text").len(), MAX_DETAILS)
}
