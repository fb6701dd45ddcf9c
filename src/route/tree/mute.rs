//! Whether a route is muted at a moment, by what, and until when.
//! Knows intervals and one node; nothing of alerts.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::route::interval::{TimeInterval, horizon};

use super::Node;

/// Which rule mutes a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MuteReason {
    /// The moment is in one of its mute intervals.
    Mute,
    /// The moment is in none of its active intervals.
    NotActive,
}

/// That a route is muted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Muted {
    /// The mute intervals that hold now, or all active intervals when none does; names, with commas between.
    pub by: String,
    /// Which of the two it is.
    pub reason: MuteReason,
    /// From when on it is not muted any more; `None` when that does not come within
    /// [`HORIZON_DAYS`](crate::route::interval::HORIZON_DAYS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether its alerts are dropped instead of deferred.
    pub drop: bool,
}

/// The node's state; `None` when it is not muted.
pub(super) fn state(node: &Node, at: Timestamp) -> Option<Muted> {
    let muting: Vec<&str> = node.mute.iter().filter(|interval| interval.contains(at)).map(|interval| interval.name()).collect();
    let (by, reason) = if !muting.is_empty() {
        (muting.join(", "), MuteReason::Mute)
    } else if inactive(&node.active, at) {
        (node.active.iter().map(|interval| interval.name()).collect::<Vec<_>>().join(", "), MuteReason::NotActive)
    } else {
        return None;
    };
    Some(Muted { by, reason, until: free_from(node, at), drop: node.mute_drop })
}

fn inactive(active: &[Arc<TimeInterval>], at: Timestamp) -> bool {
    !active.is_empty() && !active.iter().any(|interval| interval.contains(at))
}

/// The first moment from `at` on at which the node is not muted.
fn free_from(node: &Node, at: Timestamp) -> Option<Timestamp> {
    let horizon = horizon(at);
    let mut free = at;
    // Every turn moves on to where the muting that holds stops, so the loop ends at the horizon at the latest.
    while free < horizon {
        if let Some(interval) = node.mute.iter().find(|interval| interval.contains(free)) {
            free = interval.end_of(free)?;
        } else if inactive(&node.active, free) {
            free = node.active.iter().filter_map(|interval| interval.next_start(free)).min()?;
        } else {
            return Some(free);
        }
    }
    None
}
