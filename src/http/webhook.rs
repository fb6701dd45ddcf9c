//! `/webhook`, `/webhook/alertmanager`, `/webhook/grafana`.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;

use super::openapi::{Op, Param, Paths};
use super::{Admitted, App, HttpError, Scope, Unread, authenticate};
use crate::api::AcceptedResponse;
use crate::delivery::heavy::LARGE_BODY;
use crate::delivery::intake::known_channels;
use crate::ingest::{self, Sender};
use crate::model::Note;

/// The paths.
pub(super) fn paths() -> Paths {
    fn both<H, T>(post: &'static str, put: &'static str, about: &'static str, handler: H) -> [Op; 2]
    where
        H: axum::handler::Handler<T, Arc<App>> + Clone,
        T: 'static,
    {
        let described = |op: Op| {
            op.scope(Scope::Webhook)
                .query([
                    Param::text("to", "Channels to send to past the routing table, separated by commas"),
                    Param::text("source", "Names the sender; groups and repeats are distinguished by it. Default: the credential's name"),
                ])
                .takes::<ingest::WebhookBody>("The webhook's body")
                .gives::<AcceptedResponse>()
        };
        [described(Op::post(post, about, handler.clone())), described(Op::put(put, about, handler))]
    }
    Paths::default()
        .at("/webhook", both("webhook", "webhookPut", "Accepts alerts; the sender is detected from the body", auto))
        .at("/webhook/alertmanager", both("alertmanagerWebhook", "alertmanagerWebhookPut", "Accepts Alertmanager's webhook", alertmanager))
        .at("/webhook/grafana", both("grafanaWebhook", "grafanaWebhookPut", "Accepts Grafana's webhook", grafana))
}

/// `POST|PUT /webhook`: recognises the sender by the body.
pub(super) async fn auto(State(app): State<Arc<App>>, RawQuery(query): RawQuery, request: Request) -> Result<Json<AcceptedResponse>, HttpError> {
    take(&app, Sender::Auto, query, request).await
}

/// `POST|PUT /webhook/alertmanager`.
pub(super) async fn alertmanager(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<AcceptedResponse>, HttpError> {
    take(&app, Sender::Alertmanager, query, request).await
}

/// `POST|PUT /webhook/grafana`.
pub(super) async fn grafana(State(app): State<Arc<App>>, RawQuery(query): RawQuery, request: Request) -> Result<Json<AcceptedResponse>, HttpError> {
    take(&app, Sender::Grafana, query, request).await
}

async fn take(app: &App, sender: Sender, query: Option<String>, request: Request) -> Result<Json<AcceptedResponse>, HttpError> {
    let Admitted { caller, body, doubtful, room: _room, trace } = authenticate(app, Scope::Webhook, request).await?;
    let settings = app.settings.load_full();
    let metrics = app.engine.metrics();
    let now = app.engine.clock().wall().timestamp();
    let bytes = body.len();
    // One large body at a time, from here until it is on disk.
    let heavy = app.engine.heavy();
    let alone = if bytes > LARGE_BODY { Some(heavy.large_body().await) } else { None };
    let arriving = alone.is_none().then(|| app.engine.arriving());
    let parse = move || {
        ingest::parse(sender, &body, settings.generic.as_ref(), now).map(|incoming| (incoming, None)).or_else(|error| {
            // What is no alert is delivered anyway: its sender does not look at the answer.
            match ingest::says_something(&body) {
                true => Ok((ingest::Parsed { event: ingest::unread(&body), org_id: None }, Some(error))),
                false => Err(error),
            }
        })
    };
    let parsed = if alone.is_some() { heavy.run_blocking(parse).await } else { parse() };
    let (ingest::Parsed { mut event, org_id }, unread) = parsed.map_err(|error| {
        metrics.received("any", "malformed");
        tracing::warn!(%error, bytes, "a body was refused");
        HttpError::bad_request(error.to_string())
    })?;
    event.trace = trace;
    event.notes.extend(doubtful.then_some(Note::Encoding));
    let Query { to, source } = Query::parse(query.as_deref().unwrap_or(""));
    // A signature covers the body alone: anybody who has seen one could replay it to another path, or as another sender.
    if caller.signed && (to.is_some() || source.is_some()) {
        metrics.received(event.kind.as_str(), "unauthorized");
        return Err(HttpError::new(StatusCode::FORBIDDEN, UNSIGNED_QUERY));
    }
    let plan = app.engine.plan();
    // The caller's `?source=` names the sender, else its credential does; Grafana's organisations are apart.
    event.source = ingest::source(event.kind, plan.site(source.as_deref().unwrap_or(&caller.name)), org_id);
    let mut unknown = Vec::new();
    let to = match to {
        None => None,
        Some(names) => {
            let (mut known, mut missing) = known_channels(&plan, &names);
            missing.extend(known.extract_if(.., |name| !caller.may_use(name)));
            unknown = missing;
            // A sender does not look at the answer: where it names nobody who is there, the routing table says who gets the alert.
            Some(known).filter(|known| !known.is_empty())
        }
    };
    if !unknown.is_empty() {
        let by = if to.is_some() { "the others get the alert" } else { "the routing table says who gets the alert" };
        tracing::warn!(unknown = unknown.join(","), "?to= names channels that do not exist or that its sender may not use; {by}");
        event.unknown_to.clone_from(&unknown);
    }
    drop(plan);
    let kind = event.kind.as_str();
    let mut accepting = pin!(app.engine.accept(event, to.as_deref()));
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
    metrics.received(kind, if accepted.duplicate { "duplicate" } else { "accepted" });
    if let Some(error) = unread.filter(|_| !accepted.duplicate) {
        metrics.received("any", "unread");
        tracing::warn!(%error, bytes, event = %accepted.event, "a body is no alert; it is delivered as text");
        let mut unread = app.unread.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = unread.as_ref().map_or(0, |unread| unread.count) + 1;
        *unread = Some(Unread { count, at: now.into() });
    }
    tracing::debug!(event = %accepted.event, deliveries = accepted.deliveries.len(), duplicate = accepted.duplicate, "accepted");
    Ok(Json(AcceptedResponse::new(&accepted, unknown)))
}

const UNSIGNED_QUERY: &str = "the signature does not cover the query, so `?to=` and `?source=` are not taken from a signed caller: take them off \
    the URL; the routing table sends what it signs, and its credential's name is its source. A bearer token or basic credentials may name them.\n";

#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    to: Option<Vec<String>>,
    source: Option<String>,
}

impl Query {
    fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value);
            match name {
                "to" => {
                    let names = value.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned);
                    parsed.to.get_or_insert_default().extend(names);
                }
                "source" if !value.is_empty() => parsed.source = Some(value.chars().filter(|c| !c.is_control()).take(100).collect()),
                _ => {}
            }
        }
        parsed
    }
}

fn decode(value: &str) -> String {
    percent_encoding::percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_channels_and_source() {
        let query = Query::parse("to=a,b%20c&x=1&to=d&source=am%2F1");
        assert_eq!(query.to, Some(vec!["a".into(), "b c".into(), "d".into()]));
        assert_eq!(query.source.as_deref(), Some("am/1"));
        assert_eq!(Query::parse("to="), Query { to: Some(vec![]), source: None });
        assert_eq!(Query::parse(""), Query::default());
    }
}
