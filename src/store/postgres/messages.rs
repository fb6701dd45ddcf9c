//! Messages before they are sent: the fence, messages' rows, cells and members, and the beginning of an attempt.
//!
//! Keeps I3 (one open message a lane), I4 (a prefix of each lane) and I5 (what is begun is not rendered again, what is ok stays ok).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::error::DbError;
use super::guard;
use super::lanes::lock_lanes;
use super::rows::Columns;
use super::rows::get;
use super::tx::Tx;
use crate::model::{LaneId, MessageId, Recipient};
use crate::store::prepared::{PreparedMessage, Sole, TextRule};
use crate::store::rows::StoredRow as _;
use crate::store::{Cell, CellState, Fence, LaneStarts, NewAttempt, State, StoreError};

fn invalid(text: String) -> DbError {
    DbError::Refused(StoreError::Invalid(text))
}

/// Refuses a node that no longer owns the outlet (I7), and keeps others from claiming it until this transaction ends.
pub(super) async fn check_fence(tx: &Tx, fence: &Fence) -> Result<(), DbError> {
    let row = tx.first("SELECT epoch FROM outlet WHERE key = $1 FOR SHARE", &[&fence.outlet.as_str()]).await?;
    let epoch: Option<i64> = row.as_ref().map(|row| get(row, 0)).transpose()?;
    if epoch == Some(fence.epoch) { Ok(()) } else { Err(StoreError::Fenced.into()) }
}

/// A message to write.
pub(super) struct Write<'a> {
    pub(super) fence: &'a Fence,
    pub(super) message: &'a PreparedMessage,
    pub(super) done: bool,
    /// The only cell and attempt, which it holds itself.
    pub(super) sole: Option<Sole<'a>>,
}

