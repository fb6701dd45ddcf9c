//! Mutes by hand, and until when what is deferred waits.

use crate::model::UnixMs;
use std::collections::BTreeSet;

use uuid::Uuid;

use super::admin::lock_deliveries;
use super::error::DbError;
use super::lanes::{lock_lanes, recount};
use super::rows::get;
use super::tx::Tx;
use crate::store::{ChannelMute, Deferral, INTERVAL_MUTE_PREFIX, MANUAL_MUTE_PREFIX};

/// [`crate::store::QueryStore::set_mute`].
pub(super) async fn set(tx: &Tx, mute: &ChannelMute, now: UnixMs) -> Result<(), DbError> {
    if mute.until == UnixMs::EPOCH {
        tx.execute("DELETE FROM mute WHERE channel = $1", &[&mute.channel]).await?;
    } else {
        tx.execute(
            "INSERT INTO mute (channel, until, reason, by) VALUES ($1, $2, $3, $4)
             ON CONFLICT (channel) DO UPDATE SET until = excluded.until, reason = excluded.reason, by = excluded.by",
            &[&mute.channel, &mute.until, &mute.reason, &mute.by],
        )
        .await?;
    }
    let until = mute.until.max(now);
    let reason = (mute.until > now).then(|| format!("{MANUAL_MUTE_PREFIX}{}", mute.reason));
    let deferral = Deferral { channel: mute.channel.clone(), route: String::new(), by_hand: true, first: until, last: until };
    reschedule(tx, &deferral, reason.as_deref(), now).await?;
    Ok(())
}

/// [`crate::store::MaintenanceStore::list_deferrals`]. Costs one walk over the lanes, and over what is deferred.
pub(super) async fn list_deferrals(tx: &Tx, now: UnixMs) -> Result<Vec<Deferral>, DbError> {
    let rows = tx
        .query(
            "SELECT g.channel, g.route, g.by_hand, min(g.due_at), max(g.due_at) FROM (
                 SELECT d.channel, d.due_at, starts_with(d.reason, $2) AS by_hand,
                     CASE WHEN starts_with(d.reason, $2) THEN '' ELSE coalesce(d.target::json ->> 'route', '') END AS route
                 FROM lane l JOIN delivery d ON d.lane_id = l.id
                 WHERE l.waiting > 0 AND l.deferred > 0 AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred' AND d.due_at > $1
                     AND (starts_with(d.reason, $2) OR starts_with(d.reason, $3))) AS g
             GROUP BY g.channel, g.route, g.by_hand ORDER BY g.channel, g.route, g.by_hand",
            &[&now, &MANUAL_MUTE_PREFIX, &INTERVAL_MUTE_PREFIX],
        )
        .await?;
    let deferral = |row| Ok(Deferral { channel: get(row, 0)?, route: get(row, 1)?, by_hand: get(row, 2)?, first: get(row, 3)?, last: get(row, 4)? });
    rows.iter().map(deferral).collect()
}

/// [`crate::store::MaintenanceStore::reschedule_deferred`].
pub(super) async fn reschedule(tx: &Tx, to: &Deferral, reason: Option<&str>, now: UnixMs) -> Result<u64, DbError> {
    let kind = if to.by_hand { MANUAL_MUTE_PREFIX } else { INTERVAL_MUTE_PREFIX };
    let found = tx
        .query(
            "SELECT d.id FROM lane l JOIN delivery d ON d.lane_id = l.id
             WHERE l.channel = $1 AND l.waiting > 0 AND l.deferred > 0 AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred'
                 AND d.due_at > $2 AND d.due_at <> $3 AND starts_with(d.reason, $4)
                 AND ($5 OR coalesce(d.target::json ->> 'route', '') = $6)",
            &[&to.channel, &now, &to.last, &kind, &to.by_hand, &to.route],
        )
        .await?;
    let ids: Vec<Uuid> = found.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    lock_deliveries(tx, &ids).await?;
    let rows = tx
        .query(
            "UPDATE delivery SET due_at = $2, reason = coalesce($3, reason || '; ended early') WHERE id = ANY ($1) AND state = 'deferred'
             RETURNING lane_id",
            &[&ids, &to.last, &reason],
        )
        .await?;
    let lanes: BTreeSet<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    let lanes: Vec<i64> = lanes.into_iter().collect();
    lock_lanes(tx, &lanes, &Vec::new(), &[]).await?;
    recount(tx, &lanes).await?;
    Ok(rows.len() as u64)
}
