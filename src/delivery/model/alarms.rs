//! Watchfire's own alarms while what they are about goes on, and over processes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::delivery::plan::Plan;
use crate::delivery::self_alert::{SelfAlert, SelfAlertKind, SelfAlertRouter};
use crate::delivery::{Clock, Engine, EngineOptions, EngineParts, maintenance};
use crate::metrics::Metrics;
use crate::model::{EventId, Language, Status, UnixMs};
use crate::store::{
    ClusterStore, Fence, Incident, IncidentFilter, IncidentReport, IncidentState, LeaseRequest, NodeHeartbeat, OutletStore, OutletUpdate, QueryStore,
    ReportedAlert, State, SuspensionChange,
};

use super::life::{Disk, Node};
use super::paused::Paused;
use super::plan::BEGIN;
use super::{Dice, World};

const MINUTE: i64 = 60_000;

fn plan() -> Plan {
    let mut plan = World::new(&mut Dice::new(1)).plan(false, "a");
    plan.self_monitoring.to = vec!["free".into()];
    plan
}

/// Under another start each repeat would be news, and ring those who have acked it.
#[test]
fn what_goes_on_is_repeated_under_its_start_and_what_has_no_end_is_news() {
    let (plan, mut router) = (plan(), SelfAlertRouter::default());
    let mut since = |alert: &SelfAlert, minute: i64| router.route(alert, &plan, BEGIN + minute * MINUTE).map(|(_, since)| (since - BEGIN) / MINUTE);
    let behind = |minutes: u64| SelfAlert::backlog("chat", minutes);
    assert_eq!([since(&behind(15), 0), since(&behind(16), 1), since(&behind(25), 10), since(&behind(35), 20)], [Some(0), None, Some(0), Some(0)]);
    let dead = SelfAlert::not_delivered("chat", State::Dead, 1, "no");
    assert_eq!([since(&dead, 0), since(&dead, 10)], [Some(0), Some(10)]);
    let over = SelfAlert::resolved(SelfAlertKind::Backlog, "chat");
    assert_eq!([since(&over, 30), since(&over, 31), since(&behind(15), 40)], [Some(0), None, Some(40)]);
    let event = behind(15).event(BEGIN, BEGIN + MINUTE, Language::En);
    assert_eq!(event.alerts[0].starts_at.map(UnixMs::from), Some(BEGIN));
}

/// A process sends the end of what an earlier one alerted about.
#[test]
fn what_goes_on_is_known_to_the_next_process() {
    let plan = plan();
    let opened = |alert: &SelfAlert| {
        let said = ReportedAlert { fingerprint: 1, start: Some(BEGIN), fires: true, rank: 0, index: 0 };
        let report = IncidentReport { source: "watchfire".into(), ..IncidentReport::of_group("k", vec![said]) };
        let group_key = alert.event(BEGIN, BEGIN, Language::En).group_key;
        Incident { group_key, ..Incident::open(&report, EventId::new(), BEGIN + 1).expect("it fires") }
    };
    let mut router = SelfAlertRouter::default();
    let suspended = opened(&SelfAlert::channel_suspended("chat", "no"));
    router.remember(&Incident { source: "alertmanager".into(), ..suspended.clone() });
    assert_eq!(router.groups(&plan).count(), 0, "it is no alarm of Watchfire's own");
    for incident in [suspended, opened(&SelfAlert::not_delivered("chat", State::Dead, 1, "no")), opened(&SelfAlert::backlog("gone", 15))] {
        router.remember(&incident);
    }
    assert!(router.goes_on(SelfAlertKind::ChannelSuspended, "chat") && !router.goes_on(SelfAlertKind::DeadLetters, "chat"));
    assert_eq!(router.groups(&plan).collect::<Vec<_>>(), ["WatchfireChannelSuspended/chat"]);
    let mut disabled = self::plan();
    disabled.channels.get_mut("chat").and_then(Arc::get_mut).expect("a channel that nobody else has").disabled = true;
    assert_eq!(router.groups(&disabled).count(), 0, "nobody looks at it any more");
    let over = SelfAlert::resolved(SelfAlertKind::ChannelSuspended, "chat");
    assert_eq!(router.route(&over, &plan, BEGIN + MINUTE), Some(("free".into(), BEGIN)));
    assert!(!router.goes_on(SelfAlertKind::ChannelSuspended, "chat"));
}

/// It is raised once, and nobody else reports it.
#[test]
fn what_an_alarm_is_about_does_not_become_stale_while_it_goes_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Paused::new(Disk::File(folder.path().to_owned()).open().await, BEGIN));
        let mut plan = plan();
        plan.incidents.stale_after = Duration::from_secs(300);
        let parts = EngineParts {
            store: store.clone(),
            plan: Arc::new(plan),
            clock: Clock::runtime(BEGIN),
            metrics: Arc::new(Metrics::new()),
            node: "a",
            options: EngineOptions::default(),
        };
        let (engine, alarms) = Engine::new(parts);
        let engine = Arc::new(engine);
        engine.start().await.expect("the engine starts");
        tokio::spawn(maintenance::run(engine.clone(), alarms, CancellationToken::new()));
        let full = [SelfAlert::disk("full"), SelfAlert::resolved(SelfAlertKind::Disk, "")];
        for (alarm, state) in full.into_iter().zip([IncidentState::Firing, IncidentState::Resolved]) {
            engine.shared.telemetry.raise(alarm);
            tokio::time::sleep(Duration::from_secs(900)).await;
            let found = store.list_incidents(&IncidentFilter { limit: 9, ..IncidentFilter::default() }).await.expect("the incidents");
            let about = found.iter().filter(|incident| incident.group_key == "WatchfireDisk/");
            assert_eq!(about.map(|incident| incident.state).collect::<Vec<_>>(), [state]);
        }
    });
}

