//! What was received and sent, to whom, and why not, by filters that are an address.

mod asked;
mod deliveries;
mod filters;
mod incidents;
mod jump;
mod received;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::html;

use self::asked::{Asked, View};
use super::failure::Failure;
use super::form::go;
use super::layout::{Page, Place};
use super::parts::{say, time};
use super::viewer::Viewer;
use crate::http::App;

/// Rows of a page.
const PAGE: usize = 50;

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, viewer: Viewer, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Failure> {
    let asked = Asked::read(&viewer.manner, query.as_deref().unwrap_or_default())?;
    if let Some(path) = jump::leads_to(&app, &viewer, asked.get("q")).await? {
        return Ok(go(&headers, &path));
    }
    let list = match asked.view {
        View::Deliveries => deliveries::list(&app, &viewer, &asked).await?,
        View::Incidents => incidents::list(&app, &viewer, &asked).await?,
        View::Received | View::Nowhere => received::list(&app, &viewer, &asked).await?,
    };
    let language = viewer.manner.language;
    let word = |view: View| match view {
        View::Deliveries => say(language, "Deliveries", "投递"),
        View::Incidents => say(language, "Incidents", "事件"),
        View::Received => say(language, "Received", "接收"),
        View::Nowhere => say(language, "No delivery", "未路由"),
    };
    // Who is limited to channels sees their deliveries.
    let tabs = View::ALL.into_iter().filter(|view| *view == View::Deliveries || !viewer.caller.is_limited());
    let path = |view: View| if view == View::Deliveries { "/ui/history".to_owned() } else { format!("/ui/history?view={}", view.name()) };
    let body = html! {
        div.head { div { h1 { (say(language, "History", "历史")) } p { (say(language, "What came in, what went out, and why not. Times are in ", "接收与投递的记录及其原因。时间为 ")) (time::zone_name(&viewer.manner)) (say(language, ".", "。")) } } }
        nav.tabs aria-label=(say(language, "What to list", "列表内容")) { @for view in tabs { a href=(path(view)) aria-current=[(view == asked.view).then_some("page")] { (word(view)) } } }
        (list)
    };
    Ok(Page { title: say(language, "History", "历史").into(), at: Place::History, body, ..Page::default() }.of(&viewer))
}
