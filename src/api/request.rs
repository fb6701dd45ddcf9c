//! What requests hold.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::identity::delivery_ids;
use crate::model::DeliveryId;

/// What is muted, for how long, and why.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MuteRequest {
    /// Matchers as in Alertmanager, all of which an alert must match: `team="db"`. The label `channel` is the channel.
    #[schemars(length(min = 1, max = 50))]
    pub matchers: Vec<String>,
    /// A duration as in Prometheus, at most a year: `2h`.
    #[serde(rename = "for")]
    #[schemars(regex(pattern = r"^([1-9][0-9]{0,3}w)?([1-9][0-9]{0,2}d)?([1-9][0-9]{0,2}h)?([1-9][0-9]{0,2}m)?$"))]
    pub duration: String,
    /// Why; it is shown wherever the mute is.
    #[serde(default)]
    pub reason: String,
}

/// What to send as a test.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestSendRequest {
    /// A text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A webhook's body, rendered by the channel's template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// Where a copy of the store is written.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// A file that does not exist yet, on the server.
    #[schemars(with = "String")]
    pub file: std::path::PathBuf,
}

/// Where an event is sent again.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// The channel to send to; without it the routing of now decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Deliveries, and what is to be done with them.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveriesRequest {
    /// Their identities.
    #[schemars(length(min = 1, max = 500))]
    #[serde(deserialize_with = "delivery_ids")]
    pub ids: Vec<DeliveryId>,
    /// Why; needed to drop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The channel to send to; needed to move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}
