//! Queries and manual changes: lists, one delivery with everything about it, counts, retention, mutes, heartbeats.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AttemptKind, Cell, GroupLabel, IncidentCount, Mode, ReceiptRow, State, StoredEvent, Target};
use crate::model::{AttemptId, DeliveryId, EventId, IncidentId, MessageId, MessageKind, OutletKey, Page, PlatformIds, Recipient, UnixMs};

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

/// The next place of what waits with a chain of fallbacks.
#[derive(Debug, Clone)]
pub struct FallbackStep {
    /// The chain that a delivery has, from its beginning.
    pub chain: Vec<String>,
    /// The first of it that sends, with what is left of the chain behind it.
    pub to: MoveTo,
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only these channels; empty: all.
    pub channels: Vec<String>,
    /// Only these states; empty: all.
    pub states: Vec<State>,
    /// Only those born at or after this.
    pub since: Option<UnixMs>,
    /// Only those whose title or reason holds this text (ASCII case ignored).
    pub text: Option<String>,
    /// Only those of this event.
    pub event: Option<EventId>,
    /// Only those carried by this message.
    pub message: Option<MessageId>,
    /// Only those whose incident is of a group with this label.
    pub label: Option<GroupLabel>,
    /// Only those whose incident this person acked or snoozed.
    pub acked_by: Option<String>,
    /// Only those with an id smaller than this (the page before ended there).
    pub before: Option<DeliveryId>,
    /// Only those with an id of at least this: a search goes no further back.
    pub after: Option<DeliveryId>,
    /// At most this many.
    pub limit: usize,
}

/// A delivery in a list.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DeliveryRow {
    /// Its identity.
    pub id: DeliveryId,
    /// Its event.
    pub event: EventId,
    /// Its channel.
    pub channel: String,
    /// State.
    pub state: State,
    /// Queued or direct.
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
    pub born_at: UnixMs,
    /// Not before.
    pub due_at: UnixMs,
    /// Tries spent.
    pub tries: u32,
    /// The message that carries or carried it.
    pub message: Option<MessageId>,
    /// The delivery it is a fallback of.
    pub fallback_of: Option<DeliveryId>,
    /// When it became final.
    pub done_at: Option<UnixMs>,
    /// Why.
    pub reason: Option<String>,
    /// The incident that it belongs to.
    pub incident: Option<IncidentId>,
}

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only of this source.
    pub source: Option<String>,
    /// Only those that led to no delivery.
    pub bare: bool,
    /// Only those that led to a delivery on one of these channels; empty: all.
    pub channels: Vec<String>,
    /// Only those with an id smaller than this (the page before ended there).
    pub before: Option<EventId>,
    /// Only those with an id of at least this: ids are ordered by time.
    pub after: Option<EventId>,
    /// At most this many.
    pub limit: usize,
}

/// An event in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EventRow {
    /// Its identity.
    pub id: EventId,
    /// Who sent it.
    pub source: String,
    /// When it arrived, Unix milliseconds.
    pub received_at: UnixMs,
    /// Why it has no delivery; else what its sender should know (channels that it named and that do not exist).
    pub note: Option<String>,
}

/// An event with its deliveries.
#[derive(Debug, Clone)]
pub struct EventDetail {
    /// The event.
    pub event: StoredEvent,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryRow>,
}

/// A delivery with everything known about it.
#[derive(Debug, Clone)]
pub struct DeliveryDetail {
    /// The delivery.
    pub row: DeliveryRow,
    /// What the route asked for.
    pub target: Target,
    /// Its event.
    pub event: StoredEvent,
    /// Its message.
    pub message: Option<StoredMessage>,
    /// Attempts of the messages that it was tried in before and left (they never reached the platform, or were split): oldest first. Of many
    /// messages the first and last ten are known.
    pub earlier: Vec<AttemptRow>,
    /// Its fallback children.
    pub children: Vec<DeliveryRow>,
    /// For each recipient the newest message of its lane that carried a firing alert and that the platform confirmed; one from long ago is left out.
    pub confirmed: Vec<ConfirmedMessage>,
}

