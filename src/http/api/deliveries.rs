//! Deliveries: list, look at one, retry, drop, move.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use serde_json::json;

use super::{ApiError, ApiResult, MAX_PAGE, PAGE, gate, gone, in_order, limit_schema, may_use, moment, next, no_channel, no_id, not_for, part, read};
use crate::api::{
    CellDetail, ConfirmedDetail, CreatedDelivery, Deliveries, DeliveriesRequest, DeliveryResponse, DropResponse, EventBody, MessageDetail,
    PageDetail, ReceiptDetail, RequeueResponse,
};
use crate::delivery::{AuditAct, Intent, Plan, links};
use crate::http::audit::audited;
use crate::http::explain::explain_stored;
use crate::http::openapi::{Op, Param, Paths};
use crate::http::pairs::pairs;
use crate::http::search::{Next, Span, Window};
use crate::http::why::{was_routed, why_sent};
use crate::http::{Admitted, App, Caller, Scope};
use crate::model::{DeliveryId, Language, UnixMs};
use crate::store::{
    Cell, ConfirmedMessage, DeliveryDetail, DeliveryFilter, DeliveryRow, Listed, MoveTo, ReceiptRow, State as DeliveryState, StoredMessage,
};

/// The paths.
pub(super) fn paths() -> Paths {
    let read = |op: Op| op.scope(Scope::Read).problems();
    let operate = |op: Op| op.scope(Scope::Operate).problems();
    let filters = [
        Param::text("channel", "Only this channel's"),
        Param::text("state", "Only those in these states, separated by commas: waiting, deferred, sent, dead, dropped, skipped, expired, unknown"),
        Param::text("since", "Only those made at or after this: how long ago, as `1h`, RFC 3339, or Unix milliseconds"),
        Param::text("until", "Only those made before this"),
        Param::text("text", "Only those whose title or reason holds this, whatever the case of ASCII letters"),
        Param::of("event", "Only those of this event", json!({ "type": "string", "format": "uuid" })),
        Param::of("message", "Only those that this message carried", json!({ "type": "string", "format": "uuid" })),
        Param::of("cursor", "The `next` of the page before", json!({ "type": "string", "format": "uuid" })),
        Param::of("limit", "At most so many; 50 unless said", limit_schema()),
    ];
    Paths::default()
        .at(
            "/deliveries",
            [read(
                Op::get("listDeliveries", "Deliveries, newest first; a search says how far back it went", list).query(filters).gives::<Deliveries>(),
            )],
        )
        .at(
            "/deliveries/retry",
            [operate(
                Op::post("retryDeliveries", "Requeues finished deliveries, optionally to another channel", retry)
                    .takes::<DeliveriesRequest>("Which, and perhaps where to")
                    .gives::<RequeueResponse>()
                    .refuses(&[404]),
            )],
        )
        .at(
            "/deliveries/drop",
            [operate(
                Op::post("dropDeliveries", "Ends waiting or dead deliveries", drop_some)
                    .takes::<DeliveriesRequest>("Which, and why")
                    .gives::<DropResponse>(),
            )],
        )
        .at(
            "/deliveries/move",
            [operate(
                Op::post("moveDeliveries", "Moves waiting or ended deliveries to another channel", move_some)
                    .takes::<DeliveriesRequest>("Which, and where to")
                    .gives::<RequeueResponse>()
                    .refuses(&[404]),
            )],
        )
        .at(
            "/deliveries/{id}",
            [read(
                Op::get("showDelivery", "A delivery with its event, message, attempts, and what happens next", show)
                    .gives::<DeliveryResponse>()
                    .refuses(&[404]),
            )],
        )
}

