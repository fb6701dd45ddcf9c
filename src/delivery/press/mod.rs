//! Presses: what people do about incidents from a message, a link, the API or the command line, and what they are answered.
//!
//! A press is stored and applied in one transaction before it is answered: what was answered holds, also after a crash. What changed is shown by the edits
//! of the incident's messages, and whatever must ring rings by deliveries that the same transaction makes.

mod act;
mod answer;
mod copies;
mod hand_on;
pub(super) mod limit;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::channel::registry::Who;
use crate::channel::{Press, PressAnswer, Presser, Presses};
use crate::delivery::audit::{AuditAct, Intent};
use crate::delivery::core::Shared;
use crate::delivery::engine::Engine;
use crate::delivery::links;
use crate::delivery::people::{PersonName, Why};
use crate::delivery::plan::{ChannelPlan, Plan};
use crate::ingest::short_fingerprint;
use crate::model::{ButtonValue, DeliveryId, IncidentId, Language, MessageId, Recipient, Verb};
use crate::store::{
    ActOn, Acted, Actor, AuditState, Author, CellState, DeliveryFilter, Incident, IncidentState, PressKey, ShownIn, StoreError, StoredMessage,
};

pub use answer::answer;
pub(super) use answer::gone;
use answer::id_of;

/// Within this a press is answered; platforms wait three seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A button can be pressed before the outcome of its message is on disk: it is looked for so often, within [`ANSWER_TIMEOUT`].
const LOOKS: u32 = 24;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Deliveries of a message that are read at once for its incidents.
const READ_AT_ONCE: usize = 500;
/// Those of them whose bodies are read for what it carried.
const MAX_CARRIED: usize = 100;
/// Incidents that one act changes at most: all of them are written in one transaction.
const MAX_ACTED: usize = 500;
/// The longest snooze.
pub const LONGEST_SNOOZE: Duration = Duration::from_secs(30 * 86_400);

/// What is to be done, by whom, and how it came.
#[derive(Debug, Clone)]
pub struct Deed {
    /// By what it is known.
    pub press: PressKey,
    /// What.
    pub verb: Verb,
    /// For how long, for a snooze, a silence and a mute.
    pub span: Duration,
    /// Who.
    pub by: Actor,
    /// How the audit names them: by the credential, and with the address from which it came where no platform reports it.
    pub author: Author,
}

impl Engine {
    /// Does something about incidents.
    ///
    /// # Errors
    /// The store cannot be written: nothing was done.
    pub async fn act(&self, deed: Deed, on: Vec<ActOn>) -> Result<Acted, StoreError> {
        let acted = self.shared.act(deed, on).await?;
        self.shared.outlets.edit_soon();
        Ok(acted)
    }

    /// The message of an act link, when the link is one.
    pub async fn message_to_act_on(&self, code: &str) -> Result<Option<MessageId>, StoreError> {
        self.shared.message_of(code).await
    }

    /// What of which incidents a message shows; `version` is what it shows of its only one, 0 when that is not known.
    pub async fn shown_in(&self, message: &StoredMessage, version: i64) -> Result<Vec<ActOn>, StoreError> {
        self.shared.shown_in(message, version).await
    }

    /// These incidents as they are now.
    pub async fn incidents_in(&self, on: &[ActOn], channel: &str) -> Result<Vec<Incident>, StoreError> {
        let ids: Vec<IncidentId> = on.iter().map(|on| on.incident).collect();
        Ok(self.shared.store.incidents(&ids, channel).await?.into_iter().map(|(incident, _)| incident).collect())
    }

    /// Whether a step of an escalation of one of these waits for its time, so that it can come at once.
    pub async fn can_escalate(&self, incidents: &[Incident]) -> Result<bool, StoreError> {
        let (plan, now) = (self.shared.plan.load_full(), self.shared.clock.wall());
        let firing: Vec<IncidentId> =
            incidents.iter().filter(|incident| incident.state == IncidentState::Firing).map(|incident| incident.id).collect();
        Ok(self.shared.store.steps(&firing).await?.iter().any(|row| !row.state.is_final() && row.due_at > now && plan.sends(&row.channel)))
    }

