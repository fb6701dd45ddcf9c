//! What came of a send: evaluated, recorded, and what happens to the message next.

use std::sync::atomic::Ordering;

use crate::channel::{CellResult, FinalWord, LivingMode, kit};
use crate::delivery::allowance::Withheld;
use crate::delivery::evaluate::{Evaluator, Next, Outcome, Postponed};
use crate::delivery::pending::PendingMessage;
use crate::delivery::plan::ChannelPlan;
use crate::model::{AttemptId, DeliveryId, ErrorKind, Form, LaneId, Recipient, SendError, UnixMs};
use crate::store::{
    AnchorUpdate, AttemptKind, Cell, CellState, FinishedAttempt, MessageOutcome, MonthlySends, NewMessage, NewReceipt, OutcomeBatch, State,
    SuspensionChange,
};
use crate::traces::Attempted;

use super::step::step_rows;
use super::{AttemptResult, AttemptTask};

/// Characters of the refusal that a message sent again as plain text shows.
const MAX_REASON: usize = 200;

impl AttemptTask {
    pub(super) async fn record_result(
        self,
        mut message: PendingMessage,
        attempt: AttemptId,
        page: u16,
        to: Vec<Recipient>,
        results: Vec<CellResult>,
        begun_at: UnixMs,
    ) -> AttemptResult {
        let now = self.shared.clock.wall();
        let tried = message.tries();
        let lost = message.take_lost();
        let sends = self.counted_sends(&to, &results) + self.counted_lost(&lost);
        let earlier_fallbacks = self.earlier_fallbacks(&message).await;
        let jitter = self.shared.jitter();
        let evaluator = Evaluator { plan: &self.plan, channel: &self.channel, now, jitter, earlier_fallbacks: &earlier_fallbacks };
        let mut outcome = evaluator.evaluate(&message, page, &to, &results);
        apply(&mut message, &mut outcome);
        if let Some(caller) = &mut message.caller {
            let pairs = results.into_iter().filter_map(|(i, r)| Some((to.get(i)?.clone(), r)));
            caller.results.extend(pairs);
        }
        let ended = self.finished(attempt, page, begun_at, now, &outcome);
        self.trace(&message, &ended, tried + 1);
        let done = matches!(outcome.next, Next::Done | Next::SplitDigest);
        // A message that goes back to its lanes is not kept; its attempt is, under its id, for the rate limit and for `queue show`.
        let store = (!message.is_stored()).then(|| message.to_record(self.channel.platform.name));
        let requeued = outcome.next == Next::Requeue;
        let receipts = receipts_to_await(&self.channel, &message.cells, page, &to, now);
        let anchors = if done { self.anchors(&message) } else { Vec::new() };
        let timeline = step_rows(&message, &outcome.deliveries, now);
        let unconfirmed = outcome.deliveries.iter().any(|change| matches!(change.state, State::Dead | State::Unknown)) && message.step().is_some();
        // A success means nothing that the next message would have to wait for; anything else may (a pause, a suspension, a breaker).
        let answered = (outcome.kind == AttemptKind::Ok && outcome.next == Next::Done).then_some(self.answered.as_ref()).flatten();
        let may_wait = answered.is_some() && may_wait(store.as_ref(), &receipts, &anchors);
        let batch = OutcomeBatch {
            message: Some(MessageOutcome { id: message.id, store, done: done || requeued, receipts }),
            attempt: Some(ended),
            cells: changed_cells(&message, page, &to, lost),
            deliveries: std::mem::take(&mut outcome.deliveries),
            children: std::mem::take(&mut outcome.children),
            anchors,
            timeline,
            outlet: outcome.outlet.clone(),
            sent_in_month: (sends > 0).then(|| MonthlySends { month: self.channel.platform.month(now), sends }),
            may_wait,
            ..OutcomeBatch::new(self.outlet.fence.clone(), now)
        };
        self.shared.telemetry.report(&self.channel, &message, &batch, &outcome);
        if let Some(count) = answered {
            count.fetch_add(1, Ordering::AcqRel);
            self.outlet.mailbox.wake();
        }
        let answered = answered.is_some();
        let recorded = self.record_outcome(batch).await;
        if unconfirmed {
            self.shared.change_steps_soon();
        }
        if !requeued {
            message.phase.mark_stored();
        }
        AttemptResult { answered, ..self.conclude(message, outcome).await.recorded(recorded) }
    }

    fn finished(&self, id: AttemptId, page: u16, begun_at: UnixMs, now: UnixMs, outcome: &Outcome) -> FinishedAttempt {
        FinishedAttempt {
            id,
            page,
            node: self.shared.node.name.to_string(),
            begun_at,
            ended_at: now,
            kind: outcome.kind,
            counted: self.answered.is_none(),
            code: outcome.code.clone(),
            answer: outcome.answer.clone(),
        }
    }

