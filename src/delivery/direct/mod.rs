//! Direct sends: the older paths, `send` and tests. The caller waits for the platform's word; each is recorded, sent at most once ahead of what is
//! queued, and never later (I6).

mod elsewhere;
mod sends;
mod text;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use crate::model::{DeliveryId, Event, EventId, OutletKey, Page, Recipient, Severity, UnixMs, hash_hex, title};
use crate::store::{DeliveryIncident, Fallback, Mode, NewDelivery, NewEvent, PendingDelivery, State, StoreError, Summary, Target};
use tokio::sync::oneshot;

use super::accept::to_pending;
use super::engine::Engine;
use super::outlet::mailbox::Command;
use super::plan::ChannelPlan;

pub(crate) use sends::LANE_PREFIX;
pub use sends::{Caller, DirectOutcome, DirectSends};
pub use text::text_page;

/// How long a direct send may wait for the platform's answer.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// How much longer a caller is kept waiting at most for a platform whose answers come late (mail): within `server.limits.timeout`, which is 30 s by default.
const MAX_RESPONSE_GRACE: Duration = Duration::from_secs(15);

/// Why nothing was sent directly.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DirectError {
    /// The store could not record it.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The channel is disabled.
    #[error("channel `{0}` is disabled")]
    Disabled(String),
    /// No answer came within the deadline; the send was or is being recorded.
    #[error("no answer within 10s")]
    Timeout,
}

impl Engine {
    /// Sends directly: recorded, one attempt within the rate limit ahead of queued work; returns the platform's own answer.
    pub async fn send_direct(&self, channel: &ChannelPlan, mut event: Event, page: Page, to: Vec<Recipient>) -> Result<DirectOutcome, DirectError> {
        let span = self.shared.telemetry.traces.intake(&event.trace, event.kind.as_str(), self.shared.clock.wall().into());
        event.trace = span.context(std::mem::take(&mut event.trace));
        let outcome = self.record_and_send(channel, event, page, to).await;
        if self.shared.telemetry.traces.on() {
            let result = outcome.as_ref().map(|outcome| (outcome.delivery.to_string(), 1, false)).map_err(ToString::to_string);
            span.end(self.shared.clock.wall().into(), result);
        }
        outcome
    }

    async fn record_and_send(&self, channel: &ChannelPlan, event: Event, page: Page, to: Vec<Recipient>) -> Result<DirectOutcome, DirectError> {
        if channel.disabled {
            return Err(DirectError::Disabled(channel.name.to_string()));
        }
        self.ensure_not_full()?;
        let deadline = self.shared.clock.instant() + DEADLINE;
        let now = self.shared.clock.wall();
        let id = DeliveryId::new();
        let new = delivery(channel, id, &event, page, to, now);
        let event_id = EventId::new();
        let event = Arc::new(event);
        let mut member = to_pending(&new, event_id, &event);
        let plan = self.shared.plan.load().hash.clone();
        let record = NewEvent {
            id: event_id,
            event,
            received_at: now,
            plan,
            dedup: None,
            note: None,
            incidents: Vec::new(),
            deliveries: vec![new],
            steps: Vec::new(),
        };
        let accepted = self.commit(record).await?;
        if let Some(placed) = accepted.deliveries.first() {
            member.lane = placed.lane;
            member.lane_seq = placed.lane_seq;
        }
        let (answer, outcome) = oneshot::channel();
        let caller = Caller { deadline, answer: Some(answer), results: Vec::new() };
        if self.queue_direct(&channel.outlet, channel.name.clone(), member, caller).await.is_err() {
            let reason = "nothing could run the direct send while the server stopped or its configuration changed; it is not sent later";
            if let Err(error) = self.shared.store.drop_deliveries(&[id], reason, self.shared.clock.wall()).await {
                tracing::warn!(delivery = %id, %error, "the end of a direct send could not be recorded; the next poll of the outlet records it");
            }
            return Err(DirectError::Timeout);
        }
        // The worker answers at the deadline at the latest; the time beyond it lets its record commit. A platform whose answers come late has more.
        let grace = channel.driver.response_grace(true).min(MAX_RESPONSE_GRACE);
        match tokio::time::timeout_at(deadline + grace + Duration::from_secs(2), outcome).await {
            Ok(Ok(outcome)) => Ok(outcome),
            _ => Err(DirectError::Timeout),
        }
    }

    /// Queues a direct send; `Err` when its worker has ended.
    async fn queue_direct(&self, outlet: &OutletKey, channel: Arc<str>, member: PendingDelivery, caller: Caller) -> Result<(), PendingDelivery> {
        let Some(mailbox) = self.shared.outlets.get(outlet) else { return Err(member) };
        let deadline = caller.deadline;
        let command = Command::Direct { channel, member: Box::new(member), caller };
        match tokio::time::timeout_at(deadline, mailbox.commands.send(command)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(tokio::sync::mpsc::error::SendError(Command::Direct { member, .. }))) => Err(*member),
            // Timed out: the worker finds its record when it polls the store, and ends it.
            _ => Ok(()),
        }
    }
}

/// A direct send as it is recorded, in a lane of its own.
fn delivery(channel: &ChannelPlan, id: DeliveryId, event: &Event, page: Page, to: Vec<Recipient>, now: UnixMs) -> NewDelivery {
    let alerts: Vec<_> = event.alerts.iter().collect();
    NewDelivery {
        id,
        channel: channel.name.to_string(),
        outlet: channel.outlet.clone(),
        lane_key: format!("{LANE_PREFIX}{id}"),
        // What a caller sends may be anything: its copies on other channels are as urgent as can be. A notice of Watchfire's own is what it says.
        rank: page.facts.severity.filter(|_| event.source == "watchfire").map_or(0, Severity::rank),
        summary: Summary { title: title(&alerts), firing: alerts.len() as u32, resolved: 0 },
        target: Target {
            alerts: (0..alerts.len() as u32).collect(),
            recipients: to,
            page: Some(Box::new(page)),
            route: "direct call".into(),
            ..Target::default()
        },
        mode: Mode::Direct,
        state: State::Waiting,
        born_at: now,
        due_at: now,
        fallback: Fallback::default(),
        reason: None,
        report: None,
        incident: DeliveryIncident::None,
    }
}

/// A name for what a direct send says, when it has no alert of its own.
pub fn fingerprint(text: &str) -> String {
    hash_hex(&["direct", text])
}
