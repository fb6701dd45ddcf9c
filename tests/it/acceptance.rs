//! One night, with everything that belongs to it: living messages, a chain of SMS and calls, acks from a button and from a link, a restart, a
//! deletion, and the end. On SQLite, and on three nodes that share PostgreSQL.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::api::{IncidentResponse, Incidents};
use watchfire::store::{IncidentState, State};

use crate::support::app::{SOON, TestApp};
use crate::support::fakes::twilio::Twilio;
use crate::support::fakes::{Fake, Platform, Slack, Telegram};
use crate::support::postgres::Postgres;

const CHAT: i64 = -1001;
const ON_CALL: &str = "+15005550002";

struct Night {
    slack: Fake<Slack>,
    telegram: Fake<Telegram>,
    twilio: Fake<Twilio>,
    nodes: Vec<TestApp>,
    posts: usize,
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
            started.push(TestApp::start(&routes).await);
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
        let (status, answer) = self.nodes[self.posts % self.nodes.len()].post("/webhook", &body).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn incident(&self) -> IncidentResponse {
        let found: Incidents = self.nodes[0].read("/api/v1/incidents").await;
        assert_eq!(found.incidents.len(), 1, "one incident: {found:?}");
        self.nodes[0].read(&format!("/api/v1/incidents/{}", found.incidents[0].number)).await
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
        // A node stops and starts again. Somebody deletes what is in Slack.
        let again = self.nodes.remove(0).restart().await;
        self.nodes.insert(0, again);
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
        until("both rooms show it", || [texts(&self.slack), texts(&self.telegram)].iter().all(|texts| texts[0].contains("(link)"))).await;
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
