//! What may be sent now, as far as the account's month and the limits of each recipient go: `per_month` and `recipient_limit`. Direct sends are not limited:
//! any caller gets the platform's own word. They count.

use futures_util::future::try_join_all;

use crate::channel::{Limit, LivingMode};
use crate::delivery::allowance::{MonthUse, Ticket, Withheld, free_at};
use crate::delivery::evaluate::Evaluator;
use crate::delivery::pending::PendingMessage;
use crate::delivery::policy::MAX_BACKOFF;
use crate::model::{Recipient, Severity, UnixMs};
use crate::store::{CellState, DeliveryUpdate, MessageOutcome, OutcomeBatch, State, StoreError, WAITS_PREFIX};

use super::step::step_rows;
use super::{AttemptResult, AttemptTask};

/// Whether a message may be sent.
pub(super) enum Allowed {
    /// It may. What it sends counts for its recipients until this is dropped.
    Send(Option<Ticket>),
    /// It may not: the attempt ended so.
    Ended(Box<AttemptResult>),
    /// Not yet: its cells are due when its recipients may get it.
    Later,
}

/// Somebody who may not get one more now.
struct Limited {
    to: Recipient,
    until: UnixMs,
    /// What is on its way to them decides: without it they were free now, or earlier.
    by_what_is_ahead: bool,
}

impl AttemptTask {
    /// Whether the next request of a message may be made. Recipients who may not get it now are taken out of it: its cells for them are dead, so that the
    /// fallback or the next step of the escalation comes at once. A message that has neither waits.
    ///
    /// Fails when the store cannot say what was sent.
    pub(super) async fn allow(&self, message: &mut PendingMessage) -> Result<Allowed, StoreError> {
        if message.caller.is_some() {
            return Ok(Allowed::Send(None));
        }
        let now = self.shared.clock.wall();
        let open = open_recipients(message);
        let fresh = message.cells.iter().all(|cell| cell.state == CellState::Open && cell.tries == 0);
        if fresh && let Some(why) = self.month_withholds(message).await? {
            self.withhold(message, &open, why);
            return Ok(Allowed::Ended(Box::new(self.end_withheld(message).await)));
        }
        let limits = &self.channel.allowance.per_recipient;
        if limits.is_empty() {
            return Ok(Allowed::Send(None));
        }
        let ticket = self.outlet.mailbox.on_the_way.add(&open);
        let mut limited = self.limited(limits, &ticket, &open, now).await?;
        if limited.iter().any(|one| one.by_what_is_ahead) {
            // What ended while the store was read counted twice. Nobody waits for an hour because of that.
            ticket.first_for(&open).await;
            limited = self.limited(limits, &ticket, &open, now).await?;
        }
        let limited: Vec<(Recipient, UnixMs)> = limited.into_iter().map(|one| (one.to, one.until)).collect();
        let Some(soonest) = limited.iter().map(|(_, free)| *free).min() else { return Ok(Allowed::Send(Some(ticket))) };
        let in_time = message.members.iter().all(|member| soonest.since(member.born_at) < self.channel.max_age);
        let waits = limited.len() == open.len() && in_time && !self.has_another_way(message).await?;
        if waits && fresh && !message.is_stored() {
            return Ok(Allowed::Ended(Box::new(self.wait_for_room(message, soonest).await?)));
        }
        if waits {
            for cell in message.cells.iter_mut().filter(|cell| cell.state == CellState::Open) {
                cell.due_at = cell.due_at.max(soonest).min(now + MAX_BACKOFF);
            }
            tracing::warn!(delivery = message.delivery(), channel = %self.channel.name, message_id = %message.id, until = %soonest, "a limit holds a message back");
            return Ok(Allowed::Later);
        }
        let limited: Vec<Recipient> = limited.into_iter().map(|(to, _)| to).collect();
        self.withhold(message, &limited, Withheld::Recipient);
        if message.cells.iter().any(|cell| cell.state == CellState::Open) {
            return Ok(Allowed::Send(Some(ticket)));
        }
        Ok(Allowed::Ended(Box::new(self.end_withheld(message).await)))
    }

    /// Who of these may not get one more now.
    async fn limited(&self, limits: &[Limit], ticket: &Ticket, open: &[Recipient], now: UnixMs) -> Result<Vec<Limited>, StoreError> {
        let most = limits.iter().map(|limit| limit.count as usize).max().unwrap_or_default();
        let since = now - limits.iter().map(|limit| limit.window).max().unwrap_or_default();
        let channels = self.plan.names_of(&self.channel.outlet);
        // What begins before its outcome is recorded is asked for first: what ends in between counts twice, not never.
        let ahead: Vec<usize> = open.iter().map(|to| ticket.ahead(to)).collect();
        let sent = try_join_all(open.iter().map(|to| self.shared.store.sent_to(to, &self.channel.outlet, &channels, since, most))).await?;
        let limited = open.iter().zip(ahead).zip(sent).filter_map(|((to, ahead), sent)| {
            let until = free_at(limits, &sent, ahead, now)?;
            Some(Limited { to: to.clone(), until, by_what_is_ahead: ahead > 0 && free_at(limits, &sent, 0, now) != Some(until) })
        });
        Ok(limited.collect())
    }

