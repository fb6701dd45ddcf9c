//! How will it look? A template beside the message that its platform would show, on a stored or a pasted body. Nothing is sent, nothing is saved.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Semaphore;

use super::delivery::look_alike;
use super::error_page::in_place;
use super::failure::Failure;
use super::form::{self, Fields};
use super::layout::{Page, Place, fragment};
use super::parts::{count, icon, icon_of, meaning, say, shown, time, unit};
use super::viewer::Viewer;
use crate::delivery::{ChannelPlan, Composed, Plan};
use crate::http::App;
use crate::http::api::{no_id, preview_by};
use crate::http::body::BodySource;
use crate::ingest;
use crate::lookalike::{self, Reader};
use crate::model::{Event, EventId, Finding, Language, Level};
use crate::store::{EventFilter, EventRow};
use crate::template::{DEFAULT_SET, PlatformFields, Source, TemplateRegistry};

/// Stored events to choose from.
const EVENTS: usize = 20;
/// The largest template, and the largest pasted body.
const MAX_TEMPLATE: usize = 64 << 10;
const MAX_BODY: usize = 256 << 10;
/// Alerts that are rendered: a template may loop over them in loops.
const MAX_ALERTS: usize = 20;
/// How long a try waits for the one before it.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pages that are drawn.
const MAX_PAGES: usize = 5;

/// What is shown when nothing was received yet.
const SAMPLE: &str = r#"{"version":"4","status":"firing","groupLabels":{"alertname":"DiskAlmostFull"},"externalURL":"http://alertmanager.example.com",
"alerts":[
{"status":"firing","labels":{"alertname":"DiskAlmostFull","severity":"critical","team":"db","env":"prod","instance":"db-1.prod.example.com:9100","mountpoint":"/var/lib/postgresql"},
"annotations":{"summary":"/var/lib/postgresql on db-1 is 97% full","description":"The filesystem fills at 1.2 GiB an hour; in 38 minutes PostgreSQL stops accepting writes.","runbook_url":"https://runbooks.example.com/disk"},
"startsAt":"2026-01-01T02:59:00Z","generatorURL":"http://prometheus.example.com/graph?g0.expr=disk"},
{"status":"firing","labels":{"alertname":"DiskAlmostFull","severity":"warning","team":"db","env":"prod","instance":"db-2.prod.example.com:9100","mountpoint":"/var/lib/postgresql"},
"annotations":{"summary":"/var/lib/postgresql on db-2 is 88% full"},"startsAt":"2026-01-01T03:04:00Z"}]}"#;

/// `GET /ui/templates`.
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    answer(&app, &viewer, Fields::read(query.as_deref().unwrap_or_default())).await
}

/// A template to try.
pub(super) struct Tried(Viewer, Fields);

impl FromRequest<Arc<App>> for Tried {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        use axum::extract::FromRequestParts as _;
        let (mut parts, body) = request.into_parts();
        form::own(app, &parts)?;
        let viewer = Viewer::from_request_parts(&mut parts, app).await?;
        viewer.may_operate()?;
        let fields = form::read_up_to(app, body, BodySource::Authenticated, 3 * (MAX_TEMPLATE + MAX_BODY)).await?;
        Ok(Self(viewer, fields))
    }
}

/// `POST /ui/templates`: the message, for htmx; else the page with it. With `save`, the template as a file.
pub(super) async fn attempt(State(app): State<Arc<App>>, Tried(viewer, fields): Tried) -> Result<Response, Failure> {
    if fields.has("save") {
        viewer.sees_all()?;
        let plan = app.engine.plan();
        let choice = Choice::of(&plan, &fields)?;
        let name = format!("attachment; filename=\"{}.{}.hbs\"", choice.set, choice.field);
        let headers = [("content-type", "text/plain; charset=utf-8".to_owned()), ("content-disposition", name)];
        return Ok((headers, fields.whole("template").replace("\r\n", "\n")).into_response());
    }
    in_place(&viewer.manner, answer(&app, &viewer, fields).await)
}

/// What is tried.
struct Choice<'p> {
    channel: &'p ChannelPlan,
    set: String,
    field: &'static str,
}

