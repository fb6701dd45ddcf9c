//! Steps of escalations: composed of what fires when they are due, and given up when nothing calls for them any more.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::channel::LivingMode;
use crate::delivery::evaluate::Evaluator;
use crate::delivery::heavy::LARGE_BODY;
use crate::delivery::intake;
use crate::delivery::pending::{PendingMessage, Phase};
use crate::delivery::people::{PersonName, Way};
use crate::delivery::self_alert::SelfAlert;
use crate::delivery::steps::{StepPeople, StepPlan, StepTarget};
use crate::ingest::short_fingerprint;
use crate::model::{Alert, Event, EventId, IncidentId, Mentions, UnixMs, title};
use crate::store::{
    AlertState, CellState, DeliveryUpdate, EscalationStep, Incident, OutcomeBatch, PendingDelivery, State, StepGuard, StepRow, StoreError, Summary,
    TimelineKind, TimelineRow,
};

use super::persist::skipped;
use super::{AttemptResult, AttemptTask};

const DISABLED: &str = "the channel is disabled (`disabled: true`)";
/// Events that are read to show what fires: those of the newest alerts.
const MAX_EVENTS: usize = 50;

impl AttemptTask {
    /// Makes a step one of what fires now of its incident, for those whose turn it is. Returns why it ends without being sent; `None` where it goes on, and
    /// for what is no step.
    pub(super) async fn renew_step(&self, message: &mut PendingMessage, now: UnixMs) -> Result<Option<StepEnd>, StoreError> {
        let is_formed = matches!(message.phase, Phase::Formed);
        let Some(member) = message.members.first_mut().filter(|member| member.target.step.is_some()) else { return Ok(None) };
        let (Some(step), Some(id)) = (member.target.step.clone(), member.incident) else { return Ok(None) };
        let store = &self.shared.store;
        let found = store.incidents(&[id], &self.channel.name).await?;
        let incident = found.first().map(|(incident, _)| incident);
        let firing = match incident {
            Some(incident) => self.firing_of(incident, member, &step.escalation).await?,
            None => None,
        };
        // The configuration may name others since the escalation began, or other numbers of theirs.
        if is_formed
            && member.fallback.of.is_none()
            && let Some(to) = self.step_target(&step)
        {
            (member.target.recipients, member.target.mentions) = (to.recipients.clone(), to.mentions.clone());
        }
        // What somebody is on is shown, and wakes nobody.
        let is_nobodys = |alert: &&Alert| !incident.is_some_and(|incident| incident.is_acked(short_fingerprint(&alert.fingerprint)));
        if let Some(asked) = member.target.mentions.take() {
            let alerts = firing.iter().flat_map(|(_, alerts)| alerts).filter(is_nobodys);
            member.target.mentions = Some(self.plan.people.of_owners(&asked, alerts, &self.channel));
        }
        if let Some((event, alerts)) = firing {
            let shown: Vec<&Alert> = alerts.iter().collect();
            let open: Vec<&Alert> = alerts.iter().filter(is_nobodys).collect();
            member.rank = intake::rank(&open, &self.plan);
            member.summary = Summary { title: title(&shown), firing: alerts.len() as u32, resolved: 0 };
            member.target.alerts = (0..alerts.len() as u32).collect();
            member.event = Some(Arc::new(Event { alerts, ..event.as_ref().clone() }));
        }
        let guard = self.guard(member, id, step, fingerprints(member), now);
        let rows = store.steps(&[id]).await?;
        if let Err(why) = guard.check(incident, &rows) {
            return Ok(Some(StepEnd::skipped(&why)));
        }
        let plan = self.step_plan(&guard.step);
        let kept = match plan.map_or(Ok(()), |plan| plan.when.holds(member.rank, now)) {
            _ if self.channel.disabled => Some(StepEnd::skipped(DISABLED)),
            Err(why) => Some(StepEnd::skipped(&why)),
            Ok(()) => self.take_turn(member, plan.map(|plan| &plan.people), (&guard.step, &rows), now).await,
        };
        if let Some(end) = kept {
            return Ok(Some(if end.state == State::Skipped { self.kept(member, &guard.step, &rows, end, now) } else { end }));
        }
        // Its time came: from here on it waits like anything else. What waited longer than planned is as old as its new time.
        if member.due_at > member.born_at + 1 {
            member.born_at = member.due_at;
        }
        member.state = State::Waiting;
        Ok(None)
    }

