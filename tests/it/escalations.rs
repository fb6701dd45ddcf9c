//! Escalations end to end: a message, an SMS when nobody acks, a button that only known people may press, and a call that nobody needs any more.

use std::time::Duration;

use serde_json::json;
use watchfire::api::IncidentResponse;
use watchfire::store::{DeliveryRow, IncidentState, State};

use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::twilio::Twilio;
use crate::support::fakes::wecom::Wecom;
use crate::support::fakes::{Fake, Telegram};

const CHAT: i64 = -1001;
/// Anna's number in Telegram, by the fake.
const ANNA: u64 = 4711;

struct Scene {
    telegram: Fake<Telegram>,
    twilio: Fake<Twilio>,
    app: TestApp,
}

impl Scene {
    /// Ann is known in Telegram by this number.
    async fn start(ann: u64) -> Self {
        let telegram = Fake::start(Telegram::new("1:token", &["-1001"])).await;
        telegram.unpaced();
        let twilio = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
        let account = format!("account_sid: AC1, auth_token: twilio-token, from: \"+15005550006\", api_base: \"{}\"", twilio.url());
        let routes = format!(
            r##"
server: {{ listen: "127.0.0.1:0", external_url: "http://watchfire.example.com" }}
store: sqlite:watchfire.db
channels:
  telegram: {{ telegram: {{ token: "1:token", chat: {CHAT}, buttons: true, api_base: "{}" }}, actions: {{ ack: known }} }}
  sms: {{ twilio_sms: {{ {account}, to: ["+15005550001"] }} }}
  call: {{ twilio_voice: {{ {account}, to: ["+15005550001"] }} }}
people:
  ann: {{ name: Ann Lee, language: zh, telegram: {ann}, mobile: "+15005550002" }}
  bob: {{ mobile: "+15005550003" }}
escalations:
  db:
    - {{ after: 2s, to: [sms], people: [ann] }}
    - {{ after: 1h, to: [call], people: [ann, bob] }}
route: {{ to: [telegram], escalation: db }}
"##,
            telegram.url(),
        );
        let app = TestApp::start(&routes).await;
        Self { telegram, twilio, app }
    }

    async fn fire(&self, status: &str) {
        let (code, answer) = self.app.post("/webhook", &alert("web", "NodeDown", status)).await;
        assert_eq!(code, 200, "{answer}");
    }

    /// Anna presses a button of the message: what her client shows.
    async fn press(&self, label: &str) -> String {
        let named = format!("\"text\":\"{label}\"");
        let has = |telegram: &mut Telegram| telegram.transcript.all().next().is_some_and(|(_, post)| post.extra.contains(&named));
        until("the button", || self.telegram.with(has)).await;
        let now = self.telegram.clock.now();
        let press = self.telegram.with(|telegram| {
            let id = telegram.transcript.all().next().expect("a message").0.rsplit('/').next().unwrap().parse().unwrap();
            telegram.press(CHAT, id, label, now).0
        });
        let mut shown = None;
        until("the press is answered", || {
            shown = self.telegram.with(|telegram| telegram.updates.shown.get(&press).cloned());
            shown.is_some()
        })
        .await;
        shown.unwrap().text
    }

    /// Whom SMS and calls reached.
    fn phoned(&self) -> Vec<String> {
        self.twilio.rec.accepted().into_iter().filter(|one| one.call.method == "POST").flat_map(|one| one.to).collect()
    }

    async fn calls(&self) -> Vec<DeliveryRow> {
        self.app.deliveries("channel=call").await
    }
}

