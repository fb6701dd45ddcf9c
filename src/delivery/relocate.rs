//! Relocation. When a reload renames a channel or changes its credentials, its queued and begun deliveries move to the new name and outlet.

use std::sync::Arc;

use tokio::time::Instant;

use crate::model::{OutletKey, UnixMs};
use crate::store::{Relocation, StoreError};

use super::core::Shared;
use super::outlet::Worker;
use super::outlet::mailbox::Flag;
use super::outlet::worker::POLL_INTERVAL;
use super::pending::PendingMessage;
use super::plan::{ChannelPlan, Plan};

impl Shared {
    /// The channel that has the deliveries of `name` now: the one of that name, else its successor.
    pub(super) fn current_channel(&self, name: &str) -> Option<Arc<ChannelPlan>> {
        self.plan.load().current_channel(name).cloned()
    }

    /// Moves what is stored under a channel's former names and credentials to it, but for what another node may have in flight: that node does it when
    /// it has the new configuration, or the leader once its lease has ended. The owning worker then reads everything again, because its memory is stale.
    pub(super) async fn relocate(&self, channel: &ChannelPlan) -> Result<(), StoreError> {
        let now = if self.leased() { self.clock.wall() } else { UnixMs::MAX };
        let to = Relocation { channel: channel.name.to_string(), outlet: channel.outlet.clone(), node: self.node.name.to_string(), now };
        let mut moved = 0;
        let renamed = !channel.previous_names.is_empty();
        for old in channel.previous_names.iter().map(String::as_str).chain([&*channel.name]) {
            match self.store.relocate(old, &to).await {
                Ok(0) => {}
                Ok(lanes) => {
                    moved += lanes;
                    if old != &*channel.name {
                        tracing::info!(from = %old, to = %channel.name, moved = lanes, "moved the waiting deliveries of a renamed channel");
                    }
                }
                Err(error) => {
                    // What was moved before, or by a transaction whose answer was lost, is stale in memory, too.
                    self.resync(&channel.outlet);
                    return Err(error);
                }
            }
        }
        if moved > 0 {
            self.resync(&channel.outlet);
        }
        // The store has renamed the mutes, too.
        if renamed { self.refresh_mutes().await } else { Ok(()) }
    }

    /// Relocates what lies elsewhere than the configuration says, and of which nobody else will take care: it was routed by an earlier configuration and
    /// stored after a reload had moved everything, or a node of an earlier one left it. `placed` is where lanes lie: channel and outlet.
    pub(super) async fn relocate_misplaced(&self, placed: &[(String, OutletKey)]) -> Result<(), StoreError> {
        let mut done: Vec<Arc<str>> = Vec::new();
        for (name, outlet) in placed {
            let Some(channel) = self.current_channel(name).filter(|channel| *channel.name != **name || channel.outlet != *outlet) else { continue };
            let known: Vec<&str> = names(&channel).collect();
            if done.contains(&channel.name) || self.outlets.relocates(&known, None) {
                continue;
            }
            done.push(channel.name.clone());
            // A worker that still has something in flight relocates by itself when that has ended.
            if let Some(mailbox) = self.outlets.get(outlet).filter(|mailbox| mailbox.in_flight() > 0) {
                self.outlets.relocate_later(&self.name(name), Some(outlet));
                mailbox.wake();
                continue;
            }
            known.iter().for_each(|name| self.outlets.relocate_later(&self.name(name), None));
            let relocated = self.relocate(&channel).await;
            self.release_renamed();
            relocated?;
        }
        Ok(())
    }

    /// Makes the worker of an outlet read everything again; one that does not run yet begins with that anyway.
    fn resync(&self, outlet: &OutletKey) {
        if !self.outlets.is_pending(outlet)
            && let Some(mailbox) = self.outlets.get(outlet)
        {
            mailbox.raise(Flag::Resync);
        }
    }

    /// Holds back what is accepted under new names of channels until what waits under their former names has been put before it. That goes for the
    /// outlets of this node; another one learns of a reload when it has its own.
    pub(super) fn hold_renamed(&self, next: &Plan) {
        let plan = self.plan.load();
        for old in next.channels.values().flat_map(|channel| &channel.previous_names).filter_map(|name| plan.channel(name)) {
            self.outlets.relocate_later(&old.name, None);
        }
    }

