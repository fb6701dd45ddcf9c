//! What is counted, with bounded labels: platforms and channels come from the configuration, never from bodies.

mod process;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use self::process::Process;
pub use self::text::Format;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Received {
    sender: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivered {
    platform: &'static str,
    channel: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Channel {
    channel: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelState {
    channel: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Platform {
    platform: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rendered {
    platform: &'static str,
    channel: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Heartbeat {
    heartbeat: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempted {
    platform: &'static str,
    channel: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Alerts {
    sender: &'static str,
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
    /// The commit that it was built from; not there where the build did not say.
    revision: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sender {
    sender: &'static str,
}

/// A number that only grows, counted by others and shown here; cloning shares it.
pub type Count = Counter;

/// All metrics of one process.
pub struct Metrics {
    registry: Registry,
    received: Family<Received, Counter>,
    deliveries: Family<Delivered, Counter>,
    send_duration: Family<Platform, Histogram, fn() -> Histogram>,
    attempts: Family<Attempted, Counter>,
    end_to_end: Family<Platform, Histogram, fn() -> Histogram>,
    alerts: Family<Alerts, Counter>,
    unrouted: Family<Sender, Counter>,
    process: Process,
    queue: Family<ChannelState, Gauge>,
    oldest: Family<Channel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    paused: Family<Channel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    suspended: Family<Channel, Gauge>,
    month_sent: Family<Channel, Gauge>,
    template_failures: Family<Rendered, Counter>,
    batched: Family<Channel, Counter>,
    receipts: Family<Delivered, Counter>,
    unknown_channels: Counter,
    store_errors: Counter,
    stale_outcomes: Counter,
    reload_successful: Gauge,
    reload_success_at: Gauge<f64, std::sync::atomic::AtomicU64>,
    ingest_duration: Histogram,
    store_bytes: Gauge,
    members: Gauge,
    config_versions: Gauge,
    self_alerts: Family<What, Counter>,
    task_restarts: Family<What, Counter>,
    stalled: Family<Channel, Gauge>,
    heartbeat_age: Family<Heartbeat, Gauge>,
    heartbeat_missing: Family<Heartbeat, Gauge>,
    known: Mutex<Known>,
}

/// What there are series of.
#[derive(Default, PartialEq, Eq)]
struct Known {
    channels: BTreeMap<String, &'static str>,
    heartbeats: BTreeSet<String>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A fresh set.
    pub fn new() -> Self {
        Self::counting(Count::default())
    }

    /// A fresh set that shows how many lines of the log were lost.
    pub fn counting(lost_lines: Count) -> Self {
        let mut registry = Registry::with_prefix("watchfire");
        let received: Family<Received, Counter> = Family::default();
        let deliveries: Family<Delivered, Counter> = Family::default();
        let send_duration: Family<Platform, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.005, 2.0, 13)));
        let (queue, oldest, paused, suspended, month_sent) =
            (Family::default(), Family::default(), Family::default(), Family::default(), Family::default());
        let attempts: Family<Attempted, Counter> = Family::default();
        // From 50 ms to 1.9 days: a delivery may wait for a platform that is away.
        let end_to_end: Family<Platform, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.05, 3.0, 14)));
        let (alerts, unrouted): (Family<Alerts, Counter>, Family<Sender, Counter>) = (Family::default(), Family::default());
        let (template_failures, batched, self_alerts) = (Family::default(), Family::default(), Family::default());
        let receipts: Family<Delivered, Counter> = Family::default();
        let unknown_channels = Counter::default();
        let (store_errors, stale_outcomes, reload_successful, reload_success_at, store_bytes) =
            (Counter::default(), Counter::default(), Gauge::default(), Gauge::default(), Gauge::default());
        let ingest_duration = Histogram::new(exponential_buckets(0.0005, 2.0, 14));
        registry.register("received", "Requests with alerts, by sender and outcome", received.clone());
        registry.register("deliveries", "Finished deliveries, by platform, channel and outcome", deliveries.clone());
        registry.register("alerts", "Alerts accepted, by sender and status; duplicates are not counted", alerts.clone());
        registry.register("unrouted_events", "Requests accepted without any resulting delivery, by sender", unrouted.clone());
        registry.register_with_unit(
            "send_duration",
            "Duration of one attempt to send, from its start to the platform's answer",
            Unit::Seconds,
            send_duration.clone(),
        );
        registry.register("attempts", "Attempts per recipient, by platform, channel and outcome: `ok` or the kind of error", attempts.clone());
        registry.register_with_unit(
            "end_to_end_duration",
            "Time from an alert's arrival to the platform's confirmation of its delivery",
            Unit::Seconds,
            end_to_end.clone(),
        );
        let build: Family<Build, Gauge> = Family::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION"), revision: option_env!("WATCHFIRE_REVISION") }).set(1);
        registry.register("build_info", "Constant 1, labelled with the version and, where the build set WATCHFIRE_REVISION, the revision", build);
        registry.register("queue_deliveries", "Unfinished deliveries, by channel and state", queue.clone());
        registry.register_with_unit("queue_oldest_age", "Age of the oldest waiting delivery", Unit::Seconds, oldest.clone());
        registry.register_with_unit("channel_paused", "How long the channel stays paused", Unit::Seconds, paused.clone());
        registry.register("channel_suspended", "1 while the channel is suspended because its credentials or settings do not work", suspended.clone());
        registry.register("channel_month_sent", "Messages sent this month through the channel's credential", month_sent.clone());
        registry.register(
            "template_failures",
            "Messages sent with the built-in text because their template failed or the platform refused its output",
            template_failures.clone(),
        );
        registry.register("deliveries_batched", "Deliveries sent together with others, folded or in a digest", batched.clone());
        registry.register("receipts", "Delivery reports of SMS and voice vendors, by outcome", receipts.clone());
        let text = "Channels named in `to` that do not exist or that the sender may not use";
        registry.register("unknown_channels", text, unknown_channels.clone());
        registry.register("store_errors", "Failed reads and writes of the store", store_errors.clone());
        registry.register("stale_outcomes", "Results of attempts discarded because another node owns the outlet", stale_outcomes.clone());
        registry.register("config_last_reload_successful", "1 if the last reload of the configuration succeeded", reload_successful.clone());
        registry.register_with_unit(
            "config_last_reload_success_timestamp",
            "Unix time of the last successful load of the configuration",
            Unit::Seconds,
            reload_success_at.clone(),
        );
        registry.register_with_unit(
            "ingest_duration",
            "Time from a request's arrival to the commit of its alerts",
            Unit::Seconds,
            ingest_duration.clone(),
        );
        let (members, config_versions) = (Gauge::default(), Gauge::default());
        registry.register("cluster_members", "Nodes that share the store; 0 with SQLite", members.clone());
        registry.register(
            "cluster_config_versions",
            "Number of distinct configurations among the cluster members (expected: 1)",
            config_versions.clone(),
        );
        registry.register_with_unit("store_size", "Size of the store on disk", Unit::Bytes, store_bytes.clone());
        registry.register("self_alerts", "Alerts that Watchfire raised about itself, by kind", self_alerts.clone());
        registry.register("log_lines_lost", "Log lines that could not be written", lost_lines);
        let (task_restarts, stalled) = (Family::default(), Family::default());
        registry.register("task_restarts", "Background tasks restarted after a failure, by task", task_restarts.clone());
        registry.register("stalled_deliveries", "Deliveries that are due and that no worker handles, whatever the cause", stalled.clone());
        let (heartbeat_age, heartbeat_missing) = (Family::default(), Family::default());
        registry.register_with_unit("heartbeat_age", "Time since the heartbeat's alert last arrived", Unit::Seconds, heartbeat_age.clone());
        registry.register("heartbeat_missing", "1 while a heartbeat is missing", heartbeat_missing.clone());
        for sender in ["alertmanager", "grafana"] {
            unrouted.get_or_create(&Sender { sender }).inc_by(0);
        }
        for outcome in ["malformed", "too_large", "unauthorized", "unavailable", "unread"] {
            received.get_or_create(&Received { sender: "any", outcome }).inc_by(0);
        }
        Self {
            known: Mutex::default(),
            registry,
            received,
            deliveries,
            send_duration,
            attempts,
            end_to_end,
            alerts,
            unrouted,
            process: Process::new(),
            queue,
            oldest,
            paused,
            suspended,
            month_sent,
            template_failures,
            batched,
            receipts,
            unknown_channels,
            store_errors,
            stale_outcomes,
            reload_successful,
            reload_success_at,
            ingest_duration,
            store_bytes,
            members,
            config_versions,
            self_alerts,
            task_restarts,
            stalled,
            heartbeat_age,
            heartbeat_missing,
        }
    }

    /// The channels (platform and name) and heartbeats of the configuration. Counters of new channels begin at 0, because Prometheus does not see the
    /// increase of a series that begins with 1; those of channels that are gone are removed, so that no alert fires on them forever.
    pub fn know<'a>(&self, channels: impl Iterator<Item = (&'static str, &'a str)>, heartbeats: impl Iterator<Item = &'a str>) {
        let now = Known {
            channels: channels.map(|(platform, name)| (name.to_owned(), platform)).collect(),
            heartbeats: heartbeats.map(str::to_owned).collect(),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == now {
            return;
        }
        for (channel, platform) in &now.channels {
            for outcome in ["sent", "dead", "unknown", "expired"] {
                self.deliveries.get_or_create(&Delivered { platform, channel: channel.clone(), outcome }).inc_by(0);
            }
            self.template_failures.get_or_create(&Rendered { platform, channel: channel.clone() }).inc_by(0);
            self.batched.get_or_create(&Channel { channel: channel.clone() }).inc_by(0);
        }
        for channel in known.channels.keys().filter(|name| !now.channels.contains_key(*name)).cloned() {
            for state in ["waiting", "deferred"] {
                self.queue.remove(&ChannelState { channel: channel.clone(), state });
            }
            let labels = Channel { channel };
            self.oldest.remove(&labels);
            self.paused.remove(&labels);
            self.suspended.remove(&labels);
            self.month_sent.remove(&labels);
            self.stalled.remove(&labels);
        }
        for heartbeat in known.heartbeats.difference(&now.heartbeats).cloned() {
            let labels = Heartbeat { heartbeat };
            self.heartbeat_age.remove(&labels);
            self.heartbeat_missing.remove(&labels);
        }
        *known = now;
    }

    /// Senders named so many channels that there are not.
    pub fn unknown_channels(&self, count: u64) {
        self.unknown_channels.inc_by(count);
    }

    /// A body arrived: `accepted`, `duplicate`, `malformed`, `too_large`, `unauthorized`, `unavailable`, or it was no alert and was taken as text: `unread`.
    pub fn received(&self, sender: &'static str, outcome: &'static str) {
        self.received.get_or_create(&Received { sender, outcome }).inc();
    }

    /// A delivery became final.
    pub fn delivered(&self, platform: &'static str, channel: &str, outcome: &'static str, n: u64) {
        self.deliveries.get_or_create(&Delivered { platform, channel: channel.to_owned(), outcome }).inc_by(n);
    }

    /// An attempt ended.
    pub fn attempt(&self, platform: &'static str, took: Duration) {
        self.send_duration.get_or_create(&Platform { platform }).observe(took.as_secs_f64());
    }

    /// What an attempt came to for one recipient: `ok`, or the kind of error.
    pub fn attempted(&self, platform: &'static str, channel: &str, outcome: &'static str) {
        self.attempts.get_or_create(&Attempted { platform, channel: channel.to_owned(), outcome }).inc();
    }

    /// A delivery was confirmed so long after its body had arrived.
    pub fn delivered_after(&self, platform: &'static str, took: Duration) {
        self.end_to_end.get_or_create(&Platform { platform }).observe(took.as_secs_f64());
    }

    /// Alerts were accepted, with the status `firing` or `resolved`.
    pub fn alerts(&self, sender: &'static str, status: &'static str, n: u64) {
        self.alerts.get_or_create(&Alerts { sender, status }).inc_by(n);
    }

    /// A request was accepted and led to no delivery.
    pub fn unrouted(&self, sender: &'static str) {
        self.unrouted.get_or_create(&Sender { sender }).inc();
    }

    /// The built-in text was used.
    pub fn template_failure(&self, platform: &'static str, channel: &str) {
        self.template_failures.get_or_create(&Rendered { platform, channel: channel.to_owned() }).inc();
    }

    /// Deliveries left together in one message.
    pub fn batched(&self, channel: &str, n: u64) {
        self.batched.get_or_create(&Channel { channel: channel.to_owned() }).inc_by(n);
    }

    /// A vendor's last word on what it took: `delivered`, `undelivered`, `unheard`.
    pub fn receipt(&self, platform: &'static str, channel: &str, outcome: &'static str) {
        self.receipts.get_or_create(&Delivered { platform, channel: channel.to_owned(), outcome }).inc();
    }

    /// A channel whose vendor says later what became of what it took: what is counted begins at 0.
    pub fn receipts_of(&self, platform: &'static str, channel: &str) {
        for outcome in ["delivered", "undelivered", "unheard"] {
            self.receipts.get_or_create(&Delivered { platform, channel: channel.to_owned(), outcome }).inc_by(0);
        }
    }

    /// The store refused a read or a write.
    pub fn store_error(&self) {
        self.store_errors.inc();
    }

    /// An outcome came too late: the outlet had another owner.
    pub fn stale_outcome(&self) {
        self.stale_outcomes.inc();
    }

    /// An event was committed.
    pub fn ingested_in(&self, took: Duration) {
        self.ingest_duration.observe(took.as_secs_f64());
    }

    /// A reload ended, at Unix seconds.
    pub fn reloaded(&self, ok: bool, at: f64) {
        self.reload_successful.set(i64::from(ok));
        if ok {
            self.reload_success_at.set(at);
        }
    }

    /// An alarm of Watchfire's own was raised.
    pub fn self_alert(&self, what: &'static str) {
        self.self_alerts.get_or_create(&What { what }).inc();
    }

    /// A channel is there: what is counted for it begins at zero, because Prometheus sees no increase in a series that begins with its first event.
    pub fn channel(&self, platform: &'static str, channel: &str) {
        for outcome in ["sent", "dead", "unknown", "expired"] {
            self.delivered(platform, channel, outcome, 0);
        }
        self.template_failures.get_or_create(&Rendered { platform, channel: channel.to_owned() }).inc_by(0);
    }

    /// How many deliveries of a channel are in a state that is not final.
    pub fn queue(&self, channel: &str, state: &'static str, n: i64) {
        self.queue.get_or_create(&ChannelState { channel: channel.to_owned(), state }).set(n);
    }

    /// How long the oldest waiting delivery of a channel has waited.
    pub fn oldest(&self, channel: &str, age: Duration) {
        self.oldest.get_or_create(&Channel { channel: channel.to_owned() }).set(age.as_secs_f64());
    }

    /// Pause and hold of a channel's outlet.
    pub fn outlet(&self, channel: &str, paused: Duration, suspended: bool) {
        self.paused.get_or_create(&Channel { channel: channel.to_owned() }).set(paused.as_secs_f64());
        self.suspended.get_or_create(&Channel { channel: channel.to_owned() }).set(i64::from(suspended));
    }

    /// Messages sent this month.
    pub fn month_sent(&self, channel: &str, n: i64) {
        self.month_sent.get_or_create(&Channel { channel: channel.to_owned() }).set(n);
    }

    /// A task ended unexpectedly and is restarted; 0 says that it exists.
    pub fn restarted(&self, what: &'static str, n: u64) {
        self.task_restarts.get_or_create(&What { what }).inc_by(n);
    }

    /// Deliveries of a channel that are due and that nobody works on.
    pub fn stalled(&self, channel: &str, n: u64) {
        self.stalled.get_or_create(&Channel { channel: channel.to_owned() }).set(i64::try_from(n).unwrap_or(i64::MAX));
    }

    /// Nodes that share the store, and the different configurations that they work by.
    pub fn cluster(&self, nodes: usize, config_versions: usize) {
        self.members.set(nodes as i64);
        self.config_versions.set(config_versions as i64);
    }

    /// How long a heartbeat has been quiet, and whether it is missing.
    pub fn heartbeat(&self, name: &str, age_seconds: u64, missing: bool) {
        let labels = Heartbeat { heartbeat: name.to_owned() };
        self.heartbeat_age.get_or_create(&labels).set(i64::try_from(age_seconds).unwrap_or(i64::MAX));
        self.heartbeat_missing.get_or_create(&labels).set(i64::from(missing));
    }

    /// Size of the store.
    pub fn store_bytes(&self, bytes: u64) {
        self.store_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// What `/metrics` answers.
    pub fn write(&self, format: Format) -> String {
        let mut out = String::new();
        let written = encode_registry(&mut out, &self.registry)
            .and_then(|()| encode_registry(&mut out, self.process.collect()))
            .and_then(|()| encode_eof(&mut out));
        if written.is_err() {
            out.clear();
        }
        match format {
            Format::OpenMetrics => out,
            Format::Text => text::from_open_metrics(&out),
        }
    }
}
