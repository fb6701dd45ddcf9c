//! Telegram's Bot API: `sendMessage`, `editMessageText`, `deleteMessage`, `getMe`, and what belongs to updates (`telegram_updates.rs`). The HTTP status is
//! the `error_code`. HTML and MarkdownV2 are parsed strictly; the length is counted after parsing.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::rate::{Limiter, Pace};
use super::sample::Sample;
use super::server::Platform;
use super::telegram_updates::Updates;
use super::transcript::{Post, Transcript};

/// What prevents messages to a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chat {
    /// Nothing.
    Open,
    /// 403, the user blocked the bot.
    Blocked,
    /// 403, the bot was kicked.
    Kicked,
    /// 400 with `migrate_to_chat_id`.
    Migrated(i64),
}

/// The bot server.
pub struct Telegram {
    /// Good bot tokens.
    pub tokens: Vec<String>,
    /// Chats by id as text (`-1001`, `@channel`); others are not found.
    pub chats: HashMap<String, Chat>,
    /// One message a second to one chat (short bursts of three).
    pub per_chat: Limiter,
    /// 20 a minute to one group (negative ids).
    pub per_group: Limiter,
    /// 30 a second over all.
    pub overall: Limiter,
    /// The messages by chat and number (`-1001/7`).
    pub transcript: Transcript,
    /// Presses, and how the bot learns of them.
    pub updates: Updates,
    /// What the bot is in each chat (`getChatMember`); a member where nothing is said.
    pub memberships: HashMap<String, Value>,
    /// The last number of each chat.
    last_id: HashMap<String, i64>,
}

impl Telegram {
    /// A bot and its open chats.
    pub fn new(token: &str, chats: &[&str]) -> Self {
        Self {
            tokens: vec![token.to_owned()],
            chats: chats.iter().map(|c| ((*c).to_owned(), Chat::Open)).collect(),
            per_chat: Limiter::new(Pace::Bucket { every: Duration::from_secs(1), burst: 3 }),
            per_group: Limiter::new(Pace::per(20, Duration::from_secs(60))),
            overall: Limiter::new(Pace::per(30, Duration::from_secs(1))),
            transcript: Transcript::default(),
            updates: Updates::default(),
            memberships: HashMap::new(),
            last_id: HashMap::new(),
        }
    }
}

pub(super) fn fail(code: u16, description: &str) -> Answer {
    Answer::json(code, &json!({ "ok": false, "error_code": code, "description": description })).refused(code)
}

pub(super) fn key(chat: &str, message: i64) -> String {
    format!("{chat}/{message}")
}

/// A field of a form: lists, objects and flags are JSON there, and numbers may be written as texts.
fn of_form(name: &str, value: String) -> Value {
    let is_json = value.starts_with(['[', '{']) || matches!(value.as_str(), "true" | "false") || name == "message_id";
    let read = (is_json && name != "text").then(|| serde_json::from_str(&value).ok()).flatten();
    read.unwrap_or(Value::String(value))
}

pub(super) fn bad(description: &str) -> Answer {
    fail(400, &format!("Bad Request: {description}"))
}

impl Platform for Telegram {
    fn name(&self) -> &'static str {
        "telegram"
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let Some((token, method)) = call.path.strip_prefix("/bot").and_then(|p| p.split_once('/')) else { return fail(404, "Not Found") };
        if !self.tokens.iter().any(|t| t == token) {
            return fail(401, "Unauthorized");
        }
        let body = match call.media_type().as_str() {
            "application/json" => match call.object() {
                Some(body) => body,
                None => return bad("can't parse JSON object"),
            },
            _ => Value::Object(call.query.iter().cloned().chain(call.form()).map(|(k, v)| (k.clone(), of_form(&k, v))).collect()),
        };
        match method {
            "getMe" => {
                Answer::json(200, &json!({ "ok": true, "result": { "id": 1, "is_bot": true, "first_name": "Watcher", "username": "watcher_bot" } }))
            }
            "getChat" | "getChatMember" => self.about_chat(method, &body),
            "sendMessage" | "editMessageText" | "deleteMessage" => {
                let token = token.to_owned();
                self.message(call, method, &body, &token)
            }
            _ => self.updates.answer(method, &body, call).unwrap_or_else(|| fail(404, "Not Found: method not found")),
        }
    }

    fn limiters(&mut self) -> Vec<&mut Limiter> {
        vec![&mut self.per_chat, &mut self.per_group, &mut self.overall]
    }

    fn transcript(&mut self) -> Option<&mut Transcript> {
        Some(&mut self.transcript)
    }
}

