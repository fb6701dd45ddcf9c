//! What a server's negative reply means: a limit, a mailbox, this mail, or this channel. Pure; the table of tests is the contract with the queue.
//!
//! Three things are read, the surer first: the reply code where it is about the login (RFC 4954, section 6), the words, and the enhanced status code
//! (RFC 3463, and IANA's registry of RFC 5248). The words come before the enhanced code because providers say with `550 5.7.1` or a bare `550`
//! whatever they like, also "too fast" and "come back later"; their own lists are named beside the words. Everything else depends on the
//! stage.

use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::stage::{Stage, enhanced};
use crate::model::ErrorKind::{Misconfigured, RateLimited, Rejected, Transient};

mod codes;
mod table;

use codes::CODES;
pub(super) use table::Verdict;
use table::*;

/// What a reply with a code of 4xx or 5xx (or another that was not due) means at a stage.
pub(super) fn verdict(stage: Stage, code: u16, text: &str) -> Verdict {
    match code {
        // A positive code where another was due (250 to DATA): the two sides are out of step. After the dot it is a yes, and never comes here.
        0..400 => return says(Transient, "that was not due; it is tried again"),
        530 if text.to_ascii_lowercase().contains("tls") => return NO_TLS,
        530 => return NO_LOGIN,
        534 | 538 => return WEAK_LOGIN,
        // Also QQ's "login frequency limited, or system is busy", which means any failed login there.
        535 => return WRONG_PASSWORD,
        // Aliyun's own codes (DirectMail's, and its mailboxes'): the sender is not the account. Waiting does not mend it.
        436 | 440 => return SENDER,
        _ => {}
    }
    let lower = without_addresses(&text.to_lowercase());
    // Microsoft has the code of a full mailbox for what a sender may send in a time, too.
    let in_a_time = IN_A_TIME.iter().any(|word| holds(&lower, word));
    let words = WORDS.iter().find(|(words, _)| words.iter().any(|word| holds(&lower, word))).map(|(_, verdict)| *verdict);
    let words = if in_a_time && words == Some(FULL) { Some(LIMIT) } else { words };
    let detail = enhanced(text).and_then(|e| e.split_once('.')).map(|(_, detail)| detail);
    // Microsoft's slow-down of an address: 4.7.500 to 4.7.699.
    let slowed = code < 500 && detail.and_then(|d| d.strip_prefix("7.")).and_then(|n| n.parse().ok()).is_some_and(|n: u16| (500..700).contains(&n));
    let coded = || detail.and_then(|d| CODES.iter().find(|(known, _)| *known == d)).map(|(_, verdict)| *verdict);
    // A full mailbox has a code of its own, and holds nobody else up whatever words are beside it.
    let full = (stage > Stage::Mail && detail == Some("2.2") && !in_a_time).then_some(FULL);
    let said = if slowed { Some(LIMIT) } else { full.or(words).or_else(coded) };
    match said {
        Some(Verdict { kind: RateLimited { .. }, hint, .. }) => says(RateLimited { retry_after: delay(&lower, detail) }, hint),
        Some(said) if said.kind == Transient => said,
        _ if code < 500 => put_off(stage, code),
        // Nobody's mailbox is named yet: the quota is the sender's.
        Some(FULL) if stage <= Stage::Mail => says(RateLimited { retry_after: delay(&lower, detail) }, LIMIT.hint),
        // An account that is named with a recipient is the recipient's. Many servers refuse the sender's only there, too (`smtpd_delay_reject`).
        Some(ACCOUNT) if names_recipient(stage, &lower) && !OF_SENDER.iter().any(|word| holds(&lower, word)) => UNKNOWN,
        Some(said) if stage > Stage::Mail || said.kind == Misconfigured => said,
        // Nobody but the sender is named yet: who does not exist, or is not proven, is he.
        Some(UNPROVEN) if stage == Stage::Mail => says(Misconfigured, UNPROVEN.hint),
        Some(said) if stage == Stage::Mail && !said.recipient => said,
        _ => by_stage(stage, code, &lower, detail),
    }
}

/// Words by which a limit is that of what a sender sends in a time, and no room of a mailbox.
const IN_A_TIME: &[&str] =
    &["submission quota", "submissionquota", "sending limit", "sending quota", "send quota", "hourly", "daily", "per hour", "per day"];

/// Words by which an account is the sender's, also where a recipient is named.
const OF_SENDER: &[&str] = &[
    "sending suspended",
    "sending paused",
    "is not authorized to perform",
    "login name",
    "login rejected",
    "sasl",
    "authenticated",
    "sender account",
    "sender's account",
    "sender rejected",
    "sender blocked",
    "sending account",
    "outgoing",
    "outbound",
    "your account",
    "发件人账号",
    "发件账号",
    "发信",
    "您的账号",
];

/// Whether an account that a reply names may be the recipient's: at once, or after the mail, where Yahoo says it.
fn names_recipient(stage: Stage, lower: &str) -> bool {
    stage == Stage::Rcpt || (stage > Stage::Rcpt && ["recipient", "disabled or discontinued"].iter().any(|word| holds(lower, word)))
}

/// A reply without the addresses that it names: `dmarc@example.com` says nothing.
fn without_addresses(lower: &str) -> String {
    static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[a-z0-9._%+'=/-]+@[a-z0-9.-]+").ok());
    ADDRESS.as_ref().map_or_else(|| lower.to_owned(), |address| address.replace_all(lower, "@").into_owned())
}

/// Whether a text holds a word of a list, which may be only its beginning (`temporar`), but not its end: `Acme Corporate Limited` limits no rate.
fn holds(lower: &str, word: &str) -> bool {
    let inside = |at: usize| word.starts_with(|c: char| c.is_ascii_alphanumeric()) && lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    lower.match_indices(word).any(|(at, _)| !inside(at))
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
