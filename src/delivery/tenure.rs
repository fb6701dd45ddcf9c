//! How a runner comes to own its outlet, keeps it, and gives it up; and direct calls that come another way than through its own queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Cell, CellState, DeliveryUpdate, Fence, LaneSummary, MessageOutcome, OpenMessage, OutcomeBatch, PendingDelivery, State};

use super::accept::CALL_DEADLINE;
use super::cluster;
use super::job::{Caller, Job};
use super::runner::{Command, Runner};

/// The wait before an outlet that could not be had is claimed again.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_SHARED: Duration = Duration::from_millis(500);

impl Runner {
    /// Takes note of what the node decided about this outlet.
    pub(super) fn hear(&mut self) {
        let orders = self.handle.orders();
        self.wanted = orders.wanted;
        if let Some((until, asked)) = orders.lease
            && self.epoch != 0
            && self.claimed_at < asked
        {
            match until {
                Some(until) => self.lease = Some(until),
                None => {
                    tracing::warn!(outlet = %self.outlet, "another node owns this outlet now; what was under way here is fenced");
                    self.epoch = 0;
                }
            }
        }
        if self.handle.over.swap(false, Ordering::AcqRel) || self.handle.next_leaving().is_some() {
            self.again = true;
        }
        if self.handle.hinted.swap(false, Ordering::AcqRel) {
            self.look_at = self.shared.clock.instant();
        }
    }

    /// Whether a send may begin: the outlet is owned, wanted, and the lease lasts.
    pub(super) fn may_start(&self, now: Instant) -> bool {
        self.epoch != 0 && self.wanted && self.lease.is_none_or(|until| now < until)
    }

