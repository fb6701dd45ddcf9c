//! When self-alerts repeat, since when what they are about goes on, and which channel they take.

use std::collections::HashMap;
use std::time::Duration;

use super::{SelfAlert, SelfAlertKind};
use crate::delivery::plan::Plan;
use crate::model::{Status, UnixMs};
use crate::store::Incident;

/// The same alert is not sent again within this time.
const REPEAT_INTERVAL: Duration = Duration::from_secs(600);

/// What is known of an alert that was sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    /// When it was sent first, while what it is about goes on.
    since: UnixMs,
    /// When it was sent last.
    at: UnixMs,
}

/// Decides which self-alerts are sent, and to which channel.
#[derive(Debug, Default)]
pub struct SelfAlertRouter {
    sent: HashMap<(SelfAlertKind, String), Sent>,
}

impl SelfAlertRouter {
    /// The channel a self-alert goes to now, and since when what it is about goes on: the first of `self_monitoring.to` that is not the failing one, does
    /// not share its outlet, and is not disabled. What is no alarm goes to a webhook only. `None`: it is not sent (sent lately, no channel, or the end of
    /// something that was never sent).
    pub fn route(&mut self, alert: &SelfAlert, plan: &Plan, now: UnixMs) -> Option<(String, UnixMs)> {
        let key = (alert.kind, alert.topic());
        let mut since = now;
        if !alert.is_alarm() {
            // Each is news.
        } else if alert.status == Status::Resolved {
            since = self.sent.remove(&key)?.since;
        } else {
            let before = self.sent.get(&key).copied();
            if before.is_some_and(|sent| now.since(sent.at) < REPEAT_INTERVAL) {
                return None;
            }
            // What has no end would stay here for each incident.
            self.sent.retain(|(kind, _), sent| kind.resolves() || now.since(sent.at) < REPEAT_INTERVAL);
            // What goes on is the same, and rings as a repeat does; what has no end is news each time.
            since = before.filter(|_| alert.kind.resolves()).map_or(now, |sent| sent.since);
            self.sent.insert(key, Sent { since, at: now });
        }
        let failing = plan.channel(&alert.channel).map(|c| &c.outlet);
        plan.self_monitoring
            .to
            .iter()
            .filter_map(|name| plan.channel(name))
            .filter(|c| alert.is_alarm() || (c.driver.wants_raw_payload() && !c.driver.keeps_incidents()))
            .find(|c| *c.name != *alert.channel && Some(&c.outlet) != failing && !c.disabled)
            .map(|c| (c.name.to_string(), since))
    }

    /// Takes over from an earlier process what goes on: an open incident of an alert whose end is reported.
    pub fn remember(&mut self, incident: &Incident) {
        use SelfAlertKind::{Backlog, ChannelSuspended, ConfigMismatch, Disk, ListenerLost, ReloadFailed};
        let ending = [ChannelSuspended, Backlog, Disk, ReloadFailed, ConfigMismatch, ListenerLost];
        let Some((name, topic)) = incident.group_key.split_once('/') else { return };
        let (Some(kind), true) = (ending.into_iter().find(|kind| kind.name() == name), incident.source == "watchfire") else { return };
        let since = incident.alerts.iter().find_map(|alert| alert.start).unwrap_or(incident.opened_at);
        self.sent.entry((kind, topic.to_owned())).or_insert(Sent { since, at: incident.heard_at });
    }

    /// The topics about which an alert of this kind was sent and goes on: names of channels, or an empty one.
    pub fn topics(&self, kind: SelfAlertKind) -> impl Iterator<Item = &str> {
        self.sent.keys().filter(move |(known, _)| *known == kind && kind.resolves()).map(|(_, topic)| topic.as_str())
    }

    /// Whether an alert of this kind was sent about a channel, or about Watchfire as a whole, and goes on.
    pub fn goes_on(&self, kind: SelfAlertKind, channel: &str) -> bool {
        self.topics(kind).any(|topic| topic == channel)
    }

    /// The groups of all that goes on, of channels that are in the plan and that something is sent by.
    pub fn groups<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = String> + 'a {
        let is_there = move |topic: &str| topic.is_empty() || plan.channel(topic).is_some_and(|channel| !channel.disabled);
        let going = self.sent.keys().filter(move |(kind, topic)| kind.resolves() && is_there(topic));
        going.map(|(kind, topic)| format!("{}/{topic}", kind.name()))
    }
}
