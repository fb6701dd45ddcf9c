//! Beside the real Alertmanager: its own notifier never says another word of a group whose message somebody deleted, and Watchfire goes on; and what happens
//! while no webhook is answered is read once, when one is.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use watchfire::store::{IncidentState, State};

use super::{incident, rang, slack_only, texts, until};
use crate::prometheus_e2e::{Ended, installed, port};
use crate::support::app::{SOON, TestApp};
use crate::support::fakes::tls::TestTls;
use crate::support::fakes::{Fake, Slack};
use crate::support::skip::skip;

const DEBIAN: &str = "prometheus-alertmanager";

/// An Alertmanager with one receiver, which groups by `job`.
struct Alertmanager {
    url: String,
    http: reqwest::Client,
    _process: Ended,
}

impl Alertmanager {
    async fn start(program: &str, folder: &Path, receiver: &str, http: reqwest::Client) -> Self {
        let route = "route: { receiver: watch.fire, group_wait: 0s, group_interval: 1s, repeat_interval: 1h, group_by: [job] }";
        std::fs::write(folder.join("alertmanager.yml"), format!("{route}\nreceivers:\n- name: watch.fire\n{receiver}")).unwrap();
        let (port, log) = (port(), std::fs::File::create(folder.join("alertmanager.log")).unwrap());
        let mut command = Command::new(program);
        command.args(["--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address="]);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).current_dir(folder).stdout(Stdio::null()).stderr(log);
        let process = Ended(command.spawn().unwrap_or_else(|error| panic!("{program} does not start: {error}")));
        let alertmanager = Self { url: format!("http://127.0.0.1:{port}"), http, _process: process };
        for _ in 0..400 {
            let ready = alertmanager.http.get(format!("{}/-/ready", alertmanager.url)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return alertmanager;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{program} does not come up: {}", std::fs::read_to_string(folder.join("alertmanager.log")).unwrap_or_default());
    }

    /// Reports alerts of the group that began at `start`: they fire, or have ended.
    async fn report(&self, names: &[&str], start: Timestamp, fires: bool) {
        let now = Timestamp::now();
        let end = if fires { now + Duration::from_secs(600) } else { now };
        let one = |name: &&str| {
            let labels = json!({ "alertname": name, "severity": "critical", "job": "db", "instance": "db-1" });
            json!({ "labels": labels, "startsAt": start, "endsAt": end })
        };
        let body: Vec<Value> = names.iter().map(one).collect();
        let answer = self.http.post(format!("{}/api/v2/alerts", self.url)).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }
}

fn webhook(url: &str) -> String {
    format!("  webhook_configs: [{{ url: \"{url}\", send_resolved: true }}]\n")
}

fn minute_ago() -> Timestamp {
    Timestamp::now() - Duration::from_secs(60)
}

/// Leads what is asked of slack.com to a fake; its address.
async fn proxy(to: SocketAddr, tls: TestTls) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
                let mut inside = tls.acceptor.accept(stream).await?;
                copy_bidirectional(&mut inside, &mut TcpStream::connect(to).await?).await
            });
        }
    });
    address
}

/// Alertmanager's own notifier that edits its message: <https://prometheus.io/docs/alerting/latest/configuration/#slack_config>
///
/// Debian's program reads its templates from `/usr/share`, where those of the installed 0.25 know no `slack.default.color`, the default of `color` since
/// 0.32. Alertmanager renders fields in order, leaves out all that follow one that fails, `channel` among them, and posts the rest (`TmplText` in
/// <https://github.com/prometheus/alertmanager/blob/v0.33.1/notify/slack/slack.go>): Slack refuses that.
fn own_notifier(proxy: SocketAddr, tls: &TestTls) -> String {
    format!(
        "  slack_configs:\n  - {{ api_url: \"https://slack.com/api/chat.postMessage\", update_message: true, channel: C0123, color: danger, \
         send_resolved: true, http_config: {{ proxy_url: \"http://{proxy}\", tls_config: {{ ca_file: \"{}\" }}, authorization: {{ credentials: xoxb-1 }} }} }}\n",
        tls.ca_file().display()
    )
}

