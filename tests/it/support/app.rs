//! Watchfire in the test's process: a temporary store, port 0, and the four first platforms as faithful fakes.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use watchfire::api::{Deliveries, DeliveryResponse};
use watchfire::app::{App, AppOptions};
use watchfire::delivery::Clock;
use watchfire::model::DeliveryId;
use watchfire::store::DeliveryRow;

use super::fakes::dingtalk::{DingtalkRobot, Robot};
use super::fakes::fault::Fault;
use super::fakes::server::{Fake, Platform};
use super::fakes::slack::{Room, Slack};
use super::fakes::smtp::{Security, Smtp, SmtpOptions};
use super::fakes::wecom::Wecom;

/// Long enough for a busy machine, short enough for a person.
pub const SOON: Duration = Duration::from_secs(20);

/// The four platforms.
pub struct Four {
    pub ding: Fake<DingtalkRobot>,
    pub slack: Fake<Slack>,
    pub wecom: Fake<Wecom>,
    pub smtp: Smtp,
}

impl Four {
    pub async fn start() -> Self {
        let options = SmtpOptions::default().security(Security::StartTls).user("watchfire", "mail-password");
        Self {
            ding: Fake::start(DingtalkRobot::default().robot("ding-token", Robot::signed("SEC0123456789"))).await,
            slack: Fake::start(Slack::new("xoxb-test-token").channel("C0123", "#ops", Room::Open)).await,
            wecom: Fake::start(Wecom::new("corp-id", 1_000_002, "wecom-secret").with_members(&["zhangsan", "lisi"]).unpaced()).await,
            smtp: Smtp::start(options).await,
        }
    }

    /// `channels:` of routes.yaml for them.
    pub fn channels(&self) -> String {
        format!(
            r##"
  ops-mail: {{ email: {{ server: "{smtp}", tls: starttls, ca_file: "{ca}", username: watchfire, password: mail-password, from: "Watchfire <w@example.com>", to: [ops@example.com, db@example.com] }} }}
  ops-slack: {{ slack: {{ token: xoxb-test-token, channel: "C0123", api_base: "{slack}" }} }}
  ops-ding: {{ dingtalk: {{ access_token: ding-token, secret: SEC0123456789, api_base: "{ding}" }}, mentions: {{ mobiles: ["13800000000"] }} }}
  ops-wecom: {{ wecom: {{ corp_id: corp-id, agent_id: 1000002, secret: wecom-secret, to_user: "zhangsan|lisi", api_base: "{wecom}" }} }}
"##,
            smtp = format_args!("localhost:{}", self.smtp.addr().port()),
            ca = self.smtp.tls.ca_file().display(),
            slack = self.slack.url(),
            ding = self.ding.url(),
            wecom = self.wecom.url(),
        )
    }

    /// The DingTalk robot refuses so many requests with this code and these words.
    pub fn ding_refuses(&self, times: usize, code: u32, words: &str) {
        for _ in 0..times {
            let body = json!({ "errcode": code, "errmsg": words }).to_string();
            self.ding.faults.push(Fault::Reply(200, "application/json".into(), body));
        }
    }

    /// A whole routes.yaml: everything to all four, the direct paths bound.
    pub fn routes(&self) -> String {
        format!(
            r#"
server: {{ listen: "127.0.0.1:0" }}
store: sqlite:watchfire.db
time_zone: Asia/Shanghai
channels:{}
route: {{ to: [ops-mail, ops-slack, ops-ding, ops-wecom] }}
legacy:
  email: {{ channel: ops-mail, allow_from: ["*@example.com"] }}
  slack: {{ ops: ops-slack }}
  dingding: ops-ding
  wx: ops-wecom
"#,
            self.channels()
        )
    }
}

/// A running Watchfire.
pub struct TestApp {
    pub app: App,
    pub folder: TempDir,
    pub http: reqwest::Client,
}

