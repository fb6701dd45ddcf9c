//! On call: whom do I call, and is there a hole? Who is on call now, four weeks ahead, and overrides by hand.

mod month;
mod now;

pub(super) use now::aside;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::failure::Failure;
use super::form::{Form, go};
use super::layout::{Page, Place};
use super::parts::{icon, say, shown, time};
use super::viewer::Viewer;
use crate::api::OverrideRequest;
use crate::delivery::links::{CalendarOf, calendar_url};
use crate::delivery::{Plan, Rota};
use crate::http::App;
use crate::http::api::oncall::{add_by, calendar_for, end_by};
use crate::model::{Language, UnixMs};
use crate::store::Override;
use crate::template;

/// How far ahead is shown.
const AHEAD: Duration = Duration::from_secs(28 * 86_400);

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer) -> Result<Response, Failure> {
    viewer.sees_all()?;
    app.engine.refresh_overrides().await?;
    let language = viewer.manner.language;
    let (plan, now) = (app.engine.plan(), UnixMs::from(viewer.manner.now));
    let overrides = plan.people.active_overrides(&app.engine.overrides());
    let body = if plan.people.rotas.is_empty() {
        empty(language)
    } else {
        html! {
            div.head { div { h1 { (heading(language, &plan, &overrides, now)) } p { (say(language, "The table is in ", "表格时间为 ")) (time::zone_name(&viewer.manner)) (say(language, ", everything else in each rota’s own zone.", "，其余为各轮值表自己的时区。")) } } }
            section { h2.h2.first { (say(language, "Now", "当前")) } div.nowc { @for rota in plan.people.rotas.values() { (now::card(&viewer, &plan, rota, &overrides)) } } }
            (month::table(&viewer, &plan, &overrides))
            div.half {
                div { (month::changes(&viewer, &plan, &overrides)) (calendars(language, &plan)) }
                div { (arranged(&viewer, &plan, &overrides)) @if viewer.operates { (form(language, &plan)) } }
            }
        }
    };
    Ok(Page { title: say(language, "On call", "值班").into(), at: Place::OnCall, body, ..Page::default() }.of(&viewer))
}

