//! `/-/healthy`, `/-/ready`, `/-/reload`, `/metrics`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::diff::{Line, diff};
use super::senders::RefusedSender;
use super::{App, Caller, HttpError, Scope, Unread, authenticate};
use crate::config::line_in_file;
use crate::delivery::{AuditAct, Intent};
use crate::metrics::Format;
use crate::store::{AuditState, Author};

/// The process runs.
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// It takes and records alerts: 200, else 503 with the reasons. A failed reload is reported but does not make it unready: the old plan works.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    let mut why = Vec::new();
    if app.stopping.load(Ordering::Acquire) {
        why.push("stopping".to_owned());
    }
    if !app.engine.store_works() {
        why.push("the store does not work; see the log".to_owned());
    }
    why.extend(app.engine.stalled());
    if let Err(error) = app.engine.ensure_capacity() {
        why.push(error.to_string());
    }
    let note = app
        .reload_state
        .load()
        .as_ref()
        .clone()
        .map(|n| format!("note: the last reload failed; the previous configuration is active:{n}\n"))
        .unwrap_or_default();
    let unread = app.unread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let note = match unread {
        Some(Unread { count, at }) => {
            let what = if count == 1 { "1 body was no alert and was".to_owned() } else { format!("{count} bodies were no alerts and were") };
            format!("{note}note: {what} delivered as text since the start, the last one at {at}; the log says why each was not understood\n")
        }
        None => note,
    };
    let note = note + &unheard(&app) + &orphaned(&app) + &limited(&app);
    if why.is_empty() {
        return (StatusCode::OK, format!("ready\n{note}")).into_response();
    }
    let mut response = HttpError::unavailable(format!("not ready: {}", why.join("; "))).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

/// The channels whose buttons do not work: alerts are taken and delivered anyway.
fn unheard(app: &App) -> String {
    let plan = app.engine.plan();
    let lost = plan.channels.keys().filter_map(|name| Some((name, app.engine.listener_state(name).filter(|state| !state.connected)?)));
    lost.map(|(name, state)| {
        let why = state.error.unwrap_or_else(|| "the connection for them is being opened".to_owned());
        format!("note: presses of buttons of channel {name} do not arrive: {why}\n")
    })
    .collect()
}

/// Channels that are listed.
const MAX_ORPHANED: usize = 5;

/// What waits for channels that the configuration no longer has.
fn orphaned(app: &App) -> String {
    let line = |(channel, count): (String, u64)| {
        let what = if count == 1 { "1 delivery waits".to_owned() } else { format!("{count} deliveries wait") };
        format!(
            "note: {what} for channel {channel}, which the configuration no longer has; \
             name it in `previous_names` of its successor, or move them with `watchfire queue move`\n"
        )
    };
    app.engine.orphaned().into_iter().take(MAX_ORPHANED).map(line).collect()
}

/// Senders that are listed.
const MAX_LIMITED: usize = 5;

/// The senders that were refused for sending too much.
fn limited(app: &App) -> String {
    let mut refused: Vec<_> = app.senders.refused().into_iter().collect();
    refused.sort_by_key(|(_, refused)| std::cmp::Reverse(refused.at));
    let line = |(sender, refused): (String, RefusedSender)| {
        let (count, at) = (refused.count, refused.at);
        format!(
            "note: {count} requests of the sender {sender} were refused since the start, the last one at {at}: more than server.limits.per_sender in a minute\n"
        )
    };
    refused.into_iter().take(MAX_LIMITED).map(line).collect()
}

/// Reloads the configuration; an invalid one is rejected and changes nothing.
pub(super) async fn reload(State(app): State<Arc<App>>, request: Request) -> Result<String, Response> {
    let admitted = authenticate(&app, Scope::Admin, request).await.map_err(IntoResponse::into_response)?;
    let before = app.running.load_full();
    reload_by(&app, admitted.caller.author).await.map_err(|why| match why {
        NotReloaded::Http(error) => error.into_response(),
        NotReloaded::Report(report) => {
            // The whole report, as `check` writes it: it is for the operator, and its secrets are starred out.
            let text = format!("not reloaded, the previous configuration stays active\n{report}");
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
        }
    })?;
    let after = app.running.load_full();
    let warnings: String = after.warnings.iter().map(|line| format!("{line}\n")).collect();
    let changed = changed(&before.lines, &after.lines);
    Ok(format!("reloaded\n{changed}{warnings}"))
}

/// The lines that a reload changed, with their numbers; secrets are starred out in them, so that a changed one does not show.
fn changed(before: &[String], after: &[String]) -> String {
    let mut out = String::new();
    for line in diff(before, after, 0) {
        match line {
            Line::Old(number, text) => out.push_str(&format!("- {}: {text}\n", line_in_file(before, number))),
            Line::New(number, text) => out.push_str(&format!("+ {}: {text}\n", line_in_file(after, number))),
            Line::Both(_) | Line::Gap(_) => {}
        }
    }
    if out.is_empty() { "no shown line changed; secrets, certificates and templates were read again\n".to_owned() } else { out }
}

/// Why the configuration was not reloaded.
pub(super) enum NotReloaded {
    /// It was not tried, or panicked.
    Http(HttpError),
    /// What is wrong with it.
    Report(String),
}

/// Reloads, and records who asked for it.
pub(super) async fn reload_by(app: &Arc<App>, by: Author) -> Result<(), NotReloaded> {
    let intent = Intent { by, act: AuditAct::Reload, on: "the configuration".into(), reason: String::new() };
    let act = app.engine.begin_audit(intent).await.map_err(|error| NotReloaded::Http(error.into()))?;
    // A client that leaves does not cut it off half way.
    let (reload, app) = (app.reload.clone(), app.clone());
    let work = async move {
        let reloaded = tokio::spawn(reload()).await;
        let (state, outcome) = match &reloaded {
            Ok(Ok(())) => (AuditState::Done, "reloaded"),
            Ok(Err(_)) => (AuditState::Refused, "the configuration has mistakes; the previous one stays active"),
            Err(_) => (AuditState::Failed, "the reload panicked; the previous configuration stays active"),
        };
        app.engine.end_audit(act, state, outcome).await;
        reloaded
    };
    let panicked =
        || HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "the reload panicked; the previous configuration stays active, and the log says why");
    let reloaded = tokio::spawn(work).await.and_then(|reloaded| reloaded).map_err(|_| NotReloaded::Http(panicked()))?;
    reloaded.map_err(NotReloaded::Report)
}

/// Prometheus metrics. Open unless a credential is given the scope `metrics`; one that is limited to channels reads no numbers of others.
pub(super) async fn metrics(State(app): State<Arc<App>>, request: Request) -> Result<Response, HttpError> {
    let accept = request.headers().get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
    let format = Format::wanted(&accept);
    let guarded = app.settings.load().auth.credentials.iter().any(|c| c.opens(Scope::Metrics));
    let caller = if guarded { authenticate(&app, Scope::Metrics, request).await?.caller } else { Caller::default() };
    let text = app.engine.metrics().write(format);
    let text = if caller.is_limited() { samples_for(&caller, &text) } else { text };
    Ok(([(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")], text).into_response())
}

/// The samples without those of channels that are not for this caller. The name of a channel holds no quote.
fn samples_for(caller: &Caller, text: &str) -> String {
    let channel = |line: &str| Some(line.split_once("channel=\"")?.1.split_once('"')?.0.to_owned());
    let shown = |line: &&str| line.starts_with('#') || channel(line).is_none_or(|name| caller.may_use(&name));
    text.split_inclusive('\n').filter(shown).collect()
}
