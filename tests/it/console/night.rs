//! An operator's night in a real browser, with the real Alertmanager as the sender.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::{HOSTILE, gateway, routes};
use crate::prometheus_e2e::port;
use crate::silences::{Alertmanager, is_installed, until};
use crate::support::app::TestApp;
use crate::support::chromium::Chromium;
use crate::support::fakes::{Fake, Slack};
use crate::support::skip::skip;

/// What is there in the night: `ours` is a channel of Slack, `theirs` a webhook that refuses until it accepts.
struct Night {
    browser: Chromium,
    app: TestApp,
    alertmanager: Alertmanager,
    slack: Fake<Slack>,
    accepts: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

/// An alert as Prometheus reports it: it fires, or has ended now.
fn reported(name: &str, group: &str, fires: bool) -> Value {
    let now = jiff::Timestamp::now();
    let ends = if fires { now + Duration::from_secs(600) } else { now };
    json!({
        "labels": { "alertname": name, "severity": "critical", "group": group }, "annotations": { "summary": format!("{name} is wrong") },
        "startsAt": now - Duration::from_secs(60), "endsAt": ends
    })
}

impl Night {
    /// `None` where Alertmanager or Chromium is missing.
    async fn begin() -> Option<Self> {
        if !is_installed() {
            return None;
        }
        let Some(browser) = Chromium::start().await else {
            skip("chromium");
            return None;
        };
        let slack = Fake::start(Slack::new("xoxb-1").unpaced()).await;
        let (url, accepts) = gateway().await;
        let ours = format!("ours: {{ slack: {{ token: xoxb-1, channel: '#ops', api_base: '{}' }} }}", slack.url());
        let theirs = format!("theirs: {{ webhook: {{ url: '{url}', allow_networks: [127.0.0.1] }} }}");
        let app = TestApp::start(&routes("").replace("ours: { log: {} }", &ours).replace("theirs: { log: {} }", &theirs)).await;
        let folder = tempfile::tempdir().unwrap();
        let alertmanager = Alertmanager::start(folder.path(), port(), &app.url("/webhook")).await;
        Some(Self { browser, app, alertmanager, slack, accepts, _folder: folder })
    }

    async fn open(&mut self, path: &str) {
        self.browser.open(&self.app.url(path)).await;
        self.fits().await;
    }

    /// The page does not scroll sideways, and has done nothing that its policy forbids.
    async fn fits(&mut self) {
        let path = self.browser.eval("location.pathname").await;
        assert_eq!(self.browser.sideways().await, 0, "{path} scrolls sideways");
        assert!(self.browser.complaints.is_empty(), "{path}: {:?}", self.browser.complaints);
    }

    /// Waits until the page has these words.
    async fn reads(&mut self, words: &str) {
        self.browser.until(&format!("document.body.innerText.includes({})", json!(words))).await;
    }

    /// Waits until the heading is this.
    async fn heading(&mut self, words: &str) {
        self.browser.until(&format!("document.querySelector('h1').innerText == {}", json!(words))).await;
    }

    /// Waits until people read this in a message on Slack.
    async fn slack_shows(&self, words: &str) {
        let shown = async || self.slack.with(|slack| slack.transcript.texts()).iter().any(|text| text.contains(words)).then_some(());
        until(&format!("Slack shows: {words}"), shown).await;
    }

    /// An alert fires, and the page says so without a reload. It is acked in place, handed back by somebody else, and snoozed.
    async fn it_fires_and_somebody_is_on_it(&mut self) {
        self.browser.size(390, 844).await;
        self.open("/ui").await;
        self.heading("Ready. Nothing received yet").await;
        self.browser.until("document.querySelector('#live .state').innerText == 'Live'").await;
        self.alertmanager.post(&json!([reported(HOSTILE, "ours", true)])).await;
        self.browser.until("document.readyState == 'complete' && document.querySelectorAll('li.inc').length == 1").await;
        self.heading("1 needs somebody").await;
        self.fits().await;
        self.slack_shows("&lt;script&gt;alert(1)&lt;/script&gt;").await;
        self.browser.until("document.querySelector('#live .state').innerText == 'Live'").await;
        self.browser.eval("window.kept = document.querySelector('li.inc').offsetHeight").await;
        self.browser.press("li.inc .act button.p").await;
        self.browser.until("document.querySelector('li.inc .st.acc') != null").await;
        let kept = self.browser.eval("window.kept == document.querySelector('li.inc').offsetHeight").await;
        assert_eq!(kept, true, "nothing moves under the thumb");
        self.browser.until("document.querySelector('.toast') != null").await;
        let answer = self.app.http.post(self.app.url("/api/v1/incidents/1/unack")).json(&json!({ "by": "bob" })).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        self.browser.until("document.querySelector('li.inc .st.bad') != null").await;
        self.fits().await;
        self.browser.press("li.inc .what a").await;
        self.browser.until("location.pathname == '/ui/incidents/1' && document.querySelector('ol.tl') != null").await;
        self.reads("unacked by bob (API)").await;
        self.fits().await;
        self.browser.press(".sheet.po [data-key='s']").await;
        self.browser.press(".sheet.po .pop button[value='2h']").await;
        self.browser.until("document.querySelector('.sheet.po').innerText.includes('End snooze')").await;
        self.reads("snoozed until ").await;
        self.fits().await;
    }

