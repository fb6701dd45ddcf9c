//! What a credential opens, and that a list of channels limits it by object, on every path of the API.

use serde_json::{Value, json};

use crate::support::app::{TestApp, alert};
use crate::support::fakes::Fake;
use crate::support::fakes::twilio::Twilio;

const ROOT: &str = "roots-token-0123456789";
const TEAM: &str = "teams-token-0123456789";

async fn start(more: &str) -> TestApp {
    let yaml = format!(
        "server:\n  listen: '127.0.0.1:0'\n  auth:\n    - {{ bearer: {ROOT}, name: root }}\n    - {{ bearer: {TEAM}, name: team, channels: [ours] }}\n{more}\
         store: sqlite:watchfire.db\nchannels: {{ ours: {{ log: {{}} }}, theirs: {{ log: {{}} }} }}\nlegacy: {{ dingding: theirs }}\n\
         heartbeats: [{{ matchers: 'alertname=\"Watchdog\"', timeout: 5m, to: [theirs] }}]\n\
         route:\n  to: [theirs]\n  routes:\n    - {{ matchers: ['group=\"both\"'], to: [ours, theirs] }}\n    - {{ matchers: ['group=\"ours\"'], to: [ours] }}\n"
    );
    TestApp::start(&yaml).await
}

async fn ask(app: &TestApp, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let answer = app.http.request(method.parse().unwrap(), app.url(path)).bearer_auth(token).json(body).send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// An event's id and its delivery on a channel.
fn taken(answer: &Value, channel: &str) -> (String, String) {
    let delivery = answer["deliveries"].as_array().unwrap().iter().find(|d| d["channel"] == channel).unwrap();
    (answer["event"].as_str().unwrap().to_owned(), delivery["id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_channels_limits_what_is_seen_and_touched_by_object() {
    let app = start("").await;
    let (_, answer) = ask(&app, ROOT, "POST", "/webhook", &alert("theirs", "SecretOfTheirs", "firing")).await;
    let (their_event, their_delivery) = taken(&answer, "theirs");
    let (_, answer) = ask(&app, ROOT, "POST", "/webhook", &alert("ours", "Ours", "firing")).await;
    let (our_event, our_delivery) = taken(&answer, "ours");
    // One body for both: an alert each, and one that goes nowhere else.
    let mut both = alert("both", "Shared", "firing");
    let mut secret = alert("theirs", "AlsoSecret", "firing")["alerts"][0].clone();
    secret["labels"]["group"] = json!("theirs");
    both["alerts"].as_array_mut().unwrap().push(secret);
    let (_, answer) = ask(&app, ROOT, "POST", "/webhook", &both).await;
    let (shared_event, _) = taken(&answer, "theirs");
    let (_, shared_delivery) = taken(&answer, "ours");
    // What waits on the other channel.
    let mute = json!({ "matchers": ["channel=\"theirs\""], "for": "1h", "reason": "x" });
    assert_eq!(ask(&app, ROOT, "POST", "/api/v1/mutes", &mute).await.0, 200);
    let (_, answer) = ask(&app, ROOT, "POST", "/webhook", &alert("theirs", "Waiting", "firing")).await;
    let (_, waiting) = taken(&answer, "theirs");
    let none = json!({});

    let ids = |id: &str| json!({ "ids": [id], "reason": "x", "to": "ours" });
    for (method, path, body, status) in [
        ("GET", "/api/v1/deliveries?channel=theirs".to_owned(), none.clone(), 403),
        ("GET", format!("/api/v1/deliveries/{their_delivery}"), none.clone(), 403),
        ("GET", format!("/api/v1/events/{their_event}"), none.clone(), 403),
        ("POST", format!("/api/v1/explain?event={their_event}"), none.clone(), 403),
        ("POST", format!("/api/v1/events/{their_event}/replay"), json!({ "to": "ours" }), 403),
        ("POST", format!("/api/v1/events/{our_event}/replay"), json!({ "to": "theirs" }), 403),
        ("POST", format!("/api/v1/events/{our_event}/replay"), none.clone(), 403),
        ("POST", "/api/v1/deliveries/retry".to_owned(), json!({ "ids": [their_delivery] }), 403),
        ("POST", "/api/v1/deliveries/retry".to_owned(), ids(&their_delivery), 403),
        ("POST", "/api/v1/deliveries/move".to_owned(), ids(&their_delivery), 403),
        ("POST", "/api/v1/deliveries/move".to_owned(), ids(&waiting), 403),
        ("POST", "/api/v1/deliveries/move".to_owned(), json!({ "ids": [our_delivery, waiting], "to": "ours" }), 403),
        ("POST", "/api/v1/deliveries/move".to_owned(), json!({ "ids": [our_delivery], "to": "theirs" }), 403),
        ("POST", "/api/v1/deliveries/drop".to_owned(), json!({ "ids": [waiting], "reason": "x" }), 403),
        ("POST", "/api/v1/mutes".to_owned(), mute.clone(), 403),
        ("GET", "/api/v1/routes".to_owned(), none.clone(), 403),
        ("POST", "/api/v1/route".to_owned(), json!({ "labels": { "group": "theirs" } }), 403),
        ("GET", "/api/v1/oncall".to_owned(), none.clone(), 403),
        ("POST", "/api/v1/oncall/overrides".to_owned(), json!({ "rota": "db", "person": "ann", "until": "2099-01-01 00:00" }), 403),
        ("DELETE", "/api/v1/mutes?matchers=channel%3D%22theirs%22".to_owned(), none.clone(), 403),
        ("DELETE", "/api/v1/mutes?matchers=channel%3D%22%74heirs%22".to_owned(), none.clone(), 403),
        ("POST", "/api/v1/channels/theirs/test".to_owned(), json!({ "text": "x" }), 403),
        ("POST", "/api/v1/send".to_owned(), json!({ "to": ["theirs"], "text": "x" }), 400),
        ("GET", "/api/v1/audit".to_owned(), none.clone(), 403),
        ("GET", "/api/v1/incidents".to_owned(), none.clone(), 403),
        ("GET", "/api/v1/incidents/1".to_owned(), none.clone(), 403),
        ("POST", "/api/v1/incidents/1/ack".to_owned(), none.clone(), 403),
        ("POST", "/api/v1/incidents/1/snooze".to_owned(), json!({ "for": "2h" }), 403),
        ("POST", "/api/v1/incidents/1/close".to_owned(), none.clone(), 403),
        ("POST", "/-/reload".to_owned(), none.clone(), 403),
        ("POST", "/api/v1/backup".to_owned(), json!({ "file": app.folder.path().join("stolen.db") }), 403),
        ("GET", format!("/api/v1/deliveries/{our_delivery}"), none.clone(), 200),
        ("GET", format!("/api/v1/events/{our_event}"), none.clone(), 200),
        ("POST", format!("/api/v1/explain?event={our_event}"), none.clone(), 200),
    ] {
        let (code, text) = ask(&app, TEAM, method, &path, &body).await;
        assert_eq!(code, status, "{method} {path}: {text}");
        let text = text.to_string();
        assert!(!text.contains("SecretOfTheirs") && !text.contains("Waiting"), "{method} {path}: {text}");
        assert!(status != 403 || text.contains("team"), "who is limited is named: {method} {path}: {text}");
    }
    assert!(!app.folder.path().join("stolen.db").exists());

    // Lists hold nothing of the others, and their pages are full.
    let (_, list) = ask(&app, TEAM, "GET", "/api/v1/deliveries?limit=2", &none).await;
    let rows = list["deliveries"].as_array().unwrap();
    assert!(rows.len() == 2 && rows.iter().all(|row| row["channel"] == "ours"), "{list}");
    let (_, events) = ask(&app, TEAM, "GET", "/api/v1/events", &none).await;
    let listed: Vec<&str> = events["events"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(listed, [shared_event.as_str(), our_event.as_str()]);
    let (_, channels) = ask(&app, TEAM, "GET", "/api/v1/channels", &none).await;
    let names: Vec<&str> = channels["channels"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ours"]);
    for (token, sees) in [(TEAM, false), (ROOT, true)] {
        let (code, text) = ask(&app, token, "GET", "/metrics", &none).await;
        let text = text.as_str().unwrap();
        let of = |channel: &str| text.contains(&format!("channel=\"{channel}\""));
        assert!(code == 200 && of("ours") && of("theirs") == sees && text.contains("\nwatchfire_build_info{"), "{text}");
    }
    // Where somebody sends to a channel of others, the routing table says who gets it.
    let (code, answer) = ask(&app, TEAM, "POST", "/webhook?to=theirs", &alert("ours", "X", "firing")).await;
    assert_eq!((code, &answer["unknown"], &answer["deliveries"][0]["channel"]), (200, &json!(["theirs"]), &json!("ours")), "{answer}");
    // Of a body that both got, the alerts of the others are left out, and so is the way that they went.
    for path in [format!("/api/v1/events/{shared_event}"), format!("/api/v1/deliveries/{shared_delivery}")] {
        let (code, shared) = ask(&app, TEAM, "GET", &path, &none).await;
        let text = shared.to_string();
        assert!(code == 200 && text.contains("Shared") && !text.contains("AlsoSecret") && !text.contains("theirs\""), "{path}: {text}");
        let (_, whole) = ask(&app, ROOT, "GET", &path, &none).await;
        assert!(whole.to_string().contains("AlsoSecret"), "{whole}");
    }
    let (_, told) = ask(&app, TEAM, "POST", "/api/v1/explain", &both).await;
    let deliveries = told["deliveries"].as_array().unwrap();
    assert!(deliveries.len() == 1 && deliveries[0]["channel"] == "ours", "{told}");

    // What the others' channel held is as it was.
    let (_, detail) = ask(&app, ROOT, "GET", &format!("/api/v1/deliveries/{waiting}"), &none).await;
    assert_eq!(detail["delivery"]["state"], "deferred");
    // And what is theirs they may touch.
    let (code, made) = ask(&app, ROOT, "POST", "/api/v1/deliveries/drop", &json!({ "ids": [waiting], "reason": "x" })).await;
    assert_eq!((code, &made["dropped"]), (200, &json!(1)), "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_asks_for_its_scope_and_says_which() {
    let scopes = ["webhook", "legacy", "metrics", "read", "operate", "admin"];
    let token = |scope: &str| format!("token-of-{scope}-0123456789");
    let more: String = scopes.iter().map(|scope| format!("    - {{ bearer: {}, name: {scope}-only, scopes: [{scope}] }}\n", token(scope))).collect();
    let app = start(&more).await;
    let (_, answer) = ask(&app, ROOT, "POST", "/webhook", &alert("ours", "Ours", "firing")).await;
    let (event, delivery) = taken(&answer, "ours");
    let none = json!({});
    let ids = json!({ "ids": [delivery], "reason": "x", "to": "ours" });
    for (scope, method, path, body) in [
        ("webhook", "POST", "/webhook".to_owned(), alert("ours", "A", "firing")),
        ("webhook", "PUT", "/webhook/alertmanager".to_owned(), alert("ours", "B", "firing")),
        ("legacy", "POST", "/dingding/send/message".to_owned(), json!({ "content": "x", "isAtAll": false })),
        ("metrics", "GET", "/metrics".to_owned(), none.clone()),
        ("read", "GET", "/api/v1/deliveries".to_owned(), none.clone()),
        ("read", "GET", format!("/api/v1/deliveries/{delivery}"), none.clone()),
        ("read", "GET", "/api/v1/events".to_owned(), none.clone()),
        ("read", "GET", format!("/api/v1/events/{event}"), none.clone()),
        ("read", "GET", "/api/v1/channels".to_owned(), none.clone()),
        ("read", "GET", "/api/v1/nodes".to_owned(), none.clone()),
        ("read", "GET", "/api/v1/heartbeats".to_owned(), none.clone()),
        ("read", "GET", "/api/v1/incidents".to_owned(), none.clone()),
        ("read", "GET", "/api/v1/incidents/1".to_owned(), none.clone()),
        ("operate", "POST", "/api/v1/incidents/1/ack".to_owned(), none.clone()),
        ("operate", "POST", "/api/v1/incidents/1/unack".to_owned(), none.clone()),
        ("operate", "POST", "/api/v1/incidents/1/snooze".to_owned(), json!({ "for": "2h" })),
        ("operate", "POST", "/api/v1/incidents/1/close".to_owned(), none.clone()),
        ("read", "POST", "/api/v1/explain".to_owned(), alert("ours", "C", "firing")),
        ("operate", "POST", "/api/v1/send".to_owned(), json!({ "to": ["ours"], "text": "x" })),
        ("operate", "POST", format!("/api/v1/events/{event}/replay"), none.clone()),
        ("operate", "POST", "/api/v1/deliveries/retry".to_owned(), ids.clone()),
        ("operate", "POST", "/api/v1/deliveries/move".to_owned(), ids.clone()),
        ("operate", "POST", "/api/v1/deliveries/drop".to_owned(), ids),
        ("operate", "POST", "/api/v1/mutes".to_owned(), json!({ "matchers": ["channel=\"ours\""], "for": "1h", "reason": "x" })),
        ("operate", "DELETE", "/api/v1/mutes?matchers=channel%3D%22ours%22".to_owned(), none.clone()),
        ("operate", "POST", "/api/v1/channels/ours/test".to_owned(), json!({ "text": "x" })),
        ("admin", "POST", "/-/reload".to_owned(), none.clone()),
        ("admin", "POST", "/api/v1/backup".to_owned(), json!({ "file": app.folder.path().join("copy.db") })),
    ] {
        for held in scopes {
            let (code, text) = ask(&app, &token(held), method, &path, &body).await;
            let opens = held == scope || held == "admin";
            assert_eq!(matches!(code, 401 | 403), !opens, "{held}: {method} {path}: {code} {text}");
            let text = text.to_string();
            // The direct paths speak to their clients as they always did.
            let told = text.contains(&format!("scope `{scope}`")) && text.contains(&format!("{held}-only"));
            assert!(opens || told || scope == "legacy", "{text}");
        }
    }
}

/// Channels that only write to the terminal need no credentials, so that a container can be tried; then nothing but the webhook is open.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_others_can_reach_takes_alerts_and_tells_nothing() {
    let yaml = "server: { listen: '0.0.0.0:0' }\nstore: sqlite:watchfire.db\nchannels: { terminal: { log: {} } }\nlegacy: { dingding: terminal }\nroute: { to: [terminal] }\n";
    let app = TestApp::start(yaml).await;
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", app.app.address.port());
    let ask = async |method: &str, path: &str, body: Value| {
        let answer = app.http.request(method.parse().unwrap(), url(path)).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for path in ["/webhook", "/webhook/alertmanager"] {
        assert_eq!(ask("POST", path, alert("db", "DiskFull", "firing")).await.0, 200, "{path}");
    }
    for path in ["/-/healthy", "/-/ready", "/", "/metrics"] {
        assert_eq!(ask("GET", path, json!({})).await.0, 200, "{path}");
    }
    for (method, path) in [
        ("GET", "/api/v1/deliveries"),
        ("GET", "/api/v1/events"),
        ("GET", "/api/v1/channels"),
        ("POST", "/api/v1/send"),
        ("POST", "/api/v1/backup"),
        ("POST", "/api/v1/mutes"),
        ("POST", "/-/reload"),
        ("POST", "/dingding/send/message"),
    ] {
        let (code, text) = ask(method, path, json!({ "content": "x" })).await;
        let told = text.contains("only the webhook is open") && text.contains("server.auth");
        assert!(code == 403 && (told || path.starts_with("/dingding")), "{path}: {code} {text}");
    }
    // A command says the same: there is no token that it could bring.
    let (folder, address) = (app.folder.path().to_owned(), format!("127.0.0.1:{}", app.app.address.port()));
    let listed = move || crate::first_run::run(&folder, &["queue", "ls", "--listen", &address]);
    let (code, text) = tokio::task::spawn_blocking(listed).await.unwrap();
    assert!(code == 1 && text.contains("only the webhook is open") && !text.contains("--token-file"), "{text}");
    // A file that now names this machine only opens nothing, as long as the server listens to all.
    std::fs::write(app.folder.path().join("routes.yaml"), yaml.replace("0.0.0.0:0", "127.0.0.1:0")).unwrap();
    app.app.reload().await.unwrap();
    assert_eq!(ask("GET", "/api/v1/deliveries", json!({})).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_act_sees_no_link_and_no_address_by_which_anybody_can() {
    const READS: &str = "reads-token-0123456789";
    let twilio = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
    let app = TestApp::start(&format!(
        "server:\n  listen: '127.0.0.1:0'\n  external_url: https://watchfire.example.com\n  auth:\n    - {{ bearer: {ROOT}, name: root }}\n\
         \x20   - {{ bearer: {TEAM}, name: team, channels: [sms] }}\n    - {{ bearer: {READS}, name: reads, scopes: [read] }}\n\
         store: sqlite:watchfire.db\nchannels:\n  sms: {{ twilio_sms: {{ account_sid: AC1, auth_token: twilio-token, from: '+15005550006', to: ['+15005550001'], \
         api_base: '{}' }} }}\nroute: {{ to: [sms] }}\n",
        twilio.url()
    ))
    .await;
    let (_, answer) = ask(&app, ROOT, "POST", "/webhook", &alert("db", "HostDown", "firing")).await;
    let path = format!("/api/v1/deliveries/{}", taken(&answer, "sms").1);
    let seen = async |token: &str| {
        let (delivery, channels) = (ask(&app, token, "GET", &path, &json!({})).await, ask(&app, token, "GET", "/api/v1/channels", &json!({})).await);
        assert_eq!((delivery.0, channels.0), (200, 200));
        (delivery.1.to_string(), channels.1.to_string())
    };
    while !seen(ROOT).await.0.contains(r#""state":"sent""#) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (delivery, channels) = seen(ROOT).await;
    assert!(delivery.contains("watchfire.example.com/a/") && channels.contains("/receipts/sms?k="), "{delivery}\n{channels}");
    for token in [TEAM, READS] {
        let (delivery, channels) = seen(token).await;
        assert!(delivery.contains("watchfire.example.com/m/") && !delivery.contains("/a/"), "{delivery}");
        assert!(!channels.contains("/receipts/"), "{channels}");
    }
    let (status, incident) = ask(&app, READS, "GET", "/api/v1/incidents/1", &json!({})).await;
    let (incident, attempt) = (incident.to_string(), &incident["attempts"][0]);
    assert!(status == 200 && attempt["kind"] == "ok" && !incident.contains("/a/"), "{incident}");
}

/// An act that was refused for its credential's scopes is in the audit under the credential's name, as one that was done is.
#[tokio::test(flavor = "multi_thread")]
async fn the_audit_names_whose_act_was_refused() {
    let app = start("    - { bearer: readers-token-0123456789, name: reader, scopes: [read] }\n").await;
    let mute = json!({ "matchers": ["channel=\"ours\""], "for": "1h", "reason": "x" });
    for (token, status) in [("readers-token-0123456789", 403), ("nobodys-token-0123456789", 401), (ROOT, 200)] {
        assert_eq!(ask(&app, token, "POST", "/api/v1/mutes", &mute).await.0, status, "{token}");
    }
    let (_, audit) = ask(&app, ROOT, "GET", "/api/v1/audit", &json!({})).await;
    let acts: Vec<(&Value, &Value)> = audit["acts"].as_array().unwrap().iter().map(|act| (&act["who"], &act["state"])).collect();
    assert_eq!(acts, [(&json!("root"), &json!("done")), (&json!("reader"), &json!("refused"))], "{audit}");
}
