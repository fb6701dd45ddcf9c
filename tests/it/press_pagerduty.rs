//! What people do about an incident at PagerDuty, through the whole program: signed by one of two secrets, counted once, and no echo of ours.

use serde_json::{Value, json};
use watchfire::api::{IncidentResponse, Incidents};
use watchfire::store::IncidentState::{Acked, Closed, Firing};

use crate::acks::{disk, down, group, report};
use crate::support::app::{SOON, TestApp, alert};
use crate::support::fakes::pagerduty::webhook;
use crate::support::fakes::{Fake, Fault, PagerDuty};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SECRET: &str = "pd-webhook-secret";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";
const OTHER_SECRET: &str = "the-secret-of-another-account";

async fn incident(app: &TestApp) -> IncidentResponse {
    let found: Incidents = app.read("/api/v1/incidents").await;
    app.read(&format!("/api/v1/incidents/{}", found.incidents[0].number)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_and_an_end_there_hold_here_and_what_nobody_did_does_not() {
    let pagerduty = Fake::start(PagerDuty::new(KEY)).await;
    let app = TestApp::start(&format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\n\
         channels:\n  pd: {{ pagerduty: {{ routing_key: {KEY}, webhook_secret: {SECRET}, api_base: \"{}\" }} }}\nroute: {{ to: [pd] }}\n",
        pagerduty.url()
    ))
    .await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    let key = pagerduty.with(|pagerduty| pagerduty.alerts.keys().next().cloned()).expect("an alert");
    let jane = json!({ "html_url": "https://acme.pagerduty.com/users/PLH1HKV", "id": "PLH1HKV", "self": "", "summary": "Jane Doe", "type": "user_reference" });
    let post = async |(body, signature): &(String, String)| {
        let request = app.http.post(app.url("/press/pd")).header("X-PagerDuty-Signature", signature).body(body.clone());
        request.send().await.unwrap().status().as_u16()
    };
    let event = |id: &str, kind: &str, key: &str, agent: &Value| webhook(&["another-secret", SECRET], id, kind, key, agent);
    let ack = event("01A", "incident.acknowledged", &key, &jane);
    for forged in [
        webhook(&["another-secret"], "01A", "incident.acknowledged", &key, &jane),
        (ack.0.replace("Jane", "Evil"), ack.1.clone()),
        (ack.0.clone(), String::new()),
    ] {
        assert_eq!(post(&forged).await, 403, "{forged:?}");
    }
    // Of no use, and answered well: after three refusals PagerDuty would send nothing for a day.
    let service = json!({ "id": "PF9KMXH", "summary": "Watchfire", "type": "events_api_v2_inbound_integration_reference" });
    for idle in [
        event("01B", "pagey.ping", &key, &Value::Null),
        event("01C", "incident.acknowledged", &key, &Value::Null),
        event("01D", "incident.resolved", &key, &service),
        event("01E", "incident.escalated", &key, &jane),
        event("01F", "incident.acknowledged", "another-key", &jane),
    ] {
        assert_eq!(post(&idle).await, 200, "{idle:?}");
    }
    assert_eq!(incident(&app).await.incident.state, Firing);
    // What was not stored it sends again.
    let other = app.hold_store().await;
    assert_eq!(post(&ack).await, 503);
    drop(other);
    assert_eq!(incident(&app).await.incident.state, Firing);
    assert_eq!(post(&ack).await, 200);
    let shown = incident(&app).await;
    assert_eq!(shown.incident.state, Acked);
    assert!(format!("{shown:?}").contains("Jane Doe"), "{shown:#?}");
    assert_eq!(post(&event("01G", "incident.unacknowledged", &key, &jane)).await, 200);
    assert_eq!(incident(&app).await.incident.state, Firing);
    assert_eq!(post(&ack).await, 200, "a repeat");
    assert_eq!(incident(&app).await.incident.state, Firing, "which counts once");
    assert_eq!(post(&event("01H", "incident.resolved", &key, &jane)).await, 200);
    assert_eq!(incident(&app).await.incident.state, Closed);
    app.app.stop(std::time::Duration::from_secs(2)).await;
}

/// The webhook at PagerDuty has the name that the channel had when it was made.
#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_a_channel_holds_by_its_former_name() {
    let pagerduty = Fake::start(PagerDuty::new(KEY)).await;
    let app = TestApp::start(&format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\n\
         channels:\n  pd: {{ pagerduty: {{ routing_key: {KEY}, webhook_secret: {SECRET}, api_base: \"{}\" }}, previous_names: [pager] }}\nroute: {{ to: [pd] }}\n",
        pagerduty.url()
    ))
    .await;
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    jane_does(&pagerduty, &app, ("pager", SECRET), "01A", "incident.acknowledged").await;
    assert_eq!(incident(&app).await.incident.state, Acked);
    app.app.stop(std::time::Duration::from_secs(2)).await;
}

/// A program with two accounts, `pd` (and `plain`) and `other`; what is critical goes to `critical`, all else to `pd`.
async fn two_accounts(critical: &str) -> (Fake<PagerDuty>, TestApp) {
    let mut account = PagerDuty::new(KEY);
    account.keys.push(OTHER_KEY.to_owned());
    let pagerduty = Fake::start(account).await;
    let channel = |key: &str, more: &str| format!("{{ pagerduty: {{ routing_key: {key}{more}, api_base: \"{}\" }} }}", pagerduty.url());
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\n\
         channels:\n  pd: {}\n  other: {}\n  plain: {}\n\
         route:\n  to: [pd]\n  routes:\n    - {{ matchers: 'severity=\"critical\"', to: [{critical}] }}\n",
        channel(KEY, &format!(", webhook_secret: {SECRET}")),
        channel(OTHER_KEY, &format!(", webhook_secret: {OTHER_SECRET}")),
        channel(KEY, "")
    );
    let app = TestApp::start(&routes).await;
    (pagerduty, app)
}

/// Jane does it to the only incident there; PagerDuty posts it to the channel.
async fn jane_does(pagerduty: &Fake<PagerDuty>, app: &TestApp, (channel, secret): (&str, &str), id: &str, kind: &str) {
    let jane = json!({ "id": "PLH1HKV", "summary": "Jane Doe", "type": "user_reference" });
    let key = pagerduty.with(|pagerduty| pagerduty.alerts.keys().next().cloned()).expect("an alert");
    let (body, signature) = webhook(&[secret], id, kind, &key, &jane);
    let request = app.http.post(app.url(&format!("/press/{channel}"))).header("X-PagerDuty-Signature", signature).body(body);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200, "{kind}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolve_there_ends_nothing_of_which_its_account_was_not_notified() {
    let (pagerduty, app) = two_accounts("other").await;
    report(&app, &group(&[disk("firing"), down("firing")])).await;
    jane_does(&pagerduty, &app, ("pd", SECRET), "01A", "incident.resolved").await;
    let found = incident(&app).await;
    assert_eq!((found.incident.state, found.incident.acks.len()), (Firing, 1), "the other account's is critical: {found:#?}");
    // Its own is over, and what is left is the other account's.
    report(&app, &group(&[disk("resolved"), down("firing")])).await;
    jane_does(&pagerduty, &app, ("other", OTHER_SECRET), "01B", "incident.resolved").await;
    assert_eq!(incident(&app).await.incident.state, Closed);
    app.app.stop(std::time::Duration::from_secs(2)).await;
}

/// Two channels of one integration have one incident there, also where each was notified of a part of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_ack_there_is_of_what_all_channels_of_its_account_were_notified_of() {
    let (pagerduty, app) = two_accounts("plain").await;
    report(&app, &group(&[disk("firing"), down("firing")])).await;
    jane_does(&pagerduty, &app, ("pd", SECRET), "01A", "incident.acknowledged").await;
    let found = incident(&app).await;
    assert_eq!((found.incident.state, found.incident.acks.len()), (Acked, 1), "{found:#?}");
    app.app.stop(std::time::Duration::from_secs(2)).await;
}

/// PagerDuty has the event, and its answer does not come: the phone rings meanwhile, and what the person does is posted once.
#[tokio::test(flavor = "multi_thread")]
async fn an_ack_there_counts_before_the_outcome_is_known_here() {
    let (pagerduty, app) = two_accounts("pd").await;
    pagerduty.faults.push(Fault::HangAfter);
    assert_eq!(app.post("/webhook", &alert("db", "HostDown", "firing")).await.0, 200);
    assert!(pagerduty.rec.wait(SOON, |_| pagerduty.with(|pagerduty| !pagerduty.alerts.is_empty())).await, "it has no alert");
    jane_does(&pagerduty, &app, ("other", OTHER_SECRET), "01A", "incident.acknowledged").await;
    assert_eq!(incident(&app).await.incident.state, Firing, "no delivery is for that account");
    let audit: Value = app.read("/api/v1/audit").await;
    let act = &audit["acts"][0];
    assert_eq!((&act["who"], &act["state"]), (&json!("PLH1HKV"), &json!("refused")), "{audit}");
    jane_does(&pagerduty, &app, ("pd", SECRET), "01B", "incident.acknowledged").await;
    assert_eq!(incident(&app).await.incident.state, Acked);
    app.app.stop(std::time::Duration::from_secs(2)).await;
}

/// The key of an incident can be computed: the secret of one account acts on nothing of which only another one was notified.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_acts_on_what_it_was_notified_of_only() {
    let pagerduty = Fake::start(PagerDuty::new(KEY)).await;
    let channel = |key: &str, more: &str| format!("{{ pagerduty: {{ routing_key: {key}{more}, api_base: \"{}\" }} }}", pagerduty.url());
    let routes = format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\n\
         channels:\n  pd: {}\n  other: {}\n  plain: {}\n\
         route:\n  to: [pd]\n  routes:\n    - {{ matchers: 'alertname=\"DiskFull\"', to: [plain] }}\n",
        channel(KEY, &format!(", webhook_secret: {SECRET}")),
        channel("fedcba9876543210fedcba9876543210", ", webhook_secret: the-secret-of-another-account"),
        channel(KEY, "")
    );
    let app = TestApp::start(&routes).await;
    let jane = json!({ "id": "PLH1HKV", "summary": "Jane Doe", "type": "user_reference" });
    let post = async |channel: &str, secret: &str, id: &str, key: &str| {
        let (body, signature) = webhook(&[secret], id, "incident.acknowledged", key, &jane);
        let request = app.http.post(app.url(&format!("/press/{channel}"))).header("X-PagerDuty-Signature", signature).body(body);
        request.send().await.unwrap().status().as_u16()
    };
    for (number, name, id) in [(1, "HostDown", "01A"), (2, "DiskFull", "02A")] {
        app.post("/webhook", &alert(name, name, "firing")).await;
        app.settled().await;
        let state = async || app.read::<IncidentResponse>(&format!("/api/v1/incidents/{number}")).await.incident.state;
        let keys: Vec<String> = pagerduty.with(|pagerduty| pagerduty.alerts.keys().cloned().collect());
        for key in &keys {
            assert_eq!(post("other", "the-secret-of-another-account", id, key).await, 200, "answered well, and refused");
        }
        assert_eq!(state().await, Firing, "{name}");
        // Two channels of one integration have one incident there.
        for (place, key) in keys.iter().enumerate() {
            assert_eq!(post("pd", SECRET, &format!("{id}{place}"), key).await, 200);
        }
        assert_eq!(state().await, Acked, "{name}");
    }
    app.app.stop(std::time::Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_here_acknowledges_there_and_its_echo_changes_nothing() {
    let pagerduty = Fake::start(PagerDuty::new(KEY)).await;
    let app = TestApp::start(&format!(
        "server: {{ listen: \"127.0.0.1:0\", external_url: \"https://watchfire.example.com\" }}\nstore: sqlite:watchfire.db\n\
         channels:\n  pd: {{ pagerduty: {{ routing_key: {KEY}, webhook_secret: {SECRET}, api_base: \"{}\" }} }}\nroute: {{ to: [pd] }}\n",
        pagerduty.url()
    ))
    .await;
    let status = |pagerduty: &PagerDuty| pagerduty.alerts.values().next().map(|(status, _)| status.clone()).unwrap_or_default();
    app.post("/webhook", &alert("db", "HostDown", "firing")).await;
    app.settled().await;
    let key = pagerduty.with(|pagerduty| pagerduty.alerts.keys().next().cloned()).expect("an alert");
    assert_eq!(pagerduty.with(|pagerduty| status(pagerduty)), "triggered");
    let (code, answer) = app.post("/api/v1/incidents/1/ack", &json!({ "by": "Anna" })).await;
    assert_eq!(code, 200, "{answer}");
    assert!(pagerduty.rec.wait(SOON, |_| pagerduty.with(|pagerduty| status(pagerduty) == "acknowledged")).await, "it is not acknowledged there");
    let sent = pagerduty.rec.accepted().len();
    // What PagerDuty posts of our own event names the integration, nobody else.
    let service = json!({ "id": "PF9KMXH", "summary": "Watchfire", "type": "events_api_v2_inbound_integration_reference" });
    let (body, signature) = webhook(&[SECRET], "01A", "incident.acknowledged", &key, &service);
    let posted = app.http.post(app.url("/press/pd")).header("X-PagerDuty-Signature", signature).body(body).send().await.unwrap();
    assert_eq!(posted.status().as_u16(), 200);
    let shown = incident(&app).await;
    assert_eq!((shown.incident.state, shown.incident.acks[0].by.as_str(), shown.version), (Acked, "Anna", 2), "the echo changes nothing");
    assert_eq!(pagerduty.rec.accepted().len(), sent);
    app.post("/webhook", &alert("db", "HostDown", "resolved")).await;
    app.settled().await;
    assert_eq!(pagerduty.with(|pagerduty| status(pagerduty)), "resolved");
    app.app.stop(std::time::Duration::from_secs(2)).await;
}
