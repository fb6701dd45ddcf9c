//! What comes in: requests, alerts, and how long they take.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::labels::{Alerts, Received, Sender};

/// Metrics of what comes in.
pub struct Intake {
    pub received: Family<Received, Counter>,
    pub alerts: Family<Alerts, Counter>,
    pub unrouted: Family<Sender, Counter>,
    pub unknown_channels: Counter,
    pub duration: Histogram,
}

impl Intake {
    pub fn register(registry: &mut Registry) -> Self {
        let new = Self {
            received: Family::default(),
            alerts: Family::default(),
            unrouted: Family::default(),
            unknown_channels: Counter::default(),
            duration: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
        };
        registry.register("received", "Requests with alerts, by sender and outcome", new.received.clone());
        registry.register("alerts", "Alerts accepted, by sender and status; duplicates are not counted", new.alerts.clone());
        registry.register("unrouted_events", "Requests accepted without any resulting delivery, by sender", new.unrouted.clone());
        let text = "Channels named in `to` that do not exist or that the sender may not use";
        registry.register("unknown_channels", text, new.unknown_channels.clone());
        let text = "Time from a request's arrival to the commit of its alerts";
        registry.register_with_unit("ingest_duration", text, Unit::Seconds, new.duration.clone());
        for sender in ["alertmanager", "grafana"] {
            new.unrouted.get_or_create(&Sender { sender }).inc_by(0);
        }
        for outcome in ["malformed", "too_large", "unauthorized", "unavailable", "unread"] {
            new.received.get_or_create(&Received { sender: "any", outcome }).inc_by(0);
        }
        new
    }
}
