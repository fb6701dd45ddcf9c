//! Messages whose answer was lost: the platform accepted them, and nobody knew their ids until somebody pressed one of their buttons (M14).
//!
//! The message was sent once more, so the copy stays red beside the message that is edited. A press names it; from then on both are.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::PlatformPresses;
use crate::channel::{Press, PressAnswer};
use crate::delivery::core::Shared;
use crate::delivery::links;
use crate::delivery::plan::ChannelPlan;
use crate::model::{ButtonValue, IncidentId, Language, PlatformIds, Verb};
use crate::store::{ActOn, Anchor, Cell, CellState, ShownIn, StoreError, StoredMessage};

/// A message may have been formed by a clock that is this much behind, in milliseconds; its code names the second.
const CLOCK_SKEW_MS: i64 = 10_000;

/// What a press is about whose message is not stored.
struct LostMessage {
    channel: Arc<ChannelPlan>,
    on: ActOn,
    /// Beside which the message is edited from now on; `None`: it is not.
    anchor: Option<Anchor>,
}

impl PlatformPresses {
    /// Does what a press says about what a message shows.
    pub(super) async fn act_on_message(
        &self,
        channel: Arc<ChannelPlan>,
        message: StoredMessage,
        value: &ButtonValue,
        press: Press,
    ) -> Result<PressAnswer, StoreError> {
        let plan = self.shared.plan.load_full();
        // Whom the configuration names may press wherever the button is.
        if is_elsewhere(&message.cells, &press.message) && plan.people.people.of_id(channel.platform, &press.by.id).is_none() {
            let text = match self.language(&plan) {
                Language::Zh => "这是转发到其他会话的消息，请在原会话中操作。",
                Language::En => "This message was forwarded from another chat: press the button there.",
            };
            return self.refused_and_noted(&press.by, "a copy in another chat", text).await;
        }
        let mut on = self.shared.shown_in(&message, value.version).await?;
        on.iter_mut().filter_map(|on| on.shown.as_mut()).for_each(|shown| shown.pressed = Some(message.id));
        let only = if let [only] = on.as_slice() { Some(only.incident) } else { None };
        let answer = self.act_unshown(&channel, value.verb, value.span(), press.clone(), on).await?;
        let (shared, may) = (self.shared.clone(), self.may_press(&channel, value.verb, &press));
        self.show_after(async move { if may { shared.keep_pressed(&channel, &message, only, &press).await } else { Ok(()) } });
        Ok(answer)
    }

    /// The same where the message is not stored; `None`: nothing is known of it.
    pub(super) async fn act_on_lost(&self, value: &ButtonValue, press: &Press) -> Result<Option<PressAnswer>, StoreError> {
        let Some(LostMessage { channel, on, anchor }) = self.lost_message(value, press).await? else { return Ok(None) };
        let answer = self.act_unshown(&channel, value.verb, value.span(), press.clone(), vec![on]).await?;
        let (shared, pressed, may) = (self.shared.clone(), press.message.clone(), self.may_press(&channel, value.verb, press));
        self.show_after(async move {
            match anchor.filter(|_| may) {
                Some(anchor) => shared.keep_copy(&channel, &anchor, &pressed).await,
                None => Ok(()),
            }
        });
        Ok(Some(answer))
    }

