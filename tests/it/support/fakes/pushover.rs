//! Pushover: what a message may hold, and the receipts of those with emergency priority, which ring until somebody acknowledges them.
//! <https://pushover.net/api>, <https://pushover.net/api/receipts>; the refusal of an unknown receipt is modelled without a recording.

use serde_json::{Map, Value, json};

use super::call::{Answer, Call};

/// Seconds between two questions about one receipt: <https://pushover.net/api/receipts>
const LEAST_POLL: i64 = 5;

fn word<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or("")
}

fn refused(status: u16, what: &str, why: &str) -> Answer {
    let mut body = json!({ "errors": [why], "status": 0, "request": "024e029a6569c0224c8e3a5510657ee8" });
    body[what] = json!("invalid");
    Answer::json(status, &body).refused("invalid")
}

/// The refusal of a user's key, or of an application's token.
pub fn denied(_: &str) -> Answer {
    refused(400, "user", "user identifier is not a valid user, group, or subscribed user key")
}

/// What a message says, or why it is refused: <https://pushover.net/api#limits>, <https://pushover.net/api#priority>
pub fn check(fields: &Map<String, Value>) -> Result<String, Box<Answer>> {
    let no = |what: &str, why: &str| -> Result<String, Box<Answer>> { Err(Box::new(refused(400, what, why))) };
    let number = |name: &str| word(fields, name).parse::<i64>().ok();
    let longer = |name: &str, most: usize| word(fields, name).chars().count() > most;
    if word(fields, "message").trim().is_empty() {
        return no("message", "message cannot be blank");
    }
    if longer("message", 1024) || longer("title", 250) || longer("url", 512) || longer("url_title", 100) {
        return no("message", "message is too long");
    }
    let priority = if fields.contains_key("priority") { number("priority") } else { Some(0) };
    match priority.filter(|priority| (-2..=2).contains(priority)) {
        None => no("priority", "priority is invalid"),
        Some(2) if number("retry").is_none_or(|seconds| seconds < 30) => no("retry", "retry must be supplied with priority=2, and be at least 30"),
        Some(2) if number("expire").is_none_or(|seconds| !(1..=10_800).contains(&seconds)) => {
            no("expire", "expire must be supplied with priority=2, and be at most 10800")
        }
        Some(_) => Ok(format!("{}\n{}", word(fields, "title"), word(fields, "message")).trim().to_owned()),
    }
}

/// One message that rings.
#[derive(Debug, Clone, Default)]
pub struct Emergency {
    /// Its receipt: 30 letters and digits.
    pub receipt: String,
    /// Whether somebody acknowledged it on the phone.
    pub acknowledged: bool,
    /// Whether it was cancelled.
    pub cancelled: bool,
    /// When it rings no more, in Unix seconds.
    pub expires_at: i64,
    token: String,
    asked_at: Option<i64>,
}

/// The messages that ring, oldest first.
#[derive(Debug, Default)]
pub struct Emergencies {
    /// All there were.
    pub all: Vec<Emergency>,
    /// How often a receipt was asked for sooner than it may be.
    pub asked_too_often: u64,
}

impl Emergencies {
    /// The answer to a good message.
    pub fn taken(&mut self, call: &Call, fields: &Map<String, Value>) -> Answer {
        let request = "647d2300-702c-4b38-8b2f-d56326ae460b";
        let mut body = json!({ "status": 1, "request": request });
        if word(fields, "priority") == "2" {
            let receipt = format!("r{:029}", self.all.len() + 1);
            body["receipt"] = json!(receipt);
            let expires_at = call.now.wall_s() + word(fields, "expire").parse::<i64>().unwrap_or(0);
            self.all.push(Emergency { receipt, expires_at, token: word(fields, "token").to_owned(), ..Emergency::default() });
        }
        Answer::json(200, &body).header("x-limit-app-remaining", 7496)
    }

    /// The answer to what is about a receipt; `None` to anything else.
    pub fn about(&mut self, call: &Call) -> Option<Answer> {
        let rest = call.path.strip_prefix("/1/receipts/")?;
        let (receipt, cancels) = match (call.method.as_str(), rest.strip_suffix("/cancel.json"), rest.strip_suffix(".json")) {
            ("POST", Some(receipt), _) => (receipt, true),
            ("GET", None, Some(receipt)) => (receipt, false),
            _ => return Some(Answer::text(404, "Not Found").refused(404)),
        };
        let form = call.form();
        let token = if cancels { form.iter().find(|(name, _)| name == "token").map(|(_, token)| token.as_str()) } else { call.param("token") };
        let now = call.now.wall_s();
        let Some(one) = self.all.iter_mut().find(|one| one.receipt == receipt) else {
            return Some(refused(404, "receipt", "receipt not found; may be invalid or expired"));
        };
        if token != Some(one.token.as_str()) {
            return Some(refused(400, "token", "application token is invalid"));
        }
        if cancels {
            one.cancelled = true;
            return Some(Answer::json(200, &json!({ "status": 1, "request": "r2" })));
        }
        self.asked_too_often += u64::from(one.asked_at.is_some_and(|at| now - at < LEAST_POLL));
        one.asked_at = Some(now);
        let expired = one.cancelled || now >= one.expires_at;
        let body = json!({
            "status": 1, "acknowledged": i64::from(one.acknowledged), "acknowledged_by": if one.acknowledged { "user" } else { "" },
            "expired": i64::from(expired), "expires_at": one.expires_at, "request": "r3",
        });
        Some(Answer::json(200, &body))
    }
}
