//! What people change in the store by hand.

use async_trait::async_trait;

use uuid::Uuid;

use super::{AcceptedDelivery, Act, Acted, AuditRow, AuditState, MoveTo, Mute, StoreError};
use crate::model::{DeliveryId, IncidentId, PlatformIds, Recipient, UnixMs};

/// Used by the API and the CLI, through the engine, which notifies the workers.
#[async_trait]
pub trait OperatorStore: Send + Sync {
    /// Requeues `dead`, `dropped`, `expired`, `skipped` or `unknown` deliveries: for each a new queued delivery of the same event and target to the same
    /// channel (or to `to`), with `origin_id` NULL and a `reason` that names the old one; the old one keeps its state, and its `reason` names the new
    /// one. Waiting and deferred deliveries given with `to` are moved (the old one becomes `dropped`); without `to` they stay, and are due at once.
    /// One transaction. Returns the new ones, and those that stay, as accepted.
    async fn requeue(&self, ids: &[DeliveryId], to: Option<MoveTo>, now: UnixMs) -> Result<Vec<AcceptedDelivery>, StoreError>;

    /// Ends waiting, deferred or dead deliveries as `dropped` with a reason; those in an open message are left alone. Returns how many. One transaction.
    async fn drop_deliveries(&self, ids: &[DeliveryId], reason: &str, now: UnixMs) -> Result<u64, StoreError>;

    /// Does what somebody asks for about incidents. The same press twice does nothing the second time, and has the results of the first. The same alerts in
    /// other open incidents of the sender are acked, snoozed and unacked with them. One transaction.
    async fn act(&self, act: Act) -> Result<Acted, StoreError>;

    /// Keeps the ids of a copy of an anchor's message: the anchor is dirty then, and its edits bring the copy up to date, too. Returns whether it was not known,
    /// neither there nor as a message of 500 incidents before and after: a changed client may name any message. Of an anchor that is not edited, and of one that
    /// is gone, nothing changes. One transaction.
    async fn keep_copy(&self, incident: IncidentId, channel: &str, recipient: &Recipient, copy: &PlatformIds) -> Result<bool, StoreError>;

    /// The mutes by hand, by their matchers. Read only.
    async fn list_mutes(&self) -> Result<Vec<Mute>, StoreError>;

    /// Makes or changes the mute with these matchers, or ends it (`until` 0). Deliveries that it has deferred and that are not due yet wait for the new end
    /// from then on; without one they are due now. One transaction.
    async fn set_mute(&self, mute: Mute, now: UnixMs) -> Result<(), StoreError>;

    /// Stores what somebody does, before it is done: what cannot be stored is not done. Rows older than a year go, some at a time. One transaction.
    async fn record_audit(&self, row: AuditRow) -> Result<(), StoreError>;

    /// Says what became of an act; one that has ended stays as it is. One transaction.
    async fn end_audit(&self, id: Uuid, state: AuditState, outcome: &str) -> Result<(), StoreError>;
}
