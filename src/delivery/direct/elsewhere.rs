//! A direct send whose outlet another node owns: its caller waits here for what that node records.

use std::sync::Arc;
use std::time::Duration;

use crate::delivery::core::Shared;
use crate::model::{ErrorKind, PlatformIds, Receipt, Recipient, SendError};
use crate::store::{AttemptKind, CellState, DeliveryDetail, PendingDelivery, State};

use super::sends::{Caller, DirectOutcome};

/// How often the store is asked what became of it.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Waits for what the owner of the outlet makes of a direct send, and answers its caller.
pub(super) fn await_elsewhere(shared: Arc<Shared>, member: PendingDelivery, mut caller: Caller) {
    let tracker = shared.tracker.clone();
    tracker.spawn(async move {
        // The owner stops at the deadline; the second more lets its record commit.
        let end = caller.deadline + Duration::from_secs(1);
        let result = loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            if let Ok(Some(detail)) = shared.store.get_delivery(member.id).await
                && detail.row.state.is_final()
            {
                break outcome(&member, &detail);
            }
            if shared.clock.instant() >= end {
                let reason = "no node took the direct send within its deadline; it is not sent later";
                let _ = shared.store.drop_deliveries(&[member.id], reason, shared.clock.wall()).await;
                break DirectOutcome { delivery: member.id, results: Vec::new(), expired: true };
            }
        };
        if let Some(answer) = caller.answer.take() {
            let _ = answer.send(result);
        }
    });
}

/// The platform's word for each recipient, as the owner recorded it.
fn outcome(member: &PendingDelivery, detail: &DeliveryDetail) -> DirectOutcome {
    let attempts = detail.message.iter().flat_map(|message| &message.attempts);
    let last = attempts.max_by_key(|attempt| attempt.begun_at);
    let answer = last.and_then(|attempt| attempt.answer.clone()).unwrap_or_default();
    let cells = detail.message.as_ref().map(|message| message.cells.as_slice()).unwrap_or_default();
    let result = |code: Option<String>, ids: PlatformIds, ok: bool| {
        if ok {
            return Ok(Receipt { ids, code: code.unwrap_or_default(), answer: answer.clone() });
        }
        let kind = match last.and_then(|attempt| attempt.kind) {
            None => ErrorKind::Rejected,
            Some(AttemptKind::Failed(kind)) => kind,
            Some(AttemptKind::Ok | AttemptKind::Partial | AttemptKind::Unknown) => ErrorKind::Ambiguous,
        };
        let summary = detail.row.reason.clone().unwrap_or_else(|| "it was not delivered".to_owned());
        let error = SendError::new(kind, summary);
        // What is recorded is our sentence and the platform's own body behind it: callers parse the body.
        let error = match answer.find(": {") {
            Some(at) => error.detail(&answer[at + 2..]),
            None => error,
        };
        let code = code.or_else(|| last.and_then(|attempt| attempt.code.clone()));
        Err(if let Some(code) = code { error.code(code) } else { error })
    };
    let results: Vec<(Recipient, Result<Receipt, SendError>)> = if cells.is_empty() {
        let all = member.target.recipients.iter().cloned();
        all.map(|to| (to, result(None, PlatformIds::default(), detail.row.state == State::Sent))).collect()
    } else {
        let each = cells.iter().map(|cell| (cell.recipient.clone(), result(cell.code.clone(), cell.ids.clone(), cell.state == CellState::Ok)));
        each.collect()
    };
    let expired = matches!(detail.row.state, State::Expired | State::Dropped);
    DirectOutcome { delivery: member.id, results: if expired { Vec::new() } else { results }, expired }
}
