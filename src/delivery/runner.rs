//! One runner per outlet: it owns the outlet's pace, pause, breaker and hold, and starts messages when they allow.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::channel::{Limit, Probe};
use crate::model::{ErrorKind, LaneId, MessageId, OutletKey};
use crate::store::{Claim, Fence, LaneHead, Mode, StoreError, Waiting};
use crate::template::MessageKind;

use super::attempt::{Finished, READ, Step};
use super::breaker::Breaker;
use super::engine::{Handle, Shared};
use super::hold::{FIRST_TRIAL, Hold};
use super::job::{Caller, Job};
use super::lanes::{Lanes, MAX_LANES};
use super::pace::Pacer;
use super::plan::ChannelPlan;

/// Lanes merged into one digest at most.
const DIGEST_LANES: usize = 2000;
/// How often a runner looks at the store without having been told to: a safety net under lost hints, not the way work arrives.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// The same where other nodes accept, too, and a hint from them may be lost.
const LOOK_AGAIN_SHARED: Duration = Duration::from_secs(1);
/// How soon memory is filled again from a store that holds more.
const REFILL: Duration = Duration::from_millis(50);
/// How long the lanes of direct calls are remembered; they are settled long before.
const CALLED: Duration = Duration::from_secs(120);

/// Messages of an outlet without a pace that were delivered and whose outcome is not on disk yet, at most. They hold no place among those being sent,
/// else the disk would set the pace; a crash may repeat them.
const UNSETTLED: usize = 128;

/// What a runner is told.
#[derive(Debug)]
pub enum Command {
    /// A delivery that was just accepted.
    Offer(Box<Waiting>),
    /// Something was accepted for a lane; its delivery is on disk.
    Poke { lane: LaneId, channel: Arc<str>, rank: i64, born_at: i64 },
    /// A direct call.
    Call { channel: Arc<str>, member: Box<Waiting>, caller: Caller },
    /// The plan changed: limits may have, and a held outlet is tried at once.
    Reload,
    /// Lanes were moved, dropped or adopted by hand: what is in memory may be stale.
    Forget,
    /// Channels were muted or unmuted by hand.
    Mutes,
}

/// The runner of one outlet.
pub struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) outlet: OutletKey,
    pub(super) handle: Arc<Handle>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) stop: watch::Receiver<bool>,
    store_ok: watch::Receiver<bool>,
    pub(super) epoch: i64,
    pub(super) lease: Option<Instant>,
    /// Whether this node is to own the outlet.
    pub(super) wanted: bool,
    pub(super) claimed_at: Instant,
    /// Lanes of direct calls that were taken up, and when: the store shows them until they are settled.
    pub(super) called: HashMap<LaneId, Instant>,
    pub(super) lanes: Lanes,
    pub(super) calls: VecDeque<Job>,
    pub(super) jobs: Vec<Job>,
    pub(super) split: VecDeque<(Arc<str>, Vec<LaneId>)>,
    /// Messages of the steps under way.
    pub(super) running: HashSet<MessageId>,
    /// Open messages of the last look that memory did not know.
    pub(super) unknown: HashSet<MessageId>,
    /// Channels that moved away, of which something is here: to be brought home before the outlet is owned again.
    pub(super) strays: BTreeSet<Arc<str>>,
    /// When strays were last brought home.
    pub(super) brought: Option<Instant>,
    pacer: Pacer,
    paused_until: Instant,
    breaker: Breaker,
    pub(super) hold: Option<Hold>,
    tasks: JoinSet<(MessageId, Finished)>,
    /// Those of the tasks that only wait for the disk.
    answered: Arc<AtomicUsize>,
    pub(super) probes: JoinSet<Probe>,
    loading: JoinSet<LoadResult>,
    pub(super) found: JoinSet<Vec<Waiting>>,
    /// Look at the store then, whatever else happens.
    pub(super) look_at: Instant,
    /// Look again from then on if memory runs low.
    refill_at: Instant,
    concurrency: usize,
}

