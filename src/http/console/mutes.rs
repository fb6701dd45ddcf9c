//! Mutes: what is quiet, why, and until when? Of the file and by hand; made and ended here by those who may act.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};

use super::failure::Failure;
use super::form::{Form, go};
use super::layout::{Page, Place};
use super::parts::{Look, badge_of, icon, say, shown, time};
use super::viewer::Viewer;
use crate::api::{Mute, MuteState};
use crate::delivery::mutes::held_text;
use crate::http::App;
use crate::http::api::mutes::{LONGEST_MUTE, listed, parsed, set};
use crate::model::{Language, UnixMs, parse_duration};

/// What ends sooner is counted down.
const DAY_MS: i64 = 86_400_000;

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Response, Failure> {
    let language = viewer.manner.language;
    let mutes = listed(&app, &viewer.caller).await?;
    let of = |states: &[MuteState]| mutes.iter().filter(|mute| states.contains(&mute.state)).collect::<Vec<_>>();
    let (active, waiting, ended) = (of(&[MuteState::Active]), of(&[MuteState::Waiting]), of(&[MuteState::Ended]));
    let heading = match active.len() {
        0 => say(language, "Nothing is muted", "没有静音").to_owned(),
        n if language == Language::Zh => format!("{n} 条静音生效中"),
        1 => "1 mute is active".to_owned(),
        n => format!("{n} mutes are active"),
    };
    let body = html! {
        div.head {
            div { h1 { (heading) } p { (say(language, "What matches waits until the mute ends; then what still fires is sent.", "匹配的告警会推迟到静音结束；届时仍触发的会发送。")) } }
            @if viewer.operates && !mutes.is_empty() { div.acts { a.b href="#mute" { (icon("mute")) (say(language, "Make a mute", "新增静音")) } } }
        }
        @if mutes.is_empty() { p.card.pad { (say(language, "Mutes would be here: those made below, for a time that ends, and those of mutes: in routes.yaml.", "静音会显示在此：在下方新增的（有结束时间），以及 routes.yaml 中 mutes: 下的。")) } }
        (section(&viewer, say(language, "Active", "生效中"), &active))
        (section(&viewer, say(language, "Not now", "未到时段"), &waiting))
        (section(&viewer, say(language, "Ended", "已结束"), &ended))
        @if viewer.operates { (form(language)) }
    };
    Ok(Page { title: say(language, "Mutes", "静音").into(), at: Place::Mutes, body, ..Page::default() }.of(&viewer))
}

fn section(viewer: &Viewer, title: &str, mutes: &[&Mute]) -> Markup {
    if mutes.is_empty() {
        return Markup::default();
    }
    html! { section { h2.h2 { (title) " " span.dim { (mutes.len()) } } ol.list { @for mute in mutes { (line(viewer, mute)) } } } }
}

fn line(viewer: &Viewer, mute: &Mute) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let matchers = mute.matchers.join(", ");
    let stop = say(language, ". ", "。");
    let look = match mute.state {
        MuteState::Active => Look { class: "q", icon: "mute", en: "Muted", zh: "已静音" },
        MuteState::Waiting => Look { class: "q", icon: "clock", en: "Not now", zh: "未到时段" },
        MuteState::Ended => Look { class: "q", icon: "dash", en: "Ended", zh: "已结束" },
    };
    html! {
        li.att3.edge data-row {
            div.c0 { (badge_of(look, say(language, look.en, look.zh))) @if let Some(name) = &mute.name { b { (shown(name)) } code.dim { (shown(&matchers)) } } @else { code { (shown(&matchers)) } } }
            div {
                p { b { (shown(language.reason_or_none(&mute.reason))) } }
                p.dim.s {
                    @match (mute.state, mute.until) {
                        (MuteState::Active, Some(until)) => { (say(language, "Until ", "至 ")) (time::clock(manner, until)) @if until - UnixMs::from(manner.now) < DAY_MS { (say(language, ", ", "，")) (time::coming(manner, until)) } (stop) }
                        (MuteState::Active, None) => { (say(language, "No end is known. ", "没有结束时间。")) }
                        (MuteState::Ended, Some(until)) => { (say(language, "Ended ", "结束于 ")) (time::since(manner, until)) (stop) }
                        _ => {}
                    }
                    @if !mute.by.is_empty() { @if mute.name.is_some() { (say(language, "Owner ", "负责人 ")) } @else { (say(language, "By ", "由 ")) } (shown(&mute.by)) (stop) }
                    @if let Some(ticket) = &mute.ticket { (say(language, "Ticket ", "工单 ")) (shown(ticket)) (stop) }
                    @if mute.name.is_some() { (say(language, "In the configuration. ", "来自配置文件。")) }
                    (holds(viewer, mute))
                }
            }
            @if viewer.operates && mute.name.is_none() && mute.state == MuteState::Active { div.acts {
                form method="post" action="/ui/mutes/end" {
                    input type="hidden" name="matchers" value=(mute.matchers.join(","));
                    button.b aria-label={ (say(language, "End the mute ", "结束静音 ")) (matchers) } { (icon("bell")) (say(language, "End", "结束")) }
                }
            } }
        }
    }
}

