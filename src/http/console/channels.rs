//! Channels: can I rely on them? What needs attention first, with its reason and its cure; test, mute and unmute.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::counts::Counts;
use super::failure::Failure;
use super::form::{Form, go};
use super::layout::{Page, Place};
use super::parts::{Look, answer, badge_of, count, icon, pace, say, shown, time, worded};
use super::readiness::trouble;
use super::viewer::Viewer;
use crate::api::{ChannelState, TestSendRequest, TestSendResponse};
use crate::delivery::Plan;
use crate::delivery::online::Answer;
use crate::http::App;
use crate::http::api::channels::{probe_channel, states, test_channel};
use crate::http::api::mutes::{LONGEST_MUTE, of_channel, set};
use crate::model::{Language, UnixMs, parse_duration};

/// Deliveries that ended last, among which is looked for channels of which this process saw none confirmed.
const LOOKED_AT: usize = 5000;

/// What can be done about a channel.
const ACTS: &str = "a channel is tested, asked, muted or unmuted";

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, mut viewer: Viewer) -> Result<Response, Failure> {
    let language = viewer.manner.language;
    let now = UnixMs::from(viewer.manner.now);
    let (plan, channels) = (app.engine.plan(), states(&app, &viewer.caller).await?.channels);
    let (troubled, working): (Vec<_>, Vec<_>) =
        channels.iter().map(|channel| (channel, trouble(channel, now, language))).partition(|(_, trouble)| trouble.is_some());
    let kinds = |word: &str| troubled.iter().filter(|(_, trouble)| trouble.as_ref().is_some_and(|(look, _)| look.en == word)).count();
    viewer.counts = Counts { held: kinds("Held") as u64, ..Counts::of(&app, &viewer.caller) };
    let parts: Vec<String> = ["Held", "Paused", "Failing", "Muted", "No presses"]
        .into_iter()
        .filter(|word| kinds(word) > 0)
        .map(|word| {
            let look = troubled.iter().find_map(|(_, trouble)| trouble.as_ref().filter(|(look, _)| look.en == word).map(|(look, _)| *look));
            format!("{} {}", kinds(word), look.map_or_else(String::new, |look| say(language, look.en, look.zh).to_lowercase()))
        })
        .collect();
    let heading = if parts.is_empty() {
        say(language, "Every channel is ready", "所有通道就绪").to_owned()
    } else {
        parts.join(say(language, ", ", "，"))
    };
    let waiting: u64 = channels.iter().map(|channel| channel.waiting).sum();
    let confirmed = confirmed(&app, &channels).await?;
    let body = html! {
        div.head { div { h1 { (heading) } p {
            (count(language, channels.len() as u64, "channel", "channels", "个通道")) (say(language, ". ", "。"))
            @match channels.iter().filter_map(|channel| channel.oldest_born_at).min().filter(|_| waiting > 0) {
                None => { (say(language, "Nothing waits.", "无等待。")) }
                Some(oldest) => { (count(language, waiting, "delivery waits", "deliveries wait", "条投递等待")) (say(language, ", the oldest for ", "，最久 ")) (time::ago(&viewer.manner, oldest)) (say(language, ".", "。")) }
            }
        } } }
        @if !troubled.is_empty() { section { h2.h2 { (say(language, "Need attention", "需要关注")) } ol.list { @for (channel, trouble) in &troubled { @if let Some((look, why)) = trouble { (attention(&viewer, channel, *look, why, confirmed.get(channel.name.as_str()))) } } } } }
        section { h2.h2 { (say(language, "Working", "正常")) " " span.dim { (working.len()) } }
            div.card { table.t.cards.chan { thead { tr { th { (say(language, "Channel", "通道")) } th { (say(language, "State", "状态")) } th { (say(language, "Rate limit", "限速")) } th { (say(language, "Last confirmed", "最近确认")) } th.r { (say(language, "Waiting", "等待")) } th.r { (say(language, "Dead", "死信")) } th { span.vh { (say(language, "Acts", "操作")) } } } }
                tbody { @for (channel, _) in &working { (line(&viewer, &plan, channel, confirmed.get(channel.name.as_str()))) } } } } }
    };
    Ok(Page { title: say(language, "Channels", "通道").into(), at: Place::Channels, body, waiting: kinds("Held"), ..Page::default() }.of(&viewer))
}

/// When each channel's last message was confirmed: as this process saw it, else as the newest of what is stored says.
async fn confirmed(app: &App, channels: &[ChannelState]) -> Result<HashMap<String, UnixMs>, Failure> {
    let stored = match channels.iter().all(|channel| channel.confirmed_at.is_some()) {
        true => Vec::new(),
        false => app.engine.query().last_sent(LOOKED_AT).await?,
    };
    let mut confirmed: HashMap<String, UnixMs> = stored.into_iter().collect();
    for (name, at) in channels.iter().filter_map(|channel| Some((&channel.name, channel.confirmed_at?))) {
        let known = confirmed.entry(name.clone()).or_insert(at);
        *known = at.max(*known);
    }
    Ok(confirmed)
}

