//! The deliveries that an escalation is made of. Pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::delivery::intake::rank;
use crate::delivery::plan::Plan;
use crate::delivery::steps::StepTarget;
use crate::model::{Alert, DeliveryId, Event, Status, UnixMs, title};
use crate::store::{
    DeliveryIncident, EscalationStep, Fallback, IncidentReport, Mode, NewDelivery, STEP_LANE_PREFIX, State, Summary, Target, group_of,
};

/// Where an escalation begins.
#[derive(Debug, Clone, Copy)]
pub struct Beginning<'a> {
    /// The incident that nobody has acked.
    pub incident: DeliveryIncident,
    /// An event of it.
    pub event: &'a Event,
    /// The alerts of the event that the escalation is for: places in it.
    pub alerts: &'a [u32],
    /// When people are notified of it first; the steps come so long after.
    pub base: UnixMs,
    /// Now.
    pub now: UnixMs,
}

/// The steps of an escalation, as deliveries; none when there is no escalation of that name.
pub fn steps(plan: &Plan, name: &str, beginning: Beginning<'_>) -> Vec<NewDelivery> {
    let Some(escalation) = plan.people.escalations.get(name) else { return Vec::new() };
    let mut deliveries = Vec::new();
    for (place, step) in escalation.steps.iter().enumerate() {
        let which =
            EscalationStep { escalation: name.to_owned(), number: place as u32 + 1, began_at: beginning.now, after: step.after.as_millis() as i64 };
        let due_at = beginning.base + step.after;
        let labels = beginning.alerts.iter().filter_map(|index| Some(&beginning.event.alerts.get(*index as usize)?.labels));
        deliveries.extend(step.targets_of(labels).filter_map(|target| delivery(plan, &which, target, beginning, due_at)));
    }
    deliveries
}

fn delivery(plan: &Plan, step: &EscalationStep, to: &StepTarget, beginning: Beginning<'_>, due_at: UnixMs) -> Option<NewDelivery> {
    let channel = plan.channel(&to.channel)?;
    let Beginning { event, alerts, .. } = beginning;
    let shown: Vec<&Alert> = alerts.iter().filter_map(|index| event.alerts.get(*index as usize)).collect();
    let id = DeliveryId::new();
    Some(NewDelivery {
        id,
        channel: channel.name.to_string(),
        outlet: channel.outlet.clone(),
        lane_key: format!("{STEP_LANE_PREFIX}{id}"),
        target: Target {
            mentions: to.mentions.clone(),
            alerts: alerts.to_vec(),
            recipients: to.recipients.clone(),
            route: format!("escalations.{}[{}]", step.escalation, step.number - 1),
            step: Some(step.clone()),
            ..Target::default()
        },
        mode: Mode::Queued,
        state: State::Deferred,
        rank: rank(&shown, plan),
        summary: Summary { title: title(&shown), firing: shown.len() as u32, resolved: 0 },
        // It is as old as its time: what waits for it is not late. What is due at its birth would be due at once.
        born_at: due_at - Duration::from_millis(1),
        due_at,
        fallback: Fallback::default(),
        reason: Some(step.to_string()),
        report: None,
        incident: beginning.incident,
    })
}

/// The steps of an escalation that begins with an event of one incident, whatever routes say.
pub fn begin_by_hand(event: &Event, name: &str, plan: &Plan, now: UnixMs) -> Vec<NewDelivery> {
    let alerts: Vec<u32> = (0..event.alerts.len() as u32).collect();
    steps(plan, name, Beginning { incident: DeliveryIncident::Reported(0), event, alerts: &alerts, base: now, now })
}

/// The steps of the escalations that may begin with an event; the store knows whether they do. `deliveries` are the event's, `incidents` what it says of
/// its incidents. What is muted is notified when the mute ends, and its escalation begins then.
pub fn begin(event: &Event, deliveries: &[NewDelivery], incidents: &[IncidentReport], plan: &Plan, now: UnixMs) -> Vec<NewDelivery> {
    if plan.people.escalations.is_empty() || incidents.is_empty() {
        return Vec::new();
    }
    let named = plan.tree.nodes().iter().filter_map(|node| Some((node.name.as_str(), node.escalation.as_deref()?)));
    let escalations: HashMap<&str, &str> = named.collect();
    let mut beginnings: Vec<(usize, &str, Vec<u32>, UnixMs)> = Vec::new();
    for delivery in deliveries.iter().filter(|delivery| !delivery.state.is_final()) {
        let place = incidents.iter().position(|report| report.key == group_of(&delivery.lane_key));
        let (Some(place), Some(name)) = (place, escalations.get(delivery.target.route.as_str())) else { continue };
        let fires = |index: &&u32| event.alerts.get(**index as usize).is_some_and(|alert| alert.status == Status::Firing);
        let firing: Vec<u32> = delivery.target.alerts.iter().filter(fires).copied().collect();
        match beginnings.iter_mut().find(|(known, escalation, ..)| (*known, *escalation) == (place, name)) {
            _ if firing.is_empty() => {}
            Some((.., alerts, base)) => {
                alerts.extend(firing);
                *base = (*base).min(delivery.due_at);
            }
            None => beginnings.push((place, name, firing, delivery.due_at)),
        }
    }
    let mut all = Vec::new();
    for (place, name, mut alerts, base) in beginnings {
        alerts.sort_unstable();
        alerts.dedup();
        all.extend(steps(plan, name, Beginning { incident: DeliveryIncident::Reported(place), event, alerts: &alerts, base, now }));
    }
    all
}