impl Telegram {
    fn about_chat(&self, method: &str, body: &Value) -> Answer {
        let chat = body["chat_id"].as_str().unwrap_or_default();
        let kind = if chat.starts_with('@') { "channel" } else { "supergroup" };
        match self.chats.get(chat) {
            None => bad("chat not found"),
            Some(Chat::Kicked) => fail(403, "Forbidden: bot was kicked from the supergroup chat"),
            Some(_) if method == "getChat" => {
                let result = json!({ "id": -1, "type": kind, "title": "ops", "permissions": { "can_send_messages": true } });
                Answer::json(200, &json!({ "ok": true, "result": result }))
            }
            Some(_) if body["user_id"].as_i64().is_none_or(|id| id <= 0) => bad("invalid user_id specified"),
            Some(_) => {
                let member = self.memberships.get(chat).cloned().unwrap_or_else(|| json!({ "status": "member" }));
                Answer::json(200, &json!({ "ok": true, "result": member }))
            }
        }
    }

    fn message(&mut self, call: &Call, method: &str, body: &Value, token: &str) -> Answer {
        let chat = match &body["chat_id"] {
            Value::Number(n) => n.to_string(),
            Value::String(s) if !s.is_empty() => s.clone(),
            _ => return bad("chat_id is empty"),
        };
        match self.chats.get(&chat) {
            None => return bad("chat not found"),
            Some(Chat::Open) => {}
            Some(Chat::Blocked) => return fail(403, "Forbidden: bot was blocked by the user"),
            Some(Chat::Kicked) => return fail(403, "Forbidden: bot was kicked from the supergroup chat"),
            Some(Chat::Migrated(to)) => {
                let text = "Bad Request: group chat was upgraded to a supergroup chat";
                let reply = json!({ "ok": false, "error_code": 400, "description": text, "parameters": { "migrate_to_chat_id": to } });
                return Answer::json(400, &reply).refused("migrate");
            }
        }
        let message_id = body["message_id"].as_i64().unwrap_or(0);
        if method == "deleteMessage" {
            return match self.transcript.delete(&key(&chat, message_id)) {
                true => Answer::json(200, &json!({ "ok": true, "result": true })),
                false => bad("message to delete not found"),
            };
        }
        let raw = body["text"].as_str().unwrap_or("");
        let parsed = match body["parse_mode"].as_str() {
            None => Ok(raw.to_owned()),
            Some("HTML") => html(raw),
            Some("MarkdownV2") => markdown(raw),
            Some(_) => return bad("unsupported parse_mode"),
        };
        let text = match parsed {
            Ok(text) => text,
            Err(why) => return bad(&format!("can't parse entities: {why}")),
        };
        if text.trim().is_empty() {
            return bad("message text is empty");
        }
        if text.encode_utf16().count() > 4096 {
            return bad("message is too long");
        }
        let buttons = body["reply_markup"]["inline_keyboard"].as_array().into_iter().flatten().flat_map(|row| row.as_array().into_iter().flatten());
        for button in buttons {
            if button["text"].as_str().is_none_or(str::is_empty) || button["callback_data"].as_str().is_some_and(|d| d.len() > 64) {
                return bad("BUTTON_DATA_INVALID");
            }
            // As the Bot API server answers: <https://github.com/tdlib/telegram-bot-api/issues/147>
            let host = button["url"].as_str().map(|url| url.split('/').nth(2).unwrap_or_default().split(':').next().unwrap_or_default().to_owned());
            if host.is_some_and(|host| !host.contains('.')) {
                return bad("inline keyboard button URL is invalid: Wrong HTTP URL");
            }
        }
        // What is compared: the text as it came, its markup and its keyboard.
        let whole = json!([raw, body["parse_mode"], body["entities"], body["reply_markup"]]).to_string();
        let parent = body["reply_parameters"]["message_id"].as_i64();
        let is_edit = method == "editMessageText";
        if is_edit {
            match self.transcript.get(&key(&chat, message_id)) {
                None => return bad("message to edit not found"),
                Some(post) if post.author != token => return bad("message can't be edited"),
                Some(post) if post.extra == whole => {
                    return bad(
                        "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message",
                    );
                }
                Some(_) => {}
            }
        } else if let Some(parent) = parent
            && self.transcript.get(&key(&chat, parent)).is_none()
            && body["reply_parameters"]["allow_sending_without_reply"] != true
        {
            return bad("message to be replied not found");
        }
        let now = call.now.mono_ms;
        let group = if chat.starts_with('-') { self.per_group.take(&chat, now) } else { Ok(()) };
        if let Err(wait) = group.and_then(|()| self.per_chat.take(&chat, now)).and_then(|()| self.overall.take("", now)) {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let text = format!("Too Many Requests: retry after {seconds}");
            let reply = json!({ "ok": false, "error_code": 429, "description": text, "parameters": { "retry_after": seconds } });
            return Answer::json(429, &reply).header("retry-after", seconds).refused(429);
        }
        let id = if is_edit {
            self.transcript.edit(&key(&chat, message_id), |post| {
                post.text.clone_from(&text);
                post.extra = whole;
            });
            message_id
        } else {
            let last = self.last_id.entry(chat.clone()).or_default();
            *last += 1;
            let parent = parent.map(|parent| key(&chat, parent));
            let post = Post { text: text.clone(), parent, author: token.to_owned(), posted_ms: now, edits: 0, extra: whole };
            self.transcript.post(key(&chat, *last), post, body["disable_notification"] != true);
            *last
        };
        // An id is a number, however the request wrote it.
        let number = chat.parse::<i64>().map_or_else(|_| json!(-1_000_000_000_001_i64), |id| json!(id));
        let result = json!({ "message_id": id, "date": call.now.wall_s(), "chat": { "id": number, "type": "group" }, "text": text });
        Answer::json(200, &json!({ "ok": true, "result": result })).accepted("ok", text).to([chat])
    }
}

