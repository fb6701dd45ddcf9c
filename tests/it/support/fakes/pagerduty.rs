//! PagerDuty Events API v2: `POST /v2/enqueue`, trigger / acknowledge / resolve by `dedup_key`.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::crypt::{hex, hmac_sha256, sha256_hex};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;

/// The account.
pub struct PagerDuty {
    /// Integration keys (32 characters).
    pub keys: Vec<String>,
    /// Open and closed alerts: dedup key -> (status, summary).
    pub alerts: HashMap<String, (String, String)>,
    /// How many alerts were opened: a trigger whose key is open is a line in that one's log, and changes no status.
    pub opened: u32,
    /// Events per integration: 120 a minute.
    pub pace: Limiter,
}

impl PagerDuty {
    /// One integration.
    pub fn new(key: &str) -> Self {
        Self { keys: vec![key.to_owned()], alerts: HashMap::new(), opened: 0, pace: Limiter::new(Pace::per(120, Duration::from_secs(60))) }
    }
}

impl Platform for PagerDuty {
    fn name(&self) -> &'static str {
        "pagerduty"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        if call.path != "/v2/enqueue" || call.method != "POST" {
            return Answer::text(404, "Not Found").refused("404");
        }
        let invalid = |errors: &[String]| {
            let body = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors });
            Answer::json(400, &body).refused("invalid event")
        };
        if call.body.len() > 512 * 1024 {
            return Answer::text(413, "Payload Too Large").refused(413);
        }
        let Some(body) = call.object() else { return invalid(&["JSON parse error".to_owned()]) };
        let errors = problems(&body);
        if !errors.is_empty() {
            return invalid(&errors);
        }
        let key = body["routing_key"].as_str().unwrap_or("").to_owned();
        if !self.keys.contains(&key) {
            return invalid(&["'routing_key' is invalid".to_owned()]);
        }
        if self.pace.take(&key, call.now.mono_ms).is_err() {
            let reply =
                json!({ "status": "throttle exceeded", "message": "Requests for this service are arriving too quickly. Please retry later." });
            return Answer::json(429, &reply).refused(429);
        }
        let action = body["event_action"].as_str().unwrap_or("");
        let summary = body["payload"]["summary"].as_str().unwrap_or("").to_owned();
        let given = body["dedup_key"].as_str().filter(|d| !d.is_empty());
        let dedup = given.map_or_else(|| sha256_hex(&call.body)[..32].to_owned(), str::to_owned);
        let known = self.alerts.contains_key(&dedup);
        let open = self.alerts.get(&dedup).map(|(status, _)| status.clone()).filter(|status| status != "resolved");
        self.opened += u32::from(action == "trigger" && open.is_none());
        let status = if action == "trigger" {
            open.as_deref().unwrap_or("triggered")
        } else if action == "resolve" {
            "resolved"
        } else {
            "acknowledged"
        };
        let mut notes = vec![format!("action:{action}")];
        if known || action == "trigger" {
            let old = self.alerts.get(&dedup).map(|(_, s)| s.clone()).unwrap_or_default();
            let summary = if summary.is_empty() { old } else { summary.clone() };
            self.alerts.insert(dedup.clone(), (status.to_owned(), summary));
        } else {
            notes.push("ignored:no such alert".to_owned());
        }
        let text = if body["payload"]["custom_details"].is_null() { summary } else { format!("{summary}\n{}", body["payload"]["custom_details"]) };
        let reply = json!({ "status": "success", "message": "Event processed", "dedup_key": dedup });
        Answer::json(202, &reply).accepted("success", text).to([dedup]).notes(notes)
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }
}

/// A v3 webhook (<https://developer.pagerduty.com/docs/webhooks-overview>): the body, and `X-PagerDuty-Signature` with each active secret.
/// `agent` is who did it, as PagerDuty names it; null for nobody.
pub fn webhook(secrets: &[&str], id: &str, kind: &str, key: &str, agent: &Value) -> (String, String) {
    let data = json!({ "id": "PGR0VU2", "type": "incident", "status": "acknowledged", "incident_key": key, "title": "A little bump in the road",
        "service": { "id": "PF9KMXH", "summary": "API Service", "type": "service_reference" }, "assignees": [], "urgency": "high" });
    let event = json!({ "id": id, "event_type": kind, "resource_type": "incident", "occurred_at": jiff::Timestamp::now().to_string(), "agent": agent,
        "client": null, "data": data });
    let body = json!({ "event": event }).to_string();
    let sign = |secret: &&str| format!("v1={}", hex(&hmac_sha256(secret.as_bytes(), body.as_bytes())));
    let header = secrets.iter().map(sign).collect::<Vec<_>>().join(",");
    (body, header)
}

fn problems(body: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    let blank = |v: &Value| v.as_str().is_none_or(|s| s.trim().is_empty());
    if blank(&body["routing_key"]) {
        errors.push("'routing_key' is missing or blank".to_owned());
    } else if body["routing_key"].as_str().is_some_and(|k| k.len() != 32) {
        errors.push("Length of 'routing_key' is incorrect (should be 32 characters)".to_owned());
    }
    let action = body["event_action"].as_str().unwrap_or("");
    if !matches!(action, "trigger" | "acknowledge" | "resolve") {
        errors.push("'event_action' is missing or invalid (must be one of: trigger, acknowledge, resolve)".to_owned());
    }
    if body.get("dedup_key").is_some_and(|d| d.as_str().is_none_or(|s| s.chars().count() > 255)) {
        errors.push("Length of 'dedup_key' is incorrect (should be at most 255 characters)".to_owned());
    }
    if action == "trigger" {
        for name in ["summary", "source", "severity"] {
            if blank(&body["payload"][name]) {
                errors.push(format!("'payload.{name}' is missing or blank"));
            }
        }
        if body["payload"]["summary"].as_str().is_some_and(|s| s.chars().count() > 1024) {
            errors.push("Length of 'payload.summary' is incorrect (should be at most 1024 characters)".to_owned());
        }
        let severity = body["payload"]["severity"].as_str().unwrap_or("");
        if !severity.is_empty() && !matches!(severity, "critical" | "error" | "warning" | "info") {
            errors.push("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')".to_owned());
        }
    } else if blank(&body["dedup_key"]) {
        errors.push("'dedup_key' is missing or blank".to_owned());
    }
    let bad_link = |l: &Value| l["href"].as_str().is_none_or(|h| !h.starts_with("http"));
    if body["links"].as_array().is_some_and(|links| links.iter().any(bad_link)) {
        errors.push("'links' must have an href".to_owned());
    }
    errors
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let yaml = r#"pagerduty: { routing_key: 0123456789abcdef0123456789abcdef, api_base: "BASE" }"#;
    let sample = Sample::new(json!({ "routing_key": KEY }), || PagerDuty::new(KEY));
    vec![sample.channel("pagerduty", "/v2/enqueue", &[KEY], yaml)]
}