/// A message that its platform confirmed for a recipient: what an edit, a reply or a withdrawal refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedMessage {
    /// Recipient.
    pub recipient: Recipient,
    /// The message.
    pub message: MessageId,
    /// When it was formed.
    pub formed_at: UnixMs,
    /// The platform's ids of its first page.
    pub ids: PlatformIds,
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
    /// How it came together.
    pub kind: MessageKind,
    /// Template set.
    pub template: String,
    /// When it was formed.
    pub formed_at: UnixMs,
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
    /// What its platform reported later, for each accepted cell.
    pub receipts: Vec<ReceiptRow>,
}

/// An attempt as stored.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AttemptRow {
    /// Its identity.
    pub id: AttemptId,
    /// The page, from 0.
    pub page: u16,
    /// When it began, Unix milliseconds.
    pub begun_at: UnixMs,
    /// When it ended.
    pub ended_at: Option<UnixMs>,
    /// `ok`, an error kind, `partial`, or `unknown` when it never ended.
    #[schemars(with = "Option<String>")]
    pub kind: Option<AttemptKind>,
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
    /// The channels and outlets of the lanes in which something is not final.
    pub placed: Vec<(String, OutletKey)>,
    /// Dead letters by channel, without those that were replayed: their new deliveries say what became of them.
    pub dead: Vec<(String, u64)>,
    /// When the oldest waiting delivery was born, by channel. A muted one counts from when its time comes, which may be later than now.
    pub oldest: Vec<(String, UnixMs)>,
    /// All outlets.
    pub outlets: Vec<OutletRow>,
    /// Open incidents.
    pub incidents: Vec<IncidentCount>,
    /// Messages that still show an incident as it was before its end, by channel.
    pub behind: Vec<(String, u64)>,
    /// Bytes that hold data (free pages and the log are not counted), or 0 when unknown.
    pub bytes: u64,
}

impl Stats {
    /// Takes out of the dead letters those that were replayed.
    pub(in crate::store) fn leave_out_replayed(&mut self, replayed: Vec<(String, u64)>) {
        let replayed: BTreeMap<String, u64> = replayed.into_iter().collect();
        self.dead.iter_mut().for_each(|(channel, n)| *n = n.saturating_sub(replayed.get(channel).copied().unwrap_or_default()));
        self.dead.retain(|(_, n)| *n > 0);
    }
}

/// An outlet as stored.
#[derive(Debug, Clone)]
pub struct OutletRow {
    /// The outlet.
    pub key: OutletKey,
    /// Not before.
    pub paused_until: UnixMs,
    /// Why it is suspended, when it is.
    pub suspended: Option<String>,
    /// `2026-11`.
    pub month: String,
    /// Messages sent in that month.
    pub month_sent: i64,
}

/// What a purge removes: everything whose `done_at` lies before these.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// For sent, skipped and dropped ones.
    pub sent_before: UnixMs,
    /// For dead, expired and unknown ones.
    pub dead_before: UnixMs,
    /// For presses, which count once while they are kept: platforms repeat theirs for up to two days. Those from after the oldest incident stay anyway.
    pub presses_before: UnixMs,
    /// How many rows of the audit stay, the newest; what was refused stays among the newer half of them.
    pub audit_rows: i64,
    /// Whether what belongs to an incident that goes on stays, however old it is: its message is made of it.
    pub open_incidents: bool,
}

/// The last sign of life of a sender that is monitored, and whether it is reported as missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeartbeatRow {
    /// Its name in the configuration.
    pub name: String,
    /// When it was last received, Unix milliseconds by the clock of the node that received it; 0 for never.
    pub seen_at: UnixMs,
    /// Since when it is reported as missing, Unix milliseconds; `None` otherwise.
    pub silent_since: Option<UnixMs>,
}

/// A change of a [`HeartbeatRow`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatUpdate {
    /// Which heartbeat.
    pub name: String,
    /// What happened.
    pub change: HeartbeatChange,
}

/// What happened to a heartbeat; times in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeartbeatChange {
    /// It was received then.
    Seen(UnixMs),
    /// It is reported as missing since then.
    Missing(UnixMs),
    /// Its return is reported.
    Recovered,
}

impl HeartbeatChange {
    /// The new `seen_at`, when it changes.
    pub(in crate::store) fn seen_at(self) -> Option<UnixMs> {
        if let HeartbeatChange::Seen(at) = self { Some(at) } else { None }
    }

    /// The new `silent_since`.
    pub(in crate::store) fn silent_since(self) -> Option<UnixMs> {
        if let HeartbeatChange::Missing(since) = self { Some(since) } else { None }
    }
}
