//! Before it happens: what a storm would become, what would happen to a body, and whether every stored body can be rendered.

use std::process::Command;

use serde_json::Value;

use crate::support::app::{TestApp, alert};

const ROUTES: &str = r#"
server: { listen: "127.0.0.1:0" }
store: sqlite:watchfire.db
channels:
  ding: { dingtalk: { access_token: abc } }
  mail: { email: { server: "127.0.0.1:9", tls: none, from: a@example.com, to: [b@example.com] } }
  terminal: { log: {} }
route:
  to: [terminal]
  routes:
    - { match: 'severity="critical", team="db"', to: [ding] }
    - { match: 'storm="yes"', to: [ding, mail] }
"#;

fn run(folder: &std::path::Path, arguments: &[&str]) -> (bool, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(arguments).current_dir(folder).output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn a_storm_is_foretold_by_the_real_pace_and_limits() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.yaml"), ROUTES).unwrap();
    let arguments = ["simulate", "--alerts", "1000", "--groups", "200", "--over", "10s", "--label", "storm=yes", "--json"];
    let (ok, out, err) = run(folder.path(), &arguments);
    assert!(ok, "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let channel = |name: &str| told["channels"].as_array().unwrap().iter().find(|row| row["channel"] == name).unwrap().clone();
    let (ding, mail) = (channel("ding"), channel("mail"));
    assert_eq!((ding["alerts"].as_u64(), mail["messages"].as_u64(), mail["digests"].as_u64()), (Some(1000), Some(200), Some(0)));
    // 20 requests a minute, less the margin: what comes in ten seconds and must leave soon after is merged.
    let (pages, digests) = (ding["pages"].as_u64().unwrap(), ding["digests"].as_u64().unwrap());
    let over = ding["over_after_seconds"].as_f64().unwrap();
    assert!(digests >= 1 && (pages as f64) <= 20.0 * (1.0 + over / 60.0), "{ding}");
    assert!(ding["named"].as_u64().unwrap() <= 1000 && over < 180.0, "{ding}");
    let (ok, out, _) = run(folder.path(), &["simulate", "--alerts", "10", "--groups", "10", "--channel", "mail", "--label", "storm=yes"]);
    assert!(ok && out.contains("mail") && !out.contains("dingtalk"), "{out}");
    let (ok, _, err) = run(folder.path(), &["simulate", "--channel", "nobody"]);
    assert!(!ok && err.contains("there are: ding, mail, terminal"), "{err}");
}

#[test]
fn every_stored_body_is_rendered_by_check() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.yaml"), ROUTES).unwrap();
    let bodies = folder.path().join("bodies");
    std::fs::create_dir(&bodies).unwrap();
    std::fs::write(bodies.join("one.json"), alert("db", "DiskFull", "firing").to_string()).unwrap();
    let check = |more: &[&str]| run(folder.path(), &[&["check", "--without-secrets", "--payloads", "bodies"], more].concat());
    let (ok, out, err) = check(&[]);
    assert!(ok && out.contains("one.json: 1 alerts, 1 pages to terminal"), "{out}{err}");
    std::fs::write(bodies.join("two.json"), r#"{"version":"4","alerts":[{"labels":7}]}"#).unwrap();
    let (ok, _, err) = check(&[]);
    assert!(!ok && err.contains("two.json") && err.contains("alerts[0].labels"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_explained_over_http_and_one_that_came_can_be_rendered_again() {
    let app = TestApp::start(ROUTES).await;
    let mut body = alert("db", "DiskFull", "firing");
    body["alerts"][0]["labels"]["team"] = "db".into();
    let (code, told) = app.post("/api/v1/explain", &body).await;
    assert_eq!(code, 200, "{told}");
    assert_eq!((&told["deliveries"][0]["channel"], &told["deliveries"][0]["state"]), (&"ding".into(), &"waiting".into()), "{told}");
    let routes = told["alerts"][0]["routes"].as_str().unwrap();
    assert!(routes.contains("severity=\"critical\"") && routes.contains("later routes are not tried"), "{routes}");
    assert!(told["deliveries"][0]["pages"][0]["fields"]["text"].as_str().unwrap().contains("DiskFull"), "{told}");
    let (_, none) = app.get("/api/v1/deliveries").await;
    assert_eq!(none["deliveries"].as_array().unwrap().len(), 0, "nothing was stored");
    assert_eq!(app.post("/api/v1/explain", &serde_json::json!({ "alerts": 1 })).await.0, 400);

    let (_, answer) = app.post("/webhook", &alert("web", "HostDown", "firing")).await;
    app.settled().await;
    let id = answer["event"].as_str().or(answer["id"].as_str()).unwrap().to_owned();
    let (code, told) = app.post(&format!("/api/v1/explain?event={id}"), &Value::Null).await;
    assert!(code == 200 && told["alerts"][0]["name"] == "HostDown", "{told}");
    let folder = app.folder;
    app.app.stop(std::time::Duration::from_secs(5)).await;
    let (ok, out, err) = run(folder.path(), &["render", "--channel", "ding", "--event", &id]);
    assert!(ok && out.contains("HostDown is wrong"), "{out}{err}");
    let (ok, out, err) = run(folder.path(), &["explain", "--event", &id]);
    assert!(ok && out.contains("-> terminal waiting"), "{out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_came_is_listed_scrubbed_and_rendered_elsewhere() {
    let app = TestApp::start(ROUTES).await;
    assert_eq!(app.post("/webhook?source=prod", &alert("secret-host", "DiskFull", "firing")).await.0, 200);
    app.settled().await;
    let folder = app.folder.path().to_owned();
    let listen = app.app.address.to_string();
    let told = tokio::task::spawn_blocking(move || {
        let (ok, list, err) = run(&folder, &["events", "ls", "--json", "--source", "alertmanager:prod", "--listen", &listen]);
        assert!(ok, "{err}");
        let list: Value = serde_json::from_str(&list).unwrap();
        let id = list["events"][0]["id"].as_str().unwrap().to_owned();
        let (ok, table, _) = run(&folder, &["events", "ls", "--listen", &listen]);
        assert!(ok && table.contains(&id) && table.contains("alertmanager:prod"), "{table}");
        let (ok, body, err) = run(&folder, &["events", "show", &id, "--scrub", "--listen", &listen]);
        assert!(ok && body.contains("DiskFull") && !body.contains("secret-host"), "{body}{err}");
        std::fs::write(folder.join("body.json"), body).unwrap();
        run(&folder, &["render", "--payload", "body.json", "--channel", "ding"])
    })
    .await
    .unwrap();
    assert!(told.0 && told.1.contains("DiskFull"), "{told:?}");
}