    /// Lets go what a reload held back, as far as no worker is still to relocate it.
    pub(super) fn release_renamed(&self) {
        self.outlets.relocated_at_once();
        self.outlets.all().into_iter().for_each(|(_, mailbox)| mailbox.wake());
    }

    /// Whether something is in flight on an outlet that the channel had by the previous plan, or by an earlier one. Then that outlet's worker relocates
    /// the channel when it has ended: moved at once, a direct send whose answer is on its way would be recorded as unknown, and a message sent twice.
    pub(super) fn relocates_later(&self, previous: &Plan, channel: &ChannelPlan) -> bool {
        let mut later = names(channel).any(|name| self.outlets.is_relocated_later(name, &channel.outlet));
        for name in names(channel) {
            let Some(old) = previous.channel(name).filter(|old| old.outlet != channel.outlet) else { continue };
            let Some(mailbox) = self.outlets.get(&old.outlet).filter(|mailbox| mailbox.in_flight() > 0) else { continue };
            self.outlets.relocate_later(&old.name, Some(&old.outlet));
            mailbox.wake();
            later = true;
        }
        later
    }
}

/// The names under which deliveries of a channel may be stored.
fn names(channel: &ChannelPlan) -> impl Iterator<Item = &str> {
    std::iter::once(&*channel.name).chain(channel.previous_names.iter().map(String::as_str))
}

impl Worker {
    /// Relocates the channels that moved away; `false` when the store did not take it, and it is to be tried again. A channel of which other outlets
    /// have something in flight, too, is relocated by the last of them.
    pub(super) async fn relocate(&mut self) -> bool {
        while let Some(name) = self.shared.outlets.next_relocation(&self.outlet) {
            let channel = self.shared.current_channel(&name);
            if let Some(channel) = &channel {
                let known: Vec<&str> = names(channel).collect();
                if !self.shared.outlets.relocates(&known, Some(&self.outlet))
                    && let Err(error) = self.shared.relocate(channel).await
                {
                    self.shared.health.request_failed(&error);
                    return false;
                }
            }
            self.shared.outlets.relocated(&name, &self.outlet);
            if let Some(mailbox) = channel.and_then(|channel| self.shared.outlets.get(&channel.outlet)) {
                mailbox.wake();
            }
            self.relocated_at = Some(self.shared.clock.instant());
        }
        true
    }

    /// Whether the channel of that name, or its successor, is another outlet's or has another name now. Then the worker relocates it and reads everything
    /// again, once nothing is in flight.
    pub(super) fn is_orphaned(&mut self, name: &Arc<str>) -> bool {
        if self.channel(name).is_some() || self.shared.current_channel(name).is_none() {
            return false;
        }
        self.mark_for_relocation(name);
        true
    }

    /// A message whose channel is not this outlet's any more: it goes where the channel went. If there is none, it waits, and the alarm names the channel.
    pub(super) fn without_channel(&mut self, mut job: PendingMessage, now: Instant) {
        if let Some(caller) = job.caller.take() {
            self.shared.expire(&self.outlet, self.ownership.epoch(), job.members, caller.answer);
        } else if self.relocated_lately(now) || !self.is_orphaned(&job.channel) {
            self.queue.begun.push(PendingMessage { due: now + POLL_INTERVAL, ..job });
        }
    }

    /// Looks whether anything in memory belongs to a channel that is elsewhere now. A suspended or paused outlet has such, too: what was routed by the
    /// previous plan and stored after the reload had moved everything.
    pub(super) fn find_orphaned(&mut self, now: Instant) {
        if self.relocated_lately(now) {
            return;
        }
        for name in self.channels_in_memory() {
            self.is_orphaned(&name);
        }
    }

    /// Whether channels were relocated a moment ago: what is still orphaned waits for a later poll.
    fn relocated_lately(&self, now: Instant) -> bool {
        self.relocated_at.is_some_and(|at| now.duration_since(at) < POLL_INTERVAL)
    }
}
