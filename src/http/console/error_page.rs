//! What went wrong, as a page; for a part of a page as a note on it.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::acts;
use super::failure::Failure;
use super::layout::{Page, Place, fragment};
use super::manner::Manner;
use super::parts::{icon, icon_of, say, shown};
use crate::http::error::is_of_store;
use crate::model::Language;

/// The heading of an error.
fn heading(language: Language, status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => say(language, "Not here", "这里没有"),
        StatusCode::FORBIDDEN => say(language, "Not allowed", "无权执行"),
        StatusCode::CONFLICT => say(language, "Nothing was done", "未执行"),
        StatusCode::SERVICE_UNAVAILABLE => say(language, "Not available now", "暂不可用"),
        _ if status.is_client_error() => say(language, "Not as expected", "请求有误"),
        _ => say(language, "Something broke", "出错了"),
    }
}

fn toast(status: StatusCode, text: Markup) -> Response {
    let toast = html! { p.toast.stays role="alert" { (icon("alert")) span { (text) } } };
    // htmx puts an answer where its request says, unless the answer says where.
    let headers = [("hx-retarget", ".toasts"), ("hx-reswap", "beforeend")];
    (status, headers, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], toast.into_string()).into_response()
}

/// An error that no page wrote, for a part of a page.
pub(in crate::http) fn part(status: StatusCode, text: &str) -> Response {
    toast(status, shown(text))
}

/// The answer to a form that is sent while somebody types: why there is no result is where that would be. A toast would come at each pause, and stay.
pub(super) fn in_place(manner: &Manner, answered: Result<Response, Failure>) -> Result<Response, Failure> {
    match answered {
        Err(Failure::Answer(status, why)) if manner.fragment && status.is_client_error() => {
            let why = acts::outcome(manner.language, &why);
            let note = fragment(html! { div.note.warn.mt { (icon("ask")) p { (shown(&why)) } } });
            // The script lets no error in that does not say how it is shown: it may be a proxy's.
            Ok((status, [("hx-reswap", "innerHTML")], note).into_response())
        }
        answered => answered,
    }
}

/// The answer to a browser that asked for a page, or for a part of one; `form`: the page whose form it sent.
pub(super) fn answer(manner: &Manner, status: StatusCode, why: &str, form: Option<&str>) -> Response {
    let language = manner.language;
    // Of what else is not available now (a channel that is disabled, one login too many) nothing follows for alerts.
    let is_down = status == StatusCode::SERVICE_UNAVAILABLE && is_of_store(why);
    let why = acts::outcome(language, why);
    if manner.fragment {
        return toast(status, html! { b { (heading(language, status)) } (say(language, ". ", "。")) (shown(&why)) });
    }
    let title = heading(language, status).to_owned();
    let page = Page { title: title.clone(), at: Place::None, body: body(language, (status, is_down), &title, &why, form), ..Page::default() };
    (status, page.write(manner, None)).into_response()
}

fn body(language: Language, (status, is_down): (StatusCode, bool), title: &str, why: &str, form: Option<&str>) -> Markup {
    html! {
        div.head { div { h1 { (title) } } }
        div.card.pad.errc {
            @if is_down {
                h2 { (say(language, "What this means", "这意味着")) }
                ul.rows.flush.say3 {
                    li { (icon_of("ok", "ok")) span { b { (say(language, "Nothing is lost.", "没有丢失。")) } " " (say(language, "What was acknowledged is on disk.", "已应答的告警都已落盘。")) } }
                    li { (icon_of("alert", "bad")) span { (say(language, "New alerts are refused with 503 while the store is down; Alertmanager and Grafana send them again.", "存储不可用期间，新告警以 503 拒收；Alertmanager 和 Grafana 会重发。")) } }
                }
            }
            @if form.is_some() && status.is_client_error() {
                p { (say(language, "Nothing was done. The browser’s own Back keeps what was typed.", "未执行任何操作。使用浏览器的后退可保留已填内容。")) }
            } @else if status == StatusCode::NOT_FOUND {
                p { (say(language, "The address may be wrong, or what it showed was removed after its retention.", "地址可能有误，或内容已超过保留期而被清除。")) }
            }
            pre.code.mt { (shown(why)) }
            div.acts.mt {
                @if let Some(form) = form { a.b.p href=(form) { (icon("left")) (say(language, "To the form", "返回表单")) } }
                a class=(if form.is_some() { "b" } else { "b p" }) href="/ui" { (icon("now")) (say(language, "Now", "当前")) }
            }
        }
    }
}
