//! One runner per outlet: it owns the outlet's pace, pause, breaker and hold, and starts messages when they allow.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::channel::{Counted, Probe};
use crate::model::{ErrorKind, LaneId, MessageId, OutletKey};
use crate::store::{Fence, LaneSummary, LeaseRequest, Mode, OutletSnapshot, PendingDelivery, StoreError};
use crate::template::MessageKind;

use super::attempt::{Finished, READ, Step};
use super::breaker::Breaker;
use super::engine::{Handle, Shared};
use super::hold::{FIRST_TRIAL, Hold, Refused};
use super::job::{Caller, Job};
use super::lanes::{Lanes, MAX_LANES, Share};
use super::pace::Pacer;
use super::plan::ChannelPlan;

/// Lanes merged into one digest at most.
const DIGEST_LANES: usize = 2000;
/// How often a runner looks at the store without having been told to: a safety net under lost hints, not the way work arrives.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// The same where other nodes accept, too, and a hint from them may be lost.
pub(super) const LOOK_AGAIN_SHARED: Duration = Duration::from_secs(1);
/// How soon memory is filled again from a store that holds more.
pub(super) const REFILL: Duration = Duration::from_millis(50);
/// How long the lanes of direct calls are remembered; they are settled long before.
pub(super) const CALLED: Duration = Duration::from_secs(120);

/// Messages of an outlet without a pace that were delivered and whose outcome is not on disk yet, at most. They hold no place among those being sent,
/// else the disk would set the pace; a crash may repeat them.
const UNSETTLED: usize = 128;

/// Messages of an outlet that wait for their next try while memory is short, at most: no more are begun then.
const MANY: usize = 64;

/// What a runner is told.
#[derive(Debug)]
pub enum Command {
    /// A delivery that was just accepted, with its share of the budget of memory.
    Offer(Box<PendingDelivery>, Share),
    /// Something was accepted for a lane; its delivery is on disk.
    Poke { lane: LaneId, channel: Arc<str>, rank: i64, born_at: i64 },
    /// A direct call.
    Call { channel: Arc<str>, member: Box<PendingDelivery>, caller: Caller },
    /// The plan changed: limits may have, and a held outlet is tried at once.
    Reload,
    /// Lanes were moved, dropped or adopted, or a mute began or ended: what is in memory may be stale.
    Forget,
    /// Fail.
    #[cfg(test)]
    Crash,
}

/// The runner of one outlet.
pub struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) outlet: OutletKey,
    pub(super) handle: Arc<Handle>,
    pub(super) commands: OwnedMutexGuard<mpsc::Receiver<Command>>,
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
    pub(super) running: HashMap<MessageId, Running>,
    /// Messages about which memory and store differed at the last look.
    pub(super) unknown: HashSet<MessageId>,
    /// Messages whose end is being recorded without an attempt.
    pub(super) ended: HashSet<MessageId>,
    /// What is stored is not what memory holds any more: only calls start, and when nothing is under way it is read anew.
    pub(super) again: bool,
    /// The last epoch that was had of the outlet and not given back.
    pub(super) last: i64,
    /// When a ready lane's channel may send; `None` when none may, whatever the time.
    pub(super) lanes_at: Option<Instant>,
    /// When strays were last brought home.
    pub(super) brought: Option<Instant>,
    pub(super) pacer: Pacer,
    pub(super) paused_until: Instant,
    pub(super) breaker: Breaker,
    pub(super) hold: Option<Hold>,
    refused: Refused,
    pub(super) tasks: JoinSet<(MessageId, Finished)>,
    /// Those of the tasks that only wait for the disk.
    answered: Arc<AtomicUsize>,
    pub(super) probes: JoinSet<Probe>,
    pub(super) loading: JoinSet<LoadResult>,
    pub(super) found: JoinSet<Vec<PendingDelivery>>,
    /// Look at the store then, whatever else happens.
    pub(super) look_at: Instant,
    /// Look again from then on if memory runs low.
    pub(super) refill_at: Instant,
    concurrency: usize,
    /// Since when nothing keeps it from sending but that it knows of nothing to send.
    free_since: Option<Instant>,
}

/// A step under way.
pub(super) struct Running {
    pub(super) channel: Arc<str>,
    counted: Counted,
}

/// Lanes, how many were asked for, and the open messages if this was a look for its own sake.
pub(super) type LoadResult = Result<(Vec<LaneSummary>, usize, Option<Vec<MessageId>>), StoreError>;

