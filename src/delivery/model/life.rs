//! One life of the server: a runtime with a paused clock, an engine over the store that the last life left, senders, and an end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::channel::Platform;
use crate::delivery::plan::{ChannelPlan, Legacy, Plan, RetentionPlan};
use crate::delivery::{Clock, Engine, EngineOptions, cluster, keeper};
use crate::metrics::Metrics;
use crate::model::{Alert, Event, Language, OutletKey, Recipient, Secret, SeverityScale, Status};
use crate::route::{Intervals, RouteSpec, Tree};
use crate::store::{DeliveryFilter, Place, PostgresStore, SqliteOptions, SqliteStore, Store};
use crate::template::{Library, PlatformFields};

use super::paused::{Paused, still};
use super::platform::{self, CHAT, FREE, Line, MAIL, VOICE, Wire};
use super::verdict;
use super::{Dice, Promise, World};

/// 2026-11-24 03:00 UTC.
const BEGIN: i64 = 1_795_489_200_000;
const CHANNELS: [(&str, &Platform); 4] = [("chat", &CHAT), ("mail", &MAIL), ("voice", &VOICE), ("free", &FREE)];

impl World {
    pub fn new(dice: &mut Dice) -> Self {
        let world = Self { wall: BEGIN.into(), truth: 0.into(), ..Self::default() };
        let wires = CHANNELS.iter().map(|(name, card)| (*name, Wire::new(name, card, dice.next()))).collect();
        Self { wires, ..world }
    }

    fn plan(&self, digest: bool, hash: &str) -> Plan {
        let channels: IndexMap<String, Arc<ChannelPlan>> = CHANNELS
            .iter()
            .map(|(name, card)| {
                let to = if *name == "mail" { vec!["a@x", "b@x", "c@x"] } else { vec![*name] };
                let plan = ChannelPlan {
                    name: (*name).into(),
                    platform: card,
                    outlet: OutletKey::new("log", name),
                    driver: Arc::new(Line(self.wires[name].clone())),
                    recipients: to.into_iter().map(Recipient::new).collect(),
                    template: "default".into(),
                    language: Language::En,
                    resolved: true,
                    mentions: Default::default(),
                    pace: Some(card.pace.limits.to_vec()).filter(|l| !l.is_empty()),
                    digest: digest.then_some(Duration::from_secs(30)),
                    timeout: Duration::from_secs(10),
                    max_age: Duration::from_secs(6 * 3600),
                    fallback: if *name == "voice" { vec!["mail".into()] } else { Vec::new() },
                    fallback_after: None,
                    per_month: None,
                    max_pages: 3,
                    disabled: false,
                    was: Vec::new(),
                };
                ((*name).to_owned(), Arc::new(plan))
            })
            .collect();
        let root = RouteSpec { name: "route".into(), to: vec!["chat".into()], ..RouteSpec::default() };
        let (templates, findings) = Library::compile(&[PlatformFields { platform: "log", fields: CHAT.fields }], Vec::new());
        assert!(findings.is_empty(), "{findings:?}");
        Plan {
            hash: hash.into(),
            channels,
            tree: Tree::compile(root, &Intervals::default()).expect("a tree"),
            templates: Arc::new(templates),
            scale: SeverityScale::default(),
            time_zone: TimeZone::UTC,
            external_url: String::new(),
            link_key: Secret::new("key"),
            dedup_window: Duration::ZERO,
            sites: Default::default(),
            legacy: Legacy::default(),
            self_to: Vec::new(),
            backlog_alarm: Duration::ZERO,
            retention: RetentionPlan::default(),
            heartbeats: Vec::new(),
        }
    }

    /// The next alert of a lane.
    fn next_uid(&self, lane: u64) -> String {
        let mut next = self.next.lock().unwrap();
        let seq = next.entry(lane).or_default();
        *seq += 1;
        format!("uidL{lane}S{seq}")
    }
}

/// Where a world's deliveries are kept.
pub enum Disk {
    /// In a file of this folder.
    File(PathBuf),
    /// In a schema of a real PostgreSQL, where the outlets are held by leases.
    Database(Place),
}

impl Disk {
    async fn open(&self) -> Arc<dyn Store> {
        match self {
            Disk::File(folder) => {
                let mut options = SqliteOptions::new(folder.join("model.db"));
                options.wait = true;
                Arc::new(SqliteStore::open(options).expect("the store opens"))
            }
            Disk::Database(place) => {
                let _still = still();
                Arc::new(PostgresStore::open(place.options()).await.expect("the store opens"))
            }
        }
    }
}

/// Runs one life; the last one goes on until everything is final, without faults.
pub fn live(world: &Arc<World>, disk: &Disk, dice: &mut Dice, last: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let leased = matches!(disk, Disk::Database(_));
    let lived = runtime.block_on(async { one(world, Arc::new(Paused(disk.open().await)), dice, last, leased).await });
    let crash = !lived.stopped;
    *world.wall.lock().unwrap() = lived.wall + 2000;
    *world.truth.lock().unwrap() = lived.truth + 2000;
    // Dropping the runtime drops every task where it stands: that is the crash.
    drop(runtime);
    assert!(crash || lived.stopped);
}

struct Lived {
    wall: i64,
    truth: i64,
    stopped: bool,
}

