//! Deliveries and their messages.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EventBody, RouteTraces};
use crate::model::{Coverage, DeliveryId, MessageId, PlatformIds, UnixMs};
use crate::store::{AttemptRow, CellState, DeliveryRow, ReceiptState};

/// A page of deliveries, newest first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deliveries {
    /// The deliveries.
    pub deliveries: Vec<DeliveryRow>,
    /// The `cursor` of the next page; null on the last one.
    pub next: Option<DeliveryId>,
    /// How far back was searched, Unix milliseconds: a search reads 50,000 deliveries for one answer, and goes on with `next` whether it found some or not.
    /// Null where nothing older is left, and for lists that need no search.
    #[serde(default)]
    pub searched_back_to: Option<UnixMs>,
}

/// A delivery with everything known about it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryResponse {
    /// The delivery.
    pub delivery: DeliveryRow,
    /// Why it was sent, in one sentence: what was new, which way it came, and who was on it; null where it was not sent.
    #[serde(default)]
    pub why: Option<String>,
    /// The route that chose its channel.
    pub route: String,
    /// Template set, when the route asked for one.
    pub template: String,
    /// Channels that are tried when this one is dead, without disabled ones.
    pub fallback: Vec<String>,
    /// Its event.
    pub event: EventBody,
    /// Which of the event's alerts it carries, from 0.
    pub alerts: Vec<u32>,
    /// Why they went there; null when the channel was named (`?to=`, direct calls).
    pub routes: Option<RouteTraces>,
    /// The message that carries or carried it.
    pub message: Option<MessageDetail>,
    /// Attempts of messages that it was in before.
    pub earlier_attempts: Vec<AttemptRow>,
    /// Its fallbacks.
    pub children: Vec<DeliveryRow>,
    /// Whether a dead letter's alerts were delivered in its place: by a fallback, or a retry of one of them. Null for what is not dead, and for a
    /// credential that is limited to channels.
    #[serde(default)]
    pub delivered_elsewhere: Option<bool>,
    /// For each recipient the newest message of the same queue that carried a firing alert and that the platform confirmed; one from long ago is
    /// left out.
    pub confirmed: Vec<ConfirmedDetail>,
    /// The rate limit of its channel, `20 per 1m`; `off` without one; null when the channel is gone.
    pub rate_limit: Option<String>,
    /// What happens next, in words.
    pub next: String,
}

/// A message that its platform confirmed for a recipient: what an edit, a reply or a withdrawal refers to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmedDetail {
    /// The recipient, masked.
    pub recipient: String,
    /// The message.
    pub message: MessageId,
    /// When it was formed, Unix milliseconds.
    pub formed_at: UnixMs,
    /// The platform's ids of its first page, by the names of its API.
    pub platform_ids: PlatformIds,
}

/// A message.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MessageDetail {
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
    pub formed_at: UnixMs,
    /// Whether it is done.
    pub done: bool,
    /// How many deliveries it carries.
    pub deliveries: u64,
    /// Its pages as they are or were sent.
    pub pages: Vec<PageDetail>,
    /// What became of each page at each recipient.
    pub cells: Vec<CellDetail>,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptRow>,
}

/// A page of a message.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PageDetail {
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
    /// The key of the incident that it opened, updated or closed: the same for the whole group, whichever replica or receiver sends it. Null
    /// where the platform keeps none.
    pub incident: Option<String>,
    /// Why somebody whom it should mention is not.
    #[serde(default)]
    pub missed: Vec<String>,
}

/// A page at a recipient.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CellDetail {
    /// The page, from 1.
    pub page: u16,
    /// The recipient, masked.
    pub recipient: String,
    /// What became of it.
    pub state: CellState,
    /// Tries spent.
    pub tries: u32,
    /// Not before, Unix milliseconds.
    pub due_at: UnixMs,
    /// The platform's ids of it, by the names of its API; none before it is accepted, and where the platform has none.
    pub platform_ids: PlatformIds,
    /// The platform's last code.
    pub code: Option<String>,
    /// What its vendor said later, where one does (SMS, calls).
    pub receipt: Option<ReceiptDetail>,
}

/// The last word on what a vendor took.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptDetail {
    /// Its state.
    pub state: ReceiptState,
    /// When the vendor took it, Unix milliseconds.
    pub sent_at: UnixMs,
    /// How often the vendor was asked.
    pub asked: u32,
    /// When it is asked next, or given up; null when the state is final.
    pub due_at: Option<UnixMs>,
    /// After this it is not waited for any more.
    pub until: UnixMs,
    /// When the state became final.
    pub heard_at: Option<UnixMs>,
    /// The vendor's code.
    pub code: Option<String>,
    /// What happened, in words.
    pub detail: Option<String>,
}

/// New deliveries in place of old ones.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequeueResponse {
    /// The new deliveries.
    pub deliveries: Vec<CreatedDelivery>,
}

/// A new delivery.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct CreatedDelivery {
    /// Its identity.
    pub id: DeliveryId,
    /// Its channel.
    pub channel: String,
}

/// How many were dropped.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DropResponse {
    /// How many.
    pub dropped: u64,
}
