//! How long a platform asks us to wait: in a header, or in its body, in any of the forms that are met. Pure.
//!
//! What cannot be read says nothing (a negative number, words, nothing at all); a time that is past says "at once", and the caller's own floor holds.

use std::time::Duration;

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

/// The longest wait that is believed of an answer.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Headers that say when the next window of a limit begins, for platforms that send no `Retry-After`, or one that cannot be read:
/// Discord (<https://docs.discord.com/developers/topics/rate-limits>), Feishu
/// (<https://open.feishu.cn/document/server-docs/api-call-guide/frequency-control>), Rocket.Chat (milliseconds since 1970), Pushover
/// (<https://pushover.net/api#limits>, seconds since 1970), and the IETF's draft.
const RESET_HEADERS: &[&str] =
    &["x-ratelimit-reset-after", "x-ogw-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset", "x-limit-app-reset"];

/// Names under which bodies say it, in seconds (Telegram, Discord), and in milliseconds.
const SECONDS_FIELDS: &[&str] = &["retry_after", "retryafter", "retry-after", "retry_after_seconds", "retrydelay"];
const MILLISECONDS_FIELDS: &[&str] = &["retry_after_ms", "retryafterms", "retryaftermilliseconds"];

/// Words before the number in bodies of words (Azure, Rocket.Chat, Telegram).
const WAIT_PHRASES: &[&str] = &["retry after ", "try again in ", "try again after ", "retry in ", "must wait "];

/// `Retry-After`: the longest of those that can be read. Seconds or a date of any of the forms of RFC 9110 5.6.7; besides them what is met in
/// practice: fractions, units, several values in one header or several headers, seconds or milliseconds since 1970, ISO 8601.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let now = server_time(headers).unwrap_or(now);
    let values = headers.get_all(RETRY_AFTER).into_iter().filter_map(|value| value.to_str().ok());
    values.filter_map(|value| read(value, now).or_else(|| value.split(',').filter_map(|part| read(part, now)).max())).max()
}

/// What the headers of a rate limit say, `Retry-After` first.
pub(super) fn in_headers(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    retry_after(headers, now).or_else(|| {
        let now = server_time(headers).unwrap_or(now);
        RESET_HEADERS.iter().find_map(|name| read(headers.get(*name)?.to_str().ok()?, now))
    })
}

/// What the body of a rate limit says: a field of its JSON, else words.
pub(super) fn in_body(text: &str, now: Timestamp) -> Option<Duration> {
    match serde_json::from_str::<Value>(text) {
        Ok(json) => in_json(&json, now, 0).or_else(|| in_words(text)),
        Err(_) => in_words(text),
    }
}

/// The server's clock, from the `Date` header.
pub(super) fn server_time(headers: &HeaderMap) -> Option<Timestamp> {
    date(headers.get(DATE)?.to_str().ok()?)
}

fn in_json(value: &Value, now: Timestamp, depth: usize) -> Option<Duration> {
    let here = |name: &str, value: &Value| {
        let name = name.to_ascii_lowercase();
        let number = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return None,
        };
        if MILLISECONDS_FIELDS.contains(&name.as_str()) {
            return span(number.parse::<f64>().ok()? / 1000.0);
        }
        if SECONDS_FIELDS.contains(&name.as_str()) { read(&number, now) } else { None }
    };
    match value {
        Value::Object(fields) => {
            let found = fields.iter().find_map(|(name, value)| here(name, value));
            found.or_else(|| if depth < 4 { fields.values().find_map(|value| in_json(value, now, depth + 1)) } else { None })
        }
        Value::Array(items) if depth < 4 => items.iter().take(16).find_map(|item| in_json(item, now, depth + 1)),
        _ => None,
    }
}

