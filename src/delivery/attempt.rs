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
use super::heavy::Alone;
use super::job::Job;
use super::lanes::{Read, is_large};
use super::outcome::{Bench, Next, Outcome};
use super::outlet::Mailbox;
use super::outlet::mailbox::Renewal;
use super::plan::{ChannelPlan, Plan};

/// Deliveries read of one lane at once.
pub const READ: usize = 200;

/// How a step ended.
#[derive(Debug, Default)]
pub struct Finished {
    /// The message, when it goes on.
    pub job: Option<Job>,
    /// Lanes to close: what was read, and what goes back.
    pub lanes: Vec<(LaneId, Option<Read>, Vec<PendingDelivery>)>,
    /// Lanes that form the next messages by themselves (halves of a refused digest).
    pub split: Vec<(Arc<str>, Vec<LaneId>)>,
    /// Whether it gave its place among those being sent away when the platform had answered.
    pub answered: bool,
    /// Whether a send was begun (it counts for the pace).
    pub began: bool,
    /// What the outcome means for the outlet; `None` without a send.
    pub error: Option<Option<ErrorKind>>,
    /// New pause, Unix milliseconds.
    pub paused_until: Option<i64>,
    /// New hold.
    pub held: Option<String>,
    /// What was tried.
    pub members: Vec<DeliveryId>,
    /// Children to hand over.
    pub children: Vec<AcceptedDelivery>,
    /// The outlet is not this node's any more.
    pub fenced: bool,
}

/// What a step works with.
pub struct Step {
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

impl Step {
    /// Runs it. Never fails: what cannot be stored is kept and tried until it can (I11).
    ///
    /// A message that an earlier process may have died at is marked in the store before it is rendered, until this returns; one that was marked a few
    /// times without an end is sent in short. What was born since pays nothing for that: it was never begun before.
    pub async fn run(self, job: Job) -> Finished {
        let shared = self.shared.clone();
        let mut marked: Vec<LaneId> = Vec::new();
        let finished = self.step(job, &mut marked).await;
        if !marked.is_empty()
            && let Err(error) = shared.store.clear_lanes_started(&marked).await
        {
            tracing::warn!(%error, "the end of a message that was begun after a crash could not be recorded");
        }
        finished
    }

    async fn step(self, mut job: Job, marked: &mut Vec<LaneId>) -> Finished {
        #[cfg(test)]
        assert!(!self.shared.crash_step.swap(false, Ordering::AcqRel), "a step that was made to fail");
        if job.pages_stored
            && let Err(error) = self.fetch_pages(&mut job).await
        {
            return self.give_back(job, &error).await;
        }
        if job.pages.is_empty() {
            let alone = match self.read(&mut job, marked).await {
                Ok(alone) => alone,
                Err(error) => return self.give_back(job, &error).await,
            };
            if let Some(finished) = self.compose(&mut job, alone).await {
                return finished;
            }
        }
        if marked.is_empty() && job.caller.is_none() && job.stored && !job.short {
            match self.mark(&mut job, marked).await {
                // What is in nobody's hands yet is formed anew; of the rest only sending is left, which the mark cannot make any shorter.
                Ok(true) if job.cells.iter().all(|cell| cell.state == CellState::Open) => return self.anew(job).await,
                Ok(_) => {}
                Err(error) => return self.give_back(job, &error).await,
            }
        }
        let now = self.shared.clock.now_ms();
        let Some((page, to)) = job.next_batch(self.channel.platform.batch, now) else {
            return if job.next_due().is_some() { self.again(job) } else { self.close_unsent(job).await };
        };
        // Composing takes its time, and a process may have stood still in it for longer than the lease lasts.
        if !self.is_leased() {
            return self.give_back(job, &StoreError::Fenced).await;
        }
        let careful = self.channel.platform.on_ambiguous == OnAmbiguous::Never || job.caller.is_some();
        let attempt = job.begun.filter(|(_, of)| *of == page).map_or_else(AttemptId::new, |(attempt, _)| attempt);
        if let Err(error) = self.before(&mut job, careful, attempt, page, &to).await {
            // The store knows another owner of the outlet or of the message: what memory holds is not true any more.
            let fenced = matches!(error, StoreError::Fenced | StoreError::Invalid(_));
            let finished = self.give_back(job, &error).await;
            return Finished { fenced: fenced || finished.fenced, ..finished };
        }
        if !self.is_leased() {
            return self.give_back(job, &StoreError::Fenced).await;
        }
        job.begun = None;
        let begun_at = self.shared.clock.now_ms();
        let mut results = self.send(&job, page, &to).await;
        if self.at_fault {
            results.iter_mut().filter_map(|(_, result)| result.as_mut().err()).for_each(blame);
        }
        self.after(job, attempt, page, to, results, begun_at).await
    }

