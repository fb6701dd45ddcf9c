//! What was received, the newest first; all of it, or what had no delivery.

use std::collections::HashMap;

use maud::{Markup, html};

use super::super::failure::Failure;
use super::super::parts::{say, shown, time, worded};
use super::super::viewer::Viewer;
use super::super::window::pager;
use super::asked::{Asked, View};
use super::{PAGE, filters};
use crate::http::App;
use crate::http::search::{Next, Window};
use crate::model::{Alert, Event, EventId, UnixMs, title};
use crate::store::{EventFilter, EventRow, Listed};

/// Bytes of bodies that are read for the names of their alerts; of what is beyond, the page says when it came and from whom.
const MAX_BYTES: usize = 4 << 20;

/// What names each event: its alerts.
async fn names(app: &App, rows: &[EventRow]) -> Result<HashMap<EventId, String>, Failure> {
    let ids: Vec<EventId> = rows.iter().map(|row| row.id).collect();
    let of = |event: &Event| title(&event.alerts.iter().collect::<Vec<&Alert>>());
    let bodies = app.engine.load_events(&ids, MAX_BYTES).await?;
    Ok(bodies.events.into_iter().map(|stored| (stored.id, of(&stored.event))).filter(|(_, name)| !name.is_empty()).collect())
}

/// The list.
pub(super) async fn list(app: &App, viewer: &Viewer, asked: &Asked) -> Result<Markup, Failure> {
    viewer.sees_all()?;
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let bare = asked.view == View::Nowhere;
    let (source, channels): (_, Vec<String>) = (asked.text("source"), asked.text("channel").into_iter().collect());
    let cursor = asked.cursor::<EventId>("the id of an event")?;
    let filter = EventFilter { source, bare, channels, limit: PAGE + 1, ..EventFilter::default() };
    let searches = filter.is_searched();
    let window = Window::of(app, Listed::Events, cursor.map(|id| id.0), asked.span, searches).await?;
    let (before, after) = (window.before.map(EventId), window.after.map(EventId));
    let filter = EventFilter { before, after, ..filter };
    let mut rows = app.engine.query().list_events(&filter).await?;
    let next = Next::cut(&mut rows, PAGE, window.stops, |row| row.id.0);
    let names = names(app, &rows).await?;
    let none = if bare {
        say(language, "Everything that was received led to a delivery.", "收到的内容都产生了投递。")
    } else {
        say(
            language,
            "Nothing found. Each request that a sender makes is here from the moment it is stored.",
            "没有记录。发送方的每个请求在存储后即显示在此。",
        )
    };
    Ok(html! {
        (filters::form(app, viewer, asked))
        ul.card.rows {
            @if rows.is_empty() { li { span.dim { (none) } } }
            @for row in &rows { li data-row {
                span.dim.s { (time::clock(manner, row.received_at)) } @if let Some(name) = names.get(&row.id) { b.c1 { (shown(name)) } span.dim.s { (shown(&row.source)) } } @else { b { (shown(&row.source)) } }
                span { (worded(manner, row.note.as_deref().unwrap_or_default())) }
                span.s.end { @if !bare { a.l href={ "/ui/history?event=" (row.id) } { (say(language, "Deliveries", "投递")) } " " } a.l href={ "/ui/route?of=event&event=" (row.id) } { (say(language, "Explain", "说明")) } }
            } }
        }
        (pager(language, &next, asked.newest().as_deref(), |id| asked.after(id), searches, |id| time::clock(manner, UnixMs::of_id(*id))))
    })
}
