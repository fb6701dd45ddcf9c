//! `/api/v1`: look up, explain, route, retry, drop and move deliveries; mute; send. JSON in and out, errors as `application/problem+json`.

mod audit;
pub(super) mod channels;
pub(super) mod deliveries;
pub(super) mod events;
pub(super) mod incidents;
pub(super) mod mutes;
pub(super) mod next;
pub(super) mod oncall;
pub mod routes;
mod times;

use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::Blame;
use super::openapi::Paths;
use super::search::Span;
use super::{Admitted, App, Caller, HttpError, Scope, authenticate};
use crate::api::{Problem, plural};
use crate::config::nearest;
use crate::delivery::{AuditAct, Intent, Plan};
use crate::model::{Event, Extra, UnixMs};
use crate::store::AuditState;

pub(super) use crate::api::no_id;
pub use channels::{preview, preview_by, preview_target};

/// Entries on a page unless asked otherwise, and at most.
const PAGE: usize = 50;
const MAX_PAGE: usize = 500;

type ApiResult<T> = Result<Json<T>, ApiError>;

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

    fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
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

impl Blame for ApiError {
    fn status(&self) -> StatusCode {
        self.0.status()
    }

    fn text(&self) -> &str {
        &self.1
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let mut response = self.0.into_response();
        let headers = std::mem::take(response.headers_mut());
        let mut response = problem(status, self.1);
        for name in [header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
            if let Some(value) = headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response
    }
}

/// An error answer with its reason.
pub(super) fn problem(status: StatusCode, detail: String) -> Response {
    let problem = Problem { kind: "about:blank".into(), title: status.canonical_reason().unwrap_or("error").into(), status: status.as_u16(), detail };
    let mut response = (status, Json(problem)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
    response
}

/// The paths below `/api/v1`.
pub(super) fn paths() -> Paths {
    Paths::default()
        .below("", deliveries::paths())
        .below("", events::paths())
        .below("", incidents::paths())
        .below("", channels::paths())
        .below("", mutes::paths())
        .below("", oncall::paths())
        .below("", routes::paths())
        .below("", audit::paths())
}

/// Refuses what would show a channel, send to it, or keep from it, that the caller's credential does not name.
fn may_use(caller: &Caller, channel: &str) -> Result<(), ApiError> {
    if caller.may_use(channel) { Ok(()) } else { Err(not_for(caller, &format!("channel `{channel}`"))) }
}

/// What the caller's `channels` keep from it.
fn not_for(caller: &Caller, what: &str) -> ApiError {
    let mut channels = caller.channels.join(", ");
    if channels.len() > 200 {
        channels = format!("{} channels", caller.channels.len());
    }
    let detail = format!("{what} is not for the credential `{}`, which is limited to {channels} (see its `channels` in server.auth)", caller.name);
    ApiError::new(StatusCode::FORBIDDEN, detail)
}

/// Refuses what is shared by all channels to credentials that may see some only.
fn for_all(caller: &Caller, what: &str) -> Result<(), ApiError> {
    if caller.is_limited() { Err(not_for(caller, what)) } else { Ok(()) }
}

/// Records that somebody may not do something, where they may not.
async fn noted(app: &App, caller: &Caller, act: AuditAct, on: impl FnOnce() -> String, may: Result<(), ApiError>) -> Result<(), ApiError> {
    const LONGEST: usize = 200;
    if let Err(error) = &may
        && app.may_note_refusal()
    {
        let intent = Intent { by: caller.author.clone(), act, on: on().chars().take(LONGEST).collect(), reason: String::new() };
        app.engine.note_audit(intent, AuditState::Refused, error.text()).await;
    }
    may
}

/// Nothing of this kind has this name; which has a similar one, or which there are.
fn nearest_of<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> ApiError {
    let name: String = name.chars().take(60).collect();
    let known: Vec<&str> = known.collect();
    let help = match nearest(&name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "none is defined in routes.yaml".to_owned(),
        None => format!("there are: {}", known.iter().take(20).copied().collect::<Vec<_>>().join(", ")),
    };
    ApiError::missing(format!("there is no {what} `{name}`; {help}"))
}

/// A span of time that holds something: an empty list would say that nothing happened.
fn in_order(span: Span) -> Result<Span, ApiError> {
    match (span.since, span.until) {
        (Some(since), Some(until)) if since >= until => {
            let why = "`since` is not before `until`, so nothing can be between them; from ten to five minutes ago is `since` 10m and `until` 5m";
            Err(ApiError::bad(why))
        }
        _ => Ok(span),
    }
}

/// No delivery or event has this identity.
fn gone(what: &str, id: &str) -> ApiError {
    ApiError::missing(format!("there is no {what} {id}; those past `retention` are removed, `/api/v1/{}` lists those that are there", plural(what)))
}

/// No channel has this name; which has a similar one, or which there are.
fn no_channel(plan: &Plan, caller: &Caller, name: &str) -> ApiError {
    let name: String = name.chars().take(60).collect();
    let known: Vec<&str> = plan.channels.keys().map(|known| &**known).filter(|known| caller.may_use(known)).collect();
    let help = match nearest(&name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.len() > 20 => format!("{} channels are known, see `/api/v1/channels`", known.len()),
        None => format!("channels: {}", known.join(", ")),
    };
    ApiError::missing(format!("there is no channel `{name}`; {help}"))
}

/// An event with some of its alerts only. What its sender says besides is about all of them, and left out.
fn part(event: &Event, places: &[u32]) -> Event {
    let alerts = places.iter().filter_map(|place| event.alerts.get(*place as usize).cloned()).collect();
    Event { alerts, extra: Extra::default(), ..event.clone() }
}

async fn gate(app: &App, scope: Scope, request: Request) -> Result<Admitted, ApiError> {
    Ok(authenticate(app, scope, request).await?)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    let mut text = serde_json::Deserializer::from_slice(body);
    let found = serde_path_to_error::deserialize(&mut text).map_err(|error| {
        let member = error.path().to_string();
        unread(&member, &error.into_inner())
    })?;
    text.end().map_err(|error| unread(".", &error))?;
    Ok(found)
}

/// The body is not what its path takes: where, which member, and why.
fn unread(member: &str, error: &serde_json::Error) -> ApiError {
    let (line, column) = (error.line(), error.column());
    let why = error.to_string();
    let why = why.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&why);
    let of: String = if matches!(member, "." | "?") { String::new() } else { format!("`{}`: ", member.chars().take(60).collect::<String>()) };
    ApiError::bad(format!("the body is not as expected, at line {line}, column {column}: {of}{why}"))
}

/// What a time in a query is.
pub(crate) const A_TIME: &str = "a time: how long ago, as `1h`, RFC 3339, or Unix milliseconds";

/// A time in a query.
fn moment(app: &App, name: &str, value: &str) -> Result<UnixMs, ApiError> {
    let given = || value.chars().take(60).collect::<String>();
    UnixMs::asked(value, app.engine.clock().wall()).ok_or_else(|| ApiError::bad(format!("`{name}` takes {A_TIME}; not `{}`", given())))
}

fn limit_schema() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DeliveriesRequest;
    use crate::model::Alert;

