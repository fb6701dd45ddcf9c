//! What workers read: lanes that are ready, what waits in them, events, and the counts.

use std::collections::HashMap;

use tokio_postgres::Row;
use uuid::Uuid;

use super::error::DbError;
use super::rows::{BODY_LENGTH, EVENT, get, limit, outlet, stored_event};
use super::tx::Tx;
use crate::model::{DeliveryId, EventId, LaneId, MessageId, OutletKey, UnixMs};
use crate::store::rows::{DELIVERY, LANE, StoredRow as _, lane_summary, pending_delivery};
use crate::store::{
    EventBodies, HeartbeatRow, IncidentCount, IncidentState, LaneHistory, LaneQuery, LaneSummary, MAX_RETRY_DELAY_MS, OutletRow, OverdueRow,
    PastDelivery, PendingDelivery, State, Stats, source_lane,
};

/// [`crate::store::OutletStore::ready_lanes`]: walks the index in its order, past those that are not sought.
pub(super) async fn ready_lanes(tx: &Tx, outlet: &OutletKey, sought: &LaneQuery) -> Result<Vec<LaneSummary>, DbError> {
    let except: Vec<i64> = sought.except.iter().map(|lane| lane.0).collect();
    let rows = tx
        .query(
            &format!(
                "SELECT {LANE} FROM lane
             WHERE outlet = $1 AND waiting > 0 AND message_id IS NULL AND id <> ALL ($2) AND channel <> ALL ($4)
                 AND (due_at <= $5 OR due_at = since OR (waiting > deferred AND due_at - $6 > $5))
             ORDER BY rank * 300000 + since, id LIMIT $3"
            ),
            &[&outlet.as_str(), &except, &limit(sought.limit), &sought.muted, &sought.due_by, &MAX_RETRY_DELAY_MS],
        )
        .await?;
    rows.iter().map(lane_summary).collect()
}

/// [`crate::store::MaintenanceStore::overdue`]. Costs one walk over the lanes that have something waiting, and over the open messages.
pub(super) async fn overdue(tx: &Tx, before: UnixMs) -> Result<Vec<OverdueRow>, DbError> {
    let rows = tx
        .query(
            "SELECT g.channel, g.outlet, sum(g.n)::bigint, min(g.since), coalesce((SELECT lease_until FROM outlet o WHERE o.key = g.outlet), 0) FROM (
                 SELECT channel, outlet, waiting AS n, due_at AS since FROM lane WHERE waiting > 0 AND message_id IS NULL AND due_at <= $1
                 UNION ALL
                 SELECT m.channel, m.outlet, (SELECT count(*) FROM delivery d WHERE d.message_id = m.id),
                     (SELECT min(greatest(c.due_at, m.formed_at)) FROM cell c WHERE c.message_id = m.id AND c.state = 'open' AND c.due_at <= $1)
                 FROM message m WHERE NOT m.done AND m.formed_at <= $1) AS g
             WHERE g.since IS NOT NULL GROUP BY g.channel, g.outlet ORDER BY g.channel, g.outlet",
            &[&before],
        )
        .await?;
    let due = |row| {
        Ok(OverdueRow { channel: get(row, 0)?, outlet: outlet(row, 1)?, count: row.count(2)?, since: get(row, 3)?, leased_until: get(row, 4)? })
    };
    rows.iter().map(due).collect()
}

/// [`crate::store::OutletStore::open_messages`].
pub(super) async fn open_messages(tx: &Tx, outlet: &OutletKey) -> Result<Vec<MessageId>, DbError> {
    let rows = tx.query("SELECT id FROM message WHERE outlet = $1 AND NOT done", &[&outlet.as_str()]).await?;
    rows.iter().map(|row| Ok(MessageId(get(row, 0)?))).collect()
}

/// [`crate::store::OutletStore::pending`].
pub(super) async fn pending(tx: &Tx, lane: LaneId, after: i64, most: usize, bodies: usize, due_by: UnixMs) -> Result<Vec<PendingDelivery>, DbError> {
    let rows = tx
        .query(
            &format!(
                "SELECT {DELIVERY} FROM delivery d WHERE d.lane_id = $1 AND d.state IN ('waiting', 'deferred') AND d.lane_seq > $2
                     AND (d.state = 'waiting' OR d.due_at <= $4 OR d.due_at = d.born_at)
                 ORDER BY d.lane_seq LIMIT $3"
            ),
            &[&lane.0, &after, &limit(most), &due_by],
        )
        .await?;
    with_bodies(tx, &rows, bodies).await
}

