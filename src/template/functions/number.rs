//! Arithmetic, and numbers as Prometheus' templates write them: <https://prometheus.io/docs/prometheus/latest/configuration/template_reference/#numbers>
//!
//! Alerts choose the values, and no value may cost a message its template: what is no number is empty, and so is a result that is none.

use std::time::Duration;

use serde_json::Value;

use super::super::view::humanize_in;
use super::super::words;
use super::Arguments;

/// Whole numbers below it print as such; larger ones with an exponent.
const WHOLE: f64 = 1e16;
/// From here on a short number has an exponent.
const SCIENTIFIC: f64 = 1e21;
/// The longest duration that is put into words, in seconds.
const MAX_SECONDS: f64 = 1e12;

/// A number, or a text that is one; never infinite.
pub(super) fn read(value: &Value) -> Option<f64> {
    let read = value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
    read.filter(|number| number.is_finite())
}

fn number(arguments: &Arguments<'_, '_>, at: usize) -> Option<f64> {
    read(arguments.value(at))
}

/// A result to 15 digits, which is what a double holds: `0.1 + 0.2` is `0.3`. A whole number prints without a point.
fn result(number: Option<f64>) -> Result<Value, String> {
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < WHOLE).then(|| Value::from(number as i64));
    let rounded = |number: f64| format!("{number:.14e}").parse().ok();
    let Some(number) = number.filter(|number| number.is_finite()) else { return Ok("".into()) };
    Ok(whole(number).or_else(|| rounded(number).map(|number| whole(number).unwrap_or_else(|| Value::from(number)))).unwrap_or_else(|| "".into()))
}

/// A text about a number.
fn text(number: Option<f64>, write: impl FnOnce(f64) -> String) -> Result<Value, String> {
    Ok(number.filter(|number| number.is_finite()).map_or_else(String::new, write).into())
}

fn of_two(arguments: &Arguments<'_, '_>, run: fn(f64, f64) -> f64) -> Result<Value, String> {
    result(number(arguments, 0).zip(number(arguments, 1)).map(|(a, b)| run(a, b)))
}

pub(super) fn add(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    of_two(arguments, |a, b| a + b)
}

pub(super) fn sub(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    of_two(arguments, |a, b| a - b)
}

pub(super) fn mul(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    of_two(arguments, |a, b| a * b)
}

pub(super) fn div(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    of_two(arguments, |a, b| a / b)
}

pub(super) fn modulo(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    of_two(arguments, |a, b| a % b)
}

pub(super) fn round(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let scale = 10f64.powi(number(arguments, 1).unwrap_or_default().clamp(0.0, 9.0) as i32);
    // One too large for its scale has no decimals.
    result(number(arguments, 0).map(|number| if (number * scale).is_finite() { (number * scale).round() / scale } else { number }))
}

/// Four significant digits, without trailing zeros.
fn short(number: f64) -> String {
    let trimmed = |text: &str| if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() };
    if number.abs() >= SCIENTIFIC {
        let text = format!("{number:.3e}");
        return text.split_once('e').map_or_else(String::new, |(digits, exponent)| format!("{}e{exponent}", trimmed(digits)));
    }
    let digits = if number == 0.0 { 1 } else { number.abs().log10().floor() as i32 + 1 };
    let decimals = usize::try_from((4 - digits).clamp(0, 12)).unwrap_or_default();
    trimmed(&format!("{number:.decimals$}"))
}

fn scaled(mut number: f64, base: f64, prefixes: &[&str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if number.abs() < base {
            break;
        }
        number /= base;
        prefix = next;
    }
    format!("{}{prefix}", short(number))
}

/// `humanize 1234567`: with a decimal prefix.
pub(super) fn humanize(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    text(number(arguments, 0), |value| {
        if value == 0.0 || value.abs() >= 1.0 {
            return scaled(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"]);
        }
        let mut small = value;
        let mut prefix = "";
        for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if small.abs() >= 1.0 {
                break;
            }
            small *= 1000.0;
            prefix = next;
        }
        format!("{}{prefix}", short(small))
    })
}

/// `humanize_1024 1536`: with a binary prefix.
pub(super) fn humanize_1024(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    text(number(arguments, 0), |value| scaled(value, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]))
}

/// `humanize_percentage 0.973`: a share as a percentage.
pub(super) fn humanize_percentage(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    text(number(arguments, 0).map(|share| share * 100.0), |percent| format!("{}%", short(percent)))
}

/// `humanize_duration 3725`: seconds in words, in the message's language.
pub(super) fn humanize_duration(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    text(number(arguments, 0), |seconds| {
        let words = humanize_in(words::language(arguments.root("language")), Duration::from_secs(seconds.abs().min(MAX_SECONDS) as u64));
        if seconds <= -1.0 { format!("-{words}") } else { words }
    })
}
