//! From one attempt's results to its outcome: cells, deliveries, fallback children, pause and suspension. Pure.

use crate::channel::{CellResult, OnAmbiguous};
use crate::model::{DeliveryId, ErrorKind, Form, Receipt, Recipient, SendError, UnixMs};
use crate::store::{
    AttemptKind, Cell, CellState, DeliveryUpdate, Fallback, FallbackChild, NewDelivery, OutletUpdate, PendingDelivery, State, Summary,
    SuspensionChange,
};
use crate::template::MessageKind;

use super::allowance::Withheld;
use super::pending::{PendingMessage, next_due};
use super::plan::{ChannelPlan, Plan};
use super::policy::{AttemptFacts, Decision, decide};

/// What happens next to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Done,
    /// Its open cells are tried again when they are due.
    Retry,
    /// It never left: it goes back to its lanes, and is formed again with what waits then.
    Requeue,
    /// It was refused for its content: it is sent again as plain text, once.
    RetryPlainText,
    /// It was refused because of somebody whom it mentions: it is sent again without mentions.
    RetryUnmentioned,
    /// The message that it answers is gone: the whole of it is sent as a new one.
    RetryAsCard,
    /// A digest was refused: its lanes are sent in two halves.
    SplitDigest,
}

impl Next {
    /// For the log.
    pub fn describe(&self) -> &'static str {
        match self {
            Next::Done => "nothing",
            Next::Retry => "tried again when it is due",
            Next::Requeue => "waits in its lane, with what else comes",
            Next::RetryPlainText => "sent again as plain text",
            Next::RetryUnmentioned => "sent again without mentions",
            Next::RetryAsCard => "sent as a new message: the one that it answers is gone",
            Next::SplitDigest => "sent again in two halves",
        }
    }
}

/// The outcome of an attempt.
#[derive(Debug)]
pub struct Outcome {
    /// What happens next.
    pub next: Next,
    /// The message's cells after the attempt.
    pub cells: Vec<Cell>,
    /// How the members are postponed, when the message is tried again or requeued.
    pub postponed: Option<Postponed>,
    /// How deliveries change.
    pub deliveries: Vec<DeliveryUpdate>,
    /// Fallback children.
    pub children: Vec<FallbackChild>,
    /// Pause and suspension.
    pub outlet: Option<OutletUpdate>,
    /// How the attempt went, for the record.
    pub kind: AttemptKind,
    /// The platform's code.
    pub code: Option<String>,
    /// The platform's answer or the error's summary.
    pub answer: Option<String>,
    /// Why it failed, in one sentence, without the platform's whole answer; `None` where it did not.
    pub refusal: Option<String>,
    /// How it went for each recipient; `None` where it was sent.
    pub errors: Vec<Option<SendError>>,
}

/// When members are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Postponed {
    /// Tries spent; a member keeps its own count if that is larger.
    pub tries: u32,
    /// Unix milliseconds.
    pub due_at: UnixMs,
}

/// What an evaluation depends on besides the message and its results.
pub struct Evaluator<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The channel.
    pub channel: &'a ChannelPlan,
    /// Now, Unix milliseconds.
    pub now: UnixMs,
    /// Uniform in [0, 1).
    pub jitter: f64,
    /// Channels that earlier firing deliveries of the members' lanes fell back to: what is resolved is sent there, too.
    pub earlier_fallbacks: &'a [(DeliveryId, Vec<String>)],
}

