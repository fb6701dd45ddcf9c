//! How a bot of Telegram learns of presses: `getUpdates` (one poller, an offset that confirms, answers that are held), or a webhook; and how it answers
//! them. <https://core.telegram.org/bots/api#getting-updates>, texts as in <https://github.com/tdlib/telegram-bot-api>.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Answer, Call};
use super::clock::Now;
use super::telegram::{Telegram, bad, fail, key};

/// Updates are kept so long (<https://core.telegram.org/bots/api#getting-updates>).
const KEPT: Duration = Duration::from_secs(86_400);

/// What a client shows of an answer to a press.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The text.
    pub text: String,
    /// Whether it must be closed, instead of fading.
    pub alert: bool,
}

/// Where updates are posted.
#[derive(Debug, Clone, Default)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The value of `X-Telegram-Bot-Api-Secret-Token`.
    pub secret: Option<String>,
}

/// The updates of the one bot.
pub struct Updates {
    /// Where they are posted; then nobody can poll.
    pub webhook: Option<Webhook>,
    /// What clients show of answers to presses, by the id of the press.
    pub shown: HashMap<String, Shown>,
    /// A press is answered within this time; the true one is not documented.
    pub answered_within: Duration,
    waiting: VecDeque<(i64, u64, Value)>,
    presses: HashMap<String, u64>,
    next: i64,
    allowed: Option<Vec<String>>,
    /// The poll that is held: the number of its request, and until when it is held.
    held: Option<(u64, u64)>,
    /// Polls that lost their place, and what they are answered.
    ended: HashMap<u64, &'static str>,
}

impl Default for Updates {
    fn default() -> Self {
        Self {
            webhook: None,
            shown: HashMap::new(),
            answered_within: Duration::from_secs(15),
            waiting: VecDeque::new(),
            presses: HashMap::new(),
            next: 731_000_000,
            allowed: None,
            held: None,
            ended: HashMap::new(),
        }
    }
}

fn ok(result: &Value) -> Answer {
    Answer::json(200, &json!({ "ok": true, "result": result }))
}

impl Telegram {
    /// Somebody presses the button with this text under a message: the id of the press, and the update. It waits to be polled where no webhook is set.
    pub fn press(&mut self, chat: i64, message_id: i64, label: &str, now: Now) -> (String, Value) {
        let shown = self.transcript.get(&key(&chat.to_string(), message_id)).expect("the message is there");
        let whole: Value = serde_json::from_str(&shown.extra).unwrap();
        let mut buttons = whole[3]["inline_keyboard"].as_array().into_iter().flatten().flat_map(|row| row.as_array().unwrap());
        let button = buttons.find(|button| button["text"] == label).unwrap_or_else(|| panic!("no button {label}: {whole}"));
        let data = button["callback_data"].as_str().expect("a button that the bot hears of").to_owned();
        let id = format!("43821{}", self.updates.next);
        let from = json!({ "id": 4711, "is_bot": false, "first_name": "Anna", "last_name": "Meier", "username": "anna", "language_code": "de" });
        let message = json!({ "message_id": message_id, "date": now.wall_s(), "chat": { "id": chat, "type": "supergroup", "title": "Ops" }, "text": shown.text });
        let query = json!({ "id": id, "from": from, "message": message, "chat_instance": "-77", "data": data });
        self.updates.presses.insert(id.clone(), now.mono_ms);
        (id, self.updates.add("callback_query", query, now))
    }
}

impl Updates {
    /// An update of this kind.
    pub fn add(&mut self, kind: &str, what: Value, now: Now) -> Value {
        let update = json!({ "update_id": self.next, kind: what });
        if self.webhook.is_none() && self.allowed.as_ref().is_none_or(|allowed| allowed.is_empty() || allowed.iter().any(|one| one == kind)) {
            self.waiting.push_back((self.next, now.mono_ms, update.clone()));
        }
        self.next += 1;
        update
    }

    /// The next update has this number, as after a week without any.
    pub fn count_from(&mut self, number: i64) {
        self.next = number;
    }

    /// Updates that are not confirmed.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether somebody polls.
    pub fn is_polled(&self) -> bool {
        self.held.is_some()
    }

