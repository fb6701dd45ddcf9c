//! What people were notified of mutes, and what mutes hold.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use super::error::DbError;
use crate::model::UnixMs;
use crate::store::{CHANNEL_MUTE_PREFIX, FILE_MUTE_PREFIX, HeldRow, MUTE_PREFIX, MuteRow, MuteStage, NoticeStore, StoreError};

#[async_trait]
impl NoticeStore for SqliteStore {
    async fn count_held(&self) -> Result<Vec<HeldRow>, StoreError> {
        self.readers.read(count).await
    }

    async fn update_mute_rows(&self, changes: Vec<MuteRow>, gone: Vec<String>) -> Result<Vec<MuteRow>, StoreError> {
        if !changes.is_empty() || !gone.is_empty() {
            self.write(512 * (changes.len() + gone.len()), move |db| update(db, &changes, &gone)).await?;
        }
        self.readers.read(list).await
    }

    async fn note_held(&self, held: Vec<(String, [u32; 4])>, now: UnixMs) -> Result<(), StoreError> {
        self.write(256 * held.len(), move |db| note(db, &held, now)).await
    }
}

/// [`NoticeStore::count_held`]. Costs one walk over the lanes, and over what is deferred.
fn count(db: &Connection) -> Result<Vec<HeldRow>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT d.channel, d.reason, d.rank, count(*) FROM lane l CROSS JOIN delivery d INDEXED BY delivery_open
         WHERE l.deferred > 0 AND d.lane_id = l.id AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred' AND d.firing > 0
             AND (substr(d.reason, 1, length(?1)) = ?1 OR substr(d.reason, 1, length(?2)) = ?2 OR substr(d.reason, 1, length(?3)) = ?3)
         GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    )?;
    let rows = select.query_map([CHANNEL_MUTE_PREFIX, MUTE_PREFIX, FILE_MUTE_PREFIX], |row| {
        Ok(HeldRow { channel: row.get(0)?, reason: row.get(1)?, rank: row.get(2)?, count: row.get(3)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// [`NoticeStore::update_mute_rows`].
fn update(db: &Connection, changes: &[MuteRow], gone: &[String]) -> Result<(), DbError> {
    let mut remove = db.prepare_cached("DELETE FROM mute_notice WHERE key = ?1")?;
    for key in gone {
        remove.execute([key])?;
    }
    let mut put = db.prepare_cached(
        "INSERT OR REPLACE INTO mute_notice (key, channels, began_at, until, stage, critical, error, warning, info, held_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for row in changes {
        let [critical, error, warning, info] = row.held;
        let stage = row.stage.number();
        put.execute(params![row.key, row.channels.join(","), row.began, row.until, stage, critical, error, warning, info, row.held_at])?;
    }
    Ok(())
}

fn row_of(row: &Row<'_>) -> rusqlite::Result<MuteRow> {
    let channels: String = row.get(1)?;
    Ok(MuteRow {
        key: row.get(0)?,
        channels: channels.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        began: row.get(2)?,
        until: row.get(3)?,
        stage: MuteStage::of(row.get(4)?),
        held: [row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?],
        held_at: row.get(9)?,
    })
}

/// [`NoticeStore::update_mute_rows`].
fn list(db: &Connection) -> Result<Vec<MuteRow>, DbError> {
    let mut select =
        db.prepare_cached("SELECT key, channels, began_at, until, stage, critical, error, warning, info, held_at FROM mute_notice ORDER BY key")?;
    Ok(select.query_map([], row_of)?.collect::<rusqlite::Result<_>>()?)
}

/// [`NoticeStore::note_held`].
fn note(db: &Connection, held: &[(String, [u32; 4])], now: UnixMs) -> Result<(), DbError> {
    let mut update = db.prepare_cached(
        "UPDATE mute_notice SET critical = ?2, error = ?3, warning = ?4, info = ?5,
             held_at = CASE WHEN ?2 + ?3 + ?4 + ?5 > 0 THEN ?6 ELSE held_at END WHERE key = ?1",
    )?;
    for (key, [critical, error, warning, info]) in held {
        update.execute(params![key, critical, error, warning, info, now])?;
    }
    Ok(())
}
