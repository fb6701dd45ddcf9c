//! One life of the server: a runtime with a paused clock, an engine over the store that the last life left, senders, and an end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::delivery::policy::MAX_BACKOFF;
use crate::delivery::{Clock, Engine, EngineOptions, EngineParts, cluster, maintenance};
use crate::metrics::Metrics;
use crate::model::{Alert, Event, Status, UnixMs};
use crate::store::{ClusterStore, DeliveryFilter, LeaseRequest, Place, PostgresStore, QueryStore, SqliteOptions, SqliteStore, State, Store};

use super::gates::Gates;
use super::paused::{Paused, still};
use super::plan::{BEGIN, CHANNELS};
use super::platform;
use super::verdict;
use super::{Dice, Nodes, Promise, World};

/// Where a world's deliveries are kept.
pub enum Disk {
    /// In a file of this folder.
    File(PathBuf),
    /// In a schema of a real PostgreSQL, where the outlets are held by leases.
    Database(Place),
}

impl Disk {
    pub(super) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Disk::File(folder) => {
                let mut options = SqliteOptions::new(folder.join("model.db"));
                options.wait = Some(crate::store::OpenProgress::new());
                // The threads of the life before may still be ending.
                Arc::new(SqliteStore::open_async(options).await.expect("the store opens"))
            }
            Disk::Database(place) => {
                let _still = still();
                let mut options = place.options();
                // Its timers are the runtime's, whose clock is held while the store works.
                options.patience = std::time::Duration::ZERO;
                Arc::new(PostgresStore::open(options).await.expect("the store opens"))
            }
        }
    }
}

/// Runs one life; the last one goes on until everything is final, without faults.
pub fn live(world: &Arc<World>, disk: &Disk, dice: &mut Dice, last: bool, nodes: Nodes) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let truth = *world.truth.lock().unwrap();
    let lived = runtime.block_on(async { one(world, Arc::new(Paused::new(disk.open().await, truth)), dice, last, nodes).await });
    let crash = !lived.stopped;
    *world.wall.lock().unwrap() = lived.wall + 2000;
    *world.truth.lock().unwrap() = lived.truth + 2000;
    // Dropping the runtime drops every task wherever it is: that is the crash.
    drop(runtime);
    assert!(crash || lived.stopped);
}

struct Lived {
    wall: UnixMs,
    truth: UnixMs,
    stopped: bool,
}

/// One of the processes that share a store.
pub(super) struct Node {
    pub(super) engine: Arc<Engine>,
    /// Ends its signs of life, as if it hung; they go on later.
    pub(super) alive: Option<CancellationToken>,
}

impl Node {
    fn start_to_beat(&mut self) {
        let alive = CancellationToken::new();
        tokio::spawn(cluster::run(self.engine.clone(), alive.clone()));
        self.alive = Some(alive);
    }

    /// Hangs or goes on.
    pub(super) fn turn(&mut self) {
        let shared = &self.engine.shared;
        tracing::info!(wall = %shared.clock.wall(), node = %shared.node.name, hangs = self.alive.is_some(), "a node hangs or goes on");
        match self.alive.take() {
            Some(alive) => alive.cancel(),
            None => self.start_to_beat(),
        }
    }
}

/// What a life works with.
pub(super) struct Life<'a> {
    pub(super) world: &'a World,
    pub(super) clock: Clock,
    pub(super) nodes: Vec<Node>,
    pub(super) store: Arc<Paused>,
    pub(super) gates: Arc<Gates>,
    digest: bool,
    /// No clock jumps in a life whose liveness is watched to the second.
    jumps: bool,
    start: tokio::time::Instant,
    truth: UnixMs,
}

