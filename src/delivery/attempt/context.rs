//! What composing a message must know besides its members.

use crate::delivery::notified::{MessageContext, Notified};
use crate::delivery::pending::PendingMessage;
use crate::delivery::people::Way;
use crate::delivery::self_alert::SelfAlert;
use crate::model::{LaneId, Mentions};
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
        let mut context = MessageContext { mentions: self.reminding(message, self.turns(message)), ..MessageContext::default() };
        let unknown = |error: StoreError| tracing::warn!(%error, message_id = %message.id, "could not read what was sent before; the message says what may be news");
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

    /// Whom a reminder mentions besides: those who are on the incident, where the platform can mention them.
    fn reminding(&self, message: &PendingMessage, turns: Option<Mentions>) -> Option<Mentions> {
        let people = message.notification.reminds.iter().filter_map(|name| self.plan.people.people.get(name));
        let mut mentioned = people.filter_map(|person| match person.way(self.channel.platform) {
            Ok(Way::Mention(mentions)) => Some(mentions),
            _ => None,
        });
        let Some(first) = mentioned.next() else { return turns };
        let own = message.members.first().and_then(|member| member.target.mentions.as_ref());
        let mut all = turns.unwrap_or_else(|| own.unwrap_or(&self.channel.content.mentions).clone());
        for one in std::iter::once(first).chain(mentioned) {
            all.users.extend(one.users.into_iter().filter(|id| !all.users.contains(id)).collect::<Vec<_>>());
            all.mobiles.extend(one.mobiles.into_iter().filter(|id| !all.mobiles.contains(id)).collect::<Vec<_>>());
        }
        Some(all)
    }

    /// Whom the message mentions, where that depends on whose turn it is.
    fn turns(&self, message: &PendingMessage) -> Option<Mentions> {
        let own = message.members.first().and_then(|member| member.target.mentions.as_ref());
        let asked = own.unwrap_or(&self.channel.content.mentions);
        if !asked.has_turns() {
            return None;
        }
        let reached = self.plan.people.reached(asked, self.channel.platform, &self.shared.overrides(), None, self.shared.clock.wall());
        for missed in &reached.missed {
            tracing::warn!(channel = %self.channel.name, message_id = %message.id, missed, "the message mentions nobody in their place");
            self.shared.telemetry.raise(SelfAlert::nobody_on_call(&self.channel.name, missed));
        }
        Some(reached.mentions)
    }
}
