//! The store in PostgreSQL: the engine for several processes, also behind a pooler that lends a connection for one transaction at a time.
//!
//! Two tasks commit in groups, events and outcomes; all else is one transaction each on a pooled connection. This file holds options,
//! start and stop; `engine` hands each method of the traits to the module that implements it.

mod accept;
mod acts;
mod address;
mod admin;
mod anchors;
mod audit;
mod connect;
mod engine;
mod error;
mod fallback;
mod group;
mod guard;
mod history;
mod incidents;
mod lanes;
mod lease;
mod listen;
mod messages;
mod migrate;
mod mute;
mod nodes;
mod notices;
mod notify;
mod oncall;
mod outcome;
mod outcome_parts;
mod outlets;
mod purge;
mod queries;
mod queue;
mod read;
mod receipts;
mod relocate;
mod reports;
mod rows;
mod session;
mod silence_rows;
mod silences;
mod steps;
mod timeline;
mod tls;
mod transfer;
mod tx;

#[cfg(test)]
pub(crate) mod tests;

pub use transfer::Progress;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;

use self::connect::Db;
use self::error::DbError;
use self::notify::Hints;
use self::queue::Queue;
use super::bounded_queue::{COMPANY_TIMEOUT, QueueLimits};
use super::prepared::{PreparedEvent, PreparedOutcome};
use super::*;
use crate::model::Secret;

/// How a PostgreSQL store is opened.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// `postgres://user:password@host:5432/name?sslmode=require`; several hosts may be given, the one that takes writes is found. `sslmode`:
    /// `disable`; `prefer` (the default: encrypted when the server can, its certificate is not proved); `require`, `verify-ca` and `verify-full`
    /// (encrypted, and the certificate must be proved by the system's or Mozilla's authorities, or those in the PEM file `sslrootcert`).
    pub url: Secret,
    /// The schema that holds the tables; made when it is not there. Letters a-z, digits and underscores.
    pub schema: String,
    /// Connections at most; at least 4.
    pub connections: usize,
    /// How long a connection may take to be made, and how long one may wait for a free one.
    pub connect_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// With it, opening waits for a database that is down, and says so there; without it fails.
    pub wait: Option<OpenProgress>,
    /// Bytes of requests that may wait, for events and for outcomes each; beyond it they are [`StoreError::Busy`].
    pub queue_bytes: usize,
    /// Requests that may wait, for events and for outcomes each.
    pub queue_requests: usize,
    /// A request that waited longer than this is not begun any more and becomes [`StoreError::Busy`].
    pub queue_age: Duration,
    /// How long outcomes that nothing waits for may wait for others to share their commit.
    pub patience: Duration,
    /// Whether leases are measured by the database's clock instead of the callers' clocks, which may differ from node to node.
    pub database_clock: bool,
    /// Whether other nodes are notified that something waits on an outlet: `NOTIFY watchfire` with the outlet's key. It is sent once [`ClusterStore::subscribe`] is
    /// asked for.
    pub notify: bool,
}

impl PostgresOptions {
    /// The defaults: schema `watchfire`, 8 connections, 5 s to connect and 10 s a statement, queues of 64 MiB and 16,384 requests of at most 5 s,
    /// outcomes that wait for 5 ms, the database's clock, hints on, no waiting.
    pub fn new(url: Secret) -> Self {
        Self {
            url,
            schema: "watchfire".into(),
            connections: 8,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            wait: None,
            queue_bytes: 64 << 20,
            queue_requests: 16_384,
            queue_age: Duration::from_secs(5),
            patience: COMPANY_TIMEOUT,
            database_clock: true,
            notify: true,
        }
    }
}

/// The store in a PostgreSQL database.
pub struct PostgresStore {
    db: Arc<Db>,
    events: Arc<Queue<PreparedEvent, Accepted>>,
    outcomes: Arc<Queue<PreparedOutcome, RecordedOutcome>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    database_clock: bool,
    hints: Arc<Hints>,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("schema", &self.db.schema()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// The version of the schema that this program reads and writes.
    pub const SCHEMA: i64 = migrate::VERSION;

    /// Whether the URL of a database can be used. Connects nowhere; the error never repeats the URL, which holds a password.
    pub fn check_url(url: &Secret) -> Result<(), StoreError> {
        address::read(url, Duration::ZERO).map(drop)
    }

    /// Connects, brings the schema up to date and starts the tasks; must be called in a Tokio runtime. With `wait` it goes on trying until the
    /// database is there, says there why it waits, and ends when dropped.
    ///
    /// Errors: [`StoreError::Invalid`] for a URL or schema name that cannot be used; [`StoreError::Unavailable`] when the database cannot be reached
    /// or refuses the login; [`StoreError::Unusable`] when it is newer than this program or not Watchfire's. The text says what to do.
    pub async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        let db = Db::new(&options)?;
        while let Err(error) = migrate::migrate(&db).await.map_err(DbError::into_store_error) {
            match &options.wait {
                Some(wait) if matches!(error, StoreError::Unavailable(_) | StoreError::Slow(_) | StoreError::Busy) => wait.say(&error),
                _ => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let db = Arc::new(db);
        let limits = QueueLimits { bytes: options.queue_bytes, requests: options.queue_requests, age: options.queue_age, patience: options.patience };
        let (events, outcomes) = (Arc::new(Queue::new(limits)), Arc::new(Queue::new(limits)));
        let tasks = vec![
            tokio::spawn(group::run::<PreparedEvent>(db.clone(), events.clone())),
            tokio::spawn(group::run::<PreparedOutcome>(db.clone(), outcomes.clone())),
        ];
        Ok(Self {
            db,
            events,
            outcomes,
            tasks: Mutex::new(tasks),
            database_clock: options.database_clock,
            hints: Arc::new(Hints::new(options.notify)),
        })
    }

    fn stop(&self) {
        self.db.close_quietly();
        self.events.close();
        self.outcomes.close();
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.stop();
    }
}
