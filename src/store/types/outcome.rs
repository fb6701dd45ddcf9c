//! Sending: messages, their cells and attempts, and what an outcome changes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{AcceptedDelivery, AnchorUpdate, AttemptGuard, Fence, NewDelivery, NewReceipt, State, TimelineRow};
use crate::model::{AttemptId, DeliveryId, ErrorKind, EventId, IncidentId, LaneId, MessageId, MessageKind, Page, PlatformIds, Recipient, UnixMs};

/// A cell's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// Tries whose outcome nobody knows.
    #[serde(default)]
    pub unanswered: u32,
    /// Not before.
    pub due_at: UnixMs,
    /// The platform's ids of it, where it was accepted.
    #[serde(default)]
    pub ids: PlatformIds,
    /// The platform's last code.
    pub code: Option<String>,
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
    /// How it came together.
    pub kind: MessageKind,
    /// Template set.
    pub template: String,
    /// How often it was rendered again.
    pub generation: u32,
    /// When it was formed.
    pub formed_at: UnixMs,
    /// Its pages.
    pub pages: Arc<Vec<Page>>,
    /// Its cells. When a message with this id is already stored, `store_message` replaces pages and generation and adds or replaces these cells.
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
    pub begun_at: UnixMs,
    /// What must hold for it to begin; `None`: nothing.
    pub guard: Option<AttemptGuard>,
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptKind {
    /// The platform took it for all recipients.
    Ok,
    /// It took it for some of them.
    Partial,
    /// It took it for none.
    Failed(ErrorKind),
    /// It began and never ended: the process died.
    Unknown,
}

impl AttemptKind {
    /// The name in SQL, logs and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptKind::Ok => "ok",
            AttemptKind::Partial => "partial",
            AttemptKind::Failed(kind) => kind.as_str(),
            AttemptKind::Unknown => "unknown",
        }
    }

    /// The kind of that name. A name that only a newer version knows is one of which nothing is known.
    pub fn parse(name: &str) -> Self {
        match name {
            "ok" => AttemptKind::Ok,
            "partial" => AttemptKind::Partial,
            "unknown" => AttemptKind::Unknown,
            other => AttemptKind::Failed(ErrorKind::named(other)),
        }
    }
}

impl Serialize for AttemptKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AttemptKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::parse(&name))
    }
}

/// An attempt that ended.
#[derive(Debug, Clone)]
pub struct FinishedAttempt {
    /// Its identity; inserted when `begin_attempt` did not.
    pub id: AttemptId,
    /// The page, from 0.
    pub page: u16,
    /// Who made it.
    pub node: String,
    /// When it began.
    pub begun_at: UnixMs,
    /// When it ended.
    pub ended_at: UnixMs,
    /// How it went.
    pub kind: AttemptKind,
    /// Whether the outlet has a rate limit, for which it counts.
    pub counted: bool,
    /// The platform's code.
    pub code: Option<String>,
    /// The platform's answer or the error's summary: at most 1 KiB, scrubbed.
    pub answer: Option<String>,
}

/// What becomes of one delivery in a settlement.
#[derive(Debug, Clone)]
pub struct DeliveryUpdate {
    /// The delivery.
    pub id: DeliveryId,
    /// Its lane.
    pub lane: LaneId,
    /// Its new state; `Waiting` to postpone.
    pub state: State,
    /// Tries spent so far.
    pub tries: u32,
    /// Not before (when it still waits).
    pub due_at: UnixMs,
    /// Why, when final; the last error, when postponed.
    pub reason: Option<String>,
    /// Whether it leaves its message (a postponed single that is composed again).
    pub leave_message: bool,
}

/// The outcome of one attempt (or of a decision without one), to be written.
#[derive(Debug, Clone)]
pub struct OutcomeBatch {
    /// Outlet and epoch.
    pub fence: Fence,
    /// The message; `None` when deliveries end without one (skipped after a fold, expired).
    pub message: Option<MessageOutcome>,
    /// The attempt; `None` for a decision without one.
    pub attempt: Option<FinishedAttempt>,
    /// Cells that changed.
    pub cells: Vec<Cell>,
    /// Deliveries that changed.
    pub deliveries: Vec<DeliveryUpdate>,
    /// Fallback children: committed together with their origins' death (I8). A child whose (origin, channel) exists is left out.
    pub children: Vec<FallbackChild>,
    /// Anchors of incidents that the message changes: what was notified commits with the outcome (I12).
    pub anchors: Vec<AnchorUpdate>,
    /// Lines of the timelines of incidents.
    pub timeline: Vec<(IncidentId, TimelineRow)>,
    /// Pause and hold of the outlet, when they change.
    pub outlet: Option<OutletUpdate>,
    /// Adds to the month's count.
    pub sent_in_month: Option<MonthlySends>,
    /// What refuses that it is sent: the outcome is written only while it still does. Else the end of an ack that comes in between would find neither
    /// what waits nor what was skipped, and nobody would be called.
    pub needless: Option<AttemptGuard>,
    /// Whether it may wait a few milliseconds for others to share its commit: nothing that happens next needs it on disk.
    pub may_wait: bool,
    /// Now.
    pub now: UnixMs,
}

impl OutcomeBatch {
    /// One that changes nothing yet.
    pub fn new(fence: Fence, now: UnixMs) -> Self {
        Self {
            fence,
            message: None,
            attempt: None,
            cells: Vec::new(),
            deliveries: Vec::new(),
            children: Vec::new(),
            anchors: Vec::new(),
            timeline: Vec::new(),
            outlet: None,
            sent_in_month: None,
            needless: None,
            may_wait: false,
            now,
        }
    }
}

/// The message of an outcome.
#[derive(Debug, Clone)]
pub struct MessageOutcome {
    /// Its identity.
    pub id: MessageId,
    /// The message itself, when `store_message` has not stored it: written now, with its members' `message_id`.
    pub store: Option<NewMessage>,
    /// Whether it is done.
    pub done: bool,
    /// Receipts to wait for, of the cells that this attempt left `ok`. One that is there already stays as it is.
    pub receipts: Vec<NewReceipt>,
}

/// A fallback child.
#[derive(Debug, Clone)]
pub struct FallbackChild {
    /// The event it carries.
    pub event: EventId,
    /// The delivery.
    pub delivery: NewDelivery,
}

/// Messages sent within a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlySends {
    /// `2026-11`.
    pub month: String,
    /// How many.
    pub sends: i64,
}

/// A change of an outlet's pause and suspension.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OutletUpdate {
    /// New `paused_until`, when it changes.
    pub paused_until: Option<UnixMs>,
    /// What happens to its suspension, when that changes.
    pub suspension: Option<SuspensionChange>,
}

/// The beginning or the end of an outlet's suspension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SuspensionChange {
    /// Its configuration does not work; the text says why.
    Suspend(String),
    /// It works again.
    Resume,
}

impl SuspensionChange {
    /// Why the outlet is suspended from now on; `None` when it is not.
    pub fn reason(&self) -> Option<&str> {
        match self {
            SuspensionChange::Suspend(reason) => Some(reason),
            SuspensionChange::Resume => None,
        }
    }
}

/// What a settlement made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordedOutcome {
    /// Fallback children, as accepted.
    pub children: Vec<AcceptedDelivery>,
}
