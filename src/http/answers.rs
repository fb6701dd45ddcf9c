//! What the API answers, as types: the description is made of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::delivery::heartbeat::HeartbeatState;
use crate::model::{Coverage, DeliveryId, Event, EventId, MessageId};
use crate::store::{Accepted, AttemptRow, CellState, DeliveryRow, EventRow, ReceiptState, State};

/// An error (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
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

/// A delivery that was taken in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Placed {
    /// Its identity.
    pub id: DeliveryId,
    /// Its channel.
    pub channel: String,
    /// Its state.
    pub state: State,
}

/// An event that is on disk.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Taken {
    /// Its identity.
    pub event: EventId,
    /// What it led to.
    pub deliveries: Vec<Placed>,
    /// Whether it repeats one that came before, whose identities these are.
    pub duplicate: bool,
    /// Names in `to` that are no channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Taken {
    /// The answer to an accepted event.
    pub fn new(accepted: &Accepted, unknown: Vec<String>) -> Self {
        let deliveries = accepted.deliveries.iter().map(|d| Placed { id: d.id, channel: d.channel.clone(), state: d.state }).collect();
        Self { event: accepted.event, deliveries, duplicate: accepted.duplicate, unknown }
    }
}

/// A page of deliveries, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deliveries {
    /// The deliveries.
    pub deliveries: Vec<DeliveryRow>,
    /// The `cursor` of the next page; null on the last one.
    pub next: Option<DeliveryId>,
}

/// A page of events, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Events {
    /// The events.
    pub events: Vec<EventRow>,
    /// The `cursor` of the next page; null on the last one.
    pub next: Option<EventId>,
}

/// An event with its body.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventBody {
    /// Its identity.
    pub id: EventId,
    /// When it arrived, Unix milliseconds.
    pub received_at: i64,
    /// Hash of the configuration that it was routed by.
    pub plan: String,
    /// The body, normalised.
    pub body: Event,
}

/// An event with its deliveries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventStory {
    /// Its identity.
    pub id: EventId,
    /// When it arrived, Unix milliseconds.
    pub received_at: i64,
    /// Hash of the configuration that it was routed by.
    pub plan: String,
    /// Why it has no delivery.
    pub note: Option<String>,
    /// The body, normalised.
    pub event: Event,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryRow>,
    /// Why each alert went where it went; null when the sender named its channels (`?to=`), and in a scrubbed answer.
    pub routes: Option<RoutesStory>,
}

/// The ways of an event's alerts through the routing tree.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RoutesStory {
    /// Whether the configuration has changed since the event arrived: these are the routes of now, at that time; those of then may have differed.
    pub changed: bool,
    /// The alerts.
    pub alerts: Vec<ForetoldAlert>,
    /// Alerts of a large body that were routed the same way but are not explained.
    pub not_explained: usize,
}

/// A delivery with everything known about it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeliveryStory {
    /// The delivery.
    pub delivery: DeliveryRow,
    /// The route that chose its channel.
    pub route: String,
    /// Template set, when the route asked for one.
    pub template: String,
    /// Channels that are tried when this one is dead.
    pub fallback: Vec<String>,
    /// Its event.
    pub event: EventBody,
    /// Which of the event's alerts it carries, from 0.
    pub alerts: Vec<u32>,
    /// Why they went there; null when the channel was named (`?to=`, direct calls).
    pub routes: Option<RoutesStory>,
    /// The message that carries or carried it.
    pub message: Option<MessageStory>,
    /// Attempts of messages that it was in before.
    pub earlier_attempts: Vec<AttemptRow>,
    /// Its fallbacks.
    pub children: Vec<DeliveryRow>,
    /// The rate limit of its channel, `20 per 1m`; `off` without one; null when the channel is gone.
    pub rate_limit: Option<String>,
    /// What happens next, in words.
    pub next: String,
}

/// A message.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MessageStory {
    /// Its identity.
    pub id: MessageId,
    /// Its channel.
    pub channel: String,
    /// Its platform.
    pub platform: String,
    /// `single`, `fold` or `digest`.
    pub kind: String,
    /// Template set.
    pub template: String,
    /// When it was formed, Unix milliseconds.
    pub formed_at: i64,
    /// Whether it is done.
    pub done: bool,
    /// How many deliveries it carries.
    pub deliveries: u64,
    /// Its pages as they are or were sent.
    pub pages: Vec<PageStory>,
    /// What became of each page at each recipient.
    pub cells: Vec<CellStory>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
}

/// A page of a message.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PageStory {
    /// Which, from 1.
    pub number: u16,
    /// Of how many.
    pub total: u16,
    /// The rendered fields.
    pub fields: BTreeMap<String, String>,
    /// Whether the built-in text was used.
    pub plain: bool,
    /// The alerts that it shows.
    pub covers: Vec<Coverage>,
    /// The key of the incident that it opened, told more of or closed: the same for the whole group, whichever replica or receiver tells of it. Null
    /// where the platform keeps none.
    pub incident: Option<String>,
}

/// A page at a recipient.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CellStory {
    /// The page, from 1.
    pub page: u16,
    /// The recipient, masked.
    pub recipient: String,
    /// What became of it.
    pub state: CellState,
    /// Tries spent.
    pub tries: u32,
    /// Not before, Unix milliseconds.
    pub due_at: i64,
    /// The platform's id of it.
    pub platform_id: Option<String>,
    /// The platform's last code.
    pub code: Option<String>,
    /// What its vendor said later, where one does (SMS, calls).
    pub receipt: Option<ReceiptStory>,
}

