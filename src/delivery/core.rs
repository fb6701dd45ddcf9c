//! What all workers share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::model::OutletKey;
use crate::store::{AcceptedDelivery, OutcomeBatch, State, Store, StoreError};
use crate::traces::Traces;

use super::clock::Clock;
use super::evaluate::{Next, Outcome};
use super::heartbeat::{HeartbeatState, LastSeen};
use super::heavy::Heavy;
use super::intake::ManualMute;
use super::lanes::MemoryBudget;
use super::lock::lock;
use super::outlet::Command;
use super::outlet::registry::Registry;
use super::pending::PendingMessage;
use super::plan::{ChannelPlan, Plan};
use super::self_alert::SelfAlert;

/// How long something may be due while its outlet's worker is free to send, and how long a worker may show no sign of life.
pub(crate) const STALL_BOUND: Duration = Duration::from_secs(60);

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
    /// How the workers of all outlets are reached.
    pub(super) outlets: Registry,
    names: Mutex<HashMap<String, Arc<str>>>,
    /// The memory that waiting deliveries may take, over all outlets.
    pub(super) budget: Arc<MemoryBudget>,
    mutes: ArcSwap<HashMap<String, ManualMute>>,
    pub(super) last_seen: LastSeen,
    heartbeats: ArcSwap<Vec<HeartbeatState>>,
    store_ok: watch::Sender<bool>,
    self_alerts: mpsc::Sender<SelfAlert>,
    full: AtomicBool,
    /// What stalls, and when that was looked at.
    stalled: Mutex<(Vec<String>, Option<Instant>)>,
    /// Until when this node is the leader of those that share the store, if it is.
    leader_until: Mutex<Option<Instant>>,
    seed: std::sync::atomic::AtomicU64,
    /// The next step to begin is to fail.
    #[cfg(test)]
    pub(super) crash_attempt: AtomicBool,
}

