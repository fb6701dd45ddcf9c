//! The configuration file as text and tree: turns paths into places with their source line, and stars out whatever may be a secret.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::include::Included;
use crate::model::yaml::{Document, Kind, Node, Path, Resolved, Scalar, Step, Style};
use crate::model::{Place, Span};

/// Which part of a path's value a finding points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The key.
    Key,
    /// The value; the key when the value is empty or a block.
    Value,
    /// Characters of a text: offset from 0 and width, in the text as it reads after quotes are undone.
    Inside(usize, usize),
}

/// A configuration: routes.yaml, and below it the files that it includes. Places in its tree count the lines of all of them; findings name the file, and
/// the line in it.
pub struct Source {
    /// Its tree, when it has one: that of routes.yaml, with what included files add.
    pub root: Option<Node>,
    /// The files; the first is routes.yaml.
    parts: Vec<Part>,
    lines: Vec<String>,
    masked: Vec<(Span, usize)>,
}

/// One of the files of a configuration.
struct Part {
    /// As the user named it.
    file: Arc<str>,
    /// Lines of the files before it.
    before: usize,
    /// Whether it is no YAML, so that nobody knows what in it is a secret.
    broken: bool,
    /// What its routes are called by, and where they are in the tree.
    route: Option<(Arc<str>, Path)>,
}

impl Source {
    /// Takes the text and its tree; everything that looks like a secret is masked from the start.
    pub fn new(file: &str, text: &str, document: &Document) -> Self {
        let part = Part { file: file.into(), before: 0, broken: document.root.is_none(), route: None };
        let mut source = Self { root: document.root.clone(), parts: vec![part], lines: lines(text).collect(), masked: Vec::new() };
        if let Some(root) = &document.root {
            let mut masked = Vec::new();
            suspects(root, false, &mut masked);
            source.masked = masked;
        }
        source
    }

    /// Adds the lines of an included file, whose values are in the tree already, their places moved down by the lines before them.
    pub fn include(&mut self, file: &Included) {
        let route = file.route.clone().map(|path| (file.label.clone(), path));
        self.parts.push(Part { file: file.file.as_str().into(), before: self.lines.len(), broken: file.root.is_none(), route });
        self.lines.extend(lines(&file.text));
        // Also what was left out of the tree may be quoted.
        file.root.iter().for_each(|root| suspects(root, false, &mut self.masked));
        file.left_out.iter().for_each(|node| everything(node, &mut self.masked));
    }

    /// Which of its files a line is in: 0 is routes.yaml.
    fn part_of(&self, line: usize) -> usize {
        self.parts.iter().rposition(|part| part.before < line).unwrap_or(0)
    }

    /// The file in which a value is: 0 is routes.yaml, 1 the first that it includes.
    pub fn file_of(&self, path: &Path) -> usize {
        match self.parts.len() {
            1 => 0,
            _ => self.span(path, Anchor::Key).map_or(0, |span| self.part_of(span.line)),
        }
    }

    /// A file's name, as the user named it.
    pub fn file(&self, at: usize) -> &str {
        self.parts.get(at).map_or("", |part| &part.file)
    }

    /// What a route is called: its path in routes.yaml, or the included file and its path there, which stays when other files come and go.
    pub fn route_name(&self, path: &Path) -> String {
        let included = self.parts.iter().filter_map(|part| part.route.as_ref()).find(|(_, root)| path.is_within(root));
        match included {
            Some((label, root)) => format!("{label}:route{}", &path.to_string()[root.to_string().len()..]),
            None => path.to_string(),
        }
    }

    /// The path of what a text names that begins with the name of a route.
    pub fn route_path(&self, name: &str) -> Path {
        let inside = |(label, root): &(Arc<str>, Path)| Some(root.dotted(name.strip_prefix(&**label)?.strip_prefix(":route")?));
        self.parts.iter().filter_map(|part| part.route.as_ref()).find_map(inside).unwrap_or_else(|| Path::root().dotted(name))
    }

    /// Stars out a value in all quoted lines.
    pub fn mask(&mut self, node: &Node) {
        everything(node, &mut self.masked);
    }

    /// Where a path leads, or the nearest thing above it that exists.
    pub fn span(&self, path: &Path, spot: Anchor) -> Option<Span> {
        let mut node = self.root.as_ref()?;
        let mut at = node.span;
        for (depth, step) in path.steps().iter().enumerate() {
            let last = depth + 1 == path.steps().len();
            match (step, &node.kind) {
                (Step::Key(key), Kind::Map(_)) => {
                    let Some(entry) = node.entry(key) else { return Some(at) };
                    let key_is_meant = spot == Anchor::Key || self.is_block(&entry.value, entry.key_span) || entry.value.is_null();
                    at = if key_is_meant { entry.key_span } else { entry.value.span };
                    if !last && !key_is_meant && matches!(entry.value.kind, Kind::Map(_) | Kind::List(_)) {
                        at = entry.key_span;
                    }
                    node = &entry.value;
                }
                (Step::Item(ix), Kind::List(items)) => {
                    let Some(item) = items.get(*ix) else { return Some(at) };
                    at = item.span;
                    node = item;
                }
                _ => return Some(at),
            }
        }
        if let (Anchor::Inside(offset, width), Kind::Scalar(scalar)) = (spot, &node.kind) {
            return Some(self.inside(node, scalar, offset, width).unwrap_or(at));
        }
        Some(at)
    }

