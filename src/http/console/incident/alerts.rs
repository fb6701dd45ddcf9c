//! The alerts of an incident, and what their labels share.

use std::collections::HashMap;
use std::sync::Arc;

use maud::{Markup, html};

use crate::http::console::parts::{count, label, link, pill, say, shown, time};
use crate::http::console::viewer::Viewer;
use crate::model::{Alert, Event, EventId, Labels, Severity, Shown};
use crate::store::{AlertState, Incident, IncidentAlert};

/// Alerts that have a line each.
const MAX_LINES: usize = 50;

/// An alert of an incident with its body, where that was read.
pub(super) struct Told<'a> {
    alert: &'a IncidentAlert,
    body: Option<&'a Alert>,
}

/// The alerts, those that fire first, the most severe of them first.
pub(super) fn of<'a>(incident: &'a Incident, events: &'a HashMap<EventId, Arc<Event>>) -> Vec<Told<'a>> {
    let body = |alert: &IncidentAlert| events.get(&alert.event)?.alerts.get(alert.index as usize);
    let mut all: Vec<Told<'_>> = incident.alerts.iter().map(|alert| Told { alert, body: body(alert) }).collect();
    all.sort_by_key(|one| (one.alert.state != AlertState::Firing, one.alert.rank, std::cmp::Reverse(one.alert.changed_at)));
    all
}

/// The labels that all of them have.
pub(super) fn shared(all: &[Told<'_>], rules: &Shown) -> Labels {
    let mut bodies = all.iter().filter_map(|one| one.body);
    let Some(first) = bodies.next() else { return Labels::new() };
    let mut shared = first.labels.clone();
    bodies.for_each(|body| shared.retain(|name, value| body.labels.get(name) == Some(value)));
    shared.retain(|name, _| name != "alertname" && !rules.labels.hides(name));
    shared
}

/// The list.
pub(super) fn list(viewer: &Viewer, all: &[Told<'_>], shared: &Labels) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let firing = all.iter().filter(|one| fires(one)).count();
    html! {
        section.sec {
            h2 { @if firing == 0 { (say(language, "Nothing fires", "没有告警在触发")) } @else { (count(language, firing as u64, "alert fires", "alerts fire", "条告警触发中")) } }
            ul.card.rows.alerts {
                @for one in all.iter().take(MAX_LINES) { li {
                    @match one.alert.state {
                        AlertState::Firing => { (pill(language, Severity::from_rank(i64::from(one.alert.rank)))) }
                        AlertState::Resolved => { span.pill.ok { (crate::http::console::parts::icon("ok")) (say(language, "Resolved", "已恢复")) } }
                        AlertState::Unreported => { span.pill { (crate::http::console::parts::icon("stale")) (say(language, "Not reported", "不再上报")) } }
                    }
                    code { (shown(&place(one.body, shared))) }
                    @if let Some(value) = one.body.filter(|_| fires(one)).map(value).filter(|value| !value.is_empty()) { b.n { (shown(value)) } }
                    span.dim.s { (time::ago(manner, one.alert.start.filter(|_| fires(one)).unwrap_or(one.alert.changed_at))) }
                } }
                @if all.len() > MAX_LINES { li { span.dim { (say(language, "and ", "另有 ")) (all.len() - MAX_LINES) (say(language, " more", " 条")) } } }
            }
        }
    }
}

/// Whether it fires: its value and its beginning are those of the alarm.
fn fires(one: &Told<'_>) -> bool {
    one.alert.state == AlertState::Firing
}

fn value(alert: &Alert) -> &str {
    ["value", "current_value"].into_iter().map(|name| alert.annotation(name)).find(|value| !value.is_empty()).unwrap_or_default()
}

/// What distinguishes an alert from the others: its own labels.
fn place(body: Option<&Alert>, shared: &Labels) -> String {
    let Some(body) = body else { return String::new() };
    let rules = Shown::default();
    let own = body
        .labels
        .iter()
        .filter(|(name, _)| !shared.contains_key(*name) && *name != "alertname" && *name != "severity" && !rules.labels.hides(name));
    let parts: Vec<String> = own.take(6).map(|(_, value)| value.clone()).collect();
    if parts.is_empty() { body.name().to_owned() } else { parts.join(" · ") }
}

/// What people wrote about it, and where they point.
pub(super) fn words(viewer: &Viewer, all: &[Told<'_>]) -> Markup {
    let language = viewer.manner.language;
    let Some(lead) = all.iter().find_map(|one| one.body) else { return Markup::default() };
    let link_of = |names: &[&str], word: &str| names.iter().find_map(|name| link(lead.annotation(name), html! { (word) }));
    let links = [
        link_of(&["runbook_url", "runbook"], say(language, "Runbook", "处理手册")),
        link_of(&["dashboard_url", "dashboard"], say(language, "Dashboard", "仪表盘"))
            .or_else(|| link(&lead.dashboard_url, html! { (say(language, "Dashboard", "仪表盘")) })),
        link(&lead.panel_url, html! { (say(language, "Panel", "面板")) }),
        link(&lead.generator_url, html! { (say(language, "Source", "来源")) }),
        link(&lead.silence_url, html! { (say(language, "Silence there", "在来源静默")) }),
    ];
    let links: Vec<Markup> = links.into_iter().flatten().collect();
    let text = lead.annotation("description");
    html! {
        @if !text.is_empty() || !links.is_empty() {
            section.sec.card.pad {
                @for line in crate::http::console::parts::cut(text, 4000).lines() { p { (shown(line)) } }
                @if !links.is_empty() { div.acts.mt { @for link in links { (link) } } }
            }
        }
    }
}

/// The labels that all share.
pub(super) fn labels(viewer: &Viewer, shared: &Labels) -> Markup {
    html! {
        @if !shared.is_empty() {
            section.sec { h2 { (say(viewer.manner.language, "Labels all share", "共同标签")) } div.labs { @for (name, value) in shared { (label(name, value)) } } }
        }
    }
}
