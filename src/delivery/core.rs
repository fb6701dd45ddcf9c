//! What all workers share.

use std::collections::HashMap;
#[cfg(test)]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::model::{OutletKey, UnixMs};
use crate::store::{AcceptedDelivery, HeldRow, OpenIncidents, OutcomeBatch, Override, State, Stats, Store, StoreError};
use crate::traces::Traces;

use super::clock::Clock;
use super::health::Health;
use super::heartbeat::Heartbeats;
use super::heavy::Heavy;
use super::lanes::MemoryBudget;
use super::lock::lock;
use super::mutes::Mutes;
use super::node::Node;
use super::outlet::Command;
use super::outlet::registry::Registry;
use super::plan::Plan;
use super::press::limit::Pressers;
use super::self_alert::{SelfAlert, SelfAlertKind};
use super::silence::bell::Bell;
use super::telemetry::Telemetry;

/// How a lease is kept on a store that several nodes share; on SQLite the lock on its file is the lease.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How long an outlet's lease lives.
    pub lease: Duration,
    /// Whether leases must be renewed.
    pub leased: bool,
    /// Where spans go.
    pub traces: Traces,
    /// How many attempts may be at their request at a time: each has a file open.
    pub max_attempts: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { lease: Duration::from_secs(8), leased: false, traces: Traces::default(), max_attempts: usize::MAX }
    }
}

/// What an engine is made of.
pub struct EngineParts<'a> {
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// The configuration.
    pub plan: Arc<Plan>,
    /// Wall-clock and monotonic time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// This process's name among those that share the store.
    pub node: &'a str,
    /// How leases are kept, and where spans go.
    pub options: EngineOptions,
}

/// What people changed by hand, as of the last look at the store, and who is notified of it.
#[derive(Default)]
pub(super) struct ByHand {
    mutes: ArcSwap<Mutes>,
    /// Who is on call in place of whom.
    pub(super) overrides: ArcSwap<Vec<Override>>,
    /// The worker that asks for silences.
    pub(super) silences: Bell,
    /// Who pressed buttons lately.
    pub(super) pressers: Pressers,
}

/// What all workers share.
pub struct Shared {
    /// What survives a restart.
    pub store: Arc<dyn Store>,
    /// The configuration snapshot that decides.
    pub plan: ArcSwap<Plan>,
    /// Wall-clock and monotonic time.
    pub clock: Clock,
    /// This process among those that share the store.
    pub(super) node: Node,
    /// What happens, as metrics, logs, spans and self-alerts.
    pub(super) telemetry: Telemetry,
    /// Background work that a stop waits for.
    pub tracker: TaskTracker,
    /// Limits of heavy work.
    pub heavy: Heavy,
    /// How the workers of all outlets are reached.
    pub(super) outlets: Registry,
    names: Mutex<HashMap<String, Arc<str>>>,
    /// The memory that waiting deliveries may take, over all outlets.
    pub(super) budget: Arc<MemoryBudget>,
    pub(super) by_hand: ByHand,
    pub(super) heartbeats: Heartbeats,
    /// What `/-/ready` depends on.
    pub(super) health: Health,
    seed: AtomicU64,
    /// The next attempt that begins is to fail.
    #[cfg(test)]
    pub(super) crash_attempt: AtomicBool,
}

impl Shared {
    /// Of these parts; self-alerts are sent to `self_alerts`.
    pub(super) fn new(parts: EngineParts<'_>, self_alerts: mpsc::Sender<SelfAlert>) -> Self {
        let EngineParts { store, plan, clock, metrics, node, options } = parts;
        let heavy = Heavy::new(clock.wall(), options.max_attempts);
        let seed = clock.wall().0 as u64 ^ u64::from(std::process::id()) << 32;
        Self {
            store,
            plan: ArcSwap::new(plan),
            clock,
            node: Node::new(node, options.lease, options.leased),
            health: Health::new(metrics.clone()),
            telemetry: Telemetry::new(metrics, options.traces, self_alerts),
            tracker: TaskTracker::new(),
            heavy,
            outlets: Registry::default(),
            names: Mutex::default(),
            budget: MemoryBudget::new(super::lanes::MEMORY_LIMIT),
            by_hand: ByHand::default(),
            heartbeats: Heartbeats::default(),
            seed: seed.into(),
            #[cfg(test)]
            crash_attempt: AtomicBool::new(false),
        }
    }

    /// What the store counts now.
    pub(super) async fn count(&self) -> Result<Arc<Stats>, StoreError> {
        self.telemetry.counts.stats.count(&self.clock, self.store.stats()).await
    }

    /// The same, where counting takes long as of a few seconds ago.
    pub(super) async fn recent_count(&self) -> Result<Arc<Stats>, StoreError> {
        self.telemetry.counts.stats.recent_or_count(&self.clock, self.store.stats()).await
    }

