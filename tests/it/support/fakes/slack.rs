//! Slack: `chat.postMessage`, `chat.update`, `chat.delete`, `auth.test`, and incoming webhooks. The Web API says
//! `ok:false` with HTTP 200 (429 when too fast); webhooks answer in plain text with a real status.
//!
//! Choice where the documents are vague ("short bursts"): one message a second and channel with a credit of three.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::people::People;
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;
use super::slack_blocks::{MAX_BLOCK_TEXT, Reading};
use super::slack_socket::Interactivity;
use super::socket::{Heard, Line};
use super::transcript::Transcript;

/// Messages per channel.
pub const PACE: Pace = Pace::Bucket { every: Duration::from_secs(1), burst: 25 };

/// Edits of an app (tier 3), which are counted apart from messages.
pub const EDITS: Pace = Pace::per(50, Duration::from_secs(60));

const MAX_TEXT: usize = 40_000;

/// What prevents posting to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Room {
    /// Nothing.
    #[default]
    Open,
    /// `is_archived`.
    Archived,
    /// `not_in_channel`.
    NotJoined,
    /// `restricted_action`.
    Restricted,
}

/// The workspace.
pub struct Slack {
    /// Bot tokens and the error they give (`None`: good).
    pub tokens: HashMap<String, Option<&'static str>>,
    /// Channels by id and by `#name`: (id, state).
    pub channels: HashMap<String, (String, Room)>,
    /// Webhook paths (`/services/T/B/X`) and their channel id.
    pub webhooks: HashMap<String, String>,
    /// Messages per channel.
    pub pace: Limiter,
    /// The next calls that pass authentication get these errors.
    pub next: std::collections::VecDeque<&'static str>,
    /// Edits per token.
    pub edits: Limiter,
    /// Whether the workspace's setting allows no edits (any more).
    pub edit_window_closed: bool,
    /// The messages by channel id and ts (`C0123/1.1`).
    pub transcript: Transcript,
    /// How many messages were posted.
    pub counter: u64,
    /// Presses of buttons.
    pub interactivity: Interactivity,
    /// Its members.
    pub people: People,
}

impl Slack {
    /// A workspace with one bot token and the channel `C0123` called `#ops`.
    pub fn new(token: &str) -> Self {
        let slack = Self {
            tokens: HashMap::from([(token.to_owned(), None)]),
            channels: HashMap::new(),
            webhooks: HashMap::new(),
            pace: Limiter::new(PACE),
            next: std::collections::VecDeque::new(),
            edits: Limiter::new(EDITS),
            edit_window_closed: false,
            transcript: Transcript::default(),
            counter: 0,
            interactivity: Interactivity::default(),
            people: People::default(),
        };
        slack.channel("C0123", "#ops", Room::Open)
    }

    /// Adds a channel.
    pub fn channel(mut self, id: &str, name: &str, room: Room) -> Self {
        for key in [id, name, name.trim_start_matches('#')] {
            self.channels.insert(key.to_owned(), (id.to_owned(), room));
        }
        self
    }

    /// Adds an incoming webhook.
    pub fn webhook(mut self, path: &str, channel_id: &str) -> Self {
        self.webhooks.insert(path.to_owned(), channel_id.to_owned());
        self
    }

    /// Turns off pace.
    pub fn unpaced(mut self) -> Self {
        self.pace.set(Pace::Off);
        self.edits.set(Pace::Off);
        self
    }
}

/// An error with HTTP 200.
pub(super) fn fail(error: &str) -> Answer {
    Answer::json(200, &json!({ "ok": false, "error": error })).refused(error)
}

/// An error with the details of the check.
fn fail_with(error: &str, errors: &[String]) -> Answer {
    let messages: Vec<String> = errors.iter().map(|e| format!("[ERROR] {e}")).collect();
    Answer::json(200, &json!({ "ok": false, "error": error, "errors": errors, "response_metadata": { "messages": messages } })).refused(error)
}

/// 429, of the Web API or of a webhook.
pub(super) fn too_fast(wait: Duration, webhook: bool) -> Answer {
    let seconds = wait.as_millis().div_ceil(1000).max(1);
    let answer = if webhook { Answer::text(429, "rate_limited") } else { Answer::json(429, &json!({ "ok": false, "error": "ratelimited" })) };
    answer.header("retry-after", seconds).refused("ratelimited")
}

