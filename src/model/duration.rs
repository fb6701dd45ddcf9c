//! Prometheus' duration syntax: `1h30m`, `5m`, `1d`, `2w`, `1y`, `500ms`; units in descending order, each once.
//!
//! Grammar: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/> (`<duration>`).

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: {reason}; write it like `30s`, `5m` or `1h30m`")]
pub struct DurationError {
    text: String,
    reason: &'static str,
}

const UNITS: [(&str, u64); 7] =
    [("y", 365 * 86_400_000), ("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration in Prometheus' syntax. `0` alone is allowed; `1.5h`, `5M`, `5 m` and a bare `5` are errors.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fail = |reason| DurationError { text: text.chars().take(40).collect(), reason };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(fail("it is empty"));
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(fail("a whole number must come before each unit"));
        }
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        if unit.is_empty() {
            return Err(fail("a number has no unit (ms, s, m, h, d, w, y)"));
        }
        let Some(ix) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(fail("the units are ms, s, m, h, d, w, y"));
        };
        if ix < next_unit {
            return Err(fail("units go from large to small, each once"));
        }
        next_unit = ix + 1;
        let number: u64 = number.parse().map_err(|_| fail("the number is too large"))?;
        total = number
            .checked_mul(UNITS[ix].1)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= i64::MAX as u64 / 1_000_000)
            .ok_or_else(|| fail("it is longer than 292 years"))?;
        rest = tail;
    }
    Ok(Duration::from_millis(total))
}

/// Writes a duration in Prometheus' syntax; parsing it returns the same duration (to the millisecond).
pub fn format_duration(duration: Duration) -> String {
    let mut ms = duration.as_millis() as u64;
    if ms == 0 {
        return "0s".into();
    }
    let mut out = String::new();
    for (unit, size) in UNITS {
        // Weeks and years only when nothing is left over, as Prometheus prints them.
        if matches!(unit, "y" | "w") && !ms.is_multiple_of(size) {
            continue;
        }
        if ms >= size {
            out.push_str(&format!("{}{unit}", ms / size));
            ms %= size;
        }
    }
    out
}

/// A duration as a person says it: the two largest units, `3d 4h`, `12m`, `45s`; below a second `0s`.
pub fn humanize(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if seconds >= size {
            parts.push(format!("{}{unit}", seconds / size));
            seconds %= size;
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_prometheus_accepts() {
        for (text, seconds) in
            [("0", 0), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("1d", 86_400), ("2w", 1_209_600), ("1y", 31_536_000), ("1d2h3m4s", 93_784)]
        {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(parse_duration("1s500ms").unwrap(), Duration::from_millis(1500));
    }

    #[test]
    fn refuses_what_prometheus_refuses() {
        for text in ["", "5", "1.5h", "5M", "5 m", "m", "1m1h", "1h1h", "-1s", "300y", "99999999999999999999s", "1h 30m"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["1h30m", "2w", "1y", "8d", "500ms", "1m1ms"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(parse_duration(&format_duration(duration)).unwrap(), duration);
        }
        assert_eq!(format_duration(Duration::from_secs(86_400 * 8)), "8d");
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn humans_get_two_units() {
        assert_eq!(humanize(Duration::from_secs(3 * 86_400 + 4 * 3600 + 59)), "3d 4h");
        assert_eq!(humanize(Duration::from_secs(86_400 + 59)), "1d");
        assert_eq!(humanize(Duration::from_secs(725)), "12m 5s");
        assert_eq!(humanize(Duration::from_millis(900)), "0s");
    }
}
