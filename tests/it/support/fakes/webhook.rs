//! A receiver of generic webhooks: verifies Standard Webhooks signatures (and GitHub's, when asked to), knows
//! repeats by `webhook-id`, and answers with the status that the test wants.

use std::collections::{HashSet, VecDeque};

use serde_json::{Value, json};

use super::call::{Answer, Call, Verdict};
use super::crypt::{b64, hex, hmac_sha256, unb64};
use super::sample::Sample;
use super::server::Platform;

/// The receiver.
#[derive(Default)]
pub struct Webhook {
    /// `whsec_...` secrets, any of which may sign; none: signatures are not checked.
    pub secrets: Vec<String>,
    /// The secret of `X-Hub-Signature-256`, if it is demanded.
    pub hub_secret: Option<String>,
    /// `Authorization` must be exactly this, if given.
    pub authorization: Option<String>,
    /// The next requests get these statuses, with headers (`location`, `retry-after`).
    pub next: VecDeque<(u16, Vec<(String, String)>)>,
    seen: HashSet<String>,
}

impl Webhook {
    /// A receiver that demands Standard Webhooks signatures.
    pub fn signed(secret: &str) -> Self {
        Self { secrets: vec![secret.to_owned()], ..Self::default() }
    }

    /// A receiver that demands GitHub's `X-Hub-Signature-256`.
    pub fn hub_signed(secret: &str) -> Self {
        Self { hub_secret: Some(secret.to_owned()), ..Self::default() }
    }
}

impl Platform for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let refuse = |status: u16, why: &str| Answer::text(status, why).refused(status).notes([why.to_owned()]);
        if !matches!(call.method.as_str(), "POST" | "PUT") {
            return refuse(405, "method not allowed");
        }
        if let Some(wanted) = &self.authorization
            && call.header("authorization") != Some(wanted)
        {
            return refuse(401, "authorization is wrong");
        }
        let id = call.header("webhook-id").unwrap_or("");
        if !self.secrets.is_empty() {
            let timestamp = call.header("webhook-timestamp").unwrap_or("");
            if id.is_empty() || !timestamp.parse::<i64>().is_ok_and(|t| (call.now.wall_s() - t).abs() <= 300) {
                return refuse(401, "webhook-id or webhook-timestamp is missing or out of the window");
            }
            let given: Vec<&str> = call.header("webhook-signature").unwrap_or("").split(' ').filter_map(|s| s.strip_prefix("v1,")).collect();
            let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &call.body].concat();
            let keys = self.secrets.iter().filter_map(|s| unb64(s.strip_prefix("whsec_").unwrap_or(s)));
            if !keys.map(|k| b64(&hmac_sha256(&k, &message))).any(|expected| given.contains(&expected.as_str())) {
                return refuse(401, "no signature matches");
            }
        }
        if let Some(secret) = &self.hub_secret {
            let expected = format!("sha256={}", hex(&hmac_sha256(secret.as_bytes(), &call.body)));
            if call.header("x-hub-signature-256") != Some(expected.as_str()) {
                return refuse(401, "x-hub-signature-256 does not match");
            }
        }
        if let Some((status, headers)) = self.next.pop_front() {
            let mut answer = Answer::text(status, "as the test wants");
            answer.headers = headers;
            return if (200..300).contains(&status) { answer.accepted(status, text(call)) } else { answer.refused(status) };
        }
        let answer = Answer::json(200, &serde_json::json!({ "ok": true })).accepted(200, text(call));
        if !id.is_empty() && !self.seen.insert(id.to_owned()) { answer.verdict(Verdict::Duplicate) } else { answer }
    }
}

/// Every string in a JSON body, or the body itself.
fn text(call: &Call) -> String {
    fn strings(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::String(s) => out.push(s.clone()),
            Value::Array(items) => items.iter().for_each(|v| strings(v, out)),
            Value::Object(map) => map.values().for_each(|v| strings(v, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    match serde_json::from_slice::<Value>(&call.body) {
        Ok(value) => strings(&value, &mut out),
        Err(_) => out.push(String::from_utf8_lossy(&call.body).into_owned()),
    }
    out.join("\n")
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let yaml = r#"webhook: { url: "BASE/hook", signing_secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw], allow_networks: [127.0.0.1] }"#;
    let sample = Sample::new(json!({ "secret": SECRET }), || Webhook::signed(SECRET));
    vec![sample.channel("webhook", "/hook", &[SECRET, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], yaml)]
}
