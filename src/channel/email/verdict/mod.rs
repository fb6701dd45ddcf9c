//! What a server's negative reply means: a limit, a mailbox, this mail, or this channel. Pure; the table of tests is the contract with the queue.
//!
//! Three things are read, the surer first: the reply code where it is about the login (RFC 4954, section 6), the words, and the enhanced status code
//! (RFC 3463, and IANA's registry of RFC 5248). The words come before the enhanced code because providers say with `550 5.7.1` or a bare `550`
//! whatever they like, also "too fast" and "come back later"; their own lists are named beside the words. What nothing speaks for is told by the
//! stage.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::classify::{Stage, enhanced};
use crate::model::ErrorKind::{self, Misconfigured, RateLimited, Rejected, Transient};

/// What a reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// For the next try.
    pub kind: ErrorKind,
    /// Whether it is about the recipient alone: another mail to another one may pass, another mail to this one will not.
    pub recipient: bool,
    /// What it means and what to do, for a sentence; may be empty.
    pub hint: &'static str,
}

const fn says(kind: ErrorKind, hint: &'static str) -> Verdict {
    Verdict { kind, recipient: false, hint }
}

const fn of_recipient(kind: ErrorKind, hint: &'static str) -> Verdict {
    Verdict { kind, recipient: true, hint }
}

const LIMIT: Verdict = says(RateLimited { retry_after: None }, "too much was sent for its taste; it is sent again later");
const BUSY_MAILBOX: Verdict = of_recipient(Transient, "too much arrives there for now; it is tried again");
const LATER: Verdict = says(Transient, "not now; it is tried again");
const GREYLISTED: Verdict = of_recipient(Transient, "greylisting, it wants to see a second try; it is tried again");
const UNKNOWN: Verdict = of_recipient(Rejected, "the address does not exist there or takes no mail from us");
const FULL: Verdict = of_recipient(Rejected, "the mailbox is full");
const TOO_LARGE: Verdict = says(Rejected, "the mail is larger than it takes");
const SPAM: Verdict = says(Rejected, "it takes the mail for spam or against its policy");
const SENDER: Verdict = says(Misconfigured, "the login may not send as `from`; many providers want `from` to be the account's own address");
const ACCOUNT: Verdict = says(Misconfigured, "the account may not send; look into the provider's console");
const BLOCKED: Verdict = says(Misconfigured, "this host's address is blocked there; send through a relay that is not, or ask for its removal");
const UNPROVEN: Verdict =
    of_recipient(Rejected, "the sender's domain is not proven (SPF, DKIM, DMARC); have it signed, see `dkim`, and mend its DNS");
const WRONG_PASSWORD: Verdict = says(
    Misconfigured,
    "user name or password is wrong; QQ, 163, Gmail and others want an authorisation code (app password) instead of the account's password",
);
const WEAK_LOGIN: Verdict =
    says(Misconfigured, "it does not allow this way to log in; providers such as Gmail want an app password or `auth: xoauth2`");
const NO_LOGIN: Verdict = says(Misconfigured, "it wants a login first; set `username` and `password`");
const NO_TLS: Verdict = says(Misconfigured, "it wants encryption first; set `tls: starttls` or `tls: implicit`");

