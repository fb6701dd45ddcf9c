//! An HTTP answer, read once and capped, and the one table that says what a status means. Drivers refine by the platform's own code.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::wait;
use super::words::unescaped;
use crate::model::{ErrorKind, PlatformIds, Receipt, Secret, SendError, scrub};

/// Bytes of an answer that are read unless the call says otherwise; the rest is left unread. Many platforms repeat the message in their answer, some twice
/// and with `\uXXXX` for each character that is not ASCII: a success that is not read to its end would be sent again.
pub const MAX_BODY: usize = 128 * 1024;

/// Bytes of an answer that are kept for people: in receipts, errors and attempts.
pub const MAX_EXCERPT: usize = 1024;

/// An HTTP answer. Its body may hold secrets until it has gone through [`Reply::excerpt`]; `Debug` shows no more than that.
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) cut: bool,
    /// The request did nothing: an answer that cannot be read leaves no doubt behind.
    pub(super) idempotent: bool,
    pub(super) secrets: Vec<Secret>,
}

impl Reply {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header's value, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as read: at most [`MAX_BODY`] bytes or what the call allows, without the mark of UTF-8 that some servers put in front.
    pub fn body(&self) -> &[u8] {
        self.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.body)
    }

    /// The body as text, broken UTF-8 replaced. Not for people: use [`Reply::excerpt`].
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body())
    }

    /// Whether the answer was longer than what was read of it, or broke off.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The body for people: `\uXXXX` written out, scrubbed of every secret that the request carried, at most [`MAX_EXCERPT`] bytes.
    pub fn excerpt(&self) -> String {
        scrub(&unescaped(self.text().trim()), &self.secrets.iter().collect::<Vec<_>>(), MAX_EXCERPT)
    }

    /// The body as JSON, or `None` when it is something else. A member that is null is not there.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        let body = self.body();
        serde_json::from_slice(body).ok().or_else(|| serde_json::from_value(without_nulls(serde_json::from_slice(body).ok()?)).ok())
    }

    /// Whether a web page came: a proxy's or a login's, in the platform's place.
    pub fn is_page(&self) -> bool {
        self.body().trim_ascii_start().first() == Some(&b'<')
    }

    /// How long the platform asks us to wait when it limits the rate: `Retry-After` (RFC 9110 10.2.3) or another header that says so, else
    /// what its body says. At most a day; `None` when nothing can be read.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        wait::in_headers(&self.headers, now).or_else(|| wait::in_body(&self.text(), now))
    }

    /// A rate limit without a wait gets the one that the answer names ([`Reply::retry_after`]); every other kind stays.
    pub fn with_wait(&self, kind: ErrorKind, now: Timestamp) -> ErrorKind {
        match kind {
            ErrorKind::RateLimited { retry_after } => ErrorKind::RateLimited { retry_after: retry_after.or_else(|| self.retry_after(now)) },
            kind => kind,
        }
    }

    /// The server's clock, from the `Date` header.
    pub fn date(&self) -> Option<Timestamp> {
        wait::server_time(&self.headers)
    }

    /// A receipt with this answer as its proof.
    pub fn receipt(&self, code: impl Into<String>, ids: PlatformIds) -> Receipt {
        Receipt { ids, code: code.into(), answer: self.excerpt() }
    }

    /// An error with this answer as its detail. The summary may quote the platform: it is scrubbed like the answer.
    pub fn error(&self, kind: ErrorKind, code: impl Into<String>, summary: impl AsRef<str>) -> SendError {
        let summary = scrub(summary.as_ref(), &self.secrets.iter().collect::<Vec<_>>(), MAX_EXCERPT);
        let error = SendError::new(kind, summary).code(code);
        let detail = self.excerpt();
        if detail.is_empty() { error } else { error.detail(detail) }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("body", &self.excerpt()).field("cut", &self.cut).finish_non_exhaustive()
    }
}

/// A value without the members that are null: a success is none the less one where a text of its answer is null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        value => value,
    }
}