async fn one(world: &Arc<World>, store: Arc<Paused>, dice: &mut Dice, last: bool, leased: bool) -> Lived {
    let (wall, truth) = (*world.wall.lock().unwrap(), *world.truth.lock().unwrap());
    let clock = Clock::runtime(wall);
    let start = clock.instant();
    let life = dice.next();
    for wire in world.wires.values() {
        *wire.start.lock().unwrap() = Some((truth, start, life));
        *wire.trouble.lock().unwrap() = [0, 100, 250, 600][dice.below(4) as usize];
    }
    let digest = dice.permille(800);
    let plan = Arc::new(world.plan(digest, "a"));
    let (engine, alarms) =
        Engine::new(store.clone(), plan, clock.clone(), Arc::new(Metrics::new()), "model", EngineOptions { leased, ..EngineOptions::default() });
    let engine = Arc::new(engine);
    let cancel = CancellationToken::new();
    engine.start().await.expect("the engine starts");
    let nodes = CancellationToken::new();
    if leased {
        tokio::spawn(cluster::keep(engine.clone(), nodes.clone()));
    }
    tokio::spawn(keeper::keep(engine.clone(), alarms, cancel.clone()));
    let events = 20 + dice.below(200);
    let calm = dice.below(30_000);
    for _ in 0..events {
        let longest = if dice.permille(700) { 50 } else { calm };
        tokio::time::sleep(Duration::from_millis(dice.below(longest))).await;
        if dice.permille(8) {
            clock.jump(if dice.permille(500) { 3_600_000 } else { -3_600_000 });
        }
        if dice.permille(8) {
            engine.reload(Arc::new(world.plan(digest, "b"))).await.expect("a reload");
        }
        accept(world, &engine, dice).await;
    }
    if last {
        for wire in world.wires.values() {
            *wire.trouble.lock().unwrap() = 0;
        }
        wait_final(world, &engine, &store, start).await;
    } else {
        tokio::time::sleep(Duration::from_millis(dice.below(120_000))).await;
    }
    let stopped = last || dice.permille(300);
    if stopped {
        cancel.cancel();
        engine.stop(clock.instant() + Duration::from_secs(15)).await;
        nodes.cancel();
    }
    Lived { wall: clock.now_ms(), truth: truth + start.elapsed().as_millis() as i64, stopped }
}

async fn accept(world: &World, engine: &Engine, dice: &mut Dice) {
    let channel = CHANNELS[dice.below(4) as usize].0;
    let lane = dice.below(8) + 100 * CHANNELS.iter().position(|(n, _)| *n == channel).unwrap_or(0) as u64;
    let count = if dice.permille(100) { 1 + dice.below(40) } else { 1 + dice.below(3) };
    let mut severe = Vec::new();
    let alerts: Vec<Alert> = (0..count)
        .map(|_| {
            let uid = world.next_uid(lane);
            let severity = ["critical", "error", "warning", "info"][dice.below(4) as usize];
            let mut alert = Alert { status: Status::Firing, fingerprint: uid.clone(), ..Alert::default() };
            alert.labels.insert("alertname".into(), uid.clone());
            alert.labels.insert("severity".into(), severity.into());
            alert.labels.insert("pad".into(), "x".repeat(dice.below(200) as usize));
            severe.push((uid, severity == "critical" || severity == "error"));
            alert
        })
        .collect();
    let event = Event {
        source: "model".into(),
        receiver: "r".into(),
        group_key: format!("{channel}{lane}"),
        status: Status::Firing,
        alerts,
        ..Event::default()
    };
    let to = [channel.to_owned()];
    if let Ok(accepted) = engine.accept(event, Some(&to)).await {
        let mut ledger = world.ledger.lock().unwrap();
        for delivery in &accepted.deliveries {
            // One delivery carries all alerts of the event: its first severe one stands for it.
            let (uid, severe) = severe.iter().find(|(_, s)| *s).or(severe.first()).cloned().expect("an alert");
            let place = delivery.lane_seq as u64;
            ledger.insert(delivery.id, Promise { uid, channel, severe, lane, place });
        }
    }
}

async fn wait_final(world: &World, engine: &Engine, store: &Paused, start: tokio::time::Instant) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mut rows = Vec::new();
        let mut before = None;
        loop {
            let page = store.page(&DeliveryFilter { before, limit: 500, ..DeliveryFilter::default() }).await.expect("a page");
            before = page.last().map(|r| r.id);
            let end = page.len() < 500;
            rows.extend(page);
            if end {
                break;
            }
        }
        let open = rows.iter().filter(|r| !r.state.is_final()).count();
        if open == 0 {
            verdict::promises(world, &rows, "at the end");
            return;
        }
        let left: Vec<_> = rows
            .iter()
            .filter(|r| !r.state.is_final())
            .take(8)
            .map(|r| (&r.channel, &r.title, r.state, r.tries, r.born_at, r.due_at, &r.message, &r.reason))
            .collect();
        let states: Vec<_> = CHANNELS.iter().map(|(name, _)| (name, engine.outlet_state(&OutletKey::new("log", name)))).collect();
        assert!(start.elapsed() < Duration::from_secs(48 * 3600), "{open} of {} never end: {left:?}\n{states:#?}", rows.len());
    }
}

#[test]
fn names_read_back() {
    assert_eq!(platform::lane_of("uidL1003S17"), Some(1003));
}
