//! Dead man's switch: an always-firing alert proves that its sender is alive. A missing one raises an alert, its return resolves it.
//!
//! The age is measured by the monotonic clock, and every sender has its whole time again after a start: neither a clock that is set nor a restart of
//! Watchfire makes a heartbeat missing. What was received and what was reported is in the store, where all nodes see it.

mod seen;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::time::Instant;

use crate::model::{Alert, Event, Language, SenderKind, Status, UnixMs, format_duration, hash_hex};
use crate::store::{HeartbeatChange, HeartbeatRow, HeartbeatUpdate, StoreError};
use crate::template::humanize;

use crate::delivery::engine::Engine;
use crate::delivery::plan::{HeartbeatPlan, Plan};

pub use seen::{HeartbeatState, Heartbeats};

/// The name of the alert about a missing heartbeat.
pub const ALERT: &str = "WatchfireHeartbeatMissing";

#[derive(Debug)]
struct Known {
    seen_at: UnixMs,
    silent_since: Option<UnixMs>,
    /// Since when this node watches it.
    since: Instant,
    /// When this node learned that it was received.
    received: Option<Instant>,
}

/// What is to be reported about a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transition {
    Missing,
    Recovered,
}

/// Monitors the heartbeats of the plan.
#[derive(Debug, Default)]
pub struct Monitor(HashMap<Arc<str>, Known>);

impl Monitor {
    /// Updates it with what the store has.
    fn update(&mut self, plans: &[HeartbeatPlan], rows: &[HeartbeatRow], now: Instant) {
        self.0.retain(|name, _| plans.iter().any(|plan| plan.name == *name));
        for plan in plans {
            let row = rows.iter().find(|row| *row.name == *plan.name);
            let (seen_at, silent_since) = row.map_or((UnixMs::EPOCH, None), |row| (row.seen_at, row.silent_since));
            let known = self.0.entry(plan.name.clone()).or_insert(Known { seen_at, silent_since, since: now, received: None });
            // Not "later than": a clock that was set back is no silence.
            if known.seen_at != seen_at {
                known.received = Some(now);
            }
            (known.seen_at, known.silent_since) = (seen_at, silent_since);
        }
    }

    fn transition(&self, plan: &HeartbeatPlan, now: Instant) -> Option<Transition> {
        let known = self.0.get(&plan.name)?;
        let quiet = now.duration_since(known.received.unwrap_or(known.since));
        match known.silent_since {
            None if quiet > plan.timeout => Some(Transition::Missing),
            Some(_) if known.received.is_some() && quiet <= plan.timeout => Some(Transition::Recovered),
            _ => None,
        }
    }

    fn states(&self, plans: &[HeartbeatPlan], now: Instant) -> Vec<HeartbeatState> {
        let state = |plan: &HeartbeatPlan| {
            let known = self.0.get(&plan.name)?;
            Some(HeartbeatState {
                name: plan.name.to_string(),
                timeout_seconds: plan.timeout.as_secs(),
                seen_at: (known.seen_at != UnixMs::EPOCH).then_some(known.seen_at),
                quiet_seconds: now.duration_since(known.received.unwrap_or(known.since)).as_secs(),
                silent_since: known.silent_since,
            })
        };
        plans.iter().filter_map(state).collect()
    }
}

/// One tick: writes down what was received; the leader reports heartbeats that are missing or back.
pub async fn tick(engine: &Engine, monitor: &mut Monitor) -> Result<(), StoreError> {
    let shared = &engine.shared;
    let plan = shared.plan.load_full();
    if plan.heartbeats.is_empty() {
        shared.heartbeats.set_states(Vec::new());
        return Ok(());
    }
    let now = shared.clock.instant();
    monitor.update(&plan.heartbeats, &shared.store.update_heartbeats(Vec::new()).await?, now);
    let heard = std::mem::take(&mut *shared.heartbeats.last_seen.names());
    if !heard.is_empty() {
        let change = |(name, at): (&Arc<str>, &UnixMs)| HeartbeatUpdate { name: name.to_string(), change: HeartbeatChange::Seen(*at) };
        match shared.store.update_heartbeats(heard.iter().map(change).collect()).await {
            Ok(rows) => monitor.update(&plan.heartbeats, &rows, now),
            Err(error) => {
                let mut names = shared.heartbeats.last_seen.names();
                for (name, at) in heard {
                    names.entry(name).or_insert(at);
                }
                return Err(error);
            }
        }
    }
    if shared.is_leader() {
        for heartbeat in &plan.heartbeats {
            if let Some(transition) = monitor.transition(heartbeat, now) {
                notify(engine, &plan, heartbeat, monitor, transition).await?;
            }
        }
    }
    for state in monitor.states(&plan.heartbeats, now) {
        shared.telemetry.metrics.heartbeat(&state.name, state.quiet_seconds, state.silent_since.is_some());
    }
    shared.heartbeats.set_states(monitor.states(&plan.heartbeats, now));
    Ok(())
}

