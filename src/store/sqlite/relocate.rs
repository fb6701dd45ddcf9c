//! What a reload does to lanes: a renamed channel takes its lanes along, a changed credential moves them to another outlet.

use rusqlite::{Connection, named_params, params};
use uuid::Uuid;

use super::error::DbError;
use super::outcome::recount;
use super::rows::bytes;
use crate::store::rows::StoredRow as _;
use crate::store::{Relocation, merge_places, merge_unresolved};

/// Holds for a row of which another node holds the outlet by a lease: it may have it in flight. `:node` and `:now` are the caller's.
fn leased_elsewhere(table: &str) -> String {
    format!("EXISTS (SELECT 1 FROM outlet o WHERE o.key = {table}.outlet AND o.owner NOT IN ('', :node) AND o.lease_until > :now)")
}

/// [`crate::store::ClusterStore::relocate`].
pub(super) fn relocate(db: &Connection, from: &str, to: &Relocation) -> Result<u64, DbError> {
    let (lane_elsewhere, message_elsewhere) = (leased_elsewhere("lane"), leased_elsewhere("message"));
    let mut renamed = 0;
    if from != to.channel {
        let mut lanes = db.prepare_cached(&format!(
            "SELECT id, (SELECT t.id FROM lane t WHERE t.channel = :to AND t.key = lane.key) FROM lane
             WHERE channel = :from AND NOT {lane_elsewhere} ORDER BY lane.id"
        ))?;
        let sought = named_params! { ":from": from, ":to": to.channel, ":node": to.node, ":now": to.now };
        let lanes: Vec<(i64, Option<i64>)> = lanes.query_map(sought, |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
        for &(lane, twin) in &lanes {
            rename(db, lane, twin, &to.channel)?;
        }
        renamed = lanes.len();
        db.prepare_cached("UPDATE receipt INDEXED BY receipt_awaited SET channel = ?2 WHERE channel = ?1 AND due_at IS NOT NULL")?
            .execute([from, &to.channel])?;
        db.prepare_cached("UPDATE OR IGNORE mute SET channel = ?2 WHERE channel = ?1")?.execute([from, &to.channel])?;
    }
    let mut carry = db.prepare_cached(&format!(
        "UPDATE message INDEXED BY message_open SET channel = :to, outlet = :outlet
         WHERE channel IN (:from, :to) AND (channel <> :to OR outlet <> :outlet) AND done = 0 AND NOT {message_elsewhere}"
    ))?;
    let outlet = to.outlet.as_str();
    let carried = carry.execute(named_params! { ":from": from, ":to": to.channel, ":outlet": outlet, ":node": to.node, ":now": to.now })?;
    let mut lanes =
        db.prepare_cached(&format!("UPDATE lane SET outlet = :outlet WHERE channel = :to AND outlet <> :outlet AND NOT {lane_elsewhere}"))?;
    let moved = lanes.execute(named_params! { ":to": to.channel, ":outlet": outlet, ":node": to.node, ":now": to.now })?;
    Ok((renamed.max(moved) + carried) as u64)
}

/// Moves a lane to its channel's new name. `twin` has its key under that name: what waits there is put in order with what waits here.
fn rename(db: &Connection, lane: i64, twin: Option<i64>, to: &str) -> Result<(), DbError> {
    // A fallback child whose origin has another child on that channel already would collide with it: it becomes a delivery of its own.
    db.prepare_cached(
        "UPDATE delivery SET origin_id = NULL WHERE lane_id = ?1 AND state IN ('waiting', 'deferred') AND origin_id IS NOT NULL
         AND EXISTS (SELECT 1 FROM delivery o WHERE o.origin_id = delivery.origin_id AND o.channel = ?2)",
    )?
    .execute(params![lane, to])?;
    db.prepare_cached("UPDATE delivery SET channel = ?2 WHERE lane_id = ?1 AND state IN ('waiting', 'deferred')")?.execute(params![lane, to])?;
    if let Some(twin) = twin {
        // What is in flight there ends there.
        db.prepare_cached("UPDATE lane SET key = key || '~' || id WHERE id = ?1")?.execute([twin])?;
    }
    db.prepare_cached("UPDATE lane SET channel = ?2 WHERE id = ?1")?.execute(params![lane, to])?;
    twin.map_or(Ok(()), |twin| merge(db, lane, twin))
}

/// Puts what waits in `twin` among what waits in `lane`, in the order in which it was accepted, behind what is in flight. Removes `twin` when nothing
/// refers to it any more.
fn merge(db: &Connection, lane: i64, twin: i64) -> Result<(), DbError> {
    let (own, theirs) = (waiting(db, lane)?, waiting(db, twin)?);
    let mut next = db.prepare_cached("UPDATE lane SET last_seq = last_seq + 1 WHERE id = ?1 RETURNING last_seq")?;
    let mut place = db.prepare_cached(
        "UPDATE delivery SET lane_id = ?2, lane_seq = ?3, prior_id = coalesce(prior_id, (SELECT fired FROM lane WHERE id = ?2 AND id <> lane_id))
         WHERE id = ?1",
    )?;
    for id in merge_places(&own, &theirs) {
        let seq: i64 = next.query_row([lane], |row| row.get(0))?;
        place.execute(params![bytes(&id), lane, seq])?;
    }
    let unresolved = |id: i64| db.prepare_cached("SELECT unresolved FROM lane WHERE id = ?1")?.query_row([id], |row| row.get::<_, Vec<u8>>(0));
    let both = merge_unresolved(&unresolved(lane)?, &unresolved(twin)?);
    db.prepare_cached(
        "UPDATE lane SET size = size + ?3, unresolved = ?4, newest = NULL, fired = coalesce(max(fired, t.theirs), fired, t.theirs)
         FROM (SELECT fired AS theirs FROM lane WHERE id = ?2) AS t WHERE id = ?1",
    )?
    .execute(params![lane, twin, theirs.len() as i64, both])?;
    recount(db, lane)?;
    recount(db, twin)?;
    shrink(db, twin, theirs.len() as i64)
}

/// What waits in a lane and is in no open message, by place.
fn waiting(db: &Connection, lane: i64) -> Result<Vec<Uuid>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT d.id FROM delivery d INDEXED BY delivery_open WHERE d.lane_id = ?1 AND d.state IN ('waiting', 'deferred')
         AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = d.message_id AND m.done = 0) ORDER BY d.lane_seq",
    )?;
    Ok(select.query_map([lane], |row| row.uuid(0))?.collect::<rusqlite::Result<_>>()?)
}

/// `by` deliveries left a lane; one to which nothing refers any more is removed.
pub(super) fn shrink(db: &Connection, lane: i64, by: i64) -> Result<(), DbError> {
    db.prepare_cached("UPDATE lane SET size = size - ?2 WHERE id = ?1")?.execute([lane, by])?;
    db.prepare_cached("DELETE FROM lane WHERE id = ?1 AND size = 0 AND waiting = 0 AND message_id IS NULL")?.execute([lane])?;
    Ok(())
}
