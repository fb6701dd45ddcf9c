//! What Discord answers to a webhook, and what it means. Pure.
//! <https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes>, <https://docs.discord.com/developers/topics/rate-limits>

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::channel::kit::{CodeRule, Reply, classify, classify_status, parse, unclear, weigh};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    channel_id: Option<String>,
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    /// Which of the request's fields are refused, as a tree of their names.
    #[serde(default)]
    errors: Value,
    /// The same of a query parameter, from before there were codes.
    #[serde(default)]
    thread_id: Value,
}

const FORUM: &str = "this is a forum: set `thread_id` to one of its threads, or make the webhook in a text channel";
const USERNAME: &str = "the name in `username` is not allowed (it may not hold the word `discord`, for one); change it";
const THREAD: &str = "there is no such thread in the webhook's channel; check `thread_id`";

/// Refusals of an edit after which only a new message helps: deleted, or of another webhook.
pub(super) const GONE: &[&str] = &["10008", "50005"];

const ERROR_CODES: &[CodeRule] = &[
    (GONE, ErrorKind::Rejected, "the message was deleted, or belongs to another webhook"),
    (&["10015", "10016", "50027", "50014", "50055", "10004"], ErrorKind::Misconfigured, "the webhook does not exist any more; create a new one"),
    (&["10003"], ErrorKind::Misconfigured, "the channel or the thread does not exist any more; check `thread_id`, or create a new webhook"),
    (&["50083"], ErrorKind::Misconfigured, "the thread is archived; open it again, or set `thread_id` to another one"),
    (&["160005"], ErrorKind::Misconfigured, "the thread is locked; unlock it, or set `thread_id` to another one"),
    (&["220001", "220002", "220003", "220004", "40058", "40066", "40067"], ErrorKind::Misconfigured, FORUM),
    (
        &["50013", "50001", "40001", "40002", "40007", "40012", "40333", "20012", "50009", "60003", "50095"],
        ErrorKind::Misconfigured,
        "the webhook may not post there; look at the channel's permissions",
    ),
    (&["50008", "50024"], ErrorKind::Misconfigured, "this kind of channel takes no messages; make the webhook in a text channel"),
    (&["200000", "200001", "240000", "20009"], ErrorKind::Rejected, "the server's moderation (AutoMod) blocks its words or links"),
    (&["40005", "50045"], ErrorKind::Rejected, "the message is too long"),
    (&["50035", "50006", "50109", "50068", "50041"], ErrorKind::Rejected, "its content is not accepted; look at what the template renders"),
    (
        // 30046: edits of a message that is older than an hour.
        &["20016", "20022", "20028", "20029", "40003", "40062", "30046"],
        ErrorKind::RateLimited { retry_after: None },
        "too many messages came too fast",
    ),
    (&["40004", "40006", "110001", "130000"], ErrorKind::Transient, "Discord does not take messages at the moment"),
];

/// 200 and the message, because `wait` is asked for; 204 without a body where something between leaves that out.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    if reply.status() == 204 {
        return Ok(reply.receipt("204", PlatformIds::default()));
    }
    let answer: Answer = parse(reply, now)?;
    if reply.is_success() && answer.id.as_deref().is_some_and(|id| !id.is_empty()) {
        return Ok(reply.receipt(reply.status().to_string(), PlatformIds::one("channel_id", answer.channel_id).and("message_id", answer.id)));
    }
    let refuses = |field: &str| answer.errors.get(field).is_some();
    let code = answer.code.to_string();
    let mentions = refuses("allowed_mentions");
    let known = if mentions {
        Some((ErrorKind::Rejected, "somebody who is mentioned is not known; check the ids in `mentions`"))
    } else if refuses("username") {
        Some((ErrorKind::Misconfigured, USERNAME))
    } else if refuses("thread_id") || !answer.thread_id.is_null() {
        Some((ErrorKind::Misconfigured, THREAD))
    } else {
        classify(ERROR_CODES, &code)
    };
    if known.is_none() && reply.is_success() && answer.code == 0 {
        return Err(unclear(reply));
    }
    let kind = weigh(reply, now, known.map(|(kind, _)| kind));
    let advice = known
        .map_or_else(|| classify_status(reply, now).map_or("it refused the message".into(), |error| error.summary), |(_, advice)| advice.to_owned());
    let code = if answer.code == 0 { format!("HTTP {}", reply.status()) } else { code };
    let error = reply.error(kind, code, format!("Discord: {advice} (\"{}\")", answer.message));
    Err(if mentions && kind == ErrorKind::Rejected { error.of_mentions() } else { error })
}
