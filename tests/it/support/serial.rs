//! Tests that load the machine take turns: what they measure of time is the program's, not another test's.

use tokio::sync::{Mutex, MutexGuard};

/// Waits until no other test that loads the machine runs.
pub async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Whether the long suite runs (`.ci/long`): a proof that takes minutes has a shorter version in the gate.
pub fn long() -> bool {
    std::env::var_os("WATCHFIRE_LONG").is_some()
}
