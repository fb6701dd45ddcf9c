//! Steps of an escalation that has reached nobody so far: what conditions, quiet hours or a limit keep such a step from waits for their end, and an alarm says
//! so. An escalation never ends without a word (I15).

use std::time::Duration;

use crate::delivery::pending::PendingMessage;
use crate::delivery::self_alert::SelfAlert;
use crate::delivery::steps::{StepPlan, StepTarget};
use crate::model::{IncidentId, UnixMs};
use crate::store::{
    DeliveryUpdate, EVALUATED_PREFIX, EscalationStep, OutcomeBatch, PendingDelivery, State, StepRow, StoreError, TimelineKind, TimelineRow,
    WAITS_PREFIX,
};

use super::AttemptTask;
use super::step::StepEnd;

/// How often a step that waits is evaluated: somebody else may be on call by then, something more severe may fire, and the configuration may be another one.
const EVALUATE: Duration = Duration::from_secs(300);

impl AttemptTask {
    /// The times of later steps that would reach nobody now: late as they are, they take no other one's place.
    pub(super) fn kept_later(&self, step: &EscalationStep, member: &PendingDelivery, now: UnixMs) -> Vec<i64> {
        let Some(plan) = self.plan.people.escalations.get(step.escalation.as_str()) else { return Vec::new() };
        let kept = plan.later_than(step.after).filter(|one| !self.is_free(one, member, now));
        kept.map(|one| one.after.as_millis() as i64).collect()
    }

    /// Whether another step of a delivery's escalation would reach somebody now: one of the channels that its labels lead to sends, and nothing keeps the step
    /// from everybody.
    pub(super) fn is_free(&self, step: &StepPlan, member: &PendingDelivery, now: UnixMs) -> bool {
        let sends = |target: &StepTarget| self.sends(&target.channel);
        let leads = match &member.event {
            Some(event) => {
                let alerts = member.target.alerts.iter().filter_map(|i| event.alerts.get(*i as usize));
                step.targets_of(alerts.map(|alert| &alert.labels)).any(sends)
            }
            // After a restart its labels are not read.
            None => step.targets.iter().any(sends),
        };
        leads && self.plan.people.is_free(step, &self.shared.overrides(), member.rank, now)
    }

    /// Whether a channel is there and not disabled.
    fn sends(&self, channel: &str) -> bool {
        self.plan.channel(channel).is_some_and(|channel| !channel.disabled)
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
            open.any(|row| row.step.number > step.number && admitted(&row.step) && self.sends(&row.channel))
        } else {
            // Severity keeps the step from all of its channels alike. Of one that is disabled another may send.
            open.any(|row| row.step.number != step.number || (self.channel.disabled && self.sends(&row.channel)))
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
