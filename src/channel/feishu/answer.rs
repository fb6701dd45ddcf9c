//! What Feishu answers, and what it means; HTTP 200 is no verdict. Pure.
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot> (bots),
//! <https://open.feishu.cn/document/server-docs/im-v1/message/create> and
//! <https://open.feishu.cn/document/server-docs/api-call-guide/generic-error-code> (applications)

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::channel::kit::{Reply, Row, classify_status, look_up, parse};
use crate::model::{ErrorKind, Receipt, Secret, SendError};

/// A bot's window is a minute and its burst a second; a refusal says neither, so the longer one is waited half.
const PAUSE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Answer {
    code: i64,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    data: Data,
    #[serde(default)]
    tenant_access_token: String,
    #[serde(default)]
    expire: u64,
}

#[derive(Deserialize, Default)]
struct Data {
    #[serde(default)]
    message_id: Option<String>,
}

const RATE: ErrorKind = ErrorKind::RateLimited { retry_after: None };

const KNOWN: &[Row] = &[
    (&["11232", "99991400", "99991402", "11020", "11021", "230020"], RATE, "too many messages came too fast"),
    (&["19001"], ErrorKind::Misconfigured, "the bot's token is not known; copy the last part of its webhook address again"),
    (&["19021"], ErrorKind::Misconfigured, "the signature is not accepted; check `secret`, and this machine's clock"),
    (&["19022"], ErrorKind::Misconfigured, "this server's address is not on the bot's list of allowed addresses (IP 白名单)"),
    // It depends on the message whether the word stands in it.
    (&["19024"], ErrorKind::Rejected, "the message holds none of the bot's keywords; set `keyword`"),
    (&["9499", "19002", "11246", "230001", "230099"], ErrorKind::Rejected, "its content is not accepted; look at what the template renders"),
    (&["19036", "230021", "230022", "230025"], ErrorKind::Rejected, "the message is too long, or holds words that are not allowed"),
    (&["230002"], ErrorKind::Misconfigured, "the application's bot is not in the group; add it there"),
    (&["230006"], ErrorKind::Misconfigured, "the application has no bot; enable that capability in the developer console"),
    (&["230013"], ErrorKind::Misconfigured, "the application is not available to this person; widen its availability in the developer console"),
    (&["230027", "99991672"], ErrorKind::Misconfigured, "the application lacks a permission (im:message:send_as_bot); grant and publish it"),
    (&["10003", "10014", "10012"], ErrorKind::Misconfigured, "the application's id or secret is not accepted; check `app_id` and `app_secret`"),
    (
        &["99991661", "99991663", "99991664", "99991668", "99991671", "99991677"],
        ErrorKind::Misconfigured,
        "the application's token is not accepted, not even a new one; check `app_id` and `app_secret`",
    ),
];

/// The answer to a message.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    let answer: Answer = parse(reply, now)?;
    if answer.code == 0 && reply.is_success() {
        return Ok(reply.receipt("0", answer.data.message_id));
    }
    Err(refusal(&answer, reply, now))
}

/// The answer to the question for a token: the token, and how many seconds it lives.
pub(super) fn token(reply: &Reply, now: Timestamp) -> Result<(Secret, u64), SendError> {
    let answer: Answer = parse(reply, now)?;
    if answer.code == 0 && !answer.tenant_access_token.is_empty() {
        return Ok((Secret::new(answer.tenant_access_token), answer.expire));
    }
    Err(refusal(&answer, reply, now))
}

fn refusal(answer: &Answer, reply: &Reply, now: Timestamp) -> SendError {
    let code = answer.code.to_string();
    let by_status = || classify_status(reply, now).map_or(ErrorKind::Rejected, |error| error.kind);
    let (kind, advice) = look_up(KNOWN, &code).unwrap_or_else(|| (by_status(), "see the code in Feishu's list of errors"));
    let kind = match kind {
        ErrorKind::RateLimited { .. } => {
            let reset = reply.header("x-ogw-ratelimit-reset").and_then(|text| text.parse().ok()).map(Duration::from_secs);
            ErrorKind::RateLimited { retry_after: Some(reset.or_else(|| reply.retry_after(now)).unwrap_or(PAUSE)) }
        }
        kind => kind,
    };
    reply.error(kind, code, format!("Feishu refused the message: {advice} (\"{}\")", answer.msg))
}

/// Whether the signature's timestamp may be what was refused.
pub(super) fn is_clock_trouble(reply: &Reply) -> bool {
    reply.json::<Answer>().is_some_and(|answer| answer.code == 19021)
}

/// Whether a new token would help (codes as in the table above).
pub(super) fn is_token_trouble(reply: &Reply) -> bool {
    const CODES: [i64; 6] = [99_991_661, 99_991_663, 99_991_664, 99_991_668, 99_991_671, 99_991_677];
    reply.json::<Answer>().is_some_and(|answer| CODES.contains(&answer.code))
}