    /// A place in this file.
    pub fn place(&self, span: Option<Span>) -> Place {
        let part = &self.parts[span.map_or(0, |span| self.part_of(span.line))];
        let there = span.map(|span| Span { line: span.line - part.before, ..span });
        Place { file: part.file.to_string(), span: there, line_text: span.and_then(|span| self.line(span.line)) }
    }

    /// A line with its secrets starred out; `None` when the whole line may be one.
    pub fn line(&self, number: usize) -> Option<String> {
        let line = self.lines.get(number.checked_sub(1)?)?;
        if self.parts[self.part_of(number)].broken {
            // Without a tree nobody knows what is a secret: show only lines that cannot hold one.
            return (!is_suspicious(line)).then(|| line.clone());
        }
        let hidden = self.masked.iter().any(|(span, end_line)| (span.line + 1..=*end_line).contains(&number));
        (!hidden).then(|| starred(line, self.masked.iter().map(|(span, _)| span).filter(|span| span.line == number)))
    }

    /// The lines of each file, each as [`Source::line`] returns it.
    pub fn files(&self) -> Vec<(&str, Vec<Option<String>>)> {
        let mut lines = self.lines().into_iter();
        let ends = self.parts.iter().skip(1).map(|part| part.before).chain([self.lines.len()]);
        self.parts.iter().zip(ends).map(|(part, end)| (&*part.file, lines.by_ref().take(end - part.before).collect())).collect()
    }

    fn lines(&self) -> Vec<Option<String>> {
        if self.parts.iter().any(|part| part.broken) {
            return (1..=self.lines.len()).map(|number| self.line(number)).collect();
        }
        let mut of_line: HashMap<usize, Vec<&Span>> = HashMap::new();
        let mut hidden: HashSet<usize> = HashSet::new();
        for (span, end_line) in &self.masked {
            of_line.entry(span.line).or_default().push(span);
            hidden.extend(span.line + 1..=*end_line);
        }
        let line = |(number, line): (usize, &String)| (!hidden.contains(&number)).then(|| starred(line, of_line.remove(&number).unwrap_or_default()));
        (1..).zip(&self.lines).map(line).collect()
    }

    /// Whether a value is on lines of its own below its key, so that the key names it better.
    fn is_block(&self, value: &Node, key: Span) -> bool {
        match &value.kind {
            Kind::Scalar(scalar) => scalar.style == Style::Block,
            Kind::List(_) | Kind::Map(_) => value.span.line != key.line,
        }
    }

    /// Characters of a text on one line; quotes and escapes are counted back in.
    fn inside(&self, node: &Node, scalar: &Scalar, offset: usize, width: usize) -> Option<Span> {
        let line = self.lines.get(node.span.line - 1)?;
        if node.end_line != node.span.line || scalar.style == Style::Block {
            return None;
        }
        let raw: Vec<char> = line.chars().skip(node.span.column - 1).take(node.span.width).collect();
        // Column of each character of the text, and of its end.
        let mut columns = Vec::new();
        let mut at = usize::from(scalar.style != Style::Plain);
        for _ in scalar.text.chars() {
            columns.push(at);
            at += match (scalar.style, raw.get(at)?) {
                (Style::Single, '\'') => 2,
                (Style::Double, '\\') => match raw.get(at + 1)? {
                    'x' => 4,
                    'u' => 6,
                    'U' => 10,
                    _ => 2,
                },
                _ => 1,
            };
        }
        columns.push(at);
        let start = *columns.get(offset.min(columns.len() - 1))?;
        let end = *columns.get((offset + width.max(1)).min(columns.len() - 1))?;
        Some(Span { line: node.span.line, column: node.span.column + start, width: end.saturating_sub(start).max(1) })
    }
}

/// Lines as they may be quoted: control characters would act on the reader's terminal.
fn lines(text: &str) -> impl Iterator<Item = String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().map(|line| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

/// A line with these parts starred out.
fn starred<'a>(line: &str, spans: impl IntoIterator<Item = &'a Span>) -> String {
    let mut shown: Vec<char> = line.chars().collect();
    for span in spans {
        let end = (span.column - 1 + span.width).min(shown.len());
        for c in shown.get_mut(span.column - 1..end).unwrap_or_default() {
            *c = '*';
        }
    }
    shown.into_iter().collect()
}

