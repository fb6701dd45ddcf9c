//! Intake: events, their deliveries, and how they were accepted.

use std::time::Duration;

use super::{AlertReport, Fallback, IncidentReport, Mode, State, Summary, Target};
use crate::model::{DeliveryId, Event, EventId, IncidentId, LaneId, OutletKey, UnixMs};

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
    /// What it says of incidents, each key once; empty when none of its deliveries is to be sent.
    pub incidents: Vec<IncidentReport>,
    /// Its deliveries.
    pub deliveries: Vec<NewDelivery>,
    /// Steps of the escalations of its incidents. They are stored where the escalation begins: it has not begun since the incident opened or was reopened.
    pub steps: Vec<NewDelivery>,
}

/// A dedup key and its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dedup {
    /// SHA-256 over what makes two events the same.
    pub key: [u8; 32],
    /// How long a repeat counts as one.
    pub window: Duration,
}

/// The incident that a delivery belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeliveryIncident {
    /// None.
    #[default]
    None,
    /// That of the report at this place in [`NewEvent::incidents`]; none when the report leads to none.
    Reported(usize),
    /// This one: that of the delivery it comes from.
    Known(IncidentId),
}

impl DeliveryIncident {
    /// The incident, where `reported` are those that the event's reports led to.
    pub(in crate::store) fn resolve(self, reported: &[Option<IncidentId>]) -> Option<IncidentId> {
        match self {
            DeliveryIncident::None => None,
            DeliveryIncident::Reported(place) => reported.get(place).copied().flatten(),
            DeliveryIncident::Known(id) => Some(id),
        }
    }
}

impl From<Option<IncidentId>> for DeliveryIncident {
    fn from(known: Option<IncidentId>) -> Self {
        known.map_or(DeliveryIncident::None, DeliveryIncident::Known)
    }
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
    /// The incident that it belongs to.
    pub incident: DeliveryIncident,
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
    /// The steps of escalations that began with it; none of a duplicate.
    pub steps: Vec<AcceptedDelivery>,
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
    /// The incident that it belongs to.
    pub incident: Option<IncidentId>,
}
