//! Incidents, the newest first.

use maud::{Markup, html};

use super::super::failure::Failure;
use super::super::parts::{badge, mark, say, shown, time};
use super::super::viewer::Viewer;
use super::super::window::pager;
use super::asked::Asked;
use super::{PAGE, filters};
use crate::http::App;
use crate::http::search::{Next, incidents_stop};
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

/// The list.
pub(super) async fn list(app: &App, viewer: &Viewer, asked: &Asked) -> Result<Markup, Failure> {
    viewer.sees_all()?;
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let filter = filter(asked)?;
    let before = asked.cursor("the number of an incident")?.map(IncidentId);
    let searches = filter.is_searched();
    let stops = if searches { incidents_stop(app, before).await? } else { None };
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
                span.dim.s.end { @if let Some(at) = one.ended_at { (say(language, "lasted ", "持续 ")) (time::span(language, at - one.opened_at)) (say(language, ", ", "，")) } (time::clock(manner, one.opened_at)) }
            } }
        }
        (pager(language, &next, asked.newest().as_deref(), |id| asked.after(id), searches, |id| html! { "#" (id) }))
    })
}
