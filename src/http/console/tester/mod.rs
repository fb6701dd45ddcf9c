//! Where would it go? Labels, a pasted body or a stored event through the routing tree, with every matcher that held or failed. Nothing is sent or stored.

mod expectation;

use std::sync::Arc;

use axum::extract::{FromRequest, RawQuery, Request, State};
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::error_page::in_place;
use super::failure::Failure;
use super::form::{self, Fields};
use super::layout::{Page, Place, fragment};
use super::manner::Manner;
use super::parts::{Look, badge_of, count, icon, icon_of, plain, say, shown, time, worded};
use super::readiness::trouble;
use super::viewer::Viewer;
use crate::api::ChannelState;
use crate::delivery::Plan;
use crate::delivery::mutes::{ActiveMutes, Mutes};
use crate::http::App;
use crate::http::api::channels::states;
use crate::http::api::no_id;
use crate::http::body::BodySource;
use crate::http::explain::{absorbed_text, mutes_text};
use crate::ingest;
use crate::model::{Event, Labels, Language};
use crate::route::Explanation;
use crate::route::tree::{ExplainedTarget, Step};
use crate::store::{EventFilter, EventRow};
use crate::template::reason;

/// Stored events to choose from.
const EVENTS: usize = 10;
/// Alerts of a body whose ways are shown.
const MAX_ALERTS: usize = 20;
/// The largest pasted body.
const MAX_BODY: usize = 1 << 20;

/// What is to be routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Labels,
    Body,
    Event,
}

impl Of {
    fn read(fields: &Fields) -> Self {
        match fields.get("of") {
            "body" => Self::Body,
            "event" => Self::Event,
            _ => Self::Labels,
        }
    }
}

/// What was asked, as it was written.
struct Asked {
    of: Of,
    fields: Fields,
}

/// `GET /ui/route`: the address holds the labels, or names the event.
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let fields = Fields::read(query.as_deref().unwrap_or_default());
    in_place(&viewer.manner, answer(&app, &viewer, Asked { of: Of::read(&fields), fields }).await)
}

/// A pasted body.
pub(super) struct Pasted(Viewer, Fields);

impl FromRequest<Arc<App>> for Pasted {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        use axum::extract::FromRequestParts as _;
        let (mut parts, body) = request.into_parts();
        form::own(app, &parts)?;
        let viewer = Viewer::from_request_parts(&mut parts, app).await?;
        let fields = form::read_up_to(app, body, BodySource::Authenticated, 3 * MAX_BODY).await?;
        Ok(Self(viewer, fields))
    }
}

/// `POST /ui/route`: a body is too long for an address. Nothing changes by it.
pub(super) async fn paste(State(app): State<Arc<App>>, Pasted(viewer, fields): Pasted) -> Result<Response, Failure> {
    in_place(&viewer.manner, answer(&app, &viewer, Asked { of: Of::Body, fields }).await)
}

async fn answer(app: &App, viewer: &Viewer, asked: Asked) -> Result<Response, Failure> {
    viewer.sees_all()?;
    let language = viewer.manner.language;
    let result = result(app, viewer, &asked).await?;
    let events = newest(app, &asked).await?;
    if viewer.manner.fragment {
        return Ok(fragment(result));
    }
    let body = html! {
        div.head { div {
            h1 { (say(language, "Route tester", "路由测试")) }
            p { (say(language, "Where labels go, and why not elsewhere. Sends nothing.", "标签会路由到哪里，以及为什么不去别处。不会发送任何消息。")) }
        } }
        (ask(&viewer.manner, &asked, &events))
        section #result aria-live="polite" { (result) }
    };
    Ok(Page { title: say(language, "Route tester", "路由测试").into(), at: Place::Route, body, ..Page::default() }.of(viewer))
}

/// The newest events, where one of them is to be chosen.
async fn newest(app: &App, asked: &Asked) -> Result<Vec<EventRow>, Failure> {
    match asked.of {
        Of::Event => Ok(app.engine.query().list_events(&EventFilter { limit: EVENTS, ..EventFilter::default() }).await?),
        Of::Labels | Of::Body => Ok(Vec::new()),
    }
}

/// What to choose a stored event from: the newest, and the one that the address names.
fn choice(manner: &Manner, events: &[EventRow], chosen: &str) -> Markup {
    let is_known = chosen.is_empty() || events.iter().any(|row| row.id.to_string() == chosen);
    html! {
        select.in name="event" {
            option value="" { (say(manner.language, "Choose one of the newest", "选择最近的事件")) }
            @if !is_known { option value=(plain(chosen)) selected { (plain(chosen)) } }
            @for row in events { option value=(row.id) selected[row.id.to_string() == chosen] { (time::whole(manner, row.received_at)) " · " (plain(&row.source)) } }
        }
    }
}

