//! What people and times do to incidents: acks, their ends, and the deliveries by which channels ring about it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::accept::insert_delivery;
use super::admin;
use super::anchors;
use super::error::DbError;
use super::guard;
use super::incidents::set_answer;
use super::mute;
use super::rows::{bytes, find_incident, insert};
use super::silence_rows;
use super::steps;
use super::timeline;
use crate::model::{DeliveryId, IncidentId, UnixMs};
use crate::store::acts::{
    Acting, MAX_CANDIDATES, PRESS_BATCH, SHOWS_MUTE, acted_steps, events_of, is_handed_to_nobody, name_steps, read_outcome, ring, shares, spreads,
    step_again, steps_again, to_ring, write_outcome,
};
use crate::store::incidents::{INCIDENT, LOOKED_AT, incident, looked_at};
use crate::store::prepared::{PreparedDelivery, TextRule};
use crate::store::rows::StoredRow as _;
use crate::store::{AcceptedDelivery, Act, Acted, Answered, ChangedStep, EVALUATED_PREFIX, Found, Incident, Look, Mute, Woken, superseded};

/// [`crate::store::OperatorStore::act`].
pub(super) fn act(db: &Connection, act: &Act) -> Result<Acted, DbError> {
    let mut taken = db.prepare_cached("SELECT outcome FROM press WHERE platform = ?1 AND event_id = ?2")?;
    if let Some(outcome) = taken.query_row([&act.press.platform, &act.press.event_id], |row| row.get::<_, String>(0)).optional()? {
        return Ok(Acted { repeated: true, results: read_outcome(&outcome), ..Acted::default() });
    }
    let (mut known, mut shown, mut sources) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for on in &act.on {
        let Some(incident) = find_incident(db, on.incident)? else { continue };
        if on.shown.is_some() {
            shown.insert(on.incident, anchors::all(db, on.incident)?);
        }
        if spreads(act.verb) && sources.insert(incident.source.clone()) {
            let mut others = db.prepare_cached(&format!("SELECT {INCIDENT} FROM incident i WHERE i.ended_at IS NULL AND i.source = ?1"))?;
            for other in others.query_map([&incident.source], |row| self::incident(row, 0))? {
                let other = other?;
                known.insert(other.id, other);
            }
        }
        known.insert(incident.id, incident);
    }
    let named: Vec<i64> = act.on.iter().map(|on| on.incident.0).collect();
    let sharing = shares(&known.values().collect::<Vec<_>>(), &named);
    known.retain(|id, _| named.contains(&id.0) || sharing.contains(&id.0));
    let Acting { mut results, changed, .. } = Acting::new(act).run(&known, &shown);
    let (mut rings, mut ended_steps) = (Vec::new(), Vec::new());
    for (incident, answered) in &changed {
        let steps = change_steps(db, incident, answered, act.now)?;
        if !is_handed_to_nobody(incident, answered, &steps) {
            rings.extend(write(db, incident, answered, act.now)?);
        }
        ended_steps.extend(steps);
    }
    set_mutes(db, changed.iter().filter_map(|(_, answered)| answered.mute.as_ref()).collect(), act.now)?;
    name_steps(&mut results, &ended_steps);
    insert!(db, "press", {
        platform: act.press.platform,
        event_id: act.press.event_id,
        at: act.now,
        person: act.by.id,
        verb: act.verb.as_str(),
        outcome: write_outcome(&results),
    })?;
    Ok(Acted { results, rings, ended_steps, ..Acted::default() })
}

/// [`crate::store::OperatorStore::set_mute`], of all mutes that one press makes or ends: one walk over what is deferred, and one over what shows a mute.
pub(super) fn set_mutes(db: &Connection, mutes: Vec<&Mute>, now: UnixMs) -> Result<(), DbError> {
    let mutes: BTreeMap<&str, &Mute> = mutes.into_iter().map(|mute| (mute.matchers.as_str(), mute)).collect();
    if mutes.is_empty() {
        return Ok(());
    }
    let deferrals = mute::list_deferrals(db, now)?;
    mutes.values().try_for_each(|mute| mute::set(db, mute, &deferrals, now))?;
    let mut select =
        db.prepare_cached(&format!("SELECT {INCIDENT} FROM incident i INDEXED BY incident_open WHERE i.ended_at IS NULL AND instr(i.acks, ?1) > 0"))?;
    let showing: Vec<Incident> = select.query_map([SHOWS_MUTE], |row| incident(row, 0))?.collect::<rusqlite::Result<_>>()?;
    for mut shown in showing {
        let mute = shown.acks.mute.as_ref().and_then(|muted| mutes.get(muted.matchers.as_str()));
        if let Some(answered) = mute.and_then(|mute| shown.mute_became(mute, now)) {
            write(db, &shown, &answered, now)?;
        }
    }
    Ok(())
}

/// [`crate::store::MaintenanceStore::wake_incidents`].
pub(super) fn wake(db: &Connection, now: UnixMs, limit: usize) -> Result<Woken, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {INCIDENT} FROM incident i INDEXED BY incident_wake WHERE i.wake_at IS NOT NULL AND i.wake_at <= ?1 ORDER BY i.wake_at LIMIT ?2"
    ))?;
    let due: Vec<Incident> =
        select.query_map(params![now, i64::try_from(limit).unwrap_or(i64::MAX)], |row| incident(row, 0))?.collect::<rusqlite::Result<_>>()?;
    let mut woken = Woken { seen: due.len(), rings: Vec::new() };
    for mut incident in due {
        match incident.wake(now) {
            Some(answered) => {
                change_steps(db, &incident, &answered, now)?;
                woken.rings.extend(write(db, &incident, &answered, now)?);
            }
            // It is over: nothing is due any more.
            None => set_answer(db, &incident)?,
        }
    }
    Ok(woken)
}

