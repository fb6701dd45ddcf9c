//! The page of a delivery: why did I get this, or not? The message as its platform shows it, the attempts, and what can be done.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, PreEscaped, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::failure::Failure;
use super::form::{Form, go};
use super::layout::Page as View;
use super::mail;
use super::manner::Manner;
use super::parts::{Look, answer, badge, icon, icon_of, id_chip, kind, plain, say, short_id, shown, time, timed, unit, worded};
use super::tester::tree;
use super::viewer::Viewer;
use crate::api::DeliveriesRequest;
use crate::delivery::mutes::Mutes;
use crate::delivery::{Plan, links};
use crate::http::api::deliveries::{delivered_elsewhere, drop_all, requeue};
use crate::http::api::next::next_action;
use crate::http::api::no_id;
use crate::http::explain::{absorbed_text, escalations_text, labels_text, mutes_text};
use crate::http::why::{was_routed, why_sent};
use crate::http::{App, Scope};
use crate::lookalike::{self, Reader};
use crate::model::{Alert, DeliveryId, ErrorKind, Language, Page, Severity, UnixMs};
use crate::route::Explanation;
use crate::store::{AttemptKind, AttemptRow, DeliveryDetail, IncidentState, State as DeliveryState, replayed_as};

/// Pages of a message that are shown.
const MAX_PAGES: usize = 5;
/// Routes of the tree that are shown for an alert, and alerts whose ways are compared.
const MAX_ROUTES: usize = 200;
const MAX_ALERTS: usize = 100;
/// Different ways that are shown.
const MAX_WAYS: usize = 3;

fn id_of(text: &str) -> Result<DeliveryId, Failure> {
    text.parse().map_err(|_| Failure::missing(no_id("delivery", text)))
}

async fn find(app: &App, viewer: &Viewer, id: DeliveryId) -> Result<DeliveryDetail, Failure> {
    let missing = || Failure::missing(format!("there is no delivery {id}; those past `retention` are removed"));
    let found = app.engine.query().get_delivery(id).await?.ok_or_else(missing)?;
    match viewer.caller.may_use(&found.row.channel) {
        true => Ok(found),
        false => Err(Failure::new(StatusCode::FORBIDDEN, format!("delivery {id} is not for the credential `{}`", viewer.caller.name))),
    }
}

/// A mail's own page, for the frame that shows it; its pages count from 1.
pub(super) async fn mail(State(app): State<Arc<App>>, Path((id, page)): Path<(String, usize)>, viewer: Viewer) -> Result<Response, Failure> {
    let id = id_of(&id)?;
    let _alone = app.engine.heavy().large_body().await;
    let mut found = find(&app, &viewer, id).await?;
    let plan = app.engine.plan();
    if !viewer.caller.may_everywhere(Scope::Operate) {
        links::without_acts(&plan, &mut found);
    }
    let message = found.message.filter(|message| message.platform == "email");
    let channel = message.as_ref().and_then(|message| plan.channel(&message.channel)).filter(|channel| channel.platform.name == "email");
    let shown = message.as_ref().and_then(|message| message.pages.get(page.checked_sub(1)?));
    match (channel, shown) {
        (Some(channel), Some(shown)) => Ok(mail::page(&channel.driver.body(shown))),
        _ => Err(Failure::missing(format!("delivery {id} has no mail {page}"))),
    }
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, Path(id): Path<String>, viewer: Viewer) -> Result<Response, Failure> {
    let id = id_of(&id)?;
    // Its event may be large: one in memory at a time.
    let alone = app.engine.heavy().large_body().await;
    let mut found = find(&app, &viewer, id).await?;
    let next = if found.row.state.is_final() { None } else { Some(next_action(&app, &found).await?) };
    let plan = app.engine.plan();
    if !viewer.caller.may_everywhere(Scope::Operate) {
        links::without_acts(&plan, &mut found);
    }
    let language = viewer.manner.language;
    let routed = routed(&viewer, &plan, &found);
    drop(alone);
    let why = why_sent(&app, &viewer.caller, language, &found).await?;
    let row = &found.row;
    let nobody = delivered_elsewhere(&app, &viewer.caller, row).await? == Some(false);
    let acts = acts(&viewer, &found);
    let body = html! {
        div.head { div {
            div.acts.ctr {
                (badge(language, row.state))
                span.dim { (say(language, "since ", "自 ")) (time::clock(&viewer.manner, row.done_at.unwrap_or(row.born_at))) }
                span.end { (id_chip(language, &id.to_string(), &short_id(&id.to_string()))) }
            }
            h1.ttl { (shown(&row.title)) " " span.dim { (say(language, "to ", "→ ")) (shown(&row.channel)) } }
            p { (verdict(&viewer, &found, nobody)) }
            @if let Some(why) = &why { p.lead { (timed(&viewer.manner, why)) } }
        } }
        @if let Some(acts) = &acts { div.sheet.wo { (acts) } }
        div.third {
            section.sec { h2 { (say(language, "As its readers see it", "收件人所见")) } (message(&viewer.manner, &plan, &found)) (in_playground(&viewer, &plan, &found)) }
            div {
                (attempts(&viewer.manner, &found))
                section.sec { h2 { (say(language, "Why here", "为何发到这里")) } div.card.pad { (routed) } }
                section.sec { h2 { (say(language, "What happens next", "接下来")) } div.card.pad { p { (next_of(&viewer, &found, next.as_deref())) } } }
                (belongs(&viewer, &found))
            }
        }
    };
    let back = Some(("/ui/history".to_owned(), say(language, "History", "历史").to_owned()));
    Ok(View { title: plain(&row.title), back, body, sheet: acts, ..View::default() }.of(&viewer))
}

