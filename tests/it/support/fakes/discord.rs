//! Discord's execute-webhook: lengths in characters, embeds, `allowed_mentions`, 429 with a float `retry_after`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;
use super::transcript::{Post, Transcript};

/// The webhooks of a guild.
pub struct Discord {
    /// Webhook id -> token.
    pub hooks: HashMap<String, String>,
    /// 5 requests in 2 seconds per webhook (what the headers of the real one usually say).
    pub pace: Limiter,
    /// The next messages get these: (HTTP status, code, message).
    pub next: VecDeque<(u16, i64, String)>,
    /// The messages by id.
    pub transcript: Transcript,
    /// Threads that were deleted.
    pub lost_threads: HashSet<String>,
    /// Edits that a message older than an hour still gets.
    pub late_edits: u32,
    counter: u64,
}

impl Discord {
    /// One webhook.
    pub fn new(id: &str, token: &str) -> Self {
        Self {
            hooks: HashMap::from([(id.to_owned(), token.to_owned())]),
            pace: Limiter::new(Pace::per(5, Duration::from_secs(2))),
            next: VecDeque::new(),
            transcript: Transcript::default(),
            lost_threads: HashSet::new(),
            late_edits: 3,
            counter: 0,
        }
    }
}

fn fail(status: u16, code: i64, message: &str) -> Answer {
    Answer::json(status, &json!({ "message": message, "code": code })).refused(code)
}

fn invalid_form(field: &str, code: &str, message: &str) -> Answer {
    let body = json!({ "message": "Invalid Form Body", "code": 50035, "errors": { field: { "_errors": [{ "code": code, "message": message }] } } });
    Answer::json(400, &body).refused(50035)
}

impl Platform for Discord {
    fn name(&self) -> &'static str {
        "discord"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let parts: Vec<&str> = call.path.trim_start_matches("/api").trim_start_matches("/v10").split('/').collect();
        let (id, token, message) = match parts[..] {
            ["", "webhooks", id, token] => (id, token, None),
            ["", "webhooks", id, token, "messages", message] => (id, token, Some(message)),
            _ => return fail(404, 0, "404: Not Found"),
        };
        match self.hooks.get(id) {
            None => return fail(404, 10015, "Unknown Webhook"),
            Some(known) if known != token => return fail(401, 50027, "Invalid Webhook Token"),
            Some(_) => {}
        }
        if call.header("user-agent").is_none_or(str::is_empty) {
            return fail(403, 40333, "internal network error");
        }
        if let Err(wait) = self.pace.take(id, call.now.mono_ms) {
            let seconds = wait.as_secs_f64();
            let body = json!({ "message": "You are being rate limited.", "retry_after": seconds, "global": false });
            let answer = Answer::json(429, &body).header("retry-after", seconds.ceil()).header("x-ratelimit-reset-after", seconds);
            return answer.header("x-ratelimit-scope", "user").header("x-ratelimit-remaining", 0).refused(429);
        }
        if call.param("thread_id").is_some_and(|thread| self.lost_threads.contains(thread)) {
            return fail(404, 10003, "Unknown Channel");
        }
        match (call.method.as_str(), message) {
            ("GET", Some(m)) => {
                return match self.transcript.get(m) {
                    Some(post) if post.parent.as_deref() == call.param("thread_id") && post.author == id => {
                        Answer::json(200, &json!({ "id": m, "type": 0, "channel_id": "1", "webhook_id": id }))
                    }
                    _ => fail(404, 10008, "Unknown Message"),
                };
            }
            ("GET", None) => return Answer::json(200, &json!({ "id": id, "type": 1, "name": "watcher", "channel_id": "1", "token": token })),
            ("DELETE", Some(m)) => {
                return if self.transcript.delete(m) { Answer::new(204, "text/plain", "") } else { fail(404, 10008, "Unknown Message") };
            }
            ("PATCH", Some(m)) => match self.transcript.get(m) {
                // It is looked for in the thread that the query names, else in the channel.
                Some(post) if post.parent.as_deref() != call.param("thread_id") || post.author != id => return fail(404, 10008, "Unknown Message"),
                None => return fail(404, 10008, "Unknown Message"),
                Some(post) if call.now.mono_ms > post.posted_ms + 3_600_000 && post.edits >= self.late_edits => {
                    return fail(429, 30046, "Maximum number of edits to messages older than 1 hour reached. Try again later");
                }
                Some(_) => {}
            },
            ("POST", None) => {}
            _ => return fail(405, 0, "405: Method Not Allowed"),
        }
        let Some(mut body) = call.object().filter(|_| call.media_type() == "application/json") else {
            return fail(400, 50109, "The request body contains invalid JSON.");
        };
        if let Some((status, code, text)) = self.next.pop_front() {
            return fail(status, code, &text);
        }
        // What an edit leaves out stays as it was.
        let before: Value = message.and_then(|m| serde_json::from_str(&self.transcript.get(m)?.extra).ok()).unwrap_or_default();
        for part in ["content", "embeds"] {
            if body.get(part).is_none() && !before[part].is_null() {
                body[part] = before[part].clone();
            }
        }
        let (text, pings) = match read(&body) {
            Ok(read) => read,
            Err(refusal) => return *refusal,
        };
        let posted = message.map_or_else(
            || {
                self.counter += 1;
                format!("{}", 1_100_000_000_000_000_000 + self.counter)
            },
            str::to_owned,
        );
        let extra = json!({ "content": body["content"], "embeds": body["embeds"] }).to_string();
        if message.is_some() {
            self.transcript.edit(&posted, |post| {
                post.text.clone_from(&text);
                post.extra = extra;
            });
        } else {
            let parent = call.param("thread_id").map(str::to_owned);
            let post = Post { text: text.clone(), parent, author: id.to_owned(), posted_ms: call.now.mono_ms, edits: 0, extra };
            // SUPPRESS_NOTIFICATIONS
            self.transcript.post(posted.clone(), post, body["flags"].as_u64().unwrap_or(0) & 4096 == 0);
        }
        let wait = call.param("wait") == Some("true") || message.is_some();
        let answer = if wait {
            Answer::json(200, &json!({ "id": posted, "type": 0, "channel_id": "1", "webhook_id": id, "content": body["content"] }))
        } else {
            Answer::new(204, "text/plain", "")
        };
        let code = answer.status;
        answer.accepted(code, text).to(std::iter::once(id.to_owned()).chain(pings))
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }

    fn transcript(&mut self) -> Option<&mut Transcript> {
        Some(&mut self.transcript)
    }
}