impl Evaluator<'_> {
    /// Evaluates one attempt: returns the message's cells as they are after it, and what is to be written and done.
    pub fn evaluate(&self, message: &PendingMessage, page: u16, to: &[Recipient], results: &[CellResult]) -> Outcome {
        let direct = message.caller.is_some();
        let (tries, born_at) = (message.tries() + 1, message.born_at());
        let mut cells = message.cells.clone();
        let mut effects = Effects::default();
        let mut never_left = true;
        let mut errors = Vec::with_capacity(to.len());
        for (ix, recipient) in to.iter().enumerate() {
            let missing = Err(SendError::new(ErrorKind::Ambiguous, "the driver gave no result for this recipient"));
            let result = results.iter().find(|(i, _)| *i == ix).map_or(&missing, |(_, r)| r);
            errors.push(result.as_ref().err().cloned());
            let Some(cell) = cells.iter_mut().find(|c| c.page == page && &c.recipient == recipient) else { continue };
            cell.unanswered += u32::from(matches!(result, Err(SendError { kind: ErrorKind::Ambiguous, .. })));
            let t = AttemptFacts {
                tries,
                unanswered: cell.unanswered,
                born_at,
                now: self.now,
                max_age: self.channel.max_age,
                ambiguous: if message.step().is_some() { OnAmbiguous::Never } else { self.channel.platform.on_ambiguous },
                direct,
                jitter: self.jitter,
            };
            never_left &= !matches!(result, Ok(_) | Err(SendError { kind: ErrorKind::Ambiguous, .. }));
            let decision = decide(t, result);
            match result {
                Ok(receipt) => {
                    cell.ids.clone_from(&receipt.ids);
                    cell.code = Some(receipt.code.clone());
                }
                Err(error) => cell.code = error.code.clone().or_else(|| Some(error.kind.as_str().to_owned())),
            }
            effects.apply(decision, cell, result, tries, self.now);
        }
        let error = results.iter().find_map(|(_, r)| r.as_ref().err());
        let next = self.next(message, &cells, page, to, never_left, error);
        let (kind, code, answer) = record(results);
        let refusal = error.map(ToString::to_string);
        let (deliveries, children) = (Vec::new(), Vec::new());
        let Effects { outlet, reasons } = effects;
        let mut outcome = Outcome { next, cells, postponed: None, deliveries, children, outlet, kind, code, answer, refusal, errors };
        self.deliveries(message, tries, error, &reasons, &mut outcome);
        outcome
    }

    fn next(&self, message: &PendingMessage, cells: &[Cell], page: u16, to: &[Recipient], never_left: bool, error: Option<&SendError>) -> Next {
        let open = cells.iter().any(|c| c.state == CellState::Open);
        let any_ok = cells.iter().any(|c| c.state == CellState::Ok);
        let refused = error.is_some_and(|e| e.kind == ErrorKind::Rejected && !e.recipient);
        let all_of_page_dead = cells.iter().filter(|c| c.page == page && to.contains(&c.recipient)).all(|c| c.state == CellState::Dead);
        if refused && all_of_page_dead && message.caller.is_none() {
            // Pages after the first one answer it until they are rendered again.
            let answers = !message.notification.answers.is_empty() || (page > 0 && message.generation == 0);
            if error.is_some_and(|e| e.gone) && answers {
                return Next::RetryAsCard;
            }
            let mentions = usize::from(page) < message.pages().len() && !message.pages()[usize::from(page)].facts.mentions.is_empty();
            if mentions && error.is_some_and(|e| e.mentions) {
                return Next::RetryUnmentioned;
            }
            if message.kind == MessageKind::Digest && message.lanes.taken.len() > 1 && !any_ok {
                return Next::SplitDigest;
            }
            let plain = self.channel.content.plain || message.wording.plain_text.is_some() || message.notification.form != Form::Card;
            if !plain && !any_ok && self.channel.platform.on_ambiguous == OnAmbiguous::Retry {
                return Next::RetryPlainText;
            }
        }
        if !open {
            return Next::Done;
        }
        if never_left && !message.is_stored() && !message.lanes.frozen && !any_ok && message.caller.is_none() && !message.lanes.taken.is_empty() {
            return Next::Requeue;
        }
        Next::Retry
    }

    fn deliveries(&self, message: &PendingMessage, tries: u32, error: Option<&SendError>, reasons: &[(Recipient, String)], outcome: &mut Outcome) {
        match outcome.next {
            Next::Done => self.end(message, tries, error, reasons, outcome),
            Next::Retry | Next::Requeue => self.postpone(message, tries, error, outcome),
            Next::SplitDigest => {
                let why = Some("its digest was refused; it is sent in a smaller one");
                outcome.deliveries = message.members.iter().map(|m| change(m, m.state, m.tries, self.now, why, true)).collect();
            }
            Next::RetryPlainText | Next::RetryUnmentioned | Next::RetryAsCard => {}
        }
    }

    /// Cells are open: the members wait for their next try.
    fn postpone(&self, message: &PendingMessage, tries: u32, error: Option<&SendError>, outcome: &mut Outcome) {
        let due = next_due(&outcome.cells).unwrap_or(self.now);
        // Pauses and suspensions spend no try: the members' count grows only when the cells' does.
        let spent = if outcome.cells.iter().any(|c| c.tries == tries) { tries } else { tries - 1 };
        outcome.postponed = Some(Postponed { tries: spent, due_at: due });
        let last_error = error.map(ToString::to_string);
        let requeued = outcome.next == Next::Requeue;
        let postponed = message.members.iter().map(|m| change(m, m.state, m.tries.max(spent), due, last_error.as_deref(), requeued));
        outcome.deliveries = postponed.collect();
    }

    /// Every cell is final: so is every member, and its fallback begins.
    fn end(&self, message: &PendingMessage, tries: u32, error: Option<&SendError>, reasons: &[(Recipient, String)], outcome: &mut Outcome) {
        let cells = &outcome.cells;
        let count = |state: CellState| cells.iter().filter(|c| c.state == state).count();
        let why = reasons.first().map(|(_, r)| r.clone()).or_else(|| error.map(ToString::to_string)).or_else(|| self.withheld(cells));
        let why = why.unwrap_or_else(|| unconfirmed(cells));
        let (state, reason) = match (count(CellState::Ok), count(CellState::Dead), count(CellState::Unknown)) {
            (_, 0, 0) => (State::Sent, None),
            (0, 0, _) => (State::Unknown, Some(why)),
            (0, _, _) => (State::Dead, Some(why)),
            (ok, ..) => {
                let names = not_confirmed_for(cells).into_iter().map(Recipient::masked).collect::<Vec<_>>().join(", ");
                (State::Dead, Some(format!("partly delivered: {} of {} parts confirmed; not confirmed for {names}: {why}", ok, cells.len())))
            }
        };
        for member in &message.members {
            outcome
                .deliveries
                .push(DeliveryUpdate { tries: member.tries.max(tries), ..change(member, state, tries, self.now, reason.as_deref(), false) });
            if state == State::Sent {
                for (_, channels) in self.earlier_fallbacks.iter().filter(|(id, _)| *id == member.id) {
                    outcome.children.extend(channels.iter().filter_map(|name| self.child(member, name, Vec::new(), true)));
                }
            } else if let Some((first, rest)) = self.plan.fallback(&member.target.fallback)
                && message.caller.is_none()
            {
                outcome.children.extend(self.child(member, &first.name, rest.to_vec(), false));
            }
        }
    }

    /// Why limits kept a message from somebody.
    fn withheld(&self, cells: &[Cell]) -> Option<String> {
        let why = cells.iter().find_map(Withheld::of_cell)?;
        Some(why.reason(self.channel, self.plan.per_month(&self.channel.outlet).unwrap_or_default()))
    }

    /// The delivery that carries a member's alerts on another channel; only what is resolved, when it follows an earlier fallback.
    pub(super) fn child(&self, member: &PendingDelivery, name: &str, rest: Vec<String>, resolved_only: bool) -> Option<FallbackChild> {
        let channel = self.plan.current_channel(name)?;
        let event = member.event.as_deref();
        let mut target = member.target.clone();
        target.template = String::new();
        target.mentions = None;
        target.recipients = Vec::new();
        target.fallback = rest;
        if resolved_only && let Some(event) = event {
            target.alerts.retain(|i| event.alerts.get(*i as usize).is_some_and(|a| a.status == crate::model::Status::Resolved));
        }
        if target.alerts.is_empty() && target.page.is_none() {
            return None;
        }
        let skipped = channel.disabled;
        Some(FallbackChild {
            event: member.event_id,
            delivery: NewDelivery {
                id: DeliveryId::new(),
                channel: channel.name.to_string(),
                outlet: channel.outlet.clone(),
                lane_key: format!("{}{}", crate::store::FALLBACK_LANE_PREFIX, member.lane.0),
                mode: crate::store::Mode::Queued,
                state: if skipped { State::Skipped } else { State::Waiting },
                rank: member.rank,
                summary: Summary {
                    title: member.summary.title.clone(),
                    firing: if resolved_only { 0 } else { member.summary.firing },
                    resolved: member.summary.resolved,
                },
                born_at: member.born_at,
                due_at: self.now,
                fallback: Fallback { of: Some(member.id), depth: member.fallback.depth + 1 },
                reason: Some(if skipped {
                    "the fallback channel is disabled".into()
                } else if resolved_only {
                    format!("resolved; its firing was sent here because `{}` could not deliver it", member.channel)
                } else {
                    format!("fallback of `{}`", member.channel)
                }),
                report: None,
                incident: member.incident.into(),
                target,
            },
        })
    }
}

