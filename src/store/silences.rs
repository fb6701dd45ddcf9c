//! Silences that people asked senders for, of both engines.

use async_trait::async_trait;

use super::rows::{StoredRow, columns};
use super::{AcceptedDelivery, Actor, Silence, SilenceOutcome, SilenceState, StoreError};
use crate::model::{IncidentId, UnixMs};

/// Used by the worker that asks senders. What people want is written by [`super::OperatorStore::act`].
#[async_trait]
pub trait SilenceStore: Send + Sync {
    /// Takes silences that are due: they are due again at `until`, so that nobody else takes them before, also when this process dies. One transaction.
    async fn take_silences(&self, now: UnixMs, until: UnixMs, limit: usize) -> Result<Vec<Silence>, StoreError>;

    /// Stores what a sender said of a silence that was taken, and shows it on the incident. What people want by now stays: it is due at once, and keeps only
    /// the sender's id. Returns the deliveries by which channels ring about it. One transaction.
    async fn record_silence(&self, outcome: SilenceOutcome) -> Result<Vec<AcceptedDelivery>, StoreError>;
}

columns! {
    /// The columns of a silence, for [`silence`].
    SILENCE, silence_at, "": incident, token, revision, labels, by, asked_at, until, state, sender_id, tries, reason, due_at, seen
}

/// A silence.
pub(super) fn silence<R: StoredRow>(row: &R) -> Result<Silence, R::Error> {
    use silence_at as at;
    Ok(Silence {
        incident: IncidentId(row.int(at::incident)?),
        token: row.uuid(at::token)?,
        revision: row.int(at::revision)?,
        labels: row.json(at::labels, row.text(at::labels)?.as_bytes(), "the labels of a silence")?,
        by: row.json::<Actor>(at::by, row.text(at::by)?.as_bytes(), "who asked for a silence")?,
        asked_at: row.time(at::asked_at)?,
        until: row.time(at::until)?,
        state: row.named(at::state, SilenceState::parse, "silence's state")?,
        sender_id: row.optional_owned(at::sender_id)?,
        tries: row.int(at::tries)?,
        reason: row.owned(at::reason)?,
        due_at: row.optional_time(at::due_at)?,
        seen: row.flag(at::seen)?,
    })
}
