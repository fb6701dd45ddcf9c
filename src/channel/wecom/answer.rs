//! What WeCom answers, and what it means: business errors come with HTTP 200 and an `errcode`, and a success may name recipients that it
//! did not reach. Pure. Codes: <https://developer.work.weixin.qq.com/document/path/90313>, answer: <https://developer.work.weixin.qq.com/document/path/90236>

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::recipient::{PARTY, TAG};
use crate::channel::CellResult;
use crate::channel::kit::{CodeRule, Reply, all, classify, classify_status, parse, passing_by_words, weigh};
use crate::model::{ErrorKind, PlatformIds, Receipt, Recipient, SendError};

/// An interface that was called too often in a minute is blocked for a minute: <https://developer.work.weixin.qq.com/document/path/90312>
const BLOCK_DURATION: Duration = Duration::from_secs(60);

/// Nobody is looked up for this long after a refusal for too many questions: the interface may be blocked for a day.
const LOOK_UP_PAUSE: Duration = Duration::from_secs(3600);

/// The name of the right to change a card: good for one change, within 72 hours. <https://developer.work.weixin.qq.com/document/path/94888>
pub(super) const CODE: &str = "response_code";

#[derive(Deserialize)]
struct Answer {
    errcode: Option<i64>,
    #[serde(default)]
    errmsg: String,
    msgid: Option<String>,
    response_code: Option<String>,
    #[serde(default)]
    invaliduser: Option<String>,
    #[serde(default)]
    invalidparty: Option<String>,
    #[serde(default)]
    invalidtag: Option<String>,
    #[serde(default)]
    unlicenseduser: Option<String>,
    #[serde(default)]
    userid: Option<String>,
}

/// Whether the access token was refused: 40014 and 42001 (invalid, expired), 41001 (missing), 40001 (not of this secret).
pub(super) fn refuses_token(reply: &Reply) -> bool {
    matches!(reply.json::<Answer>().and_then(|answer| answer.errcode), Some(40_001 | 40_014 | 41_001 | 42_001))
}

/// Whether a card is what was refused: the application has no address for callbacks (43012), its id is used (42014 to 42018), or some part of it is
/// not accepted (40058).
pub(super) fn is_of_card(error: &SendError) -> bool {
    matches!(error.code.as_deref(), Some("43012" | "42014" | "42015" | "42016" | "42017" | "42018" | "40058"))
}

/// What WeCom says of an application: whether it may send.
pub(super) fn of_agent(reply: &Reply, now: Timestamp) -> Result<(), SendError> {
    #[derive(Deserialize)]
    struct Agent {
        #[serde(default)]
        close: i64,
    }
    let answer: Answer = parse(reply, now)?;
    if answer.errcode != Some(0) || !reply.is_success() {
        return Err(refused(&answer, reply, now));
    }
    match reply.json::<Agent>() {
        Some(Agent { close: 1 }) => {
            Err(SendError::new(ErrorKind::Misconfigured, "the application is disabled (已停用); enable it in the admin console"))
        }
        _ => Ok(()),
    }
}

/// The answer to a message, for each of its recipients; `Err` when all share one fate.
pub(super) fn of(reply: &Reply, to: &[Recipient], now: Timestamp) -> Result<Vec<CellResult>, SendError> {
    let answer: Answer = parse(reply, now)?;
    if answer.errcode != Some(0) || !reply.is_success() {
        return Err(refused(&answer, reply, now));
    }
    let lists = [
        ("unlicenseduser", &answer.unlicenseduser, "the user has no licence for this application, or has not joined"),
        ("invaliduser", &answer.invaliduser, "no such user, or outside of what the application may see"),
        ("invalidparty", &answer.invalidparty, "no such department, or outside of what the application may see"),
        ("invalidtag", &answer.invalidtag, "no such tag, or outside of what the application may see"),
    ];
    let mut results = all(to, Ok(reply.receipt("0", PlatformIds::one("msgid", answer.msgid.clone()).and(CODE, answer.response_code.clone()))));
    for (place, result) in &mut results {
        let name = to[*place].expose();
        let refused = lists.iter().find(|(list, names, _)| names.as_deref().is_some_and(|names| holds(names, name, list)));
        if let Some((list, _, why)) = refused {
            *result = Err(reply.error(ErrorKind::Rejected, *list, format!("WeCom did not reach {}: {why}", to[*place])).of_recipient());
        }
    }
    Ok(results)
}

/// The answer to a change of a card.
pub(super) fn of_change(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    of(reply, &[], now).map(|_| reply.receipt("0", PlatformIds::default()))
}

/// Whether a `|`-joined list of the answer holds a recipient. WeCom returns user ids in lower case. A direct call may have several users in one.
fn holds(names: &str, recipient: &str, list: &str) -> bool {
    let own = match (list, recipient.strip_prefix(PARTY), recipient.strip_prefix(TAG)) {
        ("invalidparty", Some(id), _) | ("invalidtag", _, Some(id)) => id,
        ("invaliduser" | "unlicenseduser", None, None) => recipient,
        _ => return false,
    };
    let names: Vec<&str> = names.split('|').map(str::trim).filter(|name| !name.is_empty()).collect();
    own.split('|').any(|own| names.iter().any(|name| name.eq_ignore_ascii_case(own.trim())))
}

