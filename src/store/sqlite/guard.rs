//! What the beginning of a step of an escalation and of a call depends on.

use rusqlite::Connection;

use super::error::DbError;
use super::rows::find_incident;
use crate::model::IncidentId;
use crate::store::rows::{step_row, steps_sql};
use crate::store::{AttemptGuard, CALLED_AGAIN, StepRow, StoreError};

/// [`crate::store::OutletStore::steps`].
pub(super) fn of(db: &Connection, incidents: &[IncidentId]) -> Result<Vec<StepRow>, DbError> {
    let ids: Vec<i64> = incidents.iter().map(|id| id.0).collect();
    let mut select = db.prepare_cached(&steps_sql("d.incident IN (SELECT value FROM json_each(?1))"))?;
    Ok(select.query_map([serde_json::json!(ids).to_string()], |row| step_row(row))?.collect::<rusqlite::Result<_>>()?)
}

/// Refuses the beginning of a step that nothing calls for any more, and of a call about what somebody is on. Comes before anything is written.
pub(super) fn check(db: &Connection, guard: &AttemptGuard) -> Result<(), DbError> {
    let mut incidents = Vec::new();
    for id in guard.incidents() {
        incidents.extend(find_incident(db, id)?);
    }
    let steps = match guard {
        AttemptGuard::Step(step) => of(db, &[step.incident])?,
        AttemptGuard::Call(_) => Vec::new(),
    };
    guard.check(&incidents, &steps).map_err(|why| DbError::Refused(StoreError::Overtaken(why)))
}

/// Refuses the end of what is called for again. Comes before anything is written.
pub(super) fn still_refuses(db: &Connection, guard: &AttemptGuard) -> Result<(), DbError> {
    match check(db, guard) {
        Ok(()) => Err(DbError::Refused(StoreError::Overtaken(CALLED_AGAIN.into()))),
        Err(DbError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
