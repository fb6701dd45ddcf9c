//! What Slack answers, and what it means. The Web API says `ok: false` with HTTP 200; webhooks speak plain text. Pure.
//! Errors: <https://docs.slack.dev/reference/methods/chat.postMessage#errors>,
//! <https://docs.slack.dev/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>

use jiff::Timestamp;
use serde::Deserialize;

use crate::channel::kit::{Reply, classify_status, parse};
use crate::model::{ErrorKind, Receipt, SendError};

#[derive(Deserialize)]
struct Answer {
    ok: Option<bool>,
    error: Option<String>,
    ts: Option<String>,
    needed: Option<String>,
    #[serde(default)]
    response_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    messages: Vec<String>,
}

/// A Web API method's answer.
pub(super) fn of_method(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let answer: Answer = parse(reply, now)?;
    match (answer.ok, &answer.error) {
        (Some(true), _) if reply.is_success() => Ok(reply.receipt("ok", answer.ts)),
        (_, Some(code)) => {
            let (kind, mut advice) = classify(code, reply, now);
            if let Some(scope) = &answer.needed {
                advice = format!("{advice} (needed: {scope})");
            }
            if let Some(metadata) = answer.response_metadata.filter(|metadata| !metadata.messages.is_empty()) {
                advice = format!("{advice} ({})", metadata.messages.join("; "));
            }
            Err(reply.error(kind, code, format!("Slack refused the message: {advice}")))
        }
        _ => Err(classify_status(reply, now).unwrap_or_else(|| {
            reply.error(ErrorKind::Transient, "no ok", "the answer says neither `ok` nor an error; is a proxy answering in Slack's place?")
        })),
    }
}

/// An incoming webhook's answer: `ok`, or the error's name as plain text.
pub(super) fn of_webhook(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let text = reply.text();
    let text = text.trim();
    if reply.is_success() && text == "ok" {
        return Ok(reply.receipt("ok", None));
    }
    let named = !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if named && (KNOWN.iter().any(|(codes, ..)| codes.contains(&text)) || !reply.is_success()) {
        let (kind, advice) = classify(text, reply, now);
        return Err(reply.error(kind, text, format!("Slack refused the message: {advice}")));
    }
    Err(classify_status(reply, now).unwrap_or_else(|| {
        reply.error(ErrorKind::Transient, "no ok", "the answer is not Slack's `ok`; is a proxy or a login page answering in its place?")
    }))
}

type Row = (&'static [&'static str], ErrorKind, &'static str);

/// One row per thing to do about it.
const KNOWN: &[Row] = &[
    (&["ratelimited", "rate_limited"], ErrorKind::RateLimited { retry_after: None }, "too many messages; it is sent later"),
    (
        &["internal_error", "service_unavailable", "request_timeout", "team_added_to_org", "rollup_error"],
        ErrorKind::Transient,
        "trouble on its side; it is tried again",
    ),
    (&["fatal_error"], ErrorKind::Ambiguous, "trouble on its side, after which the message may stand there all the same"),
    (
        &["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type", "invalid_token"],
        ErrorKind::Misconfigured,
        "the token is not valid (any more); put a current bot token (xoxb-...) into `token`",
    ),
    (
        &["missing_scope", "no_permission"],
        ErrorKind::Misconfigured,
        "the bot lacks a permission; add the scope chat:write to the app and install it again",
    ),
    (
        &["not_in_channel"],
        ErrorKind::Misconfigured,
        "the bot is not in the channel; invite it there with /invite, or add the scope chat:write.public",
    ),
    (
        &["channel_not_found", "user_not_found"],
        ErrorKind::Misconfigured,
        "there is no such channel, or the bot cannot see it; check the channel's id, and invite the bot if it is private",
    ),
    (&["is_archived", "channel_is_archived"], ErrorKind::Misconfigured, "the channel is archived; name another one"),
    (
        &["no_service", "no_service_id", "no_team", "no_active_hooks", "team_disabled"],
        ErrorKind::Misconfigured,
        "the webhook does not exist any more; create a new one",
    ),
    (
        &[
            "org_login_required",
            "ekm_access_denied",
            "accesslimited",
            "access_denied",
            "app_access_restricted",
            "enterprise_is_restricted",
            "two_factor_setup_required",
            "team_access_not_granted",
            "restricted_action",
            "restricted_action_read_only_channel",
            "restricted_action_thread_only_channel",
            "restricted_action_thread_locked",
            "restricted_action_non_threadable_channel",
            "messages_tab_disabled",
            "cannot_reply_to_message",
            "message_limit_exceeded",
            "action_prohibited",
            "posting_to_general_channel_denied",
        ],
        ErrorKind::Misconfigured,
        "the workspace does not let this app post there; ask one of its administrators",
    ),
    (
        &["msg_too_long", "msg_blocks_too_long", "attachment_payload_limit_exceeded", "too_many_attachments", "metadata_too_large"],
        ErrorKind::Rejected,
        "the message is too long",
    ),
    (
        &[
            "no_text",
            "missing_text_or_fallback_or_attachments",
            "invalid_blocks",
            "invalid_blocks_format",
            "invalid_attachments",
            "invalid_payload",
            "invalid_arguments",
            "invalid_metadata_format",
            "invalid_metadata_schema",
            "metadata_must_be_sent_from_app",
            "markdown_text_conflict",
        ],
        ErrorKind::Rejected,
        "its content is not accepted; look at what the template renders",
    ),
];

/// The kind of an error and what to do. What is not in the table goes by the status, and with 200 is a refusal of this message.
fn classify(code: &str, reply: &Reply, now: Timestamp) -> (ErrorKind, String) {
    let known = KNOWN.iter().find(|(codes, ..)| codes.contains(&code));
    let kind = match known {
        Some((_, ErrorKind::RateLimited { .. }, _)) => ErrorKind::RateLimited { retry_after: reply.retry_after(now) },
        Some((_, kind, _)) => *kind,
        None => classify_status(reply, now).map_or(ErrorKind::Rejected, |error| error.kind),
    };
    (kind, known.map_or_else(|| format!("it says `{code}`"), |(.., advice)| (*advice).to_owned()))
}
