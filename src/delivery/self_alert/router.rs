//! When self-alerts repeat, and which channel they take.

use std::collections::HashMap;
use std::time::Duration;

use super::{SelfAlert, SelfAlertKind};
use crate::delivery::plan::Plan;
use crate::model::{Status, UnixMs};

/// The same alert is not sent again within this time.
const REPEAT_INTERVAL: Duration = Duration::from_secs(600);

/// Decides which self-alerts are sent, and to which channel.
#[derive(Debug, Default)]
pub struct SelfAlertRouter {
    last_sent: HashMap<(SelfAlertKind, String), UnixMs>,
}

impl SelfAlertRouter {
    /// The channel a self-alert goes to now: the first of `self_monitoring.to` that is not the failing one, does not share its outlet, and is not disabled.
    /// What is no alarm goes to a webhook only. `None`: it is not sent (sent lately, no channel, or the end of something that was never sent).
    pub fn route(&mut self, alert: &SelfAlert, plan: &Plan, now: UnixMs) -> Option<String> {
        let key = (alert.kind, alert.topic());
        if !alert.is_alarm() {
            // Each is news.
        } else if alert.status == Status::Resolved {
            self.last_sent.remove(&key)?;
        } else {
            if self.last_sent.get(&key).is_some_and(|at| now.since(*at) < REPEAT_INTERVAL) {
                return None;
            }
            // What has no end would stay here for each incident.
            self.last_sent.retain(|(kind, _), at| kind.resolves() || now.since(*at) < REPEAT_INTERVAL);
            self.last_sent.insert(key, now);
        }
        let failing = plan.channel(&alert.channel).map(|c| &c.outlet);
        plan.self_monitoring
            .to
            .iter()
            .filter_map(|name| plan.channel(name))
            .filter(|c| alert.is_alarm() || (c.driver.wants_raw_payload() && !c.driver.keeps_incidents()))
            .find(|c| *c.name != *alert.channel && Some(&c.outlet) != failing && !c.disabled)
            .map(|c| c.name.to_string())
    }
}
