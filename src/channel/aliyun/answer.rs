//! What Alibaba Cloud answers, and what it means: business errors come with HTTP 200 and a `Code` other than `OK`. Pure.
//! <https://help.aliyun.com/zh/sms/developer-reference/api-error-codes>, <https://help.aliyun.com/zh/vms/developer-reference/api-error-codes>

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::channel::kit::{Reply, Row, classify_status, look_up, parse};
use crate::model::{ErrorKind, Receipt, SendError};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    biz_id: Option<String>,
    #[serde(default)]
    call_id: Option<String>,
}

const KNOWN: &[Row] = &[
    (
        &["isp.SYSTEM_ERROR", "isp.GATEWAY_ERROR", "isv.VOICE_CALL_FAIL", "ServiceUnavailable", "InternalError"],
        ErrorKind::Transient,
        "it could not serve the request this time",
    ),
    (
        &["Throttling", "Throttling.User", "Throttling.Api"],
        ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(2)) },
        "too many requests came too fast",
    ),
    (
        &["isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL"],
        ErrorKind::Rejected,
        "the account's own limit for the day or month is reached; raise it in the console",
    ),
    (&["isv.OUT_OF_SERVICE", "isv.AMOUNT_NOT_ENOUGH"], ErrorKind::Misconfigured, "the account has no balance or is out of service; top it up"),
    (
        &["isv.SMS_SIGNATURE_ILLEGAL", "isv.SMS_SIGN_ILLEGAL", "isv.SIGN_STATE_ILLEGAL", "isv.SMS_SIGNATURE_SCENE_ILLEGAL"],
        ErrorKind::Misconfigured,
        "the signature is not approved for this account; check `sign_name`",
    ),
    (
        &["isv.SMS_TEMPLATE_ILLEGAL", "isv.TTS_TEMPLATE_ILLEGAL"],
        ErrorKind::Misconfigured,
        "the template is not approved for this account; check `template`",
    ),
    (&["isv.DISPLAY_NUMBER_ILLEGAL"], ErrorKind::Misconfigured, "the number that is shown is not one of the account's; check `show_number`"),
    (
        &[
            "isv.EXTEND_CODE_ERROR",
            "isv.DENY_IP_RANGE",
            "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
            "isp.RAM_PERMISSION_DENY",
            "isv.PRODUCT_UN_SUBSCRIPT",
            "isv.PRODUCT_UNSUBSCRIBE",
            "isv.ACCOUNT_NOT_EXISTS",
            "isv.ACCOUNT_ABNORMAL",
            "NoPermission",
        ],
        ErrorKind::Misconfigured,
        "the account may not do this; look at its permissions and products in the console",
    ),
    (
        &["SignatureDoesNotMatch", "IncompleteSignature", "InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "InvalidTimeStamp.Expired"],
        ErrorKind::Misconfigured,
        "the AccessKey is not accepted; check `access_key_id` and `access_key_secret`, and this machine's clock",
    ),
    (
        &[
            "isv.TEMPLATE_MISSING_PARAMETERS",
            "isv.TEMPLATE_PARAMS_ILLEGAL",
            "isv.INVALID_JSON_PARAM",
            "isv.PARAM_LENGTH_LIMIT",
            "isv.PARAM_NOT_SUPPORT_URL",
            "isv.SMS_CONTENT_ILLEGAL",
            "isv.INVALID_PARAMETERS",
        ],
        ErrorKind::Rejected,
        "the template's variables are not accepted; check `params` and `max_param`",
    ),
];

/// Codes that refuse the number (same pages).
const NUMBER: [&str; 4] = ["isv.MOBILE_NUMBER_ILLEGAL", "isv.MOBILE_COUNT_OVER_LIMIT", "isv.BLACK_KEY_CONTROL_LIMIT", "isv.COMPLAINT_REJECT"];

/// The answer to an SMS or a call.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    if reply.status() >= 500 && reply.json::<Answer>().is_none() {
        let summary = "Alibaba Cloud failed while it handled the request; it may have been carried out";
        return Err(reply.error(ErrorKind::Ambiguous, format!("HTTP {}", reply.status()), summary));
    }
    let answer: Answer = parse(reply, now)?;
    if reply.is_success() && answer.code == "OK" {
        return Ok(reply.receipt("OK", answer.biz_id.or(answer.call_id)));
    }
    let code = answer.code.as_str();
    if code == "isv.BUSINESS_LIMIT_CONTROL" {
        // Its message names the window (触发分钟级流控): a minute is waited for, of an hour or a day another way must be found.
        let minute = answer.message.contains("分钟") || answer.message.contains("minute");
        let kind = if minute { ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(60)) } } else { ErrorKind::Rejected };
        let text = format!("this number gets no more for now, by the account's frequency limits (\"{}\")", answer.message);
        let error = reply.error(kind, code, text);
        return Err(if minute { error } else { error.of_recipient() });
    }
    if NUMBER.contains(&code) {
        return Err(reply.error(ErrorKind::Rejected, code, format!("Alibaba Cloud does not reach this number: {}", answer.message)).of_recipient());
    }
    let by_status = || classify_status(reply, now).map_or(ErrorKind::Rejected, |error| error.kind);
    let (kind, advice) = look_up(KNOWN, code).unwrap_or_else(|| (by_status(), "see the code in the list of errors"));
    Err(reply.error(kind, code, format!("Alibaba Cloud: {advice} (\"{}\")", answer.message)))
}

/// Whether the request's date was refused.
pub(super) fn is_clock_trouble(reply: &Reply) -> bool {
    reply.json::<Answer>().is_some_and(|answer| answer.code == "InvalidTimeStamp.Expired")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Details {
    #[serde(rename = "SmsSendDetailDTOs")]
    list: DetailList,
}

#[derive(Deserialize)]
struct DetailList {
    #[serde(rename = "SmsSendDetailDTO", default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detail {
    #[serde(default)]
    out_id: String,
}

/// Whether the list of what was sent holds the SMS with this id of ours: <https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-querysenddetails>
pub(super) fn holds(reply: &Reply, out_id: &str) -> bool {
    reply.json::<Details>().is_some_and(|found| found.list.details.iter().any(|detail| detail.out_id == out_id))
}