    /// What a press is about whose message is not stored, because a crash cut off its answer: the incident that its button names and proves, as far as that is
    /// shown in the same room. Who presses there can do the same in the message that took its place.
    async fn lost_message(&self, value: &ButtonValue, press: &Press) -> Result<Option<LostMessage>, StoreError> {
        let (shared, plan) = (&self.shared, self.shared.plan.load_full());
        let proved = links::proves_incident(&plan.link_key, value);
        let Some(formed_at) = links::formed_at(&value.code, shared.clock.wall()).filter(|_| proved) else { return Ok(None) };
        let Some(detail) = shared.store.get_incident(IncidentId(value.incident)).await? else { return Ok(None) };
        // After a restore, other incidents have the numbers of lost ones.
        if detail.incident.opened_at > formed_at + CLOCK_SKEW_MS {
            return Ok(None);
        }
        // A press that names no room is of a message of this credential.
        let asked = plan.channel(&self.asked).filter(|_| press.message.room().is_none()).map(|asked| &asked.outlet);
        let of_platform = |name: &str| {
            let channel = shared.current_channel(name).filter(|channel| channel.platform.name == self.platform)?;
            asked.is_none_or(|asked| channel.outlet == *asked).then_some(channel)
        };
        let to: BTreeSet<Arc<str>> =
            detail.deliveries.iter().filter_map(|row| of_platform(&row.channel)).map(|channel| channel.name.clone()).collect();
        let anchors = detail.anchors.into_iter().filter_map(|anchor| of_platform(&anchor.channel).map(|channel| (channel, anchor)));
        let Some((channel, anchor)) = beside(anchors.collect(), &to, &press.message) else { return Ok(None) };
        let shown = Some(ShownIn { channel: channel.name.to_string(), version: value.version, formed_at, pressed: None, begun: Vec::new() });
        let on = ActOn { incident: detail.incident.id, shown };
        // What came after the first message was none that is edited.
        let kept = anchor.filter(|anchor| formed_at <= anchor.notified_at && !press.by.foreign && channel.can_edit() && !press.message.is_empty());
        Ok(Some(LostMessage { channel, on, anchor: kept }))
    }

    /// Whether who presses may do that: a refused press changes no message.
    fn may_press(&self, channel: &ChannelPlan, verb: Verb, press: &Press) -> bool {
        let plan = self.shared.plan.load();
        channel.driver.keeps_incidents() || channel.content.actions.may(verb, &press.by, &plan.people.people, channel.platform).is_ok()
    }

    /// Begins the edits that show what was done, once the pressed message is kept, which is edited with them. What was done is stored: its answer does not
    /// wait for this, nor fail with it.
    fn show_after(&self, keeping: impl Future<Output = Result<(), StoreError>> + Send + 'static) {
        let shared = self.shared.clone();
        self.shared.tracker.spawn(async move {
            if let Err(error) = keeping.await {
                tracing::warn!(%error, "a pressed message, whose answer may have been lost, could not be kept; its next press tries again");
            }
            shared.outlets.edit_soon();
        });
    }
}

impl Shared {
    /// Keeps a pressed message beside the anchor of its incident, where the same message is known under other ids, or under none.
    async fn keep_pressed(
        &self,
        channel: &ChannelPlan,
        message: &StoredMessage,
        incident: Option<IncidentId>,
        press: &Press,
    ) -> Result<(), StoreError> {
        // A digest is never edited. Which of several pages was pressed, nobody knows.
        let (Some(incident), [_], pressed) = (incident, message.pages.as_slice(), &press.message) else { return Ok(()) };
        if press.by.foreign || !channel.can_edit() || pressed.is_empty() || message.cells.iter().any(|cell| cell.ids.is_same_message(pressed)) {
            return Ok(());
        }
        let found = self.store.incidents(&[incident], &channel.name).await?;
        let anchors: Vec<Anchor> = found.into_iter().flat_map(|(_, anchors)| anchors).filter(|anchor| anchor.message == message.id).collect();
        // Where a platform names no room, or named none when the message was sent, the only anchor is meant.
        let is_beside = |anchor: &&Anchor| {
            let known = known_ids(anchor, message);
            let may_be = pressed.room().is_none() || known.is_named_as(pressed);
            known.shares_room(pressed) || (anchors.len() == 1 && known.room().is_none() && may_be)
        };
        match anchors.iter().find(is_beside) {
            Some(anchor) => self.keep_copy(channel, anchor, pressed).await,
            None => Ok(()),
        }
    }

