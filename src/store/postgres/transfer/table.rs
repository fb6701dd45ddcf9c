//! How a table is read from SQLite and how it goes into PostgreSQL, column by column.

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use uuid::Uuid;

use super::super::error::DbError;
use super::super::tx::{Param, Tx};
use crate::store::Target;
use crate::store::prepared::{SEPARATOR, TextRule};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    MaybeId,
    Number,
    MaybeNumber,
    Small,
    Text,
    MaybeText,
    Bytes,
    MaybeBytes,
    Flag,
    /// Ids one behind the other.
    Ids,
    /// The fallback channels of a target, which PostgreSQL also keeps beside it.
    Fallback,
}

/// A table.
pub(super) struct Table {
    /// Its name on both sides.
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
    /// How many of the columns, from the first, tell rows apart.
    pub(super) key: usize,
    pub(super) when: When,
}

/// When a table is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// With the history; nobody else writes to it before the end of the transfer.
    History,
    /// With the history, and only once: what an earlier try copied is removed first.
    Replaced,
    /// With the history; a node that has nothing to deliver may have written to it.
    Shared,
    /// In the last transaction.
    Last,
}

use Kind::{Bytes, Fallback, Flag, Id, Ids, MaybeBytes, MaybeId, MaybeNumber, MaybeText, Number, Small, Text};

/// The values of one column.
enum Values {
    Ids(Vec<Uuid>),
    MaybeIds(Vec<Option<Uuid>>),
    Numbers(Vec<i64>),
    MaybeNumbers(Vec<Option<i64>>),
    Smalls(Vec<i32>),
    Texts(Vec<String>),
    MaybeTexts(Vec<Option<String>>),
    Bytes(Vec<Vec<u8>>),
    MaybeBytes(Vec<Option<Vec<u8>>>),
    Flags(Vec<bool>),
}

impl Values {
    fn new(kind: Kind) -> Self {
        match kind {
            Id => Values::Ids(Vec::new()),
            MaybeId => Values::MaybeIds(Vec::new()),
            Number => Values::Numbers(Vec::new()),
            MaybeNumber => Values::MaybeNumbers(Vec::new()),
            Small => Values::Smalls(Vec::new()),
            Text => Values::Texts(Vec::new()),
            MaybeText | Ids | Fallback => Values::MaybeTexts(Vec::new()),
            Bytes => Values::Bytes(Vec::new()),
            MaybeBytes => Values::MaybeBytes(Vec::new()),
            Flag => Values::Flags(Vec::new()),
        }
    }

    fn param(&self) -> &dyn Param {
        match self {
            Values::Ids(values) => values,
            Values::MaybeIds(values) => values,
            Values::Numbers(values) => values,
            Values::MaybeNumbers(values) => values,
            Values::Smalls(values) => values,
            Values::Texts(values) => values,
            Values::MaybeTexts(values) => values,
            Values::Bytes(values) => values,
            Values::MaybeBytes(values) => values,
            Values::Flags(values) => values,
        }
    }
}

/// Some rows of a table, column by column.
pub(super) struct Batch {
    pub(super) rows: usize,
    values: Vec<Values>,
}

/// Reads a table in batches of `step` rows until `give` says that nobody wants more.
pub(super) fn read(db: &Connection, table: &Table, step: usize, mut give: impl FnMut(Batch) -> bool) -> rusqlite::Result<()> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, kind)| if *kind == Fallback { "target" } else { *name }).collect();
    let mut statement = db.prepare(&format!("SELECT {} FROM {}", columns.join(", "), table.name))?;
    let mut rows = statement.query([])?;
    let fresh = || Batch { rows: 0, values: table.columns.iter().map(|(_, kind)| Values::new(*kind)).collect() };
    let mut batch = fresh();
    while let Some(row) = rows.next()? {
        for (place, ((_, kind), values)) in table.columns.iter().zip(&mut batch.values).enumerate() {
            add(values, *kind, row.get_ref(place)?)?;
        }
        batch.rows += 1;
        if batch.rows == step && !give(std::mem::replace(&mut batch, fresh())) {
            return Ok(());
        }
    }
    if batch.rows > 0 {
        give(batch);
    }
    Ok(())
}

