//! Reloads: all or nothing, told the same everywhere, and tried again by themselves when what was missing is there.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{SOON, TestApp, alert};

const LOG: &str = "server: { listen: '127.0.0.1:0' }\nstore: sqlite:watchfire.db\nchannels: { terminal: { log: {} } }\nroute: { to: [terminal] }\n";

async fn until(app: &TestApp, what: impl Fn(&str) -> bool) -> String {
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let text = app.http.get(app.url("/-/ready")).send().await.unwrap().text().await.unwrap();
        if what(&text) {
            return text;
        }
        assert!(tokio::time::Instant::now() < end, "{text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn channels(app: &TestApp) -> Vec<String> {
    let (_, answer) = app.get("/api/v1/channels").await;
    answer["channels"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_and_is_told_as_check_tells_it() {
    let app = TestApp::start_with(LOG, |options| options.watch = true).await;
    let file = app.folder.path().join("routes.yaml");
    let bad = LOG.replace("terminal: { log: {} }", "other: { log: {} }").replace("route:", "tests: [{ labels: {}, expect: nobody }]\nroute:");
    std::fs::write(&file, &bad).unwrap();
    let ready = until(&app, |text| text.contains("note:")).await;
    assert!(ready.starts_with("ready\n"), "the old configuration works: {ready}");
    assert!(ready.contains("routes.yaml:4:31: error[E014]") && ready.contains("routes.yaml:5:15: error[E014]"), "both, with their places: {ready}");
    let answer = app.http.post(app.url("/-/reload")).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 500);
    let report = answer.text().await.unwrap();
    let findings = watchfire::config::load(&file, &watchfire::config::LoadOptions::default()).unwrap_err();
    assert_eq!(report, format!("not reloaded, the previous configuration stays active\n{}", watchfire::config::report(&findings)));
    let (_, metrics) = app.get("/metrics").await;
    assert!(metrics.as_str().unwrap().contains("watchfire_config_last_reload_successful 0"), "{metrics}");
    assert_eq!(channels(&app).await, ["terminal"]);
    let (code, _) = app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    assert_eq!(code, 200);
    std::fs::write(&file, LOG.replace("terminal", "console")).unwrap();
    assert_eq!(until(&app, |text| !text.contains("note:")).await, "ready\n");
    assert_eq!(channels(&app).await, ["console"]);
    let (_, metrics) = app.get("/metrics").await;
    assert!(metrics.as_str().unwrap().contains("watchfire_config_last_reload_successful 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_file_that_comes_late_is_waited_for() {
    let app = TestApp::start_with(LOG, |options| options.watch = true).await;
    let new = LOG.replace("terminal: { log: {} }", "terminal: { log: {} }, ding: { dingtalk: { access_token: { file: token } } }");
    std::fs::write(app.folder.path().join("routes.yaml"), new).unwrap();
    let ready = until(&app, |text| text.contains("note:")).await;
    assert!(ready.contains("E023") && ready.contains("token does not exist"), "{ready}");
    std::fs::write(app.folder.path().join("token"), "0123456789abcdef").unwrap();
    until(&app, |text| !text.contains("note:")).await;
    assert_eq!(channels(&app).await, ["terminal", "ding"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_at_once_end_with_what_the_file_says() {
    let app = TestApp::start(LOG).await;
    let file = app.folder.path().join("routes.yaml");
    for round in 0..5 {
        let name = format!("round{round}");
        std::fs::write(&file, LOG.replace("terminal", &name)).unwrap();
        let reloads: Vec<_> = (0..8)
            .map(|_| {
                let request = app.http.post(app.url("/-/reload"));
                tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
            })
            .collect();
        for reload in reloads {
            assert_eq!(reload.await.unwrap(), 200);
        }
        assert_eq!(channels(&app).await, [name]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_the_store_refuses_leaves_everything_as_it_was() {
    let app = TestApp::start(LOG).await;
    let server = "server: { listen: '127.0.0.1:0', auth: [{ bearer: 0123456789abcdef }] }";
    let new = LOG.replace("server: { listen: '127.0.0.1:0' }", server).replace("terminal: { log: {} }", "terminal: { log: {} }, two: { log: {} }");
    std::fs::write(app.folder.path().join("routes.yaml"), new).unwrap();
    // Another writer holds the database for longer than the store waits for it.
    let db = rusqlite::Connection::open(app.folder.path().join("watchfire.db")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let report = app.app.reload().await.unwrap_err();
    assert!(report.contains("tried again"), "{report}");
    assert_eq!(channels(&app).await, ["terminal"], "neither the plan nor the credentials are the new ones");
    db.execute_batch("ROLLBACK").unwrap();
    app.app.reload().await.unwrap();
    assert_eq!(app.get("/api/v1/channels").await.0, 401);
    let answer = app.http.get(app.url("/api/v1/channels")).bearer_auth("0123456789abcdef").send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["channels"][1]["name"], json!("two"));
}

/// Where labels go, by the server's own words.
async fn way(app: &TestApp, team: &str) -> Vec<String> {
    let mut body = alert(team, "DiskFull", "firing");
    body["alerts"][0]["labels"]["team"] = json!(team);
    let (_, told) = app.post("/api/v1/explain", &body).await;
    told["deliveries"].as_array().unwrap().iter().map(|one| one["channel"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_teams_are_loaded_when_they_change_come_and_go() {
    let app = TestApp::start_with(LOG, |options| options.watch = true).await;
    let folder = app.folder.path();
    std::fs::create_dir(folder.join("teams")).unwrap();
    std::fs::write(folder.join("teams/db.yaml"), "channels: { db: { log: {} } }\nroute: { to: db }\n").unwrap();
    let main = format!("{LOG}include: [{{ files: 'teams/*.yaml', matchers: 'team=\"{{name}}\"' }}]\n");
    std::fs::write(folder.join("routes.yaml"), main).unwrap();
    let wait = async |wanted: &[&str]| {
        let end = tokio::time::Instant::now() + SOON;
        while channels(&app).await != wanted {
            assert!(tokio::time::Instant::now() < end, "{:?}", channels(&app).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    wait(&["terminal", "db"]).await;
    assert_eq!((way(&app, "db").await, way(&app, "web").await), (vec!["db".to_owned()], vec!["terminal".to_owned()]));
    // A new file, and a changed one.
    std::fs::write(folder.join("teams/web.yaml"), "channels: { web: { log: {} } }\nroute: { to: web }\n").unwrap();
    wait(&["terminal", "db", "web"]).await;
    assert_eq!(way(&app, "web").await, ["web"]);
    std::fs::write(folder.join("teams/db.yaml"), "channels: { db2: { log: {} } }\nroute: { to: db2 }\n").unwrap();
    wait(&["terminal", "db2", "web"]).await;
    // A mistake in one changes nothing, and is found in its file.
    std::fs::write(folder.join("teams/web.yaml"), "channels: { web: { log: {} } }\nroute: { to: [db2] }\n").unwrap();
    let ready = until(&app, |text| text.contains("note:")).await;
    assert!(ready.contains("teams/web.yaml:2:15: error[E070]") && ready.contains("`db2` belongs to"), "{ready}");
    let page = app.http.get(app.url("/ui/config")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("teams/web.yaml") && page.contains("route: { to: [db2] }"), "the console shows what differs: {page}");
    assert_eq!((channels(&app).await, way(&app, "web").await), (["terminal", "db2", "web"].map(str::to_owned).to_vec(), vec!["web".to_owned()]));
    std::fs::remove_file(folder.join("teams/web.yaml")).unwrap();
    wait(&["terminal", "db2"]).await;
    assert_eq!(way(&app, "web").await, ["terminal"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_restart_is_said_in_the_answer() {
    let app = TestApp::start(LOG).await;
    let new = LOG.replace("127.0.0.1:0", "127.0.0.1:1").replace("watchfire.db", "other.db");
    std::fs::write(app.folder.path().join("routes.yaml"), new).unwrap();
    let answer = app.http.post(app.url("/-/reload")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert!(text.contains("`server.listen` changed; 127.0.0.1:1 takes effect after a restart"), "{text}");
    assert!(text.contains("`store` changed; it takes effect after a restart"), "{text}");
}
