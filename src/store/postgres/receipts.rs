//! What vendors say later: receipts to wait for, which are due, and their last words with the fallbacks that they call for.

use uuid::Uuid;

use super::error::DbError;
use super::lanes::{Arrival, append};
use super::rows::Columns;
use super::rows::{get, limit};
use super::tx::Tx;
use crate::model::{MessageId, OutletKey, Recipient, UnixMs};
use crate::store::limits::MAX_FALLBACK_DEPTH;
use crate::store::prepared::{PreparedDelivery, PreparedReceipt};
use crate::store::rows::{DELIVERY, RECEIPT, delivery, pending_delivery, receipt};
use crate::store::{AcceptedDelivery, NewReceipt, ReceiptChange, ReceiptRow, ReceiptState, SentDelivery};

/// Part of settlements: receipts of cells that were taken.
pub(super) async fn await_all(tx: &Tx, receipts: &[(MessageId, &NewReceipt)]) -> Result<(), DbError> {
    if receipts.is_empty() {
        return Ok(());
    }
    let each = || receipts.iter().map(|(_, receipt)| *receipt);
    Columns::default()
        .with("message_id", receipts.iter().map(|(message, _)| message.0))
        .with("page", each().map(|r| i32::from(r.page)))
        .with("recipient", each().map(|r| r.recipient.expose()))
        .with("channel", each().map(|r| r.channel.as_str()))
        .with("platform_id", each().map(|r| r.platform_id.as_str()))
        .with("state", each().map(|_| ReceiptState::Awaited.as_str()))
        .with("sent_at", each().map(|r| r.sent_at))
        .with("due_at", each().map(|r| r.due_at))
        .with("until", each().map(|r| r.until))
        .insert(tx, "receipt", "ON CONFLICT DO NOTHING")
        .await
}

/// [`crate::store::ReceiptStore::due_receipts`].
pub(super) async fn due(tx: &Tx, now: UnixMs, most: usize) -> Result<Vec<ReceiptRow>, DbError> {
    let sql = format!("SELECT {RECEIPT} FROM receipt WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at LIMIT $2");
    tx.query(&sql, &[&now, &limit(most)]).await?.iter().map(receipt).collect()
}

/// [`crate::store::ReceiptStore::find_receipt`].
pub(super) async fn find(tx: &Tx, channels: &[String], platform_id: &str) -> Result<Option<ReceiptRow>, DbError> {
    let sql = format!("SELECT {RECEIPT} FROM receipt WHERE channel = ANY ($1) AND platform_id = $2 ORDER BY due_at IS NULL, message_id DESC LIMIT 1");
    tx.first(&sql, &[&channels.to_vec(), &platform_id]).await?.as_ref().map(receipt).transpose()
}

/// [`crate::store::ReceiptStore::receipts_to`]. Ids of messages grow with time.
pub(super) async fn to(tx: &Tx, recipient: &Recipient, channels: &[String], most: usize) -> Result<Vec<ReceiptRow>, DbError> {
    let sql = format!(
        "SELECT {RECEIPT} FROM receipt WHERE recipient = $1 AND state IN ('awaited', 'delivered') AND channel = ANY ($2)
         ORDER BY message_id DESC, page LIMIT $3"
    );
    tx.query(&sql, &[&recipient.expose(), &channels.to_vec(), &limit(most)]).await?.iter().map(receipt).collect()
}

