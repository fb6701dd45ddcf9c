//! What comes in: events, their deliveries, and what became of them at the door.

use super::{Mode, State, TargetRecord};
use crate::model::{DeliveryId, Event, EventId, LaneId, OutletKey};
use uuid::Uuid;

/// An event to take in.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Its identity.
    pub id: EventId,
    /// The event.
    pub event: std::sync::Arc<Event>,
    /// When it arrived.
    pub received_at: i64,
    /// Hash of the plan it was routed with.
    pub plan: std::sync::Arc<str>,
    /// Key and window within which a repeat of the newest event in its lanes is a duplicate; `None` turns dedup off.
    pub dedup: Option<Dedup>,
    /// Why it has no delivery, when it has none.
    pub note: Option<String>,
    /// Its deliveries.
    pub deliveries: Vec<NewDelivery>,
}

/// A dedup key and its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dedup {
    /// SHA-256 over what makes two events the same.
    pub key: [u8; 32],
    /// Milliseconds.
    pub window: i64,
}

/// What a lane's row remembers of the newest event in it, as 64 bytes: a repeat counts only while it equals that one.
///
/// It names the place that its event took. When anything entered the lane since without saying what it is (a replay by hand, a node of an older
/// version), the lane's last place is another, and nothing is known of the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newest {
    /// The event's dedup key.
    pub key: [u8; 32],
    /// The event.
    pub event: EventId,
    /// When it arrived.
    pub at: i64,
    /// The last place in the lane that it took.
    pub seq: i64,
}

impl Newest {
    /// As it is stored.
    pub fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.key);
        bytes[32..48].copy_from_slice(self.event.0.as_bytes());
        bytes[48..56].copy_from_slice(&self.at.to_be_bytes());
        bytes[56..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    /// From what is stored in a lane whose last place is `last_seq`; `None` when that is not known to be this event's.
    pub fn of_lane(stored: Option<&[u8]>, last_seq: i64) -> Option<Self> {
        let bytes: &[u8; 64] = stored?.try_into().ok()?;
        let number = |at: usize| Some(i64::from_be_bytes(*bytes[at..].first_chunk()?));
        let newest =
            Self { key: *bytes.first_chunk()?, event: EventId(Uuid::from_bytes(*bytes[32..].first_chunk()?)), at: number(48)?, seq: number(56)? };
        (newest.seq == last_seq).then_some(newest)
    }

    /// Whether an event that arrives `now` repeats this one. A time ahead of now (the clock was set back) must not swallow events until the clock
    /// has caught up with it.
    pub fn is_repeated(&self, dedup: &Dedup, now: i64) -> bool {
        self.key == dedup.key && self.at > now - dedup.window && self.at <= now + dedup.window
    }
}

/// The event that one which arrives `now` repeats: the newest of the lanes that it would enter. `lanes` are these, in any order, each with what is
/// known of its newest event; those that nothing ever entered (a reload sends the alert elsewhere as well) are left out.
pub fn repeated(lanes: impl IntoIterator<Item = Option<Newest>>, dedup: &Dedup, now: i64) -> Option<EventId> {
    let mut first = None;
    for newest in lanes {
        let newest = newest.filter(|newest| newest.is_repeated(dedup, now))?;
        first = first.or(Some(newest.event));
    }
    first
}

/// A delivery to take in.
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
    pub target: TargetRecord,
    /// Queued or sync.
    pub mode: Mode,
    /// `Waiting`, `Deferred` or `Skipped`.
    pub state: State,
    /// 0 critical .. 3 info.
    pub rank: i64,
    /// One line that names it in lists and digests.
    pub title: String,
    /// Firing alerts in it.
    pub firing: u32,
    /// Resolved alerts in it.
    pub resolved: u32,
    /// When it was born; for a fallback child the origin's.
    pub born_at: i64,
    /// Not before.
    pub due_at: i64,
    /// The delivery it is a fallback of.
    pub origin: Option<DeliveryId>,
    /// How many fallbacks deep it is.
    pub hop: u32,
    /// Why, when it is born final, or a note (`fallback of ..`).
    pub reason: Option<String>,
}

/// What became of an accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The event's id: the first one's, when this is a duplicate.
    pub event: EventId,
    /// Whether it repeats the newest event of its lanes, within the window.
    pub duplicate: bool,
    /// Its deliveries (the first one's, when this is a duplicate).
    pub deliveries: Vec<AcceptedDelivery>,
}

/// A delivery as taken in.
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
