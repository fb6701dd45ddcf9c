//! What workers read: lanes that are ready, what waits in them, events, and the counts.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::error::DbError;
use super::rows::{Found, bytes as id_bytes, count, event, event_within, pending_delivery};
use crate::model::{DeliveryId, EventId, LaneId, MessageId, OutletKey, UnixMs};
use crate::store::rows::{DELIVERY, LANE, StoredRow as _, lane_summary};
use crate::store::{
    EventBodies, HeartbeatRow, IncidentCount, IncidentState, LaneHistory, LaneQuery, LaneSummary, MAX_RETRY_DELAY_MS, OutletRow, OverdueRow,
    PastDelivery, PendingDelivery, State, Stats, source_lane,
};

/// The order of an outlet's lanes: all of it comes from the index.
pub(super) const READY: &str =
    "SELECT id FROM lane INDEXED BY lane_ready WHERE outlet = ?1 AND waiting > 0 AND message_id IS NULL ORDER BY rank * 300000 + since, id";

/// [`crate::store::OutletStore::ready_lanes`]: walks the index in its order, past those in `except`, and looks the others up.
pub(super) fn ready_lanes(db: &Connection, outlet: &OutletKey, sought: &LaneQuery, except: &HashSet<LaneId>) -> Result<Vec<LaneSummary>, DbError> {
    let mut order = db.prepare_cached(READY)?;
    let mut lane = db.prepare_cached(&format!(
        "SELECT {LANE} FROM lane WHERE id = ?1 AND (due_at <= ?2 OR due_at = since OR (waiting > deferred AND due_at - ?3 > ?2))"
    ))?;
    let mut rows = order.query([outlet.as_str()])?;
    let mut ready = Vec::new();
    while ready.len() < sought.limit {
        let Some(row) = rows.next()? else { break };
        let id = LaneId(row.get(0)?);
        if except.contains(&id) {
            continue;
        }
        let head = lane.query_row(params![id.0, sought.due_by, MAX_RETRY_DELAY_MS], |row| lane_summary(row));
        ready.extend(head.optional()?.filter(|head| !sought.muted.contains(&head.channel)));
    }
    Ok(ready)
}

/// [`crate::store::MaintenanceStore::overdue`]. Costs one walk over the lanes, and over the open messages.
pub(super) fn overdue(db: &Connection, before: UnixMs) -> Result<Vec<OverdueRow>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT channel, outlet, sum(n), min(since), coalesce((SELECT lease_until FROM outlet o WHERE o.key = outlet), 0) FROM (
             SELECT channel, outlet, waiting AS n, due_at AS since FROM lane WHERE waiting > 0 AND message_id IS NULL AND due_at <= ?1
             UNION ALL
             SELECT m.channel, m.outlet, (SELECT count(*) FROM delivery d WHERE d.message_id = m.id),
                 (SELECT min(max(c.due_at, m.formed_at)) FROM cell c WHERE c.message_id = m.id AND c.state = 'open' AND c.due_at <= ?1)
             FROM message m INDEXED BY message_open WHERE m.done = 0 AND m.formed_at <= ?1)
         WHERE since IS NOT NULL GROUP BY channel, outlet ORDER BY channel, outlet",
    )?;
    let rows = select.query_map([before], |row| {
        Ok(OverdueRow {
            channel: row.get(0)?,
            outlet: OutletKey::from_stored(row.get_ref(1)?.as_str()?),
            count: count(row, 2)?,
            since: row.get(3)?,
            leased_until: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::OutletStore::open_messages`].
pub(super) fn open_messages(db: &Connection, outlet: &OutletKey) -> Result<Vec<MessageId>, DbError> {
    let mut select = db.prepare_cached("SELECT id FROM message INDEXED BY message_open WHERE outlet = ?1 AND done = 0")?;
    Ok(select.query_map([outlet.as_str()], |row| Ok(MessageId(row.uuid(0)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::OutletStore::pending`].
pub(super) fn pending(
    db: &Connection,
    lane: LaneId,
    after: i64,
    limit: usize,
    mut bodies: usize,
    due_by: UnixMs,
) -> Result<Vec<PendingDelivery>, DbError> {
    pending_within(db, lane, after, limit, &mut bodies, due_by)
}

/// [`crate::store::OutletStore::pending_of`].
pub(super) fn pending_of(
    db: &Connection,
    lanes: &[(LaneId, i64)],
    limit: usize,
    mut bodies: usize,
    due_by: UnixMs,
) -> Result<Vec<Vec<PendingDelivery>>, DbError> {
    lanes.iter().map(|(lane, after)| pending_within(db, *lane, *after, limit, &mut bodies, due_by)).collect()
}

/// Takes what it reads of bodies off `left`.
fn pending_within(
    db: &Connection,
    lane: LaneId,
    after: i64,
    limit: usize,
    left: &mut usize,
    due_by: UnixMs,
) -> Result<Vec<PendingDelivery>, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {DELIVERY} FROM delivery d INDEXED BY delivery_open
         WHERE d.lane_id = ?1 AND d.state IN ('waiting', 'deferred') AND d.lane_seq > ?2
             AND (d.state = 'waiting' OR d.due_at <= ?4 OR d.due_at = d.born_at) ORDER BY d.lane_seq LIMIT ?3"
    ))?;
    let rows = select.query_map(params![lane.0, after, i64::try_from(limit).unwrap_or(i64::MAX), due_by], pending_delivery)?;
    let mut waiting: Vec<PendingDelivery> = rows.collect::<rusqlite::Result<_>>()?;
    for one in waiting.iter_mut().take(if *left == 0 { 0 } else { usize::MAX }) {
        match event_within(db, one.event_id, *left)? {
            Found::Event(stored, size) => {
                *left -= size;
                one.event = Some(stored.event);
            }
            Found::TooLarge => break,
            Found::Nothing => {}
        }
    }
    Ok(waiting)
}

