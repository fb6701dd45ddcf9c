//! A few threads with read-only connections, so that reads block neither the runtime nor the writer.
//!
//! Every read sees one snapshot (one read transaction). Knows nothing about what is read.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::{DbError, store_error};
use super::open::Files;
use crate::store::StoreError;

/// Reads that may wait.
const WAITING: usize = 4096;

type Read = Box<dyn FnOnce(Result<&Connection, StoreError>) -> bool + Send>;

#[derive(Default)]
struct State {
    reads: VecDeque<Read>,
    closed: bool,
}

/// The reads that wait.
#[derive(Default)]
pub(super) struct Readers {
    state: Mutex<State>,
    wake: Condvar,
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `read` on one of the threads, in a read transaction.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Read = Box::new(move |db| {
            let (answer, sound) = match db {
                Err(error) => (Err(error), true),
                Ok(db) => match snapshot(db, read) {
                    Ok(value) => (Ok(value), true),
                    Err(fail) => {
                        let sound = !fail.is_broken_disk();
                        (Err(fail.into_store_error()), sound)
                    }
                },
            };
            let _ = reply.send(answer);
            sound
        });
        {
            let mut state = self.lock();
            if state.closed {
                return Err(StoreError::closed());
            }
            if state.reads.len() >= WAITING {
                return Err(StoreError::Busy);
            }
            state.reads.push_back(job);
        }
        self.wake.notify_one();
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("a bug in the store stopped this read; please report it".into())))
    }

    /// Ends the threads after what waits.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn next(&self) -> Option<Read> {
        let mut state = self.lock();
        loop {
            if let Some(read) = state.reads.pop_front() {
                return Some(read);
            }
            if state.closed {
                return None;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn snapshot<T>(db: &Connection, read: impl FnOnce(&Connection) -> Result<T, DbError>) -> Result<T, DbError> {
    // Dropping it rolls back, which for a read is the cheapest end.
    let tx = db.unchecked_transaction()?;
    read(&tx)
}

/// One reader thread: runs until closed.
pub(super) fn run(readers: &Readers, files: &Files) {
    let connect = || files.ground.there().and_then(|()| files.reader().map_err(|error| store_error(&error)));
    // At once: when the file's name is gone, what is open can still be read.
    let mut db = connect().ok();
    while let Some(read) = readers.next() {
        let open = db.take().map_or_else(connect, Ok);
        match open {
            Err(error) => {
                read(Err(error));
            }
            Ok(open) => {
                // A defect in one read must not take the thread away from all others; its caller sees the dropped answer.
                if catch_unwind(AssertUnwindSafe(|| read(Ok(&open)))).unwrap_or(false) {
                    db = Some(open);
                }
            }
        }
    }
}
