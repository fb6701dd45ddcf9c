//! Mutes end when they end, by hand or by the configuration, and hold back nothing that they do not mute. By the API, by the commands, over restarts and
//! reloads.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::app::{SOON, TestApp, alert};

/// Notes the name of each alert that comes.
pub async fn sink() -> (String, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let noted = seen.clone();
    let hook = async move |axum::Json(body): axum::Json<Value>| {
        let names = body["alerts"].as_array().unwrap().iter().map(|a| a["labels"]["alertname"].as_str().unwrap().to_owned());
        noted.lock().unwrap().extend(names);
        "{}"
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(hook))).await });
    (url, seen)
}

pub fn routes(url: &str, rest: &str) -> String {
    format!(
        "server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\nchannels: {{ a: {{ webhook: {{ url: '{url}', allow_networks: ['127.0.0.1'] }} }} }}\n{rest}"
    )
}

const PLAIN: &str = "route: { to: [a] }\n";

/// Waits until exactly these have come, in any order.
pub async fn come(seen: &Mutex<Vec<String>>, names: &[&str]) {
    let end = Instant::now() + SOON;
    loop {
        let mut got = seen.lock().unwrap().clone();
        got.sort();
        if got == names {
            return;
        }
        assert!(Instant::now() < end, "{got:?} came, {names:?} should have");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn mute(app: &TestApp, span: &str) {
    let (code, answer) = app.post("/api/v1/mutes", &json!({ "matchers": ["channel=\"a\""], "for": span, "reason": "maintenance" })).await;
    assert_eq!(code, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_mute_that_there_is_not_says_so() {
    let (url, _) = sink().await;
    let app = TestApp::start(&routes(&url, PLAIN)).await;
    let end = async |query: &str| {
        let answer = app.http.delete(app.url(&format!("/api/v1/mutes?{query}"))).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    mute(&app, "1h").await;
    let both = json!({ "matchers": ["channel=\"a\"", "{team=\"db\"}"], "for": "1h", "reason": "upgrade" });
    assert_eq!(app.post("/api/v1/mutes", &both).await.0, 200);
    for wrong in ["matchers=channel%3D%22b%22", "matchers=team%3D%22bd%22", "matchers=channel%3D%22a%22&matchers=team%3D%22bd%22"] {
        let (code, answer) = end(wrong).await;
        assert!(code == 404 && answer.contains("there is no mute by hand with the matchers"), "{wrong}: {code} {answer}");
    }
    assert_eq!(app.get("/api/v1/mutes").await.1["mutes"].as_array().unwrap().len(), 2, "both go on");
    assert_eq!(end("matchers=channel%3D%22a%22&matchers=%7Bteam%3D%22db%22%7D").await.0, 200, "as it was made");
    assert_eq!(app.get("/api/v1/mutes").await.1["mutes"][0]["matchers"], json!(["channel=\"a\""]), "the channel's goes on");
}

async fn unmute(app: &TestApp) {
    let answer = app.http.delete(app.url("/api/v1/mutes?matchers=channel%3D%22a%22")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

pub async fn send(app: &TestApp, group: &str, name: &str, state: &str) -> String {
    let (_, answer) = app.post("/webhook", &alert(group, name, "firing")).await;
    assert_eq!(answer["deliveries"][0]["state"], state, "{answer}");
    answer["deliveries"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_that_is_ended_by_hand_releases_at_once_what_it_deferred() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, PLAIN)).await;
    mute(&app, "1h").await;
    send(&app, "u", "U1", "deferred").await;
    send(&app, "v", "V1", "deferred").await;
    unmute(&app).await;
    come(&seen, &["U1", "V1"]).await;
    send(&app, "u", "U2", "waiting").await;
    come(&seen, &["U1", "U2", "V1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_that_is_shortened_or_lengthened_by_hand_takes_along_what_it_deferred() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, PLAIN)).await;
    mute(&app, "1h").await;
    let id = send(&app, "u", "U1", "deferred").await;
    mute(&app, "2s").await;
    come(&seen, &["U1"]).await;
    mute(&app, "2s").await;
    send(&app, "v", "V1", "deferred").await;
    mute(&app, "1h").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(*seen.lock().unwrap(), ["U1"]);
    unmute(&app).await;
    come(&seen, &["U1", "V1"]).await;
    let (_, story) = app.get(&format!("/api/v1/deliveries/{id}")).await;
    assert_eq!(story["delivery"]["state"], "sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_by_labels_holds_back_what_matches_and_nothing_else() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, PLAIN)).await;
    let post =
        async |matchers: Value, span: &str| app.post("/api/v1/mutes", &json!({ "matchers": matchers, "for": span, "reason": "upgrade" })).await;
    let (code, answer) = post(json!(["alertname=~\"Disk.*\"", "channel=\"a\""]), "1h").await;
    assert_eq!((code, &answer["matchers"]), (200, &json!(["alertname=~\"Disk.*\"", "channel=\"a\""])), "{answer}");
    let muted = send(&app, "g", "DiskFull", "deferred").await;
    send(&app, "g", "Down", "waiting").await;
    come(&seen, &["Down"]).await;
    let shown = app.delivery(muted.parse().unwrap()).await;
    assert_eq!(shown.delivery.reason.as_deref(), Some("muted by hand (alertname=~\"Disk.*\",channel=\"a\"): upgrade"));
    assert!(shown.next.starts_with("muted until "), "{}", shown.next);

    // Two mutes match: the end of one releases what the other does not mute.
    let (code, answer) = post(json!(["alertname=\"DiskFull\""]), "1h").await;
    assert_eq!(code, 200, "{answer}");
    send(&app, "h", "DiskSlow", "deferred").await;
    let end = app.http.delete(app.url("/api/v1/mutes?matchers=alertname%3D~%22Disk.*%22%2Cchannel%3D%22a%22")).send().await.unwrap();
    assert_eq!(end.status(), 200);
    come(&seen, &["DiskSlow", "Down"]).await;
    let again = Instant::now() + SOON;
    while app.delivery(muted.parse().unwrap()).await.delivery.reason.as_deref() != Some("muted by hand (alertname=\"DiskFull\"): upgrade") {
        assert!(Instant::now() < again, "it waits for the other mute");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let end = app.http.delete(app.url("/api/v1/mutes?matchers=alertname%3D%22DiskFull%22")).send().await.unwrap();
    assert_eq!(end.status(), 200);
    come(&seen, &["DiskFull", "DiskSlow", "Down"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_comes_while_nobody_serves_holds_after_the_start() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, PLAIN)).await;
    mute(&app, "1h").await;
    send(&app, "u", "U1", "deferred").await;
    send(&app, "w", "W1", "deferred").await;
    let app = app.restart().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(seen.lock().unwrap().is_empty(), "muted still");
    // Deferred by a program from before, which ended the mute and left the time.
    let TestApp { app, folder, http } = app;
    app.stop(Duration::from_secs(5)).await;
    let db = rusqlite::Connection::open(folder.path().join("watchfire.db")).unwrap();
    assert_eq!(db.execute("DELETE FROM mute", []).unwrap(), 1);
    drop(db);
    let options = watchfire::app::AppOptions { watch: false, ..watchfire::app::AppOptions::new(folder.path().join("routes.yaml")) };
    let _app = TestApp { app: watchfire::app::App::start(options).await.unwrap(), folder, http };
    come(&seen, &["U1", "W1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_end_mutes_and_retry_what_is_muted() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, PLAIN)).await;
    let address = app.app.address.to_string();
    let folder = app.folder.path().to_owned();
    let run = async |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(args).args(["--listen", &address]).current_dir(&folder);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        text
    };
    assert_eq!(run(&["mute", "ls"]).await, "nothing is muted\n");
    run(&["mute", "add", "--channel", "a", "--for", "2h"]).await;
    let listed = run(&["mute", "ls"]).await;
    assert!(listed.ends_with("  no reason given\n"), "{listed}");
    run(&["mute", "add", "--channel", "a", "--for", "1h", "--reason", "maintenance"]).await;
    let listed = run(&["mute", "ls"]).await;
    assert!(listed.starts_with("channel=\"a\" ") && listed.lines().count() == 1 && listed.ends_with("  maintenance\n"), "{listed}");
    let first = send(&app, "u", "U1", "deferred").await;
    let text = run(&["queue", "retry", &first]).await;
    assert!(text.contains(&first), "it stays what it is: {text}");
    let told = run(&["queue", "show", &first]).await;
    assert!(told.contains("muted by hand until"), "the channel is muted, and that is told: {told}");
    run(&["mute", "rm", "--channel", "a"]).await;
    assert_eq!(run(&["mute", "ls", "--json"]).await, "{\"mutes\":[]}\n");
    come(&seen, &["U1"]).await;
    // By matchers, and by them on one channel.
    let team = "alertname=~\"V.*\", severity!=\"info\"";
    let on_channel = ["--channel", "a", team];
    for (what, shown, group, all) in [
        (&[team][..], "alertname=~\"V.*\",severity!=\"info\"", "v", &["U1", "V1", "W1"][..]),
        (&on_channel[..], "alertname=~\"V.*\",channel=\"a\",severity!=\"info\"", "w", &["U1", "V1", "V1", "W1", "W1"][..]),
    ] {
        let told = run(&[&["mute", "add", "--for", "2h"], what].concat()).await;
        assert!(told.starts_with(&format!("{shown} is muted until ")), "{told}");
        send(&app, group, "V1", "deferred").await;
        send(&app, group, "W1", "waiting").await;
        assert_eq!(run(&[&["mute", "rm"], what].concat()).await, format!("{shown} is no longer muted\n"));
        come(&seen, all).await;
    }
}

const NIGHT: &str = "
route:
  to: [a]
  routes:
    - { matchers: 'alertname=~\"Info.*\"', to: [a], mute_time_intervals: [always] }
time_intervals:
  - { name: always, time_intervals: [ { weekdays: ['sunday:saturday'] } ] }
";

/// A2: what a mute defers is in the same lane as what it does not touch.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_muted_never_holds_back_what_is_not() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, NIGHT)).await;
    send(&app, "g", "Info1", "deferred").await;
    send(&app, "g", "Critical1", "waiting").await;
    come(&seen, &["Critical1"]).await;
    // Read from disk by a restart, a reload, and anything that is done by hand.
    let app = app.restart().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    send(&app, "g", "Critical2", "waiting").await;
    come(&seen, &["Critical1", "Critical2"]).await;
    app.app.reload().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    send(&app, "g", "Critical3", "waiting").await;
    come(&seen, &["Critical1", "Critical2", "Critical3"]).await;
    let other = send(&app, "h", "Info2", "deferred").await;
    app.post("/api/v1/deliveries/drop", &json!({ "ids": [other], "reason": "noise" })).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    send(&app, "g", "Critical4", "waiting").await;
    come(&seen, &["Critical1", "Critical2", "Critical3", "Critical4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_that_a_reload_changes_holds_back_nothing_any_more() {
    let (url, seen) = sink().await;
    let app = TestApp::start(&routes(&url, NIGHT)).await;
    let muted = send(&app, "g", "Info1", "deferred").await;
    send(&app, "h", "Info2", "deferred").await;
    let retried = app.post("/api/v1/deliveries/retry", &json!({ "ids": [muted] })).await;
    assert_eq!((retried.0, &retried.1["deliveries"][0]["id"]), (200, &json!(muted)), "{}", retried.1);
    come(&seen, &["Info1"]).await;
    // The interval is another one now; the route keeps its place.
    let hours = NIGHT.replace("{ weekdays: ['sunday:saturday'] }", "{ years: ['2020'] }");
    std::fs::write(app.folder.path().join("routes.yaml"), routes(&url, &hours)).unwrap();
    app.app.reload().await.unwrap();
    come(&seen, &["Info1", "Info2"]).await;
    // It mutes again, and then its route is gone.
    std::fs::write(app.folder.path().join("routes.yaml"), routes(&url, NIGHT)).unwrap();
    app.app.reload().await.unwrap();
    send(&app, "i", "Info3", "deferred").await;
    std::fs::write(app.folder.path().join("routes.yaml"), routes(&url, PLAIN)).unwrap();
    app.app.reload().await.unwrap();
    come(&seen, &["Info1", "Info2", "Info3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_of_no_time_is_refused() {
    let (url, _) = sink().await;
    let app = TestApp::start(&routes(&url, PLAIN)).await;
    let (code, answer) = app.post("/api/v1/mutes", &json!({ "matchers": ["team=\"db\""], "for": "0s", "reason": "upgrade" })).await;
    assert_eq!((code, answer["detail"].as_str()), (400, Some("`for` is how long it is muted, as `2h`; in no time nothing is")));
    assert_eq!(app.get("/api/v1/mutes").await.1["mutes"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_needs_no_reason() {
    let (url, _) = sink().await;
    let app = TestApp::start(&routes(&url, PLAIN)).await;
    let (code, answer) = app.post("/api/v1/mutes", &json!({ "matchers": ["channel=\"a\""], "for": "2h" })).await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(app.get("/api/v1/mutes").await.1["mutes"][0]["reason"], "");
    let held = send(&app, "u", "U1", "deferred").await;
    let row = app.get(&format!("/api/v1/deliveries/{held}")).await.1;
    assert!(row.to_string().contains("channel muted by hand: no reason given"), "{row}");
}

#[test]
fn a_channel_without_its_option_is_no_matcher() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.yaml"), routes("http://127.0.0.1:9/hook", PLAIN)).unwrap();
    for act in [&["mute", "rm", "a"][..], &["mute", "add", "a", "--for", "2h"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(act).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("`a` is no matcher") && said.contains("`--channel a`"), "{act:?}: {said}");
    }
}
