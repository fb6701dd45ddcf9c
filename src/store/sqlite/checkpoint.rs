//! Moves what was committed from the log into the database file, on a connection of its own, when the writer is quiet.
//!
//! A checkpoint on the writer's connection would make one unlucky request wait for it (20-80 ms); this one runs beside the writer, in small steps. Under
//! load it never catches up, and the log would grow: from some length on the writer pauses for the last few pages, so that the log begins afresh. Nobody
//! else moves anything into the file, so that a write to it by another program is seen (`ground.rs`).

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::error::store_error;
use super::open::Files;
use crate::store::StoreError;

/// The writer counts as quiet after this long without a commit.
const IDLE_AFTER: Duration = Duration::from_millis(200);
/// So many bytes of requests are moved without waiting for quiet. Little at a time: what is moved is synced, and commits wait for the same disk. Of
/// 4 MiB a commit waited 8 to 10 ms twice a second under load; with 1 MiB the 99th percentile of an accept is a third to a half lower, at the
/// same throughput and some 5 % more written.
const PLENTY: usize = 1 << 20;

/// Pages in the log from which the writer pauses until the last of them are moved. Also how much of the disk the log keeps: writing over a file costs a
/// sync less than making it longer.
const LONG_LOG: i64 = 8192;

#[derive(Default)]
struct State {
    bytes: usize,
    commits: u64,
    dirty: bool,
    closed: bool,
    /// A transaction is open.
    writing: bool,
    /// None may begin.
    paused: bool,
}

/// What the writer has done since the last checkpoint.
#[derive(Default)]
pub(super) struct Activity {
    state: Mutex<State>,
    wake: Condvar,
    /// A transaction ended, or may begin again.
    turn: Condvar,
}

impl Activity {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer is about to begin; waits while the end of the log is being moved.
    pub(super) fn begins(&self) {
        let mut state = self.turn.wait_while(self.lock(), |state| state.paused).unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
    }

    /// The writer committed something; `last`: nothing else waits for it.
    pub(super) fn wrote(&self, bytes: usize, last: bool) {
        let mut state = self.lock();
        state.writing = false;
        if state.paused {
            self.turn.notify_all();
        }
        state.bytes += bytes;
        state.commits += 1;
        state.dirty = true;
        let wake = last || state.bytes >= PLENTY;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// The writer's transaction changed nothing.
    pub(super) fn wrote_nothing(&self) {
        let mut state = self.lock();
        state.writing = false;
        if state.paused {
            self.turn.notify_all();
        }
    }

    /// Runs something between two transactions.
    fn between<T>(&self, run: impl FnOnce() -> T) -> T {
        let mut state = self.lock();
        state.paused = true;
        drop(self.turn.wait_while(state, |state| state.writing).unwrap_or_else(PoisonError::into_inner));
        let made = run();
        self.lock().paused = false;
        self.turn.notify_all();
        made
    }

    /// Ends [`run`].
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    /// Waits until a checkpoint is worth it; `false` when closed.
    fn wait(&self) -> bool {
        let mut state = self.lock();
        loop {
            if state.closed {
                return false;
            }
            if !state.dirty {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let before = state.commits;
            if state.bytes < PLENTY {
                let quiet = self.wake.wait_timeout_while(state, IDLE_AFTER, |s| !s.closed && s.bytes < PLENTY);
                state = quiet.unwrap_or_else(PoisonError::into_inner).0;
            }
            if state.closed {
                return false;
            }
            if state.bytes >= PLENTY || state.commits == before {
                state.bytes = 0;
                state.dirty = false;
                return true;
            }
        }
    }
}

/// Moves what no reader needs in the log; returns the pages in it.
fn move_log(files: &Files, db: &Connection) -> Result<i64, StoreError> {
    let moved = files.ground.checkpoint(|| db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1)))?;
    moved.map_err(|error| store_error(&error))
}

/// Runs until closed. A checkpoint that fails is tried again after the next commit: the log keeps everything until then.
pub(super) fn run(files: &Files, activity: &Activity) {
    let mut db: Option<Connection> = None;
    while activity.wait() {
        let open = match db.take() {
            Some(open) => Ok(open),
            None => files.ground.there().and_then(|()| files.checkpointer().map_err(|error| store_error(&error))),
        };
        let outcome = open.and_then(|open| {
            if move_log(files, &open)? >= LONG_LOG {
                // What was committed meanwhile, so that little is left for the pause.
                move_log(files, &open)?;
                let since = Instant::now();
                activity.between(|| move_log(files, &open))?;
                tracing::debug!(paused = ?since.elapsed(), "the log begins afresh");
            }
            Ok(open)
        });
        match outcome {
            Ok(open) => db = Some(open),
            Err(error) => tracing::debug!(%error, "a checkpoint failed; it is tried again"),
        }
    }
    if let Some(db) = &db {
        files.spare_file(db);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_end_of_the_log_is_moved_between_two_transactions() {
        let activity = Arc::new(Activity::default());
        let (writing, commits) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let writer = std::thread::spawn({
            let (activity, writing, commits) = (activity.clone(), writing.clone(), commits.clone());
            move || {
                for _ in 0..2000 {
                    activity.begins();
                    writing.store(true, Ordering::SeqCst);
                    std::thread::yield_now();
                    writing.store(false, Ordering::SeqCst);
                    commits.fetch_add(1, Ordering::SeqCst);
                    activity.wrote(1, false);
                }
            }
        });
        for _ in 0..200 {
            activity.between(|| {
                let before = commits.load(Ordering::SeqCst);
                for _ in 0..20 {
                    assert!(!writing.load(Ordering::SeqCst), "a transaction is open");
                    std::thread::yield_now();
                }
                assert_eq!(commits.load(Ordering::SeqCst), before);
            });
        }
        writer.join().unwrap();
        assert_eq!(commits.load(Ordering::SeqCst), 2000, "the writer went on after each pause");
    }
}
