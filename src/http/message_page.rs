//! `/m/<message>?k=<signature>`: a message as it was sent, read-only, for somebody with its link and nothing else.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::{App, HttpError};
use crate::delivery::links;
use crate::model::{Event, MessageId, Status};
use crate::store::{DeliveryFilter, StoredMessage};

/// Deliveries shown on one page.
const SHOWN: usize = 500;
/// Alerts shown on one page.
const ALERTS: usize = 1000;
/// Bytes of bodies that are read for one page; a single larger one is read anyway.
const READ: usize = 1 << 20;

/// Shows a message to anybody who has its signed link.
pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, RawQuery(query): RawQuery) -> Result<Response, HttpError> {
    let wrong = || HttpError::not_found("no such message, or the link is incomplete");
    let id: MessageId = id.parse().map_err(|_| wrong())?;
    let given = query.as_deref().unwrap_or("").split('&').find_map(|p| p.strip_prefix("k=")).unwrap_or("");
    let expected = links::signature(&app.engine.plan().link_key, id);
    if expected.is_empty() || !bool::from(given.as_bytes().ct_eq(expected.as_bytes())) {
        return Err(wrong());
    }
    let store = app.engine.query();
    let message = store.get_message(id).await?.ok_or_else(wrong)?;
    let filter = DeliveryFilter { message: Some(id), limit: SHOWN, ..DeliveryFilter::default() };
    let rows = store.list_deliveries(&filter).await?;
    let mut ids: Vec<_> = rows.iter().map(|r| r.event).collect();
    ids.dedup();
    // A large body is read alone, and of several only the first.
    let alone = app.engine.heavy().large_body().await;
    let mut bodies = app.engine.load_events(&ids, READ).await?;
    if bodies.events.is_empty() && bodies.left > 0 {
        bodies = app.engine.load_events(&ids[ids.len() - bodies.left..][..1], usize::MAX).await?;
    }
    let events: Vec<&Event> = bodies.events.iter().map(|e| &*e.event).collect();
    let all: u64 = rows.iter().map(|r| u64::from(r.firing + r.resolved)).sum();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
        ),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    ];
    let page = render(&message, &events, all);
    drop(alone);
    Ok((headers, page).into_response())
}

fn render(message: &StoredMessage, events: &[&Event], all: u64) -> String {
    let title = message.pages.first().map_or("", |p| p.facts.title.as_str());
    let mut alerts: Vec<_> = events.iter().flat_map(|e| e.alerts.iter().map(move |a| (a, *e))).collect();
    alerts.sort_by_key(|(a, _)| a.status);
    let mut body = String::new();
    for (alert, _) in alerts.iter().take(ALERTS) {
        let class = if alert.status == Status::Firing { "firing" } else { "resolved" };
        body.push_str(&format!("<article class=\"{class}\"><h2>{} <small>{}</small></h2>", escape(alert.name()), alert.status.as_str()));
        for text in ["summary", "description"] {
            if !alert.annotation(text).is_empty() {
                body.push_str(&format!("<p>{}</p>", escape(alert.annotation(text)).replace('\n', "<br>")));
            }
        }
        body.push_str("<dl>");
        if let Some(at) = alert.starts_at {
            body.push_str(&format!("<dt>since</dt><dd>{at}</dd>"));
        }
        for (name, value) in alert.labels.iter().filter(|(n, _)| *n != "alertname") {
            body.push_str(&format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value)));
        }
        body.push_str("</dl></article>");
    }
    let more = all.saturating_sub(alerts.len().min(ALERTS) as u64);
    if more > 0 {
        body.push_str(&format!("<p>and {more} more; <code>watchfire queue show</code> has them all</p>"));
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
<meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><style>\
body{{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:0 auto;padding:1rem}}h1{{font-size:1.25rem}}h2{{font-size:1.05rem;margin:.2rem 0}}\
small{{font-weight:normal;opacity:.7}}article{{border-left:4px solid #2e9e5b;padding:.3rem .8rem;margin:.8rem 0}}article.firing{{border-color:#d9342b}}\
dl{{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:.3rem 0;font-size:.9rem}}dt{{opacity:.65}}dd{{margin:0;overflow-wrap:anywhere}}p{{margin:.3rem 0;overflow-wrap:anywhere}}\
</style></head><body><h1>{title}</h1><p>{} on {} · {} deliveries</p>{body}</body></html>",
        escape(message.kind.as_str()),
        escape(&message.channel),
        message.members,
        title = escape(title),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
