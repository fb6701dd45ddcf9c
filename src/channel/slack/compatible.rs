//! What a hook of somebody else answers that takes Slack's messages (Mattermost, Rocket.Chat, Zulip, a workflow engine, a script of one's own):
//! each has words of its own. A 2xx is delivered unless its body names an error. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::codes::is_known;
use crate::channel::kit::{Reply, limit_by_words, says, unclear, weigh};
use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

/// Fields that say whether it went well, as a truth value (0 is none) or as a number that is 0 (or an HTTP status of success).
const GOOD: &[&str] = &["ok", "success", "successful", "succeeded"];
const CODES: &[&str] = &["errcode", "errno", "error_code", "errorcode", "statuscode", "status_code", "retcode", "ret_code", "ret", "code"];
/// Fields that hold an error when there is one.
const ERRORS: &[&str] = &["error", "errors", "err"];
/// Fields that say it in a word, and the words of those that it did not go well.
const STATES: &[&str] = &["result", "status", "state", "outcome"];
const BAD: &[&str] = &["error", "fail", "failed", "failure", "denied", "rejected", "refused", "invalid", "unauthorized", "forbidden", "ko", "nok"];
/// A text that says that too much came; one that only names a limit does not.
const LIMITED: &[&str] = &["too many requests", "limit exceeded", "rate limited", "过于频繁", "频率超限"];
/// What else such a text may say. With any other word it may be the message, which some hooks repeat.
const AROUND: &[&str] = &[
    "rate", "limit", "limits", "limited", "exceeded", "reached", "too", "many", "requests", "error", "http", "you", "your", "are", "is", "have",
    "has", "been", "being", "please", "try", "retry", "again", "later", "wait", "slow", "down", "in", "after", "for", "a", "this", "hook", "webhook",
    "second", "seconds", "s", "minute", "minutes",
];
const AROUND_ZH: &[&str] = &["过于频繁", "频率超限", "请求", "发送", "操作", "调用", "错误", "请", "稍后", "再试", "重试"];

/// The answer of a hook under a 2xx.
pub(super) fn of(reply: &Reply, now: Timestamp) -> Result<Receipt, SendError> {
    // A page may be the hook's own or a login's, and an answer without an end says nothing: nobody knows.
    if reply.is_page() && is_html(&reply.text()) {
        let summary = "a web page came as the hook's answer; the message may have been delivered, or a login page is in its place";
        return Err(reply.error(ErrorKind::Ambiguous, format!("HTTP {}", reply.status()), summary));
    }
    if reply.is_cut() {
        return Err(unclear(reply));
    }
    let named = match reply.json::<Value>() {
        Some(Value::Object(fields)) => in_fields(&fields),
        Some(Value::Bool(false)) => Some(("false".to_owned(), None)),
        Some(Value::String(text)) => in_words(&text),
        Some(_) => None,
        None => in_words(&reply.text()),
    };
    match named {
        None => Ok(reply.receipt(reply.status().to_string(), PlatformIds::default())),
        Some((error, limit)) => {
            let code = if is_known(&error) { error.clone() } else { format!("HTTP {}", reply.status()) };
            let summary = format!("the hook answered HTTP {}, but names an error: {error}", reply.status());
            Err(reply.error(weigh(reply, now, limit), code, summary))
        }
    }
}

/// Whether what begins with a tag is a web page, and no answer in XML.
fn is_html(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["<html", "<!doctype", "<head", "<body", "<title", "<meta", "<script"].iter().any(|tag| text.contains(tag))
}

/// An error, and the limit that it is where it says so.
type Named = (String, Option<ErrorKind>);

/// The words of an error, which are the hook's own.
fn own(words: &str) -> Named {
    (words.to_owned(), limit_by_words(words).map(|(kind, _)| kind))
}

