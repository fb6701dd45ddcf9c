//! What a self-alert is about, for programs: the member `extra.event` of what the webhook channel sends, beside the texts for people. Its shape is
//! `docs/delivery-event.schema.json`.

use serde_json::{Value, json};

use crate::model::{DeliveryId, IncidentId, UnixMs};
use crate::store::State;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryEventKind {
    /// Deliveries are in the dead letters.
    Dead,
    /// Nobody knows whether deliveries arrived.
    Unknown,
    /// The vendor said later that what was sent did not arrive.
    Undelivered,
    /// A channel cannot deliver; its deliveries wait.
    Suspended,
    /// It delivers again.
    Resumed,
    /// Most or all of what an account may send in a month is used.
    Quota,
    /// A step of an escalation was not confirmed.
    StepNotConfirmed,
    /// An escalation has reached nobody so far.
    NobodyReached,
    /// Somebody has acked an incident.
    Acked,
    /// A step of an escalation is delivered.
    Escalated,
}

impl DeliveryEventKind {
    /// Of deliveries that ended in this state.
    pub(super) fn of_state(state: State) -> Self {
        match state {
            State::Unknown => Self::Unknown,
            State::Sent => Self::Undelivered,
            _ => Self::Dead,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Unknown => "unknown",
            Self::Undelivered => "undelivered",
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
            Self::Quota => "quota",
            Self::StepNotConfirmed => "step_not_confirmed",
            Self::NobodyReached => "nobody_reached",
            Self::Acked => "acked",
            Self::Escalated => "escalated",
        }
    }
}

/// Something that happened to deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeliveryEvent {
    pub(super) kind: DeliveryEventKind,
    /// How many deliveries, where it is about some.
    pub(super) count: Option<usize>,
    /// The first of them.
    pub(super) delivery: Option<DeliveryId>,
    /// The incident of the first of them, or of the escalation.
    pub(super) incident: Option<IncidentId>,
    /// Why, in English; empty when nothing is to be said.
    pub(super) reason: String,
}

impl DeliveryEvent {
    /// One that is about no certain delivery.
    pub(super) fn new(kind: DeliveryEventKind, reason: &str) -> Self {
        Self { kind, count: None, delivery: None, incident: None, reason: reason.to_owned() }
    }

    /// As JSON. All members are always there; what is not known is null.
    pub(super) fn json(&self, channel: &str, at: UnixMs) -> Value {
        json!({
            "kind": self.kind.as_str(),
            "channel": Some(channel).filter(|channel| !channel.is_empty()),
            "delivery": self.delivery.map(|id| id.to_string()),
            "incident": self.incident.map(|incident| incident.0),
            "count": self.count,
            "reason": Some(self.reason.as_str()).filter(|reason| !reason.is_empty()),
            "at": at.timestamp().to_string(),
        })
    }
}
