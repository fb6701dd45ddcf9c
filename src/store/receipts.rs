//! What delivery receipts ask of the store: which are due, and what the platform reported.

use async_trait::async_trait;

use super::{AcceptedDelivery, ReceiptRow, ReceiptUpdate, SentDelivery, StoreError};
use crate::model::{MessageId, OutletKey, Recipient, UnixMs};

/// Used by whatever follows up on messages that a platform accepted and reports on later (SMS, calls).
#[async_trait]
pub trait ReceiptStore: Send + Sync {
    /// Receipts whose platform is to be asked by `now`, the longest due first; at most `limit`. Read only.
    async fn due_receipts(&self, now: UnixMs, limit: usize) -> Result<Vec<ReceiptRow>, StoreError>;

    /// The receipt of one of these channels with this id of its platform, whatever its state; of several an awaited one. Read only.
    async fn find_receipt(&self, channels: &[String], platform_id: &str) -> Result<Option<ReceiptRow>, StoreError>;

    /// The receipts of what these channels sent to somebody and what arrived, or may still arrive, the newest message first; at most `limit`. Read only.
    async fn receipts_to(&self, recipient: &Recipient, channels: &[String], limit: usize) -> Result<Vec<ReceiptRow>, StoreError>;

    /// When these channels of an outlet sent something to somebody, from `since` on, whatever became of it, the newest first; at most `limit`. What nobody knows
    /// the outcome of counts once, since it may have been sent; what is in flight does not count yet. Read only.
    async fn sent_to(
        &self,
        recipient: &Recipient,
        outlet: &OutletKey,
        channels: &[String],
        since: UnixMs,
        limit: usize,
    ) -> Result<Vec<UnixMs>, StoreError>;

    /// The queued deliveries in `sent` that a message carried, and whether their alerts are resolved: the lane in which the delivery (or the one that
    /// it is a fallback of) was born got something newer without a firing alert. Read only.
    async fn sent_deliveries(&self, message: MessageId) -> Result<Vec<SentDelivery>, StoreError>;

    /// Writes what was learnt of an awaited receipt, and with a final state its fallback children, in one transaction. Returns the children as
    /// accepted, to hand to their workers; `None` when the receipt is not awaited any more, and nothing was written.
    async fn update_receipt(&self, update: ReceiptUpdate) -> Result<Option<Vec<AcceptedDelivery>>, StoreError>;
}
