//! Zulip's REST API: `POST`, `GET`, `PATCH` and `DELETE /api/v1/messages`, `GET /api/v1/users/me`. Forms, HTTP Basic with the bot's e-mail and API
//! key; topics and contents that are too long are cut, not refused; 429 with `retry-after` in seconds. From <https://zulip.com/api/send-message>,
//! <https://zulip.com/api/update-message>, <https://zulip.com/api/rest-error-handling>, <https://zulip.com/api/http-headers>.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::crypt::b64;
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::{Platform, forget_when_full};

/// Characters (code points) of a topic and of a message.
const MAX_TOPIC: usize = 60;
const MAX_MESSAGE: usize = 10_000;

/// One message as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The channel, or the people.
    pub to: String,
    /// Empty for direct messages.
    pub topic: String,
    pub content: String,
}

/// An organization with one bot.
pub struct Zulip {
    email: String,
    api_key: String,
    /// Channels by name; the value says whether the bot may write there.
    pub channels: HashMap<String, bool>,
    /// People by address, with their ids.
    pub people: HashMap<String, u64>,
    /// Whether the bot may mention everybody.
    pub wildcards: bool,
    /// 200 requests a minute.
    pub pace: Limiter,
    /// Messages by id.
    pub posted: HashMap<u64, Posted>,
    counter: u64,
}

impl Zulip {
    /// A bot, and a channel `alerts` that it may write to.
    pub fn new(email: &str, api_key: &str) -> Self {
        Self {
            email: email.to_owned(),
            api_key: api_key.to_owned(),
            channels: HashMap::from([("alerts".to_owned(), true)]),
            people: HashMap::from([("anna@example.com".to_owned(), 10)]),
            wildcards: true,
            pace: Limiter::new(Pace::per(200, Duration::from_secs(60))),
            posted: HashMap::new(),
            counter: 41,
        }
    }

    fn send(&mut self, form: &HashMap<String, String>) -> Answer {
        let get = |name: &str| form.get(name).cloned().unwrap_or_default();
        for name in ["type", "to", "content"] {
            if !form.contains_key(name) {
                return missing(name);
            }
        }
        let raw = get("content");
        let content = raw.trim_end();
        if content.contains('\0') {
            return bad("Message must not contain null bytes");
        }
        if content.trim().is_empty() {
            return bad("Message must not be empty");
        }
        let content = cut(content, MAX_MESSAGE, "\n[message truncated]");
        let (to, topic) = match get("type").as_str() {
            "stream" | "channel" => match self.channel(&get("to")) {
                Ok(channel) => (channel, cut(get("topic").trim(), MAX_TOPIC, "...")),
                Err(refusal) => return *refusal,
            },
            "direct" | "private" => match self.person(&get("to")) {
                Ok(people) => (people, String::new()),
                Err(refusal) => return *refusal,
            },
            _ => return fail(400, "REQUEST_VARIABLE_INVALID", "Invalid type"),
        };
        let pings = pings(&content);
        if !self.wildcards && pings.contains("all") {
            let text = "You do not have permission to use channel wildcard mentions in this channel.";
            return fail(400, "STREAM_WILDCARD_MENTION_NOT_ALLOWED", text);
        }
        self.counter += 1;
        forget_when_full(&mut self.posted);
        self.posted.insert(self.counter, Posted { to: to.clone(), topic: topic.clone(), content: content.clone() });
        let answer = Answer::json(200, &json!({ "result": "success", "msg": "", "id": self.counter }));
        let cuts = (content.chars().count() < raw.trim_end().chars().count()).then(|| "truncated".to_owned());
        answer.accepted(200, format!("{topic}\n{content}")).to(std::iter::once(to).chain(pings)).notes(cuts)
    }

    fn channel(&self, to: &str) -> Result<String, Box<Answer>> {
        match self.channels.get(to) {
            Some(true) => Ok(to.to_owned()),
            Some(false) => Err(Box::new(bad(&format!("Not authorized to send to channel '{to}'")))),
            None => {
                let text = format!("Channel '{to}' does not exist");
                let body = json!({ "code": "STREAM_DOES_NOT_EXIST", "msg": text, "result": "error", "stream": to });
                Err(Box::new(Answer::json(400, &body).refused("STREAM_DOES_NOT_EXIST")))
            }
        }
    }

    /// A JSON list of ids, or of addresses.
    fn person(&self, to: &str) -> Result<String, Box<Answer>> {
        let list: Vec<Value> = serde_json::from_str(to).map_err(|_| Box::new(bad(&format!("Invalid email '{to}'"))))?;
        let mut people = Vec::new();
        for one in &list {
            let found = self.people.iter().find(|(email, id)| Some(email.as_str()) == one.as_str() || Some(**id) == one.as_u64());
            match (found, one.as_str()) {
                (Some((email, _)), _) => people.push(email.clone()),
                (None, Some(email)) => return Err(Box::new(bad(&format!("Invalid email '{email}'")))),
                (None, None) => return Err(Box::new(bad(&format!("Invalid user ID {one}")))),
            }
        }
        if people.is_empty() { Err(Box::new(bad("Message must have recipients"))) } else { Ok(people.join(",")) }
    }

