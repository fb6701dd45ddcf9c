//! Simulate: what would these alerts become? Stored events, or a storm that is not real, through the routes that run or those of the file on disk. Nothing
//! is sent or stored.

mod asked;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use self::asked::{Asked, Of};
use super::config::on_disk;
use super::failure::Failure;
use super::form::Fields;
use super::layout::{Page, Place, fragment};
use super::parts::{count, icon, say};
use super::viewer::Viewer;
use crate::delivery::Plan;
use crate::delivery::simulate::{Forecast, Goal, goals, simulate};
use crate::http::App;
use crate::model::{Event, EventId, Language};
use crate::store::EventFilter;

/// Events that are read at most, and bytes of their bodies.
const MAX_EVENTS: usize = 2000;
const MAX_BYTES: usize = 8 << 20;
/// Alerts that are simulated at most.
const MAX_ALERTS: usize = 10_000;
/// Pages of events that are asked for at a time.
const EVENTS_PER_PAGE: usize = 500;

/// Events with the times at which they came, counted from the first one.
struct Script {
    events: Vec<(Duration, Arc<Event>)>,
    begin: Timestamp,
    /// Whether older ones were left out.
    cut: bool,
}

impl Script {
    fn alerts(&self) -> usize {
        self.events.iter().map(|(_, event)| event.alerts.len()).sum()
    }
}

/// Alerts that would go elsewhere: of one name, from where to where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// Where they go now.
    from: BTreeSet<Goal>,
    /// Where they would.
    to: BTreeSet<Goal>,
    /// How many.
    alerts: usize,
}

/// What came of it.
struct Outcome {
    alerts: usize,
    runs: Vec<Forecast>,
    warnings: Vec<String>,
    /// The same by the file on disk.
    file: Option<Vec<Forecast>>,
    moved: Vec<(String, Moved)>,
    cut: bool,
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    viewer.sees_all()?;
    let language = viewer.manner.language;
    let asked = Asked::read(&Fields::read(query.as_deref().unwrap_or_default()))?;
    let outcome = match &asked.of {
        None => None,
        Some(of) => Some(run(&app, &viewer, of, asked.by_file).await?),
    };
    let result = html! {
        @match &outcome {
            None => div.card.pad { p { (say(language, "Choose alerts: here is what each channel would get of them, and when.", "选择告警：这里显示每个通道会收到什么、何时收到。")) } },
            Some(outcome) => { (table::result(&viewer, outcome)) }
        }
    };
    if viewer.manner.fragment {
        return Ok(fragment(result));
    }
    let body = html! {
        div.head { div { h1 { (say(language, "Simulate", "模拟")) } p { (say(language, "Alerts through the real routes, templates and rate limits. Nothing is sent, nothing is stored.", "让告警经过真实的路由、模板和限速。不会发送，也不会存储。")) } } }
        (asked.form(&viewer))
        section #sim.mt aria-live="polite" { (result) }
    };
    Ok(Page { title: say(language, "Simulate", "模拟").into(), at: Place::Simulate, body, ..Page::default() }.of(&viewer))
}

async fn run(app: &App, viewer: &Viewer, of: &Of, by_file: bool) -> Result<Outcome, Failure> {
    // Bodies of many events are large together: one such work in memory at a time.
    let _alone = app.engine.heavy().large_body().await;
    let now = viewer.manner.now;
    let script = match of {
        Of::Hours(hours) => of_hours(app, *hours).await?,
        Of::Event(id) => of_event(app, *id).await?,
        Of::Storm(storm) => Script { events: storm.events(now), begin: now, cut: false },
    };
    let file = if by_file { Some(other(app, viewer).await?) } else { None };
    let (plan, start) = (app.engine.plan(), app.engine.clock().instant());
    let work = move || {
        let of_plan = |plan: &Plan| simulate(plan, &script.events, script.begin, start, None);
        let runs = of_plan(&plan);
        let shown = file.as_ref().unwrap_or(&plan);
        let by_file = file.as_ref().map(|file| of_plan(file));
        let warnings = by_file.as_ref().unwrap_or(&runs).iter().filter_map(|forecast| forecast.warning(shown)).collect();
        let moved = file.as_ref().map(|file| moved(&script, &plan, file)).unwrap_or_default();
        Outcome { alerts: script.alerts(), runs, warnings, file: by_file, moved, cut: script.cut }
    };
    Ok(app.engine.heavy().run_blocking(work).await)
}

/// The plan of the file on disk.
async fn other(app: &App, viewer: &Viewer) -> Result<Arc<Plan>, Failure> {
    viewer.may_operate()?;
    let found = on_disk(app).await;
    let errors = found.errors();
    let why = || Failure::bad(format!("the file on disk has {errors} mistakes; the page Configuration shows them"));
    found.plan.map(Arc::new).ok_or_else(why)
}

