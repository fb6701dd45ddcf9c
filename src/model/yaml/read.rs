//! From a text to a type, for files that are read as a whole or not at all.

use serde::de::DeserializeOwned;

use super::{Node, Path, parse};
use crate::model::Span;

/// Reads a text into a type.
///
/// # Errors
/// All mistakes of the document, or the first of the type, each in one sentence with its line and column.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<String>> {
    let document = parse(text);
    if !document.errors.is_empty() {
        return Err(document.errors.into_iter().map(|error| format!("{}{}; {}", error.message, at(error.span), error.label)).collect());
    }
    let value = document.root.as_ref().map_or(serde_yaml::Value::Null, Node::value);
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = Path::root().dotted(&error.path().to_string());
        let span = document.root.as_ref().and_then(|root| nearest(root, &path));
        let named = if path.steps().is_empty() { String::new() } else { format!("`{path}`: ") };
        vec![format!("{named}{}{}", error.inner(), at(span))]
    })
}

/// Where the value at a path is, or else the innermost value around it.
fn nearest(root: &Node, path: &Path) -> Option<Span> {
    std::iter::successors(Some(path.clone()), Path::parent).find_map(|path| root.at(&path)).map(|node| node.span)
}

fn at(span: Option<Span>) -> String {
    span.map_or(String::new(), |span| format!(" in line {}, column {}", span.line, span.column))
}
