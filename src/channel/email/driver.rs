//! The driver: the recipients of an attempt, worked off over a few connections.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::Mailbox;
use serde_json::Value;
use tokio::time::Instant;

use super::auth::Login;
use super::classify::{Cause, Failure, Stage};
use super::message::{Mail, MailTemplate, Sender};
use super::pool::{Pool, PooledSession};
use super::smtp::Times;
use super::types::ThreadBy;
use crate::channel::{CellResult, Channel, Living, Platform, Probe, SendContext};
use crate::model::{ErrorKind, Page, PlatformIds, Receipt, Recipient, Secret, SendError, scrub};

/// How many recipients one connection is given before an attempt takes another: at half a second a mail they fit well into ten seconds.
const RECIPIENTS_PER_CONNECTION: usize = 8;

/// How long a probe may take to connect, and in all.
const PROBE_CONNECT: Duration = Duration::from_secs(10);
const PROBE_TIME: Duration = Duration::from_secs(60);

/// How much longer than the channel's `timeout` an attempt may take. RFC 5321, section 4.5.3.2, grants a server 5 minutes for its greeting and for each
/// command, and 10 for the answer to the final dot; a sender that does not wait repeats mails that were delivered.
const RESPONSE_GRACE: Duration = Duration::from_secs(20 * 60);

/// The same for a direct call, whose caller has gone by then: its record is still true.
const DIRECT_RESPONSE_GRACE: Duration = Duration::from_secs(60);

/// Recipients whose turn has not come this long after the attempt's `timeout` wait for the next attempt: what was confirmed is written down first.
const TURN_DEADLINE: Duration = Duration::from_secs(300);

/// A configured mail channel.
pub(super) struct Driver {
    pool: Arc<Pool>,
    sender: Sender,
    connections: usize,
    place: String,
    secrets: Vec<Secret>,
}

impl Driver {
    pub(super) fn new(pool: Arc<Pool>, sender: Sender, connections: usize) -> Self {
        let place = pool.server().place();
        let secrets = pool.server().login.as_ref().map(Login::secrets).unwrap_or_default();
        Self { pool, sender, connections, place, secrets }
    }

    /// Whether the channel has this recipient and no other: what is the recipient's fault is the channel's then.
    fn is_only(&self, recipient: &Recipient) -> bool {
        let mut all = self.sender.to.iter().chain(&self.sender.cc);
        let is = |mailbox: &Mailbox| mailbox.email.to_string().eq_ignore_ascii_case(recipient.expose());
        all.next().is_some_and(is) && all.all(is)
    }

    fn error(&self, failure: Failure) -> SendError {
        failure.into_error(&self.place, &self.secrets.iter().collect::<Vec<_>>())
    }

    /// Sends one mail over the session at hand, or over a new one. A used session that turns out stale is replaced, once.
    async fn deliver(&self, session: &mut Option<PooledSession>, mail: &Mail, times: &Times) -> Result<Receipt, Failure> {
        let mut replaced = false;
        loop {
            let mut held = match session.take() {
                Some(held) => held,
                None => self.pool.lease(times).await?,
            };
            let used = held.is_used();
            let result = held.session().transmit(mail, times).await;
            match &result {
                Err(failure) if used && !replaced && failure.is_stale() => {
                    replaced = true;
                    *session = Some(held.redial(times).await?);
                    continue;
                }
                Err(failure) if !failure.keeps_session() => drop(held),
                _ if held.is_spent() => held.release(),
                _ => *session = Some(held),
            }
            return result.map(|accepted| Receipt {
                ids: PlatformIds::one("Message-ID", mail.id.clone()),
                code: accepted.code.to_string(),
                answer: scrub(&accepted.text, &self.secrets.iter().collect::<Vec<_>>(), 1024),
            });
        }
    }

    /// Works off the batch over one connection until nothing is left.
    async fn work(&self, write: &Writer<'_>, batch: &Batch<'_>, times: &Times, last_turn: Instant) {
        let mut session = None;
        while let Some(Turn { i, recipient, first }) = batch.next() {
            let result = match (batch.verdict(), write(recipient)) {
                (Some(error), _) | (None, Err(error)) => Err(error),
                (None, Ok(_)) if Instant::now() >= last_turn => Err(SendError::new(
                    ErrorKind::Transient,
                    format!("the attempt's time was over before this recipient's turn at {}; it is tried again", self.place),
                )),
                (None, Ok(mail)) => {
                    let hurry = (first && batch.has_more()).then_some(times.connect / 2);
                    match self.deliver(&mut session, &mail, &Times { hurry, ..*times }).await {
                        Err(failure) if hurry.is_some() && failure.is_slow() => {
                            batch.put_last(i);
                            continue;
                        }
                        Err(failure) => {
                            let own = !self.is_only(recipient) && failure.is_of_recipient(mail.to.as_ref(), mail.from.as_ref());
                            let all = !own && failure.concerns_all();
                            let error = self.error(failure);
                            let error = if own { SendError { kind: ErrorKind::Rejected, ..error }.of_recipient() } else { error };
                            if all {
                                batch.fail_rest(error.clone());
                            }
                            Err(error)
                        }
                        Ok(receipt) => Ok(receipt),
                    }
                }
            };
            batch.settle(i, result);
        }
        if let Some(session) = session {
            session.release();
        }
    }
}

