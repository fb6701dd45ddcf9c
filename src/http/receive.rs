//! From a request with a body to an event that is stored: what `/webhook`, `/in/{name}` and the paths of other bridges share.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use axum::extract::Request;
use jiff::Timestamp;

use super::{Admitted, App, Caller, HttpError, Scope, Unread, authenticate};
use crate::api::AcceptedResponse;
use crate::delivery::Plan;
use crate::delivery::heavy::LARGE_BODY;
use crate::ingest::{self, IngestError, Inputs, Parsed, Sender};
use crate::model::{Event, Mentions, Note, Recipient};

/// What a path and its query say of a body.
pub(super) struct Call {
    /// What its caller must be allowed to do.
    pub(super) scope: Scope,
    /// Who reads it.
    pub(super) sender: Sender,
    /// Its sender's name; `None`: the credential's.
    pub(super) source: Option<String>,
}

/// Where a body goes that names channels.
#[derive(Default)]
pub(super) struct Address {
    /// The channels; none: the routing table says.
    pub(super) to: Vec<String>,
    /// What it names besides, and there is not.
    pub(super) unknown: Vec<String>,
    /// Whom its messages ping; `None`: whom the channels do.
    pub(super) mentions: Option<Mentions>,
    /// By channel, to whom they go in place of the channel's recipients.
    pub(super) recipients: BTreeMap<String, Vec<Recipient>>,
    /// The set of templates that renders it, on platforms that have it; `None`: what routes and channels say.
    pub(super) template: Option<String>,
}

/// Admits, reads, and stores. `address` says where it goes, and may still change the event.
pub(super) async fn receive(
    app: &App,
    call: Call,
    request: Request,
    address: impl FnOnce(&Plan, &Caller, &mut Event) -> Result<Address, HttpError>,
) -> Result<AcceptedResponse, HttpError> {
    let Call { scope, sender, source } = call;
    let Admitted { caller, body, doubtful, room: _room, trace } = authenticate(app, scope, request).await?;
    let settings = app.settings.load_full();
    let metrics = app.engine.metrics();
    let now = app.engine.clock().wall().timestamp();
    let bytes = body.len();
    // One large body at a time, from here until it is on disk.
    let heavy = app.engine.heavy();
    let alone = if bytes > LARGE_BODY { Some(heavy.large_body().await) } else { None };
    let arriving = alone.is_none().then(|| app.engine.arriving());
    let parse = move || read(&sender, &body, &settings.inputs, now);
    let read = if alone.is_some() { heavy.run_blocking(parse).await } else { parse() };
    let (Parsed { mut event, org_id }, unread) = read.map_err(|error| {
        metrics.received("any", "malformed");
        tracing::warn!(%error, bytes, "a body was refused");
        HttpError::bad_request(error.to_string())
    })?;
    event.trace = trace;
    event.notes.extend(doubtful.then_some(Note::Encoding));
    let plan = app.engine.plan();
    // The caller's `?source=` names the sender, else its credential does; Grafana's organisations are apart.
    let site = plan.site(source.as_deref().unwrap_or(&caller.name));
    event.source = ingest::source(event.kind, site, org_id);
    let credential = (!caller.name.is_empty() && site != caller.name).then(|| caller.name.clone());
    let Address { to, unknown, mentions, recipients, template } = address(&plan, &caller, &mut event)?;
    // A sender does not look at the answer: where it names nobody who is there, the routing table says who gets the alert.
    let to = Some(to).filter(|to| !to.is_empty());
    event.unknown_to.clone_from(&unknown);
    drop(plan);
    let (kind, is_empty) = (event.kind.as_str(), event.alerts.is_empty());
    let mut accepting = pin!(app.engine.accept_addressed(event, to.as_deref(), mentions, recipients, template, credential));
    // Its first step queues it for the store.
    let queued = poll_fn(|cx| Poll::Ready(accepting.as_mut().poll(cx))).await;
    drop(arriving);
    let accepted = match queued {
        Poll::Ready(accepted) => accepted,
        Poll::Pending => accepting.await,
    };
    let accepted = accepted.inspect_err(|error| {
        metrics.received(kind, "unavailable");
        tracing::error!(%error, "a body could not be stored; its sender got 503");
    })?;
    drop(alone);
    if !unknown.is_empty() {
        let by = if to.is_some() { "the others get the alert" } else { "the routing table says who gets the alert" };
        tracing::warn!(event = %accepted.event, unknown = unknown.join(","), "the address names channels that do not exist or that its sender may not use; {by}");
    }
    metrics.received(kind, if accepted.duplicate { "duplicate" } else { "accepted" });
    match unread {
        Some(error) if is_empty => {
            tracing::warn!(%error, bytes, event = %accepted.event, "a body holds no alert; it is kept without a delivery, see `watchfire events ls --unrouted`");
        }
        Some(error) if !accepted.duplicate => {
            tracing::warn!(%error, bytes, event = %accepted.event, "a body is no alert; it is delivered as text");
            count_unread(app, now);
        }
        _ => {}
    }
    Ok(AcceptedResponse::new(&accepted, unknown))
}

/// Notes a body that is delivered as text, for the metrics and for `watchfire status`.
fn count_unread(app: &App, now: Timestamp) {
    app.engine.metrics().received("any", "unread");
    let mut unread = app.unread.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let count = unread.as_ref().map_or(0, |unread| unread.count) + 1;
    *unread = Some(Unread { count, at: now.into() });
}

/// The event of a body, and why it could only be read as text.
fn read(sender: &Sender, body: &[u8], inputs: &Inputs, now: Timestamp) -> Result<(Parsed, Option<IngestError>), IngestError> {
    let read = ingest::parse(sender, body, inputs, now).map(|parsed| (parsed, None)).or_else(|error| {
        // What is no alert is kept anyway, and delivered if it says anything: its sender does not look at the answer.
        match ingest::says_something(body) {
            true => Ok((Parsed { event: ingest::unread(body), org_id: None }, Some(error))),
            false => Err(error),
        }
    });
    let no_input = matches!(sender, Sender::Input(name) if inputs.get(name).is_none());
    read.map(|(mut parsed, unread)| {
        parsed.event.notes.extend(no_input.then_some(Note::NoInput));
        (parsed, unread)
    })
}
