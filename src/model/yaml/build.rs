//! From parser events to the tree, with aliases written out and merge keys applied, both within bounds.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::syntax::{cut_off, explain, left_open};
use super::{Document, Entry, Fault, Kind, MAX_BYTES, MAX_DEPTH, MAX_NODES, Node, Resolved, Scalar, Style, SyntaxError, resolve};
use crate::model::Span;

/// A mapping or list that is still open.
struct Open {
    anchor: usize,
    span: Span,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashMap<String, usize>, merges: Vec<Node>, key: Option<(String, Span, bool)> },
}

struct Builder<'a> {
    lines: Vec<&'a str>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
    documents: usize,
    errors: Vec<SyntaxError>,
}

/// Reads a document. Never panics; what cannot be read is listed in the errors.
pub fn parse(text: &str) -> Document {
    if text.len() > MAX_BYTES {
        let label = format!("it has {} bytes; at most {MAX_BYTES} are read", text.len());
        return broken(SyntaxError { fault: Fault::TooLarge, span: None, message: "the file is too large".into(), label });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder =
        Builder { lines: text.lines().collect(), stack: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None, documents: 0, errors: Vec::new() };
    let mut parser = Parser::new_from_str(text);
    loop {
        let step = match parser.next_event() {
            None => break,
            Some(Err(error)) => {
                let line = error.marker().line().max(1);
                let shown = builder.lines.get(line - 1).copied().unwrap_or("");
                let (mut span, mut explained) = (Span { line, column: error.marker().col() + 1, width: 1 }, explain(error.info(), shown));
                if let Some((at, why)) = cut_off(&builder.lines, line).or_else(|| left_open(&builder.lines, line)) {
                    (span, explained) = (at, why);
                }
                let (message, label) = explained;
                let fault = if error.info().contains("recursion limit") { Fault::TooLarge } else { Fault::Syntax };
                Err(SyntaxError { fault, span: Some(span), message, label })
            }
            Some(Ok((Event::StreamEnd, _))) => break,
            Some(Ok((event, span))) => builder.take(event, span),
        };
        if let Err(error) = step {
            builder.errors.push(error);
            return Document { root: None, errors: builder.errors };
        }
    }
    Document { root: builder.root, errors: builder.errors }
}

fn broken(error: SyntaxError) -> Document {
    Document { root: None, errors: vec![error] }
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, at: saphyr_parser::Span) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let span = Some(Span { line: at.start.line().max(1), column: at.start.col() + 1, width: 3 });
                    let (message, label) = ("a second document begins here", "one file holds one document; remove the `---`");
                    return Err(SyntaxError { fault: Fault::Syntax, span, message: message.into(), label: label.into() });
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), at),
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::SequenceStart(anchor, tag) => self.open(at, anchor, tag.as_deref(), OpenKind::List(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                self.open(at, anchor, tag.as_deref(), OpenKind::Map { entries: Vec::new(), seen: HashMap::new(), merges: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&saphyr_parser::Tag>,
        at: saphyr_parser::Span,
    ) -> Result<(), SyntaxError> {
        let span = self.span(at);
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let resolved = match tag {
            None if style == Style::Plain => resolve(&text),
            None => Resolved::Text,
            Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
                "str" => Resolved::Text,
                "null" | "bool" | "int" | "float" => resolve(&text),
                other => return Err(bad_tag(span, other)),
            },
            Some(tag) => return Err(bad_tag(span, &tag.suffix)),
        };
        let scalar = Scalar { text: text.into_owned(), style, resolved };
        // A block text ends where the next line begins.
        let end_line = at.end.line() - usize::from(at.end.col() == 0 && at.end.line() > span.line);
        self.finished(Node { span, end_line: end_line.max(span.line), kind: Kind::Scalar(scalar) }, anchor)
    }

    /// The value that an alias names is copied.
    fn alias(&mut self, anchor: usize, at: saphyr_parser::Span) -> Result<(), SyntaxError> {
        let span = self.span(at);
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            let (message, label) = ("an alias refers to what it is part of", "write the value out");
            return Err(SyntaxError { fault: Fault::TooLarge, span: Some(span), message: message.into(), label: label.into() });
        };
        self.nodes += node.weight();
        if self.stack.len() + depth(&node) > MAX_DEPTH + 1 {
            return Err(too_deep(span));
        }
        self.finished(node, 0)
    }

    /// A list or a mapping ends.
    fn close(&mut self, at: saphyr_parser::Span) -> Result<(), SyntaxError> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let kind = match open.kind {
            OpenKind::List(items) => Kind::List(items),
            OpenKind::Map { mut entries, mut seen, merges, .. } => {
                merge(&mut entries, &mut seen, merges)?;
                Kind::Map(entries)
            }
        };
        // A block collection "ends" where the next thing begins; the line before is the last that can be its own.
        let end_line = if at.is_empty() { at.end.line().saturating_sub(1) } else { at.end.line() };
        let mut span = open.span;
        if let (true, Kind::Map(entries)) = (at.is_empty(), &kind)
            && let Some(first) = entries.first().filter(|first| first.key_span.line == span.line)
        {
            span.width = first.key_span.width;
        }
        if !at.is_empty() && at.end.line() == span.line {
            span.width = (at.end.col() + 1).saturating_sub(span.column).max(1);
        }
        self.finished(Node { span, end_line: end_line.max(span.line), kind }, open.anchor)
    }

    fn open(&mut self, at: saphyr_parser::Span, anchor: usize, tag: Option<&saphyr_parser::Tag>, kind: OpenKind) -> Result<(), SyntaxError> {
        let span = self.span(at);
        if let Some(tag) = tag.filter(|tag| !(tag.is_yaml_core_schema() && matches!(tag.suffix.as_str(), "map" | "seq"))) {
            return Err(bad_tag(span, &tag.suffix));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(too_deep(span));
        }
        self.stack.push(Open { anchor, span, kind });
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn finished(&mut self, node: Node, anchor: usize) -> Result<(), SyntaxError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let label = format!("its aliases, written out, make more than {MAX_NODES} values");
            return Err(SyntaxError { fault: Fault::TooLarge, span: Some(node.span), message: "the document is too large".into(), label });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
            self.nodes += node.weight();
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map { entries, seen, merges, key } => match key.take() {
                None => match node.kind {
                    Kind::Scalar(scalar) => {
                        let merge = scalar.text == "<<" && scalar.style == Style::Plain;
                        *key = Some((scalar.text, node.span, merge));
                    }
                    _ => {
                        let (message, label) = ("a key that is itself a list or mapping", "keys are texts; quote a key that begins with `[` or `{`");
                        return Err(SyntaxError { fault: Fault::Syntax, span: Some(node.span), message: message.into(), label: label.into() });
                    }
                },
                Some((_, _, true)) => merges.push(node),
                Some((name, key_span, false)) => match seen.get(&name) {
                    Some(first) => {
                        let label = format!("it is already in line {}; keep one of the two", entries[*first].key_span.line);
                        let message = format!("the key `{name}` appears twice in one mapping");
                        self.errors.push(SyntaxError { fault: Fault::DuplicateKey, span: Some(key_span), message, label });
                    }
                    None => {
                        seen.insert(name.clone(), entries.len());
                        entries.push(Entry { key: name, key_span, value: node });
                    }
                },
            },
        }
        Ok(())
    }

    /// Characters from 1; a value of several lines is as wide as its first line.
    fn span(&self, at: saphyr_parser::Span) -> Span {
        let (line, column) = (at.start.line().max(1), at.start.col() + 1);
        let width = if at.end.line() == at.start.line() {
            // The end of a quoted text lies behind the spaces that follow it.
            let length = at.end.col().saturating_sub(at.start.col());
            let raw: String = self.lines.get(line - 1).map_or(String::new(), |text| text.chars().skip(column - 1).take(length).collect());
            raw.trim_end().chars().count()
        } else {
            self.lines.get(line - 1).map_or(1, |text| text.trim_end().chars().count().saturating_sub(column - 1))
        };
        Span { line, column, width: width.max(1) }
    }
}