    /// The same, as it was counted last.
    pub(super) fn last_count(&self) -> Option<Arc<Stats>> {
        self.telemetry.counts.stats.last()
    }

    /// What is deferred, where counting takes long as of a few seconds ago.
    pub(super) async fn recent_held(&self) -> Result<Arc<Vec<HeldRow>>, StoreError> {
        self.telemetry.counts.held.recent_or_count(&self.clock, self.store.count_held()).await
    }

    /// How many incidents are open, where counting takes long as of a few seconds ago.
    pub(super) async fn recent_open(&self) -> Result<Arc<OpenIncidents>, StoreError> {
        self.telemetry.counts.open.recent_or_count(&self.clock, self.store.count_incidents()).await
    }

    /// Whether several nodes share the store.
    pub fn leased(&self) -> bool {
        self.node.leased
    }

    /// Whether this node does what must be done once: purging, self-alerts about what waits, fallbacks of what waits too long.
    pub fn is_leader(&self) -> bool {
        self.node.is_leader(self.clock.instant())
    }

    /// One shared copy of a channel's name.
    pub(super) fn name(&self, name: &str) -> Arc<str> {
        if let Some(channel) = self.plan.load().channel(name) {
            return channel.name.clone();
        }
        lock(&self.names).entry(name.to_owned()).or_insert_with(|| name.into()).clone()
    }

    pub(super) fn muted_until(&self, channel: &str, now: UnixMs) -> Option<UnixMs> {
        self.mutes().of_channel(channel, now).map(|mute| mute.due(now))
    }

    /// The mutes by hand, as of the last look at the store, and those of the plan that is active now.
    pub fn mutes(&self) -> Mutes {
        self.by_hand.mutes.load().with(&self.plan.load().tree)
    }

    pub(super) fn set_mutes(&self, by_hand: Mutes) {
        self.by_hand.mutes.store(Arc::new(by_hand));
    }

    /// Uniform in [0, 1); cheap, not secret: it only spreads retries.
    pub(super) fn jitter(&self) -> f64 {
        let mut x = self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Writes an outcome, for as long as it takes (I11).
    pub(super) async fn record_outcome(&self, mut batch: OutcomeBatch) -> Result<Vec<AcceptedDelivery>, StoreError> {
        let mut wait = Duration::from_millis(100);
        loop {
            match self.store.record_outcome(batch.clone()).await {
                Ok(recorded) => {
                    self.health.store_checked(&Ok(()));
                    return Ok(recorded.children);
                }
                Err(StoreError::Fenced) => {
                    self.telemetry.metrics.stale_outcome();
                    tracing::warn!(outlet = %batch.fence.outlet, "discarded the outcome of an attempt: another node owns the outlet");
                    return Err(StoreError::Fenced);
                }
                // What was to end goes on: the outlet is read again.
                Err(error @ StoreError::Overtaken(_)) => return Err(error),
                Err(error @ StoreError::Invalid(_)) => {
                    self.health.store_failed(&error);
                    return Err(error);
                }
                Err(error) => {
                    self.health.store_failed(&error);
                    // It seeks no company any more: what fails again would fail others.
                    batch.may_wait = false;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(5));
                }
            }
        }
    }

    /// Notifies workers of accepted deliveries that are on disk.
    pub fn notify_new(&self, accepted: &[AcceptedDelivery]) {
        for delivery in accepted.iter().filter(|d| !d.state.is_final()) {
            let channel = self.name(&delivery.channel);
            self.outlets.send(&delivery.outlet, Command::MarkDirty { lane: delivery.lane, channel, rank: 0, born_at: self.clock.wall() });
        }
    }

    /// The same for rings, and for steps of escalations that begin again: each is in a lane of its own, which is due later. A poll finds when.
    pub fn notify_rings(&self, rings: &[AcceptedDelivery]) {
        for ring in rings {
            if ring.state == State::Deferred && ring.lane_seq == 1 {
                self.outlets.poll(&ring.outlet);
            } else {
                self.notify_new(std::slice::from_ref(ring));
            }
        }
    }

    pub(super) fn outlet_suspended(self: &Arc<Self>, outlet: &OutletKey, reason: &str) {
        self.fall_back_at_once(outlet, reason);
        tracing::error!(%outlet, reason, "the outlet is suspended: its configuration does not work; it is retried with growing pauses, and at once after a reload");
        for channel in self.plan.load().channels.values().filter(|c| c.outlet == *outlet) {
            self.telemetry.raise(SelfAlert::channel_suspended(&channel.name, reason));
        }
    }

    pub(super) fn outlet_resumed(&self, outlet: &OutletKey) {
        tracing::info!(%outlet, "the outlet works again");
        for channel in self.plan.load().channels.values().filter(|c| c.outlet == *outlet) {
            self.telemetry.raise(SelfAlert::resolved(SelfAlertKind::ChannelSuspended, &channel.name));
        }
    }
}