impl Runner {
    /// A runner for `outlet`; [`Runner::run`] claims it first.
    pub fn new(
        shared: Arc<Shared>,
        outlet: OutletKey,
        handle: Arc<Handle>,
        commands: OwnedMutexGuard<mpsc::Receiver<Command>>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let now = shared.clock.instant();
        let (store_ok, budget) = (shared.store_ok(), shared.budget.clone());
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
            lanes: Lanes::new(budget),
            calls: VecDeque::new(),
            jobs: Vec::new(),
            split: VecDeque::new(),
            running: HashMap::new(),
            unknown: HashSet::new(),
            ended: HashSet::new(),
            again: false,
            last: 0,
            lanes_at: None,
            brought: None,
            pacer: Pacer::new(&[]),
            paused_until: now,
            breaker: Breaker::default(),
            hold: None,
            refused: Refused::default(),
            tasks: JoinSet::new(),
            answered: Arc::default(),
            probes: JoinSet::new(),
            loading: JoinSet::new(),
            found: JoinSet::new(),
            look_at: now,
            refill_at: now,
            concurrency: 1,
            free_since: None,
        }
    }

    /// Runs until told to stop; then waits for what is under way. What waits stays on disk. Gives whether it was told to.
    pub async fn run(mut self) -> bool {
        loop {
            if *self.stop.borrow() {
                break;
            }
            self.handle.seen(self.shared.clock.instant());
            self.hear();
            if self.tasks.is_empty() {
                self.answered.store(0, Ordering::Release);
                if self.epoch == 0 {
                    if !self.take_over().await {
                        continue;
                    }
                } else if !self.wanted {
                    self.give_up();
                    continue;
                } else if self.starts_over() {
                    self.start_over_now().await;
                    continue;
                }
            }
            self.start_what_may();
            let wake = self.next_wake();
            tokio::select! {
                biased;
                Some(done) = self.tasks.join_next() => match done {
                    Ok((message, finished)) => {
                        let counted = self.running.remove(&message).map_or(Counted::Outlet, |running| running.counted);
                        self.finished(finished, &counted);
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
        self.release().await;
        *self.stop.borrow()
    }

    /// Claims the outlet and takes up what was under way; `false` when it could not be had. Unless it is had `anew`, pace, pause and hold go on as they
    /// are.
    pub(super) async fn own(&mut self, anew: bool) -> bool {
        let clock = &self.shared.clock;
        let (now, now_ms) = (clock.instant(), clock.now_ms());
        let limits = self.limits();
        let pacer = Pacer::new(&limits);
        self.concurrency = self.own_concurrency().min(pacer.at_once());
        let claim = LeaseRequest {
            outlet: self.outlet.clone(),
            node: self.shared.node.to_string(),
            now: now_ms,
            lease_until: now_ms + self.shared.lease.as_millis() as i64,
            window_start: now_ms - pacer.longest().as_millis() as i64,
        };
        let owned = match self.shared.store.claim_outlet(claim).await {
            Ok(Some(owned)) => owned,
            Ok(None) => return false,
            Err(error) => {
                self.shared.store_failed(&error);
                return false;
            }
        };
        let anew = anew || owned.epoch != self.epoch + 1;
        (self.epoch, self.last) = (owned.epoch, owned.epoch);
        self.lease = self.shared.leased().then(|| now + self.shared.lease - super::cluster::MARGIN);
        self.claimed_at = now;
        if anew {
            self.pacer = pacer;
            self.restore(&owned, now, now_ms);
        }
        self.ended.clear();
        for open in owned.open {
            if open.members.iter().all(|member| member.mode == Mode::Direct) {
                self.ended.insert(open.id);
                self.end_call(open);
                continue;
            }
            let at_most_once = self.channel(&open.channel).is_some_and(|c| c.platform.on_ambiguous == crate::channel::OnAmbiguous::Never);
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

    /// Pace, pause and hold as the store has them.
    fn restore(&mut self, owned: &OutletSnapshot, now: Instant, now_ms: i64) {
        // What a crash cut off may have reached the platform without a record: as many as can have been under way count as sent now.
        let unseen = if self.pacer.is_off() || owned.released { 0 } else { self.concurrency };
        let ages = owned.sends.iter().map(|at| Duration::from_millis((now_ms - at).max(0) as u64));
        self.pacer.restore(now, ages.chain((0..unseen).map(|_| Duration::ZERO)));
        let pause = Duration::from_millis((owned.paused_until - now_ms).max(0) as u64).min(super::policy::MAX_PAUSE);
        self.paused_until = now + pause;
        self.hold = owned.suspended.clone().map(|reason| Hold { reason, trial_at: now, wait: FIRST_TRIAL, trying: false });
    }

    fn obey(&mut self, command: Command) {
        let (now, now_ms) = (self.shared.clock.instant(), self.shared.clock.now_ms());
        match command {
            Command::Offer(waiting, share) => {
                let channel = self.shared.name(&waiting.channel);
                self.lanes.offer(*waiting, share, &channel, now, now_ms);
                self.fall_back_if_held();
            }
            Command::Poke { lane, channel, rank, born_at } => {
                self.lanes.poke(lane, &channel, rank, born_at, now);
                self.fall_back_if_held();
            }
            Command::Call { channel, member, caller } => self.call(channel, *member, caller),
            Command::Reload => {
                let limits = self.limits();
                self.pacer.set_limits(&limits);
                self.concurrency = self.own_concurrency().min(self.pacer.at_once());
                if let Some(hold) = &mut self.hold {
                    hold.trial_at = now;
                    hold.wait = FIRST_TRIAL;
                }
                self.refused.clear();
                self.paused_until = self.paused_until.min(now + super::policy::MAX_PAUSE);
                self.look_at = now;
                self.brought = None;
            }
            Command::Forget => {
                self.lanes.forget_all();
                self.look_at = now;
            }
            #[cfg(test)]
            Command::Crash => panic!("a runner that was made to fail"),
        }
    }

    fn fall_back_if_held(&self) {
        if let Some(hold) = &self.hold {
            self.shared.fall_back_at_once(&self.outlet, &hold.reason);
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
            self.concurrency = self.own_concurrency().min(self.pacer.at_once());
            self.look_at = now;
        }
        self.lanes.tick(now);
        self.look(now);
        if self.epoch != 0 {
            self.expire_calls(now);
        }
        if !*self.store_ok.borrow() || !self.may_start(now) {
            self.free_since = None;
            self.show();
            return;
        }
        self.try_held(now);
        let mut began = false;
        while let Some(job) = self.pick(now) {
            let Some(channel) = self.channel(&job.channel) else {
                self.without_channel(job, now);
                break;
            };
            let counted = self.counted(&job);
            began = true;
            self.pacer.begin(now, &counted);
            let fence = Fence { outlet: self.outlet.clone(), epoch: self.epoch };
            let answered = self.pacer.is_off().then(|| self.answered.clone());
            let (shared, handle, plan) = (self.shared.clone(), self.handle.clone(), self.shared.plan.load_full());
            let lease = self.lease.map(|until| (self.claimed_at, until));
            let at_fault = self.refused.at_fault(job.members.iter());
            let step = Step { shared, plan, channel, fence, handle, lease, answered, at_fault };
            self.running.insert(job.id, Running { channel: job.channel.clone(), counted });
            self.tasks.spawn(async move { (job.id, step.run(job).await) });
        }
        let free = !began && self.tasks.is_empty() && self.hold.is_none() && now >= self.paused_until && self.lanes_at.is_none_or(|at| at <= now);
        self.free_since = free.then(|| self.free_since.unwrap_or(now));
        self.show();
    }

    /// Whether one more may be sent at once.
    pub(super) fn has_room(&self) -> bool {
        let sending = self.tasks.len().saturating_sub(self.answered.load(Ordering::Acquire));
        sending < self.concurrency && self.tasks.len() < self.concurrency + UNSETTLED
    }

    /// The next message to start: direct calls, then messages under way, then halves of a refused digest, then lanes.
    fn pick(&mut self, now: Instant) -> Option<Job> {
        self.lanes_at = Some(now);
        if !self.has_room() || now < self.paused_until {
            return None;
        }
        if let Some(call) = (0..self.calls.len()).find(|i| self.slot(now, &self.counted(&self.calls[*i])) <= now) {
            return self.calls.remove(call);
        }
        let due: Vec<bool> = (0..self.jobs.len()).map(|i| self.jobs[i].due <= now && self.slot(now, &self.counted(&self.jobs[i])) <= now).collect();
        if self.again {
            let call = self.jobs.iter().zip(&due).position(|(job, due)| job.caller.is_some() && *due)?;
            return Some(self.jobs.swap_remove(call));
        }
        let trial = self.hold.as_ref().is_some_and(|h| h.trying);
        if (self.hold.is_some() && !trial) || ((trial || self.breaker.is_open()) && !self.tasks.is_empty()) {
            return None;
        }
        let now_ms = self.shared.clock.now_ms();
        if trial && let Some((lane, channel)) = self.newest(now_ms) {
            let taken = self.lanes.take(lane, READ, now);
            return Some(Job::of_lanes(channel, MessageKind::Single, vec![taken], now, now_ms));
        }
        let fresh = self.jobs.iter().zip(&due).position(|(job, due)| trial && *due && !self.refused.any(job.members.iter()));
        if let Some(i) = fresh.or_else(|| due.iter().position(|due| *due)) {
            return Some(self.jobs.swap_remove(i));
        }
        if let Some((channel, _)) = self.split.front().cloned()
            && self.slot(now, &self.counted_of(&channel)) <= now
            && let Some((channel, lanes)) = self.split.pop_front()
        {
            return Some(self.digest(channel, lanes, now, now_ms));
        }
        if self.shared.budget.is_short() && (!self.tasks.is_empty() || self.jobs.len() > MANY) {
            // Memory is short: one message at a time, and no more that may have to wait for another try.
            self.lanes_at = None;
            return None;
        }
        let shared = self.shared.clone();
        let mut muted: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut slots: HashMap<Arc<str>, Instant> = HashMap::new();
        let found = self.lanes.first(|name| {
            if shared.muted_until(name, now_ms).is_some() {
                muted.insert(name.clone());
                return false;
            }
            self.channel(name).is_some() && *slots.entry(name.clone()).or_insert_with(|| self.slot(now, &self.counted_of(name))) <= now
        });
        for name in muted {
            self.lanes.forget_channel(&name);
        }
        let Some((first, channel)) = found else {
            self.lanes_at = slots.into_values().min();
            return None;
        };
        let plan = self.channel(&channel)?;
        let counted = self.counted_of(&channel);
        let mine = if counted == Counted::Outlet { self.lanes.ready_len() } else { self.lanes.of_channel(&channel, MAX_LANES).len() };
        let crowd = mine + if self.lanes.complete { 0 } else { MAX_LANES };
        let spread = self.pacer.spread(now, &counted);
        if crowd > 1 && spread > now {
            self.lanes_at = Some(spread);
            return None;
        }
        let soon = plan.digest_after().is_none_or(|after| crowd as f64 <= self.pacer.rate() * after.as_secs_f64());
        if soon {
            let taken = self.lanes.take(first, READ, now);
            return Some(Job::of_lanes(channel, MessageKind::Single, vec![taken], now, now_ms));
        }
        let lanes = self.lanes.of_channel(&channel, DIGEST_LANES);
        Some(self.digest(channel, lanes, now, now_ms))
    }

    /// The trial of a held outlet: the lane with the newest delivery of those that may be sent and were not refused.
    fn newest(&self, now_ms: i64) -> Option<(LaneId, Arc<str>)> {
        let plan = self.shared.plan.load();
        self.lanes.newest(|channel, waiting| {
            self.shared.muted_until(channel, now_ms).is_none()
                && plan.channel(channel).is_some_and(|channel| channel.outlet == self.outlet)
                && !self.refused.any(waiting)
        })
    }

    /// A digest of lanes; of a single one its own message.
    fn digest(&mut self, channel: Arc<str>, lanes: Vec<LaneId>, now: Instant, now_ms: i64) -> Job {
        let kind = if lanes.len() > 1 { MessageKind::Digest } else { MessageKind::Single };
        let taken = lanes.into_iter().map(|id| self.lanes.take(id, READ, now)).collect();
        Job::of_lanes(channel, kind, taken, now, now_ms)
    }

    fn finished(&mut self, finished: Finished, counted: &Counted) {
        let (now, now_ms) = (self.shared.clock.instant(), self.shared.clock.now_ms());
        if finished.answered {
            self.answered.fetch_sub(1, Ordering::AcqRel);
        }
        if finished.began {
            self.pacer.end(now, counted)
        } else {
            self.pacer.cancel(counted)
        }
        for (lane, read, back) in finished.lanes {
            self.lanes.close(lane, read, back, now, now_ms);
        }
        self.split.extend(finished.split);
        if let Some(job) = finished.job
            && (job.caller.is_some() || !self.is_stray(&job.channel))
        {
            self.jobs.push(job);
        }
        self.shared.hand_over(&finished.children);
        let resting = now < self.paused_until;
        if let Some(until) = finished.paused_until {
            self.paused_until = self.paused_until.max(now + Duration::from_millis((until - now_ms).max(0) as u64));
        }
        if finished.fenced {
            self.epoch = 0;
        }
        let Some(error) = finished.error else { return };
        match (&error, &finished.held) {
            (None, _) => {
                self.refused.forget(&finished.members);
                self.refused.passed();
            }
            (_, Some(_)) => self.refused.add(finished.members),
            _ => {}
        }
        match error {
            Some(ErrorKind::Transient | ErrorKind::Ambiguous | ErrorKind::RateLimited { .. }) => {
                if let Some(rest) = self.breaker.failed(resting) {
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

    /// A step panicked: its lanes are read again from the store; nothing is lost, a send may repeat.
    fn crashed(&mut self, error: &tokio::task::JoinError) {
        tracing::error!(outlet = %self.outlet, %error, "a delivery step failed unexpectedly; the outlet starts over from the store");
        self.shared.heavy.died(self.shared.clock.now_ms());
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
            owned: self.epoch != 0 && self.lease.is_none_or(|until| now < until),
            seen_at: Some(now),
            free_since: self.free_since,
        });
    }

    pub(super) fn channel(&self, name: &str) -> Option<Arc<ChannelPlan>> {
        self.shared.plan.load().channel(name).filter(|c| c.outlet == self.outlet).cloned()
    }
}
