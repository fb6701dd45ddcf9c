//! What people and times do to incidents: acks, their ends, and the deliveries by which channels ring about it.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::accept::insert_delivery;
use super::admin;
use super::anchors;
use super::error::DbError;
use super::guard;
use super::incidents::set_answer;
use super::rows::{find_incident, insert};
use super::steps;
use super::timeline;
use crate::model::{DeliveryId, EventId, UnixMs};
use crate::store::acts::{
    Acting, Candidate, MAX_CANDIDATES, PRESS_BATCH, read_outcome, ring, spreads, step_again, steps_again, stopped_steps, to_ring, write_outcome,
};
use crate::store::incidents::{INCIDENT, incident};
use crate::store::prepared::{PreparedDelivery, TextRule};
use crate::store::rows::StoredRow as _;
use crate::store::{AcceptedDelivery, Act, Acted, Answered, ChangedStep, Incident};

/// [`crate::store::OperatorStore::act`].
pub(super) fn act(db: &Connection, act: &Act) -> Result<Acted, DbError> {
    let mut taken = db.prepare_cached("SELECT outcome FROM press WHERE platform = ?1 AND event_id = ?2")?;
    if let Some(outcome) = taken.query_row([&act.press.platform, &act.press.event_id], |row| row.get::<_, String>(0)).optional()? {
        return Ok(Acted { repeated: true, results: read_outcome(&outcome), ..Acted::default() });
    }
    let (mut known, mut shown) = (BTreeMap::new(), BTreeMap::new());
    for on in &act.on {
        let Some(incident) = find_incident(db, on.incident)? else { continue };
        if on.shown.is_some() {
            shown.insert(on.incident, anchors::all(db, on.incident)?);
        }
        if spreads(act.verb) {
            let mut others = db.prepare_cached(&format!("SELECT {INCIDENT} FROM incident i WHERE i.ended_at IS NULL AND i.source = ?1"))?;
            for other in others.query_map([&incident.source], |row| self::incident(row, 0))? {
                let other = other?;
                known.insert(other.id, other);
            }
        }
        known.insert(incident.id, incident);
    }
    let Acting { results, changed, .. } = Acting::new(act).run(&known, &shown);
    let (mut rings, mut ended_steps) = (Vec::new(), Vec::new());
    for (incident, answered) in &changed {
        ended_steps.extend(stop_steps(db, incident, answered, act.now)?);
        rings.extend(write(db, incident, answered, act.now)?);
    }
    insert!(db, "press", {
        platform: act.press.platform,
        event_id: act.press.event_id,
        at: act.now,
        person: act.by.id,
        verb: act.verb.as_str(),
        outcome: write_outcome(&results),
    })?;
    Ok(Acted { repeated: false, results, rings, ended_steps })
}

/// [`crate::store::MaintenanceStore::wake_incidents`].
pub(super) fn wake(db: &Connection, now: UnixMs, limit: usize) -> Result<Vec<AcceptedDelivery>, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {INCIDENT} FROM incident i INDEXED BY incident_wake WHERE i.wake_at IS NOT NULL AND i.wake_at <= ?1 ORDER BY i.wake_at LIMIT ?2"
    ))?;
    let due: Vec<Incident> =
        select.query_map(params![now, i64::try_from(limit).unwrap_or(i64::MAX)], |row| incident(row, 0))?.collect::<rusqlite::Result<_>>()?;
    let mut rings = Vec::new();
    for mut incident in due {
        match incident.wake(now) {
            Some(answered) => {
                stop_steps(db, &incident, &answered, now)?;
                rings.extend(write(db, &incident, &answered, now)?);
            }
            // It is over: nothing is due any more.
            None => set_answer(db, &incident)?,
        }
    }
    Ok(rings)
}

fn write(db: &Connection, incident: &Incident, answered: &Answered, now: UnixMs) -> Result<Vec<AcceptedDelivery>, DbError> {
    set_answer(db, incident)?;
    anchors::mark_dirty(db, incident.id)?;
    answered.rows.iter().try_for_each(|row| timeline::add(db, incident.id, row))?;
    let Some(why) = &answered.rings else { return Ok(Vec::new()) };
    let mut select = db.prepare_cached(
        "SELECT d.id, d.event_id, d.lane_id, d.channel FROM delivery d INDEXED BY delivery_incident
         WHERE d.incident = ?1 AND d.incident IS NOT NULL AND d.mode = 'queued' AND d.escalation IS NULL ORDER BY d.id DESC LIMIT ?2",
    )?;
    let candidates = select.query_map(params![incident.id.0, MAX_CANDIDATES], |row| {
        Ok(Candidate { id: DeliveryId(row.uuid(0)?), event: EventId(row.uuid(1)?), lane: row.get(2)?, channel: row.get(3)? })
    })?;
    let candidates = candidates.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut accepted = Vec::new();
    for id in to_ring(incident, &anchors::all(db, incident.id)?, candidates) {
        let old = admin::old(db, id)?;
        let event = old.row.event;
        let prepared = PreparedDelivery::new(ring(&old, incident.id, why, now), TextRule::Any).map_err(DbError::Undo)?;
        accepted.push(insert_delivery(db, event, &prepared, now, None, &[])?);
    }
    for id in steps_again(incident, answered, &guard::of(db, incident.id)?) {
        let old = admin::old(db, id)?;
        if let Some(step) = step_again(&old, now) {
            let prepared = PreparedDelivery::new(step, TextRule::Any).map_err(DbError::Undo)?;
            accepted.push(insert_delivery(db, old.row.event, &prepared, now, None, &[])?);
        }
    }
    Ok(accepted)
}

fn stop_steps(db: &Connection, incident: &Incident, answered: &Answered, now: UnixMs) -> Result<Vec<ChangedStep>, DbError> {
    steps::change(db, stopped_steps(incident, answered, &guard::of(db, incident.id)?, now), now)
}

/// Removes presses from before a time.
pub(super) fn purge_presses(db: &Connection, before: UnixMs) -> Result<(), DbError> {
    db.prepare_cached(
        "DELETE FROM press WHERE (platform, event_id) IN (SELECT platform, event_id FROM press INDEXED BY press_at WHERE at < ?1 ORDER BY at LIMIT ?2)",
    )?
    .execute(params![before, PRESS_BATCH])?;
    Ok(())
}