fn ask(manner: &Manner, asked: &Asked, events: &[EventRow]) -> Markup {
    let language = manner.language;
    let tabs = [
        (Of::Labels, "/ui/route", say(language, "Labels", "标签")),
        (Of::Body, "/ui/route?of=body", say(language, "Pasted body", "粘贴请求体")),
        (Of::Event, "/ui/route?of=event", say(language, "Stored event", "已存事件")),
    ];
    let (method, trigger) = if asked.of == Of::Body { ("post", "submit") } else { ("get", "submit, input delay:200ms") };
    let field = |name| asked.fields.get(name);
    html! {
        form.card.pad.grid method=(method) action="/ui/route" hx-get=[(asked.of != Of::Body).then_some("/ui/route")]
            hx-post=[(asked.of == Of::Body).then_some("/ui/route")] hx-target="#result" hx-trigger=(trigger) hx-sync="this:replace"
            hx-push-url=[(asked.of != Of::Body).then_some("true")] {
            nav.tabs aria-label=(say(language, "What to route", "测试对象")) {
                @for (of, path, word) in tabs { a href=(path) aria-current=[(of == asked.of).then_some("page")] { (word) } }
            }
            @match asked.of {
                Of::Labels => label.f {
                    span { (say(language, "Labels", "标签")) " " small { (say(language, "one a line", "每行一个")) } }
                    textarea.in name="labels" rows="6" spellcheck="false" placeholder="alertname=DiskFull\nseverity=critical" { (field("labels")) }
                },
                Of::Body => {
                    input type="hidden" name="of" value="body";
                    label.f {
                        span { (say(language, "A webhook’s body", "Webhook 请求体")) " " small { (say(language, "of Alertmanager, Grafana or another sender", "来自 Alertmanager、Grafana 或其他来源")) } }
                        textarea.in name="body" rows="12" spellcheck="false" { (field("body")) }
                    }
                }
                Of::Event => {
                    input type="hidden" name="of" value="event";
                    label.f { span { (say(language, "Event", "事件")) } (choice(manner, events, field("event"))) }
                }
            }
            label.f {
                span { (say(language, "At", "时间")) " " small { (say(language, "now, or RFC 3339; matters for time intervals", "now 或 RFC 3339；仅影响时间段")) } }
                input.in name="at" value=(if field("at").is_empty() { "now" } else { field("at") });
            }
            div.acts { button.b.p { (say(language, "Test", "测试")) } }
        }
    }
}

async fn result(app: &App, viewer: &Viewer, asked: &Asked) -> Result<Markup, Failure> {
    let language = viewer.manner.language;
    let at = match asked.fields.get("at") {
        "" | "now" => viewer.manner.now,
        text => text.parse::<Timestamp>().map_err(|_| Failure::bad(format!("`{text}` is no time; write `now` or 2026-11-28T03:24:10+08:00")))?,
    };
    let plan = app.engine.plan();
    let channels = states(app, &viewer.caller).await?.channels;
    let alerts: Vec<(String, Labels)> = match asked.of {
        Of::Labels if asked.fields.get("labels").is_empty() => Vec::new(),
        Of::Labels => {
            let labels = labels(asked.fields.get("labels"))?;
            vec![(labels.get("alertname").cloned().unwrap_or_default(), labels)]
        }
        Of::Event if asked.fields.get("event").is_empty() => Vec::new(),
        Of::Event => of_event(&*event(app, asked.fields.get("event")).await?),
        Of::Body if asked.fields.get("body").is_empty() => Vec::new(),
        Of::Body => of_event(&parsed(app, asked.fields.get("body"), at).await?),
    };
    if alerts.is_empty() {
        return Ok(html! { p.dim.mt { (say(language, "The answer appears here.", "结果显示在这里。")) } });
    }
    let rest = alerts.len().saturating_sub(MAX_ALERTS);
    let mutes = app.engine.mutes();
    Ok(html! {
        @for (name, labels) in alerts.iter().take(MAX_ALERTS) {
            @if alerts.len() > 1 { h2.h2 { (shown(name)) } }
            (one(viewer, &plan, (&channels, &mutes), labels, at, asked))
        }
        @if rest > 0 { p.dim.mt { (rest) (say(language, " more alerts of this body are routed the same way and are not shown.", " 条告警按同样方式路由，未列出。")) } }
    })
}

fn of_event(event: &Event) -> Vec<(String, Labels)> {
    event.alerts.iter().map(|alert| (alert.name().to_owned(), alert.labels.clone())).collect()
}

