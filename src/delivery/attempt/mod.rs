//! One attempt of a message: read what memory lacks, compose, persist the intent where a repeat must never happen, send one page, evaluate the answers,
//! record the result. It runs as a task of its outlet's worker, which learns of it by an [`AttemptResult`].

mod allow;
mod compose;
mod context;
mod guard;
mod living;
mod persist;
mod reach;
mod read;
mod record;
mod release;
mod send;
mod step;
mod texts;
mod unreached;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::channel::OnAmbiguous;
use crate::model::{AttemptId, DeliveryId, LaneId, SendError, UnixMs};
use crate::store::{AcceptedDelivery, CellState, StoreError};

use super::core::Shared;
use super::lanes::LaneReturn;
use super::outlet::OwnedOutlet;
use super::pending::{PendingMessage, Phase, next_due};
use super::plan::{ChannelPlan, Plan};
use super::started::StartedLanes;
use allow::Allowed;

/// Deliveries read of one lane at once.
pub const LANE_READ_LIMIT: usize = 200;

/// How an attempt ended, for the worker.
#[derive(Debug, Default)]
pub struct AttemptResult {
    /// The message, when it goes on.
    pub message: Option<PendingMessage>,
    /// Lanes that are free for their next message: what was read, and what goes back to them.
    pub lanes: Vec<LaneReturn>,
    /// Lanes that form the next messages by themselves: of a digest that was refused, or that would have reached different people.
    pub parts: Vec<(Arc<str>, Vec<LaneId>)>,
    /// Whether it was counted as answered, so that it took no place among those being sent while its outcome was recorded.
    pub answered: bool,
    /// Whether a send was begun (it counts for the rate limit).
    pub sent: bool,
    /// How it ended for each recipient (`None`: sent), which says what it means for the outlet; empty without a send.
    pub errors: Vec<Option<SendError>>,
    /// New pause, Unix milliseconds.
    pub paused_until: Option<UnixMs>,
    /// Why the outlet is suspended by it.
    pub suspended: Option<String>,
    /// The deliveries that were tried.
    pub members: Vec<DeliveryId>,
    /// Fallback children to notify about.
    pub children: Vec<AcceptedDelivery>,
    /// The outlet is not this node's any more, or what memory holds of it is stale.
    pub fenced: bool,
}

impl AttemptResult {
    /// The same, once its outcome was recorded, or could not be.
    fn recorded(self, recorded: Result<Vec<AcceptedDelivery>, StoreError>) -> Self {
        match recorded {
            Ok(children) => Self { children, ..self },
            Err(_) => Self { fenced: true, ..self },
        }
    }
}

/// What an attempt works with.
pub struct AttemptTask {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// The plan at its start.
    pub plan: Arc<Plan>,
    /// The channel.
    pub channel: Arc<ChannelPlan>,
    /// The outlet.
    pub outlet: OwnedOutlet,
    /// Counter of attempts that are answered but not yet recorded; `None` for rate-limited outlets.
    pub answered: Option<Arc<AtomicUsize>>,
    /// Whether the platform refused it before as a fault of the outlet, and accepted others since: the fault is its own.
    pub at_fault: bool,
}

impl AttemptTask {
    /// Runs it. Never fails: an outcome that cannot be stored is kept and tried until it can (I11).
    ///
    /// A message that an earlier process may have crashed at is marked in the store before it is rendered, until this returns; one that was marked a few
    /// times without an end is sent abridged. Deliveries born since this process started need no mark: nothing can have crashed at them.
    pub async fn run(self, message: PendingMessage) -> AttemptResult {
        let mut started = StartedLanes::new(&self.shared);
        let result = self.attempt(message, &mut started).await;
        started.clear().await;
        result
    }

