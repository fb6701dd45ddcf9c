//! How the worker of this process is notified of what is asked for, and how it says that it has looked.

use tokio::sync::{Notify, watch};

/// Between acts and the worker.
#[derive(Default)]
pub(in crate::delivery) struct Bell {
    /// Something is asked for.
    pub(super) asked: Notify,
    /// How often the worker has looked.
    pub(super) done: watch::Sender<u64>,
}
