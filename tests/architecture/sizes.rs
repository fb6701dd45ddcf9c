//! Lines of files and of functions, and fields of types.

use crate::exceptions::Excess;
use crate::source::{Source, heads};

/// Lines a file may have.
pub const MAX_LINES: usize = 400;
/// Lines a function may have outside tests. The longest are tables: what templates see, and members of a body.
pub const MAX_FUNCTION: usize = 120;
/// Fields a type may have.
pub const MAX_FIELDS: usize = 15;

pub fn long_files(sources: &[Source]) -> Vec<Excess> {
    let lines = sources.iter().map(|source| (source, source.text.lines().count()));
    lines.filter(|(_, size)| *size > MAX_LINES).map(|(source, size)| Excess { rule: "lines", what: source.path.clone(), size }).collect()
}

/// Functions outside tests that are too long.
pub fn long_functions(sources: &[Source]) -> Vec<Excess> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("src/") && !source.is_test()) {
        let code = source.code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let starts = code.match_indices("fn ").filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        for (at, _) in starts {
            let size = lines_of_function(&code[at..]);
            if size > MAX_FUNCTION {
                found.push(Excess { rule: "function", what: format!("{} {}", source.path, heads(&code[at + 3..]).remove(0)), size });
            }
        }
    }
    found
}

/// The lines of a function that begins here; 0 where it has no body.
fn lines_of_function(code: &str) -> usize {
    let (mut level, mut open) = (0usize, None);
    for (i, c) in code.char_indices() {
        match c {
            '(' | '[' => level += 1,
            ')' | ']' => level = level.saturating_sub(1),
            ';' if level == 0 && open.is_none() => return 0,
            '{' if level == 0 || open.is_some() => *open.get_or_insert(0) += 1,
            '}' if open == Some(1) => return code[..i].matches('\n').count() + 1,
            '}' => open = open.map(|n: usize| n - 1),
            _ => {}
        }
    }
    0
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
