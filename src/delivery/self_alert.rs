//! Alerts about Watchfire itself: what they say, when they repeat, and which channel they take (never the one that fails).

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Alert, Event, SenderKind, Status};

use super::clock::timestamp;
use super::plan::Plan;

/// The same alert is not sent again within this time, in milliseconds.
const REPEAT_INTERVAL_MS: i64 = 10 * 60_000;

/// Something about Watchfire itself that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields' names say it
pub enum SelfAlert {
    /// A channel's outlet is suspended: its configuration does not work.
    Held { channel: Arc<str>, reason: String },
    /// It works again.
    Released { channel: Arc<str> },
    /// Deliveries became dead (or unknown).
    Dead { channel: Arc<str>, count: usize, reason: String },
    /// Deliveries wait longer than they should.
    Backlog { channel: String, age_minutes: i64 },
    /// They do not any more.
    BacklogOver { channel: String },
    /// The store does not take writes, or nears its limit.
    Disk { reason: String },
    /// It does again.
    DiskOver,
    /// The store was damaged when it was opened, and has lost something.
    Damaged { reason: String },
    /// A reload failed; the old configuration stays.
    Reload { reason: String },
    /// A reload worked after one failed.
    ReloadOver,
    /// Deliveries wait for a channel that the configuration no longer has.
    Orphans { channel: String, count: u64 },
    /// Nodes have different configurations.
    Plans { nodes: String },
    /// They do not any more.
    PlansOver,
}

