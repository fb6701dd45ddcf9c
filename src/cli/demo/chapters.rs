//! What the demonstration shows, in its order. Every number and every reason in it is the running program's own.

use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::teller::Teller;
use crate::api::{AcceptedResponse, ActRequest, ActResponse, DeliveryResponse, Incidents};
use crate::cli::print;
use crate::cli::remote::Remote;
use crate::model::DeliveryId;
use crate::store::State;

/// How often a delivery is looked at until it is final, and how many times.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: u32 = 300;
/// Alerts of the storm, each in a group of its own.
const STORM: usize = 40;

/// The configuration: a terminal that takes one message a second, and a Slack channel that refuses.
pub fn routes(slack: &str) -> String {
    format!(
        r##"store: sqlite:watchfire.db
channels:
  terminal: {{ log: {{}}, living: new, rate_limit: {{ per_minute: 60, burst: 1 }}, digest: {{ after: 2s }} }}
  shop: {{ slack: {{ token: xoxb-demo, channel: "#shop", api_base: "{slack}" }}, fallback: [terminal] }}
route:
  to: [terminal]
  routes:
    - {{ matchers: 'team="shop"', to: [shop] }}
"##
    )
}

/// An alert, as Alertmanager has it.
struct Demo<'a> {
    name: &'a str,
    instance: &'a str,
    severity: &'a str,
    team: &'a str,
    summary: &'a str,
    resolved: bool,
}

impl Demo<'_> {
    fn json(&self, began: Timestamp, now: Timestamp) -> Value {
        let ends_at = if self.resolved { now.to_string() } else { "0001-01-01T00:00:00Z".to_owned() };
        json!({
            "status": if self.resolved { "resolved" } else { "firing" },
            "labels": { "alertname": self.name, "instance": self.instance, "severity": self.severity, "team": self.team },
            "annotations": { "summary": self.summary },
            "startsAt": (began - Duration::from_secs(60)).to_string(),
            "endsAt": ends_at,
        })
    }
}

/// The name that alerts of a group share.
fn alertname(alerts: &[Value]) -> &Value {
    &alerts[0]["labels"]["alertname"]
}

/// A full disk of the team `db`.
fn disk<'a>(instance: &'a str, summary: &'a str, resolved: bool) -> Demo<'a> {
    Demo { name: "DiskFull", instance, severity: "critical", team: "db", summary, resolved }
}

/// The running program, and whom it is shown to.
struct Walk<'a> {
    remote: &'a Remote,
    teller: &'a Teller,
    began: Timestamp,
}

/// Shows everything.
pub async fn walk(remote: &Remote, teller: &Teller, base: &str) -> Result<()> {
    let walk = Walk { remote, teller, began: teller.wall() };
    teller.chapter("Watchfire, with alerts of its own")?;
    teller.say("A whole Watchfire runs in a temporary folder. Nothing leaves this machine, and nothing is left behind.")?;
    teller.say(&format!("Its console: {base}/ui (it follows what happens here). Ctrl-C ends everything at once."))?;
    teller.pause(5).await;
    walk.arrival().await?;
    walk.ack().await?;
    walk.end().await?;
    walk.storm().await?;
    walk.dead_letter().await?;
    teller.chapter("7. Your turn")?;
    teller.say("watchfire init -p slack,email    writes a commented routes.yaml for the platforms that you use")?;
    teller.say("watchfire check                  finds every mistake in it, with its place and what to do")?;
    teller.say("watchfire serve                  takes alerts at http://127.0.0.1:9091/webhook")?;
    Ok(())
}

