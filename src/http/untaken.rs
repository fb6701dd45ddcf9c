//! Requests that no handler takes. What comes with a body is logged and counted: its sender drops what it was refused, and that may be an alert.
//!
//! Anybody can send them, so that a minute has one line of each of two kinds: of paths that Watchfire, Alertmanager or Prometheus know, and of others. A
//! client that was pointed here by mistake may have a secret in the path (`/bot<token>/sendMessage`, `/services/T.../B.../...`): of a path that is not
//! known the log has only how it begins.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode};

use super::{App, HttpError, admission};

/// Paths without a secret that senders of alerts are configured with.
const KNOWN: &[&str] = &[
    "/",
    "/webhook",
    "/webhook/alertmanager",
    "/webhook/grafana",
    "/webhook/send",
    "/prometheusalert",
    "/zabbix/alert",
    "/api/v1/alerts",
    "/api/v2/alerts",
    "/api/v1/alerts/groups",
    "/api/v2/alerts/groups",
    "/api/v1/silences",
    "/api/v2/silences",
    "/api/v2/status",
    "/api/v1/events",
    "/api/v1/deliveries",
    "/api/v1/incidents",
    "/api/v1/write",
    "/api/openapi.json",
    "/-/healthy",
    "/-/ready",
    "/-/reload",
    "/metrics",
];
/// Characters of another path that are logged.
const MAX_BEGINNING: usize = 12;

/// The minute of the last line of a kind, and what came since.
#[derive(Debug, Default)]
struct Noted {
    minute: Option<i64>,
    count: u64,
}

/// Bodies that no handler took: at known paths, and at others.
#[derive(Debug, Default)]
pub(super) struct Untaken([Mutex<Noted>; 2]);

impl Untaken {
    /// Counts one. How many there were since the last line of its kind, when the next one is due.
    fn note(&self, is_known: bool, minute: i64) -> Option<u64> {
        let mut noted = self.0[usize::from(!is_known)].lock().unwrap_or_else(PoisonError::into_inner);
        noted.count = noted.count.saturating_add(1);
        if noted.minute == Some(minute) {
            return None;
        }
        let count = noted.count;
        *noted = Noted { minute: Some(minute), count: 0 };
        Some(count)
    }
}

/// A path as the log may have it.
fn shown(path: &str) -> Cow<'_, str> {
    if KNOWN.contains(&path) {
        return Cow::Borrowed(path);
    }
    let first = path.trim_start_matches('/');
    // Tokens have digits, or are longer than a word.
    let word: String = first.chars().take_while(|c| c.is_ascii_alphabetic() || matches!(c, '-' | '_')).take(MAX_BEGINNING).collect();
    let end = if word.len() < first.len() { "…" } else { "" };
    Cow::Owned(format!("/{word}{end}"))
}

/// The path of a request that no handler takes.
fn untaken(app: &App, request: &Request) -> String {
    let path = request.uri().path();
    if matches!(*request.method(), Method::POST | Method::PUT) {
        app.engine.metrics().received("any", "not_found");
        if let Some(count) = app.untaken.note(KNOWN.contains(&path), app.engine.clock().wall().seconds().div_euclid(60)) {
            let direct = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|direct| direct.0.ip());
            let peer =
                admission::peer(&app.settings.load_full(), request.headers(), direct).map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
            tracing::warn!(path = %shown(path), peer, count, "a body came to a path that takes none and was refused");
        }
    }
    path.chars().take(80).collect()
}

/// A path that does not exist. Senders log the first line, so it names the right one.
pub(super) async fn unknown(State(app): State<Arc<App>>, request: Request) -> HttpError {
    let path = untaken(&app, &request);
    let hint = match path.as_str() {
        "/api/v1/alerts" | "/api/v2/alerts" => {
            "this is where Prometheus sends to Alertmanager; Watchfire comes after Alertmanager, whose webhook_configs name http://HOST:PORT/webhook"
        }
        _ => "webhooks of Alertmanager and Grafana go to /webhook, those of other senders to /in/NAME",
    };
    HttpError::not_found(format!("no such path: {path}; {hint}\nThe README lists the direct paths of older clients."))
}

/// A path that exists, with a method that it does not take.
pub(super) async fn wrong_method(State(app): State<Arc<App>>, request: Request) -> HttpError {
    let path = untaken(&app, &request);
    let hint = match path.as_str() {
        "/" => "webhooks of Alertmanager and Grafana go to /webhook",
        "/webhook" | "/webhook/alertmanager" | "/webhook/grafana" => "this is the right place; Alertmanager and Grafana POST to it",
        "/prometheusalert" | "/webhook/send" | "/zabbix/alert" => "this is the right place; POST the alerts to it, as to the bridge before",
        path if path.starts_with("/dingtalk/") || path.starts_with("/in/") => "this is the right place; POST the alerts to it",
        _ => "the README lists the paths and their methods",
    };
    HttpError::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} is not taken at {path}; {hint}", request.method()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_log_has_no_secret() {
        for (path, logged) in [
            ("/", "/"),
            ("/webhook", "/webhook"),
            ("/api/v2/alerts", "/api/v2/alerts"),
            ("/webhok", "/webhok"),
            ("/webhook/prod", "/webhook…"),
            ("/alertmanager/webhook", "/alertmanager…"),
            ("/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage", "/bot…"),
            ("/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "/services…"),
            ("/SCT123456TabcdefghijklmnopQ.send", "/SCT…"),
            ("/abcdefghijklmnopqrstuvwxyz", "/abcdefghijkl…"),
            ("//x", "/x"),
            ("/%E5%91%8A", "/…"),
        ] {
            assert_eq!(shown(path), logged, "{path}");
        }
    }

    #[test]
    fn a_minute_has_one_line_of_each_kind_that_says_how_many_there_were() {
        let untaken = Untaken::default();
        assert_eq!(untaken.note(false, 7), Some(1));
        assert_eq!((0..99).filter_map(|_| untaken.note(false, 7)).count(), 0);
        assert_eq!(untaken.note(true, 7), Some(1), "who tries paths hides no sender of alerts");
        assert_eq!((untaken.note(false, 8), untaken.note(false, 8)), (Some(100), None));
        assert_eq!(untaken.note(true, 9), Some(1));
    }
}