    /// Claims the outlet, forgetting what memory held of it; `false` after a wait when it is not to be had.
    pub(super) async fn take_over(&mut self) -> bool {
        self.called.clear();
        if self.shared.leased() {
            self.send_calls_elsewhere();
        }
        if !self.wanted {
            self.release().await;
        }
        let home = self.bring_strays().await;
        self.forget_memory();
        if home && self.wanted && self.own(true).await {
            return true;
        }
        self.show();
        let end = self.shared.clock.instant() + if self.shared.leased() { AGAIN_SHARED } else { AGAIN };
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return false,
                _ = self.stop.changed() => return false,
                () = self.handle.kicked.notified() => {
                    let wanted = self.wanted;
                    self.hear();
                    if self.wanted && !wanted {
                        return false;
                    }
                }
                command = self.commands.recv() => match command {
                    // What was accepted is on disk and is read when the outlet is owned.
                    Some(Command::Call { channel, member, caller }) => self.call(channel, *member, caller),
                    Some(_) => {}
                    None => return false,
                },
            }
        }
    }

    /// Lets another node have the outlet.
    pub(super) fn give_up(&mut self) {
        self.epoch = 0;
        self.show();
        tracing::info!(outlet = %self.outlet, "gives the outlet up to another node");
    }

    /// Gives back what was had of the outlet, also after a crash of a step or a lost lease: this node renews whatever the store says is its own. So what
    /// a runner or a process of before had under this node's name is given back, too: else it would be renewed for ever, and sent by nobody.
    pub(super) async fn release(&mut self) {
        if self.last == 0 && !(self.is_renewed() && self.own(false).await) {
            return;
        }
        self.epoch = 0;
        let fence = Fence { outlet: self.outlet.clone(), epoch: self.last };
        match self.shared.store.release_outlet(fence).await {
            Ok(()) => {
                self.last = 0;
                self.claimed_at = self.shared.clock.instant();
            }
            Err(error) => tracing::warn!(outlet = %self.outlet, %error, "the outlet could not be given up yet"),
        }
    }

    /// Whether the store said, since the outlet was last claimed or given back, that it is this node's.
    fn is_renewed(&self) -> bool {
        self.handle.orders().lease.is_some_and(|(until, asked)| until.is_some() && self.claimed_at < asked)
    }

    /// A direct call: run here if the outlet is owned, else awaited while its owner runs it.
    pub(super) fn call(&mut self, channel: Arc<str>, member: PendingDelivery, caller: Caller) {
        let (now, now_ms) = (self.shared.clock.instant(), self.shared.clock.now_ms());
        if self.shared.leased() && !self.may_start(now) {
            return cluster::await_call(self.shared.clone(), member, caller);
        }
        if self.called.insert(member.lane, now).is_none() {
            return self.calls.push_back(Job::of_call(channel, member, caller, now, now_ms));
        }
        // A look at the store was faster than the call's own way here.
        let mine = self.calls.iter_mut().find(|job| job.members.first().is_some_and(|m| m.id == member.id));
        match mine.and_then(|job| job.caller.as_mut()) {
            Some(waiting) => waiting.answer = caller.answer,
            None => cluster::await_call(self.shared.clone(), member, caller),
        }
    }

    /// Ends a direct call whose process is gone, or whose lease ran out before the first byte: nobody waits for it any more, and it is never sent
    /// later (I6). The same for a message whose members were all ended by hand.
    pub(super) fn end_call(&self, open: OpenMessage) {
        let now = self.shared.clock.now_ms();
        let left = |cell: &Cell| matches!(cell.state, CellState::Begun | CellState::Unknown | CellState::Ok);
        let (state, reason) = match open.cells.iter().any(left) {
            true => (State::Unknown, "the node that made this direct call ended before the platform's word was recorded; it is not sent again"),
            false => (State::Expired, "the node that made this direct call ended before it was sent; it is not sent later"),
        };
        let change = |member: &PendingDelivery| {
            tracing::warn!(delivery = %member.id, channel = %open.channel, state = state.as_str(), reason, "a direct call was cut off");
            DeliveryUpdate {
                id: member.id,
                lane: member.lane,
                state,
                tries: member.tries,
                due_at: now,
                reason: Some(reason.to_owned()),
                leave_message: false,
            }
        };
        let settlement = OutcomeBatch {
            fence: Fence { outlet: self.outlet.clone(), epoch: self.epoch },
            message: Some(MessageOutcome { id: open.id, store: None, done: true, receipts: Vec::new() }),
            attempt: None,
            cells: open.cells.iter().filter(|cell| cell.state == CellState::Begun).map(|c| Cell { state: CellState::Unknown, ..c.clone() }).collect(),
            deliveries: open.members.iter().map(change).collect(),
            children: Vec::new(),
            outlet: None,
            sent_in_month: None,
            now,
        };
        let shared = self.shared.clone();
        self.shared.tracker.spawn(async move { drop(shared.settle(settlement).await) });
    }

    fn send_calls_elsewhere(&mut self) {
        for mut job in self.calls.drain(..) {
            if let (Some(caller), Some(member)) = (job.caller.take(), job.members.pop()) {
                cluster::await_call(self.shared.clone(), member, caller);
            }
        }
    }

    /// Direct calls that wait in the store: accepted by another node, or left behind by a process that is gone.
    pub(super) fn find_calls(&mut self, heads: Vec<LaneSummary>) {
        let now_ms = self.shared.clock.now_ms();
        for head in heads {
            let late = now_ms - head.since > CALL_DEADLINE.as_millis() as i64 + 2_000;
            if self.called.contains_key(&head.id) || (!self.shared.leased() && !late) {
                continue;
            }
            let shared = self.shared.clone();
            self.found.spawn(async move { shared.store.pending(head.id, 0, 1, usize::MAX, i64::MAX).await.unwrap_or_default() });
        }
    }

    /// Direct calls that got no slot in time: told so, recorded so, never sent later.
    pub(super) fn expire_calls(&mut self, now: Instant) {
        let mut i = 0;
        while i < self.calls.len() {
            let paused = self.paused_until.max(self.slot(now, &self.counted(&self.calls[i])));
            let late = self.calls[i].caller.as_ref().is_some_and(|c| now >= c.deadline || paused >= c.deadline);
            if late && let Some(mut call) = self.calls.remove(i) {
                let answer = call.caller.take().and_then(|c| c.answer);
                self.shared.expire(&self.outlet, self.epoch, call.members, answer);
            } else {
                i += 1;
            }
        }
    }

    /// Takes them up while their callers may still wait; what is too late is recorded as such and never sent.
    pub(super) fn take_calls(&mut self, found: Vec<PendingDelivery>) {
        let (now, now_ms) = (self.shared.clock.instant(), self.shared.clock.now_ms());
        if !self.may_start(now) {
            return;
        }
        for member in found {
            if self.called.insert(member.lane, now).is_some() {
                continue;
            }
            let left = member.born_at + CALL_DEADLINE.as_millis() as i64 - now_ms;
            if left <= 0 || !self.shared.leased() {
                self.shared.expire(&self.outlet, self.epoch, vec![member], None);
                continue;
            }
            let deadline = now + Duration::from_millis(left as u64).min(CALL_DEADLINE);
            let channel = self.shared.name(&member.channel);
            let caller = Caller { deadline, answer: None, results: Vec::new() };
            self.calls.push_back(Job::of_call(channel, member, caller, now, now_ms));
        }
    }
}