/// How much of the rate limit the last minute took.
fn rate(language: Language, plan: &Plan, channel: &ChannelState) -> Markup {
    let Some(planned) = plan.channel(&channel.name) else { return Markup::default() };
    let sent = u64::from(channel.sent_last_minute);
    html! {
        div.pw {
            @if let Some(limit) = channel.per_minute {
                @let share = (sent * 100 / limit.max(1)).min(100);
                @let class = match share { 0..80 => "", 80..100 => "near", _ => "over" };
                svg.bar.(class) viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" { rect.bg width="100" height="6" {} rect.fg width=(share) height="6" {} }
                span.dim.s.n { (sent) (say(language, " of ", " / ")) (limit) (say(language, " in the last minute", "（最近一分钟）")) }
            } @else { span.dim.s.n { (sent) (say(language, " in the last minute, no limit", "（最近一分钟），不限速")) } }
            @if let Some(limits) = planned.rate_limit.as_ref().filter(|limits| limits.len() > 1) { span.dim.s { (pace(language, limits)) } }
            @let each = pace(language, &planned.allowance.per_recipient);
            @if !each.is_empty() { span.dim.s { (say(language, "to one recipient ", "每个接收人")) (each) } }
            @if let Some(limit) = channel.month_limit { span.dim.s.n { (channel.month_sent) (say(language, " of ", " / ")) (limit) (say(language, " this month", "（本月）")) } }
        }
    }
}

fn path(name: &str) -> String {
    format!("/ui/channels/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

fn attention(viewer: &Viewer, channel: &ChannelState, look: Look, why: &str, confirmed: Option<&UnixMs>) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let path = path(&channel.name);
    html! {
        li.att3.edge.(if look.class == "bad" { "critical" } else { "" }) data-row {
            div.c0 { (badge_of(look, say(language, look.en, look.zh))) b { (shown(&channel.name)) } span.dim.s { (shown(&channel.platform)) } }
            div {
                p { @if look.en == "Held" { (say(language, "The platform’s last answer: ", "平台最近的返回：")) } b { (worded(manner, why)) } }
                p.dim.s {
                    @match look.en {
                        "Held" => {
                            @match channel.suspended_since {
                                Some(since) => { (say(language, "Held since ", "挂起于 ")) (time::clock(manner, since)) (say(language, ". ", "。")) }
                                None => { (say(language, "Held since before this process started, or by another node. ", "在本进程启动之前已挂起，或由其他节点挂起。")) }
                            }
                            (say(language, "The platform refuses every message, whatever it says. Correct the channel in routes.yaml and reload: then it is tried at once; until then with growing pauses.", "平台拒绝所有消息。请在 routes.yaml 中更正该通道并重新加载，届时立即重试；在此之前按递增间隔重试。"))
                            (say(language, " ", ""))
                            @if let Some(at) = channel.next_try_at {
                                @if at > UnixMs::from(manner.now) { (say(language, "Tried next ", "下次重试：")) (time::coming(manner, at)) (say(language, ".", "。")) }
                                @else { (say(language, "It is being tried.", "正在重试。")) }
                            } @else { (say(language, "The next message tries it, or the node that sends for it.", "下一条消息会触发重试，或由负责发送的节点重试。")) }
                        }
                        "Muted" => { @if let Some(until) = channel.muted_until { (say(language, "Until ", "至 ")) (time::clock(manner, until)) (say(language, "; then what still fires is sent.", "；届时仍触发的会发送。")) } }
                        "Paused" => { (say(language, "Goes on ", "恢复")) (time::coming(manner, UnixMs::from(manner.now) + channel.paused_ms)) (say(language, ". Nothing to do.", "，无需处理。")) }
                        "No presses" => { (say(language, "Messages are delivered, but their buttons do nothing until the connection is back.", "消息照常投递，但连接恢复前按钮无效。")) }
                        _ => { (say(language, "It goes on by itself when an attempt succeeds.", "尝试成功后自动恢复。")) }
                    }
                    @if channel.waiting > 0 { (say(language, " ", "")) (count(language, channel.waiting, "waits.", "wait.", "条等待。")) }
                    @if channel.deferred > 0 { (say(language, " ", "")) (count(language, channel.deferred, "is deferred.", "are deferred.", "条推迟。")) }
                    @if let Some(at) = confirmed { (say(language, " Last confirmed ", " 最近确认：")) (time::since(manner, *at)) (say(language, ".", "。")) }
                }
            }
            @if viewer.operates { div.acts {
                @if look.en == "Held" { a.b.p href={ (path) "/confirm/probe" } { (icon("retry")) (say(language, "Try now…", "立即重试…")) } }
                @if channel.muted_by.is_some() { a.b href="/ui/mutes" { (say(language, "Mutes", "静音")) } }
                @else if channel.muted_until.is_some() { form method="post" action={ (path) "/unmute" } { button.b { (icon("bell")) (say(language, "Unmute", "取消静音")) } } }
                @else { a.b href={ (path) "/confirm/mute" } { (say(language, "Mute…", "静音…")) } }
                a.b href={ (path) "/confirm/test" } { (say(language, "Test…", "测试…")) }
            } }
        }
    }
}

fn line(viewer: &Viewer, plan: &Plan, channel: &ChannelState, confirmed: Option<&UnixMs>) -> Markup {
    let language = viewer.manner.language;
    let path = path(&channel.name);
    let off = Look { class: "q", icon: "dash", en: "Disabled", zh: "已停用" };
    let ready = Look { class: "ok", icon: "ok", en: "Ready", zh: "就绪" };
    let look = if channel.disabled { off } else { ready };
    html! {
        tr data-row {
            td { a href={ "/ui/history?channel=" (utf8_percent_encode(&channel.name, NON_ALPHANUMERIC)) } { b { (shown(&channel.name)) } } div.dim.s { (shown(&channel.platform)) } }
            td.stt { (badge_of(look, say(language, look.en, look.zh))) }
            td.pc data-l=(say(language, "Rate limit", "限速")) { (rate(language, plan, channel)) }
            td data-l=(say(language, "Last confirmed", "最近确认")) { @match confirmed { Some(at) => { (time::since(&viewer.manner, *at)) } None => { span.dim { (say(language, "not lately", "近期无")) } } } }
            td.r data-l=(say(language, "Waiting", "等待")) { (channel.waiting) }
            td.r data-l=(say(language, "Dead", "死信")) { (channel.dead) }
            td.r.ctl { @if viewer.operates && !channel.disabled { span.acts { a.b.sm.g href={ (path) "/confirm/probe" } { (say(language, "Ask…", "询问…")) } a.b.sm href={ (path) "/confirm/test" } { (say(language, "Test…", "测试…")) } a.b.sm.g href={ (path) "/confirm/mute" } { (say(language, "Mute…", "静音…")) } } } }
        }
    }
}

fn known<'a>(plan: &'a Plan, viewer: &Viewer, name: &str) -> Result<&'a str, Failure> {
    let found = plan.channels.keys().find(|known| *known == name && viewer.caller.may_use(name));
    found.map(String::as_str).ok_or_else(|| Failure::missing("there is no such channel"))
}

