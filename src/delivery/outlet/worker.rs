//! The worker of one outlet: the event loop, what is in flight, and what its end changes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedMutexGuard, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::channel::{Counted, Probe};
use crate::delivery::attempt::AttemptResult;
use crate::delivery::clock::Now;
use crate::delivery::core::Shared;
use crate::delivery::direct::DirectSends;
use crate::delivery::lanes::Lanes;
use crate::delivery::pending::PendingMessage;
use crate::delivery::rate_limit::RateLimiter;
use crate::model::{MessageId, OutletKey};
use crate::store::Fence;

use super::editing::Edits;
use super::gate::Gate;
use super::mailbox::{Command, Flag, Mailbox, OutletState};
use super::owned::OwnedOutlet;
use super::ownership::{Action, Ownership, Signal};
pub(crate) use super::polled::POLL_INTERVAL;
use super::polled::Poll;
use super::recent::Recent;
use super::select::Queue;
use super::supervise::Supervision;

/// Messages of an outlet without a rate limit that were delivered and whose outcome is not on disk yet, at most. They take no place among those being
/// sent, else the disk would limit the rate; a crash may repeat them.
const MAX_UNRECORDED: usize = 128;

/// How a worker is reached and stopped.
pub(super) struct Inbox {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) commands: OwnedMutexGuard<mpsc::Receiver<Command>>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) store_ok: watch::Receiver<bool>,
}

/// Messages in flight.
#[derive(Default)]
pub(super) struct InFlight {
    pub(super) tasks: JoinSet<(MessageId, AttemptResult)>,
    /// The channel of each, and what the platform counts it against.
    pub(super) messages: HashMap<MessageId, (Arc<str>, Counted)>,
    /// Those of them that only wait for the disk.
    pub(super) answered: Arc<AtomicUsize>,
    /// As many may be in flight.
    pub(super) concurrency: usize,
    /// Direct sends that started since anything else did, or since nothing else may.
    pub(super) direct_in_row: usize,
    /// Whether only they could start at the last look.
    pub(super) direct_only: bool,
}

impl InFlight {
    /// Whether one more may be sent at once.
    pub(super) fn has_room(&self) -> bool {
        let sending = self.tasks.len().saturating_sub(self.answered.load(Ordering::Acquire));
        sending < self.concurrency && self.tasks.len() < self.concurrency + MAX_UNRECORDED
    }
}

/// Why nothing more starts.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// When something that waits could start, as of the last time that something was started.
    pub(super) next_start: Option<Instant>,
    /// Whether the rate limit or memory holds something back.
    pub(super) held_back: bool,
    /// Since when nothing keeps the outlet from sending but that it knows of nothing to send.
    free_since: Option<Instant>,
}

/// The worker of one outlet.
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) outlet: OutletKey,
    pub(super) inbox: Inbox,
    pub(crate) ownership: Ownership,
    /// Whether this node is to own the outlet.
    pub(super) assigned: bool,
    pub(crate) queue: Queue,
    pub(super) rate: RateLimiter,
    pub(super) gate: Gate,
    pub(super) in_flight: InFlight,
    pub(crate) direct: DirectSends,
    pub(super) poll: Poll,
    pub(super) probes: JoinSet<Probe>,
    pub(super) edits: Edits,
    /// When channels that moved away were last relocated.
    pub(crate) relocated_at: Option<Instant>,
    pub(super) idle: Idle,
}

impl Worker {
    /// A worker for `outlet`; [`Worker::run`] claims it first.
    pub fn new(
        shared: Arc<Shared>,
        outlet: OutletKey,
        mailbox: Arc<Mailbox>,
        commands: OwnedMutexGuard<mpsc::Receiver<Command>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let now = shared.clock.instant();
        let store_ok = shared.health.store_ok();
        let queue = Queue::new(Lanes::new(shared.budget.clone()));
        Self {
            inbox: Inbox { mailbox, commands, stop, store_ok },
            shared,
            outlet,
            ownership: Ownership::new(now),
            assigned: false,
            queue,
            rate: RateLimiter::new(&[]),
            gate: Gate::new(now),
            in_flight: InFlight { concurrency: 1, ..InFlight::default() },
            direct: DirectSends::default(),
            poll: Poll::new(now),
            probes: JoinSet::new(),
            edits: Edits::new(now),
            relocated_at: None,
            idle: Idle::default(),
        }
    }

