//! Channels, nodes and heartbeats with their state; test a channel, send, copy the store.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;

use super::incidents::named;
use super::{ApiError, ApiResult, gate, may_use, no_channel, noted, read};
use crate::api::{
    AcceptedResponse, BackupRequest, BackupResponse, ChannelState, Channels, DrillResponse, Heartbeats, Listener, Node, Nodes, TestSendRequest,
    TestSendResponse, TestSendResult,
};
use crate::delivery::direct::text_page;
use crate::delivery::escalation::DrillError;
use crate::delivery::intake::known_channels;
use crate::delivery::links;
use crate::delivery::online::{Answer, ask_channel};
use crate::delivery::{AuditAct, Composed, Draft, Intent};
use crate::http::audit::audited;
use crate::http::openapi::{Op, Paths};
use crate::http::{Admitted, App, Caller, Scope};
use crate::ingest;
use crate::model::{DeliveryId, Language, MessageId, UnixMs};
use crate::store::{Fallback, PendingDelivery, State as DeliveryState, Summary, Target};
use crate::template::{MessageKind, TemplateRegistry};

/// The paths.
pub(super) fn paths() -> Paths {
    let api = |op: Op| op.scope(Scope::Read).problems();
    let operate = |op: Op| op.scope(Scope::Operate).problems();
    Paths::default()
        .at("/channels", [api(Op::get("listChannels", "The channels and their state", channels).gives::<Channels>())])
        .at(
            "/channels/{name}/test",
            [operate(
                Op::post("testChannel", "Really sends one message, and answers with the platform's word", test)
                    .takes::<TestSendRequest>("What to send")
                    .gives::<TestSendResponse>()
                    .refuses(&[404]),
            )],
        )
        .at(
            "/channels/{name}/drill",
            [operate(
                Op::post("drillChannel", "Sends an incident that is marked as a drill, so that the channel's buttons can be tried", drill)
                    .gives::<DrillResponse>()
                    .refuses(&[404, 409]),
            )],
        )
        .at("/nodes", [api(Op::get("listNodes", "The nodes that share the store", nodes).gives::<Nodes>())])
        .at("/heartbeats", [api(Op::get("listHeartbeats", "The dead man's switches and their state", heartbeats).gives::<Heartbeats>())])
        .at(
            "/send",
            [operate(
                Op::post("send", "Sends an ad-hoc message to the named channels; queued and retried like an alert", send)
                    .takes::<ingest::SendBody>("What to say, and where")
                    .gives::<AcceptedResponse>(),
            )],
        )
        .at(
            "/backup",
            [Op::post("backup", "Writes a consistent copy of the store to a new file on the server", backup)
                .scope(Scope::Admin)
                .problems()
                .takes::<BackupRequest>("Where to")
                .gives::<BackupResponse>()],
        )
}

async fn nodes(State(app): State<Arc<App>>, request: Request) -> ApiResult<Nodes> {
    gate(&app, Scope::Read, request).await?;
    let nodes = app.engine.live_nodes().await?;
    let same_config = nodes.windows(2).all(|pair| pair[0].plan == pair[1].plan);
    let node = |node: crate::store::NodeRow| Node {
        this: node.name == app.engine.node(),
        name: node.name,
        plan: node.plan,
        version: node.version,
        outlets: node.outlets,
    };
    Ok(Json(Nodes { nodes: nodes.into_iter().map(node).collect(), same_config }))
}

async fn heartbeats(State(app): State<Arc<App>>, request: Request) -> ApiResult<Heartbeats> {
    gate(&app, Scope::Read, request).await?;
    Ok(Json(Heartbeats { heartbeats: app.engine.heartbeats().to_vec() }))
}

async fn channels(State(app): State<Arc<App>>, request: Request) -> ApiResult<Channels> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    states(&app, &caller).await.map(Json)
}

