//! What DingTalk answers, and what it means: business errors come with HTTP 200 and an `errcode`; its edge answers without one when an
//! address calls too fast. Pure.
//! <https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages> (error codes),
//! <https://open.dingtalk.com/document/orgapp/server-api-error-codes-1>

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::channel::kit::{Reply, classify_status};
use crate::model::{ErrorKind, Receipt, SendError};

/// A robot that sent more than 20 messages in a minute is silenced this long
/// (<https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages>).
const PENALTY: Duration = Duration::from_secs(600);

/// An address that made more than 10,000 calls in 20 seconds is shut out this long
/// (<https://open.dingtalk.com/document/orgapp/invocation-frequency-limit>).
const EDGE_PENALTY: Duration = Duration::from_secs(300);

/// The longest `wait` that is believed.
const MAX_WAIT: u64 = 24 * 3600;

struct Answer {
    errcode: i64,
    errmsg: String,
}

fn read(reply: &Reply) -> Option<Answer> {
    let body: Value = reply.json()?;
    let errcode = match body.get("errcode")? {
        Value::String(text) => text.parse().ok()?,
        number => number.as_i64()?,
    };
    let errmsg = body.get("errmsg").and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Answer { errcode, errmsg })
}

/// Whether the signature's timestamp was refused.
pub(super) fn is_clock_trouble(reply: &Reply) -> bool {
    read(reply).is_some_and(|answer| answer.errcode == 310_000 && answer.errmsg.contains("timestamp"))
}

/// The answer to a message.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let Some(answer) = read(reply) else {
        return Err(without_code(reply, now));
    };
    if answer.errcode == 0 && reply.is_success() {
        return Ok(reply.receipt("0", None));
    }
    let (kind, advice) = classify(&answer, reply, now);
    let summary = match answer.errmsg.is_empty() {
        true => format!("DingTalk refused the message: {advice}"),
        false => format!("DingTalk refused the message: {advice} (\"{}\")", answer.errmsg),
    };
    Err(reply.error(kind, answer.errcode.to_string(), summary))
}

/// No `errcode`: the edge in front of DingTalk answers, with a page or with `{"status":1111,"wait":5,"source":"x5","punish":"deny",..}`.
fn without_code(reply: &Reply, now: Timestamp) -> SendError {
    let page = || matches!(reply.body().trim_ascii_start().first(), None | Some(b'<'));
    let says_wait = || reply.json::<Value>().is_some_and(|body| body.get("wait").is_some() || body.get("punish").is_some());
    let throttled = matches!(reply.status(), 403 | 429) || reply.is_success() && (page() || says_wait());
    match classify_status(reply, now) {
        Some(error) if !throttled => error,
        None if !throttled => {
            let summary = "DingTalk's answer broke off or cannot be read; it may have been delivered";
            reply.error(ErrorKind::Ambiguous, format!("HTTP {}", reply.status()), summary)
        }
        _ => {
            let summary = "DingTalk's edge answers in its place, as it does when one address calls too fast; \
                           if it goes on, check `api_base` and whether a proxy answers";
            reply.error(ErrorKind::RateLimited { retry_after: Some(wait(reply, now, EDGE_PENALTY)) }, format!("HTTP {}", reply.status()), summary)
        }
    }
}

/// The penalty, or longer when the answer says so (`wait` in seconds, or `Retry-After`).
fn wait(reply: &Reply, now: Timestamp, penalty: Duration) -> Duration {
    let named = reply.json::<Value>().and_then(|body| body.get("wait")?.as_u64()).map(|seconds| Duration::from_secs(seconds.min(MAX_WAIT)));
    penalty.max(named.unwrap_or_default()).max(reply.retry_after(now).unwrap_or_default())
}

fn classify(answer: &Answer, reply: &Reply, now: Timestamp) -> (ErrorKind, &'static str) {
    use ErrorKind::{Misconfigured, Rejected, Transient};
    let says = |word: &str| answer.errmsg.contains(word);
    match answer.errcode {
        -1 => (Transient, "it is busy; it is tried again"),
        130_101 | 410_100 | 660_026 => {
            let retry_after = Some(wait(reply, now, PENALTY));
            (ErrorKind::RateLimited { retry_after }, "too many messages; the robot is silenced for ten minutes")
        }
        // Reported by operators, not in the documentation.
        90_030 => (Misconfigured, "the month's quota of messages is used up; buy more, or send fewer"),
        310_000 if says("keyword") => {
            (Rejected, "the message holds none of the robot's keywords; set `keyword`, put one into the template, or use a signature instead")
        }
        310_000 if says("timestamp") => (Misconfigured, "this machine's clock is more than an hour off; set it"),
        310_000 if says("sign") => (Misconfigured, "the signature does not match; check `secret` (SEC...)"),
        310_000 if says("ip") => (Misconfigured, "this machine's address is not in the robot's list; add it there"),
        310_000 => (Misconfigured, "the robot's security settings refuse it; compare them with `secret` and `keyword`"),
        300_001 if says("token") => (Misconfigured, "there is no robot with this token; check `access_token`"),
        300_005 | 400_101 | 400_106 => (Misconfigured, "there is no robot with this token; check `access_token`"),
        40_035 if says("access_token") => (Misconfigured, "the token is missing; check `access_token`"),
        400_013 => (Misconfigured, "the group was dissolved; make a robot in another one"),
        400_102 => (Misconfigured, "the robot is switched off; switch it on in the group's settings"),
        430_101..=430_104 => (Rejected, "the content is held to be unsafe"),
        460_101 | 101_002 => (Rejected, "the message is too long"),
        300_001 | 40_035 | 43_002 | 43_004 | 400_105 => (Rejected, "the request is not what it expects; look at what the template renders"),
        _ => match classify_status(reply, now) {
            Some(error) => (error.kind, "see the code"),
            None => (Rejected, "see the code"),
        },
    }
}
