//! What DingTalk answers, and what it means: business errors come with HTTP 200 and an `errcode`; its edge answers without one when an
//! address calls too fast. Pure.
//! <https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages> (error codes),
//! <https://open.dingtalk.com/document/orgapp/server-api-error-codes-1>

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::channel::kit::{CodeRule, Reply, classify, classify_status, passing_by_words, says, undeniable};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

/// A robot that sent more than 20 messages in a minute is silenced this long
/// (<https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages>).
const RATE_LIMIT_PENALTY: Duration = Duration::from_secs(600);

/// An address that made more than 10,000 calls in 20 seconds is shut out this long
/// (<https://open.dingtalk.com/document/orgapp/invocation-frequency-limit>).
const EDGE_RATE_LIMIT_PENALTY: Duration = Duration::from_secs(300);

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
    read(reply).is_some_and(|answer| answer.errcode == 310_000 && security(&answer.errmsg).0 == Security::Clock)
}

/// The answer to a message.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let Some(answer) = read(reply) else {
        return Err(without_code(reply, now));
    };
    if answer.errcode == 0 && reply.is_success() {
        return Ok(reply.receipt("0", PlatformIds::default()));
    }
    let (kind, advice) = classify_answer(&answer, reply, now);
    let kind = match undeniable(reply, now).unwrap_or(kind) {
        ErrorKind::RateLimited { .. } => ErrorKind::RateLimited { retry_after: Some(wait(reply, now, RATE_LIMIT_PENALTY)) },
        kind => kind,
    };
    let summary = match answer.errmsg.is_empty() {
        true => format!("DingTalk refused the message: {advice}"),
        false => format!("DingTalk refused the message: {advice} (\"{}\")", answer.errmsg),
    };
    let error = reply.error(kind, answer.errcode.to_string(), summary);
    Err(if kind == ErrorKind::Rejected && says(&answer.errmsg, &["atMobiles", "atUserIds", "isAtAll"]) { error.of_mentions() } else { error })
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
            reply.error(
                ErrorKind::RateLimited { retry_after: Some(wait(reply, now, EDGE_RATE_LIMIT_PENALTY)) },
                format!("HTTP {}", reply.status()),
                summary,
            )
        }
    }
}

/// What the answer asks for (`Retry-After`); else the penalty, or longer when the body says so (`wait`, in seconds).
fn wait(reply: &Reply, now: Timestamp, penalty: Duration) -> Duration {
    let named = reply.json::<Value>().and_then(|body| body.get("wait")?.as_u64()).map(|seconds| Duration::from_secs(seconds.min(MAX_WAIT)));
    reply.retry_after(now).unwrap_or_else(|| penalty.max(named.unwrap_or_default()))
}

/// The codes that mean one thing each.
const ERROR_CODES: &[CodeRule] = &[
    (&["-1"], ErrorKind::Transient, "it is busy; it is tried again"),
    (
        &["130101", "130102", "410100", "660026"],
        ErrorKind::RateLimited { retry_after: None },
        "too many messages; the robot is silenced for ten minutes",
    ),
    (
        &["90001", "90002", "90003", "90004", "90005", "90006", "90018"],
        ErrorKind::RateLimited { retry_after: None },
        "too many calls by this organisation or address; they are shut out for a while",
    ),
    // The first reported by operators, not in the documentation; the second is that of the interfaces.
    (&["90030", "90020"], ErrorKind::Misconfigured, "the month's quota of messages is used up; buy more, or send fewer"),
    (&["300005", "400101", "400106", "40014", "41001"], ErrorKind::Misconfigured, "there is no robot with this token; check `access_token`"),
    (&["400013"], ErrorKind::Misconfigured, "the group was dissolved; make a robot in another one"),
    (&["400102"], ErrorKind::Misconfigured, "the robot is switched off; switch it on in the group's settings"),
    (&["404"], ErrorKind::Misconfigured, "nothing takes messages at this address; check `api_base`"),
    (&["430101", "430102", "430103", "430104"], ErrorKind::Rejected, "the content is held to be unsafe"),
    (&["460101", "101002", "34016"], ErrorKind::Rejected, "the message is too long"),
    (
        &["400105", "40035", "400402", "300001", "40008", "43001", "43002", "43003", "43004", "43005", "43008", "43009", "43010", "34014"],
        ErrorKind::Rejected,
        "the request is not what it expects; look at what the template renders",
    ),
];

