//! Mutes by matchers, of the file and by hand: what they hold back, what releases it, and who reads of it.

use serde_json::{Value, json};
use tokio::time::Instant;
use watchfire::api::{MuteState, Mutes};
use watchfire::store::State;

use crate::mutes::{come, routes, send, sink};
use crate::support::app::{SOON, TestApp, alert};

const DISK: &str = "
route: { to: [a] }
mutes:
  - name: db
    matchers: 'alertname=~\"Disk.*\", severity!=\"info\"'
    until: 2099-12-01T06:00:00Z
    reason: upgrade
    owner: ann
    ticket: OPS-1
";

async fn load(app: &TestApp, text: String) {
    std::fs::write(app.folder.path().join("routes.yaml"), text).unwrap();
    app.app.reload().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_changes_or_removes_a_mute_releases_at_once_what_it_held() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, DISK)).await;
    let held = send(&app, "g", "DiskFull", "deferred").await;
    send(&app, "g", "Down", "waiting").await;
    come(&seen, &["Down"]).await;
    let shown = app.delivery(held.parse().unwrap()).await;
    let reason = "muted by `db` (alertname=~\"Disk.*\",severity!=\"info\"): upgrade (owner ann, ticket OPS-1)";
    assert_eq!(shown.delivery.reason.as_deref(), Some(reason));
    assert!(shown.next.starts_with("muted until 2099-12-01T06:00:00Z"), "{}", shown.next);
    // It holds over a restart, and over a reload that leaves it as it is.
    let app = app.restart().await;
    load(&app, routes(&url, DISK)).await;
    send(&app, "h", "Down2", "waiting").await;
    come(&seen, &["Down", "Down2"]).await;
    // Other matchers under the same name.
    load(&app, routes(&url, &DISK.replace("Disk.*", "Net.*"))).await;
    come(&seen, &["DiskFull", "Down", "Down2"]).await;
    send(&app, "i", "NetDown", "deferred").await;
    load(&app, routes(&url, "route: { to: [a] }\n")).await;
    come(&seen, &["DiskFull", "Down", "Down2", "NetDown"]).await;
}

