//! What a message says of its incidents, decided before it is composed: what rings, what the card will show by an edit, and what is nothing new.

use std::collections::{HashMap, HashSet};

use crate::channel::LivingMode;
use crate::delivery::evaluate::Evaluator;
use crate::delivery::incident::{How, Known, Moment, Notification, NotifiedIncident, Said, decide, decide_step, how_for, is_due_again, news};
use crate::delivery::pending::PendingMessage;
use crate::ingest::short_fingerprint;
use crate::model::{Event, EventId, Form, IncidentId, LaneId, Recipient, Status, UnixMs};
use crate::store::{
    AlertState, Anchor, AnchorUpdate, DeliveryUpdate, FallbackChild, Incident, NotifiedAlert, OutcomeBatch, PendingDelivery, State, StoreError,
};

use super::AttemptTask;
use super::persist::skipped;

/// An incident with the anchors that it has on the channel.
type Found = (Incident, Vec<Anchor>);

impl AttemptTask {
    /// Decides how the message reports its incidents, and takes out the members that have nothing to ring; what the store must know of those is returned.
    pub(super) async fn plan_notification(&self, message: &mut PendingMessage, now: UnixMs) -> Result<Option<OutcomeBatch>, StoreError> {
        message.notification = Notification::default();
        if let Some(held) = self.hold_doubted(message, now).await? {
            return Ok(Some(held));
        }
        // Its end is a message of its own where no edit will show it.
        let mode = match self.channel.content.living {
            LivingMode::Edit if self.outlet.mailbox.saves() => LivingMode::New,
            mode => mode,
        };
        let Some(found) = self.incidents_of(message, mode).await? else { return Ok(None) };
        let can = self.channel.driver.living(self.channel.platform);
        let repeat = self.plan.incidents.repeat;
        let (mut silent, mut silent_anchors, mut ended) = (HashMap::new(), Vec::new(), HashSet::new());
        let recipients = message.recipients(&self.channel).to_vec();
        let (mut rings, mut lanes) = (false, 0);
        let by_owner = self.mentions_owners(message);
        for (lane, members) in by_lane(&message.members) {
            // A lane that holds the end of one incident and the next one is about the next one; what is left of the other its card shows.
            let Some((incident, anchors)) = members.iter().rev().find_map(|member| found.get(&member.incident?)) else {
                (rings, lanes) = (true, lanes + 1);
                continue;
            };
            let said = said_by(&members, incident);
            let complete = members.iter().any(|member| Some(member.event_id) == newest(incident));
            let mut notice = NotifiedIncident::of(incident, &said, anchors, complete);
            let notified = Known::of(anchors, &recipients);
            let is_step = members.iter().any(|member| member.target.step.is_some());
            let mut moment = if is_step { decide_step(anchors, &recipients) } else { decide(&said, incident, &notified, repeat, now) };
            let fresh = news(&said, incident, &notified);
            // What fires beside it may be more severe, but is not theirs.
            if by_owner && let Moment::News { mentions } = &mut moment {
                *mentions |= self.is_of_others(message, &members, &fresh);
            }
            if !matches!(moment, Moment::First | Moment::News { .. }) {
                // It is news later.
                notice.notified.retain(|one| one.over || !notified.doubts(one.fingerprint, incident, now));
            }
            match moment {
                Moment::Over => notice.end(&notified),
                Moment::Again => message.notification.reminds.extend(reminded(incident, &notified)),
                Moment::News { .. } => message.notification.reminds.extend(owners(incident, &fresh)),
                _ => {}
            }
            let how = how_for(moment, mode, can, anchors, &recipients);
            if how == How::Silent {
                // The only edit is kept for the end, whose readers see then what came and went.
                let kept = can.spends.is_some() && !matches!(moment, Moment::Over | Moment::Missed);
                silent.insert(lane, self.silent_reason(incident, moment, !kept && all_are_edited(anchors, &recipients)));
                if !said.ends.is_empty() {
                    ended.insert(lane);
                }
                silent_anchors.extend(shown_by_edit(&self.channel.name, anchors, &notice, moment));
                continue;
            }
            rings |= matches!(how, How::Card { mentions: true, .. } | How::Line { mentions: true, .. });
            lanes += 1;
            message.notification.set(how, anchors);
            // A card says all of it: it is for all when what people know rings again with it.
            let is_line = message.notification.form == Form::News;
            if matches!(moment, Moment::News { .. }) && (is_line || !is_due_again(incident, &notified, repeat, now)) {
                message.notification.news = fresh;
            }
            message.notification.incidents.push(notice);
        }
        let notification = &mut message.notification;
        if lanes != 1 {
            (notification.form, notification.answers, notification.digest) = (Form::Card, Vec::new(), lanes > 1);
            notification.news.clear();
        }
        notification.mentions = rings;
        notification.edited = self.channel.follows_incidents() && !self.outlet.mailbox.saves();
        let children = if ended.is_empty() { Vec::new() } else { self.ends_elsewhere(message, &ended, now).await };
        Ok(self.silenced(message, &silent, silent_anchors, now).map(|batch| OutcomeBatch { children, ..batch }))
    }