/// Whose mobile number it is. <https://developer.work.weixin.qq.com/document/path/91693>: numbers that nobody has block the interface for a day, when they are
/// more than a fifth of the company's members.
pub(super) fn of_user(reply: &Reply, now: Timestamp) -> Result<Option<String>, SendError> {
    let answer: Answer = parse(reply, now)?;
    match (answer.errcode, &answer.userid) {
        (Some(0), Some(user)) if reply.is_success() && !user.is_empty() => Ok(Some(user.clone())),
        (Some(46_004 | 60_021 | 60_111), _) => Ok(None),
        _ => {
            let error = refused(&answer, reply, now);
            let kind = match error.kind {
                ErrorKind::RateLimited { .. } => ErrorKind::RateLimited { retry_after: Some(LOOK_UP_PAUSE) },
                kind => kind,
            };
            let errmsg = &answer.errmsg;
            let summary = format!(
                "WeCom looks nobody up by mobile number (\"{errmsg}\"): let the application see the members, or write `wecom` under `people:`"
            );
            Err(SendError { kind, summary, ..error })
        }
    }
}

/// Why there is no token.
pub(super) fn of_token(reply: &Reply, now: Timestamp) -> SendError {
    match parse::<Answer>(reply, now) {
        // Not even a success may be quoted: the answer's body is the token.
        Ok(answer) if answer.errcode == Some(0) => {
            SendError::new(ErrorKind::Transient, "WeCom's answer to the question for a token holds none; is a proxy answering in its place?")
        }
        Ok(answer) => refused(&answer, reply, now),
        Err(error) => SendError { detail: if reply.is_success() { None } else { error.detail }, ..error },
    }
}

fn refused(answer: &Answer, reply: &Reply, now: Timestamp) -> SendError {
    let Some(errcode) = answer.errcode else {
        return classify_status(reply, now).unwrap_or_else(|| {
            reply.error(
                ErrorKind::Transient,
                format!("HTTP {}", reply.status()),
                "the answer has no `errcode`; is a proxy answering in WeCom's place?",
            )
        });
    };
    let code = errcode.to_string();
    let known = classify(ERROR_CODES, &code).or_else(|| passing_by_words(&answer.errmsg));
    let kind = match weigh(reply, now, known.map(|(kind, _)| kind)) {
        ErrorKind::RateLimited { retry_after } => ErrorKind::RateLimited { retry_after: Some(retry_after.unwrap_or(BLOCK_DURATION)) },
        kind => kind,
    };
    let advice = known.map_or("see the code in WeCom's list of errors", |(_, advice)| advice);
    let summary = match answer.errmsg.is_empty() {
        true => format!("WeCom refused the message: {advice}"),
        false => format!("WeCom refused the message: {advice} (\"{}\")", answer.errmsg),
    };
    let error = reply.error(kind, code.as_str(), summary);
    if kind == ErrorKind::Rejected && RECIPIENT_CODES.contains(&code.as_str()) { error.of_recipient() } else { error }
}

/// Rejections of whom it goes to: other words would not help.
const RECIPIENT_CODES: &[&str] = &[
    "81013", "81012", "82001", "40003", "40031", "46004", "60021", "60111", "43004", "43013", "50002", "81011", "40032", "40066", "40068", "82002",
    "82003",
];

/// <https://developer.work.weixin.qq.com/document/path/90313>
const ERROR_CODES: &[CodeRule] = &[
    (&["-1", "6000"], ErrorKind::Transient, "it is busy; it is tried again"),
    (&["45009", "45033", "45011"], ErrorKind::RateLimited { retry_after: None }, "too many calls; the interface is blocked for a while"),
    (&["40001", "40091", "41004"], ErrorKind::Misconfigured, "the secret is not this application's; check `secret` and `corp_id`"),
    (&["40014", "41001", "42001"], ErrorKind::Transient, "it refuses an access token that it has just given"),
    (&["40013", "41002"], ErrorKind::Misconfigured, "there is no such company; check `corp_id`"),
    (
        &["40056", "41011", "301002"],
        ErrorKind::Misconfigured,
        "the agent id is not the application's whose secret is used; check `agent_id` and `secret`",
    ),
    (
        &["43011", "48001", "48002", "48004", "48005", "48006", "50003", "60011"],
        ErrorKind::Misconfigured,
        "the application may not send; check in the admin console that it is enabled and allowed to",
    ),
    (&["43012"], ErrorKind::Misconfigured, "the application has no address for callbacks, which this message needs; set it in the admin console"),
    (&["60020"], ErrorKind::Misconfigured, "this machine's address is not trusted; add it to the application's trusted IPs (企业可信IP)"),
    (&["40050", "86001", "86003"], ErrorKind::Misconfigured, "the group chat does not exist or is not this application's"),
    (&["81013"], ErrorKind::Rejected, "none of the recipients exists, or the application may not see any of them"),
    (&["81012", "82001"], ErrorKind::Rejected, "no recipient is named; check `to_user`, `to_party` and `to_tag`"),
    (
        &["40003", "40031", "40066", "40068", "43004", "43013", "46004", "50002", "60021", "60111", "81011"],
        ErrorKind::Rejected,
        "the recipient does not exist, or the application may not see it",
    ),
    (&["40032", "82002", "82003"], ErrorKind::Rejected, "too many recipients in one message"),
    (&["45002", "45003", "45004", "40039"], ErrorKind::Rejected, "the message is too long"),
    (&["82004"], ErrorKind::Rejected, "the content is held to be unlawful"),
    (
        &["40004", "40008", "40033", "40035", "40058", "40063", "41033", "43003", "44002", "44004", "45008", "45034", "47001"],
        ErrorKind::Rejected,
        "its content is not accepted; look at what the template renders",
    ),
];