/// [`crate::store::OutletStore::load_events`].
pub(super) fn load_events(db: &Connection, ids: &[EventId], bytes: usize) -> Result<EventBodies, DbError> {
    let mut bodies = EventBodies::default();
    let mut room = bytes;
    for (i, id) in ids.iter().enumerate() {
        match event_within(db, *id, room)? {
            Found::Event(event, size) => {
                room -= size;
                bodies.events.push(event);
            }
            Found::TooLarge => {
                bodies.left = ids.len() - i;
                break;
            }
            Found::Nothing => {}
        }
    }
    Ok(bodies)
}

/// [`crate::store::OutletStore::count_unresolved`].
pub(super) fn count_unresolved(db: &Connection, mut lane: LaneId) -> Result<Option<u64>, DbError> {
    let mut select = db.prepare_cached("SELECT key, length(unresolved) / 8 FROM lane WHERE id = ?1")?;
    loop {
        let found = select.query_row([lane.0], |row| Ok((row.get::<_, String>(0)?, count(row, 1)?))).optional()?;
        let Some((key, unresolved)) = found else { return Ok(None) };
        // A lane of fallbacks is made after the one that it is named for: the way leads to smaller numbers.
        match source_lane(&key).filter(|origin| *origin < lane) {
            Some(origin) => lane = origin,
            None => return Ok(Some(unresolved)),
        }
    }
}

/// Whether an older lane of the channel has the same group for another audience: a reload that changes whom a route mentions makes a new one.
const OLDER_SIBLING: &str = "SELECT EXISTS (SELECT 1 FROM delivery d CROSS JOIN lane l CROSS JOIN lane s
     WHERE d.id = ?1 AND l.id = d.lane_id AND s.channel = l.channel AND s.id < l.id
         AND s.key >= substr(l.key, 1, instr(l.key || '/', '/') - 1) AND s.key < substr(l.key, 1, instr(l.key || '/', '/') - 1) || '0')";

/// [`crate::store::OutletStore::lane_history`].
pub(super) fn lane_history(db: &Connection, id: DeliveryId, limit: usize) -> Result<LaneHistory, DbError> {
    let mut prior = db.prepare_cached("SELECT prior_id FROM delivery WHERE id = ?1")?;
    let mut select = db.prepare_cached(&format!("SELECT {DELIVERY} FROM delivery d WHERE d.id = ?1"))?;
    let mut past = LaneHistory::default();
    let mut at = id.0;
    while let Some(before) = prior.query_row([id_bytes(&at)], |row| row.optional_uuid(0)).optional()? {
        let Some(before) = before else {
            past.complete = !db.prepare_cached(OLDER_SIBLING)?.query_row([id_bytes(&id.0)], |row| row.get(0))?;
            break;
        };
        if past.deliveries.len() == limit {
            break;
        }
        let Some(found) = select.query_row([id_bytes(&before)], pending_delivery).optional()? else { break };
        let Some(stored) = event(db, found.event_id)? else { break };
        past.deliveries.push(PastDelivery::of(found.id, found.state, &found.target.alerts, &stored.event));
        at = before;
    }
    Ok(past)
}

