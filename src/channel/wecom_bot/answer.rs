//! What a robot's server answers, and what it means. Pure. Codes: <https://developer.work.weixin.qq.com/document/path/90313>

use super::robot::{Incoming, Robot};
use crate::channel::kit::{CodeRule, MAX_EXCERPT, classify, passing_by_words};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError, scrub};

const ERROR_CODES: &[CodeRule] = &[
    (&["-1", "6000"], ErrorKind::Transient, "it is busy; it is tried again"),
    (
        &["45009", "45011", "45033"],
        ErrorKind::RateLimited { retry_after: None },
        "more than 30 messages came within a minute, or 1,000 within an hour",
    ),
    (
        &["40001", "40013", "40014", "40091", "41004", "93000"],
        ErrorKind::Misconfigured,
        "the robot is not known by this id and secret; copy both from the robot's page, API mode, long connection",
    ),
    (&["93004"], ErrorKind::Misconfigured, "the robot is disabled; an administrator can enable it"),
    (OF_CHAT, ErrorKind::Misconfigured, "it cannot write there; somebody must write to the robot in that chat first, with an @ in a group"),
    (&["45002", "45003", "45004"], ErrorKind::Rejected, "the message is too long"),
    (&["82004"], ErrorKind::Rejected, "the content is held to be unlawful"),
];

/// Refusals of the one chat that a message goes to.
pub(super) const OF_CHAT: &[&str] = &["40003", "60111", "86001", "86003", "93006", "93008"];

/// The answer to a message.
pub(super) fn sent(answer: &Incoming, robot: &Robot) -> Result<Receipt, SendError> {
    if answer.errcode == 0 {
        return Ok(Receipt {
            ids: PlatformIds::default(),
            code: "0".into(),
            answer: format!("{{\"errcode\":0,\"errmsg\":\"{}\"}}", excerpt(answer, robot)),
        });
    }
    Err(refusal(answer, robot, ErrorKind::Rejected, "its content is not accepted, or the code is new; see the code in WeCom's list of errors"))
}

/// The answer to the robot's id and secret.
pub(super) fn subscribed(answer: &Incoming, robot: &Robot) -> Result<(), SendError> {
    if answer.errcode == 0 {
        return Ok(());
    }
    Err(refusal(
        answer,
        robot,
        ErrorKind::Misconfigured,
        "the robot is not accepted; check `bot_id` and `secret`, and that it is in API mode with a long connection",
    ))
}

/// Whether it refuses a card for its buttons, so that the same in markdown may pass: 40058 is any wrong field, the others are of cards.
pub(super) fn is_of_card(error: &SendError) -> bool {
    error.kind == ErrorKind::Rejected
        && error.code.as_deref().is_some_and(|code| matches!(code, "40058" | "42014" | "42015" | "42016" | "42017" | "42018"))
}

fn refusal(answer: &Incoming, robot: &Robot, unknown: ErrorKind, advice: &'static str) -> SendError {
    let code = answer.errcode.to_string();
    let (kind, advice) = classify(ERROR_CODES, &code).or_else(|| passing_by_words(&answer.errmsg)).unwrap_or((unknown, advice));
    SendError::new(kind, format!("WeCom's robot: {advice} (\"{}\")", excerpt(answer, robot))).code(code)
}

fn excerpt(answer: &Incoming, robot: &Robot) -> String {
    scrub(&answer.errmsg, &[&robot.secret], MAX_EXCERPT)
}
