//! The configuration: what runs, what the file on disk would change, and what is wrong with it.

mod disk;
mod online;
mod routes;

pub(super) use disk::on_disk;
pub(super) use online::online;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use self::disk::OnDisk;
use super::failure::Failure;
use super::form::{Form, go};
use super::layout::{Page, Place};
use super::parts::{count, icon, icon_of, meaning, say, shown, time};
use super::viewer::Viewer;
use crate::http::diff::{Line, diff};
use crate::http::health::{NotReloaded, reload_by};
use crate::http::{App, Running};
use crate::model::{Finding, Language, Level};

/// Findings and lines that are shown; `watchfire check` has them all.
const MAX_FINDINGS: usize = 50;
const MAX_LINES: usize = 5000;
const MAX_CHANGED: usize = 400;
/// Lines around a change.
const AROUND: usize = 3;

/// What a reload came to.
enum Told {
    Nothing,
    Reloaded,
    Refused(String),
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer, uri: axum::http::Uri) -> Result<Response, Failure> {
    let told = if uri.query() == Some("reloaded") { Told::Reloaded } else { Told::Nothing };
    shown_to(&app, &viewer, told).await
}

/// Reloads.
pub(super) async fn reload(State(app): State<Arc<App>>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    form.may_administer(&app).await?;
    let viewer = form.viewer;
    match reload_by(&app, viewer.caller.author.clone()).await {
        Ok(()) => Ok(go(&headers, "/ui/config?reloaded")),
        Err(NotReloaded::Http(error)) => Err(error.into()),
        Err(NotReloaded::Report(report)) => Ok((StatusCode::CONFLICT, shown_to(&app, &viewer, Told::Refused(report)).await?).into_response()),
    }
}

async fn shown_to(app: &App, viewer: &Viewer, told: Told) -> Result<Response, Failure> {
    viewer.may_operate()?;
    viewer.sees_all()?;
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let (running, file, plan) = (app.running.load_full(), on_disk(app).await, app.engine.plan());
    let same = file.plan.as_ref().is_some_and(|found| found.hash == plan.hash);
    let changes = diff(&running.lines, &file.lines, AROUND);
    let body = html! {
        div.head {
            div {
                h1 { (heading(language, &file, same)) }
                p { (shown(&running.path.display().to_string())) (say(language, " runs since ", " 自 ")) (time::clock(manner, running.loaded_at)) (say(language, ". ", " 起运行。")) (next(language, &file, same)) }
            }
            div.acts {
                @if viewer.administers && file.errors() == 0 {
                    form method="post" action="/ui/config/reload" { button class=(if same { "b" } else { "b p" }) data-key="a" { (icon("retry")) (say(language, "Reload", "重新加载")) } }
                }
                form method="post" action="/ui/config/online" { button.b { (icon("ask")) (say(language, "Check online", "在线检查")) } }
            }
        }
        @match &told {
            Told::Nothing => {}
            Told::Reloaded => div.note.ok { (icon("ok")) p { (say(language, "Reloaded: what is on disk runs now.", "已重新加载：磁盘上的配置现已生效。")) } },
            Told::Refused(report) => div.note.crit { (icon("alert")) div { p { b { (say(language, "Not reloaded.", "未重新加载。")) } " " (say(language, "The previous configuration goes on.", "原配置继续运行。")) }
                @if file.errors() == 0 { pre.code.mt lang="en" { (shown(report)) } } } },
        }
        (findings(language, &file.findings))
        @if !same { (difference(language, &changes, &file)) }
        (what_runs(language, &running))
        (routes::tree(language, &plan))
    };
    Ok(Page { title: say(language, "Configuration", "配置").into(), at: Place::Config, body, ..Page::default() }.of(viewer))
}

fn heading(language: Language, file: &OnDisk, same: bool) -> &'static str {
    match (file.lines.is_empty() && file.errors() > 0, same) {
        (true, _) => say(language, "The file on disk cannot be read", "无法读取磁盘上的文件"),
        (_, true) => say(language, "What runs is what is on disk", "运行中的配置与磁盘一致"),
        _ => say(language, "The file on disk is not what runs", "磁盘上的文件与运行中的不一致"),
    }
}

/// What will happen, or has to.
fn next(language: Language, file: &OnDisk, same: bool) -> Markup {
    html! {
        @match (file.errors(), same) {
            (0, true) => {}
            (0, false) => { (say(language, "A change is loaded within seconds by itself.", "更改会在数秒内自动加载。")) }
            (n, _) => { (count(language, n as u64, "mistake keeps", "mistakes keep", "处错误使")) (say(language, " the file from being loaded; correct the file, and it is loaded by itself.", "文件无法加载；更正后会自动加载。")) }
        }
    }
}

