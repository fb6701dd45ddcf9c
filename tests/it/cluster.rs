//! Three real processes on one real PostgreSQL: nodes and the database are killed at random under load, a node is cut off or hangs, nodes
//! come and go, and nothing is lost, nothing comes out of order, and no platform gets more than its pace in total.
//!
//! `WATCHFIRE_BLOWS=40 cargo test --test it cluster -- --nocapture` is the long run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::support::app::alert;
use crate::support::postgres::{Pooler, Postgres, Proxy, Wire};
use crate::support::turn::{long, turn};

/// Outlets without a pace, and the pace of the one that has one: a minute's worth, and how many within a second.
const OUTLETS: usize = 6;
const PER_MINUTE: usize = 60;
const BURST: usize = 2;
/// Watchfire's own alarm when nodes have different configurations.
const PLANS: &str = "WatchfireClusterConfigMismatch";
/// A lane for each sender.
const SENDERS: usize = 24;

/// One received message: when, and the alerts that it names.
type Received = HashMap<String, Vec<(Instant, Vec<String>)>>;
type Collector = Arc<Mutex<Received>>;

/// Which nodes sent to an outlet, one after the other.
type Tenures = Arc<Mutex<HashMap<String, Vec<String>>>>;

/// The receiving side: takes a little time, and writes down what came to which path.
async fn collector() -> (String, Collector) {
    let (base, seen, _) = collectors().await;
    (base, seen)
}

