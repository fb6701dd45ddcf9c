//! Incidents: list, and look at one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use serde_json::json;

use super::times::instant;
use super::{ApiError, ApiResult, MAX_PAGE, PAGE, for_all, gate, gone, in_order, limit_schema, moment, nearest_of, no_id, noted, read};
use crate::api::{
    ActRequest, ActResponse, DrillResponse, IncidentAck, IncidentAttempt, IncidentMessage, IncidentMute, IncidentResponse, IncidentSilence,
    IncidentStep, IncidentSummary, Incidents,
};
use crate::delivery::escalation::DrillError;
use crate::delivery::press::{Deed, LONGEST_SNOOZE, answer};
use crate::delivery::{AuditAct, Intent, links};
use crate::http::audit::audited;
use crate::http::openapi::{Op, Param, Paths};
use crate::http::pairs::pairs;
use crate::http::search::{Next, Span, incidents_stop};
use crate::http::{Admitted, App, Caller, Scope};
use crate::model::{IncidentId, Language, MessageId, Severity, Verb};
use crate::store::{
    ActOn, ActResult, Actor, AlertState, Anchor, AttemptRow, Author, DeliveryRow, Incident, IncidentDetail, IncidentFilter, IncidentState, Muted,
    PressKey, Silenced, StoreError,
};

/// An incident shows alerts of all channels: it is for credentials that may see all of them.
const WHAT: &str = "what all channels share, as incidents are,";
/// Messages whose attempts are read.
const MAX_MESSAGES: usize = 30;
/// Attempts that are answered.
const MAX_ATTEMPTS: usize = 200;

/// The paths.
pub(super) fn paths() -> Paths {
    let api = |op: Op| op.scope(Scope::Read).problems();
    let severities = || json!({ "type": "string", "enum": Severity::ALL.map(Severity::as_str) });
    Paths::default()
        .at(
            "/incidents",
            [api(Op::get("listIncidents", "Incidents, newest first; a search says how far back it went", list)
                .query([
                    Param::text(
                        "state",
                        "Only those in these states, separated by commas: firing, acked, snoozed, resolved, stale, closed, superseded",
                    ),
                    Param::of("severity", "Only those at least as severe", severities()),
                    Param::text("title", "Only those whose title holds this text"),
                    Param::text("since", "Only those that began at or after this: how long ago, as `1h`, RFC 3339, or Unix milliseconds"),
                    Param::text("until", "Only those that began before this"),
                    Param::of("cursor", "The `next` of the page before", json!({ "type": "integer", "minimum": 1 })),
                    Param::of("limit", "At most so many; 50 unless said", limit_schema()),
                ])
                .gives::<Incidents>())],
        )
        .at(
            "/incidents/{id}",
            [api(Op::get("showIncident", "An incident with its messages, its timeline, its deliveries and their attempts", show)
                .gives::<IncidentResponse>()
                .refuses(&[404]))],
        )
        .at(
            "/escalations/{name}/drill",
            [Op::post("drillEscalation", "Runs an escalation with messages that are marked as a drill", drill)
                .scope(Scope::Operate)
                .problems()
                .gives::<DrillResponse>()
                .refuses(&[404, 409])],
        )
        .at("/incidents/{id}/ack", [does("ackIncident", "Says that somebody is on it: it rings no more for what fires now", ack)])
        .at("/incidents/{id}/unack", [does("unackIncident", "Says that nobody is on it any more: it rings, at once or when the answer says", unack)])
        .at("/incidents/{id}/snooze", [does("snoozeIncident", "Acks it until a time; then it rings again", snooze)])
        .at("/incidents/{id}/silence", [does("silenceIncident", "Snoozes it, and has its Alertmanager be silent about it until then", silence)])
        .at(
            "/incidents/{id}/unsilence",
            [does("unsilenceIncident", "Ends its silence and the snooze with which it began: it rings, at once or when the answer says", unsilence)],
        )
        .at("/incidents/{id}/escalate", [does("escalateIncident", "Hands it on: the next step of its escalation comes at once", escalate)])
        .at("/incidents/{id}/close", [does("closeIncident", "Ends it here, whatever its sender says; what fires afterwards opens it again", close)])
}

fn does<H, T>(id: &'static str, about: &'static str, handler: H) -> Op
where
    H: axum::handler::Handler<T, Arc<App>>,
    T: 'static,
{
    let body = "By whom, and for how long or until when";
    Op::post(id, about, handler).scope(Scope::Operate).problems().takes::<ActRequest>(body).gives::<ActResponse>().refuses(&[404, 409])
}

