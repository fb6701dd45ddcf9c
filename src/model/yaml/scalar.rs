//! What an unquoted scalar is: YAML 1.2's core schema (<https://yaml.org/spec/1.2.2/#103-core-schema>), so `no`, `off` and `on` are texts.

use serde_yaml::Value;

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Resolved {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A number with a point or exponent.
    Float(f64),
    /// A text.
    Text,
}

impl Resolved {
    /// The value of a scalar that reads `text`. A number that no 64 bits hold stays a text.
    pub fn value(self, text: &str) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(truth),
            Self::Integer(number) => match (i64::try_from(number), u64::try_from(number)) {
                (Ok(number), _) => Value::Number(number.into()),
                (_, Ok(number)) => Value::Number(number.into()),
                _ => Value::String(text.to_owned()),
            },
            Self::Float(number) => Value::Number(number.into()),
            Self::Text => Value::String(text.to_owned()),
        }
    }
}

/// Resolves the text of an unquoted scalar.
pub fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        _ => {}
    }
    let (negative, digits) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Resolved::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if let Some(number) = integer(digits) {
        return Resolved::Integer(if negative { -number } else { number });
    }
    if looks_like_float(digits)
        && let Ok(number) = digits.parse::<f64>()
        && number.is_finite()
    {
        return Resolved::Float(if negative { -number } else { number });
    }
    Resolved::Text
}

/// A whole number without its sign. Leading zeros make a text: `007` is a name or a number to dial, never seven.
fn integer(digits: &str) -> Option<i128> {
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = digits.strip_prefix(prefix) {
            let plain = !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix));
            return plain.then(|| i128::from_str_radix(rest, radix).ok()).flatten();
        }
    }
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain.then(|| digits.parse().ok()).flatten()
}

fn looks_like_float(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (digits, None),
    };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    let whole_fine =
        (whole.is_empty() && fraction.is_some_and(|f| !f.is_empty())) || (all_digits(whole) && (whole == "0" || !whole.starts_with('0')));
    let fraction_fine = fraction.is_none_or(|f| f.bytes().all(|b| b.is_ascii_digit()));
    whole_fine && fraction_fine && exponent.is_none_or(all_digits) && (fraction.is_some() || exponent.is_some())
}
