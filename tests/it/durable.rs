//! A killed process keeps its page cache, so the kill test alone cannot show that a 200 follows the sync. This one watches the system calls.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::app::alert;
use crate::support::skip::skip;

#[tokio::test(flavor = "multi_thread")]
async fn every_200_follows_a_completed_sync_of_its_insert() {
    if !Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success()) {
        skip("the package strace");
        return;
    }
    watchfire::channel::kit::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // A disabled channel: nothing is sent, so that every sync belongs to an accept.
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:{port}\" }}\nstore: sqlite:w.db\nchannels:\n  quiet: {{ log: {{}}, disabled: true }}\nroute: {{ to: [quiet] }}\n"
    );
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let trace = folder.path().join("trace");
    let mut child = Command::new("strace")
        .args(["-f", "-y", "-s", "16", "-e", "trace=fdatasync,fsync,write,writev,sendto,sendmsg", "-o"])
        .arg(&trace)
        .args([env!("CARGO_BIN_EXE_watchfire"), "serve", "--no-watch"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{port}");
    for _ in 0..400 {
        if client.get(format!("{url}/-/ready")).send().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    const BODIES: usize = 30;
    for n in 0..BODIES {
        let answer = client.post(format!("{url}/webhook")).json(&alert(&format!("g{n}"), "Synced", "firing")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let _ = Command::new("pkill").args(["-TERM", "-P", &child.id().to_string()]).status();
    let _ = child.wait();
    let text = std::fs::read_to_string(&trace).unwrap();
    let mut synced = 0;
    let mut answers = 0;
    for line in text.lines() {
        let sync = (line.contains("fdatasync(") || line.contains("fsync(")) && line.contains(".db-wal") && line.contains("= 0");
        if sync || (line.contains("fdatasync resumed") && line.contains("= 0")) {
            synced += 1;
        }
        if line.contains("\"HTTP/1.1 200 OK") {
            answers += 1;
            // Requests go one by one: the n-th accepted body's answer must follow at least n syncs. The first answers are those of `/-/ready`.
            let bodies = answers - 1;
            assert!(synced >= bodies, "answer {answers} left after only {synced} syncs:\n{line}");
        }
    }
    assert!(answers > BODIES && synced >= BODIES, "{answers} answers, {synced} syncs: the trace shows too little");
}
