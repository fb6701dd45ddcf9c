//! Every page before axe-core (<https://github.com/dequelabs/axe-core>), in a real browser.

use serde_json::{Value, json};

use super::{HOSTILE, fire, gateway, routes};
use crate::support::app::{TestApp, alert};
use crate::support::chromium::Chromium;
use crate::support::skip::skip;

const ROTAS: &str = "mutes: [{ name: nightly, matchers: 'team=\"db\"', until: 2099-01-01T00:00:00Z, reason: backups, owner: ann }]\npeople:\n  ann: { mobile: \"+4915112345678\" }\n  bob: { email: bob@example.com }\nrotas:\n  db: { handoff: \"monday 10:00\", start: 2026-11-02, people: [ann, bob] }\n  day: { handoff: \"12:00\", rotation: daily, start: 2026-11-02, people: [bob, ann] }\nescalations: { night: [{ after: 2h, to: theirs }] }\n";

/// A channel of every client that is drawn; nothing is sent to them.
const CLIENTS: &str = "slack: { slack: { token: xoxb-1234567890, channel: C1 } }, \
    telegram: { telegram: { token: '123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678', chat: -1001 } }, \
    discord: { discord: { webhook: 'https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuvwxyz' } }, \
    teams: { teams: { webhook: 'https://prod-1.westeurope.logic.azure.com/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sp=x&sv=1.0&sig=a' } }, \
    feishu: { feishu: { token: 0a1b2c3d-1111-2222-3333-444455556666 } }, dingtalk: { dingtalk: { access_token: 0123456789abcdef0123456789abcdef } }, \
    wecom: { wecom_robot: { key: 0a1b2c3d-1111-2222-3333-444455556666 } }, \
    mail: { email: { server: 'localhost:25', tls: none, from: a@example.com, to: [ops@example.com] } }, ";

const DRAWN: [&str; 8] = ["slack", "telegram", "discord", "teams", "feishu", "dingtalk", "wecom", "mail"];

/// What is wrong with the page that is open.
async fn faults(browser: &mut Chromium, axe: &str) -> Vec<String> {
    browser.eval(axe).await;
    browser
        .eval("window.axeFound = null; axe.run(document, { resultTypes: ['violations'] }).then(r => { window.axeFound = r.violations; }); 0")
        .await;
    browser.until("window.axeFound != null").await;
    let found = browser
        .eval("JSON.stringify(window.axeFound.map(v => ({ id: v.id, impact: v.impact, at: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200)) })))")
        .await;
    let found: Vec<Value> = serde_json::from_str(found.as_str().unwrap()).unwrap();
    found.into_iter().filter(|one| matches!(one["impact"].as_str(), Some("serious" | "critical"))).map(|one| one.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs axe-core from npm, which .ci/long console installs"]
async fn no_page_has_a_serious_fault() {
    let axe = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&axe).unwrap_or_else(|error| panic!("{}: {error}; run `.ci/long console`", axe.display()));
    let Some(mut browser) = Chromium::start().await else { return skip("chromium") };
    let (url, _accepts) = gateway().await;
    let hook = format!("theirs: {{ webhook: {{ url: '{url}', allow_networks: [127.0.0.1] }} }}");
    let yaml = routes("")
        .replace("ours: { log: {} }", &format!("{CLIENTS}ours: {{ log: {{}} }}"))
        .replace("theirs: { log: {} }", &hook)
        .replace("route: { to: [ours],", "route: { to: [ours], escalation: night,");
    let app = TestApp::start(&format!("{yaml}{ROTAS}")).await;
    browser.size(1440, 900).await;
    let mut wrong: Vec<String> = Vec::new();
    let mut look = async |browser: &mut Chromium, path: &str, how: &str| {
        browser.open(&app.url(path)).await;
        // Also what a press brings up.
        browser.eval("document.querySelectorAll('li.inc .menu, .sheet .menu').forEach(menu => { menu.open = true; })").await;
        wrong.extend(faults(browser, &axe).await.into_iter().map(|fault| format!("{path} {how}: {fault}")));
    };
    look(&mut browser, "/ui", "first run").await;
    for (n, group) in ["ours", "theirs", "third"].into_iter().enumerate() {
        let mut body = alert(group, HOSTILE, "firing");
        body["alerts"][0]["labels"]["severity"] = ["critical", "warning", "info"][n].into();
        fire(&app, None, &body).await;
    }
    let acked = app.http.post(app.url("/api/v1/incidents/2/ack")).json(&json!({ "by": "ann" })).send().await.unwrap();
    assert_eq!(acked.status(), 200);
    app.until("state=dead", |rows| rows.len() == 1).await;
    let dead = app.http.get(app.url("/api/v1/deliveries?state=dead")).send().await.unwrap().json::<Value>().await.unwrap();
    let delivery = format!("/ui/deliveries/{}", dead["deliveries"][0]["id"].as_str().unwrap());
    let form = [("rota", "db"), ("person", "bob"), ("from", ""), ("until", "2099-01-01T00:00"), ("reason", "x")];
    let _ = app.http.post(app.url("/ui/oncall/overrides")).header("sec-fetch-site", "same-origin").form(&form).send().await.unwrap();
    let config = app.folder.path().join("routes.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("to: [ours], escalation", "to: [nowhere], escalation")).unwrap();
    let mut pages = vec![
        "/ui",
        "/ui/incidents/1",
        "/ui/incidents/2",
        "/ui/incidents/1/confirm/close",
        "/ui/ack",
        "/ui/history",
        "/ui/history?q=a&label=group%3Dours&by=ann",
        "/ui/history?view=incidents",
        "/ui/history?view=received",
        "/ui/history?view=nowhere",
        "/ui/dead",
        "/ui/dead/confirm/retry",
        "/ui/channels",
        "/ui/channels/ours/confirm/mute",
        "/ui/mutes",
        "/ui/oncall",
        "/ui/route?labels=alertname%3DX+group%3Dtheirs",
        "/ui/templates",
        "/ui/simulate?hours=24",
        "/ui/simulate?of=storm&alerts=100&groups=10&over=30s",
        "/ui/config",
        "/ui/audit",
        "/ui/nothing",
    ];
    pages.push(&delivery);
    let drawn = DRAWN.map(|name| format!("/ui/templates?channel={name}"));
    pages.extend(drawn.iter().map(String::as_str));
    for (width, scheme) in [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")] {
        browser.size(width, 900).await;
        browser.call("Emulation.setEmulatedMedia", json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] })).await;
        for path in &pages {
            look(&mut browser, path, &format!("{width} {scheme}")).await;
        }
    }
    for n in 0..32 {
        let mut body = alert(&format!("g{n}"), "PodRestarts", "firing");
        body["alerts"][0]["labels"]["cluster"] = if n < 20 { "eu".into() } else { "us".into() };
        fire(&app, None, &body).await;
    }
    for path in ["/ui", "/ui/ack?by=cluster&value=eu"] {
        look(&mut browser, path, "storm").await;
    }
    // Asking platforms: here one that cannot be asked.
    let plain = TestApp::start(&routes("")).await;
    browser.open(&plain.url("/ui/config")).await;
    browser.press("form[action='/ui/config/online'] button").await;
    browser.until("location.pathname == '/ui/config/online' && document.readyState == 'complete'").await;
    wrong.extend(faults(&mut browser, &axe).await.into_iter().map(|fault| format!("online: {fault}")));
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}
