//! A source file as the rules see it, and what is read of its code.

use std::fs;
use std::path::Path;

/// A file: its path from the crate's root with `/`, its text, and its text with comments and literals blanked out.
pub struct Source {
    pub path: String,
    pub text: String,
    pub code: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into(), code: blank(text) }
    }

    /// The comments, each with its line.
    pub fn comments(&self) -> Vec<(usize, String)> {
        self.with_lines(Kind::Comment).map(|(line, comment)| (line, comment.to_owned())).collect()
    }

    /// The string literals, each with the line it begins on; one that goes on in the next line behind a backslash is one text.
    pub fn texts(&self) -> Vec<(usize, String)> {
        let whole = |literal: &str| {
            let mut lines = literal.lines();
            let mut whole = lines.next().unwrap_or_default().to_owned();
            for line in lines {
                match whole.strip_suffix('\\') {
                    Some(before) => whole = before.to_owned() + line.trim_start(),
                    None => whole = whole + " " + line,
                }
            }
            whole
        };
        self.with_lines(Kind::Text).map(|(line, literal)| (line, whole(literal))).collect()
    }

    /// What is of a kind, each with its line, which is counted on from the last one: files are long.
    fn with_lines(&self, kind: Kind) -> impl Iterator<Item = (usize, &str)> {
        let (mut at, mut line) = (0, 1);
        no_code(&self.text).into_iter().filter(move |(found, _, _)| *found == kind).map(move |(_, from, to)| {
            line += self.text[at..from].matches('\n').count();
            at = from;
            (line, &self.text[from..to])
        })
    }

    /// Whether all of it is tests.
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs") || self.path.contains("/contract/")
    }
}

pub type Findings = Vec<(usize, String)>;

pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// What is no code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Comment,
    Text,
    Character,
}

/// Comments and literals of a source text, in order, each with where it begins and ends.
fn no_code(text: &str) -> Vec<(Kind, usize, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &bytes[i..];
        let before = if i == 0 { b' ' } else { bytes[i - 1] };
        let hashes = rest.iter().skip(1).take_while(|b| **b == b'#').count();
        let (kind, end) = if rest.starts_with(b"//") {
            (Kind::Comment, find(rest, b"\n", 0))
        } else if rest.starts_with(b"/*") {
            (Kind::Comment, find(rest, b"*/", 2) + 2)
        } else if rest[0] == b'r' && rest.get(1 + hashes) == Some(&b'"') && !before.is_ascii_alphanumeric() && before != b'_' {
            (Kind::Text, find(rest, format!("\"{}", "#".repeat(hashes)).as_bytes(), 2 + hashes) + 1 + hashes)
        } else if rest[0] == b'"' {
            (Kind::Text, closing(rest, b'"'))
        } else if rest[0] == b'\'' && (rest.get(1) == Some(&b'\\') || rest.iter().skip(1).take(6).position(|b| *b == b'\'').is_some_and(|n| n == 1)) {
            (Kind::Character, closing(rest, b'\''))
        } else {
            i += 1;
            continue;
        };
        let end = (i + end).min(bytes.len());
        found.push((kind, i, end));
        i = end.max(i + 1);
    }
    found
}

/// Comments, strings and characters become spaces; lines and columns stay.
pub fn blank(text: &str) -> String {
    let mut out = text.as_bytes().to_vec();
    for (_, from, to) in no_code(text) {
        out[from..to].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
    }
    String::from_utf8(out).expect("only whole literals and comments were blanked")
}

pub fn find(text: &[u8], what: &[u8], from: usize) -> usize {
    (from..text.len()).find(|i| text[*i..].starts_with(what)).unwrap_or(text.len())
}

pub fn closing(text: &[u8], quote: u8) -> usize {
    let mut i = 1;
    while i < text.len() && text[i] != quote {
        i += if text[i] == b'\\' { 2 } else { 1 };
    }
    i + 1
}

/// The names that stand right behind the crate's root in paths: `crate::a`, `crate::{a, b::c}`, `super::super::a` where that reaches the root.
pub fn uses(source: &Source, root: &str) -> Vec<(usize, String)> {
    let code = &source.code;
    let mut found = Vec::new();
    for (at, _) in code.match_indices(&format!("{root}::")) {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            found.extend(heads(&code[at + root.len() + 2..]).into_iter().map(|name| (at, name)));
        }
    }
    let mut at = 0;
    while let Some(next) = code[at..].find("super::") {
        let start = at + next;
        let supers = code.as_bytes()[start..].chunks(7).take_while(|c| *c == b"super::").count();
        at = start + supers * 7;
        if supers == depth(source, start) {
            found.extend(heads(&code[at..]).into_iter().map(|name| (start, name)));
        }
    }
    found
}

/// The first names of a path or of a group of paths.
pub fn heads(text: &str) -> Vec<String> {
    let name = |s: &str| s.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = text.trim_start().strip_prefix('{') else { return vec![name(text)] };
    let mut level = 0;
    let mut names = vec![name(group)];
    for (i, c) in group.char_indices() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => break,
            '}' => level -= 1,
            ',' if level == 0 => names.push(name(&group[i + 1..])),
            _ => {}
        }
    }
    names
}

/// How many modules deep the code at `at` is: the file's own path, and inline modules around it.
pub fn depth(source: &Source, at: usize) -> usize {
    let path = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let code = &source.code[..at];
    let inline = code.match_indices("mod ").filter(|(i, _)| {
        let rest = code[i + 4..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        let Some(body) = rest.trim_start().strip_prefix('{') else { return false };
        let mut open = 1;
        body.chars().for_each(|c| match (c, open) {
            (_, 0) => {}
            ('{', _) => open += 1,
            ('}', _) => open -= 1,
            _ => {}
        });
        open > 0
    });
    path.split('/').count() + inline.count()
}

pub fn walk(folder: &Path, extension: &str, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push(Source::new(&name, &fs::read_to_string(&path).expect("source files are UTF-8")));
        }
    }
}

pub fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), "rs", &mut sources);
    }
    assert!(sources.len() > 10, "the sources were not found");
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}
