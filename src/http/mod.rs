//! The HTTP side: webhooks in, direct calls, health, metrics, and the read side for people.

pub mod api;
pub mod auth;
mod body;
mod connections;
mod error;
pub mod explain;
mod health;
mod legacy;
mod linger;
mod message_page;
pub mod openapi;
mod receipts;
pub mod serve;
pub mod tls_listener;
mod waiting;
mod webhook;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::FutureExt;
use tower::ServiceExt;
use tower_http::decompression::RequestDecompressionLayer;

use crate::config::ServerSettings;
use crate::delivery::Engine;
use crate::ingest::{Decoded, GenericMapping, to_utf8};
use crate::traces::traceparent;

pub use auth::{Auth, Caller, Refusal, Scope};
use body::{BodySource, BufferedBody};
pub use error::HttpError;
pub use waiting::waiting;

use connections::Connection;
use openapi::{Op, Param, Paths};

/// What the HTTP side needs to know; swapped whole on reload.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Who may call.
    pub auth: Auth,
    /// Largest body, inflated, in bytes.
    pub max_body: usize,
    /// Proxies whose `X-Forwarded-For` is believed: address and prefix length.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// Requests worked on at once; more get 503.
    pub concurrent: usize,
    /// Requests a second; more get 503.
    pub per_second: Option<u32>,
    /// Longest time one request may take.
    pub timeout: Duration,
    /// How bodies that are neither Alertmanager's nor Grafana's are read.
    pub generic: Option<GenericMapping>,
}

impl HttpSettings {
    /// The settings of a loaded configuration.
    pub fn new(server: &ServerSettings, generic: Option<GenericMapping>) -> Self {
        Self {
            auth: Auth::new(server),
            max_body: server.max_body,
            trusted_proxies: server.trusted_proxies.clone(),
            concurrent: server.concurrent,
            per_second: server.per_second,
            timeout: server.timeout,
            generic,
        }
    }
}

/// What `/-/ready` reports of the last reload: nothing, or why it failed.
pub type ReloadState = ArcSwap<Option<String>>;

/// Asks the application to reload; the answer is the report of what is wrong, if anything is.
pub type ReloadFn = Arc<dyn Fn() -> futures_util::future::BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Shared by all handlers.
pub struct App {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Settings.
    pub settings: ArcSwap<HttpSettings>,
    /// Whether a stop has begun: `/-/ready` fails so that balancers look elsewhere.
    pub stopping: AtomicBool,
    /// The last reload.
    pub reload_state: ReloadState,
    /// How to reload.
    pub reload: ReloadFn,
    /// Bodies that were no alerts and were taken as text: how many, and when the last came.
    pub unread: Mutex<Option<Unread>>,
    /// Requests that are in flight.
    in_flight: AtomicUsize,
    /// Room for bodies.
    body_budget: body::BodyBudget,
    /// The current second and the requests in it.
    rate: Mutex<(i64, u32)>,
}

/// Bodies that were no alerts, since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// How many.
    pub count: u64,
    /// When the last one came, Unix milliseconds.
    pub at: i64,
}

impl App {
    /// The state behind a router.
    pub fn new(engine: Arc<Engine>, settings: HttpSettings, reload: ReloadFn) -> Self {
        Self {
            engine,
            stopping: AtomicBool::new(false),
            reload_state: ArcSwap::from_pointee(None),
            reload,
            unread: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            body_budget: body::BodyBudget::default(),
            settings: ArcSwap::from_pointee(settings),
            rate: Mutex::new((0, 0)),
        }
    }

