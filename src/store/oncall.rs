//! Who is on call in place of whom, and which handoffs people were notified of.

use async_trait::async_trait;

use super::{Override, RotaRow, StoreError};
use crate::model::UnixMs;

/// Used by the API and the CLI through the engine, and by the periodic tasks.
#[async_trait]
pub trait OnCallStore: Send + Sync {
    /// The overrides of rotas, by their numbers; also those that have ended, for 100 days. Read only.
    async fn list_overrides(&self) -> Result<Vec<Override>, StoreError>;

    /// Adds an override; its number is the next one. One transaction.
    async fn add_override(&self, new: Override, now: UnixMs) -> Result<Override, StoreError>;

    /// Ends an override: one that has begun ends now, one that has not is removed. Returns whether there was one that had not ended. One transaction.
    async fn end_override(&self, id: i64, now: UnixMs) -> Result<bool, StoreError>;

    /// Writes what is remembered of rotas, and returns all that is, by name. One transaction; without changes read only.
    async fn update_rotas(&self, changes: Vec<RotaRow>) -> Result<Vec<RotaRow>, StoreError>;
}
