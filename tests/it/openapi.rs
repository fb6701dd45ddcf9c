//! The description of the HTTP side against a running server: it is sound, it is complete, and what is really answered is what it says.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::app::{Four, TestApp, alert};

fn validator(document: &Value, schema: &Value) -> Validator {
    let mut whole = schema.clone();
    whole["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    whole["components"] = document["components"].clone();
    jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{error}: {schema}"))
}

/// Asks, and holds the answer against what the description says of it.
async fn ask(app: &TestApp, document: &Value, method: &str, path: &str, template: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = app.http.request(method.to_uppercase().parse().unwrap(), app.url(path));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let kind = answer.headers()["content-type"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let text = answer.text().await.unwrap();
    let response = &document["paths"][template][method]["responses"][status.to_string()];
    assert!(response.is_object(), "{method} {path} answers {status}, which {template} does not describe: {text}");
    let content = &response["content"][&kind];
    assert!(content.is_object(), "{method} {path} {status} answers {kind}: {response}");
    let value: Value = if kind.ends_with("json") { serde_json::from_str(&text).unwrap() } else { Value::String(text) };
    if let Err(error) = validator(document, &content["schema"]).validate(&value) {
        panic!("{method} {path} {status}: {error} at {}\n{value:#}", error.instance_path());
    }
    (status, value)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_what_is_described() {
    let four = Four::start().await;
    let rotas =
        "people: { ann: { slack: U1 } }\nrotas: { db: { rotation: daily, handoff: '10:00', start: 2020-01-01, people: [ann], tell: ops-slack } }\n";
    let app = TestApp::start(&(four.routes() + rotas)).await;
    let (status, document) = app.get("/api/openapi.json").await;
    assert_eq!(status, 200);
    let printed: Value = serde_json::from_str(watchfire::http::openapi::document()).unwrap();
    assert_eq!(document, printed, "the command prints what the server serves");
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "nothing stands at {pointer}");
    }
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        validator(&document, schema);
    }
    let mut names: Vec<&str> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(!names.contains(&name), "{name} stands twice");
            names.push(name);
            assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 8), "{method} {path}");
        }
    }

    let mut answered = Vec::new();
    let (_, taken) = ask(&app, &document, "post", "/webhook?to=ops-slack,nobody", "/webhook", Some(alert("db", "DiskFull", "firing"))).await;
    app.settled().await;
    let (event, delivery) = (taken["event"].as_str().unwrap().to_owned(), taken["deliveries"][0]["id"].as_str().unwrap().to_owned());
    let none = "018f0000-0000-7000-8000-000000000000";
    let send = json!({ "to": ["ops-slack"], "text": "hello" });
    let ids = |more: Value| {
        let mut body = json!({ "ids": [delivery] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (method, path, template, body, wanted) in [
        ("put", "/webhook/alertmanager", "/webhook/alertmanager", Some(alert("x", "HostDown", "firing")), 200),
        ("post", "/webhook", "/webhook", Some(json!("no alert")), 200),
        ("post", "/webhook", "/webhook", Some(json!({ "alerts": [] })), 200),
        ("post", "/webhook", "/webhook", None, 400),
        ("post", "/webhook?to=nobody", "/webhook", Some(alert("x", "HostDown", "firing")), 200),
        ("get", "/api/v1/deliveries?limit=1", "/api/v1/deliveries", None, 200),
        ("get", "/api/v1/deliveries?limit=0", "/api/v1/deliveries", None, 400),
        ("get", "/api/v1/deliveries?state=lost", "/api/v1/deliveries", None, 400),
        ("post", "/api/v1/deliveries/retry", "/api/v1/deliveries/retry", Some(json!({ "ids": [delivery, "nope"] })), 400),
        ("get", &format!("/api/v1/deliveries/{delivery}"), "/api/v1/deliveries/{id}", None, 200),
        ("get", "/api/v1/deliveries/x", "/api/v1/deliveries/{id}", None, 400),
        ("get", &format!("/api/v1/deliveries/{none}"), "/api/v1/deliveries/{id}", None, 404),
        ("get", "/api/v1/events?unrouted=false&limit=2", "/api/v1/events", None, 200),
        ("get", "/api/v1/events?unrouted=x", "/api/v1/events", None, 400),
        ("get", &format!("/api/v1/events/{event}"), "/api/v1/events/{id}", None, 200),
        ("get", &format!("/api/v1/events/{none}"), "/api/v1/events/{id}", None, 404),
        ("post", &format!("/api/v1/events/{event}/replay"), "/api/v1/events/{id}/replay", Some(json!({ "to": "ops-slack" })), 200),
        ("post", &format!("/api/v1/events/{event}/replay"), "/api/v1/events/{id}/replay", Some(json!({})), 409),
        ("post", &format!("/api/v1/events/{event}/replay"), "/api/v1/events/{id}/replay", Some(json!({ "to": "nobody" })), 404),
        ("post", &format!("/api/v1/events/{none}/replay"), "/api/v1/events/{id}/replay", Some(json!({})), 404),
        ("post", "/api/v1/events/x/replay", "/api/v1/events/{id}/replay", Some(json!({})), 400),
        ("post", "/api/v1/explain", "/api/v1/explain", Some(alert("x", "HostDown", "firing")), 200),
        ("post", &format!("/api/v1/explain?event={event}"), "/api/v1/explain", None, 200),
        ("post", "/api/v1/explain", "/api/v1/explain", Some(json!(7)), 400),
        ("get", "/api/v1/routes", "/api/v1/routes", None, 200),
        ("post", "/api/v1/route", "/api/v1/route", Some(json!({ "labels": { "severity": "critical" }, "at": "1h" })), 200),
        ("post", "/api/v1/route", "/api/v1/route", Some(json!({ "labels": {}, "at": "soon" })), 400),
        ("get", "/api/v1/nodes", "/api/v1/nodes", None, 200),
        ("get", "/api/v1/heartbeats", "/api/v1/heartbeats", None, 200),
        ("get", "/api/v1/channels", "/api/v1/channels", None, 200),
        ("post", "/api/v1/mutes", "/api/v1/mutes", Some(json!({ "matchers": ["team=\"db\""], "for": "2h", "reason": "x" })), 200),
        ("post", "/api/v1/mutes", "/api/v1/mutes", Some(json!({ "matchers": ["team=\"db\""], "for": "200y", "reason": "x" })), 400),
        ("post", "/api/v1/mutes", "/api/v1/mutes", Some(json!({ "matchers": ["team=~\".*\""], "for": "2h", "reason": "x" })), 400),
        ("get", "/api/v1/incidents?state=firing,acked&severity=info&limit=5", "/api/v1/incidents", None, 200),
        ("get", "/api/v1/incidents?state=nothing", "/api/v1/incidents", None, 400),
        ("get", "/api/v1/incidents/1", "/api/v1/incidents/{id}", None, 200),
        ("get", "/api/v1/incidents/99999", "/api/v1/incidents/{id}", None, 404),
        ("post", "/api/v1/incidents/1/ack", "/api/v1/incidents/{id}/ack", Some(json!({ "by": "Anna" })), 200),
        ("post", "/api/v1/incidents/1/unack", "/api/v1/incidents/{id}/unack", Some(json!({})), 200),
        ("post", "/api/v1/incidents/1/snooze", "/api/v1/incidents/{id}/snooze", Some(json!({ "for": "2h" })), 200),
        ("post", "/api/v1/incidents/1/snooze", "/api/v1/incidents/{id}/snooze", Some(json!({ "for": "soon" })), 400),
        ("post", "/api/v1/incidents/1/silence", "/api/v1/incidents/{id}/silence", Some(json!({ "for": "2h" })), 409),
        ("post", "/api/v1/incidents/1/unsilence", "/api/v1/incidents/{id}/unsilence", None, 409),
        ("post", "/api/v1/incidents/1/escalate", "/api/v1/incidents/{id}/escalate", Some(json!({})), 409),
        ("post", "/api/v1/incidents/99999/escalate", "/api/v1/incidents/{id}/escalate", Some(json!({})), 404),
        ("post", "/api/v1/incidents/1/close", "/api/v1/incidents/{id}/close", Some(json!({})), 200),
        ("post", "/api/v1/incidents/99999/ack", "/api/v1/incidents/{id}/ack", Some(json!({})), 404),
        ("get", "/api/v1/mutes", "/api/v1/mutes", None, 200),
        ("get", "/api/v1/audit?text=ack&person=ann&since=2020-01-01T00:00:00Z&limit=5", "/api/v1/audit", None, 200),
        ("get", "/api/v1/audit?since=yesterday", "/api/v1/audit", None, 400),
        ("delete", "/api/v1/mutes?matchers=team%3D%22db%22", "/api/v1/mutes", None, 200),
        ("delete", "/api/v1/mutes", "/api/v1/mutes", None, 400),
        ("delete", "/api/v1/mutes?matchers=channel%3D%22nobody%22", "/api/v1/mutes", None, 404),
        ("post", "/api/v1/escalations/none/drill", "/api/v1/escalations/{name}/drill", None, 404),
        ("post", "/api/v1/channels/none/drill", "/api/v1/channels/{name}/drill", None, 404),
        ("get", "/api/v1/oncall?at=2026-12-04T10:00:00Z", "/api/v1/oncall", None, 200),
        ("get", "/api/v1/oncall?at=soon", "/api/v1/oncall", None, 400),
        ("get", "/api/v1/oncall/rotas/db", "/api/v1/oncall/rotas/{name}", None, 200),
        ("get", "/api/v1/oncall/rotas/web", "/api/v1/oncall/rotas/{name}", None, 404),
        ("get", "/api/v1/oncall/rotas/db/calendar.ics", "/api/v1/oncall/rotas/{name}/calendar.ics", None, 200),
        ("get", "/api/v1/oncall/people/ann/calendar.ics", "/api/v1/oncall/people/{name}/calendar.ics", None, 200),
        ("get", "/api/v1/oncall/people/eve/calendar.ics", "/api/v1/oncall/people/{name}/calendar.ics", None, 404),
        ("get", "/api/v1/oncall/calendars", "/api/v1/oncall/calendars", None, 200),
        (
            "post",
            "/api/v1/oncall/overrides",
            "/api/v1/oncall/overrides",
            Some(json!({ "rota": "db", "person": "ann", "from": "2099-12-04 18:00", "until": "2099-12-07T09:00:00Z", "reason": "swap" })),
            200,
        ),
        (
            "post",
            "/api/v1/oncall/overrides",
            "/api/v1/oncall/overrides",
            Some(json!({ "rota": "db", "person": "ann", "until": "2020-12-04 18:00" })),
            400,
        ),
        (
            "post",
            "/api/v1/oncall/overrides",
            "/api/v1/oncall/overrides",
            Some(json!({ "rota": "db", "person": "eve", "until": "2099-12-04 18:00" })),
            404,
        ),
        ("get", "/api/v1/oncall/overrides", "/api/v1/oncall/overrides", None, 200),
        ("delete", "/api/v1/oncall/overrides/1", "/api/v1/oncall/overrides/{number}", None, 200),
        ("delete", "/api/v1/oncall/overrides/1", "/api/v1/oncall/overrides/{number}", None, 404),
        ("post", "/api/v1/channels/ops-slack/test", "/api/v1/channels/{name}/test", Some(json!({ "text": "a test" })), 200),
        ("post", "/api/v1/send", "/api/v1/send", Some(send), 200),
        ("post", "/api/v1/send", "/api/v1/send", Some(json!({ "to": "nobody", "text": "x" })), 400),
        ("post", "/api/v1/deliveries/drop", "/api/v1/deliveries/drop", Some(ids(json!({ "reason": "a test" }))), 200),
        ("post", "/api/v1/deliveries/drop", "/api/v1/deliveries/drop", Some(ids(json!({}))), 400),
        ("post", "/api/v1/deliveries/move", "/api/v1/deliveries/move", Some(ids(json!({ "to": "nobody" }))), 404),
        ("post", "/api/v1/deliveries/retry", "/api/v1/deliveries/retry", Some(json!({ "ids": [] })), 400),
        ("post", "/api/v1/backup", "/api/v1/backup", Some(json!({ "file": "/nowhere/copy.db" })), 503),
        ("post", "/dingding/send/message", "/dingding/send/message", Some(json!({ "content": "hello" })), 200),
        ("post", "/sms/send", "/sms/send", Some(json!({})), 200),
        (
            "post",
            "/in/uptime_kuma",
            "/in/{name}",
            Some(json!({ "heartbeat": { "status": 0 }, "monitor": { "id": 1, "name": "x" }, "msg": "x" })),
            200,
        ),
        ("post", "/prometheusalert?type=dd", "/prometheusalert", Some(alert("pa", "X", "firing")), 200),
        ("post", "/zabbix/alert", "/zabbix/alert", Some(json!({ "zabbixmessage": "x", "zabbixtarget": "", "zabbixtype": "dd" })), 200),
        ("get", "/-/healthy", "/-/healthy", None, 200),
        ("get", "/-/ready", "/-/ready", None, 200),
        ("post", "/-/reload", "/-/reload", None, 200),
        ("get", "/metrics", "/metrics", None, 200),
        ("post", "/receipts/ops-slack?k=x", "/receipts/{channel}", Some(json!({})), 404),
        ("post", "/press/ops-slack", "/press/{channel}", Some(json!({})), 404),
        ("get", "/m/x", "/m/{code}", None, 404),
        ("get", "/a/x", "/a/{code}", None, 404),
        ("get", "/assets/x", "/assets/{name}", None, 404),
        ("get", "/", "/", None, 200),
    ] {
        let (status, value) = ask(&app, &document, method, path, template, body).await;
        assert_eq!(status, wanted, "{method} {path}: {value}");
        answered.push(template);
    }
    let asked = |path: &str| answered.contains(&path) || path == "/api/openapi.json";
    let direct = |path: &str| path.ends_with("/send") || path.ends_with("/message") || path == "/dingding/call" || path == "/webhook/grafana";
    let left: Vec<&String> = document["paths"].as_object().unwrap().keys().filter(|path| !asked(path) && !direct(path)).collect();
    assert_eq!(left, Vec::<&String>::new(), "a path that was not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_no_handler_writes_are_problems_below_api() {
    let auth = "server: { listen: '127.0.0.1:0', auth: [{ bearer: 0123456789abcdef, scopes: [read, webhook] }] }\n";
    let app =
        TestApp::start(&format!("{auth}store: sqlite:watchfire.db\nchannels: {{ terminal: {{ log: {{}} }} }}\nroute: {{ to: [terminal] }}\n")).await;
    for (method, path, status) in
        [("GET", "/api/v1/nowhere", 404), ("PATCH", "/api/v1/channels", 405), ("GET", "/api/v1/channels", 401), ("GET", "/api/", 404)]
    {
        let answer = app.http.request(method.parse().unwrap(), app.url(path)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (status, "application/problem+json"), "{path}");
        assert_eq!(answer.headers().contains_key("allow"), status == 405, "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert!(problem["status"] == status && problem["detail"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    }
    let odd = || app.http.post(app.url("/webhook")).header("content-encoding", "br").body("x");
    assert_eq!(odd().send().await.unwrap().status().as_u16(), 401, "who may not send learns nothing of encodings");
    let odd = odd().bearer_auth("0123456789abcdef").send().await.unwrap();
    assert_eq!(odd.status().as_u16(), 415);
    assert!(odd.text().await.unwrap().contains("gzip"));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_again_also_those_that_led_nowhere_and_can_be_shown_to_others() {
    let four = Four::start().await;
    let routes = four
        .routes()
        .replace("to: [ops-mail, ops-slack, ops-ding, ops-wecom]", "to: [ops-slack]")
        .replace("time_zone:", "heartbeats: [{ matchers: 'alertname=\"Watchdog\"', timeout: 5m, to: [ops-slack] }]\ntime_zone:");
    let app = TestApp::start(&routes).await;
    app.post("/webhook?source=prod", &alert("secret-host", "DiskFull", "firing")).await;
    app.post("/webhook", &alert("prometheus", "Watchdog", "firing")).await;
    let (_, all) = app.get("/api/v1/events").await;
    assert_eq!((all["events"].as_array().map(Vec::len), &all["next"]), (Some(2), &Value::Null), "{all}");
    let (_, unrouted) = app.get("/api/v1/events?unrouted=true").await;
    assert_eq!(unrouted["events"][0]["note"], "a sign of life for the heartbeat `Watchdog`, which is not routed", "{unrouted}");
    let (_, first) = app.get("/api/v1/events?limit=1").await;
    let (_, second) = app.get(&format!("/api/v1/events?limit=1&cursor={}", first["next"].as_str().unwrap())).await;
    let id = second["events"][0]["id"].as_str().unwrap();
    let (_, open) = app.get(&format!("/api/v1/events/{id}")).await;
    assert!(open.to_string().contains("secret-host"), "{open}");
    let (_, scrubbed) = app.get(&format!("/api/v1/events/{id}?scrub=true")).await;
    assert!(!scrubbed["event"].to_string().contains("secret-host"), "{scrubbed}");
    assert_eq!(scrubbed["event"]["alerts"][0]["labels"]["alertname"], "DiskFull");
}