impl SelfAlert {
    /// The alert's name.
    pub fn name(&self) -> &'static str {
        match self {
            SelfAlert::Held { .. } | SelfAlert::Released { .. } => "WatchfireChannelSuspended",
            SelfAlert::Dead { .. } => "WatchfireDeadLetters",
            SelfAlert::Backlog { .. } | SelfAlert::BacklogOver { .. } => "WatchfireBacklog",
            SelfAlert::Disk { .. } | SelfAlert::DiskOver => "WatchfireDisk",
            SelfAlert::Damaged { .. } => "WatchfireStoreDamaged",
            SelfAlert::Reload { .. } | SelfAlert::ReloadOver => "WatchfireReloadFailed",
            SelfAlert::Orphans { .. } => "WatchfireOrphanedDeliveries",
            SelfAlert::Plans { .. } | SelfAlert::PlansOver => "WatchfireClusterConfigMismatch",
        }
    }

    /// The channel it is about; empty when it is about Watchfire as a whole.
    pub fn channel(&self) -> &str {
        match self {
            SelfAlert::Held { channel, .. } | SelfAlert::Released { channel } | SelfAlert::Dead { channel, .. } => channel,
            SelfAlert::Backlog { channel, .. } | SelfAlert::BacklogOver { channel } | SelfAlert::Orphans { channel, .. } => channel,
            SelfAlert::Disk { .. } | SelfAlert::DiskOver | SelfAlert::Damaged { .. } => "",
            SelfAlert::Reload { .. } | SelfAlert::ReloadOver | SelfAlert::Plans { .. } | SelfAlert::PlansOver => "",
        }
    }

    fn is_resolved(&self) -> bool {
        matches!(
            self,
            SelfAlert::Released { .. } | SelfAlert::BacklogOver { .. } | SelfAlert::DiskOver | SelfAlert::ReloadOver | SelfAlert::PlansOver
        )
    }

    fn text(&self) -> (&'static str, String, String) {
        match self {
            SelfAlert::Held { channel, reason } => (
                "critical",
                format!("Channel {channel} cannot deliver"),
                format!("{reason}. Its deliveries are queued and resume automatically once it works; a reload retries at once."),
            ),
            SelfAlert::Released { channel } => ("critical", format!("Channel {channel} delivers again"), String::new()),
            SelfAlert::Dead { channel, count, reason } => (
                "error",
                format!("{count} dead on channel {channel}"),
                format!("{reason}. See `watchfire queue ls --state dead --channel {channel}`."),
            ),
            SelfAlert::Backlog { channel, age_minutes } => (
                "error",
                format!("Channel {channel} is {age_minutes} minutes behind"),
                "Deliveries wait longer than `self_monitoring.backlog` allows.".into(),
            ),
            SelfAlert::BacklogOver { channel } => ("error", format!("Channel {channel} has caught up"), String::new()),
            SelfAlert::Disk { reason } => ("critical", "The store does not take writes".into(), format!("{reason}. Senders get 503 until it does.")),
            SelfAlert::DiskOver => ("critical", "The store takes writes again".into(), String::new()),
            SelfAlert::Damaged { reason } => ("critical", "The store was damaged when Watchfire started".into(), format!("{reason}.")),
            SelfAlert::Reload { reason } => (
                "warning",
                "The configuration could not be reloaded".into(),
                format!("{reason}. The previous one stays active; run `watchfire check`."),
            ),
            SelfAlert::ReloadOver => ("warning", "The configuration was reloaded".into(), String::new()),
            SelfAlert::Orphans { channel, count } => (
                "error",
                format!("{count} deliveries wait for channel {channel}, which no longer exists"),
                "Name it in `previous_names` of its successor, or move them with `watchfire queue move`.".into(),
            ),
            SelfAlert::Plans { nodes } => (
                "error",
                "Nodes have different configurations".into(),
                format!("{nodes}. The same alert goes to different places; give all nodes the same routes.yaml and templates."),
            ),
            SelfAlert::PlansOver => ("error", "All nodes have the same configuration".into(), String::new()),
        }
    }

    /// The self-alert as an event.
    pub fn event(&self, now: i64) -> Event {
        let (severity, summary, description) = self.text();
        let mut alert = Alert { status: if self.is_resolved() { Status::Resolved } else { Status::Firing }, ..Alert::default() };
        alert.labels.insert("alertname".into(), self.name().into());
        alert.labels.insert("severity".into(), severity.into());
        if !self.channel().is_empty() {
            alert.labels.insert("channel".into(), self.channel().into());
        }
        alert.annotations.insert("summary".into(), summary);
        if !description.is_empty() {
            alert.annotations.insert("description".into(), description);
        }
        alert.starts_at = Some(timestamp(now));
        alert.ends_at = self.is_resolved().then(|| timestamp(now));
        alert.fingerprint = crate::model::hash_hex(&[self.name(), self.channel()]);
        Event {
            kind: SenderKind::Watchfire,
            source: "watchfire".into(),
            receiver: "self".into(),
            status: alert.status,
            group_key: format!("{}/{}", self.name(), self.channel()),
            common_labels: alert.labels.clone(),
            alerts: vec![alert],
            ..Event::default()
        }
    }
}

/// Decides which self-alerts are sent, and to which channel.
#[derive(Debug, Default)]
pub struct SelfAlertRouter {
    last_sent: HashMap<(&'static str, String), i64>,
}

impl SelfAlertRouter {
    /// The channel a self-alert goes to now: the first of `self_monitoring.to` that is not the failing one, does not share its outlet, and is not disabled.
    /// `None`: it is not sent (sent lately, no channel, or the end of something that was never sent).
    pub fn route(&mut self, alert: &SelfAlert, plan: &Plan, now: i64) -> Option<String> {
        let key = (alert.name(), alert.channel().to_owned());
        if alert.is_resolved() {
            self.last_sent.remove(&key)?;
        } else {
            if self.last_sent.get(&key).is_some_and(|at| now - at < REPEAT_INTERVAL_MS) {
                return None;
            }
            self.last_sent.insert(key, now);
        }
        let failing = plan.channel(alert.channel()).map(|c| &c.outlet);
        plan.self_to
            .iter()
            .filter_map(|name| plan.channel(name))
            .find(|c| &*c.name != alert.channel() && Some(&c.outlet) != failing && !c.disabled)
            .map(|c| c.name.to_string())
    }
}
