//! Retries, moves and drops of many dead letters: how many is said before anything is done, and what was shown is done and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};

use super::super::failure::Failure;
use super::super::form::{Form, go};
use super::super::layout::Page;
use super::super::manner::Manner;
use super::super::parts::{count, pace_of, say, shown, worded};
use super::super::viewer::Viewer;
use super::chosen::{Chosen, Letters, died, hash};
use crate::api::DeliveriesRequest;
use crate::delivery::Plan;
use crate::http::App;
use crate::http::api::deliveries::{drop_all, requeue};
use crate::model::UnixMs;
use crate::store::DeliveryRow;

/// Letters that are acted on at a time.
const BATCH_SIZE: usize = 500;
/// What names the letters.
const FIELDS: [&str; 6] = ["channel", "reason", "elsewhere", "q", "since", "until"];

/// The letters that are left of those that are meant.
async fn left(app: &App, viewer: &Viewer, chosen: &Chosen, died_by: Option<UnixMs>) -> Result<Letters, Failure> {
    let letters = chosen.letters(app, viewer, died_by).await?;
    if letters.rows.is_empty() {
        return Err(Failure::missing("none of these dead letters is left"));
    }
    Ok(letters)
}

/// Says how many before it acts.
pub(in super::super) async fn confirm(
    State(app): State<Arc<App>>,
    Path(act): Path<String>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    viewer.may_operate()?;
    let chosen = Chosen::of_address(&viewer, query.as_deref().unwrap_or_default(), &FIELDS)?;
    let letters = left(&app, &viewer, &chosen, None).await?;
    let firing = letters.firing(&app).await?;
    let (language, n) = (viewer.manner.language, letters.rows.len());
    let plan = app.engine.plan();
    let (class, verb, inside) = match act.as_str() {
        "retry" => ("b p", say(language, "Retry", "重试"), retried(&viewer.manner, &plan, &letters)),
        "move" => (
            "b p",
            say(language, "Move", "转移"),
            html! {
                label.f { span { (say(language, "To", "目标通道")) } select.in name="to" required { @for name in plan.channels.keys().filter(|name| viewer.caller.may_use(name) && **name != chosen.channel) { option { (name) } } } }
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
    // What is over may be left alone: it is sent as resolved.
    let some = act != "drop" && !firing.is_empty() && firing.len() < n;
    let of = if chosen.channel.is_empty() { count(language, n as u64, "dead letter", "dead letters", "条死信") } else { n.to_string() };
    let body = html! {
        div.head { div {
            h1 { (verb) " " (of) @if !chosen.channel.is_empty() { (say(language, " of ", "，")) (shown(&chosen.channel)) } (say(language, "?", "？")) }
            @if chosen.reason.is_some() { p { (worded(&viewer.manner, &letters.example())) } }
            @if letters.more { p { (say(language, "Only the newest 5,000 that match were read. Older ones stay; come back for them.", "仅读取了最新 5000 条匹配的死信；更早的保持不变，请稍后再处理。")) } }
        } }
        form.conf.grid method="post" action={ "/ui/dead/" (act) } {
            @for (name, value) in chosen.pairs() { input type="hidden" name=(name) value=(value); }
            input type="hidden" name="at" value=(died(&letters.rows).map_or(0, |(_, newest)| newest.0)); input type="hidden" name="letters" value=(hash(&letters.rows));
            @if some { input type="hidden" name="firing" value=(hash(&firing)); }
            (inside)
            @if some { p.dim.s { (say(language, "Of those that do not fire any more, or belong to no incident, readers learn late.", "不再告警或不属于任何事件的死信，收件人将迟到收到。")) } }
            div.acts {
                @if some {
                    button class=(class) name="which" value="firing" { (verb) " " (say(language, "the ", "仍在告警的 ")) (firing.len()) (say(language, " that still fire", " 条")) }
                    button.b name="which" value="all" { (verb) " " (say(language, "all ", "全部 ")) (n) }
                } @else { button class=(class) { (verb) " " (n) } }
                a.b.g href={ "/ui/dead?" (whole(&chosen)) } { (say(language, "Cancel", "取消")) }
            }
        }
    };
    Ok(Page { title: verb.into(), back: Some(("/ui/dead".into(), say(language, "Dead letters", "死信").into())), body, ..Page::default() }
        .of(&viewer))
}

/// The address of the list that was filtered, without what chose a group of it.
fn whole(chosen: &Chosen) -> String {
    let channel = if chosen.reason.is_some() { String::new() } else { chosen.channel.clone() };
    Chosen { reason: None, elsewhere: None, channel, ..chosen.clone() }.query()
}

/// What a retry leads to.
fn retried(manner: &Manner, plan: &Plan, letters: &Letters) -> Markup {
    let language = manner.language;
    let channels: BTreeSet<&str> = letters.rows.iter().map(|row| row.channel.as_str()).collect();
    html! {
        p { (say(language, "For each a new delivery to the same channel is made; what waits there together may leave as one message.", "为每条新建到同一通道的投递；同时等待的可能合并为一条消息。")) }
        @for name in channels {
            @match plan.channel(name) {
                Some(channel) => { p.dim.s { (shown(name)) (say(language, ": ", "：")) (say(language, "the channel’s rate limit is ", "通道限速：")) (pace_of(language, channel)) (say(language, ".", "。")) } }
                None => { p { b { (shown(name)) (say(language, ": ", "：")) (say(language, "the channel is not in the configuration any more; move its letters instead.", "该通道已不在配置中，请改为转移。")) } } }
            }
        }
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

/// The letters that a form confirms: those that it showed, or those of them that fire still.
async fn confirmed(app: &App, form: &Form, chosen: &Chosen) -> Result<Vec<DeliveryRow>, Failure> {
    let changed = || Failure::new(StatusCode::CONFLICT, "these are not the dead letters that were shown; look at the page again");
    let died_by = form.fields.get("at").parse().map(UnixMs);
    let died_by = died_by.map_err(|_| Failure::bad("`at` is when the newest of them died, in Unix milliseconds"))?;
    // What died since is not meant.
    let letters = left(app, &form.viewer, chosen, Some(died_by)).await?;
    if hash(&letters.rows) != form.fields.get("letters") {
        return Err(changed());
    }
    match form.fields.get("which") {
        "" | "all" => Ok(letters.rows),
        "firing" => Some(letters.firing(app).await?).filter(|firing| hash(firing) == form.fields.get("firing")).ok_or_else(changed),
        _ => Err(Failure::bad("`which` is all or firing")),
    }
}

/// Acts on them.
pub(in super::super) async fn act(State(app): State<Arc<App>>, Path(act): Path<String>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    let chosen = Chosen::of(&form.viewer, &form.fields)?;
    let letters = confirmed(&app, &form, &chosen).await?;
    let Form { viewer, fields, .. } = form;
    let to = Some(fields.get("to").to_owned()).filter(|to| act == "move" && !to.is_empty());
    if act == "move" && to.is_none() {
        return Err(Failure::bad("`to` names the channel to move to"));
    }
    let reason = if act == "drop" { Some(fields.get("reason_why").to_owned()) } else { chosen.reason };
    let mut done = 0;
    for rows in letters.chunks(BATCH_SIZE) {
        let request = DeliveriesRequest { ids: rows.iter().map(|row| row.id).collect(), reason: reason.clone(), to: to.clone() };
        match act.as_str() {
            "retry" | "move" => {
                requeue(&app, &viewer.caller, &request).await.map_err(|error| after(done, letters.len(), error.into()))?;
            }
            "drop" => {
                drop_all(&app, &viewer.caller, &request).await.map_err(|error| after(done, letters.len(), error.into()))?;
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
