//! What a reload does to lanes: a renamed channel takes its lanes along, a changed credential moves them to another outlet.

use rusqlite::{Connection, OptionalExtension as _, named_params, params};
use uuid::Uuid;

use super::error::DbError;
use super::mute::list as list_mutes;
use super::outcome::recount;
use super::rows::bytes;
use crate::store::rows::StoredRow as _;
use crate::store::{FiredChain, Relocation, join_chains, merge_places, merge_unresolved, rename_channel};

/// Holds for a row of which another node holds the outlet by a lease: it may have it in flight. `:node` and `:now` are the caller's.
fn leased_elsewhere(table: &str) -> String {
    format!("EXISTS (SELECT 1 FROM outlet o WHERE o.key = {table}.outlet AND o.owner NOT IN ('', :node) AND o.lease_until > :now)")
}

/// [`crate::store::ClusterStore::relocate`].
pub(super) fn relocate(db: &Connection, from: &str, to: &Relocation) -> Result<u64, DbError> {
    let (lane_elsewhere, message_elsewhere, twin_elsewhere) = (leased_elsewhere("lane"), leased_elsewhere("message"), leased_elsewhere("t"));
    let mut renamed = 0;
    if from != to.channel {
        let mut lanes = db.prepare_cached(&format!(
            "SELECT lane.id, lane.message_id IS NOT NULL, t.id, t.message_id IS NOT NULL, {twin_elsewhere}
             FROM lane LEFT JOIN lane t ON t.channel = :to AND t.key = lane.key WHERE lane.channel = :from AND NOT {lane_elsewhere} ORDER BY lane.id"
        ))?;
        let sought = named_params! { ":from": from, ":to": to.channel, ":node": to.node, ":now": to.now };
        let rows = lanes.query_map(sought, |row| {
            let twin: Option<i64> = row.get(2)?;
            let (in_flight, elsewhere) = (row.get(3)?, row.get(4)?);
            Ok((row.get(0)?, row.get(1)?, twin.map(|id| Twin { id, in_flight, elsewhere })))
        })?;
        let lanes: Vec<(i64, bool, Option<Twin>)> = rows.collect::<rusqlite::Result<_>>()?;
        for (lane, in_flight, twin) in &lanes {
            rename(db, *lane, *in_flight, twin.as_ref(), &to.channel)?;
        }
        renamed = lanes.len();
        // The node that keeps some of them uses the former name.
        let left = "EXISTS (SELECT 1 FROM lane WHERE lane.channel = ?1)";
        let sql = format!("UPDATE receipt INDEXED BY receipt_sent SET channel = ?2 WHERE channel = ?1 AND due_at IS NOT NULL AND NOT {left}");
        db.prepare_cached(&sql)?.execute([from, &to.channel])?;
        // An anchor that exists under the new name wins.
        let sql = format!("UPDATE OR IGNORE anchor SET channel = ?2 WHERE channel = ?1 AND NOT {left}");
        db.prepare_cached(&sql)?.execute([from, &to.channel])?;
        db.prepare_cached(&format!("DELETE FROM anchor WHERE channel = ?1 AND NOT {left}"))?.execute([from])?;
        for mute in list_mutes(db)? {
            if let Some(matchers) = rename_channel(&mute.matchers, from, &to.channel) {
                db.prepare_cached(&format!("UPDATE OR IGNORE mute SET matchers = ?2 WHERE matchers = ?3 AND NOT {left}"))?.execute([
                    from,
                    &matchers,
                    &mute.matchers,
                ])?;
            }
        }
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

/// The lane that has a lane's key under the channel's new name.
struct Twin {
    id: i64,
    in_flight: bool,
    /// Another node holds its outlet by a lease.
    elsewhere: bool,
}

/// Moves a lane to its channel's new name. Of two lanes with one key one remains, with what waits in both: the one that was renamed, unless a message of
/// the other is in flight or may be. If a message of each is, the renamed one ends by itself under a key of its own.
fn rename(db: &Connection, lane: i64, in_flight: bool, twin: Option<&Twin>, to: &str) -> Result<(), DbError> {
    // A fallback child whose origin has another child on that channel already would collide with it: it becomes a delivery of its own.
    db.prepare_cached(
        "UPDATE delivery SET origin_id = NULL WHERE lane_id = ?1 AND state IN ('waiting', 'deferred') AND origin_id IS NOT NULL
         AND EXISTS (SELECT 1 FROM delivery o WHERE o.origin_id = delivery.origin_id AND o.channel = ?2)",
    )?
    .execute(params![lane, to])?;
    db.prepare_cached("UPDATE delivery SET channel = ?2 WHERE lane_id = ?1 AND state IN ('waiting', 'deferred')")?.execute(params![lane, to])?;
    let remains = twin.is_none_or(|twin| !twin.in_flight && !twin.elsewhere);
    if let Some(aside) = twin.map(|twin| if remains { twin.id } else { lane }) {
        db.prepare_cached("UPDATE lane SET key = key || '~' || id WHERE id = ?1")?.execute([aside])?;
    }
    db.prepare_cached("UPDATE lane SET channel = ?2 WHERE id = ?1")?.execute(params![lane, to])?;
    match twin {
        Some(twin) if remains => merge(db, lane, twin.id, false),
        Some(twin) if !in_flight => merge(db, twin.id, lane, twin.elsewhere),
        _ => Ok(()),
    }
}

/// Puts what waits in `other` among what waits in `lane`, in the order in which it was accepted, behind what is in flight. Where another node has `lane`
/// in memory, its places stay as they are, and what is new there comes last. Removes `other` when nothing refers to it any more.
fn merge(db: &Connection, lane: i64, other: i64, elsewhere: bool) -> Result<(), DbError> {
    let (own, theirs) = (if elsewhere { Vec::new() } else { waiting(db, lane)? }, waiting(db, other)?);
    let mut next = db.prepare_cached("UPDATE lane SET last_seq = last_seq + 1 WHERE id = ?1 RETURNING last_seq")?;
    let mut place = db.prepare_cached(
        "UPDATE delivery SET lane_id = ?2, lane_seq = ?3, prior_id = coalesce(prior_id, (SELECT fired FROM lane WHERE id = ?2 AND id <> lane_id))
         WHERE id = ?1",
    )?;
    for id in merge_places(&own, &theirs) {
        let seq: i64 = next.query_row([lane], |row| row.get(0))?;
        place.execute(params![bytes(&id), lane, seq])?;
    }
    let (head, link) = join_chains(&fired_chain(db, lane)?, &fired_chain(db, other)?);
    if let Some((delivery, before)) = link {
        db.prepare_cached("UPDATE delivery SET prior_id = ?2 WHERE id = ?1")?.execute(params![bytes(&delivery), bytes(&before)])?;
    }
    let unresolved = |id: i64| db.prepare_cached("SELECT unresolved FROM lane WHERE id = ?1")?.query_row([id], |row| row.get::<_, Vec<u8>>(0));
    let both = merge_unresolved(&unresolved(lane)?, &unresolved(other)?);
    db.prepare_cached("UPDATE lane SET size = size + ?2, unresolved = ?3, newest = NULL, fired = ?4 WHERE id = ?1")?.execute(params![
        lane,
        theirs.len() as i64,
        both,
        head.as_ref().map(bytes)
    ])?;
    recount(db, lane)?;
    recount(db, other)?;
    shrink(db, other, theirs.len() as i64)
}

/// What a lane carried that fired.
fn fired_chain(db: &Connection, lane: i64) -> Result<FiredChain, DbError> {
    let head = db.prepare_cached("SELECT fired FROM lane WHERE id = ?1")?.query_row([lane], |row| row.optional_uuid(0))?;
    let mut chain = FiredChain { head, ..FiredChain::default() };
    let mut prior = db.prepare_cached("SELECT prior_id FROM delivery WHERE id = ?1")?;
    let mut next = chain.head;
    while let Some(id) = next.filter(|_| chain.ids.len() < FiredChain::MAX) {
        let Some(before) = prior.query_row([bytes(&id)], |row| row.optional_uuid(0)).optional()? else { break };
        chain.ids.push(id);
        chain.ended = before.is_none();
        next = before;
    }
    Ok(chain)
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
