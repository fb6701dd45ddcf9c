//! Presses without a button of ours: keys in calls, text messages that answer ours, and what people do about an incident at a platform that keeps it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::engine::Engine;
use super::plan::ChannelPlan;
use super::press::{PlatformPresses, gone};
use crate::channel::{Command, Kept, Press, PressAnswer, Presser, kit};
use crate::model::{ButtonValue, DeliveryId, IncidentId, Language, MessageId, Page, PlatformIds, Recipient, UnixMs, Verb, hash_hex};
use crate::store::{
    AckRules, Act, ActOn, Actor, AlertState, DeliveryRow, Incident, IncidentFilter, IncidentState, PressKey, ReceiptRow, ShownIn, State, StoreError,
};

/// So many of the last messages to a number are searched for what a text message is about.
const MAX_MESSAGES: usize = 20;
/// So many open incidents are read at a time.
const MAX_PAGE: usize = 500;

impl Engine {
    /// Does what a text message to a channel's number asks for: about the last message to this person that is about an incident, or about the incident that it
    /// names. An empty answer: the sender got no message of ours, or asked for nothing and is not answered.
    pub async fn command(&self, asked: &ChannelPlan, command: Command) -> PressAnswer {
        let presses = self.platform_presses(asked);
        presses.within_patience(presses.command(command)).await
    }

    /// Somebody pressed a key in a call: the vendor said so at the channel's callback address. Nobody is answered; what was refused is logged.
    pub(super) async fn key_pressed(&self, channel: &ChannelPlan, call: &ReceiptRow, key: &str) -> Result<(), StoreError> {
        let presses = self.platform_presses(channel);
        let by = Presser::of_number(&call.recipient);
        let Some(verb) = kit::phone::verb_of_key(key) else {
            return presses.refused(&by, "not a key that does anything", "").map(|_| ());
        };
        let Some(message) = self.shared.store.get_message(call.message).await? else {
            return presses.refused(&by, "no such message", "").map(|_| ());
        };
        let on = self.shared.shown_in(&message, 0).await?;
        let press = Press { event_id: format!("{}.{key}", call.platform_id), value: String::new(), message: PlatformIds::default(), by };
        presses.act(channel, verb, Duration::ZERO, press, on).await.map(|_| ())
    }

    /// Does what somebody did at the platform about the incidents that have this key there: about what the channel shows of them. Who may report for one account
    /// may not act on what only another one was notified of, whose key anybody can compute who knows the group. A platform may report it days later, when another
    /// incident has the key: what began after it is not meant. What was refused is logged.
    pub async fn kept(&self, channel: &ChannelPlan, kept: Kept) -> Result<(), StoreError> {
        let presses = self.platform_presses(channel);
        let states = vec![IncidentState::Firing, IncidentState::Acked, IncidentState::Snoozed];
        let mut filter = IncidentFilter { states, limit: MAX_PAGE, ..IncidentFilter::default() };
        let (mut ids, mut too_late) = (Vec::new(), false);
        loop {
            let page = self.shared.store.list_incidents(&filter).await?;
            let (meant, newer): (Vec<_>, Vec<_>) =
                page.iter().filter(|incident| has_key(incident, &kept)).partition(|incident| is_meant(incident, &kept));
            ids.extend(meant.into_iter().map(|incident| incident.id));
            too_late |= !newer.is_empty();
            filter.before = page.last().map(|incident| incident.id);
            if page.len() < MAX_PAGE {
                break;
            }
        }
        let on = self.shown_on(channel, &ids, kept.occurred_at).await?;
        if on.is_empty() {
            if !ids.is_empty() {
                let why = "this channel was not notified of the incident that has this key";
                return presses.refused_and_noted(&kept.by, why, "").await.map(|_| ());
            }
            // An account may have incidents of others, too: no row for each.
            let why = if too_late { "too late: the incident that has this key now began after it" } else { "no open incident has this key" };
            return presses.refused(&kept.by, why, "").map(|_| ());
        }
        let press = Press { event_id: kept.event_id, value: String::new(), message: PlatformIds::default(), by: kept.by };
        presses.act(channel, kept.verb, Duration::ZERO, press, on).await.map(|_| ())
    }