/// Words and what they mean, in this order: the first that is found decides. All are in lower case.
///
/// Lists: QQ and Tencent Exmail <https://service.mail.qq.com/detail/0/1007>, <https://smtp.codes/qq>; NetEase (163, 126)
/// <https://help.163.com/09/1224/17/5RAJ4LMH00753VB8.html>; Aliyun mail and DirectMail <https://help.aliyun.com/document_detail/44499.html>; Google
/// <https://support.google.com/a/answer/3726730>; Microsoft
/// <https://learn.microsoft.com/en-us/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/non-delivery-reports-in-exchange-online>;
/// Amazon SES <https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html>; Postfix, Exim and Dovecot as they come.
const WORDS: &[(&[&str], Verdict)] = &[
    // The recipient's limit is not ours: only this mailbox waits.
    (
        &[
            "you are trying to contact is receiving",
            "recipient has exceeded",
            "recipient exceeded",
            "recipient's rate",
            "recipient rate limit exceeded",
            "mailbox unavailable or access denied",
        ],
        BUSY_MAILBOX,
    ),
    (&["greylist", "graylist", "grey-list", "gray-list", "grey list", "灰名单"], GREYLISTED),
    (
        &[
            "mailsize limit",
            "message size",
            "mail size",
            "size limit",
            "fixed limit",
            "fixed maximum",
            "too large",
            "too big",
            "length of data",
            "larger than",
            "邮件过大",
        ],
        TOO_LARGE,
    ),
    // What the account or address may send in a time: minutes, hours or a day. Microsoft's "submission quota" is one, its "mailbox full" is not.
    (
        &[
            "frequency limit",
            "frequency is limited",
            "frequently",
            "too frequent",
            "rate limit",
            "rate-limit",
            "ratelimit",
            "rate has exceeded",
            "rate exceeded",
            "sending rate",
            "submission rate",
            "message rate",
            "sending limit",
            "sending quota",
            "send quota",
            "sending credits",
            "credits exceeded",
            "submissionquota",
            "submission quota",
            "count quota",
            "quota limit",
            "daily limit",
            "daily quota",
            "daily message quota",
            "daily user",
            "hourly limit",
            "hourly quota",
            "monthly limit",
            "monthly quota",
            "monthly sending",
            "per minute",
            "per hour",
            "per day",
            "throttl",
            "too many messages",
            "too many mails",
            "too many emails",
            "too much mail",
            "too many connections",
            "too many concurrent",
            "too many sessions",
            "too many recipients",
            "too much recipient",
            "too many requests",
            "too many login",
            "too many auth",
            "too many failed",
            "too much fail",
            "auth error limit",
            "concurrent connection",
            "concurrent smtp",
            "connection limit",
            "connections limit",
            "connection rate",
            "thread limit",
            "relay limit",
            "limit exceeded",
            "exceeded the limit",
            "exceeded its",
            "exceeded your",
            "exceeded the max",
            "reached your",
            "reached its",
            "unusual rate",
            "unusual sending",
            "unexpected volume",
            "sending too fast",
            "slow down",
            "频率",
            "频繁",
            "限额",
            "发信量",
            "发送量",
            "数量超",
            "数超限制",
            "并发",
            "hl:icc",
            "hl:ifc",
            "hl:mep",
            "hl:rep",
            "mi:cel",
            "mi:dmc",
            "mi:ccl",
            "mi:sfq",
            "mi:stc",
            "rp:drc",
            "rp:ccl",
            "rp:cel",
            "rp:qrc",
            "rp:trc",
            "rp-001",
            "rp-002",
            "rp-003",
        ],
        LIMIT,
    ),
    (
        &[
            "mailbox full",
            "mailbox is full",
            "over quota",
            "overquota",
            "quota exceeded",
            "quotaexceeded",
            "out of storage",
            "mailfull",
            "容量",
            "空间不足",
            "已满",
        ],
        FULL,
    ),
    // A refusal that asks to come back is none, whatever its code.
    (
        &[
            "try again later",
            "try later",
            "try again in",
            "retry later",
            "please try again",
            "please retry",
            "temporar",
            "transient",
            "system busy",
            "system is busy",
            "server busy",
            "稍后",
            "稍候",
            "暂时",
            "系统忙",
            "系统繁忙",
        ],
        LATER,
    ),
    (
        &[
            "spamhaus",
            "blocked using",
            "client host",
            "suspected spam ip",
            "ip is rejected",
            "ip in blacklist",
            "hl:ipb",
            "hl:ihu",
            "banned sending ip",
            "block list",
            "blocklist",
        ],
        BLOCKED,
    ),
    (
        &[
            "not allowed to send",
            "permissions to send as",
            "permission to send as",
            "sendasdenied",
            "equal authorized user",
            "same as authorization user",
            "same as auth",
            "conform with authentication",
            "not owned by user",
            "sender address rejected",
            "sender identity",
            "is not verified",
            "bad outbound sender",
            "sender verify failed",
            "mi:nhd",
            "dt:sum",
        ],
        SENDER,
    ),
    (
        &[
            "account unavailable",
            "account is disabled",
            "account disabled",
            "account suspended",
            "account is not yet activated",
            "账号被锁定",
            "用户被锁定",
        ],
        ACCOUNT,
    ),
    (&["must issue a starttls", "starttls first", "must use tls", "tls required", "requires tls"], NO_TLS),
    (
        &[
            "authentication required",
            "authentication is required",
            "not authenticated",
            "unauthenticated sender",
            "need ehlo and auth",
            "auth first",
            "must authenticate",
            "login required",
        ],
        NO_LOGIN,
    ),
    (&["dmarc", "spf check", "spf fail", "spf validation", "mi:spf", "dkim", "unauthenticated mail"], UNPROVEN),
    (
        &[
            "dt:spm",
            "content rejected",
            "content denied",
            "content reject",
            "content spam",
            "spam message",
            "considered spam",
            "as spam",
            "suspicion of spam",
            "behaviour spam",
        ],
        SPAM,
    ),
    (
        &[
            "unknown user",
            "user unknown",
            "no such user",
            "no such mailbox",
            "no such recipient",
            "no mailbox",
            "not exist",
            "user not found",
            "mailbox not found",
            "recipient not found",
            "mailbox unavailable",
            "mailbox disabled",
            "invalid user",
            "invalid mailbox",
            "invalid recipient",
            "invalid rcptto",
            "honeypot rcptto",
            "recipient address rejected",
            "recipient rejected",
            "rcpt is rejected",
            "user suspended",
            "user hangup",
            "user rejected",
            "user in blacklist",
            "rejected by recipient",
            "不存在",
        ],
        UNKNOWN,
    ),
];