    #[test]
    fn a_body_that_cannot_be_read_says_where_and_which_member() {
        let why = |body: &str| read::<DeliveriesRequest>(body.as_bytes()).err().map(|error| error.1).unwrap_or_default();
        let id = "0198c5b2-7f6e-7c3a-9d41-5b8f0a2e6c17";
        assert_eq!(why(&format!(r#"{{"ids":["{id}"]}}"#)), "");
        let said = why(&format!(r#"{{"ids":["{id}","nope"]}}"#));
        assert!(said.starts_with("the body is not as expected, at line 1, column ") && !said.contains("UUID"), "{said}");
        assert!(said.contains(": `ids[1]`: `nope` is no delivery's id, as 0198c5b2-") && said.ends_with("list those that are there"), "{said}");
        let said = why(r#"{"ids":[7]}"#);
        assert!(said.contains("`ids[0]`: invalid type: integer `7`, expected a delivery's id, as 0198c5b2-"), "{said}");
        let said = why(&format!("{{\"ids\":[\"{id}\"],\n\"reason\":7}}"));
        assert!(
            said.starts_with("the body is not as expected, at line 2, column ") && said.contains(": `reason`: invalid type: integer `7`"),
            "{said}"
        );
        assert!(why(r#"{"id":[]}"#).contains("unknown field `id`, expected one of `ids`, `reason`, `to`"));
        assert!(why(&format!(r#"{{"ids":["{id}"]}} x"#)).ends_with(": trailing characters") && why("").contains("EOF while parsing"));
    }

    #[test]
    fn a_part_of_an_event_has_nothing_about_all_of_it() {
        let mut event = Event { alerts: vec![Alert::default(), Alert::default()], ..Event::default() };
        event.extra.insert("host".into(), json!("db-1"));
        let part = part(&event, &[1]);
        assert!(part.alerts.len() == 1 && part.extra.is_empty());
    }
}
