//! Probes of a suspended outlet, and what is reported when it is suspended or works again.

use tokio::time::Instant;

use crate::channel::Probe;
use crate::store::{OutletUpdate, SuspensionChange};

use super::gate::Change;
use super::worker::Worker;

impl Worker {
    pub(super) fn start_probe(&mut self, now: Instant) {
        if !self.probes.is_empty() {
            return;
        }
        let plan = self.shared.plan.load();
        let Some(channel) = plan.channels.values().find(|channel| channel.outlet == self.outlet) else { return };
        if self.gate.starts_probe(now) {
            let driver = channel.driver.clone();
            self.probes.spawn(async move { driver.probe().await });
        }
    }

    pub(super) fn probed(&mut self, probe: &Probe) {
        if let Probe::Failed(error) = probe {
            tracing::warn!(outlet = %self.outlet, %error, "the outlet is still suspended");
        }
        let change = self.gate.probed(probe, self.queue.has_no_messages(), self.shared.clock.instant());
        self.announce(change);
    }

    /// Reports a change of the outlet. The end of a suspension is recorded; a write that fails is no loss, the next outcome records it again.
    pub(super) fn announce(&self, change: Change) {
        match change {
            Change::None => {}
            Change::Suspended => self.shared.outlet_suspended(&self.outlet, self.gate.suspended().unwrap_or_default()),
            Change::Resumed => {
                self.shared.outlet_resumed(&self.outlet);
                let (shared, fence) = (self.shared.clone(), self.fence());
                self.shared.tracker.spawn(async move {
                    let change = OutletUpdate { suspension: Some(SuspensionChange::Resume), paused_until: None };
                    if let Err(error) = shared.store.set_outlet_state(fence.clone(), change).await {
                        tracing::warn!(outlet = %fence.outlet, %error, "could not record the end of a suspension");
                    }
                });
            }
        }
    }
}