fn read(body: &Value) -> Result<(String, Vec<String>), Box<Answer>> {
    let long = |field: &str, most: usize| Box::new(invalid_form(field, "BASE_TYPE_MAX_LENGTH", &format!("Must be {most} or fewer in length.")));
    let text = |v: &Value, field: &str, most: usize| -> Result<String, Box<Answer>> {
        match v {
            Value::Null => Ok(String::new()),
            Value::String(s) if s.chars().count() > most => Err(long(field, most)),
            Value::String(s) => Ok(s.clone()),
            _ => Err(invalid_form(field, "BASE_TYPE_BAD_TYPE", "Could not interpret value as string.").into()),
        }
    };
    let content = text(&body["content"], "content", 2000)?;
    text(&body["username"], "username", 80)?;
    let embeds = match &body["embeds"] {
        Value::Null => Vec::new(),
        Value::Array(list) if list.len() <= 10 => list.clone(),
        _ => return Err(long("embeds", 10)),
    };
    let (mut texts, mut total) = (vec![content.clone()], 0);
    for embed in &embeds {
        let mut said = vec![
            text(&embed["title"], "title", 256)?,
            text(&embed["description"], "description", 4096)?,
            text(&embed["footer"]["text"], "footer", 2048)?,
            text(&embed["author"]["name"], "author", 256)?,
        ];
        let url = text(&embed["url"], "url", 2048)?;
        // "Not a well formed URL": http or https, and a host with a dot in it.
        let host = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#', ':']).next().unwrap_or(""));
        let taken = url.starts_with("http") && host.trim_matches('.').contains('.');
        if !url.is_empty() && !taken {
            return Err(invalid_form("url", "URL_TYPE_INVALID_URL", "Not a well formed URL.").into());
        }
        if !embed["color"].is_null() && embed["color"].as_u64().is_none_or(|c| c > 0xFF_FFFF) {
            return Err(invalid_form("color", "NUMBER_TYPE_MAX", "int value should be less than or equal to 16777215.").into());
        }
        let fields = embed["fields"].as_array().cloned().unwrap_or_default();
        if fields.len() > 25 {
            return Err(long("fields", 25));
        }
        for field in &fields {
            let (name, value) = (text(&field["name"], "name", 256)?, text(&field["value"], "value", 1024)?);
            if name.is_empty() || value.is_empty() {
                return Err(invalid_form("fields", "BASE_TYPE_REQUIRED", "This field is required").into());
            }
            said.extend([name, value]);
        }
        total += said.iter().map(|s| s.chars().count()).sum::<usize>();
        texts.extend(said.into_iter().filter(|s| !s.is_empty()));
    }
    for kind in ["users", "roles"] {
        let ids: Vec<&str> = body["allowed_mentions"][kind].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let numbers = ids.iter().all(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
        let once = ids.iter().enumerate().all(|(place, id)| !ids[..place].contains(id));
        if ids.len() > 100 || !numbers || !once {
            return Err(invalid_form("allowed_mentions", "NUMBER_TYPE_COERCE", "Value is not snowflake.").into());
        }
    }
    if total > 6000 {
        return Err(invalid_form("embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds maximum size of 6000").into());
    }
    if content.trim().is_empty() && embeds.is_empty() {
        return Err(fail(400, 50006, "Cannot send an empty message").into());
    }
    Ok((texts.join("\n"), pings(&content, &body["allowed_mentions"])))
}

/// Whom the content really pings: embeds never ping, `allowed_mentions` restricts.
fn pings(content: &str, allowed: &Value) -> Vec<String> {
    let parse = |kind: &str| allowed.is_null() || allowed["parse"].as_array().is_some_and(|p| p.iter().any(|v| v == kind));
    let listed = |kind: &str, id: &str| allowed[kind].as_array().is_some_and(|l| l.iter().any(|v| v == id));
    let mut found: Vec<String> = ["@everyone", "@here"].into_iter().filter(|t| content.contains(t) && parse("everyone")).map(str::to_owned).collect();
    for (at, _) in content.match_indices("<@") {
        let Some((tag, _)) = content[at + 2..].split_once('>') else { continue };
        let (kind, id) = tag.strip_prefix('&').map_or(("users", tag.trim_start_matches('!')), |id| ("roles", id));
        if parse(kind) || listed(kind, id) {
            found.push(format!("<@{tag}>"));
        }
    }
    found
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "path": "/api/webhooks/1/discord-token" });
    let yaml = r#"discord: { webhook: "BASE/api/webhooks/1/discord-token" }"#;
    vec![Sample::new(credentials, || Discord::new("1", "discord-token")).channel("discord", "/webhooks/", &["discord-token"], yaml)]
}
