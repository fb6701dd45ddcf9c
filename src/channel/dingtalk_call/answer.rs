//! What DingTalk's application interfaces answer, and what it means. Pure.
//! <https://open.dingtalk.com/document/orgapp/robot-sends-nail-messages>, <https://open.dingtalk.com/document/orgapp/server-api-error-codes-1>

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::channel::kit::{CodeRule, Reply, classify, classify_status, parse};
use crate::model::{ErrorKind, PlatformIds, Receipt, Secret, SendError};

/// The receipt, and who was not reached, by reason.
pub(super) type Reached = (Receipt, BTreeMap<String, Vec<String>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    code: String,
    message: String,
    access_token: String,
    expire_in: u64,
    open_ding_id: Option<String>,
    failed_list: BTreeMap<String, Vec<String>>,
}

impl Default for Answer {
    fn default() -> Self {
        let text = String::new;
        Self { code: text(), message: text(), access_token: text(), expire_in: 0, open_ding_id: None, failed_list: BTreeMap::new() }
    }
}

#[derive(Deserialize)]
struct Old {
    errcode: i64,
    #[serde(default)]
    errmsg: String,
    #[serde(default)]
    sub_code: String,
    #[serde(default)]
    result: Option<User>,
}

#[derive(Deserialize)]
struct User {
    userid: String,
}

const RATE: ErrorKind = ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(2)) };

const ERROR_CODES: &[CodeRule] = &[
    (&["invalidClientIdOrSecret"], ErrorKind::Misconfigured, "the application is not accepted; check `app_key` and `app_secret`"),
    (
        &["InvalidAuthentication", "AuthenticationFailed.MissingParameter"],
        ErrorKind::Misconfigured,
        "the application's token is not accepted, not even a new one",
    ),
    (&["invalid.chatbotId"], ErrorKind::Misconfigured, "the robot is not known; check `robot_code`"),
    // The quota is used up until somebody buys more: another way to the person must be found.
    (&["ding.serverquota.insufficient"], ErrorKind::Rejected, "the DING quota is used up; buy more, or fall back to another channel"),
    (&["toomuch.msg"], RATE, "too many messages came too fast"),
    (
        &[
            "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi",
            "Forbidden.AccessDenied.QpsLimitForAppkey",
            "Forbidden.AccessDenied.QpsLimitForApi",
            "Forbidden.AccessDenied.QpsLimitForOrg",
        ],
        RATE,
        "too many requests came too fast",
    ),
    (&["Forbidden.AccessDenied.ApiCountLimitForOrg"], ErrorKind::Rejected, "the organisation's calls for this month are used up"),
    (
        &["Forbidden.AccessDenied.IpNotInWhiteList", "Forbidden.AccessDenied.AccessTokenPermissionDenied"],
        ErrorKind::Misconfigured,
        "this server's address is not on the application's list, or the application lacks the permission Premium.Ding.Write",
    ),
    (
        &["miss.staffId", "invalidParameter.param.invalid", "ding.receivercount.limit"],
        ErrorKind::Rejected,
        "the receivers or the text are not accepted",
    ),
    (&["ServiceUnavailable", "ServiceTemporarilyUnavailable"], ErrorKind::Transient, "it could not serve the request this time"),
    (&["send.ding.exception", "system.error"], ErrorKind::Ambiguous, "it failed while it sent; somebody may have been called"),
];

/// The answer to a DING.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Reached, SendError> {
    if reply.status() >= 500 {
        let summary = "DingTalk failed while it handled the request; somebody may have been called";
        return Err(reply.error(ErrorKind::Ambiguous, format!("HTTP {}", reply.status()), summary));
    }
    let answer: Answer = parse(reply, now)?;
    if reply.is_success() && answer.open_ding_id.is_some() {
        return Ok((reply.receipt("ok", PlatformIds::one("openDingId", answer.open_ding_id)), answer.failed_list));
    }
    Err(refusal(&answer, reply, now))
}

/// The answer to the question for a token: the token, and how many seconds it lives.
pub(super) fn token(reply: &Reply, now: Timestamp) -> Result<(Secret, u64), SendError> {
    let answer: Answer = parse(reply, now)?;
    if reply.is_success() && !answer.access_token.is_empty() {
        return Ok((Secret::new(answer.access_token), answer.expire_in));
    }
    Err(refusal(&answer, reply, now))
}

fn refusal(answer: &Answer, reply: &Reply, now: Timestamp) -> SendError {
    let by_status = || classify_status(reply, now).map_or(ErrorKind::Rejected, |error| error.kind);
    let (kind, advice) = classify(ERROR_CODES, &answer.code).unwrap_or_else(|| (by_status(), "see the code in DingTalk's list of errors"));
    let code = if answer.code.is_empty() { format!("HTTP {}", reply.status()) } else { answer.code.clone() };
    reply.error(kind, code, format!("DingTalk: {advice} (\"{}\")", answer.message))
}

/// The answer to the question for a mobile's user.
pub(super) fn user(reply: &Reply, now: Timestamp) -> Result<String, SendError> {
    let answer: Old = parse(reply, now)?;
    if let (0, Some(user)) = (answer.errcode, &answer.result) {
        return Ok(user.userid.clone());
    }
    let code = answer.errcode.to_string();
    let (kind, advice) = match answer.errcode {
        60121 | 40104 => {
            let text = format!("nobody in the organisation has this mobile number (\"{}\")", answer.errmsg);
            return Err(reply.error(ErrorKind::Rejected, code, text).of_recipient());
        }
        -1 => (ErrorKind::Transient, "it is busy"),
        90018 | 90002 => (RATE, "too many requests came too fast"),
        60020 => (ErrorKind::Misconfigured, "this server's address is not on the application's list"),
        60011 | 88 => (ErrorKind::Misconfigured, "the application lacks a permission (qyapi_get_member_by_mobile), or its token is refused"),
        _ => (ErrorKind::Rejected, "the mobile number cannot be looked up"),
    };
    Err(reply.error(kind, code, format!("DingTalk: {advice} (\"{}\")", answer.errmsg)))
}

/// Whether a new token would help: `InvalidAuthentication`, or the old interface's 88 with 40014.
pub(super) fn is_token_trouble(reply: &Reply) -> bool {
    let old =
        reply.json::<Old>().is_some_and(|old| matches!(old.errcode, 40014 | 42001 | 40001 | 33001) || old.errcode == 88 && old.sub_code == "40014");
    old || reply.json::<Answer>().is_some_and(|answer| answer.code == "InvalidAuthentication")
}
