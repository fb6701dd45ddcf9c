//! What a flow's trigger answers, and what an old connector does; what it means. Pure.
//! <https://learn.microsoft.com/en-us/azure/connectors/connectors-native-reqres> (triggers),
//! <https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#rate-limiting-for-connectors> (connectors)

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::channel::kit::{CodeRule, Reply, classify, classify_status, unclear, weigh};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

/// A connector's window is half a minute, and its refusal does not say how much of it is left.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(30);

/// `{"error":{"code":"..","message":".."}}`, or `{"error":"..","message":".."}`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    error: Option<Value>,
    message: String,
}

/// Codes of Logic Apps and Power Automate, as their triggers answer them.
const ERROR_CODES: &[CodeRule] = &[
    (
        &["WorkflowTriggerIsNotEnabled", "WorkflowDisabled", "WorkflowSuspended", "FlowIsDisabled", "FlowSuspended", "WorkflowIsNotEnabled"],
        ErrorKind::Misconfigured,
        "the flow is turned off, or was deleted; turn it on under My flows in Power Automate, or make a new one and copy its address",
    ),
    (
        &[
            "WorkflowNotFound",
            "WorkflowTriggerNotFound",
            "FlowNotFound",
            "TriggerNotFound",
            "WorkflowVersionNotFound",
            "ResourceNotFound",
            "EnvironmentNotFound",
        ],
        ErrorKind::Misconfigured,
        "the flow does not exist any more; make a new one and copy its address",
    ),
    (
        &[
            "DirectApiAuthorizationRequired",
            "DirectApiInvalidAuthorizationScheme",
            "MisMatchingOAuthClaims",
            "InvalidUseOfOAuthToken",
            "UnauthorizedAccess",
        ],
        ErrorKind::Misconfigured,
        "the address lacks its `sig`, or the flow wants a login; copy the whole address, and let the trigger be called by anyone (Who can trigger the flow)",
    ),
    (
        &[
            "AuthorizationFailed",
            "AuthenticationFailed",
            "Unauthorized",
            "Forbidden",
            "InvalidSharedAccessSignature",
            "SharedAccessSignatureExpired",
            "IpAddressNotAllowed",
        ],
        ErrorKind::Misconfigured,
        "the address is not accepted (any more); copy it again from the flow's trigger",
    ),
    // The shape of what is sent is always the same: no message of ours would fit.
    (
        &["TriggerInputSchemaMismatch", "InvalidApiVersionParameter", "MissingApiVersionParameter"],
        ErrorKind::Misconfigured,
        "the flow's trigger wants something else than a card; make the flow from the template `Post to a channel when a webhook request is received`",
    ),
    (
        &[
            "WorkflowRunActionRequestsThrottled",
            "WorkflowTriggerRequestsThrottled",
            "TooManyRequests",
            "RequestThrottled",
            "WorkflowOperationInputsRequestsThrottled",
        ],
        ErrorKind::RateLimited { retry_after: None },
        "too many messages came too fast",
    ),
    (&["RequestEntityTooLarge", "MessageSizeExceeded", "ContentLengthExceeded"], ErrorKind::Rejected, "the message is too long"),
    (
        &["InvalidRequestContent", "BadRequest", "InvalidRequest"],
        ErrorKind::Rejected,
        "its content is not accepted; look at what the template renders",
    ),
];

/// A flow has taken a message when it answers 202, a connector when it answers 200 and `1`; nothing else confirms it.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let text = reply.text();
    let answer: Answer = reply.json().unwrap_or_default();
    if let Some(error) = answer.error.filter(|error| !error.is_null()) {
        return Err(refused(reply, &error, &answer.message, now));
    }
    if let Some(error) = classify_status(reply, now) {
        return Err(error);
    }
    if let Some(status) = connectors(&text) {
        return Err(not_passed_on(reply, status));
    }
    match reply.status() {
        202 if !reply.is_page() => Ok(reply.receipt("202", PlatformIds::default())),
        200 if text.trim() == "1" => Ok(reply.receipt("200", PlatformIds::default())),
        _ if reply.is_page() || reply.is_cut() => Err(unclear(reply)),
        status => {
            let summary = format!(
                "HTTP {status} is not the answer of a flow that has taken a message, which is 202; it may have been posted. \
                 If the flow has a Response action, let it answer 202, or remove it"
            );
            Err(reply.error(ErrorKind::Ambiguous, format!("HTTP {status}"), summary))
        }
    }
}

fn refused(reply: &Reply, error: &Value, message: &str, now: Timestamp) -> SendError {
    let code = error["code"].as_str().or(error.as_str()).unwrap_or_default();
    let said = error["message"].as_str().unwrap_or(message);
    let known = classify(ERROR_CODES, code);
    let kind = weigh(reply, now, known.map(|(kind, _)| kind));
    let advice = known
        .map_or_else(|| classify_status(reply, now).map_or("it refused the message".into(), |error| error.summary), |(_, advice)| advice.to_owned());
    let said = if said.is_empty() { String::new() } else { format!(" (\"{said}\")") };
    let code = if code.is_empty() { format!("HTTP {}", reply.status()) } else { code.to_owned() };
    reply.error(kind, code, format!("Teams: {advice}{said}"))
}

/// The status that a connector names in a sentence, though it answers 200 itself; 400 where it reports a failure without one.
fn connectors(text: &str) -> Option<u16> {
    if let Some((_, rest)) = text.split_once("returned HTTP error ") {
        return Some(rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(500));
    }
    ["Webhook message delivery failed", "Bad payload received", "Webhook Bad Request", "Summary or Text is required"]
        .iter()
        .any(|words| text.contains(words))
        .then_some(400)
}

fn not_passed_on(reply: &Reply, status: u16) -> SendError {
    let (kind, advice) = match status {
        429 => (ErrorKind::RateLimited { retry_after: Some(RATE_LIMIT_PAUSE) }, "too many messages came too fast"),
        413 => (ErrorKind::Rejected, "the message is too long"),
        401 | 403 | 404 | 410 => {
            (ErrorKind::Misconfigured, "the team or its channel does not take messages any more; make a flow, and use its address")
        }
        408 | 500.. => (ErrorKind::Transient, "Teams could not take it this time"),
        _ => (ErrorKind::Rejected, "its content is not accepted; look at what the template renders"),
    };
    reply.error(kind, format!("HTTP {status}"), format!("the connector answered {}, but {advice}", reply.status()))
}
