//! Times as senders write them, to the instant they mean. An unknown form is no time, never an error: a date must not cost an alert.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::value::text;

/// A JSON value as an instant: RFC 3339, Go's own format (`2026-05-27 15:36:01.123 +0000 UTC m=+8560.1`), a date and time without offset
/// (taken as UTC), or Unix time in seconds, milliseconds, microseconds or nanoseconds, told apart by size. Go's zero time, zero, everything
/// up to 1970 and everything not understood is `None`.
pub(super) fn instant(raw: &str) -> Option<Timestamp> {
    parse(text(raw).trim())
}

/// The same of a text without quotes and without white space around it.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    // Go's zero time, which Alertmanager sends with every firing alert; the general way returns the same.
    if text.is_empty() || text.starts_with("0001-01-01") {
        return None;
    }
    let time = if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        epoch(text)
    } else {
        text.parse::<Timestamp>().ok().or_else(|| spaced(text)).or_else(|| without_offset(text))
    };
    time.filter(|t| *t > Timestamp::UNIX_EPOCH)
}

fn epoch(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<i64>() {
        // 10^11 seconds is the year 5138 and 10^11 milliseconds is 1973: no overlap in practice, and so on by thousands.
        let time = match number.unsigned_abs().checked_ilog10().unwrap_or(0) {
            0..11 => Timestamp::from_second(number),
            11..14 => Timestamp::from_millisecond(number),
            14..17 => Timestamp::from_microsecond(number),
            _ => Timestamp::from_nanosecond(i128::from(number)),
        };
        return time.ok();
    }
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && *s < 1e14)?;
    let millis = if seconds < 1e11 { seconds * 1e3 } else { seconds };
    Timestamp::from_millisecond(millis.round() as i64).ok()
}

/// `date time ±hhmm [zone] [m=±seconds]`, as Go's `Time.String` writes it.
fn spaced(text: &str) -> Option<Timestamp> {
    let mut parts = text.split_ascii_whitespace();
    let (date, time, offset) = (parts.next()?, parts.next()?, parts.next()?);
    let (sign, digits) = offset.split_at_checked(1)?;
    if !matches!(sign, "+" | "-") || digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{date}T{time}{sign}{}:{}", &digits[..2], &digits[2..]).parse().ok()
}

fn without_offset(text: &str) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_senders_use() {
        for (raw, want) in [
            (r#""2023-06-12T08:24:38.326Z""#, "2023-06-12T08:24:38.326Z"),
            (r#""2021-10-12T09:51:03.157076+02:00""#, "2021-10-12T07:51:03.157076Z"),
            (r#""2023-06-12T08:24:38.123456789+08:00""#, "2023-06-12T00:24:38.123456789Z"),
            (r#""2026-05-27 15:36:01.123 +0000 UTC m=+8560.1""#, "2026-05-27T15:36:01.123Z"),
            (r#""2026-05-27 15:36:01.123 +0800 CST""#, "2026-05-27T07:36:01.123Z"),
            (r#""2026-05-27 15:36:01 -0330 -0330""#, "2026-05-27T19:06:01Z"),
            (r#""2026-05-27 15:36:01""#, "2026-05-27T15:36:01Z"),
            (r#""2026-05-27T15:36:01""#, "2026-05-27T15:36:01Z"),
            ("1686558278", "2023-06-12T08:24:38Z"),
            ("1686558278.326", "2023-06-12T08:24:38.326Z"),
            (r#""1686558278326""#, "2023-06-12T08:24:38.326Z"),
            ("1686558278326000", "2023-06-12T08:24:38.326Z"),
            ("1686558278326000001", "2023-06-12T08:24:38.326000001Z"),
        ] {
            assert_eq!(instant(raw).map(|t| t.to_string()).as_deref(), Some(want), "{raw}");
        }
    }

    #[test]
    fn no_time_and_nonsense_are_none() {
        for raw in [
            "null",
            "0",
            "0.0",
            "-5",
            "...",
            "1e400",
            "true",
            "{}",
            r#""""#,
            r#"" ""#,
            r#""0001-01-01T00:00:00Z""#,
            r#""0001-01-01T08:05:43+08:05""#,
            r#""0001-01-01 00:00:00 +0000 UTC""#,
            r#""0000-12-31T23:00:00-01:00""#,
            r#""1970-01-01T00:00:00Z""#,
            r#""yesterday""#,
            r#""2026-13-45T99:00:00Z""#,
            r#""a b +é00""#,
            r#""a b +""#,
            r#""99999999999999999999999999""#,
        ] {
            assert_eq!(instant(raw), None, "{raw}");
        }
    }
}
