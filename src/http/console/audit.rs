//! What people did by hand, who is logged in, and what this is.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::acts;
use super::failure::Failure;
use super::form::{Fields, Form, go};
use super::layout::{Page, Place};
use super::manner::Manner;
use super::parts::filters::{bar, ends, search};
use super::parts::{badge, icon, say, shown, time, timed};
use super::viewer::Viewer;
use super::window::pager;
use crate::delivery::{AuditAct, Intent};
use crate::http::App;
use crate::http::search::{Next, Span, Window};
use crate::model::{Language, UnixMs};
use crate::store::{AuditFilter, AuditRow, AuditState, Listed, SESSION_LIFE, Session, StoreError};

/// Rows of a page.
const PAGE: usize = 50;
/// Logins that are shown at once; the others are folded away.
const MAX_SESSIONS: usize = 20;
/// Rows of a file, and how many are read at a time.
const EXPORTED: usize = 50_000;
const ROWS_PER_READ: usize = 500;

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    viewer.sees_all()?;
    let fields = Fields::read(query.as_deref().unwrap_or_default());
    let now = app.engine.clock().wall();
    let span = span(&viewer.manner, &fields)?;
    let (filter, window) = narrowed(&app, filter(&fields)?, span, PAGE + 1).await?;
    let mut rows = app.engine.query().list_audit(&filter).await?;
    let next = Next::cut(&mut rows, PAGE, window.stops, |row| row.id);
    let sessions = app.engine.sessions().list_sessions(now).await?;
    let manner = &viewer.manner;
    let language = manner.language;
    let query = query_of(&fields);
    let newest = (!fields.get("before").is_empty()).then(|| format!("/ui/audit?{query}"));
    let (since, until) = (fields.get("since"), fields.get("until"));
    let behind = [since, until].into_iter().filter(|end| !end.is_empty()).count();
    let sought = search(language, fields.get("q"), say(language, "Search", "搜索"), say(language, "Person, act, thing", "人员、操作、对象"));
    let body = html! {
        div.head {
            div { h1 { (say(language, "Audit", "审计")) } p { (say(language, "Who did what, from where, also what was refused. Kept for a year; nothing here can be changed.", "谁在何处做了什么，包括被拒绝的操作。保留一年，不可修改。")) (say(language, " Times are in ", "时间为 ")) (time::zone_name(manner)) (say(language, ".", "。")) } }
            div.acts { a.b href={ "/ui/audit.csv?" (query) } download { (icon("in")) (say(language, "Export as CSV", "导出 CSV")) } }
        }
        (bar(language, "/ui/audit", &sought, &ends(language, since, until), behind))
        div.two-col {
            div {
                @if rows.is_empty() {
                    div.card.pad { p { (say(language, "Nothing found. Acts of people appear here: acks, retries, mutes, logins.", "没有记录。人员的操作会显示在这里：认领、重试、静音、登录。")) } }
                } @else {
                    div.card { table.t.cards.aud { thead { tr { th { (say(language, "Time", "时间")) } th { (say(language, "Who, from where", "谁，来自何处")) } th { (say(language, "What", "做了什么")) } } }
                        tbody { @for row in &rows { (entry(manner, row)) } } } }
                }
                (pager(language, &next, newest.as_deref(), |id| format!("/ui/audit?before={id}{query}"), filter.is_searched(), |id| time::clock(manner, UnixMs::of_id(*id))))
            }
            aside { (logins(&viewer, &sessions)) (about(&app, language).await?) }
        }
    };
    Ok(Page { title: say(language, "Audit", "审计").into(), at: Place::Audit, body, ..Page::default() }.of(&viewer))
}

/// What is set, each with `&` before it.
fn query_of(fields: &Fields) -> String {
    let set = ["q", "since", "until"].into_iter().map(|name| (name, fields.get(name))).filter(|(_, value)| !value.is_empty());
    set.map(|(name, value)| format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))).collect()
}

