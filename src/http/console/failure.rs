//! Why there is no page.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::HttpError;
use crate::http::api::ApiError;
use crate::http::audit::Blame as _;
use crate::store::StoreError;

/// Why there is no page. [`super::error_page`] makes one of it, in the reader's language.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// Nobody is logged in.
    Login,
    /// Something went wrong, or is refused.
    Answer(StatusCode, String),
}

impl Failure {
    /// A refusal with its reason, in English; `templates/reasons.yaml` has the Chinese of it.
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self::Answer(status, why.into())
    }

    /// What was asked for is not there.
    pub(super) fn missing(why: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, why)
    }

    /// What was sent is not as expected.
    pub(super) fn bad(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::Answer(error.status(), error.text().to_owned())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        HttpError::from(error).into()
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Answer(error.status(), error.text().to_owned())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = if let Failure::Answer(status, _) = &self { *status } else { StatusCode::UNAUTHORIZED };
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
