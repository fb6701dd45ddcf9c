//! A channel gets another name or other credentials while a message to it is in flight: the message goes on by the new ones, once.

use std::time::Duration;

use watchfire::store::State;

use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::call::Verdict;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::webhook::Webhook;

fn routes(fake: &Fake<Webhook>, name: &str, path: &str, more: &str) -> String {
    format!(
        "server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\nchannels:\n  {name}: {{ webhook: {{ url: '{}{path}', allow_networks: [127.0.0.1] }}, rate_limit: off{more} }}\nroute: {{ to: [{name}] }}\n",
        fake.url()
    )
}

async fn reload(app: &TestApp, routes: &str) {
    std::fs::write(app.folder.path().join("routes.yaml"), routes).unwrap();
    app.app.reload().await.unwrap();
}

/// Waits until the receiver was asked at `path`.
async fn asked(fake: &Fake<Webhook>, path: &str) {
    assert!(fake.rec.wait(SOON, |rec| rec.all().iter().any(|record| record.call.path == path)).await, "asked at {path}");
}

/// Delivered once, by the last of the addresses, and nothing follows.
async fn once(app: &TestApp, fake: &Fake<Webhook>, path: &str) {
    let accepted = fake.rec.wait_accepted(1, SOON).await;
    assert_eq!(accepted.last().map(|record| record.call.path.as_str()), Some(path));
    let rows = app.settled().await;
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0].state, State::Sent, "{rows:#?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(fake.rec.count(Verdict::Accepted), 1, "it was sent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_being_retried_follows_a_renamed_channel() {
    let fake = Fake::start(Webhook::default()).await;
    fake.faults.always(Fault::Status(503, None));
    let app = TestApp::start(&routes(&fake, "ops", "/a", "")).await;
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "firing")).await.0, 200);
    asked(&fake, "/a").await;
    reload(&app, &routes(&fake, "night", "/a", ", previous_names: [ops]")).await;
    fake.faults.clear();
    once(&app, &fake, "/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_being_retried_follows_credentials_there_and_back() {
    let fake = Fake::start(Webhook::default()).await;
    fake.faults.always(Fault::Status(503, None));
    let app = TestApp::start(&routes(&fake, "ops", "/a", "")).await;
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "firing")).await.0, 200);
    asked(&fake, "/a").await;
    reload(&app, &routes(&fake, "ops", "/b", "")).await;
    asked(&fake, "/b").await;
    reload(&app, &routes(&fake, "ops", "/a", "")).await;
    fake.faults.clear();
    once(&app, &fake, "/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_fails_after_the_reload_is_not_the_last() {
    let fake = Fake::start(Webhook::default()).await;
    fake.with(|webhook| webhook.next.push_back((503, Vec::new())));
    fake.faults.push(Fault::Delay(Duration::from_millis(1500)));
    let app = TestApp::start(&routes(&fake, "ops", "/a", "")).await;
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "firing")).await.0, 200);
    asked(&fake, "/a").await;
    reload(&app, &routes(&fake, "night", "/a", ", previous_names: [ops]")).await;
    once(&app, &fake, "/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_moves_away_does_not_hold_up_those_that_share_its_credentials() {
    let fake = Fake::start(Webhook::default()).await;
    fake.with(|webhook| webhook.next.push_back((503, Vec::new())));
    fake.faults.push(Fault::Delay(Duration::from_millis(1500)));
    let both = |path: &str| {
        let stays = routes(&fake, "stays", "/a", "");
        let one = format!("  ops: {{ webhook: {{ url: '{}{path}', allow_networks: [127.0.0.1] }}, rate_limit: off }}\n", fake.url());
        let route = "route: { to: [stays], routes: [{ matchers: 'alertname=\"DiskFull\"', to: [ops] }] }";
        stays.replace("route: { to: [stays] }", &format!("{one}{route}"))
    };
    let (app, hand) = TestApp::start_timed(&both("/a")).await;
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "firing")).await.0, 200);
    asked(&fake, "/a").await;
    // The attempt at the old address fails while nobody has the channel there any more, and its next try is due.
    reload(&app, &both("/b")).await;
    app.until("", |rows| rows.iter().any(|row| row.tries > 0)).await;
    hand.jump(6_000);
    assert_eq!(app.post("/webhook", &alert("web", "SlowPage", "firing")).await.0, 200);
    let accepted = fake.rec.wait_accepted(2, SOON).await;
    let mut paths: Vec<&str> = accepted.iter().map(|record| record.call.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/a", "/b"], "each where it belongs");
    assert!(app.settled().await.iter().all(|row| row.state == State::Sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_another_node_moved_here_is_found_and_finished() {
    let fake = Fake::start(Webhook::default()).await;
    // The receiver's word is not heard: whether it has the message is not known, so the message stays as it is and is sent again.
    fake.faults.always(Fault::CloseAfter);
    let app = TestApp::start(&routes(&fake, "ghost", "/g", "")).await;
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "firing")).await.0, 200);
    asked(&fake, "/g").await;
    std::fs::write(app.folder.path().join("routes.yaml"), routes(&fake, "ops", "/a", "")).unwrap();
    let app = app.restart().await;
    fake.faults.clear();
    fake.rec.clear();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let outlet = app.get("/api/v1/channels").await.1["channels"][0]["outlet"].as_str().unwrap().to_owned();
    // What a reload on another node does, seen from here.
    let db = rusqlite::Connection::open(app.folder.path().join("watchfire.db")).unwrap();
    db.busy_timeout(SOON).unwrap();
    assert_eq!(db.execute("UPDATE message SET channel = 'ops', outlet = ?1 WHERE done = 0", [&outlet]).unwrap(), 1, "it is in flight");
    db.execute("UPDATE lane SET channel = 'ops', outlet = ?1", [&outlet]).unwrap();
    db.execute("UPDATE delivery SET channel = 'ops'", []).unwrap();
    // Two looks at the store, without waiting for the usual ones.
    for _ in 0..2 {
        app.app.reload().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    once(&app, &fake, "/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_under_way_is_not_repeated_by_a_second_reload() {
    let fake = Fake::start(Webhook::default()).await;
    fake.faults.push(Fault::Delay(Duration::from_millis(2500)));
    let app = TestApp::start(&routes(&fake, "ops", "/a", "")).await;
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "firing")).await.0, 200);
    asked(&fake, "/a").await;
    for _ in 0..2 {
        reload(&app, &routes(&fake, "ops", "/b", "")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    once(&app, &fake, "/a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_under_way_at_the_reload_is_heard_and_not_repeated() {
    let fake = Fake::start(Webhook::default()).await;
    fake.faults.push(Fault::Delay(Duration::from_millis(1500)));
    let app = TestApp::start(&routes(&fake, "ops", "/a", "")).await;
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "firing")).await.0, 200);
    asked(&fake, "/a").await;
    reload(&app, &routes(&fake, "ops", "/b", "")).await;
    once(&app, &fake, "/a").await;
    // What comes later uses the new credentials, in the same lane.
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "resolved")).await.0, 200);
    let accepted = fake.rec.wait_accepted(2, SOON).await;
    assert_eq!(accepted[1].call.path, "/b");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_removed_channel_keep_nobody_waiting_who_shares_its_credentials() {
    let fake = Fake::start(Webhook::default()).await;
    // Whether the receiver has them is not known: they stay as they are, and wait to be sent again.
    fake.faults.always(Fault::CloseAfter);
    let app = TestApp::start(&routes(&fake, "ghost", "/g", "")).await;
    for group in ["a", "b", "c", "d"] {
        assert_eq!(app.post("/webhook", &alert(group, "DiskFull", "firing")).await.0, 200);
    }
    assert!(fake.rec.wait(SOON, |rec| rec.all().len() >= 4).await, "all four were tried");
    std::fs::write(app.folder.path().join("routes.yaml"), routes(&fake, "stays", "/g", "")).unwrap();
    let app = app.restart().await;
    fake.faults.clear();
    fake.rec.clear();
    assert_eq!(app.post("/webhook", &alert("web", "SlowPage", "firing")).await.0, 200);
    let accepted = fake.rec.wait_accepted(1, Duration::from_secs(5)).await;
    assert_eq!(accepted.len(), 1, "it does not wait behind what has no channel any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_channel_that_is_gone_is_named_until_it_has_a_successor() {
    let fake = Fake::start(Webhook::default()).await;
    fake.faults.always(Fault::Status(503, None));
    let app = TestApp::start(&routes(&fake, "ops", "/a", "")).await;
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "firing")).await.0, 200);
    asked(&fake, "/a").await;
    let says_so = async |wanted: bool| {
        let end = tokio::time::Instant::now() + SOON;
        loop {
            let text = app.http.get(app.url("/-/ready")).send().await.unwrap().text().await.unwrap();
            if text.contains("note: 1 delivery waits for channel ops, which the configuration no longer has") == wanted {
                assert!(text.starts_with("ready\n"), "{text}");
                return;
            }
            assert!(tokio::time::Instant::now() < end, "{text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    reload(&app, &routes(&fake, "night", "/a", "")).await;
    says_so(true).await;
    fake.faults.clear();
    reload(&app, &routes(&fake, "night", "/a", ", previous_names: [ops]")).await;
    says_so(false).await;
    assert!(app.settled().await.iter().all(|row| row.state == State::Sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_said_to_be() {
    let fake = Fake::start(Webhook::default()).await;
    fake.faults.always(Fault::Delay(Duration::from_secs(8)));
    let app = TestApp::start(&routes(&fake, "ops", "/a", "")).await;
    let (_, accepted) = app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let path = format!("/api/v1/deliveries/{}", accepted["deliveries"][0]["id"].as_str().unwrap());
    let end = tokio::time::Instant::now() + Duration::from_secs(7);
    loop {
        let (_, shown) = app.get(&path).await;
        if shown["next"].as_str().is_some_and(|next| next.starts_with("it is being sent now; the platform has 30s to answer")) {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{shown}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