    /// Whether the act link of a channel's message does this, and for whom: `person` is whom it was sent to, where that is one. The error: it does not.
    pub fn may_act_by_link(&self, channel: &str, verb: Verb, person: Option<&Recipient>) -> Result<Option<PersonName>, Why> {
        let plan = self.shared.plan.load();
        let known = person.and_then(|person| plan.people.people.of_recipient(person)).map(|person| person.name.clone());
        match (self.shared.current_channel(channel).map(|channel| channel.content.actions.who(verb)), known) {
            (Some(Who::Anyone), known) => Ok(known),
            (Some(Who::Known), Some(known)) => Ok(Some(known)),
            (Some(Who::Known), None) => Err(Why::Unknown),
            (None | Some(Who::Nobody), _) => Err(Why::Nobody),
        }
    }

    /// Whether one more press of this origin is taken now: ten at once, then one in five seconds.
    pub fn admits_press(&self, of: &str) -> bool {
        self.shared.by_hand.pressers.admits(of, self.shared.clock.instant())
    }

    /// Takes the presses of buttons of a platform's channels: the button names the message, and the message its channel. `asked` is the channel whose
    /// credential proved the press; its language answers where there is no message.
    pub fn presses(&self, asked: &ChannelPlan) -> Arc<dyn Presses> {
        Arc::new(self.platform_presses(asked))
    }

    pub(in crate::delivery) fn platform_presses(&self, asked: &ChannelPlan) -> PlatformPresses {
        PlatformPresses { shared: self.shared.clone(), platform: asked.platform.name, asked: asked.name.clone() }
    }
}

impl Shared {
    async fn message_of(&self, code: &str) -> Result<Option<MessageId>, StoreError> {
        let plan = self.plan.load_full();
        let Some(among) = links::messages_of_code(code, self.clock.wall()) else { return Ok(None) };
        let found = self.store.list_message_ids(among).await?;
        Ok(found.into_iter().find(|id| links::acts_on(&plan.link_key, *id, code)))
    }

