//! `watchfire render --channel C --payload F`: what would be sent, page by page, as the platform's client shows it.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde_json::json;

use super::print::no_channel;
use super::{Common, ExitStatus, load};
use crate::api::EventResponse;
use crate::delivery::{ChannelPlan, Composed, Plan};
use crate::http::api::preview;
use crate::ingest::{self, Inputs, Sender};
use crate::lookalike::{self, Reader};
use crate::model::{Event, Facts, Page, Status, unreadable};
use crate::template::{self, Entry, EntryStatus, IncidentView, LineKind, Now, Scene, Totals, ViewInput};

/// Options of `render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// The channel.
    #[arg(long, short, value_name = "NAME")]
    channel: String,
    /// A webhook body; `-` reads standard input.
    #[arg(long, short, value_name = "FILE", required_unless_present = "event")]
    payload: Option<PathBuf>,
    /// A body that was received: its event's id. The store keeps each for as long as its deliveries (`retention`).
    #[arg(long, value_name = "ID", conflicts_with = "payload")]
    event: Option<String>,
    /// Render a short text about an incident in place of its card: what is new, that it goes on, that all of it is over by now. Its number is made up.
    #[arg(long, value_name = "FORM")]
    form: Option<LineForm>,
    /// Render as of this time (RFC 3339). Default: now.
    #[arg(long, value_name = "RFC3339")]
    at: Option<Timestamp>,
    /// Write a page that looks like the platform's client.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub(super) html: Option<PathBuf>,
}

/// The short texts about an incident.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LineForm {
    /// What is new: all that fires.
    News,
    /// It goes on.
    Again,
    /// It ended.
    Over,
}

/// Renders a payload for a channel.
pub fn run(common: &Common, args: &RenderArgs) -> Result<ExitStatus> {
    // An event may come from another machine; the channel and the templates are this one's.
    if args.event.is_none() {
        common.refuse_remote("render --payload")?;
    }
    let loaded = load(common, false)?;
    let now = args.at.unwrap_or_else(|| crate::delivery::Clock::system().wall().timestamp());
    let event = of(common, args.payload.as_deref(), args.event.as_deref(), &loaded.inputs, now)?;
    let plan = &loaded.plan;
    let channel = plan.channel(&args.channel).ok_or_else(|| no_channel(plan, &args.channel))?;
    let composed = match args.form {
        Some(form) => Composed { pages: vec![line(plan, channel, &event, form, now)], ..Composed::default() },
        None => preview(plan, channel, &event, now),
    };
    for error in &composed.fallbacks {
        anstream::eprintln!("a template failed, the built-in one is shown: {error}");
    }
    let reader = Reader { now, zone: plan.messages.time_zone.clone() };
    let platform = channel.platform.name;
    let caption = |page: &Page| {
        let size = (channel.platform.measure)(page);
        format!("page {}/{} · {} of {} {}", page.number, page.total, size.used, size.max, size.unit)
    };
    if common.json {
        let page = |page: &Page| {
            let size = (channel.platform.measure)(page);
            json!({ "page": page, "body": channel.driver.body(page), "size": size.used, "limit": size.max, "unit": size.unit })
        };
        let pages: Vec<_> = composed.pages.iter().map(page).collect();
        anstream::println!("{}", json!({ "channel": args.channel, "platform": platform, "template": composed.template, "pages": pages }));
    } else if let Some(file) = &args.html {
        let message =
            |page: &Page| (format!("{} · {}", args.channel, caption(page)), lookalike::html(channel.client(), &channel.driver.body(page), &reader));
        let html = lookalike::document(&args.channel, composed.pages.iter().map(message));
        std::fs::write(file, html).with_context(|| format!("{} cannot be written", file.display()))?;
        anstream::println!("{}: {}", file.display(), composed.pages.iter().map(caption).collect::<Vec<_>>().join(", "));
    } else {
        for page in &composed.pages {
            anstream::println!("── {} ──", caption(page));
            anstream::print!("{}", lookalike::terminal(channel.client(), &channel.driver.body(page), &reader));
        }
    }
    Ok(if composed.fallbacks.is_empty() && !composed.pages.is_empty() { ExitStatus::Success } else { ExitStatus::Failure })
}

