//! Logins to the console.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::DbError;
use super::rows::insert;
use crate::model::UnixMs;
use crate::store::audits::{SESSION, session};
use crate::store::{SESSION_IDLE, SESSION_LIFE, Session};

/// [`crate::store::SessionStore::open_session`].
pub(super) fn open(db: &Connection, new: &Session) -> Result<(), DbError> {
    let mut old = db.prepare_cached("DELETE FROM session WHERE opened_at <= ?1 OR seen_at <= ?2")?;
    old.execute(params![new.opened_at - SESSION_LIFE, new.opened_at - SESSION_IDLE])?;
    insert!(db, "session", {
        key: new.key,
        credential: new.credential,
        seal: new.seal,
        address: new.from,
        opened_at: new.opened_at,
        seen_at: new.seen_at,
    })?;
    Ok(())
}

/// [`crate::store::SessionStore::session`].
pub(super) fn find(db: &Connection, key: [u8; 32]) -> Result<Option<Session>, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT {SESSION} FROM session WHERE key = ?1"))?;
    Ok(select.query_row([key], |row| session(row)).optional()?)
}

/// [`crate::store::SessionStore::touch_session`].
pub(super) fn touch(db: &Connection, key: [u8; 32], now: UnixMs) -> Result<(), DbError> {
    db.prepare_cached("UPDATE session SET seen_at = max(seen_at, ?2) WHERE key = ?1")?.execute(params![key, now])?;
    Ok(())
}

/// [`crate::store::SessionStore::end_session`].
pub(super) fn end(db: &Connection, key: [u8; 32]) -> Result<bool, DbError> {
    Ok(db.prepare_cached("DELETE FROM session WHERE key = ?1")?.execute([key])? > 0)
}

/// [`crate::store::SessionStore::list_sessions`].
pub(super) fn list(db: &Connection, now: UnixMs) -> Result<Vec<Session>, DbError> {
    let mut select =
        db.prepare_cached(&format!("SELECT {SESSION} FROM session WHERE opened_at > ?1 AND seen_at > ?2 ORDER BY opened_at DESC LIMIT 500"))?;
    Ok(select.query_map(params![now - SESSION_LIFE, now - SESSION_IDLE], |row| session(row))?.collect::<rusqlite::Result<_>>()?)
}