    /// The incidents of the members by id; `None` where nothing that is known of them decides what is said.
    async fn incidents_of(&self, message: &PendingMessage, mode: LivingMode) -> Result<Option<HashMap<IncidentId, Found>>, StoreError> {
        let needed = mode != LivingMode::Off || self.channel.driver.wants_raw_payload() || self.channel.follows_incidents();
        if message.caller.is_some() || !needed {
            return Ok(None);
        }
        let ids: HashSet<IncidentId> = message.members.iter().filter_map(|member| member.incident).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let ids: Vec<IncidentId> = ids.into_iter().collect();
        let found = self.shared.store.incidents(&ids, &self.channel.name).await?;
        Ok(Some(found.into_iter().map(|one| (one.0.id, one)).collect()))
    }

    /// Holds a step back while twins disagree about all that it is for; what the store must know of that is returned.
    async fn hold_doubted(&self, message: &mut PendingMessage, now: UnixMs) -> Result<Option<OutcomeBatch>, StoreError> {
        let Some(guard) = self.step_guard(message).filter(|_| message.caller.is_none()) else { return Ok(None) };
        let (store, id) = (&self.shared.store, guard.incident);
        let found = store.incidents(&[id], &self.channel.name).await?;
        let Some(until) = found.first().and_then(|(incident, _)| incident.doubted_until(&guard.alerts, now)) else { return Ok(None) };
        let due_at = guard.step.held(&store.steps(&[id]).await?, until);
        let why = format!("its end was reported moments ago as #{id}: it comes later if it still fires then");
        let mut updates = Vec::new();
        for mut member in std::mem::take(&mut message.members) {
            tracing::info!(delivery = %member.id, channel = %self.channel.name, %due_at, why, "a step of an escalation is held back");
            (member.state, member.due_at) = (State::Deferred, due_at);
            updates.push(DeliveryUpdate { state: State::Deferred, due_at, ..skipped(&member, &why, now) });
            message.lanes.returned.push(member);
        }
        Ok(Some(self.outcome_batch(updates)))
    }

    /// The ends that follow their firing to the channels that it fell back to, though nothing is sent here.
    async fn ends_elsewhere(&self, message: &PendingMessage, ended: &HashSet<LaneId>, now: UnixMs) -> Vec<FallbackChild> {
        let earlier = self.earlier_fallbacks(message).await;
        let evaluator = Evaluator { plan: &self.plan, channel: &self.channel, now, jitter: 0.0, earlier_fallbacks: &earlier };
        let mut children = Vec::new();
        for member in message.members.iter().filter(|member| ended.contains(&member.lane)) {
            for (_, channels) in earlier.iter().filter(|(id, _)| *id == member.id) {
                children.extend(channels.iter().filter_map(|name| evaluator.child(member, name, Vec::new(), true)));
            }
        }
        children
    }

    /// Why nothing is sent; `edited` is whether its messages are kept up to date.
    fn silent_reason(&self, incident: &Incident, moment: Moment, edited: bool) -> String {
        let id = incident.id;
        // The end of an ack rang lately, and this is the next one.
        let held = incident.acks.unacked.as_ref().and_then(|unacked| unacked.held_until).filter(|_| incident.state.is_open());
        let later = held.map(|until| format!("; it rings at {until} if nobody is on it by then")).unwrap_or_default();
        if moment == Moment::Doubted {
            return format!("its end was reported moments ago as #{id}: it rings if it still fires a minute after that");
        }
        if edited && self.outlet.mailbox.saves() {
            return format!("state only: #{id} is not edited while what is left of the month's messages is kept for what rings{later}");
        }
        if edited {
            return format!("state only: shown by editing #{id}{later}");
        }
        let names: Vec<&str> = incident.attending().map(|ack| ack.by.name.as_str()).collect();
        let acked = if names.is_empty() { String::new() } else { format!(", and acked by {}", names.join(", ")) };
        format!("nothing new: notified as #{id}{acked}{later}")
    }

