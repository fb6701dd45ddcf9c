//! Periodic work: queue gauges, backlog and disk alerts, fallback of what waits too long, purge, leases. Never on the hot path.

use crate::model::{Severity, UnixMs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::{IncidentCount, IncidentState, OutletRow, Retention, State, Stats, StoreError};

use super::allowance::{MonthCount, MonthUse};
use super::catch_up;
use super::core::Shared;
use super::engine::Engine;
use super::heartbeat::{self, Monitor};
use super::mutes::{self, Notices};
use super::outlet::supervise::Supervision;
use super::own_alerts;
use super::plan::{ChannelPlan, Plan};
use super::rota;
use super::self_alert::{SelfAlert, SelfAlertKind, SelfAlertRouter};
use super::stalled::Stalls;

/// How often gauges, self-alerts and fallbacks are updated.
const TICK_INTERVAL: Duration = Duration::from_secs(5);
/// Deferred deliveries are re-evaluated every so many ticks.
const TICKS_BETWEEN_MUTES: u64 = 6;
/// A write that tests the store, which takes 64 KiB of the log, is made every so many ticks.
const TICKS_BETWEEN_CHECKS: u64 = 6;
/// Rows of the audit that are kept, and over the size cap: what is done by hand never takes the room of alerts.
const AUDIT_ROWS: i64 = 50_000;
const AUDIT_ROWS_FULL: i64 = 5_000;
/// Presses are kept for this long, also over the size cap: PagerDuty repeats for 48 hours, and a press that is forgotten would count twice.
const PRESSES_KEPT: Duration = Duration::from_secs(49 * 3600);
/// Events purged in one transaction, and how many such transactions a tick may make.
const PURGE_BATCH: usize = 100;
const MAX_PURGE_BATCHES: usize = 100;

/// Incidents that change in one transaction, and how many such transactions a tick may make: what rings waits for its platform, not for the next tick.
const INCIDENT_BATCH: usize = 100;
const MAX_INCIDENT_BATCHES: usize = 100;
/// With more open incidents than this, those that go on as others are looked for every so many ticks: each look reads the alerts of all that are open.
const MANY_INCIDENTS: u64 = 2000;
const TICKS_BETWEEN_LOOKS: u64 = 12;
/// A message that still shows an incident as it was, so long after the incident's end, is given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(86_400);

/// Runs the ticks until cancelled, and stores what is raised until the engine has stopped.
pub async fn run(engine: Arc<Engine>, mut alerts: mpsc::Receiver<SelfAlert>, cancel: CancellationToken) {
    let mut supervision = Supervision::of("maintenance", &engine.shared);
    while !supervision.run(ticks(&engine, &mut alerts, &cancel), "", &cancel).await {}
    store_last(&engine, &mut alerts).await;
}

/// Alarms about what ends while the engine stops: the next process sends them.
async fn store_last(engine: &Engine, alerts: &mut mpsc::Receiver<SelfAlert>) {
    let mut router = SelfAlertRouter::default();
    loop {
        tokio::select! {
            biased;
            Some(alert) = alerts.recv() => deliver_self_alert(engine, &mut router, &alert).await,
            () = engine.drained() => return,
        }
    }
}

async fn ticks(engine: &Arc<Engine>, alerts: &mut mpsc::Receiver<SelfAlert>, cancel: &CancellationToken) -> bool {
    let mut router = own_alerts::remember(engine).await;
    let mut late: BTreeSet<String> = router.topics(SelfAlertKind::Backlog).map(str::to_owned).collect();
    let mut orphans: BTreeSet<String> = BTreeSet::new();
    let mut behind: BTreeMap<String, u32> = BTreeMap::new();
    let mut disk_ok = !router.goes_on(SelfAlertKind::Disk, "");
    let mut monitor = Monitor::default();
    let mut count = 0u64;
    let mut stalls = Stalls::default();
    let mut notices = Notices::default();
    let mut interval = tokio::time::interval(TICK_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return true,
            Some(alert) = alerts.recv() => deliver_self_alert(engine, &mut router, &alert).await,
            _ = interval.tick() => {
                // What was routed by a mute and stored after the mute had changed waits for the wrong time.
                count += 1;
                if count.is_multiple_of(TICKS_BETWEEN_MUTES) && engine.shared.is_leader()
                    && let Err(error) = engine.reevaluate_mutes().await
                {
                    engine.shared.health.request_failed(&error);
                }
                // By itself: whatever else fails, snoozes end.
                if let Err(error) = wake_incidents(engine).await {
                    engine.shared.health.request_failed(&error);
                }
                if let Err(error) = heartbeat::tick(engine, &mut monitor).await {
                    engine.shared.health.request_failed(&error);
                }
                // Before incidents become stale.
                if count % TICKS_BETWEEN_CHECKS == 1
                    && let Err(error) = own_alerts::keep(engine, &router).await
                {
                    engine.shared.health.request_failed(&error);
                }
                if let Err(error) = update_queues(engine, count, &router, &mut late, &mut orphans, &mut behind).await {
                    engine.shared.health.request_failed(&error);
                }
                if let Err(error) = mutes::tick(engine, &mut notices).await {
                    engine.shared.health.request_failed(&error);
                }
                if let Err(error) = rota::tick(engine).await {
                    engine.shared.health.request_failed(&error);
                }
                if let Err(error) = engine.look_for_stalls(&mut stalls).await {
                    engine.shared.health.request_failed(&error);
                }
                let works = check_store(engine, count % TICKS_BETWEEN_CHECKS == 1 || !disk_ok).await;
                // Full is not broken: outcomes can be stored, so sending continues; only new events are refused.
                let works = works.and_then(|()| engine.ensure_capacity());
                match (&works, disk_ok) {
                    (Err(error), true) => engine.shared.telemetry.raise(SelfAlert::disk(&error.to_string())),
                    (Ok(()), false) => engine.shared.telemetry.raise(SelfAlert::resolved(SelfAlertKind::Disk, "")),
                    _ => {}
                }
                disk_ok = works.is_ok();
            }
        }
    }
}

