//! Reading an Alertmanager configuration key by key: what was not asked for is known at the end, so that nothing is dropped unseen.
//! Also the list of what the reader is shown, and the names under which secrets go on. Knows no platform.

use std::collections::{BTreeMap, BTreeSet};

use super::text::Yaml;
use super::{Note, Variable};
use crate::config::codes;
use crate::model::yaml::{Entry, Kind, Node};
use crate::model::{Finding, Place, Secret, Span};

/// A mapping whose keys are taken one by one.
pub struct Keys<'n> {
    entries: &'n [Entry],
    taken: BTreeSet<&'n str>,
    /// Line of the mapping.
    pub line: usize,
}

impl<'n> Keys<'n> {
    /// The keys of a mapping; a value that is none is a mistake that Alertmanager would refuse too.
    pub fn new(node: &'n Node, what: &str, notes: &mut Notes) -> Self {
        if !matches!(node.kind, Kind::Map(_)) && !node.is_null() {
            notes.refuse(node.span, format!("{what} is {}, not a mapping", node.kind_words()), "correct it; Alertmanager refuses it too");
        }
        Self { entries: node.entries(), taken: BTreeSet::new(), line: node.span.line }
    }

    /// An empty mapping.
    pub fn none() -> Self {
        Self { entries: &[], taken: BTreeSet::new(), line: 0 }
    }

    /// Takes a key; a key without a value counts as absent.
    pub fn take(&mut self, key: &str) -> Option<&'n Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        self.taken.insert(&entry.key);
        Some(&entry.value).filter(|node| !node.is_null())
    }

    /// Looks at a key without taking it.
    pub fn peek(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    /// Takes a text, number or truth value as text.
    pub fn text(&mut self, key: &str, notes: &mut Notes) -> Option<&'n str> {
        let node = self.take(key)?;
        let text = scalar(node);
        if text.is_none() {
            notes.refuse(node.span, format!("`{key}` is {}, not a text", node.kind_words()), "correct it; Alertmanager refuses it too");
        }
        text.filter(|text| !text.is_empty())
    }

    /// Takes a truth value, as YAML 1.1 writes them too.
    pub fn flag(&mut self, key: &str, notes: &mut Notes) -> Option<bool> {
        let node = self.take(key)?;
        match scalar(node).map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on" | "y") => Some(true),
            Some("false" | "no" | "off" | "n") => Some(false),
            _ => {
                notes.refuse(node.span, format!("`{key}` is neither true nor false"), "write `true` or `false`");
                None
            }
        }
    }

    /// Takes a list of texts.
    pub fn texts(&mut self, key: &str, notes: &mut Notes) -> Option<Vec<(&'n str, Span)>> {
        let node = self.take(key)?;
        let Kind::List(items) = &node.kind else {
            notes.refuse(node.span, format!("`{key}` is {}, not a list", node.kind_words()), "write a list; Alertmanager refuses it too");
            return None;
        };
        Some(items.iter().filter_map(|item| Some((scalar(item)?, item.span))).collect())
    }

    /// What nobody asked for.
    pub fn rest(&self) -> Vec<&'n Entry> {
        self.entries.iter().filter(|entry| !self.taken.contains(entry.key.as_str())).collect()
    }
}

/// The text of a scalar.
pub fn scalar(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

/// Whether a value is filled in by a Go template when a message is sent.
pub fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// What the reader is shown, and the secrets' new names.
pub struct Notes {
    file: String,
    /// What makes an import impossible.
    pub refused: Vec<Finding>,
    /// What is not carried.
    pub remarks: Vec<Note>,
    /// Environment variables to set.
    pub variables: Vec<Variable>,
    values: BTreeMap<String, Secret>,
    files: BTreeSet<String>,
}

impl Notes {
    /// Nothing yet.
    pub fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            refused: Vec::new(),
            remarks: Vec::new(),
            variables: Vec::new(),
            values: BTreeMap::new(),
            files: BTreeSet::new(),
        }
    }

    /// Something that makes the import impossible. The line is never quoted: it may hold a secret.
    pub fn refuse(&mut self, span: Span, message: impl Into<String>, label: impl Into<String>) {
        let place = Place { file: self.file.clone(), span: Some(span), line_text: None };
        self.refused.push(Finding::error(codes::BAD_IMPORT, message).label(label).at(place));
    }

    /// Something that is not carried: what, why, what to do.
    pub fn remark(&mut self, line: usize, what: impl Into<String>, why: impl Into<String>, todo: impl Into<String>) {
        self.remarks.push(Note { line, what: what.into(), why: why.into(), todo: todo.into() });
    }

    /// A secret as a reference: a literal becomes an environment variable of that name, a file stays a file.
    pub fn secret(&mut self, literal: Option<&Node>, file: Option<&Node>, name: &str, holds: &str) -> Option<Yaml> {
        if let Some(path) = file.and_then(scalar).filter(|path| !path.is_empty()) {
            let line = file.map_or(0, |node| node.span.line);
            if !path.starts_with('/') && self.files.insert(path.to_owned()) {
                let todo = "keep both files in one folder, or write the path again";
                self.remark(line, format!("the relative path {path}"), "it now counts from the folder of routes.yaml", todo);
            }
            return Some(Yaml::map([("file", Yaml::text(path))]));
        }
        let node = literal?;
        let value = Secret::new(scalar(node).filter(|text| !text.is_empty())?);
        Some(self.variable(name, value, node.span.line, holds))
    }

    /// A reference to an environment variable that is to hold a value. One value under one name is one variable.
    pub fn variable(&mut self, name: &str, value: Secret, line: usize, holds: &str) -> Yaml {
        let name = environment_name(name);
        let mut free = name.clone();
        let mut n = 1;
        while self.values.get(&free).is_some_and(|known| *known != value) {
            n += 1;
            free = format!("{name}_{n}");
        }
        if self.values.insert(free.clone(), value).is_none() {
            self.variables.push(Variable { name: free.clone(), line, holds: holds.to_owned() });
        }
        Yaml::map([("env", Yaml::Text(free))])
    }

    /// What was noted until now, to go back to with [`Notes::back_to`].
    pub fn mark(&self) -> Mark {
        Mark { remarks: self.remarks.len(), variables: self.variables.len(), values: self.values.clone(), files: self.files.clone() }
    }

    /// Forgets what was noted since, because what it was about is not carried after all.
    pub fn back_to(&mut self, mark: Mark) {
        self.remarks.truncate(mark.remarks);
        self.variables.truncate(mark.variables);
        self.values = mark.values;
        self.files = mark.files;
    }
}

/// A moment to go back to.
pub struct Mark {
    remarks: usize,
    variables: usize,
    values: BTreeMap<String, Secret>,
    files: BTreeSet<String>,
}

/// A name that shells take: `ops mail-2` becomes `OPS_MAIL_2`.
pub fn environment_name(text: &str) -> String {
    let mut name: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}
