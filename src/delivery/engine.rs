//! The engine: it starts, reloads and stops the workers, and dispatches to them. What other modules ask of it is in `gateway.rs` and `accept.rs`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::model::{OutletKey, UnixMs};
use crate::store::{PendingDelivery, State, StoreError};

use super::core::{EngineParts, Shared};
use super::lanes::delivery_bytes;
use super::listen::Listeners;
use super::outlet::mailbox::{Flag, Renewal};
use super::outlet::{Command, OutletState, supervised};
use super::plan::Plan;
use super::self_alert::SelfAlert;

/// How long a stop waits for the store after its deadline.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// The delivery core, as http, cli and app see it.
pub struct Engine {
    /// What its workers share.
    pub(super) shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    /// The same as a token, for tasks that wait for something else, too.
    stopped: CancellationToken,
    /// Cancelled when a stop has ended.
    drained: CancellationToken,
    workers: TaskTracker,
    /// What keeps connections for presses open.
    pub(super) listeners: Listeners,
}

impl Engine {
    /// An engine of these parts; [`Engine::start`] starts its workers. The receiver gets its self-alerts.
    pub fn new(parts: EngineParts<'_>) -> (Self, mpsc::Receiver<SelfAlert>) {
        let (alarms, alarm_rx) = mpsc::channel(256);
        let shared = Shared::new(parts, alarms);
        let engine = Self {
            shared: Arc::new(shared),
            stop: watch::Sender::new(false),
            stopped: CancellationToken::new(),
            drained: CancellationToken::new(),
            workers: TaskTracker::new(),
            listeners: Listeners::default(),
        };
        engine.register(&engine.shared.plan.load());
        (engine, alarm_rx)
    }

    /// Makes a mailbox for every outlet of a plan that has none. What is accepted before its worker runs waits there: an alert that comes while the
    /// backlog is being read is not refused, nor is a direct send.
    fn register(&self, plan: &Plan) {
        for channel in plan.channels.values() {
            self.shared.outlets.register(&channel.outlet, !self.shared.leased());
        }
    }

    /// Starts a worker for every outlet of the plan that has none, after moving lanes of renamed channels and changed credentials.
    pub async fn start(&self) -> Result<(), StoreError> {
        self.adopt_plan(None).await
    }

    /// Like `start`, but lets what is in flight by the previous plan finish before its channels move.
    async fn adopt_plan(&self, previous: Option<&Plan>) -> Result<(), StoreError> {
        let plan = self.shared.plan.load_full();
        for channel in plan.channels.values() {
            if previous.is_none_or(|previous| !self.shared.relocates_later(previous, channel)) {
                self.shared.relocate(channel).await?;
            }
        }
        self.refresh_mutes().await?;
        self.shared.refresh_overrides().await?;
        self.reevaluate_mutes().await?;
        for (outlet, mailbox, queued) in self.shared.outlets.take_pending() {
            self.workers.spawn(supervised(self.shared.clone(), outlet, mailbox, queued, self.stopped.clone(), self.stop.subscribe()));
        }
        Ok(())
    }

    /// Swaps the plan. Workers learn of it at once; suspended outlets are tried again. If the store fails, the previous plan stays active; deliveries
    /// moved so far wait, and the next reload completes the move.
    pub async fn reload(&self, plan: Arc<Plan>) -> Result<(), StoreError> {
        self.shared.note_held().await;
        self.register(&plan);
        self.shared.hold_renamed(&plan);
        let previous = self.shared.plan.swap(plan);
        let adopted = self.adopt_plan(Some(&previous)).await;
        if adopted.is_err() {
            self.shared.plan.store(previous);
            self.shared.outlets.close_pending();
            // What was moved for the plan that failed is stale in memory.
            self.shared.outlets.all().into_iter().for_each(|(_, mailbox)| mailbox.raise(Flag::Resync));
        }
        self.shared.release_renamed();
        adopted?;
        self.shared.outlets.broadcast(|| Command::Reload);
        self.shared.outlets.broadcast(|| Command::EvictAll);
        Ok(())
    }

    /// Has every worker read its lanes again (after deliveries were moved or dropped by hand).
    pub fn evict_all(&self) {
        self.shared.outlets.broadcast(|| Command::EvictAll);
    }

