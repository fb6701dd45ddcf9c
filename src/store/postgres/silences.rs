//! Silences that people asked senders for. An incident is locked before its silence.

use async_trait::async_trait;

use super::PostgresStore;
use super::acts;
use super::connect::transaction;
use super::error::DbError;
use super::rows::limit;
use super::silence_rows::{find, put};
use super::tx::Tx;
use crate::model::UnixMs;
use crate::store::incidents::{INCIDENT, incident};
use crate::store::prepared::TextRule;
use crate::store::silences::{SILENCE, silence};
use crate::store::{AcceptedDelivery, Incident, Silence, SilenceOutcome, SilenceStore, StoreError};

#[async_trait]
impl SilenceStore for PostgresStore {
    async fn take_silences(&self, now: UnixMs, until: UnixMs, limit: usize) -> Result<Vec<Silence>, StoreError> {
        let due = transaction!(&self.db, read, |tx| any_due(tx, now)).map_err(DbError::into_store_error)?;
        if !due {
            return Ok(Vec::new());
        }
        transaction!(&self.db, write, |tx| take(tx, now, until, limit)).map_err(DbError::into_store_error)
    }

    async fn record_silence(&self, mut outcome: SilenceOutcome) -> Result<Vec<AcceptedDelivery>, StoreError> {
        TextRule::NoNul.apply_all([&mut outcome.reason]);
        TextRule::NoNul.apply_all(outcome.sender_id.iter_mut());
        transaction!(&self.db, write, |tx| record(tx, &outcome)).map_err(DbError::into_store_error)
    }
}

async fn any_due(tx: &Tx, now: UnixMs) -> Result<bool, DbError> {
    Ok(tx.first("SELECT 1 FROM silence WHERE due_at <= $1 LIMIT 1", &[&now]).await?.is_some())
}

/// [`SilenceStore::take_silences`]. One that somebody else takes now is left to them.
async fn take(tx: &Tx, now: UnixMs, until: UnixMs, most: usize) -> Result<Vec<Silence>, DbError> {
    let sql = format!(
        "UPDATE silence SET due_at = $2, tries = tries + 1
         WHERE incident IN (SELECT incident FROM silence WHERE due_at <= $1 ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING {SILENCE}"
    );
    tx.query(&sql, &[&now, &until, &limit(most)]).await?.iter().map(silence).collect()
}

/// [`SilenceStore::record_silence`].
async fn record(tx: &Tx, outcome: &SilenceOutcome) -> Result<Vec<AcceptedDelivery>, DbError> {
    let sql = format!("SELECT {INCIDENT} FROM incident i WHERE i.id = $1 FOR UPDATE");
    let locked: Option<Incident> = tx.first(&sql, &[&outcome.of.incident.0]).await?.as_ref().map(|row| incident(row, 0)).transpose()?;
    let found = find(tx, outcome.of.incident).await?;
    let Some((silence, is_wanted)) = found.and_then(|silence| silence.after(outcome)) else { return Ok(Vec::new()) };
    put(tx, &silence).await?;
    let Some(mut incident) = locked.filter(|_| is_wanted) else { return Ok(Vec::new()) };
    match incident.silence_became(&silence, outcome.now) {
        Some(answered) => Ok(acts::write(tx, &[(incident, answered)], outcome.now).await?.0),
        None => Ok(Vec::new()),
    }
}
