//! One HTTP request: built, made once, ended by a deadline, and telling "never sent" from "may have arrived".

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use arc_swap::ArcSwapOption;
use axum::body::Bytes;
use base64::Engine as _;
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBody, Frame, SizeHint};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::clients::{Execute, Line};
use super::guard::SsrfGuard;
use super::reply::{MAX_BODY, Reply};
use super::transport::{Progress, failed, timed_out};
use crate::channel::{BuildContext, Problem};
use crate::model::{ErrorKind, Secret, SendError, decode_guess};

/// A driver's HTTP client, and the secrets that never leave it in an error or excerpt.
#[derive(Clone)]
pub struct Http {
    client: Arc<Line>,
    secrets: Vec<Secret>,
    /// The address that was last taken apart: most drivers have one.
    last: Arc<ArcSwapOption<Address>>,
}

/// An address taken apart.
struct Address {
    text: String,
    url: reqwest::Url,
    /// For errors, with the port where it is not the usual one.
    host: String,
}

impl Address {
    fn parse(text: String) -> Result<Self, String> {
        let url = reqwest::Url::parse(&text).map_err(|error| error.to_string())?;
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or("the server").to_owned(),
        };
        Ok(Self { text, url, host })
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    pub(super) fn new(client: Arc<Line>) -> Self {
        Self { client, secrets: Vec::new(), last: Arc::default() }
    }

    /// Scrubs these, too, from everything that is shown of requests and answers.
    pub fn with_secrets(mut self, secrets: impl IntoIterator<Item = Secret>) -> Self {
        self.secrets.extend(secrets);
        self
    }

    /// A question: it changes nothing on the platform, so that any transport failure is `Transient`. What sends a message is no question.
    pub fn get(&self, url: impl Into<String>) -> Call {
        let mut call = self.request(Method::GET, url);
        call.idempotent = true;
        call
    }

    /// A request that does something: after it was written, a missing answer is `Ambiguous`.
    pub fn post(&self, url: impl Into<String>) -> Call {
        self.request(Method::POST, url)
    }

    /// Like [`Http::post`] with another method (`PUT` for Matrix, the configured one for webhooks).
    pub fn request(&self, method: Method, url: impl Into<String>) -> Call {
        let text = url.into();
        let last = self.last.load_full().filter(|last| last.text == text);
        let address = last.map_or_else(
            || {
                let address = Address::parse(text).map(Arc::new);
                self.last.store(address.as_ref().ok().cloned());
                address
            },
            Ok,
        );
        Call {
            client: self.client.clone(),
            method,
            address,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            secrets: self.secrets.clone(),
            idempotent: false,
            longest: MAX_BODY,
            build_error: None,
        }
    }

    /// `POST` with a JSON body, as raw UTF-8.
    pub fn post_json(&self, url: impl Into<String>, body: &impl Serialize) -> Call {
        self.post(url).json(body)
    }

    /// `POST` with a form body.
    pub fn post_form(&self, url: impl Into<String>, pairs: &[(&str, &str)]) -> Call {
        self.post(url).form(pairs)
    }
}

/// The client of a channel. `key` is the platform's key in the file (`slack`), for the place of a problem.
pub fn http(cx: &BuildContext<'_>, key: &str, ca_file: Option<&Path>) -> Result<Http, Problem> {
    guarded(cx, key, ca_file, None)
}

/// The same for addresses that are refused unless they are public or allowed (see [`SsrfGuard`]).
pub fn guarded(cx: &BuildContext<'_>, key: &str, ca_file: Option<&Path>, guard: Option<&SsrfGuard>) -> Result<Http, Problem> {
    let client = cx.http.client(cx.proxy.as_ref(), ca_file, guard).map_err(|(what, reason)| match what {
        "proxy" => Problem::new("proxy", reason, "write `http://host:port`, `https://host:port` or `socks5://host:port`"),
        _ => Problem::new(format!("{key}.{what}"), reason, "name a readable PEM file with the authority's certificate"),
    })?;
    let http = Http::new(client);
    Ok(match &cx.proxy {
        Some(proxy) => http.with_secrets([proxy.clone()]),
        None => http,
    })
}

/// One request in the making; [`Call::send`] makes it, once.
#[must_use]
pub struct Call {
    client: Arc<Line>,
    method: Method,
    address: Result<Arc<Address>, String>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
    secrets: Vec<Secret>,
    idempotent: bool,
    longest: usize,
    build_error: Option<String>,
}

impl Call {
    /// Adds a query parameter, percent-encoded.
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a query parameter whose value is never shown.
    pub fn query_secret(self, name: &str, value: &Secret) -> Self {
        self.secret(value).query(name, value.expose())
    }

    /// Adds `Authorization: Bearer`.
    pub fn bearer(self, token: &Secret) -> Self {
        self.secret(token).header_value(AUTHORIZATION, &format!("Bearer {}", token.expose()), true)
    }