/// The same, with the nodes that sent.
async fn collectors() -> (String, Collector, Tenures) {
    let (seen, tenures) = (Collector::default(), Tenures::default());
    let take = |State((seen, tenures)): State<(Collector, Tenures)>, Path(outlet): Path<String>, headers: HeaderMap, body: axum::Json<Value>| async move {
        let node = headers["x-node"].to_str().unwrap().to_owned();
        {
            let mut tenures = tenures.lock().unwrap();
            let nodes = tenures.entry(outlet.clone()).or_default();
            if nodes.last() != Some(&node) {
                nodes.push(node);
            }
        }
        let name = |a: &Value| a["labels"]["uid"].as_str().or(a["labels"]["alertname"].as_str().filter(|name| *name == PLANS)).map(str::to_owned);
        let names = body["alerts"].as_array().into_iter().flatten().filter_map(name).collect();
        seen.lock().unwrap().entry(outlet).or_default().push((Instant::now(), names));
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    let app = axum::Router::new().route("/{outlet}", axum::routing::post(take)).with_state((seen.clone(), tenures.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (base, seen, tenures)
}

/// A node: its folder, its port, its process.
struct Node {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Node {
    fn new(store: &str, base: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let node = "headers: { X-Node: { env: WATCHFIRE_TEST_NODE } }";
        let outlets: String = (0..OUTLETS)
            .map(|n| format!("  free-{n}: {{ webhook: {{ url: \"{base}/free-{n}\", allow_networks: [127.0.0.1], {node} }}, rate_limit: off }}\n"))
            .collect();
        let names: Vec<String> = (0..OUTLETS).map(|n| format!("free-{n}")).collect();
        let routes = format!(
            "server: {{ listen: \"127.0.0.1:0\" }}\nstore: \"{store}\"\nchannels:\n{outlets}  paced: {{ webhook: {{ url: \"{base}/paced\", allow_networks: [127.0.0.1], {node} }}, \
             rate_limit: {{ per_minute: {PER_MINUTE}, burst: {BURST} }}, digest: off }}\nroute:\n  to: [{}]\n  routes:\n    - matchers: 'paced=\"yes\"'\n      to: [paced]\n",
            names.join(", ")
        );
        std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
        Self { folder, port, child: None }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let listen = format!("127.0.0.1:{}", self.port);
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(["serve", "--no-watch", "--listen", &listen]).current_dir(self.folder.path());
        command.env("WATCHFIRE_TEST_NODE", self.port.to_string());
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn up(client: &reqwest::Client, node: &Node) {
    for _ in 0..800 {
        if client.get(node.url("/-/ready")).send().await.is_ok_and(|r| r.status() == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("a node did not come up: {}", std::fs::read_to_string(node.log()).unwrap_or_default());
}

fn client() -> reqwest::Client {
    patient_for(Duration::from_secs(10))
}

fn patient_for(timeout: Duration) -> reqwest::Client {
    watchfire::channel::kit::install_crypto();
    reqwest::Client::builder().no_proxy().timeout(timeout).build().unwrap()
}

/// Senders that go from node to node until one takes what they have; each writes down what was taken.
fn send(ports: Vec<u16>, client: &reqwest::Client, over: &Arc<AtomicBool>) -> (Arc<Mutex<BTreeSet<String>>>, Vec<tokio::task::JoinHandle<()>>) {
    let ledger: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let senders = (0..SENDERS).map(|lane| {
        let (client, ledger, over, ports) = (client.clone(), ledger.clone(), over.clone(), ports.clone());
        tokio::spawn(async move {
            let mut n = 0;
            while !over.load(Ordering::Relaxed) {
                n += 1;
                let uid = format!("{lane:02}-{n:05}");
                let mut body = alert(&format!("lane{lane}"), &uid, "firing");
                body["alerts"][0]["labels"]["uid"] = uid.clone().into();
                body["alerts"][0]["fingerprint"] = uid.clone().into();
                // More than its pace allows go to the channel that has one: what waits there folds, lane by lane.
                if lane < 6 && n % 8 == 0 {
                    body["alerts"][0]["labels"]["paced"] = "yes".into();
                }
                for node in n.. {
                    let url = format!("http://127.0.0.1:{}/webhook", ports[node % ports.len()]);
                    if client.post(url).json(&body).send().await.is_ok_and(|answer| answer.status() == 200) {
                        ledger.lock().unwrap().insert(uid);
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        })
    });
    (ledger.clone(), senders.collect())
}

/// Alerts of the ledger that a path has not received.
fn missing(ledger: &BTreeSet<String>, seen: &Collector) -> Vec<String> {
    let seen = seen.lock().unwrap();
    let named = |outlet: &str| seen.get(outlet).into_iter().flatten().flat_map(|(_, names)| names).collect::<BTreeSet<_>>();
    let paced = named("paced");
    let free: Vec<BTreeSet<&String>> = (0..OUTLETS).map(|n| named(&format!("free-{n}"))).collect();
    ledger.iter().filter(|uid| !paced.contains(uid) && !free.iter().all(|names| names.contains(uid))).cloned().collect()
}

async fn all_there(ledger: &BTreeSet<String>, seen: &Collector, within: Duration) {
    let end = Instant::now() + within;
    loop {
        let missing = missing(ledger, seen);
        if missing.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{} of {} are missing: {:?}", missing.len(), ledger.len(), &missing[..missing.len().min(10)]);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Within a lane and outlet nothing is named for the first time after something that came later.
fn in_order(seen: &Received) {
    for (outlet, messages) in seen {
        let mut last: BTreeMap<&str, &str> = BTreeMap::new();
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for uid in messages.iter().flat_map(|(_, names)| names).filter(|uid| known.insert(uid)) {
            let (lane, n) = uid.split_once('-').unwrap();
            let before = last.insert(lane, n);
            assert!(before.is_none_or(|before| before < n), "{outlet}: {uid} came after {lane}-{}", before.unwrap_or_default());
        }
    }
}

/// How many alerts came in more than one message of an outlet.
fn repeats(seen: &Received) -> usize {
    let count = |messages: &Vec<(Instant, Vec<String>)>| {
        let mut times: HashMap<&String, usize> = HashMap::new();
        messages.iter().flat_map(|(_, names)| names).for_each(|uid| *times.entry(uid).or_default() += 1);
        times.values().filter(|times| **times > 1).count()
    };
    seen.values().map(count).sum()
}

/// The most messages in any window.
fn most(messages: &[(Instant, Vec<String>)], window: Duration) -> usize {
    let within = |i: usize| messages[i..].iter().take_while(|(at, _)| at.duration_since(messages[i].0) < window).count();
    (0..messages.len()).map(within).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_the_database_are_killed_and_nothing_is_lost() {
    let _turn = turn().await;
    let Some(mut database) = Postgres::start() else { return };
    let blows: usize = std::env::var("WATCHFIRE_BLOWS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let (base, seen) = collector().await;
    let client = client();
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::new(&database.url(), &base)).collect();
    for node in &mut nodes {
        node.start();
    }
    for node in &nodes {
        up(&client, node).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let (ledger, senders) = send(nodes.iter().map(|node| node.port).collect(), &client, &over);
    let mut random = 0x2545_F491_4F6C_DD1Du64 ^ u64::from(std::process::id());
    tokio::time::sleep(Duration::from_secs(4)).await;
    for blow in 0..blows {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if blow % 4 == 2 {
            database.crash();
            tokio::time::sleep(Duration::from_millis(300 + random % 1500)).await;
            database.run();
        } else {
            let node = &mut nodes[random as usize % 3];
            node.kill();
            tokio::time::sleep(Duration::from_millis(random % 2000)).await;
            node.start();
        }
        tokio::time::sleep(Duration::from_millis(1000 + random % 2000)).await;
    }
    // One node goes for good: how long until the others send everything that was its own to send?
    tokio::time::sleep(Duration::from_secs(6)).await;
    nodes[2].kill();
    let gone = Instant::now();
    tokio::time::sleep(Duration::from_secs(14)).await;
    let longest = {
        let seen = seen.lock().unwrap();
        let first = |outlet: usize| seen[&format!("free-{outlet}")].iter().map(|(at, _)| *at).find(|at| *at > gone + Duration::from_millis(200));
        (0..OUTLETS).map(|outlet| first(outlet).map_or(Duration::MAX, |at| at - gone)).max().unwrap()
    };
    // A blow to its owner costs the paced channel a lease: the load goes on until its pace has been felt.
    let felt = || most(&seen.lock().unwrap()["paced"], Duration::from_secs(60)) > PER_MINUTE / 4;
    for _ in 0..40 {
        if felt() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let ledger = ledger.lock().unwrap().clone();
    all_there(&ledger, &seen, Duration::from_secs(90)).await;
    let seen = seen.lock().unwrap();
    in_order(&seen);
    let (minute, second) = (most(&seen["paced"], Duration::from_secs(60)), most(&seen["paced"], Duration::from_secs(1)));
    let (twice, total) = (repeats(&seen), ledger.len());
    println!(
        "{blows} blows, {total} acknowledged, lost 0, {twice} repeated, at most {minute} paced a minute and {second} a second, failover {longest:?}"
    );
    assert!(total > 50 * blows.min(20), "too little load to mean anything: {total}");
    assert!(longest < Duration::from_secs(10), "an outlet stood still for {longest:?} after its node had died");
    assert!(minute <= PER_MINUTE && second <= BURST, "{minute} in a minute, {second} in a second");
    assert!(minute > PER_MINUTE / 4, "{minute} in a minute do not come near the pace");
    // What was under way at a blow may have left without its record: on each outlet at most what it sends at once.
    assert!(twice <= (blows + 1) * (OUTLETS + 1) * 4 * 200, "{twice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_loses_its_outlets_and_sends_nothing_more() {
    let _turn = turn().await;
    let Some(database) = Postgres::start() else { return };
    let (base, seen, tenures) = collectors().await;
    let client = client();
    let proxy = Proxy::to(database.port).await;
    let mut nodes = vec![Node::new(&database.url(), &base), Node::new(&database.url_at(proxy.port), &base)];
    for node in &mut nodes {
        node.start();
    }
    for node in &nodes {
        up(&client, node).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    // A node that hangs takes connections and never answers: senders that waited long for it would all hang with it.
    let hasty = patient_for(Duration::from_millis(700));
    let (ledger, senders) = send(nodes.iter().map(|node| node.port).collect(), &hasty, &over);
    tokio::time::sleep(Duration::from_secs(5)).await;
    // A connection that hangs is the hardest to notice. In the long run it is also cut, and last the node itself is stopped.
    let wires = if long() { &[Wire::Stalled, Wire::Cut, Wire::Open][..] } else { &[Wire::Stalled] };
    for wire in wires.iter().copied() {
        proxy.set(wire);
        if wire == Wire::Open {
            nodes[1].signal("-STOP");
        }
        tokio::time::sleep(Duration::from_secs(13)).await;
        // Everything goes on through the other node, and a caller of the one without a database gets 503.
        let since = Instant::now();
        for outlet in 0..OUTLETS {
            let news = || seen.lock().unwrap()[&format!("free-{outlet}")].iter().any(|(at, _)| *at > since);
            while !news() {
                assert!(since.elapsed() < Duration::from_secs(30), "{wire:?}: nothing comes to free-{outlet} through the other node");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        if wire == Wire::Open {
            nodes[1].signal("-CONT");
        } else {
            let refused = client.post(nodes[1].url("/webhook")).json(&alert("x", "X", "firing")).send().await;
            assert!(refused.is_ok_and(|answer| answer.status() == 503 && answer.headers().contains_key("retry-after")), "{wire:?}");
        }
        proxy.set(Wire::Open);
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let ledger = ledger.lock().unwrap().clone();
    all_there(&ledger, &seen, Duration::from_secs(60)).await;
    let seen = seen.lock().unwrap();
    in_order(&seen);
    // Lost to the other node, and had back.
    one_at_a_time(&database, &tenures, 3);
    println!("{} acknowledged, lost 0, {} repeated", ledger.len(), repeats(&seen));
}

/// An outlet changes hands only by a new epoch: a node that sent after another had taken its outlet over would show as a change without one.
fn one_at_a_time(database: &Postgres, tenures: &Tenures, least: usize) {
    let epochs: usize = database.sql("SELECT sum(epoch) FROM watchfire.outlet").trim().parse().unwrap();
    let tenures = tenures.lock().unwrap();
    let changes: usize = tenures.values().map(Vec::len).sum();
    assert!(changes <= epochs, "{changes} tenures by what arrived, {epochs} by the database: {tenures:?}");
    assert!(tenures.values().any(|nodes| nodes.len() >= least), "no outlet had {least} owners in turn: {tenures:?}");
}

/// How many outlets each node owns, by name.
async fn shares(client: &reqwest::Client, node: &Node) -> Vec<u64> {
    let body: Value = client.get(node.url("/api/v1/nodes")).send().await.unwrap().json().await.unwrap();
    assert_eq!(body["same_config"], true, "{body}");
    body["nodes"].as_array().unwrap().iter().map(|node| node["outlets"].as_u64().unwrap()).collect()
}

/// Waits until so many nodes share the outlets, each with its fair share; returns how long that took.
async fn shared(client: &reqwest::Client, node: &Node, count: usize) -> Duration {
    let begun = Instant::now();
    loop {
        let now = shares(client, node).await;
        let fair = (OUTLETS + 1).div_ceil(count) as u64;
        if now.len() == count && now.iter().sum::<u64>() == OUTLETS as u64 + 1 && now.iter().all(|n| *n <= fair) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{now:?} of {count} nodes");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_come_and_go_share_the_outlets_and_repeat_nothing() {
    let _turn = turn().await;
    let Some(database) = Postgres::start() else { return };
    let (base, seen, tenures) = collectors().await;
    let client = client();
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::new(&database.url(), &base)).collect();
    for node in &mut nodes[..2] {
        node.start();
    }
    for node in &nodes[..2] {
        up(&client, node).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let (ledger, senders) = send(nodes[..2].iter().map(|node| node.port).collect(), &client, &over);
    shared(&client, &nodes[0], 2).await;
    nodes[2].start();
    up(&client, &nodes[2]).await;
    let joined = shared(&client, &nodes[0], 3).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    // Stopped in good order, it does not make anybody wait for its leases.
    nodes[2].signal("-TERM");
    let left = shared(&client, &nodes[0], 2).await;
    assert!(nodes[2].child.as_mut().unwrap().wait().unwrap().success());
    assert!(left < Duration::from_secs(6), "a stop must not take as long as a lease: {left:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let ledger = ledger.lock().unwrap().clone();
    all_there(&ledger, &seen, Duration::from_secs(60)).await;
    let seen = seen.lock().unwrap();
    in_order(&seen);
    // The node that comes may get a single outlet.
    one_at_a_time(&database, &tenures, 2);
    assert_eq!(repeats(&seen), 0, "who hands over in good order repeats nothing");
    println!("{} acknowledged; shared out {joined:?} after a node came, {left:?} after it was told to go", ledger.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_behind_a_pooler_in_transaction_mode_lose_nothing() {
    let _turn = turn().await;
    let Some(database) = Postgres::start() else { return };
    let Some(pooler) = Pooler::start(&database) else { return };
    let (base, seen) = collector().await;
    let client = client();
    let mut nodes: Vec<Node> = (0..2).map(|_| Node::new(&database.url_at(pooler.port), &base)).collect();
    for node in &mut nodes {
        node.start();
    }
    for node in &nodes {
        up(&client, node).await;
    }
    shared(&client, &nodes[0], 2).await;
    let over = Arc::new(AtomicBool::new(false));
    let (ledger, senders) = send(nodes.iter().map(|node| node.port).collect(), &client, &over);
    tokio::time::sleep(Duration::from_secs(4)).await;
    // A call of one node that the other has to make: without hints it is found by looking.
    for channel in ["free-0", "free-1", "free-2", "free-3"] {
        let answer = client.post(nodes[0].url(&format!("/api/v1/channels/{channel}/test"))).json(&json!({ "text": "now" })).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["results"][0]["ok"], true, "{body}");
    }
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let ledger = ledger.lock().unwrap().clone();
    all_there(&ledger, &seen, Duration::from_secs(60)).await;
    let seen = seen.lock().unwrap();
    in_order(&seen);
    assert_eq!(repeats(&seen), 0);
    let errors = std::fs::read_to_string(nodes[0].log()).unwrap();
    assert!(!errors.contains("\"ERROR\"") && !errors.contains("prepared statement"), "{errors}");
    println!("{} acknowledged through {} connections of the pooler", ledger.len(), Pooler::CONNECTIONS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_call_is_answered_by_any_node_and_a_plan_that_differs_is_told() {
    let Some(database) = Postgres::start() else { return };
    let (base, seen) = collector().await;
    let client = client();
    let mut nodes: Vec<Node> = (0..2).map(|_| Node::new(&database.url(), &base)).collect();
    for node in &mut nodes {
        let file = node.folder.path().join("routes.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}self_monitoring: {{ to: [free-5] }}\n")).unwrap();
        node.start();
    }
    for node in &nodes {
        up(&client, node).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    for node in &nodes {
        for channel in ["free-0", "free-1", "free-2"] {
            let begun = Instant::now();
            let answer = client.post(node.url(&format!("/api/v1/channels/{channel}/test"))).json(&json!({ "text": "now" })).send().await.unwrap();
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["results"][0]["ok"], true, "{body}");
            assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
        }
    }
    let calls: usize = (0..3).map(|n| seen.lock().unwrap()[&format!("free-{n}")].len()).sum();
    assert_eq!(calls, 6, "each call went out once");

    let file = nodes[1].folder.path().join("routes.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}language: zh\n")).unwrap();
    client.post(nodes[1].url("/-/reload")).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    for node in &nodes {
        let metrics = client.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("watchfire_cluster_members 2") && metrics.contains("watchfire_cluster_config_versions 2"), "{metrics}");
        assert!(std::fs::read_to_string(node.log()).unwrap().contains("nodes have different configurations"));
    }
    let body: Value = client.get(nodes[0].url("/api/v1/nodes")).send().await.unwrap().json().await.unwrap();
    assert_eq!(body["same_config"], false, "{body}");
    let alarms = || seen.lock().unwrap().get("free-5").into_iter().flatten().filter(|(_, names)| names == &[PLANS]).count();
    assert_eq!(alarms(), 1, "one node tells it, once");
    std::fs::write(&file, text).unwrap();
    client.post(nodes[1].url("/-/reload")).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    shared(&client, &nodes[1], 2).await;
    assert_eq!(alarms(), 2, "and that it is over");
}
