//! A transaction on a pooled connection, as a transaction-mode pooler allows it: no prepared statements, no session settings.
//!
//! Its settings are local to it and travel with its first statement. Dropped without [`Tx::commit`] it is rolled back. Knows no table.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use deadpool_postgres::Object;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::failure::Fail;

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
    bool => BOOL, i32 => INT4, i64 => INT8, Option<i64> => INT8, Uuid => UUID, Option<Uuid> => UUID, &str => TEXT, String => TEXT,
    Option<String> => TEXT, Option<&str> => TEXT, &[u8] => BYTEA,
    Vec<bool> => BOOL_ARRAY, Vec<i32> => INT4_ARRAY, Vec<i64> => INT8_ARRAY, Vec<Option<i64>> => INT8_ARRAY, Vec<Uuid> => UUID_ARRAY,
    Vec<Option<Uuid>> => UUID_ARRAY, Vec<&str> => TEXT_ARRAY, Vec<Option<&str>> => TEXT_ARRAY, Vec<String> => TEXT_ARRAY,
    Vec<Option<String>> => TEXT_ARRAY, Vec<&[u8]> => BYTEA_ARRAY, Vec<Vec<u8>> => BYTEA_ARRAY,
}

/// A transaction.
pub(super) struct Tx {
    client: Object,
    begin: std::sync::Arc<str>,
    begun: AtomicBool,
    ended: bool,
}

impl Tx {
    /// One that is begun, by the statements `begin`, together with its first query.
    pub(super) fn new(client: Object, begin: std::sync::Arc<str>) -> Self {
        Self { client, begin, begun: AtomicBool::new(false), ended: false }
    }

    /// The rows that a statement gives.
    pub(super) async fn query(&self, sql: &str, params: &[&dyn Param]) -> Result<Vec<Row>, Fail> {
        let params: Vec<(&(dyn ToSql + Sync), Type)> = params.iter().map(|p| p.bound()).collect();
        let query = self.client.query_typed(sql, &params);
        if self.begun.swap(true, Ordering::Relaxed) {
            return Ok(query.await?);
        }
        // Both are sent before either answer is awaited: requests of one connection are answered in the order in which they were sent.
        let (begin, rows) = futures_util::future::join(self.client.batch_execute(&self.begin), query).await;
        begin?;
        Ok(rows?)
    }

    /// The first row, when there is one.
    pub(super) async fn first(&self, sql: &str, params: &[&dyn Param]) -> Result<Option<Row>, Fail> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&self, sql: &str, params: &[&dyn Param]) -> Result<u64, Fail> {
        if !self.begun.load(Ordering::Relaxed) {
            self.query("SELECT 1", &[]).await?;
        }
        let params: Vec<(&(dyn ToSql + Sync), Type)> = params.iter().map(|p| p.bound()).collect();
        Ok(self.client.execute_typed(sql, &params).await?)
    }

    /// Several statements without parameters.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Fail> {
        if !self.begun.load(Ordering::Relaxed) {
            self.query("SELECT 1", &[]).await?;
        }
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Commits; returns after the database has synced it.
    pub(super) async fn commit(mut self) -> Result<(), Fail> {
        self.ended = true;
        if !*self.begun.get_mut() {
            return Ok(());
        }
        self.client.batch_execute("COMMIT").await.map_err(|error| match error.code() {
            Some(_) => Fail::Sql(error),
            None => Fail::Unsure(error.to_string()),
        })
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if self.ended || !*self.begun.get_mut() || self.client.is_closed() {
            return;
        }
        // The request is sent by its first poll and answered in its turn, before anything that the connection's next user sends; nobody has
        // to wait for that.
        let rollback = pin!(self.client.batch_execute("ROLLBACK"));
        if let Poll::Ready(Err(error)) = rollback.poll(&mut Context::from_waker(Waker::noop())) {
            tracing::debug!(%error, "a transaction could not be rolled back; its connection is closed");
        }
    }
}
