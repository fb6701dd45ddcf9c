//! Messages before they are sent: the fence, a message's row, cells and members, and the beginning of an attempt.
//!
//! Keeps I3 (one open message a lane), I4 (a prefix of each lane) and I5 (what is begun is not rendered again, what is ok stays ok).

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::error::DbError;
use super::guard;
use super::rows::bytes;
use super::rows::insert;
use crate::model::{DeliveryId, LaneId, MessageId};
use crate::store::prepared::{PreparedMessage, Sole};
use crate::store::{Cell, Fence, LaneStarts, NewAttempt, StoreError};

/// Refuses a node that no longer owns the outlet (I7). Comes before anything is written.
pub(super) fn check_fence(db: &Connection, fence: &Fence) -> Result<(), DbError> {
    let mut select = db.prepare_cached("SELECT epoch FROM outlet WHERE key = ?1")?;
    let epoch: Option<i64> = select.query_row([fence.outlet.as_str()], |row| row.get(0)).optional()?;
    if epoch == Some(fence.epoch) { Ok(()) } else { Err(DbError::Refused(StoreError::Fenced)) }
}

fn invalid(text: String) -> DbError {
    DbError::Undo(StoreError::Invalid(text))
}

/// Inserts the message, or updates pages and generation of the stored one. With `sole` it holds its only cell and attempt itself.
pub(super) fn write_message(db: &Connection, fence: &Fence, prepared: &PreparedMessage, done: bool, sole: Option<Sole<'_>>) -> Result<(), DbError> {
    let m = &prepared.message;
    let (cell, attempt) = (sole.map(|sole| sole.cell), sole.map(|sole| sole.attempt));
    insert!(db, "message", {
        id: bytes(&m.id.0),
        channel: m.channel,
        platform: m.platform,
        outlet: fence.outlet.as_str(),
        kind: m.kind.as_str(),
        template: m.template,
        generation: m.generation,
        formed_at: m.formed_at,
        pages: prepared.pages,
        done: done,
        recipient: cell.map(|c| c.recipient.expose()),
        tries: cell.map(|c| c.tries),
        due_at: cell.map(|c| c.due_at),
        platform_id: cell.and_then(|c| c.ids.to_stored()),
        code: cell.and_then(|c| c.code.as_deref()),
        attempt_id: attempt.map(|a| bytes(&a.id.0)),
        node: attempt.map(|a| &a.node),
        epoch: attempt.map(|_| fence.epoch),
        begun_at: attempt.map(|a| a.begun_at),
        ended_at: attempt.map(|a| a.ended_at),
        answer: attempt.and_then(|a| a.answer.as_deref()),
        counted_at: sole.and_then(|sole| sole.counted_at()),
    }, "ON CONFLICT (id) DO UPDATE SET template = excluded.template, generation = excluded.generation, pages = excluded.pages, done = excluded.done")?;
    if sole.is_some() { Ok(()) } else { write_cells(db, m.id, &m.cells) }
}

/// Adds or changes cells. A cell that is ok stays as it is: it is never sent again (I5).
pub(super) fn write_cells(db: &Connection, message: MessageId, cells: &[Cell]) -> Result<(), DbError> {
    let mut upsert = db.prepare_cached(
        "INSERT INTO cell (message_id, page, recipient, state, tries, unanswered, due_at, platform_id, code)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (message_id, page, recipient) DO UPDATE SET state = excluded.state, tries = excluded.tries, unanswered = excluded.unanswered,
             due_at = excluded.due_at, platform_id = excluded.platform_id, code = excluded.code
         WHERE cell.state <> 'ok'",
    )?;
    for c in cells {
        let key = (bytes(&message.0), c.page, c.recipient.expose());
        upsert.execute(params![key.0, key.1, key.2, c.state.as_str(), c.tries, c.unanswered, c.due_at, c.ids.to_stored(), c.code])?;
    }
    Ok(())
}

/// A member's place.
pub(super) struct Member {
    pub(super) lane: i64,
    seq: i64,
    deferred: bool,
}

/// Makes an open delivery a member; `None` when it is final or not there.
pub(super) fn add_member(db: &Connection, message: MessageId, member: DeliveryId) -> Result<Option<Member>, DbError> {
    let mut select =
        db.prepare_cached("SELECT lane_id, lane_seq, state = 'deferred' FROM delivery WHERE id = ?1 AND state IN ('waiting', 'deferred')")?;
    let found = select.query_row([bytes(&member.0)], |row| Ok(Member { lane: row.get(0)?, seq: row.get(1)?, deferred: row.get(2)? })).optional()?;
    if found.is_some() {
        db.prepare_cached("UPDATE delivery SET message_id = ?2 WHERE id = ?1")?.execute([bytes(&member.0), bytes(&message.0)])?;
    }
    Ok(found)
}

/// Marks the lane as having this open message.
pub(super) fn occupy(db: &Connection, lane: i64, message: MessageId) -> Result<(), DbError> {
    db.prepare_cached("UPDATE lane SET message_id = ?2 WHERE id = ?1")?.execute(params![lane, bytes(&message.0)])?;
    Ok(())
}

