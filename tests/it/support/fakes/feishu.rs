//! Feishu / Lark: the custom group bot (signature in the body, keywords) and application messages (tenant token,
//! `uuid` deduplication).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call, Verdict};
use super::crypt::{b64, hmac_sha256};
use super::feishu_socket::{Callbacks, buttons};
use super::people::People;
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;
use super::socket::{Heard, Line};
use super::token::{TokenState, Tokens};
use super::transcript::{Post, Transcript};

const MAX_HOOK: usize = 20 * 1024;
const MAX_CARD: usize = 30 * 1024;
const MAX_TEXT: usize = 150 * 1024;

/// One custom bot.
#[derive(Debug, Clone, Default)]
pub struct Hook {
    /// Requests must be signed with it.
    pub secret: Option<String>,
    /// A message must contain one of these, when there are any.
    pub keywords: Vec<String>,
}

/// The tenant.
pub struct Feishu {
    /// Custom bots by the last part of their path.
    pub hooks: HashMap<String, Hook>,
    /// Applications: id -> secret.
    pub apps: HashMap<String, String>,
    /// Receivers that exist (any id type); `None`: all do.
    pub receivers: Option<Vec<String>>,
    /// The token desk.
    pub tokens: Tokens,
    /// Custom bot: 100 a minute.
    pub hook_minute: Limiter,
    /// Custom bot: 5 a second.
    pub hook_second: Limiter,
    /// Application: 5 a second to one receiver.
    pub receiver_second: Limiter,
    /// Application: 5 edits a second to one message.
    pub message_second: Limiter,
    /// The application's messages by id.
    pub transcript: Transcript,
    /// The next messages get these: (HTTP status, code, msg).
    pub next: VecDeque<(u16, i64, String)>,
    /// Presses of buttons.
    pub callbacks: Callbacks,
    /// Its people.
    pub people: People,
    /// The application's permissions: name, and whether it is granted. `None`: the application may not ask.
    pub scopes: Option<Vec<(&'static str, bool)>>,
    seen: HashMap<String, (u64, String)>,
    counter: u64,
}

impl Feishu {
    /// A tenant with one custom bot and one application.
    pub fn new(hook: &str, secret: Option<&str>, app_id: &str, app_secret: &str) -> Self {
        Self {
            hooks: HashMap::from([(hook.to_owned(), Hook { secret: secret.map(str::to_owned), keywords: Vec::new() })]),
            apps: HashMap::from([(app_id.to_owned(), app_secret.to_owned())]),
            receivers: None,
            tokens: Tokens::new("t-"),
            hook_minute: Limiter::new(Pace::per(100, Duration::from_secs(60))),
            hook_second: Limiter::new(Pace::per(5, Duration::from_secs(1))),
            receiver_second: Limiter::new(Pace::per(5, Duration::from_secs(1))),
            message_second: Limiter::new(Pace::per(5, Duration::from_secs(1))),
            transcript: Transcript::default(),
            next: VecDeque::new(),
            callbacks: Callbacks::default(),
            people: People::default(),
            scopes: Some(vec![("im:message:send_as_bot", true), ("contact:user.id:readonly", true)]),
            seen: HashMap::new(),
            counter: 0,
        }
    }
}

pub(super) fn fail(status: u16, code: i64, msg: &str) -> Answer {
    Answer::json(status, &json!({ "code": code, "msg": msg, "data": {} })).refused(code)
}

fn invalid(ext: &str) -> Box<Answer> {
    Box::new(fail(400, 230_001, &format!("Your request contains an invalid request parameter, ext={ext}")))
}

type Judged = Result<Answer, Box<Answer>>;

impl Platform for Feishu {
    fn name(&self) -> &'static str {
        "feishu"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let answer = match call.path.strip_prefix("/open-apis/") {
            Some("auth/v3/tenant_access_token/internal") => Ok(self.token(call)),
            Some("contact/v3/users/batch_get_id") if call.method == "POST" => self.ids(call),
            Some("application/v6/scopes") if call.method == "GET" => self.list_scopes(call),
            Some("im/v1/messages") => self.message(call, None),
            Some(path) if path.starts_with("im/v1/messages/") => match (call.method.as_str(), path["im/v1/messages/".len()..].split_once('/')) {
                ("POST", Some((id, "reply"))) => self.message(call, Some(id)),
                ("PATCH", None) => self.edit(call, &path["im/v1/messages/".len()..]),
                _ => Ok(Answer::text(404, "404 page not found").refused("404")),
            },
            None if call.path == "/callback/ws/endpoint" => Ok(self.endpoint(call)),
            Some(path) if path.starts_with("bot/v2/hook/") => self.hook(call, &path["bot/v2/hook/".len()..]),
            _ => Ok(Answer::text(404, "404 page not found").refused("404")),
        };
        answer.unwrap_or_else(|refusal| *refusal)
    }

