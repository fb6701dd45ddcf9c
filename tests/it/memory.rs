//! What waits takes no more memory than the manifest allows, however many channels it waits for. A soak: it runs where `WATCHFIRE_SOAK` is set, with
//! as many seconds of load as that says.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::app::{SOON, alert};

/// `resources.limits.memory` of deploy/kubernetes.
const LIMIT: u64 = 256 << 20;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Bytes in memory now, and the most that there were.
    fn resident(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let of = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
        };
        (of("VmRSS:"), of("VmHWM:"))
    }
}

/// A body of three alerts, as Alertmanager sends them.
fn body(group: usize) -> Value {
    let mut body = alert(&format!("group{group}"), "Down", "firing");
    let one = body["alerts"][0].clone();
    body["alerts"] = (0..3)
        .map(|n| {
            let mut alert = one.clone();
            alert["labels"]["pod"] = json!(format!("pod-{group}-{n}"));
            alert["annotations"]["description"] = json!("The check of this pod has failed for ten minutes and nobody has looked at it. ".repeat(4));
            alert["fingerprint"] = json!(format!("{group}-{n}"));
            alert
        })
        .collect();
    body
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a soak of WATCHFIRE_SOAK seconds: `.ci/long memory`"]
async fn what_waits_for_8_64_and_500_channels_keeps_within_the_manifests_limit() {
    watchfire::channel::kit::install_crypto();
    let seconds: u64 = std::env::var("WATCHFIRE_SOAK").expect("WATCHFIRE_SOAK").parse().expect("seconds");
    for channels in [8, 64, 500] {
        // Answers in other words than a platform that has taken a message: the outcome is not known, and it is tried again.
        let hook = async || (StatusCode::BAD_GATEWAY, "<html>upstream</html>");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/{name}", post(hook))).await });
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..channels).map(|n| format!("c{n}")).collect();
        let list: String =
            names.iter().map(|name| format!("  {name}: {{ webhook: {{ url: '{url}/{name}', allow_networks: ['127.0.0.1'] }} }}\n")).collect();
        let routes = format!("store: sqlite:watchfire.db\nchannels:\n{list}route: {{ to: [{}] }}\n", names.join(", "));
        std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(["serve", "--listen", &address]).current_dir(folder.path()).env("WATCHFIRE_LOG", "error");
        let running = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let ready = Instant::now() + SOON;
        while !http.get(format!("http://{address}/-/healthy")).send().await.is_ok_and(|answer| answer.status() == 200) {
            assert!(Instant::now() < ready, "it does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..16 {
            let (http, url) = (http.clone(), format!("http://{address}/webhook"));
            tasks.spawn(async move {
                let mut taken = 0;
                let mut group = worker;
                while Instant::now() < end {
                    let answer = http.post(&url).json(&body(group)).send().await;
                    taken += usize::from(answer.is_ok_and(|answer| answer.status() == 200));
                    group += 16;
                }
                taken
            });
        }
        let taken: usize = tasks.join_all().await.into_iter().sum();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (now, most) = running.resident();
        println!("{channels} channels: {taken} bodies, {} MiB now, {} MiB at most", now >> 20, most >> 20);
        assert!(taken > 0 && most < LIMIT, "{channels} channels: {} MiB", most >> 20);
    }
}
