//! The final status of what was sent by phone: vendors queue, and report later whether the SMS arrived and whether the call was answered.
//!
//! `sent` stays final; the status is kept beside it as a receipt, and one that did not reach its person makes the fallback, in one transaction. The leader
//! queries, a few at a time and beside the workers: no send waits for a query.

mod cancel;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::field::{DisplayValue, display};

use crate::channel::{Ask, Called, FinalWord, Sent, kit};
use crate::model::{DeliveryId, ErrorKind, OutletKey, SendError, UnixMs, Word, format_duration};
use crate::store::{FallbackChild, ReceiptChange, ReceiptRow, ReceiptState, ReceiptUpdate, State, StoreError};

use self::cancel::Cancelled;
use super::core::Shared;
use super::driver_result::driver_result;
use super::engine::Engine;
use super::evaluate::Evaluator;
use super::plan::{ChannelPlan, Plan};
use super::policy::MAX_PAUSE;
use super::self_alert::SelfAlert;

/// How often due receipts are looked up.
const TICK_INTERVAL: Duration = Duration::from_secs(2);
/// Receipts of one tick, and queries to one account of a vendor in it.
const MAX_PER_TICK: usize = 400;
const MAX_PER_OUTLET: usize = 20;
/// Between two queries to one account: 20 a second are allowed where it is documented
/// (<https://cloud.tencent.com/document/api/382/59185>).
const SPACING: Duration = Duration::from_millis(60);
/// How long one query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// A receipt whose channel is not configured is retried after this.
const MISSING_CHANNEL_RETRY: Duration = Duration::from_secs(60);

/// When a vendor that has no final status yet is asked again: the older, the more seldom.
fn next_query(ask: Option<Ask>, row: &ReceiptRow, now: UnixMs) -> UnixMs {
    let Some(ask) = ask else { return row.until };
    let age = now.since(row.sent_at);
    let wait = (age / 2).clamp(ask.every, ask.most.max(ask.every));
    (now + wait).min(row.until.max(now + ask.every))
}

/// Queries until cancelled. One task of each node; only the leader queries.
pub async fn run(engine: Arc<Engine>, cancel: CancellationToken) {
    let mut cancelled = Cancelled::default();
    let mut interval = tokio::time::interval(TICK_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = interval.tick() => {}
        }
        for channel in engine.shared.plan.load().channels.values().filter(|channel| matches!(channel.platform.word, FinalWord::Later(_))) {
            engine.shared.telemetry.metrics.receipts_of(channel.platform.name, &channel.name);
        }
        if !engine.shared.is_leader() {
            continue;
        }
        tokio::select! {
            // What was queried and not recorded is queried again.
            () = cancel.cancelled() => return,
            // Both at once: a vendor that hangs keeps nobody from asking the others.
            result = async {
                let (ended, asked) = tokio::join!(cancelled.tick(&engine.shared), tick(&engine.shared));
                ended.and(asked)
            } => {
                if let Err(error) = result {
                    engine.shared.health.request_failed(&error);
                }
            }
        }
    }
}

async fn tick(shared: &Shared) -> Result<(), StoreError> {
    let plan = shared.plan.load_full();
    let now = shared.clock.wall();
    let mut by_outlet: BTreeMap<OutletKey, Vec<(Arc<ChannelPlan>, ReceiptRow)>> = BTreeMap::new();
    for row in shared.store.due_receipts(now, MAX_PER_TICK).await? {
        match plan.channel(&row.channel) {
            Some(channel) => by_outlet.entry(channel.outlet.clone()).or_default().push((channel.clone(), row)),
            None => later(shared, &row, now + MISSING_CHANNEL_RETRY, "the channel that sent it is not configured any more").await?,
        }
    }
    let queries = by_outlet.into_values().map(|rows| ask_one_account(shared, &plan, rows));
    join_all(queries).await.into_iter().collect()
}