/// The channels that the caller may see, with their state.
pub(in crate::http) async fn states(app: &App, caller: &Caller) -> Result<Channels, ApiError> {
    let plan = app.engine.plan();
    let stats = app.engine.stats().await?;
    let mutes = app.engine.mutes();
    let now = app.engine.clock().wall();
    // Who has one can report keys that nobody pressed.
    let shows_callbacks = caller.may_everywhere(Scope::Admin);
    let count = |name: &str, state: DeliveryState| stats.open.iter().find(|(c, s, _)| c == name && *s == state).map_or(0, |(_, _, n)| *n);
    let state = |c: &Arc<crate::delivery::ChannelPlan>| {
        let outlet = app.engine.outlet_state(&c.outlet);
        let (sent_last_minute, confirmed_at) = app.engine.recent_sends(&c.outlet, &c.name);
        let row = stats.outlets.iter().find(|o| o.key == c.outlet);
        // What another node's worker knows of its outlet, this one reads from the store.
        let recorded = row.filter(|_| !outlet.owned && !c.disabled);
        let mute = mutes.of_channel(&c.name, now);
        ChannelState {
            name: c.name.to_string(),
            platform: c.platform.name.to_owned(),
            disabled: c.disabled,
            outlet: c.outlet.to_string(),
            waiting: count(&c.name, DeliveryState::Waiting),
            deferred: count(&c.name, DeliveryState::Deferred),
            dead: stats.dead.iter().find(|(n, _)| n == &*c.name).map_or(0, |(_, n)| *n),
            oldest_born_at: stats.oldest.iter().find(|(n, at)| n == &*c.name && *at <= now).map(|(_, at)| *at),
            suspended: outlet.suspended.or_else(|| recorded.and_then(|row| row.suspended.clone())),
            suspended_since: outlet.suspended_since,
            next_try_at: outlet.next_try_at,
            sent_last_minute,
            rate_limit: c.rate_limit_text(),
            per_minute: c.per_minute(),
            confirmed_at,
            paused_ms: recorded.map_or(outlet.paused_ms, |row| (row.paused_until - now).max(0)),
            breaker_open: outlet.breaker_open,
            in_flight: outlet.in_flight,
            listener: app.engine.listener_state(&c.name).map(|l| Listener { connected: l.connected, error: l.error }),
            month: row.map(|r| r.month.clone()),
            month_sent: row.map_or(0, |r| r.month_sent),
            month_limit: c.allowance.per_month,
            muted_until: mute.map(|active| active.due(now)),
            muted_by: mute.and_then(|active| active.mute.name.clone()),
            muted_reason: mute.map(|active| if active.mute.name.is_some() { active.mute.why(Language::En) } else { active.mute.reason.clone() }),
            callback: Some(links::callback_url(&plan, c)).filter(|url| shows_callbacks && !url.is_empty()),
        }
    };
    Ok(Channels { channels: plan.channels.values().filter(|c| caller.may_use(&c.name)).map(state).collect() })
}

/// Really sends one message through a channel and answers with the platform's word.
async fn test(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> ApiResult<TestSendResponse> {
    let admitted = gate(&app, Scope::Operate, request).await?;
    let body: TestSendRequest = read(&admitted.body)?;
    test_channel(&app, &admitted.caller, &name, body).await.map(Json)
}

/// Really sends one message through a channel: what its platform said.
pub(in crate::http) async fn test_channel(app: &App, caller: &Caller, name: &str, body: TestSendRequest) -> Result<TestSendResponse, ApiError> {
    let intent = Intent { by: caller.author.clone(), act: AuditAct::Test, on: format!("channel {name}"), reason: String::new() };
    let told = |done: &TestSendResponse| {
        let sent = done.results.iter().filter(|result| result.ok).count();
        format!("accepted for {sent} of {} recipients", done.results.len())
    };
    audited(app, intent, send_test(app, caller, name, body), told).await
}

async fn send_test(app: &App, caller: &Caller, name: &str, body: TestSendRequest) -> Result<TestSendResponse, ApiError> {
    may_use(caller, name)?;
    let plan = app.engine.plan();
    let channel = plan.channel(name).cloned().ok_or_else(|| no_channel(&plan, caller, name))?;
    let now = app.engine.clock().wall().timestamp();
    let (event, page) = match body.payload {
        Some(payload) => {
            let settings = app.settings.load_full();
            let event = ingest::parse(&ingest::Sender::Auto, payload.to_string().as_bytes(), &settings.inputs, now)
                .map_err(|e| ApiError::bad(e.to_string()))?
                .event;
            let composed = preview(&plan, &channel, &event, now);
            let page = composed.pages.into_iter().next().ok_or_else(|| ApiError::bad("the payload renders to no message on this channel"))?;
            (event, page)
        }
        None => text_page(&channel, body.text.as_deref().unwrap_or("Watchfire test message")),
    };
    let outcome = app
        .engine
        .send_direct(&channel, event, page, channel.recipients.clone())
        .await
        .map_err(|e| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, e.to_string()))?;
    Ok(TestSendResponse {
        delivery: outcome.delivery,
        expired: outcome.expired,
        results: outcome.results.into_iter().map(|(to, result)| TestSendResult::new(to.masked(), result)).collect(),
    })
}

/// Asks a channel's platform whether it accepts the credentials; nothing is sent. A suspended channel that it does not refuse is tried at once.
pub(in crate::http) async fn probe_channel(app: &App, caller: &Caller, name: &str) -> Result<Answer, ApiError> {
    let intent = Intent { by: caller.author.clone(), act: AuditAct::Probe, on: format!("channel {name}"), reason: String::new() };
    let work = async {
        may_use(caller, name)?;
        let plan = app.engine.plan();
        let channel = plan.channel(name).cloned().ok_or_else(|| no_channel(&plan, caller, name))?;
        let outlet = channel.outlet.clone();
        let said = ask_channel(&plan, channel).await;
        if !matches!(said.answer, Answer::Refused(_)) {
            app.engine.try_now(&outlet);
        }
        Ok(said.answer)
    };
    let told = |answer: &Answer| match answer {
        Answer::Accepted(_) => "accepted".to_owned(),
        Answer::Unasked => "it cannot be asked without sending".to_owned(),
        Answer::Refused(why) => format!("refused: {why}"),
    };
    audited(app, intent, work, told).await
}

