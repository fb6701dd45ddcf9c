//! The whole, measured beside its limits in one run: `cargo build --profile dist && cargo bench --bench load`. Loopback only, bounded in count.
//!
//! `WATCHFIRE_BIN` names another binary, `WATCHFIRE_ONLY` parts (`accept,stalls,consoles,forward,peers,nodes,mail,growth`), `WATCHFIRE_APPRISE`
//! a Python that has Apprise. Prints the tables of `benches/README.md`.

mod consoles;
mod forward;
mod mail;
mod others;
mod peers;
mod servers;
mod wire;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wire::{Cost, Run, post};

const EVENTS: usize = 20_000;

/// A process that ends with this one.
struct Process {
    child: Child,
    port: u16,
    /// Where it says how much has arrived.
    counter: u16,
}

impl Process {
    fn of(child: Child, port: u16) -> Self {
        Self { child, port, counter: port }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn server(kind: &str, target: &str) -> Process {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program).args(["--serve", kind, target]).stdout(Stdio::piped()).spawn().expect("a server");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its ports");
    let ports: Vec<u16> = line.split_whitespace().map(|port| port.parse().expect("a port")).collect();
    Process { counter: *ports.last().expect("a port"), port: ports[0], child }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

struct Bench {
    binary: PathBuf,
    folder: PathBuf,
    next: usize,
}

impl Bench {
    /// Watchfire with these channels and routes on an empty store; and how long it took to be ready.
    fn watchfire(&mut self, rest: &str) -> (Process, Duration) {
        let _ = std::fs::remove_dir_all(&self.folder);
        std::fs::create_dir_all(&self.folder).expect("a folder");
        let port = free_port();
        let text = format!("server: {{ listen: '127.0.0.1:{port}' }}\nstore: sqlite:w.db\n{rest}");
        std::fs::write(self.folder.join("routes.yaml"), text).expect("a file");
        self.start(port)
    }

    fn start(&self, port: u16) -> (Process, Duration) {
        let started = Instant::now();
        let log = std::fs::File::create(self.folder.join("log")).expect("a log");
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--no-watch"]).current_dir(&self.folder).env("WATCHFIRE_LOG", "warn").stdout(Stdio::null()).stderr(log);
        let process = Process::of(command.spawn().expect("Watchfire"), port);
        while get(port, "/-/ready").is_none() {
            assert!(started.elapsed() < Duration::from_secs(20), "{}", std::fs::read_to_string(self.folder.join("log")).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(1));
        }
        (process, started.elapsed())
    }

    /// Room for so many events that have not been posted yet.
    fn fresh(&mut self, count: usize) -> usize {
        self.next += count;
        self.next - count
    }
}

/// A body answered with 200.
fn get(port: u16, path: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.starts_with("HTTP/1.1 200").then(|| text.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
}

fn rss(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Seconds of both cores that a process has used.
fn cpu(process: &Process) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.child.id())).unwrap_or_default();
    // After the name: the state, then numbers; utime and stime are the 14th and 15th field of the line (proc_pid_stat(5)), in ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at - 3).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    (ticks(14) + ticks(15)) as f64 / 100.0
}

/// What a process has used up to now.
struct Used {
    cpu: f64,
    written: u64,
}

impl Used {
    fn by(process: &Process) -> Self {
        Self { cpu: cpu(process), written: written(process) }
    }

    /// What each of `count` requests has cost since then.
    fn each(&self, process: &Process, count: usize) -> Cost {
        let (now, count) = (Self::by(process), count.max(1) as f64);
        Cost { cpu_us: (now.cpu - self.cpu) * 1e6 / count, kib: (now.written - self.written) as f64 / 1024.0 / count }
    }
}

/// Bytes that a process has sent towards the disk (proc_pid_io(5)).
fn written(process: &Process) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{}/io", process.child.id())).unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0)
}

