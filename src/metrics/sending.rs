//! What goes out: attempts, deliveries that ended, and what vendors report about them later.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::labels::{Attempted, Channel, Delivered, Platform, Rendered};

/// Durations by platform.
type Durations = Family<Platform, Histogram, fn() -> Histogram>;

/// Metrics of what goes out.
pub struct Sending {
    pub deliveries: Family<Delivered, Counter>,
    pub attempts: Family<Attempted, Counter>,
    pub duration: Durations,
    pub end_to_end: Durations,
    pub template_failures: Family<Rendered, Counter>,
    pub batched: Family<Channel, Counter>,
    pub receipts: Family<Delivered, Counter>,
    pub stale_outcomes: Counter,
}

impl Sending {
    pub fn register(registry: &mut Registry) -> Self {
        let new = Self {
            deliveries: Family::default(),
            attempts: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 13))),
            // From 50 ms to 1.9 days: a delivery may wait for a platform that is down.
            end_to_end: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.05, 3.0, 14))),
            template_failures: Family::default(),
            batched: Family::default(),
            receipts: Family::default(),
            stale_outcomes: Counter::default(),
        };
        registry.register("deliveries", "Finished deliveries, by platform, channel and outcome", new.deliveries.clone());
        let text = "Attempts per recipient, by platform, channel and outcome: `ok` or the kind of error";
        registry.register("attempts", text, new.attempts.clone());
        let text = "Duration of one attempt to send, from its start to the platform's answer";
        registry.register_with_unit("send_duration", text, Unit::Seconds, new.duration.clone());
        let text = "Time from an alert's arrival to the platform's confirmation of its delivery";
        registry.register_with_unit("end_to_end_duration", text, Unit::Seconds, new.end_to_end.clone());
        let text = "Messages sent with the built-in text because their template failed or the platform refused its output";
        registry.register("template_failures", text, new.template_failures.clone());
        registry.register("deliveries_batched", "Deliveries sent together with others, folded or in a digest", new.batched.clone());
        registry.register("receipts", "Delivery reports of SMS and voice vendors, by outcome", new.receipts.clone());
        let text = "Results of attempts discarded because another node owns the outlet";
        registry.register("stale_outcomes", text, new.stale_outcomes.clone());
        new
    }

    /// Counters of a channel begin at 0: Prometheus does not see the increase of a series that begins with 1.
    pub fn begin(&self, platform: &'static str, channel: &str) {
        for outcome in ["sent", "dead", "unknown", "expired"] {
            self.deliveries.get_or_create(&Delivered { platform, channel: channel.to_owned(), outcome }).inc_by(0);
        }
        self.template_failures.get_or_create(&Rendered { platform, channel: channel.to_owned() }).inc_by(0);
    }
}