/// Checks that the store takes writes: when it is time, when it did not lately, and when its files are not as they should be. In between a look at its files
/// is enough, for whatever is stored meanwhile notices a disk that takes no writes by itself.
async fn check_store(engine: &Engine, time: bool) -> Result<(), StoreError> {
    let shared = &engine.shared;
    if !time && *shared.health.store_ok().borrow() && shared.store.check_files().is_ok() {
        return Ok(());
    }
    let works = shared.store.check_writable().await;
    shared.health.store_checked(&works);
    works
}

async fn deliver_self_alert(engine: &Engine, router: &mut SelfAlertRouter, alert: &SelfAlert) {
    let plan = engine.shared.plan.load_full();
    let now = engine.shared.clock.wall();
    let Some((channel, since)) = router.route(alert, &plan, now) else { return };
    let language = plan.language_of(&channel);
    if let Err(error) = engine.accept(alert.event(since, now, language), Some(&[channel])).await {
        tracing::error!(%error, alert = alert.name(), "a self-alert could not be stored");
    }
}

async fn update_queues(
    engine: &Engine,
    tick: u64,
    router: &SelfAlertRouter,
    late: &mut BTreeSet<String>,
    orphans: &mut BTreeSet<String>,
    behind: &mut BTreeMap<String, u32>,
) -> Result<(), StoreError> {
    let shared = &engine.shared;
    let plan = shared.plan.load_full();
    let now = shared.clock.wall();
    let channels = plan.channels.values().map(|channel| (channel.platform.name, &*channel.name));
    shared.telemetry.metrics.know(channels, plan.heartbeats.iter().map(|heartbeat| &*heartbeat.name));
    let stats = shared.count().await?;
    shared.telemetry.metrics.store_bytes(stats.bytes);
    count_incidents(shared, &stats.incidents);
    let mut stuck: Vec<String> = Vec::new();
    for channel in plan.channels.values() {
        let born = count_queue(shared, &stats, channel, now);
        let state = engine.outlet_state(&channel.outlet);
        shared.telemetry.metrics.outlet(&channel.name, Duration::from_millis(state.paused_ms.max(0) as u64), state.suspended.is_some());
        let stored = stats.outlets.iter().find(|o| o.key == channel.outlet);
        if let Some(outlet) = stored {
            let this_month = outlet.month == channel.platform.month(now);
            shared.telemetry.metrics.month_sent(&channel.name, if this_month { outlet.month_sent } else { 0 });
        }
        count_month(engine, &plan, channel, stored, now);
        let suspended = state.suspended.as_deref().or(stored.and_then(|outlet| outlet.suspended.as_deref()));
        if suspended.is_none() && router.goes_on(SelfAlertKind::ChannelSuspended, &channel.name) {
            // Its credential was changed, or another process ended the suspension: no outlet of this one says so.
            shared.telemetry.raise(SelfAlert::resolved(SelfAlertKind::ChannelSuspended, &channel.name));
        }
        report_backlog(shared, plan.self_monitoring.backlog, channel, age_of(born, now), late);
        if !shared.is_leader() {
            continue;
        }
        // Its owner, maybe another node, copies at once what waits on a suspended outlet; this is the safety net.
        stuck.extend(suspended.map(|_| channel.name.to_string()));
        let wait = if suspended.is_some() { Some(Duration::ZERO) } else { channel.fallback_after };
        if let Some(wait) = wait
            && born.is_some_and(|b| now.since(b) >= wait)
        {
            shared.fall_back(&plan, channel, now - wait, suspended).await?;
        }
    }
    let orphaned = count_orphaned(shared, &stats.open);
    shared.health.set_orphaned(orphaned.clone());
    if !shared.is_leader() {
        // Another node says it, and this one from the start when it leads again.
        behind.clear();
        return Ok(());
    }
    shared.relocate_misplaced(&stats.placed).await?;
    let open: u64 = stats.incidents.iter().map(|count| count.count).sum();
    end_incidents(engine, &plan, now, is_time_to_look(open, tick)).await?;
    catch_up::notify(engine, &plan, &stats.behind, behind, now).await;
    shared.change_steps(&stuck).await?;
    report_orphaned(shared, orphans, &orphaned);
    purge(engine, &plan, now, stats.bytes).await
}

