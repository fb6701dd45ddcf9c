//! What people and times do to incidents: acks, their ends, and the deliveries by which channels ring about it.
//!
//! Incidents are locked in the order of their keys, before lanes and deliveries.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::admin::olds;
use super::anchors;
use super::error::DbError;
use super::guard;
use super::lanes::{Arrival, append, lock_lanes};
use super::mute;
use super::rows::{Columns, get, limit};
use super::silence_rows;
use super::steps;
use super::timeline;
use super::tx::Tx;
use crate::model::{DeliveryId, EventId, IncidentId, UnixMs, Verb};
use crate::store::acts::{
    Acting, MAX_CANDIDATES, PRESS_BATCH, SHOWS_MUTE, acted_steps, events_of, is_handed_to_nobody, name_steps, read_outcome, ring, shares, spreads,
    step_again, steps_again, to_ring, write_outcome,
};
use crate::store::incidents::{INCIDENT, LOOKED_AT, incident, looked_at};
use crate::store::prepared::{PreparedDelivery, TextRule};
use crate::store::{AcceptedDelivery, Act, Acted, Answered, ChangedStep, EVALUATED_PREFIX, Found, Incident, Look, Mute, Woken, superseded};

/// Incidents that are read at once, where all that are open are looked through.
const READ_AT_ONCE: usize = 1000;

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
    let mut meant = named.clone();
    if spreads(act.verb) {
        meant.extend(sharing(tx, &named).await?);
    }
    let sql = format!("SELECT {INCIDENT} FROM incident i WHERE i.id = ANY ($1) ORDER BY i.key, i.id FOR UPDATE");
    let mut known = BTreeMap::new();
    for row in &tx.query(&sql, &[&meant]).await? {
        let incident: Incident = incident(row, 0)?;
        known.insert(incident.id, incident);
    }
    let mut shown = BTreeMap::new();
    for on in act.on.iter().filter(|on| on.shown.is_some() && known.contains_key(&on.incident)) {
        shown.insert(on.incident, anchors::all(tx, on.incident).await?);
    }
    let Acting { mut results, changed, .. } = Acting::new(act).run(&known, &shown);
    let (rings, ended_steps) =
        if act.verb == Verb::Escalate { (Vec::new(), hand_on(tx, &changed, act.now).await?) } else { write(tx, &changed, act.now).await? };
    let cleaned = |mute: &Mute| Mute { matchers: clean(&mute.matchers), until: mute.until, reason: clean(&mute.reason), by: clean(&mute.by) };
    let mutes: Vec<Mute> = changed.iter().filter_map(|(_, answered)| answered.mute.as_ref()).map(cleaned).collect();
    set_mutes(tx, mutes.iter().collect(), act.now).await?;
    name_steps(&mut results, &ended_steps);
    let sql = "UPDATE press SET outcome = $3 WHERE platform = $1 AND event_id = $2";
    tx.execute(sql, &[&platform, &event_id, &clean(&write_outcome(&results))]).await?;
    Ok(Acted { results, rings, ended_steps, ..Acted::default() })
}

/// [`crate::store::OperatorStore::set_mute`], of all mutes that one press makes or ends: one walk over what is deferred, and one over what shows a mute. The
/// incidents that show one are locked before what it has deferred.
pub(super) async fn set_mutes(tx: &Tx, mutes: Vec<&Mute>, now: UnixMs) -> Result<(), DbError> {
    let mutes: BTreeMap<&str, &Mute> = mutes.into_iter().map(|mute| (mute.matchers.as_str(), mute)).collect();
    if mutes.is_empty() {
        return Ok(());
    }
    let sql = format!("SELECT {INCIDENT} FROM incident i WHERE i.ended_at IS NULL AND strpos(i.acks, $1) > 0 ORDER BY i.key, i.id FOR UPDATE");
    let mut changed = Vec::new();
    for row in &tx.query(&sql, &[&SHOWS_MUTE]).await? {
        let mut shown: Incident = incident(row, 0)?;
        let mute = shown.acks.mute.as_ref().and_then(|muted| mutes.get(muted.matchers.as_str()));
        if let Some(answered) = mute.and_then(|mute| shown.mute_became(mute, now)) {
            changed.push((shown, answered));
        }
    }
    write(tx, &changed, now).await?;
    let deferrals = mute::list_deferrals(tx, now).await?;
    for mute in mutes.values() {
        mute::set(tx, mute, &deferrals, now).await?;
    }
    Ok(())
}