    /// Whether the outlet is this node's for long enough to send.
    fn is_leased(&self) -> bool {
        let Some((claimed_at, at_start)) = self.lease else { return true };
        match self.mailbox.assignment().renewal {
            Some(Renewal { until, asked }) if claimed_at < asked => until.is_some_and(|until| self.shared.clock.instant() < until.max(at_start)),
            _ => self.shared.clock.instant() < at_start,
        }
    }

    /// Composes the pages. `Some` when nothing is left to send. What was read under `alone` is in memory no more when this returns.
    async fn compose(&self, job: &mut Job, alone: Option<Alone>) -> Option<Finished> {
        let now = self.shared.clock.now_ms();
        // What is read of a lane may hold deliveries that are not due: muted ones, or a head that waits for its next try.
        let mut later: Vec<PendingDelivery> = Vec::new();
        if job.caller.is_none() {
            let mut blocked: Option<LaneId> = None;
            let members = std::mem::take(&mut job.members);
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
                    && (member.state == State::Deferred || ahead <= super::policy::CAP.as_millis() as i64);
                let waits = (early && job.unjudged.contains(&member.id)) || (blocked == Some(member.lane) && member.state != State::Deferred);
                if waits && member.state != State::Deferred {
                    blocked = Some(member.lane);
                }
                if waits { later.push(member) } else { job.members.push(member) }
            }
        }
        for waits in later.iter_mut().chain(&mut job.back) {
            waits.event.take_if(|event| is_large(event));
        }
        if job.members.is_empty() {
            return Some(self.close(job, later, false));
        }
        let one_lane = job.members.iter().all(|m| m.lane == job.members[0].lane && m.event.is_some());
        if job.kind != MessageKind::Digest || one_lane {
            job.kind = if job.members.len() > 1 { MessageKind::Fold } else { MessageKind::Single };
        }
        job.formed_at = now;
        let composed = self.draft(job).await;
        if composed.left_over.end > composed.left_over.start {
            later.extend(job.members.drain(composed.left_over.clone()));
            later.iter_mut().for_each(|waits| drop(waits.event.take_if(|event| is_large(event))));
        }
        job.unload();
        drop(alone);
        for error in &composed.fallbacks {
            self.shared.metrics.template_failure(self.channel.platform.name, &self.channel.name);
            tracing::error!(channel = %self.channel.name, %error, "a template failed; the built-in text was used");
        }
        job.pages = Arc::new(composed.pages);
        job.template = composed.template;
        if !later.is_empty() || !composed.silent.is_empty() {
            let silent: Vec<DeliveryUpdate> = composed.silent.iter().filter_map(|(m, why)| Some(skipped(job.members.get(*m)?, why, now))).collect();
            let gone: Vec<_> = silent.iter().map(|c| c.id).collect();
            job.members.retain(|m| !gone.contains(&m.id));
            if !silent.is_empty() && self.settle(self.settlement(silent)).await.is_err() {
                return Some(self.close(job, later, true));
            }
            // Lanes whose members all went back or ended are not this message's any more.
            let mut finished = self.close_lanes_without_members(job, later);
            if job.members.is_empty() || job.pages.is_empty() {
                finished.lanes.extend(self.close(job, Vec::new(), false).lanes);
                return Some(finished);
            }
            job.closing.append(&mut finished.lanes);
        }
        job.lay_out(&self.channel);
        job.weigh(&self.shared.budget);
        None
    }

