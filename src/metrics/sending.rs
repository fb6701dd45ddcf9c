//! What goes out: attempts, deliveries that ended, and what vendors report about them later.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::labels::{Attempted, Channel, Delivered, FirstNotified, Limited, LookUps, Platform, Rendered};
use super::register::{measured, series};

/// Durations by platform.
type Durations = Family<Platform, Histogram, fn() -> Histogram>;

/// Metrics of what goes out.
pub struct Sending {
    pub deliveries: Family<Delivered, Counter>,
    pub attempts: Family<Attempted, Counter>,
    pub duration: Durations,
    pub end_to_end: Durations,
    pub first_notified: Family<FirstNotified, Histogram, fn() -> Histogram>,
    pub template_failures: Family<Rendered, Counter>,
    pub batched: Family<Channel, Counter>,
    pub receipts: Family<Delivered, Counter>,
    pub look_ups: Family<LookUps, Counter>,
    pub limited: Family<Limited, Counter>,
    pub stale_outcomes: Counter,
}

impl Sending {
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            deliveries: series(registry, "deliveries", "Finished deliveries, by platform, channel and outcome", Family::default()),
            attempts: series(
                registry,
                "attempts",
                "Attempts per recipient, by platform, channel and outcome: `ok` or the kind of error",
                Family::default(),
            ),
            duration: measured(
                registry,
                "send_duration",
                "Duration of one attempt to send, from its start to the platform's answer",
                Unit::Seconds,
                Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 13))),
            ),
            // From 50 ms to 1.9 days: a delivery may wait for a platform that is down.
            end_to_end: measured(
                registry,
                "end_to_end_duration",
                "Time from an alert's arrival to the platform's confirmation of its delivery",
                Unit::Seconds,
                Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.05, 3.0, 14))),
            ),
            first_notified: measured(
                registry,
                "first_notification_duration",
                "Time from the first report of what fires in an incident to the platform's confirmation of a channel's first message about it, by platform and severity: with mutes, without steps of escalations and channels with `living: off`",
                Unit::Seconds,
                Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.05, 3.0, 14))),
            ),
            template_failures: series(
                registry,
                "template_failures",
                "Messages sent with the built-in text because their template failed or the platform refused its output",
                Family::default(),
            ),
            batched: series(registry, "deliveries_batched", "Deliveries sent together with others, folded or in a digest", Family::default()),
            receipts: series(registry, "receipts", "Delivery reports of SMS and voice vendors, by outcome", Family::default()),
            look_ups: series(
                registry,
                "failed_look_ups",
                "Questions for people's ids that a platform did not answer with one, by platform and result: `unknown`, `refused` (an id that it had named) or the kind of error",
                Family::default(),
            ),
            limited: series(
                registry,
                "limited",
                "Messages to one recipient that a limit kept back, by platform, channel and limit: `recipient` (`recipient_limit`) or `month` (`per_month`)",
                Family::default(),
            ),
            stale_outcomes: series(
                registry,
                "stale_outcomes",
                "Results of attempts discarded because another node owns the outlet",
                Counter::default(),
            ),
        }
    }

    /// Counters of a channel begin at 0: Prometheus does not see the increase of a series that begins with 1.
    pub fn begin(&self, platform: &'static str, channel: &str) {
        for outcome in ["sent", "dead", "unknown", "expired"] {
            self.deliveries.get_or_create(&Delivered { platform, channel: channel.to_owned(), outcome }).inc_by(0);
        }
        self.template_failures.get_or_create(&Rendered { platform, channel: channel.to_owned() }).inc_by(0);
    }
}