/// Waits until the sink has taken so many, and returns the time since `started`.
async fn arrived(sink: u16, count: usize, started: Instant) -> Duration {
    loop {
        let now = get(sink, "/count").and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0);
        if now >= count || started.elapsed() > Duration::from_secs(120) {
            return started.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn row(name: &str, run: &Run, ratio: Option<f64>) {
    let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let (cpu, kib) = run.cost.as_ref().map_or_else(Default::default, |cost| (format!("{:.0}", cost.cpu_us), format!("{:.1}", cost.kib)));
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| run.at(share));
    println!("| {name} | {:.0} | {ratio} | {p50:.1} | {p99:.1} | {p999:.1} | {cpu} | {kib} | {} |", run.rate(), run.bad);
}

const HEAD: &str = "| | a second | ratio | p50 ms | p99 ms | p99.9 ms | CPU µs each | KiB each | not 200 |\n|---|---|---|---|---|---|---|---|---|";
const OFF: &str =
    "channels: { off: { webhook: { url: 'http://127.0.0.1:9/', allow_networks: [127.0.0.1] }, disabled: true } }\nroute: { to: [off] }\n";

async fn measure(binary: PathBuf, only: &str) {
    let folder = std::env::temp_dir().join(format!("watchfire-load-{}", std::process::id()));
    let size = std::fs::metadata(&binary).map_or(0, |meta| meta.len());
    let mut bench = Bench { binary, folder, next: 0 };
    let wanted = |part: &str| only.is_empty() || only.split(',').any(|name| name == part);
    for connections in [32, 128] {
        if wanted("accept") {
            accept(&mut bench, connections).await;
        }
    }
    if wanted("stalls") {
        stalls(&mut bench).await;
    }
    if wanted("consoles") {
        consoles::consoles(&mut bench).await;
    }
    for connections in [32, 128] {
        if wanted("forward") {
            forward::forward(&mut bench, connections).await;
        }
    }
    if wanted("peers") {
        println!("\n### Others doing the same job, 3 alerts a body, 32 connections; the ratio is Watchfire's rate to theirs\n\n{HEAD}");
        peers::peers(&mut bench, 32).await;
    }
    if wanted("nodes") {
        others::nodes(&mut bench).await;
    }
    if wanted("mail") {
        mail::mail(&bench).await;
    }
    if wanted("growth") {
        growth(&mut bench).await;
    }
    let (_, ready) = bench.watchfire(OFF);
    println!("\nStart-up with an empty store: {:.0} ms. Binary: {:.1} MB.", ready.as_secs_f64() * 1000.0, size as f64 / 1e6);
    let _ = std::fs::remove_dir_all(&bench.folder);
}

async fn accept(bench: &mut Bench, connections: usize) {
    println!("\n### Taking in, 3 alerts a body, {connections} connections\n\n{HEAD}");
    let mut parsing = 0.0;
    for kind in ["read", "parse"] {
        let server = server(kind, "");
        post(server.port, "/", 0, 2000, connections, 3, None).await;
        let before = Used::by(&server);
        let mut run = post(server.port, "/", 0, EVENTS, connections, 3, None).await;
        run.cost = Some(before.each(&server, run.good));
        row(if kind == "read" { "bare axum, reads the body" } else { "bare axum, parses it, too" }, &run, None);
        parsing = run.rate();
    }
    println!("| the disk alone, {connections} bodies in a synced write | {:.0} | | | | | | | |", others::disk(bench, connections));
    let (watchfire, _) = bench.watchfire(OFF);
    let idle = rss(&watchfire);
    let from = bench.fresh(EVENTS + 2000);
    post(watchfire.port, "/webhook", from, 2000, connections, 3, None).await;
    let before = Used::by(&watchfire);
    let mut run = post(watchfire.port, "/webhook", from + 2000, EVENTS, connections, 3, None).await;
    run.cost = Some(before.each(&watchfire, run.good));
    row("**Watchfire**: parsed, routed, synced to disk", &run, Some(run.rate() / parsing));
    let half = run.rate() / 2.0;
    let from = bench.fresh(EVENTS / 2);
    let paced = post(watchfire.port, "/webhook", from, EVENTS / 2, connections, 3, Some(half)).await;
    row("Watchfire at half of that rate", &paced, None);
    println!("\nMemory: {idle} MiB idle, {} MiB under load.", rss(&watchfire));
}

/// A minute at full rate: how long anybody waited, and what the store takes afterwards.
async fn stalls(bench: &mut Bench) {
    let (watchfire, _) = bench.watchfire(OFF);
    let (mut run, started) = (Run::default(), Instant::now());
    while started.elapsed() < Duration::from_secs(60) {
        let from = bench.fresh(EVENTS);
        run.add(post(watchfire.port, "/webhook", from, EVENTS, 32, 3, None).await);
    }
    run.end(started);
    let long = run.latencies.iter().filter(|latency| **latency > Duration::from_millis(100)).count();
    println!(
        "\n### Stalls, 32 connections at full rate for {:.0} s\n\n{} bodies, {long} of them answered after more than 100 ms, the slowest after {:.0} ms.",
        run.took.as_secs_f64(),
        run.good,
        run.at(1.0)
    );
}

async fn growth(bench: &mut Bench) {
    println!("\n### Growth\n\n| | median of a request, ms | against the first |\n|---|---|---|");
    let mut first = 0.0;
    for routes in [10, 1000, 10_000] {
        let list: String = (0..routes).map(|n| format!("    - {{ matchers: 'team=\"t{n}\"', to: [off] }}\n")).collect();
        let rest = OFF.replace("route: { to: [off] }\n", &format!("route:\n  to: [off]\n  routes:\n{list}"));
        let (watchfire, _) = bench.watchfire(&rest);
        let from = bench.fresh(4000);
        let run = post(watchfire.port, "/webhook", from, 4000, 1, 3, None).await;
        first = if routes == 10 { run.at(0.5) } else { first };
        println!("| {routes} routes | {:.3} | {:.2} |", run.at(0.5), run.at(0.5) / first);
    }
    for alerts in [1, 10, 100] {
        let (watchfire, _) = bench.watchfire(OFF);
        let from = bench.fresh(2000);
        let run = post(watchfire.port, "/webhook", from, 2000, 1, alerts, None).await;
        first = if alerts == 1 { run.at(0.5) } else { first };
        println!("| {alerts} alerts a body | {:.3} | {:.2} |", run.at(0.5), run.at(0.5) / first);
    }
    for channels in [1, 100, 1000] {
        let list: String = (0..channels)
            .map(|n| format!("  off-{n}: {{ webhook: {{ url: 'http://127.0.0.1:9/{n}', allow_networks: [127.0.0.1] }}, disabled: true }}\n"))
            .collect();
        let (watchfire, _) = bench.watchfire(&format!("channels:\n{list}route: {{ to: [off-0] }}\n"));
        let from = bench.fresh(2000);
        let run = post(watchfire.port, "/webhook", from, 2000, 1, 3, None).await;
        first = if channels == 1 { run.at(0.5) } else { first };
        println!("| {channels} channels | {:.3} | {:.2} |", run.at(0.5), run.at(0.5) / first);
    }
    // Nobody listens there: everything waits.
    let away = "channels: { away: { webhook: { url: 'http://127.0.0.1:9/', allow_networks: [127.0.0.1] }, rate_limit: off, digest: off } }\nroute: { to: [away] }\n";
    let (watchfire, _) = bench.watchfire(away);
    let mut waiting = 0;
    for more in [0, 20_000, 80_000] {
        let from = bench.fresh(more + 2000);
        post(watchfire.port, "/webhook", from, more, 32, 3, None).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let run = post(watchfire.port, "/webhook", from + more, 2000, 1, 3, None).await;
        first = if more == 0 { run.at(0.5) } else { first };
        println!("| {} deliveries wait | {:.3} | {:.2} |", waiting + more, run.at(0.5), run.at(0.5) / first);
        waiting += more + 2000;
    }
}

fn main() {
    watchfire::channel::kit::install_crypto();
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if arguments.get(1).is_some_and(|word| word == "--serve") {
        return runtime.block_on(servers::serve(&arguments[2], arguments.get(3).map_or("", String::as_str)));
    }
    let binary = std::env::var_os("WATCHFIRE_BIN").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/dist/watchfire"), PathBuf::from);
    assert!(binary.exists(), "build it first: cargo build --profile dist");
    let only = std::env::var("WATCHFIRE_ONLY").unwrap_or_default();
    runtime.block_on(measure(binary, &only));
}