    /// The message of a button; a new one may be on its way to the disk.
    async fn pressed_message(&self, code: &str) -> Result<Option<StoredMessage>, StoreError> {
        for _ in 0..LOOKS {
            if let Some(id) = self.message_of(code).await?
                && let Some(message) = self.store.get_message(id).await?
                && links::was_sent(&self.plan.load().link_key, &message, code)
            {
                return Ok(Some(message));
            }
            if !links::is_new(code, self.clock.wall()) {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(None)
    }

    pub(in crate::delivery) async fn shown_in(&self, message: &StoredMessage, version: i64) -> Result<Vec<ActOn>, StoreError> {
        let mut filter = DeliveryFilter { message: Some(message.id), limit: READ_AT_ONCE, ..DeliveryFilter::default() };
        let mut members: Vec<(IncidentId, DeliveryId)> = Vec::new();
        loop {
            let rows = self.store.list_deliveries(&filter).await?;
            members.extend(rows.iter().filter_map(|row| Some((row.incident?, row.id))));
            filter.before = rows.last().map(|row| row.id);
            if rows.len() < READ_AT_ONCE {
                break;
            }
        }
        let incidents: BTreeSet<IncidentId> = members.iter().map(|(incident, _)| *incident).collect();
        let version = if incidents.len() == 1 { version } else { 0 };
        // What its readers know moves with the channel's name, the message does not.
        let channel = self.current_channel(&message.channel).map_or_else(|| message.channel.clone(), |channel| channel.name.to_string());
        let mut carried = self.carried(message, &channel, members).await?;
        let mut shown = |incident: IncidentId| {
            let begun = carried.remove(&incident).unwrap_or_default();
            Some(ShownIn { channel: channel.clone(), version, formed_at: message.formed_at, pressed: None, begun })
        };
        Ok(incidents.into_iter().map(|incident| ActOn { incident, shown: shown(incident) }).collect())
    }

    /// What a message carried, of each incident of which nobody recorded what its channel was notified of: webhooks have no such record, and neither has a
    /// message whose outcome nobody knows, though it may have arrived.
    async fn carried(
        &self,
        message: &StoredMessage,
        channel: &str,
        members: Vec<(IncidentId, DeliveryId)>,
    ) -> Result<BTreeMap<IncidentId, Vec<u64>>, StoreError> {
        let mut recorded: BTreeSet<IncidentId> = BTreeSet::new();
        if message.cells.iter().all(|cell| cell.state == CellState::Ok) {
            let ids: BTreeSet<IncidentId> = members.iter().map(|(incident, _)| *incident).collect();
            let found = self.store.incidents(&ids.into_iter().collect::<Vec<_>>(), channel).await?;
            recorded.extend(found.into_iter().filter(|(_, anchors)| !anchors.is_empty()).map(|(incident, _)| incident.id));
        }
        let mut carried: BTreeMap<IncidentId, Vec<u64>> = BTreeMap::new();
        let unrecorded: Vec<_> = members.into_iter().filter(|(incident, _)| !recorded.contains(incident)).take(MAX_CARRIED).collect();
        for (incident, delivery) in unrecorded {
            carried.entry(incident).or_default().extend(self.alerts_of(&[delivery]).await?);
        }
        Ok(carried)
    }

    /// The alerts that deliveries carry, by their fingerprints.
    pub(in crate::delivery) async fn alerts_of(&self, deliveries: &[DeliveryId]) -> Result<Vec<u64>, StoreError> {
        let mut found = Vec::new();
        for id in deliveries {
            let Some(detail) = self.store.get_delivery(*id).await? else { continue };
            let alerts = detail.target.alerts.iter().filter_map(|place| detail.event.event.alerts.get(*place as usize));
            found.extend(alerts.map(|alert| short_fingerprint(&alert.fingerprint)));
        }
        Ok(found)
    }
}

pub(in crate::delivery) struct PlatformPresses {
    pub(in crate::delivery) shared: Arc<Shared>,
    pub(in crate::delivery) platform: &'static str,
    pub(in crate::delivery) asked: Arc<str>,
}

impl PlatformPresses {
    async fn take(&self, press: Press) -> Result<PressAnswer, StoreError> {
        let plan = self.shared.plan.load_full();
        let language = self.language(&plan);
        if let Some(limited) = self.limited(&press.by, language) {
            return Ok(limited);
        }
        let refused = |why: &'static str, text: &'static str| self.refused_and_noted(&press.by, why, text);
        let say = |en: &'static str, zh: &'static str| if language == Language::Zh { zh } else { en };
        let Some(value) = ButtonValue::decode(&press.value) else {
            return refused("not a button of ours", say("This button is not known.", "无法识别该按钮。")).await;
        };
        let unknown = gone(language);
        // Buttons of earlier versions prove nothing; the code of a known message does.
        if !value.mac.is_empty() && !links::proves_incident(&plan.link_key, &value) {
            return refused("a button that this installation did not make", unknown).await;
        }
        let Some(message) = self.shared.pressed_message(&value.code).await? else {
            return match self.act_on_lost(&value, &press).await? {
                Some(answer) => Ok(answer),
                None => refused("no such message", unknown).await,
            };
        };
        let Some(channel) = self.shared.current_channel(&message.channel).filter(|channel| channel.platform.name == self.platform) else {
            return refused("a message of another platform's channel", unknown).await;
        };
        self.act_on_message(channel, message, &value, press).await
    }

    /// Does what somebody may do about what a message of this channel shows.
    pub(in crate::delivery) async fn act(
        &self,
        channel: &ChannelPlan,
        verb: Verb,
        span: Duration,
        press: Press,
        on: Vec<ActOn>,
    ) -> Result<PressAnswer, StoreError> {
        let answer = self.act_unshown(channel, verb, span, press, on).await?;
        self.shared.outlets.edit_soon();
        Ok(answer)
    }

    /// The same; its caller begins the edits that show it.
    async fn act_unshown(&self, channel: &ChannelPlan, verb: Verb, span: Duration, press: Press, on: Vec<ActOn>) -> Result<PressAnswer, StoreError> {
        let plan = self.shared.plan.load_full();
        let language = self.language(&plan);
        let say = |en: &'static str, zh: &'static str| if language == Language::Zh { zh } else { en };
        let refused = |why: &'static str, text: &'static str| self.refused_and_noted(&press.by, why, text);
        let known = match channel.content.actions.may(verb, &press.by, &plan.people.people, channel.platform) {
            Ok(known) => known,
            // People who may do it at a platform that keeps incidents are known to the account there.
            Err(Why::Unknown) if channel.driver.keeps_incidents() => None,
            Err(Why::Nobody) => return refused("not by a button", say("That is not possible from here.", "此处不支持该操作。")).await,
            Err(Why::Foreign) => {
                return refused("another organisation", say("Only members of this organisation can do that.", "仅本组织成员可以操作。")).await;
            }
            Err(Why::Unknown) => {
                let text = say("Only people whom the configuration names can do that.", "仅配置中登记的人员可以操作。");
                return self.refused_and_noted(&press.by, "not a known person", &format!("{text}{}", id_of(&press.by, language))).await;
            }
        };
        let by = Actor {
            // A person whom the configuration names is the same on each platform.
            id: known.as_ref().map_or_else(|| format!("{}:{}", self.platform, press.by.id), |name| format!("person:{name}")),
            name: match known {
                Some(name) => plan.people.people.shown(&name).to_owned(),
                None if press.by.name.trim().is_empty() => press.by.id.clone(),
                None => press.by.name.clone(),
            },
            via: channel.platform.brand().to_owned(),
        };
        let press = PressKey { platform: self.platform.to_owned(), event_id: press.event_id };
        let author = Author { name: by.name.clone(), via: by.via.clone(), from: String::new() };
        let acted = self.shared.act(Deed { press, verb, span, by, author }, on).await?;
        Ok(answer(&acted, language, &plan, self.shared.clock.wall()))
    }

    /// The answer to somebody who presses too often.
    pub(in crate::delivery) fn limited(&self, by: &Presser, language: Language) -> Option<PressAnswer> {
        if self.shared.by_hand.pressers.admits(&format!("{} {}", self.platform, by.id), self.shared.clock.instant()) {
            return None;
        }
        self.shared.telemetry.metrics.pressed(self.platform, "", "limited");
        tracing::warn!(platform = self.platform, by = shown_as(by), "a person presses too often; the press is not taken");
        let text = if language == Language::Zh {
            "操作过于频繁，未生效，请稍后再试。"
        } else {
            "Not done: that was too often. Wait a moment and press again."
        };
        Some(PressAnswer { text: text.to_owned(), done: false })
    }

    /// The same as [`Self::refused`], and a row of the audit.
    pub(in crate::delivery) async fn refused_and_noted(&self, by: &Presser, why: &str, text: &str) -> Result<PressAnswer, StoreError> {
        let author = Author { name: shown_as(by).to_owned(), via: self.platform.to_owned(), from: String::new() };
        let intent = Intent { by: author, act: AuditAct::Press, on: format!("channel {}", self.asked), reason: String::new() };
        self.shared.note_audit(intent, AuditState::Refused, why).await;
        self.refused(by, why, text)
    }

    /// The answer to a press that changes nothing.
    pub(in crate::delivery) fn refused(&self, by: &Presser, why: &str, text: &str) -> Result<PressAnswer, StoreError> {
        self.shared.telemetry.metrics.pressed(self.platform, "", "refused");
        tracing::warn!(platform = self.platform, by = shown_as(by), why, "a press was refused");
        Ok(PressAnswer { text: text.to_owned(), done: false })
    }

    pub(in crate::delivery) fn language(&self, plan: &Plan) -> Language {
        plan.language_of(&self.asked)
    }
}

#[async_trait]
impl Presses for PlatformPresses {
    async fn press(&self, press: Press) -> PressAnswer {
        self.within_patience(self.take(press)).await
    }
}

impl PlatformPresses {
    /// What the store answers in time, else that it does not.
    pub(in crate::delivery) async fn within_patience(&self, taking: impl Future<Output = Result<PressAnswer, StoreError>>) -> PressAnswer {
        let zh = self.language(&self.shared.plan.load()) == Language::Zh;
        let failed = |en: &str, zh_text: &str| PressAnswer { text: if zh { zh_text } else { en }.into(), done: false };
        match tokio::time::timeout(ANSWER_TIMEOUT, taking).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                self.shared.health.request_failed(&error);
                failed("Not done: the store is not available. Press again in a moment.", "未生效：存储暂不可用，请重试。")
            }
            // What the store has begun it may still do.
            Err(_) => {
                failed("No answer from the store yet: look at the message in a moment, or press again.", "存储暂无响应：请稍后查看消息，或再次点击。")
            }
        }
    }
}

/// A person for logs and the audit: a phone number is shown without most of it.
fn shown_as(by: &Presser) -> &str {
    if by.id.starts_with('+') { &by.name } else { &by.id }
}
