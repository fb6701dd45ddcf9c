//! `/api/v1`: look up, explain, retry, drop and move deliveries; mute channels; send. JSON in and out, errors as `application/problem+json`.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::webhook::answer;
use super::{Admitted, App, HttpError, Scope, admit};
use crate::delivery::intake::known_channels;
use crate::delivery::{Composed, Draft};
use crate::ingest;
use crate::model::{DeliveryId, Facts, MessageId, Page};
use crate::store::{ChannelMute, DeliveryDetail, DeliveryFilter, DeliveryRow, MoveTo, State as DeliveryState, StoredMessage, Waiting};
use crate::template::MessageKind;

/// Deliveries on a page unless asked otherwise, and at most.
const PAGE: usize = 50;
const MAX_PAGE: usize = 500;

type Answer = Result<Json<Value>, ApiError>;

/// An error as problem+json (RFC 9457).
pub(super) struct ApiError(HttpError, String);

impl ApiError {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(HttpError::new(status, detail.clone()), detail)
    }

    fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no such {what}"))
    }
}

impl From<crate::store::StoreError> for ApiError {
    fn from(error: crate::store::StoreError) -> Self {
        let detail = error.to_string();
        Self(HttpError::from(error), detail)
    }
}

impl From<HttpError> for ApiError {
    fn from(error: HttpError) -> Self {
        let detail = error.text().to_owned();
        Self(error, detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let body =
            json!({ "type": "about:blank", "title": status.canonical_reason().unwrap_or("error"), "status": status.as_u16(), "detail": self.1 });
        let mut response = self.0.into_response();
        let headers = std::mem::take(response.headers_mut());
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        if let Some(retry) = headers.get(header::RETRY_AFTER) {
            response.headers_mut().insert(header::RETRY_AFTER, retry.clone());
        }
        response
    }
}

/// The routes below `/api/v1`.
pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/deliveries", get(list))
        .route("/deliveries/retry", post(retry))
        .route("/deliveries/drop", post(drop_some))
        .route("/deliveries/move", post(move_some))
        .route("/deliveries/{id}", get(show))
        .route("/events/{id}", get(event))
        .route("/explain", post(explain))
        .route("/nodes", get(nodes))
        .route("/channels", get(channels))
        .route("/channels/{name}/mute", post(mute).delete(unmute))
        .route("/channels/{name}/test", post(test))
        .route("/backup", post(backup))
}

async fn gate(app: &App, request: Request) -> Result<Admitted, ApiError> {
    Ok(admit(app, Scope::Api, request).await?)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|e| ApiError::bad(format!("the body is not as expected: {e}")))
}

fn query(text: Option<&str>) -> Result<DeliveryFilter, ApiError> {
    let mut filter = DeliveryFilter { limit: PAGE, ..DeliveryFilter::default() };
    for pair in text.unwrap_or("").split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_encoding::percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned();
        let bad = |what: &str| ApiError::bad(format!("`{name}` takes {what}, not `{}`", value.chars().take(60).collect::<String>()));
        let time = || {
            value
                .parse::<jiff::Timestamp>()
                .map(jiff::Timestamp::as_millisecond)
                .or_else(|_| value.parse())
                .map_err(|_| bad("an RFC 3339 time or Unix milliseconds"))
        };
        match name {
            "channel" => filter.channel = Some(value.clone()),
            "state" => {
                for state in value.split(',').filter(|s| !s.is_empty()) {
                    filter.states.push(
                        DeliveryState::parse(state)
                            .ok_or_else(|| bad("states: waiting, deferred, sent, dead, dropped, skipped, expired, unknown"))?,
                    );
                }
            }
            "since" => filter.since = Some(time()?),
            "until" => filter.until = Some(time()?),
            "text" => filter.text = Some(value.chars().take(200).collect()),
            "event" => filter.event = Some(value.parse().map_err(|_| bad("an event id"))?),
            "message" => filter.message = Some(value.parse().map_err(|_| bad("a message id"))?),
            "cursor" => filter.before = Some(value.parse().map_err(|_| bad("the `next` of the page before"))?),
            "limit" => filter.limit = value.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)).ok_or_else(|| bad("a number from 1 to 500"))?,
            _ => {
                return Err(ApiError::bad(format!(
                    "unknown parameter `{}`; known: channel, state, since, until, text, event, message, cursor, limit",
                    name.chars().take(60).collect::<String>()
                )));
            }
        }
    }
    Ok(filter)
}

