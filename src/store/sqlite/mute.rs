//! Mutes by hand, and until when what is deferred waits.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::error::DbError;
use super::outcome::recount;
use super::steps;
use crate::model::UnixMs;
use crate::store::limits::KEEP_ENDED_MUTES;
use crate::store::{CHANNEL_MUTE_PREFIX, Deferral, DeferralCause, FILE_MUTE_PREFIX, INTERVAL_MUTE_PREFIX, MUTE_PREFIX, Mute};

/// [`crate::store::OperatorStore::list_mutes`].
pub(super) fn list(db: &Connection) -> Result<Vec<Mute>, DbError> {
    let mut select = db.prepare_cached("SELECT matchers, until, reason, by FROM mute ORDER BY matchers")?;
    let rows = select.query_map([], |row| Ok(Mute { matchers: row.get(0)?, until: row.get(1)?, reason: row.get(2)?, by: row.get(3)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Part of [`crate::store::OperatorStore::set_mute`]: the mute, and what it has deferred, of all deferrals there are.
pub(super) fn set(db: &Connection, mute: &Mute, deferrals: &[Deferral], now: UnixMs) -> Result<(), DbError> {
    // Those that ended a day ago go with it; a clock that is ahead for a moment ends none for good.
    db.prepare_cached("DELETE FROM mute WHERE matchers = ?1 OR until <= ?2")?.execute(params![mute.matchers, now - KEEP_ENDED_MUTES])?;
    if mute.until > UnixMs::EPOCH {
        db.prepare_cached("INSERT INTO mute (matchers, until, reason, by) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            mute.matchers,
            mute.until,
            mute.reason,
            mute.by
        ])?;
    }
    let reason = mute.deferral_reason(now);
    for deferral in mute.deferrals(deferrals, now) {
        reschedule(db, &deferral, reason.as_deref(), now)?;
    }
    Ok(())
}

/// [`crate::store::MaintenanceStore::list_deferrals`]. Costs one walk over the lanes, and over what is deferred.
pub(super) fn list_deferrals(db: &Connection, now: UnixMs) -> Result<Vec<Deferral>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT channel, kind, CASE kind WHEN 0 THEN '' WHEN 1 THEN reason ELSE coalesce(target ->> '$.route', '') END, min(due_at), max(due_at) FROM (
             SELECT d.channel, d.due_at, d.reason, d.target,
                 CASE WHEN substr(d.reason, 1, length(?2)) = ?2 THEN 0 WHEN substr(d.reason, 1, length(?3)) = ?3
                     OR substr(d.reason, 1, length(?5)) = ?5 THEN 1
                     WHEN substr(d.reason, 1, length(?4)) = ?4 THEN 2 END AS kind
             FROM lane l CROSS JOIN delivery d INDEXED BY delivery_open
             WHERE l.deferred > 0 AND d.lane_id = l.id AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred' AND d.due_at > ?1)
         WHERE kind IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )?;
    let rows = select.query_map(params![now, CHANNEL_MUTE_PREFIX, MUTE_PREFIX, INTERVAL_MUTE_PREFIX, FILE_MUTE_PREFIX], |row| {
        let cause = DeferralCause::from_parts(row.get(1)?, row.get(2)?);
        Ok(Deferral { channel: row.get(0)?, cause, first: row.get(3)?, last: row.get(4)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::MaintenanceStore::reschedule_deferred`].
pub(super) fn reschedule(db: &Connection, to: &Deferral, reason: Option<&str>, now: UnixMs) -> Result<u64, DbError> {
    let mut update = db.prepare_cached(
        "UPDATE delivery SET due_at = ?2, reason = coalesce(?3, reason || '; ended early') WHERE id IN (
             SELECT d.id FROM lane l CROSS JOIN delivery d INDEXED BY delivery_open
             WHERE l.channel = ?1 AND l.deferred > 0 AND d.lane_id = l.id AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred'
                 AND d.due_at > ?4 AND d.due_at <> ?2
                 AND CASE ?5 WHEN 0 THEN substr(d.reason, 1, length(?7)) = ?7 WHEN 1 THEN d.reason = ?6
                     ELSE substr(d.reason, 1, length(?8)) = ?8 AND coalesce(d.target ->> '$.route', '') = ?6 END)
         RETURNING lane_id, incident",
    )?;
    let (kind, detail) = to.cause.parts();
    let values = params![to.channel, to.last, reason, now, kind, detail, CHANNEL_MUTE_PREFIX, INTERVAL_MUTE_PREFIX];
    let rows = update.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(i64, Option<i64>)> = rows.collect::<rusqlite::Result<_>>()?;
    let changed = rows.len() as u64;
    let steps = steps::begin_later(db, rows.iter().filter_map(|(_, incident)| *incident).collect(), to.last)?;
    for lane in rows.into_iter().map(|(lane, _)| lane).chain(steps).collect::<BTreeSet<_>>() {
        recount(db, lane)?;
    }
    Ok(changed)
}
