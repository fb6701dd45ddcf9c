//! What Tencent Cloud answers, and what it means: HTTP 200 whatever happens, errors of the request in `Error`, of each number in its entry. Pure.
//! <https://cloud.tencent.com/document/api/382/59177>, <https://cloud.tencent.com/document/api/1128/51558>

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::channel::kit::{Reply, parse};
use crate::model::{ErrorKind, Receipt, SendError};

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
        "Ok" => Ok(reply.receipt("Ok", Some(entry.serial_no.clone()))),
        code => Err(refusal(reply, code, &entry.message)),
    };
    Ok(answer.send_status_set.iter().map(one).collect())
}

/// The answer to a call.
pub(super) fn of_call(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    match read(reply, now)?.send_status {
        Some(call) => Ok(reply.receipt("Ok", Some(call.call_id))),
        None => Err(reply.error(ErrorKind::Ambiguous, "none", "the answer says neither that the call was made nor that it was not")),
    }
}

fn read(reply: &Reply, now: Timestamp) -> Result<Answer, SendError> {
    if reply.status() >= 500 {
        let summary = "Tencent Cloud failed while it handled the request; it may have been carried out";
        return Err(reply.error(ErrorKind::Ambiguous, format!("HTTP {}", reply.status()), summary));
    }
    let answer = parse::<Outer>(reply, now)?.response;
    match answer.error {
        Some(trouble) => Err(refusal(reply, &trouble.code, &trouble.message)),
        None => Ok(answer),
    }
}

/// What a code means, by its name: the pages above list some two hundred.
fn refusal(reply: &Reply, code: &str, message: &str) -> SendError {
    use ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
    let wait = |seconds| RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
    let (class, name) = code.split_once('.').unwrap_or((code, ""));
    let number = matches!(
        name,
        "IncorrectPhoneNumber"
            | "PhoneNumberInBlacklist"
            | "PhoneNumberParseFail"
            | "CalledNumberVerifyFail"
            | "PhoneNumberDailyLimit"
            | "PhoneNumberSameContentDailyLimit"
    );
    let (kind, advice) = match (class, name) {
        _ if number => (Rejected, "this number is not reached"),
        ("RequestLimitExceeded", _) => (wait(2), "too many requests came too fast"),
        ("LimitExceeded", "PhoneNumberThirtySecondLimit") => (wait(30), "this number gets one message in 30 seconds"),
        ("LimitExceeded", "GlobalSmsSendingRateLimit") => (wait(2), "too many requests came too fast"),
        // An hour is too long for an alert: the fallback is taken.
        ("LimitExceeded", _) => (Rejected, "a frequency limit of the application is reached; raise it in the console"),
        ("InternalError", "SigFieldMissing" | "SigVerificationFail") => (Misconfigured, "the signature is not accepted; check the application"),
        ("InternalError", "Timeout" | "SendAndRecvFail" | "RequestTimeException" | "AccessUpstreamTimeout" | "SsoSendRecvFail" | "UpstreamError") => {
            (Ambiguous, "it failed while it handled the request, which may have been carried out")
        }
        ("FailedOperation", "AccessUpstreamTimeout") => (Ambiguous, "it failed while it handled the request, which may have been carried out"),
        ("InternalError", _) | ("FailedOperation", "OtherError") => (Transient, "it could not serve the request this time"),
        ("FailedOperation", "InsufficientBalanceInSmsPackage" | "InsufficientBalanceInVoicePackage") => {
            (Misconfigured, "the package is used up; buy another one")
        }
        (
            "FailedOperation",
            "SignatureIncorrectOrUnapproved"
            | "TemplateIncorrectOrUnapproved"
            | "TemplateUnapprovedOrNotExist"
            | "TemplateIdNotExist"
            | "SignIdNotExist",
        ) => (Misconfigured, "the signature or template is not approved; check `sign_name` and `template`"),
        ("FailedOperation", "ProhibitSubAccountUse" | "PhonenumberUnappliedOrExpired") => {
            (Misconfigured, "the account may not do this; look at the console")
        }
        ("AuthFailure", _) => (Misconfigured, "the key is not accepted; check `secret_id` and `secret_key`, and this machine's clock"),
        ("UnauthorizedOperation" | "UnsupportedOperation" | "UnsupportedRegion", _) | ("InvalidParameterValue", "SdkAppIdNotExist") => {
            (Misconfigured, "the application or account may not do this; check `app_id` and the console")
        }
        _ => (Rejected, "its content is not accepted; check `params` and `max_param`"),
    };
    let error = reply.error(kind, code, format!("Tencent Cloud: {advice} (\"{message}\")"));
    if number { error.of_recipient() } else { error }
}

/// Whether the request's time was refused.
pub(super) fn is_clock_trouble(reply: &Reply) -> bool {
    reply.json::<Outer>().is_some_and(|outer| outer.response.error.is_some_and(|trouble| trouble.code == "AuthFailure.SignatureExpire"))
}
