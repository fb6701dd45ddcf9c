//! Alerts about Watchfire itself: what they say, when they repeat, and which channel they take (never the one that fails).

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Alert, Event, SenderKind, Status, UnixMs};

use super::plan::Plan;

/// The same alert is not sent again within this time, in milliseconds.
const REPEAT_INTERVAL: Duration = Duration::from_secs(600);

/// What a self-alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SelfAlertKind {
    /// A channel's outlet is suspended: its configuration does not work.
    ChannelSuspended,
    /// Deliveries became dead or unknown. It never resolves.
    DeadLetters,
    /// Deliveries wait longer than they should.
    Backlog,
    /// The store does not accept writes, or has reached its limit.
    Disk,
    /// The store was damaged when it was opened, and has lost something. It never resolves.
    StoreDamaged,
    /// A reload failed; the previous configuration stays active.
    ReloadFailed,
    /// Deliveries wait for a channel that the configuration no longer has. It never resolves.
    OrphanedDeliveries,
    /// Nodes have different configurations.
    ConfigMismatch,
}

impl SelfAlertKind {
    /// The alert's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChannelSuspended => "WatchfireChannelSuspended",
            Self::DeadLetters => "WatchfireDeadLetters",
            Self::Backlog => "WatchfireBacklog",
            Self::Disk => "WatchfireDisk",
            Self::StoreDamaged => "WatchfireStoreDamaged",
            Self::ReloadFailed => "WatchfireReloadFailed",
            Self::OrphanedDeliveries => "WatchfireOrphanedDeliveries",
            Self::ConfigMismatch => "WatchfireClusterConfigMismatch",
        }
    }

    fn severity(self) -> &'static str {
        match self {
            Self::ChannelSuspended | Self::Disk | Self::StoreDamaged => "critical",
            Self::DeadLetters | Self::Backlog | Self::OrphanedDeliveries | Self::ConfigMismatch => "error",
            Self::ReloadFailed => "warning",
        }
    }

    /// What its end says.
    fn resolved(self, channel: &str) -> String {
        match self {
            Self::ChannelSuspended => format!("Channel {channel} delivers again"),
            Self::Backlog => format!("Channel {channel} has caught up"),
            Self::Disk => "The store takes writes again".into(),
            Self::ReloadFailed => "The configuration was reloaded".into(),
            Self::ConfigMismatch => "All nodes have the same configuration".into(),
            Self::DeadLetters | Self::StoreDamaged | Self::OrphanedDeliveries => String::new(),
        }
    }
}

/// Something about Watchfire itself that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfAlert {
    kind: SelfAlertKind,
    /// Empty when it is about Watchfire as a whole.
    channel: String,
    status: Status,
    summary: String,
    description: String,
}

impl SelfAlert {
    /// The end of what an alert of this kind was about; `channel` is empty when it is about Watchfire as a whole.
    pub fn resolved(kind: SelfAlertKind, channel: &str) -> Self {
        Self { kind, channel: channel.to_owned(), status: Status::Resolved, summary: kind.resolved(channel), description: String::new() }
    }

    fn firing(kind: SelfAlertKind, channel: &str, summary: String, description: String) -> Self {
        Self { kind, channel: channel.to_owned(), status: Status::Firing, summary, description }
    }

    /// A channel's outlet is suspended.
    pub fn channel_suspended(channel: &str, reason: &str) -> Self {
        let description = format!("{reason}. Its deliveries are queued and resume automatically once it works; a reload retries at once.");
        Self::firing(SelfAlertKind::ChannelSuspended, channel, format!("Channel {channel} cannot deliver"), description)
    }

    /// Deliveries became dead or unknown, the first for this reason.
    pub fn dead_letters(channel: &str, count: usize, reason: &str) -> Self {
        let description = format!("{reason}. See `watchfire queue ls --state dead --channel {channel}`.");
        Self::firing(SelfAlertKind::DeadLetters, channel, format!("{count} dead on channel {channel}"), description)
    }

