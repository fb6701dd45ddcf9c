//! Character classes: `[...]`, `\d`, `\p{Greek}`, as Go reads them. Letter case is left to the flags around them.

use std::fmt::Write as _;

use regex_syntax::ast::ClassAsciiKind;

use super::PatternError;
use super::escape::single;

/// A class that no character is in: that of surrogates, which no text holds.
pub(super) const NOTHING: &str = r"[^\x00-\x{10FFFF}]";

/// Reads a `[...]` that opens at `open`. Returns the translated class and the offset after it.
pub(super) fn bracketed(chars: &[char], open: usize) -> Result<(String, usize), PatternError> {
    let unclosed = || PatternError::new(open, "`[` has no closing `]`", "close it, or write `\\[` for the character");
    let member = |at: usize| match chars.get(at) {
        None => Err(unclosed()),
        Some('\\') => single(chars, at),
        Some(c) => Ok((u32::from(*c), at + 1)),
    };
    let negated = chars.get(open + 1) == Some(&'^');
    let begin = open + 1 + usize::from(negated);
    let (mut at, mut items) = (begin, String::new());
    // A `]` that comes first is literal.
    while at == begin || chars.get(at) != Some(&']') {
        if let Some((class, next)) = named(chars, at)?.map_or_else(|| group(chars, at), |class| Ok(Some(class)))? {
            items.push_str(&class);
            at = next;
            continue;
        }
        let start = at;
        let (low, mut next) = member(at)?;
        let mut high = low;
        if chars.get(next) == Some(&'-') && chars.get(next + 1).is_some_and(|c| *c != ']') {
            (high, next) = member(next + 1)?;
        }
        if high < low {
            let help = "put the smaller character first; for a plain `-`, put it last or write `\\-`";
            return Err(PatternError::new(start, "a range in `[...]` runs backwards", help));
        }
        // Without the surrogates, which `regex-syntax` cannot name.
        for (low, high) in [(low, high.min(0xD7FF)), (low.max(0xE000), high)].into_iter().filter(|(low, high)| low <= high) {
            // Writing to a String cannot fail.
            let _ = write!(items, r"\x{{{low:X}}}-\x{{{high:X}}}");
        }
        at = next;
    }
    let items = if items.is_empty() { NOTHING } else { &items };
    Ok((format!("[{}{items}]", if negated { "^" } else { "" }), at + 1))
}

/// Reads `[:name:]`; `None` when there is no `:]`, because then the `[` is an ordinary character.
fn named(chars: &[char], at: usize) -> Result<Option<(String, usize)>, PatternError> {
    if chars.get(at..at + 2) != Some(&['[', ':']) {
        return Ok(None);
    }
    let Some(length) = chars[at + 2..].windows(2).position(|pair| pair == [':', ']']) else { return Ok(None) };
    let name: String = chars[at + 2..at + 2 + length].iter().collect();
    if ClassAsciiKind::from_name(name.strip_prefix('^').unwrap_or(&name)).is_none() {
        let reason = format!("there is no class `[:{}:]`", name.chars().take(40).collect::<String>());
        return Err(PatternError::new(at, reason, "use one such as `[:alpha:]`, `[:digit:]`, `[:space:]`"));
    }
    Ok(Some((format!("[:{name}:]"), at + length + 4)))
}

/// Reads `\d`, `\D`, ..., `\pN`, `\P{Greek}` at `at`, if there is one.
pub(super) fn group(chars: &[char], at: usize) -> Result<Option<(String, usize)>, PatternError> {
    let (Some('\\'), Some(letter)) = (chars.get(at), chars.get(at + 1)) else { return Ok(None) };
    let inside = match letter {
        'd' | 'D' => "0-9",
        's' | 'S' => r"\t\n\x0C\r\x20",
        'w' | 'W' => "0-9A-Za-z_",
        'p' | 'P' => return unicode(chars, at).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((format!("[{}{inside}]", if letter.is_ascii_uppercase() { "^" } else { "" }), at + 2)))
}

fn unicode(chars: &[char], at: usize) -> Result<(String, usize), PatternError> {
    let (name, next) = match &chars[at + 2..] {
        [] => return Err(PatternError::new(at, "`\\p` names no Unicode group", "write it like `\\pL` or `\\p{Greek}`")),
        ['{', rest @ ..] => {
            let Some(length) = rest.iter().position(|c| *c == '}') else {
                return Err(PatternError::new(at, "`\\p{` has no closing `}`", "write it like `\\p{Greek}`"));
            };
            (rest[..length].iter().collect::<String>(), at + length + 4)
        }
        [c, ..] => (c.to_string(), at + 3),
    };
    let plain = name.strip_prefix('^');
    let Some(class) = unicode_group(plain.unwrap_or(&name)) else {
        return Err(PatternError::new(
            at,
            format!("Go knows no Unicode group `{}`", name.chars().take(40).collect::<String>()),
            "use a category such as `\\p{Lu}` or a script's full name such as `\\p{Greek}`",
        ));
    };
    let negated = (chars[at + 1] == 'P') != plain.is_some();
    Ok((if negated { format!("[^{class}]") } else { class }, next))
}

/// Scripts whose full name has four letters; any other four-letter name is a code, which Go does not take.
const FOUR_LETTER_SCRIPTS: [&str; 8] = ["ahom", "cham", "kawi", "lisu", "modi", "newa", "thai", "toto"];

/// The translated class for a Unicode group name (`Lu`, `Greek`), not negated; `None` when Go has no such group.
/// Names are compared as Go 1.25 does: letter case, `_`, `-` and spaces do not count.
fn unicode_group(name: &str) -> Option<String> {
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    match plain.as_str() {
        "any" => return Some(r"[\x00-\x{10FFFF}]".to_owned()),
        "assigned" => return Some(r"\P{gc=Cn}".to_owned()),
        "ascii" => return Some(r"[\x00-\x7F]".to_owned()),
        "cs" | "surrogate" => return Some(NOTHING.to_owned()),
        _ if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_alphanumeric()) || plain.starts_with("is") => return None,
        _ => {}
    }
    let known = |class: String| regex_syntax::parse(&class).is_ok().then_some(class);
    let code = plain.len() == 4 && !FOUR_LETTER_SCRIPTS.contains(&plain.as_str());
    let script = || known(format!(r"\p{{sc={plain}}}")).filter(|_| !code && plain != "unknown");
    known(format!(r"\p{{gc={plain}}}")).or_else(script)
}
