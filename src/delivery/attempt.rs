//! One step of a message: read, compose, store where it must be, one attempt, judge, settle. Runs as a task of its outlet's runner.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::channel::{CellResult, OnAmbiguous, SendContext};
use crate::model::{AttemptId, DeliveryId, ErrorKind, LaneId, Recipient, SendError};
use crate::store::{
    AcceptedDelivery, AttemptKind, Cell, CellState, DeliveryUpdate, Fence, FinishedAttempt, MessageOutcome, MonthlySends, NewAttempt, OutcomeBatch,
    PendingDelivery, State, StoreError, SuspensionChange,
};
use crate::template::MessageKind;
use crate::traces::Attempted;

use super::core::Shared;
use super::evaluate::{Evaluator, Next, Outcome};
use super::heavy::LargeBodyPermit;
use super::lanes::{ReadProgress, is_large};
use super::outlet::Mailbox;
use super::outlet::mailbox::Renewal;
use super::pending::PendingMessage;
use super::plan::{ChannelPlan, Plan};

/// Deliveries read of one lane at once.
pub const LANE_READ_LIMIT: usize = 200;

/// How a step ended.
#[derive(Debug, Default)]
pub struct AttemptResult {
    /// The message, when it goes on.
    pub message: Option<PendingMessage>,
    /// Lanes to close: what was read, and what goes back.
    pub lanes: Vec<(LaneId, Option<ReadProgress>, Vec<PendingDelivery>)>,
    /// Lanes that form the next messages by themselves (halves of a refused digest).
    pub halves: Vec<(Arc<str>, Vec<LaneId>)>,
    /// Whether it gave its place among those being sent away when the platform had answered.
    pub answered: bool,
    /// Whether a send was begun (it counts for the pace).
    pub sent: bool,
    /// What the outcome means for the outlet; `None` without a send.
    pub error: Option<Option<ErrorKind>>,
    /// New pause, Unix milliseconds.
    pub paused_until: Option<i64>,
    /// New hold.
    pub suspended: Option<String>,
    /// What was tried.
    pub members: Vec<DeliveryId>,
    /// Children to hand over.
    pub children: Vec<AcceptedDelivery>,
    /// The outlet is not this node's any more.
    pub fenced: bool,
}

/// What a step works with.
pub struct AttemptTask {
    /// What all runners share.
    pub shared: Arc<Shared>,
    /// The plan at its start.
    pub plan: Arc<Plan>,
    /// The channel.
    pub channel: Arc<ChannelPlan>,
    /// Outlet and epoch.
    pub fence: Fence,
    /// The worker's mailbox, which knows the latest lease.
    pub mailbox: Arc<Mailbox>,
    /// When the outlet was claimed, and until when it was leased at the step's start; `None` without leases.
    pub lease: Option<(Instant, Instant)>,
    /// Where it says that only its outcome is to be stored any more, where that matters.
    pub answered: Option<Arc<AtomicUsize>>,
    /// Whether the platform refused it before as a fault of the outlet, and took others since: the fault is its own.
    pub at_fault: bool,
}

impl AttemptTask {
    /// Runs it. Never fails: what cannot be stored is kept and tried until it can (I11).
    ///
    /// A message that an earlier process may have died at is marked in the store before it is rendered, until this returns; one that was marked a few
    /// times without an end is sent in short. What was born since pays nothing for that: it was never begun before.
    pub async fn run(self, message: PendingMessage) -> AttemptResult {
        let shared = self.shared.clone();
        let mut marked: Vec<LaneId> = Vec::new();
        let result = self.step(message, &mut marked).await;
        if !marked.is_empty()
            && let Err(error) = shared.store.clear_lanes_started(&marked).await
        {
            tracing::warn!(%error, "the end of a message that was begun after a crash could not be recorded");
        }
        result
    }