/// Asks before it sends or holds back.
pub(super) async fn confirm(State(app): State<Arc<App>>, Path((name, act)): Path<(String, String)>, viewer: Viewer) -> Result<Response, Failure> {
    viewer.may_operate()?;
    let plan = app.engine.plan();
    let name = known(&plan, &viewer, &name)?;
    let language = viewer.manner.language;
    let (title, inside, word) = match act.as_str() {
        "mute" => (
            say(language, "Mute ", "静音 "),
            html! {
                p { (say(language, "Its deliveries are deferred, not lost: when the mute ends, what still fires is sent.", "投递会推迟而不会丢失：静音结束后，仍触发的会发送。")) }
                label.f { span { (say(language, "For", "时长")) } select.in name="for" { (super::mutes::lengths(language)) } }
                label.f { span { (say(language, "Why", "原因")) } input.in name="reason" maxlength="500"; }
            },
            say(language, "Mute", "静音"),
        ),
        "test" => (
            say(language, "Test ", "测试 "),
            html! {
                p { (say(language, "One message is really sent to its recipients, and the platform’s answer is shown.", "会向收件人真实发送一条消息，并显示平台返回。")) }
                label.f { span { (say(language, "Text", "内容")) } input.in name="text" value=(say(language, "Watchfire test message", "Watchfire 测试消息")) required maxlength="200"; }
            },
            say(language, "Send it", "发送"),
        ),
        "probe" => (
            say(language, "Ask the platform of ", "询问平台："),
            html! {
                p { (say(language, "The platform is asked whether it accepts the credentials of this channel, and its answer is shown. No message is made for it.", "询问平台是否接受该通道的凭证，并显示其返回；不会为此生成消息。")) }
                p { (say(language, "If the channel is held and the platform does not refuse, what waits is tried at once.", "若该通道已挂起且平台未拒绝，等待中的消息会立即重试。")) }
            },
            say(language, "Ask it", "询问"),
        ),
        _ => return Err(Failure::missing(ACTS)),
    };
    let body = html! {
        div.head { div { h1 { (title) (name) } } }
        form.conf.grid method="post" action={ (path(name)) "/" (act) } { (inside) div.acts { button.b.p { (word) } a.b.g href="/ui/channels" { (say(language, "Cancel", "取消")) } } }
    };
    Ok(Page {
        title: format!("{title}{name}"),
        back: Some(("/ui/channels".into(), say(language, "Channels", "通道").into())),
        body,
        ..Page::default()
    }
    .of(&viewer))
}

