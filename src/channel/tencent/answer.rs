//! What Tencent Cloud answers, and what it means: HTTP 200 whatever happens, errors of the request in `Error`, of each number in its entry. Pure.
//! <https://cloud.tencent.com/document/api/382/59177>, <https://cloud.tencent.com/document/api/1128/51558>

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::channel::Called;
use crate::channel::kit::{CodeRule, Reply, classify, classify_status, parse, passing};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError, Word};

#[derive(Deserialize)]
struct Outer {
    #[serde(rename = "Response")]
    response: Answer,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    error: Option<Trouble>,
    #[serde(default)]
    send_status_set: Vec<Entry>,
    #[serde(default)]
    send_status: Option<Call>,
    #[serde(default)]
    pull_sms_send_status_set: Vec<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    #[serde(default)]
    serial_no: String,
    #[serde(default)]
    report_status: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trouble {
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default)]
    serial_no: String,
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Call {
    #[serde(default)]
    call_id: String,
}

/// The answer to an SMS: one result per entry, in the order of the numbers.
pub(super) fn of_sms(reply: &Reply, now: Timestamp) -> Result<Vec<Result<Receipt, SendError>>, SendError> {
    let answer = read(reply, now)?;
    let one = |entry: &Entry| match entry.code.as_str() {
        "Ok" => Ok(reply.receipt("Ok", PlatformIds::one("SerialNo", entry.serial_no.clone()))),
        code => Err(refusal(reply, code, &entry.message)),
    };
    Ok(answer.send_status_set.iter().map(one).collect())
}

/// The answer to a call.
pub(super) fn of_call(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    match read(reply, now)?.send_status {
        Some(call) => Ok(reply.receipt("Ok", PlatformIds::one("CallId", call.call_id))),
        None => Err(reply.error(ErrorKind::Ambiguous, "none", "the answer says neither that the call was made nor that it was not")),
    }
}

/// What became of an SMS, by its serial number. <https://cloud.tencent.com/document/api/382/59185>
pub(super) fn word_of_sms(reply: &Reply, serial: &str, now: Timestamp) -> Result<Option<Word>, SendError> {
    let found = read(reply, now)?.pull_sms_send_status_set.into_iter().find(|status| status.serial_no == serial);
    Ok(found.and_then(|status| match status.report_status.as_str() {
        "SUCCESS" => Some(Word::delivered("SUCCESS", "it is on the phone")),
        "FAIL" => Some(Word::undelivered("FAIL", format!("the carrier could not deliver it (\"{}\")", status.description))),
        _ => None,
    }))
}

#[derive(Deserialize)]
struct CallEvent {
    #[serde(default)]
    voiceprompt_callback: Option<CallEnd>,
    #[serde(default)]
    voicekey_callback: Option<CallEnd>,
    #[serde(default)]
    voice_failure_callback: Option<CallEnd>,
}

#[derive(Deserialize)]
struct CallEnd {
    #[serde(default)]
    callid: String,
    #[serde(default)]
    mobile: String,
    #[serde(default)]
    nationcode: String,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    keypress: String,
    #[serde(default)]
    failure_code: Value,
    #[serde(default)]
    failure_reason: String,
}

impl CallEnd {
    /// How the call ended; `None` for a key.
    fn word(&self, event: Event) -> Option<Word> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (event, text(&self.result).as_str()) {
            (Event::Key, _) => None,
            (Event::Failure, _) => Some(Word::undelivered(text(&self.failure_code), format!("the call failed (\"{}\")", self.failure_reason))),
            (Event::End, "0") => Some(Word::delivered("0", "the call was answered")),
            (Event::End, "1") => Some(Word::undelivered("1", "nobody answered the call")),
            (Event::End, result) => Some(Word::undelivered(result, "the call failed")),
        }
    }
}

/// What is reported about a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    End,
    Key,
    Failure,
}

