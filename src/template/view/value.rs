//! The current value of an alert, as people write numbers.

use crate::model::{Alert, Status};

/// The `value` annotation; else Grafana's values, without the condition's 0 or 1 and without repeats. Empty when unknown.
pub fn value(alert: &Alert) -> String {
    let written = ["value", "current_value"].iter().map(|name| alert.annotation(name).trim()).find(|value| !value.is_empty());
    if let Some(written) = written {
        return written.to_owned();
    }
    // Grafana's alert condition is an expression whose value is 1 while it fires.
    let is_condition = |value: f64| value == 0.0 || value == 1.0;
    let measured = alert.values.values().any(|value| !is_condition(*value));
    let mut kept: Vec<(&String, f64)> = Vec::new();
    for (name, value) in &alert.values {
        if !(measured && is_condition(*value) || kept.iter().any(|(_, known)| known == value)) {
            kept.push((name, *value));
        }
    }
    // Of a 0 beside a 1 the condition is the 1 while it fires, and then the 0.
    if !measured && kept.len() > 1 {
        let condition = if alert.status == Status::Firing { 1.0 } else { 0.0 };
        kept.retain(|(_, value)| *value != condition);
    }
    match kept.as_slice() {
        [(_, value)] => as_written(*value, alert.annotation("summary")).unwrap_or_else(|| number(*value)),
        several => several.iter().map(|(name, value)| format!("{name}={}", number(*value))).collect::<Vec<_>>().join(", "),
    }
}

/// The value as the summary rounds it, so that both say the same.
fn as_written(value: f64, summary: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let numbers = summary.split(|c: char| !is_part(c)).map(|text| text.trim_matches('.')).filter(|text| !text.is_empty());
    numbers
        .into_iter()
        .find(|text| {
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            (decimals > 0 || value.fract() == 0.0) && decimals <= 6 && format!("{value:.decimals$}") == **text
        })
        .map(str::to_owned)
}

/// A number as a person writes it: at most four decimals, no trailing zeros, powers of ten only where needed.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:e}");
    }
    let text = if size >= 1000.0 { format!("{value:.2}") } else { format!("{value:.4}") };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_like_numbers() {
        for (value, text) in
            [(22.0813, "22.0813"), (0.5, "0.5"), (3.0, "3"), (0.0, "0"), (123_456.789, "123456.79"), (-1.25, "-1.25"), (1e-9, "1e-9"), (1e20, "1e20")]
        {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn grafanas_condition_and_repeats_are_left_out() {
        let of = |values: &[(&str, f64)], summary: &str| {
            let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            value(&Alert { values, annotations: [("summary".to_owned(), summary.to_owned())].into(), ..Alert::default() })
        };
        assert_eq!(of(&[("A", 2.4137), ("B", 2.4137), ("C", 1.0)], "p99 of checkout-api is 2.41 s (limit 1 s)"), "2.41");
        assert_eq!(of(&[("B", 95.437), ("C", 1.0)], "more than 95%"), "95.437");
        assert_eq!(of(&[("A", 3.0), ("B", 7.5)], ""), "A=3, B=7.5");
        assert_eq!([of(&[("A", 0.0)], ""), of(&[("A", 0.0), ("B", 0.0), ("C", 1.0)], "")], ["0", "0"]);
        assert_eq!(of(&[("A", 1.0), ("C", 1.0)], ""), "1");
        let over = [("A".to_owned(), 1.0), ("C".to_owned(), 0.0)].into();
        assert_eq!(value(&Alert { status: Status::Resolved, values: over, ..Alert::default() }), "1");
        assert_eq!(of(&[], ""), "");
        let written = [("value".to_owned(), "97%".to_owned())].into();
        assert_eq!(value(&Alert { annotations: written, values: [("B".to_owned(), 1.5)].into(), ..Alert::default() }), "97%");
    }
}
