//! What a caller is answered, in the shape and language of the old service.

use axum::Json;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::api::DirectSendResponse;
use crate::channel::kit::phone;
use crate::delivery::{DirectError, DirectOutcome};
use crate::model::{ErrorKind, SendError};

/// What a caller is answered.
#[derive(Default)]
pub struct Answer {
    /// Why it failed; `None` when all of it was sent.
    pub message: Option<String>,
    /// What of the text its platform cuts off: the limit and the length.
    pub shortened: Option<String>,
    deliveries: Vec<String>,
    failed: Vec<String>,
}

impl Answer {
    /// That of a call whose text is cut off so.
    pub fn to(shortened: Option<String>) -> Self {
        Self { shortened, ..Self::default() }
    }

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
        // A vendor's template has variables that take less than the text is long.
        if let Some(cut) = outcome.results.iter().filter_map(|(_, result)| phone::cut(result.as_ref().ok()?)).max() {
            self.shortened.get_or_insert(format!("{cut} characters do not fit into the vendor's template"));
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

/// The platform's own body when it refused; else what happened. Watchfire's own sentence about it is English: it is in the record that the header names.
fn said(error: &SendError) -> String {
    let refused = matches!(error.kind, ErrorKind::Rejected | ErrorKind::Misconfigured | ErrorKind::RateLimited { .. });
    match &error.detail {
        Some(body) if refused && is_body(body) => unescaped(body),
        Some(words) if refused && !words.trim_start().starts_with('<') => format!("平台拒绝发送：{}", unescaped(words)),
        _ => {
            let lead = match error.kind {
                ErrorKind::Transient => "发送失败，请稍后重试",
                ErrorKind::Ambiguous => "平台未确认，消息可能已送达",
                ErrorKind::RateLimited { .. } => return "发送频率超限，请稍后重试".to_owned(),
                ErrorKind::Rejected | ErrorKind::Misconfigured => "发送失败",
            };
            format!("{lead}：{}", reason(error))
        }
    }
}

/// Whether it is a platform's JSON object, perhaps cut.
fn is_body(detail: &str) -> bool {
    detail.trim_start().starts_with('{')
}

/// Why it failed, in the callers' language: by the error's code, which distinguishes all that no platform has said.
fn reason(error: &SendError) -> String {
    let code = error.code.as_deref().unwrap_or_default();
    let known = match code {
        "timeout" => "平台未在时限内应答",
        "busy" => "到平台的连接均被占用",
        "dns" => "平台域名无法解析，请检查本机 DNS 或代理",
        "connect" => "无法连接平台，请检查网络或代理",
        "io" | "closed" => "与平台的连接中断",
        "tls" => "与平台的 TLS 连接未能建立，请检查证书和 tls 配置",
        "proxy" => "代理拒绝连接，请检查代理的用户名和密码",
        "address" => "目标地址不允许访问，请检查配置",
        "request" => "请求无法生成，请检查地址和凭据",
        "protocol" => "对方不是邮件服务器或应答无法识别，请检查地址和端口",
        "login" => "邮件服务器没有可用的登录方式，请检查 username 和 tls",
        "smtputf8" => "邮件服务器不支持非 ASCII 地址",
        "failedList" => "平台无法呼叫该人员",
        _ => "",
    };
    match error.kind {
        _ if !known.is_empty() => known.to_owned(),
        _ if !code.is_empty() => format!("平台返回 {code}"),
        _ if error.recipient => "收件人（号码、地址或成员）有误或无法送达，请检查".to_owned(),
        ErrorKind::Rejected => "内容或收件人未被接受，请检查".to_owned(),
        ErrorKind::Misconfigured => "通道配置有误，请联系管理员检查 routes.yaml".to_owned(),
        ErrorKind::Ambiguous => "没有收到平台的结果".to_owned(),
        ErrorKind::Transient | ErrorKind::RateLimited { .. } => "平台暂时不可用".to_owned(),
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
        let shortened = self.shortened.into_iter().collect();
        for (name, values) in [("watchfire-delivery", self.deliveries), ("watchfire-failed", failed), ("watchfire-shortened", shortened)] {
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
    use crate::model::{DeliveryId, Receipt};
    use crate::store::StoreError;

    #[test]
    fn what_was_cut_off_is_in_a_header_and_the_body_is_as_ever() {
        let response = Answer { shortened: Some("200 of 250 characters".into()), ..Answer::default() }.into_response();
        assert_eq!(response.headers()["watchfire-shortened"], "200 of 250 characters");
        let to = crate::model::Recipient::new("+8613800000001");
        let receipt = Receipt { answer: "54 characters were cut; {\"Code\":\"OK\"}".into(), ..Receipt::default() };
        let mut answer = Answer::default();
        answer.add(Ok(DirectOutcome { delivery: DeliveryId::new(), results: vec![(to, Ok(receipt))], expired: false })).unwrap();
        let response = answer.into_response();
        assert_eq!(response.headers()["watchfire-shortened"], "54 characters do not fit into the vendor's template");
    }

    /// Every way a call can end badly, with what its caller reads; the summaries are English and must not show.
    #[test]
    fn whatever_goes_wrong_is_said_in_the_callers_language() {
        use ErrorKind::{Ambiguous, Misconfigured, RateLimited, Rejected, Transient};
        let kinds = [Transient, RateLimited { retry_after: None }, Ambiguous, Rejected, Misconfigured];
        let codes = [
            None,
            Some("timeout"),
            Some("busy"),
            Some("dns"),
            Some("connect"),
            Some("io"),
            Some("closed"),
            Some("tls"),
            Some("proxy"),
            Some("address"),
            Some("request"),
            Some("protocol"),
            Some("login"),
            Some("smtputf8"),
            Some("failedList"),
            Some("HTTP 502"),
            Some("550 5.1.1"),
            Some("40014"),
        ];
        let details = [None, Some("<html>Bad Gateway</html>"), Some("no such user"), Some(r#"{"errcode":40014,"errmsg":"invalid token"}"#)];
        let english = |text: &str| ["cannot", "answered", "Bad Gateway", "check", "server"].iter().any(|word| text.contains(word));
        for kind in kinds {
            for code in codes {
                for detail in details {
                    for recipient in [false, true] {
                        let mut error = SendError::new(kind, "the server cannot be reached; check it");
                        error = code.map_or(error.clone(), |code| error.code(code));
                        error = detail.map_or(error.clone(), |detail| error.detail(detail));
                        error.recipient = recipient;
                        let text = said(&error);
                        let body = text.starts_with('{');
                        assert!(!english(&text) && (body || text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))), "{error:?}: {text}");
                        assert_eq!(body, detail.is_some_and(is_body) && !matches!(kind, Transient | Ambiguous), "{error:?}: {text}");
                    }
                }
            }
        }
        let of = |result| Answer::default().add(result).unwrap_err();
        for error in [
            DirectError::Timeout,
            DirectError::Disabled("ops".into()),
            DirectError::Store(StoreError::Busy),
            DirectError::Store(StoreError::Unavailable("the disk is full".into())),
        ] {
            let text = of(Err(error));
            assert!(!english(&text) && !text.contains("disk"), "{text}");
        }
        let expired = DirectOutcome { delivery: DeliveryId::new(), results: Vec::new(), expired: true };
        assert_eq!(of(Ok(expired)), "发送频率超限，请稍后重试");
    }

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