/// What results change besides their cells.
#[derive(Default)]
struct Effects {
    outlet: Option<OutletUpdate>,
    /// Why recipients are not tried again.
    reasons: Vec<(Recipient, String)>,
}

impl Effects {
    /// Changes a cell as it was decided.
    fn apply(&mut self, decision: Decision, cell: &mut Cell, result: &Result<Receipt, SendError>, tries: u32, now: UnixMs) {
        match decision {
            Decision::Sent => cell.state = CellState::Ok,
            Decision::Retry { due } => {
                cell.state = CellState::Open;
                cell.tries = tries;
                cell.due_at = due;
            }
            Decision::Pause { until } => {
                cell.state = CellState::Open;
                // The outlet pauses until then. The cell does not: by other credentials it may leave at once.
                cell.due_at = now;
                self.pause(until);
            }
            Decision::Suspend { reason } => {
                cell.state = CellState::Open;
                self.outlet.get_or_insert_default().suspension = Some(SuspensionChange::Suspend(reason));
            }
            Decision::Dead { reason } => {
                cell.state = CellState::Dead;
                self.reasons.push((cell.recipient.clone(), reason));
                // A rate limit pauses the outlet even when the direct send that met it is not repeated; not one of the recipient alone.
                if let Err(SendError { kind: ErrorKind::RateLimited { retry_after }, recipient: false, .. }) = result {
                    self.pause(now + super::policy::pause(*retry_after).as_millis() as i64);
                }
            }
            Decision::Unknown { reason } => {
                cell.state = CellState::Unknown;
                self.reasons.push((cell.recipient.clone(), reason));
            }
        }
    }

