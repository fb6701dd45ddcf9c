//! One night, with everything that belongs to it: living messages, a chain of SMS and calls, acks from a button and from a link, a kill, a deletion, and the
//! end. The program itself, on SQLite, and on three nodes that share PostgreSQL.

use std::process::{Child, Command};
use std::time::Duration;

use serde_json::{Value, json};
use watchfire::api::{Deliveries, IncidentResponse, Incidents};
use watchfire::model::DeliveryId;
use watchfire::store::{DeliveryRow, IncidentState, State};

use crate::crash::{free_port, serve, up};
use crate::support::app::SOON;
use crate::support::fakes::twilio::Twilio;
use crate::support::fakes::{Fake, Platform, Slack, Telegram};
use crate::support::postgres::Postgres;

const CHAT: i64 = -1001;
const ON_CALL: &str = "+15005550002";

struct Night {
    slack: Fake<Slack>,
    telegram: Fake<Telegram>,
    twilio: Fake<Twilio>,
    nodes: Vec<Node>,
    posts: usize,
}

/// A node: a process.
struct Node {
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
    http: reqwest::Client,
}

impl Node {
    async fn start(routes: &str) -> Self {
        watchfire::channel::kit::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        let port = free_port();
        let child = serve(folder.path(), port);
        up(&http, port).await;
        Self { folder, port, child, http }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Kills the process, and starts the next one over what it left.
    async fn kill_and_start(&mut self) {
        self.kill();
        self.child = serve(self.folder.path(), self.port);
        up(&self.http, self.port).await;
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        self.http.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    /// Waits until every delivery is final, and returns them.
    async fn settled(&self) -> Vec<DeliveryRow> {
        let end = tokio::time::Instant::now() + 2 * SOON;
        loop {
            let rows = self.read::<Deliveries>("/api/v1/deliveries?limit=500").await.deliveries;
            if rows.iter().all(|row| row.state.is_final()) {
                return rows;
            }
            assert!(tokio::time::Instant::now() < end, "not settled: {rows:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What `watchfire explain` prints of a delivery.
    async fn explain(&self, id: DeliveryId) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(["explain", &id.to_string(), "--listen", &format!("127.0.0.1:{}", self.port)]).current_dir(self.folder.path());
        let out = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A test that failed may have killed it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn alert(name: &str, severity: &str, status: &str) -> Value {
    json!({
        "status": status, "labels": { "alertname": name, "severity": severity, "instance": format!("{name}-host") },
        "annotations": { "summary": format!("{name} is wrong") }, "startsAt": "2026-11-24T02:00:00Z",
        "endsAt": if status == "resolved" { "2026-11-24T02:40:00Z" } else { "0001-01-01T00:00:00Z" },
        "fingerprint": watchfire::model::hash_hex(&[name]),
    })
}

fn texts(fake: &Fake<impl Platform>) -> Vec<String> {
    fake.with(|platform| platform.transcript().unwrap().texts())
}

fn rang(fake: &Fake<impl Platform>) -> usize {
    fake.with(|platform| platform.transcript().unwrap().rang().len())
}

async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + 2 * SOON;
    while !check() {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl Night {
    async fn begin(store: &str, nodes: usize) -> Self {
        let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
        let telegram = Fake::start(Telegram::new("1:token", &["-1001"])).await;
        telegram.unpaced();
        let twilio = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
        let account = format!("account_sid: AC1, auth_token: twilio-token, from: \"+15005550006\", api_base: \"{}\"", twilio.url());
        let routes = format!(
            r##"
server: {{ listen: "127.0.0.1:0", external_url: "http://watchfire.example.com" }}
store: "{store}"
channels:
  slack: {{ slack: {{ token: xoxb-1, channel: "#ops", api_base: "{slack}" }}, mentions: {{ users: [U0123] }} }}
  telegram: {{ telegram: {{ token: "1:token", chat: {CHAT}, buttons: true, api_base: "{telegram}" }} }}
  sms: {{ twilio_sms: {{ {account}, to: ["+15005550001"] }} }}
  call: {{ twilio_voice: {{ {account}, to: ["+15005550001"] }} }}
people:
  ann: {{ telegram: 4711, mobile: "{ON_CALL}" }}
escalations:
  db:
    - {{ after: 2s, to: [sms], people: [ann] }}
    - {{ after: 15s, to: [call], people: [ann] }}
route: {{ to: [slack, telegram], escalation: db }}
"##,
            slack = slack.url(),
            telegram = telegram.url(),
        );
        let mut started = Vec::new();
        for _ in 0..nodes {
            started.push(Node::start(&routes).await);
        }
        Self { slack, telegram, twilio, nodes: started, posts: 0 }
    }

    /// The whole group, to the next node.
    async fn report(&mut self, alerts: &[Value]) {
        let fires = alerts.iter().any(|alert| alert["status"] == "firing");
        let body = json!({
            "version": "4", "groupKey": "{}:{job=\"db\"}", "truncatedAlerts": 0, "status": if fires { "firing" } else { "resolved" },
            "receiver": "watchfire", "groupLabels": { "job": "db" }, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://alertmanager.example.com:9093", "alerts": alerts,
        });
        self.posts += 1;
        let node = &self.nodes[self.posts % self.nodes.len()];
        let answer = node.http.post(node.url("/webhook")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }

    async fn incident(&self) -> IncidentResponse {
        let found: Incidents = self.nodes[0].read("/api/v1/incidents").await;
        assert_eq!(found.incidents.len(), 1, "one incident: {found:?}");
        self.nodes[0].read(&format!("/api/v1/incidents/{}", found.incidents[0].number)).await
    }

    /// Waits until nothing is in flight: all is sent, and each message shows the incident as it is.
    async fn quiet(&self) {
        self.nodes[0].settled().await;
        let end = tokio::time::Instant::now() + 2 * SOON;
        loop {
            let found = self.incident().await;
            if found.messages.iter().filter(|message| message.edited).all(|message| message.shown == found.version) {
                return;
            }
            assert!(tokio::time::Instant::now() < end, "a message is behind: {found:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Accepted requests of this kind of resource.
    fn twilio(&self, kind: &str) -> Vec<String> {
        let ours = |one: &crate::support::fakes::recorder::Record| one.call.method == "POST" && one.call.path.ends_with(&format!("/{kind}.json"));
        self.twilio.rec.accepted().into_iter().filter(ours).map(|one| one.text).collect()
    }

    /// Ann presses a button of the first message in Telegram: what her client shows.
    async fn press(&self, label: &str) -> String {
        let named = format!("\"text\":\"{label}\"");
        until("the button", || self.telegram.with(|telegram| telegram.transcript.all().next().is_some_and(|(_, post)| post.extra.contains(&named))))
            .await;
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

    async fn tell(mut self) {
        // Two alerts: one message in each room, and it rings.
        let (disk, queue) = (alert("DiskFilling", "warning", "firing"), alert("QueueLong", "warning", "firing"));
        self.report(&[disk.clone(), queue.clone()]).await;
        until("a message in each room", || texts(&self.slack).len() == 1 && texts(&self.telegram).len() == 1).await;
        assert_eq!((rang(&self.slack), rang(&self.telegram)), (1, 1));
        // A third one, as severe: an edit and a reply that rings.
        let lag = alert("ReplicaLag", "warning", "firing");
        self.report(&[disk.clone(), queue.clone(), lag.clone()]).await;
        until("a reply in each room", || texts(&self.slack).len() == 2 && texts(&self.telegram).len() == 2).await;
        until("both are edited", || [texts(&self.slack), texts(&self.telegram)].iter().all(|texts| texts[0].contains("ReplicaLag"))).await;
        // Nobody acks.
        until("an SMS to who is on call", || self.twilio("Messages").len() == 1).await;
        assert!(self.press("Ack").await.starts_with("#1 is acked"), "an ack");
        until("Slack shows who is on it", || texts(&self.slack)[0].contains("acked by ann (Telegram)")).await;
        let found = self.incident().await;
        let dropped = found.deliveries.iter().find(|row| row.channel == "call").expect("the step that calls");
        assert_eq!((dropped.state, dropped.reason.as_deref()), (State::Skipped, Some("acked by ann")));
        assert_eq!(found.incident.state, IncidentState::Acked);
        let told = self.nodes[0].explain(dropped.id).await;
        assert!(told.contains("state skipped since ") && told.contains(": acked by ann\n"), "{told}");
        // A node is killed and starts again. Somebody deletes what is in Slack.
        self.quiet().await;
        self.nodes[0].kill_and_start().await;
        assert_eq!(self.incident().await.incident.state, IncidentState::Acked);
        self.slack.with(|slack| slack.transcript.delete_all());
        // A fourth one, and it is worse: the ack is over, Slack has a new message, and the chain begins again.
        let down = alert("NodeDown", "critical", "firing");
        self.report(&[disk.clone(), queue.clone(), lag.clone(), down.clone()]).await;
        until("a new message in Slack", || texts(&self.slack).first().is_some_and(|text| text.contains("NodeDown") && text.contains("DiskFilling")))
            .await;
        assert_eq!(self.incident().await.incident.state, IncidentState::Firing);
        until("another SMS", || self.twilio("Messages").len() == 2).await;
        until("a call", || self.twilio("Calls").len() == 1).await;
        // The link of the SMS, which a scanner fetches twice, and then a thumb.
        let sms = self.twilio("Messages").pop().unwrap();
        let at = sms.find("watchfire.example.com/a/").unwrap_or_else(|| panic!("no link to ack by: {sms}"));
        let path = &sms[at + "watchfire.example.com".len()..];
        let path: String = path.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_')).collect();
        let (http, node) = (self.nodes[0].http.clone(), self.nodes.len() - 1);
        for _ in 0..2 {
            assert_eq!(http.get(self.nodes[node].url(&path)).send().await.unwrap().status(), 200);
        }
        assert_eq!(self.incident().await.incident.state, IncidentState::Firing, "a scanner acks nothing");
        let thumb = http.post(self.nodes[node].url(&path)).body("verb=ack&nonce=n1").send().await.unwrap();
        assert_eq!(thumb.status(), 200, "{}", thumb.text().await.unwrap());
        until("both rooms show it", || [texts(&self.slack), texts(&self.telegram)].iter().all(|texts| texts[0].contains("(link sent to "))).await;
        // The call still rang: it is cancelled, and nobody is called in its place.
        let cancelled = |one: &crate::support::fakes::recorder::Record| one.text == "canceled" && one.call.path.contains("/Calls/CA");
        until("the call is cancelled", || self.twilio.rec.accepted().iter().any(cancelled)).await;
        // All of it is over: both are green, without buttons.
        let over: Vec<Value> = ["DiskFilling", "QueueLong", "ReplicaLag"].iter().map(|name| alert(name, "warning", "resolved")).collect();
        self.report(&[over, vec![alert("NodeDown", "critical", "resolved")]].concat()).await;
        until("both are green", || [texts(&self.slack), texts(&self.telegram)].iter().all(|texts| texts[0].contains("Resolved"))).await;
        let pressable = |telegram: &mut Telegram| telegram.transcript.all().next().is_some_and(|(_, post)| post.extra.contains("callback_data"));
        until("no buttons are left on the card", || !self.telegram.with(pressable)).await;
        // Somebody is late.
        let late = http.post(self.nodes[0].url(&path)).body("verb=ack&nonce=n2").send().await.unwrap().text().await.unwrap();
        assert!(late.contains("#1 ended"), "{late}");
        let rows = self.nodes[0].settled().await;
        assert!(rows.iter().all(|row| matches!(row.state, State::Sent | State::Skipped)), "{rows:#?}");
        assert!(rows.iter().all(|row| row.state == State::Sent || row.reason.is_some()), "nothing ends without a reason: {rows:#?}");
        let found = self.incident().await;
        assert_eq!(found.incident.state, IncidentState::Resolved);
        for kind in ["opened", "notified", "escalated", "acked", "unacked", "edited", "resolved"] {
            assert!(found.timeline.iter().any(|step| step.kind == kind), "{kind}: {:#?}", found.timeline);
        }
        assert_eq!(self.twilio("Calls").len(), 1, "called once");
        // Why there is a second message in Slack: the one to answer was gone.
        let mut told = String::new();
        for row in rows.iter().filter(|row| row.channel == "slack" && row.state == State::Sent) {
            told += &self.nodes[0].explain(row.id).await;
        }
        assert!(told.contains("thread_not_found"), "{told}");
        // Why a phone rang, each time, and what became of the call.
        for (channel, step, times, became) in [("sms", 1, 2, "state sent"), ("call", 2, 1, "cancelled")] {
            let sent: Vec<&DeliveryRow> = rows.iter().filter(|row| row.channel == channel && row.state == State::Sent).collect();
            assert_eq!(sent.len(), times, "{rows:#?}");
            for row in sent {
                let told = self.nodes[0].explain(row.id).await;
                let why = format!("step {step} of the escalation `db` was due");
                assert!([why.as_str(), "; nobody had acked.", became].iter().all(|part| told.contains(part)), "{told}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_one_node() {
    Night::begin("sqlite:watchfire.db", 1).await.tell().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: `.ci/long nights`"]
async fn a_night_on_three_nodes() {
    let Some(database) = Postgres::start() else { return };
    Night::begin(&database.url(), 3).await.tell().await;
}
