//! Rows of outlets: pauses, suspensions, and what a month has seen.

use rusqlite::{Connection, params};

use super::error::DbError;
use crate::model::OutletKey;
use crate::store::{MonthlySends, OutletUpdate};

/// Counts messages and edits of an outlet in a month.
pub(super) fn count_month(db: &Connection, outlet: &OutletKey, MonthlySends { month, sends }: &MonthlySends) -> Result<(), DbError> {
    // `2026-11` sorts as text; an outcome that comes in late for a month gone by changes nothing.
    db.prepare_cached(
        "UPDATE outlet SET month_sent = CASE WHEN month = ?2 THEN month_sent + ?3 ELSE ?3 END, month = ?2 WHERE key = ?1 AND month <= ?2",
    )?
    .execute(params![outlet.as_str(), month, sends])?;
    Ok(())
}

/// Sets an outlet's pause and suspension, as far as they change.
pub(super) fn change_outlet(db: &Connection, outlet: &OutletKey, change: &OutletUpdate) -> Result<(), DbError> {
    if let Some(until) = change.paused_until {
        db.prepare_cached("UPDATE outlet SET paused_until = ?2 WHERE key = ?1")?.execute(params![outlet.as_str(), until])?;
    }
    if let Some(suspension) = &change.suspension {
        db.prepare_cached("UPDATE outlet SET held = ?2 WHERE key = ?1")?.execute(params![outlet.as_str(), suspension.reason()])?;
    }
    Ok(())
}
