//! Presses of buttons: polled by `getUpdates`, or posted by Telegram to the channel's press address. Telegram has one queue of updates for a bot, and
//! reports it either to one poller or to one address, so all channels of a token share a [`Bot`].
//! <https://core.telegram.org/bots/api#getting-updates>, <https://core.telegram.org/bots/api#callbackquery>

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer;
use crate::channel::{Callback, ListenContext, ListenEnd, Listener, Press, PressAnswer, PressCall, PressReply, Presser, kit};
use crate::model::{ErrorKind, PlatformIds, Secret, SendError};

/// How long Telegram holds a question that nothing answers yet; its servers hold none longer (`LONG_POLL_MAX_DELAY` in
/// <https://github.com/tdlib/telegram-bot-api/blob/master/telegram-bot-api/Client.h>).
const HELD: Duration = Duration::from_secs(50);
/// After this a question is lost, and with it the connection.
const LOST_AFTER: Duration = Duration::from_secs(65);
/// Our own, between questions that a server which holds none answers at once.
const PAUSE: Duration = Duration::from_secs(1);
/// Updates of one answer. Each holds the message, and the one that this answers; both may be 4,096 characters that are written as `\uXXXX`.
const UPDATES: usize = 10;
/// Bytes of an answer with so many updates.
const MAX_UPDATES: usize = 2 * 1024 * 1024;
/// Characters that a client shows of an answer (<https://core.telegram.org/bots/api#answercallbackquery>).
const MAX_ANSWER: usize = 200;

/// What a refusal of a poll says where presses go to an address.
const WEBHOOK: &[&str] = &["webhook", "setwebhook"];
/// The answer to a press that was answered before, or too long ago: nobody waits for it any more.
const TOO_LATE: &[&str] = &["query is too old", "query id is invalid", "query_id_invalid"];

/// A bot whose buttons are pressed, for all channels of its token.
#[derive(Default)]
pub(super) struct Bot {
    /// The chats of its channels.
    pub rooms: kit::Members<Room>,
}

/// A chat that a channel sends to, and how its bot is reached.
pub(super) struct Room {
    /// `<server>/bot<token>`: the token is part of the address.
    pub url: Secret,
    /// The bot's id, the public part of its token.
    pub bot: String,
    pub http: kit::Http,
    pub chat: String,
    /// Where the group went when it became a supergroup.
    pub moved: Mutex<Option<i64>>,
}

/// <https://core.telegram.org/bots/api#update>
#[derive(Deserialize)]
struct Update {
    update_id: i64,
    callback_query: Option<Query>,
}

#[derive(Deserialize)]
struct Query {
    id: String,
    from: User,
    /// Missing where the button is of a message that was sent inline, by somebody.
    message: Option<Message>,
    /// Missing for the button of a game.
    data: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: i64,
    #[serde(default)]
    first_name: String,
    #[serde(default)]
    last_name: String,
    #[serde(default)]
    username: String,
}

impl User {
    /// As clients show it.
    fn name(&self) -> String {
        let name = format!("{} {}", self.first_name, self.last_name).trim().to_owned();
        if name.is_empty() { self.username.clone() } else { name }
    }
}

#[derive(Deserialize)]
struct Message {
    chat: Chat,
    message_id: i64,
}

#[derive(Deserialize)]
struct Chat {
    id: i64,
    #[serde(default)]
    username: String,
}

impl Room {
    pub(super) fn method(&self, name: &str) -> String {
        kit::join(self.url.expose(), name)
    }

    pub(super) fn moved(&self) -> Option<i64> {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, chat: &Chat) -> bool {
        let by_name = self.chat.strip_prefix('@').is_some_and(|name| name.eq_ignore_ascii_case(&chat.username));
        by_name || self.chat == chat.id.to_string() || self.moved() == Some(chat.id)
    }
}

/// What a client shows the person who pressed; what Telegram says to it changes nothing. It holds no channel: one that is removed meanwhile is gone.
async fn show(http: kit::Http, url: String, answer: Value) {
    let call = http.post_json(url, &answer).idempotent();
    let refusal = match call.send(kit::within(Duration::from_secs(10))).await {
        Ok(reply) => answer::result(&reply, reply.date().unwrap_or_default()).err().map(|refusal| refusal.error),
        Err(error) => Some(error),
    };
    if let Some(error) = refusal.filter(|error| !kit::says(&error.summary, TOO_LATE)) {
        tracing::warn!(%error, "the answer to a press of a Telegram button was not shown");
    }
}

impl Bot {
    /// The press that an update is, and what its answer names; `None` for anything else.
    fn press(&self, update: Update, bot: &str) -> Option<(Press, String)> {
        let query = update.callback_query?;
        let Message { chat, message_id } = query.message?;
        let message = PlatformIds::one("chat_id", chat.id.to_string()).and("message_id", message_id.to_string());
        let foreign = !self.rooms.any(|room| room.is(&chat));
        let by = Presser { id: query.from.id.to_string(), name: query.from.name(), foreign };
        // Each bot counts its own updates.
        Some((Press { event_id: format!("{bot}.{}", update.update_id), value: query.data?, message, by }, query.id))
    }

