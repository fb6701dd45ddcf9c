//! Paths in an included file are relative to its own folder.

use std::path::Path as FilePath;

use crate::model::yaml::{Entry, Kind, Node, Scalar};

/// Makes the paths in one top-level entry of a file in `folder` relative to the folder of routes.yaml.
pub(super) fn relocate(entry: &mut Entry, folder: &str) {
    if let ("tests", Kind::List(items)) = (entry.key.as_str(), &mut entry.value.kind) {
        for item in items {
            let Kind::Map(entries) = &mut item.kind else { continue };
            for one in entries.iter_mut().filter(|one| one.key == "body") {
                if let Kind::Scalar(scalar) = &mut one.value.kind {
                    prepend(scalar, folder);
                }
            }
        }
    }
    within(&mut entry.value, folder);
}

/// Everything below a value.
fn within(node: &mut Node, folder: &str) {
    match &mut node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter_mut().for_each(|item| within(item, folder)),
        Kind::Map(entries) => {
            let only = entries.len() == 1;
            for entry in entries {
                let is_path = entry.key.ends_with("_file") || (only && entry.key == "file");
                // Labels of alerts may be called so, too.
                let is_labels = entry.key == "labels";
                match &mut entry.value {
                    Node { kind: Kind::Scalar(scalar), .. } if is_path => prepend(scalar, folder),
                    value if !is_labels => within(value, folder),
                    _ => {}
                }
            }
        }
    }
}

fn prepend(scalar: &mut Scalar, folder: &str) {
    if !folder.is_empty() && !scalar.text.is_empty() && FilePath::new(&scalar.text).is_relative() {
        scalar.text = format!("{folder}/{}", scalar.text);
    }
}