/// Inserts messages, each once, or updates pages and generations of stored ones. Cells that they do not hold themselves are not written.
pub(super) async fn write_messages(tx: &Tx, writes: &[Write<'_>]) -> Result<(), DbError> {
    if writes.is_empty() {
        return Ok(());
    }
    let each = || writes.iter().map(|write| &write.message.message);
    let cells = || writes.iter().map(|write| write.sole.map(|sole| sole.cell));
    let attempts = || writes.iter().map(|write| write.sole.map(|sole| sole.attempt));
    Columns::default()
        .with("id", each().map(|m| m.id.0))
        .with("channel", each().map(|m| m.channel.as_str()))
        .with("platform", each().map(|m| m.platform))
        .with("outlet", writes.iter().map(|write| write.fence.outlet.as_str()))
        .with("kind", each().map(|m| m.kind.as_str()))
        .with("template", each().map(|m| m.template.as_str()))
        .with("generation", each().map(|m| i64::from(m.generation)))
        .with("formed_at", each().map(|m| m.formed_at))
        .with("pages", writes.iter().map(|write| write.message.pages.as_slice()))
        .with("done", writes.iter().map(|write| write.done))
        .with("recipient", cells().map(|cell| cell.map(|c| c.recipient.expose())))
        .with("tries", cells().map(|cell| cell.map(|c| i64::from(c.tries))))
        .with("due_at", cells().map(|cell| cell.map(|c| c.due_at)))
        .with("platform_id", cells().map(|cell| cell.and_then(|c| c.ids.to_stored())))
        .with("code", cells().map(|cell| cell.and_then(|c| c.code.as_deref())))
        .with("attempt_id", attempts().map(|attempt| attempt.map(|a| a.id.0)))
        .with("node", attempts().map(|attempt| attempt.map(|a| a.node.as_str())))
        .with("epoch", writes.iter().map(|write| write.sole.map(|_| write.fence.epoch)))
        .with("begun_at", attempts().map(|attempt| attempt.map(|a| a.begun_at)))
        .with("ended_at", attempts().map(|attempt| attempt.map(|a| a.ended_at)))
        .with("answer", attempts().map(|attempt| attempt.and_then(|a| a.answer.as_deref())))
        .with("counted_at", writes.iter().map(|write| write.sole.and_then(|sole| sole.counted_at())))
        .insert(
            tx,
            "message",
            "ON CONFLICT (id) DO UPDATE
             SET template = excluded.template, generation = excluded.generation, pages = excluded.pages, done = excluded.done",
        )
        .await
}

/// Adds or changes cells, in the order given. A cell that is ok stays as it is: it is never sent again (I5).
pub(super) async fn write_cells(tx: &Tx, cells: &[(MessageId, &Cell)]) -> Result<(), DbError> {
    let mut last: BTreeMap<(MessageId, u16, &str), &Cell> = BTreeMap::new();
    for &(message, cell) in cells {
        let kept = last.entry((message, cell.page, cell.recipient.expose())).or_insert(cell);
        if kept.state != CellState::Ok {
            *kept = cell;
        }
    }
    if last.is_empty() {
        return Ok(());
    }
    let each = || last.values();
    Columns::default()
        .with("message_id", last.keys().map(|(message, ..)| message.0))
        .with("page", each().map(|c| i32::from(c.page)))
        .with("recipient", each().map(|c| c.recipient.expose()))
        .with("state", each().map(|c| c.state.as_str()))
        .with("tries", each().map(|c| i64::from(c.tries)))
        .with("unanswered", each().map(|c| i64::from(c.unanswered)))
        .with("due_at", each().map(|c| c.due_at))
        .with("platform_id", each().map(|c| c.ids.to_stored()))
        .with("code", each().map(|c| c.code.as_deref()))
        .insert(
            tx,
            "cell",
            "ON CONFLICT (message_id, page, recipient) DO UPDATE SET state = excluded.state, tries = excluded.tries,
                 unanswered = excluded.unanswered, due_at = excluded.due_at, platform_id = excluded.platform_id, code = excluded.code
             WHERE cell.state <> 'ok'",
        )
        .await
}

/// A delivery that is a member now.
pub(super) struct Member {
    pub(super) id: Uuid,
    pub(super) lane: i64,
    pub(super) message: Uuid,
    seq: i64,
    deferred: bool,
}

/// Makes open deliveries members of messages; those that are final or not there are left out.
pub(super) async fn add_members(tx: &Tx, deliveries: Vec<Uuid>, messages: Vec<Uuid>) -> Result<Vec<Member>, DbError> {
    if deliveries.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx
        .query(
            "UPDATE delivery d SET message_id = n.message_id FROM unnest($1, $2) AS n (id, message_id)
             WHERE d.id = n.id AND d.state IN ('waiting', 'deferred') RETURNING d.id, d.lane_id, d.message_id, d.lane_seq, d.state",
            &[&deliveries, &messages],
        )
        .await?;
    let member = |row| {
        Ok(Member { id: get(row, 0)?, lane: get(row, 1)?, message: get(row, 2)?, seq: get(row, 3)?, deferred: row.state(4)? == State::Deferred })
    };
    rows.iter().map(member).collect()
}

/// [`crate::store::OutletStore::store_message`].
pub(super) async fn store(tx: &Tx, fence: &Fence, prepared: &PreparedMessage) -> Result<(), DbError> {
    check_fence(tx, fence).await?;
    let message = &prepared.message;
    let id = message.id;
    may_be_formed(tx, id).await?;
    write_messages(tx, &[Write { fence, message: prepared, done: false, sole: None }]).await?;
    write_cells(tx, &message.cells.iter().map(|cell| (id, cell)).collect::<Vec<_>>()).await?;
    let wanted: Vec<Uuid> = message.members.iter().map(|member| member.0).collect();
    let members = add_members(tx, wanted.clone(), vec![id.0; wanted.len()]).await?;
    if let Some(missing) = wanted.iter().find(|wanted| members.iter().all(|member| member.id != **wanted)) {
        return Err(invalid(format!("delivery {missing} cannot be a member of message {id}: it is final or unknown")));
    }
    // The last place of each lane remains: all that waits in the lane up to it must belong to this message. Deferred ones are outside the
    // order: they are due by themselves, and may be passed over.
    let mut lanes = BTreeMap::<i64, i64>::new();
    for member in &members {
        let last = lanes.entry(member.lane).or_default();
        *last = (*last).max(if member.deferred { 0 } else { member.seq });
    }
    let (lanes, lasts): (Vec<i64>, Vec<i64>) = lanes.into_iter().unzip();
    lock_lanes(tx, &lanes, &Vec::new(), &[]).await?;
    check_lanes(tx, &lanes, &lasts, id).await?;
    tx.execute("UPDATE lane SET message_id = $2 WHERE id = ANY ($1)", &[&lanes, &id.0]).await?;
    Ok(())
}

async fn may_be_formed(tx: &Tx, id: MessageId) -> Result<(), DbError> {
    let Some(row) = tx.first("SELECT done FROM message WHERE id = $1 FOR UPDATE", &[&id.0]).await? else { return Ok(()) };
    if get(&row, 0)? {
        return Err(invalid(format!("message {id} is done and cannot be formed again")));
    }
    if tx.first("SELECT 1 FROM cell WHERE message_id = $1 AND state = 'begun' LIMIT 1", &[&id.0]).await?.is_some() {
        return Err(invalid(format!("message {id} cannot be rendered again: an attempt of it has begun and not ended")));
    }
    Ok(())
}

async fn check_lanes(tx: &Tx, lanes: &Vec<i64>, lasts: &Vec<i64>, id: MessageId) -> Result<(), DbError> {
    let other = tx.first("SELECT id FROM lane WHERE id = ANY ($1) AND message_id <> $2 LIMIT 1", &[lanes, &id.0]).await?;
    if let Some(row) = other {
        let lane: i64 = get(&row, 0)?;
        return Err(invalid(format!("message {id} cannot take from lane {lane}: another message of that lane is open")));
    }
    let skipped = tx
        .first(
            "SELECT n.lane_id FROM unnest($1, $2) AS n (lane_id, last) WHERE EXISTS (
                 SELECT 1 FROM delivery d WHERE d.lane_id = n.lane_id AND d.state IN ('waiting', 'deferred') AND d.state = 'waiting'
                     AND d.lane_seq < n.last AND d.message_id IS DISTINCT FROM $3) LIMIT 1",
            &[lanes, lasts, &id.0],
        )
        .await?;
    if let Some(row) = skipped {
        let lane: i64 = get(&row, 0)?;
        return Err(invalid(format!("message {id} cannot take from the middle of lane {lane}: its members must be a prefix of the lane")));
    }
    Ok(())
}