/// The span of time. A name that nothing reads is refused.
fn span(manner: &Manner, fields: &Fields) -> Result<Span, Failure> {
    const FIELDS: [&str; 4] = ["q", "since", "until", "before"];
    if let Some(name) = fields.names().find(|name| !FIELDS.contains(name)) {
        let name: String = name.chars().take(60).collect();
        return Err(Failure::bad(format!("`{name}` does not narrow the audit; it takes: {}", FIELDS.join(", "))));
    }
    Span::read(manner, fields)
}

fn filter(fields: &Fields) -> Result<AuditFilter, Failure> {
    let before = match fields.get("before") {
        "" => None,
        id => Some(id.parse().map_err(|_| Failure::bad("`before` is the id of an act"))?),
    };
    let text = Some(acts::stored(fields.get("q")).into_owned()).filter(|text| !text.is_empty());
    Ok(AuditFilter { text, before, ..AuditFilter::default() })
}

/// The same for a page of it: a search reads so many rows at a time.
async fn narrowed(app: &App, filter: AuditFilter, span: Span, limit: usize) -> Result<(AuditFilter, Window), StoreError> {
    let window = Window::of(app, Listed::Audit, filter.before, span, filter.is_searched()).await?;
    Ok((AuditFilter { before: window.before, after: window.after, limit, ..filter }, window))
}

fn entry(manner: &Manner, row: &AuditRow) -> Markup {
    let language = manner.language;
    html! {
        tr data-row {
            td.nw { (time::clock(manner, row.at)) }
            td { b { @if row.by.name.is_empty() { (say(language, "somebody", "某人")) } @else { (shown(&row.by.name)) } }
                div.dim.s { (shown(&acts::way(language, &row.by.via))) @if !row.by.from.is_empty() { (say(language, ", ", "，")) (shown(&row.by.from)) } } }
            td { b { (acts::name(language, &row.act)) } " " (timed(manner, &acts::object(language, &row.act, &row.on)))
                @if !row.reason.is_empty() { div.dim.s { "“" (shown(&row.reason)) "”" } }
                div.s { (badge(language, row.state)) @if !row.outcome.is_empty() { " " span.dim { (shown(&acts::outcome(language, &row.outcome))) } } } }
        }
    }
}

fn logins(viewer: &Viewer, sessions: &[Session]) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let line = |session: &Session| {
        html! {
            li {
                b { (shown(&session.credential)) }
                span.dim.s { (shown(&session.from)) (say(language, ", ", "，")) (time::since(manner, session.seen_at)) }
                @if viewer.login == Some(session.key) { span.dim.s.end { (say(language, "this one", "当前会话")) } }
                @else if viewer.administers {
                    form.end method="post" action="/ui/audit/sessions/end" {
                        input type="hidden" name="key" value=(hex(&session.key));
                        button.b.sm title=(time::whole(manner, session.opened_at + SESSION_LIFE)) { (say(language, "End", "结束")) }
                    }
                }
            }
        }
    };
    let (newest, others) = sessions.split_at(sessions.len().min(MAX_SESSIONS));
    html! {
        section.sec { h2 { (say(language, "Signed in", "已登录")) " " span.dim { (sessions.len()) } }
            ul.card.rows {
                @if sessions.is_empty() { li { span.dim { (say(language, "Nobody: no login is needed, or all have ended.", "无：无需登录或均已结束。")) } } }
                @for session in newest { (line(session)) }
            }
            @if !others.is_empty() { details.mt { summary { (others.len()) (say(language, " more", " 个更多")) } ul.card.rows.mt { @for session in others { (line(session)) } } } }
        }
    }
}

