//! Opening the file: the lock beside it, its mode, its settings, its schema version, and whether it is sound enough to start with.
//!
//! Knows files and pragmas; knows no table except to see that they can be read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{DAMAGED, store_error};
use super::ground::Ground;
use super::wal::{self, beside};
use crate::store::StoreError;

/// `WFIR`: marks a SQLite file as ours (<https://www.sqlite.org/pragma.html#pragma_application_id>).
pub(super) const APPLICATION_ID: i64 = 0x5746_4952;
/// Takes a database from version `n` to `n + 1`, at index `n`. Only ever appended to.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_init.sql"),
    include_str!("migrations/0002_tried_messages.sql"),
    include_str!("migrations/0003_heartbeats.sql"),
    include_str!("migrations/0004_dedup_order.sql"),
    include_str!("migrations/0005_receipts_and_lane_memory.sql"),
    include_str!("migrations/0006_packed_bodies.sql"),
    include_str!("migrations/0007_sole_attempts.sql"),
    include_str!("migrations/0008_mute_matchers.sql"),
    include_str!("migrations/0009_incidents.sql"),
    include_str!("migrations/0010_acks.sql"),
    include_str!("migrations/0011_escalations.sql"),
    include_str!("migrations/0012_audit.sql"),
    include_str!("migrations/0013_oncall.sql"),
    include_str!("migrations/0014_silences.sql"),
    include_str!("migrations/0015_silence_seen.sql"),
    include_str!("migrations/0016_mute_notices.sql"),
    include_str!("migrations/0017_group_labels.sql"),
    include_str!("migrations/0018_urgent_incidents.sql"),
];
/// Bytes a page of a new database. A change writes whole pages, twice, and most pages that an event changes hold a little of it only: of 4096 bytes, a
/// third to two thirds more is written for each event; of 1024, most deliveries would not fit into a quarter of a page, beyond which a row of a table
/// without rowid gets a page of its own. A database keeps the size that it was made with.
pub(super) const PAGE_SIZE: u64 = 2048;
/// How long a write waits for a foreign program (a `sqlite3` shell) that holds the file.
const BUSY: Duration = Duration::from_secs(2);

/// Where the database lies, and the lock that makes this process its only user.
pub(super) struct Files {
    path: PathBuf,
    max_bytes: Option<u64>,
    /// Held for its effect: the lock ends when the file is closed.
    lock: Mutex<Option<File>>,
    /// Whether the files are still those that were opened.
    pub(super) ground: Ground,
    /// What was wrong with them then.
    pub(super) found: Option<String>,
}

fn unavailable(path: &Path, what: &str, error: &std::io::Error, help: &str) -> StoreError {
    let why = error.to_string();
    StoreError::Unavailable(format!("{what} `{}`: {}; {help}", path.display(), why.split(" (os error").next().unwrap_or_default()))
}

const FOLDER_HELP: &str = "check that its folder exists and that this user may write there, and to files of that name that another user left";

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Why the lock was not taken.
pub(super) enum Locked {
    /// Another process has it.
    InUse(StoreError),
    /// It cannot be taken at all.
    Failed(StoreError),
}

impl From<Locked> for StoreError {
    fn from(locked: Locked) -> Self {
        match locked {
            Locked::InUse(error) | Locked::Failed(error) => error,
        }
    }
}

/// Takes the lock beside `path`.
pub(super) fn lock(path: &Path) -> Result<File, Locked> {
    let failed = |what: &str, e: &std::io::Error, help: &str| Locked::Failed(unavailable(&beside(path, ".lock"), what, e, help));
    let mut file =
        private().create(true).truncate(false).open(beside(path, ".lock")).map_err(|e| failed("cannot open the lock file", &e, FOLDER_HELP))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Locked::InUse(in_use(path, &mut file))),
        Err(TryLockError::Error(e)) => {
            return Err(failed("cannot lock", &e, "the database must lie on a file system with locks (not every network share has them)"));
        }
    }
    // The process id is for people only; a write that fails does not weaken the lock.
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "{}", std::process::id()));
    Ok(file)
}

fn in_use(path: &Path, file: &mut File) -> StoreError {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    let holder = holder.trim();
    let who = if holder.is_empty() { "another process".to_owned() } else { format!("another process (id {holder})") };
    StoreError::Unavailable(format!("the database `{}` is in use by {who}; stop it, or wait until it ends, or use another path", path.display()))
}

/// Opens the database, which must be locked: makes it when it is not there, brings it to this version's schema, and sees that it can be read.
pub(super) fn prepare(path: &Path, max_bytes: Option<u64>, lock: File) -> Result<(Files, Connection), StoreError> {
    create(path)?;
    let log = beside(path, "-wal");
    let lost = wal::examine(&log, &beside(path, "-shm")).map_err(|e| unavailable(&log, "cannot read the log", &e, FOLDER_HELP))?;
    let found = lost.map(|lost| lost.describe(&log));
    if let Some(found) = &found {
        tracing::error!("{found}");
    }
    let ground = Ground::new(path, log).map_err(|e| unavailable(path, "cannot open the database", &e, FOLDER_HELP))?;
    let files = Files { path: path.to_owned(), max_bytes, lock: Mutex::new(Some(lock)), ground, found };
    let told = |error: rusqlite::Error| match store_error(&error) {
        StoreError::Unusable(text) => StoreError::Unusable(format!("`{}`: {text}", path.display())),
        StoreError::Unavailable(text) => StoreError::Unavailable(format!("`{}`: {text}", path.display())),
        other => other,
    };
    // The version comes first: nothing of a file that is not ours, or newer than us, is changed.
    let version = version(path).map_err(told)?;
    admit(path, version)?;
    let db = files.writer().map_err(told)?;
    migrate(&db, version.schema).map_err(told)?;
    sound(&files, &db).map_err(told)??;
    // Nobody else can hold a lease: the lock says so.
    db.execute("UPDATE outlet SET lease_until = 0 WHERE lease_until <> 0", []).map_err(told)?;
    files.ground.begin();
    Ok((files, db))
}

