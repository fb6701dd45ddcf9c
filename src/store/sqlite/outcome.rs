//! Outcomes: what an attempt (or a decision without one) changes, in one transaction, fenced.
//!
//! Keeps the lanes' counters right, commits fallback children with the end of their origins (I8), and never unmakes a final state.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::accept::insert_delivery;
use super::anchors;
use super::error::DbError;
use super::guard;
use super::messages::{add_member, check_fence, occupy, write_cells, write_message};
use super::outlets::{change_outlet, count_month};
use super::receipts::await_all;
use super::rows::bytes;
use super::rows::insert;
use super::timeline;
use crate::model::{DeliveryId, MessageId, UnixMs};
use crate::store::limits::{KEPT_ATTEMPTS, NO_REASON, RECENT_ATTEMPT_MS};
use crate::store::prepared::PreparedOutcome;
use crate::store::{AcceptedDelivery, DeliveryUpdate, Fence, FinishedAttempt, RecordedOutcome, State, StoreError};

/// [`crate::store::OutletStore::record_outcome`].
pub(super) fn record(db: &Connection, prepared: &PreparedOutcome) -> Result<RecordedOutcome, DbError> {
    let s = &prepared.outcome;
    check_fence(db, &s.fence)?;
    s.needless.iter().try_for_each(|guard| guard::still_refuses(db, guard))?;
    s.sent_in_month.iter().try_for_each(|sends| count_month(db, &s.fence.outlet, sends))?;
    if let Some(change) = &s.outlet {
        change_outlet(db, &s.fence.outlet, change)?;
    }
    let message = s.message.as_ref().map(|m| (m.id, m.done));
    if let Some((id, done)) = message {
        record_message(db, prepared, id, done)?;
    }
    anchors::confirm(db, &s.anchors, s.now)?;
    s.timeline.iter().try_for_each(|(incident, row)| timeline::add(db, *incident, row))?;
    let mut lanes = BTreeSet::new();
    let mut detached = Vec::new();
    for change in &s.deliveries {
        if let Some(lane) = change_delivery(db, change, message.map(|(id, _)| id), prepared, s.now)? {
            lanes.insert(lane);
            if change.leave_message {
                detached.push(lane);
            }
        }
    }
    if let Some((id, false)) = message {
        for lane in detached {
            leave(db, lane, id)?;
        }
    }
    let settled = RecordedOutcome { children: insert_children(db, prepared)? };
    for lane in lanes {
        recount(db, lane)?;
    }
    Ok(settled)
}

fn record_message(db: &Connection, prepared: &PreparedOutcome, id: MessageId, done: bool) -> Result<(), DbError> {
    let s = &prepared.outcome;
    let mut sole = None;
    if let Some(new) = &prepared.message {
        // A message that its delivery does not name in the end is looked for by purge, which leaves those out that hold their attempt.
        sole = match (prepared.sole(), new.message.members.first()) {
            (Some(sole), Some(first)) if is_open(db, *first)? || super::rows::sole(db, id)?.is_some() => Some(sole),
            _ => None,
        };
        write_message(db, &s.fence, new, done, sole)?;
        for member in &new.message.members {
            // Those that change now get their message with the change; only an open message occupies lanes.
            let changes = s.deliveries.iter().any(|change| change.id == *member);
            if changes && done {
                continue;
            }
            if let Some(member) = add_member(db, id, *member)?
                && !done
            {
                occupy(db, member.lane, id)?;
            }
        }
    } else if db.prepare_cached("UPDATE message SET done = ?2 WHERE id = ?1")?.execute(params![bytes(&id.0), done])? == 0 {
        return Err(DbError::Undo(StoreError::Invalid(format!("message {id} was never formed and is not given"))));
    }
    if done {
        db.prepare_cached("UPDATE lane SET message_id = NULL WHERE message_id = ?1")?.execute([bytes(&id.0)])?;
    }
    if let Some(attempt) = s.attempt.as_ref().filter(|_| sole.is_none()) {
        end_attempt(db, &s.fence, id, attempt)?;
        if prepared.message.is_none() {
            trim_attempts(db, id, s.now)?;
        }
    }
    write_cells(db, id, &s.cells)?;
    await_all(db, id, s.message.as_ref().map_or(&[][..], |m| &m.receipts))
}

fn is_open(db: &Connection, delivery: DeliveryId) -> Result<bool, DbError> {
    let mut open = db.prepare_cached("SELECT 1 FROM delivery WHERE id = ?1 AND state IN ('waiting', 'deferred')")?;
    Ok(open.exists([bytes(&delivery.0)])?)
}

fn end_attempt(db: &Connection, fence: &Fence, message: MessageId, a: &FinishedAttempt) -> Result<(), DbError> {
    insert!(db, "attempt", {
        id: bytes(&a.id.0),
        message_id: bytes(&message.0),
        page: a.page,
        outlet: fence.outlet.as_str(),
        node: a.node,
        epoch: fence.epoch,
        begun_at: a.begun_at,
        ended_at: a.ended_at,
        kind: a.kind.as_str(),
        code: a.code,
        answer: a.answer,
    }, "ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, kind = excluded.kind, code = excluded.code, answer = excluded.answer")?;
    Ok(())
}