/// [`crate::store::ReceiptStore::sent_to`].
pub(super) async fn sent_to(
    tx: &Tx,
    recipient: &Recipient,
    outlet: &OutletKey,
    channels: &[String],
    since: UnixMs,
    most: usize,
) -> Result<Vec<UnixMs>, DbError> {
    let sql = "SELECT sent_at FROM receipt WHERE recipient = $1 AND sent_at >= $4 AND channel = ANY ($2)
         UNION ALL
         SELECT max(a.begun_at) FROM attempt a
         JOIN cell c ON c.message_id = a.message_id AND c.page = a.page AND c.recipient = $1
         JOIN message m ON m.id = a.message_id AND m.channel = ANY ($2)
         WHERE a.outlet = $3 AND a.begun_at >= $4 AND (c.state = 'unknown' OR (c.state = 'begun' AND a.kind = 'unknown'))
         GROUP BY a.message_id, a.page
         ORDER BY 1 DESC LIMIT $5";
    let rows = tx.query(sql, &[&recipient.expose(), &channels.to_vec(), &outlet.as_str(), &since, &limit(most)]).await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// All receipts of a message.
pub(super) async fn all(tx: &Tx, message: MessageId) -> Result<Vec<ReceiptRow>, DbError> {
    let sql = format!("SELECT {RECEIPT} FROM receipt WHERE message_id = $1 ORDER BY page, recipient");
    tx.query(&sql, &[&message.0]).await?.iter().map(receipt).collect()
}

/// [`crate::store::ReceiptStore::sent_deliveries`].
pub(super) async fn sent_deliveries(tx: &Tx, message: MessageId) -> Result<Vec<SentDelivery>, DbError> {
    let sql = format!(
        "WITH RECURSIVE chain AS (
             SELECT d.id AS leaf, d.id, d.origin_id, d.lane_id, 0 AS depth FROM delivery d
             WHERE d.message_id = $1 AND d.state = 'sent' AND d.mode = 'queued'
             UNION ALL
             SELECT c.leaf, o.id, o.origin_id, o.lane_id, c.depth + 1 FROM chain c JOIN delivery o ON o.id = c.origin_id WHERE c.depth < {MAX_FALLBACK_DEPTH}
         ), root AS (SELECT DISTINCT ON (leaf) leaf, lane_id FROM chain ORDER BY leaf, depth DESC)
         SELECT {DELIVERY}, EXISTS (
             SELECT 1 FROM lane l JOIN delivery f ON f.id = l.fired WHERE l.id = root.lane_id AND f.lane_seq < l.last_seq)
         FROM delivery d JOIN root ON root.leaf = d.id ORDER BY d.id"
    );
    let rows = tx.query(&sql, &[&message.0]).await?;
    rows.iter().map(|row| Ok(SentDelivery { delivery: pending_delivery(row)?, over: get(row, delivery::NEXT)? })).collect()
}

/// [`crate::store::ReceiptStore::update_receipt`].
pub(super) async fn update(tx: &Tx, prepared: &PreparedReceipt) -> Result<Option<Vec<AcceptedDelivery>>, DbError> {
    let (heard, children) = (&prepared.update, &prepared.children);
    let (state, due_at, code, detail, at) = match &heard.news {
        ReceiptChange::Later { due_at } => (ReceiptState::Awaited, Some(*due_at), None, None, None),
        ReceiptChange::Final { state, code, detail } => (*state, None, code.as_deref(), Some(detail.as_str()), Some(heard.now)),
    };
    let changed = tx
        .execute(
            "UPDATE receipt SET state = $4, due_at = $5, code = $6, detail = $7, heard_at = $8, asked = asked + 1
             WHERE message_id = $1 AND page = $2 AND recipient = $3 AND state = 'awaited'",
            &[&heard.message.0, &i32::from(heard.page), &heard.recipient.expose(), &state.as_str(), &due_at, &code, &detail, &at],
        )
        .await?;
    if changed == 0 {
        return Ok(None);
    }
    let origins: Vec<Uuid> = children.iter().filter_map(|(_, child)| child.delivery.fallback.of.map(|id| id.0)).collect();
    super::admin::lock_deliveries(tx, &origins).await?;
    let rows = tx.query("SELECT origin_id, channel FROM delivery WHERE origin_id = ANY ($1)", &[&origins]).await?;
    let there: Vec<(Uuid, String)> = rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect::<Result<_, DbError>>()?;
    let missing = |child: &PreparedDelivery| {
        !there.iter().any(|(id, channel)| child.delivery.fallback.of.is_some_and(|o| o.0 == *id) && *channel == child.delivery.channel)
    };
    let arrivals: Vec<Arrival<'_>> = children.iter().filter(|(_, child)| missing(child)).map(|copy| Arrival::copied(copy, heard.now)).collect();
    if arrivals.is_empty() {
        return Ok(Some(Vec::new()));
    }
    Ok(Some(append(tx, &arrivals).await?))
}
