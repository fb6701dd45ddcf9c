//! Rows of PostgreSQL: how columns are read ([`StoredRow`]), and how many rows are written as one array for each column.

use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use uuid::Uuid;

use super::error::DbError;
use super::tx::{Param, Tx};
use crate::model::{Event, EventId, OutletKey, UnixMs};
use crate::store::StoredEvent;
use crate::store::rows::StoredRow;

/// An event's columns for [`stored_event`].
pub(super) const EVENT: &str = "e.id, e.received_at, e.plan, e.note, e.body";

/// Times are stored as they are; this is the only place that converts them.
impl ToSql for UnixMs {
    fn to_sql(&self, sql_type: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql(sql_type, out)
    }

    tokio_postgres::types::accepts!(INT8);
    tokio_postgres::types::to_sql_checked!();
}

impl<'a> FromSql<'a> for UnixMs {
    fn from_sql(sql_type: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        i64::from_sql(sql_type, raw).map(Self)
    }

    tokio_postgres::types::accepts!(INT8);
}

impl StoredRow for Row {
    type Error = DbError;

    fn int(&self, column: usize) -> Result<i64, DbError> {
        // The page of a cell, an attempt and a receipt is an INTEGER.
        if *self.columns()[column].type_() == Type::INT4 { get::<i32>(self, column).map(i64::from) } else { get(self, column) }
    }

    fn optional_int(&self, column: usize) -> Result<Option<i64>, DbError> {
        get(self, column)
    }

    fn text(&self, column: usize) -> Result<&str, DbError> {
        get(self, column)
    }

    fn optional_text(&self, column: usize) -> Result<Option<&str>, DbError> {
        get(self, column)
    }

    fn bytes(&self, column: usize) -> Result<&[u8], DbError> {
        get(self, column)
    }

    fn optional_uuid(&self, column: usize) -> Result<Option<Uuid>, DbError> {
        get(self, column)
    }

    fn flag(&self, column: usize) -> Result<bool, DbError> {
        get(self, column)
    }

    fn unreadable(&self, _column: usize, what: &str) -> DbError {
        DbError::from(what.to_owned())
    }
}

/// A column's value.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, DbError> {
    Ok(row.try_get(column)?)
}

/// A limit as a parameter.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// An outlet's key.
pub(super) fn outlet(row: &Row, column: usize) -> Result<OutletKey, DbError> {
    Ok(OutletKey::from_stored(get(row, column)?))
}

/// How long the body of an event `b` is as JSON: what is packed names it in its second to fifth byte.
pub(super) const BODY_LENGTH: &str = "(CASE WHEN substr(b.body, 1, 1) BETWEEN '\\x01' AND '\\x1f'
    THEN ('x' || encode(substr(b.body, 2, 4), 'hex'))::bit(32)::bigint ELSE octet_length(b.body) END)";

/// An event as stored, from the columns [`EVENT`].
pub(super) fn stored_event(row: &Row) -> Result<StoredEvent, DbError> {
    Ok(StoredEvent {
        id: EventId(get(row, 0)?),
        received_at: get(row, 1)?,
        plan: get(row, 2)?,
        note: get(row, 3)?,
        event: Arc::new(row.packed::<Event>(4, get(row, 4)?, "an event's body")?),
    })
}

/// Rows to be written: the columns' names, and one array of values for each, in step.
#[derive(Default)]
pub(super) struct Columns<'a> {
    names: Vec<&'static str>,
    /// What is written of each, when it is not the value itself.
    written: Vec<Option<&'static str>>,
    values: Vec<Box<dyn Param + 'a>>,
}

impl<'a> Columns<'a> {
    /// One more column, with its value in each row.
    pub(super) fn with<T>(mut self, name: &'static str, values: impl Iterator<Item = T>) -> Self
    where
        Vec<T>: Param + 'a,
    {
        self.names.push(name);
        self.written.push(None);
        self.values.push(Box::new(values.collect::<Vec<T>>()));
        self
    }

    /// The same, with the expression that is written; `n` is the row.
    pub(super) fn with_expression<T>(self, name: &'static str, expression: &'static str, values: impl Iterator<Item = T>) -> Self
    where
        Vec<T>: Param + 'a,
    {
        let mut all = self.with(name, values);
        all.written.pop();
        all.written.push(Some(expression));
        all
    }

    /// The rows as a table `n`.
    fn table(&self) -> String {
        let marks: Vec<String> = (1..=self.names.len()).map(|n| format!("${n}")).collect();
        format!("unnest({}) AS n ({})", marks.join(", "), self.names.join(", "))
    }

    fn params(&self) -> Vec<&dyn Param> {
        self.values.iter().map(|value| &**value as &dyn Param).collect()
    }

    /// Inserts the rows; `conflict` is the end of the statement. All is sent when this is first polled.
    pub(super) async fn insert(&self, tx: &Tx, table: &str, conflict: &str) -> Result<(), DbError> {
        let written: Vec<String> =
            self.names.iter().zip(&self.written).map(|(name, written)| written.map_or_else(|| format!("n.{name}"), str::to_owned)).collect();
        let sql = format!("INSERT INTO {table} ({}) SELECT {} FROM {} {conflict}", self.names.join(", "), written.join(", "), self.table());
        tx.execute(&sql, &self.params()).await?;
        Ok(())
    }

    /// Updates the rows whose first column equals; all others are set.
    pub(super) async fn update(&self, tx: &Tx, table: &str) -> Result<(), DbError> {
        let set: Vec<String> = self.names.iter().skip(1).map(|name| format!("{name} = n.{name}")).collect();
        let key = self.names.first().copied().unwrap_or_default();
        let sql = format!("UPDATE {table} SET {} FROM {} WHERE {table}.{key} = n.{key}", set.join(", "), self.table());
        tx.execute(&sql, &self.params()).await?;
        Ok(())
    }
}
