//! Dead letters: did anybody miss something? What no channel delivered before what another one did, by reason, and retried or dropped by group or by filter.

mod act;
mod chosen;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use self::chosen::{Chosen, Letters, MAX_READ, died, example, reason_of};
use super::failure::Failure;
use super::layout::{Page, Place};
use super::parts::filters::{bar, channel, ends, search};
use super::parts::{Look, badge_of, count, icon, icon_of, say, shown, time, worded};
use super::viewer::Viewer;
use crate::http::App;
use crate::model::{DeliveryId, Language};
use crate::store::DeliveryRow;

pub(super) use act::{act, confirm};

/// What narrows the list.
const FILTERS: [&str; 4] = ["q", "channel", "since", "until"];

/// Letters that died of one reason on one channel.
struct Group {
    channel: String,
    reason: String,
    /// Whether another channel delivered the same.
    elsewhere: bool,
    rows: Vec<DeliveryRow>,
}

impl Group {
    /// What asks for this group of a list.
    fn chosen(&self, list: &Chosen) -> Chosen {
        Chosen { channel: self.channel.clone(), reason: Some(self.reason.clone()), elsewhere: Some(self.elsewhere), ..list.clone() }
    }
}

fn groups(rows: Vec<DeliveryRow>, elsewhere: &HashSet<DeliveryId>) -> Vec<Group> {
    let mut by: BTreeMap<(bool, String, String), Vec<DeliveryRow>> = BTreeMap::new();
    for row in rows {
        by.entry((elsewhere.contains(&row.id), row.channel.clone(), reason_of(&row))).or_default().push(row);
    }
    let mut groups: Vec<Group> = by.into_iter().map(|((elsewhere, channel, reason), rows)| Group { channel, reason, elsewhere, rows }).collect();
    groups.sort_by_key(|group| (group.elsewhere, std::cmp::Reverse(group.rows.len())));
    groups
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, mut viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let chosen = Chosen::of_address(&viewer, query.as_deref().unwrap_or_default(), &FILTERS)?;
    let Letters { rows, saved, more } = chosen.letters(&app, &viewer, None).await?;
    let (total, saved_n) = (rows.len(), rows.iter().filter(|row| saved.contains(&row.id)).count());
    let missed = total - saved_n;
    let groups = groups(rows, &saved);
    let language = viewer.manner.language;
    let is_narrowed = chosen != Chosen::default();
    if !is_narrowed && !more {
        viewer.counts.dead = total as u64;
    }
    let heading = match total {
        0 if is_narrowed => say(language, "No such dead letter", "没有符合条件的死信").to_owned(),
        0 => say(language, "No dead letters", "没有死信").to_owned(),
        n => count(language, n as u64, "dead letter", "dead letters", "条死信"),
    };
    let detail = match language {
        Language::Zh => format!("{missed} 条无人收到；{saved_n} 条由其他通道送达。"),
        Language::En => format!("{missed} reached nobody. Another channel delivered {saved_n}."),
    };
    let beyond = if more { Some(beyond(&app, &viewer, is_narrowed).await?) } else { None };
    let part = |elsewhere: bool, title: &str, name: &'static str, class: &'static str, n: usize| {
        html! { @if n > 0 { section { h2.h2 { (icon_of(name, class)) (title) " " span.dim { (n) } } ol.list.deads { @for group in groups.iter().filter(|group| group.elsewhere == elsewhere) { (entry(&viewer, &chosen, group)) } } } } }
    };
    let body = html! {
        div.head { div { h1 { (heading) }
            @if total > 0 { p { (detail) } } @else if !is_narrowed { p { (say(language, "What a platform refused for good, or what nobody could deliver in time, would be here with its reason.", "平台彻底拒收或超时未能送达的投递会连同原因显示在此。")) } }
            @if let Some(beyond) = beyond { p { (beyond) } } } }
        @if total > 0 || is_narrowed { (form(&app, &viewer, &chosen)) }
        @if viewer.operates && (groups.len() > 1 || (is_narrowed && total > 0)) { (all(language, &chosen, total)) }
        (part(false, say(language, "Reached nobody", "无人收到"), "alert", "bad", missed))
        (part(true, say(language, "Delivered elsewhere", "其他通道已送达"), "ok", "ok", saved_n))
    };
    Ok(Page { title: say(language, "Dead letters", "死信").into(), at: Place::Dead, body, ..Page::default() }.of(&viewer))
}