/// [`crate::store::OutletStore::pending_of`].
pub(super) async fn pending_of(
    tx: &Tx,
    lanes: &[(LaneId, i64)],
    most: usize,
    bodies: usize,
    due_by: UnixMs,
) -> Result<Vec<Vec<PendingDelivery>>, DbError> {
    let (ids, after): (Vec<i64>, Vec<i64>) = lanes.iter().map(|(lane, after)| (lane.0, *after)).unzip();
    let rows = tx
        .query(
            &format!(
                "SELECT {DELIVERY} FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS n (lane, after, place) CROSS JOIN LATERAL (
                     SELECT * FROM delivery d WHERE d.lane_id = n.lane AND d.state IN ('waiting', 'deferred') AND d.lane_seq > n.after
                         AND (d.state = 'waiting' OR d.due_at <= $4 OR d.due_at = d.born_at)
                     ORDER BY d.lane_seq LIMIT $3) AS d ORDER BY n.place, d.lane_seq"
            ),
            &[&ids, &after, &limit(most), &due_by],
        )
        .await?;
    let mut of: HashMap<LaneId, Vec<PendingDelivery>> = HashMap::new();
    for one in with_bodies(tx, &rows, bodies).await? {
        of.entry(one.lane).or_default().push(one);
    }
    Ok(lanes.iter().map(|(lane, _)| of.remove(lane).unwrap_or_default()).collect())
}

/// The deliveries of these rows, the first of them with their events, up to so many bytes.
async fn with_bodies(tx: &Tx, rows: &[Row], bodies: usize) -> Result<Vec<PendingDelivery>, DbError> {
    let mut waiting: Vec<PendingDelivery> = rows.iter().map(pending_delivery).collect::<Result<_, _>>()?;
    if bodies > 0 && !waiting.is_empty() {
        let ids: Vec<EventId> = waiting.iter().map(|one| one.event_id).collect();
        let found = load_events(tx, &ids, bodies).await?;
        let bodies: HashMap<EventId, _> = found.events.into_iter().map(|stored| (stored.id, stored.event)).collect();
        for one in &mut waiting {
            one.event = bodies.get(&one.event_id).cloned();
        }
    }
    Ok(waiting)
}

/// [`crate::store::OutletStore::load_events`]. What is too large does not leave the server.
pub(super) async fn load_events(tx: &Tx, ids: &[EventId], bytes: usize) -> Result<EventBodies, DbError> {
    let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = tx
        .query(
            &format!(
                "SELECT {EVENT}, w.at FROM (
                     SELECT a.id, a.at, sum({BODY_LENGTH}) OVER (ORDER BY a.at) AS bytes
                     FROM unnest($1::uuid[]) WITH ORDINALITY AS a (id, at) JOIN event b ON b.id = a.id
                 ) w JOIN event e ON e.id = w.id WHERE w.bytes <= $2 ORDER BY w.at"
            ),
            &[&wanted, &i64::try_from(bytes).unwrap_or(i64::MAX)],
        )
        .await?;
    let events = rows.iter().map(stored_event).collect::<Result<Vec<_>, _>>()?;
    // What follows the last one that was read is either unknown or too large; the caller asks again and finds out.
    let read = rows.last().map(|row| get::<i64>(row, 5)).transpose()?.map_or(0, |at| usize::try_from(at).unwrap_or(0));
    let known: i64 = match read < ids.len() {
        true => {
            let rest = wanted[read..].to_vec();
            let counted = tx.query("SELECT count(*) FROM event WHERE id = ANY ($1)", &[&rest]).await?;
            counted.first().map(|row| get(row, 0)).transpose()?.unwrap_or(0)
        }
        false => 0,
    };
    Ok(EventBodies { events, left: if known > 0 { ids.len() - read } else { 0 } })
}

/// [`crate::store::OutletStore::count_unresolved`].
pub(super) async fn count_unresolved(tx: &Tx, mut lane: LaneId) -> Result<Option<u64>, DbError> {
    loop {
        let row = tx.first("SELECT key, length(unresolved)::bigint / 8 FROM lane WHERE id = $1", &[&lane.0]).await?;
        let Some(row) = row else { return Ok(None) };
        // A lane of fallbacks is made after the one that it is named for: the way leads to smaller numbers.
        match source_lane(get(&row, 0)?).filter(|origin| *origin < lane) {
            Some(origin) => lane = origin,
            None => return Ok(Some(row.count(1)?)),
        }
    }
}

/// Whether an older lane of the channel has the same group for another audience: a reload that changes whom a route mentions makes a new one.
const OLDER_SIBLING: &str =
    "SELECT EXISTS (SELECT 1 FROM delivery d JOIN lane l ON l.id = d.lane_id JOIN lane s ON s.channel = l.channel AND s.id < l.id
         AND s.key >= split_part(l.key, '/', 1) AND s.key < split_part(l.key, '/', 1) || '0'
     WHERE d.id = $1)";

