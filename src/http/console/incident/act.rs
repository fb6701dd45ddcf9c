//! What forms do about an incident.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::forms::{Way, press};
use super::{read, row};
use crate::http::App;
use crate::http::api::incidents::act_on;
use crate::http::api::no_id;
use crate::http::console::acts;
use crate::http::console::failure::Failure;
use crate::http::console::form::{Fields, Form, back, go};
use crate::http::console::layout::fragment;
use crate::http::console::parts::{icon, say, shown};
use crate::http::console::viewer::Viewer;
use crate::model::{IncidentId, UnixMs, Verb, parse_duration};

/// Does it.
pub(in super::super) async fn act(
    State(app): State<Arc<App>>,
    Path((id, verb)): Path<(String, String)>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    let Form { viewer, fields, .. } = form;
    let id: IncidentId = id.parse().map_err(|_| Failure::missing(no_id("incident", &id)))?;
    // What holds back more than this incident is made and ended on the page of mutes.
    let verb = Verb::parse(&verb).filter(|verb| !matches!(verb, Verb::Mute | Verb::Unmute));
    let verb = verb.ok_or_else(|| Failure::missing("an incident is acked, unacked, snoozed, silenced, escalated or closed"))?;
    let span = match verb {
        Verb::Snooze => snoozed_for(&viewer, &fields)?,
        Verb::Silence => parse_duration(fields.get("for")).map_err(|error| Failure::bad(format!("`for`: {error}")))?,
        _ => Duration::ZERO,
    };
    let done = act_on(&app, &viewer.caller, id, verb, span, None).await?;
    if !headers.contains_key("hx-request") {
        return Ok(go(&headers, back(fields.get("back"))));
    }
    let found = app.engine.query().get_incident(id).await?.ok_or_else(|| Failure::missing("this incident is not stored any more"))?;
    let known = read(&app, vec![found.incident]).await?;
    let undo = match verb {
        Verb::Ack | Verb::Snooze => Some(undo(&viewer, id, Verb::Unack)),
        Verb::Silence => Some(undo(&viewer, id, Verb::Unsilence)),
        _ => None,
    };
    Ok(fragment(html! {
        @for one in &known { (row(&viewer, one)) }
        div hx-swap-oob="beforeend:.toasts" { div.toast { (icon("check")) span { (shown(&acts::outcome(viewer.manner.language, &done.text))) } @if let Some(undo) = undo { (undo) } } }
    }))
}

/// For how long: so long, or until the time that the button showed, however old the page is.
fn snoozed_for(viewer: &Viewer, fields: &Fields) -> Result<Duration, Failure> {
    let now = UnixMs::from(viewer.manner.now);
    match fields.get("until") {
        "" => parse_duration(fields.get("for")).map_err(|error| Failure::bad(format!("`for`: {error}"))),
        text => {
            let at: Timestamp = text.parse().map_err(|_| Failure::bad("`until` takes a time, as 2026-11-28T09:00:00+08:00"))?;
            let left = UnixMs::from(at).since(now);
            let passed = || Failure::new(StatusCode::CONFLICT, "the time that the button showed has passed; look at the page again");
            if left.is_zero() { Err(passed()) } else { Ok(left) }
        }
    }
}

fn undo(viewer: &Viewer, id: IncidentId, verb: Verb) -> Markup {
    press(id, verb, Way::Row, html! { button { (say(viewer.manner.language, "Undo", "撤销")) } })
}

/// Asks before an incident is closed.
pub(in super::super) async fn confirm_close(State(app): State<Arc<App>>, Path(id): Path<String>, viewer: Viewer) -> Result<Response, Failure> {
    viewer.may_operate()?;
    viewer.sees_all()?;
    let id: IncidentId = id.parse().map_err(|_| Failure::missing(no_id("incident", &id)))?;
    let found = app.engine.query().get_incident(id).await?.ok_or_else(|| Failure::missing("this incident is not stored any more"))?;
    if !found.incident.state.is_open() {
        return Err(Failure::new(StatusCode::CONFLICT, "this incident is over already"));
    }
    let language = viewer.manner.language;
    let body = html! {
        div.head { div { h1 { (say(language, "Close #", "关闭 #")) (id) (say(language, "?", "？")) } p { (shown(&found.incident.title)) } } }
        div.conf {
            p { (say(
                language,
                "It ends here, whatever its sender says. Its messages show that it was closed. It opens again when something new of it fires, and after the time that the configuration sets.",
                "事件在此结束，无论发送方怎么说；消息中会注明已关闭。有新的告警触发，或超过配置的时间后，会重新打开。",
            )) }
            (press(id, Verb::Close, Way::Page, html! { div.acts { button.b.d { (say(language, "Close #", "关闭 #")) (id) } a.b.g href={ "/ui/incidents/" (id) } { (say(language, "Cancel", "取消")) } } }))
        }
    };
    let back = Some((format!("/ui/incidents/{id}"), format!("#{id}")));
    let title = format!("{} #{id}", say(language, "Close", "关闭"));
    Ok(crate::http::console::layout::Page { title, body, back, ..Default::default() }.of(&viewer))
}
