//! Copies for fallback channels of what waits: at once where the outlet is suspended, else when it has waited for too long.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model::{OutletKey, UnixMs};
use crate::store::{MoveTo, StoreError};

use super::core::Shared;
use super::plan::Plan;

/// Deliveries copied in one transaction.
const BATCH: usize = 500;
/// The pause between two passes over one outlet's queue: each skips what was copied before.
const PASS_INTERVAL: Duration = Duration::from_secs(1);

impl Shared {
    /// Copies what waits on a suspended outlet to the fallbacks of its channels, without waiting for the next tick. What is accepted meanwhile is copied a
    /// moment later.
    pub(super) fn fall_back_at_once(self: &Arc<Self>, outlet: &OutletKey, reason: &str) {
        let Some(mailbox) = self.outlets.get(outlet) else { return };
        mailbox.falling.asked.store(true, Ordering::Release);
        if mailbox.falling.in_flight.swap(true, Ordering::AcqRel) {
            return;
        }
        let (shared, outlet, reason) = (self.clone(), outlet.clone(), reason.to_owned());
        self.tracker.spawn(async move {
            loop {
                while mailbox.falling.asked.swap(false, Ordering::AcqRel) {
                    if let Err(error) = shared.fall_back_suspended(&outlet, &reason).await {
                        // The next tick copies it.
                        shared.health.request_failed(&error);
                    }
                    tokio::time::sleep(PASS_INTERVAL).await;
                }
                mailbox.falling.in_flight.store(false, Ordering::Release);
                // Asked between the two.
                if !mailbox.falling.asked.load(Ordering::Acquire) || mailbox.falling.in_flight.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        });
    }

    async fn fall_back_suspended(&self, outlet: &OutletKey, reason: &str) -> Result<(), StoreError> {
        let plan = self.plan.load_full();
        for channel in plan.channels.values().filter(|channel| channel.outlet == *outlet) {
            if let Some((first, rest)) = channel.fallback.split_first() {
                // Whatever the clock says: also what is born in this millisecond.
                self.fall_back(&plan, &channel.name, UnixMs::MAX, first, rest, Some(reason)).await?;
            }
        }
        Ok(())
    }

    /// Copies what waits for `channel` since before `before` to `first`.
    pub(super) async fn fall_back(
        &self,
        plan: &Plan,
        channel: &str,
        before: UnixMs,
        first: &str,
        rest: &[String],
        suspended: Option<&str>,
    ) -> Result<(), StoreError> {
        let Some(to) = plan.channel(first) else { return Ok(()) };
        let reason = match suspended {
            Some(why) => format!("fallback of `{channel}`, which is suspended: {why}"),
            None => format!("fallback of `{channel}`, where it waits too long"),
        };
        let to = MoveTo { channel: first.to_owned(), outlet: to.outlet.clone(), fallback: rest.to_vec() };
        loop {
            let made = self.store.copy_to_fallback(channel, before, to.clone(), &reason, BATCH, self.clock.wall()).await?;
            self.notify_new(&made);
            if made.len() < BATCH {
                return Ok(());
            }
        }
    }
}
