//! What waits: the queues of channels, and the state of their outlets.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{Channel, ChannelState};
use super::register::{measured, series};

/// Metrics of what waits.
pub struct Queues {
    pub deliveries: Family<ChannelState, Gauge>,
    pub oldest: Family<Channel, Gauge<f64, AtomicU64>>,
    pub paused: Family<Channel, Gauge<f64, AtomicU64>>,
    pub suspended: Family<Channel, Gauge>,
    pub month_sent: Family<Channel, Gauge>,
    pub stalled: Family<Channel, Gauge>,
    pub listener: Family<Channel, Gauge>,
}

impl Queues {
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            deliveries: series(registry, "queue_deliveries", "Unfinished deliveries, by channel and state", Family::default()),
            oldest: measured(registry, "queue_oldest_age", "Age of the oldest waiting delivery", Unit::Seconds, Family::default()),
            paused: measured(registry, "channel_paused", "How long the channel stays paused", Unit::Seconds, Family::default()),
            suspended: series(
                registry,
                "channel_suspended",
                "1 while the channel is suspended because its credentials or settings do not work",
                Family::default(),
            ),
            month_sent: series(registry, "channel_month_sent", "Messages sent this month through the channel's credential", Family::default()),
            stalled: series(
                registry,
                "stalled_deliveries",
                "Deliveries that are due and that no worker handles, whatever the cause",
                Family::default(),
            ),
            listener: series(
                registry,
                "listener_connected",
                "1 while this node's connection for presses of the channel's buttons is open",
                Family::default(),
            ),
        }
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
        self.listener.remove(&labels);
    }
}
