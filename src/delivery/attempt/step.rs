//! Steps of escalations: composed of what fires when they are due, and given up when nothing calls for them any more.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::delivery::heavy::LARGE_BODY;
use crate::delivery::intake::title;
use crate::delivery::pending::PendingMessage;
use crate::ingest::short_fingerprint;
use crate::model::{Alert, Event, EventId, IncidentId, UnixMs};
use crate::store::{
    AlertState, CellState, DeliveryUpdate, Incident, OutcomeBatch, PendingDelivery, State, StepGuard, StoreError, Summary, TimelineKind, TimelineRow,
};

use super::persist::skipped;
use super::{AttemptResult, AttemptTask};

const DISABLED: &str = "the channel is disabled (`disabled: true`)";
/// Events that are read to show what fires: those of the newest alerts.
const MAX_EVENTS: usize = 50;

impl AttemptTask {
    /// Makes a step one of what fires now of its incident. Returns why nothing calls for it any more; `None` where something does, and for what is no step.
    pub(super) async fn renew_step(&self, message: &mut PendingMessage, now: UnixMs) -> Result<Option<String>, StoreError> {
        let Some(member) = message.members.first_mut().filter(|member| member.target.step.is_some()) else { return Ok(None) };
        let (Some(step), Some(id)) = (member.target.step.clone(), member.incident) else { return Ok(None) };
        if self.channel.disabled {
            return Ok(Some(DISABLED.into()));
        }
        let store = &self.shared.store;
        let found = store.incidents(&[id], &self.channel.name).await?;
        let incident = found.first().map(|(incident, _)| incident);
        let firing = match incident {
            Some(incident) => self.firing_of(incident, member, &step.escalation).await?,
            None => None,
        };
        if let Some((event, alerts)) = firing {
            let shown: Vec<&Alert> = alerts.iter().collect();
            member.summary = Summary { title: title(&shown), firing: alerts.len() as u32, resolved: 0 };
            member.target.alerts = (0..alerts.len() as u32).collect();
            member.event = Some(Arc::new(Event { alerts, ..event.as_ref().clone() }));
        }
        // Its time came: from here on it waits like anything else.
        member.state = State::Waiting;
        let guard = StepGuard { incident: id, step, alerts: fingerprints(member), now };
        Ok(guard.check(incident, &store.steps(id).await?).err())
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
        Some(StepGuard { incident: member.incident?, step: member.target.step.clone()?, alerts, now: self.shared.clock.wall() })
    }

    /// Ends a step that nothing calls for any more. What is on disk of it ends, too.
    pub(super) async fn overtaken(&self, mut message: PendingMessage, why: &str) -> AttemptResult {
        let batch = self.overtaken_batch(&message, why);
        let recorded = self.record_outcome(self.cancelled(&message, batch)).await;
        self.complete(&mut message, Vec::new(), recorded.is_err())
    }

    /// The outcome of a step that nothing calls for any more.
    pub(super) fn overtaken_batch(&self, message: &PendingMessage, why: &str) -> OutcomeBatch {
        let now = self.shared.clock.wall();
        // Of several people the first may have been reached by then.
        let state = if message.cells.iter().any(|cell| cell.state == CellState::Ok) { State::Sent } else { State::Skipped };
        let ended = |member: &PendingDelivery| DeliveryUpdate { state, ..skipped(member, why, now) };
        let updates: Vec<DeliveryUpdate> = message.members.iter().map(ended).collect();
        for member in &message.members {
            let channel = &self.channel.name;
            self.shared.telemetry.metrics.delivered(self.channel.platform.name, channel, state.as_str(), 1);
            self.shared.telemetry.metrics.escalation_step(state.as_str());
            tracing::info!(delivery = %member.id, channel = %channel, why, "a step of an escalation goes no further");
        }
        let timeline = step_rows(message, &updates, now);
        OutcomeBatch { timeline, ..self.outcome_batch(updates) }
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
fn fingerprints(member: &PendingDelivery) -> Vec<u64> {
    let Some(event) = member.event.as_deref() else { return Vec::new() };
    let alerts = member.target.alerts.iter().filter_map(|index| event.alerts.get(*index as usize));
    alerts.map(|alert| short_fingerprint(&alert.fingerprint)).collect()
}
