//! A node of the routing tree as the file writes it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::Mentions;

/// One text or a list of texts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// As a list.
    pub fn list(&self) -> &[String] {
        match self {
            OneOrMany::One(text) => std::slice::from_ref(text),
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// Where a route sends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RouteTo {
    /// One channel.
    One(String),
    /// Several.
    Many(Vec<String>),
    /// By a label of the alert.
    ByLabel(ToByLabel),
}

/// Channels by a label of the alert: those of the team in `teams:` that it names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToByLabel {
    /// The label: `team`.
    pub label: String,
    /// Channels of the alerts whose label names no team that has channels.
    pub default: OneOrMany,
}

impl RouteTo {
    /// The channels that no label decides.
    pub fn default_channels(&self) -> &[String] {
        match self {
            RouteTo::One(name) => std::slice::from_ref(name),
            RouteTo::Many(names) => names,
            RouteTo::ByLabel(to) => to.default.list(),
        }
    }
}

/// What happens to firing alerts while a route is muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMute {
    /// They wait for the end of the interval: what still fires then is sent, and the end of what was sent before; what came and went is only recorded.
    #[default]
    Defer,
    /// They are recorded and never sent. The end of what was sent before the interval is sent when it is over.
    Drop,
}

/// A route: which alerts it takes, and where it sends them. `to`, `escalation`, `template`, `mentions` and `send_resolved` are inherited by the routes below it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteNode {
    /// Matchers as in Alertmanager, all of which must hold: one text (`severity="critical", team=~"db|infra"`) or a list of texts. Quote them. Not on the
    /// first route, which takes everything.
    pub matchers: Option<OneOrMany>,
    /// Channels to send to; or by a label, `{ label: team, default: ops }`: to the channels of the team in `teams:` that it names.
    pub to: Option<RouteTo>,
    /// What happens when nobody acks its incidents: a name in `escalations:`.
    pub escalation: Option<String>,
    /// Template set to use.
    pub template: Option<String>,
    /// Whom to ping.
    pub mentions: Option<Mentions>,
    /// Whether resolved alerts are sent.
    pub send_resolved: Option<bool>,
    /// Whether the routes after this one are tried too. Default false.
    #[serde(rename = "continue")]
    pub continue_: bool,
    /// Time intervals in which nothing is sent.
    pub mute_time_intervals: Vec<String>,
    /// Time intervals outside which nothing is sent.
    pub active_time_intervals: Vec<String>,
    /// What happens to firing alerts that are muted: `defer` (default) or `drop`.
    pub on_mute: Option<OnMute>,
    /// Routes below this one: the first that matches takes the alert.
    pub routes: Vec<RouteNode>,
}
