//! A message in flight, or between two tries: its members, its lanes, its pages once it is composed, and its cells.

mod memory;
mod phase;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::{DisplayValue, display};

use crate::delivery::clock::Now;
use crate::model::{DeliveryId, LaneId, MessageId, Page, PlatformIds, Recipient, UnixMs};
use crate::store::{Cell, CellState, EscalationStep, NewMessage, OpenMessage, PendingDelivery};
use crate::template::MessageKind;

use super::compose::Wording;
use super::direct::Caller;
use super::incident::Notification;
use super::lanes::{LaneReturn, ReadProgress, Reservation, TakenLane};
use super::plan::ChannelPlan;
use super::policy::wait_until;

pub use phase::{BegunAttempt, Phase};

/// The code of a cell whose outcome was lost with its process, until that is recorded.
const LOST: &str = "lost";

/// A message that is not done: in flight, or waiting for its next page or try.
#[derive(Debug)]
pub struct PendingMessage {
    /// Its identity.
    pub id: MessageId,
    /// Its channel's name.
    pub channel: Arc<str>,
    /// Single, fold or digest.
    pub kind: MessageKind,
    /// Template set it was rendered with.
    pub template: String,
    /// How often it was rendered again after a refusal.
    pub generation: u32,
    /// When it was formed, Unix milliseconds.
    pub formed_at: UnixMs,
    /// The next step is not due before.
    pub due: Instant,
    /// The deliveries that it carries.
    pub members: Vec<PendingDelivery>,
    /// What it says of incidents.
    pub notification: Notification,
    /// The lanes that it occupies, and what goes back to them.
    pub lanes: MessageLanes,
    /// How it is worded, after a refusal or a crash.
    pub wording: Wording,
    /// How far it is, with its pages.
    pub phase: Phase,
    /// One per page and recipient.
    pub cells: Vec<Cell>,
    /// Who waits for it, if it is a direct send.
    pub caller: Option<Caller>,
    /// The memory that it takes.
    pub memory: MessageMemory,
}

/// The lanes that a message occupies: until they are released, no other message of them starts (I3).
#[derive(Debug, Default)]
pub struct MessageLanes {
    /// The lanes, with what is to be read of each first.
    pub taken: Vec<TakenLane>,
    /// What reading found.
    pub reads: Vec<ReadProgress>,
    /// Deliveries that were read from the store and may not be due yet.
    pub unverified_due: HashSet<DeliveryId>,
    /// Deliveries that were taken and wait for a later message: they go back when this one is done.
    pub returned: Vec<PendingDelivery>,
    /// Lanes that turned out to have no part in the message, to be released with the next step.
    pub to_release: Vec<LaneReturn>,
    /// Those of them that are for others than the message, by whom: each is a message of its own, next.
    pub parts: Vec<Vec<LaneId>>,
    /// Whether an attempt may have been delivered: the message's members stay as they are.
    pub frozen: bool,
}

/// The memory of a message.
#[derive(Debug, Default)]
pub struct MessageMemory {
    /// The bytes that it takes.
    pub reservations: Vec<Reservation>,
    /// Contexts of the traces of members whose events went back to disk.
    pub traces: Vec<String>,
}

impl MessageLanes {
    /// The lanes of which `unused` is true are not the message's any more; each takes back its own of `returned`.
    pub fn release(&mut self, unused: impl Fn(LaneId) -> bool, returned: &mut Vec<PendingDelivery>) -> Vec<LaneReturn> {
        let mut released = Vec::new();
        for taken in self.taken.extract_if(.., |taken| unused(taken.lane)) {
            released.push(LaneReturn {
                lane: taken.lane,
                read: self.reads.iter().find(|read| read.lane == taken.lane).copied(),
                put_back: returned.extract_if(.., |delivery| delivery.lane == taken.lane).collect(),
            });
        }
        released
    }
}

impl PendingMessage {
    /// The first delivery that it carries, as a field of a line of the log: `watchfire explain` takes deliveries, not messages.
    pub fn delivery(&self) -> Option<DisplayValue<DeliveryId>> {
        self.members.first().map(|member| display(member.id))
    }

