//! Checks of hashed passwords: costly on purpose, so never on the threads that serve requests, one at a time, and once for a password that was right.
//!
//! What was right is remembered by a keyed hash, never as text; what was wrong is not remembered: it would let strangers fill the memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::config::PasswordHash;

/// Right passwords that are remembered; a configuration has few credentials.
const REMEMBERED: usize = 64;
/// Checks that may wait for their turn. More at once are refused for now: those who guess must not keep others waiting.
const WAITING: usize = 16;

/// Checks hashed passwords.
#[derive(Debug)]
pub struct Hashed {
    key: [u8; 16],
    right: Mutex<VecDeque<[u8; 32]>>,
    turn: Semaphore,
    waiting: Semaphore,
}

impl Default for Hashed {
    fn default() -> Self {
        Self { key: uuid::Uuid::new_v4().into_bytes(), right: Mutex::default(), turn: Semaphore::new(1), waiting: Semaphore::new(WAITING) }
    }
}

impl Hashed {
    /// Whether this is the password; `None` when too many checks wait already.
    pub async fn verify(&self, hash: &PasswordHash, password: &str) -> Option<bool> {
        let tag = hash.tag(&self.key, password);
        if self.remembers(&tag) {
            return Some(true);
        }
        let _place = self.waiting.try_acquire().ok()?;
        let _turn = self.turn.acquire().await.ok()?;
        // Somebody before us may have brought the same one.
        if self.remembers(&tag) {
            return Some(true);
        }
        let (hash, password) = (hash.clone(), password.to_owned());
        let right = tokio::task::spawn_blocking(move || hash.verify(&password)).await.unwrap_or(false);
        if right {
            let mut known = self.right.lock().unwrap_or_else(PoisonError::into_inner);
            known.truncate(REMEMBERED - 1);
            known.push_front(tag);
        }
        Some(right)
    }

    fn remembers(&self, tag: &[u8; 32]) -> bool {
        self.right.lock().unwrap_or_else(PoisonError::into_inner).contains(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(password: &str) -> PasswordHash {
        let cheap = argon2::Params::new(8, 1, 1, None).unwrap();
        PasswordHash::parse(&PasswordHash::create(password, b"salt of the test", cheap).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_right_password_is_checked_once_and_a_wrong_one_each_time() {
        let (hash, other) = (hashed("pw"), hashed("pw2"));
        let hashed = Hashed::default();
        assert_eq!(hashed.verify(&hash, "no").await, Some(false));
        assert_eq!(hashed.verify(&hash, "pw").await, Some(true));
        assert_eq!(hashed.right.lock().unwrap().len(), 1);
        // With its turn taken by somebody else, what is remembered still passes, and nothing else does.
        let _turn = hashed.turn.acquire().await.unwrap();
        let _places = hashed.waiting.acquire_many(WAITING as u32).await.unwrap();
        assert_eq!(hashed.verify(&hash, "pw").await, Some(true));
        assert_eq!(hashed.verify(&hash, "no").await, None);
        assert_eq!(hashed.verify(&other, "pw").await, None, "the same password of another hash is another one");
        for i in 0..200u8 {
            hashed.right.lock().unwrap().push_front([i; 32]);
        }
        drop((_turn, _places));
        assert_eq!(hashed.verify(&other, "pw2").await, Some(true));
        assert_eq!(hashed.right.lock().unwrap().len(), REMEMBERED, "bounded");
    }
}