async fn event(app: &App, id: &str) -> Result<Arc<Event>, Failure> {
    let id = id.parse().map_err(|_| Failure::bad(no_id("event", id)))?;
    // It may be large: one in memory at a time.
    let _alone = app.engine.heavy().large_body().await;
    let event = app.engine.query().get_event(id).await?.map(|found| found.event.event);
    event.ok_or_else(|| Failure::missing(format!("there is no event {id}; it may have been removed after its retention")))
}

async fn parsed(app: &App, body: &str, now: Timestamp) -> Result<Event, Failure> {
    if body.len() > MAX_BODY {
        return Err(Failure::bad(format!("the body is longer than {} KiB", MAX_BODY / 1024)));
    }
    let (settings, body) = (app.settings.load_full(), bytes::Bytes::from(body.to_owned()));
    let parse = move || ingest::parse(&ingest::Sender::Auto, &body, &settings.inputs, now).map(|parsed| parsed.event);
    app.engine.heavy().run_blocking(parse).await.map_err(|error| Failure::bad(error.to_string()))
}

/// `alertname=DiskFull`, one a line; on a single line also with blanks between.
fn labels(text: &str) -> Result<Labels, Failure> {
    let text = text.trim();
    let split: Vec<&str> = if text.contains('\n') { text.lines().collect() } else { text.split_whitespace().collect() };
    let mut labels = Labels::new();
    for pair in split.into_iter().map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| Failure::bad(format!("`{pair}` is no label; write NAME=VALUE, one a line")))?;
        labels.insert(name.trim().to_owned(), value.trim().trim_matches('"').to_owned());
    }
    Ok(labels)
}

fn one(viewer: &Viewer, plan: &Plan, (channels, mutes): (&[ChannelState], &Mutes), labels: &Labels, at: Timestamp, asked: &Asked) -> Markup {
    let language = viewer.manner.language;
    if let Some(heartbeat) = plan.absorbed(labels) {
        return html! { div.note.acc { (icon("ok")) p { (worded(&viewer.manner, &absorbed_text(heartbeat))) } } };
    }
    let explanation = plan.tree.explain(labels, at);
    let active = mutes.at(explanation.at.into());
    html! {
        h2.h2 { (say(language, "Goes to", "发往")) }
        @if explanation.targets.is_empty() { p.card.pad { (say(language, "Nowhere.", "哪里都不去。")) } } @else {
            ul.card.rows { @for target in &explanation.targets { (goes_to(viewer, plan, (channels, &active), target, labels)) } }
        }
        @for line in mutes_text(mutes, &explanation, labels).lines() { div.note.warn.mt { (icon("mute")) p { (worded(&viewer.manner, line)) } } }
        @for also in &explanation.also {
            p.dim.s.mt { (shown(&also.target.channel)) " " (say(language, "is asked for by", "还被以下路由选中：")) " " (shown(&also.route_name)) " " (say(language, "too; it is sent there once.", "，只发送一次。")) }
        }
        section.sec { h2 { (say(language, "Every route that was tried", "尝试过的所有路由")) }
            div.card.pad { ul.tree { (tree(language, &explanation, &explanation.steps)) } } }
        (expectation::section(language, (plan, &explanation), labels, asked.fields.get("at")))
    }
}