/// The groups of the incidents of heartbeats that are missing, as of the last tick.
pub fn missing(engine: &Engine) -> Vec<String> {
    let states = engine.shared.heartbeats.states();
    states.iter().filter(|state| state.silent_since.is_some()).map(|state| group(&state.name)).collect()
}

fn group(name: &str) -> String {
    format!("{ALERT}/{name}")
}

async fn notify(engine: &Engine, plan: &Plan, heartbeat: &HeartbeatPlan, monitor: &mut Monitor, transition: Transition) -> Result<(), StoreError> {
    let shared = &engine.shared;
    let Some(known) = monitor.0.get_mut(&heartbeat.name) else { return Ok(()) };
    let now = shared.clock.wall();
    match transition {
        Transition::Missing => tracing::error!(heartbeat = %heartbeat.name, timeout = %format_duration(heartbeat.timeout), "a heartbeat is missing"),
        Transition::Recovered => tracing::info!(heartbeat = %heartbeat.name, "the heartbeat is back"),
    }
    let to: Vec<String> = heartbeat.to.iter().filter(|name| plan.channel(name).is_some()).cloned().collect();
    // First the message, then the record of it: a crash in between reports it twice, not never.
    for (language, to) in by_language(&to, |name| plan.language_of(name)) {
        let event = to_event(heartbeat, known, transition, now, language, &plan.messages.time_zone);
        engine.accept(event, Some(&to)).await?;
    }
    if transition == Transition::Missing {
        shared.telemetry.metrics.self_alert(ALERT);
    }
    known.silent_since = (transition == Transition::Missing).then_some(now);
    let change = known.silent_since.map_or(HeartbeatChange::Recovered, HeartbeatChange::Missing);
    let change = HeartbeatUpdate { name: heartbeat.name.to_string(), change };
    shared.store.update_heartbeats(vec![change]).await.map(|_| ())
}

/// Channels of one language each, for its text is the alert's own; without any channel it is said once.
fn by_language(to: &[String], language_of: impl Fn(&str) -> Language) -> Vec<(Language, Vec<String>)> {
    let mut out: Vec<(Language, Vec<String>)> = Vec::new();
    for name in to {
        let language = language_of(name);
        match out.iter_mut().find(|(known, _)| *known == language) {
            Some((_, names)) => names.push(name.clone()),
            None => out.push((language, vec![name.clone()])),
        }
    }
    if out.is_empty() {
        out.push((language_of(""), Vec::new()));
    }
    out
}

/// The alert that is sent.
fn to_event(heartbeat: &HeartbeatPlan, known: &Known, transition: Transition, now: UnixMs, language: Language, zone: &TimeZone) -> Event {
    let status = match transition {
        Transition::Missing => Status::Firing,
        Transition::Recovered => Status::Resolved,
    };
    let (summary, description) = words(heartbeat, known, transition, now, language, zone);
    let mut alert = Alert { status, ..Alert::default() };
    for (name, value) in [("alertname", ALERT), ("severity", "critical"), ("heartbeat", &heartbeat.name)] {
        alert.labels.insert(name.into(), value.into());
    }
    alert.annotations.insert("summary".into(), summary);
    alert.annotations.insert("description".into(), description);
    alert.starts_at = Some(known.silent_since.unwrap_or(now).timestamp());
    alert.ends_at = (status == Status::Resolved).then(|| now.timestamp());
    alert.fingerprint = hash_hex(&[ALERT, &heartbeat.name]);
    Event {
        kind: SenderKind::Watchfire,
        source: "watchfire".into(),
        receiver: "heartbeat".into(),
        status,
        group_key: group(&heartbeat.name),
        common_labels: alert.labels.clone(),
        alerts: vec![alert],
        ..Event::default()
    }
}

