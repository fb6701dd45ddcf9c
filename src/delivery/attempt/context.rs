//! What composing a message must know besides its members.

use crate::delivery::notified::{MessageContext, Notified};
use crate::delivery::pending::PendingMessage;
use crate::model::LaneId;
use crate::store::{PendingDelivery, State, StoreError};
use crate::template::MessageKind;

use super::AttemptTask;

/// Deliveries of a lane's past that are read.
const MAX_PAST_DELIVERIES: usize = 16;
/// Lanes of a message whose past is read.
const MAX_PAST_LANES: usize = 50;

impl AttemptTask {
    /// What composing must know besides the members. If it cannot be read, the message says what may be news.
    pub(super) async fn context(&self, message: &PendingMessage) -> MessageContext {
        let mut context = MessageContext::default();
        if let Some(reached) = self.pinged(message).await {
            (context.mentions, context.missed) = (Some(reached.mentions), reached.missed);
        }
        context.mentions = self.reminding(message, context.mentions).await;
        let unknown = |error: StoreError| tracing::warn!(%error, delivery = message.delivery(), message_id = %message.id, "could not read what was sent before; the message says what may be news");
        let mut lanes: Vec<LaneId> = message.members.iter().filter(|m| m.state == State::Deferred).map(|m| m.lane).collect();
        lanes.dedup();
        for lane in lanes.into_iter().take(MAX_PAST_LANES) {
            let members: Vec<&PendingDelivery> = message.members.iter().filter(|m| m.lane == lane).collect();
            let Some(last) = members.iter().rfind(|m| m.summary.resolved > 0) else { continue };
            match self.shared.store.lane_history(last.id, MAX_PAST_DELIVERIES + members.len()).await {
                Ok(past) => drop(context.notified.insert(lane, Notified::of(&past, &members.iter().map(|m| m.id).collect::<Vec<_>>()))),
                Err(error) => unknown(error),
            }
        }
        // Asked only where it decides something: where an incident would be closed.
        if let Some(last) = message.members.last().filter(|m| m.summary.firing == 0 && message.kind != MessageKind::Digest)
            && self.channel.driver.keeps_incidents()
        {
            match self.shared.store.count_unresolved(last.lane).await {
                Ok(left) => context.unresolved = left,
                Err(error) => unknown(error),
            }
        }
        context
    }
}
