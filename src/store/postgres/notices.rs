//! What people were notified of mutes, and what mutes hold.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::PostgresStore;
use super::connect::transaction;
use super::error::DbError;
use super::rows::get;
use super::tx::Tx;
use crate::model::UnixMs;
use crate::store::prepared::TextRule;
use crate::store::{CHANNEL_MUTE_PREFIX, FILE_MUTE_PREFIX, HeldRow, MUTE_PREFIX, MuteRow, MuteStage, NoticeStore, StoreError};

#[async_trait]
impl NoticeStore for PostgresStore {
    async fn count_held(&self) -> Result<Vec<HeldRow>, StoreError> {
        transaction!(&self.db, read, |tx| count(tx)).map_err(DbError::into_store_error)
    }

    async fn update_mute_rows(&self, mut changes: Vec<MuteRow>, mut gone: Vec<String>) -> Result<Vec<MuteRow>, StoreError> {
        if !changes.is_empty() || !gone.is_empty() {
            // Nodes write in one order, so that none waits for another in a circle.
            changes.sort_by(|a, b| a.key.cmp(&b.key));
            gone.sort();
            changes.iter_mut().for_each(|row| TextRule::NoNul.apply_all([&mut row.key]));
            transaction!(&self.db, write, |tx| update(tx, &changes, &gone)).map_err(DbError::into_store_error)?;
        }
        transaction!(&self.db, read, |tx| list(tx)).map_err(DbError::into_store_error)
    }

    async fn note_held(&self, mut held: Vec<(String, [u32; 4])>, now: UnixMs) -> Result<(), StoreError> {
        held.sort();
        transaction!(&self.db, write, |tx| note(tx, &held, now)).map_err(DbError::into_store_error)
    }
}

fn unsigned(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// [`NoticeStore::count_held`]. Costs one walk over the lanes, and over what is deferred.
async fn count(tx: &Tx) -> Result<Vec<HeldRow>, DbError> {
    let rows = tx
        .query(
            "SELECT d.channel, d.reason, d.rank, count(*) FROM lane l JOIN delivery d ON d.lane_id = l.id
             WHERE l.waiting > 0 AND l.deferred > 0 AND d.state IN ('waiting', 'deferred') AND d.state = 'deferred' AND d.firing > 0
                 AND (starts_with(d.reason, $1) OR starts_with(d.reason, $2) OR starts_with(d.reason, $3))
             GROUP BY d.channel, d.reason, d.rank ORDER BY d.channel, d.reason, d.rank",
            &[&CHANNEL_MUTE_PREFIX, &MUTE_PREFIX, &FILE_MUTE_PREFIX],
        )
        .await?;
    let held = |row| Ok(HeldRow { channel: get(row, 0)?, reason: get(row, 1)?, rank: get(row, 2)?, count: unsigned(get(row, 3)?) });
    rows.iter().map(held).collect()
}

/// [`NoticeStore::update_mute_rows`].
async fn update(tx: &Tx, changes: &[MuteRow], gone: &[String]) -> Result<(), DbError> {
    for key in gone {
        tx.execute("DELETE FROM mute_notice WHERE key = $1", &[key]).await?;
    }
    for row in changes {
        let [critical, error, warning, info] = row.held.map(i64::from);
        let (channels, stage) = (row.channels.join(","), row.stage.number());
        tx.execute(
            "INSERT INTO mute_notice (key, channels, began_at, until, stage, critical, error, warning, info, held_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (key) DO UPDATE SET channels = excluded.channels, began_at = excluded.began_at, until = excluded.until, stage = excluded.stage,
                 critical = excluded.critical, error = excluded.error, warning = excluded.warning, info = excluded.info, held_at = excluded.held_at",
            &[&row.key, &channels, &row.began, &row.until, &stage, &critical, &error, &warning, &info, &row.held_at],
        )
        .await?;
    }
    Ok(())
}

fn row_of(row: &Row) -> Result<MuteRow, DbError> {
    let channels: String = get(row, 1)?;
    let count = |place: usize| Ok::<_, DbError>(unsigned(get(row, place)?));
    Ok(MuteRow {
        key: get(row, 0)?,
        channels: channels.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        began: get(row, 2)?,
        until: get(row, 3)?,
        stage: MuteStage::of(get(row, 4)?),
        held: [count(5)?, count(6)?, count(7)?, count(8)?],
        held_at: get(row, 9)?,
    })
}

/// [`NoticeStore::update_mute_rows`].
async fn list(tx: &Tx) -> Result<Vec<MuteRow>, DbError> {
    let rows =
        tx.query("SELECT key, channels, began_at, until, stage, critical, error, warning, info, held_at FROM mute_notice ORDER BY key", &[]).await?;
    rows.iter().map(row_of).collect()
}

/// [`NoticeStore::note_held`].
async fn note(tx: &Tx, held: &[(String, [u32; 4])], now: UnixMs) -> Result<(), DbError> {
    for (key, counts) in held {
        let [critical, error, warning, info] = counts.map(i64::from);
        let held_at = Some(now).filter(|_| counts.iter().any(|count| *count > 0));
        tx.execute(
            "UPDATE mute_notice SET critical = $2, error = $3, warning = $4, info = $5, held_at = coalesce($6, held_at) WHERE key = $1",
            &[key, &critical, &error, &warning, &info, &held_at],
        )
        .await?;
    }
    Ok(())
}