/// A configuration that was corrected and read by a start, and nodes of which the one that said that they differ was restarted last.
#[test]
fn what_an_earlier_process_alerted_about_ends_when_it_is_seen_to_be_over() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Paused::new(Disk::File(folder.path().to_owned()).open().await, BEGIN));
        let parts = EngineParts {
            store: store.clone(),
            plan: Arc::new(plan()),
            clock: Clock::runtime(BEGIN),
            metrics: Arc::new(Metrics::new()),
            node: "a",
            options: EngineOptions { leased: true, ..EngineOptions::default() },
        };
        let (engine, alarms) = Engine::new(parts);
        let engine = Arc::new(engine);
        engine.start().await.expect("the engine starts");
        for alarm in [SelfAlert::reload_failed("no"), SelfAlert::config_mismatch("a, b"), SelfAlert::listener_lost("chat", 0, "no")] {
            engine.accept(alarm.event(BEGIN, BEGIN, Language::En), Some(&["free".to_owned()])).await.expect("it is stored");
        }
        for (node, plan, minutes) in [("a", "one", 60), ("b", "two", 2)] {
            let beat =
                NodeHeartbeat { node: node.into(), plan: plan.into(), version: String::new(), now: BEGIN, alive_until: BEGIN + minutes * MINUTE };
            store.node_heartbeat(beat).await.expect("it is stored");
        }
        tokio::spawn(maintenance::run(engine.clone(), alarms, CancellationToken::new()));
        let open = async || {
            let found = store.list_incidents(&IncidentFilter { limit: 9, ..IncidentFilter::default() }).await.expect("the incidents");
            let open = found.into_iter().filter(|incident| incident.source == "watchfire" && incident.state.is_open());
            open.map(|incident| incident.group_key).collect::<Vec<_>>()
        };
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(open().await, ["WatchfireClusterConfigMismatch/"]);
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert!(open().await.is_empty());
    });
}

/// The first by name of the nodes that are alive leads: one that comes back takes over from another, which knows what it reported.
#[test]
fn who_reported_a_backlog_says_that_it_is_over_though_another_node_leads_by_then() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let parts = EngineParts {
            store: Arc::new(Paused::new(Disk::File(folder.path().to_owned()).open().await, BEGIN)),
            plan: Arc::new(plan()),
            clock: Clock::runtime(BEGIN),
            metrics: Arc::new(Metrics::new()),
            node: "b",
            options: EngineOptions { leased: true, ..EngineOptions::default() },
        };
        let (engine, mut alarms) = Engine::new(parts);
        let (shared, plan) = (&engine.shared, engine.shared.plan.load_full());
        let chat = plan.channel("chat").expect("a channel");
        let mut late = BTreeSet::new();
        let mut look = |leads: bool, minutes: u64| {
            shared.node.set_leader(leads.then(|| shared.clock.instant() + Duration::from_secs(3600)));
            maintenance::report_backlog(shared, Duration::from_secs(600), chat, Duration::from_secs(60 * minutes), &mut late);
            alarms.try_recv().ok().map(|alarm| (alarm.name(), alarm.event(BEGIN, BEGIN, Language::En).status))
        };
        assert_eq!(look(true, 11), Some(("WatchfireBacklog", Status::Firing)));
        assert_eq!(look(false, 12), None, "the leader says so");
        assert_eq!(look(false, 0), Some(("WatchfireBacklog", Status::Resolved)));
        assert_eq!(look(false, 0), None);
    });
}

/// What it last knew of an outlet was that this is suspended. Another node has it since, and may have it work.
#[test]
fn a_node_says_nothing_of_the_suspension_of_an_outlet_that_another_one_took_over() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Paused::new(Disk::File(folder.path().to_owned()).open().await, BEGIN));
        let (plan, clock) = (Arc::new(plan()), Clock::runtime(BEGIN));
        for outlet in plan.outlets() {
            let now = clock.wall();
            let claim = LeaseRequest { outlet: outlet.clone(), node: "before".into(), now, lease_until: now + 8000, window_start: now };
            let epoch = store.claim_outlet(claim).await.expect("a claim").expect("it is free").epoch;
            let fence = Fence { outlet, epoch };
            let update = OutletUpdate { suspension: Some(SuspensionChange::Suspend("no".into())), paused_until: None };
            store.set_outlet_state(fence.clone(), update).await.expect("it is stored");
            store.release_outlet(fence).await.expect("it is released");
        }
        let mut nodes = Vec::new();
        for name in ["a", "b"] {
            let (engine, _alarms) = Engine::new(EngineParts {
                store: store.clone(),
                plan: plan.clone(),
                clock: clock.clone(),
                metrics: Arc::new(Metrics::new()),
                node: name,
                options: EngineOptions { leased: true, ..EngineOptions::default() },
            });
            let mut node = Node { engine: Arc::new(engine), alive: None };
            node.engine.start().await.expect("the engine starts");
            node.turn();
            nodes.push(node);
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        let states = |node: &Node| plan.outlets().iter().map(|outlet| node.engine.outlet_state(outlet)).collect::<Vec<_>>();
        for state in nodes.iter().flat_map(states) {
            assert_eq!(state.suspended.is_some(), state.owned, "{state:?}");
        }
        assert_eq!(states(&nodes[1]).iter().filter(|state| state.owned).count(), plan.outlets().len() / 2, "the other node has its share");
    });
}