    /// A message to be composed from what was taken of lanes.
    pub fn from_lanes(channel: Arc<str>, kind: MessageKind, mut lanes: Vec<TakenLane>, now: Now) -> Self {
        let members = lanes.iter_mut().flat_map(|taken| std::mem::take(&mut taken.members)).collect();
        let reservations = lanes.iter_mut().flat_map(|taken| std::mem::take(&mut taken.reservations)).collect();
        Self {
            id: MessageId::formed(now.wall),
            channel,
            kind,
            template: String::new(),
            generation: 0,
            formed_at: now.wall,
            due: now.mono,
            members,
            notification: Notification::default(),
            lanes: MessageLanes { taken: lanes, ..MessageLanes::default() },
            wording: Wording::default(),
            phase: Phase::Formed,
            cells: Vec::new(),
            caller: None,
            memory: MessageMemory { reservations, traces: Vec::new() },
        }
    }

    /// A direct send.
    pub fn direct(channel: Arc<str>, member: PendingDelivery, caller: Caller, now: Now) -> Self {
        Self { members: vec![member], caller: Some(caller), ..Self::from_lanes(channel, MessageKind::Single, Vec::new(), now) }
    }

    /// The cells whose outcome was lost with an earlier process, once: they are to be recorded, and may have been sent.
    pub fn take_lost(&mut self) -> Vec<Cell> {
        let lost = self.cells.iter_mut().filter(|cell| cell.state == CellState::Unknown && cell.code.as_deref() == Some(LOST));
        let take = |cell: &mut Cell| {
            cell.code = Some(CellState::Unknown.as_str().to_owned());
            cell.clone()
        };
        lost.map(take).collect()
    }

    /// Whether the outcome of a cell was lost with an earlier process.
    pub fn was_lost(cell: &Cell) -> bool {
        cell.state == CellState::Unknown && matches!(cell.code.as_deref(), Some(code) if code == LOST || code == CellState::Unknown.as_str())
    }

    /// A message that was stored before a restart or a take-over. Cells that were begun and never ended are unknown where a send must not be repeated,
    /// else open.
    pub fn recovered(open: OpenMessage, at_most_once: bool, now: Instant) -> Self {
        let mut cells = open.cells;
        for cell in cells.iter_mut().filter(|c| c.state == CellState::Begun) {
            if at_most_once {
                (cell.state, cell.code) = (CellState::Unknown, Some(LOST.to_owned()));
            } else {
                cell.state = CellState::Open;
            }
        }
        let mut lanes: Vec<TakenLane> = Vec::new();
        for member in &open.members {
            if !lanes.iter().any(|taken| taken.lane == member.lane) {
                lanes.push(TakenLane { lane: member.lane, members: Vec::new(), reservations: Vec::new(), read_after: None });
            }
        }
        // What was sent as plain text already is not tried so once more; without mentions it has none to be refused for.
        let plain_text = (open.generation > 0 && open.pages.iter().any(|page| page.plain)).then(String::new);
        let mut message = Self {
            id: open.id,
            template: open.template,
            generation: open.generation,
            members: open.members,
            wording: Wording { plain_text, ..Wording::default() },
            phase: Phase::Stored { pages: Some(Arc::new(open.pages)), begun: None },
            cells,
            ..Self::from_lanes(open.channel.as_str().into(), open.kind, lanes, Now { mono: now, wall: open.formed_at })
        };
        message.lanes.frozen = true;
        message
    }

    /// What was not read waits for the next message, with what is behind it in its lane; all of it stays when nothing would be left.
    pub fn return_unread(&mut self) {
        let mut ended: HashSet<LaneId> = HashSet::new();
        let (unread, read): (Vec<_>, Vec<_>) = std::mem::take(&mut self.members).into_iter().partition(|member| {
            if member.event.is_none() {
                ended.insert(member.lane);
            }
            ended.contains(&member.lane)
        });
        if read.is_empty() {
            self.members = unread;
        } else {
            self.members = read;
            self.lanes.returned.extend(unread);
        }
    }

    /// Which step of an escalation it is; `None` for what a route sends. A step is a message of its own.
    pub fn step(&self) -> Option<&EscalationStep> {
        self.members.first().and_then(|member| member.target.step.as_ref())
    }

    /// The lanes that are released with its next step and form messages of their own then.
    pub fn take_parts(&mut self) -> Vec<(Arc<str>, Vec<LaneId>)> {
        std::mem::take(&mut self.lanes.parts).into_iter().map(|lanes| (self.channel.clone(), lanes)).collect()
    }

    /// Its pages in memory; none before it is composed, and while they are left to the store.
    pub fn pages(&self) -> &[Page] {
        self.phase.pages().map_or(&[], |pages| pages.as_slice())
    }

    /// Whether the store has it.
    pub fn is_stored(&self) -> bool {
        matches!(self.phase, Phase::Stored { .. })
    }

    /// Tries spent so far, for the back-off: the most of any member or cell.
    pub fn tries(&self) -> u32 {
        self.members.iter().map(|m| m.tries).chain(self.cells.iter().map(|c| c.tries)).max().unwrap_or(0)
    }

