//! Steps that end or come early without being sent.

use std::sync::Arc;

use crate::delivery::core::Shared;
use crate::delivery::self_alert::SelfAlert;
use crate::store::{ChangedStep, StepChange, StoreError};

impl Shared {
    /// Ends steps that nothing calls for any more, and makes those due at once whose predecessor was not confirmed. `suspended` are channels that deliver
    /// nothing now.
    pub(in crate::delivery) async fn change_steps(&self, suspended: &[String]) -> Result<(), StoreError> {
        let changed = self.store.change_steps(suspended, self.clock.wall()).await?;
        self.report_changed_steps(&changed);
        Ok(())
    }

    /// Reports steps that ended or come early without being sent, and notifies the workers that wait for their time.
    pub(in crate::delivery) fn report_changed_steps(&self, changed: &[ChangedStep]) {
        for changed in changed {
            let (incident, delivery, step) = (changed.incident, changed.delivery.id, changed.step.to_string());
            let channel = &changed.delivery.channel;
            match &changed.change {
                StepChange::Dropped(why) => {
                    self.telemetry.metrics.escalation_step("skipped");
                    tracing::info!(%incident, %delivery, channel, step, why, "a step of an escalation is not sent");
                }
                StepChange::HandedOn(why) => {
                    tracing::info!(%incident, %delivery, channel, step, why, "a step of an escalation is due at once");
                }
                StepChange::DueAtOnce(why) => {
                    tracing::warn!(%incident, %delivery, channel, step, why, "a step of an escalation is due at once: the one before it was not confirmed");
                    self.telemetry.raise(SelfAlert::step_not_confirmed("", &changed.step, incident, why));
                }
            }
            self.notify_new(std::slice::from_ref(&changed.delivery));
        }
    }

    /// The same, soon, after a step was not confirmed.
    pub(in crate::delivery) fn change_steps_soon(self: &Arc<Self>) {
        let shared = self.clone();
        self.tracker.spawn(async move {
            // The next tick does it otherwise.
            if let Err(error) = shared.change_steps(&[]).await {
                shared.health.request_failed(&error);
            }
        });
    }
}
