//! Between columns and types: ids as 16 bytes, JSON, names of states. The one place that knows the order of a delivery's columns.
//!
//! What cannot be read becomes an error that names the column, never a value of it and never a panic.

use std::sync::Arc;

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, Row};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::failure::{Fail, Unreadable};
use crate::model::{DeliveryId, Event, EventId, LaneId, MessageId, MessageKind, Page, Recipient};
use crate::store::{AttemptKind, AttemptRow, Cell, CellState, DeliveryRow, Mode, PendingDelivery, State, StoredEvent, Target};

/// A delivery's columns, in the order that [`delivery_row`] and [`waiting_row`] read them.
pub(super) const DELIVERY: &str = "d.id, d.event_id, d.lane_id, d.lane_seq, d.channel, d.target, d.mode, d.state, d.rank, d.title, d.firing, \
     d.resolved, d.born_at, d.due_at, d.tries, d.message_id, d.origin_id, d.hop, d.done_at, d.reason";

/// A state that is not final, as a condition; letter for letter the one of the partial index `delivery_open`.
pub(super) const OPEN: &str = "state IN ('waiting', 'deferred')";

fn unreadable(column: usize, what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(Unreadable(what)))
}

/// An id's bytes, as a parameter.
pub(super) fn bytes(id: &Uuid) -> &[u8] {
    id.as_bytes()
}

/// An id that must be there.
pub(super) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    optional_uuid(row, column)?.ok_or_else(|| unreadable(column, "an id is missing".into()))
}

/// An id that may be NULL.
pub(super) fn optional_uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    let blob = row.get_ref(column)?.as_blob_or_null().map_err(|e| from_sql(column, e))?;
    blob.map(|b| Uuid::from_slice(b).map_err(|_| unreadable(column, "an id has not 16 bytes".into()))).transpose()
}

fn from_sql(column: usize, error: FromSqlError) -> rusqlite::Error {
    unreadable(column, error.to_string())
}

/// A number that is never negative.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// A value stored as JSON. The error tells the place in the text, not the text: it may hold addresses.
fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize, what: &str) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_bytes().map_err(|e| from_sql(column, e))?;
    serde_json::from_slice(text)
        .map_err(|e| unreadable(column, format!("{what} is not the JSON it should be (line {}, column {})", e.line(), e.column())))
}

/// A delivery's state.
pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    let name = row.get_ref(column)?.as_str().map_err(|e| from_sql(column, e))?;
    State::parse(name).ok_or_else(|| unreadable(column, "a delivery has a state that this version does not know".into()))
}

fn mode(row: &Row<'_>, column: usize) -> rusqlite::Result<Mode> {
    let name = row.get_ref(column)?.as_str().map_err(|e| from_sql(column, e))?;
    Mode::parse(name).ok_or_else(|| unreadable(column, "a delivery has a mode that this version does not know".into()))
}

/// What the route asked for (column `target` of [`DELIVERY`]).
pub(super) fn target(row: &Row<'_>) -> rusqlite::Result<Target> {
    json(row, 5, "a delivery's target")
}

/// A delivery for a list, from the columns [`DELIVERY`].
pub(super) fn delivery_row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        id: DeliveryId(uuid(row, 0)?),
        event: EventId(uuid(row, 1)?),
        channel: row.get(4)?,
        state: state(row, 7)?,
        mode: mode(row, 6)?,
        rank: row.get(8)?,
        title: row.get(9)?,
        firing: row.get(10)?,
        resolved: row.get(11)?,
        born_at: row.get(12)?,
        due_at: row.get(13)?,
        tries: row.get(14)?,
        message: optional_uuid(row, 15)?.map(MessageId),
        fallback_of: optional_uuid(row, 16)?.map(DeliveryId),
        done_at: row.get(18)?,
        reason: row.get(19)?,
    })
}

