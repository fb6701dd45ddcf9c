//! Acks many incidents in one act, after it was asked which ones.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::html;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Known, MAX_OPEN, leads, most_urgent};
use crate::http::App;
use crate::http::api::incidents::act_on_all;
use crate::http::console::failure::Failure;
use crate::http::console::form::{Fields, Form, go};
use crate::http::console::layout::{Page, Place};
use crate::http::console::parts::{count, label, mark, say, shown, time};
use crate::http::console::viewer::Viewer;
use crate::model::{IncidentId, Verb};
use crate::store::IncidentState;

/// Incidents that are acked at once.
const MAX_ACKED: usize = 500;
/// Names that are shown at once; the others are folded away.
const MAX_NAMED: usize = 50;

/// Whether nobody is on it, and it has this value of a label; an empty one for those without that label, an empty label for all. One whose labels were not
/// read has no value.
pub(in super::super) fn is_meant(one: &Known, by: &str, value: &str) -> bool {
    let has = || one.labels().is_some_and(|labels| labels.get(by).map_or("", String::as_str) == value);
    one.incident.state == IncidentState::Firing && (by.is_empty() || has())
}

/// Where it is asked.
pub(in super::super) fn path(by: &str, value: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    if by.is_empty() { "/ui/ack".into() } else { format!("/ui/ack?by={}&value={}", encoded(by), encoded(value)) }
}

/// Asks, and lists them.
pub(in super::super) async fn confirm(State(app): State<Arc<App>>, viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    viewer.may_operate()?;
    viewer.sees_all()?;
    let fields = Fields::read(query.as_deref().unwrap_or_default());
    let (by, value) = (fields.get("by"), fields.whole("value"));
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let mut known = leads(&app, most_urgent(&app).await?).await?;
    let among = known.iter().filter(|one| by.is_empty() || one.lead.is_some()).count();
    let is_cut = known.len() == MAX_OPEN || among < known.len();
    known.retain(|one| is_meant(one, by, value));
    known.sort_by_key(|one| (one.incident.rank, one.incident.opened_at));
    known.truncate(MAX_ACKED);
    let n = known.len();
    let what = count(language, n as u64, "incident", "incidents", "个事件");
    let ids: Vec<String> = known.iter().map(|one| one.incident.id.to_string()).collect();
    let line = |one: &Known| {
        html! { li { (mark(language, one.severity())) a.c1 href={ "/ui/incidents/" (one.incident.id) } { b { (shown(&one.incident.title)) } } span.dim.s { "#" (one.incident.id) } span.dim.s.end { (time::ago(manner, one.since())) } } }
    };
    let (first, rest) = known.split_at(n.min(MAX_NAMED));
    let body = html! {
        div.head { div {
            h1 { @if n == 0 && is_cut { (say(language, "Nothing found to ack", "未找到待认领的事件")) } @else if n == 0 { (say(language, "Nothing to ack", "没有待认领的事件")) } @else { (say(language, "Ack ", "认领 ")) (what) (say(language, "?", "？")) } }
            @if !by.is_empty() { p { (label(by, value)) } }
        } }
        @if n == 0 { div.card.pad { p { @if is_cut { (say(language, "Only the ", "只查看了最紧急的 ")) (among) (say(language, " most urgent were looked at. The others are in History.", " 个，其他在「历史」中。")) } @else { (say(language, "Somebody is on each of them by now, or they are over.", "它们均已有人处理，或已结束。")) } } div.acts.mt { a.b.p href="/ui" { (say(language, "Now", "当前")) } } } } @else {
            form.conf method="post" action="/ui/ack" {
                p { (say(language, "All of them are yours then: their escalations stop, and their messages say so. What joins one of them later rings again.", "它们将全部由你负责：升级停止，消息中会注明由你处理。之后新增的告警会再次通知。")) }
                @if is_cut { p.dim { (say(language, "They are among the ", "仅限最紧急的 ")) (among) (say(language, " most urgent; what is open besides is not acked with them.", " 个；其他未结事件不会一并认领。")) } }
                input type="hidden" name="ids" value=(ids.join(","));
                div.acts { button.b.p data-key="a" { (say(language, "Ack ", "认领 ")) (n) } a.b.g href="/ui" { (say(language, "Cancel", "取消")) } }
            }
            ul.card.rows.mt { @for one in first { (line(one)) } }
            @if !rest.is_empty() { details.mt { summary { (rest.len()) (say(language, " more", " 个更多")) } ul.card.rows.mt { @for one in rest { (line(one)) } } } }
        }
    };
    let back = Some(("/ui".to_owned(), say(language, "Now", "当前").to_owned()));
    Ok(Page { title: say(language, "Ack", "认领").into(), at: Place::Now, back, body, ..Page::default() }.of(&viewer))
}

/// Acks those that were listed.
pub(in super::super) async fn ack(State(app): State<Arc<App>>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    let ids: Result<Vec<IncidentId>, _> = form.fields.get("ids").split(',').map(|id| id.parse().map(IncidentId)).collect();
    let ids = ids
        .ok()
        .filter(|ids| ids.len() <= MAX_ACKED)
        .ok_or_else(|| Failure::bad(format!("`ids` takes numbers of incidents, {MAX_ACKED} at most")))?;
    act_on_all(&app, &form.viewer.caller, &ids, Verb::Ack, Duration::ZERO, None).await.map_err(|error| match Failure::from(error) {
        Failure::Answer(StatusCode::CONFLICT, why) => Failure::new(StatusCode::CONFLICT, format!("{why} Somebody may have been faster.")),
        other => other,
    })?;
    Ok(go(&headers, "/ui"))
}
