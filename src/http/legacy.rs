//! The seven direct paths of the old service: JSON in, HTTP 200 with `code` 0 or 1 out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::answers::Direct;
use super::openapi::{Op, Paths};
use super::{Admitted, App, Caller, Scope, admit};
use crate::delivery::{CallError, ChannelPlan, DirectOutcome};
use crate::ingest::legacy::{self, LegacyError};
use crate::model::{Alert, ErrorKind, Event, Facts, Mentions, Page, Recipient, SenderKind, Severity};

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
    let direct = |op: Op| op.scope(Scope::Legacy).takes::<Value>("The call, as older clients write it").gives::<Direct>();
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

async fn serve(app: Arc<App>, path: &'static str, request: Request, make: impl FnOnce(&App, &Caller, &[u8]) -> Result<Call, Failure>) -> Response {
    // 401 and 413 are the only answers that are not 200.
    let Admitted { caller, body, trace, room: _room, .. } = match admit(&app, Scope::Legacy, request).await {
        Ok(admitted) => admitted,
        Err(error) => return error.into_response(),
    };
    let metrics = &app.engine.shared.metrics;
    let answer = match make(&app, &caller, &body) {
        Ok(call) if !caller.may_use(&call.channel.name) => failure(fail(format!("these credentials may not use channel `{}`", call.channel.name))),
        Ok(call) => {
            metrics.received(SenderKind::Direct.as_str(), "accepted");
            let event = Event { trace, ..event(path, &caller, &call) };
            let channel = call.channel.clone();
            outcome(app.engine.call(&channel, event, call.page, call.to).await)
        }
        Err(error) => {
            metrics.received(SenderKind::Direct.as_str(), "malformed");
            failure(error)
        }
    };
    Json(answer).into_response()
}

fn failure(Failure(message, missing): Failure) -> Direct {
    Direct { code: 1, message: Some(message), missing, ..Direct::default() }
}

fn outcome(result: Result<DirectOutcome, CallError>) -> Direct {
    let refused = |message: String| Direct { code: 1, message: Some(message), ..Direct::default() };
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(CallError::Late) => return refused("请求超时，请稍后重试".into()),
        Err(error) => return refused(error.to_string()),
    };
    let delivery = Some(outcome.delivery);
    if outcome.expired {
        return Direct { delivery, ..refused("发送频率超限，请稍后重试".into()) };
    }
    let failures: Vec<_> = outcome.results.iter().filter_map(|(to, r)| Some((to, r.as_ref().err()?))).collect();
    let Some((_, first)) = failures.first() else { return Direct { delivery, ..Direct::default() } };
    // The platform's own body when it refused; else a safe summary.
    let said = matches!(first.kind, ErrorKind::Rejected | ErrorKind::Misconfigured | ErrorKind::RateLimited { .. });
    let mut message = first.detail.clone().filter(|_| said).unwrap_or_else(|| first.to_string());
    let all = outcome.results.len();
    let failed: Vec<String> = failures.iter().map(|(to, _)| to.expose().to_owned()).collect();
    if failed.len() < all {
        message = format!("{}: {message}", failed.join(","));
    }
    Direct { delivery, failed: (all > 1).then_some(failed), ..refused(message) }
}

/// The event that records a call.
fn event(path: &str, caller: &Caller, call: &Call) -> Event {
    let mut alert = Alert::default();
    let first = call.page.fields.get("subject").or_else(|| call.page.fields.get("text")).or_else(|| call.page.fields.get("html"));
    let text = first.map_or("", String::as_str);
    let line: String = text.lines().find(|l| !l.trim().is_empty()).unwrap_or(path).trim().chars().take(120).collect();
    alert.labels.insert("alertname".into(), line.clone());
    alert.fingerprint = crate::delivery::accept::call_fingerprint(text);
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
    let plan = app.engine.shared.plan.load();
    let name = name.ok_or_else(|| fail(format!("{path} is not bound to a channel; set it under `legacy:` in routes.yaml")))?;
    plan.channel(name).cloned().ok_or_else(|| fail(format!("channel `{name}` does not exist")))
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
        let plan = app.engine.shared.plan.load();
        let binding = plan.legacy.email.as_ref();
        let channel = bound(app, binding.map(|b| b.channel.as_str()), "/email/send/message")?;
        let allowed = binding.is_some_and(|b| b.allow_from.iter().any(|pattern| matches(pattern, address(&call.from))));
        if !allowed {
            return Err(fail(format!("from `{}` is not allowed here; add it to legacy.email.allow_from in routes.yaml", call.from)));
        }
        let content = if call.html { "html" } else { "text" };
        let cc = call.cc.join(",");
        let page =
            page(&[("subject", &call.subject), ("from", &call.from), ("cc", &cc), (content, &call.content)], Mentions::default(), &call.subject);
        Ok(Call { channel, page, to: recipients(&[call.to, call.cc].concat()) })
    })
    .await
}

/// `POST|GET /slack/send/message`.
pub(super) async fn slack(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/slack/send/message", request, |app, _, body| {
        let call = legacy::SlackCall::parse(body)?;
        let plan = app.engine.shared.plan.load();
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
        let plan = app.engine.shared.plan.load();
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
        let plan = app.engine.shared.plan.load();
        let channel = bound(app, plan.legacy.wx.as_deref(), "/wx/apps/send")?;
        let to: Vec<String> = call.touser.split('|').map(str::trim).filter(|u| !u.is_empty()).map(str::to_owned).collect();
        let page = page(&[("text", &call.content), ("agent_id", &call.agentid)], Mentions::default(), &call.content);
        Ok(Call { channel, page, to: recipients(&to) })
    })
    .await
}

/// `POST /sms/send`.
pub(super) async fn sms(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/sms/send", request, |app, _, body| {
        let call = legacy::SmsCall::parse(body)?;
        let plan = app.engine.shared.plan.load();
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
        let plan = app.engine.shared.plan.load();
        let channel = bound(app, plan.legacy.vms.as_deref(), "/vms/send")?;
        Ok(Call { channel, page: page(&[("text", &call.content)], Mentions::default(), &call.content), to: recipients(&call.to) })
    })
    .await
}

/// `POST /dingding/call`.
pub(super) async fn dingding_call(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/dingding/call", request, |app, _, body| {
        let call = legacy::DingCall::parse(body)?;
        let plan = app.engine.shared.plan.load();
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
    fn senders_are_matched_by_address_not_by_name() {
        assert!(matches("*@example.com", address("Ops <ops@Example.com>")));
        assert!(!matches("*@example.com", address("ops@example.com <evil@example.org>")));
        assert!(!matches("*@example.com", address("ops@example.com.evil.org")));
        assert!(matches("ops@example.com", address("ops@example.com")));
    }
}
