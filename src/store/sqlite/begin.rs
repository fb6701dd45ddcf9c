//! Where escalations begin.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::error::DbError;
use super::rows::find_incident;
use crate::model::IncidentId;
use crate::store::Begun;
use crate::store::prepared::{PreparedDelivery, PreparedEvent};
use crate::store::rows::{STEP_ENDED_AT, STEP_STOPPED};

/// The steps of escalations that begin with an event; `reported` are the incidents that its reports led to.
pub(super) fn steps<'e>(db: &Connection, event: &'e PreparedEvent, reported: &[Option<IncidentId>]) -> Result<Vec<&'e PreparedDelivery>, DbError> {
    let known = event.steps.iter().filter_map(|step| Some((step.delivery.incident.resolve(reported)?, step.step()?, step)));
    let steps: Vec<_> = known.collect();
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let mut begun = begun(db, steps.iter().map(|(incident, ..)| *incident).collect())?;
    let begins = begun.begin(steps.iter().map(|(incident, step, prepared)| (*incident, *step, move || event.routed_elsewhere(prepared))));
    Ok(steps.iter().zip(begins).filter(|(_, begins)| *begins).map(|((.., step), _)| *step).collect())
}

fn begun(db: &Connection, incidents: BTreeSet<IncidentId>) -> Result<Begun, DbError> {
    let mut steps = db.prepare_cached(&format!(
        "SELECT escalation, began_at, step, channel, coalesce({STEP_STOPPED}, FALSE), {STEP_ENDED_AT}
         FROM delivery INDEXED BY delivery_step WHERE escalation IS NOT NULL AND incident = ?1 ORDER BY id"
    ))?;
    let mut reopened = db.prepare_cached("SELECT max(at) FROM timeline WHERE incident = ?1 AND kind = 'reopened'")?;
    let mut begun = Begun::default();
    for incident in incidents {
        let mut rows = steps.query([incident.0])?;
        while let Some(row) = rows.next()? {
            let run = begun.runs.entry((incident, row.get(0)?)).or_default();
            run.add(row.get(1)?, (row.get(2)?, row.get(3)?), row.get(4)?, row.get(5)?);
        }
        if let Some(at) = reopened.query_row([incident.0], |row| row.get(0))? {
            begun.called_again(incident, at);
        }
        if let Some(incident) = find_incident(db, incident)? {
            begun.know(&incident);
        }
    }
    Ok(begun)
}
