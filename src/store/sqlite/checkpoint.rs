//! Moves what was committed from the log into the database file, on a connection of its own, when the writer is quiet.
//!
//! A checkpoint on the writer's connection would make one unlucky request wait for it (20-80 ms); this one runs beside the writer. The writer's
//! own automatic checkpoint stays on as a stop for a log that nobody gets to shorten.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::store_error;
use super::open::Files;

/// The writer counts as quiet after this long without a commit.
const QUIET: Duration = Duration::from_millis(200);
/// So many bytes of requests are moved without waiting for quiet. Little at a time: what is moved is synced, and commits wait for the same disk. Of
/// 4 MiB a commit waited 8 to 10 ms twice a second under load; with 1 MiB the 99th percentile of an accept is a third to a half lower, at the
/// same throughput and some 5 % more written.
const PLENTY: usize = 1 << 20;

#[derive(Default)]
struct State {
    bytes: usize,
    commits: u64,
    dirty: bool,
    closed: bool,
}

/// What the writer has done since the last checkpoint.
#[derive(Default)]
pub(super) struct Activity {
    state: Mutex<State>,
    wake: Condvar,
}

impl Activity {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer committed something; `last`: nothing else waits for it.
    pub(super) fn wrote(&self, bytes: usize, last: bool) {
        let mut state = self.lock();
        state.bytes += bytes;
        state.commits += 1;
        state.dirty = true;
        let wake = last || state.bytes >= PLENTY;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
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
                let quiet = self.wake.wait_timeout_while(state, QUIET, |s| !s.closed && s.bytes < PLENTY);
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

/// Runs until closed. A checkpoint that fails is tried again after the next commit: the log keeps everything until then.
pub(super) fn run(files: &Files, activity: &Activity) {
    let mut db = None;
    while activity.wait() {
        let open = match db.take() {
            Some(open) => Ok(open),
            None => files.ground.there().and_then(|()| files.checkpointer().map_err(|error| store_error(&error))),
        };
        let outcome = open.and_then(|open| {
            let done = files.ground.checkpoint(|| open.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(0)))?;
            done.map(|_| open).map_err(|error| store_error(&error))
        });
        match outcome {
            Ok(open) => db = Some(open),
            Err(error) => tracing::debug!(%error, "a checkpoint failed; it is tried again"),
        }
    }
}