    /// One question. The number of the next update confirms those before it, which are not returned again.
    async fn poll(&self, next: Option<i64>, held: Duration) -> Result<Vec<Value>, ListenEnd> {
        let room = self.rooms.last().ok_or(ListenEnd::Closed)?;
        let ask = json!({ "offset": next, "limit": UPDATES, "timeout": held.as_secs(), "allowed_updates": ["callback_query"] });
        let call = room.http.post_json(room.method("/getUpdates"), &ask).idempotent().longest(MAX_UPDATES);
        let reply = call.send(kit::within(LOST_AFTER)).await.map_err(ListenEnd::Lost)?;
        match answer::result(&reply, reply.date().unwrap_or_default()) {
            Ok(Value::Array(updates)) => Ok(updates),
            Ok(_) => Err(ListenEnd::Lost(kit::unclear(&reply))),
            Err(refusal) => Err(end(refusal.error)),
        }
    }
}

/// What a refused poll means: that it is refused because of a webhook or another poller is Telegram's 409.
fn end(error: SendError) -> ListenEnd {
    if error.code.as_deref() != Some("409") {
        return ListenEnd::Lost(error);
    }
    if !kit::says(&error.summary, WEBHOOK) {
        return ListenEnd::Replaced;
    }
    let help = "a webhook is set for this bot, so nobody can poll its presses; remove it with `deleteWebhook`, or take presses there by \
                `telegram.webhook_secret` instead of `telegram.buttons`";
    ListenEnd::Lost(SendError::new(ErrorKind::Misconfigured, help).code("409").detail(error.summary))
}

#[async_trait]
impl Listener for Bot {
    fn exclusive(&self) -> bool {
        true
    }

    async fn listen(&self, cx: &ListenContext) -> ListenEnd {
        // The first question is answered at once: with what came meanwhile, and with whether this server may ask.
        let (mut next, mut held) = (None, Duration::ZERO);
        loop {
            let updates = match self.poll(next, held).await {
                Ok(updates) => updates,
                Err(end) => {
                    cx.connected.send_replace(false);
                    return end;
                }
            };
            cx.connected.send_replace(true);
            let confirmed = next;
            for update in updates {
                // After a quiet week Telegram counts from a random number on, which may be a lower one (https://core.telegram.org/bots/api#update). It
                // passes over a question that is far beyond it, and returns what the question was to confirm.
                next = update["update_id"].as_i64().map(|id| id + 1).or(next);
                // A channel that is gone by now keeps nothing.
                let Some(room) = self.rooms.last() else { return ListenEnd::Closed };
                let press = serde_json::from_value(update).ok().and_then(|update| self.press(update, &room.bot));
                let Some((press, query)) = press else { continue };
                // It is stored before the next question confirms it.
                let answer = cx.presses.press(press).await;
                tokio::spawn(show(room.http.clone(), room.method("/answerCallbackQuery"), shown(&query, &answer)));
            }
            if next == confirmed && held > Duration::ZERO {
                kit::pause(PAUSE).await;
            }
            held = HELD;
        }
    }
}

/// What `answerCallbackQuery` takes: a line that fades, or what must be closed where what was asked for did not happen.
fn shown(query: &str, answer: &PressAnswer) -> Value {
    json!({ "callback_query_id": query, "text": kit::cut_units(&answer.text, MAX_ANSWER), "show_alert": !answer.done })
}

/// The press that Telegram posted, once the secret shows that it did.
pub(super) fn posted(bot: &Bot, room: &Room, secret: &Secret, call: &Callback<'_>) -> Result<PressCall, String> {
    let header = call.headers.get("x-telegram-bot-api-secret-token").ok_or("the header `X-Telegram-Bot-Api-Secret-Token` is missing")?;
    if !kit::same(header.as_bytes(), secret.expose().as_bytes()) {
        return Err("the header `X-Telegram-Bot-Api-Secret-Token` is not `telegram.webhook_secret`".into());
    }
    let update: Value = serde_json::from_slice(call.body).map_err(|error| format!("the body is no update: {error}"))?;
    // What is refused is posted for hours; an update of another kind means nothing here.
    let press = serde_json::from_value(update).ok().and_then(|update| bot.press(update, &room.bot));
    Ok(press.map_or(PressCall::Answer(PressReply::EMPTY), |(press, _)| PressCall::Press(press)))
}

/// The answer to it: the body of the HTTP answer calls a method.
/// <https://core.telegram.org/bots/api#making-requests-when-getting-updates>
pub(super) fn reply(call: &Callback<'_>, answer: &PressAnswer) -> PressReply {
    let query = serde_json::from_slice::<Update>(call.body).ok().and_then(|update| update.callback_query);
    let Some(query) = query else { return PressReply::EMPTY };
    let mut body = shown(&query.id, answer);
    body["method"] = "answerCallbackQuery".into();
    PressReply { status: StatusCode::OK, content_type: "application/json", body: body.to_string() }
}