/// What came to the callback address of voice calls; it is not signed. How calls end: <https://cloud.tencent.com/document/product/1128/51534>, keys:
/// <https://cloud.tencent.com/document/product/1128/51535>, why they failed: <https://cloud.tencent.com/document/api/1128/37727>
pub(super) fn called(body: &[u8]) -> Result<Vec<Called>, String> {
    let event: CallEvent = serde_json::from_slice(body).map_err(|_| "it is not a callback of Tencent Cloud's voice messages")?;
    let (end, event) = match event {
        CallEvent { voiceprompt_callback: Some(end), .. } => (end, Event::End),
        CallEvent { voicekey_callback: Some(end), .. } => (end, Event::Key),
        CallEvent { voice_failure_callback: Some(end), .. } => (end, Event::Failure),
        _ => return Err("it says neither how a call ended nor that a key was pressed".into()),
    };
    let word = end.word(event);
    let recipient = if end.nationcode.is_empty() { end.mobile } else { format!("+{}{}", end.nationcode, end.mobile) };
    let pressed = Some(end.keypress).filter(|pressed| event == Event::Key && !pressed.is_empty());
    Ok(vec![Called { platform_id: end.callid, recipient: Some(recipient).filter(|number| !number.is_empty()), word, key: pressed }])
}

fn read(reply: &Reply, now: Timestamp) -> Result<Answer, SendError> {
    if reply.status() >= 500 {
        let summary = "Tencent Cloud failed while it handled the request; it may have been carried out";
        return Err(reply.error(ErrorKind::Ambiguous, format!("HTTP {}", reply.status()), summary));
    }
    let answer = parse::<Outer>(reply, now)?.response;
    match (answer.error, classify_status(reply, now)) {
        (Some(trouble), _) => Err(passing(reply, refusal(reply, &trouble.code, &trouble.message), now)),
        // It answers 200 whatever happens: another status is somebody else's, whatever the body says.
        (None, Some(error)) => Err(error),
        (None, None) => Ok(Answer { error: None, ..answer }),
    }
}

const RETRY_ADVICE: &str = "it failed while it handled the request, which may have been carried out";
const LIMIT_ADVICE: &str = "a frequency limit of the application is reached; raise it in the console";
const CONTENT_ADVICE: &str = "its content is not accepted; check `params` and `max_param`";
const APPLICATION_ADVICE: &str = "the application or account may not do this; check `app_id` and the console";

const fn wait(seconds: u64) -> ErrorKind {
    ErrorKind::RateLimited { retry_after: Some(Duration::from_secs(seconds)) }
}

/// Codes of both products and of the gateway before them (<https://cloud.tencent.com/document/api/382/52075>, and the pages above).
const ERROR_CODES: &[CodeRule] = &[
    (&["LimitExceeded.GlobalSmsSendingRateLimit"], wait(2), "too many requests came too fast"),
    (
        &[
            "InternalError.Timeout",
            "InternalError.SendAndRecvFail",
            // The carrier answered, nobody knows what.
            "InternalError.ParseBackendResponseFail",
            "InternalError.RequestTimeException",
            "InternalError.AccessUpstreamTimeout",
            "InternalError.SsoSendRecvFail",
            "InternalError.UpstreamError",
            "FailedOperation.AccessUpstreamTimeout",
        ],
        ErrorKind::Ambiguous,
        RETRY_ADVICE,
    ),
    (
        &["FailedOperation.OtherError", "FailedOperation.ParametersOtherError", "FailedOperation.CallCapacityExceeded"],
        ErrorKind::Transient,
        "it could not serve the request this time",
    ),
    (
        &["InternalError.SigFieldMissing", "InternalError.SigVerificationFail"],
        ErrorKind::Misconfigured,
        "the signature is not accepted; check the application",
    ),
    (&["InternalError.RestApiInterfaceNotExist", "InternalError.JsonParseFail"], ErrorKind::Rejected, "it does not understand the request"),
    (
        &["FailedOperation.InsufficientBalanceInSmsPackage", "FailedOperation.InsufficientBalanceInVoicePackage"],
        ErrorKind::Misconfigured,
        "the package is used up; buy another one",
    ),
    (
        &[
            "FailedOperation.SignatureIncorrectOrUnapproved",
            "FailedOperation.MissingSignature",
            "FailedOperation.TemplateIncorrectOrUnapproved",
            "FailedOperation.TemplateUnapprovedOrNotExist",
            "FailedOperation.TemplateIdNotExist",
            "FailedOperation.SignIdNotExist",
        ],
        ErrorKind::Misconfigured,
        "the signature or template is not approved; check `sign_name` and `template`",
    ),
    (
        &[
            "FailedOperation.ProhibitSubAccountUse",
            "FailedOperation.PhonenumberUnappliedOrExpired",
            "InvalidParameterValue.SdkAppIdNotExist",
            "InvalidParameterValue.SdkAppidNotExist",
            "InvalidParameter.AppidAndBizId",
            "IpInBlacklist",
            "IpNotInWhitelist",
            "LimitExceeded.AppCountryOrRegionInBlacklist",
        ],
        ErrorKind::Misconfigured,
        APPLICATION_ADVICE,
    ),
    (&["FailedOperation.MarketingSendTimeConstraint"], ErrorKind::Rejected, "marketing texts are not sent at this hour; use a notification template"),
];

