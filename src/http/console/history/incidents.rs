//! Incidents, the newest first.

use maud::{Markup, html};

use super::super::failure::Failure;
use super::super::parts::{badge, mark, say, shown, time};
use super::super::viewer::Viewer;
use super::super::window::{Next, STEP, pager};
use super::asked::Asked;
use super::{PAGE, filters};
use crate::http::App;
use crate::model::{IncidentId, Severity};
use crate::store::{IncidentFilter, IncidentState};

/// What is asked for, without its ends.
fn filter(asked: &Asked) -> Result<IncidentFilter, Failure> {
    let states = asked.states_of(&IncidentState::ALL, IncidentState::as_str)?;
    let (text, label, acked_by) = (asked.text("q"), asked.label()?, asked.text("by"));
    let channels = asked.text("channel").into_iter().collect();
    let (since, until) = (asked.span.since, asked.span.until);
    Ok(IncidentFilter { states, text, label, acked_by, channels, since, until, limit: PAGE + 1, ..IncidentFilter::default() })
}

/// Whether rows are read one by one until enough of them are as asked for. Those that are open have an index.
fn is_searched(filter: &IncidentFilter) -> bool {
    let is_open = !filter.states.is_empty() && filter.states.iter().all(|state| state.is_open());
    let by_column = !filter.states.is_empty() || !filter.channels.is_empty() || filter.since.is_some() || filter.until.is_some();
    !is_open && (by_column || filter.text.is_some() || filter.label.is_some() || filter.acked_by.is_some())
}

/// Where a search that begins before this number, or at the newest, stops. Numbers have few gaps: so many of them are as many rows, and never more.
async fn stops(app: &App, before: Option<IncidentId>) -> Result<Option<IncidentId>, Failure> {
    let newest = IncidentFilter { limit: 1, ..IncidentFilter::default() };
    let from = match before {
        Some(id) => id.0,
        None => app.engine.query().list_incidents(&newest).await?.first().map_or(0, |incident| incident.id.0 + 1),
    };
    Ok(from.checked_sub(STEP as i64).filter(|number| *number > 0).map(IncidentId))
}

/// The list.
pub(super) async fn list(app: &App, viewer: &Viewer, asked: &Asked) -> Result<Markup, Failure> {
    viewer.sees_all()?;
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let filter = filter(asked)?;
    let before = asked.cursor("the number of an incident")?.map(IncidentId);
    let searches = is_searched(&filter);
    let stops = if searches { stops(app, before).await? } else { None };
    let filter = IncidentFilter { before, after: stops, ..filter };
    let mut rows = app.engine.query().list_incidents(&filter).await?;
    let next = Next::cut(&mut rows, PAGE, stops, |row| row.id);
    Ok(html! {
        (filters::form(app, viewer, asked))
        ul.card.rows {
            @if rows.is_empty() { li { span.dim { (say(language, "No incident.", "没有事件。")) } } }
            @for one in &rows { li data-row {
                (mark(language, Severity::from_rank(i64::from(one.rank)))) span.dim.n { "#" (one.id) }
                a.c1 href={ "/ui/incidents/" (one.id) } { b { (shown(&one.title)) } } (badge(language, one.state))
                span.dim.s.end { @if let Some(at) = one.ended_at { (say(language, "lasted ", "持续 ")) (time::span(language, at - one.opened_at)) ", " } (time::clock(manner, one.opened_at)) }
            } }
        }
        (pager(language, &next, asked.newest().as_deref(), |id| asked.after(id), searches, |id| html! { "#" (id) }))
    })
}
