//! A store whose calls hold the paused clock: the runtime would else take a wait for the store's threads for idleness and move the time on.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{DeliveryId, EventId, LaneId, MessageId, OutletKey};
use crate::store::*;

pub struct Paused(pub Arc<dyn Store>);

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
                self.0.$name($($arg),*).await
            })+
        }
    };
}

pass_on! {
    accept(event: NewEvent) -> Result<Accepted, StoreError>;
    own(claim: Claim) -> Result<Option<Owned>, StoreError>;
    renew(node: &str, now: i64, lease_until: i64) -> Result<Vec<OutletKey>, StoreError>;
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
    beat(beat: Beat) -> Result<Vec<NodeRow>, StoreError>;
    nodes(now: i64) -> Result<Vec<NodeRow>, StoreError>;
    leave(node: &str) -> Result<(), StoreError>;
    check() -> Result<(), StoreError>;
    close() -> ();
}