/// What a class means whose code is not in the table above.
const ERROR_CLASSES: &[CodeRule] = &[
    (&["RequestLimitExceeded"], wait(2), "too many requests came too fast"),
    // An hour is too long for an alert: the fallback is taken.
    (&["LimitExceeded"], ErrorKind::Rejected, LIMIT_ADVICE),
    (
        &["InternalError", "ServiceUnavailable", "ResourceUnavailable", "ResourceInsufficient", "ResourceInUse"],
        ErrorKind::Transient,
        "it could not serve the request this time",
    ),
    (&["AuthFailure"], ErrorKind::Misconfigured, "the key is not accepted; check `secret_id` and `secret_key`, and this machine's clock"),
    (
        &["UnauthorizedOperation", "UnsupportedOperation", "UnsupportedRegion", "ActionOffline", "InvalidAction", "NoSuchProduct", "NoSuchVersion"],
        ErrorKind::Misconfigured,
        APPLICATION_ADVICE,
    ),
];

/// Codes that refuse the number (same pages): a template of one side of the border does not serve the other.
const RECIPIENT_CODES: &[&str] = &[
    "InvalidParameterValue.IncorrectPhoneNumber",
    "InvalidParameterValue.CalledNumberVerifyFail",
    "FailedOperation.PhoneNumberInBlacklist",
    "FailedOperation.PhoneNumberParseFail",
    "MissingParameter.EmptyPhoneNumberSet",
    "LimitExceeded.PhoneNumberDailyLimit",
    "LimitExceeded.PhoneNumberSameContentDailyLimit",
    "LimitExceeded.PhoneNumberOneHourLimit",
    "LimitExceeded.DeliveryFrequencyLimit",
    "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone",
    "UnsupportedOperation.GlobalTemplateToChineseMainlandPhone",
    "UnsupportedOperation.UnsupportedRegion",
    "UnsupportedOperation.UnsuportedRegion",
];

/// Codes of what the application may not do to this number: its country.
pub(super) const NUMBER_CODES: &[&str] = &["LimitExceeded.AppCountryOrRegionInBlacklist"];

/// This number gets one message in 30 seconds: others do not wait for it.
const NUMBER_LIMIT: &str = "LimitExceeded.PhoneNumberThirtySecondLimit";

/// What a code means.
fn refusal(reply: &Reply, code: &str, message: &str) -> SendError {
    if code == NUMBER_LIMIT {
        return reply.error(wait(30), code, format!("Tencent Cloud: this number gets one message in 30 seconds (\"{message}\")")).of_recipient();
    }
    if RECIPIENT_CODES.contains(&code) {
        return reply.error(ErrorKind::Rejected, code, format!("Tencent Cloud: this number is not reached (\"{message}\")")).of_recipient();
    }
    let class = code.split_once('.').map_or(code, |(class, _)| class);
    let (kind, advice) = classify(ERROR_CODES, code).or_else(|| classify(ERROR_CLASSES, class)).unwrap_or((ErrorKind::Rejected, CONTENT_ADVICE));
    reply.error(kind, code, format!("Tencent Cloud: {advice} (\"{message}\")"))
}

/// Whether the request's time was refused.
pub(super) fn is_clock_trouble(reply: &Reply) -> bool {
    reply.json::<Outer>().is_some_and(|outer| outer.response.error.is_some_and(|trouble| trouble.code == "AuthFailure.SignatureExpire"))
}
