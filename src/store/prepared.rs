//! Requests made ready on the caller's thread: checked, serialised and weighed once, so that the engines' writers only bind and step.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::limits::{MAX_ANSWER_BYTES, NO_REASON};
use super::packed::pack;
use super::{
    AttemptKind, Cell, CellState, Dedup, DeliveryIncident, EditChange, EditOutcome, EscalationStep, FallbackChild, FinishedAttempt, IncidentReport,
    NewDelivery, NewEvent, NewMessage, OutcomeBatch, ReceiptChange, ReceiptUpdate, State, StoreError, SuspensionChange,
};
use crate::model::{Event, EventId, Page, Recipient, UnixMs};

/// Separates names of channels, which hold no control characters.
pub(super) const SEPARATOR: &str = "\u{1f}";

/// Which texts an engine can store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextRule {
    /// Any text.
    Any,
    /// Any text without U+0000, which becomes U+FFFD.
    NoNul,
}

impl TextRule {
    /// Makes a text one that can be stored.
    pub(super) fn apply(self, text: &mut String) {
        if self == TextRule::NoNul && text.contains('\0') {
            *text = text.replace('\0', "\u{FFFD}");
        }
    }

    /// The same for several.
    pub(super) fn apply_all<'a>(self, texts: impl IntoIterator<Item = &'a mut String>) {
        texts.into_iter().for_each(|text| self.apply(text));
    }

    /// The same for a recipient.
    pub(super) fn recipient(self, recipient: &mut Recipient) {
        if self == TextRule::NoNul && recipient.expose().contains('\0') {
            *recipient = Recipient::new(recipient.expose().replace('\0', "\u{FFFD}"));
        }
    }

    fn cell(self, cell: &mut Cell) {
        self.recipient(&mut cell.recipient);
        self.apply_all(&mut cell.code);
    }
}

/// A value as JSON, for storing.
fn to_json<T: Serialize>(value: &T, what: &str) -> Result<Vec<u8>, StoreError> {
    // Room for what most of them take, so that it is not found by doubling.
    let mut out = Vec::with_capacity(2048);
    serde_json::to_writer(&mut out, value).map_err(|e| StoreError::Invalid(format!("{what} cannot be written as JSON: {e}")))?;
    Ok(out)
}

/// A delivery with its target as JSON.
pub(super) struct PreparedDelivery {
    pub(super) delivery: NewDelivery,
    pub(super) target: String,
    /// The target's fallback channels, with [`SEPARATOR`] between them, for a database that searches for them.
    pub(super) fallback: String,
}

impl PreparedDelivery {
    /// Refuses a delivery that is born in a state that only an outcome leads to.
    pub(super) fn new(mut delivery: NewDelivery, text: TextRule) -> Result<Self, StoreError> {
        if !matches!(delivery.state, State::Waiting | State::Deferred | State::Skipped) {
            let (id, state) = (delivery.id, delivery.state.as_str());
            return Err(StoreError::Invalid(format!("delivery {id} cannot be born `{state}`: only waiting, deferred or skipped")));
        }
        let target = serde_json::to_string(&delivery.target)
            .map_err(|e| StoreError::Invalid(format!("a delivery's target cannot be written as JSON: {e}")))?;
        let mut fallback = delivery.target.fallback.join(SEPARATOR);
        let d = &mut delivery;
        text.apply_all(d.target.step.iter_mut().map(|step| &mut step.escalation));
        text.apply_all([&mut fallback, &mut d.channel, &mut d.lane_key, &mut d.summary.title].into_iter().chain(&mut d.reason));
        Ok(Self { delivery, target, fallback })
    }

    /// Which step of an escalation it is.
    pub(super) fn step(&self) -> Option<&EscalationStep> {
        self.delivery.target.step.as_ref()
    }

    /// When it became final, for one that is born final.
    pub(super) fn done_at(&self, now: UnixMs) -> Option<UnixMs> {
        self.delivery.state.is_final().then_some(now)
    }

    /// Its reason. A final delivery names its message or a reason (I4), and one that arrives has no message.
    pub(super) fn reason(&self) -> Option<&str> {
        self.delivery.reason.as_deref().or(self.delivery.state.is_final().then_some(NO_REASON))
    }

    fn cost(&self) -> usize {
        400 + self.target.len() + self.delivery.summary.title.len() + self.delivery.channel.len()
    }
}

/// Fallback children with their targets as JSON.
fn prepare_children(children: Vec<FallbackChild>, text: TextRule) -> Result<Vec<(EventId, PreparedDelivery)>, StoreError> {
    children.into_iter().map(|FallbackChild { event, delivery }| Ok((event, PreparedDelivery::new(delivery, text)?))).collect()
}

fn children_cost(children: &[(EventId, PreparedDelivery)]) -> usize {
    children.iter().map(|(_, child)| 600 + child.target.len()).sum()
}

