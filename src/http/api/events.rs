//! Events: list, look at one, send one again, and what would happen to a body now.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use serde_json::json;

use super::routes::WHAT;
use super::{
    ApiError, ApiResult, MAX_PAGE, PAGE, for_all, gate, gone, in_order, limit_schema, may_use, moment, no_channel, no_id, not_for, noted, part, read,
};
use crate::api::{AcceptedResponse, EventResponse, Events, ExplainResponse, ReplayRequest};
use crate::delivery::{AuditAct, Intent};
use crate::http::audit::audited;
use crate::http::explain::{explain_event, explain_stored};
use crate::http::openapi::{Op, Param, Paths};
use crate::http::pairs::pairs;
use crate::http::search::{Next, Span, Window};
use crate::http::why::was_routed;
use crate::http::{Admitted, App, Caller, Scope};
use crate::ingest;
use crate::model::{Event, EventId, SenderKind, UnixMs};
use crate::store::{Accepted, DeliveryRow, EventDetail, EventFilter, Listed, StoredEvent};

/// The paths.
pub(super) fn paths() -> Paths {
    let api = |op: Op| op.scope(Scope::Read).problems();
    let uuid = || json!({ "type": "string", "format": "uuid" });
    let yes = || json!({ "type": "string", "enum": ["true", "false"] });
    Paths::default()
        .at(
            "/events",
            [api(Op::get("listEvents", "Accepted events, newest first; a search says how far back it went", list)
                .query([
                    Param::text("source", "Only those of this source, as `alertmanager:prod`"),
                    Param::of("unrouted", "Only those that led to no delivery", yes()),
                    Param::text("since", "Only those that arrived at or after this: how long ago, as `1h`, RFC 3339, or Unix milliseconds"),
                    Param::text("until", "Only those that arrived before this"),
                    Param::of("cursor", "The `next` of the page before", uuid()),
                    Param::of("limit", "At most so many; 50 unless said", limit_schema()),
                ])
                .gives::<Events>())],
        )
        .at(
            "/events/{id}",
            [api(Op::get("showEvent", "An event with its body and its deliveries", show)
                .query([Param::of("scrub", "Names, numbers and addresses in the body are replaced, so that it can be shown to others", yes())])
                .gives::<EventResponse>()
                .refuses(&[404]))],
        )
        .at(
            "/events/{id}/replay",
            [Op::post("replayEvent", "Sends an event again through the routing of now: a new event, in no incident", replay)
                .scope(Scope::Operate)
                .problems()
                .takes::<ReplayRequest>("Where to")
                .gives::<AcceptedResponse>()
                .refuses(&[404, 409])],
        )
        .at(
            "/explain",
            [api(Op::post("explain", "What would happen to a body now, if it were posted to /webhook; nothing is stored or sent", explain)
                .query([Param::of("event", "To the body of this event instead", uuid())])
                .takes::<ingest::WebhookBody>("A webhook's body")
                .gives::<ExplainResponse>()
                .refuses(&[404, 500]))],
        )
}

fn flag(name: &str, value: &str) -> Result<bool, ApiError> {
    value.parse().map_err(|_| ApiError::bad(format!("`{name}` takes true or false")))
}

