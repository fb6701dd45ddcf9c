//! Connections: the pool, what each transaction begins with, and patience with a database that is down.
//!
//! Knows no table. While the database is down, one attempt to connect is made at a time, ever more rarely; all other callers fail at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use tokio_postgres::tls::{MakeTlsConnect, NoTlsStream};
use tokio_postgres::{Client, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use super::PostgresOptions;
use super::address::{self, Address};
use super::error::{DbError, store_error};
use super::tls;
use super::tx::{Access, Tx};
use crate::store::StoreError;

/// The first pause after a failed attempt to connect; it doubles up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest pause between two attempts to connect.
const LONGEST: Duration = Duration::from_secs(5);
/// How long the database waits for the next statement of a transaction: a node that is cut off in the middle of one must not keep its locks for
/// as long as others wait to take its outlets over.
const IDLE: Duration = Duration::from_secs(2);
/// How often work is done again when others were in its way.
const MAX_RETRIES: u32 = 5;

/// The way to the database.
pub(super) struct Db {
    pool: Pool,
    writes: Mutex<Arc<str>>,
    reads: Arc<str>,
    patience: Mutex<Patience>,
    /// How long a transaction may take altogether, seen from here.
    limit: Duration,
    schema: String,
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
    silent: CancellationToken,
}

/// A connection of its own, for hints.
pub(super) enum Listening {
    /// Without encryption.
    Plain(Client, Box<Connection<Socket, NoTlsStream>>),
    /// With.
    Secured(Client, Box<Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>>),
}

#[derive(Default)]
struct Patience {
    pause: Duration,
    until: Option<Instant>,
    why: String,
}

/// Runs work in a transaction, again when others were in its way; the work must be repeatable. `$tx` is the transaction for `$work`.
macro_rules! transaction {
    ($db:expr, $begin:ident, |$tx:ident| $work:expr) => {{
        let db: &$crate::store::postgres::connect::Db = $db;
        let mut tries = 0;
        loop {
            let done = db
                .bounded(async {
                    let tx = db.$begin().await?;
                    let made = {
                        let $tx = &tx;
                        $work.await?
                    };
                    tx.commit().await?;
                    Ok(made)
                })
                .await;
            match done {
                Err(fail) if db.may_go_again(&fail, tries) => tries += 1,
                done => break done,
            }
        }
    }};
}
pub(super) use transaction;

impl Db {
    /// Reads the URL and makes the pool; connects only when asked for a transaction.
    pub(super) fn new(options: &PostgresOptions) -> Result<Self, StoreError> {
        let mut letters = options.schema.chars();
        let begins = letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
        if !begins || options.schema.len() > 63 || !letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            return Err(StoreError::Invalid(format!(
                "`{}` cannot be the name of the database schema: use up to 63 of a-z, 0-9 and _, not beginning with a digit",
                options.schema
            )));
        }
        let Address { config, trust } = address::read(&options.url, options.connect_timeout)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let tls = trust
            .map(|trust| tls::client_config(&trust).map(MakeRustlsConnect::new))
            .transpose()
            .map_err(|why| StoreError::Unavailable(format!("no encrypted connection to the database can be made: {why}; see `sslrootcert`")))?;
        let manager = match &tls {
            None => Manager::from_config(config.clone(), NoTls, recycling),
            Some(tls) => Manager::from_config(config.clone(), tls.clone(), recycling),
        };
        let pool = Pool::builder(manager)
            .max_size(options.connections.max(4))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.connect_timeout))
            .create_timeout(Some(options.connect_timeout.saturating_mul(2)))
            .build()
            .map_err(|error| StoreError::Unavailable(format!("the pool of database connections cannot be made: {error}")))?;
        // Settings are local to the transaction: behind a pooler that lends a connection for one transaction nothing else holds.
        let ms = options.statement_timeout.as_millis().max(1);
        let local = format!(
            "SET LOCAL search_path TO \"{schema}\"; SET LOCAL statement_timeout TO {ms}; SET LOCAL idle_in_transaction_session_timeout TO {idle}",
            schema = options.schema,
            idle = (ms * 2).min(IDLE.as_millis()),
        );
        Ok(Self {
            pool,
            writes: Mutex::new(format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {local}").into()),
            reads: format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {local}").into(),
            patience: Mutex::default(),
            limit: options.statement_timeout.saturating_add(options.connect_timeout),
            schema: options.schema.clone(),
            config,
            tls,
            silent: CancellationToken::new(),
        })
    }

    /// A connection of its own, outside the pool.
    pub(super) async fn listening(&self) -> Result<Listening, tokio_postgres::Error> {
        match &self.tls {
            None => self.config.connect(NoTls).await.map(|(client, connection)| Listening::Plain(client, Box::new(connection))),
            Some(tls) => self.config.connect(tls.clone()).await.map(|(client, connection)| Listening::Secured(client, Box::new(connection))),
        }
    }

    /// Ends the listening.
    pub(super) fn close_quietly(&self) {
        self.silent.cancel();
    }

    /// When the listening ends.
    pub(super) fn silent(&self) -> CancellationToken {
        self.silent.clone()
    }

    /// The schema that holds the tables; letters, digits and underscores only.
    pub(super) fn schema(&self) -> &str {
        &self.schema
    }

    /// Makes every later commit wait for the disk although the database would not by itself.
    pub(super) fn sync_commits(&self) {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        *writes = format!("{writes}; SET LOCAL synchronous_commit TO on").into();
    }

    /// A transaction that writes.
    pub(super) async fn write(&self) -> Result<Tx, DbError> {
        let begin = self.writes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Tx::new(self.lend().await?, begin, Access::Write))
    }

    /// A transaction that reads one snapshot.
    pub(super) async fn read(&self) -> Result<Tx, DbError> {
        Ok(Tx::new(self.lend().await?, self.reads.clone(), Access::Read))
    }

    /// Ends work that takes too long: a database that vanished behind an open connection never answers.
    pub(super) async fn bounded<T>(&self, work: impl Future<Output = Result<T, DbError>>) -> Result<T, DbError> {
        let late = || DbError::Unsure(format!("no answer within {} s", self.limit.as_secs()));
        tokio::time::timeout(self.limit, work).await.unwrap_or_else(|_| Err(late()))
    }

    /// Whether work that failed like this is to be done again.
    pub(super) fn may_go_again(&self, fail: &DbError, tries: u32) -> bool {
        fail.is_passing() && tries < MAX_RETRIES
    }

    /// Ends all connections; later transactions are refused.
    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// A connection, outside any transaction.
    pub(super) async fn lend(&self) -> Result<Object, DbError> {
        self.still_away()?;
        match self.pool.get().await {
            Ok(object) => {
                *self.patience.lock().unwrap_or_else(PoisonError::into_inner) = Patience::default();
                Ok(object)
            }
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(StoreError::Busy.into()),
            Err(PoolError::Closed) => Err(StoreError::closed().into()),
            Err(PoolError::Backend(error)) => Err(self.away(store_error(&error)).into()),
            Err(PoolError::Timeout(_)) => Err(self
                .away(StoreError::Unavailable("the database did not answer in time; check that it runs and can be reached from here".into()))
                .into()),
            Err(error) => Err(self.away(StoreError::Unavailable(format!("no connection to the database: {error}"))).into()),
        }
    }

    fn still_away(&self) -> Result<(), StoreError> {
        let mut patience = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match patience.until {
            Some(until) if now < until => Err(StoreError::Unavailable(patience.why.clone())),
            Some(_) => {
                // The first after the pause tries; the others are refused until that is decided.
                patience.until = Some(now + patience.pause);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn away(&self, error: StoreError) -> StoreError {
        let mut patience = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        patience.pause = (patience.pause * 2).clamp(SHORTEST, LONGEST);
        patience.until = Some(Instant::now() + patience.pause);
        patience.why = error.to_string();
        if !matches!(error, StoreError::Unavailable(_)) {
            return StoreError::Unavailable(patience.why.clone());
        }
        error
    }
}