/// Its summary and its description.
fn words(heartbeat: &HeartbeatPlan, known: &Known, transition: Transition, now: UnixMs, language: Language, zone: &TimeZone) -> (String, String) {
    let zh = language == Language::Zh;
    let at = |at: UnixMs| at.timestamp().to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    let last = match known.seen_at {
        UnixMs::EPOCH if zh => "从未收到过。".to_owned(),
        UnixMs::EPOCH => "It was never received.".to_owned(),
        seen if zh => format!("最近一次收到于 {}。", at(seen)),
        seen => format!("It was last received at {}.", at(seen)),
    };
    let name = &heartbeat.name;
    match transition {
        Transition::Missing => {
            let timeout = humanize(language, heartbeat.timeout);
            if zh {
                (
                    format!("心跳 {name} 中断"),
                    format!(
                        "至少每{timeout}应收到一次。{last}发送方可能已停止，或无法连到 Watchfire：它的其他告警同样收不到。请检查 Prometheus、Alertmanager \
                         以及它们之间的网络。"
                    ),
                )
            } else {
                (
                    format!("Heartbeat {name} is missing"),
                    format!(
                        "It should come at least every {timeout}. {last} Its sender may be down, or cannot reach Watchfire: its other alerts do not arrive \
                         either. Check Prometheus, Alertmanager and the network between."
                    ),
                )
            }
        }
        Transition::Recovered => {
            let silent = humanize(language, known.silent_since.map_or(Duration::ZERO, |since| now.since(since)));
            if zh {
                (format!("心跳 {name} 已恢复"), format!("{silent}前报告中断。"))
            } else {
                (format!("Heartbeat {name} is back"), format!("It was reported missing {silent} ago."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::matcher;

    const TIMEOUT: Duration = Duration::from_secs(300);

    fn plan(name: &str) -> HeartbeatPlan {
        let matchers = matcher::parse(&format!("alertname=\"{name}\"")).unwrap();
        HeartbeatPlan { name: name.into(), matchers, timeout: TIMEOUT, to: vec!["ops".into()], route: false }
    }

    fn row(seen_at: UnixMs, silent_since: Option<UnixMs>) -> Vec<HeartbeatRow> {
        vec![HeartbeatRow { name: "Watchdog".into(), seen_at, silent_since }]
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_heartbeat_is_reported_once_and_its_return_too() {
        let (plans, mut monitor) = ([plan("Watchdog")], Monitor::default());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        monitor.update(&plans, &[], at(0));
        assert_eq!(monitor.transition(&plans[0], at(300)), None, "after a start it has its whole time");
        assert_eq!(monitor.transition(&plans[0], at(301)), Some(Transition::Missing), "also when it was never received");
        monitor.update(&plans, &row(UnixMs(5_000), None), at(302));
        assert_eq!(monitor.transition(&plans[0], at(602)), None);
        assert_eq!(monitor.transition(&plans[0], at(603)), Some(Transition::Missing));
        monitor.update(&plans, &row(UnixMs(5_000), Some(UnixMs(603_000))), at(604));
        assert_eq!(monitor.transition(&plans[0], at(9_000)), None, "reported once");
        monitor.update(&plans, &row(UnixMs(4_000), Some(UnixMs(603_000))), at(9_001));
        assert_eq!(monitor.transition(&plans[0], at(9_001)), Some(Transition::Recovered), "a clock that was set back counts as received");
        monitor.update(&plans, &row(UnixMs(4_000), None), at(9_002));
        assert_eq!(monitor.transition(&plans[0], at(9_002)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_neither_counts_as_received_nor_makes_it_missing() {
        let plans = [plan("Watchdog")];
        let start = Instant::now();
        let mut after = Monitor::default();
        after.update(&plans, &row(UnixMs(5_000), Some(UnixMs(400_000))), start);
        assert_eq!(after.transition(&plans[0], start), None, "what was reported before the restart is not resolved by it");
        let mut fresh = Monitor::default();
        fresh.update(&plans, &row(UnixMs(5_000), None), start);
        assert_eq!(fresh.transition(&plans[0], start + TIMEOUT), None);
        assert_eq!(fresh.states(&plans, start)[0].seen_at, Some(UnixMs(5_000)));
        fresh.update(&[], &[], start);
        assert!(fresh.0.is_empty(), "one that left the configuration is forgotten");
    }

    #[test]
    fn the_alert_says_what_to_do_in_the_language_and_zone_of_its_channel() {
        let (utc, shanghai) = (TimeZone::UTC, TimeZone::get("Asia/Shanghai").unwrap());
        let known = Known { seen_at: UnixMs(1_790_000_000_000), silent_since: None, since: Instant::now(), received: None };
        let event = to_event(&plan("Watchdog"), &known, Transition::Missing, UnixMs(1_790_000_400_000), Language::En, &utc);
        let alert = &event.alerts[0];
        assert_eq!((event.status, alert.label("heartbeat"), alert.label("severity")), (Status::Firing, "Watchdog", "critical"));
        assert!(
            alert.annotations["description"].contains("every 5 min. It was last received at 2026-09-21 14:13:20 +00:00."),
            "{:?}",
            alert.annotations
        );
        let chinese = to_event(&plan("Watchdog"), &known, Transition::Missing, UnixMs(1_790_000_400_000), Language::Zh, &shanghai);
        let said = &chinese.alerts[0].annotations;
        assert_eq!(said["summary"], "心跳 Watchdog 中断");
        assert!(said["description"].starts_with("至少每5分钟应收到一次。最近一次收到于 2026-09-21 22:13:20 +08:00。"), "{said:?}");
        let known = Known { silent_since: Some(UnixMs(1_790_000_400_000)), ..known };
        let back = to_event(&plan("Watchdog"), &known, Transition::Recovered, UnixMs(1_790_000_520_700), Language::En, &utc);
        assert_eq!((back.status, &*back.alerts[0].annotations["description"]), (Status::Resolved, "It was reported missing 2 min ago."));
        assert_eq!(back.group_key, event.group_key, "both travel in one lane");
    }
}