    /// Takes out the members of lanes that have nothing to ring.
    fn silenced(
        &self,
        message: &mut PendingMessage,
        silent: &HashMap<LaneId, String>,
        anchors: Vec<AnchorUpdate>,
        now: UnixMs,
    ) -> Option<OutcomeBatch> {
        if silent.is_empty() {
            return None;
        }
        let mut updates: Vec<DeliveryUpdate> = Vec::new();
        message.members.retain(|member| {
            let Some(why) = silent.get(&member.lane) else { return true };
            updates.push(skipped(member, why, now));
            false
        });
        for update in &updates {
            let name = &self.channel.name;
            self.shared.telemetry.metrics.delivered(self.channel.platform.name, name, update.state.as_str(), 1);
            tracing::info!(delivery = %update.id, channel = %name, reason = update.reason.as_deref().unwrap_or(""), "not sent: nothing of it is news");
        }
        Some(OutcomeBatch { anchors, ..self.outcome_batch(updates) })
    }

    /// How a message that was stored before a restart reports its incident.
    pub(super) async fn recall_notification(&self, message: &mut PendingMessage) -> Result<(), StoreError> {
        if message.pages().first().is_none_or(|page| page.facts.incident.number == 0) {
            return Ok(());
        }
        let permit = self.load_events(message, false).await?;
        let recalled = self.recall(message).await;
        message.drop_large_events();
        drop(permit);
        recalled
    }

    async fn recall(&self, message: &mut PendingMessage) -> Result<(), StoreError> {
        let Some(facts) = message.pages().first().map(|page| &page.facts).filter(|facts| facts.incident.number > 0) else { return Ok(()) };
        let (id, version, form) = (IncidentId(facts.incident.number), facts.incident.version, facts.form);
        // Few platforms mention people, and every one rings: also for whom a reminder is quiet.
        let mentions = !facts.mentions.is_empty() || form == Form::Again || message.pages().first().is_some_and(|page| !page.quiet);
        let found = self.shared.store.incidents(&[id], &self.channel.name).await?;
        let Some((incident, anchors)) = found.first() else { return Ok(()) };
        // What memory does not hold of the members was notified by them, too, but nobody knows which: it may ring once more.
        let members: Vec<&PendingDelivery> = message.members.iter().filter(|member| member.event.is_some()).collect();
        let said = said_by(&members, incident);
        let can = self.channel.driver.living(self.channel.platform);
        let mut notification = Notification { edited: self.channel.follows_incidents() && !self.outlet.mailbox.saves(), ..Notification::default() };
        let how = if form == Form::Card { How::Card { mentions, reply: false } } else { How::Line { form, reply: can.reply, mentions } };
        notification.set(how, anchors);
        let mut notice = NotifiedIncident { version, ..NotifiedIncident::of(incident, &said, anchors, incident.version == version) };
        if form != Form::News {
            // What twins disagree about was perhaps not in it: it rings if it still fires then.
            let (known, now) = (Known::of(anchors, message.recipients(&self.channel)), self.shared.clock.wall());
            notice.notified.retain(|one| one.over || !known.doubts(one.fingerprint, incident, now));
        }
        notification.incidents.push(notice);
        message.notification = notification;
        Ok(())
    }
}

/// Who is reminded of an ack of theirs since this channel rang last.
fn reminded(incident: &Incident, notified: &Known) -> impl Iterator<Item = String> {
    let acks = incident.acks.list.iter().filter(|ack| ack.reminded_in > notified.rang.version);
    acks.map(|ack| ack.by.id.clone())
}

/// Who is on what is news, because it fires again soon after its end.
fn owners(incident: &Incident, news: &HashSet<u64>) -> impl Iterator<Item = String> {
    let acks = incident.acks.list.iter().filter(|ack| ack.alerts.iter().any(|one| news.contains(one)));
    acks.map(|ack| ack.by.id.clone())
}

/// What went back to its lane is not notified by this message, nor is what it says more about than the message does.
pub(super) fn forget_deferred(message: &mut PendingMessage, later: &[PendingDelivery]) {
    let named = named_by(&message.members);
    let said_later = named_by(later);
    let left: HashSet<IncidentId> = message.members.iter().filter_map(|member| member.incident).collect();
    message.notification.incidents.retain(|incident| left.contains(&incident.id));
    for incident in &mut message.notification.incidents {
        incident.complete = false;
        incident.notified.retain(|one| {
            let place = (incident.id, one.fingerprint);
            named.contains(&place) && !said_later.contains(&place)
        });
    }
}

