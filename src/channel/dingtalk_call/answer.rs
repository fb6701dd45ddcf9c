//! What DingTalk's application interfaces answer, and what it means. Pure.
//! <https://open.dingtalk.com/document/orgapp/robot-sends-nail-messages>, <https://open.dingtalk.com/document/orgapp/server-api-error-codes-1>

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::channel::dingtalk_app::{self, RATE};
use crate::channel::kit::{CodeRule, Reply, parse, unclear};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

/// The receipt, and who was not reached, by reason.
pub(super) type Reached = (Receipt, BTreeMap<String, Vec<String>>);

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    open_ding_id: Option<String>,
    failed_list: BTreeMap<String, Vec<String>>,
}

/// What DING refuses, beside what any interface does.
const ERROR_CODES: &[CodeRule] = &[
    (&["invalid.chatbotId"], ErrorKind::Misconfigured, "the robot is not known; check `robot_code`"),
    // The quota is used up until somebody buys more: another way to the person must be found.
    (&["ding.serverquota.insufficient"], ErrorKind::Rejected, "the DING quota is used up; buy more, or fall back to another channel"),
    (&["toomuch.msg"], RATE, "too many messages came too fast"),
    (&["Forbidden.AccessDenied.AccessTokenPermissionDenied"], ErrorKind::Misconfigured, "the application lacks the permission Premium.Ding.Write"),
    (
        &["miss.staffId", "invalidParameter.param.invalid", "ding.receivercount.limit"],
        ErrorKind::Rejected,
        "the receivers or the text are not accepted",
    ),
    (&["send.ding.exception", "system.error"], ErrorKind::Ambiguous, "it failed while it sent; somebody may have been called"),
];

/// Refusals of whom a request names, which each alone may pass: an id that nobody has (无效的接收者id), or too many people.
pub(super) const OF_RECEIVERS: &[&str] = &["miss.staffId", "ding.receivercount.limit"];

/// The answer to a DING.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Reached, SendError> {
    if reply.status() >= 500 {
        let summary = "DingTalk failed while it handled the request; somebody may have been called";
        return Err(reply.error(ErrorKind::Ambiguous, format!("HTTP {}", reply.status()), summary));
    }
    let answer: Answer = parse(reply, now)?;
    let id = answer.open_ding_id.filter(|id| !id.is_empty());
    if reply.is_success() && id.is_some() {
        return Ok((reply.receipt("ok", PlatformIds::one("openDingId", id)), answer.failed_list));
    }
    let said: dingtalk_app::Answer = parse(reply, now)?;
    // Neither a success nor a refusal: somebody may have been called.
    Err(if reply.is_success() && !said.refuses() { unclear(reply) } else { dingtalk_app::refusal(ERROR_CODES, &said, reply, now) })
}