    /// Says that a stop has begun.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

/// A request that was admitted and read.
pub(crate) struct Admitted {
    pub(crate) caller: Caller,
    /// What was sent, as UTF-8.
    pub(crate) body: Bytes,
    /// Whether some characters of it may be read wrongly.
    pub(crate) doubtful: bool,
    /// The room that it takes.
    #[allow(dead_code)]
    pub(crate) room: body::BodyPermit,
    /// The trace that the caller began (W3C `traceparent`), or nothing.
    pub(crate) trace: String,
}

impl Admitted {
    fn new(caller: Caller, held: BufferedBody, trace: String, headers: &HeaderMap) -> Self {
        let (body, room) = held.into_parts();
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let Decoded { text, doubtful } = to_utf8(&body, kind);
        let same = text.len() == body.len() && matches!(text, Cow::Borrowed(_));
        let read = if same { None } else { Some(Bytes::from(text.into_owned())) };
        Self { caller, doubtful, body: read.unwrap_or(body), room, trace }
    }
}

/// Everything that is served, and how it is described.
fn paths() -> Paths {
    let inside = |op: Op| op.scope(Scope::Admin).refuses(&[500]);
    Paths::default()
        .below("", webhook::paths())
        .below("", legacy::paths())
        .below("/api/v1", api::paths())
        .at("/api/openapi.json", [Op::get("openapi", "This description", openapi::show).gives_anything()])
        .at("/-/healthy", [Op::get("healthy", "Whether the process runs", health::healthy)])
        .at("/-/ready", [Op::get("ready", "Whether alerts are taken", health::ready).refuses(&[503])])
        .at(
            "/-/reload",
            [
                inside(Op::post("reload", "Reloads the configuration; an invalid one is rejected and changes nothing", health::reload)),
                inside(Op::put("reloadPut", "Reloads the configuration; an invalid one is rejected and changes nothing", health::reload)),
            ],
        )
        .at(
            "/metrics",
            [Op::get("metrics", "Prometheus metrics; open unless a credential has the scope `metrics`", health::metrics)
                .scope(Scope::Metrics)
                .gives_metrics()],
        )
        .at(
            "/m/{message}",
            [Op::get("message", "A message as it was sent, for somebody with its link", message_page::show)
                .query([Param::text("k", "The link's signature")])
                .gives_html()
                .refuses(&[404])],
        )
        .at(
            "/receipts/{channel}",
            [Op::post("receipt", "Where SMS and voice vendors say what became of what they took; the address is a secret", receipts::take)
                .query([Param::text("k", "The address's secret part")])
                .gives::<receipts::CallbackAccepted>()
                .refuses(&[403, 404])],
        )
        .at("/", [Op::get("index", "What this is", health::index)])
}

/// The router.
pub fn router(app: Arc<App>) -> Router {
    let plain: Router = paths().router().fallback(any(unknown)).method_not_allowed_fallback(wrong_method).with_state(app.clone());
    let inflating = plain.clone().layer(RequestDecompressionLayer::new().gzip(true).pass_through_unaccepted(false));
    let tidied = plain.clone();
    plain.layer(middleware::from_fn_with_state(Arc::new(Middleware { app, tidied, inflating }), middleware))
}

/// What wraps every request, in one layer, for each is boxed and cloned with all below it.
struct Middleware {
    app: Arc<App>,
    /// For paths that are written with more slashes than they have.
    tidied: Router,
    /// For bodies that come compressed, which few do.
    inflating: Router,
}

async fn middleware(State(stack): State<Arc<Middleware>>, mut request: Request, next: Next) -> Response {
    if let Some(uri) = tidy(request.uri()) {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(Tidied);
    }
    let _in_flight = request.extensions().get::<Arc<Connection>>().cloned().map(Connection::begin_request);
    let format = ErrorFormat::of(request.uri().path());
    let handled = AssertUnwindSafe(shed_load(&stack, linger::lingering(request), next)).catch_unwind().await;
    let response = match handled {
        Ok(response) => response.unwrap_or_else(IntoResponse::into_response),
        Err(defect) => {
            let what = defect.downcast_ref::<String>().map(String::as_str).or_else(|| defect.downcast_ref::<&str>().copied());
            tracing::error!(defect = what.unwrap_or("unknown"), "request handler panicked; please report this bug");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    headers(with_body(format, response).await)
}

/// The handler's answer.
async fn call_inner(stack: &Middleware, request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return stack.inflating.clone().oneshot(request).await.into_response();
    }
    if request.extensions().get::<Tidied>().is_some() {
        return stack.tidied.clone().oneshot(request).await.into_response();
    }
    next.run(request).await
}

/// A request whose path was tidied: it is to be routed again.
#[derive(Clone)]
struct Tidied;

/// The address without slashes at the end of its path and without empty steps in it: `//webhook/` is `/webhook`. A sender that gets 404 drops its alerts.
fn tidy(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if path.len() < 2 || !(path.ends_with('/') || path.contains("//")) {
        return None;
    }
    let mut tidied = String::with_capacity(path.len());
    for step in path.split('/').filter(|step| !step.is_empty()) {
        tidied.push('/');
        tidied.push_str(step);
    }
    if tidied.is_empty() {
        tidied.push('/');
    }
    if let Some(query) = uri.query() {
        tidied.push('?');
        tidied.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(tidied.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// The shape in which the callers of a path read errors.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ErrorFormat {
    /// Programs that know problem+json.
    Api,
    /// Older clients, which know one shape and one language.
    Legacy,
    /// Senders, which log a line.
    Sender,
}

impl ErrorFormat {
    fn of(path: &str) -> Self {
        match path {
            _ if path == "/api" || path.starts_with("/api/") => ErrorFormat::Api,
            _ if legacy::is_at(path) => ErrorFormat::Legacy,
            _ => ErrorFormat::Sender,
        }
    }
}

/// An error that no handler has written: below `/api` it is a problem as all others there, on the direct paths it has the old shape, elsewhere it has
/// a text at least.
async fn with_body(format: ErrorFormat, response: Response) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind == "application/problem+json"
        || (format == ErrorFormat::Legacy && kind == "application/json")
        || (format == ErrorFormat::Sender && !kind.is_empty())
    {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, 8 << 10).await.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default();
    let text = match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE if text.is_empty() => {
            "this content encoding is not known; send the body as it is, or with gzip".to_owned()
        }
        _ if text.is_empty() => status.canonical_reason().unwrap_or("error").to_owned(),
        _ => text,
    };
    let mut answer = match format {
        ErrorFormat::Api => api::problem(status, text),
        ErrorFormat::Legacy => legacy::refusal(status, &text),
        ErrorFormat::Sender => HttpError::new(status, text).into_response(),
    };
    for name in [header::RETRY_AFTER, header::ALLOW, header::ACCEPT_ENCODING, header::WWW_AUTHENTICATE] {
        if let Some(value) = parts.headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

/// What keeps browsers from guessing, framing, storing and telling others; a page that needs more says so itself.
fn headers(mut response: Response) -> Response {
    const ALL: [(header::HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in ALL {
        response.headers_mut().entry(name).or_insert(axum::http::HeaderValue::from_static(value));
    }
    response
}

/// One of the requests that are in flight, until it is dropped.
struct RequestPermit<'a>(&'a AtomicUsize);

impl<'a> RequestPermit<'a> {
    fn acquire(in_flight: &'a AtomicUsize, max: usize) -> Option<Self> {
        let permit = RequestPermit(in_flight);
        (in_flight.fetch_add(1, Ordering::AcqRel) < max).then_some(permit)
    }
}

impl Drop for RequestPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Load shedding: more than the places get 503, which Alertmanager repeats. Health answers always.
async fn shed_load(stack: &Middleware, request: Request, next: Next) -> Result<Response, HttpError> {
    let app = &*stack.app;
    if request.uri().path().starts_with("/-/") {
        return Ok(call_inner(stack, request, next).await);
    }
    let settings = app.settings.load_full();
    let Some(_permit) = RequestPermit::acquire(&app.in_flight, settings.concurrent.max(1)) else {
        app.engine.metrics().received("any", "unavailable");
        return Err(HttpError::unavailable("too many requests are being worked on (server.limits.concurrent); try again"));
    };
    if let Some(limit) = settings.per_second {
        let second = app.engine.clock().now_ms() / 1000;
        let mut rate = app.rate.lock().unwrap_or_else(PoisonError::into_inner);
        *rate = if rate.0 == second { (second, rate.1.saturating_add(1)) } else { (second, 1) };
        if rate.1 > limit {
            app.engine.metrics().received("any", "unavailable");
            return Err(HttpError::unavailable("too many requests this second (server.limits.per_second); try again"));
        }
    }
    match tokio::time::timeout(settings.timeout, call_inner(stack, request, next)).await {
        Ok(response) => Ok(response),
        Err(_) => Err(HttpError::unavailable("not done within server.limits.timeout; try again")),
    }
}

/// A path that does not exist. Senders log the first line, so it names the right one.
async fn unknown(request: Request) -> HttpError {
    let path: String = request.uri().path().chars().take(80).collect();
    let hint = match path.as_str() {
        "/api/v1/alerts" | "/api/v2/alerts" => {
            "this is where Prometheus sends to Alertmanager; Watchfire comes after Alertmanager, whose webhook_configs name http://HOST:PORT/webhook"
        }
        _ => "webhooks of Alertmanager and Grafana go to /webhook",
    };
    HttpError::not_found(format!("no such path: {path}; {hint}\nThe README lists the direct paths of older clients."))
}

/// A path that exists, with a method that it does not take.
async fn wrong_method(request: Request) -> HttpError {
    let path: String = request.uri().path().chars().take(80).collect();
    let hint = match path.as_str() {
        "/" => "webhooks of Alertmanager and Grafana go to /webhook",
        "/webhook" | "/webhook/alertmanager" | "/webhook/grafana" => "this is the right place; Alertmanager and Grafana POST to it",
        _ => "the README lists the paths and their methods",
    };
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not taken at {path}; {hint}", request.method()))
}

/// Admits a caller and reads its body, both bounded.
pub(crate) async fn authenticate(app: &App, scope: Scope, request: Request) -> Result<Admitted, HttpError> {
    let settings = app.settings.load_full();
    let (parts, body) = request.into_parts();
    let trace = traceparent(parts.headers.get("traceparent").and_then(|value| value.to_str().ok()));
    let peer = peer(&settings, &parts.headers, parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip()));
    let now = app.engine.clock().now_ms() / 1000;
    let from = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    let refuse = |refusal: Refusal| match refusal {
        Refusal::Credentials(why) => {
            app.engine.metrics().received("any", "unauthorized");
            tracing::warn!(why, path = parts.uri.path(), peer = from, "a caller was refused");
            HttpError::new(StatusCode::UNAUTHORIZED, format!("not authorized: {why}"))
        }
        Refusal::NotFor(why) => {
            app.engine.metrics().received("any", "unauthorized");
            tracing::warn!(why, path = parts.uri.path(), peer = from, "a caller was refused");
            HttpError::new(StatusCode::FORBIDDEN, format!("not allowed: {why}"))
        }
        Refusal::Unread => HttpError::new(StatusCode::UNAUTHORIZED, "not authorized: the body's signature does not match"),
        Refusal::Busy => {
            app.engine.metrics().received("any", "unavailable");
            HttpError::unavailable("too many passwords wait to be checked; try again")
        }
    };
    let auth = &settings.auth;
    // The body of a caller that cannot be admitted is not read: only a signature that may be right needs it.
    let from = match auth.admit(scope, &parts.headers, None, peer, now).await {
        Ok(caller) => Some(caller),
        Err(Refusal::Unread) => None,
        Err(refusal) => return Err(refuse(refusal)),
    };
    body::check_length(app, &parts.headers, settings.max_body)?;
    if let Some(caller) = from {
        let held = body::read(app, body, settings.max_body, BodySource::Authenticated, |_| {}).await?;
        return Ok(Admitted::new(caller, held, trace, &parts.headers));
    }
    let mut signed = auth.signed(&parts.headers);
    let held = body::read(app, body, settings.max_body, BodySource::Unauthenticated, |piece| signed.update(piece)).await?;
    let caller = auth.admit(scope, &parts.headers, Some(&signed.end()), peer, now).await.map_err(refuse)?;
    Ok(Admitted::new(caller, held, trace, &parts.headers))
}

fn peer(settings: &HttpSettings, headers: &HeaderMap, direct: Option<IpAddr>) -> Option<IpAddr> {
    let direct = direct?;
    let trusted = |ip: IpAddr| settings.trusted_proxies.iter().any(|net| net.contains(&ip.to_canonical()));
    if !trusted(direct) {
        return Some(direct);
    }
    // The rightmost address that is not a proxy of ours: what is left of it was written by the caller. An entry that is no address ends the
    // search: the part before it is no more worth than the caller's word, so the proxy itself counts.
    let mut nearest = direct;
    let values: Vec<&str> = headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or("")).collect();
    for entry in values.iter().flat_map(|value| value.split(',')).rev() {
        let Some(ip) = forwarded(entry) else { break };
        nearest = ip;
        if !trusted(ip) {
            break;
        }
    }
    Some(nearest)
}

/// An address as proxies write it: `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]:4711`.
fn forwarded(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']')).unwrap_or(entry);
    bare.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_too_many_do_not_count() {
        let tidied = |uri: &str| tidy(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(tidied("/webhook/"), Some("/webhook".into()));
        assert_eq!(tidied("/webhook///?to=a/"), Some("/webhook?to=a/".into()));
        assert_eq!(tidied("//api//v1/deliveries/"), Some("/api/v1/deliveries".into()));
        assert_eq!(tidied("http://host:1/sms/send/"), Some("http://host:1/sms/send".into()));
        assert_eq!(tidied("//"), Some("/".into()));
        for same in ["/", "/webhook", "/webhook?x=//", "*"] {
            assert_eq!(tidied(same), None, "{same}");
        }
    }

    #[test]
    fn the_nearest_address_that_is_no_proxy_of_ours_counts() {
        let settings = HttpSettings {
            auth: Auth::default(),
            max_body: 0,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            concurrent: 1,
            per_second: None,
            timeout: Duration::ZERO,
            generic: None,
        };
        let ask = |direct: &str, lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            peer(&settings, &headers, direct.parse().ok()).unwrap().to_string()
        };
        assert_eq!(ask("192.0.2.1", &["1.2.3.4"]), "192.0.2.1", "not from a proxy");
        assert_eq!(ask("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(ask("10.0.0.1", &["1.2.3.4, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(ask("10.0.0.1", &["1.2.3.4, 192.0.2.7, 10.0.0.2"]), "192.0.2.7");
        assert_eq!(ask("10.0.0.1", &["1.2.3.4", "192.0.2.7"]), "192.0.2.7", "several headers are one list");
        assert_eq!(ask("10.0.0.1", &["1.2.3.4, 192.0.2.7:4711"]), "192.0.2.7", "with a port");
        assert_eq!(ask("10.0.0.1", &["1.2.3.4, [2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(ask("10.0.0.1", &["1.2.3.4, [2001:db8::7]"]), "2001:db8::7");
        for odd in ["1.2.3.4, unknown", "1.2.3.4, _hidden", "1.2.3.4,", "1.2.3.4, \u{fffd}x"] {
            assert_eq!(ask("10.0.0.1", &[odd]), "10.0.0.1", "what the caller wrote does not count: {odd}");
        }
        assert_eq!(ask("10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3", "all of ours: the first");
    }
}