async fn list(State(app): State<Arc<App>>, RawQuery(text): RawQuery, request: Request) -> ApiResult<Events> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    let mut filter = EventFilter { limit: PAGE, channels: caller.channels, ..EventFilter::default() };
    let mut span = Span::default();
    for (name, value) in pairs(text.as_deref()) {
        let bad = |what: &str| ApiError::bad(format!("`{name}` takes {what}"));
        match name.as_str() {
            "source" => filter.source = Some(value),
            "unrouted" => filter.bare = flag(&name, &value)?,
            "since" => span.since = Some(moment(&app, &name, &value)?),
            "until" => span.until = Some(moment(&app, &name, &value)?),
            "cursor" => filter.before = Some(value.parse().map_err(|_| bad("the `next` of the page before"))?),
            "limit" => filter.limit = value.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)).ok_or_else(|| bad("a number from 1 to 500"))?,
            _ => return Err(ApiError::bad(format!("unknown parameter `{name}`; known: source, unrouted, since, until, cursor, limit"))),
        }
    }
    let span = in_order(span)?;
    let (searches, most) = (filter.is_searched(), filter.limit);
    let window = Window::of(&app, Listed::Events, filter.before.map(|id| id.0), span, searches).await?;
    let (before, after) = (window.before.map(EventId), window.after.map(EventId));
    let filter = EventFilter { before, after, limit: most + 1, ..filter };
    let mut events = app.engine.query().list_events(&filter).await?;
    let next = Next::cut(&mut events, most, window.stops.map(EventId), |row| row.id).cursor();
    let searched_back_to = next.filter(|_| searches).map(|id| UnixMs::of_id(id.0));
    Ok(Json(Events { events, next, searched_back_to }))
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, RawQuery(text): RawQuery, request: Request) -> ApiResult<EventResponse> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    let mut scrub = false;
    for (name, value) in pairs(text.as_deref()) {
        match name.as_str() {
            "scrub" => scrub = flag(&name, &value)?,
            _ => return Err(ApiError::bad(format!("unknown parameter `{name}`; known: scrub"))),
        }
    }
    // It may be large: one in memory at a time.
    let _alone = app.engine.heavy().large_body().await;
    let (stored, deliveries) = find(&app, &caller, &id).await?;
    // A request that named its channels bypassed the routing table; one delivery shows it for all of an event's.
    let routed = match deliveries.first() {
        Some(row) => app.engine.query().get_delivery(row.id).await?.as_ref().is_some_and(was_routed),
        None => true,
    };
    // Only the scrubbed body shows what matchers saw.
    let routes = (routed && !scrub && !caller.is_limited()).then(|| explain_stored(&app.engine.plan(), &stored, None));
    let event = if scrub { ingest::anonymize(&stored.event) } else { Arc::unwrap_or_clone(stored.event) };
    Ok(Json(EventResponse { id: stored.id, received_at: stored.received_at, plan: stored.plan, note: stored.note, event, deliveries, routes }))
}

/// An event with its deliveries, as far as the caller may see them: of channels that its credential does not name neither those nor their alerts.
async fn find(app: &App, caller: &Caller, id: &str) -> Result<(StoredEvent, Vec<DeliveryRow>), ApiError> {
    let id: EventId = id.parse().map_err(|_| ApiError::bad(no_id("event", id)))?;
    let store = app.engine.query();
    let EventDetail { event: mut stored, mut deliveries } = store.get_event(id).await?.ok_or_else(|| gone("event", &id.to_string()))?;
    if !caller.is_limited() {
        return Ok((stored, deliveries));
    }
    deliveries.retain(|row| caller.may_use(&row.channel));
    if deliveries.is_empty() {
        return Err(not_for(caller, &format!("event {id}")));
    }
    let mut places = BTreeSet::new();
    for row in &deliveries {
        places.extend(store.get_delivery(row.id).await?.into_iter().flat_map(|detail| detail.target.alerts));
    }
    stored.event = Arc::new(part(&stored.event, &places.into_iter().collect::<Vec<_>>()));
    Ok((stored, deliveries))
}