/// Everything that looks like a secret, whatever the schema says: by its key, or by itself. `named`: its key says it is one.
fn suspects(node: &Node, named: bool, out: &mut Vec<(Span, usize)>) {
    match &node.kind {
        Kind::Scalar(scalar) => {
            let empty = matches!(scalar.resolved, Resolved::Null | Resolved::Bool(_)) || scalar.text.is_empty();
            if !empty && (named || looks_random(&scalar.text)) {
                out.push((node.span, node.end_line));
            }
        }
        Kind::List(items) => items.iter().for_each(|item| suspects(item, named, out)),
        Kind::Map(entries) => {
            for entry in entries {
                let reference = matches!(entry.key.as_str(), "env" | "file") || entry.key.ends_with("_file");
                suspects(&entry.value, !reference && (named || secret_word(&entry.key)), out);
            }
        }
    }
}

fn everything(node: &Node, out: &mut Vec<(Span, usize)>) {
    match &node.kind {
        Kind::Scalar(_) => out.push((node.span, node.end_line)),
        Kind::List(items) => items.iter().for_each(|item| everything(item, out)),
        Kind::Map(entries) => entries.iter().for_each(|entry| everything(&entry.value, out)),
    }
}

/// Whether a text that is no part of the tree may hold a secret.
pub fn is_suspicious(text: &str) -> bool {
    secret_word(text) || looks_random(text)
}

/// Whether a key (or a line) speaks of a secret, typing mistakes included.
fn secret_word(text: &str) -> bool {
    let text = text.to_lowercase();
    ["pass", "pwd", "secret", "token", "_key", "apikey", "webhook", "bearer", "credential", "proxy"].iter().any(|word| text.contains(word))
        || ["password", "secret", "token", "webhook", "bearer"]
            .iter()
            .any(|word| text.split(|c: char| !c.is_alphanumeric()).any(|part| strsim::damerau_levenshtein(part, word) <= 1))
}

/// Whether a text has a long run of letters and digits, as tokens do, or credentials in a URL.
pub(super) fn looks_random(text: &str) -> bool {
    let run = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.split(|c: char| !run(c))
        .any(|part| part.len() >= 20 && part.bytes().any(|b| b.is_ascii_digit()) && part.bytes().any(|b| b.is_ascii_alphabetic()))
        || text.split_once("://").is_some_and(|(_, rest)| rest.split(['/', '?']).next().is_some_and(|authority| authority.contains('@')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml::parse;

    fn source(text: &str) -> Source {
        Source::new("routes.yaml", text, &parse(text))
    }

    #[test]
    fn a_path_leads_to_the_value_or_the_nearest_thing_above() {
        let source = source("route:\n  to: [ops, wxx]\n  routes:\n    - matchers: a\n");
        assert_eq!(source.span(&Path::root().dotted("route.to[1]"), Anchor::Value), Some(Span { line: 2, column: 13, width: 3 }));
        assert_eq!(source.span(&Path::root().dotted("route.routes"), Anchor::Value), Some(Span { line: 3, column: 3, width: 6 }));
        assert_eq!(source.span(&Path::root().dotted("route.nope.more"), Anchor::Value).unwrap().line, 1);
    }

    #[test]
    fn offsets_count_quotes_and_escapes() {
        let at = |text: &str, offset| source(text).span(&Path::of("m"), Anchor::Inside(offset, 1)).unwrap().column;
        assert_eq!(at("m: abc\n", 2), 6);
        assert_eq!(at("m: 'a''c'\n", 2), 8);
        assert_eq!(at("m: \"a\\u0041c\"\n", 2), 12);
        assert_eq!(at("m: 'abc'\n", 99), 8);
    }

    #[test]
    fn lines_show_no_secrets() {
        let text = "a: { token: hunter2, pasword: \"hunter3\", secret: { env: NAME } }\nb: |\n  hunter4\nx: aaaaaaaaaaaaaaaaaaaaaaaa1\nproxy: http://u:p@h/\n";
        let mut source = source(text);
        source.mask(&source.root.as_ref().unwrap().get("b").unwrap().clone());
        assert_eq!(source.line(1).unwrap(), "a: { token: *******, pasword: *********, secret: { env: NAME } }");
        assert_eq!(source.line(3).unwrap(), "  *******");
        assert!(!source.line(4).unwrap().contains("aa1"));
        assert!(!source.line(5).unwrap().contains("u:p"));
        let broken = super::Source::new("f", "token: hunter2\n\tx: 1\n", &parse("token: hunter2\n\tx: 1\n"));
        assert_eq!(broken.line(1), None);
        assert_eq!(broken.line(2).as_deref(), Some(" x: 1"));
    }
}