async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + SOON;
    while !check() {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acks_so_an_sms_comes_and_an_ack_stops_the_call() {
    let scene = Scene::start(ANNA).await;
    scene.fire("firing").await;
    until("the SMS", || !scene.phoned().is_empty()).await;
    assert_eq!(scene.phoned(), ["+15005550002"], "to ann, and not to the channel's own number");
    assert!(!scene.twilio.rec.accepted()[0].text.is_ascii(), "in her language: {:?}", scene.twilio.rec.accepted()[0].text);
    let sent = scene.app.until("channel=sms", |rows| rows.iter().all(|row| row.state == State::Sent)).await;
    assert_eq!((sent.len(), sent[0].title.as_str()), (1, "NodeDown web-host"));
    assert_eq!(scene.calls().await[0].state, State::Deferred);
    assert_eq!(scene.press("Ack").await, "#1 is acked.");
    let call = scene.calls().await.remove(0);
    assert_eq!((call.state, call.reason.as_deref()), (State::Skipped, Some("acked by Ann Lee")), "by her name in the configuration");
    let found: IncidentResponse = scene.app.read("/api/v1/incidents/1").await;
    assert_eq!((found.incident.state, found.incident.acks[0].by.as_str()), (IncidentState::Acked, "Ann Lee"), "{found:#?}");
    assert!(found.timeline.iter().any(|step| step.kind == "escalated" && step.text.contains("step 1 of the escalation `db` sent")), "{found:#?}");
    // The same person by another way is the same person; when she is not on it any more, it begins again.
    assert_eq!(scene.press("Unack").await, "#1 is no longer acked.");
    until("another SMS", || scene.phoned().len() == 2).await;
    let open = scene.calls().await.into_iter().filter(|row| !row.state.is_final()).count();
    assert_eq!(open, 1);
    // It ends: so does what waits. It survives a restart that it waited.
    let Scene { telegram, twilio, app } = scene;
    let scene = Scene { telegram, twilio, app: app.restart().await };
    assert_eq!(scene.calls().await.into_iter().filter(|row| row.state == State::Deferred).count(), 1);
    scene.fire("resolved").await;
    let rows = scene.app.settled().await;
    assert!(rows.iter().any(|row| row.reason.as_deref() == Some("over: the incident is resolved")), "{rows:#?}");
    assert_eq!(scene.phoned().len(), 2, "nobody was called: {:?}", scene.phoned());
    let (status, text) = scene.app.get("/metrics").await;
    assert!(status == 200 && text.as_str().is_some_and(|text| text.contains("watchfire_escalation_steps_total{result=\"skipped\"}")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_may_not_ack_where_only_known_people_may() {
    let scene = Scene::start(ANNA + 1).await;
    scene.fire("firing").await;
    assert_eq!(scene.press("Ack").await, format!("Only people whom the configuration names can do that. Your id is {ANNA}."));
    let found: IncidentResponse = scene.app.read("/api/v1/incidents/1").await;
    assert_eq!((found.incident.state, found.incident.acks.len()), (IncidentState::Firing, 0), "{found:#?}");
    let (status, answer) = scene.app.post("/api/v1/incidents/1/ack", &json!({ "by": "Bob" })).await;
    assert_eq!(status, 200, "{answer}");
    assert!(scene.app.settled().await.iter().all(|row| matches!(row.state, State::Sent | State::Skipped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_called_often_enough_gets_the_next_step_at_once_and_everybody_can_see_why() {
    let twilio = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
    let account =
        format!("account_sid: AC1, auth_token: twilio-token, from: \"+15005550006\", api_base: \"{}\", to: [\"+15005550001\"]", twilio.url());
    let app = TestApp::start(&format!(
        r#"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels:
  terminal: {{ log: {{}} }}
  sms: {{ twilio_sms: {{ {account} }} }}
  call: {{ twilio_voice: {{ {account} }}, recipient_limit: {{ per_hour: 1 }} }}
people: {{ ann: {{ mobile: "+15005550002" }}, bob: {{ mobile: "+15005550003" }} }}
escalations: {{ db: [{{ after: 1s, to: [call], people: [ann] }}, {{ after: 1h, to: [sms], people: [bob] }}] }}
route: {{ to: [terminal], escalation: db }}
"#
    ))
    .await;
    let fire = async |group: &str, name: &str| assert_eq!(app.post("/webhook", &alert(group, name, "firing")).await.0, 200);
    fire("one", "NodeDown").await;
    app.until("channel=call", |rows| rows.iter().any(|row| row.state == State::Sent)).await;
    fire("two", "DiskFull").await;
    let dead = app.until("channel=call", |rows| rows.iter().any(|row| row.state == State::Dead)).await;
    let dead = dead.into_iter().find(|row| row.state == State::Dead).unwrap();
    let why = "1 per 1h is what one recipient gets at most (`recipient_limit`)";
    assert_eq!((dead.title.as_str(), dead.reason.as_deref()), ("DiskFull two-host", Some(why)));
    app.until("channel=sms", |rows| rows.iter().any(|row| row.state == State::Sent)).await;
    let phoned: Vec<String> = twilio.rec.accepted().into_iter().filter(|one| one.call.method == "POST").flat_map(|one| one.to).collect();
    assert_eq!(phoned, ["+15005550002", "+15005550003"], "bob is not called after an hour");
    let detail = app.delivery(dead.id).await;
    assert!(detail.rate_limit.as_deref().is_some_and(|limit| limit.ends_with("and 1 per 1h to one recipient")), "{detail:#?}");
    let (_, metrics) = app.get("/metrics").await;
    let line = "watchfire_limited_total{platform=\"twilio_voice\",channel=\"call\",limit=\"recipient\"} 1";
    assert!(metrics.as_str().unwrap().contains(line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_to_a_channel_that_pings_nobody_names_its_people() {
    let routes = r#"
server: { listen: "127.0.0.1:0" }
store: sqlite:watchfire.db
channels: { terminal: { log: {} }, board: { log: {} }, wall: { log: {} } }
people: { ann: { name: Ann Lee, mobile: "+15005550002" }, bob: { mobile: "+15005550003" } }
rotas: { night: { rotation: daily, handoff: "08:00", start: 2026-01-01, people: [bob] } }
escalations: { db: [{ after: 1s, to: [board], people: [ann] }, { after: 2s, to: [wall], people: { oncall: night } }] }
route: { to: [terminal], escalation: db }
"#;
    let app = TestApp::start(routes).await;
    assert_eq!(app.post("/webhook", &alert("web", "NodeDown", "firing")).await.0, 200);
    for (channel, named) in [("board", "log reaches nobody by name: notify Ann Lee"), ("wall", "log reaches nobody by name: notify bob")] {
        let row = app.until(&format!("channel={channel}"), |rows| rows.iter().any(|row| row.state == State::Sent)).await.remove(0);
        let page = app.delivery(row.id).await.message.unwrap().pages.remove(0);
        assert_eq!(page.missed, [named], "{channel}");
        assert!(page.fields["text"].contains(named), "{page:#?}");
    }
}

/// The team's step is for who is on call in its rota, and no number of that person is known.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_to_somebody_without_a_mobile_number_makes_the_next_one_come_at_once() {
    let twilio = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
    let app = TestApp::start(&format!(
        r#"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
channels:
  terminal: {{ log: {{}} }}
  board: {{ log: {{}} }}
  sms: {{ twilio_sms: {{ account_sid: AC1, auth_token: twilio-token, from: "+15005550006", to: ["+15005550001"], api_base: "{}" }} }}
people: {{ ann: {{ mobile: "+15005550002" }}, bob: {{ name: Bob }} }}
rotas: {{ night: {{ rotation: daily, handoff: "08:00", start: 2026-01-01, people: [bob] }} }}
teams: {{ web: {{ people: [ann], rota: night }} }}
escalations: {{ db: [{{ after: 1s, to: [sms], people: [web] }}, {{ after: 1h, to: [board] }}] }}
route: {{ to: [terminal], escalation: db }}
"#,
        twilio.url()
    ))
    .await;
    assert_eq!(app.post("/webhook", &alert("web", "NodeDown", "firing")).await.0, 200);
    let is_dead = |row: &DeliveryRow| row.state == State::Dead && row.reason.as_deref() == Some("`bob` has no `mobile`");
    app.until("channel=sms", |rows| rows.iter().any(is_dead)).await;
    app.until("channel=board", |rows| rows.iter().any(|row| row.state == State::Sent)).await;
    assert!(twilio.rec.accepted().is_empty(), "neither ann, whose turn it is not, nor the channel's own number");
    let (_, metrics) = app.get("/metrics").await;
    assert!(metrics.as_str().unwrap().contains("watchfire_self_alerts_total{what=\"WatchfireNobodyOnCall\"} 1"), "{metrics}");
}

/// A step on a disabled channel reaches nobody: who hands an incident on reaches the one after it.
#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_handed_on_past_a_disabled_channel() {
    let routes = "server: { listen: '127.0.0.1:0' }\nstore: sqlite:watchfire.db\n\
        channels: { ours: { log: {} }, theirs: { log: {}, disabled: true } }\n\
        escalations: { night: [{ after: 1h, to: theirs }, { after: 2h, to: ours }, { after: 3h, to: theirs }] }\n\
        route: { to: [ours], escalation: night }\n";
    let app = TestApp::start(routes).await;
    assert_eq!(app.post("/webhook", &alert("db", "HostDown", "firing")).await.0, 200);
    app.until("channel=ours&state=sent", |rows| rows.len() == 1).await;
    let (status, answer) = app.post("/api/v1/incidents/1/escalate", &json!({})).await;
    assert!(status == 200 && answer["text"].as_str().unwrap().contains("step 2 of the escalation `night`"), "{status} {answer}");
    app.until("channel=ours&state=sent", |rows| rows.len() == 2).await;
    let (status, answer) = app.post("/api/v1/incidents/1/escalate", &json!({})).await;
    assert_eq!(status, 409, "nobody is reached by what is left: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_says_who_answered_and_fails_when_nobody_does() {
    let routes = r#"
server: { listen: "127.0.0.1:0" }
store: sqlite:watchfire.db
channels: { terminal: { log: {} }, phone: { log: {} } }
escalations: { db: [{ after: 1s, to: [phone] }] }
route: { to: [terminal], escalation: db }
"#;
    let app = TestApp::start(routes).await;
    let drill = |name: &'static str, wait: &'static str| {
        let (folder, listen) = (app.folder.path().to_owned(), app.app.address.to_string());
        tokio::task::spawn_blocking(move || {
            let arguments = ["--listen", &listen, "drill", "escalation", name, "--wait", wait];
            let out = std::process::Command::new(env!("CARGO_BIN_EXE_watchfire")).args(arguments).current_dir(folder).output().unwrap();
            (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
        })
    };
    let (ok, said) = drill("none", "1s").await.unwrap();
    assert!(!ok && said.contains("there is no escalation `none`; there are: db"), "{said}");
    let (ok, said) = drill("db", "1s").await.unwrap();
    assert!(!ok && said.contains("the drill is #1") && said.contains("step 1 of the escalation `db` sent"), "{said}");
    assert!(said.contains("nobody acked it: all was sent 1s ago"), "{said}");
    let found: IncidentResponse = app.read("/api/v1/incidents/1").await;
    assert_eq!(found.incident.state, IncidentState::Closed, "the drill leaves nothing open: {found:#?}");
    let rows = app.settled().await;
    assert!(rows.iter().filter(|row| row.incident.is_some()).all(|row| row.title.starts_with("Drill of db")), "{rows:#?}");

    // The next one is acked by its message; who did it, and after how long, is said.
    let running = drill("db", "1m");
    app.until("", |rows| rows.iter().any(|row| row.incident.is_some_and(|incident| incident.0 == 2))).await;
    let (status, acked) = app.post("/api/v1/incidents/2/ack", &json!({ "by": "ann" })).await;
    assert_eq!(status, 200, "{acked}");
    let (ok, said) = running.await.unwrap();
    assert!(ok && said.contains("acked by ann") && said.contains(" after "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_is_stopped_leaves_nothing_open() {
    let routes = r#"
server: { listen: "127.0.0.1:0" }
store: sqlite:watchfire.db
channels: { terminal: { log: {} }, phone: { log: {} } }
escalations: { db: [{ after: 1h, to: [phone] }] }
route: { to: [terminal], escalation: db }
"#;
    let app = TestApp::start(routes).await;
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.args(["--listen", &app.app.address.to_string(), "drill", "escalation", "db"]).current_dir(app.folder.path());
    let drill = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    app.until("", |rows| rows.iter().any(|row| row.incident.is_some())).await;
    assert!(std::process::Command::new("kill").args(["-INT", &drill.id().to_string()]).status().unwrap().success());
    let out = tokio::task::spawn_blocking(|| drill.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(!out.status.success() && said.contains("stopped before anybody acked it"), "{said}");
    let found: IncidentResponse = app.read("/api/v1/incidents/1").await;
    assert_eq!(found.incident.state, IncidentState::Closed, "{found:#?}");
}

/// WeCom knows nobody under the number: nothing comes after the step, and nobody else is written to in that person's place. One alarm says so. Where another
/// channel of the step, or an earlier step, reaches somebody, there is nothing to wait for.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_step_waits_for_the_person_whom_its_platform_does_not_name() {
    let wecom = Fake::start(Wecom::new("ww1", 1_000_002, "wecom-secret").with_members(&["duty"]).unpaced()).await;
    let wait = "waits, for nobody was reached so far: the id of `gone` is not found";
    let dead = "the id of `gone` is not found";
    for (steps, state, why) in [
        ("{ after: 1s, to: [wecom], people: [gone] }", State::Deferred, wait),
        ("{ after: 1s, to: [wecom], people: [gone] }, { after: 1h, to: [off], people: [gone] }", State::Deferred, wait),
        ("{ after: 1s, to: [wecom, beside], people: [gone] }", State::Dead, dead),
        ("{ after: 1s, to: [beside] }, { after: 2s, to: [wecom], people: [gone] }", State::Dead, dead),
    ] {
        let routes = format!(
            "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n  terminal: {{ log: {{}} }}\n  beside: {{ log: {{}} }}\n  \
             off: {{ log: {{}}, disabled: true }}\n  \
             wecom: {{ wecom: {{ corp_id: ww1, agent_id: 1000002, secret: wecom-secret, to_user: duty, api_base: \"{}\" }} }}\n\
             people: {{ gone: {{ mobile: \"+8613800000000\" }} }}\nescalations: {{ db: [{steps}] }}\n\
             route: {{ to: [terminal], escalation: db }}\n",
            wecom.url()
        );
        let app = TestApp::start(&routes).await;
        app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
        let is_meant = |row: &DeliveryRow| row.state == state && row.reason.as_deref().is_some_and(|reason| reason.starts_with(why));
        app.until("channel=wecom", |rows| rows.iter().any(is_meant)).await;
        let (_, metrics) = app.get("/metrics").await;
        let alarms = |name: &str| metrics.as_str().unwrap().contains(&format!("watchfire_self_alerts_total{{what=\"{name}\"}} 1"));
        let waits = state == State::Deferred;
        assert_eq!((alarms("WatchfireNobodyReached"), alarms("WatchfireNobodyOnCall")), (waits, !waits), "{steps}: {metrics}");
    }
}
