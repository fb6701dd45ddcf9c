//! The seven direct paths of the old service: JSON in, HTTP 200 with `code` 0 or 1 out, and the same shape where a caller is not admitted. Old clients
//! compare whole answers, so they hold nothing that they did not hold before.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use super::auth::OUTSIDE;
use super::openapi::{Op, Paths};
use super::{Admitted, App, Caller, Scope, authenticate};
use crate::api::DirectSendResponse;
use crate::channel::Platform;
use crate::delivery::{ChannelPlan, DirectError, DirectOutcome, Wx};
use crate::ingest::legacy::{self, LegacyError};
use crate::model::{Alert, ErrorKind, Event, Facts, Mentions, Page, Recipient, SendError, SenderKind, Severity};

/// A call as its channel takes it.
struct Call {
    channel: Arc<ChannelPlan>,
    page: Page,
    to: Vec<Recipient>,
}

/// Code 1 with a text, and the members that are missing.
struct Failure(String, Option<Vec<String>>);

impl From<LegacyError> for Failure {
    fn from(error: LegacyError) -> Self {
        let missing: Vec<String> = error.missing().iter().map(ToString::to_string).collect();
        Self(error.message(), (!missing.is_empty()).then_some(missing))
    }
}

fn fail(text: impl Into<String>) -> Failure {
    Failure(text.into(), None)
}

/// The paths.
pub(super) fn paths() -> Paths {
    let direct = |op: Op| {
        op.scope(Scope::Legacy)
            .takes::<Value>("The call, as older clients write it")
            .gives::<DirectSendResponse>()
            .refuses_with::<DirectSendResponse>()
    };
    Paths::default()
        .at("/email/send/message", [direct(Op::post("emailSend", "Sends an e-mail at once", email))])
        .at(
            "/slack/send/message",
            [
                direct(Op::post("slackSend", "Sends to a Slack channel at once", slack)),
                direct(Op::get("slackSendGet", "The same, as older clients call it", slack)),
            ],
        )
        .at("/dingding/send/message", [direct(Op::post("dingdingSend", "Sends to a DingTalk group at once", dingding))])
        .at("/dingding/call", [direct(Op::post("dingdingCall", "Calls people by DingTalk at once", dingding_call))])
        .at("/wx/apps/send", [direct(Op::post("wxSend", "Sends by a WeCom application at once", wx))])
        .at("/sms/send", [direct(Op::post("smsSend", "Sends text messages at once", sms))])
        .at("/vms/send", [direct(Op::post("vmsSend", "Calls numbers at once", vms))])
}

/// The first parts of the direct paths: what lies below them is asked for by older clients.
const AT: [&str; 6] = ["email", "slack", "dingding", "wx", "sms", "vms"];

/// Whether older clients call this path, be it served or not.
pub(super) fn is_at(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|first| AT.contains(&first))
}

/// A refusal before (or instead of) a call, in the old shape and language. The status stays what it is. `text` is what other callers would read.
pub(super) fn refusal(status: StatusCode, text: &str) -> Response {
    let message = match status {
        StatusCode::UNAUTHORIZED => "认证失败，请检查请求头 Authorization 中的凭据",
        StatusCode::FORBIDDEN if text.contains(OUTSIDE) => "来源地址不允许调用此接口，请检查 routes.yaml 中的 legacy.allow_ips",
        StatusCode::FORBIDDEN => "该凭据不允许调用此接口，请检查 routes.yaml 中凭据的 scopes",
        StatusCode::NOT_FOUND => "接口不存在，请检查路径",
        StatusCode::METHOD_NOT_ALLOWED => "请求方法不支持，请使用 POST",
        StatusCode::REQUEST_TIMEOUT => "请求体接收超时，请重试",
        StatusCode::PAYLOAD_TOO_LARGE => "请求体过大，请缩短内容（上限见 routes.yaml 中的 server.max_body）",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "不支持的 Content-Encoding，请直接发送或使用 gzip",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "服务繁忙，请稍后重试",
        _ if status.is_server_error() => "服务内部错误，请稍后重试",
        _ => "请求有误，请检查",
    };
    (status, Json(failure(fail(message)))).into_response()
}

/// How many messages a text is split into that is longer than the platform takes.
const MAX_PARTS: usize = 10;

