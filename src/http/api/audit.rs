//! What people did by hand, and what they were refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use serde_json::json;

use super::{A_TIME, ApiError, ApiResult, MAX_PAGE, PAGE, for_all, gate, limit_schema};
use crate::api::{Audit, AuditedAct};
use crate::http::openapi::{Op, Param, Paths};
use crate::http::pairs::pairs;
use crate::http::search::{Next, Span, Window};
use crate::http::{App, Scope};
use crate::model::UnixMs;
use crate::store::{AuditFilter, Listed};

/// The paths.
pub(super) fn paths() -> Paths {
    let filters = [
        Param::text("text", "Only those whose author, act, object, reason or outcome holds this, whatever the case of ASCII letters"),
        Param::text("person", "Only those by this person or credential: whole words of `who`, whatever the case of ASCII letters"),
        Param::text("since", "Only those begun at or after this: how long ago, as `1h`, RFC 3339, or Unix milliseconds"),
        Param::text("until", "Only those begun before this"),
        Param::of("cursor", "The `next` of the page before", json!({ "type": "string", "format": "uuid" })),
        Param::of("limit", "At most so many; 50 unless said", limit_schema()),
    ];
    let list = Op::get("listAudit", "What people did by hand and what they were refused, newest first; a search says how far back it went", list);
    Paths::default().at("/audit", [list.scope(Scope::Read).problems().query(filters).gives::<Audit>()])
}

fn query(now: UnixMs, text: Option<&str>) -> Result<(AuditFilter, Span), ApiError> {
    let (mut filter, mut span) = (AuditFilter { limit: PAGE, ..AuditFilter::default() }, Span::default());
    for (name, value) in pairs(text) {
        let bad = |what: &str| ApiError::bad(format!("`{name}` takes {what}, not `{}`", value.chars().take(60).collect::<String>()));
        let time = || UnixMs::asked(&value, now).ok_or_else(|| bad(A_TIME));
        match name.as_str() {
            "text" => filter.text = Some(value.chars().take(200).collect()),
            "person" => filter.person = Some(value.chars().take(200).collect()),
            "since" => span.since = Some(time()?),
            "until" => span.until = Some(time()?),
            "cursor" => filter.before = Some(value.parse().map_err(|_| bad("the `next` of the page before"))?),
            "limit" => filter.limit = value.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)).ok_or_else(|| bad("a number from 1 to 500"))?,
            _ => {
                let name: String = name.chars().take(60).collect();
                return Err(ApiError::bad(format!("unknown parameter `{name}`; known: text, person, since, until, cursor, limit")));
            }
        }
    }
    Ok((filter, span))
}

async fn list(State(app): State<Arc<App>>, RawQuery(text): RawQuery, request: Request) -> ApiResult<Audit> {
    for_all(&gate(&app, Scope::Read, request).await?.caller, "the audit")?;
    let (filter, span) = query(app.engine.clock().wall(), text.as_deref())?;
    let (searches, most) = (filter.is_searched(), filter.limit);
    let window = Window::of(&app, Listed::Audit, filter.before, span, searches).await?;
    let filter = AuditFilter { before: window.before, after: window.after, limit: most + 1, ..filter };
    let mut rows = app.engine.query().list_audit(&filter).await?;
    let next = Next::cut(&mut rows, most, window.stops, |row| row.id).cursor();
    let searched_back_to = next.filter(|_| searches).map(UnixMs::of_id);
    Ok(Json(Audit { acts: rows.into_iter().map(AuditedAct::from).collect(), next, searched_back_to }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_asks_for_is_read() {
        let read = |text: &str| query(UnixMs::EPOCH, Some(text)).ok().unwrap();
        let (filter, span) = read("since=1000&until=3000&text=mute&person=Ann&limit=7");
        assert_eq!((filter.text.as_deref(), filter.person.as_deref(), filter.limit), (Some("mute"), Some("Ann"), 7));
        assert_eq!(span, Span { since: Some(UnixMs(1000)), until: Some(UnixMs(3000)) });
        let cursor = UnixMs(2000).first_id();
        let (filter, span) = read(&format!("cursor={cursor}&until=1970-01-01T00:00:01Z"));
        assert_eq!((filter.before, span.until), (Some(cursor), Some(UnixMs(1000))));
        for bad in ["colour=red", "since=yesterday", "limit=0", "cursor=1"] {
            assert!(query(UnixMs::EPOCH, Some(bad)).is_err(), "{bad}");
        }
    }
}
