//! Logins to the console, which every node of a cluster knows.

use async_trait::async_trait;

use super::{Session, StoreError};
use crate::model::UnixMs;

/// Used by the console.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a login; those that ended before `opened_at` of it go. One transaction.
    async fn open_session(&self, session: Session) -> Result<(), StoreError>;

    /// The login of this key, also one that has ended by time. Read only.
    async fn session(&self, key: [u8; 32]) -> Result<Option<Session>, StoreError>;

    /// Says that a login is in use; of one that is gone nothing changes. One transaction.
    async fn touch_session(&self, key: [u8; 32], now: UnixMs) -> Result<(), StoreError>;

    /// Ends a login. Returns whether there was one. One transaction.
    async fn end_session(&self, key: [u8; 32]) -> Result<bool, StoreError>;

    /// The logins that go on, the newest first; at most 500. Read only.
    async fn list_sessions(&self, now: UnixMs) -> Result<Vec<Session>, StoreError>;
}
