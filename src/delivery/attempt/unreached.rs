//! Steps of an escalation that has reached nobody so far: what conditions, quiet hours or a limit keep such a step from waits for their end, and an alarm says
//! so. An escalation never ends without a word (I15).

use std::time::Duration;

use crate::delivery::pending::PendingMessage;
use crate::delivery::rota::Reached;
use crate::delivery::self_alert::SelfAlert;
use crate::delivery::steps::{StepPlan, StepTarget};
use crate::model::{Alert, IncidentId, Mentions, UnixMs};
use crate::store::{
    DeliveryUpdate, EVALUATED_PREFIX, EscalationStep, OutcomeBatch, PendingDelivery, PlannedStep, State, StepRow, StoreError, TimelineKind,
    TimelineRow, WAITS_PREFIX,
};

use super::AttemptTask;
use super::step::StepEnd;

/// How often a step that waits is evaluated: somebody else may be on call by then, something more severe may fire, and the configuration may be another one.
const EVALUATE: Duration = Duration::from_secs(300);

impl AttemptTask {
    /// The steps of a delivery's escalation as the configuration has them now, each with whether it would reach somebody.
    pub(super) fn planned(&self, step: &EscalationStep, member: &PendingDelivery, now: UnixMs) -> Vec<PlannedStep> {
        let Some(plan) = self.plan.people.escalations.get(step.escalation.as_str()) else { return Vec::new() };
        let planned = |one: &StepPlan| PlannedStep { after: one.after.as_millis() as i64, reaches: self.is_free(one, member, now) };
        plan.steps.iter().map(planned).collect()
    }

    /// Whether a later step waits of a message's run that would reach somebody now. The configuration may have got others since, which the run does not have.
    pub(super) async fn has_later_step(&self, message: &PendingMessage) -> Result<bool, StoreError> {
        let Some((step, member)) = message.step().zip(message.members.first()) else { return Ok(false) };
        let incidents: Vec<IncidentId> = member.incident.into_iter().collect();
        let (rows, now) = (self.shared.store.steps(&incidents).await?, self.shared.clock.wall());
        let waits = |row: &&StepRow| row.step.is_of_run(step) && row.step.number > step.number && !row.state.is_final();
        let reaches = |row: &StepRow| self.step_plan(&row.step).map_or_else(|| self.plan.sends(&row.channel), |plan| self.is_free(plan, member, now));
        Ok(rows.iter().filter(waits).any(reaches))
    }

    /// Whether another step of a delivery's escalation would reach somebody now: one of the channels that its labels lead to sends, and nothing keeps the step
    /// from everybody there.
    fn is_free(&self, step: &StepPlan, member: &PendingDelivery, now: UnixMs) -> bool {
        let (people, overrides, asked) = (&self.plan.people, self.shared.overrides(), step.people.asked());
        // After a restart its labels are not read.
        let alerts: Option<Vec<&Alert>> =
            member.event.as_deref().map(|event| member.target.alerts.iter().filter_map(|i| event.alerts.get(*i as usize)).collect());
        let reaches = |target: &StepTarget| {
            let Some(channel) = self.plan.channel(&target.channel).filter(|channel| !channel.disabled) else { return false };
            let asked = match (&asked, &alerts) {
                (Some(asked), Some(alerts)) => Some(people.of_owners(asked, alerts.iter().copied(), channel)),
                (Some(asked), None) => Some(asked.clone()).filter(|asked| asked.label.is_none()),
                (None, _) => None,
            };
            people.is_free(step, asked.as_ref(), &overrides, member.rank, now)
        };
        match &alerts {
            Some(alerts) => step.targets_of(alerts.iter().map(|alert| &alert.labels)).any(reaches),
            None => step.targets.iter().any(reaches),
        }
    }

    /// Whether a later step of a delivery's run comes that its severity lets pass, on a channel that sends. `rows` are the incident's steps.
    fn has_next(&self, member: &PendingDelivery, step: &EscalationStep, rows: &[StepRow]) -> bool {
        let admitted = |row: &StepRow| self.step_plan(&row.step).is_none_or(|plan| plan.when.admits(member.rank));
        let mut later = rows.iter().filter(|row| row.step.is_of_run(step) && row.step.number > step.number && !row.state.is_final());
        later.any(|row| admitted(row) && self.plan.sends(&row.channel))
    }

