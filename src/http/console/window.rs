//! How far back a list goes: to a time, and where it searches, so many rows at a time, however rare what it looks for is.

use std::fmt::Display;

use jiff::civil::DateTime;
use maud::{Markup, html};
use uuid::Uuid;

use super::failure::Failure;
use super::form::Fields;
use super::manner::Manner;
use super::parts::{icon, say};
use crate::http::App;
use crate::model::{Language, UnixMs};
use crate::store::{Listed, StoreError};

/// Rows that a step of a search reads.
pub(super) const STEP: usize = 50_000;

/// The end of the year 9999, in Unix milliseconds.
const LATEST: i64 = 253_402_300_799_999;

/// A span of time; either end may be open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) since: Option<UnixMs>,
    pub(super) until: Option<UnixMs>,
}

impl Span {
    /// The fields `since` and `until`.
    pub(super) fn read(manner: &Manner, fields: &Fields) -> Result<Self, Failure> {
        let span = Self { since: time(manner, "since", fields.get("since"))?, until: time(manner, "until", fields.get("until"))? };
        if span.since.zip(span.until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::bad("`since` is not before `until`: nothing can be between them"));
        }
        Ok(span)
    }
}

/// A time: RFC 3339, Unix milliseconds, a day or a time in the zone of the page, or how long ago it is.
fn time(manner: &Manner, name: &str, text: &str) -> Result<Option<UnixMs>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    // In an address that was typed, `+08:00` reads as a blank.
    let asked = UnixMs::asked(&text.replacen(' ', "+", usize::from(text.contains('T'))), manner.now.into());
    let local = || {
        let there: DateTime = text.parse().ok()?;
        manner.zone.to_ambiguous_timestamp(there).compatible().ok().map(UnixMs::from)
    };
    let found = asked.or_else(local).filter(|at| (0..=LATEST).contains(&at.0));
    let text: String = text.chars().take(60).collect();
    let help = "a time as 2026-11-28T03:12:00Z or 2026-11-28T03:12, Unix milliseconds, or how long ago it is, as 2h";
    found.map(Some).ok_or_else(|| Failure::bad(format!("`{name}` takes {help}, not `{text}`")))
}

/// The ids between which rows are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// They are smaller than this.
    pub(super) before: Option<Uuid>,
    /// They are at least this.
    pub(super) after: Option<Uuid>,
    /// Where a search stops before it has read all of the span.
    pub(super) stops: Option<Uuid>,
}

impl Window {
    /// After a cursor, in a span of time, and, where rows are searched, no more than a step of them.
    pub(super) async fn of(app: &App, of: Listed, cursor: Option<Uuid>, span: Span, searches: bool) -> Result<Self, StoreError> {
        let before = [cursor, span.until.map(UnixMs::first_id)].into_iter().flatten().min();
        let reach = if searches { app.engine.query().reach(of, before, STEP).await? } else { None };
        Ok(Self::between(before, span.since.map(UnixMs::first_id), reach))
    }

    fn between(before: Option<Uuid>, since: Option<Uuid>, reach: Option<Uuid>) -> Self {
        let stops = reach.filter(|reach| since.is_none_or(|since| *reach > since));
        Self { before, after: stops.or(since), stops }
    }
}

/// Where a list goes on after a page of it: a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next<I> {
    /// After the last row of the page.
    Older(I),
    /// Where the search stopped.
    Further(I),
    /// Nowhere.
    End,
}

impl<I> Next<I> {
    /// Leaves a page of the rows, of which one more than `most` was asked for.
    pub(super) fn cut<R>(rows: &mut Vec<R>, most: usize, stops: Option<I>, id: impl Fn(&R) -> I) -> Self {
        let more = rows.len() > most;
        rows.truncate(most);
        match (rows.last().filter(|_| more), stops) {
            (Some(last), _) => Self::Older(id(last)),
            (None, Some(stops)) => Self::Further(stops),
            (None, None) => Self::End,
        }
    }
}

/// The links to the newest page, when this is another, and to the next one. A search says how far back it went.
pub(super) fn pager<I: Display>(
    language: Language,
    next: &Next<I>,
    newest: Option<&str>,
    to: impl Fn(&I) -> String,
    searches: bool,
    searched: impl Fn(&I) -> Markup,
) -> Markup {
    html! {
        nav.pager aria-label=(say(language, "Pages", "翻页")) {
            @if searches {
                span.dim {
                    @match next {
                        Next::Older(id) | Next::Further(id) => { (say(language, "Searched back to ", "已搜索至 ")) (searched(id)) }
                        Next::End => { (say(language, "Searched to the end", "已全部搜索")) }
                    }
                }
            }
            @if let Some(newest) = newest { a.b href=(newest) { (say(language, "Newest", "最新")) } }
            @match next {
                Next::Older(id) => { a.b href=(to(id)) rel="next" { (say(language, "Older", "更早")) (icon("right")) } }
                Next::Further(id) => { a.b href=(to(id)) rel="next" { (say(language, "Go on searching", "继续搜索")) (icon("right")) } }
                Next::End => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_stops_after_a_step_unless_the_span_ends_before() {
        let [old, middle, new] = [1, 2, 3].map(|n| UnixMs(n).first_id());
        let of = |since, reach| Window::between(Some(new), since, reach);
        assert_eq!(of(None, None), Window { before: Some(new), after: None, stops: None });
        assert_eq!(of(None, Some(middle)), Window { before: Some(new), after: Some(middle), stops: Some(middle) });
        assert_eq!(of(Some(old), Some(middle)), Window { before: Some(new), after: Some(middle), stops: Some(middle) });
        assert_eq!(of(Some(middle), Some(old)), Window { before: Some(new), after: Some(middle), stops: None }, "all of the span was read");
    }

    #[test]
    fn a_list_goes_on_after_its_last_row_else_where_the_search_stopped() {
        let cut = |n: usize, stops: Option<usize>| {
            let mut rows: Vec<usize> = (0..n).collect();
            let next = Next::cut(&mut rows, 2, stops, |row| *row);
            (rows.len(), next)
        };
        assert_eq!(cut(3, Some(9)), (2, Next::Older(1)));
        assert_eq!(cut(2, Some(9)), (2, Next::Further(9)));
        assert_eq!(cut(0, Some(9)), (0, Next::Further(9)));
        assert_eq!(cut(2, None), (2, Next::End));
        let page = |next: Next<usize>| pager(Language::En, &next, None, |id| format!("/x?cursor={id}"), true, |id| html! { "#" (id) }).into_string();
        let further = page(Next::Further(9));
        assert!(further.contains("Searched back to #9") && further.contains("/x?cursor=9") && further.contains("Go on searching"), "{further}");
        let end = page(Next::End);
        assert!(end.contains("Searched to the end") && !end.contains("href"), "{end}");
    }
}
