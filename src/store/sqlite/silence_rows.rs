//! Rows of silences, and what an act does to them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::DbError;
use super::rows::bytes;
use crate::model::{IncidentId, UnixMs};
use crate::store::silences::{SILENCE, silence};
use crate::store::{Silence, SilenceWish};

/// The silence of an incident.
pub(super) fn find(db: &Connection, incident: IncidentId) -> Result<Option<Silence>, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT {SILENCE} FROM silence WHERE incident = ?1"))?;
    Ok(select.query_row([incident.0], |row| silence(row)).optional()?)
}

/// Writes a silence.
pub(super) fn put(db: &Connection, s: &Silence) -> Result<(), DbError> {
    let mut put =
        db.prepare_cached(&format!("INSERT OR REPLACE INTO silence ({SILENCE}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"))?;
    let (labels, by) = (serde_json::json!(s.labels).to_string(), serde_json::json!(s.by).to_string());
    put.execute(params![
        s.incident.0,
        bytes(&s.token),
        s.revision,
        labels,
        by,
        s.asked_at,
        s.until,
        s.state.as_str(),
        s.sender_id,
        s.tries,
        s.reason,
        s.due_at,
        s.seen,
    ])?;
    Ok(())
}

/// Part of an act: what somebody wants of an incident's silence.
pub(super) fn wish(db: &Connection, incident: IncidentId, wish: &SilenceWish, now: UnixMs) -> Result<(), DbError> {
    Silence::wished(find(db, incident)?, incident, wish, now).iter().try_for_each(|silence| put(db, silence))
}
