//! Where escalations begin.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::error::DbError;
use super::rows::find_incident;
use crate::model::{IncidentId, UnixMs};
use crate::store::Begun;
use crate::store::prepared::{PreparedDelivery, PreparedEvent};
use crate::store::rows::STOPPED_BY_ACK;

/// The steps of escalations that begin with an event; `reported` are the incidents that its reports led to.
pub(super) fn steps<'e>(db: &Connection, event: &'e PreparedEvent, reported: &[Option<IncidentId>]) -> Result<Vec<&'e PreparedDelivery>, DbError> {
    let known = event.steps.iter().filter_map(|step| Some((step.delivery.incident.resolve(reported)?, step.step()?, step)));
    let steps: Vec<_> = known.collect();
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let mut begun = begun(db, steps.iter().map(|(incident, ..)| *incident).collect())?;
    let begins = begun.begin(steps.iter().map(|(incident, step, _)| (*incident, *step)));
    Ok(steps.iter().zip(begins).filter(|(_, begins)| *begins).map(|((.., step), _)| *step).collect())
}

fn begun(db: &Connection, incidents: BTreeSet<IncidentId>) -> Result<Begun, DbError> {
    let mut began = db.prepare_cached(&format!(
        "SELECT escalation, max(began_at), max(CASE WHEN {STOPPED_BY_ACK} THEN began_at END),
             max(CASE WHEN state IN ('waiting', 'deferred') THEN began_at END)
         FROM delivery INDEXED BY delivery_step WHERE escalation IS NOT NULL AND incident = ?1 GROUP BY escalation"
    ))?;
    let mut reopened = db.prepare_cached("SELECT max(at) FROM timeline WHERE incident = ?1 AND kind = 'reopened'")?;
    let mut begun = Begun::default();
    for incident in incidents {
        for row in began.query_map([incident.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))? {
            let (escalation, at, acked, waiting): (String, UnixMs, Option<UnixMs>, Option<UnixMs>) = row?;
            let key = (incident, escalation);
            begun.acked.extend(acked.map(|acked| (key.clone(), acked)));
            begun.waiting.extend(waiting.map(|waiting| (key.clone(), waiting)));
            begun.began.insert(key, at);
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