    /// What of these incidents a channel shows, and others with its credential: the platform keeps one incident for them.
    async fn shown_on(&self, channel: &ChannelPlan, ids: &[IncidentId], at: UnixMs) -> Result<Vec<ActOn>, StoreError> {
        let is_of = |name: &str| *name == *channel.name || self.shared.current_channel(name).is_some_and(|other| other.outlet == channel.outlet);
        let mut on: Vec<ActOn> = Vec::new();
        for id in ids {
            let Some(detail) = self.shared.store.get_incident(*id).await? else { continue };
            let shown = |channel: &str, begun: Vec<u64>| {
                let shown = ShownIn { channel: channel.to_owned(), version: 0, formed_at: at, pressed: None, begun };
                ActOn { incident: *id, shown: Some(shown) }
            };
            let names: BTreeSet<&str> = detail.anchors.iter().map(|anchor| anchor.channel.as_str()).filter(|name| is_of(name)).collect();
            on.extend(names.iter().map(|name| shown(name, Vec::new())));
            if names.is_empty() {
                // The platform may have them though nobody knows it yet: what a person did about them meanwhile it reports once.
                let begun = self.shared.alerts_of(&may_be_there(detail.deliveries.iter().filter(|row| is_of(&row.channel)))).await?;
                on.extend((!begun.is_empty()).then(|| shown(&channel.name, begun)));
            }
        }
        Ok(on)
    }

    /// What a person is shown whose message is no longer stored.
    pub fn gone(&self, asked: &ChannelPlan) -> PressAnswer {
        PressAnswer { text: gone(self.shared.plan.load().language_of(&asked.name)).to_owned(), done: false }
    }

    /// The page that the call of a button's value reads; `None`: there is none any more.
    pub async fn called_page(&self, asked: &ChannelPlan, value: &str) -> Result<Option<Page>, StoreError> {
        let Some(value) = ButtonValue::decode(value) else { return Ok(None) };
        let Some(id) = self.message_to_act_on(&value.code).await? else { return Ok(None) };
        let message = self.shared.store.get_message(id).await?.filter(|message| message.platform == asked.platform.name);
        Ok(message.and_then(|message| message.pages.into_iter().next()))
    }
}

fn has_key(incident: &Incident, kept: &Kept) -> bool {
    hash_hex(&[&incident.source, &incident.group_key]) == kept.key
}

/// Of deliveries, oldest first, those that the platform may have: what a channel sends now, and what ended without a word of the platform. What waits behind
/// it nobody has seen.
fn may_be_there<'a>(rows: impl Iterator<Item = &'a DeliveryRow>) -> Vec<DeliveryId> {
    let (mut found, mut waits) = (Vec::new(), BTreeSet::new());
    for row in rows {
        let may_be_there = match row.state {
            State::Waiting => waits.insert(row.channel.as_str()),
            State::Dead | State::Unknown => row.tries > 0,
            _ => false,
        };
        if may_be_there {
            found.push(row.id);
        }
    }
    found
}

/// Whether who did it can have meant the incident as it is: it was open, and not all of what fires now began later, as after a reopening.
fn is_meant(incident: &Incident, kept: &Kept) -> bool {
    let mut firing = incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing).peekable();
    let goes_on = firing.peek().is_none() || firing.any(|alert| alert.changed_at <= kept.occurred_at);
    incident.opened_at <= kept.occurred_at && goes_on
}

impl PlatformPresses {
    async fn command(&self, command: Command) -> Result<PressAnswer, StoreError> {
        let messages = self.messages_to(&Recipient::new(command.by.id.as_str())).await?;
        if messages.is_empty() {
            return self.refused(&command.by, "no message was sent to this number", "");
        }
        let Some(verb) = command.verb else { return self.refused(&command.by, "the text is no command", "") };
        let answer = self.obey(verb, command.clone(), messages).await?;
        if !answer.done {
            self.remember(verb, command).await?;
        }
        Ok(answer)
    }

    /// Remembers a text that did nothing: vendors sign no time, and what is sent once more later would be about what was sent to the person since.
    async fn remember(&self, verb: Verb, command: Command) -> Result<(), StoreError> {
        let Command { event_id, by, .. } = command;
        let act = Act {
            press: PressKey { platform: self.platform.to_owned(), event_id },
            verb,
            until: None,
            labels: BTreeMap::new(),
            mutes: BTreeMap::new(),
            by: Actor { id: format!("{}:{}", self.platform, by.id), name: by.name, via: String::new() },
            on: Vec::new(),
            rules: AckRules { remind_after: 0, expires_after: 0, repeat: 0 },
            now: self.shared.clock.wall(),
        };
        self.shared.store.act(act).await.map(|_| ())
    }

