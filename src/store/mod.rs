//! The store: what must survive. One trait in domain words; SQLite and PostgreSQL stand behind it, held together by one contract test.
//!
//! Times are Unix milliseconds UTC, given by the caller: a store has no clock. Every method documents its transaction. A method returns only
//! after what it wrote is synced to disk.

#[cfg(test)]
pub(crate) mod contract;
mod postgres;
mod sqlite;
mod types;

#[cfg(test)]
pub(crate) use postgres::tests::Place;
pub use postgres::{PostgresOptions, PostgresStore, Progress};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use types::*;

use async_trait::async_trait;

use crate::model::{DeliveryId, EventId, LaneId, MessageId, OutletKey};

/// Everything that outlives the process.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Takes an event in: event, lanes and deliveries in **one** transaction, shared with whatever else waits (group commit). For each
    /// delivery the lane row is made or found, `last_seq` grows by one and becomes the delivery's `lane_seq` (I2); a delivery born in a final state
    /// (`skipped`) gets a `lane_seq` too but does not count as waiting. When `dedup` is given and the newest event in each lane that it
    /// would enter has its key and came within its window, nothing is written and that event's ids come back with `duplicate: true` ([`duplicate_of`]); a
    /// duplicate that shares a batch with its first waits for that commit. An event without deliveries enters no lane and is never a duplicate.
    ///
    /// Errors: [`StoreError::Busy`] when the queue to the writer is full or the request is older than 5 s; [`StoreError::Unavailable`] when the disk
    /// does not take it. Nothing was written then.
    async fn accept(&self, event: NewEvent) -> Result<Accepted, StoreError>;

    /// Claims an outlet for `node`: raises its epoch and sets the lease. Also gives what a runner must know to go on: pause, hold, the times of
    /// attempts begun since `window_start` (begun and unended ones included), and the outlet's open messages with their cells. Attempts that were
    /// begun and never ended (a crash) are ended as `unknown` first; their cells stay `begun`. `None` when another node holds a live lease. One transaction.
    async fn claim_outlet(&self, claim: LeaseRequest) -> Result<Option<OutletSnapshot>, StoreError>;

    /// Renews the leases of all outlets that `node` owns; gives those it still owns. One transaction.
    async fn renew_leases(&self, node: &str, now: i64, lease_until: i64) -> Result<Vec<OutletKey>, StoreError>;

    /// Gives an outlet up: another node may claim it at once. Nothing happens when `fence` is old. One transaction.
    async fn release_outlet(&self, fence: Fence) -> Result<(), StoreError>;

    /// Says that a node is alive, and gives all that are, by name. Where only one process can use the store, that is itself. One transaction.
    async fn node_heartbeat(&self, beat: NodeHeartbeat) -> Result<Vec<NodeRow>, StoreError> {
        Ok(vec![NodeRow { name: beat.node, plan: beat.plan, version: beat.version, outlets: 0 }])
    }

    /// The nodes that are alive, as of their last signs. Read only.
    async fn live_nodes(&self, now: i64) -> Result<Vec<NodeRow>, StoreError> {
        let _ = now;
        Ok(Vec::new())
    }

    /// A node leaves: it does not count as alive any more. One transaction.
    async fn deregister_node(&self, node: &str) -> Result<(), StoreError> {
        let _ = node;
        Ok(())
    }

    /// Outlets on which another process accepted something, as they come; hints, some may be lost. `None` where nobody else can.
    fn subscribe(&self) -> Option<tokio::sync::mpsc::Receiver<OutletKey>> {
        None
    }

    /// Lanes of an outlet that have something due by [`LaneQuery::due_by`] and no open message, most severe first, then oldest first. What waits for later
    /// is left out, however much it is: it must not stand in the way of what is due. Ranking ages: `rank * 300_000 + since` is the order (one step per
    /// 5 minutes), smallest first. Read only.
    async fn ready_lanes(&self, outlet: &OutletKey, sought: LaneQuery) -> Result<Vec<LaneSummary>, StoreError>;

    /// Messages of an outlet that are not done. Read only.
    async fn open_messages(&self, outlet: &OutletKey) -> Result<Vec<MessageId>, StoreError>;

    /// Deliveries of a lane in `waiting`, and those in `deferred` that are due by `due_by`, with `lane_seq > after`, in order, at most `limit`, with the
    /// events of the first of them, as long as their stored bodies are together no more than `bodies` bytes (0: none). Read only.
    async fn pending(&self, lane: LaneId, after: i64, limit: usize, bodies: usize, due_by: i64) -> Result<Vec<PendingDelivery>, StoreError>;

    /// The bodies of events in the order asked for, as long as they are together no more than `bytes` as stored. Unknown ids are left out. Read only.
    async fn load_events(&self, ids: &[EventId], bytes: usize) -> Result<EventBodies, StoreError>;

    /// Says that a message of these lanes is begun, by a process that may die at it; gives how often one of them was begun so without an end, this time
    /// included: the most of any. Unknown lanes are left out. One transaction, synced.
    async fn mark_lanes_started(&self, lanes: &[LaneId]) -> Result<u32, StoreError>;

    /// Says that the process has outlived what it began ([`Store::mark_lanes_started`]). One transaction.
    async fn clear_lanes_started(&self, lanes: &[LaneId]) -> Result<(), StoreError>;

    /// Stores a message before its first send: its row, its cells (`open`), and its id in its members. Refused with [`StoreError::Fenced`] when
    /// `fence` is not the outlet's epoch, and with [`StoreError::Invalid`] when a member is final, another message of a member's lane is open (I3),
    /// the members are not a prefix of what waits in each lane (I4; deferred ones may be passed over), or a cell of it is begun (I5). One
    /// transaction, synced.
    async fn store_message(&self, fence: Fence, message: NewMessage) -> Result<(), StoreError>;

    /// Records that an attempt begins, and marks its cells `begun`. For at-most-once platforms and direct calls this is synced **before the first
    /// byte leaves** (I6). Fenced. One transaction.
    async fn begin_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<(), StoreError>;

    /// Writes the outcome of one attempt: the attempt row (inserted or ended), the message row and cells when they were not stored before, the
    /// changed cells, the final or postponed deliveries, their lanes' counters, fallback children, pause, hold and the month's count; all in one
    /// transaction, shared with others (group commit). A settlement with an old epoch changes nothing and gives [`StoreError::Fenced`] (I7).
    /// Only the first and last 10 attempts of a message are kept, and those of the last hour (the rolling window is rebuilt from them, I10). A
    /// delivery that became final meanwhile stays as it is (only a dropped one that turns out to have left becomes `sent`), and a child of a
    /// dropped origin is left out. Gives the children as accepted deliveries, to hand to their runners.
    async fn record_outcome(&self, settlement: OutcomeBatch) -> Result<RecordedOutcome, StoreError>;

    /// Sets pause and hold of an outlet without an attempt (probe, reload, breaker). Fenced. One transaction.
    async fn set_outlet_state(&self, fence: Fence, change: OutletUpdate) -> Result<(), StoreError>;

    /// Alerts of a lane that fired and were not reported over since, as of the newest event in it ([`AlertReport`]); of a lane of fallbacks those of the
    /// lane that they come from. `None` when there is no such lane. Read only.
    async fn count_unresolved(&self, lane: LaneId) -> Result<Option<u64>, StoreError>;

    /// What the lane of a delivery carried before it, as far as it fired: at most `limit` deliveries, newest first. Read only.
    async fn lane_history(&self, id: DeliveryId, limit: usize) -> Result<LaneHistory, StoreError>;

    /// Fallback channels of the newest delivery of the lane before `lane_seq` that carried a firing alert: what is resolved follows it there. Read only.
    async fn fallback_targets(&self, lane: LaneId, lane_seq: i64) -> Result<Vec<String>, StoreError>;

    /// What has been due since before `before`, by channel and outlet: in lanes without an open message, and in open messages with a cell left to try. What
    /// only a clock that was set back makes look as if it were not due is not counted. Read only.
    async fn overdue(&self, before: i64) -> Result<Vec<OverdueRow>, StoreError>;

    /// Copies waiting deliveries of `channel` that were born before `born_before` and have no child on `to.channel` yet: a new queued delivery each, with
    /// `origin_id`, the next `hop` and `to.fallback` left to try; the originals go on. At most `limit`. One transaction. Gives the new ones as accepted.
    async fn copy_to_fallback(
        &self,
        channel: &str,
        born_before: i64,
        to: MoveTo,
        reason: &str,
        limit: usize,
        now: i64,
    ) -> Result<Vec<AcceptedDelivery>, StoreError>;

    /// Receipts whose vendor is to be asked by `now`, the longest due first; at most `limit`. Read only.
    async fn due_receipts(&self, now: i64, limit: usize) -> Result<Vec<ReceiptRow>, StoreError>;

    /// The awaited receipt of a channel with this id of its vendor's. Read only.
    async fn find_receipt(&self, channel: &str, platform_id: &str) -> Result<Option<ReceiptRow>, StoreError>;

    /// The queued deliveries in `sent` that a message carried, and whether their alerts are over: the lane in which the delivery, or the one it is a
    /// fallback of, was born got something newer that carries no firing alert. Read only.
    async fn sent_deliveries(&self, message: MessageId) -> Result<Vec<SentDelivery>, StoreError>;

    /// Writes what was heard of an awaited receipt, and with its last word the fallback children, in one transaction. Gives the children as accepted
    /// deliveries, to hand to their runners; `None` when the receipt is not awaited any more: nothing was written then.
    async fn update_receipt(&self, heard: ReceiptUpdate) -> Result<Option<Vec<AcceptedDelivery>>, StoreError>;

    /// Gives `dead`, `dropped`, `expired`, `skipped` or `unknown` deliveries a new life: for each a new queued delivery of the same event and target
    /// to the same channel (or to `to`), with `origin_id` NULL and `reason` naming the old one; the old one keeps its state and gains a note in its
    /// `reason`. Waiting and deferred deliveries given with `to` are moved (the old one becomes `dropped`); without, they stay what they are and wait for
    /// nothing any more but their turn. One transaction. Gives the new ones, and those that stay, as accepted.
    async fn requeue(&self, ids: &[DeliveryId], to: Option<MoveTo>, now: i64) -> Result<Vec<AcceptedDelivery>, StoreError>;

    /// Ends waiting, deferred or dead deliveries as `dropped` with a reason; those in an open message are left alone. Gives how many. One transaction.
    async fn drop_deliveries(&self, ids: &[DeliveryId], reason: &str, now: i64) -> Result<u64, StoreError>;

    /// Renames a channel's lanes and waiting deliveries (`previous_names`), to the outlet given. Lanes whose key exists under the new name are merged behind it. One transaction.
    /// Gives how many lanes and open messages it was.
    async fn rename_channel(&self, from: &str, to: &str, outlet: &OutletKey) -> Result<u64, StoreError>;

    /// Points a channel's lanes at the outlet its configuration now has (a changed credential). One transaction. Gives how many lanes and open messages moved.
    async fn move_to_outlet(&self, channel: &str, outlet: &OutletKey) -> Result<u64, StoreError>;

    /// A page of deliveries, newest first, by filter; `cursor` is the last id of the page before. Read only.
    async fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, StoreError>;

    /// One delivery with its event, message, cells and attempts. Read only.
    async fn get_delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError>;

    /// A page of events, newest first, by filter. Read only.
    async fn list_events(&self, filter: &EventFilter) -> Result<Vec<EventRow>, StoreError>;

    /// One event with its deliveries. Read only.
    async fn get_event(&self, id: EventId) -> Result<Option<(StoredEvent, Vec<DeliveryRow>)>, StoreError>;

    /// One message with its pages. Read only.
    async fn get_message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError>;

    /// Counts by channel and state, the oldest waiting, size on disk and free space. Read only.
    async fn stats(&self) -> Result<Stats, StoreError>;

    /// Takes one small step of purging: events whose deliveries are all final, past their retention and in no open message (I9), with their
    /// deliveries, messages, cells and attempts; empty lanes. At most `limit` events. Gives how many it removed. One transaction.
    async fn purge(&self, retention: Retention, limit: usize) -> Result<u64, StoreError>;

    /// Channels muted by hand. Read only.
    async fn list_mutes(&self) -> Result<Vec<ChannelMute>, StoreError>;

    /// Mutes a channel until a time, or ends its mute (`until` 0). What a mute by hand has deferred there and is not due yet waits for the new end from
    /// then on; without one it is due now. One transaction.
    async fn set_mute(&self, mute: ChannelMute, now: i64) -> Result<(), StoreError>;

    /// What is deferred and not due yet, by channel, route and kind of mute. Read only.
    async fn list_deferrals(&self, now: i64) -> Result<Vec<Deferral>, StoreError>;

    /// Sets anew until when such deliveries wait: those that are not due yet and wait for another time than [`Deferral::last`] are due then. Gives how
    /// many. One transaction.
    async fn reschedule_deferred(&self, deferral: Deferral, reason: Option<String>, now: i64) -> Result<u64, StoreError>;

    /// Writes changes of heartbeats, and gives all that are known, by name. One transaction; without changes read only.
    async fn update_heartbeats(&self, changes: Vec<HeartbeatUpdate>) -> Result<Vec<HeartbeatRow>, StoreError>;

    /// Writes a consistent copy to a file while running.
    async fn backup(&self, to: &std::path::Path) -> Result<(), StoreError>;

    /// Whether writes work now: writes and removes a row. Used by `/-/ready` after a failure.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// Whether what is committed now would be there after a restart: nobody has taken the files away from under the connections. Cheap; to be asked after a commit.
    fn check_files(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// What was damaged when the store was opened, in words, and is lost. For people to be told at start.
    fn damage_report(&self) -> Option<&str> {
        None
    }

    /// Finishes what is queued and closes. Later calls give [`StoreError::Unavailable`].
    async fn close(&self);
}