/// The last word on what a vendor took.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReceiptStory {
    /// How it stands.
    pub state: ReceiptState,
    /// When the vendor took it, Unix milliseconds.
    pub sent_at: i64,
    /// How often the vendor was asked.
    pub asked: u32,
    /// When it is asked next, or given up; null when the state is final.
    pub due_at: Option<i64>,
    /// After this it is not waited for any more.
    pub until: i64,
    /// When the state became final.
    pub heard_at: Option<i64>,
    /// The vendor's code.
    pub code: Option<String>,
    /// What happened, in words.
    pub detail: Option<String>,
}

/// New deliveries in place of old ones.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Requeued {
    /// They.
    pub deliveries: Vec<Made>,
}

/// A new delivery.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Made {
    /// Its identity.
    pub id: DeliveryId,
    /// Its channel.
    pub channel: String,
}

/// How many were dropped.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Dropped {
    /// So many.
    pub dropped: u64,
}

/// The channels.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Channels {
    /// In the configuration's order.
    pub channels: Vec<ChannelState>,
}

/// A channel, and how it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChannelState {
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// Whether it is disabled.
    pub disabled: bool,
    /// What its rate limit, pause and hold belong to; channels with one credential share it.
    pub outlet: String,
    /// Deliveries that wait to be sent.
    pub waiting: u64,
    /// Muted ones.
    pub deferred: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the oldest waiting one was born, Unix milliseconds.
    pub oldest_born_at: Option<i64>,
    /// Why it is held.
    pub held: Option<String>,
    /// How long it still pauses.
    pub paused_ms: i64,
    /// Whether it rests because it failed several times in a row.
    pub breaker_open: bool,
    /// Messages under way.
    pub under_way: usize,
    /// The month that is counted, `2026-11`.
    pub month: Option<String>,
    /// Messages sent in it.
    pub month_sent: i64,
    /// The platform's limit of a month.
    pub month_limit: Option<u32>,
    /// Muted by hand until then, Unix milliseconds.
    pub muted_until: Option<i64>,
    /// Why.
    pub muted_reason: Option<String>,
    /// Where its vendor can tell its last word, to be entered in the vendor's console; null without `server.external_url`, and where none calls back.
    pub callback: Option<String>,
}

/// A mute, or its end.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Muted {
    /// The channel.
    pub channel: String,
    /// Until when, Unix milliseconds; null: not muted any more.
    pub until: Option<i64>,
}

/// What a channel's platform said to a test message.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tested {
    /// The delivery that records it.
    pub delivery: DeliveryId,
    /// Whether no slot came free in time.
    pub expired: bool,
    /// One result per recipient.
    pub results: Vec<TestResult>,
}

/// One recipient's result.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct TestResult {
    /// The recipient, masked.
    pub recipient: String,
    /// Whether the platform took it.
    pub ok: bool,
    /// The kind of error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The platform's code.
    pub code: Option<String>,
    /// The platform's id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_id: Option<String>,
    /// The error in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The platform's answer.
    pub answer: Option<String>,
}

/// The file that a copy was written to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BackedUp {
    /// Its path on the server.
    pub file: String,
}

/// The nodes that share the store.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Nodes {
    /// They; empty where only one process can use the store.
    pub nodes: Vec<Node>,
    /// Whether they work by one configuration.
    pub same_plan: bool,
}

/// A node.
#[derive(Debug, Serialize, JsonSchema)]
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
#[derive(Debug, Serialize, JsonSchema)]
pub struct Heartbeats {
    /// How they stand.
    pub heartbeats: Vec<HeartbeatState>,
}

/// What would happen to a body now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Foretold {
    /// Why each alert goes where it goes.
    pub alerts: Vec<ForetoldAlert>,
    /// Alerts of a large body that are routed the same way but not explained.
    pub not_explained: usize,
    /// What would be sent.
    pub deliveries: Vec<ForetoldDelivery>,
}

/// An alert's way through the routing tree.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ForetoldAlert {
    /// Which, from 1.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// The routes that were tried, one a line.
    pub routes: String,
}

/// What a channel would be sent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ForetoldDelivery {
    /// The channel.
    pub channel: String,
    /// Its platform.
    pub platform: String,
    /// Template set.
    pub template: String,
    /// `waiting`, `deferred` or `skipped`.
    pub state: State,
    /// Why.
    pub reason: Option<String>,
    /// One line that names it.
    pub title: String,
    /// The route that chose the channel.
    pub route: String,
    /// Firing alerts in it.
    pub firing: u32,
    /// Resolved alerts in it.
    pub resolved: u32,
    /// Channels that are tried when this one is dead.
    pub fallback: Vec<String>,
    /// The rate limit of the channel, `20 per 1m`, or `off`.
    pub rate_limit: String,
    /// Templates that failed.
    pub template_errors: Vec<String>,
    /// The pages.
    pub pages: Vec<ForetoldPage>,
}

/// A page that would be sent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ForetoldPage {
    /// Which, from 1.
    pub page: u16,
    /// Of how many.
    pub of: u16,
    /// Its size.
    pub size: usize,
    /// The platform's limit.
    pub limit: usize,
    /// What both are counted in.
    pub unit: String,
    /// The rendered fields.
    pub fields: BTreeMap<String, String>,
}

/// The answer of the direct paths, in the shape that older clients know and with nothing besides. The delivery that records the call stands in the
/// header `Watchfire-Delivery`, who was not reached in `Watchfire-Failed`.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Direct {
    /// 0: the platform took it; 1: it did not, or the call was wrong.
    pub code: u8,
    /// The reason: the platform's own words where it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Members of the call that are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
}
