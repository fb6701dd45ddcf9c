//! Rows of SQLite: how columns are read ([`StoredRow`]), ids as 16 bytes, and what is read row by row.

use std::sync::Arc;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row};
use uuid::Uuid;

use super::error::{DbError, Unreadable};
use crate::model::{Event, EventId, IncidentId, MessageId, UnixMs};
use crate::store::incidents::{INCIDENT, incident};
use crate::store::packed::unpacked_len;
use crate::store::rows::{self, ATTEMPT, CELL, SOLE, StoredRow};
use crate::store::{AttemptRow, Cell, DeliveryRow, Incident, PendingDelivery, StoredEvent};

/// A state that is not final, as a condition; letter for letter the one of the partial index `delivery_open`.
pub(super) const OPEN: &str = "state IN ('waiting', 'deferred')";

/// Inserts one row: each column with its value, in one list. The statement is made when this is compiled, and prepared once.
macro_rules! insert {
    ($db:expr, $table:literal, { $first:ident: $value:expr $(, $name:ident: $rest:expr)* $(,)? } $(, $conflict:literal)?) => {
        $db.prepare_cached(concat!(
            "INSERT INTO ", $table, " (", stringify!($first) $(, ", ", stringify!($name))*, ") VALUES (?" $(, $crate::store::sqlite::rows::mark!($name))*, ")"
            $(, " ", $conflict)?
        ))?
        .execute(rusqlite::params![$value $(, $rest)*])
    };
}

/// The place of one more value.
macro_rules! mark {
    ($name:ident) => {
        ", ?"
    };
}

pub(super) use {insert, mark};

/// Times are stored as they are; this is the only place that converts them.
impl ToSql for UnixMs {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for UnixMs {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

impl StoredRow for Row<'_> {
    type Error = rusqlite::Error;

    fn int(&self, column: usize) -> rusqlite::Result<i64> {
        self.get(column)
    }

    fn optional_int(&self, column: usize) -> rusqlite::Result<Option<i64>> {
        self.get(column)
    }

    fn text(&self, column: usize) -> rusqlite::Result<&str> {
        self.optional_text(column)?.ok_or_else(|| wrong_type(self, column, Type::Null))
    }

    fn optional_text(&self, column: usize) -> rusqlite::Result<Option<&str>> {
        match self.get_ref(column)? {
            ValueRef::Null => Ok(None),
            text @ ValueRef::Text(_) => text.as_str().map(Some).map_err(|e| from_sql(column, e)),
            other => Err(wrong_type(self, column, other.data_type())),
        }
    }

    fn bytes(&self, column: usize) -> rusqlite::Result<&[u8]> {
        self.get_ref(column)?.as_bytes().map_err(|e| from_sql(column, e))
    }

    fn optional_uuid(&self, column: usize) -> rusqlite::Result<Option<Uuid>> {
        let blob = self.get_ref(column)?.as_blob_or_null().map_err(|e| from_sql(column, e))?;
        blob.map(|b| Uuid::from_slice(b).map_err(|_| self.unreadable(column, "an id has not 16 bytes"))).transpose()
    }

    fn flag(&self, column: usize) -> rusqlite::Result<bool> {
        self.get(column)
    }

    fn unreadable(&self, column: usize, what: &str) -> rusqlite::Error {
        unreadable(column, what.to_owned())
    }
}

fn wrong_type(row: &Row<'_>, column: usize, found: Type) -> rusqlite::Error {
    let name = row.as_ref().column_name(column).unwrap_or_default().to_owned();
    rusqlite::Error::InvalidColumnType(column, name, found)
}

fn unreadable(column: usize, what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(Unreadable(what)))
}

fn from_sql(column: usize, error: FromSqlError) -> rusqlite::Error {
    unreadable(column, error.to_string())
}

/// An id's bytes, as a parameter.
pub(super) fn bytes(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

/// A number that is never negative.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// A delivery for a list.
pub(super) fn delivery_row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    rows::delivery_row(row)
}

/// A delivery that waits, without its event.
pub(super) fn pending_delivery(row: &Row<'_>) -> rusqlite::Result<PendingDelivery> {
    rows::pending_delivery(row)
}

/// An event that was looked for.
pub(super) enum Found {
    /// It, and the bytes of its body as JSON.
    Event(StoredEvent, usize),
    /// Its body is larger than was asked for.
    TooLarge,
    /// There is none.
    Nothing,
}

/// One event, or `None` when it is not there.
pub(super) fn event(db: &Connection, id: EventId) -> Result<Option<StoredEvent>, DbError> {
    match event_within(db, id, usize::MAX)? {
        Found::Event(event, _) => Ok(Some(event)),
        Found::TooLarge | Found::Nothing => Ok(None),
    }
}

/// One event whose body is at most `bytes`.
pub(super) fn event_within(db: &Connection, id: EventId, bytes_left: usize) -> Result<Found, DbError> {
    let mut select = db.prepare_cached("SELECT received_at, plan, note, body FROM event WHERE id = ?1")?;
    let mut rows = select.query([bytes(&id.0)])?;
    let Some(row) = rows.next()? else { return Ok(Found::Nothing) };
    let body = row.get_ref(3)?.as_bytes().map_err(rusqlite::Error::from)?;
    let length = unpacked_len(body);
    if length > bytes_left {
        return Ok(Found::TooLarge);
    }
    let event = Arc::new(row.packed::<Event>(3, body, "an event's body")?);
    Ok(Found::Event(StoredEvent { id, received_at: row.get(0)?, plan: row.get(1)?, note: row.get(2)?, event }, length))
}

/// One incident, or `None` when it is not there.
pub(super) fn find_incident(db: &Connection, id: IncidentId) -> Result<Option<Incident>, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT {INCIDENT} FROM incident i WHERE i.id = ?1"))?;
    Ok(select.query_row([id.0], |row| incident(row, 0)).optional()?)
}

/// The cell and the attempt that a message holds itself.
pub(super) fn sole(db: &Connection, message: MessageId) -> rusqlite::Result<Option<(Cell, AttemptRow)>> {
    let mut select = db.prepare_cached(&format!("SELECT {SOLE} FROM message WHERE id = ?1 AND recipient IS NOT NULL"))?;
    select.query_row([bytes(&message.0)], |row| rows::sole(row)).optional()
}

/// A message's cells, by page and recipient.
pub(super) fn cells(db: &Connection, message: MessageId) -> rusqlite::Result<Vec<Cell>> {
    let mut select = db.prepare_cached(&format!("SELECT {CELL} FROM cell WHERE message_id = ?1 ORDER BY page, recipient"))?;
    select.query_map([bytes(&message.0)], |row| rows::cell(row))?.collect()
}

/// A message's attempts, oldest first.
pub(super) fn attempts(db: &Connection, message: MessageId) -> rusqlite::Result<Vec<AttemptRow>> {
    let mut select = db.prepare_cached(&format!("SELECT {ATTEMPT} FROM attempt WHERE message_id = ?1 ORDER BY begun_at, id"))?;
    select.query_map([bytes(&message.0)], |row| rows::attempt(row))?.collect()
}
