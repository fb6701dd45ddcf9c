//! What waits: the queues of channels, and the state of their outlets.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{Channel, ChannelState};

/// Metrics of what waits.
pub struct Queues {
    pub deliveries: Family<ChannelState, Gauge>,
    pub oldest: Family<Channel, Gauge<f64, AtomicU64>>,
    pub paused: Family<Channel, Gauge<f64, AtomicU64>>,
    pub suspended: Family<Channel, Gauge>,
    pub month_sent: Family<Channel, Gauge>,
    pub stalled: Family<Channel, Gauge>,
}

impl Queues {
    pub fn register(registry: &mut Registry) -> Self {
        let new = Self {
            deliveries: Family::default(),
            oldest: Family::default(),
            paused: Family::default(),
            suspended: Family::default(),
            month_sent: Family::default(),
            stalled: Family::default(),
        };
        registry.register("queue_deliveries", "Unfinished deliveries, by channel and state", new.deliveries.clone());
        registry.register_with_unit("queue_oldest_age", "Age of the oldest waiting delivery", Unit::Seconds, new.oldest.clone());
        registry.register_with_unit("channel_paused", "How long the channel stays paused", Unit::Seconds, new.paused.clone());
        let text = "1 while the channel is suspended because its credentials or settings do not work";
        registry.register("channel_suspended", text, new.suspended.clone());
        registry.register("channel_month_sent", "Messages sent this month through the channel's credential", new.month_sent.clone());
        let text = "Deliveries that are due and that no worker handles, whatever the cause";
        registry.register("stalled_deliveries", text, new.stalled.clone());
        new
    }

    /// Removes the series of a channel that is gone, so that no alert fires on them forever.
    pub fn remove(&self, channel: &str) {
        for state in ["waiting", "deferred"] {
            self.deliveries.remove(&ChannelState { channel: channel.to_owned(), state });
        }
        let labels = Channel { channel: channel.to_owned() };
        self.oldest.remove(&labels);
        self.paused.remove(&labels);
        self.suspended.remove(&labels);
        self.month_sent.remove(&labels);
        self.stalled.remove(&labels);
    }
}