/// The open incidents, by state and severity.
fn count_incidents(shared: &Shared, incidents: &[IncidentCount]) {
    for severity in Severity::ALL {
        for state in IncidentState::ALL.into_iter().filter(|state| state.is_open()) {
            let of = |count: &&IncidentCount| i64::from(count.rank) == severity.rank() && count.state == state;
            let open = incidents.iter().filter(of).map(|count| count.count).sum();
            shared.telemetry.metrics.incidents_open(state.as_str(), severity.as_str(), open);
        }
    }
}

/// What waits on a channel, by state, and for how long. Returns when the oldest of it was born.
fn count_queue(shared: &Shared, stats: &Stats, channel: &ChannelPlan, now: UnixMs) -> Option<UnixMs> {
    shared.telemetry.metrics.channel(channel.platform.name, &channel.name);
    for state in [State::Waiting, State::Deferred] {
        let n = stats.open.iter().find(|(c, s, _)| c == &*channel.name && *s == state).map_or(0, |(_, _, n)| *n);
        shared.telemetry.metrics.queue(&channel.name, state.as_str(), n as i64);
    }
    let born = stats.oldest.iter().find(|(c, _)| c == &*channel.name).map(|(_, born)| *born);
    shared.telemetry.metrics.oldest(&channel.name, age_of(born, now));
    born
}

fn age_of(born: Option<UnixMs>, now: UnixMs) -> Duration {
    born.map_or(Duration::ZERO, |born| now.since(born))
}

/// Reports a channel whose oldest delivery waits for longer than `most`, if this node leads, and that none does any more, if it reported it; `late` are
/// those that it reported.
pub(super) fn report_backlog(shared: &Shared, most: Duration, channel: &ChannelPlan, age: Duration, late: &mut BTreeSet<String>) {
    if most.is_zero() {
        return;
    }
    if age > most {
        if shared.is_leader() {
            late.insert(channel.name.to_string());
            shared.telemetry.raise(SelfAlert::backlog(&channel.name, age.as_secs() / 60));
        }
    } else if late.remove(&*channel.name) {
        shared.telemetry.raise(SelfAlert::resolved(SelfAlertKind::Backlog, &channel.name));
    }
}

/// What waits for channels that the configuration no longer has.
fn count_orphaned(shared: &Shared, open: &[(String, State, u64)]) -> BTreeMap<String, u64> {
    let mut orphaned = BTreeMap::new();
    for (channel, _, count) in open.iter().filter(|(channel, ..)| shared.current_channel(channel).is_none()) {
        *orphaned.entry(channel.clone()).or_default() += *count;
    }
    orphaned
}

/// Says so once of each channel, and again of one that was put right in between. `reported` are those that it was said of.
fn report_orphaned(shared: &Shared, reported: &mut BTreeSet<String>, orphaned: &BTreeMap<String, u64>) {
    reported.retain(|channel| orphaned.contains_key(channel));
    for (channel, count) in orphaned {
        if reported.insert(channel.clone()) {
            tracing::error!(
                channel,
                count,
                "deliveries wait for a channel that the configuration no longer has; name it in `previous_names` of its successor or move them"
            );
            shared.telemetry.raise(SelfAlert::orphaned_deliveries(channel, *count));
        }
    }
}

/// Notes how much is used of what a channel's account may send in a month, and reports it when that is most or all of it.
fn count_month(engine: &Engine, plan: &Plan, channel: &ChannelPlan, stored: Option<&OutletRow>, now: UnixMs) {
    let shared = &engine.shared;
    let Some(mailbox) = shared.outlets.get(&channel.outlet) else { return };
    let (most, month) = (plan.per_month(&channel.outlet), channel.platform.month(now));
    let sent = stored.filter(|outlet| outlet.month == month).map_or(0, |outlet| outlet.month_sent);
    mailbox.set_month(MonthCount { month, sent, most });
    let used = most.map_or(MonthUse::Little, |most| MonthUse::of(sent, most));
    let Some(most) = most.filter(|_| mailbox.sees_more(used, shared.is_leader())) else { return };
    let all = used == MonthUse::All;
    tracing::warn!(channel = %channel.name, sent, most, all, "most or all of the month's messages are used: nothing is spent on edits; what has another way takes it");
    shared.telemetry.raise(SelfAlert::month_used(&channel.name, sent, most));
}