/// [`crate::store::OutletStore::store_message`].
pub(super) fn store(db: &Connection, fence: &Fence, prepared: &PreparedMessage) -> Result<(), DbError> {
    check_fence(db, fence)?;
    let id = prepared.message.id;
    may_be_formed(db, id)?;
    write_message(db, fence, prepared, false, None)?;
    // The last place of each lane remains: all that waits in the lane up to it must belong to this message. Deferred ones are outside the
    // order: they are due by themselves, and may be passed over.
    let mut lanes = BTreeMap::<i64, i64>::new();
    for id_of_member in &prepared.message.members {
        let Some(member) = add_member(db, id, *id_of_member)? else {
            return Err(invalid(format!("delivery {id_of_member} cannot be a member of message {id}: it is final or unknown")));
        };
        let last = lanes.entry(member.lane).or_default();
        *last = (*last).max(if member.deferred { 0 } else { member.seq });
    }
    for (lane, last) in lanes {
        check_lane(db, lane, last, id)?;
        occupy(db, lane, id)?;
    }
    Ok(())
}

fn may_be_formed(db: &Connection, id: MessageId) -> Result<(), DbError> {
    let mut select = db.prepare_cached("SELECT done FROM message WHERE id = ?1")?;
    let done: Option<bool> = select.query_row([bytes(&id.0)], |row| row.get(0)).optional()?;
    let mut begun = db.prepare_cached("SELECT 1 FROM cell WHERE message_id = ?1 AND state = 'begun' LIMIT 1")?;
    match done {
        Some(true) => Err(invalid(format!("message {id} is done and cannot be formed again"))),
        Some(false) if begun.exists([bytes(&id.0)])? => {
            Err(invalid(format!("message {id} cannot be rendered again: an attempt of it has begun and not ended")))
        }
        _ => Ok(()),
    }
}

fn check_lane(db: &Connection, lane: i64, last: i64, id: MessageId) -> Result<(), DbError> {
    let mut other = db.prepare_cached("SELECT 1 FROM lane WHERE id = ?1 AND message_id IS NOT NULL AND message_id <> ?2")?;
    if other.exists(params![lane, bytes(&id.0)])? {
        return Err(invalid(format!("message {id} cannot take from lane {lane}: another message of that lane is open")));
    }
    let mut skipped = db.prepare_cached(
        "SELECT 1 FROM delivery INDEXED BY delivery_open WHERE lane_id = ?1 AND state IN ('waiting', 'deferred') AND state = 'waiting'
         AND lane_seq < ?2 AND message_id IS NOT ?3 LIMIT 1",
    )?;
    if skipped.exists(params![lane, last, bytes(&id.0)])? {
        return Err(invalid(format!("message {id} cannot take from the middle of lane {lane}: its members must be a prefix of the lane")));
    }
    Ok(())
}

/// [`crate::store::OutletStore::begin_attempt`].
pub(super) fn begin_attempt(db: &Connection, fence: &Fence, attempt: &NewAttempt) -> Result<(), DbError> {
    check_fence(db, fence)?;
    attempt.guard.iter().try_for_each(|guard| guard::check(db, guard))?;
    // A reload may have moved it: then its new owner sends it, and nobody else.
    let mut home = db.prepare_cached("SELECT 1 FROM message WHERE id = ?1 AND outlet <> ?2")?;
    if home.exists(params![bytes(&attempt.message.0), fence.outlet.as_str()])? {
        return Err(DbError::Refused(StoreError::Fenced));
    }
    db.prepare_cached(
        "INSERT INTO attempt (id, message_id, page, outlet, node, epoch, begun_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![
        bytes(&attempt.id.0),
        bytes(&attempt.message.0),
        attempt.page,
        fence.outlet.as_str(),
        attempt.node,
        fence.epoch,
        attempt.begun_at
    ])?;
    let mut update =
        db.prepare_cached("UPDATE cell SET state = 'begun' WHERE message_id = ?1 AND page = ?2 AND recipient = ?3 AND state IN ('open', 'begun')")?;
    for recipient in &attempt.recipients {
        if update.execute(params![bytes(&attempt.message.0), attempt.page, recipient.expose()])? == 0 {
            let (page, message) = (attempt.page, attempt.message);
            return Err(invalid(format!("page {page} of message {message} cannot be begun for {recipient}: it is settled, or was never formed")));
        }
    }
    Ok(())
}

/// [`crate::store::OutletStore::mark_lanes_started`].
pub(super) fn mark_lanes_started(db: &Connection, lanes: &[LaneId]) -> Result<Vec<LaneStarts>, DbError> {
    let mut update = db.prepare_cached("UPDATE lane SET begun = begun + 1 WHERE id = ?1 RETURNING begun")?;
    let mut started = Vec::with_capacity(lanes.len());
    for &lane in lanes {
        let starts = update.query_row([lane.0], |row| row.get(0)).optional()?;
        started.extend(starts.map(|starts| LaneStarts { lane, starts }));
    }
    Ok(started)
}

/// [`crate::store::OutletStore::clear_lanes_started`].
pub(super) fn clear_lanes_started(db: &Connection, started: &[LaneStarts]) -> Result<(), DbError> {
    let mut update = db.prepare_cached("UPDATE lane SET begun = max(begun - ?2, 0) WHERE id = ?1 AND begun > 0")?;
    for one in started {
        update.execute(params![one.lane.0, one.starts])?;
    }
    Ok(())
}