async fn one(world: &Arc<World>, store: Arc<Paused>, dice: &mut Dice, last: bool, Nodes { count, leased }: Nodes) -> Lived {
    let (wall, truth) = (*world.wall.lock().unwrap(), *world.truth.lock().unwrap());
    let clock = Clock::runtime(wall);
    let start = clock.instant();
    let digest = dice.permille(800);
    let cancel = CancellationToken::new();
    let mut life = Life {
        world,
        clock: clock.clone(),
        nodes: Vec::new(),
        store: store.clone(),
        gates: Arc::default(),
        digest,
        jumps: dice.permille(400),
        start,
        truth,
    };
    life.begin(dice);
    for wire in world.wires.values() {
        *wire.trouble.lock().unwrap() = [0, 100, 250, 600][dice.below(4) as usize];
    }
    for name in ["a", "b"].into_iter().take(count) {
        let plan = Arc::new(world.plan(digest, "a"));
        let options = EngineOptions { leased, ..EngineOptions::default() };
        let (engine, alarms) =
            Engine::new(EngineParts { store: store.clone(), plan, clock: clock.clone(), metrics: Arc::new(Metrics::new()), node: name, options });
        let engine = Arc::new(engine);
        engine.start().await.expect("the engine starts");
        tokio::spawn(maintenance::run(engine.clone(), alarms, cancel.clone()));
        let mut node = Node { engine, alive: None };
        if leased {
            node.start_to_beat();
        }
        life.nodes.push(node);
    }
    let engines: Vec<Arc<Engine>> = life.nodes.iter().map(|node| node.engine.clone()).collect();
    tokio::spawn(life.gates.clone().watch(world.clone(), engines.clone(), store.clone(), clock.clone()));
    let events = 20 + dice.below(200);
    let calm = dice.below(30_000);
    for _ in 0..events {
        let longest = if dice.permille(700) { 50 } else { calm };
        tokio::time::sleep(Duration::from_millis(dice.below(longest))).await;
        life.happen(dice).await;
        let engine = &engines[dice.below(count as u64) as usize];
        accept(world, engine, dice).await;
    }
    life.calm_down().await;
    if std::mem::take(&mut world.shape.lock().unwrap().mute) > 0 {
        life.reload(dice).await;
    }
    if last {
        for wire in world.wires.values() {
            *wire.trouble.lock().unwrap() = 0;
        }
        wait_final(world, &engines[0], &store, start).await;
    } else {
        tokio::time::sleep(Duration::from_millis(dice.below(120_000))).await;
    }
    let violations = life.gates.violations.lock().unwrap().clone();
    assert!(violations.is_empty(), "{} violations of liveness: {:#?}", violations.len(), &violations[..violations.len().min(3)]);
    let stopped = last || dice.permille(300);
    if stopped {
        cancel.cancel();
        for node in &life.nodes {
            node.engine.stop(clock.instant() + Duration::from_secs(15)).await;
        }
        life.nodes.iter().filter_map(|node| node.alive.as_ref()).for_each(CancellationToken::cancel);
    }
    Lived { wall: clock.wall(), truth: truth + start.elapsed(), stopped }
}

impl Life<'_> {
    /// What the platforms have confirmed counts as told for as long as nothing breaks down.
    fn begin(&self, dice: &mut Dice) {
        let life = dice.next();
        for wire in self.world.wires.values() {
            *wire.start.lock().unwrap() = Some((self.truth, self.start, life));
        }
    }

    pub(super) fn engine(&self, dice: &mut Dice) -> &Arc<Engine> {
        &self.nodes[dice.below(self.nodes.len() as u64) as usize].engine
    }

    /// Now and then something other than an event.
    async fn happen(&mut self, dice: &mut Dice) {
        let now = self.clock.instant();
        if self.jumps && dice.permille(8) {
            let by = if dice.permille(500) { 3_600_000 } else { -3_600_000 };
            tracing::info!(wall = %self.clock.wall(), by, "the wall clock jumps");
            self.clock.jump(by);
            // By the clock that was set forward a try is due; it keeps its back-off.
            self.gates.disturb(now + MAX_BACKOFF);
        }
        if dice.permille(15) {
            {
                let mut shape = self.world.shape.lock().unwrap();
                match dice.below(4) {
                    0 => shape.renamed = !shape.renamed,
                    1 => shape.credential += 1,
                    2 => shape.mute = dice.below(3),
                    _ => {}
                }
                tracing::info!(wall = %self.clock.wall(), shape = ?*shape, "the configuration is loaded again");
            }
            self.reload(dice).await;
        }
        if dice.permille(30) {
            self.mute(dice).await;
        }
        if dice.permille(20) {
            self.by_hand(dice).await;
        }
        if dice.permille(6) {
            let engine = self.engine(dice).clone();
            tracing::info!(wall = %self.clock.wall(), node = %engine.shared.node.name, "something breaks down");
            if dice.permille(500) {
                engine.crash_an_attempt()
            } else {
                engine.crash_a_worker(dice.below(64) as usize)
            }
            self.begin(dice);
            self.gates.disturb(now);
        }
        if self.nodes.len() > 1 && dice.permille(10) {
            // Never both: then nobody could send.
            if self.nodes.iter().all(|node| node.alive.is_some()) {
                let node = dice.below(self.nodes.len() as u64) as usize;
                self.nodes[node].turn();
            } else {
                self.nodes.iter_mut().filter(|node| node.alive.is_none()).for_each(Node::turn);
            }
            // What it has begun may end after another node has taken over.
            for wire in self.world.wires.values() {
                wire.hung();
            }
            self.begin(dice);
            self.gates.disturb(now);
        }
    }

    /// Nodes load it one after another; meanwhile the others work by the old one.
    async fn reload(&self, dice: &mut Dice) {
        for (place, node) in self.nodes.iter().enumerate() {
            if place > 0 {
                tokio::time::sleep(Duration::from_millis(dice.below(20_000))).await;
            }
            node.engine.reload(Arc::new(self.world.plan(self.digest, "b"))).await.expect("a reload");
        }
        self.gates.disturb(self.clock.instant());
    }
}

