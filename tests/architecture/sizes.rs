//! Lines of files and fields of types.

use crate::exceptions::Excess;
use crate::source::{Source, heads};

/// Lines a file may have.
pub const MAX_LINES: usize = 400;
/// Fields a type may have.
pub const MAX_FIELDS: usize = 15;
pub fn long_files(sources: &[Source]) -> Vec<Excess> {
    let lines = sources.iter().map(|source| (source, source.text.lines().count()));
    lines.filter(|(_, size)| *size > MAX_LINES).map(|(source, size)| Excess { rule: "lines", what: source.path.clone(), size }).collect()
}

/// Structs and variants of enums with too many named fields. What clap or serde reads (a list of options) is no state and may be longer.
pub fn large_types(sources: &[Source]) -> Vec<Excess> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/") && !source.is_test()) {
        for (at, _) in source.code.match_indices("struct ") {
            let before = source.code[..at].trim_end_matches(|c: char| c != '\n');
            let attributes: String = before.lines().rev().take_while(|line| line.trim_start().starts_with("#[")).collect();
            let name = heads(&source.code[at + 7..]).remove(0);
            let Some(open) = source.code[at..].find(['{', ';', '(']).filter(|open| source.code[at + open..].starts_with('{')) else { continue };
            let size = fields(&source.code[at + open + 1..]);
            if size > MAX_FIELDS && !attributes.contains("Deserialize") && !attributes.contains("Args") && !attributes.contains("Serialize") {
                found.push(Excess { rule: "fields", what: format!("{} {name}", source.path), size });
            }
        }
    }
    found
}

/// The fields of a struct whose body begins here.
pub fn fields(body: &str) -> usize {
    let (mut level, mut count) = (0usize, 0);
    for (i, c) in body.char_indices() {
        match c {
            '}' if level == 0 => break,
            '{' | '(' | '[' | '<' => level += 1,
            '>' if body[..i].ends_with(['-', '=']) => {}
            '}' | ')' | ']' | '>' => level = level.saturating_sub(1),
            ':' if level == 0 && !body[..i].ends_with(':') && !body[i + 1..].starts_with(':') => count += 1,
            _ => {}
        }
    }
    count
}
