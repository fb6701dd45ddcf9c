//! Links and facts that drivers turn into buttons and fields.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::intake::place;
use super::plan::Plan;
use crate::model::{Language, Link, LinkKind, MessageId, Secret};
use crate::template::Entry;

/// Most pairs a message shows as fields.
const MAX_PAIRS: usize = 6;
/// A value longer than this is no field.
const MAX_PAIR_VALUE: usize = 120;

/// The signed read-only page of a message on this server; empty without `external_url`.
pub fn message_url(plan: &Plan, message: MessageId) -> String {
    if plan.external_url.is_empty() {
        return String::new();
    }
    format!("{}/m/{message}?k={}", plan.external_url, signature(&plan.link_key, message))
}

/// The signature in a message's link: 24 hex digits of HMAC-SHA256 over its id.
pub fn signature(key: &Secret, message: MessageId) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else { return String::new() };
    mac.update(message.0.as_bytes());
    mac.finalize().into_bytes()[..12].iter().map(|b| format!("{b:02x}")).collect()
}

/// The links of a page, most useful first: each kind once, of the first alert that has it; nothing but http and https.
pub fn links(plan: &Plan, entries: &[Entry<'_>], message: MessageId, details: bool, language: Language) -> Vec<Link> {
    let mut links = Vec::new();
    let mut add = |kind: LinkKind, url: String| {
        if is_web(&url) {
            links.push(Link { kind, label: label(kind, language).to_owned(), url });
        }
    };
    let first = |get: fn(&Entry<'_>) -> String| entries.iter().map(get).find(|url| is_web(url)).unwrap_or_default();
    add(LinkKind::Runbook, first(|e| first_of(&[e.alert.annotation("runbook_url"), e.alert.annotation("runbook")])));
    add(LinkKind::Dashboard, first(|e| first_of(&[&e.alert.dashboard_url, e.alert.annotation("dashboard_url"), e.alert.annotation("dashboard")])));
    add(LinkKind::Panel, first(|e| e.alert.panel_url.clone()));
    if let [only] = entries {
        add(LinkKind::Silence, crate::template::silence_url(only.alert, &only.event.external_url));
    }
    add(LinkKind::Source, first(|e| e.alert.generator_url.clone()));
    let own = message_url(plan, message);
    if details || entries.len() > 1 {
        let sender = entries.first().map(|e| e.event.external_url.clone()).unwrap_or_default();
        add(LinkKind::Details, if own.is_empty() { sender } else { own });
    }
    links
}

fn first_of(urls: &[&str]) -> String {
    urls.iter().find(|url| is_web(url)).map(|url| (*url).to_owned()).unwrap_or_default()
}

fn is_web(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(|c: char| c.is_control() || c.is_whitespace())
}

fn label(kind: LinkKind, language: Language) -> &'static str {
    match (kind, language) {
        (LinkKind::Runbook, Language::En) => "Runbook",
        (LinkKind::Dashboard, Language::En) => "Dashboard",
        (LinkKind::Panel, Language::En) => "Panel",
        (LinkKind::Silence, Language::En) => "Silence",
        (LinkKind::Source, Language::En) => "Source",
        (LinkKind::Details, Language::En) => "All alerts",
        (LinkKind::Runbook, Language::Zh) => "处理手册",
        (LinkKind::Dashboard, Language::Zh) => "仪表盘",
        (LinkKind::Panel, Language::Zh) => "面板",
        (LinkKind::Silence, Language::Zh) => "静默",
        (LinkKind::Source, Language::Zh) => "来源",
        (LinkKind::Details, Language::Zh) => "全部告警",
    }
}

/// Labels that all alerts of the page share and that tell where: short ones, most telling first.
pub fn pairs(entries: &[Entry<'_>], language: Language) -> Vec<(String, String)> {
    let Some(first) = entries.first() else { return Vec::new() };
    let shared = |name: &str, value: &str| entries.iter().all(|e| e.alert.label(name) == value);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if entries.len() == 1 && !place(first.alert).is_empty() {
        let what = if language == Language::Zh { "对象" } else { "where" };
        pairs.push((what.to_owned(), place(first.alert).to_owned()));
    }
    let telling = ["cluster", "namespace", "service", "job", "team", "env", "environment", "region"];
    let mut names: Vec<&String> = first.alert.labels.keys().filter(|name| !name.starts_with("__")).collect();
    names.sort_by_key(|name| telling.iter().position(|t| t == name).unwrap_or(telling.len()));
    for name in names {
        let value = first.alert.label(name);
        let shown_already = pairs.iter().any(|(_, v)| v == value);
        if matches!(name.as_str(), "alertname" | "severity") || shown_already || value.is_empty() || value.chars().count() > MAX_PAIR_VALUE {
            continue;
        }
        if pairs.len() == MAX_PAIRS {
            break;
        }
        if shared(name, value) {
            pairs.push((name.clone(), value.to_owned()));
        }
    }
    pairs
}
