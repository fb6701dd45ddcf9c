//! What went wrong, as a page; for a part of a page as a note on it.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use uuid::Uuid;

use super::acts;
use super::failure::Failure;
use super::layout::{Page, Place, fragment};
use super::manner::Manner;
use super::parts::{icon, icon_of, id_chip, say, short_id, shown};
use crate::http::error::is_of_store;
use crate::model::Language;

/// The heading of an error.
fn heading(language: Language, status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => say(language, "Not here", "页面不存在"),
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
    let said = acts::outcome(language, why);
    if manner.fragment {
        return toast(status, html! { b { (heading(language, status)) } (say(language, ". ", "。")) (shown(&said)) });
    }
    let is_fault = is_down || status == StatusCode::INTERNAL_SERVER_ERROR;
    let request = is_fault.then(|| logged(manner, status, why)).flatten();
    let title = heading(language, status).to_owned();
    let body = body(language, (status, is_down), (&title, &said), form, request.as_deref());
    let page = Page { title, at: Place::None, body, ..Page::default() };
    (status, page.write(manner, None)).into_response()
}

/// Logs what the server could not do, with an id of the request that its page shows. Nobody reads the answer to a live stream, which asks again every
/// few seconds.
fn logged(manner: &Manner, status: StatusCode, why: &str) -> Option<String> {
    let path = manner.here.split('?').next().unwrap_or_default();
    if path == "/ui/live" {
        return None;
    }
    let request = Uuid::new_v4().to_string();
    tracing::warn!(request, path, status = status.as_u16(), why, "a page of the console could not be shown; its reader sees the id of this request");
    Some(request)
}

fn body(language: Language, (status, is_down): (StatusCode, bool), (title, why): (&str, &str), form: Option<&str>, request: Option<&str>) -> Markup {
    html! {
        div.head { div { h1 { (title) } } }
        div.card.pad.errc {
            @if is_down {
                h2 { (say(language, "What this means", "这意味着")) }
                ul.rows.flush.say3 {
                    li { (icon_of("ok", "ok")) span { b { (say(language, "Nothing is lost.", "没有丢失。")) } " " (say(language, "What was acknowledged is on disk.", "已应答的告警都已落盘。")) } }
                    li { (icon_of("alert", "bad")) span { (say(language, "New alerts are refused with 503 while the store is down; Alertmanager and Grafana send them again.", "存储不可用期间，新告警以 503 拒收；Alertmanager 和 Grafana 会重发。")) } }
                    li { (icon_of("alert", "bad")) span { (say(language, "Nothing is sent meanwhile, because its outcome could not be kept. It goes on by itself.", "期间不会发送，因为结果无法保存；恢复后自动继续。")) } }
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
            @if let Some(request) = request {
                p.dim.s.mt { (say(language, "Request ", "请求 ")) (id_chip(language, request, &short_id(request))) (say(language, ": the log has it. Quote it when you ask for help.", "：日志中有记录，求助时请附上。")) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::UnixMs;

    /// A page of a failure, the id of the request on it, and what is logged meanwhile.
    async fn failed(here: &str, status: StatusCode, why: &str) -> (String, Option<String>, String) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(log.reopen().unwrap()).finish();
        let now = UnixMs(0).timestamp();
        let manner = Manner { language: Language::En, theme: None, fragment: false, here: here.into(), now, zone: TimeZone::UTC };
        let page = tracing::subscriber::with_default(lines, || answer(&manner, status, why, None));
        let page = axum::body::to_bytes(page.into_body(), 1 << 20).await.unwrap();
        let page = String::from_utf8(page.to_vec()).unwrap();
        let request = page.split("data-copy=\"").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
        (page, request, std::fs::read_to_string(log.path()).unwrap())
    }

    #[tokio::test]
    async fn what_the_server_could_not_do_is_in_the_log_by_the_id_on_the_page() {
        let (page, request, log) = failed("/ui/history?q=a", StatusCode::SERVICE_UNAVAILABLE, "not accepted: the disk is full").await;
        let request = request.unwrap();
        assert!(request.len() == 36 && log.contains(&request), "{request}: {log}");
        assert!(log.contains("the disk is full") && log.contains("/ui/history") && !log.contains("q=a"), "no search is logged: {log}");
        assert!(page.contains("Nothing is lost.") && page.contains("Nothing is sent meanwhile"), "{page}");
        assert!(failed("/ui/dead", StatusCode::INTERNAL_SERVER_ERROR, "x").await.1.is_some());
        for (here, status, why) in [
            ("/ui/x", StatusCode::NOT_FOUND, "there is no such page"),
            ("/ui/channels/off/test", StatusCode::SERVICE_UNAVAILABLE, "channel `off` is disabled"),
            ("/ui/live?from=7", StatusCode::SERVICE_UNAVAILABLE, "not accepted: the disk is full"),
        ] {
            let (_, request, log) = failed(here, status, why).await;
            assert_eq!((request, log.as_str()), (None, ""), "{here}");
        }
    }
}