    async fn step(self, mut message: PendingMessage, marked: &mut Vec<LaneId>) -> AttemptResult {
        #[cfg(test)]
        assert!(!self.shared.crash_step.swap(false, Ordering::AcqRel), "a step that was made to fail");
        if message.pages_stored
            && let Err(error) = self.fetch_pages(&mut message).await
        {
            return self.release_to_lanes(message, &error).await;
        }
        if message.pages.is_empty() {
            let permit = match self.read_members(&mut message, marked).await {
                Ok(permit) => permit,
                Err(error) => return self.release_to_lanes(message, &error).await,
            };
            if let Some(result) = self.compose(&mut message, permit).await {
                return result;
            }
        }
        if marked.is_empty() && message.caller.is_none() && message.stored && !message.abridged {
            match self.mark_started(&mut message, marked).await {
                // What is in nobody's hands yet is formed anew; of the rest only sending is left, which the mark cannot make any shorter.
                Ok(true) if message.cells.iter().all(|cell| cell.state == CellState::Open) => return self.recompose(message).await,
                Ok(_) => {}
                Err(error) => return self.release_to_lanes(message, &error).await,
            }
        }
        let now = self.shared.clock.now_ms();
        let Some((page, to)) = message.next_batch(self.channel.platform.batch, now) else {
            return if message.next_due().is_some() { self.reschedule(message) } else { self.complete_unsent(message).await };
        };
        // Composing takes its time, and a process may have stood still in it for longer than the lease lasts.
        if !self.holds_lease() {
            return self.release_to_lanes(message, &StoreError::Fenced).await;
        }
        let at_most_once = self.channel.platform.on_ambiguous == OnAmbiguous::Never || message.caller.is_some();
        let attempt = message.begun.filter(|(_, of)| *of == page).map_or_else(AttemptId::new, |(attempt, _)| attempt);
        if let Err(error) = self.persist_intent(&mut message, at_most_once, attempt, page, &to).await {
            // The store knows another owner of the outlet or of the message: what memory holds is not true any more.
            let fenced = matches!(error, StoreError::Fenced | StoreError::Invalid(_));
            let result = self.release_to_lanes(message, &error).await;
            return AttemptResult { fenced: fenced || result.fenced, ..result };
        }
        if !self.holds_lease() {
            return self.release_to_lanes(message, &StoreError::Fenced).await;
        }
        message.begun = None;
        let begun_at = self.shared.clock.now_ms();
        let mut results = self.send(&message, page, &to).await;
        if self.at_fault {
            results.iter_mut().filter_map(|(_, result)| result.as_mut().err()).for_each(blame_message);
        }
        self.record_result(message, attempt, page, to, results, begun_at).await
    }

    /// Whether the outlet is this node's for long enough to send.
    fn holds_lease(&self) -> bool {
        let Some((claimed_at, at_start)) = self.lease else { return true };
        match self.mailbox.assignment().renewal {
            Some(Renewal { until, asked }) if claimed_at < asked => until.is_some_and(|until| self.shared.clock.instant() < until.max(at_start)),
            _ => self.shared.clock.instant() < at_start,
        }
    }

