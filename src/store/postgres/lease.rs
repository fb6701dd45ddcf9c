//! Who owns an outlet: claims, leases and what a new owner must know to go on.
//!
//! Epochs only grow; a claim by the same node raises the epoch too, so that writes of its earlier life are fenced. Leases are measured by the
//! database's clock unless the caller's is asked for, so that nodes whose clocks differ cannot take an outlet from each other too early.

use std::collections::HashMap;

use uuid::Uuid;

use super::error::DbError;
use super::messages::check_fence;
use super::outlets::change_outlet;
use super::rows::{get, outlet};
use super::tx::Tx;
use crate::model::{MessageId, OutletKey, UnixMs};
use crate::store::rows::{CELL, DELIVERY, StoredRow as _, cell, delivery, is_direct, pending_delivery};
use crate::store::{Fence, LeaseRequest, OpenMessage, OutletSnapshot, OutletUpdate};

/// Now, by the database's clock when parameter `$1` says so, else the caller's, `$2`.
pub(super) const NOW: &str = "(CASE WHEN $1 THEN floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint ELSE $2 END)";

/// [`crate::store::ClusterStore::claim_outlet`].
pub(super) async fn claim(tx: &Tx, claim: &LeaseRequest, by_database: bool) -> Result<Option<OutletSnapshot>, DbError> {
    let key = claim.outlet.as_str();
    let length = claim.lease_until - claim.now;
    tx.execute("INSERT INTO outlet (key) VALUES ($1) ON CONFLICT (key) DO NOTHING", &[&key]).await?;
    let free = tx
        .first(
            &format!("SELECT owner = $3 OR owner = '' OR lease_until <= {NOW}, owner = '' FROM outlet WHERE key = $4 FOR UPDATE"),
            &[&by_database, &claim.now, &claim.node, &key],
        )
        .await?;
    let Some(free) = free.filter(|row| get(row, 0).unwrap_or(false)) else { return Ok(None) };
    let row = tx
        .first(
            &format!(
                "UPDATE outlet SET owner = $3, epoch = epoch + 1, lease_until = {NOW} + $4 WHERE key = $5
                 RETURNING epoch, paused_until, held, month, month_sent"
            ),
            &[&by_database, &claim.now, &claim.node, &length, &key],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let mut owned = OutletSnapshot {
        epoch: get(&row, 0)?,
        paused_until: get(&row, 1)?,
        suspended: get(&row, 2)?,
        released: get(&free, 1)?,
        month: get(&row, 3)?,
        month_sent: get(&row, 4)?,
        ..OutletSnapshot::default()
    };
    tx.execute("UPDATE attempt SET ended_at = $2, kind = 'unknown' WHERE outlet = $1 AND ended_at IS NULL", &[&key, &claim.now]).await?;
    // Those that messages hold themselves count only where the outlet had a rate limit.
    let sends = "SELECT greatest(begun_at, ended_at) FROM attempt WHERE outlet = $1 AND begun_at >= $2
                 UNION ALL SELECT counted_at FROM message WHERE outlet = $1 AND counted_at >= $2 ORDER BY 1";
    let sends = tx.query(sends, &[&key, &claim.window_start]).await?;
    owned.sends = sends.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    owned.open = open_messages(tx, &claim.outlet).await?;
    Ok(Some(owned))
}

async fn open_messages(tx: &Tx, outlet: &OutletKey) -> Result<Vec<OpenMessage>, DbError> {
    let rows = tx
        .query(
            "SELECT id, channel, kind, template, generation, formed_at, pages FROM message WHERE outlet = $1 AND NOT done ORDER BY formed_at, id",
            &[&outlet.as_str()],
        )
        .await?;
    let mut open = Vec::with_capacity(rows.len());
    for row in &rows {
        open.push(OpenMessage {
            id: MessageId(get(row, 0)?),
            channel: get(row, 1)?,
            kind: row.message_kind(2)?,
            template: get(row, 3)?,
            generation: row.count(4)?,
            direct: true,
            formed_at: get(row, 5)?,
            pages: row.pages(6)?,
            cells: Vec::new(),
            members: Vec::new(),
        });
    }
    if open.is_empty() {
        return Ok(open);
    }
    let ids: Vec<Uuid> = open.iter().map(|message| message.id.0).collect();
    let place: HashMap<Uuid, usize> = ids.iter().copied().zip(0..).collect();
    let sql = format!("SELECT {CELL} FROM cell WHERE message_id = ANY ($1) ORDER BY message_id, page, recipient");
    for row in &tx.query(&sql, &[&ids]).await? {
        if let Some(&ix) = place.get(&get(row, 0)?) {
            open[ix].cells.push(cell(row)?);
        }
    }
    let sql = format!(
        "SELECT {DELIVERY} FROM delivery d WHERE d.message_id = ANY ($1) AND d.state IN ('waiting', 'deferred') ORDER BY d.lane_id, d.lane_seq"
    );
    for row in &tx.query(&sql, &[&ids]).await? {
        if let Some(&ix) = get::<Option<Uuid>>(row, delivery::message_id)?.and_then(|id| place.get(&id)) {
            open[ix].members.push(pending_delivery(row)?);
            open[ix].direct &= is_direct(row)?;
        }
    }
    Ok(open)
}

/// [`crate::store::ClusterStore::renew_leases`]. An owner stays the owner until another node claims, also when its lease has run out.
pub(super) async fn renew(tx: &Tx, node: &str, now: UnixMs, lease_until: UnixMs, by_database: bool) -> Result<Vec<OutletKey>, DbError> {
    let rows = tx
        .query(
            &format!(
                "WITH mine AS (SELECT key FROM outlet WHERE owner = $3 ORDER BY key FOR UPDATE)
                 UPDATE outlet SET lease_until = {NOW} + $4 FROM mine WHERE outlet.key = mine.key RETURNING outlet.key"
            ),
            &[&by_database, &now, &node, &(lease_until - now)],
        )
        .await?;
    rows.iter().map(|row| outlet(row, 0)).collect()
}

/// [`crate::store::OutletStore::set_outlet_state`].
pub(super) async fn set_state(tx: &Tx, fence: &Fence, change: &OutletUpdate) -> Result<(), DbError> {
    check_fence(tx, fence).await?;
    change_outlet(tx, &fence.outlet, change).await
}