/// The text that remains of Telegram's HTML.
pub fn html(text: &str) -> Result<String, String> {
    const TAGS: [&str; 15] = ["b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "span", "tg-spoiler", "a", "code", "pre", "blockquote"];
    let (mut out, mut open, mut rest): (String, Vec<String>, &str) = (String::new(), Vec::new(), text);
    while let Some(at) = rest.find(['<', '&']) {
        out.push_str(&rest[..at]);
        let offset = text.len() - rest.len() + at;
        rest = &rest[at..];
        if rest.starts_with('&') {
            let named = [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"), ("&quot;", "\"")].into_iter().find(|(n, _)| rest.starts_with(n));
            let (len, value) = named.map_or((1, "&"), |(n, v)| (n.len(), v));
            out.push_str(value);
            rest = &rest[len..];
            continue;
        }
        let end = rest.find('>').ok_or_else(|| format!("Unclosed start tag at byte offset {offset}"))?;
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(top) if top == name => {}
                Some(top) => return Err(format!("Unmatched end tag at byte offset {offset}, expected \"</{top}>\", found \"</{name}>\"")),
                None => return Err(format!("Unexpected end tag at byte offset {offset}")),
            }
            continue;
        }
        let name = tag.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        if !TAGS.contains(&name.as_str()) {
            return Err(format!("Unsupported start tag \"{name}\" at byte offset {offset}"));
        }
        open.push(name);
    }
    match open.pop() {
        Some(name) => Err(format!("Can't find end tag corresponding to start tag \"{name}\"")),
        None => Ok(out + rest),
    }
}

/// The text that remains of MarkdownV2; characters that must be escaped and are not are errors.
pub fn markdown(text: &str) -> Result<String, String> {
    let (mut out, mut open): (String, Vec<&str>) = (String::new(), Vec::new());
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let code = open.last() == Some(&"`");
        match c {
            '\\' => match chars.next() {
                Some((_, e)) if e.is_ascii() && !e.is_ascii_alphanumeric() => out.push(e),
                _ => return Err(format!("Character '\\' is reserved and must be escaped with the preceding '\\' at offset {at}")),
            },
            '`' if code => {
                open.pop();
            }
            _ if code => out.push(c),
            '*' | '_' | '~' | '|' | '`' => {
                let mark = match c {
                    '*' => "*",
                    '_' => "_",
                    '~' => "~",
                    '|' => "|",
                    _ => "`",
                };
                if c == '|' && chars.next_if(|(_, n)| *n == '|').is_none() {
                    return Err("Character '|' is reserved and must be escaped with the preceding '\\'".to_owned());
                }
                if open.last() == Some(&mark) {
                    open.pop();
                } else {
                    open.push(mark);
                }
            }
            '[' => open.push("["),
            ']' if open.last() == Some(&"[") => {
                open.pop();
                if chars.next_if(|(_, n)| *n == '(').is_some() && !chars.by_ref().any(|(_, n)| n == ')') {
                    return Err("Can't find end of a URL".to_owned());
                }
            }
            '>' if out.is_empty() || out.ends_with('\n') => {}
            ']' | '(' | ')' | '>' | '#' | '+' | '-' | '=' | '{' | '}' | '.' | '!' => {
                return Err(format!("Character '{c}' is reserved and must be escaped with the preceding '\\'"));
            }
            _ => out.push(c),
        }
    }
    if open.is_empty() { Ok(out) } else { Err("Can't find end of the entity starting at byte offset 0".to_owned()) }
}

/// With fixed credentials, and the channels that send to it.
pub fn samples() -> Vec<Sample> {
    let credentials = json!({ "token": "1:tg-secret", "chats": ["-1001", "42"] });
    let yaml = r#"telegram: { token: "1:tg-secret", chat: -1001, api_base: "BASE" }"#;
    vec![Sample::new(credentials, || Telegram::new("1:tg-secret", &["-1001", "42"])).channel("telegram", "/sendMessage", &["1:tg-secret"], yaml)]
}
