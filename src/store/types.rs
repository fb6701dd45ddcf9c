//! What goes into and comes out of a store.

use serde::{Deserialize, Serialize};

use crate::model::{AttemptId, DeliveryId, Event, EventId, LaneId, Mentions, MessageId, OutletKey, Page, Recipient};

/// Why a store did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Too much is queued; try again.
    #[error("the store's queue is full; try again in a few seconds")]
    Busy,
    /// The disk or database does not take writes now; the text says why and what to do.
    #[error("{0}")]
    Unavailable(String),
    /// The caller no longer owns the outlet.
    #[error("this node no longer owns the outlet")]
    Fenced,
    /// The database is damaged or of another version; the text says what to do.
    #[error("{0}")]
    Unusable(String),
    /// The request itself makes no sense (an unknown id, a wrong state).
    #[error("{0}")]
    Invalid(String),
}

/// How a delivery is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Durable, retried.
    Queued,
    /// A direct call: one attempt, its caller waits for it.
    Sync,
}

/// A delivery's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not final: to be sent.
    Waiting,
    /// Not final: muted until its `due_at`.
    Deferred,
    /// Final: the platform confirmed it.
    Sent,
    /// Final: it cannot be delivered; the reason is with it.
    Dead,
    /// Final: ended by a person.
    Dropped,
    /// Final: not to be sent by configuration (resolved not wanted, channel disabled, resolved while muted).
    Skipped,
    /// Final: a direct call that got no slot in time.
    Expired,
    /// Final: an at-most-once send whose outcome nobody knows.
    Unknown,
}

impl State {
    /// All states.
    pub const ALL: [State; 8] =
        [State::Waiting, State::Deferred, State::Sent, State::Dead, State::Dropped, State::Skipped, State::Expired, State::Unknown];

    /// The name in SQL, the API and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Deferred => "deferred",
            State::Sent => "sent",
            State::Dead => "dead",
            State::Dropped => "dropped",
            State::Skipped => "skipped",
            State::Expired => "expired",
            State::Unknown => "unknown",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<State> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// Whether nothing more happens to it.
    pub fn is_final(self) -> bool {
        !matches!(self, State::Waiting | State::Deferred)
    }
}

/// What a route asked for; stored with the delivery as JSON.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TargetRecord {
    /// Template set.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// Whom to ping, when the route says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mentions: Option<Mentions>,
    /// Which alerts of the event: indices.
    pub alerts: Vec<u32>,
    /// Channels still to be tried when this one is dead, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
    /// Only these recipients (a partial failure's child); empty: all of the channel's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Recipient>,
    /// A page given as it is (direct calls), instead of templates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<Box<Page>>,
    /// The route's place in the tree, for `explain`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub route: String,
}

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
    /// Key and window within which a repeat is a duplicate; `None` turns dedup off.
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
    /// Whether an equal event was taken in within the window.
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

/// A claim on an outlet.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The outlet.
    pub outlet: OutletKey,
    /// Who claims it.
    pub node: String,
    /// Now.
    pub now: i64,
    /// Until when.
    pub lease_until: i64,
    /// Attempts begun since then are given back, for the sliding window.
    pub window_start: i64,
}

/// An outlet that is now owned.
#[derive(Debug, Clone, Default)]
pub struct Owned {
    /// The epoch that fences every write.
    pub epoch: i64,
    /// Not before.
    pub paused_until: i64,
    /// Why it is held.
    pub held: Option<String>,
    /// `2026-11`.
    pub month: String,
    /// Messages sent in that month.
    pub month_sent: i64,
    /// When attempts began, oldest first.
    pub sends: Vec<i64>,
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
    /// How it came together: `single`, `fold` or `digest`.
    pub kind: String,
    /// Template set.
    pub template: String,
    /// How often it was rendered anew.
    pub generation: u32,
    /// When it was formed.
    pub formed_at: i64,
    /// Its pages.
    pub pages: Vec<Page>,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Its members, in lane order, without events.
    pub members: Vec<Waiting>,
}

/// A cell's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    /// To be sent.
    Open,
    /// An attempt began and has not ended.
    Begun,
    /// The platform confirmed it.
    Ok,
    /// It can never succeed.
    Dead,
    /// Nobody knows.
    Unknown,
}

impl CellState {
    /// The name in SQL and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            CellState::Open => "open",
            CellState::Begun => "begun",
            CellState::Ok => "ok",
            CellState::Dead => "dead",
            CellState::Unknown => "unknown",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<CellState> {
        [CellState::Open, CellState::Begun, CellState::Ok, CellState::Dead, CellState::Unknown].into_iter().find(|s| s.as_str() == name)
    }
}