/// The alerts that deliveries carry, each with its incident.
fn named_by(members: &[PendingDelivery]) -> HashSet<(IncidentId, u64)> {
    let with_events = members.iter().filter_map(|member| Some((member.incident?, member.event.as_deref()?, &member.target.alerts)));
    let alerts = with_events.flat_map(|(id, event, alerts)| alerts.iter().filter_map(move |index| Some((id, event.alerts.get(*index as usize)?))));
    alerts.map(|(id, alert)| (id, short_fingerprint(&alert.fingerprint))).collect()
}

/// Members by lane, in the order of their first.
fn by_lane(members: &[PendingDelivery]) -> Vec<(LaneId, Vec<&PendingDelivery>)> {
    let mut lanes: Vec<(LaneId, Vec<&PendingDelivery>)> = Vec::new();
    for member in members {
        match lanes.last_mut() {
            Some((lane, members)) if *lane == member.lane => members.push(member),
            _ => lanes.push((member.lane, vec![member])),
        }
    }
    lanes
}

/// The newest state that deliveries of one lane name of each alert. Of what is not in memory the incident says it.
fn said_by(members: &[&PendingDelivery], incident: &Incident) -> Said {
    let ranks: HashMap<u64, u8> = incident.alerts.iter().map(|alert| (alert.fingerprint, alert.rank)).collect();
    let mut order: Vec<u64> = Vec::new();
    let mut fires: HashMap<u64, bool> = HashMap::new();
    let mut say = |fingerprint: u64, firing: bool| {
        if fires.insert(fingerprint, firing).is_none() {
            order.push(fingerprint);
        }
    };
    for member in members {
        match member.event.as_deref() {
            Some(event) => {
                for alert in member.target.alerts.iter().filter_map(|index| event.alerts.get(*index as usize)) {
                    say(short_fingerprint(&alert.fingerprint), alert.status == Status::Firing);
                }
            }
            None => incident.alerts.iter().for_each(|alert| match alert.state {
                AlertState::Firing => say(alert.fingerprint, true),
                AlertState::Resolved => say(alert.fingerprint, false),
                AlertState::Unreported => {}
            }),
        }
    }
    let rank = |fingerprint: &u64| ranks.get(fingerprint).copied().unwrap_or(3);
    Said {
        fires: order.iter().filter(|one| fires[*one]).map(|one| (*one, rank(one))).collect(),
        ends: order.iter().filter(|one| !fires[*one]).copied().collect(),
        left_out: members.last().and_then(|member| member.event.as_deref()).is_some_and(Event::may_fire_on),
    }
}

/// Whether each of these recipients has a message that is kept up to date by edits.
fn all_are_edited(anchors: &[Anchor], recipients: &[Recipient]) -> bool {
    recipients.iter().all(|recipient| anchors.iter().any(|anchor| anchor.edited && anchor.recipient == *recipient))
}

/// The newest event that an incident knows of. Ids grow with time.
fn newest(incident: &Incident) -> Option<EventId> {
    incident.alerts.iter().map(|alert| alert.event).max()
}

/// What a card shows from its next edit on, though nothing rang: it belongs to what its readers were notified.
fn shown_by_edit(channel: &str, anchors: &[Anchor], notice: &NotifiedIncident, moment: Moment) -> Vec<AnchorUpdate> {
    let edited = anchors.iter().filter(|anchor| anchor.edited);
    edited
        .map(|anchor| AnchorUpdate {
            incident: notice.id,
            channel: channel.to_owned(),
            recipient: anchor.recipient.clone(),
            message: anchor.message,
            ids: None,
            notified: {
                // An end that is shown is notified where nothing else reports it, and so is what came and went.
                let known = |one: &NotifiedAlert| anchor.notified.iter().find(|known| known.fingerprint == one.fingerprint);
                let shown = |one: &&NotifiedAlert| match moment {
                    Moment::Over => true,
                    // It is news later.
                    Moment::Doubted if !one.over => known(one).is_none_or(|known| !known.over),
                    _ => !one.over || known(one).is_none(),
                };
                notice.notified.iter().filter(shown).copied().collect()
            },
            shown: None,
            edited: true,
            rang: None,
        })
        .collect()
}