    /// Stores what must be on disk before the first byte leaves (I5, I6).
    async fn before(&self, job: &mut Job, careful: bool, attempt: AttemptId, page: u16, to: &[Recipient]) -> Result<(), StoreError> {
        if !job.stored && (careful || job.cells.len() > 1) {
            self.shared.store.store_message(self.fence.clone(), job.record(self.channel.platform.name)).await?;
            job.stored = true;
        }
        if careful {
            let begun_at = self.shared.clock.now_ms();
            let new = NewAttempt { id: attempt, message: job.id, page, recipients: to.to_vec(), node: self.shared.node.to_string(), begun_at };
            self.shared.store.begin_attempt(self.fence.clone(), new).await?;
            job.begun = Some((attempt, page));
        }
        Ok(())
    }

    async fn send(&self, job: &Job, page: u16, to: &[Recipient]) -> Vec<CellResult> {
        let clock = &self.shared.clock;
        let timeout = match &job.caller {
            Some(caller) => self.channel.timeout.min(caller.deadline.saturating_duration_since(clock.instant())),
            None => self.channel.timeout,
        };
        let deadline = clock.instant() + timeout;
        let cx = SendContext {
            now: clock.now(),
            deadline,
            message: job.id,
            attempt: job.tries() + 1,
            idempotency_key: job.idempotency_key(page),
            direct: job.caller.is_some(),
            traceparent: job.traces().next().unwrap_or_default().to_owned(),
            callback: super::links::callback_url(&self.plan, &self.channel),
        };
        let fail = |kind, text: String| (0..to.len()).map(|i| (i, Err(SendError::new(kind, text.clone())))).collect();
        let Some(page) = job.pages.get(usize::from(page)) else { return fail(ErrorKind::Rejected, "the stored message lacks this page".into()) };
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

    async fn after(self, mut job: Job, attempt: AttemptId, page: u16, to: Vec<Recipient>, results: Vec<CellResult>, begun_at: i64) -> Finished {
        let now = self.shared.clock.now_ms();
        let tried = job.tries();
        let followers = self.followers(&job).await;
        let jitter = self.shared.jitter();
        let bench = Bench { plan: &self.plan, channel: &self.channel, now, jitter, followers: &followers };
        let mut outcome = bench.judge(&mut job, page, &to, &results);
        if let Some(caller) = &mut job.caller {
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
                message: job.id.to_string(),
                channel: &self.channel.name,
                platform: self.channel.platform.name,
                deliveries: job.members.len(),
                page: page + 1,
                attempt: tried + 1,
                born_at: job.born_at(),
                begun_at,
                ended_at: now,
                kind: ended.kind.as_str(),
                code: ended.code.as_deref(),
            };
            self.shared.traces.attempted(&attempted, job.traces());
        }
        let done = matches!(outcome.next, Next::Done | Next::Split);
        // A message that goes back to its lanes is not kept; its attempt is, under its id, so that the pace and `show` know of it.
        let store = (!job.stored).then(|| job.record(self.channel.platform.name));
        let dissolved = outcome.next == Next::Dissolve;
        let receipts = super::outcome::receipts_to_await(&self.channel, &job.cells, page, &to, now);
        let settlement = OutcomeBatch {
            fence: self.fence.clone(),
            message: Some(MessageOutcome { id: job.id, store, done: done || dissolved, receipts }),
            attempt: Some(ended),
            cells: if job.stored { job.cells.iter().filter(|c| c.page == page && to.contains(&c.recipient)).cloned().collect() } else { Vec::new() },
            deliveries: std::mem::take(&mut outcome.deliveries),
            children: std::mem::take(&mut outcome.children),
            outlet: outcome.outlet.clone(),
            sent_in_month: outcome.kind.is_sent().then(|| MonthlySends { month: super::month(now), sends: 1 }),
            now,
        };
        self.shared.report(&self.channel, &job, &settlement, &outcome);
        // A success says nothing that the next message would have to wait for; anything else may (a pause, a hold, a breaker).
        let answered = (outcome.kind == AttemptKind::Ok && outcome.next == Next::Done).then_some(self.answered.as_ref()).flatten();
        if let Some(count) = answered {
            count.fetch_add(1, Ordering::AcqRel);
            self.mailbox.wake();
        }
        let answered = answered.is_some();
        let settled = self.settle(settlement).await;
        if !dissolved {
            job.stored = true;
        }
        let mut finished = self.finish(job, outcome).await;
        finished.answered = answered;
        match settled {
            Ok(children) => finished.children = children,
            Err(_) => finished.fenced = true,
        }
        finished
    }

