//! Messages whose answer was lost: the platform accepted them, and nobody knew their ids until somebody pressed one of their buttons (M14).
//!
//! The message was sent once more, so the copy stays red beside the message that is edited. A press names it; from then on both are.

use std::sync::Arc;

use crate::channel::Press;
use crate::delivery::core::Shared;
use crate::delivery::links;
use crate::delivery::plan::ChannelPlan;
use crate::model::{ButtonValue, IncidentId, PlatformIds};
use crate::store::{ActOn, Anchor, IncidentFilter, ShownIn, StoreError, StoredMessage};

/// Other incidents of a channel whose messages are compared with a pressed one, the newest first.
const MAX_OTHERS: usize = 500;

impl Shared {
    /// Keeps a pressed message beside the anchor of its incident, where the same message is known under other ids, or under none.
    pub(super) async fn keep_pressed(&self, channel: &ChannelPlan, message: &StoredMessage, on: &[ActOn], press: &Press) -> Result<(), StoreError> {
        // A digest is never edited. Which of several pages was pressed, nobody knows.
        let ([only], [_], pressed) = (on, message.pages.as_slice(), &press.message) else { return Ok(()) };
        if pressed.is_empty() || message.cells.iter().any(|cell| cell.ids == *pressed) {
            return Ok(());
        }
        let found = self.store.incidents(&[only.incident], &channel.name).await?;
        let anchors: Vec<Anchor> = found.into_iter().flat_map(|(_, anchors)| anchors).filter(|anchor| anchor.message == message.id).collect();
        let beside = anchors.iter().find(|anchor| anchor.ids.shares_room(pressed));
        match (beside, anchors.as_slice()) {
            (Some(anchor), _) | (None, [anchor]) => self.keep_copy(channel, anchor, press).await,
            (None, _) => Ok(()),
        }
    }

    /// What a press is about whose message is not stored, because a crash cut off its answer: the incident that its button names, as far as that is shown in the
    /// same room. Who presses there can do the same in the message that took its place.
    pub(super) async fn lost_message(
        &self,
        platform: &str,
        value: &ButtonValue,
        press: &Press,
    ) -> Result<Option<(Arc<ChannelPlan>, ActOn)>, StoreError> {
        let Some(formed_at) = links::formed_at(&value.code, self.clock.wall()).filter(|_| value.incident > 0) else { return Ok(None) };
        let Some(detail) = self.store.get_incident(IncidentId(value.incident)).await? else { return Ok(None) };
        for anchor in detail.anchors.iter().filter(|anchor| anchor.ids.shares_room(&press.message)) {
            let Some(channel) = self.current_channel(&anchor.channel).filter(|channel| channel.platform.name == platform) else { continue };
            // What came after the first message was none that is edited.
            if formed_at <= anchor.notified_at {
                self.keep_copy(&channel, anchor, press).await?;
            }
            let shown = Some(ShownIn { channel: channel.name.to_string(), version: value.version, formed_at, pressed: None });
            return Ok(Some((channel, ActOn { incident: anchor.incident, shown })));
        }
        Ok(None)
    }

    async fn keep_copy(&self, channel: &ChannelPlan, anchor: &Anchor, press: &Press) -> Result<(), StoreError> {
        let pressed = &press.message;
        if press.by.foreign || !channel.can_edit() || anchor.ids.all().contains(pressed) || self.is_of_another(channel, anchor, pressed).await? {
            return Ok(());
        }
        if self.store.keep_copy(anchor.incident, &anchor.channel, &anchor.recipient, pressed).await? {
            let (incident, channel) = (anchor.incident, &channel.name);
            tracing::info!(%incident, %channel, "a pressed message, whose answer had been lost, is edited from now on");
        }
        Ok(())
    }

    /// Whether a message is known as that of another incident. A changed client of Telegram may press any message with the value of another one's button
    /// (<https://core.telegram.org/bots/api#callbackquery>).
    async fn is_of_another(&self, channel: &ChannelPlan, anchor: &Anchor, pressed: &PlatformIds) -> Result<bool, StoreError> {
        let channels = vec![anchor.channel.clone(), channel.name.to_string()];
        let newest = self.store.list_incidents(&IncidentFilter { channels, limit: MAX_OTHERS, ..IncidentFilter::default() }).await?;
        let others: Vec<IncidentId> = newest.iter().map(|incident| incident.id).filter(|id| *id != anchor.incident).collect();
        let found = self.store.incidents(&others, &anchor.channel).await?;
        Ok(found.iter().flat_map(|(_, anchors)| anchors).any(|other| other.ids.all().contains(pressed)))
    }
}
