//! Messages at which an earlier process may have crashed: their starts are marked in the store until their step ends.

use std::sync::Arc;

use crate::store::LaneStarts;

use super::core::Shared;

/// What a step has marked as started. A stop that cuts the step off finds it in [`super::heavy::Heavy`], and clears it.
pub(super) struct StartedLanes {
    shared: Arc<Shared>,
    starts: Vec<LaneStarts>,
}

impl StartedLanes {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: shared.clone(), starts: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub(super) fn set(&mut self, starts: Vec<LaneStarts>) {
        self.shared.heavy.started(&starts);
        self.starts = starts;
    }

    /// The step ended: it did not crash the process.
    pub(super) async fn clear(self) {
        if !self.is_empty()
            && let Err(error) = self.shared.store.clear_lanes_started(&self.starts).await
        {
            tracing::warn!(%error, "could not clear the mark of a message that was begun after a crash");
        }
    }
}

impl Drop for StartedLanes {
    fn drop(&mut self) {
        self.shared.heavy.ended(&self.starts);
    }
}