/// What was received in the last hours, oldest first; of very much the newest.
async fn of_hours(app: &App, hours: i64) -> Result<Script, Failure> {
    let since = app.engine.clock().wall() - hours * 3_600_000;
    let mut ids: Vec<EventId> = Vec::new();
    let (mut before, mut cut) = (None, false);
    loop {
        let rows = app.engine.query().list_events(&EventFilter { before, limit: EVENTS_PER_PAGE, ..EventFilter::default() }).await?;
        let is_last = rows.len() < EVENTS_PER_PAGE || rows.last().is_none_or(|row| row.received_at < since);
        before = rows.last().map(|row| row.id);
        // What Watchfire says of itself is no alert of a sender.
        ids.extend(rows.iter().filter(|row| row.received_at >= since && !row.source.starts_with("watchfire")).map(|row| row.id));
        cut |= ids.len() > MAX_EVENTS;
        if is_last || cut {
            break;
        }
    }
    ids.truncate(MAX_EVENTS);
    let found = app.engine.load_events(&ids, MAX_BYTES).await?;
    let mut stored = found.events;
    stored.sort_by_key(|one| std::cmp::Reverse(one.id));
    let mut left = MAX_ALERTS;
    let whole = stored.len();
    stored.retain(|one| {
        let fits = one.event.alerts.len() <= left;
        left = if fits { left - one.event.alerts.len() } else { 0 };
        fits
    });
    cut |= found.left > 0 || stored.len() < whole;
    stored.reverse();
    let first = stored.first().map_or(since, |one| one.received_at);
    let events = stored.into_iter().map(|one| (one.received_at.since(first), one.event)).collect();
    Ok(Script { events, begin: first.timestamp(), cut })
}

async fn of_event(app: &App, id: EventId) -> Result<Script, Failure> {
    let missing = || Failure::missing(format!("there is no event {id}; it may have been removed after its retention"));
    let found = app.engine.query().get_event(id).await?.ok_or_else(missing)?.event;
    if found.event.alerts.len() > MAX_ALERTS {
        return Err(Failure::bad(format!("this event has more than {MAX_ALERTS} alerts; `watchfire simulate` takes more")));
    }
    Ok(Script { events: vec![(Duration::ZERO, found.event)], begin: found.received_at.timestamp(), cut: false })
}

/// Which alerts would go elsewhere, the most first.
fn moved(script: &Script, runs: &Plan, file: &Plan) -> Vec<(String, Moved)> {
    let mut all: BTreeMap<(String, BTreeSet<Goal>, BTreeSet<Goal>), usize> = BTreeMap::new();
    for (after, event) in &script.events {
        let at = script.begin.checked_add(*after).unwrap_or(script.begin);
        let pairs = goals(runs, event, at).into_iter().zip(goals(file, event, at));
        for (alert, (from, to)) in event.alerts.iter().zip(pairs).filter(|(_, (from, to))| from != to) {
            *all.entry((alert.name().to_owned(), from, to)).or_default() += 1;
        }
    }
    let mut all: Vec<(String, Moved)> = all.into_iter().map(|((name, from, to), alerts)| (name, Moved { from, to, alerts })).collect();
    all.sort_by_key(|(_, moved)| std::cmp::Reverse(moved.alerts));
    all
}

/// The worst finding.
fn heading(language: Language, outcome: &Outcome) -> String {
    let shown = outcome.file.as_ref().unwrap_or(&outcome.runs);
    let messages: usize = shown.iter().map(|forecast| forecast.messages).sum();
    let moved: usize = outcome.moved.iter().map(|(_, moved)| moved.alerts).sum();
    if outcome.alerts == 0 {
        return say(language, "No alert", "没有告警").into();
    }
    match (&outcome.file, moved) {
        (Some(_), 0) => say(language, "No alert would go elsewhere", "没有告警的去向会改变").into(),
        (Some(_), n) => format!(
            "{n} {} {}",
            say(language, "of", "/"),
            count(language, outcome.alerts as u64, "alert would go elsewhere", "alerts would go elsewhere", "条告警的去向会改变")
        ),
        _ => {
            let alerts = count(language, outcome.alerts as u64, "alert becomes", "alerts become", "条告警变为");
            format!("{alerts} {}", count(language, messages as u64, "message", "messages", "条消息"))
        }
    }
}

fn note(class: &'static str, name: &'static str, text: Markup) -> Markup {
    html! { div.note.mt.(class) { (icon(name)) div { p { (text) } } } }
}