/// Page x recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Page, from 0.
    pub page: u16,
    /// Recipient.
    pub recipient: Recipient,
    /// State.
    pub state: CellState,
    /// Tries spent.
    pub tries: u32,
    /// Not before.
    pub due_at: i64,
    /// The platform's id of it.
    pub platform_id: Option<String>,
    /// The platform's last code.
    pub code: Option<String>,
}

/// A lane with something waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneHead {
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
    pub due_at: i64,
    /// When the oldest was born.
    pub since: i64,
}

/// A delivery that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
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
    pub target: TargetRecord,
    /// Queued or sync.
    pub mode: Mode,
    /// Waiting or deferred.
    pub state: State,
    /// 0 critical .. 3 info.
    pub rank: i64,
    /// One line that names it.
    pub title: String,
    /// Firing alerts in it.
    pub firing: u32,
    /// Resolved alerts in it.
    pub resolved: u32,
    /// When it was born.
    pub born_at: i64,
    /// Not before.
    pub due_at: i64,
    /// Tries spent.
    pub tries: u32,
    /// How many fallbacks deep it is.
    pub hop: u32,
    /// The delivery it is a fallback of.
    pub origin: Option<DeliveryId>,
}

/// An event as stored.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its identity.
    pub id: EventId,
    /// When it arrived.
    pub received_at: i64,
    /// Hash of the plan it was routed with.
    pub plan: String,
    /// Why it has no delivery.
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

/// A message to store.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its identity.
    pub id: MessageId,
    /// Its channel.
    pub channel: String,
    /// Its platform.
    pub platform: &'static str,
    /// `single`, `fold` or `digest`.
    pub kind: &'static str,
    /// Template set.
    pub template: String,
    /// How often it was rendered anew.
    pub generation: u32,
    /// When it was formed.
    pub formed_at: i64,
    /// Its pages.
    pub pages: Vec<Page>,
    /// Its cells. When a message with this id is already stored, `form` replaces pages and generation and adds or replaces these cells.
    pub cells: Vec<Cell>,
    /// The deliveries it carries.
    pub members: Vec<DeliveryId>,
}

/// An attempt that begins.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// Its identity.
    pub id: AttemptId,
    /// The message.
    pub message: MessageId,
    /// The page, from 0.
    pub page: u16,
    /// The cells it tries.
    pub recipients: Vec<Recipient>,
    /// Who makes it.
    pub node: String,
    /// When.
    pub begun_at: i64,
}

/// An attempt that ended.
#[derive(Debug, Clone)]
pub struct EndedAttempt {
    /// Its identity; inserted when `begin` did not.
    pub id: AttemptId,
    /// The page, from 0.
    pub page: u16,
    /// Who made it.
    pub node: String,
    /// When it began.
    pub begun_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// `ok`, or an error kind's name; `partial` when recipients differ.
    pub kind: &'static str,
    /// The platform's code.
    pub code: Option<String>,
    /// The platform's answer or the error's summary: at most 1 KiB, scrubbed.
    pub answer: Option<String>,
}

/// What becomes of one delivery in a settlement.
#[derive(Debug, Clone)]
pub struct DeliveryChange {
    /// The delivery.
    pub id: DeliveryId,
    /// Its lane.
    pub lane: LaneId,
    /// Its new state; `Waiting` to postpone.
    pub state: State,
    /// Tries spent so far.
    pub tries: u32,
    /// Not before (when it still waits).
    pub due_at: i64,
    /// Why, when final; the last error, when postponed.
    pub reason: Option<String>,
    /// Whether it leaves its message (a postponed single that is formed anew).
    pub detach: bool,
}

/// The outcome of one attempt (or of a decision without one), to be written.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Outlet and epoch.
    pub fence: Fence,
    /// The message; `None` when deliveries end without one (skipped after a fold, expired).
    pub message: Option<SettledMessage>,
    /// The attempt; `None` for a decision without one.
    pub attempt: Option<EndedAttempt>,
    /// Cells that changed.
    pub cells: Vec<Cell>,
    /// Deliveries that changed.
    pub deliveries: Vec<DeliveryChange>,
    /// Fallback children: committed together with their origins' death (I8). A child whose (origin, channel) exists is left out.
    pub children: Vec<Child>,
    /// Pause and hold of the outlet, when they change.
    pub outlet: Option<OutletChange>,
    /// Adds to the month's count: the month and how many.
    pub sent_in_month: Option<(String, i64)>,
    /// Now.
    pub now: i64,
}

/// The message of a settlement.
#[derive(Debug, Clone)]
pub struct SettledMessage {
    /// Its identity.
    pub id: MessageId,
    /// The message itself, when `form` has not stored it: written now, with its members' `message_id`.
    pub store: Option<NewMessage>,
    /// Whether it is done.
    pub done: bool,
}

/// A fallback child.
#[derive(Debug, Clone)]
pub struct Child {
    /// The event it carries.
    pub event: EventId,
    /// The delivery.
    pub delivery: NewDelivery,
}