    /// What becomes of a step that finds nobody, as `reached` says: it is dead, so that the next one comes at once. Where none comes and an id is not found,
    /// it goes to its room without the mention, as `None` says, or waits for the person to whom it is written. `rows` are the incident's steps.
    pub(super) fn nobody_found(
        &self,
        member: &mut PendingDelivery,
        reached: &Reached,
        (step, rows): (&EscalationStep, &[StepRow]),
        now: UnixMs,
    ) -> Option<StepEnd> {
        let why = reached.missed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let dead = StepEnd { state: State::Dead, why, due_at: UnixMs::EPOCH, alarm: false };
        let (not_found, is_written) = (reached.not_found(), self.channel.platform.pings.writes_to_people());
        let is_last = !not_found.is_empty() && !self.has_next(member, step, rows);
        // Another channel of the step may reach them.
        let mut beside = rows.iter().filter(|row| row.id != member.id && row.step.is_of_run(step) && row.step.number == step.number);
        let is_alone = !beside.any(|row| !row.state.is_final() && self.plan.sends(&row.channel));
        let end = if is_last && is_written && is_alone { self.kept(member, step, rows, dead, now) } else { dead };
        // What waits has an alarm of its own, once.
        if end.state == State::Dead {
            self.shared.telemetry.raise(SelfAlert::nobody_on_call(&self.channel.name, &reached.missed));
        }
        if is_last && !is_written {
            member.target.mentions = Some(Mentions { people: not_found, ..Mentions::default() });
            return None;
        }
        Some(end)
    }

    /// What becomes of a step that something keeps from everybody now, as `end` says. Where the run of its escalation has reached nobody and no later step
    /// comes, it waits; where waiting does not help, an alarm says so. `rows` are the incident's steps.
    pub(super) fn kept(&self, member: &PendingDelivery, step: &EscalationStep, rows: &[StepRow], end: StepEnd, now: UnixMs) -> StepEnd {
        let admitted = |step: &EscalationStep| self.step_plan(step).is_none_or(|plan| plan.when.admits(member.rank));
        let others = || rows.iter().filter(move |row| row.id != member.id && row.step.is_of_run(step));
        if others().any(StepRow::has_reached) {
            return end;
        }
        let mut open = others().filter(|row| !row.state.is_final());
        let passes = !self.channel.disabled && admitted(step);
        let another = if passes {
            self.has_next(member, step, rows)
        } else {
            // Severity keeps the step from all of its channels alike. Of one that is disabled another may send.
            open.any(|row| row.step.number != step.number || (self.channel.disabled && self.plan.sends(&row.channel)))
        };
        if another {
            return end;
        }
        if self.channel.disabled {
            return StepEnd { alarm: true, ..end };
        }
        let due_at = now + EVALUATE;
        // An escalation that is only for what is more severe reaches nobody on purpose. Something that severe may join its incident later.
        if !passes && !others().any(|row| admitted(&row.step)) {
            let why = format!("{EVALUATED_PREFIX} while its incident fires: {}", end.why);
            return StepEnd { state: State::Deferred, why, due_at, alarm: false };
        }
        let why = format!("{WAITS_PREFIX}, for nobody was reached so far: {}", end.why);
        StepEnd { state: State::Deferred, why, due_at, alarm: !waited(member, rows) }
    }

    /// Lets a step wait until one of its recipients may get one more.
    pub(super) async fn waits_for_room(&self, member: &PendingDelivery, why: &str, due_at: UnixMs) -> Result<StepEnd, StoreError> {
        let incidents: Vec<IncidentId> = member.incident.into_iter().collect();
        let rows = self.shared.store.steps(&incidents).await?;
        Ok(StepEnd { state: State::Deferred, why: why.to_owned(), due_at, alarm: !waited(member, &rows) })
    }

    /// Raises the alarm that an escalation has reached nobody so far.
    pub(super) fn raise_unreached(&self, message: &PendingMessage, end: &StepEnd) {
        for member in message.members.iter().filter(|_| end.alarm) {
            let (Some(step), Some(incident)) = (&member.target.step, member.incident) else { continue };
            let waits = end.state == State::Deferred;
            tracing::warn!(%incident, delivery = %member.id, %step, why = end.why, waits, "an escalation has reached nobody so far");
            self.shared.telemetry.raise(SelfAlert::nobody_reached(step, incident, &end.why, waits));
        }
    }

    /// The outcome of a step that waits. It is read again when it is due, and addressed to those whose turn it is then.
    pub(super) fn waiting_batch(&self, message: &mut PendingMessage, end: &StepEnd) -> OutcomeBatch {
        let now = self.shared.clock.wall();
        let (mut updates, mut timeline) = (Vec::new(), Vec::new());
        for member in &mut message.members {
            (member.state, member.due_at) = (State::Deferred, end.due_at);
            updates.push(DeliveryUpdate {
                id: member.id,
                lane: member.lane,
                state: State::Deferred,
                tries: member.tries,
                due_at: end.due_at,
                reason: Some(end.why.clone()),
                leave_message: false,
            });
            if let (Some(step), Some(incident), true) = (&member.target.step, member.incident, end.alarm) {
                let text = format!("{step} {}", end.why);
                timeline.push((incident, TimelineRow { at: now, kind: TimelineKind::Escalated, channel: member.channel.clone(), text }));
            }
        }
        OutcomeBatch { timeline, ..self.outcome_batch(updates) }
    }
}

/// Whether a step waited before because something kept it from everybody: an alarm said so then. Mutes and twins move a step, too, and say nothing.
fn waited(member: &PendingDelivery, rows: &[StepRow]) -> bool {
    rows.iter().any(|row| row.id == member.id && row.waits)
}
