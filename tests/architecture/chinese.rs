//! Chinese words of pages: no Latin mark right behind a Chinese character, whether in one text or as a text of its own behind one.

use crate::source::{Findings, Source, closing, line_of};

/// Marks that are written as they are in English pages. On their own in markup they follow whatever language comes before.
const MARKS: &[&str] = &[", ", ". ", ".", ": ", "; ", "?", "!"];

/// Latin marks in or behind Chinese words of the pages.
pub fn latin_marks(source: &Source) -> Findings {
    if !["src/http/console/", "src/http/page/"].iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let code = source.text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let rest = &code.as_bytes()[at..];
        if rest.starts_with(b"//") {
            at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        } else if rest.starts_with(b"'\"'") {
            at += 3;
        } else if rest[0] == b'"' {
            let end = (at + closing(rest, b'"')).min(code.len());
            let text = code[at..end].trim_matches('"');
            if ends_chinese_with_latin(text) {
                found.push((line_of(code, at), format!("`{text}` has a Latin mark behind a Chinese character")));
            }
            if MARKS.contains(&text) && is_markup(&code[..at]) {
                found.push((line_of(code, at), format!("\"{text}\" is the same in both languages: write `(say(language, \"{text}\", ...))`")));
            }
            at = end;
        } else {
            at += 1;
        }
    }
    found
}

fn ends_chinese_with_latin(text: &str) -> bool {
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    text.chars().zip(text.chars().skip(1)).any(|(one, next)| is_chinese(one) && matches!(next, '.' | ',' | ':' | ';' | '?' | '!'))
}

/// Whether a text that begins here is written into a page: it is no argument of a function, and no branch of an expression that chooses a language.
fn is_markup(before: &str) -> bool {
    let before = before.trim_end();
    let is_branch = before.ends_with("else {") && !before.ends_with("@else {");
    before.ends_with(['{', '}', ')', '"']) && !is_branch
}
