//! Slack's errors by name.

use crate::channel::kit::{CodeRule, classify};
use crate::model::ErrorKind;

/// Whether an error's name is in the table.
pub(super) fn is_known(code: &str) -> bool {
    classify(ERROR_CODES, code).is_some()
}

/// One row per thing to do about it.
pub(super) const ERROR_CODES: &[CodeRule] = &[
    (&["ratelimited", "rate_limited"], ErrorKind::RateLimited { retry_after: None }, "too many messages; it is sent later"),
    (
        &[
            "internal_error",
            "service_unavailable",
            "request_timeout",
            "team_added_to_org",
            "external_channel_migrating",
            "rollup_error",
            "streaming_state_conflict",
            "update_failed",
        ],
        ErrorKind::Transient,
        "trouble on its side; it is tried again",
    ),
    (&["fatal_error"], ErrorKind::Ambiguous, "trouble on its side, after which the message may be there anyway"),
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
    // https://docs.slack.dev/reference/methods/chat.update#errors
    (
        &["message_not_found", "cant_update_message", "edit_window_closed"],
        ErrorKind::Rejected,
        "the message was deleted, belongs to another app, or may not be edited any more",
    ),
    (&["thread_not_found"], ErrorKind::Rejected, "the thread does not exist any more"),
    (&["block_mismatch"], ErrorKind::Rejected, "its blocks cannot take the place of what the message holds"),
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
            "channel_is_limited_access",
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