/// Other open incidents that may hold the same alerts, read without a lock: what an act does to them is decided once they are locked.
async fn sharing(tx: &Tx, named: &Vec<i64>) -> Result<Vec<i64>, DbError> {
    let sql = format!(
        "SELECT {INCIDENT} FROM incident i WHERE i.id = ANY ($1)
             OR (i.ended_at IS NULL AND i.source IN (SELECT n.source FROM incident n WHERE n.id = ANY ($1)))"
    );
    let mut all: Vec<Incident> = Vec::new();
    for row in &tx.query(&sql, &[named]).await? {
        all.push(incident(row, 0)?);
    }
    Ok(shares(&all.iter().collect::<Vec<_>>(), named))
}

fn clean(text: &str) -> String {
    let mut text = text.to_owned();
    TextRule::NoNul.apply(&mut text);
    text
}

/// [`crate::store::MaintenanceStore::wake_incidents`]. One that somebody else changes now is left to the next call.
pub(super) async fn wake(tx: &Tx, now: UnixMs, most: usize) -> Result<Woken, DbError> {
    let sql = format!(
        "SELECT {INCIDENT} FROM incident i WHERE i.id IN (SELECT id FROM incident WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2) AND i.wake_at <= $1
         ORDER BY i.key, i.id FOR UPDATE SKIP LOCKED"
    );
    let rows = tx.query(&sql, &[&now, &limit(most)]).await?;
    let mut changed = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut incident: Incident = incident(row, 0)?;
        match incident.wake(now) {
            Some(answered) => changed.push((incident, answered)),
            // Nothing is due any more.
            None => {
                tx.execute("UPDATE incident SET wake_at = $2 WHERE id = $1", &[&incident.id.0, &incident.wake_at()]).await?;
            }
        }
    }
    Ok(Woken { seen: rows.len(), rings: write(tx, &changed, now).await?.0 })
}

/// Open incidents that others seem to supersede, and the others. They are read in the order of their reports: one that is reported meanwhile comes twice at
/// worst.
pub(super) async fn look_for_superseded(tx: &Tx) -> Result<Found, DbError> {
    let sql =
        format!("SELECT {LOOKED_AT} FROM incident i WHERE i.ended_at IS NULL AND (i.heard_at, i.id) > ($1, $2) ORDER BY i.heard_at, i.id LIMIT $3");
    let mut look = Look::default();
    let (mut heard_at, mut id) = (UnixMs(i64::MIN), i64::MIN);
    loop {
        let rows = tx.query(&sql, &[&heard_at, &id, &limit(READ_AT_ONCE)]).await?;
        for row in &rows {
            let open = looked_at(row)?;
            (heard_at, id) = (open.heard_at, open.id.0);
            look.add(&open);
        }
        if rows.len() < READ_AT_ONCE {
            return Ok(look.found(&escalating(tx).await?));
        }
    }
}

/// Incidents with steps of escalations that wait to be sent.
async fn escalating(tx: &Tx) -> Result<BTreeSet<IncidentId>, DbError> {
    let sql = format!(
        "SELECT DISTINCT incident FROM delivery WHERE escalation IS NOT NULL AND state IN ('waiting', 'deferred') AND incident IS NOT NULL
         AND NOT coalesce(reason LIKE '{EVALUATED_PREFIX}%', FALSE)"
    );
    tx.query(&sql, &[]).await?.iter().map(|row| Ok(IncidentId(get(row, 0)?))).collect()
}

/// [`crate::store::MaintenanceStore::end_superseded_incidents`], of what was found.
pub(super) async fn end_superseded(tx: &Tx, found: &Found, now: UnixMs) -> Result<u64, DbError> {
    let sql = format!("SELECT {INCIDENT} FROM incident i WHERE i.id = ANY ($1) AND i.ended_at IS NULL ORDER BY i.key, i.id FOR UPDATE");
    let rows = tx.query(&sql, &[&found.ids()]).await?;
    let open = rows.iter().map(|row| incident(row, 0)).collect::<Result<Vec<Incident>, DbError>>()?;
    let changed = superseded(&open, &found.staying(escalating(tx).await?), now);
    write(tx, &changed, now).await?;
    Ok(changed.iter().filter(|(incident, _)| incident.ended_at.is_some()).count() as u64)
}

async fn change_steps(tx: &Tx, changed: &[(Incident, Answered)], now: UnixMs) -> Result<Vec<ChangedStep>, DbError> {
    let mut found = Vec::new();
    for (incident, answered) in changed {
        found.extend(acted_steps(incident, answered, &guard::of(tx, &[incident.id]).await?, now));
    }
    steps::change(tx, &found, now).await
}

