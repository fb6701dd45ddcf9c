//! A held outlet: its configuration does not work, so nothing is sent but trials, with growing pauses, until one says that it does.

use std::time::Duration;

use tokio::time::Instant;

use crate::channel::Probe;
use crate::store::{Fence, OutletChange};

use super::runner::Runner;

/// First and longest wait between two trials of a held outlet.
pub(super) const FIRST_TRIAL: Duration = Duration::from_secs(30);
const LONGEST_TRIAL: Duration = Duration::from_secs(600);

/// Why an outlet is held, and when it is tried again.
pub(super) struct Hold {
    pub(super) reason: String,
    pub(super) trial_at: Instant,
    pub(super) wait: Duration,
    /// A probe is under way, or the head message is the trial.
    pub(super) trying: bool,
}

impl Runner {
    pub(super) fn held(&mut self, reason: String, now: Instant) {
        let wait = self.hold.as_ref().map_or(FIRST_TRIAL, |h| (h.wait * 2).min(LONGEST_TRIAL));
        if self.hold.is_none() {
            self.shared.outlet_held(&self.outlet, &reason);
        }
        self.hold = Some(Hold { reason, trial_at: now + wait, wait, trying: false });
    }

    pub(super) fn released(&mut self) {
        if self.hold.take().is_some() {
            self.shared.outlet_released(&self.outlet);
            self.write(OutletChange { held: Some(None), paused_until: None });
        }
    }

    /// Tries a held outlet: with a probe where the platform has one, else with its head message.
    pub(super) fn try_held(&mut self, now: Instant) {
        let Some(hold) = &mut self.hold else { return };
        if hold.trying || now < hold.trial_at || !self.probes.is_empty() {
            return;
        }
        let plan = self.shared.plan.load();
        let Some(channel) = plan.channels.values().find(|c| c.outlet == self.outlet) else { return };
        hold.trial_at = now + hold.wait;
        let driver = channel.driver.clone();
        self.probes.spawn(async move { driver.probe().await });
    }

    pub(super) fn probed(&mut self, probe: Probe) {
        let now = self.shared.clock.instant();
        match probe {
            Probe::Ok => self.released(),
            Probe::Failed(error) => {
                tracing::warn!(outlet = %self.outlet, %error, "still held");
                if let Some(hold) = &mut self.hold {
                    hold.wait = (hold.wait * 2).min(LONGEST_TRIAL);
                    hold.trial_at = now + hold.wait;
                }
            }
            Probe::Unsupported => {
                if let Some(hold) = &mut self.hold {
                    hold.trying = true;
                }
            }
        }
    }

    /// Writes pause or hold without an attempt. A write that fails is no loss: it is written again with the next one.
    fn write(&self, change: OutletChange) {
        let (shared, fence) = (self.shared.clone(), Fence { outlet: self.outlet.clone(), epoch: self.epoch });
        self.shared.tracker.spawn(async move {
            if let Err(error) = shared.store.outlet(fence.clone(), change).await {
                tracing::warn!(outlet = %fence.outlet, %error, "could not record pause or hold");
            }
        });
    }
}
