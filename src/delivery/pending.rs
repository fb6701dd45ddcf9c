//! A message under way: its members, its pages once it is composed, and its cells.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{AttemptId, DeliveryId, LaneId, MessageId, Page, Recipient};
use crate::store::{Cell, CellState, NewMessage, OpenMessage, PendingDelivery};
use crate::template::MessageKind;

use super::direct::Caller;
use super::lanes::{MemoryBudget, ReadProgress, Reservation, TakenLane, delivery_bytes, page_bytes};
use super::plan::ChannelPlan;
use super::policy::wait_until;

/// What a cell takes in memory, about.
const CELL: usize = 200;
/// Contexts of traces that are kept without their events.
const TRACES: usize = 33;

/// A message under way.
#[derive(Debug)]
pub struct PendingMessage {
    /// Its identity.
    pub id: MessageId,
    /// Its channel's name.
    pub channel: Arc<str>,
    /// How it came together.
    pub kind: MessageKind,
    /// Template set it was rendered with.
    pub template: String,
    /// How often it was rendered anew.
    pub generation: u32,
    /// When it was formed, Unix milliseconds.
    pub formed_at: i64,
    /// Its members.
    pub members: Vec<PendingDelivery>,
    /// The lanes it keeps open, with what is to be read of each first.
    pub lanes: Vec<TakenLane>,
    /// What reading found.
    pub reads: Vec<ReadProgress>,
    /// Deliveries that were read and may not be due yet.
    pub unjudged: HashSet<DeliveryId>,
    /// Lanes that turned out to have no part in it, to be closed with the next step.
    pub closing: Vec<(LaneId, Option<ReadProgress>, Vec<PendingDelivery>)>,
    /// The process died too often at it: only what its deliveries' columns say is sent.
    pub abridged: bool,
    /// Contexts of the traces of members whose large bodies went back to disk.
    pub kept_traces: Vec<String>,
    /// Deliveries of its lanes that were taken and wait for a later message: they go back when this one is done.
    pub back: Vec<PendingDelivery>,
    /// Its pages; empty until it is composed.
    pub pages: Arc<Vec<Page>>,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// Whether `form` has stored it.
    pub stored: bool,
    /// An attempt at a page that is on disk as begun and of which no byte has left.
    pub begun: Option<(AttemptId, u16)>,
    /// Why it was refused, when it is sent once more as plain text.
    pub plain: Option<String>,
    /// The code with which its mentions were refused, when it is sent once more without them.
    pub unmentioned: Option<String>,
    /// Whether an attempt may have been delivered: its members stay as they are.
    pub fixed: bool,
    /// Not before.
    pub due: Instant,
    /// The direct call that waits for it.
    pub caller: Option<Caller>,
    /// The bytes of memory that it takes.
    pub shares: Vec<Reservation>,
    /// Its pages were left to the store while it waits for its next try.
    pub pages_stored: bool,
}

impl PendingMessage {
    /// A message to be composed from what was taken of lanes.
    pub fn from_lanes(channel: Arc<str>, kind: MessageKind, mut lanes: Vec<TakenLane>, now: Instant, now_ms: i64) -> Self {
        let members = lanes.iter_mut().flat_map(|t| std::mem::take(&mut t.members)).collect();
        let shares = lanes.iter_mut().flat_map(|t| std::mem::take(&mut t.shares)).collect();
        Self {
            id: MessageId::new(),
            channel,
            kind,
            template: String::new(),
            generation: 0,
            formed_at: now_ms,
            members,
            lanes,
            reads: Vec::new(),
            unjudged: HashSet::new(),
            closing: Vec::new(),
            back: Vec::new(),
            abridged: false,
            kept_traces: Vec::new(),
            pages: Arc::default(),
            cells: Vec::new(),
            stored: false,
            begun: None,
            plain: None,
            unmentioned: None,
            fixed: false,
            due: now,
            caller: None,
            shares,
            pages_stored: false,
        }
    }

    /// Contexts of the traces of the events it carries, as far as they are in memory.
    pub fn traces(&self) -> impl Iterator<Item = &str> {
        let members = self.members.iter().filter_map(|member| Some(member.event.as_ref()?.trace.as_str()));
        members.chain(self.kept_traces.iter().map(String::as_str)).filter(|trace| !trace.is_empty())
    }

    /// Lets go of large bodies: they are read again when they are needed.
    pub fn drop_large_events(&mut self) {
        for member in &mut self.members {
            if let Some(event) = member.event.take_if(|event| super::lanes::is_large(event))
                && !event.trace.is_empty()
            {
                self.kept_traces.push(event.trace.clone());
            }
        }
    }

    /// Counts what it takes in memory, which it has whatever is left: what is under way must go on.
    pub fn reserve_memory(&mut self, budget: &Arc<MemoryBudget>) {
        let members: usize = self.members.iter().chain(&self.back).map(delivery_bytes).sum();
        let pages: usize = self.pages.iter().map(page_bytes).sum();
        self.shares = vec![budget.reserve(members + pages + self.cells.len() * CELL)];
    }

