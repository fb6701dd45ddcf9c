//! What Alibaba Cloud answers, and what it means: business errors come with HTTP 200 and a `Code` other than `OK`. Pure.
//! <https://help.aliyun.com/zh/sms/developer-reference/api-error-codes>, <https://help.aliyun.com/zh/vms/developer-reference/api-error-codes>

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::channel::Called;
use crate::channel::kit::{CodeRule, Reply, classify, classify_status, parse, passing, phone, unclear};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError, Word};

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

/// How the gateway's limits begin.
const THROTTLING: &str = "Throttling";

/// Codes of both products, and of the gateway before them. The pages above, and <https://help.aliyun.com/document_detail/101347.html>.
const ERROR_CODES: &[CodeRule] = &[
    (
        &["isp.SYSTEM_ERROR", "isp.GATEWAY_ERROR", "isp.UNKNOWN_ERROR", "isv.VOICE_CALL_FAIL", "ServiceUnavailable", "SignatureNonceUsed"],
        ErrorKind::Transient,
        "it could not serve the request this time",
    ),
    (
        &[THROTTLING, "isv.FLOW_LIMIT", "isv.LIMIT_EXCEEDED"],
        ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(2)) },
        "too many requests came too fast",
    ),
    // A day or a month is too long for an alert: another way must be found.
    (
        &["isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL", "isv.SMS_OVER_LIMIT", "isv.REACHED_LIMIT"],
        ErrorKind::Rejected,
        "the account's own limit for the day or month is reached; raise it in the console",
    ),
    (
        &["isv.OUT_OF_SERVICE", "isv.AMOUNT_NOT_ENOUGH", "isv.AMOUNT_NOT_ENOUG"],
        ErrorKind::Misconfigured,
        "the account has no balance or is out of service; top it up",
    ),
    (
        &[
            "isv.SMS_SIGNATURE_ILLEGAL",
            "isv.SMS_SIGN_ILLEGAL",
            "isv.SIGN_STATE_ILLEGAL",
            "isv.SIGN_NAME_ILLEGAL",
            "isv.SMS_SIGNATURE_SCENE_ILLEGAL",
            "SIGNATURE_BLACKLIST",
            "isv.SMS_SIGN_EMOJI_ILLEGAL",
        ],
        ErrorKind::Misconfigured,
        "the signature is not approved for this account or for this kind of template; check `sign_name`",
    ),
    (
        &["isv.TTS_TEMPLATE_ILLEGAL", "isv.TEMPLATE_ILLEGAL", "isv.VOICE_FILE_ILLEGAL", "InvalidTemplateCode.Malformed"],
        ErrorKind::Misconfigured,
        "the template is not approved for this account; check `template`",
    ),
    (
        &["isv.DISPLAY_NUMBER_ILLEGAL", "isv.DISPLAY_NUMBER_NOT_EXIST", "isv.NO_AVAILABLE_DISPLAY_NUMBER", "isv.BILLID_NOT_EXIST", "BillidNotExist"],
        ErrorKind::Misconfigured,
        "the number that is shown is not one of the account's; check `show_number`",
    ),
    (
        &[
            "isv.EXTEND_CODE_ERROR",
            "isv.DENY_IP_RANGE",
            "isp.RAM_PERMISSION_DENY",
            "isv.RAM_PERMISSION_DENY",
            "isv.PRODUCT_UN_SUBSCRIPT",
            "isv.PRODUCT_UNSUBSCRIBE",
            "isv.ACCOUNT_NOT_EXISTS",
            "isv.ACCOUNT_ABNORMAL",
            // Of the caller, though the prefix is that of the vendor's own trouble.
            "isp.USER_NOT_EXIST",
            "isp.USER_ASSERT_NOT_EXIST",
            "isp.RES_OWNER_ID_UNKNOWN",
            "isv.SECURITY_FROZEN_ACCOUNT",
            "isv.TEST_SIGN_TEMPLATE_LIMIT",
            "isv.SMS_TEST_SIGN_TEMPLATE_LIMIT",
            "NoPermission",
            "Forbidden.RAM",
            "InvalidAction.NotFound",
            "InvalidVersion",
        ],
        ErrorKind::Misconfigured,
        "the account may not do this; look at its permissions and products in the console",
    ),
    (
        &[
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "InvalidAccessKeyId.NotFound",
            "InvalidAccessKeyId.Inactive",
            "InvalidAccessKeyId",
            "Forbidden.AccessKeyDisabled",
            "InvalidTimeStamp.Expired",
            "InvalidTimeStamp.Format",
        ],
        ErrorKind::Misconfigured,
        "the AccessKey is not accepted; check `access_key_id` and `access_key_secret`, and this machine's clock",
    ),
    (&["isv.BLACK_KEY_CONTROL_LIMIT"], ErrorKind::Rejected, "a variable holds a word that is not allowed; put it into the template, or leave it out"),
    (&["isv.SMS_CONTENT_ILLEGAL"], ErrorKind::Rejected, "the text holds what may not be sent"),
    (
        &[
            "isv.TEMPLATE_MISSING_PARAMETERS",
            "isv.TEMPLATE_PARAMS_ILLEGAL",
            "isv.SMS_TEMPLATE_ILLEGAL",
            "isv.INVALID_JSON_PARAM",
            "isv.PARAM_LENGTH_LIMIT",
            "isv.PARAM_NOT_SUPPORT_URL",
            "isv.INVALID_PARAMETERS",
        ],
        ErrorKind::Rejected,
        VARIABLES_ADVICE,
    ),
];

