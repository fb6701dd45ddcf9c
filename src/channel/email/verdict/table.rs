//! The words and codes of mail servers, and what they mean.

use crate::model::ErrorKind::{self, Misconfigured, RateLimited, Rejected, Transient};

/// What a reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::channel::email) struct Verdict {
    /// For the next try.
    pub kind: ErrorKind,
    /// Whether it is about the recipient alone: another mail to another one may pass, another mail to this one will not.
    pub recipient: bool,
    /// What it means and what to do, for a sentence; may be empty.
    pub hint: &'static str,
}

pub(super) const fn says(kind: ErrorKind, hint: &'static str) -> Verdict {
    Verdict { kind, recipient: false, hint }
}

pub(super) const fn of_recipient(kind: ErrorKind, hint: &'static str) -> Verdict {
    Verdict { kind, recipient: true, hint }
}

pub(super) const LIMIT: Verdict = says(RateLimited { retry_after: None }, "too much was sent for its taste; it is sent again later");
pub(super) const BUSY_MAILBOX: Verdict = of_recipient(Transient, "too much arrives there for now; it is tried again");
pub(super) const LATER: Verdict = says(Transient, "not now; it is tried again");
pub(super) const GREYLISTED: Verdict = of_recipient(Transient, "greylisting, it wants to see a second try; it is tried again");
pub(super) const UNKNOWN: Verdict = of_recipient(Rejected, "the address does not exist there or takes no mail from us");
pub(super) const FULL: Verdict = of_recipient(Rejected, "the mailbox is full");
pub(super) const TOO_LARGE: Verdict = says(Rejected, "the mail is larger than it takes");
pub(super) const SPAM: Verdict = says(Rejected, "it takes the mail for spam or against its policy");
pub(super) const SENDER: Verdict =
    says(Misconfigured, "the login may not send as `from`; many providers want `from` to be the account's own address");
pub(super) const HELLO: Verdict = says(Misconfigured, "it does not accept this host's name; set `hello` to a full name that leads to this host");
/// The host or its domain is not one that the server sends for, to any recipient.
const NO_RELAY: Verdict = says(Misconfigured, "it does not relay to other domains for us; log in, or let this host relay there");
const UNVERIFIED: Verdict = says(Misconfigured, "it knows none of these addresses: verify them there, or ask it for production access");
pub(super) const ACCOUNT: Verdict = says(Misconfigured, "the account may not send; look into the provider's console");
pub(super) const BLOCKED: Verdict =
    says(Misconfigured, "this host's address is blocked there; send through a relay that is not, or ask for its removal");
pub(super) const UNPROVEN: Verdict =
    of_recipient(Rejected, "the sender's domain is not proven (SPF, DKIM, DMARC); have it signed, see `dkim`, and mend its DNS");
pub(super) const WRONG_PASSWORD: Verdict = says(
    Misconfigured,
    "user name or password is wrong; QQ, 163, Gmail and others want an authorisation code (app password) instead of the account's password",
);
pub(super) const WEAK_LOGIN: Verdict =
    says(Misconfigured, "it does not allow this way to log in; providers such as Gmail want an app password or `auth: xoauth2`");
pub(super) const NO_LOGIN: Verdict = says(Misconfigured, "it wants a login first; set `username` and `password`");
pub(super) const NO_TLS: Verdict = says(Misconfigured, "it wants encryption first; set `tls: starttls` or `tls: implicit`");

/// Words and what they mean, in this order: the first that is found decides. All are in lower case.
///
/// Lists: QQ and Tencent Exmail <https://service.mail.qq.com/detail/0/1007>, <https://smtp.codes/qq>; NetEase (163, 126)
/// <https://help.163.com/09/1224/17/5RAJ4LMH00753VB8.html>; Aliyun mail and DirectMail <https://help.aliyun.com/document_detail/44499.html>; Google
/// <https://support.google.com/a/answer/3726730>; Microsoft
/// <https://learn.microsoft.com/en-us/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/non-delivery-reports-in-exchange-online>;
/// Amazon SES <https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html>; Postfix, Exim and Dovecot as they come.
pub(super) const WORDS: &[(&[&str], Verdict)] = &[
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
    // Only this recipient does not take mail of ours.
    (
        &[
            "not allowed to send to",
            "not allowed to send mail to",
            "not allowed to send mails to",
            "not allowed to send email to",
            "not allowed to send emails to",
            "not allowed to send a message to",
            "not allowed to send messages to",
            "not authenticated for",
            // Microsoft's, of a group or mailbox that takes mail of its own organisation only; "authentication required" is between the two.
            "rst.sendernotauthenticated",
            "not authenticated when sending to this",
            "rst.authrequired",
            "rst.notauthorized",
            "allowed to receive",
            "by the recipient",
            "recipient's block",
            "recipient's black",
            "recipient has blocked",
        ],
        UNKNOWN,
    ),
    // With the words of a limit, as in cPanel's "Mailbox is full / Blocks limit exceeded": it is that of one mailbox.
    (&["mailbox full", "mailbox is full", "mailfull", "mailbox size limit", "mailbox has exceeded", "mailbox exceed", "mailbox quota"], FULL),
    (&["blocks limit", "inode limit", "disk quota", "storage limit", "storage quota", "邮箱容量", "邮箱空间"], FULL),
    (&["greylist", "graylist", "grey-list", "gray-list", "grey list", "灰名单"], GREYLISTED),
    (
        &[
            "mailsize limit",
            "message size",
            "mail size",
            "email size",
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
            // Google's. With 5.2.2 it is a mailbox that is full.
            "5.7.1 email quota exceeded",
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
            "rcpt attempts",
            "total of rcpts",
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
            "exceeded permitted limits",
            "tenant has exceeded threshold",
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
            "hourly messages",
            "daily messages",
            "频率",
            "频繁",
            "过快",
            "太快",
            "发送过多",
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
    (&["over quota", "overquota", "quota exceeded", "quotaexceeded", "out of storage", "容量", "空间不足", "已满"], FULL),
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
    (&["helo command rejected", "ehlo command rejected", "bad helo", "invalid helo", "helo name"], HELLO),
    (
        &[
            "spamhaus",
            "spamcop",
            "barracudacentral",
            "rbl",
            "dnsbl",
            "in a black list",
            "in a blacklist",
            "is blacklisted",
            "poor reputation",
            "blocked using",
            "client host",
            "suspected spam ip",
            "ip is rejected",
            "ip in blacklist",
            "hl:ipb",
            "hl:ihu",
            "banned sending ip",
            // Proofpoint's, in front of iCloud and many companies.
            "blocked - see",
            "block list",
            "blocklist",
            // Google's, of addresses at homes and offices.
            "not authorized to send email directly",
        ],
        BLOCKED,
    ),
    // Amazon's.
    (&["identities failed"], UNVERIFIED),
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
            "not owned by auth",
            // Zoho's.
            "relaying disallowed as",
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
    // Google's, of a host or a domain that is not registered with its relay.
    (&["credentials for relay"], NO_RELAY),
    (
        &[
            "account unavailable",
            "account is disabled",
            "account disabled",
            "account suspended",
            "account has been disabled",
            "account has been suspended",
            "account has been blocked",
            "account has been locked",
            "account is suspended",
            "account is blocked",
            "account is locked",
            "account is not yet activated",
            "sending suspended",
            "sending paused",
            "is not authorized to perform",
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
            // Yahoo's, with 5.7.9, which is about logins elsewhere.
            "message not accepted for policy",
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
            // QQ's, which comes after the mail.
            "non-existent account",
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
