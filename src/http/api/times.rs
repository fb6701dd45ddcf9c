//! Times as people write them in requests.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use super::ApiError;
use crate::model::UnixMs;

/// Days that are searched for a time of day: one that a clock change skips today comes tomorrow.
const DAYS: usize = 3;

/// A time as RFC 3339, as a local time of a zone, or as the next such time of day there: `2026-12-04T10:00:00Z`, `2026-12-04 18:00`, `18:00`. `name` is what
/// it is the value of.
///
/// # Errors
/// The text is none of them.
pub(super) fn instant(name: &str, text: &str, zone: &TimeZone, now: UnixMs) -> Result<UnixMs, ApiError> {
    let text = text.trim();
    // With its zone in brackets it may have no offset, which an instant needs.
    if let Ok(at) = text.parse::<jiff::Timestamp>().or_else(|_| text.parse::<jiff::ZonedDateTime>().map(|zoned| zoned.timestamp())) {
        return Ok(at.into());
    }
    let of = |local: DateTime| zone.to_ambiguous_timestamp(local).compatible().ok().map(UnixMs::from);
    let found = match time_of_day(text) {
        Some(time) => {
            let today = zone.to_datetime(now.timestamp()).date();
            let days = std::iter::successors(Some(today), |day| day.tomorrow().ok()).take(DAYS);
            days.filter_map(|day| of(day.to_datetime(time))).find(|at| *at > now)
        }
        // A zone in brackets that is not known is not passed over.
        None => text.parse::<DateTime>().ok().filter(|_| !text.contains('[')).and_then(of),
    };
    found.ok_or_else(|| {
        let zone = zone.iana_name().unwrap_or("UTC");
        ApiError::bad(format!("`{name}` takes a time as `2026-12-04T10:00:00Z`, or `2026-12-04 18:00` or the next `18:00` in {zone}"))
    })
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| text.parse::<i8>().ok().filter(|_| text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit()));
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = |name: &str| TimeZone::get(name).unwrap();
        let read = |text: &str, zone: &TimeZone, now: &str| {
            let now = UnixMs::from(now.parse::<jiff::Timestamp>().unwrap());
            instant("until", text, zone, now).ok().map(|at| at.timestamp().to_string())
        };
        let (shanghai, berlin) = (zone("Asia/Shanghai"), zone("Europe/Berlin"));
        let night = "2026-11-29T19:00:00Z";
        for (text, zone, now, wanted) in [
            ("2026-12-04T10:00:00Z", &shanghai, night, Some("2026-12-04T10:00:00Z")),
            ("2026-12-04 18:00", &shanghai, night, Some("2026-12-04T10:00:00Z")),
            // It is 03:00 there.
            ("09:00", &shanghai, night, Some("2026-11-30T01:00:00Z")),
            (" 9:00 ", &shanghai, night, Some("2026-11-30T01:00:00Z")),
            ("03:00", &shanghai, night, Some("2026-11-30T19:00:00Z")),
            ("02:00", &shanghai, night, Some("2026-11-30T18:00:00Z")),
            // The night of which the hour from 02:00 to 03:00 is missing: it comes an hour late.
            ("02:30", &berlin, "2026-03-28T23:00:00Z", Some("2026-03-29T01:30:00Z")),
            // The night that has that hour twice: the first one.
            ("02:30", &berlin, "2026-10-24T22:00:00Z", Some("2026-10-25T00:30:00Z")),
            ("2026-12-05T18:00[Europe/Berlin]", &shanghai, night, Some("2026-12-05T17:00:00Z")),
            ("2026-12-05T18:00+01:00[Europe/Berlin]", &shanghai, night, Some("2026-12-05T17:00:00Z")),
            ("2026-12-05T18:00[Europe/Berln]", &shanghai, night, None),
            ("24:00", &berlin, night, None),
            ("tomorrow", &berlin, night, None),
            ("9", &berlin, night, None),
            ("09:000", &berlin, night, None),
            ("+9:00", &berlin, night, None),
            ("", &berlin, night, None),
        ] {
            assert_eq!(read(text, zone, now).as_deref(), wanted, "{text} at {now}");
        }
    }
}
