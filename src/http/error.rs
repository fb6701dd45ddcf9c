//! Error answers: short plain text whose first line decides, because senders log it and cut it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::store::StoreError;

/// How the errors of the store begin.
const OF_STORE: &str = "not accepted: ";

/// Whether the text of an error says that the store could not do it, be it after a part of it was done.
pub(super) fn is_of_store(text: &str) -> bool {
    text.contains(OF_STORE)
}

/// An answer that is not 2xx.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    text: String,
    retry_after: Option<u32>,
}

impl HttpError {
    /// An error answer; the text is cut at 1,000 bytes (Grafana keeps 1,024).
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: crate::model::scrub(&text.into(), &[], 1000), retry_after: None }
    }

    /// 400.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 503 with Retry-After: Alertmanager repeats 5xx and nothing else.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text) }
    }

    /// The same, to be repeated after so many seconds.
    pub fn unavailable_for(seconds: u32, text: impl Into<String>) -> Self {
        Self { retry_after: Some(seconds), ..Self::unavailable(text) }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the store could not do it.
    pub(super) fn is_of_store(&self) -> bool {
        is_of_store(&self.text)
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Invalid(text) => Self::bad_request(text),
            other => Self::unavailable(format!("{OF_STORE}{other}")),
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let mut response = (self.status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], self.text + "\n").into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 asks for it, and browsers ask for a password by it.
            const KINDS: HeaderValue = HeaderValue::from_static("Bearer realm=\"watchfire\", Basic realm=\"watchfire\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, KINDS);
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
