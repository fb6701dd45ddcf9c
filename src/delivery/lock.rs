//! Locks whose values are replaced whole.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. A panic elsewhere cannot have left the value half changed: it is replaced whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
