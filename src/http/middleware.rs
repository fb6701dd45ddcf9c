//! What every request passes: load shedding, tidy paths, inflated bodies, a body for every error, and headers for browsers.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::decompression::RequestDecompressionLayer;

use super::connections::Connection;
use super::senders::InFlight;
use super::{App, HttpError, api, console, encoding, legacy, linger};

/// Bytes of an answer from which on it is sent compressed. Below, it fits into one packet of a network of 1,500 bytes as it is.
const WORTH_DEFLATING: u16 = 1400;

/// Wraps the routes. Nothing is routed before it: a path that is routed twice would have its parameters twice.
pub(super) fn wrap(app: Arc<App>, plain: Router) -> Router {
    let inflating = plain.clone().layer(RequestDecompressionLayer::new().gzip(true).deflate(true).pass_through_unaccepted(true));
    let worth_it = SizeAbove::new(WORTH_DEFLATING).and(NotForContentType::SSE);
    let deflating = plain.clone().layer(CompressionLayer::new().gzip(true).compress_when(worth_it));
    Router::new().fallback(middleware).with_state(Arc::new(Middleware { app, plain, inflating, deflating }))
}

/// What wraps every request, in one layer, for each is boxed and cloned with all below it.
struct Middleware {
    app: Arc<App>,
    plain: Router,
    /// For bodies that come compressed, which few do.
    inflating: Router,
    /// For readers who take compressed answers: on a phone a page comes in a quarter of the bytes.
    deflating: Router,
}

async fn middleware(State(stack): State<Arc<Middleware>>, mut request: Request) -> Response {
    if let Some(uri) = tidy(request.uri()) {
        *request.uri_mut() = uri;
    }
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    let _in_flight = connection.clone().map(Connection::begin_request);
    let may_close = request.version() <= Version::HTTP_11;
    let format = ErrorFormat::of(request.uri().path(), request.headers());
    let handled = AssertUnwindSafe(shed_load(&stack, linger::lingering(request))).catch_unwind().await;
    let response = match handled {
        Ok(response) => response.unwrap_or_else(IntoResponse::into_response),
        Err(defect) => {
            let what = defect.downcast_ref::<String>().map(String::as_str).or_else(|| defect.downcast_ref::<&str>().copied());
            tracing::error!(defect = what.unwrap_or("unknown"), "request handler panicked; please report this bug");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    let mut response = headers(with_body(format, response).await);
    // While others wait, each sender has one request at a time; HTTP/2 has no such header, and few use it.
    if may_close && connection.is_some_and(|connection| connection.is_awaited()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The handler's answer.
async fn call_inner(stack: &Middleware, mut request: Request) -> Response {
    let router = if request.headers().contains_key(header::CONTENT_ENCODING) {
        encoding::tidy(request.headers_mut());
        request = match encoding::believed(request).await {
            Ok(request) => request,
            Err(error) => return error.into_response(),
        };
        if request.headers().contains_key(header::CONTENT_ENCODING) { &stack.inflating } else { &stack.plain }
    } else if request.method() == Method::GET && request.headers().contains_key(header::ACCEPT_ENCODING) {
        &stack.deflating
    } else {
        &stack.plain
    };
    router.clone().oneshot(request).await.into_response()
}

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
    /// The console, which puts it beside what it shows.
    Part,
}

impl ErrorFormat {
    fn of(path: &str, headers: &HeaderMap) -> Self {
        match path {
            _ if headers.contains_key("hx-request") && path.starts_with("/ui") => ErrorFormat::Part,
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
        || kind.starts_with("text/html")
    {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, 8 << 10).await.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default();
    let text = if text.is_empty() { status.canonical_reason().unwrap_or("error").to_owned() } else { text };
    let mut answer = match format {
        ErrorFormat::Api => api::problem(status, text),
        ErrorFormat::Legacy => legacy::refusal(status, &text),
        ErrorFormat::Sender => HttpError::new(status, text).into_response(),
        ErrorFormat::Part => console::part_of_error(status, &text),
    };
    for name in [header::RETRY_AFTER, header::ALLOW, header::ACCEPT_ENCODING, header::WWW_AUTHENTICATE] {
        if let Some(value) = parts.headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

/// What keeps browsers from guessing, framing, storing and telling others; a page that needs more says so itself.
pub(super) fn headers(mut response: Response) -> Response {
    const ALL: [(header::HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in ALL {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
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
async fn shed_load(stack: &Middleware, mut request: Request) -> Result<Response, HttpError> {
    let app = &*stack.app;
    if request.uri().path().starts_with("/-/") {
        return Ok(call_inner(stack, request).await);
    }
    let settings = app.settings.load_full();
    let Some(_permit) = RequestPermit::acquire(&app.in_flight, settings.concurrent.max(1)) else {
        app.engine.metrics().received("any", "unavailable");
        return Err(HttpError::unavailable("too many requests are being worked on (server.limits.concurrent); try again"));
    };
    let whose = InFlight::default();
    let _whose = app.senders.begin(whose.clone());
    request.extensions_mut().insert(whose);
    if let Some(limit) = settings.per_second {
        let second = app.engine.clock().wall().seconds();
        let mut rate = app.rate.lock().unwrap_or_else(PoisonError::into_inner);
        *rate = if rate.0 == second { (second, rate.1.saturating_add(1)) } else { (second, 1) };
        if rate.1 > limit {
            app.engine.metrics().received("any", "unavailable");
            return Err(HttpError::unavailable("too many requests this second (server.limits.per_second); try again"));
        }
    }
    match tokio::time::timeout(settings.timeout, call_inner(stack, request)).await {
        Ok(response) => Ok(response),
        Err(_) => Err(HttpError::unavailable("not done within server.limits.timeout; try again")),
    }
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
}
