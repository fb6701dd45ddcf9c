//! What is measured beside the main job: the disk alone, other programs doing the same job, and several nodes on one PostgreSQL.

#[allow(dead_code)] // the tests use more of it
#[path = "../../tests/it/support/postgres.rs"]
mod postgres;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::wire::{Run, alerts, body, post};
use super::{Bench, Process, arrived, get, row, server};

/// Bodies a second that the disk alone takes, so many in one synced write: the limit of group commit.
pub fn disk(bench: &Bench, together: usize) -> f64 {
    std::fs::create_dir_all(&bench.folder).expect("a folder");
    let path = bench.folder.join("raw");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).expect("a file");
    let block: Vec<u8> = (0..together).flat_map(|n| body(n, 3)).collect();
    let (started, mut commits) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(2) {
        file.write_all(&block).and_then(|()| file.sync_data()).expect("a synced write");
        commits += 1;
    }
    let _ = std::fs::remove_file(path);
    (commits * together) as f64 / started.elapsed().as_secs_f64()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

/// Waits until a program answers, at most so long.
fn ready(port: u16, path: &str, within: Duration) -> bool {
    let started = Instant::now();
    while get(port, path).is_none() {
        if started.elapsed() > within {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Alertmanager by itself: alerts by its API, a group each, one webhook each.
pub async fn alertmanager(bench: &mut Bench, connections: usize) {
    let sink = server("sink", "");
    let _ = std::fs::remove_dir_all(&bench.folder);
    std::fs::create_dir_all(&bench.folder).expect("a folder");
    let port = free_port();
    let config = format!(
        "route: {{ receiver: out, group_by: [group], group_wait: 0s, group_interval: 1h, repeat_interval: 4h }}\n\
         receivers: [{{ name: out, webhook_configs: [{{ url: 'http://127.0.0.1:{}/' }}] }}]\n",
        sink.port
    );
    std::fs::write(bench.folder.join("am.yml"), config).expect("a file");
    let mut command = Command::new("prometheus-alertmanager");
    command.args(["--config.file=am.yml", "--storage.path=am", "--cluster.listen-address=", "--log.level=error"]);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).current_dir(&bench.folder).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        println!("| Alertmanager | not installed | | | | | |");
        return;
    };
    let manager = Process { child, port };
    assert!(ready(port, "/-/ready", Duration::from_secs(20)), "Alertmanager does not start");
    let (count, started) = (5000, Instant::now());
    let from = bench.fresh(count);
    let mut run = alerts(manager.port, from, count, connections).await;
    run.took = arrived(sink.port, run.good, started).await;
    row("Alertmanager to a webhook, nothing synced", &run, None);
}

const APPRISE: &str = r#"
import http.server, json, socketserver, sys
import apprise
target = apprise.Apprise()
target.add(sys.argv[2])
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, code):
        self.send_response(code); self.send_header("Content-Length", "0"); self.end_headers()
    def do_GET(self):
        self.answer(200)
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = "\n".join(alert["annotations"]["summary"] for alert in body["alerts"])
        self.answer(200 if target.notify(title=body["alerts"][0]["labels"]["alertname"], body=text) else 502)
    def log_message(self, *_):
        pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

/// Apprise's library behind Python's own HTTP server: what Apprise API does for a message, with less around it. `python` is one that has it.
pub async fn apprise(bench: &mut Bench, python: &str, connections: usize) {
    let sink = server("sink", "");
    let port = free_port();
    let target = format!("json://127.0.0.1:{}/", sink.port);
    let mut command = Command::new(python);
    command.args(["-c", APPRISE, &port.to_string(), &target]).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        println!("| Apprise | {python} is not there | | | | | |");
        return;
    };
    let process = Process { child, port };
    if !ready(port, "/", Duration::from_secs(20)) {
        println!("| Apprise | {python} has no apprise | | | | | |");
        return;
    }
    let (count, started) = (1000, Instant::now());
    let from = bench.fresh(count);
    let mut run = post(process.port, "/", from, count, connections, 3, None).await;
    run.took = arrived(sink.port, run.good, started).await;
    row("Apprise to a webhook, keeps nothing", &run, None);
}

/// The same work on SQLite, and then one to three nodes on one PostgreSQL: each takes in its share, and delivers to channels of which each node owns
/// some.
pub async fn nodes(bench: &mut Bench) {
    println!("\n### Several nodes on one PostgreSQL, all on these cores, 3 alerts a body, 32 connections\n\n{}", super::HEAD);
    end_to_end(bench, "SQLite", 1, "sqlite:w.db").await;
    for count in 1..=3 {
        let Some(postgres) = postgres::Postgres::start() else { return };
        let name = if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") };
        end_to_end(bench, &name, count, &postgres.url()).await;
    }
}

/// Six channels without a pace, of which each alert goes to some.
async fn end_to_end(bench: &mut Bench, name: &str, count: usize, store: &str) {
    let sink = server("sink", "");
    let channels: String = (0..6)
        .map(|n| format!("  out-{n}: {{ webhook: {{ url: 'http://127.0.0.1:{}/?{n}', allow: [127.0.0.1] }}, pace: off, digest: off }}\n", sink.port))
        .collect();
    let routes: String = (0..6).map(|n| format!("    - {{ match: 'instance=~\".*[{}{}]-.*\"', to: [out-{n}] }}\n", n, (n + 6) % 10)).collect();
    let _ = std::fs::remove_dir_all(&bench.folder);
    std::fs::create_dir_all(&bench.folder).expect("a folder");
    let mut running: Vec<Process> = Vec::new();
    for _ in 0..count {
        let port = free_port();
        let text =
            format!("server: {{ listen: '127.0.0.1:{port}' }}\nstore: {store}\nchannels:\n{channels}route:\n  to: [out-0]\n  routes:\n{routes}");
        std::fs::write(bench.folder.join("routes.yaml"), text).expect("a file");
        running.push(bench.start(port).0);
    }
    // Every node gets its share of the outlets within two beats.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let events = 6000;
    let share = events / count;
    let (started, from) = (Instant::now(), bench.fresh(events));
    let runs = running.iter().enumerate().map(|(n, node)| post(node.port, "/webhook", from + n * share, share, 32 / count, 3, None));
    let mut whole = Run::default();
    for run in futures_util::future::join_all(runs).await {
        whole.good += run.good;
        whole.bad += run.bad;
        whole.latencies.extend(run.latencies);
    }
    whole.latencies.sort_unstable();
    whole.took = started.elapsed();
    row(&format!("{name}: taken in"), &whole, None);
    whole.took = arrived(sink.port, whole.good, started).await;
    row(&format!("{name}: delivered"), &whole, None);
}
