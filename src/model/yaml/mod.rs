//! A YAML document as a tree that knows where everything is: keys, values, duplicates. Aliases and merge keys are resolved here, within
//! bounds, so that what is checked and what is read are one and the same. Knows nothing of what the document means.

mod build;
mod path;
mod read;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;

pub use build::parse;
pub use path::{Path, Step};
pub use read::read;
pub use scalar::{Resolved, resolve};

use serde_yaml::Value;

use crate::model::Span;

/// Bytes a configuration file may have.
pub const MAX_BYTES: usize = 1 << 20;
/// How deep mappings and lists may be nested.
pub const MAX_DEPTH: usize = 64;
/// Values a document may have once its aliases are written out.
pub const MAX_NODES: usize = 100_000;

/// A value with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it begins; its width is the part on that line.
    pub span: Span,
    /// Last line of it.
    pub end_line: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A text, number, truth value or nothing.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order; each key once.
    Map(Vec<Entry>),
}

/// A scalar as written.
#[derive(Debug, Clone)]
pub struct Scalar {
    /// Its text, with quotes and escapes undone.
    pub text: String,
    /// How it was written.
    pub style: Style,
    /// What it is by YAML's core schema.
    pub resolved: Resolved,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In single quotes.
    Single,
    /// In double quotes.
    Double,
    /// As a block (`|` or `>`).
    Block,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key is.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// What kind of mistake a document has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The text breaks YAML's rules.
    Syntax,
    /// It is larger or deeper than is read.
    TooLarge,
    /// A mapping has a key twice.
    DuplicateKey,
}

/// Something wrong with the document itself.
#[derive(Debug, Clone)]
pub struct SyntaxError {
    /// Of which kind.
    pub fault: Fault,
    /// Where.
    pub span: Option<Span>,
    /// What.
    pub message: String,
    /// Why, and what to do.
    pub label: String,
}

/// A parsed document. Flaws that leave the tree usable (duplicate keys) are kept beside it.
#[derive(Debug, Clone)]
pub struct Document {
    /// The tree; `None` when the text is no YAML.
    pub root: Option<Node>,
    /// What is wrong with it.
    pub errors: Vec<SyntaxError>,
}

impl Node {
    /// The value of a key, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key and its value, when this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The entries of a mapping; empty for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Whether it is nothing at all (`key:` with no value, `~`, `null`).
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(Scalar { resolved: Resolved::Null, .. }))
    }

    /// The value at a path below this one.
    pub fn at(&self, path: &Path) -> Option<&Node> {
        path.steps().iter().try_fold(self, |node, step| match (step, &node.kind) {
            (Step::Key(key), Kind::Map(_)) => node.get(key),
            (Step::Item(ix), Kind::List(items)) => items.get(*ix),
            _ => None,
        })
    }

    /// How many values it consists of, itself included.
    pub fn weight(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::List(items) => items.iter().map(Self::weight).sum(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.value.weight()).sum(),
        }
    }

    /// Moves every place in it down by so many lines: its text follows another one.
    pub fn move_down(&mut self, lines: usize) {
        self.span.line += lines;
        self.end_line += lines;
        match &mut self.kind {
            Kind::Scalar(_) => {}
            Kind::List(items) => items.iter_mut().for_each(|item| item.move_down(lines)),
            Kind::Map(entries) => {
                for entry in entries {
                    entry.key_span.line += lines;
                    entry.value.move_down(lines);
                }
            }
        }
    }

    /// The value without its places.
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::List(items) => Value::Sequence(items.iter().map(Self::value).collect()),
            Kind::Map(entries) => Value::Mapping(entries.iter().map(|entry| (Value::String(entry.key.clone()), entry.value.value())).collect()),
            Kind::Scalar(scalar) => scalar.resolved.value(&scalar.text),
        }
    }

    /// What it is, in words for a person.
    pub fn kind_words(&self) -> &'static str {
        match &self.kind {
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
            Kind::Scalar(scalar) => match scalar.resolved {
                Resolved::Null => "empty",
                Resolved::Bool(_) => "a truth value",
                Resolved::Integer(_) | Resolved::Float(_) => "a number",
                Resolved::Text => "a text",
            },
        }
    }
}
