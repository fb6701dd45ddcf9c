//! What people did by hand, and what they were refused.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use serde_json::json;
use uuid::Uuid;

use super::{A_TIME, ApiError, ApiResult, MAX_PAGE, PAGE, for_all, gate, limit_schema};
use crate::api::{Audit, AuditedAct};
use crate::http::openapi::{Op, Param, Paths};
use crate::http::pairs::pairs;
use crate::http::{App, Scope};
use crate::model::UnixMs;
use crate::store::AuditFilter;

/// The paths.
pub(super) fn paths() -> Paths {
    let filters = [
        Param::text("text", "Only those whose author, act, object, reason or outcome holds this, whatever the case of ASCII letters"),
        Param::text("since", "Only those begun at or after this: RFC 3339, or Unix milliseconds"),
        Param::text("until", "Only those begun before this"),
        Param::of("cursor", "The `next` of the page before", json!({ "type": "string", "format": "uuid" })),
        Param::of("limit", "At most so many; 50 unless said", limit_schema()),
    ];
    let list = Op::get("listAudit", "What people did by hand and what they were refused, newest first", list);
    Paths::default().at("/audit", [list.scope(Scope::Read).problems().query(filters).gives::<Audit>()])
}

fn query(now: UnixMs, text: Option<&str>) -> Result<AuditFilter, ApiError> {
    let mut filter = AuditFilter { limit: PAGE, ..AuditFilter::default() };
    for (name, value) in pairs(text) {
        let bad = |what: &str| ApiError::bad(format!("`{name}` takes {what}, not `{}`", value.chars().take(60).collect::<String>()));
        let time = || UnixMs::asked(&value, now).map(UnixMs::first_id).ok_or_else(|| bad(A_TIME));
        match name.as_str() {
            "text" => filter.text = Some(value.chars().take(200).collect()),
            "since" => filter.after = Some(time()?),
            // A page ends before its cursor and before the end of the time, whichever comes first.
            "until" => filter.before = filter.before.into_iter().chain([time()?]).min(),
            "cursor" => {
                let cursor: Uuid = value.parse().map_err(|_| bad("the `next` of the page before"))?;
                filter.before = filter.before.into_iter().chain([cursor]).min();
            }
            "limit" => filter.limit = value.parse().ok().filter(|n| (1..=MAX_PAGE).contains(n)).ok_or_else(|| bad("a number from 1 to 500"))?,
            _ => {
                let name: String = name.chars().take(60).collect();
                return Err(ApiError::bad(format!("unknown parameter `{name}`; known: text, since, until, cursor, limit")));
            }
        }
    }
    Ok(filter)
}

async fn list(State(app): State<Arc<App>>, RawQuery(text): RawQuery, request: Request) -> ApiResult<Audit> {
    for_all(&gate(&app, Scope::Read, request).await?.caller, "the audit")?;
    let filter = query(app.engine.clock().wall(), text.as_deref())?;
    let rows = app.engine.query().list_audit(&filter).await?;
    let next = (rows.len() == filter.limit).then(|| rows.last().map(|row| row.id)).flatten();
    Ok(Json(Audit { acts: rows.into_iter().map(AuditedAct::from).collect(), next }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_before_its_cursor_and_the_end_of_the_time() {
        let read = |text: &str| query(UnixMs::EPOCH, Some(text)).ok().unwrap();
        let id = |ms: i64| Some(UnixMs(ms).first_id());
        let filter = read("since=1000&until=3000&text=ann&limit=7");
        assert_eq!((filter.after, filter.before, filter.text.as_deref(), filter.limit), (id(1000), id(3000), Some("ann"), 7));
        let cursor = UnixMs(2000).first_id();
        assert_eq!(read(&format!("until=3000&cursor={cursor}")).before, id(2000));
        assert_eq!(read(&format!("cursor={cursor}&until=1970-01-01T00:00:01Z")).before, id(1000));
        for bad in ["colour=red", "since=yesterday", "limit=0", "cursor=1"] {
            assert!(query(UnixMs::EPOCH, Some(bad)).is_err(), "{bad}");
        }
    }
}
