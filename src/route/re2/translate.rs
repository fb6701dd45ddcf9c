//! One pass over a Go pattern that writes its tokens for `regex-syntax`, or says where Go would refuse one. How tokens nest is `structure`'s business.
//! Captures become plain groups and laziness is dropped: only whether the whole text matches is ever asked.

use super::class::{NOTHING, bracketed, group};
use super::{MAX_LENGTH, MAX_REPEAT, PatternError, escape};

/// A translated pattern, not anchored.
pub(super) struct Translated {
    /// For `regex-syntax`.
    pub text: String,
    /// Where tokens begin: bytes into the text, characters into the pattern.
    places: Vec<(usize, usize)>,
}

impl Translated {
    /// Where in the pattern the token is that wrote this byte.
    pub fn offset(&self, byte: usize) -> usize {
        let after = self.places.partition_point(|(begin, _)| *begin <= byte);
        self.places[..after].last().map_or(0, |(_, at)| *at)
    }
}

/// Translates a pattern.
pub(super) fn translate(pattern: &str) -> Result<Translated, PatternError> {
    let chars: Vec<char> = pattern.chars().take(MAX_LENGTH + 1).collect();
    if chars.len() > MAX_LENGTH {
        return Err(PatternError::new(MAX_LENGTH, "the regular expression is too long", format!("use at most {MAX_LENGTH} characters")));
    }
    let (mut text, mut places) = (String::with_capacity(pattern.len() + 16), Vec::new());
    // `(?i)`: a repetition after it is one of what is before it, and is written first.
    let mut flags = String::new();
    let (mut at, mut after_repetition) = (0, false);
    while at < chars.len() {
        let operator = repetition(&chars, at)?;
        if after_repetition && operator.is_some() {
            return Err(PatternError::new(at, "a repetition follows a repetition", "put the first one in a group, like `(?:a*)*`"));
        }
        after_repetition = operator.is_some();
        let (token, next) = match operator {
            Some(operator) => operator,
            None if chars[at] == '(' => {
                let (token, next) = opening(&chars, at)?;
                if token.is_empty() || token.ends_with(')') {
                    flags.push_str(&token);
                    at = next;
                    continue;
                }
                (token, next)
            }
            None if chars[at] == '\\' => escaped(&chars, at)?,
            None if chars[at] == '[' => bracketed(&chars, at)?,
            None if matches!(chars[at], ')' | '|' | '^' | '$' | '.') => (chars[at].to_string(), at + 1),
            None => (literal(chars[at]), at + 1),
        };
        if !after_repetition && !token.is_empty() {
            text.push_str(&std::mem::take(&mut flags));
        }
        places.push((text.len(), at));
        text.push_str(&token);
        at = next;
    }
    Ok(Translated { text, places })
}

fn literal(c: char) -> String {
    if c.is_ascii_alphanumeric() || !c.is_ascii() { c.to_string() } else { format!(r"\x{:02X}", u32::from(c)) }
}

/// Reads `(`, `(?:`, `(?P<name>`, `(?<name>` or `(?flags:`, or `(?flags)`, which opens nothing.
fn opening(chars: &[char], open: usize) -> Result<(String, usize), PatternError> {
    let name = match &chars[open + 1..] {
        ['?', 'P', '<', ..] => open + 4,
        ['?', '<', ..] => open + 3,
        ['?', ..] => return flags(chars, open),
        _ => return Ok(("(?:".into(), open + 1)),
    };
    let length = chars[name..].iter().position(|c| *c == '>').unwrap_or(0);
    if length == 0 || !chars[name..name + length].iter().all(|c| c.is_ascii_alphanumeric() || *c == '_') {
        return Err(PatternError::new(
            open,
            "this group has no proper name",
            "write it like `(?P<name>...)` with letters, digits and `_`; looking behind (`(?<=`, `(?<!`) does not exist in Go's expressions",
        ));
    }
    Ok(("(?:".into(), name + length + 1))
}

