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
    - { matchers: 'severity="critical", team="db"', to: [ding] }
    - { matchers: 'storm="yes"', to: [ding, mail] }
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
    assert!(!out.contains("warning:"), "mails may be many: {out}");
    // How often a phone would ring is said before it does.
    let phones = ROUTES.replace(r#"ding: { dingtalk: { access_token: abc } }"#, r#"ding: { twilio_voice: { account_sid: AC0123456789abcdef0123456789abcdef, auth_token: abc, from: "+15005550006", to: ["+15005550009", "+15005550010"] } }"#);
    std::fs::write(folder.path().join("phones.yaml"), phones).unwrap();
    let storm =
        ["simulate", "--config", "phones.yaml", "--alerts", "300", "--groups", "300", "--over", "10m", "--channel", "ding", "--label", "storm=yes"];
    let (ok, out, err) = run(folder.path(), &storm);
    assert!(
        ok && out.contains("warning: 300 messages to each of 2, 600 in all; a `rate_limit: { per_minute: 6 }` on `ding` bounds it"),
        "{out}{err}"
    );
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
    assert!(ok && out.contains("one.json: 1 alert, 1 page to terminal; 2 template sets more render it"), "{out}{err}");
    std::fs::write(bodies.join("two.json"), r#"{"version":"4","alerts":[{"labels":"#).unwrap();
    let (ok, out, _) = check(&[]);
    assert!(!ok && out.contains("two.json: error[E060]"), "{out}");
    let (ok, out, err) = check(&["--json"]);
    let findings: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert!(!ok && err.is_empty(), "{findings}");
    let unusable = findings.as_array().unwrap().iter().find(|finding| finding["code"] == "E060");
    assert_eq!(unusable.map(|finding| &finding["file"]), Some(&"bodies/two.json".into()), "{findings}");
    let (ok, _, err) = run(folder.path(), &["check", "--without-secrets", "--payloads", "nowhere"]);
    assert!(!ok && err.contains("nowhere: there is no such folder"), "{err}");
}

#[test]
fn templates_that_no_stored_body_is_routed_to_are_rendered_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let quiet = "    - { matchers: 'team=\"nobody\"', to: [ding], template: brief }\n";
    let mapping = "inputs: { own: { when: [/events], alerts: /events, labels: { alertname: '{{alert.name}}', pattern: '{{alert.pattern}}' } } }\n";
    std::fs::write(folder.path().join("routes.yaml"), format!("templates: my\n{ROUTES}{quiet}{mapping}")).unwrap();
    std::fs::create_dir_all(folder.path().join("my/dingtalk")).unwrap();
    // It works on every sample, and not on all that comes in here.
    let brief = "{{title}}{{#each alerts}}{{#if (match name (default labels.pattern \"x\"))}}!{{/if}}{{/each}}";
    std::fs::write(folder.path().join("my/dingtalk/brief.text.hbs"), brief).unwrap();
    std::fs::create_dir(folder.path().join("bodies")).unwrap();
    let body = |name: &str, text: &str| std::fs::write(folder.path().join("bodies").join(name), text).unwrap();
    body("a.json", r#"{"events":[{"name":"Own","pattern":"^O"}]}"#);
    let check = || run(folder.path(), &["check", "--without-secrets", "--payloads", "bodies"]);
    let (ok, out, err) = check();
    assert!(ok && out.contains("a.json: 1 alert, 1 page to terminal; 3 template sets more render it"), "{out}{err}");
    body("b.json", r#"{"events":[{"name":"Own","pattern":"("}]}"#);
    let (ok, out, err) = check();
    assert!(!ok && out.contains("a.json") && out.contains("b.json: error[E061]: a template of channel `ding` fails on this body"), "{out}{err}");
    // What a route's template set makes of a body is what `explain` shows.
    let (ok, out, err) = run(folder.path(), &["explain", "--payload", "bodies/a.json"]);
    assert!(ok && out.contains("-> terminal") && out.contains("template default"), "{out}{err}");
    body("c.json", r#"{"alerts":[{"labels":{"alertname":"Brief","team":"nobody"}}],"version":"4"}"#);
    let (ok, out, err) = run(folder.path(), &["explain", "--payload", "bodies/c.json", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    assert!(ok && told["deliveries"][0]["template"] == "brief", "{told}");
    assert_eq!(told["deliveries"][0]["pages"][0]["fields"]["text"], "Brief", "{told}");
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
    assert!(routes.contains("severity=\"critical\"") && routes.contains("1 later route is not tried"), "{routes}");
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

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_what_was_and_was_not_sent_fits_one_screen() {
    let yaml = r#"
server: { listen: "127.0.0.1:0" }
store: sqlite:watchfire.db
channels:
  terminal: { log: {} }
  off: { log: {}, disabled: true }
  board: { webhook: { url: "http://127.0.0.1:9/", allow_networks: [127.0.0.1] }, fallback: [off, terminal], fallback_after: 10m }
time_intervals:
  - { name: always, time_intervals: [{ times: [{ start_time: "00:00", end_time: "24:00" }] }] }
heartbeats: [{ matchers: 'alertname="Watchdog"', timeout: 5m, to: [terminal] }]
route:
  to: [terminal]
  routes:
    - { matchers: 'team="web"', to: [terminal] }
    - { matchers: 'group="db"', to: [board], continue: true }
    - { matchers: 'alertname="DiskFull"', to: [terminal], mute_time_intervals: [always] }
"#;
    let app = TestApp::start(yaml).await;
    let (_, taken) = app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let (_, beat) = app.post("/webhook", &alert("x", "Watchdog", "firing")).await;
    let (_, direct) = app.post("/webhook?to=terminal", &alert("y", "Named", "firing")).await;
    let (folder, listen) = (app.folder.path().to_owned(), app.app.address.to_string());
    let explain = async |id: &Value| {
        let (folder, listen, id) = (folder.clone(), listen.clone(), id.as_str().unwrap_or("00000000-0000-0000-0000-000000000000").to_owned());
        tokio::task::spawn_blocking(move || run(&folder, &["explain", &id, "--listen", &listen])).await.unwrap()
    };
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let story = loop {
        let (ok, out, err) = explain(&taken["event"]).await;
        assert!(ok, "{err}");
        if out.contains("transient") || std::time::Instant::now() > end {
            break out;
        }
    };
    for part in [
        "routes, as it was routed:",
        "no route.routes[0]: team=\"web\"; team=\"web\" fails: there is no label team",
        "-> route.routes[1]: group=\"db\"",
        "; muted by always indefinitely",
        "to board (1 firing, 0 resolved)",
        "chosen by route.routes[1]; if it dies: terminal",
        "state deferred: muted by time interval `always`",
        "copied to terminal if it still waits at",
        "given up after",
        "rate limit of the channel: off",
    ] {
        assert!(story.contains(part), "`{part}` is missing:\n{story}");
    }
    assert!(story.lines().count() < 40, "{story}");
    let (_, story, _) = explain(&beat["event"]).await;
    assert!(story.contains("nothing was delivered: a sign of life for the heartbeat `Watchdog`"), "{story}");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let story = loop {
        let (_, story, _) = explain(&direct["deliveries"][0]["id"]).await;
        if story.contains("state sent") || std::time::Instant::now() > end {
            break story;
        }
    };
    assert!(story.contains("chosen by ?to=") && !story.contains("routes,"), "{story}");
    assert!(
        story.contains("(single of 1 delivery, template default, 1 page)") && story.contains("page 1/1 names 1 alert of this delivery"),
        "{story}"
    );
    assert!(story.contains("next: nothing: it is final\n"), "{story}");
    let (ok, _, err) = explain(&Value::Null).await;
    assert!(!ok && err.contains("no delivery and no event has the id"), "{err}");
    let (ok, _, err) = run(&folder, &["explain", "12"]);
    assert!(!ok && err.contains("`12` is no id") && err.contains("`watchfire incidents show 12`"), "{err}");
    let (ok, _, err) = run(&folder, &["explain", "twelve"]);
    assert!(!ok && err.contains("`watchfire events ls`"), "{err}");
    let wrong: [(&[&str], &str); 5] = [
        (&["queue", "show", "nope"], "`watchfire queue ls`"),
        (&["events", "show", "nope"], "`watchfire events ls`"),
        (&["events", "replay", "nope"], "`watchfire events ls`"),
        (&["incidents", "show", "nope"], "`watchfire incidents ls`"),
        (&["ack", "nope"], "`watchfire incidents ls`"),
    ];
    for (args, list) in wrong {
        let args = [args, &["--listen", &listen]].concat();
        let (ok, _, err) = run(&folder, &args);
        assert!(!ok && err.contains("`nope` is no ") && err.contains(list), "{args:?}: {err}");
    }
    // With another configuration the routes are those of now, and the explanation says so.
    std::fs::write(folder.join("routes.yaml"), yaml.replace("'team=\"web\"'", "'team=\"shop\"'")).unwrap();
    app.app.reload().await.unwrap();
    let (_, story, _) = explain(&taken["event"]).await;
    assert!(story.contains("routes, by the configuration of now, which has changed since, at that time:") && story.contains("shop"), "{story}");
}
