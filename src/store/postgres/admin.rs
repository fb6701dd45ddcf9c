//! What people and reloads do to the queue: requeue, move, drop.
//!
//! Nothing here touches a delivery whose message is open: its outcome is on the way. Rows are locked by one statement and read by the next, which
//! sees what others committed until then.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::error::DbError;
use super::lanes::{Arrival, append, lock_lanes, recount};
use super::rows::{get, outlet};
use super::tx::Tx;
use crate::model::{DeliveryId, EventId, UnixMs};
use crate::store::copies::Requeued;
use crate::store::prepared::{PreparedDelivery, TextRule};
use crate::store::rows::{DELIVERY, delivery, delivery_row, target};
use crate::store::{AcceptedDelivery, HeartbeatUpdate, MoveTo, StoreError};

fn invalid(text: String) -> DbError {
    DbError::Refused(StoreError::Invalid(text))
}

/// Locks deliveries, in the order of their ids.
pub(super) async fn lock_deliveries(tx: &Tx, ids: &Vec<Uuid>) -> Result<(), DbError> {
    tx.query("SELECT 1 FROM delivery WHERE id = ANY ($1) ORDER BY id FOR UPDATE", &[ids]).await?;
    Ok(())
}

pub(super) async fn olds(tx: &Tx, ids: &Vec<Uuid>) -> Result<HashMap<DeliveryId, Requeued>, DbError> {
    lock_deliveries(tx, ids).await?;
    let rows = tx
        .query(
            &format!(
                "SELECT {DELIVERY}, l.key, l.outlet, EXISTS (SELECT 1 FROM message m WHERE m.id = d.message_id AND NOT m.done)
                 FROM delivery d JOIN lane l ON l.id = d.lane_id WHERE d.id = ANY ($1)"
            ),
            &[ids],
        )
        .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let old = Requeued {
            row: delivery_row(row)?,
            target: target(row)?,
            lane: get(row, delivery::lane_id)?,
            lane_seq: get(row, delivery::lane_seq)?,
            lane_key: get(row, delivery::NEXT)?,
            outlet: outlet(row, delivery::NEXT + 1)?,
            in_flight: get(row, delivery::NEXT + 2)?,
        };
        found.insert(old.row.id, old);
    }
    Ok(found)
}

/// [`crate::store::QueryStore::requeue`]. An id given twice counts once.
pub(super) async fn requeue(tx: &Tx, ids: &[DeliveryId], to: Option<&MoveTo>, now: UnixMs) -> Result<Vec<AcceptedDelivery>, DbError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = olds(tx, &ids.iter().map(|id| id.0).collect()).await?;
    let mut named = BTreeSet::new();
    let mut new: Vec<(EventId, PreparedDelivery)> = Vec::with_capacity(ids.len());
    let (mut old_ids, mut notes, mut moved, mut lanes) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
    let (mut stays, mut stay) = (Vec::new(), Vec::new());
    for id in ids.iter().filter(|id| named.insert(**id)) {
        let old = found.remove(id).ok_or_else(|| invalid(format!("there is no delivery {id}; it may have been purged")))?;
        let (event, lane, moves) = (old.row.event, old.lane, old.moves());
        old.check(to)?;
        if moves && to.is_none() {
            lanes.insert(lane);
            stay.push(id.0);
            stays.push(old.staying());
            continue;
        }
        let prepared = PreparedDelivery::new(old.replacement(to, now), TextRule::NoNul)?;
        notes.push(old.note(&prepared.delivery));
        old_ids.push(id.0);
        moved.push(moves);
        if moves {
            lanes.insert(lane);
        }
        new.push((event, prepared));
    }
    tx.execute(
        "UPDATE delivery d SET reason = coalesce(d.reason || '; ', '') || n.note, state = CASE WHEN n.moved THEN 'dropped' ELSE d.state END,
             done_at = CASE WHEN n.moved THEN $4 ELSE d.done_at END
         FROM unnest($1, $2, $3) AS n (id, note, moved) WHERE d.id = n.id",
        &[&old_ids, &notes, &moved, &now],
    )
    .await?;
    // What waits for the end of a mute or for its next try waits for its turn alone.
    tx.execute(
        "UPDATE delivery SET state = 'waiting', due_at = least(due_at, $2), reason = coalesce(reason || '; ', '') || 'retried by hand'
         WHERE id = ANY ($1)",
        &[&stay, &now],
    )
    .await?;
    let arrivals: Vec<Arrival<'_>> = new.iter().map(|copy| Arrival::copied(copy, now)).collect();
    let lanes: Vec<i64> = lanes.into_iter().collect();
    lock_lanes(tx, &lanes, &Vec::new(), &arrivals).await?;
    stays.extend(append(tx, &arrivals).await?);
    recount(tx, &lanes).await?;
    Ok(stays)
}

/// [`crate::store::QueryStore::drop_deliveries`]. What was dead keeps its old reason behind the new one.
pub(super) async fn drop_deliveries(tx: &Tx, ids: &[DeliveryId], reason: &str, now: UnixMs) -> Result<u64, DbError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    lock_deliveries(tx, &ids).await?;
    let rows = tx
        .query(
            "UPDATE delivery d SET state = 'dropped', done_at = $3, reason = $2 || coalesce('; before: ' || d.reason, '')
             WHERE d.id = ANY ($1) AND d.state IN ('waiting', 'deferred', 'dead')
                 AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = d.message_id AND NOT m.done)
             RETURNING d.lane_id",
            &[&ids, &reason, &now],
        )
        .await?;
    let lanes: BTreeSet<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    let lanes: Vec<i64> = lanes.into_iter().collect();
    lock_lanes(tx, &lanes, &Vec::new(), &[]).await?;
    recount(tx, &lanes).await?;
    Ok(rows.len() as u64)
}

/// [`crate::store::MaintenanceStore::update_heartbeats`].
pub(super) async fn update_heartbeats(tx: &Tx, changes: &[HeartbeatUpdate]) -> Result<(), DbError> {
    for HeartbeatUpdate { name, change } in changes {
        tx.execute(
            "INSERT INTO heartbeat AS h (name, seen_at, silent_since) VALUES ($1, coalesce($2::bigint, 0), $4)
             ON CONFLICT (name) DO UPDATE SET seen_at = coalesce($2::bigint, h.seen_at), silent_since = CASE WHEN $3 THEN $4 ELSE h.silent_since END",
            &[name, &change.seen_at(), &change.seen_at().is_none(), &change.silent_since()],
        )
        .await?;
    }
    Ok(())
}

/// [`crate::store::IntakeStore::check_writable`]: writes a row and removes it, in one transaction.
pub(super) async fn check_writable(tx: &Tx) -> Result<(), DbError> {
    let key = Uuid::now_v7();
    tx.execute("INSERT INTO event (id, source, received_at, group_key, plan, body) VALUES ($1, '', 0, '', '', '')", &[&key]).await?;
    tx.execute("DELETE FROM event WHERE id = $1", &[&key]).await?;
    Ok(())
}