/// Writes a recipient's mail.
type Writer<'a> = dyn Fn(&Recipient) -> Result<Mail, SendError> + Sync + 'a;

/// The recipients of one attempt, shared by its workers.
struct Batch<'a> {
    to: &'a [Recipient],
    next: AtomicUsize,
    state: Mutex<BatchState>,
}

struct BatchState {
    results: Vec<CellResult>,
    verdict: Option<SendError>,
    /// Recipients that made the server stall while others waited: they have all the time they want when those are served.
    last: Vec<usize>,
}

/// A recipient whose turn it is.
struct Turn<'a> {
    i: usize,
    recipient: &'a Recipient,
    /// Whether it is tried for the first time.
    first: bool,
}

impl<'a> Batch<'a> {
    fn new(to: &'a [Recipient]) -> Self {
        let state = BatchState { results: Vec::with_capacity(to.len()), verdict: None, last: Vec::new() };
        Self { to, next: AtomicUsize::new(0), state: Mutex::new(state) }
    }

    fn next(&self) -> Option<Turn<'a>> {
        let i = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some(recipient) = self.to.get(i) {
            return Some(Turn { i, recipient, first: true });
        }
        let i = self.state().last.pop()?;
        Some(Turn { i, recipient: &self.to[i], first: false })
    }

    fn has_more(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.to.len()
    }

    fn put_last(&self, i: usize) {
        self.state().last.push(i);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, BatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The failure that all further recipients share, if one was met.
    fn verdict(&self) -> Option<SendError> {
        self.state().verdict.clone()
    }

    fn fail_rest(&self, error: SendError) {
        self.state().verdict.get_or_insert(error);
    }

    fn settle(&self, i: usize, result: Result<Receipt, SendError>) {
        self.state().results.push((i, result));
    }

    fn finish(self) -> Vec<CellResult> {
        let mut results = self.state.into_inner().unwrap_or_else(PoisonError::into_inner).results;
        results.sort_by_key(|(i, _)| *i);
        results
    }
}

#[async_trait]
impl Channel for Driver {
    fn living(&self, platform: &Platform) -> Living {
        // Without a thread a mail answers nothing.
        if self.sender.thread == ThreadBy::Off { Living::NEW } else { platform.living }
    }

    fn response_grace(&self, direct: bool) -> Duration {
        if direct { DIRECT_RESPONSE_GRACE } else { RESPONSE_GRACE }
    }

    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let template = match MailTemplate::new(&self.sender, page, cx) {
            Ok(template) => template,
            Err(error) => return (0..to.len()).map(|i| (i, Err(error.clone()))).collect(),
        };
        let write = |to: &Recipient| match cx.own.page(page, to) {
            Some(own) => MailTemplate::new(&self.sender, &own, cx)?.to(to),
            None => template.to(to),
        };
        // A little before the caller's end, so that what is known by then is not lost with the attempt.
        let connect = cx.deadline.saturating_duration_since(Instant::now());
        let limit = cx.deadline + self.response_grace(cx.direct) - Duration::from_millis(250);
        let times = Times { connect, hurry: None, limit };
        let last_turn = (cx.deadline + TURN_DEADLINE).min(limit);
        let batch = Batch::new(to);
        let workers = to.len().div_ceil(RECIPIENTS_PER_CONNECTION).clamp(1, self.connections);
        futures_util::future::join_all((0..workers).map(|_| self.work(&write, &batch, &times, last_turn))).await;
        batch.finish()
    }

    fn body(&self, page: &Page) -> Value {
        super::message::shown(&self.sender, page)
    }

    async fn probe(&self) -> Probe {
        let times = Times { connect: PROBE_CONNECT, hurry: None, limit: Instant::now() + PROBE_TIME };
        match self.pool.fresh(&times).await {
            Ok(session) => {
                session.close().await;
                Probe::Ok
            }
            // A server may greet minutes late, and is not broken for that: a mail is to show it.
            Err(Failure { stage: Stage::Banner, cause: Cause::Timeout }) => Probe::Unsupported,
            Err(failure) => Probe::Failed(self.error(failure)),
        }
    }
}
