//! What is the same: notifications of replicas, alerts of a group, incidents. What was sent as firing is sent as resolved, and nothing else is.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::Preset;
use crate::support::fakes::pagerduty::PagerDuty;
use crate::support::fakes::server::Fake;
use crate::support::fakes::webhook::Webhook;

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A receiver of webhooks and a PagerDuty service, both told everything.
struct Both {
    hook: Fake<Webhook>,
    pager: Fake<PagerDuty>,
}

impl Both {
    async fn start() -> Self {
        Self { hook: Fake::start(Webhook::default()).await, pager: Fake::start(PagerDuty::new(KEY)).await }
    }

    fn routes(&self, more: &str, route: &str) -> String {
        format!(
            "server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\nchannels:\n  hook: {{ webhook: {{ url: '{}/in', allow_networks: [127.0.0.1] }}, rate_limit: off }}\n  \
             pager: {{ pagerduty: {{ routing_key: {KEY}, api_base: '{}' }}, rate_limit: off }}\n{more}\nroute: {route}\n",
            self.hook.url(),
            self.pager.url()
        )
    }

    async fn app(&self) -> TestApp {
        TestApp::start(&self.routes("", "{ to: [hook, pager] }")).await
    }

    /// What the receiver of webhooks got, in its order: names and statuses of the alerts of each message.
    fn told(&self) -> Vec<String> {
        let one = |body: Value| {
            let alerts = body["alerts"].as_array().cloned().unwrap_or_default();
            alerts.iter().map(|a| format!("{}:{}", text(&a["labels"]["alertname"]), text(&a["status"]))).collect::<Vec<_>>().join(" ")
        };
        self.hook.rec.accepted().iter().map(|record| one(record.json())).collect()
    }

    /// What the service was asked to do, in its order.
    fn actions(&self) -> Vec<String> {
        self.pager.rec.accepted().iter().map(|record| text(&record.json()["event_action"]).to_owned()).collect()
    }