const VARIABLES_ADVICE: &str = "the template's variables are not accepted";

/// Codes that refuse the number (same pages).
const RECIPIENT_CODES: [&str; 10] = [
    "isv.MOBILE_NUMBER_ILLEGAL",
    "isv.CALLED_NUMBER_ILLEGAL",
    "isv.MOBILE_COUNT_OVER_LIMIT",
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
    "isv.CUSTOMER_REFUSED",
    "isv.BLACK_LIST_LIMIT",
    "isv.SMS_TEST_NUMBER_LIMIT",
    "isv.TEST_NUMBER_LIMIT",
    "isv.COMPLAINT_REJECT",
    "ComplaintReject",
];

/// What messages of `isv.SMS_TEMPLATE_ILLEGAL` say that are about the template itself. Any other is about the variables of this one message, most
/// often 请检查模板内容与模板参数是否匹配 (the template and its parameters differ).
const NO_TEMPLATE_PHRASES: [&str; 8] =
    ["找不到对应模", "模板不存在", "模版不存在", "不存在或被拉黑", "未审核", "审核未通过", "template does not exist", "template is not approved"];

/// The windows of `isv.BUSINESS_LIMIT_CONTROL` that are waited for, by what its message says (触发分钟级流控Permits:1); of an hour or a day, and where
/// none is named, another way must be found. <https://help.aliyun.com/zh/sms/user-guide/configure-delivery-limits>
const PER_MINUTE_PHRASES: [&str; 4] = ["分钟级", "秒级", "minute-level", "minute level"];

/// The answer to an SMS or a call. `variables` are the names of the template's variables, for the advice.
pub(super) fn of(reply: &Reply, variables: &str, now: Timestamp) -> Result<Receipt, SendError> {
    outcome(reply, variables, now).map_err(|error| passing(reply, error, now))
}

/// What a code of the vendor's own means. The gateway says what is throttled behind a dot: a user, an interface, a resource.
fn known(code: &str) -> Option<(ErrorKind, &'static str)> {
    let is_throttled = code.split('.').next() == Some(THROTTLING);
    classify(ERROR_CODES, if is_throttled { THROTTLING } else { code }).or_else(|| classify(ERROR_CODES, family(code)?))
}

/// The code of the table that decides for one that is not in it: a signature or an AccessKey that is refused is no message's fault, whatever it is called.
fn family(code: &str) -> Option<&'static str> {
    let is_key = || ["InvalidAccessKey", "InvalidSecurityToken", "MissingSecurityToken"].iter().any(|name| code.starts_with(name));
    match code.strip_prefix("isv.") {
        Some(name) if name.contains("SIGN") => Some("isv.SMS_SIGN_ILLEGAL"),
        None if is_key() => Some("InvalidAccessKeyId"),
        _ => None,
    }
}

