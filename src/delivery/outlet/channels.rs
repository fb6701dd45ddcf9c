//! What the configuration says about the channels of an outlet.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;

use crate::channel::{Counted, Limit};
use crate::delivery::core::Shared;
use crate::delivery::pending::PendingMessage;
use crate::delivery::plan::{ChannelPlan, Plan};
use crate::model::{OutletKey, Recipient, UnixMs};

use super::select::Channels;
use super::worker::Worker;

/// The channels of one outlet, at one moment.
pub(super) struct OutletChannels {
    shared: Arc<Shared>,
    plan: Guard<Arc<Plan>>,
    outlet: OutletKey,
    /// Channels that are still to be relocated.
    relocations: Vec<Arc<str>>,
    /// Whether most of the month's messages are used.
    saves: bool,
    now: UnixMs,
}

impl OutletChannels {
    fn get(&self, name: &str) -> Option<&Arc<ChannelPlan>> {
        self.plan.channel(name).filter(|channel| channel.outlet == self.outlet)
    }

    /// Whom a message reaches that names people, now; `None` where it is known already.
    fn turn(&self, job: &PendingMessage, channel: &ChannelPlan) -> Option<Vec<Recipient>> {
        let target = &job.members.first()?.target;
        let asked = target.mentions.as_ref().filter(|asked| asked.has_people() && channel.platform.pings.writes_to_people())?;
        let now = self.shared.clock.wall();
        let reached = self.plan.people.reached(asked, channel.platform, &self.shared.overrides(), None, now);
        Some(reached.recipients).filter(|recipients| !recipients.is_empty())
    }
}

impl Channels for OutletChannels {
    fn may_start(&self, channel: &str) -> bool {
        let Some(channel) = self.get(channel) else { return false };
        // What waits under a former name is older: it is put before what came under this one.
        let overtakes = self.relocations.iter().any(|old| channel.previous_names.iter().any(|name| **name == **old));
        !overtakes && self.shared.muted_until(&channel.name, self.now).is_none()
    }

    fn is_disabled(&self, channel: &str) -> bool {
        self.get(channel).is_some_and(|channel| channel.disabled)
    }

    fn counted(&self, job: &PendingMessage) -> Counted {
        let Some(channel) = self.get(&job.channel) else { return Counted::Outlet };
        match self.turn(job, channel) {
            Some(recipients) => channel.driver.counted(&recipients),
            None => channel.driver.counted(job.recipients(channel)),
        }
    }

    fn counted_of(&self, channel: &str) -> Counted {
        self.get(channel).map_or(Counted::Outlet, |channel| channel.driver.counted(&channel.recipients))
    }

    fn digest_after(&self, channel: &str) -> Option<Duration> {
        let after = self.get(channel)?.digest_after()?;
        Some(if self.saves { Duration::ZERO } else { after })
    }
}

impl Worker {
    pub(super) fn channels(&self, now: UnixMs) -> OutletChannels {
        let relocations = self.shared.outlets.relocations();
        OutletChannels {
            shared: self.shared.clone(),
            plan: self.shared.plan.load(),
            outlet: self.outlet.clone(),
            relocations,
            saves: self.inbox.mailbox.saves(),
            now,
        }
    }

    /// The channel of that name, if it is this outlet's.
    pub(crate) fn channel(&self, name: &str) -> Option<Arc<ChannelPlan>> {
        self.shared.plan.load().channel(name).filter(|c| c.outlet == self.outlet).cloned()
    }

    /// What the platform counts a message against.
    pub(crate) fn counted(&self, job: &PendingMessage) -> Counted {
        self.channels(UnixMs::EPOCH).counted(job)
    }

    /// Forgets the ready lanes of channels that are muted by hand: they take no room from others until the mute ends.
    pub(super) fn forget_muted(&mut self) {
        let now = self.shared.clock.wall();
        for (channel, _) in self.muted(now) {
            self.queue.lanes.evict_channel(&channel);
        }
    }

    /// The outlet's channels that are muted by hand, and until when.
    pub(super) fn muted(&self, now: UnixMs) -> Vec<(Arc<str>, UnixMs)> {
        let plan = self.shared.plan.load();
        let mine = plan.channels.values().filter(|channel| channel.outlet == self.outlet);
        mine.filter_map(|channel| Some((channel.name.clone(), self.shared.muted_until(&channel.name, now)?))).collect()
    }

    /// How many messages of the outlet may be in flight at once, as far as its platform goes.
    pub(super) fn own_concurrency(&self) -> usize {
        let own = self.shared.plan.load().channels.values().find(|c| c.outlet == self.outlet).map_or(1, |c| c.platform.attempts.concurrency.max(1));
        own.min(self.shared.heavy.per_outlet)
    }

    /// How long a send of the outlet may take.
    pub(super) fn longest_send(&self) -> Duration {
        let plan = self.shared.plan.load();
        plan.channels.values().filter(|c| c.outlet == self.outlet).map(|c| c.timeout).max().unwrap_or_default()
    }

    /// The tightest rate limits among the outlet's channels: they share one credential, so they share one limit.
    pub(super) fn limits(&self) -> Vec<Limit> {
        let plan = self.shared.plan.load();
        let mut limits: Vec<Limit> = Vec::new();
        for channel in plan.channels.values().filter(|c| c.outlet == self.outlet) {
            for limit in channel.rate_limit.iter().flatten() {
                match limits.iter_mut().find(|l| l.window == limit.window) {
                    Some(known) => known.count = known.count.min(limit.count),
                    None => limits.push(*limit),
                }
            }
        }
        limits
    }
}