    /// Composes the pages. `Some` when nothing is left to send. What was read under `alone` is in memory no more when this returns.
    async fn compose(&self, message: &mut PendingMessage, permit: Option<LargeBodyPermit>) -> Option<AttemptResult> {
        let now = self.shared.clock.now_ms();
        // What is read of a lane may hold deliveries that are not due: muted ones, or a head that waits for its next try.
        let mut later: Vec<PendingDelivery> = Vec::new();
        if message.caller.is_none() {
            let mut blocked: Option<LaneId> = None;
            let members = std::mem::take(&mut message.members);
            let released: HashSet<LaneId> =
                members.iter().filter(|m| m.state == State::Deferred && m.firing > 0 && m.due_at <= now).map(|m| m.lane).collect();
            for member in members {
                // What was in memory was taken when it was due by the clock that does not jump. What was read is judged by the wall clock, and what
                // lies further ahead than anything may be postponed was written before that clock was set back.
                let ahead = member.due_at.saturating_sub(now);
                let follows = member.state == State::Deferred && member.firing == 0 && released.contains(&member.lane);
                let early = ahead > 0
                    && !follows
                    && member.due_at > member.born_at
                    && (member.state == State::Deferred || ahead <= super::policy::MAX_BACKOFF.as_millis() as i64);
                let waits = (early && message.unjudged.contains(&member.id)) || (blocked == Some(member.lane) && member.state != State::Deferred);
                if waits && member.state != State::Deferred {
                    blocked = Some(member.lane);
                }
                if waits { later.push(member) } else { message.members.push(member) }
            }
        }
        for waits in later.iter_mut().chain(&mut message.back) {
            waits.event.take_if(|event| is_large(event));
        }
        if message.members.is_empty() {
            return Some(self.release_lanes(message, later, false));
        }
        let one_lane = message.members.iter().all(|m| m.lane == message.members[0].lane && m.event.is_some());
        if message.kind != MessageKind::Digest || one_lane {
            message.kind = if message.members.len() > 1 { MessageKind::Fold } else { MessageKind::Single };
        }
        message.formed_at = now;
        let composed = self.compose_aside(message).await;
        if composed.deferred_members.end > composed.deferred_members.start {
            later.extend(message.members.drain(composed.deferred_members.clone()));
            later.iter_mut().for_each(|waits| drop(waits.event.take_if(|event| is_large(event))));
        }
        message.drop_large_events();
        drop(permit);
        for error in &composed.fallbacks {
            self.shared.metrics.template_failure(self.channel.platform.name, &self.channel.name);
            tracing::error!(channel = %self.channel.name, %error, "a template failed; the built-in text was used");
        }
        message.pages = Arc::new(composed.pages);
        message.template = composed.template;
        if !later.is_empty() || !composed.suppressed.is_empty() {
            let suppressed: Vec<DeliveryUpdate> =
                composed.suppressed.iter().filter_map(|(m, why)| Some(skipped(message.members.get(*m)?, why, now))).collect();
            let gone: Vec<_> = suppressed.iter().map(|c| c.id).collect();
            message.members.retain(|m| !gone.contains(&m.id));
            if !suppressed.is_empty() && self.record_outcome(self.outcome_batch(suppressed)).await.is_err() {
                return Some(self.release_lanes(message, later, true));
            }
            // Lanes whose members all went back or ended are not this message's any more.
            let mut result = self.release_unused_lanes(message, later);
            if message.members.is_empty() || message.pages.is_empty() {
                result.lanes.extend(self.release_lanes(message, Vec::new(), false).lanes);
                return Some(result);
            }
            message.closing.append(&mut result.lanes);
        }
        message.create_cells(&self.channel);
        message.reserve_memory(&self.shared.budget);
        None
    }

    /// Stores what must be on disk before the first byte leaves (I5, I6).
    async fn persist_intent(
        &self,
        message: &mut PendingMessage,
        at_most_once: bool,
        attempt: AttemptId,
        page: u16,
        to: &[Recipient],
    ) -> Result<(), StoreError> {
        if !message.stored && (at_most_once || message.cells.len() > 1) {
            self.shared.store.store_message(self.fence.clone(), message.to_record(self.channel.platform.name)).await?;
            message.stored = true;
        }
        if at_most_once {
            let begun_at = self.shared.clock.now_ms();
            let new = NewAttempt { id: attempt, message: message.id, page, recipients: to.to_vec(), node: self.shared.node.to_string(), begun_at };
            self.shared.store.begin_attempt(self.fence.clone(), new).await?;
            message.begun = Some((attempt, page));
        }
        Ok(())
    }

