//! Arithmetic, and numbers as Prometheus' templates write them: <https://prometheus.io/docs/prometheus/latest/configuration/template_reference/#numbers>

use std::time::Duration;

use serde_json::Value;

use super::super::view::humanize_in;
use super::super::words;
use super::Arguments;

/// A number, or a text that is one.
fn number(arguments: &Arguments<'_, '_>, at: usize) -> Result<f64, String> {
    let value = arguments.value(at);
    let read = value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
    read.filter(|number| number.is_finite()).ok_or_else(|| format!("`{}` is not a number", arguments.text(at)))
}

/// A result: a whole number where it is one, so that it prints without a point.
fn result(number: f64) -> Result<Value, String> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !number.is_finite() {
        return Err("the result is not a number".to_owned());
    }
    Ok(if number.fract() == 0.0 && number.abs() < EXACT { Value::from(number as i64) } else { Value::from(number) })
}

fn of_two(arguments: &Arguments<'_, '_>, run: fn(f64, f64) -> f64) -> Result<Value, String> {
    result(run(number(arguments, 0)?, number(arguments, 1)?))
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
    let decimals = if arguments.len() > 1 { number(arguments, 1)? } else { 0.0 };
    let scale = 10f64.powi(decimals.clamp(0.0, 9.0) as i32);
    result((number(arguments, 0)? * scale).round() / scale)
}

/// Four significant digits, without trailing zeros.
fn short(number: f64) -> String {
    let digits = if number == 0.0 { 1 } else { number.abs().log10().floor() as i32 + 1 };
    let decimals = usize::try_from((4 - digits).clamp(0, 12)).unwrap_or_default();
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
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
    let value = number(arguments, 0)?;
    if value == 0.0 || value.abs() >= 1.0 {
        return Ok(scaled(value, 1000.0, &["k", "M", "G", "T", "P", "E", "Z", "Y"]).into());
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
    Ok(format!("{}{prefix}", short(small)).into())
}

/// `humanize_1024 1536`: with a binary prefix.
pub(super) fn humanize_1024(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(scaled(number(arguments, 0)?, 1024.0, &["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]).into())
}

/// `humanize_percentage 0.973`: a share as a percentage.
pub(super) fn humanize_percentage(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(format!("{}%", short(number(arguments, 0)? * 100.0)).into())
}

/// `humanize_duration 3725`: seconds in words, in the message's language.
pub(super) fn humanize_duration(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let seconds = number(arguments, 0).ok().filter(|seconds| (0.0..1e12).contains(seconds));
    let seconds = seconds.ok_or("the argument is a number of seconds, not negative")?;
    Ok(humanize_in(words::language(arguments.root("language")), Duration::from_secs(seconds as u64)).into())
}