/// Enhanced status codes without their class and what they mean in a permanent refusal: RFC 3463, RFC 5248's registry, Google's and Microsoft's
/// lists. Those that are not here are told by the stage.
const CODES: &[(&str, Verdict)] = &[
    ("1.7", SENDER),
    ("1.8", SENDER),
    ("1.90", LIMIT),
    ("2.2", FULL),
    ("2.3", TOO_LARGE),
    ("2.121", BUSY_MAILBOX),
    ("2.122", BUSY_MAILBOX),
    ("2.252", SENDER),
    ("3.1", LATER),
    ("3.2", LATER),
    ("3.4", TOO_LARGE),
    ("4.5", LIMIT),
    ("5.3", LIMIT),
    ("7.3", NO_LOGIN),
    ("7.8", WRONG_PASSWORD),
    ("7.9", WEAK_LOGIN),
    ("7.14", WEAK_LOGIN),
    ("7.20", UNPROVEN),
    ("7.21", UNPROVEN),
    ("7.22", UNPROVEN),
    ("7.23", UNPROVEN),
    ("7.24", UNPROVEN),
    ("7.25", BLOCKED),
    ("7.26", UNPROVEN),
    ("7.27", UNPROVEN),
    ("7.28", LIMIT),
    ("7.30", WEAK_LOGIN),
    ("7.57", NO_LOGIN),
    ("7.60", SENDER),
    ("7.64", NO_LOGIN),
    ("7.139", WEAK_LOGIN),
    ("7.232", LIMIT),
    ("7.233", LIMIT),
    ("7.501", BLOCKED),
    ("7.502", BLOCKED),
    ("7.503", BLOCKED),
    ("7.509", UNPROVEN),
    ("7.511", BLOCKED),
    ("7.703", BLOCKED),
    ("7.705", LIMIT),
    ("7.708", BLOCKED),
    ("7.750", SENDER),
];

/// What a reply with a code of 4xx or 5xx (or another that was not due) means at a stage.
pub(super) fn verdict(stage: Stage, code: u16, text: &str) -> Verdict {
    match code {
        // A positive code where another was due (250 to DATA): the two sides are out of step. After the dot it is a yes, and never comes here.
        0..400 => return says(Transient, "that was not due; it is tried again"),
        530 if text.to_ascii_lowercase().contains("tls") => return NO_TLS,
        530 => return NO_LOGIN,
        534 | 538 => return WEAK_LOGIN,
        // Also QQ's "login frequency limited, or system is busy", which stands for any failed login there.
        535 => return WRONG_PASSWORD,
        // Aliyun's own code: the sender is not the account. Waiting does not mend it.
        436 => return SENDER,
        _ => {}
    }
    let lower = text.to_lowercase();
    let words = WORDS.iter().find(|(words, _)| words.iter().any(|word| lower.contains(word))).map(|(_, verdict)| *verdict);
    let detail = enhanced(text).and_then(|e| e.split_once('.')).map(|(_, detail)| detail);
    // Microsoft's slow-down of an address: 4.7.500 to 4.7.699.
    let slowed = code < 500 && detail.and_then(|d| d.strip_prefix("7.")).and_then(|n| n.parse().ok()).is_some_and(|n: u16| (500..700).contains(&n));
    let coded = || detail.and_then(|d| CODES.iter().find(|(known, _)| *known == d)).map(|(_, verdict)| *verdict);
    let said = if slowed { Some(LIMIT) } else { words.or_else(coded) };
    match said {
        Some(Verdict { kind: RateLimited { .. }, hint, .. }) => says(RateLimited { retry_after: delay(&lower, detail) }, hint),
        Some(said) if said.kind == Transient => said,
        _ if code < 500 => put_off(stage, code),
        Some(said) if stage > Stage::Mail || said.kind == Misconfigured => said,
        // Nobody but the sender is named yet: who does not exist, or is not proven, is he.
        Some(UNPROVEN) if stage == Stage::Mail => says(Misconfigured, UNPROVEN.hint),
        Some(said) if stage == Stage::Mail && !said.recipient => said,
        _ => by_stage(stage, code, &lower, detail),
    }
}

