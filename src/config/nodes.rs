//! Texts in a YAML tree, and places in it where something is added. Pure.

use crate::model::Span;
use crate::model::yaml::{Entry, Kind, Node, Scalar};

/// A scalar's text; `None` where there is nothing, or no scalar.
pub(super) fn text_of(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) if !node.is_null() => Some(&scalar.text),
        _ => None,
    }
}

/// One text or a list of texts.
pub(super) fn texts(node: &Node) -> Vec<String> {
    match &node.kind {
        Kind::List(items) => items.iter().filter_map(text_of).map(str::to_owned).collect(),
        _ => text_of(node).map(str::to_owned).into_iter().collect(),
    }
}

/// Matchers with the name of a file in place of `{name}`.
pub(super) fn filled(matchers: &Node, name: &str) -> Node {
    let kind = match &matchers.kind {
        Kind::Scalar(scalar) => Kind::Scalar(Scalar { text: scalar.text.replace("{name}", name), ..scalar.clone() }),
        Kind::List(items) => Kind::List(items.iter().map(|item| filled(item, name)).collect()),
        other => other.clone(),
    };
    Node { kind, ..matchers.clone() }
}

/// The value of a key.
pub(super) fn slot_of<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value),
        _ => None,
    }
}

/// The value of a key; `empty`, at `span`, where there is none. `None` for what is no mapping.
pub(super) fn slot<'n>(node: &'n mut Node, key: &str, span: Span, empty: Kind) -> Option<&'n mut Node> {
    let Kind::Map(entries) = &mut node.kind else { return None };
    let at = match entries.iter().position(|entry| entry.key == key) {
        Some(at) => at,
        None => {
            entries.push(Entry { key: key.to_owned(), key_span: span, value: Node { span, end_line: span.line, kind: empty.clone() } });
            entries.len() - 1
        }
    };
    let value = &mut entries[at].value;
    if value.is_null() {
        value.kind = empty;
    }
    Some(value)
}
