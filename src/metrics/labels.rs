//! Sets of labels. Their values come from the program and its configuration, never from bodies.

use prometheus_client::encoding::EncodeLabelSet;

/// Requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Received {
    pub sender: &'static str,
    pub outcome: &'static str,
}

/// Deliveries of a channel that ended so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Delivered {
    pub platform: &'static str,
    pub channel: String,
    pub outcome: &'static str,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Channel {
    pub channel: String,
}

/// Deliveries of a channel in a state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ChannelState {
    pub channel: String,
    pub state: &'static str,
}

/// A platform.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Platform {
    pub platform: &'static str,
}

/// First messages about incidents.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FirstNotified {
    pub platform: &'static str,
    pub severity: &'static str,
}

/// Messages of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Rendered {
    pub platform: &'static str,
    pub channel: String,
}

/// A heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Heartbeat {
    pub heartbeat: String,
}

/// A kind of thing of this program.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct What {
    pub what: &'static str,
}

/// Attempts of a channel that ended so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Attempted {
    pub platform: &'static str,
    pub channel: String,
    pub outcome: &'static str,
}

/// Alerts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Alerts {
    pub sender: &'static str,
    pub status: &'static str,
}

/// This build.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Build {
    pub version: &'static str,
    /// The commit that it was built from; not there where the build did not say.
    pub revision: Option<&'static str>,
}

/// A kind of sender.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Sender {
    pub sender: &'static str,
}

/// Incidents that go on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OpenIncidents {
    pub state: &'static str,
    pub severity: &'static str,
}

/// A press that ended so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Pressed {
    pub platform: String,
    pub verb: &'static str,
    pub result: &'static str,
}

/// Which questions for people's ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LookUps {
    pub platform: &'static str,
    pub result: &'static str,
}

/// What a channel's limits kept from being sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Limited {
    pub platform: &'static str,
    pub channel: String,
    pub limit: &'static str,
}

/// A step of an escalation that ended so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EscalationSteps {
    pub result: &'static str,
}

/// What became of a silence.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Silences {
    pub result: &'static str,
}

/// An edit that ended so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Edited {
    pub result: &'static str,
}
