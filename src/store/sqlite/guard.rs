//! What the beginning of a step of an escalation depends on.

use rusqlite::Connection;

use super::error::DbError;
use super::rows::find_incident;
use crate::model::IncidentId;
use crate::store::rows::{step_row, steps_sql};
use crate::store::{StepGuard, StepRow, StoreError};

/// [`crate::store::OutletStore::steps`].
pub(super) fn of(db: &Connection, incident: IncidentId) -> Result<Vec<StepRow>, DbError> {
    let mut select = db.prepare_cached(&steps_sql("d.incident = ?1"))?;
    Ok(select.query_map([incident.0], |row| step_row(row))?.collect::<rusqlite::Result<_>>()?)
}

/// Refuses the beginning of a step that nothing calls for any more. Comes before anything is written.
pub(super) fn check(db: &Connection, guard: &StepGuard) -> Result<(), DbError> {
    let (incident, steps) = (find_incident(db, guard.incident)?, of(db, guard.incident)?);
    guard.check(incident.as_ref(), &steps).map_err(|why| DbError::Refused(StoreError::Overtaken(why)))
}