impl Platform for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        match call.path.strip_prefix("/api/") {
            Some("apps.connections.open") => self.open_connection(call),
            Some(method) => self.web_api(call, method),
            None if call.path.starts_with("/actions/") => self.interactivity.answered(call),
            None if call.path.starts_with("/services/") => self.incoming(call),
            None => Answer::text(404, "Not Found").refused("404"),
        }
    }

    fn open(&mut self, call: &Call, line: Line) -> Result<(), Box<Answer>> {
        self.open_line(call, line)
    }

    fn heard(&mut self, line: u64, heard: &Heard) {
        self.heard_line(line, heard);
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace, &mut self.edits, &mut self.interactivity.opens]
    }

    fn transcript(&mut self) -> Option<&mut Transcript> {
        Some(&mut self.transcript)
    }
}

impl Slack {
    fn web_api(&mut self, call: &Call, method: &str) -> Answer {
        if !matches!(method, "chat.postMessage" | "chat.update" | "chat.delete" | "auth.test" | "users.lookupByEmail") {
            return fail("unknown_method");
        }
        let json_type = call.media_type() == "application/json";
        let body = if json_type {
            match call.object() {
                Some(body) => body,
                None if call.body.is_empty() => json!({}),
                None => return fail("invalid_json"),
            }
        } else {
            // As a form: structured arguments are JSON in strings.
            let pairs = call.query.iter().cloned().chain(call.form());
            let parse = |k: &str, v: String| {
                if matches!(k, "blocks" | "attachments" | "metadata") {
                    serde_json::from_str(&v).unwrap_or(Value::String(v))
                } else {
                    Value::String(v)
                }
            };
            Value::Object(pairs.map(|(k, v)| (k.clone(), parse(&k, v))).collect())
        };
        let form_token = if json_type { None } else { body["token"].as_str() };
        let Some(token) = call.bearer().or(form_token) else { return fail("not_authed") };
        match self.tokens.get(token) {
            None => return fail("invalid_auth"),
            Some(Some(error)) => return fail(error),
            Some(None) => {}
        }
        if method == "users.lookupByEmail" {
            return self.look_up(call);
        }
        if method == "auth.test" {
            let url = "https://example.slack.com/";
            return Answer::json(
                200,
                &json!({ "ok": true, "url": url, "team": "Example", "user": "watcher", "team_id": "T0001", "user_id": "U0001", "bot_id": "B0001", "is_enterprise_install": false }),
            )
            .header("x-oauth-scopes", "chat:write");
        }
        if call.method != "POST" {
            return fail("invalid_post_type");
        }
        if let Some(error) = self.next.pop_front() {
            return fail(error);
        }
        let Some(channel) = body["channel"].as_str().filter(|c| !c.is_empty()) else { return fail("channel_not_found") };
        let by_id_only = method != "chat.postMessage";
        let Some((id, room)) = self.channels.get(channel).cloned() else { return fail("channel_not_found") };
        if by_id_only && id != channel {
            return fail("channel_not_found");
        }
        let stop = match room {
            Room::Open => None,
            Room::Archived if by_id_only => Some("is_inactive"),
            Room::Archived => Some("is_archived"),
            Room::NotJoined => Some("not_in_channel"),
            Room::Restricted => Some("restricted_action"),
        };
        if let Some(error) = stop {
            return fail(error);
        }
        let token = token.to_owned();
        if method == "chat.delete" {
            return self.delete(&id, &body, &token);
        }
        let mut reading = match read_message(&body) {
            Ok(reading) => reading,
            Err((error, details)) => return if details.is_empty() { fail(error) } else { fail_with(error, &details) },
        };
        if method == "chat.update" {
            return self.update(call, &id, &body, &token, &reading);
        }
        if let Err(wait) = self.pace.take(&id, call.now.mono_ms) {
            return too_fast(wait, false);
        }
        let (mut reply, answer) = self.post(call, &id, &body, &token, &mut reading);
        if json_type && !call.header("content-type").unwrap_or("").to_ascii_lowercase().contains("charset") {
            reply["warning"] = json!("missing_charset");
            reply["response_metadata"] = json!({ "warnings": ["missing_charset"] });
        }
        Answer { body: reply.to_string().into_bytes(), ..answer }
    }

    fn incoming(&mut self, call: &Call) -> Answer {
        let refuse = |status: u16, word: &str| Answer::text(status, word).refused(word);
        let Some(id) = self.webhooks.get(&call.path).cloned() else { return refuse(404, "no_service") };
        if call.method != "POST" {
            return refuse(400, "invalid_payload");
        }
        let body = if call.media_type() == "application/x-www-form-urlencoded" {
            let payload = call.form().into_iter().find(|(k, _)| k == "payload").map(|(_, v)| v);
            payload.and_then(|p| serde_json::from_str::<Value>(&p).ok()).filter(Value::is_object)
        } else {
            call.object()
        };
        let Some(body) = body else { return refuse(400, "invalid_payload") };
        match self.channels.get(&id).map(|c| c.1) {
            Some(Room::Archived) => return refuse(410, "channel_is_archived"),
            Some(Room::Restricted) => return refuse(403, "action_prohibited"),
            Some(_) => {}
            None => return refuse(404, "channel_not_found"),
        }
        let mut reading = match read_message(&body) {
            Ok(reading) => reading,
            Err((error, _)) => return refuse(400, error),
        };
        if let Err(wait) = self.pace.take(&call.path, call.now.mono_ms) {
            return too_fast(wait, true);
        }
        let to = std::iter::once(id).chain(std::mem::take(&mut reading.pings));
        Answer::text(200, "ok").accepted("ok", reading.texts.join("\n")).to(to).notes(reading.notes())
    }
}

