//! Mutes by hand, and until when what is deferred waits.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::admin::lock_deliveries;
use super::error::DbError;
use super::lanes::{lock_lanes, recount};
use super::rows::get;
use super::steps;
use super::tx::Tx;
use crate::model::UnixMs;
use crate::store::limits::KEEP_ENDED_MUTES;
use crate::store::{CHANNEL_MUTE_PREFIX, Deferral, DeferralCause, FILE_MUTE_PREFIX, INTERVAL_MUTE_PREFIX, MUTE_PREFIX, Mute};

/// [`crate::store::OperatorStore::list_mutes`].
pub(super) async fn list(tx: &Tx) -> Result<Vec<Mute>, DbError> {
    let rows = tx.query("SELECT matchers, until, reason, by FROM mute ORDER BY matchers", &[]).await?;
    rows.iter().map(|row| Ok(Mute { matchers: get(row, 0)?, until: get(row, 1)?, reason: get(row, 2)?, by: get(row, 3)? })).collect()
}

/// Part of [`crate::store::OperatorStore::set_mute`]: the mute, and what it has deferred, of all deferrals there are.
pub(super) async fn set(tx: &Tx, mute: &Mute, deferrals: &[Deferral], now: UnixMs) -> Result<(), DbError> {
    // Those that ended a day ago go with it; a clock that is ahead for a moment ends none for good.
    tx.execute("DELETE FROM mute WHERE matchers = $1 OR until <= $2", &[&mute.matchers, &(now - KEEP_ENDED_MUTES)]).await?;
    if mute.until > UnixMs::EPOCH {
        tx.execute(
            "INSERT INTO mute (matchers, until, reason, by) VALUES ($1, $2, $3, $4)
             ON CONFLICT (matchers) DO UPDATE SET until = excluded.until, reason = excluded.reason, by = excluded.by",
            &[&mute.matchers, &mute.until, &mute.reason, &mute.by],
        )
        .await?;
    }
    let reason = mute.deferral_reason(now);
    for deferral in mute.deferrals(deferrals, now) {
        reschedule(tx, &deferral, reason.as_deref(), now).await?;
    }
    Ok(())
}

/// [`crate::store::MaintenanceStore::list_deferrals`]. Costs one walk over the lanes, and over what is deferred.
pub(super) async fn list_deferrals(tx: &Tx, now: UnixMs) -> Result<Vec<Deferral>, DbError> {
    let rows = tx
        .query(
            "SELECT g.channel, g.kind, g.detail, min(g.due_at), max(g.due_at) FROM (
                 SELECT k.channel, k.due_at, k.kind,
                     CASE k.kind WHEN 0 THEN '' WHEN 1 THEN k.reason ELSE coalesce(k.target::json ->> 'route', '') END AS detail
                 FROM (SELECT d.channel, d.due_at, d.reason, d.target,
                         CASE WHEN starts_with(d.reason, $2) THEN 0 WHEN starts_with(d.reason, $3) OR starts_with(d.reason, $5) THEN 1
                             WHEN starts_with(d.reason, $4) THEN 2 END AS kind
                     FROM lane l JOIN delivery d ON d.lane_id = l.id
                     WHERE l.waiting > 0 AND l.deferred > 0 AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred' AND d.due_at > $1) AS k
                 WHERE k.kind IS NOT NULL) AS g
             GROUP BY g.channel, g.kind, g.detail ORDER BY g.channel, g.kind, g.detail",
            &[&now, &CHANNEL_MUTE_PREFIX, &MUTE_PREFIX, &INTERVAL_MUTE_PREFIX, &FILE_MUTE_PREFIX],
        )
        .await?;
    let deferral = |row| {
        let cause = DeferralCause::from_parts(get(row, 1)?, get(row, 2)?);
        Ok(Deferral { channel: get(row, 0)?, cause, first: get(row, 3)?, last: get(row, 4)? })
    };
    rows.iter().map(deferral).collect()
}

/// [`crate::store::MaintenanceStore::reschedule_deferred`].
pub(super) async fn reschedule(tx: &Tx, to: &Deferral, reason: Option<&str>, now: UnixMs) -> Result<u64, DbError> {
    let (kind, detail) = to.cause.parts();
    let found = tx
        .query(
            "SELECT d.id FROM lane l JOIN delivery d ON d.lane_id = l.id
             WHERE l.channel = $1 AND l.waiting > 0 AND l.deferred > 0 AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred'
                 AND d.due_at > $2 AND d.due_at <> $3
                 AND CASE $4::int WHEN 0 THEN starts_with(d.reason, $6) WHEN 1 THEN d.reason = $5
                     ELSE starts_with(d.reason, $7) AND coalesce(d.target::json ->> 'route', '') = $5 END",
            &[&to.channel, &now, &to.last, &kind, &detail, &CHANNEL_MUTE_PREFIX, &INTERVAL_MUTE_PREFIX],
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
             RETURNING lane_id, incident",
            &[&ids, &to.last, &reason],
        )
        .await?;
    let mut lanes: BTreeSet<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    let incidents: Vec<Option<i64>> = rows.iter().map(|row| get(row, 1)).collect::<Result<_, _>>()?;
    lanes.extend(steps::begin_later(tx, &incidents.into_iter().flatten().collect(), to.last).await?);
    let lanes: Vec<i64> = lanes.into_iter().collect();
    lock_lanes(tx, &lanes, &Vec::new(), &[]).await?;
    recount(tx, &lanes).await?;
    Ok(rows.len() as u64)
}
