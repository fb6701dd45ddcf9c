//! What platforms answer, from their published lists and from recordings, and what each answer means for the next try. Written from the platforms'
//! documents, never from our drivers.

/// HTTP status, body, and the kind: `ok`, or that of the error.
pub type Row = (u16, &'static str, &'static str);

/// Answers by channel of [`super::all::All`].
pub const ANSWERS: &[(&str, &[Row])] = &[
    ("slack", SLACK),
    ("slack-hook", SLACK_HOOK),
    ("teams", TEAMS),
    ("pagerduty", PAGERDUTY),
    ("discord", DISCORD),
    ("telegram", TELEGRAM),
    ("webhook", WEBHOOK),
    ("ntfy", NTFY),
    ("gotify", GOTIFY),
    ("pushover", PUSHOVER),
    ("mattermost", MATTERMOST),
    ("rocketchat", ROCKETCHAT),
    ("googlechat", GOOGLECHAT),
];

/// <https://docs.slack.dev/reference/methods/chat.postMessage#errors>
const SLACK: &[Row] = &[
    (200, r#"{"ok":true,"ts":"1.1"}"#, "ok"),
    (200, r#"{"ok":false,"error":"team_added_to_org"}"#, "transient"),
    (200, r#"{"ok":false,"error":"request_timeout"}"#, "transient"),
    (200, r#"{"ok":false,"error":"service_unavailable"}"#, "transient"),
    (200, r#"{"ok":false,"error":"internal_error"}"#, "transient"),
    (200, r#"{"ok":false,"error":"external_channel_migrating"}"#, "transient"),
    (200, r#"{"ok":false,"error":"fatal_error"}"#, "ambiguous"),
    (200, r#"{"ok":false,"error":"rate_limited"}"#, "rate_limited"),
    (200, r#"{"ok":false,"error":"ratelimited"}"#, "rate_limited"),
    (200, r#"{"ok":false,"error":"is_archived"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"is_inactive"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"user_is_restricted"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"restricted_action"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"restricted_action_read_only_channel"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"restricted_action_thread_only_channel"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"messages_tab_disabled"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"message_limit_exceeded"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"org_login_required"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"ekm_access_denied"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"team_access_not_granted"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"channel_type_not_supported"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"team_not_found"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"two_factor_setup_required"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"accesslimited"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"access_denied"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"no_permission"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"missing_scope"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"token_expired"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"token_revoked"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"account_inactive"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"enterprise_is_restricted"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"method_deprecated"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"deprecated_endpoint"}"#, "misconfigured"),
    (200, r#"{"ok":false,"error":"metadata_too_large"}"#, "rejected"),
    (200, r#"{"ok":false,"error":"invalid_attachments"}"#, "rejected"),
    (200, r#"{"ok":false,"error":"invalid_blocks"}"#, "rejected"),
    (200, r#"{"ok":false,"error":"msg_blocks_too_long"}"#, "rejected"),
    (200, r#"{"ok":false,"error":"no_text"}"#, "rejected"),
    (200, r#"{"ok":false,"error":"too_many_attachments"}"#, "rejected"),
    (200, r#"{"ok":false,"error":"slack_connect_file_link_sharing_blocked"}"#, "rejected"),
    (200, r#"{"ok":false,"error":"invalid_arguments"}"#, "rejected"),
    (200, r#"{"ok":false,"error":"as_user_not_supported"}"#, "rejected"),
    (500, r#"{"ok":false,"error":"invalid_auth"}"#, "transient"),
    (429, r#"{"ok":false,"error":"invalid_auth"}"#, "rate_limited"),
    (302, r#"{"ok":true,"ts":"1.1"}"#, "misconfigured"),
];

/// A hook that takes Slack's messages and is not Slack's: <https://docs.slack.dev/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>,
/// Zulip's <https://zulip.com/integrations/slack_incoming>, Rocket.Chat's, Mattermost's.
const SLACK_HOOK: &[Row] = &[
    (200, "ok", "ok"),
    (200, "OK", "ok"),
    (200, "ok\n", "ok"),
    (200, "", "ok"),
    (201, "ok", "ok"),
    (204, "", "ok"),
    (200, r#"{"ok":true}"#, "ok"),
    (200, r#"{"success":true}"#, "ok"),
    (200, r#"{"result":"success","msg":""}"#, "ok"),
    (200, r#"{"success":false,"error":"error-invalid-channel"}"#, "rejected"),
    (200, r#"{"result":"error","msg":"no such stream"}"#, "rejected"),
    (200, "<html>login</html>", "ambiguous"),
    (200, "no_service", "misconfigured"),
    (403, "invalid_token", "misconfigured"),
    (403, "action_prohibited", "misconfigured"),
    (404, "no_service", "misconfigured"),
    (404, "no_team", "misconfigured"),
    (404, "channel_not_found", "misconfigured"),
    (410, "channel_is_archived", "misconfigured"),
    (400, "user_not_found", "misconfigured"),
    (403, "invalid_auth", "misconfigured"),
    (400, "invalid_payload", "rejected"),
    (400, "too_many_attachments", "rejected"),
    (400, "no_text", "rejected"),
    (500, "rollup_error", "transient"),
    (500, "ok", "transient"),
    (302, "", "misconfigured"),
    (400, "ok", "rejected"),
];

/// <https://learn.microsoft.com/en-us/azure/connectors/connectors-native-reqres>,
/// <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>
const TEAMS: &[Row] = &[
    (202, "", "ok"),
    (200, "1", "ok"),
    (200, "", "ambiguous"),
    (200, "{}", "ambiguous"),
    (204, "", "ambiguous"),
    (200, "<html>login</html>", "transient"),
    (302, "1", "misconfigured"),
    (400, "1", "rejected"),
    (400, r#"{"error":{"code":"InvalidRequestContent"}}"#, "rejected"),
    (413, "", "rejected"),
    (400, r#"{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"Could not execute workflow"}}"#, "misconfigured"),
    (403, r#"{"error":{"code":"WorkflowTriggerIsNotEnabled"}}"#, "misconfigured"),
    (400, r#"{"error":{"code":"TriggerInputSchemaMismatch"}}"#, "misconfigured"),
    (401, r#"{"error":{"code":"DirectApiAuthorizationRequired"}}"#, "misconfigured"),
    (404, r#"{"error":{"code":"WorkflowNotFound"}}"#, "misconfigured"),
    (410, r#"{"error":"gone"}"#, "misconfigured"),
    (429, r#"{"error":{"code":"WorkflowRunActionRequestsThrottled"}}"#, "rate_limited"),
    (502, r#"{"error":{"code":"NoResponse"}}"#, "transient"),
    (200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413", "rejected"),
    (200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429", "rate_limited"),
    (200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 404", "misconfigured"),
];

/// <https://developer.pagerduty.com/docs/events-api-v2-overview#response-codes--retry-logic>
const PAGERDUTY: &[Row] = &[
    (202, r#"{"status":"success","message":"Event processed","dedup_key":"k"}"#, "ok"),
    (400, r#"{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}"#, "misconfigured"),
    (400, r#"{"status":"invalid event","message":"Invalid routing key","errors":[]}"#, "misconfigured"),
    (400, r#"{"status":"invalid event","errors":["Length of 'routing_key' is incorrect (should be 32 characters)"]}"#, "misconfigured"),
    (403, "", "misconfigured"),
    (400, r#"{"status":"throttle exceeded","message":"Requests for this service are arriving too quickly."}"#, "rate_limited"),
    (429, r#"{"status":"throttle exceeded"}"#, "rate_limited"),
    (400, r#"{"status":"invalid event","errors":["'payload.severity' is invalid"]}"#, "rejected"),
    (413, "", "rejected"),
    (500, r#"{"status":"invalid event","errors":["Invalid routing key"]}"#, "transient"),
    (302, r#"{"status":"success"}"#, "misconfigured"),
    (400, r#"{"status":"success"}"#, "rejected"),
];

/// <https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes>
const DISCORD: &[Row] = &[
    (204, "", "ok"),
    (200, r#"{"id":"1100"}"#, "ok"),
    (404, r#"{"message":"Unknown Webhook","code":10015}"#, "misconfigured"),
    (401, r#"{"message":"Invalid Webhook Token","code":50027}"#, "misconfigured"),
    (400, r#"{"message":"Webhooks posted to forum channels must have a thread_name or thread_id","code":220001}"#, "misconfigured"),
    (400, r#"{"message":"Unknown Channel","code":10003}"#, "misconfigured"),
    (400, r#"{"message":"Thread is archived","code":50083}"#, "misconfigured"),
    (403, r#"{"message":"Thread is locked","code":160005}"#, "misconfigured"),
    (
        400,
        r#"{"code":50035,"errors":{"username":{"_errors":[{"code":"USERNAME_INVALID_CONTAINS"}]}},"message":"Invalid Form Body"}"#,
        "misconfigured",
    ),
    (400, r#"{"code":50035,"errors":{"embeds":{"0":{"title":{"_errors":[]}}}},"message":"Invalid Form Body"}"#, "rejected"),
    (400, r#"{"embeds":["0"]}"#, "rejected"),
    (400, r#"{"message":"This message was blocked by AutoMod","code":200000}"#, "rejected"),
    (403, "error code: 1015", "rate_limited"),
    (429, "error code: 1015", "rate_limited"),
    (400, r#"{"message":"The channel you are writing has hit the write rate limit","code":20028}"#, "rate_limited"),
    (400, r#"{"message":"API resource is currently overloaded","code":130000}"#, "transient"),
    (503, r#"{"message":"Unknown Webhook","code":10015}"#, "transient"),
    (502, "<html>cloudflare", "transient"),
    (302, r#"{"id":"1100"}"#, "misconfigured"),
    (200, "{}", "ambiguous"),
];

/// <https://core.telegram.org/bots/api#making-requests>, <https://core.telegram.org/method/messages.sendMessage#possible-errors>
const TELEGRAM: &[Row] = &[
    (200, r#"{"ok":true,"result":{"message_id":1}}"#, "ok"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: message thread not found"}"#, "misconfigured"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: TOPIC_CLOSED"}"#, "misconfigured"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: not enough rights to send text messages to the chat"}"#, "misconfigured"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: have no rights to send a message"}"#, "misconfigured"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: CHAT_WRITE_FORBIDDEN"}"#, "misconfigured"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#, "misconfigured"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: PEER_ID_INVALID"}"#, "misconfigured"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: need administrator rights in the channel chat"}"#, "misconfigured"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: CHAT_RESTRICTED"}"#, "misconfigured"),
    (403, r#"{"ok":false,"error_code":403,"description":"Forbidden: user is deactivated"}"#, "misconfigured"),
    (403, r#"{"ok":false,"error_code":403,"description":"Forbidden: the group chat was deleted"}"#, "misconfigured"),
    (401, r#"{"ok":false,"error_code":401,"description":"Unauthorized"}"#, "misconfigured"),
    (404, r#"{"ok":false,"error_code":404,"description":"Not Found"}"#, "misconfigured"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: message text is empty"}"#, "rejected"),
    (400, r#"{"ok":false,"error_code":400,"description":"Bad Request: message is too long"}"#, "rejected"),
    (
        400,
        r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 3"}"#,
        "rejected",
    ),
    (409, r#"{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates request"}"#, "transient"),
    (502, r#"{"ok":false,"error_code":502,"description":"Bad Gateway"}"#, "transient"),
    (429, r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}"#, "rate_limited"),
    (302, r#"{"ok":true,"result":{"message_id":1}}"#, "misconfigured"),
];

/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
const WEBHOOK: &[Row] = &[
    (200, "", "ok"),
    (202, "queued", "ok"),
    (204, "", "ok"),
    (400, "{}", "rejected"),
    (413, "", "rejected"),
    (401, "", "misconfigured"),
    (402, "", "misconfigured"),
    (410, "", "misconfigured"),
    (301, "", "misconfigured"),
    (408, "", "transient"),
    (425, "", "transient"),
    (500, "ok", "transient"),
    (429, "ok", "rate_limited"),
    (403, "error code: 1015", "rate_limited"),
];

/// <https://docs.ntfy.sh/publish/>, <https://github.com/binwiederhier/ntfy/blob/main/server/errors.go>
const NTFY: &[Row] = &[
    (200, r#"{"id":"x","event":"message"}"#, "ok"),
    (401, r#"{"code":40101,"http":401,"error":"unauthorized"}"#, "misconfigured"),
    (403, r#"{"code":40301,"http":403,"error":"forbidden"}"#, "misconfigured"),
    (404, r#"{"code":40401,"http":404,"error":"page not found"}"#, "misconfigured"),
    (400, r#"{"code":40009,"http":400,"error":"invalid request: topic invalid"}"#, "misconfigured"),
    (400, r#"{"code":40007,"http":400,"error":"invalid priority parameter"}"#, "rejected"),
    (413, r#"{"code":41303,"http":413,"error":"JSON body too large"}"#, "rejected"),
    (429, r#"{"code":42908,"http":429,"error":"limit reached: daily message quota reached"}"#, "rate_limited"),
    (500, r#"{"code":40101,"http":500}"#, "transient"),
    (302, r#"{"id":"x","event":"message"}"#, "misconfigured"),
];

/// <https://gotify.net/docs/pushmsg>
const GOTIFY: &[Row] = &[
    (200, r#"{"id":25}"#, "ok"),
    (401, r#"{"error":"Unauthorized","errorCode":401}"#, "misconfigured"),
    (403, r#"{"error":"Forbidden","errorCode":403}"#, "misconfigured"),
    (404, r#"{"error":"Not Found","errorCode":404}"#, "misconfigured"),
    (400, r#"{"error":"Bad Request","errorCode":400}"#, "rejected"),
    (500, r#"{"error":"Internal Server Error","errorCode":500}"#, "transient"),
    (404, r#"{"id":25}"#, "misconfigured"),
];

/// <https://pushover.net/api#response>
const PUSHOVER: &[Row] = &[
    (200, r#"{"status":1,"request":"r"}"#, "ok"),
    (400, r#"{"user":"invalid","errors":["user identifier is invalid"],"status":0}"#, "misconfigured"),
    (400, r#"{"token":"invalid","errors":["application token is invalid"],"status":0}"#, "misconfigured"),
    (400, r#"{"sound":"invalid","errors":["sound is invalid"],"status":0}"#, "misconfigured"),
    (400, r#"{"message":"cannot be blank","errors":["message cannot be blank"],"status":0}"#, "rejected"),
    (429, r#"{"errors":["application has exceeded the number of messages it may send"],"status":0}"#, "rate_limited"),
    (500, r#"{"token":"invalid","status":0}"#, "transient"),
    (400, r#"{"status":1,"request":"r"}"#, "rejected"),
];

/// <https://developers.mattermost.com/integrate/webhooks/incoming/>, <https://github.com/mattermost/mattermost/blob/master/server/channels/app/webhook.go>
const MATTERMOST: &[Row] = &[
    (200, "ok", "ok"),
    (200, r#"{"status":"ok"}"#, "ok"),
    (400, r#"{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook.","status_code":400}"#, "misconfigured"),
    (400, r#"{"id":"app.webhooks.get_incoming.app_error","message":"Unable to get the webhook.","status_code":404}"#, "misconfigured"),
    (400, r#"{"id":"web.incoming_webhook.channel_locked.app_error","status_code":403}"#, "misconfigured"),
    (404, r#"{"id":"app.channel.get_by_name.missing.app_error","message":"Channel does not exist.","status_code":404}"#, "misconfigured"),
    (400, r#"{"id":"api.post.create_post.can_not_post_to_deleted.error","status_code":400}"#, "misconfigured"),
    (403, r#"{"id":"web.incoming_webhook.user.app_error","status_code":403}"#, "misconfigured"),
    (501, r#"{"id":"web.incoming_webhook.disabled.app_error","status_code":501}"#, "misconfigured"),
    (400, r#"{"id":"web.incoming_webhook.text.length.app_error","status_code":400}"#, "rejected"),
    (400, r#"{"id":"web.incoming_webhook.parse.app_error","status_code":400}"#, "rejected"),
    (500, r#"{"id":"web.incoming_webhook.channel.app_error","status_code":500}"#, "transient"),
    (429, "limit exceeded", "rate_limited"),
    (302, "ok", "misconfigured"),
];

/// <https://docs.rocket.chat/docs/integrations>
const ROCKETCHAT: &[Row] = &[
    (200, r#"{"success":true}"#, "ok"),
    (404, r#"{"success":false,"error":"Invalid integration id or token provided."}"#, "misconfigured"),
    (401, r#"{"success":false,"error":"Invalid integration id or token provided."}"#, "misconfigured"),
    (400, r#"{"success":false,"error":"error-invalid-channel"}"#, "misconfigured"),
    (400, r#"{"success":false,"error":"invalid-channel"}"#, "misconfigured"),
    (400, r#"{"success":false,"error":"error-not-allowed"}"#, "misconfigured"),
    (400, r#"{"success":false,"error":"overriding destination channel is disabled for this integration"}"#, "misconfigured"),
    (400, r#"{"success":false,"error":"error-message-size-exceeded"}"#, "rejected"),
    (400, r#"{"success":false,"error":"Error, too many requests. [error-too-many-requests]"}"#, "rate_limited"),
    (503, r#"{"success":false,"error":"Service Unavailable"}"#, "transient"),
    (400, r#"{"success":true}"#, "rejected"),
];

/// <https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create>, <https://google.aip.dev/193>
const GOOGLECHAT: &[Row] = &[
    (200, r#"{"name":"spaces/AAAA/messages/BBBB"}"#, "ok"),
    (401, r#"{"error":{"code":401,"status":"UNAUTHENTICATED"}}"#, "misconfigured"),
    (403, r#"{"error":{"code":403,"status":"PERMISSION_DENIED"}}"#, "misconfigured"),
    (404, r#"{"error":{"code":404,"status":"NOT_FOUND"}}"#, "misconfigured"),
    (400, r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#, "misconfigured"),
    (400, r#"{"error":{"code":400,"status":"INVALID_ARGUMENT"}}"#, "rejected"),
    (429, r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}"#, "rate_limited"),
    (409, r#"{"error":{"code":409,"status":"ABORTED"}}"#, "transient"),
    (503, r#"{"error":{"code":503,"status":"PERMISSION_DENIED"}}"#, "transient"),
    (302, r#"{"name":"spaces/AAAA/messages/BBBB"}"#, "misconfigured"),
];