/// Queries one vendor about what one account sent, one after the other. A failed query ends it: the rest waits with it, so that it delays no other
/// account.
async fn ask_one_account(shared: &Shared, plan: &Plan, rows: Vec<(Arc<ChannelPlan>, ReceiptRow)>) -> Result<(), StoreError> {
    for (place, (channel, row)) in rows.iter().enumerate().take(MAX_PER_OUTLET) {
        let ask = ask_of(channel);
        let answer = if ask.is_some() { query(shared, channel, row).await } else { Ok(None) };
        let now = shared.clock.wall();
        match answer {
            Ok(Some(word)) => conclude(shared, plan, channel, row, &word).await?,
            Ok(None) => later(shared, row, next_query(ask, row, now), "the vendor did not say").await?,
            Err(error) => {
                let delivery = logged(shared, row).await;
                tracing::warn!(delivery, channel = %channel.name, message_id = %row.message, %error, "could not query the vendor for the final status");
                let wait = match error.kind {
                    ErrorKind::RateLimited { retry_after: Some(wait) } => wait.min(MAX_PAUSE),
                    _ => Duration::ZERO,
                };
                let why = format!("the vendor could not be asked: {error}");
                let all = rows[place..].iter().map(|(channel, row)| later(shared, row, next_query(ask_of(channel), row, now).max(now + wait), &why));
                return join_all(all).await.into_iter().collect();
            }
        }
        tokio::time::sleep(SPACING).await;
    }
    Ok(())
}

fn ask_of(channel: &ChannelPlan) -> Option<Ask> {
    match channel.platform.word {
        FinalWord::Later(later) => later.ask,
        FinalWord::Answer | FinalWord::Never => None,
    }
}

async fn query(shared: &Shared, channel: &ChannelPlan, row: &ReceiptRow) -> Result<Option<Word>, SendError> {
    let now = shared.clock.now();
    let deadline = now.mono + QUERY_TIMEOUT;
    let sent = Sent { recipient: &row.recipient, platform_id: &row.platform_id, at: row.sent_at.timestamp(), now: now.wall.timestamp(), deadline };
    guarded(channel.platform.name, deadline, channel.driver.receipt(&sent)).await
}

/// What a driver answers by its deadline; one that panics or is late may succeed another time.
async fn guarded<T>(platform: &str, deadline: Instant, asking: impl Future<Output = Result<T, SendError>>) -> Result<T, SendError> {
    let answer = driver_result(platform, QUERY_TIMEOUT, deadline + Duration::from_secs(1), asking).await;
    answer.map_err(|error| SendError { kind: ErrorKind::Transient, ..error })?
}

/// No final status yet: queried again at `due`, or given up when its time is over.
async fn later(shared: &Shared, row: &ReceiptRow, due: UnixMs, why: &str) -> Result<(), StoreError> {
    let now = shared.clock.wall();
    if now < row.until {
        return write(shared, row, ReceiptChange::Later { due_at: due }, Vec::new(), now).await.map(|_| ());
    }
    let within = format_duration(row.until.since(row.sent_at));
    let detail = format!("no final status within {within}: {why}");
    let news = ReceiptChange::Final { state: ReceiptState::Unheard, code: None, detail: detail.clone() };
    if write(shared, row, news, Vec::new(), now).await?.is_some() {
        count(shared, row, ReceiptState::Unheard);
        let delivery = logged(shared, row).await;
        tracing::warn!(delivery, channel = row.channel, message_id = %row.message, to = row.recipient.masked(), detail, "the vendor reported no final status");
    }
    Ok(())
}

/// Records a final status. One that did not reach its person makes the fallback of every delivery that the message carried, unless its alert is resolved
/// or too old. What somebody is on, or what is over, needs nobody: no alarm is made of it.
async fn conclude(shared: &Shared, plan: &Plan, channel: &ChannelPlan, row: &ReceiptRow, word: &Word) -> Result<(), StoreError> {
    let now = shared.clock.wall();
    let state = if word.reached { ReceiptState::Delivered } else { ReceiptState::Undelivered };
    let (mut children, mut detail) = (Vec::new(), word.detail.clone());
    // What rang may have been cancelled, though the answer was lost.
    let needless = if word.reached || !cancel::cancels(channel) { None } else { cancel::needless(shared, row).await? };
    if let Some(why) = &needless {
        detail = format!("{detail}; {why}");
    } else if !word.reached {
        let (made, instead) = fallbacks(shared, plan, channel, row, word, now).await?;
        children = made;
        if let Some(instead) = instead {
            detail = format!("{detail}; no fallback: {instead}");
        }
    }
    let news = ReceiptChange::Final { state, code: Some(word.code.clone()), detail: detail.clone() };
    let Some(made) = write(shared, row, news, children, now).await? else { return Ok(()) };
    count(shared, row, state);
    let (delivery, to, code) = (logged(shared, row).await, row.recipient.masked(), word.code.as_str());
    if word.reached {
        tracing::info!(delivery, channel = %channel.name, message_id = %row.message, to, code, "the vendor says that it reached its person");
    } else if needless.is_some() {
        tracing::info!(delivery, channel = %channel.name, message_id = %row.message, to, code, detail, "nobody was reached, and nobody had to be any more");
    } else {
        tracing::error!(delivery, channel = %channel.name, message_id = %row.message, to, code, detail, fallbacks = made.len(), "the vendor says that it did not reach its person");
        shared.telemetry.raise(SelfAlert::not_delivered(&channel.name, State::Sent, 1, &format!("sent, but not received: {detail}")));
    }
    shared.notify_new(&made);
    if !word.reached {
        shared.change_steps(&[]).await?;
    }
    Ok(())
}

