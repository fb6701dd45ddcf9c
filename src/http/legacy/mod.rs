//! The seven direct paths of the old service, and the paths of other bridges (`bridges`). The seven: JSON in, HTTP 200 with `code` 0 or 1 out, and the same shape where a caller is not admitted. Old clients
//! compare whole answers, so they hold nothing that they did not hold before.

mod answer;
mod bridges;
mod parts;
mod paths;
mod prometheusalert;

use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use self::answer::Answer;
use self::parts::{parts, shortened};
use self::paths::{dingding, dingding_call, email, slack, sms, vms, wx};
use super::auth::OUTSIDE;
use super::openapi::{Op, Paths};
use super::{Admitted, App, Caller, Scope, authenticate};
use crate::api::DirectSendResponse;
use crate::delivery::ChannelPlan;
use crate::ingest::legacy::LegacyError;
use crate::model::{Alert, Event, Page, Recipient, SenderKind};

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
        .below("", bridges::paths())
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
        if let Some(long) = call.to.iter().find(|to| !to.is_sound()) {
            return Err(fail(format!("收件人 `{long}` 有误或超过 {} 字节，请检查", Recipient::MAX_BYTES)));
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
    let mut answer = Answer::to(shortened(call.channel.platform, &parts));
    if let Some(kept) = &answer.shortened {
        tracing::warn!(channel = %call.channel.name, path, kept, "the text of a direct call is longer than its platform takes: the end is cut off");
    }
    let count = parts.len();
    for (n, page) in parts.into_iter().enumerate() {
        let event = Event { trace: trace.clone(), ..event(path, &caller, &page) };
        if let Err(message) = answer.add(app.engine.send_direct(&call.channel, event, page, call.to.clone()).await) {
            let message = if count > 1 { format!("内容较长，分 {count} 条发送，第 {} 条失败：{message}", n + 1) } else { message };
            answer.message = Some(message);
            break;
        }
    }
    answer.into_response()
}

fn failure(Failure(message, missing): Failure) -> DirectSendResponse {
    DirectSendResponse { code: 1, message: Some(message), missing }
}

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
