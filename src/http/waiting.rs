//! What is answered while the store cannot be opened yet: another process has it, the database is down, or it is being brought up to date.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};

use super::middleware::headers;
use super::{HttpError, health, legacy};
use crate::store::OpenProgress;

/// `/-/healthy` is 200; everything else is 503 with the reason, which senders repeat.
pub fn waiting(wait: OpenProgress) -> Router {
    Router::new().route("/-/healthy", get(health::healthy)).fallback(any(not_yet)).with_state(wait).layer(axum::middleware::map_response(closing))
}

async fn not_yet(State(wait): State<OpenProgress>, request: Request) -> Response {
    let reason = wait.reason();
    let told = HttpError::unavailable(match reason.is_empty() {
        true => "not ready: the store is being opened".to_owned(),
        false => format!("not ready: waiting for the store: {reason}"),
    });
    if legacy::is_at(request.uri().path()) {
        return legacy::refusal(StatusCode::SERVICE_UNAVAILABLE, told.text());
    }
    told.into_response()
}

/// The connection is not kept: the next request may find the server ready.
async fn closing(response: Response) -> Response {
    let mut response = headers(response);
    if response.status() != StatusCode::OK {
        response.headers_mut().insert(axum::http::header::CONNECTION, axum::http::HeaderValue::from_static("close"));
    }
    response
}
