//! Single-character escapes (`\n`, `\x41`, `\101`, `\.`) as Go knows them. Knows nothing of their place in a pattern.

use super::PatternError;

/// Reads the escape whose backslash is at `at`. Returns the code point (which may be a surrogate) and the offset after it.
pub(super) fn single(chars: &[char], at: usize) -> Result<(u32, usize), PatternError> {
    let Some(&c) = chars.get(at + 1) else {
        return Err(PatternError::new(at, "a backslash is at the end", "write `\\\\` for a backslash"));
    };
    let octal = chars[at + 1..].iter().take(3).map_while(|c| c.to_digit(8));
    let code = match c {
        '1'..='7' if octal.clone().count() == 1 => {
            return Err(PatternError::new(
                at,
                format!("`\\{c}` refers back to a group, which Go's expressions cannot do"),
                "spell the repeated text out, or match the labels one by one",
            ));
        }
        '0'..='7' => return Ok((octal.clone().fold(0, |value, digit| value * 8 + digit), at + 1 + octal.count())),
        'x' => return hexadecimal(chars, at),
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
        _ => {
            let help = "write `\\\\` for a backslash; only punctuation and Go's own escapes may follow one";
            return Err(PatternError::new(at, format!("`\\{c}` is not an escape that Go knows"), help));
        }
    };
    Ok((code, at + 2))
}

fn hexadecimal(chars: &[char], at: usize) -> Result<(u32, usize), PatternError> {
    let (digits, next) = match &chars[at + 2..] {
        ['{', rest @ ..] => rest.iter().position(|c| *c == '}').map_or((&rest[..0], at), |length| (&rest[..length], at + length + 4)),
        [_, _, ..] => (&chars[at + 2..at + 4], at + 4),
        _ => (&chars[..0], at),
    };
    let value = digits.iter().try_fold(0, |value: u32, c| Some(value * 16 + c.to_digit(16)?).filter(|value| *value <= 0x10_FFFF));
    value.filter(|_| !digits.is_empty()).map(|value| (value, next)).ok_or_else(|| {
        PatternError::new(at, "`\\x` needs two hexadecimal digits, or some in braces up to 10FFFF", "write it like `\\x41` or `\\x{1F642}`")
    })
}
