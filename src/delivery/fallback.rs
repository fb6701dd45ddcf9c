//! Copies for fallback channels of what waits: at once where the outlet is suspended, else when it has waited for too long.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model::{OutletKey, UnixMs};
use crate::store::{FallbackStep, MoveTo, StoreError};

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

    /// Whether a channel, or its successor, is there and not disabled.
    pub fn sends(&self, channel: &str) -> bool {
        self.current_channel(channel).is_some_and(|channel| !channel.disabled)
    }

    /// The channels of a chain of fallbacks that send, by their present names: what people read of it.
    pub fn sending_fallbacks(&self, chain: &[String]) -> Vec<String> {
        let channels = chain.iter().filter_map(|name| self.current_channel(name));
        channels.filter(|channel| !channel.disabled).map(|channel| channel.name.to_string()).collect()
    }

    /// Whether what waits on a channel may have another way: by its own chain, or by what is left of one by which others fell back to it.
    fn may_fall_back(&self, channel: &ChannelPlan) -> bool {
        let goes_on = |chain: &[String]| chain.split_last().is_some_and(|(_, before)| before.iter().any(|name| **name == *channel.name));
        !channel.fallback.is_empty() || self.channels.values().any(|other| goes_on(&other.fallback))
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

    /// Copies what waits for `channel` since before `before` to the next channel of its own chain that sends.
    pub(super) async fn fall_back(&self, plan: &Plan, channel: &ChannelPlan, before: UnixMs, suspended: Option<&str>) -> Result<(), StoreError> {
        if !plan.may_fall_back(channel) {
            return Ok(());
        }
        let name = &channel.name;
        let reason = match suspended {
            Some(why) => format!("fallback of `{name}`, which is suspended: {why}"),
            None => format!("fallback of `{name}`, where it waits too long"),
        };
        for chain in self.store.fallback_chains(name, before).await? {
            // What this channel took over under a former name has it in its own chain.
            let is_here = |next: &String| plan.current_channel(next).is_some_and(|next| next.name == *name);
            let left = &chain[chain.iter().rposition(is_here).map_or(0, |here| here + 1)..];
            let Some((to, rest)) = plan.fallback(left).filter(|(to, _)| !to.disabled) else { continue };
            let to = MoveTo { channel: to.name.to_string(), outlet: to.outlet.clone(), fallback: rest.to_vec() };
            let step = FallbackStep { chain: chain.clone(), to };
            loop {
                let made = self.store.copy_to_fallback(name, before, step.clone(), &reason, BATCH, self.clock.wall()).await?;
                self.notify_new(&made);
                if made.len() < BATCH {
                    break;
                }
            }
        }
        Ok(())
    }
}
