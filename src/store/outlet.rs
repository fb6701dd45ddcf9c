//! What an outlet's worker asks of the store: what is due, messages, attempts and their outcomes.

use async_trait::async_trait;

use super::{
    Anchor, DirtyAnchor, EditOutcome, EventBodies, Fence, Incident, LaneHistory, LaneQuery, LaneStarts, LaneSummary, NewAttempt, NewMessage,
    OutcomeBatch, OutletUpdate, PendingDelivery, RecordedOutcome, StepRow, StoreError,
};
use crate::model::{DeliveryId, EventId, IncidentId, LaneId, MessageId, OutletKey, UnixMs};

/// Used by the worker that owns an outlet.
#[async_trait]
pub trait OutletStore: Send + Sync {
    /// Lanes of an outlet that have something due by [`LaneQuery::due_by`] and no open message, most severe first, then oldest first. A lane of which
    /// nothing is due yet is left out, however much it holds, so that it cannot hide what is due. The order ages: `rank * 300_000 + since`, smallest
    /// first, which is one severity step per 5 minutes. Read only.
    async fn ready_lanes(&self, outlet: &OutletKey, query: LaneQuery) -> Result<Vec<LaneSummary>, StoreError>;

    /// Messages of an outlet that are not done. Read only.
    async fn open_messages(&self, outlet: &OutletKey) -> Result<Vec<MessageId>, StoreError>;

    /// Deliveries of a lane with `lane_seq > after`, in order, at most `limit`: those in `waiting`, and those in `deferred` that are due by `due_by`.
    /// Events are loaded for the first of them, as long as their bodies as JSON are no more than `bodies` bytes together (0: none). Read only.
    async fn pending(&self, lane: LaneId, after: i64, limit: usize, bodies: usize, due_by: UnixMs) -> Result<Vec<PendingDelivery>, StoreError>;

    /// The same for several lanes at once, each with the place after which it is read; `bodies` counts for all of them together. Read only.
    async fn pending_of(&self, lanes: &[(LaneId, i64)], limit: usize, bodies: usize, due_by: UnixMs)
    -> Result<Vec<Vec<PendingDelivery>>, StoreError>;

    /// The bodies of events, in the order of `ids`, as long as their JSON is no more than `bytes` together. Unknown ids are left out. Read only.
    async fn load_events(&self, ids: &[EventId], bytes: usize) -> Result<EventBodies, StoreError>;

    /// Counts a start of a message of these lanes that may crash the process. Returns the starts of each since it was last cleared, this one included.
    /// Unknown lanes are left out. One transaction, synced.
    async fn mark_lanes_started(&self, lanes: &[LaneId]) -> Result<Vec<LaneStarts>, StoreError>;

    /// Takes back the starts that [`OutletStore::mark_lanes_started`] returned: the process survived. What another process counted since stays. One
    /// transaction.
    async fn clear_lanes_started(&self, started: &[LaneStarts]) -> Result<(), StoreError>;

    /// Stores a message before its first send: its row, its cells (`open`), and its id in its members. One transaction, synced.
    ///
    /// Errors: [`StoreError::Fenced`] when `fence` is not the outlet's epoch; [`StoreError::Invalid`] when a member is final, another message of a
    /// member's lane is open (I3), the members are not a prefix of what waits in each lane (I4; deferred ones may be passed over), or one of its
    /// cells is begun (I5).
    async fn store_message(&self, fence: Fence, message: NewMessage) -> Result<(), StoreError>;

    /// Records that an attempt begins, and marks its cells `begun`. For at-most-once platforms, direct sends and steps of escalations this is synced
    /// **before the first byte leaves** (I6). Fenced. One transaction.
    ///
    /// Errors: [`StoreError::Overtaken`] when the attempt's guard refuses it: what the step or the call is for is acked or over, or a later step is due (I13).
    /// An ack locks the row of its incident, so an attempt that begins has begun before the ack.
    async fn begin_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<(), StoreError>;

    /// Writes the outcome of one attempt: the attempt (inserted or ended), the message and its cells when they were not stored before, the changed
    /// cells, the final or postponed deliveries, their lanes' counters, fallback children, anchors of incidents, pause, suspension and the month's
    /// count. All in one transaction, which it may share with other requests (group commit). Returns the children as accepted, to hand to their workers.
    ///
    /// Only the first and last 10 attempts of a message are kept, and those of the last hour (the rolling window is rebuilt from them, I10). A
    /// delivery that became final in the meantime stays as it is (only a dropped one that turns out to have been sent becomes `sent`), and a child of
    /// a dropped origin is left out.
    ///
    /// Errors: [`StoreError::Fenced`] for an old epoch (I7), [`StoreError::Overtaken`] when what it ends as needless is called for again; nothing was
    /// written then.
    async fn record_outcome(&self, outcome: OutcomeBatch) -> Result<RecordedOutcome, StoreError>;

    /// Sets pause and suspension of an outlet without an attempt (probe, reload, breaker). Fenced. One transaction.
    async fn set_outlet_state(&self, fence: Fence, update: OutletUpdate) -> Result<(), StoreError>;

    /// Number of alerts of a lane that fired and were not reported as resolved since, as of its newest event
    /// ([`AlertReport`](super::AlertReport)); for a lane of fallbacks, those of the lane that they come from. `None` when there is no such lane.
    /// Read only.
    async fn count_unresolved(&self, lane: LaneId) -> Result<Option<u64>, StoreError>;

    /// Deliveries that the lane of delivery `id` carried before it, as far as they fired: at most `limit`, newest first. Read only.
    async fn lane_history(&self, id: DeliveryId, limit: usize) -> Result<LaneHistory, StoreError>;

    /// Fallback channels of the newest delivery of the lane before `lane_seq` that carried a firing alert: its resolved alerts follow it there.
    /// Read only.
    async fn fallback_targets(&self, lane: LaneId, lane_seq: i64) -> Result<Vec<String>, StoreError>;

    /// These incidents, in the order of `ids`, each with its anchors on a channel, by recipient. Unknown ones are left out. Read only.
    async fn incidents(&self, ids: &[IncidentId], channel: &str) -> Result<Vec<(Incident, Vec<Anchor>)>, StoreError>;

    /// The steps of the escalations of these incidents, oldest first. Read only.
    async fn steps(&self, incidents: &[IncidentId]) -> Result<Vec<StepRow>, StoreError>;

    /// Anchors of these channels that are edited and show less than their incidents are (I14), at most `limit`. Those that may be edited by `now` come
    /// first: most severe incident first, then oldest. The rest follows by [`Anchor::next_edit_at`]. Read only.
    async fn dirty_anchors(&self, channels: &[String], now: UnixMs, limit: usize) -> Result<Vec<DirtyAnchor>, StoreError>;

    /// Writes how an edit went, and the line of its incident's timeline that it calls for. An anchor that was purged meanwhile is not made again. One
    /// transaction.
    ///
    /// Errors: [`StoreError::Fenced`] for an old epoch; nothing was written then (I7).
    async fn record_edit(&self, fence: Fence, outcome: EditOutcome) -> Result<(), StoreError>;
}