/// [`crate::store::OutletStore::begin_attempt`].
pub(super) async fn begin_attempt(tx: &Tx, fence: &Fence, attempt: &NewAttempt) -> Result<(), DbError> {
    check_fence(tx, fence).await?;
    if let Some(guard) = &attempt.guard {
        guard::check(tx, guard).await?;
    }
    // A reload may have moved it: then its new owner sends it, and nobody else.
    let moved = tx.query("SELECT 1 FROM message WHERE id = $1 AND outlet <> $2", &[&attempt.message.0, &fence.outlet.as_str()]).await?;
    if !moved.is_empty() {
        return Err(DbError::Refused(StoreError::Fenced));
    }
    let page = i32::from(attempt.page);
    let mut recipients = attempt.recipients.clone();
    recipients.iter_mut().for_each(|recipient| TextRule::NoNul.recipient(recipient));
    let names: Vec<&str> = recipients.iter().map(Recipient::expose).collect();
    tx.execute(
        "INSERT INTO attempt (id, message_id, page, outlet, node, epoch, begun_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO NOTHING",
        &[&attempt.id.0, &attempt.message.0, &page, &fence.outlet.as_str(), &attempt.node, &fence.epoch, &attempt.begun_at],
    )
    .await?;
    let rows = tx
        .query(
            "UPDATE cell SET state = 'begun' WHERE message_id = $1 AND page = $2 AND recipient = ANY ($3) AND state IN ('open', 'begun')
             RETURNING recipient",
            &[&attempt.message.0, &page, &names],
        )
        .await?;
    let begun: Vec<&str> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    match recipients.iter().find(|recipient| !begun.contains(&recipient.expose())) {
        None => Ok(()),
        Some(recipient) => {
            let (page, message) = (attempt.page, attempt.message);
            Err(invalid(format!("page {page} of message {message} cannot be begun for {recipient}: it is settled, or was never formed")))
        }
    }
}

/// [`crate::store::OutletStore::mark_lanes_started`]. In the order of their ids, as everything that locks several lanes.
pub(super) async fn mark_lanes_started(tx: &Tx, lanes: &[LaneId]) -> Result<Vec<LaneStarts>, DbError> {
    let mut ids: Vec<i64> = lanes.iter().map(|lane| lane.0).collect();
    ids.sort_unstable();
    tx.query("SELECT id FROM lane WHERE id = ANY ($1) ORDER BY id FOR UPDATE", &[&ids]).await?;
    let rows = tx.query("UPDATE lane SET begun = begun + 1 WHERE id = ANY ($1) RETURNING id, begun", &[&ids]).await?;
    let starts = |row| Ok(LaneStarts { lane: LaneId(get(row, 0)?), starts: u32::try_from(get::<i64>(row, 1)?).unwrap_or(u32::MAX) });
    rows.iter().map(starts).collect()
}

/// [`crate::store::OutletStore::clear_lanes_started`].
pub(super) async fn clear_lanes_started(tx: &Tx, started: &[LaneStarts]) -> Result<(), DbError> {
    let ids: Vec<i64> = started.iter().map(|one| one.lane.0).collect();
    let starts: Vec<i64> = started.iter().map(|one| one.starts.into()).collect();
    tx.query("SELECT id FROM lane WHERE id = ANY ($1) AND begun > 0 ORDER BY id FOR UPDATE", &[&ids]).await?;
    tx.execute(
        "UPDATE lane SET begun = greatest(begun - n.starts, 0) FROM unnest($1::bigint[], $2::bigint[]) AS n (lane, starts)
         WHERE id = n.lane AND begun > 0",
        &[&ids, &starts],
    )
    .await?;
    Ok(())
}
