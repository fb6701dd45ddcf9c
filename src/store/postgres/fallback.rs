//! Where alerts go when their channel does not get them out: copies for a fallback channel, and where a lane's alerts went before.
//!
//! The chain comes from the origin's own list, so that two channels that name each other cannot pass a delivery back and forth.

use std::collections::HashMap;

use uuid::Uuid;

use super::admin::lock_deliveries;
use super::error::DbError;
use super::lanes::{Arrival, append};
use super::rows::{get, limit};
use super::tx::Tx;
use crate::model::{EventId, LaneId, UnixMs};
use crate::store::copies::fallback_copy;
use crate::store::prepared::{PreparedDelivery, TextRule};
use crate::store::rows::{DELIVERY, pending_delivery};
use crate::store::{AcceptedDelivery, MoveTo};

/// [`crate::store::OutletStore::fallback_targets`].
pub(super) async fn fallback_targets(tx: &Tx, lane: LaneId, lane_seq: i64) -> Result<Vec<String>, DbError> {
    let rows = tx
        .query(
            "SELECT c.channel FROM delivery d JOIN delivery c ON c.origin_id = d.prior_id
             WHERE d.lane_id = $1 AND d.state IN ('waiting', 'deferred') AND d.lane_seq = $2 ORDER BY c.channel",
            &[&lane.0, &lane_seq],
        )
        .await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Deliveries of a channel (`$1`) that may be copied: queued, waiting (a muted one is meant to wait), born before a time (`$2`), without a child.
const WAITING: &str = "FROM lane l JOIN delivery d ON d.lane_id = l.id
     WHERE l.channel = $1 AND l.waiting > 0 AND l.since < $2 AND d.state IN ('waiting', 'deferred') AND d.state = 'waiting'
         AND d.born_at < $2 AND d.mode = 'queued' AND NOT EXISTS (SELECT 1 FROM delivery c WHERE c.origin_id = d.id)";

/// [`crate::store::MaintenanceStore::fallback_chains`]. On a long queue of copied ones this walks past all of them, which no lock must wait for.
pub(super) async fn chains(tx: &Tx, channel: &str, born_before: UnixMs) -> Result<Vec<Vec<String>>, DbError> {
    let sql = format!("SELECT DISTINCT d.fallback {WAITING} AND cardinality(d.fallback) > 0");
    tx.query(&sql, &[&channel, &born_before]).await?.iter().map(|row| get(row, 0)).collect()
}

/// Deliveries of `channel` to copy, oldest lanes first: those whose chain this is. Read only, as [`chains`] is.
pub(super) async fn candidates(tx: &Tx, channel: &str, born_before: UnixMs, chain: &[String], most: usize) -> Result<Vec<Uuid>, DbError> {
    let sql = format!("SELECT d.id {WAITING} AND d.fallback = $3 ORDER BY l.id, d.lane_seq LIMIT $4");
    tx.query(&sql, &[&channel, &born_before, &chain.to_vec(), &limit(most)]).await?.iter().map(|row| get(row, 0)).collect()
}

/// [`crate::store::MaintenanceStore::copy_to_fallback`], after [`candidates`]. One that ended or got its copy meanwhile is left out.
pub(super) async fn copy(tx: &Tx, origins: &Vec<Uuid>, to: &MoveTo, reason: &str, now: UnixMs) -> Result<Vec<AcceptedDelivery>, DbError> {
    lock_deliveries(tx, origins).await?;
    let rows = tx
        .query(
            &format!(
                "SELECT {DELIVERY} FROM delivery d WHERE d.id = ANY ($1) AND d.state = 'waiting'
                 AND NOT EXISTS (SELECT 1 FROM delivery c WHERE c.origin_id = d.id)"
            ),
            &[origins],
        )
        .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let origin = pending_delivery(row)?;
        found.insert(origin.id.0, origin);
    }
    let mut copies: Vec<(EventId, PreparedDelivery)> = Vec::with_capacity(found.len());
    for origin in origins.iter().filter_map(|id| found.remove(id)) {
        copies.push((origin.event_id, PreparedDelivery::new(fallback_copy(origin, to, reason, now), TextRule::NoNul)?));
    }
    let arrivals: Vec<Arrival<'_>> = copies.iter().map(|copy| Arrival::copied(copy, now)).collect();
    let accepted = append(tx, &arrivals).await?;
    Ok(accepted)
}
