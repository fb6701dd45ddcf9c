//! What an outlet's worker does about direct sends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::delivery::core::Shared;
use crate::delivery::outlet::Worker;
use crate::delivery::pending::PendingMessage;
use crate::model::{OutletKey, UnixMs};
use crate::store::{
    Cell, CellState, DeliveryUpdate, Fence, LaneSummary, MessageOutcome, MonthlySends, OpenMessage, OutcomeBatch, PendingDelivery, State,
};

use super::DEADLINE;
use super::elsewhere::await_elsewhere;
use super::sends::{Caller, DirectOutcome};

/// One that waits in the store for longer than its deadline and this was left behind by a process that is gone.
const ABANDONED_AFTER: Duration = Duration::from_secs(2);

impl Worker {
    /// A direct send: made here if the outlet is owned, else awaited while its owner makes it.
    pub(crate) fn send_directly(&mut self, channel: Arc<str>, member: PendingDelivery, caller: Caller) {
        let now = self.shared.clock.now();
        if self.shared.leased() && !self.ownership.may_send_directly(now.mono) {
            return await_elsewhere(self.shared.clone(), member, caller);
        }
        if self.direct.take(member.lane, now.mono) {
            return self.queue.direct.push_back(PendingMessage::direct(channel, member, caller, now));
        }
        // A poll of the store was faster than the direct send's own way here.
        let mine = self.queue.direct.iter_mut().find(|message| message.members.first().is_some_and(|m| m.id == member.id));
        match mine.and_then(|message| message.caller.as_mut()) {
            Some(waiting) => waiting.answer = caller.answer,
            None => await_elsewhere(self.shared.clone(), member, caller),
        }
    }

    /// Ends a direct send whose process is gone, or whose lease ran out before the first byte: no caller waits for it any more, and it is never sent later
    /// (I6). The same for a message whose members were all ended by hand.
    pub(crate) fn end_direct(&self, open: OpenMessage) {
        let now = self.shared.clock.wall();
        let left = |cell: &Cell| matches!(cell.state, CellState::Begun | CellState::Unknown | CellState::Ok);
        let (state, reason) = match open.cells.iter().any(left) {
            true => (State::Unknown, "the node that made this direct send ended before the platform's answer was recorded; it is not sent again"),
            false => (State::Expired, "the node that made this direct send ended before the platform got it; it is not sent later"),
        };
        let change = |member: &PendingDelivery| {
            tracing::warn!(delivery = %member.id, channel = %open.channel, state = state.as_str(), reason, "a direct send was cut off");
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
        let lost = open.cells.iter().filter(|cell| cell.state == CellState::Begun).map(|c| Cell { state: CellState::Unknown, ..c.clone() });
        let lost: Vec<Cell> = lost.collect();
        // The vendor may have counted them.
        let counted = self.channel(&open.channel).filter(|channel| !lost.is_empty() && channel.platform.counts_recipients());
        let batch = OutcomeBatch {
            message: Some(MessageOutcome { id: open.id, store: None, done: true, receipts: Vec::new() }),
            sent_in_month: counted.map(|channel| MonthlySends { month: channel.platform.month(now), sends: lost.len() as i64 }),
            cells: lost,
            deliveries: open.members.iter().map(change).collect(),
            ..OutcomeBatch::new(self.fence(), now)
        };
        let shared = self.shared.clone();
        self.shared.tracker.spawn(async move { drop(shared.record_outcome(batch).await) });
    }

    /// Drops what was taken up; on a shared store, callers wait for the next owner.
    pub(crate) fn forget_direct(&mut self) {
        self.direct.clear();
        if !self.shared.leased() {
            return;
        }
        for mut message in self.queue.direct.drain(..) {
            if let (Some(caller), Some(member)) = (message.caller.take(), message.members.pop()) {
                await_elsewhere(self.shared.clone(), member, caller);
            }
        }
    }

    /// Direct sends that wait in the store: accepted by another node, or left behind by a process that is gone.
    pub(crate) fn find_direct(&mut self, lanes: Vec<LaneSummary>) {
        let now = self.shared.clock.wall();
        for lane in lanes {
            let late = now.since(lane.since) > DEADLINE + ABANDONED_AFTER;
            if self.direct.is_taken(lane.id) || (!self.shared.leased() && !late) {
                continue;
            }
            let shared = self.shared.clone();
            self.direct.found.spawn(async move { shared.store.pending(lane.id, 0, 1, usize::MAX, UnixMs::MAX).await.unwrap_or_default() });
        }
    }

    /// Takes them up while their callers may still wait; what is too late is recorded as such and never sent.
    pub(crate) fn take_direct(&mut self, found: Vec<PendingDelivery>) {
        let now = self.shared.clock.now();
        if !self.ownership.may_send_directly(now.mono) {
            return;
        }
        for member in found {
            if !self.direct.take(member.lane, now.mono) {
                continue;
            }
            let left = member.born_at + DEADLINE - now.wall;
            if left <= 0 || !self.shared.leased() {
                self.shared.expire(&self.outlet, self.ownership.epoch(), vec![member], None);
                continue;
            }
            let deadline = now.mono + Duration::from_millis(left as u64).min(DEADLINE);
            let channel = self.shared.name(&member.channel);
            let caller = Caller { deadline, answer: None, results: Vec::new() };
            self.queue.direct.push_back(PendingMessage::direct(channel, member, caller, now));
        }
    }

    /// Direct sends that get no slot in time: reported and recorded as such, never sent later.
    pub(crate) fn expire_direct(&mut self, now: Instant) {
        let mut i = 0;
        while i < self.queue.direct.len() {
            let slot = self.slot_of(&self.queue.direct[i], now);
            let late = self.queue.direct[i].caller.as_ref().is_some_and(|caller| now >= caller.deadline || slot >= caller.deadline);
            if late && let Some(mut message) = self.queue.direct.remove(i) {
                let answer = message.caller.take().and_then(|caller| caller.answer);
                self.shared.expire(&self.outlet, self.ownership.epoch(), message.members, answer);
            } else {
                i += 1;
            }
        }
    }
}

impl Shared {
    pub(crate) fn expire(
        self: &Arc<Self>,
        outlet: &OutletKey,
        epoch: i64,
        members: Vec<PendingDelivery>,
        answer: Option<oneshot::Sender<DirectOutcome>>,
    ) {
        let Some(member) = members.into_iter().next() else { return };
        let now = self.clock.wall();
        let batch = OutcomeBatch {
            deliveries: vec![DeliveryUpdate {
                id: member.id,
                lane: member.lane,
                state: State::Expired,
                tries: 0,
                due_at: now,
                reason: Some("no slot within the deadline at the platform's rate limit; it is not sent later".into()),
                leave_message: false,
            }],
            ..OutcomeBatch::new(Fence { outlet: outlet.clone(), epoch }, now)
        };
        let shared = self.clone();
        self.tracker.spawn(async move {
            let _ = shared.record_outcome(batch).await;
            if let Some(answer) = answer {
                let _ = answer.send(DirectOutcome { delivery: member.id, results: Vec::new(), expired: true });
            }
        });
    }
}