/// What is said of those that were not read.
async fn beyond(app: &App, viewer: &Viewer, is_narrowed: bool) -> Result<String, Failure> {
    let language = viewer.manner.language;
    if is_narrowed {
        let text = say(
            language,
            "The newest 5,000 that match; there are more. Narrow the filter, or act on these first.",
            "最新 5000 条匹配项，另有更多。请缩小范围，或先处理这些。",
        );
        return Ok(text.to_owned());
    }
    let stats = app.engine.stats().await?;
    let all: u64 = stats.dead.iter().filter(|(channel, _)| viewer.caller.may_use(channel)).map(|(_, n)| n).sum();
    let all = all.max(MAX_READ as u64 + 1);
    Ok(match language {
        Language::Zh => format!("共约 {all} 条，仅读取最新 5000 条。可按时间筛选查看更早的。"),
        Language::En => format!("The newest 5,000 of about {all} were read. Filter by time to see older ones."),
    })
}

/// The filters.
fn form(app: &App, viewer: &Viewer, chosen: &Chosen) -> Markup {
    let language = viewer.manner.language;
    let exact = |at: Option<crate::model::UnixMs>| at.map(|at| time::exact(&viewer.manner, at)).unwrap_or_default();
    let (since, until) = (exact(chosen.span.since), exact(chosen.span.until));
    let behind = [chosen.channel.as_str(), &since, &until].into_iter().filter(|value| !value.is_empty()).count();
    let (word, example) = (say(language, "Search title or reason", "搜索标题或原因"), say(language, "Title or reason", "标题或原因"));
    let fields = html! { (channel(app, viewer, &chosen.channel)) (ends(language, &since, &until)) };
    html! {
        (bar(language, "/ui/dead", &search(language, &chosen.text, word, example), &fields, behind))
        @if *chosen != Chosen::default() { div.acts { a.b.g href="/ui/dead" { (say(language, "All", "全部")) } } }
    }
}

/// What can be done with everything that is listed.
fn all(language: Language, chosen: &Chosen, n: usize) -> Markup {
    html! {
        div.acts.mt {
            a.b href={ "/ui/dead/confirm/retry?" (chosen.query()) } { (icon("retry")) (say(language, "Retry all ", "全部重试 ")) (n) "…" }
            a.b.g href={ "/ui/dead/confirm/move?" (chosen.query()) } { (say(language, "Move all…", "全部转移…")) }
            a.b.g href={ "/ui/dead/confirm/drop?" (chosen.query()) } { (say(language, "Drop all…", "全部放弃…")) }
        }
    }
}

fn entry(viewer: &Viewer, chosen: &Chosen, group: &Group) -> Markup {
    let of_group = group.chosen(chosen).query();
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let state = if group.elsewhere {
        Look { class: "ok", icon: "ok", en: "Another channel has it", zh: "其他通道已送达" }
    } else {
        Look { class: "bad", icon: "alert", en: "Reached nobody", zh: "无人收到" }
    };
    html! {
        li.dg data-row { div.pad {
            div.h { b.n.big { (group.rows.len()) } div.bd {
                b { @if group.reason.is_empty() { (say(language, "without a reason", "无原因")) } @else { (worded(manner, &example(&group.rows))) } }
                p.dim { a href={ "/ui/history?state=dead&channel=" (utf8_percent_encode(&group.channel, NON_ALPHANUMERIC)) } { (shown(&group.channel)) } @if let Some((first, last)) = died(&group.rows) { " · " (time::from_to(manner, first, last)) } }
            } }
            p.mt { (badge_of(state, say(language, state.en, state.zh))) }
            details.raw { summary { (say(language, "Which", "明细")) } ul { @for row in group.rows.iter().take(20) { li { a.l href={ "/ui/deliveries/" (row.id) } { (shown(&row.title)) } " " span.dim.s { (time::clock(manner, row.born_at)) } } } @if group.rows.len() > 20 { li.dim { "+" (group.rows.len() - 20) } } } }
            @if viewer.operates { div.acts.mt {
                a.b href={ "/ui/dead/confirm/retry?" (of_group) } { (icon("retry")) (say(language, "Retry ", "重试 ")) (group.rows.len()) "…" }
                a.b.g href={ "/ui/dead/confirm/move?" (of_group) } { (say(language, "Move…", "转移…")) }
                a.b.g href={ "/ui/dead/confirm/drop?" (of_group) } { (say(language, "Drop…", "放弃…")) }
            } }
        } }
    }
}
