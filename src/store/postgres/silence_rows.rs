//! Rows of silences, and what an act does to them.

use super::error::DbError;
use super::tx::Tx;
use crate::model::{IncidentId, UnixMs};
use crate::store::prepared::TextRule;
use crate::store::silences::{SILENCE, silence};
use crate::store::{Silence, SilenceWish};

/// The silence of an incident.
pub(super) async fn find(tx: &Tx, incident: IncidentId) -> Result<Option<Silence>, DbError> {
    let sql = format!("SELECT {SILENCE} FROM silence WHERE incident = $1 FOR UPDATE");
    tx.first(&sql, &[&incident.0]).await?.as_ref().map(silence).transpose()
}

/// Writes a silence.
pub(super) async fn put(tx: &Tx, s: &Silence) -> Result<(), DbError> {
    let mut labels = serde_json::json!(s.labels).to_string();
    let mut by = serde_json::json!(s.by).to_string();
    TextRule::NoNul.apply_all([&mut labels, &mut by]);
    let sql = format!(
        "INSERT INTO silence ({SILENCE}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (incident) DO UPDATE SET token = excluded.token, revision = excluded.revision, labels = excluded.labels, by = excluded.by,
             asked_at = excluded.asked_at, until = excluded.until, state = excluded.state, sender_id = excluded.sender_id, tries = excluded.tries,
             reason = excluded.reason, due_at = excluded.due_at, seen = excluded.seen"
    );
    tx.execute(
        &sql,
        &[
            &s.incident.0,
            &s.token,
            &s.revision,
            &labels,
            &by,
            &s.asked_at,
            &s.until,
            &s.state.as_str(),
            &s.sender_id,
            &s.tries,
            &s.reason,
            &s.due_at,
            &s.seen,
        ],
    )
    .await?;
    Ok(())
}

/// Part of an act: what somebody wants of an incident's silence. The incident is locked.
pub(super) async fn wish(tx: &Tx, incident: IncidentId, wish: &SilenceWish, now: UnixMs) -> Result<(), DbError> {
    match Silence::wished(find(tx, incident).await?, incident, wish, now) {
        Some(silence) => put(tx, &silence).await,
        None => Ok(()),
    }
}