fn outcome(reply: &Reply, variables: &str, now: Timestamp) -> Result<Receipt, SendError> {
    let read = reply.json::<Answer>();
    // What failed on the way back may have been carried out, unless the body says which of the vendor's own codes it is.
    let named = read.as_ref().is_some_and(|answer| known(&answer.code).is_some());
    if reply.status() >= 500 && !named {
        let summary = "Alibaba Cloud failed while it handled the request; it may have been carried out";
        return Err(reply.error(ErrorKind::Ambiguous, format!("HTTP {}", reply.status()), summary));
    }
    let answer: Answer = parse(reply, now)?;
    if reply.is_success() && answer.code == "OK" {
        return Ok(reply.receipt("OK", PlatformIds::one("BizId", answer.biz_id).and("CallId", answer.call_id)));
    }
    if reply.is_success() && answer.code.is_empty() {
        return Err(unclear(reply));
    }
    let code = answer.code.as_str();
    if code == "isv.BUSINESS_LIMIT_CONTROL" {
        let minute = PER_MINUTE_PHRASES.iter().any(|phrase| answer.message.contains(phrase));
        let kind = if minute { ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(60)) } } else { ErrorKind::Rejected };
        let text = format!("this number gets no more for now, by the account's frequency limits (\"{}\")", answer.message);
        return Err(reply.error(kind, code, text).of_recipient());
    }
    if RECIPIENT_CODES.contains(&code) {
        return Err(reply.error(ErrorKind::Rejected, code, format!("Alibaba Cloud does not reach this number: {}", answer.message)).of_recipient());
    }
    if code == "isv.SMS_TEMPLATE_ILLEGAL" && NO_TEMPLATE_PHRASES.iter().any(|phrase| answer.message.contains(phrase)) {
        let text = format!("Alibaba Cloud: the template is not approved for this account; check `template` (\"{}\")", answer.message);
        return Err(reply.error(ErrorKind::Misconfigured, code, text));
    }
    let by_status = || classify_status(reply, now).map_or(ErrorKind::Rejected, |error| error.kind);
    // `isp.` codes are the vendor's own trouble, `isv.` codes the caller's.
    let unknown = || if code.starts_with("isp.") { ErrorKind::Transient } else { by_status() };
    let (kind, advice) = known(code).unwrap_or_else(|| (unknown(), "see the code in the list of errors"));
    let advice = match advice {
        VARIABLES_ADVICE if variables.is_empty() => format!("{VARIABLES_ADVICE}; the template has some, and `params` names none"),
        VARIABLES_ADVICE => {
            format!("{VARIABLES_ADVICE}: compare {variables} in `params` with the template's, their kinds and their length (`max_param`)")
        }
        advice => advice.to_owned(),
    };
    let code = if code.is_empty() || code == "OK" { format!("HTTP {}", reply.status()) } else { code.to_owned() };
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
    #[serde(default)]
    send_status: i64,
    #[serde(default)]
    err_code: String,
}

/// Whether the answer to a question is one, and no refusal.
fn answered(reply: &Reply, now: Timestamp) -> Result<bool, SendError> {
    let answer: Answer = parse(reply, now)?;
    match answer.code.as_str() {
        "OK" if reply.is_success() => Ok(true),
        // It knows nothing of it yet.
        "isv.BILLID_NOT_EXIST" | "isv.BILL_ID_NOT_EXIST" => Ok(false),
        _ => Err(of(reply, "", now).err().unwrap_or_else(|| reply.error(ErrorKind::Transient, "none", "it did not say what became of it"))),
    }
}

