//! Admits a request: who calls, and a body that is read within its bounds.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};

use super::body::{self, BodySource, BufferedBody};
use super::origin::another_site;
use super::senders::InFlight;
use super::{App, Caller, HttpError, HttpSettings, Refusal, Scope, audit, encoding};
use crate::delivery::{AuditAct, Intent};
use crate::ingest::{Decoded, to_utf8};
use crate::store::{AuditState, Author};
use crate::traces::traceparent;

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

/// Admits a caller and reads its body, both bounded.
pub(crate) async fn authenticate(app: &App, scope: Scope, request: Request) -> Result<Admitted, HttpError> {
    let settings = app.settings.load_full();
    let (parts, body) = request.into_parts();
    let trace = traceparent(parts.headers.get("traceparent").and_then(|value| value.to_str().ok()));
    let peer = peer(&settings, &parts.headers, parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|c| c.0.ip()));
    let now = app.engine.clock().wall().seconds();
    let from = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    let refuse = async |refusal: Refusal| match refusal {
        Refusal::Credentials(why) => {
            app.engine.metrics().received("any", "unauthorized");
            tracing::warn!(why, path = parts.uri.path(), peer = from, "a caller was refused");
            HttpError::new(StatusCode::UNAUTHORIZED, format!("not authorized: {why}"))
        }
        Refusal::NotFor { who, why } => {
            app.engine.metrics().received("any", "unauthorized");
            tracing::warn!(why, path = parts.uri.path(), peer = from, "a caller was refused");
            note_refusal(app, scope, audit::author(&who, &parts.headers, &from), parts.uri.path(), &why).await;
            HttpError::new(StatusCode::FORBIDDEN, format!("not allowed: {why}"))
        }
        Refusal::Unread => HttpError::new(StatusCode::UNAUTHORIZED, "not authorized: the body's signature does not match"),
        Refusal::Busy => {
            app.engine.metrics().received("any", "unavailable");
            HttpError::unavailable("too many passwords wait to be checked; try again")
        }
    };
    let auth = &settings.auth;
    if auth.credentials.is_empty()
        && matches!(scope, Scope::Read | Scope::Operate | Scope::Admin)
        && let Some(why) = another_site(&parts.headers, &parts.uri, &app.engine.plan().external_url)
    {
        return Err(refuse(Refusal::not_for("", why)).await);
    }
    // The body of a caller that cannot be admitted is not read: only a signature that may be right needs it.
    let admitted = match auth.admit(scope, &parts.headers, None, peer, now).await {
        Ok(caller) => Some(caller),
        Err(Refusal::Unread) => None,
        Err(refusal) => return Err(refuse(refusal).await),
    };
    if let Some(caller) = &admitted {
        encoding::known(app, &parts.headers, &caller.name)?;
    }
    body::check_length(app, &parts.headers, settings.max_body)?;
    let known = |caller: Caller| Caller { author: audit::author(&caller.name, &parts.headers, &from), ..caller };
    let whose = parts.extensions.get::<InFlight>();
    if let Some(caller) = admitted {
        within_limits(app, &settings, scope, &caller, (&from, whose))?;
        let held = body::read(app, body, settings.max_body, BodySource::Authenticated, |_| {}).await;
        let held = held.inspect_err(|error| note_unreadable(app, &caller, error))?;
        let held = encoding::inflated(app, held, settings.max_body).await.inspect_err(|error| note_unreadable(app, &caller, error))?;
        return Ok(Admitted::new(known(caller), held, trace, &parts.headers));
    }
    let mut signed = auth.signed(&parts.headers);
    let held = body::read(app, body, settings.max_body, BodySource::Unauthenticated, |piece| signed.update(piece)).await?;
    match auth.admit(scope, &parts.headers, Some(&signed.end()), peer, now).await {
        Ok(caller) => {
            within_limits(app, &settings, scope, &caller, (&from, whose))?;
            encoding::known(app, &parts.headers, &caller.name)?;
            let held = encoding::inflated(app, held, settings.max_body).await.inspect_err(|error| note_unreadable(app, &caller, error))?;
            Ok(Admitted::new(known(caller), held, trace, &parts.headers))
        }
        Err(refusal) => Err(refuse(refusal).await),
    }
}

