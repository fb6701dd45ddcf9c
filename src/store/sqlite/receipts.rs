//! What vendors say later: receipts to wait for, which are due, and their last words with the fallbacks that they call for.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteStore;
use super::accept::insert_delivery;
use super::error::DbError;
use super::rows::insert;
use super::rows::{bytes, pending_delivery};
use crate::model::{MessageId, OutletKey, Recipient, UnixMs};
use crate::store::limits::MAX_FALLBACK_DEPTH;
use crate::store::prepared::{PreparedReceipt, TextRule};
use crate::store::rows::{DELIVERY, RECEIPT, StoredRow as _, receipt};
use crate::store::{AcceptedDelivery, NewReceipt, ReceiptChange, ReceiptRow, ReceiptState, ReceiptStore, ReceiptUpdate, SentDelivery, StoreError};

#[async_trait]
impl ReceiptStore for SqliteStore {
    async fn due_receipts(&self, now: UnixMs, limit: usize) -> Result<Vec<ReceiptRow>, StoreError> {
        self.readers.read(move |db| due(db, now, limit)).await
    }

    async fn find_receipt(&self, channels: &[String], platform_id: &str) -> Result<Option<ReceiptRow>, StoreError> {
        let (channels, platform_id) = (channels.to_vec(), platform_id.to_owned());
        self.readers.read(move |db| find(db, &channels, &platform_id)).await
    }

    async fn receipts_to(&self, recipient: &Recipient, channels: &[String], limit: usize) -> Result<Vec<ReceiptRow>, StoreError> {
        let (recipient, channels) = (recipient.clone(), channels.to_vec());
        self.readers.read(move |db| to(db, &recipient, &channels, limit)).await
    }

    async fn sent_to(
        &self,
        recipient: &Recipient,
        outlet: &OutletKey,
        channels: &[String],
        since: UnixMs,
        limit: usize,
    ) -> Result<Vec<UnixMs>, StoreError> {
        let (recipient, outlet, channels) = (recipient.clone(), outlet.clone(), channels.to_vec());
        self.readers.read(move |db| sent_to(db, &recipient, &outlet, &channels, since, limit)).await
    }

    async fn sent_deliveries(&self, message: MessageId) -> Result<Vec<SentDelivery>, StoreError> {
        self.readers.read(move |db| sent_deliveries(db, message)).await
    }

    async fn update_receipt(&self, heard: ReceiptUpdate) -> Result<Option<Vec<AcceptedDelivery>>, StoreError> {
        let heard = PreparedReceipt::new(heard, TextRule::Any)?;
        self.write(heard.cost(), move |db| update(db, &heard)).await
    }
}

/// Part of a settlement: receipts of cells that were taken.
pub(super) fn await_all(db: &Connection, message: MessageId, receipts: &[NewReceipt]) -> Result<(), DbError> {
    for new in receipts {
        insert!(db, "receipt", {
            message_id: bytes(&message.0),
            page: new.page,
            recipient: new.recipient.expose(),
            channel: new.channel,
            platform_id: new.platform_id,
            state: ReceiptState::Awaited.as_str(),
            sent_at: new.sent_at,
            due_at: new.due_at,
            until: new.until,
        }, "ON CONFLICT DO NOTHING")?;
    }
    Ok(())
}