    async fn finish(&self, mut job: Job, outcome: Outcome) -> Finished {
        let members = job.members.iter().map(|member| member.id).collect();
        let mut finished = match outcome.next {
            Next::Done => self.close(&mut job, Vec::new(), false),
            Next::Split => {
                let lanes: Vec<LaneId> = job.lanes.iter().map(|t| t.lane).collect();
                let half = lanes.len().div_ceil(2);
                let split = lanes.chunks(half.max(1)).map(|half| (job.channel.clone(), half.to_vec())).collect();
                let back = std::mem::take(&mut job.members);
                Finished { split, ..self.close(&mut job, back, false) }
            }
            Next::Dissolve => {
                let back = std::mem::take(&mut job.members);
                self.close(&mut job, back, false)
            }
            Next::Plain => {
                job.plain = Some(outcome.answer.clone().unwrap_or_default().chars().take(200).collect());
                self.shared.metrics.template_failure(self.channel.platform.name, &self.channel.name);
                self.anew(job).await
            }
            Next::Unmentioned => {
                let code = outcome.code.clone().unwrap_or_default();
                tracing::warn!(channel = %self.channel.name, code, "the platform refused the mentions; the message is sent without them");
                job.unmentioned = Some(code);
                self.anew(job).await
            }
            Next::Again => {
                job.fixed |= outcome.error == Some(ErrorKind::Ambiguous);
                self.again(job)
            }
        };
        finished.began = true;
        finished.members = members;
        finished.error = Some(outcome.error);
        if let Some(change) = outcome.outlet {
            finished.paused_until = change.paused_until;
            finished.held = change.suspension.as_ref().and_then(SuspensionChange::reason).map(str::to_owned);
        }
        finished
    }

    /// A refused message goes out once more, composed in another way.
    async fn anew(&self, mut job: Job) -> Finished {
        job.generation += 1;
        // Without its large body, which was let go of, it is told by its title.
        let alone = self.load(&mut job, false).await.unwrap_or_else(|error| {
            tracing::warn!(message_id = %job.id, %error, "a body could not be read again; the message says the titles of its deliveries");
            None
        });
        let composed = self.draft(&mut job).await;
        job.unload();
        drop(alone);
        job.pages = Arc::new(composed.pages);
        job.lay_out_again(&self.channel);
        job.stored = false;
        self.again(job)
    }

