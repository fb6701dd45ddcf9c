//! A console of which every page shows something, and the addresses of its pages.

use std::time::Duration;

use serde_json::{Value, json};

use super::{gateway, routes};
use crate::support::app::TestApp;

const ROTAS: &str = "mutes: [{ name: nightly, matchers: 'team=\"db\"', until: 2099-01-01T00:00:00Z, reason: backups, owner: ann }]\npeople:\n  ann: { mobile: \"+4915112345678\" }\n  bob: { email: bob@example.com }\nrotas:\n  db: { handoff: \"monday 10:00\", start: 2026-11-02, people: [ann, bob] }\n  day: { handoff: \"12:00\", rotation: daily, start: 2026-11-02, people: [bob, ann] }\nescalations: { night: [{ after: 2h, to: theirs }] }\n";

/// A channel of every client that is drawn; nothing is sent to them.
const CLIENTS: &str = "slack: { slack: { token: xoxb-1234567890, channel: C1 } }, \
    telegram: { telegram: { token: '123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678', chat: -1001 } }, \
    discord: { discord: { webhook: 'https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuvwxyz' } }, \
    teams: { teams: { webhook: 'https://prod-1.westeurope.logic.azure.com/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sp=x&sv=1.0&sig=a' } }, \
    feishu: { feishu: { token: 0a1b2c3d-1111-2222-3333-444455556666 } }, dingtalk: { dingtalk: { access_token: 0123456789abcdef0123456789abcdef } }, \
    wecom: { wecom_robot: { key: 0a1b2c3d-1111-2222-3333-444455556666 } }, \
    mail: { email: { server: 'localhost:25', tls: none, from: a@example.com, to: [ops@example.com] } }, ";

/// The channels of the clients that are drawn.
pub const DRAWN: [&str; 8] = ["slack", "telegram", "discord", "teams", "feishu", "dingtalk", "wecom", "mail"];

/// The pages of a console with two incidents and a dead letter.
pub const FIXED: [&str; 25] = [
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
    "/ui/dead/confirm/move",
    "/ui/dead/confirm/drop",
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

/// The program with a configuration of all this. `to` says where alerts go: `ours` accepts them, `theirs` refuses them.
pub async fn start(to: &str) -> TestApp {
    let (url, _accepts) = gateway().await;
    let hook = format!("theirs: {{ webhook: {{ url: '{url}', allow_networks: [127.0.0.1] }} }}");
    let yaml = routes("")
        .replace("ours: { log: {} }", &format!("{CLIENTS}ours: {{ log: {{}} }}"))
        .replace("theirs: { log: {} }", &hook)
        .replace("route: { to: [ours],", &format!("route: {{ to: [{to}], escalation: night,"));
    TestApp::start(&format!("{yaml}{ROTAS}")).await
}

/// Somebody acks, another one takes over on call, and the file on disk gets a mistake.
pub async fn use_it(app: &TestApp) {
    let acked = app.http.post(app.url("/api/v1/incidents/2/ack")).json(&json!({ "by": "ann" })).send().await.unwrap();
    assert_eq!(acked.status(), 200);
    let until = jiff::Timestamp::now() + Duration::from_secs(3 * 86_400);
    let other = json!({ "rota": "db", "person": "bob", "until": until, "reason": "family" });
    let (status, answer) = app.post("/api/v1/oncall/overrides", &other).await;
    assert_eq!(status, 200, "{answer}");
    let config = app.folder.path().join("routes.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    let broken = text.replace(", escalation: night,", ", escalation: nowhere,");
    assert_ne!(broken, text);
    std::fs::write(&config, broken).unwrap();
}

/// What a list of the API holds under this name.
async fn listed(app: &TestApp, list: &str, name: &str) -> Vec<String> {
    let (status, answer) = app.get(&format!("/api/v1/{list}?limit=500")).await;
    assert_eq!(status, 200, "{answer}");
    let text = |row: &Value| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
    answer[list].as_array().unwrap().iter().map(text).collect()
}

/// The pages of what is stored: each incident, each delivery, and where each event would go.
pub async fn stored(app: &TestApp) -> Vec<String> {
    let mut pages: Vec<String> = Vec::new();
    pages.extend(listed(app, "incidents", "number").await.iter().map(|number| format!("/ui/incidents/{number}")));
    pages.extend(listed(app, "deliveries", "id").await.iter().map(|id| format!("/ui/deliveries/{id}")));
    pages.extend(listed(app, "events", "id").await.iter().map(|id| format!("/ui/route?of=event&event={id}")));
    pages
}

/// What each client shows of each event, the newest event first.
pub async fn drawn(app: &TestApp) -> Vec<String> {
    let events = listed(app, "events", "id").await;
    let of = |id: &String| DRAWN.map(|channel| format!("/ui/templates?channel={channel}&event={id}"));
    events.iter().flat_map(of).collect()
}