impl<'p> Choice<'p> {
    fn of(plan: &'p Plan, fields: &Fields) -> Result<Self, Failure> {
        let channel = match fields.get("channel") {
            "" => plan.channels.values().find(|channel| !channel.platform.fields.is_empty()),
            name => plan.channels.get(name),
        };
        let channel = channel.ok_or_else(|| Failure::missing(format!("there is no channel `{}` in routes.yaml", fields.get("channel"))))?;
        let set = match fields.get("set") {
            "" => channel.content.template.clone(),
            set => set.to_owned(),
        };
        let known = set.len() <= 64 && !set.starts_with('_') && set.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c));
        if !known {
            return Err(Failure::bad(format!("`{set}` is no name of a template set; letters, digits, `-`, `_` and `.` make one")));
        }
        let specs = channel.platform.fields;
        let spec = specs.iter().find(|spec| spec.name == fields.get("field")).or(specs.first());
        let field = spec.map(|spec| spec.name).ok_or_else(|| Failure::bad(format!("{} has no templates", channel.platform.title)))?;
        Ok(Self { channel, set, field })
    }

    /// `slack/oncall.text.hbs`
    fn file(&self) -> String {
        format!("{}/{}.{}.hbs", self.channel.platform.name, self.set, self.field)
    }

    /// Whether its messages are mails, which have a page of their own.
    fn is_mail(&self) -> bool {
        self.channel.platform.name == "email"
    }

    /// The text that is tried: what was sent, else the text in use.
    fn tried(&self, plan: &Plan, fields: &Fields) -> Result<String, Failure> {
        let text = if fields.has("template") { fields.whole("template").replace("\r\n", "\n") } else { self.text(&plan.templates) };
        match text.len() > MAX_TEMPLATE {
            true => Err(Failure::bad(format!("a template has at most {} KiB", MAX_TEMPLATE / 1024))),
            false => Ok(text),
        }
    }

    /// The text in use.
    fn text(&self, templates: &TemplateRegistry) -> String {
        let of = |set: &str| templates.text(self.channel.platform.name, set, self.field).map(str::to_owned);
        of(&self.set).or_else(|| of(DEFAULT_SET)).unwrap_or_default()
    }
}

/// What came of an attempt.
struct Outcome {
    findings: Vec<Finding>,
    composed: Composed,
}

/// `GET /ui/templates/mail`: the mail that the templates in use make, for the frame that shows it.
pub(super) async fn mail(State(app): State<Arc<App>>, viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    mail_page(&app, &viewer, &Fields::read(query.as_deref().unwrap_or_default())).await
}

/// `POST /ui/templates/mail`: the same with a template that is tried.
pub(super) async fn mail_of(State(app): State<Arc<App>>, Tried(viewer, fields): Tried) -> Result<Response, Failure> {
    mail_page(&app, &viewer, &fields).await
}

async fn mail_page(app: &App, viewer: &Viewer, fields: &Fields) -> Result<Response, Failure> {
    viewer.sees_all()?;
    let plan = app.engine.plan();
    let choice = Choice::of(&plan, fields)?;
    let text = choice.tried(&plan, fields)?;
    let (event, _) = chosen_event(app, viewer, fields, &events(app).await?).await?;
    let outcome = attempt_of(&plan, &choice, &text, &event, viewer).await?;
    let page = outcome.composed.pages.first().filter(|_| choice.is_mail()).ok_or_else(|| Failure::missing("no mail would be sent"))?;
    Ok(super::mail::page(&choice.channel.driver.body(page)))
}

/// The newest events.
async fn events(app: &App) -> Result<Vec<EventRow>, Failure> {
    Ok(app.engine.query().list_events(&EventFilter { limit: EVENTS, ..EventFilter::default() }).await?)
}

