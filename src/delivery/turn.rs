//! Whose turn it is and when: what a runner's sends count against, and when it has to look again.

use std::time::Duration;

use tokio::time::Instant;

use crate::channel::{Counted, Limit};
use crate::model::Recipient;

use super::job::Job;
use super::lanes::MAX_LANES;
use super::runner::Runner;

impl Runner {
    /// When to look again if nothing happens before.
    pub(super) fn next_wake(&mut self) -> Instant {
        let now = self.shared.clock.instant();
        if !self.may_start(now) {
            // A new lease, or the end of what is under way, wakes it sooner.
            return now + Duration::from_millis(500);
        }
        if self.starts_over() {
            return now;
        }
        let mut wake = self.look_at.max(now + Duration::from_millis(20));
        if !self.lanes.complete && self.loading.is_empty() && self.lanes.ready_len() < MAX_LANES / 8 {
            wake = wake.min(self.refill_at.max(now + Duration::from_millis(2)));
        }
        let idle = self.has_room();
        if let Some(timer) = self.lanes.next_timer() {
            wake = wake.min(timer.max(now));
        }
        if idle {
            let mut work: Option<Instant> = None;
            if !self.calls.is_empty() {
                work = self.calls.iter().map(|call| self.slot(now, &self.counted(call))).min();
            }
            let held = self.hold.as_ref().is_some_and(|hold| !hold.trying);
            let single = (self.hold.is_some() || self.breaker.is_open()) && !self.tasks.is_empty();
            let may = !held && !single;
            let jobs = self.jobs.iter().filter(|job| if self.again { job.caller.is_some() } else { may });
            if let Some(at) = jobs.map(|job| job.due.max(self.slot(now, &self.counted(job)))).min() {
                work = Some(work.map_or(at, |w| w.min(at)));
            }
            if may && !self.again {
                let lanes = self.lanes_at.filter(|_| self.lanes.ready_len() > 0);
                let split = self.split.front().map(|(channel, _)| self.slot(now, &self.counted_of(channel)));
                work = work.into_iter().chain(lanes).chain(split).min();
            }
            if let Some(at) = work {
                wake = wake.min(at.max(self.paused_until).max(now + Duration::from_millis(2)));
            }
        }
        if let Some(deadline) = self.calls.iter().filter_map(|c| c.caller.as_ref()).map(|c| c.deadline).min() {
            wake = wake.min(deadline);
        }
        if let Some(hold) = self.hold.as_ref().filter(|h| !h.trying) {
            wake = wake.min(hold.trial_at.max(now + Duration::from_millis(20)));
        }
        wake
    }

    /// Against what the platform counts a message.
    pub(super) fn counted(&self, job: &Job) -> Counted {
        let only: Vec<Recipient> = job.members.iter().flat_map(|member| member.target.only.iter().cloned()).collect();
        match self.channel(&job.channel) {
            Some(channel) if only.is_empty() || job.members.len() > 1 => channel.driver.counted(&channel.recipients),
            Some(channel) => channel.driver.counted(&only),
            None => Counted::Outlet,
        }
    }

    /// The same for what a channel sends to all of its recipients.
    pub(super) fn counted_of(&self, channel: &str) -> Counted {
        self.channel(channel).map_or(Counted::Outlet, |channel| channel.driver.counted(&channel.recipients))
    }

    /// When the next send that counts against it may begin.
    pub(super) fn slot(&self, now: Instant, counted: &Counted) -> Instant {
        self.pacer.slot(now, counted)
    }

    /// How many messages of the outlet may be under way at once, as far as its platform goes.
    pub(super) fn own_concurrency(&self) -> usize {
        self.shared.plan.load().channels.values().find(|c| c.outlet == self.outlet).map_or(1, |c| c.platform.concurrency.max(1))
    }

    /// The tightest pace among the outlet's channels: they share one credential, so they share one pace.
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
