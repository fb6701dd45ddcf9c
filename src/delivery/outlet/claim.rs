//! How a worker claims its outlet, resyncs with the store, and releases it.

use std::time::Duration;

use crate::channel::OnAmbiguous;
use crate::delivery::allowance::MonthCount;
use crate::delivery::clock::Now;
use crate::delivery::cluster::LEASE_SAFETY_MARGIN;
use crate::delivery::pending::PendingMessage;
use crate::delivery::rate_limit::RateLimiter;
use crate::model::UnixMs;
use crate::store::{Fence, LeaseRequest, OutletSnapshot};

use super::mailbox::Command;
use super::ownership::{Action, Lease, Signal};
use super::worker::Worker;

/// The wait before an outlet that could not be claimed is tried again.
const CLAIM_RETRY: Duration = Duration::from_secs(2);
/// The same on a store that nodes share, where another node's lease may end at any time.
const CLAIM_RETRY_SHARED: Duration = Duration::from_millis(500);

impl Worker {
    /// Claims the outlet or releases it, dropping its in-memory state; `false` after a wait when this node does not own it then.
    pub(super) async fn change_hands(&mut self, action: Action) -> bool {
        self.forget_direct();
        if action == Action::Release {
            self.release().await;
        }
        let relocated = self.relocate().await;
        self.forget_memory();
        if relocated && action == Action::Claim && self.claim(true).await {
            return true;
        }
        self.publish_state();
        let end = self.shared.clock.instant() + if self.shared.leased() { CLAIM_RETRY_SHARED } else { CLAIM_RETRY };
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return false,
                _ = self.inbox.stop.changed() => return false,
                () = self.inbox.mailbox.woken() => {
                    let before = self.assigned;
                    self.read_mailbox();
                    if self.assigned && !before {
                        return false;
                    }
                }
                command = self.inbox.commands.recv() => match command {
                    // What was accepted is on disk and is read when the outlet is owned.
                    Some(Command::Direct { channel, member, caller }) => self.send_directly(channel, *member, caller),
                    #[cfg(test)]
                    Some(command @ Command::Crash) => self.handle(command),
                    Some(_) => {}
                    None => return false,
                },
            }
        }
    }

    /// Reads again what is stored for the outlet, which stays this node's: rate limit, gate and direct sends that wait go on. Nothing may be in flight.
    pub(super) async fn resync(&mut self) {
        let relocated = self.relocate().await;
        self.forget_memory();
        if !relocated || !self.claim(false).await {
            // The store does not work, or another node has the outlet: claimed again after a wait.
            self.ownership = self.ownership.on(Signal::Refused);
        }
    }

    /// Claims the outlet and takes up what was begun; `false` when that failed. Unless it is `fresh`, rate limit and gate go on as they are.
    async fn claim(&mut self, fresh: bool) -> bool {
        let clock = &self.shared.clock;
        let now = clock.now();
        let rate = RateLimiter::new(&self.limits());
        self.in_flight.concurrency = self.own_concurrency().min(rate.max_in_flight());
        let claim = LeaseRequest {
            outlet: self.outlet.clone(),
            node: self.shared.node.name.to_string(),
            now: now.wall,
            lease_until: now.wall + self.shared.node.lease,
            // The platform counts an arrival, which may be as late as the end of its send.
            window_start: clock.shown_before(rate.longest_window() + self.longest_send(), now),
        };
        let owned = match self.shared.store.claim_outlet(claim).await {
            Ok(Some(owned)) => owned,
            Ok(None) => return false,
            Err(error) => {
                self.shared.health.request_failed(&error);
                return false;
            }
        };
        // Before anything is sent: the last owner may have used all of it.
        let plan = self.shared.plan.load_full();
        let (month, most) = (plan.month(&self.outlet, now.wall), plan.per_month(&self.outlet));
        let sent = if owned.month == month { owned.month_sent } else { 0 };
        self.inbox.mailbox.set_month(MonthCount { month, sent, most });
        let fresh = fresh || owned.epoch != self.ownership.epoch() + 1;
        let until = self.shared.leased().then(|| now.mono + self.shared.node.lease - LEASE_SAFETY_MARGIN);
        self.ownership = self.ownership.on(Signal::Claimed(Lease { epoch: owned.epoch, claimed_at: now.mono, until }));
        if fresh {
            if !owned.released {
                // Its last owner may have crashed at a message of it.
                self.shared.heavy.crashed(now.wall);
            }
            self.rate = rate;
            self.restore(&owned, now);
        }
        self.poll.ended.clear();
        for open in owned.open {
            if open.direct {
                self.poll.ended.insert(open.id);
                self.end_direct(open);
                continue;
            }
            let is_step = open.members.iter().any(|member| member.target.step.is_some());
            let at_most_once = is_step || self.channel(&open.channel).is_some_and(|c| c.platform.on_ambiguous == OnAmbiguous::Never);
            let message = PendingMessage::recovered(open, at_most_once, now.mono);
            for taken in &message.lanes.taken {
                self.queue.lanes.mark_dirty(taken.lane, &message.channel, 3, now.wall, now.mono);
                let _ = self.queue.lanes.take(taken.lane, 0, now.mono);
            }
            self.queue.begun.push(message);
        }
        self.poll.at = now.mono;
        self.publish_state();
        true
    }

    /// Rate limit, pause and suspension as the store has them.
    fn restore(&mut self, owned: &OutletSnapshot, now: Now) {
        // What a crash cut off may have reached the platform without a record: as many as can be in flight count. A node that hangs may still have them
        // in flight, as long as a send may take; a process that has the store for itself is gone, and its sends with it.
        let last = if self.shared.leased() { now.mono + self.longest_send() } else { now.mono };
        let unseen = if self.rate.is_unlimited() || owned.released { 0 } else { self.in_flight.concurrency };
        let ended = |at: &UnixMs| now.mono.checked_sub(self.shared.clock.age(*at, now)).unwrap_or(now.mono);
        self.rate.restore(owned.sends.iter().map(ended).chain(std::iter::repeat_n(last, unseen)));
        // A pause that was set before the wall clock was set back is counted from the newest send that is known of.
        let latest = owned.sends.last().map_or(now.wall, |at| now.wall.max(*at));
        let pause = owned.paused_until.since(latest);
        self.gate.restore(now.mono, pause, owned.suspended.clone());
    }

    /// Releases the lease, also after a panicked attempt or an expired lease: this node renews whatever the store says is its own. What an earlier worker or
    /// process had under this node's name is released, too: else it would be renewed endlessly, and no node would send.
    pub(super) async fn release(&mut self) {
        if self.ownership.unreleased().is_none() && !(self.is_renewed() && self.claim(false).await) {
            return;
        }
        let Some(epoch) = self.ownership.unreleased() else { return };
        let fence = Fence { outlet: self.outlet.clone(), epoch };
        match self.shared.store.release_outlet(fence).await {
            Ok(()) => {
                tracing::debug!(outlet = %self.outlet, "the outlet is released");
                self.ownership = self.ownership.on(Signal::Released(self.shared.clock.instant()));
            }
            Err(error) => {
                tracing::warn!(outlet = %self.outlet, %error, "the outlet could not be released yet");
                self.ownership = self.ownership.on(Signal::Fenced);
            }
        }
    }

    /// Whether the store said, since the outlet was last claimed or released, that it is this node's.
    fn is_renewed(&self) -> bool {
        let renewal = self.inbox.mailbox.assignment().renewal;
        renewal.is_some_and(|renewal| renewal.until.is_some() && self.ownership.since() < renewal.asked)
    }
}