/// What happens next; `None`: it is final.
fn next_of(viewer: &Viewer, found: &DeliveryDetail, next: Option<&str>) -> Markup {
    let language = viewer.manner.language;
    match (next, found.row.state) {
        (Some(next), _) => worded(&viewer.manner, next),
        (None, DeliveryState::Sent) => html! { (say(language, "Nothing: it was delivered.", "无：已送达。")) },
        (None, _) => html! { (say(language, "Nothing by itself. A retry or a move sends it after all.", "不会自动处理；重试或转移可再次发送。")) },
    }
}

/// Why somebody was notified of this, or not, in one sentence; `nobody`: nothing in its place was delivered.
fn verdict(viewer: &Viewer, found: &DeliveryDetail, nobody: bool) -> Markup {
    let language = viewer.manner.language;
    let row = &found.row;
    let instead = found.children.iter().find(|child| child.state == DeliveryState::Sent && viewer.caller.may_use(&child.channel));
    let reason = row.reason.clone().unwrap_or_default();
    let word = match row.state {
        DeliveryState::Sent => say(language, "The platform confirmed it.", "平台已确认。"),
        DeliveryState::Waiting => say(language, "It waits to be sent.", "等待发送。"),
        DeliveryState::Deferred => say(language, "It is held back for now.", "暂缓发送。"),
        DeliveryState::Dead => say(language, "It was not delivered.", "未送达。"),
        DeliveryState::Unknown => {
            say(language, "Nobody knows whether it was delivered; it is not repeated by itself.", "是否送达未知，不会自动重发。")
        }
        DeliveryState::Dropped => say(language, "Somebody dropped it.", "已被放弃。"),
        DeliveryState::Skipped => say(language, "It was not meant to be sent.", "无需发送。"),
        DeliveryState::Expired => say(language, "No slot came free in time.", "未能在期限内发送。"),
    };
    html! {
        (word) @if !reason.is_empty() { (say(language, " ", "")) (worded(&viewer.manner, &reason)) (say(language, ".", "。")) }
        @if let Some(child) = instead { " " b { (shown(&child.channel)) (say(language, " has it instead.", " 已代为送达。")) } }
        @else if let Some(id) = replayed_as(&reason) { " " a.l href={ "/ui/deliveries/" (id) } { (say(language, "What became of the retry", "重试的结果")) } (say(language, ".", "。")) }
        @else if nobody { " " b { (say(language, "No other channel has it.", "没有其他通道送达。")) } }
    }
}

