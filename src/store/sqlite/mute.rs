//! Mutes by hand, and until when what is deferred waits.

use crate::model::UnixMs;
use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::error::DbError;
use super::outcome::recount;
use crate::store::{ChannelMute, Deferral, INTERVAL_MUTE_PREFIX, MANUAL_MUTE_PREFIX};

/// [`crate::store::QueryStore::set_mute`].
pub(super) fn set(db: &Connection, mute: &ChannelMute, now: UnixMs) -> Result<(), DbError> {
    if mute.until == UnixMs::EPOCH {
        db.prepare_cached("DELETE FROM mute WHERE channel = ?1")?.execute([&mute.channel])?;
    } else {
        db.prepare_cached(
            "INSERT INTO mute (channel, until, reason, by) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (channel) DO UPDATE SET until = excluded.until, reason = excluded.reason, by = excluded.by",
        )?
        .execute(params![mute.channel, mute.until, mute.reason, mute.by])?;
    }
    let until = mute.until.max(now);
    let reason = (mute.until > now).then(|| format!("{MANUAL_MUTE_PREFIX}{}", mute.reason));
    let deferral = Deferral { channel: mute.channel.clone(), route: String::new(), by_hand: true, first: until, last: until };
    reschedule(db, &deferral, reason.as_deref(), now)?;
    Ok(())
}

/// [`crate::store::MaintenanceStore::list_deferrals`]. Costs one walk over the lanes, and over what is deferred.
pub(super) fn list_deferrals(db: &Connection, now: UnixMs) -> Result<Vec<Deferral>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT d.channel, CASE WHEN substr(d.reason, 1, length(?2)) = ?2 THEN '' ELSE coalesce(d.target ->> '$.route', '') END,
             substr(d.reason, 1, length(?2)) = ?2, min(d.due_at), max(d.due_at)
         FROM lane l CROSS JOIN delivery d INDEXED BY delivery_open
         WHERE l.deferred > 0 AND d.lane_id = l.id AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred' AND d.due_at > ?1
             AND (substr(d.reason, 1, length(?2)) = ?2 OR substr(d.reason, 1, length(?3)) = ?3)
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )?;
    let rows = select.query_map(params![now, MANUAL_MUTE_PREFIX, INTERVAL_MUTE_PREFIX], |row| {
        Ok(Deferral { channel: row.get(0)?, route: row.get(1)?, by_hand: row.get(2)?, first: row.get(3)?, last: row.get(4)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::MaintenanceStore::reschedule_deferred`].
pub(super) fn reschedule(db: &Connection, to: &Deferral, reason: Option<&str>, now: UnixMs) -> Result<u64, DbError> {
    let kind = if to.by_hand { MANUAL_MUTE_PREFIX } else { INTERVAL_MUTE_PREFIX };
    let mut update = db.prepare_cached(
        "UPDATE delivery SET due_at = ?2, reason = coalesce(?3, reason || '; ended early') WHERE id IN (
             SELECT d.id FROM lane l CROSS JOIN delivery d INDEXED BY delivery_open
             WHERE l.channel = ?1 AND l.deferred > 0 AND d.lane_id = l.id AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred'
                 AND d.due_at > ?4 AND d.due_at <> ?2 AND substr(d.reason, 1, length(?5)) = ?5
                 AND (?6 OR coalesce(d.target ->> '$.route', '') = ?7))
         RETURNING lane_id",
    )?;
    let rows = update.query_map(params![to.channel, to.last, reason, now, kind, to.by_hand, to.route], |row| row.get(0))?;
    let lanes: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
    let changed = lanes.len() as u64;
    for lane in lanes.into_iter().collect::<BTreeSet<_>>() {
        recount(db, lane)?;
    }
    Ok(changed)
}
