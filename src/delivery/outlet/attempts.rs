//! Attempts: which message is next, and what the end of an attempt changes for the outlet.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::channel::Counted;
use crate::delivery::attempt::{AttemptResult, AttemptTask, LANE_READ_LIMIT};
use crate::delivery::clock::Now;
use crate::delivery::pending::PendingMessage;
use crate::model::LaneId;
use crate::template::MessageKind;

use super::gate::Verdict;
use super::ownership::Signal;
use super::select::{Conditions, Work, select};
use super::worker::Worker;

impl Worker {
    /// What to start next, taken from the queue.
    pub(super) fn next_message(&mut self, now: Now) -> Option<PendingMessage> {
        let direct_only = !self.ownership.may_send(now.mono);
        // What may start before memory is read again counts from here: an outlet of callers alone has had many in a row.
        if direct_only && !std::mem::replace(&mut self.in_flight.direct_only, direct_only) {
            self.in_flight.direct_in_row = 0;
        }
        self.in_flight.direct_only = direct_only;
        let conditions = Conditions {
            in_flight: self.in_flight.tasks.len(),
            room: self.in_flight.has_room(),
            direct_only,
            memory_short: self.shared.budget.is_short(),
            direct_in_row: self.in_flight.direct_in_row,
        };
        let work = select(&self.queue, &self.channels(now.wall), &self.gate, &self.rate, conditions, now.mono);
        match &work {
            Work::Direct(_) => self.in_flight.direct_in_row = self.in_flight.direct_in_row.saturating_add(1),
            Work::Continue(place) if self.queue.begun[*place].caller.is_some() => {}
            Work::Nothing { .. } => {}
            _ => self.in_flight.direct_in_row = 0,
        }
        match work {
            Work::Direct(place) => self.queue.direct.remove(place),
            Work::Continue(place) => Some(self.queue.begun.swap_remove(place)),
            Work::Part => self.queue.parts.pop_front().map(|(channel, lanes)| self.digest(channel, lanes, now)),
            Work::Single(lane, channel) => {
                let taken = self.queue.lanes.take(lane, LANE_READ_LIMIT, now.mono);
                Some(PendingMessage::from_lanes(channel, MessageKind::Single, vec![taken], now))
            }
            Work::Digest(channel, lanes) => Some(self.digest(channel, lanes, now)),
            Work::Nothing { until, held_back } => {
                (self.idle.next_start, self.idle.held_back) = (until, held_back);
                None
            }
        }
    }

    /// A digest of lanes; of a single one its own message.
    fn digest(&mut self, channel: Arc<str>, lanes: Vec<LaneId>, now: Now) -> PendingMessage {
        let kind = if lanes.len() > 1 { MessageKind::Digest } else { MessageKind::Single };
        // A trial may have taken one of them out of turn; one that memory has let go is read from the store in its own.
        let taken = lanes.into_iter().filter(|id| self.queue.lanes.is_free(*id)).collect::<Vec<_>>();
        let taken = taken.into_iter().map(|id| self.queue.lanes.take(id, LANE_READ_LIMIT, now.mono)).collect();
        PendingMessage::from_lanes(channel, kind, taken, now)
    }

    /// Starts an attempt of a message; `false` when its channel is not this outlet's any more.
    pub(super) fn start(&mut self, message: PendingMessage, now: Instant) -> bool {
        let Some(channel) = self.channel(&message.channel) else {
            self.without_channel(message, now);
            return false;
        };
        let counted = self.counted(&message);
        self.rate.begin(now, &counted);
        let at_fault = self.gate.is_at_fault(message.members.iter().map(|member| member.id));
        let task = AttemptTask {
            shared: self.shared.clone(),
            plan: self.shared.plan.load_full(),
            channel,
            outlet: self.owned_outlet(),
            answered: self.rate.is_unlimited().then(|| self.in_flight.answered.clone()),
            at_fault,
        };
        self.in_flight.messages.insert(message.id, (message.channel.clone(), counted));
        self.in_flight.tasks.spawn(async move { (message.id, task.run(message).await) });
        true
    }

    pub(super) fn attempt_finished(&mut self, result: AttemptResult, channel: &Arc<str>, counted: &Counted) {
        let now = self.shared.clock.now();
        if result.answered {
            self.in_flight.answered.fetch_sub(1, Ordering::AcqRel);
        }
        if result.sent {
            let confirmed = result.errors.iter().any(Option::is_none);
            self.inbox.mailbox.sent(channel, now.mono, confirmed.then_some(now.wall));
            self.rate.end(now.mono, counted)
        } else {
            self.rate.cancel(counted)
        }
        for released in result.lanes {
            self.queue.lanes.release(released, now);
        }
        self.queue.parts.extend(result.parts);
        if let Some(message) = result.message
            && (message.caller.is_some() || !self.is_orphaned(&message.channel))
        {
            self.queue.begun.push(message);
        }
        self.shared.notify_new(&result.children);
        self.edits.look_again(now.mono);
        let resting = now.mono < self.gate.paused_until();
        if let Some(until) = result.paused_until {
            self.gate.pause(now.mono + until.since(now.wall));
        }
        if result.fenced {
            self.ownership = self.ownership.on(Signal::Fenced);
        }
        if result.errors.is_empty() {
            return;
        }
        let verdicts: Vec<Verdict> = result.errors.iter().map(|error| Verdict::of(error.as_ref(), result.suspended.as_deref())).collect();
        let change = self.gate.ended(&verdicts, &result.members, resting, now.mono);
        self.announce(change);
    }

    /// An attempt panicked: its lanes are read again from the store; nothing is lost, a send may repeat.
    pub(super) fn attempt_panicked(&mut self, error: &tokio::task::JoinError) {
        tracing::error!(outlet = %self.outlet, %error, "an attempt panicked: the outlet is read again from the store. Please report this bug");
        self.shared.heavy.crashed(self.shared.clock.wall());
        self.ownership = self.ownership.on(Signal::Fenced);
    }
}
