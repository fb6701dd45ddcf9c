//! The timelines of incidents: what happened to each, line by line.

use rusqlite::{Connection, params};

use super::error::DbError;
use super::rows::insert;
use crate::model::IncidentId;
use crate::store::TimelineRow;
use crate::store::incidents::{MAX_DETAIL_ROWS, TIMELINE, timeline_row};

/// Of a group with a label.
pub(super) const OF_GROUP: &str =
    "(instr(i.group_key, '{' || ?) > 0 OR instr(i.group_key, ', ' || ?) > 0 OR instr(i.labels, '{' || ?) > 0 OR instr(i.labels, ', ' || ?) > 0)";
/// Acked or snoozed by somebody.
pub(super) const ACKED_BY: &str =
    "EXISTS (SELECT 1 FROM timeline t WHERE t.incident = i.id AND t.kind IN ('acked', 'snoozed') AND instr(lower(t.text), ?) > 0)";

/// Adds a line.
pub(super) fn add(db: &Connection, incident: IncidentId, row: &TimelineRow) -> Result<(), DbError> {
    insert!(db, "timeline", { incident: incident.0, at: row.at, kind: row.kind.as_str(), channel: row.channel, text: row.text })?;
    Ok(())
}

/// Removes the newest line of this one's kind and channel that ends so, which this one takes the place of.
pub(super) fn remove_last(db: &Connection, incident: IncidentId, row: &TimelineRow, end: &str) -> Result<(), DbError> {
    db.prepare_cached(
        "DELETE FROM timeline WHERE id = (SELECT id FROM timeline WHERE incident = ?1 AND kind = ?2 AND channel = ?3 AND substr(text, -length(?4)) = ?4
             ORDER BY id DESC LIMIT 1)",
    )?
    .execute(params![incident.0, row.kind.as_str(), row.channel, end])?;
    Ok(())
}

/// The lines of an incident, oldest first; of very many the newest.
pub(super) fn of(db: &Connection, incident: IncidentId) -> Result<Vec<TimelineRow>, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT {TIMELINE} FROM timeline WHERE incident = ?1 ORDER BY id DESC LIMIT ?2"))?;
    let mut rows: Vec<TimelineRow> = select.query_map([incident.0, MAX_DETAIL_ROWS], |row| timeline_row(row))?.collect::<rusqlite::Result<_>>()?;
    rows.reverse();
    Ok(rows)
}