fn add(values: &mut Values, kind: Kind, value: ValueRef<'_>) -> rusqlite::Result<()> {
    // PostgreSQL's text has no U+0000.
    let text = |value: ValueRef<'_>| Ok::<_, rusqlite::Error>(value.as_str_or_null()?.map(|text| text.replace('\0', "\u{FFFD}")));
    let id = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|error| unread(value, error));
    match values {
        Values::Ids(list) => list.push(id(value.as_blob()?)?),
        Values::MaybeIds(list) => list.push(value.as_blob_or_null()?.map(id).transpose()?),
        Values::Numbers(list) => list.push(value.as_i64()?),
        Values::MaybeNumbers(list) => list.push(value.as_i64_or_null()?),
        Values::Smalls(list) => list.push(i32::try_from(value.as_i64()?).unwrap_or(i32::MAX)),
        Values::Texts(list) => list.push(text(value)?.unwrap_or_default()),
        Values::MaybeTexts(list) if kind == Ids => {
            let ids =
                value.as_blob_or_null()?.map(|bytes| bytes.chunks(16).map(|each| Ok(id(each)?.to_string())).collect::<rusqlite::Result<Vec<_>>>());
            list.push(ids.transpose()?.map(|ids| format!("{{{}}}", ids.join(","))));
        }
        Values::MaybeTexts(list) if kind == Fallback => list.push(fallback(value.as_str()?).map_err(|error| unread(value, error))?),
        Values::MaybeTexts(list) => list.push(text(value)?),
        Values::Bytes(list) => list.push(value.as_blob()?.to_vec()),
        Values::MaybeBytes(list) => list.push(value.as_blob_or_null()?.map(<[u8]>::to_vec)),
        Values::Flags(list) => list.push(value.as_i64()? != 0),
    }
    Ok(())
}

fn unread(value: ValueRef<'_>, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, value.data_type(), Box::new(error))
}

/// The channels, with [`SEPARATOR`] between them. Read here, because the database's JSON functions refuse a text that holds U+0000 anywhere.
fn fallback(target: &str) -> Result<Option<String>, serde_json::Error> {
    let target: Target = serde_json::from_str(target)?;
    let mut list = target.fallback.join(SEPARATOR);
    TextRule::NoNul.apply(&mut list);
    Ok(Some(list).filter(|list| !list.is_empty()))
}

/// Inserts a batch. Rows that are there from a try before become what the source says now: it may have gone on working in between.
pub(super) async fn insert(tx: &Tx, table: &Table, batch: &Batch) -> Result<(), DbError> {
    let names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
    let value = |(name, kind): &(&str, Kind)| match kind {
        Ids => format!("n.{name}::uuid[]"),
        Fallback => format!("string_to_array(n.{name}, '{SEPARATOR}')"),
        _ => format!("n.{name}"),
    };
    let values: Vec<String> = table.columns.iter().map(value).collect();
    let places: Vec<String> = (1..=names.len()).map(|place| format!("${place}")).collect();
    let (key, rest) = names.split_at(table.key);
    // An epoch never falls: any earlier owner of the outlet must stay fenced.
    let changed = |name: &&str| match (table.name, *name) {
        ("outlet", "epoch") => "epoch = greatest(t.epoch, excluded.epoch)".to_owned(),
        (_, name) => format!("{name} = excluded.{name}"),
    };
    let all = format!("unnest({})", places.join(", "));
    let sql = format!(
        "INSERT INTO {table} AS t ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {all} AS n ({names})
         ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE ROW({old}) IS DISTINCT FROM ROW({new})",
        table = table.name,
        names = names.join(", "),
        values = values.join(", "),
        key = key.join(", "),
        changes = rest.iter().map(changed).collect::<Vec<_>>().join(", "),
        old = rest.iter().map(|name| format!("t.{name}")).collect::<Vec<_>>().join(", "),
        new = rest.iter().map(|name| format!("excluded.{name}")).collect::<Vec<_>>().join(", "),
    );
    let params: Vec<&dyn Param> = batch.values.iter().map(Values::param).collect();
    tx.execute(&sql, &params).await?;
    Ok(())
}