    fn open(&mut self, call: &Call, line: Line) -> Result<(), Box<Answer>> {
        self.open_line(call, line)
    }

    fn heard(&mut self, line: u64, heard: &Heard) {
        self.heard_line(line, heard);
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.hook_minute, &mut self.hook_second, &mut self.receiver_second, &mut self.message_second]
    }

    fn transcript(&mut self) -> Option<&mut Transcript> {
        Some(&mut self.transcript)
    }
}

impl Feishu {
    fn list_scopes(&self, call: &Call) -> Judged {
        self.app(call)?;
        let scopes = self.scopes.as_ref().ok_or_else(|| fail(400, 99_991_672, "Access denied."))?;
        let one =
            |(name, granted): &(&str, bool)| json!({ "scope_name": name, "grant_status": if *granted { 1 } else { 2 }, "scope_type": "tenant" });
        let scopes: Vec<Value> = scopes.iter().map(one).collect();
        Ok(Answer::json(200, &json!({ "code": 0, "msg": "success", "data": { "scopes": scopes } })))
    }

    fn hook(&mut self, call: &Call, token: &str) -> Judged {
        let hook = self.hooks.get(token).cloned().ok_or_else(|| fail(200, 19001, "param invalid: incoming webhook access token invalid"))?;
        if call.method != "POST" || call.media_type() != "application/json" {
            return Err(fail(400, 9499, "Bad Request").into());
        }
        let body = call.object().ok_or_else(|| fail(400, 9499, "Bad Request"))?;
        if let Some(secret) = &hook.secret {
            let timestamp = body["timestamp"].as_str().unwrap_or("");
            // The key is timestamp and secret, the message is empty.
            let expected = b64(&hmac_sha256(format!("{timestamp}\n{secret}").as_bytes(), b""));
            let fresh = timestamp.parse::<i64>().is_ok_and(|t| (call.now.wall_s() - t).abs() <= 3600);
            if !fresh || body["sign"] != expected {
                return Err(fail(200, 19021, "sign match fail or timestamp is not within one hour from current time").into());
            }
        }
        if call.body.len() > MAX_HOOK {
            return Err(fail(200, 19036, "the request body is too large").into());
        }
        let kind = body["msg_type"].as_str().unwrap_or("");
        let content = if kind == "interactive" { &body["card"] } else { &body["content"] };
        let text = read(kind, content)
            .map_err(|(code, msg)| if code == 230_001 { fail(200, 19002, "params error, msg_type need") } else { fail(200, code, &msg) })?;
        if !hook.keywords.is_empty() && !hook.keywords.iter().any(|k| text.contains(k.as_str())) {
            return Err(fail(200, 19024, "Key Words Not Found").into());
        }
        if self.hook_second.take(token, call.now.mono_ms).is_err() || self.hook_minute.take(token, call.now.mono_ms).is_err() {
            return Err(fail(200, 11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]").into());
        }
        if let Some((status, code, msg)) = self.next.pop_front() {
            return Err(fail(status, code, &msg).into());
        }
        let reply = json!({ "StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success", "Extra": null });
        Ok(Answer::json(200, &reply).to(std::iter::once(token.to_owned()).chain(mentions(&text))).accepted(0, text))
    }

    fn token(&mut self, call: &Call) -> Answer {
        let body = call.object().unwrap_or(Value::Null);
        let (id, secret) = (body["app_id"].as_str().unwrap_or(""), body["app_secret"].as_str().unwrap_or(""));
        match self.apps.get(id) {
            None => fail(200, 10003, "invalid param"),
            Some(known) if known != secret => fail(200, 10014, "app secret invalid"),
            Some(_) => {
                let (token, left) = self.tokens.issue(id, call.now.mono_ms);
                Answer::json(200, &json!({ "code": 0, "msg": "ok", "tenant_access_token": token, "expire": left }))
            }
        }
    }

    /// The application whose token is presented.
    pub(super) fn app(&self, call: &Call) -> Result<String, Box<Answer>> {
        let token = call
            .bearer()
            .ok_or_else(|| fail(400, 99_991_661, "Missing access token for authorization. Please make a request with token attached."))?;
        match self.tokens.check(token, call.now.mono_ms) {
            TokenState::Good(app) => Ok(app),
            _ => Err(fail(400, 99_991_663, "Invalid access token for authorization. Please make a test attempt with a valid token.").into()),
        }
    }

    /// A message that is there: recalled ones are not, and what was never sent has no id.
    fn known(&self, id: &str) -> Result<&Post, Box<Answer>> {
        let was_sent = id.strip_prefix("om_").and_then(|n| u64::from_str_radix(n, 16).ok()).is_some_and(|n| n <= self.counter);
        self.transcript
            .get(id)
            .ok_or_else(|| if was_sent { fail(400, 230_011, "The message was withdrawn.").into() } else { invalid("invalid message_id.") })
    }

    /// PATCH of a card: the whole card again, which must say that it can be edited, as the one that was sent did.
    fn edit(&mut self, call: &Call, id: &str) -> Judged {
        let app = self.app(call)?;
        let post = self.known(id)?;
        if post.author != app {
            return Err(fail(400, 230_027, "Lack of necessary permissions, ext=the operator is not the sender").into());
        }
        if call.now.mono_ms > post.posted_ms + 14 * 86_400_000 {
            return Err(fail(400, 230_031, "The message is older than 14 days and cannot be modified.").into());
        }
        if post.extra == "text" {
            return Err(fail(400, 230_054, "This operation is not supported for this message type.").into());
        }
        let body = call.object().ok_or_else(|| invalid("body is not JSON"))?;
        let content = body["content"].as_str().ok_or_else(|| invalid("content is not a string in json format."))?;
        let card: Value = serde_json::from_str(content).map_err(|_| invalid("content is not a string in json format."))?;
        if content.len() > MAX_CARD {
            return Err(fail(400, 230_025, "The length of the message content reaches its limit.").into());
        }
        let text = read("interactive", &card).map_err(|(code, msg)| fail(400, code, &msg))?;
        if post.extra != "shared" || card["config"]["update_multi"] != true {
            return Err(fail(400, 230_099, "Failed to create card content, ext=the card is not shared: update_multi").into());
        }
        if self.message_second.take(id, call.now.mono_ms).is_err() {
            return Err(fail(400, 230_020, "This operation triggers the frequency limit.").into());
        }
        let buttons = buttons(&card).map_err(|why| fail(400, 230_099, &format!("Failed to create card content, ext={why}")))?;
        self.callbacks.keep(id, buttons);
        self.transcript.edit(id, |post| post.text.clone_from(&text));
        Ok(Answer::json(200, &json!({ "code": 0, "msg": "success", "data": {} })).accepted(0, text))
    }

    fn message(&mut self, call: &Call, parent: Option<&str>) -> Judged {
        let app = self.app(call)?;
        let types = ["open_id", "user_id", "union_id", "email", "chat_id"];
        if call.method != "POST" || parent.is_none() && !call.param("receive_id_type").is_some_and(|kind| types.contains(&kind)) {
            return Err(invalid("receive_id_type is wrong"));
        }
        let body = call.object().ok_or_else(|| invalid("body is not JSON"))?;
        let receiver = match parent {
            Some(id) => self.known(id).map(|_| id.to_owned())?,
            None => body["receive_id"].as_str().filter(|r| !r.is_empty()).ok_or_else(|| invalid("receive_id is empty"))?.to_owned(),
        };
        let kind = body["msg_type"].as_str().ok_or_else(|| invalid("msg_type is empty"))?;
        // The content is JSON inside a string.
        let content = body["content"].as_str().ok_or_else(|| invalid("content is not a string in json format."))?;
        let parsed: Value = serde_json::from_str(content).map_err(|_| invalid("content is not a string in json format."))?;
        if content.len() > if kind == "text" { MAX_TEXT } else { MAX_CARD } {
            return Err(fail(400, 230_025, "The length of the message content reaches its limit.").into());
        }
        let text = read(kind, &parsed).map_err(|(code, msg)| fail(400, code, &msg))?;
        if parent.is_none() && self.receivers.as_ref().is_some_and(|r| !r.contains(&receiver)) {
            let chat = call.param("receive_id_type") == Some("chat_id");
            return Err(if chat {
                fail(400, 230_002, "Bot/User can NOT be out of the chat.")
            } else {
                fail(400, 230_013, "Bot has NO availability to this user.")
            }
            .into());
        }
        if let Some((status, code, msg)) = self.next.pop_front() {
            return Err(fail(status, code, &msg).into());
        }
        if self.receiver_second.take(&receiver, call.now.mono_ms).is_err() {
            return Err(fail(429, 99_991_400, "request trigger frequency limit")
                .header("x-ogw-ratelimit-limit", 5)
                .header("x-ogw-ratelimit-reset", 1)
                .into());
        }
        let chat = if receiver.starts_with("oc_") { receiver.clone() } else { "oc_1".to_owned() };
        let reply =
            |id: &str| Answer::json(200, &json!({ "code": 0, "msg": "success", "data": { "message_id": id, "chat_id": chat, "msg_type": kind } }));
        let uuid = body["uuid"].as_str().unwrap_or("");
        if uuid.len() > 50 {
            return Err(invalid("uuid is longer than 50"));
        }
        if let Some((at, id)) = self.seen.get(uuid)
            && call.now.mono_ms < at + 3_600_000
        {
            return Ok(reply(id).accepted(0, "").verdict(Verdict::Duplicate).to([receiver]));
        }
        let buttons = buttons(&parsed).map_err(|why| fail(400, 230_099, &format!("Failed to create card content, ext={why}")))?;
        self.counter += 1;
        let id = format!("om_{:032x}", self.counter);
        self.callbacks.keep(&id, buttons);
        if !uuid.is_empty() {
            self.seen.insert(uuid.to_owned(), (call.now.mono_ms, id.clone()));
        }
        let extra = match kind {
            "text" => "text",
            _ if parsed["config"]["update_multi"] == true => "shared",
            _ => "",
        };
        let post = Post {
            text: text.clone(),
            parent: parent.filter(|_| body["reply_in_thread"] == true).map(str::to_owned),
            author: app,
            posted_ms: call.now.mono_ms,
            edits: 0,
            extra: extra.to_owned(),
        };
        // Who does not follow a topic hears of a reply that mentions; a reply outside a topic is a message of the chat.
        let rings = post.parent.is_none() || !mentions(&text).is_empty();
        self.transcript.post(id.clone(), post, rings);
        Ok(reply(&id).to(std::iter::once(receiver).chain(mentions(&text))).accepted(0, text))
    }
}

fn read(kind: &str, content: &Value) -> Result<String, (i64, String)> {
    let bad = |code: i64, msg: &str| (code, msg.to_owned());
    match kind {
        "text" => {
            content["text"].as_str().filter(|t| !t.is_empty()).map(str::to_owned).ok_or_else(|| bad(9499, "fail to parse content: text is empty"))
        }
        "post" => {
            let post = if content["post"].is_object() { &content["post"] } else { content };
            let language = post.as_object().and_then(|o| o.values().next()).filter(|l| l["content"].is_array());
            let mut out = vec![language.ok_or_else(|| bad(9499, "fail to parse content: post"))?["title"].as_str().unwrap_or("").to_owned()];
            language.into_iter().for_each(|l| collect(&l["content"], &mut out));
            Ok(out.join("\n"))
        }
        "interactive" => {
            let (elements, version2) = if content["schema"] == "2.0" { (&content["body"]["elements"], true) } else { (&content["elements"], false) };
            let all_tagged = elements.as_array().is_some_and(|e| !e.is_empty() && e.iter().all(|x| x["tag"].is_string()));
            if !all_tagged {
                return Err(bad(230_099, "Failed to create card content, ext=ErrCode: 11310; ErrMsg: elements is wrong"));
            }
            let template = &content["header"]["template"];
            let colours = ["blue", "wathet", "turquoise", "green", "yellow", "orange", "red", "carmine", "violet", "purple", "indigo", "grey"];
            if !template.is_null() && !template.as_str().is_some_and(|t| colours.contains(&t)) {
                return Err(bad(230_099, "Failed to create card content, ext=ErrCode: 11310; ErrMsg: header template is wrong"));
            }
            if version2 && elements.as_array().is_some_and(|e| e.iter().any(|x| x["tag"] == "action")) {
                return Err(bad(230_099, "Failed to create card content, ext=ErrCode: 200861; ErrMsg: unsupported tag action in schema 2.0"));
            }
            let mut out = Vec::new();
            collect(&content["header"], &mut out);
            collect(elements, &mut out);
            Ok(out.join("\n"))
        }
        "image" | "share_chat" => Ok(String::new()),
        _ => Err(bad(230_001, "msg_type is wrong")),
    }
}

/// Every `content` and `text` string, in order.
fn collect(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|i| collect(i, out)),
        Value::Object(map) => {
            for (key, v) in map {
                match v {
                    Value::String(s) if key == "content" || key == "text" => out.push(s.clone()),
                    Value::String(s) if key == "user_id" => out.push(format!("<at user_id=\"{s}\"></at>")),
                    _ => collect(v, out),
                }
            }
        }
        _ => {}
    }
}

/// Who is mentioned: `<at user_id="x">`, `<at id=x>`, `<at email=x>`.
fn mentions(text: &str) -> Vec<String> {
    let tags = text.match_indices("<at ").filter_map(|(at, _)| text[at + 4..].split_once('>')).map(|(tag, _)| tag);
    tags.filter_map(|t| t.split_once('=')).map(|(_, v)| format!("@{}", v.trim_matches(['"', '\'', ' ']))).collect()
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "hook": "hook-token", "secret": "hook-secret", "app_id": "cli_1", "app_secret": "app-secret" });
    let feishu = Sample::new(credentials, || Feishu::new("hook-token", Some("hook-secret"), "cli_1", "app-secret"))
        .channel(
            "feishu",
            "/open-apis/bot/v2/hook",
            &["hook-token", "hook-secret"],
            r#"feishu: { token: hook-token, secret: hook-secret, api_base: "BASE" }"#,
        )
        .channel(
            "feishu-app",
            "/open-apis/im/v1/messages",
            &["app-secret"],
            r#"feishu: { app_id: cli_1, app_secret: app-secret, to: [oc_1], api_base: "BASE" }"#,
        );
    vec![feishu]
}
