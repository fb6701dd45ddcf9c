//! Changes of the queue by people: requeue, move, drop; heartbeats, and whether the disk takes writes.
//!
//! Nothing here touches a delivery whose message is open: its outcome is on the way.

use rusqlite::{Connection, OptionalExtension, params};

use super::accept::insert_delivery;
use super::error::DbError;
use super::outcome::recount;
use super::rows::{bytes, delivery_row};
use crate::model::{DeliveryId, OutletKey, UnixMs};
use crate::store::copies::Requeued;
use crate::store::prepared::{PreparedDelivery, TextRule};
use crate::store::rows::{DELIVERY, delivery, target};
use crate::store::{AcceptedDelivery, HeartbeatUpdate, MoveTo, StoreError};

fn invalid(text: String) -> DbError {
    DbError::Undo(StoreError::Invalid(text))
}

pub(super) fn old(db: &Connection, id: DeliveryId) -> Result<Requeued, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {DELIVERY}, l.key, l.outlet, EXISTS (SELECT 1 FROM message m WHERE m.id = d.message_id AND m.done = 0)
         FROM delivery d JOIN lane l ON l.id = d.lane_id WHERE d.id = ?1"
    ))?;
    let found = select.query_row([bytes(&id.0)], |row| {
        Ok(Requeued {
            row: delivery_row(row)?,
            target: target(row)?,
            lane: row.get(delivery::lane_id)?,
            lane_seq: row.get(delivery::lane_seq)?,
            lane_key: row.get(delivery::NEXT)?,
            outlet: OutletKey::from_stored(row.get_ref(delivery::NEXT + 1)?.as_str()?),
            in_flight: row.get(delivery::NEXT + 2)?,
        })
    });
    found.optional()?.ok_or_else(|| invalid(format!("there is no delivery {id}; it may have been purged")))
}

/// [`crate::store::QueryStore::requeue`].
pub(super) fn requeue(db: &Connection, ids: &[DeliveryId], to: Option<&MoveTo>, now: UnixMs) -> Result<Vec<AcceptedDelivery>, DbError> {
    ids.iter().map(|id| requeue_one(db, old(db, *id)?, to, now)).collect()
}

fn requeue_one(db: &Connection, old: Requeued, to: Option<&MoveTo>, now: UnixMs) -> Result<AcceptedDelivery, DbError> {
    old.check(to).map_err(DbError::Undo)?;
    let (id, moves) = (old.row.id, old.moves());
    if moves && to.is_none() {
        return wait_no_more(db, old, now);
    }
    let prepared = PreparedDelivery::new(old.replacement(to, now), TextRule::Any).map_err(DbError::Undo)?;
    let accepted = insert_delivery(db, old.row.event, &prepared, now, None, &[])?;
    let note = old.note(&prepared.delivery);
    db.prepare_cached(
        "UPDATE delivery SET reason = coalesce(reason || '; ', '') || ?2, state = CASE WHEN ?3 THEN 'dropped' ELSE state END,
             done_at = CASE WHEN ?3 THEN ?4 ELSE done_at END WHERE id = ?1",
    )?
    .execute(params![bytes(&id.0), note, moves, now])?;
    if moves {
        recount(db, old.lane)?;
    }
    Ok(accepted)
}

/// What waits for the end of a mute or for its next try waits for its turn alone.
fn wait_no_more(db: &Connection, old: Requeued, now: UnixMs) -> Result<AcceptedDelivery, DbError> {
    db.prepare_cached(
        "UPDATE delivery SET state = 'waiting', due_at = min(due_at, ?2), reason = coalesce(reason || '; ', '') || 'retried by hand' WHERE id = ?1",
    )?
    .execute(params![bytes(&old.row.id.0), now])?;
    recount(db, old.lane)?;
    Ok(old.staying())
}

/// [`crate::store::QueryStore::drop_deliveries`]. What was dead keeps its old reason behind the new one.
pub(super) fn drop_deliveries(db: &Connection, ids: &[DeliveryId], reason: &str, now: UnixMs) -> Result<u64, DbError> {
    let mut update = db.prepare_cached(
        "UPDATE delivery SET state = 'dropped', done_at = ?3, reason = ?2 || coalesce('; before: ' || reason, '')
         WHERE id = ?1 AND state IN ('waiting', 'deferred', 'dead')
             AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = delivery.message_id AND m.done = 0)
         RETURNING lane_id",
    )?;
    let mut dropped = 0;
    let mut lanes = std::collections::BTreeSet::new();
    for id in ids {
        if let Some(lane) = update.query_row(params![bytes(&id.0), reason, now], |row| row.get(0)).optional()? {
            lanes.insert(lane);
            dropped += 1;
        }
    }
    for lane in lanes {
        recount(db, lane)?;
    }
    Ok(dropped)
}

/// [`crate::store::MaintenanceStore::update_heartbeats`].
pub(super) fn update_heartbeats(db: &Connection, changes: &[HeartbeatUpdate]) -> Result<(), DbError> {
    let mut put = db.prepare_cached(
        "INSERT INTO heartbeat (name, seen_at, silent_since) VALUES (?1, coalesce(?2, 0), ?4)
         ON CONFLICT (name) DO UPDATE SET seen_at = coalesce(?2, seen_at), silent_since = CASE WHEN ?3 THEN ?4 ELSE silent_since END",
    )?;
    for HeartbeatUpdate { name, change } in changes {
        put.execute(params![name, change.seen_at(), change.seen_at().is_none(), change.silent_since()])?;
    }
    Ok(())
}

/// [`crate::store::IntakeStore::check_writable`]: takes fresh pages, so that a disk without room is noticed, and releases them.
pub(super) fn check_writable(db: &Connection) -> Result<(), DbError> {
    let put = "INSERT OR REPLACE INTO event (id, source, received_at, group_key, plan, body) VALUES (x'00', '', 0, '', '', zeroblob(65536))";
    db.prepare_cached(put)?.execute([])?;
    db.prepare_cached("DELETE FROM event WHERE id = x'00'")?.execute([])?;
    Ok(())
}
