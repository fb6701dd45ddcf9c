//! `/webhook`, `/webhook/alertmanager`, `/webhook/grafana`, `/in/{name}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, StatusCode};

use super::openapi::{Op, Param, Paths};
use super::pairs::pairs;
use super::receive::{Address, Call, receive};
use super::{App, HttpError, Scope};
use crate::api::AcceptedResponse;
use crate::delivery::intake::known_channels;
use crate::ingest::{self, Sender};

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
        .at("/in/{name}", inputs())
}

/// The bodies of other senders: whatever they post.
fn inputs() -> [Op; 2] {
    let described = |op: Op| {
        op.scope(Scope::Webhook)
            .query([
                Param::text("to", "Channels to send to past the routing table, separated by commas"),
                Param::text("source", "Names the sender; groups and repeats are distinguished by it. Default: the credential's name"),
                Param::text("token", "A bearer token, for senders that have an address only"),
            ])
            .takes::<serde_json::Value>("The body as the sender posts it: JSON or a form")
            .gives::<AcceptedResponse>()
    };
    let about = "Accepts what another sender posts; the input of that name reads it, and what it cannot read is sent as text";
    [described(Op::post("input", about, input)), described(Op::put("inputPut", about, input))]
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

/// `POST|PUT /in/{name}`: the input of that name reads the body.
pub(super) async fn input(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    mut request: Request,
) -> Result<Json<AcceptedResponse>, HttpError> {
    // Senders of the cloud have an address and nothing else: no header, no password.
    if let Some(token) = pairs(query.as_deref()).find_map(|(name, value)| (name == "token").then_some(value))
        && !request.headers().contains_key(AUTHORIZATION)
        && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}"))
    {
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    take(&app, Sender::Input(name), query, request).await
}

async fn take(app: &App, sender: Sender, query: Option<String>, request: Request) -> Result<Json<AcceptedResponse>, HttpError> {
    let Query { to, source } = Query::parse(query.as_deref());
    let named = to.is_some() || source.is_some();
    let call = Call { scope: Scope::Webhook, sender, source };
    let accepted = receive(app, call, request, |plan, caller, event| {
        // A signature covers the body alone: anybody who has seen one could replay it to another path, or as another sender.
        if caller.signed && named {
            app.engine.metrics().received(event.kind.as_str(), "unauthorized");
            return Err(HttpError::new(StatusCode::FORBIDDEN, UNSIGNED_QUERY));
        }
        let (mut to, mut unknown) = known_channels(plan, to.as_deref().unwrap_or_default());
        unknown.extend(to.extract_if(.., |name| !caller.may_use(name)));
        Ok(Address { to, unknown, ..Address::default() })
    });
    accepted.await.map(Json)
}

const UNSIGNED_QUERY: &str = "the signature does not cover the query, so `?to=` and `?source=` are not taken from a signed caller: take them off \
    the URL; the routing table sends what it signs, and its credential's name is its source. A bearer token or basic credentials may name them.\n";

#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    to: Option<Vec<String>>,
    source: Option<String>,
}

impl Query {
    fn parse(query: Option<&str>) -> Self {
        let mut parsed = Self::default();
        for (name, value) in pairs(query) {
            match name.as_str() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_channels_and_source() {
        let query = Query::parse(Some("to=a,b%20c&x=1&to=d&source=am%2F1"));
        assert_eq!(query.to, Some(vec!["a".into(), "b c".into(), "d".into()]));
        assert_eq!(query.source.as_deref(), Some("am/1"));
        assert_eq!(Query::parse(Some("to=")), Query { to: Some(vec![]), source: None });
        assert_eq!(Query::parse(None), Query::default());
    }
}
