//! Keys that nobody knows: what their writer may have meant. Those of the top level that have a slip in them are read as what they are meant to be.

use serde_json::Value as Json;

use super::Checker;
use super::alertmanager::alertmanagers;
use super::renamed::renamed;
use super::schema::Schema;
use super::wording::{belongs, elsewhere, keys, matchers_of};
use crate::config::codes;
use crate::config::suggest::nearest;
use crate::model::yaml::{Entry, Kind, Node, Path};
use crate::model::{Finding, Span};
use crate::route::Op;

impl<'s> Checker<'s, '_, '_> {
    /// Reports a key that the mapping at `path`, which has these entries, does not know. Returns the known one that it is, but for a slip.
    pub(super) fn unknown(&mut self, entry: &Entry, entries: &[Entry], map: &'s Json, path: &Path) -> Option<&'s str> {
        let (finding, meant) = unknown(&self.schema, entry, entries, map, path);
        self.report.add_at(finding, &path.key(&entry.key), Some(entry.key_span));
        meant
    }
}

/// Puts what is meant in place of top-level keys with a slip in them, so that what they hold is checked, and nothing is missing that is there. Returns a
/// finding for each, with its place.
pub fn correct(root: &mut Node, of: &Json) -> Vec<(Finding, Option<Span>)> {
    let (schema, mut found) = (Schema::new(of), Vec::new());
    let Kind::Map(entries) = &mut root.kind else { return found };
    for at in 0..entries.len() {
        let entry = &entries[at];
        if schema.property(of, &entry.key).is_some() || schema.is_ignored(of, &entry.key) {
            continue;
        }
        let (finding, meant) = unknown(&schema, entry, entries, of, &Path::root());
        let is_free = |meant: &&str| entries.iter().all(|other| other.key != *meant);
        let Some(meant) = meant.filter(is_free).filter(|meant| fits(&schema, of, meant, &entry.value)) else { continue };
        found.push((finding, Some(entry.key_span)));
        entries[at].key = meant.to_owned();
    }
    found
}

/// Whether a mapping or a list is what belongs to a key.
fn fits<'s>(schema: &Schema<'s>, map: &'s Json, key: &str, value: &Node) -> bool {
    let ways = schema.property(map, key).map(|of| schema.alternatives(of)).unwrap_or_default();
    ways.iter().any(|way| match value.kind {
        Kind::Map(_) => way.kinds.map,
        Kind::List(_) => way.kinds.list,
        Kind::Scalar(_) => false,
    })
}

/// The finding about a key that a mapping does not know; and the known one that it is, but for a slip.
fn unknown<'s>(schema: &Schema<'s>, entry: &Entry, entries: &[Entry], map: &'s Json, path: &Path) -> (Finding, Option<&'s str>) {
    let (key, known) = (entry.key.as_str(), schema.keys(map));
    let advice = alertmanagers(path, key).or_else(|| elsewhere(path, key));
    let near = nearest(key, known.iter().copied());
    let (label, meant) = match (renamed(path, key), advice, block_of(schema, key, entries, map), near) {
        (Some(new), ..) => (called(entry, new), None),
        (None, Some(advice), ..) => (advice.to_owned(), None),
        (None, None, Some(block), _) => (format!("indent it below `{block}`, or write it in `{block}: {{ .. }}`"), None),
        (None, None, None, Some(near)) => (format!("did you mean `{near}`?"), Some(near)),
        (None, None, None, None) => {
            (belongs(key, &schema.places(key)).unwrap_or_else(|| "remove it, or move it to where it belongs".to_owned()), None)
        }
    };
    let finding = Finding::error(codes::UNKNOWN_KEY, format!("unknown key `{key}`")).label(label);
    (if known.is_empty() { finding } else { finding.note(format!("keys here: {}", keys(&known))) }, meant)
}

/// What a key by a former name, or by Alertmanager's, is called, and how it is written.
fn called(entry: &Entry, new: &str) -> String {
    let matchers = match &entry.value.kind {
        Kind::Map(entries) => matchers_of(entries, if entry.key == "match_re" { Op::Regex } else { Op::Equal }),
        _ => None,
    };
    let how = match new {
        "matchers" => matchers.map_or(String::new(), |list| format!(": write `matchers: {list}`")),
        "inputs" => ", and is a map by name; docs/inputs.md has an example".to_owned(),
        _ => String::new(),
    };
    format!("`{}` is called `{new}`{how}", entry.key)
}

/// The block beside a key that knows it: its writer has indented the key too little.
fn block_of<'e, 's>(schema: &Schema<'s>, key: &str, entries: &'e [Entry], map: &'s Json) -> Option<&'e str> {
    let knows = |block: &&Entry| {
        let blocks = schema.property(map, &block.key).map(|of| schema.alternatives(of)).unwrap_or_default();
        blocks.iter().any(|one| one.kinds.map && schema.keys(one.schema).contains(&key))
    };
    entries.iter().find(knows).map(|block| block.key.as_str())
}