/// The error that an object names.
fn in_fields(fields: &Map<String, Value>) -> Option<Named> {
    let told = || {
        let text = ["error", "message", "msg", "errmsg", "detail", "description"].iter().find_map(|name| field(fields, name)?.as_str());
        text.filter(|text| !text.is_empty()).map(own)
    };
    let error = ERRORS.iter().filter_map(|name| field(fields, name)).find(|value| !is_nothing(value));
    if let Some(error) = error {
        let nested = error.as_object().and_then(|error| field(error, "message")).and_then(Value::as_str);
        return Some(match nested.or(error.as_str()) {
            Some(words) => own(words),
            None if error.is_array() => own(&error.to_string()),
            None => (error.to_string(), None),
        });
    }
    let not_good = GOOD.iter().filter_map(|name| field(fields, name)).any(|value| is_no(value) || value.as_i64() == Some(0));
    let bad_code = CODES.iter().filter_map(|name| number(field(fields, name)?)).any(|code| code != 0 && !(200..300).contains(&code));
    let bad_state =
        STATES.iter().filter_map(|name| field(fields, name)).any(|value| is_no(value) || value.as_str().is_some_and(|word| says(word, BAD)));
    // A number elsewhere may count messages or be an id.
    let bad_status = field(fields, "status").and_then(number).is_some_and(|status| (400..600).contains(&status));
    // The whole object may repeat the message.
    (not_good || bad_code || bad_state || bad_status).then(|| told().unwrap_or_else(|| (Value::Object(fields.clone()).to_string(), None)))
}

/// A plain text that reports a failure. `0 errors` and `no error` do not.
fn in_words(text: &str) -> Option<Named> {
    let text = text.trim();
    let limit = is_limit(text).then_some(ErrorKind::RateLimited { retry_after: None });
    let told = says(text, BAD) || says(text, &["errors", "not found", "no such", "exception", "失败", "错误"]) || limit.is_some() || is_known(text);
    let denied = says(text, &["no error", "no errors", "0 error", "0 errors", "without error", "without errors", "0 failed"]);
    (told && !denied).then(|| (text.to_owned(), limit))
}

/// Whether a plain text says that too much came, and nothing else: `posted: API rate limit exceeded` repeats the message.
fn is_limit(text: &str) -> bool {
    let rest = AROUND_ZH.iter().fold(text.to_ascii_lowercase(), |rest, words| rest.replace(words, " "));
    let is_between = |c: char| c.is_whitespace() || c.is_ascii_punctuation() || "，。！：；\u{FEFF}".contains(c);
    let is_around = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit()) || AROUND.contains(&word);
    says(text, LIMITED) && rest.split(is_between).all(is_around)
}