    /// Leaves to the store what it has and only a retry needs: the bodies of events, and the pages when memory is short.
    pub fn shed_memory(&mut self, budget: &Arc<MemoryBudget>) {
        if self.stored && self.caller.is_none() {
            for member in &mut self.members {
                if let Some(event) = member.event.take()
                    && !event.trace.is_empty()
                    && self.kept_traces.len() < TRACES
                {
                    self.kept_traces.push(event.trace.clone());
                }
            }
            if budget.is_short() && !self.pages.is_empty() {
                self.pages = Arc::default();
                self.pages_stored = true;
            }
        }
        self.reserve_memory(budget);
    }

    /// A direct call.
    pub fn direct(channel: Arc<str>, member: PendingDelivery, caller: Caller, now: Instant, now_ms: i64) -> Self {
        Self { members: vec![member], caller: Some(caller), ..Self::from_lanes(channel, MessageKind::Single, Vec::new(), now, now_ms) }
    }

    /// A message that was formed before a restart. Cells that were begun and never ended are unknown where a send must not be repeated, else open.
    pub fn recovered(open: OpenMessage, at_most_once: bool, now: Instant) -> Self {
        let mut cells = open.cells;
        for cell in cells.iter_mut().filter(|c| c.state == CellState::Begun) {
            cell.state = if at_most_once { CellState::Unknown } else { CellState::Open };
        }
        let mut lanes: Vec<TakenLane> = Vec::new();
        for member in &open.members {
            if !lanes.iter().any(|t| t.lane == member.lane) {
                lanes.push(TakenLane { lane: member.lane, members: Vec::new(), shares: Vec::new(), read_after: None });
            }
        }
        Self {
            id: open.id,
            channel: open.channel.as_str().into(),
            kind: open.kind,
            template: open.template,
            generation: open.generation,
            formed_at: open.formed_at,
            members: open.members,
            lanes,
            reads: Vec::new(),
            unjudged: HashSet::new(),
            closing: Vec::new(),
            back: Vec::new(),
            abridged: false,
            kept_traces: Vec::new(),
            cells,
            stored: true,
            begun: None,
            // What was sent as plain text already is not tried so once more; without mentions it has none to be refused for.
            plain: (open.generation > 0 && open.pages.iter().any(|page| page.plain)).then(String::new),
            pages: Arc::new(open.pages),
            unmentioned: None,
            fixed: true,
            due: now,
            caller: None,
            shares: Vec::new(),
            pages_stored: false,
        }
    }

    /// Tries spent so far, for the back-off: the most of any member or cell.
    pub fn tries(&self) -> u32 {
        self.members.iter().map(|m| m.tries).chain(self.cells.iter().map(|c| c.tries)).max().unwrap_or(0)
    }

    /// When the oldest member was born.
    pub fn born_at(&self) -> i64 {
        self.members.iter().map(|m| m.born_at).min().unwrap_or(self.formed_at)
    }

    /// The next page with open cells that are due, and at most `batch` of their recipients.
    pub fn next_batch(&self, batch: usize, now_ms: i64) -> Option<(u16, Vec<Recipient>)> {
        let is_due = |c: &Cell| c.state == CellState::Open && wait_until(c.due_at, now_ms).is_zero();
        let page = self.cells.iter().filter(|c| is_due(c)).map(|c| c.page).min()?;
        let due = |c: &&Cell| c.page == page && is_due(c);
        Some((page, self.cells.iter().filter(due).take(batch.max(1)).map(|c| c.recipient.clone()).collect()))
    }

    /// How long until the next open cell is due; `None` when no cell is open.
    pub fn next_wait(&self, now_ms: i64) -> Option<Duration> {
        self.cells.iter().filter(|c| c.state == CellState::Open).map(|c| wait_until(c.due_at, now_ms)).min()
    }

    /// When the next open cell is due, Unix milliseconds; `None` when no cell is open.
    pub fn next_due(&self) -> Option<i64> {
        self.cells.iter().filter(|c| c.state == CellState::Open).map(|c| c.due_at).min()
    }

    /// Lays out a cell per page and recipient.
    pub fn create_cells(&mut self, channel: &ChannelPlan) {
        let only: Vec<Recipient> = self.members.iter().flat_map(|m| m.target.only.iter().cloned()).collect();
        let recipients: &[Recipient] = if only.is_empty() || self.members.len() > 1 { &channel.recipients } else { &only };
        self.cells = (0..self.pages.len() as u16)
            .flat_map(|page| recipients.iter().map(move |r| (page, r.clone())))
            .map(|(page, recipient)| Cell {
                page,
                recipient,
                state: CellState::Open,
                tries: 0,
                unanswered: 0,
                due_at: 0,
                platform_id: None,
                code: None,
            })
            .collect();
    }

    /// Lays the cells of new pages out; what a recipient has got already, or may have, it is not sent again.
    pub fn recreate_cells(&mut self, channel: &ChannelPlan) {
        let before = std::mem::take(&mut self.cells);
        self.create_cells(channel);
        for cell in &mut self.cells {
            let known = before.iter().find(|c| (c.page, &c.recipient) == (cell.page, &cell.recipient));
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
            pages: self.pages.clone(),
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
