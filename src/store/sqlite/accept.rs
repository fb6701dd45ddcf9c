//! Taking events in: dedup, lanes and deliveries. The hot path: JSON is made by the caller, the writer only binds and steps.
//!
//! Knows how a delivery enters its lane, also for fallback children and replays; knows nothing of what becomes of it.

use rusqlite::{Connection, OptionalExtension, params};

use super::begin;
use super::error::DbError;
use super::incidents;
use super::rows::bytes;
use super::rows::insert;
use crate::model::{DeliveryId, EventId, IncidentId, LaneId, OutletKey, UnixMs};
use crate::store::prepared::{PreparedDelivery, PreparedEvent};
use crate::store::rows::StoredRow as _;
use crate::store::{Accepted, AcceptedDelivery, NewDelivery, NewestEvent, State, duplicate_of};

/// Writes an event with all that belongs to it, or finds that it is a duplicate.
pub(super) fn accept(db: &Connection, event: &PreparedEvent) -> Result<Accepted, DbError> {
    if let Some(first) = repeats(db, event)? {
        return Ok(Accepted { event: first, duplicate: true, deliveries: accepted_of(db, first)?, steps: Vec::new() });
    }
    insert!(db, "event", {
        id: bytes(&event.id.0),
        source: event.source,
        received_at: event.received_at,
        group_key: event.group_key,
        plan: &*event.plan,
        body: event.body,
        note: event.note,
    })?;
    let reported = incidents::report(db, event)?;
    let key = event.dedup.map(|dedup| dedup.key);
    let each = event.deliveries.iter().map(|d| insert_delivery(db, event.id, d, event.received_at, key, &reported));
    let deliveries = each.collect::<Result<Vec<_>, _>>()?;
    let begun = begin::steps(db, event, &reported)?.into_iter();
    let steps = begun.map(|step| insert_delivery(db, event.id, step, event.received_at, None, &reported)).collect::<Result<Vec<_>, _>>()?;
    Ok(Accepted { event: event.id, duplicate: false, deliveries, steps })
}

/// The event that this one repeats. Most events are news to the first of their lanes, and no other is looked at.
fn repeats(db: &Connection, event: &PreparedEvent) -> Result<Option<EventId>, DbError> {
    let Some(dedup) = &event.dedup else { return Ok(None) };
    let mut select = db.prepare_cached("SELECT last_seq, newest FROM lane WHERE channel = ?1 AND key = ?2")?;
    let mut failed = None;
    let lanes = event.deliveries.iter().map_while(|d| {
        let found = select.query_row([&d.delivery.channel, &d.delivery.lane_key], |row| {
            Ok(NewestEvent::of_lane(row.get_ref(1)?.as_blob_or_null().ok().flatten(), row.get(0)?))
        });
        found.optional().map_err(|error| failed = Some(error)).ok()
    });
    let first = duplicate_of(lanes.flatten(), dedup, event.received_at);
    failed.map_or(Ok(first), |error| Err(error.into()))
}

