//! The store in one SQLite file: the embedded engine, for one process at a time.
//!
//! One writer thread commits in groups, a few threads read, one moves the log into the file when it is quiet. This file holds options,
//! start and stop; `engine` hands each method of the traits to the module that implements it.

mod accept;
mod acts;
mod admin;
mod anchors;
mod audit;
mod backup;
mod begin;
mod checkpoint;
mod conditions;
mod engine;
mod error;
mod fallback;
mod ground;
mod guard;
mod history;
mod incidents;
mod lease;
mod messages;
mod mute;
mod notices;
mod oncall;
mod open;
mod operator;
mod outcome;
mod outlets;
mod purge;
mod queue;
mod read;
mod readers;
mod receipts;
mod relocate;
mod rows;
mod session;
mod silence_rows;
mod silences;
mod steps;
mod timeline;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use self::error::DbError;
use self::ground::ForeignWrite;
use self::open::Files;
use self::queue::{Class, Queue};
use super::bounded_queue::{COMPANY_TIMEOUT, QueueLimits};
use super::*;

/// How a SQLite store is opened.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The database file; `-wal`, `-shm` and `.lock` lie beside it. Made with mode 0600 when it is not there; its folder must exist.
    pub path: PathBuf,
    /// With it [`SqliteStore::open_async`] waits while another process has the database open, and says so there; without it fails.
    pub wait: Option<OpenProgress>,
    /// Threads that read.
    pub readers: usize,
    /// Bytes of requests that may wait for the writer; beyond it they are [`StoreError::Busy`].
    pub queue_bytes: usize,
    /// Requests that may wait for the writer.
    pub queue_requests: usize,
    /// A request that waited longer than this is not begun any more and becomes [`StoreError::Busy`].
    pub queue_age: Duration,
    /// How long outcomes that nothing waits for may wait for others to share their commit.
    pub patience: Duration,
    /// The largest size of the database file in bytes; at it writes fail with [`StoreError::Unavailable`] until a purge or a larger cap makes room.
    pub max_bytes: Option<u64>,
}

impl SqliteOptions {
    /// The defaults: 3 readers, a queue of 64 MiB and 16,384 requests of at most 5 s, outcomes that wait for 5 ms, no size cap, no waiting.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            wait: None,
            readers: 3,
            queue_bytes: 64 << 20,
            queue_requests: 16_384,
            queue_age: Duration::from_secs(5),
            patience: COMPANY_TIMEOUT,
            max_bytes: None,
        }
    }
}

/// How long the pages of a file that another program has written to are checked.
const MAX_CHECK: Duration = Duration::from_secs(30);

/// The store in a SQLite file.
pub struct SqliteStore {
    queue: Arc<Queue>,
    readers: Arc<readers::Readers>,
    activity: Arc<checkpoint::Activity>,
    files: Arc<Files>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.files.path()).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// The version of the schema that this program reads and writes.
    pub const SCHEMA: usize = open::MIGRATIONS.len();

    /// Opens the database, on the calling thread. Never waits for another process.
    ///
    /// Errors: [`StoreError::Unavailable`] when it is in use, or cannot be reached or written; [`StoreError::Unusable`] when it is damaged, newer
    /// than this program, or not Watchfire's. The text says what to do.
    pub fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        let lock = open::lock(&options.path)?;
        Self::start(options, lock)
    }

    /// The same without blocking the runtime. With `wait` it looks four times a second while another process has the database, and ends when dropped.
    pub async fn open_async(options: SqliteOptions) -> Result<Self, StoreError> {
        loop {
            let path = options.path.clone();
            let locked = tokio::task::spawn_blocking(move || open::lock(&path)).await.map_err(stopped)?;
            match (locked, &options.wait) {
                (Ok(lock), _) => return tokio::task::spawn_blocking(move || Self::start(options, lock)).await.map_err(stopped)?,
                (Err(open::Locked::InUse(error)), Some(wait)) => {
                    wait.say(&error);
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                (Err(error), _) => return Err(error.into()),
            }
        }
    }

    fn start(options: SqliteOptions, lock: File) -> Result<Self, StoreError> {
        let (files, db) = open::prepare(&options.path, options.max_bytes, lock)?;
        let limits = QueueLimits { bytes: options.queue_bytes, requests: options.queue_requests, age: options.queue_age, patience: options.patience };
        let store = Self {
            queue: Arc::new(Queue::new(limits)),
            readers: Arc::default(),
            activity: Arc::default(),
            files: Arc::new(files),
            threads: Mutex::default(),
        };
        store.spawn_all(options.readers.max(1), db).map_err(|error| {
            StoreError::Unavailable(format!("the store's threads cannot be started: {error}; check the limit of processes and threads"))
        })?;
        Ok(store)
    }

    fn spawn_all(&self, readers: usize, db: Connection) -> std::io::Result<()> {
        let writer = writer::Writer::new(db, self.queue.clone(), self.files.clone(), self.activity.clone());
        self.spawn("store-writer", move || writer.run())?;
        let (files, activity) = (self.files.clone(), self.activity.clone());
        self.spawn("store-log", move || checkpoint::run(&files, &activity))?;
        for _ in 0..readers {
            let (readers, files) = (self.readers.clone(), self.files.clone());
            self.spawn("store-reader", move || readers::run(&readers, &files))?;
        }
        Ok(())
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name(name.into()).spawn(run)?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    async fn write<T, F>(&self, cost: usize, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        writer::submit(&self.queue, Class::Other, cost, work).await
    }

    /// Checks the pages of the file that another program has written to. Values inside a page are not checked.
    ///
    /// # Errors
    /// Always: [`StoreError::Unusable`] when a page has not the form that it should have; else [`StoreError::Unavailable`], once, so that people learn of it.
    async fn check_pages(&self, write: ForeignWrite) -> Result<(), StoreError> {
        let files = self.files.clone();
        files.ground.there()?;
        let name = files.path().display().to_string();
        let damaged = |what: &str| format!("another program has written over `{name}` while Watchfire has it open: {what}");
        let db = files.reader().map_err(|error| match error::store_error(&error) {
            StoreError::Unusable(why) => files.ground.condemn(damaged(&why)),
            error => error,
        })?;
        let interrupt = db.get_interrupt_handle();
        let mut check = tokio::task::spawn_blocking(move || db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)));
        let verdict = match tokio::time::timeout(MAX_CHECK, &mut check).await {
            Ok(verdict) => verdict.map_err(stopped)?,
            Err(_) => {
                interrupt.interrupt();
                let _ = check.await;
                Ok("ok, as far as it could be checked".to_owned())
            }
        };
        match verdict {
            Ok(verdict) if verdict.starts_with("ok") => {
                files.ground.admit(write);
                Err(StoreError::Unavailable(format!(
                    "another program has written to `{name}` while Watchfire has it open: its pages are sound ({verdict}), but what was written into rows \
                     cannot be seen; find out which program it was (only a backup by `watchfire backup` is safe); Watchfire continues"
                )))
            }
            Ok(verdict) => Err(files.ground.condemn(damaged(&format!("it is damaged ({verdict}); {}", error::DAMAGED)))),
            Err(error) => match error::store_error(&error) {
                StoreError::Unusable(why) => Err(files.ground.condemn(damaged(&why))),
                error => Err(error),
            },
        }
    }

    fn stop(&self) {
        self.files.ground.end();
        self.queue.close();
        self.readers.close();
        self.activity.close();
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.stop();
    }
}

fn stopped(error: tokio::task::JoinError) -> StoreError {
    StoreError::Unavailable(format!("the database was not opened: {error}"))
}