/// Lanes, how many were asked for, and the open messages if this was a look for its own sake.
type LoadResult = Result<(Vec<LaneHead>, usize, Option<Vec<MessageId>>), StoreError>;

impl Runner {
    /// A runner for `outlet`; [`Runner::run`] claims it first.
    pub fn new(shared: Arc<Shared>, outlet: OutletKey, handle: Arc<Handle>, commands: mpsc::Receiver<Command>, stop: watch::Receiver<bool>) -> Self {
        let now = shared.clock.instant();
        let store_ok = shared.store_ok();
        Self {
            shared,
            outlet,
            handle,
            commands,
            stop,
            store_ok,
            epoch: 0,
            lease: None,
            wanted: false,
            claimed_at: now,
            called: HashMap::new(),
            lanes: Lanes::default(),
            calls: VecDeque::new(),
            jobs: Vec::new(),
            split: VecDeque::new(),
            running: HashSet::new(),
            unknown: HashSet::new(),
            strays: BTreeSet::new(),
            brought: None,
            pacer: Pacer::new(&[]),
            paused_until: now,
            breaker: Breaker::default(),
            hold: None,
            tasks: JoinSet::new(),
            answered: Arc::default(),
            probes: JoinSet::new(),
            loading: JoinSet::new(),
            found: JoinSet::new(),
            look_at: now,
            refill_at: now,
            concurrency: 1,
        }
    }

