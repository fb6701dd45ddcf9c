//! What the platforms say of the credentials that run, asked one by one; nothing is sent.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use futures_util::StreamExt;
use maud::html;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::delivery::online::{Answer, Said, ask};
use crate::delivery::{AuditAct, Intent};
use crate::http::App;
use crate::http::console::acts::ALL_CHANNELS;
use crate::http::console::failure::Failure;
use crate::http::console::form::Form;
use crate::http::console::layout::{Page, Place};
use crate::http::console::parts::{count, icon_of, say, shown, worded};
use crate::store::AuditState;

/// How long a page waits for all answers.
const LONGEST: Duration = Duration::from_secs(20);

/// Asks, and shows what was said.
pub(in crate::http::console) async fn online(State(app): State<Arc<App>>, form: Form) -> Result<Response, Failure> {
    form.sees_all(&app).await?;
    let viewer = form.viewer;
    let language = viewer.manner.language;
    let plan = app.engine.plan();
    let intent = Intent { by: viewer.caller.author.clone(), act: AuditAct::Probe, on: ALL_CHANNELS.into(), reason: String::new() };
    let act = app.engine.begin_audit(intent).await?;
    let mut said: Vec<Said> = Vec::new();
    {
        let mut answers = pin!(ask(&plan));
        let all = async {
            while let Some(one) = answers.next().await {
                said.push(one);
            }
        };
        // What has not answered by then is named below.
        let _ = tokio::time::timeout(LONGEST, all).await;
    }
    let alertmanagers = plan.senders.silence.clusters().flat_map(|(_, cluster)| cluster.servers()).map(|(address, _)| address);
    let names = plan.channels.keys().map(|name| &**name).chain(alertmanagers);
    let silent: Vec<&str> = names.filter(|name| !said.iter().any(|one| one.name == *name)).collect();
    let rank = |answer: &Answer| match answer {
        Answer::Refused(_) => 0,
        Answer::Unasked => 1,
        Answer::Accepted(_) => 2,
    };
    said.sort_by(|a, b| (rank(&a.answer), &a.name).cmp(&(rank(&b.answer), &b.name)));
    let refused = said.iter().filter(|one| rank(&one.answer) == 0).count() + silent.len();
    app.engine.end_audit(act, AuditState::Done, &format!("{refused} failed")).await;
    let unasked = said.iter().filter(|one| matches!(one.answer, Answer::Unasked)).count();
    let asked = said.len() + silent.len() - unasked;
    let body = html! {
        div.head { div {
            h1 {
                @if asked == 0 { (say(language, "No platform can be asked without sending", "所有平台都无法在不发送消息的情况下检查")) }
                @else if refused == 0 { (say(language, "No platform refuses the credentials", "没有平台拒绝凭证")) }
                @else { (refused) (say(language, " cannot deliver as configured", " 个通道按现有配置无法投递")) }
            }
            p {
                (count(language, asked as u64, "platform was asked", "platforms were asked", "个平台已询问"))
                @if unasked > 0 { (say(language, ", ", "，")) (unasked) (say(language, " cannot be asked without sending", " 个只能用测试消息检查")) }
                (say(language, ". Nothing was sent.", "，未发送任何消息。"))
            }
        } }
        ul.card.rows {
            @for name in &silent { li {
                (icon_of("x", "bad")) b { (shown(name)) }
                span { (say(language, "not asked, or no answer, within 20 s", "20 秒内未询问到或无应答")) }
            } }
            @for one in &said { li {
                @match &one.answer {
                    Answer::Refused(_) => (icon_of("x", "bad")),
                    Answer::Unasked => (icon_of("ask", "q")),
                    Answer::Accepted(_) => (icon_of("ok", "ok")),
                }
                b { (shown(&one.name)) } span.dim.s { (one.platform) }
                p { @match &one.answer {
                    Answer::Refused(why) => (worded(&viewer.manner, why)),
                    Answer::Unasked => { (say(language, "Only a message shows it: ", "只能用消息检查：")) a.l href={ "/ui/channels/" (utf8_percent_encode(&one.name, NON_ALPHANUMERIC)) "/confirm/test" } { (say(language, "test…", "测试…")) } },
                    Answer::Accepted(None) => (say(language, "accepted", "已接受")),
                    Answer::Accepted(Some(version)) => { (say(language, "accepted, version ", "已接受，版本 ")) (shown(version)) },
                } }
            } }
        }
        div.acts.mt { a.b href="/ui/config" { (say(language, "Configuration", "配置")) } a.b href="/ui/channels" { (say(language, "Channels", "通道")) } }
    };
    let back = Some(("/ui/config".into(), say(language, "Configuration", "配置").into()));
    Ok(Page { title: say(language, "Check online", "在线检查").into(), at: Place::Config, back, body, ..Page::default() }.of(&viewer))
}