async fn accept(world: &World, engine: &Engine, dice: &mut Dice) {
    let channel = CHANNELS[dice.below(4) as usize].0;
    let lane = dice.below(8) + 100 * CHANNELS.iter().position(|(n, _)| *n == channel).unwrap_or(0) as u64;
    let count = if dice.permille(100) { 1 + dice.below(40) } else { 1 + dice.below(3) };
    // Some take a route that is muted at times; what it defers shares its lane with what is not muted.
    let routed = (dice.permille(300) || platform::pages(lane)).then(|| dice.permille(500));
    let mut severe = Vec::new();
    let mut place = 0;
    let alerts: Vec<Alert> = (0..count)
        .map(|_| {
            let (uid, number) = world.next_uid(lane);
            place = number;
            let severity = ["critical", "error", "warning", "info"][dice.below(4) as usize];
            let mut alert = Alert { status: Status::Firing, fingerprint: uid.clone(), ..Alert::default() };
            alert.labels.insert("alertname".into(), uid.clone());
            alert.labels.insert("severity".into(), severity.into());
            alert.labels.insert("pad".into(), "x".repeat(dice.below(200) as usize));
            alert.labels.insert("to".into(), channel.into());
            alert.labels.insert("pages".into(), if platform::pages(lane) { "yes" } else { "no" }.into());
            alert.labels.insert("quiet".into(), if routed == Some(true) { "yes" } else { "no" }.into());
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
    let to = [world.shape.lock().unwrap().name(channel).0.to_owned()];
    if let Ok(accepted) = engine.accept(event, if routed.is_some() { None } else { Some(&to) }).await {
        let mut ledger = world.ledger.lock().unwrap();
        for delivery in &accepted.deliveries {
            // One delivery carries all alerts of the event: its first severe one represents it.
            let (uid, severe) = severe.iter().find(|(_, s)| *s).or(severe.first()).cloned().expect("an alert");
            // A mute by labels may defer it while it waits.
            let muted = delivery.state == State::Deferred || routed == Some(true);
            ledger.insert(delivery.id, Promise { uid, channel, severe, lane, place, muted });
        }
    }
}

async fn wait_final(world: &World, engine: &Engine, store: &Paused, start: tokio::time::Instant) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mut rows = Vec::new();
        let mut before = None;
        loop {
            let page = store.list_deliveries(&DeliveryFilter { before, limit: 500, ..DeliveryFilter::default() }).await.expect("a page");
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
        let plan = engine.shared.plan.load_full();
        let states: Vec<_> = plan.channels.values().map(|channel| (channel.name.clone(), engine.outlet_state(&channel.outlet))).collect();
        assert!(start.elapsed() < Duration::from_secs(48 * 3600), "{open} of {} never end: {left:?}\n{states:#?}", rows.len());
    }
}

#[test]
fn names_read_back() {
    assert_eq!(platform::lane_of("uidL1003S17"), Some(1003));
}

/// A process that is gone had every outlet under its node's name; it comes back while its leases last, and another node is to have half of them.
#[test]
fn what_an_earlier_process_had_goes_to_who_is_to_have_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let world = World::new(&mut Dice::new(1));
        let store = Arc::new(Paused::new(Disk::File(folder.path().to_owned()).open().await, UnixMs::EPOCH));
        let clock = Clock::runtime(BEGIN);
        let plan = Arc::new(world.plan(false, "a"));
        let now = clock.wall();
        for outlet in plan.outlets() {
            let claim = LeaseRequest { outlet, node: "a".into(), now, lease_until: now + 8000, window_start: now };
            store.claim_outlet(claim).await.expect("a claim").expect("it is free");
        }
        let mut nodes = Vec::new();
        for name in ["b", "a"] {
            let options = EngineOptions { leased: true, ..EngineOptions::default() };
            let (engine, _alarms) = Engine::new(EngineParts {
                store: store.clone(),
                plan: plan.clone(),
                clock: clock.clone(),
                metrics: Arc::new(Metrics::new()),
                node: name,
                options,
            });
            let mut node = Node { engine: Arc::new(engine), alive: None };
            node.engine.start().await.expect("the engine starts");
            node.start_to_beat();
            nodes.push(node);
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        for outlet in plan.outlets() {
            let owned: Vec<bool> = nodes.iter().map(|node| node.engine.outlet_state(&outlet).owned).collect();
            assert_eq!(owned.iter().filter(|owned| **owned).count(), 1, "{outlet:?} has one owner: {owned:?}");
        }
        let of_b = plan.outlets().iter().filter(|outlet| nodes[0].engine.outlet_state(outlet).owned).count();
        assert_eq!(of_b, plan.outlets().len() / 2, "the other node has its share");
    });
}