/// `<<: *base` and `<<: [*a, *b]`: keys written out win over merged ones, earlier merged ones over later ones.
fn merge(entries: &mut Vec<Entry>, seen: &mut HashMap<String, usize>, merges: Vec<Node>) -> Result<(), SyntaxError> {
    for merged in merges {
        let span = merged.span;
        let parts = match merged.kind {
            Kind::Map(_) => vec![merged],
            Kind::List(items) => items,
            Kind::Scalar(_) => vec![merged],
        };
        for part in parts {
            let Kind::Map(more) = part.kind else {
                let (message, label) = ("`<<` merges mappings only", "write `<<: *name`, where `&name` marks a mapping");
                return Err(SyntaxError { fault: Fault::Syntax, span: Some(span), message: message.into(), label: label.into() });
            };
            for entry in more {
                if !seen.contains_key(&entry.key) {
                    seen.insert(entry.key.clone(), entries.len());
                    entries.push(entry);
                }
            }
        }
    }
    Ok(())
}

fn too_deep(span: Span) -> SyntaxError {
    let label = format!("at most {MAX_DEPTH} levels are read");
    SyntaxError { fault: Fault::TooLarge, span: Some(span), message: "this is nested too deeply".into(), label }
}

fn bad_tag(span: Span, suffix: &str) -> SyntaxError {
    let message = format!("the tag `!{suffix}` is not known here");
    SyntaxError { fault: Fault::Syntax, span: Some(span), message, label: "remove it; quote the value if the `!` is meant as a character".into() }
}

/// How deep a tree is; a scalar is 1.
fn depth(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar(_) => 0,
        Kind::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Kind::Map(entries) => entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
    }
}