    async fn obey(&self, verb: Verb, command: Command, messages: Vec<MessageId>) -> Result<PressAnswer, StoreError> {
        let Command { event_id, incident, by, .. } = command;
        let plan = self.shared.plan.load_full();
        if let Some(limited) = self.limited(&by, self.language(&plan)) {
            return Ok(limited);
        }
        let zh = self.language(&plan) == Language::Zh;
        for id in messages {
            let Some(message) = self.shared.store.get_message(id).await? else { continue };
            let Some(channel) = self.shared.current_channel(&message.channel) else { continue };
            // The version that it shows is in its buttons.
            let shown = message.pages.first().and_then(|page| page.facts.incident.buttons.first());
            let version = shown.and_then(|button| ButtonValue::decode(&button.value)).map_or(0, |value| value.version);
            let mut on = self.shared.shown_in(&message, version).await?;
            on.retain(|on| incident.is_none_or(|number| on.incident == IncidentId(number)));
            match on.as_slice() {
                [] => {}
                [_] => {
                    return self
                        .act(&channel, verb, Duration::ZERO, Press { event_id, value: String::new(), message: PlatformIds::default(), by }, on)
                        .await;
                }
                several => {
                    let names: Vec<String> = several.iter().take(3).map(|on| format!("#{}", on.incident)).collect();
                    let (names, first) = (names.join(", "), several[0].incident);
                    let text = if zh {
                        format!("该消息涉及多个事件（{names} 等），请注明编号，例如：{first} 收到")
                    } else {
                        format!("The message is about several incidents ({names}). Name one: {first} ok")
                    };
                    return self.refused(&by, "the text names none of several incidents", &text);
                }
            }
        }
        let text = match (incident, zh) {
            (Some(number), true) => format!("近期发给你的消息中没有事件 #{number}，未做任何操作。"),
            (Some(number), false) => format!("No message to you was about #{number} lately; nothing was done."),
            (None, true) => "近期发给你的消息没有对应的事件，未做任何操作。".to_owned(),
            (None, false) => "No message to you was about an incident lately; nothing was done.".to_owned(),
        };
        self.refused(&by, "no such message", &text)
    }

    /// The last messages to a person from the number that was answered, the newest first, without those that did not arrive.
    async fn messages_to(&self, person: &Recipient) -> Result<Vec<MessageId>, StoreError> {
        let plan = self.shared.plan.load_full();
        let Some(asked) = plan.channel(&self.asked) else { return Ok(Vec::new()) };
        let rows = self.shared.store.receipts_to(person, &plan.names_of(&asked.outlet), MAX_MESSAGES).await?;
        Ok(rows.into_iter().map(|row| row.message).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;
    use crate::store::{IncidentReport, ReportedAlert};

    fn opened(at: UnixMs) -> Incident {
        let alert = ReportedAlert { fingerprint: 1, start: None, fires: true, rank: 0, index: 0 };
        let report = IncidentReport { source: "alertmanager".into(), ..IncidentReport::of_group("{}:{}", vec![alert]) };
        Incident::open(&report, EventId::new(), at).expect("it fires")
    }

    fn kept(at: UnixMs) -> Kept {
        let by = Presser { id: "P1".into(), name: "Ann".into(), foreign: false };
        Kept { event_id: "e".into(), verb: Verb::Close, key: hash_hex(&["alertmanager", "{}:{}"]), occurred_at: at, by }
    }

    #[test]
    fn what_was_done_at_a_platform_is_about_what_had_begun_by_then() {
        let mut incident = opened(UnixMs(1000));
        assert!(has_key(&incident, &kept(UnixMs(1000))) && is_meant(&incident, &kept(UnixMs(1000))));
        assert!(!is_meant(&incident, &kept(UnixMs(999))), "another incident of the group, which nobody has seen");
        // It was resolved and fires again.
        incident.alerts[0].changed_at = UnixMs(2000);
        assert!(!is_meant(&incident, &kept(UnixMs(1999))) && is_meant(&incident, &kept(UnixMs(2000))));
        let more = incident.alerts[0];
        incident.alerts.push(crate::store::IncidentAlert { fingerprint: 2, changed_at: UnixMs(1000), ..more });
        assert!(is_meant(&incident, &kept(UnixMs(1999))), "something of it goes on");
        incident.group_key = "another".into();
        assert!(!has_key(&incident, &kept(UnixMs(3000))));
    }
}