    /// What a message that is done changes of its incidents' anchors.
    fn anchors(&self, message: &PendingMessage) -> Vec<AnchorUpdate> {
        // Where every notification is a message, nothing depends on what was sent before.
        if self.channel.content.living == LivingMode::Off && !self.channel.follows_incidents() {
            return Vec::new();
        }
        message.notification.anchors(message.id, &self.channel.name, &message.cells)
    }

    /// How much of the month's quota a request took. A vendor of phone messages counts each recipient, and may have counted those of whom it did not answer.
    fn counted_sends(&self, to: &[Recipient], results: &[CellResult]) -> i64 {
        if !self.channel.platform.counts_recipients() {
            return i64::from(results.iter().any(|(_, result)| result.is_ok()));
        }
        let refused = |result: &Result<_, SendError>| result.as_ref().is_err_and(|error| error.kind != ErrorKind::Ambiguous);
        let refused = results.iter().filter(|(_, result)| refused(result)).count();
        to.len().saturating_sub(refused) as i64
    }

    /// How much of it cells took whose outcome was lost with their process.
    fn counted_lost(&self, lost: &[Cell]) -> i64 {
        if self.channel.platform.counts_recipients() { lost.len() as i64 } else { 0 }
    }

    /// What cells whose outcome was lost took of the month.
    pub(super) fn lost_in_month(&self, lost: &[Cell], now: UnixMs) -> Option<MonthlySends> {
        let sends = self.counted_lost(lost);
        (sends > 0).then(|| MonthlySends { month: self.channel.platform.month(now), sends })
    }

    fn trace(&self, message: &PendingMessage, ended: &FinishedAttempt, attempt: u32) {
        if !self.shared.telemetry.traces.on() {
            return;
        }
        let attempted = Attempted {
            message: message.id.to_string(),
            channel: &self.channel.name,
            platform: self.channel.platform.name,
            deliveries: message.members.len(),
            page: ended.page + 1,
            attempt,
            born_at: message.born_at().into(),
            begun_at: ended.begun_at.into(),
            ended_at: ended.ended_at.into(),
            kind: ended.kind.as_str(),
            code: ended.code.as_deref(),
        };
        self.shared.telemetry.traces.attempted(&attempted, message.traces());
    }

    async fn conclude(&self, mut message: PendingMessage, outcome: Outcome) -> AttemptResult {
        let members = message.members.iter().map(|member| member.id).collect();
        let mut result = match outcome.next {
            Next::Done => self.complete(&mut message, Vec::new(), false),
            Next::SplitDigest => {
                let lanes: Vec<LaneId> = message.lanes.taken.iter().map(|taken| taken.lane).collect();
                let half = lanes.len().div_ceil(2);
                message.lanes.parts.extend(lanes.chunks(half.max(1)).map(<[LaneId]>::to_vec));
                let returned = std::mem::take(&mut message.members);
                self.complete(&mut message, returned, false)
            }
            Next::Requeue => {
                let returned = std::mem::take(&mut message.members);
                self.complete(&mut message, returned, false)
            }
            Next::RetryPlainText => {
                message.wording.plain_text = Some(kit::cut_units(&outcome.refusal.clone().unwrap_or_default(), MAX_REASON));
                self.shared.telemetry.metrics.template_failure(self.channel.platform.name, &self.channel.name);
                self.recompose(message).await
            }
            Next::RetryUnmentioned => {
                let code = outcome.code.clone().unwrap_or_default();
                tracing::warn!(delivery = message.delivery(), channel = %self.channel.name, code, "the platform refused the mentions; the message is sent without them");
                let mentioned = message.pages().iter().flat_map(|page| &page.facts.mentions.users);
                self.forget_refused(mentioned.map(|id| Recipient::new(id.as_str())));
                message.wording.unmentioned = Some(code);
                self.recompose(message).await
            }
            Next::RetryAsCard => {
                tracing::warn!(delivery = message.delivery(), channel = %self.channel.name, "the message to answer is gone; a new one is sent");
                let received = message.cells.iter().filter(|cell| cell.state == CellState::Ok).map(|cell| cell.recipient.clone());
                message.notification.lines_of = received.collect();
                message.notification.form = Form::Card;
                message.notification.answers.clear();
                self.recompose(message).await
            }
            Next::Retry => {
                message.lanes.frozen |= outcome.errors.iter().flatten().any(|error| error.kind == ErrorKind::Ambiguous);
                self.reschedule(message)
            }
        };
        result.sent = true;
        result.members = members;
        result.errors = outcome.errors;
        if let Some(change) = outcome.outlet {
            result.paused_until = change.paused_until;
            result.suspended = change.suspension.as_ref().and_then(SuspensionChange::reason).map(str::to_owned);
        }
        result
    }

