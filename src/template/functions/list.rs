//! Functions over lists: split a text, sort, and take an end.

use std::cmp::Ordering;

use handlebars::JsonRender;
use serde_json::Value;

use super::{Arguments, number};

/// Parts that a text is split into; the last one is the rest.
const MAX_PARTS: usize = 1000;

fn items(arguments: &Arguments<'_, '_>) -> Result<Vec<Value>, String> {
    match arguments.value(0) {
        Value::Array(items) => Ok(items.clone()),
        Value::Object(map) => Ok(map.values().cloned().collect()),
        Value::Null => Ok(Vec::new()),
        _ => Err("the argument is a list; `split` makes one of a text".to_owned()),
    }
}

pub(super) fn split(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let (text, between) = (arguments.text(0), arguments.text(1));
    if between.is_empty() {
        return Err("the second argument is what is put between the parts".to_owned());
    }
    let parts: Vec<&str> = text.splitn(MAX_PARTS, &between).map(str::trim).filter(|part| !part.is_empty()).collect();
    Ok(parts.into())
}

pub(super) fn first(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(items(arguments)?.into_iter().next().unwrap_or_default())
}

pub(super) fn last(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    Ok(items(arguments)?.pop().unwrap_or_default())
}

/// Numbers by size, and then everything else by its text. A text that is a number is one, as in arithmetic.
pub(super) fn sort(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let mut items: Vec<(Option<f64>, Value)> = items(arguments)?.into_iter().map(|item| (number::read(&item), item)).collect();
    items.sort_by(|(a, left), (b, right)| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.render().cmp(&right.render()),
    });
    Ok(items.into_iter().map(|(_, item)| item).collect())
}

/// How many items a list or a map has, and characters a text.
pub(super) fn len(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let count = match arguments.value(0) {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        Value::String(text) => text.chars().count(),
        _ => 0,
    };
    Ok(count.into())
}

pub(super) fn join(arguments: &Arguments<'_, '_>) -> Result<Value, String> {
    let between = if arguments.len() > 1 { arguments.text(1) } else { ", ".to_owned() };
    let parts: Vec<String> = match arguments.value(0) {
        Value::Array(list) => list.iter().map(named).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| format!("{name}={}", value.render())).collect(),
        Value::Null => Vec::new(),
        other => vec![other.render()],
    };
    Ok(parts.join(&between).into())
}

/// An item of a list as people call it: an alert by its title, a link by its label.
fn named(item: &Value) -> String {
    let name = ["title", "label"].iter().find_map(|name| item.get(name));
    name.unwrap_or(item).render()
}
