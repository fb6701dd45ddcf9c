//! Other programs doing the same job, each beside Watchfire to the same receiver.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::wire::{alerts, post};
use super::{Bench, Process, arrived, free_port, get, row, server};

/// Where the notifications go: what answers there, and how either program is configured.
struct Receiver {
    name: &'static str,
    sink: &'static str,
    watchfire: &'static str,
    alertmanager: &'static str,
}

/// `PORT` is the sink's.
const RECEIVERS: [Receiver; 3] = [
    Receiver {
        name: "a webhook",
        sink: "sink",
        watchfire: "webhook: { url: 'http://127.0.0.1:PORT/', allow_networks: [127.0.0.1] }",
        alertmanager: "webhook_configs: [{ url: 'http://127.0.0.1:PORT/' }]",
    },
    Receiver {
        name: "Slack",
        sink: "sink",
        watchfire: "slack: { webhook: 'http://127.0.0.1:PORT/', api_base: 'http://127.0.0.1:PORT' }",
        alertmanager: "slack_configs: [{ api_url: 'http://127.0.0.1:PORT/', channel: '#ops' }]",
    },
    Receiver {
        name: "mail",
        sink: "smtp",
        watchfire: "email: { server: '127.0.0.1:PORT', tls: none, from: a@example.com, to: [b@example.com] }",
        alertmanager: "email_configs: [{ smarthost: '127.0.0.1:PORT', require_tls: false, from: a@example.com, to: b@example.com }]",
    },
];

const COUNT: usize = 5000;

/// Prints Watchfire, Alertmanager and Apprise side by side; the ratio is Watchfire's rate to theirs.
pub async fn peers(bench: &mut Bench, connections: usize) {
    let mut webhook = 0.0;
    for receiver in &RECEIVERS {
        let own = watchfire(bench, receiver, connections).await;
        if webhook == 0.0 {
            webhook = own;
        }
        alertmanager(bench, receiver, connections, own).await;
    }
    let python = std::env::var("WATCHFIRE_APPRISE").unwrap_or_else(|_| "python3".into());
    apprise(bench, &python, connections, webhook).await;
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

/// Watchfire with everything that it does: kept on disk, routed, rendered, delivered, recorded.
async fn watchfire(bench: &mut Bench, receiver: &Receiver, connections: usize) -> f64 {
    let sink = server(receiver.sink, "");
    let channel = receiver.watchfire.replace("PORT", &sink.port.to_string());
    let (watchfire, _) = bench.watchfire(&format!("channels: {{ out: {{ {channel}, rate_limit: off, digest: off }} }}\nroute: {{ to: [out] }}\n"));
    let (from, started) = (bench.fresh(COUNT), Instant::now());
    let mut run = post(watchfire.port, "/webhook", from, COUNT, connections, 3, None).await;
    run.took = arrived(sink.counter, run.good, started).await;
    row(&format!("**Watchfire** to {}", receiver.name), &run, None);
    run.rate()
}

/// Alertmanager by itself: alerts by its API, a group each, one notification each.
async fn alertmanager(bench: &mut Bench, receiver: &Receiver, connections: usize, own: f64) {
    let sink = server(receiver.sink, "");
    let _ = std::fs::remove_dir_all(&bench.folder);
    std::fs::create_dir_all(&bench.folder).expect("a folder");
    let port = free_port();
    let config = format!(
        "route: {{ receiver: out, group_by: [group], group_wait: 0s, group_interval: 1h, repeat_interval: 4h }}\n\
         receivers: [{{ name: out, {} }}]\n",
        receiver.alertmanager.replace("PORT", &sink.port.to_string())
    );
    std::fs::write(bench.folder.join("am.yml"), config).expect("a file");
    let mut command = Command::new("prometheus-alertmanager");
    command.args(["--config.file=am.yml", "--storage.path=am", "--cluster.listen-address=", "--log.level=error"]);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).current_dir(&bench.folder).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        println!("| Alertmanager | not installed | | | | | | | |");
        return;
    };
    let manager = Process::of(child, port);
    assert!(ready(port, "/-/ready", Duration::from_secs(20)), "Alertmanager does not start");
    let (from, started) = (bench.fresh(COUNT), Instant::now());
    let mut run = alerts(manager.port, from, COUNT, connections).await;
    run.took = arrived(sink.counter, run.good, started).await;
    row(&format!("Alertmanager to {}, nothing synced", receiver.name), &run, Some(own / run.rate()));
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
async fn apprise(bench: &mut Bench, python: &str, connections: usize, own: f64) {
    let sink = server("sink", "");
    let port = free_port();
    let target = format!("json://127.0.0.1:{}/", sink.port);
    let mut command = Command::new(python);
    command.args(["-c", APPRISE, &port.to_string(), &target]).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(child) = command.spawn() else {
        println!("| Apprise | {python} is not there | | | | | | | |");
        return;
    };
    let process = Process::of(child, port);
    if !ready(port, "/", Duration::from_secs(20)) {
        println!("| Apprise | {python} has no apprise | | | | | | | |");
        return;
    }
    let (count, started) = (1000, Instant::now());
    let from = bench.fresh(count);
    let mut run = post(process.port, "/", from, count, connections, 3, None).await;
    run.took = arrived(sink.counter, run.good, started).await;
    row("Apprise to a webhook, keeps nothing", &run, Some(own / run.rate()));
}
