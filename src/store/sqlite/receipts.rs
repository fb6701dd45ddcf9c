//! What vendors say later: receipts to wait for, which are due, and their last words with the fallbacks that they call for.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::accept::insert_delivery;
use super::failure::Fail;
use super::rows::{DELIVERY, bytes, optional_uuid, uuid, waiting_row};
use crate::model::{MessageId, Recipient};
use crate::store::limits::MAX_FALLBACK_DEPTH;
use crate::store::prepared::PreparedReceipt;
use crate::store::{AcceptedDelivery, NewReceipt, ReceiptChange, ReceiptRow, ReceiptState, SentDelivery};

const RECEIPT: &str = "message_id, page, recipient, channel, platform_id, state, sent_at, due_at, until, asked, heard_at, code, detail";

fn receipt(row: &Row<'_>) -> rusqlite::Result<ReceiptRow> {
    Ok(ReceiptRow {
        message: MessageId(uuid(row, 0)?),
        page: row.get(1)?,
        recipient: Recipient::new(row.get::<_, String>(2)?),
        channel: row.get(3)?,
        platform_id: row.get(4)?,
        // A name that only a newer version knows is none to act on.
        state: ReceiptState::parse(row.get_ref(5)?.as_str().unwrap_or_default()).unwrap_or(ReceiptState::Unheard),
        sent_at: row.get(6)?,
        due_at: row.get(7)?,
        until: row.get(8)?,
        asked: row.get(9)?,
        heard_at: row.get(10)?,
        code: row.get(11)?,
        detail: row.get(12)?,
    })
}

/// Part of a settlement: receipts of cells that were taken.
pub(super) fn await_all(db: &Connection, message: MessageId, receipts: &[NewReceipt]) -> Result<(), Fail> {
    for new in receipts {
        db.prepare_cached(
            "INSERT INTO receipt (message_id, page, recipient, channel, platform_id, state, sent_at, due_at, until)
             VALUES (?1, ?2, ?3, ?4, ?5, 'awaited', ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            bytes(&message.0),
            new.page,
            new.recipient.expose(),
            new.channel,
            new.platform_id,
            new.sent_at,
            new.due_at,
            new.until
        ])?;
    }
    Ok(())
}

/// [`crate::store::ReceiptStore::due_receipts`].
pub(super) fn due(db: &Connection, now: i64, limit: usize) -> Result<Vec<ReceiptRow>, Fail> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {RECEIPT} FROM receipt INDEXED BY receipt_due WHERE due_at IS NOT NULL AND due_at <= ?1 ORDER BY due_at LIMIT ?2"
    ))?;
    Ok(select.query_map(params![now, i64::try_from(limit).unwrap_or(i64::MAX)], receipt)?.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::ReceiptStore::find_receipt`].
pub(super) fn of(db: &Connection, channel: &str, platform_id: &str) -> Result<Option<ReceiptRow>, Fail> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {RECEIPT} FROM receipt INDEXED BY receipt_awaited WHERE channel = ?1 AND platform_id = ?2 AND due_at IS NOT NULL"
    ))?;
    Ok(select.query_row([channel, platform_id], receipt).optional()?)
}

/// All receipts of a message.
pub(super) fn all(db: &Connection, message: MessageId) -> rusqlite::Result<Vec<ReceiptRow>> {
    let mut select = db.prepare_cached(&format!("SELECT {RECEIPT} FROM receipt WHERE message_id = ?1 ORDER BY page, recipient"))?;
    select.query_map([bytes(&message.0)], receipt)?.collect()
}

/// [`crate::store::ReceiptStore::sent_deliveries`].
pub(super) fn carried(db: &Connection, message: MessageId) -> Result<Vec<SentDelivery>, Fail> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {DELIVERY} FROM delivery d WHERE d.message_id = ?1 AND d.state = 'sent' AND d.mode = 'queued' ORDER BY d.id"
    ))?;
    let deliveries = select.query_map([bytes(&message.0)], waiting_row)?.collect::<rusqlite::Result<Vec<_>>>()?;
    deliveries.into_iter().map(|delivery| Ok(SentDelivery { over: is_over(db, bytes(&delivery.id.0))?, delivery })).collect()
}

fn is_over(db: &Connection, delivery: &[u8]) -> Result<bool, Fail> {
    let mut born = db.prepare_cached("SELECT origin_id, lane_id FROM delivery WHERE id = ?1")?;
    let mut at = delivery.to_vec();
    let mut lane: Option<i64> = None;
    for _ in 0..MAX_FALLBACK_DEPTH {
        let Some((origin, of)) = born.query_row([&at], |row| Ok((optional_uuid(row, 0)?, row.get(1)?))).optional()? else { break };
        lane = Some(of);
        let Some(origin) = origin else { break };
        at = bytes(&origin).to_vec();
    }
    let mut over = db.prepare_cached("SELECT 1 FROM lane l JOIN delivery f ON f.id = l.fired WHERE l.id = ?1 AND f.lane_seq < l.last_seq")?;
    Ok(over.exists([lane])?)
}

/// [`crate::store::ReceiptStore::update_receipt`].
pub(super) fn hear(db: &Connection, prepared: &PreparedReceipt) -> Result<Option<Vec<AcceptedDelivery>>, Fail> {
    let heard = &prepared.update;
    let (state, due_at, code, detail, at) = match &heard.news {
        ReceiptChange::Later { due_at } => (ReceiptState::Awaited, Some(*due_at), None, None, None),
        ReceiptChange::Final { state, code, detail } => (*state, None, code.as_deref(), Some(detail.as_str()), Some(heard.now)),
    };
    let changed = db
        .prepare_cached(
            "UPDATE receipt SET state = ?4, due_at = ?5, code = ?6, detail = ?7, heard_at = ?8, asked = asked + 1
             WHERE message_id = ?1 AND page = ?2 AND recipient = ?3 AND state = 'awaited'",
        )?
        .execute(params![bytes(&heard.message.0), heard.page, heard.recipient.expose(), state.as_str(), due_at, code, detail, at])?;
    if changed == 0 {
        return Ok(None);
    }
    let mut made = Vec::new();
    for (event, child) in &prepared.children {
        let origin = child.delivery.fallback_of.as_ref().map(|id| bytes(&id.0));
        let mut there = db.prepare_cached("SELECT 1 FROM delivery WHERE origin_id = ?1 AND channel = ?2")?;
        if !there.exists(params![origin, child.delivery.channel])? {
            made.push(insert_delivery(db, *event, child, heard.now, None)?);
        }
    }
    Ok(Some(made))
}
