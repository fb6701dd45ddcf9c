//! What was sent, to whom, and why not: every delivery, by filters that are an address.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::delivery::line;
use super::failure::Failure;
use super::form::Fields;
use super::layout::{Page, Place};
use super::parts::{Look, badge, icon, mark, plain, say, shown, time};
use super::viewer::Viewer;
use super::window::{Next, STEP, Span, Window, pager, time_of};
use crate::http::App;
use crate::model::{DeliveryId, EventId, IncidentId, Language, Severity, UnixMs};
use crate::store::{DeliveryFilter, EventFilter, GroupLabel, IncidentFilter, Listed, State as DeliveryState};

/// Rows of a page.
const PAGE: usize = 50;

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let fields = Fields::read(query.as_deref().unwrap_or_default());
    let language = viewer.manner.language;
    let view = fields.get("view");
    let tabs = [
        ("", say(language, "Deliveries", "投递")),
        ("incidents", say(language, "Incidents", "事件")),
        ("nowhere", say(language, "Led nowhere", "未路由")),
    ];
    let list = match view {
        "incidents" => incidents(&app, &viewer, &fields).await?,
        "nowhere" => nowhere(&app, &viewer, &fields).await?,
        _ => deliveries(&app, &viewer, &fields).await?,
    };
    let body = html! {
        div.head { div { h1 { (say(language, "History", "历史")) } p { (say(language, "Every delivery, its outcome and its reason. Times are ", "每条投递及其结果和原因。时间为 ")) (time::zone(&viewer.manner, viewer.manner.now.into())) "." } } }
        nav.tabs aria-label=(say(language, "What to list", "列表内容")) { @for (name, word) in tabs.into_iter().filter(|(name, _)| name.is_empty() || !viewer.caller.is_limited()) { a href=(if name.is_empty() { "/ui/history".to_owned() } else { format!("/ui/history?view={name}") }) aria-current=[(name == view).then_some("page")] { (word) } } }
        (list)
    };
    Ok(Page { title: say(language, "History", "历史").into(), at: Place::History, body, ..Page::default() }.of(&viewer))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The address of this list with another value of one field.
fn with(fields: &Fields, name: &str, value: &str) -> String {
    let kept =
        ["view", "q", "label", "by", "state", "channel", "since"].into_iter().filter(|known| *known != name).map(|known| (known, fields.get(known)));
    let all = kept.chain([(name, value)]).filter(|(_, value)| !value.is_empty());
    let query: Vec<String> = all.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    format!("/ui/history?{}", query.join("&"))
}

/// What is searched for besides columns: a label of groups, and who acked.
fn found_by(fields: &Fields) -> Result<(Option<GroupLabel>, Option<String>), Failure> {
    let label = match fields.get("label") {
        "" => None,
        text => Some(GroupLabel::parse(text).ok_or_else(|| Failure::bad("`label` is NAME=VALUE, as team=db"))?),
    };
    Ok((label, Some(fields.get("by").to_owned()).filter(|person| !person.is_empty())))
}

/// The fields of those.
fn fields_of(app: &App, language: Language, fields: &Fields) -> Markup {
    let plan = app.engine.plan();
    html! {
        input.in.fl name="label" value=(plain(fields.get("label"))) spellcheck="false" aria-label=(say(language, "Label of the group", "分组标签")) placeholder="team=db" title=(say(language, "A label by which the sender groups alerts", "发送方用于分组的标签"));
        input.in.fl name="by" value=(plain(fields.get("by"))) list="people" aria-label=(say(language, "Acked by", "认领人")) placeholder=(say(language, "acked by", "认领人"));
        datalist #people { @for name in plan.people.people.names() { option value=(plain(name)) {} } }
    }
}

/// What is set, each with a link to the same without it.
fn chips(language: Language, fields: &Fields) -> Markup {
    html! {
        @for name in ["q", "label", "by", "state", "channel", "since"] { @if !fields.get(name).is_empty() {
            span.fx { @if name == "by" { (say(language, "acked by ", "认领人 ")) } (shown(fields.get(name))) a href=(with(fields, name, "")) aria-label={ (say(language, "Remove the filter ", "移除筛选 ")) (plain(fields.get(name))) } { (icon("x")) } } " "
        } }
    }
}