    /// Dispatches deliveries that were just accepted, with their event, to their workers.
    pub fn dispatch(&self, waiting: Vec<(OutletKey, PendingDelivery)>) {
        for (outlet, delivery) in waiting {
            let Some(mailbox) = self.shared.outlets.get(&outlet) else { continue };
            if let Some(share) = self.shared.budget.try_reserve(delivery_bytes(&delivery)) {
                mailbox.send(Command::Push(Box::new(delivery), share));
            } else if delivery.state == State::Waiting {
                let (lane, rank, born_at) = (delivery.lane, delivery.rank, delivery.born_at);
                mailbox.send(Command::MarkDirty { lane, channel: self.shared.name(&delivery.channel), rank, born_at });
            }
        }
    }

    /// What the worker of an outlet shows.
    pub fn outlet_state(&self, outlet: &OutletKey) -> OutletState {
        self.shared.outlets.get(outlet).map(|mailbox| mailbox.state()).unwrap_or_default()
    }

    /// Has a suspended outlet tried at once, with whatever waits; nothing where it works, or another node owns it.
    pub fn try_now(&self, outlet: &OutletKey) {
        if let Some(mailbox) = self.shared.outlets.get(outlet).filter(|mailbox| mailbox.state().suspended.is_some()) {
            mailbox.send(Command::Reload);
        }
    }

    /// How many requests an outlet began in the last minute, and when the last message of one of its channels was confirmed by its platform, as far as
    /// this process knows.
    pub fn recent_sends(&self, outlet: &OutletKey, channel: &str) -> (u32, Option<UnixMs>) {
        self.shared.outlets.get(outlet).map(|mailbox| mailbox.recent(channel, self.shared.clock.instant())).unwrap_or_default()
    }

    /// Informs every worker how long its lease lasts, by a renewal asked for at `asked`; outlets not in `owned` belong to others.
    pub(super) fn apply_renewal(&self, owned: &[OutletKey], until: Instant, asked: Instant) {
        for (outlet, mailbox) in self.shared.outlets.all() {
            mailbox.renew(Renewal { asked, until: owned.contains(&outlet).then_some(until) });
        }
    }

    /// Informs every worker whether its outlet is assigned to this node.
    pub(super) fn assign(&self, mine: &HashSet<OutletKey>) {
        self.shared.outlets.all().into_iter().for_each(|(outlet, mailbox)| mailbox.assign(mine.contains(&outlet)));
    }

    /// Another process accepted something for this outlet.
    pub(super) fn request_poll(&self, outlet: &OutletKey) {
        self.shared.outlets.poll(outlet);
    }

    /// Changes when a stop begins.
    pub(super) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Whether a stop has begun.
    pub(super) fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Stops: nothing new starts, in-flight messages may finish until `deadline`; the rest stays on disk. `false` when the deadline cut something off.
    pub async fn stop(&self, deadline: Instant) -> bool {
        self.stop.send_replace(true);
        self.stopped.cancel();
        self.workers.close();
        let done = tokio::time::timeout_at(deadline, self.workers.wait()).await.is_ok();
        self.shared.tracker.close();
        let done = done && tokio::time::timeout_at(deadline, self.shared.tracker.wait()).await.is_ok();
        let cut = self.shared.heavy.still_started();
        if !cut.is_empty() {
            // What the deadline cuts off did not crash the process.
            let cleared = tokio::time::timeout(LAST_WRITE, self.shared.store.clear_lanes_started(&cut)).await;
            if !matches!(cleared, Ok(Ok(()))) {
                tracing::warn!("what was begun and cut off counts as a crash: the store did not take it in time");
            }
        }
        self.drained.cancel();
        done
    }

    /// Waits until a stop has ended: nothing is in flight any more.
    pub(super) async fn drained(&self) {
        self.drained.cancelled().await;
    }

    /// Makes the next attempt that begins panic.
    #[cfg(test)]
    pub fn crash_an_attempt(&self) {
        self.shared.crash_attempt.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Makes one of the workers panic.
    #[cfg(test)]
    pub fn crash_a_worker(&self, which: usize) {
        let all = self.shared.outlets.all();
        if let Some((_, mailbox)) = all.get(which % all.len().max(1)) {
            mailbox.send(Command::Crash);
        }
    }
}
