//! Twilio: Messages.json and Calls.json (create, list by To, fetch), Basic authentication, real statuses.
//!
//! A call whose TwiML is broken is created anyway (201), as Twilio does; the callee then hears only an
//! error, so it is recorded as dropped with the note `twiml:...`.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Value, json};

use super::call::{Answer, Call, Verdict};
use super::crypt::{sha256_hex, unb64};
use super::phone::segments;
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;
use super::twilio_answers::Placed;
use super::twiml::spoken;

/// The account.
pub struct Twilio {
    /// `AC...`.
    pub account: String,
    /// Users and passwords: the account with its token, API keys with their secrets.
    pub users: HashMap<String, String>,
    /// The account's own numbers and messaging services.
    pub own: HashSet<String>,
    /// Recipients that are refused, and Twilio's code (21610, 21614, 21408, ...).
    pub refused: HashMap<String, u32>,
    /// What became of messages and calls to a number (`delivered`, `completed`, `busy`, ...); `queued` unless set.
    pub status: HashMap<String, String>,
    /// Why what has the status `undelivered` or `failed` failed: Twilio's code and words; 30005 unless set.
    pub why: HashMap<String, (u32, String)>,
    /// API calls of the account; a breach is 20429. Off unless a test turns it on (the limit is on concurrency).
    pub api: Limiter,
    /// The next creations get these: (HTTP status, code, message).
    pub next: VecDeque<(u16, u32, String)>,
    /// The calls that were placed, in their order.
    pub calls: Vec<Placed>,
    resources: Vec<(bool, Value)>,
}

impl Twilio {
    /// An account with one token and one own number.
    pub fn new(account: &str, token: &str, own: &str) -> Self {
        Self {
            account: account.to_owned(),
            users: HashMap::from([(account.to_owned(), token.to_owned())]),
            own: HashSet::from([own.to_owned()]),
            refused: HashMap::new(),
            status: HashMap::new(),
            why: HashMap::new(),
            api: Limiter::new(Pace::Off),
            next: VecDeque::new(),
            calls: Vec::new(),
            resources: Vec::new(),
        }
    }
}

fn fail(status: u16, code: u32, message: &str) -> Answer {
    let body = json!({ "code": code, "message": message, "more_info": format!("https://www.twilio.com/docs/errors/{code}"), "status": status });
    Answer::json(status, &body).refused(code)
}

fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|d| (8..=15).contains(&d.len()) && !d.starts_with('0') && d.bytes().all(|b| b.is_ascii_digit()))
}

impl Platform for Twilio {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let user = call.header("authorization").and_then(|a| a.strip_prefix("Basic ")).and_then(unb64).and_then(|b| String::from_utf8(b).ok());
        let good =
            user.as_deref().and_then(|u| u.split_once(':')).is_some_and(|(name, password)| self.users.get(name).is_some_and(|p| p == password));
        if !good {
            return fail(401, 20003, "Authenticate").header("www-authenticate", "Basic realm=\"Twilio API\"");
        }
        let prefix = format!("/2010-04-01/Accounts/{}/", self.account);
        let Some(resource) = call.path.strip_prefix(&prefix) else {
            return fail(404, 20404, &format!("The requested resource {} was not found", call.path));
        };
        if self.api.take(&self.account, call.now.mono_ms).is_err() {
            return fail(429, 20429, "Too Many Requests");
        }
        match (call.method.as_str(), resource) {
            ("POST", "Messages.json" | "Calls.json") => {
                if call.media_type() != "application/x-www-form-urlencoded" {
                    return fail(400, 21604, "A 'To' phone number is required.");
                }
                if let Some((status, code, message)) = self.next.pop_front() {
                    return fail(status, code, &message);
                }
                let form: HashMap<String, String> = call.form().into_iter().collect();
                if resource == "Messages.json" { self.message(call, &form) } else { self.call(call, &form) }
            }
            ("POST", one) if one.starts_with("Calls/") => self.change(call, one),
            ("GET", "Messages.json") => self.list(call, true),
            ("GET", "Calls.json") => self.list(call, false),
            ("GET", one) => {
                let sid = one.rsplit('/').next().unwrap_or("").trim_end_matches(".json");
                match self.resources.iter().find(|(_, r)| r["sid"] == sid) {
                    Some((_, found)) => Answer::json(200, &self.with_status(found)),
                    None => fail(404, 20404, &format!("The requested resource {} was not found", call.path)),
                }
            }
            _ => fail(405, 20004, "Method not allowed"),
        }
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.api]
    }
}