/// The event that is rendered, and its id; that is empty for a sample and what was pasted.
async fn chosen_event(app: &App, viewer: &Viewer, fields: &Fields, events: &[EventRow]) -> Result<(Arc<Event>, String), Failure> {
    let newest = events.first().map(|row| row.id.to_string()).unwrap_or_default();
    let chosen = match (fields.get("event"), fields.get("body")) {
        ("", "") => newest,
        ("", _) | ("sample" | "body", _) => String::new(),
        (id, _) => id.to_owned(),
    };
    let mut event = event(app, viewer, fields, &chosen).await?;
    if event.alerts.len() > MAX_ALERTS {
        Arc::make_mut(&mut event).alerts.truncate(MAX_ALERTS);
    }
    Ok((event, chosen))
}

async fn answer(app: &App, viewer: &Viewer, fields: Fields) -> Result<Response, Failure> {
    viewer.sees_all()?;
    let plan = app.engine.plan();
    let choice = Choice::of(&plan, &fields)?;
    let text = choice.tried(&plan, &fields)?;
    let events = events(app).await?;
    let (event, chosen) = chosen_event(app, viewer, &fields, &events).await?;
    let outcome = attempt_of(&plan, &choice, &text, &event, viewer).await?;
    let result = result(viewer, &plan, &choice, &outcome);
    if viewer.manner.fragment {
        return Ok(fragment(result));
    }
    let language = viewer.manner.language;
    let on: &str = if chosen.is_empty() { "sample" } else { &chosen };
    // It is chosen beside the template that is tried, which another page would not have. Who may not try one opens the page with another event.
    let is_known = chosen.is_empty() || events.iter().any(|row| row.id.to_string() == chosen);
    let choice_of_event = html! {
        label.f { span { (say(language, "Event", "事件")) } select.in name="event" {
            @if !is_known { option value=(chosen) selected { (chosen) } }
            @for row in &events { option value=(row.id) selected[row.id.to_string() == chosen] { (time::clock(&viewer.manner, row.received_at)) " · " (shown(&row.source)) } }
            option value="sample" selected[chosen.is_empty()] { (say(language, "A sample", "示例")) }
        } }
    };
    let message = html! { section.sec #out aria-live="polite" { (result) } };
    let body = html! {
        div.head { div {
            h1 { (say(language, "Template playground", "模板试验")) }
            p { (say(language, "What a template makes of an event, as the platform shows it. Sends nothing, saves nothing.", "模板会把事件渲染成什么样，按平台的显示效果。不发送，不保存。")) }
        } }
        form method="get" action="/ui/templates" {
            div.tools {
                label.f { span { (say(language, "Channel", "通道")) } select.in name="channel" {
                    @for channel in plan.channels.values().filter(|channel| !channel.platform.fields.is_empty()) {
                        option selected[channel.name == choice.channel.name] { (channel.name) }
                    }
                } }
                label.f { span { (say(language, "Set", "模板集")) } input.in name="set" value=(choice.set) list="sets"; datalist #sets {
                    @for set in plan.templates.sets(choice.channel.platform.name) { option value=(set) {} }
                } }
                label.f { span { (say(language, "Field", "字段")) } select.in name="field" {
                    @for spec in choice.channel.platform.fields { option selected[spec.name == choice.field] { (spec.name) } }
                } }
                @if viewer.operates { input type="hidden" name="event" value=(on); } @else { (choice_of_event) }
            }
            div.acts.mt { button.b { (say(language, "Open", "打开")) } }
        }
        @if viewer.operates { form method="post" action="/ui/templates" hx-post="/ui/templates" hx-target="#out" hx-trigger="input delay:200ms" hx-sync="this:replace" {
            input type="hidden" name="channel" value=(choice.channel.name);
            input type="hidden" name="set" value=(choice.set);
            input type="hidden" name="field" value=(choice.field);
            div.half.mt { section.sec { h2 { code { (choice.file()) } } (choice_of_event) (editor(language, &choice, &text, fields.get("body"))) } (message) }
            @if choice.is_mail() { (mail_frame(viewer, &choice, &fields, on)) }
        } } @else {
            div.half.mt { section.sec { h2 { code { (choice.file()) } } (template_of(language, &text)) } (message) }
            @if choice.is_mail() { (mail_frame(viewer, &choice, &fields, on)) }
        }
    };
    Ok(Page { title: say(language, "Templates", "模板").into(), at: Place::Templates, body, ..Page::default() }.of(viewer))
}

