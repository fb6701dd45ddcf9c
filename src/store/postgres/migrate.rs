//! The schema: made when it is not there, brought up to date step by step, refused when it is newer than this program.
//!
//! All of it happens in one transaction under an advisory lock, so that of several nodes that start at once one does it and the others wait.

use super::connect::Db;
use super::error::DbError;
use super::tx::Tx;
use crate::store::StoreError;

/// The migrations; the first makes version 1. With each comes the oldest version whose programs can go on working once it is done: a migration that
/// only adds leaves that of the previous one, so that nodes can be upgraded one after the other.
pub(super) const MIGRATIONS: &[(&str, i64)] = &[
    (include_str!("migrations/0001_init.sql"), 1),
    (include_str!("migrations/0002_heartbeats.sql"), 1),
    (include_str!("migrations/0003_receipts_and_lane_memory.sql"), 1),
    (include_str!("migrations/0004_packed_bodies.sql"), 4),
    (include_str!("migrations/0005_sole_attempts.sql"), 5),
    (include_str!("migrations/0006_mute_matchers.sql"), 6),
    (include_str!("migrations/0007_incidents.sql"), 7),
    (include_str!("migrations/0008_acks.sql"), 8),
    (include_str!("migrations/0009_escalations.sql"), 9),
    (include_str!("migrations/0010_audit.sql"), 9),
    (include_str!("migrations/0011_oncall.sql"), 11),
    (include_str!("migrations/0012_silences.sql"), 12),
    // Older programs read no page without a severity, and drop what incidents of twins wait for.
    (include_str!("migrations/0013_silence_seen.sql"), 13),
    // Older programs read neither superseded incidents nor the notes of replays and of what no input read.
    (include_str!("migrations/0014_mute_notices.sql"), 14),
    (include_str!("migrations/0015_group_labels.sql"), 14),
    // Older programs read neither the timeline's lines of edits nor buttons that name their incident.
    (include_str!("migrations/0016_urgent_incidents.sql"), 16),
];
/// The version that this program reads and writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;
/// Seed of the advisory lock's number, one of our own: "watchfir" in ASCII.
const LOCK: i64 = 0x7761_7463_6866_6972;

/// Brings the schema up to date, and looks at settings of the database that weaken what a commit means.
pub(super) async fn migrate(db: &Db) -> Result<(), DbError> {
    // Not bounded in time as other transactions are: a step may have to rewrite a large table.
    let tx = db.write().await?;
    let unsynced = match run(&tx, db.schema()).await {
        Ok(unsynced) => unsynced,
        Err(fail) => {
            // Awaited, so that the lock is free when the caller hears of it.
            let _ = tx.batch("ROLLBACK").await;
            return Err(fail);
        }
    };
    tx.commit().await?;
    if unsynced {
        tracing::info!("the database has synchronous_commit off; Watchfire turns it on for its own transactions");
        db.sync_commits();
    }
    Ok(())
}

async fn run(tx: &Tx, schema: &str) -> Result<bool, DbError> {
    // A step may take longer than a statement usually does, and so may the wait for another node that makes it.
    tx.batch("SET LOCAL statement_timeout TO 0; SET LOCAL idle_in_transaction_session_timeout TO 0").await?;
    tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", &[&schema, &LOCK]).await?;
    let exists = tx.first("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", &[&schema]).await?;
    if exists.is_none() {
        tx.batch(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    let (version, oldest) = version(tx).await?;
    if version > VERSION && oldest > VERSION {
        return Err(StoreError::Unusable(format!(
            "the database has schema version {version}, this program knows versions up to {VERSION}: it was used by a newer Watchfire; \
             run that version, or restore a backup made before the upgrade"
        ))
        .into());
    }
    if version > VERSION {
        tracing::info!(version, knows = VERSION, "the database was brought up to date by a newer node; this one can go on working beside it");
    }
    for ((step, oldest), number) in MIGRATIONS.iter().zip(1..).skip(usize::try_from(version).unwrap_or(0)) {
        tx.batch(step).await?;
        tx.execute("UPDATE schema_version SET version = $1, oldest = $2", &[&number, oldest]).await?;
        tracing::info!(version = number, "the database schema was brought up to date");
    }
    let settings = tx.first("SELECT current_setting('synchronous_commit') = 'off', current_setting('fsync') = 'off'", &[]).await?;
    let (unsynced, unsafe_disk) = settings.map_or((false, false), |row| (row.get(0), row.get(1)));
    if unsafe_disk {
        tracing::warn!("the database runs with fsync off: a crash of its machine loses or damages what was accepted; turn fsync on");
    }
    Ok(unsynced)
}

/// The version that the database has, and the oldest whose programs can work with it.
async fn version(tx: &Tx) -> Result<(i64, i64), DbError> {
    tx.batch(
        "CREATE TABLE IF NOT EXISTS schema_version (one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one), version BIGINT NOT NULL, oldest BIGINT NOT NULL);
         INSERT INTO schema_version (version, oldest) VALUES (0, 0) ON CONFLICT DO NOTHING",
    )
    .await?;
    let row = tx.first("SELECT version, oldest FROM schema_version", &[]).await?;
    Ok(row.map_or((0, 0), |row| (row.get(0), row.get(1))))
}
