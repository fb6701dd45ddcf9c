//! What was received, the newest first; all of it, or what had no delivery.

use maud::{Markup, html};

use super::super::failure::Failure;
use super::super::parts::{say, shown, time, worded};
use super::super::viewer::Viewer;
use super::super::window::pager;
use super::asked::{Asked, View};
use super::{PAGE, filters};
use crate::http::App;
use crate::http::search::{Next, Window};
use crate::model::{EventId, UnixMs};
use crate::store::{EventFilter, Listed};

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
                span.dim.s { (time::clock(manner, row.received_at)) } b { (shown(&row.source)) } span { (worded(manner, row.note.as_deref().unwrap_or_default())) }
                span.s.end { @if !bare { a.l href={ "/ui/history?event=" (row.id) } { (say(language, "Deliveries", "投递")) } " " } a.l href={ "/ui/route?of=event&event=" (row.id) } { (say(language, "Explain", "说明")) } }
            } }
        }
        (pager(language, &next, asked.newest().as_deref(), |id| asked.after(id), searches, |id| time::clock(manner, UnixMs::of_id(*id))))
    })
}