    async fn attempt(self, mut message: PendingMessage, started: &mut StartedLanes) -> AttemptResult {
        #[cfg(test)]
        assert!(!self.shared.crash_attempt.swap(false, std::sync::atomic::Ordering::AcqRel), "an attempt that was made to fail");
        match self.prepare(&mut message, started).await {
            Ok(None) => {}
            Ok(Some(result)) => return result,
            Err(error) => return self.release_to_lanes(message, &error).await,
        }
        // What waited when its channel was disabled.
        if self.channel.disabled && message.caller.is_none() {
            return self.skip_disabled(message).await;
        }
        if started.is_empty() && message.caller.is_none() && message.is_stored() && !message.wording.abridged {
            match self.mark_started(&mut message, started).await {
                // Nothing of it was sent: it is composed again, abridged. Otherwise only sending is left, which the mark cannot make any shorter.
                Ok(true) if message.cells.iter().all(|cell| cell.state == CellState::Open) => return self.recompose(message).await,
                Ok(_) => {}
                Err(error) => return self.release_to_lanes(message, &error).await,
            }
        }
        let _on_its_way = match self.allow(&mut message).await {
            Ok(Allowed::Send(ticket)) => ticket,
            Ok(Allowed::Ended(result)) => return *result,
            Ok(Allowed::Later) => return self.reschedule(message),
            Err(error) => return self.release_to_lanes(message, &error).await,
        };
        let now = self.shared.clock.wall();
        let Some((page, to)) = message.next_batch(self.channel.platform.attempts.batch, now) else {
            return if next_due(&message.cells).is_some() { self.reschedule(message) } else { self.complete_unsent(message).await };
        };
        let request = self.shared.heavy.request().await;
        // Composing takes its time, and the process may have been suspended meanwhile for longer than the lease lasts.
        if !self.holds_lease() {
            return self.release_to_lanes(message, &StoreError::Fenced).await;
        }
        let never_twice = message.caller.is_some() || message.step().is_some();
        let at_most_once = never_twice || self.channel.platform.on_ambiguous == OnAmbiguous::Never;
        let attempt = message.phase.begun().filter(|begun| begun.page == page).map_or_else(AttemptId::new, |begun| begun.id);
        if let Err(error) = self.persist_intent(&mut message, at_most_once, attempt, page, &to).await {
            if let StoreError::Overtaken(why) = &error {
                return self.overtaken(message, why).await;
            }
            // The store knows another owner of the outlet or of the message: the in-memory state is stale.
            let fenced = matches!(error, StoreError::Fenced | StoreError::Invalid(_));
            let result = self.release_to_lanes(message, &error).await;
            return AttemptResult { fenced: fenced || result.fenced, ..result };
        }
        if !self.holds_lease() {
            return self.release_to_lanes(message, &StoreError::Fenced).await;
        }
        message.phase.set_begun(None);
        let begun_at = self.shared.clock.wall();
        let (channel, platform) = (&*self.channel.name, self.channel.platform.name);
        tracing::debug!(delivery = message.delivery(), message_id = %message.id, channel, platform, page, recipients = to.len(), "an attempt begins");
        let results = self.send(&message, page, &to).await;
        drop(request);
        self.record_result(message, attempt, page, to, results, begun_at).await
    }

    /// Reads or composes the pages, and what they say of incidents. `Some` when nothing is left to send.
    async fn prepare(&self, message: &mut PendingMessage, started: &mut StartedLanes) -> Result<Option<AttemptResult>, StoreError> {
        if matches!(message.phase, Phase::Stored { pages: None, .. }) {
            self.fetch_pages(message).await?;
        }
        if message.is_stored() && message.notification.incidents.is_empty() && message.caller.is_none() {
            self.recall_notification(message).await?;
        }
        if !matches!(message.phase, Phase::Formed) {
            return Ok(None);
        }
        let permit = self.read_members(message, started).await?;
        self.compose(message, permit).await
    }

    /// Whether the outlet is this node's for long enough to send.
    fn holds_lease(&self) -> bool {
        self.outlet.may_send(self.shared.clock.instant())
    }
}