async fn serve(app: Arc<App>, path: &'static str, request: Request, make: impl FnOnce(&App, &Caller, &[u8]) -> Result<Call, Failure>) -> Response {
    let Admitted { caller, body, trace, room: _room, .. } = match authenticate(&app, Scope::Legacy, request).await {
        Ok(admitted) => admitted,
        Err(error) => return error.into_response(),
    };
    let metrics = app.engine.metrics();
    let made = make(&app, &caller, &body).and_then(|call| {
        if !caller.may_use(&call.channel.name) {
            return Err(fail(format!("该凭据不允许使用通道 `{}`", call.channel.name)));
        }
        let parts = parts(call.channel.platform, &call.page)?;
        Ok((call, parts))
    });
    let (call, parts) = match made {
        Ok(made) => made,
        Err(error) => {
            metrics.received(SenderKind::Direct.as_str(), "malformed");
            return Json(failure(error)).into_response();
        }
    };
    metrics.received(SenderKind::Direct.as_str(), "accepted");
    let mut told = Told::default();
    let count = parts.len();
    for (n, page) in parts.into_iter().enumerate() {
        let event = Event { trace: trace.clone(), ..event(path, &caller, &page) };
        if let Err(message) = told.hear(app.engine.send_direct(&call.channel, event, page, call.to.clone()).await) {
            let message = if count > 1 { format!("内容较长，分 {count} 条发送，第 {} 条失败：{message}", n + 1) } else { message };
            told.message = Some(message);
            break;
        }
    }
    told.into_response()
}

/// The pages of a call: its own, or where its text is longer than the platform takes (which some cut in silence), several.
fn parts(platform: &Platform, page: &Page) -> Result<Vec<Page>, Failure> {
    let fits = |text: &str| {
        let mut part = page.clone();
        part.fields.insert("text".into(), text.to_owned());
        (platform.measure)(&part).fits().then_some(part)
    };
    let mut rest = page.field("text");
    let size = (platform.measure)(page);
    if rest.is_empty() || !matches!(platform.name, "wecom" | "slack" | "dingtalk") || size.fits() {
        return Ok(vec![page.clone()]);
    }
    let too_long = || fail(format!("content 过长（{} 字节），最多可拆分为 {MAX_PARTS} 条消息，请缩短", page.field("text").len()));
    // Whatever it counts, a part has no more than four bytes for each of it: nothing longer is looked at.
    let most = size.max.saturating_mul(4);
    if rest.len() > most.saturating_mul(MAX_PARTS) {
        return Err(too_long());
    }
    let mut pages = Vec::new();
    while !rest.is_empty() {
        if pages.len() == MAX_PARTS {
            return Err(too_long());
        }
        // The longest beginning that fits, found by halves of what is known to fit and known not to.
        let (mut good, mut bad) = (0, rest.len().min(most) + 1);
        while bad - good > 1 {
            let mut middle = (good + bad) / 2;
            while middle > good && !rest.is_char_boundary(middle) {
                middle -= 1;
            }
            if middle <= good {
                // Within one character: the next one is asked for.
                middle = good + rest[good..].chars().next().map_or(1, char::len_utf8);
            }
            if middle >= bad {
                break;
            }
            if fits(&rest[..middle]).is_some() { good = middle } else { bad = middle }
        }
        // A line is kept whole where that leaves something to send.
        let end = match rest[..good].rfind('\n') {
            Some(line) if good < rest.len() && line > 0 => line + 1,
            _ => good,
        };
        let Some(part) = fits(&rest[..end]).filter(|_| end > 0) else {
            return Err(fail("content 无法按平台的长度限制拆分，请缩短"));
        };
        pages.push(part);
        rest = &rest[end..];
    }
    Ok(pages)
}

fn failure(Failure(message, missing): Failure) -> DirectSendResponse {
    DirectSendResponse { code: 1, message: Some(message), missing }
}

/// What a caller is answered.
#[derive(Default)]
struct Told {
    message: Option<String>,
    deliveries: Vec<String>,
    failed: Vec<String>,
}

