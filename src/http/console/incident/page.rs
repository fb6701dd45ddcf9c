//! The page of an incident: what it is, who knows, what comes next.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

use super::forms::{Way, escalates, menu, snoozes};
use super::row::{first, muted, who};
use super::{Known, alerts, events, read, timeline};
use crate::http::App;
use crate::http::api::incidents::attempts;
use crate::http::api::no_id;
use crate::http::console::failure::Failure;
use crate::http::console::layout::Page;
use crate::http::console::parts::{badge, icon, id_chip, pill, say, shown, time, worded};
use crate::http::console::viewer::Viewer;
use crate::model::{EventId, IncidentId, UnixMs};
use crate::store::{DeliveryRow, Incident, IncidentDetail, SilenceState, State as DeliveryState};
use crate::template;

/// Events whose bodies are read.
const MAX_EVENTS: usize = 50;

/// The page.
pub(in super::super) async fn page(State(app): State<Arc<App>>, Path(id): Path<String>, viewer: Viewer) -> Result<Response, Failure> {
    viewer.sees_all()?;
    let id: IncidentId = id.trim_start_matches('#').parse().map_err(|_| Failure::missing(no_id("incident", &id)))?;
    let missing = || Failure::missing(format!("there is no incident #{id}; those past `retention` are removed"));
    let found = app.engine.query().get_incident(id).await?.ok_or_else(missing)?;
    let known = read(&app, vec![found.incident.clone()]).await?.pop().ok_or_else(missing)?;
    let mut ids: Vec<EventId> = found.incident.alerts.iter().map(|alert| alert.event).collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids.dedup();
    ids.truncate(MAX_EVENTS);
    let bodies = events(&app, &ids).await?;
    let attempts = attempts(&app, &viewer.caller, &found).await?;
    let all = alerts::of(&found.incident, &bodies);
    let plan = app.engine.plan();
    let shared = alerts::shared(&all, &plan.messages.shown);
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let acts = acts(&viewer, &known);
    let body = html! {
        div.head { div {
            div.acts.ctr {
                (pill(language, known.severity())) (who(&viewer, &known))
                span.dim {
                    @match found.incident.ended_at.filter(|_| !found.incident.state.is_open()) {
                        Some(at) => { (say(language, "lasted ", "持续 ")) (time::span(language, at - known.since())) (say(language, ", ended ", "，结束于 ")) (time::clock(manner, at)) }
                        None => { (say(language, "open for ", "已持续 ")) (time::ago(manner, known.since())) }
                    }
                }
                span.end { (id_chip(language, &format!("#{id}"), &format!("#{id}"))) }
            }
            h1.ttl { (shown(&found.incident.title)) }
            @if !known.sentence().is_empty() { p.lead { (shown(known.sentence())) } }
        } }
        @if known.muted.is_some() && found.incident.state.is_open() && found.incident.acks.mute.is_none() { p.lead { (icon("mute")) " " (muted(&viewer, &known)) " " a.l href="/ui/mutes" { (say(language, "Mutes", "静音")) } } }
        (silence(&viewer, &found.incident))
        @if let Some(muted) = mute(&viewer, &found.incident) { (muted) }
        @if let Some(acts) = &acts { div.sheet.wo { (acts) } }
        div.two-col.gap {
            div { (alerts::words(&viewer, &all)) (alerts::list(&viewer, &all, &shared)) (timeline::list(&viewer, &plan, &found, &attempts)) }
            aside { (notified(&viewer, &found)) (alerts::labels(&viewer, &shared)) }
        }
    };
    let title = format!("#{id} {}", crate::http::console::parts::plain(&found.incident.title));
    let back = Some(("/ui".to_owned(), say(language, "Now", "当前").to_owned()));
    Ok(Page { title, back, body, sheet: acts, ..Page::default() }.of(&viewer))
}