/// What its platform shows of a message; its fields where the channel is gone.
fn message(manner: &Manner, plan: &Plan, found: &DeliveryDetail) -> Markup {
    let language = manner.language;
    let Some(message) = &found.message else { return html! { p.dim { (say(language, "No message was made of it yet.", "尚未生成消息。")) } } };
    let channel = plan.channel(&message.channel).filter(|channel| channel.platform.name == message.platform);
    let reader = Reader { now: manner.now, zone: manner.zone.clone() };
    let fields = |page: &Page| html! { dl.kv { @for (name, text) in page.fields.iter().filter(|(name, _)| *name != "html") { dt { (name) } dd { (shown(text)) } } } };
    html! {
        @for (number, page) in message.pages.iter().take(MAX_PAGES).enumerate() {
            @match channel {
                Some(channel) => {
                    // A mail has styles of its own, which the policy of this page refuses.
                    @let address = format!("/ui/deliveries/{}/mail/{}", found.row.id, number + 1);
                    div.phone { (look_alike(&lookalike::html(channel.client(), &channel.driver.body(page), &reader), Some(&address))) }
                    @let size = (channel.platform.measure)(page);
                    dl.sizes.mt { dt { (unit(language, size.unit)) } dd { (meter(size.used, size.max)) span.n { (size.used) (say(language, " of ", " / ")) (size.max) } } }
                }
                None => { div.card.pad { (fields(page)) } }
            }
            @if page.plain { p.dim.s { (say(language, "Sent as plain text.", "以纯文本发送。")) } }
        }
        @if message.pages.len() > MAX_PAGES { p.dim.s { "+" (message.pages.len() - MAX_PAGES) } }
        p.dim.s.mt { (kind(language, message.kind)) (say(language, ", ", "，")) (say(language, "template ", "模板 ")) (shown(&message.template)) @if message.members > 1 { (say(language, ", ", "，")) (message.members) (say(language, " deliveries in one message", " 条合并为一条消息")) } }
    }
}

