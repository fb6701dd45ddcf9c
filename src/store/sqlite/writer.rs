//! The writer: one thread, one connection, and group commit.
//!
//! Whenever it is free and something is due, it takes all that waits, commits it as one transaction, and answers once that is on disk. Knows transactions and their
//! failures; does not know what the jobs mean.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::checkpoint::Activity;
use super::error::{DbError, store_error};
use super::open::Files;
use super::queue::{Batch, Class, Job, Queue};
use crate::store::StoreError;

/// Requests of a failed transaction that the disk refuses one after the other, until the rest is refused, too.
const MAX_BROKEN_IN_A_ROW: usize = 2;

/// A job made of a closure; the closure must be repeatable.
struct Task<T, F> {
    work: F,
    made: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, DbError> + Send,
{
    fn run(&mut self, db: &Connection) -> Result<(), DbError> {
        self.made = match (self.work)(db) {
            Ok(answer) => Some(Ok(answer)),
            Err(DbError::Refused(error)) => Some(Err(error)),
            Err(fail) => return Err(fail),
        };
        Ok(())
    }

    fn answer(self: Box<Self>, error: Option<StoreError>) {
        let answer = match (error, self.made) {
            (Some(error), _) => Err(error),
            (None, Some(made)) => made,
            (None, None) => Err(StoreError::Unavailable("the work was never run".into())),
        };
        // No caller waits when it was cancelled; the work is done either way.
        let _ = self.reply.send(answer);
    }
}

/// Submits work to the writer and waits until it is committed.
pub(super) async fn submit<T, F>(queue: &Queue, class: Class, cost: usize, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnMut(&Connection) -> Result<T, DbError> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    queue.push(class, cost, Box::new(Task { work, made: None, reply }))?;
    answer.await.unwrap_or_else(|_| Err(StoreError::writer_stopped()))
}

/// The writer's thread.
pub(super) struct Writer {
    /// `None` after trouble with the disk, until a fresh connection is needed.
    db: Option<Connection>,
    queue: Arc<Queue>,
    files: Arc<Files>,
    activity: Arc<Activity>,
    /// Where answers are given, when there is a runtime: it is woken once for a transaction, not once for each who waits.
    runtime: Option<Handle>,
}

impl Writer {
    /// A writer that answers on the caller's runtime.
    pub(super) fn new(db: Connection, queue: Arc<Queue>, files: Arc<Files>, activity: Arc<Activity>) -> Self {
        Self { db: Some(db), queue, files, activity, runtime: Handle::try_current().ok() }
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(batch) = self.queue.take() {
            let (bytes, last) = (batch.bytes, batch.last);
            self.activity.begins();
            let before = self.changes();
            self.commit_batch(batch);
            // Requests that found nothing to do leave nothing to be moved.
            if before.is_some() && before == self.changes() { self.activity.wrote_nothing() } else { self.activity.wrote(bytes, last) }
        }
        if let Some(db) = &self.db {
            self.files.spare_file(db);
        }
    }

    /// Rows that the connection has changed.
    fn changes(&self) -> Option<u64> {
        self.db.as_ref().map(Connection::total_changes)
    }

    fn commit_batch(&mut self, batch: Batch) {
        if !batch.jobs.is_empty() {
            self.commit_jobs(batch.jobs);
        }
        if let Some(purge) = batch.purge {
            self.commit_jobs(vec![purge]);
        }
    }

    fn commit_jobs(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let Err(fail) = self.commit(&mut jobs) else {
            return self.answer(jobs);
        };
        let for_all = fail.is_for_all();
        let error = fail.into_store_error();
        if jobs.len() == 1 || for_all {
            tracing::debug!(requests = jobs.len(), %error, "a transaction failed");
            return jobs.into_iter().for_each(|job| job.answer(Some(error.clone())));
        }
        tracing::debug!(requests = jobs.len(), %error, "a shared transaction failed; its requests are done again one by one");
        // Of a disk that fails each of them, the first few tell.
        let mut broken = 0;
        for mut job in jobs {
            if broken == MAX_BROKEN_IN_A_ROW {
                job.answer(Some(error.clone()));
                continue;
            }
            let outcome = self.commit(std::slice::from_mut(&mut job));
            broken = if outcome.as_ref().is_err_and(DbError::is_broken_disk) { broken + 1 } else { 0 };
            job.answer(outcome.err().map(DbError::into_store_error));
        }
    }

    fn answer(&self, jobs: Vec<Box<dyn Job>>) {
        let answer = move || jobs.into_iter().for_each(|job| job.answer(None));
        match &self.runtime {
            Some(runtime) => drop(runtime.spawn(async move { answer() })),
            None => answer(),
        }
    }

    /// One transaction around the jobs. After an error nothing of it remains.
    fn commit(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), DbError> {
        let db = match &mut self.db {
            Some(db) => db,
            slot => slot.insert(self.files.connect_writer()?),
        };
        let outcome = transaction(db, jobs);
        if let Err(fail) = &outcome {
            let rolled_back = db.is_autocommit() || db.execute_batch("ROLLBACK").is_ok();
            // After trouble with the disk a fresh connection sees what is really there; the next transaction opens it. Of a file that was moved away
            // or deleted no fresh one can be made.
            if (!rolled_back || fail.is_broken_disk()) && self.files.ground.there().is_ok() {
                self.files.ground.end();
                self.db = None;
            }
        }
        outcome
    }
}

fn transaction(db: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<(), DbError> {
    db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    for job in jobs {
        // A panic in one request must not stop the writer for all others.
        catch_unwind(AssertUnwindSafe(|| job.run(db))).unwrap_or_else(|_| Err(DbError::Undo(StoreError::panicked())))?;
    }
    db.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

impl Files {
    fn connect_writer(&self) -> Result<Connection, DbError> {
        self.ground.there().map_err(DbError::Undo)?;
        let db = self.writer().map_err(|error| DbError::Undo(store_error(&error)))?;
        self.ground.begin();
        Ok(db)
    }
}