    /// Runs until a stop; then waits for what is in flight. What waits stays on disk. Returns whether it was stopped.
    pub async fn run(mut self) -> bool {
        while !*self.inbox.stop.borrow() {
            self.inbox.mailbox.seen(self.shared.clock.instant());
            self.read_mailbox();
            match self.due_action() {
                Some(Action::Resync) => {
                    self.resync().await;
                    continue;
                }
                Some(action) if !self.change_hands(action).await => continue,
                _ => {}
            }
            self.start_ready();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                Some(done) = self.in_flight.tasks.join_next() => match done {
                    Ok((message, result)) => {
                        let (channel, counted) = self.in_flight.messages.remove(&message).unwrap_or_else(|| ("".into(), Counted::Outlet));
                        self.attempt_finished(result, &channel, &counted);
                    }
                    Err(error) => self.attempt_panicked(&error),
                },
                Some(Ok(probe)) = self.probes.join_next() => self.probed(&probe),
                Some(Ok(found)) = self.edits.looking.join_next() => self.edits_found(found),
                Some(done) = self.edits.tasks.join_next() => match done {
                    Ok(result) => self.edit_finished(&result),
                    Err(error) => {
                        self.end_edit(self.shared.clock.instant());
                        tracing::error!(outlet = %self.outlet, %error, "an edit panicked; it is tried again. Please report this bug");
                    }
                },
                Some(Ok(found)) = self.poll.loading.join_next() => self.loaded(found),
                Some(read) = self.poll.ahead.join_next() => match read {
                    Ok(read) => self.ahead_read(read),
                    Err(error) => self.attempt_panicked(&error),
                },
                Some(Ok(found)) = self.direct.found.join_next() => self.take_direct(found),
                command = self.inbox.commands.recv() => match command {
                    Some(command) => self.handle(command),
                    None => break,
                },
                () = tokio::time::sleep_until(wake) => {}
                _ = self.inbox.stop.changed() => {}
                _ = self.inbox.store_ok.changed() => {}
                () = self.inbox.mailbox.woken() => {}
            }
        }
        self.drain().await;
        *self.inbox.stop.borrow()
    }

    /// Waits for what is in flight, and releases the outlet.
    async fn drain(&mut self) {
        for mut direct in self.queue.direct.drain(..) {
            // Not started: the caller gets an error; the record expires by its own deadline.
            if let Some(caller) = &mut direct.caller {
                caller.answer.take();
            }
        }
        while let Some(done) = self.in_flight.tasks.join_next().await {
            if let Ok((_, result)) = done {
                self.shared.notify_new(&result.children);
            }
        }
        self.release().await;
    }

    /// What must be done before anything else. Nothing may be in flight, and no direct send may be between two of its recipients.
    pub(super) fn due_action(&self) -> Option<Action> {
        if !self.in_flight.tasks.is_empty() || !self.edits.tasks.is_empty() {
            return None;
        }
        self.in_flight.answered.store(0, Ordering::Release);
        let waits_for_a_caller = self.ownership.is_resyncing() && self.queue.begun.iter().any(|message| message.caller.is_some());
        self.ownership.next(self.assigned).filter(|_| !waits_for_a_caller)
    }

    /// Reads what the node decided about this outlet, and what others say of its memory.
    pub(super) fn read_mailbox(&mut self) {
        let assignment = self.inbox.mailbox.assignment();
        self.assigned = assignment.assigned;
        let before = self.ownership;
        self.ownership = before.on(Signal::Assigned(assignment.assigned));
        if let Some(renewal) = assignment.renewal {
            self.ownership = self.ownership.on(Signal::Renewed { asked: renewal.asked, until: renewal.until });
            if before.lease().is_some() && self.ownership.lease().is_none() {
                tracing::warn!(outlet = %self.outlet, "another node owns this outlet now; the results of what is in flight here are discarded");
            }
        }
        if self.inbox.mailbox.take(Flag::Resync) || self.shared.outlets.next_relocation(&self.outlet).is_some() {
            self.ownership = self.ownership.on(Signal::Stale);
        }
        if self.inbox.mailbox.take(Flag::Poll) {
            self.poll.at = self.shared.clock.instant();
        }
        if self.inbox.mailbox.take(Flag::Edit) {
            self.edits.look_soon(self.shared.clock.instant());
        }
    }

    pub(super) fn handle(&mut self, command: Command) {
        let now = self.shared.clock.now();
        match command {
            Command::Push(waiting, share) => {
                let channel = self.shared.name(&waiting.channel);
                self.queue.lanes.push(*waiting, share, &channel, now);
                self.fall_back_if_suspended();
            }
            Command::MarkDirty { lane, channel, rank, born_at } => {
                self.queue.lanes.mark_dirty(lane, &channel, rank, born_at, now.mono);
                self.fall_back_if_suspended();
            }
            Command::Direct { channel, member, caller } => self.send_directly(channel, *member, caller),
            Command::Reload => {
                self.apply_limits();
                self.gate.reloaded(now.mono);
                self.poll.at = now.mono;
                self.relocated_at = None;
            }
            Command::EvictAll => {
                self.queue.lanes.evict_all();
                self.poll.at = now.mono;
            }
            #[cfg(test)]
            Command::Crash => panic!("a worker that was made to fail"),
        }
    }

    fn fall_back_if_suspended(&self) {
        if let Some(reason) = self.gate.suspended() {
            self.shared.fall_back_at_once(&self.outlet, reason);
        }
    }

    fn apply_limits(&mut self) {
        let limits = self.limits();
        self.rate.set_limits(&limits);
        self.in_flight.concurrency = self.own_concurrency().min(self.rate.max_in_flight());
    }

    /// Starts everything that may start now.
    fn start_ready(&mut self) {
        let now = self.shared.clock.now();
        if self.inbox.mailbox.take(Flag::Overflow) {
            // Commands were lost because the queue to this worker was full: whatever they said is read from the store.
            self.queue.lanes.invalidate_all(now.mono);
            self.apply_limits();
            self.poll.at = now.mono;
        }
        self.queue.lanes.advance(now.mono);
        self.poll_store(now.mono);
        if self.ownership.lease().is_some() {
            self.expire_direct(now.mono);
        }
        (self.idle.next_start, self.idle.held_back) = (None, false);
        if !*self.inbox.store_ok.borrow() || !self.ownership.may_send_directly(now.mono) {
            self.idle.free_since = None;
            self.edits.postpone(now.mono);
            self.publish_state();
            return;
        }
        self.start_probe(now.mono);
        self.forget_muted();
        let mut began = false;
        while !self.edits.posting
            && let Some(message) = self.next_message(now)
        {
            began |= self.start(message, now.mono);
        }
        self.read_ahead(now);
        let gate_is_open = self.gate.suspended().is_none() && now.mono >= self.gate.paused_until();
        if !self.idle.held_back && self.in_flight.has_room() && self.ownership.may_send(now.mono) && gate_is_open {
            self.start_edits(now.mono, now.wall);
        } else {
            self.edits.postpone(now.mono);
        }
        let free = !began && self.in_flight.tasks.is_empty() && gate_is_open && !self.idle.held_back;
        self.idle.free_since = free.then(|| self.idle.free_since.unwrap_or(now.mono));
        self.publish_state();
    }

    /// When a message may start, as far as pause and rate limit go.
    pub(crate) fn slot_of(&self, message: &PendingMessage, now: Instant) -> Instant {
        self.gate.paused_until().max(self.rate.slot(now, &self.counted(message)))
    }

    /// What a write of this worker is checked against.
    pub(crate) fn fence(&self) -> Fence {
        Fence { outlet: self.outlet.clone(), epoch: self.ownership.epoch() }
    }

    /// The outlet as a task that begins now has it.
    pub(super) fn owned_outlet(&self) -> OwnedOutlet {
        OwnedOutlet { fence: self.fence(), mailbox: self.inbox.mailbox.clone(), lease: self.ownership.lease() }
    }

    pub(super) fn publish_state(&self) {
        let Now { mono: now, wall } = self.shared.clock.now();
        let gate = self.ownership.lease().filter(|lease| lease.until.is_none_or(|until| now < until)).map(|_| &self.gate);
        self.inbox.mailbox.show(OutletState {
            paused_ms: self.gate.paused_until().saturating_duration_since(now).as_millis() as i64,
            suspended: gate.and_then(Gate::suspended).map(str::to_owned),
            suspended_since: gate.and_then(Gate::suspended_since).map(|since| Recent::wall_of(since, now, wall)),
            next_try_at: gate.and_then(Gate::next_trial).map(|at| wall + at.saturating_duration_since(now)),
            breaker_open: gate.is_some_and(Gate::is_breaker_open),
            in_flight: self.in_flight.tasks.len(),
            lanes: self.queue.lanes.len(),
            bytes: self.queue.lanes.bytes(),
            owned: gate.is_some(),
            seen_at: Some(now),
            free_since: self.idle.free_since,
        });
    }

    /// The messages that this worker knows of: in flight, begun, or being recorded.
    pub(super) fn knows(&self, message: &MessageId) -> bool {
        self.in_flight.messages.contains_key(message)
            || self.poll.ended.contains(message)
            || self.queue.begun.iter().any(|begun| begun.id == *message)
    }

    /// Has a channel relocated once nothing is in flight.
    pub(crate) fn mark_for_relocation(&mut self, name: &Arc<str>) {
        self.shared.outlets.relocate_later(name, Some(&self.outlet));
        self.ownership = self.ownership.on(Signal::Stale);
    }

    /// The channels of everything that memory holds.
    pub(crate) fn channels_in_memory(&self) -> BTreeSet<Arc<str>> {
        let mut names = self.queue.lanes.channels();
        names.extend(self.queue.begun.iter().map(|message| message.channel.clone()));
        names.extend(self.in_flight.messages.values().map(|(channel, _)| channel.clone()));
        names
    }

    /// Drops the in-memory state of the outlet, except direct sends that wait.
    pub(super) fn forget_memory(&mut self) {
        self.inbox.mailbox.take(Flag::Resync);
        let direct = std::mem::take(&mut self.queue.direct);
        self.queue = Queue { direct, ..Queue::new(Lanes::new(self.shared.budget.clone())) };
        self.in_flight.messages.clear();
        self.poll.differ = HashSet::new();
        self.poll.ahead = JoinSet::new();
        self.edits = Edits::new(self.shared.clock.instant());
    }
}

/// A worker, started again for as long as the engine runs. What is queued for it stays queued meanwhile; what it had begun is taken up from the store.
pub(crate) async fn supervised(
    shared: Arc<Shared>,
    outlet: OutletKey,
    mailbox: Arc<Mailbox>,
    queued: mpsc::Receiver<Command>,
    stopped: CancellationToken,
    stop: watch::Receiver<bool>,
) {
    let queued = Arc::new(tokio::sync::Mutex::new(queued));
    let mut supervision = Supervision::of("worker", &shared);
    loop {
        let worker = Worker::new(shared.clone(), outlet.clone(), mailbox.clone(), queued.clone().lock_owned().await, stop.clone());
        if supervision.run(worker.run(), outlet.as_str(), &stopped).await {
            return;
        }
    }
}