/// An event ready to be written.
pub(super) struct PreparedEvent {
    pub(super) id: EventId,
    pub(super) event: Arc<Event>,
    pub(super) source: String,
    pub(super) received_at: UnixMs,
    pub(super) group_key: String,
    pub(super) plan: Arc<str>,
    /// Its JSON, packed.
    pub(super) body: Vec<u8>,
    pub(super) note: Option<String>,
    pub(super) dedup: Option<Dedup>,
    pub(super) incidents: Vec<IncidentReport>,
    pub(super) deliveries: Vec<PreparedDelivery>,
    pub(super) steps: Vec<PreparedDelivery>,
}

impl PreparedEvent {
    /// Serialises the event and its deliveries, and refuses one whose delivery names a report that it does not have.
    pub(super) fn new(new: NewEvent, text: TextRule) -> Result<Self, StoreError> {
        let unknown = |d: &&NewDelivery| matches!(d.incident, DeliveryIncident::Reported(place) if place >= new.incidents.len());
        if let Some(delivery) = new.deliveries.iter().chain(&new.steps).find(unknown) {
            return Err(StoreError::Invalid(format!("delivery {} names an incident report that its event does not have", delivery.id)));
        }
        let mut incidents = new.incidents;
        for report in &mut incidents {
            text.apply_all([&mut report.key, &mut report.source, &mut report.receiver, &mut report.group_key, &mut report.labels, &mut report.title]);
        }
        let body = pack(to_json(&*new.event, "an event")?);
        let all = |deliveries: Vec<NewDelivery>| deliveries.into_iter().map(|d| PreparedDelivery::new(d, text)).collect::<Result<Vec<_>, _>>();
        let (deliveries, steps) = (all(new.deliveries)?, all(new.steps)?);
        // An event without deliveries must say why; purge also finds it by its note.
        let mut note = new.note.or_else(|| deliveries.is_empty().then(|| "no delivery".to_owned()));
        let (mut source, mut group_key) = (new.event.source.clone(), new.event.group_key.clone());
        text.apply_all([&mut source, &mut group_key].into_iter().chain(&mut note));
        Ok(Self {
            id: new.id,
            event: new.event,
            source,
            received_at: new.received_at,
            group_key,
            plan: new.plan,
            body,
            note,
            dedup: new.dedup,
            incidents,
            deliveries,
            steps,
        })
    }

    /// The alerts that fire of a step's incident and are not routed to its escalation, by eight bytes of their fingerprints.
    pub(super) fn routed_elsewhere(&self, step: &PreparedDelivery) -> HashSet<u64> {
        let DeliveryIncident::Reported(place) = step.delivery.incident else { return HashSet::new() };
        let own: HashSet<u32> = step.delivery.target.alerts.iter().copied().collect();
        let all = self.incidents.get(place).into_iter().flat_map(|report| &report.alerts);
        all.filter(|alert| alert.fires && !own.contains(&alert.index)).map(|alert| alert.fingerprint).collect()
    }

    /// About how many bytes it occupies in the queue.
    pub(super) fn cost(&self) -> usize {
        let incidents = self
            .incidents
            .iter()
            .map(|report| 256 + report.title.len() + report.group_key.len() + report.labels.len() + report.alerts.len() * 64)
            .sum::<usize>();
        256 + self.body.len() + incidents + self.deliveries.iter().chain(&self.steps).map(PreparedDelivery::cost).sum::<usize>()
    }
}

/// A message with its pages as they are stored.
pub(super) struct PreparedMessage {
    pub(super) message: NewMessage,
    /// Their JSON, packed.
    pub(super) pages: Vec<u8>,
}

impl PreparedMessage {
    /// Serialises the pages.
    pub(super) fn new(mut message: NewMessage, text: TextRule) -> Result<Self, StoreError> {
        let pages = pack(to_json::<Vec<Page>>(&message.pages, "a message's pages")?);
        text.apply_all([&mut message.channel, &mut message.template]);
        message.cells.iter_mut().for_each(|cell| text.cell(cell));
        Ok(Self { message, pages })
    }

    /// About how many bytes it occupies in the queue.
    pub(super) fn cost(&self) -> usize {
        256 + self.pages.len() + self.message.cells.len() * 120 + self.message.members.len() * 48
    }
}

/// The only cell of a message, and the only attempt.
#[derive(Clone, Copy)]
pub(super) struct Sole<'a> {
    pub(super) cell: &'a Cell,
    pub(super) attempt: &'a FinishedAttempt,
}

impl Sole<'_> {
    /// When it ended, if it counts for a rate limit.
    pub(super) fn counted_at(&self) -> Option<UnixMs> {
        self.attempt.counted.then_some(self.attempt.ended_at.max(self.attempt.begun_at))
    }
}

/// An outcome with all JSON made; `outcome` holds neither the message nor the children any more.
pub(super) struct PreparedOutcome {
    pub(super) outcome: OutcomeBatch,
    pub(super) message: Option<PreparedMessage>,
    pub(super) children: Vec<(EventId, PreparedDelivery)>,
}