    /// Adds `Authorization: Basic`.
    pub fn basic(self, user: &str, password: &Secret) -> Self {
        let pair = Secret::new(base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.expose())));
        let value = format!("Basic {}", pair.expose());
        self.secret(password).secret(&pair).header_value(AUTHORIZATION, &value, true)
    }

    /// Adds a header; its value may be shown.
    pub fn header(self, name: &str, value: &str) -> Self {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => self.header_value(name, value, false),
            Err(_) => self.build_error(format!("`{name}` is not a header name")),
        }
    }

    /// Adds a header whose value is never shown.
    pub fn header_secret(self, name: &str, value: &Secret) -> Self {
        match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => self.secret(value).header_value(name, value.expose(), true),
            Err(_) => self.build_error(format!("`{name}` is not a header name")),
        }
    }

    fn header_value(mut self, name: HeaderName, value: &str, sensitive: bool) -> Self {
        // From bytes: UTF-8 values are legal on the wire (obs-text), line breaks are not.
        match HeaderValue::from_bytes(value.as_bytes()) {
            Ok(mut value) => {
                value.set_sensitive(sensitive);
                self.headers.insert(name, value);
                self
            }
            Err(_) => self.build_error(format!("the value of the header `{name}` holds a line break or control character")),
        }
    }

    fn build_error(mut self, reason: String) -> Self {
        self.build_error.get_or_insert(reason);
        self
    }

    /// Scrubs this value, too, from what is shown of this request and its answer.
    pub fn secret(mut self, secret: &Secret) -> Self {
        self.secrets.push(secret.clone());
        self
    }

    /// Marks a request that may be written twice without harm: any transport failure is then `Transient`.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Reads up to so many bytes of the answer, where it holds more than a platform says about a message.
    pub fn longest(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// A JSON body as raw UTF-8: WeCom answers 40033 to `\uXXXX` escapes (<https://developer.work.weixin.qq.com/document/path/90313>).
    pub fn json(self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body("application/json; charset=utf-8", bytes),
            Err(error) => self.build_error(format!("the body is not JSON: {error}")),
        }
    }

    /// A form body.
    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let encoded = reqwest::Url::parse_with_params("http://localhost/", pairs).map(|url| url.query().unwrap_or_default().to_owned());
        match encoded {
            Ok(text) => self.body("application/x-www-form-urlencoded", text),
            Err(error) => self.build_error(format!("the form cannot be encoded: {error}")),
        }
    }

    /// A body as it is (a signed one must not be encoded twice).
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body.into();
        self
    }

    /// Makes the request and reads the answer by `deadline`. Any HTTP answer is `Ok`, whatever its status; errors are those of the way:
    /// `Transient` when nothing was written (or the call is idempotent), `Ambiguous` afterwards, `Misconfigured` for a certificate that is
    /// not accepted or a request that cannot be built.
    pub fn send(self, deadline: Instant) -> BoxFuture<'static, Result<Reply, SendError>> {
        // In a box, so that the compiler proves once, and not for every driver, that this may move between threads.
        Box::pin(async move { self.execute(Line::client, deadline).await?.read(deadline).await })
    }

    /// Makes the request with one of the client's two forms; the answer's body is not read yet.
    pub(super) async fn execute(self, form: fn(&Line) -> Result<&dyn Execute, &str>, deadline: Instant) -> Result<Answered, SendError> {
        let misbuilt = |reason: &str| {
            let summary = format!("the request cannot be built: {reason}; check the address and the token for unwanted characters");
            SendError::new(ErrorKind::Misconfigured, summary).code("request")
        };
        if let Some(reason) = &self.build_error {
            return Err(misbuilt(reason));
        }
        let address = self.address.map_err(|error| misbuilt(&error))?;
        let host = &address.host;
        let mut url = address.url.clone();
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        // Without a body nothing shows that the head was written, so a missing answer is taken for the worse case.
        let written = Arc::new(AtomicBool::new(self.body.is_empty()));
        let progress = || if self.idempotent || !written.load(Ordering::Acquire) { Progress::NoEffect } else { Progress::Written };

        let mut request = reqwest::Request::new(self.method.clone(), url);
        *request.headers_mut() = self.headers;
        if !self.body.is_empty() {
            *request.body_mut() = Some(reqwest::Body::wrap(WatchedBody { bytes: Some(self.body), written: written.clone() }));
        }
        let client = form(&self.client).map_err(misbuilt)?;
        match timeout_at(deadline, client.execute(request)).await {
            Ok(Ok(response)) => {
                Ok(Answered { response, host: host.clone(), idempotent: self.idempotent, longest: self.longest, secrets: self.secrets })
            }
            Ok(Err(error)) => Err(failed(error, host, progress(), &self.secrets)),
            Err(_) => Err(timed_out(host, progress())),
        }
    }
}

/// An answer whose body is not read yet.
pub(super) struct Answered {
    pub(super) response: reqwest::Response,
    pub(super) host: String,
    pub(super) secrets: Vec<Secret>,
    idempotent: bool,
    longest: usize,
}

impl Answered {
    /// Reads the body, capped.
    pub(super) async fn read(mut self, deadline: Instant) -> Result<Reply, SendError> {
        let mut reply = Reply {
            status: self.response.status().as_u16(),
            headers: std::mem::take(self.response.headers_mut()),
            body: Vec::new(),
            cut: false,
            idempotent: self.idempotent,
            secrets: self.secrets,
        };
        // The server has answered, so it has read the request: a success that breaks off may have happened, a refusal is final.
        let progress = if self.idempotent { Progress::NoEffect } else { Progress::Written };
        loop {
            let broken = match timeout_at(deadline, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    let room = self.longest - reply.body.len();
                    reply.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    if chunk.len() > room {
                        reply.cut = true;
                        break;
                    }
                    continue;
                }
                Ok(Ok(None)) => break,
                Ok(Err(error)) => failed(error, &self.host, progress, &reply.secrets),
                Err(_) => timed_out(&self.host, progress),
            };
            if reply.is_success() {
                return Err(broken);
            }
            reply.cut = true;
            break;
        }
        // Gateways in front of platforms answer in GBK, too; a code beside such words must be readable.
        if !reply.cut
            && let Cow::Owned(text) = decode_guess(&reply.body)
        {
            reply.body = text.into_bytes();
        }
        Ok(reply)
    }
}

/// A request body that notes when the connection begins to take it: from then on the platform may act.
struct WatchedBody {
    bytes: Option<Bytes>,
    written: Arc<AtomicBool>,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.written.store(true, Ordering::Release);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