    async fn keep_copy(&self, channel: &ChannelPlan, anchor: &Anchor, pressed: &PlatformIds) -> Result<(), StoreError> {
        if anchor.clone().with_copy(pressed).is_none() {
            return Ok(());
        }
        if self.store.keep_copy(anchor.incident, &anchor.channel, &anchor.recipient, pressed).await? {
            let (incident, channel) = (anchor.incident, &channel.name);
            tracing::info!(%incident, %channel, "a pressed message, whose answer had been lost, is edited from now on");
        }
        Ok(())
    }
}

/// Whether a press is in a room where nothing of its message was sent: of a copy that somebody forwarded. What is in a room that nobody knows may be there.
fn is_elsewhere(cells: &[Cell], pressed: &PlatformIds) -> bool {
    let Some(room) = pressed.room() else { return false };
    let mut sent = cells.iter().filter(|cell| cell.state != CellState::Dead).peekable();
    sent.peek().is_some() && sent.all(|cell| cell.ids.room().is_some_and(|known| known != room))
}

/// Where a lost message was, among the places of a platform that show its incident: the channel, and the message that took its place. Where a press names no
/// room, it is the only channel that shows it, if no other of those to which the incident went lost all its messages; which of several there took its place,
/// nobody knows.
fn beside(mut shown: Vec<(Arc<ChannelPlan>, Anchor)>, to: &BTreeSet<Arc<str>>, pressed: &PlatformIds) -> Option<(Arc<ChannelPlan>, Option<Anchor>)> {
    if pressed.room().is_some() {
        let (channel, anchor) = shown.into_iter().find(|(_, anchor)| anchor.ids.shares_room(pressed))?;
        return Some((channel, Some(anchor)));
    }
    let (channel, anchor) = shown.pop()?;
    if shown.iter().any(|(other, _)| other.name != channel.name) || to.iter().any(|other| *other != channel.name) {
        return None;
    }
    Some((channel, shown.is_empty().then_some(anchor)))
}

/// The ids of an anchor; of one whose message is gone, those that the message had first.
fn known_ids(anchor: &Anchor, message: &StoredMessage) -> PlatformIds {
    if !anchor.ids.is_empty() {
        return anchor.ids.clone();
    }
    message.cells.iter().find(|cell| cell.recipient == anchor.recipient).map(|cell| cell.ids.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Recipient, UnixMs};

    #[test]
    fn a_press_is_elsewhere_only_where_all_rooms_of_its_message_are_known() {
        let ids = |room: Option<&str>| PlatformIds::one("message_id", "om_1".to_owned()).and("chat_id", room.map(str::to_owned));
        let cell =
            |state, ids| Cell { page: 0, recipient: Recipient::new("r"), state, tries: 1, unanswered: 0, due_at: UnixMs::EPOCH, ids, code: None };
        let (ops, dba) = (cell(CellState::Ok, ids(Some("oc_1"))), cell(CellState::Ok, ids(Some("oc_2"))));
        let nowhere = cell(CellState::Dead, PlatformIds::default());
        let unknown = cell(CellState::Unknown, PlatformIds::default());
        let unnamed = cell(CellState::Ok, ids(None));
        for (cells, room, elsewhere) in [
            (vec![ops.clone()], Some("oc_1"), false),
            (vec![ops.clone()], Some("oc_9"), true),
            (vec![ops.clone()], None, false),
            (vec![ops.clone(), dba.clone()], Some("oc_2"), false),
            (vec![ops.clone(), dba, nowhere.clone()], Some("oc_9"), true),
            (vec![ops.clone(), unknown], Some("oc_9"), false),
            (vec![ops, unnamed], Some("oc_9"), false),
            (vec![nowhere], Some("oc_9"), false),
            (Vec::new(), Some("oc_9"), false),
        ] {
            assert_eq!(is_elsewhere(&cells, &ids(room)), elsewhere, "{room:?} of {cells:?}");
        }
    }
}