impl PreparedOutcome {
    /// Refuses an outcome that contradicts itself, serialises the message and the children, and cuts the platform's answer to size.
    pub(super) fn new(mut outcome: OutcomeBatch, text: TextRule) -> Result<Self, StoreError> {
        if outcome.message.is_none() && (outcome.attempt.is_some() || !outcome.cells.is_empty()) {
            return Err(StoreError::Invalid("an attempt or cells cannot be settled without their message".into()));
        }
        let store = outcome.message.as_mut().and_then(|m| Some((m.id, m.store.take()?)));
        if store.as_ref().is_some_and(|(id, message)| *id != message.id) {
            return Err(StoreError::Invalid("an outcome names one message and stores another".into()));
        }
        let message = store.map(|(_, message)| PreparedMessage::new(message, text)).transpose()?;
        let children = prepare_children(std::mem::take(&mut outcome.children), text)?;
        outcome.cells.iter_mut().for_each(|cell| text.cell(cell));
        text.apply_all(outcome.deliveries.iter_mut().filter_map(|update| update.reason.as_mut()));
        for receipt in outcome.message.iter_mut().flat_map(|message| &mut message.receipts) {
            text.recipient(&mut receipt.recipient);
            text.apply_all([&mut receipt.channel, &mut receipt.platform_id]);
        }
        for (_, row) in &mut outcome.timeline {
            text.apply_all([&mut row.channel, &mut row.text]);
        }
        for anchor in &mut outcome.anchors {
            text.apply(&mut anchor.channel);
            text.recipient(&mut anchor.recipient);
        }
        if let Some(attempt) = &mut outcome.attempt {
            text.apply_all(attempt.code.iter_mut().chain(&mut attempt.answer));
            if let Some(answer) = &mut attempt.answer {
                let end = (0..=answer.len().min(MAX_ANSWER_BYTES)).rev().find(|end| answer.is_char_boundary(*end));
                answer.truncate(end.unwrap_or(0));
            }
        }
        if let Some(SuspensionChange::Suspend(reason)) = outcome.outlet.as_mut().and_then(|update| update.suspension.as_mut()) {
            text.apply(reason);
        }
        Ok(Self { outcome, message, children })
    }

    /// What goes into the message's own row: of a message that was not stored before, has one cell, and was sent by its first attempt. Others have rows
    /// of their own for cells and attempts.
    pub(super) fn sole(&self) -> Option<Sole<'_>> {
        let (o, new) = (&self.outcome, &self.message.as_ref()?.message);
        let ([cell], Some(attempt)) = (new.cells.as_slice(), &o.attempt) else { return None };
        let done = o.cells.is_empty() && o.message.as_ref().is_some_and(|message| message.done);
        let sent = (cell.state, attempt.kind) == (CellState::Ok, AttemptKind::Ok);
        let plain = (cell.page, attempt.page, cell.unanswered) == (0, 0, 0) && cell.code == attempt.code;
        let carries = new.members.first().is_some_and(|first| o.deliveries.iter().any(|c| c.id == *first && c.state == State::Sent));
        // One that was composed again was stored before.
        (done && sent && plain && carries && new.generation == 0).then_some(Sole { cell, attempt })
    }

    /// About how many bytes it occupies in the queue.
    pub(super) fn cost(&self) -> usize {
        let o = &self.outcome;
        let message = self.message.as_ref().map_or(0, PreparedMessage::cost);
        let anchors = o.anchors.iter().map(|anchor| 400 + anchor.notified.len() * 32).sum::<usize>();
        2048 + message + anchors + o.timeline.len() * 256 + o.cells.len() * 120 + o.deliveries.len() * 200 + children_cost(&self.children)
    }
}

/// Makes an edit's outcome one that can be stored.
pub(super) fn prepare_edit(mut outcome: EditOutcome, text: TextRule) -> EditOutcome {
    text.apply(&mut outcome.channel);
    text.recipient(&mut outcome.recipient);
    if let EditChange::Gone { why, .. } | EditChange::GivenUp(why) = &mut outcome.change {
        text.apply(why);
    }
    outcome
}

/// What was learnt of a receipt, with its children's JSON made; `update` holds no children any more.
pub(super) struct PreparedReceipt {
    pub(super) update: ReceiptUpdate,
    pub(super) children: Vec<(EventId, PreparedDelivery)>,
}

impl PreparedReceipt {
    /// Serialises the children.
    pub(super) fn new(mut update: ReceiptUpdate, text: TextRule) -> Result<Self, StoreError> {
        let children = prepare_children(std::mem::take(&mut update.children), text)?;
        text.recipient(&mut update.recipient);
        if let ReceiptChange::Final { code, detail, .. } = &mut update.news {
            text.apply_all(code.iter_mut().chain([detail]));
        }
        Ok(Self { update, children })
    }

    /// About how many bytes it occupies in the queue.
    pub(super) fn cost(&self) -> usize {
        512 + children_cost(&self.children)
    }
}