fn put_off(stage: Stage, code: u16) -> Verdict {
    let hint = match code {
        421 => "it is closing connections for now",
        450 | 451 if stage == Stage::Rcpt => "busy mailbox or greylisting; it is tried again",
        452 => "it is short of storage; it is tried again",
        454 => "TLS or login is not available there for now",
        _ => "it is tried again",
    };
    says(Transient, hint)
}

fn by_stage(stage: Stage, code: u16, lower: &str, detail: Option<&str>) -> Verdict {
    let policy = detail.is_some_and(|d| d.starts_with("7."));
    match (stage, code) {
        // Out of step: a new session is in step again.
        (Stage::Mail | Stage::Rcpt | Stage::Data, 503) => LATER,
        (Stage::Wait | Stage::Connect | Stage::Tls | Stage::Banner | Stage::Ehlo, _) => {
            says(Misconfigured, "this host may be blocked there, or `hello` is not acceptable")
        }
        (Stage::StartTls, _) => says(Misconfigured, "try `tls: implicit` with port 465"),
        (Stage::Auth, _) => says(Misconfigured, "check `username`, `password` and `auth`"),
        // Too large, or spam: this mail. Any other refusal of the sender will meet every mail of this outlet.
        (Stage::Mail, 552) if !policy => TOO_LARGE,
        (Stage::Mail, 554) if !policy => SPAM,
        (Stage::Mail, _) => SENDER,
        (Stage::Rcpt, _) if lower.contains("relay") => {
            of_recipient(Rejected, "it does not relay to other domains for us; log in, or let this host relay there")
        }
        (Stage::Rcpt, 552) => FULL,
        (Stage::Rcpt, _) => UNKNOWN,
        (Stage::Data | Stage::Content | Stage::End, 552 | 557) => TOO_LARGE,
        (Stage::Data | Stage::Content | Stage::End, _) if detail.is_some_and(|d| d.starts_with("1.") || d == "2.1" || d.starts_with("4.")) => UNKNOWN,
        (Stage::Data | Stage::Content | Stage::End, _) => SPAM,
    }
}

/// When to come back after a limit: what the server says; else sooner for a limit of minutes, later for one of a day. `None` leaves it to the queue,
/// which begins with a minute and waits longer while nothing gets through.
fn delay(lower: &str, detail: Option<&str>) -> Option<Duration> {
    static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?:\b(?:try|retry|wait|again|after|in)|请)\D{0,20}?(\d{1,5})\s*(seconds?|secs?|s\b|minutes?|mins?|hours?|秒|分钟|小时)").ok()
    });
    const MINUTE: Duration = Duration::from_secs(60);
    let asked = TIME.as_ref().and_then(|time| time.captures(lower)).and_then(|found| {
        let unit = match found[2].chars().next() {
            Some('s' | '秒') => 1,
            Some('m' | '分') => 60,
            _ => 3600,
        };
        Some(Duration::from_secs(found[1].parse::<u64>().ok()? * unit))
    });
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match asked {
        Some(time) => Some(time.clamp(Duration::from_secs(1), 60 * MINUTE)),
        None if any(&["daily", "per day", "24 hour", "24-hour", "monthly", "当天", "当日", "每日", "mi:stc", "rp:trc"]) => Some(15 * MINUTE),
        None if matches!(detail, Some("4.5" | "1.90" | "7.232" | "7.233" | "7.705")) => Some(15 * MINUTE),
        None if any(&["hourly", "per hour", "an hour", "小时", "mi:sfq"]) => Some(5 * MINUTE),
        None => None,
    }
}

#[cfg(test)]
mod tests;