    async fn send(&self, message: &PendingMessage, page: u16, to: &[Recipient]) -> Vec<CellResult> {
        let clock = &self.shared.clock;
        let timeout = match &message.caller {
            Some(caller) => self.channel.timeout.min(caller.deadline.saturating_duration_since(clock.instant())),
            None => self.channel.timeout,
        };
        let deadline = clock.instant() + timeout;
        let cx = SendContext {
            now: clock.now(),
            deadline,
            message: message.id,
            attempt: message.tries() + 1,
            idempotency_key: message.idempotency_key(page),
            direct: message.caller.is_some(),
            traceparent: message.traces().next().unwrap_or_default().to_owned(),
            callback: super::links::callback_url(&self.plan, &self.channel),
        };
        let fail = |kind, text: String| (0..to.len()).map(|i| (i, Err(SendError::new(kind, text.clone())))).collect();
        let Some(page) = message.pages.get(usize::from(page)) else { return fail(ErrorKind::Rejected, "the stored message lacks this page".into()) };
        let started = clock.instant();
        // The driver gets the deadline too; the second more lets it say at which stage it gave up.
        let end = deadline + self.channel.driver.response_grace(cx.direct) + Duration::from_secs(1);
        let sending = AssertUnwindSafe(self.channel.driver.send(page, to, &cx)).catch_unwind();
        let results = match tokio::time::timeout_at(end, sending).await {
            Ok(Ok(results)) => results,
            Ok(Err(_)) => fail(ErrorKind::Transient, format!("the {} driver failed unexpectedly; please report it", self.channel.platform.name)),
            Err(_) => fail(ErrorKind::Ambiguous, format!("no answer within {}", crate::model::format_duration(timeout))),
        };
        let (metrics, platform) = (&self.shared.metrics, self.channel.platform.name);
        metrics.attempt(platform, started.elapsed());
        for (_, result) in &results {
            metrics.attempted(platform, &self.channel.name, result.as_ref().err().map_or("ok", |error| error.kind.as_str()));
        }
        results
    }

    async fn record_result(
        self,
        mut message: PendingMessage,
        attempt: AttemptId,
        page: u16,
        to: Vec<Recipient>,
        results: Vec<CellResult>,
        begun_at: i64,
    ) -> AttemptResult {
        let now = self.shared.clock.now_ms();
        let tried = message.tries();
        let earlier_fallbacks = self.earlier_fallbacks(&message).await;
        let jitter = self.shared.jitter();
        let evaluator = Evaluator { plan: &self.plan, channel: &self.channel, now, jitter, earlier_fallbacks: &earlier_fallbacks };
        let mut outcome = evaluator.evaluate(&mut message, page, &to, &results);
        if let Some(caller) = &mut message.caller {
            let pairs = results.into_iter().filter_map(|(i, r)| Some((to.get(i)?.clone(), r)));
            caller.results.extend(pairs);
        }
        let ended = FinishedAttempt {
            id: attempt,
            page,
            node: self.shared.node.to_string(),
            begun_at,
            ended_at: now,
            kind: outcome.kind,
            code: outcome.code.clone(),
            answer: outcome.answer.clone(),
        };
        if self.shared.traces.on() {
            let attempted = Attempted {
                message: message.id.to_string(),
                channel: &self.channel.name,
                platform: self.channel.platform.name,
                deliveries: message.members.len(),
                page: page + 1,
                attempt: tried + 1,
                born_at: message.born_at(),
                begun_at,
                ended_at: now,
                kind: ended.kind.as_str(),
                code: ended.code.as_deref(),
            };
            self.shared.traces.attempted(&attempted, message.traces());
        }
        let done = matches!(outcome.next, Next::Done | Next::SplitDigest);
        // A message that goes back to its lanes is not kept; its attempt is, under its id, so that the pace and `show` know of it.
        let store = (!message.stored).then(|| message.to_record(self.channel.platform.name));
        let requeued = outcome.next == Next::Requeue;
        let receipts = super::evaluate::receipts_to_await(&self.channel, &message.cells, page, &to, now);
        let batch = OutcomeBatch {
            fence: self.fence.clone(),
            message: Some(MessageOutcome { id: message.id, store, done: done || requeued, receipts }),
            attempt: Some(ended),
            cells: if message.stored {
                message.cells.iter().filter(|c| c.page == page && to.contains(&c.recipient)).cloned().collect()
            } else {
                Vec::new()
            },
            deliveries: std::mem::take(&mut outcome.deliveries),
            children: std::mem::take(&mut outcome.children),
            outlet: outcome.outlet.clone(),
            sent_in_month: outcome.kind.is_sent().then(|| MonthlySends { month: super::month(now), sends: 1 }),
            now,
        };
        self.shared.report(&self.channel, &message, &batch, &outcome);
        // A success says nothing that the next message would have to wait for; anything else may (a pause, a hold, a breaker).
        let answered = (outcome.kind == AttemptKind::Ok && outcome.next == Next::Done).then_some(self.answered.as_ref()).flatten();
        if let Some(count) = answered {
            count.fetch_add(1, Ordering::AcqRel);
            self.mailbox.wake();
        }
        let answered = answered.is_some();
        let recorded = self.record_outcome(batch).await;
        if !requeued {
            message.stored = true;
        }
        let mut result = self.conclude(message, outcome).await;
        result.answered = answered;
        match recorded {
            Ok(children) => result.children = children,
            Err(_) => result.fenced = true,
        }
        result
    }