/// No tick has counted it by then.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_mute_holds_is_listed_at_once() {
    let (url, _) = sink().await;
    let app = TestApp::start(&routes(&url, DISK)).await;
    let listed = async || app.read::<Mutes>("/api/v1/mutes").await.mutes.remove(0);
    let before = listed().await;
    assert_eq!((<[u32; 4]>::from(before.held), before.held_at), ([0; 4], None));
    send(&app, "g", "DiskFull", "deferred").await;
    let after = listed().await;
    assert_eq!(<[u32; 4]>::from(after.held).iter().sum::<u32>(), 1);
    assert!(after.held_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_what_was_sent_is_sent_though_a_mute_by_matchers_held_it() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, "route: { to: [a] }\n")).await;
    send(&app, "g", "Told", "waiting").await;
    come(&seen, &["Told"]).await;
    let mute = json!({ "matchers": ["alertname=~\"Told|Untold\""], "for": "1h", "reason": "upgrade" });
    assert_eq!(app.post("/api/v1/mutes", &mute).await.0, 200);
    send(&app, "h", "Untold", "deferred").await;
    for (group, name) in [("g", "Told"), ("h", "Untold")] {
        let (_, answer) = app.post("/webhook", &alert(group, name, "resolved")).await;
        assert_eq!(answer["deliveries"][0]["state"], "deferred", "{answer}");
    }
    let ended = app.http.delete(app.url("/api/v1/mutes?matchers=alertname%3D~%22Told%7CUntold%22")).send().await.unwrap();
    assert_eq!(ended.status(), 200);
    let rows = app.settled().await;
    come(&seen, &["Told", "Told"]).await;
    let came_and_went = rows.iter().filter(|row| row.title.contains("Untold")).map(|row| row.state);
    assert!(came_and_went.clone().count() == 2 && came_and_went.into_iter().all(|state| state == State::Skipped), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_that_drops_sends_nothing_but_ends_of_what_was_sent() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, "route: { to: [a] }\n")).await;
    send(&app, "g", "DiskFull", "waiting").await;
    come(&seen, &["DiskFull"]).await;
    load(&app, routes(&url, &DISK.replace("reason:", "on_mute: drop\n    reason:"))).await;
    let dropped = send(&app, "h", "DiskSlow", "skipped").await;
    let reason = app.delivery(dropped.parse().unwrap()).await.delivery.reason.unwrap_or_default();
    assert!(reason.starts_with("muted by `db` (") && reason.ends_with("; not sent (`on_mute: drop`)"), "{reason}");
    let (_, answer) = app.post("/webhook", &alert("g", "DiskFull", "resolved")).await;
    assert_eq!(answer["deliveries"][0]["state"], "deferred", "{answer}");
    load(&app, routes(&url, "route: { to: [a] }\n")).await;
    come(&seen, &["DiskFull", "DiskFull"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_and_the_list_name_the_mute_its_owner_and_its_reason() {
    let (url, _) = sink().await;
    let more = "  - { name: old, matchers: 'team=\"web\"', until: 2020-01-01T00:00:00Z, reason: gone }\n  \
                - { name: rare, matchers: 'team=\"web\"', mute_time_intervals: [once], reason: audit }\n\
                time_intervals: [{ name: once, time_intervals: [{ months: [january], days_of_month: ['1'], times: [{ start_time: '00:00', end_time: '00:01' }] }] }]\n";
    let app = TestApp::start(&routes(&url, &format!("{DISK}{more}"))).await;
    let by_hand = json!({ "matchers": ["alertname=\"Down\""], "for": "1h", "reason": "noise" });
    assert_eq!(app.post("/api/v1/mutes", &by_hand).await.0, 200);
    let explained = async |name: &str| {
        let (status, answer) = app.post("/api/v1/explain", &alert("g", name, "firing")).await;
        assert_eq!(status, 200, "{answer}");
        answer["alerts"][0]["routes"].as_str().unwrap().to_owned()
    };
    let text = explained("DiskFull").await;
    assert!(text.contains("a: held back by the mute db until 2099-12-01T06:00:00Z: upgrade (owner ann, ticket OPS-1)\n"), "{text}");
    let text = explained("Down").await;
    assert!(text.contains("a: held back by the mute alertname=\"Down\" until ") && text.contains(": noise"), "{text}");
    assert!(!explained("Up").await.contains("held back"));
    let listed: Mutes = app.read("/api/v1/mutes").await;
    let known: Vec<_> = listed.mutes.iter().map(|mute| (mute.name.as_deref(), mute.state, mute.held_at.is_some())).collect();
    assert_eq!(
        known,
        [
            (Some("db"), MuteState::Active, false),
            (None, MuteState::Active, false),
            (Some("rare"), MuteState::Waiting, false),
            (Some("old"), MuteState::Ended, false)
        ]
    );
    let ended = app.http.delete(app.url("/api/v1/mutes?matchers=alertname%3D~%22Disk.*%22%2Cseverity!%3D%22info%22")).send().await.unwrap();
    let (status, text) = (ended.status(), ended.text().await.unwrap());
    assert!(status == 404 && text.contains("`db` has them, which is in the configuration: remove it there and reload"), "{status} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_reads_that_a_mute_has_begun_ends_soon_and_what_it_held() {
    let yaml = "server: { listen: '127.0.0.1:0' }\nstore: sqlite:watchfire.db\nchannels: { ops: { log: {} }, dba: { log: {} } }\n\
                route: { to: [ops], routes: [{ matchers: 'group=\"db\"', to: [dba] }] }\n";
    let (app, clock) = TestApp::start_timed(yaml).await;
    let said = async |channel: &str, what: &str| {
        let end = Instant::now() + SOON;
        loop {
            let rows = app.deliveries(&format!("channel={channel}")).await;
            if let Some(row) = rows.iter().find(|row| row.title.contains(what) && row.state == State::Sent) {
                return row.title.clone();
            }
            assert!(Instant::now() < end, "{channel} does not say {what:?}: {rows:#?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    for matchers in ["alertname=\"Slow\"", "group=\"db\"", "channel=\"ops\""] {
        let mute: Value = json!({ "matchers": [matchers], "for": "1h", "reason": "upgrade" });
        assert_eq!(app.post("/api/v1/mutes", &mute).await.0, 200);
    }
    assert!(said("dba", "Muted until ").await.contains(", group=\"db\": upgrade"), "where its alerts go");
    assert!(said("ops", ", channel=\"ops\": upgrade").await.contains("Muted until "), "though the channel is muted");
    for group in ["db", "db", "web"] {
        send(&app, group, "Down", "deferred").await;
    }
    // Into the last quarter of an hour of the one that goes on.
    clock.jump(46 * 60_000);
    for matchers in ["group%3D%22db%22", "channel%3D%22ops%22"] {
        assert_eq!(app.http.delete(app.url(&format!("/api/v1/mutes?matchers={matchers}"))).send().await.unwrap().status(), 200);
    }
    assert!(said("dba", "has ended. It held ").await.contains("(1 critical)"), "a repeat counts once");
    assert!(said("ops", "has ended. It held ").await.contains("1 (1 critical)"));
    assert!(said("ops", "The mute alertname=\"Slow\" ends at ").await.contains("It holds nothing"));
    assert!(app.deliveries("channel=ops").await.iter().all(|row| !row.title.contains("group=")), "each channel reads of its own");
}
