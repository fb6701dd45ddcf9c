//! What is counted, with bounded labels: platforms and channels come from the configuration, never from bodies.

mod health;
mod incidents;
mod intake;
mod labels;
mod process;
mod queues;
mod register;
mod sending;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use self::health::Health;
pub use self::health::revision;
use self::incidents::Incidents;
use self::intake::Intake;
use self::labels::{
    Alerts, Attempted, Channel, ChannelState, Delivered, Edited, EscalationSteps, FirstNotified, Heartbeat, Limited, LookUps, OpenIncidents,
    Platform, Pressed, Received, Rendered, Sender, Silences, What,
};
use self::process::Process;
use self::queues::Queues;
use self::sending::Sending;
pub use self::text::Format;

/// A number that only grows, counted by others and shown here; cloning shares it.
pub type Count = Counter;

/// All metrics of one process.
pub struct Metrics {
    registry: Registry,
    process: Process,
    intake: Intake,
    sending: Sending,
    queues: Queues,
    incidents: Incidents,
    health: Health,
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
        let intake = Intake::register(&mut registry);
        let sending = Sending::register(&mut registry);
        let queues = Queues::register(&mut registry);
        let incidents = Incidents::register(&mut registry);
        let health = Health::register(&mut registry, lost_lines);
        Self { registry, process: Process::new(), intake, sending, queues, incidents, health, known: Mutex::default() }
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
            self.sending.begin(platform, channel);
            self.sending.batched.get_or_create(&Channel { channel: channel.clone() }).inc_by(0);
        }
        for channel in known.channels.keys().filter(|name| !now.channels.contains_key(*name)) {
            self.queues.remove(channel);
        }
        for heartbeat in known.heartbeats.difference(&now.heartbeats).cloned() {
            let labels = Heartbeat { heartbeat };
            self.health.heartbeat_age.remove(&labels);
            self.health.heartbeat_missing.remove(&labels);
        }
        *known = now;
    }

    /// Senders named so many channels that there are not.
    pub fn unknown_channels(&self, count: u64) {
        self.intake.unknown_channels.inc_by(count);
    }

    /// A body arrived: `accepted`, `duplicate`, `malformed`, `too_large`, `unauthorized`, `not_found` (at a path that takes none), `unavailable`, beyond its sender's limit: `limited`, or it was no alert and was
    /// taken as text: `unread`.
    pub fn received(&self, sender: &'static str, outcome: &'static str) {
        self.intake.received.get_or_create(&Received { sender, outcome }).inc();
    }

    /// So many incidents go on, of this state and severity.
    pub fn incidents_open(&self, state: &'static str, severity: &'static str, count: u64) {
        self.incidents.open.get_or_create(&OpenIncidents { state, severity }).set(count as i64);
    }

    /// A platform did not name the id of a person: `unknown`, `refused` (one that it had named), or the kind of error.
    pub fn look_up_failed(&self, platform: &'static str, result: &'static str) {
        self.sending.look_ups.get_or_create(&LookUps { platform, result }).inc();
    }

    /// A limit of a channel kept something back from one recipient: `recipient` or `month`.
    pub fn limited(&self, platform: &'static str, channel: &str, limit: &'static str) {
        self.sending.limited.get_or_create(&Limited { platform, channel: channel.to_owned(), limit }).inc();
    }

    /// A step of an escalation ended in this state.
    pub fn escalation_step(&self, result: &'static str) {
        self.incidents.escalation_steps.get_or_create(&EscalationSteps { result }).inc();
    }

    /// An edit of a message about an incident ended: `shown`, `posted`, `gone`, `failed` or `given_up`.
    pub fn edited(&self, result: &'static str) {
        self.incidents.edits.get_or_create(&Edited { result }).inc();
        if result == "posted" {
            self.incidents.reposted.inc();
        }
    }

    /// Somebody was on an incident so long after its first firing.
    pub fn acked(&self, after: Duration) {
        self.incidents.acked.observe(after.as_secs_f64());
    }

    /// Somebody did something about incidents, by a button, a link or the API: `done`, `no_effect`, `repeated`, `refused`, `limited`, `not_believed`
    /// or `failed`.
    pub fn pressed(&self, platform: &str, verb: &'static str, result: &'static str) {
        self.incidents.presses.get_or_create(&Pressed { platform: platform.to_owned(), verb, result }).inc();
    }

    /// An Alertmanager said this of a silence.
    pub fn silence(&self, result: &'static str) {
        self.incidents.silences.get_or_create(&Silences { result }).inc();
    }

    /// A delivery became final.
    pub fn delivered(&self, platform: &'static str, channel: &str, outcome: &'static str, n: u64) {
        self.sending.deliveries.get_or_create(&Delivered { platform, channel: channel.to_owned(), outcome }).inc_by(n);
    }

    /// An attempt ended.
    pub fn attempt(&self, platform: &'static str, took: Duration) {
        self.sending.duration.get_or_create(&Platform { platform }).observe(took.as_secs_f64());
    }

    /// What an attempt came to for one recipient: `ok`, or the kind of error.
    pub fn attempted(&self, platform: &'static str, channel: &str, outcome: &'static str) {
        self.sending.attempts.get_or_create(&Attempted { platform, channel: channel.to_owned(), outcome }).inc();
    }

    /// A delivery was confirmed so long after its body had arrived.
    pub fn delivered_after(&self, platform: &'static str, took: Duration) {
        self.sending.end_to_end.get_or_create(&Platform { platform }).observe(took.as_secs_f64());
    }

    /// A channel had its first message about an incident so long after what fires in it was reported.
    pub fn first_notified(&self, platform: &'static str, severity: &'static str, took: Duration) {
        self.sending.first_notified.get_or_create(&FirstNotified { platform, severity }).observe(took.as_secs_f64());
    }

    /// Alerts were accepted, with the status `firing` or `resolved`.
    pub fn alerts(&self, sender: &'static str, status: &'static str, n: u64) {
        self.intake.alerts.get_or_create(&Alerts { sender, status }).inc_by(n);
    }

    /// A request was accepted and led to no delivery.
    pub fn unrouted(&self, sender: &'static str) {
        self.intake.unrouted.get_or_create(&Sender { sender }).inc();
    }

    /// The built-in text was used.
    pub fn template_failure(&self, platform: &'static str, channel: &str) {
        self.sending.template_failures.get_or_create(&Rendered { platform, channel: channel.to_owned() }).inc();
    }

    /// Deliveries left together in one message.
    pub fn batched(&self, channel: &str, n: u64) {
        self.sending.batched.get_or_create(&Channel { channel: channel.to_owned() }).inc_by(n);
    }

    /// A vendor's last word on what it took: `delivered`, `undelivered`, `unheard`.
    pub fn receipt(&self, platform: &'static str, channel: &str, outcome: &'static str) {
        self.sending.receipts.get_or_create(&Delivered { platform, channel: channel.to_owned(), outcome }).inc();
    }

    /// A channel whose vendor says later what became of what it took: what is counted begins at 0.
    pub fn receipts_of(&self, platform: &'static str, channel: &str) {
        for outcome in ["delivered", "undelivered", "unheard"] {
            self.sending.receipts.get_or_create(&Delivered { platform, channel: channel.to_owned(), outcome }).inc_by(0);
        }
        for limit in ["recipient", "month"] {
            self.sending.limited.get_or_create(&Limited { platform, channel: channel.to_owned(), limit }).inc_by(0);
        }
    }

    /// The store refused a read or a write.
    pub fn store_error(&self) {
        self.health.store_errors.inc();
    }

    /// An outcome came too late: the outlet had another owner.
    pub fn stale_outcome(&self) {
        self.sending.stale_outcomes.inc();
    }

    /// An event was committed.
    pub fn ingested_in(&self, took: Duration) {
        self.intake.duration.observe(took.as_secs_f64());
    }

    /// A reload ended, at Unix seconds.
    pub fn reloaded(&self, ok: bool, at: f64) {
        self.health.reload_successful.set(i64::from(ok));
        if ok {
            self.health.reload_success_at.set(at);
        }
    }

    /// An alarm of Watchfire's own was raised.
    pub fn self_alert(&self, what: &'static str) {
        self.health.self_alerts.get_or_create(&What { what }).inc();
    }

    /// A channel is there: what is counted for it begins at zero, because Prometheus sees no increase in a series that begins with its first event.
    pub fn channel(&self, platform: &'static str, channel: &str) {
        self.sending.begin(platform, channel);
    }

    /// How many deliveries of a channel are in a state that is not final.
    pub fn queue(&self, channel: &str, state: &'static str, n: i64) {
        self.queues.deliveries.get_or_create(&ChannelState { channel: channel.to_owned(), state }).set(n);
    }

    /// How long the oldest waiting delivery of a channel has waited.
    pub fn oldest(&self, channel: &str, age: Duration) {
        self.queues.oldest.get_or_create(&Channel { channel: channel.to_owned() }).set(age.as_secs_f64());
    }

    /// Pause and hold of a channel's outlet.
    pub fn outlet(&self, channel: &str, paused: Duration, suspended: bool) {
        self.queues.paused.get_or_create(&Channel { channel: channel.to_owned() }).set(paused.as_secs_f64());
        self.queues.suspended.get_or_create(&Channel { channel: channel.to_owned() }).set(i64::from(suspended));
    }

    /// Whether the connection for presses of a channel's buttons is open; `None` where this node keeps none.
    pub fn listener(&self, channel: &str, connected: Option<bool>) {
        let labels = Channel { channel: channel.to_owned() };
        match connected {
            Some(connected) => _ = self.queues.listener.get_or_create(&labels).set(i64::from(connected)),
            None => _ = self.queues.listener.remove(&labels),
        }
    }

    /// Messages sent this month.
    pub fn month_sent(&self, channel: &str, n: i64) {
        self.queues.month_sent.get_or_create(&Channel { channel: channel.to_owned() }).set(n);
    }

    /// A task ended unexpectedly and is restarted; 0 says that it exists.
    pub fn restarted(&self, what: &'static str, n: u64) {
        self.health.task_restarts.get_or_create(&What { what }).inc_by(n);
    }

    /// Deliveries of a channel that are due and that nobody works on.
    pub fn stalled(&self, channel: &str, n: u64) {
        self.queues.stalled.get_or_create(&Channel { channel: channel.to_owned() }).set(i64::try_from(n).unwrap_or(i64::MAX));
    }

    /// Nodes that share the store, and the different configurations that they work by.
    pub fn cluster(&self, nodes: usize, config_versions: usize) {
        self.health.members.set(nodes as i64);
        self.health.config_versions.set(config_versions as i64);
    }

    /// How long a heartbeat has been quiet, and whether it is missing.
    pub fn heartbeat(&self, name: &str, age_seconds: u64, missing: bool) {
        let labels = Heartbeat { heartbeat: name.to_owned() };
        self.health.heartbeat_age.get_or_create(&labels).set(i64::try_from(age_seconds).unwrap_or(i64::MAX));
        self.health.heartbeat_missing.get_or_create(&labels).set(i64::from(missing));
    }

    /// Size of the store.
    pub fn store_bytes(&self, bytes: u64) {
        self.health.store_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
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
