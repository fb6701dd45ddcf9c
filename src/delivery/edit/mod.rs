//! An edit: a message that says of an incident is brought up to what the incident is now, or posted again where it is gone.
//!
//! An edit is no delivery. An anchor that shows an old version is dirty, whatever made it so, and a worker that has nothing to ring edits it. So nothing
//! queues, a crash loses nothing, and of many changes only the last is shown.

mod page;

use std::sync::Arc;
use std::time::Duration;

use crate::channel::SendContext;
use crate::model::{ErrorKind, Page, Receipt, SendError, UnixMs};
use crate::store::{Anchor, DirtyAnchor, EditChange, EditOutcome, Incident, MonthlySends, StoreError};

use super::core::Shared;
use super::driver_result::driver_result;
use super::incident::{deserves_its_edit, ended, is_over};
use super::outlet::OwnedOutlet;
use super::plan::{ChannelPlan, Plan};

/// The wait after the first edit that failed; it doubles.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The wait after the store took or gave nothing.
const STORE_WAIT: Duration = Duration::from_secs(1);
/// The longest wait after an edit that failed, and between two edits of a message.
pub const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// An edit that the platform refuses is tried this often; then the message waits for news, which other words may carry, or is
/// posted again where it is over.
const MAX_REFUSALS: u32 = 3;
/// A message is posted again this often in an hour; then it waits for news.
const MAX_REPOSTS: u32 = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// What a worker learns of an edit.
#[derive(Debug)]
pub struct EditResult {
    /// Not before this is another edit made: the platform takes none, or the store is busy.
    pub paused_until: Option<UnixMs>,
    /// Whether the outlet is not this node's any more.
    pub fenced: bool,
}

/// What an edit works with.
pub struct EditTask {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// The plan at its start.
    pub plan: Arc<Plan>,
    /// The channel.
    pub channel: Arc<ChannelPlan>,
    /// The outlet.
    pub outlet: OwnedOutlet,
}

impl EditTask {
    /// Edits one message, or posts it again when it has no place any more, and records how that went.
    pub async fn run(self, dirty: DirtyAnchor) -> EditResult {
        let DirtyAnchor { anchor, incident } = dirty;
        let mut result = EditResult { paused_until: None, fenced: false };
        if anchor.ids.is_empty() && !self.channel.follows_incidents() {
            let why = "it is gone, and its channel posts no message again (`living`)".to_owned();
            return self.record(&anchor, EditChange::GivenUp(why), self.now(), result).await;
        }
        if keeps_its_edit(&self.channel, &anchor, &incident) {
            return self.record(&anchor, EditChange::Kept(incident.version), self.now(), result).await;
        }
        let page = match self.page(&anchor, &incident).await {
            Ok(Some(page)) => page,
            Ok(None) => {
                let why = "nothing is stored any more of what it showed".to_owned();
                return self.record(&anchor, EditChange::GivenUp(why), self.now(), result).await;
            }
            Err(error) => {
                self.shared.health.request_failed(&error);
                result.paused_until = Some(self.now() + STORE_WAIT);
                return result;
            }
        };
        if !self.outlet.may_send(self.shared.clock.instant()) {
            result.fenced = true;
            return result;
        }
        let sent = self.send(&anchor, page).await;
        let now = self.now();
        let change = self.change_of(&anchor, &incident, sent, now, &mut result);
        self.shared.telemetry.metrics.edited(match &change {
            EditChange::Shown(_) | EditChange::Last { .. } | EditChange::Kept(_) => "shown",
            EditChange::Posted { .. } => "posted",
            EditChange::Gone { .. } => "gone",
            EditChange::Failed => "failed",
            EditChange::GivenUp(_) => "given_up",
        });
        let interval = self.channel.driver.edit_interval();
        let wait = match &change {
            EditChange::Failed => backoff(&anchor),
            EditChange::Gone { .. } => Duration::ZERO,
            _ => interval,
        };
        self.record(&anchor, change, now + wait, result).await
    }

