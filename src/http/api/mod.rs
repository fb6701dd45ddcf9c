//! `/api/v1`: look up, explain, retry, drop and move deliveries; mute channels; send. JSON in and out, errors as `application/problem+json`.

mod channels;
mod deliveries;
mod events;
mod next;

use axum::Json;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answers::Problem;
use super::openapi::Paths;
use super::{Admitted, App, Caller, HttpError, Scope, admit};

pub use channels::{preview, preview_target, text_page};

/// Entries on a page unless asked otherwise, and at most.
const PAGE: usize = 50;
const MAX_PAGE: usize = 500;

type Answer<T> = Result<Json<T>, ApiError>;

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
    Paths::default().below("", deliveries::paths()).below("", events::paths()).below("", channels::paths())
}

/// Refuses what would send to a channel, or keep from it, that the caller's credential does not name.
fn may_use(caller: &Caller, channel: &str) -> Result<(), ApiError> {
    if caller.may_use(channel) {
        return Ok(());
    }
    Err(ApiError::new(StatusCode::FORBIDDEN, format!("these credentials may not use channel `{channel}` (see `channels` of the credential)")))
}

async fn gate(app: &App, request: Request) -> Result<Admitted, ApiError> {
    Ok(admit(app, Scope::Api, request).await?)
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|e| ApiError::bad(format!("the body is not as expected: {e}")))
}

fn limit_schema() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE })
}

/// Names and values of a query.
fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name).chars().take(60).collect(), decode(value))
    })
}