fn flags(chars: &[char], open: usize) -> Result<(String, usize), PatternError> {
    let (mut set, mut unset) = (String::new(), String::new());
    let (mut on, mut seen) = (true, false);
    for (at, c) in chars.iter().enumerate().skip(open + 2) {
        match c {
            'i' | 'm' | 's' => {
                set.retain(|flag| flag != *c);
                unset.retain(|flag| flag != *c);
                if on { set.push(*c) } else { unset.push(*c) }
            }
            // Turns laziness round, which does not change what matches as a whole.
            'U' => {}
            '-' if on => {
                (on, seen) = (false, false);
                continue;
            }
            ':' | ')' if on || seen => {
                let minus = if unset.is_empty() { "" } else { "-" };
                let nothing = *c == ')' && set.is_empty() && unset.is_empty();
                return Ok((if nothing { String::new() } else { format!("(?{set}{minus}{unset}{c}") }, at + 1));
            }
            _ => break,
        }
        seen = true;
    }
    Err(PatternError::new(
        open,
        "Go's expressions have no such `(?...`",
        "`(?i)`, `(?s)`, `(?m)`, `(?U)`, `(?:...)` and `(?P<name>...)` exist; looking ahead or behind does not",
    ))
}

/// Reads `*`, `+`, `?`, `{n}`, `{n,}` or `{n,m}`, lazy or not. `None` for anything else, a brace that is literal among it.
fn repetition(chars: &[char], at: usize) -> Result<Option<(String, usize)>, PatternError> {
    let (operator, next) = match chars[at] {
        '*' | '+' => (chars[at].to_string(), at + 1),
        // A `?` after another repetition would be read as laziness.
        '?' => ("{0,1}".into(), at + 1),
        '{' => match counts(chars, at)? {
            Some(counts) => counts,
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some((operator, next + usize::from(chars.get(next) == Some(&'?')))))
}

fn counts(chars: &[char], open: usize) -> Result<Option<(String, usize)>, PatternError> {
    let Some(length) = chars[open..].iter().take(32).position(|c| *c == '}') else { return Ok(None) };
    let inside: String = chars[open + 1..open + length].iter().collect();
    let (low, high) = inside.split_once(',').unwrap_or((&inside, &inside));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !plain(low) || !(high.is_empty() || plain(high)) {
        return Ok(None);
    }
    // What no `u32` holds is out of range, too.
    let number = |text: &str| text.parse().unwrap_or(u32::MAX);
    if number(low) > MAX_REPEAT || !high.is_empty() && (number(high) > MAX_REPEAT || number(high) < number(low)) {
        let help = format!("counts go up to {MAX_REPEAT}, the smaller one first");
        return Err(PatternError::new(open, "this repetition count is out of range", help));
    }
    Ok(Some((format!("{{{inside}}}"), open + length + 1)))
}

/// Reads what begins with a backslash outside of brackets.
fn escaped(chars: &[char], at: usize) -> Result<(String, usize), PatternError> {
    match chars.get(at + 1) {
        Some(c @ ('A' | 'z')) => Ok((format!("\\{c}"), at + 2)),
        Some(c @ ('b' | 'B')) => Ok((format!(r"(?-u:\{c})"), at + 2)),
        Some('C') => Err(PatternError::new(at, "`\\C` (any byte) does not exist in Go's expressions", "use `(?s:.)` for any character")),
        Some('Q') => {
            let Some(length) = chars[at + 2..].windows(2).position(|pair| pair == ['\\', 'E']) else {
                let help = "close it: Alertmanager adds its own anchor after the expression, which the quote would swallow";
                return Err(PatternError::new(at, "`\\Q` has no closing `\\E`", help));
            };
            Ok((chars[at + 2..at + 2 + length].iter().map(|c| literal(*c)).collect(), at + length + 4))
        }
        _ => {
            if let Some(group) = group(chars, at)? {
                return Ok(group);
            }
            let (code, next) = escape::single(chars, at)?;
            Ok((char::from_u32(code).map_or(NOTHING.into(), literal), next))
        }
    }
}