    /// What the configuration says of a step: it may have got others before it since, or come at another time.
    pub(super) fn step_plan(&self, step: &EscalationStep) -> Option<&StepPlan> {
        let steps = &self.plan.people.escalations.get(step.escalation.as_str())?.steps;
        let times: Vec<i64> = steps.iter().map(|plan| plan.after.as_millis() as i64).collect();
        steps.get(step.place_among(&times)?)
    }

    /// To whom the configuration now sends a step on this channel; `None` where it has no such step any more.
    fn step_target(&self, step: &EscalationStep) -> Option<&StepTarget> {
        let plan = self.step_plan(step).filter(|plan| comes_after(plan, step))?;
        plan.targets.iter().find(|to| to.channel == *self.channel.name)
    }

    /// Sends a step to those whose turn it is and who have no quiet hours; returns why there is nobody. `of` is the step, with those of its incident.
    async fn take_turn(
        &self,
        member: &mut PendingDelivery,
        people: Option<&StepPeople>,
        of: (&EscalationStep, &[StepRow]),
        now: UnixMs,
    ) -> Option<StepEnd> {
        let rank = member.rank;
        let quiet = |names: &[PersonName]| Some(StepEnd::skipped(&format!("quiet hours of {}", names.join(", "))));
        if let Some(StepPeople::Named(names)) = people {
            let left = self.leave_alone(member, names, rank, now);
            let somebody = !member.target.recipients.is_empty() || member.target.mentions.as_ref().is_some_and(|mentions| !mentions.is_empty());
            if !left.is_empty() && !somebody {
                return quiet(&left);
            }
        }
        let asked = member.target.mentions.as_ref().filter(|asked| asked.has_people())?.clone();
        let mut reached = self.reached(&asked, Some(rank), now).await;
        // Some are known already, and the ids of others are looked up.
        reached.recipients.splice(0..0, std::mem::take(&mut member.target.recipients));
        if !reached.is_somebody() && reached.missed.is_empty() {
            return quiet(&reached.quiet);
        }
        let named = reached.named();
        if !reached.is_somebody() && !named.is_empty() {
            // The channel's own recipients get it, and it says for whom it is.
            member.target.mentions = Some(Mentions { people: named, ..Mentions::default() });
            return None;
        }
        if !reached.is_somebody() {
            return self.nobody_found(member, &reached, of, now);
        }
        for missed in &reached.missed {
            tracing::warn!(delivery = %member.id, channel = %self.channel.name, %missed, "a step of an escalation reaches nobody in their place");
            if missed.is_vacant() {
                self.shared.telemetry.raise(SelfAlert::nobody_on_call(&self.channel.name, std::slice::from_ref(missed)));
            }
        }
        (member.target.recipients, member.target.mentions) = (reached.recipients, Some(reached.mentions));
        None
    }

    /// Takes out of a step those of these people who have quiet hours. Returns them.
    fn leave_alone(&self, member: &mut PendingDelivery, names: &[PersonName], rank: i64, now: UnixMs) -> Vec<PersonName> {
        let people = names.iter().filter_map(|name| self.plan.people.people.get(name));
        let mut left = Vec::new();
        for person in people.filter(|person| person.is_quiet(rank, now)) {
            match person.way(self.channel.platform) {
                Ok(Way::To(recipient)) => member.target.recipients.retain(|one| *one != recipient),
                Ok(Way::Mention(one)) => {
                    let Some(mentions) = &mut member.target.mentions else { continue };
                    mentions.users.retain(|id| !one.users.contains(id));
                    mentions.mobiles.retain(|number| !one.mobiles.contains(number));
                }
                Err(_) => continue,
            }
            left.push(person.name.clone());
        }
        left
    }

