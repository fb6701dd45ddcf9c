//! The seven paths: what each body says, as a call of the channel that its path is bound to.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::json;

use super::{Call, Failure, fail, serve};
use crate::channel::kit::phone;
use crate::delivery::{ChannelPlan, Wx};
use crate::http::App;
use crate::ingest::legacy;
use crate::model::{Facts, Mentions, Page, Recipient, Severity};

fn bound(app: &App, name: Option<&str>, path: &str) -> Result<Arc<ChannelPlan>, Failure> {
    let plan = app.engine.plan();
    let name = name.ok_or_else(|| fail(format!("{path} 未绑定通道，请在 routes.yaml 的 legacy 中配置")))?;
    plan.channel(name).cloned().ok_or_else(|| fail(format!("通道 `{name}` 不存在，请检查 routes.yaml")))
}

/// The page of a call.
pub fn page(fields: &[(&str, &str)], mentions: Mentions, title: &str) -> Page {
    let fields = fields.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let facts = Facts { title: title.chars().take(120).collect(), severity: Some(Severity::Info), mentions, ..Facts::default() };
    Page::of_text(fields, facts)
}

fn recipients(list: &[String]) -> Vec<Recipient> {
    let mut seen = HashSet::new();
    list.iter().filter(|one| seen.insert(*one)).map(|one| Recipient::new(one.clone())).collect()
}

/// One recipient per number, in the first of the ways that it is written in; the answer names it so.
fn numbers(list: &[String]) -> Vec<Recipient> {
    let mut seen = HashSet::new();
    list.iter().filter(|one| seen.insert(phone::e164(one).unwrap_or_else(|| (*one).clone()))).map(|one| Recipient::new(one.clone())).collect()
}

/// `POST /email/send/message`.
pub async fn email(State(app): State<Arc<App>>, request: Request) -> Response {
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
        let mut seen = HashSet::new();
        to.retain(|one| seen.insert(address(one).to_ascii_lowercase()));
        Ok(Call { channel, page, to: recipients(&to) })
    })
    .await
}

/// `POST|GET /slack/send/message`.
pub async fn slack(State(app): State<Arc<App>>, request: Request) -> Response {
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

/// Whether a text is one number, of a mobile or not: digits, at most as many as a number has, and what people write between them (also `138xxxx0000`).
/// Two in one ping nobody.
fn is_one_number(text: &str) -> bool {
    let digits = text.chars().filter(|c| c.is_numeric()).count();
    let other = |c: char| c.is_alphabetic() && !matches!(c, 'x' | 'X') || matches!(c, '@' | '/' | '&');
    phone::e164(text).is_some() || ((1..=15).contains(&digits) && !text.contains(other))
}

/// What a text names: itself where it is one number, the numbers in it (`13800000000(张三)`) or itself where there are none.
fn numbers_in(text: String) -> Vec<String> {
    if is_one_number(&text) {
        return vec![text];
    }
    let parts = text.split(|c: char| c.is_alphabetic() || matches!(c, '(' | ')' | '（' | '）' | '@' | '/' | '&'));
    let numbers: Vec<String> = parts.map(|part| part.trim().to_owned()).filter(|part| phone::e164(part).is_some()).collect();
    if numbers.is_empty() { vec![text] } else { numbers }
}

/// `POST /dingding/send/message`.
pub async fn dingding(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/dingding/send/message", request, |app, _, body| {
        let call = legacy::DingdingCall::parse(body)?;
        let plan = app.engine.plan();
        let channel = bound(app, plan.legacy.dingding.as_deref(), "/dingding/send/message")?;
        // As texts have them, too: `@13800000000`.
        let named = call.at_mobiles.iter().map(|one| one.trim_start_matches(['@', '＠']).to_owned());
        let (mobiles, words): (Vec<String>, Vec<String>) = named.flat_map(numbers_in).partition(|one| is_one_number(one));
        // With everybody pinged nobody misses it; else its caller must know who is not.
        if let (Some(word), false) = (words.first(), call.is_at_all) {
            let word: String = word.chars().take(40).collect();
            return Err(fail(format!("atMobiles 中的 `{word}` 不是手机号，请检查")));
        }
        let mentions = Mentions { all: call.is_at_all, mobiles, ..Mentions::default() };
        let to = channel.recipients.clone();
        Ok(Call { page: page(&[("text", &call.content)], mentions, &call.content), channel, to })
    })
    .await
}

/// `POST /wx/apps/send`.
pub async fn wx(State(app): State<Arc<App>>, request: Request) -> Response {
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
pub async fn sms(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/sms/send", request, |app, _, body| {
        let call = legacy::SmsCall::parse(body)?;
        let plan = app.engine.plan();
        let channel = bound(app, plan.legacy.sms.as_deref(), "/sms/send")?;
        let params = if call.params.is_empty() { String::new() } else { json!(call.params).to_string() };
        Ok(Call { channel, page: page(&[("text", &call.content), ("params", &params)], Mentions::default(), &call.content), to: numbers(&call.to) })
    })
    .await
}

/// `POST /vms/send`.
pub async fn vms(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/vms/send", request, |app, _, body| {
        let call = legacy::VmsCall::parse(body)?;
        let plan = app.engine.plan();
        let channel = bound(app, plan.legacy.vms.as_deref(), "/vms/send")?;
        Ok(Call { channel, page: page(&[("text", &call.content)], Mentions::default(), &call.content), to: numbers(&call.to) })
    })
    .await
}

/// `POST /dingding/call`.
pub async fn dingding_call(State(app): State<Arc<App>>, request: Request) -> Response {
    serve(app, "/dingding/call", request, |app, _, body| {
        let call = legacy::DingCall::parse(body)?;
        let plan = app.engine.plan();
        let channel = bound(app, plan.legacy.dingding_call.as_deref(), "/dingding/call")?;
        let users = call.user_ids.iter().map(|id| format!("user:{id}"));
        let to: Vec<String> = call.mobiles.iter().cloned().chain(users).collect();
        Ok(Call { channel, page: page(&[("text", &call.content)], Mentions::default(), &call.content), to: numbers(&to) })
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
    fn a_number_is_called_once_however_it_is_written() {
        let list = ["13800000000", "+8613800000000", "user:anna", "abc", "138 0000 0000", "abc"].map(str::to_owned);
        assert_eq!(numbers(&list), ["13800000000", "user:anna", "abc"].map(Recipient::new));
    }

    #[test]
    fn senders_are_matched_by_address_not_by_name() {
        assert!(matches("*@example.com", address("Ops <ops@Example.com>")));
        assert!(!matches("*@example.com", address("ops@example.com <evil@example.org>")));
        assert!(!matches("*@example.com", address("ops@example.com.evil.org")));
        assert!(matches("ops@example.com", address("ops@example.com")));
    }
}