/// The result of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackResult {
    /// It was authentic and is recorded.
    Recorded,
    /// No call or message is known by its id, or none whose end is still awaited.
    Unknown,
}

impl Engine {
    /// Handles what a platform reported, at this channel's address, about something that it accepted. An account's console takes one address: what the
    /// other channels with its credential sent is reported there, too.
    pub async fn handle_callback(&self, asked: &ChannelPlan, called: &Called) -> Result<CallbackResult, StoreError> {
        let shared = &self.shared;
        let plan = shared.plan.load_full();
        let found = shared.store.find_receipt(&plan.names_of(&asked.outlet), &called.platform_id).await?;
        let Some(row) = found.filter(|row| is_about(called, row)) else { return Ok(CallbackResult::Unknown) };
        let sender = shared.current_channel(&row.channel);
        let channel = sender.as_deref().unwrap_or(asked);
        // A key counts whatever became of the call: its end may have been reported before it.
        if let Some(key) = &called.key {
            self.key_pressed(channel, &row, key).await?;
        }
        if let Some(word) = called.word.as_ref().filter(|_| row.state == ReceiptState::Awaited) {
            conclude(shared, &plan, channel, &row, word).await?;
        }
        let counts = called.key.is_some() || row.state == ReceiptState::Awaited;
        Ok(if counts { CallbackResult::Recorded } else { CallbackResult::Unknown })
    }
}

/// Whether a callback is about the person of a receipt, as far as it names somebody. A key acts under the name of that person: the whole number must be theirs.
fn is_about(called: &Called, row: &ReceiptRow) -> bool {
    let Some(number) = &called.recipient else { return true };
    kit::phone::is_of(&row.recipient, number) || (called.key.is_none() && row.recipient.ends_with(number))
}

/// The fallback children of what a message carried, or why there are none.
async fn fallbacks(
    shared: &Shared,
    plan: &Plan,
    channel: &ChannelPlan,
    row: &ReceiptRow,
    word: &Word,
    now: UnixMs,
) -> Result<(Vec<FallbackChild>, Option<&'static str>), StoreError> {
    let evaluator = Evaluator { plan, channel, now, jitter: 0.0, earlier_fallbacks: &[] };
    let mut children = Vec::new();
    let mut instead = Some("it carries no alert any more");
    for carried in shared.store.sent_deliveries(row.message).await? {
        let delivery = &carried.delivery;
        let old = now.since(delivery.born_at) >= channel.max_age;
        instead = match plan.fallback(&delivery.target.fallback) {
            None if delivery.target.fallback.is_empty() => Some("the channel has none"),
            None => Some("the fallback channel is not configured"),
            Some(_) if carried.over || delivery.summary.firing == 0 => Some("the alert is over"),
            Some(_) if old => Some("the alert is older than `max_age`"),
            Some(_) if cancel::is_acked(shared, delivery.incident, &channel.name).await? => Some("somebody is on it"),
            Some((first, rest)) => {
                if let Some(mut child) = evaluator.child(delivery, &first.name, rest.to_vec(), false) {
                    if !child.delivery.state.is_final() {
                        let why = format!("fallback of `{}`, which did not reach {}: {}", channel.name, row.recipient.masked(), word.detail);
                        child.delivery.reason = Some(why);
                    }
                    children.push(child);
                }
                Some(if first.disabled { "the fallback channel is disabled" } else { "the fallback channel is not configured" })
            }
        };
    }
    let is_sent = children.iter().any(|child| !child.delivery.state.is_final());
    Ok((children, instead.filter(|_| !is_sent)))
}