fn accepted_of(db: &Connection, event: EventId) -> Result<Vec<AcceptedDelivery>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT d.id, d.channel, l.outlet, d.lane_id, d.lane_seq, d.state, d.incident FROM delivery d JOIN lane l ON l.id = d.lane_id
         WHERE d.event_id = ?1 ORDER BY d.id",
    )?;
    let rows = select.query_map([bytes(&event.0)], |row| {
        Ok(AcceptedDelivery {
            id: DeliveryId(row.uuid(0)?),
            channel: row.get(1)?,
            outlet: OutletKey::from_stored(row.get_ref(2)?.as_str()?),
            lane: LaneId(row.get(3)?),
            lane_seq: row.get(4)?,
            state: row.state(5)?,
            incident: row.optional_int(6)?.map(IncidentId),
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A delivery's place: its lane, its number there, the lane's outlet, and the newest delivery before it that carried a firing alert.
type Place = (i64, i64, OutletKey, Option<uuid::Uuid>);

/// Makes place at the end of the lane, which is made when it is not there. A lane that exists keeps its outlet. `newest` is of the event, when it is
/// known by a key; its place is filled in here.
///
/// Two statements rather than an upsert that returns: what `RETURNING` returns goes through a table of its own that SQLite makes and drops each time.
fn place(db: &Connection, d: &NewDelivery, newest: Option<NewestEvent>) -> Result<Place, DbError> {
    let newest = |seq: i64| newest.map(|newest| NewestEvent { seq, ..newest }.to_bytes());
    let (waits, deferred) = (!d.state.is_final(), d.state == State::Deferred);
    let fired = (d.summary.firing > 0).then(|| bytes(&d.id.0));
    let mut select = db.prepare_cached("SELECT id, last_seq, outlet, fired, unresolved FROM lane WHERE channel = ?1 AND key = ?2")?;
    let found = select.query_row([&d.channel, &d.lane_key], |row| {
        let outlet = same_or_stored(&d.outlet, row.get_ref(2)?.as_str()?);
        let unresolved = d.report.as_ref().map(|report| Ok::<_, rusqlite::Error>(report.apply(row.get_ref(4)?.as_blob()?))).transpose()?;
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, outlet, row.optional_uuid(3)?, unresolved))
    });
    let Some((lane, last, outlet, prior, unresolved)) = found.optional()? else {
        let unresolved = d.report.as_ref().map(|report| report.apply(&[])).unwrap_or_default();
        insert!(db, "lane", {
            channel: d.channel,
            key: d.lane_key,
            outlet: d.outlet.as_str(),
            last_seq: 1,
            waiting: waits,
            deferred: deferred,
            rank: d.rank,
            due_at: d.due_at,
            since: d.born_at,
            size: 1,
            fired: fired,
            newest: newest(1),
            unresolved: unresolved,
        })?;
        return Ok((db.last_insert_rowid(), 1, d.outlet.clone(), None));
    };
    // What is due first is the first waiting one or a deferred one. A newcomer that waits counts only when none waits before it.
    db.prepare_cached(
        "UPDATE lane SET
             last_seq = last_seq + 1,
             size = size + 1,
             fired_before = fired,
             fired = coalesce(?7, fired),
             newest = ?8,
             unresolved = coalesce(?9, unresolved),
             waiting = waiting + ?2,
             deferred = deferred + ?3,
             rank = CASE WHEN ?2 = 0 THEN rank WHEN waiting = 0 THEN ?4 ELSE min(rank, ?4) END,
             since = CASE WHEN ?2 = 0 THEN since WHEN waiting = 0 THEN ?6 ELSE min(since, ?6) END,
             due_at = CASE WHEN ?2 = 0 THEN due_at WHEN waiting = 0 THEN ?5
                           WHEN ?3 = 1 OR waiting = deferred THEN min(due_at, ?5) ELSE due_at END
         WHERE id = ?1",
    )?
    .execute(params![lane, waits, deferred, d.rank, d.due_at, d.born_at, fired, newest(last + 1), unresolved])?;
    Ok((lane, last + 1, outlet, prior))
}

/// Puts a delivery at the end of its lane; `key` is its event's dedup key, when the event arrives, and `reported` are the incidents that the event's
/// reports led to.
pub(super) fn insert_delivery(
    db: &Connection,
    event: EventId,
    prepared: &PreparedDelivery,
    now: UnixMs,
    key: Option<[u8; 32]>,
    reported: &[Option<IncidentId>],
) -> Result<AcceptedDelivery, DbError> {
    let d = &prepared.delivery;
    let incident = d.incident.resolve(reported);
    let (lane, lane_seq, outlet, prior) = place(db, d, key.map(|key| NewestEvent { key, event, at: now, seq: 0 }))?;
    insert!(db, "delivery", {
        id: bytes(&d.id.0),
        event_id: bytes(&event.0),
        lane_id: lane,
        lane_seq: lane_seq,
        channel: d.channel,
        target: prepared.target,
        mode: d.mode.as_str(),
        state: d.state.as_str(),
        rank: d.rank,
        title: d.summary.title,
        firing: d.summary.firing,
        resolved: d.summary.resolved,
        born_at: d.born_at,
        due_at: d.due_at,
        origin_id: d.fallback.of.as_ref().map(|id| bytes(&id.0)),
        hop: d.fallback.depth,
        done_at: prepared.done_at(now),
        reason: prepared.reason(),
        prior_id: prior.as_ref().map(bytes),
        incident: incident.map(|id| id.0),
        escalation: prepared.step().map(|step| &step.escalation),
        step: prepared.step().map(|step| step.number),
        began_at: prepared.step().map(|step| step.began_at),
        after_ms: prepared.step().map(|step| step.after),
    })?;
    Ok(AcceptedDelivery { id: d.id, channel: d.channel.clone(), outlet, lane: LaneId(lane), lane_seq, state: d.state, incident })
}

fn same_or_stored(given: &OutletKey, stored: &str) -> OutletKey {
    if given.as_str() == stored { given.clone() } else { OutletKey::from_stored(stored) }
}
