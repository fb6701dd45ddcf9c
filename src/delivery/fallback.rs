//! Copies for fallback channels of what waits: at once where the outlet is suspended, else when it has waited for too long.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model::{OutletKey, UnixMs};
use crate::store::{MoveTo, StoreError};

use super::core::Shared;
use super::plan::{ChannelPlan, Plan};

/// Deliveries copied in one transaction.
const BATCH: usize = 500;
/// The pause between two passes over one outlet's queue: each skips what was copied before.
const PASS_INTERVAL: Duration = Duration::from_secs(1);

impl Plan {
    /// The channel that has the deliveries of `name` now: the one of that name, else its successor.
    pub fn current_channel(&self, name: &str) -> Option<&Arc<ChannelPlan>> {
        self.channel(name).or_else(|| self.channels.values().find(|channel| channel.previous_names.iter().any(|previous| previous == name)))
    }

    /// Of a chain of fallbacks the first that sends, and those after it. One that is disabled, or that the configuration no longer has, is passed over; where
    /// none sends, the first that is configured, so that the delivery there says why.
    pub fn fallback<'a>(&'a self, chain: &'a [String]) -> Option<(&'a Arc<ChannelPlan>, &'a [String])> {
        let mut known = chain.iter().enumerate().filter_map(|(place, name)| Some((self.current_channel(name)?, &chain[place + 1..])));
        let first = known.next()?;
        if first.0.disabled { known.find(|(channel, _)| !channel.disabled).or(Some(first)) } else { Some(first) }
    }

    /// Where what waits on a channel may fall back to: the next of its own chain, then of what is left of the chains by which others fell back to it.
    fn fallbacks_after<'a>(&'a self, channel: &'a ChannelPlan) -> Vec<(&'a Arc<ChannelPlan>, &'a [String])> {
        let left = self.channels.values().filter_map(|other| {
            let place = other.fallback.iter().position(|name| **name == *channel.name)?;
            Some(&other.fallback[place + 1..])
        });
        let mut found: Vec<(&Arc<ChannelPlan>, &[String])> = Vec::new();
        for chain in std::iter::once(channel.fallback.as_slice()).chain(left) {
            let Some((to, rest)) = self.fallback(chain) else { continue };
            if !to.disabled && to.name != channel.name && found.iter().all(|(known, _)| known.name != to.name) {
                found.push((to, rest));
            }
        }
        found
    }
}

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
            // Whatever the clock says: also what is born in this millisecond.
            self.fall_back(&plan, channel, UnixMs::MAX, Some(reason)).await?;
        }
        Ok(())
    }

    /// Copies what waits for `channel` since before `before` to the next channel of its chain that sends.
    pub(super) async fn fall_back(&self, plan: &Plan, channel: &ChannelPlan, before: UnixMs, suspended: Option<&str>) -> Result<(), StoreError> {
        let name = &channel.name;
        let reason = match suspended {
            Some(why) => format!("fallback of `{name}`, which is suspended: {why}"),
            None => format!("fallback of `{name}`, where it waits too long"),
        };
        for (to, rest) in plan.fallbacks_after(channel) {
            let to = MoveTo { channel: to.name.to_string(), outlet: to.outlet.clone(), fallback: rest.to_vec() };
            loop {
                let made = self.store.copy_to_fallback(name, before, to.clone(), &reason, BATCH, self.clock.wall()).await?;
                self.notify_new(&made);
                if made.len() < BATCH {
                    break;
                }
            }
        }
        Ok(())
    }
}
