//! A held outlet: its configuration does not work, so nothing is sent but trials, with growing pauses, until one says that it does.
//!
//! What the platform refused is not the trial while anything else waits: if the fault is the message's own, others would wait behind it for ever. A
//! message that is refused again after others passed is at fault itself, whatever the platform calls it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::channel::Probe;
use crate::model::DeliveryId;
use crate::store::{Fence, OutletUpdate, PendingDelivery, SuspensionChange};

use super::runner::Runner;

/// First and longest wait between two trials of a held outlet.
pub(super) const FIRST_TRIAL: Duration = Duration::from_secs(5);
const LONGEST_TRIAL: Duration = Duration::from_secs(600);

/// Why an outlet is held, and when it is tried again.
pub(super) struct Hold {
    pub(super) reason: String,
    pub(super) trial_at: Instant,
    pub(super) wait: Duration,
    /// A probe is under way, or the head message is the trial.
    pub(super) trying: bool,
}

/// Deliveries because of which an outlet was held, and whether others have passed since.
#[derive(Debug, Default)]
pub(super) struct Refused(HashMap<DeliveryId, bool>);

/// As many are remembered; with more, the outlet is at fault.
const REMEMBERED: usize = 4096;

impl Refused {
    /// These were refused as a fault of the outlet.
    pub(super) fn add(&mut self, deliveries: Vec<DeliveryId>) {
        if self.0.len() + deliveries.len() > REMEMBERED {
            self.0.clear();
        }
        self.0.extend(deliveries.into_iter().map(|id| (id, false)));
    }

    /// A message passed: what was refused before can only be at fault itself if it is refused again.
    pub(super) fn passed(&mut self) {
        self.0.values_mut().for_each(|passed| *passed = true);
    }

    pub(super) fn forget(&mut self, deliveries: &[DeliveryId]) {
        for id in deliveries {
            self.0.remove(id);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether one of these was refused.
    pub(super) fn any<'a>(&self, mut members: impl Iterator<Item = &'a PendingDelivery>) -> bool {
        !self.0.is_empty() && members.any(|member| self.0.contains_key(&member.id))
    }

    /// Whether one of these was refused, and others have passed since.
    pub(super) fn at_fault<'a>(&self, mut members: impl Iterator<Item = &'a PendingDelivery>) -> bool {
        !self.0.is_empty() && members.any(|member| self.0.get(&member.id) == Some(&true))
    }
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
            self.write(OutletUpdate { suspension: Some(SuspensionChange::Resume), paused_until: None });
        }
    }

    /// Tries a held outlet: with a probe where the platform has one, and with a message where the probe finds nothing wrong or there is none.
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
            // That the credentials are good does not say that messages pass: a room may be gone. With nothing to try it with, it must do.
            Probe::Ok if self.lanes.ready_len() == 0 && self.jobs.is_empty() && self.split.is_empty() => self.released(),
            Probe::Failed(error) => {
                tracing::warn!(outlet = %self.outlet, %error, "still held");
                if let Some(hold) = &mut self.hold {
                    hold.wait = (hold.wait * 2).min(LONGEST_TRIAL);
                    hold.trial_at = now + hold.wait;
                }
            }
            Probe::Ok | Probe::Unsupported => {
                if let Some(hold) = &mut self.hold {
                    hold.trying = true;
                }
            }
        }
    }

    /// Writes pause or hold without an attempt. A write that fails is no loss: it is written again with the next one.
    fn write(&self, change: OutletUpdate) {
        let (shared, fence) = (self.shared.clone(), Fence { outlet: self.outlet.clone(), epoch: self.epoch });
        self.shared.tracker.spawn(async move {
            if let Err(error) = shared.store.set_outlet_state(fence.clone(), change).await {
                tracing::warn!(outlet = %fence.outlet, %error, "could not record pause or hold");
            }
        });
    }
}