impl Told {
    /// Notes how one message ended; the error is why it failed.
    fn hear(&mut self, result: Result<DirectOutcome, DirectError>) -> Result<(), String> {
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

impl IntoResponse for Told {
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

/// The event that records a call.
fn event(path: &str, caller: &Caller, page: &Page) -> Event {
    let mut alert = Alert::default();
    let first = page.fields.get("subject").or_else(|| page.fields.get("text")).or_else(|| page.fields.get("html"));
    let text = first.map_or("", String::as_str);
    let line: String = text.lines().find(|l| !l.trim().is_empty()).unwrap_or(path).trim().chars().take(120).collect();
    alert.labels.insert("alertname".into(), line.clone());
    alert.fingerprint = crate::delivery::direct::fingerprint(text);
    Event {
        kind: SenderKind::Direct,
        source: if caller.name.is_empty() { "direct".into() } else { format!("direct/{}", caller.name) },
        receiver: path.to_owned(),
        title: line,
        alerts: vec![alert],
        ..Event::default()
    }
}

fn bound(app: &App, name: Option<&str>, path: &str) -> Result<Arc<ChannelPlan>, Failure> {
    let plan = app.engine.plan();
    let name = name.ok_or_else(|| fail(format!("{path} 未绑定通道，请在 routes.yaml 的 legacy 中配置")))?;
    plan.channel(name).cloned().ok_or_else(|| fail(format!("通道 `{name}` 不存在，请检查 routes.yaml")))
}

fn page(fields: &[(&str, &str)], mentions: Mentions, title: &str) -> Page {
    Page {
        fields: fields.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        facts: Facts { title: title.chars().take(120).collect(), severity: Severity::Info, mentions, ..Facts::default() },
        number: 1,
        total: 1,
        plain: true,
        coverage: Vec::new(),
    }
}

fn recipients(list: &[String]) -> Vec<Recipient> {
    let mut to: Vec<Recipient> = Vec::new();
    for one in list {
        let one = Recipient::new(one.clone());
        if !to.contains(&one) {
            to.push(one);
        }
    }
    to
}

/// `POST /email/send/message`.
pub(super) async fn email(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/email/send/message", request, |app, _, body| {
        let call = legacy::EmailCall::parse(body)?;
        let plan = app.engine.plan();
        let binding = plan.legacy.email.as_ref();
        let channel = bound(app, binding.map(|b| b.channel.as_str()), "/email/send/message")?;
        let allowed = binding.is_some_and(|b| b.allow_from.iter().any(|pattern| matches(pattern, address(&call.from))));
        if !allowed {
            return Err(fail(format!("发件人 `{}` 不在允许范围内，请在 routes.yaml 的 legacy.email.allow_from 中添加", call.from)));
        }
        let content = if call.html { "html" } else { "text" };
        let cc = call.cc.join(",");
        let page =
            page(&[("subject", &call.subject), ("from", &call.from), ("cc", &cc), (content, &call.content)], Mentions::default(), &call.subject);
        // One mail for each address, whatever names are written before it.
        let mut to = [call.to, call.cc].concat();
        let mut seen = std::collections::HashSet::new();
        to.retain(|one| seen.insert(address(one).to_ascii_lowercase()));
        Ok(Call { channel, page, to: recipients(&to) })
    })
    .await
}

/// `POST|GET /slack/send/message`.
pub(super) async fn slack(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/slack/send/message", request, |app, _, body| {
        let call = legacy::SlackCall::parse(body)?;
        let plan = app.engine.plan();
        let Some(name) = plan.legacy.slack.get(&call.channel) else { return Err(fail("channel 有误或不存在，请检查")) };
        let channel = bound(app, Some(name), "/slack/send/message")?;
        let to = channel.recipients.clone();
        Ok(Call { page: page(&[("text", &call.content)], Mentions::default(), &call.content), channel, to })
    })
    .await
}

/// `POST /dingding/send/message`.
pub(super) async fn dingding(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/dingding/send/message", request, |app, _, body| {
        let call = legacy::DingdingCall::parse(body)?;
        let plan = app.engine.plan();
        let channel = bound(app, plan.legacy.dingding.as_deref(), "/dingding/send/message")?;
        let mentions = Mentions { all: call.is_at_all, mobiles: call.at_mobiles, ..Mentions::default() };
        let to = channel.recipients.clone();
        Ok(Call { page: page(&[("text", &call.content)], mentions, &call.content), channel, to })
    })
    .await
}