    /// Whether the month of the account keeps a message from being sent. What has no other way is sent as long as the platform takes it.
    async fn month_withholds(&self, message: &PendingMessage) -> Result<Option<Withheld>, StoreError> {
        let critical = message.members.iter().any(|member| member.rank <= Severity::Critical.rank());
        let phones = self.channel.platform.counts_recipients();
        let why = match self.outlet.mailbox.month() {
            MonthUse::All => Withheld::MonthUsed,
            MonthUse::Most if phones && !critical => Withheld::MonthSaved,
            MonthUse::Most | MonthUse::Little => return Ok(None),
        };
        Ok(self.has_another_way(message).await?.then_some(why))
    }

    /// Whether something else notifies people of all of a message when it is not sent: fallbacks, or a later step of the escalation that would reach somebody
    /// now.
    async fn has_another_way(&self, message: &PendingMessage) -> Result<bool, StoreError> {
        let sends = |chain: &[String]| self.plan.fallback(chain).is_some_and(|(to, _)| !to.disabled);
        Ok(message.members.iter().all(|member| sends(&member.target.fallback)) || self.has_later_step(message).await?)
    }

    /// Takes the recipients out of a message.
    fn withhold(&self, message: &mut PendingMessage, from: &[Recipient], why: Withheld) {
        for to in from {
            self.shared.telemetry.metrics.limited(self.channel.platform.name, &self.channel.name, why.limit());
            tracing::warn!(delivery = message.delivery(), channel = %self.channel.name, message_id = %message.id, %to, why = why.code(), "a limit keeps a message from somebody");
        }
        for cell in message.cells.iter_mut().filter(|cell| cell.state == CellState::Open && from.contains(&cell.recipient)) {
            (cell.state, cell.code) = (CellState::Dead, Some(why.code().to_owned()));
        }
    }

    /// Ends a message of which nothing may be sent any more.
    async fn end_withheld(&self, message: &mut PendingMessage) -> AttemptResult {
        let now = self.shared.clock.wall();
        let lost = message.take_lost();
        let sent_in_month = self.lost_in_month(&lost, now);
        let earlier_fallbacks = self.earlier_fallbacks(message).await;
        let evaluator = Evaluator { plan: &self.plan, channel: &self.channel, now, jitter: 0.0, earlier_fallbacks: &earlier_fallbacks };
        let mut outcome = evaluator.evaluate(message, u16::MAX, &[], &[]);
        let stored = message.is_stored();
        let living = self.channel.content.living != LivingMode::Off || self.channel.follows_incidents();
        let batch = OutcomeBatch {
            attempt: self.not_sent(message, now),
            // Some recipients may have got it before.
            anchors: if living { message.notification.anchors(message.id, &self.channel.name, &message.cells) } else { Vec::new() },
            message: stored.then(|| MessageOutcome { id: message.id, store: None, done: true, receipts: Vec::new() }),
            cells: if stored {
                message.cells.iter().filter(|cell| Withheld::of_cell(cell).is_some()).cloned().chain(lost).collect()
            } else {
                Vec::new()
            },
            sent_in_month,
            children: std::mem::take(&mut outcome.children),
            timeline: step_rows(message, &outcome.deliveries, now),
            ..self.outcome_batch(std::mem::take(&mut outcome.deliveries))
        };
        self.shared.telemetry.report(&self.channel, message, &batch, &outcome);
        let recorded = self.record_outcome(batch).await;
        if message.step().is_some() {
            self.shared.change_steps_soon();
        }
        self.complete(message, Vec::new(), false).recorded(recorded)
    }

    /// A message goes back to its lanes until its recipients may get one more; what comes meanwhile goes with it.
    async fn wait_for_room(&self, message: &mut PendingMessage, until: UnixMs) -> Result<AttemptResult, StoreError> {
        let now = self.shared.clock.wall();
        let due_at = until.min(now + MAX_BACKOFF);
        let why =
            format!("{WAITS_PREFIX} until {until}: {} is what one recipient gets at most (`recipient_limit`)", self.channel.recipient_limit_text());
        for _ in &message.cells {
            self.shared.telemetry.metrics.limited(self.channel.platform.name, &self.channel.name, Withheld::Recipient.limit());
        }
        tracing::warn!(delivery = message.delivery(), channel = %self.channel.name, why, "a limit holds a message back");
        if let Some(member) = message.members.first().filter(|member| member.target.step.is_some()) {
            let end = self.waits_for_room(member, &why, due_at).await?;
            return Ok(self.not_sent_now(message, end, Vec::new()).await);
        }
        let mut updates = Vec::new();
        for member in &mut message.members {
            (member.state, member.due_at) = (State::Waiting, due_at);
            updates.push(DeliveryUpdate {
                id: member.id,
                lane: member.lane,
                state: State::Waiting,
                tries: member.tries,
                due_at,
                reason: Some(why.clone()),
                leave_message: false,
            });
        }
        let recorded = self.record_outcome(self.outcome_batch(updates)).await;
        let returned = std::mem::take(&mut message.members);
        Ok(self.complete(message, returned, recorded.is_err()))
    }
}

/// Those whom a message is still to reach.
fn open_recipients(message: &PendingMessage) -> Vec<Recipient> {
    let mut open: Vec<Recipient> = Vec::new();
    for cell in message.cells.iter().filter(|cell| cell.state == CellState::Open) {
        if !open.contains(&cell.recipient) {
            open.push(cell.recipient.clone());
        }
    }
    open
}
