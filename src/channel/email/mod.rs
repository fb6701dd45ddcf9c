//! E-mail over SMTP: one mail and one envelope per recipient, so that one bad mailbox blocks nobody and recipients do not see each other.
//!
//! A mail is handed to one configured server; its "250" means that this server took it, not that it arrived. The parts: [`config`] reads the
//! block, [`message`] writes the bytes, [`pool`] and [`dial`] keep sessions, [`smtp`] speaks, [`classify`] and
//! [`verdict`] say what an answer means.

mod address;
mod auth;
mod classify;
mod config;
mod dial;
mod dkim;
mod message;
mod pool;
mod smtp;
mod tls;
mod verdict;
mod wire;

#[cfg(test)]
mod tests;

pub use config::Config;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use self::auth::Login;
use self::classify::{Cause, Failure, Stage};
use self::message::{Letter, Mail, Sender};
use self::pool::{Lease, Pool};
use self::smtp::Times;
use super::{CellResult, Channel, OnAmbiguous, Pace, Platform, Probe, SendContext};
use crate::model::{ErrorKind, Escape, FieldSpec, Page, Receipt, Recipient, Secret, SendError, Size, scrub};

/// Connections of an outlet unless configured otherwise; also how many attempts it makes at once.
const DEFAULT_CONNECTIONS: usize = 4;

/// How many recipients one connection is given before an attempt takes another: at half a second a mail they fit well into ten seconds.
const SHARE: usize = 8;

/// The most text an alert mail is good for. Servers take 10 to 50 MB and say so with SIZE; mail clients fold what is longer than some 100 KB away.
const MAX_BYTES: usize = 1 << 20;

/// How long a probe may take to connect, and in all.
const PROBE_CONNECT: Duration = Duration::from_secs(10);
const PROBE_TIME: Duration = Duration::from_secs(60);

/// How much longer than the channel's `timeout` an attempt may take. RFC 5321, section 4.5.3.2, grants a server 5 minutes for its greeting and for each
/// command, and 10 for the answer to the final dot; a sender that does not wait repeats mails that were delivered.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// The same for a direct call, whose caller has gone by then: its record still tells the truth.
const PATIENCE_DIRECT: Duration = Duration::from_secs(60);

/// Recipients whose turn has not come this long after the attempt's `timeout` wait for the next attempt: what was confirmed is written down first.
const TURNS: Duration = Duration::from_secs(300);

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "email",
    title: "E-mail (SMTP)",
    about: "Text and HTML mails through any SMTP server, one per recipient, threaded per group of alerts",
    docs: "https://www.rfc-editor.org/rfc/rfc5321",
    fields: &[
        FieldSpec { name: "subject", escape: Escape::None, required: true, single_line: true, template: include_str!("subject.hbs") },
        FieldSpec { name: "text", escape: Escape::None, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "html", escape: Escape::Html, required: false, single_line: false, template: include_str!("html.hbs") },
    ],
    measure: &measure,
    limit: "1 MiB of subject, text and HTML together (our own cap; servers announce theirs with SIZE, RFC 1870)",
    pace: Pace { limits: &[], per_month: None, source: "every provider has its own; set `rate_limit` on the channel" },
    concurrency: DEFAULT_CONNECTIONS,
    batch: 50,
    // The Message-ID stays the same, by which clients and servers recognise a repeat; a second mail does less harm than none.
    on_ambiguous: OnAmbiguous::Retry,
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

/// The bytes of the rendered fields.
fn measure(page: &Page) -> Size {
    Size::bytes(["subject", "text", "html"].iter().map(|field| page.field(field).len()).sum(), MAX_BYTES)
}

/// A configured mail channel.
pub(crate) struct Driver {
    pool: Arc<Pool>,
    sender: Sender,
    connections: usize,
    place: String,
    secrets: Vec<Secret>,
}

impl Driver {
    fn new(pool: Arc<Pool>, sender: Sender, connections: usize) -> Self {
        let place = pool.server().place();
        let secrets = pool.server().login.as_ref().map(Login::secrets).unwrap_or_default();
        Self { pool, sender, connections, place, secrets }
    }