impl Reading {
    /// What the platform did silently.
    pub(super) fn notes(&self) -> Vec<String> {
        let cut: usize = self.texts.iter().map(|t| t.chars().count().saturating_sub(MAX_TEXT)).sum();
        if cut > 0 { vec![format!("truncated:{cut}")] } else { Vec::new() }
    }
}

fn read_message(body: &Value) -> Result<Reading, (&'static str, Vec<String>)> {
    let no = |error: &'static str| (error, Vec::new());
    let string = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s.as_str())),
        Some(_) => Err(("invalid_arguments", vec![format!("must be a string [json-pointer:/{name}]")])),
    };
    let (text, markdown) = (string("text")?.unwrap_or(""), string("markdown_text")?.unwrap_or(""));
    let (blocks, attachments) = (body.get("blocks").filter(|b| !b.is_null()), body.get("attachments").filter(|a| !a.is_null()));
    let mut reading = Reading::default();
    if !markdown.is_empty() {
        if !text.is_empty() || blocks.is_some() {
            return Err(no("markdown_text_conflict"));
        }
        if markdown.chars().count() > 12_000 {
            return Err(no("msg_too_long"));
        }
        reading.texts.push(markdown.to_owned());
    }
    let mut in_blocks = Reading::default();
    if let Some(blocks) = blocks {
        if !blocks.is_array() {
            return Err(no("invalid_blocks_format"));
        }
        in_blocks.blocks(blocks, "/blocks");
    }
    let empty = Vec::new();
    let list = match attachments {
        None => &empty,
        Some(a) => a.as_array().ok_or_else(|| no("invalid_attachments"))?,
    };
    if list.len() > 100 {
        return Err(no("too_many_attachments"));
    }
    let mut said = Reading::default();
    for (i, attachment) in list.iter().enumerate() {
        if !attachment.is_object() {
            return Err(no("invalid_attachments"));
        }
        if !attachment["blocks"].is_null() {
            in_blocks.blocks(&attachment["blocks"], &format!("/attachments/{i}/blocks"));
        }
        let before = said.texts.len();
        for name in ["pretext", "author_name", "title", "text", "footer"] {
            if let Some(text) = attachment[name].as_str() {
                said.mrkdwn(text);
            }
        }
        for field in attachment["fields"].as_array().into_iter().flatten() {
            for name in ["title", "value"] {
                said.mrkdwn(field[name].as_str().unwrap_or(""));
            }
        }
        if attachment["blocks"].is_null()
            && said.texts.len() == before
            && attachment["fallback"].as_str().is_none_or(str::is_empty)
            && attachment["image_url"].is_null()
        {
            return Err(no("no_text"));
        }
    }
    if !in_blocks.errors.is_empty() {
        return Err(("invalid_blocks", in_blocks.errors));
    }
    if in_blocks.length() > MAX_BLOCK_TEXT {
        return Err(no("msg_blocks_too_long"));
    }
    let block_count = blocks.and_then(Value::as_array).map_or(0, Vec::len);
    if text.trim().is_empty() && markdown.is_empty() && block_count == 0 && list.is_empty() {
        return Err(no("no_text"));
    }
    if !text.is_empty() {
        reading.mrkdwn(text);
    }
    for part in [in_blocks, said] {
        reading.texts.extend(part.texts);
        reading.pings.extend(part.pings);
    }
    Ok(reading)
}

const HOOK: &str = "/services/T0/B0/slack-hook-secret";

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "token": "xoxb-fake-token", "channel": "#ops", "channel_id": "C0123", "webhook_path": HOOK });
    let slack = Sample::new(credentials, || Slack::new("xoxb-fake-token").webhook(HOOK, "C0123"))
        .channel("slack", "/api/chat.postMessage", &["xoxb-fake-token"], r#"slack: { token: xoxb-fake-token, channel: "C0123", api_base: "BASE" }"#)
        .channel("slack-hook", "/services/", &["slack-hook-secret"], r#"slack: { webhook: "BASE/services/T0/B0/slack-hook-secret" }"#);
    vec![slack]
}