    fn change(&mut self, method: &str, id: u64, form: &HashMap<String, String>) -> Answer {
        let Some(posted) = self.posted.get_mut(&id) else { return bad("Invalid message(s)") };
        match method {
            "GET" => {
                let message = json!({ "id": id, "subject": posted.topic, "content": posted.content, "display_recipient": posted.to });
                Answer::json(200, &json!({ "result": "success", "msg": "", "message": message }))
            }
            "PATCH" => {
                match (form.get("content"), form.get("topic")) {
                    (None, None) => return bad("Nothing to change"),
                    (content, topic) => {
                        if let Some(content) = content {
                            posted.content = cut(content.trim_end(), MAX_MESSAGE, "\n[message truncated]");
                        }
                        if let Some(topic) = topic {
                            posted.topic = cut(topic.trim(), MAX_TOPIC, "...");
                        }
                    }
                }
                Answer::json(200, &json!({ "result": "success", "msg": "" }))
            }
            _ => {
                self.posted.remove(&id);
                Answer::json(200, &json!({ "result": "success", "msg": "" }))
            }
        }
    }
}

fn fail(status: u16, code: &str, text: &str) -> Answer {
    Answer::json(status, &json!({ "code": code, "msg": text, "result": "error" })).refused(code)
}

fn bad(text: &str) -> Answer {
    fail(400, "BAD_REQUEST", text)
}

fn missing(name: &str) -> Answer {
    let body = json!({ "code": "REQUEST_VARIABLE_MISSING", "msg": format!("Missing '{name}' argument"), "result": "error", "var_name": name });
    Answer::json(400, &body).refused("REQUEST_VARIABLE_MISSING")
}

/// As Zulip cuts: the mark is part of the length.
fn cut(text: &str, most: usize, mark: &str) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - mark.chars().count()).chain(mark.chars()).collect()
}

/// Whom a content pings: `@**name**`, `@**name|id**`, `@*group*`, outside of code, where white space or one of `'"(,:<` or nothing is before the
/// `@`. `@_**name**` pings nobody.
fn pings(content: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut fenced = false;
    for line in content.lines() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            fenced = !fenced;
            continue;
        }
        for (place, part) in line.split('`').enumerate().filter(|_| !fenced) {
            if place % 2 == 1 {
                continue;
            }
            for (at, _) in part.match_indices('@') {
                let before = part[..at].chars().next_back();
                if before.is_some_and(|c| !c.is_whitespace() && !"'\"(,:<".contains(c)) {
                    continue;
                }
                let rest = &part[at + 1..];
                let stars = rest.chars().take_while(|c| *c == '*').count();
                let end = &"**"[..stars.min(2)];
                if let Some((name, _)) = rest[end.len()..].split_once(end).filter(|(name, _)| stars > 0 && !name.is_empty() && !name.contains('*')) {
                    let name = if ["all", "everyone", "channel", "stream", "topic"].contains(&name) && stars == 2 { "all" } else { name };
                    found.insert(name.to_owned());
                }
            }
        }
    }
    found
}

impl Platform for Zulip {
    fn name(&self) -> &'static str {
        "zulip"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let Some(path) = call.path.strip_prefix("/api/v1") else { return fail(404, "BAD_REQUEST", "Not found") };
        let wanted = format!("Basic {}", b64(format!("{}:{}", self.email, self.api_key).as_bytes()));
        match call.header("authorization") {
            None => return fail(401, "UNAUTHORIZED", "Not logged in: API authentication or user session required"),
            Some(given) if given != wanted => return fail(401, "INVALID_API_KEY", "Invalid API key"),
            Some(_) => {}
        }
        if let Err(wait) = self.pace.take(&self.email, call.now.mono_ms) {
            let seconds = wait.as_secs_f64();
            let body = json!({ "code": "RATE_LIMIT_HIT", "msg": "API usage exceeded rate limit", "result": "error", "retry-after": seconds });
            let answer = Answer::json(429, &body).header("retry-after", seconds).header("x-ratelimit-limit", 200).header("x-ratelimit-remaining", 0);
            return answer.refused("RATE_LIMIT_HIT");
        }
        let form: HashMap<String, String> = call.query.iter().cloned().chain(call.form()).collect();
        match (call.method.as_str(), path) {
            ("GET", "/users/me") => Answer::json(200, &json!({ "result": "success", "msg": "", "email": self.email, "is_bot": true, "user_id": 5 })),
            ("POST", "/messages") => self.send(&form),
            (method @ ("GET" | "PATCH" | "DELETE"), path) => match path.strip_prefix("/messages/").and_then(|id| id.parse().ok()) {
                Some(id) => self.change(method, id, &form),
                None => fail(404, "BAD_REQUEST", "Not found"),
            },
            _ => fail(405, "BAD_REQUEST", "Method Not Allowed"),
        }
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials =
        json!({ "email": "alerts-bot@example.com", "api_key": "zulip-key-secret", "channel": "alerts", "people": ["anna@example.com", 10] });
    let zulip = Sample::new(credentials, || Zulip::new("alerts-bot@example.com", "zulip-key-secret"))
        .channel(
            "zulip",
            "/api/v1/messages",
            &["zulip-key-secret"],
            r#"zulip: { site: "BASE", email: alerts-bot@example.com, api_key: zulip-key-secret, channel: alerts }"#,
        )
        .channel(
            "zulip-direct",
            "/api/v1/messages",
            &["zulip-key-secret"],
            r#"zulip: { site: "BASE", email: alerts-bot@example.com, api_key: zulip-key-secret, to: [anna@example.com] }"#,
        );
    vec![zulip]
}
