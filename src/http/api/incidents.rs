//! Incidents: list, and look at one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use serde_json::json;

use super::{ApiError, ApiResult, MAX_PAGE, PAGE, gate, gone, limit_schema, not_for, pairs};
use crate::api::{IncidentMessage, IncidentResponse, IncidentStep, IncidentSummary, Incidents};
use crate::delivery::EDIT_INTERVAL;
use crate::http::openapi::{Op, Param, Paths};
use crate::http::{Admitted, App, Caller, Scope};
use crate::model::{IncidentId, Severity, UnixMs};
use crate::store::{AlertState, Anchor, DeliveryRow, Incident, IncidentDetail, IncidentFilter, IncidentState};

/// The paths.
pub(super) fn paths() -> Paths {
    let api = |op: Op| op.scope(Scope::Read).problems();
    let states = || json!({ "type": "string", "enum": IncidentState::ALL.map(IncidentState::as_str) });
    let severities = || json!({ "type": "string", "enum": Severity::ALL.map(Severity::as_str) });
    let time = || json!({ "type": "string", "format": "date-time" });
    Paths::default()
        .at(
            "/incidents",
            [api(Op::get("listIncidents", "Incidents, newest first", list)
                .query([
                    Param::of("state", "Only those in this state", states()),
                    Param::of("severity", "Only those at least as severe", severities()),
                    Param::text("title", "Only those whose title holds this text"),
                    Param::of("since", "Only those that began at or after this", time()),
                    Param::of("until", "Only those that began before this", time()),
                    Param::of("cursor", "The `next` of the page before", json!({ "type": "integer", "minimum": 1 })),
                    Param::of("limit", "At most so many; 50 unless said", limit_schema()),
                ])
                .gives::<Incidents>())],
        )
        .at(
            "/incidents/{id}",
            [api(Op::get("showIncident", "An incident with its messages, its timeline and its deliveries", show)
                .gives::<IncidentResponse>()
                .refuses(&[404]))],
        )
}

async fn list(State(app): State<Arc<App>>, RawQuery(text): RawQuery, request: Request) -> ApiResult<Incidents> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    for_all(&caller)?;
    let mut filter = IncidentFilter { limit: PAGE, ..IncidentFilter::default() };
    for (name, value) in pairs(text.as_deref()) {
        let bad = |what: &str| ApiError::bad(format!("`{name}` takes {what}"));
        let time = || value.parse::<jiff::Timestamp>().map(UnixMs::from).map_err(|_| bad("a time as `2026-11-29T03:00:00Z`"));
        match name.as_str() {
            "state" => filter.states.push(IncidentState::parse(&value).ok_or_else(|| bad("firing, resolved or stale"))?),
            "severity" => {
                let severity = Severity::ALL.into_iter().find(|severity| severity.as_str() == value);
                filter.max_rank = Some(severity.ok_or_else(|| bad("critical, error, warning or info"))?.rank() as u8);
            }
            "title" => filter.text = Some(value),
            "since" => filter.since = Some(time()?),
            "until" => filter.until = Some(time()?),
            "cursor" => filter.before = Some(IncidentId(value.parse().map_err(|_| bad("the `next` of the page before"))?)),
            "limit" => filter.limit = value.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)).ok_or_else(|| bad("a number from 1 to 500"))?,
            _ => {
                let known = "state, severity, title, since, until, cursor, limit";
                return Err(ApiError::bad(format!("unknown parameter `{name}`; known: {known}")));
            }
        }
    }
    let found = app.engine.query().list_incidents(&filter).await?;
    let next = (found.len() == filter.limit).then(|| found.last().map(|incident| incident.id)).flatten();
    Ok(Json(Incidents { incidents: found.iter().map(summary).collect(), next }))
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<IncidentResponse> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    for_all(&caller)?;
    let number = id.trim_start_matches('#').parse().map_err(|_| ApiError::bad("an incident has a number, as 1842"))?;
    let found = app.engine.query().get_incident(IncidentId(number)).await?.ok_or_else(|| gone("incident", &number.to_string()))?;
    Ok(Json(response(found)))
}

/// An incident shows alerts of all channels: it is for credentials that may see all of them.
fn for_all(caller: &Caller) -> Result<(), ApiError> {
    if caller.is_limited() { Err(not_for(caller, "what all channels share, as incidents are,")) } else { Ok(()) }
}

fn summary(incident: &Incident) -> IncidentSummary {
    let count = |state| incident.alerts.iter().filter(|alert| alert.state == state).count();
    IncidentSummary {
        number: incident.id,
        state: incident.state,
        severity: Severity::from_rank(i64::from(incident.rank)),
        title: incident.title.clone(),
        source: incident.source.clone(),
        receiver: incident.receiver.clone(),
        firing: count(AlertState::Firing),
        resolved: count(AlertState::Resolved),
        unreported: count(AlertState::Unreported),
        opened_at: incident.opened_at,
        heard_at: incident.heard_at,
        ended_at: incident.ended_at,
    }
}

fn response(found: IncidentDetail) -> IncidentResponse {
    let timeline = timeline(&found);
    let IncidentDetail { incident, anchors, deliveries, .. } = found;
    IncidentResponse {
        incident: summary(&incident),
        group_key: incident.group_key,
        version: incident.version,
        messages: anchors.into_iter().map(message).collect(),
        timeline,
        deliveries,
    }
}

fn message(anchor: Anchor) -> IncidentMessage {
    IncidentMessage {
        recipient: anchor.recipient.masked(),
        channel: anchor.channel,
        message: anchor.message,
        platform_ids: anchor.ids,
        notified_at: anchor.notified_at,
        rang_at: anchor.rang_at,
        edited: anchor.edited,
        shown: anchor.shown,
        edits: anchor.edits,
    }
}

/// What happened, oldest first: what is stored as such, and what deliveries and anchors say.
fn timeline(found: &IncidentDetail) -> Vec<IncidentStep> {
    let step = |at, kind: &str, channel: &str, text: String| IncidentStep { at, kind: kind.to_owned(), channel: channel.to_owned(), text };
    let mut steps = vec![step(found.incident.opened_at, "opened", "", found.incident.title.clone())];
    steps.extend(found.timeline.iter().map(|row| step(row.at, row.kind.as_str(), &row.channel, row.text.clone())));
    for row in &found.deliveries {
        let Some(at) = row.done_at else { continue };
        let (kind, text) = match row.state {
            crate::store::State::Sent => ("notified", row.title.clone()),
            state => ("not_sent", reason(row, state.as_str())),
        };
        steps.push(step(at, kind, &row.channel, text));
    }
    for anchor in found.anchors.iter().filter(|anchor| anchor.edits > 0) {
        let times = if anchor.edits == 1 { "once".to_owned() } else { format!("{} times", anchor.edits) };
        let at = (anchor.next_edit_at - EDIT_INTERVAL).max(anchor.notified_at);
        steps.push(step(at, "edited", &anchor.channel, format!("edited {times} so far, up to version {}", anchor.shown)));
    }
    steps.sort_by_key(|step| step.at);
    steps
}

fn reason(row: &DeliveryRow, state: &str) -> String {
    row.reason.clone().unwrap_or_else(|| state.to_owned())
}
