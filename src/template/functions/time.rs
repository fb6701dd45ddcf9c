//! Functions over times and durations; "now" and the zone are the page's.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::super::view::{format_at, humanize_in};
use super::super::words;
use super::Arguments;

/// Checks a format as far as that can be done without a time.
pub fn check_format(format: &str) -> Result<(), String> {
    format_at(Timestamp::UNIX_EPOCH, &TimeZone::UTC, format).map(drop)
}

/// Checks a zone's name.
pub fn check_zone(zone: &str) -> Result<TimeZone, String> {
    TimeZone::get(zone).map_err(|_| format!("`{zone}` is not an IANA time zone; write it like `Europe/Berlin`"))
}

/// Reads RFC 3339 or Unix seconds; an empty text is none.
fn timestamp(value: &Value) -> Result<Option<Timestamp>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => text.parse().map(Some).map_err(|_| format!("`{text}` is not a time; use starts_at, ends_at or now")),
        Value::Number(number) => {
            let seconds = number.as_f64().unwrap_or(f64::NAN);
            Timestamp::from_second(seconds as i64).map(Some).map_err(|_| format!("{seconds} are not Unix seconds"))
        }
        _ => Err("this is not a time; use starts_at, ends_at or now".to_owned()),
    }
}

pub(super) fn time(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let Some(at) = timestamp(arguments.value(0))? else { return Ok("".into()) };
    let format = if arguments.len() > 1 { arguments.text(1) } else { "%Y-%m-%d %H:%M:%S".to_owned() };
    let zone = match arguments.named("zone") {
        Some(zone) => check_zone(&zone)?,
        None => TimeZone::get(arguments.root("time_zone")).unwrap_or(TimeZone::UTC),
    };
    format_at(at, &zone, &format).map(Value::from)
}

pub(super) fn ago(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let Some(at) = timestamp(arguments.value(0))? else { return Ok("".into()) };
    let now: Timestamp = arguments.root("now").parse().unwrap_or(at);
    let seconds = u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0);
    Ok(humanize_in(words::language(arguments.root("language")), Duration::from_secs(seconds)).into())
}