async fn drill(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> ApiResult<DrillResponse> {
    let Admitted { caller, .. } = gate(&app, Scope::Operate, request).await?;
    noted(&app, &caller, AuditAct::Drill, || format!("channel {name}"), may_use(&caller, &name)).await?;
    let plan = app.engine.plan();
    let channel = plan.channel(&name).cloned().ok_or_else(|| no_channel(&plan, &caller, &name))?;
    let intent = Intent { by: caller.author.clone(), act: AuditAct::Drill, on: format!("channel {name}"), reason: String::new() };
    let begin = async {
        app.engine.drill_channel(&channel, named(&caller.name)).await.map(|incident| DrillResponse { incident }).map_err(|error| match error {
            DrillError::Store(error) => error.into(),
            error => ApiError::new(StatusCode::CONFLICT, error.to_string()),
        })
    };
    audited(&app, intent, begin, |begun| format!("#{}", begun.incident)).await.map(Json)
}

/// What an event would look like on a channel, whole: for `render`, tests and the API. Always the same for the same event and time: its link leads to
/// no message.
pub fn preview(plan: &crate::delivery::Plan, channel: &crate::delivery::ChannelPlan, event: &crate::model::Event, now: jiff::Timestamp) -> Composed {
    let target = Target { alerts: (0..event.alerts.len() as u32).collect(), ..Default::default() };
    preview_target(plan, channel, &Arc::new(event.clone()), target, now)
}

/// The same for what a route asks for: its alerts, its template set, its mentions.
pub fn preview_target(
    plan: &crate::delivery::Plan,
    channel: &crate::delivery::ChannelPlan,
    event: &Arc<crate::model::Event>,
    target: Target,
    now: jiff::Timestamp,
) -> Composed {
    compose(plan, &plan.templates, channel, event, target, now)
}

/// The same by other templates than the plan's: those that somebody tries.
pub fn preview_by(
    plan: &crate::delivery::Plan,
    templates: &TemplateRegistry,
    channel: &crate::delivery::ChannelPlan,
    event: &Arc<crate::model::Event>,
    set: &str,
    now: jiff::Timestamp,
) -> Composed {
    let target = Target { alerts: (0..event.alerts.len() as u32).collect(), template: set.to_owned(), ..Default::default() };
    compose(plan, templates, channel, event, target, now)
}

fn compose(
    plan: &crate::delivery::Plan,
    templates: &TemplateRegistry,
    channel: &crate::delivery::ChannelPlan,
    event: &Arc<crate::model::Event>,
    target: Target,
    now: jiff::Timestamp,
) -> Composed {
    let member = PendingDelivery {
        id: DeliveryId::new(),
        event_id: crate::model::EventId::new(),
        event: Some(event.clone()),
        lane: crate::model::LaneId(0),
        lane_seq: 1,
        channel: channel.name.to_string(),
        target,
        state: DeliveryState::Waiting,
        rank: 0,
        summary: Summary { title: String::new(), firing: 0, resolved: 0 },
        born_at: now.into(),
        due_at: UnixMs::EPOCH,
        tries: 0,
        fallback: Fallback::default(),
        incident: None,
    };
    Draft {
        plan,
        templates,
        channel,
        message: MessageId(uuid::Uuid::nil()),
        members: &[member],
        kind: MessageKind::Single,
        now,
        wording: &Default::default(),
        context: &Default::default(),
        notification: &Default::default(),
    }
    .compose()
}

async fn send(State(app): State<Arc<App>>, request: Request) -> ApiResult<AcceptedResponse> {
    let Admitted { caller, body, trace, .. } = gate(&app, Scope::Operate, request).await?;
    let now = app.engine.clock().wall().timestamp();
    let ingest::SendCall { mut event, to } = ingest::send(&body, now).map_err(|e| ApiError::bad(e.to_string()))?;
    event.trace = trace;
    event.source = if caller.name.is_empty() { "direct".into() } else { format!("direct/{}", caller.name) };
    let plan = app.engine.plan();
    let (mut known, mut unknown) = known_channels(&plan, &to);
    unknown.extend(known.extract_if(.., |name| !caller.may_use(name)));
    if known.is_empty() {
        let all = plan.channels.keys().filter(|name| caller.may_use(name)).cloned().collect::<Vec<_>>().join(", ");
        return Err(ApiError::bad(format!("`to` names no channel; channels: {all}")));
    }
    event.unknown_to.clone_from(&unknown);
    // Programs send, too: the event says who and when, and the audit is for what people do.
    let accepted = app.engine.accept(event, Some(&known)).await?;
    Ok(Json(AcceptedResponse::new(&accepted, unknown)))
}

async fn backup(State(app): State<Arc<App>>, request: Request) -> ApiResult<BackupResponse> {
    let admitted = gate(&app, Scope::Admin, request).await?;
    let body: BackupRequest = read(&admitted.body)?;
    let intent = Intent { by: admitted.caller.author, act: AuditAct::Backup, on: body.file.display().to_string(), reason: String::new() };
    audited(&app, intent, async { Ok::<_, ApiError>(app.engine.backup(&body.file).await?) }, |()| "written".into()).await?;
    Ok(Json(BackupResponse { file: body.file.display().to_string() }))
}