/// What a client shows, without the colours that a body brings: the policy of pages allows no style of their own. `address` is where a mail's own page is.
pub(super) fn look_alike(html: &str, address: Option<&str>) -> Markup {
    const STYLE: &str = " style=\"--colour:";
    let html = mail::framed(html, address);
    let mut out = String::with_capacity(html.len());
    let mut rest = html.as_str();
    while let Some(at) = rest.find(STYLE) {
        out.push_str(&rest[..at]);
        rest = rest[at + STYLE.len()..].split_once('"').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    // Its texts are escaped by the writer; what turns their direction is not.
    PreEscaped(plain(&out))
}

fn meter(used: usize, max: usize) -> Markup {
    let share = (used * 100).checked_div(max).unwrap_or(0).min(100);
    let class = match share {
        _ if used > max => "bar over",
        80.. => "bar near",
        _ => "bar",
    };
    html! { svg class=(class) viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" { rect.bg width="100" height="6" {} rect.fg width=(share) height="6" {} } }
}

/// How an attempt ended: the word of the API; in Chinese what it means.
fn ended_as(language: Language, kind: Option<AttemptKind>) -> &'static str {
    let Some(kind) = kind else { return say(language, "in flight", "进行中") };
    let zh = match kind {
        AttemptKind::Ok => "成功",
        AttemptKind::Partial => "部分成功",
        AttemptKind::Unknown => "结果未知",
        AttemptKind::Failed(ErrorKind::Transient) => "暂时失败",
        AttemptKind::Failed(ErrorKind::RateLimited { .. }) => "被限速",
        AttemptKind::Failed(ErrorKind::Ambiguous) => "结果不明",
        AttemptKind::Failed(ErrorKind::Rejected) => "被拒收",
        AttemptKind::Failed(ErrorKind::Misconfigured) => "配置有误",
    };
    say(language, kind.as_str(), zh)
}

fn attempts(manner: &Manner, found: &DeliveryDetail) -> Markup {
    let language = manner.language;
    let mut all: Vec<&AttemptRow> = found.earlier.iter().chain(found.message.iter().flat_map(|message| &message.attempts)).collect();
    all.sort_by_key(|attempt| std::cmp::Reverse(attempt.begun_at));
    html! {
        section.sec { h2 { (say(language, "Attempts", "尝试")) " " span.dim { (all.len()) } }
            @if all.is_empty() { p.dim { (say(language, "None yet.", "尚无。")) } } @else { ol.tl.card { @for attempt in all.iter().take(50) {
                @let (class, name) = match attempt.kind { None => ("warn", "clock"), Some(AttemptKind::Ok) => ("ok", "ok"), Some(AttemptKind::Unknown | AttemptKind::Partial) => ("warn", "ask"), Some(AttemptKind::Failed(_)) => ("crit", "x") };
                @let (word, code) = (ended_as(language, attempt.kind), attempt.code.as_deref().unwrap_or_default());
                li { span.d.(class) { (icon(name)) } div {
                    div.h { div { b { (word) } @if !code.is_empty() && code != "ok" { " " (shown(code)) } } (time::clock(manner, attempt.begun_at)) }
                    p.x { (say(language, "page ", "第 ")) (attempt.page + 1) (say(language, "", " 页")) @if let Some(ended) = attempt.ended_at { " · " (ended - attempt.begun_at) " ms" } }
                    (answer(language, attempt.answer.as_deref().unwrap_or_default()))
                } }
            } @if all.len() > 50 { li { span.d {} div { p.x { "+" (all.len() - 50) } } } } } }
        }
    }
}

/// The link to the playground with its template and its event.
fn in_playground(viewer: &Viewer, plan: &Plan, found: &DeliveryDetail) -> Markup {
    let language = viewer.manner.language;
    let channel = plan.channel(&found.row.channel).filter(|channel| !channel.platform.fields.is_empty() && !viewer.caller.is_limited());
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    html! {
        @if let Some(channel) = channel {
            @let set = found.message.as_ref().filter(|message| message.platform == channel.platform.name).map(|message| encoded(&message.template)).unwrap_or_default();
            p.mt { a.l href={ "/ui/templates?channel=" (encoded(&channel.name)) "&set=" (set) "&event=" (found.event.id) } { (say(language, "Open in the template playground", "在模板试验中打开")) } }
        }
    }
}

/// How it came to this channel: the routes that its alerts tried, each different way once.
fn routed(viewer: &Viewer, plan: &Plan, found: &DeliveryDetail) -> Markup {
    let language = viewer.manner.language;
    let (at, shows) = (found.event.received_at.timestamp(), was_routed(found) && !viewer.caller.is_limited());
    let mut ways: Vec<(usize, Explanation, &Alert)> = Vec::new();
    let (mut absorbed, mutes) = (None, Mutes::of(&plan.tree));
    let alerts = found.target.alerts.iter().filter(|_| shows).take(MAX_ALERTS);
    for alert in alerts.filter_map(|place| found.event.event.alerts.get(*place as usize)) {
        if let Some(heartbeat) = plan.absorbed(&alert.labels) {
            absorbed = Some(absorbed_text(heartbeat));
            continue;
        }
        let way = plan.tree.explain(&alert.labels, at);
        match ways.iter_mut().find(|(_, known, _)| known.steps == way.steps) {
            Some((count, ..)) => *count += 1,
            None => ways.push((1, way, alert)),
        }
    }
    let fallback = plan.sending_fallbacks(&found.target.fallback).join(", ");
    html! {
        p { (say(language, "Route ", "路由 ")) code { (shown(&found.target.route)) } @if !fallback.is_empty() { (say(language, "; if it dies: ", "；失败时转至：")) (shown(&fallback)) } }
        @if shows && *found.event.plan != *plan.hash { p.dim.s { (say(language, "The configuration has changed since; this is how it is routed now.", "配置已变更；以下为当前的路由结果。")) } }
        @if let Some(absorbed) = &absorbed { p.dim.s { (worded(&viewer.manner, absorbed)) } }
        @for (alerts, way, alert) in ways.iter().take(MAX_WAYS) {
            @if ways.len() > 1 { p.mt { b { (shown(alert.name())) } @if *alerts > 1 { span.dim { " +" (alerts - 1) } } } }
            @let routes = way.steps.len().min(MAX_ROUTES);
            ul.tree { (tree(language, way, &way.steps[..routes])) }
            @if way.steps.len() > routes { p.dim.s { "+" (way.steps.len() - routes) (say(language, " routes", " 条路由")) } }
            @for line in labels_text(plan, way, &alert.labels).lines().chain(mutes_text(&mutes, way, &alert.labels).lines()).chain(escalations_text(plan, way, &alert.labels, viewer.manner.language).lines()) { p.dim.s { (worded(&viewer.manner, line)) } }
        }
        @if ways.len() > MAX_WAYS { p.dim.s { "+" (ways.len() - MAX_WAYS) (say(language, " other ways", " 种其他路径")) } }
    }
}

fn belongs(viewer: &Viewer, found: &DeliveryDetail) -> Markup {
    let language = viewer.manner.language;
    html! {
        section.sec { h2 { (say(language, "Belongs to", "所属")) } ul.card.rows {
            @if let Some(incident) = found.row.incident.filter(|_| !viewer.caller.is_limited()) { li { (icon("alert")) a href={ "/ui/incidents/" (incident) } { b { "#" (incident) } } span.dim.s.end { (say(language, "incident", "事件")) } } }
            li { (icon("in")) span { (shown(&found.event.event.source)) } span.dim.s.end { (time::clock(&viewer.manner, found.event.received_at)) } }
            @if let Some(origin) = found.row.fallback_of { li { (icon("swap")) a href={ "/ui/deliveries/" (origin) } { (say(language, "in place of another channel's", "替代另一通道的投递")) } } }
            @for child in found.children.iter().filter(|child| viewer.caller.may_use(&child.channel)) { li { (icon_of("swap", "")) a href={ "/ui/deliveries/" (child.id) } { (shown(&child.channel)) } span.end { (badge(language, child.state)) } } }
        } }
    }
}

/// What fits the state of a delivery.
fn acts(viewer: &Viewer, found: &DeliveryDetail) -> Option<Markup> {
    let language = viewer.manner.language;
    let (id, state) = (found.row.id, found.row.state);
    if !viewer.operates || state == DeliveryState::Sent {
        return None;
    }
    let path = format!("/ui/deliveries/{id}");
    let droppable = matches!(state, DeliveryState::Waiting | DeliveryState::Deferred | DeliveryState::Dead);
    Some(html! {
        form method="post" action={ (path) "/retry" } { button.b.p data-key="a" { (icon("retry")) @if state.is_final() { (say(language, "Retry", "重试")) } @else { (say(language, "Send now", "立即发送")) } } }
        a.b href={ (path) "/confirm/move" } { (icon("arrow")) (say(language, "Move…", "转移…")) }
        @if droppable { a.b.d href={ (path) "/confirm/drop" } { (say(language, "Drop…", "放弃…")) } }
    })
}

/// Asks where to, or why.
pub(super) async fn confirm(State(app): State<Arc<App>>, Path((id, act)): Path<(String, String)>, viewer: Viewer) -> Result<Response, Failure> {
    viewer.may_operate()?;
    let id = id_of(&id)?;
    let found = find(&app, &viewer, id).await?;
    let language = viewer.manner.language;
    let plan = app.engine.plan();
    let path = format!("/ui/deliveries/{id}");
    let (title, inside) = match act.as_str() {
        "move" => (
            say(language, "Move to another channel", "转移到其他通道"),
            html! {
                p { (say(language, "A new delivery of the same alerts is made there; this one keeps its end, or is dropped if it still waits.", "在目标通道新建相同告警的投递；原投递保持终态，若仍在等待则放弃。")) }
                label.f { span { (say(language, "Channel", "通道")) } select.in name="to" required { @for name in plan.channels.keys().filter(|name| viewer.caller.may_use(name) && **name != found.row.channel) { option { (name) } } } }
            },
        ),
        "drop" => (
            say(language, "Drop", "放弃"),
            html! {
                p { (say(language, "It is not sent any more. Its alerts stay in their incident, and its reason is shown.", "不再发送；告警仍保留在事件中，并显示原因。")) }
                label.f { span { (say(language, "Why", "原因")) } input.in name="reason" required maxlength="500"; }
            },
        ),
        _ => return Err(Failure::missing("a delivery is retried, moved or dropped")),
    };
    let body = html! {
        div.head { div { h1 { (title) } p { (shown(&found.row.title)) (say(language, ", ", "，")) (shown(&found.row.channel)) } } }
        form.conf.grid method="post" action={ (path) "/" (act) } { (inside) div.acts { button class=(if act == "drop" { "b d" } else { "b p" }) { (title) } a.b.g href=(path) { (say(language, "Cancel", "取消")) } } }
    };
    Ok(View { title: title.into(), back: Some((path, short_id(&id.to_string()))), body, ..View::default() }.of(&viewer))
}

/// Retries, moves or drops it.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    Path((id, act)): Path<(String, String)>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    let id = id_of(&id)?;
    let (reason, to) = (form.fields.get("reason"), form.fields.get("to"));
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let request = DeliveriesRequest { ids: vec![id], reason: some(reason), to: some(to) };
    let caller = &form.viewer.caller;
    let leads_to = match act.as_str() {
        "retry" => requeue(&app, caller, &DeliveriesRequest { to: None, ..request }).await?.deliveries,
        "move" if request.to.is_some() => requeue(&app, caller, &request).await?.deliveries,
        "move" => return Err(Failure::bad("`to` names the channel to move to")),
        "drop" => {
            drop_all(&app, caller, &request).await?;
            Vec::new()
        }
        _ => return Err(Failure::missing("a delivery is retried, moved or dropped")),
    };
    let shows = leads_to.first().map_or(id, |made| made.id);
    Ok(go(&headers, &format!("/ui/deliveries/{shows}")))
}

