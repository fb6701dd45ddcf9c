//! Steps of escalations that nothing calls for any more, or that come earlier or later.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::DbError;
use super::outcome::recount;
use super::rows::bytes;
use super::timeline;
use crate::model::{DeliveryId, IncidentId, LaneId, OutletKey, UnixMs};
use crate::store::rows::{StoredRow as _, step_row, steps_sql};
use crate::store::{AcceptedDelivery, Acks, ChangedStep, EscalationStep, IncidentState, State, StepChange, StepRow, nothing_calls, step_changes};

/// Moves the steps of incidents of which everything that is to be sent is muted: they come after the end of the mute. Returns their lanes.
pub(super) fn begin_later(db: &Connection, incidents: BTreeSet<i64>, base: UnixMs) -> Result<Vec<i64>, DbError> {
    let mut update = db.prepare_cached(
        "UPDATE delivery SET due_at = ?2 + after_ms, born_at = ?2 + after_ms - 1
         WHERE incident = ?1 AND escalation IS NOT NULL AND state = 'deferred' AND due_at = born_at + 1
             AND NOT EXISTS (SELECT 1 FROM delivery o WHERE o.incident = ?1 AND o.escalation IS NULL AND o.state <> 'deferred')
         RETURNING lane_id",
    )?;
    let mut lanes = Vec::new();
    for incident in incidents {
        let rows = update.query_map(params![incident, base], |row| row.get(0))?;
        lanes.extend(rows.collect::<rusqlite::Result<Vec<i64>>>()?);
    }
    Ok(lanes)
}

/// What becomes of steps that wait.
pub(super) fn changes(db: &Connection, suspended: &[String], now: UnixMs) -> Result<Vec<(DeliveryId, StepChange)>, DbError> {
    const WAIT: &str =
        "SELECT incident FROM delivery INDEXED BY delivery_step_open WHERE escalation IS NOT NULL AND state IN ('waiting', 'deferred')";
    let mut select = db.prepare_cached(&steps_sql(&format!("d.incident IN ({WAIT})")))?;
    let rows: Vec<StepRow> = select.query_map([], |row| step_row(row))?.collect::<rusqlite::Result<_>>()?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = db.prepare_cached(&format!("SELECT id, state, acks FROM incident WHERE id IN ({WAIT})"))?;
    let calls = select.query_map([], |row| {
        let (state, acks) = (row.named(1, IncidentState::parse, "incident's state")?, Acks::from_stored(row.get_ref(2)?.as_str_or_null()?));
        Ok((IncidentId(row.get(0)?), nothing_calls(state, &acks)))
    })?;
    let calls: HashMap<IncidentId, Option<String>> = calls.collect::<rusqlite::Result<_>>()?;
    Ok(step_changes(&rows, &calls, suspended, now))
}

/// Changes steps as was found in the same transaction.
pub(super) fn change(db: &Connection, found: Vec<(DeliveryId, StepChange)>, now: UnixMs) -> Result<Vec<ChangedStep>, DbError> {
    let mut changed = Vec::new();
    let mut lanes = BTreeSet::new();
    for (id, change) in found {
        let Some(step) = change_one(db, id, change, now)? else { continue };
        lanes.insert(step.delivery.lane.0);
        if let Some(row) = step.timeline_row(now) {
            timeline::add(db, step.incident, &row)?;
        }
        changed.push(step);
    }
    for lane in lanes {
        recount(db, lane)?;
    }
    Ok(changed)
}

fn change_one(db: &Connection, id: DeliveryId, change: StepChange, now: UnixMs) -> Result<Option<ChangedStep>, DbError> {
    let (state, reason) = change.applied();
    let mut update = db.prepare_cached(
        "UPDATE delivery SET state = coalesce(?2, state), done_at = CASE WHEN ?2 IS NULL THEN done_at ELSE ?4 END,
             due_at = CASE WHEN ?2 IS NULL THEN ?4 ELSE due_at END, reason = ?3
         WHERE id = ?1 AND state IN ('waiting', 'deferred')",
    )?;
    if update.execute(params![bytes(&id.0), state.map(State::as_str), reason, now])? == 0 {
        return Ok(None);
    }
    let mut select = db.prepare_cached(
        "SELECT d.channel, l.outlet, d.lane_id, d.lane_seq, d.state, d.incident, d.escalation, d.step, d.began_at, d.after_ms
         FROM delivery d JOIN lane l ON l.id = d.lane_id WHERE d.id = ?1",
    )?;
    let found = select.query_row([bytes(&id.0)], |row| {
        let incident = IncidentId(row.get(5)?);
        let delivery = AcceptedDelivery {
            id,
            channel: row.get(0)?,
            outlet: OutletKey::from_stored(row.get_ref(1)?.as_str()?),
            lane: LaneId(row.get(2)?),
            lane_seq: row.get(3)?,
            state: row.state(4)?,
            incident: Some(incident),
        };
        let step = EscalationStep { escalation: row.get(6)?, number: row.count(7)?, began_at: row.time(8)?, after: row.get(9)? };
        Ok(ChangedStep { delivery, incident, step, change })
    });
    Ok(found.optional()?)
}