/// Has the next steps come at once, and writes the incidents of which one did. Nothing of the others changed.
async fn hand_on(tx: &Tx, changed: &[(Incident, Answered)], now: UnixMs) -> Result<Vec<ChangedStep>, DbError> {
    let steps = change_steps(tx, changed, now).await?;
    let handed_on: Vec<_> = changed.iter().filter(|(incident, answered)| !is_handed_to_nobody(incident, answered, &steps)).collect();
    write_answers(tx, &handed_on, now).await?;
    Ok(steps)
}

/// Writes what changed; returns the deliveries that it made, and the steps that ended.
pub(super) async fn write(tx: &Tx, changed: &[(Incident, Answered)], now: UnixMs) -> Result<(Vec<AcceptedDelivery>, Vec<ChangedStep>), DbError> {
    if changed.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    write_answers(tx, &changed.iter().collect::<Vec<_>>(), now).await?;
    let ended = change_steps(tx, changed, now).await?;
    let new = copies(tx, changed, now).await?;
    let arrivals: Vec<Arrival<'_>> = new.iter().map(|copy| Arrival::copied(copy, now)).collect();
    lock_lanes(tx, &Vec::new(), &Vec::new(), &arrivals).await?;
    Ok((append(tx, &arrivals).await?, ended))
}

/// Writes what changed of incidents, their timelines and their silences; what they must ring about is to come.
async fn write_answers(tx: &Tx, changed: &[&(Incident, Answered)], now: UnixMs) -> Result<(), DbError> {
    if changed.is_empty() {
        return Ok(());
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
    for (incident, answered) in changed {
        if let Some(wish) = &answered.silence {
            silence_rows::wish(tx, incident.id, wish, now).await?;
        }
    }
    Ok(())
}

/// The deliveries by which channels ring, and the steps of escalations that begin again. What they are made of is locked at once, in one order.
async fn copies(tx: &Tx, changed: &[(Incident, Answered)], now: UnixMs) -> Result<Vec<(EventId, PreparedDelivery)>, DbError> {
    let mut found = Vec::with_capacity(changed.len());
    for (incident, answered) in changed {
        let events = answered.rings.as_ref().map(|about| events_of(incident, about)).unwrap_or_default();
        let mut rings: Vec<Uuid> = Vec::new();
        for event in events.keys() {
            let sql = "SELECT d.id FROM delivery d WHERE d.event_id = $1 AND d.incident = $2 AND d.mode = 'queued' AND d.escalation IS NULL
                 ORDER BY d.id DESC LIMIT $3";
            for row in &tx.query(sql, &[&event.0, &incident.id.0, &MAX_CANDIDATES]).await? {
                rings.push(get(row, 0)?);
            }
        }
        let steps: Vec<Uuid> = steps_again(incident, answered, &guard::of(tx, &[incident.id]).await?).into_iter().map(|id| id.0).collect();
        found.push((events, rings, steps));
    }
    let ids: Vec<Uuid> = found.iter().flat_map(|(_, rings, steps)| rings.iter().chain(steps)).copied().collect();
    let olds = olds(tx, &ids).await?;
    let of = |ids: &[Uuid]| ids.iter().filter_map(|id| olds.get(&DeliveryId(*id))).collect::<Vec<_>>();
    let mut new = Vec::new();
    for ((incident, answered), (events, rings, steps)) in changed.iter().zip(&found) {
        if let Some(about) = &answered.rings {
            for old in to_ring(events, &anchors::all(tx, incident.id).await?, of(rings).into_iter()) {
                new.push((old.row.event, PreparedDelivery::new(ring(old, incident.id, &about.why, now), TextRule::NoNul)?));
            }
        }
        for old in of(steps) {
            if let Some(step) = step_again(old, now) {
                new.push((old.row.event, PreparedDelivery::new(step, TextRule::NoNul)?));
            }
        }
    }
    Ok(new)
}

/// Removes presses from before a time, and from before all incidents: what could be about one of them must not count once more.
pub(super) async fn purge_presses(tx: &Tx, before: UnixMs) -> Result<(), DbError> {
    let sql = "DELETE FROM press WHERE ctid IN (SELECT ctid FROM press
             WHERE at < least($1, (SELECT opened_at FROM incident ORDER BY id LIMIT 1)) ORDER BY at LIMIT $2)";
    tx.execute(sql, &[&before, &PRESS_BATCH]).await?;
    Ok(())
}
