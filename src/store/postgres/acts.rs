//! What people and times do to incidents: acks, their ends, and the deliveries by which channels ring about it.
//!
//! Incidents are locked in the order of their keys, before lanes and deliveries.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::admin::olds;
use super::anchors;
use super::error::DbError;
use super::guard;
use super::lanes::{Arrival, append, lock_lanes};
use super::rows::{Columns, get, limit};
use super::steps;
use super::timeline;
use super::tx::Tx;
use crate::model::{DeliveryId, EventId, UnixMs};
use crate::store::acts::{
    Acting, Candidate, MAX_CANDIDATES, PRESS_BATCH, read_outcome, ring, spreads, step_again, steps_again, stopped_steps, to_ring, write_outcome,
};
use crate::store::incidents::{INCIDENT, incident};
use crate::store::prepared::{PreparedDelivery, TextRule};
use crate::store::{AcceptedDelivery, Act, Acted, Answered, ChangedStep, Incident};

/// [`crate::store::OperatorStore::act`]. Of one press that comes to two nodes at once, one waits for the other and finds what it did.
pub(super) async fn act(tx: &Tx, act: &Act) -> Result<Acted, DbError> {
    let (platform, event_id) = (clean(&act.press.platform), clean(&act.press.event_id));
    let sql = "INSERT INTO press (platform, event_id, at, person, verb, outcome) VALUES ($1, $2, $3, $4, $5, '[]') ON CONFLICT DO NOTHING";
    let made = tx.execute(sql, &[&platform, &event_id, &act.now, &clean(&act.by.id), &act.verb.as_str()]).await?;
    if made == 0 {
        let row = tx.first("SELECT outcome FROM press WHERE platform = $1 AND event_id = $2", &[&platform, &event_id]).await?;
        let results = row.map(|row| get::<String>(&row, 0)).transpose()?.map(|outcome| read_outcome(&outcome)).unwrap_or_default();
        return Ok(Acted { repeated: true, results, ..Acted::default() });
    }
    let named: Vec<i64> = act.on.iter().map(|on| on.incident.0).collect();
    let sql = format!(
        "SELECT {INCIDENT} FROM incident i WHERE i.id = ANY ($1)
             OR ($2 AND i.ended_at IS NULL AND i.source IN (SELECT n.source FROM incident n WHERE n.id = ANY ($1))) ORDER BY i.key, i.id FOR UPDATE"
    );
    let mut known = BTreeMap::new();
    for row in &tx.query(&sql, &[&named, &spreads(act.verb)]).await? {
        let incident: Incident = incident(row, 0)?;
        known.insert(incident.id, incident);
    }
    let mut shown = BTreeMap::new();
    for on in act.on.iter().filter(|on| on.shown.is_some() && known.contains_key(&on.incident)) {
        shown.insert(on.incident, anchors::all(tx, on.incident).await?);
    }
    let Acting { results, changed, .. } = Acting::new(act).run(&known, &shown);
    let (rings, ended_steps) = write(tx, &changed, act.now).await?;
    let sql = "UPDATE press SET outcome = $3 WHERE platform = $1 AND event_id = $2";
    tx.execute(sql, &[&platform, &event_id, &clean(&write_outcome(&results))]).await?;
    Ok(Acted { repeated: false, results, rings, ended_steps })
}

fn clean(text: &str) -> String {
    let mut text = text.to_owned();
    TextRule::NoNul.apply(&mut text);
    text
}

/// [`crate::store::MaintenanceStore::wake_incidents`]. One that somebody else changes now is left to the next call.
pub(super) async fn wake(tx: &Tx, now: UnixMs, most: usize) -> Result<Vec<AcceptedDelivery>, DbError> {
    let sql = format!(
        "SELECT {INCIDENT} FROM incident i WHERE i.id IN (SELECT id FROM incident WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2) AND i.wake_at <= $1
         ORDER BY i.key, i.id FOR UPDATE SKIP LOCKED"
    );
    let rows = tx.query(&sql, &[&now, &limit(most)]).await?;
    let mut changed = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut incident: Incident = incident(row, 0)?;
        // Of what is over nothing is due any more.
        let answered = incident.wake(now).unwrap_or(Answered { rows: Vec::new(), rings: None });
        changed.push((incident, answered));
    }
    Ok(write(tx, &changed, now).await?.0)
}

