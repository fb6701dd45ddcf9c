//! What the beginning of a step of an escalation depends on.

use super::error::DbError;
use super::tx::Tx;
use crate::model::IncidentId;
use crate::store::incidents::{INCIDENT, incident};
use crate::store::rows::{step_row, steps_sql};
use crate::store::{StepGuard, StepRow, StoreError};

/// [`crate::store::OutletStore::steps`].
pub(super) async fn of(tx: &Tx, incidents: &[IncidentId]) -> Result<Vec<StepRow>, DbError> {
    let ids: Vec<i64> = incidents.iter().map(|id| id.0).collect();
    tx.query(&steps_sql("d.incident = ANY ($1)"), &[&ids]).await?.iter().map(step_row).collect()
}

/// Refuses the beginning of a step that nothing calls for any more. The incident's row is locked, so that an ack which commits first is seen, and one that
/// comes later waits for this transaction.
pub(super) async fn check(tx: &Tx, guard: &StepGuard) -> Result<(), DbError> {
    let sql = format!("SELECT {INCIDENT} FROM incident i WHERE i.id = $1 FOR SHARE");
    let found = tx.first(&sql, &[&guard.incident.0]).await?.map(|row| incident(&row, 0)).transpose()?;
    let steps = of(tx, &[guard.incident]).await?;
    guard.check(found.as_ref(), &steps).map_err(|why| DbError::Refused(StoreError::Overtaken(why)))
}
