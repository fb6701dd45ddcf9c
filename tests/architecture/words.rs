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

/// How the description of a request or of its parameter begins, in code.
const DESCRIPTIONS: [&str; 6] = ["Op::get(", "Op::post(", "Op::put(", "Op::delete(", "Param::text(", "Param::of("];

/// The prose of a file, line by line: comments, messages of logs and what OpenAPI says of requests; of Markdown what is in no block of code. Nothing in
/// backticks.
pub fn prose(source: &Source) -> Vec<(usize, String)> {
    let plain = |line: &str| line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    if source.path.ends_with(".md") {
        let mut fenced = false;
        let outside = |(i, line): (usize, &str)| {
            fenced ^= line.trim_start().starts_with("```");
            (!fenced).then(|| (i + 1, plain(line)))
        };
        return source.text.lines().enumerate().filter_map(outside).collect();
    }
    let mut found = Vec::new();
    let mut log = false;
    let mut start = 0;
    for (i, line) in source.text.lines().enumerate() {
        let code = &source.code[start..start + line.len()];
        start += line.len() + 1;
        let kept = code.trim_end();
        log = log || kept.contains("tracing::") && kept.contains('!') && !kept.trim_start().starts_with("use ");
        log = log || DESCRIPTIONS.iter().any(|begins| kept.contains(begins));
        if let Some(comment) = line.get(kept.len()..).filter(|rest| rest.trim_start().starts_with("//")) {
            found.push((i + 1, plain(comment)));
        } else if log {
            found.push((i + 1, plain(&line.split('"').skip(1).step_by(2).collect::<Vec<_>>().join(" "))));
        }
        log = log && !kept.contains(';');
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