impl Shared {
    /// Over a store; self_alerts are sent to `self_alerts`.
    pub(super) fn new(
        store: Arc<dyn Store>,
        plan: Arc<Plan>,
        clock: Clock,
        metrics: Arc<Metrics>,
        node: &str,
        options: EngineOptions,
        self_alerts: mpsc::Sender<SelfAlert>,
    ) -> Self {
        let heavy = Heavy::new(clock.now_ms());
        let seed = clock.now_ms() as u64 ^ u64::from(std::process::id()) << 32;
        Self {
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
            outlets: Registry::default(),
            names: Mutex::default(),
            budget: MemoryBudget::new(super::lanes::MEMORY_LIMIT),
            mutes: ArcSwap::default(),
            last_seen: LastSeen::default(),
            heartbeats: ArcSwap::default(),
            store_ok: watch::Sender::new(true),
            self_alerts,
            full: AtomicBool::new(false),
            stalled: Mutex::default(),
            leader_until: Mutex::default(),
            seed: seed.into(),
            #[cfg(test)]
            crash_attempt: AtomicBool::new(false),
        }
    }

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
        if looked_at.is_some_and(|at| self.clock.instant().saturating_duration_since(at) > STALL_BOUND) && *self.store_ok.borrow() {
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

    /// Whether this node does what must be done once: purging, self_alerts about what waits, fallbacks of what waits too long.
    pub fn is_leader(&self) -> bool {
        !self.leased || lock(&self.leader_until).is_some_and(|until| self.clock.instant() < until)
    }

    /// Until when this node is the leader. One that cannot say that it is alive is not: another one is by then, and what this one knows may be stale.
    pub(super) fn set_leader(&self, until: Option<Instant>) {
        *lock(&self.leader_until) = until;
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
    pub fn mutes(&self) -> Arc<HashMap<String, ManualMute>> {
        self.mutes.load_full()
    }

    pub(super) fn set_mutes(&self, mutes: HashMap<String, ManualMute>) {
        self.mutes.store(Arc::new(mutes));
    }

    /// How the heartbeats stand, as of the last round.
    pub fn heartbeats(&self) -> Arc<Vec<HeartbeatState>> {
        self.heartbeats.load_full()
    }

    pub(super) fn set_heartbeats(&self, states: Vec<HeartbeatState>) {
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

    /// Writes a batch, for as long as it takes (I11).
    pub(super) async fn record_outcome(&self, batch: OutcomeBatch) -> Result<Vec<AcceptedDelivery>, StoreError> {
        let mut wait = Duration::from_millis(100);
        loop {
            match self.store.record_outcome(batch.clone()).await {
                Ok(recorded) => {
                    if !*self.store_ok.borrow() {
                        self.store_works();
                    }
                    return Ok(recorded.children);
                }
                Err(StoreError::Fenced) => {
                    self.metrics.stale_outcome();
                    tracing::warn!(outlet = %batch.fence.outlet, "an outcome came after the outlet had another owner; it changes nothing");
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
    pub fn notify_new(&self, accepted: &[AcceptedDelivery]) {
        for delivery in accepted.iter().filter(|d| !d.state.is_final()) {
            let channel = self.name(&delivery.channel);
            self.outlets.send(&delivery.outlet, Command::MarkDirty { lane: delivery.lane, channel, rank: 0, born_at: self.clock.now_ms() });
        }
    }

    /// One metric and one log line per outcome.
    pub(super) fn report(&self, channel: &ChannelPlan, message: &PendingMessage, batch: &OutcomeBatch, outcome: &Outcome) {
        let platform = channel.platform.name;
        if message.members.len() > 1 && outcome.next == Next::Done {
            self.metrics.batched(&channel.name, message.members.len() as u64);
        }
        for change in batch.deliveries.iter().filter(|c| c.state.is_final()) {
            self.metrics.delivered(platform, &channel.name, change.state.as_str(), 1);
            if change.state == State::Sent
                && let Some(member) = message.members.iter().find(|member| member.id == change.id)
            {
                self.metrics.delivered_after(platform, Duration::from_millis((batch.now - member.born_at).max(0) as u64));
            }
            let reason = change.reason.as_deref().unwrap_or("");
            let code = outcome.code.as_deref().unwrap_or("");
            if change.state == State::Sent {
                tracing::info!(delivery = %change.id, message_id = %message.id, channel = %channel.name, platform, tries = change.tries, code, "delivered");
            } else {
                tracing::error!(delivery = %change.id, message_id = %message.id, channel = %channel.name, platform, tries = change.tries, code, state = change.state.as_str(), reason, "not delivered");
            }
        }
        let dead = batch.deliveries.iter().filter(|c| matches!(c.state, State::Dead | State::Unknown)).count();
        if dead > 0 && message.caller.is_none() {
            let reason = batch.deliveries.iter().find_map(|c| c.reason.clone()).unwrap_or_default();
            self.raise(SelfAlert::Dead { channel: channel.name.clone(), count: dead, reason });
        }
        if !matches!(outcome.next, Next::Done) {
            let answer = outcome.answer.as_deref().unwrap_or("");
            let code = outcome.code.as_deref().unwrap_or("");
            tracing::warn!(message_id = %message.id, channel = %channel.name, platform, kind = outcome.kind.as_str(), code, answer, next = outcome.next.describe(), "attempt failed");
        }
    }

    pub(super) fn outlet_suspended(self: &Arc<Self>, outlet: &OutletKey, reason: &str) {
        self.fall_back_at_once(outlet, reason);
        tracing::error!(%outlet, reason, "the outlet is held: its configuration does not work; it is tried again with growing pauses, and at once after a reload");
        for channel in self.plan.load().channels.values().filter(|c| c.outlet == *outlet) {
            self.raise(SelfAlert::Held { channel: channel.name.clone(), reason: reason.to_owned() });
        }
    }

    pub(super) fn outlet_resumed(&self, outlet: &OutletKey) {
        tracing::info!(%outlet, "the outlet works again");
        for channel in self.plan.load().channels.values().filter(|c| c.outlet == *outlet) {
            self.raise(SelfAlert::Released { channel: channel.name.clone() });
        }
    }

    /// Raises one of Watchfire's own self_alerts; when too many wait, it is only logged and counted.
    pub fn raise(&self, alert: SelfAlert) {
        self.metrics.self_alert(alert.name());
        if let Err(error) = self.self_alerts.try_send(alert) {
            let (mpsc::error::TrySendError::Full(alert) | mpsc::error::TrySendError::Closed(alert)) = error;
            tracing::error!(alert = alert.name(), channel = alert.channel(), "an alarm of Watchfire's own could not be queued");
        }
    }
}