async fn about(app: &App, language: Language) -> Result<Markup, Failure> {
    let (plan, stats) = (app.engine.plan(), app.engine.stats().await?);
    let days = |span: std::time::Duration| crate::model::format_duration(span);
    Ok(html! {
        section.sec { h2 { (say(language, "About", "关于")) }
            div.card.pad { dl.kv {
                dt { (say(language, "Version", "版本")) } dd { (env!("CARGO_PKG_VERSION")) }
                dt { (say(language, "Node", "节点")) } dd { (shown(app.engine.node())) }
                dt { (say(language, "Configuration", "配置")) } dd { (plan.hash) }
                dt { (say(language, "Store", "存储")) } dd { (stats.bytes.div_ceil(1 << 20)) " MiB" }
                dt { (say(language, "Kept", "保留")) } dd { (days(plan.retention.sent)) (say(language, ", ", "，")) (say(language, "dead", "死信")) " " (days(plan.retention.dead)) }
            } }
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Ends a login; for who may do everything.
pub(super) async fn end_session(State(app): State<Arc<App>>, form: Form) -> Result<Response, Failure> {
    form.may_administer(&app).await?;
    let named = form.fields.get("key").to_owned();
    let sessions = app.engine.sessions().list_sessions(app.engine.clock().wall()).await?;
    let session = sessions.into_iter().find(|session| hex(&session.key) == named).ok_or_else(|| Failure::missing("this login has ended already"))?;
    let on = format!("the login of {} from {}", session.credential, session.from);
    let intent = Intent { by: form.viewer.caller.author, act: AuditAct::EndSession, on, reason: String::new() };
    let act = app.engine.begin_audit(intent).await?;
    let ended = app.engine.sessions().end_session(session.key).await;
    let (state, outcome) = match &ended {
        Ok(_) => (AuditState::Done, String::new()),
        Err(error) => (AuditState::Failed, error.to_string()),
    };
    app.engine.end_audit(act, state, &outcome).await;
    ended?;
    Ok(go(&Default::default(), "/ui/audit"))
}

/// The same as a file of comma-separated values (RFC 4180), the newest first. It is sent as it is read: a step of it is in memory.
pub(super) async fn export(State(app): State<Arc<App>>, viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    viewer.sees_all()?;
    let fields = Fields::read(query.as_deref().unwrap_or_default());
    let (filter, span) = (filter(&fields)?, span(&viewer.manner, &fields)?);
    let read = |(app, export): (Arc<App>, Option<Export>)| async move {
        let Some(export) = export else { return Ok(None) };
        let (lines, export) = export.step(&app).await?;
        Ok::<_, StoreError>(Some((lines, (app, export))))
    };
    let mut file = stream::try_unfold((app, Some(Export { filter, span, left: EXPORTED })), read).boxed();
    // Where nothing can be read there is no file; what fails later cuts it off.
    let first = file.try_next().await?.unwrap_or_default();
    // Without a mark of its encoding Excel reads a file by that of the system, and Chinese names as nonsense.
    let head = format!("\u{FEFF}time,who,via,from,act,on,reason,state,outcome\r\n{first}");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"watchfire-audit.csv\"")),
    ];
    Ok((headers, Body::from_stream(stream::once(async { Ok(head) }).chain(file))).into_response())
}

/// What of a file is still to be read.
struct Export {
    filter: AuditFilter,
    span: Span,
    left: usize,
}

impl Export {
    /// The next lines, and what is left after them.
    async fn step(self, app: &App) -> Result<(String, Option<Self>), StoreError> {
        let Self { filter, span, left } = self;
        let limit = ROWS_PER_READ.min(left);
        let (filter, window) = narrowed(app, filter, span, limit).await?;
        let rows = app.engine.query().list_audit(&filter).await?;
        let left = left - rows.len();
        let before = if rows.len() < limit { window.stops } else { rows.last().map(|row| row.id) };
        let rest = before.filter(|_| left > 0).map(|before| Self { filter: AuditFilter { before: Some(before), after: None, ..filter }, span, left });
        Ok((rows.iter().map(line).collect(), rest))
    }
}

fn line(row: &AuditRow) -> String {
    let time = row.at.to_string();
    let columns = [&time, &row.by.name, &row.by.via, &row.by.from, &row.act, &row.on, &row.reason, row.state.as_str(), &row.outcome].map(cell);
    columns.join(",") + "\r\n"
}

/// A cell of the file. What a spreadsheet would take for a formula is text; in Chinese and Japanese ones also what begins with a wide sign
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn cell(text: &str) -> String {
    let quote = if text.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n']) { "'" } else { "" };
    format!("\"{quote}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_whatever_it_holds() {
        assert_eq!(cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
        for formula in ["=1+1", "+1", "-1", "@a", "＝1+1", "＠a", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(cell(formula), format!("\"'{formula}\""));
        }
    }
}
