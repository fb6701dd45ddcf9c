//! Bodies of senders nobody knows, read through a configured mapping of JSON pointers.
//!
//! All pointers are followed in one walk over an alert, on slices of the body: no tree of values is built.

mod config;

pub use config::{Field, GenericMapping, MappingProblem};

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::alert::Item;
use super::alert::{AlertList, MAX_ALERTS};
use super::error::{IngestError, Source};
use super::event;
use super::json::{Trail, read};
use super::time::instant;
use super::value::{elements, is_null, kind_of, members, text};
use super::{Parsed, SenderKind};
use crate::model::{Alert, Status};

/// Deeper pointers find nothing; `GenericMapping::check` reports them.
const MAX_STEPS: usize = 32;
const RESOLVED_WORDS: [&str; 5] = ["resolved", "ok", "normal", "recovered", "closed"];

/// The event of a body, by the mapping. Refused are bodies that are not JSON, where the alerts are missing or not objects, and where no
/// pointer of the mapping finds anything in any alert.
pub(super) fn read_mapped(source: &Source<'_>, mapping: &GenericMapping, received_at: Timestamp) -> Result<Parsed, IngestError> {
    let trail = Trail::default();
    // One pass that only checks the syntax; from here on every slice is known to be well formed.
    let whole = read(source, source.text, "", &trail, std::marker::PhantomData::<&serde_json::value::RawValue>)?.get();
    let plan = Plan::new(mapping);
    let mut in_body = vec![None; plan.fields.len()];
    plan.body.walk(whole, 0, &mut in_body);

    let pointer = mapping.alerts.as_deref().unwrap_or_default();
    let mut found = [None];
    let mut path = Node::default();
    path.add(pointer, 0);
    path.walk(whole, 0, &mut found);
    let refuse = |part: &str, path: &str, message: String| Err(source.error(source.offset_of(part), path, message));
    let Some(place) = found[0] else {
        return refuse(whole, pointer, "the mapping's `alerts` pointer finds nothing in the body".into());
    };
    let (parts, many) = match kind_of(place) {
        "an array" => (elements(place), true),
        _ => (vec![place], false),
    };
    if parts.is_empty() {
        return refuse(place, pointer, "no alert to deliver: the array is empty".into());
    }
    let mut list = AlertList { over: parts.len().saturating_sub(MAX_ALERTS) as u64, ..AlertList::default() };
    let mut any = false;
    for (i, part) in parts.iter().take(MAX_ALERTS).enumerate() {
        if kind_of(part) != "an object" {
            if many && parts.iter().any(|part| kind_of(part) == "an object") {
                if !is_null(part) {
                    list.odd += 1;
                    list.alerts.push(Item::of_text(&text(part)).alert);
                }
                continue;
            }
            let path = if many { format!("{pointer}[{i}]") } else { pointer.to_owned() };
            return refuse(part, &path, format!("expected an object, found {}", kind_of(part)));
        }
        let mut values = in_body.clone();
        plan.alert.walk(part, 0, &mut values);
        any |= values.iter().any(Option::is_some);
        list.alerts.push(plan.alert_of(&values, mapping));
    }
    if !any {
        return refuse(parts[0], pointer, "no alert to deliver: none of the mapping's pointers finds anything in it".into());
    }
    list.words = list.alerts.iter().map(|a| Some(a.status)).collect();
    Ok(Parsed { event: event::from_alerts(SenderKind::Generic, list, received_at), org_id: None })
}

enum Target<'m> {
    Label(&'m str),
    Annotation(&'m str),
    Status,
    StartsAt,
    EndsAt,
    Fingerprint,
    GeneratorUrl,
}

/// The mapping, turned round: from places to what they fill.
struct Plan<'m> {
    fields: Vec<(Target<'m>, &'m Field)>,
    alert: Node,
    body: Node,
}

impl<'m> Plan<'m> {
    fn new(mapping: &'m GenericMapping) -> Self {
        let labels = mapping.labels.iter().map(|(name, field)| (Target::Label(name), field));
        let annotations = mapping.annotations.iter().map(|(name, field)| (Target::Annotation(name), field));
        let single = [
            (Target::Status, &mapping.status),
            (Target::StartsAt, &mapping.starts_at),
            (Target::EndsAt, &mapping.ends_at),
            (Target::Fingerprint, &mapping.fingerprint),
            (Target::GeneratorUrl, &mapping.generator_url),
        ];
        let single = single.into_iter().filter_map(|(target, field)| Some((target, field.as_ref()?)));
        let fields: Vec<_> = labels.chain(annotations).chain(single).collect();
        let (mut alert, mut body) = (Node::default(), Node::default());
        for (slot, (_, field)) in fields.iter().enumerate() {
            match field {
                Field::Pointer(pointer) => alert.add(pointer, slot),
                Field::Body(pointer) => body.add(pointer, slot),
                Field::Value(_) => {}
            }
        }
        Self { fields, alert, body }
    }

    fn alert_of(&self, values: &[Option<&str>], mapping: &GenericMapping) -> Alert {
        let mut alert = Alert::default();
        for ((target, field), raw) in self.fields.iter().zip(values) {
            let value = match (field, raw) {
                (Field::Value(value), _) => value.clone(),
                (_, Some(raw)) => text(raw).into_owned(),
                (_, None) => continue,
            };
            match target {
                Target::Label(name) => drop(alert.labels.insert((*name).to_owned(), value)),
                Target::Annotation(name) => drop(alert.annotations.insert((*name).to_owned(), value)),
                Target::Status => alert.status = status(&value, &mapping.resolved_values),
                Target::StartsAt => alert.starts_at = raw.and_then(instant),
                Target::EndsAt => alert.ends_at = raw.and_then(instant),
                Target::Fingerprint => alert.fingerprint = value,
                Target::GeneratorUrl => alert.generator_url = value,
            }
        }
        alert
    }
}

fn status(word: &str, resolved: &[String]) -> Status {
    let word = word.trim().to_lowercase();
    let over = if resolved.is_empty() { RESOLVED_WORDS.contains(&word.as_str()) } else { resolved.iter().any(|r| r.trim().to_lowercase() == word) };
    if over { Status::Resolved } else { Status::Firing }
}

/// Pointers that share their first steps, merged: what ends here, and where it goes on.
#[derive(Default)]
struct Node {
    slots: Vec<usize>,
    next: BTreeMap<String, Node>,
}

impl Node {
    fn add(&mut self, pointer: &str, slot: usize) {
        // A pointer that is none finds nothing; `check` has said so.
        let Ok(steps) = config::steps(pointer) else { return };
        let mut node = self;
        for step in steps {
            node = node.next.entry(step).or_default();
        }
        node.slots.push(slot);
    }

    fn walk<'a>(&self, raw: &'a str, depth: usize, found: &mut [Option<&'a str>]) {
        for slot in &self.slots {
            found[*slot] = (!is_null(raw)).then_some(raw);
        }
        if self.next.is_empty() || depth == MAX_STEPS {
            return;
        }
        match kind_of(raw) {
            "an object" => {
                for (key, value) in members(raw) {
                    if let Some(node) = self.next.get(key.as_ref()) {
                        node.walk(value, depth + 1, found);
                    }
                }
            }
            "an array" => {
                let elements = elements(raw);
                for (step, node) in &self.next {
                    // RFC 6901: no sign, no leading zero.
                    let index = step.parse::<usize>().ok().filter(|i| i.to_string() == *step);
                    if let Some(element) = index.and_then(|i| elements.get(i)) {
                        node.walk(element, depth + 1, found);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
