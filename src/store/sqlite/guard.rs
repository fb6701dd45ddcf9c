//! What the beginning of a step of an escalation depends on.

use rusqlite::Connection;

use super::error::DbError;
use super::rows::find_incident;
use crate::model::IncidentId;
use crate::store::rows::{step_row, steps_sql};
use crate::store::{StepGuard, StepRow, StoreError};

/// [`crate::store::OutletStore::steps`].
pub(super) fn of(db: &Connection, incidents: &[IncidentId]) -> Result<Vec<StepRow>, DbError> {
    let ids: Vec<i64> = incidents.iter().map(|id| id.0).collect();
    let mut select = db.prepare_cached(&steps_sql("d.incident IN (SELECT value FROM json_each(?1))"))?;
    Ok(select.query_map([serde_json::json!(ids).to_string()], |row| step_row(row))?.collect::<rusqlite::Result<_>>()?)
}

/// Refuses the beginning of a step that nothing calls for any more. Comes before anything is written.
pub(super) fn check(db: &Connection, guard: &StepGuard) -> Result<(), DbError> {
    let (incident, steps) = (find_incident(db, guard.incident)?, of(db, &[guard.incident])?);
    guard.check(incident.as_ref(), &steps).map_err(|why| DbError::Refused(StoreError::Overtaken(why)))
}