    /// Deliveries wait longer than they should.
    pub fn backlog(channel: &str, age_minutes: u64) -> Self {
        let description = "Deliveries wait longer than `self_monitoring.backlog` allows.".into();
        Self::firing(SelfAlertKind::Backlog, channel, format!("Channel {channel} is {age_minutes} minutes behind"), description)
    }

    /// The store does not accept writes.
    pub fn disk(reason: &str) -> Self {
        let description = format!("{reason}. Senders get 503 until it does.");
        Self::firing(SelfAlertKind::Disk, "", "The store does not take writes".into(), description)
    }

    /// The store was damaged when it was opened.
    pub fn store_damaged(reason: &str) -> Self {
        Self::firing(SelfAlertKind::StoreDamaged, "", "The store was damaged when Watchfire started".into(), format!("{reason}."))
    }

    /// A reload failed.
    pub fn reload_failed(reason: &str) -> Self {
        let description = format!("{reason}. The previous one stays active; run `watchfire check`.");
        Self::firing(SelfAlertKind::ReloadFailed, "", "The configuration could not be reloaded".into(), description)
    }

    /// Deliveries wait for a channel that the configuration no longer has.
    pub fn orphaned_deliveries(channel: &str, count: u64) -> Self {
        let summary = format!("{count} deliveries wait for channel {channel}, which no longer exists");
        let description = "Name it in `previous_names` of its successor, or move them with `watchfire queue move`.".into();
        Self::firing(SelfAlertKind::OrphanedDeliveries, channel, summary, description)
    }

    /// Nodes have different configurations.
    pub fn config_mismatch(nodes: &str) -> Self {
        let description = format!("{nodes}. The same alert goes to different places; give all nodes the same routes.yaml and templates.");
        Self::firing(SelfAlertKind::ConfigMismatch, "", "Nodes have different configurations".into(), description)
    }

    /// The alert's name.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The channel it is about; empty when it is about Watchfire as a whole.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The self-alert as an event.
    pub fn event(&self, now: UnixMs) -> Event {
        let resolved = self.status == Status::Resolved;
        let mut alert = Alert { status: self.status, ..Alert::default() };
        alert.labels.insert("alertname".into(), self.name().into());
        alert.labels.insert("severity".into(), self.kind.severity().into());
        if !self.channel.is_empty() {
            alert.labels.insert("channel".into(), self.channel.clone());
        }
        alert.annotations.insert("summary".into(), self.summary.clone());
        if !self.description.is_empty() {
            alert.annotations.insert("description".into(), self.description.clone());
        }
        alert.starts_at = Some(now.timestamp());
        alert.ends_at = resolved.then(|| now.timestamp());
        alert.fingerprint = crate::model::hash_hex(&[self.name(), &self.channel]);
        Event {
            kind: SenderKind::Watchfire,
            source: "watchfire".into(),
            receiver: "self".into(),
            status: self.status,
            group_key: format!("{}/{}", self.name(), self.channel),
            common_labels: alert.labels.clone(),
            alerts: vec![alert],
            ..Event::default()
        }
    }
}

/// Decides which self-alerts are sent, and to which channel.
#[derive(Debug, Default)]
pub struct SelfAlertRouter {
    last_sent: HashMap<(SelfAlertKind, String), UnixMs>,
}

impl SelfAlertRouter {
    /// The channel a self-alert goes to now: the first of `self_monitoring.to` that is not the failing one, does not share its outlet, and is not disabled.
    /// `None`: it is not sent (sent lately, no channel, or the end of something that was never sent).
    pub fn route(&mut self, alert: &SelfAlert, plan: &Plan, now: UnixMs) -> Option<String> {
        let key = (alert.kind, alert.channel.clone());
        if alert.status == Status::Resolved {
            self.last_sent.remove(&key)?;
        } else {
            if self.last_sent.get(&key).is_some_and(|at| now.since(*at) < REPEAT_INTERVAL) {
                return None;
            }
            self.last_sent.insert(key, now);
        }
        let failing = plan.channel(&alert.channel).map(|c| &c.outlet);
        plan.self_to
            .iter()
            .filter_map(|name| plan.channel(name))
            .find(|c| *c.name != *alert.channel && Some(&c.outlet) != failing && !c.disabled)
            .map(|c| c.name.to_string())
    }
}