/// The template that is tried, and a body of one's own.
fn editor(language: Language, choice: &Choice<'_>, text: &str, body: &str) -> Markup {
    html! {
        textarea.in.ed.mt name="template" rows="18" spellcheck="false" aria-label=(say(language, "Template", "模板")) { "\n" (text) }
        details.mt { summary { (say(language, "On a pasted body", "使用粘贴的请求体")) }
            textarea.in name="body" rows="8" spellcheck="false" aria-label=(say(language, "Body", "请求体")) { "\n" (body) } }
        div.acts.mt {
            button.b { (say(language, "Show", "显示")) }
            button.b name="save" value="1" { (icon("in")) (say(language, "Save as file", "保存为文件")) }
            a.b.g href={ "/ui/templates?channel=" (choice.channel.name) "&field=" (choice.field) } { (icon("retry")) (say(language, "Back to what runs", "恢复当前使用的模板")) }
        }
    }
}

/// The template in use, for who may not try another.
fn template_of(language: Language, text: &str) -> Markup {
    html! { pre.code.tall tabindex="0" role="region" aria-label=(say(language, "Template", "模板")) { (shown(text)) } }
}

/// Where a mail is shown as its client shows it. What is tried comes there by a button, for a frame takes no other answer.
fn mail_frame(viewer: &Viewer, choice: &Choice<'_>, fields: &Fields, event: &str) -> Markup {
    let language = viewer.manner.language;
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (channel, set, event) = (encoded(&choice.channel.name), encoded(&choice.set), encoded(event));
    // It knows neither a template nor a body that was sent with a form.
    let is_as_used = !fields.has("template") && fields.get("body").is_empty();
    let address = is_as_used.then(|| format!("/ui/templates/mail?channel={channel}&set={set}&field={}&event={event}", choice.field));
    html! {
        section.sec {
            h2 { (say(language, "As a mail client shows it", "邮件客户端中的样子")) }
            @if viewer.operates { div.acts { button.b formaction="/ui/templates/mail" formtarget="mail" { (icon("retry")) (say(language, "Show the mail", "显示邮件")) } } }
            div.phone.mt { div.lookalike.mail { iframe sandbox="" name="mail" title=(say(language, "The mail", "邮件")) src=[address] {} } }
        }
    }
}

async fn event(app: &App, viewer: &Viewer, fields: &Fields, id: &str) -> Result<Arc<Event>, Failure> {
    let pasted = fields.get("body");
    if pasted.is_empty() && !id.is_empty() {
        let id: EventId = id.parse().map_err(|_| Failure::bad(no_id("event", id)))?;
        let _alone = app.engine.heavy().large_body().await;
        let found = app.engine.query().get_event(id).await?;
        return Ok(found
            .ok_or_else(|| Failure::missing(format!("there is no event {id}; it may have been removed after its retention")))?
            .event
            .event);
    }
    if pasted.len() > MAX_BODY {
        return Err(Failure::bad(format!("the body is longer than {} KiB", MAX_BODY / 1024)));
    }
    let body = if pasted.is_empty() { SAMPLE.to_owned() } else { pasted.to_owned() };
    let (settings, now) = (app.settings.load_full(), viewer.manner.now);
    let parse = move || ingest::parse(&ingest::Sender::Auto, &bytes::Bytes::from(body), &settings.inputs, now).map(|parsed| parsed.event);
    app.engine.heavy().run_blocking(parse).await.map(Arc::new).map_err(|error| Failure::bad(error.to_string()))
}