fn findings(language: Language, found: &[Finding]) -> Markup {
    let errors = found.iter().filter(|finding| finding.level == Level::Error).count();
    let warnings = found.len() - errors;
    let mut sorted: Vec<&Finding> = found.iter().collect();
    sorted.sort_by_key(|finding| finding.level);
    html! {
        @if found.is_empty() { section.sec { p.st.ok { (icon("ok")) (say(language, "watchfire check finds nothing wrong with it", "watchfire check 未发现问题")) } } } @else {
            section.sec {
                h2 {
                    @if errors > 0 { (count(language, errors as u64, "mistake", "mistakes", "处错误")) }
                    @if errors > 0 && warnings > 0 { (say(language, ", ", "，")) }
                    @if warnings > 0 { (count(language, warnings as u64, "warning", "warnings", "处警告")) }
                }
                ul.list { @for finding in sorted.iter().take(MAX_FINDINGS) { (one(language, finding)) } }
                @if sorted.len() > MAX_FINDINGS { p.dim.s.mt { (sorted.len() - MAX_FINDINGS) (say(language, " more: watchfire check shows them", " 处更多：见 watchfire check")) } }
            }
        }
    }
}

/// A finding as `check` prints it. To who reads Chinese, what it is and what to do is said first.
fn one(language: Language, finding: &Finding) -> Markup {
    let error = finding.level == Level::Error;
    let place = finding.place.as_ref();
    let span = place.and_then(|place| place.span);
    let line = place.and_then(|place| place.line_text.as_deref()).zip(span);
    html! {
        li.pad.rel.edge.(if error { "critical" } else { "warning" }) data-row {
            @if let Some(code) = meaning(language, finding.code) { p { b { (code.title_zh) "。" } (code.help_zh) } }
            p lang="en" {
                b { (icon_of("alert", if error { "bad" } else { "wn" })) " " (if error { "error" } else { "warning" }) "[" (finding.code) "]: " (shown(&finding.message)) }
                @if let Some(place) = place { " " span.dim.nw { (shown(&place.file)) @if let Some(span) = span { ":" (span.line) ":" (span.column) } } }
            }
            @if let Some((text, span)) = line { pre.code.mt { i { (span.line) " | " } (marked(text, span.column, span.width)) } }
            @if !finding.label.is_empty() { p.mt lang="en" { (shown(&finding.label)) } }
            @for note in &finding.notes { p.dim.s lang="en" { (shown(note)) } }
        }
    }
}

/// A line with what is meant marked; of a long one what is around it.
fn marked(text: &str, column: usize, width: usize) -> Markup {
    const AROUND: usize = 80;
    let chars: Vec<char> = text.trim_end().chars().collect();
    let from = column.saturating_sub(1).min(chars.len());
    let to = (from + width).min(chars.len());
    let (begin, end) = (from.saturating_sub(AROUND), (to + AROUND).min(chars.len()));
    let part = |range: std::ops::Range<usize>| chars[range].iter().collect::<String>();
    html! {
        @if begin > 0 { "…" } (shown(&part(begin..from))) mark { (shown(&part(from..to))) } (shown(&part(to..end))) @if end < chars.len() { "…" }
    }
}

fn difference(language: Language, changes: &[Line<'_>], file: &OnDisk) -> Markup {
    let changed = changes.iter().filter(|line| matches!(line, Line::Old(..) | Line::New(..))).count();
    html! {
        @if !file.lines.is_empty() {
            section.sec {
                h2 { (say(language, "Difference: what runs, and the file", "差异：运行中的配置与文件")) span.dim.s.end { (count(language, changed as u64, "line", "lines", "行")) } }
                @if changes.is_empty() {
                    p.card.pad { (say(language, "No line differs: it is a secret, a template or another file that changed.", "没有不同的行：更改的是密钥、模板或其他文件。")) }
                } @else {
                    div.card.diff.m tabindex="0" role="region" aria-label=(say(language, "Difference", "差异")) {
                        @for line in changes.iter().take(MAX_CHANGED) { @match line {
                            Line::Both(text) => div { "  " (shown(text)) },
                            Line::Old(_, text) => div.del { span.vh { (say(language, "runs: ", "运行：")) } "- " (shown(text)) },
                            Line::New(_, text) => div.ins { span.vh { (say(language, "file: ", "文件：")) } "+ " (shown(text)) },
                            Line::Gap(n) => div.dim { "  … " (count(language, *n as u64, "line", "lines", "行")) },
                        } }
                        @if changes.len() > MAX_CHANGED { div.dim { "  … " (changes.len() - MAX_CHANGED) (say(language, " more", " 行更多")) } }
                    }
                }
            }
        }
    }
}

fn what_runs(language: Language, running: &Running) -> Markup {
    let width = running.lines.len().min(MAX_LINES).to_string().len();
    html! {
        section.sec {
            h2 { (say(language, "What runs", "运行中的配置")) span.dim.s.end { (say(language, "secrets are starred out", "密钥已隐去")) } }
            pre.code.tall tabindex="0" role="region" aria-label=(say(language, "The file as it runs", "运行中的文件")) {
                @for (number, line) in (1..).zip(running.lines.iter().take(MAX_LINES)) { i { (format!("{number:>width$}")) } " " (shown(line)) "\n" }
                @if running.lines.len() > MAX_LINES { "… " (running.lines.len() - MAX_LINES) (say(language, " more lines", " 行更多")) }
            }
        }
    }
}
