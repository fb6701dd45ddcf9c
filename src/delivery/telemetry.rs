//! What happens, as metrics, logs, spans and self-alerts.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::channel::LivingMode;
use crate::metrics::Metrics;
use crate::model::IncidentId;
use crate::store::{AttemptKind, DeliveryUpdate, OutcomeBatch, State};
use crate::traces::Traces;

use super::counts::Counts;
use super::evaluate::{Next, Outcome};
use super::pending::PendingMessage;
use super::plan::ChannelPlan;
use super::self_alert::SelfAlert;

/// Where events of the delivery core are reported.
pub struct Telemetry {
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where spans go.
    pub traces: Traces,
    self_alerts: mpsc::Sender<SelfAlert>,
    /// What the store counted last.
    pub(super) counts: Counts,
}

impl Telemetry {
    /// Over these.
    pub fn new(metrics: Arc<Metrics>, traces: Traces, self_alerts: mpsc::Sender<SelfAlert>) -> Self {
        Self { metrics, traces, self_alerts, counts: Counts::default() }
    }

    /// One metric and one log line per final delivery, and one log line per failed attempt.
    pub fn report(&self, channel: &ChannelPlan, message: &PendingMessage, batch: &OutcomeBatch, outcome: &Outcome) {
        let platform = channel.platform.name;
        if message.members.len() > 1 && outcome.next == Next::Done {
            self.metrics.batched(&channel.name, message.members.len() as u64);
        }
        for change in batch.deliveries.iter().filter(|c| c.state.is_final()) {
            self.metrics.delivered(platform, &channel.name, change.state.as_str(), 1);
            let member = message.members.iter().find(|member| member.id == change.id);
            if let Some(member) = member.filter(|_| change.state == State::Sent) {
                self.metrics.delivered_after(platform, batch.now.since(member.born_at));
            }
            let reason = change.reason.as_deref().unwrap_or("");
            let code = outcome.code.as_deref().unwrap_or("");
            let event = member.map(|member| tracing::field::display(member.event_id));
            if change.state == State::Sent {
                tracing::info!(delivery = %change.id, event, message_id = %message.id, channel = %channel.name, platform, tries = change.tries, code, "delivered");
            } else {
                tracing::error!(delivery = %change.id, event, message_id = %message.id, channel = %channel.name, platform, tries = change.tries, code, state = change.state.as_str(), reason, "not delivered");
            }
        }
        self.report_first(channel, message, batch);
        self.report_steps(message, &batch.deliveries);
        for state in [State::Dead, State::Unknown] {
            let ended = || batch.deliveries.iter().filter(|change| change.state == state);
            if ended().count() > 0 && message.caller.is_none() {
                let reason = ended().find_map(|change| change.reason.clone()).unwrap_or_default();
                let alert = SelfAlert::not_delivered(&channel.name, state, ended().count(), &reason);
                let first = ended().find_map(|change| message.members.iter().find(|member| member.id == change.id));
                self.raise(match first {
                    Some(member) => alert.of_delivery(member.id, member.incident),
                    None => alert,
                });
            }
        }
        if !matches!(outcome.next, Next::Done) {
            let answer = outcome.answer.as_deref().unwrap_or("");
            let code = outcome.code.as_deref().unwrap_or("");
            let kind = outcome.kind.as_str();
            if outcome.kind == AttemptKind::Ok {
                tracing::info!(delivery = message.delivery(), message_id = %message.id, channel = %channel.name, platform, kind, code, "a part is delivered; the others follow");
            } else {
                tracing::warn!(delivery = message.delivery(), message_id = %message.id, channel = %channel.name, platform, kind, code, answer, next = outcome.next.describe(), "attempt failed");
            }
        }
    }

    /// How long it took until a channel had its first message about an incident. Steps of escalations come late on purpose.
    fn report_first(&self, channel: &ChannelPlan, message: &PendingMessage, batch: &OutcomeBatch) {
        // Nothing is kept of what such a channel was notified of: every message would be its first.
        if channel.content.living == LivingMode::Off && !channel.follows_incidents() {
            return;
        }
        let is_sent = |incident: IncidentId| {
            let mut members = message.members.iter().filter(|member| member.incident == Some(incident) && member.target.step.is_none());
            members.any(|member| batch.deliveries.iter().any(|change| change.id == member.id && change.state == State::Sent))
        };
        for incident in message.notification.incidents.iter().filter(|incident| is_sent(incident.id)) {
            if let Some((severity, after)) = incident.first_after(batch.now) {
                self.metrics.first_notified(channel.platform.name, severity.as_str(), after);
            }
        }
    }

    /// Counts the steps of escalations that ended, and raises an alarm for one that was not confirmed; one that was is news.
    pub fn report_steps(&self, message: &PendingMessage, updates: &[DeliveryUpdate]) {
        for member in &message.members {
            let ended = updates.iter().find(|update| update.id == member.id && update.state.is_final());
            let (Some(update), Some(step), Some(incident)) = (ended, &member.target.step, member.incident) else { continue };
            self.metrics.escalation_step(update.state.as_str());
            let alert = match update.state {
                State::Dead | State::Unknown => {
                    let why = update.reason.as_deref().unwrap_or("the platform did not confirm it");
                    SelfAlert::step_not_confirmed(&member.channel, step, incident, why)
                }
                State::Sent => SelfAlert::escalated(&member.channel, step, incident),
                _ => continue,
            };
            self.raise(alert.of_delivery(member.id, member.incident));
        }
    }

    /// Raises a self-alert; when too many wait, it is only logged and counted.
    pub fn raise(&self, alert: SelfAlert) {
        if alert.is_alarm() {
            self.metrics.self_alert(alert.name());
        }
        if !alert.is_alarm() && self.self_alerts.capacity() < self.self_alerts.max_capacity() / 2 {
            tracing::debug!(alert = alert.name(), "news is left out while many alarms wait");
            return;
        }
        if let Err(error) = self.self_alerts.try_send(alert) {
            let (mpsc::error::TrySendError::Full(alert) | mpsc::error::TrySendError::Closed(alert)) = error;
            tracing::error!(alert = alert.name(), channel = alert.channel(), "a self-alert could not be queued");
        }
    }
}
