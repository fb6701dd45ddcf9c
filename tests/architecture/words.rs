//! Phrases that docs/style.md replaces.

use std::fs;
use std::path::Path;

use crate::source::{Findings, Source};

/// The phrases of docs/style.md that are not to be used.
pub fn phrases() -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/style.md")).expect("docs/style.md");
    let table = page.split("<!-- words -->").nth(1).and_then(|rest| rest.split("<!-- /words -->").next()).expect("the marks in docs/style.md");
    table.lines().skip(3).filter_map(|line| line.split('|').nth(1)).flat_map(|cell| cell.split(',').map(|word| word.trim().to_owned())).collect()
}

/// The prose of a file, each piece with its line: comments and, in `src/`, texts; of Markdown what is in no block of code; all of YAML, and of templates what is no comment.
/// Nothing in backticks.
pub fn prose(source: &Source) -> Vec<(usize, String)> {
    let plain = |text: &str| text.split('`').step_by(2).collect::<Vec<_>>().join("`");
    if !source.path.ends_with(".rs") {
        let mut fenced = false;
        let outside = |(i, line): (usize, &str)| {
            fenced ^= source.path.ends_with(".md") && line.trim_start().starts_with("```");
            let is_note = source.path.ends_with(".hbs") && line.trim_start().starts_with("{{!");
            (!fenced && !is_note).then(|| (i + 1, plain(line)))
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
        found.extend(source.texts().into_iter().map(|(line, text)| (line, plain(&outside(&text)))));
    }
    found
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
