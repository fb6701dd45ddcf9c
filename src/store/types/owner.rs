//! What the owner of an outlet works with: its lease, its lanes, what waits in them, and what is in flight.

use super::{Cell, Fallback, State, Summary, Target};
use crate::model::{DeliveryId, Event, EventId, IncidentId, LaneId, MessageId, MessageKind, OutletKey, Page, UnixMs};

/// A request for the lease of an outlet.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// The outlet.
    pub outlet: OutletKey,
    /// Who claims it.
    pub node: String,
    /// Now.
    pub now: UnixMs,
    /// Until when.
    pub lease_until: UnixMs,
    /// Attempts begun since then are returned, for the sliding window.
    pub window_start: UnixMs,
}

/// The heartbeat of a node that shares the store with others.
#[derive(Debug, Clone)]
pub struct NodeHeartbeat {
    /// The node.
    pub node: String,
    /// The hash of the plan it works by.
    pub plan: String,
    /// The program's version.
    pub version: String,
    /// Now.
    pub now: UnixMs,
    /// Until when it counts as alive.
    pub alive_until: UnixMs,
}

/// A node that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its name.
    pub name: String,
    /// The hash of the plan it works by.
    pub plan: String,
    /// The program's version.
    pub version: String,
    /// Outlets it owns.
    pub outlets: u64,
}

/// An outlet that is now owned.
#[derive(Debug, Clone, Default)]
pub struct OutletSnapshot {
    /// The epoch that fences every write.
    pub epoch: i64,
    /// Not before.
    pub paused_until: UnixMs,
    /// Why it is suspended, when it is.
    pub suspended: Option<String>,
    /// Whether its last owner released it ([`crate::store::ClusterStore::release_outlet`]), or there was none: no attempt was interrupted then.
    pub released: bool,
    /// `2026-11`.
    pub month: String,
    /// Messages sent in that month.
    pub month_sent: i64,
    /// When attempts ended, oldest first; those that never did end with the claim.
    pub sends: Vec<UnixMs>,
    /// Messages that are not done, oldest first.
    pub open: Vec<OpenMessage>,
}

/// A message that was formed and is not done.
#[derive(Debug, Clone)]
pub struct OpenMessage {
    /// Its identity.
    pub id: MessageId,
    /// Its channel.
    pub channel: String,
    /// How it came together.
    pub kind: MessageKind,
    /// Template set.
    pub template: String,
    /// How often it was rendered again.
    pub generation: u32,
    /// Whether all of its members are direct sends.
    pub direct: bool,
    /// When it was formed.
    pub formed_at: UnixMs,
    /// Its pages.
    pub pages: Vec<Page>,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Its members, in lane order, without events.
    pub members: Vec<PendingDelivery>,
}

/// Which lanes of an outlet a worker looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneQuery {
    /// Those with something due by then, Unix milliseconds. What was due at its birth is due, whatever the clock says since.
    pub due_by: UnixMs,
    /// None of these.
    pub except: Vec<LaneId>,
    /// None of these channels, which are muted.
    pub muted: Vec<String>,
    /// At most so many.
    pub limit: usize,
}

impl LaneQuery {
    /// Any lanes, whenever they are due, at most `limit`.
    pub fn any(limit: usize) -> Self {
        Self { due_by: UnixMs::MAX, except: Vec::new(), muted: Vec::new(), limit }
    }
}

/// What is due on a channel, on one outlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueRow {
    /// The channel.
    pub channel: String,
    /// The outlet.
    pub outlet: OutletKey,
    /// About how many deliveries are in such lanes and messages; those behind what is due count too.
    pub count: u64,
    /// Since when the first of them is due, Unix milliseconds.
    pub since: UnixMs,
    /// Until when the outlet is leased; 0 when it never was.
    pub leased_until: UnixMs,
}

/// How often a message of a lane was started and did not end, as far as the store knows ([`crate::store::OutletStore::mark_lanes_started`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneStarts {
    /// The lane.
    pub lane: LaneId,
    /// Its starts since they were last cleared.
    pub starts: u32,
}

/// A lane with something waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSummary {
    /// The lane.
    pub id: LaneId,
    /// Its channel.
    pub channel: String,
    /// Its key within the channel.
    pub key: String,
    /// The last `lane_seq` given out.
    pub last_seq: i64,
    /// How many wait.
    pub waiting: i64,
    /// The most severe of them.
    pub rank: i64,
    /// Not before.
    pub due_at: UnixMs,
    /// When the oldest was born.
    pub since: UnixMs,
}

/// Events that were read, in the order asked for.
#[derive(Debug, Clone, Default)]
pub struct EventBodies {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// How many ids at the end of those asked for were not read, because their bodies would have been too many bytes.
    pub left: usize,
}

/// A delivery that waits.
#[derive(Debug, Clone)]
pub struct PendingDelivery {
    /// Its identity.
    pub id: DeliveryId,
    /// Its event's identity.
    pub event_id: EventId,
    /// Its event, when asked for.
    pub event: Option<std::sync::Arc<Event>>,
    /// Its lane.
    pub lane: LaneId,
    /// Its place in the lane.
    pub lane_seq: i64,
    /// Its channel.
    pub channel: String,
    /// What the route asked for.
    pub target: Target,
    /// Waiting or deferred.
    pub state: State,
    /// 0 critical .. 3 info.
    pub rank: i64,
    /// What it is about.
    pub summary: Summary,
    /// When it was born.
    pub born_at: UnixMs,
    /// Not before.
    pub due_at: UnixMs,
    /// Tries spent.
    pub tries: u32,
    /// Whether it is a fallback, and of what.
    pub fallback: Fallback,
    /// The incident that it belongs to.
    pub incident: Option<IncidentId>,
}

/// An event as stored.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its identity.
    pub id: EventId,
    /// When it arrived.
    pub received_at: UnixMs,
    /// Hash of the plan it was routed with.
    pub plan: String,
    /// Why it has no delivery; else what its sender should know.
    pub note: Option<String>,
    /// The event.
    pub event: std::sync::Arc<Event>,
}

/// The outlet and the epoch under which it is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The outlet.
    pub outlet: OutletKey,
    /// The epoch.
    pub epoch: i64,
}