fn trim_attempts(db: &Connection, message: MessageId, now: UnixMs) -> Result<(), DbError> {
    let mut count = db.prepare_cached("SELECT count(*) FROM attempt WHERE message_id = ?1")?;
    let count: i64 = count.query_row([bytes(&message.0)], |row| row.get(0))?;
    if count > 2 * KEPT_ATTEMPTS {
        db.prepare_cached(
            "DELETE FROM attempt WHERE message_id = ?1 AND begun_at < ?2 AND ended_at IS NOT NULL
             AND id NOT IN (SELECT id FROM attempt WHERE message_id = ?1 ORDER BY begun_at, id LIMIT ?3)
             AND id NOT IN (SELECT id FROM attempt WHERE message_id = ?1 ORDER BY begun_at DESC, id DESC LIMIT ?3)",
        )?
        .execute(params![bytes(&message.0), now - RECENT_ATTEMPT_MS, KEPT_ATTEMPTS])?;
    }
    Ok(())
}

/// Changes one delivery; returns its lane when it changed. One that became final meanwhile stays as it is, except that a dropped one which
/// turns out to have been sent already becomes `sent`.
fn change_delivery(
    db: &Connection,
    c: &DeliveryUpdate,
    message: Option<MessageId>,
    prepared: &PreparedOutcome,
    now: UnixMs,
) -> Result<Option<i64>, DbError> {
    let done_at = c.state.is_final().then_some(now);
    let member = prepared.message.as_ref().is_some_and(|m| m.message.members.contains(&c.id));
    // A final delivery names its message or a reason (I4). What was sent, died or is unknown did so in this message.
    let carried = member || matches!(c.state, State::Sent | State::Dead | State::Unknown);
    let left = message.filter(|_| c.leave_message);
    let message = message.filter(|_| carried && !c.leave_message);
    let id = bytes(&c.id.0);
    let message = message.as_ref().map(|m| bytes(&m.0));
    let left = left.as_ref().map(|m| bytes(&m.0));
    // Looked up first rather than returned by the change: what `RETURNING` returns goes through a table of its own that SQLite makes and drops.
    let mut open = db.prepare_cached("SELECT lane_id FROM delivery WHERE id = ?1 AND state IN ('waiting', 'deferred')")?;
    let lane: Option<i64> = open.query_row([id], |row| row.get(0)).optional()?;
    if lane.is_some() {
        db.prepare_cached(
            "UPDATE delivery SET state = ?2, tries = ?3, due_at = ?4, done_at = ?6,
                 message_id = CASE WHEN ?7 THEN NULL ELSE coalesce(?8, message_id) END,
                 tried = CASE WHEN ?10 IS NULL THEN tried
                     WHEN length(tried) >= 320 THEN CAST(substr(tried, 1, 160) || substr(tried, 177) || ?10 AS BLOB)
                     ELSE CAST(coalesce(tried, x'') || ?10 AS BLOB) END,
                 reason = CASE WHEN ?5 IS NULL AND ?6 IS NOT NULL AND (?7 OR coalesce(?8, message_id) IS NULL) THEN ?9 ELSE ?5 END
             WHERE id = ?1",
        )?
        .execute(params![id, c.state.as_str(), c.tries, c.due_at, c.reason, done_at, c.leave_message, message, NO_REASON, left])?;
    } else if c.state == State::Sent {
        db.prepare_cached(
            "UPDATE delivery SET state = 'sent', done_at = ?2, message_id = coalesce(?3, message_id),
                 reason = coalesce(reason || '; ', '') || 'it had already left'
             WHERE id = ?1 AND state = 'dropped'",
        )?
        .execute(params![id, now, message])?;
    }
    Ok(lane)
}

/// Fallback children: left out when their origin was dropped meanwhile, or has one on that channel already.
fn insert_children(db: &Connection, prepared: &PreparedOutcome) -> Result<Vec<AcceptedDelivery>, DbError> {
    let mut accepted = Vec::new();
    for (event, child) in &prepared.children {
        if let Some(origin) = &child.delivery.fallback.of {
            let mut unwanted = db.prepare_cached(
                "SELECT 1 FROM delivery WHERE origin_id = ?1 AND channel = ?2 UNION ALL SELECT 1 FROM delivery WHERE id = ?1 AND state = 'dropped'",
            )?;
            if unwanted.exists(params![bytes(&origin.0), child.delivery.channel])? {
                continue;
            }
        }
        accepted.push(insert_delivery(db, *event, child, prepared.outcome.now, None, &[])?);
    }
    Ok(accepted)
}

/// Frees a lane of the open message when no member of it is left there.
fn leave(db: &Connection, lane: i64, message: MessageId) -> Result<(), DbError> {
    db.prepare_cached(
        "UPDATE lane SET message_id = NULL WHERE id = ?1 AND message_id = ?2
         AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = ?2 AND d.lane_id = ?1)",
    )?
    .execute(params![lane, bytes(&message.0)])?;
    Ok(())
}

/// A lane's counters, computed from what is open in it.
pub(super) const RECOUNT: &str = "UPDATE lane SET (waiting, deferred, rank, since, due_at) = (
        SELECT count(*), coalesce(sum(state = 'deferred'), 0), coalesce(min(rank), 3), coalesce(min(born_at), 0),
            coalesce(min(CASE WHEN state = 'deferred' OR lane_seq = (
                SELECT min(lane_seq) FROM delivery INDEXED BY delivery_open
                WHERE lane_id = ?1 AND state IN ('waiting', 'deferred') AND state = 'waiting'
            ) THEN due_at END), 0)
        FROM delivery INDEXED BY delivery_open WHERE lane_id = ?1 AND state IN ('waiting', 'deferred'))
    WHERE id = ?1";

/// Computes a lane's counters again; reads only the partial index, so an emptied lane costs one look.
pub(super) fn recount(db: &Connection, lane: i64) -> Result<(), DbError> {
    db.prepare_cached(RECOUNT)?.execute([lane])?;
    Ok(())
}
