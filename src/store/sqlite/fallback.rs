//! Where alerts go when their channel does not get them out: copies for a fallback channel, and where a lane's alerts went before.
//!
//! The chain comes from the origin's own list, so that two channels that name each other cannot pass a delivery back and forth.

use rusqlite::{Connection, OptionalExtension, params};

use super::accept::insert_delivery;
use super::error::DbError;
use super::rows::{bytes, pending_delivery};
use crate::model::{DeliveryId, LaneId, UnixMs};
use crate::store::copies::fallback_copy;
use crate::store::prepared::{PreparedDelivery, TextRule};
use crate::store::rows::{DELIVERY, StoredRow as _};
use crate::store::{AcceptedDelivery, MoveTo};

/// [`crate::store::OutletStore::fallback_targets`].
pub(super) fn fallback_targets(db: &Connection, lane: LaneId, lane_seq: i64) -> Result<Vec<String>, DbError> {
    let mut children = db.prepare_cached(
        "SELECT c.channel FROM delivery d INDEXED BY delivery_open JOIN delivery c ON c.origin_id = d.prior_id
         WHERE d.lane_id = ?1 AND d.state IN ('waiting', 'deferred') AND d.lane_seq = ?2 ORDER BY c.channel",
    )?;
    Ok(children.query_map(params![lane.0, lane_seq], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Deliveries of a channel (`?1`) that may be copied: queued, waiting (a muted one is meant to wait), born before a time (`?2`).
const WAITING: &str = "FROM lane l CROSS JOIN delivery d INDEXED BY delivery_open
     WHERE l.channel = ?1 AND l.waiting > 0 AND l.since < ?2 AND d.lane_id = l.id AND d.state IN ('waiting', 'deferred')
         AND d.state = 'waiting' AND d.born_at < ?2 AND d.mode = 'queued'";
/// Whether it has a copy.
const COPIED: &str = "EXISTS (SELECT 1 FROM delivery c WHERE c.origin_id = d.id)";

/// [`crate::store::MaintenanceStore::fallback_chains`]. On a long queue of copied ones this walks past all of them, which the writer must not wait for.
pub(super) fn chains(db: &Connection, channel: &str, born_before: UnixMs) -> Result<Vec<Vec<String>>, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT DISTINCT json_extract(d.target, '$.fallback') {WAITING} AND NOT {COPIED}"))?;
    let rows = select.query_map(params![channel, born_before], |row| row.get::<_, Option<String>>(0))?;
    let found = rows.collect::<rusqlite::Result<Vec<Option<String>>>>()?;
    let chains = found.into_iter().flatten().filter_map(|chain| serde_json::from_str::<Vec<String>>(&chain).ok());
    Ok(chains.filter(|chain| !chain.is_empty()).collect())
}

/// Deliveries of `channel` to copy, oldest lanes first: those whose chain this is. Read only, as [`chains`] is.
pub(super) fn candidates(db: &Connection, channel: &str, born_before: UnixMs, chain: &[String], limit: usize) -> Result<Vec<DeliveryId>, DbError> {
    // In this order: of a row that has a copy the target is not read.
    let mut select = db.prepare_cached(&format!(
        "SELECT d.id {WAITING} AND CASE WHEN {COPIED} THEN 0 ELSE json_extract(d.target, '$.fallback') = json_extract(?3, '$') END LIMIT ?4"
    ))?;
    let chain = serde_json::json!(chain).to_string();
    let rows = select.query_map(params![channel, born_before, chain, i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.uuid(0))?;
    Ok(rows.map(|id| id.map(DeliveryId)).collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::MaintenanceStore::copy_to_fallback`], after [`candidates`]. One that ended or got its copy meanwhile is left out.
pub(super) fn copy(db: &Connection, origins: &[DeliveryId], to: &MoveTo, reason: &str, now: UnixMs) -> Result<Vec<AcceptedDelivery>, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {DELIVERY} FROM delivery d WHERE d.id = ?1 AND d.state = 'waiting'
         AND NOT {COPIED}"
    ))?;
    let mut copies = Vec::new();
    for id in origins {
        let Some(origin) = select.query_row([bytes(&id.0)], pending_delivery).optional()? else { continue };
        let event = origin.event_id;
        let prepared = PreparedDelivery::new(fallback_copy(origin, to, reason, now), TextRule::Any).map_err(DbError::Undo)?;
        copies.push(insert_delivery(db, event, &prepared, now, None, &[])?);
    }
    Ok(copies)
}
