//! What the beginning of a step of an escalation and of a call depends on.

use super::error::DbError;
use super::tx::Tx;
use crate::model::IncidentId;
use crate::store::incidents::{INCIDENT, incident};
use crate::store::rows::{step_row, steps_sql};
use crate::store::{AttemptGuard, CALLED_AGAIN, StepRow, StoreError};

/// [`crate::store::OutletStore::steps`].
pub(super) async fn of(tx: &Tx, incidents: &[IncidentId]) -> Result<Vec<StepRow>, DbError> {
    let ids: Vec<i64> = incidents.iter().map(|id| id.0).collect();
    tx.query(&steps_sql("d.incident = ANY ($1)"), &[&ids]).await?.iter().map(step_row).collect()
}

/// Refuses the beginning of a step that nothing calls for any more, and of a call about what somebody is on. The rows of the incidents are locked, so that an
/// ack which commits first is seen, and one that comes later waits for this transaction.
pub(super) async fn check(tx: &Tx, guard: &AttemptGuard) -> Result<(), DbError> {
    let ids: Vec<i64> = guard.incidents().into_iter().map(|id| id.0).collect();
    let sql = format!("SELECT {INCIDENT} FROM incident i WHERE i.id = ANY ($1) ORDER BY i.key, i.id FOR SHARE");
    let mut incidents = Vec::with_capacity(ids.len());
    for row in &tx.query(&sql, &[&ids]).await? {
        incidents.push(incident(row, 0)?);
    }
    let steps = match guard {
        AttemptGuard::Step(step) => of(tx, &[step.incident]).await?,
        AttemptGuard::Call(_) => Vec::new(),
    };
    guard.check(&incidents, &steps).map_err(|why| DbError::Refused(StoreError::Overtaken(why)))
}

/// Why the end of what is called for again is refused; `None` while its guard still refuses that it begins.
pub(super) async fn called_again(tx: &Tx, guard: &AttemptGuard) -> Result<Option<StoreError>, DbError> {
    match check(tx, guard).await {
        Ok(()) => Ok(Some(StoreError::Overtaken(CALLED_AGAIN.into()))),
        Err(DbError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