    /// What a request changes of its message's anchor, and when the worker may edit again.
    fn change_of(&self, anchor: &Anchor, incident: &Incident, sent: Result<Receipt, SendError>, now: UnixMs, result: &mut EditResult) -> EditChange {
        match sent {
            Ok(receipt) if anchor.ids.is_empty() => EditChange::Posted { shown: incident.version, ids: receipt.ids },
            Ok(_) if self.spends() => EditChange::Last { shown: incident.version, over: ended(anchor, incident) },
            Ok(_) => EditChange::Shown(incident.version),
            Err(error) if error.gone && !anchor.ids.is_empty() => self.gone(anchor, incident, &error, now),
            // It may be there: the next news brings one that is known.
            Err(error) if error.kind == ErrorKind::Ambiguous && anchor.ids.is_empty() => {
                EditChange::GivenUp(format!("posted again, perhaps: {error}"))
            }
            // Nothing that is news comes after its end: what says so is another message, unless that was posted already.
            Err(error) if is_refused(&error, anchor) && !anchor.ids.is_empty() && is_over(anchor, incident) && !says_its_end(anchor, incident) => {
                self.gone(anchor, incident, &error, now)
            }
            Err(error) if is_refused(&error, anchor) => {
                tracing::warn!(incident = %incident.id, channel = %self.channel.name, %error, "an edit was refused too often: the message waits for news");
                EditChange::GivenUp(format!("the edit was refused {MAX_REFUSALS} times: {error}"))
            }
            Err(error) => {
                result.paused_until = pause(&error, backoff(anchor)).map(|pause| now + pause);
                tracing::warn!(incident = %incident.id, channel = %self.channel.name, %error, "a message could not be edited; it is tried again");
                EditChange::Failed
            }
        }
    }

    fn now(&self) -> UnixMs {
        self.shared.clock.wall()
    }

    /// Whether an edit uses up the only one that its message has.
    fn spends(&self) -> bool {
        self.channel.driver.living(self.channel.platform).spends.is_some()
    }

    fn gone(&self, anchor: &Anchor, incident: &Incident, error: &SendError, now: UnixMs) -> EditChange {
        let recent = now.since(anchor.reposted_at) < HOUR;
        // Where a message has one edit, nothing but its end is worth another message.
        let is_worth = !self.spends() || is_over(anchor, incident);
        let repost = is_worth && self.channel.follows_incidents() && (!recent || anchor.reposts < MAX_REPOSTS);
        tracing::warn!(incident = %anchor.incident, channel = %self.channel.name, %error, repost, "the message of an incident is gone, or takes no edits");
        EditChange::Gone { repost, why: error.to_string() }
    }

    async fn record(&self, anchor: &Anchor, change: EditChange, next_edit_at: UnixMs, mut result: EditResult) -> EditResult {
        let accepted = matches!(change, EditChange::Shown(_) | EditChange::Last { .. } | EditChange::Posted { .. });
        let counts = accepted && self.channel.allowance.per_month.is_some();
        let outcome = EditOutcome {
            incident: anchor.incident,
            channel: anchor.channel.clone(),
            recipient: anchor.recipient.clone(),
            ids: anchor.ids.clone(),
            notified: anchor.notified.clone(),
            change,
            next_edit_at,
            sent_in_month: counts.then(|| MonthlySends { month: self.channel.platform.month(self.now()), sends: 1 }),
            now: self.now(),
        };
        let posted = matches!(outcome.change, EditChange::Posted { .. });
        let mut wait = Duration::from_millis(100);
        loop {
            match self.shared.store.record_edit(self.outlet.fence.clone(), outcome.clone()).await {
                Ok(()) => {
                    self.shared.health.store_checked(&Ok(()));
                    outcome.sent_in_month.iter().for_each(|sends| self.outlet.mailbox.add_to_month(sends));
                    return result;
                }
                Err(StoreError::Fenced) => {
                    result.fenced = true;
                    return result;
                }
                // What was posted must not be posted once more: nothing else starts meanwhile (I11).
                Err(error) if posted && !matches!(error, StoreError::Invalid(_)) => {
                    self.shared.health.store_failed(&error);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(FIRST_WAIT);
                }
                // It is dirty still, and edited once more.
                Err(error) => {
                    self.shared.health.request_failed(&error);
                    result.paused_until = result.paused_until.max(Some(self.now() + STORE_WAIT));
                    return result;
                }
            }
        }
    }

    /// Edits a message, then its copies. A copy that fails for good is left as it is: it must not keep the message from being edited.
    async fn update(&self, anchor: &Anchor, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let driver = &self.channel.driver;
        let mut all = anchor.ids.all().into_iter();
        let own = all.next().unwrap_or_default();
        let receipt = driver.update(&own, page, &anchor.recipient, cx).await?;
        for copy in all {
            match driver.update(&copy, page, &anchor.recipient, cx).await {
                Err(error) if passes(&error) => return Err(error),
                Err(error) => {
                    tracing::warn!(incident = %anchor.incident, channel = %self.channel.name, %error, "a copy of a message could not be edited")
                }
                Ok(_) => {}
            }
        }
        Ok(receipt)
    }