/// Open incidents that others seem to supersede, and the others.
pub(super) fn look_for_superseded(db: &Connection) -> Result<Found, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT {LOOKED_AT} FROM incident i INDEXED BY incident_open WHERE i.ended_at IS NULL"))?;
    let mut look = Look::default();
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        look.add(&looked_at(row)?);
    }
    Ok(look.found(&escalating(db)?))
}

/// Incidents with steps of escalations that wait to be sent.
fn escalating(db: &Connection) -> Result<BTreeSet<IncidentId>, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT DISTINCT incident FROM delivery INDEXED BY delivery_step_open WHERE escalation IS NOT NULL AND state IN ('waiting', 'deferred')
         AND NOT coalesce(reason LIKE '{EVALUATED_PREFIX}%', FALSE)"
    ))?;
    let busy = select.query_map([], |row| row.get::<_, Option<i64>>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(busy.into_iter().flatten().map(IncidentId).collect())
}

/// [`crate::store::MaintenanceStore::end_superseded_incidents`], of what was found.
pub(super) fn end_superseded(db: &Connection, found: &Found, now: UnixMs) -> Result<u64, DbError> {
    let sql = format!("SELECT {INCIDENT} FROM incident i WHERE i.id IN (SELECT value FROM json_each(?1)) AND i.ended_at IS NULL");
    let mut select = db.prepare_cached(&sql)?;
    let open =
        select.query_map([serde_json::json!(found.ids()).to_string()], |row| incident(row, 0))?.collect::<rusqlite::Result<Vec<Incident>>>()?;
    let changed = superseded(&open, &found.staying(escalating(db)?), now);
    for (incident, answered) in &changed {
        change_steps(db, incident, answered, now)?;
        write(db, incident, answered, now)?;
    }
    Ok(changed.iter().filter(|(incident, _)| incident.ended_at.is_some()).count() as u64)
}

pub(super) fn write(db: &Connection, incident: &Incident, answered: &Answered, now: UnixMs) -> Result<Vec<AcceptedDelivery>, DbError> {
    set_answer(db, incident)?;
    anchors::mark_dirty(db, incident.id)?;
    answered.rows.iter().try_for_each(|row| timeline::add(db, incident.id, row))?;
    answered.silence.iter().try_for_each(|wish| silence_rows::wish(db, incident.id, wish, now))?;
    let mut accepted = Vec::new();
    if let Some(about) = &answered.rings {
        let events = events_of(incident, about);
        let mut select = db.prepare_cached(
            "SELECT d.id FROM delivery d INDEXED BY delivery_event
             WHERE d.event_id = ?1 AND d.incident = ?2 AND d.mode = 'queued' AND d.escalation IS NULL ORDER BY d.id DESC LIMIT ?3",
        )?;
        let mut olds = Vec::new();
        for event in events.keys() {
            let ids = select.query_map(params![bytes(&event.0), incident.id.0, MAX_CANDIDATES], |row| Ok(DeliveryId(row.uuid(0)?)))?;
            for id in ids.collect::<rusqlite::Result<Vec<_>>>()? {
                olds.push(admin::old(db, id)?);
            }
        }
        for old in to_ring(&events, &anchors::all(db, incident.id)?, olds.iter()) {
            let prepared = PreparedDelivery::new(ring(old, incident.id, &about.why, now), TextRule::Any).map_err(DbError::Undo)?;
            accepted.push(insert_delivery(db, old.row.event, &prepared, now, None, &[])?);
        }
    }
    for id in steps_again(incident, answered, &guard::of(db, &[incident.id])?) {
        let old = admin::old(db, id)?;
        if let Some(step) = step_again(&old, now) {
            let prepared = PreparedDelivery::new(step, TextRule::Any).map_err(DbError::Undo)?;
            accepted.push(insert_delivery(db, old.row.event, &prepared, now, None, &[])?);
        }
    }
    Ok(accepted)
}

/// What becomes of the steps of an incident that changed; before [`write`], which makes those that begin again.
pub(super) fn change_steps(db: &Connection, incident: &Incident, answered: &Answered, now: UnixMs) -> Result<Vec<ChangedStep>, DbError> {
    steps::change(db, acted_steps(incident, answered, &guard::of(db, &[incident.id])?, now), now)
}

/// Removes presses from before a time, and from before all incidents: what could be about one of them must not count once more.
pub(super) fn purge_presses(db: &Connection, before: UnixMs) -> Result<(), DbError> {
    db.prepare_cached(
        "DELETE FROM press WHERE (platform, event_id) IN (SELECT platform, event_id FROM press INDEXED BY press_at
             WHERE at < min(?1, coalesce((SELECT opened_at FROM incident ORDER BY id LIMIT 1), ?1)) ORDER BY at LIMIT ?2)",
    )?
    .execute(params![before, PRESS_BATCH])?;
    Ok(())
}
