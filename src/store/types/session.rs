//! Logins to the console.

use std::time::Duration;

use crate::model::UnixMs;

/// A session ends when it was not used for so long.
pub const SESSION_IDLE: Duration = Duration::from_secs(12 * 3600);
/// A session ends so long after its login, however much it is used.
pub const SESSION_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// A login to the console. The id that the browser has is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of its id.
    pub key: [u8; 32],
    /// The credential that logged in.
    pub credential: String,
    /// SHA-256 of the session's id and the credential's secret: another secret under the same name ends it.
    pub seal: [u8; 32],
    /// The address from which it was opened.
    pub from: String,
    /// When it was opened.
    pub opened_at: UnixMs,
    /// When it was last used, to within minutes.
    pub seen_at: UnixMs,
}

impl Session {
    /// Whether it goes on.
    pub fn is_alive(&self, now: UnixMs) -> bool {
        now < self.opened_at + SESSION_LIFE && now < self.seen_at + SESSION_IDLE
    }
}