/// Compiles and renders, apart from everything that delivers: a template may take long, and one that is tried goes on when nobody waits for it any more.
async fn attempt_of(plan: &Arc<Plan>, choice: &Choice<'_>, text: &str, event: &Arc<Event>, viewer: &Viewer) -> Result<Outcome, Failure> {
    static ONE: Semaphore = Semaphore::const_new(1);
    let busy = || Failure::new(StatusCode::TOO_MANY_REQUESTS, "another template is being tried; try again in a moment");
    let place = tokio::time::timeout(QUEUE_TIMEOUT, ONE.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())?;
    let source = Source {
        platform: choice.channel.platform.name.to_owned(),
        set: choice.set.clone(),
        field: choice.field.to_owned(),
        file: format!("templates/{}", choice.file()),
        text: text.to_owned(),
    };
    let (plan, event, now) = (Arc::clone(plan), Arc::clone(event), viewer.manner.now);
    let (channel, set) = (choice.channel.name.to_string(), choice.set.clone());
    let work = move || {
        let Some(channel) = plan.channel(&channel) else { return Outcome { findings: Vec::new(), composed: Composed::default() } };
        let (templates, findings) = plan.templates.with(PlatformFields { platform: channel.platform.name, fields: channel.platform.fields }, source);
        let composed = preview_by(&plan, &templates, channel, &event, &set, now);
        drop(place);
        Outcome { findings, composed }
    };
    // A panic of a template's helper is one of its try only.
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::bad("the template cannot be rendered"))
}

fn result(viewer: &Viewer, plan: &Plan, choice: &Choice<'_>, outcome: &Outcome) -> Markup {
    let language = viewer.manner.language;
    let reader = Reader { now: viewer.manner.now, zone: plan.messages.time_zone.clone() };
    let Outcome { findings, composed } = outcome;
    let platform = choice.channel.platform;
    let bad = findings.iter().filter(|finding| finding.level == Level::Error).count() + composed.fallbacks.len();
    html! {
        h2 { (say(language, "As ", "在 ")) (choice.channel.name) (say(language, " shows it", " 中的样子")) }
        @if bad > 0 {
            p.note.warn { (icon("ask")) span { (say(language, "The built-in text is shown while the template has a mistake: the same happens when it is really sent.", "模板有错误时使用内置文本，实际发送时也是如此。")) } }
        }
        @if composed.pages.is_empty() { p.dim { (say(language, "Nothing would be sent.", "不会发送任何内容。")) } }
        @for page in composed.pages.iter().take(MAX_PAGES) {
            @let size = (platform.measure)(page);
            p.dim.s { (say(language, "page ", "第 ")) (page.number) "/" (page.total) (say(language, "", " 页")) " · " (size.used) (say(language, " of ", " / ")) (size.max) " " (unit(language, size.unit)) }
            @let body = choice.channel.driver.body(page);
            div.phone { (look_alike(&lookalike::html(choice.channel.client(), &body, &reader), None)) }
            @let first = lookalike::notification(choice.channel.client(), &body, &reader);
            @if !first.is_empty() {
                dl.sizes.mt { dt { (say(language, "lock screen", "锁屏")) } dd { span.c1.dim { (shown(&first)) } span.n { (count(language, first.chars().count() as u64, "character", "characters", "个字符")) } } }
            }
        }
        @if composed.pages.len() > MAX_PAGES { p.dim.s { (composed.pages.len() - MAX_PAGES) (say(language, " more pages", " 页未显示")) } }
        (mistakes(language, findings, composed))
    }
}

fn mistakes(language: Language, findings: &[Finding], composed: &Composed) -> Markup {
    html! {
        @if !findings.is_empty() || !composed.fallbacks.is_empty() {
            h2.h2 { (count(language, (findings.len() + composed.fallbacks.len()) as u64, "finding", "findings", "项发现")) }
            ul.card.rows {
                @for finding in findings {
                    li.find {
                        (icon_of("alert", if finding.level == Level::Error { "bad" } else { "wn" }))
                        span {
                            @if let Some(code) = meaning(language, finding.code) { b { (code.title_zh) "。" } (code.help_zh) br; }
                            b lang="en" { (shown(&finding.message)) }
                            br; span.dim.s {
                                @if let Some(span) = finding.place.as_ref().and_then(|place| place.span) { (say(language, "line ", "行 ")) (span.line) (say(language, ", column ", "，列 ")) (span.column) (say(language, ": ", "：")) }
                                span lang="en" { (shown(&finding.label)) @for note in &finding.notes { " " (shown(note)) } }
                            }
                        }
                    }
                }
                @for error in &composed.fallbacks { li.find { (icon_of("alert", "bad")) span { b lang="en" { (shown(&error.to_string())) } } } }
            }
        }
    }
}