fn field<'v>(fields: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn is_no(value: &Value) -> bool {
    match value {
        Value::Bool(good) => !good,
        Value::String(text) => ["false", "no", "0"].iter().any(|no| text.trim().eq_ignore_ascii_case(no)),
        _ => false,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => {
            text.trim().is_empty() || ["false", "none", "null", "0", "ok"].iter().any(|none| text.trim().eq_ignore_ascii_case(none))
        }
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, kinds, page};
    use crate::channel::slack::Config;
    use crate::model::ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
    use crate::model::Recipient;

    /// A 2xx of a hook that is not Slack's is delivered unless its body names an error.
    #[tokio::test]
    async fn a_compatible_hook_confirms_in_its_own_words() {
        let delivered = [
            (200, "ok"),
            (200, "OK\n"),
            (200, ""),
            (201, "ok"),
            (202, "accepted"),
            (204, ""),
            (200, r#"{"ok":true}"#),
            (200, r#"{"success":true}"#),
            (200, r#"{"Success":"true","error":null}"#),
            (200, r#"{"result":"success","msg":""}"#),
            (200, r#"{"status":"OK","errors":[]}"#),
            (200, r#"{"code":0,"msg":"success","data":{}}"#),
            (200, r#"{"StatusCode":200,"error":""}"#),
            (200, r#"{"id":"m1","text":"[FIRING] error rate of api failed"}"#),
            (200, "[]"),
            (200, "true"),
            (200, "1 message sent, 0 errors"),
            (200, "ok, 99 left of the rate limit"),
            (200, r#"{"ret":0,"msg":"ok"}"#),
            (200, r#"{"status":200,"result":0}"#),
            // A number that is an id or a count.
            (200, r#"{"success":true,"result":48213}"#),
            (200, r#"{"code":0,"result":"1042"}"#),
            (200, r#"{"success":true,"state":404,"outcome":500}"#),
            (200, r#"{"status":48213}"#),
            // The message, repeated.
            (200, "posted: 🔴 Critical API rate limit exceeded"),
            (200, "🔴 Rate limit exceeded"),
            (200, "已发送：接口请求过于频繁"),
            (200, "<?xml version=\"1.0\"?><response><status>ok</status></response>"),
            // The mark of UTF-8 that some servers put in front.
            (200, "\u{FEFF}ok"),
            (200, "\u{FEFF}{\"success\":true}"),
        ];
        let refused = [
            (200, r#"{"ok":false,"error":"channel_not_found"}"#, Misconfigured, "channel_not_found"),
            (200, "no_service", Misconfigured, "no_service"),
            (200, r#"{"success":false,"error":"error-invalid-channel"}"#, Rejected, "HTTP 200"),
            (200, r#"{"result":"error","msg":"Stream does not exist"}"#, Rejected, "HTTP 200"),
            (200, r#"{"status":"failed"}"#, Rejected, "HTTP 200"),
            (200, r#"{"ok":false}"#, Rejected, "ok:false"),
            (200, "\u{FEFF}{\"success\":false}", Rejected, "HTTP 200"),
            (200, r#"{"errcode":40001,"errmsg":"no"}"#, Rejected, "HTTP 200"),
            (200, r#"{"error":{"code":7,"message":"no such room"}}"#, Rejected, "HTTP 200"),
            (200, "false", Rejected, "HTTP 200"),
            (200, "error: bad token", Rejected, "HTTP 200"),
            (200, "消息发送失败", Rejected, "HTTP 200"),
            (200, r#"{"success":0,"message":"no such room"}"#, Rejected, "HTTP 200"),
            (200, r#"{"retcode":1404,"status":"ok"}"#, Rejected, "HTTP 200"),
            (200, r#"{"status":500,"message":"boom"}"#, Rejected, "HTTP 200"),
            (200, "Rate limit exceeded", RateLimited { retry_after: None }, "HTTP 200"),
            (200, "\u{FEFF}Too many requests, please try again later.", RateLimited { retry_after: None }, "HTTP 200"),
            (200, "error: rate limit exceeded", RateLimited { retry_after: None }, "HTTP 200"),
            (200, "请求过于频繁，请稍后再试", RateLimited { retry_after: None }, "HTTP 200"),
            (200, r#"{"code":429,"message":"请求过于频繁"}"#, RateLimited { retry_after: None }, "HTTP 200"),
            (200, r#"{"error":{"message":"rate limited"}}"#, RateLimited { retry_after: None }, "HTTP 200"),
            (200, r#"{"errors":["rate limited"]}"#, RateLimited { retry_after: None }, "HTTP 200"),
            // What repeats the message is refused, and waits for no limit.
            (200, r#"{"success":false,"text":"🔴 严重 接口限流：请求过于频繁"}"#, Rejected, "HTTP 200"),
            (200, r#"{"error":{"sent":"API rate limit exceeded"}}"#, Rejected, "HTTP 200"),
            (200, "failed to post: 🔴 Critical API rate limit exceeded", Rejected, "HTTP 200"),
            (200, "<html>login</html>", Ambiguous, "HTTP 200"),
            (200, "<response><status>error</status></response>", Rejected, "HTTP 200"),
            (302, "ok", Misconfigured, "HTTP 302"),
            (400, r#"{"success":true}"#, Rejected, "HTTP 400"),
            (403, r#"{"error":"forbidden"}"#, Misconfigured, "forbidden"),
            (500, r#"{"success":true}"#, Transient, "HTTP 500"),
        ];
        let script = delivered.iter().map(|(status, body)| Answer::new(*status, *body));
        let server = ScriptedServer::start(script.chain(refused.iter().map(|(status, body, ..)| Answer::new(*status, *body)))).await;
        let built = build::<Config>("{ webhook: BASE/hooks/S3CRETKEY?api_key=S3CRETZULIP }", &server.base).unwrap();
        let hook = [Recipient::new("@webhook")];
        for answer in delivered {
            assert_eq!(kinds(&built.channel.send(&page(&[("text", "x")]), &hook, &context()).await), [Ok(None)], "{answer:?}");
        }
        for (status, body, kind, code) in refused {
            let results = built.channel.send(&page(&[("text", "x")]), &hook, &context()).await;
            assert_eq!(kinds(&results), [Err((kind, Some(code.to_owned())))], "{status} {body}");
        }
        assert_eq!(server.seen()[0].uri.to_string(), "/hooks/S3CRETKEY?api_key=S3CRETZULIP");
    }
}