/// Counts a request of a sender, and refuses what is beyond its part of `server.limits.concurrent` or beyond `server.limits.per_sender`. The answer is 503:
/// Alertmanager repeats 5xx and drops what gets 429
/// (`notify/webhook/webhook.go`: its `Retrier` names no further codes, <https://github.com/prometheus/alertmanager/blob/main/notify/webhook/webhook.go>).
fn within_limits(
    app: &App,
    settings: &HttpSettings,
    scope: Scope,
    caller: &Caller,
    (from, whose): (&str, Option<&InFlight>),
) -> Result<(), HttpError> {
    if !matches!(scope, Scope::Webhook | Scope::Legacy) {
        return Ok(());
    }
    let sender = if caller.name.is_empty() { from } else { &caller.name };
    let most = settings.concurrent.saturating_sub(settings.concurrent.div_ceil(8)).max(1);
    if let Some(first) = whose.and_then(|whose| app.senders.enter(whose, sender, most, app.engine.clock().wall()).err()) {
        app.engine.metrics().received("any", "limited");
        if first {
            tracing::warn!(
                sender,
                most,
                "a sender has all but an eighth of server.limits.concurrent in flight; more of its requests are refused with 503"
            );
        }
        let text = format!("{most} requests of `{sender}` are being worked on, all but an eighth of server.limits.concurrent; try again");
        return Err(HttpError::unavailable(text));
    }
    let Some(limit) = settings.per_sender else { return Ok(()) };
    let Err(beyond) = app.senders.admit(sender, limit, app.engine.clock().wall()) else { return Ok(()) };
    app.engine.metrics().received("any", "limited");
    if beyond.first {
        tracing::warn!(sender, limit, "a sender is beyond server.limits.per_sender; its requests are refused with 503 until the next minute");
    }
    let text = format!("more than {limit} requests of `{sender}` in this minute (server.limits.per_sender); try again in {} s", beyond.wait);
    Err(HttpError::unavailable_for(beyond.wait, text))
}

/// Counts and logs a body of a sender that could not be read: it may have been an alert.
fn note_unreadable(app: &App, caller: &Caller, error: &HttpError) {
    if matches!(error.status(), StatusCode::BAD_REQUEST | StatusCode::REQUEST_TIMEOUT) {
        app.engine.metrics().received("any", "malformed");
        tracing::warn!(error = error.text(), sender = caller.name, "a body was refused");
    }
}

/// Records that somebody who is known may not do what they asked for.
pub(super) async fn note_refusal(app: &App, scope: Scope, by: Author, path: &str, why: &str) {
    if matches!(scope, Scope::Operate | Scope::Admin) && app.may_note_refusal() {
        let intent = Intent { by, act: AuditAct::Call, on: path.to_owned(), reason: String::new() };
        app.engine.note_audit(intent, AuditState::Refused, why).await;
    }
}

/// The address of who asks, for logs, limits and the audit; empty where it is not known.
pub(super) fn address(app: &App, parts: &Parts) -> String {
    let direct = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|connection| connection.0.ip());
    peer(&app.settings.load(), &parts.headers, direct).map(|ip| ip.to_string()).unwrap_or_default()
}

/// The address of the caller, also behind proxies that are trusted.
pub(super) fn peer(settings: &HttpSettings, headers: &HeaderMap, direct: Option<IpAddr>) -> Option<IpAddr> {
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
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::http::Auth;

    #[test]
    fn the_nearest_address_that_is_no_proxy_of_ours_counts() {
        let settings = HttpSettings {
            auth: Auth::default(),
            max_body: 0,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            concurrent: 1,
            per_second: None,
            per_sender: None,
            timeout: Duration::ZERO,
            inputs: Arc::default(),
            https: false,
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