fn in_words(text: &str) -> Option<Duration> {
    let text = text.to_ascii_lowercase();
    WAIT_PHRASES.iter().find_map(|phrase| {
        let rest = text.split_once(phrase)?.1.trim_start_matches(|c: char| !c.is_ascii_digit() && !c.is_alphabetic());
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number = rest[..end].trim_end_matches('.').parse::<f64>().ok()?;
        let unit = rest[end..].trim_start();
        let scale = match unit {
            _ if unit.starts_with("ms") || unit.starts_with("milli") => 0.001,
            _ if unit.starts_with("min") => 60.0,
            _ if unit.starts_with("hour") => 3600.0,
            _ => 1.0,
        };
        span(number * scale)
    })
}

/// A number of seconds from now, or a moment.
fn read(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim().trim_matches('"').trim();
    if let Some(number) = text.strip_suffix("ms").and_then(|text| text.trim().parse::<f64>().ok()) {
        return span(number / 1000.0);
    }
    if let Ok(number) = text.strip_suffix('s').unwrap_or(text).trim().parse::<f64>() {
        // Nobody waits thirty years: such numbers are moments.
        return match number {
            n if n >= 1e12 => span((n - now.as_millisecond() as f64).max(0.0) / 1000.0),
            n if n >= 1e9 => span((n - now.as_second() as f64).max(0.0)),
            n => span(n),
        };
    }
    if let Some(moment) = date(text) {
        return Some(moment.duration_since(now).try_into().unwrap_or(Duration::ZERO).min(MAX_WAIT));
    }
    // `PT30S`, `5 seconds`, `1m30s`.
    let length = text.parse::<SignedDuration>().ok()?;
    Duration::try_from(length).ok().map(|length| length.min(MAX_WAIT))
}

fn span(seconds: f64) -> Option<Duration> {
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(MAX_WAIT.as_secs_f64())))
}

