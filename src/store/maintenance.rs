//! What the background tasks and a reload ask of the store: backlog, fallbacks, mutes that change, renamed channels, retention.

use crate::model::UnixMs;
use async_trait::async_trait;

use super::{AcceptedDelivery, ChangedStep, Deferral, FallbackStep, HeartbeatRow, HeartbeatUpdate, OverdueRow, Retention, Stats, StoreError, Woken};

/// Used by the periodic tasks, and by a reload.
#[async_trait]
pub trait MaintenanceStore: Send + Sync {
    /// What has been due since before `before`, by channel and outlet: in lanes without an open message, and in open messages with a cell left to try.
    /// What only seems not to be due because the clock was set back is counted. Read only.
    async fn overdue(&self, before: UnixMs) -> Result<Vec<OverdueRow>, StoreError>;

    /// The chains of fallbacks of the waiting deliveries of `channel` that were born before `born_before` and have no child yet, each once. Read only.
    async fn fallback_chains(&self, channel: &str, born_before: UnixMs) -> Result<Vec<Vec<String>>, StoreError>;

    /// Copies such deliveries whose chain is `step.chain` to `step.to`: a new queued delivery each, with `origin_id`, the next `hop`, and
    /// `step.to.fallback` left to try. The originals stay in the queue. At most `limit`. One transaction. Returns the copies as accepted.
    async fn copy_to_fallback(
        &self,
        channel: &str,
        born_before: UnixMs,
        step: FallbackStep,
        reason: &str,
        limit: usize,
        now: UnixMs,
    ) -> Result<Vec<AcceptedDelivery>, StoreError>;

    /// What is deferred and not due yet, by channel, route and kind of mute. Read only.
    async fn list_deferrals(&self, now: UnixMs) -> Result<Vec<Deferral>, StoreError>;

    /// Changes until when such deliveries wait: those that are not due yet and wait for another time than [`Deferral::last`] are due then. Returns how
    /// many. One transaction.
    async fn reschedule_deferred(&self, deferral: Deferral, reason: Option<String>, now: UnixMs) -> Result<u64, StoreError>;

    /// Writes changes of heartbeats, and returns all that are known, by name. One transaction; without changes read only.
    async fn update_heartbeats(&self, changes: Vec<HeartbeatUpdate>) -> Result<Vec<HeartbeatRow>, StoreError>;

    /// Counts by channel and state, the oldest waiting, size on disk and free space. Read only.
    async fn stats(&self) -> Result<Stats, StoreError>;

    /// Takes one small step of purging: events whose deliveries are all final, past their retention and in no open message (I9), with their
    /// deliveries, messages, cells and attempts; empty lanes; incidents that ended before [`Retention::sent_before`] and that no delivery refers to, with
    /// their anchors and timelines. An event stays while a delivery of it belongs to an open incident. At most `limit` events, and as many incidents.
    /// Returns how many events it removed. One transaction.
    async fn purge(&self, retention: Retention, limit: usize) -> Result<u64, StoreError>;

    /// Ends open incidents of which nothing was reported since `heard_before` as stale, at most `limit`, the longest silent first: nobody knows whether
    /// they go on. Returns how many. One transaction.
    async fn end_stale_incidents(&self, heard_before: UnixMs, now: UnixMs, limit: usize) -> Result<u64, StoreError>;

    /// Has open incidents of Watchfire's own groups be as if they were reported now, where the newest report is from before `heard_before`: what it knows to
    /// go on is reported by nobody else, and does not become stale. One transaction.
    async fn keep_incidents(&self, groups: &[String], heard_before: UnixMs, now: UnixMs) -> Result<(), StoreError>;

    /// Ends open incidents of which everything that fires goes on as others, because their sender groups it in another way now; the others take their acks
    /// over. None ends while steps of its escalation wait. At most some hundreds at once: what is left is found by the next call.
    /// Returns how many. Looks through all that are open, and then changes in one transaction; without a change read only.
    async fn end_superseded_incidents(&self, now: UnixMs) -> Result<u64, StoreError>;

    /// Ends the acks, snoozes and mutes whose time has come, and reminds people of acks, of at most `limit` incidents. One transaction.
    async fn wake_incidents(&self, now: UnixMs, limit: usize) -> Result<Woken, StoreError>;

    /// Ends steps of escalations that nothing calls for any more, and makes those due at once whose predecessor was not confirmed
    /// (`step_changes`); `suspended` are channels that deliver nothing now. Returns what changed. One transaction; without a
    /// change read only.
    async fn change_steps(&self, suspended: &[String], now: UnixMs) -> Result<Vec<ChangedStep>, StoreError>;

    /// Cancels the edits that are due for incidents that ended before `ended_before`: those anchors are not edited any more. Returns how many. Of an edit
    /// that is due on none of `channels` the timeline says once that nothing makes it. One transaction.
    async fn give_up_edits(&self, ended_before: UnixMs, channels: &[String], now: UnixMs) -> Result<u64, StoreError>;
}
