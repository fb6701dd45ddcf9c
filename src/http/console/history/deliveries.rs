//! Deliveries, the newest first.

use maud::{Markup, html};

use super::super::delivery::line;
use super::super::failure::Failure;
use super::super::parts::{plain, say, shown, time, worded};
use super::super::viewer::Viewer;
use super::super::window::pager;
use super::asked::Asked;
use super::{PAGE, filters, jump};
use crate::http::App;
use crate::http::search::{Next, Window};
use crate::model::{DeliveryId, EventId, UnixMs};
use crate::store::{DeliveryFilter, Listed, State as DeliveryState};

/// What is asked for, without its ends.
fn filter(viewer: &Viewer, asked: &Asked) -> Result<DeliveryFilter, Failure> {
    let channels = match asked.get("channel") {
        "" => viewer.caller.channels.clone(),
        name if viewer.caller.may_use(name) => vec![name.to_owned()],
        name => return Err(Failure::missing(format!("there is no channel `{}`", plain(name)))),
    };
    let event = asked.text("event").map(|id| id.parse::<EventId>().map_err(|_| Failure::bad("`event` is the id of an event"))).transpose()?;
    let states = asked.states_of(&DeliveryState::ALL, DeliveryState::as_str)?;
    let (text, label, acked_by) = (asked.text("q"), asked.label()?, asked.text("by"));
    Ok(DeliveryFilter { channels, states, text, event, label, acked_by, limit: PAGE + 1, ..DeliveryFilter::default() })
}

/// The list.
pub(super) async fn list(app: &App, viewer: &Viewer, asked: &Asked) -> Result<Markup, Failure> {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let filter = filter(viewer, asked)?;
    let cursor = asked.cursor::<DeliveryId>("the id of a delivery")?;
    let searches = filter.is_searched();
    let window = Window::of(app, Listed::Deliveries, cursor.map(|id| id.0), asked.span, searches).await?;
    let filter = DeliveryFilter { before: window.before.map(DeliveryId), after: window.after.map(DeliveryId), ..filter };
    let mut rows = app.engine.query().list_deliveries(&filter).await?;
    let next = Next::cut(&mut rows, PAGE, window.stops, |row| row.id.0);
    let of_event = match filter.event {
        Some(id) => event(app, viewer, id).await?,
        None => html! {},
    };
    Ok(html! {
        (filters::form(app, viewer, asked))
        (of_event)
        @if rows.is_empty() { div.card.pad { p { (say(language, "Nothing found. A delivery is here from the moment its alert was accepted.", "没有记录。告警被接收后即在此显示。")) } } } @else {
            div.card { table.t.cards.hist { thead { tr { th { (say(language, "Time", "时间")) } th { (say(language, "What and why", "内容与原因")) } th { (say(language, "Channel", "通道")) } th { (say(language, "State", "状态")) } th.r { (say(language, "Tries", "次数")) } } } tbody #rows { @for row in &rows { (line(viewer, row)) } } } }
        }
        (pager(language, &next, asked.newest().as_deref(), |id| asked.after(id), searches, |id| time::clock(manner, UnixMs::of_id(*id))))
    })
}

/// What is known of the event whose deliveries are listed.
async fn event(app: &App, viewer: &Viewer, id: EventId) -> Result<Markup, Failure> {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let found = jump::event(app, viewer, id).await?;
    Ok(html! {
        div.card.pad { p {
            @match found {
                Some(row) => {
                    (say(language, "Received ", "接收于 ")) (time::clock(manner, row.received_at)) (say(language, " from ", "，来自 ")) b { (shown(&row.source)) }
                    @if let Some(note) = &row.note { (say(language, ": ", "：")) (worded(manner, note)) }
                    @if !viewer.caller.is_limited() { " " a.l href={ "/ui/route?of=event&event=" (row.id) } { (say(language, "Why it went there", "路由说明")) } }
                }
                None => { (say(language, "There is no such event; those past `retention` are removed.", "没有该事件；超过保留期的已删除。")) }
            }
        } }
    })
}