async fn write(
    shared: &Shared,
    row: &ReceiptRow,
    news: ReceiptChange,
    children: Vec<FallbackChild>,
    now: UnixMs,
) -> Result<Option<Vec<crate::store::AcceptedDelivery>>, StoreError> {
    shared.store.update_receipt(ReceiptUpdate { message: row.message, page: row.page, recipient: row.recipient.clone(), news, children, now }).await
}

/// The first delivery that a message carried, as a field of a line of the log; `None` where it cannot be read.
async fn logged(shared: &Shared, row: &ReceiptRow) -> Option<DisplayValue<DeliveryId>> {
    shared.store.sent_deliveries(row.message).await.ok()?.first().map(|carried| display(carried.delivery.id))
}

fn count(shared: &Shared, row: &ReceiptRow, state: ReceiptState) {
    let platform = shared.plan.load().channel(&row.channel).map_or("unknown", |channel| channel.platform.name);
    shared.telemetry.metrics.receipt(platform, &row.channel, state.as_str());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::clock::Clock;
    use crate::model::{MessageId, Recipient};

    fn row(sent_at: UnixMs, until: UnixMs) -> ReceiptRow {
        ReceiptRow {
            message: MessageId::new(),
            page: 0,
            recipient: Recipient::new("+8613800000000"),
            channel: "night".into(),
            platform_id: "CA1".into(),
            state: ReceiptState::Awaited,
            sent_at,
            due_at: Some(sent_at),
            until,
            asked: 0,
            heard_at: None,
            code: None,
            detail: None,
        }
    }

    #[test]
    fn a_key_is_of_the_person_with_the_whole_number() {
        let row = row(UnixMs(0), UnixMs(1));
        let about = |number: Option<&str>, key: Option<&str>| {
            is_about(&Called { platform_id: "CA1".into(), recipient: number.map(Into::into), word: None, key: key.map(Into::into) }, &row)
        };
        assert!(about(None, Some("1")), "a vendor that names nobody");
        assert!(about(Some("+8613800000000"), Some("1")) && about(Some("13800000000"), Some("1")), "with its country or without");
        for other in ["0", "00000000", "+8613800000001", "", "anonymous"] {
            assert!(!about(Some(other), Some("1")), "{other}");
        }
        assert!(about(Some("00000000"), None) && !about(Some("00000001"), None), "how it ended");
    }

    async fn panicking() -> Result<bool, SendError> {
        panic!("of a driver")
    }

    #[tokio::test(start_paused = true)]
    async fn a_driver_that_panics_or_is_late_failed_for_now() {
        let deadline = Clock::runtime(UnixMs(0)).instant() + Duration::from_secs(1);
        let kind = |result: Result<bool, SendError>| result.map_err(|error| error.kind);
        assert_eq!(kind(guarded("x", deadline, async { Ok(true) }).await), Ok(true));
        assert_eq!(kind(guarded("x", deadline, panicking()).await), Err(ErrorKind::Transient));
        assert_eq!(kind(guarded("x", deadline, std::future::pending()).await), Err(ErrorKind::Transient));
    }

    #[test]
    fn the_older_the_more_seldom_and_never_past_the_end() {
        let s = Duration::from_secs;
        let sms = Some(Ask { first: s(20), every: s(20), most: s(1800) });
        let day = UnixMs(86_400_000);
        let mut now = UnixMs(20_000);
        let mut asked = 0;
        while now < day {
            let due = next_query(sms, &row(UnixMs(0), day), now);
            assert!(due >= now + 20_000 && (due <= day || now + 20_000 > day), "{now} {due}");
            now = due;
            asked += 1;
        }
        assert!((40..80).contains(&asked), "an SMS that stays queued is asked for {asked} times in a day");
        let call = Some(Ask { first: s(30), every: s(15), most: s(30) });
        assert_eq!(next_query(call, &row(UnixMs(0), UnixMs(900_000)), UnixMs(600_000)), UnixMs(630_000));
        assert_eq!(next_query(None, &row(UnixMs(0), UnixMs(900_000)), UnixMs(1_000)), UnixMs(900_000), "what only calls back is given up at its end");
    }
}
