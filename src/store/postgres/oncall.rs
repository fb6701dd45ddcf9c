//! Who is on call in place of whom, and which handoffs people were notified of.

use async_trait::async_trait;
use tokio_postgres::Row;

use super::PostgresStore;
use super::connect::transaction;
use super::error::DbError;
use super::rows::get;
use super::tx::Tx;
use crate::model::UnixMs;
use crate::store::limits::KEEP_ENDED_OVERRIDES;
use crate::store::prepared::TextRule;
use crate::store::{OnCallStore, Override, RotaRow, StoreError};

#[async_trait]
impl OnCallStore for PostgresStore {
    async fn list_overrides(&self) -> Result<Vec<Override>, StoreError> {
        transaction!(&self.db, read, |tx| list(tx)).map_err(DbError::into_store_error)
    }

    async fn add_override(&self, mut new: Override, now: UnixMs) -> Result<Override, StoreError> {
        TextRule::NoNul.apply_all([&mut new.rota, &mut new.person, &mut new.reason, &mut new.by]);
        let added = transaction!(&self.db, write, |tx| add(tx, &new, now)).map_err(DbError::into_store_error)?;
        added.ok_or_else(|| StoreError::Invalid("the override was not added".into()))
    }

    async fn end_override(&self, id: i64, now: UnixMs) -> Result<bool, StoreError> {
        transaction!(&self.db, write, |tx| end(tx, id, now)).map_err(DbError::into_store_error)
    }

    async fn update_rotas(&self, mut changes: Vec<RotaRow>) -> Result<Vec<RotaRow>, StoreError> {
        if !changes.is_empty() {
            // Nodes write in one order, so that none waits for another in a circle.
            changes.sort_by(|a, b| a.rota.cmp(&b.rota));
            transaction!(&self.db, write, |tx| update_rotas(tx, &changes)).map_err(DbError::into_store_error)?;
        }
        transaction!(&self.db, read, |tx| rotas(tx)).map_err(DbError::into_store_error)
    }
}

fn override_of(row: &Row) -> Result<Override, DbError> {
    Ok(Override {
        id: get(row, 0)?,
        rota: get(row, 1)?,
        person: get(row, 2)?,
        from: get(row, 3)?,
        until: get(row, 4)?,
        reason: get(row, 5)?,
        by: get(row, 6)?,
    })
}

/// [`OnCallStore::list_overrides`].
async fn list(tx: &Tx) -> Result<Vec<Override>, DbError> {
    let rows = tx.query("SELECT id, rota, person, from_at, until, reason, by FROM oncall_override ORDER BY id", &[]).await?;
    rows.iter().map(override_of).collect()
}

/// [`OnCallStore::add_override`].
async fn add(tx: &Tx, new: &Override, now: UnixMs) -> Result<Option<Override>, DbError> {
    // Of two at once the second one waits, and has the next number.
    tx.batch("LOCK TABLE oncall_override IN SHARE ROW EXCLUSIVE MODE").await?;
    let row = tx
        .first(
            "INSERT INTO oncall_override (id, rota, person, from_at, until, reason, by)
             SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6 FROM oncall_override RETURNING id, rota, person, from_at, until, reason, by",
            &[&new.rota, &new.person, &new.from, &new.until, &new.reason, &new.by],
        )
        .await?;
    tx.execute("DELETE FROM oncall_override WHERE until <= $1", &[&(now - KEEP_ENDED_OVERRIDES)]).await?;
    row.as_ref().map(override_of).transpose()
}

/// [`OnCallStore::end_override`].
async fn end(tx: &Tx, id: i64, now: UnixMs) -> Result<bool, DbError> {
    let removed = tx.execute("DELETE FROM oncall_override WHERE id = $1 AND from_at >= $2", &[&id, &now]).await?;
    let ended = tx.execute("UPDATE oncall_override SET until = $2 WHERE id = $1 AND until > $2", &[&id, &now]).await?;
    Ok(removed + ended > 0)
}

/// [`OnCallStore::update_rotas`].
async fn update_rotas(tx: &Tx, changes: &[RotaRow]) -> Result<(), DbError> {
    for row in changes {
        tx.execute(
            "INSERT INTO rota (name, person, from_at, noticed) VALUES ($1, $2, $3, $4)
             ON CONFLICT (name) DO UPDATE SET person = excluded.person, from_at = excluded.from_at, noticed = excluded.noticed",
            &[&row.rota, &row.person, &row.from, &row.noticed],
        )
        .await?;
    }
    Ok(())
}

/// [`OnCallStore::update_rotas`].
async fn rotas(tx: &Tx) -> Result<Vec<RotaRow>, DbError> {
    let rows = tx.query("SELECT name, person, from_at, noticed FROM rota ORDER BY name", &[]).await?;
    rows.iter().map(|row| Ok(RotaRow { rota: get(row, 0)?, person: get(row, 1)?, from: get(row, 2)?, noticed: get(row, 3)? })).collect()
}
