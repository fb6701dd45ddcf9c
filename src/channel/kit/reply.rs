//! An HTTP answer, read once and capped, and the one table that says what a status means. Drivers refine by the platform's own code.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;

use crate::model::{ErrorKind, Receipt, Secret, SendError, scrub};

/// Bytes of an answer that are read; the rest is left unread. Every platform's answer to a message is far smaller.
pub const MAX_BODY: usize = 64 * 1024;

/// Bytes of an answer that are kept for people: in receipts, errors and attempts.
pub const MAX_EXCERPT: usize = 1024;

/// The longest wait that is believed of an answer.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// An HTTP answer. Its body may hold secrets until it has gone through [`Reply::excerpt`]; `Debug` shows no more than that.
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) cut: bool,
    /// The request did nothing: an answer that cannot be read leaves no doubt behind.
    pub(super) harmless: bool,
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

    /// The body as read: at most [`MAX_BODY`] bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text, broken UTF-8 replaced. Not for people: use [`Reply::excerpt`].
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Whether the answer was longer than what was read of it, or broke off.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// The body for people: scrubbed of every secret that the request carried, at most [`MAX_EXCERPT`] bytes.
    pub fn excerpt(&self) -> String {
        scrub(self.text().trim(), &self.secrets.iter().collect::<Vec<_>>(), MAX_EXCERPT)
    }

    /// The body as JSON, or `None` when it is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// How long the platform asks us to wait: `Retry-After` (seconds or an HTTP date, RFC 9110 10.2.3), else `x-ogw-ratelimit-reset`
    /// (seconds, Feishu: <https://open.feishu.cn/document/server-docs/api-call-guide/frequency-control>). At most a day.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let seconds = |text: &str| text.trim().parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
        let capped = |seconds: f64| Duration::from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64()));
        if let Some(value) = self.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()) {
            if let Some(s) = seconds(value) {
                return Some(capped(s));
            }
            if let Some(date) = http_date(value) {
                return Some(capped(date.duration_since(now).as_secs_f64().max(0.0)));
            }
        }
        self.header("x-ogw-ratelimit-reset").and_then(seconds).map(capped)
    }

    /// The server's clock, from the `Date` header.
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.headers.get(DATE)?.to_str().ok()?)
    }

    /// A receipt with this answer as its proof.
    pub fn receipt(&self, code: impl Into<String>, platform_id: Option<String>) -> Receipt {
        Receipt { platform_id, code: code.into(), answer: self.excerpt() }
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

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

/// What the status alone says; `None` for 2xx. The table (statuses per RFC 9110; the retried ones as the Prometheus Alertmanager and its
/// webhooks expect them):
///
/// | status | kind |
/// |---|---|
/// | 429; 503 with `Retry-After` | `RateLimited`, with the wait that the answer names |
/// | 408, 425, 5xx | `Transient` |
/// | 3xx, 401, 403, 404, 405, 407, 410 | `Misconfigured`: wrong address or credentials; repeating cannot help, changing the file can |
/// | any other 4xx | `Rejected` |
pub fn classify_status(reply: &Reply, now: Timestamp) -> Option<SendError> {
    use ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};
    let wait = reply.retry_after(now);
    let (kind, what) = match reply.status {
        200..=299 => return None,
        429 => (RateLimited { retry_after: wait }, "it asks us to slow down"),
        503 if wait.is_some() => (RateLimited { retry_after: wait }, "it is not available and says when to come back"),
        408 | 425 | 500..=599 => (Transient, "the server could not serve the request this time"),
        300..=399 => (Misconfigured, "the address redirects, which is not followed; write the final address"),
        401 | 403 => (Misconfigured, "the credentials are not accepted; check the token or password and what it may do"),
        404 | 405 | 410 => (Misconfigured, "nothing takes messages at this address; check the address, and whether it was revoked"),
        407 => (Misconfigured, "the proxy wants other credentials; check `proxy`"),
        400..=499 => (Rejected, "the request was refused"),
        _ => (Transient, "the answer is not a final HTTP answer"),
    };
    Some(reply.error(kind, format!("HTTP {}", reply.status), format!("HTTP {}: {what}", reply.status)))
}

/// What a status says that no body may deny: 429 is a rate limit, and 408, 425 and 5xx are passing trouble (503 with `Retry-After` a rate limit),
/// whatever code the body bears. `None` for every other status: there the body's code decides.
pub fn undeniable(reply: &Reply, now: Timestamp) -> Option<ErrorKind> {
    classify_status(reply, now).map(|error| error.kind).filter(|kind| matches!(kind, ErrorKind::Transient | ErrorKind::RateLimited { .. }))
}

/// Reads the platform's own answer: the body when it is the JSON that is expected, whatever the status; else what the status says; else,
/// on 2xx, a failure, because a success that does not speak the platform's language is none: `Transient` when a page (a proxy's, a login's)
/// stands in the platform's place, `Ambiguous` when the answer broke off or cannot be read, for the platform may have taken the message.
pub fn parse<T: DeserializeOwned>(reply: &Reply, now: Timestamp) -> Result<T, SendError> {
    if let Some(answer) = reply.json() {
        return Ok(answer);
    }
    Err(classify_status(reply, now).unwrap_or_else(|| {
        let page = reply.body().trim_ascii_start().first() == Some(&b'<');
        let (kind, summary) = match (page, reply.cut) {
            (false, _) if reply.harmless => {
                (ErrorKind::Transient, "the answer is not the platform's JSON, or broke off; is a proxy answering in its place?")
            }
            (true, _) => (ErrorKind::Transient, "a web page came instead of the platform's JSON; is a proxy or a login page answering in its place?"),
            (_, true) => (ErrorKind::Ambiguous, "the answer is far longer than the platform's, or broke off; it may have been delivered"),
            _ => (ErrorKind::Ambiguous, "the answer is not the platform's JSON; it may have been delivered"),
        };
        reply.error(kind, format!("HTTP {}", reply.status), summary)
    }))
}