/// A line of a list of deliveries.
pub(super) fn line(viewer: &Viewer, row: &crate::store::DeliveryRow) -> Markup {
    let language = viewer.manner.language;
    // What is only resolved has the rank of no alert of it.
    let is_over = row.firing == 0 && row.resolved > 0;
    let look = if is_over { Look::from(IncidentState::Resolved) } else { Look::of_severity(Severity::from_rank(row.rank)) };
    let reason = row.reason.as_deref().unwrap_or_default();
    html! {
        tr data-row {
            td.nw { @if !row.state.is_final() && row.born_at > UnixMs::from(viewer.manner.now) { (time::coming(&viewer.manner, row.born_at)) } @else { (time::clock(&viewer.manner, row.done_at.map_or(row.born_at, |done| done.min(row.born_at)))) } }
            td { div.tt.(look.class) { (icon(look.icon)) span.vh { (say(language, look.en, look.zh)) } a.c1 href={ "/ui/deliveries/" (row.id) } title=(plain(&row.title)) { (shown(&row.title)) } }
                div.dim.s.c1 { @if is_over { (say(language, "resolved", "已恢复")) @if !reason.is_empty() { (say(language, ": ", "：")) } } (worded(&viewer.manner, reason)) } }
            td.ch { a.l href={ "/ui/history?channel=" (utf8_percent_encode(&row.channel, NON_ALPHANUMERIC)) } { (shown(&row.channel)) } }
            td.stt { (badge(language, row.state)) }
            td.r.off { (row.tries) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_alike_brings_no_style_and_turns_no_text() {
        let html = r#"<div class="card" style="--colour:#f54a45"><p>a style=&quot;--colour: b"#.to_owned() + "\u{202E}</p></div>";
        let made = look_alike(&html, None).into_string();
        assert_eq!(made, r#"<div class="card"><p>a style=&quot;--colour: b[U+202E]</p></div>"#);
    }
}
