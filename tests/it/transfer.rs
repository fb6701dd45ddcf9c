//! `watchfire migrate-store`: what waited in the file is delivered from the database, what was done stays known, and a try that broke off goes on.

use std::process::Command;
use std::time::Duration;

use watchfire::store::{DeliveryRow, State};

use crate::support::app::{TestApp, alert};
use crate::support::fakes::server::Fake;
use crate::support::fakes::slack::{Room, Slack};
use crate::support::postgres::Postgres;

fn migrate(folder: &std::path::Path, url: &str, more: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.args(["migrate-store", "sqlite:watchfire.db"]).args(more).env("DATABASE_URL", url).current_dir(folder);
    let out = command.output().unwrap();
    (out.status.success(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_moves_to_postgresql_without_loss() {
    let Some(database) = Postgres::start() else { return };
    let fake = Fake::start(Slack::new("xoxb-test-token").channel("C0123", "#ops", Room::Open).unpaced()).await;
    fake.rec.track("uid-");
    let routes = |store: &str, base: &str| {
        format!(
            "server: {{ listen: '127.0.0.1:0' }}\nstore: \"{store}\"\nchannels:\n  ops: {{ slack: {{ token: xoxb-test-token, channel: C0123, api_base: \"{base}\" }}, rate_limit: off }}\n  \
             terminal: {{ log: {{}} }}\nroute:\n  to: [ops]\n  routes: [{{ matchers: 'done=\"yes\"', to: [terminal] }}]\n"
        )
    };
    // The platform is down: 40 deliveries wait, five are done.
    let app = TestApp::start(&routes("sqlite:watchfire.db", "http://127.0.0.1:9")).await;
    for n in 0..40 {
        let mut body = alert(&format!("lane{}", n % 7), &format!("uid-{n:03}"), "firing");
        body["alerts"][0]["annotations"]["summary"] = "\u{0}odd 磁盘\n".into();
        assert_eq!(app.post("/webhook", &body).await.0, 200);
    }
    for n in 0..5 {
        let mut body = alert(&format!("done{n}"), "Done", "firing");
        body["alerts"][0]["labels"]["done"] = "yes".into();
        app.post("/webhook", &body).await;
    }
    app.until("state=sent", |rows| rows.len() == 5).await;
    app.until("state=waiting", |rows| rows.len() == 40 && rows.iter().any(|row| row.tries > 0)).await;
    let before = app.deliveries("").await;
    let TestApp { app, folder, http } = app;
    let (ok, told) = migrate(folder.path(), &database.url(), &[]);
    assert!(!ok && told.contains("stop the server that uses the store"), "{told}");
    app.stop(Duration::from_secs(3)).await;

    let (ok, told) = migrate(folder.path(), &database.url(), &["--keep"]);
    assert!(ok && told.contains("delivery: 45 rows") && told.contains("event: 45 rows"), "{told}");
    let (ok, told) = migrate(folder.path(), &database.url(), &[]);
    assert!(!ok && told.contains("holds deliveries already"), "{told}");
    // As if the first try had been broken off before its last transaction.
    database.sql("SET search_path TO watchfire; TRUNCATE lane, outlet");
    let (ok, told) = migrate(folder.path(), &database.url(), &[]);
    assert!(ok && told.contains("lane: "), "{told}");
    assert!(folder.path().join("watchfire.db.moved").exists() && !folder.path().join("watchfire.db").exists());

    std::fs::write(folder.path().join("routes.yaml"), routes(&database.url(), &fake.url())).unwrap();
    let options = watchfire::app::AppOptions { watch: false, ..watchfire::app::AppOptions::new(folder.path().join("routes.yaml")) };
    let app = watchfire::app::App::start(options).await.unwrap_or_else(|e| panic!("{e:#}"));
    let app = TestApp { app, folder, http };
    let rows = app.settled().await;
    assert_eq!(rows.len(), 45);
    assert!(rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    assert_eq!(fake.rec.seen().len(), 40, "each alert that waited was named");
    let ids = |rows: &[DeliveryRow]| rows.iter().map(|row| row.id.to_string()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(ids(&rows), ids(&before), "the same deliveries, the same ids");
    let one = serde_json::to_value(app.delivery(rows[0].id).await).unwrap();
    assert!(one["event"]["body"]["alerts"][0]["annotations"]["summary"].as_str().is_some(), "{one}");
    // New deliveries get lanes of their own beside those that came along.
    app.post("/webhook", &alert("later", "uid-999", "firing")).await;
    assert_eq!(app.settled().await.len(), 46);
    app.app.stop(Duration::from_secs(5)).await;
}
