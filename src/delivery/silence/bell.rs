//! How the worker of this process is notified of what is asked for, how it says that it has looked, and what it saw.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio::sync::{Notify, watch};
use uuid::Uuid;

/// Between acts and the worker.
#[derive(Default)]
pub(in crate::delivery) struct Bell {
    /// Something is asked for.
    pub(super) asked: Notify,
    /// How often the worker has looked.
    pub(super) done: watch::Sender<u64>,
    /// The silences of which the Alertmanager listed an alert: only what it had can be missing there. By their tokens.
    pub(super) seen: Mutex<BTreeSet<Uuid>>,
}