    /// Incidents that are open at the service, of how many.
    fn open(&self) -> (usize, usize) {
        self.pager.with(|pager| (pager.alerts.values().filter(|(status, _)| status == "triggered").count(), pager.alerts.len()))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Posts a body, waits until all of it is delivered, and says whether it was a duplicate.
async fn post(app: &TestApp, path: &str, body: &Value) -> bool {
    let (status, answer) = app.post(path, body).await;
    assert_eq!(status, 200, "{answer}");
    app.settled().await;
    answer["duplicate"] == true
}

/// The body with other members.
fn with(mut body: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_flaps_under_one_start_is_told_each_time() {
    let both = Both::start().await;
    let app = both.app().await;
    let (fires, over) = (alert("db", "Flap", "firing"), alert("db", "Flap", "resolved"));
    assert!(!post(&app, "/webhook", &fires).await);
    assert!(post(&app, "/webhook", &fires).await, "the copy of a replica");
    assert!(!post(&app, "/webhook", &over).await);
    // A restart in between forgets nothing.
    let app = app.restart().await;
    assert!(post(&app, "/webhook", &over).await);
    assert!(!post(&app, "/webhook", &fires).await, "it fires again");
    assert_eq!(both.told(), ["Flap:firing", "Flap:resolved", "Flap:firing"]);
    assert_eq!(both.open(), (1, 1));
    // Another text is news.
    let mut worse = fires.clone();
    worse["alerts"][0]["annotations"]["summary"] = json!("the disk is FULL");
    assert!(!post(&app, "/webhook", &worse).await);
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_overtake_each_other_leave_a_true_last_word() {
    let both = Both::start().await;
    let app = both.app().await;
    let of = |body: Value, replica: &str| with(body, json!({ "externalURL": format!("http://{replica}:9093") }));
    let (fires, over) = (alert("db", "Twin", "firing"), alert("db", "Twin", "resolved"));
    // am-1 fires and resolves, am-2's copies come late.
    assert!(!post(&app, "/webhook", &of(fires.clone(), "am-1")).await);
    assert!(!post(&app, "/webhook", &of(over.clone(), "am-1")).await);
    post(&app, "/webhook", &of(fires.clone(), "am-2")).await;
    post(&app, "/webhook", &of(over.clone(), "am-2")).await;
    assert_eq!(both.told().last().map(String::as_str), Some("Twin:resolved"));
    assert_eq!(both.open(), (0, 1), "one incident, and it is closed");
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_mentioned_an_incident_ends_with_its_last_alert() {
    let both = Both::start().await;
    let route = "{ to: [pager], routes: [{ matchers: 'alertname=\"X\"', to: [pager], mentions: { users: [ann] } }] }";
    let app = TestApp::start(&both.routes("", route)).await;
    let group = |x: &str, y: &str| {
        let mut body = alert("db", "X", x);
        body["alerts"].as_array_mut().unwrap().push(alert("db", "Y", y)["alerts"][0].clone());
        body["status"] = json!(if [x, y].contains(&"firing") { "firing" } else { "resolved" });
        body
    };
    post(&app, "/webhook", &group("firing", "firing")).await;
    post(&app, "/webhook", &group("resolved", "firing")).await;
    assert_eq!(both.open(), (1, 1), "Y fires: {:?}", both.actions());
    post(&app, "/webhook", &group("resolved", "resolved")).await;
    assert_eq!(both.open(), (0, 1), "{:?}", both.actions());
    app.app.stop(Duration::from_secs(5)).await;
}

/// The body as a sender with `max_alerts` cuts it: it computes the status from what is left.
fn cut(body: Value, left_out: u64) -> Value {
    with(body, json!({ "truncatedAlerts": left_out }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sender_leaves_out_may_fire() {
    let both = Both::start().await;
    let more =
        format!("  quiet: {{ webhook: {{ url: '{}/quiet', allow_networks: [127.0.0.1] }}, rate_limit: off, send_resolved: false }}", both.hook.url());
    let app = TestApp::start(&both.routes(&more, "{ to: [hook, pager, quiet] }")).await;
    let (fires, over) = (alert("db", "Cut", "firing"), alert("db", "Cut", "resolved"));
    // Two alerts were sent; the end of one of them is listed while 490 are not.
    let mut two = fires.clone();
    two["alerts"].as_array_mut().unwrap().push(alert("db", "Other", "firing")["alerts"][0].clone());
    post(&app, "/webhook", &cut(two, 489)).await;
    post(&app, "/webhook", &cut(over.clone(), 490)).await;
    let last = both.hook.rec.accepted().into_iter().rfind(|record| record.call.path == "/in").unwrap().json();
    assert_eq!((text(&last["status"]), &last["truncatedAlerts"]), ("firing", &json!(490)), "{last}");
    assert_eq!(both.actions(), ["trigger", "trigger"]);
    assert_eq!(both.open(), (1, 1));
    let summary = text(&both.pager.rec.accepted()[1].json()["payload"]["summary"]).to_owned();
    assert!(summary.contains("490 not listed") && !summary.contains('✅'), "{summary}");
    // A channel that takes no ends hears of it anyway: something that was never listed may fire.
    assert_eq!(both.hook.rec.accepted().iter().filter(|record| record.call.path == "/quiet").count(), 2);
    // All that was ever listed is over. What was only counted may fire.
    let rest = alert("db", "Other", "resolved");
    post(&app, "/webhook", &cut(rest.clone(), 489)).await;
    assert_eq!(both.open(), (1, 1), "489 were reported as firing, and nobody said that they ended");
    // Nothing is left out any more.
    post(&app, "/webhook", &cut(alert("db", "Third", "resolved"), 0)).await;
    assert_eq!(both.open(), (0, 1));
    // The sender's reason counts all alerts; another reason proves nothing.
    post(&app, "/webhook", &cut(fires.clone(), 490)).await;
    let because = |reason: &str| with(cut(rest.clone(), 490), json!({ "notification_reason": reason }));
    for (reason, open) in [("repeat interval elapsed", 1), ("all alerts resolved", 0)] {
        post(&app, "/webhook", &because(reason)).await;
        assert_eq!(both.open(), (open, 1), "{reason}");
    }
    // Only one alert was ever reported, and it ends while others, of which nobody heard, are left out.
    post(&app, "/webhook", &cut(fires, 0)).await;
    post(&app, "/webhook", &cut(over, 2)).await;
    assert_eq!(both.open(), (1, 1), "the two that are not listed may have begun since");
    let last = text(&both.pager.rec.accepted().last().unwrap().json()["payload"]["summary"]).to_owned();
    assert!(last.contains("1 resolved, 2 not listed") && !last.contains('✅'), "{last}");
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_without_a_group_end_one_by_one() {
    let both = Both::start().await;
    let app = both.app().await;
    let bare = |host: &str, status: &str| json!({ "alerts": [{ "status": status, "labels": { "alertname": "HighLoad", "instance": host } }] });
    post(&app, "/webhook", &bare("db-1", "firing")).await;
    post(&app, "/webhook", &bare("db-2", "firing")).await;
    post(&app, "/webhook", &bare("db-1", "resolved")).await;
    assert_eq!(both.open(), (1, 1), "db-2 goes on");
    post(&app, "/webhook", &bare("db-2", "resolved")).await;
    assert_eq!(both.open(), (0, 1));
    assert_eq!(both.actions(), ["trigger", "trigger", "trigger", "resolve"]);
    app.app.stop(Duration::from_secs(5)).await;
}

async fn mute(app: &TestApp, channel: &str, time: &str) {
    let (status, answer) =
        app.post("/api/v1/mutes", &json!({ "matchers": [format!("channel=\"{channel}\"")], "for": time, "reason": "maintenance" })).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_what_was_told_is_told_though_it_came_under_a_mute() {
    let both = Both::start().await;
    let app = both.app().await;
    post(&app, "/webhook", &alert("a", "Told", "firing")).await;
    for channel in ["hook", "pager"] {
        mute(&app, channel, "3s").await;
    }
    for body in [
        alert("a", "Told", "resolved"),
        // What comes and goes under the mute is recorded only.
        alert("b", "Unheard", "firing"),
        alert("b", "Unheard", "resolved"),
    ] {
        assert_eq!(app.post("/webhook", &body).await.0, 200);
    }
    // A restart under the mute changes nothing.
    let app = app.restart().await;
    let rows = app.settled().await;
    assert_eq!(both.told(), ["Told:firing", "Told:resolved"], "{rows:#?}");
    assert_eq!(both.open(), (0, 1));
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_that_drops_still_lets_the_end_of_what_was_told_through() {
    let both = Both::start().await;
    let app = TestApp::start(&both.routes("", "{ to: [hook] }")).await;
    post(&app, "/webhook", &alert("a", "Told", "firing")).await;
    // The interval begins: the file says so on a reload.
    let now = jiff::Timestamp::now();
    let minute = |seconds: i64| jiff::Timestamp::from_second(now.as_second() + seconds).unwrap().strftime("%H:%M").to_string();
    let (start, end) = (minute(-120), minute(180));
    if end < start {
        return; // Around midnight an interval of one day cannot say this.
    }
    let more = format!("time_intervals: [{{ name: night, time_intervals: [{{ times: [{{ start_time: '{start}', end_time: '{end}' }}] }}] }}]");
    let routes = both
        .routes(&more, "{ to: [hook], routes: [{ matchers: 'severity=\"critical\"', to: [hook], mute_time_intervals: [night], on_mute: drop }] }");
    std::fs::write(app.folder.path().join("routes.yaml"), routes).unwrap();
    app.app.reload().await.unwrap();
    let (_, told) = app.post("/webhook", &alert("a", "Told", "resolved")).await;
    let (_, unheard) = app.post("/webhook", &alert("b", "Unheard", "firing")).await;
    assert_eq!((text(&told["deliveries"][0]["state"]), text(&unheard["deliveries"][0]["state"])), ("deferred", "skipped"), "{told} {unheard}");
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_of_the_group_and_the_site() {
    let both = Both::start().await;
    let (url, pager) = (both.hook.url(), both.pager.url());
    let routes = |name: &str| {
        format!(
            "server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\nsources: {{ eu: [am-1, am-2] }}\nchannels:\n  \
             hook: {{ webhook: {{ url: '{url}/in', allow_networks: [127.0.0.1] }} }}\n  {name} pagerduty: {{ routing_key: {KEY}, api_base: '{pager}' }}, rate_limit: off }}\n\
             route: {{ to: [pager] }}\n"
        )
    };
    let app = TestApp::start(&routes("pager: {")).await;
    let (fires, over) = (alert("db", "Site", "firing"), alert("db", "Site", "resolved"));
    // Replicas of one site, by name: the second copy is a duplicate.
    assert!(!post(&app, "/webhook?source=am-1", &fires).await);
    assert!(post(&app, "/webhook?source=am-2", &fires).await);
    // Another site with the same rules has an incident of its own, and so has another organisation of one Grafana.
    assert!(!post(&app, "/webhook?source=us", &fires).await);
    assert_eq!(both.open(), (2, 2));
    let grafana = |org: u32, body: &Value| with(body.clone(), json!({ "version": "1", "orgId": org, "title": "t", "state": "alerting" }));
    assert!(!post(&app, "/webhook/grafana?source=am-1", &grafana(1, &fires)).await);
    assert!(!post(&app, "/webhook/grafana?source=am-1", &grafana(2, &fires)).await);
    assert_eq!(both.open(), (4, 4));
    // The channel gets another name, the sender's receiver too: the end still finds its incident.
    std::fs::write(app.folder.path().join("routes.yaml"), routes("night: { previous_names: [pager],").replace("to: [pager]", "to: [night]")).unwrap();
    app.app.reload().await.unwrap();
    assert!(!post(&app, "/webhook?source=am-2", &with(over.clone(), json!({ "receiver": "other" }))).await);
    assert_eq!(both.open(), (3, 4));
    post(&app, "/webhook?source=us", &over).await;
    for org in [1, 2] {
        post(&app, "/webhook/grafana?source=am-1", &grafana(org, &over)).await;
    }
    assert_eq!(both.open(), (0, 4), "{:?}", both.actions());
    // The explanation of a delivery names the key.
    let rows = app.settled().await;
    let detail = app.delivery(rows[0].id).await;
    let key = detail.message.as_ref().unwrap().pages[0].incident.as_deref().unwrap();
    assert!(both.pager.with(|pager| pager.alerts.contains_key(key)), "{detail:#?}");
    app.app.stop(Duration::from_secs(5)).await;
}

/// A thread is an identity, too: what a space of Google Chat reads of one incident is in one thread, over replicas and names of the channel.
#[tokio::test(flavor = "multi_thread")]
async fn an_incident_has_one_thread_whatever_its_channel_is_called() {
    let chat = Fake::start(Preset::new("googlechat", "k/t")).await;
    chat.unpaced();
    let preset = format!("preset: {{ name: googlechat, params: {{ url: '{}', space: AAAA, webhook_key: k, token: t }} }}", chat.url());
    let routes = |name: &str| {
        let to = name.split(':').next().unwrap();
        format!(
            "server: {{ listen: '127.0.0.1:0' }}\nstore: sqlite:watchfire.db\nsources: {{ eu: [am-1, am-2] }}\nchannels: {{ {name} {preset} }} }}\nroute: {{ to: [{to}] }}\n"
        )
    };
    let app = TestApp::start(&routes("space: {")).await;
    let (fires, over) = (alert("db", "Site", "firing"), alert("db", "Site", "resolved"));
    assert!(!post(&app, "/webhook?source=am-1", &fires).await);
    assert!(post(&app, "/webhook?source=am-2", &fires).await, "the copy of a replica");
    std::fs::write(app.folder.path().join("routes.yaml"), routes("room: { previous_names: [space],")).unwrap();
    app.app.reload().await.unwrap();
    assert!(!post(&app, "/webhook?source=am-2", &over).await);
    // Another site with equal rules has a thread of its own.
    assert!(!post(&app, "/webhook?source=us", &fires).await);
    let threads: Vec<String> = chat.rec.accepted().iter().map(|one| text(&one.json()["thread"]["threadKey"]).to_owned()).collect();
    assert!(threads.len() == 3 && !threads[0].is_empty() && threads[0] == threads[1] && threads[2] != threads[0], "{threads:?}");
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_alerts_and_many_groups_leave_no_incident_behind() {
    let both = Both::start().await;
    both.pager.unpaced();
    let routes =
        both.routes("", "{ to: [pager] }").replace("rate_limit: off }\n\nroute", "rate_limit: { per_minute: 120 }, digest: { after: 1s } }\n\nroute");
    let app = TestApp::start(&routes).await;
    // More than fits on a page, and more groups than may leave soon: neither makes incidents that nobody closes.
    let many = |status: &str| {
        let mut body = alert("big", "Many", status);
        let one = body["alerts"][0].clone();
        let all = (0..if status == "firing" { 200 } else { 10 }).map(|i| {
            let mut each = with(one.clone(), json!({ "fingerprint": format!("{i:016x}") }));
            each["labels"]["instance"] = json!(format!("host-{i}"));
            each["annotations"]["description"] = json!("d".repeat(400));
            each
        });
        body["alerts"] = all.collect();
        body
    };
    for status in ["firing", "resolved"] {
        assert_eq!(app.post("/webhook", &many(status)).await.0, 200);
        for group in 0..6 {
            assert_eq!(app.post("/webhook", &alert(&format!("g{group}"), "Group", status)).await.0, 200);
        }
        app.settled().await;
    }
    assert_eq!(both.open(), (0, 7), "{:?}", both.actions());
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_named_and_not_there_is_noted_and_counted() {
    let both = Both::start().await;
    let app = both.app().await;
    let (status, answer) = app.post("/webhook?to=hook,hok", &alert("a", "Typo", "firing")).await;
    assert_eq!((status, &answer["unknown"]), (200, &json!(["hok"])));
    let (_, event) = app.get(&format!("/api/v1/events/{}", text(&answer["event"]))).await;
    assert!(text(&event["note"]).ends_with("may not use: hok"), "{event:#}");
    let (folder, id, listen) = (app.folder.path().to_owned(), text(&answer["event"]).to_owned(), app.app.address.to_string());
    let (code, said) = tokio::task::spawn_blocking(move || crate::first_run::run(&folder, &["explain", &id, "--listen", &listen])).await.unwrap();
    assert!(code == 0 && said.contains("  note: ") && said.contains("may not use: hok\n"), "{said}");
    let (_, bare) = app.get("/api/v1/events?unrouted=true").await;
    assert_eq!(bare["events"], json!([]), "it was delivered all the same");
    let (status, answer) = app.post("/api/v1/send", &json!({ "to": ["hook", "nobody"], "title": "Deploy failed" })).await;
    assert_eq!(status, 200, "{answer}");
    for nobody in ["hok", ""] {
        let (status, answer) = app.post(&format!("/webhook?to={nobody}"), &alert(&format!("of {nobody}"), "Typo", "firing")).await;
        assert_eq!((status, &answer["deliveries"][0]["channel"]), (200, &json!("hook")), "who is named is not there, and the routing table counts");
    }
    let (status, answer) = app.post("/api/v1/channels/hok/test", &json!({ "text": "x" })).await;
    assert!(status == 404 && answer.to_string().contains("there is no channel `hok`; did you mean `hook`?"), "{answer}");
    let metrics = app.get("/metrics").await.1;
    assert!(text(&metrics).contains("watchfire_unknown_channels_total 3"), "{metrics}");
    app.app.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_body_is_taken_only_where_its_signature_says() {
    let both = Both::start().await;
    let routes = both.routes("", "{ to: [hook] }").replace(
        "listen: '127.0.0.1:0'",
        "listen: '127.0.0.1:0', auth: [{ hmac: { secret: 'a-secret-of-grafana' } }, { bearer: token-of-alertmanager }]",
    );
    let app = TestApp::start(&routes).await;
    let body = alert("a", "Signed", "firing").to_string();
    let signature = crate::support::fakes::crypt::hex(&crate::support::fakes::crypt::hmac_sha256(b"a-secret-of-grafana", body.as_bytes()));
    let send = async |query: &str, header: (&str, &str)| {
        let request = app.http.post(app.url(&format!("/webhook/grafana{query}"))).header(header.0, header.1).body(body.clone());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let signed = ("X-Grafana-Alerting-Signature", signature.as_str());
    assert_eq!(send("", signed).await.0, 200);
    for query in ["?to=pager", "?source=other", "?to=hook&source=x"] {
        let (status, told) = send(query, signed).await;
        assert_eq!(status, 403, "{query}: {told}");
        assert!(told.contains("does not cover the query"), "{told}");
    }
    assert_eq!(send("?to=pager", ("Authorization", "Bearer token-of-alertmanager")).await.0, 200, "a token may name channels");
    assert!(both.hook.rec.wait(SOON, |rec| rec.accepted().len() == 1).await);
    app.app.stop(Duration::from_secs(5)).await;
}
