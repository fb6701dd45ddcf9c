//! How a message leaves its task: it goes back to its lanes, waits for its next try, or is done.

use crate::delivery::direct::DirectOutcome;
use crate::delivery::lanes::{LaneReturn, ReadProgress};
use crate::delivery::pending::{BegunAttempt, PendingMessage};
use crate::model::{ErrorKind, LaneId, UnixMs};
use crate::store::{AttemptKind, Cell, CellState, DeliveryUpdate, FinishedAttempt, MessageOutcome, OutcomeBatch, PendingDelivery, State, StoreError};

use super::persist::skipped;
use super::{AttemptResult, AttemptTask};

impl AttemptTask {
    /// The store cannot be read or written: nothing was sent; everything goes back and is tried when it works again.
    pub(super) async fn release_to_lanes(&self, mut message: PendingMessage, error: &StoreError) -> AttemptResult {
        // What the store finds invalid was changed by hand meanwhile (dropped, moved): the outlet is read again from the store.
        let fenced = matches!(error, StoreError::Fenced | StoreError::Invalid(_));
        if !matches!(error, StoreError::Fenced) {
            self.shared.health.request_failed(error);
        }
        if message.caller.is_some() {
            if let Some(member) = message.members.first() {
                let reason = match error {
                    StoreError::Fenced => "not sent: this node's lease on the outlet ran out before the first byte; it is not sent later".to_owned(),
                    _ => format!("not sent: the store could not record it ({error})"),
                };
                let update = DeliveryUpdate { state: State::Expired, reason: Some(reason), ..skipped(member, "", self.shared.clock.wall()) };
                let _ = self.record_outcome(self.cancelled(&mut message, self.outcome_batch(vec![update]))).await;
            }
            return self.complete(&mut message, Vec::new(), fenced);
        }
        if message.is_stored() {
            return self.reschedule(message);
        }
        let returned = std::mem::take(&mut message.members);
        // What was not read stays on disk: the lane must be read again.
        message.lanes.reads.clear();
        let mut result = self.complete(&mut message, returned, fenced);
        for LaneReturn { lane, read, .. } in &mut result.lanes {
            *read = Some(ReadProgress { lane: *lane, to: 0, more: true });
        }
        result
    }

    /// What is on disk of a message that is not sent at all ends with its delivery, so that no worker finds it open and sends it.
    /// What was sent before stays so, and what was lost counts as sent.
    pub(super) fn cancelled(&self, message: &mut PendingMessage, batch: OutcomeBatch) -> OutcomeBatch {
        if !message.is_stored() {
            return batch;
        }
        let lost = message.take_lost();
        let open = message.cells.iter().filter(|cell| matches!(cell.state, CellState::Open | CellState::Begun));
        let dead = open.map(|cell| Cell { state: CellState::Dead, ..cell.clone() });
        OutcomeBatch {
            message: Some(MessageOutcome { id: message.id, store: None, done: true, receipts: Vec::new() }),
            attempt: self.not_sent(message, batch.now),
            sent_in_month: self.lost_in_month(&lost, batch.now),
            cells: dead.chain(lost).collect(),
            ..batch
        }
    }

    /// The end of the attempt that the store has as begun, of which nothing was sent.
    pub(super) fn not_sent(&self, message: &PendingMessage, now: UnixMs) -> Option<FinishedAttempt> {
        message.phase.begun().map(|BegunAttempt { id, page }| FinishedAttempt {
            id,
            page,
            node: self.shared.node.name.to_string(),
            begun_at: now,
            ended_at: now,
            kind: AttemptKind::Failed(ErrorKind::Transient),
            counted: self.answered.is_none(),
            code: Some("not_sent".into()),
            answer: None,
        })
    }

    /// The message waits until its next cell is due.
    pub(super) fn reschedule(&self, mut message: PendingMessage) -> AttemptResult {
        let now = self.shared.clock.wall();
        message.due = self.shared.clock.instant() + message.next_wait(now).unwrap_or_default();
        let lanes = std::mem::take(&mut message.lanes.to_release);
        let parts = message.take_parts();
        message.shed_memory(&self.shared.budget);
        AttemptResult { message: Some(message), lanes, parts, ..AttemptResult::default() }
    }

    /// Ends a message: its lanes are released, `returned` goes back to them, and a caller gets its answer.
    pub(super) fn complete(&self, message: &mut PendingMessage, mut returned: Vec<PendingDelivery>, fenced: bool) -> AttemptResult {
        if let Some(caller) = &mut message.caller
            && let Some(answer) = caller.answer.take()
            && let Some(member) = message.members.first()
        {
            let results = std::mem::take(&mut caller.results);
            let expired = results.is_empty();
            let _ = answer.send(DirectOutcome { delivery: member.id, results, expired });
        }
        returned.append(&mut message.lanes.returned);
        let mut lanes = std::mem::take(&mut message.lanes.to_release);
        lanes.extend(message.lanes.release(|_| true, &mut returned));
        AttemptResult { lanes, parts: message.take_parts(), fenced, ..AttemptResult::default() }
    }

    /// Releases the lanes that have no member in the message. What waits in a lane that sends now goes back to it when the message is done.
    pub(super) fn release_unused_lanes(&self, message: &mut PendingMessage, mut later: Vec<PendingDelivery>) -> Vec<LaneReturn> {
        let members = &message.members;
        let unused = |lane: LaneId| !members.iter().any(|member| member.lane == lane);
        let released = message.lanes.release(unused, &mut later);
        message.lanes.returned.extend(later);
        released
    }
}
