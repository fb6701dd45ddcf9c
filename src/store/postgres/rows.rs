//! Between columns and types: JSON, names of states, and the one place that knows the order of a delivery's columns.
//!
//! What cannot be read becomes an error that says what it is, never a value of it and never a panic.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use super::failure::Fail;
use crate::model::{AttemptId, DeliveryId, Event, EventId, LaneId, MessageId, MessageKind, OutletKey, Page, Recipient};
use crate::store::{AttemptKind, AttemptRow, Cell, CellState, DeliveryRow, Mode, PendingDelivery, State, StoredEvent, Target};

/// A delivery's columns, in the order that [`delivery_row`] and [`waiting_row`] read them.
pub(super) const DELIVERY: &str = "d.id, d.event_id, d.lane_id, d.lane_seq, d.channel, d.target, d.mode, d.state, d.rank, d.title, d.firing, \
     d.resolved, d.born_at, d.due_at, d.tries, d.message_id, d.origin_id, d.hop, d.done_at, d.reason";
/// An event's columns for [`stored_event`].
pub(super) const EVENT: &str = "e.id, e.received_at, e.plan, e.note, e.body";
/// A cell's columns for [`cell`].
pub(super) const CELL: &str = "page, recipient, state, tries, unanswered, due_at, platform_id, code";
/// An attempt's columns for [`attempt`].
pub(super) const ATTEMPT: &str = "id, page, begun_at, ended_at, kind, code, answer";

/// A column's value.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Fail> {
    Ok(row.try_get(column)?)
}

/// A count that is never negative, as the type asked for.
pub(super) fn count<T: TryFrom<i64>>(row: &Row, column: usize) -> Result<T, Fail> {
    T::try_from(get::<i64>(row, column)?).map_err(|_| Fail::from("a number that must be a small count is not".to_owned()))
}

fn json<T: DeserializeOwned>(text: &[u8], what: &str) -> Result<T, Fail> {
    // The error tells the place in the text, not the text: it may hold addresses.
    serde_json::from_slice(text).map_err(|e| Fail::from(format!("{what} is not the JSON it should be (line {}, column {})", e.line(), e.column())))
}

/// A limit as a parameter.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A delivery's state.
pub(super) fn state(row: &Row, column: usize) -> Result<State, Fail> {
    State::parse(get(row, column)?).ok_or_else(|| Fail::from("a delivery has a state that this version does not know".to_owned()))
}

fn mode(row: &Row, column: usize) -> Result<Mode, Fail> {
    Mode::parse(get(row, column)?).ok_or_else(|| Fail::from("a delivery has a mode that this version does not know".to_owned()))
}

/// An outlet's key.
pub(super) fn outlet(row: &Row, column: usize) -> Result<OutletKey, Fail> {
    Ok(OutletKey::from_stored(get(row, column)?))
}

/// What the route asked for (column `target` of [`DELIVERY`]).
pub(super) fn target(row: &Row) -> Result<Target, Fail> {
    json(get::<&str>(row, 5)?.as_bytes(), "a delivery's target")
}

/// A delivery for a list, from the columns [`DELIVERY`].
pub(super) fn delivery_row(row: &Row) -> Result<DeliveryRow, Fail> {
    Ok(DeliveryRow {
        id: DeliveryId(get(row, 0)?),
        event: EventId(get(row, 1)?),
        channel: get(row, 4)?,
        state: state(row, 7)?,
        mode: mode(row, 6)?,
        rank: get(row, 8)?,
        title: get(row, 9)?,
        firing: count(row, 10)?,
        resolved: count(row, 11)?,
        born_at: get(row, 12)?,
        due_at: get(row, 13)?,
        tries: count(row, 14)?,
        message: get::<Option<Uuid>>(row, 15)?.map(MessageId),
        fallback_of: get::<Option<Uuid>>(row, 16)?.map(DeliveryId),
        done_at: get(row, 18)?,
        reason: get(row, 19)?,
    })
}

/// A delivery that waits, without its event, from the columns [`DELIVERY`].
pub(super) fn waiting_row(row: &Row) -> Result<PendingDelivery, Fail> {
    Ok(PendingDelivery {
        id: DeliveryId(get(row, 0)?),
        event_id: EventId(get(row, 1)?),
        event: None,
        lane: LaneId(get(row, 2)?),
        lane_seq: get(row, 3)?,
        channel: get(row, 4)?,
        target: target(row)?,
        mode: mode(row, 6)?,
        state: state(row, 7)?,
        rank: get(row, 8)?,
        title: get(row, 9)?,
        firing: count(row, 10)?,
        resolved: count(row, 11)?,
        born_at: get(row, 12)?,
        due_at: get(row, 13)?,
        tries: count(row, 14)?,
        fallback_of: get::<Option<Uuid>>(row, 16)?.map(DeliveryId),
        fallback_depth: count(row, 17)?,
    })
}

/// An event, from the columns [`EVENT`].
pub(super) fn stored_event(row: &Row) -> Result<StoredEvent, Fail> {
    Ok(StoredEvent {
        id: EventId(get(row, 0)?),
        received_at: get(row, 1)?,
        plan: get(row, 2)?,
        note: get(row, 3)?,
        event: Arc::new(json::<Event>(get(row, 4)?, "an event's body")?),
    })
}

/// How a message came together.
pub(super) fn message_kind(row: &Row, column: usize) -> Result<MessageKind, Fail> {
    MessageKind::parse(get(row, column)?).ok_or_else(|| Fail::from("a message is of a kind that this version does not know".to_owned()))
}

/// A message's pages, stored in `column`.
pub(super) fn pages(row: &Row, column: usize) -> Result<Vec<Page>, Fail> {
    json(get(row, column)?, "a message's pages")
}

/// A cell, from the columns [`CELL`] beginning at `at`.
pub(super) fn cell(row: &Row, at: usize) -> Result<Cell, Fail> {
    let state = CellState::parse(get(row, at + 2)?).ok_or_else(|| Fail::from("a cell has a state that this version does not know".to_owned()))?;
    Ok(Cell {
        page: page(row, at)?,
        recipient: Recipient::new(get::<String>(row, at + 1)?),
        state,
        tries: count(row, at + 3)?,
        unanswered: count(row, at + 4)?,
        due_at: get(row, at + 5)?,
        platform_id: get(row, at + 6)?,
        code: get(row, at + 7)?,
    })
}

/// An attempt, from the columns [`ATTEMPT`].
pub(super) fn attempt(row: &Row) -> Result<AttemptRow, Fail> {
    Ok(AttemptRow {
        id: AttemptId(get(row, 0)?),
        page: page(row, 1)?,
        begun_at: get(row, 2)?,
        ended_at: get(row, 3)?,
        kind: get::<Option<&str>>(row, 4)?.map(AttemptKind::parse),
        code: get(row, 5)?,
        answer: get(row, 6)?,
    })
}

fn page(row: &Row, column: usize) -> Result<u16, Fail> {
    u16::try_from(get::<i32>(row, column)?).map_err(|_| Fail::from("a page's number is out of range".to_owned()))
}
