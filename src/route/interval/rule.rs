//! One rule of a time interval: a wall-clock test in a time zone, and when its answer next changes.
//! Knows nothing of names or files.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Minutes in a day of the wall clock.
const DAY: u16 = 24 * 60;

/// How many days one search looks at: past any month or weekday pattern within a year, with room for leap years.
const SEARCH_DAYS: usize = 401;

/// A range that includes both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) begin: i16,
    pub(super) end: i16,
}

impl Range {
    fn contains(self, value: i16) -> bool {
        self.begin <= value && value <= self.end
    }
}

/// Holds while every part that is given holds.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Minutes of the day, end exclusive, sorted and apart from each other.
    times: Vec<(u16, u16)>,
    /// 0 is Sunday.
    weekdays: Option<Vec<Range>>,
    days: Option<Vec<Range>>,
    months: Option<Vec<Range>>,
    years: Option<Vec<Range>>,
    zone: TimeZone,
}

impl Rule {
    pub(super) fn new(
        times: Option<Vec<(u16, u16)>>,
        weekdays: Option<Vec<Range>>,
        days: Option<Vec<Range>>,
        months: Option<Vec<Range>>,
        years: Option<Vec<Range>>,
        zone: TimeZone,
    ) -> Self {
        let mut sorted = times.unwrap_or_else(|| vec![(0, DAY)]);
        sorted.sort_unstable();
        let mut times: Vec<(u16, u16)> = Vec::with_capacity(sorted.len());
        for (start, end) in sorted {
            match times.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => times.push((start, end)),
            }
        }
        Self { times, weekdays, days, months, years, zone }
    }

    pub(super) fn contains(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        self.times.iter().any(|(start, end)| *start <= minute && minute < *end) && self.day_holds(local.date())
    }

    fn day_holds(&self, date: Date) -> bool {
        let any = |ranges: &Option<Vec<Range>>, value: i16| ranges.as_ref().is_none_or(|ranges| ranges.iter().any(|range| range.contains(value)));
        any(&self.years, date.year())
            && any(&self.months, i16::from(date.month()))
            && any(&self.weekdays, i16::from(date.weekday().to_sunday_zero_offset()))
            && self.days.as_ref().is_none_or(|ranges| ranges.iter().any(|range| day_of_month_holds(*range, date)))
    }

    /// The first moment from `at` on, and before `horizon`, at which the rule holds (or does not, as `holds` says).
    ///
    /// Between two changes of the zone's offset the wall clock runs evenly, so each stretch is searched as plain dates; at a
    /// change the clock jumps, and the test is made again.
    pub(super) fn next(&self, holds: bool, at: Timestamp, horizon: Timestamp) -> Option<Timestamp> {
        let mut from = at;
        while from < horizon {
            if self.contains(from) == holds {
                return Some(from);
            }
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next().map(|transition| transition.timestamp()).filter(|change| *change < horizon);
            let found = self.next_on_clock(holds, offset.to_datetime(from)).and_then(|local| offset.to_timestamp(local).ok());
            match (found, change) {
                (Some(found), Some(change)) if found < change => return Some(found),
                (_, Some(change)) => from = change,
                (Some(found), None) => return Some(found).filter(|found| *found < horizon),
                (None, None) => return None,
            }
        }
        None
    }

    /// The same on a wall clock that never jumps.
    fn next_on_clock(&self, holds: bool, from: DateTime) -> Option<DateTime> {
        let mut minute = from.hour() as u16 * 60 + from.minute() as u16;
        let mut date = from.date();
        for _ in 0..SEARCH_DAYS {
            let spans = if self.day_holds(date) { &self.times[..] } else { &[] };
            let found = if holds {
                spans.iter().find(|(_, end)| minute < *end).map(|(start, _)| minute.max(*start))
            } else {
                // The spans are apart, so the end of one is outside all of them.
                let clear = spans.iter().find(|(start, end)| *start <= minute && minute < *end).map_or(minute, |(_, end)| *end);
                (clear < DAY).then_some(clear)
            };
            if let Some(found) = found {
                let local = date.to_datetime(Time::midnight()).checked_add(SignedDuration::from_mins(i64::from(found))).ok()?;
                return Some(local.max(from));
            }
            date = date.tomorrow().ok()?;
            minute = 0;
        }
        None
    }
}

/// Negative ends count from the end of the month; a range that starts past it is void, one that ends past it is cut.
fn day_of_month_holds(range: Range, date: Date) -> bool {
    let last = i16::from(date.days_in_month());
    let from_end = |day: i16| if day < 0 { last + day + 1 } else { day };
    let (begin, end) = (from_end(range.begin), from_end(range.end).min(last));
    begin <= last && Range { begin, end }.contains(i16::from(date.day()))
}