fn create(path: &Path) -> Result<(), StoreError> {
    match private().create_new(true).open(path) {
        Ok(_) => {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|f| f.sync_all()).map_err(|e| unavailable(folder, "cannot sync the folder", &e, "check the disk"))
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(unavailable(path, "cannot create the database", &e, FOLDER_HELP)),
    }
}

#[derive(Clone, Copy)]
struct Version {
    schema: i64,
    application: i64,
    tables: i64,
}

fn version(path: &Path) -> rusqlite::Result<Version> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    Ok(Version {
        schema: pragma("user_version")?,
        application: pragma("application_id")?,
        tables: db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
    })
}

fn admit(path: &Path, found: Version) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    let path = path.display();
    if found.tables > 0 && found.application != APPLICATION_ID {
        return Err(StoreError::Unusable(format!("`{path}` is a SQLite database, but not one of Watchfire's; use another path")));
    }
    if found.schema > known {
        return Err(StoreError::Unusable(format!(
            "`{path}` has schema version {}, this Watchfire knows versions up to {known}; start the newer Watchfire that wrote it, \
             or restore the backup made before the upgrade",
            found.schema
        )));
    }
    Ok(())
}

fn migrate(db: &Connection, from: i64) -> rusqlite::Result<()> {
    for (version, script) in MIGRATIONS.iter().enumerate().skip(usize::try_from(from).unwrap_or(0)) {
        let tx = db.unchecked_transaction()?;
        tx.execute_batch(script)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", version as i64 + 1)?;
        tx.commit()?;
    }
    Ok(())
}

/// A look that costs the same for ten rows and for ten million: the log is moved into the file, the file is as long as its header says, and the
/// first and last row of each table and index can be read. Damage in the middle is met, and told, when it is read.
fn sound(files: &Files, db: &Connection) -> rusqlite::Result<Result<(), StoreError>> {
    let path = &files.path;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?;
    let pages: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let page_size: i64 = db.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let (header, length) = files.ground.length().unwrap_or_default();
    let should = header.max(pages as u64) * page_size as u64;
    if length < should {
        return Ok(Err(StoreError::Unusable(format!(
            "`{}` is cut short: it has {length} bytes and should have {should}; it is damaged: {DAMAGED}",
            path.display()
        ))));
    }
    if files.found.is_some() {
        // Of a log that lacks its end, older pages may be among newer ones of the file.
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Ok(Err(StoreError::Unusable(format!("`{}` is damaged ({verdict}): {DAMAGED}", path.display()))));
        }
    }
    let mut tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")?;
    let names: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for name in names {
        let mut columns = db.prepare(&format!("SELECT name FROM pragma_table_info('{name}') WHERE pk = 1"))?;
        let key: String = columns.query_row([], |row| row.get(0))?;
        for order in ["ASC", "DESC"] {
            let mut edge = db.prepare(&format!("SELECT * FROM \"{name}\" ORDER BY \"{key}\" {order} LIMIT 1"))?;
            let mut rows = edge.query([])?;
            while let Some(row) = rows.next()? {
                row.get_ref(0)?;
            }
        }
    }
    Ok(Ok(()))
}

impl Files {
    /// The database's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the next process have the database.
    pub(super) fn release(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The connection that writes.
    pub(super) fn writer(&self) -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(BUSY)?;
        db.set_prepared_statement_cache_capacity(128);
        // A statement's plan depends on its text alone: without this, one whose value meets the condition of a partial index is compiled again
        // for each value (<https://www.sqlite.org/qpsg.html>).
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        // The page size and the kind of vacuum only count before the first table is made.
        db.execute_batch(&format!(
            "PRAGMA page_size = {PAGE_SIZE}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = OFF; PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384;
             PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
        ))?;
        if let Some(max) = self.max_bytes {
            let page: i64 = db.query_row("PRAGMA page_size", [], |row| row.get(0))?;
            db.pragma_update(None, "max_page_count", i64::try_from((max / page.unsigned_abs().max(512)).max(1)).unwrap_or(i64::MAX))?;
        }
        Ok(db)
    }

    /// A connection that only reads.
    pub(super) fn reader(&self) -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(BUSY)?;
        db.set_prepared_statement_cache_capacity(64);
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        db.execute_batch("PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;")?;
        Ok(db)
    }

    /// Before a connection is closed: the last one to close moves the log into the file, which a log or a file that is broken must be spared.
    pub(super) fn spare_file(&self, db: &Connection) {
        if !self.ground.is_log_intact() {
            let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }

    /// A connection for checkpoints.
    pub(super) fn checkpointer(&self) -> rusqlite::Result<Connection> {
        let db = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(BUSY)?;
        db.execute_batch("PRAGMA synchronous = FULL;")?;
        Ok(db)
    }
}

/// A new private file for a backup; refuses to overwrite.
pub(super) fn create_backup(to: &Path) -> Result<(), StoreError> {
    match private().create_new(true).open(to) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(StoreError::Invalid(format!("`{}` exists already; a backup never overwrites a file, name another one", to.display())))
        }
        Err(e) => Err(unavailable(to, "cannot create the backup", &e, FOLDER_HELP)),
    }
}
