//! The real process where it may open few files, or only small ones: senders, deliveries and the operator each get their share, and nothing is lost.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::crash::{free_port, up};
use crate::support::app::alert;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::webhook::Webhook;
use crate::support::serial::turn;

const FILES: usize = 64;
const SENDERS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_take_every_connection_leave_files_to_deliveries() {
    let _turn = turn().await;
    watchfire::channel::kit::install_crypto();
    let mut fakes = Vec::new();
    for _ in 0..4 {
        let fake = Fake::start(Webhook::default()).await;
        fake.rec.track("uid-");
        fake.faults.always(Fault::Delay(Duration::from_millis(100)));
        fakes.push(fake);
    }
    // One platform never answers, and must not keep the others waiting.
    fakes[3].faults.always(Fault::Hang);
    let channels: String = fakes
        .iter()
        .enumerate()
        .map(|(i, fake)| format!("  hook{i}: {{ webhook: {{ url: '{}/in', allow_networks: [127.0.0.1] }}, rate_limit: off }}\n", fake.url()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let routes = format!("store: sqlite:watchfire.db\nchannels:\n{channels}route: {{ to: [hook0, hook1, hook2, hook3] }}\n");
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let port = free_port();
    let log = folder.path().join("log");
    let mut server = Command::new("sh")
        .args(["-c", &format!("ulimit -n {FILES}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_watchfire")])
        .args(["serve", "--no-watch", "--listen", &format!("127.0.0.1:{port}")])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    up(&client, port).await;
    let begun = Instant::now();
    let (accepted, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (accepted, count) = (accepted.clone(), count.clone());
            tokio::spawn(async move {
                // Each keeps a connection of its own.
                let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
                while begun.elapsed() < Duration::from_secs(5) {
                    let uid = format!("uid-{sender}-{}", count.fetch_add(1, Ordering::Relaxed));
                    // A group for each sender, so that what waits is one message for each of them.
                    let body = alert(&format!("group-{sender}"), &uid, "firing");
                    let posted = client.post(format!("http://127.0.0.1:{port}/webhook")).json(&body).send().await;
                    if posted.is_ok_and(|answer| answer.status() == 200) {
                        accepted.lock().unwrap().push((sender, uid));
                    } else {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            })
        })
        .collect();
    // While all of them push, alerts arrive where a platform answers.
    for fake in &fakes[..3] {
        assert!(fake.rec.wait(Duration::from_secs(20), |rec| rec.seen().len() >= 20).await, "deliveries starve: {:?}", fake.rec.counts_json());
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let accepted = std::mem::take(&mut *accepted.lock().unwrap());
    assert!(accepted.len() > SENDERS, "{}", accepted.len());
    // The newest of each sender comes through; what waited before it may be folded into the same message.
    let newest: std::collections::HashMap<usize, String> = accepted.into_iter().collect();
    for fake in &fakes[..3] {
        let all = fake.rec.wait(Duration::from_secs(60), |rec| newest.values().all(|uid| rec.seen().contains_key(uid))).await;
        assert!(all, "{} of {}", newest.values().filter(|uid| fake.rec.seen().contains_key(*uid)).count(), newest.len());
    }
    // The operator is served, though one platform still hangs.
    let answer = client.get(format!("http://127.0.0.1:{port}/api/v1/channels")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("only 64 files may be open").count(), 1, "one warning with the numbers");
    assert!(!text.contains("Too many open files"), "{}", text.lines().find(|line| line.contains("Too many open files")).unwrap_or_default());
    server.kill().unwrap();
    server.wait().unwrap();
}

/// A file that may not grow is like a disk that is full: senders are refused, the process lives, and nothing that was taken is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_file_sizes_refuses_and_kills_nothing() {
    let _turn = turn().await;
    watchfire::channel::kit::install_crypto();
    let fake = Fake::start(Webhook::default()).await;
    fake.rec.track("uid-");
    let folder = tempfile::tempdir().unwrap();
    let channel = format!("hook: {{ webhook: {{ url: '{}/in', allow_networks: [127.0.0.1] }}, rate_limit: off }}", fake.url());
    std::fs::write(folder.path().join("routes.yaml"), format!("store: sqlite:watchfire.db\nchannels:\n  {channel}\nroute: {{ to: [hook] }}\n"))
        .unwrap();
    let port = free_port();
    let start = |limit: &str| {
        Command::new("sh")
            .args(["-c", &format!("{limit} exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_watchfire")])
            .args(["serve", "--no-watch", "--listen", &format!("127.0.0.1:{port}")])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut server = start("ulimit -f 2000;");
    up(&client, port).await;
    let (mut taken, mut refused) = (Vec::new(), false);
    for n in 0..2000 {
        let uid = format!("uid-{n}");
        let mut body = alert(&uid, &uid, "firing");
        body["alerts"][0]["annotations"]["description"] = "x".repeat(60_000).into();
        let status = client.post(format!("http://127.0.0.1:{port}/webhook")).json(&body).send().await.unwrap().status();
        if status != 200 {
            assert_eq!(status, 503);
            refused = true;
            break;
        }
        taken.push(uid);
    }
    assert!(refused && !taken.is_empty(), "{} were taken", taken.len());
    assert_eq!(client.get(format!("http://127.0.0.1:{port}/-/healthy")).send().await.unwrap().status(), 200);
    server.kill().unwrap();
    server.wait().unwrap();
    let mut server = start("");
    let all = fake.rec.wait(Duration::from_secs(60), |rec| taken.iter().all(|uid| rec.seen().contains_key(uid))).await;
    assert!(all, "{:?}", taken.iter().find(|uid| !fake.rec.seen().contains_key(*uid)));
    server.kill().unwrap();
    server.wait().unwrap();
}
