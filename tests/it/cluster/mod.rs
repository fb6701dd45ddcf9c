//! Three real processes on one real PostgreSQL: nodes and the database are killed at random under load, a node is cut off or hangs, nodes
//! come and go, and nothing is lost, nothing comes out of order, and no platform gets more than its pace in total.
//!
//! `WATCHFIRE_BLOWS=40 cargo test --test it cluster -- --nocapture` is the long run.

mod blows;
mod night;
mod sharing;

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
use crate::support::serial::{long, turn};

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
fn send(nodes: &[Node], client: &reqwest::Client) -> Load {
    let ports: Vec<u16> = nodes.iter().map(|node| node.port).collect();
    let (ledger, over): (Arc<Mutex<BTreeSet<String>>>, Arc<AtomicBool>) = Default::default();
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
    let senders = senders.collect();
    Load { ledger, over, senders }
}

/// Senders at work, and what was acknowledged to them.
struct Load {
    ledger: Arc<Mutex<BTreeSet<String>>>,
    over: Arc<AtomicBool>,
    senders: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Ends it, and waits until all that was acknowledged has come.
    async fn end(self, seen: &Collector, within: Duration) -> BTreeSet<String> {
        self.over.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.unwrap();
        }
        let ledger = self.ledger.lock().unwrap().clone();
        all_there(&ledger, seen, within).await;
        ledger
    }
}

/// Starts nodes, and waits until they answer.
async fn start(client: &reqwest::Client, nodes: &mut [Node]) {
    nodes.iter_mut().for_each(Node::start);
    for node in nodes {
        up(client, node).await;
    }
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

/// An outlet changes hands only by a new epoch: a node that sent after another had taken its outlet over would show as a change without one.
fn one_at_a_time(database: &Postgres, tenures: &Tenures) {
    let epochs: usize = database.sql("SELECT sum(epoch) FROM watchfire.outlet").trim().parse().unwrap();
    let tenures = tenures.lock().unwrap();
    let changes: usize = tenures.values().map(Vec::len).sum();
    assert!(changes <= epochs, "{changes} tenures by what arrived, {epochs} by the database: {tenures:?}");
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