/// `POST /wx/apps/send`.
pub(super) async fn wx(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/wx/apps/send", request, |app, _, body| {
        let call = legacy::WxCall::parse(body)?;
        let plan = app.engine.plan();
        let (name, agent_id) = match &plan.legacy.wx {
            Wx::Unbound => (None, ""),
            Wx::One(_) if call.agentid.parse::<u32>().is_err() => return Err(fail("agentid 应为数字，请检查")),
            Wx::One(name) => (Some(name), call.agentid.as_str()),
            // The channel knows its own application.
            Wx::ByAgent(agents) => match agents.get(&call.agentid) {
                Some(name) => (Some(name), ""),
                None => return Err(fail("agentid 有误或不存在，请检查")),
            },
        };
        let channel = bound(app, name.map(String::as_str), "/wx/apps/send")?;
        let page = page(&[("text", &call.content), ("agent_id", agent_id)], Mentions::default(), &call.content);
        Ok(Call { channel, page, to: recipients(&call.touser) })
    })
    .await
}

/// `POST /sms/send`.
pub(super) async fn sms(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/sms/send", request, |app, _, body| {
        let call = legacy::SmsCall::parse(body)?;
        let plan = app.engine.plan();
        let channel = bound(app, plan.legacy.sms.as_deref(), "/sms/send")?;
        let params = if call.params.is_empty() { String::new() } else { json!(call.params).to_string() };
        Ok(Call {
            channel,
            page: page(&[("text", &call.content), ("params", &params)], Mentions::default(), &call.content),
            to: recipients(&call.to),
        })
    })
    .await
}

/// `POST /vms/send`.
pub(super) async fn vms(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/vms/send", request, |app, _, body| {
        let call = legacy::VmsCall::parse(body)?;
        let plan = app.engine.plan();
        let channel = bound(app, plan.legacy.vms.as_deref(), "/vms/send")?;
        Ok(Call { channel, page: page(&[("text", &call.content)], Mentions::default(), &call.content), to: recipients(&call.to) })
    })
    .await
}

/// `POST /dingding/call`.
pub(super) async fn dingding_call(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/dingding/call", request, |app, _, body| {
        let call = legacy::DingCall::parse(body)?;
        let plan = app.engine.plan();
        let channel = bound(app, plan.legacy.dingding_call.as_deref(), "/dingding/call")?;
        let users = call.user_ids.iter().map(|id| format!("user:{id}"));
        let to: Vec<String> = call.mobiles.iter().cloned().chain(users).collect();
        Ok(Call { channel, page: page(&[("text", &call.content)], Mentions::default(), &call.content), to: recipients(&to) })
    })
    .await
}

/// The address in `Name <a@b>` or `a@b`.
fn address(from: &str) -> &str {
    match (from.rfind('<'), from.rfind('>')) {
        (Some(open), Some(close)) if open < close => from[open + 1..close].trim(),
        _ => from.trim(),
    }
}

/// `*@example.com`: at most one `*`, ASCII case ignored.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail),
    }
}

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

    #[test]
    fn a_long_text_is_split_and_nothing_of_it_is_lost() {
        let lines: String = (0..300).map(|n| format!("第{n}行：磁盘使用率 92%\n")).collect();
        for (name, most) in [("wecom", 10), ("slack", 1), ("dingtalk", 1)] {
            let platform = crate::channel::PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
            for text in ["短".to_owned(), "磁".repeat(4000), lines.clone(), format!("{}END", "x".repeat(15_000))] {
                let whole = page(&[("text", &text)], Mentions::default(), &text);
                let parts = parts(platform, &whole).map_err(|f| f.0).unwrap();
                assert!(parts.len() <= most, "{}: {}", platform.name, parts.len());
                assert!(parts.iter().all(|part| (platform.measure)(part).fits()), "{}", platform.name);
                assert_eq!(parts.iter().map(|part| part.field("text")).collect::<String>(), text, "{}", platform.name);
            }
            let endless = "磁".repeat(500_000);
            let told = parts(platform, &page(&[("text", &endless)], Mentions::default(), "x")).err().unwrap();
            assert!(told.0.contains("过长"), "{}", told.0);
        }
    }

    #[test]
    fn senders_are_matched_by_address_not_by_name() {
        assert!(matches("*@example.com", address("Ops <ops@Example.com>")));
        assert!(!matches("*@example.com", address("ops@example.com <evil@example.org>")));
        assert!(!matches("*@example.com", address("ops@example.com.evil.org")));
        assert!(matches("ops@example.com", address("ops@example.com")));
    }
}