async fn replay(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<AcceptedResponse> {
    let Admitted { caller, body, .. } = gate(&app, Scope::Operate, request).await?;
    let asked: ReplayRequest = read(&body)?;
    let id: EventId = id.parse().map_err(|_| ApiError::bad(no_id("event", &id)))?;
    let to = asked.to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
    let intent = Intent { by: caller.author.clone(), act: AuditAct::Replay, on: format!("event {id}{to}"), reason: String::new() };
    let told = |accepted: &Accepted| format!("event {}, {} queued", accepted.event, accepted.deliveries.len());
    let accepted = audited(&app, intent, replay_checked(&app, &caller, id, asked.to), told).await?;
    Ok(Json(AcceptedResponse::new(&accepted, Vec::new())))
}

async fn replay_checked(app: &App, caller: &Caller, id: EventId, to: Option<String>) -> Result<Accepted, ApiError> {
    let plan = app.engine.plan();
    let refused = |why: &str| ApiError::new(StatusCode::CONFLICT, format!("event {id} is not sent again: {why}"));
    match &to {
        Some(name) => {
            may_use(caller, name)?;
            plan.channel(name).ok_or_else(|| no_channel(&plan, caller, name))?;
        }
        None if caller.is_limited() => return Err(not_for(caller, "a replay without `to`")),
        None => {}
    }
    // It may be large: one in memory at a time.
    let _alone = app.engine.heavy().large_body().await;
    let (stored, deliveries) = find(app, caller, &id.to_string()).await?;
    if stored.event.kind == SenderKind::Watchfire {
        return Err(refused("it is an alarm of Watchfire's own, which was about its state at that time"));
    }
    if stored.event.alerts.iter().all(|alert| plan.absorbed(&alert.labels).is_some()) {
        return Err(refused("it is a heartbeat, and would say that its sender is alive"));
    }
    let routed = match deliveries.first() {
        Some(row) => app.engine.query().get_delivery(row.id).await?.as_ref().is_some_and(was_routed),
        None => true,
    };
    if to.is_none() && !routed {
        return Err(refused("its sender named the channels itself, so no route is for it; name a channel with `to`"));
    }
    Ok(app.engine.replay(&stored, to.as_ref().map(std::slice::from_ref)).await?)
}

/// Accepts an alert as if a sender had sent it: it is routed, sent, and confirmed by the platform. It is of no Alertmanager, whose silence stays seen.
pub(in crate::http) async fn send_test_alert(app: &App, caller: &Caller, body: &str) -> Result<Accepted, ApiError> {
    noted(app, caller, AuditAct::Test, || "a test alert".into(), for_all(caller, WHAT)).await?;
    let intent = Intent { by: caller.author.clone(), act: AuditAct::Test, on: "a test alert".into(), reason: String::new() };
    let work = async {
        let (settings, now) = (app.settings.load_full(), app.engine.clock().wall().timestamp());
        let parsed = ingest::parse(&ingest::Sender::Auto, body.as_bytes(), &settings.inputs, now);
        let event = parsed.map_err(|error| ApiError::bad(error.to_string()))?.event;
        Ok::<_, ApiError>(app.engine.accept(Event { source: "test".into(), ..event }, None).await?)
    };
    audited(app, intent, work, |accepted: &Accepted| format!("event {}, {} queued", accepted.event, accepted.deliveries.len())).await
}

async fn explain(State(app): State<Arc<App>>, RawQuery(query): RawQuery, request: Request) -> ApiResult<ExplainResponse> {
    let Admitted { caller, body, .. } = gate(&app, Scope::Read, request).await?;
    let now = app.engine.clock().wall().timestamp();
    let mut wanted = None;
    for (name, value) in pairs(query.as_deref()) {
        match name.as_str() {
            "event" => wanted = Some(value),
            _ => return Err(ApiError::bad(format!("unknown parameter `{name}`; known: event"))),
        }
    }
    let _alone = app.engine.heavy().large_body().await;
    let event = match wanted {
        Some(id) => {
            let (stored, _) = find(&app, &caller, &id).await?;
            stored.event
        }
        None => {
            let settings = app.settings.load_full();
            let sender = ingest::Sender::Auto;
            Arc::new(ingest::parse(&sender, &body, &settings.inputs, now).map_err(|error| ApiError::bad(error.to_string()))?.event)
        }
    };
    let (plan, mutes) = (app.engine.plan(), app.engine.mutes());
    // Rendering a large body takes a while: not on the threads that answer others.
    let mut told = app.engine.heavy().run_blocking(move || explain_event(&plan, &event, now, &mutes)).await;
    if caller.is_limited() {
        told.deliveries.retain(|delivery| caller.may_use(&delivery.channel));
        // The routing tree names everybody's channels.
        told.not_explained += told.alerts.len();
        told.alerts.clear();
    }
    Ok(Json(told))
}
