//! Messages whose answer was lost: the platform accepted them, and nobody knew their ids until somebody pressed one of their buttons (M14).
//!
//! The message was sent once more, so the copy stays red beside the message that is edited. A press names it; from then on both are.

use std::sync::Arc;

use crate::channel::Press;
use crate::delivery::core::Shared;
use crate::delivery::links;
use crate::delivery::plan::ChannelPlan;
use crate::model::{ButtonValue, IncidentId, PlatformIds};
use crate::store::{ActOn, Anchor, ShownIn, StoreError, StoredMessage};

/// A message may have been formed by a clock that is this much behind, in milliseconds; its code names the second.
const CLOCK_SKEW_MS: i64 = 10_000;

/// What a press is about whose message is not stored.
pub(super) struct LostMessage {
    pub channel: Arc<ChannelPlan>,
    pub on: ActOn,
    /// Beside which the message is edited from now on; `None`: it is not.
    pub anchor: Option<Anchor>,
}

impl Shared {
    /// Keeps a pressed message beside the anchor of its incident, where the same message is known under other ids, or under none. The press was answered:
    /// when this fails, the next press tries again.
    pub(super) async fn keep_pressed(self: Arc<Self>, channel: Arc<ChannelPlan>, message: StoredMessage, incident: Option<IncidentId>, press: Press) {
        if let Err(error) = self.find_and_keep(&channel, &message, incident, &press).await {
            log_failure(&channel, &error);
        }
    }

    /// The same for a message that is not stored.
    pub(super) async fn keep_lost(self: Arc<Self>, channel: Arc<ChannelPlan>, anchor: Anchor, press: Press) {
        if let Err(error) = self.keep_copy(&channel, &anchor, &press.message).await {
            log_failure(&channel, &error);
        }
    }

    async fn find_and_keep(
        &self,
        channel: &ChannelPlan,
        message: &StoredMessage,
        incident: Option<IncidentId>,
        press: &Press,
    ) -> Result<(), StoreError> {
        // A digest is never edited. Which of several pages was pressed, nobody knows.
        let (Some(incident), [_], pressed) = (incident, message.pages.as_slice(), &press.message) else { return Ok(()) };
        if press.by.foreign || !channel.can_edit() || pressed.is_empty() || message.cells.iter().any(|cell| cell.ids == *pressed) {
            return Ok(());
        }
        let found = self.store.incidents(&[incident], &channel.name).await?;
        let anchors: Vec<Anchor> = found.into_iter().flat_map(|(_, anchors)| anchors).filter(|anchor| anchor.message == message.id).collect();
        // Where a platform names no room, the only anchor is meant.
        let is_beside = |anchor: &&Anchor| {
            let known = known_ids(anchor, message);
            known.shares_room(pressed) || (anchors.len() == 1 && known.room().is_none() && pressed.room().is_none())
        };
        match anchors.iter().find(is_beside) {
            Some(anchor) => self.keep_copy(channel, anchor, pressed).await,
            None => Ok(()),
        }
    }

    /// What a press is about whose message is not stored, because a crash cut off its answer: the incident that its button names and proves, as far as that is
    /// shown in the same room. Who presses there can do the same in the message that took its place.
    pub(super) async fn lost_message(&self, platform: &str, value: &ButtonValue, press: &Press) -> Result<Option<LostMessage>, StoreError> {
        let proved = links::proves_incident(&self.plan.load().link_key, value);
        let Some(formed_at) = links::formed_at(&value.code, self.clock.wall()).filter(|_| proved) else { return Ok(None) };
        let Some(detail) = self.store.get_incident(IncidentId(value.incident)).await? else { return Ok(None) };
        // After a restore, other incidents have the numbers of lost ones.
        if detail.incident.opened_at > formed_at + CLOCK_SKEW_MS {
            return Ok(None);
        }
        for anchor in detail.anchors.into_iter().filter(|anchor| anchor.ids.shares_room(&press.message)) {
            let Some(channel) = self.current_channel(&anchor.channel).filter(|channel| channel.platform.name == platform) else { continue };
            let shown = Some(ShownIn { channel: channel.name.to_string(), version: value.version, formed_at });
            let on = ActOn { incident: anchor.incident, shown };
            // What came after the first message was none that is edited.
            let is_kept = formed_at <= anchor.notified_at && !press.by.foreign && channel.can_edit();
            return Ok(Some(LostMessage { channel, on, anchor: is_kept.then_some(anchor) }));
        }
        Ok(None)
    }

    async fn keep_copy(&self, channel: &ChannelPlan, anchor: &Anchor, pressed: &PlatformIds) -> Result<(), StoreError> {
        if anchor.clone().with_copy(pressed).is_none() {
            return Ok(());
        }
        if self.store.keep_copy(anchor.incident, &anchor.channel, &anchor.recipient, pressed).await? {
            let (incident, channel) = (anchor.incident, &channel.name);
            tracing::info!(%incident, %channel, "a pressed message, whose answer had been lost, is edited from now on");
            self.outlets.edit_soon();
        }
        Ok(())
    }
}

/// The ids of an anchor; of one whose message is gone, those that the message had first.
fn known_ids(anchor: &Anchor, message: &StoredMessage) -> PlatformIds {
    if !anchor.ids.is_empty() {
        return anchor.ids.clone();
    }
    message.cells.iter().find(|cell| cell.recipient == anchor.recipient).map(|cell| cell.ids.clone()).unwrap_or_default()
}

fn log_failure(channel: &ChannelPlan, error: &StoreError) {
    tracing::warn!(channel = %channel.name, %error, "a pressed message, whose answer had been lost, is not edited; its next press tries again");
}