/// Somebody deletes the message of a group, which then grows, ends, and fires again; `own` is the room of Alertmanager's own notifier, where it has one.
async fn deleted(program: &str, own: Option<Fake<Slack>>) {
    let ours = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let app = TestApp::start(&slack_only(&ours)).await;
    let folder = tempfile::tempdir().unwrap();
    let tls = TestTls::for_names(&["slack.com"]);
    let mut receiver = webhook(&app.url("/webhook"));
    if let Some(own) = &own {
        receiver.push_str(&own_notifier(proxy(own.addr(), tls.clone()).await, &tls));
    }
    let alertmanager = Alertmanager::start(program, folder.path(), &receiver, app.http.clone()).await;
    let start = minute_ago();
    alertmanager.report(&["DiskFull"], start, true).await;
    until("the alert is shown", || texts(&ours).len() == 1).await;
    if let Some(own) = &own {
        until("Alertmanager shows it", || texts(own).len() == 1).await;
    }
    for room in [Some(&ours), own.as_ref()].into_iter().flatten() {
        room.with(|slack| slack.transcript.delete_all());
    }
    alertmanager.report(&["DiskFull", "NodeDown"], start, true).await;
    until("the whole of it is posted again", || texts(&ours).iter().any(|text| text.contains("DiskFull") && text.contains("NodeDown"))).await;
    assert!(rang(&ours).last().is_some_and(|text| text.contains("NodeDown")), "{:#?}", rang(&ours));
    alertmanager.report(&["DiskFull", "NodeDown", "DbDown"], start, true).await;
    until("the third rings", || rang(&ours).last().is_some_and(|text| text.contains("DbDown"))).await;
    alertmanager.report(&["DiskFull", "NodeDown", "DbDown"], start, false).await;
    until("it is green", || texts(&ours)[0].contains("Resolved")).await;
    let (rings, refused) = (rang(&ours).len(), own.as_ref().map_or(0, |own| own.rec.count_code("message_not_found")));
    alertmanager.report(&["DiskFull"], Timestamp::now(), true).await;
    until("the next outage rings", || rang(&ours).len() > rings && rang(&ours)[rings..].iter().all(|text| text.contains("DiskFull"))).await;
    if let Some(own) = own {
        assert!(own.rec.wait(SOON, |rec| rec.count_code("message_not_found") > refused).await, "it does not edit: {:#?}", own.rec.all());
        // Each of its edits is refused, and it posts no other message: nobody reads of the next outage there.
        assert!(refused >= 2 && texts(&own).is_empty(), "{refused}: {:#?}", texts(&own));
        assert_eq!(own.with(|slack| slack.transcript.posted()), 1);
    }
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
    assert!(app.settled().await.iter().all(|row| matches!(row.state, State::Sent | State::Skipped)));
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_deletion_watchfire_goes_on_behind_the_distributions_alertmanager() {
    if !installed(DEBIAN) {
        return skip("the package prometheus-alertmanager");
    }
    deleted(DEBIAN, None).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an Alertmanager that edits its messages, from 0.32 on, at WATCHFIRE_ALERTMANAGER: `.ci/long deaf`"]
async fn after_a_deletion_alertmanagers_own_notifier_is_deaf_and_watchfire_beside_it_is_not() {
    let program = std::env::var("WATCHFIRE_ALERTMANAGER").expect("WATCHFIRE_ALERTMANAGER: the path of an Alertmanager from 0.32 on");
    deleted(&program, Some(Fake::start(Slack::new("xoxb-1").unpaced()).await)).await;
}

/// What becomes of a notification on its way to Watchfire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It arrives, and its answer, too.
    Open,
    /// It arrives, and its answer is lost.
    Lost,
    /// It is lost.
    Shut,
}

/// The way between Alertmanager and Watchfire.
struct Gateway {
    url: String,
    way: Arc<Mutex<Way>>,
    seen: Arc<Mutex<Vec<(Way, String)>>>,
}

impl Gateway {
    async fn start(to: String, http: reqwest::Client, way: Way) -> Self {
        let (way, seen) = (Arc::new(Mutex::new(way)), Arc::<Mutex<Vec<(Way, String)>>>::default());
        let (now, log) = (way.clone(), seen.clone());
        let service = axum::Router::new().fallback(move |body: Bytes| {
            let (to, http, log, way) = (to.clone(), http.clone(), log.clone(), *now.lock().unwrap());
            async move {
                let read: Value = serde_json::from_slice(&body).unwrap();
                let mut answer = StatusCode::SERVICE_UNAVAILABLE;
                if way != Way::Shut {
                    let taken = http.post(to).header("content-type", "application/json").body(body).send().await.unwrap();
                    assert!(taken.status().is_success(), "{taken:?}");
                    answer = if way == Way::Open { taken.status() } else { answer };
                }
                log.lock().unwrap().push((way, read["status"].as_str().unwrap_or_default().to_owned()));
                answer
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { url, way, seen }
    }

    fn turn(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    /// How many notifications of this status went this way.
    fn count(&self, way: Way, status: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|(one, said)| *one == way && said == status).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_and_fires_again_while_no_webhook_is_answered_is_one_message_and_rings_once_each() {
    if !installed(DEBIAN) {
        return skip("the package prometheus-alertmanager");
    }
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let app = TestApp::start(&slack_only(&slack)).await;
    let gateway = Gateway::start(app.url("/webhook"), app.http.clone(), Way::Lost).await;
    let folder = tempfile::tempdir().unwrap();
    let alertmanager = Alertmanager::start(DEBIAN, folder.path(), &webhook(&gateway.url), app.http.clone()).await;
    let start = minute_ago();
    alertmanager.report(&["DiskFull"], start, true).await;
    // Nothing confirms it, so it is sent again and again.
    until("it is sent again", || gateway.count(Way::Lost, "firing") >= 2).await;
    gateway.turn(Way::Open);
    until("it is confirmed", || gateway.count(Way::Open, "firing") >= 1).await;
    app.settled().await;
    assert_eq!((texts(&slack).len(), rang(&slack).len()), (1, 1), "{:#?}", texts(&slack));
    gateway.turn(Way::Shut);
    alertmanager.report(&["DiskFull"], start, false).await;
    until("its end is not answered", || gateway.count(Way::Shut, "resolved") >= 1).await;
    let again = Timestamp::now();
    alertmanager.report(&["DiskFull"], again, true).await;
    assert!(!texts(&slack)[0].contains("Resolved"), "nobody knows of it yet: {:#?}", texts(&slack));
    let confirmed = gateway.count(Way::Open, "firing");
    gateway.turn(Way::Open);
    until("the new outage arrives", || gateway.count(Way::Open, "firing") > confirmed).await;
    app.settled().await;
    let found = incident(&app).await;
    assert_eq!((found.incident.state, found.incident.firing), (IncidentState::Firing, 1), "{found:#?}");
    until("the message fires", || !texts(&slack)[0].contains("Resolved")).await;
    assert_eq!(rang(&slack).len(), 2, "each outage once: {:#?}", rang(&slack));
    alertmanager.report(&["DiskFull"], again, false).await;
    until("it is green", || texts(&slack)[0].contains("Resolved")).await;
    app.settled().await;
    assert_eq!((incident(&app).await.incident.state, rang(&slack).len()), (IncidentState::Resolved, 2), "{:#?}", rang(&slack));
    let messages = slack.with(|slack| slack.transcript.all().filter(|(_, post)| post.parent.is_none()).count());
    assert_eq!(messages, 1, "{:#?}", texts(&slack));
    app.app.stop(Duration::from_secs(5)).await;
}
