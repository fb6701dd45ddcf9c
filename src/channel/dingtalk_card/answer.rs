//! What the interface of cards answers, and what it means. Pure. <https://open.dingtalk.com/document/orgapp/create-and-deliver-cards>,
//! <https://open.dingtalk.com/document/orgapp/interactive-card-update-interface>

use jiff::Timestamp;
use serde::Deserialize;

use super::body::ID;
use crate::channel::dingtalk_app;
use crate::channel::kit::{CodeRule, Reply, has_code, parse, says, unclear};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Answer {
    /// `None` where the answer says neither.
    success: Option<bool>,
    result: serde_json::Value,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Delivered {
    success: bool,
    error_msg: String,
}

/// What it refuses, beside what any interface does.
const ERROR_CODES: &[CodeRule] = &[
    (
        &["param.cardTemplateIdEmpty", "param.cardTemplateNotExist", "param.cardTemplateIdNotExist", "param.templateNotExist"],
        ErrorKind::Misconfigured,
        "the template of cards is not known there, or not published; check `template_id`",
    ),
    (OF_PERSON, ErrorKind::Rejected, "the person is not known, or not in the application's visible range"),
    (
        &["param.openSpaceModelInvalid", "param.openSpaceIdInvalid", "param.spaceNotExist"],
        ErrorKind::Misconfigured,
        "the group is not known, or the robot is not in it; check `to`, and add the robot to the group",
    ),
    (&["param.robotCodeInvalid", "param.robotNotExist", "invalid.robotCode"], ErrorKind::Misconfigured, "the robot is not known; check `robot_code`"),
    (&["param.contentUnsafe"], ErrorKind::Rejected, "the content is refused by DingTalk's review"),
    (
        &["Forbidden.AccessDenied.AccessTokenPermissionDenied"],
        ErrorKind::Misconfigured,
        "the application lacks the permission Card.Instance.Write (互动卡片实例写权限)",
    ),
    (&["param.empty", "param.outTrackIdEmpty", "param.cardPublicDataEmpty"], ErrorKind::Rejected, "its content is not accepted"),
    (&["system.error", "systemError", "unknownError"], ErrorKind::Transient, "it could not serve the request this time"),
];

/// Refusals of the person whom a card goes to, or whom one to a group pings.
const OF_PERSON: &[&str] = &["param.userIdNotExist", "param.userIdEmpty"];

/// Refusals of the one place that a card goes to.
pub(super) const OF_PLACE: &[&str] = &["deliverResults", "param.openSpaceModelInvalid", "param.openSpaceIdInvalid", "param.spaceNotExist"];

/// Words of a refused edit whose card is not there. No code of it is documented.
const GONE: &[&str] = &[
    "cardnotexist",
    "cardinstancenotexist",
    "outtrackidnotexist",
    "card not exist",
    "card instance not exist",
    "outtrackid not exist",
    "卡片不存在",
    "卡片实例不存在",
];

/// Words of a delivery that failed in its place.
const NO_PLACE: &[&str] = &["robot", "conversation", "space", "group", "user", "机器人", "会话", "群", "场域", "用户"];

/// Words for a person: of a card to a group, one whom it pings.
const PERSON: &[&str] = &["user", "用户"];

/// Words of a delivery that failed because the robot is not known, in whatever place: that is no fault of the place. No code of it is documented.
const NO_ROBOT: &[&str] = &[
    "robotcode",
    "robot code",
    "robot not exist",
    "robot is not exist",
    "robot does not exist",
    "robot not found",
    "chatbot not found",
    "chatbotnotfound",
    "机器人不存在",
    "不存在的机器人",
    "机器人编码",
];

/// Words for a group: with them it is the group that has no such robot.
const GROUP: &[&str] = &["conversation", "space", "group", "会话", "群", "场域"];

/// The answer to a card that was to be delivered under this id. The only people whom a card that `pings` names are those: it goes to a group.
pub(super) fn delivery(reply: &Reply, id: &str, pings: bool, now: Timestamp) -> Result<Receipt, SendError> {
    let answer: Answer = parse(reply, now)?;
    if !(reply.is_success() && answer.success == Some(true)) {
        let error = refusal(&answer, reply, now);
        if error.kind != ErrorKind::Rejected {
            return Err(error);
        }
        let of_person = has_code(&error, OF_PERSON);
        let of_mentions = pings && (of_person || says(&error.summary, &["atUserIds"]));
        return Err(match (of_mentions, of_person) {
            (true, _) => error.of_mentions(),
            (false, true) => error.of_recipient(),
            (false, false) => error,
        });
    }
    let results: Vec<Delivered> = serde_json::from_value(answer.result["deliverResults"].clone()).unwrap_or_default();
    if let Some(failed) = results.iter().find(|one| !one.success) {
        if says(&failed.error_msg, NO_ROBOT) && !says(&failed.error_msg, GROUP) {
            let text = format!("DingTalk made the card and did not deliver it (\"{}\"); check `robot_code`", failed.error_msg);
            return Err(reply.error(ErrorKind::Misconfigured, "robotCode", text));
        }
        if pings && says(&failed.error_msg, PERSON) {
            let text = format!("DingTalk made the card and did not deliver it (\"{}\"): is everybody whom it pings in the group?", failed.error_msg);
            return Err(reply.error(ErrorKind::Rejected, "deliverResults", text).of_mentions());
        }
        let kind = if says(&failed.error_msg, NO_PLACE) { ErrorKind::Misconfigured } else { ErrorKind::Rejected };
        let text = format!("DingTalk made the card and did not deliver it (\"{}\"); is the robot in the group?", failed.error_msg);
        return Err(reply.error(kind, "deliverResults", text));
    }
    if results.is_empty() || answer.result[ID].as_str() != Some(id) {
        return Err(unclear(reply));
    }
    Ok(reply.receipt("ok", PlatformIds::one(ID, id.to_owned())))
}

/// The answer to an edit.
pub(super) fn edit(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let answer: Answer = parse(reply, now)?;
    if reply.is_success() && answer.success == Some(true) {
        Ok(reply.receipt("ok", PlatformIds::default()))
    } else {
        Err(refusal(&answer, reply, now))
    }
}

/// Whether a refused edit says that the card is not there.
pub(super) fn is_gone(error: &SendError) -> bool {
    says(error.code.as_deref().unwrap_or_default(), GONE) || says(&error.summary, GONE)
}

fn refusal(answer: &Answer, reply: &Reply, now: Timestamp) -> SendError {
    let said: dingtalk_app::Answer = reply.json().unwrap_or_default();
    if reply.is_success() && answer.success != Some(false) && !said.refuses() {
        return unclear(reply);
    }
    dingtalk_app::refusal(ERROR_CODES, &said, reply, now)
}