    /// The newest event of what fires of an incident, and the alerts that the escalation is for: those that it began with, and those that are routed to it.
    /// `None` when no event of them can be read.
    async fn firing_of(
        &self,
        incident: &Incident,
        member: &PendingDelivery,
        escalation: &str,
    ) -> Result<Option<(Arc<Event>, Vec<Alert>)>, StoreError> {
        let mut places: BTreeMap<EventId, Vec<u32>> = BTreeMap::new();
        for alert in incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing) {
            places.entry(alert.event).or_default().push(alert.index);
        }
        let ids: Vec<EventId> = places.keys().rev().copied().take(MAX_EVENTS).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let bodies = self.shared.store.load_events(&ids, LARGE_BODY).await?;
        let mut events = bodies.events;
        if events.is_empty() && bodies.left > 0 {
            let _permit = self.shared.heavy.large_body().await;
            events = self.shared.store.load_events(&ids[..1], usize::MAX).await?.events;
        }
        let first: HashSet<u64> = fingerprints(member).into_iter().collect();
        let tree = &self.plan.tree;
        let mut nodes = Vec::new();
        let mut is_meant = |alert: &Alert| {
            nodes.clear();
            tree.select(&alert.labels, &mut nodes);
            let routed = nodes.iter().any(|node| tree.nodes()[*node].escalation.as_deref() == Some(escalation));
            routed || first.contains(&short_fingerprint(&alert.fingerprint))
        };
        let mut alerts = Vec::new();
        for stored in &events {
            let of = places.get(&stored.id).into_iter().flatten();
            alerts.extend(of.filter_map(|index| stored.event.alerts.get(*index as usize)).filter(|alert| is_meant(alert)).cloned());
        }
        Ok(events.into_iter().next().filter(|_| !alerts.is_empty()).map(|newest| (newest.event, alerts)))
    }

    /// What must hold for a step to begin; `None` for what is no step.
    pub(super) fn step_guard(&self, message: &PendingMessage) -> Option<StepGuard> {
        let member = message.members.first()?;
        let known = fingerprints(member);
        // After a restart its page is all that is known of it.
        let notified = message.notification.incidents.iter().flat_map(|incident| &incident.notified).map(|one| one.fingerprint);
        let alerts = if known.is_empty() { notified.collect() } else { known };
        Some(self.guard(member, member.incident?, member.target.step.clone()?, alerts, self.shared.clock.wall()))
    }

    fn guard(&self, member: &PendingDelivery, incident: IncidentId, step: EscalationStep, alerts: Vec<u64>, now: UnixMs) -> StepGuard {
        let planned = self.planned(&step, member, now);
        StepGuard { incident, step, alerts, planned, now }
    }

    /// Ends a step or a call that nothing calls for any more. What is on disk of it ends, too. Where something calls for it again by then, its outlet is
    /// read again, and it is tried.
    pub(super) async fn overtaken(&self, mut message: PendingMessage, why: &str) -> AttemptResult {
        let batch = OutcomeBatch { needless: self.attempt_guard(&message), ..self.ended_batch(&message, &StepEnd::skipped(why)) };
        let recorded = self.record_outcome(self.cancelled(&mut message, batch)).await;
        self.complete(&mut message, Vec::new(), recorded.is_err())
    }

    /// Ends what waited when its channel was disabled, with what is on disk of it. What came here because another channel could not deliver it goes on to
    /// the next fallback.
    pub(super) async fn skip_disabled(&self, mut message: PendingMessage) -> AttemptResult {
        let now = self.shared.clock.wall();
        let evaluator = Evaluator { plan: &self.plan, channel: &self.channel, now, jitter: 0.0, earlier_fallbacks: &[] };
        let next = |member: &PendingDelivery| {
            let (to, rest) = self.plan.fallback(&member.target.fallback).filter(|(to, _)| !to.disabled)?;
            evaluator.child(member, &to.name, rest.to_vec(), false)
        };
        let children = message.members.iter().filter(|member| member.fallback.of.is_some()).filter_map(next).collect();
        let batch = OutcomeBatch { children, ..self.ended_batch(&message, &StepEnd::skipped(DISABLED)) };
        let recorded = self.record_outcome(self.cancelled(&mut message, batch)).await;
        self.complete(&mut message, Vec::new(), false).recorded(recorded)
    }

    /// Ends a step without sending it, or lets it wait. What is `later` goes back to the lanes.
    pub(super) async fn not_sent_now(&self, message: &mut PendingMessage, end: StepEnd, mut later: Vec<PendingDelivery>) -> AttemptResult {
        self.raise_unreached(message, &end);
        let waits = end.state == State::Deferred;
        let batch = if waits { self.waiting_batch(message, &end) } else { self.ended_batch(message, &end) };
        let recorded = self.record_outcome(batch).await;
        if end.state == State::Dead {
            self.shared.change_steps_soon();
        }
        let members = std::mem::take(&mut message.members);
        if waits {
            later.extend(members);
        }
        self.complete(message, later, recorded.is_err())
    }

    /// The outcome of what ends without being sent.
    fn ended_batch(&self, message: &PendingMessage, end: &StepEnd) -> OutcomeBatch {
        let now = self.shared.clock.wall();
        let why = end.why.as_str();
        // Of several people the first may have been reached by then.
        let state = if message.cells.iter().any(|cell| cell.state == CellState::Ok) { State::Sent } else { end.state };
        let ended = |member: &PendingDelivery| DeliveryUpdate { state, ..skipped(member, why, now) };
        let updates: Vec<DeliveryUpdate> = message.members.iter().map(ended).collect();
        for member in &message.members {
            let channel = &self.channel.name;
            self.shared.telemetry.metrics.delivered(self.channel.platform.name, channel, state.as_str(), 1);
            if member.target.step.is_none() {
                tracing::info!(delivery = %member.id, channel = %channel, why, "not sent: nothing calls for it any more");
                continue;
            }
            self.shared.telemetry.metrics.escalation_step(state.as_str());
            tracing::info!(delivery = %member.id, channel = %channel, why, "a step of an escalation goes no further");
        }
        let timeline = step_rows(message, &updates, now);
        // A step rings whatever people know. Of a call it is kept whom it reached: the end of the ack rings them again.
        let keeps = message.step().is_none() && self.channel.content.living != LivingMode::Off;
        let anchors = if keeps { message.notification.anchors(message.id, &self.channel.name, &message.cells) } else { Vec::new() };
        OutcomeBatch { timeline, anchors, ..self.outcome_batch(updates) }
    }
}

