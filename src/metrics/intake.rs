//! What comes in: requests, alerts, and how long they take.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::labels::{Alerts, Received, Sender};
use super::register::{measured, series};

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
            received: series(registry, "received", "Requests with alerts, by sender and outcome", Family::default()),
            alerts: series(registry, "alerts", "Alerts accepted, by sender and status; duplicates are not counted", Family::default()),
            unrouted: series(registry, "unrouted_events", "Requests accepted without any resulting delivery, by sender", Family::default()),
            unknown_channels: series(
                registry,
                "unknown_channels",
                "Channels named in `to` that do not exist or that the sender may not use",
                Counter::default(),
            ),
            duration: measured(
                registry,
                "ingest_duration",
                "Time from a request's arrival to the commit of its alerts",
                Unit::Seconds,
                Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
            ),
        };
        // Every kind of sender: the first of a series that begins with 1 is no increase.
        for sender in ["alertmanager", "grafana", "grafana_legacy", "alerts", "generic", "direct", "watchfire"] {
            new.unrouted.get_or_create(&Sender { sender }).inc_by(0);
        }
        for outcome in ["malformed", "too_large", "unauthorized", "unavailable", "unread", "limited", "not_found"] {
            new.received.get_or_create(&Received { sender: "any", outcome }).inc_by(0);
        }
        new
    }
}
