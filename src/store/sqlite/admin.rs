//! Changes of the queue by people and by a reload: requeue, move, drop, rename a channel, move it to another outlet.
//!
//! Nothing here touches a delivery whose message is open: its outcome is on the way.

use rusqlite::{Connection, OptionalExtension, params};

use super::accept::insert_delivery;
use super::error::DbError;
use super::outcome::recount;
use super::rows::{bytes, delivery_row};
use crate::model::{DeliveryId, OutletKey};
use crate::store::copies::Requeued;
use crate::store::prepared::{PreparedDelivery, TextRule};
use crate::store::rows::{DELIVERY, delivery, target};
use crate::store::{AcceptedDelivery, HeartbeatUpdate, MoveTo, StoreError};

fn invalid(text: String) -> DbError {
    DbError::Undo(StoreError::Invalid(text))
}

fn old(db: &Connection, id: DeliveryId) -> Result<Requeued, DbError> {
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
pub(super) fn requeue(db: &Connection, ids: &[DeliveryId], to: Option<&MoveTo>, now: i64) -> Result<Vec<AcceptedDelivery>, DbError> {
    ids.iter().map(|id| requeue_one(db, old(db, *id)?, to, now)).collect()
}

fn requeue_one(db: &Connection, old: Requeued, to: Option<&MoveTo>, now: i64) -> Result<AcceptedDelivery, DbError> {
    old.check(to).map_err(DbError::Undo)?;
    let (id, moves) = (old.row.id, old.moves());
    if moves && to.is_none() {
        return wait_no_more(db, old, now);
    }
    let prepared = PreparedDelivery::new(old.replacement(to, now), TextRule::Any).map_err(DbError::Undo)?;
    let accepted = insert_delivery(db, old.row.event, &prepared, now, None)?;
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
fn wait_no_more(db: &Connection, old: Requeued, now: i64) -> Result<AcceptedDelivery, DbError> {
    db.prepare_cached(
        "UPDATE delivery SET state = 'waiting', due_at = min(due_at, ?2), reason = coalesce(reason || '; ', '') || 'retried by hand' WHERE id = ?1",
    )?
    .execute(params![bytes(&old.row.id.0), now])?;
    recount(db, old.lane)?;
    Ok(old.staying())
}

/// [`crate::store::QueryStore::drop_deliveries`]. What was dead keeps its old reason behind the new one.
pub(super) fn drop_deliveries(db: &Connection, ids: &[DeliveryId], reason: &str, now: i64) -> Result<u64, DbError> {
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

/// [`crate::store::MaintenanceStore::rename_channel`]. Returns how many lanes and open messages.
pub(super) fn rename_channel(db: &Connection, from: &str, to: &str, outlet: &OutletKey) -> Result<u64, DbError> {
    if from == to {
        return move_to_outlet(db, to, outlet);
    }
    let mut lanes = db.prepare_cached(
        "SELECT l.id, l.message_id IS NOT NULL, l.waiting > 0, (SELECT t.id FROM lane t WHERE t.channel = ?2 AND t.key = l.key) FROM lane l
         WHERE l.channel = ?1 ORDER BY l.id",
    )?;
    let rows = lanes.query_map([from, to], |row| Ok((row.get(0)?, row.get(1)?, row.get(delivery::lane_id)?, row.get(delivery::lane_seq)?)))?;
    let lanes: Vec<(i64, bool, bool, Option<i64>)> = rows.collect::<rusqlite::Result<_>>()?;
    for &(lane, in_flight, _, twin) in &lanes {
        rename_open(db, lane, to)?;
        match twin {
            Some(twin) if !in_flight => merge(db, lane, twin)?,
            // What is under way cannot be put behind others without breaking its prefix: it drains in a lane of its own.
            Some(_) => rename_lane(db, lane, to, outlet, "key || '~' || id")?,
            None => rename_lane(db, lane, to, outlet, "key")?,
        }
    }
    move_to_outlet(db, to, outlet)?;
    let mut rename = db.prepare_cached("UPDATE message INDEXED BY message_open SET channel = ?2, outlet = ?3 WHERE channel = ?1 AND done = 0")?;
    let messages = rename.execute(params![from, to, outlet.as_str()])?;
    db.prepare_cached("UPDATE receipt INDEXED BY receipt_awaited SET channel = ?2 WHERE channel = ?1 AND due_at IS NOT NULL")?.execute([from, to])?;
    db.prepare_cached("UPDATE OR IGNORE mute SET channel = ?2 WHERE channel = ?1")?.execute([from, to])?;
    // A lane that history still refers to stays under its old name after a merge: it is no news.
    let lanes = lanes.iter().filter(|(_, in_flight, waits, _)| *in_flight || *waits).count();
    Ok((lanes + messages) as u64)
}

fn rename_open(db: &Connection, lane: i64, to: &str) -> Result<(), DbError> {
    // A fallback child whose origin has another child on that channel already would collide with it: it becomes a delivery of its own.
    db.prepare_cached(
        "UPDATE delivery SET origin_id = NULL WHERE lane_id = ?1 AND state IN ('waiting', 'deferred') AND origin_id IS NOT NULL
         AND EXISTS (SELECT 1 FROM delivery o WHERE o.origin_id = delivery.origin_id AND o.channel = ?2)",
    )?
    .execute(params![lane, to])?;
    db.prepare_cached("UPDATE delivery SET channel = ?2 WHERE lane_id = ?1 AND state IN ('waiting', 'deferred')")?.execute(params![lane, to])?;
    Ok(())
}

fn rename_lane(db: &Connection, lane: i64, to: &str, outlet: &OutletKey, key: &str) -> Result<(), DbError> {
    db.prepare_cached(&format!("UPDATE lane SET channel = ?2, outlet = ?3, key = {key} WHERE id = ?1"))?.execute(params![
        lane,
        to,
        outlet.as_str()
    ])?;
    Ok(())
}

/// Puts what is open in `lane` behind what is in `twin`, in order, and removes `lane` when nothing refers to it.
fn merge(db: &Connection, lane: i64, twin: i64) -> Result<(), DbError> {
    let mut open = db.prepare_cached(
        "SELECT id FROM delivery INDEXED BY delivery_open WHERE lane_id = ?1 AND state IN ('waiting', 'deferred') ORDER BY lane_seq",
    )?;
    let open: Vec<Vec<u8>> = open.query_map([lane], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut next = db.prepare_cached("UPDATE lane SET last_seq = last_seq + 1, size = size + 1 WHERE id = ?1 RETURNING last_seq")?;
    let mut carry = db.prepare_cached("UPDATE delivery SET lane_id = ?2, lane_seq = ?3 WHERE id = ?1")?;
    for id in &open {
        let seq: i64 = next.query_row([twin], |row| row.get(0))?;
        carry.execute(params![id, twin, seq])?;
    }
    recount(db, lane)?;
    recount(db, twin)?;
    // What fired in the merged lane is the newer: a later resolved one follows it.
    db.prepare_cached("UPDATE lane SET fired = coalesce((SELECT fired FROM lane WHERE id = ?1), fired) WHERE id = ?2")?.execute([lane, twin])?;
    shrink(db, lane, open.len() as i64)
}

/// `by` deliveries left a lane; one to which nothing refers any more is removed.
pub(super) fn shrink(db: &Connection, lane: i64, by: i64) -> Result<(), DbError> {
    db.prepare_cached("UPDATE lane SET size = size - ?2 WHERE id = ?1")?.execute([lane, by])?;
    db.prepare_cached("DELETE FROM lane WHERE id = ?1 AND size = 0 AND waiting = 0 AND message_id IS NULL")?.execute([lane])?;
    Ok(())
}

/// [`crate::store::MaintenanceStore::move_to_outlet`]. Open messages go with their lanes: their new owner finishes them.
pub(super) fn move_to_outlet(db: &Connection, channel: &str, outlet: &OutletKey) -> Result<u64, DbError> {
    let to = params![channel, outlet.as_str()];
    let lanes = db.prepare_cached("UPDATE lane SET outlet = ?2 WHERE channel = ?1 AND outlet <> ?2")?.execute(to)?;
    let mut carry = db.prepare_cached("UPDATE message INDEXED BY message_open SET outlet = ?2 WHERE channel = ?1 AND outlet <> ?2 AND done = 0")?;
    Ok((lanes + carry.execute(to)?) as u64)
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