/// What is known of its silence.
fn silence(viewer: &Viewer, incident: &Incident) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let Some(silence) = &incident.acks.silence else { return Markup::default() };
    let word = match silence.state {
        SilenceState::Active => say(language, "Silenced in Alertmanager until ", "已在 Alertmanager 静默至 "),
        SilenceState::Ending => say(
            language,
            "The silence in Alertmanager is to end, and this is not confirmed yet; it was to last until ",
            "正在结束 Alertmanager 的静默，尚未确认；原定至 ",
        ),
        _ => say(language, "Alertmanager was asked for a silence and has not confirmed it; until ", "已请求 Alertmanager 静默，尚未确认；至 "),
    };
    html! {
        p.lead {
            (icon("moon")) " " (word) (time::clock(manner, silence.until)) (say(language, ", by ", "，")) (shown(template::who(language, &silence.by.name)))
            @if !silence.reason.is_empty() { (say(language, ": ", "：")) (worded(manner, &silence.reason)) }
        }
    }
}

/// The mute that somebody made from a message of it.
fn mute(viewer: &Viewer, incident: &Incident) -> Option<Markup> {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let mute = incident.acks.mute.as_ref().filter(|_| incident.state.is_open())?;
    Some(html! {
        p.lead {
            (icon("mute")) " " a href="/ui/mutes" { (say(language, "Muted until ", "已静音至 ")) } (time::clock(manner, mute.until))
            (say(language, ", by ", "，")) (shown(template::who(language, &mute.by))) (say(language, ": ", "：")) code { (shown(&mute.matchers)) }
        }
    })
}

fn acts(viewer: &Viewer, known: &Known) -> Option<Markup> {
    let id = known.incident.id;
    let language = viewer.manner.language;
    (viewer.operates && known.incident.state.is_open()).then(|| {
        html! {
            (first(viewer, known, Way::Page))
            details.menu { summary.b data-key="s" { (icon("moon")) span.w { (say(language, "Snooze", "暂缓")) } } div.pop { (snoozes(viewer, id, Way::Page)) } }
            @if let Some(escalates) = escalates(viewer, known, Way::Page) { details.menu { summary.b.up data-key="e" { (icon("up")) span.w { (say(language, "Escalate", "升级")) } } div.pop { (escalates) } } }
            (menu(viewer, known, Way::Page))
        }
    })
}

/// The newest delivery of each channel that says more than the anchors: of a channel without one, or what was not sent. What is still to come, and what
/// was not meant to be sent, notified nobody.
fn others(found: &IncidentDetail, now: UnixMs) -> Vec<&DeliveryRow> {
    let came = |row: &&DeliveryRow| match row.state {
        DeliveryState::Skipped | DeliveryState::Dropped => false,
        state => state.is_final() || row.due_at <= now,
    };
    // They are the oldest first.
    let newest: BTreeMap<&str, &DeliveryRow> = found.deliveries.iter().filter(came).map(|row| (row.channel.as_str(), row)).collect();
    let known = |row: &&DeliveryRow| row.state == DeliveryState::Sent && found.anchors.iter().any(|anchor| anchor.channel == row.channel);
    newest.into_values().filter(|row| !known(row)).collect()
}

/// Which channels know of it.
fn notified(viewer: &Viewer, found: &IncidentDetail) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let others = others(found, manner.now.into());
    html! {
        section.sec { h2 { (say(language, "Who was notified", "已通知")) }
            ul.card.rows {
                @if found.anchors.is_empty() && others.is_empty() { li { span.dim { (say(language, "Nobody yet.", "尚无。")) } } }
                @for anchor in &found.anchors { li {
                    b { (shown(&anchor.channel)) }
                    span.dim.s { (shown(&anchor.recipient.masked())) }
                    span.dim.s.end { (time::clock(manner, if anchor.rang.at.0 > 0 { anchor.rang.at } else { anchor.notified_at })) }
                } }
                @for row in &others { li {
                    a href={ "/ui/deliveries/" (row.id) } { b { (shown(&row.channel)) } } (badge(language, row.state))
                    span.dim.s.end { (time::clock(manner, row.done_at.unwrap_or(row.born_at))) }
                } }
            }
        }
    }
}