impl TestApp {
    pub async fn start(routes: &str) -> Self {
        watchfire::channel::kit::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
        let app = open(folder.path().join("routes.yaml")).await;
        Self { app, folder, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// The same with options of one's own: a clock that can be made to jump.
    pub async fn start_with(routes: &str, change: impl FnOnce(&mut AppOptions)) -> Self {
        watchfire::channel::kit::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.yaml");
        std::fs::write(&file, routes).unwrap();
        let mut options = AppOptions { watch: false, ..AppOptions::new(file) };
        change(&mut options);
        let app = App::start(options).await.unwrap_or_else(|e| panic!("{e:#}"));
        Self { app, folder, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// The same with a clock that the test sets forward.
    pub async fn start_timed(routes: &str) -> (Self, Clock) {
        let clock = Clock::runtime(jiff::Timestamp::now().into());
        let app = Self::start_with(routes, |options| options.clock = clock.clone()).await;
        (app, clock)
    }

    /// Somebody else writes to the store and does not stop, until this is dropped.
    pub async fn hold_store(&self) -> rusqlite::Connection {
        let file = self.folder.path().join("watchfire.db");
        let hold = move || {
            let other = rusqlite::Connection::open(file).unwrap();
            other.execute_batch("begin immediate").unwrap();
            other
        };
        tokio::task::spawn_blocking(hold).await.unwrap()
    }

    /// Stops and starts again over the same store.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| ()).await
    }

    /// The same with options of one's own.
    pub async fn restart_with(self, change: impl FnOnce(&mut AppOptions)) -> Self {
        let Self { app, folder, http } = self;
        app.stop(Duration::from_secs(5)).await;
        let mut options = AppOptions { watch: false, ..AppOptions::new(folder.path().join("routes.yaml")) };
        change(&mut options);
        let app = App::start(options).await.unwrap_or_else(|e| panic!("{e:#}"));
        Self { app, folder, http }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.app.address)
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.http.post(self.url(path)).json(body).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// What a path of the API returns, as the API's own type.
    pub async fn read<T: DeserializeOwned>(&self, path: &str) -> T {
        let (status, answer) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {answer}");
        serde_json::from_value(answer.clone()).unwrap_or_else(|error| panic!("{path}: {error}: {answer:#}"))
    }

    /// A delivery with everything known about it.
    pub async fn delivery(&self, id: DeliveryId) -> DeliveryResponse {
        self.read(&format!("/api/v1/deliveries/{id}")).await
    }

    /// The deliveries that a query finds (`state=sent`), newest first.
    pub async fn deliveries(&self, query: &str) -> Vec<DeliveryRow> {
        self.read::<Deliveries>(&format!("/api/v1/deliveries?limit=500&{query}")).await.deliveries
    }

    /// Waits until the deliveries that a query finds are as wanted, and returns them.
    pub async fn until(&self, query: &str, wanted: impl Fn(&[DeliveryRow]) -> bool) -> Vec<DeliveryRow> {
        let end = tokio::time::Instant::now() + SOON;
        loop {
            let rows = self.deliveries(query).await;
            if wanted(&rows) {
                return rows;
            }
            assert!(tokio::time::Instant::now() < end, "not as wanted: {rows:#?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until every delivery is final, and returns them, newest first.
    pub async fn settled(&self) -> Vec<DeliveryRow> {
        self.until("", |rows| rows.iter().all(|row| row.state.is_final())).await
    }
}

/// Waits until people read this on a platform.
pub async fn reads(fake: &Fake<impl Platform>, within: Duration, words: &str) {
    let is_read = fake.rec.wait(within, |rec| rec.accepted().iter().any(|record| record.text.contains(words))).await;
    assert!(is_read, "nobody reads {words:?}: {:?}", fake.rec.accepted());
}

async fn open(config: PathBuf) -> App {
    App::start(AppOptions { watch: false, ..AppOptions::new(config) }).await.unwrap_or_else(|e| panic!("{e:#}"))
}

/// An Alertmanager body of one alert.
pub fn alert(group: &str, name: &str, status: &str) -> Value {
    json!({
        "version": "4", "groupKey": format!("{{}}:{{group=\"{group}\"}}"), "truncatedAlerts": 0, "status": status, "receiver": "watchfire",
        "groupLabels": { "group": group }, "commonLabels": { "alertname": name, "severity": "critical" }, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093",
        "alerts": [{
            "status": status,
            "labels": { "alertname": name, "severity": "critical", "instance": format!("{group}-host"), "group": group },
            "annotations": { "summary": format!("{name} is wrong"), "runbook_url": "https://runbooks.example.com/x" },
            "startsAt": "2026-11-24T02:00:00Z", "endsAt": if status == "resolved" { "2026-11-24T03:00:00Z" } else { "0001-01-01T00:00:00Z" },
            "generatorURL": "http://prometheus.example.com/graph?g0.expr=up", "fingerprint": watchfire::model::hash_hex(&[group, name])
        }]
    })
}
