//! What Slack answers, and what it means. The Web API says `ok: false` with HTTP 200; webhooks speak plain text, workflows JSON, and hooks of
//! others that take Slack's messages each their own words. Pure.
//! Errors: <https://docs.slack.dev/reference/methods/chat.postMessage#errors>,
//! <https://docs.slack.dev/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::codes::{ERROR_CODES, is_known};
use super::compatible;
use crate::channel::kit::{Reply, classify, classify_status, parse, unclear, weigh};
use crate::model::{ErrorKind, PlatformIds, Receipt, Secret, SendError};

#[derive(Deserialize)]
struct Answer {
    ok: Option<bool>,
    error: Option<String>,
    channel: Option<String>,
    ts: Option<String>,
    needed: Option<String>,
    url: Option<String>,
    /// Of a look-up an object; other methods write a name.
    #[serde(default)]
    user: Value,
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
        (Some(true), _) if reply.is_success() => Ok(reply.receipt("ok", PlatformIds::one("channel", answer.channel).and("ts", answer.ts))),
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

/// The answer of `apps.connections.open`: the address of a connection. The app token is another one than what messages are posted with.
pub(super) fn of_connection(reply: &Reply, now: Timestamp) -> Result<Secret, SendError> {
    let answer: Answer = parse(reply, now)?;
    match (answer.ok, answer.url, &answer.error) {
        (Some(true), Some(url), _) if reply.is_success() => Ok(Secret::new(url)),
        (_, _, Some(code)) => {
            let advice = match code.as_str() {
                "forbidden_team" | "insecure_request" | "missing_args" => {
                    "it does not open Socket Mode for this app; look at *Socket Mode* of the app"
                }
                _ => match classify(ERROR_CODES, code) {
                    Some((ErrorKind::Misconfigured, _)) => {
                        "put an app-level token (`xapp-...`) with the scope connections:write into `app_token`, and turn Socket Mode on"
                    }
                    Some((_, advice)) => advice,
                    None => "it does not say more",
                },
            };
            let known = classify(ERROR_CODES, code).map_or(ErrorKind::Misconfigured, |(kind, _)| kind);
            Err(reply.error(weigh(reply, now, Some(known)), code, format!("Slack opens no connection for presses (`{code}`): {advice}")))
        }
        _ => Err(classify_status(reply, now).unwrap_or_else(|| unclear(reply))),
    }
}

/// The answer of `users.lookupByEmail`: whose address it is. <https://docs.slack.dev/reference/methods/users.lookupByEmail>
pub(super) fn of_user(reply: &Reply, now: Timestamp) -> Result<Option<String>, SendError> {
    let answer: Answer = parse(reply, now)?;
    match (answer.ok, answer.user["id"].as_str(), &answer.error) {
        (Some(true), Some(id), _) if reply.is_success() => Ok(Some(id.to_owned())),
        // Deactivated members are not found either.
        (_, _, Some(code)) if code == "users_not_found" => Ok(None),
        (_, _, Some(code)) => {
            let (kind, advice) = classify_answer(code, reply, now);
            let advice = match kind {
                ErrorKind::Misconfigured if code == "missing_scope" => {
                    "add the scopes users:read and users:read.email to the app and install it again, or write `slack: U...` under `people:`"
                        .to_owned()
                }
                _ => advice,
            };
            Err(reply.error(kind, code, format!("Slack looks nobody up by mail address (`{code}`): {advice}")))
        }
        _ => Err(classify_status(reply, now).unwrap_or_else(|| unclear(reply))),
    }
}

fn unreasoned(reply: &Reply) -> SendError {
    reply.error(ErrorKind::Rejected, "ok:false", "Slack refused the message and does not say why")
}

/// Whether the answer to a reply names the thread that it is in.
pub(super) fn is_in_thread(reply: &Reply) -> bool {
    let answer: Option<serde_json::Value> = reply.json();
    answer.is_some_and(|answer| answer["message"]["thread_ts"].as_str().is_some_and(|ts| !ts.is_empty()))
}

/// The answer of a webhook: Slack's is `ok` (of a workflow `{"ok":true}`), or the error's name as plain text. A hook of somebody else that takes
/// Slack's messages is `foreign`: it confirms in words of its own.
pub(super) fn of_webhook(reply: &Reply, foreign: bool, now: Timestamp) -> Result<Receipt, SendError> {
    let text = reply.text();
    let text = text.trim();
    let json: Option<Answer> = reply.json();
    if reply.is_success() && (text == "ok" || json.as_ref().is_some_and(|answer| answer.ok == Some(true))) {
        return Ok(reply.receipt("ok", PlatformIds::default()));
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

/// Whether a message's blocks are refused: buttons are among them.
pub(super) fn is_of_blocks(error: &SendError) -> bool {
    let names = ["invalid_blocks", "invalid_blocks_format", "invalid_attachments"];
    error.kind == ErrorKind::Rejected && error.code.as_deref().is_some_and(|code| names.contains(&code))
}

/// Whether a text may be an error's name.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text != "ok" && text.len() <= 64 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The kind of an error and what to do. For what is not in the table the status decides; with 200 it is a refusal of this message.
fn classify_answer(code: &str, reply: &Reply, now: Timestamp) -> (ErrorKind, String) {
    let known = classify(ERROR_CODES, code);
    let kind = weigh(reply, now, known.map(|(kind, _)| kind));
    (kind, known.map_or_else(|| format!("it says `{code}`"), |(_, advice)| advice.to_owned()))
}

/// Whether the token's scopes, which the answer lists, are enough: posting, edits and replies take `chat:write`, and presses take none of the bot's.
pub(super) fn has_scopes(listed: Option<&str>) -> Result<(), SendError> {
    const NEEDED: &str = "chat:write";
    let Some(listed) = listed else { return Ok(()) };
    // `bot` is the scope of an app from before scopes were divided; it holds this one.
    if listed.split(',').any(|scope| matches!(scope.trim(), NEEDED | "bot")) {
        return Ok(());
    }
    let text =
        format!("the token lacks the scope `{NEEDED}` (it has: {listed}); add it under *OAuth & Permissions* of the app, and install the app again");
    Err(SendError::new(ErrorKind::Misconfigured, text).code("missing_scope"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_without_the_scope_is_told_which_one() {
        for enough in [None, Some("chat:write"), Some("users:read, chat:write"), Some("identify,bot")] {
            assert!(has_scopes(enough).is_ok(), "{enough:?}");
        }
        for lacks in ["", "users:read", "chat:write.public,im:write"] {
            let error = has_scopes(Some(lacks)).unwrap_err();
            assert!(error.kind == ErrorKind::Misconfigured && error.summary.contains("`chat:write`") && error.summary.contains(lacks), "{error}");
        }
    }
}