    /// Runs until told to stop; then waits for what is under way. What waits stays on disk.
    pub async fn run(mut self) {
        loop {
            if *self.stop.borrow() {
                break;
            }
            self.hear();
            if self.tasks.is_empty() {
                self.answered.store(0, Ordering::Release);
                if self.epoch == 0 {
                    if !self.take_over().await {
                        continue;
                    }
                } else if !self.wanted {
                    self.give_up().await;
                    continue;
                }
            }
            self.start_what_may();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                Some(done) = self.tasks.join_next() => match done {
                    Ok((message, finished)) => {
                        self.running.remove(&message);
                        self.finished(finished);
                    }
                    Err(error) => self.crashed(&error),
                },
                Some(Ok(probe)) = self.probes.join_next() => self.probed(probe),
                Some(Ok(loaded)) = self.loading.join_next() => self.loaded(loaded),
                Some(Ok(found)) = self.found.join_next() => self.take_calls(found),
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                () = tokio::time::sleep_until(wake) => {}
                _ = self.stop.changed() => {}
                _ = self.store_ok.changed() => {}
                () = self.handle.kicked.notified() => {}
            }
        }
        for mut call in self.calls.drain(..) {
            // Not started: the caller is told; the record is settled as expired by its own deadline.
            if let Some(caller) = &mut call.caller {
                caller.answer.take();
            }
        }
        while let Some(done) = self.tasks.join_next().await {
            if let Ok((_, finished)) = done {
                self.shared.hand_over(&finished.children);
            }
        }
        if self.shared.leased() && self.epoch != 0 {
            self.release().await;
        }
    }

    /// Claims the outlet and takes up what was under way; `false` when it could not be had.
    pub(super) async fn own(&mut self) -> bool {
        let clock = &self.shared.clock;
        let (now, now_ms) = (clock.instant(), clock.now_ms());
        let limits = self.limits();
        self.pacer = Pacer::new(&limits);
        self.concurrency = self.own_concurrency();
        let claim = Claim {
            outlet: self.outlet.clone(),
            node: self.shared.node.to_string(),
            now: now_ms,
            lease_until: now_ms + self.shared.lease.as_millis() as i64,
            window_start: now_ms - self.pacer.longest().as_millis() as i64,
        };
        let owned = match self.shared.store.own(claim).await {
            Ok(Some(owned)) => owned,
            Ok(None) => return false,
            Err(error) => {
                self.shared.store_failed(&error);
                return false;
            }
        };
        self.epoch = owned.epoch;
        self.lease = self.shared.leased().then(|| now + self.shared.lease - super::cluster::MARGIN);
        self.claimed_at = now;
        let crash = u32::from(owned.epoch > 1);
        // What a crash cut off may have reached the platform without a record: as many as can be under way count as sent now.
        let unseen = if self.pacer.is_off() { 0 } else { self.concurrency.min(self.pacer.at_once()) as u32 * crash };
        let ages = owned.sends.iter().map(|at| Duration::from_millis((now_ms - at).max(0) as u64));
        self.pacer.restore(now, ages.chain((0..unseen).map(|_| Duration::ZERO)));
        let pause = Duration::from_millis((owned.paused_until - now_ms).max(0) as u64).min(super::policy::MAX_PAUSE);
        self.paused_until = now + pause;
        self.hold = owned.held.map(|reason| Hold { reason, trial_at: now, wait: FIRST_TRIAL, trying: false });
        for open in owned.open {
            if open.members.iter().all(|member| member.mode == Mode::Sync) {
                self.end_call(open);
                continue;
            }
            let at_most_once = self.channel(&open.channel).is_some_and(|c| c.platform.ambiguous == crate::channel::OnAmbiguous::Never);
            let mut job = Job::of_open(open, at_most_once, now);
            for taken in &job.lanes {
                self.lanes.poke(taken.lane, &job.channel, 3, now_ms, now);
                let _ = self.lanes.take(taken.lane, 0, now);
            }
            job.fixed = true;
            self.jobs.push(job);
        }
        self.look_at = now;
        self.show();
        true
    }

    fn obey(&mut self, command: Command) {
        let (now, now_ms) = (self.shared.clock.instant(), self.shared.clock.now_ms());
        match command {
            Command::Offer(waiting) => {
                let channel = self.shared.name(&waiting.channel);
                self.lanes.offer(*waiting, &channel, now, now_ms);
            }
            Command::Poke { lane, channel, rank, born_at } => self.lanes.poke(lane, &channel, rank, born_at, now),
            Command::Call { channel, member, caller } => self.call(channel, *member, caller),
            Command::Reload => {
                let limits = self.limits();
                self.pacer.set_limits(&limits);
                self.concurrency = self.own_concurrency();
                if let Some(hold) = &mut self.hold {
                    hold.trial_at = now;
                    hold.wait = FIRST_TRIAL;
                }
                self.paused_until = self.paused_until.min(now + super::policy::MAX_PAUSE);
                self.look_at = now;
                let names: BTreeSet<Arc<str>> = self.jobs.iter().map(|job| job.channel.clone()).collect();
                for name in &names {
                    self.is_stray(name);
                }
            }
            Command::Forget => {
                self.lanes.forget_all();
                self.look_at = now;
            }
            Command::Mutes => {}
        }
    }

    /// Starts everything that may start now.
    fn start_what_may(&mut self) {
        let now = self.shared.clock.instant();
        if self.handle.dirty.swap(false, Ordering::AcqRel) {
            // Commands were lost because the queue to this runner was full: whatever they said is read anew.
            self.lanes.doubt(now);
            let limits = self.limits();
            self.pacer.set_limits(&limits);
            self.concurrency = self.own_concurrency();
            self.look_at = now;
        }
        self.lanes.tick(now);
        self.look(now);
        self.expire_calls(now);
        if !*self.store_ok.borrow() || !self.may_start(now) {
            return;
        }
        self.try_held(now);
        while let Some(job) = self.pick(now) {
            let Some(channel) = self.channel(&job.channel) else {
                self.without_channel(job, now);
                break;
            };
            self.pacer.begin(now);
            let fence = Fence { outlet: self.outlet.clone(), epoch: self.epoch };
            let answered = self.pacer.is_off().then(|| self.answered.clone());
            let (shared, handle, plan) = (self.shared.clone(), self.handle.clone(), self.shared.plan.load_full());
            let lease = self.lease.map(|until| (self.claimed_at, until));
            let step = Step { shared, plan, channel, fence, handle, lease, answered };
            self.running.insert(job.id);
            self.tasks.spawn(async move { (job.id, step.run(job).await) });
        }
        self.show();
    }

    /// Whether one more may be sent at once.
    fn has_room(&self) -> bool {
        let sending = self.tasks.len().saturating_sub(self.answered.load(Ordering::Acquire));
        sending < self.concurrency && self.tasks.len() < self.concurrency + UNSETTLED
    }

    /// The next message to start: direct calls, then messages under way, then halves of a refused digest, then lanes.
    fn pick(&mut self, now: Instant) -> Option<Job> {
        if !self.has_room() || now < self.paused_until || self.pacer.slot(now, 1) > now {
            return None;
        }
        if let Some(call) = self.calls.pop_front() {
            return Some(call);
        }
        let trial = self.hold.as_ref().is_some_and(|h| h.trying);
        if (self.hold.is_some() && !trial) || ((trial || self.breaker.is_open()) && !self.tasks.is_empty()) {
            return None;
        }
        if let Some(i) = self.jobs.iter().position(|j| j.due <= now) {
            return Some(self.jobs.swap_remove(i));
        }
        let now_ms = self.shared.clock.now_ms();
        if let Some((channel, lanes)) = self.split.pop_front() {
            return Some(self.digest(channel, lanes, now, now_ms));
        }
        let shared = self.shared.clone();
        let mut muted: Option<(Arc<str>, Instant)> = None;
        let mut moved: Option<Arc<str>> = None;
        let found = self.lanes.first(|name| match shared.muted_until(name, now_ms) {
            Some(until) => {
                muted = Some((name.clone(), now + Duration::from_millis((until - now_ms).max(0) as u64)));
                false
            }
            None => match shared.plan.load().channel(name) {
                Some(channel) if channel.outlet == self.outlet => true,
                Some(_) => {
                    moved = Some(name.clone());
                    false
                }
                None => false,
            },
        });
        if let Some(name) = moved
            && !self.brought_lately(now)
            && self.is_stray(&name)
        {
            return None;
        }
        let (first, channel) = found?;
        if let Some((name, until)) = muted {
            self.lanes.postpone(&name, until, now);
        }
        let plan = self.channel(&channel)?;
        let crowd = self.lanes.ready_len() + if self.lanes.complete { 0 } else { MAX_LANES };
        if crowd > 1 && self.pacer.spread(now) > now {
            return None;
        }
        let soon = plan.digest.is_none_or(|after| crowd as f64 <= self.pacer.rate() * after.as_secs_f64());
        if soon {
            let taken = self.lanes.take(first, READ, now);
            return Some(Job::of_lanes(channel, MessageKind::Single, vec![taken], now, now_ms));
        }
        let lanes = self.lanes.of_channel(&channel, DIGEST_LANES);
        Some(self.digest(channel, lanes, now, now_ms))
    }

    /// A digest of lanes; of a single one its own message.
    fn digest(&mut self, channel: Arc<str>, lanes: Vec<LaneId>, now: Instant, now_ms: i64) -> Job {
        let kind = if lanes.len() > 1 { MessageKind::Digest } else { MessageKind::Single };
        let taken = lanes.into_iter().map(|id| self.lanes.take(id, READ, now)).collect();
        Job::of_lanes(channel, kind, taken, now, now_ms)
    }

    fn finished(&mut self, finished: Finished) {
        let (now, now_ms) = (self.shared.clock.instant(), self.shared.clock.now_ms());
        if finished.answered {
            self.answered.fetch_sub(1, Ordering::AcqRel);
        }
        if finished.began {
            self.pacer.end(now)
        } else {
            self.pacer.cancel()
        }
        for (lane, read, back) in finished.lanes {
            self.lanes.close(lane, read, back, now, now_ms);
        }
        self.split.extend(finished.split);
        if let Some(job) = finished.job
            && !self.is_stray(&job.channel)
        {
            self.jobs.push(job);
        }
        self.shared.hand_over(&finished.children);
        if let Some(until) = finished.paused_until {
            self.paused_until = self.paused_until.max(now + Duration::from_millis((until - now_ms).max(0) as u64));
        }
        if finished.fenced {
            self.epoch = 0;
        }
        let Some(error) = finished.error else { return };
        match error {
            Some(ErrorKind::Transient | ErrorKind::Ambiguous) => {
                if let Some(rest) = self.breaker.failed() {
                    self.paused_until = self.paused_until.max(now + rest);
                }
            }
            _ => self.breaker.answered(),
        }
        match finished.held {
            Some(reason) => self.held(reason, now),
            // Anything but "this cannot work" says that the credentials work.
            None if !matches!(error, Some(ErrorKind::Transient | ErrorKind::Ambiguous | ErrorKind::RateLimited { .. })) => self.released(),
            None => {
                if let Some(hold) = &mut self.hold {
                    hold.trying = false;
                    hold.trial_at = now + hold.wait;
                }
            }
        }
    }

    /// Reads lanes from the store when memory runs low and something may wait there.
    fn look(&mut self, now: Instant) {
        if self.lanes.left && self.loading.is_empty() {
            self.refill_at = self.refill_at.min(now + REFILL);
        }
        let low = !self.lanes.complete && self.lanes.ready_len() < MAX_LANES / 8 && now >= self.refill_at;
        if !self.loading.is_empty() || (now < self.look_at && !low) {
            return;
        }
        let regular = now >= self.look_at;
        self.look_at = now + if self.shared.leased() { LOOK_AGAIN_SHARED } else { LOOK_AGAIN };
        self.refill_at = now + LOOK_AGAIN;
        self.lanes.left = false;
        let (shared, outlet) = (self.shared.clone(), self.outlet.clone());
        self.called.retain(|_, at| now.duration_since(*at) < CALLED);
        let (limit, mut known) = (MAX_LANES, self.lanes.known());
        known.extend(self.called.keys());
        self.loading.spawn(async move {
            let open = if regular { Some(shared.store.open_messages(&outlet).await?) } else { None };
            Ok((shared.store.lanes_ready(&outlet, &known, limit).await?, limit, open))
        });
    }

    fn loaded(&mut self, loaded: LoadResult) {
        let (now, now_ms) = (self.shared.clock.instant(), self.shared.clock.now_ms());
        match loaded {
            Ok((heads, limit, open)) => {
                if let Some(open) = open {
                    self.compare(open);
                }
                let all = heads.len() < limit;
                let (calls, heads): (Vec<_>, Vec<_>) = heads.into_iter().partition(|head| head.key.starts_with(super::accept::CALL_LANE));
                self.find_calls(calls);
                let shared = self.shared.clone();
                let news = self.lanes.load(heads, all, now, now_ms, |name| shared.name(name));
                // Only a look that found something new is worth repeating soon, or one that something was left behind after.
                if news > 0 || self.lanes.left {
                    self.refill_at = now + REFILL;
                }
            }
            Err(error) => {
                self.shared.store_failed(&error);
                self.look_at = now + Duration::from_secs(1);
            }
        }
    }

    /// Direct calls that got no slot in time: told so, recorded so, never sent later.
    fn expire_calls(&mut self, now: Instant) {
        let paused = self.paused_until.max(self.pacer.slot(now, 1));
        let mut i = 0;
        while i < self.calls.len() {
            let late = self.calls[i].caller.as_ref().is_some_and(|c| now >= c.deadline || paused >= c.deadline);
            if late && let Some(mut call) = self.calls.remove(i) {
                let answer = call.caller.take().and_then(|c| c.answer);
                self.shared.expire(&self.outlet, self.epoch, call.members, answer);
            } else {
                i += 1;
            }
        }
    }

    fn next_wake(&mut self) -> Instant {
        let now = self.shared.clock.instant();
        if !self.may_start(now) {
            // A new lease, or the end of what is under way, wakes it sooner.
            return now + Duration::from_millis(500);
        }
        let mut wake = self.look_at.max(now + Duration::from_millis(20));
        if !self.lanes.complete && self.loading.is_empty() && self.lanes.ready_len() < MAX_LANES / 8 {
            wake = wake.min(self.refill_at.max(now + Duration::from_millis(2)));
        }
        let idle = self.has_room();
        if let Some(timer) = self.lanes.next_timer() {
            wake = wake.min(timer.max(now));
        }
        if idle {
            let mut work: Option<Instant> = None;
            if !self.calls.is_empty() {
                work = Some(self.pacer.slot(now, 1));
            }
            if let Some(job) = self.jobs.iter().map(|j| j.due).min() {
                let at = job.max(self.pacer.slot(now, 1));
                work = Some(work.map_or(at, |w| w.min(at)));
            }
            if self.lanes.ready_len() > 0 || !self.split.is_empty() {
                let at = if self.lanes.ready_len() > 1 { self.pacer.spread(now) } else { self.pacer.slot(now, 1) };
                work = Some(work.map_or(at, |w| w.min(at)));
            }
            if let Some(at) = work {
                wake = wake.min(at.max(self.paused_until).max(now + Duration::from_millis(2)));
            }
        }
        if let Some(deadline) = self.calls.iter().filter_map(|c| c.caller.as_ref()).map(|c| c.deadline).min() {
            wake = wake.min(deadline);
        }
        if let Some(hold) = self.hold.as_ref().filter(|h| !h.trying) {
            wake = wake.min(hold.trial_at.max(now + Duration::from_millis(20)));
        }
        wake
    }

    /// A step panicked: its lanes are read again from the store; nothing is lost, a send may repeat.
    fn crashed(&mut self, error: &tokio::task::JoinError) {
        tracing::error!(outlet = %self.outlet, %error, "a delivery step failed unexpectedly; the outlet starts over from the store");
        self.pacer.cancel();
        self.epoch = 0;
    }

    pub(super) fn show(&self) {
        let now = self.shared.clock.instant();
        let paused = self.paused_until.saturating_duration_since(now);
        self.handle.show(super::engine::OutletState {
            paused_ms: paused.as_millis() as i64,
            held: self.hold.as_ref().map(|h| h.reason.clone()),
            breaker_open: self.breaker.is_open(),
            under_way: self.tasks.len(),
            lanes: self.lanes.held(),
            weight: self.lanes.weight(),
        });
    }

    /// A message whose channel is not this outlet's any more: it goes where the channel went. If there is none, it waits, and the alarm names the channel.
    fn without_channel(&mut self, mut job: Job, now: Instant) {
        if let Some(caller) = job.caller.take() {
            self.shared.expire(&self.outlet, self.epoch, job.members, caller.answer);
        } else if self.brought_lately(now) || !self.is_stray(&job.channel) {
            self.jobs.push(Job { due: now + LOOK_AGAIN, ..job });
        }
    }

    pub(super) fn channel(&self, name: &str) -> Option<Arc<ChannelPlan>> {
        self.shared.plan.load().channel(name).filter(|c| c.outlet == self.outlet).cloned()
    }

    fn own_concurrency(&self) -> usize {
        self.shared.plan.load().channels.values().find(|c| c.outlet == self.outlet).map_or(1, |c| c.platform.concurrency.max(1))
    }

    /// The tightest pace among the outlet's channels: they share one credential, so they share one pace.
    fn limits(&self) -> Vec<Limit> {
        let plan = self.shared.plan.load();
        let mut limits: Vec<Limit> = Vec::new();
        for channel in plan.channels.values().filter(|c| c.outlet == self.outlet) {
            for limit in channel.pace.iter().flatten() {
                match limits.iter_mut().find(|l| l.window == limit.window) {
                    Some(known) => known.count = known.count.min(limit.count),
                    None => limits.push(*limit),
                }
            }
        }
        limits
    }
}
