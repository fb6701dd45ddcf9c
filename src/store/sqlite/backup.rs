//! A consistent copy of the database to a new file, while it is in use.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::error::store_error;
use super::open::{Files, create_backup};
use crate::store::StoreError;

/// Pages copied at once.
const PAGES_PER_STEP: i32 = 1024;

/// [`crate::store::Store::backup`]. Never overwrites; a copy that fails is removed. The log grows while it runs: it keeps one snapshot open.
pub(super) fn backup(files: &Files, to: &Path) -> Result<(), StoreError> {
    create_backup(to)?;
    copy(files, to).inspect_err(|_| {
        let _ = std::fs::remove_file(to);
    })
}

fn copy(files: &Files, to: &Path) -> Result<(), StoreError> {
    let told = |error: rusqlite::Error| match store_error(&error) {
        StoreError::Unavailable(text) => StoreError::Unavailable(format!("backup to `{}`: {text}", to.display())),
        other => other,
    };
    let from = files.reader().map_err(told)?;
    // An open read transaction pins one snapshot: without it every commit of the writer would restart the copy.
    let snapshot = from.unchecked_transaction().map_err(told)?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map_err(told)?;
    let mut into = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(told)?;
    {
        let copy = Backup::new(&snapshot, &mut into).map_err(told)?;
        loop {
            match copy.step(PAGES_PER_STEP).map_err(told)? {
                StepResult::Done => break,
                StepResult::More => {}
                // Only a checkpoint that resets the log is ever in the way, for a moment.
                _ => std::thread::park_timeout(Duration::from_millis(5)),
            }
        }
    }
    // The copy must not depend on a log beside it.
    into.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(told)?;
    into.close().map_err(|(_, error)| told(error))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| {
        StoreError::Unavailable(format!("the backup `{}` was written but not synced: {error}; check the disk and make it again", to.display()))
    })
}