async fn ack(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<ActResponse> {
    act(&app, &id, Verb::Ack, request).await
}

async fn unack(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<ActResponse> {
    act(&app, &id, Verb::Unack, request).await
}

async fn snooze(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<ActResponse> {
    act(&app, &id, Verb::Snooze, request).await
}

async fn silence(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<ActResponse> {
    act(&app, &id, Verb::Silence, request).await
}

async fn unsilence(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<ActResponse> {
    act(&app, &id, Verb::Unsilence, request).await
}

async fn close(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<ActResponse> {
    act(&app, &id, Verb::Close, request).await
}

async fn escalate(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<ActResponse> {
    act(&app, &id, Verb::Escalate, request).await
}

async fn act(app: &App, id: &str, verb: Verb, request: Request) -> ApiResult<ActResponse> {
    let admitted = gate(app, Scope::Operate, request).await?;
    noted(app, &admitted.caller, verb.into(), || format!("incident #{}", id.trim_start_matches('#')), for_all(&admitted.caller, WHAT)).await?;
    let body: ActRequest = if admitted.body.is_empty() { ActRequest::default() } else { read(&admitted.body)? };
    let span = match (&body.duration, &body.until) {
        (None, None) if matches!(verb, Verb::Snooze | Verb::Silence) => {
            return Err(ApiError::bad("`for` or `until` is needed: for how long, as `2h`, or until when, as `09:00`"));
        }
        (None, None) => Duration::ZERO,
        _ if !matches!(verb, Verb::Snooze | Verb::Silence) => {
            return Err(ApiError::bad("`for` and `until` say how long a snooze or a silence lasts; nothing else takes them"));
        }
        (Some(_), Some(_)) => return Err(ApiError::bad("write one of `for` and `until`")),
        (Some(text), None) => crate::model::parse_duration(text).map_err(|e| ApiError::bad(format!("`for`: {e}")))?,
        (None, Some(text)) => {
            let now = app.engine.clock().wall();
            instant("until", text, &app.engine.plan().messages.time_zone, now)?.since(now)
        }
    };
    if span > LONGEST_SNOOZE || (matches!(verb, Verb::Snooze | Verb::Silence) && span < Duration::from_secs(60)) {
        return Err(ApiError::bad("a snooze or a silence lasts a minute to 30 days"));
    }
    let by = body.by.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let acted = act_on(app, &admitted.caller, number(id)?, verb, span, by).await?;
    Ok(Json(acted))
}

/// Does something about an incident; `by_name` is the name that people read, the credential's unless another is given.
pub(in crate::http) async fn act_on(
    app: &App,
    caller: &Caller,
    incident: IncidentId,
    verb: Verb,
    span: Duration,
    by_name: Option<&str>,
) -> Result<ActResponse, ApiError> {
    act_on_all(app, caller, &[incident], verb, span, by_name).await
}

/// The same about several, in one act.
pub(in crate::http) async fn act_on_all(
    app: &App,
    caller: &Caller,
    incidents: &[IncidentId],
    verb: Verb,
    span: Duration,
    by_name: Option<&str>,
) -> Result<ActResponse, ApiError> {
    let numbers = || incidents.iter().map(|id| format!("#{id}")).collect::<Vec<_>>().join(", ");
    noted(app, caller, verb.into(), || format!("incident {}", numbers()), for_all(caller, WHAT)).await?;
    let credential = &caller.name;
    let by = match by_name {
        Some(name) => Actor { id: format!("credential:{credential} {name}"), name: name.to_owned(), via: caller.author.via.clone() },
        None => Actor { id: actor_id(credential), name: named(credential).to_owned(), via: caller.author.via.clone() },
    };
    let press = PressKey { platform: "api".into(), event_id: uuid::Uuid::now_v7().to_string() };
    // Whatever name people read, the audit says whose credential it was.
    let author = match by_name {
        Some(name) => Author { name: format!("{} as {name}", named(credential)), ..caller.author.clone() },
        None => Author { name: credential.clone(), ..caller.author.clone() },
    };
    let deed = Deed { press, verb, span, by, author };
    let on = incidents.iter().map(|incident| ActOn { incident: *incident, shown: None }).collect();
    let acted = app.engine.act(deed, on).await?;
    if acted.results.iter().all(|(_, result)| *result == ActResult::Unknown) {
        let first = incidents.first().map_or_else(String::new, |first| first.0.to_string());
        return Err(gone("incident", &first));
    }
    let answer = answer(&acted, Language::En, &app.engine.plan(), app.engine.clock().wall());
    if !answer.done {
        return Err(ApiError::new(StatusCode::CONFLICT, answer.text));
    }
    Ok(ActResponse { text: answer.text, incidents: acted.results.into_iter().map(|(id, _)| id).collect() })
}

/// The name of a credential as people read it. Without credentials nobody is known; a message must not say "acked by" and stop.
pub(super) fn named(credential: &str) -> &str {
    if credential.is_empty() { "somebody" } else { credential }
}

/// By what the acts of a credential are known that name nobody else.
pub(in crate::http) fn actor_id(credential: &str) -> String {
    format!("credential:{credential} {}", named(credential))
}

async fn drill(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> ApiResult<DrillResponse> {
    let admitted = gate(&app, Scope::Operate, request).await?;
    noted(&app, &admitted.caller, AuditAct::Drill, || format!("escalation {name}"), for_all(&admitted.caller, WHAT)).await?;
    let by = named(&admitted.caller.name);
    let intent = Intent { by: admitted.caller.author.clone(), act: AuditAct::Drill, on: format!("escalation {name}"), reason: String::new() };
    audited(&app, intent, begin_drill(&app, &name, by), |begun| format!("#{}", begun.incident)).await.map(Json)
}

async fn begin_drill(app: &App, name: &str, by: &str) -> Result<DrillResponse, ApiError> {
    tracing::warn!(escalation = name, by, "a drill begins");
    match app.engine.drill(name, by).await {
        Ok(incident) => Ok(DrillResponse { incident }),
        Err(DrillError::Unknown) => {
            let plan = app.engine.plan();
            Err(nearest_of("escalation", name, plan.people.escalations.keys().map(|known| &**known)))
        }
        Err(error @ (DrillError::Unused | DrillError::NoButtons | DrillError::Nobody | DrillError::Disabled)) => {
            Err(ApiError::new(StatusCode::CONFLICT, error.to_string()))
        }
        Err(DrillError::Store(error)) => Err(error.into()),
    }
}

fn number(id: &str) -> Result<IncidentId, ApiError> {
    id.trim_start_matches('#').parse().map(IncidentId).map_err(|_| ApiError::bad(no_id("incident", id)))
}

async fn list(State(app): State<Arc<App>>, RawQuery(text): RawQuery, request: Request) -> ApiResult<Incidents> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    for_all(&caller, WHAT)?;
    let mut filter = IncidentFilter { limit: PAGE, ..IncidentFilter::default() };
    for (name, value) in pairs(text.as_deref()) {
        let bad = |what: &str| ApiError::bad(format!("`{name}` takes {what}"));
        match name.as_str() {
            "state" => {
                for state in value.split(',') {
                    let known = "states: firing, acked, snoozed, resolved, stale, closed, superseded";
                    filter.states.push(IncidentState::parse(state).ok_or_else(|| bad(known))?);
                }
            }
            "severity" => {
                let severity = Severity::ALL.into_iter().find(|severity| severity.as_str() == value);
                filter.max_rank = Some(severity.ok_or_else(|| bad("critical, error, warning or info"))?.rank() as u8);
            }
            "title" => filter.text = Some(value),
            "since" => filter.since = Some(moment(&app, &name, &value)?),
            "until" => filter.until = Some(moment(&app, &name, &value)?),
            "cursor" => filter.before = Some(IncidentId(value.parse().map_err(|_| bad("the `next` of the page before"))?)),
            "limit" => filter.limit = value.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)).ok_or_else(|| bad("a number from 1 to 500"))?,
            _ => {
                let known = "state, severity, title, since, until, cursor, limit";
                return Err(ApiError::bad(format!("unknown parameter `{name}`; known: {known}")));
            }
        }
    }
    in_order(Span { since: filter.since, until: filter.until })?;
    let (searches, most) = (filter.is_searched(), filter.limit);
    let stops = if searches { incidents_stop(&app, filter.before).await? } else { None };
    let filter = IncidentFilter { after: stops, limit: most + 1, ..filter };
    let mut found = app.engine.query().list_incidents(&filter).await?;
    let next = Next::cut(&mut found, most, stops, |incident| incident.id).cursor();
    Ok(Json(Incidents { incidents: found.iter().map(summary).collect(), next, searched_back_to: next.filter(|_| searches) }))
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> ApiResult<IncidentResponse> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    for_all(&caller, WHAT)?;
    let number = number(&id)?;
    let found = app.engine.query().get_incident(number).await?.ok_or_else(|| gone("incident", &number.0.to_string()))?;
    let attempts = attempts(&app, &caller, &found).await?;
    Ok(Json(response(found, attempts)))
}

/// The attempts of an incident's messages, by message: of those that are anchors first, then of the newest. Who may only read finds no way to act in them.
pub(in crate::http) async fn attempts(app: &App, caller: &Caller, found: &IncidentDetail) -> Result<HashMap<MessageId, Vec<AttemptRow>>, StoreError> {
    let (plan, may_act) = (app.engine.plan(), caller.may_everywhere(Scope::Operate));
    let mut newest: Vec<MessageId> = found.deliveries.iter().filter_map(|row| row.message).collect();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    let mut ids: Vec<MessageId> = Vec::new();
    for id in found.anchors.iter().map(|anchor| anchor.message).chain(newest) {
        if ids.len() < MAX_MESSAGES && !ids.contains(&id) {
            ids.push(id);
        }
    }
    let mut attempts = HashMap::new();
    for id in ids {
        if let Some(mut message) = app.engine.query().get_message(id).await? {
            if !may_act {
                links::attempts_without_acts(&plan, id, &mut message.attempts);
            }
            attempts.insert(id, message.attempts);
        }
    }
    Ok(attempts)
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
        acks: incident.attending().map(ack_of).collect(),
        silence: incident.acks.silence.as_ref().map(silence_of),
        mute: incident.acks.mute.as_ref().map(mute_of),
    }
}

fn ack_of(ack: &crate::store::Ack) -> IncidentAck {
    IncidentAck { by: ack.by.name.clone(), via: ack.by.via.clone(), at: ack.at, until: ack.until, alerts: ack.alerts.len() }
}

fn mute_of(mute: &Muted) -> IncidentMute {
    IncidentMute { by: mute.by.clone(), until: mute.until, matchers: mute.matchers.clone() }
}

fn silence_of(silence: &Silenced) -> IncidentSilence {
    let Silenced { by, until, state, reason } = silence;
    IncidentSilence { by: by.name.clone(), via: by.via.clone(), until: *until, state: *state, reason: reason.clone() }
}

fn response(found: IncidentDetail, attempts: HashMap<MessageId, Vec<AttemptRow>>) -> IncidentResponse {
    let timeline = timeline(&found);
    let IncidentDetail { incident, anchors, deliveries, .. } = found;
    IncidentResponse {
        incident: summary(&incident),
        group_key: incident.group_key,
        version: incident.version,
        messages: anchors.into_iter().map(message).collect(),
        timeline,
        deliveries,
        attempts: newest(attempts),
    }
}

/// The newest attempts of all messages, oldest first.
fn newest(attempts: HashMap<MessageId, Vec<AttemptRow>>) -> Vec<IncidentAttempt> {
    // Answers name people's numbers and addresses: they are with the delivery.
    let without = |attempt: AttemptRow| AttemptRow { answer: None, ..attempt };
    let of = |(message, attempts): (MessageId, Vec<AttemptRow>)| {
        attempts.into_iter().map(move |attempt| IncidentAttempt { message, attempt: without(attempt) })
    };
    let mut all: Vec<IncidentAttempt> = attempts.into_iter().flat_map(of).collect();
    all.sort_by_key(|one| (one.attempt.begun_at, one.attempt.id));
    let first = all.len().saturating_sub(MAX_ATTEMPTS);
    all.split_off(first)
}

fn message(anchor: Anchor) -> IncidentMessage {
    IncidentMessage {
        recipient: anchor.recipient.masked(),
        channel: anchor.channel,
        message: anchor.message,
        platform_ids: anchor.ids.all().into_iter().next().unwrap_or_default(),
        notified_at: anchor.notified_at,
        rang_at: anchor.rang.at,
        edited: anchor.edited,
        shown: anchor.shown,
        edits: anchor.edits,
    }
}

/// What happened, oldest first: what is stored as such, and what deliveries say.
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
    steps.sort_by_key(|step| step.at);
    steps
}

fn reason(row: &DeliveryRow, state: &str) -> String {
    row.reason.clone().unwrap_or_else(|| state.to_owned())
}
