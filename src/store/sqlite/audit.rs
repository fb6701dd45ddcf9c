//! What people did by hand.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::error::DbError;
use super::rows::{bytes, insert};
use crate::store::audits::{AUDIT, AUDIT_BATCH, AUDIT_KEPT_MS, NEWER, PURGED, anywhere, audit_row};
use crate::store::{AuditFilter, AuditRow, AuditState, Retention};

/// [`crate::store::OperatorStore::record_audit`].
pub(super) fn record(db: &Connection, row: &AuditRow) -> Result<(), DbError> {
    insert!(db, "audit", {
        id: bytes(&row.id),
        at: row.at,
        by_name: row.by.name,
        by_way: row.by.via,
        by_address: row.by.from,
        act: row.act,
        object: row.on,
        reason: row.reason,
        state: row.state.as_str(),
        outcome: row.outcome,
    })?;
    let mut old = db.prepare_cached("DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 ORDER BY at LIMIT ?2)")?;
    old.execute(params![row.at - AUDIT_KEPT_MS, AUDIT_BATCH])?;
    Ok(())
}

/// Leaves the newest: however often something is done by hand, alerts have room. Refusals stay among the newer half only, see [`NEWER`].
pub(super) fn purge(db: &Connection, keep: Retention) -> Result<(), DbError> {
    for (rows, of) in [(keep.audit_rows / NEWER, "state = 'refused'"), (keep.audit_rows, "TRUE")] {
        let mut old = db.prepare_cached(&format!(
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <= (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET ?1) AND {of}
             ORDER BY id LIMIT ?2)"
        ))?;
        old.execute(params![rows, PURGED])?;
    }
    Ok(())
}

/// [`crate::store::OperatorStore::end_audit`].
pub(super) fn end(db: &Connection, id: Uuid, state: AuditState, outcome: &str) -> Result<(), DbError> {
    let mut update = db.prepare_cached("UPDATE audit SET state = ?2, outcome = ?3 WHERE id = ?1 AND state = 'begun'")?;
    update.execute(params![bytes(&id), state.as_str(), outcome])?;
    Ok(())
}

/// [`crate::store::QueryStore::list_audit`]: walks back by id until it has enough hits.
pub(super) fn list(db: &Connection, filter: &AuditFilter) -> Result<Vec<AuditRow>, DbError> {
    let (before, after) = (filter.before.unwrap_or(Uuid::max()), filter.after.unwrap_or_default());
    let text = filter.text.as_deref().filter(|text| !text.is_empty()).map(anywhere);
    let person = filter.person.as_deref().map(|name| anywhere(&format!(" {name} ")));
    let mut select = db.prepare_cached(&format!(
        "SELECT {AUDIT} FROM audit WHERE id < ?1 AND id >= ?4 AND (?2 IS NULL OR by_name LIKE ?2 ESCAPE '\\' OR act LIKE ?2 ESCAPE '\\'
             OR object LIKE ?2 ESCAPE '\\' OR reason LIKE ?2 ESCAPE '\\' OR outcome LIKE ?2 ESCAPE '\\')
             AND (?5 IS NULL OR ' ' || by_name || ' ' LIKE ?5 ESCAPE '\\')
         ORDER BY id DESC LIMIT ?3"
    ))?;
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let rows = select.query_map(params![bytes(&before), text, limit, bytes(&after), person], |row| audit_row(row))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