    async fn conclude(&self, mut message: PendingMessage, outcome: Outcome) -> AttemptResult {
        let members = message.members.iter().map(|member| member.id).collect();
        let mut result = match outcome.next {
            Next::Done => self.release_lanes(&mut message, Vec::new(), false),
            Next::SplitDigest => {
                let lanes: Vec<LaneId> = message.lanes.iter().map(|t| t.lane).collect();
                let half = lanes.len().div_ceil(2);
                let halves = lanes.chunks(half.max(1)).map(|half| (message.channel.clone(), half.to_vec())).collect();
                let back = std::mem::take(&mut message.members);
                AttemptResult { halves, ..self.release_lanes(&mut message, back, false) }
            }
            Next::Requeue => {
                let back = std::mem::take(&mut message.members);
                self.release_lanes(&mut message, back, false)
            }
            Next::RetryPlainText => {
                message.plain = Some(outcome.answer.clone().unwrap_or_default().chars().take(200).collect());
                self.shared.metrics.template_failure(self.channel.platform.name, &self.channel.name);
                self.recompose(message).await
            }
            Next::RetryUnmentioned => {
                let code = outcome.code.clone().unwrap_or_default();
                tracing::warn!(channel = %self.channel.name, code, "the platform refused the mentions; the message is sent without them");
                message.unmentioned = Some(code);
                self.recompose(message).await
            }
            Next::Retry => {
                message.fixed |= outcome.error == Some(ErrorKind::Ambiguous);
                self.reschedule(message)
            }
        };
        result.sent = true;
        result.members = members;
        result.error = Some(outcome.error);
        if let Some(change) = outcome.outlet {
            result.paused_until = change.paused_until;
            result.suspended = change.suspension.as_ref().and_then(SuspensionChange::reason).map(str::to_owned);
        }
        result
    }

    /// A refused message goes out once more, composed in another way.
    async fn recompose(&self, mut message: PendingMessage) -> AttemptResult {
        message.generation += 1;
        // Without its large body, which was let go of, it is told by its title.
        let permit = self.load_events(&mut message, false).await.unwrap_or_else(|error| {
            tracing::warn!(message_id = %message.id, %error, "a body could not be read again; the message says the titles of its deliveries");
            None
        });
        let composed = self.compose_aside(&mut message).await;
        message.drop_large_events();
        drop(permit);
        message.pages = Arc::new(composed.pages);
        message.recreate_cells(&self.channel);
        message.stored = false;
        self.reschedule(message)
    }