/// Tests, asks, mutes or unmutes it.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    Path((name, act)): Path<(String, String)>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, Failure> {
    let Form { viewer, fields, .. } = form;
    let caller = &viewer.caller;
    match act.as_str() {
        "mute" => {
            let span = parse_duration(fields.get("for")).map_err(|error| Failure::bad(format!("`for`: {error}")))?;
            if span > LONGEST_MUTE {
                return Err(Failure::bad("a mute lasts a year at most"));
            }
            set(&app, of_channel(&name)?, app.engine.clock().wall() + span, fields.get("reason"), caller).await?;
        }
        "unmute" => {
            set(&app, of_channel(&name)?, UnixMs::EPOCH, "", caller).await?;
        }
        "test" => {
            let text = Some(fields.get("text").to_owned()).filter(|text| !text.is_empty());
            let done = test_channel(&app, caller, &name, TestSendRequest { text, payload: None }).await?;
            return Ok(tested(&viewer, &name, &done));
        }
        "probe" => return Ok(probed(&viewer, &name, &probe_channel(&app, caller, &name).await?)),
        _ => return Err(Failure::missing(ACTS)),
    }
    Ok(go(&headers, "/ui/channels"))
}

fn probed(viewer: &Viewer, name: &str, answer: &Answer) -> Response {
    let language = viewer.manner.language;
    let body = html! {
        div.head { div {
            h1 { @match answer {
                Answer::Accepted(_) => { (say(language, "The platform accepts the credentials", "平台接受凭证")) }
                Answer::Unasked => { (say(language, "The platform cannot be asked without sending", "平台无法在不发送消息的情况下检查")) }
                Answer::Refused(_) => { (say(language, "The channel cannot deliver as configured", "该通道按现有配置无法投递")) }
            } }
            p { (shown(name)) }
        } }
        div.card.pad { p { @match answer {
            Answer::Accepted(_) => { (say(language, "If it was held, what waits is tried now where this node sends for it; another node tries it by itself.", "若此前已挂起且由本节点发送，等待中的消息现在重试；其他节点会自行重试。")) }
            Answer::Unasked => { (say(language, "If it was held, the next message that waits tries it now where this node sends for it. A test shows the answer.", "若此前已挂起且由本节点发送，现在用下一条等待中的消息重试；测试可显示平台返回。")) }
            Answer::Refused(why) => { b { (worded(&viewer.manner, why)) } " " (say(language, "Correct the channel in routes.yaml and reload.", "请在 routes.yaml 中更正该通道并重新加载。")) }
        } } }
        div.acts.mt { a.b.p href="/ui/channels" { (say(language, "Channels", "通道")) } a.b href={ (path(name)) "/confirm/test" } { (say(language, "Test…", "测试…")) } }
    };
    Page { title: say(language, "Ask the platform", "询问平台").into(), at: Place::Channels, body, ..Page::default() }.of(viewer)
}

fn tested(viewer: &Viewer, name: &str, done: &TestSendResponse) -> Response {
    let language = viewer.manner.language;
    let sent = done.results.iter().filter(|result| result.ok).count();
    let all = sent == done.results.len() && !done.expired;
    let body = html! {
        div.head { div { h1 { @if all { (say(language, "The platform took it", "平台已接收")) } @else { (say(language, "Not delivered", "未送达")) } } p { (shown(name)) (say(language, ", ", "，")) (sent) " / " (done.results.len()) } } }
        @if done.expired { div.note.warn { (icon("clock")) p { (say(language, "No slot of the rate limit came free in time.", "限速内未等到空位。")) } } }
        ul.card.rows { @for result in &done.results { li {
            @if result.ok { (super::parts::icon_of("ok", "ok")) } @else { (super::parts::icon_of("x", "bad")) }
            b { (shown(&result.recipient)) } @if let Some(error) = &result.error { span { (worded(&viewer.manner, error)) } }
            (answer(language, result.answer.as_deref().unwrap_or_default()))
        } } }
        div.acts.mt { a.b.p href="/ui/channels" { (say(language, "Channels", "通道")) } a.b href={ "/ui/deliveries/" (done.delivery) } { (say(language, "The delivery", "该投递")) } }
    };
    Page { title: say(language, "Test", "测试").into(), at: Place::Channels, body, ..Page::default() }.of(viewer)
}