impl Twilio {
    fn check_ends(&self, form: &HashMap<String, String>, sms: bool) -> Result<(String, String), Box<Answer>> {
        let get = |name: &str| form.get(name).filter(|v| !v.is_empty());
        let to = get("To").ok_or_else(|| fail(400, if sms { 21604 } else { 21201 }, "A 'To' phone number is required."))?;
        if !is_e164(to) {
            return Err(fail(400, 21211, &format!("The 'To' number {to} is not a valid phone number.")).into());
        }
        let from = get("From").or_else(|| get("MessagingServiceSid").filter(|_| sms));
        let from = from.ok_or_else(|| fail(400, if sms { 21603 } else { 21213 }, "A 'From' phone number is required."))?;
        if !self.own.contains(from) {
            let code = if sms { 21606 } else { 21210 };
            return Err(fail(
                400,
                code,
                &format!("The 'From' phone number provided ({from}) is not a valid, capable phone number for your account."),
            )
            .into());
        }
        if let Some(code) = self.refused.get(to) {
            return Err(fail(400, *code, &format!("The number {to} cannot be reached with this account.")).into());
        }
        Ok((to.clone(), from.clone()))
    }

    fn message(&mut self, call: &Call, form: &HashMap<String, String>) -> Answer {
        let (to, from) = match self.check_ends(form, true) {
            Ok(ends) => ends,
            Err(refusal) => return *refusal,
        };
        let Some(body) = form.get("Body").filter(|b| !b.is_empty()) else { return fail(400, 21602, "Message body is required.") };
        if body.chars().count() > 1600 {
            return fail(400, 21617, "The concatenated message body exceeds the 1600 character limit.");
        }
        let resource = json!({
            "sid": self.sid("SM"), "account_sid": self.account, "to": to, "from": from, "body": body, "status": "queued", "num_segments": segments(body).to_string(),
            "direction": "outbound-api", "error_code": null, "error_message": null, "price": null, "date_created": call.now.wall_s().to_string(),
        });
        self.resources.push((true, resource.clone()));
        Answer::json(201, &resource).accepted(201, body.as_str()).to([to])
    }

    fn call(&mut self, call: &Call, form: &HashMap<String, String>) -> Answer {
        let (to, from) = match self.check_ends(form, false) {
            Ok(ends) => ends,
            Err(refusal) => return *refusal,
        };
        let sources = ["Twiml", "Url", "ApplicationSid"].iter().filter(|s| form.get(**s).is_some_and(|v| !v.is_empty())).count();
        if sources != 1 {
            return fail(400, 21205, "Exactly one of Twiml, Url and ApplicationSid is required.");
        }
        let twiml = form.get("Twiml").map(String::as_str).unwrap_or("");
        if twiml.chars().count() > 4000 {
            return fail(400, 21658, "Parameter 'Twiml' exceeds the 4000 character limit.");
        }
        if form.get("Timeout").is_some_and(|t| !t.parse::<u32>().is_ok_and(|n| (1..=600).contains(&n))) {
            return fail(400, 21220, "Timeout is out of range.");
        }
        let resource = json!({
            "sid": self.sid("CA"), "account_sid": self.account, "to": to, "from": &from, "status": "queued", "direction": "outbound-api", "price": null,
            "date_created": call.now.wall_s().to_string(),
        });
        self.resources.push((false, resource.clone()));
        let sid = resource["sid"].as_str().unwrap_or("").to_owned();
        self.calls.push(Placed { sid, to: to.clone(), from, account: self.account.clone(), twiml: twiml.to_owned() });
        let answer = Answer::json(201, &resource).to([to]);
        match if twiml.is_empty() { Ok(String::new()) } else { spoken(twiml) } {
            Ok(text) => answer.accepted(201, text),
            Err(why) => answer.accepted(201, "").verdict(Verdict::Dropped).notes([format!("twiml:{why}")]),
        }
    }

