//! Intake: events, their deliveries, and how they were accepted.

use std::time::Duration;

use super::{AlertReport, Fallback, Mode, State, Summary, Target};
use crate::model::{DeliveryId, Event, EventId, LaneId, OutletKey, UnixMs};

/// An event to accept.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its identity.
    pub id: EventId,
    /// The event.
    pub event: std::sync::Arc<Event>,
    /// When it arrived.
    pub received_at: UnixMs,
    /// Hash of the plan it was routed with.
    pub plan: std::sync::Arc<str>,
    /// Key and window within which a repeat of the newest event in its lanes is a duplicate; `None` turns dedup off.
    pub dedup: Option<Dedup>,
    /// Why it has no delivery, when it has none; else what its sender should know.
    pub note: Option<String>,
    /// Its deliveries.
    pub deliveries: Vec<NewDelivery>,
}

/// A dedup key and its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dedup {
    /// SHA-256 over what makes two events the same.
    pub key: [u8; 32],
    /// How long a repeat counts as one.
    pub window: Duration,
}

/// A delivery to accept.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Its identity.
    pub id: DeliveryId,
    /// Destination.
    pub channel: String,
    /// The channel's outlet.
    pub outlet: OutletKey,
    /// The lane's key within the channel.
    pub lane_key: String,
    /// What the route asked for.
    pub target: Target,
    /// Queued or direct.
    pub mode: Mode,
    /// `Waiting`, `Deferred` or `Skipped`.
    pub state: State,
    /// 0 critical .. 3 info.
    pub rank: i64,
    /// What it is about.
    pub summary: Summary,
    /// When it was born; for a fallback child the origin's.
    pub born_at: UnixMs,
    /// Not before.
    pub due_at: UnixMs,
    /// Whether it is a fallback, and of what.
    pub fallback: Fallback,
    /// Why, when it is born final, or a note (`fallback of ..`).
    pub reason: Option<String>,
    /// What its event says of the lane's alerts, when the event itself arrives (not a copy, a child or a replay).
    pub report: Option<AlertReport>,
}

/// How an event was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The event's id: the first one's, when this is a duplicate.
    pub event: EventId,
    /// Whether it repeats the newest event of its lanes, within the window.
    pub duplicate: bool,
    /// Its deliveries (the first one's, when this is a duplicate).
    pub deliveries: Vec<AcceptedDelivery>,
}

/// A delivery as accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedDelivery {
    /// Its identity.
    pub id: DeliveryId,
    /// Destination.
    pub channel: String,
    /// The outlet its lane belongs to.
    pub outlet: OutletKey,
    /// Its lane.
    pub lane: LaneId,
    /// Its place in the lane.
    pub lane_seq: i64,
    /// Its state now.
    pub state: State,
}
