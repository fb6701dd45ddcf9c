//! What Telegram's Bot API answers, and what it means. Its code is an HTTP status; the description distinguishes refusals, in English or as the name
//! of an error of the server (`TOPIC_CLOSED`). Pure. <https://core.telegram.org/bots/api#making-requests>,
//! <https://core.telegram.org/method/messages.sendMessage#possible-errors>, <https://github.com/tdlib/telegram-bot-api>

use jiff::Timestamp;
use serde::Deserialize;

use crate::channel::kit::{CodeRule, Reply, classify_status, classify_words, parse, says, weigh};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

/// A message that was not sent.
pub(super) struct Refusal {
    /// Why.
    pub error: SendError,
    /// The id under which the chat is to be found from now on.
    pub moved_to: Option<i64>,
    /// Whether its buttons are what is refused.
    pub of_buttons: bool,
    /// Whether it is an edit that would change nothing.
    pub unmodified: bool,
}

impl From<SendError> for Refusal {
    fn from(error: SendError) -> Self {
        Self { error, moved_to: None, of_buttons: false, unmodified: false }
    }
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error_code: i64,
    #[serde(default)]
    description: String,
    #[serde(default)]
    result: serde_json::Value,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Parameters {
    migrate_to_chat_id: Option<i64>,
}

/// Descriptions under 400 (and 403, where none of them is missed: there everything concerns the chat).
const ERROR_WORDS: &[CodeRule] = &[
    // First, for it quotes the message.
    (
        &["message text is empty", "message is too long", "text is too long", "can't parse entities", "utf-8"],
        ErrorKind::Rejected,
        "its content is not accepted; look at what the template renders",
    ),
    (
        &["too many requests", "slowmode_wait", "flood_wait", "peer_flood", "slow mode"],
        ErrorKind::RateLimited { retry_after: None },
        "too many messages came too fast",
    ),
    (
        &["group chat was upgraded to a supergroup chat", "group chat was migrated to a supergroup chat"],
        ErrorKind::Misconfigured,
        "the group has become a supergroup; write its new id (-100...) into `chat`",
    ),
    (
        &["chat not found", "chat_id", "chat identifier", "peer_id_invalid", "channel_invalid", "user not found", "user_id_invalid"],
        ErrorKind::Misconfigured,
        "there is no such chat, or the bot is not in it; check `chat`, and add the bot",
    ),
    (
        &["message thread", "topic_closed", "topic_deleted", "topic_id_invalid", "topic is closed", "topic not found", "forum"],
        ErrorKind::Misconfigured,
        "the topic is closed or does not exist any more; open it again, or change `thread_id`",
    ),
    (
        &[
            "not enough rights",
            "have no rights",
            "no rights to send",
            "need administrator rights",
            "chat_write_forbidden",
            "chat_send_plain_forbidden",
            "chat_guest_send_forbidden",
            "chat_restricted",
            "chat_admin_required",
            "chat_forbidden",
            "channel_private",
            "user_banned_in_channel",
            "user_restricted",
            "user_privacy_restricted",
            "privacy_premium_required",
            "premium_account_required",
            "allow_payment_required",
            "bot_method_invalid",
            "paid messages",
        ],
        ErrorKind::Misconfigured,
        "the bot may not write in this chat; give it the right to send messages",
    ),
    (
        &[
            "bot was kicked",
            "bot was blocked",
            "bot is not a member",
            "user is deactivated",
            "user_is_blocked",
            "input_user_deactivated",
            "user_deactivated",
            "group chat was deactivated",
            "group chat was deleted",
            "can't initiate conversation",
            "user_is_bot",
            "bots can't send messages to bots",
            "bot can't send messages to the bot",
        ],
        ErrorKind::Misconfigured,
        "the bot is not in the chat any more, or the person blocked it; add it again, or let the person start it",
    ),
    // By `logOut`: the bot moved to a server of its own (<https://core.telegram.org/bots/api#logout>).
    (&["logged out"], ErrorKind::Misconfigured, "the bot's token is not accepted; check it with @BotFather"),
];

/// Errors about somebody who is mentioned.
const MENTION: &[CodeRule] = &[(&["entity_mention_user_invalid"], ErrorKind::Rejected, "somebody who is mentioned is not known to the bot")];

/// Words of an error about buttons, or the keyboard that holds them (`BUTTON_URL_INVALID`, `reply markup is too long`).
const BUTTONS: &[&str] = &["button", "reply markup", "inline keyboard"];

/// Refusals of an edit or a reply: the message was deleted, or is none of this bot's.
/// <https://github.com/tdlib/telegram-bot-api/blob/master/telegram-bot-api/Client.cpp>
const GONE: &[&str] = &[
    "message to edit not found",
    "message can't be edited",
    "message to be replied not found",
    "message to reply not found",
    "reply message not found",
    "replied message not found",
    "message_id_invalid",
];

/// The refusal of an edit that changes nothing (same page).
const UNMODIFIED: &[&str] = &["message is not modified"];

/// The answer to a method that returns a message.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Receipt, Refusal> {
    let message = result(reply, now)?;
    let number = |value: &serde_json::Value| value.as_i64().map(|id| id.to_string());
    let ids = PlatformIds::one("chat_id", number(&message["chat"]["id"])).and("message_id", number(&message["message_id"]));
    Ok(reply.receipt("ok", ids))
}

/// What a method returns.
pub(super) fn result(reply: &Reply, now: Timestamp) -> Result<serde_json::Value, Refusal> {
    use ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};
    let answer: Answer = parse(reply, now)?;
    if answer.ok && reply.is_success() {
        return Ok(answer.result);
    }
    if answer.error_code == 0 && answer.description.is_empty() {
        let unreasoned = || reply.error(Rejected, "ok:false", "Telegram refused the message and does not say why");
        return Err(classify_status(reply, now).unwrap_or_else(unreasoned).into());
    }
    let mention = classify_words(MENTION, &answer.description);
    let gone = says(&answer.description, GONE).then_some((Rejected, "the message was deleted, or is not the bot's own"));
    let said = mention.or(gone).or_else(|| classify_words(ERROR_WORDS, &answer.description));
    let (known, advice) = match (answer.error_code, said) {
        (420 | 429, _) => (RateLimited { retry_after: None }, "too many messages came too fast"),
        (500..=599 | 409, _) => (Transient, "it could not serve the request this time"),
        (401 | 404, _) => (Misconfigured, "the bot's token is not accepted; check it with @BotFather"),
        (400, Some(said)) => said,
        (403, Some((kind @ (Misconfigured | RateLimited { .. }), advice))) => (kind, advice),
        (403 | 406, _) => (Misconfigured, "the bot may not write there; add it to the chat again, or let the person start it"),
        (400 | 413, None) => (Rejected, "its content is not accepted; look at what the template renders"),
        _ => (Rejected, "it refused the message"),
    };
    let kind = weigh(reply, now, Some(known));
    let error = reply.error(kind, answer.error_code.to_string(), format!("Telegram: {advice} (\"{}\")", answer.description));
    let error = if mention.is_some() && kind == Rejected { error.of_mentions() } else { error };
    let error = if gone.is_some() && kind == Rejected { error.gone() } else { error };
    let unmodified = kind == Rejected && says(&answer.description, UNMODIFIED);
    let of_buttons = kind == Rejected && !unmodified && says(&answer.description, BUTTONS);
    Err(Refusal { error, moved_to: answer.parameters.migrate_to_chat_id, of_buttons, unmodified })
}
