//! A backlog of a million deliveries, measured: `cargo build --profile dist && cargo run --profile dist --example backlog -- target/dist/watchfire [EVENTS [GROUPS [STORE]]]`.
//!
//! Ten channels whose platform refuses connections, EVENTS events (100,000 unless said otherwise) of three alerts in as many groups: ten deliveries
//! and lanes each. With GROUPS the events are about so many incidents; STORE is another store, such as `postgres://...`, which must be empty. Prints memory,
//! accept latency before and with the backlog, how long pages of the console take, and the time from a restart to the first delivery. Loopback only.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use serde_json::{Value, json};

const CHANNELS: usize = 10;
const SENDERS: usize = 64;

/// The body of event `n`, about one of so many incidents.
fn body(n: usize, groups: usize) -> Vec<u8> {
    let (event, n) = (n, n % groups);
    let alert = |i: usize| {
        json!({ "status": "firing", "startsAt": "2026-11-24T02:00:00Z", "fingerprint": format!("{n:012x}{i:04x}"),
            "labels": { "alertname": "DiskFull", "severity": "warning", "instance": format!("host-{n}-{i}"), "team": "db" },
            "annotations": { "summary": "the disk is 97 % full", "description": format!("look at the largest folders first, {event}") } })
    };
    let alerts: Vec<Value> = (0..3).map(alert).collect();
    json!({ "version": "4", "status": "firing", "receiver": "r", "groupKey": format!("g{n}"), "alerts": alerts }).to_string().into_bytes()
}

fn rss(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

async fn up(client: &reqwest::Client, base: &str) {
    while !client.get(format!("{base}/-/ready")).send().await.is_ok_and(|r| r.status().is_success()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Posts events `from..to`; the latencies, sorted.
async fn post(client: &reqwest::Client, base: &str, groups: usize, from: usize, to: usize, senders: usize) -> Vec<Duration> {
    let next = Arc::new(AtomicUsize::new(from));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..senders {
        let (client, url, next) = (client.clone(), format!("{base}/webhook"), next.clone());
        tasks.spawn(async move {
            let mut took = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= to {
                    return took;
                }
                let started = Instant::now();
                let status = client.post(&url).body(body(n, groups)).send().await.map(|r| r.status().as_u16()).unwrap_or(0);
                if status == 200 {
                    took.push(started.elapsed());
                } else {
                    eprintln!("event {n}: status {status}");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        });
    }
    let mut all: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    all.sort();
    all
}

/// How long a page takes, twenty times; sorted.
async fn pages(client: &reqwest::Client, base: &str, path: &str) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        let answer = client.get(format!("{base}{path}")).send().await.and_then(reqwest::Response::error_for_status).expect("the page");
        answer.bytes().await.expect("the whole page");
        took.push(started.elapsed());
    }
    took.sort();
    took
}

fn percentiles(took: &[Duration]) -> String {
    let at = |p: f64| took.get(((took.len() as f64 - 1.0) * p) as usize).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}, max {:?}", at(0.5), at(0.99), at(1.0))
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let binary = std::fs::canonicalize(args.next().expect("the server's binary")).expect("the server's binary");
    let events: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    // As many as there are events, unless said otherwise.
    let groups: usize = args.next().and_then(|n| n.parse().ok()).filter(|groups| *groups > 0).unwrap_or(usize::MAX);
    let store = args.next().unwrap_or_else(|| "sqlite:w.db".into());
    watchfire::channel::kit::install_crypto();
    let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let (port, platform) = (free(), free());
    let folder = std::env::temp_dir().join(format!("watchfire-backlog-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let channels: String = (0..CHANNELS)
        .map(|c| {
            format!(
                "  c{c}: {{ rate_limit: off, digest: off, slack: {{ token: t{c}, channel: C{c}, api_base: \"http://127.0.0.1:{platform}\" }} }}\n"
            )
        })
        .collect();
    let names = (0..CHANNELS).map(|c| format!("c{c}")).collect::<Vec<_>>().join(", ");
    let routes = format!("server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: '{store}'\nchannels:\n{channels}route: {{ to: [{names}] }}\n");
    std::fs::write(folder.join("routes.yaml"), routes).expect("routes.yaml");
    let serve = || {
        Command::new(&binary)
            .args(["serve", "--no-watch"])
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server")
    };
    let base = format!("http://127.0.0.1:{port}");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut child = serve();
    up(&client, &base).await;
    println!("idle: {} MiB", rss(&child));
    let quiet = post(&client, &base, groups, 0, 1000, 4).await;
    println!("accept with an empty store, 4 senders: {}", percentiles(&quiet));
    let started = Instant::now();
    let loaded = post(&client, &base, groups, 1000, events, SENDERS).await;
    println!(
        "{} events, {} deliveries in {:?} ({:.0} events/s), {SENDERS} senders: {}",
        events,
        events * CHANNELS,
        started.elapsed(),
        (events - 1000) as f64 / started.elapsed().as_secs_f64(),
        percentiles(&loaded)
    );
    println!("with the backlog: {} MiB, store {} MiB", rss(&child), std::fs::metadata(folder.join("w.db")).map_or(0, |m| m.len() >> 20));
    // The log of those writes is moved into the file first; what is measured is the backlog, not the burst.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let after = post(&client, &base, groups, events, events + 1000, 4).await;
    println!("accept with the backlog, 4 senders: {}", percentiles(&after));
    for path in ["/ui", "/ui/history", "/ui/history?channel=c0&state=waiting", "/ui/history?view=incidents", "/ui/dead", "/ui/channels", "/ui/audit"]
    {
        println!("console, {path}: {}", percentiles(&pages(&client, &base, path).await));
    }
    child.kill().expect("a kill");
    let _ = child.wait();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let app = Router::new().fallback(move |_: Bytes| {
        count.fetch_add(1, Ordering::Relaxed);
        async { r#"{"ok":true,"channel":"C0","ts":"1.1"}"# }
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", platform)).await.expect("the platform's port");
    tokio::spawn(async move { axum::serve(listener, app).await });
    let started = Instant::now();
    let mut child = serve();
    up(&client, &base).await;
    println!("restart: ready after {:?}", started.elapsed());
    while seen.load(Ordering::Relaxed) == 0 && started.elapsed() < Duration::from_secs(600) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("restart: first delivery after {:?}, {} MiB", started.elapsed(), rss(&child));
    tokio::time::sleep(Duration::from_secs(20)).await;
    println!("after 20 s more: {} delivered, {} MiB", seen.load(Ordering::Relaxed), rss(&child));
    child.kill().expect("a kill");
    let _ = child.wait();
    let _ = std::fs::remove_dir_all(&folder);
}