    fn error(&self, failure: Failure) -> SendError {
        failure.into_error(&self.place, &self.secrets.iter().collect::<Vec<_>>())
    }

    /// Sends one mail over the leased session, or over a new lease. A used session that turns out stale is replaced, once.
    async fn deliver(&self, lease: &mut Option<Lease>, mail: &Mail, times: &Times) -> Result<Receipt, Failure> {
        let mut replaced = false;
        loop {
            let mut held = match lease.take() {
                Some(held) => held,
                None => self.pool.lease(times).await?,
            };
            let used = held.is_used();
            let result = held.session().transmit(mail, times).await;
            match &result {
                Err(failure) if used && !replaced && failure.is_stale() => {
                    replaced = true;
                    *lease = Some(held.redial(times).await?);
                    continue;
                }
                Err(failure) if !failure.keeps_session() => drop(held),
                _ if held.is_spent() => held.give_back(),
                _ => *lease = Some(held),
            }
            return result.map(|accepted| Receipt {
                platform_id: Some(mail.id.clone()),
                code: accepted.code.to_string(),
                answer: scrub(&accepted.text, &self.secrets.iter().collect::<Vec<_>>(), 1024),
            });
        }
    }

    /// Works off the batch over one connection until nothing is left.
    async fn work(&self, letter: &Letter<'_>, batch: &Batch<'_>, times: &Times, last_turn: Instant) {
        let mut lease = None;
        while let Some(Turn { i, recipient, first }) = batch.next() {
            let result = match (batch.verdict(), letter.to(recipient)) {
                (Some(error), _) | (None, Err(error)) => Err(error),
                (None, Ok(_)) if Instant::now() >= last_turn => Err(SendError::new(
                    ErrorKind::Transient,
                    format!("the attempt's time was over before this recipient's turn at {}; it is tried again", self.place),
                )),
                (None, Ok(mail)) => {
                    let hurry = (first && batch.has_more()).then_some(times.connect / 2);
                    match self.deliver(&mut lease, &mail, &Times { hurry, ..*times }).await {
                        Err(failure) if hurry.is_some() && failure.is_slow() => {
                            batch.put_last(i);
                            continue;
                        }
                        Err(failure) => {
                            let all = failure.concerns_all();
                            let error = self.error(failure);
                            if all {
                                batch.condemn(error.clone());
                            }
                            Err(error)
                        }
                        Ok(receipt) => Ok(receipt),
                    }
                }
            };
            batch.settle(i, result);
        }
        if let Some(lease) = lease {
            lease.give_back();
        }
    }
}

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

    fn condemn(&self, error: SendError) {
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
    fn patience(&self, direct: bool) -> Duration {
        if direct { PATIENCE_DIRECT } else { PATIENCE }
    }

    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let letter = match Letter::new(&self.sender, page, cx) {
            Ok(letter) => letter,
            Err(error) => return (0..to.len()).map(|i| (i, Err(error.clone()))).collect(),
        };
        // A little before the caller's end, so that what is known by then is told rather than lost with the attempt.
        let connect = cx.deadline.saturating_duration_since(Instant::now());
        let limit = cx.deadline + self.patience(cx.direct) - Duration::from_millis(250);
        let times = Times { connect, hurry: None, limit };
        let last_turn = (cx.deadline + TURNS).min(limit);
        let batch = Batch::new(to);
        let workers = to.len().div_ceil(SHARE).clamp(1, self.connections);
        futures_util::future::join_all((0..workers).map(|_| self.work(&letter, &batch, &times, last_turn))).await;
        batch.finish()
    }

    async fn probe(&self) -> Probe {
        let times = Times { connect: PROBE_CONNECT, hurry: None, limit: Instant::now() + PROBE_TIME };
        match self.pool.fresh(&times).await {
            Ok(lease) => {
                lease.close().await;
                Probe::Ok
            }
            // A server may greet minutes late, and is not broken for that: a mail is to show it.
            Err(Failure { stage: Stage::Banner, cause: Cause::Timeout }) => Probe::Unsupported,
            Err(failure) => Probe::Failed(self.error(failure)),
        }
    }
}
