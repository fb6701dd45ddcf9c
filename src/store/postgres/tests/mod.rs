//! The contract for the PostgreSQL engine, and what only this engine promises: several nodes at once, a database that goes away, migrations,
//! hints, leases by its clock.

mod away;
mod moving;
mod nodes;
mod opening;
mod queueing;
mod server;
mod together;

use std::sync::Arc;

use tokio_postgres::{Client, NoTls};

use super::{PostgresOptions, PostgresStore};
use crate::model::Secret;
use crate::store::Store;
use crate::store::contract::store_contract;

/// A schema of one test; removed with it from a server that is not ours.
pub(crate) struct Place {
    url: String,
    schema: String,
    ours: Option<server::Ours>,
}

impl Place {
    /// `None` where there is no server to test with.
    pub(crate) fn new() -> Option<Self> {
        let server = server::server()?;
        Some(Self { url: server.url, schema: server::schema(), ours: server.ours })
    }

    /// A store in the schema, by the times that callers give.
    pub(crate) fn options(&self) -> PostgresOptions {
        let mut options = PostgresOptions::new(Secret::new(self.url.clone()));
        options.schema.clone_from(&self.schema);
        // The contract's times are made up.
        options.database_clock = false;
        options
    }

    async fn open(&self) -> Arc<PostgresStore> {
        self.open_with(|_| {}).await
    }

    async fn open_with(&self, change: impl FnOnce(&mut PostgresOptions)) -> Arc<PostgresStore> {
        let mut options = self.options();
        change(&mut options);
        Arc::new(PostgresStore::open(options).await.unwrap())
    }

    /// A connection beside the store, in the test's schema.
    async fn shell(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&format!("SET search_path TO {}", self.schema)).await.unwrap();
        client
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.ours.is_some() {
            return;
        }
        let (url, drop) = (self.url.clone(), format!("SET lock_timeout TO '5s'; DROP SCHEMA IF EXISTS {} CASCADE", self.schema));
        let cleaner = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let (client, connection) = tokio_postgres::connect(&url, NoTls).await.map_err(std::io::Error::other)?;
                tokio::spawn(connection);
                client.batch_execute(&drop).await.map_err(std::io::Error::other)
            })
        });
        if !matches!(cleaner.join(), Ok(Ok(()))) {
            eprintln!("the schema {} of a test was not removed", self.schema);
        }
    }
}

async fn fresh() -> Option<(Arc<dyn Store>, Place)> {
    let place = Place::new()?;
    let store: Arc<dyn Store> = place.open().await;
    Some((store, place))
}

mod contract {
    super::store_contract!(crate::store::postgres::tests::fresh);
}
