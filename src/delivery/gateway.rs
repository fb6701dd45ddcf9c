//! What http, cli and app see of the delivery core, besides [`Engine::accept`], [`Engine::send_direct`] and the life cycle.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::metrics::Metrics;
use crate::model::{DeliveryId, EventId, IncidentId};
use crate::store::{
    AcceptedDelivery, Arriving, EventBodies, MoveTo, Mute, NodeRow, OpenIncidents, Override, QueryStore, SessionStore, Stats, StepRow, StoreError,
};

use super::clock::Clock;
use super::engine::Engine;
use super::heartbeat::HeartbeatState;
use super::heavy::Heavy;
use super::mutes::Mutes;
use super::outlet::supervise::Supervision;
use super::plan::Plan;
use super::self_alert::SelfAlert;

impl Engine {
    /// The plan that is active now.
    pub fn plan(&self) -> Arc<Plan> {
        self.shared.plan.load_full()
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.telemetry.metrics
    }

    /// Limits of work on large bodies.
    pub fn heavy(&self) -> &Heavy {
        &self.shared.heavy
    }

    /// This node's name.
    pub fn node(&self) -> &str {
        &self.shared.node.name
    }

    /// An event is being parsed and is accepted next: a commit of others may wait for it.
    pub fn arriving(&self) -> Arriving {
        self.shared.store.arriving()
    }

    /// Reads events, deliveries and messages. Changes go through the engine, which notifies its workers.
    pub fn query(&self) -> &dyn QueryStore {
        &*self.shared.store
    }

    /// Logins to the console.
    pub fn sessions(&self) -> &dyn SessionStore {
        &*self.shared.store
    }

    /// The steps of the escalations of these incidents, oldest first.
    pub async fn steps(&self, incidents: &[IncidentId]) -> Result<Vec<StepRow>, StoreError> {
        self.shared.store.steps(incidents).await
    }

    /// Bodies of events, as [`crate::store::OutletStore::load_events`] returns them.
    pub async fn load_events(&self, ids: &[EventId], bytes: usize) -> Result<EventBodies, StoreError> {
        self.shared.store.load_events(ids, bytes).await
    }

    /// Numbers of the store: what waits, since when, and its size. Where counting takes over 50 ms they are at most ten seconds old.
    pub async fn stats(&self) -> Result<Arc<Stats>, StoreError> {
        self.shared.recent_count().await
    }

    /// The same as of when it was counted last, without asking the store: seconds ago, for it is counted at every tick. `None` just after a start.
    pub fn last_stats(&self) -> Option<Arc<Stats>> {
        self.shared.last_count()
    }

    /// The same as of now, however long it takes.
    pub async fn stats_now(&self) -> Result<Arc<Stats>, StoreError> {
        self.shared.count().await
    }

    /// How many incidents are open. Where counting takes over 50 ms, as of at most ten seconds ago.
    pub async fn open_incidents(&self) -> Result<Arc<OpenIncidents>, StoreError> {
        self.shared.recent_open().await
    }

    /// The nodes that share the store and are alive.
    pub async fn live_nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        self.shared.store.live_nodes(self.shared.clock.wall()).await
    }

    /// The mutes of the file and by hand.
    pub fn mutes(&self) -> Mutes {
        self.shared.mutes()
    }

    /// The state of each heartbeat, as of the last tick.
    pub fn heartbeats(&self) -> Arc<Vec<HeartbeatState>> {
        self.shared.heartbeats.states()
    }

    /// Whether outcomes can be stored; nothing is sent while they cannot.
    pub fn store_works(&self) -> bool {
        *self.shared.health.store_ok().borrow()
    }

    /// Why something that is due is not sent though nothing keeps it from being sent; empty when all is well.
    pub fn stalled(&self) -> Vec<String> {
        self.shared.health.stalled(self.shared.clock.instant())
    }

    /// How many deliveries wait for each channel that the configuration no longer has, as of a few seconds ago.
    pub fn orphaned(&self) -> BTreeMap<String, u64> {
        self.shared.health.orphaned()
    }

    /// Makes new deliveries of final ones, to the same channel or to another; each is new in every way.
    pub async fn requeue(&self, ids: &[DeliveryId], to: Option<MoveTo>) -> Result<Vec<AcceptedDelivery>, StoreError> {
        let made = self.shared.store.requeue(ids, to, self.shared.clock.wall()).await?;
        self.evict_all();
        self.shared.notify_new(&made);
        Ok(made)
    }

    /// Ends waiting deliveries by hand. Returns how many.
    pub async fn drop_deliveries(&self, ids: &[DeliveryId], reason: &str) -> Result<u64, StoreError> {
        let dropped = self.shared.store.drop_deliveries(ids, reason, self.shared.clock.wall()).await?;
        self.evict_all();
        Ok(dropped)
    }

    /// Makes, changes or ends (`until` 0) a mute by hand.
    pub async fn set_mute(&self, mute: Mute) -> Result<(), StoreError> {
        self.shared.note_held().await;
        self.shared.store.set_mute(mute, self.shared.clock.wall()).await?;
        self.refresh_mutes().await
    }

    /// The overrides of rotas, as of the last look at the store.
    pub fn overrides(&self) -> Arc<Vec<Override>> {
        self.shared.overrides()
    }

    /// Reads the overrides of rotas again.
    pub async fn refresh_overrides(&self) -> Result<(), StoreError> {
        self.shared.refresh_overrides().await
    }

    /// Puts somebody on call in place of those whose turn it is; its number is the next one.
    pub async fn add_override(&self, new: Override) -> Result<Override, StoreError> {
        let added = self.shared.store.add_override(new, self.shared.clock.wall()).await?;
        self.refresh_overrides().await?;
        Ok(added)
    }

    /// Ends an override. Returns whether there was one that had not ended.
    pub async fn end_override(&self, id: i64) -> Result<bool, StoreError> {
        let ended = self.shared.store.end_override(id, self.shared.clock.wall()).await?;
        self.refresh_overrides().await?;
        Ok(ended)
    }

    /// Copies the store to a new file.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        self.shared.store.backup(to).await
    }

    /// Raises a self-alert.
    pub fn raise(&self, alert: SelfAlert) {
        self.shared.telemetry.raise(alert);
    }

    /// Supervision of a task that must not end.
    pub fn supervise(&self, what: &'static str) -> Supervision {
        Supervision::of(what, &self.shared)
    }
}