/// A change of an outlet's pause and hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutletChange {
    /// New `paused_until`, when it changes.
    pub paused_until: Option<i64>,
    /// New hold, when it changes: `Some(None)` ends it.
    pub held: Option<Option<String>>,
}

/// What a settlement made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Fallback children, as accepted.
    pub children: Vec<AcceptedDelivery>,
}

/// Where waiting or ended deliveries are moved.
#[derive(Debug, Clone)]
pub struct MoveTo {
    /// The channel.
    pub channel: String,
    /// Its outlet.
    pub outlet: OutletKey,
    /// Channels to try when that one is dead.
    pub fallback: Vec<String>,
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only this channel.
    pub channel: Option<String>,
    /// Only these states; empty: all.
    pub states: Vec<State>,
    /// Only those born at or after this.
    pub since: Option<i64>,
    /// Only those born before this.
    pub until: Option<i64>,
    /// Only those whose title or reason holds this text (ASCII case ignored).
    pub text: Option<String>,
    /// Only those of this event.
    pub event: Option<EventId>,
    /// Only those carried by this message.
    pub message: Option<MessageId>,
    /// Only those with an id smaller than this (the page before ended there).
    pub before: Option<DeliveryId>,
    /// At most this many.
    pub limit: usize,
}

/// A delivery in a list.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryRow {
    /// Its identity.
    pub id: DeliveryId,
    /// Its event.
    pub event: EventId,
    /// Its channel.
    pub channel: String,
    /// State.
    pub state: State,
    /// Queued or sync.
    pub mode: Mode,
    /// 0 critical .. 3 info.
    pub rank: i64,
    /// One line that names it.
    pub title: String,
    /// Firing alerts in it.
    pub firing: u32,
    /// Resolved alerts in it.
    pub resolved: u32,
    /// When it was born, Unix milliseconds.
    pub born_at: i64,
    /// Not before.
    pub due_at: i64,
    /// Tries spent.
    pub tries: u32,
    /// The message that carries or carried it.
    pub message: Option<MessageId>,
    /// The delivery it is a fallback of.
    pub origin: Option<DeliveryId>,
    /// When it became final.
    pub done_at: Option<i64>,
    /// Why.
    pub reason: Option<String>,
}

/// A delivery with everything known about it.
#[derive(Debug, Clone)]
pub struct DeliveryDetail {
    /// The delivery.
    pub row: DeliveryRow,
    /// What the route asked for.
    pub target: TargetRecord,
    /// Its event.
    pub event: StoredEvent,
    /// Its message.
    pub message: Option<StoredMessage>,
    /// Its fallback children.
    pub children: Vec<DeliveryRow>,
}

/// A message with its pages, cells and attempts.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Its identity.
    pub id: MessageId,
    /// Its channel.
    pub channel: String,
    /// Its platform.
    pub platform: String,
    /// `single`, `fold` or `digest`.
    pub kind: String,
    /// Template set.
    pub template: String,
    /// When it was formed.
    pub formed_at: i64,
    /// Whether it is done.
    pub done: bool,
    /// Its pages.
    pub pages: Vec<Page>,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
    /// How many deliveries it carries.
    pub members: u64,
}

/// An attempt as stored.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRow {
    /// Its identity.
    pub id: AttemptId,
    /// The page, from 0.
    pub page: u16,
    /// When it began, Unix milliseconds.
    pub begun_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// `ok`, an error kind, `partial`, or `unknown` when it never ended.
    pub kind: Option<String>,
    /// The platform's code.
    pub code: Option<String>,
    /// The platform's answer.
    pub answer: Option<String>,
}

/// Counts.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Deliveries not final, by channel and state.
    pub open: Vec<(String, State, u64)>,
    /// Dead letters by channel.
    pub dead: Vec<(String, u64)>,
    /// When the oldest waiting delivery was born, by channel.
    pub oldest: Vec<(String, i64)>,
    /// Outlets: key, paused_until, held, month, month_sent.
    pub outlets: Vec<OutletRow>,
    /// Bytes on disk, or 0 when unknown.
    pub bytes: u64,
}

/// An outlet as stored.
#[derive(Debug, Clone)]
pub struct OutletRow {
    /// The outlet.
    pub key: OutletKey,
    /// Not before.
    pub paused_until: i64,
    /// Why it is held.
    pub held: Option<String>,
    /// `2026-11`.
    pub month: String,
    /// Messages sent in that month.
    pub month_sent: i64,
}

/// What a purge removes: everything whose `done_at` lies before these.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// For sent, skipped and dropped ones.
    pub sent_before: i64,
    /// For dead, expired and unknown ones.
    pub dead_before: i64,
    /// Dedup rows seen before this.
    pub dedup_before: i64,
}

/// A channel muted by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelMute {
    /// The channel.
    pub channel: String,
    /// Until when, Unix milliseconds.
    pub until: i64,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
}