    /// Channels that the lanes of resolved members fell back to while they fired.
    async fn followers(&self, job: &Job) -> Vec<(crate::model::DeliveryId, Vec<String>)> {
        let mut all = Vec::new();
        if self.channel.fallback.is_empty() {
            return all;
        }
        for member in job.members.iter().filter(|m| m.resolved > 0) {
            match self.shared.store.fallback_targets(member.lane, member.lane_seq).await {
                Ok(channels) if !channels.is_empty() => all.push((member.id, channels)),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, delivery = %member.id, "could not look up where this alert's firing fell back to"),
            }
        }
        all
    }

    /// A message none of whose cells is left to try (after a crash: all unknown).
    async fn close_unsent(&self, mut job: Job) -> Finished {
        let now = self.shared.clock.now_ms();
        let followers = Vec::new();
        let bench = Bench { plan: &self.plan, channel: &self.channel, now, jitter: 0.0, followers: &followers };
        let outcome = bench.judge(&mut job, u16::MAX, &[], &[]);
        let settlement = OutcomeBatch {
            message: Some(MessageOutcome { id: job.id, store: None, done: true, receipts: Vec::new() }),
            cells: job.cells.iter().filter(|c| c.state == CellState::Unknown).cloned().collect(),
            children: outcome.children,
            ..self.settlement(outcome.deliveries)
        };
        let settled = self.settle(settlement).await;
        let mut finished = self.close(&mut job, Vec::new(), false);
        match settled {
            Ok(children) => finished.children = children,
            Err(_) => finished.fenced = true,
        }
        finished
    }

    /// The store cannot be read or written: nothing was sent; everything goes back and is tried when it works again.
    async fn give_back(&self, mut job: Job, error: &StoreError) -> Finished {
        // What the store finds invalid was changed by hand meanwhile (dropped, moved): the outlet starts over from what the store has.
        let fenced = matches!(error, StoreError::Fenced | StoreError::Invalid(_));
        if !matches!(error, StoreError::Fenced) {
            self.shared.store_failed(error);
        }
        if job.caller.is_some() {
            if let Some(member) = job.members.first() {
                let reason = match error {
                    StoreError::Fenced => "not sent: this node's lease on the outlet ran out before the first byte; it is not sent later".to_owned(),
                    _ => format!("not sent: the store could not record it ({error})"),
                };
                let change = DeliveryUpdate { state: State::Expired, reason: Some(reason), ..skipped(member, "", self.shared.clock.now_ms()) };
                let _ = self.settle(self.unsent(&job, self.settlement(vec![change]))).await;
            }
            return self.close(&mut job, Vec::new(), fenced);
        }
        if job.stored {
            return self.again(job);
        }
        let back = std::mem::take(&mut job.members);
        // What was not read stays on disk: the lane must look again.
        job.reads.clear();
        let mut finished = self.close(&mut job, back, fenced);
        for (lane, read, _) in &mut finished.lanes {
            *read = Some(Read { lane: *lane, to: 0, more: true });
        }
        finished
    }

    /// What is on disk of a message that is not sent at all ends with its delivery, so that nobody finds it open and sends it.
    fn unsent(&self, job: &Job, settlement: OutcomeBatch) -> OutcomeBatch {
        if !job.stored {
            return settlement;
        }
        let now = settlement.now;
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
            message: Some(MessageOutcome { id: job.id, store: None, done: true, receipts: Vec::new() }),
            attempt: job.begun.map(ended),
            cells: job.cells.iter().map(|cell| Cell { state: CellState::Dead, ..cell.clone() }).collect(),
            ..settlement
        }
    }

    fn again(&self, mut job: Job) -> Finished {
        let now = self.shared.clock.now_ms();
        job.due = self.shared.clock.instant() + job.next_wait(now).unwrap_or_default();
        let lanes = std::mem::take(&mut job.closing);
        job.slim(&self.shared.budget);
        Finished { job: Some(job), lanes, ..Finished::default() }
    }

    /// Ends a message: its lanes close, `back` goes back to them, and a caller gets its answer.
    fn close(&self, job: &mut Job, back: Vec<PendingDelivery>, fenced: bool) -> Finished {
        if let Some(caller) = &mut job.caller
            && let Some(answer) = caller.answer.take()
            && let Some(member) = job.members.first()
        {
            let results = std::mem::take(&mut caller.results);
            let expired = results.is_empty();
            let _ = answer.send(super::direct::DirectOutcome { delivery: member.id, results, expired });
        }
        let mut back = back;
        back.append(&mut job.back);
        let mut lanes = std::mem::take(&mut job.closing);
        for taken in std::mem::take(&mut job.lanes) {
            let mine = back.extract_if(.., |w| w.lane == taken.lane).collect();
            lanes.push((taken.lane, job.reads.iter().find(|r| r.lane == taken.lane).copied(), mine));
        }
        Finished { lanes, fenced, ..Finished::default() }
    }

    fn close_lanes_without_members(&self, job: &mut Job, mut later: Vec<PendingDelivery>) -> Finished {
        let mut lanes = Vec::new();
        let members = &job.members;
        let gone = |lane: LaneId| !members.iter().any(|m| m.lane == lane);
        for taken in job.lanes.extract_if(.., |t| gone(t.lane)) {
            let mine = later.extract_if(.., |w| w.lane == taken.lane).collect();
            lanes.push((taken.lane, job.reads.iter().find(|r| r.lane == taken.lane).copied(), mine));
        }
        // What waits in a lane that sends now goes back to it when the message is done.
        job.back.extend(later);
        Finished { lanes, ..Finished::default() }
    }

    fn settlement(&self, deliveries: Vec<DeliveryUpdate>) -> OutcomeBatch {
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

    /// Writes a settlement, for as long as it takes: an outcome that is not on disk would be sent again or lost.
    async fn settle(&self, settlement: OutcomeBatch) -> Result<Vec<AcceptedDelivery>, StoreError> {
        self.shared.settle(settlement).await
    }
}

/// A fault that is said to be the outlet's is the message's own.
fn blame(error: &mut SendError) {
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
