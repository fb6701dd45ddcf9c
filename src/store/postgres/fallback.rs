//! Where alerts go when their channel does not get them out: copies for a fallback channel, and where a lane's alerts went before.
//!
//! The chain comes from the origin's own list, so that two channels that name each other cannot pass a delivery back and forth.

use std::collections::HashMap;

use uuid::Uuid;

use super::accept::PreparedDelivery;
use super::admin::{for_channel, lock_deliveries};
use super::failure::Fail;
use super::lanes::{Arrival, append};
use super::rows::{DELIVERY, get, limit, target, waiting_row};
use super::tx::Tx;
use crate::model::{DeliveryId, EventId, LaneId};
use crate::store::{AcceptedDelivery, FALLBACK_LANE_PREFIX, Mode, MoveTo, NewDelivery, State};

/// [`crate::store::OutletStore::fallback_targets`].
pub(super) async fn followers(tx: &Tx, lane: LaneId, lane_seq: i64) -> Result<Vec<String>, Fail> {
    let rows = tx
        .query(
            "SELECT c.channel FROM delivery d JOIN delivery c ON c.origin_id = d.prior_id
             WHERE d.lane_id = $1 AND d.state IN ('waiting', 'deferred') AND d.lane_seq = $2 ORDER BY c.channel",
            &[&lane.0, &lane_seq],
        )
        .await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// Deliveries of `channel` to copy to `to`, oldest lanes first: queued, waiting (a muted one is meant to wait), born before the time, with `to` in
/// their own list and no child there. Read only: on a long queue of copied ones this walks past all of them, which no lock must wait for.
pub(super) async fn candidates(tx: &Tx, channel: &str, born_before: i64, to: &str, most: usize) -> Result<Vec<Uuid>, Fail> {
    let rows = tx
        .query(
            "SELECT d.id FROM lane l JOIN delivery d ON d.lane_id = l.id
             WHERE l.channel = $1 AND l.waiting > 0 AND l.since < $2 AND d.state IN ('waiting', 'deferred') AND d.state = 'waiting'
                 AND d.born_at < $2 AND d.mode = 'queued'
                 AND NOT EXISTS (SELECT 1 FROM delivery c WHERE c.origin_id = d.id AND c.channel = $3)
                 AND $3 = ANY (d.fallback)
             ORDER BY l.id, d.lane_seq LIMIT $4",
            &[&channel, &born_before, &to, &limit(most)],
        )
        .await?;
    rows.iter().map(|row| get(row, 0)).collect()
}

/// [`crate::store::MaintenanceStore::copy_to_fallback`], after [`candidates`]. One that ended or got its copy meanwhile is left out.
pub(super) async fn copy(tx: &Tx, origins: &Vec<Uuid>, to: &MoveTo, reason: &str, now: i64) -> Result<Vec<AcceptedDelivery>, Fail> {
    lock_deliveries(tx, origins).await?;
    let rows = tx
        .query(
            &format!(
                "SELECT {DELIVERY} FROM delivery d WHERE d.id = ANY ($1) AND d.state = 'waiting'
                 AND NOT EXISTS (SELECT 1 FROM delivery c WHERE c.origin_id = d.id AND c.channel = $2)"
            ),
            &[origins, &to.channel],
        )
        .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        let (origin, target) = (waiting_row(row)?, target(row)?);
        found.insert(origin.id.0, (origin, target));
    }
    let mut copies: Vec<(EventId, PreparedDelivery)> = Vec::with_capacity(found.len());
    for (origin, mut target) in origins.iter().filter_map(|id| found.remove(id)) {
        target.fallback.clone_from(&to.fallback);
        let delivery = NewDelivery {
            id: DeliveryId::new(),
            channel: to.channel.clone(),
            outlet: to.outlet.clone(),
            // The lane that fallback children of this lane share, whatever made them.
            lane_key: format!("{FALLBACK_LANE_PREFIX}{}", origin.lane.0),
            target: for_channel(target),
            mode: Mode::Queued,
            state: State::Waiting,
            rank: origin.rank,
            title: origin.title,
            firing: origin.firing,
            resolved: origin.resolved,
            born_at: origin.born_at,
            due_at: now,
            fallback_of: Some(origin.id),
            fallback_depth: origin.fallback_depth + 1,
            reason: Some(reason.to_owned()),
            report: None,
        };
        copies.push((origin.event_id, PreparedDelivery::new(delivery)?));
    }
    let arrivals: Vec<Arrival<'_>> = copies.iter().map(|(event, prepared)| Arrival { event: *event, prepared, now, key: None }).collect();
    let accepted = append(tx, &arrivals).await?;
    Ok(accepted)
}
