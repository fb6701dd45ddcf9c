//! Routes, and where labels go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Labels;

/// The routing tree.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Routes {
    /// The routes in their order; those below a route follow it and are deeper.
    pub routes: Vec<Route>,
}

/// A route.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// Its place in the configuration, `route.routes[0]`.
    pub name: String,
    /// The file that it comes from, where that is not routes.yaml itself; only at the first route of a file.
    pub file: Option<String>,
    /// How many routes are above it.
    pub depth: usize,
    /// Its matchers, all of which an alert must match; none: everything matches.
    pub matchers: Vec<String>,
    /// Its channels; with `by_label` those of alerts whose value has none.
    pub to: Vec<String>,
    /// The label by whose value it chooses the channels.
    pub by_label: Option<String>,
    /// Every channel that it may lead to.
    pub channels: Vec<String>,
    /// What happens when nobody acks.
    pub escalation: Option<String>,
    /// Template set.
    pub template: Option<String>,
    /// Intervals in which it is muted.
    pub mute: Vec<String>,
    /// Intervals outside which it is muted, when there are any.
    pub active: Vec<String>,
    /// Whether the routes after it are tried as well.
    #[serde(rename = "continue")]
    pub continues: bool,
}

/// Labels, and when an alert with them arrives.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteRequest {
    /// The labels.
    pub labels: Labels,
    /// At this time: how long ago, as `1h`, RFC 3339, or Unix milliseconds; it matters for time intervals. Default: now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Where labels go.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RouteResponse {
    /// The channels that are sent to, in their order.
    pub channels: Vec<String>,
    /// The channels that are muted then.
    pub muted: Vec<String>,
    /// The routes of all of them.
    pub path: Vec<String>,
    /// The heartbeat that it is a sign of life for; such an alert is not routed.
    pub heartbeat: Option<String>,
    /// All of it in words, with every route that was tried.
    pub text: String,
    /// Every route that was tried: whether it matched, else the matcher that failed and what it met.
    pub explanation: Value,
}
