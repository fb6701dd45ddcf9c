//! What the disk does to a server: full, read-only, over its cap, damaged; and a clock that jumps.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use watchfire::app::{App, AppOptions};
use watchfire::delivery::Clock;
use watchfire::store::State;

use crate::support::app::{Four, SOON, TestApp, alert};

/// A small file system of its own, for root only.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "watchfire-test"]).arg(folder.path()).status();
        if done.is_ok_and(|s| s.success()) {
            return Some(Self(folder));
        }
        let _ = writeln!(std::io::stderr(), "SKIPPED a test of a full disk: mounting a small file system needs root");
        None
    }

    fn remount(&self, how: &str) -> bool {
        Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.0.path()).status().is_ok_and(|s| s.success())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

async fn on_small(small: &Small, four: &Four) -> TestApp {
    four.slack.unpaced();
    four.slack.rec.track("uid-");
    let routes = four
        .routes()
        .replace("store: sqlite:watchfire.db", &format!("store: \"sqlite:{}\"", small.0.path().join("watchfire.db").display()))
        .replace("ops-slack: { slack", "ops-slack: { rate_limit: off, slack")
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
    TestApp::start(&routes).await
}

/// Text that takes about so many bytes on disk: it can hardly be packed.
fn noise(bytes: usize) -> String {
    let mut state = 7_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'#' + (state >> 33) as u8 % 57)
    };
    std::iter::repeat_with(next).take(bytes * 7 / 5).collect()
}

async fn post(app: &TestApp, uid: &str) -> reqwest::Response {
    let mut body = alert(uid, uid, "firing");
    body["alerts"][0]["annotations"]["description"] = json!(noise(20_000));
    app.http.post(app.url("/webhook")).json(&body).send().await.unwrap()
}

