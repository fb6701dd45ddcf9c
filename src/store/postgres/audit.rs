//! What people did by hand.

use uuid::Uuid;

use super::error::DbError;
use super::rows::limit;
use super::tx::Tx;
use crate::store::audits::{AUDIT, AUDIT_BATCH, AUDIT_KEPT_MS, NEWER, PURGED, anywhere, audit_row};
use crate::store::{AuditFilter, AuditRow, AuditState, Retention};

/// [`crate::store::OperatorStore::record_audit`].
pub(super) async fn record(tx: &Tx, row: &AuditRow) -> Result<(), DbError> {
    let sql = format!("INSERT INTO audit ({AUDIT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
    let by = &row.by;
    tx.execute(&sql, &[&row.id, &row.at, &by.name, &by.via, &by.from, &row.act, &row.on, &row.reason, &row.state.as_str(), &row.outcome]).await?;
    let old = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)";
    tx.execute(old, &[&(row.at - AUDIT_KEPT_MS), &AUDIT_BATCH]).await?;
    Ok(())
}

/// Leaves the newest: however often something is done by hand, alerts have room. Refusals stay among the newer half only, see [`NEWER`].
pub(super) async fn purge(tx: &Tx, keep: Retention) -> Result<(), DbError> {
    for (rows, of) in [(keep.audit_rows / NEWER, "state = 'refused'"), (keep.audit_rows, "TRUE")] {
        let old = format!(
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE id <= (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET $1) AND {of}
             ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)"
        );
        tx.execute(&old, &[&rows, &PURGED]).await?;
    }
    Ok(())
}

/// [`crate::store::OperatorStore::end_audit`].
pub(super) async fn end(tx: &Tx, id: Uuid, state: AuditState, outcome: &str) -> Result<(), DbError> {
    tx.execute("UPDATE audit SET state = $2, outcome = $3 WHERE id = $1 AND state = 'begun'", &[&id, &state.as_str(), &outcome]).await?;
    Ok(())
}

/// [`crate::store::QueryStore::list_audit`]: walks back by id until it has enough hits.
pub(super) async fn list(tx: &Tx, filter: &AuditFilter) -> Result<Vec<AuditRow>, DbError> {
    let text = filter.text.as_deref().filter(|text| !text.is_empty()).map(anywhere);
    let person = filter.person.as_deref().map(|name| anywhere(&format!(" {name} ")));
    let (before, after) = (filter.before.unwrap_or(Uuid::max()), filter.after.unwrap_or_default());
    let sql = format!(
        "SELECT {AUDIT} FROM audit WHERE id < $1 AND id >= $4
             AND ($2::text IS NULL OR by_name ILIKE $2 OR act ILIKE $2 OR object ILIKE $2 OR reason ILIKE $2 OR outcome ILIKE $2)
             AND ($5::text IS NULL OR ' ' || by_name || ' ' ILIKE $5)
         ORDER BY id DESC LIMIT $3"
    );
    tx.query(&sql, &[&before, &text, &limit(filter.limit), &after, &person]).await?.iter().map(audit_row).collect()
}
