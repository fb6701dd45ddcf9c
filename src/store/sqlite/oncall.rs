//! Who is on call in place of whom, and which handoffs people were notified of.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use super::error::DbError;
use crate::model::UnixMs;
use crate::store::limits::KEEP_ENDED_OVERRIDES;
use crate::store::{OnCallStore, Override, RotaRow, StoreError};

#[async_trait]
impl OnCallStore for SqliteStore {
    async fn list_overrides(&self) -> Result<Vec<Override>, StoreError> {
        self.readers.read(list).await
    }

    async fn add_override(&self, new: Override, now: UnixMs) -> Result<Override, StoreError> {
        self.write(1024, move |db| add(db, &new, now)).await
    }

    async fn end_override(&self, id: i64, now: UnixMs) -> Result<bool, StoreError> {
        self.write(256, move |db| end(db, id, now)).await
    }

    async fn update_rotas(&self, changes: Vec<RotaRow>) -> Result<Vec<RotaRow>, StoreError> {
        if !changes.is_empty() {
            self.write(256 * changes.len(), move |db| update_rotas(db, &changes)).await?;
        }
        self.readers.read(rotas).await
    }
}

fn override_of(row: &Row<'_>) -> rusqlite::Result<Override> {
    Ok(Override {
        id: row.get(0)?,
        rota: row.get(1)?,
        person: row.get(2)?,
        from: row.get(3)?,
        until: row.get(4)?,
        reason: row.get(5)?,
        by: row.get(6)?,
    })
}

/// [`OnCallStore::list_overrides`].
fn list(db: &Connection) -> Result<Vec<Override>, DbError> {
    let mut select = db.prepare_cached("SELECT id, rota, person, from_at, until, reason, by FROM oncall_override ORDER BY id")?;
    Ok(select.query_map([], override_of)?.collect::<rusqlite::Result<_>>()?)
}

/// [`OnCallStore::add_override`].
fn add(db: &Connection, new: &Override, now: UnixMs) -> Result<Override, DbError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO oncall_override (id, rota, person, from_at, until, reason, by)
         SELECT coalesce(max(id), 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6 FROM oncall_override RETURNING id, rota, person, from_at, until, reason, by",
    )?;
    let added = insert.query_row(params![new.rota, new.person, new.from, new.until, new.reason, new.by], override_of)?;
    db.prepare_cached("DELETE FROM oncall_override WHERE until <= ?1")?.execute([now - KEEP_ENDED_OVERRIDES])?;
    Ok(added)
}

/// [`OnCallStore::end_override`].
fn end(db: &Connection, id: i64, now: UnixMs) -> Result<bool, DbError> {
    let removed = db.prepare_cached("DELETE FROM oncall_override WHERE id = ?1 AND from_at >= ?2")?.execute(params![id, now])?;
    let ended = db.prepare_cached("UPDATE oncall_override SET until = ?2 WHERE id = ?1 AND until > ?2")?.execute(params![id, now])?;
    Ok(removed + ended > 0)
}

/// [`OnCallStore::update_rotas`].
fn update_rotas(db: &Connection, changes: &[RotaRow]) -> Result<(), DbError> {
    let mut put = db.prepare_cached("INSERT OR REPLACE INTO rota (name, person, from_at, noticed) VALUES (?1, ?2, ?3, ?4)")?;
    for row in changes {
        put.execute(params![row.rota, row.person, row.from, row.noticed])?;
    }
    Ok(())
}

/// [`OnCallStore::update_rotas`].
fn rotas(db: &Connection) -> Result<Vec<RotaRow>, DbError> {
    let mut select = db.prepare_cached("SELECT name, person, from_at, noticed FROM rota ORDER BY name")?;
    let rows = select.query_map([], |row| Ok(RotaRow { rota: row.get(0)?, person: row.get(1)?, from: row.get(2)?, noticed: row.get(3)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