    async fn send(&self, anchor: &Anchor, page: Page) -> Result<Receipt, SendError> {
        let now = self.shared.clock.now();
        let deadline = now.mono + self.channel.timeout;
        let cx = SendContext {
            now: now.wall.timestamp(),
            deadline,
            message: anchor.message,
            attempt: anchor.failures + 1,
            unanswered: false,
            // Of one place, one posting in place of what is gone is one message, however often it is tried.
            idempotency_key: crate::model::hash_hex(&[&anchor.channel, &anchor.incident.to_string(), "posted", &anchor.reposts.to_string()]),
            traceparent: String::new(),
            direct: false,
            callback: String::new(),
            press: String::new(),
            reply_to: None,
            own: Default::default(),
        };
        let driver = &self.channel.driver;
        let _request = self.shared.heavy.request().await;
        let to = std::slice::from_ref(&anchor.recipient);
        let sending = async {
            if anchor.ids.is_empty() {
                let missing = || SendError::new(ErrorKind::Ambiguous, "the driver gave no result for this recipient");
                driver.send(&page, to, &cx).await.into_iter().next().map_or_else(|| Err(missing()), |(_, result)| result)
            } else {
                self.update(anchor, &page, &cx).await
            }
        };
        driver_result(self.channel.platform.name, self.channel.timeout, deadline + Duration::from_secs(1), sending).await?
    }
}

/// Whether a message can be edited once at most, and it is not time for that: nothing is sent.
pub fn keeps_its_edit(channel: &ChannelPlan, anchor: &Anchor, incident: &Incident) -> bool {
    let living = channel.driver.living(channel.platform);
    // What is gone is posted again.
    if living.spends.is_none() || anchor.ids.is_empty() {
        return false;
    }
    !living.may_change(&anchor.ids) || !deserves_its_edit(anchor, incident)
}

/// Whether the platform refuses an edit for good.
fn is_refused(error: &SendError, anchor: &Anchor) -> bool {
    error.kind == ErrorKind::Rejected && anchor.failures + 1 >= MAX_REFUSALS
}

/// Whether a message was posted again since all of it was over: one more would say the same, each time that something else of its incident changes.
fn says_its_end(anchor: &Anchor, incident: &Incident) -> bool {
    let known = |one: u64| anchor.notified.iter().any(|notified| notified.fingerprint == one);
    let ends = incident.alerts.iter().filter(|alert| known(alert.fingerprint)).map(|alert| alert.changed_at);
    incident.ended_at.or(ends.max()).is_some_and(|end| anchor.reposted_at >= end)
}

/// Whether the edit of a copy may succeed later.
fn passes(error: &SendError) -> bool {
    matches!(error.kind, ErrorKind::Transient | ErrorKind::RateLimited { .. })
}

/// How long nothing is edited after an edit that failed, which waits for so long itself. A limit of its receiver is nobody else's.
fn pause(error: &SendError, own: Duration) -> Option<Duration> {
    match error.kind {
        ErrorKind::RateLimited { retry_after } if !error.recipient => Some(super::policy::pause(retry_after).max(own)),
        _ => None,
    }
}

/// How long to wait after an edit that failed, after those that failed before it.
fn backoff(anchor: &Anchor) -> Duration {
    FIRST_WAIT.saturating_mul(2u32.saturating_pow(anchor.failures.min(8))).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_passing_failure_of_a_copy_is_tried_again() {
        let limited = ErrorKind::RateLimited { retry_after: None };
        let all = [ErrorKind::Transient, limited, ErrorKind::Ambiguous, ErrorKind::Rejected, ErrorKind::Misconfigured];
        let tried = all.map(|kind| passes(&SendError::new(kind, "no")));
        assert_eq!(tried, [true, true, false, false, false]);
        assert!(!passes(&SendError::new(ErrorKind::Transient, "deleted").gone()));
    }

    #[test]
    fn a_limit_of_one_receiver_holds_no_other_edit_up() {
        let secs = Duration::from_secs;
        let limited = SendError::new(ErrorKind::RateLimited { retry_after: Some(secs(30)) }, "too fast");
        assert_eq!([secs(5), secs(40)].map(|own| pause(&limited, own)), [Some(secs(30)), Some(secs(40))]);
        assert_eq!(pause(&limited.of_recipient(), secs(5)), None);
        assert_eq!(pause(&SendError::new(ErrorKind::Transient, "HTTP 502"), secs(5)), None);
    }
}