    /// Why it was sent, with what template, and where labels would go.
    async fn it_is_explained(&mut self) {
        self.browser.size(1440, 900).await;
        let sent = self.app.until("state=sent&channel=ours", |rows| !rows.is_empty()).await;
        self.open(&format!("/ui/deliveries/{}", sent[sent.len() - 1].id)).await;
        self.reads("Sent because #1 is new to this channel: 1 alert fires; the route `route` leads here; nobody had acked.").await;
        self.reads("The platform confirmed it.").await;
        self.browser.press_text("Open in the template playground").await;
        self.browser.until("location.pathname == '/ui/templates' && document.querySelector('#out') != null").await;
        self.reads("slack/default.title.hbs").await;
        self.fits().await;
        self.browser.write("[name=template]", "TRIED {{#each alerts}}{{labels.group}}{{/each}}").await;
        self.browser.until("document.querySelector('#out').innerText.includes('TRIED ours')").await;
        self.fits().await;
        self.open("/ui/route").await;
        self.browser.write("[name=labels]", "alertname=Lost\ngroup=theirs").await;
        let result = "document.querySelector('#result').innerText";
        self.browser.until(&format!("{result}.includes('expect: [theirs]')")).await;
        let said = self.browser.eval(result).await;
        assert!(said.as_str().is_some_and(|said| said.contains("by route.routes[0]") && said.contains("at once")), "{said}");
        self.fits().await;
    }

    /// Two die. One is moved to a channel that works, the other is retried once its platform accepts.
    async fn what_dies_is_moved_and_retried(&mut self) {
        self.alertmanager.post(&json!([reported("Lost", "theirs", true), reported("Gone", "theirs", true)])).await;
        self.app.until("state=dead", |rows| rows.len() == 2).await;
        self.open("/ui/dead").await;
        self.heading("2 dead letters").await;
        self.browser.press(".dg details.raw summary").await;
        let lost = "[...document.querySelectorAll('.dg details.raw a')].find(e => e.innerText.startsWith('Lost'))";
        self.browser.eval(&format!("{lost}.click()")).await;
        self.browser.until("location.pathname.startsWith('/ui/deliveries/')").await;
        self.reads("It was not delivered. HTTP 400: the request was refused").await;
        self.reads("No other channel has it.").await;
        self.fits().await;
        self.browser.press_text("Move…").await;
        self.browser.until("document.querySelector('.conf [name=to]') != null").await;
        self.fits().await;
        self.browser.press(".conf button.p").await;
        self.reads("Lost to ours").await;
        self.slack_shows("Lost is wrong").await;
        self.open("/ui/dead").await;
        self.heading("1 dead letter").await;
        self.accepts.store(true, Ordering::Relaxed);
        self.browser.press_text("Retry 1…").await;
        self.heading("Retry 1 of theirs?").await;
        self.browser.press(".conf button.p").await;
        self.browser.until("location.pathname == '/ui/history'").await;
        let sent = self.app.until("state=sent&channel=theirs", |rows| rows.len() == 1).await;
        assert_eq!(sent[0].title, "Gone", "the other one was moved");
        self.fits().await;
    }

    /// A channel is muted: what fires meanwhile waits, and is sent when the mute is ended.
    async fn a_channel_is_muted_and_unmuted(&mut self) {
        self.open("/ui/channels/theirs/confirm/mute").await;
        self.browser.write("[name=reason]", "new number").await;
        self.browser.press(".conf button.p").await;
        self.browser.until("location.pathname == '/ui/channels'").await;
        self.heading("1 muted").await;
        self.alertmanager.post(&json!([reported("Quiet", "theirs", true)])).await;
        self.app.until("state=deferred", |rows| rows.len() == 1).await;
        self.open("/ui/channels").await;
        self.reads("1 is deferred.").await;
        self.reads("new number").await;
        self.browser.press_text("Unmute").await;
        self.heading("Every channel is ready").await;
        self.app.until("state=sent&channel=theirs", |rows| rows.iter().any(|row| row.title == "Quiet")).await;
    }

    /// All of it ends, which the open page and Slack show, and the audit says who did what.
    async fn it_ends(&mut self) {
        self.browser.size(390, 844).await;
        self.open("/ui").await;
        self.heading("3 need somebody").await;
        self.browser.until("document.querySelector('#live .state').innerText == 'Live'").await;
        let ended = [(HOSTILE, "ours"), ("Lost", "theirs"), ("Gone", "theirs"), ("Quiet", "theirs")];
        self.alertmanager.post(&Value::from_iter(ended.map(|(name, group)| reported(name, group, false)))).await;
        self.browser.until("[...document.querySelectorAll('li.inc')].filter(e => e.innerText.includes('Resolved')).length == 4").await;
        self.heading("All quiet").await;
        self.browser.until("document.title == 'Now · Watchfire'").await;
        self.slack_shows("Resolved after ").await;
        self.open("/ui").await;
        self.heading("All quiet").await;
        self.open("/ui/audit").await;
        for act in ["ack incident #1", "snooze incident #1", "to ours", "retry delivery", "mute channel=\"theirs\"", "unmute channel=\"theirs\""] {
            self.reads(act).await;
        }
        for path in ["/ui/history", "/ui/history?view=incidents", "/ui/dead", "/ui/mutes", "/ui/nothing"] {
            self.open(path).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_gets_through_the_night() {
    let Some(mut night) = Night::begin().await else { return };
    night.it_fires_and_somebody_is_on_it().await;
    night.it_is_explained().await;
    night.what_dies_is_moved_and_retried().await;
    night.a_channel_is_muted_and_unmuted().await;
    night.it_ends().await;
}
