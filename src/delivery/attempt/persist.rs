//! What is stored before a send, and how outcomes are written.

use crate::delivery::pending::{BegunAttempt, PendingMessage};
use crate::model::{AttemptId, Recipient, UnixMs};
use crate::store::{AcceptedDelivery, DeliveryUpdate, NewAttempt, OutcomeBatch, PendingDelivery, State, StoreError};

use super::AttemptTask;

impl AttemptTask {
    /// Stores what must be on disk before the first byte leaves (I5, I6).
    pub(super) async fn persist_intent(
        &self,
        message: &mut PendingMessage,
        at_most_once: bool,
        attempt: AttemptId,
        page: u16,
        to: &[Recipient],
    ) -> Result<(), StoreError> {
        if !message.is_stored() && (at_most_once || message.cells.len() > 1) {
            self.shared.store.store_message(self.outlet.fence.clone(), message.to_record(self.channel.platform.name)).await?;
            message.phase.mark_stored();
        }
        if at_most_once {
            let begun_at = self.shared.clock.wall();
            let new = NewAttempt {
                id: attempt,
                message: message.id,
                page,
                recipients: to.to_vec(),
                node: self.shared.node.name.to_string(),
                begun_at,
                guard: self.attempt_guard(message),
            };
            self.shared.store.begin_attempt(self.outlet.fence.clone(), new).await?;
            message.phase.set_begun(Some(BegunAttempt { id: attempt, page }));
        }
        Ok(())
    }

    /// An outcome that changes these deliveries only.
    pub(super) fn outcome_batch(&self, deliveries: Vec<DeliveryUpdate>) -> OutcomeBatch {
        OutcomeBatch { deliveries, ..OutcomeBatch::new(self.outlet.fence.clone(), self.shared.clock.wall()) }
    }

    /// Writes an outcome, for as long as it takes: one that is not on disk would be sent again or lost.
    pub(super) async fn record_outcome(&self, batch: OutcomeBatch) -> Result<Vec<AcceptedDelivery>, StoreError> {
        let sent = batch.sent_in_month.clone();
        let children = self.shared.record_outcome(batch).await?;
        // Maintenance reads the store's count every few seconds: the next message may be one too many before.
        sent.iter().for_each(|sends| self.outlet.mailbox.add_to_month(sends));
        Ok(children)
    }
}

/// The end of a delivery that is not sent.
pub(super) fn skipped(member: &PendingDelivery, why: &str, now: UnixMs) -> DeliveryUpdate {
    DeliveryUpdate {
        id: member.id,
        lane: member.lane,
        state: State::Skipped,
        tries: member.tries,
        due_at: now,
        reason: Some(why.to_owned()),
        leave_message: false,
    }
}
