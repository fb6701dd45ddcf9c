//! Channels, heartbeats and nodes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::delivery::heartbeat::HeartbeatState;
use crate::model::{DeliveryId, PlatformIds, Receipt, SendError, UnixMs};

/// The channels.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Channels {
    /// In the configuration's order.
    pub channels: Vec<ChannelState>,
}

/// A channel and its state.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChannelState {
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// Whether it is disabled.
    pub disabled: bool,
    /// Rate-limit scope: what its rate limit, pause and suspension belong to; channels with one credential share it.
    pub outlet: String,
    /// Deliveries that wait to be sent.
    pub waiting: u64,
    /// Deferred ones.
    pub deferred: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the oldest waiting one was born, Unix milliseconds.
    pub oldest_born_at: Option<UnixMs>,
    /// Why it is suspended; null while it works.
    pub suspended: Option<String>,
    /// Since when, Unix milliseconds; null where that began before this process, and where another node sends for it.
    #[serde(default)]
    pub suspended_since: Option<UnixMs>,
    /// When it is tried next while it is suspended, Unix milliseconds; null while it works, where the next message tries it, and where another node sends
    /// for it.
    #[serde(default)]
    pub next_try_at: Option<UnixMs>,
    /// Requests for messages in the last minute, of all channels that share its limit, as far as this node made them.
    #[serde(default)]
    pub sent_last_minute: u32,
    /// Its rate limit, `20 per 1m`; `off` without one.
    #[serde(default)]
    pub rate_limit: String,
    /// Messages that its rate limit allows in a minute, to compare with `sent_last_minute`; null without one.
    #[serde(default)]
    pub per_minute: Option<u64>,
    /// When its platform last confirmed a message, Unix milliseconds; null where this process has not seen that.
    #[serde(default)]
    pub confirmed_at: Option<UnixMs>,
    /// How long it stays paused, in milliseconds.
    pub paused_ms: i64,
    /// Whether its circuit breaker is open: it failed several times in a row.
    pub breaker_open: bool,
    /// Messages in flight.
    pub in_flight: usize,
    /// The connection over which presses of its buttons come to this node; null where it has none, or another node has it.
    pub listener: Option<Listener>,
    /// The month that is counted, `2026-11`.
    pub month: Option<String>,
    /// Messages sent in it.
    pub month_sent: i64,
    /// The platform's limit of a month.
    pub month_limit: Option<u32>,
    /// Muted as a whole until then, Unix milliseconds; without a known end it is re-evaluated then.
    pub muted_until: Option<UnixMs>,
    /// The mute of the configuration that mutes it; null: it is muted by hand, or not at all.
    pub muted_by: Option<String>,
    /// Why.
    pub muted_reason: Option<String>,
    /// Where its vendor can tell its last word, to be entered in the vendor's console; null without `server.external_url`, and where none calls back.
    /// It is the proof of what is reported there: only callers with the scope `admin` and without a list of channels see it.
    pub callback: Option<String>,
}

/// A connection over which presses of buttons come.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Listener {
    /// Whether presses arrive.
    pub connected: bool,
    /// Why the last connection ended, while there is none.
    pub error: Option<String>,
}

/// What a channel's platform said to a test message.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TestSendResponse {
    /// The delivery that records it.
    pub delivery: DeliveryId,
    /// Whether no slot came free in time.
    pub expired: bool,
    /// One result per recipient.
    pub results: Vec<TestSendResult>,
}

/// One recipient's result.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct TestSendResult {
    /// The recipient, masked.
    pub recipient: String,
    /// Whether the platform took it.
    pub ok: bool,
    /// The kind of error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The platform's code.
    pub code: Option<String>,
    /// The platform's ids of the message, by the names of its API.
    #[serde(default, skip_serializing_if = "PlatformIds::is_empty")]
    pub platform_ids: PlatformIds,
    /// The error in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The platform's answer.
    pub answer: Option<String>,
}

impl TestSendResult {
    /// What one attempt came to for a recipient, whose address is masked already.
    pub fn new(recipient: String, result: Result<Receipt, SendError>) -> Self {
        match result {
            Ok(receipt) => {
                Self { recipient, ok: true, code: Some(receipt.code), platform_ids: receipt.ids, answer: Some(receipt.answer), ..Self::default() }
            }
            Err(error) => Self {
                recipient,
                kind: Some(error.kind.as_str().to_owned()),
                code: error.code,
                error: Some(error.summary),
                answer: error.detail,
                ..Self::default()
            },
        }
    }
}

/// The file that a copy was written to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct BackupResponse {
    /// Its path on the server.
    pub file: String,
}

/// The nodes that share the store.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Nodes {
    /// The nodes; empty where only one process can use the store.
    pub nodes: Vec<Node>,
    /// Whether they all run the same configuration.
    pub same_config: bool,
}

/// A node.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Hash of its configuration.
    pub plan: String,
    /// Its version.
    pub version: String,
    /// Outlets that it owns.
    pub outlets: u64,
    /// Whether it is the one that answers.
    pub this: bool,
}

/// The dead-man's switches.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeats {
    /// Their state.
    pub heartbeats: Vec<HeartbeatState>,
}
