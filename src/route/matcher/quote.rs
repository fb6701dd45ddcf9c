//! Double-quoted texts of the UTF-8 grammar: Go's string escapes, read and written.
//! Knows nothing of matchers.

use std::fmt::{self, Write as _};

use super::MatcherError;

/// Reads the inside of a double-quoted text that runs from `start` up to the closing quote at `end`.
/// Each character with the place in the text that it came from.
pub(super) fn unquote(chars: &[char], start: usize, end: usize) -> Result<Vec<(char, usize)>, MatcherError> {
    let mut bytes: Vec<u8> = Vec::with_capacity(end - start);
    let mut places: Vec<usize> = Vec::with_capacity(end - start);
    let mut buffer = [0; 4];
    let mut push = |encoded: &[u8], at: usize| {
        bytes.extend_from_slice(encoded);
        places.resize(bytes.len(), at);
    };
    let mut at = start;
    while at < end {
        let c = chars[at];
        if c == '\n' {
            return Err(MatcherError::new(at, "a line break is inside quotes", "write `\\n` for it"));
        }
        if c != '\\' {
            push(c.encode_utf8(&mut buffer).as_bytes(), at);
            at += 1;
            continue;
        }
        let escape = chars.get(at + 1).copied().filter(|_| at + 1 < end);
        let number = |radix: u32, from: usize, digits: usize| -> Option<u32> {
            let slice = chars.get(from..from + digits).filter(|_| from + digits <= end)?;
            slice.iter().try_fold(0u32, |value, c| value.checked_mul(radix)?.checked_add(c.to_digit(radix)?))
        };
        let (value, length, is_byte) = match escape {
            Some('a') => (Some(7), 2, false),
            Some('b') => (Some(8), 2, false),
            Some('f') => (Some(12), 2, false),
            Some('n') => (Some(10), 2, false),
            Some('r') => (Some(13), 2, false),
            Some('t') => (Some(9), 2, false),
            Some('v') => (Some(11), 2, false),
            Some(c @ ('\\' | '"')) => (Some(u32::from(c)), 2, false),
            Some('0'..='7') => (number(8, at + 1, 3).filter(|value| *value < 256), 4, true),
            Some('x') => (number(16, at + 2, 2), 4, true),
            Some('u') => (number(16, at + 2, 4), 6, false),
            Some('U') => (number(16, at + 2, 8), 10, false),
            _ => (None, 0, false),
        };
        match value {
            // The filter above keeps it within a byte.
            Some(value) if is_byte => push(&[value as u8], at),
            Some(value) if char::from_u32(value).is_some() => {
                let c = char::from_u32(value).unwrap_or('\0');
                push(c.encode_utf8(&mut buffer).as_bytes(), at);
            }
            _ => {
                let shown = escape.map(String::from).unwrap_or_default();
                return Err(MatcherError::new(
                    at,
                    format!("`\\{shown}` is not a complete escape that quoted texts know"),
                    "write `\\\\` for a backslash (a regular expression's `\\d` is `\\\\d` inside quotes)",
                ));
            }
        }
        at += length;
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.char_indices().map(|(i, c)| (c, places[i])).collect()),
        Err(error) => Err(MatcherError::new(
            places.get(error.valid_up_to()).copied().unwrap_or(start),
            "the escaped bytes are not valid UTF-8",
            "write the character itself, or its code as `\\u00e9`",
        )),
    }
}

/// Writes a text in double quotes so that both grammars read it back.
pub(super) fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '\\' => f.write_str("\\\\")?,
            '"' => f.write_str("\\\"")?,
            '\n' => f.write_str("\\n")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
