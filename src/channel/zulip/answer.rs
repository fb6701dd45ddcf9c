//! What Zulip answers, and what it means. Most errors have a code; the others differ only in their words, which are in the language of the bot's
//! organization. Pure. <https://zulip.com/api/rest-error-handling>, <https://zulip.com/api/send-message#response>

use jiff::Timestamp;
use serde::Deserialize;

use crate::channel::kit::{CodeRule, Reply, classify, classify_status, classify_words, parse, unclear, weigh};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    id: Option<u64>,
}

const ERROR_CODES: &[CodeRule] = &[
    (
        &["INVALID_API_KEY", "UNAUTHORIZED", "UNAUTHENTICATED_USER", "AUTHENTICATION_FAILED"],
        ErrorKind::Misconfigured,
        "`email` and `api_key` are not accepted; copy both from the bot's zuliprc file",
    ),
    (&["USER_DEACTIVATED"], ErrorKind::Misconfigured, "the bot is deactivated; activate it again, or use another one"),
    (&["REALM_DEACTIVATED", "NONEXISTENT_SUBDOMAIN"], ErrorKind::Misconfigured, "there is no such organization; check `site`"),
    (
        &["STREAM_DOES_NOT_EXIST", "CHANNEL_DOES_NOT_EXIST"],
        ErrorKind::Misconfigured,
        "there is no such channel, or the bot may not see it; check `channel`, and subscribe the bot if it is private",
    ),
    (&["RATE_LIMIT_HIT"], ErrorKind::RateLimited { retry_after: None }, "too many requests came too fast"),
    (&["REQUEST_TIMEOUT", "SERVER_NOT_READY"], ErrorKind::Transient, "the server could not take the message this time"),
    (&["REQUEST_VARIABLE_MISSING", "REQUEST_VARIABLE_INVALID"], ErrorKind::Rejected, "its content is not accepted"),
];

/// Codes for a mention that the bot may not make.
const MENTIONS: &[&str] = &["STREAM_WILDCARD_MENTION_NOT_ALLOWED", "TOPIC_WILDCARD_MENTION_NOT_ALLOWED"];

const NOBODY: &str = "there is no such person; check the address or id under `to`";

/// Words of errors whose code is only `BAD_REQUEST`.
const ERROR_WORDS: &[CodeRule] = &[
    (
        &["malformed api key", "invalid api key"],
        ErrorKind::Misconfigured,
        "`email` and `api_key` are not accepted; copy both from the bot's zuliprc file",
    ),
    (
        &[
            "not authorized to send",
            "direct messages are disabled",
            "you do not have permission",
            "user not authorized",
            "direct messages outside of your organization",
            "can send to this channel",
            "can send to this stream",
            "new members cannot send",
            "not associated with this subdomain",
            // As a bot of a Chinese organization reads them.
            "您无权",
            "没有授权",
            "外发送私信",
        ],
        ErrorKind::Misconfigured,
        "the bot may not write there; look at the channel's permissions, and subscribe the bot",
    ),
    // Of a channel that has no topics (11.0): every message of ours has one.
    (&["topic is allowed in this channel"], ErrorKind::Misconfigured, "the channel takes no topics; allow them in its settings, or name another one"),
    (&["invalid email", "invalid user id", "no longer using zulip", "不再使用"], ErrorKind::Rejected, NOBODY),
    (&["must not be empty", "null bytes"], ErrorKind::Rejected, "its content is not accepted; look at what the template renders"),
];

/// The answer to a message: 200, the word `success` and the message's id.
pub(super) fn of_message(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    match read(reply, now)?.id {
        Some(id) => Ok(reply.receipt("success", PlatformIds::one("message_id", id.to_string()))),
        None => Err(unclear(reply)),
    }
}

/// The answer to a question that changes nothing.
pub(super) fn of_question(reply: &Reply, now: Timestamp) -> Result<(), SendError> {
    read(reply, now).map(|_| ())
}

fn read(reply: &Reply, now: Timestamp) -> Result<Answer, SendError> {
    let answer: Answer = parse(reply, now)?;
    if reply.is_success() && answer.result == "success" {
        return Ok(answer);
    }
    if reply.is_success() && answer.result != "error" {
        return Err(unclear(reply));
    }
    let of_mentions = MENTIONS.contains(&answer.code.as_str());
    let known = match of_mentions {
        true => Some((ErrorKind::Rejected, "the bot may not mention everybody there; let it, or mention people")),
        false => classify(ERROR_CODES, &answer.code).or_else(|| classify_words(ERROR_WORDS, &answer.msg)),
    };
    // A bad request is this message's fault unless its words say otherwise.
    let fallback = || (answer.code == "BAD_REQUEST").then_some(ErrorKind::Rejected);
    let kind = weigh(reply, now, known.map(|(kind, _)| kind).or_else(fallback));
    let advice = known
        .map_or_else(|| classify_status(reply, now).map_or("it refused the message".into(), |error| error.summary), |(_, advice)| advice.to_owned());
    let code = if answer.code.is_empty() { format!("HTTP {}", reply.status()) } else { answer.code };
    let error = reply.error(kind, code, format!("Zulip: {advice} (\"{}\")", answer.msg));
    Err(match kind {
        ErrorKind::Rejected if of_mentions => error.of_mentions(),
        ErrorKind::Rejected if advice == NOBODY => error.of_recipient(),
        _ => error,
    })
}