/// [`crate::store::ReceiptStore::due_receipts`].
fn due(db: &Connection, now: UnixMs, limit: usize) -> Result<Vec<ReceiptRow>, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {RECEIPT} FROM receipt INDEXED BY receipt_due WHERE due_at IS NOT NULL AND due_at <= ?1 ORDER BY due_at LIMIT ?2"
    ))?;
    Ok(select.query_map(params![now, i64::try_from(limit).unwrap_or(i64::MAX)], |row| receipt(row))?.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::ReceiptStore::find_receipt`].
fn find(db: &Connection, channels: &[String], platform_id: &str) -> Result<Option<ReceiptRow>, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {RECEIPT} FROM receipt INDEXED BY receipt_sent WHERE channel IN (SELECT value FROM json_each(?1)) AND platform_id = ?2
         ORDER BY due_at IS NULL, message_id DESC LIMIT 1"
    ))?;
    Ok(select.query_row(params![serde_json::json!(channels).to_string(), platform_id], |row| receipt(row)).optional()?)
}

/// [`crate::store::ReceiptStore::receipts_to`]. Ids of messages grow with time.
fn to(db: &Connection, recipient: &Recipient, channels: &[String], limit: usize) -> Result<Vec<ReceiptRow>, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {RECEIPT} FROM receipt INDEXED BY receipt_to WHERE recipient = ?1 AND state IN ('awaited', 'delivered')
         AND channel IN (SELECT value FROM json_each(?2)) ORDER BY message_id DESC, page LIMIT ?3"
    ))?;
    let (channels, limit) = (serde_json::json!(channels).to_string(), i64::try_from(limit).unwrap_or(i64::MAX));
    Ok(select.query_map(params![recipient.expose(), channels, limit], |row| receipt(row))?.collect::<rusqlite::Result<_>>()?)
}

/// What was sent to somebody by channels, and what may have been sent: by recipient, channels, outlet, the beginning and the limit.
pub(super) const SENT_TO: &str = "SELECT sent_at FROM receipt INDEXED BY receipt_to
         WHERE recipient = ?1 AND sent_at >= ?4 AND channel IN (SELECT value FROM json_each(?2))
    UNION ALL
    SELECT max(a.begun_at) FROM attempt a INDEXED BY attempt_outlet
         JOIN cell c ON c.message_id = a.message_id AND c.page = a.page AND c.recipient = ?1
         JOIN message m ON m.id = a.message_id AND m.channel IN (SELECT value FROM json_each(?2))
         WHERE a.outlet = ?3 AND a.begun_at >= ?4 AND (c.state = 'unknown' OR (c.state = 'begun' AND a.kind = 'unknown'))
         GROUP BY a.message_id, a.page
    ORDER BY 1 DESC LIMIT ?5";

/// [`crate::store::ReceiptStore::sent_to`].
fn sent_to(
    db: &Connection,
    recipient: &Recipient,
    outlet: &OutletKey,
    channels: &[String],
    since: UnixMs,
    limit: usize,
) -> Result<Vec<UnixMs>, DbError> {
    let mut select = db.prepare_cached(SENT_TO)?;
    let (channels, limit) = (serde_json::json!(channels).to_string(), i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = select.query_map(params![recipient.expose(), channels, outlet.as_str(), since, limit], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// All receipts of a message.
pub(super) fn all(db: &Connection, message: MessageId) -> rusqlite::Result<Vec<ReceiptRow>> {
    let mut select = db.prepare_cached(&format!("SELECT {RECEIPT} FROM receipt WHERE message_id = ?1 ORDER BY page, recipient"))?;
    select.query_map([bytes(&message.0)], |row| receipt(row))?.collect()
}

/// [`crate::store::ReceiptStore::sent_deliveries`].
fn sent_deliveries(db: &Connection, message: MessageId) -> Result<Vec<SentDelivery>, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {DELIVERY} FROM delivery d WHERE d.message_id = ?1 AND d.state = 'sent' AND d.mode = 'queued' ORDER BY d.id"
    ))?;
    let deliveries = select.query_map([bytes(&message.0)], pending_delivery)?.collect::<rusqlite::Result<Vec<_>>>()?;
    deliveries.into_iter().map(|delivery| Ok(SentDelivery { over: is_over(db, bytes(&delivery.id.0))?, delivery })).collect()
}

fn is_over(db: &Connection, delivery: &[u8]) -> Result<bool, DbError> {
    let mut born = db.prepare_cached("SELECT origin_id, lane_id FROM delivery WHERE id = ?1")?;
    let mut at = delivery.to_vec();
    let mut lane: Option<i64> = None;
    for _ in 0..MAX_FALLBACK_DEPTH {
        let Some((origin, of)) = born.query_row([&at], |row| Ok((row.optional_uuid(0)?, row.get(1)?))).optional()? else { break };
        lane = Some(of);
        let Some(origin) = origin else { break };
        at = bytes(&origin).to_vec();
    }
    let mut over = db.prepare_cached("SELECT 1 FROM lane l JOIN delivery f ON f.id = l.fired WHERE l.id = ?1 AND f.lane_seq < l.last_seq")?;
    Ok(over.exists([lane])?)
}

/// [`crate::store::ReceiptStore::update_receipt`].
fn update(db: &Connection, prepared: &PreparedReceipt) -> Result<Option<Vec<AcceptedDelivery>>, DbError> {
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
        let origin = child.delivery.fallback.of.as_ref().map(|id| bytes(&id.0));
        let mut there = db.prepare_cached("SELECT 1 FROM delivery WHERE origin_id = ?1 AND channel = ?2")?;
        if !there.exists(params![origin, child.delivery.channel])? {
            made.push(insert_delivery(db, *event, child, heard.now, None, &[])?);
        }
    }
    Ok(Some(made))
}
