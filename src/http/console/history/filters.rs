//! The form of the filters, and what is set.

use maud::{Markup, html};

use super::super::parts::filters::{bar, channel, ends, field, search};
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
    let sought = html! {
        @if asked.view != View::Deliveries { input type="hidden" name="view" value=(asked.view.name()); }
        @if has("q") { (search(language, asked.get("q"), say(language, "Search titles, reasons or an id", "搜索标题、原因或 ID"), say(language, "Title, reason, id or #number", "标题、原因、ID 或 #编号"))) }
    };
    let fields = html! {
        @if has("label") { (field(say(language, "Label by which the sender groups", "发送方的分组标签"), &html! { input.in name="label" value=(plain(asked.get("label"))) spellcheck="false" placeholder="team=db"; })) }
        @if has("by") { (acked_by(app, language, asked)) }
        @if has("source") { (field(say(language, "Sender", "来源"), &html! { input.in name="source" value=(plain(asked.get("source"))) spellcheck="false" placeholder="alertmanager:prod"; })) }
        @if has("channel") { (channel(app, viewer, asked.get("channel"))) }
        (ends(language, asked.get("since"), asked.get("until")))
        @if has("state") { (states(language, asked)) }
    };
    let behind = asked.view.filters().iter().filter(|name| !["q", "event"].contains(*name) && !asked.value(name).is_empty());
    html! {
        (bar(language, "/ui/history", &sought, &fields, behind.count()))
        (chips(language, asked))
    }
}

fn acked_by(app: &App, language: Language, asked: &Asked) -> Markup {
    let plan = app.engine.plan();
    html! {
        (field(say(language, "Acked by", "认领人"), &html! { input.in name="by" value=(plain(asked.get("by"))) list="people"; }))
        datalist #people { @for name in plan.people.people.names() { option value=(plain(plan.people.people.shown(name))) {} } }
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
        fieldset.f { legend { (say(language, "States", "状态")) }
            div.cks { @for (name, look) in all(asked.view) {
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
        if name == "state" { asked.states().map(word).collect::<Vec<_>>().join(say(language, ", ", "、")) } else { asked.get(name).to_owned() }
    };
    html! {
        @for name in asked.view.filters().iter().copied() { @if !asked.value(name).is_empty() {
            span.fx { (before(name)) (shown(&words(name))) a href=(asked.without(name)) aria-label={ (say(language, "Remove the filter ", "移除筛选 ")) (plain(&words(name))) } { (icon("x")) } } " "
        } }
    }
}
