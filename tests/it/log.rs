//! The log is written, never waited for: the real program delivers while nobody reads its standard error, the disk under it is full, or its reader hangs.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::app::{SOON, alert};

/// The program with a webhook channel, and what came there.
struct Served {
    child: Child,
    folder: TempDir,
    address: String,
    came: Arc<AtomicUsize>,
    http: reqwest::Client,
}

impl Served {
    async fn start(stderr: Stdio) -> Self {
        watchfire::channel::kit::install_crypto();
        let came: Arc<AtomicUsize> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let counted = came.clone();
        let hook = async move || {
            counted.fetch_add(1, Ordering::Relaxed);
            "{}"
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(hook))).await });
        let folder = tempfile::tempdir().unwrap();
        let routes = format!(
            "store: sqlite:watchfire.db\nchannels: {{ a: {{ webhook: {{ url: '{url}', allow_networks: ['127.0.0.1'] }} }} }}\nroute: {{ to: [a] }}\n"
        );
        std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
        // Freed a moment before the program takes it.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let child = spawn(&folder, &address, stderr);
        let served = Self { child, folder, address, came, http: reqwest::Client::builder().no_proxy().build().unwrap() };
        served.is_ready().await;
        served
    }

    async fn is_ready(&self) {
        let end = Instant::now() + SOON;
        loop {
            let answer = self.http.get(format!("http://{}/-/ready", self.address)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(Instant::now() < end, "it is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sends so many alerts at once, each a group of its own, and waits until all have come.
    async fn deliver(&self, name: &str, count: usize) {
        let before = self.came.load(Ordering::Relaxed);
        let posted = (0..count).map(|n| {
            let body = alert(&format!("{name}{n}"), "Down", "firing");
            self.http.post(format!("http://{}/webhook", self.address)).json(&body).send()
        });
        for answer in futures_util::future::join_all(posted).await {
            assert_eq!(answer.unwrap().status(), 200);
        }
        let end = Instant::now() + SOON;
        while self.came.load(Ordering::Relaxed) < before + count {
            assert!(Instant::now() < end, "{} of {count} came", self.came.load(Ordering::Relaxed) - before);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn metric(&self, name: &str) -> u64 {
        let text = self.http.get(format!("http://{}/metrics", self.address)).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{name} is not in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir, address: &str, stderr: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.args(["serve", "--listen", address]).current_dir(folder.path()).env("WATCHFIRE_LOG", "debug");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_is_gone_stops_no_delivery() {
    let (reader, writer) = std::io::pipe().unwrap();
    let served = Served::start(OwnedFd::from(writer).into()).await;
    drop(reader);
    served.deliver("gone", 20).await;
    assert!(served.metric("watchfire_log_lines_lost_total").await > 0);
    assert_eq!(served.metric("watchfire_task_restarts_total{what=\"worker\"}").await, 0);
}

/// The level `debug` says what the program does, not what libraries do, and nothing of what alerts say.
#[tokio::test(flavor = "multi_thread")]
async fn debug_is_few_lines_at_the_start_and_holds_nothing_of_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut served = Served::start(File::create(&log).unwrap().into()).await;
    let at_start = std::fs::read_to_string(&log).unwrap();
    assert!((1..60).contains(&at_start.lines().count()), "{at_start}");
    let mut body = alert("payroll-group", "PayrollFailed", "firing");
    body["alerts"][0]["annotations"]["summary"] = "the salary of Zhang San was not paid".into();
    body["alerts"][0]["labels"]["owner"] = "payroll-owner".into();
    let answer = served.http.post(format!("http://{}/webhook", served.address)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let end = Instant::now() + SOON;
    while served.came.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < end, "it was not delivered");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    stop(&served.child);
    ended(&mut served.child).await;
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |message: &str| lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("no `{message}`: {text}"));
    let (routed, attempt, delivered) = (said("routed"), said("an attempt begins"), said("delivered"));
    assert_eq!((&routed["level"], &routed["channel"], &routed["state"]), (&"DEBUG".into(), &"a".into(), &"waiting".into()), "{routed}");
    assert_eq!((&attempt["level"], &attempt["platform"], &attempt["recipients"]), (&"DEBUG".into(), &"webhook".into(), &1.into()), "{attempt}");
    assert!(routed["delivery"] == delivered["delivery"] && attempt["message_id"] == delivered["message_id"], "{text}");
    for secret in ["salary", "Zhang San", "PayrollFailed", "payroll-owner", "payroll-group"] {
        assert!(!text.contains(secret), "{secret} is in the log: {text}");
    }
}

/// Each accepted body is one line: what came, from where, and to how many it goes. The line of its delivery names the same event.
#[tokio::test(flavor = "multi_thread")]
async fn each_accepted_body_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut served = Served::start(File::create(&log).unwrap().into()).await;
    let mut body = alert("group", "Down", "firing");
    let second = body["alerts"][0].clone();
    body["alerts"].as_array_mut().unwrap().push(second);
    body["alerts"][1]["labels"]["instance"] = "db-2".into();
    let post = || served.http.post(format!("http://{}/webhook?source=eu", served.address)).json(&body).send();
    let answer: serde_json::Value = post().await.unwrap().json().await.unwrap();
    assert_eq!(post().await.unwrap().status(), 200);
    let end = Instant::now() + SOON;
    while !std::fs::read_to_string(&log).unwrap().contains("\"delivered\"") {
        assert!(Instant::now() < end, "it was not delivered");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    // What is refused is none.
    let refused = served.http.post(format!("http://{}/webhook", served.address)).body("").send().await.unwrap();
    assert!(refused.status().is_client_error());
    // Its sender drops it, so it is a line of its own.
    let slack = "/services/T00000000/B00000000/secret-of-slack";
    for (path, status) in [("/webhok", 404), ("", 405), (slack, 404)] {
        let lost = served.http.post(format!("http://{}{path}", served.address)).json(&body).send().await.unwrap();
        assert_eq!(lost.status(), status, "{path}");
    }
    assert_eq!(served.metric("watchfire_received_total{sender=\"any\",outcome=\"not_found\"}").await, 3);
    stop(&served.child);
    ended(&mut served.child).await;
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lost: Vec<_> = lines.iter().filter(|line| line["message"] == "a body came to a path that takes none and was refused").collect();
    // One of each kind in a minute; the third comes where another minute began.
    assert!((2..=3).contains(&lost.len()) && !text.contains("secret-of-slack"), "{text}");
    for (line, path) in lost.into_iter().zip(["/webhok", "/", "/services…"]) {
        assert_eq!((&line["level"], &line["path"], &line["peer"]), (&"WARN".into(), &path.into(), &"127.0.0.1".into()), "{line}");
        assert_eq!(line["count"], 1, "{line}");
    }
    let accepted: Vec<_> = lines.iter().filter(|line| line["message"] == "accepted: it is on disk").collect();
    assert_eq!(accepted.len(), 2, "{text}");
    for (line, duplicate) in accepted.into_iter().zip([false, true]) {
        assert_eq!((&line["level"], &line["event"], &line["source"]), (&"INFO".into(), &answer["event"], &"alertmanager:eu".into()), "{line}");
        assert_eq!((&line["alerts"], &line["deliveries"], &line["duplicate"]), (&2.into(), &1.into(), &duplicate.into()), "{line}");
    }
    let delivered: Vec<_> = lines.iter().filter(|line| line["message"] == "delivered").collect();
    assert_eq!(delivered.len(), 1, "{text}");
    assert_eq!((&delivered[0]["event"], &delivered[0]["delivery"]), (&answer["event"], &answer["deliveries"][0]["id"]), "{text}");
}

/// A secret is changed as docs/backup.md shows it: what began by the new one ends by the old one, and the log says whose credential came.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_whose_secret_changes_stays_one_sender_and_its_credential_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut served = Served::start(Stdio::null()).await;
    stop(&served.child);
    ended(&mut served.child).await;
    let file = served.folder.path().join("routes.yaml");
    let routes = std::fs::read_to_string(&file).unwrap();
    let auth = "server: { auth: [{ bearer: new-new-new-new, name: am }, { bearer: old-old-old-old, name: am-old, scopes: [webhook] }] }\nsources: { am: [am-old] }\n";
    std::fs::write(&file, format!("{auth}{routes}")).unwrap();
    served.child = spawn(&served.folder, &served.address, File::create(&log).unwrap().into());
    served.is_ready().await;
    for (token, status) in [("new-new-new-new", "firing"), ("old-old-old-old", "resolved")] {
        let request = served.http.post(format!("http://{}/webhook", served.address)).bearer_auth(token);
        assert_eq!(request.json(&alert("group", "Down", status)).send().await.unwrap().status(), 200);
    }
    let request = served.http.get(format!("http://{}/api/v1/incidents", served.address)).bearer_auth("new-new-new-new");
    let incidents: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((incidents["incidents"].as_array().map(Vec::len), &incidents["incidents"][0]["state"]), (Some(1), &"resolved".into()), "{incidents}");
    stop(&served.child);
    ended(&mut served.child).await;
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let accepted: Vec<_> = lines.iter().filter(|line| line["message"] == "accepted: it is on disk").collect();
    assert!(accepted.len() == 2 && accepted.iter().all(|line| line["source"] == "alertmanager:am"), "{text}");
    assert!(accepted[0]["credential"].is_null() && accepted[1]["credential"] == "am-old", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_log_stops_no_delivery() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut served = Served::start(full.into()).await;
    served.deliver("full", 20).await;
    assert!(served.metric("watchfire_log_lines_lost_total").await > 0);
    // Also what waits at a start, which the log reports.
    served.child.kill().unwrap();
    served.child.wait().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    served.child = spawn(&served.folder, &served.address, full.into());
    served.is_ready().await;
    served.deliver("again", 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_stands_still_slows_no_delivery_and_reads_on_later() {
    let (reader, writer) = std::io::pipe().unwrap();
    let served = Served::start(OwnedFd::from(writer).into()).await;
    // A pipe holds 64 KiB, and some lines wait in the program; debug lines of several hundred alerts are more than both.
    let end = Instant::now() + 3 * SOON;
    let mut round = 0;
    while served.metric("watchfire_log_lines_lost_total").await == 0 {
        let begun = Instant::now();
        served.deliver(&format!("still{round}-"), 100).await;
        assert!(begun.elapsed() < SOON);
        round += 1;
        assert!(Instant::now() < end, "no line was lost in {round} rounds");
    }
    let lines = std::thread::spawn(move || {
        let mut lines = BufReader::new(reader).lines();
        lines.any(|line| line.is_ok_and(|line| line.contains("the log can be written again")))
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    served.deliver("after", 5).await;
    let end = Instant::now() + SOON;
    while !lines.is_finished() {
        assert!(Instant::now() < end, "nobody told that lines were lost");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(lines.join().unwrap());
}

/// What is logged last before the end is written before it, and a process whose log nobody reads ends in time.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_logged_and_waits_for_nobody() {
    let mut served = Served::start(Stdio::piped()).await;
    stop(&served.child);
    let code = ended(&mut served.child).await;
    let mut text = String::new();
    served.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(code == Some(0) && text.contains("stopping: "), "{code:?} {text}");

    let (_reader, writer) = std::io::pipe().unwrap();
    let mut served = Served::start(OwnedFd::from(writer).into()).await;
    stop(&served.child);
    assert_eq!(ended(&mut served.child).await, Some(0));
}

/// What the channel `log` prints nobody can read when standard output is closed: the log says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_output_is_named() {
    let served = Served::start(Stdio::null()).await;
    let (folder, address) = (served.folder.path().to_owned(), "127.0.0.1:0");
    std::fs::write(folder.join("log.yaml"), "store: sqlite:other.db\nchannels: { printed: { log: {} } }\nroute: { to: [printed] }\n").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" serve --config log.yaml --listen \"$1\" >&-", env!("CARGO_BIN_EXE_watchfire"), address]);
    let mut child = command.current_dir(&folder).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let named = tokio::task::spawn_blocking(move || lines.into_iter().find(|line| line.contains("nobody reads"))).await.unwrap();
    stop(&child);
    child.wait().unwrap();
    assert!(named.is_some_and(|line| line.contains("printed") && line.contains("stdout")));
}

fn stop(child: &Child) {
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
}

async fn ended(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + SOON;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < end, "it does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
