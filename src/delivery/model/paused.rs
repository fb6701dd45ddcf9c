//! A store whose calls hold the paused clock: the runtime would else take a wait for the store's threads for idleness and move the time on.
//!
//! Its leases are measured by a clock of its own, as a shared database measures them, whatever the nodes' wall clocks do. Nodes that measured them by
//! their own clocks would wait for an hour for the lease of one that hung just when the clock was set back; no configuration does that. It knows
//! the nodes that are alive, too, so that they share the outlets out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::{DeliveryId, EventId, LaneId, MessageId, OutletKey};
use crate::store::*;

pub struct Paused {
    store: Arc<dyn Store>,
    /// What its clock shows at `start` (milliseconds); no wall-clock jump moves it.
    base: i64,
    start: Instant,
    /// The nodes by their last signs of life: a file knows of none, since only one process may have it.
    nodes: Mutex<BTreeMap<String, (i64, NodeRow)>>,
}

impl Paused {
    pub fn new(store: Arc<dyn Store>, base: i64) -> Self {
        Self { store, base, start: crate::delivery::Clock::runtime(base).instant(), nodes: Mutex::default() }
    }

    fn now(&self) -> i64 {
        self.base + self.start.elapsed().as_millis() as i64
    }
}

/// While it lives, a blocking task is under way, and a paused clock does not move by itself.
pub struct Still {
    _end: std::sync::mpsc::Sender<()>,
}

pub fn still() -> Still {
    let (_end, wait) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || wait.recv().is_err());
    Still { _end }
}

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)+) => {
        #[async_trait]
        impl Store for Paused {
            $(async fn $name(&self, $($arg: $kind),*) -> $out {
                let _still = still();
                self.store.$name($($arg),*).await
            })+

            async fn own(&self, claim: Claim) -> Result<Option<Owned>, StoreError> {
                let _still = still();
                let now = self.now();
                self.store.own(Claim { now, lease_until: now + claim.lease_until - claim.now, ..claim }).await
            }

            async fn renew(&self, node: &str, now: i64, lease_until: i64) -> Result<Vec<OutletKey>, StoreError> {
                let _still = still();
                self.store.renew(node, self.now(), self.now() + lease_until - now).await
            }

            async fn beat(&self, beat: Beat) -> Result<Vec<NodeRow>, StoreError> {
                let row = NodeRow { name: beat.node.clone(), plan: beat.plan, version: beat.version, outlets: 0 };
                self.nodes.lock().unwrap().insert(beat.node, (self.now() + beat.alive_until - beat.now, row));
                self.nodes(0).await
            }

            async fn nodes(&self, _now: i64) -> Result<Vec<NodeRow>, StoreError> {
                let now = self.now();
                Ok(self.nodes.lock().unwrap().values().filter(|(until, _)| *until > now).map(|(_, row)| row.clone()).collect())
            }

            async fn leave(&self, node: &str) -> Result<(), StoreError> {
                self.nodes.lock().unwrap().remove(node);
                Ok(())
            }
        }
    };
}

pass_on! {
    accept(event: NewEvent) -> Result<Accepted, StoreError>;
    lanes_ready(outlet: &OutletKey, sought: Sought) -> Result<Vec<LaneHead>, StoreError>;
    due(before: i64) -> Result<Vec<DueRow>, StoreError>;
    open_messages(outlet: &OutletKey) -> Result<Vec<MessageId>, StoreError>;
    waiting(lane: LaneId, after: i64, limit: usize, bodies: usize, due_by: i64) -> Result<Vec<Waiting>, StoreError>;
    begin_lanes(lanes: &[LaneId]) -> Result<u32, StoreError>;
    end_lanes(lanes: &[LaneId]) -> Result<(), StoreError>;
    events(ids: &[EventId], bytes: usize) -> Result<Bodies, StoreError>;
    form(fence: Fence, message: NewMessage) -> Result<(), StoreError>;
    begin(fence: Fence, attempt: NewAttempt) -> Result<(), StoreError>;
    settle(settlement: Settlement) -> Result<Settled, StoreError>;
    outlet(fence: Fence, change: OutletChange) -> Result<(), StoreError>;
    unresolved(lane: LaneId) -> Result<Option<u64>, StoreError>;
    past(id: DeliveryId, limit: usize) -> Result<Past, StoreError>;
    followers(lane: LaneId, lane_seq: i64) -> Result<Vec<String>, StoreError>;
    fall_back(channel: &str, born_before: i64, to: MoveTo, reason: &str, limit: usize, now: i64) -> Result<Vec<AcceptedDelivery>, StoreError>;
    receipts_due(now: i64, limit: usize) -> Result<Vec<ReceiptRow>, StoreError>;
    receipt_of(channel: &str, platform_id: &str) -> Result<Option<ReceiptRow>, StoreError>;
    carried(message: MessageId) -> Result<Vec<Carried>, StoreError>;
    hear(heard: HeardReceipt) -> Result<Option<Vec<AcceptedDelivery>>, StoreError>;
    requeue(ids: &[DeliveryId], to: Option<MoveTo>, now: i64) -> Result<Vec<AcceptedDelivery>, StoreError>;
    drop_deliveries(ids: &[DeliveryId], reason: &str, now: i64) -> Result<u64, StoreError>;
    adopt(from: &str, to: &str, outlet: &OutletKey) -> Result<u64, StoreError>;
    assign(channel: &str, outlet: &OutletKey) -> Result<u64, StoreError>;
    page(filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, StoreError>;
    show(id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError>;
    event_page(filter: &EventFilter) -> Result<Vec<EventRow>, StoreError>;
    show_event(id: EventId) -> Result<Option<(StoredEvent, Vec<DeliveryRow>)>, StoreError>;
    message(id: MessageId) -> Result<Option<StoredMessage>, StoreError>;
    stats() -> Result<Stats, StoreError>;
    purge(retention: Retention, limit: usize) -> Result<u64, StoreError>;
    mutes() -> Result<Vec<ChannelMute>, StoreError>;
    mute(mute: ChannelMute, now: i64) -> Result<(), StoreError>;
    deferrals(now: i64) -> Result<Vec<Deferral>, StoreError>;
    defer(deferral: Deferral, reason: Option<String>, now: i64) -> Result<u64, StoreError>;
    heartbeats(changes: Vec<HeartbeatChange>) -> Result<Vec<HeartbeatRow>, StoreError>;
    backup(to: &Path) -> Result<(), StoreError>;
    release(fence: Fence) -> Result<(), StoreError>;
    check() -> Result<(), StoreError>;
    close() -> ();
}