/// What it holds; one that never held anything may be wrong.
fn holds(viewer: &Viewer, mute: &Mute) -> Markup {
    let language = viewer.manner.language;
    let held: [u32; 4] = mute.held.into();
    html! {
        @match mute.held_at {
            _ if mute.drop => { (say(language, "It drops what fires.", "触发的告警会被丢弃。")) }
            None => { (say(language, "It matched nothing so far.", "目前没有匹配任何告警。")) }
            Some(_) if mute.state == MuteState::Active && held != [0; 4] => { (say(language, "It holds ", "已推迟 ")) (held_text(&held, language)) (say(language, ".", "。")) }
            Some(at) => { (say(language, "It held something last ", "最近一次推迟：")) (time::since(&viewer.manner, at)) (say(language, ".", "。")) }
        }
    }
}

/// Makes a mute.
fn form(language: Language) -> Markup {
    html! {
        section #mute.sec { h2 { (say(language, "Make a mute", "新增静音")) } form.card.pad.grid method="post" action="/ui/mutes" {
            label.f { span { (say(language, "Matchers", "匹配条件")) " " small { (say(language, "all must match; channel=\"ops\" is a whole channel", "须全部匹配；channel=\"ops\" 表示整个通道")) } } input.in name="matchers" required maxlength="2000" placeholder="team=\"db\", severity!=\"critical\"" spellcheck="false" autocomplete="off"; }
            div.tools.two {
                label.f { span { (say(language, "For", "时长")) } select.in name="for" { (lengths(language)) } }
                label.f { span { (say(language, "Why", "原因")) } input.in name="reason" maxlength="500"; }
            }
            div.acts { button.b.p { (say(language, "Mute", "静音")) } }
        } }
    }
}

/// How long a mute may last that is made by form.
pub(super) fn lengths(language: Language) -> Markup {
    let all = [
        ("30m", say(language, "30 min", "30 分钟")),
        ("1h", say(language, "1 h", "1 小时")),
        ("2h", say(language, "2 h", "2 小时")),
        ("4h", say(language, "4 h", "4 小时")),
        ("8h", say(language, "8 h", "8 小时")),
        ("1d", say(language, "1 day", "1 天")),
        ("3d", say(language, "3 days", "3 天")),
        ("1w", say(language, "1 week", "1 周")),
    ];
    html! { @for (span, word) in all { option value=(span) { (word) } } }
}

/// Makes a mute.
pub(super) async fn add(State(app): State<Arc<App>>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    let Form { viewer, fields, .. } = form;
    let span = parse_duration(fields.get("for")).map_err(|error| Failure::bad(format!("`for`: {error}")))?;
    if span > LONGEST_MUTE {
        return Err(Failure::bad("a mute lasts a year at most"));
    }
    set(&app, parsed(fields.get("matchers"))?, app.engine.clock().wall() + span, fields.get("reason"), &viewer.caller).await?;
    Ok(go(&headers, "/ui/mutes"))
}

/// Ends a mute.
pub(super) async fn end(State(app): State<Arc<App>>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    let Form { viewer, fields, .. } = form;
    set(&app, parsed(fields.get("matchers"))?, UnixMs::EPOCH, "", &viewer.caller).await?;
    Ok(go(&headers, "/ui/mutes"))
}