impl Walk<'_> {
    /// An alert arrives, and its group grows.
    async fn arrival(&self) -> Result<()> {
        let teller = self.teller;
        teller.chapter("1. An alert arrives")?;
        teller.say("Alertmanager posts to /webhook: the disk of db-1 is nearly full. HTTP 200 is answered once that is on disk.")?;
        teller.say("No route asks for another channel, so it goes to `terminal`:")?;
        let sent = self.post("DiskFull", &[disk("db-1", "/ is 97% full", false)]).await?;
        self.wait(&sent, State::Sent).await?;
        teller.pause(6).await;

        teller.chapter("2. Its group grows")?;
        teller.say("db-2 joins the group. It is the same incident, and news, so it rings:")?;
        let grown = [disk("db-1", "/ is 97% full", false), disk("db-2", "/ is 91% full", false)];
        let sent = self.post("DiskFull", &grown).await?;
        self.wait(&sent, State::Sent).await?;
        teller.pause(6).await;
        Ok(())
    }

    /// Somebody acks the incident: what is known rings no more.
    async fn ack(&self) -> Result<()> {
        let teller = self.teller;
        teller.chapter("3. Somebody is on it")?;
        let found: Incidents = self.remote.get("/api/v1/incidents?limit=1&state=firing").await?;
        let Some(incident) = found.incidents.first() else { bail!("no incident fires; please report it") };
        teller.say(&format!("Ann acks it. In chat she presses a button; here it is `watchfire ack {}`:", incident.number))?;
        let ann = ActRequest { by: Some("Ann".into()), ..ActRequest::default() };
        let acked: ActResponse = self.remote.post(&format!("/api/v1/incidents/{}/ack", incident.number), &ann).await?;
        teller.show(&acked.text)?;
        teller.pause(3).await;
        teller.say("Alertmanager repeats the group, with a new percentage. Nothing rings, and the reason is stored:")?;
        let again = [disk("db-1", "/ is 98% full", false), disk("db-2", "/ is 92% full", false)];
        let sent = self.post("DiskFull", &again).await?;
        let ended = self.wait(&sent, State::Skipped).await?;
        teller.show(&format!("{}: {}", ended.delivery.state.as_str(), ended.delivery.reason.unwrap_or_default()))?;
        teller.pause(6).await;
        Ok(())
    }

    /// The incident ends.
    async fn end(&self) -> Result<()> {
        let teller = self.teller;
        teller.chapter("4. It is over")?;
        teller.say("Alertmanager reports both alerts resolved; those who were notified learn it:")?;
        let over = [disk("db-1", "/ is 61% full", true), disk("db-2", "/ is 60% full", true)];
        let sent = self.post("DiskFull", &over).await?;
        self.wait(&sent, State::Sent).await?;
        teller.pause(6).await;
        Ok(())
    }

    /// Many groups at once become few messages.
    async fn storm(&self) -> Result<()> {
        let teller = self.teller;
        teller.chapter("5. A storm")?;
        teller.say(&format!("A switch fails: {STORM} alerts in {STORM} groups within a second. This channel takes one message a second."))?;
        teller.say("What cannot leave within `digest.after` (2 s here) becomes one digest, most severe first:")?;
        let mut accepted = Vec::new();
        for n in 0..STORM {
            let (instance, severity) = (format!("web-{n:02}"), if n % 10 == 9 { "critical" } else { "warning" });
            let alert = Demo { name: "Unreachable", instance: &instance, severity, team: "web", summary: "no answer for 1m", resolved: false };
            accepted.push(self.post(&instance, &[alert]).await?);
        }
        let mut messages = std::collections::BTreeSet::new();
        for one in &accepted {
            messages.insert(self.wait(one, State::Sent).await?.delivery.message);
        }
        teller.say(&format!("{STORM} alerts, {} messages; each alert has a delivery of its own with the platform's word.", messages.len()))?;
        teller.pause(8).await;
        Ok(())
    }

    /// A platform refuses, and says so with HTTP 200.
    async fn dead_letter(&self) -> Result<()> {
        let teller = self.teller;
        teller.chapter("6. A dead letter")?;
        teller.say("An alert with team=\"shop\" goes to Slack; a stand-in answers HTTP 200 and, in the body, that it refuses the message.")?;
        teller.say("Only the platform's own word counts: it is a dead letter, and `fallback: [terminal]` takes over:")?;
        let alert =
            Demo { name: "CheckoutFails", instance: "shop-1", severity: "critical", team: "shop", summary: "12% of payments fail", resolved: false };
        let sent = self.post("CheckoutFails", &[alert]).await?;
        let dead = self.wait(&sent, State::Dead).await?;
        if let Some(child) = dead.children.first() {
            self.settle(child.id).await?;
        }
        teller.pause(4).await;
        teller.say(&format!("watchfire explain {} says why, and what happens next:", dead.delivery.id))?;
        teller.show(&print::delivery(&self.settle(dead.delivery.id).await?, true))?;
        teller.pause(10).await;
        Ok(())
    }

    /// Posts a group as Alertmanager does.
    async fn post(&self, group: &str, alerts: &[Demo<'_>]) -> Result<AcceptedResponse> {
        let status = if alerts.iter().all(|alert| alert.resolved) { "resolved" } else { "firing" };
        let alerts: Vec<Value> = alerts.iter().map(|alert| alert.json(self.began, self.teller.wall())).collect();
        let body = json!({
            "version": "4", "groupKey": format!("{{}}:{{group=\"{group}\"}}"), "receiver": "watchfire", "status": status, "alerts": alerts,
            "groupLabels": { "alertname": alertname(&alerts) }, "commonLabels": { "alertname": alertname(&alerts) }, "commonAnnotations": {}, "externalURL": "", "truncatedAlerts": 0,
        });
        self.remote.post("/webhook?source=demo", &body).await
    }

    /// The delivery of an accepted group, once it is final; it must end in this state.
    async fn wait(&self, accepted: &AcceptedResponse, state: State) -> Result<DeliveryResponse> {
        let [delivery] = &*accepted.deliveries else { bail!("one delivery was expected, and {} were made", accepted.deliveries.len()) };
        let found = self.settle(delivery.id).await?;
        let row = &found.delivery;
        if row.state != state {
            bail!("delivery {} is {}, not {}: {}", row.id, row.state.as_str(), state.as_str(), row.reason.as_deref().unwrap_or("no reason"));
        }
        Ok(found)
    }

    async fn settle(&self, id: DeliveryId) -> Result<DeliveryResponse> {
        for _ in 0..LOOKS {
            let found: DeliveryResponse = self.remote.get(&format!("/api/v1/deliveries/{id}")).await?;
            if found.delivery.state.is_final() {
                return Ok(found);
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("delivery {id} did not end within {} s; is the output paused?", (LOOK * LOOKS).as_secs())
    }
}
