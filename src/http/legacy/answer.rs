//! What a caller is answered, in the shape and language of the old service.

use axum::Json;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::api::DirectSendResponse;
use crate::delivery::{DirectError, DirectOutcome};
use crate::model::{ErrorKind, SendError};

/// What a caller is answered.
#[derive(Default)]
pub struct Answer {
    /// Why it failed; `None` when all of it was sent.
    pub message: Option<String>,
    deliveries: Vec<String>,
    failed: Vec<String>,
}

impl Answer {
    /// Notes how one message ended; the error is why it failed.
    pub fn add(&mut self, result: Result<DirectOutcome, DirectError>) -> Result<(), String> {
        let outcome = result.map_err(|error| match error {
            DirectError::Timeout => "请求超时，消息可能已送达，请确认后再重试".to_owned(),
            DirectError::Disabled(name) => format!("通道 `{name}` 已停用"),
            DirectError::Store(_) => "服务暂时无法保存请求，请稍后重试".to_owned(),
        })?;
        self.deliveries.push(outcome.delivery.to_string());
        if outcome.expired {
            return Err("发送频率超限，请稍后重试".into());
        }
        let failures: Vec<_> = outcome.results.iter().filter_map(|(to, r)| Some((to, r.as_ref().err()?))).collect();
        let Some((_, first)) = failures.first() else { return Ok(()) };
        let message = said(first);
        if failures.len() == outcome.results.len() {
            return Err(message);
        }
        self.failed = failures.iter().map(|(to, _)| to.expose().to_owned()).collect();
        // A body that names them itself is answered alone: clients parse it. WeCom returns user ids in lower case.
        let lower = message.to_lowercase();
        let named = message.starts_with('{') && self.failed.iter().all(|to| lower.contains(&to.to_lowercase()));
        Err(if named { message } else { format!("{}: {message}", self.failed.join(",")) })
    }
}

/// The platform's own body when it refused; else what happened.
fn said(error: &SendError) -> String {
    let refused = matches!(error.kind, ErrorKind::Rejected | ErrorKind::Misconfigured | ErrorKind::RateLimited { .. });
    match &error.detail {
        Some(detail) if refused => unescaped(detail),
        _ => match error.kind {
            ErrorKind::Transient => format!("发送失败，请稍后重试：{error}"),
            ErrorKind::Ambiguous => format!("平台未确认，消息可能已送达：{error}"),
            ErrorKind::RateLimited { .. } => "发送频率超限，请稍后重试".to_owned(),
            ErrorKind::Rejected | ErrorKind::Misconfigured => format!("发送失败：{error}"),
        },
    }
}

/// JSON with its characters in place of `\uXXXX`: many platforms write Chinese so, and people read the message. Escapes of control characters, quotes
/// and backslashes stay, so that it is the same JSON.
fn unescaped(text: &str) -> String {
    let unit = |rest: &str| rest.strip_prefix("\\u").and_then(|r| r.get(..4)).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let units: Vec<u16> = [unit(rest), rest.get(6..).and_then(unit)].into_iter().map_while(|u| u).collect();
        let found = char::decode_utf16(units).next().and_then(Result::ok).filter(|c| !c.is_ascii() && !c.is_control());
        let length = match found {
            Some(c) => {
                out.push(c);
                6 * c.len_utf16()
            }
            // Another escape: it and what it escapes.
            None => {
                let length: usize = rest.chars().take(2).map(char::len_utf8).sum();
                out.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let code = u8::from(self.message.is_some());
        let mut response = Json(DirectSendResponse { code, message: self.message, missing: None }).into_response();
        let failed: Vec<String> = self.failed.iter().map(|to| utf8_percent_encode(to, SHOWN).to_string()).collect();
        for (name, values) in [("watchfire-delivery", self.deliveries), ("watchfire-failed", failed)] {
            if let Ok(value) = HeaderValue::from_str(&values.join(", "))
                && !values.is_empty()
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// What is written as it is in a header; anything else in `%XX`.
const SHOWN: &AsciiSet = &CONTROLS.add(b' ').add(b',').add(b'%');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_read_and_the_json_stays_the_same() {
        for (raw, text) in [
            (r#"{"errmsg":"\u627e\u4e0d\u5230 user"}"#, r#"{"errmsg":"找不到 user"}"#),
            (r#"{"a":"\ud83d\udd25 \\u627e \" \n \u000a \u0022 \ud83d"}"#, r#"{"a":"🔥 \\u627e \" \n \u000a \u0022 \ud83d"}"#),
            ("plain \\", "plain \\"),
            ("\\u12", "\\u12"),
            ("\\找", "\\找"),
        ] {
            assert_eq!(unescaped(raw), text);
        }
    }
}