const UNKNOWN: (ErrorKind, &str) = (ErrorKind::Rejected, "see the code");

const NO_ROBOT: (ErrorKind, &str) = (ErrorKind::Misconfigured, "there is no robot with this token; check `access_token`");

fn classify_answer(answer: &Answer, reply: &Reply, now: Timestamp) -> (ErrorKind, &'static str) {
    match answer.errcode {
        310_000 => {
            let (_, kind, advice) = security(&answer.errmsg);
            (kind, advice)
        }
        // Another of its interfaces speaks through this one: `ding talk error[subcode=90018,submsg=...]`.
        88 => subcode(&answer.errmsg).and_then(|code| classify(ERROR_CODES, code)).or_else(|| flow_control(&answer.errmsg)).unwrap_or(UNKNOWN),
        // Both are answered to a token and to a message.
        300_001 | 40_035 | 400_402 if says(&answer.errmsg, &["token", "access_token"]) => NO_ROBOT,
        300_001 if says(&answer.errmsg, &["robot", "机器人"]) => NO_ROBOT,
        code => classify(ERROR_CODES, &code.to_string())
            .or_else(|| passing_by_words(&answer.errmsg))
            .unwrap_or_else(|| (classify_status(reply, now).map_or(UNKNOWN.0, |error| error.kind), UNKNOWN.1)),
    }
}

/// The code within the words of an error 88.
fn subcode(errmsg: &str) -> Option<&str> {
    let (_, rest) = errmsg.split_once("subcode=")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()
}

fn flow_control(errmsg: &str) -> Option<(ErrorKind, &'static str)> {
    let found = says(errmsg, &["flow control"]).then_some((ErrorKind::RateLimited { retry_after: None }, "too many messages came too fast"));
    found.or_else(|| passing_by_words(errmsg))
}

/// What a robot's security settings refuse (310000 is all of them).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Keyword,
    Clock,
    Signature,
    Address,
    Other,
}

/// Reads a 310000 by the words in which DingTalk complains, in English (`keywords not in content, more: [..]`) or as
/// `description:关键词不匹配;solution:..;link:..`. Of that only the description counts: the solution to one setting names the others.
fn security(errmsg: &str) -> (Security, ErrorKind, &'static str) {
    use ErrorKind::{Misconfigured, Rejected};
    const TABLE: &[(&[&str], Security, ErrorKind, &str)] = &[
        (&["敏感", "违规", "违禁", "sensitive", "illegal content"], Security::Other, Rejected, "the content is held to be unsafe"),
        (
            &["keyword", "keywords", "关键词", "关键字"],
            Security::Keyword,
            // It depends on the message whether it holds the word.
            Rejected,
            "the message holds none of the robot's keywords; set `keyword`, put one into the template, or use a signature instead",
        ),
        (
            &["timestamp", "expired", "expire", "时间戳", "过期", "失效"],
            Security::Clock,
            Misconfigured,
            "this machine's clock is more than an hour off; set it",
        ),
        (&["sign", "signature", "签名", "加签"], Security::Signature, Misconfigured, "the signature does not match; check `secret` (SEC...)"),
        (
            &["ip", "whitelist", "white list", "allowlist", "白名单", "地址"],
            Security::Address,
            Misconfigured,
            "this machine's address is not in the robot's list; add it there",
        ),
    ];
    let end = [";", "；", "more:", "solution:", "解决方案"].iter().filter_map(|mark| errmsg.find(mark)).min().unwrap_or(errmsg.len());
    let complaint = &errmsg[..end];
    let row = TABLE.iter().find(|(words, ..)| says(complaint, words));
    // Every setting is named above: other words are about this message, which never holds the channel.
    let kind = if complaint.trim().is_empty() { Misconfigured } else { Rejected };
    row.map_or((Security::Other, kind, "the robot's security settings refuse it; compare them with `secret` and `keyword`"), |row| {
        (row.1, row.2, row.3)
    })
}