/// [`crate::store::OutletStore::lane_history`].
pub(super) async fn lane_history(tx: &Tx, id: DeliveryId, most: usize) -> Result<LaneHistory, DbError> {
    let prior = async |id: Uuid| match tx.first("SELECT prior_id FROM delivery WHERE id = $1", &[&id]).await? {
        Some(row) => Ok::<_, DbError>(Some(get::<Option<Uuid>>(&row, 0)?)),
        None => Ok(None),
    };
    let mut past = LaneHistory::default();
    let mut at = id.0;
    while let Some(before) = prior(at).await? {
        let Some(before) = before else {
            past.complete = match tx.first(OLDER_SIBLING, &[&id.0]).await? {
                Some(row) => !get::<bool>(&row, 0)?,
                None => true,
            };
            break;
        };
        if past.deliveries.len() == most {
            break;
        }
        let Some(row) = tx.first(&format!("SELECT {DELIVERY} FROM delivery d WHERE d.id = $1"), &[&before]).await? else { break };
        let found = pending_delivery(&row)?;
        let Some(stored) = load_events(tx, &[found.event_id], usize::MAX).await?.events.pop() else { break };
        past.deliveries.push(PastDelivery::of(found.id, found.state, &found.target.alerts, &stored.event));
        at = before;
    }
    Ok(past)
}

/// [`crate::store::MaintenanceStore::stats`]. Costs one walk over the lanes that have something waiting, one over the index of dead letters and one over
/// that of open incidents, whatever the number of deliveries. The bytes are given as unknown: tables do not shrink by what is purged, so a cap on them would purge on and on.
pub(super) async fn stats(tx: &Tx) -> Result<Stats, DbError> {
    let mut stats = Stats::default();
    let lanes = tx
        .query(
            "SELECT channel, sum(waiting - deferred)::bigint, sum(deferred)::bigint,
                 min(CASE WHEN deferred = 0 THEN since WHEN deferred = waiting THEN due_at ELSE (
                     SELECT min(CASE WHEN d.state = 'deferred' THEN d.due_at ELSE d.born_at END) FROM delivery d
                     WHERE d.lane_id = lane.id AND d.state IN ('waiting', 'deferred')) END),
                 array_agg(DISTINCT outlet) FROM lane WHERE waiting > 0
             GROUP BY channel ORDER BY channel",
            &[],
        )
        .await?;
    for row in &lanes {
        let channel: String = get(row, 0)?;
        for (state, column) in [(State::Waiting, 1), (State::Deferred, 2)] {
            let n: u64 = row.count(column)?;
            if n > 0 {
                stats.open.push((channel.clone(), state, n));
            }
        }
        let outlets: Vec<String> = get(row, 4)?;
        stats.placed.extend(outlets.iter().map(|outlet| (channel.clone(), OutletKey::from_stored(outlet))));
        stats.oldest.push((channel, get(row, 3)?));
    }
    for row in &tx.query("SELECT channel, count(*) FROM delivery WHERE state = 'dead' GROUP BY channel ORDER BY channel", &[]).await? {
        stats.dead.push((get(row, 0)?, row.count(1)?));
    }
    // Letter for letter the condition of the index `delivery_replayed`.
    let sql = "SELECT channel, count(*) FROM delivery WHERE state = 'dead' AND left(right(reason, 48), 12) = 'replayed as ' GROUP BY channel";
    let replayed = tx.query(sql, &[]).await?;
    stats.leave_out_replayed(replayed.iter().map(|row| Ok((get(row, 0)?, row.count(1)?))).collect::<Result<_, DbError>>()?);
    for row in &tx.query("SELECT key, paused_until, held, month, month_sent FROM outlet ORDER BY key", &[]).await? {
        stats.outlets.push(OutletRow {
            key: outlet(row, 0)?,
            paused_until: get(row, 1)?,
            suspended: get(row, 2)?,
            month: get(row, 3)?,
            month_sent: get(row, 4)?,
        });
    }
    for row in &tx.query("SELECT rank, state, count(*) FROM incident WHERE ended_at IS NULL GROUP BY rank, state ORDER BY rank, state", &[]).await? {
        stats.incidents.push(IncidentCount {
            rank: row.count(0)?,
            state: row.named(1, IncidentState::parse, "incident's state")?,
            count: row.count(2)?,
        });
    }
    stats.behind = super::incidents::count_behind(tx).await?;
    Ok(stats)
}

/// [`crate::store::MaintenanceStore::update_heartbeats`].
pub(super) async fn heartbeats(tx: &Tx) -> Result<Vec<HeartbeatRow>, DbError> {
    let rows = tx.query("SELECT name, seen_at, silent_since FROM heartbeat ORDER BY name", &[]).await?;
    rows.iter().map(|row| Ok(HeartbeatRow { name: get(row, 0)?, seen_at: get(row, 1)?, silent_since: get(row, 2)? })).collect()
}