async fn ready(app: &TestApp, wanted: u16) {
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let (code, text) = app.get("/-/ready").await;
        if code == wanted {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "still {code}: {text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn all_arrive(four: &Four, taken: &[String]) {
    let all = four.slack.rec.wait(3 * SOON, |r| taken.iter().all(|uid| r.seen().contains_key(uid))).await;
    assert!(all, "lost: {:?}", taken.iter().filter(|uid| !four.slack.rec.seen().contains_key(*uid)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_loses_nothing_and_recovers_by_itself() {
    let Some(small) = Small::mount() else { return };
    let four = Four::start().await;
    let app = on_small(&small, &four).await;
    let mut taken = Vec::new();
    let mut refused = None;
    for n in 0..2000 {
        let uid = format!("uid-{n:04}");
        let response = post(&app, &uid).await;
        match response.status().as_u16() {
            200 => taken.push(uid),
            503 => {
                refused = Some(response);
                break;
            }
            other => panic!("{other}"),
        }
    }
    let refused = refused.expect("8 MiB are full long before");
    assert!(taken.len() > 20, "{}", taken.len());
    assert!(refused.headers().contains_key("retry-after"));
    let text = refused.text().await.unwrap();
    assert!(text.contains("full") || text.contains("disk"), "{text}");
    ready(&app, 503).await;
    assert!(small.remount("size=64m"), "the disk grows");
    ready(&app, 200).await;
    assert_eq!(post(&app, "uid-after").await.status(), 200, "without a restart");
    taken.push("uid-after".into());
    all_arrive(&four, &taken).await;
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_another_program_locks_refuses_and_recovers() {
    let four = Four::start().await;
    four.slack.unpaced();
    four.slack.rec.track("uid-");
    let app = TestApp::start(&four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]")).await;
    let other = rusqlite::Connection::open(app.folder.path().join("watchfire.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = post(&app, "uid-shut").await;
    assert_eq!(refused.status(), 503);
    let text = refused.text().await.unwrap();
    assert!(text.contains("lock"), "{text}");
    ready(&app, 503).await;
    other.execute_batch("ROLLBACK").unwrap();
    ready(&app, 200).await;
    assert_eq!(post(&app, "uid-after").await.status(), 200);
    all_arrive(&four, &["uid-after".into()]).await;
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_folder_is_told_at_start() {
    let Some(small) = Small::mount() else { return };
    assert!(small.remount("ro"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("routes.yaml");
    let store = small.0.path().join("w.db");
    let routes = format!("store: \"sqlite:{}\"\nchannels:\n  out: {{ log: {{}} }}\nroute: {{ to: [out] }}\n", store.display());
    std::fs::write(&file, routes).unwrap();
    let Err(error) = App::start(AppOptions { watch: false, ..AppOptions::new(file) }).await else { panic!("it started on a read-only folder") };
    let text = format!("{error:#}");
    assert!(text.contains("w.db") && text.to_lowercase().contains("read-only"), "{text}");
    println!("{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_at_its_cap_keeps_what_waits_and_refuses_what_is_new() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace("time_zone:", "retention: { max_size: 16MiB }\ntime_zone:")
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-wecom]");
    let app = TestApp::start(&routes).await;
    app.post("/api/v1/mutes", &json!({ "matchers": ["channel=\"ops-wecom\""], "for": "1h", "reason": "the backlog grows" })).await;
    let big = noise(500_000);
    let fill = async |name: &str| {
        let mut body = alert(name, name, "firing");
        body["alerts"][0]["annotations"]["description"] = json!(big);
        app.http.post(app.url("/webhook")).json(&body).send().await.unwrap().status().as_u16()
    };
    // The cap is looked at every few seconds, not at every request.
    let mut kept = 0;
    while fill(&format!("w{kept}")).await == 200 {
        kept += 1;
        assert!(kept < 400, "it is full long ago");
    }
    assert!(kept >= 16, "16 MiB hold more than {kept} bodies of half a mebibyte");
    ready(&app, 503).await;
    let (_, text) = app.get("/-/ready").await;
    assert!(text.as_str().unwrap().contains("retention.max_size"), "{text}");
    assert_eq!(fill("new").await, 503);
    let (_, waiting) = app.get("/api/v1/deliveries?state=deferred&limit=500").await;
    let ids: Vec<Value> = waiting["deliveries"].as_array().unwrap().iter().map(|d| d["id"].clone()).collect();
    assert_eq!(ids.len(), kept, "nothing that waits was purged");
    let (code, dropped) = app.post("/api/v1/deliveries/drop", &json!({ "ids": ids, "reason": "made room" })).await;
    assert_eq!(code, 200, "{dropped}");
    ready(&app, 200).await;
    assert_eq!(fill("after").await, 200);
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_newer_database_is_told_at_start_with_what_to_do() {
    let four = Four::start().await;
    let app = TestApp::start(&four.routes()).await;
    app.post("/webhook?to=ops-slack", &alert("db", "Down", "firing")).await;
    app.settled().await;
    let TestApp { app, folder, .. } = app;
    app.stop(Duration::from_secs(5)).await;
    let file = folder.path().join("watchfire.db");
    let good = std::fs::read(&file).unwrap();
    let start = async |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let options = AppOptions { watch: false, ..AppOptions::new(folder.path().join("routes.yaml")) };
        match App::start(options).await {
            Ok(_) => panic!("it started over a bad database"),
            Err(error) => format!("{error:#}"),
        }
    };
    let mut torn = good.clone();
    torn.truncate(good.len() / 2);
    let text = start(&torn).await;
    assert!(text.contains("watchfire.db") && text.contains("damaged") && text.contains("backup"), "{text}");
    // Offset 60: user_version, big-endian (<https://www.sqlite.org/fileformat2.html>).
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&77u32.to_be_bytes());
    let text = start(&newer).await;
    assert!(text.contains("schema version 77") && text.contains("newer Watchfire"), "{text}");
    assert!(Path::new(&file).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_an_hour_either_way_delays_nothing_and_kills_nothing() {
    for jump in [3_600_000, -3_600_000] {
        let four = Four::start().await;
        let clock = Clock::runtime(jiff::Timestamp::now().into());
        let hand = clock.clone();
        let routes = four.routes().replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]");
        let app = TestApp::start_with(&routes, |options| options.clock = clock).await;
        four.slack.faults.push(crate::support::fakes::fault::Fault::Status(500, None));
        app.post("/webhook", &alert("before", "Before", "firing")).await;
        hand.jump(jump);
        app.post("/webhook", &alert("after", "After", "firing")).await;
        let rows = app.settled().await;
        let states: Vec<_> = rows.iter().map(|r| (r.title.as_str(), r.state)).collect();
        assert!(rows.len() == 2 && states.iter().all(|(_, state)| *state == State::Sent), "jump {jump}: {states:?}");
        app.app.stop(Duration::from_secs(5)).await;
    }
}
