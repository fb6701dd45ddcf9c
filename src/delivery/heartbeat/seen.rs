//! What this node received of the heartbeats, and their states.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::delivery::plan::Plan;
use crate::model::{Event, SenderKind, Status, UnixMs};

/// What this node received since it last wrote it down: names, and Unix milliseconds.
#[derive(Debug, Default)]
pub struct LastSeen(Mutex<HashMap<Arc<str>, UnixMs>>);

impl LastSeen {
    /// Observes an event. Watchfire's own alerts and resolved ones do not count.
    pub fn observe(&self, plan: &Plan, event: &Event, now: UnixMs) {
        if plan.heartbeats.is_empty() || event.kind == SenderKind::Watchfire {
            return;
        }
        for alert in event.alerts.iter().filter(|alert| alert.status == Status::Firing) {
            for heartbeat in plan.heartbeats.iter().filter(|heartbeat| heartbeat.matches(&alert.labels)) {
                self.names().insert(heartbeat.name.clone(), now);
            }
        }
    }

    pub(super) fn names(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, UnixMs>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The heartbeats, as this node sees them.
#[derive(Debug, Default)]
pub struct Heartbeats {
    /// What was received since it was last written down.
    pub last_seen: LastSeen,
    states: ArcSwap<Vec<HeartbeatState>>,
}

impl Heartbeats {
    /// The state of each, as of the last tick.
    pub fn states(&self) -> Arc<Vec<HeartbeatState>> {
        self.states.load_full()
    }

    pub(super) fn set_states(&self, states: Vec<HeartbeatState>) {
        self.states.store(Arc::new(states));
    }
}

/// The state of a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HeartbeatState {
    /// Its name.
    pub name: String,
    /// A heartbeat that is not received for this long is missing, in seconds.
    pub timeout_seconds: u64,
    /// When it was last received, Unix milliseconds; `None`: never.
    pub seen_at: Option<UnixMs>,
    /// Its age as far as this node knows, in seconds; counted from this node's start at the earliest.
    pub quiet_seconds: u64,
    /// Since when it has been reported missing, Unix milliseconds; `None` while it is received.
    pub silent_since: Option<UnixMs>,
}