/// A delivery that waits, without its event, from the columns [`DELIVERY`].
pub(super) fn waiting_row(row: &Row<'_>) -> rusqlite::Result<PendingDelivery> {
    Ok(PendingDelivery {
        id: DeliveryId(uuid(row, 0)?),
        event_id: EventId(uuid(row, 1)?),
        event: None,
        lane: LaneId(row.get(2)?),
        lane_seq: row.get(3)?,
        channel: row.get(4)?,
        target: target(row)?,
        mode: mode(row, 6)?,
        state: state(row, 7)?,
        rank: row.get(8)?,
        title: row.get(9)?,
        firing: row.get(10)?,
        resolved: row.get(11)?,
        born_at: row.get(12)?,
        due_at: row.get(13)?,
        tries: row.get(14)?,
        fallback_of: optional_uuid(row, 16)?.map(DeliveryId),
        fallback_depth: row.get(17)?,
    })
}

/// An event that was looked for.
pub(super) enum Found {
    /// It, and the bytes of its stored body.
    Event(StoredEvent, usize),
    /// Its body is larger than was asked for.
    TooLarge,
    /// There is none.
    Nothing,
}

/// One event, or `None` when it is not there.
pub(super) fn event(db: &Connection, id: EventId) -> Result<Option<StoredEvent>, Fail> {
    match event_within(db, id, usize::MAX)? {
        Found::Event(event, _) => Ok(Some(event)),
        Found::TooLarge | Found::Nothing => Ok(None),
    }
}

/// One event whose body is at most `bytes`.
pub(super) fn event_within(db: &Connection, id: EventId, bytes_left: usize) -> Result<Found, Fail> {
    let mut select = db.prepare_cached("SELECT received_at, plan, note, body FROM event WHERE id = ?1")?;
    let mut rows = select.query([bytes(&id.0)])?;
    let Some(row) = rows.next()? else { return Ok(Found::Nothing) };
    let size = row.get_ref(3)?.as_bytes().map_err(rusqlite::Error::from)?.len();
    if size > bytes_left {
        return Ok(Found::TooLarge);
    }
    let event = Arc::new(json::<Event>(row, 3, "an event's body")?);
    Ok(Found::Event(StoredEvent { id, received_at: row.get(0)?, plan: row.get(1)?, note: row.get(2)?, event }, size))
}

/// How a message came together.
pub(super) fn message_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<MessageKind> {
    let name = row.get_ref(column)?.as_str().map_err(|e| from_sql(column, e))?;
    MessageKind::parse(name).ok_or_else(|| unreadable(column, "a message is of a kind that this version does not know".into()))
}

/// A message's pages, stored in `column`.
pub(super) fn pages(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<Page>> {
    json(row, column, "a message's pages")
}

/// A message's cells, by page and recipient.
pub(super) fn cells(db: &Connection, message: MessageId) -> rusqlite::Result<Vec<Cell>> {
    let mut select = db.prepare_cached(
        "SELECT page, recipient, state, tries, unanswered, due_at, platform_id, code FROM cell WHERE message_id = ?1 ORDER BY page, recipient",
    )?;
    let rows = select.query_map([bytes(&message.0)], |row| {
        let name = row.get_ref(2)?.as_str().map_err(|e| from_sql(2, e))?;
        Ok(Cell {
            page: row.get(0)?,
            recipient: Recipient::new(row.get::<_, String>(1)?),
            state: CellState::parse(name).ok_or_else(|| unreadable(2, "a cell has a state that this version does not know".into()))?,
            tries: row.get(3)?,
            unanswered: row.get(4)?,
            due_at: row.get(5)?,
            platform_id: row.get(6)?,
            code: row.get(7)?,
        })
    })?;
    rows.collect()
}

/// A message's attempts, oldest first.
pub(super) fn attempts(db: &Connection, message: MessageId) -> rusqlite::Result<Vec<AttemptRow>> {
    let mut select =
        db.prepare_cached("SELECT id, page, begun_at, ended_at, kind, code, answer FROM attempt WHERE message_id = ?1 ORDER BY begun_at, id")?;
    let rows = select.query_map([bytes(&message.0)], |row| {
        Ok(AttemptRow {
            id: crate::model::AttemptId(uuid(row, 0)?),
            page: row.get(1)?,
            begun_at: row.get(2)?,
            ended_at: row.get(3)?,
            kind: row.get::<_, Option<String>>(4)?.map(|name| AttemptKind::parse(&name)),
            code: row.get(5)?,
            answer: row.get(6)?,
        })
    })?;
    rows.collect()
}
