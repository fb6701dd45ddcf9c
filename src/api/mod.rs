//! The HTTP API as types: what it takes and what it returns, shared by the server, the command line and tests. The OpenAPI description is made of them.

mod audit;
mod channel;
mod delivery;
mod event;
mod identity;
mod incident;
mod mute;
mod oncall;
mod request;
mod route;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{DeliveryId, EventId};
use crate::store::{Accepted, State};

pub use audit::{Audit, AuditedAct};
pub use channel::{BackupResponse, ChannelState, Channels, Heartbeats, Listener, Node, Nodes, TestSendResponse, TestSendResult};
pub use delivery::{
    CellDetail, ConfirmedDetail, CreatedDelivery, Deliveries, DeliveryResponse, DropResponse, MessageDetail, PageDetail, ReceiptDetail,
    RequeueResponse,
};
pub use event::{EventBody, EventResponse, Events, ExplainResponse, ExplainedDelivery, ExplainedPage, RouteTrace, RouteTraces};
pub use identity::{no_id, plural};
pub use incident::{
    ActRequest, ActResponse, DrillResponse, IncidentAck, IncidentAttempt, IncidentMessage, IncidentMute, IncidentResponse, IncidentSilence,
    IncidentStep, IncidentSummary, Incidents,
};
pub use mute::{Held, Mute, MuteResponse, MuteState, Mutes};
pub use oncall::{CalendarAddress, Calendars, OnCall, OverrideRequest, OverrideResponse, Overrides, RotaShift, RotaShifts, RotaState};
pub use request::{BackupRequest, DeliveriesRequest, MuteRequest, ReplayRequest, TestSendRequest};
pub use route::{Route, RouteRequest, RouteResponse, Routes};

/// An error (RFC 9457).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of error it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What happened, where, and what to do.
    pub detail: String,
}

/// A delivery that was accepted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AcceptedDelivery {
    /// Its identity.
    pub id: DeliveryId,
    /// Its channel.
    pub channel: String,
    /// Its state.
    pub state: State,
}

/// An event that is on disk.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AcceptedResponse {
    /// Its identity.
    pub event: EventId,
    /// What it led to.
    pub deliveries: Vec<AcceptedDelivery>,
    /// Whether it repeats one that came before, whose identities these are.
    pub duplicate: bool,
    /// Names in `to` that are no channels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl AcceptedResponse {
    /// The answer to an accepted event.
    pub fn new(accepted: &Accepted, unknown: Vec<String>) -> Self {
        let deliveries = accepted.deliveries.iter().map(|d| AcceptedDelivery { id: d.id, channel: d.channel.clone(), state: d.state }).collect();
        Self { event: accepted.event, deliveries, duplicate: accepted.duplicate, unknown }
    }
}

/// The answer of the direct paths, in the shape that older clients know and with nothing besides. The delivery that records the call is in the
/// header `Watchfire-Delivery`, who was not reached in `Watchfire-Failed`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct DirectSendResponse {
    /// 0: the platform took it; 1: it did not, or the call was wrong.
    pub code: u8,
    /// The reason: the platform's own words where it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Members of the call that are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
}
