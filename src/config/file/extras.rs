//! The small blocks: severity, dedup, retention, own alarms, tests of the routing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::route::OneOrMany;
use crate::channel::alertmanager;
use crate::model::Status;

/// How labels become severities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeverityBlock {
    /// The label that holds the severity. Default `severity`.
    pub label: Option<String>,
    /// Its values from most to least severe. Default `[critical, error, warning, info]`.
    pub order: Option<Vec<String>>,
    /// Further values, and the one in `order` that each means: `{ page: critical }`.
    pub aliases: IndexMap<String, String>,
}

/// Which labels or annotations messages list, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NamesBlock {
    /// Not listed, besides those that are hidden by default.
    pub hide: Vec<String>,
    /// Listed, though they are hidden by default or the message says them elsewhere.
    pub show: Vec<String>,
    /// Listed before the others, in this order. Default of `labels`: `[team, env, cluster]`.
    pub first: Option<Vec<String>>,
}

/// When a repeated event is a duplicate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dedup {
    /// A repeat within this time is a duplicate; `0` turns it off. Default `2m`.
    pub window: Option<String>,
}

/// How long deliveries are kept, and how large the store may grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Sent, skipped and dropped ones. Default `30d`.
    pub sent: Option<String>,
    /// Dead, expired and unknown ones. Default `90d`.
    pub dead: Option<String>,
    /// Beyond this size finished deliveries are removed early; if that does not help, new events are refused with 503. Default: not limited.
    pub max_size: Option<String>,
}

/// Where Watchfire's own alarms go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SelfMonitoring {
    /// Channels, in order of preference; an alarm never goes through the channel it is about. A webhook gets what happened to deliveries for programs,
    /// too: `extra.event`.
    pub to: Option<OneOrMany>,
    /// Alarm when a delivery waits longer than this; `0` turns it off. Default `15m`.
    pub backlog: Option<String>,
}

/// How incidents ring, go on and end. An incident is what fires under one sender, receiver and group, from its first alert to the end of the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentsBlock {
    /// What goes on rings again at most this often, however often its sender repeats it. Default `1h`.
    pub repeat: Option<String>,
    /// What fires again within this time of its end is the same incident, with its number and messages. Default `10m`.
    pub reopen_within: Option<String>,
    /// An incident of which nothing is reported for this long is stale: nobody knows whether it goes on. It must be longer than the time in which senders
    /// repeat (`repeat_interval`). Default `9h`.
    pub stale_after: Option<String>,
    /// After this people are reminded that somebody is on it while it still fires. Default `2h`.
    pub remind_after: Option<String>,
    /// An ack ends when nothing is reported for this long: the incident rings again. Default `8h`.
    pub ack_expires: Option<String>,
}

/// Which Alertmanagers can be asked to be silent about an incident.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SilenceBlock {
    /// The Alertmanagers. Those of one `source` are replicas of one cluster: the first that answers takes a silence. Default: none, and nothing can be silenced.
    pub alertmanager: Vec<alertmanager::Config>,
}

/// A dead-man's switch: reports when an alert that always fires is missing, because then its sender is down or cannot reach Watchfire.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Its name in messages and metrics. Default: the `alertname` that it matches.
    #[serde(default)]
    pub name: Option<String>,
    /// Matchers as on a route: what a firing alert must match to be a sign of life. Example: `'alertname="Watchdog"'`.
    pub matchers: OneOrMany,
    /// A longer silence is reported, from `10s` on. It should be longer than the time in which the sender repeats the alert (Alertmanager's
    /// `repeat_interval` and `group_interval` together).
    pub timeout: String,
    /// Channels that are notified, all of them.
    pub to: OneOrMany,
    /// Whether the alert is also routed like any other. Default false: it is recorded and sent nowhere.
    #[serde(default)]
    pub route: bool,
}

/// One expectation about the routing: of an alert with these `labels`, or of a `body` as its sender posts it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// What it is about, for the message when it fails.
    #[serde(default)]
    pub name: Option<String>,
    /// Labels of an alert.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// A file with a body, in place of `labels`; relative to this file's folder.
    #[serde(default)]
    pub body: Option<PathBuf>,
    /// The input that reads the body, as if it were posted to `/in/<name>`. Default: what the body holds decides, as on `/webhook`.
    #[serde(default)]
    pub input: Option<String>,
    /// The alerts that the body becomes, in their order. Default: whatever they are.
    #[serde(default)]
    pub alerts: Option<Vec<ExpectedAlert>>,
    /// When the alert arrives (RFC 3339), for time intervals. Default: time intervals do not matter.
    #[serde(default)]
    pub at: Option<String>,
    /// The channels it must go to, in any order; `[]` for none. With `at`, `muted by NAME` is a mute or a time interval that mutes it then. `escalation NAME` is
    /// what happens when nobody acks it, `escalation NAME: STEPS` with its steps as `watchfire route` shows them, and `no escalation` that nothing does.
    pub expect: OneOrMany,
}

/// What is expected of an alert that a body becomes. What is not named here may be anything; an empty text says that there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedAlert {
    /// `firing` or `resolved`.
    pub status: Option<Status>,
    /// Labels and their values.
    pub labels: BTreeMap<String, String>,
    /// Annotations and their values.
    pub annotations: BTreeMap<String, String>,
}