/// A first rota.
const EXAMPLE: &str = "people:
  ann: { mobile: \"+4915112345678\" }
  bob: { mobile: \"+4915187654321\" }
rotas:
  db: { handoff: \"monday 10:00\", start: 2026-11-30, people: [ann, bob] }
";

/// What is on call where there is nothing of it.
fn empty(language: Language) -> Markup {
    html! {
        div.head { div { h1 { (say(language, "No rota", "没有轮值表")) } p { (say(language, "Here is who is on call, now and in the next four weeks.", "这里显示现在及未来四周的值班人员。")) } } }
        div.card.pad {
            p { (say(language, "A rota is people who take turns. With these lines in routes.yaml, steps of escalations reach who is on call:", "轮值表是轮流值班的一组人。在 routes.yaml 中加入以下内容后，升级步骤会通知当前值班人：")) }
            pre.code.mt { (EXAMPLE) }
            div.acts.mt { button.b type="button" data-copy=(EXAMPLE) { (icon("copy")) (say(language, "Copy", "复制")) } }
        }
    }
}

/// The first hole; else who is on call.
fn heading(language: Language, plan: &Plan, overrides: &[Override], now: UnixMs) -> String {
    for rota in plan.people.rotas.values() {
        let shifts = rota.between(now, now + AHEAD, overrides);
        match shifts.first() {
            None => return format!("{}{}", say(language, "Nobody for ", "无人值班："), rota.name),
            Some(first) if first.from > now => {
                return format!(
                    "{}{}{}{}",
                    say(language, "Nobody for ", "无人值班："),
                    rota.name,
                    say(language, " until ", "，直到 "),
                    time::day(language, &rota.zone, first.from)
                );
            }
            Some(_) => {}
        }
    }
    let on_call = |rota: &Rota| {
        let shift = rota.at(now, overrides)?;
        Some(format!("{}{}{}", plan.people.people.shown(&shift.person), say(language, " for ", "："), rota.name))
    };
    let all: Vec<String> = plan.people.rotas.values().filter_map(on_call).collect();
    if all.len() <= 3 {
        all.join(say(language, ", ", "，"))
    } else {
        format!("{} {}", all.len(), say(language, "rotas, each has somebody", "个轮值表，均有人值班"))
    }
}

fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// Files for calendars.
fn calendars(language: Language, plan: &Plan) -> Markup {
    let link = |kind: CalendarOf, name: &str, text: &str| {
        html! {
            a.l href={ "/ui/oncall/" (kind.as_str()) "/" (encoded(name)) "/calendar.ics" } download { (shown(text)) }
            " " a.dim.s href=(calendar_url(plan, kind, name)) { (say(language, "address to subscribe", "订阅地址")) }
        }
    };
    html! {
        section.sec { h2 { (say(language, "Calendars (iCal)", "日历（iCal）")) }
            ul.card.rows {
                @for name in plan.people.rotas.keys() { li { (icon("oncall")) (link(CalendarOf::Rota, name, name)) } }
                @for name in plan.people.people.names() { li { (icon("acked")) (link(CalendarOf::Person, name, plan.people.people.shown(name))) } }
            }
            p.dim.s.mt { (say(language, "A calendar subscribes by its address, without a login: who has the address can read the shifts. A new server.link_key ends all of them.", "日历软件用订阅地址订阅，无需登录：持有地址的人都能查看排班。更换 server.link_key 后，所有地址失效。")) }
        }
    }
}

/// The overrides that have not ended.
fn arranged(viewer: &Viewer, plan: &Plan, overrides: &[Override]) -> Markup {
    let language = viewer.manner.language;
    let now = UnixMs::from(viewer.manner.now);
    let mut open: Vec<&Override> = overrides.iter().filter(|one| one.until > now).collect();
    open.sort_by_key(|one| one.from);
    html! {
        section.sec { h2 { (say(language, "Overrides", "换班")) }
            ul.card.rows {
                @if open.is_empty() { li { span.dim { (say(language, "None. An override puts somebody in place of those whose turn it is, for a time.", "暂无。换班让某人在一段时间内代替轮到的人。")) } } }
                @for one in open {
                    @let zone = plan.people.rotas.get(one.rota.as_str()).map_or(&viewer.manner.zone, |rota| &rota.zone);
                    li.arr {
                        (icon("swap")) span { b { (shown(plan.people.people.shown(&one.person))) } (say(language, " in ", "，")) (shown(&one.rota)) div.dim.s {
                            (time::day(language, zone, one.from)) (say(language, " to ", " 至 ")) (time::day(language, zone, one.until))
                            (say(language, ", by ", "，由 ")) (shown(template::who(language, &one.by))) @if !one.reason.is_empty() { ": “" (shown(&one.reason)) "”" }
                        } }
                        @if viewer.operates { form.end method="post" action={ "/ui/oncall/overrides/" (one.id) "/end" } { button.b.sm aria-label={ (say(language, "End override ", "结束换班 ")) (one.id) } { (say(language, "End", "结束")) } } }
                    }
                }
            }
        }
    }
}

/// Makes an override.
fn form(language: Language, plan: &Plan) -> Markup {
    let zone = |rota: &Rota| rota.zone.iana_name().unwrap_or("UTC").to_owned();
    html! {
        form #override.card.pad.grid.mt method="post" action="/ui/oncall/overrides" {
            h2 { (say(language, "Make an override", "新增换班")) }
            div.tools.two {
                label.f { span { (say(language, "Rota", "轮值表")) " " small { (say(language, "times are in its zone", "时间按其时区")) } } select.in name="rota" required { @for rota in plan.people.rotas.values() { option value=(rota.name) { (shown(&rota.name)) (say(language, " (", "（")) (zone(rota)) (say(language, ")", "）")) } } } }
                label.f { span { (say(language, "Who is on call", "由谁值班")) } select.in name="person" required { @for name in plan.people.people.names() { option value=(name) { (shown(plan.people.people.shown(name))) } } } }
                label.f { span { (say(language, "From", "从")) " " small { (say(language, "empty: now", "留空：现在")) } } input.in type="datetime-local" name="from"; }
                label.f { span { (say(language, "Until", "至")) } input.in type="datetime-local" name="until" required; }
            }
            label.f { span { (say(language, "Why", "原因")) } input.in name="reason" maxlength="500"; }
            div.acts { button.b.p { (say(language, "Make the override", "新增换班")) } }
        }
    }
}

/// Makes an override.
pub(super) async fn add(State(app): State<Arc<App>>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    let field = |name: &str| form.fields.get(name).to_owned();
    let some = |name: &str| Some(field(name)).filter(|text| !text.is_empty());
    let asked = OverrideRequest { rota: field("rota"), person: field("person"), from: some("from"), until: field("until"), reason: some("reason") };
    add_by(&app, &form.viewer.caller, asked).await?;
    Ok(go(&headers, "/ui/oncall"))
}

/// Ends an override.
pub(super) async fn end(State(app): State<Arc<App>>, Path(number): Path<String>, headers: HeaderMap, form: Form) -> Result<Response, Failure> {
    end_by(&app, &form.viewer.caller, &number).await?;
    Ok(go(&headers, "/ui/oncall"))
}

/// A file for calendars.
pub(super) async fn calendar(State(app): State<Arc<App>>, Path((kind, name)): Path<(String, String)>, viewer: Viewer) -> Result<Response, Failure> {
    match kind.as_str() {
        "rotas" => Ok(calendar_for(&app, &viewer.caller, CalendarOf::Rota, &name)?),
        "people" => Ok(calendar_for(&app, &viewer.caller, CalendarOf::Person, &name)?),
        _ => Err(Failure::missing("a calendar is of one of `rotas` or of `people`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, from_text};

    #[test]
    fn the_example_works() {
        let text = format!("{EXAMPLE}channels: {{ ops: {{ log: {{}} }} }}\nroute: {{ to: [ops] }}\n");
        let loaded = from_text(std::path::Path::new("routes.yaml"), &text, &LoadOptions::without_secrets()).unwrap();
        assert_eq!(loaded.plan.people.rotas.len(), 1);
    }
}