/// Ends the acks, snoozes and mutes whose time has come, and rings for what twins disagreed about: of all incidents that are due.
async fn wake_incidents(engine: &Engine) -> Result<(), StoreError> {
    for _ in 0..MAX_INCIDENT_BATCHES {
        if !engine.shared.is_leader() {
            break;
        }
        let woken = engine.shared.store.wake_incidents(engine.shared.clock.wall(), INCIDENT_BATCH).await?;
        engine.shared.notify_rings(&woken.rings);
        // The end of a mute rings nothing, and others wait behind it.
        if woken.seen < INCIDENT_BATCH {
            break;
        }
    }
    Ok(())
}

/// Whether incidents that go on as others are looked for in this tick, with so many open ones.
fn is_time_to_look(open: u64, tick: u64) -> bool {
    open <= MANY_INCIDENTS || tick.is_multiple_of(TICKS_BETWEEN_LOOKS)
}

/// Ends incidents of which nothing is reported any more, and, where it is time to `look` for them, those that go on as others; abandons messages that could
/// not be brought up to date for long.
async fn end_incidents(engine: &Engine, plan: &Plan, now: UnixMs, look: bool) -> Result<(), StoreError> {
    let store = &engine.shared.store;
    let stale = store.end_stale_incidents(now - plan.incidents.stale_after, now, INCIDENT_BATCH).await?;
    if stale > 0 {
        tracing::warn!(stale, "nothing was reported of incidents for so long that nobody knows whether they go on");
    }
    let superseded = if look { store.end_superseded_incidents(now).await? } else { 0 };
    if superseded > 0 {
        tracing::info!(superseded, "incidents go on as others: their senders group their alerts in another way now");
    }
    let able = plan.channels.values().filter(|channel| channel.can_edit());
    let able: Vec<String> =
        able.flat_map(|channel| std::iter::once(channel.name.to_string()).chain(channel.previous_names.iter().cloned())).collect();
    let left = store.give_up_edits(now - GIVE_UP_AFTER, &able, now).await?;
    for _ in 0..left {
        engine.shared.telemetry.metrics.edited("given_up");
    }
    if left > 0 {
        tracing::error!(left, "messages still show incidents that ended a day ago: they could not be edited");
    }
    Ok(())
}

async fn purge(engine: &Engine, plan: &Plan, now: UnixMs, bytes: u64) -> Result<(), StoreError> {
    let ago = |d: Duration| now - d;
    // Over the size cap everything final is too old.
    let full = plan.retention.max_bytes > 0 && bytes > plan.retention.max_bytes;
    let retention = Retention {
        sent_before: if full { now } else { ago(plan.retention.sent) },
        dead_before: if full { now } else { ago(plan.retention.dead) },
        presses_before: ago(plan.retention.sent.max(PRESSES_KEPT)),
        audit_rows: if full { AUDIT_ROWS_FULL } else { AUDIT_ROWS },
        // A store that takes no more alerts is worse than a message that is not edited any more.
        open_incidents: !full,
    };
    let mut all = false;
    for _ in 0..MAX_PURGE_BATCHES {
        if engine.shared.store.purge(retention, PURGE_BATCH).await? < PURGE_BATCH as u64 {
            all = true;
            break;
        }
    }
    // Full only when nothing is left to purge; while something is, purging is in progress.
    let still = full && all && engine.shared.store.stats().await?.bytes > plan.retention.max_bytes;
    engine.shared.health.set_full(still);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_incidents_is_not_read_every_tick() {
        let looks = |open: u64| (1..=24).filter(|tick| is_time_to_look(open, *tick)).count();
        assert_eq!((looks(0), looks(MANY_INCIDENTS), looks(MANY_INCIDENTS + 1)), (24, 24, 2), "once a minute");
    }

    #[test]
    fn a_robot_of_the_free_edition_is_warned_about_at_four_fifths_of_its_month() {
        let most = crate::channel::platform("dingtalk").and_then(|platform| platform.pace.per_month);
        assert_eq!(most, Some(3000), "https://open.dingtalk.com/document/orgapp/api-call-quota");
        for (sent, most, warns) in [(2399, 3000, false), (2400, 3000, true), (2400, 5000, false), (4000, 5000, true), (i64::MAX, 5000, true)] {
            assert_eq!(MonthUse::of(sent, most) > MonthUse::Little, warns, "{sent} of {most}");
        }
    }
}