    /// Channels that the lanes of resolved members fell back to while they fired.
    pub(super) async fn earlier_fallbacks(&self, message: &PendingMessage) -> Vec<(DeliveryId, Vec<String>)> {
        let mut all = Vec::new();
        if self.channel.fallback.is_empty() {
            return all;
        }
        for member in message.members.iter().filter(|m| m.summary.resolved > 0) {
            match self.shared.store.fallback_targets(member.lane, member.lane_seq).await {
                Ok(channels) if !channels.is_empty() => all.push((member.id, channels)),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, delivery = %member.id, "could not look up where this alert's firing fell back to"),
            }
        }
        all
    }

    /// Ends a message none of whose cells is left to try (after a crash: all unknown).
    pub(super) async fn complete_unsent(&self, mut message: PendingMessage) -> AttemptResult {
        let now = self.shared.clock.wall();
        let evaluator = Evaluator { plan: &self.plan, channel: &self.channel, now, jitter: 0.0, earlier_fallbacks: &[] };
        let mut outcome = evaluator.evaluate(&message, u16::MAX, &[], &[]);
        apply(&mut message, &mut outcome);
        let lost = message.take_lost();
        let timeline = step_rows(&message, &outcome.deliveries, now);
        let batch = OutcomeBatch {
            sent_in_month: self.lost_in_month(&lost, now),
            message: Some(MessageOutcome { id: message.id, store: None, done: true, receipts: Vec::new() }),
            cells: message.cells.iter().filter(|c| c.state == CellState::Unknown).cloned().collect(),
            children: std::mem::take(&mut outcome.children),
            timeline,
            ..self.outcome_batch(std::mem::take(&mut outcome.deliveries))
        };
        // The attempt that a crash cut off was reported by nobody.
        self.shared.telemetry.report(&self.channel, &message, &batch, &outcome);
        let recorded = self.record_outcome(batch).await;
        if message.step().is_some() {
            self.shared.change_steps_soon();
        }
        self.complete(&mut message, Vec::new(), false).recorded(recorded)
    }
}

/// Whether the outcome of a success may wait a few milliseconds for others to share its commit. A crash repeats what waits: 5 ms of chat messages, never
/// more than the worker lets go unrecorded. What must not be repeated does not wait:
///
/// - a message that was stored before it was sent: one of several cells (I5), or one that is sent at most once (I6);
/// - what the next step needs on disk: receipts are asked for by their ids, and an incident's messages are found by theirs (I12).
///
/// A failure never waits: it changes what may start next, and a store that takes no outcomes must stop what would follow (I11). The lane's own next message
/// is formed after the commit in any case (I3).
fn may_wait(store: Option<&NewMessage>, receipts: &[NewReceipt], anchors: &[AnchorUpdate]) -> bool {
    store.is_some_and(|message| message.cells.len() == 1) && receipts.is_empty() && anchors.iter().all(|anchor| anchor.ids.is_none())
}

/// The cells to write: those of the request, those that limits kept back, and those whose outcome was lost. Of a message that is not stored none.
fn changed_cells(message: &PendingMessage, page: u16, to: &[Recipient], lost: Vec<Cell>) -> Vec<Cell> {
    if !message.is_stored() {
        return Vec::new();
    }
    let changed = |c: &&Cell| (c.page == page && to.contains(&c.recipient)) || Withheld::of_cell(c).is_some();
    message.cells.iter().filter(changed).cloned().chain(lost).collect()
}

/// The message as it is after the attempt.
fn apply(message: &mut PendingMessage, outcome: &mut Outcome) {
    message.cells = std::mem::take(&mut outcome.cells);
    if let Some(Postponed { tries, due_at }) = outcome.postponed {
        for member in &mut message.members {
            member.tries = member.tries.max(tries);
            member.due_at = due_at;
        }
    }
}

/// The receipts to wait for after an attempt: of its cells that the platform accepted.
fn receipts_to_await(channel: &ChannelPlan, cells: &[Cell], page: u16, to: &[Recipient], now: UnixMs) -> Vec<NewReceipt> {
    let FinalWord::Later(later) = channel.platform.word else { return Vec::new() };
    let taken = cells.iter().filter(|cell| cell.page == page && cell.state == CellState::Ok && to.contains(&cell.recipient));
    taken
        .filter_map(|cell| {
            let until = now + later.within;
            let first = later.ask.map_or(later.within, |ask| ask.first);
            Some(NewReceipt {
                page,
                recipient: cell.recipient.clone(),
                channel: channel.name.to_string(),
                platform_id: cell.ids.single()?.to_owned(),
                sent_at: now,
                due_at: (now + first).min(until),
                until,
            })
        })
        .collect()
}
