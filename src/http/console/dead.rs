//! Dead letters: did anybody miss something? What no channel delivered before what another one did, by reason, and retried or dropped by group.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::failure::Failure;
use super::form::{Fields, Form, go};
use super::layout::{Page, Place};
use super::manner::Manner;
use super::parts::{Look, badge_of, count, cut, icon, icon_of, say, shown, time, worded};
use super::viewer::Viewer;
use crate::api::DeliveriesRequest;
use crate::http::App;
use crate::http::api::deliveries::{drop_all, requeue};
use crate::model::{DeliveryId, Language, UnixMs, hash_hex};
use crate::store::{DeliveryFilter, DeliveryRow, State as DeliveryState, replayed_as};

/// Dead letters that are read, the newest; and how many are acted on at a time.
const MAX_READ: usize = 5000;
const STEP: usize = 500;
/// Characters of a reason by which letters are grouped.
const REASON: usize = 200;

/// Letters that died of one reason on one channel.
struct Group {
    channel: String,
    reason: String,
    /// Whether another channel delivered the same.
    elsewhere: bool,
    rows: Vec<DeliveryRow>,
}

impl Group {
    /// What only these letters have: the same letters have the same.
    fn hash(&self) -> String {
        let mut ids: Vec<DeliveryId> = self.rows.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
        hash_hex(&ids.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The whole reason of the newest one, as far as a page shows it.
    fn example(&self) -> String {
        cut(self.rows.first().and_then(|row| row.reason.as_deref()).unwrap_or_default(), 2 * REASON)
    }

    /// From when to when they died.
    fn span(&self) -> Option<(UnixMs, UnixMs)> {
        let ends = || self.rows.iter().filter_map(|row| row.done_at);
        Some((ends().min()?, ends().max()?))
    }
}

/// The newest dead letters, and whether there are more.
async fn read(app: &App, viewer: &Viewer, channels: Vec<String>) -> Result<(Vec<DeliveryRow>, bool), Failure> {
    let channels = if channels.is_empty() { viewer.caller.channels.clone() } else { channels };
    let filter = DeliveryFilter { channels, states: vec![DeliveryState::Dead], limit: MAX_READ + 1, ..DeliveryFilter::default() };
    let mut all = app.engine.query().list_deliveries(&filter).await?;
    let more = all.len() > MAX_READ;
    all.truncate(MAX_READ);
    // Somebody took care of what was replayed: its new delivery says what became of it.
    all.retain(|row| row.reason.as_deref().is_none_or(|reason| replayed_as(reason).is_none()));
    Ok((all, more))
}

fn reason_of(row: &DeliveryRow) -> String {
    cut(row.reason.as_deref().unwrap_or_default(), REASON)
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
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Response, Failure> {
    let (rows, more) = read(&app, &viewer, Vec::new()).await?;
    let ids: Vec<DeliveryId> = rows.iter().map(|row| row.id).collect();
    let elsewhere = app.engine.query().delivered_elsewhere(&ids).await?;
    let (total, saved) = (rows.len(), rows.iter().filter(|row| elsewhere.contains(&row.id)).count());
    let groups = groups(rows, &elsewhere);
    let language = viewer.manner.language;
    let heading = match total {
        0 => say(language, "No dead letters", "没有死信").to_owned(),
        n => count(language, n as u64, "dead letter", "dead letters", "条死信"),
    };
    let missed = total - saved;
    let detail = match language {
        Language::Zh => format!("{missed} 条无人收到；{saved} 条由其他通道送达。"),
        Language::En => format!("{missed} reached nobody. Another channel delivered {saved}."),
    };
    let part = |elsewhere: bool, title: &str, name: &'static str, class: &'static str, n: usize| {
        html! { @if n > 0 { section { h2.h2 { (icon_of(name, class)) (title) " " span.dim { (n) } } ol.list.deads { @for group in groups.iter().filter(|group| group.elsewhere == elsewhere) { (entry(&viewer, group)) } } } } }
    };
    let body = html! {
        div.head { div { h1 { (heading) }
            @if total == 0 { p { (say(language, "What a platform refused for good, or what nobody could deliver in time, would be here with its reason.", "平台彻底拒收或超时未能送达的投递会连同原因显示在此。")) } } @else { p { (detail) } }
            @if more { p { (say(language, "Of the newest 5,000; there are more.", "仅统计最新 5000 条，另有更多。")) } } } }
        (part(false, say(language, "Reached nobody", "无人收到"), "alert", "bad", missed))
        (part(true, say(language, "Delivered elsewhere", "其他通道已送达"), "ok", "ok", saved))
    };
    Ok(Page { title: say(language, "Dead letters", "死信").into(), at: Place::Dead, body, ..Page::default() }.of(&viewer))
}

fn query(group: &Group) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!("channel={}&reason={}&elsewhere={}", encode(&group.channel), encode(&group.reason), group.elsewhere)
}

fn entry(viewer: &Viewer, group: &Group) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let state = if group.elsewhere {
        Look { class: "ok", icon: "ok", en: "Another channel has it", zh: "其他通道已送达" }
    } else {
        Look { class: "bad", icon: "alert", en: "Reached nobody", zh: "无人收到" }
    };
    html! {
        li.dg data-row { div.pad {
            div.h { b.n.big { (group.rows.len()) } div.bd {
                b { @if group.reason.is_empty() { (say(language, "without a reason", "无原因")) } @else { (worded(manner, &group.example())) } }
                p.dim { a href={ "/ui/history?state=dead&channel=" (utf8_percent_encode(&group.channel, NON_ALPHANUMERIC)) } { (shown(&group.channel)) } @if let Some((first, last)) = group.span() { " · " (time::clock(manner, first)) @if first != last { (say(language, " to ", " 至 ")) (time::clock(manner, last)) } } }
            } }
            p.mt { (badge_of(state, say(language, state.en, state.zh))) }
            details.raw { summary { (say(language, "Which", "明细")) } ul { @for row in group.rows.iter().take(20) { li { a.l href={ "/ui/deliveries/" (row.id) } { (shown(&row.title)) } " " span.dim.s { (time::clock(manner, row.born_at)) } } } @if group.rows.len() > 20 { li.dim { "+" (group.rows.len() - 20) } } } }
            @if viewer.operates { div.acts.mt {
                a.b href={ "/ui/dead/confirm/retry?" (query(group)) } { (icon("retry")) (say(language, "Retry ", "重试 ")) (group.rows.len()) "…" }
                a.b.g href={ "/ui/dead/confirm/move?" (query(group)) } { (say(language, "Move…", "转移…")) }
                a.b.g href={ "/ui/dead/confirm/drop?" (query(group)) } { (say(language, "Drop…", "放弃…")) }
            } }
        } }
    }
}

/// The letters of a group as they are now; of a form only those that had died when it was shown.
async fn group_of(app: &App, viewer: &Viewer, fields: &Fields) -> Result<Group, Failure> {
    let died_by = match fields.get("at") {
        "" => None,
        at => Some(at.parse().map(UnixMs).map_err(|_| Failure::bad("`at` is when the newest of them died, in Unix milliseconds"))?),
    };
    let channel = fields.get("channel").to_owned();
    if channel.is_empty() || !viewer.caller.may_use(&channel) {
        return Err(Failure::missing("there are no dead letters of this channel"));
    }
    let (mut rows, _) = read(app, viewer, vec![channel.clone()]).await?;
    let reason = fields.get("reason").to_owned();
    rows.retain(|row| reason_of(row).trim() == reason && died_by.is_none_or(|at| row.done_at.is_some_and(|died| died <= at)));
    let ids: Vec<DeliveryId> = rows.iter().map(|row| row.id).collect();
    let delivered = app.engine.query().delivered_elsewhere(&ids).await?;
    let elsewhere = fields.get("elsewhere") == "true";
    rows.retain(|row| delivered.contains(&row.id) == elsewhere);
    if rows.is_empty() {
        return Err(Failure::missing("none of these dead letters is left"));
    }
    Ok(Group { channel, reason, elsewhere, rows })
}

/// Says how many before it acts.
pub(super) async fn confirm(
    State(app): State<Arc<App>>,
    Path(act): Path<String>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    viewer.may_operate()?;
    let group = group_of(&app, &viewer, &Fields::read(query.as_deref().unwrap_or_default())).await?;
    let (language, n) = (viewer.manner.language, group.rows.len());
    let plan = app.engine.plan();
    let (class, verb, inside) = match act.as_str() {
        "retry" => ("b p", say(language, "Retry", "重试"), retried(&viewer.manner, &plan, &group)),
        "move" => (
            "b p",
            say(language, "Move", "转移"),
            html! {
                label.f { span { (say(language, "To", "目标通道")) } select.in name="to" required { @for name in plan.channels.keys().filter(|name| viewer.caller.may_use(name) && **name != group.channel) { option { (name) } } } }
            },
        ),
        "drop" => (
            "b d",
            say(language, "Drop", "放弃"),
            html! {
                p { (say(language, "They are not sent any more, and are no dead letters any more.", "不再发送，也不再计为死信。")) }
                label.f { span { (say(language, "Why", "原因")) } input.in name="reason_why" required maxlength="500"; }
            },
        ),
        _ => return Err(Failure::missing("dead letters are retried, moved or dropped")),
    };
    let body = html! {
        div.head { div { h1 { (verb) " " (n) (say(language, " of ", "，")) (shown(&group.channel)) "?" } p { (worded(&viewer.manner, &group.example())) } } }
        form.conf.grid method="post" action={ "/ui/dead/" (act) } {
            input type="hidden" name="channel" value=(group.channel); input type="hidden" name="reason" value=(group.reason);
            input type="hidden" name="elsewhere" value=(group.elsewhere); input type="hidden" name="at" value=(group.span().map_or(0, |(_, newest)| newest.0)); input type="hidden" name="letters" value=(group.hash());
            (inside)
            div.acts { button class=(class) { (verb) " " (n) } a.b.g href="/ui/dead" { (say(language, "Cancel", "取消")) } }
        }
    };
    Ok(Page { title: verb.into(), back: Some(("/ui/dead".into(), say(language, "Dead letters", "死信").into())), body, ..Page::default() }
        .of(&viewer))
}

/// What a retry of a group leads to.
fn retried(manner: &Manner, plan: &crate::delivery::Plan, group: &Group) -> Markup {
    let language = manner.language;
    let limit = plan.channel(&group.channel).map(|channel| channel.rate_limit_text());
    html! {
        p { (say(language, "For each a new delivery to the same channel is made; what waits there together may leave as one message.", "为每条新建到同一通道的投递；同时等待的可能合并为一条消息。")) }
        @match limit { Some(limit) => { p.dim.s { (say(language, "The channel’s rate limit: ", "通道限速：")) (limit) "." } } None => { p { b { (say(language, "The channel is not in the configuration any more: move them instead.", "该通道已不在配置中，请改为转移。")) } } } }
    }
}

/// Why the rest was not acted on. After the first step a refusal must not read as if nothing was done.
fn after(done: usize, all: usize, why: Failure) -> Failure {
    match why {
        Failure::Answer(status, why) if done > 0 => {
            let status = if status.is_client_error() { StatusCode::INTERNAL_SERVER_ERROR } else { status };
            Failure::new(status, format!("{done} of {all} were done, then: {why}"))
        }
        why => why,
    }
}

/// Acts on the group.
pub(super) async fn act(State(app): State<Arc<App>>, Path(act): Path<String>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    let Form { viewer, fields, .. } = form;
    let group = group_of(&app, &viewer, &fields).await?;
    // What was confirmed is done, and nothing else.
    if group.hash() != fields.get("letters") {
        return Err(Failure::new(StatusCode::CONFLICT, "these are not the dead letters that were shown; look at the page again"));
    }
    let to = Some(fields.get("to").to_owned()).filter(|to| act == "move" && !to.is_empty());
    if act == "move" && to.is_none() {
        return Err(Failure::bad("`to` names the channel to move to"));
    }
    let reason = Some(if act == "drop" { fields.get("reason_why").to_owned() } else { group.reason.clone() });
    let mut done = 0;
    for rows in group.rows.chunks(STEP) {
        let request = DeliveriesRequest { ids: rows.iter().map(|row| row.id).collect(), reason: reason.clone(), to: to.clone() };
        match act.as_str() {
            "retry" | "move" => {
                requeue(&app, &viewer.caller, &request).await.map_err(|error| after(done, group.rows.len(), error.into()))?;
            }
            "drop" => {
                drop_all(&app, &viewer.caller, &request).await.map_err(|error| after(done, group.rows.len(), error.into()))?;
            }
            _ => return Err(Failure::missing("dead letters are retried, moved or dropped")),
        }
        done += rows.len();
    }
    Ok(go(&headers, if act == "drop" { "/ui/dead" } else { "/ui/history" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_off_says_how_many_were_done() {
        let told = |done: usize, status: StatusCode| match after(done, 1200, Failure::new(status, "no channel `a`")) {
            Failure::Answer(status, why) => (status, why),
            Failure::Login => panic!("nobody is asked to log in"),
        };
        // An error of the client says that nothing was done.
        assert_eq!(told(0, StatusCode::NOT_FOUND), (StatusCode::NOT_FOUND, "no channel `a`".to_owned()));
        let broken = "500 of 1200 were done, then: no channel `a`".to_owned();
        assert_eq!(told(500, StatusCode::NOT_FOUND), (StatusCode::INTERNAL_SERVER_ERROR, broken.clone()));
        assert_eq!(told(500, StatusCode::SERVICE_UNAVAILABLE), (StatusCode::SERVICE_UNAVAILABLE, broken));
    }
}