/// What the status alone says; `None` for 2xx. The table (statuses per RFC 9110; the retried ones as the Prometheus Alertmanager and its
/// webhooks expect them):
///
/// | status | kind |
/// |---|---|
/// | 429, and 420 of older interfaces; 503 with `Retry-After`; Cloudflare's 1015 | `RateLimited`, with the wait that the answer names |
/// | 408, 421, 425, 5xx | `Transient`; 421 by RFC 9110 15.5.20, over another connection |
/// | 3xx, 401, 402, 403, 404, 405, 407, 410 | `Misconfigured`: wrong address or credentials; repeating cannot help, changing the file can |
/// | any other 4xx | `Rejected` |
pub fn classify_status(reply: &Reply, now: Timestamp) -> Option<SendError> {
    use ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};
    let asked = wait::retry_after(&reply.headers, now);
    let (kind, what) = match reply.status {
        200..=299 => return None,
        420 | 429 => (RateLimited { retry_after: reply.retry_after(now) }, "it asks us to slow down"),
        503 if asked.is_some() => (RateLimited { retry_after: asked }, "it is not available and says when to come back"),
        // Cloudflare, in front of many platforms: <https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/>
        403 if reply.body().trim_ascii().starts_with(b"error code: 1015") => {
            (RateLimited { retry_after: reply.retry_after(now) }, "Cloudflare, in front of it, limits this machine's address")
        }
        408 | 421 | 425 | 500..=599 => (Transient, "the server could not serve the request this time"),
        300..=399 => (Misconfigured, "the address redirects, which is not followed; write the final address"),
        402 => (Misconfigured, "it wants to be paid first; look at the account"),
        401 | 403 => (Misconfigured, "the credentials are not accepted; check the token or password and what it may do"),
        404 | 405 | 410 => (Misconfigured, "nothing takes messages at this address; check the address, and whether it was revoked"),
        407 => (Misconfigured, "the proxy wants other credentials; check `proxy`"),
        400..=499 => (Rejected, "the request was refused"),
        _ => (Transient, "the answer is not a final HTTP answer"),
    };
    Some(reply.error(kind, format!("HTTP {}", reply.status), format!("HTTP {}: {what}", reply.status)))
}

/// What a status says that no body may deny: 429 (or 420) is a rate limit, and 408, 421, 425 and 5xx are passing trouble (503 with `Retry-After` a rate limit),
/// whatever code the body bears. `None` for every other status: there the body's code decides.
pub fn undeniable(reply: &Reply, now: Timestamp) -> Option<ErrorKind> {
    classify_status(reply, now).map(|error| error.kind).filter(|kind| matches!(kind, ErrorKind::Transient | ErrorKind::RateLimited { .. }))
}

/// Reads the platform's own answer: the body when it is the JSON that is expected, whatever the status; else what the status says; else,
/// on 2xx, a failure, because a success that does not speak the platform's language is none: `Transient` when a page (a proxy's, a login's)
/// came in the platform's place, `Ambiguous` when the answer broke off or cannot be read, for the platform may have taken the message.
pub fn parse<T: DeserializeOwned>(reply: &Reply, now: Timestamp) -> Result<T, SendError> {
    if let Some(answer) = reply.json() {
        return Ok(answer);
    }
    Err(classify_status(reply, now).unwrap_or_else(|| unclear(reply)))
}

/// A 2xx that is not the platform's word for success: `Transient` when a page came in the platform's place, else `Ambiguous`, for the platform
/// may have taken the message.
pub fn unclear(reply: &Reply) -> SendError {
    let (kind, summary) = match (reply.is_page(), reply.cut) {
        (false, _) if reply.idempotent => {
            (ErrorKind::Transient, "the answer is not the platform's JSON, or broke off; is a proxy answering in its place?")
        }
        (true, _) => (ErrorKind::Transient, "a web page came instead of the platform's JSON; is a proxy or a login page answering in its place?"),
        (_, true) => (ErrorKind::Ambiguous, "the answer is far longer than the platform's, or broke off; it may have been delivered"),
        _ => (ErrorKind::Ambiguous, "the answer is not the platform's word for a delivered message; it may have been delivered"),
    };
    reply.error(kind, format!("HTTP {}", reply.status), summary)
}

/// The status and the platform's own code together. What the status says that no body may deny holds ([`undeniable`]), else what the code is
/// `known` to mean, else what the status says; a code that nobody knows under 2xx refuses this message. A rate limit gets the wait that the
/// answer names.
pub fn weigh(reply: &Reply, now: Timestamp, known: Option<ErrorKind>) -> ErrorKind {
    let by_status = || classify_status(reply, now).map(|error| error.kind);
    reply.with_wait(undeniable(reply, now).or(known).or_else(by_status).unwrap_or(ErrorKind::Rejected), now)
}

/// A refusal under a status that no body may deny ([`undeniable`]) is none, of the message or of its receiver: it passes.
pub fn passing(reply: &Reply, error: SendError, now: Timestamp) -> SendError {
    match (undeniable(reply, now), error.kind) {
        (Some(kind), ErrorKind::Rejected | ErrorKind::Misconfigured) => SendError { kind, recipient: false, ..error },
        _ => error,
    }
}
