//! Cutting and colouring: text within limits without breaking a character, an entity or a `<link|label>`.

use crate::model::{Facts, Link, MessageStatus, Page, Severity, Size, encoded_in_url, url_len};

/// The length in UTF-16 code units: what platforms that say "characters" count at most (never less than the number of characters).
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// At most `max` UTF-16 units of a plain text; when something is cut, the last one is `…`, and no separator is left before it.
pub fn cut_units(text: &str, max: usize) -> String {
    if units(text) <= max {
        return text.to_owned();
    }
    let mut left = max.saturating_sub(1);
    let mut out = String::new();
    for c in text.chars() {
        if c.len_utf16() > left {
            break;
        }
        left -= c.len_utf16();
        out.push(c);
    }
    out.truncate(out.trim_end_matches([' ', '·']).len());
    if max > 0 {
        out.push('…');
    }
    out
}

/// At most `max` bytes of a plain text; when something is cut, it ends in `…` (3 bytes, left out when `max` has no room for it).
pub fn cut_bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let ellipsis = if max >= '…'.len_utf8() { "…" } else { "" };
    let mut end = max - ellipsis.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ellipsis}", &text[..end])
}

/// A plain text in which a platform finds none of `breaks`, which begin a mention or a link: an invisible character follows the first one of
/// each, in any case. One that begins with `@` counts only after something other than a letter or digit, so that mail addresses stay whole. In a web
/// address it is percent-encoded instead, so that the address can be copied.
pub fn broken(text: &str, breaks: &[impl AsRef<str>]) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut before, mut url_end) = (None, 0);
    for (at, c) in text.char_indices() {
        if at >= url_end {
            url_end = at + url_len(&text[at..]);
        }
        let begins = |what: &str| {
            let found = text[at..].get(..what.len()).is_some_and(|found| found.eq_ignore_ascii_case(what));
            found && !(c == '@' && before.is_some_and(char::is_alphanumeric))
        };
        let breaks = breaks.iter().any(|what| begins(what.as_ref()));
        match encoded_in_url(c).filter(|_| breaks && at < url_end) {
            Some(encoded) => out.push_str(encoded),
            None => {
                out.push(c);
                out.extend(breaks.then_some('\u{200B}'));
            }
        }
        before = Some(c);
    }
    out
}

/// A plain text in which `write` writes each character, of which it is given the ones before and after it as well. Addresses stay as they are, but for
/// brackets and asterisks behind the host, which are percent-encoded: clients read no other markup in them.
pub fn outside_addresses(text: &str, write: impl Fn(Option<char>, char, Option<char>, &mut String)) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut before, mut host_end, mut address_end) = (None, 0, 0);
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        if at >= address_end
            && let len @ 1.. = url_len(rest)
        {
            address_end = at + len;
            host_end = at + rest[..len].match_indices(['/', '?', '#']).nth(2).map_or(len, |(end, _)| end);
        }
        let is_mark = matches!(c, '[' | ']' | '(' | ')' | '*');
        if at >= address_end || is_mark && at < host_end {
            write(before, c, rest[c.len_utf8()..].chars().next(), &mut out);
        } else {
            match encoded_in_url(c).filter(|_| is_mark) {
                Some(encoded) => out.push_str(encoded),
                None => out.push(c),
            }
        }
        before = Some(c);
    }
    out
}

/// The page with its links below its text instead of in buttons, as many as there is room for: what is sent when a platform refuses the buttons.
pub fn links_in_text(page: &Page, measure: fn(&Page) -> Size, write: impl Fn(&Link) -> String) -> Page {
    let mut out = page.clone();
    let text = page.field("text").trim_end();
    let mut shown = String::new();
    for link in std::mem::take(&mut out.facts.links) {
        let longer = if shown.is_empty() { write(&link) } else { format!("{shown} · {}", write(&link)) };
        out.fields.insert("text".into(), format!("{text}\n\n{longer}"));
        if measure(&out).fits() {
            shown = longer;
        }
    }
    out.fields.insert("text".into(), format!("{text}\n\n{shown}").trim_end().to_owned());
    out
}

/// Splits marked-up text into parts of at most `max` UTF-16 units: at line borders where it can, else anywhere but inside an entity
/// (`&amp;`) or an angle-bracket construct (`<url|label>`), unless one of those alone is longer than `max`. Line breaks at the border of
/// two parts are dropped; parts of white space alone are not produced.
pub fn split_units(text: &str, max: usize) -> Vec<String> {
    let max = max.max(2);
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut used = 0;
    for line in text.split('\n') {
        let size = units(line);
        if !part.is_empty() && used + 1 + size > max {
            parts.push(std::mem::take(&mut part));
            used = 0;
        }
        if size > max {
            for atom in atoms(line, max) {
                let size = units(atom);
                if used + size > max {
                    parts.push(std::mem::take(&mut part));
                    used = 0;
                }
                part.push_str(atom);
                used += size;
            }
            continue;
        }
        // An empty part drops the line breaks that would open it.
        if !part.is_empty() {
            part.push('\n');
            used += 1;
        }
        part.push_str(line);
        used += size;
    }
    parts.push(part);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// The pieces of a line that must stay whole: entities, angle-bracket constructs of at most `max` units, and single characters.
fn atoms(line: &str, max: usize) -> Vec<&str> {
    let mut atoms = Vec::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let whole = match c {
            '&' => rest.find(';').filter(|end| *end <= 10 && rest[1..*end].chars().all(|c| c.is_ascii_alphanumeric() || c == '#')),
            '<' => rest.find('>').filter(|end| units(&rest[..=*end]) <= max),
            _ => None,
        };
        let end = whole.map_or(c.len_utf8(), |end| end + 1);
        let (atom, tail) = rest.split_at(end);
        atoms.push(atom);
        rest = tail;
    }
    atoms
}

/// The colour (0xRRGGBB) of a message, the same as in mails and templates: green when resolved, grey when
/// nobody knows, else red, orange, yellow or blue by severity.
pub fn colour(facts: &Facts) -> u32 {
    match (facts.status, facts.rank()) {
        (MessageStatus::Resolved, _) => 0x1F_9D_55,
        (MessageStatus::Unreported, _) => 0x8A_92_9C,
        (_, Severity::Critical) => 0xD9_2D_20,
        (_, Severity::Error) => 0xE8_59_0C,
        (_, Severity::Warning) => 0xE0_A1_00,
        (_, Severity::Info) => 0x2F_7D_D1,
    }
}
