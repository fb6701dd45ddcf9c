//! The engine: what all runners share, and the doors that accept, call, reload and stop use.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::model::OutletKey;
use crate::store::{AcceptedDelivery, DeliveryUpdate, OutcomeBatch, PendingDelivery, State, Store, StoreError};
use crate::traces::Traces;

use super::alarm::Alarm;
use super::clock::Clock;
use super::fallback::Falling;
pub use super::handle::{Handle, OutletState};
use super::handle::{Orders, supervised};
use super::heartbeat::{Heard, HeartbeatState};
use super::heavy::Heavy;
use super::intake::HandMute;
use super::job::{DirectOutcome, Job};
use super::lanes::{Budget, weight_of};
use super::outcome::{Next, Outcome};
use super::plan::{ChannelPlan, Plan};
use super::runner::Command;

/// Commands that may wait for a runner; what does not fit is read from the store.
const QUEUE: usize = 4096;

/// How a lease is kept on a store that several nodes share; on SQLite the lock on its file is the lease.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How long an outlet's lease lives.
    pub lease: Duration,
    /// Whether leases must be renewed.
    pub leased: bool,
    /// Where spans go.
    pub traces: Traces,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { lease: Duration::from_secs(8), leased: false, traces: Traces::default() }
    }
}

/// What all runners share.
pub struct Shared {
    /// What survives.
    pub store: Arc<dyn Store>,
    /// What decides.
    pub plan: ArcSwap<Plan>,
    /// The time.
    pub clock: Clock,
    /// This process.
    pub node: Arc<str>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where spans go.
    pub traces: Traces,
    /// Background work that a stop waits for.
    pub tracker: TaskTracker,
    /// The gates of heavy work.
    pub heavy: Heavy,
    pub(super) lease: Duration,
    leased: bool,
    pub(super) handles: Mutex<HashMap<OutletKey, Arc<Handle>>>,
    /// What is queued for runners that do not run yet.
    pub(super) unstarted: Mutex<HashMap<OutletKey, mpsc::Receiver<Command>>>,
    names: Mutex<HashMap<String, Arc<str>>>,
    /// The memory that waiting deliveries may take, over all outlets.
    pub(super) budget: Arc<Budget>,
    mutes: ArcSwap<HashMap<String, HandMute>>,
    pub(super) heard: Heard,
    heartbeats: ArcSwap<Vec<HeartbeatState>>,
    store_ok: watch::Sender<bool>,
    alarms: mpsc::Sender<Alarm>,
    full: AtomicBool,
    /// What stalls, and when that was looked at.
    stalled: Mutex<(Vec<String>, Option<Instant>)>,
    leads: AtomicBool,
    seed: std::sync::atomic::AtomicU64,
    /// The next step to begin is to fail.
    #[cfg(test)]
    pub(super) crash_step: AtomicBool,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The values behind these locks are replaced whole: a panic elsewhere cannot have left them half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Whether the store has reached its size cap and holds nothing that may be purged: then nothing new is taken in.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::Relaxed) != full {
            if full {
                tracing::error!(
                    "the store has reached retention.max_size and everything in it still waits: senders get 503 until something is delivered or dropped"
                );
            } else {
                tracing::info!("the store is below retention.max_size again");
            }
        }
    }

    pub(super) fn set_stalled(&self, reasons: Vec<String>, at: Instant) {
        *lock(&self.stalled) = (reasons, Some(at));
    }

    /// Why something that is due is not sent though nothing keeps it from being sent; empty when all is well.
    pub fn stalled(&self) -> Vec<String> {
        let (mut reasons, looked_at) = lock(&self.stalled).clone();
        if looked_at.is_some_and(|at| self.clock.instant().saturating_duration_since(at) > super::stalled::BOUND) && *self.store_ok.borrow() {
            reasons.push("nobody has looked for what stands still lately: the task that keeps the house shows no sign of life".into());
        }
        reasons
    }

    /// Whether outcomes can be stored; changes are awaited.
    pub fn store_ok(&self) -> watch::Receiver<bool> {
        self.store_ok.subscribe()
    }

    /// Whether several nodes share the store.
    pub fn leased(&self) -> bool {
        self.leased
    }

    /// Whether this node does what must be done once: purging, alarms about what waits, fallbacks of what waits too long.
    pub fn leads(&self) -> bool {
        self.leads.load(Ordering::Relaxed)
    }

    pub(super) fn set_leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
    }

    /// One shared copy of a channel's name.
    pub(super) fn name(&self, name: &str) -> Arc<str> {
        if let Some(channel) = self.plan.load().channel(name) {
            return channel.name.clone();
        }
        lock(&self.names).entry(name.to_owned()).or_insert_with(|| name.into()).clone()
    }

    pub(super) fn muted_until(&self, channel: &str, now: i64) -> Option<i64> {
        self.mutes.load().get(channel).map(|m| m.until).filter(|until| *until > now)
    }

    /// Channels muted by hand.
    pub fn mutes(&self) -> Arc<HashMap<String, HandMute>> {
        self.mutes.load_full()
    }

    pub(super) fn set_mutes(&self, mutes: HashMap<String, HandMute>) {
        self.mutes.store(Arc::new(mutes));
    }

    /// How the heartbeats stand, as of the last round.
    pub fn heartbeats(&self) -> Arc<Vec<HeartbeatState>> {
        self.heartbeats.load_full()
    }

    pub(super) fn show_heartbeats(&self, states: Vec<HeartbeatState>) {
        self.heartbeats.store(Arc::new(states));
    }

    /// Uniform in [0, 1); cheap, not secret: it only spreads retries.
    pub(super) fn jitter(&self) -> f64 {
        let mut x = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The store refused something: counted, said once, and `/-/ready` fails until a write works again.
    pub(super) fn store_failed(&self, error: &StoreError) {
        self.metrics.store_error();
        if matches!(error, StoreError::Fenced | StoreError::Invalid(_)) {
            tracing::error!(%error, "the store refused a request");
            return;
        }
        if self.store_ok.send_replace(false) {
            tracing::error!(%error, "the store does not work; nothing is sent until outcomes can be recorded");
        }
    }

    /// What a check of the store said: a failed one stops new attempts, a good one lets them go on.
    pub(super) fn store_checked(&self, result: &Result<(), StoreError>) {
        match result {
            Ok(()) if !*self.store_ok.borrow() => self.store_works(),
            Ok(()) => {}
            Err(error) => self.store_failed(error),
        }
    }

    fn store_works(&self) {
        if !self.store_ok.send_replace(true) {
            tracing::info!("the store works again; sending goes on");
        }
    }

    /// Writes a settlement, for as long as it takes (I11).
    pub(super) async fn settle(&self, settlement: OutcomeBatch) -> Result<Vec<AcceptedDelivery>, StoreError> {
        let mut wait = Duration::from_millis(100);
        loop {
            match self.store.record_outcome(settlement.clone()).await {
                Ok(settled) => {
                    if !*self.store_ok.borrow() {
                        self.store_works();
                    }
                    return Ok(settled.children);
                }
                Err(StoreError::Fenced) => {
                    self.metrics.stale_outcome();
                    tracing::warn!(outlet = %settlement.fence.outlet, "an outcome came after the outlet had another owner; it changes nothing");
                    return Err(StoreError::Fenced);
                }
                Err(error @ StoreError::Invalid(_)) => {
                    self.store_failed(&error);
                    return Err(error);
                }
                Err(error) => {
                    self.store_failed(&error);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// Hands accepted deliveries whose bodies are on disk to their runners.
    pub fn hand_over(&self, accepted: &[AcceptedDelivery]) {
        for delivery in accepted.iter().filter(|d| !d.state.is_final()) {
            let channel = self.name(&delivery.channel);
            if let Some(handle) = lock(&self.handles).get(&delivery.outlet) {
                handle.tell(Command::Poke { lane: delivery.lane, channel, rank: 0, born_at: self.clock.now_ms() });
            }
        }
    }

    /// A direct call got no slot: recorded as expired, and its caller told.
    pub(super) fn expire(
        self: &Arc<Self>,
        outlet: &OutletKey,
        epoch: i64,
        members: Vec<PendingDelivery>,
        answer: Option<oneshot::Sender<DirectOutcome>>,
    ) {
        let Some(member) = members.into_iter().next() else { return };
        let now = self.clock.now_ms();
        let settlement = OutcomeBatch {
            fence: crate::store::Fence { outlet: outlet.clone(), epoch },
            message: None,
            attempt: None,
            cells: Vec::new(),
            deliveries: vec![DeliveryUpdate {
                id: member.id,
                lane: member.lane,
                state: State::Expired,
                tries: 0,
                due_at: now,
                reason: Some("no slot within the call's deadline at the platform's pace; it is not sent later".into()),
                leave_message: false,
            }],
            children: Vec::new(),
            outlet: None,
            sent_in_month: None,
            now,
        };
        let shared = self.clone();
        self.tracker.spawn(async move {
            let _ = shared.settle(settlement).await;
            if let Some(answer) = answer {
                let _ = answer.send(DirectOutcome { delivery: member.id, results: Vec::new(), expired: true });
            }
        });
    }

    /// One metric and one log line per outcome.
    pub(super) fn report(&self, channel: &ChannelPlan, job: &Job, settlement: &OutcomeBatch, outcome: &Outcome) {
        let platform = channel.platform.name;
        if job.members.len() > 1 && outcome.next == Next::Done {
            self.metrics.batched(&channel.name, job.members.len() as u64);
        }
        for change in settlement.deliveries.iter().filter(|c| c.state.is_final()) {
            self.metrics.delivered(platform, &channel.name, change.state.as_str(), 1);
            if change.state == State::Sent
                && let Some(member) = job.members.iter().find(|member| member.id == change.id)
            {
                self.metrics.delivered_after(platform, Duration::from_millis((settlement.now - member.born_at).max(0) as u64));
            }
            let reason = change.reason.as_deref().unwrap_or("");
            let code = outcome.code.as_deref().unwrap_or("");
            if change.state == State::Sent {
                tracing::info!(delivery = %change.id, message_id = %job.id, channel = %channel.name, platform, tries = change.tries, code, "delivered");
            } else {
                tracing::error!(delivery = %change.id, message_id = %job.id, channel = %channel.name, platform, tries = change.tries, code, state = change.state.as_str(), reason, "not delivered");
            }
        }
        let dead = settlement.deliveries.iter().filter(|c| matches!(c.state, State::Dead | State::Unknown)).count();
        if dead > 0 && job.caller.is_none() {
            let reason = settlement.deliveries.iter().find_map(|c| c.reason.clone()).unwrap_or_default();
            self.alarm(Alarm::Dead { channel: channel.name.clone(), count: dead, reason });
        }
        if !matches!(outcome.next, Next::Done) {
            let answer = outcome.answer.as_deref().unwrap_or("");
            let code = outcome.code.as_deref().unwrap_or("");
            tracing::warn!(message_id = %job.id, channel = %channel.name, platform, kind = outcome.kind.as_str(), code, answer, next = outcome.next.words(), "attempt failed");
        }
    }

    pub(super) fn outlet_held(self: &Arc<Self>, outlet: &OutletKey, reason: &str) {
        self.fall_back_at_once(outlet, reason);
        tracing::error!(%outlet, reason, "the outlet is held: its configuration does not work; it is tried again with growing pauses, and at once after a reload");
        for channel in self.plan.load().channels.values().filter(|c| c.outlet == *outlet) {
            self.alarm(Alarm::Held { channel: channel.name.clone(), reason: reason.to_owned() });
        }
    }

    pub(super) fn outlet_released(&self, outlet: &OutletKey) {
        tracing::info!(%outlet, "the outlet works again");
        for channel in self.plan.load().channels.values().filter(|c| c.outlet == *outlet) {
            self.alarm(Alarm::Released { channel: channel.name.clone() });
        }
    }

    /// Raises one of Watchfire's own alarms; when too many wait, it is only logged and counted.
    pub fn alarm(&self, alarm: Alarm) {
        self.metrics.self_alert(alarm.name());
        if let Err(error) = self.alarms.try_send(alarm) {
            let (mpsc::error::TrySendError::Full(alarm) | mpsc::error::TrySendError::Closed(alarm)) = error;
            tracing::error!(alarm = alarm.name(), channel = alarm.channel(), "an alarm of Watchfire's own could not be queued");
        }
    }
}

/// Starts and stops runners, and lets events and calls in.
pub struct Engine {
    /// What its runners share.
    pub shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    /// The same, for those who may be waiting for something else.
    stopped: CancellationToken,
    runners: TaskTracker,
}

impl Engine {
    /// An engine over a store; [`Engine::start`] starts its runners. The receiver takes its alarms.
    pub fn new(
        store: Arc<dyn Store>,
        plan: Arc<Plan>,
        clock: Clock,
        metrics: Arc<Metrics>,
        node: &str,
        options: EngineOptions,
    ) -> (Self, mpsc::Receiver<Alarm>) {
        let (alarms, alarm_rx) = mpsc::channel(256);
        let heavy = Heavy::new(clock.now_ms());
        let seed = clock.now_ms() as u64 ^ u64::from(std::process::id()) << 32;
        let shared = Shared {
            store,
            plan: ArcSwap::new(plan),
            clock,
            node: node.into(),
            metrics,
            traces: options.traces,
            tracker: TaskTracker::new(),
            heavy,
            lease: options.lease,
            leased: options.leased,
            handles: Mutex::default(),
            unstarted: Mutex::default(),
            names: Mutex::default(),
            budget: Budget::new(super::lanes::ALL),
            mutes: ArcSwap::default(),
            heard: Heard::default(),
            heartbeats: ArcSwap::default(),
            store_ok: watch::Sender::new(true),
            alarms,
            full: AtomicBool::new(false),
            stalled: Mutex::default(),
            leads: AtomicBool::new(true),
            seed: seed.into(),
            #[cfg(test)]
            crash_step: AtomicBool::new(false),
        };
        let engine =
            Self { shared: Arc::new(shared), stop: watch::Sender::new(false), stopped: CancellationToken::new(), runners: TaskTracker::new() };
        engine.open(&engine.shared.plan.load());
        (engine, alarm_rx)
    }

    /// Opens a queue for every outlet of a plan that has none. What is accepted before its runner runs waits there: an alert that comes while the
    /// backlog is being read is not refused, nor is a direct call.
    fn open(&self, plan: &Plan) {
        for channel in plan.channels.values() {
            let mut handles = lock(&self.shared.handles);
            if handles.contains_key(&channel.outlet) {
                continue;
            }
            let (commands, queued) = mpsc::channel(QUEUE);
            let handle = Arc::new(Handle {
                commands,
                dirty: AtomicBool::new(false),
                kicked: Notify::new(),
                hinted: AtomicBool::new(false),
                over: AtomicBool::new(false),
                leaving: Mutex::default(),
                falling: Falling::default(),
                orders: Mutex::new(Orders { wanted: !self.shared.leased, lease: None }),
                state: Mutex::default(),
            });
            lock(&self.shared.unstarted).insert(channel.outlet.clone(), queued);
            handles.insert(channel.outlet.clone(), handle);
        }
    }

    /// Closes the queues of runners that never ran.
    fn close_unstarted(&self) {
        let unstarted = std::mem::take(&mut *lock(&self.shared.unstarted));
        lock(&self.shared.handles).retain(|outlet, _| !unstarted.contains_key(outlet));
    }

    /// Starts a runner for every outlet of the plan that has none, after moving lanes of renamed channels and changed credentials.
    pub async fn start(&self) -> Result<(), StoreError> {
        self.take_hold(None).await
    }

    /// The same; with the plan of before, what is under way by it ends first.
    async fn take_hold(&self, before: Option<&Plan>) -> Result<(), StoreError> {
        let plan = self.shared.plan.load_full();
        for channel in plan.channels.values() {
            if before.is_none_or(|before| !self.shared.is_leaving(before, channel)) {
                self.shared.bring_home(channel).await?;
            }
        }
        self.refresh_mutes().await?;
        self.settle_mutes().await?;
        let unstarted = std::mem::take(&mut *lock(&self.shared.unstarted));
        for (outlet, queued) in unstarted {
            let Some(handle) = lock(&self.shared.handles).get(&outlet).cloned() else { continue };
            self.runners.spawn(supervised(self.shared.clone(), outlet, handle, queued, self.stopped.clone(), self.stop.subscribe()));
        }
        Ok(())
    }

    /// Swaps the plan. Runners learn of it at once; held outlets are tried again. When the store fails the plan before stays in force: what was
    /// adopted for the new one till then waits, and the next reload goes on with it.
    pub async fn reload(&self, plan: Arc<Plan>) -> Result<(), StoreError> {
        self.open(&plan);
        let before = self.shared.plan.swap(plan);
        if let Err(error) = self.take_hold(Some(&before)).await {
            self.shared.plan.store(before);
            self.close_unstarted();
            return Err(error);
        }
        self.tell_all(|| Command::Reload);
        self.tell_all(|| Command::Forget);
        Ok(())
    }

    /// Makes the runner of an outlet read what waits anew.
    pub(super) fn tell_to_forget(&self, outlet: &OutletKey) {
        if let Some(handle) = lock(&self.shared.handles).get(outlet) {
            handle.tell(Command::Forget);
        }
    }

    /// Makes every runner read what waits anew (after deliveries were moved or dropped by hand).
    pub fn forget(&self) {
        self.tell_all(|| Command::Forget);
    }

    /// Hands deliveries that were just accepted, with their event, to their runners.
    pub fn offer(&self, waiting: Vec<(OutletKey, PendingDelivery)>) {
        for (outlet, delivery) in waiting {
            let handle = lock(&self.shared.handles).get(&outlet).cloned();
            let Some(handle) = handle else { continue };
            if let Some(share) = self.shared.budget.take(weight_of(&delivery)) {
                handle.tell(Command::Offer(Box::new(delivery), share));
            } else if delivery.state == State::Waiting {
                let (lane, rank, born_at) = (delivery.lane, delivery.rank, delivery.born_at);
                handle.tell(Command::Poke { lane, channel: self.shared.name(&delivery.channel), rank, born_at });
            }
        }
    }

    /// Queues a direct call; `Err` when its runner has ended.
    pub(super) async fn call_runner(
        &self,
        outlet: &OutletKey,
        channel: Arc<str>,
        member: PendingDelivery,
        caller: super::job::Caller,
    ) -> Result<(), PendingDelivery> {
        let Some(handle) = lock(&self.shared.handles).get(outlet).cloned() else { return Err(member) };
        let deadline = caller.deadline;
        let command = Command::Call { channel, member: Box::new(member), caller };
        match tokio::time::timeout_at(deadline, handle.commands.send(command)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(mpsc::error::SendError(Command::Call { member, .. }))) => Err(*member),
            // Timed out: the runner finds its record when it looks at the store, and ends it.
            _ => Ok(()),
        }
    }

    /// What the runner of an outlet shows.
    pub fn outlet_state(&self, outlet: &OutletKey) -> OutletState {
        lock(&self.shared.handles).get(outlet).map(|h| lock(&h.state).clone()).unwrap_or_default()
    }

    /// Tells every runner how long its lease lasts, by a renewal asked for at `asked`; outlets not in `owned` belong to others.
    pub(super) fn leases(&self, owned: &[OutletKey], until: Instant, asked: Instant) {
        for (outlet, handle) in lock(&self.shared.handles).iter() {
            let until = owned.contains(outlet).then_some(until);
            handle.order(|orders| orders.lease = Some((until, asked)));
        }
    }

    /// Tells every runner whether its outlet is this node's to own.
    pub(super) fn assign(&self, mine: &HashSet<OutletKey>) {
        for (outlet, handle) in lock(&self.shared.handles).iter() {
            let wanted = mine.contains(outlet);
            if handle.orders().wanted != wanted {
                handle.order(|orders| orders.wanted = wanted);
            }
        }
    }

    /// Another process accepted something for this outlet.
    pub(super) fn hint(&self, outlet: &OutletKey) {
        if let Some(handle) = lock(&self.shared.handles).get(outlet) {
            handle.hinted.store(true, Ordering::Release);
            handle.kicked.notify_one();
        }
    }

    /// The outlets of all runners, sorted.
    pub(super) fn outlets(&self) -> BTreeSet<OutletKey> {
        lock(&self.shared.handles).keys().cloned().collect()
    }

    /// Changes when a stop begins.
    pub(super) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Whether a stop has begun.
    pub(super) fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Stops: nothing new starts, what is under way is finished until `deadline`; the rest stays on disk. `false` when the deadline cut something off.
    pub async fn stop(&self, deadline: Instant) -> bool {
        self.stop.send_replace(true);
        self.stopped.cancel();
        self.runners.close();
        let done = tokio::time::timeout_at(deadline, self.runners.wait()).await.is_ok();
        self.shared.tracker.close();
        done && tokio::time::timeout_at(deadline, self.shared.tracker.wait()).await.is_ok()
    }

    /// Makes the next step that begins panic.
    #[cfg(test)]
    pub fn crash_a_step(&self) {
        self.shared.crash_step.store(true, Ordering::Release);
    }

    /// Makes one of the runners panic.
    #[cfg(test)]
    pub fn crash_a_runner(&self, which: usize) {
        let handles: Vec<_> = lock(&self.shared.handles).values().cloned().collect();
        if let Some(handle) = handles.get(which % handles.len().max(1)) {
            handle.tell(Command::Crash);
        }
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for handle in lock(&self.shared.handles).values() {
            handle.tell(command());
        }
    }
}
