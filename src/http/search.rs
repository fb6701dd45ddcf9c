//! How far back one answer of a list goes: to a time, and where it searches, so many rows at a time, however rare what it looks for is.

use uuid::Uuid;

use super::App;
use crate::model::{IncidentId, UnixMs};
use crate::store::{IncidentFilter, Listed, StoreError};

/// Rows that a step of a search reads.
const ROWS_PER_STEP: usize = 50_000;

/// A span of time; either end may be open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) since: Option<UnixMs>,
    pub(super) until: Option<UnixMs>,
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
        let reach = if searches { app.engine.query().reach(of, before, ROWS_PER_STEP).await? } else { None };
        Ok(Self::between(before, span.since.map(UnixMs::first_id), reach))
    }

    fn between(before: Option<Uuid>, since: Option<Uuid>, reach: Option<Uuid>) -> Self {
        let stops = reach.filter(|reach| since.is_none_or(|since| *reach > since));
        Self { before, after: stops.or(since), stops }
    }
}

/// Where a search of incidents that begins before this number, or at the newest, stops. Numbers have few gaps: so many of them are as many rows, and never
/// more.
pub(super) async fn incidents_stop(app: &App, before: Option<IncidentId>) -> Result<Option<IncidentId>, StoreError> {
    let newest = IncidentFilter { limit: 1, ..IncidentFilter::default() };
    let from = match before {
        Some(id) => id.0,
        None => app.engine.query().list_incidents(&newest).await?.first().map_or(0, |incident| incident.id.0 + 1),
    };
    Ok(from.checked_sub(ROWS_PER_STEP as i64).filter(|number| *number > 0).map(IncidentId))
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

    /// The cursor of the next page; `None` at the end.
    pub(super) fn cursor(self) -> Option<I> {
        match self {
            Self::Older(id) | Self::Further(id) => Some(id),
            Self::End => None,
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
            (rows.len(), next, next.cursor())
        };
        assert_eq!(cut(3, Some(9)), (2, Next::Older(1), Some(1)));
        assert_eq!(cut(2, Some(9)), (2, Next::Further(9), Some(9)));
        assert_eq!(cut(0, Some(9)), (0, Next::Further(9), Some(9)));
        assert_eq!(cut(2, None), (2, Next::End, None));
    }
}
