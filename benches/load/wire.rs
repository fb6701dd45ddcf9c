//! The load itself: HTTP/1.1 on kept connections, written by hand, so that the generator takes as little as it can of the two cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How many shares the bodies have: a label by which a route can spread them over so many channels.
pub const SHARDS: usize = 32;

/// A body of so many alerts; `n` makes it an event and a lane of its own.
pub fn body(n: usize, alerts: usize) -> Vec<u8> {
    let alert = |i: usize| {
        json!({ "status": "firing", "startsAt": "2026-11-24T02:00:00Z", "fingerprint": format!("{n:012x}{i:04x}"),
            "labels": { "alertname": "DiskFull", "severity": "warning", "instance": format!("host-{n}-{i}"), "team": "db", "shard": format!("s{}", n % SHARDS) },
            "annotations": { "summary": "the disk is 97 % full", "description": "look at the largest folders first" } })
    };
    let alerts: Vec<Value> = (0..alerts).map(alert).collect();
    json!({ "version": "4", "status": "firing", "receiver": "r", "groupKey": format!("g{n}"), "alerts": alerts }).to_string().into_bytes()
}

/// What a request cost the server.
pub struct Cost {
    /// Microseconds of a core.
    pub cpu_us: f64,
    /// KiB written to the disk.
    pub kib: f64,
}

/// What a run came to.
#[derive(Default)]
pub struct Run {
    /// Answers of 200.
    pub good: usize,
    /// All others.
    pub bad: usize,
    /// How long it took.
    pub took: Duration,
    /// Latencies of the good ones, sorted.
    pub latencies: Vec<Duration>,
    /// What a good one cost, where it was measured.
    pub cost: Option<Cost>,
}

impl Run {
    /// Good answers a second.
    pub fn rate(&self) -> f64 {
        self.good as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// Takes the answers of another run to this one.
    pub fn add(&mut self, other: Self) {
        self.good += other.good;
        self.bad += other.bad;
        self.latencies.extend(other.latencies);
    }

    /// Ends a run that began then.
    pub fn end(&mut self, started: Instant) {
        self.took = started.elapsed();
        self.latencies.sort_unstable();
    }

    /// A percentile of the latencies, in milliseconds.
    pub fn at(&self, share: f64) -> f64 {
        let place = ((self.latencies.len() as f64 - 1.0) * share).max(0.0) as usize;
        self.latencies.get(place).copied().unwrap_or_default().as_secs_f64() * 1000.0
    }
}

/// Posts events `from..from + count` over so many connections; with `rate`, so many a second in all, and latencies count from when each was due.
pub async fn post(port: u16, path: &str, from: usize, count: usize, connections: usize, alerts: usize, rate: Option<f64>) -> Run {
    send(port, path, from, count, connections, rate, move |n| body(n, alerts)).await
}

/// Incidents that [`again`] is about.
pub const GROUPS: usize = 200;

/// Posts events `from..from + count` about the same incidents, whose texts change.
pub async fn again(port: u16, from: usize, count: usize, connections: usize) -> Run {
    let make = |n: usize| {
        let mut body: Value = serde_json::from_slice(&body(n % GROUPS, 3)).expect("a body");
        body["alerts"][0]["annotations"]["description"] = format!("look at the largest folders first, {n}").into();
        body.to_string().into_bytes()
    };
    send(port, "/webhook", from, count, connections, None, make).await
}

/// The same alerts as Prometheus sends them to Alertmanager, a group for each three.
pub async fn alerts(port: u16, from: usize, count: usize, connections: usize) -> Run {
    let make = |n: usize| {
        let alert = |i: usize| {
            json!({ "labels": { "alertname": "DiskFull", "severity": "warning", "instance": format!("host-{n}-{i}"), "team": "db", "group": format!("g{n}") },
                "annotations": { "summary": "the disk is 97 % full", "description": "look at the largest folders first" } })
        };
        Value::from((0..3).map(alert).collect::<Vec<_>>()).to_string().into_bytes()
    };
    send(port, "/api/v2/alerts", from, count, connections, None, make).await
}

async fn send(
    port: u16,
    path: &str,
    from: usize,
    count: usize,
    connections: usize,
    rate: Option<f64>,
    make: impl Fn(usize) -> Vec<u8> + Send + Copy + 'static,
) -> Run {
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (next, path) = (next.clone(), path.to_owned());
        tasks.spawn(async move {
            let mut run = Run::default();
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
            let _ = stream.set_nodelay(true);
            let mut answer = vec![0; 16 << 10];
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return run;
                }
                let body = make(from + n);
                let mut request =
                    format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())
                        .into_bytes();
                request.extend_from_slice(&body);
                let mut due = Instant::now();
                if let Some(rate) = rate {
                    due = started + Duration::from_secs_f64(n as f64 / rate);
                    tokio::time::sleep_until(due.into()).await;
                }
                if exchange(&mut stream, &request, &mut answer).await {
                    run.good += 1;
                    run.latencies.push(due.elapsed());
                } else {
                    run.bad += 1;
                }
            }
        });
    }
    let mut all = Run::default();
    tasks.join_all().await.into_iter().for_each(|run| all.add(run));
    all.end(started);
    all
}

/// One request and its answer; `true` for 200.
async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut [u8]) -> bool {
    if stream.write_all(request).await.is_err() {
        return false;
    }
    let mut held = 0;
    loop {
        match stream.read(&mut answer[held..]).await {
            Ok(n) if n > 0 => held += n,
            _ => return false,
        }
        let Some(end) = answer[..held].windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok()).unwrap_or(0);
        if held >= end + 4 + length {
            return head.starts_with("http/1.1 200");
        }
    }
}