    /// When the oldest member was born.
    pub fn born_at(&self) -> UnixMs {
        self.members.iter().map(|m| m.born_at).min().unwrap_or(self.formed_at)
    }

    /// The next page with open cells that are due, and at most `batch` of their recipients.
    pub fn next_batch(&self, batch: usize, now: UnixMs) -> Option<(u16, Vec<Recipient>)> {
        let is_due = |c: &Cell| c.state == CellState::Open && wait_until(c.due_at, now).is_zero();
        let page = self.cells.iter().filter(|c| is_due(c)).map(|c| c.page).min()?;
        let due = |c: &&Cell| c.page == page && is_due(c);
        Some((page, self.cells.iter().filter(due).take(batch.max(1)).map(|c| c.recipient.clone()).collect()))
    }

    /// How long until the next open cell is due; `None` when no cell is open.
    pub fn next_wait(&self, now: UnixMs) -> Option<Duration> {
        self.cells.iter().filter(|c| c.state == CellState::Open).map(|c| wait_until(c.due_at, now)).min()
    }

    /// Whom it reaches: all members go to the same.
    pub fn recipients<'a>(&'a self, channel: &'a ChannelPlan) -> &'a [Recipient] {
        let own = self.members.first().map(|member| &member.target.recipients).filter(|own| !own.is_empty());
        own.unwrap_or(&channel.recipients)
    }

    /// Creates a cell per page and recipient.
    pub fn create_cells(&mut self, channel: &ChannelPlan) {
        let recipients = self.recipients(channel);
        self.cells = (0..self.pages().len() as u16)
            .flat_map(|page| recipients.iter().map(move |r| (page, r.clone())))
            .map(|(page, recipient)| Cell {
                page,
                recipient,
                state: CellState::Open,
                tries: 0,
                unanswered: 0,
                due_at: UnixMs::EPOCH,
                ids: PlatformIds::default(),
                code: None,
            })
            .collect();
    }

    /// Creates the cells of new pages; a recipient is not sent again what it has, or may have.
    pub fn recreate_cells(&mut self, channel: &ChannelPlan) {
        let previous = std::mem::take(&mut self.cells);
        self.create_cells(channel);
        for cell in &mut self.cells {
            let known = previous.iter().find(|c| (c.page, &c.recipient) == (cell.page, &cell.recipient));
            if let Some(known) = known.filter(|c| matches!(c.state, CellState::Ok | CellState::Unknown)) {
                cell.clone_from(known);
            }
        }
    }

    /// The message as a store takes it.
    pub fn to_record(&self, platform: &'static str) -> NewMessage {
        NewMessage {
            id: self.id,
            channel: self.channel.to_string(),
            platform,
            kind: self.kind,
            template: self.template.clone(),
            generation: self.generation,
            formed_at: self.formed_at,
            pages: self.phase.pages().cloned().unwrap_or_default(),
            cells: self.cells.clone(),
            members: self.members.iter().map(|m| m.id).collect(),
        }
    }

    /// The same for every try with the same members, page and generation, different for any other: a repeat under one key may be swallowed by the
    /// platform, so a message that says more must have another.
    pub fn idempotency_key(&self, page: u16) -> String {
        let members: BTreeMap<String, ()> = self.members.iter().map(|m| (m.id.to_string(), ())).collect();
        let members = members.into_keys().collect::<Vec<_>>().join(",");
        crate::model::hash_hex(&[&self.channel, &members, &page.to_string(), &self.generation.to_string()])
    }
}

/// When the next open cell is due; `None` when no cell is open.
pub fn next_due(cells: &[Cell]) -> Option<UnixMs> {
    cells.iter().filter(|c| c.state == CellState::Open).map(|c| c.due_at).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_earlier_process_left_is_lost() {
        let cell = |state: CellState, code: &str| Cell {
            page: 0,
            recipient: Recipient::new("+1"),
            state,
            tries: 1,
            unanswered: 0,
            due_at: UnixMs(0),
            ids: PlatformIds::default(),
            code: Some(code.to_owned()),
        };
        for (state, code, lost) in [
            (CellState::Unknown, "lost", true),
            (CellState::Unknown, "unknown", true),
            (CellState::Unknown, "ambiguous", false),
            (CellState::Dead, "21211", false),
            (CellState::Dead, "lost", false),
        ] {
            assert_eq!(PendingMessage::was_lost(&cell(state, code)), lost, "{state:?} {code}");
        }
    }
}
