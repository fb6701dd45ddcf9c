//! Single-character escapes (`\n`, `\x41`, `\101`, `\.`), the named character groups and Unicode group names, as Go knows them.
//! Knows nothing of their place in a pattern.

use super::PatternError;

const PUNCTUATION_HELP: &str = "write `\\\\` for a backslash; only punctuation and Go's own escapes may follow one";

/// Reads the escape whose backslash is at `at`. Returns the code point (which may be a surrogate) and the offset after it.
pub(super) fn single(chars: &[char], at: usize) -> Result<(u32, usize), PatternError> {
    let Some(&c) = chars.get(at + 1) else {
        return Err(PatternError::new(at, "a backslash is at the end", "write `\\\\` for a backslash"));
    };
    let unknown = || PatternError::new(at, format!("`\\{c}` is not an escape that Go knows"), PUNCTUATION_HELP);
    let next = at + 2;
    let octal = |i: usize| chars.get(i).and_then(|c| c.to_digit(8));
    match c {
        '1'..='7' if octal(next).is_none() => Err(PatternError::new(
            at,
            format!("`\\{c}` refers back to a group, which Go's expressions cannot do"),
            "spell the repeated text out, or match the labels one by one",
        )),
        '0'..='7' => {
            let mut value = 0;
            let mut end = at + 1;
            while end < at + 4
                && let Some(digit) = octal(end)
            {
                value = value * 8 + digit;
                end += 1;
            }
            Ok((value, end))
        }
        'x' => hexadecimal(chars, at, next),
        'a' => Ok((7, next)),
        'f' => Ok((12, next)),
        'n' => Ok((10, next)),
        'r' => Ok((13, next)),
        't' => Ok((9, next)),
        'v' => Ok((11, next)),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok((u32::from(c), next)),
        _ => Err(unknown()),
    }
}

fn hexadecimal(chars: &[char], at: usize, start: usize) -> Result<(u32, usize), PatternError> {
    let bad = || PatternError::new(at, "`\\x` needs two hexadecimal digits, or some in braces up to 10FFFF", "write it like `\\x41` or `\\x{1F642}`");
    let digit = |i: usize| chars.get(i).and_then(|c| c.to_digit(16));
    if chars.get(start) != Some(&'{') {
        let (Some(high), Some(low)) = (digit(start), digit(start + 1)) else { return Err(bad()) };
        return Ok((high * 16 + low, start + 2));
    }
    let mut value = 0;
    let mut end = start + 1;
    while let Some(d) = digit(end) {
        value = value * 16 + d;
        if value > 0x10_FFFF {
            return Err(bad());
        }
        end += 1;
    }
    if end == start + 1 || chars.get(end) != Some(&'}') {
        return Err(bad());
    }
    Ok((value, end + 1))
}

/// The inside of `[...]` for `\d`, `\s`, `\w` (lower-cased letter); ASCII only, as in Go.
pub(super) fn perl_group(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "0-9",
        's' => r"\t\n\x0C\r\x20",
        'w' => "0-9A-Za-z_",
        _ => return None,
    })
}

/// The inside of `[...]` for `[:name:]`.
pub(super) fn posix_group(name: &str) -> Option<&'static str> {
    Some(match name {
        "alnum" => "0-9A-Za-z",
        "alpha" => "A-Za-z",
        "ascii" => r"\x00-\x7F",
        "blank" => r"\t\x20",
        "cntrl" => r"\x00-\x1F\x7F",
        "digit" => "0-9",
        "graph" => r"\x21-\x7E",
        "lower" => "a-z",
        "print" => r"\x20-\x7E",
        "punct" => r"\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E",
        "space" => r"\t\n\x0B\x0C\r\x20",
        "upper" => "A-Z",
        "word" => "0-9A-Za-z_",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    })
}

/// General categories as Go names them (`unicode.Categories`).
const CATEGORIES: [&str; 39] = [
    "c", "cc", "cf", "cn", "co", "cs", "l", "lc", "ll", "lm", "lo", "lt", "lu", "m", "mc", "me", "mn", "n", "nd", "nl", "no", "p", "pc", "pd", "pe",
    "pf", "pi", "po", "ps", "s", "sc", "sk", "sm", "so", "z", "zl", "zp", "zs", "any",
];

/// Long names of categories (`unicode.CategoryAliases`, Go 1.25), lower-cased and without separators.
const CATEGORY_ALIASES: [&str; 42] = [
    "other",
    "control",
    "cntrl",
    "format",
    "unassigned",
    "privateuse",
    "surrogate",
    "letter",
    "casedletter",
    "lowercaseletter",
    "modifierletter",
    "otherletter",
    "titlecaseletter",
    "uppercaseletter",
    "mark",
    "combiningmark",
    "spacingmark",
    "enclosingmark",
    "nonspacingmark",
    "number",
    "decimalnumber",
    "digit",
    "letternumber",
    "othernumber",
    "punctuation",
    "punct",
    "connectorpunctuation",
    "dashpunctuation",
    "closepunctuation",
    "finalpunctuation",
    "initialpunctuation",
    "otherpunctuation",
    "openpunctuation",
    "symbol",
    "currencysymbol",
    "modifiersymbol",
    "mathsymbol",
    "othersymbol",
    "separator",
    "lineseparator",
    "paragraphseparator",
    "spaceseparator",
];

/// Scripts whose full name has four letters; any other four-letter name is a code, which Go does not take.
const FOUR_LETTER_SCRIPTS: [&str; 8] = ["ahom", "cham", "kawi", "lisu", "modi", "newa", "thai", "toto"];

/// The translated class for a Unicode group name (`Lu`, `Greek`), not negated; `None` when Go has no such group.
/// Names are compared as Go 1.25 does: letter case, `_`, `-` and spaces do not count.
pub(super) fn unicode_group(name: &str) -> Option<String> {
    let plain: String = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    match plain.as_str() {
        "any" => return Some(r"[\x00-\x{10FFFF}]".to_owned()),
        "assigned" => return Some(r"\P{gc=Cn}".to_owned()),
        "ascii" => return Some(r"[\x00-\x7F]".to_owned()),
        // No text holds a surrogate, so the class is empty.
        "cs" | "surrogate" => return Some(r"[^\x00-\x{10FFFF}]".to_owned()),
        _ => {}
    }
    if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let class = if CATEGORIES.contains(&plain.as_str()) || CATEGORY_ALIASES.contains(&plain.as_str()) {
        format!(r"\p{{gc={plain}}}")
    } else if (plain.len() == 4 && !FOUR_LETTER_SCRIPTS.contains(&plain.as_str())) || plain.starts_with("is") || plain == "unknown" {
        return None;
    } else {
        format!(r"\p{{sc={plain}}}")
    };
    regex_syntax::parse(&class).is_ok().then_some(class)
}