/// [`crate::store::MaintenanceStore::stats`]. Costs one walk over the lanes (not the deliveries), one over the index of dead letters and one over that of
/// open incidents: about 20 ms for 100,000 lanes, whatever the number of deliveries.
pub(super) fn stats(db: &Connection) -> Result<Stats, DbError> {
    let mut stats = Stats { bytes: bytes(db)?, ..Stats::default() };
    // What is muted waits for nobody until its time comes. Only of lanes that hold both kinds the deliveries are read.
    let mut lanes = db.prepare_cached(
        "SELECT channel, waiting, deferred, CASE WHEN deferred = 0 THEN since WHEN deferred = waiting THEN due_at ELSE (
                SELECT min(CASE WHEN d.state = 'deferred' THEN d.due_at ELSE d.born_at END) FROM delivery d INDEXED BY delivery_open
                WHERE d.lane_id = lane.id AND d.state IN ('waiting', 'deferred')) END, outlet
         FROM lane WHERE waiting > 0",
    )?;
    let mut channels: BTreeMap<String, (u64, u64, UnixMs, Vec<OutletKey>)> = BTreeMap::new();
    let mut rows = lanes.query([])?;
    while let Some(row) = rows.next()? {
        let (waiting, deferred, since): (u64, u64, UnixMs) = (count(row, 1)?, count(row, 2)?, row.get(3)?);
        let name = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let sums = match channels.get_mut(name) {
            Some(sums) => sums,
            None => channels.entry(name.to_owned()).or_insert((0, 0, UnixMs::MAX, Vec::new())),
        };
        (sums.0, sums.1, sums.2) = (sums.0 + waiting.saturating_sub(deferred), sums.1 + deferred, sums.2.min(since));
        let outlet = row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?;
        if sums.3.iter().all(|known| known.as_str() != outlet) {
            sums.3.push(OutletKey::from_stored(outlet));
        }
    }
    for (channel, (waiting, deferred, since, outlets)) in channels {
        stats.placed.extend(outlets.into_iter().map(|outlet| (channel.clone(), outlet)));
        for (state, count) in [(State::Waiting, waiting), (State::Deferred, deferred)] {
            if count > 0 {
                stats.open.push((channel.clone(), state, count));
            }
        }
        stats.oldest.push((channel, since));
    }
    let mut dead =
        db.prepare_cached("SELECT channel, count(*) FROM delivery INDEXED BY delivery_dead WHERE state = 'dead' GROUP BY channel ORDER BY channel")?;
    stats.dead = dead.query_map([], |row| Ok((row.get(0)?, count(row, 1)?)))?.collect::<rusqlite::Result<_>>()?;
    // Letter for letter the condition of the index `delivery_replayed`.
    let mut replayed = db.prepare_cached(
        "SELECT channel, count(*) FROM delivery WHERE state = 'dead' AND substr(reason, -48, 12) = 'replayed as ' GROUP BY channel ORDER BY channel",
    )?;
    let replayed = replayed.query_map([], |row| Ok((row.get(0)?, count(row, 1)?)))?.collect::<rusqlite::Result<_>>()?;
    stats.leave_out_replayed(replayed);
    let mut outlets = db.prepare_cached("SELECT key, paused_until, held, month, month_sent FROM outlet ORDER BY key")?;
    let rows = outlets.query_map([], |row| {
        Ok(OutletRow {
            key: OutletKey::from_stored(row.get_ref(0)?.as_str()?),
            paused_until: row.get(1)?,
            suspended: row.get(2)?,
            month: row.get(3)?,
            month_sent: row.get(4)?,
        })
    })?;
    stats.outlets = rows.collect::<rusqlite::Result<_>>()?;
    let mut incidents = db.prepare_cached(
        "SELECT rank, state, count(*) FROM incident INDEXED BY incident_urgent WHERE ended_at IS NULL GROUP BY state, rank ORDER BY rank, state",
    )?;
    let rows = incidents.query_map([], |row| {
        Ok(IncidentCount { rank: row.get(0)?, state: row.named(1, IncidentState::parse, "incident's state")?, count: count(row, 2)? })
    })?;
    stats.incidents = rows.collect::<rusqlite::Result<_>>()?;
    stats.behind = super::incidents::count_behind(db)?;
    Ok(stats)
}

/// Bytes that hold data. Neither free pages nor the log count: they do not shrink when something is purged, and a size cap that looked at them
/// would purge on and on.
fn bytes(db: &Connection) -> Result<u64, DbError> {
    let pragma = |name: &str| db.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| count(row, 0));
    Ok(pragma("page_count")?.saturating_sub(pragma("freelist_count")?) * pragma("page_size")?)
}

/// [`crate::store::MaintenanceStore::update_heartbeats`].
pub(super) fn heartbeats(db: &Connection) -> Result<Vec<HeartbeatRow>, DbError> {
    let mut select = db.prepare_cached("SELECT name, seen_at, silent_since FROM heartbeat ORDER BY name")?;
    let rows = select.query_map([], |row| Ok(HeartbeatRow { name: row.get(0)?, seen_at: row.get(1)?, silent_since: row.get(2)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
