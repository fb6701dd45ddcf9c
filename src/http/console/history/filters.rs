//! The form of the filters, and what is set.

use maud::{Markup, html};

use super::super::parts::{Look, icon, plain, say, shown};
use super::super::viewer::Viewer;
use super::asked::{Asked, View};
use crate::http::App;
use crate::model::Language;
use crate::store::{IncidentState, State as DeliveryState};

/// The form. It has a field for each filter of the list but those that links set.
pub(super) fn form(app: &App, viewer: &Viewer, asked: &Asked) -> Markup {
    let language = viewer.manner.language;
    let has = |name: &str| asked.view.filters().contains(&name);
    let (plan, chosen) = (app.engine.plan(), asked.get("channel"));
    html! {
        form.filters role="search" method="get" action="/ui/history" {
            @if asked.view != View::Deliveries { input type="hidden" name="view" value=(asked.view.name()); }
            @if has("q") { label.srch { (icon("search")) span.vh { (say(language, "Search titles, reasons or an id", "搜索标题、原因或 ID")) } input.in type="search" name="q" value=(plain(asked.get("q"))) data-search placeholder=(say(language, "Title, reason, id or #number", "标题、原因、ID 或 #编号")); } }
            @if has("label") { input.in.fl name="label" value=(plain(asked.get("label"))) spellcheck="false" aria-label=(say(language, "Label of the group", "分组标签")) placeholder="team=db" title=(say(language, "A label by which the sender groups alerts", "发送方用于分组的标签")); }
            @if has("by") {
                input.in.fl name="by" value=(plain(asked.get("by"))) list="people" aria-label=(say(language, "Acked by", "认领人")) placeholder=(say(language, "acked by", "认领人"));
                datalist #people { @for name in plan.people.people.names() { option value=(plain(plan.people.people.shown(name))) {} } }
            }
            @if has("source") { input.in.fl name="source" value=(plain(asked.get("source"))) spellcheck="false" aria-label=(say(language, "Sender", "来源")) placeholder="alertmanager:prod"; }
            @if has("channel") { select.in name="channel" aria-label=(say(language, "Channel", "通道")) {
                option value="" { (say(language, "any channel", "任意通道")) }
                @for name in plan.channels.keys().filter(|name| viewer.caller.may_use(name)) { option selected[chosen == name] { (name) } }
                // What is stored outlives its channel.
                @if !chosen.is_empty() && plan.channel(chosen).is_none() { option selected { (shown(chosen)) } }
            } }
            (ends(language, asked))
            @if has("state") { (states(language, asked)) }
            button.b { (say(language, "Filter", "筛选")) }
        }
        (chips(language, asked))
    }
}

/// The ends of the span.
fn ends(language: Language, asked: &Asked) -> Markup {
    let title = say(
        language,
        "How long ago, as 2h, or a time, as 2026-11-28T03:12; without an offset in the zone of this page",
        "多久以前（如 2h）或时间（如 2026-11-28T03:12），不带偏移量时按本页时区",
    );
    let fields = [
        ("since", say(language, "Since", "开始时间"), say(language, "since: 2h", "起：2h")),
        ("until", say(language, "Until", "结束时间"), say(language, "until", "止")),
    ];
    html! {
        @for (name, word, example) in fields {
            input.in.fl name=(name) value=(plain(asked.get(name))) list="spans" spellcheck="false" aria-label=(word) placeholder=(example) title=(title);
        }
        datalist #spans { @for span in ["1h", "1d", "1w"] { option value=(span) {} } }
    }
}

/// Every state with its look.
fn all(view: View) -> Vec<(&'static str, Look)> {
    match view {
        View::Deliveries => DeliveryState::ALL.map(|state| (state.as_str(), Look::from(state))).to_vec(),
        View::Incidents => IncidentState::ALL.map(|state| (state.as_str(), Look::from(state))).to_vec(),
        View::Received | View::Nowhere => Vec::new(),
    }
}

/// A choice of several.
fn states(language: Language, asked: &Asked) -> Markup {
    let chosen: Vec<&str> = asked.states().collect();
    html! {
        details.raw { summary { (say(language, "States", "状态")) @if !chosen.is_empty() { " (" (chosen.len()) ")" } }
            div.filters { @for (name, look) in all(asked.view) {
                label.ck { input type="checkbox" name="state" value=(name) checked[chosen.contains(&name)]; span { (say(language, look.en, look.zh)) } }
            } }
        }
    }
}

/// What is set, each with a link to the same without it.
fn chips(language: Language, asked: &Asked) -> Markup {
    let before = |name: &str| match name {
        "by" => say(language, "acked by ", "认领人 "),
        "event" => say(language, "event ", "来源事件 "),
        "source" => say(language, "from ", "来自 "),
        "since" => say(language, "since ", "起 "),
        "until" => say(language, "until ", "止 "),
        _ => "",
    };
    let states = all(asked.view);
    let words = |name: &str| {
        let word =
            |state: &str| states.iter().find(|(known, _)| *known == state).map_or(state, |(_, look)| say(language, look.en, look.zh)).to_owned();
        if name == "state" { asked.states().map(word).collect::<Vec<_>>().join(", ") } else { asked.get(name).to_owned() }
    };
    html! {
        @for name in asked.view.filters().iter().copied() { @if !asked.value(name).is_empty() {
            span.fx { (before(name)) (shown(&words(name))) a href=(asked.without(name)) aria-label={ (say(language, "Remove the filter ", "移除筛选 ")) (plain(&words(name))) } { (icon("x")) } } " "
        } }
    }
}