fn goes_to(
    viewer: &Viewer,
    plan: &Plan,
    (channels, mutes): (&[ChannelState], &ActiveMutes<'_>),
    target: &ExplainedTarget,
    labels: &Labels,
) -> Markup {
    let language = viewer.manner.language;
    let state = channels.iter().find(|channel| *channel.name == *target.target.channel);
    html! {
        li {
            (icon("channels")) b { (shown(&target.target.channel)) }
            span.dim.s { (say(language, "by ", "由 ")) (shown(&target.route_name))
                @if let Some(name) = target.target.escalation.as_deref() {
                    (say(language, ", ", "，")) (say(language, "escalation ", "升级策略 ")) (shown(name))
                    @if let Some(escalation) = plan.people.escalations.get(name) { (say(language, ": ", "：")) (shown(&plan.people.in_words(escalation, Some(labels), &|channel| plan.sends(channel), language))) }
                }
            }
            span.end {
                @if state.is_some_and(|channel| channel.disabled) {
                    (badge_of(Look { class: "q", icon: "dash", en: "", zh: "" }, say(language, "disabled: it is skipped", "已停用：将跳过")))
                } @else if let Some(muted) = &target.target.muted {
                    @let until = muted.until.map(|until| time::whole(&viewer.manner, until.into()));
                    @let word = if muted.drop { say(language, "dropped", "丢弃") } else { say(language, "deferred", "推迟") };
                    (badge_of(Look { class: "q", icon: "mute", en: "", zh: "" }, &format!("{word}{}{}{}", say(language, ": ", "："), muted.by, until.map(|until| format!("{}{until}", say(language, ", ", "，"))).unwrap_or_default())))
                } @else if let Some(active) = mutes.of_alert(&target.target.channel, labels) {
                    (badge_of(Look { class: "q", icon: "mute", en: "", zh: "" }, if active.mute.drop { say(language, "dropped", "丢弃") } else { say(language, "deferred", "推迟") }))
                } @else if let Some((look, why)) = state.and_then(|channel| trouble(channel, viewer.manner.now.into(), language)) {
                    (badge_of(look, &format!("{}{}{}", say(language, look.en, look.zh), say(language, ": ", "："), reason(language, &why))))
                } @else { span.dim.s { (say(language, "at once", "立即")) } }
            }
        }
    }
}

/// The steps of one depth, each with those below it, as a list of matchers with a tick or a cross.
pub(super) fn tree(language: Language, explanation: &Explanation, steps: &[Step]) -> Markup {
    let Some(depth) = steps.first().map(|step| step.depth) else { return html! {} };
    let places: Vec<usize> = (0..steps.len()).filter(|place| steps[*place].depth == depth).collect();
    html! {
        @for (n, place) in places.iter().enumerate() {
            @let end = places.get(n + 1).copied().unwrap_or(steps.len());
            @let (step, below) = (&steps[*place], &steps[*place + 1..end]);
            li.hit[step.matched] {
                div.nd {
                    (icon_of(if step.matched { "check" } else { "x" }, if step.matched { "y" } else { "x" })) b { (shown(&step.name)) } " "
                    @if step.matchers.is_empty() { span.m { (say(language, "everything", "全部")) } }
                    @for matcher in &step.matchers { (matcher_of(language, step, matcher)) }
                }
                p.why { (why(language, explanation, step)) }
                @if !below.is_empty() { ul { (tree(language, explanation, below)) } }
            }
            @if step.not_tried > 0 {
                li.skipped { div.nd { (icon("dash")) b { (count(language, step.not_tried as u64, "later route", "later routes", "条后续路由")) } }
                    p.why { (say(language, "not tried: ", "未尝试：")) (shown(&step.name)) (say(language, " matched and does not continue", " 已匹配且没有 continue")) } }
            }
        }
    }
}

/// A matcher: it held, it failed, or nobody asked any more because one before it had failed.
fn matcher_of(language: Language, step: &Step, matcher: &str) -> Markup {
    let failed = step.failed.as_ref().and_then(|failed| step.matchers.iter().position(|known| *known == failed.matcher));
    let here = step.matchers.iter().position(|known| known == matcher);
    match (failed, here) {
        (Some(failed), Some(here)) if here == failed => {
            html! { span.lab.no { (icon("x")) span.vh { (say(language, "fails: ", "不匹配：")) } (shown(matcher)) } }
        }
        (Some(failed), Some(here)) if here > failed => html! { span.lab { (shown(matcher)) } },
        _ => html! { span.lab.yes { (icon("check")) span.vh { (say(language, "matches: ", "匹配：")) } (shown(matcher)) } },
    }
}

fn why(language: Language, explanation: &Explanation, step: &Step) -> Markup {
    let to: Vec<&str> =
        explanation.targets.iter().chain(&explanation.also).filter(|t| t.target.route == step.node).map(|t| &*t.target.channel).collect();
    html! {
        @if let Some(failed) = &step.failed {
            (shown(&failed.label)) " "
            @if failed.missing { (say(language, "is absent: it counts as \"\"", "不存在，视为 \"\"")) } @else { (say(language, "is ", "为 ")) (shown(&format!("{:?}", failed.value))) }
        } @else {
            @if !to.is_empty() { (say(language, "to ", "发往 ")) b { (shown(&to.join(", "))) } } @else { (say(language, "unless a route below says otherwise", "除非下级路由另有指定")) }
            @for interval in &step.intervals {
                " · " (shown(&interval.name)) " " (if interval.holds { say(language, "holds now", "当前生效") } else { say(language, "does not hold now", "当前不生效") })
            }
            @if let Some(muted) = &step.muted { " · " (say(language, "muted by ", "静音于 ")) (shown(&muted.by)) }
            @if step.continues { " · " (say(language, "continue: the next routes are tried as well", "continue：继续尝试后续路由")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_one_a_line_or_with_blanks_between() {
        let read = |text: &str| labels(text).map(|labels| labels.into_iter().collect::<Vec<_>>());
        let two = vec![("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x y=z".to_owned())];
        assert_eq!(read("a=1\r\n b = x y=z \n\n").unwrap(), two);
        assert_eq!(read("a=1 b=\"2\"").unwrap(), [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        assert!(matches!(labels("a"), Err(Failure::Answer(_, why)) if why.contains("`a` is no label")));
    }
}
