//! Phrases that docs/style.md replaces.

use std::fs;
use std::path::Path;

use crate::source::{Findings, Source, heads, line_of};

/// The phrases of docs/style.md that are not to be used.
pub fn phrases() -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/style.md")).expect("docs/style.md");
    let table = page.split("<!-- words -->").nth(1).and_then(|rest| rest.split("<!-- /words -->").next()).expect("the marks in docs/style.md");
    table.lines().skip(3).filter_map(|line| line.split('|').nth(1)).flat_map(|cell| cell.split(',').map(|word| word.trim().to_owned())).collect()
}

/// The prose of a file, each piece with its line: comments and, in `src/`, texts and names; of Markdown what is in no block of code; all of YAML and of templates.
/// Nothing in backticks.
pub fn prose(source: &Source) -> Vec<(usize, String)> {
    let plain = |text: &str| text.split('`').step_by(2).collect::<Vec<_>>().join("`");
    if !source.path.ends_with(".rs") {
        let mut fenced = false;
        let outside = |(i, line): (usize, &str)| {
            fenced ^= source.path.ends_with(".md") && line.trim_start().starts_with("```");
            (!fenced).then(|| (i + 1, plain(line)))
        };
        return source.text.lines().enumerate().filter_map(outside).collect();
    }
    let mut found: Vec<(usize, String)> = source.comments().into_iter().map(|(line, comment)| (line, plain(&comment))).collect();
    if source.path.starts_with("src/") {
        // What a placeholder is called is a name, not prose.
        let outside = |text: &str| {
            text.split('{')
                .enumerate()
                .map(|(i, part)| if i == 0 { part } else { part.split_once('}').map_or(part, |(_, rest)| rest) })
                .collect::<Vec<_>>()
                .join(" ")
        };
        found.extend(names(source));
        found.extend(source.texts().into_iter().map(|(line, text)| (line, plain(&outside(&text)))));
    }
    found
}

/// What code outside tests declares, word by word: `message_story` is `message story`. Tests are named as sentences.
fn names(source: &Source) -> Vec<(usize, String)> {
    if source.is_test() || source.path.starts_with("src/delivery/model/") {
        return Vec::new();
    }
    let code = source.code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let words = |name: String| {
        let mut words = String::new();
        for c in name.chars() {
            match c {
                '_' => words.push(' '),
                c if c.is_uppercase() => words.extend([' ', c]),
                c => words.push(c),
            }
        }
        words
    };
    let of = |keyword: &&str| -> Vec<(usize, String)> {
        let starts = code.match_indices(*keyword).filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
        starts.map(|(at, _)| (line_of(code, at), words(heads(&code[at + keyword.len()..]).remove(0)))).collect()
    };
    ["fn ", "struct ", "enum ", "trait ", "type ", "mod ", "let ", "let mut "].iter().flat_map(of).collect()
}

/// Where a file's prose uses a phrase.
pub fn private_words(source: &Source, phrases: &[String]) -> Findings {
    let whole = |text: &str, at: usize, len: usize| {
        let letter = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        !text[..at].ends_with(letter) && !text[at + len..].starts_with(letter)
    };
    let mut found = Findings::new();
    for (line, text) in prose(source) {
        let text = text.to_lowercase();
        for phrase in phrases {
            let times = text.match_indices(phrase.as_str()).filter(|(at, _)| whole(&text, *at, phrase.len())).count();
            found.extend((0..times).map(|_| (line, format!("`{phrase}` (see docs/style.md)"))));
        }
    }
    found
}
