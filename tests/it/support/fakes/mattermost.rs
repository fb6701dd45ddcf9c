//! Mattermost's REST API of posts: created, answered by `root_id`, patched, deleted, with a bot's token.
//! <https://developers.mattermost.com/api-documentation/#/operations/CreatePost>; the refusals are those of the server's source
//! (`server/channels/api4/post.go`, `server/channels/app/post.go`): a post that is not there is refused like one that may not be edited.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::call::{Answer, Call, Verdict};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::{Platform, forget_when_full};
use super::transcript::{Post, Transcript};

/// Characters of a message: <https://docs.mattermost.com/collaborate/message-length.html>
const MAX_MESSAGE: usize = 16_383;
/// How long a repeat is known (`pendingPostIDsCacheTTL` in the same sources).
const PENDING_MS: u64 = 30_000;

/// One team's server.
pub struct Mattermost {
    /// Bot tokens.
    pub tokens: Vec<String>,
    /// Channels that the bots are in.
    pub channels: Vec<String>,
    /// Seconds for which a post may be edited (`PostEditTimeLimit`); -1: always.
    pub edit_limit_s: i64,
    /// The server's own limit, off by default (`RateLimitSettings`).
    pub pace: Limiter,
    /// The posts by id.
    pub transcript: Transcript,
    /// Posts of the last half minute by `pending_post_id`, which a repeat gets back.
    pending: HashMap<String, (u64, String)>,
    counter: u64,
}

impl Mattermost {
    /// A server with one bot in one channel.
    pub fn new(token: &str, channel: &str) -> Self {
        Self {
            tokens: vec![token.to_owned()],
            channels: vec![channel.to_owned()],
            edit_limit_s: -1,
            pace: Limiter::new(Pace::Off),
            transcript: Transcript::default(),
            pending: HashMap::new(),
            counter: 0,
        }
    }
}

fn fail(status: u16, id: &str, message: &str) -> Answer {
    let body = json!({ "id": id, "message": message, "detailed_error": "", "request_id": "p3z1jgmt6tgkmyp5b8wqd8u8oy", "status_code": status });
    Answer::json(status, &body).refused(id)
}

fn forbidden() -> Answer {
    fail(403, "api.context.permissions.app_error", "You do not have the appropriate permissions.")
}

/// Whom a message names: everybody in the channel, or a person.
fn mentions(text: &str) -> bool {
    text.match_indices('@')
        .any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphanumeric()) && !text[..at].ends_with(char::is_alphanumeric))
}

impl Platform for Mattermost {
    fn name(&self) -> &'static str {
        "mattermost_bot"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let Some(path) = call.path.strip_prefix("/api/v4/posts") else {
            return fail(404, "api.context.404.app_error", "Sorry, we could not find the page.");
        };
        let Some(token) = call.bearer().filter(|token| self.tokens.iter().any(|known| known == token)) else {
            return fail(401, "api.context.session_expired.app_error", "Invalid or expired session, please login again.");
        };
        if self.pace.take(token, call.now.mono_ms).is_err() {
            return Answer::text(429, "limit exceeded").refused(429);
        }
        let body = call.object();
        let message = body.as_ref().map(|body| body["message"].as_str().unwrap_or("").to_owned()).unwrap_or_default();
        match (call.method.as_str(), path.trim_start_matches('/').split_once('/'), body) {
            ("POST", None, Some(body)) if path.is_empty() => self.create(call, token, &body, &message),
            ("PUT", Some((id, "patch")), Some(_)) => self.patch(call, token, id, &message),
            (_, _, None) => fail(400, "api.context.invalid_body_param.app_error", "Invalid or missing post in request body."),
            _ => fail(404, "api.context.404.app_error", "Sorry, we could not find the page."),
        }
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.pace]
    }

    fn transcript(&mut self) -> Option<&mut Transcript> {
        Some(&mut self.transcript)
    }
}

fn too_long(message: &str) -> Option<Answer> {
    let long = message.chars().count() > MAX_MESSAGE;
    long.then(|| fail(400, "model.post.is_valid.message_length.app_error", "Post Message property is longer than the maximum permitted length."))
}

impl Mattermost {
    fn create(&mut self, call: &Call, token: &str, body: &Value, message: &str) -> Answer {
        let channel = body["channel_id"].as_str().unwrap_or("");
        if !self.channels.iter().any(|known| known == channel) {
            return forbidden();
        }
        if message.trim().is_empty() {
            return fail(400, "api.context.invalid_body_param.app_error", "Invalid or missing post in request body.");
        }
        if let Some(refusal) = too_long(message) {
            return refusal;
        }
        let root = body["root_id"].as_str().filter(|root| !root.is_empty());
        if root.is_some_and(|root| self.transcript.get(root).is_none_or(|post| post.parent.is_some())) {
            return fail(400, "api.post.create_post.root_id.app_error", "Invalid RootId parameter.");
        }
        let pending = body["pending_post_id"].as_str().unwrap_or("").to_owned();
        let answer = |id: &str| Answer::json(201, &json!({ "id": id, "channel_id": channel, "root_id": root.unwrap_or(""), "message": message }));
        if let Some((at, id)) = self.pending.get(&pending)
            && call.now.mono_ms < at + PENDING_MS
        {
            return answer(id).accepted(201, message).verdict(Verdict::Duplicate).to([channel]);
        }
        self.counter += 1;
        let id = format!("{:026}", self.counter);
        let rings = root.is_none() || mentions(message);
        let post = Post {
            text: message.to_owned(),
            parent: root.map(str::to_owned),
            author: token.to_owned(),
            posted_ms: call.now.mono_ms,
            ..Post::default()
        };
        self.transcript.post(id.clone(), post, rings);
        if !pending.is_empty() {
            forget_when_full(&mut self.pending);
            self.pending.insert(pending, (call.now.mono_ms, id.clone()));
        }
        answer(&id).accepted(201, message).to([channel])
    }

    fn patch(&mut self, call: &Call, token: &str, id: &str, message: &str) -> Answer {
        let Some(post) = self.transcript.get(id).filter(|post| post.author == token) else { return forbidden() };
        let age_s = (call.now.mono_ms - post.posted_ms) / 1000;
        if self.edit_limit_s >= 0 && age_s > self.edit_limit_s.unsigned_abs() {
            return fail(
                400,
                "api.post.update_post.permissions_time_limit.app_error",
                "Post edit is only allowed for a while. Please ask your system administrator.",
            );
        }
        if let Some(refusal) = too_long(message) {
            return refusal;
        }
        self.transcript.edit(id, |post| message.clone_into(&mut post.text));
        Answer::json(200, &json!({ "id": id, "channel_id": self.channels[0], "edit_at": call.now.wall_s() * 1000, "message": message }))
            .accepted(200, message)
    }
}

/// With fixed credentials, and the channel that sends to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "token": "mattermost-bot-secret", "channel_id": "4xp9fdt77pncbef59f4k1qe83o" });
    let yaml = r#"preset: { name: mattermost_bot, params: { url: "BASE", token: mattermost-bot-secret, channel_id: 4xp9fdt77pncbef59f4k1qe83o } }"#;
    let sample = Sample::new(credentials, || Mattermost::new("mattermost-bot-secret", "4xp9fdt77pncbef59f4k1qe83o"));
    vec![sample.channel("mattermost_bot", "/api/v4/posts", &["mattermost-bot-secret"], yaml)]
}