/// The date of a header: the three forms of RFC 9110 5.6.7, whatever day of the week they name, and ISO 8601.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Ok(moment) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(&text) {
        return Some(moment);
    }
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let rest = text.split_once([',', ' '])?.1.trim();
    let rest = rest.strip_suffix("GMT").or_else(|| rest.strip_suffix("UTC")).unwrap_or(rest).trim();
    ["%d %b %Y %H:%M:%S", "%d-%b-%y %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%b %d %H:%M:%S %Y"].iter().find_map(|form| {
        let moment = BrokenDownTime::parse(form, rest).ok()?.to_datetime().ok()?;
        TimeZone::UTC.to_timestamp(moment).ok()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// 2023-11-14T22:13:20Z.
    const NOW: i64 = 1_700_000_000;

    fn now() -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        let mut all = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            all.append(name, value);
        }
        all
    }

    #[test]
    fn every_form_of_the_header_is_read_and_nonsense_says_nothing() {
        type Row = (&'static [(&'static str, &'static str)], Option<f64>);
        let rows: &[Row] = &[
            (&[("retry-after", "30")], Some(30.0)),
            (&[("retry-after", " 0 ")], Some(0.0)),
            (&[("retry-after", "1.5")], Some(1.5)),
            (&[("retry-after", "30s")], Some(30.0)),
            (&[("retry-after", "250ms")], Some(0.25)),
            (&[("retry-after", "5 seconds")], Some(5.0)),
            (&[("retry-after", "1m30s")], Some(90.0)),
            (&[("retry-after", "PT30S")], Some(30.0)),
            (&[("retry-after", "48 hours")], Some(86_400.0)),
            (&[("retry-after", "-1m")], None),
            (&[("retry-after", "PT")], None),
            (&[("retry-after", "-5")], None),
            (&[("retry-after", "")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "1e400")], None),
            (&[("retry-after", "\u{ff}")], None),
            (&[("retry-after", "99999999999")], Some(86_400.0)),
            (&[("retry-after", "99999999999999999999999999")], Some(86_400.0)),
            (&[("retry-after", "1700000020")], Some(20.0)),
            (&[("retry-after", "1700000020000")], Some(20.0)),
            (&[("retry-after", "1600000000")], Some(0.0)),
            (&[("retry-after", "Tue, 14 Nov 2023 22:14:20 GMT")], Some(60.0)),
            (&[("retry-after", "Tue, 14 Nov 2023 22:00:00 GMT")], Some(0.0)),
            (&[("retry-after", "Mon, 14 Nov 2023 22:14:20 GMT")], Some(60.0)),
            (&[("retry-after", "Tuesday, 14-Nov-23 22:14:20 GMT")], Some(60.0)),
            (&[("retry-after", "Tue Nov 14 22:14:20 2023")], Some(60.0)),
            (&[("retry-after", "Tue Nov  7 22:14:20 2023")], Some(0.0)),
            (&[("retry-after", "2023-11-14T22:14:20Z")], Some(60.0)),
            (&[("retry-after", "Tue, 14 Nov 9999 22:14:20 GMT")], Some(86_400.0)),
            (&[("retry-after", "Tue, 99 Nov 2023 22:14:20 GMT")], None),
            (&[("retry-after", "5, 10")], Some(10.0)),
            (&[("retry-after", "5"), ("retry-after", "10")], Some(10.0)),
            (&[("retry-after", "later"), ("retry-after", "10")], Some(10.0)),
            (&[("retry-after", "later"), ("x-ratelimit-reset-after", "2.5")], Some(2.5)),
            (&[("x-ogw-ratelimit-reset", "7")], Some(7.0)),
            (&[("ratelimit-reset", "12")], Some(12.0)),
            (&[("x-ratelimit-reset", "1700000009")], Some(9.0)),
            (&[("x-ratelimit-reset", "1700000009500")], Some(9.5)),
            (&[("x-limit-app-reset", "1700003600")], Some(3600.0)),
            // The server's clock is an hour ahead of ours: its date is meant by its own.
            (&[("date", "Tue, 14 Nov 2023 23:13:20 GMT"), ("retry-after", "Tue, 14 Nov 2023 23:13:50 GMT")], Some(30.0)),
            (&[], None),
        ];
        for (pairs, expected) in rows {
            assert_eq!(in_headers(&headers(pairs), now()), expected.map(Duration::from_secs_f64), "{pairs:?}");
        }
    }

    #[test]
    fn bodies_say_it_in_fields_and_in_words() {
        let rows: &[(&str, Option<f64>)] = &[
            (r#"{"message":"You are being rate limited.","retry_after":1.5,"global":false}"#, Some(1.5)),
            (r#"{"ok":false,"parameters":{"retry_after":35}}"#, Some(35.0)),
            (r#"{"error":{"details":[{"retryDelay":"30s"}]}}"#, Some(30.0)),
            (r#"{"retry_after_ms":2500}"#, Some(2.5)),
            (r#"{"retryAfter":"2023-11-14T22:14:20Z"}"#, Some(60.0)),
            (r#"{"retry_after":-1}"#, None),
            (r#"{"retry_after":null}"#, None),
            (r#"{"ok":false,"description":"Too Many Requests: retry after 35"}"#, Some(35.0)),
            (r#"{"error":"Error, too many requests. You must wait 10 seconds before trying this endpoint again."}"#, Some(10.0)),
            ("Rate limit is exceeded. Try again in 2 minutes.", Some(120.0)),
            ("Try again in 250 ms", Some(0.25)),
            ("try again in a while", None),
            ("slow down", None),
            ("", None),
        ];
        for (body, expected) in rows {
            assert_eq!(in_body(body, now()), expected.map(Duration::from_secs_f64), "{body}");
        }
    }

    proptest! {
        /// Whatever comes, the reading ends, and no wait is longer than a day.
        #[test]
        fn no_answer_sets_an_absurd_wait(header in "[ -~]{0,40}", body in "\\PC{0,200}", number in any::<f64>()) {
            for wait in [
                in_headers(&headers(&[("retry-after", &header)]), now()),
                in_headers(&headers(&[("retry-after", &number.to_string())]), now()),
                in_body(&body, now()),
                in_body(&format!(r#"{{"retry_after":{number:e}}}"#), now()),
            ].into_iter().flatten() {
                prop_assert!(wait <= MAX_WAIT);
            }
        }
    }
}
