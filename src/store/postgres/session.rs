//! Logins to the console.

use async_trait::async_trait;

use super::PostgresStore;
use super::connect::transaction;
use super::error::DbError;
use super::tx::Tx;
use crate::model::UnixMs;
use crate::store::audits::{SESSION, session};
use crate::store::{SESSION_IDLE, SESSION_LIFE, Session, SessionStore, StoreError};

#[async_trait]
impl SessionStore for PostgresStore {
    async fn open_session(&self, new: Session) -> Result<(), StoreError> {
        transaction!(&self.db, write, |tx| open(tx, &new)).map_err(DbError::into_store_error)
    }

    async fn session(&self, key: [u8; 32]) -> Result<Option<Session>, StoreError> {
        transaction!(&self.db, read, |tx| find(tx, key)).map_err(DbError::into_store_error)
    }

    async fn touch_session(&self, key: [u8; 32], now: UnixMs) -> Result<(), StoreError> {
        transaction!(&self.db, write, |tx| touch(tx, key, now)).map_err(DbError::into_store_error)
    }

    async fn end_session(&self, key: [u8; 32]) -> Result<bool, StoreError> {
        transaction!(&self.db, write, |tx| end(tx, key)).map_err(DbError::into_store_error)
    }

    async fn list_sessions(&self, now: UnixMs) -> Result<Vec<Session>, StoreError> {
        transaction!(&self.db, read, |tx| list(tx, now)).map_err(DbError::into_store_error)
    }
}

/// [`crate::store::SessionStore::open_session`].
async fn open(tx: &Tx, new: &Session) -> Result<(), DbError> {
    let old = "DELETE FROM session WHERE opened_at <= $1 OR seen_at <= $2";
    tx.execute(old, &[&(new.opened_at - SESSION_LIFE), &(new.opened_at - SESSION_IDLE)]).await?;
    let sql = format!("INSERT INTO session ({SESSION}) VALUES ($1, $2, $3, $4, $5, $6)");
    tx.execute(&sql, &[&new.key.as_slice(), &new.credential, &new.seal.as_slice(), &new.from, &new.opened_at, &new.seen_at]).await?;
    Ok(())
}

/// [`crate::store::SessionStore::session`].
async fn find(tx: &Tx, key: [u8; 32]) -> Result<Option<Session>, DbError> {
    tx.first(&format!("SELECT {SESSION} FROM session WHERE key = $1"), &[&key.as_slice()]).await?.as_ref().map(session).transpose()
}

/// [`crate::store::SessionStore::touch_session`].
async fn touch(tx: &Tx, key: [u8; 32], now: UnixMs) -> Result<(), DbError> {
    tx.execute("UPDATE session SET seen_at = greatest(seen_at, $2) WHERE key = $1", &[&key.as_slice(), &now]).await?;
    Ok(())
}

/// [`crate::store::SessionStore::end_session`].
async fn end(tx: &Tx, key: [u8; 32]) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM session WHERE key = $1", &[&key.as_slice()]).await? > 0)
}

/// [`crate::store::SessionStore::list_sessions`].
async fn list(tx: &Tx, now: UnixMs) -> Result<Vec<Session>, DbError> {
    let sql = format!("SELECT {SESSION} FROM session WHERE opened_at > $1 AND seen_at > $2 ORDER BY opened_at DESC LIMIT 500");
    tx.query(&sql, &[&(now - SESSION_LIFE), &(now - SESSION_IDLE)]).await?.iter().map(session).collect()
}
