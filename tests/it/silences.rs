//! Silences end to end, with the real Alertmanager of the distribution: asked for by the API and by a button, seen there, ended here and there; made once, whatever
//! dies; and what ends under one is reported, of which Alertmanager says nothing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Response, Uri};
use serde_json::{Value, json};
use watchfire::api::IncidentResponse;
use watchfire::delivery::Clock;
use watchfire::store::{IncidentState, SilenceState, State};

use crate::prometheus_e2e::{Ended, installed, port, spawn};
use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::{Fake, Platform, Slack, Telegram};
use crate::support::skip::skip;

/// An Alertmanager that notifies this app.
pub(crate) struct Alertmanager {
    url: String,
    _process: Ended,
}

impl Alertmanager {
    pub(crate) async fn start(folder: &Path, port: u16, webhook: &str) -> Self {
        let config = format!(
            "route: {{ receiver: watch.fire, group_wait: 0s, group_interval: 1s, repeat_interval: 1h, group_by: [alertname] }}\nreceivers:\n- name: watch.fire\n  \
             webhook_configs: [{{ url: \"{webhook}\", send_resolved: true }}]\n"
        );
        std::fs::write(folder.join("alertmanager.yml"), config).unwrap();
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let args = ["--config.file=alertmanager.yml", "--storage.path=am", &listen, "--cluster.listen-address="].map(str::to_owned);
        let alertmanager = Self { url: format!("http://127.0.0.1:{port}"), _process: spawn("prometheus-alertmanager", folder, &args) };
        for _ in 0..400 {
            if reqwest::get(format!("{}/-/ready", alertmanager.url)).await.is_ok_and(|answer| answer.status().is_success()) {
                return alertmanager;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Alertmanager does not come up");
    }

    /// Reports `DiskFull` of two hosts: it fires, or has ended.
    pub(crate) async fn report(&self, fires: bool) {
        let now = jiff::Timestamp::now();
        let ends = if fires { now + Duration::from_secs(600) } else { now };
        let one = |host: &str| {
            let labels = json!({ "alertname": "DiskFull", "severity": "critical", "instance": host });
            json!({ "labels": labels, "startsAt": now - Duration::from_secs(60), "endsAt": ends })
        };
        self.post(&json!([one("db-1"), one("db-2")])).await;
    }

    /// Reports alerts, as Prometheus does.
    pub(crate) async fn post(&self, alerts: &Value) {
        let answer = reqwest::Client::new().post(format!("{}/api/v2/alerts", self.url)).json(alerts).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// The active silences, as `amtool` shows them.
    pub(crate) fn silences(&self) -> Vec<Value> {
        let output = self.amtool(&["silence", "query", "-o", "json"]);
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
    }

    fn amtool(&self, args: &[&str]) -> String {
        let output = Command::new("amtool").arg(format!("--alertmanager.url={}", self.url)).args(args).output().expect("amtool");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

pub(crate) fn routes(slack: &Fake<Slack>, alertmanager: &str) -> String {
    format!(
        "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nsilence: {{ alertmanager: [{{ url: \"{alertmanager}\" }}] }}\n\
         channels:\n  slack: {{ slack: {{ token: xoxb-1, channel: \"#ops\", api_base: \"{}\" }} }}\nroute: {{ to: [slack] }}\n",
        slack.url()
    )
}

pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + SOON;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn incident(app: &TestApp) -> IncidentResponse {
    app.read("/api/v1/incidents/1").await
}

/// What people read now in the only message, or the first of a thread, once it says this.
pub(crate) async fn shows(slack: &Fake<Slack>, text: &str) {
    until(&format!("the message shows: {text}"), async || {
        let texts = slack.with(|slack| slack.transcript().unwrap().texts());
        texts.first().is_some_and(|shown| shown.contains(text)).then_some(())
    })
    .await;
}

fn rang(slack: &Fake<Slack>) -> Vec<String> {
    slack.with(|slack| slack.transcript().unwrap().rang())
}

pub(crate) async fn silence(app: &TestApp) -> String {
    let (status, answer) = app.post("/api/v1/incidents/1/silence", &json!({ "for": "2h", "by": "ann" })).await;
    assert_eq!(status, 200, "{answer}");
    answer["text"].as_str().unwrap().to_owned()
}

/// Whether the packages are there.
pub(crate) fn is_installed() -> bool {
    let there = installed("prometheus-alertmanager") && installed("amtool");
    if !there {
        skip("the package prometheus-alertmanager");
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_under_a_silence_is_told_though_alertmanager_says_nothing() {
    if !is_installed() {
        return;
    }
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let clock = Clock::runtime(jiff::Timestamp::now().into());
    let hand = clock.clone();
    let app = TestApp::start_with(&routes(&slack, &format!("http://127.0.0.1:{port}")), |options| options.clock = clock).await;
    let alertmanager = Alertmanager::start(folder.path(), port, &app.url("/webhook")).await;
    alertmanager.report(true).await;
    until("the alert comes", async || app.get("/api/v1/incidents/1").await.0.eq(&200).then_some(())).await;
    let text = silence(&app).await;
    assert!(text.starts_with("#1 is silenced until "), "{text}");
    let there = alertmanager.silences();
    let [one] = there.as_slice() else { panic!("{there:?}") };
    assert_eq!((&one["createdBy"], one["matchers"].as_array().unwrap().len()), (&json!("ann"), 1));
    assert_eq!((&one["matchers"][0]["name"], &one["matchers"][0]["value"]), (&json!("alertname"), &json!("DiskFull")));
    assert!(one["comment"].as_str().unwrap().starts_with("Watchfire #1: DiskFull"), "{one}");
    shows(&slack, "silenced until").await;
    let shown = incident(&app).await;
    let silence = shown.incident.silence.as_ref().unwrap();
    assert_eq!((silence.state, silence.by.as_str(), shown.incident.state), (SilenceState::Active, "ann", IncidentState::Snoozed));
    alertmanager.report(false).await;
    hand.jump(20_000);
    until("the incident ends", async || (incident(&app).await.incident.state == IncidentState::Resolved).then_some(())).await;
    shows(&slack, "Resolved").await;
    let (status, answer) = app.post("/api/v1/incidents/1/unsilence", &json!({})).await;
    assert_eq!((status, answer["text"].as_str()), (200, Some("the silence of #1 ends.")), "it outlives the outage, and hides the next one");
    until("it is ended there", async || alertmanager.silences().is_empty().then_some(())).await;
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_that_somebody_ends_there_rings_and_one_that_is_ended_here_is_ended_there() {
    if !is_installed() {
        return;
    }
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let clock = Clock::runtime(jiff::Timestamp::now().into());
    let hand = clock.clone();
    let app = TestApp::start_with(&routes(&slack, &format!("http://127.0.0.1:{port}")), |options| options.clock = clock).await;
    let alertmanager = Alertmanager::start(folder.path(), port, &app.url("/webhook")).await;
    alertmanager.report(true).await;
    until("the alert comes", async || app.get("/api/v1/incidents/1").await.0.eq(&200).then_some(())).await;
    silence(&app).await;
    let id = alertmanager.silences()[0]["id"].as_str().unwrap().to_owned();
    alertmanager.amtool(&["silence", "expire", &id]);
    hand.jump(20_000);
    until("it rings", async || rang(&slack).iter().any(|text| text.contains("the silence by ann ended")).then_some(())).await;
    let shown = incident(&app).await;
    assert_eq!((shown.incident.state, shown.incident.silence.is_none()), (IncidentState::Firing, true));
    assert!(shown.timeline.iter().any(|step| step.kind == "unsilenced" && step.text == "the silence by ann ended"), "{:?}", shown.timeline);
    silence(&app).await;
    assert_eq!(alertmanager.silences().len(), 1);
    let (status, answer) = app.post("/api/v1/incidents/1/unsilence", &json!({ "by": "bob" })).await;
    let text = answer["text"].as_str().unwrap_or_default();
    assert!(status == 200 && text.starts_with("the silence of #1 ends; it rings at "), "an end rang a moment ago: {answer}");
    until("it is ended there", async || alertmanager.silences().is_empty().then_some(())).await;
    until("the end is confirmed", async || incident(&app).await.incident.silence.is_none().then_some(())).await;
    let (status, answer) = app.post("/api/v1/incidents/1/unsilence", &json!({})).await;
    assert_eq!((status, answer["detail"].as_str()), (409, Some("#1 has no silence that was asked for here.")), "{answer}");
    app.app.stop(Duration::from_secs(2)).await;
}

/// How the answer to who makes a silence is lost.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lost {
    /// The first one breaks off.
    First,
    /// None comes for as long as anybody waits.
    Every,
}

/// Passes everything on to an Alertmanager, and loses answers to who makes a silence; its address, and how many were made.
pub(crate) async fn proxy(to: String, lost: Lost) -> (String, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = made.clone();
    let service = axum::Router::new().fallback(move |method: Method, uri: Uri, body: Bytes| {
        let (url, made) = (format!("{to}{uri}"), counted.clone());
        async move {
            let posts = method == Method::POST;
            let request = reqwest::Client::new().request(method, url).header("content-type", "application/json").body(body);
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let body = answer.bytes().await.unwrap();
            let is_first = posts && made.fetch_add(1, Ordering::SeqCst) == 0;
            if posts && matches!(lost, Lost::Every) {
                std::future::pending::<()>().await;
            }
            if is_first {
                let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("the connection broke"))]);
                return Response::builder().status(status).body(Body::from_stream(broken)).unwrap();
            }
            Response::builder().status(status).body(Body::from(body)).unwrap()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, service).await });
    (format!("http://{address}"), made)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_whose_answer_was_lost_is_made_once_also_over_a_restart() {
    if !is_installed() {
        return;
    }
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let (proxy, made) = proxy(format!("http://127.0.0.1:{port}"), Lost::First).await;
    let app = TestApp::start(&routes(&slack, &proxy)).await;
    let alertmanager = Alertmanager::start(folder.path(), port, "http://127.0.0.1:9/").await;
    let (status, answer) = app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    let text = silence(&app).await;
    assert!(text.contains("Alertmanager has not confirmed the silence yet ("), "{text}");
    assert_eq!((made.load(Ordering::SeqCst), alertmanager.silences().len()), (1, 1), "it is there, and nobody knows");
    let app = app.restart().await;
    until("it is confirmed", async || {
        let silence = incident(&app).await.incident.silence.unwrap();
        (silence.state == SilenceState::Active).then_some(())
    })
    .await;
    assert_eq!((made.load(Ordering::SeqCst), alertmanager.silences().len()), (1, 1), "it was found by its token");
    assert_eq!(incident(&app).await.incident.state, IncidentState::Snoozed, "an Alertmanager that never had the alert does not say that it is over");
    app.app.stop(Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_alertmanager_is_away_the_silence_is_shown_as_not_confirmed_and_tried_again() {
    if !is_installed() {
        return;
    }
    let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let clock = Clock::runtime(jiff::Timestamp::now().into());
    let hand = clock.clone();
    let app = TestApp::start_with(&routes(&slack, &format!("http://127.0.0.1:{port}")), |options| options.clock = clock).await;
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    app.settled().await;
    let text = silence(&app).await;
    let why = format!("cannot connect to 127.0.0.1:{port}");
    assert!(text.contains("is snoozed until") && text.contains(&why), "{text}");
    shows(&slack, &why).await;
    let alertmanager = Alertmanager::start(folder.path(), port, "http://127.0.0.1:9/").await;
    hand.jump(60_000);
    until("it is made", async || (alertmanager.silences().len() == 1).then_some(())).await;
    shows(&slack, "silenced until").await;
    let metrics = app.http.get(app.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("watchfire_silences_total{result=\"retried\"} 1") && metrics.contains("watchfire_silences_total{result=\"active\"} 1"),
        "{metrics}"
    );
    app.app.stop(Duration::from_secs(2)).await;
}

/// Each command says what it did, whether or not the Alertmanager has answered.
#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_handed_on_and_silenced_by_commands_and_a_silence_is_ended_by_one() {
    let routes = "server: { listen: '127.0.0.1:0' }\nstore: sqlite:watchfire.db\nsilence: { alertmanager: [{ url: 'http://127.0.0.1:9' }] }\n\
        channels: { ours: { log: {} }, theirs: { log: {} } }\nescalations: { night: [{ after: 1h, to: theirs }] }\n\
        route: { to: [ours], escalation: night }\n";
    let app = TestApp::start(routes).await;
    assert_eq!(app.post("/webhook", &alert("db", "DiskFull", "firing")).await.0, 200);
    let run = async |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(args).args(["--listen", &app.app.address.to_string()]).current_dir(app.folder.path());
        let out = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(out.status.success(), "{args:?}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    let said = run(&["escalate", "1"]).await;
    assert!(said.starts_with("#1 is handed on: step 1 of the escalation `night`"), "{said}");
    app.until("channel=theirs", |rows| rows.iter().any(|row| row.state == State::Sent)).await;
    let said = run(&["silence", "1", "--for", "2h", "--by", "ann"]).await;
    assert!(said.starts_with("#1 is snoozed until ") && said.contains("Alertmanager has not confirmed the silence yet"), "{said}");
    let shown = incident(&app).await.incident;
    assert_eq!((shown.state, shown.silence.map(|silence| silence.by)), (IncidentState::Snoozed, Some("ann".into())));
    let said = run(&["unsilence", "1"]).await;
    assert!(said.starts_with("the silence of #1 ends"), "{said}");
    assert_eq!(incident(&app).await.incident.state, IncidentState::Firing);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_known_may_silence_by_a_button_and_what_no_alertmanager_sent_is_refused() {
    if !is_installed() {
        return;
    }
    const CHAT: i64 = -1001;
    let telegram = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    telegram.unpaced();
    let (folder, port) = (tempfile::tempdir().unwrap(), port());
    let routes = |people: &str| {
        format!(
            "server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nsilence: {{ alertmanager: [{{ url: \"http://127.0.0.1:{port}\" }}] }}\n\
             people: {{ {people} }}\nchannels:\n  tg: {{ telegram: {{ token: \"1:token\", chat: {CHAT}, buttons: true, api_base: \"{}\" }} }}\nroute: {{ to: [tg] }}\n",
            telegram.url()
        )
    };
    let app = TestApp::start(&routes("")).await;
    let alertmanager = Alertmanager::start(folder.path(), port, &app.url("/webhook")).await;
    alertmanager.report(true).await;
    let press = async |label: &str| {
        let named = format!("\"text\":\"{label}\"");
        until(&format!("the button {label}"), async || {
            telegram.with(|telegram| telegram.transcript.all().next().is_some_and(|(_, post)| post.extra.contains(&named))).then_some(())
        })
        .await;
        let now = telegram.clock.now();
        let id = telegram.with(|telegram| {
            let id = telegram.transcript.all().next().expect("a message").0.rsplit('/').next().unwrap().parse().unwrap();
            telegram.press(CHAT, id, label, now).0
        });
        until("the press is answered", async || telegram.with(|telegram| telegram.updates.shown.get(&id).cloned())).await.text
    };
    assert_eq!(press("Silence 2h").await, "Only people whom the configuration names can do that. Your id is 4711.");
    assert_eq!(alertmanager.silences(), Vec::<Value>::new());
    std::fs::write(app.folder.path().join("routes.yaml"), routes("anna: { telegram: \"4711\" }")).unwrap();
    app.app.reload().await.unwrap();
    let text = press("Silence 2h").await;
    assert!(text.starts_with("#1 is silenced until "), "{text}");
    assert_eq!(alertmanager.silences()[0]["createdBy"], "anna");
    assert_eq!(press("End silence").await, "the silence of #1 ends.");
    until("it is ended there", async || alertmanager.silences().is_empty().then_some(())).await;
    let mut grafana = alert("web", "Slow", "firing");
    grafana["version"] = "1".into();
    grafana["orgId"] = 1.into();
    // As long as Grafana's are, with a matcher for each label: cut, it would silence more.
    let matchers: String = (0..9).map(|n| format!("&matcher=label_{n}%3Da%20value")).collect();
    let link = format!("https://grafana.example.com/alerting/silence/new?alertmanager=grafana{matchers}&orgId=1");
    grafana["alerts"][0]["silenceURL"] = link.as_str().into();
    let (status, answer) = app.post("/webhook/grafana", &grafana).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = app.post("/api/v1/incidents/2/silence", &json!({ "for": "1h" })).await;
    let told = format!("#2 does not come from an Alertmanager; silence it there: {link}.");
    assert_eq!((status, answer["detail"].as_str()), (409, Some(told.as_str())), "{answer}");
    let (status, answer) = app.post("/api/v1/incidents/2/silence", &json!({})).await;
    assert_eq!(
        (status, answer["detail"].as_str()),
        (400, Some("`for` or `until` is needed: for how long, as `2h`, or until when, as `09:00`")),
        "{answer}"
    );
    app.app.stop(Duration::from_secs(2)).await;
}
