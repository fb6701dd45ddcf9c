//! Acts by hand over HTTP: who does them and from where, recorded before and after.

use axum::http::{HeaderMap, StatusCode, header};

use super::App;
use crate::delivery::Intent;
use crate::store::{AuditState, Author};

/// What the command line calls itself.
pub const COMMAND_LINE: &str = concat!("watchfire/", env!("CARGO_PKG_VERSION"));

/// Who calls the API, as the audit names them; the name is that of the credential.
pub(super) fn author(name: &str, headers: &HeaderMap, from: &str) -> Author {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let via = if agent == COMMAND_LINE { "command line" } else { "API" };
    Author { name: name.to_owned(), via: via.to_owned(), from: from.to_owned() }
}

/// An error that says whether its caller or the server is to blame.
pub(super) trait Blame: From<crate::store::StoreError> {
    /// The status of its answer.
    fn status(&self) -> StatusCode;
    /// What happened, in words.
    fn text(&self) -> &str;
}

/// Does what somebody asks for: recorded before, and after with what `told` makes of it. What cannot be recorded is not done.
pub(super) async fn audited<T, E: Blame>(
    app: &App,
    intent: Intent,
    work: impl Future<Output = Result<T, E>>,
    told: impl FnOnce(&T) -> String,
) -> Result<T, E> {
    let act = app.engine.begin_audit(intent).await?;
    let done = work.await;
    let (state, outcome) = match &done {
        Ok(done) => (AuditState::Done, told(done)),
        Err(error) if error.status().is_client_error() => (AuditState::Refused, error.text().to_owned()),
        Err(error) => (AuditState::Failed, error.text().to_owned()),
    };
    app.engine.end_audit(act, state, &outcome).await;
    done
}