    fn pause(&mut self, until: UnixMs) {
        let change = self.outlet.get_or_insert_default();
        change.paused_until = Some(change.paused_until.unwrap_or_default().max(until));
    }
}

/// Whom no platform confirmed a part for, each once.
fn not_confirmed_for(cells: &[Cell]) -> Vec<&Recipient> {
    let mut list: Vec<&Recipient> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.state != CellState::Ok) {
        if !list.contains(&&cell.recipient) {
            list.push(&cell.recipient);
        }
    }
    list
}

/// Why a message has no confirmation, where nothing else says it.
fn unconfirmed(cells: &[Cell]) -> String {
    if cells.iter().any(PendingMessage::was_lost) {
        return "Watchfire ended while it was being sent: it may have been delivered, and it is not sent again".to_owned();
    }
    match cells.iter().filter(|cell| cell.state == CellState::Dead).find_map(|cell| cell.code.as_deref()) {
        Some(code) => format!("the platform did not confirm it (code {code})"),
        None => "the platform did not confirm it".to_owned(),
    }
}

fn change(member: &PendingDelivery, state: State, tries: u32, due_at: UnixMs, reason: Option<&str>, leave_message: bool) -> DeliveryUpdate {
    DeliveryUpdate { id: member.id, lane: member.lane, state, tries, due_at, reason: reason.map(str::to_owned), leave_message }
}

/// One line of the attempt's record over all its recipients.
fn record(results: &[CellResult]) -> (AttemptKind, Option<String>, Option<String>) {
    let failed = results.iter().find_map(|(_, r)| r.as_ref().err());
    let ok: Option<&Receipt> = results.iter().find_map(|(_, r)| r.as_ref().ok());
    let say = |e: &SendError| match &e.detail {
        Some(detail) => format!("{}: {detail}", e.summary),
        None => e.summary.clone(),
    };
    match (failed, ok) {
        (None, Some(receipt)) => (AttemptKind::Ok, Some(receipt.code.clone()), Some(receipt.answer.clone())),
        (Some(error), None) => (AttemptKind::Failed(error.kind), error.code.clone(), Some(say(error))),
        (Some(error), Some(_)) => (AttemptKind::Partial, error.code.clone(), Some(say(error))),
        (None, None) => (AttemptKind::Failed(ErrorKind::Ambiguous), None, Some("the driver gave no result".into())),
    }
}
