//! Everything of a SQLite store into a PostgreSQL one: history first, then in one last transaction the lanes and outlets, without which nothing is
//! delivered. Broken off, it can be begun again, also when the source went on working meanwhile: what is there becomes what the source says now.

mod table;
mod tables;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::mpsc;

use super::connect::transaction;
use super::error::DbError;
use super::{PostgresStore, StoreError};
use crate::store::rows::StoredRow as _;
use table::{Batch, Table, When};
use tables::TABLES;

/// Rows copied in one transaction.
const ROWS_PER_BATCH: usize = 1000;

/// How far a transfer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The table.
    pub table: &'static str,
    /// Rows of it that are there now.
    pub done: u64,
    /// Rows of it in all.
    pub all: u64,
}

impl PostgresStore {
    /// Copies everything from the SQLite file, which no other process may be using, and returns how many rows that were. `told` is called after each step.
    ///
    /// Errors: [`StoreError::Invalid`] when this store holds deliveries of its own already; else those of reading and writing. What was copied before
    /// an error stays, and the next try goes on.
    pub async fn take_from(&self, file: &Path, mut told: impl FnMut(Progress)) -> Result<u64, StoreError> {
        let lanes = transaction!(&self.db, read, |tx| has_lanes(tx)).map_err(DbError::into_store_error)?;
        if lanes {
            return Err(StoreError::Invalid(
                "the database holds deliveries already: a transfer was completed before, or Watchfire ran on it; use an empty database".into(),
            ));
        }
        let mut total = 0;
        let (history, last): (Vec<&Table>, Vec<&Table>) = TABLES.iter().partition(|table| table.when != When::Last);
        for table in history {
            if table.when == When::Replaced {
                transaction!(&self.db, write, |tx| clear(tx, table)).map_err(DbError::into_store_error)?;
            }
            let mut copied = self.copy(file, table, &mut told).await?;
            if table.when == When::History && self.rows(table).await? > copied {
                // The source has removed some of what a try before had copied.
                transaction!(&self.db, write, |tx| clear(tx, table)).map_err(DbError::into_store_error)?;
                copied = self.copy(file, table, &mut told).await?;
            }
            total += copied;
        }
        let mut rest: Vec<(&Table, Vec<Batch>)> = Vec::new();
        for table in last {
            let (all, mut batches) = read(file.to_owned(), table).await?;
            let mut read = Vec::new();
            while let Some(batch) = batches.recv().await {
                read.push(batch?);
            }
            total += all;
            rest.push((table, read));
        }
        let numbers = last_number(file.to_owned()).await?;
        self.finish(&rest, numbers).await.map_err(DbError::into_store_error)?;
        for (table, batches) in &rest {
            let rows = batches.iter().map(|batch| batch.rows as u64).sum();
            told(Progress { table: table.name, done: rows, all: rows });
        }
        Ok(total)
    }

    async fn copy(&self, file: &Path, table: &'static Table, told: &mut impl FnMut(Progress)) -> Result<u64, StoreError> {
        let (all, mut batches) = read(file.to_owned(), table).await?;
        let mut done = 0;
        while let Some(batch) = batches.recv().await {
            let batch = batch?;
            done += batch.rows as u64;
            transaction!(&self.db, write, |tx| table::insert(tx, table, &batch)).map_err(DbError::into_store_error)?;
            told(Progress { table: table.name, done, all });
        }
        Ok(done)
    }

    /// Not bounded in time as other transactions are: there may be a million lanes.
    async fn finish(&self, rest: &[(&Table, Vec<Batch>)], numbers: i64) -> Result<(), DbError> {
        let tx = self.db.write().await?;
        finish(&tx, rest, numbers).await?;
        tx.commit().await
    }

    async fn rows(&self, table: &Table) -> Result<u64, StoreError> {
        transaction!(&self.db, read, |tx| count_rows(tx, table)).map_err(DbError::into_store_error)
    }
}

async fn count_rows(tx: &super::tx::Tx, table: &Table) -> Result<u64, DbError> {
    let row = tx.first(&format!("SELECT count(*) FROM {}", table.name), &[]).await?;
    row.map_or(Ok(0), |row| row.count(0))
}

async fn clear(tx: &super::tx::Tx, table: &Table) -> Result<(), DbError> {
    tx.batch(&format!("SET LOCAL statement_timeout TO 0; TRUNCATE {}", table.name)).await
}

async fn has_lanes(tx: &super::tx::Tx) -> Result<bool, DbError> {
    Ok(tx.first("SELECT 1 FROM lane LIMIT 1", &[]).await?.is_some())
}

async fn finish(tx: &super::tx::Tx, rest: &[(&Table, Vec<Batch>)], numbers: i64) -> Result<(), DbError> {
    // Many lanes take longer than a statement usually does.
    tx.batch("SET LOCAL statement_timeout TO 0").await?;
    for (table, batches) in rest {
        for batch in batches {
            table::insert(tx, table, batch).await?;
        }
    }
    // Nobody owns an outlet of a store that has moved. Lanes to come are numbered after those that came, and incidents after those that ever were.
    tx.batch(&format!(
        "UPDATE outlet SET owner = '', lease_until = 0; SELECT setval(pg_get_serial_sequence('lane', 'id'), (SELECT coalesce(max(id), 1) FROM lane));
         SELECT setval(pg_get_serial_sequence('timeline', 'id'), (SELECT coalesce(max(id), 1) FROM timeline));
         SELECT setval(pg_get_serial_sequence('incident', 'id'), {}, {})",
        numbers.max(1),
        numbers > 0
    ))
    .await
}

fn unread(error: rusqlite::Error) -> StoreError {
    StoreError::Unusable(format!("the SQLite store cannot be read: {error}"))
}

fn open(file: PathBuf) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn ended(_: tokio::task::JoinError) -> StoreError {
    StoreError::Unusable("reading the SQLite store ended unexpectedly".into())
}

/// The last number that an incident got, also when it was purged; 0 when there never was one.
async fn last_number(file: PathBuf) -> Result<i64, StoreError> {
    let last = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'incident'), 0)";
    tokio::task::spawn_blocking(move || open(file)?.query_row(last, [], |row| row.get(0))).await.map_err(ended)?.map_err(unread)
}

/// Reads a table in steps, on a thread of its own.
async fn read(file: PathBuf, table: &'static Table) -> Result<(u64, mpsc::Receiver<Result<Batch, StoreError>>), StoreError> {
    let (batches, taken) = mpsc::channel(2);
    let (db, all) = tokio::task::spawn_blocking(move || {
        let db = open(file)?;
        let all: i64 = db.query_row(&format!("SELECT count(*) FROM {}", table.name), [], |row| row.get(0))?;
        Ok((db, all as u64))
    })
    .await
    .map_err(ended)?
    .map_err(unread)?;
    tokio::task::spawn_blocking(move || {
        if let Err(error) = table::read(&db, table, ROWS_PER_BATCH, |batch| batches.blocking_send(Ok(batch)).is_ok()) {
            let _ = batches.blocking_send(Err(unread(error)));
        }
    });
    Ok((all, taken))
}
