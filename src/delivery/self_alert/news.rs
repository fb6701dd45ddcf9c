//! What went as it should and programs want to know: it is no alarm, nobody is disturbed by it, and only webhooks get it.

use super::event::{DeliveryEvent, DeliveryEventKind};
use super::{Said, SelfAlert, SelfAlertKind};
use crate::model::IncidentId;
use crate::store::EscalationStep;

impl SelfAlert {
    /// Whether people should know of it.
    pub fn is_alarm(&self) -> bool {
        !matches!(self.kind, SelfAlertKind::Acked | SelfAlertKind::Escalated)
    }

    /// Somebody has acked an incident.
    pub fn acked(incident: IncidentId, by: &str) -> Self {
        let said = Said::of(format!("#{incident} is acked by {by}"), format!("事件 #{incident} 已由 {by} 认领"));
        let event = DeliveryEvent { incident: Some(incident), ..DeliveryEvent::new(DeliveryEventKind::Acked, &format!("acked by {by}")) };
        Self::firing(SelfAlertKind::Acked, "", said).of_incident(incident).with_event(event)
    }

    /// A step of an escalation is delivered through a channel.
    pub fn escalated(channel: &str, step: &EscalationStep, incident: IncidentId) -> Self {
        let said = Said::of(
            format!("The escalation of #{incident} has reached channel {channel}"),
            format!("事件 #{incident} 的升级通知已发送到通道 {channel}"),
        );
        let event = DeliveryEvent { incident: Some(incident), ..DeliveryEvent::new(DeliveryEventKind::Escalated, &step.to_string()) };
        Self::firing(SelfAlertKind::Escalated, channel, said).of_incident(incident).with_event(event)
    }
}
