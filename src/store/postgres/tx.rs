//! A transaction on a pooled connection, as a transaction-mode pooler allows it: no prepared statements, no session settings.
//!
//! Its settings are local to it and travel with its first statement, and statements that are awaited together travel together: each is sent when it
//! is first polled, and the database does them in that order. Dropped without its end it is rolled back. Knows no table.

use crate::model::UnixMs;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use deadpool_postgres::Object;
use futures_util::future::join;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::error::DbError;
use crate::store::StoreError;

/// A parameter that knows its type, so that a statement needs no question about it beforehand.
pub(super) trait Param: Send + Sync {
    fn bound(&self) -> (&(dyn ToSql + Sync), Type);
}

macro_rules! params {
    ($($rust:ty => $sql:ident),+ $(,)?) => {
        $(impl Param for $rust {
            fn bound(&self) -> (&(dyn ToSql + Sync), Type) {
                (self, Type::$sql)
            }
        })+
    };
}

params! {
    bool => BOOL, i32 => INT4, i64 => INT8, Option<i64> => INT8, UnixMs => INT8, Option<UnixMs> => INT8, Uuid => UUID, Option<Uuid> => UUID, &str => TEXT, String => TEXT,
    Option<String> => TEXT, Option<&str> => TEXT, &[u8] => BYTEA,
    Vec<bool> => BOOL_ARRAY, Vec<i32> => INT4_ARRAY, Vec<i64> => INT8_ARRAY, Vec<Option<i64>> => INT8_ARRAY, Vec<UnixMs> => INT8_ARRAY, Vec<Option<UnixMs>> => INT8_ARRAY, Vec<Uuid> => UUID_ARRAY,
    Vec<Option<Uuid>> => UUID_ARRAY, Vec<&str> => TEXT_ARRAY, Vec<Option<&str>> => TEXT_ARRAY, Vec<String> => TEXT_ARRAY,
    Vec<Option<String>> => TEXT_ARRAY, Vec<&[u8]> => BYTEA_ARRAY, Vec<Vec<u8>> => BYTEA_ARRAY,
    Vec<Option<Vec<u8>>> => BYTEA_ARRAY,
}

/// What a transaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Write,
    Read,
}

/// A transaction.
pub(super) struct Tx {
    client: Option<Object>,
    begin: Arc<str>,
    access: Access,
    begun: AtomicBool,
    /// Answers that are awaited.
    awaited: AtomicUsize,
    /// Whether a request was refused, here or by the database.
    failed: AtomicBool,
    /// Whether its end was sent.
    ended: AtomicBool,
}

impl Tx {
    /// One that is begun, by the statements `begin`, together with its first query.
    pub(super) fn new(client: Object, begin: Arc<str>, access: Access) -> Self {
        Self {
            client: Some(client),
            begin,
            access,
            begun: AtomicBool::new(false),
            awaited: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        }
    }

    /// Runs a request after the beginning of the transaction. Both are sent before either answer is awaited: requests of one connection are
    /// answered in the order in which they were sent.
    async fn run<'a, T, F>(&'a self, request: impl FnOnce(&'a Object) -> F) -> Result<T, DbError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let Some(client) = &self.client else { return Err(StoreError::closed().into()) };
        if self.ended.load(Ordering::Relaxed) {
            // It would be done outside the transaction.
            return Err(StoreError::Unusable("a bug in the store: a statement came after the end of its transaction; please report it".into()).into());
        }
        self.awaited.fetch_add(1, Ordering::Relaxed);
        let answer = if self.begun.swap(true, Ordering::Relaxed) {
            request(client).await
        } else {
            let (begin, answer) = join(client.batch_execute(&self.begin), request(client)).await;
            begin.and(answer)
        };
        self.awaited.fetch_sub(1, Ordering::Relaxed);
        if answer.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        Ok(answer?)
    }

    /// The rows that a statement returns.
    pub(super) async fn query(&self, sql: &str, params: &[&dyn Param]) -> Result<Vec<Row>, DbError> {
        let params: Vec<(&(dyn ToSql + Sync), Type)> = params.iter().map(|p| p.bound()).collect();
        self.run(|client| client.query_typed(sql, &params)).await
    }

    /// The first row, when there is one.
    pub(super) async fn first(&self, sql: &str, params: &[&dyn Param]) -> Result<Option<Row>, DbError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<u64, DbError> {
        let params: Vec<(&(dyn ToSql + Sync), Type)> = params.iter().map(|p| p.bound()).collect();
        self.run(|client| client.execute_typed(sql, &params)).await
    }

    /// Several statements without parameters.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), DbError> {
        self.run(|client| client.batch_execute(sql)).await
    }

    /// Commits; returns after the database has synced it. What only read is ended without waiting for that.
    pub(super) async fn commit(self) -> Result<(), DbError> {
        if self.access == Access::Read || self.ended.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.end().await
    }

    /// Commits behind the last statements without waiting for their answers. `last` must send all it has to say when it is first polled; what it
    /// says later is refused. When the database refuses one of them, the end undoes everything.
    pub(super) async fn commit_pipelined<T>(&self, last: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
        match join(last, self.end()).await {
            (Ok(done), committed) => committed.map(|()| done),
            // The connection broke: the end had been sent, and may have been heard.
            (Err(DbError::Sql(error)), _) if error.code().is_none() => Err(DbError::Unsure(error.to_string())),
            (Err(fail), _) => Err(fail),
        }
    }

    async fn end(&self) -> Result<(), DbError> {
        self.ended.store(true, Ordering::Relaxed);
        let Some(client) = self.client.as_ref().filter(|_| self.begun.load(Ordering::Relaxed)) else { return Ok(()) };
        self.awaited.fetch_add(1, Ordering::Relaxed);
        // A statement that could not even be sent is known to nobody but us.
        let done = client.batch_execute(if self.failed.load(Ordering::Relaxed) { "ROLLBACK" } else { "COMMIT" }).await;
        self.awaited.fetch_sub(1, Ordering::Relaxed);
        done.map_err(|error| match error.code() {
            // A server that goes down in the middle of it may have written it.
            Some(code) if !["08", "57"].contains(&&code.code()[..2]) => DbError::Sql(error),
            _ => DbError::Unsure(error.to_string()),
        })
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if *self.awaited.get_mut() > 0 {
            // Given up in the middle of a request: nobody knows when it will be answered, so nobody else shall have to wait for it.
            drop(Object::take(client));
            return;
        }
        if *self.ended.get_mut() || !*self.begun.get_mut() || client.is_closed() {
            return;
        }
        // The request is sent by its first poll and answered in its turn, before anything that the connection's next user sends; nobody has
        // to wait for that. What was read is committed, so that the database's own figures show no rollbacks that are none.
        let end = pin!(client.batch_execute(if self.access == Access::Read { "COMMIT" } else { "ROLLBACK" }));
        if let Poll::Ready(Err(error)) = end.poll(&mut Context::from_waker(Waker::noop())) {
            tracing::debug!(%error, "a transaction could not be ended; its connection is closed");
        }
    }
}
