//! One request as a fake sees it, and its answer. Plain values: no socket, no clock.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::clock::Now;

/// One request, fully read.
#[derive(Debug, Clone)]
pub struct Call {
    /// `POST`, `GET`, ...
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query as it came, without the question mark.
    pub raw_query: String,
    /// The query, decoded as forms are (`+` is a space).
    pub query: Vec<(String, String)>,
    /// Header names in lower case, in order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub body: Bytes,
    /// Who calls.
    pub peer: IpAddr,
    /// When it arrived, by the fake's clock; when it is asked again, where its answer is held.
    pub now: Now,
    /// Its number among the requests to the fake.
    pub number: u64,
}

impl Call {
    /// A request made by hand, without headers and body, at the epoch.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, raw_query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            raw_query: raw_query.to_owned(),
            query: form_pairs(raw_query),
            headers: Vec::new(),
            body: Bytes::new(),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            now: Now::default(),
            number: 0,
        }
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets a JSON body with its content type.
    pub fn with_json(self, body: &Value) -> Self {
        self.with_body("application/json; charset=utf-8", body.to_string().as_bytes())
    }

    /// Sets a body with a content type.
    pub fn with_body(mut self, content_type: &str, body: &[u8]) -> Self {
        self.body = Bytes::copy_from_slice(body);
        self.with_header("content-type", content_type)
    }

    /// Sets the moment of arrival.
    pub fn at(mut self, now: Now) -> Self {
        self.now = now;
        self
    }

    /// The first header of that name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The first query parameter of that name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The media type without parameters, in lower case; empty when there is none.
    pub fn media_type(&self) -> String {
        self.header("content-type").unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase()
    }

    /// The token of an `Authorization: Bearer` header.
    pub fn bearer(&self) -> Option<&str> {
        let value = self.header("authorization")?;
        value.strip_prefix("Bearer ").or_else(|| value.strip_prefix("bearer "))
    }

    /// The body as a JSON object; `None` when it is anything else.
    pub fn object(&self) -> Option<Value> {
        serde_json::from_slice::<Value>(&self.body).ok().filter(Value::is_object)
    }

    /// The body as a decoded form.
    pub fn form(&self) -> Vec<(String, String)> {
        form_pairs(&String::from_utf8_lossy(&self.body))
    }
}

/// Decodes `a=b&c=d`.
pub fn form_pairs(text: &str) -> Vec<(String, String)> {
    let decode = |s: &str| percent_decode_str(&s.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|p| !p.is_empty())
        .map(|pair| {
            let (k, v) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(k), decode(v))
        })
        .collect()
}

/// What a fake made of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A message was taken and reaches at least one recipient.
    Accepted,
    /// Refused in the platform's own words.
    Refused,
    /// Success was answered but nothing is delivered to anybody.
    Dropped,
    /// Success was answered; the message is a repeat and is not posted again.
    Duplicate,
    /// Not a message: token, look-up, status query, probe.
    Served,
    /// The script of faults answered, the platform never saw the request.
    Faulted,
}

impl Verdict {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::Refused => "refused",
            Verdict::Dropped => "dropped",
            Verdict::Duplicate => "duplicate",
            Verdict::Served => "served",
            Verdict::Faulted => "faulted",
        }
    }
}

/// What goes back, and what is remembered of it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers beside `content-type`.
    pub headers: Vec<(String, String)>,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// What was made of the request.
    pub verdict: Verdict,
    /// The platform's code in the answer (`0`, `310000`, `invalid_auth`).
    pub code: String,
    /// What a person reads, after the platform's own cuts.
    pub text: String,
    /// Who gets it (mobiles, user ids, channels, numbers).
    pub to: Vec<String>,
    /// What the platform did silently (`truncated`, `not_pinged:138...`, `dropped:user`).
    pub notes: Vec<String>,
    /// Whether there is none yet: the platform is asked again in a moment.
    pub held: bool,
}

impl Answer {
    /// An answer of any type; the verdict is `Served` until it is set.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content_type: content_type.to_owned(),
            body: body.into(),
            verdict: Verdict::Served,
            code: String::new(),
            text: String::new(),
            to: Vec::new(),
            notes: Vec::new(),
            held: false,
        }
    }

    /// No answer yet.
    pub fn held() -> Self {
        Self { held: true, ..Self::new(200, "", "") }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.to_string())
    }

    /// A plain-text answer.
    pub fn text(status: u16, body: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Marks a message as taken; `text` is what people read.
    pub fn accepted(mut self, code: impl ToString, text: impl Into<String>) -> Self {
        self.verdict = Verdict::Accepted;
        self.code = code.to_string();
        self.text = text.into();
        self
    }

    /// Marks the request as refused with this code.
    pub fn refused(mut self, code: impl ToString) -> Self {
        self.verdict = Verdict::Refused;
        self.code = code.to_string();
        self
    }

    /// Sets another verdict.
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = verdict;
        self
    }

    /// Sets the recipients.
    pub fn to<S: Into<String>>(mut self, to: impl IntoIterator<Item = S>) -> Self {
        self.to = to.into_iter().map(Into::into).collect();
        self
    }

    /// Adds notes.
    pub fn notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// The body as JSON; `Null` when it is not.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}