    /// Channels that the lanes of resolved members fell back to while they fired.
    async fn earlier_fallbacks(&self, message: &PendingMessage) -> Vec<(crate::model::DeliveryId, Vec<String>)> {
        let mut all = Vec::new();
        if self.channel.fallback.is_empty() {
            return all;
        }
        for member in message.members.iter().filter(|m| m.resolved > 0) {
            match self.shared.store.fallback_targets(member.lane, member.lane_seq).await {
                Ok(channels) if !channels.is_empty() => all.push((member.id, channels)),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, delivery = %member.id, "could not look up where this alert's firing fell back to"),
            }
        }
        all
    }

    /// A message none of whose cells is left to try (after a crash: all unknown).
    async fn complete_unsent(&self, mut message: PendingMessage) -> AttemptResult {
        let now = self.shared.clock.now_ms();
        let earlier_fallbacks = Vec::new();
        let evaluator = Evaluator { plan: &self.plan, channel: &self.channel, now, jitter: 0.0, earlier_fallbacks: &earlier_fallbacks };
        let outcome = evaluator.evaluate(&mut message, u16::MAX, &[], &[]);
        let batch = OutcomeBatch {
            message: Some(MessageOutcome { id: message.id, store: None, done: true, receipts: Vec::new() }),
            cells: message.cells.iter().filter(|c| c.state == CellState::Unknown).cloned().collect(),
            children: outcome.children,
            ..self.outcome_batch(outcome.deliveries)
        };
        let recorded = self.record_outcome(batch).await;
        let mut result = self.release_lanes(&mut message, Vec::new(), false);
        match recorded {
            Ok(children) => result.children = children,
            Err(_) => result.fenced = true,
        }
        result
    }

    /// The store cannot be read or written: nothing was sent; everything goes back and is tried when it works again.
    async fn release_to_lanes(&self, mut message: PendingMessage, error: &StoreError) -> AttemptResult {
        // What the store finds invalid was changed by hand meanwhile (dropped, moved): the outlet starts over from what the store has.
        let fenced = matches!(error, StoreError::Fenced | StoreError::Invalid(_));
        if !matches!(error, StoreError::Fenced) {
            self.shared.store_failed(error);
        }
        if message.caller.is_some() {
            if let Some(member) = message.members.first() {
                let reason = match error {
                    StoreError::Fenced => "not sent: this node's lease on the outlet ran out before the first byte; it is not sent later".to_owned(),
                    _ => format!("not sent: the store could not record it ({error})"),
                };
                let change = DeliveryUpdate { state: State::Expired, reason: Some(reason), ..skipped(member, "", self.shared.clock.now_ms()) };
                let _ = self.record_outcome(self.cancelled(&message, self.outcome_batch(vec![change]))).await;
            }
            return self.release_lanes(&mut message, Vec::new(), fenced);
        }
        if message.stored {
            return self.reschedule(message);
        }
        let back = std::mem::take(&mut message.members);
        // What was not read stays on disk: the lane must look again.
        message.reads.clear();
        let mut result = self.release_lanes(&mut message, back, fenced);
        for (lane, read, _) in &mut result.lanes {
            *read = Some(ReadProgress { lane: *lane, to: 0, more: true });
        }
        result
    }

    /// What is on disk of a message that is not sent at all ends with its delivery, so that nobody finds it open and sends it.
    fn cancelled(&self, message: &PendingMessage, batch: OutcomeBatch) -> OutcomeBatch {
        if !message.stored {
            return batch;
        }
        let now = batch.now;
        let ended = |(id, page): (AttemptId, u16)| FinishedAttempt {
            id,
            page,
            node: self.shared.node.to_string(),
            begun_at: now,
            ended_at: now,
            kind: AttemptKind::Failed(ErrorKind::Transient),
            code: Some("not_sent".into()),
            answer: None,
        };
        OutcomeBatch {
            message: Some(MessageOutcome { id: message.id, store: None, done: true, receipts: Vec::new() }),
            attempt: message.begun.map(ended),
            cells: message.cells.iter().map(|cell| Cell { state: CellState::Dead, ..cell.clone() }).collect(),
            ..batch
        }
    }

    fn reschedule(&self, mut message: PendingMessage) -> AttemptResult {
        let now = self.shared.clock.now_ms();
        message.due = self.shared.clock.instant() + message.next_wait(now).unwrap_or_default();
        let lanes = std::mem::take(&mut message.closing);
        message.shed_memory(&self.shared.budget);
        AttemptResult { message: Some(message), lanes, ..AttemptResult::default() }
    }

    /// Ends a message: its lanes close, `back` goes back to them, and a caller gets its answer.
    fn release_lanes(&self, message: &mut PendingMessage, back: Vec<PendingDelivery>, fenced: bool) -> AttemptResult {
        if let Some(caller) = &mut message.caller
            && let Some(answer) = caller.answer.take()
            && let Some(member) = message.members.first()
        {
            let results = std::mem::take(&mut caller.results);
            let expired = results.is_empty();
            let _ = answer.send(super::direct::DirectOutcome { delivery: member.id, results, expired });
        }
        let mut back = back;
        back.append(&mut message.back);
        let mut lanes = std::mem::take(&mut message.closing);
        for taken in std::mem::take(&mut message.lanes) {
            let mine = back.extract_if(.., |w| w.lane == taken.lane).collect();
            lanes.push((taken.lane, message.reads.iter().find(|r| r.lane == taken.lane).copied(), mine));
        }
        AttemptResult { lanes, fenced, ..AttemptResult::default() }
    }

    fn release_unused_lanes(&self, message: &mut PendingMessage, mut later: Vec<PendingDelivery>) -> AttemptResult {
        let mut lanes = Vec::new();
        let members = &message.members;
        let gone = |lane: LaneId| !members.iter().any(|m| m.lane == lane);
        for taken in message.lanes.extract_if(.., |t| gone(t.lane)) {
            let mine = later.extract_if(.., |w| w.lane == taken.lane).collect();
            lanes.push((taken.lane, message.reads.iter().find(|r| r.lane == taken.lane).copied(), mine));
        }
        // What waits in a lane that sends now goes back to it when the message is done.
        message.back.extend(later);
        AttemptResult { lanes, ..AttemptResult::default() }
    }

    fn outcome_batch(&self, deliveries: Vec<DeliveryUpdate>) -> OutcomeBatch {
        OutcomeBatch {
            fence: self.fence.clone(),
            message: None,
            attempt: None,
            cells: Vec::new(),
            deliveries,
            children: Vec::new(),
            outlet: None,
            sent_in_month: None,
            now: self.shared.clock.now_ms(),
        }
    }

    /// Writes a batch, for as long as it takes: an outcome that is not on disk would be sent again or lost.
    async fn record_outcome(&self, batch: OutcomeBatch) -> Result<Vec<AcceptedDelivery>, StoreError> {
        self.shared.record_outcome(batch).await
    }
}

/// A fault that is said to be the outlet's is the message's own.
fn blame_message(error: &mut SendError) {
    if error.kind == ErrorKind::Misconfigured {
        error.kind = ErrorKind::Rejected;
        error.summary.push_str("; other messages pass, so it is this message that is refused");
    }
}

fn skipped(member: &PendingDelivery, why: &str, now: i64) -> DeliveryUpdate {
    DeliveryUpdate {
        id: member.id,
        lane: member.lane,
        state: State::Skipped,
        tries: member.tries,
        due_at: now,
        reason: Some(why.to_owned()),
        leave_message: false,
    }
}
