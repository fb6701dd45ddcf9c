//! What Feishu answers, and what it means; HTTP 200 is no verdict, and 429 and 5xx are one. Pure.
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot> (bots),
//! <https://open.feishu.cn/document/server-docs/im-v1/message/create> and
//! <https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code> (applications)

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::channel::kit::{CodeRule, Reply, classify, classify_status, has_code, passing_by_words, says, unclear, weigh};
use crate::model::{ErrorKind, PlatformIds, Receipt, Secret, SendError};

/// A bot's window is a minute and its burst a second; a refusal says neither, so the longer one is waited half.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(30);

struct Answer {
    code: i64,
    words: String,
    body: Value,
}

/// The answer, or `None` when it bears no code. Old bots answer `StatusCode` and `StatusMessage` in place of `code` and `msg`.
fn read(reply: &Reply) -> Option<Answer> {
    let body: Value = reply.json()?;
    let number = |name: &str| match body.get(name)? {
        Value::String(text) => text.parse().ok(),
        number => number.as_i64(),
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let code = number("code").or_else(|| number("StatusCode"))?;
    let words = text("msg").or_else(|| text("StatusMessage")).unwrap_or_default().to_owned();
    Some(Answer { code, words, body })
}

const RATE: ErrorKind = ErrorKind::RateLimited { retry_after: None };

/// Recalled, older than 14 days, invisible to the bot, deleted, about to delete itself:
/// <https://open.feishu.cn/document/uAjLw4CM/ukTMukTMukTM/reference/im-v1/message/patch>. The last is that of any interface for an id of a message that
/// does not exist.
const GONE: &[&str] = &["230011", "230031", "230050", "230110", "230111", "99992354"];

const ERROR_CODES: &[CodeRule] = &[
    (&["11232", "11233", "11247", "99991400", "11020", "11021", "230020", "1061045"], RATE, "too many messages came too fast"),
    (&["99991403"], ErrorKind::Misconfigured, "the organisation's calls of this month are used up; buy more, or use a group's bot"),
    // 230049: an earlier try of the same message is still on its way.
    (&["2200", "1500", "1551", "55001", "230049"], ErrorKind::Transient, "it is busy; it is tried again"),
    (&["19001"], ErrorKind::Misconfigured, "the bot's token is not known; copy the last part of its webhook address again"),
    (&["19007"], ErrorKind::Misconfigured, "the robot is switched off; switch it on in the group's settings"),
    (&["19021"], ErrorKind::Misconfigured, "the signature is not accepted; check `secret`, and this machine's clock"),
    (&["19022", "99991401"], ErrorKind::Misconfigured, "this server's address is not on the list of allowed addresses (IP 白名单)"),
    // It depends on the message whether it holds the word.
    (&["19024"], ErrorKind::Rejected, "the message holds none of the bot's keywords; set `keyword`"),
    (
        &["9499", "19002", "11246", "11310", "230001", "230054", "230055", "230075", "230099", "200621", "200861", "99992402"],
        ErrorKind::Rejected,
        "its content is not accepted; look at what the template renders",
    ),
    (&["19036", "230021", "230022", "230025", "230028"], ErrorKind::Rejected, "the message is too long, or holds words that are not allowed"),
    (GONE, ErrorKind::Rejected, "the message was recalled or deleted, or is older than 14 days"),
    (&["230006"], ErrorKind::Misconfigured, "the application has no bot; enable that capability in the developer console"),
    (
        &["230027", "99991672", "99991679"],
        ErrorKind::Misconfigured,
        "the application lacks a permission (im:message:send_as_bot); grant and publish it",
    ),
    (&["99991662", "99991673", "10013"], ErrorKind::Misconfigured, "the application is stopped or not installed; enable it in the admin console"),
    (
        &["10003", "10005", "10012", "10014", "10015", "99991543"],
        ErrorKind::Misconfigured,
        "the application's id or secret is not accepted; check `app_id` and `app_secret`",
    ),
    (
        &["99991661", "99991663", "99991664", "99991665", "99991668", "99991671", "99991677"],
        ErrorKind::Misconfigured,
        "the application's token is not accepted, not even a new one; check `app_id` and `app_secret`",
    ),
];

/// Refusals of the one receiver. Where it is the channel's only one the channel is broken; where others get the message they go on getting it. Those of
/// eight digits are of any interface: <https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code>
const RECEIVER: &[(&str, &str)] = &[
    ("230002", "the application's bot is not in the group; add it there"),
    ("230013", "the application is not available to this person; widen its availability in the developer console"),
    ("230018", "the group's settings forbid the bot to write; allow it in the group"),
    ("230029", "the person has left; name somebody else in `to`"),
    ("230034", NO_RECEIVER),
    ("230035", "the bot may not write in this group; lift that in the group's settings"),
    ("230036", "the receiver belongs to another organisation"),
    ("230038", "the receiver belongs to another organisation"),
    ("230053", "the person has blocked the bot's messages"),
    ("232009", "the group was dissolved; name another one in `to`"),
    ("232010", "the receiver belongs to another organisation"),
    ("99992351", NO_RECEIVER),
    ("99992352", NO_RECEIVER),
    ("99992353", NO_RECEIVER),
    ("99992360", NO_RECEIVER),
    ("99992355", NO_RECEIVER),
    ("99992356", NO_RECEIVER),
    ("99992361", "the open id (`ou_...`) is another application's; look the person up with this one"),
    ("99992364", "the receiver belongs to another organisation"),
    ("99992381", "the receiver belongs to another organisation"),
];

const NO_RECEIVER: &str = "there is no such receiver; check `to`";

/// The limit of one receiver, which all bots of a group share: the others' is another, those of the application's other channels too.
const RECEIVER_LIMIT: i64 = 230_020;

fn unreadable(reply: &Reply, now: Timestamp) -> SendError {
    classify_status(reply, now).unwrap_or_else(|| unclear(reply))
}

/// The answer to a message; `alone` when its receiver is the only one that the channel has.
pub(super) fn of(reply: &Reply, alone: bool, now: Timestamp) -> Result<Receipt, SendError> {
    let answer = read(reply).ok_or_else(|| unreadable(reply, now))?;
    if answer.code == 0 && reply.is_success() {
        let text = |path: &str| answer.body.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let ids = text("/data/message_id").map(|id| PlatformIds::one("message_id", id).and("chat_id", text("/data/chat_id")));
        return Ok(reply.receipt("0", ids.unwrap_or_default()));
    }
    Err(refusal(&answer, reply, alone, now))
}

/// The answer to the question for a token: the token, and how many seconds it lives.
pub(super) fn token(reply: &Reply, now: Timestamp) -> Result<(Secret, u64), SendError> {
    let answer = read(reply).ok_or_else(|| unreadable(reply, now))?;
    if answer.code != 0 || !reply.is_success() {
        return Err(refusal(&answer, reply, true, now));
    }
    let token = answer.body.get("tenant_access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    // Nothing of a success is quoted: it may hold a token.
    let none = || SendError::new(ErrorKind::Transient, "Feishu's answer to the question for a token holds none; is a proxy answering in its place?");
    let lives = answer.body.get("expire").and_then(Value::as_u64).unwrap_or_default();
    token.map(|token| (Secret::new(token), lives)).ok_or_else(none)
}

/// Permissions of which each opens the messages of an application, edits and replies included:
/// <https://open.feishu.cn/document/server-docs/im-v1/message/create>, <https://open.feishu.cn/document/server-docs/im-v1/message-card/patch>
const SENDS: [&str; 3] = ["im:message:send_as_bot", "im:message", "im:message:send"];

/// Whether an application has one of them, as far as the answer lists its permissions.
pub(super) fn has_scopes(reply: &Reply) -> Result<(), SendError> {
    let listed = read(reply).filter(|answer| answer.code == 0 && reply.is_success());
    let Some(scopes) = listed.as_ref().and_then(|answer| answer.body.pointer("/data/scopes")?.as_array()) else { return Ok(()) };
    // 1: granted; 2: asked for, and not granted. Those of `user` are of people's own tokens.
    let is_granted = |scope: &&Value| scope["grant_status"] == 1 && scope["scope_type"] != "user";
    let granted: Vec<&str> = scopes.iter().filter(is_granted).filter_map(|scope| scope["scope_name"].as_str()).collect();
    if SENDS.iter().any(|sends| granted.contains(sends)) {
        return Ok(());
    }
    let text = format!(
        "the application lacks the permission `{}` (it has: {}); add it under *Permissions* (权限管理), and publish a version of the application",
        SENDS[0],
        granted.join(", ")
    );
    Err(SendError::new(ErrorKind::Misconfigured, text).code("missing_scope"))
}

/// The answer to the question for a person: whom the application may not see has no id in it.
pub(super) fn of_user(reply: &Reply, now: Timestamp) -> Result<Option<String>, SendError> {
    let answer = read(reply).ok_or_else(|| unreadable(reply, now))?;
    if answer.code == 0 && reply.is_success() {
        let id = answer.body.pointer("/data/user_list/0/user_id").and_then(Value::as_str).filter(|id| !id.is_empty());
        return Ok(id.map(str::to_owned));
    }
    let error = refusal(&answer, reply, true, now);
    let words = &answer.words;
    let summary = format!(
        "Feishu looks nobody up (\"{words}\"): the application needs the permission contact:user.id:readonly, and must be available to the person; or write \
         `feishu: ou_...` under `people:`"
    );
    Err(if error.kind == ErrorKind::Misconfigured { SendError { summary, ..error } } else { error })
}

/// Where a long connection is opened, and what its frames carry.
pub(super) struct Endpoint {
    pub url: Secret,
    pub service: i32,
    /// Seconds.
    pub ping_every: u64,
}

/// Codes of the question for a connection, and of a refused handshake, as in the vendor's SDKs:
/// <https://github.com/larksuite/oapi-sdk-python/blob/v2_main/lark_oapi/ws/const.py>
const CONNECTION_CODES: &[CodeRule] = &[
    (&["1", "1000040343"], ErrorKind::Transient, "it is busy"),
    (&["403"], ErrorKind::Misconfigured, "only a custom app (企业自建应用) can have one"),
    (&["514", "1000040344", "10003", "10014"], ErrorKind::Misconfigured, "check `app_id` and `app_secret`"),
    (&["1000040350"], ErrorKind::Misconfigured, "the application has 50 already; does something else use its secret?"),
];

/// The answer to the question for a connection.
pub(super) fn endpoint(reply: &Reply, now: Timestamp) -> Result<Endpoint, SendError> {
    let answer = read(reply).ok_or_else(|| unreadable(reply, now))?;
    if answer.code != 0 || !reply.is_success() {
        let code = answer.code.to_string();
        let known = classify(CONNECTION_CODES, &code);
        let advice = known.map_or("see the code in Feishu's list of errors", |(_, advice)| advice);
        let kind = weigh(reply, now, Some(known.map_or(ErrorKind::Misconfigured, |(kind, _)| kind)));
        return Err(reply.error(kind, code, format!("Feishu opens no connection for presses: {advice} (\"{}\")", answer.words)));
    }
    let url = answer.body.pointer("/data/URL").and_then(Value::as_str).and_then(|url| reqwest::Url::parse(url).ok());
    let service = url.as_ref().and_then(|url| url.query_pairs().find(|(name, _)| name == "service_id")?.1.parse().ok());
    let (Some(url), Some(service)) = (url, service) else {
        // Nothing of a success is quoted: it holds a ticket.
        let summary = "Feishu's answer to the question for a connection holds no address; is a proxy answering in its place?";
        return Err(SendError::new(ErrorKind::Transient, summary));
    };
    let ping_every = answer.body.pointer("/data/ClientConfig/PingInterval").and_then(Value::as_u64).unwrap_or(u64::MAX);
    Ok(Endpoint { url: Secret::new(url.to_string()), service, ping_every })
}

/// Why a handshake was refused, where its headers say so.
pub(super) fn handshake(reply: &Reply) -> Option<SendError> {
    let status = reply.header("handshake-status")?;
    let code = reply.header("handshake-autherrcode").filter(|_| status == "514").unwrap_or(status);
    let (kind, advice) = classify(CONNECTION_CODES, code).unwrap_or((ErrorKind::Transient, "it does not say more"));
    let words = reply.header("handshake-msg").unwrap_or_default();
    Some(reply.error(kind, code, format!("Feishu refused the connection for presses: {advice} (\"{words}\")")))
}

fn refusal(answer: &Answer, reply: &Reply, alone: bool, now: Timestamp) -> SendError {
    let (words, code) = (answer.words.as_str(), answer.code.to_string());
    let receiver = RECEIVER.iter().find(|(known, _)| *known == code).map(|(_, advice)| *advice);
    let receiver = receiver.or_else(|| (code == "230001" && says(words, &["receive_id"])).then_some(NO_RECEIVER));
    let known = match receiver {
        Some(advice) if alone => Some((ErrorKind::Misconfigured, advice)),
        Some(advice) => Some((ErrorKind::Rejected, advice)),
        None => by_words(&code, words).or_else(|| classify(ERROR_CODES, &code)).or_else(|| passing_by_words(words)),
    };
    let kind = match weigh(reply, now, known.map(|(kind, _)| kind)) {
        ErrorKind::RateLimited { retry_after } => ErrorKind::RateLimited { retry_after: Some(retry_after.unwrap_or(RATE_LIMIT_PAUSE)) },
        kind => kind,
    };
    let advice = known.map_or("see the code in Feishu's list of errors", |(_, advice)| advice);
    let error = reply.error(kind, code, format!("Feishu refused the message: {advice} (\"{words}\")"));
    match kind {
        ErrorKind::Rejected if receiver.is_some() => error.of_recipient(),
        ErrorKind::RateLimited { .. } if answer.code == RECEIVER_LIMIT => error.of_recipient(),
        ErrorKind::Rejected if is_of_mentions(words) => error.of_mentions(),
        _ => error,
    }
}

/// Codes with several meanings, which the words beside them decide: 9499 and 2200 are a limit, too, and 99991402 is a limit or a
/// field that is not as it should be.
fn by_words(code: &str, words: &str) -> Option<(ErrorKind, &'static str)> {
    const FAST: (ErrorKind, &str) = (RATE, "too many messages came too fast");
    match code {
        "99991402" if says(words, &["field", "field validation failed", "parameter", "invalid"]) => classify(ERROR_CODES, "230001"),
        "99991402" => Some(FAST),
        "9499" | "2200" | "19002" | "11246"
            if says(
                words,
                &["too many request", "too many requests", "frequency limit", "frequency limited", "rate limit", "频率", "过于频繁", "限流", "频控"],
            ) =>
        {
            Some(FAST)
        }
        "9499" if says(words, &["internal error", "internal server error", "timeout"]) => classify(ERROR_CODES, "2200"),
        _ => None,
    }
}

/// Whether a card or text is refused because of somebody whom it pings. 100290 is the card's own code for it:
/// <https://open.feishu.cn/document/feishu-cards/card-json-v2-components/content-components/rich-text>
fn is_of_mentions(words: &str) -> bool {
    says(words, &["100290", "invalid user resource", "at person", "invalid at", "at all", "at user", "at tag", "at_user", "mention", "mentions"])
}

/// Whether an edit or a reply is refused because the message is gone. An id that nobody knows is an invalid parameter
/// (<https://open.feishu.cn/document/uAjLw4CM/ugTN1YjL4UTN24CO1UjN/trouble-shooting/how-to-resolve-error-230001>).
pub(super) fn is_gone(error: &SendError) -> bool {
    has_code(error, GONE) || has_code(error, &["230001"]) && says(&error.summary, &["message_id"])
}

/// Whether a reply is refused for the topic that it would begin: not every chat has topics.
pub(super) fn is_of_topic(error: &SendError) -> bool {
    says(&error.summary, &["reply_in_thread", "thread", "topic", "话题"])
}

/// Whether the signature's timestamp may be what was refused.
pub(super) fn is_clock_trouble(reply: &Reply) -> bool {
    read(reply).is_some_and(|answer| answer.code == 19021)
}

/// Whether a new token would help (codes as in the table above).
pub(super) fn is_token_trouble(reply: &Reply) -> bool {
    const CODES: [i64; 7] = [99_991_661, 99_991_663, 99_991_664, 99_991_665, 99_991_668, 99_991_671, 99_991_677];
    read(reply).is_some_and(|answer| CODES.contains(&answer.code))
}