    /// The answer to a method about updates; `None` for other methods.
    pub(super) fn answer(&mut self, method: &str, body: &Value, call: &Call) -> Option<Answer> {
        Some(match method {
            "getUpdates" => self.poll(body, call),
            "answerCallbackQuery" => self.answer_press(body, call.now),
            "getWebhookInfo" => {
                let url = self.webhook.as_ref().map_or("", |webhook| webhook.url.as_str());
                ok(&json!({ "url": url, "has_custom_certificate": false, "pending_update_count": self.waiting.len() }))
            }
            "setWebhook" => self.set_webhook(body),
            "deleteWebhook" => {
                self.webhook = None;
                ok(&json!(true))
            }
            _ => return None,
        })
    }

    fn set_webhook(&mut self, body: &Value) -> Answer {
        let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let Some(url) = text("url") else {
            self.webhook = None;
            return ok(&json!(true));
        };
        if !url.starts_with("https://") {
            return bad("bad webhook: An HTTPS URL must be provided for webhook");
        }
        let secret = text("secret_token");
        if secret.as_ref().is_some_and(|secret| secret.len() > 256) {
            return bad("secret token is too long");
        }
        if secret.as_ref().is_some_and(|secret| !secret.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')) {
            return bad("secret token contains unallowed characters");
        }
        self.webhook = Some(Webhook { url, secret });
        self.end_poll("terminated by setWebhook request");
        ok(&json!(true))
    }

    fn end_poll(&mut self, why: &'static str) {
        if let Some((number, _)) = self.held.take() {
            self.ended.insert(number, why);
        }
    }

    fn poll(&mut self, body: &Value, call: &Call) -> Answer {
        let conflict = |why: &str| fail(409, &format!("Conflict: {why}"));
        if let Some(why) = self.ended.remove(&call.number) {
            return conflict(why);
        }
        if self.webhook.is_some() {
            return conflict("can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first");
        }
        // A number may be written as a text, as in a form.
        let number = |name: &str| body[name].as_i64().or_else(|| body[name].as_str()?.parse().ok());
        if self.held.is_none_or(|(held, _)| held != call.number) {
            self.end_poll("terminated by other getUpdates request; make sure that only one bot instance is running");
            let timeout = number("timeout").unwrap_or(0).clamp(0, 50) as u64;
            self.held = Some((call.number, call.now.mono_ms + timeout * 1000));
            if let Some(allowed) = body["allowed_updates"].as_array() {
                self.allowed = Some(allowed.iter().filter_map(|kind| kind.as_str().map(str::to_owned)).collect());
            }
        }
        let too_old = call.now.mono_ms.saturating_sub(KEPT.as_millis() as u64);
        self.waiting.retain(|(_, at, _)| *at >= too_old);
        match number("offset").unwrap_or(0) {
            offset if offset < 0 => {
                let keep = offset.unsigned_abs() as usize;
                self.waiting.drain(..self.waiting.len().saturating_sub(keep));
            }
            // <https://github.com/tdlib/td/blob/master/tddb/td/db/TQueue.cpp>: it is in the future, so all that waits is returned.
            offset if offset > self.next + 10 => {}
            offset => self.waiting.retain(|(id, ..)| *id >= offset),
        }
        let limit = number("limit").filter(|limit| (1..=100).contains(limit)).unwrap_or(100) as usize;
        let updates: Vec<&Value> = self.waiting.iter().take(limit).map(|(_, _, update)| update).collect();
        if updates.is_empty() && self.held.is_some_and(|(_, until)| call.now.mono_ms < until) {
            return Answer::held();
        }
        self.held = None;
        ok(&json!(updates))
    }

    fn answer_press(&mut self, body: &Value, now: Now) -> Answer {
        let text = body["text"].as_str().unwrap_or_default();
        if text.chars().count() > 200 {
            return bad("MESSAGE_TOO_LONG");
        }
        let id = body["callback_query_id"].as_str().unwrap_or_default();
        let window = self.answered_within.as_millis() as u64;
        // A press is answered once.
        if self.presses.remove(id).is_none_or(|at| now.mono_ms - at > window) {
            return bad("query is too old and response timeout expired or query ID is invalid");
        }
        self.shown.insert(id.to_owned(), Shown { text: text.to_owned(), alert: body["show_alert"] == true });
        ok(&json!(true))
    }
}
