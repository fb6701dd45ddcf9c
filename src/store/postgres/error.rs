//! Why work in the database failed, and how that is reported to the caller.
//!
//! Knows SQLSTATE classes; knows nothing about what the work was. No text here holds a value of a row, an address or a password.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// How one piece of work ended without an answer.
#[derive(Debug)]
pub(in crate::store) enum DbError {
    /// Refused: nothing of it may stay.
    Refused(StoreError),
    /// The database said no, or the connection broke before the end of the transaction was sent: nothing of it is stored.
    Sql(Error),
    /// The connection broke while the transaction was being ended, or the time was up: it is stored or it is not.
    Unsure(String),
}

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        DbError::Sql(error)
    }
}

impl From<StoreError> for DbError {
    fn from(error: StoreError) -> Self {
        DbError::Refused(error)
    }
}

impl From<String> for DbError {
    fn from(what: String) -> Self {
        DbError::Refused(StoreError::Unusable(format!(
            "the database holds a value that cannot be read: {what}; it was written by another version or is damaged"
        )))
    }
}

/// The constraints that a channel has one lane of a key, and that one incident of a key is open.
const KEYS: [&str; 2] = ["lane_channel_key_key", "incident_open_key"];

impl DbError {
    /// The error for the caller.
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            DbError::Refused(error) => error,
            DbError::Sql(error) => store_error(&error),
            DbError::Unsure(why) => StoreError::Unavailable(format!(
                "the database did not say how a transaction ended ({why}): what it wrote is there or is not; check the database and the network"
            )),
        }
    }

    /// Whether the same work done again now may well succeed: others were in the way, or a pooled connection had died.
    pub(super) fn is_passing(&self) -> bool {
        let DbError::Sql(error) = self else { return false };
        match error.code() {
            // Two made the same lane or incident at once: the next try finds it.
            Some(&SqlState::UNIQUE_VIOLATION) => {
                error.as_db_error().and_then(|db| db.constraint()).is_some_and(|constraint| KEYS.contains(&constraint))
            }
            Some(code) => [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN]
                .contains(code),
            None => error.is_closed(),
        }
    }

    /// Whether trying parts of the same work alone is pointless because the database itself is the trouble.
    pub(super) fn is_fatal(&self) -> bool {
        match self {
            DbError::Refused(StoreError::Unavailable(_) | StoreError::Unusable(_)) | DbError::Unsure(_) => true,
            DbError::Refused(_) => false,
            // A value, a rule, or a limit of the database: one request has it, and the others can be stored.
            DbError::Sql(error) => !error.code().is_some_and(|code| ["22", "23", "54"].contains(&&code.code()[..2])),
        }
    }
}

/// The error for the caller: what happened and what to do.
pub(super) fn store_error(error: &Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        // What the driver says of a column or parameter names types, never values.
        return match std::error::Error::source(error) {
            Some(cause) if cause.is::<std::io::Error>() => {
                StoreError::Unavailable(format!("the connection to the database failed ({cause}); check that it runs and can be reached from here"))
            }
            Some(cause) => StoreError::Unavailable(format!("the database cannot be used: {error}: {cause}")),
            None => {
                StoreError::Unavailable(format!("the connection to the database failed ({error}); check that it runs and can be reached from here"))
            }
        };
    };
    let (code, what) = (db.code().code(), db.message());
    let named = [db.table(), db.constraint()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    match (&code[..2], code) {
        (_, "53100") => StoreError::Unavailable(format!("the database has no room left ({what}); free disk space there, or shorten the retention")),
        (_, "53300") => {
            StoreError::Unavailable(format!("the database takes no more connections ({what}); raise its max_connections or lower the pool's size"))
        }
        (_, "25006") => StoreError::Unavailable(
            "the database is read-only: a standby, or full; connect to the primary (several hosts in the URL find it by themselves)".into(),
        ),
        (_, "57014" | "55P03") => StoreError::Slow(format!("the database took too long ({what}); look there for locks and for what keeps it busy")),
        (_, "3D000") => StoreError::Unavailable(format!("{what}: create it (`createdb`), or correct the name in the URL")),
        (_, "42501") => StoreError::Unavailable(format!(
            "the database user may not do this ({what}); grant it CREATE on the database and ownership of the schema"
        )),
        ("28", _) => StoreError::Unavailable(format!("the database refused the login ({what}); check user, password and pg_hba.conf")),
        ("23", _) => StoreError::Invalid(format!("the request breaks a rule of the database ({named})")),
        ("22" | "54", _) => StoreError::Invalid(format!("the database does not take a value of the request (SQLSTATE {code})")),
        ("42", _) => StoreError::Unusable(format!(
            "the database does not hold what this version expects ({what}); was its schema changed by hand, or restored in part? Restore a backup, or use an empty database"
        )),
        ("XX" | "58", _) => StoreError::Unusable(format!("the database is damaged or its disk fails ({what}); look at its log")),
        _ => StoreError::Unavailable(format!("the database refused the work: {what} (SQLSTATE {code})")),
    }
}
