//! What people ask of the store: history, and changes by hand.

use std::ops::Range;

use async_trait::async_trait;

use super::{
    AcceptedDelivery, ChannelMute, DeliveryDetail, DeliveryFilter, DeliveryRow, EventDetail, EventFilter, EventRow, MoveTo, StoreError, StoredMessage,
};
use crate::model::{DeliveryId, EventId, MessageId, UnixMs};

/// Used by the API, the CLI and the pages.
#[async_trait]
pub trait QueryStore: Send + Sync {
    /// A page of deliveries, newest first, by filter; the cursor is the last id of the previous page. Read only.
    async fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, StoreError>;

    /// One delivery with its event, message, cells and attempts. Read only.
    async fn get_delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError>;

    /// A page of events, newest first, by filter. Read only.
    async fn list_events(&self, filter: &EventFilter) -> Result<Vec<EventRow>, StoreError>;

    /// One event with its deliveries. Read only.
    async fn get_event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError>;

    /// One message with its pages. Read only.
    async fn get_message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError>;

    /// The ids of the messages in a range of ids, oldest first: a second's, where the ids are UUIDv7. Read only.
    async fn list_message_ids(&self, among: Range<MessageId>) -> Result<Vec<MessageId>, StoreError>;

    /// Requeues `dead`, `dropped`, `expired`, `skipped` or `unknown` deliveries: for each a new queued delivery of the same event and target to the same
    /// channel (or to `to`), with `origin_id` NULL and a `reason` that names the old one; the old one keeps its state, and its `reason` names the new
    /// one. Waiting and deferred deliveries given with `to` are moved (the old one becomes `dropped`); without `to` they stay, and are due at once.
    /// One transaction. Returns the new ones, and those that stay, as accepted.
    async fn requeue(&self, ids: &[DeliveryId], to: Option<MoveTo>, now: UnixMs) -> Result<Vec<AcceptedDelivery>, StoreError>;

    /// Ends waiting, deferred or dead deliveries as `dropped` with a reason; those in an open message are left alone. Returns how many. One transaction.
    async fn drop_deliveries(&self, ids: &[DeliveryId], reason: &str, now: UnixMs) -> Result<u64, StoreError>;

    /// Channels muted by hand. Read only.
    async fn list_mutes(&self) -> Result<Vec<ChannelMute>, StoreError>;

    /// Mutes a channel until a time, or ends its mute (`until` 0). Deliveries that a manual mute has deferred there and that are not due yet wait for the
    /// new end from then on; without one they are due now. One transaction.
    async fn set_mute(&self, mute: ChannelMute, now: UnixMs) -> Result<(), StoreError>;
}
