//! Where deliveries are at home: a reload may give a channel another name or another outlet, and what waits, or is under way, goes with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::model::OutletKey;
use crate::store::StoreError;

use super::engine::{Shared, lock};
use super::job::Job;
use super::lanes::Lanes;
use super::plan::{ChannelPlan, Plan};
use super::runner::{LOOK_AGAIN, Runner};

impl Shared {
    /// The channel that has the deliveries of `name` now: the one of that name, else its successor.
    pub(super) fn home(&self, name: &str) -> Option<Arc<ChannelPlan>> {
        let plan = self.plan.load();
        plan.channel(name).or_else(|| plan.channels.values().find(|channel| channel.previous_names.iter().any(|previous| previous == name))).cloned()
    }

    /// Moves what is stored under a channel's former names and credentials to it. If it was anything, the runner that has it now starts over from the
    /// store: what it holds in memory is of before.
    pub(super) async fn bring_home(&self, channel: &ChannelPlan) -> Result<(), StoreError> {
        let mut moved = 0;
        for old in &channel.previous_names {
            let adopted = self.store.rename_channel(old, &channel.name, &channel.outlet).await?;
            if adopted > 0 {
                tracing::info!(from = %old, to = %channel.name, moved = adopted, "adopted the waiting deliveries of a renamed channel");
            }
            moved += adopted;
        }
        moved += self.store.move_to_outlet(&channel.name, &channel.outlet).await?;
        if moved > 0 {
            self.start_over(&channel.outlet);
        }
        Ok(())
    }

    /// Makes the runner of an outlet start over from the store; one that does not run yet begins there anyway.
    fn start_over(&self, outlet: &OutletKey) {
        if lock(&self.unstarted).contains_key(outlet) {
            return;
        }
        if let Some(handle) = lock(&self.handles).get(outlet) {
            handle.over.store(true, Ordering::Release);
            handle.kicked.notify_one();
        }
    }

    /// Whether something is under way on an outlet that the channel had by the plan of before, or by an earlier one. Then that outlet's runner brings
    /// the channel home when it has ended: moved at once, a call whose answer is on its way would be recorded as unknown, and a message sent twice.
    pub(super) fn is_leaving(&self, before: &Plan, channel: &ChannelPlan) -> bool {
        let names = || std::iter::once(&*channel.name).chain(channel.previous_names.iter().map(String::as_str));
        let others: Vec<_> = lock(&self.handles).iter().filter(|(outlet, _)| **outlet != channel.outlet).map(|(_, handle)| handle.clone()).collect();
        let mut leaving = others.iter().any(|handle| names().any(|name| lock(&handle.leaving).contains(name)));
        for name in names() {
            let Some(old) = before.channel(name).filter(|old| old.outlet != channel.outlet) else { continue };
            let Some(handle) = lock(&self.handles).get(&old.outlet).cloned() else { continue };
            if handle.under_way() > 0 {
                handle.note_leaving(&old.name);
                handle.kicked.notify_one();
                leaving = true;
            }
        }
        leaving
    }
}

impl Runner {
    /// Whether the channel of that name, or its successor, is another outlet's or has another name now. Then the runner starts over from the store once
    /// nothing is under way, and brings home what it wrote in the meantime.
    pub(super) fn is_stray(&mut self, name: &Arc<str>) -> bool {
        if self.channel(name).is_some() || self.shared.home(name).is_none() {
            return false;
        }
        self.handle.note_leaving(name);
        self.again = true;
        true
    }

    /// Whether strays were brought home a moment ago: what is still one then waits for a later look.
    pub(super) fn brought_lately(&self, now: Instant) -> bool {
        self.brought.is_some_and(|at| now.duration_since(at) < LOOK_AGAIN)
    }

    /// A message whose channel is not this outlet's any more: it goes where the channel went. If there is none, it waits, and the alarm names the channel.
    pub(super) fn without_channel(&mut self, mut job: Job, now: Instant) {
        if let Some(caller) = job.caller.take() {
            self.shared.expire(&self.outlet, self.epoch, job.members, caller.answer);
        } else if self.brought_lately(now) || !self.is_stray(&job.channel) {
            self.jobs.push(Job { due: now + LOOK_AGAIN, ..job });
        }
    }

    /// Looks whether anything in memory belongs to a channel that is elsewhere now. A held or paused outlet has such, too: what was routed by the plan of
    /// before and stored after the reload had moved everything.
    pub(super) fn look_for_strays(&mut self, now: Instant) {
        if self.brought_lately(now) {
            return;
        }
        let mut names = self.lanes.channels();
        names.extend(self.jobs.iter().map(|job| job.channel.clone()));
        names.extend(self.running.values().map(|running| running.channel.clone()));
        for name in names {
            self.is_stray(&name);
        }
    }

    /// Brings strays home; `false` when the store did not take it, and it is to be tried again.
    pub(super) async fn bring_strays(&mut self) -> bool {
        while let Some(name) = self.handle.next_leaving() {
            if let Some(home) = self.shared.home(&name)
                && let Err(error) = self.shared.bring_home(&home).await
            {
                self.shared.store_failed(&error);
                return false;
            }
            lock(&self.handle.leaving).remove(&name);
            self.brought = Some(self.shared.clock.instant());
        }
        true
    }

    /// Whether it is time to start over: nothing is under way, and no direct call stands between two of its recipients.
    pub(super) fn starts_over(&self) -> bool {
        self.again && self.tasks.is_empty() && self.jobs.iter().all(|job| job.caller.is_none())
    }

    /// Reads anew what is stored for the outlet, which stays this runner's: pace, pause, hold and waiting calls go on. Nothing may be under way.
    pub(super) async fn start_over_now(&mut self) {
        let home = self.bring_strays().await;
        self.forget_memory();
        if !home || !self.own(false).await {
            // The store does not work, or another node has the outlet: claimed again after a wait.
            self.epoch = 0;
        }
    }

    /// Forgets what memory holds of the outlet, but for waiting calls.
    pub(super) fn forget_memory(&mut self) {
        self.again = false;
        self.handle.over.store(false, Ordering::Release);
        self.jobs.clear();
        self.split.clear();
        self.running.clear();
        self.unknown.clear();
        self.lanes = Lanes::new(self.shared.budget.clone());
    }
}
