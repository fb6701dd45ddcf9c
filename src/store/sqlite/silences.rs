//! Silences that people asked senders for.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::acts;
use super::error::DbError;
use super::rows::find_incident;
use super::silence_rows::{find, put};
use crate::model::UnixMs;
use crate::store::silences::{SILENCE, silence};
use crate::store::{AcceptedDelivery, Silence, SilenceOutcome, SilenceStore, StoreError};

#[async_trait]
impl SilenceStore for SqliteStore {
    async fn take_silences(&self, now: UnixMs, until: UnixMs, limit: usize) -> Result<Vec<Silence>, StoreError> {
        if !self.readers.read(move |db| any_due(db, now)).await? {
            return Ok(Vec::new());
        }
        self.write(512, move |db| take(db, now, until, limit)).await
    }

    async fn record_silence(&self, outcome: SilenceOutcome) -> Result<Vec<AcceptedDelivery>, StoreError> {
        self.write(1024, move |db| record(db, &outcome)).await
    }
}

fn any_due(db: &Connection, now: UnixMs) -> Result<bool, DbError> {
    let mut select = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM silence WHERE due_at IS NOT NULL AND due_at <= ?1)")?;
    Ok(select.query_row([now], |row| row.get(0))?)
}

/// [`SilenceStore::take_silences`].
fn take(db: &Connection, now: UnixMs, until: UnixMs, limit: usize) -> Result<Vec<Silence>, DbError> {
    let mut update = db.prepare_cached(&format!(
        "UPDATE silence SET due_at = ?2, tries = tries + 1
         WHERE incident IN (SELECT incident FROM silence WHERE due_at IS NOT NULL AND due_at <= ?1 ORDER BY due_at LIMIT ?3) RETURNING {SILENCE}"
    ))?;
    let rows = update.query_map(params![now, until, i64::try_from(limit).unwrap_or(i64::MAX)], |row| silence(row))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// [`SilenceStore::record_silence`].
fn record(db: &Connection, outcome: &SilenceOutcome) -> Result<Vec<AcceptedDelivery>, DbError> {
    let incident = outcome.of.incident;
    let Some((silence, is_wanted)) = find(db, incident)?.and_then(|silence| silence.after(outcome)) else { return Ok(Vec::new()) };
    put(db, &silence)?;
    let Some(mut incident) = find_incident(db, incident)?.filter(|_| is_wanted) else { return Ok(Vec::new()) };
    match incident.silence_became(&silence, outcome.now) {
        Some(answered) => {
            acts::change_steps(db, &incident, &answered, outcome.now)?;
            acts::write(db, &incident, &answered, outcome.now)
        }
        None => Ok(Vec::new()),
    }
}