/// Whether rows are read one by one until enough of them are as asked for. Dead letters and what is open have an index.
fn is_searched(filter: &DeliveryFilter) -> bool {
    let is_indexed = filter.states == [DeliveryState::Dead] || (!filter.states.is_empty() && filter.states.iter().all(|state| !state.is_final()));
    let by_column = !filter.channels.is_empty() || !filter.states.is_empty();
    filter.text.is_some() || filter.label.is_some() || filter.acked_by.is_some() || (by_column && !is_indexed)
}

async fn deliveries(app: &App, viewer: &Viewer, fields: &Fields) -> Result<Markup, Failure> {
    let language = viewer.manner.language;
    let now = UnixMs::from(viewer.manner.now);
    let (text, channel) = (fields.get("q"), fields.get("channel"));
    let mut filter = DeliveryFilter { limit: PAGE + 1, ..DeliveryFilter::default() };
    filter.channels = match channel {
        "" => viewer.caller.channels.clone(),
        name if viewer.caller.may_use(name) => vec![name.to_owned()],
        name => return Err(Failure::missing(format!("there is no channel `{}`", plain(name)))),
    };
    if !fields.get("state").is_empty() {
        filter.states.push(
            DeliveryState::parse(fields.get("state"))
                .ok_or_else(|| Failure::bad("`state` is waiting, deferred, sent, dead, dropped, skipped, expired or unknown"))?,
        );
    }
    let cursor: Option<DeliveryId> = match fields.get("cursor") {
        "" => None,
        id => Some(id.parse().map_err(|_| Failure::bad("`cursor` is the id of a delivery"))?),
    };
    let since = match fields.get("since") {
        "" => None,
        span => Some(now - crate::model::parse_duration(span).map_err(|error| Failure::bad(format!("`since`: {error}")))?),
    };
    filter.text = Some(text.to_owned()).filter(|text| !text.is_empty());
    (filter.label, filter.acked_by) = found_by(fields)?;
    let searches = is_searched(&filter);
    let window = Window::of(app, Listed::Deliveries, cursor.map(|id| id.0), Span { since, until: None }, searches).await?;
    (filter.before, filter.after) = (window.before.map(DeliveryId), window.after.map(DeliveryId));
    let mut rows = app.engine.query().list_deliveries(&filter).await?;
    let next = Next::cut(&mut rows, PAGE, window.stops, |row| row.id.0);
    let newest = cursor.map(|_| with(fields, "", ""));
    let states = DeliveryState::ALL.map(|state| (state.as_str(), Look::from(state)));
    let spans = [
        ("1h", say(language, "last hour", "近 1 小时")),
        ("1d", say(language, "last 24 h", "近 24 小时")),
        ("1w", say(language, "last week", "近 7 天")),
    ];
    let plan = app.engine.plan();
    Ok(html! {
        form.filters role="search" method="get" action="/ui/history" {
            label.srch { (icon("search")) span.vh { (say(language, "Search title or reason", "搜索标题或原因")) } input.in type="search" name="q" value=(plain(text)) data-search placeholder=(say(language, "Title or reason", "标题或原因")); }
            (fields_of(app, language, fields))
            select.in name="state" aria-label=(say(language, "State", "状态")) { option value="" { (say(language, "any state", "任意状态")) } @for (name, look) in states { option value=(name) selected[fields.get("state") == name] { (say(language, look.en, look.zh)) } } }
            select.in name="channel" aria-label=(say(language, "Channel", "通道")) { option value="" { (say(language, "any channel", "任意通道")) } @for name in plan.channels.keys().filter(|name| viewer.caller.may_use(name)) { option selected[channel == name] { (name) } } }
            select.in name="since" aria-label=(say(language, "Time", "时间")) { option value="" { (say(language, "any time", "任意时间")) } @for (span, word) in spans { option value=(span) selected[fields.get("since") == span] { (word) } } }
            button.b { (say(language, "Filter", "筛选")) }
        }
        (chips(language, fields))
        @if rows.is_empty() { div.card.pad { p { (say(language, "Nothing found. A delivery is here from the moment its alert was accepted.", "没有记录。告警被接收后即在此显示。")) } } } @else {
            div.card { table.t.cards.hist { thead { tr { th { (say(language, "Time", "时间")) } th { (say(language, "What and why", "内容与原因")) } th { (say(language, "Channel", "通道")) } th { (say(language, "State", "状态")) } th.r { (say(language, "Tries", "次数")) } } } tbody #rows { @for row in &rows { (line(viewer, row)) } } } }
        }
        (pager(language, &next, newest.as_deref(), |id| format!("{}&cursor={id}", with(fields, "", "")), searches, |id| time::clock(&viewer.manner, time_of(*id))))
    })
}

async fn incidents(app: &App, viewer: &Viewer, fields: &Fields) -> Result<Markup, Failure> {
    viewer.sees_all()?;
    let language = viewer.manner.language;
    let before = match fields.get("cursor") {
        "" => None,
        number => Some(IncidentId(number.parse().map_err(|_| Failure::bad("`cursor` is the number of an incident"))?)),
    };
    let text = Some(fields.get("q").to_owned()).filter(|text| !text.is_empty());
    let (label, acked_by) = found_by(fields)?;
    let searches = text.is_some() || label.is_some() || acked_by.is_some();
    // A search is bounded: it may find nothing in all that is stored.
    let from = match before {
        Some(id) => id.0,
        None => {
            app.engine.query().list_incidents(&IncidentFilter { limit: 1, ..IncidentFilter::default() }).await?.first().map_or(0, |one| one.id.0 + 1)
        }
    };
    // Numbers have few gaps: so many of them are about so many rows, and no more.
    let stops = from.checked_sub(STEP as i64).filter(|stops| searches && *stops > 0).map(IncidentId);
    let filter = IncidentFilter { before, after: stops, text, label, acked_by, limit: PAGE + 1, ..IncidentFilter::default() };
    let mut rows = app.engine.query().list_incidents(&filter).await?;
    let next = Next::cut(&mut rows, PAGE, stops, |row| row.id);
    let newest = before.map(|_| with(fields, "", ""));
    Ok(html! {
        form.filters role="search" method="get" action="/ui/history" { input type="hidden" name="view" value="incidents";
            label.srch { (icon("search")) span.vh { (say(language, "Search titles", "搜索标题")) } input.in type="search" name="q" value=(plain(fields.get("q"))) data-search placeholder=(say(language, "Title", "标题")); }
            (fields_of(app, language, fields))
            button.b { (say(language, "Filter", "筛选")) }
        }
        (chips(language, fields))
        ul.card.rows {
            @if rows.is_empty() { li { span.dim { (say(language, "No incident.", "没有事件。")) } } }
            @for one in &rows { li data-row {
                (mark(language, Severity::from_rank(i64::from(one.rank)))) span.dim.n { "#" (one.id) }
                a.c1 href={ "/ui/incidents/" (one.id) } { b { (shown(&one.title)) } } (badge(language, one.state))
                span.dim.s.end { @if let Some(at) = one.ended_at { (say(language, "lasted ", "持续 ")) (time::span(language, at - one.opened_at)) ", " } (time::clock(&viewer.manner, one.opened_at)) }
            } }
        }
        (pager(language, &next, newest.as_deref(), |id| format!("{}&cursor={id}", with(fields, "", "")), searches, |id| html! { "#" (id) }))
    })
}

async fn nowhere(app: &App, viewer: &Viewer, fields: &Fields) -> Result<Markup, Failure> {
    viewer.sees_all()?;
    let language = viewer.manner.language;
    let cursor: Option<EventId> = match fields.get("cursor") {
        "" => None,
        id => Some(id.parse().map_err(|_| Failure::bad("`cursor` is the id of an event"))?),
    };
    let window = Window::of(app, Listed::Events, cursor.map(|id| id.0), Span::default(), true).await?;
    let (before, after) = (window.before.map(EventId), window.after.map(EventId));
    let mut rows = app.engine.query().list_events(&EventFilter { bare: true, before, after, limit: PAGE + 1, ..EventFilter::default() }).await?;
    let next = Next::cut(&mut rows, PAGE, window.stops, |row| row.id.0);
    let newest = cursor.map(|_| with(fields, "", ""));
    Ok(html! {
        ul.card.rows {
            @if rows.is_empty() { li { span.dim { (say(language, "Everything that was received led to a delivery.", "收到的内容都产生了投递。")) } } }
            @for row in &rows { li data-row { span.dim.s { (time::clock(&viewer.manner, row.received_at)) } b { (shown(&row.source)) } span { (shown(row.note.as_deref().unwrap_or_default())) } } }
        }
        (pager(language, &next, newest.as_deref(), |id| format!("{}&cursor={id}", with(fields, "", "")), true, |id| time::clock(&viewer.manner, time_of(*id))))
    })
}
