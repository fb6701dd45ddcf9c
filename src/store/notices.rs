//! What people were notified of mutes, and what mutes hold.

use async_trait::async_trait;

use super::{HeldRow, MuteRow, StoreError};
use crate::model::UnixMs;

/// Used by the periodic tasks, and by what ends mutes.
#[async_trait]
pub trait NoticeStore: Send + Sync {
    /// What is deferred by mutes, of the file and by hand, and fires: how many deliveries of each channel, reason and rank, those that are due included.
    /// Read only.
    async fn count_held(&self) -> Result<Vec<HeldRow>, StoreError>;

    /// Writes what is remembered of mutes, removes the rows of the keys in `gone`, and returns all that is remembered, by key. One transaction; without
    /// changes read only.
    async fn update_mute_rows(&self, changes: Vec<MuteRow>, gone: Vec<String>) -> Result<Vec<MuteRow>, StoreError>;

    /// Writes what mutes hold now, of those keys that are known: counts by severity, the most severe first. What holds something has held it `now`. One
    /// transaction.
    async fn note_held(&self, held: Vec<(String, [u32; 4])>, now: UnixMs) -> Result<(), StoreError>;
}