/// A short text about the incident that a body alone would be.
fn line(plan: &Plan, channel: &ChannelPlan, event: &Event, form: LineForm, now: Timestamp) -> Page {
    let kind = match form {
        LineForm::News => LineKind::News,
        LineForm::Again => LineKind::Again,
        LineForm::Over => LineKind::Over,
    };
    let ended;
    let event = match form {
        LineForm::Over => {
            ended = at_its_end(event, now);
            &ended
        }
        LineForm::News | LineForm::Again => event,
    };
    let status = |status| if status == Status::Firing { EntryStatus::Firing } else { EntryStatus::Resolved };
    let mut entries: Vec<Entry<'_>> = event.alerts.iter().map(|alert| Entry { alert, event, status: status(alert.status) }).collect();
    entries.sort_by_key(|entry| (entry.status, plan.scale.of(entry.alert)));
    let totals = Totals::of(&entries, &plan.scale);
    let incident = IncidentView { number: 1842, ..IncidentView::default() };
    let now = Now { at: now, zone: &plan.messages.time_zone };
    let scene = Scene::new(ViewInput {
        range: 0..totals.firing,
        totals: Totals { truncated: event.truncated, goes_on: totals.firing == 0 && event.may_fire_on(), ..totals },
        incident: Some(&incident),
        ..ViewInput::of(&entries, event, channel.content.language, now, &plan.scale, &plan.messages.shown)
    });
    let facts = Facts { form: kind.into(), ..template::facts(&scene) };
    Page::of_text(template::line_fields(channel.platform.fields, &scene, kind), facts)
}

/// What is left of an event when all that it reports as firing is over, as of now.
fn at_its_end(event: &Event, now: Timestamp) -> Event {
    let mut ended = Event { status: Status::Resolved, truncated: 0, ..event.clone() };
    for alert in ended.alerts.iter_mut().filter(|alert| alert.status == Status::Firing) {
        (alert.status, alert.ends_at) = (Status::Resolved, Some(now));
    }
    ended
}

/// The body that is meant: a file's, or one that was received.
pub fn of(common: &Common, payload: Option<&Path>, id: Option<&str>, inputs: &Inputs, now: Timestamp) -> Result<Event> {
    match (payload, id) {
        (Some(path), _) => event(path, inputs, now),
        (None, Some(id)) => {
            let id: uuid::Uuid = id.trim().parse().map_err(|_| anyhow::anyhow!("`{id}` is no event's id; `watchfire events ls` lists them"))?;
            super::block_on(async {
                let remote = super::remote::Remote::open(common).await?;
                let found: Result<Option<EventResponse>> = remote.find(&format!("/api/v1/events/{id}")).await;
                remote.close().await;
                let found = found?.with_context(|| {
                    format!("there is no event {id}; `watchfire events ls` lists them (what is final is removed after `retention`)")
                })?;
                Ok(found.event)
            })?
        }
        (None, None) => anyhow::bail!("name a body: --payload FILE or --event ID"),
    }
}

/// Reads a webhook body from a file or standard input; `inputs` are how bodies of other senders are read.
pub fn event(path: &Path, inputs: &Inputs, now: Timestamp) -> Result<Event> {
    ingest::parse(&Sender::Auto, &body(path)?, inputs, now).map(|i| i.event).map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))
}

/// The bytes of a file, or of standard input for `-`.
pub fn body(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().take(64 << 20).read_to_end(&mut body)?;
        return Ok(body);
    }
    let help = "name a file with a webhook's body, or `-` for standard input";
    std::fs::read(path).map_err(|error| anyhow!("{} {}; {help}", path.display(), unreadable(&error)))
}