async fn stop_steps(tx: &Tx, changed: &[(Incident, Answered)], now: UnixMs) -> Result<Vec<ChangedStep>, DbError> {
    let mut found = Vec::new();
    for (incident, answered) in changed {
        found.extend(stopped_steps(incident, answered, &guard::of(tx, incident.id).await?, now));
    }
    steps::change(tx, &found, now).await
}

/// Writes what changed; returns the deliveries that it made, and the steps that ended.
async fn write(tx: &Tx, changed: &[(Incident, Answered)], now: UnixMs) -> Result<(Vec<AcceptedDelivery>, Vec<ChangedStep>), DbError> {
    if changed.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let each = || changed.iter().map(|(incident, _)| incident);
    Columns::default()
        .with("id", each().map(|i| i.id.0))
        .with("state", each().map(|i| i.state.as_str()))
        .with("ended_at", each().map(|i| i.ended_at))
        .with("acks", each().map(|i| i.acks.to_stored().map(|acks| clean(&acks))))
        .with("wake_at", each().map(Incident::wake_at))
        .with("version", each().map(|i| i.version))
        .update(tx, "incident")
        .await?;
    let ids: Vec<i64> = each().map(|i| i.id.0).collect();
    anchors::mark_dirty(tx, &ids).await?;
    let rows: Vec<_> = changed.iter().flat_map(|(incident, answered)| answered.rows.iter().map(|row| (incident.id, row))).collect();
    timeline::add(tx, &rows).await?;
    let ended = stop_steps(tx, changed, now).await?;
    let mut new: Vec<(EventId, PreparedDelivery)> = Vec::new();
    for (incident, answered) in changed {
        if let Some(why) = &answered.rings {
            new.extend(rings(tx, incident, why, now).await?);
        }
        new.extend(begin_again(tx, incident, answered, now).await?);
    }
    let arrivals: Vec<Arrival<'_>> = new.iter().map(|copy| Arrival::copied(copy, now)).collect();
    lock_lanes(tx, &Vec::new(), &Vec::new(), &arrivals).await?;
    Ok((append(tx, &arrivals).await?, ended))
}

async fn rings(tx: &Tx, incident: &Incident, why: &str, now: UnixMs) -> Result<Vec<(EventId, PreparedDelivery)>, DbError> {
    let sql = "SELECT d.id, d.event_id, d.lane_id, d.channel FROM delivery d WHERE d.incident = $1 AND d.mode = 'queued' AND d.escalation IS NULL
         ORDER BY d.id DESC LIMIT $2";
    let rows = tx.query(sql, &[&incident.id.0, &MAX_CANDIDATES]).await?;
    let candidate = |row| Ok(Candidate { id: DeliveryId(get(row, 0)?), event: EventId(get(row, 1)?), lane: get(row, 2)?, channel: get(row, 3)? });
    let candidates = rows.iter().map(candidate).collect::<Result<Vec<_>, DbError>>()?;
    let ids: Vec<Uuid> = to_ring(incident, &anchors::all(tx, incident.id).await?, candidates).into_iter().map(|id| id.0).collect();
    let olds = olds(tx, &ids).await?;
    let mut new = Vec::with_capacity(olds.len());
    for old in olds.values() {
        new.push((old.row.event, PreparedDelivery::new(ring(old, incident.id, why, now), TextRule::NoNul)?));
    }
    Ok(new)
}

async fn begin_again(tx: &Tx, incident: &Incident, answered: &Answered, now: UnixMs) -> Result<Vec<(EventId, PreparedDelivery)>, DbError> {
    let ids: Vec<Uuid> = steps_again(incident, answered, &guard::of(tx, incident.id).await?).into_iter().map(|id| id.0).collect();
    let olds = olds(tx, &ids).await?;
    let mut new = Vec::with_capacity(olds.len());
    for old in olds.values() {
        if let Some(step) = step_again(old, now) {
            new.push((old.row.event, PreparedDelivery::new(step, TextRule::NoNul)?));
        }
    }
    Ok(new)
}

/// Removes presses from before a time.
pub(super) async fn purge_presses(tx: &Tx, before: UnixMs) -> Result<(), DbError> {
    let sql = "DELETE FROM press WHERE ctid IN (SELECT ctid FROM press WHERE at < $1 ORDER BY at LIMIT $2)";
    tx.execute(sql, &[&before, &PRESS_BATCH]).await?;
    Ok(())
}
