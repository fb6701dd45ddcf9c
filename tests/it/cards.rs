//! Cards and presets end to end: what the platforms' fakes take, and a preset of the user's own with its reload.

use std::time::Duration;

use watchfire::store::State;

use crate::support::app::{Four, TestApp, alert};
use crate::support::fakes::Discord;
use crate::support::fakes::presets::Preset;
use crate::support::fakes::server::Fake;

#[tokio::test(flavor = "multi_thread")]
async fn dingtalk_and_wecom_take_cards() {
    let four = Four::start().await;
    let yaml = format!(
        r#"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels:
  ding: {{ dingtalk: {{ access_token: ding-token, secret: SEC0123456789, card: true, api_base: "{}" }} }}
  wecom: {{ wecom: {{ corp_id: corp-id, agent_id: 1000002, secret: wecom-secret, to_user: "zhangsan|lisi", card: true, api_base: "{}" }} }}
route: {{ to: [ding, wecom] }}
"#,
        four.ding.url(),
        four.wecom.url()
    );
    let app = TestApp::start(&yaml).await;
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    let ding = four.ding.rec.accepted().pop().unwrap();
    assert!(ding.text.contains("[Runbook]") && !ding.text.contains("](https://runbooks.example.com/x)"), "the runbook is a button: {}", ding.text);
    let wecom = four.wecom.rec.accepted().pop().unwrap();
    assert!(wecom.text.contains("DiskFull") && wecom.text.contains("<div class=\"highlight\">DiskFull is wrong</div>"), "{}", wecom.text);
    assert_eq!(four.wecom.rec.accepted().len(), 1);
}

/// A host without a dot in an alert's first link, and markup in its labels, have no message refused, link to nothing and ping nobody.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_is_taken_and_pings_nobody() {
    let discord = Fake::start(Discord::new("1", "discord-token")).await;
    let chat = Fake::start(Preset::new("googlechat", "k/t")).await;
    let yaml = format!(
        r#"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels:
  discord: {{ discord: {{ webhook: "{}/api/webhooks/1/discord-token" }} }}
  chat: {{ preset: {{ name: googlechat, params: {{ url: "{}", space: AAAA, webhook_key: k, token: t }} }} }}
route: {{ to: [discord, chat] }}
"#,
        discord.url(),
        chat.url()
    );
    let app = TestApp::start(&yaml).await;
    let mut body = alert("db", "DiskFull", "firing");
    body["externalURL"] = "http://alertmanager:9093".into();
    body["alerts"][0]["generatorURL"] = "http://prometheus:9090/graph?g0.expr=up".into();
    body["alerts"][0]["labels"]["team"] = "<users/all>".into();
    body["alerts"][0]["annotations"] = serde_json::json!({ "summary": "<https://evil.example|Runbook> <users/all> @everyone" });
    app.post("/webhook", &body).await;
    let rows = app.settled().await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    assert_eq!((discord.rec.total(), chat.rec.total()), (1, 1), "taken at once");
    let taken = discord.rec.accepted().pop().unwrap();
    assert!(taken.json()["embeds"][0]["url"].is_null() && taken.to.len() == 1, "{taken:?}");
    let text = chat.rec.accepted().pop().unwrap().text;
    assert!(text.contains("DiskFull") && !text.contains("<users/") && !text.contains("<https://evil"), "{text:?}");
}

const OWN: &str = r#"
title: Ops board
about: a wall display
docs: https://board.example.com/api
parameters:
  url: { about: the server, kind: address }
  topic: { about: the topic }
  token: { about: the token, secret: true }
request:
  url: "{{url}}/"
  headers: { authorization: "Bearer {{token}}" }
  json: { topic: "{{topic}}", message: "first: {{text}}" }
success: { status: 200, has: [/id] }
errors:
  - { when: { status: 401 }, kind: misconfigured, advice: "ask for a new token" }
limits: { bytes: 4096, source: "https://board.example.com/api#limits" }
fixtures:
  - { status: 200, means: delivered, body: '{"id":"1"}' }
  - { status: 401, means: misconfigured, body: '{}' }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_preset_of_ones_own_is_used_and_a_change_of_its_file_reloads() {
    let fake = Fake::start(Preset::new("ntfy", "board-token")).await;
    let yaml = format!(
        r#"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
templates: templates
channels:
  board: {{ preset: {{ name: board, params: {{ url: "{}", topic: ops, token: board-token }} }} }}
route: {{ to: [board] }}
"#,
        fake.url()
    );
    let app = TestApp::start_with(&yaml, |options| {
        options.watch = true;
        let folder = options.config.parent().unwrap();
        std::fs::create_dir_all(folder.join("templates/presets")).unwrap();
        std::fs::write(folder.join("templates/presets/board.yaml"), OWN).unwrap();
    })
    .await;
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    app.settled().await;
    let last = || fake.rec.accepted().last().map(|entry| entry.text.clone()).unwrap_or_default();
    assert!(last().starts_with("first: ") && last().contains("DiskFull is wrong"), "{}", last());

    let file = app.folder.path().join("templates/presets/board.yaml");
    std::fs::write(&file, OWN.replace("{{text}}", "{{text}} {{colour}}")).unwrap();
    let (status, answer) = app.post("/-/reload", &serde_json::json!({})).await;
    assert_eq!(status, 500, "{answer}");
    assert!(answer.to_string().contains("`{{colour}}` in `request` is not a parameter"), "{answer}");

    std::fs::write(&file, OWN.replace("first:", "second:")).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let mut group = 0;
    while !last().starts_with("second: ") {
        assert!(std::time::Instant::now() < deadline, "the change of the file was not seen: {}", last());
        group += 1;
        app.post("/webhook", &alert(&format!("g{group}"), "DiskFull", "firing")).await;
        app.settled().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
