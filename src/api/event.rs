//! Events, and what became or would become of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Event, EventId, UnixMs};
use crate::store::{DeliveryRow, EventRow, State};

/// A page of events, newest first.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// The events.
    pub events: Vec<EventRow>,
    /// The `cursor` of the next page; null on the last one.
    pub next: Option<EventId>,
    /// How far back was searched, Unix milliseconds: a search reads 50,000 events for one answer, and goes on with `next` whether it found some or not. Null
    /// where nothing older is left, and for lists that need no search.
    #[serde(default)]
    pub searched_back_to: Option<UnixMs>,
}

/// An event with its body.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventBody {
    /// Its identity.
    pub id: EventId,
    /// When it arrived, Unix milliseconds.
    pub received_at: UnixMs,
    /// Hash of the configuration that it was routed by.
    pub plan: String,
    /// The body, normalised.
    pub body: Event,
}

/// An event with its deliveries.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventResponse {
    /// Its identity.
    pub id: EventId,
    /// When it arrived, Unix milliseconds.
    pub received_at: UnixMs,
    /// Hash of the configuration that it was routed by.
    pub plan: String,
    /// Why it has no delivery.
    pub note: Option<String>,
    /// The body, normalised.
    pub event: Event,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryRow>,
    /// Why each alert went where it went; null when the sender named its channels (`?to=`), and in a scrubbed answer.
    pub routes: Option<RouteTraces>,
}

/// The ways of an event's alerts through the routing tree.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RouteTraces {
    /// Whether the configuration has changed since the event arrived: these are the routes of now, at that time; those of then may have differed.
    pub changed: bool,
    /// The alerts.
    pub alerts: Vec<RouteTrace>,
    /// Alerts of a large body that were routed the same way but are not explained.
    pub not_explained: usize,
}

/// What would happen to a body now.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExplainResponse {
    /// Why each alert goes where it goes.
    pub alerts: Vec<RouteTrace>,
    /// Alerts of a large body that are routed the same way but not explained.
    pub not_explained: usize,
    /// What would be sent.
    pub deliveries: Vec<ExplainedDelivery>,
}

/// An alert's way through the routing tree.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RouteTrace {
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
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedDelivery {
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
    /// Channels that are tried when this one is dead, without disabled ones.
    pub fallback: Vec<String>,
    /// The rate limit of the channel, `20 per 1m`, or `off`.
    pub rate_limit: String,
    /// Templates that failed.
    pub template_errors: Vec<String>,
    /// The pages.
    pub pages: Vec<ExplainedPage>,
}

/// A page that would be sent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedPage {
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
