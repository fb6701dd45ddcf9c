//! Why work in the database failed, and how that is reported to the caller.
//!
//! Knows SQLite's result codes; knows nothing about what the work was.

use std::fmt;

use rusqlite::{Error, ErrorCode};

use crate::store::StoreError;

/// How one piece of work in a transaction ended without an answer.
#[derive(Debug)]
pub(super) enum DbError {
    /// Refused before it wrote anything: the transaction may go on with the work of others.
    Refused(StoreError),
    /// Refused after it wrote something: what it wrote must be undone.
    Undo(StoreError),
    /// The database said no.
    Sql(Error),
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        DbError::Sql(error)
    }
}

impl DbError {
    /// The error for the caller.
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            DbError::Refused(error) | DbError::Undo(error) => error,
            DbError::Sql(error) => store_error(&error),
        }
    }

    /// Whether the disk or the file is the trouble: a fresh connection sees what is really there.
    pub(super) fn is_broken_disk(&self) -> bool {
        self.is_for_all() || self.is(&[ErrorCode::SystemIoFailure, ErrorCode::DatabaseCorrupt])
    }

    /// Whether any other work meets the same trouble. A page that cannot be read is met only by who needs it.
    pub(super) fn is_for_all(&self) -> bool {
        self.is(&[
            ErrorCode::CannotOpen,
            ErrorCode::ReadOnly,
            ErrorCode::NotADatabase,
            ErrorCode::DatabaseBusy,
            ErrorCode::DatabaseLocked,
            ErrorCode::PermissionDenied,
        ])
    }

    fn is(&self, codes: &[ErrorCode]) -> bool {
        matches!(self, DbError::Sql(Error::SqliteFailure(cause, _)) if codes.contains(&cause.code))
    }
}

/// A value in the database that this program did not write, or no longer understands.
#[derive(Debug)]
pub(super) struct Unreadable(pub(super) String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

/// What to do with a damaged file; the same words wherever damage is met.
pub(super) const DAMAGED: &str = "stop Watchfire, move the file and its -wal and -shm aside, then either restore a backup under the same name, \
    or recover what can be read with `sqlite3 OLD .recover | sqlite3 NEW`, or start with an empty database";

/// The error for the caller: what happened and what to do. Holds no value of any row.
pub(super) fn store_error(error: &Error) -> StoreError {
    let Error::SqliteFailure(cause, detail) = error else {
        return match error {
            Error::FromSqlConversionFailure(_, _, why) => StoreError::Unusable(format!(
                "the database holds a value that cannot be read: {why}; it was written by another version or is damaged"
            )),
            Error::InvalidColumnType(_, column, _) => {
                StoreError::Unusable(format!("the database holds a value of the wrong type in column `{column}`; it is damaged: {DAMAGED}"))
            }
            other => StoreError::Unavailable(format!("the database refused the work: {other}")),
        };
    };
    let detail = detail.as_deref().unwrap_or("no detail");
    match cause.code {
        ErrorCode::DiskFull => StoreError::Unavailable(format!(
            "no room for the database: the disk is full, or the database reached its size cap ({detail}); free space, raise the cap or shorten the retention"
        )),
        ErrorCode::SystemIoFailure => StoreError::Unavailable(format!(
            "the disk failed while the database was read or written ({detail}, code {}); check the disk, the quota and limit of file sizes (`ulimit -f`), and the kernel log",
            cause.extended_code
        )),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => StoreError::Unavailable(format!(
            "the database cannot be written ({detail}); check the owner and mode of the file and of its folder, and that the disk is not mounted read-only"
        )),
        ErrorCode::CannotOpen => StoreError::Unavailable(format!(
            "the database cannot be opened ({detail}); check that its folder exists and that this user may read and write there"
        )),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Unavailable(format!(
            "another program is writing to the database ({detail}); close it (a `sqlite3` shell?), only one program may write at a time"
        )),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Unusable(format!("the database is damaged ({detail}): {DAMAGED}")),
        ErrorCode::ConstraintViolation => StoreError::Invalid(format!("the request breaks a rule of the database: {detail}")),
        ErrorCode::TooBig => StoreError::Invalid(format!("the request is larger than the database takes: {detail}")),
        _ => StoreError::Unavailable(format!("the database refused the work: {detail} (code {})", cause.extended_code)),
    }
}
