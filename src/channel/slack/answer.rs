//! What Slack answers, and what it means. The Web API says `ok: false` with HTTP 200; webhooks speak plain text, workflows JSON, and hooks of
//! others that take Slack's messages each their own words. Pure.
//! Errors: <https://docs.slack.dev/reference/methods/chat.postMessage#errors>,
//! <https://docs.slack.dev/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>

use jiff::Timestamp;
use serde::Deserialize;

use super::compatible;
use crate::channel::kit::{CodeRule, Reply, classify, classify_status, parse, unclear, weigh};
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
            let (kind, mut advice) = classify_answer(code, reply, now);
            if let Some(scope) = &answer.needed {
                advice = format!("{advice} (needed: {scope})");
            }
            if let Some(metadata) = answer.response_metadata.filter(|metadata| !metadata.messages.is_empty()) {
                advice = format!("{advice} ({})", metadata.messages.join("; "));
            }
            Err(reply.error(kind, code, format!("Slack refused the message: {advice}")))
        }
        (Some(false), None) if reply.is_success() => Err(unreasoned(reply)),
        _ => Err(classify_status(reply, now).unwrap_or_else(|| unclear(reply))),
    }
}

fn unreasoned(reply: &Reply) -> SendError {
    reply.error(ErrorKind::Rejected, "ok:false", "Slack refused the message and does not say why")
}

/// The answer of a webhook: Slack's is `ok` (of a workflow `{"ok":true}`), or the error's name as plain text. A hook of somebody else that takes
/// Slack's messages is `foreign`: it confirms in words of its own.
pub(super) fn of_webhook(reply: &Reply, foreign: bool, now: Timestamp) -> Result<Receipt, SendError> {
    let text = reply.text();
    let text = text.trim();
    let json: Option<Answer> = reply.json();
    if reply.is_success() && (text == "ok" || json.as_ref().is_some_and(|answer| answer.ok == Some(true))) {
        return Ok(reply.receipt("ok", None));
    }
    if reply.is_success() && json.as_ref().is_some_and(|answer| answer.ok == Some(false) && answer.error.is_none()) {
        return Err(unreasoned(reply));
    }
    let code = json.and_then(|answer| answer.error).or_else(|| is_name(text).then(|| text.to_owned()));
    if let Some(code) = code.filter(|code| is_known(code) || !reply.is_success()) {
        let (kind, advice) = classify_answer(&code, reply, now);
        return Err(reply.error(kind, code, format!("Slack refused the message: {advice}")));
    }
    match classify_status(reply, now) {
        Some(error) => Err(error),
        None if foreign => compatible::of(reply, now),
        None => Err(unclear(reply)),
    }
}

/// Whether a text may be an error's name.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text != "ok" && text.len() <= 64 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Whether an error's name is in the table.
pub(super) fn is_known(code: &str) -> bool {
    classify(ERROR_CODES, code).is_some()
}

/// One row per thing to do about it.
const ERROR_CODES: &[CodeRule] = &[
    (&["ratelimited", "rate_limited"], ErrorKind::RateLimited { retry_after: None }, "too many messages; it is sent later"),
    (
        &["internal_error", "service_unavailable", "request_timeout", "team_added_to_org", "external_channel_migrating", "rollup_error"],
        ErrorKind::Transient,
        "trouble on its side; it is tried again",
    ),
    (&["fatal_error"], ErrorKind::Ambiguous, "trouble on its side, after which the message may stand there all the same"),
    (
        &["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type", "invalid_token"],
        ErrorKind::Misconfigured,
        "the token is not valid (any more), or this machine's address is not among those it may come from; put a current bot token (xoxb-...) into `token`",
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
        &["channel_not_found", "user_not_found", "user_not_visible", "users_not_found"],
        ErrorKind::Misconfigured,
        "there is no such channel, or the bot cannot see it; check the channel's id, and invite the bot if it is private",
    ),
    (&["team_not_found"], ErrorKind::Misconfigured, "the token is good for several workspaces; write the channel's id (`C0123`) instead of its name"),
    (
        &["is_archived", "channel_is_archived", "is_inactive"],
        ErrorKind::Misconfigured,
        "the channel is archived or frozen; open it again, or name another one",
    ),
    (
        &["no_service", "no_service_id", "no_team", "no_active_hooks", "team_disabled", "cannot_find_service"],
        ErrorKind::Misconfigured,
        "the webhook does not exist any more; create a new one",
    ),
    (
        &["user_disabled", "cannot_dm_bot", "unable_to_open", "channel_type_not_supported", "messages_tab_disabled"],
        ErrorKind::Misconfigured,
        "this app cannot write to that person or kind of channel; name another one, or turn on the app's messages tab",
    ),
    (
        &["unknown_method", "deprecated_endpoint", "method_deprecated", "method_not_supported_for_channel_type"],
        ErrorKind::Misconfigured,
        "it does not know this way to post there; check `api_base` and the channel",
    ),
    (
        &["org_login_required"],
        ErrorKind::Misconfigured,
        "the workspace is being moved to another organisation; it takes messages again when that is done",
    ),
    (
        &[
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
            "user_is_restricted",
            "user_is_ultra_restricted",
            "cannot_reply_to_message",
            "message_limit_exceeded",
            "action_prohibited",
            "posting_to_general_channel_denied",
            "posting_to_channel_denied",
            "send_on_behalf_not_allowed",
        ],
        ErrorKind::Misconfigured,
        "the workspace does not let this app post there; ask one of its administrators",
    ),
    (
        &[
            "msg_too_long",
            "msg_blocks_too_long",
            "attachment_payload_limit_exceeded",
            "too_many_attachments",
            "metadata_too_large",
            "too_many_contact_cards",
        ],
        ErrorKind::Rejected,
        "the message is too long",
    ),
    (
        &["slack_connect_canvas_sharing_blocked", "slack_connect_file_link_sharing_blocked", "slack_connect_lists_sharing_blocked"],
        ErrorKind::Rejected,
        "it holds a link to a file of Slack, which may not be shared in this channel",
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
            "invalid_arg_name",
            "invalid_array_arg",
            "invalid_json",
            "json_not_object",
            "invalid_charset",
            "invalid_form_data",
            "invalid_post_type",
            "missing_post_type",
            "invalid_metadata_format",
            "invalid_metadata_schema",
            "metadata_must_be_sent_from_app",
            "markdown_text_conflict",
            "missing_file_data",
            "as_user_not_supported",
            "duplicate_channel_not_found",
            "duplicate_message_not_found",
            "invalid_workflow_input",
        ],
        ErrorKind::Rejected,
        "its content is not accepted; look at what the template renders",
    ),
];

/// The kind of an error and what to do. What is not in the table goes by the status, and with 200 is a refusal of this message.
fn classify_answer(code: &str, reply: &Reply, now: Timestamp) -> (ErrorKind, String) {
    let known = classify(ERROR_CODES, code);
    let kind = weigh(reply, now, known.map(|(kind, _)| kind));
    (kind, known.map_or_else(|| format!("it says `{code}`"), |(_, advice)| advice.to_owned()))
}
