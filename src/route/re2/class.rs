//! Bracketed classes and Unicode groups: reads Go's, writes the `regex` crate's, with every character spelled as a number so
//! that nothing in a class can be read as an operator. Case folding is left to the group that the translator puts around it.

use std::fmt::Write as _;

use super::PatternError;
use super::escape::{perl_group, posix_group, single, unicode_group};

/// A class that no character is in.
pub(super) const NOTHING: &str = r"[^\x00-\x{10FFFF}]";

/// Reads a `[...]` that opens at `open`. Returns the translated class and the offset after it.
pub(super) fn bracketed(chars: &[char], open: usize) -> Result<(String, usize), PatternError> {
    let mut out = String::from("[");
    let mut at = open + 1;
    if chars.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let items = out.len();
    let mut first = true;
    loop {
        match chars.get(at) {
            None => return Err(unclosed(open)),
            // A `]` that comes first is literal.
            Some(']') if !first => break,
            Some(_) => {}
        }
        first = false;
        if chars[at] == '[' && chars.get(at + 1) == Some(&':') && chars.len() > at + 2 {
            if let Some((class, next)) = posix(chars, at)? {
                out.push_str(&class);
                at = next;
                continue;
            }
        } else if let Some((class, next)) = group(chars, at)? {
            out.push_str(&class);
            at = next;
            continue;
        }
        let start = at;
        let (low, next) = member(chars, at, open)?;
        at = next;
        let mut high = low;
        if chars.get(at) == Some(&'-') && chars.get(at + 1).is_some_and(|c| *c != ']') {
            (high, at) = member(chars, at + 1, open)?;
            if high < low {
                return Err(PatternError::new(
                    start,
                    "a range in `[...]` runs backwards",
                    "put the smaller character first; for a plain `-`, put it last or write `\\-`",
                ));
            }
        }
        push_range(&mut out, low, high);
    }
    if out.len() == items {
        // Only surrogates were listed, which no text holds.
        out.push_str(NOTHING);
    }
    out.push(']');
    Ok((out, at + 1))
}

/// Reads `\d`, `\D`, ..., `\pN`, `\P{Greek}` at `at`, if there is one.
pub(super) fn group(chars: &[char], at: usize) -> Result<Option<(String, usize)>, PatternError> {
    if chars.get(at) != Some(&'\\') {
        return Ok(None);
    }
    match chars.get(at + 1) {
        Some('p' | 'P') => unicode(chars, at).map(Some),
        Some(&letter) => Ok(perl_group(letter.to_ascii_lowercase()).map(|inside| {
            let sign = if letter.is_ascii_uppercase() { "^" } else { "" };
            (format!("[{sign}{inside}]"), at + 2)
        })),
        None => Ok(None),
    }
}

fn unicode(chars: &[char], at: usize) -> Result<(String, usize), PatternError> {
    let mut negated = chars[at + 1] == 'P';
    let start = at + 2;
    let (name, next) = match chars.get(start) {
        None => return Err(PatternError::new(at, "`\\p` names no Unicode group", "write it like `\\pL` or `\\p{Greek}`")),
        Some('{') => {
            let Some(length) = chars[start..].iter().position(|c| *c == '}') else {
                return Err(PatternError::new(at, "`\\p{` has no closing `}`", "write it like `\\p{Greek}`"));
            };
            (chars[start + 1..start + length].iter().collect::<String>(), start + length + 1)
        }
        Some(c) => (c.to_string(), start + 1),
    };
    let plain = match name.strip_prefix('^') {
        Some(rest) => {
            negated = !negated;
            rest
        }
        None => name.as_str(),
    };
    let Some(class) = unicode_group(plain) else {
        return Err(PatternError::new(
            at,
            format!("Go knows no Unicode group `{}`", name.chars().take(40).collect::<String>()),
            "use a category such as `\\p{Lu}` or a script's full name such as `\\p{Greek}`",
        ));
    };
    Ok((if negated { format!("[^{class}]") } else { class }, next))
}

/// Reads `[:name:]` inside a class; `None` when there is no `:]`, because then the `[` is an ordinary character.
fn posix(chars: &[char], at: usize) -> Result<Option<(String, usize)>, PatternError> {
    let start = at + 2;
    let Some(length) = chars[start..].windows(2).position(|pair| pair == [':', ']']) else { return Ok(None) };
    let name: String = chars[start..start + length].iter().collect();
    let (sign, plain) = name.strip_prefix('^').map_or(("", name.as_str()), |rest| ("^", rest));
    let Some(inside) = posix_group(plain) else {
        return Err(PatternError::new(
            at,
            format!("there is no class `[:{}:]`", name.chars().take(40).collect::<String>()),
            "use one such as `[:alpha:]`, `[:digit:]`, `[:space:]`",
        ));
    };
    Ok(Some((format!("[{sign}{inside}]"), start + length + 2)))
}

fn member(chars: &[char], at: usize, open: usize) -> Result<(u32, usize), PatternError> {
    match chars.get(at) {
        None => Err(unclosed(open)),
        Some('\\') => single(chars, at),
        Some(c) => Ok((u32::from(*c), at + 1)),
    }
}

fn unclosed(open: usize) -> PatternError {
    PatternError::new(open, "`[` has no closing `]`", "close it, or write `\\[` for the character")
}

/// Writes a range without the surrogates in it, which the `regex` crate cannot name and no text holds.
fn push_range(out: &mut String, low: u32, high: u32) {
    for (low, high) in [(low, high.min(0xD7FF)), (low.max(0xE000), high)] {
        if low <= high {
            // Writing to a String cannot fail.
            let _ = write!(out, r"\x{{{low:X}}}-\x{{{high:X}}}");
        }
    }
}