/// Whether a step comes as long after the first message as the configuration now says of one.
fn comes_after(plan: &StepPlan, step: &EscalationStep) -> bool {
    plan.after.as_millis() as i64 == step.after
}

/// Why a step is not sent now.
pub(super) struct StepEnd {
    /// Skipped when nothing calls for it any more, or something keeps it from being sent; dead when it could reach nobody; deferred when it waits.
    pub(super) state: State,
    pub(super) why: String,
    /// When a deferred one is due.
    pub(super) due_at: UnixMs,
    /// Whether an alarm says that nobody was reached.
    pub(super) alarm: bool,
}

impl StepEnd {
    fn skipped(why: &str) -> Self {
        Self { state: State::Skipped, why: why.to_owned(), due_at: UnixMs::EPOCH, alarm: false }
    }
}

/// What the timelines of incidents say of steps that end.
pub(super) fn step_rows(message: &PendingMessage, updates: &[DeliveryUpdate], now: UnixMs) -> Vec<(IncidentId, TimelineRow)> {
    let ended = updates.iter().filter(|update| update.state.is_final());
    let row = |update: &DeliveryUpdate| {
        let member = message.members.iter().find(|member| member.id == update.id)?;
        let (step, incident) = (member.target.step.as_ref()?, member.incident?);
        let why = update.reason.as_deref().map_or_else(String::new, |why| format!(": {why}"));
        let text = format!("{step} {}{why}", update.state.as_str());
        Some((incident, TimelineRow { at: now, kind: TimelineKind::Escalated, channel: member.channel.clone(), text }))
    };
    ended.filter_map(row).collect()
}

/// The alerts that a delivery carries, as far as it is in memory.
pub(super) fn fingerprints(member: &PendingDelivery) -> Vec<u64> {
    let Some(event) = member.event.as_deref() else { return Vec::new() };
    let alerts = member.target.alerts.iter().filter_map(|index| event.alerts.get(*index as usize));
    alerts.map(|alert| short_fingerprint(&alert.fingerprint)).collect()
}