async fn list(State(app): State<Arc<App>>, RawQuery(text): RawQuery, request: Request) -> Answer {
    gate(&app, request).await?;
    let filter = query(text.as_deref())?;
    let rows = app.engine.shared.store.page(&filter).await?;
    let next = (rows.len() == filter.limit).then(|| rows.last().map(|r| r.id)).flatten();
    Ok(Json(json!({ "deliveries": rows, "next": next })))
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Answer {
    gate(&app, request).await?;
    let id: DeliveryId = id.parse().map_err(|_| ApiError::bad("a delivery id is a UUID"))?;
    let detail = app.engine.shared.store.show(id).await?.ok_or_else(|| ApiError::missing("delivery"))?;
    Ok(Json(detail_json(&app, &detail)))
}

async fn event(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Answer {
    gate(&app, request).await?;
    let id = id.parse().map_err(|_| ApiError::bad("an event id is a UUID"))?;
    let (event, rows) = app.engine.shared.store.show_event(id).await?.ok_or_else(|| ApiError::missing("event"))?;
    Ok(Json(
        json!({ "id": event.id, "received_at": event.received_at, "plan": event.plan, "note": event.note, "event": &*event.event, "deliveries": rows }),
    ))
}

/// What would happen to the body now, if it were posted to `/webhook`; or to a stored one, with `?event=<id>`.
async fn explain(State(app): State<Arc<App>>, RawQuery(query): RawQuery, request: Request) -> Answer {
    let body = gate(&app, request).await?.body;
    let now = app.engine.shared.clock.now();
    let wanted = query.as_deref().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("event=")));
    let event = match wanted {
        Some(id) => {
            let id = id.parse().map_err(|_| ApiError::bad("an event id is a UUID"))?;
            let (stored, _) = app.engine.shared.store.show_event(id).await?.ok_or_else(|| ApiError::missing("event"))?;
            (*stored.event).clone()
        }
        None => {
            let settings = app.settings.load_full();
            let hint = ingest::Hint::Auto;
            ingest::parse(hint, &body, settings.generic.as_ref(), now).map_err(|error| ApiError::bad(error.to_string()))?.event
        }
    };
    let (plan, mutes) = (app.engine.shared.plan.load_full(), app.engine.shared.mutes());
    // Rendering a large body takes a while: not on the threads that answer others.
    let told = tokio::task::spawn_blocking(move || super::foretell::foretell(&plan, &event, now, &mutes)).await;
    told.map(Json).map_err(|_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the body could not be explained; please report it"))
}

/// The nodes that share the store, and whether they work by one configuration.
async fn nodes(State(app): State<Arc<App>>, request: Request) -> Answer {
    gate(&app, request).await?;
    let shared = &app.engine.shared;
    let nodes = shared.store.nodes(shared.clock.now_ms()).await?;
    let rows: Vec<Value> = nodes
        .iter()
        .map(|node| json!({ "name": node.name, "plan": node.plan, "version": node.version, "outlets": node.outlets, "this": *node.name == *shared.node }))
        .collect();
    Ok(Json(json!({ "nodes": rows, "same_plan": nodes.windows(2).all(|pair| pair[0].plan == pair[1].plan) })))
}

fn detail_json(app: &App, detail: &DeliveryDetail) -> Value {
    json!({
        "delivery": detail.row,
        "route": detail.target.route,
        "template": detail.target.template,
        "fallback": detail.target.fallback,
        "event": { "id": detail.event.id, "received_at": detail.event.received_at, "plan": detail.event.plan, "body": &*detail.event.event },
        "alerts": detail.target.alerts,
        "message": detail.message.as_ref().map(message_json),
        "earlier_attempts": detail.earlier,
        "children": detail.children,
        "next": next_step(app, &detail.row),
    })
}

fn message_json(message: &StoredMessage) -> Value {
    let cells: Vec<Value> = message
        .cells
        .iter()
        .map(|c| json!({ "page": c.page + 1, "recipient": c.recipient.masked(), "state": c.state, "tries": c.tries, "due_at": c.due_at, "platform_id": c.platform_id, "code": c.code }))
        .collect();
    let pages: Vec<Value> = message
        .pages
        .iter()
        .map(|p| json!({ "number": p.number, "total": p.total, "fields": p.fields, "plain": p.plain, "covers": p.coverage }))
        .collect();
    json!({
        "id": message.id, "channel": message.channel, "platform": message.platform, "kind": message.kind, "template": message.template,
        "formed_at": message.formed_at, "done": message.done, "deliveries": message.members, "pages": pages, "cells": cells, "attempts": message.attempts,
    })
}

/// What happens next with a delivery, in words.
fn next_step(app: &App, row: &DeliveryRow) -> String {
    if row.state.is_final() {
        return "nothing: it is final".into();
    }
    let plan = app.engine.shared.plan.load();
    let Some(channel) = plan.channel(&row.channel) else {
        return "it waits: its channel is not in the configuration any more (name it in `was:` of its successor, or move it)".into();
    };
    let now = app.engine.shared.clock.now_ms();
    let outlet = app.engine.outlet_state(&channel.outlet);
    let at = |ms: i64| crate::delivery::clock::timestamp(ms).to_string();
    if row.state == DeliveryState::Deferred {
        return format!("muted until {}; then it is sent if it still fires", at(row.due_at));
    }
    if let Some(reason) = outlet.held {
        return format!("the channel is held: {reason}; it is tried again with growing pauses and at once after a reload");
    }
    if outlet.paused_ms > 0 {
        return format!("the channel pauses until {} because the platform asked for it or did not answer", at(now + outlet.paused_ms));
    }
    if row.due_at > now {
        return format!("the next try is at {}", at(row.due_at));
    }
    "it is sent when the channel's pace allows".into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    ids: Vec<DeliveryId>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    to: Option<String>,
}

fn ids(body: &[u8]) -> Result<Ids, ApiError> {
    let ids: Ids = read(body)?;
    if ids.ids.is_empty() || ids.ids.len() > MAX_PAGE {
        return Err(ApiError::bad(format!("`ids` takes 1 to {MAX_PAGE} delivery ids")));
    }
    Ok(ids)
}

async fn retry(State(app): State<Arc<App>>, request: Request) -> Answer {
    let admitted = gate(&app, request).await?;
    requeue(&app, &ids(&admitted.body)?).await
}

async fn move_some(State(app): State<Arc<App>>, request: Request) -> Answer {
    let admitted = gate(&app, request).await?;
    let ids = ids(&admitted.body)?;
    if ids.to.is_none() {
        return Err(ApiError::bad("`to` names the channel to move to"));
    }
    requeue(&app, &ids).await
}

async fn requeue(app: &App, ids: &Ids) -> Answer {
    let plan = app.engine.shared.plan.load_full();
    let to = match &ids.to {
        None => None,
        Some(name) => {
            let channel = plan.channel(name).ok_or_else(|| ApiError::missing("channel"))?;
            Some(MoveTo { channel: name.clone(), outlet: channel.outlet.clone(), fallback: channel.fallback.clone() })
        }
    };
    let made = app.engine.shared.store.requeue(&ids.ids, to, app.engine.shared.clock.now_ms()).await?;
    app.engine.forget();
    app.engine.shared.hand_over(&made);
    let made: Vec<Value> = made.iter().map(|d| json!({ "id": d.id, "channel": d.channel })).collect();
    Ok(Json(json!({ "deliveries": made })))
}

async fn drop_some(State(app): State<Arc<App>>, request: Request) -> Answer {
    let admitted = gate(&app, request).await?;
    let ids = ids(&admitted.body)?;
    let reason =
        ids.reason.as_deref().map(str::trim).filter(|r| !r.is_empty()).ok_or_else(|| ApiError::bad("`reason` is needed: why are they dropped?"))?;
    let reason: String = reason.chars().take(500).collect();
    let dropped = app.engine.shared.store.drop_deliveries(&ids.ids, &reason, app.engine.shared.clock.now_ms()).await?;
    app.engine.forget();
    Ok(Json(json!({ "dropped": dropped })))
}

async fn channels(State(app): State<Arc<App>>, request: Request) -> Answer {
    gate(&app, request).await?;
    let plan = app.engine.shared.plan.load_full();
    let stats = app.engine.shared.store.stats().await?;
    let mutes = app.engine.shared.mutes();
    let now = app.engine.shared.clock.now_ms();
    let count = |name: &str, state: DeliveryState| stats.open.iter().find(|(c, s, _)| c == name && *s == state).map_or(0, |(_, _, n)| *n);
    let rows: Vec<Value> = plan
        .channels
        .values()
        .map(|c| {
            let outlet = app.engine.outlet_state(&c.outlet);
            let row = stats.outlets.iter().find(|o| o.key == c.outlet);
            let mute = mutes.get(&*c.name).filter(|m| m.until > now);
            json!({
                "name": &*c.name, "platform": c.platform.name, "disabled": c.disabled, "outlet": c.outlet,
                "waiting": count(&c.name, DeliveryState::Waiting), "deferred": count(&c.name, DeliveryState::Deferred),
                "dead": stats.dead.iter().find(|(n, _)| n == &*c.name).map_or(0, |(_, n)| *n),
                "oldest_born_at": stats.oldest.iter().find(|(n, _)| n == &*c.name).map(|(_, at)| *at),
                "held": outlet.held, "paused_ms": outlet.paused_ms, "breaker_open": outlet.breaker_open, "under_way": outlet.under_way,
                "month": row.map(|r| r.month.clone()), "month_sent": row.map_or(0, |r| r.month_sent), "month_limit": c.platform.pace.per_month,
                "muted_until": mute.map(|m| m.until), "muted_reason": mute.map(|m| m.reason.clone()),
            })
        })
        .collect();
    Ok(Json(json!({ "channels": rows })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MuteBody {
    #[serde(rename = "for")]
    duration: String,
    reason: String,
}

async fn mute(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Answer {
    let admitted = gate(&app, request).await?;
    let body: MuteBody = read(&admitted.body)?;
    let span = crate::model::parse_duration(&body.duration).map_err(|e| ApiError::bad(e.to_string()))?;
    if body.reason.trim().is_empty() {
        return Err(ApiError::bad("`reason` is needed: why is the channel muted?"));
    }
    set_mute(&app, &name, app.engine.shared.clock.now_ms() + span.as_millis() as i64, &body.reason, &admitted.caller.name).await
}

async fn unmute(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Answer {
    let admitted = gate(&app, request).await?;
    set_mute(&app, &name, 0, "", &admitted.caller.name).await
}

async fn set_mute(app: &App, name: &str, until: i64, reason: &str, by: &str) -> Answer {
    app.engine.shared.plan.load().channel(name).ok_or_else(|| ApiError::missing("channel"))?;
    let mute = ChannelMute { channel: name.to_owned(), until, reason: reason.chars().take(500).collect(), by: by.to_owned() };
    app.engine.shared.store.mute(mute.clone()).await?;
    app.engine.refresh_mutes().await?;
    app.engine.forget();
    tracing::warn!(channel = name, until, reason, by, "a channel was muted or unmuted by hand");
    Ok(Json(json!({ "channel": name, "until": (until > 0).then_some(until) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TestBody {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    payload: Option<Value>,
}

/// Really sends one message through a channel and answers with the platform's word.
async fn test(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Answer {
    let admitted = gate(&app, request).await?;
    let body: TestBody = read(&admitted.body)?;
    let plan = app.engine.shared.plan.load_full();
    let channel = plan.channel(&name).cloned().ok_or_else(|| ApiError::missing("channel"))?;
    let now = app.engine.shared.clock.now();
    let (event, page) = match body.payload {
        Some(payload) => {
            let event = ingest::parse(ingest::Hint::Auto, payload.to_string().as_bytes(), None, now).map_err(|e| ApiError::bad(e.to_string()))?.event;
            let composed = preview(&plan, &channel, &event, now);
            let page = composed.pages.into_iter().next().ok_or_else(|| ApiError::bad("the payload renders to no message on this channel"))?;
            (event, page)
        }
        None => text_page(&channel, body.text.as_deref().unwrap_or("Watchfire test message")),
    };
    let outcome = app
        .engine
        .call(&channel, event, page, channel.recipients.clone())
        .await
        .map_err(|e| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, e.to_string()))?;
    let results: Vec<Value> = outcome
        .results
        .iter()
        .map(|(to, result)| match result {
            Ok(receipt) => json!({ "recipient": to.masked(), "ok": true, "code": receipt.code, "platform_id": receipt.platform_id, "answer": receipt.answer }),
            Err(error) => json!({ "recipient": to.masked(), "ok": false, "kind": error.kind.as_str(), "code": error.code, "error": error.summary, "answer": error.detail }),
        })
        .collect();
    Ok(Json(json!({ "delivery": outcome.delivery, "expired": outcome.expired, "results": results })))
}

/// What an event would look like on a channel, whole: for `render`, tests and the API.
pub fn preview(plan: &crate::delivery::Plan, channel: &crate::delivery::ChannelPlan, event: &crate::model::Event, now: jiff::Timestamp) -> Composed {
    let target = crate::store::TargetRecord { alerts: (0..event.alerts.len() as u32).collect(), ..Default::default() };
    let member = Waiting {
        id: DeliveryId::new(),
        event_id: crate::model::EventId::new(),
        event: Some(Arc::new(event.clone())),
        lane: crate::model::LaneId(0),
        lane_seq: 1,
        channel: channel.name.to_string(),
        target,
        mode: crate::store::Mode::Queued,
        state: DeliveryState::Waiting,
        rank: 0,
        title: String::new(),
        firing: 0,
        resolved: 0,
        born_at: now.as_millisecond(),
        due_at: 0,
        tries: 0,
        hop: 0,
        origin: None,
    };
    Draft { plan, channel, message: MessageId::new(), members: &[member], kind: MessageKind::Single, now, plain: None }.compose()
}

/// A page that says just a text, and the event that records it.
pub fn text_page(channel: &crate::delivery::ChannelPlan, text: &str) -> (crate::model::Event, Page) {
    let title: String = text.lines().next().unwrap_or("").chars().take(120).collect();
    let fields = channel.platform.fields.iter().filter(|f| f.required);
    let page = Page {
        fields: fields.map(|f| (f.name.to_owned(), if f.single_line { title.clone() } else { text.to_owned() })).collect(),
        facts: Facts { title: title.clone(), severity: crate::model::Severity::Info, ..Facts::default() },
        number: 1,
        total: 1,
        plain: true,
        coverage: Vec::new(),
    };
    let mut alert = crate::model::Alert { fingerprint: crate::delivery::accept::call_fingerprint(text), ..Default::default() };
    alert.labels.insert("alertname".into(), title.clone());
    let event = crate::model::Event {
        kind: crate::model::SenderKind::Direct,
        source: "direct/test".into(),
        receiver: "test".into(),
        title,
        alerts: vec![alert],
        ..Default::default()
    };
    (event, page)
}

/// `POST /api/v1/send`: durable and asynchronous, by channel name.
pub(super) async fn send(State(app): State<Arc<App>>, request: Request) -> Answer {
    let Admitted { caller, body, trace } = gate(&app, request).await?;
    let now = app.engine.shared.clock.now();
    let ingest::SendCall { mut event, to } = ingest::send(&body, now).map_err(|e| ApiError::bad(e.to_string()))?;
    event.trace = trace;
    event.source = if caller.name.is_empty() { "direct".into() } else { format!("direct/{}", caller.name) };
    let plan = app.engine.shared.plan.load_full();
    let (mut known, mut unknown) = known_channels(&plan, &to);
    unknown.extend(known.extract_if(.., |name| !caller.may_use(name)));
    if known.is_empty() {
        return Err(ApiError::bad(format!("`to` names no channel; channels: {}", plan.channels.keys().cloned().collect::<Vec<_>>().join(", "))));
    }
    let accepted = app.engine.accept(event, Some(&known)).await?;
    Ok(Json(answer(&accepted, &unknown)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BackupBody {
    file: std::path::PathBuf,
}

async fn backup(State(app): State<Arc<App>>, request: Request) -> Answer {
    let admitted = gate(&app, request).await?;
    let body: BackupBody = read(&admitted.body)?;
    app.engine.shared.store.backup(&body.file).await?;
    Ok(Json(json!({ "file": body.file })))
}
