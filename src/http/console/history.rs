//! What was sent, to whom, and why not: every delivery, by filters that are an address.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::delivery::line;
use super::failure::Failure;
use super::form::Fields;
use super::layout::{Page, Place};
use super::parts::{Look, badge, icon, mark, plain, say, shown, time};
use super::viewer::Viewer;
use crate::http::App;
use crate::model::{DeliveryId, IncidentId, Language, Severity, UnixMs};
use crate::store::{DeliveryFilter, EventFilter, GroupLabel, IncidentFilter, State as DeliveryState};

/// Rows of a page.
const PAGE: usize = 50;
/// A search looks at so much time, then says how far back it looked, in milliseconds.
pub(super) const SEARCHED_MS: i64 = 7 * 86_400_000;

/// A search of incidents looks at so many numbers.
const SEARCHED_NUMBERS: i64 = 50_000;

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

/// The smallest id of this time: ids are UUIDv7.
pub(super) fn first_id(at: UnixMs) -> Uuid {
    Uuid::from_u128(u128::from(u64::try_from(at.0).unwrap_or(0)) << 80)
}

/// The time of an id.
pub(super) fn time_of(id: Uuid) -> UnixMs {
    UnixMs(i64::try_from(id.as_u128() >> 80).unwrap_or(i64::MAX))
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
        datalist #people { @for name in plan.people.people.names() { option value=(plain(plan.people.people.shown(name))) {} } }
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
    if !fields.get("cursor").is_empty() {
        filter.before = Some(fields.get("cursor").parse().map_err(|_| Failure::bad("`cursor` is the id of a delivery"))?);
    }
    let since = match fields.get("since") {
        "" => None,
        span => Some(now - crate::model::parse_duration(span).map_err(|error| Failure::bad(format!("`since`: {error}")))?),
    };
    filter.text = Some(text.to_owned()).filter(|text| !text.is_empty());
    // A search is bounded: it may find nothing in all that is stored.
    let from = filter.before.map_or(now, |id| time_of(id.0));
    (filter.label, filter.acked_by) = found_by(fields)?;
    let searches = filter.text.is_some() || filter.label.is_some() || filter.acked_by.is_some();
    let bound = if searches { Some(from - SEARCHED_MS) } else { None };
    let back_to = bound.max(since);
    filter.after = back_to.map(|at| DeliveryId(first_id(at)));
    let mut rows = app.engine.query().list_deliveries(&filter).await?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let older = match (rows.last().filter(|_| more), bound.filter(|bound| since.is_none_or(|since| *bound > since))) {
        (Some(last), _) => Some((format!("{}&cursor={}", with(fields, "", ""), last.id), say(language, "Older", "更早"))),
        (None, Some(bound)) => Some((format!("{}&cursor={}", with(fields, "", ""), first_id(bound)), say(language, "Go on searching", "继续搜索"))),
        (None, None) => None,
    };
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
        nav.pager aria-label=(say(language, "Pages", "翻页")) {
            span.dim { @if let Some(back_to) = bound { (say(language, "Searched back to ", "已搜索至 ")) (time::clock(&viewer.manner, rows.last().filter(|_| more).map_or(back_to, |row| row.born_at))) } }
            @if filter.before.is_some() { a.b href=(with(fields, "", "")) { (say(language, "Newest", "最新")) } }
            @if let Some((older, word)) = older { a.b href=(older) rel="next" { (word) (icon("right")) } }
        }
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
    let bound = (searches && from > SEARCHED_NUMBERS).then(|| IncidentId(from - SEARCHED_NUMBERS));
    let filter = IncidentFilter { before, after: bound, text, label, acked_by, limit: PAGE + 1, ..IncidentFilter::default() };
    let mut rows = app.engine.query().list_incidents(&filter).await?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let older = match (rows.last().filter(|_| more), bound) {
        (Some(last), _) => Some((last.id, say(language, "Older", "更早"))),
        (None, Some(bound)) => Some((bound, say(language, "Go on searching", "继续搜索"))),
        (None, None) => None,
    };
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
        @if let Some((id, word)) = older { nav.pager {
            span.dim { @if let Some(bound) = bound { (say(language, "Searched back to #", "已搜索至 #")) (bound) } }
            a.b rel="next" href={ (with(fields, "", "")) "&cursor=" (id) } { (word) (icon("right")) }
        } }
    })
}

async fn nowhere(app: &App, viewer: &Viewer, fields: &Fields) -> Result<Markup, Failure> {
    viewer.sees_all()?;
    let language = viewer.manner.language;
    let before = match fields.get("cursor") {
        "" => None,
        id => Some(id.parse().map_err(|_| Failure::bad("`cursor` is the id of an event"))?),
    };
    let mut rows = app.engine.query().list_events(&EventFilter { bare: true, before, limit: PAGE + 1, ..EventFilter::default() }).await?;
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    Ok(html! {
        ul.card.rows {
            @if rows.is_empty() { li { span.dim { (say(language, "Everything that was received led to a delivery.", "收到的内容都产生了投递。")) } } }
            @for row in &rows { li data-row { span.dim.s { (time::clock(&viewer.manner, row.received_at)) } b { (shown(&row.source)) } span { (shown(row.note.as_deref().unwrap_or_default())) } } }
        }
        @if let Some(last) = rows.last().filter(|_| more) { nav.pager { a.b rel="next" href={ (with(fields, "", "")) "&cursor=" (last.id) } { (say(language, "Older", "更早")) (icon("right")) } } }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_knows_its_time() {
        let at = UnixMs(1_764_000_000_123);
        let id = first_id(at);
        assert_eq!(time_of(id), at);
        assert!(first_id(at + 1) > id && DeliveryId::new().0 > id);
    }
}