/// What became of an SMS, by its id of theirs or, when that was lost, of ours.
/// <https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-querysenddetails>; the carriers' codes:
/// <https://help.aliyun.com/zh/sms/product-overview/delivery-receipt-error-codes>
pub(super) fn word_of_sms(reply: &Reply, out_id: Option<&str>, now: Timestamp) -> Result<Option<Word>, SendError> {
    if !answered(reply, now)? {
        return Ok(None);
    }
    let details = reply.json::<Details>().map(|found| found.list.details).unwrap_or_default();
    let ours = details.into_iter().find(|detail| out_id.is_none_or(|id| detail.out_id == id));
    Ok(ours.and_then(|detail| match detail.send_status {
        3 => Some(Word::delivered("DELIVERED", "it is on the phone")),
        2 => Some(Word::undelivered(detail.err_code.clone(), format!("the carrier could not deliver it (\"{}\")", detail.err_code))),
        _ => None,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CallAnswer {
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallDetail {
    #[serde(default)]
    state: Value,
    #[serde(default)]
    state_desc: String,
}

/// How calls end: <https://help.aliyun.com/zh/vms/developer-reference/operators-receipt-error-code>
const ANSWERED_STATUSES: [&str; 4] = ["200000", "200001", "200008", "300000"];
const NOT_REACHED: &[(&str, &str)] = &[
    ("200002", "the line was busy"),
    ("200003", "nobody answered the call"),
    ("200004", "the number does not exist"),
    ("200005", "the phone could not be reached, or the call was rejected"),
    ("200006", "the voice file could not be played"),
    ("200007", "the phone is out of reach"),
    ("200010", "the phone is switched off"),
    ("200011", "the number is out of service"),
    ("200012", "the call was lost"),
    ("200104", "the calling number is restricted"),
    ("200105", "the called number is restricted"),
    ("200111", "the call was rejected"),
    ("200112", "the line was busy"),
    ("200113", "nobody answered the call"),
    ("200116", "the number does not exist"),
    ("200117", "the number that is shown is not allowed"),
    ("200118", "calls are not allowed at this hour"),
    ("200119", "the number was called too often"),
    ("200120", "the phone is out of reach"),
    ("200121", "too many calls at once"),
    ("200130", "it was not found out why"),
    ("999999", "the vendor's system failed"),
    ("500", "the carrier failed"),
    ("400", "the carrier's network is full"),
    ("482", "the number cannot be reached now"),
    ("476", "the calling number was taken back"),
];

/// What became of a call. <https://help.aliyun.com/zh/vms/developer-reference/api-dyvmsapi-2017-05-25-querycalldetailbycallid>
pub(super) fn word_of_call(reply: &Reply, now: Timestamp) -> Result<Option<Word>, SendError> {
    if !answered(reply, now)? {
        return Ok(None);
    }
    let answer = reply.json::<CallAnswer>();
    let detail: Option<CallDetail> = answer.and_then(|answer| serde_json::from_str(&answer.data).ok());
    let Some(detail) = detail else { return Ok(None) };
    let state = detail.state.as_str().map_or_else(|| detail.state.to_string(), str::to_owned);
    Ok(word_of_state(&state, &detail.state_desc))
}

/// How a call ended, by its code.
fn word_of_state(state: &str, described: &str) -> Option<Word> {
    if ANSWERED_STATUSES.contains(&state) {
        return Some(Word::delivered(state, "the call was answered"));
    }
    let (code, what) = NOT_REACHED.iter().find(|(code, _)| *code == state)?;
    let described = if described.is_empty() { String::new() } else { format!(" (\"{described}\")") };
    Some(Word::undelivered(*code, format!("{what}{described}")))
}

/// A report about a call. Of its end (<https://help.aliyun.com/zh/vms/developer-reference/voicereport-6>), which names the callee, or of something that
/// happens in it (<https://help.aliyun.com/zh/vms/developer-reference/voicecallreport-4>), such as a key.
#[derive(Deserialize)]
struct CallReport {
    #[serde(default)]
    call_id: String,
    #[serde(default)]
    callee: String,
    #[serde(default)]
    status_code: Value,
    #[serde(default)]
    status_msg: String,
    #[serde(default)]
    dtmf: Value,
}

/// What came to the callback address of voice calls: a list, which is not signed.
pub(super) fn called(body: &[u8]) -> Result<Vec<Called>, String> {
    let reports: Vec<CallReport> = serde_json::from_slice(body).map_err(|_| "it is no list of reports about voice calls")?;
    let text = |value: &Value| value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned);
    let one = |report: CallReport| {
        let has_ended = !report.callee.is_empty();
        let word = if has_ended { word_of_state(&text(&report.status_code), &report.status_msg) } else { None };
        let key = Some(text(&report.dtmf).trim().to_owned()).filter(|key| !key.is_empty());
        // What names somebody whose number cannot be read proves nothing about a key.
        let named = Some(report.callee.clone()).filter(|callee| !callee.is_empty() && key.is_some());
        Called { platform_id: report.call_id, recipient: phone::e164(&report.callee).or(named), word, key }
    };
    let called: Vec<Called> = reports.into_iter().filter(|report| !report.call_id.is_empty()).map(one).collect();
    if called.is_empty() { Err("it reports nothing about a call".into()) } else { Ok(called) }
}

/// Whether the list of what was sent holds the SMS with this id of ours: <https://help.aliyun.com/zh/sms/developer-reference/api-dysmsapi-2017-05-25-querysenddetails>
pub(super) fn holds(reply: &Reply, out_id: &str) -> bool {
    reply.json::<Details>().is_some_and(|found| found.list.details.iter().any(|detail| detail.out_id == out_id))
}