fn query(app: &App, text: Option<&str>) -> Result<(DeliveryFilter, Span), ApiError> {
    let (mut filter, mut span) = (DeliveryFilter { limit: PAGE, ..DeliveryFilter::default() }, Span::default());
    for (name, value) in pairs(text) {
        let bad = |what: &str| ApiError::bad(format!("`{name}` takes {what}, not `{}`", value.chars().take(60).collect::<String>()));
        match name.as_str() {
            "channel" => filter.channels = vec![value.clone()],
            "state" => {
                for state in value.split(',').filter(|s| !s.is_empty()) {
                    filter.states.push(
                        DeliveryState::parse(state)
                            .ok_or_else(|| bad("states: waiting, deferred, sent, dead, dropped, skipped, expired, unknown"))?,
                    );
                }
            }
            "since" => span.since = Some(moment(app, &name, &value)?),
            "until" => span.until = Some(moment(app, &name, &value)?),
            "text" => filter.text = Some(value.chars().take(200).collect()),
            "event" => filter.event = Some(value.parse().map_err(|_| ApiError::bad(format!("`event`: {}", no_id("event", &value))))?),
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
    Ok((filter, in_order(span)?))
}

async fn list(State(app): State<Arc<App>>, RawQuery(text): RawQuery, request: Request) -> ApiResult<Deliveries> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    let (mut filter, span) = query(&app, text.as_deref())?;
    match filter.channels.first() {
        Some(channel) => may_use(&caller, channel)?,
        None => filter.channels = caller.channels,
    }
    let (searches, most) = (filter.is_searched(), filter.limit);
    let window = Window::of(&app, Listed::Deliveries, filter.before.map(|id| id.0), span, searches).await?;
    let (before, after) = (window.before.map(DeliveryId), window.after.map(DeliveryId));
    let filter = DeliveryFilter { before, after, limit: most + 1, ..filter };
    let mut deliveries = app.engine.query().list_deliveries(&filter).await?;
    let next = Next::cut(&mut deliveries, most, window.stops.map(DeliveryId), |row| row.id).cursor();
    let searched_back_to = next.filter(|_| searches).map(|id| UnixMs::of_id(id.0));
    Ok(Json(Deliveries { deliveries, next, searched_back_to }))
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<DeliveryResponse> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    let id: DeliveryId = id.parse().map_err(|_| ApiError::bad(no_id("delivery", &id)))?;
    // Its event may be large: one in memory at a time.
    let _alone = app.engine.heavy().large_body().await;
    let detail = app.engine.query().get_delivery(id).await?.ok_or_else(|| gone("delivery", &id.to_string()))?;
    if !caller.may_use(&detail.row.channel) {
        return Err(not_for(&caller, &format!("delivery {id}")));
    }
    let next = next::next_action(&app, &detail).await?;
    let elsewhere = delivered_elsewhere(&app, &caller, &detail.row).await?;
    let why = why_sent(&app, &caller, Language::En, &detail).await?;
    Ok(Json(DeliveryResponse { why, delivered_elsewhere: elsewhere, ..response(&app, &caller, detail, next) }))
}

/// Whether a dead letter's alerts were delivered in its place. `None` for what is not dead, and for who may not know what other channels have.
pub(in crate::http) async fn delivered_elsewhere(app: &App, caller: &Caller, row: &DeliveryRow) -> Result<Option<bool>, ApiError> {
    if row.state != DeliveryState::Dead || caller.is_limited() {
        return Ok(None);
    }
    Ok(Some(!app.engine.query().delivered_elsewhere(&[row.id]).await?.is_empty()))
}

fn response(app: &App, caller: &Caller, mut detail: DeliveryDetail, next: String) -> DeliveryResponse {
    let plan = app.engine.plan();
    if !caller.may_everywhere(Scope::Operate) {
        links::without_acts(&plan, &mut detail);
    }
    let rate_limit = plan.channel(&detail.row.channel).map(|channel| channel.rate_limit_text());
    // The routing tree names everybody's channels.
    let routes = (was_routed(&detail) && !caller.is_limited()).then(|| explain_stored(&plan, &detail.event, Some(&detail.target.alerts)));
    let event = detail.event;
    let (body, alerts) = match caller.is_limited() {
        true => (part(&event.event, &detail.target.alerts), (0..detail.target.alerts.len() as u32).collect()),
        false => (Arc::unwrap_or_clone(event.event), detail.target.alerts),
    };
    DeliveryResponse {
        why: None,
        route: detail.target.route,
        template: detail.target.template,
        fallback: plan.sending_fallbacks(&detail.target.fallback),
        event: EventBody { id: event.id, received_at: event.received_at, plan: event.plan, body },
        alerts,
        routes,
        message: detail.message.map(|message| message_detail(&plan, message)),
        earlier_attempts: detail.earlier,
        children: detail.children,
        delivered_elsewhere: None,
        confirmed: detail.confirmed.into_iter().map(confirmed_detail).collect(),
        delivery: detail.row,
        rate_limit,
        next,
    }
}

fn message_detail(plan: &Plan, message: StoredMessage) -> MessageDetail {
    let receipts = message.receipts;
    let receipt = |c: &Cell| receipts.iter().find(|r| r.page == c.page && r.recipient == c.recipient).map(receipt_detail);
    let cells = message.cells.into_iter().map(|c| CellDetail {
        receipt: receipt(&c),
        page: c.page + 1,
        recipient: c.recipient.masked(),
        state: c.state,
        tries: c.tries,
        due_at: c.due_at,
        platform_ids: c.ids,
        code: c.code,
    });
    let keeps_incidents = plan.channel(&message.channel).is_some_and(|channel| channel.driver.keeps_incidents());
    let pages = message.pages.into_iter().map(|p| PageDetail {
        number: p.number,
        total: p.total,
        fields: p.fields.into_iter().collect(),
        plain: p.plain,
        covers: p.coverage,
        missed: p.missed,
        incident: Some(p.facts.incident.key).filter(|key| keeps_incidents && !key.is_empty()),
    });
    MessageDetail {
        id: message.id,
        channel: message.channel,
        platform: message.platform,
        kind: message.kind.as_str().into(),
        template: message.template,
        formed_at: message.formed_at,
        done: message.done,
        deliveries: message.members,
        pages: pages.collect(),
        cells: cells.collect(),
        attempts: message.attempts,
    }
}

fn confirmed_detail(of: ConfirmedMessage) -> ConfirmedDetail {
    ConfirmedDetail { recipient: of.recipient.masked(), message: of.message, formed_at: of.formed_at, platform_ids: of.ids }
}

fn receipt_detail(r: &ReceiptRow) -> ReceiptDetail {
    ReceiptDetail {
        state: r.state,
        sent_at: r.sent_at,
        asked: r.asked,
        due_at: r.due_at,
        until: r.until,
        heard_at: r.heard_at,
        code: r.code.clone(),
        detail: r.detail.clone(),
    }
}

fn ids(body: &[u8]) -> Result<DeliveriesRequest, ApiError> {
    let ids: DeliveriesRequest = read(body)?;
    if ids.ids.is_empty() || ids.ids.len() > MAX_PAGE {
        return Err(ApiError::bad(format!("`ids` takes 1 to {MAX_PAGE} ids of deliveries; `/api/v1/deliveries` lists those that are there")));
    }
    Ok(ids)
}

async fn retry(State(app): State<Arc<App>>, request: Request) -> ApiResult<RequeueResponse> {
    let admitted = gate(&app, Scope::Operate, request).await?;
    requeue(&app, &admitted.caller, &ids(&admitted.body)?).await.map(Json)
}

async fn move_some(State(app): State<Arc<App>>, request: Request) -> ApiResult<RequeueResponse> {
    let admitted = gate(&app, Scope::Operate, request).await?;
    let ids = ids(&admitted.body)?;
    if ids.to.is_none() {
        return Err(ApiError::bad("`to` names the channel to move to"));
    }
    requeue(&app, &admitted.caller, &ids).await.map(Json)
}

/// Refuses deliveries of channels that the caller's credential does not name.
async fn may_touch(app: &App, caller: &Caller, ids: &[DeliveryId]) -> Result<(), ApiError> {
    if !caller.is_limited() {
        return Ok(());
    }
    for id in ids {
        // Unknown ones are reported where all of them are checked.
        if let Some(detail) = app.engine.query().get_delivery(*id).await?
            && !caller.may_use(&detail.row.channel)
        {
            return Err(not_for(caller, &format!("delivery {id}")));
        }
    }
    Ok(())
}

/// Deliveries as the audit names them.
fn named(ids: &[DeliveryId]) -> String {
    const MAX_NAMED: usize = 20;
    let names: Vec<String> = ids.iter().take(MAX_NAMED).map(ToString::to_string).collect();
    let more = if ids.len() > MAX_NAMED { ", ..." } else { "" };
    let what = if ids.len() == 1 { "delivery".to_owned() } else { format!("{} deliveries:", ids.len()) };
    format!("{what} {}{more}", names.join(", "))
}

/// Requeues deliveries, or moves them to the channel that `to` names.
pub(in crate::http) async fn requeue(app: &App, caller: &Caller, ids: &DeliveriesRequest) -> Result<RequeueResponse, ApiError> {
    let (act, to) = ids.to.as_ref().map_or((AuditAct::Retry, String::new()), |to| (AuditAct::Move, format!(" to {to}")));
    let reason = ids.reason.clone().unwrap_or_default();
    let intent = Intent { by: caller.author.clone(), act, on: named(&ids.ids) + &to, reason };
    let work = async {
        if let Some(to) = &ids.to {
            may_use(caller, to)?;
        }
        may_touch(app, caller, &ids.ids).await?;
        let plan = app.engine.plan();
        let to = match &ids.to {
            None => None,
            Some(name) => {
                let channel = plan.channel(name).ok_or_else(|| no_channel(&plan, caller, name))?;
                Some(MoveTo { channel: name.clone(), outlet: channel.outlet.clone(), fallback: channel.fallback.clone() })
            }
        };
        let made = app.engine.requeue(&ids.ids, to).await?;
        Ok(RequeueResponse { deliveries: made.into_iter().map(|d| CreatedDelivery { id: d.id, channel: d.channel }).collect() })
    };
    audited(app, intent, work, |made: &RequeueResponse| format!("{} queued", made.deliveries.len())).await
}

async fn drop_some(State(app): State<Arc<App>>, request: Request) -> ApiResult<DropResponse> {
    let admitted = gate(&app, Scope::Operate, request).await?;
    drop_all(&app, &admitted.caller, &ids(&admitted.body)?).await.map(Json)
}

/// Ends waiting or dead deliveries; a reason is needed.
pub(in crate::http) async fn drop_all(app: &App, caller: &Caller, ids: &DeliveriesRequest) -> Result<DropResponse, ApiError> {
    let reason = ids.reason.as_deref().map(str::trim).filter(|r| !r.is_empty());
    let reason: String = reason.ok_or_else(|| ApiError::bad("`reason` is needed: why are they dropped?"))?.chars().take(500).collect();
    let intent = Intent { by: caller.author.clone(), act: AuditAct::Drop, on: named(&ids.ids), reason: reason.clone() };
    let work = async {
        may_touch(app, caller, &ids.ids).await?;
        Ok(DropResponse { dropped: app.engine.drop_deliveries(&ids.ids, &reason).await? })
    };
    audited(app, intent, work, |done: &DropResponse| format!("{} dropped", done.dropped)).await
}