    /// <https://www.twilio.com/docs/voice/api/call-resource#update-a-call-resource>: `canceled` ends what is queued or rings.
    fn change(&mut self, call: &Call, path: &str) -> Answer {
        let sid = path.rsplit('/').next().unwrap_or("").trim_end_matches(".json");
        let form: HashMap<String, String> = call.form().into_iter().collect();
        let Some(place) = self.resources.iter().position(|(is_sms, one)| !is_sms && one["sid"] == sid) else {
            return fail(404, 20404, &format!("The requested resource {} was not found", call.path));
        };
        if form.get("Status").map(String::as_str) != Some("canceled") {
            return fail(400, 20001, "Status must be canceled or completed.");
        }
        let now = self.with_status(&self.resources[place].1);
        if !matches!(now["status"].as_str(), Some("queued" | "initiated" | "ringing")) {
            return fail(400, 21220, "Call is not in-progress. Cannot redirect.");
        }
        self.resources[place].1["status"] = json!("canceled");
        Answer::json(200, &self.resources[place].1).accepted(200, "canceled")
    }

    fn list(&self, call: &Call, messages: bool) -> Answer {
        let fits = |r: &Value| ["To", "From"].iter().all(|f| call.param(f).is_none_or(|v| r[f.to_lowercase().as_str()] == v));
        // Newest first, as Twilio lists them.
        let found: Vec<Value> = self.resources.iter().rev().filter(|(m, r)| *m == messages && fits(r)).map(|(_, r)| self.with_status(r)).collect();
        let name = if messages { "messages" } else { "calls" };
        let body = json!({ name: found, "page": 0, "page_size": 50, "start": 0, "end": found.len().saturating_sub(1), "next_page_uri": null });
        Answer::json(200, &body)
    }

    fn with_status(&self, resource: &Value) -> Value {
        let mut resource = resource.clone();
        let to = resource["to"].as_str().unwrap_or("").to_owned();
        if let Some(status) = self.status.get(&to).filter(|_| resource["status"] != "canceled") {
            resource["status"] = json!(status);
            if matches!(status.as_str(), "undelivered" | "failed") {
                let (code, why) = self.why.get(&to).cloned().unwrap_or((30005, "Unknown destination handset".to_owned()));
                (resource["error_code"], resource["error_message"]) = (json!(code), json!(why));
            }
        }
        resource
    }

    fn sid(&self, prefix: &str) -> String {
        format!("{prefix}{}", &sha256_hex(format!("{prefix}{}", self.resources.len()).as_bytes())[..32])
    }
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "account_sid": "AC1", "auth_token": "twilio-token", "from": "+15005550006" });
    let yaml = |platform: &str| -> &'static str {
        let keys = r#"{ account_sid: AC1, auth_token: twilio-token, from: "+15005550006", to: ["+8613800000000"], api_base: "BASE" }"#;
        format!("{platform}: {keys}, send_resolved: true").leak()
    };
    let twilio = Sample::new(credentials, || Twilio::new("AC1", "twilio-token", "+15005550006"))
        .channel("twilio_sms", "/Messages.json", &["twilio-token"], yaml("twilio_sms"))
        .finds_lost()
        .channel("twilio_voice", "/Calls.json", &["twilio-token"], yaml("twilio_voice"))
        .finds_lost();
    vec![twilio]
}
